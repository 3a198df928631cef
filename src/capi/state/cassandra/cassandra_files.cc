// Output files. A row says what its attempt did; whether that counts is said by the batch: a
// sealed file is pending if its attempt is the one that committed, and else only planned. So files
// are written before their commit, and no crash loses one.

#include <algorithm>
#include <tuple>
#include <utility>

#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/requests_internal.h"

namespace capi::state {

namespace {

// Columns of kSelectFiles and kSelectFilesOfBatch.
constexpr int kTempPath = 4;
constexpr int kSealedPath = 7;

using FileKey = std::tuple<BatchId, int64_t, std::string>;
FileKey KeyOf(const FileRecord& file) { return {file.id, file.attempt, file.target}; }

void BindKey(const FileRecord& file, cql::Values* values) {
  values->BigInt(file.id.node.run_id)
      .BigInt(file.id.node.node_index)
      .BigInt(file.id.batch_index)
      .BigInt(file.attempt)
      .Text(file.target);
}

}  // namespace

Status CassandraStore::PlanFile(const FileRecord& file) {
  CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kPlanFile));
  BindKey(file, &insert.values);
  insert.values.Text(file.temp_path);
  {
    const std::lock_guard lock(mutex_);
    planned_[{file.id, file.attempt}].insert(file.target);
  }
  return session_->Execute(insert).status();
}

Status CassandraStore::SealFiles(const std::vector<AttemptEnd>& ends) {
  std::vector<cql::Request> requests;
  for (const AttemptEnd& end : ends) {
    for (FileRecord file : end.files) {
      file.id = end.id;
      file.attempt = end.attempt;
      CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kSealFile));
      BindKey(file, &insert.values);
      insert.values.Text(file.temp_path).BigInt(file.size).BigInt(file.rows);
      requests.push_back(std::move(insert));
    }
  }
  return WriteMany(session_, std::move(requests));
}

Result<std::vector<cql::Request>> CassandraStore::ForgetUnsealed(
    const std::vector<AttemptEnd>& ends, const std::vector<bool>& committed) {
  std::vector<cql::Request> requests;
  for (size_t i = 0; i < ends.size(); ++i) {
    const AttemptEnd& end = ends[i];
    std::set<std::string> targets;
    {
      const std::lock_guard lock(mutex_);
      const auto found = planned_.find({end.id, end.attempt});
      if (found == planned_.end()) continue;
      targets = std::move(found->second);
      planned_.erase(found);
    }
    if (!committed[i]) continue;
    for (const FileRecord& file : end.files) targets.erase(file.target);
    for (const std::string& target : targets) {
      FileRecord file;
      file.id = end.id;
      file.attempt = end.attempt;
      file.target = target;
      CAPI_ASSIGN_OR_RETURN(cql::Request remove, statements_.Make(Cql::kDeleteFile));
      BindKey(file, &remove.values);
      requests.push_back(std::move(remove));
    }
  }
  return requests;
}

Result<std::vector<FileRecord>> CassandraStore::ReadFiles(std::vector<cql::Request> requests,
                                                          const std::vector<int64_t>& run_ids) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, std::move(requests)));
  std::vector<FileRecord> files;
  std::set<BatchId> sealed;  // batches whose commit decides
  for (size_t i = 0; i < found.size(); ++i) {
    for (int64_t row = 0; row < found[i].size(); ++row) {
      FileRecord file;
      file.id = {{run_ids[i], found[i].Integer(row, 0)}, found[i].Integer(row, 1)};
      file.attempt = found[i].Integer(row, 2);
      file.target = found[i].Text(row, 3);
      const bool is_sealed = !found[i].IsNull(row, kSealedPath);
      const int path = is_sealed ? kSealedPath : kTempPath;
      // A mark may come after the row was forgotten.
      if (found[i].IsNull(row, path)) continue;
      file.temp_path = found[i].Text(row, path);
      file.size = found[i].Integer(row, 5);
      file.rows = found[i].Integer(row, 6);
      if (found[i].Boolean(row, 8)) {
        file.state = FileState::kPublished;
      } else if (found[i].Boolean(row, 9)) {
        file.state = FileState::kLost;
      } else if (is_sealed) {
        file.state = FileState::kPending;
        sealed.insert(file.id);
      }
      files.push_back(std::move(file));
    }
  }
  std::vector<cql::Request> selects;
  for (const BatchId& id : sealed) {
    CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectBatches));
    select.values.BigInt(id.node.run_id)
        .BigInt(id.node.node_index)
        .BigInt(BucketOf(id.batch_index))
        .BigInt(id.batch_index)
        .BigInt(id.batch_index + 1);
    selects.push_back(std::move(select));
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> batches,
                        ReadMany(session_, std::move(selects)));
  std::map<BatchId, int64_t> committed;
  size_t next = 0;
  for (const BatchId& id : sealed) {
    const cql::Rows& rows = batches[next++];
    if (rows.empty()) continue;
    const BatchRecord batch = ReadBatchRow(rows, 0, id.node).batch;
    if (batch.status == NodeStatus::kSuccess) committed[id] = batch.attempt;
  }
  for (FileRecord& file : files) {
    if (file.state != FileState::kPending) continue;
    const auto attempt = committed.find(file.id);
    const bool counts = attempt != committed.end() && attempt->second == file.attempt;
    if (!counts) file.state = FileState::kPlanned;
  }
  return files;
}

