// Reading tables that another process wrote: what is fetched, kept and thrown away, and what
// happens when something fails.

#include <fstream>
#include <random>
#include <thread>

#include "capi/store/cache_counters.h"
#include "capi/store/segment/manifest_internal.h"
#include "capi/store/shared/blob_store_testing_internal.h"
#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;
using data::RowId;

namespace fs = std::filesystem;

constexpr int64_t kChunkRows = 20000;

TableSchema Schema() {
  return {"t",
          {{"n", FieldType::kInt},
           {"text", FieldType::kString},
           {"word", FieldType::kString},
           {"d", FieldType::kDecimal2}},
          {{"by_text", true, {{"text", FieldType::kString}}}},
          ""};
}

std::vector<Column> MixedRows(int64_t first, int64_t n) {
  std::mt19937_64 random(static_cast<uint64_t>(first));
  std::vector<int64_t> ints;
  std::vector<std::string> texts;
  std::vector<std::string> words;
  std::vector<int64_t> decimals;
  for (int64_t i = first; i < first + n; ++i) {
    ints.push_back(static_cast<int64_t>(random()));
    texts.push_back("text " + std::to_string(i));
    words.push_back("word " + std::to_string(i % 7));
    decimals.push_back(i * 5 % 100000);
  }
  return {Ints(ints), Strings(texts), Strings(words), Decimals(decimals)};
}

/// The same with texts of 500 bytes that do not compress: large files of few rows.
std::vector<Column> WideRows(int64_t first, int64_t n) {
  std::mt19937_64 random(static_cast<uint64_t>(first));
  std::vector<std::string> texts;
  for (int64_t i = 0; i < n; ++i) {
    std::string text;
    while (text.size() < 500) {
      const uint64_t bits = random();
      text.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
    }
    texts.push_back(std::move(text));
  }
  std::vector<Column> columns = MixedRows(first, n);
  columns[1] = Strings(texts);
  return columns;
}

/// Everything that can be read of a table.
Result<std::vector<std::string>> ReadAll(TableStore* store,
                                         const std::shared_ptr<const Table>& table) {
  std::vector<std::string> cells;
  for (const Table::Morsel& morsel : table->Morsels(0, table->num_rows())) {
    CAPI_ASSIGN_OR_RETURN(const Table::ScanBatch batch, table->Read(morsel, {0, 1, 2, 3}));
    for (int field = 0; field < 4; ++field) {
      CAPI_ASSIGN_OR_RETURN(const Column gathered,
                            table->Gather(field, batch.row_ids.data(), batch.num_rows, nullptr));
      for (std::string& cell : Cells(batch.columns[static_cast<size_t>(field)])) {
        cells.push_back(std::move(cell));
      }
      for (std::string& cell : Cells(gathered)) cells.push_back(std::move(cell));
    }
    CAPI_ASSIGN_OR_RETURN(const auto index, store->OpenIndex(table, "by_text"));
    std::vector<int32_t> left;
    std::vector<RowId> right;
    CAPI_RETURN_NOT_OK(index->Find({batch.columns[1]}, batch.num_rows, &left, &right));
    for (const RowId row : right) cells.push_back(std::to_string(row));
    CAPI_ASSIGN_OR_RETURN(const int64_t bound, index->LowerBound(uint64_t{1} << 62));
    cells.push_back(std::to_string(bound));
  }
  return cells;
}

