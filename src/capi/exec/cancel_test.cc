#include "capi/exec/cancel.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace capi::exec {
namespace {

TEST(CancelTokenTest, StartsUncancelled) {
  const CancelToken token;
  EXPECT_FALSE(token.cancelled());
  EXPECT_TRUE(token.Check().ok());
}

TEST(CancelTokenTest, CopiesShareTheStateAndTheFirstReasonStays) {
  const CancelToken token;
  const CancelToken copy = token;
  token.Cancel(CancelledError("first"));
  copy.Cancel(CancelledError("second"));
  EXPECT_EQ(copy.Check().message(), "first");
}

TEST(CancelTokenTest, TheReasonIsAlwaysOfKindCancelled) {
  for (const Status& reason :
       {Status::OK(), EnvironmentError("disk full"), CancelledError("stop")}) {
    const CancelToken token;
    token.Cancel(reason);
    EXPECT_EQ(KindOf(token.Check()), ErrorKind::kCancelled);
    if (!reason.ok()) {
      EXPECT_EQ(token.reason().message(), reason.message());
    }
  }
}

TEST(CancelTokenTest, ChildrenFollowTheirParentButNotTheReverse) {
  const CancelToken parent;
  const CancelToken child = parent.Child();
  const CancelToken grandchild = child.Child();
  const CancelToken sibling = parent.Child();
  child.Cancel(CancelledError("child"));
  EXPECT_FALSE(parent.cancelled());
  EXPECT_FALSE(sibling.cancelled());
  EXPECT_TRUE(grandchild.cancelled());
  parent.Cancel(CancelledError("parent"));
  EXPECT_EQ(sibling.reason().message(), "parent");
  EXPECT_EQ(child.reason().message(), "child");
  EXPECT_EQ(parent.Child().reason().message(), "parent");
}

TEST(CancelTokenTest, ManyShortLivedChildren) {
  const CancelToken parent;
  const CancelToken kept = parent.Child();
  for (int i = 0; i < 10000; ++i) parent.Child();
  parent.Cancel(CancelledError("stop"));
  EXPECT_TRUE(kept.cancelled());
}

TEST(CancelTokenTest, CancelRacesWithCheckAndChild) {
  const CancelToken token;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!token.Child().cancelled()) std::this_thread::yield();
      EXPECT_EQ(token.Check().message(), "stop");
    });
  }
  token.Cancel(CancelledError("stop"));
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace capi::exec
