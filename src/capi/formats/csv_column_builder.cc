#include <optional>

#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/type.h"
#include "capi/data/types.h"
#include "capi/formats/csv_column_builder_internal.h"
#include "capi/formats/csv_number_internal.h"
#include "capi/formats/csv_string_builder_internal.h"
#include "capi/formats/value_buffer_internal.h"

namespace capi::formats::internal {

namespace {

using data::int128;

std::shared_ptr<arrow::Array> MakePlainArray(const std::shared_ptr<arrow::DataType>& type,
                                             int64_t length,
                                             std::shared_ptr<arrow::Buffer> values) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, length, {nullptr, std::move(values)}, 0));
}

/// True if the 8 bytes before `end` may be read.
bool BeforeReadable(const CellChunk& chunk, CellRef cell, const char* end) {
  return cell.decoded() || end - chunk.readable_begin >= 8;
}

class IntBuilder final : public CsvColumnBuilder {
 public:
  explicit IntBuilder(const CsvConversion* conversion) : conversion_(*conversion) {}

  Status Begin(int64_t expected_rows) override {
    values_.Clear();
    return values_.Reserve(expected_rows);
  }

  int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) override {
    *error = values_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    const bool by_rules = conversion_.has_null_values() ||
                          conversion_.number_syntax() == CsvConversion::NumberSyntax::kOther;
    int64_t* const out = values_.end();
    int64_t row = 0;
    for (; row < n; ++row) {
      const std::string_view cell = chunk.text(cells[row]);
      const char* const end = cell.data() + cell.size();
      if (!by_rules && TryParsePlainInt(cell.data(), end, BeforeReadable(chunk, cells[row], end),
                                        &out[row])) [[likely]] {
        continue;
      }
      Result<int64_t> value = conversion_.ToInt(cell, &left_over_cells_);
      if (!value.ok()) {
        *error = value.status();
        break;
      }
      out[row] = *value;
    }
    values_.Advance(row);
    return row;
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) override {
    CAPI_ASSIGN_OR_RETURN(auto buffer, values_.Finish(num_rows));
    return MakePlainArray(data::ArrowTypeOf(data::FieldType::kInt), num_rows, std::move(buffer));
  }

 private:
  const CsvConversion& conversion_;
  ValueBuffer<int64_t> values_;
};

class FloatBuilder final : public CsvColumnBuilder {
 public:
  explicit FloatBuilder(const CsvConversion* conversion) : conversion_(*conversion) {}

  Status Begin(int64_t expected_rows) override {
    values_.Clear();
    return values_.Reserve(expected_rows);
  }

  int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) override {
    *error = values_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    const bool by_rules = conversion_.has_null_values() ||
                          conversion_.number_syntax() == CsvConversion::NumberSyntax::kOther;
    double* const out = values_.end();
    int64_t row = 0;
    for (; row < n; ++row) {
      const std::string_view cell = chunk.text(cells[row]);
      PlainNumber number;
      if (!by_rules && TryParsePlainNumber(cell.data(), cell.data() + cell.size(), 15, &number))
          [[likely]] {
        out[row] = ToDouble(number);
        continue;
      }
      Result<double> value = conversion_.ToFloat(cell, &left_over_cells_);
      if (!value.ok()) {
        *error = value.status();
        break;
      }
      out[row] = *value;
    }
    values_.Advance(row);
    return row;
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) override {
    CAPI_ASSIGN_OR_RETURN(auto buffer, values_.Finish(num_rows));
    return MakePlainArray(data::ArrowTypeOf(data::FieldType::kFloat), num_rows, std::move(buffer));
  }

 private:
  const CsvConversion& conversion_;
  ValueBuffer<double> values_;
};

class BoolBuilder final : public CsvColumnBuilder {
 public:
  explicit BoolBuilder(const CsvConversion* conversion) : conversion_(*conversion) {}

  Status Begin(int64_t expected_rows) override {
    values_.Clear();
    return values_.Reserve(expected_rows);
  }

