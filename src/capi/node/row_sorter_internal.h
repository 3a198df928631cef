#pragma once

// The two ways of sorting: packed integer keys in memory, and encoded keys in spilled runs.

#include <cstdint>
#include <memory>
#include <vector>

#include "capi/node/row_sorter.h"
#include "capi/node/table_source.h"

namespace capi::node {

/// One component of the order, bound to what it is read from.
struct SortComponent {
  data::KeyComponent key;
  size_t target = 0;  ///< position among the plan's targets
  /// Set if the value is a bare field stored as a reference: source rows are ranked once and row
  /// ids of the source stand for the strings.
  std::optional<store::Table::Reference> reference;
};

/// Ascending row ids; consecutive ones take no memory.
class RowIdList {
 public:
  RowIdList() = default;
  explicit RowIdList(std::vector<data::RowId> ids);
  int64_t size() const { return size_; }
  data::RowId operator[](int64_t i) const {
    return ids_.empty() ? first_ + i : ids_[static_cast<size_t>(i)];
  }

 private:
  data::RowId first_ = 0;
  int64_t size_ = 0;
  std::vector<data::RowId> ids_;
};

/// Key columns of the rows of a morsel that passed having.
struct SortMorsel {
  Columns keys;  ///< one per component; null where source_rows is filled
  std::vector<std::vector<data::RowId>> source_rows;  ///< one per component
  RowIdList row_ids;
  RowCounts counts;
};

struct SortInputs {
  const NodeSetup* setup = nullptr;
  const std::vector<SortComponent>* components = nullptr;
  FieldPrograms* programs = nullptr;
  const std::vector<int>* fields = nullptr;
  int64_t limit = 0;

  /// with_references: source rows instead of values for reference components.
  Result<SortMorsel> Read(const exec::Context& context, const store::Table::Morsel& morsel,
                          bool with_references) const;
};

Result<std::unique_ptr<SortedRows>> SortInMemory(const exec::Context& context,
                                                 const SortInputs& inputs, TableSource source,
                                                 exec::Reservation reservation);
Result<std::unique_ptr<SortedRows>> SortWithSpilling(const exec::Context& context,
                                                     const SortInputs& inputs, TableSource source);

/// Bytes per row that SortInMemory needs.
int64_t BytesPerSortedRow(const std::vector<SortComponent>& components);

/// Sorts `order` (row numbers) by keys[row], stable, by least significant digit first radix passes
/// over the bits that differ. `scratch` is resized.
void RadixSortByKey(std::vector<uint64_t>* keys, std::vector<uint32_t>* order);

}  // namespace capi::node
