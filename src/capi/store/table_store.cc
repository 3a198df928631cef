#include "capi/store/table_store.h"

#include <mutex>
#include <utility>

#include "capi/store/blob_store.h"
#include "capi/store/garbage_internal.h"
#include "capi/store/index/frozen_index_internal.h"
#include "capi/store/segment/local_files_internal.h"
#include "capi/store/segment/manifest_internal.h"
#include "capi/store/shared/shared_files_internal.h"
#include "capi/store/table/frozen_table_internal.h"
#include "capi/store/table/table_freezer_internal.h"
#include "capi/store/writer/attempt_writer_internal.h"

namespace capi::store {

namespace {

/// What does not depend on where the files are.
class FileTableStore : public TableStore {
 public:
  explicit FileTableStore(SegmentFiles* files) : files_(files) {}

  Result<std::unique_ptr<TableWriter>> NewWriter(
      const exec::Context& context, const TableId& id, const TableSchema& schema,
      int64_t batch_index, std::vector<TableWriter::ReferenceGroup> groups) override {
    return AttemptWriter::Make(context, files_, id, schema, batch_index, std::move(groups));
  }

  Status MakeDurable(const std::vector<const AttemptManifest*>& attempts) override {
    std::vector<SegmentFiles::Placement> ends;
    for (const AttemptManifest* attempt : attempts) {
      CAPI_ASSIGN_OR_RETURN(const Manifest manifest, Manifest::Parse(attempt->text));
      if (manifest.file != 0) ends.push_back({manifest.Ref(), manifest.offset + manifest.length});
    }
    return files_->SyncContainers(ends);
  }

  Result<FreezeResult> FreezeTable(const exec::Context& context, const TableId& id,
                                   const TableSchema& schema,
                                   const std::vector<std::string>& attempts) override {
    TableFreezer freezer(context, files_, id, schema, CurrentResolver());
    return freezer.Run(attempts);
  }

  Result<std::vector<TableId>> ReferencesOf(const std::string& manifest) const override {
    CAPI_ASSIGN_OR_RETURN(Manifest parsed, Manifest::Parse(manifest));
    return std::move(parsed.references);
  }

  Result<std::shared_ptr<const Table>> OpenTable(const std::string& manifest,
                                                 const Resolver& resolver) override {
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const Table> table,
                          FrozenTable::Open(files_, manifest, resolver));
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

 private:
  Resolver CurrentResolver() {
    const std::lock_guard<std::mutex> guard(mutex_);
    return resolver_;
  }

  SegmentFiles* const files_;
  std::mutex mutex_;
  Resolver resolver_;
};

class LocalTableStore final : public FileTableStore {
 public:
  explicit LocalTableStore(std::unique_ptr<LocalFiles> files)
      : FileTableStore(files.get()), files_(std::move(files)) {}

  Result<Garbage> CollectGarbage(const std::vector<std::string>& manifests) override {
    return CollectGarbageFiles(files_.get(), manifests);
  }
  Result<Garbage> CollectSharedGarbage(const LiveQuery& /*query*/) override {
    return BugError("a table store in a directory is not shared");
  }

 private:
  const std::unique_ptr<LocalFiles> files_;
};

class SharedTableStore final : public FileTableStore {
 public:
  explicit SharedTableStore(std::unique_ptr<SharedFiles> files)
      : FileTableStore(files.get()), files_(std::move(files)) {}

  Status Discard(const std::string& manifest) override { return files_->Discard(manifest); }
  Result<Garbage> CollectGarbage(const std::vector<std::string>& /*manifests*/) override {
    return BugError("garbage of a shared table store needs to know who lives");
  }
  Result<Garbage> CollectSharedGarbage(const LiveQuery& query) override {
    return files_->CollectGarbage(query);
  }
  Status RemoveRun(int64_t run_id) override { return files_->RemoveRun(run_id); }

 private:
  const std::unique_ptr<SharedFiles> files_;
};

}  // namespace

Result<std::unique_ptr<TableStore>> TableStore::Open(Env* env, const std::string& directory) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<LocalFiles> files,
                        LocalFiles::Open(env, directory + "/segments"));
  return std::make_unique<LocalTableStore>(std::move(files));
}

Result<std::unique_ptr<TableStore>> TableStore::OpenShared(const SharedStoreOptions& options,
                                                           std::unique_ptr<BlobStore> blobs) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SharedFiles> files,
                        SharedFiles::Open(options, std::move(blobs)));
  return std::make_unique<SharedTableStore>(std::move(files));
}

}  // namespace capi::store
