// table_table and distinct_table.

#include <gtest/gtest.h>

#include <set>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

class TableTableTest : public NodeTest {
 protected:
  void AddSource() {
    AddTable("source", {{"k", FieldType::kInt},
                        {"s", FieldType::kString},
                        {"d", FieldType::kDecimal2},
                        {"t", FieldType::kDatetime},
                        {"f", FieldType::kFloat},
                        {"b", FieldType::kBool}});
  }
  static Row SourceRow(int64_t k, const std::string& s) {
    return {Int(k),           Text(s),        Decimal(std::to_string(k) + ".25"),
            Moment(k * 1000), Value(k / 4.0), Value(k % 2 == 0)};
  }
  void AddCopy(int64_t batches, const std::string& fields, const std::string& having = "") {
    AddNode("copy", "type: table_table\nr: {table: source, expected_batches_total: " +
                        std::to_string(batches) + "}\nw:\n  name: target\n" +
                        (having.empty() ? "" : "  having: " + having + "\n") + "  fields:\n" +
                        Indented(fields, 4));
  }
  void AddDistinct(int64_t batches, const std::string& index, const std::string& more = "") {
    AddNode(
        "distinct",
        "type: distinct_table\nrerun_policy: fail\nr: {table: source, expected_batches_total: " +
            std::to_string(batches) +
            "}\nw:\n  name: winners\n  fields:\n"
            "    s: {expression: r.s, type: string}\n"
            "    k: {expression: r.k, type: int}\n"
            "  indexes:\n    idx_winners: " +
            index + "\n" + more);
  }
};

TEST_F(TableTableTest, ComputesEveryTypeInRowOrder) {
  AddSource();
  AddCopy(4,
          "k: {expression: r.k + 1, type: int}\ns: {expression: 'r.s + \"!\"', type: string}\n"
          "d: {expression: r.d * 2 / 3, type: decimal2}\n"
          "t: {expression: 'time.Date(2020, time.January, 1, 0, 0, r.k, 1999999, time.UTC)', type: "
          "datetime}\n"
          "f: {expression: r.f * 2.0, type: float}\nb: {expression: '!r.b', type: bool}\n");
  Load();
  std::vector<Row> rows;
  std::vector<Texts> expected;
  for (int64_t i = 0; i < 50; ++i) {
    rows.push_back(SourceRow(i, "s" + std::to_string(i)));
    const int64_t hundredths = ((i * 100 + 25) * 4 + 3) / 6;  // half away from zero
    expected.push_back(
        TextsOf({Int(i + 1), Text("s" + std::to_string(i) + "!"),
                 Value(data::BigDecimal::FromInt128(hundredths, 2)),
                 Moment(1577836800000 + i * 1000 + 1), Value(i / 2.0), Value(i % 2 != 0)}));
  }
  Fill("source", rows, 3, 7);
  for (const int threads : {1, 2, 7}) {
    const RunOutcome found = Run("copy", {threads, 0});
    CheckOk(found.status);
    ExpectRows(found.rows, expected);
    EXPECT_TRUE(std::is_sorted(found.row_ids.begin(), found.row_ids.end()));
    EXPECT_EQ(data::BatchOf(found.row_ids.back()), 3);
    EXPECT_EQ(found.counts.in, 50);
    EXPECT_EQ(found.counts.out, 50);
  }
}

TEST_F(TableTableTest, HavingAcrossBatches) {
  AddSource();
  AddCopy(5, "k: {expression: r.k, type: int}\n", "w.k >= 12");
  Load();
  std::vector<Row> rows;
  for (int64_t i = 0; i < 20; ++i) rows.push_back(SourceRow(i, ""));
  Fill("source", rows, 2);
  const RunOutcome found = Run("copy");
  CheckOk(found.status);
  EXPECT_EQ(found.rows.size(), 8U);
  EXPECT_EQ(found.rows.front(), Texts{"12"});
  EXPECT_EQ(found.counts.filtered, 12);
}

TEST_F(TableTableTest, MoreBatchesThanRows) {
  AddSource();
  AddCopy(10, "k: {expression: r.k, type: int}\n");
  Load();
  Fill("source", {SourceRow(1, ""), SourceRow(2, "")});
  const RunOutcome found = Run("copy");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"1"}, {"2"}});
  Fill("source", {});
  EXPECT_TRUE(Run("copy").rows.empty());
}

TEST_F(TableTableTest, ErrorNamesTheSourceRow) {
  AddSource();
  AddCopy(2, "k: {expression: r.k, type: int}\nq: {expression: 10 / (r.k - 5), type: int}\n");
  Load();
  std::vector<Row> rows;
  for (int64_t i = 0; i < 8; ++i) rows.push_back(SourceRow(i, ""));
  Fill("source", rows, 2);
  const Status status = Run("copy").status;
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_CONTAINS(status.message(), "row 2 of batch 1 of table source_00001");
  EXPECT_CONTAINS(status.message(), "r.k=5");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.copy.w.fields.q.expression");
}

