#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/array_dict.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/data/column.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/python/columns_internal.h"

namespace capi::python {

namespace {

using arrow::ArrayData;
using arrow::Buffer;
using data::int128;

constexpr char kLayout[] = "2006-01-02T15:04:05.000-07:00";
/// Without the zone: what TimeLayout reads without a branch per character.
constexpr char kUtcLayout[] = "2006-01-02T15:04:05.000";
constexpr std::string_view kUtcZone = "+00:00";
constexpr size_t kMomentSize = 23;
constexpr std::string_view kNotFinite = "the result is not a finite number";
constexpr int64_t kHundred = 100;
/// Whole floats up to here are exact.
constexpr int64_t kExactInts = int64_t{1} << 53;

struct ColumnHeader {
  char encoding = 0;
  char unused[7] = {};
  uint64_t size = 0;
};
static_assert(sizeof(ColumnHeader) == 16);

template <typename T>
void AppendValues(const T* values, int64_t n, std::string* out) {
  out->append(reinterpret_cast<const char*>(values), static_cast<size_t>(n) * sizeof(T));
}

template <typename T>
void AppendValue(T value, std::string* out) {
  AppendValues(&value, 1, out);
}

template <typename T>
const T* FixedValues(const arrow::Array& column) {
  return reinterpret_cast<const T*>(column.data()->buffers[1]->data()) + column.offset();
}

/// Strings with NUL between them, or with lengths before them when one holds a NUL.
template <typename View>
char AppendStrings(int64_t n, const View& view, std::string* out) {
  size_t total = 0;
  bool has_nul = false;
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view text = view(i);
    total += text.size() + 1;
    has_nul |= std::memchr(text.data(), 0, text.size()) != nullptr;
  }
  out->reserve(out->size() + total + static_cast<size_t>(n) * sizeof(uint32_t));
  if (has_nul) {
    for (int64_t i = 0; i < n; ++i) AppendValue(static_cast<uint32_t>(view(i).size()), out);
    for (int64_t i = 0; i < n; ++i) *out += view(i);
    return 'l';
  }
  for (int64_t i = 0; i < n; ++i) {
    if (i > 0) *out += '\0';
    *out += view(i);
  }
  return 's';
}

Result<char> AppendStringColumn(const arrow::Array& column, std::string* out) {
  const int64_t n = column.length();
  CAPI_ASSIGN_OR_RETURN(const data::StringReader reader, data::StringReader::Make(column));
  if (column.type_id() != arrow::Type::DICTIONARY) {
    return AppendStrings(
        n, [&](int64_t i) { return reader[i]; }, out);
  }
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(column);
  const int64_t num_values = dictionary.dictionary()->length();
  if (num_values > n) {
    return AppendStrings(
        n, [&](int64_t i) { return reader[i]; }, out);
  }
  // Each value becomes one Python string, however often it occurs.
  CAPI_ASSIGN_OR_RETURN(const data::StringReader values,
                        data::StringReader::Make(*dictionary.dictionary()));
  std::string encoded;
  const char encoding = AppendStrings(
      num_values, [&](int64_t i) { return values[i]; }, &encoded);
  AppendValue(static_cast<uint64_t>(num_values), out);
  AppendValue(static_cast<uint64_t>(encoding), out);
  AppendValue(static_cast<uint64_t>(encoded.size()), out);
  *out += encoded;
  AppendValues(FixedValues<int32_t>(*dictionary.indices()), n, out);
  return 'c';
}

char AppendBools(const arrow::Array& column, std::string* out) {
  const uint8_t* bits = column.data()->buffers[1]->data();
  for (int64_t i = 0; i < column.length(); ++i) {
    *out += arrow::bit_util::GetBit(bits, column.offset() + i) ? '\1' : '\0';
  }
  return 'b';
}

Result<char> AppendMoments(const arrow::Array& column, std::string* out) {
  if (column.type_id() != arrow::Type::TIMESTAMP) {
    return BugError("a datetime column given to formulas is not in the stored layout");
  }
  static const data::TimeLayout kCompiled = data::TimeLayout::Compile(kUtcLayout);
  const auto* millis = FixedValues<int64_t>(column);
  out->reserve(out->size() + static_cast<size_t>(column.length()) * (kMomentSize + 7));
  for (int64_t i = 0; i < column.length(); ++i) {
    if (i > 0) *out += '\0';
    kCompiled.FormatMillis(millis[i], out);
    *out += kUtcZone;
  }
  return 's';
}

/// Whole values become ints and others floats in Python, as their plain texts would.
char AppendNarrowDecimals(const int64_t* hundredths, int64_t n, std::string* out) {
  std::vector<uint32_t> whole_rows;
  std::vector<int64_t> wholes;
  for (int64_t i = 0; i < n; ++i) {
    // Both sides of the division are exact, so that the quotient is the nearest float.
    AppendValue(static_cast<double>(hundredths[i]) / kHundred, out);
    if (hundredths[i] % kHundred == 0) {
      whole_rows.push_back(static_cast<uint32_t>(i));
      wholes.push_back(hundredths[i] / kHundred);
    }
  }
  AppendValue(static_cast<uint64_t>(wholes.size()), out);
  AppendValues(wholes.data(), static_cast<int64_t>(wholes.size()), out);
  AppendValues(whole_rows.data(), static_cast<int64_t>(whole_rows.size()), out);
  return 'm';
}

/// Text without trailing zeros after the point, and no point without decimals.
std::string_view PlainText(int128 hundredths, char* buffer) {
  std::string_view text(buffer, static_cast<size_t>(data::FormatHundredths(hundredths, buffer)));
  while (text.back() == '0') text.remove_suffix(1);
  if (text.back() == '.') text.remove_suffix(1);
  return text;
}

template <typename T>
char AppendDecimalTexts(const T* hundredths, int64_t n, std::string* out) {
  char buffer[64];
  for (int64_t i = 0; i < n; ++i) {
    if (i > 0) *out += '\0';
    *out += PlainText(hundredths[i], buffer);
  }
  return 't';
}

Result<char> AppendDecimals(const arrow::Array& column, std::string* out) {
  const int64_t n = column.length();
  if (column.type_id() == arrow::Type::DECIMAL128) {
    std::vector<int128> values(static_cast<size_t>(n));
    std::memcpy(values.data(), column.data()->buffers[1]->data() + column.offset() * 16,
                values.size() * sizeof(int128));
    return AppendDecimalTexts(values.data(), n, out);
  }
  const auto* values = FixedValues<int64_t>(column);
  const bool exact = std::all_of(values, values + n,
                                 [](int64_t v) { return v <= kExactInts && v >= -kExactInts; });
  return exact ? AppendNarrowDecimals(values, n, out) : AppendDecimalTexts(values, n, out);
}

Result<char> AppendData(const arrow::Array& column, std::string* out) {
  CAPI_ASSIGN_OR_RETURN(const data::FieldType type, data::FieldTypeOf(*column.type()));
  switch (type) {
    case data::FieldType::kInt:
      AppendValues(FixedValues<int64_t>(column), column.length(), out);
      return 'q';
    case data::FieldType::kFloat:
      AppendValues(FixedValues<double>(column), column.length(), out);
      return 'd';
    case data::FieldType::kString:
      return AppendStringColumn(column, out);
    case data::FieldType::kBool:
      return AppendBools(column, out);
    case data::FieldType::kDecimal2:
      return AppendDecimals(column, out);
    case data::FieldType::kDatetime:
      return AppendMoments(column, out);
  }
  return BugError("a column of an unknown type");
}

// ---- Results

Status Garbled(const std::string& what) {
  return UserError("python_protocol",
                   "the Python process sent a column that makes no sense: " + what);
}

using ArrayResult = Result<std::shared_ptr<arrow::Array>>;

ArrayResult MakeFixed(const std::shared_ptr<arrow::DataType>& type, int64_t n, const void* values,
                      int64_t bytes) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Buffer> buffer, arrow::AllocateBuffer(bytes));
  if (bytes > 0) std::memcpy(buffer->mutable_data(), values, static_cast<size_t>(bytes));
  return arrow::MakeArray(ArrayData::Make(type, n, {nullptr, std::move(buffer)}, 0));
}

