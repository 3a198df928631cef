// table_file: one file per batch, in row-id order or sorted by `top` (spec/script.md 10, formats.md
// 3, 6, 7).

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/files/compression.h"
#include "capi/formats/csv_writer.h"
#include "capi/formats/parquet_writer.h"
#include "capi/node/output_manifest.h"
#include "capi/node/row_sorter.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

namespace {

/// Sorted rows computed by one task.
constexpr size_t kSortedRows = 32768;

/// Rows that passed having, computed.
struct RowBlock {
  Columns columns;
  int64_t num_rows = 0;
  RowCounts counts;
  DescribeRow describe;  ///< valid while the block is worked on by the task that made it
};

/// A block of file text on its way to the sink.
struct TextBlock {
  std::string text;
  RowCounts counts;
  Columns columns;  ///< of the rows, if a manifest is wanted
};

/// Columns on their way into a Parquet file.
struct ColumnBlock {
  formats::ParquetColumns columns;
  int64_t num_rows = 0;
  RowCounts counts;
  Columns rows;  ///< if a manifest is wanted
};

/// Where the rows of a batch come from.
struct RowFeed {
  std::optional<TableSource> source;   ///< without `top`
  std::unique_ptr<SortedRows> sorted;  ///< with `top`
  bool ended = false;
};

class TableFileRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    const script::Node& node = *setup.node;
    const script::FileWriter& writer = *node.file_writer;
    auto runner = std::make_unique<TableFileRunner>();
    const std::vector<std::string>& names = node.table_reader->used_fields;
    CAPI_ASSIGN_OR_RETURN(runner->fields_, FieldsOf(*setup.reader, names));
    if (writer.format == script::FileFormat::kCsv) {
      CAPI_RETURN_NOT_OK(runner->SetCsvOptions(writer));
    } else {
      runner->SetParquetOptions(writer);
    }
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
    files::SinkPlan plan;
    CAPI_ASSIGN_OR_RETURN(auto sink, CreateRecordedSink(setup_, task, url, &plan));
    std::optional<OutputManifest> manifest;
    if (setup_.node->file_writer->manifest) {
      sink = manifest.emplace(setup_).Watch(std::move(sink));
    }
    if (const auto packing = files::CompressionOf(url);
        packing != files::Compression::kNone && csv_ != nullptr) {
      CAPI_ASSIGN_OR_RETURN(sink, files::NewPackingSink(packing, std::move(sink)));
    }

