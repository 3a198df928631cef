#include <utility>

#include "arrow/io/interfaces.h"
#include "capi/formats/parquet_file_internal.h"
#include "capi/formats/parquet_library_internal.h"
#include "capi/formats/parquet_source_internal.h"
#include "parquet/types.h"

namespace capi::formats::internal {

namespace {

/// Hands out page readers that tell the tracker which page they load.
class TrackedRowGroup : public parquet::RowGroupReader::Contents {
 public:
  TrackedRowGroup(std::shared_ptr<parquet::RowGroupReader> row_group,
                  const parquet::ReaderProperties* properties, std::shared_ptr<PageTracker> tracker)
      : row_group_(std::move(row_group)), properties_(properties), tracker_(std::move(tracker)) {}

  std::unique_ptr<parquet::PageReader> GetColumnPageReader(int leaf) override {
    std::unique_ptr<parquet::PageReader> pages = row_group_->GetColumnPageReader(leaf);
    pages->set_data_page_filter([tracker = tracker_](const parquet::DataPageStats& page) {
      const int64_t begin = tracker->next_begin;
      tracker->next_begin += page.num_values;
      // Empty pages go too: readers take them for the end.
      if (tracker->next_begin <= tracker->target || page.num_values == 0) return true;
      tracker->loaded_begin = begin;
      tracker->loaded_end = tracker->next_begin;
      return false;
    });
    return pages;
  }
  const parquet::RowGroupMetaData* metadata() const override { return row_group_->metadata(); }
  const parquet::ReaderProperties* properties() const override { return properties_; }