Result<std::vector<FileRecord>> CassandraStore::FilesOfBatches(
    const std::vector<FileRecord>& files) {
  std::set<BatchId> batches;
  for (const FileRecord& file : files) batches.insert(file.id);
  std::vector<cql::Request> requests;
  std::vector<int64_t> run_ids;
  for (const BatchId& id : batches) {
    CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectFilesOfBatch));
    select.values.BigInt(id.node.run_id).BigInt(id.node.node_index).BigInt(id.batch_index);
    requests.push_back(std::move(select));
    run_ids.push_back(id.node.run_id);
  }
  return ReadFiles(std::move(requests), run_ids);
}

Status CassandraStore::EndPending(const std::vector<FileRecord>& files, Cql mark,
                                  const Changes& changes) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<FileRecord> present, FilesOfBatches(files));
  std::set<FileKey> pending;
  for (const FileRecord& file : present) {
    if (file.state == FileState::kPending) pending.insert(KeyOf(file));
  }
  std::vector<cql::Request> requests;
  for (const FileRecord& file : files) {
    if (!pending.contains(KeyOf(file))) continue;
    CAPI_ASSIGN_OR_RETURN(cql::Request update, statements_.Make(mark));
    BindKey(file, &update.values);
    requests.push_back(std::move(update));
  }
  CAPI_RETURN_NOT_OK(WriteMany(session_, std::move(requests)));
  return Apply(changes);
}

Status CassandraStore::MarkPublished(const std::vector<FileRecord>& files, const Changes& changes) {
  return EndPending(files, Cql::kPublishFile, changes);
}

Status CassandraStore::MarkLost(const std::vector<FileRecord>& files, const Changes& changes) {
  return EndPending(files, Cql::kLoseFile, changes);
}

Status CassandraStore::ForgetPlannedFiles(const std::vector<FileRecord>& files) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<FileRecord> present, FilesOfBatches(files));
  std::set<FileKey> planned;
  for (const FileRecord& file : present) {
    if (file.state == FileState::kPlanned) planned.insert(KeyOf(file));
  }
  std::vector<cql::Request> requests;
  for (const FileRecord& file : files) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = planned_.find({file.id, file.attempt});
      if (found != planned_.end() && found->second.erase(file.target) > 0 &&
          found->second.empty()) {
        planned_.erase(found);
      }
    }
    if (!planned.contains(KeyOf(file))) continue;
    CAPI_ASSIGN_OR_RETURN(cql::Request remove, statements_.Make(Cql::kDeleteFile));
    BindKey(file, &remove.values);
    requests.push_back(std::move(remove));
  }
  return WriteMany(session_, std::move(requests));
}

Result<std::vector<FileRecord>> CassandraStore::Files(std::optional<int64_t> run_id,
                                                      std::optional<FileState> state) {
  std::vector<int64_t> run_ids;
  if (run_id) {
    run_ids.push_back(*run_id);
  } else {
    CAPI_ASSIGN_OR_RETURN(const std::vector<RunRow> runs, ReadRuns());
    for (const RunRow& run : runs) run_ids.push_back(run.run.run_id);
  }
  std::vector<cql::Request> requests;
  for (const int64_t id : run_ids) {
    CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectFiles));
    select.values.BigInt(id);
    requests.push_back(std::move(select));
  }
  CAPI_ASSIGN_OR_RETURN(std::vector<FileRecord> files, ReadFiles(std::move(requests), run_ids));
  if (state) {
    std::erase_if(files, [&](const FileRecord& file) { return file.state != *state; });
  }
  std::sort(files.begin(), files.end(), [](const FileRecord& left, const FileRecord& right) {
    return std::tie(left.id, left.target) < std::tie(right.id, right.target);
  });
  return files;
}

}  // namespace capi::state
