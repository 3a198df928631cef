// What is removed of a shared store, and what never is.

#include <optional>
#include <random>
#include <thread>

#include "capi/base/fault_env.h"
#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;

TableSchema SmallSchema(const std::string& name) {
  return {name,
          {{"n", FieldType::kInt}, {"text", FieldType::kString}},
          {{"by_text", true, {{"text", FieldType::kString}}}},
          ""};
}

std::vector<Column> PaddedRows(int64_t first, int64_t n, size_t padding = 0) {
  std::vector<int64_t> ints;
  std::vector<std::string> texts;
  for (int64_t i = first; i < first + n; ++i) {
    ints.push_back(i * 37 % 1000);
    texts.push_back("text " + std::to_string(i) + std::string(padding, 'x'));
  }
  return {Ints(ints), Strings(texts)};
}

Result<std::vector<std::string>> ReadManifest(TableStore* store, const std::string& manifest) {
  CAPI_ASSIGN_OR_RETURN(const auto table, store->OpenTable(manifest, nullptr));
  std::vector<std::string> cells;
  for (const Table::Morsel& morsel : table->Morsels(0, table->num_rows())) {
    CAPI_ASSIGN_OR_RETURN(const Table::ScanBatch batch, table->Read(morsel, {0, 1}));
    for (const Column& column : batch.columns) {
      for (std::string& cell : Cells(column)) cells.push_back(std::move(cell));
    }
  }
  return cells;
}

class SharedGarbageTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    if (IsSkipped()) return;
    // Tests share a keyspace, and a collection concerns all of it.
    const auto blobs = OpenBlobs();
    ASSERT_OK(blobs->Remove(Must(blobs->List())));
  }
  AttemptManifest Attempt(int64_t batch, int64_t rows = 50) {
    return Must(Write(SmallSchema("t"), batch, {MakeBatch(PaddedRows(batch * 100000, rows))}));
  }
  static TableStore::LiveQuery Live(std::set<int64_t> owners, std::vector<std::string> manifests) {
    return [=]() -> Result<TableStore::Live> { return TableStore::Live{owners, manifests}; };
  }
  int64_t Collect(TableStore* store, std::set<int64_t> owners, std::vector<std::string> manifests) {
    return Must(store->CollectSharedGarbage(Live(std::move(owners), std::move(manifests))))
        .files_removed;
  }
};

TEST_P(SharedGarbageTest, FilesOfDeadOwnersGoUnlessAManifestMentionsThem) {
  const int64_t writer = *owners_.begin();
  const AttemptManifest zero = Attempt(0);
  const AttemptManifest one = Attempt(1);
  const FreezeResult frozen = Must(Freeze(SmallSchema("t"), {zero, one}));
  const AttemptManifest kept = Attempt(2);
  const AttemptManifest lost = Attempt(3, 30000);
  ASSERT_OK(store_->MakeDurable({&kept, &lost}));
  store_.reset();
  other_.reset();
  EXPECT_EQ(NumFiles(), 5U);
  const int64_t collector = NewOwner();
  const auto store = OpenShared(collector);
  // All live.
  EXPECT_EQ(Collect(store.get(), owners_, {}), 0);
  // A table keeps its attempts, and an attempt without a table counts by itself.
  EXPECT_EQ(Collect(store.get(), {collector}, {frozen.manifest, kept.text}), 1);
  EXPECT_EQ(NumFiles(), 4U);
  ASSERT_OK(ReadManifest(store.get(), frozen.manifest).status());
  const FreezeResult again = Must(
      store->FreezeTable(context_, {1, "t"}, SmallSchema("t"), {zero.text, one.text, kept.text}));
  EXPECT_EQ(again.rows, 150);
  // Its own files are nobody else's business, and not mentioned.
  EXPECT_EQ(Collect(store.get(), {collector, writer}, {}), 1);  // of the first freezer
  EXPECT_EQ(Collect(store.get(), {collector}, {again.manifest}), 0);
  EXPECT_EQ(NumFiles(), 4U);
  EXPECT_EQ(Collect(store.get(), {collector}, {}), 3);
  EXPECT_EQ(NumFiles(), 1U);
}

TEST_P(SharedGarbageTest, NothingIsRemovedAfterAnError) {
  const AttemptManifest attempt = Attempt(0);
  const FreezeResult frozen = Must(Freeze(SmallSchema("t"), {attempt}));
  store_.reset();
  other_.reset();
  const int64_t collector = NewOwner();
  const auto store = OpenShared(collector);
  EXPECT_FALSE(store->CollectSharedGarbage(Live({collector}, {"not a manifest"})).ok());
  EXPECT_EQ(KindOf(store
                       ->CollectSharedGarbage([]() -> Result<TableStore::Live> {
                         return RetriableError("state is away");
                       })
                       .status()),
            ErrorKind::kRetriable);
  // Somebody who forgets itself would remove what it writes.
  EXPECT_EQ(KindOf(store->CollectSharedGarbage(Live({}, {})).status()), ErrorKind::kBug);
  std::string unreadable = frozen.manifest;
  const size_t at = unreadable.find("\"checksum\":\"") + 12;
  unreadable[at] = unreadable[at] == '0' ? '1' : '0';
  EXPECT_EQ(KindOf(store->CollectSharedGarbage(Live({collector}, {unreadable})).status()),
            ErrorKind::kEnvironment);
  EXPECT_EQ(NumFiles(), 2U);
}

