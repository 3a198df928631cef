#include "capi/base/fault_env.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "capi/base/test_directory.h"

namespace capi {
namespace {

/// What the tests see of a file: its content or "(none)".
constexpr char kNone[] = "(none)";

class FaultEnvTest : public testing::Test {
 protected:
  FaultEnvTest() : directory_(MemoryDirectoryOr(testing::TempDir())) {
    env_ = FaultEnv::Make(Env::Default(), Root(), 1).ValueOrDie();
  }
  std::string Root() const { return directory_ / "root"; }
  std::string Path(const std::string& name) const { return Root() + "/" + name; }

  void Write(const std::string& name, std::string_view content, bool sync) {
    auto file = env_->NewWritableFile(Path(name)).ValueOrDie();
    ASSERT_TRUE(file->Append(content).ok());
    if (sync) {
      ASSERT_TRUE(file->Sync().ok());
    }
    ASSERT_TRUE(file->Close().ok());
  }
  void WriteDurably(const std::string& name, std::string_view content) {
    Write(name, content, true);
    ASSERT_TRUE(env_->SyncDirectory(ParentOf(Path(name))).ok());
  }
  std::string Read(const std::string& name) {
    const Result<std::string> content = env_->ReadFile(Path(name));
    return content.ok() ? *content : kNone;
  }
  /// Outcomes over many seeds; each round begins in an empty directory with `prepare`.
  template <typename Prepare, typename Look>
  std::set<std::string> Outcomes(Prepare prepare, Look look) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 100; ++seed) {
      env_.reset();
      EXPECT_TRUE(Env::Default()->RemoveTree(Root()).ok());
      env_ = FaultEnv::Make(Env::Default(), Root(), seed).ValueOrDie();
      prepare();
      const Status status = env_->Crash(seed);
      EXPECT_TRUE(status.ok()) << status;
      outcomes.insert(look());
    }
    return outcomes;
  }
  std::set<std::string> OutcomesOf(const std::string& name, const std::function<void()>& prepare) {
    return Outcomes(prepare, [&] { return Read(name); });
  }

  const TestDirectory directory_;
  std::unique_ptr<FaultEnv> env_;
};

using Texts = std::set<std::string>;

TEST_F(FaultEnvTest, WhatIsSyncedSurvives) {
  EXPECT_EQ(OutcomesOf("f", [&] { WriteDurably("f", "abc"); }), Texts{"abc"});
}

TEST_F(FaultEnvTest, UnsyncedBytesAreLostOrTorn) {
  EXPECT_EQ(OutcomesOf("f",
                       [&] {
                         Write("f", "abc", false);
                         ASSERT_TRUE(env_->SyncDirectory(Root()).ok());
                       }),
            (Texts{"", "a", "ab", "abc"}));
}

