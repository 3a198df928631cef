#include <gtest/gtest.h>

#include <string>

#include "capi/exec/context.h"

namespace capi::exec {
namespace {

class SpillTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "capi_spill_" + std::to_string(Env::Default()->Random());
    context_.env = Env::Default();
    context_.spill_directory = directory_;
    context_.progress = &progress_;
  }
  void TearDown() override { EXPECT_TRUE(Env::Default()->RemoveTree(directory_).ok()); }

  std::string directory_;
  Progress progress_;
  Context context_;
};

TEST_F(SpillTest, ReadsBackWhatWasAppended) {
  auto file = NewSpillFile(context_).ValueOrDie();
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string piece(static_cast<size_t>(i % 257), static_cast<char>('a' + i % 26));
    expected += piece;
    ASSERT_TRUE(file->Append(piece).ok());
  }
  const std::string large(1 << 20, 'x');
  expected += large;
  ASSERT_TRUE(file->Append(large).ok());
  EXPECT_EQ(file->size(), static_cast<int64_t>(expected.size()));
  EXPECT_EQ(file->FinishAndMap().ValueOrDie(), expected);
  EXPECT_EQ(file->FinishAndMap().ValueOrDie(), expected);
  EXPECT_EQ(progress_.spilled_bytes, static_cast<int64_t>(expected.size()));
}

TEST_F(SpillTest, LeavesNothingInTheDirectory) {
  auto file = NewSpillFile(context_).ValueOrDie();
  ASSERT_TRUE(file->Append("abc").ok());
  EXPECT_TRUE(Env::Default()->ListDirectory(directory_).ValueOrDie().empty());
}

TEST_F(SpillTest, MayStayEmpty) {
  context_.progress = nullptr;
  auto file = NewSpillFile(context_).ValueOrDie();
  EXPECT_EQ(file->FinishAndMap().ValueOrDie(), "");
}

TEST_F(SpillTest, RefusesAppendsAfterTheEnd) {
  auto file = NewSpillFile(context_).ValueOrDie();
  ASSERT_TRUE(file->FinishAndMap().ok());
  EXPECT_EQ(KindOf(file->Append("abc")), ErrorKind::kBug);
}

TEST_F(SpillTest, RefusesAMissingOrUnusableDirectory) {
  context_.spill_directory = "";
  EXPECT_EQ(KindOf(NewSpillFile(context_).status()), ErrorKind::kBug);
  context_.spill_directory = "/dev/null/spill";
  const Status status = NewSpillFile(context_).status();
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << status;
  EXPECT_NE(status.message().find("/dev/null/spill"), std::string::npos);
}

}  // namespace
}  // namespace capi::exec
