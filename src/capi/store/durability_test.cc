// Damaged files, crashes, and what is cleaned up afterwards.

#include <fstream>
#include <optional>
#include <random>

#include "capi/base/fault_env.h"
#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;
using data::RowId;

namespace fs = std::filesystem;

TableSchema Schema(const std::string& name) {
  TableSchema schema{name,
                     {{"i", FieldType::kInt},
                      {"f", FieldType::kFloat},
                      {"text", FieldType::kString},
                      {"word", FieldType::kString},
                      {"b", FieldType::kBool},
                      {"d", FieldType::kDecimal2}},
                     {{"by_text", true, {{"text", FieldType::kString}}}},
                     ""};
  return schema;
}

/// Rows that need every encoding, with `padding` more bytes in each text.
std::vector<Column> Rows(int64_t first, int64_t n, size_t padding = 0) {
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::vector<std::string> texts;
  std::vector<std::string> words;
  std::vector<bool> bools;
  std::vector<data::int128> decimals;
  for (int64_t i = first; i < first + n; ++i) {
    ints.push_back(i * 37 % 1000);
    floats.push_back(static_cast<double>(i) / 7);
    texts.push_back("text " + std::to_string(i * i) + std::string(padding, 'x'));
    words.push_back("word " + std::to_string(i % 3));
    bools.push_back(i % 5 == 0);
    decimals.push_back(static_cast<data::int128>(data::kMaxNarrowDecimal) * i * 5);
  }
  return {Ints(ints),     Floats(floats), Strings(texts),
          Strings(words), Bools(bools),   WideDecimals(decimals)};
}

/// Everything that can be read of a table.
Result<std::vector<std::string>> ReadAll(TableStore* store, const std::string& manifest) {
  CAPI_ASSIGN_OR_RETURN(const auto table, store->OpenTable(manifest, nullptr));
  std::vector<std::string> cells;
  std::vector<int> fields;
  for (size_t f = 0; f < table->schema().fields.size(); ++f) fields.push_back(static_cast<int>(f));
  std::vector<Column> keys;
  for (const Table::Morsel& morsel : table->Morsels(0, table->num_rows())) {
    CAPI_ASSIGN_OR_RETURN(const Table::ScanBatch batch, table->Read(morsel, fields));
    for (const int field : fields) {
      CAPI_ASSIGN_OR_RETURN(const Column gathered,
                            table->Gather(field, batch.row_ids.data(), batch.num_rows, nullptr));
      for (std::string& cell : Cells(batch.columns[static_cast<size_t>(field)])) {
        cells.push_back(std::move(cell));
      }
      for (std::string& cell : Cells(gathered)) cells.push_back(std::move(cell));
    }
    keys.push_back(batch.columns[2]);
  }
  CAPI_ASSIGN_OR_RETURN(const auto index, store->OpenIndex(table, "by_text"));
  for (const Column& key : keys) {
    std::vector<int32_t> left;
    std::vector<RowId> right;
    CAPI_RETURN_NOT_OK(index->Find({key}, key->length(), &left, &right));
    for (size_t i = 0; i < left.size(); ++i) {
      cells.push_back(std::to_string(left[i]) + "=" + std::to_string(right[i]));
    }
  }
  return cells;
}

class DamageTest : public LocalStoreTest {
 protected:
  /// Builds a table; `attempts` > 1 makes merged indexes.
  void BuildTable(int attempts) {
    std::vector<Batches> batches;
    for (int a = 0; a < attempts; ++a) batches.push_back({MakeBatch(Rows(a * 1000, 90))});
    Must(Build(Schema("damaged"), batches));
    tables_.clear();
    expected_ = Must(ReadAll(store_.get(), frozen_.manifest));
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(directory_ + "/segments")) {
      files.push_back(entry.path());
    }
    return files;
  }
  void Flip(const std::string& path, int64_t position) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(position);
    const char byte = static_cast<char>(file.get());
    file.seekp(position);
    file.put(static_cast<char>(byte ^ 0x10));
  }
  std::vector<std::string> expected_;
};

