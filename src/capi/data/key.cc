#include "capi/data/key.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/data/column.h"
#include "capi/data/letter_case.h"

namespace capi::data {

namespace {

constexpr uint64_t kHashSeed = 0x9E3779B97F4A7C15ULL;
constexpr uint64_t kNanBits = 0x7FF8000000000000ULL;

/// Finalizer of SplitMix64: every input bit reaches every output bit.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return x;
}

uint64_t Combine(uint64_t hash, uint64_t part) { return Mix(std::rotl(hash, 23) ^ part); }

uint64_t FloatBits(double value) {
  if (value == 0) return 0;
  if (std::isnan(value)) return kNanBits;
  return std::bit_cast<uint64_t>(value);
}

uint64_t HashDecimal(int128 hundredths) {
  const auto low = static_cast<int64_t>(hundredths);
  uint64_t hash = Mix(static_cast<uint64_t>(low));
  if (hundredths != low) hash ^= Mix(static_cast<uint64_t>(hundredths >> 64) + kHashSeed);
  return hash;
}

/// Total milliseconds plus the nanoseconds below them; equal instants give equal pairs.
struct MillisAndRest {
  int64_t millis;
  int32_t rest;
};

MillisAndRest Split(const WideDatetime& wide) {
  return {wide.seconds * 1000 + wide.nanos / 1000000, wide.nanos % 1000000};
}

uint64_t HashDatetime(MillisAndRest moment) {
  uint64_t hash = Mix(static_cast<uint64_t>(moment.millis));
  if (moment.rest != 0) hash ^= Mix(static_cast<uint64_t>(moment.rest) + kHashSeed);
  return hash;
}

/// One key column seen through raw pointers; reads are branch-free on the layout where it matters.
struct ColumnView {
  const KeyComponent* component = nullptr;
  arrow::Type::type layout = arrow::Type::NA;
  const uint8_t* fixed = nullptr;  // first value of fixed-width layouts
  const uint8_t* bits = nullptr;
  int64_t bit_offset = 0;
  StringReader strings;

  static Result<ColumnView> Make(const KeyComponent& component, const arrow::Array& column) {
    CAPI_ASSIGN_OR_RETURN(const FieldType type, FieldTypeOf(*column.type()));
    if (type != component.type) {
      return BugError("key column " + component.field + " has type " +
                      std::string(FieldTypeName(type)));
    }
    ColumnView view;
    view.component = &component;
    view.layout = column.type_id();
    switch (view.layout) {
      case arrow::Type::BOOL:
        view.bits = column.data()->buffers[1]->data();
        view.bit_offset = column.offset();
        break;
      case arrow::Type::STRING:
      case arrow::Type::DICTIONARY: {
        CAPI_ASSIGN_OR_RETURN(view.strings, StringReader::Make(column));
        break;
      }
      default: {
        const bool sixteen =
            view.layout == arrow::Type::DECIMAL128 || view.layout == arrow::Type::FIXED_SIZE_BINARY;
        view.fixed = column.data()->buffers[1]->data() + column.offset() * (sixteen ? 16 : 8);
      }
    }
    return view;
  }

