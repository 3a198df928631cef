#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/toolbelt_internal.h"
#include "capi/files/compression.h"
#include "capi/files/files.h"
#include "capi/service/engine.h"
#include "capi/service/new_script.h"

namespace capi::cli {

namespace {

constexpr const char* kOldDirectory = "proto_file_reader_creator_quicktest/";

struct NewScriptArguments {
  std::string file;
  std::string output;
  std::string separator;
  std::string header;
  std::string first_data;
  service::InferOptions infer;
};

std::string NameOf(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

/// "orders.csv" -> "orders_copy.csv", "orders.csv.gz" -> "orders_copy.csv.gz"
std::string CopyOf(const std::string& path) {
  const std::string name = NameOf(path);
  const bool packed = files::CompressionOf(path) != files::Compression::kNone;
  const size_t last = name.rfind('.');
  const size_t dot = std::min(packed && last > 0 ? name.rfind('.', last - 1) : last, name.size());
  return name.substr(0, dot) + "_copy" + name.substr(dot);
}

void PrintNotes(const std::string& file, const service::FileSchema& schema) {
  std::fprintf(stderr, "%s: %s", file.c_str(), service::DescribeSchema(schema).c_str());
  for (const service::SchemaNote& note : schema.notes) {
    const std::string line = note.line > 0 ? ":" + std::to_string(note.line) : "";
    const char* kind = note.kind == service::SchemaNote::Kind::kFails     ? "error: "
                       : note.kind == service::SchemaNote::Kind::kChanges ? "changes: "
                                                                          : "";
    std::fprintf(stderr, "%s%s: %s%s\n", file.c_str(), line.c_str(), kind, note.message.c_str());
  }
}

/// Returns the exit code; an error if nothing can be printed.
Result<int> Print(const config::Config& config, const std::string& file,
                  const service::InferOptions& infer, const service::NewScriptOptions& options) {
  const auto files = files::Files::Make(Env::Default(), service::FilesOptionsOf(config));
  const Result<service::FileSchema> schema =
      files.ok() ? service::InferSchema(files->get(), file, infer) : files.status();
  if (!schema.ok()) return Prefixed(schema.status(), file + ": ");
  std::printf("%s%s", service::NewScript(*schema, options).c_str(),
              options.original_layout ? "" : "\n");
  PrintNotes(file, *schema);
  for (const service::SchemaNote& note : schema->notes) {
    if (note.kind == service::SchemaNote::Kind::kFails) return kExitFailed;
  }
  return kExitOk;
}

Status TakeOver(NewScriptArguments* arguments) {
  const std::string& separator = arguments->separator;
  if (separator == "tab" || separator == "\\t") {
    arguments->infer.separator = '\t';
  } else if (separator.size() == 1) {
    arguments->infer.separator = separator[0];
  } else if (!separator.empty()) {
    return UserError("usage", "a separator is one character or the word tab: " + separator);
  }
  const auto index = [](const std::string& text, std::optional<int64_t>* target) {
    if (!text.empty()) *target = text == "none" ? -1 : std::stoll(text);
  };
  index(arguments->header, &arguments->infer.header_record);
  index(arguments->first_data, &arguments->infer.first_data_record);
  return Status::OK();
}

int NewScript(const CLI::App& app, NewScriptArguments* arguments) {
  const std::optional<config::Config> config = LoadConfig(app, {});
  if (!config) return kExitUsage;
  const Status status = TakeOver(arguments);
  if (!status.ok()) {
    PrintDiagnostics({}, {status});
    return kExitUsage;
  }
  service::NewScriptOptions options;
  options.input_url = arguments->file;
  options.output_url = arguments->output.empty() ? CopyOf(arguments->file) : arguments->output;
  const Result<int> exit_code = Print(*config, arguments->file, arguments->infer, options);
  if (exit_code.ok()) return *exit_code;
  PrintDiagnostics({}, {exit_code.status()});
  return KindOf(exit_code.status()) == ErrorKind::kUser ? kExitUsage : kExitFailed;
}

// ---- proto_file_reader_creator, the old name

void DefineProtoFileReaderCreator(GoFlags* flags) {
  flags->Define("file", GoFlags::Type::kString, "", "Path to sample file");
  flags->Define("file_type", GoFlags::Type::kString, "csv", "csv or parquet");
  flags->Define("csv_hdr_line_idx", GoFlags::Type::kInt, "-1", "Header line index, -1 = no header");
  flags->Define("csv_first_line_idx", GoFlags::Type::kInt, "0", "First data line index");
  flags->Define("csv_separator", GoFlags::Type::kString, ",", "Separator");
}

Result<int> ProtoFileReaderCreator(const GoFlags& flags, const config::Config& config) {
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"file"}));
  const std::string& type = flags.Text("file_type");
  const int64_t header = flags.Int("csv_hdr_line_idx");
  const int64_t first = flags.Int("csv_first_line_idx");
  if (type != "csv" && type != "parquet") {
    return ToolbeltUsageError("the flag -file_type must be csv or parquet, not " + type);
  }
  if (type == "csv" && (header < -1 || first <= header)) {
    return ToolbeltUsageError(
        "the flag -csv_first_line_idx must be greater than -csv_hdr_line_idx");
  }
  if (type == "csv" && flags.Text("csv_separator").empty()) {
    return ToolbeltUsageError("the flag -csv_separator must not be empty");
  }
  service::InferOptions infer;
  infer.format = type == "csv" ? script::FileFormat::kCsv : script::FileFormat::kParquet;
  infer.separator = type == "csv" ? flags.Text("csv_separator")[0] : ',';
  infer.header_record = header;
  infer.first_data_record = first;
  infer.original_rules = true;
  const std::string name = NameOf(flags.Text("file"));
  service::NewScriptOptions options;
  options.original_layout = true;
  options.input_url = std::string("/tmp/capi_in/") + kOldDirectory + name;
  options.output_url = std::string("/tmp/capi_out/") + kOldDirectory + name;
  return Print(config, flags.Text("file"), infer, options);
}

}  // namespace

void AddNewScriptCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<NewScriptArguments>();
  CLI::App* command = app->add_subcommand(
      "new-script",
      "Look into a CSV or Parquet file and print a script that loads it and writes it back");
  command->add_option("file", arguments->file, "The file")->required();
  command->add_option("--out", arguments->output,
                      "File that the script writes (default: NAME_copy in the current directory)");
  command->add_option("--separator", arguments->separator, "One character, or tab");
  const CLI::Validator index(
      [](std::string& text) {
        const bool digits = !text.empty() && text.size() < 10 &&
                            text.find_first_not_of("0123456789") == std::string::npos;
        return digits || text == "none" ? std::string()
                                        : "a record index (from 0) or none is expected: " + text;
      },
      "N|none");
  command->add_option("--header", arguments->header, "Index of the header record, or none")
      ->check(index);
  command->add_option("--first-data", arguments->first_data, "Index of the first data record")
      ->check(index);
  command
      ->add_option("--sample", arguments->infer.sample_rows,
                   "Look at so many rows only (default: the whole file)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--exact", arguments->infer.exact,
                    "Columns that would not be written back as they are become strings");
  command->footer(
      "What was found, and what could be understood otherwise, is said on standard error.\n"
      "Example: capi new-script orders.csv > orders.json && capi run orders.json");
  command->callback([app, arguments, exit_code] { *exit_code = NewScript(*app, arguments.get()); });
}

ToolbeltCommand ToolbeltNewScriptCommand() {
  return {"proto_file_reader_creator", "", DefineProtoFileReaderCreator, ProtoFileReaderCreator};
}

}  // namespace capi::cli
