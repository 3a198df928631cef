#pragma once

// Default values, parsed once at load (spec/script.md 9, spec/formats.md 2).

#include <string_view>

#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"

namespace capi::script {

/// `default_value` of a table field; surrounding white space does not count. Class
/// "bad_default_value".
Result<data::Value> ParseFieldDefault(data::FieldType type, std::string_view text);

/// `col_default_value` of a reader's column; datetimes are read with the column's format. The text
/// is not trimmed. Class "bad_default_value".
Result<data::Value> ParseColumnDefault(data::FieldType type, std::string_view text,
                                       std::string_view format);

/// Empty or only white space.
bool IsBlank(std::string_view text);
std::string_view Trimmed(std::string_view text);

}  // namespace capi::script
