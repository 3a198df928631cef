#include "capi/store/rows/table_ddl.h"

#include "capi/base/status.h"
#include "gtest/gtest.h"

namespace capi::store {
namespace {

using data::FieldType;

TableSchema Orders() {
  TableSchema schema;
  schema.name = "Orders";
  schema.fields = {{"value", FieldType::kDecimal2}, {"id", FieldType::kInt},
                   {"weight", FieldType::kFloat},   {"day", FieldType::kDatetime},
                   {"paid", FieldType::kBool},      {"note", FieldType::kString}};
  schema.indexes = {{"idx_orders_note", false, {}}, {"idx_orders_id", true, {}}};
  return schema;
}

TEST(TableDdlTest, SortedColumnsOfAllTypes) {
  const TableDdl ddl = MakeTableDdl(Orders(), {"ks", 7, ""}).ValueOrDie();
  EXPECT_EQ(ddl.table,
            "CREATE TABLE IF NOT EXISTS ks.Orders_00007 ( rowid BIGINT, batch_idx BIGINT, day "
            "TIMESTAMP, id BIGINT, note TEXT, paid BOOLEAN, value DECIMAL, weight DOUBLE, PRIMARY "
            "KEY((rowid)));");
  EXPECT_EQ(ddl.indexes,
            (std::vector<std::string>{"CREATE TABLE IF NOT EXISTS ks.idx_orders_id_00007 ( key "
                                      "TEXT, rowid BIGINT, PRIMARY KEY((key)));",
                                      "CREATE TABLE IF NOT EXISTS ks.idx_orders_note_00007 ( key "
                                      "TEXT, rowid BIGINT, PRIMARY KEY((key), rowid));"}));
}

TEST(TableDdlTest, OptionsStandBehindEveryStatement) {
  TableSchema schema = Orders();
  schema.fields.clear();
  const TableDdl ddl = MakeTableDdl(schema, {"ks", 1, " \n WITH comment='a b' "}).ValueOrDie();
  EXPECT_EQ(ddl.table,
            "CREATE TABLE IF NOT EXISTS ks.Orders_00001 ( rowid BIGINT, batch_idx BIGINT, PRIMARY "
            "KEY((rowid))) WITH comment='a b';");
  for (const std::string& index : ddl.indexes) {
    EXPECT_TRUE(index.ends_with(") WITH comment='a b';")) << index;
  }
  EXPECT_TRUE(MakeTableDdl(schema, {"ks", 1, " \t "}).ValueOrDie().table.ends_with("(rowid)));"));
}

TEST(TableDdlTest, PhysicalNames) {
  EXPECT_EQ(PhysicalTableName("t", 0).ValueOrDie(), "t_00000");
  EXPECT_EQ(PhysicalTableName("t", 99999).ValueOrDie(), "t_99999");
  EXPECT_EQ(PhysicalTableName("t", 123456).ValueOrDie(), "t_123456");
  const std::string longest(42, 'a');
  EXPECT_EQ(PhysicalTableName(longest, 99999).ValueOrDie().size(), 48u);
}

TEST(TableDdlTest, NamesThatCassandraCannotHold) {
  const std::string longest(42, 'a');
  EXPECT_EQ(ErrorClassOf(PhysicalTableName(longest, 100000).status()), "name_too_long");
  EXPECT_EQ(ErrorClassOf(PhysicalTableName("t", -1).status()), "bad_run_id");

  TableSchema schema = Orders();
  schema.indexes[0].name = "idx_" + longest;
  EXPECT_EQ(ErrorClassOf(MakeTableDdl(schema, {"ks", 1, ""}).status()), "name_too_long");
  schema = Orders();
  schema.name = longest + "a";
  EXPECT_EQ(ErrorClassOf(MakeTableDdl(schema, {"ks", 1, ""}).status()), "name_too_long");

  for (const char* word : {"order", "Token", "WITH", "add"}) {
    schema = Orders();
    schema.fields.push_back({word, FieldType::kInt});
    const Status status = MakeTableDdl(schema, {"ks", 1, ""}).status();
    EXPECT_EQ(ErrorClassOf(status), "reserved_cql_word");
    EXPECT_NE(status.message().find(word), std::string::npos);
  }
  for (const char* name : {"ID", "RowId", "Batch_Idx"}) {
    schema = Orders();
    schema.fields.push_back({name, FieldType::kInt});
    EXPECT_EQ(ErrorClassOf(MakeTableDdl(schema, {"ks", 1, ""}).status()), "duplicate_cql_name");
  }
  // Words that Cassandra takes for names.
  schema = Orders();
  for (const char* name : {"key", "timestamp", "count", "orders"}) {
    schema.fields.push_back({name, FieldType::kInt});
  }
  EXPECT_TRUE(MakeTableDdl(schema, {"ks", 1, ""}).ok());
}

}  // namespace
}  // namespace capi::store
