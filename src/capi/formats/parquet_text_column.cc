#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "capi/data/types.h"
#include "capi/formats/parquet_column_internal.h"
#include "capi/formats/parquet_pages_internal.h"
#include "capi/formats/value_buffer_internal.h"

namespace capi::formats::internal {

namespace {

/// A batch must hold less text than an Arrow column can.
constexpr int64_t kMostTextBytes = int64_t{1} << 30;
/// A batch stays coded when the dictionary has at most one entry for this many rows ...
constexpr int64_t kRowsPerEntry = 4;
/// ... or when its texts would take more than this.
constexpr int64_t kMostDecodedBytes = int64_t{64} << 20;

std::string_view TextOf(const parquet::ByteArray& value) {
  return {reinterpret_cast<const char*>(value.ptr), value.len};
}

/// Texts one after the other.
class TextOutput {
 public:
  Status Begin(int64_t n, int64_t expected_bytes) {
    bytes_.Clear();
    offsets_.Clear();
    CAPI_RETURN_NOT_OK(offsets_.Reserve(n + 1));
    *offsets_.data() = 0;
    offsets_.Advance(1);
    return bytes_.Reserve(expected_bytes + kWideCopy);
  }
  /// Room for `total` more bytes.
  Status Reserve(int64_t total) {
    if (bytes_.size() + total > kMostTextBytes) {
      return UserError("parquet_text_too_long", "a column has more than 1 GiB of text in " +
                                                    std::to_string(data::kMaxBatchRows) +
                                                    " rows or fewer");
    }
    return bytes_.Reserve(total + kWideCopy);
  }
  /// After Reserve.
  void Put(std::string_view text) {
    char* const to = bytes_.end();
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    bytes_.Advance(static_cast<int64_t>(text.size()));
    *offsets_.end() = static_cast<int32_t>(bytes_.size());
    offsets_.Advance(1);
  }
  int64_t num_bytes() const { return bytes_.size(); }

  Result<std::shared_ptr<arrow::Array>> Finish() {
    const int64_t rows = offsets_.size() - 1;
    const int64_t num_bytes = bytes_.size();
    CAPI_ASSIGN_OR_RETURN(auto offsets, offsets_.Finish(rows + 1));
    CAPI_ASSIGN_OR_RETURN(auto bytes, bytes_.Finish(num_bytes));
    return arrow::MakeArray(
        arrow::ArrayData::Make(data::ArrowTypeOf(data::FieldType::kString), rows,
                               {nullptr, std::move(offsets), std::move(bytes)}, 0));
  }

 private:
  static constexpr int64_t kWideCopy = 32;
  ValueBuffer<char> bytes_;
  ValueBuffer<int32_t> offsets_;
};

class PlainTextDecoder final : public ParquetColumnDecoder {
 public:
  PlainTextDecoder(ColumnPages pages, const FileColumn& column, std::string default_text)
      : source_(std::move(pages), column), default_text_(std::move(default_text)) {}

  Result<std::shared_ptr<arrow::Array>> Read(int64_t begin, int64_t n, int64_t* good_rows,
                                             Status* /*error*/) override {
    source_.SeekTo(begin);
    CAPI_RETURN_NOT_OK(output_.Begin(n, 0));
    for (int64_t row = 0; row < n;) {
      const ColumnPiece<parquet::ByteArray> piece = source_.Next(n - row);
      // The first piece tells about how much room the others take.
      const int64_t pieces = output_.num_bytes() == 0 ? (n - row) / piece.rows : 1;
      CAPI_RETURN_NOT_OK(Append(piece, pieces));
      row += piece.rows;
    }
    *good_rows = n;
    return output_.Finish();
  }

 private:
  Status Append(const ColumnPiece<parquet::ByteArray>& piece, int64_t pieces) {
    const parquet::ByteArray* value = piece.values;
    int64_t total = static_cast<int64_t>(default_text_.size()) * (piece.rows - piece.num_values);
    for (int64_t i = 0; i < piece.num_values; ++i) total += value[i].len;
    constexpr int64_t kMostAhead = int64_t{16} << 20;
    CAPI_RETURN_NOT_OK(output_.Reserve(std::max(total, std::min(total * pieces, kMostAhead))));
    for (int64_t i = 0; i < piece.rows; ++i) {
      const bool null = piece.levels != nullptr && piece.levels[i] == 0;
      output_.Put(null ? std::string_view(default_text_) : TextOf(*value++));
    }
    return Status::OK();
  }

  ColumnSource<parquet::ByteArrayType> source_;
  const std::string default_text_;
  TextOutput output_;
};

/// A column chunk whose pages are all coded: codes are taken over.
class CodedTextDecoder final : public ParquetColumnDecoder {
 public:
  CodedTextDecoder(ColumnPages pages, const FileColumn& column, std::string default_text)
      : position_(std::move(pages), column),
        reader_(
            static_cast<parquet::TypedColumnReader<parquet::ByteArrayType>*>(position_.reader())),
        default_text_(std::move(default_text)) {}

