// Parquet in file_table and table_file: what goes out comes back in.

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

using Rows = std::vector<Texts>;

class ParquetNodeTest : public NodeTest {
 protected:
  ParquetNodeTest() {
    AddTable("source", {{"id", FieldType::kInt},
                        {"name", FieldType::kString},
                        {"price", FieldType::kDecimal2},
                        {"bought", FieldType::kDatetime}});
    AddNode("write",
            "type: table_file\nr: {table: source, expected_batches_total: 2}\nw:\n"
            "  url_template: " +
                (directory_ / "out") +
                "/w_{batch_idx}.parquet\n  parquet: {codec: snappy}\n  having: w.id != 3\n"
                "  columns:\n" +
                kColumns);
    AddNode("sort",
            "type: table_file\nr: {table: source}\nw:\n  url_template: " + (directory_ / "out") +
                "/s.parquet\n  top: {order: 'price(desc)', limit: 2}\n  columns:\n" + kColumns);
    AddReader("read", "r.id", "r.price", "decimal2");
  }

  /// A node that reads in.parquet into table t_<name>; the script says that the price is
  /// `declared`.
  void AddReader(const std::string& name, const std::string& id, const std::string& price,
                 const std::string& price_type, const std::string& declared = "decimal2") {
    AddNode(name, "type: file_table\nr:\n  urls: [" + (directory_ / "in.parquet") +
                      "]\n  columns:\n"
                      "    id: {col_type: int, parquet: {col_name: id}}\n"
                      "    price: {col_type: " +
                      declared +
                      ", col_default_value: '7', parquet: {col_name: the price}}\n"
                      "    unused: {col_type: string, parquet: {col_name: name}}\n"
                      "w:\n  name: t_" +
                      name + "\n  having: w.id < 1000\n  fields:\n    id: {expression: " + id +
                      ", type: int}\n    price: {expression: " + price + ", type: " + price_type +
                      "}\n");
  }

  void LoadAndFill() {
    Load();
    Fill("source", {{Int(1), Text("one"), Decimal("1.50"), Moment(0)},
                    {Int(2), Text("two"), Decimal("-2.00"), Moment(1)},
                    {Int(3), Text("three"), Decimal("30"), Moment(2)},
                    {Int(4), Text("four"), Decimal("4.04"), Moment(3)}});
  }

  static constexpr char kColumns[] =
      "    - {name: id, type: int, expression: r.id, parquet: {column_name: id}}\n"
      "    - {name: name, type: string, expression: r.name, parquet: {column_name: name}}\n"
      "    - {name: price, type: decimal2, expression: r.price, parquet: {column_name: the "
      "price}}\n"
      "    - {name: at, type: datetime, expression: r.bought, parquet: {column_name: at}}\n";
};

TEST_F(ParquetNodeTest, WritesAFilePerBatchAndReadsItBack) {
  LoadAndFill();
  const RunOutcome written = Run("write");
  ASSERT_TRUE(written.status.ok()) << Describe(written.status);
  ASSERT_EQ(written.files.size(), 2U);
  EXPECT_NE(written.targets[1].find("w_00001.parquet"), std::string::npos);
  EXPECT_EQ(written.counts.in, 4);
  EXPECT_EQ(written.counts.filtered, 1);
  EXPECT_EQ(written.counts.out, 3);
  WriteFile("in.parquet", written.files[1]);
  const RunOutcome read = Run("read");
  ASSERT_TRUE(read.status.ok()) << Describe(read.status);
  ExpectRows(read.rows, {{"4", "4.04"}});
  EXPECT_EQ(read.counts.in, 1);
  EXPECT_EQ(read.counts.out, 1);
}

TEST_F(ParquetNodeTest, TopIsSortedAndLimited) {
  LoadAndFill();
  for (const int threads : {1, 3}) {
    RunOptions options;
    options.threads = threads;
    const RunOutcome written = Run("sort", options);
    ASSERT_TRUE(written.status.ok()) << Describe(written.status);
    EXPECT_EQ(written.counts.beyond_limit, 2);
    WriteFile("in.parquet", written.files.at(0));
    const RunOutcome read = Run("read", options);
    ASSERT_TRUE(read.status.ok()) << Describe(read.status);
    ExpectRows(read.rows, {{"3", "30"}, {"4", "4.04"}});
  }
}

TEST_F(ParquetNodeTest, TypeOfTheFileWinsWhereTheExpressionsAllowIt) {
  AddReader("convert", "r.id", "int(r.price)", "int", "int");
  AddReader("refuse", "r.id", "r.price", "int", "int");
  LoadAndFill();
  WriteFile("in.parquet", Run("sort").files.at(0));
  const RunOutcome converted = Run("convert");
  ASSERT_TRUE(converted.status.ok()) << Describe(converted.status);
  ExpectRows(converted.rows, {{"3", "30"}, {"4", "4"}});
  const RunOutcome refused = Run("refuse");
  EXPECT_EQ(InfoOf(refused.status).error_class, "parquet_type_mismatch");
  EXPECT_NE(refused.status.message().find("col_type of price is int"), std::string::npos)
      << Describe(refused.status);
}

TEST_F(ParquetNodeTest, ExpressionErrorsNameFileAndRow) {
  AddReader("divide", "10 / (r.id - 4)", "r.price", "decimal2");
  LoadAndFill();
  WriteFile("in.parquet", Run("sort").files.at(0));
  const RunOutcome outcome = Run("divide");
  EXPECT_EQ(InfoOf(outcome.status).error_class, "division_by_zero");
  EXPECT_NE(outcome.status.message().find("in.parquet, row 2"), std::string::npos)
      << Describe(outcome.status);
}

TEST_F(ParquetNodeTest, ChangedInputIsRefused) {
  LoadAndFill();
  WriteFile("in.parquet", Run("sort").files.at(0));
  NodeSetup setup = SetupOf("read");
  WriteFile("in.parquet", Run("write").files.at(0));
  auto runner = Must(NodeRunner::Make(std::move(setup)));
  const RunContext run = MakeContext({});
  EXPECT_EQ(InfoOf(runner->RunBatch(run.context, {}).status()).error_class, "input_changed");
}

TEST_F(ParquetNodeTest, MissingColumnThatNoExpressionUses) {
  AddNode("missing", "type: file_table\nr:\n  urls: [" + (directory_ / "in.parquet") +
                         "]\n  columns:\n"
                         "    id: {col_type: int, parquet: {col_name: id}}\n"
                         "    more: {col_type: int, parquet: {col_name: nama}}\n"
                         "w:\n  name: t_missing\n  fields:\n"
                         "    id: {expression: r.id, type: int}\n");
  LoadAndFill();
  WriteFile("in.parquet", Run("sort").files.at(0));
  const RunOutcome outcome = Run("missing");
  EXPECT_EQ(InfoOf(outcome.status).error_class, "parquet_missing_column");
  EXPECT_NE(outcome.status.message().find("did you mean name?"), std::string::npos)
      << Describe(outcome.status);
}

}  // namespace
}  // namespace capi::node