template <typename T>
ArrayResult MakeFixed(const std::shared_ptr<arrow::DataType>& type, const std::vector<T>& values) {
  return MakeFixed(type, static_cast<int64_t>(values.size()), values.data(),
                   static_cast<int64_t>(values.size() * sizeof(T)));
}

/// The bytes are the values.
ArrayResult MakeSame(data::FieldType type, std::string_view bytes, int64_t n) {
  if (bytes.size() != static_cast<size_t>(n) * sizeof(int64_t)) return Garbled("bad size");
  return MakeFixed(data::ArrowTypeOf(type), n, bytes.data(), static_cast<int64_t>(bytes.size()));
}

/// Values of fixed width; the bytes may not be aligned.
template <typename T>
Result<std::vector<T>> FixedVector(std::string_view bytes, int64_t n) {
  if (bytes.size() != static_cast<size_t>(n) * sizeof(T)) return Garbled("bad size");
  std::vector<T> values(static_cast<size_t>(n));
  if (n > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Result<std::vector<std::string_view>> SplitStrings(char encoding, std::string_view bytes,
                                                   int64_t n) {
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<size_t>(n));
  if (encoding == 'l') {
    const size_t lengths = static_cast<size_t>(n) * sizeof(uint32_t);
    if (bytes.size() < lengths) return Garbled("bad lengths");
    size_t at = lengths;
    for (int64_t i = 0; i < n; ++i) {
      uint32_t length;
      std::memcpy(&length, bytes.data() + static_cast<size_t>(i) * sizeof(length), sizeof(length));
      if (length > bytes.size() - at) return Garbled("bad lengths");
      texts.push_back(bytes.substr(at, length));
      at += length;
    }
    if (at != bytes.size()) return Garbled("bad lengths");
    return texts;
  }
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  for (int64_t i = 0; i + 1 < n; ++i) {
    const auto left = static_cast<size_t>(end - at);
    const auto* nul = static_cast<const char*>(left == 0 ? nullptr : std::memchr(at, 0, left));
    if (nul == nullptr) return Garbled("too few strings");
    texts.emplace_back(at, static_cast<size_t>(nul - at));
    at = nul + 1;
  }
  const std::string_view last(at, static_cast<size_t>(end - at));
  if ((n == 0 && !last.empty()) || last.find('\0') != std::string_view::npos) {
    return Garbled("too many strings");
  }
  if (n > 0) texts.push_back(last);
  return texts;
}

ArrayResult MakeStrings(const std::vector<std::string_view>& texts) {
  std::vector<int32_t> ends{0};
  ends.reserve(texts.size() + 1);
  size_t total = 0;
  for (const std::string_view text : texts) {
    total += text.size();
    if (total > std::numeric_limits<int32_t>::max()) return Garbled("strings of more than 2 GiB");
    ends.push_back(static_cast<int32_t>(total));
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Buffer> bytes,
                        arrow::AllocateBuffer(static_cast<int64_t>(total)));
  uint8_t* at = bytes->mutable_data();
  for (const std::string_view text : texts) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Buffer> offsets,
                        arrow::AllocateBuffer(static_cast<int64_t>(ends.size() * sizeof(int32_t))));
  std::memcpy(offsets->mutable_data(), ends.data(), ends.size() * sizeof(int32_t));
  return arrow::MakeArray(ArrayData::Make(arrow::utf8(), static_cast<int64_t>(texts.size()),
                                          {nullptr, std::move(offsets), std::move(bytes)}, 0));
}

