// file_table: one batch per input file, parallel inside the file (spec/script.md 5, engine.md 8.1).

#include <algorithm>
#include <set>
#include <utility>

#include "arrow/record_batch.h"
#include "capi/formats/csv_reader.h"
#include "capi/formats/parquet_reader.h"
#include "capi/node/parquet_input.h"
#include "capi/node/row_rejects.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"
#include "capi/script/default_value.h"

namespace capi::node {

namespace {

/// Names of the columns that the expressions use; one at least, because it brings the rows.
std::vector<std::string> UsedColumns(const std::vector<Target>& targets,
                                     const std::vector<std::string>& names) {
  std::set<std::string> used;
  for (const Target& target : targets) {
    for (const expr::Variable& variable : target.expression->variables()) {
      used.insert(variable.name);
    }
  }
  std::vector<std::string> result;
  for (const std::string& name : names) {
    if (used.count(name) != 0) result.push_back(name);
  }
  if (result.empty()) result.push_back(names[0]);
  return result;
}

class FileTableRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    const script::Node& node = *setup.node;
    auto runner = std::make_unique<FileTableRunner>();
    runner->schema_ = SchemaOf(node);
    std::vector<std::string> names;
    for (const script::FileReaderColumn& column : node.file_reader->columns) {
      names.push_back(column.field.name);
    }
    std::vector<Target> targets = TargetsOf(node);
    if (node.file_reader->format == script::FileFormat::kCsv) {
      runner->SetCsvOptions(*node.file_reader, setup.strict);
    } else {
      names = UsedColumns(targets, names);
      runner->SetParquetOptions(*node.file_reader, names);
    }
    runner->targets_ = std::move(targets);
    runner->input_names_ = std::move(names);
    runner->setup_ = std::move(setup);
    CAPI_ASSIGN_OR_RETURN(runner->programs_, runner->MakePrograms(runner->targets_));
    return std::unique_ptr<NodeRunner>(std::move(runner));
  }

  Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) override {
    const auto index = static_cast<size_t>(task.batch_index);
    const std::string& url = setup_.node->file_reader->urls[index];
    int64_t all_bytes = 0;
    for (const files::Fingerprint& input : setup_.inputs) {
      all_bytes += std::max<int64_t>(0, input.size);
    }
    SetWork(context, all_bytes);
    CAPI_ASSIGN_OR_RETURN(auto output,
                          TableOutput::Open(context, setup_, schema_, task.batch_index, {}));
    const auto append = [&](std::shared_ptr<void> block) {
      return output->Append(std::move(*static_cast<EncodedBlock*>(block.get())));
    };
    BatchResult read;
    std::unique_ptr<RejectFile> rejects;
    if (setup_.node->file_reader->errors) {
      CAPI_ASSIGN_OR_RETURN(rejects, RejectFile::Open(setup_, task, url));
    }
    if (setup_.node->file_reader->format == script::FileFormat::kCsv) {
      CAPI_ASSIGN_OR_RETURN(auto input, setup_.files->OpenText(url, setup_.inputs[index]));
      CAPI_RETURN_NOT_OK(ReadCsvFile(context, url, input.get(), *output, append, rejects.get(),
                                     &read.counts.csv_warnings));
      CAPI_ASSIGN_OR_RETURN(read.input, input->Finish(context.cancel));
    } else {
      CAPI_ASSIGN_OR_RETURN(auto input, setup_.files->OpenRandomAccess(url, setup_.inputs[index]));
      CAPI_RETURN_NOT_OK(ReadParquetFile(context, url, input.get(), *output, append));
      CAPI_ASSIGN_OR_RETURN(read.input, input->Finish());
    }
    CAPI_ASSIGN_OR_RETURN(BatchResult result, output->Finish());
    result.input = std::move(read.input);
    result.counts += read.counts;
    if (rejects != nullptr) {
      result.counts.in += rejects->rows();
      result.counts.rejected = rejects->rows();
      CAPI_ASSIGN_OR_RETURN(FileOutput rejected, rejects->Finish());
      result.files.push_back(std::move(rejected));
    }
    return result;
  }

 private:
  using AppendBlock = std::function<Status(std::shared_ptr<void>)>;

  Result<std::unique_ptr<FieldPrograms>> MakePrograms(const std::vector<Target>& targets) const {
    const script::Node& node = *setup_.node;
    return FieldPrograms::Make(targets, node.table_writer->having,
                               "nodes." + node.name + ".w.having", VariablesOf("r", input_names_),
                               setup_.environment);
  }

  void SetCsvOptions(const script::FileReader& reader, bool strict) {
    for (const script::FileReaderColumn& column : reader.columns) {
      csv_options_.columns.push_back({column.field, column.header, column.index, column.format,
                                      column.default_text, column.null_values});
    }
    csv_options_.separator = reader.separator;
    csv_options_.by_header = reader.by_header;
    csv_options_.header_line = reader.header_line;
    csv_options_.first_data_line = reader.first_data_line;
    csv_options_.strict = strict;
  }

  void SetParquetOptions(const script::FileReader& reader, const std::vector<std::string>& used) {
    for (const script::FileReaderColumn& column : reader.columns) {
      formats::ParquetColumn& wanted = parquet_options_.columns.emplace_back();
      wanted.field = column.field;
      wanted.name = column.parquet_name;
      wanted.default_value = column.default_value.value_or(data::ZeroValue(column.field.type));
      wanted.wanted = std::find(used.begin(), used.end(), column.field.name) != used.end();
    }
  }

  Status ReadCsvFile(const exec::Context& context, const std::string& url, files::InputText* text,
                     const TableOutput& output, const AppendBlock& append, RejectFile* rejects,
                     int64_t* warnings) {
    formats::CsvReadOptions options = csv_options_;
    options.file_name = files::Redacted(url);
    if (rejects != nullptr) {
      options.reject = [rejects](formats::CsvReject reject) {
        return rejects->Add(std::move(reject));
      };
    }
    formats::CsvReadStatistics statistics;
    CAPI_RETURN_NOT_OK(formats::ReadCsv(
        context, text, options,
        [&](const formats::CsvBatch& batch) {
          if (rejects != nullptr) return TransformUsable(output, batch);
          return Transform(*programs_, output, *batch.batch, [&](int64_t row) {
            return options.file_name + ":" + std::to_string(batch.LineOf(row));
          });
        },
        append, &statistics));
    *warnings = statistics.unclosed_quotes + statistics.left_over_cells;
    return Status::OK();
  }

  Status ReadParquetFile(const exec::Context& context, const std::string& url,
                         files::RandomAccessInput* input, const TableOutput& output,
                         const AppendBlock& append) {
    formats::ParquetReadOptions options = parquet_options_;
    options.file_name = files::Redacted(url);
    CAPI_ASSIGN_OR_RETURN(const formats::ParquetInfo info,
                          formats::InspectParquet(input, options.file_name));
    FieldPrograms* programs = programs_.get();
    std::unique_ptr<FieldPrograms> own_programs;
    std::vector<Target> targets = targets_;
    if (AdoptFileTypes(info, *setup_.node->file_reader, &options, &targets)) {
      CAPI_ASSIGN_OR_RETURN(own_programs, MakePrograms(targets));
      programs = own_programs.get();
    }
    formats::ParquetReadStatistics statistics;
    return formats::ReadParquet(
        context, input, options,
        [&](const formats::ParquetBatch& batch) {
          return Transform(*programs, output, *batch.batch, [&](int64_t row) {
            return options.file_name + ", row " + std::to_string(batch.first_row + row + 1);
          });
        },
        append, &statistics);
  }

  static Result<std::shared_ptr<void>> Transform(FieldPrograms& programs, const TableOutput& output,
                                                 const arrow::RecordBatch& batch,
                                                 const DescribeRow& describe) {
    const int64_t n = batch.num_rows();
    CAPI_ASSIGN_OR_RETURN(ComputedRows rows, programs.Compute(batch.columns(), n, describe));
    auto block = std::make_shared<EncodedBlock>();
    block->counts.in = n;
    block->counts.filtered = rows.filtered;
    block->counts.out = rows.num_rows;
    CAPI_ASSIGN_OR_RETURN(auto encoded, output.Encode(std::move(rows.columns), rows.num_rows, {}));
    block->pieces.push_back(std::move(encoded));
    return std::shared_ptr<void>(std::move(block));
  }

  /// Transform that leaves out rows whose expressions fail.
  Result<std::shared_ptr<void>> TransformUsable(const TableOutput& output,
                                                const formats::CsvBatch& batch) {
    CAPI_ASSIGN_OR_RETURN(
        UsableRows rows,
        ComputeUsableRows(programs_.get(), batch.batch->columns(), batch.batch->num_rows()));
    batch.Reject(rows.bad);
    auto block = std::make_shared<EncodedBlock>();
    block->counts.in = batch.batch->num_rows() - static_cast<int64_t>(rows.bad.size());
    block->counts.filtered = rows.filtered;
    block->counts.out = rows.num_rows;
    for (ComputedRows& part : rows.parts) {
      CAPI_ASSIGN_OR_RETURN(auto encoded,
                            output.Encode(std::move(part.columns), part.num_rows, {}));
      block->pieces.push_back(std::move(encoded));
    }
    return std::shared_ptr<void>(std::move(block));
  }

  NodeSetup setup_;
  store::TableSchema schema_;
  formats::CsvReadOptions csv_options_;
  formats::ParquetReadOptions parquet_options_;
  std::vector<Target> targets_;
  std::vector<std::string> input_names_;
  std::unique_ptr<FieldPrograms> programs_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeFileTableRunner(NodeSetup setup) {
  return FileTableRunner::Make(std::move(setup));
}

}  // namespace capi::node
