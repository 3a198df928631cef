#include "capi/formats/csv_reader.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "arrow/record_batch.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/formats/csv_blocks_internal.h"
#include "capi/formats/csv_column_builder_internal.h"
#include "capi/formats/csv_conversion_internal.h"
#include "capi/formats/csv_head_internal.h"
#include "capi/formats/csv_record_internal.h"
#include "capi/formats/csv_tokenizer_internal.h"

namespace capi::formats {

namespace internal {

namespace {

/// Text that is looked at in one step: small enough for the second-level cache together with the
/// cells and values made of it.
constexpr int64_t kWindowBytes = 128 << 10;
/// Bytes of text in a batch before the next chunk goes to another batch.
constexpr int64_t kMaxBatchTextBytes = int64_t{256} << 20;

/// What a transform returned, or a record that was left out.
struct BlockItem {
  std::shared_ptr<void> result;
  std::optional<CsvReject> reject;
};

/// What became of a block. The error, if any, comes behind the items.
struct BlockResult {
  std::vector<BlockItem> items;
  Status status;
  CsvReadStatistics statistics;
  int64_t num_bytes = 0;
  int64_t end = 0;
};

/// What is common to all blocks of a file. Immutable, except that `lines` moves on.
struct FilePlan {
  explicit FilePlan(const char* data) : lines(data) {}
  TextLines lines;
  const CsvReadOptions* options = nullptr;
  const std::function<Result<std::shared_ptr<void>>(CsvBatch)>* transform = nullptr;
  std::vector<CsvConversion> conversions;
  std::vector<data::Field> fields;
  CsvHead head;
  /// Rows that may be added to a batch at once, so that long default texts cannot overfill it.
  int64_t max_rows_at_once = data::kMaxBatchRows;
};

/// The record at `begin` and what is wrong at byte `error_offset` of it.
CsvReject MakeReject(std::string_view text, int64_t begin, int64_t end, int64_t error_offset,
                     const Status& error) {
  CsvReject reject;
  // The place is found when the records before are counted.
  reject.error = error;
  reject.offset = begin;
  std::string_view record =
      text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  const std::string_view before =
      record.substr(0, static_cast<size_t>(std::max<int64_t>(0, error_offset - begin)));
  reject.lines_to_error = CountNewlines(before);
  const size_t line_break = before.rfind('\n');
  reject.column = static_cast<int64_t>(
      line_break == std::string_view::npos ? before.size() + 1 : before.size() - line_break);
  if (record.ends_with('\n')) record.remove_suffix(1);
  if (record.ends_with('\r')) record.remove_suffix(1);
  reject.record = record;
  return reject;
}

/// Reads blocks of one section. Used by one thread at a time, block after block.
class BlockReader {
 public:
  BlockReader(const FilePlan* plan, const DataSection* section)
      : plan_(*plan),
        section_(*section),
        tokenizer_(plan->options->separator, plan->head.num_cells, section->positions,
                   std::clamp<int64_t>(plan->options->block_bytes, 16, kWindowBytes)) {
    for (const CsvConversion& conversion : plan->conversions) {
      builders_.push_back(CsvColumnBuilder::Make(&conversion));
    }
  }

  const DataSection* section() const { return &section_; }

  BlockResult Read(const Block& block) {
    BlockResult result;
    result.num_bytes = block.end() - block.begin;
    result.end = block.end();
    tokenizer_.Start(block.text, block.begin);
    block_ = block;
    batch_rows_ = 0;
    const int64_t left_over_before = LeftOverCells();
    result.status = ReadRecords(&result);
    result.statistics.left_over_cells = LeftOverCells() - left_over_before;
    return result;
  }

