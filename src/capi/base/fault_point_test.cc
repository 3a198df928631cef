#include "capi/base/fault_point.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace capi {
namespace {

Status Step() {
  CAPI_FAULT_POINT("test.step");
  return Status::OK();
}

Result<int> StepWithValue() {
  CAPI_FAULT_POINT("test.value");
  return 7;
}

class FaultPointTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(ArmFaultPoints("").ok()); }
};

TEST_F(FaultPointTest, OffByDefault) {
  EXPECT_TRUE(Step().ok());
  EXPECT_EQ(StepWithValue().ValueOrDie(), 7);
}

TEST_F(FaultPointTest, FailsTheChosenHitOnly) {
  ASSERT_TRUE(ArmFaultPoints("test.step:error:3,test.value:error").ok());
  EXPECT_TRUE(Step().ok());
  EXPECT_TRUE(Step().ok());
  const Status status = Step();
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
  EXPECT_NE(status.message().find("test.step"), std::string::npos);
  EXPECT_TRUE(Step().ok());
  EXPECT_FALSE(StepWithValue().ok());
  EXPECT_TRUE(StepWithValue().ok());
}

TEST_F(FaultPointTest, KillsTheProcessWithAKnownStatus) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        (void)ArmFaultPoints("test.step:kill:2");
        (void)Step();
        (void)Step();
      },
      testing::ExitedWithCode(kFaultExitStatus), "");
}

TEST_F(FaultPointTest, StopsTheProcessUntilItIsContinued) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool armed = ArmFaultPoints("test.step:stop:2").ok();
    const bool passed = Step().ok() && Step().ok() && Step().ok();
    _exit(armed && passed ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  EXPECT_TRUE(WIFSTOPPED(status)) << status;
  ASSERT_EQ(kill(child, SIGCONT), 0);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(FaultPointTest, RefusesWrongSpecsAndKeepsWhatWasArmed) {
  ASSERT_TRUE(ArmFaultPoints("test.step:error").ok());
  for (const char* spec : {"test.step", "test.step:explode", ":kill", "test.step:kill:0",
                           "test.step:kill:x", "test.step:kill:1:2", "a:kill,,b:kill"}) {
    const Status status = ArmFaultPoints(spec);
    EXPECT_EQ(InfoOf(status).error_class, "bad_fault_spec") << spec;
  }
  EXPECT_FALSE(Step().ok());
}

}  // namespace
}  // namespace capi
