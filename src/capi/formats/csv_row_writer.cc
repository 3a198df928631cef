#include <algorithm>
#include <cstring>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/type.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/formats/csv_row_writer_internal.h"

namespace capi::formats::internal {

namespace {

/// Text is handed over in pieces that stay in the second-level cache.
constexpr int64_t kPieceBytes = 128 << 10;
/// Cells of a dictionary are copied this many bytes at a time.
constexpr int64_t kWideCopy = 32;
/// A dictionary is turned into cells once if it has no more values than this or the batch has rows.
constexpr int64_t kSmallDictionary = 64;
/// ... and if its texts are not longer than this in all.
constexpr int64_t kMaxDictionaryBytes = 16 << 20;
constexpr int64_t kPrefetchValues = 16;
constexpr int64_t kPrefetchText = 8;

/// True if numbers or times written with `literal` text around them never need quotes.
bool NeverQuoted(std::string_view literal, const CsvQuoting& quoting) {
  static constexpr std::string_view kNumberCharacters = "0123456789-. ";
  const char first = quoting.separator().empty() ? '\n' : quoting.separator()[0];
  return !quoting.NeedsQuotes(literal) && literal.find(first) == std::string_view::npos &&
         kNumberCharacters.find(first) == std::string_view::npos;
}

std::optional<PaddedFormat> PaddedFormatOf(const CsvOutputColumn& column,
                                           const CsvQuoting& quoting) {
  char verb = 0;
  if (column.field.type == data::FieldType::kInt) {
    verb = 'd';
  } else if (column.field.type == data::FieldType::kDecimal2) {
    verb = 's';
  } else {
    return std::nullopt;
  }
  std::optional<PaddedFormat> padded = PaddedFormat::Parse(column.format, verb);
  if (padded && !NeverQuoted(padded->prefix() + padded->suffix(), quoting)) {
    return std::nullopt;
  }
  return padded;
}

std::optional<FixedTimeFormat> FixedTimeFormatOf(const CsvOutputColumn& column,
                                                 const CsvQuoting& quoting) {
  if (column.field.type != data::FieldType::kDatetime || !NeverQuoted(column.format, quoting)) {
    return std::nullopt;
  }
  return FixedTimeFormat::Parse(column.format);
}

}  // namespace

CompiledColumn::CompiledColumn(CsvOutputColumn output_column, const CsvQuoting& quoting)
    : output(std::move(output_column)),
      print(data::PrintFormat::Compile(output.format)),
      layout(data::TimeLayout::Compile(output.format)),
      padded(PaddedFormatOf(output, quoting)),
      fixed_time(FixedTimeFormatOf(output, quoting)) {
  if (output.field.type == data::FieldType::kBool) {
    for (int value = 0; value < 2; ++value) {
      std::string text;
      print.PrintBool(value == 1, &text);
      quoting.Append(text, &bool_cells[value]);
    }
  }
}

Result<CsvRowWriter> CsvRowWriter::Make(const std::vector<CompiledColumn>& columns,
                                        const CsvQuoting& quoting, bool crlf,
                                        const std::vector<std::shared_ptr<arrow::Array>>& arrays,
                                        int64_t num_rows) {
  if (columns.size() != arrays.size()) {
    return BugError("wrong number of columns for a CSV file: expected " +
                    std::to_string(columns.size()) + ", got " + std::to_string(arrays.size()));
  }
  CsvRowWriter writer(&quoting, crlf);
  writer.fixed_bytes_ = 2 + static_cast<int64_t>(columns.size() * quoting.separator().size());
  writer.columns_.reserve(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    CAPI_RETURN_NOT_OK(writer.Bind(columns[i], *arrays[i], num_rows));
  }
  return writer;
}

Status CsvRowWriter::Bind(const CompiledColumn& compiled, const arrow::Array& array,
                          int64_t num_rows) {
  CAPI_ASSIGN_OR_RETURN(const data::FieldType type, data::FieldTypeOf(*array.type()));
  if (type != compiled.output.field.type) {
    return BugError("column of the wrong type for a CSV file: column \"" +
                    compiled.output.field.name + "\", type " +
                    std::string(data::FieldTypeName(type)));
  }
  BoundColumn column;
  column.compiled = &compiled;
  column.array = &array;
  const arrow::ArrayData& data = *array.data();
  const arrow::Type::type id = array.type_id();
  if (type == data::FieldType::kString) {
    BindText(array, num_rows, &column);
  } else if (type == data::FieldType::kBool) {
    column.kind = Kind::kBool;
    column.bits = data.buffers[1] == nullptr ? nullptr : data.buffers[1]->data();
    column.bit_offset = data.offset;
    fixed_bytes_ += static_cast<int64_t>(
        std::max(compiled.bool_cells[0].size(), compiled.bool_cells[1].size()));
  } else if (type == data::FieldType::kInt && compiled.padded) {
    column.kind = compiled.padded->is_bare() ? Kind::kInt : Kind::kPaddedInt;
    column.longs = data.GetValues<int64_t>(1);
    fixed_bytes_ += compiled.padded->max_bytes();
  } else if (id == arrow::Type::DECIMAL64 && compiled.padded) {
    column.kind = compiled.padded->is_bare() ? Kind::kHundredths : Kind::kPaddedHundredths;
    column.longs = data.GetValues<int64_t>(1);
    fixed_bytes_ += compiled.padded->max_bytes();
  } else if (id == arrow::Type::TIMESTAMP && compiled.fixed_time) {
    column.kind = Kind::kFixedTime;
    column.longs = data.GetValues<int64_t>(1);
    fixed_bytes_ += compiled.fixed_time->max_bytes();
  }
  columns_.push_back(std::move(column));
  return Status::OK();
}

void CsvRowWriter::BindText(const arrow::Array& array, int64_t num_rows, BoundColumn* column) {
  const arrow::ArrayData& data = *array.data();
  const arrow::ArrayData* text = &data;
  if (array.type_id() == arrow::Type::DICTIONARY) {
    column->codes = data.GetValues<int32_t>(1);
    text = data.dictionary.get();
  }
  const arrow::Buffer* const bytes = text->buffers[2].get();
  column->offsets = text->GetValues<int32_t>(1);
  column->bytes = bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes->data());
  column->bytes_end = bytes == nullptr ? column->bytes : column->bytes + bytes->size();
  const bool few_values = text->length <= std::max(num_rows, kSmallDictionary);
  if (column->codes != nullptr && few_values &&
      column->bytes_end - column->bytes <= kMaxDictionaryBytes) {
    column->kind = Kind::kCodedCells;
    MakeCells(column, text->length);
  } else if (column->compiled->print.is_plain_string()) {
    column->kind = column->codes == nullptr ? Kind::kText : Kind::kCodedText;
  }
}

