#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/util/decimal.h"
#include "capi/base/time_units.h"
#include "capi/data/column.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/formats/parquet_column_internal.h"
#include "capi/formats/parquet_pages_internal.h"

namespace capi::formats::internal {

namespace {

using data::FieldType;
using data::int128;

constexpr int64_t kSecondsPerDay = 86400;
constexpr int64_t kJulianDayOf1970 = 2440588;
/// Years 0 to 9999.
constexpr int64_t kFirstSecond = -62167219200;
constexpr int64_t kLastSecond = 253402300799;

Result<std::shared_ptr<arrow::Array>> FinishFixed(const std::shared_ptr<arrow::DataType>& type,
                                                  int64_t rows,
                                                  std::shared_ptr<arrow::Buffer> values) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, rows, {nullptr, std::move(values)}, 0));
}

/// Column under construction whose values all have `Out`'s width.
template <typename Out>
class FixedOutput {
 public:
  using Value = Out;
  Status Begin(int64_t n) {
    CAPI_ASSIGN_OR_RETURN(buffer_, arrow::AllocateBuffer(n * static_cast<int64_t>(sizeof(Out))));
    values_ = reinterpret_cast<Out*>(buffer_->mutable_data());
    return Status::OK();
  }
  void Put(int64_t row, Out value) { values_[row] = value; }
  std::shared_ptr<arrow::Buffer> Take() { return std::move(buffer_); }

 private:
  std::unique_ptr<arrow::Buffer> buffer_;
  Out* values_ = nullptr;
};

class IntOutput : public FixedOutput<int64_t> {
 public:
  Result<std::shared_ptr<arrow::Array>> Finish(int64_t rows) {
    return FinishFixed(data::ArrowTypeOf(FieldType::kInt), rows, Take());
  }
};

class FloatOutput : public FixedOutput<double> {
 public:
  Result<std::shared_ptr<arrow::Array>> Finish(int64_t rows) {
    return FinishFixed(data::ArrowTypeOf(FieldType::kFloat), rows, Take());
  }
};

class BoolOutput {
 public:
  using Value = bool;
  Status Begin(int64_t n) {
    CAPI_ASSIGN_OR_RETURN(buffer_, arrow::AllocateBuffer((n + 7) / 8));
    std::memset(buffer_->mutable_data(), 0, static_cast<size_t>(buffer_->size()));
    return Status::OK();
  }
  void Put(int64_t row, bool value) {
    buffer_->mutable_data()[row / 8] |=
        static_cast<uint8_t>(static_cast<unsigned>(value) << (row % 8));
  }
  Result<std::shared_ptr<arrow::Array>> Finish(int64_t rows) {
    return FinishFixed(data::ArrowTypeOf(FieldType::kBool), rows, std::move(buffer_));
  }

 private:
  std::unique_ptr<arrow::Buffer> buffer_;
};

/// Narrow until a value does not fit; then all values are widened.
template <typename Narrow, typename Wide, typename Traits>
class GrowingOutput {
 public:
  using Value = Wide;
  Status Begin(int64_t n) {
    num_rows_ = n;
    is_wide_ = false;
    return narrow_.Begin(n);
  }
  Status Put(int64_t row, const Wide& value) {
    Narrow narrow;
    if (!is_wide_) {
      if (Traits::Fits(value, &narrow)) [[likely]] {
        narrow_.Put(row, narrow);
        return Status::OK();
      }
      CAPI_RETURN_NOT_OK(Widen(row));
    }
    wide_.Put(row, value);
    return Status::OK();
  }
  void PutNarrow(int64_t row, Narrow value) {
    if (is_wide_) {
      wide_.Put(row, Traits::ToWide(value));
    } else {
      narrow_.Put(row, value);
    }
  }
  Result<std::shared_ptr<arrow::Array>> Finish(int64_t rows) {
    return is_wide_ ? FinishFixed(Traits::WideType(), rows, wide_.Take())
                    : FinishFixed(Traits::NarrowType(), rows, narrow_.Take());
  }

 private:
  Status Widen(int64_t rows) {
    CAPI_RETURN_NOT_OK(wide_.Begin(num_rows_));
    const std::shared_ptr<arrow::Buffer> values = narrow_.Take();
    for (int64_t row = 0; row < rows; ++row) {
      wide_.Put(row, Traits::ToWide(reinterpret_cast<const Narrow*>(values->data())[row]));
    }
    is_wide_ = true;
    return Status::OK();
  }