class SharedStoreTest : public StoreTest {
 protected:
  std::unique_ptr<TableStore> OpenObserved(int64_t limit = int64_t{1} << 40) {
    SharedStoreOptions options = OptionsFor(NewOwner());
    options.cache_limit_bytes = limit;
    options.max_bytes_in_flight = int64_t{1} << 20;
    options.counters = counters_;
    return Must(
        TableStore::OpenShared(options, std::make_unique<ObservedBlobStore>(OpenBlobs(), seen_)));
  }
  /// Attempts of two chunks each, written by store_; returns the table's manifest.
  std::string WriteTable(int64_t attempts) {
    manifests_.clear();
    for (int64_t b = 0; b < attempts; ++b) {
      const int64_t first = b * 2 * kChunkRows;
      manifests_.push_back(Must(Write(Schema(), b,
                                      {MakeBatch(MixedRows(first, kChunkRows)),
                                       MakeBatch(MixedRows(first + kChunkRows, kChunkRows))})));
    }
    std::vector<const AttemptManifest*> pointers;
    std::vector<std::string> texts;
    for (const AttemptManifest& attempt : manifests_) {
      pointers.push_back(&attempt);
      texts.push_back(attempt.text);
    }
    EXPECT_TRUE(store_->MakeDurable(pointers).ok());
    return Must(store_->FreezeTable(context_, {1, "t"}, Schema(), texts)).manifest;
  }
  static int64_t PiecesOf(const std::string& manifest) {
    const Manifest parsed = Must(Manifest::Parse(manifest));
    return (parsed.offset + parsed.length + kTestPieceBytes - 1) / kTestPieceBytes;
  }
  static int64_t BytesIn(const std::string& directory) {
    int64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(directory)) {
      bytes += Must(Env::Default()->Stat(entry.path())).allocated_bytes;
    }
    return bytes;
  }
  std::string CacheDirectoryOf(const SharedStoreOptions& options) {
    return options.cache_directory;
  }

  std::shared_ptr<Observations> seen_ = std::make_shared<Observations>();
  std::shared_ptr<CacheCounters> counters_ = std::make_shared<CacheCounters>();
  std::vector<AttemptManifest> manifests_;
};

TEST_P(SharedStoreTest, AnotherProcessReadsTheSame) {
  const std::string manifest = WriteTable(3);
  const auto written = Must(store_->OpenTable(manifest, nullptr));
  const std::vector<std::string> expected = Must(ReadAll(store_.get(), written));
  const auto reader = OpenObserved();
  const auto read = Must(reader->OpenTable(manifest, nullptr));
  EXPECT_EQ(Must(ReadAll(reader.get(), read)), expected);
  // And once more without asking anybody.
  seen_->Clear();
  EXPECT_EQ(Must(ReadAll(reader.get(), Must(reader->OpenTable(manifest, nullptr)))), expected);
  EXPECT_EQ(seen_->gets, 0);
}

TEST_P(SharedStoreTest, OwnTablesAreNotFetched) {
  store_ = OpenObserved();
  const std::string manifest = WriteTable(2);
  EXPECT_GT(seen_->puts, 2 * 20);
  EXPECT_LE(seen_->most_bytes_under_way, int64_t{1} << 20);
  ASSERT_OK(ReadAll(store_.get(), Must(store_->OpenTable(manifest, nullptr))).status());
  EXPECT_EQ(seen_->gets, 0);
  EXPECT_GT(counters_->hits, 0);
  EXPECT_EQ(counters_->misses, 0);
  EXPECT_GT(counters_->bytes, 0);
  store_.reset();
  EXPECT_EQ(counters_->bytes, 0);
}

TEST_P(SharedStoreTest, SmallAttemptsCostOnePiece) {
  store_ = OpenObserved();
  const AttemptManifest attempt = Must(Write(Schema(), 0, {MakeBatch(MixedRows(0, 10))}));
  ASSERT_OK(store_->MakeDurable({&attempt}));
  EXPECT_EQ(seen_->puts, 1);
  const AttemptManifest nothing = Must(Write(Schema(), 1, {}));
  ASSERT_OK(store_->MakeDurable({&nothing}));
  EXPECT_EQ(seen_->puts, 1);
  ASSERT_OK(store_->MakeDurable({&attempt}));  // again
  const FreezeResult frozen =
      Must(store_->FreezeTable(context_, {1, "t"}, Schema(), {attempt.text, nothing.text}));
  EXPECT_EQ(seen_->puts, 2);
  const auto reader = OpenObserved();
  ASSERT_OK(ReadAll(reader.get(), Must(reader->OpenTable(frozen.manifest, nullptr))).status());
  EXPECT_EQ(seen_->gets, 2);
  EXPECT_GT(counters_->misses, 0);
  EXPECT_LE(counters_->misses, 2);
}

