// table_file: one file per batch, in row-id order or sorted by `top` (spec/script.md 10, formats.md
// 3, 7).

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/files/compression.h"
#include "capi/formats/csv_writer.h"
#include "capi/node/row_sorter.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

namespace {

/// Rows formatted by one task.
constexpr size_t kFormatRows = 32768;

/// A block of file text on its way to the sink.
struct TextBlock {
  std::string text;
  RowCounts counts;
};

class TableFileRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    const script::Node& node = *setup.node;
    const script::FileWriter& writer = *node.file_writer;
    if (writer.format != script::FileFormat::kCsv) {
      return UserError(
          "unsupported_format",
          "Parquet files are validated but cannot be written by this version: node " + node.name);
    }
    auto runner = std::make_unique<TableFileRunner>();
    const std::vector<std::string>& names = node.table_reader->used_fields;
    CAPI_ASSIGN_OR_RETURN(runner->fields_, FieldsOf(*setup.reader, names));
    formats::CsvWriteOptions options;
    options.separator = writer.separator;
    options.crlf = writer.line_end_crlf;
    for (const script::FileColumn& column : writer.columns) {
      options.columns.push_back({column.field, column.header, column.format});
    }
    CAPI_ASSIGN_OR_RETURN(runner->formatter_, formats::CsvFormatter::Make(options));
    CAPI_ASSIGN_OR_RETURN(
        runner->programs_,
        FieldPrograms::Make(TargetsOf(node), writer.having, "nodes." + node.name + ".w.having",
                            VariablesOf("r", names), setup.environment));
    if (writer.has_top) {
      CAPI_ASSIGN_OR_RETURN(runner->sort_plan_, SortPlan::Make(setup));
    }
    runner->setup_ = std::move(setup);
    return std::unique_ptr<NodeRunner>(std::move(runner));
  }

  Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) override {
    const std::string url =
        OutputUrl(setup_.node->file_writer->url_template, setup_.run_id, task.batch_index);
    const files::RecordPlan record = [&task](const files::SinkPlan& plan) {
      return task.before_create ? task.before_create(plan) : Status::OK();
    };
    files::SinkPlan plan;
    CAPI_ASSIGN_OR_RETURN(auto sink, setup_.files->CreateSink(url, record, &plan));
    if (const auto packing = files::CompressionOf(url); packing != files::Compression::kNone) {
      CAPI_ASSIGN_OR_RETURN(sink, files::NewPackingSink(packing, std::move(sink)));
    }
    std::string header;
    formatter_->AppendHeader(&header);
    CAPI_RETURN_NOT_OK(sink->Append(header));

    BatchResult result;
    const std::function<Status(TextBlock)> emit = [&](TextBlock block) {
      result.counts += block.counts;
      if (context.progress != nullptr) context.progress->rows_out += block.counts.out;
      return sink->Append(block.text);
    };
    CAPI_RETURN_NOT_OK(sort_plan_ == nullptr ? WriteInOrder(context, task.batch_index, emit)
                                             : WriteSorted(context, task.batch_index, emit));
    FileOutput file;
    file.plan = std::move(plan);
    file.rows = result.counts.out;
    CAPI_ASSIGN_OR_RETURN(file.size, sink->Seal());
    result.files.push_back(std::move(file));
    return result;
  }

 private:
  Status WriteInOrder(const exec::Context& context, int64_t batch_index,
                      const std::function<Status(TextBlock)>& emit) {
    SetWork(context, setup_.reader->num_rows());
    TableSource source(*setup_.reader, batch_index, setup_.node->num_batches());
    return exec::OrderedPipeline<store::Table::Morsel, TextBlock>(
        context.pool, context.cancel, 0,
        [&]() -> Result<std::optional<store::Table::Morsel>> { return source.Next(); },
        [&](const store::Table::Morsel& morsel) -> Result<TextBlock> {
          CAPI_ASSIGN_OR_RETURN(auto scan, setup_.reader->Read(morsel, fields_));
          CAPI_ASSIGN_OR_RETURN(
              ComputedRows rows, programs_->Compute(scan.columns, scan.num_rows, [&](int64_t row) {
                return DescribeTableRow(*setup_.reader, scan.row_ids[static_cast<size_t>(row)]);
              }));
          TextBlock block;
          block.counts.in = scan.num_rows;
          block.counts.filtered = rows.filtered;
          block.counts.out = rows.num_rows;
          CAPI_RETURN_NOT_OK(formatter_->AppendRows(rows.columns, rows.num_rows, &block.text));
          CountMorsel(context, scan.num_rows);
          return block;
        },
        emit);
  }

  /// Sorts row ids first, then gathers, computes and formats blocks of the sorted rows with all
  /// threads.
  Status WriteSorted(const exec::Context& context, int64_t batch_index,
                     const std::function<Status(TextBlock)>& emit) {
    // Every row is read once for its key and once for its values.
    SetWork(context, 2 * setup_.reader->num_rows());
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SortedRows> sorted,
                          sort_plan_->Sort(context, batch_index));
    TextBlock counted;
    counted.counts = sorted->counts();
    CountWork(context, counted.counts.filtered + counted.counts.beyond_limit);
    CAPI_RETURN_NOT_OK(emit(std::move(counted)));
    return exec::OrderedPipeline<std::vector<data::RowId>, TextBlock>(
        context.pool, context.cancel, 0,
        [&]() { return sorted->Next(static_cast<int64_t>(kFormatRows)); },
        [&](const std::vector<data::RowId>& rows) {
          CountWork(context, static_cast<int64_t>(rows.size()));
          return FormatSorted(rows);
        },
        emit);
  }

  static void CountWork(const exec::Context& context, int64_t rows) {
    if (context.progress != nullptr) context.progress->work_done += rows;
  }

  Result<TextBlock> FormatSorted(const std::vector<data::RowId>& rows) {
    const auto n = static_cast<int64_t>(rows.size());
    CAPI_ASSIGN_OR_RETURN(const Columns inputs,
                          setup_.reader->GatherFields(fields_, rows.data(), n));
    // Having was applied while sorting: only the fields are computed here.
    CAPI_ASSIGN_OR_RETURN(Columns columns, programs_->ComputeFields(inputs, n, [&](int64_t row) {
      return DescribeTableRow(*setup_.reader, rows[static_cast<size_t>(row)]);
    }));
    TextBlock block;
    block.counts.out = n;
    CAPI_RETURN_NOT_OK(formatter_->AppendRows(columns, n, &block.text));
    return block;
  }

  NodeSetup setup_;
  std::vector<int> fields_;
  std::unique_ptr<formats::CsvFormatter> formatter_;
  std::unique_ptr<FieldPrograms> programs_;
  std::unique_ptr<SortPlan> sort_plan_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeTableFileRunner(NodeSetup setup) {
  return TableFileRunner::Make(std::move(setup));
}

}  // namespace capi::node
