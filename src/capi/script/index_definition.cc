#include "capi/script/index_definition.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/expr/syntax.h"

namespace capi::script {

namespace {

constexpr int64_t kShortestText = 16;
constexpr int64_t kLongestText = 1024;
constexpr std::array<std::string_view, 2> kKinds = {"unique", "non_unique"};

const std::vector<std::string>& ModifierNames() {
  static const std::vector<std::string> kNames = {"asc", "desc", "case_sensitive", "ignore_case"};
  return kNames;
}

class DefinitionParser {
 public:
  DefinitionParser(std::string_view error_class, int64_t shift, const ComponentFields& fields)
      : error_class_(error_class), shift_(shift), fields_(fields) {}

  Result<KeyDefinition> Parse(std::string_view text) {
    Result<std::unique_ptr<expr::Syntax>> syntax = expr::ParseExpression(text);
    if (!syntax.ok()) {
      return Failure(InfoOf(syntax.status()).expression_offset, syntax.status().message());
    }
    const expr::Syntax& root = **syntax;
    const bool is_call = root.kind == expr::SyntaxKind::kCall &&
                         root.children[0]->kind == expr::SyntaxKind::kIdentifier;
    if (!is_call) {
      return Failure(root.begin, "unique(...) or non_unique(...) is expected");
    }
    const std::string& kind = root.children[0]->text;
    if (kind != kKinds[0] && kind != kKinds[1]) {
      return Failure(root.begin, "an index is unique(...) or non_unique(...), not " + kind +
                                     DidYouMean(NearestName(kind, kKinds)));
    }
    KeyDefinition definition;
    definition.unique = kind == kKinds[0];
    for (size_t i = 1; i < root.children.size(); ++i) {
      CAPI_ASSIGN_OR_RETURN(data::KeyComponent component, ParseComponent(*root.children[i]));
      definition.components.push_back(std::move(component));
    }
    return definition;
  }

 private:
  Status Failure(int64_t offset, std::string message) const {
    ErrorInfo info;
    info.kind = ErrorKind::kUser;
    info.error_class = std::string(error_class_);
    info.expression_offset = std::max<int64_t>(0, offset - shift_);
    return MakeError(std::move(info), std::move(message));
  }

  Result<data::KeyComponent> ParseComponent(const expr::Syntax& syntax) const {
    const bool is_call = syntax.kind == expr::SyntaxKind::kCall;
    const expr::Syntax& name = is_call ? *syntax.children[0] : syntax;
    if (name.kind == expr::SyntaxKind::kSelector) {
      return Failure(name.begin, "a component is the name of a field without an alias before it");
    }
    if (name.kind != expr::SyntaxKind::kIdentifier) {
      return Failure(syntax.begin, "a component is the name of a field, or field(modifiers)");
    }
    const std::optional<data::FieldType> type = fields_.lookup(name.text);
    if (!type.has_value()) {
      return Failure(name.begin, "no such field: " + name.text +
                                     DidYouMean(NearestName(name.text, fields_.candidates)));
    }
    data::KeyComponent component;
    component.field = name.text;
    component.type = *type;
    for (size_t i = 1; is_call && i < syntax.children.size(); ++i) {
      CAPI_RETURN_NOT_OK(ApplyModifier(*syntax.children[i], &component));
    }
    return component;
  }

  Status ApplyModifier(const expr::Syntax& syntax, data::KeyComponent* component) const {
    const bool is_text = component->type == data::FieldType::kString;
    if (syntax.kind == expr::SyntaxKind::kInteger) {
      return is_text
                 ? ApplyLength(syntax, component)
                 : Failure(syntax.begin, "only string fields have a length: " + component->field);
    }
    if (syntax.kind != expr::SyntaxKind::kIdentifier) {
      return Failure(syntax.begin,
                     "a modifier is asc, desc, case_sensitive, ignore_case or a length in bytes");
    }
    if (syntax.text == "asc" || syntax.text == "desc") {
      component->descending = syntax.text == "desc";
      return Status::OK();
    }
    if (syntax.text == "case_sensitive" || syntax.text == "ignore_case") {
      if (!is_text) {
        return Failure(syntax.begin,
                       syntax.text + " is only for string fields: " + component->field);
      }
      component->ignore_case = syntax.text == "ignore_case";
      return Status::OK();
    }
    return Failure(syntax.begin, "unknown modifier: " + syntax.text +
                                     DidYouMean(NearestName(syntax.text, ModifierNames())));
  }

  Status ApplyLength(const expr::Syntax& syntax, data::KeyComponent* component) const {
    int64_t length = 0;
    const char* end = syntax.text.data() + syntax.text.size();
    const auto [read, error] = std::from_chars(syntax.text.data(), end, length);
    const bool decimal_digits = error == std::errc() && read == end;
    if (!decimal_digits && error != std::errc::result_out_of_range) {
      // Other notations count as 0, which is raised to the shortest length.
      length = 0;
    }
    if (length > kLongestText || error == std::errc::result_out_of_range) {
      return Failure(syntax.begin, "a key part may have at most " + std::to_string(kLongestText) +
                                       " bytes: " + syntax.text);
    }
    component->text_length = std::max(length, kShortestText);
    return Status::OK();
  }

  std::string_view error_class_;
  const int64_t shift_;  // bytes put before the author's text
  const ComponentFields& fields_;
};

}  // namespace

Result<KeyDefinition> ParseIndexDefinition(std::string_view text, const ComponentFields& fields) {
  return DefinitionParser("bad_index_definition", 0, fields).Parse(text);
}

Result<std::vector<data::KeyComponent>> ParseOrder(std::string_view text,
                                                   const ComponentFields& fields) {
  const std::string prefix = "non_unique(";
  DefinitionParser parser("bad_order", static_cast<int64_t>(prefix.size()), fields);
  CAPI_ASSIGN_OR_RETURN(KeyDefinition definition, parser.Parse(prefix + std::string(text) + ")"));
  return std::move(definition.components);
}

}  // namespace capi::script