TEST_P(SharedStoreTest, OnlyWhatIsReadIsFetched) {
  const std::string manifest = WriteTable(2);
  const auto reader = OpenObserved();
  const auto table = Must(reader->OpenTable(manifest, nullptr));
  // The directory at the end of the table file.
  EXPECT_LE(seen_->gets, 2);
  EXPECT_EQ(seen_->PiecesOf(Must(Manifest::Parse(manifests_[0].text)).file), 0);
  const int64_t of_attempt = PiecesOf(manifests_[0].text);
  ASSERT_GT(of_attempt, 40);
  // One column of one chunk: 8 bytes a row.
  const auto first = table->Morsels(0, 100);
  ASSERT_OK(table->Read(first[0], {0}).status());
  const int64_t of_column = kChunkRows * 8 / kTestPieceBytes;
  EXPECT_LE(seen_->PiecesOf(Must(Manifest::Parse(manifests_[0].text)).file), of_column + 2);
  EXPECT_EQ(seen_->PiecesOf(Must(Manifest::Parse(manifests_[1].text)).file), 0);
  // A whole scan of that column leaves the others where they are.
  for (const Table::Morsel& morsel : table->Morsels(0, table->num_rows())) {
    ASSERT_OK(table->Read(morsel, {0}).status());
  }
  EXPECT_LE(seen_->PiecesOf(Must(Manifest::Parse(manifests_[0].text)).file), 2 * of_column + 4);
  EXPECT_LE(seen_->PiecesOf(Must(Manifest::Parse(manifests_[1].text)).file), 2 * of_column + 4);
  for (const auto& [piece, gets] : seen_->pieces()) EXPECT_EQ(gets, 1);
}

TEST_P(SharedStoreTest, ReadAheadEndsWithThePartition) {
  const std::string manifest = WriteTable(4);
  const auto reader = OpenObserved();
  const auto table = Must(reader->OpenTable(manifest, nullptr));
  const auto [begin, end] = PartitionRange(table->num_rows(), 1, 4);
  for (const Table::Morsel& morsel : table->Morsels(begin, end)) {
    ASSERT_OK(table->Read(morsel, {0, 1, 2, 3}).status());
  }
  EXPECT_EQ(seen_->PiecesOf(Must(Manifest::Parse(manifests_[0].text)).file), 0);
  EXPECT_GT(seen_->PiecesOf(Must(Manifest::Parse(manifests_[1].text)).file), 20);
  EXPECT_EQ(seen_->PiecesOf(Must(Manifest::Parse(manifests_[2].text)).file), 0);
}