 private:
  Status ReadRecords(BlockResult* result) {
    if (plan_.options->reject != nullptr) return ReadUsableRecords(result);
    CellChunk chunk;
    while (tokenizer_.Next(&chunk)) {
      for (int64_t row = 0; row < chunk.num_rows;) {
        CAPI_RETURN_NOT_OK(FlushIfFull(chunk, result));
        const int64_t n = RowsAtOnce(chunk.num_rows - row);
        CAPI_RETURN_NOT_OK(AppendRows(chunk, row, n, result));
        row += n;
      }
      result->statistics.unclosed_quotes += chunk.num_unclosed;
      if (chunk.num_unclosed > 0 && plan_.options->strict) {
        return FailAfterFlush(UnclosedError(OffsetOf(chunk, chunk.num_rows - 1)), 1, result);
      }
      if (tokenizer_.fault() != CsvTokenizer::Fault::kNone) {
        return FailAfterFlush(FaultError(), 0, result);
      }
    }
    return Flush(result);
  }

  int64_t RowsAtOnce(int64_t rows) const {
    return std::min({rows, data::kMaxBatchRows - batch_rows_, plan_.max_rows_at_once});
  }

  /// ReadRecords that leaves out what cannot be read.
  Status ReadUsableRecords(BlockResult* result) {
    constexpr int64_t kFewRows = 16;
    int64_t most_rows = data::kMaxBatchRows;
    CellChunk chunk;
    while (tokenizer_.Next(&chunk)) {
      const bool unclosed = chunk.num_unclosed > 0 && plan_.options->strict;
      const int64_t num_rows = chunk.num_rows - (unclosed ? 1 : 0);
      for (int64_t row = 0; row < num_rows;) {
        CAPI_RETURN_NOT_OK(FlushIfFull(chunk, result));
        const int64_t n = std::min(RowsAtOnce(num_rows - row), most_rows);
        CAPI_ASSIGN_OR_RETURN(const int64_t consumed, AppendUsableRows(chunk, row, n, result));
        // Where many rows are bad, few are appended in vain.
        most_rows = consumed == n ? std::min(2 * most_rows, data::kMaxBatchRows) : kFewRows;
        row += consumed;
      }
      result->statistics.unclosed_quotes += chunk.num_unclosed;
      if (unclosed) {
        CAPI_RETURN_NOT_OK(Flush(result));
        const int64_t offset = OffsetOf(chunk, num_rows);
        RawRecord record;
        NextRecord(block_.text, plan_.options->separator, offset, &record);
        AddReject(record, record.cells.back().begin, UnclosedError(offset), result);
      }
      if (tokenizer_.fault() == CsvTokenizer::Fault::kTooLong) {
        return FailAfterFlush(FaultError(), 0, result);
      }
      if (tokenizer_.fault() == CsvTokenizer::Fault::kRagged) {
        CAPI_RETURN_NOT_OK(Flush(result));
        RawRecord record;
        NextRecord(block_.text, plan_.options->separator, tokenizer_.fault_offset(), &record);
        AddReject(record, record.begin, FaultError(), result);
        tokenizer_.Start(block_.text, record.end);
      }
    }
    return Flush(result);
  }

  /// Appends rows [from, from + n) up to the first that cannot be read, which goes to the rejected
  /// ones. Returns the number of rows done.
  Result<int64_t> AppendUsableRows(const CellChunk& chunk, int64_t from, int64_t n,
                                   BlockResult* result) {
    if (batch_rows_ == 0) CAPI_RETURN_NOT_OK(BeginBatch(chunk, from));
    std::vector<int64_t> left_over;
    for (const auto& builder : builders_) left_over.push_back(builder->left_over_cells());
    Status error;
    size_t bad_column = 0;
    const int64_t good_rows = AppendCells(chunk, from, n, &error, &bad_column);
    if (good_rows == n) {
      batch_rows_ += n;
      result->statistics.records += n;
      return n;
    }
    if (KindOf(error) != ErrorKind::kUser) return error;
    // Some columns have got cells of the bad row and behind it: all begin anew behind the rows that
    // were there before.
    for (size_t i = 0; i < builders_.size(); ++i) builders_[i]->set_left_over_cells(left_over[i]);
    CAPI_RETURN_NOT_OK(Flush(result));
    if (good_rows > 0) {
      CAPI_RETURN_NOT_OK(AppendRows(chunk, from, good_rows, result));
      CAPI_RETURN_NOT_OK(Flush(result));
    }
    RawRecord record;
    NextRecord(block_.text, plan_.options->separator, OffsetOf(chunk, from + good_rows), &record);
    const auto cell = static_cast<size_t>(section_.positions[bad_column]);
    AddReject(record, record.cells[cell].begin,
              CellError(OffsetOf(chunk, from + good_rows), bad_column, error), result);
    return good_rows + 1;
  }

