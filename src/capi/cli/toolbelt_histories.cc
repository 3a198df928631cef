// get_run_history, get_node_history, get_batch_history.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/result_table.h"
#include "capi/cli/toolbelt_internal.h"
#include "capi/service/workflow_events.h"

namespace capi::cli {

namespace {

using Type = GoFlags::Type;
using Kind = ResultColumn::Kind;

/// "2006-01-02T15:04:05.000-0700" in UTC.
std::string OldMoment(int64_t millis) {
  std::string text = MomentText(millis);
  text.pop_back();  // Z
  return text + "+0000";
}

/// Without what would end the cell or the line: the format has no quotes.
std::string OldCell(std::string text) {
  for (char& c : text) {
    if (c == ',') c = ';';
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

/// Rows in the original's CSV, or (-format) as other commands print them.
class HistoryTable {
 public:
  explicit HistoryTable(const std::vector<ResultColumn>& columns)
      : columns_(columns), table_(columns) {}

  void AddRow(std::vector<ResultCell> cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) old_ += ',';
      if (const auto* text = std::get_if<std::string>(&cells[i])) {
        old_ += OldCell(*text);
      } else if (const auto* number = std::get_if<int64_t>(&cells[i])) {
        old_ += columns_[i].kind == Kind::kMoment ? OldMoment(*number) : std::to_string(*number);
      }
    }
    old_ += '\n';
    table_.AddRow(std::move(cells));
  }

  void Print(const std::string& format) const {
    if (format != "csv") {
      std::printf("%s", table_.ToText(format).c_str());
      return;
    }
    std::string header;
    for (const ResultColumn& column : columns_) {
      header += (header.empty() ? "" : ",") + std::string(column.name);
    }
    std::printf("%s\n%s", header.c_str(), old_.c_str());
  }

 private:
  const std::vector<ResultColumn> columns_;
  std::string old_;
  ResultTable table_;
};

void DefineFormatFlag(GoFlags* flags) {
  flags->Define("format", Type::kString, "csv", "csv, table or json");
}

Status CheckFormatFlag(const GoFlags& flags) {
  const std::string& format = flags.Text("format");
  if (format == "csv" || format == "table" || format == "json") return Status::OK();
  return ToolbeltUsageError("the flag -format must be csv, table or json, not " + format);
}

Result<std::vector<int64_t>> RunIdsOfFlag(const GoFlags& flags) {
  std::vector<int64_t> run_ids;
  for (const std::string& item : SplitNames(flags.Text("run_ids"))) {
    int64_t run_id = 0;
    const char* const end = item.data() + item.size();
    const auto [rest, error] = std::from_chars(item.data(), end, run_id);
    if (error != std::errc() || rest != end || run_id < 1 || run_id > INT32_MAX) {
      return ToolbeltUsageError("invalid int16 " + item +
                                ": the flag -run_ids takes run ids such as 1,2");
    }
    run_ids.push_back(run_id);
  }
  return run_ids;
}

void NoteNoRows(bool has_rows, const service::EventFilter& filter) {
  if (!has_rows && !(filter.run_ids.empty() && filter.nodes.empty())) {
    std::fprintf(stderr, "nothing is recorded for these runs and nodes\n");
  }
}

// ---- get_run_history

void DefineRunHistory(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineFormatFlag(flags);
}

Result<int> RunHistory(const GoFlags& flags, const config::Config& config) {
  CAPI_RETURN_NOT_OK(CheckFormatFlag(flags));
  CAPI_ASSIGN_OR_RETURN(const service::KeyspaceOptions keyspace, KeyspaceOfFlags(flags, config));
  const Result<std::vector<service::RunEvent>> rows = service::RunEventsOf(keyspace);
  if (!rows.ok()) return Prefixed(rows.status(), "cannot get run history: ");
  HistoryTable table(
      {{"ts", Kind::kMoment}, {"run_id", Kind::kId}, {"status", Kind::kId}, {"comment"}});
  for (const service::RunEvent& row : *rows) {
    table.AddRow({row.ts_ms, row.run_id, static_cast<int64_t>(row.status), row.comment});
  }
  table.Print(flags.Text("format"));
  return kExitOk;
}

// ---- get_node_history

void DefineNodeHistory(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineFormatFlag(flags);
  flags->Define("run_ids", Type::kString, "", "Limit results to these run ids, comma separated");
}

Result<int> NodeHistory(const GoFlags& flags, const config::Config& config) {
  CAPI_RETURN_NOT_OK(CheckFormatFlag(flags));
  service::EventFilter filter;
  CAPI_ASSIGN_OR_RETURN(filter.run_ids, RunIdsOfFlag(flags));
  CAPI_ASSIGN_OR_RETURN(const service::KeyspaceOptions keyspace, KeyspaceOfFlags(flags, config));
  const Result<std::vector<service::NodeEvent>> rows = service::NodeEventsOf(keyspace, filter);
  if (!rows.ok()) return Prefixed(rows.status(), "cannot get node history: ");
  HistoryTable table({{"ts", Kind::kMoment},
                      {"run_id", Kind::kId},
                      {"script_node"},
                      {"written_by_batch_idx", Kind::kId},
                      {"status", Kind::kId},
                      {"comment"}});
  for (const service::NodeEvent& row : *rows) {
    table.AddRow({row.ts_ms, row.run_id, row.node, row.written_by_batch,
                  static_cast<int64_t>(row.status), row.comment});
  }
  table.Print(flags.Text("format"));
  NoteNoRows(!rows->empty(), filter);
  return kExitOk;
}

// ---- get_batch_history

void DefineBatchHistory(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineFormatFlag(flags);
  flags->Define("run_id", Type::kInt, "0", "The run, with -node");
  flags->Define("node", Type::kString, "", "The node, with -run_id");
  flags->Define("run_ids", Type::kString, "",
                "Older form: limit results to these run ids, comma separated");
  flags->Define("nodes", Type::kString, "",
                "Older form: limit results to these nodes, comma separated");
}

/// The form with one run and one node needs both; the older one with lists needs none.
Result<service::EventFilter> BatchFilterOfFlags(const GoFlags& flags) {
  service::EventFilter filter;
  const bool lists = flags.Given("run_ids") || flags.Given("nodes");
  const bool single = flags.Given("run_id") || flags.Given("node");
  if (lists && single) {
    return ToolbeltUsageError("the flags -run_id and -node do not go with -run_ids and -nodes");
  }
  if (lists) {
    CAPI_ASSIGN_OR_RETURN(filter.run_ids, RunIdsOfFlag(flags));
    filter.nodes = SplitNames(flags.Text("nodes"));
    return filter;
  }
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"run_id"}));
  CAPI_RETURN_NOT_OK(CheckRunId(flags));
  if (flags.Text("node").empty()) {
    return ToolbeltUsageError("empty node name: the flag -node is required");
  }
  filter.run_ids = {flags.Int("run_id")};
  filter.nodes = {flags.Text("node")};
  return filter;
}

