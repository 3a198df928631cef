#pragma once

// Values and rows in CQL's wire format (native protocol v4, section 6): what goes to the server and
// what comes back is kept as bytes, so that nothing is converted twice.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capi::cql {

/// Values of the bind markers of one statement, in their order. Types must be those of the
/// statement; the server refuses others.
class Values {
 public:
  Values& Boolean(bool value);
  Values& TinyInt(int8_t value);
  Values& Int(int32_t value);
  Values& BigInt(int64_t value);
  Values& Double(double value);
  /// Milliseconds since 1970 UTC.
  Values& Timestamp(int64_t millis) { return BigInt(millis); }
  Values& Text(std::string_view value);
  Values& Blob(std::string_view value) { return Text(value); }
  /// `unscaled` is big-endian two's complement of any length >= 1.
  Values& Decimal(std::string_view unscaled, int32_t scale);
  Values& Null();

  int count() const { return count_; }
  /// For every value a 4-byte big-endian length (-1 = null) and the bytes.
  const std::string& bytes() const { return bytes_; }
  void Clear();

 private:
  std::string bytes_;
  int count_ = 0;
};

/// A page of result rows, or the whole result.
class Rows {
 public:
  /// Takes the cells row by row, coded as in Values::bytes().
  struct Page {
    std::shared_ptr<const void> owner;  ///< keeps `cells` alive
    std::string_view cells;
    int64_t num_rows = 0;
  };

  Rows() = default;
  explicit Rows(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  /// False if the cells do not fit the number of rows and columns.
  bool Append(Page page);

  int64_t size() const { return num_rows_; }
  bool empty() const { return num_rows_ == 0; }
  const std::vector<std::string>& columns() const { return columns_; }
  /// Position of a column, -1 if there is none.
  int ColumnIndex(std::string_view name) const;

  /// nullopt: null. Valid as long as this object.
  std::optional<std::string_view> Cell(int64_t row, int column) const;
  bool IsNull(int64_t row, int column) const { return !Cell(row, column).has_value(); }
  // Typed cells; null and cells of another length read as zero.
  bool Boolean(int64_t row, int column) const;
  int64_t Integer(int64_t row, int column) const;  ///< tinyint, smallint, int, bigint, timestamp
  double Double(int64_t row, int column) const;
  std::string_view Text(int64_t row, int column) const;  ///< text and blob

 private:
  struct Slice {
    const char* data = nullptr;
    int32_t length = -1;
  };
  std::vector<std::string> columns_;
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<Slice> cells_;  // row by row
  int64_t num_rows_ = 0;
};

}  // namespace capi::cql
