#include <set>
#include <string>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/data/go_format.h"
#include "capi/script/default_value.h"
#include "capi/script/index_definition.h"
#include "capi/script/load_state_internal.h"
#include "capi/script/names.h"

namespace capi::script {

namespace {

constexpr std::string_view kBatchPlaceholder = "{batch_idx|string}";

struct ColumnSpots {
  Spot whole;
  Spot header;
  Spot format;
  Spot parquet_name;
  bool has_type = false;
};

bool Unresolved(const Spot& spot) {
  return spot.given() && spot.node->kind == TreeNode::Kind::kUnresolved;
}

void ReadUrlTemplate(MapReader* map, NodeDraft* draft, LoadState* state) {
  const TreeNode* value = map->String("url_template");
  FileWriter& writer = *draft->node->file_writer;
  writer.url_template = value == nullptr ? std::string() : value->text;
  if (value == nullptr && map->Find("url_template") != nullptr) {
    return;  // Reported: no string.
  }
  if (IsBlank(writer.url_template)) {
    state->diagnostics->Error(map->NodeOr(value), map->PathOf("url_template"), "bad_url_template",
                              "the address of the file to write is missing");
    return;
  }
  const bool several = draft->node->table_reader && draft->node->table_reader->num_batches > 1;
  if (several && writer.url_template.find(kBatchPlaceholder) == std::string::npos) {
    state->diagnostics->Error(
        *value, map->PathOf("url_template"), "bad_url_template",
        "each batch writes a file of its own, so the address must contain {batch_idx}: " +
            writer.url_template);
  }
}

void ReadCsvSettings(MapReader* map, FileWriter* writer, LoadState* state) {
  MapReader csv = map->Below("csv");
  const TreeNode* separator = csv.String("separator");
  if (separator != nullptr && !separator->text.empty()) {
    writer->separator = separator->text;
    if (writer->separator.find_first_of(std::string_view("\"\r\n\0", 4)) != std::string::npos) {
      state->diagnostics->Error(*separator, csv.PathOf("separator"), "bad_separator",
                                "a separator must not contain quotes, line ends or zero bytes");
    }
  }
  const TreeNode* line_end = csv.String("line_end");
  if (line_end != nullptr && line_end->kind == TreeNode::Kind::kString) {
    writer->line_end_crlf = line_end->text == "CRLF";
    if (line_end->text != "LF" && line_end->text != "CRLF") {
      state->diagnostics->Error(*line_end, csv.PathOf("line_end"), "bad_line_end",
                                "LF or CRLF is expected: " + line_end->text);
    }
  }
  csv.WarnUnknown();
}

void ReadParquetSettings(MapReader* map, FileWriter* writer, LoadState* state) {
  MapReader parquet = map->Below("parquet");
  const std::vector<std::string_view>& codecs = parquet.Declared("codec").choices;
  const TreeNode* codec = parquet.String("codec");
  writer->parquet_codec =
      codec == nullptr || codec->text.empty() ? std::string(codecs[0]) : codec->text;
  bool known = codec != nullptr && codec->kind == TreeNode::Kind::kUnresolved;
  for (const std::string_view name : codecs) {
    known = known || writer->parquet_codec == name;
  }
  if (!known) {
    state->diagnostics->Error(*codec, parquet.PathOf("codec"), "bad_codec",
                              "gzip, snappy or uncompressed is expected: " + codec->text +
                                  DidYouMean(NearestName(codec->text, codecs)));
  }
  parquet.WarnUnknown();
}

ColumnSpots ReadColumn(const TreeNode& item, const std::string& path, NodeDraft* draft,
                       LoadState* state) {
  ColumnSpots spots;
  spots.whole = Spot{&item, path};
  MapReader map = state->Reader(spots.whole, MapKind::kFileColumn);
  FileColumn column;
  column.field.name = map.Text("name");
  const std::optional<data::FieldType> type = ReadFieldType(&map, "type", *state);
  spots.has_type = type.has_value();
  column.field.type = type.value_or(data::FieldType::kString);
  draft->field_expressions.push_back(StringSpot(&map, "expression"));
  MapReader csv = map.Below("csv");
  spots.header = StringSpot(&csv, "header");
  spots.format = StringSpot(&csv, "format");
  column.header = csv.Text("header");
  column.format = csv.Text("format");
  csv.WarnUnknown();
  MapReader parquet = map.Below("parquet");
  spots.parquet_name = StringSpot(&parquet, "column_name");
  column.parquet_name = parquet.Text("column_name");
  parquet.WarnUnknown();
  map.WarnUnknown();
  draft->written.Add(column.field.name, type);
  draft->node->file_writer->columns.push_back(std::move(column));
  return spots;
}

void CheckColumnNames(const FileWriter& writer, const std::vector<ColumnSpots>& spots,
                      LoadState* state) {
  std::set<std::string> names;
  std::set<std::string> parquet_names;
  for (size_t i = 0; i < writer.columns.size(); ++i) {
    const FileColumn& column = writer.columns[i];
    if (!names.insert(column.field.name).second) {
      state->Error(spots[i].whole, "duplicate_column",
                   column.field.name.empty()
                       ? std::string("several columns have no name")
                       : "two columns have the same name: " + column.field.name);
    }
    const bool parquet = writer.format == FileFormat::kParquet && !column.parquet_name.empty();
    if (parquet && !parquet_names.insert(column.parquet_name).second) {
      state->Error(spots[i].parquet_name, "duplicate_column",
                   "two Parquet columns have the same name: " + column.parquet_name);
    }
  }
}

/// Prints a sample to find formats that print Go's markers instead of values.
void CheckPrintFormat(const FileColumn& column, const ColumnSpots& spots, LoadState* state) {
  if (column.field.type == data::FieldType::kDatetime) {
    return;
  }
  data::Value sample = data::ZeroValue(column.field.type);
  if (column.field.type == data::FieldType::kDecimal2) {
    sample = std::string("0.00");  // Decimals are printed as text with two decimals.
  }
  std::string printed;
  data::PrintFormat::Compile(column.format).Print({sample}, &printed);
  if (printed.find("%!") != std::string::npos) {
    state->diagnostics->WarnAt(spots.format.node->place(), spots.format.path, "bad_print_format",
                               "the format does not fit a column of type " +
                                   std::string(data::FieldTypeName(column.field.type)) +
                                   ", it prints " + printed + ": " + column.format);
  }
}

void CheckCsvColumn(const FileColumn& column, const ColumnSpots& spots, LoadState* state) {
  if (column.header.empty() && !Unresolved(spots.header)) {
    state->Error(spots.whole, "mixed_file_types",
                 "the first column makes this a CSV file, so every column needs csv.header: " +
                     column.field.name);
  }
  if (column.format.empty() && !Unresolved(spots.format)) {
    state->Error(spots.whole, "bad_column_format",
                 "the column needs csv.format, for example %s: " + column.field.name);
  } else if (spots.has_type && !Unresolved(spots.format)) {
    CheckPrintFormat(column, spots, state);
  }
}

/// The first column tells the kind of the file, the others must agree.
void CheckFileType(MapReader* map, FileWriter* writer, const std::vector<ColumnSpots>& spots,
                   LoadState* state) {
  const FileColumn& first = writer->columns[0];
  if (first.parquet_name.empty() && first.header.empty()) {
    state->Error(spots[0].whole, "file_type_undetected",
                 "the first column must have csv.header or parquet.column_name");
    return;
  }
  writer->format = first.parquet_name.empty() ? FileFormat::kCsv : FileFormat::kParquet;
  if (writer->format == FileFormat::kCsv) {
    map->IgnoreKey("parquet", "this is a CSV file, the key has no effect");
  } else {
    map->IgnoreKey("csv", "this is a Parquet file, the key has no effect");
  }
  for (size_t i = 0; i < writer->columns.size(); ++i) {
    const FileColumn& column = writer->columns[i];
    if (writer->format == FileFormat::kCsv) {
      CheckCsvColumn(column, spots[i], state);
    } else if (column.parquet_name.empty()) {
      state->Error(spots[i].whole, "mixed_file_types",
                   "the first column makes this a Parquet file, so every column needs "
                   "parquet.column_name: " +
                       column.field.name);
    }
  }
}

void ReadTop(MapReader* map, NodeDraft* draft, LoadState* state) {
  FileWriter& writer = *draft->node->file_writer;
  MapReader top = map->Below("top");
  const Spot order = StringSpot(&top, "order");
  const std::optional<int64_t> limit = top.Integer("limit");
  top.WarnUnknown();
  writer.has_top = order.given() && !IsBlank(order.node->text);
  const int64_t most = top.Declared("limit").most;
  if (limit.has_value() && *limit > most) {
    state->diagnostics->Error(
        *top.Find("limit"), top.PathOf("limit"), "out_of_range",
        "top.limit must be at most " + std::to_string(most) + ": " + std::to_string(*limit));
  }
  if (writer.has_top && limit.has_value() && *limit > 0) {
    writer.top_limit = *limit;
  }
  if (!writer.has_top || Unresolved(order)) {
    return;
  }
  bool judged = true;
  ComponentFields fields;
  fields.candidates = draft->written.names();
  fields.lookup = [&](const std::string& name) -> std::optional<data::FieldType> {
    const FieldNames::Entry* entry = draft->written.Find(name);
    if (entry != nullptr && !entry->type.has_value()) {
      judged = false;
      return data::FieldType::kString;
    }
    return entry == nullptr ? std::nullopt : entry->type;
  };
  Result<std::vector<data::KeyComponent>> parsed = ParseOrder(order.node->text, fields);
  if (parsed.ok()) {
    writer.top_order = *std::move(parsed);
  } else if (judged) {
    AddExpressionError(parsed.status(), order, "", *state);
  }
}

}  // namespace

void LoadFileWriter(MapReader* map, NodeDraft* draft, LoadState* state) {
  FileWriter& writer = draft->node->file_writer.emplace();
  if (!map->exists()) {
    return;
  }
  ReadUrlTemplate(map, draft, state);
  draft->having = StringSpot(map, "having");
  writer.manifest = map->Boolean("manifest").value_or(false);
  ReadCsvSettings(map, &writer, state);
  ReadParquetSettings(map, &writer, state);
  const TreeNode* list = map->List("columns");
  std::vector<ColumnSpots> spots;
  for (size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    const std::string path = map->PathOf("columns") + "[" + std::to_string(i) + "]";
    const TreeNode& item = *list->items[i];
    if (item.kind != TreeNode::Kind::kMap) {
      state->diagnostics->Error(item, path, "bad_json",
                                "a column must be a map, not " + std::string(KindName(item.kind)));
      continue;
    }
    spots.push_back(ReadColumn(item, path, draft, state));
  }
  ReadTop(map, draft, state);
  const TreeNode* written = map->Find("columns");
  const bool reported = written != nullptr && (list == nullptr || !list->items.empty());
  if (!spots.empty()) {
    CheckFileType(map, &writer, spots, state);
    CheckColumnNames(writer, spots, state);
  } else if (!reported) {
    state->diagnostics->Error(map->NodeOr(written), map->PathOf("columns"), "file_type_undetected",
                              "at least one column is expected");
  }
  map->WarnUnknown();
}

}  // namespace capi::script