  int64_t num_rows_ = 0;
  bool is_wide_ = false;
  FixedOutput<Narrow> narrow_;
  FixedOutput<Wide> wide_;
};

struct DecimalLayout {
  static bool Fits(const int128& value, int64_t* narrow) {
    *narrow = static_cast<int64_t>(value);
    return value >= -data::kMaxNarrowDecimal && value <= data::kMaxNarrowDecimal;
  }
  static int128 ToWide(int64_t value) { return value; }
  static const std::shared_ptr<arrow::DataType>& NarrowType() {
    return data::ArrowTypeOf(FieldType::kDecimal2);
  }
  static const std::shared_ptr<arrow::DataType>& WideType() { return data::WideDecimalArrowType(); }
};
using DecimalOutput = GrowingOutput<int64_t, int128, DecimalLayout>;

struct DatetimeLayout {
  static bool Fits(const data::WideDatetime& value, int64_t* narrow) {
    *narrow = value.seconds * 1000 + value.nanos / 1000000;
    return value.nanos % 1000000 == 0;
  }
  static data::WideDatetime ToWide(int64_t millis) {
    return data::Instant::FromMillis(millis).ToWide();
  }
  static const std::shared_ptr<arrow::DataType>& NarrowType() {
    return data::ArrowTypeOf(FieldType::kDatetime);
  }
  static const std::shared_ptr<arrow::DataType>& WideType() {
    return data::WideDatetimeArrowType();
  }
};
using DatetimeOutput = GrowingOutput<int64_t, data::WideDatetime, DatetimeLayout>;

Status OutOfRange(const std::string& value, std::string_view type) {
  return UserError("number_out_of_range",
                   "the value does not fit " + std::string(type) + ": " + value);
}

/// value * 10^-scale in hundredths, rounded half away from zero; nothing beyond 38 digits.
std::optional<int128> ToHundredths(int128 value, int scale) {
  constexpr int kHundredthsScale = 2;
  constexpr int kMaxShift = 38;
  if (scale > kHundredthsScale) {
    const int shift = scale - kHundredthsScale;
    if (shift > kMaxShift) return int128{0};  // 128 bits hold less than half of 10^39
    value = data::RescaleHalfAway(value, scale, kHundredthsScale);
  }
  for (; scale < kHundredthsScale; ++scale) {
    if (__builtin_mul_overflow(value, int128{10}, &value)) return std::nullopt;
  }
  if (!data::FitsStoredDecimal(value)) return std::nullopt;
  return value;
}

/// The same for a big-endian two's complement number of any length.
std::optional<int128> BytesToHundredths(const uint8_t* bytes, int64_t length, int scale) {
  const bool negative = length > 0 && (bytes[0] & 0x80U) != 0;
  const uint8_t fill = negative ? 0xFF : 0;
  // Bytes that only repeat the sign carry nothing.
  while (length > 1 && bytes[0] == fill && ((bytes[1] & 0x80U) != 0) == negative) {
    ++bytes;
    --length;
  }
  if (length <= static_cast<int64_t>(sizeof(int128))) {
    auto value = negative ? ~static_cast<unsigned __int128>(0) : static_cast<unsigned __int128>(0);
    for (int64_t i = 0; i < length; ++i) value = value << 8U | bytes[i];
    return ToHundredths(static_cast<int128>(value), scale);
  }
  constexpr int64_t kDecimal256Bytes = 32;
  constexpr int kHundredthsScale = 2;
  if (length > kDecimal256Bytes || scale <= kHundredthsScale) return std::nullopt;
  const auto big = arrow::Decimal256::FromBigEndian(bytes, static_cast<int32_t>(length));
  if (!big.ok()) return std::nullopt;
  const arrow::Decimal256 rounded = big->ReduceScaleBy(scale - kHundredthsScale, /*round=*/true);
  const std::array<uint8_t, kDecimal256Bytes> little = rounded.ToBytes();
  std::array<uint8_t, kDecimal256Bytes> digits;
  std::reverse_copy(little.begin(), little.end(), digits.begin());
  return BytesToHundredths(digits.data(), kDecimal256Bytes, kHundredthsScale);
}

