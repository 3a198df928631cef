// Claims and ends of attempts.

#include <algorithm>
#include <limits>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/log.h"
#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/requests_internal.h"

namespace capi::state {

namespace {
/// How long a claim of unknown outcome is looked for: longer than a server works on a write.
constexpr int64_t kStrayNs = int64_t{60} * 1000000000;
}  // namespace

Result<std::map<int64_t, BatchRow>> CassandraStore::ReadBatchRows(const NodeId& node, int64_t begin,
                                                                  int64_t end,
                                                                  cql::Consistency consistency) {
  std::vector<cql::Request> requests;
  const auto add = [&](int64_t bucket) -> Status {
    CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectBatches));
    select.values.BigInt(node.run_id)
        .BigInt(node.node_index)
        .BigInt(bucket)
        .BigInt(begin)
        .BigInt(end);
    select.consistency = consistency;
    requests.push_back(std::move(select));
    return Status::OK();
  };
  std::map<int64_t, BatchRow> batches;
  if (begin >= end) return batches;
  if (begin < 0) CAPI_RETURN_NOT_OK(add(kFinishBatch));
  if (end > 0) {
    for (int64_t bucket = BucketOf(std::max<int64_t>(begin, 0)); bucket <= BucketOf(end - 1);
         ++bucket) {
      CAPI_RETURN_NOT_OK(add(bucket));
    }
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, std::move(requests)));
  for (const cql::Rows& rows : found) {
    for (int64_t row = 0; row < rows.size(); ++row) {
      BatchRow read = ReadBatchRow(rows, row, node);
      const int64_t index = read.batch.id.batch_index;
      batches.emplace_hint(batches.end(), index, std::move(read));
    }
  }
  return batches;
}

Result<std::vector<BatchRecord>> CassandraStore::Batches(const NodeId& node) {
  return BatchesIn(node, kFinishBatch, std::numeric_limits<int64_t>::max());
}

Result<std::vector<BatchRecord>> CassandraStore::BatchesIn(const NodeId& node, int64_t begin,
                                                           int64_t end) {
  std::vector<BatchRecord> batches;
  CAPI_ASSIGN_OR_RETURN(const auto facts, OldFacts(node));
  if (!facts) return batches;
  CAPI_ASSIGN_OR_RETURN(auto rows,
                        ReadBatchRows(node, std::max(begin, kFinishBatch),
                                      std::min(end, std::max<int64_t>(facts->batches_total, 1))));
  batches.reserve(rows.size());
  for (auto& [index, row] : rows) batches.push_back(std::move(row.batch));
  return batches;
}

Result<std::vector<FormerAttempt>> CassandraStore::FormerAttempts(const NodeId& node) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectAttempts));
  select.values.BigInt(node.run_id).BigInt(node.node_index);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  std::vector<FormerAttempt> attempts;
  for (int64_t row = 0; row < rows.size(); ++row) {
    attempts.push_back({{node, rows.Integer(row, 0)},
                        rows.Integer(row, 1),
                        rows.Integer(row, 2),
                        std::string(rows.Text(row, 3)),
                        std::string(rows.Text(row, 4)),
                        rows.Integer(row, 5)});
  }
  return attempts;
}

Result<std::vector<cql::Request>> CassandraStore::AttemptRows(
    const std::vector<AttemptRelease>& releases) {
  std::vector<cql::Request> requests;
  const int64_t now = env_->NowMillis();
  for (const AttemptRelease& release : releases) {
    CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertAttempt));
    insert.values.BigInt(release.id.node.run_id)
        .BigInt(release.id.node.node_index)
        .BigInt(release.id.batch_index)
        .BigInt(release.attempt)
        .BigInt(release.owner)
        .Text(release.outcome)
        .Text(Utf8Of(release.text))
        .BigInt(now);
    requests.push_back(std::move(insert));
  }
  return requests;
}

