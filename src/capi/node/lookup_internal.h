#pragma once

// Parts of the lookup node: matching (MatchSource) and making output rows from matches
// (LookupPlan).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/node/field_programs.h"
#include "capi/node/reference_plan.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

/// Left rows with the columns the node uses.
struct LeftRows {
  Columns columns;  ///< LookupPlan's left inputs, then the join fields
  std::vector<data::RowId> row_ids;
  int64_t num_rows = 0;
  LeftRows Slice(int64_t begin, int64_t n) const;
};

/// Matching pairs of a slice of left rows: ascending by left row, then by right row id.
struct Matches {
  std::vector<int32_t> left_rows;
  std::vector<data::RowId> right_rows;
  /// Values of the right inputs of the plan for each pair; filled by the matcher or by Filter.
  Columns right_columns;
  /// The pairs of left rows before `end`.
  Matches Before(int64_t end) const;
};

struct LeftMorsel {
  store::Table::Morsel morsel;
  /// All matches of the morsel, if the source finds them before the left rows are read.
  std::shared_ptr<const Matches> matches;
};

/// What a lookup node computes. Thread-safe after Make.
class LookupPlan {
 public:
  static Result<std::unique_ptr<LookupPlan>> Make(const NodeSetup& setup);

  std::vector<store::TableWriter::ReferenceGroup> ReferenceGroups() const;
  Result<LeftRows> ReadLeft(const store::Table& table, const store::Table::Morsel& morsel) const;
  /// Key columns of left rows, one per index component.
  Columns KeysOf(const LeftRows& left) const;

  /// Fills right_columns if they are missing, and drops pairs that the filter refuses. On an error
  /// of the filter, *error_left is the left row of the pair.
  Status Filter(const LeftRows& left, Matches* matches, int64_t* error_left) const;
  /// One output row per pair; left joins add a row for each left row without a pair.
  Status JoinPairs(const TableOutput& output, const LeftRows& left, const Matches& matches,
                   EncodedBlock* block) const;
  /// One output row per left row with pairs; left joins add those without.
  Status JoinGrouped(const TableOutput& output, const LeftRows& left, const Matches& matches,
                     EncodedBlock* block) const;

  /// Right fields needed for each pair besides references (filter, expressions, having).
  const std::vector<int>& right_fields() const { return right_fields_; }
  /// Fields of the left table that are compared with the index components.
  std::vector<int> join_fields() const {
    return {left_fields_.begin() + static_cast<ptrdiff_t>(num_left_inputs_), left_fields_.end()};
  }

 private:
  /// Output rows before having: for each, a left row and a right pair (-1: no match).
  struct OutputRows {
    Columns columns;  // null for reference fields
    std::vector<data::RowId> left_ids;
    std::vector<data::RowId> right_ids;
    int64_t num_rows = 0;
  };
  /// Returns true if having accepts all rows; else fills *selected.
  Result<bool> ApplyHaving(const OutputRows& rows, std::vector<int32_t>* selected) const;
  Status Emit(const TableOutput& output, OutputRows rows, EncodedBlock* block) const;
  Result<OutputRows> PairRows(const LeftRows& left, const Matches& matches, size_t begin,
                              size_t end, const std::vector<int32_t>& output_left,
                              const std::vector<int32_t>& output_pair) const;
  std::string DescribeLeft(const LeftRows& left, int64_t row) const;
  /// `columns` have the values of the failing row at `row`.
  Status DescribeError(const FirstError& first, const std::string& row_text, const Columns& columns,
                       int64_t row) const;

  const script::Node* node_ = nullptr;
  std::shared_ptr<const store::Table> left_;
  std::shared_ptr<const store::Table> right_;
  bool grouped_ = false;
  bool left_join_ = false;
  std::vector<Target> targets_;
  std::vector<data::Value> defaults_;
  /// Inputs of the field programs: left fields, then right fields.
  std::vector<expr::Variable> inputs_;
  std::vector<int> left_fields_;  ///< table fields read from the left: inputs, then join fields
  size_t num_left_inputs_ = 0;
  std::vector<int> right_fields_;
  ReferencePlan left_references_;
  ReferencePlan right_references_;
  std::vector<bool> is_reference_;  ///< per target
  std::vector<bool> uses_right_;    ///< per target
  /// Fields that are not references (null evaluators elsewhere and for aggregates).
  std::unique_ptr<Programs> programs_;
  std::unique_ptr<Programs> filter_;                            ///< inputs: l.<right fields>
  std::vector<std::unique_ptr<expr::Aggregator>> aggregators_;  ///< per target, null = none
  std::unique_ptr<FieldPrograms> having_;                       ///< having only
  std::vector<bool> having_needs_;                              ///< per target
};

/// Finds the matches of left rows: through the index (OpenIndexMatches), or partitioned by key hash
/// when the right side does not fit the memory budget (partitioned_match.h).
class MatchSource {
 public:
  virtual ~MatchSource() = default;
  /// Left morsels of the batch in row-id order; one thread at a time.
  virtual Result<std::optional<LeftMorsel>> Next() = 0;
  /// Matches of a slice that begins at row `begin` of the morsel. Thread-safe.
  virtual Result<Matches> Find(const LeftMorsel& morsel, const LeftRows& slice,
                               int64_t begin) const = 0;
};

/// Probes the persisted index for each slice; right values are gathered from mapped segments.
std::unique_ptr<MatchSource> OpenIndexMatches(const NodeSetup& setup, const LookupPlan& plan,
                                              int64_t batch_index);

}  // namespace capi::node
