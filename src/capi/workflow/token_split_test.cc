#include "capi/workflow/token_split.h"

#include "gtest/gtest.h"

namespace capi::workflow {
namespace {

constexpr int64_t kLeast = INT64_MIN;
constexpr int64_t kMost = INT64_MAX;

TEST(TokenSplitTest, FilesAreNumbered) {
  EXPECT_EQ(TokensOfBatch(true, 0, 1), (TokenInterval{0, 0}));
  EXPECT_EQ(TokensOfBatch(true, 4, 5), (TokenInterval{4, 4}));
}

TEST(TokenSplitTest, OneBatchHasAll) {
  EXPECT_EQ(TokensOfBatch(false, 0, 1), (TokenInterval{kLeast, kMost}));
}

TEST(TokenSplitTest, TheOriginalsTenths) {
  EXPECT_EQ(TokensOfBatch(false, 0, 10), (TokenInterval{kLeast, -7378697629483820649}));
  EXPECT_EQ(TokensOfBatch(false, 4, 10), (TokenInterval{-1844674407370955168, -9}));
  EXPECT_EQ(TokensOfBatch(false, 5, 10), (TokenInterval{-8, 1844674407370955151}));
  EXPECT_EQ(TokensOfBatch(false, 9, 10), (TokenInterval{7378697629483820632, kMost}));
}

TEST(TokenSplitTest, NeighboursTouch) {
  for (const int64_t n : {2, 3, 7, 32767, 1 << 20}) {
    int64_t last = TokensOfBatch(false, 0, n).last;
    for (int64_t batch = 1; batch < n; ++batch) {
      const TokenInterval tokens = TokensOfBatch(false, batch, n);
      ASSERT_EQ(tokens.first, last + 1) << batch << " of " << n;
      ASSERT_LE(tokens.first, tokens.last) << batch << " of " << n;
      last = tokens.last;
    }
    EXPECT_EQ(last, kMost);
  }
}

}  // namespace
}  // namespace capi::workflow