ArrayResult MakeBools(std::string_view bytes, int64_t n) {
  if (bytes.size() != static_cast<size_t>(n)) return Garbled("bad size");
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Buffer> bits,
                        arrow::AllocateBuffer(arrow::bit_util::BytesForBits(n)));
  if (bits->size() > 0) std::memset(bits->mutable_data(), 0, static_cast<size_t>(bits->size()));
  for (int64_t i = 0; i < n; ++i) {
    if (bytes[static_cast<size_t>(i)] != 0) arrow::bit_util::SetBit(bits->mutable_data(), i);
  }
  return arrow::MakeArray(ArrayData::Make(arrow::boolean(), n, {nullptr, std::move(bits)}, 0));
}

/// Hundredths of the shortest decimal that reads back as `value`, half away from zero. False: they
/// do not fit.
bool RoundFloat(double value, int128* hundredths) {
  constexpr double kMaxFast = 4503599627370496.0;  // 2^52: there are still halves
  constexpr double kRelativeError = 1.0 / (int64_t{1} << 50);
  const double scaled = std::fabs(value * kHundred);
  if (scaled < kMaxFast) {
    const double whole = std::floor(scaled);
    const double distance = scaled - whole - 0.5;
    if (std::fabs(distance) > scaled * kRelativeError) {
      const auto magnitude = static_cast<int64_t>(whole) + (distance > 0 ? 1 : 0);
      *hundredths = value < 0 ? -magnitude : magnitude;
      return true;
    }
  }
  const Result<data::BigDecimal> exact = data::BigDecimal::FromDouble(value);
  return exact.ok() && exact->ToInt128(2, hundredths) && data::FitsStoredDecimal(*hundredths);
}

