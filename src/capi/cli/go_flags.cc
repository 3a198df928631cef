#include "capi/cli/go_flags.h"

#include <algorithm>

#include "capi/data/go_format.h"

namespace capi::cli {

void GoFlags::Define(std::string_view name, Type type, std::string_view usual,
                     std::string_view help) {
  Flag flag;
  flag.name = name;
  flag.type = type;
  flag.usual = usual;
  flag.help = help;
  flag.value = usual;
  flags_.push_back(std::move(flag));
  std::sort(flags_.begin(), flags_.end(),
            [](const Flag& left, const Flag& right) { return left.name < right.name; });
}

size_t GoFlags::IndexOf(std::string_view name) const {
  const auto found = std::find_if(flags_.begin(), flags_.end(),
                                  [name](const Flag& flag) { return flag.name == name; });
  return static_cast<size_t>(found - flags_.begin());
}

bool GoFlags::Set(Flag* flag, const std::string& value) {
  const bool good = flag->type == Type::kString ||
                    (flag->type == Type::kInt && data::ParseGoInt(value).ok()) ||
                    (flag->type == Type::kBool && data::ParseGoBool(value).ok());
  if (!good) {
    problem_ = "invalid value \"" + value + "\" for flag -" + flag->name + ": parse error";
    return false;
  }
  flag->value = value;
  flag->given = true;
  return true;
}

GoFlags::Outcome GoFlags::Parse(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (word.size() < 2 || word[0] != '-' || word == "--") {
      const size_t begin = i + (word == "--" ? 1 : 0);
      rest_.assign(arguments.begin() + static_cast<std::ptrdiff_t>(begin), arguments.end());
      return Outcome::kParsed;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    if (name.empty() || name[0] == '-') {
      problem_ = "bad flag syntax: " + arguments[i];
      return Outcome::kWrong;
    }
    const size_t index = IndexOf(name);
    if (index == flags_.size()) {
      if (name == "h" || name == "help") return Outcome::kHelp;
      problem_ = "flag provided but not defined: -" + std::string(name);
      return Outcome::kWrong;
    }
    Flag* flag = &flags_[index];
    std::string value;
    if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    } else if (flag->type == Type::kBool) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      problem_ = "flag needs an argument: -" + std::string(name);
      return Outcome::kWrong;
    }
    if (!Set(flag, value)) return Outcome::kWrong;
  }
  return Outcome::kParsed;
}

bool GoFlags::Given(std::string_view name) const { return flags_[IndexOf(name)].given; }
const std::string& GoFlags::Text(std::string_view name) const {
  return flags_[IndexOf(name)].value;
}
int64_t GoFlags::Int(std::string_view name) const {
  return data::ParseGoInt(Text(name)).ValueOr(0);
}

bool GoFlags::Bool(std::string_view name) const {
  return data::ParseGoBool(Text(name)).ValueOr(false);
}

std::vector<std::string> GoFlags::Names() const {
  std::vector<std::string> names;
  names.reserve(flags_.size());
  for (const Flag& flag : flags_) names.push_back(flag.name);
  return names;
}

std::string GoFlags::Usage() const {
  std::string text;
  for (const Flag& flag : flags_) {
    text += "  -" + flag.name;
    if (flag.type != Type::kBool) text += flag.type == Type::kInt ? " int" : " string";
    text += "\n    \t" + flag.help;
    const bool zero = flag.usual.empty() || flag.usual == "0" || flag.usual == "false";
    if (!zero) {
      text += flag.type == Type::kString ? " (default \"" + flag.usual + "\")"
                                         : " (default " + flag.usual + ")";
    }
    text += "\n";
  }
  return text;
}

}  // namespace capi::cli