/// Formats and quotes each value of a dictionary once.
void CsvRowWriter::MakeCells(BoundColumn* column, int64_t num_values) const {
  std::string text;
  column->cell_offsets.reserve(static_cast<size_t>(num_values) + 1);
  column->cell_offsets.push_back(0);
  for (int64_t i = 0; i < num_values; ++i) {
    text.clear();
    const auto length = static_cast<size_t>(column->offsets[i + 1] - column->offsets[i]);
    column->compiled->print.PrintString({column->bytes + column->offsets[i], length}, &text);
    quoting_.Append(text, &column->cells);
    column->cell_offsets.push_back(static_cast<int32_t>(column->cells.size()));
  }
  column->cells.append(kWideCopy, '\0');
}

Status CsvRowWriter::Write(const int32_t* rows, int64_t n, std::string* out) {
  return rows == nullptr ? WriteRows<false>(nullptr, n, out) : WriteRows<true>(rows, n, out);
}

/// Makes sure that `bytes` may be written at `out`, which points into the buffer.
char* CsvRowWriter::MakeRoom(char* out, int64_t bytes) {
  const int64_t used = out - buffer_.get();
  if (capacity_ - used >= bytes) [[likely]] {
    return out;
  }
  capacity_ = std::max(capacity_ * 2, used + bytes);
  std::unique_ptr<char[]> larger(new char[static_cast<size_t>(capacity_)]);
  if (used > 0) {
    std::memcpy(larger.get(), buffer_.get(), static_cast<size_t>(used));
  }
  buffer_ = std::move(larger);
  return buffer_.get() + used;
}