TEST_F(DamageTest, AFlippedByteIsAnErrorNeverAWrongValue) {
  for (const int attempts : {1, 3}) {
    BuildTable(attempts);
    int errors = 0;
    for (const std::string& path : Files()) {
      const auto size = static_cast<int64_t>(fs::file_size(path));
      // Blocks begin at multiples of 64: each is hit at its first byte, and once more inside.
      for (int64_t line = 0; line < size; line += 64) {
        for (const int64_t position : {line, line + 37}) {
          if (position >= size) continue;
          Flip(path, position);
          const auto read = ReadAll(store_.get(), frozen_.manifest);
          if (read.ok()) {
            ASSERT_EQ(*read, expected_) << path << " " << position;
          } else {
            ++errors;
            ASSERT_EQ(KindOf(read.status()), ErrorKind::kEnvironment) << read.status().ToString();
            ASSERT_NE(read.status().message().find(path), std::string::npos);
            ASSERT_NE(read.status().message().find("offset "), std::string::npos);
          }
          Flip(path, position);
        }
      }
    }
    EXPECT_GT(errors, 100);
    EXPECT_EQ(Must(ReadAll(store_.get(), frozen_.manifest)), expected_);
    for (const std::string& path : Files()) fs::remove(path);
    Reopen();
  }
}

TEST_F(DamageTest, TruncatedAndMissingFilesAreErrors) {
  BuildTable(2);
  for (const std::string& path : Files()) {
    const auto size = fs::file_size(path);
    fs::copy_file(path, path + ".kept");
    for (const uintmax_t cut : {uintmax_t{0}, uintmax_t{10}, uintmax_t{64}, size / 2, size - 1}) {
      fs::resize_file(path, cut);
      const Status status = ReadAll(store_.get(), frozen_.manifest).status();
      EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << cut;
      EXPECT_NE(status.message().find("too short"), std::string::npos) << status.ToString();
      fs::copy_file(path + ".kept", path, fs::copy_options::overwrite_existing);
    }
    fs::remove(path);
    const Status status = ReadAll(store_.get(), frozen_.manifest).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
    EXPECT_NE(status.message().find("missing"), std::string::npos) << status.ToString();
    fs::rename(path + ".kept", path);
  }
  EXPECT_EQ(Must(ReadAll(store_.get(), frozen_.manifest)), expected_);
}

TEST_F(DamageTest, DamagedManifestsAreErrors) {
  BuildTable(1);
  const std::string& good = frozen_.manifest;
  for (size_t cut = 0; cut < good.size(); cut += 9) {
    EXPECT_EQ(KindOf(store_->OpenTable(good.substr(0, cut), nullptr).status()),
              ErrorKind::kEnvironment);
  }
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"version\":1", "\"version\":2"},
           {"\"kind\":\"table\"", "\"kind\":\"chair\""},
           {"\"rows\":90", "\"rows\":91"},
           {"\"directory\":", "\"directory\":-64,\"x\":"},
           {"\"file\":", "\"film\":"}}) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_EQ(KindOf(store_->OpenTable(bad, nullptr).status()), ErrorKind::kEnvironment) << bad;
  }
}

class GarbageTest : public LocalStoreTest {
 protected:
  AttemptManifest Attempt(int64_t batch, int64_t rows) {
    return Must(Write(Schema("t"), batch, {MakeBatch(Rows(batch * 100000, rows))}));
  }
};

TEST_F(GarbageTest, KeepsWhatManifestsMention) {
  const AttemptManifest zero = Attempt(0, 50);
  const AttemptManifest one = Attempt(1, 60);
  const FreezeResult frozen = Must(Freeze(Schema("t"), {zero, one}));
  Reopen();
  // A later process leaves an uncommitted attempt and a stray file.
  Attempt(0, 500);
  std::ofstream(directory_ + "/segments/stray.tmp") << "x";
  EXPECT_EQ(NumFiles(), 4U);
  Reopen();
  TableStore::Garbage garbage = Must(store_->CollectGarbage({frozen.manifest, zero.text}));
  EXPECT_EQ(garbage.files_removed, 2);
  EXPECT_GT(garbage.bytes_removed, 1000);
  EXPECT_EQ(garbage.dead_bytes, 0);
  EXPECT_EQ(NumFiles(), 2U);
  ASSERT_OK(ReadAll(store_.get(), frozen.manifest).status());
  // Nothing is mentioned any more.
  garbage = Must(store_->CollectGarbage({}));
  EXPECT_EQ(garbage.files_removed, 2);
  EXPECT_EQ(garbage.live_bytes, 0);
  EXPECT_EQ(NumFiles(), 0U);
}

