#include "capi/service/new_script.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "capi/expr/syntax.h"
#include "capi/script/names.h"

namespace capi::service {

namespace {

using Json = nlohmann::ordered_json;

/// The built-in policy of the original (spec/script.md 13), spelled out.
Json DefaultPolicies() {
  const std::string current = "nrs.run_is_current == true && ";
  const std::string earlier = "nrs.run_is_current == false && ";
  const std::string started = "nrs.run_status == wfmodel.RunStart && ";
  const std::string begins =
      "(nrs.run_status == wfmodel.RunStart || nrs.run_status == wfmodel.RunNone) && ";
  const std::string node = "nrs.node_status == wfmodel.NodeBatch";
  const auto rule = [](const char* command, const std::string& expression) {
    return Json{{"cmd", command}, {"expression", expression}};
  };
  const Json rules = Json::array(
      {rule("go", current + started + node + "Success"),
       rule("wait", current + begins + node + "None"),
       rule("wait", current + begins + node + "Start"),
       rule("nogo", current + started + node + "Fail"),
       rule("go", earlier + started + node + "Success"),
       rule("wait", earlier + begins + node + "None"),
       rule("wait", earlier + begins + node + "Start"),
       rule("go", earlier + "nrs.run_status == wfmodel.RunComplete && " + node + "Success"),
       rule("nogo", earlier + "nrs.run_status == wfmodel.RunComplete && " + node + "Fail"),
       rule("nogo", earlier + "nrs.run_status == wfmodel.RunStop")});
  const Json policy = {{"is_default", true},
                       {"event_priority_order", "run_is_current(desc), run_id(desc)"},
                       {"rules", rules}};
  return {{"current_active_first_stopped_nogo", policy}};
}

bool IsWordCharacter(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/// Each character that is no letter, digit or _ becomes one _.
std::string Sanitized(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // the rest of a UTF-8 character
    name += IsWordCharacter(byte) ? c : '_';
  }
  return name;
}

std::string LowerCase(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

/// A name that a table can have and an expression can use.
bool IsUsableField(const std::string& name) {
  return !script::CheckFieldName(name) && expr::ParseExpression("r." + name).ok();
}

std::string NumberedName(size_t index) {
  std::array<char, 24> name;
  std::snprintf(name.data(), name.size(), "%03zu", index);
  return name.data();
}

/// Distinct field names in file order; `prefix` is put before those that begin with no letter.
std::vector<std::string> FieldNames(const FileSchema& schema) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    const std::string& header = schema.columns[i].header;
    std::string name = header.empty() ? "col_" + NumberedName(i) : Sanitized(header);
    if (!IsUsableField(name)) name = "c_" + name;
    std::string distinct = name;
    for (int n = 2; !taken.insert(LowerCase(distinct)).second; ++n) {
      distinct = name + "_" + std::to_string(n);
    }
    names.push_back(std::move(distinct));
  }
  return names;
}

std::string TableName(const std::string& url) {
  std::string name = Sanitized(std::string_view(url).substr(url.find_last_of('/') + 1));
  name = name.substr(0, script::kMaxTableNameLength);
  if (script::CheckTableName(name)) {
    name = ("t_" + name).substr(0, script::kMaxTableNameLength);
  }
  return name;
}

bool IsUtf8(const std::string& text) {
  const std::string kept = Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore);
  return Json::parse(kept).get_ref<const std::string&>() == text;
}

/// Keys in the order of the original, which sorts them.
Json Sorted(const Json& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map.items()) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  Json sorted = Json::object();
  for (const std::string& key : keys) sorted[key] = map[key];
  return sorted;
}

/// The text with braces inside of strings escaped: they would be taken for placeholders.
std::string DumpScript(const Json& script, int indent) {
  const std::string text = script.dump(indent, ' ', false, Json::error_handler_t::replace);
  std::string escaped;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') inside = !inside;
    if (inside && text[i] == '\\') {
      escaped += text[i++];
      escaped += text[i];
    } else if (inside && text[i] == '{') {
      escaped += "\\u007b";
    } else {
      escaped += text[i];
    }
  }
  return escaped;
}

/// Makes the parts of one script.
class ScriptWriter {
 public:
  ScriptWriter(const FileSchema& schema, const NewScriptOptions& options)
      : schema_(schema),
        options_(options),
        csv_(schema.format == script::FileFormat::kCsv),
        fields_(FieldNames(schema)),
        table_(TableName(options.input_url)) {
    by_header_ = schema.by_header;
    for (const FileSchemaColumn& column : schema.columns) {
      by_header_ = by_header_ && IsUtf8(column.header);
    }
  }

  std::string Text() const {
    const Json script = {{"nodes", {{"read_file", ReadNode()}, {"write_file", WriteNode()}}},
                         {"dependency_policies", DefaultPolicies()}};
    return DumpScript(script, options_.original_layout ? 1 : 2);
  }

 private:
  /// Name of the reader's and the writer's column.
  std::string ColumnName(size_t i) const {
    return options_.original_layout && !fields_[i].starts_with("col_") ? "col_" + fields_[i]
                                                                       : fields_[i];
  }

