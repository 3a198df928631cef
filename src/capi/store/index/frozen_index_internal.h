#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/store/index/key_matcher_internal.h"
#include "capi/store/table/frozen_table_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

class FrozenIndex : public Index {
 public:
  static Result<std::shared_ptr<const Index>> Open(std::shared_ptr<const FrozenTable> table,
                                                   const std::string& name);

  const IndexSchema& schema() const override { return *schema_; }
  int64_t num_entries() const override { return count_; }
  Status Find(const std::vector<std::shared_ptr<arrow::Array>>& keys, int64_t n,
              std::vector<int32_t>* left_rows, std::vector<data::RowId>* right_rows) const override;
  Status ReadEntries(int64_t begin, int64_t end, std::vector<uint64_t>* hashes,
                     std::vector<data::RowId>* rows) const override;
  Result<int64_t> LowerBound(uint64_t hash) const override;

 private:
  /// Pairs with equal hashes, still to be compared.
  struct Candidates {
    std::vector<int64_t> left;
    std::vector<data::RowId> right;
    std::vector<uint8_t> equal;
  };

  FrozenIndex() = default;
  int64_t BucketBegin(uint64_t bucket) const;
  template <typename Offset>
  Status FindCandidates(const uint64_t* hashes, int64_t n,
                        const std::vector<std::shared_ptr<arrow::Array>>& keys,
                        std::vector<int32_t>* left_rows,
                        std::vector<data::RowId>* right_rows) const;
  /// Moves the pairs whose keys are equal to the results.
  static Status Compare(KeyMatcher* matcher, Candidates* candidates,
                        std::vector<int32_t>* left_rows, std::vector<data::RowId>* right_rows);

  std::shared_ptr<const FrozenTable> table_;
  const IndexSchema* schema_ = nullptr;
  std::vector<int> key_fields_;
  std::shared_ptr<const EntryRun> entries_;
  int64_t count_ = 0;
  const uint8_t* buckets_ = nullptr;
  uint32_t bucket_width_ = 4;
  int shift_ = 63;
};

}  // namespace capi::store