Status CassandraStore::StartNode(const NodeId& node, const NodeFacts& facts, int64_t batch_index) {
  // The row of the history comes first: after the node's end it would be misread.
  CAPI_ASSIGN_OR_RETURN(cql::Request history,
                        NodeHistory(node, facts.name, batch_index, NodeStatus::kStart, ""));
  CAPI_RETURN_NOT_OK(session_->Execute(history).status());
  CAPI_ASSIGN_OR_RETURN(cql::Request start, statements_.Make(Cql::kStartNode));
  start.values.BigInt(env_->NowMillis()).BigInt(node.run_id).BigInt(node.node_index);
  CAPI_RETURN_NOT_OK(Once(std::move(start)));
  const std::lock_guard lock(mutex_);
  NodeFacts& known = facts_[node];
  if (known.status == NodeStatus::kNone) known.status = NodeStatus::kStart;
  return Status::OK();
}

Result<std::vector<Claim>> CassandraStore::ClaimBatches(const NodeId& node, int64_t begin,
                                                        int64_t end, OwnerId owner) {
  std::vector<Claim> claims;
  if (begin >= end) return claims;
  ReleaseStrays();
  CAPI_ASSIGN_OR_RETURN(auto facts, Facts(node));
  if (!facts || IsEnd(facts->status) || facts->run_status != RunStatus::kStart) return claims;
  CAPI_ASSIGN_OR_RETURN(std::set<OwnerId> owners, ReadOwnerIds(/*cached_ones_do=*/true));
  if (!owners.contains(owner)) {
    CAPI_ASSIGN_OR_RETURN(owners, ReadOwnerIds(/*cached_ones_do=*/false));
    if (!owners.contains(owner)) return claims;
  }

  std::vector<RowWrite> won;
  const auto keep_strays = [&](const Status& status) {
    for (const RowWrite& write : won) KeepStray(write, owner);
    return status;
  };
  std::vector<AttemptRelease> taken_over;
  Backoff backoff(env_);
  while (true) {
    const auto rows = ReadBatchRows(node, begin, end);
    if (!rows.ok()) return keep_strays(rows.status());
    // An owner is registered before its first claim and never comes back: who is not in a list
    // read after its claims is dead, also if it claimed after it was expired.
    const bool unknown_owner = std::any_of(rows->begin(), rows->end(), [&](const auto& row) {
      const BatchRecord& batch = row.second.batch;
      return batch.status == NodeStatus::kStart && !owners.contains(batch.owner);
    });
    if (unknown_owner) {
      auto read = ReadOwnerIds(/*cached_ones_do=*/false);
      if (!read.ok()) return keep_strays(read.status());
      owners = std::move(*read);
    }
    std::vector<RowWrite> writes;
    std::vector<BatchRecord> interrupted;
    const int64_t now = env_->NowMillis();
    const int64_t nonce = NewNonce();
    for (int64_t index = begin; index < end; ++index) {
      RowWrite write;
      write.id = {node, index};
      write.nonce = nonce;
      const auto found = rows->find(index);
      write.absent = found == rows->end();
      if (!write.absent) {
        const BatchRecord& batch = found->second.batch;
        const bool abandoned = batch.status == NodeStatus::kStart && !owners.contains(batch.owner);
        if (batch.status != NodeStatus::kNone && !abandoned) continue;
        if (abandoned && facts->rerun_fails && index != kFinishBatch) {
          interrupted.push_back(batch);
          continue;
        }
        write.status = batch.status;
        write.attempt = batch.attempt;
        write.owner = batch.owner;
      }
      write.values.BigInt(write.attempt + 1).BigInt(owner).BigInt(now);
      writes.push_back(std::move(write));
    }
    const Status failed = FailInterrupted(interrupted);
    if (!failed.ok()) return keep_strays(failed);
    if (writes.empty()) break;
    if (facts->status == NodeStatus::kNone) {
      const Status started = StartNode(node, *facts, writes.front().id.batch_index);
      if (!started.ok()) return keep_strays(started);
      facts->status = NodeStatus::kStart;
    }
    const RowWrites result = WriteRows(writes);
    bool refused = false;
    for (size_t i = 0; i < writes.size(); ++i) {
      refused = refused || result.written[i] == Written::kNo;
      const bool maybe = result.written[i] == Written::kUnknown && !result.status.ok();
      if (result.written[i] != Written::kYes && !maybe) continue;
      if (writes[i].status == NodeStatus::kStart && !writes[i].absent) {
        taken_over.push_back(
            {writes[i].id, writes[i].attempt, writes[i].owner, "lost", "process ended"});
      }
      won.push_back(std::move(writes[i]));
    }
    if (!result.status.ok()) return keep_strays(result.status);
    if (!refused) break;
    // Somebody was faster; what he left may still be free.
    if (!backoff.Wait()) {
      return keep_strays(RetriableError("claims of batches found no quiet moment"));
    }
  }

  auto requests = AttemptRows(taken_over);
  if (!requests.ok()) return keep_strays(requests.status());
  for (const RowWrite& write : won) {
    claims.push_back({write.id.batch_index, write.attempt + 1});
    if (write.id.batch_index == kFinishBatch) continue;
    auto history = BatchHistory(write.id, *facts, owner, NodeStatus::kStart, "");
    if (!history.ok()) return keep_strays(history.status());
    requests->push_back(std::move(*history));
  }
  const Status told = WriteMany(session_, std::move(*requests));
  if (!told.ok()) return keep_strays(told);
  std::sort(claims.begin(), claims.end(), [](const Claim& left, const Claim& right) {
    return left.batch_index < right.batch_index;
  });
  return claims;
}

