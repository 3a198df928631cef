#include "capi/script/names.h"

#include <algorithm>

#include "capi/base/ascii.h"
#include "capi/script/position_tree.h"

namespace capi::script {

namespace {

bool IsWordCharacter(char c) { return IsLetter(c) || (c >= '0' && c <= '9') || c == '_'; }
bool IsWord(std::string_view name) {
  return std::all_of(name.begin(), name.end(), IsWordCharacter);
}

NameProblem TooLong(std::string_view name) {
  return {"name_too_long", "a name may have at most " + std::to_string(kMaxTableNameLength) +
                               " characters, this one has " + std::to_string(name.size()) + ": " +
                               std::string(name)};
}

}  // namespace

std::optional<NameProblem> CheckTableName(std::string_view name) {
  if (name.empty()) {
    return NameProblem{"bad_table_name", "the table needs a name"};
  }
  for (const std::string_view prefix : {"idx", "wf", "system"}) {
    if (name.starts_with(prefix)) {
      return NameProblem{"bad_table_name", "a table name must not begin with " +
                                               std::string(prefix) + ": " + std::string(name)};
    }
  }
  if (!IsWord(name)) {
    return NameProblem{
        "bad_table_name",
        "a table name may hold only the characters A-Z a-z 0-9 _: " + std::string(name)};
  }
  return name.size() > kMaxTableNameLength ? std::optional(TooLong(name)) : std::nullopt;
}

std::optional<NameProblem> CheckIndexName(std::string_view name) {
  const std::string_view prefix = "idx";
  if (!name.starts_with(prefix) || name.size() == prefix.size() || !IsWord(name)) {
    return NameProblem{
        "bad_index_name",
        "an index name must be idx and at least one of A-Z a-z 0-9 _: " + std::string(name)};
  }
  return name.size() > kMaxTableNameLength ? std::optional(TooLong(name)) : std::nullopt;
}

std::optional<NameProblem> CheckFieldName(std::string_view name) {
  for (const std::string_view reserved : {"rowid", "batch_idx"}) {
    if (EqualsIgnoringCase(name, reserved)) {
      return NameProblem{"bad_field_name",
                         "every table has a column of this name already: " + std::string(name)};
    }
  }
  if (!IsIdentifier(name) || name[0] == '_') {
    return NameProblem{"bad_field_name",
                       "a field name must begin with a letter and may hold only the characters A-Z "
                       "a-z 0-9 _: " +
                           std::string(name)};
  }
  return std::nullopt;
}

bool IsIdentifier(std::string_view name) {
  return !name.empty() && (IsLetter(name[0]) || name[0] == '_') && IsWord(name);
}

}  // namespace capi::script
