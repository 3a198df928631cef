#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/expr/evaluator_output_internal.h"
#include "capi/expr/kernels_internal.h"

namespace capi::expr {

namespace {

constexpr int64_t kNarrowBytes = 8;
constexpr int64_t kWideBytes = 16;
constexpr int64_t kMaxTextBytes = std::numeric_limits<int32_t>::max();
constexpr int64_t kFirstTextBytes = 4096;

Result<std::shared_ptr<arrow::Buffer>> Allocate(int64_t bytes) {
  CAPI_ASSIGN_OR_RETURN(auto buffer, arrow::AllocateBuffer(bytes));
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

template <typename T>
T* MutableValues(const std::shared_ptr<arrow::Buffer>& buffer) {
  return reinterpret_cast<T*>(buffer->mutable_data());
}

template <typename T>
void CopyOrRepeat(const Vector& vector, int64_t n, T* out) {
  if (vector.constant) {
    std::fill(out, out + n, vector.as<T>()[0]);
  } else {
    std::memcpy(out, vector.values, static_cast<size_t>(n) * sizeof(T));
  }
}

bool IsNarrow(int128 hundredths) {
  return hundredths <= data::kMaxNarrowDecimal && hundredths >= -data::kMaxNarrowDecimal;
}

std::shared_ptr<arrow::Array> MakeColumn(const std::shared_ptr<arrow::DataType>& type, int64_t n,
                                         std::vector<std::shared_ptr<arrow::Buffer>> buffers) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, n, std::move(buffers), 0));
}

}  // namespace

Result<ColumnBuilder> ColumnBuilder::Make(data::FieldType type, int64_t num_rows) {
  ColumnBuilder builder;
  builder.type_ = type;
  builder.num_rows_ = num_rows;
  if (type == data::FieldType::kString) return builder;
  if (type == data::FieldType::kBool) {
    CAPI_ASSIGN_OR_RETURN(builder.values_, Allocate(arrow::bit_util::BytesForBits(num_rows)));
    std::memset(builder.values_->mutable_data(), 0, static_cast<size_t>(builder.values_->size()));
  } else {
    CAPI_ASSIGN_OR_RETURN(builder.values_, Allocate(num_rows * kNarrowBytes));
  }
  return builder;
}

Status ColumnBuilder::Append(const Vector& vector, int64_t n, int64_t* failed) {
  *failed = n;
  switch (type_) {
    case data::FieldType::kInt:
      CopyOrRepeat(vector, n, MutableValues<int64_t>(values_) + size_);
      break;
    case data::FieldType::kFloat:
      CopyOrRepeat(vector, n, MutableValues<double>(values_) + size_);
      break;
    case data::FieldType::kBool:
      if (!vector.constant) {
        kernels::PackBits(vector.as<uint8_t>(), n, values_->mutable_data(), size_);
      } else if (vector.as<uint8_t>()[0] != 0) {
        arrow::bit_util::SetBitsTo(values_->mutable_data(), size_, n, true);
      }
      break;
    case data::FieldType::kDecimal2:
      CAPI_RETURN_NOT_OK(AppendDecimals(vector, n, failed));
      break;
    case data::FieldType::kDatetime:
      CAPI_RETURN_NOT_OK(AppendDatetimes(vector, n));
      break;
    case data::FieldType::kString:
      CAPI_RETURN_NOT_OK(AppendStrings(vector, n, failed));
      break;
  }
  size_ += n;
  return Status::OK();
}

Status ColumnBuilder::Widen() {
  CAPI_ASSIGN_OR_RETURN(auto wide, Allocate(num_rows_ * kWideBytes));
  const auto* from = MutableValues<int64_t>(values_);
  if (type_ == data::FieldType::kDecimal2) {
    auto* to = MutableValues<int128>(wide);
    for (int64_t i = 0; i < size_; ++i) to[i] = from[i];
  } else {
    auto* to = MutableValues<data::WideDatetime>(wide);
    for (int64_t i = 0; i < size_; ++i) to[i] = data::Instant::FromMillis(from[i]).ToWide();
  }
  values_ = std::move(wide);
  is_wide_ = true;
  return Status::OK();
}

Status ColumnBuilder::AppendDecimals(const Vector& vector, int64_t n, int64_t* failed) {
  if (!is_wide_ && !vector.constant &&
      kernels::ToNarrowHundredths(vector, n, MutableValues<int64_t>(values_) + size_)) {
    return Status::OK();
  }
  std::vector<int128> hundredths(static_cast<size_t>(n));
  *failed = kernels::ToHundredths(vector, n, hundredths.data());
  if (*failed < n) return Status::OK();
  if (!is_wide_) {
    if (std::all_of(hundredths.begin(), hundredths.end(), IsNarrow)) {
      auto* out = MutableValues<int64_t>(values_) + size_;
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(hundredths[i]);
      return Status::OK();
    }
    CAPI_RETURN_NOT_OK(Widen());
  }
  std::copy(hundredths.begin(), hundredths.end(), MutableValues<int128>(values_) + size_);
  return Status::OK();
}

