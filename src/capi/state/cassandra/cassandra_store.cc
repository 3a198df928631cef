// Opening and owners.

#include "capi/state/cassandra/cassandra_store.h"

#include <memory>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/keyspace_internal.h"
#include "capi/state/cassandra/requests_internal.h"
#include "capi/state/cassandra/schema.h"
#include "capi/state/record_json.h"

namespace capi::state {

namespace {
constexpr int64_t kFreshNs = 1000000000;
/// How long the row of an expired owner stays: far longer than a write can be late.
constexpr int64_t kKeepGoneMs = 3600000;

// Columns of kSelectOwner(s).
constexpr int kRenewals = 2;
constexpr int kGoneMs = 3;
constexpr int kProblems = 4;

bool IsRegistered(const cql::Rows& rows, int64_t row) {
  return row < rows.size() && rows.IsNull(row, kGoneMs);
}
}  // namespace

Result<std::unique_ptr<StateStore>> OpenCassandraStore(Env* env, cql::Session* session,
                                                       const CassandraStoreOptions& options) {
  if (!IsKeyspaceName(options.keyspace)) {
    return UserError("bad_keyspace_name",
                     "not a keyspace name (letters, digits and underscores, at most 48, a letter "
                     "first, not \"system...\"): " +
                         options.keyspace);
  }
  if (options.create) {
    CAPI_RETURN_NOT_OK(CreateCassandraSchema(env, session, options.keyspace, options.replication));
  } else {
    CAPI_RETURN_NOT_OK(CheckCassandraSchema(session, options.keyspace));
  }
  return std::make_unique<CassandraStore>(env, session, options.keyspace);
}

bool CassandraStore::IsFresh(int64_t read_ns) const {
  return read_ns != 0 && env_->MonotonicNanos() - read_ns < kFreshNs;
}

Result<cql::Rows> CassandraStore::Read(cql::Request request, cql::Consistency consistency) {
  request.consistency = consistency;
  return session_->Execute(request);
}

Status CassandraStore::Once(Result<cql::Request> request) {
  CAPI_RETURN_NOT_OK(request.status());
  return WriteOnce(env_, session_, {std::move(request).ValueUnsafe()});
}

Status CassandraStore::RegisterOwner(const OwnerRecord& record) {
  OwnerRecord owner = record;
  owner.instance = Utf8Of(record.instance);
  CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertOwner));
  insert.values.BigInt(owner.owner).Text(owner.instance).BigInt(owner.renewals);
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectOwner));
  select.values.BigInt(owner.owner);
  CAPI_ASSIGN_OR_RETURN(
      const bool applied,
      WriteIf(env_, session_, {insert}, [&](cql::Consistency consistency) -> Result<Seen> {
        CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(select, consistency));
        if (rows.empty()) return Seen::kReady;
        const bool ours = IsRegistered(rows, 0) && rows.Text(0, 1) == owner.instance &&
                          rows.Integer(0, kRenewals) == owner.renewals;
        return ours ? Seen::kOurs : Seen::kOther;
      }));
  if (!applied) return BugError("owner is registered already: " + std::to_string(owner.owner));
  const std::lock_guard lock(mutex_);
  owners_[owner.owner] = owner;
  return Status::OK();
}

Result<bool> CassandraStore::RenewOwner(OwnerId owner,
                                        const std::map<int64_t, std::string>& problems) {
  const std::string problems_json = Utf8Of(ProblemsToJson(problems));
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectOwner));
  select.values.BigInt(owner);
  std::optional<int64_t> seen;
  {
    const std::lock_guard lock(mutex_);
    const auto found = owners_.find(owner);
    if (found != owners_.end()) seen = found->second.renewals;
  }
  while (true) {
    if (!seen) {
      CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(select));
      if (!IsRegistered(rows, 0)) return false;
      seen = rows.Integer(0, kRenewals);
    }
    CAPI_ASSIGN_OR_RETURN(cql::Request renew, statements_.Make(Cql::kRenewOwner));
    renew.values.BigInt(*seen + 1).Text(problems_json).BigInt(owner).BigInt(*seen);
    CAPI_ASSIGN_OR_RETURN(
        const bool applied,
        WriteIf(env_, session_, {renew}, [&](cql::Consistency consistency) -> Result<Seen> {
          CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(select, consistency));
          if (!IsRegistered(rows, 0)) return Seen::kOther;
          if (rows.Integer(0, kRenewals) == *seen) return Seen::kReady;
          // Nobody else renews us.
          return rows.Integer(0, kRenewals) == *seen + 1 ? Seen::kOurs : Seen::kOther;
        }));
    if (!applied) {
      seen.reset();
      continue;
    }
    {
      const std::lock_guard lock(mutex_);
      const auto found = owners_.find(owner);
      if (found != owners_.end()) found->second.renewals = *seen + 1;
    }
    ReleaseStrays();
    return true;
  }
}