Result<int> BatchHistory(const GoFlags& flags, const config::Config& config) {
  CAPI_RETURN_NOT_OK(CheckFormatFlag(flags));
  CAPI_ASSIGN_OR_RETURN(const service::EventFilter filter, BatchFilterOfFlags(flags));
  CAPI_ASSIGN_OR_RETURN(const service::KeyspaceOptions keyspace, KeyspaceOfFlags(flags, config));
  const Result<std::vector<service::BatchEvent>> rows = service::BatchEventsOf(keyspace, filter);
  if (!rows.ok()) return Prefixed(rows.status(), "cannot get batch history: ");
  HistoryTable table({{"ts", Kind::kMoment},
                      {"run_id", Kind::kId},
                      {"script_node"},
                      {"batch_idx", Kind::kId},
                      {"batches_total", Kind::kId},
                      {"status", Kind::kId},
                      {"first_token", Kind::kId},
                      {"last_token", Kind::kId},
                      {"instance"},
                      {"thread", Kind::kId},
                      {"comment"}});
  for (const service::BatchEvent& row : *rows) {
    table.AddRow({row.ts_ms, row.run_id, row.node, row.batch_index, row.batches_total,
                  static_cast<int64_t>(row.status), row.first_token, row.last_token, row.instance,
                  row.thread ? ResultCell(*row.thread) : ResultCell(), row.comment});
  }
  table.Print(flags.Text("format"));
  NoteNoRows(!rows->empty(), filter);
  return kExitOk;
}

}  // namespace

std::vector<ToolbeltCommand> ToolbeltHistoryCommands() {
  return {{"get_run_history", "", DefineRunHistory, RunHistory},
          {"get_node_history", "", DefineNodeHistory, NodeHistory},
          {"get_batch_history", "", DefineBatchHistory, BatchHistory}};
}

}  // namespace capi::cli
