#include "capi/config/loader.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/base/redact.h"
#include "capi/config/keys.h"
#include "capi/config/units.h"
#include "capi/script/position_tree.h"
#include "capi/script/source_text.h"

namespace capi::config {

namespace {

using script::TreeNode;

constexpr std::string_view kBadConfig = "bad_config";
constexpr std::string_view kVariablePrefix = "CAPI_";
/// Appended to the variable of a secret: the value is the content of the file it names.
constexpr std::string_view kFileSuffix = "_FILE";

/// Variables of the environment that are no settings.
constexpr std::string_view kOtherVariables[] = {"CAPI_CONFIG", "CAPI_FAULT", "CAPI_SIMD",
                                                "CAPI_WEBAPI_URL"};

bool IsOtherVariable(std::string_view name) {
  return std::any_of(Keys().begin(), Keys().end(), [name](const Key& key) {
    return std::count(key.other_variables.begin(), key.other_variables.end(), name) > 0;
  });
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// Go's words.
std::optional<bool> ParseBoolean(std::string_view text) {
  for (const std::string_view word : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

Result<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return UserError(kBadConfig, "an integer is expected, not \"" + std::string(text) + "\"");
}

Result<int64_t> ParseNumber(const Key& key, std::string_view text) {
  if (key.unit == Unit::kMilliseconds) return ParseMilliseconds(text);
  if (key.unit == Unit::kBytes && text != "0") return ParseBytes(text);
  return ParseInteger(text);
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return upper;
}

Status WrongKind(std::string_view expected, const TreeNode& value) {
  return UserError(kBadConfig, std::string(expected) + " is expected, not " +
                                   std::string(script::KindName(value.kind)));
}

Status WrongItem(std::string_view expected, const TreeNode& item) {
  return UserError(kBadConfig, std::string(expected) + " is expected, but it holds " +
                                   std::string(script::KindName(item.kind)));
}

/// Sets one target; `text` as in the environment, or a value of a file.
class Setter {
 public:
  Setter(const Key& key, Config* config) : key_(key), config_(config) {}

  Status FromText(std::string_view text) {
    return std::visit([&](auto target) { return SetText(target(config_), text); }, key_.target);
  }
  Status FromNode(const TreeNode& node) {
    return std::visit([&](auto target) { return SetNode(target(config_), node); }, key_.target);
  }

 private:
  Status SetText(std::string* target, std::string_view text) {
    const bool known =
        text.empty() || key_.choices.empty() ||
        std::any_of(key_.choices.begin(), key_.choices.end(), [&](std::string_view choice) {
          return script::EqualsIgnoringCase(choice, text);
        });
    if (!known) {
      std::string message = "one of";
      for (const std::string_view choice : key_.choices) message += " " + std::string(choice);
      return UserError(kBadConfig, message + " is expected, not \"" + std::string(text) + "\"" +
                                       DidYouMean(NearestName(text, key_.choices)));
    }
    *target = std::string(text);
    return Status::OK();
  }
  Status SetText(int64_t* target, std::string_view text) {
    if (key_.may_be_none && text == "none") {
      *target = -1;
      return Status::OK();
    }
    CAPI_ASSIGN_OR_RETURN(const int64_t value, ParseNumber(key_, text));
    return SetInteger(target, value);
  }
  Status SetText(bool* target, std::string_view text) {
    const std::optional<bool> value = ParseBoolean(text);
    if (!value) {
      return UserError(kBadConfig, "true or false is expected, not \"" + std::string(text) + "\"");
    }
    *target = *value;
    return Status::OK();
  }
  Status SetText(std::vector<std::string>* target, std::string_view text) {
    *target = Split(text, ',');
    return Status::OK();
  }
  Status SetText(std::map<std::string, std::string>* target, std::string_view text) {
    std::map<std::string, std::string> map;
    for (const std::string& entry : Split(text, ',')) {
      const size_t colon = entry.find(':');
      if (colon == std::string::npos || colon == 0) {
        return UserError(kBadConfig,
                         "name:value,name:value is expected, not \"" + std::string(text) + "\"");
      }
      map[entry.substr(0, colon)] = entry.substr(colon + 1);
    }
    *target = std::move(map);
    return Status::OK();
  }

  Status SetNode(std::string* target, const TreeNode& node) {
    if (!node.is_text()) return WrongKind("a string", node);
    return SetText(target, node.text);
  }
  Status SetNode(int64_t* target, const TreeNode& node) {
    if (node.is_text() && key_.unit != Unit::kNone) return SetText(target, node.text);
    if (node.kind != TreeNode::Kind::kNumber) return WrongKind("an integer", node);
    CAPI_ASSIGN_OR_RETURN(const int64_t value, ParseInteger(node.text));
    return SetInteger(target, value);
  }
  Status SetNode(bool* target, const TreeNode& node) {
    if (node.kind != TreeNode::Kind::kBool) return WrongKind("true or false", node);
    *target = node.boolean;
    return Status::OK();
  }
  Status SetNode(std::vector<std::string>* target, const TreeNode& node) {
    if (node.kind != TreeNode::Kind::kList) return WrongKind("a list of strings", node);
    std::vector<std::string> items;
    for (const TreeNode* item : node.items) {
      if (!item->is_text()) return WrongItem("a list of strings", *item);
      items.push_back(item->text);
    }
    *target = std::move(items);
    return Status::OK();
  }
  Status SetNode(std::map<std::string, std::string>* target, const TreeNode& node) {
    if (node.kind != TreeNode::Kind::kMap) return WrongKind("a map of strings", node);
    std::map<std::string, std::string> map;
    for (const script::TreeEntry& entry : script::NamedEntries(node)) {
      if (!entry.value->is_text()) return WrongItem("a map of strings", *entry.value);
      map[entry.key] = entry.value->text;
    }
    *target = std::move(map);
    return Status::OK();
  }

  Status SetInteger(int64_t* target, int64_t value) {
    if (value == 0 && key_.least > 0) {
      Config defaults;
      *target = *std::get<int64_t* (*)(Config*)>(key_.target)(&defaults);
      return Status::OK();
    }
    if (value < key_.least || value > key_.most) {
      return UserError(kBadConfig, "out of range, " + std::to_string(key_.least) + " to " +
                                       (key_.most == INT64_MAX ? std::string("any number")
                                                               : std::to_string(key_.most)) +
                                       " is allowed: " + std::to_string(value));
    }
    *target = value;
    return Status::OK();
  }

  const Key& key_;
  Config* config_;
};

class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}

  LoadedConfig Run() {
    ReadFiles();
    ReadEnvironment();
    for (const Override& override : options_.overrides) {
      const Key* key = FindKey(override.path);
      Apply(*key, Setter(*key, &result_.config).FromText(override.text), {},
            std::string(override.option), std::string(override.option) + ": ");
    }
    Adjust();
    return std::move(result_);
  }

 private:
  static const Key* FindKey(std::string_view path) {
    const auto found = std::find_if(Keys().begin(), Keys().end(),
                                    [path](const Key& key) { return key.path == path; });
    return found == Keys().end() ? nullptr : &*found;
  }

  /// Records the source of a value or the error of setting it. `where` begins the message when
  /// there is no place.
  void Apply(const Key& key, const Status& status, const SourcePlace& place, std::string source,
             const std::string& where) {
    if (status.ok()) {
      result_.sources[std::string(key.path)] = std::move(source);
      return;
    }
    ErrorInfo info;
    info.kind = ErrorKind::kUser;
    info.error_class = kBadConfig;
    info.place = place;
    info.field_path = std::string(key.path);
    const bool hidden = key.secrecy != Secrecy::kOpen;
    result_.errors.push_back(MakeError(
        std::move(info),
        where + (hidden ? "the value cannot be used (it is not shown)" : status.message())));
  }

  void ReadFiles() {
    if (!options_.file.empty()) {
      ReadFile(options_.file);
      return;
    }
    std::vector<std::string> names = {"capi.json"};
    if (options_.program != "capi") names.push_back(options_.program + ".json");
    for (const std::string& name : names) {
      for (const std::string& directory : options_.directories) {
        const std::string path = directory == "." ? name : directory + "/" + name;
        const Result<bool> exists = options_.env->Exists(path);
        if (!exists.ok()) result_.errors.push_back(exists.status());
        if (!exists.ok() || *exists) {
          if (exists.ok()) ReadFile(path);
          break;
        }
      }
    }
  }

  void ReadFile(const std::string& path) {
    Result<std::string> text = options_.env->ReadFile(path);
    if (!text.ok()) {
      result_.errors.push_back(Prefixed(text.status(), "cannot read the config file: "));
      return;
    }
    result_.files.push_back(path);
    const script::SourceText& source = sources_.emplace_back(path, *std::move(text));
    const Result<const TreeNode*> root = script::ParseJson(source, &tree_);
    if (!root.ok()) {
      result_.errors.push_back(root.status());
      return;
    }
    if ((*root)->kind != TreeNode::Kind::kMap) {
      result_.errors.push_back(
          Located(WrongKind("a map of settings", **root), (*root)->place(), ""));
      return;
    }
    ReadMap(**root, "");
  }

  /// A setting by its current or older spelling; "deeper" if there are settings below the path.
  static const Key* Match(std::string_view path, bool* deeper) {
    *deeper = false;
    for (const Key& key : Keys()) {
      if (script::EqualsIgnoringCase(key.path, path) ||
          (!key.other_path.empty() && script::EqualsIgnoringCase(key.other_path, path))) {
        return &key;
      }
      *deeper = *deeper || (key.path.size() > path.size() && key.path[path.size()] == '.' &&
                            script::EqualsIgnoringCase(key.path.substr(0, path.size()), path));
    }
    return nullptr;
  }

  void ReadMap(const TreeNode& map, const std::string& prefix) {
    for (const script::TreeEntry& entry : map.entries) {
      const std::string path = prefix + entry.key;
      const bool parked = entry.key.starts_with('_') || entry.key == "$schema";
      if (entry.value->kind == TreeNode::Kind::kNull || parked) continue;
      bool deeper = false;
      const Key* key = Match(path, &deeper);
      const SourcePlace place = entry.value->place();
      if (key != nullptr) {
        ReadSetting(*key, path, *entry.value);
      } else if (deeper && entry.value->kind == TreeNode::Kind::kMap) {
        ReadMap(*entry.value, path + ".");
      } else if (deeper) {
        result_.errors.push_back(Located(WrongKind("a map", *entry.value), place, path));
      } else if (!script::EqualsIgnoringCase(prefix, "custom_processors.")) {
        // Other processors' settings are free.
        WarnUnknownKey(map, entry, prefix);
      }
    }
  }

  void ReadSetting(const Key& key, const std::string& path, const TreeNode& value) {
    const SourcePlace place = value.place();
    const bool old_spelling = !script::EqualsIgnoringCase(path, key.path);
    const auto known = result_.sources.find(key.path);
    const bool newer_given = old_spelling && known != result_.sources.end() &&
                             known->second.starts_with(place.file + ":");
    if (newer_given) return;
    Apply(key, Setter(key, &result_.config).FromNode(value), place,
          place.file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column), "");
  }

