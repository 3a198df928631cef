#pragma once

// What the store's tests share: a store in a fresh directory, columns from literals, reading
// everything back.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/base/env.h"
#include "capi/base/test_directory.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/exec/context.h"
#include "capi/exec/memory.h"
#include "capi/exec/task_pool.h"
#include "capi/store/blob_store.h"
#include "capi/store/cassandra_keyspace_testing_internal.h"
#include "capi/store/directory/directory_blob_store.h"
#include "capi/store/table_store.h"

#define ASSERT_OK(expr)                                          \
  do {                                                           \
    const ::capi::Status assert_status = (expr);                 \
    ASSERT_TRUE(assert_status.ok()) << assert_status.ToString(); \
  } while (false)

namespace capi::store {

using Column = std::shared_ptr<arrow::Array>;

/// Value of a Result that must be there.
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    std::abort();
  }
  return std::move(result).ValueUnsafe();
}

inline Column FixedColumn(const std::shared_ptr<arrow::DataType>& type, const void* values,
                          int64_t n, int width) {
  std::shared_ptr<arrow::Buffer> buffer = Must(arrow::AllocateBuffer(n * width));
  if (n > 0) std::memcpy(buffer->mutable_data(), values, static_cast<size_t>(n * width));
  return arrow::MakeArray(arrow::ArrayData::Make(type, n, {nullptr, std::move(buffer)}, 0));
}
inline Column Ints(const std::vector<int64_t>& values) {
  return FixedColumn(arrow::int64(), values.data(), static_cast<int64_t>(values.size()), 8);
}
inline Column Times(const std::vector<int64_t>& millis) {
  return FixedColumn(data::ArrowTypeOf(data::FieldType::kDatetime), millis.data(),
                     static_cast<int64_t>(millis.size()), 8);
}
inline Column Decimals(const std::vector<int64_t>& hundredths) {
  return FixedColumn(data::ArrowTypeOf(data::FieldType::kDecimal2), hundredths.data(),
                     static_cast<int64_t>(hundredths.size()), 8);
}
inline Column WideDecimals(const std::vector<data::int128>& hundredths) {
  return FixedColumn(data::WideDecimalArrowType(), hundredths.data(),
                     static_cast<int64_t>(hundredths.size()), 16);
}
inline Column Floats(const std::vector<double>& values) {
  return FixedColumn(arrow::float64(), values.data(), static_cast<int64_t>(values.size()), 8);
}
inline Column Strings(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  for (const std::string& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return Must(builder.Finish());
}
inline Column Bools(const std::vector<bool>& values) {
  arrow::BooleanBuilder builder;
  for (const bool value : values) EXPECT_TRUE(builder.Append(value).ok());
  return Must(builder.Finish());
}
inline Column Coded(const std::vector<int32_t>& codes, const std::vector<std::string>& entries) {
  Column column = FixedColumn(arrow::int32(), codes.data(), static_cast<int64_t>(codes.size()), 4);
  auto data = arrow::ArrayData::Make(data::DictionaryArrowType(), column->length(),
                                     column->data()->buffers, 0);
  data->dictionary = Strings(entries)->data();
  return arrow::MakeArray(data);
}

/// The cells of a column as text.
inline std::vector<std::string> Cells(const Column& column) {
  std::vector<std::string> cells;
  for (int64_t row = 0; row < column->length(); ++row) {
    cells.push_back(data::ValueToText(Must(data::CellValue(*column, row))));
  }
  return cells;
}

/// Where the files of a test's store are.
enum class Backend : uint8_t { kLocal, kDirectory, kCassandra };

inline std::string BackendName(const testing::TestParamInfo<Backend>& info) {
  switch (info.param) {
    case Backend::kLocal:
      return "Local";
    case Backend::kDirectory:
      return "SharedDirectory";
    case Backend::kCassandra:
      return "SharedCassandra";
  }
  return "";
}

/// Every contract test runs on all of them.
inline const auto kAllBackends =
    testing::Values(Backend::kLocal, Backend::kDirectory, Backend::kCassandra);

/// Small, so that files have many pieces.
constexpr int32_t kTestPieceBytes = 16384;

/// A store on a back end; see StoreTest and LocalStoreTest.
class AnyStoreTest : public testing::Test {
 protected:
  virtual Backend backend() const = 0;
  bool local() const { return backend() == Backend::kLocal; }

  void SetUp() override {
    if (backend() == Backend::kCassandra && !CassandraKeyspace::Available()) {
      GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    }
    // A piece is a file that is synced: too slow for thousands of them on a disk.
    const std::string parent = std::filesystem::temp_directory_path();
    directory_ = (backend() == Backend::kDirectory ? MemoryDirectoryOr(parent) : parent) +
                 "/capi_store_" + std::to_string(Env::Default()->Random());
    pool_ = Must(exec::TaskPool::Make(2));
    Limit(0);
    Reopen();
  }
  void TearDown() override {
    store_.reset();
    other_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Limit(int64_t bytes) {
    budgets_.push_back(std::make_unique<exec::MemoryBudget>(bytes));
    context_.env = env_;
    context_.pool = pool_.get();
    context_.memory = budgets_.back().get();
    context_.spill_directory = directory_ + "/spill";
    context_.progress = &progress_;
    std::filesystem::create_directories(context_.spill_directory);
  }
  /// What another process would find.
  void Reopen() {
    store_.reset();
    other_.reset();
    store_ = local() ? Must(TableStore::Open(env_, directory_)) : OpenShared(NewOwner());
    store_->SetResolver(resolver());
  }
  /// A store of another process that has read nothing yet, where there can be one: tables are
  /// frozen and read by it.
  TableStore* other() {
    if (local()) return store_.get();
    if (other_ == nullptr) {
      other_ = OpenShared(NewOwner());
      other_->SetResolver(resolver());
    }
    return other_.get();
  }
  int64_t NewOwner() { return *owners_.insert(static_cast<int64_t>(env_->Random() | 1)).first; }
  std::unique_ptr<BlobStore> OpenBlobs() {
    return backend() == Backend::kDirectory
               ? Must(OpenDirectoryBlobStore(env_, directory_ + "/blobs"))
               : CassandraKeyspace::OpenBlobs();
  }
  SharedStoreOptions OptionsFor(int64_t owner) {
    SharedStoreOptions options;
    options.env = env_;
    options.cache_directory = directory_ + "/cache" + std::to_string(owner);
    options.owner = owner;
    options.piece_bytes = kTestPieceBytes;
    return options;
  }
  std::unique_ptr<TableStore> OpenShared(int64_t owner) {
    return Must(TableStore::OpenShared(OptionsFor(owner), OpenBlobs()));
  }
  /// Files of this test, whoever wrote them.
  size_t NumFiles() {
    if (local()) {
      return static_cast<size_t>(
          std::distance(std::filesystem::directory_iterator(directory_ + "/segments"), {}));
    }
    size_t count = 0;
    for (const BlobFile& file : Must(OpenBlobs()->List())) count += owners_.count(file.id.owner);
    return count;
  }
  TableStore::Resolver resolver() {
    return [this](const TableId& id) -> Result<std::shared_ptr<const Table>> {
      const auto found = tables_.find(id);
      if (found == tables_.end()) return BugError("no such table: " + id.name);
      return found->second;
    };
  }

  using Batches = std::vector<TableWriter::Batch>;
  static TableWriter::Batch MakeBatch(std::vector<Column> columns,
                                      std::vector<std::vector<data::RowId>> references = {}) {
    TableWriter::Batch batch;
    for (const Column& column : columns) {
      if (column != nullptr) batch.num_rows = column->length();
    }
    if (!references.empty()) batch.num_rows = static_cast<int64_t>(references[0].size());
    batch.columns = std::move(columns);
    batch.reference_rows = std::move(references);
    return batch;
  }
  Result<AttemptManifest> Write(const TableSchema& schema, int64_t batch_index,
                                const Batches& batches,
                                std::vector<TableWriter::ReferenceGroup> groups = {}) {
    CAPI_ASSIGN_OR_RETURN(auto writer, store_->NewWriter(context_, {1, schema.name}, schema,
                                                         batch_index, std::move(groups)));
    for (const TableWriter::Batch& batch : batches) CAPI_RETURN_NOT_OK(writer->Put(batch));
    return writer->Finish();
  }
  Result<FreezeResult> Freeze(const TableSchema& schema,
                              const std::vector<AttemptManifest>& attempts) {
    std::vector<const AttemptManifest*> pointers;
    std::vector<std::string> texts;
    for (const AttemptManifest& attempt : attempts) {
      pointers.push_back(&attempt);
      texts.push_back(attempt.text);
    }
    CAPI_RETURN_NOT_OK(store_->MakeDurable(pointers));
    return other()->FreezeTable(context_, {1, schema.name}, schema, texts);
  }
  /// Writes, freezes and opens a table; attempts[b] are the batches put by batch b.
  Result<std::shared_ptr<const Table>> Build(const TableSchema& schema,
                                             const std::vector<Batches>& attempts,
                                             std::vector<TableWriter::ReferenceGroup> groups = {}) {
    std::vector<AttemptManifest> manifests;
    for (size_t b = 0; b < attempts.size(); ++b) {
      CAPI_ASSIGN_OR_RETURN(AttemptManifest manifest,
                            Write(schema, static_cast<int64_t>(b), attempts[b], groups));
      manifests.push_back(std::move(manifest));
    }
    CAPI_ASSIGN_OR_RETURN(frozen_, Freeze(schema, manifests));
    CAPI_ASSIGN_OR_RETURN(auto table, other()->OpenTable(frozen_.manifest, resolver()));
    tables_[table->id()] = table;
    return table;
  }

  /// All live rows of a field, read morsel by morsel in `parts` partitions.
  static std::vector<std::string> ReadField(const Table& table, int field, int64_t parts = 1,
                                            std::vector<data::RowId>* row_ids = nullptr) {
    std::vector<std::string> cells;
    int64_t position = 0;
    for (int64_t p = 0; p < parts; ++p) {
      const auto [begin, end] = PartitionRange(table.num_rows(), p, parts);
      for (const Table::Morsel& morsel : table.Morsels(begin, end)) {
        EXPECT_EQ(morsel.first_position, position);
        const Table::ScanBatch batch = Must(table.Read(morsel, {field}));
        EXPECT_EQ(batch.num_rows, morsel.num_rows);
        EXPECT_EQ(batch.columns[0]->length(), morsel.num_rows);
        for (std::string& cell : Cells(batch.columns[0])) cells.push_back(std::move(cell));
        if (row_ids != nullptr) {
          row_ids->insert(row_ids->end(), batch.row_ids.begin(), batch.row_ids.end());
        }
        position += morsel.num_rows;
      }
    }
    EXPECT_EQ(position, table.num_rows());
    return cells;
  }

  Env* env_ = Env::Default();
  std::string directory_;
  std::unique_ptr<exec::TaskPool> pool_;
  std::vector<std::unique_ptr<exec::MemoryBudget>> budgets_;
  exec::Progress progress_;
  exec::Context context_;
  std::unique_ptr<TableStore> store_;
  std::unique_ptr<TableStore> other_;
  std::map<TableId, std::shared_ptr<const Table>> tables_;
  FreezeResult frozen_;
  std::set<int64_t> owners_;  // of shared stores
};

class StoreTest : public AnyStoreTest, public testing::WithParamInterface<Backend> {
 protected:
  Backend backend() const override { return GetParam(); }
};

class LocalStoreTest : public AnyStoreTest {
 protected:
  Backend backend() const override { return Backend::kLocal; }
};

}  // namespace capi::store
