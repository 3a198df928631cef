#include "capi/script/declarations.h"

#include <algorithm>

namespace capi::script {

namespace {

using K = KeyDeclaration;
using V = ValueKind;
using M = MapKind;

K Text(std::string_view name, std::string_view meaning) {
  return {.name = name, .meaning = meaning};
}
K Flag(std::string_view name, std::string_view meaning) {
  return {.name = name, .kind = V::kBoolean, .meaning = meaning};
}
K Number(std::string_view name, std::string_view meaning, int64_t least = INT64_MIN,
         int64_t most = INT64_MAX) {
  return {.name = name, .kind = V::kInteger, .meaning = meaning, .least = least, .most = most};
}
K Texts(std::string_view name, std::string_view meaning) {
  return {.name = name, .kind = V::kStrings, .meaning = meaning};
}
K NamedTexts(std::string_view name, std::string_view meaning) {
  return {.name = name, .kind = V::kNamedStrings, .meaning = meaning};
}
K Map(std::string_view name, std::string_view meaning, MapKind below, ValueKind kind = V::kMap) {
  return {.name = name, .kind = kind, .meaning = meaning, .below = below};
}
K Part(std::string_view name, std::string_view meaning) {
  return {.name = name, .kind = V::kNodePart, .meaning = meaning};
}
K Choice(std::string_view name, std::string_view meaning, std::vector<std::string_view> choices) {
  return {.name = name, .meaning = meaning, .choices = std::move(choices)};
}
K Required(K key) {
  key.required = true;
  return key;
}

std::vector<std::string_view> FieldTypes() {
  return {"string", "int", "float", "bool", "decimal2", "datetime"};
}

std::vector<std::string_view> NodeTypes() {
  std::vector<std::string_view> names;
  for (const NodeParts& parts : AllNodeParts()) names.push_back(NodeTypeName(parts.type));
  return names;
}

MapDeclaration Declare(MapKind kind) {
  switch (kind) {
    case M::kScript:
      return {"script",
              {Text("$schema", "address of this schema, for editors"),
               Map("nodes", "the graph: node name to node", M::kNode, V::kNamedMaps),
               Required(Map("dependency_policies", "policy name to policy; one is the default",
                            M::kPolicy, V::kNamedMaps))}};
    case M::kNode:
      return {"node",
              {Text("desc", "free text"),
               Choice("start_policy", "manual: runs only when named as a start node",
                      {"auto", "manual"}),
               Choice("rerun_policy", "what happens to an interrupted batch", {"rerun", "fail"}),
               Number("max_batch_processing_time", "milliseconds; kept for compatibility"),
               Text("handler_exe_type", "accepted, not used"),
               Flag("explicit_run_only", "of older releases; accepted, not used"),
               Text("dependency_policy", "name of a policy; the default one if absent"),
               Required(Choice("type", "what the node does", NodeTypes())),
               Required(Part("r", "reader")), Part("l", "lookup"),
               Choice("custom_proc_type", "processor of a table_custom_tfm_table node",
                      {"py_calc", "tag_and_denormalize"}),
               Part("p", "settings of the processor"), Required(Part("w", "writer"))}};
    case M::kFileReader:
      return {"file_reader",
              {Required(Texts("urls", "files; each is one batch")),
               Map("csv", "form of CSV files", M::kFileReaderCsv),
               Required(Map("columns", "column name (r.<name>) to column", M::kReaderColumn,
                            V::kNamedMaps)),
               Map("errors", "bad rows of CSV files are collected instead of failing the batch",
                   M::kRowErrors)}};
    case M::kFileReaderCsv:
      return {"file_reader_csv",
              {Number("hdr_line_idx", "index of the header record, from 0"),
               Number("first_data_line_idx", "index of the first data record, from 0"),
               Text("separator", "one ASCII character")}};
    case M::kRowErrors:
      return {"row_errors",
              {Number("max_rows", "more bad rows than this in a file fail its batch", 0),
               Required(Text("reject_file",
                             "CSV file of the bad rows; {batch_idx} and {run_id} are replaced"))}};
    case M::kReaderColumn:
      return {"reader_column",
              {Required(Choice("col_type", "type of the values", FieldTypes())),
               Text("col_default_value", "used for blank cells"),
               Map("csv", "column of a CSV file", M::kReaderColumnCsv),
               Map("parquet", "column of a Parquet file", M::kReaderColumnParquet)}};
    case M::kReaderColumnCsv:
      return {"reader_column_csv",
              {Text("col_hdr", "header, exact text"), Number("col_idx", "position, from 0", 0),
               Text("col_format", "scan format of numbers, layout of datetimes"),
               Texts("null_values", "texts that count as blank")}};
    case M::kReaderColumnParquet:
      return {"reader_column_parquet", {Text("col_name", "name of the column in the file")}};
    case M::kTableReader:
      return {"table_reader",
              {Required(Text("table", "name of a table that another node writes")),
               Number("expected_batches_total", "number of batches", 0, 1000000),
               Number("rowset_size", "kept for compatibility", 0, 100000)}};
    case M::kLookup:
      return {"lookup",
              {Required(Text("index_name", "index of the table that is looked up")),
               Required(Text("join_on", "r.a, r.b: fields paired with those of the index")),
               Required(Choice("join_type", "left keeps rows without a match", {"inner", "left"})),
               Text("filter", "condition over l"),
               Flag("group", "one row per left row, with aggregates over its matches"),
               Number("idx_read_batch_size", "kept for compatibility", INT64_MIN, 20000),
               Number("right_lookup_read_batch_size", "kept for compatibility", INT64_MIN, 20000)}};
    case M::kTagProcessor:
      return {"tag_processor",
              {Required(Text("tag_field_name", "the tag is p.<this name>")),
               NamedTexts("tag_criteria", "tag to condition over r"),
               Text("tag_criteria_url", "JSON file with the criteria"),
               Text("tag_criteria_uri", "older spelling of tag_criteria_url")}};
    case M::kPyProcessor:
      return {"py_processor",
              {Texts("python_code_urls", "files with Python functions"),
               Map("calculated_fields", "name (p.<name>) to formula", M::kCalculatedField,
                   V::kNamedMaps)}};
    case M::kCalculatedField:
      return {"calculated_field",
              {Required(Choice("type", "type of the result", FieldTypes())),
               Required(Text("expression", "call of a Python function"))}};
    case M::kTableWriter:
      return {"table_writer",
              {Required(Text("name", "table name: letters, digits, _, at most 42")),
               Text("table_options", "accepted for compatibility"),
               Text("having", "condition over w; other rows are dropped"),
               Map("fields", "field name to field", M::kTableField, V::kNamedMaps),
               NamedTexts("indexes", "index name to unique(...) or non_unique(...)")}};
    case M::kTableField:
      return {"table_field",
              {Required(Choice("type", "type of the field", FieldTypes())),
               Required(Text("expression", "value of the field")),
               Text("default_value", "for rows of a left join without a match")}};
    case M::kFileWriter:
      return {"file_writer",
              {Required(Text("url_template", "file; {batch_idx} and {run_id} are replaced")),
               Text("having", "condition over w; other rows are dropped"),
               Map("csv", "form of a CSV file", M::kFileWriterCsv),
               Map("parquet", "form of a Parquet file", M::kFileWriterParquet),
               Required(Map("columns", "columns in order", M::kFileColumn, V::kMaps)),
               Map("top", "sorted output", M::kFileWriterTop),
               Flag("manifest", "write <file>.manifest.json with control sums beside the file")}};
    case M::kFileWriterCsv:
      return {"file_writer_csv",
              {Text("separator", "between cells"), Choice("line_end", "of rows", {"LF", "CRLF"})}};
    case M::kFileWriterParquet:
      return {"file_writer_parquet",
              {Choice("codec", "compression", {"gzip", "snappy", "uncompressed"})}};
    case M::kFileWriterTop:
      return {"file_writer_top",
              {Text("order", "a(desc), b: columns to sort by"),
               Number("limit", "only so many rows", INT64_MIN, 5000000)}};
    case M::kFileColumn:
      return {"file_column",
              {Text("name", "name for having and top: w.<name>"),
               Required(Choice("type", "type of the column", FieldTypes())),
               Required(Text("expression", "value over r")),
               Map("csv", "column of a CSV file", M::kFileColumnCsv),
               Map("parquet", "column of a Parquet file", M::kFileColumnParquet)}};
    case M::kFileColumnCsv:
      return {"file_column_csv",
              {Text("header", "header"), Text("format", "print format, or layout of a datetime")}};
    case M::kFileColumnParquet:
      return {"file_column_parquet", {Text("column_name", "name of the column in the file")}};
    case M::kPolicy:
      return {"policy",
              {Flag("is_default", "true for exactly one policy"),
               Text("event_priority_order", "order of events: run_id(desc), ..."),
               Map("rules", "the first true rule decides", M::kRule, V::kMaps)}};
    case M::kRule:
      return {"rule",
              {Required(Choice("cmd", "what is done", {"go", "wait", "nogo"})),
               Required(Text("expression", "condition over nrs"))}};
  }
  return {};
}

}  // namespace

const KeyDeclaration* MapDeclaration::Find(std::string_view key) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [key](const KeyDeclaration& declared) {
    return declared.name == key;
  });
  return found == keys.end() ? nullptr : &*found;
}

const MapDeclaration& DeclarationOf(MapKind kind) {
  static const auto* const declarations = [] {
    auto* all = new std::vector<MapDeclaration>();
    for (size_t i = 0; i < kNumMapKinds; ++i) all->push_back(Declare(static_cast<MapKind>(i)));
    return all;
  }();
  return (*declarations)[static_cast<size_t>(kind)];
}

const std::vector<NodeParts>& AllNodeParts() {
  static const auto* const parts = new std::vector<NodeParts>{
      {NodeType::kFileTable, M::kFileReader, M::kTableWriter, false, false},
      {NodeType::kTableTable, M::kTableReader, M::kTableWriter, false, false},
      {NodeType::kTableLookupTable, M::kTableReader, M::kTableWriter, true, false},
      {NodeType::kTableFile, M::kTableReader, M::kFileWriter, false, false},
      {NodeType::kDistinctTable, M::kTableReader, M::kTableWriter, false, false},
      {NodeType::kCustomTable, M::kTableReader, M::kTableWriter, false, true}};
  return *parts;
}

const NodeParts& PartsOf(NodeType type) { return AllNodeParts()[static_cast<size_t>(type)]; }

}  // namespace capi::script
