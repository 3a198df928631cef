#include "capi/cql/values.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace capi::cql {
namespace {

template <typename Unsigned>
void AppendBigEndian(Unsigned value, std::string* out) {
  char bytes[sizeof(Unsigned)];
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    bytes[i] = static_cast<char>(value >> (8 * (sizeof(Unsigned) - 1 - i)));
  }
  out->append(bytes, sizeof(Unsigned));
}

uint64_t ReadBigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) {
    value = value << 8 | static_cast<uint8_t>(byte);
  }
  return value;
}

template <typename Unsigned>
void AppendCell(Unsigned value, std::string* out) {
  AppendBigEndian<uint32_t>(sizeof(Unsigned), out);
  AppendBigEndian(value, out);
}

}  // namespace

Values& Values::Boolean(bool value) { return TinyInt(value ? 1 : 0); }

Values& Values::TinyInt(int8_t value) {
  AppendCell(static_cast<uint8_t>(value), &bytes_);
  ++count_;
  return *this;
}

Values& Values::Int(int32_t value) {
  AppendCell(static_cast<uint32_t>(value), &bytes_);
  ++count_;
  return *this;
}

Values& Values::BigInt(int64_t value) {
  AppendCell(static_cast<uint64_t>(value), &bytes_);
  ++count_;
  return *this;
}

Values& Values::Double(double value) {
  AppendCell(std::bit_cast<uint64_t>(value), &bytes_);
  ++count_;
  return *this;
}

Values& Values::Text(std::string_view value) {
  AppendBigEndian(static_cast<uint32_t>(value.size()), &bytes_);
  bytes_.append(value);
  ++count_;
  return *this;
}

Values& Values::Decimal(std::string_view unscaled, int32_t scale) {
  AppendBigEndian(static_cast<uint32_t>(unscaled.size() + sizeof(scale)), &bytes_);
  AppendBigEndian(static_cast<uint32_t>(scale), &bytes_);
  bytes_.append(unscaled);
  ++count_;
  return *this;
}

Values& Values::Null() {
  AppendBigEndian<uint32_t>(0xffffffff, &bytes_);
  ++count_;
  return *this;
}

void Values::Clear() {
  bytes_.clear();
  count_ = 0;
}

bool Rows::Append(Page page) {
  if (page.num_rows < 0 || (columns_.empty() && !page.cells.empty())) return false;
  const size_t before = cells_.size();
  const auto refuse = [&] {
    cells_.resize(before);
    return false;
  };
  // A cell takes 4 bytes at least: a wrong number of rows must not take all memory.
  const size_t most = page.cells.size() / 4;
  if (!columns_.empty() && static_cast<uint64_t>(page.num_rows) > most / columns_.size()) {
    return false;
  }
  const size_t count = columns_.size() * static_cast<size_t>(page.num_rows);
  if (before + count > cells_.capacity()) {
    cells_.reserve(std::max(before + count, 2 * cells_.capacity()));
  }
  std::string_view rest = page.cells;
  for (size_t i = 0; i < count; ++i) {
    if (rest.size() < 4) return refuse();
    const auto length = static_cast<int32_t>(ReadBigEndian(rest.substr(0, 4)));
    rest.remove_prefix(4);
    if (length < 0) {
      cells_.push_back({});
      continue;
    }
    if (static_cast<size_t>(length) > rest.size()) return refuse();
    cells_.push_back({rest.data(), length});
    rest.remove_prefix(static_cast<size_t>(length));
  }
  if (!rest.empty()) return refuse();
  num_rows_ += page.num_rows;
  if (page.owner != nullptr) owners_.push_back(std::move(page.owner));
  return true;
}

int Rows::ColumnIndex(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  return found == columns_.end() ? -1 : static_cast<int>(found - columns_.begin());
}

std::optional<std::string_view> Rows::Cell(int64_t row, int column) const {
  const Slice& cell = cells_[static_cast<size_t>(row) * columns_.size() + column];
  if (cell.length < 0) return std::nullopt;
  return std::string_view(cell.data, static_cast<size_t>(cell.length));
}

bool Rows::Boolean(int64_t row, int column) const {
  const auto cell = Cell(row, column);
  return cell.has_value() && cell->size() == 1 && cell->front() != 0;
}

int64_t Rows::Integer(int64_t row, int column) const {
  const std::string_view cell = Cell(row, column).value_or("");
  const uint64_t bits = ReadBigEndian(cell.substr(0, 8));
  switch (cell.size()) {
    case 1:
      return static_cast<int8_t>(bits);
    case 2:
      return static_cast<int16_t>(bits);
    case 4:
      return static_cast<int32_t>(bits);
    case 8:
      return static_cast<int64_t>(bits);
    default:
      return 0;
  }
}

double Rows::Double(int64_t row, int column) const {
  const std::string_view cell = Cell(row, column).value_or("");
  return cell.size() == 8 ? std::bit_cast<double>(ReadBigEndian(cell)) : 0;
}

std::string_view Rows::Text(int64_t row, int column) const {
  return Cell(row, column).value_or(std::string_view());
}

}  // namespace capi::cql