  int64_t Word(int64_t row) const {
    int64_t value;
    std::memcpy(&value, fixed + row * 8, sizeof(value));
    return value;
  }
  bool Bit(int64_t row) const { return arrow::bit_util::GetBit(bits, bit_offset + row); }
  double Double(int64_t row) const { return std::bit_cast<double>(Word(row)); }
  int128 Decimal(int64_t row) const {
    if (layout == arrow::Type::DECIMAL64) return Word(row);
    int128 value;
    std::memcpy(&value, fixed + row * 16, sizeof(value));
    return value;
  }
  MillisAndRest Moment(int64_t row) const {
    if (layout == arrow::Type::TIMESTAMP) return {Word(row), 0};
    WideDatetime wide;
    std::memcpy(&wide, fixed + row * 16, sizeof(wide));
    return Split(wide);
  }
};

template <typename T>
int ThreeWay(const T& left, const T& right) {
  return left < right ? -1 : (right < left ? 1 : 0);
}

int CompareDoubles(double left, double right) {
  const bool left_nan = std::isnan(left);
  const bool right_nan = std::isnan(right);
  if (left_nan || right_nan) return static_cast<int>(left_nan) - static_cast<int>(right_nan);
  return ThreeWay(left, right);
}

int CompareStrings(std::string_view left, std::string_view right, bool ignore_case) {
  if (!ignore_case) return ThreeWay(left.compare(right), 0);
  std::string upper_left;
  std::string upper_right;
  ToUpperSimple(left, &upper_left);
  ToUpperSimple(right, &upper_right);
  return ThreeWay(upper_left.compare(upper_right), 0);
}

int CompareCells(const ColumnView& left, int64_t left_row, const ColumnView& right,
                 int64_t right_row) {
  switch (left.component->type) {
    case FieldType::kInt:
      return ThreeWay(left.Word(left_row), right.Word(right_row));
    case FieldType::kFloat:
      return CompareDoubles(left.Double(left_row), right.Double(right_row));
    case FieldType::kBool:
      return ThreeWay(left.Bit(left_row), right.Bit(right_row));
    case FieldType::kDecimal2:
      return ThreeWay(left.Decimal(left_row), right.Decimal(right_row));
    case FieldType::kDatetime: {
      const MillisAndRest a = left.Moment(left_row);
      const MillisAndRest b = right.Moment(right_row);
      const int millis = ThreeWay(a.millis, b.millis);
      return millis != 0 ? millis : ThreeWay(a.rest, b.rest);
    }
    case FieldType::kString:
      return CompareStrings(left.strings[left_row], right.strings[right_row],
                            left.component->ignore_case);
  }
  return 0;
}

bool EqualCells(const ColumnView& left, int64_t left_row, const ColumnView& right,
                int64_t right_row) {
  if (left.component->type == FieldType::kString && !left.component->ignore_case) {
    const std::string_view a = left.strings[left_row];
    const std::string_view b = right.strings[right_row];
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
  }
  return CompareCells(left, left_row, right, right_row) == 0;
}

Result<std::vector<ColumnView>> MakeViews(
    const std::vector<KeyComponent>& components,
    const std::vector<std::shared_ptr<arrow::Array>>& columns) {
  if (components.size() != columns.size()) return BugError("key columns and components differ");
  std::vector<ColumnView> views;
  views.reserve(components.size());
  for (size_t i = 0; i < components.size(); ++i) {
    CAPI_ASSIGN_OR_RETURN(ColumnView view, ColumnView::Make(components[i], *columns[i]));
    views.push_back(std::move(view));
  }
  return views;
}

class Comparator : public KeyComparator {
 public:
  Comparator(std::vector<KeyComponent> components, std::vector<ColumnView> left,
             std::vector<ColumnView> right)
      : components_(std::move(components)), left_(std::move(left)), right_(std::move(right)) {
    for (size_t i = 0; i < components_.size(); ++i) {
      left_[i].component = &components_[i];
      right_[i].component = &components_[i];
    }
  }

  bool Equal(int64_t left_row, int64_t right_row) const override {
    for (size_t i = 0; i < left_.size(); ++i) {
      if (!EqualCells(left_[i], left_row, right_[i], right_row)) return false;
    }
    return true;
  }

  void EqualMany(const int64_t* left_rows, const int64_t* right_rows, int64_t n,
                 uint8_t* equal) const override {
    std::memset(equal, 1, static_cast<size_t>(n));
    for (size_t c = 0; c < left_.size(); ++c) {
      const ColumnView& left = left_[c];
      const ColumnView& right = right_[c];
      if (left.component->type == FieldType::kInt) {
        for (int64_t i = 0; i < n; ++i) {
          equal[i] &= left.Word(left_rows[i]) == right.Word(right_rows[i]) ? 1 : 0;
        }
        continue;
      }
      for (int64_t i = 0; i < n; ++i) {
        if (equal[i] != 0 && !EqualCells(left, left_rows[i], right, right_rows[i])) equal[i] = 0;
      }
    }
  }

