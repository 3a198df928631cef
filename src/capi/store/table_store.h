#pragma once

// Intermediate tables: columnar segments with indexes (architecture 3, 5 "segments", "indexes").
// Format: store/segment/FORMAT.md. The store knows schemas and keys, not scripts, runs or batches'
// states: what is committed is decided by the state store, which keeps the manifests made here.
//
// Life: NewWriter -> Put* -> Finish (attempt manifest, not yet durable) -> MakeDurable (group
// commit) -> the caller commits the manifest -> when all batches of the node are committed:
// FreezeTable (unique checks, distinct winners, merged indexes) -> table manifest, committed by the
// caller -> OpenTable.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/data/column.h"
#include "capi/data/key.h"
#include "capi/data/types.h"
#include "capi/exec/context.h"

namespace capi::store {

struct IndexSchema {
  std::string name;
  bool unique = false;
  std::vector<data::KeyComponent> components;
};

struct TableSchema {
  std::string name;
  std::vector<data::Field> fields;
  std::vector<IndexSchema> indexes;
  /// Name of the unique index whose keys decide duplicates (distinct_table), "" for other tables.
  std::string distinct_index;
};

/// Identity of a physical table: `<name>_<run id, 5 digits>` in messages.
struct TableId {
  int64_t run_id = 0;
  std::string name;
  auto operator<=>(const TableId&) const = default;
};

/// A frozen, readable table. Immutable, thread-safe.
class Table {
 public:
  virtual ~Table() = default;
  virtual const TableId& id() const = 0;
  virtual const TableSchema& schema() const = 0;
  /// Live rows (deleted ones of distinct tables not counted).
  virtual int64_t num_rows() const = 0;
  /// Position of a field, -1 if there is none.
  virtual int FieldIndex(std::string_view name) const = 0;

  /// A piece of the table that one task reads: at most data::kMorselRows live rows of one chunk.
  struct Morsel {
    int64_t segment = 0;
    int64_t chunk = 0;
    int64_t begin = 0;  ///< first physical row in the chunk
    int64_t end = 0;
    int64_t num_rows = 0;        ///< live rows in it
    int64_t first_position = 0;  ///< live position of its first row in the table
    int64_t last_chunk = 0;      ///< of the range asked for: what is read ahead ends there
  };
  /// Morsels that cover the live positions [begin, end), in row-id order. 0 <= begin <= end <=
  /// num_rows(). The rows of batch p of n are positions [num_rows*p/n, num_rows*(p+1)/n): use
  /// PartitionRange.
  virtual std::vector<Morsel> Morsels(int64_t begin, int64_t end) const = 0;

  struct ScanBatch {
    /// columns[i] is field fields[i] of Read; reference columns are materialised.
    std::vector<std::shared_ptr<arrow::Array>> columns;
    std::vector<data::RowId> row_ids;
    int64_t num_rows = 0;
  };
  virtual Result<ScanBatch> Read(const Morsel& morsel, const std::vector<int>& fields) const = 0;

  /// Values of `field` for any row ids (of live or deleted rows), in the order given. kNoRow yields
  /// `missing` (must then be given).
  virtual Result<std::shared_ptr<arrow::Array>> Gather(int field, const data::RowId* rows,
                                                       int64_t n,
                                                       const data::Value* missing) const = 0;

  /// Gather of several fields for rows that exist (no kNoRow); fields of one reference group share
  /// the work.
  virtual Result<std::vector<std::shared_ptr<arrow::Array>>> GatherFields(
      const std::vector<int>& fields, const data::RowId* rows, int64_t n) const = 0;

  /// If the field is stored as a reference into another table: that table, its field, and the
  /// number of the reference group (fields of one group share row ids).
  struct Reference {
    std::shared_ptr<const Table> source;
    int source_field = 0;
    int group = 0;
    data::Value missing;  ///< value of rows without a source row
  };
  virtual std::optional<Reference> ReferenceOf(int field) const = 0;
  /// Source row ids of a group for the live rows of a morsel.
  virtual Result<std::vector<data::RowId>> ReadReferences(const Morsel& morsel,
                                                          int group) const = 0;

