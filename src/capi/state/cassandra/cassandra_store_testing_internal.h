#pragma once

// Two stores of different processes on one keyspace, and looks into the tables of the original.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/fault_point.h"
#include "capi/state/cassandra/test_place.h"
#include "capi/state/test_stores.h"

namespace capi::state {

class CassandraStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    place_ = NewCassandraPlace(/*lossy=*/false);
    if (place_ == nullptr) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    store_ = place_->Open().ValueOrDie();
    witness_ = place_->Open().ValueOrDie();
    me_ = NewOwner(store_.get());
    other_ = NewOwner(witness_.get());
  }
  void TearDown() override { ASSERT_TRUE(ArmFaultPoints("").ok()); }

  static OwnerId NewOwner(StateStore* store) {
    const auto owner = static_cast<OwnerId>(Env::Default()->Random() >> 1 | 1);
    EXPECT_TRUE(store->RegisterOwner({owner, "host/" + std::to_string(owner % 1000), 0, {}}).ok());
    return owner;
  }

  static Result<int64_t> TryNewRun(StateStore* store, int64_t batches = 4,
                                   bool rerun_fails = false) {
    RunRecord run;
    run.script_url = "script.json";
    run.parameters_url = "params.json";
    run.start_nodes = {"a", "b"};
    run.affected_nodes = {"a", "b"};
    run.description = "it's a \"test\"";
    run.comment = "api.StartRun";
    std::vector<NodeRecord> nodes(2);
    for (size_t i = 0; i < nodes.size(); ++i) {
      nodes[i].name = run.affected_nodes[i];
      nodes[i].type = i == 0 ? "file_table" : "table_table";
      nodes[i].table = "t_" + nodes[i].name;
      nodes[i].batches_total = batches;
      nodes[i].rerun_fails = rerun_fails;
    }
    return store->CreateRun(run, nodes);
  }
  int64_t NewRun(int64_t batches = 4, bool rerun_fails = false) {
    auto run_id = TryNewRun(store_.get(), batches, rerun_fails);
    EXPECT_TRUE(run_id.ok()) << Describe(run_id.status());
    return run_id.ValueOr(0);
  }

  static AttemptEnd Success(const NodeId& node, const Claim& claim, OwnerId owner) {
    AttemptEnd end;
    end.id = {node, claim.batch_index};
    end.attempt = claim.attempt;
    end.owner = owner;
    end.manifest = "m" + std::to_string(claim.batch_index);
    return end;
  }
  static Status Commit(StateStore* store, const std::vector<AttemptEnd>& ends,
                       std::vector<bool>* committed = nullptr, const Changes& changes = {}) {
    return store->EndAttempts(ends, [&](const std::vector<bool>& won) {
      if (committed != nullptr) *committed = won;
      return changes;
    });
  }
  static NodeChange End(const NodeId& node, NodeStatus status) {
    NodeChange change;
    change.id = node;
    change.status = status;
    return change;
  }

  /// Rows of a workflow table of one run, a text for each: its cells from the given columns.
  static std::vector<std::string> Told(const std::string& table, int64_t run_id,
                                       const std::vector<std::string>& columns) {
    CassandraTestServer& server = CassandraTestServer::Instance();
    std::string list;
    for (const std::string& column : columns) {
      list += (list.empty() ? "CAST(" : ", CAST(") + column + " AS text)";
    }
    cql::Request request;
    request.statement = server.session()
                            ->Prepare("SELECT " + list + " FROM " + server.keyspace() + "." +
                                          table + " WHERE run_id = ?",
                                      true)
                            .ValueOrDie();
    request.values.Int(static_cast<int32_t>(run_id));
    const cql::Rows rows = server.session()->Execute(request).ValueOrDie();
    std::vector<std::string> told;
    for (int64_t row = 0; row < rows.size(); ++row) {
      std::string line;
      for (size_t i = 0; i < columns.size(); ++i) {
        line += (i == 0 ? "" : "|") + std::string(rows.Text(row, static_cast<int>(i)));
      }
      told.push_back(line);
    }
    return told;
  }
  static int64_t Counter() {
    CassandraTestServer& server = CassandraTestServer::Instance();
    cql::Request request;
    request.statement = server.session()
                            ->Prepare("SELECT last_run FROM " + server.keyspace() +
                                          ".wf_run_counter WHERE ks = '" + server.keyspace() + "'",
                                      true)
                            .ValueOrDie();
    const cql::Rows rows = server.session()->Execute(request).ValueOrDie();
    return rows.empty() ? -1 : rows.Integer(0, 0);
  }

  std::unique_ptr<TestPlace> place_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<StateStore> witness_;  ///< of another process
  OwnerId me_ = 0;
  OwnerId other_ = 0;
};

}  // namespace capi::state