  void AddReject(const RawRecord& record, int64_t error_offset, const Status& error,
                 BlockResult* result) const {
    result->items.push_back(
        {nullptr, MakeReject(block_.text, record.begin, record.end, error_offset, error)});
  }

  static int64_t RowOffset(const CellChunk& chunk, int64_t row) {
    return static_cast<int64_t>(chunk.record_begins[row]);
  }
  int64_t OffsetOf(const CellChunk& chunk, int64_t row) const {
    return chunk.base - block_.text.data() + RowOffset(chunk, row);
  }

  /// Appends rows [from, from + n) of the chunk to the batch.
  Status AppendRows(const CellChunk& chunk, int64_t from, int64_t n, BlockResult* result) {
    if (batch_rows_ == 0) {
      CAPI_RETURN_NOT_OK(BeginBatch(chunk, from));
    }
    Status error;
    size_t bad_column = 0;
    const int64_t good_rows = AppendCells(chunk, from, n, &error, &bad_column);
    batch_rows_ += good_rows;
    result->statistics.records += good_rows;
    if (good_rows == n) {
      return Status::OK();
    }
    return FailAfterFlush(CellError(OffsetOf(chunk, from + good_rows), bad_column, error), 0,
                          result);
  }

  /// Returns the number of rows before the first bad one. Only an earlier row makes a column's
  /// error count, so later columns stop before the worst row.
  int64_t AppendCells(const CellChunk& chunk, int64_t from, int64_t n, Status* error,
                      size_t* bad_column) {
    int64_t good_rows = n;
    for (size_t column = 0; column < builders_.size(); ++column) {
      Status column_error;
      const int64_t done = builders_[column]->Append(
          chunk, chunk.column(static_cast<int64_t>(column)) + from, good_rows, &column_error);
      if (done < good_rows) {
        good_rows = done;
        *error = std::move(column_error);
        *bad_column = column;
      }
    }
    return good_rows;
  }

  Status BeginBatch(const CellChunk& chunk, int64_t row) {
    batch_offset_ = OffsetOf(chunk, row);
    // From the size of the first records; buffers grow when that was wrong.
    const int64_t bytes_per_row = std::max<int64_t>(1, chunk.text_bytes / chunk.num_rows);
    const int64_t rows = (block_.end() - batch_offset_) / bytes_per_row;
    const int64_t expected_rows =
        std::clamp(rows + rows / 32 + 1, chunk.num_rows - row, data::kMaxBatchRows);
    for (const auto& builder : builders_) {
      CAPI_RETURN_NOT_OK(builder->Begin(expected_rows));
    }
    return Status::OK();
  }

  Status FlushIfFull(const CellChunk& chunk, BlockResult* result) {
    int64_t text_bytes = chunk.text_bytes;
    for (const auto& builder : builders_) {
      text_bytes += builder->text_bytes();
    }
    return batch_rows_ == data::kMaxBatchRows || text_bytes > kMaxBatchTextBytes ? Flush(result)
                                                                                 : Status::OK();
  }