TEST_P(SharedGarbageTest, DiscardedAttemptsGoAtOnce) {
  const AttemptManifest attempt = Attempt(0, 30000);
  const AttemptManifest nothing = Must(Write(SmallSchema("t"), 1, {}));
  ASSERT_OK(store_->Discard(attempt.text));
  ASSERT_OK(store_->Discard(attempt.text));
  ASSERT_OK(store_->Discard(nothing.text));
  EXPECT_EQ(NumFiles(), 0U);
  const AttemptManifest foreign = Attempt(1);
  ASSERT_OK(store_->MakeDurable({&foreign}));
  EXPECT_EQ(KindOf(other()->Discard(foreign.text)), ErrorKind::kBug);
  EXPECT_EQ(NumFiles(), 1U);
}

TEST_P(SharedGarbageTest, RunsAreRemovedWhole) {
  const AttemptManifest attempt = Attempt(0);
  Must(Freeze(SmallSchema("t"), {attempt}));
  auto writer = Must(store_->NewWriter(context_, {2, "t"}, SmallSchema("t"), 0, {}));
  ASSERT_OK(writer->Put(MakeBatch(PaddedRows(0, 10))));
  const AttemptManifest other_run = Must(writer->Finish());
  ASSERT_OK(store_->MakeDurable({&other_run}));
  EXPECT_EQ(NumFiles(), 3U);
  ASSERT_OK(other()->RemoveRun(1));
  EXPECT_EQ(NumFiles(), 1U);
  ASSERT_OK(other()->RemoveRun(1));
  ASSERT_OK(other()->RemoveRun(2));
  EXPECT_EQ(NumFiles(), 0U);
}

/// Processes write, read and collect at the same time, while dead ones have left garbage.
TEST_P(SharedGarbageTest, CollectorsWritersAndReadersWorkTogether) {
  const FreezeResult frozen = Must(Freeze(SmallSchema("t"), {Attempt(0, 3000), Attempt(1, 3000)}));
  const std::vector<std::string> expected = Must(ReadManifest(store_.get(), frozen.manifest));
  for (int64_t b = 5; b < 25; ++b) {
    const AttemptManifest garbage = Attempt(b);
    ASSERT_OK(store_->MakeDurable({&garbage}));
  }
  store_.reset();
  other_.reset();
  std::set<int64_t> living;
  for (int i = 0; i < 3; ++i) living.insert(NewOwner());
  std::vector<std::unique_ptr<TableStore>> stores;
  for (const int64_t owner : living) stores.push_back(OpenShared(owner));
  std::mutex mutex;
  std::vector<std::string> committed{frozen.manifest};
  const auto live = [&]() -> Result<TableStore::Live> {
    const std::lock_guard<std::mutex> guard(mutex);
    return TableStore::Live{living, committed};
  };
  std::atomic<bool> written{false};
  std::vector<std::thread> threads;
  for (int c = 0; c < 2; ++c) {
    threads.emplace_back([&, c] {
      do {
        const auto collected = stores[static_cast<size_t>(c)]->CollectSharedGarbage(live);
        EXPECT_TRUE(collected.ok()) << collected.status().ToString();
      } while (!written);
    });
  }
  threads.emplace_back([&] {
    do {
      EXPECT_TRUE(Must(ReadManifest(OpenShared(*living.begin() + 2).get(), frozen.manifest)) ==
                  expected);
    } while (!written);
  });
  std::vector<std::string> attempts;
  for (int64_t b = 0; b < 20; ++b) {
    auto writer = Must(stores[2]->NewWriter(context_, {1, "u"}, SmallSchema("u"), b, {}));
    ASSERT_OK(writer->Put(MakeBatch(PaddedRows(b * 1000, 500))));
    const AttemptManifest attempt = Must(writer->Finish());
    ASSERT_OK(stores[2]->MakeDurable({&attempt}));
    attempts.push_back(attempt.text);
    const std::lock_guard<std::mutex> guard(mutex);
    committed.push_back(attempt.text);
  }
  const FreezeResult other_table =
      Must(stores[2]->FreezeTable(context_, {1, "u"}, SmallSchema("u"), attempts));
  written = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(NumFiles(), 3U + 20U + 1U);
  ASSERT_OK(ReadManifest(stores[0].get(), other_table.manifest).status());
}

INSTANTIATE_TEST_SUITE_P(Stores, SharedGarbageTest,
                         testing::Values(Backend::kDirectory, Backend::kCassandra), BackendName);

/// A writer is killed at every changing operation of a small life; what was committed must be
/// readable for others, and everything else must be collectable.
class SharedCrashTest : public StoreTest {
 protected:
  struct Committed {
    std::vector<std::string> attempts;
    std::string table;
  };

