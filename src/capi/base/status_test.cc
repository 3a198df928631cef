#include "capi/base/status.h"

#include <gtest/gtest.h>

namespace capi {
namespace {

TEST(StatusTest, KindAndClassTravelWithTheStatus) {
  EXPECT_EQ(KindOf(EnvironmentError("x")), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(RetriableError("x")), ErrorKind::kRetriable);
  EXPECT_EQ(KindOf(CancelledError("x")), ErrorKind::kCancelled);
  EXPECT_EQ(KindOf(BugError("x")), ErrorKind::kBug);
  const Result<int> failed = UserError("bad_json", "unexpected end");
  EXPECT_EQ(KindOf(failed.status()), ErrorKind::kUser);
  EXPECT_EQ(InfoOf(failed.status()).error_class, "bad_json");
}

TEST(StatusTest, ForeignErrorsGetAKindAndUnknownOnesAreBugs) {
  EXPECT_EQ(KindOf(Status::IOError("x")), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(Status::OutOfMemory("x")), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(Status::Cancelled("x")), ErrorKind::kCancelled);
  EXPECT_EQ(KindOf(Status::Invalid("x")), ErrorKind::kBug);
}

TEST(StatusTest, PrefixKeepsTheInfo) {
  const Status status = Prefixed(UserError("bad_json", "unexpected end"), "params: ");
  EXPECT_EQ(status.message(), "params: unexpected end");
  EXPECT_EQ(InfoOf(status).error_class, "bad_json");
  EXPECT_TRUE(Prefixed(Status::OK(), "params: ").ok());
}

TEST(StatusTest, LocatedFillsOnlyWhatIsUnknown) {
  const Status inner = Located(UserError("c", "message"), {"script.json", 3, 7}, "nodes.a");
  const Status outer = Located(inner, {"other.json", 1, 1}, "nodes");
  EXPECT_EQ(Describe(outer), "script.json:3:7: nodes.a: message");
  EXPECT_EQ(Describe(Located(UserError("c", "message"), {"script.json", 0, 0}, "")),
            "script.json: message");
  EXPECT_TRUE(Located(Status::OK(), {"script.json", 3, 7}, "").ok());
  EXPECT_EQ(Describe(Status::OK()), "ok");
}

}  // namespace
}  // namespace capi