Status ColumnBuilder::AppendDatetimes(const Vector& vector, int64_t n) {
  if (!is_wide_ && vector.form == Form::kInt64) {
    CopyOrRepeat(vector, n, MutableValues<int64_t>(values_) + size_);
    return Status::OK();
  }
  if (!is_wide_) {
    auto* out = MutableValues<int64_t>(values_) + size_;
    int64_t i = 0;
    for (; i < n; ++i) {
      const data::Instant instant = InstantAt(vector, i);
      // A zone name has no place in a column; what is left may be plain.
      const bool plain = !instant.has_zone && instant.nanos % 1000000 == 0;
      if (!plain) break;
      out[i] = instant.ToMillisFloor();
    }
    if (i == n) return Status::OK();
    CAPI_RETURN_NOT_OK(Widen());
  }
  auto* out = MutableValues<data::WideDatetime>(values_) + size_;
  for (int64_t i = 0; i < n; ++i) out[i] = InstantAt(vector, i).ToWide();
  return Status::OK();
}

Status ColumnBuilder::AppendCodes(const Vector& vector, int64_t n) {
  if (values_ == nullptr) {
    CAPI_ASSIGN_OR_RETURN(values_, Allocate(num_rows_ * static_cast<int64_t>(sizeof(int32_t))));
    dictionary_ = vector.dictionary;
    dictionary_size_ = vector.dictionary_size;
  }
  CopyOrRepeat(vector, n, MutableValues<int32_t>(values_) + size_);
  return Status::OK();
}

Status ColumnBuilder::ReserveText(int64_t bytes) {
  if (text_ == nullptr) {
    CAPI_ASSIGN_OR_RETURN(auto text,
                          arrow::AllocateResizableBuffer(std::max(bytes, kFirstTextBytes)));
    text_ = std::move(text);
  } else if (text_->size() < bytes) {
    CAPI_RETURN_NOT_OK(text_->Resize(std::max(bytes, 2 * text_->size()), false));
  }
  return Status::OK();
}

Status ColumnBuilder::StartPlainStrings() {
  CAPI_ASSIGN_OR_RETURN(offsets_,
                        Allocate((num_rows_ + 1) * static_cast<int64_t>(sizeof(int32_t))));
  MutableValues<int32_t>(offsets_)[0] = 0;
  if (dictionary_ == nullptr) return Status::OK();
  Vector codes;
  codes.type = ValueType::kString;
  codes.form = Form::kCodes;
  codes.values = values_->data();
  codes.dictionary = dictionary_;
  const std::shared_ptr<arrow::Buffer> keep = std::move(values_);
  dictionary_ = nullptr;
  const int64_t n = size_;
  size_ = 0;
  int64_t failed = n;
  const Status status = AppendStrings(codes, n, &failed);
  size_ = n;
  if (failed < n) return UserError("result_too_large", "strings of a batch exceed 2 GiB");
  return status;
}

Status ColumnBuilder::AppendStrings(const Vector& vector, int64_t n, int64_t* failed) {
  const bool is_codes = vector.form == Form::kCodes && !vector.constant &&
                        vector.dictionary_size <= num_rows_ && offsets_ == nullptr &&
                        (dictionary_ == nullptr ? size_ == 0 : dictionary_ == vector.dictionary);
  if (is_codes) return AppendCodes(vector, n);
  if (offsets_ == nullptr) CAPI_RETURN_NOT_OK(StartPlainStrings());
  auto* ends = MutableValues<int32_t>(offsets_) + size_ + 1;
  int64_t end = text_size_;
  for (int64_t i = 0; i < n; ++i) {
    end += static_cast<int64_t>(StringAt(vector, i).size());
    if (end > kMaxTextBytes) {
      *failed = i;
      return Status::OK();
    }
    ends[i] = static_cast<int32_t>(end);
  }
  CAPI_RETURN_NOT_OK(ReserveText(end));
  char* out = MutableValues<char>(text_) + text_size_;
  if (vector.form == Form::kOffsets && !vector.constant) {
    std::memcpy(out, vector.bytes + vector.as<int32_t>()[0], static_cast<size_t>(end - text_size_));
  } else {
    for (int64_t i = 0; i < n; ++i) {
      const std::string_view text = StringAt(vector, i);
      kernels::CopyText(out, text.data(), text.size());
      out += text.size();
    }
  }
  text_size_ = end;
  return Status::OK();
}

Result<std::shared_ptr<arrow::Array>> ColumnBuilder::Finish() {
  if (type_ != data::FieldType::kString) {
    const std::shared_ptr<arrow::DataType>& type = !is_wide_ ? data::ArrowTypeOf(type_)
                                                   : type_ == data::FieldType::kDecimal2
                                                       ? data::WideDecimalArrowType()
                                                       : data::WideDatetimeArrowType();
    return MakeColumn(type, size_, {nullptr, values_});
  }
  if (dictionary_ != nullptr) {
    CAPI_ASSIGN_OR_RETURN(ColumnBuilder builder,
                          ColumnBuilder::Make(data::FieldType::kString, dictionary_size_));
    int64_t failed = 0;
    CAPI_RETURN_NOT_OK(builder.Append(*dictionary_, dictionary_size_, &failed));
    if (failed < dictionary_size_) {
      return UserError("result_too_large", "strings of a batch exceed 2 GiB");
    }
    CAPI_ASSIGN_OR_RETURN(auto dictionary, builder.Finish());
    auto column = arrow::ArrayData::Make(data::DictionaryArrowType(), size_, {nullptr, values_}, 0);
    column->dictionary = dictionary->data();
    return arrow::MakeArray(column);
  }
  if (offsets_ == nullptr) CAPI_RETURN_NOT_OK(StartPlainStrings());
  CAPI_RETURN_NOT_OK(ReserveText(0));
  CAPI_RETURN_NOT_OK(text_->Resize(text_size_, false));
  return MakeColumn(arrow::utf8(), size_, {nullptr, offsets_, text_});
}

}  // namespace capi::expr
