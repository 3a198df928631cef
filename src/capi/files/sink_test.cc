#include "capi/files/sink.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "capi/base/fault_env.h"
#include "capi/base/fault_point.h"
#include "capi/base/status.h"
#include "capi/base/test_directory.h"

namespace capi::files {
namespace {

class SinkTest : public testing::Test {
 protected:
  SinkTest() : directory_(MemoryDirectoryOr(testing::TempDir())) {
    env_ = FaultEnv::Make(Env::Default(), directory_ / "out", 1).ValueOrDie();
    target_ = directory_ / "out/result.csv";
  }
  void TearDown() override { EXPECT_TRUE(ArmFaultPoints("").ok()); }
  /// Plans, writes and seals; the plan is left in plan_.
  Result<int64_t> Seal(std::string_view content) {
    CAPI_ASSIGN_OR_RETURN(plan_, PlanSink(env_.get(), target_));
    CAPI_ASSIGN_OR_RETURN(auto sink, Sink::Open(env_.get(), plan_));
    CAPI_RETURN_NOT_OK(sink->Append(content));
    return sink->Seal();
  }
  std::vector<std::string> Names() { return env_->ListDirectory(directory_ / "out").ValueOrDie(); }

  const TestDirectory directory_;
  std::unique_ptr<FaultEnv> env_;
  std::string target_;
  SinkPlan plan_;
};

TEST_F(SinkTest, AppearsWholeWhenPublished) {
  ASSERT_TRUE(Seal("").ok());
  const int64_t size = Seal("a,b\n").ValueOrDie();
  EXPECT_EQ(size, 4);
  EXPECT_FALSE(env_->Exists(target_).ValueOrDie());
  ASSERT_TRUE(Publish(env_.get(), plan_, size).ok());
  EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "a,b\n");
  EXPECT_FALSE(env_->Exists(plan_.temp_path).ValueOrDie());
}

TEST_F(SinkTest, PlanningCreatesNothingAndNamesAFileBesideTheTarget) {
  const SinkPlan plan = PlanSink(env_.get(), "file://" + target_).ValueOrDie();
  EXPECT_EQ(plan.target, target_);
  EXPECT_EQ(ParentOf(plan.temp_path), ParentOf(target_));
  EXPECT_NE(plan.temp_path, target_);
  EXPECT_NE(PlanSink(env_.get(), target_)->temp_path, plan.temp_path);
  EXPECT_TRUE(Names().empty());
}

TEST_F(SinkTest, PlansInTheWorkingDirectory) {
  const SinkPlan plan = PlanSink(Env::Default(), "some_result.csv").ValueOrDie();
  EXPECT_EQ(plan.temp_path.substr(0, 17), ".some_result.csv.");
}

TEST_F(SinkTest, ReplacesAnEarlierResultOnlyWhenPublished) {
  const int64_t first_size = Seal("first").ValueOrDie();
  ASSERT_TRUE(Publish(env_.get(), plan_, first_size).ok());
  const int64_t size = Seal("second").ValueOrDie();
  EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "first");
  ASSERT_TRUE(Publish(env_.get(), plan_, size).ok());
  EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "second");
}

TEST_F(SinkTest, PublishingAgainIsFine) {
  const int64_t size = Seal("content").ValueOrDie();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Publish(env_.get(), plan_, size).ok());
  EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "content");
}

TEST_F(SinkTest, PublishingALostFileIsAnError) {
  const int64_t size = Seal("content").ValueOrDie();
  ASSERT_TRUE(env_->RemoveFile(plan_.temp_path).ok());
  Status status = Publish(env_.get(), plan_, size);
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
  EXPECT_EQ(InfoOf(status).error_class, "output_lost");
  EXPECT_NE(status.message().find(target_), std::string::npos) << status;
  // A target of another size is somebody else's.
  auto other = env_->NewWritableFile(target_).ValueOrDie();
  ASSERT_TRUE(other->Append("other").ok());
  EXPECT_FALSE(Publish(env_.get(), plan_, size).ok());
  EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "other");
}

TEST_F(SinkTest, PublishingAFileOfAnotherSizeIsAnError) {
  const int64_t size = Seal("content").ValueOrDie();
  EXPECT_EQ(KindOf(Publish(env_.get(), plan_, size + 1)), ErrorKind::kEnvironment);
  EXPECT_FALSE(env_->Exists(target_).ValueOrDie());
}

TEST_F(SinkTest, DiscardLeavesNothingAndMayBeRepeated) {
  ASSERT_TRUE(Seal("content").ok());
  EXPECT_TRUE(Discard(env_.get(), plan_).ok());
  EXPECT_TRUE(Discard(env_.get(), plan_).ok());
  EXPECT_TRUE(Names().empty());
}

TEST_F(SinkTest, MissingDirectory) {
  for (const std::string& path :
       {directory_ / "missing/result.csv", std::string("/dev/null/result.csv")}) {
    const Status status = PlanSink(env_.get(), path).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << status;
    EXPECT_EQ(ErrorClassOf(status), "directory_not_found") << status;
    EXPECT_NE(status.message().find(ParentOf(path)), std::string::npos) << status;
  }
}

TEST_F(SinkTest, TheDirectoryVanishesAfterPlanning) {
  plan_ = PlanSink(env_.get(), target_).ValueOrDie();
  ASSERT_TRUE(Env::Default()->RemoveTree(ParentOf(target_)).ok());
  EXPECT_FALSE(Sink::Open(env_.get(), plan_).ok());
}