  Result<std::shared_ptr<arrow::Array>> Read(int64_t begin, int64_t n, int64_t* good_rows,
                                             Status* /*error*/) override {
    position_.SeekTo(begin, [this](int64_t rows) {
      while (rows > 0) rows -= ReadCodes(rows);
    });
    codes_.Clear();
    CAPI_RETURN_NOT_OK(codes_.Reserve(n));
    for (int64_t row = 0; row < n;) {
      const int64_t rows = ReadCodes(n - row);
      if (dictionary_ == nullptr) CAPI_RETURN_NOT_OK(TakeDictionary());
      TakeCodes(rows, codes_.end());
      position_.Advance(rows);
      codes_.Advance(rows);
      row += rows;
    }
    *good_rows = n;
    return Finish(n);
  }

 private:
  /// Reads up to max_rows rows into codes_read_; returns how many.
  int64_t ReadCodes(int64_t max_rows) {
    const int64_t rows = reader_->ReadBatchWithDictionary(
        std::min(max_rows, kPieceRows), position_.levels(), nullptr, codes_read_.data(),
        &num_codes_read_, &entries_, &num_entries_);
    if (rows <= 0) position_.Advance(0);
    return rows;
  }

  void TakeCodes(int64_t rows, int32_t* codes) const {
    const int16_t* const levels = position_.LevelsOf(rows, num_codes_read_);
    for (int64_t i = 0; i < num_codes_read_; ++i) {
      if (codes_read_[i] < 0 || codes_read_[i] >= num_known_entries_) {
        throw parquet::ParquetException("a dictionary code is out of range");
      }
    }
    if (levels == nullptr) {
      std::memcpy(codes, codes_read_.data(), static_cast<size_t>(rows) * sizeof(int32_t));
      return;
    }
    const int32_t* code = codes_read_.data();
    for (int64_t i = 0; i < rows; ++i) codes[i] = levels[i] == 0 ? default_code_ : *code++;
  }

  /// A column chunk has one dictionary. The default joins it where nulls are possible.
  Status TakeDictionary() {
    num_known_entries_ = num_entries_;
    int64_t total = static_cast<int64_t>(default_text_.size());
    for (int32_t i = 0; i < num_entries_; ++i) {
      total += entries_[i].len;
      if (default_code_ < 0 && TextOf(entries_[i]) == default_text_) default_code_ = i;
    }
    const bool append_default = position_.optional() && default_code_ < 0;
    TextOutput output;
    CAPI_RETURN_NOT_OK(output.Begin(num_entries_ + 1, 0));
    CAPI_RETURN_NOT_OK(output.Reserve(total));
    for (int32_t i = 0; i < num_entries_; ++i) output.Put(TextOf(entries_[i]));
    if (append_default) {
      output.Put(default_text_);
      default_code_ = num_entries_;
    }
    CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Array> array, output.Finish());
    dictionary_ = array->data();
    return Status::OK();
  }

  std::string_view Entry(int32_t code) const {
    const auto* offsets = reinterpret_cast<const int32_t*>(dictionary_->buffers[1]->data());
    return {reinterpret_cast<const char*>(dictionary_->buffers[2]->data()) + offsets[code],
            static_cast<size_t>(offsets[code + 1] - offsets[code])};
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t n) {
    bool coded = dictionary_->length * kRowsPerEntry <= n;
    int64_t total = 0;
    for (int64_t row = 0; !coded && row < n; ++row) {
      total += static_cast<int64_t>(Entry(codes_.data()[row]).size());
      coded = total > kMostDecodedBytes;
    }
    if (coded) {
      CAPI_ASSIGN_OR_RETURN(auto codes, codes_.Finish(n));
      auto column =
          arrow::ArrayData::Make(data::DictionaryArrowType(), n, {nullptr, std::move(codes)}, 0);
      column->dictionary = dictionary_;
      return arrow::MakeArray(column);
    }
    TextOutput output;
    CAPI_RETURN_NOT_OK(output.Begin(n, total));
    for (int64_t row = 0; row < n; ++row) output.Put(Entry(codes_.data()[row]));
    return output.Finish();
  }

  ColumnPosition position_;
  parquet::TypedColumnReader<parquet::ByteArrayType>* const reader_;
  const std::string default_text_;
  // What the last call of ReadCodes gave; the entries belong to the library.
  std::array<int32_t, kPieceRows> codes_read_;
  int64_t num_codes_read_ = 0;
  const parquet::ByteArray* entries_ = nullptr;
  int32_t num_entries_ = 0;

  std::shared_ptr<arrow::ArrayData> dictionary_;  // with the default
  int32_t num_known_entries_ = 0;                 // without it
  int32_t default_code_ = -1;
  ValueBuffer<int32_t> codes_;  // of the batch
};

}  // namespace

std::unique_ptr<ParquetColumnDecoder> MakeTextDecoder(ParquetFile* file, int row_group,
                                                      const FileColumn& column,
                                                      const std::string& default_text) {
  ColumnPages pages = file->OpenColumn(row_group, column.leaf, /*expose_dictionary=*/true);
  if (pages.reader->GetExposedEncoding() == parquet::ExposedEncoding::DICTIONARY) {
    return std::make_unique<CodedTextDecoder>(std::move(pages), column, default_text);
  }
  return std::make_unique<PlainTextDecoder>(std::move(pages), column, default_text);
}

}  // namespace capi::formats::internal
