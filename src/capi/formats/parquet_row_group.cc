#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/util/bit_util.h"
#include "capi/data/column.h"
#include "capi/formats/parquet_library_internal.h"
#include "capi/formats/parquet_row_group_internal.h"
#include "parquet/column_writer.h"
#include "parquet/exception.h"
#include "parquet/file_writer.h"
#include "parquet/properties.h"
#include "parquet/schema.h"
#include "xxhash.h"

namespace capi::formats::internal {

namespace {

using data::FieldType;

constexpr char kCreatedBy[] = "capillaries";
constexpr char kSchemaRoot[] = "msg";
constexpr int kGzipLevel = 6;
constexpr int kDecimalPrecision = 18;
constexpr int kDecimalScale = 2;

/// Numbers become a dictionary when at most one value in this many is new ...
constexpr int64_t kValuesPerNumber = 8;
/// ... texts already earlier, because a code is so much shorter than a text.
constexpr int64_t kValuesPerText = 4;
constexpr int64_t kMostDictionaryBytes = int64_t{1} << 20;

parquet::Compression::type CompressionOf(const std::string& codec) {
  if (codec == "snappy") return parquet::Compression::SNAPPY;
  return codec == "gzip" ? parquet::Compression::GZIP : parquet::Compression::UNCOMPRESSED;
}

parquet::schema::NodePtr NodeOf(const ParquetOutputColumn& column) {
  using parquet::LogicalType;
  using parquet::Type;
  const auto make = [&column](std::shared_ptr<const LogicalType> logical, Type::type physical) {
    return parquet::schema::PrimitiveNode::Make(column.name, parquet::Repetition::OPTIONAL,
                                                std::move(logical), physical);
  };
  switch (column.field.type) {
    case FieldType::kInt:
      return make(LogicalType::None(), Type::INT64);
    case FieldType::kFloat:
      return make(LogicalType::None(), Type::DOUBLE);
    case FieldType::kBool:
      return make(LogicalType::None(), Type::BOOLEAN);
    case FieldType::kString:
      return make(LogicalType::String(), Type::BYTE_ARRAY);
    case FieldType::kDecimal2:
      return make(LogicalType::Decimal(kDecimalPrecision, kDecimalScale), Type::INT64);
    case FieldType::kDatetime:
      return make(
          LogicalType::Timestamp(/*is_adjusted_to_utc=*/false, LogicalType::TimeUnit::MILLIS,
                                 /*is_from_converted_type=*/false,
                                 /*force_set_converted_type=*/true),
          Type::INT64);
  }
  return nullptr;
}

/// Counts different values up to a limit, by 64-bit hashes.
class DistinctCounter {
 public:
  explicit DistinctCounter(int64_t limit) : limit_(limit) {
    size_t size = 64;
    while (size < static_cast<size_t>(limit) * 2) size *= 2;
    slots_.resize(size);
  }
  bool over_limit() const { return count_ > limit_; }
  /// True for a value not seen before.
  bool Add(uint64_t hash) {
    hash += static_cast<uint64_t>(hash == 0);  // 0 marks free slots
    const size_t mask = slots_.size() - 1;
    for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
      if (slots_[slot] == hash) return false;
      if (slots_[slot] == 0) {
        slots_[slot] = hash;
        ++count_;
        return true;
      }
    }
  }

