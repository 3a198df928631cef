#pragma once

// A column chunk as a sequence of small pieces of rows, with jumps forward.

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "capi/formats/parquet_file_internal.h"
#include "parquet/exception.h"

namespace capi::formats::internal {

/// Rows that are taken from the library at once: few enough for the first-level cache.
constexpr int64_t kPieceRows = 2048;

/// Rows [.., rows) of a column: the values that are there, one after the other, and which rows have
/// one (null: all). Valid until the next piece is read.
template <typename Value>
struct ColumnPiece {
  int64_t rows = 0;
  const Value* values = nullptr;
  int64_t num_values = 0;
  const int16_t* levels = nullptr;  ///< 1 = value, 0 = null
};

/// Where a reader of a column chunk stands. Used by one thread at a time; throws.
class ColumnPosition {
 public:
  ColumnPosition(ColumnPages pages, const FileColumn& column)
      : pages_(std::move(pages)), optional_(column.descriptor->max_definition_level() > 0) {}

  parquet::ColumnReader* reader() const { return pages_.reader.get(); }
  bool optional() const { return optional_; }

  /// Moves on to `row`. Whole pages in between are not decompressed; skip(n) passes n rows of the
  /// loaded page.
  template <typename Skip>
  void SeekTo(int64_t row, const Skip& skip) {
    pages_.tracker->target = row;
    while (position_ < row) {
      if (position_ < pages_.tracker->loaded_end) {
        const int64_t n = std::min(row, pages_.tracker->loaded_end) - position_;
        skip(n);
        position_ += n;
        continue;
      }
      if (!reader()->HasNext() || pages_.tracker->loaded_end <= position_) Missing();
      position_ = pages_.tracker->loaded_begin;
    }
  }

  /// Rows were read (at least one, or the chunk is cut off).
  void Advance(int64_t rows) {
    if (rows <= 0) Missing();
    position_ += rows;
  }

  int16_t* levels() { return optional_ ? levels_.data() : nullptr; }
  /// Levels of a piece, null when every row has a value.
  const int16_t* LevelsOf(int64_t rows, int64_t num_values) const {
    if (num_values == rows) return nullptr;
    if (!optional_ || num_values > rows) Missing();
    return levels_.data();
  }

 private:
  [[noreturn]] static void Missing() {
    throw parquet::ParquetException("the column has fewer values than its row group has rows");
  }

  const ColumnPages pages_;
  const bool optional_;
  int64_t position_ = 0;
  std::array<int16_t, kPieceRows> levels_;
};

/// Reads values of one physical type.
template <typename DType>
class ColumnSource {
 public:
  using Value = typename DType::c_type;

  ColumnSource(ColumnPages pages, const FileColumn& column)
      : position_(std::move(pages), column),
        reader_(static_cast<parquet::TypedColumnReader<DType>*>(position_.reader())) {}

  void SeekTo(int64_t row) {
    position_.SeekTo(row, [this](int64_t n) {
      if (reader_->Skip(n) != n) position_.Advance(0);
    });
  }

  /// 1 to min(max_rows, kPieceRows) rows.
  ColumnPiece<Value> Next(int64_t max_rows) {
    ColumnPiece<Value> piece;
    piece.rows = reader_->ReadBatch(std::min(max_rows, kPieceRows), position_.levels(), nullptr,
                                    values_.data(), &piece.num_values);
    position_.Advance(piece.rows);
    piece.levels = position_.LevelsOf(piece.rows, piece.num_values);
    piece.values = values_.data();
    return piece;
  }

 private:
  ColumnPosition position_;
  parquet::TypedColumnReader<DType>* const reader_;
  std::array<Value, kPieceRows> values_;
};

}  // namespace capi::formats::internal
