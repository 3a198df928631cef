#pragma once

// Finds rows with equal keys in a sorted stream of index entries.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/store/segment/segment_set_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

/// Positions of an index's key fields.
Result<std::vector<int>> KeyFieldsOf(const TableSchema& schema, const IndexSchema& index);

/// One thread at a time.
class DuplicateFinder {
 public:
  /// `duplicate` has the key of `first`, the smallest such row.
  using Report = std::function<void(data::RowId first, data::RowId duplicate)>;

  /// Gives access to the rows; asked for only when two entries share a hash.
  using Rows = std::function<Result<const SegmentSet*>()>;

  /// Everything must outlive the finder.
  DuplicateFinder(const IndexSchema* index, const std::vector<int>* key_fields, Rows rows,
                  Report report)
      : index_(index),
        key_fields_(key_fields),
        rows_(std::move(rows)),
        report_(std::move(report)) {}

  /// Entries in (hash, row) order over all calls.
  Status Add(std::span<const IndexEntry> entries);
  /// Reports what is still held back.
  Status Finish() { return Flush(/*group_goes_on=*/false); }

 private:
  Status Flush(bool group_goes_on);

  const IndexSchema* index_;
  const std::vector<int>* key_fields_;
  Rows rows_;
  Report report_;
  std::optional<IndexEntry> previous_;
  bool previous_held_ = false;          // previous_ is the last of candidates_
  std::vector<IndexEntry> candidates_;  // groups of two or more with one hash
};

/// The pair of rows to report: that with the smallest second row. Deterministic over any order of
/// Offer.
struct KeyViolation {
  data::RowId first = data::kNoRow;
  data::RowId second = data::kNoRow;
  void Offer(data::RowId new_first, data::RowId new_second) {
    if (second != data::kNoRow &&
        (second < new_second || (second == new_second && first <= new_first))) {
      return;
    }
    first = new_first;
    second = new_second;
  }
  bool found() const { return second != data::kNoRow; }
};

/// kUser "duplicate_key".
Status DuplicateKeyError(const std::string& table, const IndexSchema& index,
                         const std::vector<int>& key_fields, const SegmentSet& rows,
                         const KeyViolation& violation);

}  // namespace capi::store
