#include "capi/store/table_store.h"

#include <mutex>
#include <utility>

#include "capi/store/garbage_internal.h"
#include "capi/store/index/frozen_index_internal.h"
#include "capi/store/segment/manifest_internal.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/table/frozen_table_internal.h"
#include "capi/store/table/table_freezer_internal.h"
#include "capi/store/writer/attempt_writer_internal.h"

namespace capi::store {

namespace {

class LocalTableStore : public TableStore {
 public:
  explicit LocalTableStore(std::unique_ptr<SegmentFiles> files) : files_(std::move(files)) {}

  Result<std::unique_ptr<TableWriter>> NewWriter(
      const exec::Context& context, const TableId& id, const TableSchema& schema,
      int64_t batch_index, std::vector<TableWriter::ReferenceGroup> groups) override {
    return AttemptWriter::Make(context, files_.get(), id, schema, batch_index, std::move(groups));
  }

  Status MakeDurable(const std::vector<const AttemptManifest*>& attempts) override {
    std::vector<SegmentFiles::Placement> ends;
    for (const AttemptManifest* attempt : attempts) {
      CAPI_ASSIGN_OR_RETURN(const Manifest manifest, Manifest::Parse(attempt->text));
      if (manifest.file != 0) ends.push_back({manifest.file, manifest.offset + manifest.length});
    }
    return files_->SyncContainers(ends);
  }

  Result<FreezeResult> FreezeTable(const exec::Context& context, const TableId& id,
                                   const TableSchema& schema,
                                   const std::vector<std::string>& attempts) override {
    TableFreezer freezer(context, files_.get(), id, schema, CurrentResolver());
    return freezer.Run(attempts);
  }

  Result<std::vector<TableId>> ReferencesOf(const std::string& manifest) const override {
    CAPI_ASSIGN_OR_RETURN(Manifest parsed, Manifest::Parse(manifest));
    return std::move(parsed.references);
  }

  Result<std::shared_ptr<const Table>> OpenTable(const std::string& manifest,
                                                 const Resolver& resolver) override {
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const Table> table,
                          FrozenTable::Open(files_.get(), manifest, resolver));
    return table;
  }

  Result<std::shared_ptr<const Index>> OpenIndex(std::shared_ptr<const Table> table,
                                                 const std::string& index_name) override {
    auto frozen = std::dynamic_pointer_cast<const FrozenTable>(table);
    if (frozen == nullptr) return BugError("table was not opened by this kind of store");
    return FrozenIndex::Open(std::move(frozen), index_name);
  }

  void SetResolver(Resolver resolver) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    resolver_ = std::move(resolver);
  }

  Result<Garbage> CollectGarbage(const std::vector<std::string>& manifests) override {
    return CollectGarbageFiles(files_.get(), manifests);
  }

 private:
  Resolver CurrentResolver() {
    const std::lock_guard<std::mutex> guard(mutex_);
    return resolver_;
  }

  const std::unique_ptr<SegmentFiles> files_;
  std::mutex mutex_;
  Resolver resolver_;
};

}  // namespace

Result<std::unique_ptr<TableStore>> TableStore::Open(Env* env, const std::string& directory) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SegmentFiles> files,
                        SegmentFiles::Open(env, directory + "/segments"));
  return std::make_unique<LocalTableStore>(std::move(files));
}

}  // namespace capi::store