// ---- Claims that this process may hold without knowing it, because a call failed half-way. They
// would keep everybody from these batches as long as the process lives.

void CassandraStore::KeepStray(const RowWrite& write, OwnerId owner) {
  const std::lock_guard lock(mutex_);
  strays_[write.id] = {write.attempt + 1, owner, write.nonce, env_->MonotonicNanos()};
}

void CassandraStore::ReleaseStrays() {
  std::map<BatchId, Stray> strays;
  {
    const std::lock_guard lock(mutex_);
    if (strays_.empty()) return;
    strays = strays_;
  }
  for (const auto& [id, stray] : strays) {
    const auto rows =
        ReadBatchRows(id.node, id.batch_index, id.batch_index + 1, cql::Consistency::kSerial);
    if (!rows.ok()) return;  // the next call tries again
    const auto found = rows->find(id.batch_index);
    const bool held = found != rows->end() && found->second.nonce == stray.nonce &&
                      found->second.batch.status == NodeStatus::kStart;
    if (held) {
      const Status status = ReleaseAttempts(
          {{id, stray.attempt, stray.owner, "cancelled", "the claim was not confirmed"}});
      if (!status.ok()) return;
    }
    if (!held && env_->MonotonicNanos() - stray.since_ns < kStrayNs) continue;
    const std::lock_guard lock(mutex_);
    strays_.erase(id);
  }
}

// ---- Ends

CassandraStore::RowWrite CassandraStore::ReleaseWrite(const AttemptRelease& release) {
  RowWrite write;
  write.id = release.id;
  write.attempt = release.attempt;
  write.owner = release.owner;
  write.statement = Cql::kReleaseBatch;
  write.nonce = NewNonce();
  return write;
}

CassandraStore::RowWrite CassandraStore::EndWrite(const AttemptEnd& end) {
  RowWrite write;
  write.id = end.id;
  write.attempt = end.attempt;
  write.owner = end.owner;
  write.statement = Cql::kEndBatch;
  write.values.TinyInt(static_cast<int8_t>(end.status))
      .Text(end.manifest)
      .Text(end.counts)
      .Text(end.input)
      .Text(end.error.kind)
      .Text(end.error.error_class)
      .Text(Utf8Of(end.error.text))
      .BigInt(env_->NowMillis());
  write.nonce = NewNonce();
  return write;
}

