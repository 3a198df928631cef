#include "capi/cli/exit_deadline.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "capi/cli/commands.h"

namespace capi::cli {
namespace {

using std::chrono::milliseconds;

TEST(ExitDeadlineTest, EndsAProcessThatIsLate) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        ExitDeadline deadline;
        deadline.Start(milliseconds(20), "too late");
        while (true) pause();
      },
      testing::ExitedWithCode(kExitFailed), "too late");
}

TEST(ExitDeadlineTest, DoesNothingToOneThatEndsInTime) {
  { const ExitDeadline never_started; }
  const auto begun = std::chrono::steady_clock::now();
  {
    ExitDeadline deadline;
    deadline.Start(std::chrono::hours(1), "too late");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::minutes(1));
}

}  // namespace
}  // namespace capi::cli
