#pragma once

// The formulas of a py_calc node as a program of the room `python` (spec/script.md 12.2).

#include <memory>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/python/program.h"
#include "capi/script/model.h"

namespace capi::node {

struct FormulaProgram {
  std::shared_ptr<const python::Program> program;
  /// Names of the fields r.* that are its inputs, in input order.
  std::vector<std::string> inputs;
};

/// Fields r.x and p.x are replaced in the formulas by Python variables; everything else stays as it
/// is written, also in strings.
Result<FormulaProgram> MakeFormulaProgram(const script::Node& node,
                                          const std::vector<data::Field>& reader_fields);

}  // namespace capi::node