  int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) override {
    *error = values_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    uint8_t* const out = values_.end();
    int64_t row = 0;
    for (; row < n; ++row) {
      Result<bool> value = conversion_.ToBool(chunk.text(cells[row]));
      if (!value.ok()) {
        *error = value.status();
        break;
      }
      out[row] = *value ? 1 : 0;
    }
    values_.Advance(row);
    return row;
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) override {
    ValueBuffer<uint8_t> bits;
    const int64_t num_bytes = (num_rows + 7) / 8;
    CAPI_RETURN_NOT_OK(bits.Reserve(num_bytes));
    std::fill_n(bits.data(), num_bytes, uint8_t{0});
    for (int64_t row = 0; row < num_rows; ++row) {
      bits.data()[row / 8] =
          static_cast<uint8_t>(bits.data()[row / 8] | (values_.data()[row] << (row % 8)));
    }
    values_.Clear();
    CAPI_ASSIGN_OR_RETURN(auto buffer, bits.Finish(num_bytes));
    return MakePlainArray(data::ArrowTypeOf(data::FieldType::kBool), num_rows, std::move(buffer));
  }

 private:
  const CsvConversion& conversion_;
  ValueBuffer<uint8_t> values_;
};

class DecimalBuilder final : public CsvColumnBuilder {
 public:
  explicit DecimalBuilder(const CsvConversion* conversion) : conversion_(*conversion) {}

  Status Begin(int64_t expected_rows) override {
    is_wide_ = false;
    wide_.Clear();
    narrow_.Clear();
    return narrow_.Reserve(expected_rows);
  }

  int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) override {
    int64_t row = 0;
    while (row < n) {
      row += is_wide_ ? AppendWide(chunk, cells + row, n - row, error)
                      : AppendNarrow(chunk, cells + row, n - row, error);
      if (!error->ok()) {
        break;
      }
    }
    return row;
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) override {
    if (is_wide_) {
      is_wide_ = false;
      CAPI_ASSIGN_OR_RETURN(auto buffer, wide_.Finish(num_rows));
      return MakePlainArray(data::WideDecimalArrowType(), num_rows, std::move(buffer));
    }
    CAPI_ASSIGN_OR_RETURN(auto buffer, narrow_.Finish(num_rows));
    return MakePlainArray(data::ArrowTypeOf(data::FieldType::kDecimal2), num_rows,
                          std::move(buffer));
  }

 private:
  bool TryPlain(const CellChunk& chunk, CellRef ref, int64_t* hundredths) const {
    const char* const begin = chunk.data(ref);
    const char* const end = begin + ref.length();
    return TryParsePlainHundredths(begin, end, BeforeReadable(chunk, ref, end), max_digits_,
                                   hundredths);
  }

  int64_t AppendNarrow(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) {
    *error = narrow_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    int64_t* const out = narrow_.end();
    int64_t row = 0;
    for (; row < n; ++row) {
      if (!by_rules_ && TryPlain(chunk, cells[row], &out[row])) [[likely]] {
        continue;
      }
      const int64_t left_over_before = left_over_cells_;
      Result<int128> value = conversion_.ToHundredths(chunk.text(cells[row]), &left_over_cells_);
      if (!value.ok()) {
        *error = value.status();
        break;
      }
      if (*value > data::kMaxNarrowDecimal || *value < -data::kMaxNarrowDecimal) {
        // The rest of the batch is wide. The cell is read again there, and counted there.
        narrow_.Advance(row);
        left_over_cells_ = left_over_before;
        *error = Widen(n - row);
        return row;
      }
      out[row] = static_cast<int64_t>(*value);
    }
    narrow_.Advance(row);
    return row;
  }

  int64_t AppendWide(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) {
    *error = wide_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    int128* const out = wide_.end();
    int64_t row = 0;
    for (; row < n; ++row) {
      int64_t narrow = 0;
      if (!by_rules_ && TryPlain(chunk, cells[row], &narrow)) {
        out[row] = narrow;
        continue;
      }
      Result<int128> value = conversion_.ToHundredths(chunk.text(cells[row]), &left_over_cells_);
      if (!value.ok()) {
        *error = value.status();
        break;
      }
      out[row] = *value;
    }
    wide_.Advance(row);
    return row;
  }

  Status Widen(int64_t more_rows) {
    CAPI_RETURN_NOT_OK(wide_.Reserve(narrow_.size() + more_rows));
    std::copy(narrow_.data(), narrow_.end(), wide_.end());
    wide_.Advance(narrow_.size());
    narrow_.Clear();
    is_wide_ = true;
    return Status::OK();
  }

  const CsvConversion& conversion_;
  const bool by_rules_ = conversion_.has_null_values() ||
                         conversion_.number_syntax() == CsvConversion::NumberSyntax::kOther;
  // A scanned decimal goes through a float, which holds any 15 digits and gives them back.
  const int max_digits_ =
      conversion_.number_syntax() == CsvConversion::NumberSyntax::kScanned ? 15 : 18;
  ValueBuffer<int64_t> narrow_;
  ValueBuffer<int128> wide_;
  bool is_wide_ = false;
};

