#include "capi/store/cassandra/cassandra_blob_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "capi/cql/values.h"

namespace capi::store {

namespace {

/// Partitions that are listed with one request.
constexpr int32_t kListPageRows = 5000;

/// Pieces are compressed by us and read one by one: the server need not compress them again, nor
/// keep rows in memory. A tombstone of a file protects nothing but disk space (what comes back is
/// collected again), so that a day is enough for it.
constexpr char kTableOptions[] =
    " WITH compression = {'enabled': 'false'}"
    " AND compaction = {'class': 'SizeTieredCompactionStrategy', 'max_threshold': '16'}"
    " AND caching = {'keys': 'ALL', 'rows_per_partition': 'NONE'}"
    " AND bloom_filter_fp_chance = 0.01"
    " AND gc_grace_seconds = 86400"
    " AND comment = 'Capillaries: pieces of table files'";

class CassandraBlobStore final : public BlobStore {
 public:
  CassandraBlobStore(cql::Session* session, cql::StatementPtr put, cql::StatementPtr get,
                     cql::StatementPtr list, cql::StatementPtr remove)
      : session_(session),
        put_(std::move(put)),
        get_(std::move(get)),
        list_(std::move(list)),
        remove_(std::move(remove)) {}

  // Requests under way hold nothing of ours.

  void BeginPut(const BlobId& id, int64_t piece, std::string bytes,
                std::function<void(Status)> done) override {
    cql::Request request;
    request.statement = put_;
    BindPiece(id, piece, &request.values);
    request.values.Blob(bytes);
    session_->Begin(std::move(request), [done = std::move(done)](const Result<cql::Rows>& rows) {
      done(rows.status());
    });
  }

  void BeginGet(const BlobId& id, int64_t piece,
                std::function<void(Result<std::string>)> done) override {
    cql::Request request;
    request.statement = get_;
    BindPiece(id, piece, &request.values);
    session_->Begin(std::move(request),
                    [id, piece, done = std::move(done)](const Result<cql::Rows>& rows) {
                      if (!rows.ok()) {
                        done(rows.status());
                      } else if (rows->empty() || rows->IsNull(0, 0)) {
                        done(DamagedPiece(id, piece, "piece is missing"));
                      } else {
                        done(std::string(rows->Text(0, 0)));
                      }
                    });
  }

  Result<std::vector<BlobFile>> List() override {
    std::map<BlobId, int64_t> parts;
    CAPI_RETURN_NOT_OK(session_->ExecutePaged(
        {list_, {}, cql::Consistency::kDefault}, kListPageRows, [&](const cql::Rows& rows) {
          for (int64_t row = 0; row < rows.size(); ++row) {
            const BlobId id{rows.Integer(row, 0), rows.Integer(row, 1),
                            static_cast<uint64_t>(rows.Integer(row, 2))};
            int64_t& count = parts[id];
            count = std::max(count, rows.Integer(row, 3) + 1);
          }
          return Status::OK();
        }));
    std::vector<BlobFile> files;
    files.reserve(parts.size());
    for (const auto& [id, count] : parts) files.push_back({id, count * kPiecesPerPartition});
    return files;
  }

  Status Remove(const std::vector<BlobFile>& files) override {
    cql::BulkWriter writer(session_);
    for (const BlobFile& file : files) {
      for (int64_t piece = 0; piece < file.num_pieces; piece += kPiecesPerPartition) {
        cql::Request request;
        request.statement = remove_;
        BindPartition(file.id, piece, &request.values);
        CAPI_RETURN_NOT_OK(writer.Add(std::move(request)));
      }
    }
    return writer.Finish();
  }

 private:
  static void BindPartition(const BlobId& id, int64_t piece, cql::Values* values) {
    values->BigInt(id.run_id)
        .BigInt(id.owner)
        .BigInt(static_cast<int64_t>(id.file))
        .Int(static_cast<int32_t>(piece / kPiecesPerPartition));
  }
  static void BindPiece(const BlobId& id, int64_t piece, cql::Values* values) {
    BindPartition(id, piece, values);
    values->Int(static_cast<int32_t>(piece));
  }

  cql::Session* const session_;
  const cql::StatementPtr put_;
  const cql::StatementPtr get_;
  const cql::StatementPtr list_;
  const cql::StatementPtr remove_;
};

}  // namespace

Status CreateBlockTable(cql::Session* session, const std::string& keyspace) {
  return session->ExecuteSchema("CREATE TABLE IF NOT EXISTS " + keyspace + "." + kBlockTable +
                                " (run_id bigint, owner bigint, file bigint, part int, piece int,"
                                " data blob,"
                                " PRIMARY KEY ((run_id, owner, file, part), piece))" +
                                kTableOptions);
}

Result<std::unique_ptr<BlobStore>> OpenCassandraBlobStore(cql::Session* session,
                                                          const std::string& keyspace) {
  const std::string table = keyspace + "." + kBlockTable;
  const std::string partition = " WHERE run_id = ? AND owner = ? AND file = ? AND part = ?";
  CAPI_ASSIGN_OR_RETURN(
      cql::StatementPtr put,
      session->Prepare("INSERT INTO " + table +
                           " (run_id, owner, file, part, piece, data) VALUES (?, ?, ?, ?, ?, ?)",
                       /*idempotent=*/true));
  CAPI_ASSIGN_OR_RETURN(cql::StatementPtr get,
                        session->Prepare("SELECT data FROM " + table + partition + " AND piece = ?",
                                         /*idempotent=*/true));
  CAPI_ASSIGN_OR_RETURN(cql::StatementPtr list,
                        session->Prepare("SELECT DISTINCT run_id, owner, file, part FROM " + table,
                                         /*idempotent=*/true));
  CAPI_ASSIGN_OR_RETURN(cql::StatementPtr remove,
                        session->Prepare("DELETE FROM " + table + partition, /*idempotent=*/true));
  return std::make_unique<CassandraBlobStore>(session, std::move(put), std::move(get),
                                              std::move(list), std::move(remove));
}

}  // namespace capi::store