  int Compare(int64_t left_row, int64_t right_row) const override {
    for (size_t i = 0; i < left_.size(); ++i) {
      const int order = CompareCells(left_[i], left_row, right_[i], right_row);
      if (order != 0) return components_[i].descending ? -order : order;
    }
    return 0;
  }

 private:
  std::vector<KeyComponent> components_;
  std::vector<ColumnView> left_;
  std::vector<ColumnView> right_;
};

/// Appends 8 bytes whose memcmp order is the order of the unsigned value.
void AppendBigEndian(uint64_t value, std::string* out) {
  const uint64_t swapped = __builtin_bswap64(value);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

constexpr uint64_t kSignBit = uint64_t{1} << 63;

void AppendCell(const ColumnView& view, int64_t row, std::string* scratch, std::string* out) {
  switch (view.component->type) {
    case FieldType::kInt:
      AppendBigEndian(static_cast<uint64_t>(view.Word(row)) ^ kSignBit, out);
      break;
    case FieldType::kFloat: {
      const uint64_t bits = FloatBits(view.Double(row));
      AppendBigEndian((bits & kSignBit) != 0 ? ~bits : bits ^ kSignBit, out);
      break;
    }
    case FieldType::kBool:
      out->push_back(view.Bit(row) ? 1 : 0);
      break;
    case FieldType::kDecimal2: {
      const int128 value = view.Decimal(row);
      AppendBigEndian(static_cast<uint64_t>(value >> 64) ^ kSignBit, out);
      AppendBigEndian(static_cast<uint64_t>(value), out);
      break;
    }
    case FieldType::kDatetime: {
      const MillisAndRest moment = view.Moment(row);
      AppendBigEndian(static_cast<uint64_t>(moment.millis) ^ kSignBit, out);
      const uint32_t rest = __builtin_bswap32(static_cast<uint32_t>(moment.rest));
      out->append(reinterpret_cast<const char*>(&rest), sizeof(rest));
      break;
    }
    case FieldType::kString: {
      // 0x00 -> 0x00 0xFF, end -> 0x00 0x00: order is kept and no key is a prefix of another.
      std::string_view text = view.strings[row];
      if (view.component->ignore_case) {
        ToUpperSimple(text, scratch);
        text = *scratch;
      }
      size_t begin = 0;
      while (begin < text.size()) {
        const void* zero = std::memchr(text.data() + begin, 0, text.size() - begin);
        if (zero == nullptr) break;
        const size_t at = static_cast<size_t>(static_cast<const char*>(zero) - text.data());
        out->append(text, begin, at - begin);
        out->push_back('\0');
        out->push_back('\xFF');
        begin = at + 1;
      }
      out->append(text.substr(begin));
      out->append(2, '\0');
      break;
    }
  }
}

uint64_t HashText(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

}  // namespace

Status HashKeys(const std::vector<KeyComponent>& components,
                const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                uint64_t* hashes) {
  CAPI_ASSIGN_OR_RETURN(std::vector<ColumnView> views, MakeViews(components, columns));
  for (int64_t i = 0; i < num_rows; ++i) hashes[i] = kHashSeed;
  std::string upper;
  for (size_t c = 0; c < views.size(); ++c) {
    const ColumnView& view = views[c];
    switch (view.component->type) {
      case FieldType::kInt:
        for (int64_t i = 0; i < num_rows; ++i) {
          hashes[i] = Combine(hashes[i], Mix(static_cast<uint64_t>(view.Word(i))));
        }
        break;
      case FieldType::kFloat:
        for (int64_t i = 0; i < num_rows; ++i) {
          hashes[i] = Combine(hashes[i], Mix(FloatBits(view.Double(i))));
        }
        break;
      case FieldType::kBool:
        for (int64_t i = 0; i < num_rows; ++i) {
          hashes[i] = Combine(hashes[i], view.Bit(i) ? 1 : 2);
        }
        break;
      case FieldType::kDecimal2:
        for (int64_t i = 0; i < num_rows; ++i) {
          hashes[i] = Combine(hashes[i], HashDecimal(view.Decimal(i)));
        }
        break;
      case FieldType::kDatetime:
        for (int64_t i = 0; i < num_rows; ++i) {
          hashes[i] = Combine(hashes[i], HashDatetime(view.Moment(i)));
        }
        break;
      case FieldType::kString: {
        const bool ignore_case = view.component->ignore_case;
        auto hash_of = [&](std::string_view text) {
          if (!ignore_case) return HashText(text);
          ToUpperSimple(text, &upper);
          return HashText(upper);
        };
        const auto& data = *columns[c]->data();
        if (view.strings.is_dictionary() && data.dictionary->length <= num_rows) {
          const auto* codes =
              reinterpret_cast<const int32_t*>(data.buffers[1]->data()) + data.offset;
          const std::shared_ptr<arrow::Array> dictionary = arrow::MakeArray(data.dictionary);
          CAPI_ASSIGN_OR_RETURN(StringReader values, StringReader::Make(*dictionary));
          std::vector<uint64_t> of_code(static_cast<size_t>(data.dictionary->length));
          for (size_t i = 0; i < of_code.size(); ++i) {
            of_code[i] = hash_of(values[static_cast<int64_t>(i)]);
          }
          for (int64_t i = 0; i < num_rows; ++i) {
            hashes[i] = Combine(hashes[i], of_code[static_cast<size_t>(codes[i])]);
          }
        } else {
          for (int64_t i = 0; i < num_rows; ++i) {
            hashes[i] = Combine(hashes[i], hash_of(view.strings[i]));
          }
        }
        break;
      }
    }
  }
  return Status::OK();
}

Result<std::unique_ptr<KeyComparator>> KeyComparator::Make(
    const std::vector<KeyComponent>& components,
    const std::vector<std::shared_ptr<arrow::Array>>& left,
    const std::vector<std::shared_ptr<arrow::Array>>& right) {
  CAPI_ASSIGN_OR_RETURN(std::vector<ColumnView> left_views, MakeViews(components, left));
  CAPI_ASSIGN_OR_RETURN(std::vector<ColumnView> right_views, MakeViews(components, right));
  return std::make_unique<Comparator>(components, std::move(left_views), std::move(right_views));
}

Status EncodeSortKeys(const std::vector<KeyComponent>& components,
                      const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                      std::string* bytes, std::vector<int64_t>* ends) {
  CAPI_ASSIGN_OR_RETURN(std::vector<ColumnView> views, MakeViews(components, columns));
  ends->reserve(ends->size() + static_cast<size_t>(num_rows));
  std::string scratch;
  for (int64_t row = 0; row < num_rows; ++row) {
    for (const ColumnView& view : views) {
      const size_t begin = bytes->size();
      AppendCell(view, row, &scratch, bytes);
      if (view.component->descending) {
        for (size_t i = begin; i < bytes->size(); ++i)
          (*bytes)[i] = static_cast<char>(~(*bytes)[i]);
      }
    }
    ends->push_back(static_cast<int64_t>(bytes->size()));
  }
  return Status::OK();
}

std::string DescribeKey(const std::vector<KeyComponent>& components,
                        const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t row) {
  std::string text;
  for (size_t i = 0; i < components.size(); ++i) {
    if (i > 0) text += ", ";
    text += components[i].field + "=";
    const Result<Value> value = CellValue(*columns[i], row);
    if (!value.ok()) {
      text += "?";
    } else if (components[i].type == FieldType::kString) {
      text += "\"" + ValueToText(*value) + "\"";
    } else {
      text += ValueToText(*value);
    }
  }
  return text;
}

}  // namespace capi::data
