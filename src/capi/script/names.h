#pragma once

// Rules for the names a script invents (spec/script.md 7).

#include <optional>
#include <string>
#include <string_view>

namespace capi::script {

constexpr size_t kMaxTableNameLength = 42;

struct NameProblem {
  std::string_view error_class;
  std::string message;
};

/// Classes "bad_table_name" and "name_too_long".
std::optional<NameProblem> CheckTableName(std::string_view name);
/// Classes "bad_index_name" and "name_too_long".
std::optional<NameProblem> CheckIndexName(std::string_view name);
/// Class "bad_field_name": a field of a table is a column of a physical table too.
std::optional<NameProblem> CheckFieldName(std::string_view name);
/// A letter or _, then letters, digits and _ (ASCII).
bool IsIdentifier(std::string_view name);

}  // namespace capi::script