TEST_F(GarbageTest, CutsDeadTailsOffSharedFilesAndDigsHoles) {
  constexpr int64_t kPage = 4096;
  const AttemptManifest zero = Attempt(0, 200);
  const FreezeResult frozen = Must(Freeze(Schema("t"), {zero}));
  const AttemptManifest middle = Attempt(1, 5000);
  const AttemptManifest last = Attempt(0, 200);
  const AttemptManifest dead = Attempt(2, 9000);
  ASSERT_OK(store_->MakeDurable({&middle, &last, &dead}));
  const std::vector<std::string> cells = Must(ReadAll(store_.get(), frozen.manifest));
  Reopen();
  const TableStore::Garbage garbage = Must(store_->CollectGarbage({frozen.manifest, last.text}));
  EXPECT_EQ(garbage.files_removed, 0);
  ASSERT_GT(middle.bytes, 5 * kPage);
  EXPECT_GE(garbage.bytes_removed, dead.bytes + middle.bytes - 2 * kPage);
  EXPECT_LE(garbage.dead_bytes, 2 * kPage);
  EXPECT_EQ(Must(ReadAll(store_.get(), frozen.manifest)), cells);
  EXPECT_EQ(NumFiles(), 2U);
  const FreezeResult of_last =
      Must(store_->FreezeTable(context_, {1, "t"}, Schema("t"), {last.text}));
  EXPECT_EQ(of_last.rows, 200);
  ASSERT_OK(ReadAll(store_.get(), of_last.manifest).status());
  // Another collection finds nothing to do.
  EXPECT_EQ(
      Must(store_->CollectGarbage({frozen.manifest, last.text, of_last.manifest})).bytes_removed,
      0);
}

TEST_F(GarbageTest, RemovesNothingWhenAManifestCannotBeRead) {
  const FreezeResult frozen = Must(Freeze(Schema("t"), {Attempt(0, 50)}));
  EXPECT_FALSE(store_->CollectGarbage({frozen.manifest, "not a manifest"}).ok());
  EXPECT_EQ(NumFiles(), 2U);
  ASSERT_OK(ReadAll(store_.get(), frozen.manifest).status());
}

TEST_P(StoreTest, AttemptsOfAnotherProcessCannotBeMadeDurable) {
  const AttemptManifest attempt = Must(Write(Schema("t"), 0, {MakeBatch(Rows(0, 5))}));
  Reopen();
  EXPECT_EQ(KindOf(store_->MakeDurable({&attempt})), ErrorKind::kBug);
}

/// Crashes at every changing operation of a small life; what was committed must be readable
/// afterwards and everything else must be collectable.
class CrashTest : public LocalStoreTest {
 protected:
  struct Committed {
    std::vector<std::string> attempts;
    std::string table;
  };

  /// Fails at the first error, as a process that dies.
  Status Live(Committed* committed) {
    CAPI_ASSIGN_OR_RETURN(store_, TableStore::Open(env_, directory_));
    std::vector<AttemptManifest> attempts;
    for (int64_t b = 0; b < 3; ++b) {
      // The middle one is large.
      const Batches batches{MakeBatch(b == 1 ? Rows(1000000, 1500, 3000) : Rows(b * 1000, 30))};
      CAPI_ASSIGN_OR_RETURN(AttemptManifest attempt, Write(Schema("t"), b, batches));
      attempts.push_back(std::move(attempt));
    }
    // An attempt that is never committed.
    CAPI_RETURN_NOT_OK(Write(Schema("t"), 3, {MakeBatch(Rows(0, 10))}).status());
    CAPI_RETURN_NOT_OK(store_->MakeDurable({&attempts[0], &attempts[1]}));
    committed->attempts = {attempts[0].text, attempts[1].text};
    CAPI_RETURN_NOT_OK(store_->MakeDurable({&attempts[2]}));
    committed->attempts.push_back(attempts[2].text);
    CAPI_ASSIGN_OR_RETURN(
        const FreezeResult frozen,
        store_->FreezeTable(context_, {1, "t"}, Schema("t"), committed->attempts));
    committed->table = frozen.manifest;
    return Status::OK();
  }
};