std::string HexOf(const uint8_t* bytes, int64_t length) {
  static constexpr char kDigits[] = "0123456789abcdef";
  constexpr int64_t kMostShown = 40;
  std::string text = "0x";
  for (int64_t i = 0; i < std::min(length, kMostShown); ++i) {
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 0xFU];
  }
  return length > kMostShown ? text + "..." : text;
}

// What a stored value becomes. Each conversion puts one value or says why not.

struct ToInt {
  bool is_unsigned = false;
  Status operator()(int32_t value, int64_t row, IntOutput* out) const {
    out->Put(row, is_unsigned ? int64_t{static_cast<uint32_t>(value)} : int64_t{value});
    return Status::OK();
  }
  Status operator()(int64_t value, int64_t row, IntOutput* out) const {
    if (is_unsigned && value < 0) [[unlikely]] {
      return OutOfRange(std::to_string(static_cast<uint64_t>(value)), "int");
    }
    out->Put(row, value);
    return Status::OK();
  }
};

struct ToFloat {
  bool is_unsigned = false;
  Status operator()(int32_t value, int64_t row, FloatOutput* out) const {
    out->Put(row, is_unsigned ? static_cast<double>(static_cast<uint32_t>(value))
                              : static_cast<double>(value));
    return Status::OK();
  }
  Status operator()(int64_t value, int64_t row, FloatOutput* out) const {
    out->Put(row, is_unsigned ? static_cast<double>(static_cast<uint64_t>(value))
                              : static_cast<double>(value));
    return Status::OK();
  }
  Status operator()(double value, int64_t row, FloatOutput* out) const {
    out->Put(row, value);
    return Status::OK();
  }
};

struct ToBool {
  Status operator()(bool value, int64_t row, BoolOutput* out) const {
    out->Put(row, value);
    return Status::OK();
  }
};

struct ToDecimal {
  int scale = 0;
  bool is_unsigned = false;
  int64_t fixed_length = 0;

  Status operator()(int32_t value, int64_t row, DecimalOutput* out) const {
    if (is_unsigned) return PutScaled(static_cast<uint32_t>(value), row, out);
    return PutScaled(value, row, out);
  }
  Status operator()(int64_t value, int64_t row, DecimalOutput* out) const {
    if (is_unsigned) return PutScaled(static_cast<uint64_t>(value), row, out);
    if (scale == 2) return out->Put(row, value);
    return PutScaled(value, row, out);
  }
  Status operator()(const parquet::ByteArray& value, int64_t row, DecimalOutput* out) const {
    return PutBytes(value.ptr, int64_t{value.len}, row, out);
  }
  Status operator()(const parquet::FixedLenByteArray& value, int64_t row,
                    DecimalOutput* out) const {
    return PutBytes(value.ptr, fixed_length, row, out);
  }

 private:
  Status PutScaled(int128 value, int64_t row, DecimalOutput* out) const {
    const std::optional<int128> hundredths = ToHundredths(value, scale);
    if (!hundredths) return OutOfRange(std::to_string(static_cast<int64_t>(value)), "decimal2");
    return out->Put(row, *hundredths);
  }
  Status PutBytes(const uint8_t* bytes, int64_t length, int64_t row, DecimalOutput* out) const {
    const std::optional<int128> hundredths = BytesToHundredths(bytes, length, scale);
    if (!hundredths) return OutOfRange(HexOf(bytes, length), "decimal2");
    return out->Put(row, *hundredths);
  }
};

int64_t FloorDivide(int64_t value, int64_t by) {
  return value / by - static_cast<int64_t>(value % by < 0);
}

struct ToDatetime {
  int64_t units_per_second = 1000;