 private:
  const std::shared_ptr<parquet::RowGroupReader> row_group_;
  const parquet::ReaderProperties* const properties_;
  const std::shared_ptr<PageTracker> tracker_;
};

Meaning MeaningOfAnnotation(const parquet::LogicalType& logical, parquet::Type::type physical,
                            FileColumn* column) {
  const bool whole = physical == parquet::Type::INT32 || physical == parquet::Type::INT64;
  if (logical.is_null()) return Meaning::kNothing;
  if (logical.is_decimal()) {
    column->scale = static_cast<const parquet::DecimalLogicalType&>(logical).scale();
    return Meaning::kDecimal;
  }
  if (logical.is_timestamp() && physical == parquet::Type::INT64) {
    switch (static_cast<const parquet::TimestampLogicalType&>(logical).time_unit()) {
      case parquet::LogicalType::TimeUnit::MILLIS:
        column->units_per_second = 1000;
        return Meaning::kTimestamp;
      case parquet::LogicalType::TimeUnit::MICROS:
        column->units_per_second = 1000000;
        return Meaning::kTimestamp;
      case parquet::LogicalType::TimeUnit::NANOS:
        column->units_per_second = 1000000000;
        return Meaning::kTimestamp;
      default:
        return Meaning::kUnsupported;
    }
  }
  if (logical.is_date() && physical == parquet::Type::INT32) return Meaning::kDate;
  if (logical.is_time() && whole) return Meaning::kTime;
  if (logical.is_int() && whole) {
    const bool is_signed = static_cast<const parquet::IntLogicalType&>(logical).is_signed();
    return is_signed ? Meaning::kSigned : Meaning::kUnsigned;
  }
  const bool text = logical.is_string() || logical.is_enum() || logical.is_JSON();
  if (text && physical == parquet::Type::BYTE_ARRAY) return Meaning::kText;
  return Meaning::kUnsupported;
}

Meaning MeaningOf(const parquet::schema::PrimitiveNode& node, FileColumn* column) {
  const std::shared_ptr<const parquet::LogicalType>& logical = node.logical_type();
  if (logical != nullptr && logical->is_valid() && !logical->is_none()) {
    return MeaningOfAnnotation(*logical, node.physical_type(), column);
  }
  switch (node.physical_type()) {
    case parquet::Type::BOOLEAN:
      return Meaning::kTruth;
    case parquet::Type::INT32:
    case parquet::Type::INT64:
      return Meaning::kSigned;
    case parquet::Type::INT96:
      return Meaning::kImpalaTimestamp;
    case parquet::Type::FLOAT:
    case parquet::Type::DOUBLE:
      return Meaning::kReal;
    case parquet::Type::BYTE_ARRAY:  // text of writers without annotations
      return Meaning::kText;
    default:
      return Meaning::kUnsupported;
  }
}

std::string TypeText(const parquet::schema::Node& node) {
  const std::shared_ptr<const parquet::LogicalType>& logical = node.logical_type();
  std::string annotation;
  if (logical != nullptr && logical->is_valid() && !logical->is_none()) {
    annotation = logical->ToString();
  }
  if (node.is_group()) return annotation.empty() ? "group" : annotation;
  const auto& leaf = static_cast<const parquet::schema::PrimitiveNode&>(node);
  std::string text = node.is_repeated() ? "repeated " : "";
  text += parquet::TypeToString(leaf.physical_type());
  if (leaf.physical_type() == parquet::Type::FIXED_LEN_BYTE_ARRAY) {
    text += "(" + std::to_string(leaf.type_length()) + ")";
  }
  return annotation.empty() ? text : text + " " + annotation;
}

}  // namespace

std::optional<data::FieldType> FileColumn::natural_type() const {
  switch (meaning) {
    case Meaning::kNested:
    case Meaning::kUnsupported:
    case Meaning::kNothing:
      return std::nullopt;
    case Meaning::kSigned:
    case Meaning::kUnsigned:
    case Meaning::kTime:
      return data::FieldType::kInt;
    case Meaning::kReal:
      return data::FieldType::kFloat;
    case Meaning::kTruth:
      return data::FieldType::kBool;
    case Meaning::kText:
      return data::FieldType::kString;
    case Meaning::kDecimal:
      return data::FieldType::kDecimal2;
    case Meaning::kDate:
    case Meaning::kTimestamp:
    case Meaning::kImpalaTimestamp:
      return data::FieldType::kDatetime;
  }
  return std::nullopt;
}

bool FileColumn::ReadableAs(data::FieldType type) const {
  switch (meaning) {
    case Meaning::kNested:
    case Meaning::kUnsupported:
      return false;
    case Meaning::kNothing:
      return true;
    case Meaning::kSigned:
    case Meaning::kUnsigned:
      return type == data::FieldType::kInt || type == data::FieldType::kFloat ||
             type == data::FieldType::kDecimal2;
    case Meaning::kDate:
      return type == data::FieldType::kDatetime || type == data::FieldType::kInt;
    default:
      return type == natural_type();
  }
}

Result<std::unique_ptr<ParquetFile>> ParquetFile::Open(const ParquetBytes& bytes,
                                                       const std::string& file_name) {
  Result<std::unique_ptr<ParquetFile>> opened =
      CatchExceptions([&]() -> Result<std::unique_ptr<ParquetFile>> {
        auto file = std::make_unique<ParquetFile>();
        file->properties_.set_page_checksum_verification(true);
        file->reader_ =
            parquet::ParquetFileReader::Open(OpenParquetSource(bytes), file->properties_);
        file->metadata_ = file->reader_->metadata();
        file->ListColumns();
        return file;
      });
  if (!opened.ok()) {
    return Prefixed(opened.status(), "not a readable Parquet file: " + file_name + ": ");
  }
  return opened;
}

void ParquetFile::ListColumns() {
  const parquet::SchemaDescriptor& schema = *metadata_->schema();
  const parquet::schema::GroupNode& root = *schema.group_node();
  for (int i = 0; i < root.field_count(); ++i) {
    const parquet::schema::Node& node = *root.field(i);
    FileColumn& column = columns_.emplace_back();
    column.name = node.name();
    column.type_text = TypeText(node);
    if (node.is_group() || node.is_repeated()) {
      column.meaning = Meaning::kNested;
      continue;
    }
    column.meaning = MeaningOf(static_cast<const parquet::schema::PrimitiveNode&>(node), &column);
    column.leaf = schema.ColumnIndex(node);
    column.descriptor = schema.Column(column.leaf);
  }
}

ColumnPages ParquetFile::OpenColumn(int row_group, int leaf, bool expose_dictionary) {
  ColumnPages pages;
  pages.tracker = std::make_shared<PageTracker>();
  const std::lock_guard lock(mutex_);
  parquet::RowGroupReader tracked(
      std::make_unique<TrackedRowGroup>(reader_->RowGroup(row_group), &properties_, pages.tracker));
  pages.reader = expose_dictionary
                     ? tracked.ColumnWithExposeEncoding(leaf, parquet::ExposedEncoding::DICTIONARY)
                     : tracked.Column(leaf);
  return pages;
}

}  // namespace capi::formats::internal
