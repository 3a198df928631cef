#include "capi/node/node.h"

#include <gtest/gtest.h>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

TEST(OutputUrlTest, ReplacesBothSpellings) {
  EXPECT_EQ(OutputUrl("out/a.csv", 3, 4), "out/a.csv");
  EXPECT_EQ(OutputUrl("{run_id}/{batch_idx}.csv", 3, 4), "00003/00004.csv");
  EXPECT_EQ(OutputUrl("{run_id|string}_{batch_idx|string}", 123456, 1000000), "123456_1000000");
  EXPECT_EQ(OutputUrl("{batch_idx}{batch_idx}{batch}", 1, 2), "0000200002{batch}");
}

TEST(RowCountsTest, Adds) {
  RowCounts counts;
  counts.in = 1;
  RowCounts more;
  more.in = 2;
  more.filtered = 3;
  more.unmatched_left = 4;
  more.duplicates = 5;
  more.untagged = 6;
  more.beyond_limit = 7;
  more.out = 8;
  more.csv_warnings = 9;
  counts += more;
  counts += more;
  EXPECT_EQ(counts.in, 5);
  EXPECT_EQ(counts.filtered, 6);
  EXPECT_EQ(counts.unmatched_left, 8);
  EXPECT_EQ(counts.duplicates, 10);
  EXPECT_EQ(counts.untagged, 12);
  EXPECT_EQ(counts.beyond_limit, 14);
  EXPECT_EQ(counts.out, 16);
  EXPECT_EQ(counts.csv_warnings, 18);
}

class SchemaTest : public NodeTest {};

TEST_F(SchemaTest, DistinctIndexIsTheUniqueOne) {
  AddTable("source", {{"k", FieldType::kInt}, {"s", FieldType::kString}},
           "idx_source_to_check_uniq: unique(k)");
  AddNode(
      "distinct",
      "type: distinct_table\nrerun_policy: fail\nr: {table: source}\nw:\n  name: winners\n"
      "  fields:\n    k: {expression: r.k, type: int}\n    s: {expression: r.s, type: string}\n"
      "  indexes:\n    idx_other_to_check_uniq: non_unique(k)\n    idx_winners: 'unique(s, k)'\n");
  Load();
  const store::TableSchema schema = SchemaOf(*script_->FindNode("distinct"));
  EXPECT_EQ(schema.name, "winners");
  EXPECT_EQ(schema.distinct_index, "idx_winners");
  ASSERT_EQ(schema.fields.size(), 2U);
  EXPECT_EQ(schema.fields[1], (data::Field{"s", FieldType::kString}));
  EXPECT_EQ(schema.indexes.size(), 2U);
  // A unique index of another node is checked, not used to drop rows.
  EXPECT_EQ(SchemaOf(*script_->CreatorOf("source")).distinct_index, "");
}

}  // namespace
}  // namespace capi::node
