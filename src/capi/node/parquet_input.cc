#include "capi/node/parquet_input.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "capi/script/default_value.h"

namespace capi::node {

namespace {

using Types = std::map<std::string, data::FieldType>;

/// The file's type of a column that cannot be read as col_type.
std::optional<data::FieldType> OtherType(const formats::ParquetInfo& info,
                                         const formats::ParquetColumn& column) {
  for (const formats::ParquetColumnInfo& found : info.columns) {
    if (found.name != column.name) continue;
    const bool fits = std::find(found.readable_as.begin(), found.readable_as.end(),
                                column.field.type) != found.readable_as.end();
    return fits ? std::nullopt : found.type;
  }
  return std::nullopt;
}

bool UsesAny(const expr::Expression& expression, const Types& changed) {
  return std::any_of(
      expression.variables().begin(), expression.variables().end(),
      [&](const expr::Variable& variable) { return changed.count(variable.name) != 0; });
}

data::Value DefaultOf(const script::FileReaderColumn& column, data::FieldType type) {
  if (!script::IsBlank(column.default_text)) {
    Result<data::Value> value =
        script::ParseColumnDefault(type, column.default_text, column.format);
    if (value.ok()) return *std::move(value);
  }
  return data::ZeroValue(type);
}

}  // namespace

bool AdoptFileTypes(const formats::ParquetInfo& info, const script::FileReader& reader,
                    formats::ParquetReadOptions* options, std::vector<Target>* targets) {
  Types types;
  Types changed;
  for (const formats::ParquetColumn& column : options->columns) {
    types[column.field.name] = column.field.type;
    if (const std::optional<data::FieldType> type = OtherType(info, column)) {
      types[column.field.name] = *type;
      changed[column.field.name] = *type;
    }
  }
  if (changed.empty()) return false;
  expr::Scope scope;
  scope.lookup = [&types](const expr::Variable& variable) -> std::optional<data::FieldType> {
    const auto found = types.find(variable.name);
    if (variable.alias != "r" || found == types.end()) return std::nullopt;
    return found->second;
  };
  std::vector<Target> adopted = *targets;
  for (Target& target : adopted) {
    if (!UsesAny(*target.expression, changed)) continue;
    Result<script::ExpressionPtr> compiled = expr::Compile(
        target.expression->text(), target.expression->context(), scope, target.expression->type());
    if (!compiled.ok()) return false;
    target.expression = *std::move(compiled);
  }
  *targets = std::move(adopted);
  for (size_t i = 0; i < options->columns.size(); ++i) {
    formats::ParquetColumn& column = options->columns[i];
    const auto found = changed.find(column.field.name);
    if (found == changed.end()) continue;
    column.field.type = found->second;
    column.default_value = DefaultOf(reader.columns[i], found->second);
  }
  return true;
}

}  // namespace capi::node