  void WarnUnknownKey(const TreeNode& map, const script::TreeEntry& entry,
                      const std::string& prefix) {
    std::set<std::string> names;
    for (const Key& key : Keys()) {
      if (key.path.size() > prefix.size() &&
          script::EqualsIgnoringCase(key.path.substr(0, prefix.size()), prefix)) {
        const std::string_view rest = key.path.substr(prefix.size());
        names.emplace(rest.substr(0, rest.find('.')));
      }
    }
    const std::vector<std::string> candidates(names.begin(), names.end());
    result_.warnings.push_back({map.source->PlaceOf(entry.key_begin), prefix + entry.key,
                                "unknown setting, it is ignored: " + entry.key +
                                    DidYouMean(NearestName(entry.key, candidates))});
  }

  /// "" counts as not set: compose files rely on it.
  const std::string* Variable(std::string_view name) {
    if (name.empty()) return nullptr;
    known_variables_.emplace(name);
    const auto found = options_.environment.find(std::string(name));
    return found == options_.environment.end() || found->second.empty() ? nullptr : &found->second;
  }

  void ReadEnvironment() {
    for (const Key& key : Keys()) {
      std::vector<std::string_view> names = key.other_variables;
      names.push_back(key.variable);
      for (const std::string_view name : names) {
        if (const std::string* text = Variable(name)) {
          Apply(key, Setter(key, &result_.config).FromText(*text), {},
                std::string(name) + " (environment)",
                "environment variable " + std::string(name) + ": ");
        }
      }
      if (key.secrecy != Secrecy::kOpen) ReadSecretFile(key);
    }
    for (const std::string_view name : kOtherVariables) known_variables_.emplace(name);
    const std::vector<std::string> known(known_variables_.begin(), known_variables_.end());
    for (const auto& [name, value] : options_.environment) {
      if (known_variables_.count(name) > 0) continue;
      // Only misspelt ones: other programs may have variables of their own with this prefix.
      const std::string near = NearestName(name, known);
      if (name.starts_with(kVariablePrefix) && !near.empty()) {
        result_.warnings.push_back(
            {{}, "", "unknown environment variable, it is ignored: " + name + DidYouMean(near)});
      }
    }
  }