Result<std::vector<OwnerRecord>> CassandraStore::Owners() {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectOwners));
  const int64_t now = env_->MonotonicNanos();
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  std::vector<OwnerRecord> owners;
  for (int64_t row = 0; row < rows.size(); ++row) {
    if (!IsRegistered(rows, row)) continue;
    owners.push_back({rows.Integer(row, 0), std::string(rows.Text(row, 1)),
                      rows.Integer(row, kRenewals),
                      ProblemsFromJson(std::string(rows.Text(row, kProblems)))});
  }
  const std::lock_guard lock(mutex_);
  owners_.clear();
  for (const OwnerRecord& owner : owners) owners_[owner.owner] = owner;
  owners_read_ns_ = now;
  return owners;
}

Result<std::set<OwnerId>> CassandraStore::ReadOwnerIds(bool cached_ones_do) {
  std::set<OwnerId> ids;
  if (cached_ones_do) {
    const std::lock_guard lock(mutex_);
    if (IsFresh(owners_read_ns_)) {
      for (const auto& [id, owner] : owners_) ids.insert(id);
      return ids;
    }
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<OwnerRecord> owners, Owners());
  for (const OwnerRecord& owner : owners) ids.insert(owner.owner);
  return ids;
}

std::string CassandraStore::InstanceOf(OwnerId owner) {
  const std::lock_guard lock(mutex_);
  const auto found = owners_.find(owner);
  return found == owners_.end() ? std::string() : found->second.instance;
}

Result<std::optional<std::vector<BatchRecord>>> CassandraStore::ExpireOwner(OwnerId owner,
                                                                            int64_t seen_renewals) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectOwner));
  select.values.BigInt(owner);
  CAPI_ASSIGN_OR_RETURN(cql::Request remove, statements_.Make(Cql::kExpireOwner));
  remove.values.BigInt(env_->NowMillis()).BigInt(owner).BigInt(seen_renewals);
  CAPI_ASSIGN_OR_RETURN(
      const bool removed,
      WriteIf(env_, session_, {remove}, [&](cql::Consistency consistency) -> Result<Seen> {
        CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(select, consistency));
        // If it was somebody else who removed it, both give its claims back, which does no harm.
        if (!IsRegistered(rows, 0)) return Seen::kOurs;
        return rows.Integer(0, kRenewals) == seen_renewals ? Seen::kReady : Seen::kOther;
      }));
  if (!removed) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    owners_.erase(owner);
  }
  // Who dies here leaves claims of an owner that is not registered: ClaimBatches takes them.
  CAPI_FAULT_POINT("state.owner_expired");

  std::vector<BatchRecord> lost;
  std::vector<BatchRecord> interrupted;
  std::vector<AttemptRelease> releases;
  CAPI_ASSIGN_OR_RETURN(const std::vector<RunRow> runs, ReadRuns());
  for (const RunRow& run : runs) {
    if (run.run.status != RunStatus::kStart) continue;
    CAPI_ASSIGN_OR_RETURN(const std::vector<NodeRow> nodes, ReadNodes(run.run.run_id));
    for (const NodeRow& row : nodes) {
      const NodeRecord& node = row.node;
      // A node is started before its first claim.
      if (node.status != NodeStatus::kStart) continue;
      CAPI_ASSIGN_OR_RETURN(const auto batches,
                            ReadBatchRows(node.id, kFinishBatch, node.batches_total));
      for (const auto& [index, batch_row] : batches) {
        const BatchRecord& batch = batch_row.batch;
        if (batch.status != NodeStatus::kStart || batch.owner != owner) continue;
        lost.push_back(batch);
        if (node.rerun_fails && index != kFinishBatch) {
          interrupted.push_back(batch);
        } else {
          releases.push_back({batch.id, batch.attempt, owner, "lost", "process ended"});
        }
      }
    }
  }
  CAPI_RETURN_NOT_OK(FailInterrupted(interrupted));
  CAPI_RETURN_NOT_OK(ReleaseAttempts(releases));
  CAPI_RETURN_NOT_OK(ForgetOldOwners());
  return lost;
}

Status CassandraStore::ForgetOldOwners() {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectOwners));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  const int64_t now = env_->NowMillis();
  for (int64_t row = 0; row < rows.size(); ++row) {
    const int64_t gone_ms = rows.Integer(row, kGoneMs);
    if (IsRegistered(rows, row) || now - gone_ms < kKeepGoneMs) continue;
    CAPI_ASSIGN_OR_RETURN(cql::Request forget, statements_.Make(Cql::kForgetOwner));
    forget.values.BigInt(rows.Integer(row, 0)).BigInt(gone_ms);
    CAPI_RETURN_NOT_OK(Once(std::move(forget)));
  }
  return Status::OK();
}

}  // namespace capi::state