TEST_P(SharedStoreTest, ConcurrentReadersFetchEachPieceOnce) {
  const std::string manifest = WriteTable(3);
  const std::vector<std::string> expected =
      Must(ReadAll(store_.get(), Must(store_->OpenTable(manifest, nullptr))));
  const auto reader = OpenObserved();
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      const auto table = Must(reader->OpenTable(manifest, nullptr));
      EXPECT_TRUE(Must(ReadAll(reader.get(), table)) == expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(seen_->gets, 100);
  for (const auto& [piece, gets] : seen_->pieces()) {
    EXPECT_EQ(gets, 1) << DescribeBlob(piece.first) << " " << piece.second;
  }
}

TEST_P(SharedStoreTest, TablesOutliveTheirStore) {
  const std::string manifest = WriteTable(2);
  const std::vector<std::string> expected =
      Must(ReadAll(store_.get(), Must(store_->OpenTable(manifest, nullptr))));
  auto reader = OpenObserved();
  const auto table = Must(reader->OpenTable(manifest, nullptr));
  // What is read ahead is under way when the store is closed.
  ASSERT_OK(table->Read(table->Morsels(0, table->num_rows())[0], {0, 1}).status());
  reader.reset();
  EXPECT_EQ(Must(ReadAll(store_.get(), table)), expected);
}

TEST_P(SharedStoreTest, UnusedFilesAreEvictedAndFetchedAgain) {
  // Each is larger than what shares a space of the cache.
  std::vector<std::string> tables;
  for (int t = 0; t < 3; ++t) {
    std::vector<TableWriter::Batch> batches;
    for (int64_t c = 0; c < 4; ++c) batches.push_back(MakeBatch(WideRows(c * 5000, 5000)));
    const AttemptManifest attempt = Must(Write(Schema(), 0, batches));
    ASSERT_GT(attempt.bytes, int64_t{9} << 20);
    ASSERT_OK(store_->MakeDurable({&attempt}));
    tables.push_back(
        Must(store_->FreezeTable(context_, {1, "t"}, Schema(), {attempt.text})).manifest);
  }
  SharedStoreOptions options = OptionsFor(NewOwner());
  constexpr int64_t kLimit = int64_t{12} << 20;
  options.cache_limit_bytes = kLimit;
  const auto reader = Must(
      TableStore::OpenShared(options, std::make_unique<ObservedBlobStore>(OpenBlobs(), seen_)));
  auto first = Must(reader->OpenTable(tables[0], nullptr));
  const std::vector<std::string> expected = Must(ReadAll(reader.get(), first));
  // In use: kept although the limit is passed.
  auto second = Must(reader->OpenTable(tables[1], nullptr));
  EXPECT_EQ(Must(ReadAll(reader.get(), second)), expected);
  EXPECT_GT(BytesIn(options.cache_directory), kLimit + (kLimit / 3));
  seen_->Clear();
  EXPECT_EQ(Must(ReadAll(reader.get(), first)), expected);
  EXPECT_EQ(seen_->gets, 0);
  first.reset();
  second.reset();
  EXPECT_EQ(Must(ReadAll(reader.get(), Must(reader->OpenTable(tables[2], nullptr)))), expected);
  // The spaces of the first two went; small files of all three are left.
  EXPECT_LT(BytesIn(options.cache_directory), kLimit + (int64_t{4} << 20));
  seen_->Clear();
  EXPECT_EQ(Must(ReadAll(reader.get(), Must(reader->OpenTable(tables[0], nullptr)))), expected);
  EXPECT_GT(seen_->gets, 100);
}

TEST_P(SharedStoreTest, AnArrayKeepsItsBytes) {
  const std::string manifest = WriteTable(1);
  auto reader = OpenObserved(/*limit=*/0);
  auto table = Must(reader->OpenTable(manifest, nullptr));
  const Table::ScanBatch batch = Must(table->Read(table->Morsels(0, 100)[0], {0}));
  const std::vector<std::string> cells = Cells(batch.columns[0]);
  table.reset();
  const auto again = Must(reader->OpenTable(manifest, nullptr));
  ASSERT_OK(ReadAll(reader.get(), again).status());
  reader.reset();
  EXPECT_EQ(Cells(batch.columns[0]), cells);
}

TEST_P(SharedStoreTest, FailuresWhileReadingAreForgotten) {
  const std::string manifest = WriteTable(2);
  const std::vector<std::string> expected =
      Must(ReadAll(store_.get(), Must(store_->OpenTable(manifest, nullptr))));
  int64_t failures = 0;
  for (int64_t k = 0;; k = k < 8 ? k + 1 : k * 5 / 4) {
    seen_->Clear();
    const auto reader = OpenObserved();
    seen_->gets_before_failure = k;
    std::shared_ptr<const Table> table;
    auto opened = reader->OpenTable(manifest, nullptr);
    Status status = opened.status();
    if (opened.ok()) {
      table = *opened;
      status = ReadAll(reader.get(), table).status();
    }
    const bool reached = seen_->gets_before_failure == 0;
    seen_->gets_before_failure = -1;
    if (!status.ok()) {
      ++failures;
      ASSERT_EQ(KindOf(status), ErrorKind::kRetriable) << status.ToString();
    }
    // The same table, or the same call, works as soon as the cluster is back.
    if (table == nullptr) table = Must(reader->OpenTable(manifest, nullptr));
    ASSERT_TRUE(Must(ReadAll(reader.get(), table)) == expected) << k;
    if (!reached) break;
  }
  EXPECT_GT(failures, 10);
}

TEST_P(SharedStoreTest, FailuresWhileWritingAreToldAndHarmless) {
  store_ = OpenObserved();
  const Batches large{MakeBatch(MixedRows(0, 60000)), MakeBatch(MixedRows(60000, 60000)),
                      MakeBatch(MixedRows(120000, 60000))};
  for (const int64_t k : {0, 1, 30, 200}) {
    seen_->puts_before_failure = k;
    const Result<AttemptManifest> attempt = Write(Schema(), 0, large);
    if (attempt.ok()) {
      for (int twice = 0; twice < 2; ++twice) {
        EXPECT_EQ(KindOf(store_->MakeDurable({&*attempt})), ErrorKind::kRetriable) << k;
      }
    } else {
      EXPECT_EQ(KindOf(attempt.status()), ErrorKind::kRetriable) << attempt.status().ToString();
    }
    seen_->puts_before_failure = -1;
    if (attempt.ok()) ASSERT_OK(store_->Discard(attempt->text));
  }
  const AttemptManifest attempt = Must(Write(Schema(), 0, large));
  ASSERT_OK(store_->MakeDurable({&attempt}));
  seen_->puts_before_failure = 0;
  EXPECT_EQ(KindOf(store_->FreezeTable(context_, {1, "t"}, Schema(), {attempt.text}).status()),
            ErrorKind::kRetriable);
  seen_->puts_before_failure = -1;
  const FreezeResult frozen =
      Must(store_->FreezeTable(context_, {1, "t"}, Schema(), {attempt.text}));
  ASSERT_OK(ReadAll(store_.get(), Must(store_->OpenTable(frozen.manifest, nullptr))).status());
  // What the failed calls left is removed as soon as the cluster is back.
  ASSERT_OK(store_
                ->CollectSharedGarbage([&]() -> Result<TableStore::Live> {
                  return TableStore::Live{owners_, {frozen.manifest}};
                })
                .status());
  EXPECT_EQ(NumFiles(), 2U);
}

TEST_P(SharedStoreTest, ManifestsOfOtherKindsOfStoresAreRefused) {
  const std::string manifest = WriteTable(1);
  const auto local = Must(TableStore::Open(env_, directory_ + "/local"));
  for (const Status& status :
       {local->OpenTable(manifest, nullptr).status(),
        local->FreezeTable(context_, {1, "t"}, Schema(), {manifests_[0].text}).status()}) {
    EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
    EXPECT_NE(status.message().find("manifest is that of a shared store"), std::string::npos)
        << status.ToString();
  }
  EXPECT_EQ(KindOf(local->MakeDurable({&manifests_[0]})), ErrorKind::kBug);
  EXPECT_EQ(KindOf(local->CollectSharedGarbage(nullptr).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(store_->CollectGarbage({manifest}).status()), ErrorKind::kBug);
  std::swap(store_, other_);
  store_ = Must(TableStore::Open(env_, directory_ + "/local"));
  const AttemptManifest attempt = Must(Write(Schema(), 0, {MakeBatch(MixedRows(0, 10))}));
  EXPECT_EQ(KindOf(other_->FreezeTable(context_, {1, "t"}, Schema(), {attempt.text}).status()),
            ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(other_->MakeDurable({&attempt})), ErrorKind::kBug);
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"owner\":\"", "\"owner\":\"x"},
                                                        {"\"piece\":16384", "\"piece\":16385"},
                                                        {"\"piece\":16384", "\"piece\":0"},
                                                        {"\"piece\":16384", "\"peace\":1"}}) {
    std::string bad = manifest;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_EQ(KindOf(other_->OpenTable(bad, nullptr).status()), ErrorKind::kEnvironment) << bad;
  }
}

