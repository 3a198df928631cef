// Conditional writes of batch rows: those of one partition go as one batch, which is applied
// wholly or not at all.

#include <algorithm>
#include <utility>

#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/requests_internal.h"

namespace capi::state {

namespace {
// Far below the 16 MiB that the server takes in one write.
constexpr size_t kMaxBatchBytes = size_t{1} << 20;
}  // namespace

Result<cql::Request> CassandraStore::RequestOf(const RowWrite& write) {
  CAPI_ASSIGN_OR_RETURN(cql::Request request, statements_.Make(write.statement));
  request.values = write.values;
  request.values.BigInt(write.nonce)
      .BigInt(write.id.node.run_id)
      .BigInt(write.id.node.node_index)
      .BigInt(BucketOf(write.id.batch_index))
      .BigInt(write.id.batch_index);
  if (write.absent) {
    request.values.Null().Null().Null();
  } else {
    request.values.TinyInt(static_cast<int8_t>(write.status))
        .BigInt(write.attempt)
        .BigInt(write.owner);
  }
  return request;
}

CassandraStore::RowWrites CassandraStore::WriteRows(const std::vector<RowWrite>& writes) {
  RowWrites result;
  result.written.assign(writes.size(), Written::kUnknown);
  // Writes of one partition, in parts that may go together: no row twice, and not too long.
  std::map<std::pair<NodeId, int64_t>, std::vector<std::vector<size_t>>> buckets;
  for (size_t i = 0; i < writes.size(); ++i) {
    auto& parts = buckets[{writes[i].id.node, BucketOf(writes[i].id.batch_index)}];
    const auto fits = [&](const std::vector<size_t>& part) {
      size_t bytes = writes[i].values.bytes().size();
      for (const size_t member : part) {
        if (writes[member].id == writes[i].id) return false;
        bytes += writes[member].values.bytes().size();
      }
      return bytes <= kMaxBatchBytes;
    };
    if (parts.empty() || !fits(parts.back())) parts.emplace_back();
    parts.back().push_back(i);
  }
  std::vector<std::vector<std::vector<size_t>>*> all;
  for (auto& [key, parts] : buckets) all.push_back(&parts);
  std::vector<Status> statuses(all.size());
  ForEachAtOnce(all.size(), [&](size_t bucket) {
    for (std::vector<size_t>& part : *all[bucket]) {
      statuses[bucket] = WriteBucket(writes, std::move(part), &result.written);
      if (!statuses[bucket].ok()) return;
    }
  });
  for (const Status& status : statuses) {
    if (!status.ok() && result.status.ok()) result.status = status;
  }
  return result;
}

Status CassandraStore::WriteBucket(const std::vector<RowWrite>& writes, std::vector<size_t> todo,
                                   std::vector<Written>* written) {
  Backoff backoff(env_);
  const NodeId node = writes[todo.front()].id.node;
  bool uncertain = false;
  while (!todo.empty()) {
    std::vector<cql::Request> requests;
    int64_t begin = writes[todo.front()].id.batch_index;
    int64_t end = begin;
    for (const size_t i : todo) {
      CAPI_ASSIGN_OR_RETURN(cql::Request request, RequestOf(writes[i]));
      requests.push_back(std::move(request));
      begin = std::min(begin, writes[i].id.batch_index);
      end = std::max(end, writes[i].id.batch_index + 1);
    }
    const auto outcome = session_->ExecuteConditional(requests);
    if (outcome.ok() && outcome->applied) {
      for (const size_t i : todo) (*written)[i] = Written::kYes;
      return Status::OK();
    }
    const bool unanswered = IsUncertain(outcome.status());
    if (!outcome.ok() && !unanswered) return outcome.status();
    uncertain = uncertain || unanswered;
    CAPI_ASSIGN_OR_RETURN(const auto rows, ReadBatchRows(node, begin, end,
                                                         uncertain ? cql::Consistency::kSerial
                                                                   : cql::Consistency::kDefault));
    const size_t tried = todo.size();
    std::vector<size_t> again;
    for (const size_t i : todo) {
      const RowWrite& write = writes[i];
      const auto found = rows.find(write.id.batch_index);
      if (found == rows.end()) {
        if (write.absent) again.push_back(i);
        (*written)[i] = write.absent ? Written::kUnknown : Written::kNo;
        continue;
      }
      const BatchRecord& row = found->second.batch;
      if (found->second.nonce == write.nonce) {
        (*written)[i] = Written::kYes;
      } else if (!write.absent && row.status == write.status && row.attempt == write.attempt &&
                 row.owner == write.owner) {
        again.push_back(i);
      } else {
        (*written)[i] = Written::kNo;
      }
    }
    todo = std::move(again);
    const bool progress = todo.size() < tried;
    if (!todo.empty() && (!progress || unanswered) && !backoff.Wait()) {
      return unanswered ? outcome.status()
                        : RetriableError("a conditional write found no quiet moment");
    }
  }
  return Status::OK();
}

}  // namespace capi::state
