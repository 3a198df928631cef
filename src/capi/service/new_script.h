#pragma once

// A script that loads a file and writes it back, from what is known of the file (spec/toolbelt.md
// 3.9).

#include <string>

#include "capi/service/file_schema.h"

namespace capi::service {

struct NewScriptOptions {
  std::string input_url;
  std::string output_url;
  /// Text as the original prints it: manual start, names col_*, one blank of indentation.
  bool original_layout = false;
};

/// JSON text. A unique index is added for the first key of the schema, so that a repetition in
/// later files is noticed (not in the original's layout).
std::string NewScript(const FileSchema& schema, const NewScriptOptions& options);

/// What was found, in a few lines for people: kind of file, columns, keys.
std::string DescribeSchema(const FileSchema& schema);

}  // namespace capi::service