// Always inline: g++ 12 takes a function that only prefetches for one without effect and drops its
// calls.
inline __attribute__((always_inline)) void CsvRowWriter::PrefetchValue(int64_t row) const {
  for (const BoundColumn& column : columns_) {
    if (column.longs != nullptr) {
      __builtin_prefetch(column.longs + row);
    } else if (column.codes != nullptr) {
      __builtin_prefetch(column.codes + row);
    } else if (column.offsets != nullptr) {
      __builtin_prefetch(column.offsets + row);
    }
  }
}

inline __attribute__((always_inline)) void CsvRowWriter::PrefetchText(int64_t row) const {
  for (const BoundColumn& column : columns_) {
    if (column.kind == Kind::kText) {
      __builtin_prefetch(column.bytes + column.offsets[row]);
    } else if (column.kind == Kind::kCodedText) {
      __builtin_prefetch(column.bytes + column.offsets[column.codes[row]]);
    }
  }
}

template <bool kTaken>
Status CsvRowWriter::WriteRows(const int32_t* rows, int64_t n, std::string* out) {
  char* at = MakeRoom(buffer_.get(), kPieceBytes + 2 * fixed_bytes_);
  const size_t size_before = out->size();
  const std::string& separator = quoting_.separator();
  const bool short_separator = separator.size() == 1;
  for (int64_t i = 0; i < n; ++i) {
    int64_t row = i;
    if constexpr (kTaken) {
      row = rows[i];
      if (i + kPrefetchValues < n) {
        PrefetchValue(rows[i + kPrefetchValues]);
        PrefetchText(rows[i + kPrefetchText]);
      }
    }
    at = MakeRoom(at, fixed_bytes_);
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) {
        if (short_separator) [[likely]] {
          *at++ = separator[0];
        } else {
          std::memcpy(at, separator.data(), separator.size());
          at += separator.size();
        }
      }
      at = WriteCell(columns_[c], row, at);
    }
    if (crlf_) {
      *at++ = '\r';
    }
    *at++ = '\n';
    if (at - buffer_.get() >= kPieceBytes) {
      out->append(buffer_.get(), static_cast<size_t>(at - buffer_.get()));
      at = buffer_.get();
      // Grow once, not by doubling: the rest will be about as long.
      const size_t written = out->size() - size_before;
      const size_t expected = written / static_cast<size_t>(i + 1) * static_cast<size_t>(n);
      out->reserve(size_before + expected + expected / 32 + 2 * kPieceBytes);
    }
    CAPI_RETURN_NOT_OK(status_);
  }
  out->append(buffer_.get(), static_cast<size_t>(at - buffer_.get()));
  return Status::OK();
}