  /// Days since 1970.
  Status operator()(int32_t days, int64_t row, DatetimeOutput* out) const {
    return PutInstant(days * kSecondsPerDay, 0, row, out);
  }
  Status operator()(int64_t units, int64_t row, DatetimeOutput* out) const {
    constexpr int64_t kMillis = 1000;
    constexpr int64_t kMicros = 1000000;
    if (units_per_second == kMillis) {
      if (units < kFirstSecond * kMillis || units >= (kLastSecond + 1) * kMillis) [[unlikely]] {
        return MomentOutOfRange(FloorDivide(units, kMillis));
      }
      out->PutNarrow(row, units);
      return Status::OK();
    }
    return units_per_second == kMicros ? PutUnits<kMicros>(units, row, out)
                                       : PutUnits<kNanosPerSecond>(units, row, out);
  }
  Status operator()(const parquet::Int96& value, int64_t row, DatetimeOutput* out) const {
    int64_t nanos_of_day;
    std::memcpy(&nanos_of_day, value.value.data(), sizeof(nanos_of_day));
    const int64_t days = int64_t{value.value[2]} - kJulianDayOf1970;
    const int64_t seconds = FloorDivide(nanos_of_day, kNanosPerSecond);
    return PutInstant(days * kSecondsPerDay + seconds, nanos_of_day - seconds * kNanosPerSecond,
                      row, out);
  }

 private:
  static Status MomentOutOfRange(int64_t seconds) {
    return UserError("datetime_out_of_range", "the moment is not in the years 0 to 9999: " +
                                                  std::to_string(seconds) + " seconds since 1970");
  }
  template <int64_t units_per_second>
  static Status PutUnits(int64_t units, int64_t row, DatetimeOutput* out) {
    const int64_t seconds = FloorDivide(units, units_per_second);
    const int64_t rest = units - seconds * units_per_second;
    return PutInstant(seconds, rest * (kNanosPerSecond / units_per_second), row, out);
  }
  static Status PutInstant(int64_t seconds, int64_t nanos, int64_t row, DatetimeOutput* out) {
    if (seconds < kFirstSecond || seconds > kLastSecond) [[unlikely]] {
      return MomentOutOfRange(seconds);
    }
    data::WideDatetime value;
    value.seconds = seconds;
    value.nanos = static_cast<int32_t>(nanos);
    return out->Put(row, value);
  }
};

template <typename DType, typename Output, typename Convert>
class FixedDecoder final : public ParquetColumnDecoder {
 public:
  FixedDecoder(ColumnPages pages, const FileColumn& column, Convert convert,
               typename Output::Value default_value)
      : source_(std::move(pages), column),
        convert_(std::move(convert)),
        default_value_(default_value) {}

  Result<std::shared_ptr<arrow::Array>> Read(int64_t begin, int64_t n, int64_t* good_rows,
                                             Status* error) override {
    source_.SeekTo(begin);
    CAPI_RETURN_NOT_OK(output_.Begin(n));
    int64_t row = 0;
    while (row < n) {
      const ColumnPiece<typename DType::c_type> piece = source_.Next(n - row);
      *error = Append(piece, &row);
      if (!error->ok()) break;
    }
    *good_rows = row;
    return output_.Finish(row);
  }

 private:
  Status Append(const ColumnPiece<typename DType::c_type>& piece, int64_t* row) {
    if (piece.levels == nullptr) {
      for (int64_t i = 0; i < piece.rows; ++i) {
        CAPI_RETURN_NOT_OK(convert_(piece.values[i], *row, &output_));
        ++*row;
      }
      return Status::OK();
    }
    const typename DType::c_type* value = piece.values;
    for (int64_t i = 0; i < piece.rows; ++i) {
      if (piece.levels[i] == 0) {
        CAPI_RETURN_NOT_OK(PutDefault(*row));
      } else {
        CAPI_RETURN_NOT_OK(convert_(*value++, *row, &output_));
      }
      ++*row;
    }
    return Status::OK();
  }

  Status PutDefault(int64_t row) {
    if constexpr (std::is_void_v<decltype(output_.Put(row, default_value_))>) {
      output_.Put(row, default_value_);
      return Status::OK();
    } else {
      return output_.Put(row, default_value_);
    }
  }

  ColumnSource<DType> source_;
  const Convert convert_;
  const typename Output::Value default_value_;
  Output output_;
};

/// A column that is annotated as having no values. Its pages are gone through all the same: only
/// they tell that the rows are there.
template <typename DType>
class NothingDecoder final : public ParquetColumnDecoder {
 public:
  NothingDecoder(ColumnPages pages, const FileColumn& column, FieldType type,
                 data::Value default_value)
      : source_(std::move(pages), column), type_(type), default_value_(std::move(default_value)) {}