TEST_P(SharedStoreTest, StoresNeedAnOwnerAndASensiblePieceSize) {
  SharedStoreOptions options = OptionsFor(0);
  EXPECT_EQ(KindOf(TableStore::OpenShared(options, OpenBlobs()).status()), ErrorKind::kBug);
  options = OptionsFor(NewOwner());
  for (const int32_t bytes : {0, -4096, 5000, 2 << 20}) {
    options.piece_bytes = bytes;
    EXPECT_EQ(KindOf(TableStore::OpenShared(options, OpenBlobs()).status()), ErrorKind::kBug);
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, SharedStoreTest,
                         testing::Values(Backend::kDirectory, Backend::kCassandra), BackendName);

/// Damage is done to the files of a directory.
class SharedDamageTest : public SharedStoreTest {
 protected:
  std::vector<std::string> Pieces() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(directory_ + "/blobs")) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    return paths;
  }
  Result<std::vector<std::string>> ReadInNewProcess(const std::string& manifest) {
    const auto reader = OpenShared(NewOwner());
    CAPI_ASSIGN_OR_RETURN(const auto table, reader->OpenTable(manifest, nullptr));
    return ReadAll(reader.get(), table);
  }
  void ExpectDamage(const std::string& manifest, const std::string& path) {
    const auto read = ReadInNewProcess(manifest);
    // Index entries of attempts were merged and are not read any more.
    if (read.ok()) {
      EXPECT_TRUE(*read == expected_);
      return;
    }
    ++errors_;
    const Status status = read.status();
    EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << path;
    EXPECT_NE(status.message().find("table data is damaged"), std::string::npos);
    EXPECT_NE(status.message().find("run 1, file "), std::string::npos);
    EXPECT_NE(status.message().find("piece " + fs::path(path).filename().string()),
              std::string::npos)
        << status.ToString() << " " << path;
  }
  std::vector<std::string> expected_;
  size_t errors_ = 0;
};