 private:
  const int64_t limit_;
  int64_t count_ = 0;
  std::vector<uint64_t> slots_;
};

bool FewNumbers(const void* values, int64_t n) {
  if (n == 0) return false;
  DistinctCounter counter(n / kValuesPerNumber);
  for (int64_t i = 0; i < n; ++i) {
    uint64_t value;
    std::memcpy(&value, static_cast<const char*>(values) + i * sizeof(value), sizeof(value));
    constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
    value *= kOdd;
    counter.Add(value ^ (value >> 32U));
    if (counter.over_limit()) return false;
  }
  return true;
}

bool FewTexts(const std::vector<parquet::ByteArray>& values) {
  DistinctCounter counter(static_cast<int64_t>(values.size()) / kValuesPerText);
  int64_t dictionary_bytes = 0;
  for (const parquet::ByteArray& value : values) {
    if (!counter.Add(XXH3_64bits(value.ptr, value.len))) continue;
    dictionary_bytes += static_cast<int64_t>(sizeof(uint32_t)) + value.len;
    if (counter.over_limit() || dictionary_bytes > kMostDictionaryBytes) return false;
  }
  return true;
}

/// One column of a row group: its values one after the other.
struct GatheredColumn {
  FieldType type = FieldType::kInt;
  std::vector<int64_t> longs;
  std::vector<double> doubles;
  std::unique_ptr<bool[]> bools;
  std::vector<parquet::ByteArray> texts;
  std::vector<int16_t> levels;  ///< empty: no nulls
  bool dictionary = false;
};

template <typename T>
void AppendValues(const arrow::Array& array, int64_t begin, int64_t n, std::vector<T>* values) {
  const T* const from = array.data()->GetValues<T>(1) + begin;
  values->insert(values->end(), from, from + n);
}

/// The zero moment is written as null.
void MakeZeroMomentsNull(GatheredColumn* column) {
  std::vector<int64_t>& values = column->longs;
  if (std::find(values.begin(), values.end(), data::kZeroMomentMillis) == values.end()) return;
  column->levels.reserve(values.size());
  for (const int64_t value : values) {
    column->levels.push_back(static_cast<int16_t>(value != data::kZeroMomentMillis));
  }
  values.erase(std::remove(values.begin(), values.end(), data::kZeroMomentMillis), values.end());
}

Status GatherTexts(const arrow::Array& array, int64_t begin, int64_t n,
                   std::vector<parquet::ByteArray>* texts) {
  CAPI_ASSIGN_OR_RETURN(const data::StringReader reader, data::StringReader::Make(array));
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view text = reader[begin + i];
    texts->emplace_back(static_cast<uint32_t>(text.size()),
                        reinterpret_cast<const uint8_t*>(text.data()));
  }
  return Status::OK();
}

Result<GatheredColumn> GatherColumn(const RowGroupPieces& group, size_t number, FieldType type) {
  const auto n = static_cast<size_t>(group.rows);
  GatheredColumn column;
  column.type = type;
  if (type == FieldType::kBool) column.bools = std::make_unique<bool[]>(n);
  if (type == FieldType::kString) column.texts.reserve(n);
  if (type == FieldType::kFloat) column.doubles.reserve(n);
  if (column.bools == nullptr && type != FieldType::kString && type != FieldType::kFloat) {
    column.longs.reserve(n);
  }
  int64_t rows = 0;
  for (const BlockPiece& piece : group.pieces) {
    const arrow::Array& array = *piece.block->columns[number];
    switch (type) {
      case FieldType::kFloat:
        AppendValues(array, piece.begin, piece.rows, &column.doubles);
        break;
      case FieldType::kBool:
        for (int64_t i = 0; i < piece.rows; ++i) {
          column.bools[static_cast<size_t>(rows + i)] = arrow::bit_util::GetBit(
              array.data()->buffers[1]->data(), array.offset() + piece.begin + i);
        }
        break;
      case FieldType::kString:
        CAPI_RETURN_NOT_OK(GatherTexts(array, piece.begin, piece.rows, &column.texts));
        break;
      default:
        AppendValues(array, piece.begin, piece.rows, &column.longs);
    }
    rows += piece.rows;
  }
  if (type == FieldType::kDatetime) MakeZeroMomentsNull(&column);
  if (type == FieldType::kString) {
    column.dictionary = FewTexts(column.texts);
  } else if (type == FieldType::kFloat) {
    column.dictionary = FewNumbers(column.doubles.data(), static_cast<int64_t>(n));
  } else if (type != FieldType::kBool) {
    column.dictionary = FewNumbers(column.longs.data(), static_cast<int64_t>(column.longs.size()));
  }
  return column;
}

void WriteColumn(const GatheredColumn& column, int64_t rows, const int16_t* all_there,
                 parquet::ColumnWriter* writer) {
  const int16_t* const levels = column.levels.empty() ? all_there : column.levels.data();
  switch (column.type) {
    case FieldType::kFloat:
      static_cast<parquet::DoubleWriter*>(writer)->WriteBatch(rows, levels, nullptr,
                                                              column.doubles.data());
      break;
    case FieldType::kBool:
      static_cast<parquet::BoolWriter*>(writer)->WriteBatch(rows, levels, nullptr,
                                                            column.bools.get());
      break;
    case FieldType::kString:
      static_cast<parquet::ByteArrayWriter*>(writer)->WriteBatch(rows, levels, nullptr,
                                                                 column.texts.data());
      break;
    default:
      static_cast<parquet::Int64Writer*>(writer)->WriteBatch(rows, levels, nullptr,
                                                             column.longs.data());
  }
  writer->Close();
}