Result<std::vector<int128>> DecimalValues(char encoding, std::string_view bytes, int64_t n,
                                          RefusedValue* refused) {
  std::vector<int128> values(static_cast<size_t>(n));
  const auto refuse = [&](size_t row, std::string_view why = "the result has more than 38 digits") {
    *refused = {static_cast<int64_t>(row), std::string(why)};
    return values;
  };
  if (encoding == 'd') {
    CAPI_ASSIGN_OR_RETURN(const auto floats, FixedVector<double>(bytes, n));
    for (size_t i = 0; i < floats.size(); ++i) {
      if (!std::isfinite(floats[i])) return refuse(i, kNotFinite);
      if (!RoundFloat(floats[i], &values[i])) return refuse(i);
    }
    return values;
  }
  if (encoding == 'q') {
    CAPI_ASSIGN_OR_RETURN(const auto ints, FixedVector<int64_t>(bytes, n));
    for (size_t i = 0; i < ints.size(); ++i) values[i] = int128{ints[i]} * kHundred;
    return values;
  }
  if (encoding != 't') return Garbled("a decimal in an unknown encoding");
  CAPI_ASSIGN_OR_RETURN(const auto texts, SplitStrings('s', bytes, n));
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto parsed = data::BigDecimal::Parse(texts[i]);
    const bool fits =
        parsed.ok() && parsed->ToInt128(2, &values[i]) && data::FitsStoredDecimal(values[i]);
    if (!fits) return refuse(i);
  }
  return values;
}

ArrayResult MakeDecimals(const std::vector<int128>& values) {
  const bool narrow = std::all_of(values.begin(), values.end(), [](int128 v) {
    return v <= data::kMaxNarrowDecimal && v >= -data::kMaxNarrowDecimal;
  });
  if (!narrow) return MakeFixed(data::WideDecimalArrowType(), values);
  std::vector<int64_t> hundredths;
  hundredths.reserve(values.size());
  for (const int128 value : values) hundredths.push_back(static_cast<int64_t>(value));
  return MakeFixed(data::ArrowTypeOf(data::FieldType::kDecimal2), hundredths);
}