  /// Hint: the pages of these fields will be read sequentially soon.
  virtual void Prefetch(const std::vector<int>& fields) const = 0;
};

/// [begin, end) of partition p of n over num_rows rows.
std::pair<int64_t, int64_t> PartitionRange(int64_t num_rows, int64_t p, int64_t n);

/// A frozen index: (64-bit key hash, row id) sorted by both. Immutable, thread-safe.
class Index {
 public:
  virtual ~Index() = default;
  virtual const IndexSchema& schema() const = 0;
  virtual int64_t num_entries() const = 0;

  /// Exact matches of n left keys: pairs (left row, right row id), ascending by left row, then
  /// right row id; keys are compared, not only hashes. keys[i] belongs to component i and may be of
  /// any layout.
  virtual Status Find(const std::vector<std::shared_ptr<arrow::Array>>& keys, int64_t n,
                      std::vector<int32_t>* left_rows,
                      std::vector<data::RowId>* right_rows) const = 0;

  /// Entries [begin, end) in (hash, row id) order, deleted rows left out: for partitioned joins.
  virtual Status ReadEntries(int64_t begin, int64_t end, std::vector<uint64_t>* hashes,
                             std::vector<data::RowId>* rows) const = 0;
  /// First entry whose hash is >= `hash`.
  virtual Result<int64_t> LowerBound(uint64_t hash) const = 0;
};

/// What an attempt wrote. `text` is opaque JSON for the state store.
struct AttemptManifest {
  std::string text;
  int64_t rows = 0;
  int64_t duplicates = 0;  ///< rows dropped inside the attempt by distinct
  int64_t bytes = 0;       ///< on disk
};

/// Writes the output of one attempt of one batch. One thread at a time.
class TableWriter {
 public:
  /// Fields whose values are those of rows of a frozen table.
  struct ReferenceGroup {
    std::shared_ptr<const Table> source;
    /// (field of this table, field of source)
    std::vector<std::pair<int, int>> fields;
    /// missing[i] is the value of fields[i] where the row id is kNoRow. Same length as fields.
    std::vector<data::Value> missing;
  };
  struct Batch {
    int64_t num_rows = 0;
    /// One per field of the schema; null for fields in a reference group. Layouts of data/types.h,
    /// already converted by data::ToStored.
    std::vector<std::shared_ptr<arrow::Array>> columns;
    /// reference_rows[g] has num_rows row ids for group g.
    std::vector<std::vector<data::RowId>> reference_rows;
  };
  /// Rows made ready for Append: encoded columns and key hashes. Opaque.
  class Encoded {
   public:
    virtual ~Encoded() = default;
  };
  virtual ~TableWriter() = default;  ///< an unfinished writer leaves nothing reachable
  /// The CPU-heavy part of writing. Thread-safe: nodes call it in the parallel step of a pipeline.
  virtual Result<std::shared_ptr<Encoded>> Encode(const Batch& batch) const = 0;
  /// Appends what Encode of this writer returned; ordinals are given in the order of the calls.
  virtual Status Append(std::shared_ptr<Encoded> encoded) = 0;
  /// Append of Encode(batch).
  Status Put(const Batch& batch) {
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Encoded> encoded, Encode(batch));
    return Append(std::move(encoded));
  }
  /// Sorts index entries, checks unique indexes inside the attempt (kUser class "duplicate_key",
  /// naming both rows and the key), writes what is buffered.
  virtual Result<AttemptManifest> Finish() = 0;
};

struct FreezeResult {
  std::string manifest;  ///< opaque JSON for the state store
  int64_t rows = 0;
  int64_t duplicates = 0;  ///< rows deleted as losers of distinct across batches
};

class BlobStore;
struct CacheCounters;

struct SharedStoreOptions {
  Env* env = nullptr;
  /// Of this process alone: emptied when the store is opened.
  std::string cache_directory;
  /// Soft: tables and indexes that are open are never evicted.
  int64_t cache_limit_bytes = int64_t{16} << 30;
  /// The process (state::OwnerId), known as living to whoever collects garbage before the store is
  /// opened; never used by a process that is dead.
  int64_t owner = 0;
  /// Of what is sent and not acknowledged, and of what is asked for and has not arrived.
  int64_t max_bytes_in_flight = int64_t{16} << 20;
  int32_t piece_bytes = 256 << 10;
  /// Of all stores it is given to; null = nobody asks.
  std::shared_ptr<CacheCounters> counters;
};