  Status Flush(BlockResult* result) {
    const int64_t num_rows = std::exchange(batch_rows_, 0);
    if (num_rows == 0) {
      return Status::OK();
    }
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (const auto& builder : builders_) {
      CAPI_ASSIGN_OR_RETURN(columns.emplace_back(), builder->Finish(num_rows));
    }
    CsvBatch batch;
    batch.batch = data::MakeBatch(plan_.fields, std::move(columns), num_rows);
    batch.text = block_.text;
    batch.lines = &plan_.lines;
    batch.first_offset = batch_offset_;
    batch.separator = plan_.options->separator;
    std::vector<CsvReject> rejects;
    batch.rejects = &rejects;
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<void> made, (*plan_.transform)(std::move(batch)));
    result->items.push_back({std::move(made), std::nullopt});
    for (CsvReject& reject : rejects) result->items.push_back({nullptr, std::move(reject)});
    return Status::OK();
  }

  /// Rows before the error go their way first: an error they cause there is the smaller one.
  /// The last rows_to_drop rows are among the bad ones.
  Status FailAfterFlush(Status error, int64_t rows_to_drop, BlockResult* result) {
    batch_rows_ -= rows_to_drop;
    CAPI_RETURN_NOT_OK(Flush(result));
    return error;
  }

  Status UnclosedError(int64_t offset) const {
    RawRecord record;
    NextRecord(block_.text, plan_.options->separator, offset, &record);
    return RecordError(record.cells.back().begin, "csv_unclosed_quote",
                       "a quoted cell is never closed");
  }

  Status FaultError() const {
    const int64_t offset = tokenizer_.fault_offset();
    if (tokenizer_.fault() == CsvTokenizer::Fault::kTooLong) {
      return ErrorAt(*plan_.options, plan_.lines, offset, "csv_record_too_long",
                     "a record is too long (is a quote not closed?): more than " +
                         std::to_string(kMaxRecordBytes) + " bytes");
    }
    RawRecord record;
    NextRecord(block_.text, plan_.options->separator, offset, &record);
    return RecordError(record.begin, kRaggedRecord, RaggedMessage(record, plan_.head.num_cells));
  }

  /// Finding the place takes time that grows with the file, so that of rejected records is left to
  /// be found later.
  Status RecordError(int64_t offset, std::string_view error_class,
                     const std::string& message) const {
    return plan_.options->reject != nullptr
               ? UserError(error_class, message)
               : ErrorAt(*plan_.options, plan_.lines, offset, error_class, message);
  }

  Status CellError(int64_t offset, size_t column, const Status& why) const {
    const ErrorInfo info = InfoOf(why);
    if (info.kind != ErrorKind::kUser) {
      return why;
    }
    RawRecord record;
    NextRecord(block_.text, plan_.options->separator, offset, &record);
    const RawCell& cell = record.cells[static_cast<size_t>(section_.positions[column])];
    const CsvColumn& description = plan_.conversions[column].column();
    std::string message = "cannot read a cell as " +
                          std::string(data::FieldTypeName(description.field.type)) + ": column \"" +
                          description.field.name + "\"";
    if (!description.header.empty() && description.header != description.field.name) {
      message += " (header " + QuoteForMessage(description.header) + ")";
    }
    message += ", cell " + QuoteForMessage(CellText(block_.text, cell));
    if (!description.format.empty()) {
      message += ", format \"" + description.format + "\"";
    }
    if (!description.default_text.empty()) {
      message += ", default " + QuoteForMessage(description.default_text);
    }
    return RecordError(cell.begin, info.error_class, message + ": " + why.message());
  }

  int64_t LeftOverCells() const {
    int64_t sum = 0;
    for (const auto& builder : builders_) {
      sum += builder->left_over_cells();
    }
    return sum;
  }

  const FilePlan& plan_;
  const DataSection& section_;
  CsvTokenizer tokenizer_;
  std::vector<std::unique_ptr<CsvColumnBuilder>> builders_;
  Block block_;
  int64_t batch_rows_ = 0;
  int64_t batch_offset_ = 0;
};

/// Readers at rest, so that their scratch memory is reused. Thread-safe.
class BlockReaderPool {
 public:
  explicit BlockReaderPool(const FilePlan* plan) : plan_(*plan) {}

  BlockResult Read(const Block& block) {
    std::unique_ptr<BlockReader> reader = Take(block.section);
    BlockResult result = reader->Read(block);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(reader));
    return result;
  }

