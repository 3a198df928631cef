#include "capi/node/formula_program.h"

#include <algorithm>
#include <map>
#include <utility>

#include "capi/expr/syntax.h"

namespace capi::node {

namespace {

/// Names that no source uses: formulas become local variables and names of one Python function.
std::string VariableOf(const char* alias, size_t i) {
  return std::string("__capi_") + alias + "_" + std::to_string(i);
}

class Translator {
 public:
  Translator(const std::vector<data::Field>& reader_fields, python::Program* program,
             std::vector<std::string>* inputs)
      : reader_fields_(reader_fields), program_(program), inputs_(inputs) {}

  Status Add(const script::PyField& field, const std::string& field_path) {
    CAPI_ASSIGN_OR_RETURN(const auto syntax, expr::ParseExpression(field.expression));
    python::Formula formula;
    formula.variable = VariableOf("p", program_->formulas.size());
    formula.type = field.field.type;
    formula.shown = field.expression;
    formula.field_path = field_path;
    size_t done = 0;
    CAPI_RETURN_NOT_OK(Translate(*syntax, field.expression, &done, &formula));
    formula.expression += field.expression.substr(done);
    produced_[field.field.name] = formula.variable;
    program_->formulas.push_back(std::move(formula));
    return Status::OK();
  }

 private:
  /// Fields in the order of the text.
  Status Translate(const expr::Syntax& syntax, const std::string& text, size_t* done,
                   python::Formula* formula) {
    if (syntax.kind == expr::SyntaxKind::kSelector &&
        syntax.children[0]->kind == expr::SyntaxKind::kIdentifier) {
      const std::string& alias = syntax.children[0]->text;
      CAPI_ASSIGN_OR_RETURN(const std::string variable, Find(alias, syntax.text));
      formula->expression += text.substr(*done, static_cast<size_t>(syntax.begin) - *done);
      formula->expression += variable;
      *done = static_cast<size_t>(syntax.end);
      const bool known = std::any_of(formula->uses.begin(), formula->uses.end(),
                                     [&](const auto& use) { return use.variable == variable; });
      if (!known) formula->uses.push_back({variable, alias + "." + syntax.text});
      return Status::OK();
    }
    for (const auto& child : syntax.children) {
      CAPI_RETURN_NOT_OK(Translate(*child, text, done, formula));
    }
    return Status::OK();
  }

  Result<std::string> Find(const std::string& alias, const std::string& name) {
    if (alias == "p") {
      const auto found = produced_.find(name);
      if (found != produced_.end()) return found->second;
    } else {
      const auto at = std::find(inputs_->begin(), inputs_->end(), name);
      if (at != inputs_->end()) {
        return program_->inputs[static_cast<size_t>(at - inputs_->begin())].variable;
      }
      const auto field =
          std::find_if(reader_fields_.begin(), reader_fields_.end(),
                       [&](const data::Field& candidate) { return candidate.name == name; });
      if (field != reader_fields_.end()) {
        inputs_->push_back(name);
        program_->inputs.push_back({VariableOf("r", program_->inputs.size()), field->type});
        return program_->inputs.back().variable;
      }
    }
    return BugError("a formula uses a field that is not there: " + alias + "." + name);
  }

  const std::vector<data::Field>& reader_fields_;
  python::Program* program_;
  std::vector<std::string>* inputs_;
  std::map<std::string, std::string> produced_;
};

}  // namespace

Result<FormulaProgram> MakeFormulaProgram(const script::Node& node,
                                          const std::vector<data::Field>& reader_fields) {
  const script::Processor& processor = *node.processor;
  auto program = std::make_shared<python::Program>();
  program->name = "node " + node.name;
  program->slice_rows = node.table_reader->rowset_size;
  for (size_t i = 0; i < processor.python_urls.size(); ++i) {
    program->sources.push_back({processor.python_urls[i], processor.python_texts[i]});
  }
  FormulaProgram result;
  Translator translator(reader_fields, program.get(), &result.inputs);
  for (const script::PyField& field : processor.calculated) {
    CAPI_RETURN_NOT_OK(translator.Add(
        field, "nodes." + node.name + ".p.calculated_fields." + field.field.name + ".expression"));
  }
  result.program = std::move(program);
  return result;
}

}  // namespace capi::node