TEST_F(FaultEnvTest, ALaterWriteMaySurviveWithoutAnEarlierOne) {
  const Texts outcomes = OutcomesOf("f", [&] {
    WriteDurably("f", "");
    auto file = env_->NewWritableFile(Path("f")).ValueOrDie();
    ASSERT_TRUE(file->Append("s").ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(file->Append("1").ok());
    ASSERT_TRUE(file->Append("2").ok());
  });
  EXPECT_EQ(outcomes, (Texts{"s", "s1", "s12",
                             std::string("s\0"
                                         "2",
                                         3)}));
}

TEST_F(FaultEnvTest, UnsyncedCreationMayBeUndone) {
  EXPECT_EQ(OutcomesOf("f", [&] { Write("f", "abc", true); }), (Texts{"abc", kNone}));
}

TEST_F(FaultEnvTest, UnsyncedRemovalMayBeUndone) {
  const auto remove = [&] {
    WriteDurably("f", "abc");
    ASSERT_TRUE(env_->RemoveFile(Path("f")).ok());
  };
  EXPECT_EQ(OutcomesOf("f", remove), (Texts{"abc", kNone}));
  EXPECT_EQ(OutcomesOf("f",
                       [&] {
                         remove();
                         ASSERT_TRUE(env_->SyncDirectory(Root()).ok());
                       }),
            Texts{kNone});
}

TEST_F(FaultEnvTest, UnsyncedReplacementShowsTheOldOrTheNewContent) {
  const auto replace = [&](bool sync_new) {
    WriteDurably("f", "old");
    Write("t", "new", sync_new);
    ASSERT_TRUE(env_->Rename(Path("t"), Path("f")).ok());
  };
  EXPECT_EQ(OutcomesOf("f", [&] { replace(true); }), (Texts{"old", "new"}));
  // The classic mistake: rename before sync.
  EXPECT_EQ(OutcomesOf("f", [&] { replace(false); }), (Texts{"old", "", "n", "ne", "new"}));
  EXPECT_EQ(OutcomesOf("f",
                       [&] {
                         replace(true);
                         ASSERT_TRUE(env_->SyncDirectory(Root()).ok());
                       }),
            Texts{"new"});
}

TEST_F(FaultEnvTest, ARenameIsNeverHalfDone) {
  const Texts outcomes = Outcomes(
      [&] {
        WriteDurably("a", "x");
        ASSERT_TRUE(env_->Rename(Path("a"), Path("b")).ok());
      },
      [&] { return Read("a") + " " + Read("b"); });
  EXPECT_EQ(outcomes, (Texts{"x (none)", "(none) x"}));
}

TEST_F(FaultEnvTest, SyncingTheTargetDirectoryMakesTheCreationDurableToo) {
  EXPECT_EQ(OutcomesOf("d/f",
                       [&] {
                         ASSERT_TRUE(env_->CreateDirectories(Path("d")).ok());
                         Write("t", "x", true);
                         ASSERT_TRUE(env_->Rename(Path("t"), Path("d/f")).ok());
                         ASSERT_TRUE(env_->SyncDirectory(Path("d")).ok());
                       }),
            Texts{"x"});
}

TEST_F(FaultEnvTest, UnsyncedTruncationMayBeUndone) {
  EXPECT_EQ(OutcomesOf("f",
                       [&] {
                         WriteDurably("f", "old");
                         Write("f", "n", false);
                       }),
            (Texts{"old", "", "n"}));
}

TEST_F(FaultEnvTest, RemovedTreesMayComeBackInParts) {
  const Texts outcomes = Outcomes(
      [&] {
        ASSERT_TRUE(env_->CreateDirectories(Path("d/e")).ok());
        WriteDurably("d/1", "1");
        WriteDurably("d/e/2", "2");
        ASSERT_TRUE(env_->RemoveTree(Path("d")).ok());
        EXPECT_FALSE(env_->Exists(Path("d")).ValueOrDie());
      },
      [&] { return Read("d/1") + " " + Read("d/e/2"); });
  EXPECT_EQ(outcomes, (Texts{"1 2", "1 (none)", "(none) 2", "(none) (none)"}));
}

TEST_F(FaultEnvTest, FilesThatWereThereBeforeAreDurable) {
  EXPECT_EQ(OutcomesOf("f",
                       [&] {
                         auto file = Env::Default()->NewWritableFile(Path("f")).ValueOrDie();
                         ASSERT_TRUE(file->Append("x").ok());
                         ASSERT_TRUE(file->Close().ok());
                         ASSERT_TRUE(env_->Rename(Path("f"), Path("g")).ok());
                         ASSERT_TRUE(env_->Rename(Path("g"), Path("f")).ok());
                       }),
            (Texts{"x", kNone}));
}

TEST_F(FaultEnvTest, RenamedDirectoriesKeepTheirFilesTracked) {
  EXPECT_EQ(OutcomesOf("e/f",
                       [&] {
                         ASSERT_TRUE(env_->CreateDirectories(Path("d")).ok());
                         Write("d/f", "x", true);
                         ASSERT_TRUE(env_->Rename(Path("d"), Path("e")).ok());
                       }),
            (Texts{"x", kNone}));
}

TEST_F(FaultEnvTest, FilesOpenAtTheCrashAreUnusableAndHarmless) {
  auto file = env_->NewWritableFile(Path("f")).ValueOrDie();
  ASSERT_TRUE(file->Append("abc").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(env_->SyncDirectory(Root()).ok());
  const auto mapped = env_->MapFile(Path("f")).ValueOrDie();
  ASSERT_TRUE(file->Append("def").ok());
  ASSERT_TRUE(env_->Crash(3).ok());
  const std::string after = Read("f");
  EXPECT_EQ(KindOf(file->Append("x")), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(file->Sync()), ErrorKind::kEnvironment);
  file.reset();
  EXPECT_EQ(Read("f"), after);
  EXPECT_EQ(mapped->bytes(), "abc");
}

TEST_F(FaultEnvTest, WhatACrashLeftIsDurable) {
  Write("f", "abcdefgh", false);
  ASSERT_TRUE(env_->Crash(5).ok());
  const std::string after = Read("f");
  for (uint64_t seed = 0; seed < 20; ++seed) {
    ASSERT_TRUE(env_->Crash(seed).ok());
    EXPECT_EQ(Read("f"), after);
  }
}

TEST_F(FaultEnvTest, TheSameSeedGivesTheSameCrash) {
  Texts outcomes;
  for (int round = 0; round < 3; ++round) {
    env_.reset();
    ASSERT_TRUE(Env::Default()->RemoveTree(Root()).ok());
    env_ = FaultEnv::Make(Env::Default(), Root(), 9).ValueOrDie();
    std::string text = std::to_string(env_->Random());
    for (const char* name : {"a", "b", "c", "d"}) Write(name, "some content", false);
    ASSERT_TRUE(env_->Crash(77).ok());
    for (const char* name : {"a", "b", "c", "d"}) text += "|" + Read(name);
    outcomes.insert(text);
  }
  EXPECT_EQ(outcomes.size(), 1);
}

TEST_F(FaultEnvTest, FailsTheChosenAppendAndAllAfterIt) {
  auto file = env_->NewWritableFile(Path("f")).ValueOrDie();
  env_->FailAppend(2);
  EXPECT_TRUE(file->Append("1").ok());
  const Status status = file->Append("2");
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
  EXPECT_NE(status.message().find("No space left"), std::string::npos) << status;
  EXPECT_FALSE(file->Append("3").ok());
  auto other = env_->NewWritableFile(Path("g")).ValueOrDie();
  EXPECT_FALSE(other->Append("1").ok());
  env_->FailAppend(0);
  auto third = env_->NewWritableFile(Path("h")).ValueOrDie();
  EXPECT_TRUE(third->Append("1").ok());
  // A file that once failed stays failed, like the real one.
  EXPECT_FALSE(file->Sync().ok());
}

TEST_F(FaultEnvTest, FailsTheChosenSync) {
  env_->FailSync(2);
  auto file = env_->NewWritableFile(Path("f")).ValueOrDie();
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_FALSE(env_->SyncDirectory(Root()).ok());
  EXPECT_TRUE(env_->SyncDirectory(Root()).ok());
}

TEST_F(FaultEnvTest, StopsAtEveryOperation) {
  const auto steps = [&]() -> Status {
    CAPI_ASSIGN_OR_RETURN(auto file, env_->NewWritableFile(Path("t")));
    CAPI_RETURN_NOT_OK(file->Append("content"));
    CAPI_RETURN_NOT_OK(file->Sync());
    CAPI_RETURN_NOT_OK(env_->Rename(Path("t"), Path("f")));
    return env_->SyncDirectory(Root());
  };
  const int64_t before = env_->operations();
  ASSERT_TRUE(steps().ok());
  const int64_t count = env_->operations() - before;
  EXPECT_EQ(count, 5);
  for (int64_t stop = 0; stop < count; ++stop) {
    ASSERT_TRUE(env_->RemoveFile(Path("f")).ok());
    ASSERT_TRUE(env_->SyncDirectory(Root()).ok());
    env_->StopAfter(stop);
    EXPECT_EQ(steps().message(), "simulated crash");
    EXPECT_FALSE(env_->RemoveFile(Path("other")).ok());
    ASSERT_TRUE(env_->Crash(static_cast<uint64_t>(stop)).ok());
    const std::string content = Read("f");
    EXPECT_TRUE(content == kNone || content == "content") << content;
  }
}

TEST_F(FaultEnvTest, PathsOutsideTheRootAreNotTouched) {
  const std::string outside = directory_ / "rooted";
  auto file = env_->NewWritableFile(outside).ValueOrDie();
  ASSERT_TRUE(file->Append("x").ok());
  ASSERT_TRUE(file->Close().ok());
  ASSERT_TRUE(env_->Crash(1).ok());
  EXPECT_EQ(env_->ReadFile(outside).ValueOrDie(), "x");
  EXPECT_TRUE(env_->SyncDirectory(directory_.path()).ok());
}

TEST_F(FaultEnvTest, ReportsTheErrorsOfTheRealFileSystem) {
  EXPECT_FALSE(env_->NewWritableFile(Path("missing/f")).ok());
  EXPECT_FALSE(env_->NewWritableFile(Root()).ok());
  EXPECT_FALSE(env_->Rename(Path("missing"), Path("f")).ok());
  EXPECT_FALSE(env_->SyncDirectory(Path("missing")).ok());
  EXPECT_TRUE(env_->RemoveFile(Path("missing")).ok());
  EXPECT_TRUE(env_->RemoveTree(Path("missing")).ok());
  ASSERT_TRUE(env_->CreateDirectories(Path("d")).ok());
  EXPECT_FALSE(env_->RemoveFile(Path("d")).ok());
  EXPECT_FALSE(env_->NewWritableFile(Path("d")).ok());
  Write("f", "x", true);
  EXPECT_FALSE(env_->Rename(Path("f"), Path("d")).ok());
  EXPECT_EQ(Read("f"), "x");
}

}  // namespace
}  // namespace capi
