#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/store/index/entry_run_internal.h"
#include "capi/store/segment/directory_internal.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/segment/segment_set_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

class FrozenTable : public Table, public std::enable_shared_from_this<FrozenTable> {
 public:
  /// Where an index's entries and buckets are.
  struct IndexPlace {
    std::shared_ptr<EntryRun> entries;
    IndexDescriptor descriptor;
  };

  static Result<std::shared_ptr<const FrozenTable>> Open(SegmentFiles* files,
                                                         const std::string& manifest,
                                                         const TableStore::Resolver& resolver);

  const TableId& id() const override { return id_; }
  const TableSchema& schema() const override { return schema_; }
  int64_t num_rows() const override { return live_before_.back(); }
  int FieldIndex(std::string_view name) const override;
  std::vector<Morsel> Morsels(int64_t begin, int64_t end) const override;
  Result<ScanBatch> Read(const Morsel& morsel, const std::vector<int>& fields) const override;
  Result<std::shared_ptr<arrow::Array>> Gather(int field, const data::RowId* rows, int64_t n,
                                               const data::Value* missing) const override {
    return rows_->Gather(field, rows, n, missing);
  }
  Result<std::vector<std::shared_ptr<arrow::Array>>> GatherFields(const std::vector<int>& fields,
                                                                  const data::RowId* rows,
                                                                  int64_t n) const override;
  std::optional<Reference> ReferenceOf(int field) const override;
  Result<std::vector<data::RowId>> ReadReferences(const Morsel& morsel, int group) const override;
  void Prefetch(const std::vector<int>& fields) const override;

  const SegmentSet& rows() const { return *rows_; }
  /// Position of an index in the schema; -1: none.
  int IndexPosition(std::string_view name) const;
  /// The entries of an index; its bucket table is verified.
  Result<const IndexPlace*> OpenIndexPlace(int index) const;
  /// Of an index with entries.
  const uint8_t* BucketsOf(const IndexPlace& place) const;

 private:
  FrozenTable() = default;
  /// Where the values of a field are, or the row ids of its group.
  int SlotOf(int field) const;
  bool IsDeleted(int64_t chunk, int64_t row) const;
  /// Physical position of the n-th live row (from 0) of a chunk.
  int64_t PhysicalRow(int64_t chunk, int64_t n) const;
  /// Live rows of a morsel, counted from its first physical row.
  std::vector<int32_t> LiveRows(const Morsel& morsel) const;

  TableId id_;
  TableSchema schema_;
  std::map<std::string, int, std::less<>> field_positions_;
  std::shared_ptr<MappedFile> table_file_;
  std::string table_path_;
  std::shared_ptr<const SegmentSet> rows_;
  const uint8_t* deletions_ = nullptr;
  std::vector<int64_t> live_before_;  // per chunk, and the total at the end
  std::vector<IndexPlace> indexes_;
};

}  // namespace capi::store