class LibraryEncoder final : public RowGroupEncoder {
 public:
  explicit LibraryEncoder(const ParquetWriteOptions& options)
      : columns_(options.columns), compression_(CompressionOf(options.codec)) {
    parquet::schema::NodeVector nodes;
    for (const ParquetOutputColumn& column : columns_) nodes.push_back(NodeOf(column));
    schema_ = std::static_pointer_cast<parquet::schema::GroupNode>(
        parquet::schema::GroupNode::Make(kSchemaRoot, parquet::Repetition::REQUIRED, nodes));
  }

  Result<EncodedRowGroup> Encode(const RowGroupPieces& group) const override {
    return CatchExceptions([&]() -> Result<EncodedRowGroup> {
      std::vector<GatheredColumn> columns;
      for (size_t i = 0; i < columns_.size(); ++i) {
        CAPI_ASSIGN_OR_RETURN(columns.emplace_back(),
                              GatherColumn(group, i, columns_[i].field.type));
      }
      CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Buffer> file,
                            WriteFile(columns, group.rows, group.bytes));
      return CutRowGroup(TextOf(*file), group.rows);
    });
  }

  Result<std::string> EmptyFile() const override {
    return CatchExceptions([&]() -> Result<std::string> {
      CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Buffer> file, WriteFile({}, 0, 0));
      return std::string(TextOf(*file));
    });
  }

 private:
  static std::string_view TextOf(const arrow::Buffer& buffer) {
    return {reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(buffer.size())};
  }

  std::shared_ptr<parquet::WriterProperties> PropertiesFor(
      const std::vector<GatheredColumn>& columns) const {
    parquet::WriterProperties::Builder builder;
    builder.created_by(kCreatedBy)
        ->compression(compression_)
        ->disable_dictionary()
        ->disable_write_page_index()
        ->data_page_version(parquet::ParquetDataPageVersion::V1)
        ->dictionary_pagesize_limit(2 * kMostDictionaryBytes)
        ->set_size_statistics_level(parquet::SizeStatisticsLevel::None);
    if (compression_ == parquet::Compression::GZIP) builder.compression_level(kGzipLevel);
    for (size_t i = 0; i < columns.size(); ++i) {
      // A path of one name, so that dots in the name stay in it.
      if (columns[i].dictionary) {
        builder.enable_dictionary(std::make_shared<parquet::schema::ColumnPath>(
            std::vector<std::string>{columns_[i].name}));
      }
    }
    return builder.build();
  }

  /// A file with one row group, or with none when there are no columns.
  Result<std::shared_ptr<arrow::Buffer>> WriteFile(const std::vector<GatheredColumn>& columns,
                                                   int64_t rows, int64_t bytes) const {
    constexpr int64_t kSmallestBuffer = 4096;
    CAPI_ASSIGN_OR_RETURN(
        const std::shared_ptr<arrow::io::BufferOutputStream> sink,
        arrow::io::BufferOutputStream::Create(std::max(kSmallestBuffer, bytes / 2)));
    const std::unique_ptr<parquet::ParquetFileWriter> writer =
        parquet::ParquetFileWriter::Open(sink, schema_, PropertiesFor(columns));
    if (!columns.empty()) {
      const std::vector<int16_t> all_there(static_cast<size_t>(rows), 1);
      parquet::RowGroupWriter* const group = writer->AppendRowGroup();
      for (const GatheredColumn& column : columns) {
        WriteColumn(column, rows, all_there.data(), group->NextColumn());
      }
      group->Close();
    }
    writer->Close();
    return sink->Finish();
  }

  const std::vector<ParquetOutputColumn> columns_;
  const parquet::Compression::type compression_;
  std::shared_ptr<parquet::schema::GroupNode> schema_;
};

}  // namespace

Result<std::unique_ptr<RowGroupEncoder>> RowGroupEncoder::Make(const ParquetWriteOptions& options) {
  return CatchExceptions([&]() -> Result<std::unique_ptr<RowGroupEncoder>> {
    return std::make_unique<LibraryEncoder>(options);
  });
}

}  // namespace capi::formats::internal
