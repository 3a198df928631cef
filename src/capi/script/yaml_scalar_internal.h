#pragma once

// The meaning of plain (unquoted) YAML scalars, as spec/script.md 1 says: `yes` and `on` are
// strings, 0x1, 0o10, 010 and 1_0 are integers, a date becomes the text of a moment.

#include <optional>
#include <string>
#include <string_view>

#include "capi/script/position_tree.h"

namespace capi::script {

struct YamlScalar {
  TreeNode::Kind kind = TreeNode::Kind::kString;
  bool boolean = false;
  std::string text;  ///< string, or number in JSON notation
  /// The value exists in YAML but not in JSON (.nan, .inf).
  bool not_in_json = false;
};

YamlScalar ResolvePlainScalar(std::string_view text);

}  // namespace capi::script