Status CassandraStore::ReleaseAttempts(const std::vector<AttemptRelease>& releases) {
  if (releases.empty()) return Status::OK();
  std::vector<RowWrite> writes;
  writes.reserve(releases.size());
  for (const AttemptRelease& release : releases) writes.push_back(ReleaseWrite(release));
  const RowWrites result = WriteRows(writes);
  std::vector<AttemptRelease> given_back;
  for (size_t i = 0; i < releases.size(); ++i) {
    if (result.written[i] == Written::kYes) given_back.push_back(releases[i]);
  }
  CAPI_ASSIGN_OR_RETURN(std::vector<cql::Request> requests, AttemptRows(given_back));
  const Status told = WriteMany(session_, std::move(requests));
  return result.status.ok() ? told : result.status;
}

Status CassandraStore::FailInterrupted(const std::vector<BatchRecord>& batches) {
  if (batches.empty()) return Status::OK();
  std::vector<RowWrite> writes;
  AttemptEnd end;
  end.status = NodeStatus::kFail;
  end.error = {"environment", "interrupted_batch",
               "batch was interrupted and the node has rerun_policy fail"};
  for (const BatchRecord& batch : batches) {
    end.id = batch.id;
    end.attempt = batch.attempt;
    end.owner = batch.owner;
    writes.push_back(EndWrite(end));
  }
  const RowWrites result = WriteRows(writes);
  std::vector<cql::Request> requests;
  for (size_t i = 0; i < batches.size(); ++i) {
    if (result.written[i] != Written::kYes) continue;
    CAPI_ASSIGN_OR_RETURN(const auto facts, OldFacts(batches[i].id.node));
    if (!facts) continue;
    CAPI_ASSIGN_OR_RETURN(
        cql::Request history,
        BatchHistory(batches[i].id, *facts, batches[i].owner, NodeStatus::kFail, end.error.text));
    requests.push_back(std::move(history));
  }
  const Status told = WriteMany(session_, std::move(requests));
  return result.status.ok() ? told : result.status;
}

Status CassandraStore::EndAttempts(const std::vector<AttemptEnd>& ends, const Derive& derive) {
  CAPI_RETURN_NOT_OK(SealFiles(ends));
  CAPI_FAULT_POINT("state.before_commit");
  std::vector<RowWrite> writes;
  writes.reserve(ends.size());
  for (const AttemptEnd& end : ends) {
    writes.push_back(EndWrite(end));
    const std::lock_guard lock(mutex_);
    const auto earlier = unknown_ends_.find({end.id, end.attempt});
    if (earlier != unknown_ends_.end()) {
      writes.back().nonce = earlier->second;
      unknown_ends_.erase(earlier);
    }
  }
  const RowWrites result = WriteRows(writes);
  std::vector<bool> committed;
  committed.reserve(ends.size());
  for (const Written written : result.written) committed.push_back(written == Written::kYes);
  if (!result.status.ok()) {
    // The caller learns nothing; should he repeat the call, these are recognised.
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < ends.size(); ++i) {
      if (result.written[i] == Written::kNo) continue;
      unknown_ends_[{ends[i].id, ends[i].attempt}] = writes[i].nonce;
    }
    return result.status;
  }
  CAPI_FAULT_POINT("state.after_commit");

  // The original's order: ends of batches are told before that of their node.
  CAPI_ASSIGN_OR_RETURN(std::vector<cql::Request> requests, ForgetUnsealed(ends, committed));
  std::map<NodeId, int64_t> num_told;
  for (size_t i = 0; i < ends.size(); ++i) {
    const AttemptEnd& end = ends[i];
    if (!committed[i] || end.id.batch_index == kFinishBatch) continue;
    CAPI_ASSIGN_OR_RETURN(const auto facts, OldFacts(end.id.node));
    if (!facts) continue;
    CAPI_ASSIGN_OR_RETURN(cql::Request history,
                          BatchHistory(end.id, *facts, end.owner, end.status, end.error.text));
    requests.push_back(std::move(history));
    ++num_told[end.id.node];
  }
  const Status told = WriteMany(session_, std::move(requests));
  if (told.ok()) {
    const std::lock_guard lock(mutex_);
    for (const auto& [node, count] : num_told) facts_[node].num_told += count;
  } else {
    // Written when the node ends. The commits themselves must reach the caller.
    LogWarn("history of batches: " + Describe(told));
  }
  return Apply(derive(committed));
}

}  // namespace capi::state
