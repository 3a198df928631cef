// Messages of failing lookups, and which of several errors is reported.

#include <gtest/gtest.h>

#include "capi/node/lookup_testing_internal.h"

namespace capi::node {
namespace {

class LookupErrorTest : public LookupTest {
 protected:
  /// Left rows with keys 0.. and values `lefts`; right rows (key, value), names "n<value>".
  void FillValues(const std::vector<int64_t>& lefts,
                  const std::vector<std::pair<int64_t, int64_t>>& rights) {
    const auto make = [](int64_t key, int64_t value) {
      return Row{Int(key),       Text("n" + std::to_string(value)),
                 Int(value),     Value(0.0),
                 Decimal("1.5"), Moment(0),
                 Value(false)};
    };
    std::vector<Row> left_rows;
    for (size_t i = 0; i < lefts.size(); ++i) {
      left_rows.push_back(make(static_cast<int64_t>(i), lefts[i]));
    }
    std::vector<Row> right_rows;
    for (const auto& [key, value] : rights) right_rows.push_back(make(key, value));
    Fill("lefts", left_rows);
    Fill("rights", right_rows);
  }

  /// The message of a failing node, which is the same for all ways of matching.
  std::string MessageOf(const std::string& name, std::string* field_path = nullptr) {
    std::string message;
    for (const int threads : {1, 7}) {
      for (const int64_t limit : {kNoLimit, kTiny}) {
        const Status status = Run(name, {threads, limit}).status;
        EXPECT_EQ(KindOf(status), ErrorKind::kUser) << Describe(status);
        if (message.empty()) message = status.message();
        EXPECT_EQ(status.message(), message) << threads << " threads, limit " << limit;
        if (field_path != nullptr) *field_path = InfoOf(status).field_path;
      }
    }
    return message;
  }
};

TEST_F(LookupErrorTest, NamesBothRowsExpressionAndValues) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left", "",
            "fine: {expression: r.v + l.v, type: int}\n"
            "quotient: {expression: 'len(l.s) + int(l.d) + r.v / l.v', type: int}\n");
  Load();
  FillValues({5, 6, 7}, {{1, 3}, {2, 0}, {2, 1}});
  std::string path;
  const std::string message = MessageOf("join", &path);
  EXPECT_EQ(path, "nodes.join.w.fields.quotient.expression");
  EXPECT_CONTAINS(message,
                  "row 3 of batch 0 of table lefts_00001 joined with row 2 of batch 0 of "
                  "table rights_00001");
  EXPECT_CONTAINS(message, "len(l.s) + int(l.d) + r.v / l.v");
  EXPECT_CONTAINS(message, "r.v=7");
  EXPECT_CONTAINS(message, "l.v=0");
  EXPECT_CONTAINS(message, "l.s=\"n0\"");
  EXPECT_CONTAINS(message, "l.d=1.5");
}

TEST_F(LookupErrorTest, SmallestRowThenFirstField) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left", "",
            "a: {expression: 100 / (r.v - 5), type: int}\n"
            "b: {expression: 100 / (l.v - 6), type: int}\n"
            "c: {expression: 100 / (r.v - 7), type: int}\n");
  Load();
  FillValues({1, 2, 7, 5}, {{1, 6}, {2, 3}, {3, 6}});
  EXPECT_CONTAINS(MessageOf("join"), "100 / (l.v - 6)");
  FillValues({7, 2, 7, 5}, {{1, 6}, {2, 3}, {3, 6}});
  EXPECT_CONTAINS(MessageOf("join"), "100 / (r.v - 7)");
  FillValues({1, 2, 3, 5}, {{1, 1}, {2, 3}, {3, 6}});
  EXPECT_CONTAINS(MessageOf("join"), "100 / (r.v - 5)");
}