class DatetimeBuilder final : public CsvColumnBuilder {
 public:
  explicit DatetimeBuilder(const CsvConversion* conversion) : conversion_(*conversion) {}

  Status Begin(int64_t expected_rows) override {
    is_wide_ = false;
    wide_.Clear();
    narrow_.Clear();
    return narrow_.Reserve(expected_rows);
  }

  int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) override {
    *error = is_wide_ ? wide_.Reserve(n) : narrow_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    const data::TimeLayout* const layout =
        conversion_.has_null_values() ? nullptr : conversion_.layout();
    int64_t row = 0;
    if (!is_wide_) {
      int64_t* const out = narrow_.end();
      for (; row < n; ++row) {
        const std::string_view cell = chunk.text(cells[row]);
        if (layout != nullptr &&
            layout->TryParseMillis(cell.data(), cell.data() + cell.size(), &out[row])) [[likely]] {
          continue;
        }
        Result<data::Instant> value = conversion_.ToInstant(cell);
        if (!value.ok()) {
          *error = value.status();
          break;
        }
        if (!IsNarrow(*value)) {
          break;
        }
        out[row] = value->ToMillisFloor();
      }
      narrow_.Advance(row);
      if (row == n || !error->ok()) {
        return row;
      }
      *error = Widen(n - row);
      if (!error->ok()) {
        return row;
      }
    }
    data::WideDatetime* const out = wide_.end() - row;
    const int64_t first_wide = row;
    for (; row < n; ++row) {
      Result<data::Instant> value = conversion_.ToInstant(chunk.text(cells[row]));
      if (!value.ok()) {
        *error = value.status();
        break;
      }
      out[row] = value->ToWide();
    }
    wide_.Advance(row - first_wide);
    return row;
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) override {
    if (is_wide_) {
      is_wide_ = false;
      CAPI_ASSIGN_OR_RETURN(auto buffer, wide_.Finish(num_rows));
      return MakePlainArray(data::WideDatetimeArrowType(), num_rows, std::move(buffer));
    }
    CAPI_ASSIGN_OR_RETURN(auto buffer, narrow_.Finish(num_rows));
    return MakePlainArray(data::ArrowTypeOf(data::FieldType::kDatetime), num_rows,
                          std::move(buffer));
  }

 private:
  static bool IsNarrow(const data::Instant& instant) {
    return !instant.has_zone && instant.nanos % 1000000 == 0;
  }

  Status Widen(int64_t more_rows) {
    CAPI_RETURN_NOT_OK(wide_.Reserve(narrow_.size() + more_rows));
    for (int64_t row = 0; row < narrow_.size(); ++row) {
      wide_.data()[row] = data::Instant::FromMillis(narrow_.data()[row]).ToWide();
    }
    wide_.Advance(narrow_.size());
    narrow_.Clear();
    is_wide_ = true;
    return Status::OK();
  }

  const CsvConversion& conversion_;
  ValueBuffer<int64_t> narrow_;
  ValueBuffer<data::WideDatetime> wide_;
  bool is_wide_ = false;
};

}  // namespace

std::unique_ptr<CsvColumnBuilder> CsvColumnBuilder::Make(const CsvConversion* conversion) {
  switch (conversion->type()) {
    case data::FieldType::kInt:
      return std::make_unique<IntBuilder>(conversion);
    case data::FieldType::kFloat:
      return std::make_unique<FloatBuilder>(conversion);
    case data::FieldType::kString:
      return MakeStringBuilder(conversion);
    case data::FieldType::kBool:
      return std::make_unique<BoolBuilder>(conversion);
    case data::FieldType::kDecimal2:
      return std::make_unique<DecimalBuilder>(conversion);
    case data::FieldType::kDatetime:
      return std::make_unique<DatetimeBuilder>(conversion);
  }
  return nullptr;
}

}  // namespace capi::formats::internal