  Status LiveOnce(int64_t owner, Committed* committed) {
    CAPI_ASSIGN_OR_RETURN(auto blobs, OpenDirectoryBlobStore(env_, directory_ + "/blobs"));
    SharedStoreOptions options = OptionsFor(owner);
    CAPI_ASSIGN_OR_RETURN(store_, TableStore::OpenShared(options, std::move(blobs)));
    std::vector<AttemptManifest> attempts;
    for (int64_t b = 0; b < 3; ++b) {
      // The middle one is streamed.
      const Batches batches{
          MakeBatch(b == 1 ? PaddedRows(1000000, 1500, 3000) : PaddedRows(b * 1000, 30))};
      CAPI_ASSIGN_OR_RETURN(AttemptManifest attempt, Write(SmallSchema("t"), b, batches));
      attempts.push_back(std::move(attempt));
    }
    // An attempt that is never committed.
    CAPI_RETURN_NOT_OK(Write(SmallSchema("t"), 3, {MakeBatch(PaddedRows(0, 10))}).status());
    CAPI_RETURN_NOT_OK(store_->MakeDurable({&attempts[0], &attempts[1]}));
    committed->attempts = {attempts[0].text, attempts[1].text};
    CAPI_RETURN_NOT_OK(store_->MakeDurable({&attempts[2]}));
    committed->attempts.push_back(attempts[2].text);
    CAPI_ASSIGN_OR_RETURN(
        const FreezeResult frozen,
        store_->FreezeTable(context_, {1, "t"}, SmallSchema("t"), committed->attempts));
    committed->table = frozen.manifest;
    return Status::OK();
  }
};

TEST_P(SharedCrashTest, CommittedTablesSurviveAndTheRestIsCollected) {
  const std::string kept_directory = directory_;
  std::optional<std::vector<std::string>> expected;
  int64_t operations = 1;
  for (int64_t k = 0; k <= operations; k += k < 60 ? 1 : 37) {
    const std::string root = kept_directory + "/crash" + std::to_string(k);
    const auto fault = Must(FaultEnv::Make(Env::Default(), root, static_cast<uint64_t>(k)));
    env_ = fault.get();
    context_.env = env_;
    directory_ = root + "/tables";
    Committed committed;
    fault->StopAfter(k == 0 ? -1 : k - 1);
    const Status status = LiveOnce(NewOwner(), &committed);
    if (k == 0) {
      ASSERT_OK(status);
      operations = fault->operations();
      ASSERT_GT(operations, 100);
    }
    store_.reset();
    ASSERT_OK(fault->Crash(static_cast<uint64_t>(k) * 7919));
    const int64_t survivor = NewOwner();
    const auto store = OpenShared(survivor);
    std::vector<std::string> manifests = committed.attempts;
    if (!committed.table.empty()) manifests.push_back(committed.table);
    ASSERT_OK(store
                  ->CollectSharedGarbage([&]() -> Result<TableStore::Live> {
                    return TableStore::Live{{survivor}, manifests};
                  })
                  .status());
    EXPECT_EQ(NumFiles(), manifests.size());
    if (committed.attempts.size() == 3) {
      const std::string table =
          committed.table.empty()
              ? Must(store->FreezeTable(context_, {1, "t"}, SmallSchema("t"), committed.attempts))
                    .manifest
              : committed.table;
      const std::vector<std::string> cells = Must(ReadManifest(store.get(), table));
      if (!expected.has_value()) expected = cells;
      ASSERT_TRUE(cells == *expected) << k;
    }
    env_ = Env::Default();
    context_.env = env_;
    directory_ = kept_directory;
  }
}

TEST_P(SharedCrashTest, AFullCacheDiskIsReportedAndHarmless) {
  store_.reset();
  const std::string root = directory_ + "/full";
  const auto fault = Must(FaultEnv::Make(Env::Default(), root, 1));
  SharedStoreOptions options = OptionsFor(NewOwner());
  options.env = fault.get();
  options.cache_directory = root + "/cache";
  store_ = Must(TableStore::OpenShared(options, OpenBlobs()));
  fault->FailAppend(1);
  EXPECT_EQ(KindOf(Write(SmallSchema("t"), 0, {MakeBatch(PaddedRows(0, 30))}).status()),
            ErrorKind::kEnvironment);
  fault->FailAppend(0);
  const AttemptManifest attempt = Must(Write(SmallSchema("t"), 0, {MakeBatch(PaddedRows(0, 30))}));
  const FreezeResult frozen = Must(Freeze(SmallSchema("t"), {attempt}));
  fault->FailAppend(1);
  EXPECT_EQ(KindOf(ReadManifest(store_.get(), frozen.manifest).status()), ErrorKind::kEnvironment);
  fault->FailAppend(0);
  ASSERT_OK(ReadManifest(store_.get(), frozen.manifest).status());
  EXPECT_EQ(NumFiles(), 2U);
  store_.reset();
}

INSTANTIATE_TEST_SUITE_P(Stores, SharedCrashTest, testing::Values(Backend::kDirectory),
                         BackendName);

}  // namespace
}  // namespace capi::store
