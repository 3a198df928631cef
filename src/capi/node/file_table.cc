// file_table: one batch per input file, parallel inside the file (spec/script.md 5, engine.md 8.1).

#include <algorithm>
#include <utility>

#include "arrow/record_batch.h"
#include "capi/formats/csv_reader.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

namespace {

class FileTableRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    const script::Node& node = *setup.node;
    const script::FileReader& reader = *node.file_reader;
    if (reader.format != script::FileFormat::kCsv) {
      return UserError(
          "unsupported_format",
          "Parquet files are validated but cannot be read by this version: node " + node.name);
    }
    auto runner = std::make_unique<FileTableRunner>();
    runner->schema_ = SchemaOf(node);
    std::vector<std::string> names;
    for (const script::FileReaderColumn& column : reader.columns) {
      names.push_back(column.field.name);
      runner->options_.columns.push_back({column.field, column.header, column.index, column.format,
                                          column.default_text, column.null_values});
    }
    runner->options_.separator = reader.separator;
    runner->options_.by_header = reader.by_header;
    runner->options_.header_line = reader.header_line;
    runner->options_.first_data_line = reader.first_data_line;
    runner->options_.strict = setup.strict;
    CAPI_ASSIGN_OR_RETURN(runner->programs_,
                          FieldPrograms::Make(TargetsOf(node), node.table_writer->having,
                                              "nodes." + node.name + ".w.having",
                                              VariablesOf("r", names), setup.environment));
    runner->setup_ = std::move(setup);
    return std::unique_ptr<NodeRunner>(std::move(runner));
  }

  Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) override {
    const auto index = static_cast<size_t>(task.batch_index);
    const std::string& url = setup_.node->file_reader->urls[index];
    CAPI_ASSIGN_OR_RETURN(auto input, setup_.files->OpenText(url, setup_.inputs[index]));
    int64_t all_bytes = 0;
    for (const files::Fingerprint& file : setup_.inputs)
      all_bytes += std::max<int64_t>(0, file.size);
    SetWork(context, all_bytes);
    CAPI_ASSIGN_OR_RETURN(auto output,
                          TableOutput::Open(context, setup_, schema_, task.batch_index, {}));
    formats::CsvReadOptions options = options_;
    options.file_name = files::Redacted(url);
    formats::CsvReadStatistics statistics;
    CAPI_RETURN_NOT_OK(formats::ReadCsv(
        context, input.get(), options,
        [&](formats::CsvBatch batch) -> Result<std::shared_ptr<void>> {
          CAPI_ASSIGN_OR_RETURN(EncodedBlock block, Transform(*output, options.file_name, batch));
          return std::shared_ptr<void>(std::make_shared<EncodedBlock>(std::move(block)));
        },
        [&](std::shared_ptr<void> block) {
          return output->Append(std::move(*static_cast<EncodedBlock*>(block.get())));
        },
        &statistics));
    CAPI_ASSIGN_OR_RETURN(files::InputRecord record, input->Finish(context.cancel));
    CAPI_ASSIGN_OR_RETURN(BatchResult result, output->Finish());
    result.input = std::move(record);
    result.counts.csv_warnings = statistics.unclosed_quotes + statistics.left_over_cells;
    return result;
  }

 private:
  Result<EncodedBlock> Transform(const TableOutput& output, const std::string& url,
                                 const formats::CsvBatch& batch) {
    const int64_t n = batch.batch->num_rows();
    CAPI_ASSIGN_OR_RETURN(ComputedRows rows,
                          programs_->Compute(batch.batch->columns(), n, [&](int64_t row) {
                            return url + ":" + std::to_string(batch.LineOf(row));
                          }));
    EncodedBlock block;
    block.counts.in = n;
    block.counts.filtered = rows.filtered;
    block.counts.out = rows.num_rows;
    CAPI_ASSIGN_OR_RETURN(auto encoded, output.Encode(std::move(rows.columns), rows.num_rows, {}));
    block.pieces.push_back(std::move(encoded));
    return block;
  }

  NodeSetup setup_;
  store::TableSchema schema_;
  formats::CsvReadOptions options_;
  std::unique_ptr<FieldPrograms> programs_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeFileTableRunner(NodeSetup setup) {
  return FileTableRunner::Make(std::move(setup));
}

}  // namespace capi::node