    BatchResult result;
    CAPI_ASSIGN_OR_RETURN(RowFeed feed, OpenFeed(context, task.batch_index, &result.counts));
    Output output{sink.get(), manifest ? &*manifest : nullptr, &result.counts};
    CAPI_RETURN_NOT_OK(csv_ != nullptr ? WriteCsv(context, &feed, output)
                                       : WriteParquet(context, &feed, output));
    FileOutput file;
    file.plan = std::move(plan);
    file.rows = result.counts.out;
    CAPI_ASSIGN_OR_RETURN(file.size, sink->Seal());
    std::optional<FileOutput> manifest_file;
    if (manifest) {
      CAPI_ASSIGN_OR_RETURN(manifest_file, manifest->Write(task, url, file));
    }
    result.files.push_back(std::move(file));
    if (manifest_file) result.files.push_back(*std::move(manifest_file));
    return result;
  }

 private:
  /// Where the rows of a batch go to.
  struct Output {
    files::Sink* sink = nullptr;
    OutputManifest* manifest = nullptr;  ///< null: not wanted
    RowCounts* counts = nullptr;

    Status Add(const exec::Context& context, const RowCounts& block, const Columns& rows) const {
      *counts += block;
      if (context.progress != nullptr) context.progress->rows_out += block.out;
      return manifest == nullptr || rows.empty() ? Status::OK() : manifest->AddRows(rows);
    }
  };

  Status SetCsvOptions(const script::FileWriter& writer) {
    formats::CsvWriteOptions options;
    options.separator = writer.separator;
    options.crlf = writer.line_end_crlf;
    for (const script::FileColumn& column : writer.columns) {
      options.columns.push_back({column.field, column.header, column.format});
    }
    CAPI_ASSIGN_OR_RETURN(csv_, formats::CsvFormatter::Make(options));
    return Status::OK();
  }

  void SetParquetOptions(const script::FileWriter& writer) {
    parquet_.codec = writer.parquet_codec;
    for (const script::FileColumn& column : writer.columns) {
      parquet_.columns.push_back({column.field, column.parquet_name});
    }
  }

  /// With `top`, rows are sorted here, and gathered and computed block by block later.
  Result<RowFeed> OpenFeed(const exec::Context& context, int64_t batch_index,
                           RowCounts* counts) const {
    RowFeed feed;
    if (sort_plan_ == nullptr) {
      SetWork(context, setup_.reader->num_rows());
      feed.source.emplace(*setup_.reader, batch_index, setup_.node->num_batches());
      return feed;
    }
    // Every row is read once for its key and once for its values.
    SetWork(context, 2 * setup_.reader->num_rows());
    CAPI_ASSIGN_OR_RETURN(feed.sorted, sort_plan_->Sort(context, batch_index));
    *counts += feed.sorted->counts();
    CountWork(context, counts->filtered + counts->beyond_limit);
    return feed;
  }

  Status WriteCsv(const exec::Context& context, RowFeed* feed, const Output& output) {
    std::string header;
    csv_->AppendHeader(&header);
    CAPI_RETURN_NOT_OK(output.sink->Append(header));
    return Pump<TextBlock>(
        context, feed, [] { return false; },
        [this, &output](RowBlock rows) -> Result<TextBlock> {
          TextBlock block;
          block.counts = rows.counts;
          CAPI_RETURN_NOT_OK(csv_->AppendRows(rows.columns, rows.num_rows, &block.text));
          if (output.manifest != nullptr) block.columns = std::move(rows.columns);
          return block;
        },
        [&](const TextBlock& block) -> Status {
          CAPI_RETURN_NOT_OK(output.Add(context, block.counts, block.columns));
          return output.sink->Append(block.text);
        });
  }

  /// Collects rows until there is a row group for each thread, then encodes these.
  Status WriteParquet(const exec::Context& context, RowFeed* feed, const Output& output) {
    CAPI_ASSIGN_OR_RETURN(
        const auto writer,
        formats::ParquetWriter::Make(context, parquet_, [&output](std::string_view bytes) {
          return output.sink->Append(bytes);
        }));
    while (!feed->ended) {
      CAPI_RETURN_NOT_OK(Pump<ColumnBlock>(
          context, feed, [&writer] { return writer->Full(); },
          [&writer, &output](const RowBlock& rows) -> Result<ColumnBlock> {
            ColumnBlock block;
            block.counts = rows.counts;
            block.num_rows = rows.num_rows;
            if (rows.num_rows == 0) return block;
            int64_t bad_row = -1;
            auto prepared = writer->Prepare(rows.columns, rows.num_rows, &bad_row);
            if (!prepared.ok() && bad_row >= 0) {
              return Prefixed(prepared.status(), rows.describe(bad_row) + ": ");
            }
            CAPI_ASSIGN_OR_RETURN(block.columns, std::move(prepared));
            if (output.manifest != nullptr) block.rows = rows.columns;
            return block;
          },
          [&](ColumnBlock block) -> Status {
            CAPI_RETURN_NOT_OK(output.Add(context, block.counts, block.rows));
            return writer->Append(std::move(block.columns), block.num_rows);
          }));
      CAPI_RETURN_NOT_OK(writer->Flush());
    }
    return writer->Finish();
  }

  /// Computes rows with all threads and emits blocks made of them, in order, until the rows end or
  /// `paused` holds.
  template <typename Block>
  Status Pump(const exec::Context& context, RowFeed* feed, const std::function<bool()>& paused,
              const std::function<Result<Block>(RowBlock)>& make,
              const std::function<Status(Block)>& emit) {
    if (feed->sorted != nullptr) {
      using RowIds = std::vector<data::RowId>;
      return exec::OrderedPipeline<RowIds, Block>(
          context.pool, context.cancel, 0,
          [&]() -> Result<std::optional<RowIds>> {
            if (paused()) return std::nullopt;
            CAPI_ASSIGN_OR_RETURN(std::optional<RowIds> rows,
                                  feed->sorted->Next(static_cast<int64_t>(kSortedRows)));
            feed->ended = !rows.has_value();
            return rows;
          },
          [&](const RowIds& rows) -> Result<Block> {
            CountWork(context, static_cast<int64_t>(rows.size()));
            CAPI_ASSIGN_OR_RETURN(RowBlock block, ComputeSorted(rows));
            return make(std::move(block));
          },
          emit);
    }
    return exec::OrderedPipeline<store::Table::Morsel, Block>(
        context.pool, context.cancel, 0,
        [&]() -> Result<std::optional<store::Table::Morsel>> {
          if (paused()) return std::nullopt;
          std::optional<store::Table::Morsel> morsel = feed->source->Next();
          feed->ended = !morsel.has_value();
          return morsel;
        },
        [&](const store::Table::Morsel& morsel) -> Result<Block> {
          CAPI_ASSIGN_OR_RETURN(const auto scan, setup_.reader->Read(morsel, fields_));
          CAPI_ASSIGN_OR_RETURN(RowBlock block, ComputeMorsel(scan));
          CAPI_ASSIGN_OR_RETURN(Block made, make(std::move(block)));
          CountMorsel(context, scan.num_rows);
          return made;
        },
        emit);
  }

  /// `scan` must outlive the use of the block's description of rows.
  Result<RowBlock> ComputeMorsel(const store::Table::ScanBatch& scan) {
    const auto describe_input = [this, &scan](int64_t row) {
      return DescribeTableRow(*setup_.reader, scan.row_ids[static_cast<size_t>(row)]);
    };
    CAPI_ASSIGN_OR_RETURN(ComputedRows rows,
                          programs_->Compute(scan.columns, scan.num_rows, describe_input));
    RowBlock block;
    block.num_rows = rows.num_rows;
    block.counts.in = scan.num_rows;
    block.counts.filtered = rows.filtered;
    block.counts.out = rows.num_rows;
    block.columns = std::move(rows.columns);
    block.describe = [describe_input, all = rows.all_selected,
                      selected = std::move(rows.selected)](int64_t row) {
      return describe_input(all ? row : selected[static_cast<size_t>(row)]);
    };
    return block;
  }

  /// `rows` must outlive the use of the block's description of rows. Having was applied while
  /// sorting: only the fields are computed here.
  Result<RowBlock> ComputeSorted(const std::vector<data::RowId>& rows) {
    RowBlock block;
    block.num_rows = static_cast<int64_t>(rows.size());
    block.counts.out = block.num_rows;
    block.describe = [this, &rows](int64_t row) {
      return DescribeTableRow(*setup_.reader, rows[static_cast<size_t>(row)]);
    };
    CAPI_ASSIGN_OR_RETURN(const Columns inputs,
                          setup_.reader->GatherFields(fields_, rows.data(), block.num_rows));
    CAPI_ASSIGN_OR_RETURN(block.columns,
                          programs_->ComputeFields(inputs, block.num_rows, block.describe));
    return block;
  }

  static void CountWork(const exec::Context& context, int64_t rows) {
    if (context.progress != nullptr) context.progress->work_done += rows;
  }

  NodeSetup setup_;
  std::vector<int> fields_;
  std::unique_ptr<formats::CsvFormatter> csv_;  // null: Parquet
  formats::ParquetWriteOptions parquet_;
  std::unique_ptr<FieldPrograms> programs_;
  std::unique_ptr<SortPlan> sort_plan_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeTableFileRunner(NodeSetup setup) {
  return TableFileRunner::Make(std::move(setup));
}

}  // namespace capi::node
