#pragma once

// Blocks of values inside the evaluator, the scratch memory they live in, and the way in from Arrow
// columns.

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/data/go_format.h"
#include "capi/expr/tree.h"

namespace capi::expr {

using data::int128;

/// Rows evaluated in one go: small enough that the intermediate vectors of a usual expression stay
/// in the second-level cache, large enough to make the cost of a step per block vanish.
constexpr int64_t kBlockRows = 4096;

/// How the values of a vector lie in memory.
enum class Form : uint8_t {
  kInt64,       ///< int, month; decimal2: unscaled at `scale`; datetime: UTC milliseconds
  kDouble,      ///< float
  kMask,        ///< bool: a byte, 0 or 1
  kBits,        ///< bool, bit-packed from bit `bit_offset`: only in inputs
  kInt128,      ///< decimal2: unscaled at `scale`
  kBigDecimal,  ///< decimal2 beyond 128 bits
  kWide,        ///< datetime: data::WideDatetime
  kInstant,     ///< datetime with zone names, location
  kOffsets,     ///< string: int32 offsets into `bytes`
  kViews,       ///< string: std::string_view
  kCodes,       ///< string: int32 codes into `dictionary`, which is kOffsets or kViews
};

/// n values of one type; n is known from the context. Does not own memory: values live in an input
/// column, in the program or in a Scratch.
struct Vector {
  ValueType type = ValueType::kInt;
  Form form = Form::kInt64;
  /// One value stands for all rows.
  bool constant = false;
  int32_t scale = 0;
  int64_t bit_offset = 0;
  const void* values = nullptr;
  const char* bytes = nullptr;
  const Vector* dictionary = nullptr;
  int64_t dictionary_size = 0;

  template <typename T>
  const T* as() const {
    return static_cast<const T*>(values);
  }
};

inline Vector MakeVector(ValueType type, Form form, const void* values, bool constant = false) {
  Vector vector;
  vector.type = type;
  vector.form = form;
  vector.constant = constant;
  vector.values = values;
  return vector;
}

/// Rows of the input to evaluate: list[0..n) when there is a list, else begin .. begin + n.
struct Rows {
  int64_t begin = 0;
  int64_t n = 0;
  const int32_t* list = nullptr;

  int64_t operator[](int64_t i) const { return list == nullptr ? begin + i : list[i]; }
};

/// Memory of the intermediate vectors of a block, reused from block to block. One thread.
class Scratch {
 public:
  explicit Scratch(size_t first_chunk_bytes = size_t{256} << 10)
      : first_chunk_bytes_(first_chunk_bytes) {}

  template <typename T>
  T* Allocate(int64_t n) {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(AllocateBytes(static_cast<size_t>(n) * sizeof(T)));
  }
  std::vector<data::BigDecimal>& NewBigDecimals(int64_t n) {
    return decimals_.emplace_back(static_cast<size_t>(n));
  }
  std::vector<data::Instant>& NewInstants(int64_t n) {
    return instants_.emplace_back(static_cast<size_t>(n));
  }
  /// An empty string; the memory of earlier blocks is reused.
  std::string& NewText();
  /// Forgets everything allocated.
  void Reset();

 private:
  static constexpr size_t kAlignment = 64;

  struct Chunk {
    std::unique_ptr<char[]> memory;
    size_t bytes = 0;
  };
  void* AllocateBytes(size_t bytes);
  void AddChunk(size_t bytes);

  size_t first_chunk_bytes_;
  std::vector<Chunk> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t used_ = 0;
  std::deque<std::string> texts_;
  size_t num_texts_ = 0;
  std::deque<std::vector<data::BigDecimal>> decimals_;
  std::deque<std::vector<data::Instant>> instants_;
};

/// Columns of one call as vectors, by input position. The columns must outlive the use.
class Inputs {
 public:
  explicit Inputs(size_t num_columns) : columns_(num_columns), dictionaries_(num_columns) {}
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

  /// `column` may be a slice.
  Status SetColumn(size_t position, const arrow::Array& column);
  void SetVector(size_t position, const Vector& vector) { columns_[position].vector = vector; }

  const Vector& vector(size_t position) const { return columns_[position].vector; }
  const std::shared_ptr<arrow::ArrayData>& dictionary_data(size_t position) const {
    return columns_[position].dictionary_data;
  }

 private:
  struct Column {
    Vector vector;
    std::shared_ptr<arrow::ArrayData> dictionary_data;
  };
  std::vector<Column> columns_;
  std::vector<Vector> dictionaries_;  // columns_[i].vector.dictionary points here
};

/// The values of `rows` of an input column: without a copy where they are contiguous.
Vector SelectRows(const Vector& column, const Rows& rows, Scratch* scratch);

/// out[i] = vector[positions[i]] for every form but kBits.
Vector Gather(const Vector& vector, const int32_t* positions, int64_t n, Scratch* scratch);

/// One value, for the row-at-a-time paths.
data::Value ValueAt(const Vector& vector, int64_t row);
inline data::Instant InstantAt(const Vector& vector, int64_t row) {
  const int64_t i = vector.constant ? 0 : row;
  switch (vector.form) {
    case Form::kInt64:
      return data::Instant::FromMillis(vector.as<int64_t>()[i]);
    case Form::kWide:
      return data::Instant::FromWide(vector.as<data::WideDatetime>()[i]);
    default:
      return vector.as<data::Instant>()[i];
  }
}
std::string_view StringAt(const Vector& vector, int64_t row);
/// An exact decimal of any form.
data::BigDecimal DecimalAt(const Vector& vector, int64_t row);

/// A vector of the given values, all of `type`, in the narrowest form that holds them.
Vector FromValues(ValueType type, const std::vector<data::Value>& values, Scratch* scratch);

/// Storage of one constant of a program.
struct ConstantValue {
  explicit ConstantValue(ValueType type, const data::Value& value);
  ConstantValue(const ConstantValue&) = delete;
  ConstantValue& operator=(const ConstantValue&) = delete;

  Vector vector;

 private:
  static constexpr size_t kScratchBytes = 256;
  Scratch scratch_{kScratchBytes};
};

}  // namespace capi::expr
