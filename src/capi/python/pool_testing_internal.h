#pragma once

// What the tests of the pool share: programs from texts, columns from values, outcomes as texts.

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/data/types.h"
#include "capi/python/formula_pool.h"

namespace capi::python {

using data::FieldType;
using Columns = std::vector<std::shared_ptr<arrow::Array>>;

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << Describe(result.status());
    std::abort();
  }
  return std::move(result).ValueUnsafe();
}

template <typename T>
std::shared_ptr<arrow::Array> Fixed(const std::shared_ptr<arrow::DataType>& type,
                                    const std::vector<T>& values) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, static_cast<int64_t>(values.size()),
                                                 {nullptr, arrow::Buffer::FromVector(values)}, 0));
}

inline std::shared_ptr<arrow::Array> Ints(const std::vector<int64_t>& values) {
  return Fixed(data::ArrowTypeOf(FieldType::kInt), values);
}
inline std::shared_ptr<arrow::Array> Floats(const std::vector<double>& values) {
  return Fixed(data::ArrowTypeOf(FieldType::kFloat), values);
}
inline std::shared_ptr<arrow::Array> Hundredths(const std::vector<int64_t>& values) {
  return Fixed(data::ArrowTypeOf(FieldType::kDecimal2), values);
}
inline std::shared_ptr<arrow::Array> WideHundredths(const std::vector<data::int128>& values) {
  return Fixed(data::WideDecimalArrowType(), values);
}
inline std::shared_ptr<arrow::Array> Millis(const std::vector<int64_t>& values) {
  return Fixed(data::ArrowTypeOf(FieldType::kDatetime), values);
}
inline std::shared_ptr<arrow::Array> Strings(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  for (const std::string& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return Must(builder.Finish());
}
inline std::shared_ptr<arrow::Array> Bools(const std::vector<bool>& values) {
  arrow::BooleanBuilder builder;
  for (const bool value : values) EXPECT_TRUE(builder.Append(value).ok());
  return Must(builder.Finish());
}

inline std::vector<std::string> TextsOf(const arrow::Array& column) {
  std::vector<std::string> texts;
  for (int64_t row = 0; row < column.length(); ++row) {
    texts.push_back(data::ValueToText(Must(data::CellValue(column, row))));
  }
  return texts;
}

class PoolTest : public testing::Test {
 protected:
  /// Adds f over inputs r0, r1 ...: "f(r0, r1)".
  static Formula MakeFormula(FieldType type, const std::string& expression,
                             const std::string& variable = "p0") {
    Formula formula;
    formula.variable = variable;
    formula.type = type;
    formula.expression = expression;
    formula.shown = expression;
    formula.field_path = "field";
    for (const char* input : {"r0", "r1", "r2"}) {
      if (expression.find(input) != std::string::npos) {
        formula.uses.push_back({input, std::string("r.") + input});
      }
    }
    return formula;
  }

  static std::shared_ptr<Program> MakeProgram(const std::string& source, const Columns& columns,
                                              std::vector<Formula> formulas) {
    auto program = std::make_shared<Program>();
    program->name = "test";
    program->sources = {{"calc.py", source}};
    for (size_t i = 0; i < columns.size(); ++i) {
      program->inputs.push_back(
          {"r" + std::to_string(i), Must(data::FieldTypeOf(*columns[i]->type()))});
    }
    program->formulas = std::move(formulas);
    return program;
  }

  void MakePool(PoolOptions options = {}) {
    const char* other = std::getenv("CAPI_TEST_PYTHON");  // to test with other versions
    options.interpreter = other != nullptr ? other : CAPI_SOURCE_DIR "/.venv/bin/python3";
    pool_ = Must(FormulaPool::Make(std::move(options)));
  }

  Outcome Evaluate(const std::shared_ptr<const Program>& program, const Columns& columns,
                   const exec::CancelToken& cancel = {}) {
    if (pool_ == nullptr) MakePool();
    const int64_t n = columns.empty() ? 3 : columns[0]->length();
    return pool_->Evaluate(
        program, columns, n, [](int64_t row) { return "row " + std::to_string(row); }, cancel);
  }

  /// One formula.
  Outcome Evaluate(const std::string& source, FieldType type, const std::string& expression,
                   const Columns& columns) {
    return Evaluate(MakeProgram(source, columns, {MakeFormula(type, expression)}), columns);
  }

  /// Its results as texts.
  std::vector<std::string> Results(const std::string& source, FieldType type,
                                   const std::string& expression, const Columns& columns) {
    const Outcome outcome = Evaluate(source, type, expression, columns);
    EXPECT_TRUE(outcome.error.ok()) << Describe(outcome.error);
    return outcome.error.ok() ? TextsOf(*outcome.columns[0]) : std::vector<std::string>{};
  }

  /// The error must be the user's, of this class, at this row, and its text must hold all `parts`.
  static void ExpectError(const Outcome& outcome, const std::string& error_class, int64_t row,
                          const std::vector<std::string>& parts) {
    ASSERT_FALSE(outcome.error.ok());
    EXPECT_EQ(InfoOf(outcome.error).kind, ErrorKind::kUser) << Describe(outcome.error);
    EXPECT_EQ(InfoOf(outcome.error).error_class, error_class) << Describe(outcome.error);
    EXPECT_EQ(outcome.error_row, row) << Describe(outcome.error);
    EXPECT_TRUE(outcome.columns.empty());
    for (const std::string& part : parts) {
      EXPECT_NE(Describe(outcome.error).find(part), std::string::npos)
          << "\"" << part << "\" is not in: " << Describe(outcome.error);
    }
  }

  /// The pool still calculates.
  void ExpectWell() {
    EXPECT_EQ(Results("def f(x): return x + 1", FieldType::kInt, "f(r0)", {Ints({1, 2})}),
              (std::vector<std::string>{"2", "3"}));
  }

  std::unique_ptr<FormulaPool> pool_;
};

}  // namespace capi::python
