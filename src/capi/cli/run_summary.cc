#include "capi/cli/run_summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capi/cli/text_table.h"

namespace capi::cli {

namespace {

std::string NumberOrBlank(int64_t number) { return number == 0 ? "" : WithThousands(number); }

std::string OutcomeText(const service::RunSummary& summary) {
  if (summary.interrupted) return "interrupted";
  if (summary.status == state::RunStatus::kStop) return "stopped";
  return summary.AllSucceeded() ? "complete" : "failed";
}

}  // namespace

std::string SummaryText(const service::RunSummary& summary) {
  using Align = TextTable::Align;
  std::vector<std::string> headers = {"node",       "status",    "batches",    "rows in",
                                      "filtered",   "unmatched", "duplicates", "untagged",
                                      "over limit", "rows out",  "time"};
  // A column only for those who collect bad rows.
  constexpr int64_t kRejectedColumn = 5;
  const bool with_rejected =
      std::any_of(summary.nodes.begin(), summary.nodes.end(),
                  [](const workflow::NodeSnapshot& node) { return node.counts.rejected > 0; });
  if (with_rejected) headers.insert(headers.begin() + kRejectedColumn, "rejected");
  std::vector<Align> alignments(headers.size(), Align::kRight);
  alignments[0] = alignments[1] = Align::kLeft;
  TextTable nodes(std::move(headers), std::move(alignments));
  int64_t csv_warnings = 0;
  for (const workflow::NodeSnapshot& node : summary.nodes) {
    const node::RowCounts& counts = node.counts;
    csv_warnings += counts.csv_warnings;
    std::vector<std::string> row = {
        node.name,
        std::string(state::NodeStatusName(node.status)),
        std::to_string(node.batches_done) + "/" + std::to_string(node.batches_total),
        WithThousands(counts.in),
        NumberOrBlank(counts.filtered),
        NumberOrBlank(counts.unmatched_left),
        NumberOrBlank(counts.duplicates),
        NumberOrBlank(counts.untagged),
        NumberOrBlank(counts.beyond_limit),
        WithThousands(counts.out),
        HumanDuration(node.elapsed_ms)};
    if (with_rejected) {
      row.insert(row.begin() + kRejectedColumn, NumberOrBlank(counts.rejected));
    }
    nodes.AddRow(std::move(row));
  }
  std::string text = nodes.ToText();
  if (!summary.files.empty()) {
    TextTable files({"file", "rows", "size"}, {Align::kLeft, Align::kRight, Align::kRight});
    for (const service::FileWritten& file : summary.files) {
      files.AddRow({file.path, WithThousands(file.rows), HumanBytes(file.size)});
    }
    text += "\n" + files.ToText();
  }
  if (csv_warnings > 0) {
    text += "\nwarning: " + WithThousands(csv_warnings) +
            " cells with an unclosed quote or text left over after a number (errors with "
            "--strict)\n";
  }
  std::string not_run;
  for (const workflow::NodeSnapshot& node : summary.nodes) {
    if (node.error.error_class == "dependency_failed") {
      not_run += (not_run.empty() ? "" : ", ") + node.name;
    } else if (!node.error.empty() && node.status != state::NodeStatus::kStopReceived) {
      text += "\nnode " + node.name + " failed: " + node.error.text + "\n";
    }
  }
  if (!not_run.empty()) text += "not run because of it: " + not_run + "\n";
  text += "\nRun " + std::to_string(summary.run_id) + " of keyspace " + summary.keyspace + ": " +
          OutcomeText(summary) + " in " + HumanDuration(summary.elapsed_ms);
  if (summary.spilled_bytes > 0) text += ", " + HumanBytes(summary.spilled_bytes) + " spilled";
  text += "\n";
  if (summary.interrupted) {
    if (!summary.error.ok()) text += summary.error.message() + "\n";
    text += summary.cluster.empty() ? "The same command resumes it.\n"
                                    : "The run goes on; the same command follows it again, capi "
                                      "stop stops it.\n";
  }
  return text;
}

std::string SummaryJson(const service::RunSummary& summary) {
  nlohmann::ordered_json json;
  json["keyspace"] = summary.keyspace;
  json["data_dir"] = summary.data_directory;
  json["run_id"] = summary.run_id;
  json["status"] = OutcomeText(summary);
  if (!summary.error.ok()) json["error"] = summary.error.message();
  json["resumed"] = summary.resumed;
  json["batches_kept"] = summary.batches_kept;
  json["elapsed_ms"] = summary.elapsed_ms;
  json["spilled_bytes"] = summary.spilled_bytes;
  json["peak_reserved_bytes"] = summary.peak_reserved_bytes;
  json["nodes"] = nlohmann::ordered_json::array();
  for (const workflow::NodeSnapshot& node : summary.nodes) {
    nlohmann::ordered_json entry;
    entry["name"] = node.name;
    entry["type"] = node.type;
    entry["status"] = state::NodeStatusName(node.status);
    entry["batches_done"] = node.batches_done;
    entry["batches_total"] = node.batches_total;
    entry["elapsed_ms"] = node.elapsed_ms;
    entry["spilled_bytes"] = node.spilled_bytes;
    entry["rows"] = {{"in", node.counts.in},
                     {"filtered", node.counts.filtered},
                     {"rejected", node.counts.rejected},
                     {"unmatched_left", node.counts.unmatched_left},
                     {"duplicates", node.counts.duplicates},
                     {"untagged", node.counts.untagged},
                     {"beyond_limit", node.counts.beyond_limit},
                     {"out", node.counts.out},
                     {"csv_warnings", node.counts.csv_warnings}};
    if (!node.error.empty()) {
      entry["error"] = {
          {"kind", node.error.kind}, {"class", node.error.error_class}, {"text", node.error.text}};
    }
    json["nodes"].push_back(std::move(entry));
  }
  json["inputs"] = nlohmann::ordered_json::array();
  for (const service::FileRead& file : summary.inputs) {
    nlohmann::ordered_json entry = {{"node", file.node}};
    const auto record =
        nlohmann::ordered_json::parse(file.record, nullptr, /*allow_exceptions=*/false);
    if (record.is_object()) entry.update(record);
    json["inputs"].push_back(std::move(entry));
  }
  json["files"] = nlohmann::ordered_json::array();
  for (const service::FileWritten& file : summary.files) {
    json["files"].push_back(
        {{"node", file.node}, {"path", file.path}, {"rows", file.rows}, {"size", file.size}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace capi::cli
