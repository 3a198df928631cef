#include "capi/script/names.h"

#include <string>

#include "gtest/gtest.h"

namespace capi::script {
namespace {

std::string ClassOf(const std::optional<NameProblem>& problem) {
  return problem ? std::string(problem->error_class) : "";
}

TEST(Names, Tables) {
  EXPECT_EQ(ClassOf(CheckTableName("orders_2")), "");
  EXPECT_EQ(ClassOf(CheckTableName("Idx_orders")), "");
  EXPECT_EQ(ClassOf(CheckTableName(std::string(42, 'a'))), "");
  EXPECT_EQ(ClassOf(CheckTableName(std::string(43, 'a'))), "name_too_long");
  for (const char* name : {"", "idx_a", "wf_a", "system", "a-b", "a b", "\xc3\xa9"}) {
    EXPECT_EQ(ClassOf(CheckTableName(name)), "bad_table_name") << name;
  }
}

TEST(Names, Indexes) {
  EXPECT_EQ(ClassOf(CheckIndexName("idx_a")), "");
  EXPECT_EQ(ClassOf(CheckIndexName("idx" + std::string(39, 'a'))), "");
  EXPECT_EQ(ClassOf(CheckIndexName("idx" + std::string(40, 'a'))), "name_too_long");
  for (const char* name : {"", "idx", "a_idx", "Idx_a", "idx-a"}) {
    EXPECT_EQ(ClassOf(CheckIndexName(name)), "bad_index_name") << name;
  }
}

TEST(Names, Fields) {
  EXPECT_EQ(ClassOf(CheckFieldName("order_id")), "");
  for (const char* name : {"", "rowid", "RowId", "batch_idx", "1a", "_a", "a b", "\xc3\xa9"}) {
    EXPECT_EQ(ClassOf(CheckFieldName(name)), "bad_field_name") << name;
  }
}

}  // namespace
}  // namespace capi::script
