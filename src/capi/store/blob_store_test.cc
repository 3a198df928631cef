// What every BlobStore keeps, and what is stored of a piece.

#include "capi/store/blob_store.h"

#include <algorithm>
#include <future>
#include <random>

#include "capi/store/shared/piece_codec_internal.h"
#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

std::string RandomBytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

class BlobStoreTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    if (IsSkipped()) return;
    blobs_ = OpenBlobs();
    owner_ = NewOwner();
  }
  void TearDown() override {
    blobs_.reset();
    StoreTest::TearDown();
  }
  Status Put(const BlobId& id, int64_t piece, const std::string& bytes) {
    std::promise<Status> promise;
    blobs_->BeginPut(id, piece, bytes, [&](const Status& status) { promise.set_value(status); });
    return promise.get_future().get();
  }
  Result<std::string> Get(const BlobId& id, int64_t piece) {
    std::promise<Result<std::string>> promise;
    blobs_->BeginGet(id, piece,
                     [&](Result<std::string> bytes) { promise.set_value(std::move(bytes)); });
    return promise.get_future().get();
  }
  std::vector<BlobFile> List() {
    std::vector<BlobFile> files = Must(blobs_->List());
    std::erase_if(files, [&](const BlobFile& file) { return file.id.owner != owner_; });
    std::sort(files.begin(), files.end(),
              [](const BlobFile& left, const BlobFile& right) { return left.id < right.id; });
    return files;
  }

  std::unique_ptr<BlobStore> blobs_;
  int64_t owner_ = 0;
};

TEST_P(BlobStoreTest, PiecesComeBackAsTheyWere) {
  const BlobId id{7, owner_, 0xF000000000000001};
  const std::string large = RandomBytes(1 << 20, 1);
  ASSERT_OK(Put(id, 0, large));
  ASSERT_OK(Put(id, 1, ""));
  ASSERT_OK(Put(id, 200, std::string("a\0b", 3)));
  EXPECT_EQ(Must(Get(id, 0)), large);
  EXPECT_EQ(Must(Get(id, 1)), "");
  EXPECT_EQ(Must(Get(id, 200)), std::string("a\0b", 3));
  // A piece may be sent twice, when it is not known whether it arrived.
  ASSERT_OK(Put(id, 1, "again"));
  EXPECT_EQ(Must(Get(id, 1)), "again");
}

TEST_P(BlobStoreTest, MissingPiecesAreDamage) {
  const BlobId id{7, owner_, 5};
  ASSERT_OK(Put(id, 3, "here"));
  for (const auto& [other, piece] : std::vector<std::pair<BlobId, int64_t>>{
           {id, 2}, {{8, owner_, 5}, 3}, {{7, owner_ + 2, 5}, 3}, {{7, owner_, 6}, 3}}) {
    const Status status = Get(other, piece).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
    EXPECT_NE(status.message().find("table data is damaged: piece is missing: " +
                                    DescribeBlob(other) + ", piece " + std::to_string(piece)),
              std::string::npos)
        << status.ToString();
  }
}

TEST_P(BlobStoreTest, FilesAreListedAndRemoved) {
  EXPECT_TRUE(List().empty());
  const BlobId one{7, owner_, 1};
  const BlobId two{7, owner_, 0xFFFFFFFFFFFFFFFF};
  const BlobId three{900719925474099, owner_, 1};
  for (const BlobId& id : {one, two, three}) ASSERT_OK(Put(id, 0, "x"));
  ASSERT_OK(Put(two, 1000, "far"));
  const std::vector<BlobFile> files = List();
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0].id, one);
  EXPECT_EQ(files[1].id, two);
  EXPECT_EQ(files[2].id, three);
  EXPECT_GE(files[0].num_pieces, 1);
  EXPECT_GE(files[1].num_pieces, 1001);
  ASSERT_OK(blobs_->Remove({files[1]}));
  EXPECT_EQ(List().size(), 2U);
  EXPECT_FALSE(Get(two, 0).ok());
  EXPECT_FALSE(Get(two, 1000).ok());
  EXPECT_EQ(Must(Get(one, 0)), "x");
  // Somebody else may have been faster.
  ASSERT_OK(blobs_->Remove(files));
  ASSERT_OK(blobs_->Remove({}));
  EXPECT_TRUE(List().empty());
}

