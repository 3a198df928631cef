#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/record_batch.h"
#include "capi/data/column.h"
#include "capi/exec/context.h"
#include "capi/exec/task_pool.h"
#include "capi/formats/parquet_reader.h"
#include "capi/script/default_value.h"
#include "capi/service/file_schema.h"
#include "capi/service/key_finder_internal.h"

namespace capi::service {

namespace {

/// The values of a column as texts, one row at a time.
class ValueTexts {
 public:
  static Result<ValueTexts> Make(const arrow::Array& column) {
    ValueTexts texts(column);
    if (column.type_id() != arrow::Type::INT64) {
      CAPI_ASSIGN_OR_RETURN(texts.strings_, data::StringReader::Make(column));
    }
    return texts;
  }
  Result<std::string> At(int64_t row) const {
    if (strings_) return std::string((*strings_)[row]);
    CAPI_ASSIGN_OR_RETURN(const data::Value value, data::CellValue(*column_, row));
    return data::ValueToText(value);
  }

 private:
  explicit ValueTexts(const arrow::Array& column) : column_(&column) {}
  const arrow::Array* column_;
  std::optional<data::StringReader> strings_;
};

/// Columns without repetitions among those that may be keys, by reading them.
class ParquetKeys {
 public:
  /// `columns`: of the file, by their place in `schema`.
  ParquetKeys(const FileSchema& schema, std::vector<size_t> columns)
      : columns_(std::move(columns)), finder_(SingleGroups(columns_.size())) {
    for (const size_t column : columns_) {
      const FileSchemaColumn& found = schema.columns[column];
      options_.columns.push_back(
          {{found.header, found.type}, found.header, data::ZeroValue(found.type), true});
    }
  }

  Result<std::vector<std::vector<size_t>>> Find(const formats::ParquetBytes& file,
                                                const std::string& name) {
    options_.file_name = name;
    CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<exec::TaskPool> pool, exec::TaskPool::Make(2));
    exec::Context context;
    context.pool = pool.get();
    formats::ParquetReadStatistics statistics;
    const Status status = formats::ReadParquet(
        context, file, options_,
        [](const formats::ParquetBatch& batch) -> Result<std::shared_ptr<void>> {
          return batch.batch;
        },
        [this](const std::shared_ptr<void>& batch) {
          return Add(*static_cast<const arrow::RecordBatch*>(batch.get()));
        },
        &statistics);
    if (finder_.done()) return std::vector<std::vector<size_t>>{};
    CAPI_RETURN_NOT_OK(status);
    std::vector<std::vector<size_t>> keys = finder_.Keys();
    for (std::vector<size_t>& key : keys) {
      for (size_t& column : key) column = columns_[column];
    }
    return keys;
  }

 private:
  static std::vector<std::vector<size_t>> SingleGroups(size_t n) {
    std::vector<std::vector<size_t>> groups;
    for (size_t i = 0; i < n; ++i) groups.push_back({i});
    return groups;
  }

  /// Ends the reading as soon as no column can be a key any more.
  Status Add(const arrow::RecordBatch& batch) {
    std::vector<ValueTexts> columns;
    for (const auto& column : batch.columns()) {
      CAPI_ASSIGN_OR_RETURN(ValueTexts texts, ValueTexts::Make(*column));
      columns.push_back(std::move(texts));
    }
    std::vector<std::string> values(columns.size());
    std::vector<std::string_view> cells(columns.size());
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      for (size_t i = 0; i < columns.size(); ++i) {
        CAPI_ASSIGN_OR_RETURN(values[i], columns[i].At(row));
        cells[i] = values[i];
      }
      finder_.Add(cells);
      if (finder_.done()) return CancelledError("no column is a key");
    }
    return Status::OK();
  }

  const std::vector<size_t> columns_;
  KeyFinder finder_;
  formats::ParquetReadOptions options_;
};

void AddColumn(const formats::ParquetColumnInfo& info, FileSchema* schema) {
  const std::string name = "column " + info.name;
  if (!info.type) {
    schema->notes.push_back(
        {SchemaNote::Kind::kChanges, 0,
         name + " of type " + info.type_text + " cannot be read, it is left out"});
    return;
  }
  FileSchemaColumn& column = schema->columns.emplace_back();
  column.header = info.name;
  column.type = *info.type;
  column.exact = info.change.empty() && info.num_nulls == 0;
  if (!info.change.empty()) {
    schema->notes.push_back({SchemaNote::Kind::kChanges, 0, name + ": " + info.change});
  }
  if (info.num_nulls > 0) {
    const std::string zero = data::ValueToText(data::ZeroValue(*info.type));
    schema->notes.push_back({SchemaNote::Kind::kChanges, 0,
                             name + ": " + std::to_string(info.num_nulls) + " nulls become " +
                                 (zero.empty() ? "empty texts" : zero) +
                                 "; col_default_value gives another value"});
  }
}

}  // namespace

Result<FileSchema> InferParquetSchema(files::Files* files, const std::string& url,
                                      const InferOptions& options) {
  CAPI_ASSIGN_OR_RETURN(const files::Fingerprint fingerprint, files->FingerprintOf(url));
  CAPI_ASSIGN_OR_RETURN(const auto input, files->OpenRandomAccess(url, fingerprint));
  const std::string name = files::Redacted(url);
  CAPI_ASSIGN_OR_RETURN(const formats::ParquetInfo info,
                        formats::InspectParquet(input.get(), name));
  FileSchema schema;
  schema.format = script::FileFormat::kParquet;
  schema.num_rows = info.num_rows;
  for (const formats::ParquetColumnInfo& column : info.columns) AddColumn(column, &schema);
  if (schema.columns.empty()) {
    return UserError("empty_file", "the file has no column that can be read: " + name);
  }
  // The footer tells everything else, so only keys are worth reading the rows for.
  schema.whole_file = options.sample_rows == 0 || options.sample_rows >= info.num_rows;
  std::vector<size_t> candidates;
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    const FileSchemaColumn& column = schema.columns[i];
    const bool plain =
        column.type == data::FieldType::kInt || column.type == data::FieldType::kString;
    if (column.exact && plain) candidates.push_back(i);
  }
  if (schema.whole_file && schema.num_rows >= 2 && !candidates.empty()) {
    CAPI_ASSIGN_OR_RETURN(schema.keys,
                          ParquetKeys(schema, std::move(candidates)).Find(input.get(), name));
    SortKeys(&schema);
  }
  return schema;
}

}  // namespace capi::service
