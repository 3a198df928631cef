#pragma once

// Accumulators of groups, and the aggregator over vectors that Aggregator and EvaluateOnce share.

#include <cstdint>
#include <memory>
#include <vector>

#include "capi/expr/evaluator.h"
#include "capi/expr/evaluator_machine_internal.h"
#include "capi/expr/tree.h"
#include "capi/expr/vector_internal.h"

namespace capi::expr {

/// A block of rows for an accumulator.
struct GroupedBlock {
  /// The argument, never constant; unset for count.
  Vector values;
  /// A byte 0 or 1 for each row; null: all are accepted.
  const uint8_t* accepted = nullptr;
  /// Non-decreasing.
  const int32_t* groups = nullptr;
  int64_t n = 0;
};

/// State of one aggregate over many groups. Called once per block, never per row.
class Accumulator {
 public:
  static std::unique_ptr<Accumulator> Make(const Node& aggregate);
  virtual ~Accumulator() = default;
  virtual void Begin(int64_t num_groups) = 0;
  /// An error is that of row *failed of the block.
  virtual Status Update(const GroupedBlock& block, int64_t* failed) = 0;
  /// One exact value per group. Lives as long as the state and the scratch.
  virtual Vector Results(Scratch* scratch) const = 0;
};

/// One thread.
class GroupAggregator {
 public:
  /// Of a kAggregate node; the program's roots are its children.
  GroupAggregator(const Node& aggregate, std::shared_ptr<const Program> program);
  static Result<std::shared_ptr<const Program>> MakeProgram(
      const std::shared_ptr<const Expression>& expression, const std::vector<Variable>& inputs,
      const Environment& environment);

  Machine* machine() { return &machine_; }
  void Begin(int64_t num_groups);
  /// Feeds rows 0..n of the machine's inputs.
  BlockResult Update(int64_t n, const int32_t* groups);
  int64_t num_groups() const { return num_groups_; }
  Vector Results(Scratch* scratch) const { return accumulator_->Results(scratch); }

 private:
  const Node& aggregate_;
  Machine machine_;
  std::unique_ptr<Accumulator> accumulator_;
  int64_t num_groups_ = 0;
  Scratch scratch_;
  std::vector<Vector> results_;
};

}  // namespace capi::expr
