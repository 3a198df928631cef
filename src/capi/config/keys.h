#pragma once

// The declarations of all settings as data: loading, checking, printing, the schema and the test of
// the documentation go through this one list.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "capi/config/config.h"

namespace capi::config {

/// Where a setting lives; its type is the setting's type.
using Target = std::variant<std::string* (*)(Config*), int64_t* (*)(Config*), bool* (*)(Config*),
                            std::vector<std::string>* (*)(Config*),
                            std::map<std::string, std::string>* (*)(Config*)>;

enum class Unit : uint8_t {
  kNone,
  kMilliseconds,  ///< texts such as "5s" are accepted
  kBytes,         ///< texts such as "2GiB" are accepted
};

enum class Secrecy : uint8_t {
  kOpen,
  kUrl,     ///< may hold a password: shown through RedactUrl
  kSecret,  ///< never shown
};

struct Key {
  std::string_view path;      ///< in the file, "cassandra.ssl_opts.cert_path"
  std::string_view variable;  ///< of the environment, "" = none
  std::string_view meaning;
  Target target;
  /// Integers: the allowed range. 0 outside of it means the default, as in the original's files.
  int64_t least = INT64_MIN;
  int64_t most = INT64_MAX;
  Unit unit = Unit::kNone;
  bool may_be_none = false;  ///< the text "none" is accepted and means -1, no limit
  /// Texts: the allowed ones in any letter case; empty = any text. "" is always allowed.
  std::vector<std::string_view> choices;
  Secrecy secrecy = Secrecy::kOpen;
  std::string_view other_path;  ///< older spelling in the file, "" = none
  /// Other names in the environment; later ones win, `variable` over all.
  std::vector<std::string_view> other_variables;
};

/// In the order in which they are printed.
const std::vector<Key>& Keys();

/// "text", "integer", "true or false", "list", "map", "time in ms", "size in bytes".
std::string_view TypeName(const Key& key);
/// The value as it may be shown: secrets are replaced, lists and maps written as in the
/// environment.
std::string ShowValue(const Key& key, const Config& config);

}  // namespace capi::config
