#include "capi/service/preview.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "arrow/record_batch.h"
#include "capi/base/near_name.h"
#include "capi/data/column.h"
#include "capi/expr/evaluator.h"
#include "capi/expr/expression.h"

namespace capi::service {

namespace {

constexpr const char* kAlias = "r";

Result<std::vector<TableInfo>> FinishedTables(state::StateStore* state) {
  std::vector<TableInfo> tables;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::RunRecord> runs, state->Runs());
  for (const state::RunRecord& run : runs) {
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes, state->Nodes(run.run_id));
    for (const state::NodeRecord& node : nodes) {
      if (!node.manifest.empty()) tables.push_back({run.run_id, node.table, node.name});
    }
  }
  return tables;
}

Result<int64_t> ChooseRun(state::StateStore* state, const PreviewOptions& options) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<TableInfo> tables, FinishedTables(state));
  std::vector<std::string> names;
  for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
    if (options.run_id != 0 && table->run_id != options.run_id) continue;
    if (table->table == options.table) return table->run_id;
    if (std::find(names.begin(), names.end(), table->table) == names.end()) {
      names.push_back(table->table);
    }
  }
  std::string message = "no finished table of this name";
  if (options.run_id != 0) message += " in run " + std::to_string(options.run_id);
  message += ": " + options.table;
  const std::string near = NearestName(options.table, names);
  if (!near.empty()) {
    message += " (did you mean " + near + "?)";
  } else if (!names.empty()) {
    std::reverse(names.begin(), names.end());
    message += "; there are: ";
    for (size_t i = 0; i < names.size(); ++i) message += (i == 0 ? "" : ", ") + names[i];
  }
  return UserError("table_not_found", std::move(message));
}

Result<std::unique_ptr<expr::Evaluator>> CompileWhere(const std::string& where,
                                                      const std::vector<data::Field>& fields,
                                                      const expr::Environment& environment) {
  expr::Scope scope;
  std::vector<expr::Variable> inputs;
  for (const data::Field& field : fields) {
    inputs.push_back({kAlias, field.name});
    scope.candidates.push_back(std::string(kAlias) + "." + field.name);
  }
  scope.lookup = [&fields](const expr::Variable& variable) -> std::optional<data::FieldType> {
    if (variable.alias != kAlias) return std::nullopt;
    for (const data::Field& field : fields) {
      if (field.name == variable.name) return field.type;
    }
    return std::nullopt;
  };
  CAPI_ASSIGN_OR_RETURN(
      std::shared_ptr<const expr::Expression> expression,
      expr::Compile(where, expr::ContextKind::kCond, scope, data::FieldType::kBool));
  return expr::Evaluator::Make(std::move(expression), std::move(inputs), environment);
}

}  // namespace

Result<std::vector<TableInfo>> TablesOf(const KeyspaceOptions& options) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  return FinishedTables(keyspace->state());
}

Result<Preview> PreviewTable(const KeyspaceOptions& keyspace_options,
                             const PreviewOptions& options) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(keyspace_options));
  CAPI_RETURN_NOT_OK(keyspace->OpenTables());
  Preview preview;
  CAPI_ASSIGN_OR_RETURN(preview.run_id, ChooseRun(keyspace->state(), options));
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<const store::Table> table,
                        keyspace->catalog()->Open({preview.run_id, options.table}));
  preview.fields = table->schema().fields;
  preview.table_rows = table->num_rows();

  std::unique_ptr<expr::Evaluator> where;
  if (!options.where.empty()) {
    CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                          keyspace->state()->FindRun(preview.run_id));
    expr::Environment environment;
    environment.now = data::Instant::FromMillis(run ? run->now_ms : 0);
    CAPI_ASSIGN_OR_RETURN(where, CompileWhere(options.where, preview.fields, environment));
  }
  std::vector<int> all_fields;
  for (size_t i = 0; i < preview.fields.size(); ++i) all_fields.push_back(static_cast<int>(i));

  const int64_t limit = options.limit < 0 ? table->num_rows() : options.limit;
  int64_t scan_end = table->num_rows();
  if (where == nullptr && limit < scan_end) {
    scan_end = limit;
    preview.more = true;
  }
  for (const store::Table::Morsel& morsel : table->Morsels(0, scan_end)) {
    if (preview.num_rows >= limit && preview.more) break;
    CAPI_ASSIGN_OR_RETURN(store::Table::ScanBatch scanned, table->Read(morsel, all_fields));
    std::shared_ptr<arrow::RecordBatch> batch =
        data::MakeBatch(preview.fields, scanned.columns, scanned.num_rows);
    if (where != nullptr) {
      std::vector<int32_t> selected;
      const expr::Outcome outcome = where->Filter(scanned.columns, scanned.num_rows, &selected);
      CAPI_RETURN_NOT_OK(outcome.error);
      CAPI_ASSIGN_OR_RETURN(
          batch, data::TakeRows(batch, selected.data(), static_cast<int64_t>(selected.size())));
    }
    const int64_t rows = std::min(batch->num_rows(), limit - preview.num_rows);
    if (rows < batch->num_rows()) preview.more = true;
    if (rows > 0) preview.batches.push_back(batch->Slice(0, rows));
    preview.num_rows += rows;
  }
  return preview;
}

}  // namespace capi::service
