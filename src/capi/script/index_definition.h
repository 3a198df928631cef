#pragma once

// Index definitions and order expressions (spec/script.md 8).

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/key.h"
#include "capi/data/types.h"

namespace capi::script {

/// What a component may name.
struct ComponentFields {
  std::function<std::optional<data::FieldType>(const std::string& name)> lookup;
  /// Names offered for "did you mean".
  std::vector<std::string> candidates;
};

struct KeyDefinition {
  bool unique = false;
  std::vector<data::KeyComponent> components;
};

/// "unique(a, b(desc))" or "non_unique(...)". Errors: class "bad_index_definition", with the offset
/// in the text as expression_offset.
Result<KeyDefinition> ParseIndexDefinition(std::string_view text, const ComponentFields& fields);

/// "a, b(desc)", the inside of an index definition. Blank text: no components. Errors: class
/// "bad_order".
Result<std::vector<data::KeyComponent>> ParseOrder(std::string_view text,
                                                   const ComponentFields& fields);

}  // namespace capi::script
