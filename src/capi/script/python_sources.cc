#include "capi/script/python_sources.h"

#include <algorithm>

namespace capi::script {

namespace {

bool IsIdentifierByte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\f' || c == '\r'; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  PythonFunctions Run() {
    bool at_line_begin = true;
    while (at_ < text_.size()) {
      if (at_line_begin && depth_ == 0 && text_.substr(at_, 3) == "def" && !IsName(at_ + 3)) {
        at_ += 3;
        ScanDefinition();
        at_line_begin = false;
        continue;
      }
      const char c = text_[at_];
      Step();
      at_line_begin = c == '\n' && depth_ == 0;
    }
    return std::move(functions_);
  }

 private:
  struct Argument {
    std::string_view text;
    bool has_default = false;
  };

  bool IsName(size_t at) const { return at < text_.size() && IsIdentifierByte(text_[at]); }

  /// Passes one character, or a whole string or comment, and counts brackets.
  void Step() {
    const char c = text_[at_];
    if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (c == '"' || c == '\'') {
      SkipString(c);
    } else if (c == '\\') {
      // A line that goes on in the next one.
      at_ = std::min(at_ + (text_.substr(at_ + 1, 1) == "\r" ? 3 : 2), text_.size());
    } else {
      depth_ += c == '(' || c == '[' || c == '{' ? 1 : 0;
      depth_ -= (c == ')' || c == ']' || c == '}') && depth_ > 0 ? 1 : 0;
      ++at_;
    }
  }

  void SkipString(char quote) {
    const std::string triple(3, quote);
    const bool is_triple = text_.substr(at_, 3) == triple;
    at_ += is_triple ? 3 : 1;
    while (at_ < text_.size()) {
      if (text_[at_] == '\\') {
        at_ = std::min(at_ + 2, text_.size());
      } else if (is_triple && text_.substr(at_, 3) == triple) {
        at_ += 3;
        return;
      } else if (!is_triple && (text_[at_] == quote || text_[at_] == '\n')) {
        at_ += text_[at_] == quote ? 1 : 0;
        return;
      } else {
        ++at_;
      }
    }
  }

  void SkipBlanks() {
    while (at_ < text_.size() && IsBlank(text_[at_])) {
      ++at_;
    }
  }

  /// Behind "def": name, then the arguments up to the closing parenthesis.
  void ScanDefinition() {
    SkipBlanks();
    const size_t name_begin = at_;
    while (IsName(at_)) {
      ++at_;
    }
    const std::string name(text_.substr(name_begin, at_ - name_begin));
    SkipBlanks();
    if (name.empty() || at_ >= text_.size() || text_[at_] != '(') {
      return;
    }
    std::vector<Argument> arguments;
    if (ScanArguments(&arguments)) {
      Define(name, arguments);
    }
  }

  /// At the opening parenthesis. False if it is never closed.
  bool ScanArguments(std::vector<Argument>* arguments) {
    const int outside = depth_;
    Step();
    Argument argument;
    size_t begin = at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool top = depth_ == outside + 1;
      if (top && (c == ',' || c == ')')) {
        argument.text = Trim(text_.substr(begin, at_ - begin));
        if (!argument.text.empty()) {
          arguments->push_back(argument);
        }
        argument = Argument{};
        Step();
        if (c == ')') {
          return true;
        }
        begin = at_;
        continue;
      }
      argument.has_default = argument.has_default || (top && c == '=');
      Step();
    }
    return false;
  }

  static std::string_view Trim(std::string_view text) {
    const std::string_view blanks = " \t\r\n\f\\";
    // Comments before an argument of a long list.
    while (true) {
      const size_t begin = text.find_first_not_of(blanks);
      if (begin == std::string_view::npos) {
        return {};
      }
      text.remove_prefix(begin);
      if (text[0] != '#') {
        return text;
      }
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    }
  }

  void Define(const std::string& name, const std::vector<Argument>& arguments) {
    PythonFunction function;
    bool by_name_only = false;
    for (const Argument& argument : arguments) {
      if (argument.text.starts_with("**") || argument.text[0] == '/') {
        continue;
      }
      if (argument.text[0] == '*') {
        by_name_only = true;
        if (argument.text.size() > 1) {
          function.max_arguments = PythonFunction::kAnyNumber;
        }
        continue;
      }
      if (by_name_only) {
        if (!argument.has_default) {
          functions_.erase(name);
          return;
        }
        continue;
      }
      ++function.max_arguments;
      function.min_arguments += argument.has_default ? 0 : 1;
    }
    functions_[name] = function;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;  // of brackets
  PythonFunctions functions_;
};

}  // namespace

PythonFunctions FindPythonFunctions(std::string_view source) { return Scanner(source).Run(); }

const PythonFunctions& PythonBuiltins() {
  static const PythonFunctions kBuiltins = {
      {"str", {1, 1}}, {"int", {1, 1}},  {"float", {1, 1}}, {"round", {1, 1}},
      {"len", {1, 1}}, {"bool", {1, 1}}, {"abs", {1, 1}},
  };
  return kBuiltins;
}

}  // namespace capi::script
