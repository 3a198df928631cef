#include <bit>
#include <cstring>

#include "capi/expr/kernels_internal.h"
#include "capi/expr/scalar_functions.h"

namespace capi::expr::kernels {

namespace {

template <typename T>
inline T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

/// memcmp(a, b, n) == 0 without a call for short texts.
inline bool SameBytes(const char* a, const char* b, size_t n) {
  if (n > 16) return std::memcmp(a, b, n) == 0;
  if (n >= 8) {
    return ((Load<uint64_t>(a) ^ Load<uint64_t>(b)) |
            (Load<uint64_t>(a + n - 8) ^ Load<uint64_t>(b + n - 8))) == 0;
  }
  if (n >= 4) {
    return ((Load<uint32_t>(a) ^ Load<uint32_t>(b)) |
            (Load<uint32_t>(a + n - 4) ^ Load<uint32_t>(b + n - 4))) == 0;
  }
  for (size_t i = 0; i < n; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

inline bool HasOuterQuote(std::string_view text) {
  return !text.empty() && (text.front() == '"' || text.back() == '"');
}

inline bool Equal(std::string_view left, std::string_view right) {
  if (left.size() == right.size() && SameBytes(left.data(), right.data(), left.size())) {
    return true;
  }
  if (!HasOuterQuote(left) && !HasOuterQuote(right)) return false;
  return TrimOuterQuotes(left) == TrimOuterQuotes(right);
}

/// The order of plain texts; most differ in the first eight bytes.
inline int ComparePlain(std::string_view left, std::string_view right) {
  if (left.size() >= 8 && right.size() >= 8) {
    const uint64_t a = __builtin_bswap64(Load<uint64_t>(left.data()));
    const uint64_t b = __builtin_bswap64(Load<uint64_t>(right.data()));
    if (a != b) return a < b ? -1 : 1;
  }
  const int order = left.compare(right);
  return (order > 0) - (order < 0);
}

inline int Compare(std::string_view left, std::string_view right) {
  if (!HasOuterQuote(left) && !HasOuterQuote(right)) return ComparePlain(left, right);
  return CompareStrings(left, right);
}

struct OffsetsReader {
  const int32_t* offsets;
  const char* bytes;
  std::string_view operator[](int64_t i) const {
    return {bytes + offsets[i], static_cast<size_t>(offsets[i + 1] - offsets[i])};
  }
};
struct ViewsReader {
  const std::string_view* views;
  std::string_view operator[](int64_t i) const { return views[i]; }
};
struct ConstantReader {
  std::string_view view;
  std::string_view operator[](int64_t) const { return view; }
};

template <typename Left, typename Right>
void CompareRows(Op op, Left left, Right right, int64_t n, uint8_t* __restrict out) {
  switch (op) {
    case Op::kEqual:
      for (int64_t i = 0; i < n; ++i) out[i] = Equal(left[i], right[i]);
      break;
    case Op::kNotEqual:
      for (int64_t i = 0; i < n; ++i) out[i] = !Equal(left[i], right[i]);
      break;
    case Op::kLess:
      for (int64_t i = 0; i < n; ++i) out[i] = Compare(left[i], right[i]) < 0;
      break;
    case Op::kLessEqual:
      for (int64_t i = 0; i < n; ++i) out[i] = Compare(left[i], right[i]) <= 0;
      break;
    case Op::kGreater:
      for (int64_t i = 0; i < n; ++i) out[i] = Compare(left[i], right[i]) > 0;
      break;
    default:
      for (int64_t i = 0; i < n; ++i) out[i] = Compare(left[i], right[i]) >= 0;
      break;
  }
}

/// a op b as b op' a
Op Mirrored(Op op) {
  switch (op) {
    case Op::kLess:
      return Op::kGreater;
    case Op::kLessEqual:
      return Op::kGreaterEqual;
    case Op::kGreater:
      return Op::kLess;
    case Op::kGreaterEqual:
      return Op::kLessEqual;
    default:
      return op;
  }
}

OffsetsReader Offsets(const Vector& strings) { return {strings.as<int32_t>(), strings.bytes}; }

}  // namespace

const std::string_view* ToViews(const Vector& strings, int64_t n, Scratch* scratch) {
  if (strings.form == Form::kViews) return strings.as<std::string_view>();
  const int64_t count = strings.constant ? 1 : n;
  auto* views = scratch->Allocate<std::string_view>(count);
  if (strings.form == Form::kOffsets) {
    const OffsetsReader reader = Offsets(strings);
    for (int64_t i = 0; i < count; ++i) views[i] = reader[i];
    return views;
  }
  const auto* codes = strings.as<int32_t>();
  if (strings.dictionary->form == Form::kOffsets) {
    const OffsetsReader reader = Offsets(*strings.dictionary);
    for (int64_t i = 0; i < count; ++i) views[i] = reader[codes[i]];
  } else {
    const auto* dictionary = strings.dictionary->as<std::string_view>();
    for (int64_t i = 0; i < count; ++i) views[i] = dictionary[codes[i]];
  }
  return views;
}

void CompareStringVectors(Op op, const Vector& left, const Vector& right, int64_t n,
                          Scratch* scratch, uint8_t* out) {
  if (left.constant && !right.constant) {
    CompareStringVectors(Mirrored(op), right, left, n, scratch, out);
    return;
  }
  if (right.constant) {
    const ConstantReader constant{StringAt(right, 0)};
    if (left.constant) {
      CompareRows(op, ConstantReader{StringAt(left, 0)}, constant, n, out);
    } else if (left.form == Form::kOffsets) {
      CompareRows(op, Offsets(left), constant, n, out);
    } else {
      CompareRows(op, ViewsReader{ToViews(left, n, scratch)}, constant, n, out);
    }
    return;
  }
  if (left.form == Form::kOffsets && right.form == Form::kOffsets) {
    CompareRows(op, Offsets(left), Offsets(right), n, out);
    return;
  }
  CompareRows(op, ViewsReader{ToViews(left, n, scratch)}, ViewsReader{ToViews(right, n, scratch)},
              n, out);
}

Vector ConcatenateStrings(const std::vector<Vector>& parts, int64_t n, Scratch* scratch) {
  Vector result;
  result.type = ValueType::kString;
  result.form = Form::kViews;
  struct Part {
    const std::string_view* views;
    int64_t step;
  };
  auto* columns = scratch->Allocate<Part>(static_cast<int64_t>(parts.size()));
  auto* views = scratch->Allocate<std::string_view>(n);
  size_t total = 0;
  for (size_t p = 0; p < parts.size(); ++p) {
    columns[p] = {ToViews(parts[p], n, scratch), parts[p].constant ? 0 : 1};
    if (parts[p].constant) {
      total += columns[p].views[0].size() * static_cast<size_t>(n);
    } else {
      for (int64_t i = 0; i < n; ++i) total += columns[p].views[i].size();
    }
  }
  char* at = scratch->Allocate<char>(static_cast<int64_t>(total));
  for (int64_t i = 0; i < n; ++i) {
    char* const begin = at;
    for (size_t p = 0; p < parts.size(); ++p) {
      const std::string_view part = columns[p].views[i * columns[p].step];
      CopyText(at, part.data(), part.size());
      at += part.size();
    }
    views[i] = {begin, static_cast<size_t>(at - begin)};
  }
  result.values = views;
  return result;
}

Vector SplitText(const std::string& text, const size_t* ends, int64_t n, Scratch* scratch) {
  auto* views = scratch->Allocate<std::string_view>(n);
  size_t begin = 0;
  for (int64_t i = 0; i < n; ++i) {
    views[i] = {text.data() + begin, ends[i] - begin};
    begin = ends[i];
  }
  Vector result;
  result.type = ValueType::kString;
  result.form = Form::kViews;
  result.values = views;
  return result;
}

}  // namespace capi::expr::kernels
