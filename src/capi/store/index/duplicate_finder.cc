#include "arrow/array/array_base.h"
#include "capi/data/key.h"
#include "capi/store/index/duplicate_finder_internal.h"

namespace capi::store {

namespace {

/// Candidates are compared when there are this many.
constexpr size_t kFlushCandidates = 32768;

std::string DescribeRow(data::RowId row) {
  return "row " + std::to_string(data::OrdinalOf(row) + 1) + " of batch " +
         std::to_string(data::BatchOf(row));
}

Result<std::vector<std::shared_ptr<arrow::Array>>> GatherKeys(const std::vector<int>& key_fields,
                                                              const SegmentSet& rows,
                                                              const std::vector<data::RowId>& ids) {
  std::vector<std::shared_ptr<arrow::Array>> keys;
  for (const int field : key_fields) {
    CAPI_ASSIGN_OR_RETURN(
        std::shared_ptr<arrow::Array> key,
        rows.Gather(field, ids.data(), static_cast<int64_t>(ids.size()), nullptr));
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace

Result<std::vector<int>> KeyFieldsOf(const TableSchema& schema, const IndexSchema& index) {
  std::vector<int> positions;
  for (const data::KeyComponent& component : index.components) {
    int position = -1;
    for (size_t f = 0; f < schema.fields.size(); ++f) {
      if (schema.fields[f].name == component.field) position = static_cast<int>(f);
    }
    if (position < 0) {
      return BugError("index " + index.name +
                      " names a field the table does not have: " + component.field);
    }
    if (schema.fields[static_cast<size_t>(position)].type != component.type) {
      return BugError("index " + index.name + " gives another type to field " + component.field);
    }
    positions.push_back(position);
  }
  if (positions.empty()) return BugError("index without key fields: " + index.name);
  return positions;
}

Status DuplicateFinder::Add(std::span<const IndexEntry> entries) {
  for (const IndexEntry& entry : entries) {
    const bool same = previous_.has_value() && previous_->hash == entry.hash;
    if (same) {
      if (!previous_held_) candidates_.push_back(*previous_);
      candidates_.push_back(entry);
      if (candidates_.size() >= kFlushCandidates) CAPI_RETURN_NOT_OK(Flush(true));
    }
    previous_ = entry;
    previous_held_ = same;
  }
  return Status::OK();
}

Status DuplicateFinder::Flush(bool group_goes_on) {
  if (candidates_.empty()) return Status::OK();
  std::vector<data::RowId> ids;
  ids.reserve(candidates_.size());
  for (const IndexEntry& entry : candidates_) ids.push_back(entry.row);
  CAPI_ASSIGN_OR_RETURN(const SegmentSet* rows, rows_());
  CAPI_ASSIGN_OR_RETURN(const auto keys, GatherKeys(*key_fields_, *rows, ids));
  CAPI_ASSIGN_OR_RETURN(const auto comparator,
                        data::KeyComparator::Make(index_->components, keys, keys));
  // Candidates with different keys in the current group of one hash; mostly one.
  std::vector<size_t> distinct;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (i == 0 || candidates_[i].hash != candidates_[i - 1].hash) distinct.clear();
    bool duplicate = false;
    for (const size_t earlier : distinct) {
      if (comparator->Equal(static_cast<int64_t>(earlier), static_cast<int64_t>(i))) {
        report_(ids[earlier], ids[i]);
        duplicate = true;
        break;
      }
    }
    if (!duplicate) distinct.push_back(i);
  }
  std::vector<IndexEntry> kept;
  if (group_goes_on) {
    // Rows still to come are compared with the different keys of their group; these were found to
    // differ from each other and will not be reported again.
    for (const size_t i : distinct) kept.push_back(candidates_[i]);
  }
  candidates_ = std::move(kept);
  return Status::OK();
}

Status DuplicateKeyError(const std::string& table, const IndexSchema& index,
                         const std::vector<int>& key_fields, const SegmentSet& rows,
                         const KeyViolation& violation) {
  CAPI_ASSIGN_OR_RETURN(const auto keys, GatherKeys(key_fields, rows, {violation.second}));
  return UserError("duplicate_key",
                   "unique index has two rows with one key: index " + index.name + " of table " +
                       table + ", key " + data::DescribeKey(index.components, keys, 0) + ", " +
                       DescribeRow(violation.first) + " and " + DescribeRow(violation.second));
}

}  // namespace capi::store