ArrayResult MakeMoments(const std::vector<std::string_view>& texts, RefusedValue* refused) {
  static const data::TimeLayout kFast = data::TimeLayout::Compile(kUtcLayout);
  static const data::TimeLayout kFull = data::TimeLayout::Compile(kLayout);
  std::vector<int64_t> millis(texts.size());
  std::vector<std::pair<size_t, data::Instant>> with_zone;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string_view text = texts[i];
    if (text.size() == kMomentSize + kUtcZone.size() && text.ends_with(kUtcZone) &&
        kFast.TryParseMillis(text.data(), text.data() + kMomentSize, &millis[i])) {
      continue;
    }
    Result<data::Instant> instant = kFull.Parse(text);
    if (!instant.ok()) {
      *refused = {static_cast<int64_t>(i),
                  "the result is not a datetime like 2006-01-02T15:04:05.000-07:00"};
      return nullptr;
    }
    millis[i] = instant->ToMillisFloor();
    if (instant->offset != 0) with_zone.emplace_back(i, *std::move(instant));
  }
  if (with_zone.empty()) return MakeFixed(data::ArrowTypeOf(data::FieldType::kDatetime), millis);
  std::vector<data::WideDatetime> wide;
  wide.reserve(millis.size());
  for (const int64_t value : millis) wide.push_back(data::Instant::FromMillis(value).ToWide());
  for (const auto& [row, instant] : with_zone) wide[row] = instant.ToWide();
  return MakeFixed(data::WideDatetimeArrowType(), wide);
}

}  // namespace

Status AppendColumn(const arrow::Array& column, std::string* out) {
  const size_t at = out->size();
  ColumnHeader header;
  out->append(sizeof(header), '\0');
  CAPI_ASSIGN_OR_RETURN(header.encoding, AppendData(column, out));
  header.size = out->size() - at - sizeof(header);
  std::memcpy(out->data() + at, &header, sizeof(header));
  return Status::OK();
}

ArrayResult TakeColumn(data::FieldType type, int64_t n, std::string_view* bytes,
                       RefusedValue* refused) {
  ColumnHeader header;
  if (bytes->size() < sizeof(header)) return Garbled("no header");
  std::memcpy(&header, bytes->data(), sizeof(header));
  bytes->remove_prefix(sizeof(header));
  if (header.size > bytes->size()) return Garbled("bad size");
  const std::string_view body = bytes->substr(0, static_cast<size_t>(header.size));
  bytes->remove_prefix(body.size());
  const auto encoded_as = [&](std::string_view allowed) {
    return allowed.find(header.encoding) != std::string_view::npos;
  };
  switch (type) {
    case data::FieldType::kInt:
      if (!encoded_as("q")) break;
      return MakeSame(type, body, n);
    case data::FieldType::kFloat: {
      if (!encoded_as("d")) break;
      CAPI_ASSIGN_OR_RETURN(auto floats, MakeSame(type, body, n));
      const auto* values = FixedValues<double>(*floats);
      const auto* end = values + n;
      const auto* bad = std::find_if(values, end, [](double v) { return !std::isfinite(v); });
      if (bad == end) return floats;
      *refused = {bad - values, std::string(kNotFinite)};
      return nullptr;
    }
    case data::FieldType::kBool:
      if (!encoded_as("b")) break;
      return MakeBools(body, n);
    case data::FieldType::kDecimal2: {
      CAPI_ASSIGN_OR_RETURN(const auto values, DecimalValues(header.encoding, body, n, refused));
      if (refused->row >= 0) return nullptr;
      return MakeDecimals(values);
    }
    case data::FieldType::kString: {
      if (!encoded_as("sl")) break;
      CAPI_ASSIGN_OR_RETURN(const auto texts, SplitStrings(header.encoding, body, n));
      return MakeStrings(texts);
    }
    case data::FieldType::kDatetime: {
      if (!encoded_as("sl")) break;
      CAPI_ASSIGN_OR_RETURN(const auto texts, SplitStrings(header.encoding, body, n));
      return MakeMoments(texts, refused);
    }
  }
  return Garbled("a value in an unknown encoding");
}

}  // namespace capi::python