TEST_F(LookupErrorTest, HavingOfAnEarlierRowComesFirst) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left", "10 / (w.v - 3) != 99",
            "v: {expression: r.v, type: int}\nq: {expression: 100 / l.v, type: int}\n"
            "s: {expression: l.s, type: string}\n");
  Load();
  FillValues({1, 3, 4, 5}, {{0, 1}, {2, 0}});
  std::string path;
  const std::string message = MessageOf("join", &path);
  EXPECT_EQ(path, "nodes.join.w.having");
  EXPECT_CONTAINS(message, "row 2 of batch 0 of table lefts_00001");
  EXPECT_CONTAINS(message, "w.v=3");
  FillValues({1, 4, 3, 5}, {{0, 1}, {1, 0}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / l.v");
}

TEST_F(LookupErrorTest, FieldOfAnEarlierRowComesBeforeTheFilter) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, filter: '10 / l.v != 99'", "",
            "q: {expression: 100 / (r.v - 5), type: int}\n");
  Load();
  FillValues({1, 2, 5, 4}, {{1, 3}, {2, 0}, {3, 0}});
  std::string path;
  EXPECT_CONTAINS(MessageOf("join", &path), "10 / l.v");
  EXPECT_EQ(path, "nodes.join.l.filter");
  FillValues({1, 5, 2, 4}, {{1, 3}, {2, 0}, {3, 0}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / (r.v - 5)");
}

TEST_F(LookupErrorTest, FilterNamesThePair) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "inner, filter: '10 / l.v > 0 && l.s != \"\"'", "",
            "v: {expression: r.v, type: int}\n");
  Load();
  FillValues({1, 2, 3}, {{0, 2}, {1, 1}, {1, 0}});
  const std::string message = MessageOf("join");
  EXPECT_CONTAINS(message,
                  "row 2 of batch 0 of table lefts_00001 joined with row 3 of batch 0 of "
                  "table rights_00001");
  EXPECT_CONTAINS(message, "l.v=0");
}

TEST_F(LookupErrorTest, GroupsNameTheLeftRowAndTheFirstField) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, group: true", "",
            "v: {expression: 100 / (r.v - 5), type: int}\n"
            "total: {expression: sum(100 / l.v), type: int}\n");
  Load();
  FillValues({1, 2, 3, 5}, {{0, 2}, {1, 4}, {1, 0}, {3, 0}});
  std::string path;
  std::string message = MessageOf("join", &path);
  EXPECT_EQ(path, "nodes.join.w.fields.total.expression");
  EXPECT_CONTAINS(message, "row 2 of batch 0 of table lefts_00001");
  EXPECT_CONTAINS(message, "l.v=0");
  // Both fields fail in the same row.
  FillValues({1, 2, 3, 5}, {{0, 2}, {1, 4}, {3, 0}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / (r.v - 5)");
  // An earlier row of a later field.
  FillValues({1, 2, 3, 5}, {{0, 0}, {1, 4}, {3, 1}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / l.v");
}

TEST_F(LookupErrorTest, GroupsWithoutMatchHaveNoRightValue) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, group: true", "",
            "n: {expression: count(), type: int}\nlast: {expression: 100 / l.v, type: int}\n");
  Load();
  FillValues({1, 2, 3}, {{0, 2}, {1, 4}, {1, 5}, {2, 20}});
  const RunOutcome found = Run("join");
  CheckOk(found.status);
  EXPECT_EQ(found.rows, (std::vector<Texts>{{"1", "50"}, {"2", "20"}, {"1", "5"}}));
  FillValues({1, 2, 3}, {{0, 2}, {2, 20}});
  std::string path;
  std::string message = MessageOf("join", &path);
  EXPECT_CONTAINS(message, "has no match");
  EXPECT_CONTAINS(message, "row 2 of batch 0 of table lefts_00001");
  EXPECT_EQ(path, "nodes.join.w.fields.last.expression");
  // A row before the one without a match fails.
  FillValues({1, 2, 3}, {{0, 0}, {2, 20}});
  EXPECT_CONTAINS(MessageOf("join", &path), "row 1 of batch 0 of table lefts_00001");
}

TEST_F(LookupErrorTest, HavingOfAnEarlierGroupComesFirst) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, group: true", "10 / (w.n - 2) != 99",
            "n: {expression: count(), type: int}\nq: {expression: sum(100 / l.v), type: int}\n");
  Load();
  FillValues({1, 2, 3}, {{0, 1}, {1, 1}, {1, 1}, {2, 0}});
  std::string path;
  EXPECT_CONTAINS(MessageOf("join", &path), "row 2 of batch 0 of table lefts_00001");
  EXPECT_EQ(path, "nodes.join.w.having");
}

}  // namespace
}  // namespace capi::node