TEST_P(SharedDamageTest, DamagedPiecesAreErrorsNeverWrongValues) {
  std::vector<AttemptManifest> attempts;
  for (int64_t b = 0; b < 2; ++b) {
    attempts.push_back(Must(Write(Schema(), b, {MakeBatch(MixedRows(b * 1000, 1000))})));
  }
  const std::string manifest = Must(Freeze(Schema(), attempts)).manifest;
  expected_ = Must(ReadInNewProcess(manifest));
  const std::vector<std::string> pieces = Pieces();
  ASSERT_GT(pieces.size(), 6U);
  std::mt19937_64 random(1);
  for (size_t p = 0; p < pieces.size(); ++p) {
    const std::string& path = pieces[p];
    const std::string good = Must(env_->ReadFile(path));
    const auto write = [&](const std::string& bytes) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    };
    for (int flips = 0; flips < 4; ++flips) {
      std::string bad = good;
      bad[random() % bad.size()] ^= 0x10;
      write(bad);
      ExpectDamage(manifest, path);
    }
    for (const size_t cut : {size_t{0}, size_t{10}, good.size() / 2, good.size() - 1}) {
      write(good.substr(0, cut));
      ExpectDamage(manifest, path);
    }
    // Another piece in its place.
    write(Must(env_->ReadFile(pieces[(p + 1) % pieces.size()])));
    ExpectDamage(manifest, path);
    fs::remove(path);
    ExpectDamage(manifest, path);
    write(good);
  }
  EXPECT_GE(errors_, (pieces.size() - 2) * 10);
  EXPECT_EQ(Must(ReadInNewProcess(manifest)), expected_);
}

INSTANTIATE_TEST_SUITE_P(Stores, SharedDamageTest, testing::Values(Backend::kDirectory),
                         BackendName);

}  // namespace
}  // namespace capi::store
