#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/near_name.h"
#include "capi/expr/syntax.h"
#include "capi/script/default_value.h"
#include "capi/script/python_formulas_internal.h"
#include "capi/script/python_sources.h"

namespace capi::script {

namespace {

/// "2", "1 to 2", "at least 1".
std::string DescribeCount(const PythonFunction& function) {
  const std::string least = std::to_string(function.min_arguments);
  if (function.max_arguments == PythonFunction::kAnyNumber) {
    return "at least " + least;
  }
  return function.min_arguments == function.max_arguments
             ? least
             : least + " to " + std::to_string(function.max_arguments);
}

class FormulaChecker {
 public:
  FormulaChecker(NodeDraft* draft, LoadState* state)
      : draft_(draft),
        state_(state),
        functions_(FindPythonFunctions(draft->node->processor->python_source)) {}

  void Run() {
    Processor& processor = *draft_->node->processor;
    uses_.resize(processor.calculated.size());
    for (size_t i = 0; i < processor.calculated.size(); ++i) {
      Check(i);
    }
    Order();
  }

 private:
  void Error(const Spot& spot, int64_t offset, std::string_view error_class, std::string message) {
    state_->diagnostics->ErrorAt(spot.node->PlaceInside(offset), spot.path, error_class,
                                 std::move(message));
  }

  void Check(size_t i) {
    const Spot& spot = draft_->calculations[i];
    const bool skip =
        !spot.given() || spot.node->kind == TreeNode::Kind::kUnresolved || IsBlank(spot.node->text);
    if (skip) {
      return;
    }
    const auto syntax = expr::ParseExpression(spot.node->text);
    if (!syntax.ok()) {
      AddExpressionError(syntax.status(), spot, "bad_processor", *state_);
      return;
    }
    const expr::Syntax& root = **syntax;
    const bool is_call = root.kind == expr::SyntaxKind::kCall &&
                         root.children[0]->kind == expr::SyntaxKind::kIdentifier;
    const bool is_field = root.kind == expr::SyntaxKind::kSelector &&
                          root.children[0]->kind == expr::SyntaxKind::kIdentifier;
    if (!is_call && !is_field) {
      Error(spot, root.begin, "bad_processor",
            "a formula is a call of a Python function, f(r.a, ...), or a field r.a or p.a");
      return;
    }
    CheckCalls(root, spot);
    CheckFields(root, spot, i);
  }

  /// Calls that are direct arguments of calls.
  void CheckCalls(const expr::Syntax& call, const Spot& spot) {
    if (call.kind != expr::SyntaxKind::kCall ||
        call.children[0]->kind != expr::SyntaxKind::kIdentifier) {
      return;
    }
    CheckCall(call, spot);
    for (size_t i = 1; i < call.children.size(); ++i) {
      CheckCalls(*call.children[i], spot);
    }
  }

  void CheckCall(const expr::Syntax& call, const Spot& spot) {
    if (!draft_->python_complete) {
      return;  // A source could not be read; that was reported.
    }
    const std::string& name = call.children[0]->text;
    const auto num_arguments = static_cast<int64_t>(call.children.size()) - 1;
    auto function = functions_.find(name);
    bool known = function != functions_.end();
    if (!known) {
      function = PythonBuiltins().find(name);
      known = function != PythonBuiltins().end();
    }
    if (!known) {
      std::vector<std::string> names;
      for (const auto& [other, arguments] : functions_) {
        names.push_back(other);
      }
      Error(spot, call.begin, "python_function_missing",
            "no Python source defines this function at the beginning of a line: " + name +
                DidYouMean(NearestName(name, names)));
      return;
    }
    if (num_arguments < function->second.min_arguments ||
        num_arguments > function->second.max_arguments) {
      Error(spot, call.begin, "python_function_missing",
            "the Python function takes another number of arguments: " + name + " takes " +
                DescribeCount(function->second) + ", given are " + std::to_string(num_arguments));
    }
  }

  void CheckFields(const expr::Syntax& syntax, const Spot& spot, size_t i) {
    const bool is_field = syntax.kind == expr::SyntaxKind::kSelector &&
                          syntax.children[0]->kind == expr::SyntaxKind::kIdentifier;
    if (is_field) {
      CheckField(syntax, spot, i);
      return;
    }
    for (const auto& child : syntax.children) {
      CheckFields(*child, spot, i);
    }
  }

  void CheckField(const expr::Syntax& syntax, const Spot& spot, size_t i) {
    const std::string& alias = syntax.children[0]->text;
    const std::string& name = syntax.text;
    const FieldNames* reader = draft_->reader_fields();
    const bool is_reader = alias == "r";
    const FieldNames* fields = is_reader ? reader : &draft_->produced;
    const bool has_alias = is_reader || alias == "p";
    const bool known = has_alias && (fields == nullptr || fields->Find(name) != nullptr);
    if (!known) {
      const std::string near = has_alias ? NearestName(name, fields->names()) : "";
      Error(spot, syntax.begin, "unknown_field",
            "no such field: " + alias + "." + name +
                DidYouMean(near.empty() ? near : alias + "." + near));
      return;
    }
    if (is_reader) {
      draft_->processor_reads.push_back(name);
      return;
    }
    const std::vector<PyField>& calculated = draft_->node->processor->calculated;
    for (size_t j = 0; j < calculated.size(); ++j) {
      if (calculated[j].field.name == name) {
        uses_[i].push_back(j);
      }
    }
  }

  /// Moves calculated fields into dependency order, ties in script order.
  void Order() {
    std::vector<PyField>& calculated = draft_->node->processor->calculated;
    std::vector<bool> done(calculated.size(), false);
    std::vector<size_t> order;
    bool progress = true;
    while (progress) {
      progress = false;
      for (size_t i = 0; i < calculated.size(); ++i) {
        const bool ready = !done[i] && std::all_of(uses_[i].begin(), uses_[i].end(),
                                                   [&done](size_t j) { return done[j]; });
        if (ready) {
          done[i] = true;
          order.push_back(i);
          progress = true;
        }
      }
    }
    if (order.size() < calculated.size()) {
      ReportCycle(done);
      return;
    }
    std::vector<PyField> sorted;
    for (const size_t i : order) {
      sorted.push_back(std::move(calculated[i]));
    }
    calculated = std::move(sorted);
  }

  /// Every field that is not done uses another one that is not done: following those finds a cycle.
  void ReportCycle(const std::vector<bool>& done) {
    const std::vector<PyField>& calculated = draft_->node->processor->calculated;
    size_t at = static_cast<size_t>(std::find(done.begin(), done.end(), false) - done.begin());
    std::vector<size_t> path;
    while (std::find(path.begin(), path.end(), at) == path.end()) {
      path.push_back(at);
      at =
          *std::find_if(uses_[at].begin(), uses_[at].end(), [&done](size_t j) { return !done[j]; });
    }
    const auto first = std::find(path.begin(), path.end(), at);
    std::string names;
    for (auto step = first; step != path.end(); ++step) {
      names += "p." + calculated[*step].field.name + " -> ";
    }
    names += "p." + calculated[at].field.name;
    Error(draft_->calculations[at], 0, "python_cycle",
          "calculated fields must not use themselves: " + names);
  }

  NodeDraft* draft_;
  LoadState* state_;
  const PythonFunctions functions_;
  std::vector<std::vector<size_t>> uses_;  // [i]: calculated fields that field i uses
};

}  // namespace

void CompileFormulas(NodeDraft* draft, LoadState* state) { FormulaChecker(draft, state).Run(); }

}  // namespace capi::script