TEST_F(CrashTest, CommittedTablesSurviveAndTheRestIsCollected) {
  store_.reset();
  std::optional<std::vector<std::string>> expected;
  int64_t operations = 1;
  for (int64_t k = 0; k <= operations; ++k) {
    const std::string root = directory_ + "/crash" + std::to_string(k);
    const auto fault = Must(FaultEnv::Make(Env::Default(), root, static_cast<uint64_t>(k)));
    env_ = fault.get();
    context_.env = env_;
    const std::string kept_directory = directory_;
    directory_ = root + "/tables";
    Committed committed;
    fault->StopAfter(k == 0 ? -1 : k - 1);
    const Status status = Live(&committed);
    if (k == 0) {
      ASSERT_OK(status);
      operations = fault->operations();
      ASSERT_GT(operations, 10);
    }
    store_.reset();
    ASSERT_OK(fault->Crash(static_cast<uint64_t>(k) * 7919));
    store_ = Must(TableStore::Open(env_, directory_));
    std::vector<std::string> manifests = committed.attempts;
    if (!committed.table.empty()) manifests.push_back(committed.table);
    const TableStore::Garbage garbage = Must(store_->CollectGarbage(manifests));
    if (manifests.empty()) {
      EXPECT_EQ(garbage.live_bytes, 0);
    }
    if (committed.attempts.size() == 3) {
      // The node finish is repeated when it was not committed.
      const std::string table =
          committed.table.empty()
              ? Must(store_->FreezeTable(context_, {1, "t"}, Schema("t"), committed.attempts))
                    .manifest
              : committed.table;
      const std::vector<std::string> cells = Must(ReadAll(store_.get(), table));
      if (!expected.has_value()) expected = cells;
      ASSERT_TRUE(cells == *expected) << k;
    }
    ASSERT_OK(store_->CollectGarbage({}).status());
    EXPECT_TRUE(Must(env_->ListDirectory(directory_ + "/segments")).empty());
    store_.reset();
    directory_ = kept_directory;
    env_ = Env::Default();
    context_.env = env_;
  }
}

TEST_F(CrashTest, FullDiskIsReportedAndHarmless) {
  store_.reset();
  const std::string root = directory_ + "/full";
  const auto fault = Must(FaultEnv::Make(Env::Default(), root, 1));
  store_ = Must(TableStore::Open(fault.get(), root + "/tables"));
  const AttemptManifest good = Must(Write(Schema("t"), 0, {MakeBatch(Rows(0, 30))}));
  ASSERT_OK(store_->MakeDurable({&good}));
  fault->FailAppend(1);
  EXPECT_EQ(KindOf(Write(Schema("t"), 1, {MakeBatch(Rows(100, 30))}).status()),
            ErrorKind::kEnvironment);
  fault->FailAppend(0);
  // Goes into another container; the first one still holds the good attempt.
  const AttemptManifest next = Must(Write(Schema("t"), 1, {MakeBatch(Rows(100, 30))}));
  const FreezeResult frozen = Must(Freeze(Schema("t"), {good, next}));
  EXPECT_EQ(frozen.rows, 60);
  ASSERT_OK(ReadAll(store_.get(), frozen.manifest).status());
  store_.reset();
}

TEST_F(CrashTest, FailedSyncIsNotForgotten) {
  store_.reset();
  const std::string root = directory_ + "/sync";
  const auto fault = Must(FaultEnv::Make(Env::Default(), root, 1));
  store_ = Must(TableStore::Open(fault.get(), root + "/tables"));
  const AttemptManifest attempt = Must(Write(Schema("t"), 0, {MakeBatch(Rows(0, 30))}));
  fault->FailSync(1);
  EXPECT_FALSE(store_->MakeDurable({&attempt}).ok());
  // A second try must not report success for bytes the disk has lost.
  EXPECT_FALSE(store_->MakeDurable({&attempt}).ok());
  store_.reset();
}

}  // namespace
}  // namespace capi::store