TEST_F(TableTableTest, DecimalBeyond38DigitsNamesTheRow) {
  AddSource();
  AddCopy(1, "d: {expression: r.d * r.d, type: decimal2}\n");
  Load();
  std::vector<Row> rows = {SourceRow(1, ""), SourceRow(2, "")};
  rows[1][2] = Decimal("999999999999999999999999999999999999.99");
  Fill("source", rows);
  const Status status = Run("copy").status;
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_CONTAINS(status.message(), "row 2 of batch 0 of table source_00001");
}

TEST_F(TableTableTest, AWholeFieldOf38Digits) {
  AddSource();
  AddCopy(1, "d: {expression: r.d + 0, type: decimal2}\n");
  Load();
  std::vector<Row> rows = {SourceRow(1, ""), SourceRow(2, "")};
  rows[1][2] = Decimal("-999999999999999999999999999999999999.99");
  Fill("source", rows);
  const RunOutcome found = Run("copy");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"1.25"}, {"-999999999999999999999999999999999999.99"}});
}

TEST_F(TableTableTest, FirstRowOfAKeyWinsWhateverTheBatches) {
  RandomValues random(9);
  AddSource();
  AddDistinct(7, "unique(s)");
  Load();
  std::vector<Row> rows;
  for (int64_t i = 0; i < 3000; ++i) {
    rows.push_back(SourceRow(i, "key" + std::to_string(random.Skewed(400))));
  }
  Fill("source", rows, 3, 100);
  std::vector<Texts> expected;
  std::set<std::string> seen;
  for (const Row& row : rows) {
    const auto& key = std::get<std::string>(row[1]);
    if (seen.insert(key).second)
      expected.push_back({key, std::to_string(std::get<int64_t>(row[0]))});
  }
  for (const int threads : {1, 2, 7}) {
    for (const int64_t limit : {0, 1}) {
      const RunOutcome found = Run("distinct", {threads, limit});
      CheckOk(found.status);
      ExpectRows(found.rows, expected);
      EXPECT_EQ(found.counts.in, 3000);
      // Inside batches when they are written, across batches at the end.
      EXPECT_EQ(found.counts.duplicates + found.duplicates_at_end,
                3000 - static_cast<int64_t>(expected.size()));
      EXPECT_GT(found.duplicates_at_end, 0);
      EXPECT_EQ(found.counts.out, found.counts.in - found.counts.duplicates);
    }
  }
}

TEST_F(TableTableTest, DistinctIgnoresCaseWhereTold) {
  AddSource();
  AddDistinct(2, "unique(s(ignore_case))");
  Load();
  Fill("source", {SourceRow(1, "Émile"), SourceRow(2, "a"), SourceRow(3, "éMILE"),
                  SourceRow(4, "Emile"), SourceRow(5, "A")});
  const RunOutcome found = Run("distinct");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"Émile", "1"}, {"a", "2"}, {"Emile", "4"}});
}

TEST_F(TableTableTest, DistinctOverAllFields) {
  AddSource();
  AddDistinct(3, "'unique(s, k(desc))'");
  Load();
  Fill("source", {SourceRow(1, "a"), SourceRow(2, "a"), SourceRow(1, "a"), SourceRow(1, ""),
                  SourceRow(2, "a"), SourceRow(1, "")});
  const RunOutcome found = Run("distinct");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"a", "1"}, {"a", "2"}, {"", "1"}});
}

// Losers across batches are marked as deleted: readers must not see them.
TEST_F(TableTableTest, ReadersOfADistinctTableSeeWinnersOnly) {
  AddSource();
  AddDistinct(4, "unique(s)", "    idx_winners_k: non_unique(k)\n");
  AddNode(
      "copy",
      "type: table_table\nr: {table: winners, expected_batches_total: 3}\nw:\n  name: target\n"
      "  fields:\n    s: {expression: r.s, type: string}\n    k: {expression: r.k, type: int}\n");
  AddNode("join",
          "type: table_lookup_table\nr: {table: source}\n"
          "l: {index_name: idx_winners_k, join_on: r.k, join_type: inner}\n"
          "w:\n  name: joined\n  fields:\n    k: {expression: r.k, type: int}\n"
          "    s: {expression: l.s, type: string}\n");
  Load();
  std::vector<Row> rows;
  std::vector<Texts> winners;
  std::vector<Texts> joined;
  for (int64_t i = 0; i < 40; ++i) {
    rows.push_back(SourceRow(i, "s" + std::to_string(i % 13)));
    if (i < 13) {
      winners.push_back({"s" + std::to_string(i), std::to_string(i)});
      joined.push_back({std::to_string(i), "s" + std::to_string(i)});
    }
  }
  Fill("source", rows);
  CheckOk(Run("distinct").status);
  const RunOutcome copied = Run("copy");
  CheckOk(copied.status);
  ExpectRows(copied.rows, winners);
  for (const int64_t limit : {0, 1}) {
    const RunOutcome found = Run("join", {2, limit});
    CheckOk(found.status);
    ExpectRows(found.rows, joined);
  }
}

TEST_F(TableTableTest, DistinctOfNoRows) {
  AddSource();
  AddDistinct(3, "unique(s)");
  Load();
  Fill("source", {});
  const RunOutcome found = Run("distinct");
  CheckOk(found.status);
  EXPECT_TRUE(found.rows.empty());
}

}  // namespace
}  // namespace capi::node