  /// Secrets may stand in a file of their own, which the variable with the suffix names.
  void ReadSecretFile(const Key& key) {
    const std::string name = std::string(key.variable) + std::string(kFileSuffix);
    const std::string* path = Variable(name);
    if (path == nullptr) return;
    const std::string where = "environment variable " + name + ": ";
    const Result<std::string> text = options_.env->ReadFile(*path);
    if (!text.ok()) {
      result_.errors.push_back(Located(Prefixed(text.status(), where), {}, key.path));
      return;
    }
    const size_t end = text->find_last_not_of("\r\n");
    Apply(key, Setter(key, &result_.config).FromText(text->substr(0, end + 1)), {},
          name + " (environment)", where);
  }

  void Error(std::string_view path, std::string message) {
    ErrorInfo info;
    info.kind = ErrorKind::kUser;
    info.error_class = kBadConfig;
    info.field_path = std::string(path);
    const auto source = result_.sources.find(path);
    if (source != result_.sources.end()) message += " (from " + source->second + ")";
    result_.errors.push_back(MakeError(std::move(info), std::move(message)));
  }

  /// What concerns several settings, and forms that mean the same.
  void Adjust() {
    Config& config = result_.config;
    const CassandraSettings& cassandra = config.cassandra;
    if (cassandra.certificate_path.empty() != cassandra.key_path.empty()) {
      Error(cassandra.key_path.empty() ? "cassandra.ssl_opts.cert_path"
                                       : "cassandra.ssl_opts.key_path",
            "a client certificate needs both cert_path and key_path");
    }
    std::string& url = config.capimq_client.url;
    url.erase(url.find_last_not_of('/') + 1);
    config.cassandra.consistency = cassandra.consistency.empty() ? Config().cassandra.consistency
                                                                 : UpperCase(cassandra.consistency);
    for (std::string* text : {&config.log.level, &config.mq_type, &config.amqp10.retry_method}) {
      for (char& c : *text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      }
    }
    if (config.py_calc.interpreter_path.empty()) {
      config.py_calc.interpreter_path = Config().py_calc.interpreter_path;
    }
  }

  const LoadOptions& options_;
  LoadedConfig result_;
  script::Tree tree_;
  std::deque<script::SourceText> sources_;  // the tree points into them
  std::set<std::string> known_variables_;
};

}  // namespace

LoadedConfig Load(const LoadOptions& options) { return Loader(options).Run(); }

std::vector<std::string> UsualDirectories() {
  std::vector<std::string> directories;
  std::error_code error;
  const std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) directories.push_back(executable.parent_path().string());
  directories.emplace_back(".");
  return directories;
}

std::map<std::string, std::string> ProcessEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const bool wanted = name.starts_with(kVariablePrefix) || IsOtherVariable(name);
    if (wanted && equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

}  // namespace capi::config
