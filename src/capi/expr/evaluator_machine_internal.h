#pragma once

// Runs a program block by block.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/expr/evaluator_program_internal.h"
#include "capi/expr/vector_internal.h"

namespace capi::expr {

/// What came of a block.
struct BlockResult {
  Status error;
  /// Row of the input, -1 if none.
  int64_t error_row = -1;
};

/// One thread. Inputs and results of a block live until the next one begins.
class Machine {
 public:
  explicit Machine(std::shared_ptr<const Program> program);

  const Program& program() const { return *program_; }
  std::shared_ptr<const Program> program_ptr() const { return program_; }
  /// The caller fills it before RunBlock and keeps the columns alive.
  Inputs* inputs() { return &inputs_; }
  /// Sets the columns that are read. num_rows: of the call, for the choice of dictionary
  /// evaluation.
  Status SetColumns(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows);

  /// Evaluates all roots over rows [begin, begin + n), n > 0; results[i] is that of root i. With
  /// `store` a decimal that a column cannot hold is an error of its row. An error is that of the
  /// smallest row, then of the first root, then the first in evaluation order.
  BlockResult RunBlock(int64_t begin, int64_t n, bool store, std::vector<Vector>* results);

  /// Blocks that had to be evaluated row by row since the machine was made; for tests.
  int64_t num_row_blocks() const { return num_row_blocks_; }

 private:
  /// Results of a subtree over the values of a dictionary.
  struct DictionaryResult {
    std::shared_ptr<arrow::ArrayData> dictionary;
    bool usable = false;
    Vector values;
    std::unique_ptr<Scratch> memory;
  };

  bool Run(const Step& step, const Rows& rows, Vector* out);
  bool RunOperation(const Step& step, const Rows& rows, Vector* out);
  bool RunDictionary(const Step& step, const Rows& rows, Vector* out);
  bool RunConvert(const Step& step, const Rows& rows, Vector* out);
  bool RunUnary(const Step& step, const Rows& rows, Vector* out);
  bool RunArithmetic(const Step& step, const Rows& rows, Vector* out);
  /// True if the subtree can be evaluated over the values of a dictionary.
  bool HasDictionary(const Step& step) const;
  /// Operands of nested string additions, left to right.
  void FlattenConcatenation(const Step& step, std::vector<const Step*>* parts) const;
  bool RunConcatenation(const Step& step, const Rows& rows, Vector* out);
  bool RunComparison(const Step& step, const Rows& rows, Vector* out);
  bool RunLogic(const Step& step, const Rows& rows, Vector* out);
  bool RunIif(const Step& step, const Rows& rows, Vector* out);
  /// rows[positions[i]]
  Rows Subset(const Rows& rows, const int32_t* positions, int64_t n);

  // evaluator_functions.cc, evaluator_time_functions.cc. n is 1 if all arguments are constant.
  bool RunCall(const Step& step, const Rows& rows, Vector* out);
  bool CallInt(const Vector& argument, int64_t n, Vector* out);
  bool CallFloat(const Vector& argument, int64_t n, Vector* out);
  bool CallDecimal(const Vector& argument, int64_t n, Vector* out);
  void CallString(const Vector& argument, int64_t n, Vector* out);
  bool CallReplaceAll(const std::vector<Vector>& arguments, int64_t n, Vector* out);
  void CallLen(const Vector& argument, int64_t n, Vector* out);
  const data::TimeLayout& LayoutOf(const Step& step, std::string_view text);
  const data::PrintFormat& FormatOf(const Step& step, std::string_view text);
  bool CallMatchString(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                       Vector* out);
  bool CallTimeDate(const std::vector<Vector>& arguments, int64_t n, Vector* out);
  void CallSprintf(const Step& step, const std::vector<Vector>& arguments, int64_t n, Vector* out);
  bool CallTimeParse(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                     Vector* out);
  void CallTimeFormat(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                      Vector* out);
  bool CallRowByRow(const Step& step, const std::vector<Vector>& arguments, int64_t n, Vector* out);

  BlockResult RunRows(int64_t begin, int64_t n, bool store, std::vector<Vector>* results);

  std::shared_ptr<const Program> program_;
  Inputs inputs_;
  int64_t num_rows_ = 0;
  std::unique_ptr<Scratch> block_scratch_;
  Scratch* scratch_;  // block_scratch_, or that of a dictionary result being made
  std::vector<DictionaryResult> dictionary_results_;  // by step
  /// A string input stands for its dictionary while one is being evaluated.
  bool in_dictionary_ = false;
  // The last pattern, layout and format that were not constant.
  std::string last_pattern_text_;
  std::shared_ptr<const re2::RE2> last_pattern_;
  std::optional<data::TimeLayout> last_layout_;
  std::optional<data::PrintFormat> last_format_;
  int64_t num_row_blocks_ = 0;
};

/// The error of a decimal result that a column cannot hold.
Status StoreError(const data::BigDecimal& value, int64_t offset);
/// True if a column can hold it.
bool FitsColumn(const data::BigDecimal& value);

}  // namespace capi::expr