/// All tables of one keyspace: in one directory of this machine, or in a BlobStore shared with
/// other processes and machines. Thread-safe.
class TableStore {
 public:
  /// In a directory, which is created if missing. One process at a time.
  static Result<std::unique_ptr<TableStore>> Open(Env* env, const std::string& directory);
  /// In `blobs`, read through a cache on this machine. Each attempt and each frozen table is a file
  /// of its own, and a table can be opened from its manifest by every process. Tables may outlive
  /// the store and keep `blobs` alive. Beyond the errors said below: kRetriable while `blobs`
  /// cannot be reached (nothing of it is kept: later calls may succeed, also on open tables);
  /// kEnvironment "table data is damaged" naming run, file and piece.
  static Result<std::unique_ptr<TableStore>> OpenShared(const SharedStoreOptions& options,
                                                        std::unique_ptr<BlobStore> blobs);
  virtual ~TableStore() = default;

  /// groups: may be empty. batch_index < 2^20.
  virtual Result<std::unique_ptr<TableWriter>> NewWriter(
      const exec::Context& context, const TableId& id, const TableSchema& schema,
      int64_t batch_index, std::vector<TableWriter::ReferenceGroup> groups) = 0;

  /// Syncs what the attempts wrote; files shared by several are synced once.
  virtual Status MakeDurable(const std::vector<const AttemptManifest*>& attempts) = 0;

  /// Node finish. attempts[b] is the committed manifest text of batch b. Checks unique keys across
  /// batches
  /// ("duplicate_key"), picks distinct winners (smallest row id), merges index segments; durable on
  /// return. Needs the tables referenced by the attempts.
  virtual Result<FreezeResult> FreezeTable(const exec::Context& context, const TableId& id,
                                           const TableSchema& schema,
                                           const std::vector<std::string>& attempts) = 0;

  /// Tables referenced by an attempt or table manifest (direct references only).
  virtual Result<std::vector<TableId>> ReferencesOf(const std::string& manifest) const = 0;

  using Resolver = std::function<Result<std::shared_ptr<const Table>>(const TableId&)>;
  /// Opens a frozen table; `resolver` opens the tables it references. Corruption: kEnvironment
  /// naming file and offset.
  virtual Result<std::shared_ptr<const Table>> OpenTable(const std::string& manifest,
                                                         const Resolver& resolver) = 0;
  virtual Result<std::shared_ptr<const Index>> OpenIndex(std::shared_ptr<const Table> table,
                                                         const std::string& index_name) = 0;
  /// FreezeTable needs referenced tables only when an index or unique key is on a reference field.
  virtual void SetResolver(Resolver resolver) = 0;

  /// Says that an attempt or table made by this store will never be committed (its commit was
  /// refused), so that its space can be used again. May do nothing.
  virtual Status Discard(const std::string& /*manifest*/) { return Status::OK(); }

  /// Reconcile: removes files that none of the manifests (attempts and tables) mentions and cuts
  /// dead tails off shared files. Only at start-up, when no writer of any process is open; not for
  /// stores shared with other processes.
  struct Garbage {
    int64_t files_removed = 0;
    int64_t bytes_removed = 0;
    int64_t live_bytes = 0;
    int64_t dead_bytes = 0;  ///< left on the disk inside shared files
  };
  virtual Result<Garbage> CollectGarbage(const std::vector<std::string>& manifests) = 0;

  /// What counts in a shared store.
  struct Live {
    /// Processes that may still write or commit, this one too.
    std::set<int64_t> owners;
    std::vector<std::string> manifests;  ///< of attempts and tables, as above
  };
  /// Must read the owners first, then the manifests, and take an owner for dead only when it cannot
  /// commit any more.
  using LiveQuery = std::function<Result<Live>()>;
  /// Shared stores, at any time: removes the files of dead owners that no manifest mentions. Files
  /// of living owners are theirs: of its own a store removes what it has discarded. Other processes
  /// may write, read and collect meanwhile. Nothing is removed after an error of `query` or when a
  /// manifest's table cannot be read. Only files_removed is told.
  virtual Result<Garbage> CollectSharedGarbage(const LiveQuery& query) = 0;

  /// Removes what all processes wrote in a run that has ended and that nobody reads any more
  /// (shared stores; in a directory its files go with the next CollectGarbage).
  virtual Status RemoveRun(int64_t /*run_id*/) { return Status::OK(); }
};

}  // namespace capi::store