 private:
  std::unique_ptr<BlockReader> Take(const DataSection* section) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(idle_.begin(), idle_.end(), [section](const auto& reader) {
        return reader->section() == section;
      });
      if (found != idle_.end()) {
        std::unique_ptr<BlockReader> reader = std::move(*found);
        idle_.erase(found);
        return reader;
      }
    }
    return std::make_unique<BlockReader>(&plan_, section);
  }

  const FilePlan& plan_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<BlockReader>> idle_;
};

/// Blocks that are between cutting and emitting at once.
int64_t PipelineWindow(const exec::Context& context) { return 2 * context.pool->num_threads() + 1; }

/// Columns take about as much memory as their text; this includes what transforms make of them.
constexpr int64_t kMemoryPerTextByte = 3;

/// Smaller than asked for when the blocks at work would take much of the memory limit.
int64_t BlockBytes(const exec::Context& context, const CsvReadOptions& options) {
  constexpr int64_t kLeastBytes = 256 << 10;
  constexpr int64_t kLimitFraction = 4;
  int64_t block_bytes = std::max<int64_t>(1, options.block_bytes);
  if (context.memory != nullptr && context.memory->limit_bytes() > 0) {
    const int64_t share = context.memory->limit_bytes() / kLimitFraction / kMemoryPerTextByte /
                          PipelineWindow(context);
    block_bytes = std::min(block_bytes, std::max(share, kLeastBytes));
  }
  return block_bytes;
}

/// Accounts for the blocks at work.
exec::Reservation ReserveForBlocks(const exec::Context& context, int64_t block_bytes,
                                   const files::InputText& input) {
  if (context.memory == nullptr) {
    return exec::Reservation();
  }
  const int64_t at_work = block_bytes * PipelineWindow(context);
  exec::Reservation reservation(context.memory);
  // Text that is not a mapped file is memory itself, and what it was packed from says little.
  reservation.ForceGrow(input.keeps_text()
                            ? kMemoryPerTextByte * std::min(at_work, input.expected_bytes())
                            : (kMemoryPerTextByte + 1) * at_work);
  return reservation;
}

void MakeConversions(const CsvReadOptions& options, FilePlan* plan) {
  constexpr int64_t kMaxDefaultBytesAtOnce = int64_t{64} << 20;
  int64_t default_bytes = 1;
  for (const CsvColumn& column : options.columns) {
    plan->conversions.emplace_back(column, options.strict);
    plan->fields.push_back(column.field);
    if (column.field.type == data::FieldType::kString) {
      default_bytes += static_cast<int64_t>(column.default_text.size());
    }
  }
  plan->max_rows_at_once =
      std::clamp<int64_t>(kMaxDefaultBytesAtOnce / default_bytes, 1, data::kMaxBatchRows);
}

}  // namespace

}  // namespace internal

int64_t CsvBatch::LineOf(int64_t row) const {
  internal::RawRecord record;
  record.end = first_offset;
  for (int64_t i = 0; i <= row; ++i) {
    internal::NextRecord(text, separator, record.end, &record);
  }
  return lines->PlaceOf(record.begin).line;
}

void CsvBatch::Reject(const std::vector<std::pair<int64_t, Status>>& rows) const {
  internal::RawRecord record;
  record.end = first_offset;
  int64_t next = 0;
  for (const auto& [row, error] : rows) {
    for (; next <= row; ++next) internal::NextRecord(text, separator, record.end, &record);
    rejects->push_back(internal::MakeReject(text, record.begin, record.end, record.begin, error));
  }
}