  Json ReadNode() const {
    Json node;
    node["type"] = "file_table";
    node["desc"] = "Read file " + options_.input_url + " to table";
    if (options_.original_layout) node["start_policy"] = "manual";
    Json reader;
    reader["urls"] = Json::array({options_.input_url});
    if (csv_) {
      reader["csv"]["hdr_line_idx"] = schema_.header_record;
      if (schema_.first_data_record != 0) {
        reader["csv"]["first_data_line_idx"] = schema_.first_data_record;
      }
      reader["csv"]["separator"] = std::string(1, schema_.separator);
    }
    Json columns = Json::object();
    Json fields = Json::object();
    for (size_t i = 0; i < fields_.size(); ++i) {
      columns[ColumnName(i)] = ReaderColumn(i);
      fields[fields_[i]] = {{"expression", "r." + ColumnName(i)},
                            {"type", data::FieldTypeName(schema_.columns[i].type)}};
    }
    reader["columns"] = options_.original_layout ? Sorted(columns) : columns;
    node["r"] = reader;
    Json writer;
    writer["name"] = table_;
    if (options_.original_layout) writer["table_options"] = "";
    writer["fields"] = options_.original_layout ? Sorted(fields) : fields;
    if (!options_.original_layout && !schema_.keys.empty()) {
      writer["indexes"] = {{"idx_to_check_uniq", UniqueIndex()}};
    }
    node["w"] = writer;
    return node;
  }

  Json ReaderColumn(size_t i) const {
    const FileSchemaColumn& column = schema_.columns[i];
    Json json;
    json["col_type"] = data::FieldTypeName(column.type);
    if (!csv_) {
      json["parquet"] = {{"col_name", column.header}};
      return json;
    }
    Json csv = Json::object();
    if (by_header_) {
      csv["col_hdr"] = column.header;
    } else if (i > 0 || !options_.original_layout) {
      csv["col_idx"] = i;
    }
    if (!column.read_format.empty()) csv["col_format"] = column.read_format;
    if (!column.null_values.empty()) csv["null_values"] = column.null_values;
    json["csv"] = csv;
    return json;
  }

  std::string UniqueIndex() const {
    std::string names;
    for (const size_t column : schema_.keys[0]) {
      names += (names.empty() ? "" : ", ") + fields_[column];
    }
    return "unique(" + names + ")";
  }

  Json WriteNode() const {
    Json node;
    node["type"] = "table_file";
    node["desc"] = "Write from table to file " + options_.output_url;
    node["r"]["table"] = table_;
    Json writer;
    writer["url_template"] = options_.output_url;
    if (csv_) {
      writer["csv"]["separator"] = std::string(1, schema_.separator);
      if (schema_.crlf && !options_.original_layout) writer["csv"]["line_end"] = "CRLF";
    } else {
      writer["parquet"]["codec"] = "gzip";
    }
    Json columns = Json::array();
    for (size_t i = 0; i < fields_.size(); ++i) columns.push_back(WriterColumn(i));
    writer["columns"] = columns;
    node["w"] = writer;
    return node;
  }

  Json WriterColumn(size_t i) const {
    const FileSchemaColumn& column = schema_.columns[i];
    const std::string header = column.header.empty() ? fields_[i] : column.header;
    Json json;
    json["expression"] = "r." + fields_[i];
    json["name"] = ColumnName(i);
    json["type"] = data::FieldTypeName(column.type);
    if (csv_) {
      json["csv"] = {{"format", column.write_format}, {"header", header}};
    } else {
      json["parquet"] = {{"column_name", header}};
    }
    return json;
  }

  const FileSchema& schema_;
  const NewScriptOptions& options_;
  const bool csv_;
  const std::vector<std::string> fields_;
  const std::string table_;
  bool by_header_ = false;
};

std::string SeparatorName(char separator) {
  return separator == '\t' ? "tab" : "\"" + std::string(1, separator) + "\"";
}

}  // namespace

std::string NewScript(const FileSchema& schema, const NewScriptOptions& options) {
  return ScriptWriter(schema, options).Text();
}

std::string DescribeSchema(const FileSchema& schema) {
  std::string text;
  if (schema.format == script::FileFormat::kCsv) {
    text +=
        "separator " + SeparatorName(schema.separator) + ", " +
        (schema.header_record < 0 ? std::string("no header")
                                  : "header in record " + std::to_string(schema.header_record)) +
        ", data from record " + std::to_string(schema.first_data_record) + ", ";
  }
  text += std::to_string(schema.num_rows) + " rows" + (schema.whole_file ? "" : " (sampled)") +
          ", " + std::to_string(schema.columns.size()) + " columns";
  constexpr size_t kMostShown = 4;
  for (size_t i = 0; i < std::min(schema.keys.size(), kMostShown); ++i) {
    text += i == 0 ? "; unique: " : " or ";
    for (size_t c = 0; c < schema.keys[i].size(); ++c) {
      const std::string& header = schema.columns[schema.keys[i][c]].header;
      text += (c == 0 ? "" : " with ") +
              (header.empty() ? "column " + std::to_string(schema.keys[i][c]) : header);
    }
  }
  return text + "\n";
}

}  // namespace capi::service
