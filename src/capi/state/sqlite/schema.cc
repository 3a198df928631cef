#include "capi/state/sqlite/schema.h"

#include <array>
#include <string>

namespace capi::state {

namespace {

// Version 1. Statuses are the numbers of spec/engine.md 1.1, times are milliseconds since 1970 UTC,
// lists are JSON arrays. The wf_* views are the workflow tables of spec/storage.md 2, for people
// with a SQL shell.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE owners(
  owner INTEGER PRIMARY KEY,
  instance TEXT NOT NULL,
  renewals INTEGER NOT NULL
);
CREATE TABLE runs(
  run_id INTEGER PRIMARY KEY,
  status INTEGER NOT NULL,
  script_url TEXT NOT NULL,
  parameters_url TEXT NOT NULL,
  script_hash TEXT NOT NULL,
  parameters_hash TEXT NOT NULL,
  start_hash TEXT NOT NULL,
  start_nodes TEXT NOT NULL,
  affected_nodes TEXT NOT NULL,
  until_node TEXT NOT NULL,
  description TEXT NOT NULL,
  now_ms INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  comment TEXT NOT NULL
);
CREATE TABLE nodes(
  run_id INTEGER NOT NULL,
  node_index INTEGER NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  table_name TEXT NOT NULL,
  depth INTEGER NOT NULL,
  batches_total INTEGER NOT NULL,
  rerun_fails INTEGER NOT NULL,
  status INTEGER NOT NULL,
  pinned INTEGER NOT NULL DEFAULT 0,
  reader_run INTEGER NOT NULL DEFAULT 0,
  lookup_run INTEGER NOT NULL DEFAULT 0,
  inputs TEXT NOT NULL DEFAULT '',
  manifest TEXT NOT NULL DEFAULT '',
  counts TEXT NOT NULL DEFAULT '',
  error_kind TEXT NOT NULL DEFAULT '',
  error_class TEXT NOT NULL DEFAULT '',
  error_text TEXT NOT NULL DEFAULT '',
  started_ms INTEGER NOT NULL DEFAULT 0,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(run_id, node_index)
);
CREATE INDEX nodes_by_name ON nodes(name, run_id);
CREATE TABLE batches(
  run_id INTEGER NOT NULL,
  node_index INTEGER NOT NULL,
  batch_index INTEGER NOT NULL,
  status INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  manifest TEXT NOT NULL DEFAULT '',
  counts TEXT NOT NULL DEFAULT '',
  error_kind TEXT NOT NULL DEFAULT '',
  error_class TEXT NOT NULL DEFAULT '',
  error_text TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(run_id, node_index, batch_index)
) WITHOUT ROWID;
CREATE TABLE attempts(
  run_id INTEGER NOT NULL,
  node_index INTEGER NOT NULL,
  batch_index INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  message TEXT NOT NULL,
  ended_ms INTEGER NOT NULL,
  PRIMARY KEY(run_id, node_index, batch_index, attempt)
) WITHOUT ROWID;
CREATE TABLE files(
  run_id INTEGER NOT NULL,
  node_index INTEGER NOT NULL,
  batch_index INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  target TEXT NOT NULL,
  temp_path TEXT NOT NULL,
  size INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  state INTEGER NOT NULL,
  PRIMARY KEY(run_id, node_index, batch_index, attempt, target)
) WITHOUT ROWID;
CREATE INDEX files_unfinished ON files(state) WHERE state < 2;
CREATE TABLE events(
  number INTEGER PRIMARY KEY,
  ts_ms INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  node_index INTEGER NOT NULL,
  batch_index INTEGER NOT NULL,
  status INTEGER NOT NULL,
  comment TEXT NOT NULL
);
CREATE VIEW wf_run_counter AS
  SELECT coalesce(max(run_id), 0) AS last_run FROM runs;
CREATE VIEW wf_run_properties AS
  SELECT run_id, start_nodes, affected_nodes, script_url,
         parameters_url AS script_params_url, description AS run_description FROM runs;
CREATE VIEW wf_run_history AS
  SELECT ts_ms AS ts, run_id, status, comment FROM events WHERE kind = 0;
CREATE VIEW wf_node_history AS
  SELECT e.ts_ms AS ts, e.run_id, n.name AS script_node, e.batch_index AS written_by_batch_idx,
         e.status, e.comment
  FROM events e JOIN nodes n USING (run_id, node_index) WHERE e.kind = 1;
CREATE VIEW wf_batch_history AS
  SELECT e.ts_ms AS ts, e.run_id, n.name AS script_node, e.batch_index AS batch_idx,
         n.batches_total, e.status, e.comment
  FROM events e JOIN nodes n USING (run_id, node_index) WHERE e.kind = 2 AND e.batch_index >= 0;
)sql";

// Version 2: input files with the runs and batches that read them.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE nodes ADD COLUMN urls TEXT NOT NULL DEFAULT '';
ALTER TABLE batches ADD COLUMN input TEXT NOT NULL DEFAULT '';
)sql";

// Version 3: what a run's script was loaded with. Of older runs it is not known.
constexpr const char* kVersion3 = R"sql(
ALTER TABLE runs ADD COLUMN overrides TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN strict INTEGER NOT NULL DEFAULT 0;
)sql";

/// migrations[v] leads from version v to v + 1.
constexpr std::array kMigrations = {kVersion1, kVersion2, kVersion3};

// "CAPI": lets file(1) and us recognise the database.
constexpr int64_t kApplicationId = 0x43415049;

Result<int64_t> ReadVersion(Connection* connection) {
  CAPI_ASSIGN_OR_RETURN(Query query, connection->Select("PRAGMA user_version"));
  CAPI_RETURN_NOT_OK(query.Step().status());
  return query.Int(0);
}

Status RefuseNewer(int64_t version) {
  if (version <= CurrentSchemaVersion()) return Status::OK();
  return UserError("newer_database",
                   "the workflow state was written by a newer version of this program: schema " +
                       std::to_string(version) + ", known up to " +
                       std::to_string(CurrentSchemaVersion()));
}

}  // namespace

int64_t CurrentSchemaVersion() { return static_cast<int64_t>(kMigrations.size()); }

Status MigrateSchema(Connection* connection) {
  CAPI_ASSIGN_OR_RETURN(int64_t version, ReadVersion(connection));
  CAPI_RETURN_NOT_OK(RefuseNewer(version));
  if (version == CurrentSchemaVersion()) return Status::OK();
  CAPI_RETURN_NOT_OK(
      connection->ExecuteScript("PRAGMA application_id=" + std::to_string(kApplicationId)));
  for (; version < CurrentSchemaVersion(); ++version) {
    const std::string step = std::string("BEGIN IMMEDIATE;") +
                             kMigrations[static_cast<size_t>(version)] +
                             "PRAGMA user_version=" + std::to_string(version + 1) + ";COMMIT;";
    const Status status = connection->ExecuteScript(step);
    if (!status.ok()) {
      connection->Rollback();
      return status;
    }
  }
  return Status::OK();
}

Status CheckSchema(Connection* connection) {
  CAPI_ASSIGN_OR_RETURN(const int64_t version, ReadVersion(connection));
  CAPI_RETURN_NOT_OK(RefuseNewer(version));
  if (version == CurrentSchemaVersion()) return Status::OK();
  return UserError("older_database",
                   "the workflow state was written by an older version of this program and must "
                   "first be opened by a run: schema " +
                       std::to_string(version));
}

}  // namespace capi::state