  Result<std::shared_ptr<arrow::Array>> Read(int64_t begin, int64_t n, int64_t* good_rows,
                                             Status* /*error*/) override {
    source_.SeekTo(begin);
    for (int64_t row = 0; row < n;) row += source_.Next(n - row).rows;
    *good_rows = n;
    return data::ConstantColumn(type_, default_value_, n);
  }

 private:
  ColumnSource<DType> source_;
  const FieldType type_;
  const data::Value default_value_;
};

/// Calls make.operator()<DType>() for the physical type.
template <typename Make>
std::unique_ptr<ParquetColumnDecoder> ForPhysicalType(const FileColumn& column, const Make& make) {
  using parquet::Type;
  switch (column.descriptor->physical_type()) {
    case Type::BOOLEAN:
      return make.template operator()<parquet::BooleanType>();
    case Type::INT32:
      return make.template operator()<parquet::Int32Type>();
    case Type::INT64:
      return make.template operator()<parquet::Int64Type>();
    case Type::INT96:
      return make.template operator()<parquet::Int96Type>();
    case Type::FLOAT:
      return make.template operator()<parquet::FloatType>();
    case Type::DOUBLE:
      return make.template operator()<parquet::DoubleType>();
    case Type::BYTE_ARRAY:
      return make.template operator()<parquet::ByteArrayType>();
    case Type::FIXED_LEN_BYTE_ARRAY:
      return make.template operator()<parquet::FLBAType>();
    default:
      throw parquet::ParquetException("unknown physical type");
  }
}

template <typename Output, typename Convert>
std::unique_ptr<ParquetColumnDecoder> MakeFixed(ColumnPages pages, const FileColumn& column,
                                                Convert convert,
                                                typename Output::Value default_value) {
  return ForPhysicalType(column, [&]<typename DType>() -> std::unique_ptr<ParquetColumnDecoder> {
    if constexpr (std::is_invocable_v<Convert, typename DType::c_type, int64_t, Output*>) {
      return std::make_unique<FixedDecoder<DType, Output, Convert>>(std::move(pages), column,
                                                                    convert, default_value);
    } else {
      throw parquet::ParquetException("the annotation does not fit the physical type");
    }
  });
}

int128 HundredthsOf(const data::Value& value) {
  int128 hundredths = 0;
  // The loader has checked that defaults fit.
  (void)std::get<data::BigDecimal>(value).ToInt128(2, &hundredths);
  return hundredths;
}

}  // namespace

std::unique_ptr<ParquetColumnDecoder> ParquetColumnDecoder::Make(ParquetFile* file, int row_group,
                                                                 const FileColumn& column,
                                                                 FieldType type,
                                                                 const data::Value& default_value) {
  if (type == FieldType::kString && column.meaning == Meaning::kText) {
    return MakeTextDecoder(file, row_group, column, std::get<std::string>(default_value));
  }
  ColumnPages pages = file->OpenColumn(row_group, column.leaf, /*expose_dictionary=*/false);
  if (column.meaning == Meaning::kNothing) {
    return ForPhysicalType(column, [&]<typename DType>() -> std::unique_ptr<ParquetColumnDecoder> {
      return std::make_unique<NothingDecoder<DType>>(std::move(pages), column, type, default_value);
    });
  }
  const bool is_unsigned = column.meaning == Meaning::kUnsigned;
  switch (type) {
    case FieldType::kInt:
      return MakeFixed<IntOutput>(std::move(pages), column, ToInt{is_unsigned},
                                  std::get<int64_t>(default_value));
    case FieldType::kFloat:
      return MakeFixed<FloatOutput>(std::move(pages), column, ToFloat{is_unsigned},
                                    std::get<double>(default_value));
    case FieldType::kBool:
      return MakeFixed<BoolOutput>(std::move(pages), column, ToBool{},
                                   std::get<bool>(default_value));
    case FieldType::kDecimal2:
      return MakeFixed<DecimalOutput>(
          std::move(pages), column,
          ToDecimal{column.scale, is_unsigned, column.descriptor->type_length()},
          HundredthsOf(default_value));
    default:
      return MakeFixed<DatetimeOutput>(std::move(pages), column,
                                       ToDatetime{column.units_per_second},
                                       std::get<data::Instant>(default_value).ToWide());
  }
}

}  // namespace capi::formats::internal
