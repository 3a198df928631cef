#pragma once

// Cuts a block of whole records into cells, a few thousand records at a time, so that text, cells
// and converted values of a step stay in the processor's cache.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/formats/csv_record_internal.h"
#include "capi/formats/csv_structure_internal.h"

namespace capi::formats::internal {

/// Longest record that is read; more is most likely a quote that is never closed.
constexpr int64_t kMaxRecordBytes = int64_t{512} << 20;

/// A cell: bytes of the file, or of the tokenizer's own buffer when the cell had to be decoded.
struct CellRef {
  static constexpr uint32_t kDecoded = uint32_t{1} << 31;
  uint32_t offset;
  uint32_t length_and_flag;
  uint32_t length() const { return length_and_flag & ~kDecoded; }
  bool decoded() const { return (length_and_flag & kDecoded) != 0; }
};

/// Cells of consecutive records. Valid until the next call of the tokenizer.
struct CellChunk {
  const char* base = nullptr;     ///< what offsets of cells that are not decoded count from
  const char* decoded = nullptr;  ///< what offsets of decoded cells count from
  /// Bytes around a cell that may be read, so that kernels can load whole words.
  const char* readable_begin = nullptr;
  const char* readable_end = nullptr;
  int64_t num_rows = 0;
  int64_t text_bytes = 0;  ///< at least the total length of one column's cells
  int64_t num_unclosed = 0;
  const CellRef* cells = nullptr;
  int64_t stride = 0;
  const uint32_t* record_begins = nullptr;  ///< from `base`, for messages

  const CellRef* column(int64_t index) const { return cells + index * stride; }
  const char* data(CellRef cell) const { return (cell.decoded() ? decoded : base) + cell.offset; }
  std::string_view text(CellRef cell) const { return {data(cell), cell.length()}; }
};

/// Used by one thread.
class CsvTokenizer {
 public:
  enum class Fault : uint8_t { kNone, kRagged, kTooLong };

  /// wanted[i] is the index in the record of the i-th column of the chunks, below num_cells (the
  /// number of cells of every record). window_bytes is how much text is looked at in one step.
  CsvTokenizer(char separator, int64_t num_cells, std::vector<int64_t> wanted,
               int64_t window_bytes);

  /// Goes to the block that begins at `begin` and ends with the text; it consists of whole records,
  /// and nothing before it is read. The text must outlive the block. May be called again and again.
  void Start(std::string_view text, int64_t begin);
  /// False at the end of the block. When fault() is set afterwards, the record at fault_offset() is
  /// wrong and the chunk holds the records before it (perhaps none); nothing may be read after
  /// that.
  bool Next(CellChunk* chunk);

  Fault fault() const { return fault_; }
  int64_t fault_offset() const { return fault_offset_; }

 private:
  struct WantedCell {
    int64_t cell;
    int64_t column;
  };

  void TokenizePlain();
  void TokenizeQuoted();
  bool TokenizeQuotedRecord();
  void TokenizeLongRecord();
  void SetFault(Fault fault, int64_t offset);
  void StoreDecoded(std::string_view content, CellRef* cell);
  void Store(size_t* next_wanted, int64_t cell, CellRef ref, bool encoded);

  std::string_view text_;  // up to the end of the block
  int64_t block_begin_ = 0;
  const char separator_;
  const int64_t num_cells_;
  const int64_t num_wanted_;
  const int64_t window_bytes_;
  std::vector<int64_t> wanted_;
  std::vector<WantedCell> by_cell_;         // sorted by cell
  std::vector<int64_t> last_cell_columns_;  // columns that want the last cell of the record

  CsvStructure structure_;
  std::unique_ptr<CellRef[]> cells_;
  std::vector<uint32_t> record_begins_;
  std::string decoded_;

  int64_t end_ = 0;
  // Current window; offsets below are relative to its begin.
  int64_t window_begin_ = 0;
  int64_t window_size_ = 0;
  bool window_active_ = false;
  int64_t record_begin_ = 0;  // first byte not yet consumed
  int64_t cursor_ = 0;        // next line feed (plain) or next position (quoted)
  int64_t num_rows_ = 0;      // of the chunk being filled
  int64_t num_unclosed_ = 0;
  Fault fault_ = Fault::kNone;
  int64_t fault_offset_ = 0;
};

}  // namespace capi::formats::internal
