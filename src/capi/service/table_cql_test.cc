#include "capi/service/table_cql.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "capi/service/validate.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::service {
namespace {

using workflow::CopyNode;
using workflow::ReadNode;
using workflow::ScriptText;
using workflow::TestFiles;
using workflow::WriteNode;

class TableCqlTest : public testing::Test {
 protected:
  void SetUp() override {
    script::LoadOptions options;
    // The reader stands last, so that script order is not the topological one.
    options.script_url = directory_.Write(
        "s.json", ScriptText({WriteNode("write", "copy", directory_.Path("out.csv")),
                              CopyNode("copy", "read", 2), ReadNode("read", {"in.csv"})}));
    script_ = LoadScript(options, Env::Default(), {}).script;
    ASSERT_NE(script_, nullptr);
  }

  std::string Cql(const std::vector<std::string>& start_nodes) {
    return TableCql(*script_, {"ks", 3, start_nodes}).ValueOrDie();
  }

  TestFiles directory_;
  std::shared_ptr<const script::Script> script_;
};

TEST_F(TableCqlTest, AffectedNodesInTopologicalOrder) {
  const std::string cql = Cql({});
  EXPECT_TRUE(cql.starts_with("-- Workflow\nCREATE TABLE IF NOT EXISTS ks.wf_batch_history (ts "));
  const size_t counter = cql.find("INSERT INTO ks.wf_run_counter");
  const size_t read = cql.find("-- read\nCREATE TABLE IF NOT EXISTS ks.t_read_00003 ( rowid ");
  const size_t copy = cql.find("-- copy\nCREATE TABLE IF NOT EXISTS ks.t_copy_00003 ( rowid ");
  EXPECT_LT(counter, read);
  EXPECT_LT(read, copy);
  EXPECT_LT(copy, cql.size());
  EXPECT_EQ(cql.find("-- write"), std::string::npos);
  EXPECT_EQ(Cql({"copy"}).find("-- read"), std::string::npos);
}

TEST_F(TableCqlTest, WrongUse) {
  const auto error_class = [&](const std::string& keyspace, int64_t run_id,
                               const std::vector<std::string>& start_nodes) {
    return InfoOf(TableCql(*script_, {keyspace, run_id, start_nodes}).status()).error_class;
  };
  EXPECT_EQ(error_class("", 1, {}), "bad_keyspace_name");
  EXPECT_EQ(error_class("system", 1, {}), "bad_keyspace_name");
  EXPECT_EQ(error_class("k;s", 1, {}), "bad_keyspace_name");
  EXPECT_EQ(error_class("ks", -1, {}), "bad_run_id");
  EXPECT_EQ(error_class("ks", 1, {"raed"}), "unknown_node");
  EXPECT_EQ(error_class("ks", 1, {""}), "no_start_nodes");
}

}  // namespace
}  // namespace capi::service
