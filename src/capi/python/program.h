#pragma once

// What formulas are made of (spec/script.md 12.2).

#include <cstdint>
#include <string>
#include <vector>

#include "capi/data/types.h"

namespace capi::python {

struct SourceFile {
  std::string name;  ///< address, for tracebacks
  std::string text;
};

/// A column given to formulas.
struct Input {
  std::string variable;  ///< name in the formulas' Python text
  data::FieldType type = data::FieldType::kInt;
};

/// A variable in a formula and how the script spells it ("r.price").
struct Use {
  std::string variable;
  std::string shown;
};

/// One produced column.
struct Formula {
  std::string variable;  ///< later formulas use the unchanged Python value by this name
  data::FieldType type = data::FieldType::kInt;
  std::string expression;  ///< Python
  std::string shown;       ///< as the script spells it, for messages
  std::string field_path;  ///< for messages
  std::vector<Use> uses;
};

/// Immutable once given to a pool. Variables must be Python identifiers, unlike each other and
/// unlike every name of the sources.
struct Program {
  std::string name;  ///< for log lines
  std::vector<SourceFile> sources;
  std::vector<Input> inputs;
  std::vector<Formula> formulas;  ///< each after those it uses
  /// The time limit is for this many rows (rowset_size of the reader).
  int64_t slice_rows = 1000;
};

}  // namespace capi::python
