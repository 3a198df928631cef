#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/result_table.h"
#include "capi/cli/run_execution.h"
#include "capi/cli/text_table.h"
#include "capi/data/column.h"
#include "capi/expr/expression.h"
#include "capi/service/preview.h"

namespace capi::cli {

namespace {

struct PreviewArguments {
  std::string keyspace;
  std::string data_directory;
  std::string format = "table";
  service::PreviewOptions options;
};

/// Text of a cell as tables hold it: two decimals, UTC milliseconds.
std::string CellText(data::FieldType type, const data::Value& value) {
  if (type == data::FieldType::kDecimal2) return std::get<data::BigDecimal>(value).ToFixed(2);
  if (type == data::FieldType::kDatetime) {
    return data::DatetimeToRfc3339(std::get<data::Instant>(value));
  }
  return data::ValueToText(value);
}

nlohmann::ordered_json ToJson(data::FieldType type, const data::Value& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  return CellText(type, value);
}

Status PrintRows(const PreviewArguments& arguments, const service::Preview& preview) {
  std::vector<std::string> headers;
  std::vector<TextTable::Align> alignments;
  for (const data::Field& field : preview.fields) {
    headers.push_back(field.name);
    const bool number = field.type == data::FieldType::kInt ||
                        field.type == data::FieldType::kFloat ||
                        field.type == data::FieldType::kDecimal2;
    alignments.push_back(number ? TextTable::Align::kRight : TextTable::Align::kLeft);
  }
  TextTable table(headers, alignments);
  if (arguments.format == "csv") {
    std::string line;
    for (const std::string& header : headers) line += (line.empty() ? "" : ",") + QuotedCsv(header);
    std::printf("%s\n", line.c_str());
  }
  bool first_row = true;
  if (arguments.format == "json") std::printf("[");
  for (const auto& batch : preview.batches) {
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      std::vector<std::string> cells;
      nlohmann::ordered_json object = nlohmann::ordered_json::object();
      for (size_t i = 0; i < preview.fields.size(); ++i) {
        CAPI_ASSIGN_OR_RETURN(const data::Value value,
                              data::CellValue(*batch->column(static_cast<int>(i)), row));
        if (arguments.format == "json") {
          object[preview.fields[i].name] = ToJson(preview.fields[i].type, value);
        } else {
          cells.push_back(CellText(preview.fields[i].type, value));
        }
      }
      if (arguments.format == "json") {
        const std::string text =
            object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
        std::printf("%s\n%s", first_row ? "" : ",", text.c_str());
      } else if (arguments.format == "csv") {
        std::string line;
        for (size_t i = 0; i < cells.size(); ++i) line += (i > 0 ? "," : "") + QuotedCsv(cells[i]);
        std::printf("%s\n", line.c_str());
      } else {
        table.AddRow(std::move(cells));
      }
      first_row = false;
    }
  }
  if (arguments.format == "json") std::printf("\n]\n");
  if (arguments.format == "table") std::printf("%s", table.ToText().c_str());
  return Status::OK();
}

int ShowPreview(const CLI::App& app, const PreviewArguments& arguments) {
  const std::optional<config::Config> config =
      LoadConfig(app, {{"data_dir", arguments.data_directory, "--data-dir"}});
  if (!config) return kExitUsage;
  const Result<service::KeyspaceOptions> keyspace =
      service::KeyspaceOptionsOf(*config, arguments.keyspace);
  if (!keyspace.ok()) {
    PrintDiagnostics({}, {keyspace.status()});
    return ExitCodeOf(keyspace.status());
  }
  const Result<service::Preview> preview = service::PreviewTable(*keyspace, arguments.options);
  const Status status = preview.ok() ? PrintRows(arguments, *preview) : preview.status();
  if (!status.ok()) {
    PrintDiagnostics({}, {status});
    const ErrorInfo info = InfoOf(status);
    if (info.expression_offset >= 0) {
      std::fprintf(stderr, "%s\n",
                   expr::WithCaret(arguments.options.where, info.expression_offset).c_str());
    }
    return info.kind == ErrorKind::kUser ? kExitUsage : kExitFailed;
  }
  std::fprintf(stderr, "%s of %s rows of %s in run %lld%s\n",
               WithThousands(preview->num_rows).c_str(), WithThousands(preview->table_rows).c_str(),
               arguments.options.table.c_str(), static_cast<long long>(preview->run_id),
               preview->more ? " (more with --limit)" : "");
  return kExitOk;
}

}  // namespace

void AddPreviewCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<PreviewArguments>();
  CLI::App* command = app->add_subcommand("preview", "Show rows of an intermediate table");
  command->add_option("keyspace", arguments->keyspace, "Keyspace")->required();
  command->add_option("table", arguments->options.table, "Table")->required();
  command->add_option("--run", arguments->options.run_id,
                      "Run (default: the newest with the table)");
  command->add_option("--limit", arguments->options.limit, "Rows shown; -1 = all (default 20)");
  command->add_option("--where", arguments->options.where,
                      "Condition over the table's fields, such as 'r.delay > 60'");
  command->add_option("--format", arguments->format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}));
  command->add_option("--data-dir", arguments->data_directory,
                      "Where keyspaces are kept (default: setting data_dir, else "
                      "~/.local/share/capillaries)");
  command->footer(
      "Example: capi preview flights flights_full --where 'r.dep_delay > 600' --format csv");
  command->callback([app, arguments, exit_code] { *exit_code = ShowPreview(*app, *arguments); });
}

}  // namespace capi::cli
