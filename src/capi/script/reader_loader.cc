#include <algorithm>
#include <string>
#include <utility>

#include "capi/script/default_value.h"
#include "capi/script/load_state_internal.h"
#include "capi/script/names.h"

namespace capi::script {

namespace {

constexpr int64_t kUsualRowsetRows = 1000;

/// Settings of one column before it is known what kind of file they stand for.
struct ColumnDraft {
  FileReaderColumn column;
  Spot spot;
  bool has_type = false;
  Spot default_spot;
  Spot index_spot;
  bool names_parquet() const { return !column.parquet_name.empty(); }
};

void ReadUrls(MapReader* map, FileReader* reader, LoadState* state) {
  const std::optional<std::vector<const TreeNode*>> urls = map->Strings("urls");
  const TreeNode* list = map->Find("urls");
  const bool reported = list != nullptr && list->kind != TreeNode::Kind::kList;
  if (!reported && (!urls.has_value() || list->items.empty())) {
    state->diagnostics->Error(map->NodeOr(list), map->PathOf("urls"), "no_source_files",
                              "at least one address of a source file is expected");
    return;
  }
  for (const TreeNode* url : urls.value_or(std::vector<const TreeNode*>())) {
    if (IsBlank(url->text)) {
      state->diagnostics->Error(*url, map->PathOf("urls"), "no_source_files",
                                "the address of a source file is empty");
    }
    reader->urls.push_back(url->text);
  }
}

void ReadSeparator(MapReader* csv, FileReader* reader, LoadState* state) {
  const TreeNode* value = csv->String("separator");
  if (value == nullptr || value->text.empty() || value->kind == TreeNode::Kind::kUnresolved) {
    return;
  }
  const char c = value->text[0];
  const bool usable = value->text.size() == 1 && c != '"' && c != '\r' && c != '\n' && c != '\0' &&
                      static_cast<unsigned char>(c) < 0x80;
  if (!usable) {
    state->diagnostics->Error(
        *value, csv->PathOf("separator"), "bad_separator",
        "a separator for reading is one ASCII character, no quote and no line end: " + value->text);
    return;
  }
  reader->separator = c;
}

ColumnDraft ReadColumn(const TreeEntry& entry, const std::string& path, NodeDraft* draft,
                       LoadState* state) {
  ColumnDraft result;
  FileReaderColumn& column = result.column;
  result.spot = Spot{entry.value, path};
  column.field.name = entry.key;
  MapReader map = state->Reader(result.spot, MapKind::kReaderColumn);
  if (entry.value->kind == TreeNode::Kind::kNull) {
    return result;
  }
  const std::optional<data::FieldType> type = ReadFieldType(&map, "col_type", *state);
  result.has_type = type.has_value();
  column.field.type = type.value_or(data::FieldType::kString);
  column.default_text = map.Text("col_default_value");
  result.default_spot = Spot{map.Find("col_default_value"), map.PathOf("col_default_value")};
  MapReader csv = map.Below("csv");
  column.header = csv.Text("col_hdr");
  column.index = csv.Integer("col_idx").value_or(0);
  result.index_spot = Spot{csv.Find("col_idx"), csv.PathOf("col_idx")};
  column.format = csv.Text("col_format");
  for (const TreeNode* text : csv.Strings("null_values").value_or(std::vector<const TreeNode*>())) {
    column.null_values.push_back(text->text);
  }
  csv.WarnUnknown();
  MapReader parquet = map.Below("parquet");
  column.parquet_name = parquet.Text("col_name");
  parquet.WarnUnknown();
  map.WarnUnknown();
  draft->columns.Add(column.field.name, type);
  return result;
}

/// The kind of the files, told by the columns; all must agree.
std::optional<FileFormat> DetectFormat(const std::vector<ColumnDraft>& columns,
                                       const Spot& all_columns, LoadState* state) {
  const ColumnDraft* csv = nullptr;
  const ColumnDraft* parquet = nullptr;
  const ColumnDraft* undecided = nullptr;
  for (const ColumnDraft& draft : columns) {
    const FileReaderColumn& column = draft.column;
    if (draft.names_parquet()) {
      parquet = parquet == nullptr ? &draft : parquet;
    } else if (!column.header.empty() || column.index > 0 || columns.size() == 1) {
      csv = csv == nullptr ? &draft : csv;
    } else {
      undecided = undecided == nullptr ? &draft : undecided;
    }
  }
  if (csv == nullptr && parquet == nullptr) {
    state->Error(
        all_columns, "file_type_undetected",
        "no column tells whether the files are CSV or Parquet: csv.col_hdr, csv.col_idx above "
        "0 or parquet.col_name is expected");
    return std::nullopt;
  }
  const ColumnDraft* other = csv != nullptr ? csv : undecided;
  if (parquet != nullptr && other != nullptr) {
    state->Error(other->spot, "mixed_file_types",
                 "some columns are for Parquet and some are not: column " +
                     other->column.field.name + " has no parquet.col_name, column " +
                     parquet->column.field.name + " has");
    return std::nullopt;
  }
  return parquet != nullptr ? FileFormat::kParquet : FileFormat::kCsv;
}

void CheckAddressing(const std::vector<ColumnDraft>& columns, FileReader* reader,
                     LoadState* state) {
  const ColumnDraft* by_header = nullptr;
  const ColumnDraft* by_index = nullptr;
  for (const ColumnDraft& draft : columns) {
    const ColumnDraft*& first = draft.column.header.empty() ? by_index : by_header;
    first = first == nullptr ? &draft : first;
    if (draft.column.header.empty() && draft.column.index < 0) {
      state->Error(draft.index_spot, "out_of_range",
                   "a column's index counts from 0: " + std::to_string(draft.column.index));
    }
  }
  if (by_header != nullptr && by_index != nullptr) {
    state->Error(by_index->spot, "mixed_column_addressing",
                 "some columns are found by header and some by index: column " +
                     by_index->column.field.name + " has no csv.col_hdr, column " +
                     by_header->column.field.name + " has");
  }
  reader->by_header = by_header != nullptr;
}

/// A format that could never read a cell (spec/formats.md 2).
void CheckFormat(const ColumnDraft& draft, LoadState* state) {
  const FileReaderColumn& column = draft.column;
  const bool has_format = !column.format.empty();
  switch (column.field.type) {
    case data::FieldType::kString:
    case data::FieldType::kBool:
      if (has_format) {
        state->Error(draft.spot, "bad_column_format",
                     "csv.col_format is not for columns of type " +
                         std::string(data::FieldTypeName(column.field.type)) + ": " +
                         column.format);
      }
      break;
    case data::FieldType::kDatetime:
      if (!has_format) {
        state->Error(draft.spot, "bad_column_format",
                     "a datetime column needs csv.col_format, for example 2006-01-02 15:04:05");
      }
      break;
    case data::FieldType::kInt:
    case data::FieldType::kFloat:
    case data::FieldType::kDecimal2:
      break;
  }
}

void ParseDefault(ColumnDraft* draft, FileFormat format, LoadState* state) {
  FileReaderColumn& column = draft->column;
  const bool is_text = column.field.type == data::FieldType::kString;
  const bool given = is_text ? !column.default_text.empty() : !IsBlank(column.default_text);
  if (!given || draft->default_spot.node->kind == TreeNode::Kind::kUnresolved) {
    return;
  }
  const bool no_layout = format == FileFormat::kParquet && column.format.empty() &&
                         column.field.type == data::FieldType::kDatetime;
  if (no_layout) {
    state->diagnostics->WarnAt(
        draft->default_spot.node->place(), draft->default_spot.path, "unused_default",
        "the default is not used: without csv.col_format nothing says how to "
        "read it as a datetime: " +
            column.default_text);
    return;
  }
  Result<data::Value> value =
      ParseColumnDefault(column.field.type, column.default_text, column.format);
  if (!value.ok()) {
    state->diagnostics->Add(value.status(), draft->default_spot.node->place(),
                            draft->default_spot.path);
    return;
  }
  column.default_value = *std::move(value);
}

/// errors: {max_rows, reject_file}
void ReadRowErrors(MapReader* map, FileReader* reader, LoadState* state) {
  constexpr std::string_view kBatchPlaceholder = "{batch_idx|string}";
  if (map->Find("errors") == nullptr) {
    return;
  }
  MapReader errors = map->Below("errors");
  if (!errors.exists()) {
    return;
  }
  RowErrors& result = reader->errors.emplace();
  const std::optional<int64_t> max_rows = errors.Integer("max_rows");
  if (max_rows.has_value() && *max_rows < errors.Declared("max_rows").least) {
    state->diagnostics->Error(*errors.Find("max_rows"), errors.PathOf("max_rows"), "out_of_range",
                              "max_rows must not be negative: " + std::to_string(*max_rows));
  }
  result.max_rows = max_rows.value_or(-1);
  const TreeNode* file = errors.String("reject_file");
  errors.WarnUnknown();
  if (file == nullptr && errors.Find("reject_file") != nullptr) {
    return;  // Reported: no string.
  }
  const std::string path = errors.PathOf("reject_file");
  result.reject_file = file == nullptr ? std::string() : file->text;
  if (IsBlank(result.reject_file)) {
    state->diagnostics->Error(errors.NodeOr(file), path, "bad_url_template",
                              "the address of the file for bad rows is missing");
    return;
  }
  const bool several = reader->urls.size() > 1;
  if (several && result.reject_file.find(kBatchPlaceholder) == std::string::npos) {
    state->diagnostics->Error(
        *file, path, "bad_url_template",
        "each input file has a file for bad rows of its own, so the address must contain "
        "{batch_idx}: " +
            result.reject_file);
  }
  if (std::find(reader->urls.begin(), reader->urls.end(), result.reject_file) !=
      reader->urls.end()) {
    state->diagnostics->Error(
        *file, path, "bad_url_template",
        "the file for bad rows would replace an input file: " + result.reject_file);
  }
}

}  // namespace

void LoadFileReader(MapReader* map, NodeDraft* draft, LoadState* state) {
  FileReader& reader = draft->node->file_reader.emplace();
  if (!map->exists()) {
    return;
  }
  ReadUrls(map, &reader, state);
  MapReader csv = map->Below("csv");
  reader.header_line = csv.Integer("hdr_line_idx").value_or(0);
  reader.first_data_line = csv.Integer("first_data_line_idx").value_or(0);
  ReadSeparator(&csv, &reader, state);
  csv.WarnUnknown();
  const TreeNode* columns_map = map->Map("columns");
  ReadRowErrors(map, &reader, state);
  map->WarnUnknown();

  std::vector<ColumnDraft> columns;
  if (columns_map != nullptr) {
    for (const TreeEntry& entry : NamedEntries(*columns_map)) {
      const std::string path = map->PathOf("columns") + "." + entry.key;
      if (!IsIdentifier(entry.key)) {
        state->diagnostics->WarnAt(columns_map->source->PlaceOf(entry.key_begin), path,
                                   "unusable_name",
                                   "no expression can use a column of this name: " + entry.key);
      }
      columns.push_back(ReadColumn(entry, path, draft, state));
    }
  }
  const TreeNode* written_columns = map->Find("columns");
  if (written_columns != nullptr && columns_map == nullptr) {
    return;  // Reported: no map.
  }
  const Spot all_columns{&map->NodeOr(columns_map), map->PathOf("columns")};
  const std::optional<FileFormat> format = DetectFormat(columns, all_columns, state);
  reader.format = format.value_or(FileFormat::kCsv);
  if (format == FileFormat::kCsv) {
    CheckAddressing(columns, &reader, state);
    const TreeNode* header_line = csv.Find("hdr_line_idx");
    if (reader.by_header && reader.header_line < 0) {
      state->diagnostics->Error(csv.NodeOr(header_line), csv.PathOf("hdr_line_idx"),
                                "bad_header_line",
                                "columns are found by header, so there must be a header line: " +
                                    std::to_string(reader.header_line));
    }
  }
  if (format == FileFormat::kParquet && reader.errors.has_value()) {
    map->IgnoreKey("errors", "these are Parquet files, the key has no effect");
    reader.errors.reset();
  }
  for (ColumnDraft& column : columns) {
    if (column.has_type && format.has_value()) {
      if (format == FileFormat::kCsv) {
        CheckFormat(column, state);
      }
      ParseDefault(&column, *format, state);
    }
    reader.columns.push_back(std::move(column.column));
  }
}

void LoadTableReader(MapReader* map, NodeDraft* draft, LoadState* state) {
  TableReader& reader = draft->node->table_reader.emplace();
  if (!map->exists()) {
    return;
  }
  const TreeNode* table = map->String("table");
  draft->reader_table = Spot{table, map->PathOf("table")};
  const bool reported = table == nullptr && map->Find("table") != nullptr;
  if (!reported && (table == nullptr || table->text.empty())) {
    state->diagnostics->Error(map->NodeOr(table), map->PathOf("table"), "empty_reader_table",
                              "the name of the table to read is missing");
    draft->reader_table.node = nullptr;
  }
  reader.table = table == nullptr ? std::string() : table->text;
  const int64_t num_batches = map->Integer("expected_batches_total").value_or(0);
  reader.num_batches = num_batches == 0 ? 1 : num_batches;
  const int64_t most_batches = map->Declared("expected_batches_total").most;
  if (reader.num_batches < 1 || reader.num_batches > most_batches) {
    state->diagnostics->Error(*map->Find("expected_batches_total"),
                              map->PathOf("expected_batches_total"), "out_of_range",
                              "the number of batches must be 1 to " + std::to_string(most_batches) +
                                  ": " + std::to_string(num_batches));
  }
  const int64_t rowset_size = map->Integer("rowset_size").value_or(0);
  reader.rowset_size = rowset_size == 0 ? kUsualRowsetRows : rowset_size;
  const int64_t most_rows = map->Declared("rowset_size").most;
  if (rowset_size < 0 || rowset_size > most_rows) {
    state->diagnostics->Error(*map->Find("rowset_size"), map->PathOf("rowset_size"), "out_of_range",
                              "rowset_size must be 0 to " + std::to_string(most_rows) + ": " +
                                  std::to_string(rowset_size));
  }
  map->WarnUnknown();
}

}  // namespace capi::script
