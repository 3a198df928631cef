#include "capi/base/env.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "capi/base/test_directory.h"

namespace capi {
namespace {

class EnvTest : public testing::Test {
 protected:
  EnvTest() : directory_(testing::TempDir()) {}

  void Write(const std::string& path, std::string_view content) {
    auto file = env_->NewWritableFile(path).ValueOrDie();
    ASSERT_TRUE(file->Append(content).ok());
    ASSERT_TRUE(file->Close().ok());
  }
  static void ExpectNotFound(const Status& status, const std::string& path) {
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << status;
    EXPECT_EQ(InfoOf(status).error_class, "file_not_found");
    EXPECT_NE(status.message().find(path), std::string::npos) << status;
  }
  static void ExpectEnvironment(const Status& status, const std::string& path,
                                const std::string& text) {
    EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << status;
    EXPECT_NE(status.message().find(path), std::string::npos) << status;
    EXPECT_NE(status.message().find(text), std::string::npos) << status;
  }

  Env* const env_ = Env::Default();
  const TestDirectory directory_;
};

TEST_F(EnvTest, WritesAndReadsFilesOfAllSizes) {
  const std::string path = directory_ / "file";
  for (const size_t size : {size_t{0}, size_t{1}, (size_t{1} << 20) - 1, size_t{1} << 20,
                            (size_t{1} << 20) + 1, size_t{5} << 20}) {
    const std::string content(size, 'x');
    Write(path, content);
    EXPECT_EQ(env_->ReadFile(path).ValueOrDie(), content);
    EXPECT_EQ(env_->MapFile(path).ValueOrDie()->bytes(), content);
    EXPECT_EQ(env_->Stat(path).ValueOrDie().size, static_cast<int64_t>(size));
  }
}

TEST_F(EnvTest, MixesSmallAndLargeAppends) {
  const std::string path = directory_ / "file";
  auto file = env_->NewWritableFile(path).ValueOrDie();
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string piece(i % 4 == 3 ? 1500000 : 300000, static_cast<char>('a' + i));
    expected += piece;
    ASSERT_TRUE(file->Append(piece).ok());
    file->StartWriteback();
  }
  EXPECT_EQ(file->size(), static_cast<int64_t>(expected.size()));
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(env_->ReadFile(path).ValueOrDie(), expected);
  ASSERT_TRUE(file->Append("tail").ok());
  file.reset();
  EXPECT_EQ(env_->ReadFile(path).ValueOrDie(), expected + "tail");
}

TEST_F(EnvTest, OpeningForWritingEmptiesTheFile) {
  const std::string path = directory_ / "file";
  Write(path, "old content");
  Write(path, "new");
  EXPECT_EQ(env_->ReadFile(path).ValueOrDie(), "new");
}

TEST_F(EnvTest, RefusesUseOfAClosedFile) {
  auto file = env_->NewWritableFile(directory_ / "file").ValueOrDie();
  ASSERT_TRUE(file->Close().ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ(KindOf(file->Append("x")), ErrorKind::kBug);
  EXPECT_EQ(KindOf(file->Sync()), ErrorKind::kBug);
}

TEST_F(EnvTest, AFullDiskStaysAnError) {
  if (!env_->Exists("/dev/full").ValueOrDie()) GTEST_SKIP() << "no /dev/full here";
  auto file = env_->NewWritableFile("/dev/full").ValueOrDie();
  ASSERT_TRUE(file->Append("x").ok());  // buffered
  ExpectEnvironment(file->Sync(), "/dev/full", "No space left");
  ExpectEnvironment(file->Append("x"), "/dev/full", "No space left");
  ExpectEnvironment(file->Close(), "/dev/full", "No space left");
}

TEST_F(EnvTest, MissingFilesAreUserErrors) {
  const std::string path = directory_ / "missing";
  ExpectNotFound(env_->MapFile(path).status(), path);
  ExpectNotFound(env_->ReadFile(path).status(), path);
  ExpectNotFound(env_->Stat(path).status(), path);
  ExpectNotFound(env_->ListDirectory(path).status(), path);
  ExpectNotFound(env_->SyncDirectory(path), path);
  ExpectNotFound(env_->Rename(path, directory_ / "other"), path);
  ExpectNotFound(env_->NewWritableFile(path + "/file").status(), path);
  EXPECT_FALSE(env_->Exists(path).ValueOrDie());
  EXPECT_TRUE(env_->RemoveFile(path).ok());
  EXPECT_TRUE(env_->RemoveTree(path).ok());
}

TEST_F(EnvTest, DirectoriesAreNotFiles) {
  const std::string& path = directory_.path();
  ExpectEnvironment(env_->MapFile(path).status(), path, "Is a directory");
  ExpectEnvironment(env_->ReadFile(path).status(), path, "Is a directory");
  ExpectEnvironment(env_->NewWritableFile(path).status(), path, "Is a directory");
  ExpectEnvironment(env_->RemoveFile(path), path, "Is a directory");
  EXPECT_TRUE(env_->Stat(path).ValueOrDie().is_directory);
  EXPECT_FALSE(env_->Stat(path).ValueOrDie().is_regular);
}

TEST_F(EnvTest, DevicesAndPipesAreNotMapped) {
  ExpectEnvironment(env_->MapFile("/dev/null").status(), "/dev/null", "not a regular file");
  const std::string pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ExpectEnvironment(env_->MapFile(pipe).status(), pipe, "not a regular file");
  EXPECT_FALSE(env_->Stat(pipe).ValueOrDie().is_regular);
}

TEST_F(EnvTest, ReadsPipesWhole) {
  const std::string pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string content(200000, 'p');
  std::thread writer([&] { Write(pipe, content); });
  EXPECT_EQ(env_->ReadFile(pipe).ValueOrDie(), content);
  writer.join();
}

TEST_F(EnvTest, ZeroBytesInPathsAreRefused) {
  const std::string path = directory_ / std::string("a\0b", 3);
  EXPECT_EQ(InfoOf(env_->NewWritableFile(path).status()).error_class, "file_not_found");
  EXPECT_TRUE(env_->ListDirectory(directory_.path()).ValueOrDie().empty());
}

TEST_F(EnvTest, MissingPermissionIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "the super-user may do anything";
  const std::string path = directory_ / "locked";
  Write(path, "x");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  ExpectEnvironment(env_->ReadFile(path).status(), path, "Permission denied");
}

TEST_F(EnvTest, AMappingSurvivesRemovalAndReplacement) {
  const std::string path = directory_ / "file";
  Write(path, "first");
  const auto mapped = env_->MapFile(path).ValueOrDie();
  mapped->AdviseSequential(true);
  mapped->AdviseSequential(false);
  Write(directory_ / "second", "second");
  ASSERT_TRUE(env_->Rename(directory_ / "second", path).ok());
  EXPECT_EQ(mapped->bytes(), "first");
  ASSERT_TRUE(env_->RemoveFile(path).ok());
  EXPECT_EQ(mapped->bytes(), "first");
}

TEST_F(EnvTest, StatTellsWhetherAFileIsTheSame) {
  const std::string path = directory_ / "file";
  Write(path, "abc");
  const FileInfo first = env_->Stat(path).ValueOrDie();
  EXPECT_EQ(first.size, 3);
  EXPECT_GT(first.mtime_ns, int64_t{1500000000} * 1000000000);
  Write(directory_ / "other", "abc");
  EXPECT_NE(env_->Stat(directory_ / "other").ValueOrDie().inode, first.inode);
}

TEST_F(EnvTest, HolesReadAsZerosAndTakeNoSpace) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  const std::string path = directory_ / "file";
  const std::string content(static_cast<size_t>(3 * kMiB), 'x');
  Write(path, content);
  ASSERT_TRUE(env_->PunchHole(path, kMiB, kMiB).ok());
  const std::string punched = env_->ReadFile(path).ValueOrDie();
  const FileInfo info = env_->Stat(path).ValueOrDie();
  EXPECT_EQ(info.size, 3 * kMiB);
  if (info.allocated_bytes >= 3 * kMiB) GTEST_SKIP() << "no holes in this file system";
  EXPECT_LE(info.allocated_bytes, 2 * kMiB + kMiB / 10);
  EXPECT_EQ(punched, std::string(kMiB, 'x') + std::string(kMiB, '\0') + std::string(kMiB, 'x'));
  ExpectNotFound(env_->PunchHole(directory_ / "missing", 0, 1), directory_ / "missing");
}

TEST_F(EnvTest, ListsNamesSorted) {
  for (const char* name : {"b", "a", ".hidden", "c"}) Write(directory_ / name, "");
  EXPECT_EQ(env_->ListDirectory(directory_.path()).ValueOrDie(),
            (std::vector<std::string>{".hidden", "a", "b", "c"}));
}

TEST_F(EnvTest, CreatesAndRemovesTrees) {
  const std::string deep = directory_ / "a/b//c/";
  ASSERT_TRUE(env_->CreateDirectories(deep).ok());
  ASSERT_TRUE(env_->CreateDirectories(deep).ok());
  Write(directory_ / "a/b/c/file", "x");
  Write(directory_ / "kept", "x");
  ASSERT_EQ(symlink((directory_ / "kept").c_str(), (directory_ / "a/link").c_str()), 0);
  ExpectEnvironment(env_->CreateDirectories(directory_ / "a/b/c/file"), "file", "File exists");
  ExpectEnvironment(env_->CreateDirectories(directory_ / "a/b/c/file/d"), "file/d",
                    "Not a directory");
  EXPECT_TRUE(env_->SyncDirectory(directory_ / "a").ok());
  ASSERT_TRUE(env_->RemoveTree(directory_ / "a").ok());
  EXPECT_EQ(env_->ListDirectory(directory_.path()).ValueOrDie(), std::vector<std::string>{"kept"});
  EXPECT_FALSE(env_->CreateDirectories("").ok());
}

TEST_F(EnvTest, ManyThreadsCreateTheSameDirectory) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&] { EXPECT_TRUE(env_->CreateDirectories(directory_ / "x/y/z/w").ok()); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(EnvTest, SparseFilesAreFilledWhileTheyAreMapped) {
  const std::string path = directory_ / "sparse";
  constexpr int64_t kSize = int64_t{8} << 20;
  ASSERT_TRUE(env_->CreateSparseFile(path, kSize).ok());
  EXPECT_LT(env_->Stat(path).ValueOrDie().allocated_bytes, kSize / 8);
  const auto mapping = env_->MapFile(path).ValueOrDie();
  ASSERT_EQ(static_cast<int64_t>(mapping->bytes().size()), kSize);
  EXPECT_EQ(mapping->bytes().substr(5000, 3), std::string_view("\0\0\0", 3));
  ASSERT_TRUE(env_->WriteAt(path, 5000, "abc").ok());
  EXPECT_EQ(mapping->bytes().substr(4999, 5), std::string_view("\0abc\0", 5));
  ASSERT_TRUE(env_->WriteAt(path, kSize - 1, "xy").ok());
  EXPECT_EQ(env_->Stat(path).ValueOrDie().size, kSize + 1);
  EXPECT_TRUE(mapping->EnsureRange(0, kSize).ok());
  EXPECT_FALSE(mapping->remote());
  // Neither call makes or replaces a file by accident.
  EXPECT_FALSE(env_->CreateSparseFile(path, 1).ok());
  EXPECT_FALSE(env_->WriteAt(directory_ / "missing", 0, "x").ok());
  EXPECT_FALSE(env_->Exists(directory_ / "missing").ValueOrDie());
}

TEST_F(EnvTest, ClocksAndRandomness) {
  const int64_t begin = env_->MonotonicNanos();
  env_->SleepMillis(2);
  env_->SleepMillis(-1);
  EXPECT_GE(env_->MonotonicNanos() - begin, 2000000);
  EXPECT_GT(env_->NowMillis(), int64_t{1500000000} * 1000);
  EXPECT_NE(env_->Random(), env_->Random());
}

TEST(PathTest, ParentOf) {
  EXPECT_EQ(ParentOf("a/b"), "a");
  EXPECT_EQ(ParentOf("a//b/"), "a");
  EXPECT_EQ(ParentOf("/a/b"), "/a");
  EXPECT_EQ(ParentOf("/a"), "/");
  EXPECT_EQ(ParentOf("//a"), "/");
  EXPECT_EQ(ParentOf("/"), "/");
  EXPECT_EQ(ParentOf("a"), ".");
  EXPECT_EQ(ParentOf(""), ".");
}

TEST(PathTest, TempPathForStaysInTheDirectory) {
  EXPECT_EQ(TempPathFor(Env::Default(), "/data/out.csv").substr(0, 20), "/data/.out.csv.capi-");
  EXPECT_EQ(TempPathFor(Env::Default(), "out.csv").size(),
            std::string(".out.csv.capi-.tmp").size() + 16);
  const std::string temp = TempPathFor(Env::Default(), "/data/" + std::string(255, 'n'));
  EXPECT_LE(temp.size() - std::string("/data/").size(), 255);
}

}  // namespace
}  // namespace capi
