// Any text: the parser and the checker must end with a tree or an error that points into the text.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "capi/expr/expression.h"
#include "capi/expr/syntax.h"

namespace {

using capi::Status;
using capi::data::FieldType;
using capi::expr::Scope;
using capi::expr::Variable;

/// Fields named by the first letter of their type: r.i, r.f, r.s, r.b, r.d, r.t.
std::optional<FieldType> TypeOfField(const Variable& variable) {
  if (variable.alias != "r" && variable.alias != "l") return std::nullopt;
  if (variable.name == "i") return FieldType::kInt;
  if (variable.name == "f") return FieldType::kFloat;
  if (variable.name == "s") return FieldType::kString;
  if (variable.name == "b") return FieldType::kBool;
  if (variable.name == "d") return FieldType::kDecimal2;
  if (variable.name == "t") return FieldType::kDatetime;
  return std::nullopt;
}

void RequirePlaced(const Status& status, size_t size) {
  const capi::ErrorInfo info = capi::InfoOf(status);
  const bool inside =
      info.expression_offset >= 0 && info.expression_offset <= static_cast<int64_t>(size);
  if (info.kind != capi::ErrorKind::kUser || info.error_class.empty() || !inside) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto syntax = capi::expr::ParseExpression(text);
  if (!syntax.ok()) {
    RequirePlaced(syntax.status(), size);
    return 0;
  }
  Scope scope;
  scope.lookup = TypeOfField;
  scope.prohibited_aliases = {"w"};
  scope.candidates = {"r.i", "r.f", "r.s", "r.b", "r.d", "r.t"};
  for (const auto context : {capi::expr::ContextKind::kField, capi::expr::ContextKind::kGroup}) {
    const auto expression = capi::expr::Compile(text, context, scope, std::nullopt);
    if (!expression.ok()) {
      RequirePlaced(expression.status(), size);
      capi::expr::WithCaret(text, capi::InfoOf(expression.status()).expression_offset);
    }
    const size_t num_errors = capi::expr::CheckAll(text, context, scope, std::nullopt).size();
    if (expression.ok() != (num_errors == 0)) std::abort();
  }
  return 0;
}