Status ReadCsv(const exec::Context& context, files::InputText* input, const CsvReadOptions& options,
               const std::function<Result<std::shared_ptr<void>>(CsvBatch)>& transform,
               const std::function<Status(std::shared_ptr<void>)>& emit,
               CsvReadStatistics* statistics) {
  *statistics = {};
  internal::ArrivingText arriving(context, input);
  CAPI_RETURN_NOT_OK(arriving.Begin());
  internal::FilePlan plan(arriving.data());
  plan.options = &options;
  plan.transform = &transform;
  internal::MakeConversions(options, &plan);
  CAPI_ASSIGN_OR_RETURN(plan.head, internal::ReadArrivingHead(&arriving, options));
  if (plan.head.unclosed_offset >= 0) {
    statistics->unclosed_quotes = 1;
    if (options.strict) {
      return internal::ErrorAt(options, plan.lines, plan.head.unclosed_offset, "csv_unclosed_quote",
                               "a quoted cell is never closed");
    }
  }

  const int64_t block_bytes = internal::BlockBytes(context, options);
  const exec::Reservation reservation = internal::ReserveForBlocks(context, block_bytes, *input);
  internal::BlockCutter cutter(&plan.head, options.separator, &arriving, block_bytes);
  internal::BlockReaderPool readers(&plan);
  const int64_t file_bytes = input->expected_bytes();
  int64_t bytes_done = 0;
  const auto add_progress = [&](int64_t bytes, int64_t records) {
    // Of a packed file more text comes than it has bytes.
    bytes = std::min(bytes, file_bytes - bytes_done);
    bytes_done += bytes;
    if (context.progress != nullptr) {
      context.progress->work_done.fetch_add(bytes, std::memory_order_relaxed);
      context.progress->rows_in.fetch_add(records, std::memory_order_relaxed);
    }
  };
  CAPI_RETURN_NOT_OK((exec::OrderedPipeline<internal::Block, internal::BlockResult>(
      context.pool, context.cancel, static_cast<int>(internal::PipelineWindow(context)),
      [&cutter]() { return cutter.Next(); },
      [&readers](internal::Block block) -> Result<internal::BlockResult> {
        return readers.Read(block);
      },
      [&](internal::BlockResult block) -> Status {
        for (internal::BlockItem& item : block.items) {
          if (!item.reject) {
            CAPI_RETURN_NOT_OK(emit(std::move(item.result)));
            continue;
          }
          CsvReject& reject = *item.reject;
          // Rejects come in the order of the file: no line is counted twice.
          plan.lines.Release(reject.offset);
          reject.line = plan.lines.PlaceOf(reject.offset).line;
          reject.error =
              Located(reject.error,
                      {options.file_name, reject.line + reject.lines_to_error, reject.column}, "");
          CAPI_RETURN_NOT_OK(options.reject(std::move(reject)));
        }
        statistics->records += block.statistics.records;
        statistics->unclosed_quotes += block.statistics.unclosed_quotes;
        statistics->left_over_cells += block.statistics.left_over_cells;
        add_progress(block.num_bytes, block.statistics.records);
        CAPI_RETURN_NOT_OK(block.status);
        arriving.Release(block.end, &plan.lines);
        return Status::OK();
      })));
  add_progress(file_bytes - bytes_done, 0);  // what lies outside of the data
  return Status::OK();
}

namespace {

/// A text in memory.
class WholeText final : public files::InputText {
 public:
  explicit WholeText(std::string_view text) : text_(text) {}
  const char* data() const override { return text_.data(); }
  Result<int64_t> WaitFor(int64_t, const exec::CancelToken&) override { return expected_bytes(); }
  void Release(int64_t) override {}
  Result<files::InputRecord> Finish(const exec::CancelToken&) override {
    return files::InputRecord{};
  }
  int64_t expected_bytes() const override { return static_cast<int64_t>(text_.size()); }
  bool keeps_text() const override { return true; }

 private:
  const std::string_view text_;
};

}  // namespace

Status ReadCsv(const exec::Context& context, std::string_view text, const CsvReadOptions& options,
               const std::function<Result<std::shared_ptr<void>>(CsvBatch)>& transform,
               const std::function<Status(std::shared_ptr<void>)>& emit,
               CsvReadStatistics* statistics) {
  WholeText input(text);
  return ReadCsv(context, &input, options, transform, emit, statistics);
}

}  // namespace capi::formats