/// Writes a cell, after which there is room for the rest of the row without texts.
inline char* CsvRowWriter::WriteCell(const BoundColumn& column, int64_t row, char* out) {
  switch (column.kind) {
    case Kind::kText:
      return WriteText(column, row, out);
    case Kind::kCodedText:
      return WriteText(column, column.codes[row], out);
    case Kind::kCodedCells: {
      const auto code = static_cast<size_t>(column.codes[row]);
      const int64_t begin = column.cell_offsets[code];
      const int64_t length = column.cell_offsets[code + 1] - begin;
      out = MakeRoom(out, length + kWideCopy + fixed_bytes_);
      if (length <= kWideCopy) [[likely]] {
        std::memcpy(out, column.cells.data() + begin, kWideCopy);
      } else {
        std::memcpy(out, column.cells.data() + begin, static_cast<size_t>(length));
      }
      return out + length;
    }
    case Kind::kInt: {
      const int64_t value = column.longs[row];
      *out = '-';
      return WriteUnsigned(MagnitudeOf(value), out + (value < 0 ? 1 : 0));
    }
    case Kind::kPaddedInt:
      return column.compiled->padded->WriteInt(column.longs[row], out);
    case Kind::kHundredths:
      return WriteHundredths(column.longs[row], out);
    case Kind::kPaddedHundredths:
      return column.compiled->padded->WriteDecimal(column.longs[row], out);
    case Kind::kFixedTime: {
      char* const end = column.compiled->fixed_time->Write(column.longs[row], out);
      return end != nullptr ? end : WriteOther(column, row, out);
    }
    case Kind::kBool: {
      const int64_t bit = column.bit_offset + row;
      const std::string& cell =
          column.compiled->bool_cells[(column.bits[bit / 8] >> (bit % 8)) & 1];
      std::memcpy(out, cell.data(), cell.size());
      return out + cell.size();
    }
    case Kind::kOther:
      break;
  }
  return WriteOther(column, row, out);
}

inline char* CsvRowWriter::WriteText(const BoundColumn& column, int64_t index, char* out) {
  const int64_t begin = column.offsets[index];
  const int64_t length = column.offsets[index + 1] - begin;
  out = MakeRoom(out, CsvQuoting::MaxBytes(length) + fixed_bytes_);
  return quoting_.Write(column.bytes + begin, length, column.bytes_end, out);
}

char* CsvRowWriter::WriteOther(const BoundColumn& column, int64_t row, char* out) {
  const CompiledColumn& compiled = *column.compiled;
  text_.clear();
  if (column.offsets != nullptr) {
    const int64_t index = column.codes == nullptr ? row : column.codes[row];
    const int64_t begin = column.offsets[index];
    const auto length = static_cast<size_t>(column.offsets[index + 1] - begin);
    compiled.print.PrintString({column.bytes + begin, length}, &text_);
    return WriteThroughString(out);
  }
  const arrow::ArrayData& data = *column.array->data();
  switch (column.array->type_id()) {
    case arrow::Type::INT64:
      compiled.print.PrintInt(data.GetValues<int64_t>(1)[row], &text_);
      break;
    case arrow::Type::DOUBLE:
      compiled.print.PrintFloat(data.GetValues<double>(1)[row], &text_);
      break;
    case arrow::Type::TIMESTAMP:
      compiled.layout.FormatMillis(data.GetValues<int64_t>(1)[row], &text_);
      break;
    default: {
      Result<std::string> text = PlainCellText(compiled, *column.array, row);
      if (!text.ok()) {
        status_ = text.status();
        return out;
      }
      text_ = *std::move(text);
    }
  }
  return WriteThroughString(out);
}

char* CsvRowWriter::WriteThroughString(char* out) {
  const auto length = static_cast<int64_t>(text_.size());
  out = MakeRoom(out, CsvQuoting::MaxBytes(length) + fixed_bytes_);
  return quoting_.Write(text_.data(), length, text_.data() + length, out);
}

Result<std::string> PlainCellText(const CompiledColumn& column, const arrow::Array& array,
                                  int64_t row) {
  CAPI_ASSIGN_OR_RETURN(const data::Value value, data::CellValue(array, row));
  std::string text;
  if (const auto* decimal = std::get_if<data::BigDecimal>(&value)) {
    column.print.PrintString(decimal->ToFixed(2), &text);
  } else if (const auto* instant = std::get_if<data::Instant>(&value)) {
    column.layout.Format(*instant, &text);
  } else {
    column.print.Print({value}, &text);
  }
  return text;
}

}  // namespace capi::formats::internal
