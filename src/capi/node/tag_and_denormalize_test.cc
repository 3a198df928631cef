#include <gtest/gtest.h>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

class TagTest : public NodeTest {
 protected:
  void LoadTags(const std::string& criteria, const std::string& fields, int64_t batches = 1,
                const std::string& having = "") {
    AddTable("source", {{"k", FieldType::kInt}, {"s", FieldType::kString}});
    AddNode("tag",
            "type: table_custom_tfm_table\ncustom_proc_type: tag_and_denormalize\n"
            "r: {table: source, expected_batches_total: " +
                std::to_string(batches) + "}\np:\n  tag_field_name: tag\n  tag_criteria:\n" +
                Indented(criteria, 4) + "w:\n  name: tagged\n" +
                (having.empty() ? "" : "  having: " + having + "\n") + "  fields:\n" +
                Indented(fields, 4));
    Load();
  }
};

constexpr char kFields[] =
    "k: {expression: r.k, type: int}\ntag: {expression: p.tag, type: string}\n"
    "text: {expression: 'r.s + \"/\" + p.tag', type: string}\n";

TEST_F(TagTest, RowsByRowThenByTagInScriptOrder) {
  LoadTags("zero: r.k % 5 == 0\nall: 'true'\nodd: r.k % 2 == 1\nnone: r.k < 0\nbig: r.k > 900\n",
           kFields, 3);
  std::vector<Row> rows;
  std::vector<Texts> expected;
  for (int64_t i = 0; i < 1000; ++i) {
    rows.push_back({Int(i), Text("s" + std::to_string(i))});
    const auto add = [&](const std::string& tag) {
      expected.push_back({std::to_string(i), tag, "s" + std::to_string(i) + "/" + tag});
    };
    if (i % 5 == 0) add("zero");
    add("all");
    if (i % 2 == 1) add("odd");
    if (i > 900) add("big");
  }
  Fill("source", rows, 2, 100);
  for (const int threads : {1, 2, 7}) {
    const RunOutcome found = Run("tag", {threads, 0});
    CheckOk(found.status);
    ExpectRows(found.rows, expected);
    EXPECT_EQ(found.counts.in, 1000);
    EXPECT_EQ(found.counts.untagged, 0);
    EXPECT_EQ(found.counts.out, static_cast<int64_t>(expected.size()));
  }
}

TEST_F(TagTest, RowsWithoutTagVanishAndAreCounted) {
  LoadTags("odd: r.k % 2 == 1\nthree: r.k % 3 == 0\n", kFields, 1, "w.tag != \"three\"");
  std::vector<Row> rows;
  for (int64_t i = 0; i < 12; ++i) rows.push_back({Int(i), Text("")});
  Fill("source", rows);
  const RunOutcome found = Run("tag");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"1", "odd", "/odd"},
                          {"3", "odd", "/odd"},
                          {"5", "odd", "/odd"},
                          {"7", "odd", "/odd"},
                          {"9", "odd", "/odd"},
                          {"11", "odd", "/odd"}});
  EXPECT_EQ(found.counts.in, 12);
  EXPECT_EQ(found.counts.untagged, 4);  // 2, 4, 8, 10
  EXPECT_EQ(found.counts.filtered, 4);  // 0, 3, 6, 9 with the tag three
}

// A full morsel with two tags gives more rows than a block takes.
TEST_F(TagTest, MoreOutputThanABlock) {
  LoadTags("a: 'true'\nb: 'true'\nc: r.k == 69999\n", kFields);
  std::vector<Row> rows;
  std::vector<Texts> expected;
  for (int64_t i = 0; i < 70000; ++i) {
    rows.push_back({Int(i), Text("")});
    expected.push_back({std::to_string(i), "a", "/a"});
    expected.push_back({std::to_string(i), "b", "/b"});
  }
  expected.push_back({"69999", "c", "/c"});
  Fill("source", rows);
  const RunOutcome found = Run("tag");
  CheckOk(found.status);
  ExpectRows(found.rows, expected);
}

TEST_F(TagTest, NoRowsAndNoTags) {
  LoadTags("none: r.k < 0\n", kFields, 2);
  Fill("source", {});
  EXPECT_TRUE(Run("tag").rows.empty());
  Fill("source", {{Int(1), Text("")}});
  const RunOutcome found = Run("tag");
  CheckOk(found.status);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.counts.untagged, 1);
}

TEST_F(TagTest, CriterionErrorNamesTagRowAndValues) {
  LoadTags(
      "fine: r.k > 0\nbad: 10 / (r.k - 2) > 0\nworse: 10 / (r.k - 2) > 1\nlate: 10 / (r.k - 3) > "
      "1\n",
      kFields);
  Fill("source", {{Int(1), Text("")}, {Int(2), Text("")}, {Int(3), Text("")}});
  const Status status = Run("tag").status;
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_CONTAINS(status.message(), "row 2 of batch 0 of table source_00001");
  EXPECT_CONTAINS(status.message(), "10 / (r.k - 2) > 0");
  EXPECT_CONTAINS(status.message(), "r.k=2");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.tag.p.tag_criteria.bad");
}

TEST_F(TagTest, FieldErrorNamesTheSourceRowAndTag) {
  LoadTags("a: 'true'\nb: 'true'\n", "q: {expression: 'len(p.tag) + 10 / (r.k - 2)', type: int}\n");
  Fill("source", {{Int(1), Text("")}, {Int(2), Text("")}});
  const Status status = Run("tag").status;
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_CONTAINS(status.message(), "row 2 of batch 0 of table source_00001");
  EXPECT_CONTAINS(status.message(), "p.tag=\"a\"");
}

// A field of an earlier row fails before the criterion of a later one.
TEST_F(TagTest, FieldErrorOfAnEarlierRowComesFirst) {
  LoadTags("a: 10 / (r.k - 3) != 99\n", "q: {expression: 10 / (r.k - 2), type: int}\n");
  Fill("source", {{Int(1), Text("")}, {Int(2), Text("")}, {Int(3), Text("")}});
  const Status status = Run("tag").status;
  EXPECT_CONTAINS(status.message(), "row 2 of batch 0 of table source_00001");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.tag.w.fields.q.expression");
}

}  // namespace
}  // namespace capi::node
