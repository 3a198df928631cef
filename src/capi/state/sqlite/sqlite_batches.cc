// Claims and ends of attempts.

#include <limits>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/state/sqlite/sqlite_rows_internal.h"
#include "capi/state/sqlite/sqlite_store_internal.h"

namespace capi::state {

Result<std::vector<Claim>> SqliteStore::ClaimBatches(const NodeId& node, int64_t begin, int64_t end,
                                                     OwnerId owner) {
  std::vector<Claim> claims;
  CAPI_RETURN_NOT_OK(Write([&](Connection* connection) -> Status {
    {
      CAPI_ASSIGN_OR_RETURN(
          Query query,
          connection->Select("SELECT 1 FROM nodes n JOIN runs r USING (run_id) JOIN owners o "
                             "WHERE n.run_id = ?1 AND n.node_index = ?2 AND n.status < 2 AND "
                             "r.status = 1 AND o.owner = ?3",
                             node.run_id, node.node_index, owner));
      CAPI_ASSIGN_OR_RETURN(const bool open, query.Step());
      if (!open) return Status::OK();
    }
    const int64_t now = env_->NowMillis();
    for (int64_t batch = begin; batch < end; ++batch) {
      Claim claim;
      claim.batch_index = batch;
      {
        CAPI_ASSIGN_OR_RETURN(
            Query query,
            connection->Select(
                "INSERT INTO batches(run_id, node_index, batch_index, status, attempt, owner, "
                "started_ms) VALUES(?1, ?2, ?3, 1, 1, ?4, ?5) "
                "ON CONFLICT DO UPDATE SET status = 1, attempt = attempt + 1, "
                "owner = excluded.owner, started_ms = excluded.started_ms WHERE status = 0 "
                "RETURNING attempt",
                node.run_id, node.node_index, batch, owner, now));
        CAPI_ASSIGN_OR_RETURN(const bool won, query.Step());
        if (!won) continue;
        claim.attempt = query.Int(0);
        CAPI_RETURN_NOT_OK(query.Step().status());
      }
      if (batch != kFinishBatch) {
        CAPI_RETURN_NOT_OK(AddEvent(connection, EventKind::kBatch, node, batch,
                                    static_cast<int>(NodeStatus::kStart), ""));
      }
      claims.push_back(claim);
    }
    if (claims.empty()) return Status::OK();
    CAPI_ASSIGN_OR_RETURN(const int64_t started,
                          connection->Run("UPDATE nodes SET status = 1, started_ms = ?3 "
                                          "WHERE run_id = ?1 AND node_index = ?2 AND status = 0",
                                          node.run_id, node.node_index, now));
    if (started == 0) return Status::OK();
    return AddEvent(connection, EventKind::kNode, node, claims.front().batch_index,
                    static_cast<int>(NodeStatus::kStart), "");
  }));
  return claims;
}

Status SqliteStore::ReleaseIn(Connection* connection, const AttemptRelease& release) {
  CAPI_ASSIGN_OR_RETURN(
      const int64_t changed,
      connection->Run("UPDATE batches SET status = 0, owner = 0 WHERE run_id = ?1 AND "
                      "node_index = ?2 AND batch_index = ?3 AND status = 1 AND owner = ?4 AND "
                      "attempt = ?5",
                      release.id.node.run_id, release.id.node.node_index, release.id.batch_index,
                      release.owner, release.attempt));
  if (changed == 0) return Status::OK();
  return connection
      ->Run(
          "INSERT OR REPLACE INTO attempts(run_id, node_index, batch_index, attempt, owner, "
          "outcome, message, ended_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
          release.id.node.run_id, release.id.node.node_index, release.id.batch_index,
          release.attempt, release.owner, release.outcome, release.text, env_->NowMillis())
      .status();
}

Status SqliteStore::ReleaseAttempts(const std::vector<AttemptRelease>& releases) {
  if (releases.empty()) return Status::OK();
  return Write([&](Connection* connection) -> Status {
    for (const AttemptRelease& release : releases) {
      CAPI_RETURN_NOT_OK(ReleaseIn(connection, release));
    }
    return Status::OK();
  });
}

Result<bool> SqliteStore::EndAttemptIn(Connection* connection, const AttemptEnd& end) {
  const NodeId& node = end.id.node;
  CAPI_ASSIGN_OR_RETURN(
      const int64_t changed,
      connection->Run(
          "UPDATE batches SET status = ?6, manifest = ?7, counts = ?8, error_kind = ?9, "
          "error_class = ?10, error_text = ?11, ended_ms = ?12, input = ?13 WHERE run_id = ?1 AND "
          "node_index = ?2 AND batch_index = ?3 AND status = 1 AND owner = ?4 AND attempt = ?5",
          node.run_id, node.node_index, end.id.batch_index, end.owner, end.attempt,
          static_cast<int>(end.status), end.manifest, end.counts, end.error.kind,
          end.error.error_class, end.error.text, env_->NowMillis(), end.input));
  if (changed == 0) return false;
  for (const FileRecord& file : end.files) {
    CAPI_RETURN_NOT_OK(
        connection
            ->Run("INSERT OR REPLACE INTO files(run_id, node_index, batch_index, attempt, target, "
                  "temp_path, size, rows, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)",
                  node.run_id, node.node_index, end.id.batch_index, end.attempt, file.target,
                  file.temp_path, file.size, file.rows)
            .status());
  }
  if (end.id.batch_index != kFinishBatch) {
    CAPI_RETURN_NOT_OK(AddEvent(connection, EventKind::kBatch, node, end.id.batch_index,
                                static_cast<int>(end.status), end.error.text));
  }
  return true;
}

Status SqliteStore::EndAttempts(const std::vector<AttemptEnd>& ends, const Derive& derive) {
  return Write([&](Connection* connection) -> Status {
    std::vector<bool> committed;
    committed.reserve(ends.size());
    for (const AttemptEnd& end : ends) {
      CAPI_ASSIGN_OR_RETURN(const bool won, EndAttemptIn(connection, end));
      committed.push_back(won);
      if (!won) continue;
      CAPI_RETURN_NOT_OK(connection
                             ->Run("DELETE FROM files WHERE run_id = ?1 AND node_index = ?2 AND "
                                   "batch_index = ?3 AND attempt = ?4 AND state = 0",
                                   end.id.node.run_id, end.id.node.node_index, end.id.batch_index,
                                   end.attempt)
                             .status());
    }
    CAPI_RETURN_NOT_OK(ApplyIn(connection, derive(committed)));
    CAPI_FAULT_POINT("state.before_commit");
    return Status::OK();
  });
}

Result<std::optional<std::vector<BatchRecord>>> SqliteStore::ExpireOwner(OwnerId owner,
                                                                         int64_t seen_renewals) {
  std::optional<std::vector<BatchRecord>> lost;
  CAPI_RETURN_NOT_OK(Write([&](Connection* connection) -> Status {
    CAPI_ASSIGN_OR_RETURN(const int64_t removed,
                          connection->Run("DELETE FROM owners WHERE owner = ?1 AND renewals = ?2",
                                          owner, seen_renewals));
    if (removed == 0) return Status::OK();
    lost.emplace();
    std::vector<bool> fails;
    {
      // Claims exist only in nodes without end, so history is not scanned.
      CAPI_ASSIGN_OR_RETURN(
          Query query,
          connection->Select("SELECT " CAPI_BATCH_COLUMNS
                             ", n.rerun_fails FROM nodes n JOIN batches b "
                             "USING (run_id, node_index) WHERE n.status < 2 AND b.status = 1 AND "
                             "b.owner = ?1",
                             owner));
      while (true) {
        CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
        if (!row) break;
        lost->push_back(ReadBatch(query));
        constexpr int kRerunFails = 14;
        fails.push_back(query.Int(kRerunFails) != 0);
      }
    }
    for (size_t i = 0; i < lost->size(); ++i) {
      const BatchRecord& batch = (*lost)[i];
      if (fails[i] && batch.id.batch_index != kFinishBatch) {
        AttemptEnd end;
        end.id = batch.id;
        end.attempt = batch.attempt;
        end.owner = owner;
        end.status = NodeStatus::kFail;
        end.error = {"environment", "interrupted_batch",
                     "batch was interrupted and the node has rerun_policy fail"};
        CAPI_RETURN_NOT_OK(EndAttemptIn(connection, end).status());
      } else {
        CAPI_RETURN_NOT_OK(
            ReleaseIn(connection, {batch.id, batch.attempt, owner, "lost", "process ended"}));
      }
    }
    return Status::OK();
  }));
  return lost;
}

Result<std::vector<BatchRecord>> SqliteStore::Batches(const NodeId& node) {
  return BatchesIn(node, kFinishBatch, std::numeric_limits<int64_t>::max());
}

Result<std::vector<BatchRecord>> SqliteStore::BatchesIn(const NodeId& node, int64_t begin,
                                                        int64_t end) {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(
      Query query,
      reader_.connection->Select("SELECT " CAPI_BATCH_COLUMNS
                                 " FROM batches b WHERE b.run_id = ?1 AND b.node_index = ?2 AND "
                                 "b.batch_index >= ?3 AND b.batch_index < ?4 "
                                 "ORDER BY b.batch_index",
                                 node.run_id, node.node_index, begin, end));
  std::vector<BatchRecord> batches;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return batches;
    batches.push_back(ReadBatch(query));
  }
}

Result<std::vector<FormerAttempt>> SqliteStore::FormerAttempts(const NodeId& node) {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(
      Query query,
      reader_.connection->Select(
          "SELECT batch_index, attempt, owner, outcome, message, ended_ms FROM attempts "
          "WHERE run_id = ?1 AND node_index = ?2 ORDER BY batch_index, attempt",
          node.run_id, node.node_index));
  std::vector<FormerAttempt> attempts;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return attempts;
    attempts.push_back({{node, query.Int(0)},
                        query.Int(1),
                        query.Int(2),
                        query.Text(3),
                        query.Text(4),
                        query.Int(5)});
  }
}

Result<std::vector<std::string>> SqliteStore::LiveManifests() {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(
      Query query,
      reader_.connection->Select(
          "SELECT manifest FROM nodes WHERE manifest <> '' UNION ALL "
          "SELECT b.manifest FROM runs r JOIN nodes n USING (run_id) JOIN batches b "
          "USING (run_id, node_index) WHERE r.status = 1 AND n.status < 2 AND b.status = 2 AND "
          "b.manifest <> ''"));
  std::vector<std::string> manifests;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return manifests;
    manifests.push_back(query.Text(0));
  }
}

}  // namespace capi::state