TEST_F(SinkTest, TargetIsNotAFile) {
  ASSERT_TRUE(env_->CreateDirectories(target_).ok());
  for (const std::string& path : {target_, target_ + "/", std::string("/dev/null")}) {
    const Status status = PlanSink(env_.get(), path).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    EXPECT_EQ(ErrorClassOf(status), "target_not_a_file") << status;
  }
}

TEST_F(SinkTest, OtherSchemes) {
  for (const char* url : {"https://h/x", "s3://b/x", "sftp://u@h/x", "ftp://h/x"}) {
    EXPECT_EQ(ErrorClassOf(PlanSink(env_.get(), url).status()), "unsupported_scheme");
  }
  EXPECT_EQ(PlanSink(env_.get(), "s3://b/x").status().message(),
            "writing s3 addresses is not possible here: s3://b/x");
  EXPECT_EQ(ErrorClassOf(PlanSink(env_.get(), "").status()), "bad_address");
}

TEST_F(SinkTest, UseAfterSealing) {
  plan_ = PlanSink(env_.get(), target_).ValueOrDie();
  auto sink = Sink::Open(env_.get(), plan_).ValueOrDie();
  ASSERT_TRUE(sink->Seal().ok());
  EXPECT_EQ(KindOf(sink->Append("x")), ErrorKind::kBug);
  EXPECT_EQ(KindOf(sink->Seal().status()), ErrorKind::kBug);
}

TEST_F(SinkTest, FullDisk) {
  plan_ = PlanSink(env_.get(), target_).ValueOrDie();
  auto sink = Sink::Open(env_.get(), plan_).ValueOrDie();
  env_->FailAppend(2);
  EXPECT_TRUE(sink->Append("1").ok());
  const Status status = sink->Append("2");
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
  EXPECT_NE(status.message().find("No space left"), std::string::npos) << status;
  EXPECT_FALSE(sink->Seal().ok());
  sink.reset();
  EXPECT_TRUE(Discard(env_.get(), plan_).ok());
  EXPECT_TRUE(Names().empty());
}

TEST_F(SinkTest, FailedSync) {
  env_->FailSync(1);
  EXPECT_EQ(KindOf(Seal("content").status()), ErrorKind::kEnvironment);
  const int64_t size = Seal("content").ValueOrDie();
  env_->FailSync(1);
  EXPECT_FALSE(Publish(env_.get(), plan_, size).ok());
  EXPECT_TRUE(Publish(env_.get(), plan_, size).ok());
}

TEST_F(SinkTest, LargeFilesOnTheRealEnvironment) {
  Env* const env = Env::Default();
  plan_ = PlanSink(env, target_).ValueOrDie();
  auto sink = Sink::Open(env, plan_).ValueOrDie();
  const std::string block(700000, 'b');
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(sink->Append(block).ok());
  const int64_t size = sink->Seal().ValueOrDie();
  EXPECT_EQ(size, 21000000);
  ASSERT_TRUE(Publish(env, plan_, size).ok());
  EXPECT_EQ(env->Stat(target_)->size, size);
}

TEST_F(SinkTest, FaultPointsOfTheLifeOfASink) {
  for (const char* name : {"sink.before_sync", "sink.after_sync"}) {
    ASSERT_TRUE(ArmFaultPoints(std::string(name) + ":error").ok());
    EXPECT_FALSE(Seal("content").ok()) << name;
  }
  for (const char* name : {"sink.before_rename", "sink.after_rename"}) {
    const int64_t size = Seal("content").ValueOrDie();
    ASSERT_TRUE(ArmFaultPoints(std::string(name) + ":error").ok());
    EXPECT_FALSE(Publish(env_.get(), plan_, size).ok()) << name;
    EXPECT_TRUE(Publish(env_.get(), plan_, size).ok()) << name;
  }
}

/// The promise behind it all: whatever moment the power goes, after a sealed and committed sink is
/// published again its target is whole, and before that the old result stands.
TEST_F(SinkTest, AnyCrashLeavesTheOldOrTheNewFile) {
  for (int64_t stop = 0; stop < 7; ++stop) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      env_.reset();
      ASSERT_TRUE(Env::Default()->RemoveTree(ParentOf(target_)).ok());
      env_ = FaultEnv::Make(Env::Default(), ParentOf(target_), seed).ValueOrDie();
      const int64_t old_size = Seal("old").ValueOrDie();
      ASSERT_TRUE(Publish(env_.get(), plan_, old_size).ok());

      env_->StopAfter(stop);
      const Result<int64_t> size = Seal("content");
      if (size.ok()) (void)Publish(env_.get(), plan_, *size);
      ASSERT_TRUE(env_->Crash(seed).ok());
      if (size.ok()) {
        ASSERT_TRUE(env_->Exists(plan_.temp_path).ValueOrDie() ||
                    env_->ReadFile(target_).ValueOrDie() == "content")
            << "stop " << stop << " seed " << seed;
        ASSERT_TRUE(Publish(env_.get(), plan_, *size).ok()) << "stop " << stop << " seed " << seed;
        EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "content");
      } else {
        EXPECT_EQ(env_->ReadFile(target_).ValueOrDie(), "old");
        ASSERT_TRUE(Discard(env_.get(), plan_).ok());
      }
      EXPECT_EQ(Names(), std::vector<std::string>{"result.csv"});
    }
  }
}

}  // namespace
}  // namespace capi::files