TEST_P(BlobStoreTest, ManyPiecesAtOnce) {
  const BlobId id{7, owner_, 9};
  constexpr int64_t kPieces = 300;
  std::vector<std::promise<Status>> stored(kPieces);
  for (int64_t i = 0; i < kPieces; ++i) {
    blobs_->BeginPut(
        id, i, RandomBytes(5000, static_cast<uint64_t>(i)),
        [&stored, i](const Status& status) { stored[static_cast<size_t>(i)].set_value(status); });
  }
  for (auto& promise : stored) ASSERT_OK(promise.get_future().get());
  std::vector<std::promise<Result<std::string>>> read(kPieces);
  for (int64_t i = 0; i < kPieces; ++i) {
    blobs_->BeginGet(id, i, [&read, i](Result<std::string> bytes) {
      read[static_cast<size_t>(i)].set_value(std::move(bytes));
    });
  }
  for (size_t i = 0; i < kPieces; ++i) {
    EXPECT_EQ(Must(read[i].get_future().get()), RandomBytes(5000, i));
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, BlobStoreTest,
                         testing::Values(Backend::kDirectory, Backend::kCassandra), BackendName);

class PieceCodecTest : public testing::TestWithParam<PieceCodec> {
 protected:
  const BlobId id_{3, 4, 5};
};

TEST_P(PieceCodecTest, RoundTrips) {
  std::string words;
  while (words.size() < 100000) words += "word " + std::to_string(words.size() % 97);
  for (const std::string& bytes : {std::string(), std::string("x"), words, RandomBytes(70000, 1)}) {
    const std::string stored = Must(EncodePiece(id_, 6, bytes, GetParam()));
    EXPECT_EQ(Must(DecodePiece(id_, 6, stored, static_cast<int64_t>(bytes.size()))), bytes);
    // What cannot be compressed is kept as it is.
    EXPECT_LE(stored.size(), bytes.size() + sizeof(PieceHead));
  }
  if (GetParam() != PieceCodec::kPlain) {
    EXPECT_LT(Must(EncodePiece(id_, 6, words, GetParam())).size(), words.size() / 4);
  }
}

TEST_P(PieceCodecTest, DamageIsFound) {
  const std::string bytes = std::string(2000, 'a') + RandomBytes(300, 2);
  const auto size = static_cast<int64_t>(bytes.size());
  const std::string stored = Must(EncodePiece(id_, 6, bytes, GetParam()));
  const auto expect_damage = [](const Result<std::string>& decoded) {
    EXPECT_EQ(KindOf(decoded.status()), ErrorKind::kEnvironment);
    EXPECT_NE(decoded.status().message().find("table data is damaged"), std::string::npos);
  };
  for (size_t i = 0; i < stored.size(); ++i) {
    for (const int bit : {0, 5}) {
      std::string flipped = stored;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      expect_damage(DecodePiece(id_, 6, flipped, size));
    }
    expect_damage(DecodePiece(id_, 6, stored.substr(0, i), size));
  }
  expect_damage(DecodePiece(id_, 6, stored + "x", size));
  expect_damage(DecodePiece(id_, 6, stored, size - 1));
  // A good piece in another's place.
  expect_damage(DecodePiece(id_, 7, stored, size));
  expect_damage(DecodePiece({4, 4, 5}, 6, stored, size));
  expect_damage(DecodePiece({3, 5, 5}, 6, stored, size));
  expect_damage(DecodePiece({3, 4, 6}, 6, stored, size));
}

INSTANTIATE_TEST_SUITE_P(Codecs, PieceCodecTest,
                         testing::Values(PieceCodec::kPlain, PieceCodec::kLz4, PieceCodec::kZstd));

}  // namespace
}  // namespace capi::store
