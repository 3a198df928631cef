#include "capi/state/cassandra/schema.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/env.h"
#include "capi/state/cassandra/cassandra_store.h"
#include "capi/state/cassandra/statements_internal.h"
#include "capi/state/cassandra/test_place.h"

namespace capi::state {
namespace {

TEST(CassandraSchema, OwnTablesHaveTheirOwnNames) {
  std::set<std::string_view> names;
  EXPECT_EQ(CreateStatement(OwnWorkflowTables().back(), "ks")
                .find("CREATE TABLE IF NOT EXISTS ks.wf_capi_run ("),
            0u);
  for (const WorkflowTable& table : OwnWorkflowTables()) {
    EXPECT_TRUE(table.name.starts_with("wf_capi_"));
    EXPECT_TRUE(names.insert(table.name).second);
  }
}

TEST(CassandraSchema, KeyspaceNames) {
  for (const char* good : {"a", "Lookup_Demo1", "x_123"}) EXPECT_TRUE(IsKeyspaceName(good)) << good;
  for (const char* bad :
       {"", "1a", "_a", "a-b", "a.b", "a b", "a\"b", "a;b", "system_auth", "System", "\xc3\xb6"}) {
    EXPECT_FALSE(IsKeyspaceName(bad)) << bad;
  }
  EXPECT_TRUE(IsKeyspaceName(std::string(48, 'a')));
  EXPECT_FALSE(IsKeyspaceName(std::string(49, 'a')));
  EXPECT_EQ(FoldedKeyspace("Ab_1"), "ab_1");
}

TEST(CassandraTexts, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(Utf8Of("plain"), "plain");
  EXPECT_EQ(Utf8Of("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(Utf8Of("a\xff"
                   "b"),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(Utf8Of("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");                  // cut off
  EXPECT_EQ(Utf8Of("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd");                  // overlong
  EXPECT_EQ(Utf8Of("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // surrogate
  EXPECT_EQ(Utf8Of(std::string("\0", 1)), std::string("\0", 1));
}

TEST(CassandraTokens, AreSplitAsTheOriginalDoes) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(TokensOf(true, 7, 10), (std::pair<int64_t, int64_t>{7, 7}));
  EXPECT_EQ(TokensOf(false, 0, 1), (std::pair<int64_t, int64_t>{kMin, kMax}));
  EXPECT_EQ(TokensOf(false, 0, 0), (std::pair<int64_t, int64_t>{kMin, kMax}));
  EXPECT_EQ(TokensOf(false, 0, 2).first, kMin);
  EXPECT_EQ(TokensOf(false, 1, 2).second, kMax);
  // floor((2^63-1)/3) + floor(2^63/3) = 6148914691236517204
  EXPECT_EQ(TokensOf(false, 0, 3), (std::pair<int64_t, int64_t>{kMin, kMin + 6148914691236517203}));
  EXPECT_EQ(TokensOf(false, 1, 3).first, kMin + 6148914691236517204);
  for (const int64_t total : {2, 3, 10, 1000, 100000}) {
    for (const int64_t i : {int64_t{1}, total / 2, total - 1}) {
      EXPECT_EQ(TokensOf(false, i - 1, total).second + 1, TokensOf(false, i, total).first);
    }
  }
}

class CassandraKeyspaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!CassandraTestServer::IsThere()) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    session_ = CassandraTestServer::Instance().session();
    options_.keyspace = "Capi_State_Try_" + std::to_string(getpid());
    options_.replication = kTestReplication;
    options_.create = true;
  }
  void TearDown() override {
    if (session_ == nullptr) return;
    EXPECT_TRUE(DropCassandraKeyspace(session_, options_.keyspace).ok());
  }
  bool IsListed() {
    const auto names = ListCassandraKeyspaces(session_).ValueOrDie();
    return std::find(names.begin(), names.end(), FoldedKeyspace(options_.keyspace)) != names.end();
  }
  Status Open(cql::Session* session = nullptr) {
    return OpenCassandraStore(Env::Default(), session == nullptr ? session_ : session, options_)
        .status();
  }

  cql::Session* session_ = nullptr;
  CassandraStoreOptions options_;
};

TEST_F(CassandraKeyspaceTest, SeveralProcessesMayCreateItAtOnce) {
  constexpr int kProcesses = 3;
  std::vector<std::thread> threads;
  std::vector<Status> statuses(kProcesses);
  for (Status& status : statuses) {
    threads.emplace_back([&] {
      auto session = CassandraTestServer::Connect();
      status = session.ok() ? Open(session->get()) : session.status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : statuses) EXPECT_TRUE(status.ok()) << Describe(status);
  EXPECT_TRUE(IsListed());
  EXPECT_TRUE(Open().ok());  // again
  options_.create = false;
  EXPECT_TRUE(Open().ok());
  // It can be dropped and made anew.
  ASSERT_TRUE(DropCassandraKeyspace(session_, options_.keyspace).ok());
  EXPECT_FALSE(IsListed());
  EXPECT_EQ(InfoOf(Open()).error_class, "unknown_keyspace");
  options_.create = true;
  auto store = OpenCassandraStore(Env::Default(), session_, options_);
  ASSERT_TRUE(store.ok()) << Describe(store.status());
  EXPECT_EQ((*store)->CreateRun({}, {}).ValueOrDie(), 1);
}

TEST_F(CassandraKeyspaceTest, ReadersDoNotCreateIt) {
  options_.create = false;
  EXPECT_EQ(InfoOf(Open()).error_class, "unknown_keyspace");
  EXPECT_EQ(KindOf(Open()), ErrorKind::kUser);
  EXPECT_FALSE(IsListed());
  EXPECT_TRUE(DropCassandraKeyspace(session_, options_.keyspace).ok());  // none: nothing to do
}

TEST_F(CassandraKeyspaceTest, ForeignKeyspacesAndLayoutsAreRefused) {
  ASSERT_TRUE(session_->ExecuteSchema(CreateKeyspaceCql(options_.keyspace, kTestReplication)).ok());
  options_.create = false;
  EXPECT_EQ(InfoOf(Open()).error_class, "unknown_keyspace");
  EXPECT_FALSE(IsListed());
  // As an older original made it.
  ASSERT_TRUE(session_
                  ->ExecuteSchema("CREATE TABLE " + options_.keyspace +
                                  ".wf_run_history (ts timestamp, run_id int, status int, "
                                  "comment text, PRIMARY KEY(run_id, status))")
                  .ok());
  EXPECT_TRUE(IsListed());
  options_.create = true;
  EXPECT_EQ(InfoOf(Open()).error_class, "other_layout");
}

TEST_F(CassandraKeyspaceTest, WrongOptionsAreUserErrors) {
  options_.replication = "{'class': 'NoSuchStrategy'}";
  EXPECT_EQ(KindOf(Open()), ErrorKind::kUser) << Describe(Open());
  options_.keyspace = "a; DROP KEYSPACE b";
  EXPECT_EQ(InfoOf(Open()).error_class, "bad_keyspace_name");
  EXPECT_EQ(InfoOf(DropCassandraKeyspace(session_, "system")).error_class, "bad_keyspace_name");
  options_.keyspace = "ok";
}

}  // namespace
}  // namespace capi::state
