#include <gtest/gtest.h>

#include <string>

#include "capi/cql/driver_internal.h"
#include "capi/cql/errors_internal.h"

namespace capi::cql {
namespace {

std::string ClassOf(int32_t code, std::string_view message, Repeat repeat = Repeat::kOnce) {
  return InfoOf(MakeCqlError(code, message, "", repeat)).error_class;
}

TEST(CqlErrorTest, TextsTellWhatIsUnknown) {
  EXPECT_EQ(ClassOf(kCqlInvalid, "table t does not exist"), "cql_unknown_table");
  EXPECT_EQ(ClassOf(kCqlInvalid, "Table 'ks.t' doesn't exist"), "cql_unknown_table");
  EXPECT_EQ(ClassOf(kCqlInvalid, "unconfigured table t"), "cql_unknown_table");
  EXPECT_EQ(ClassOf(kCqlInvalid, "keyspace ks does not exist"), "cql_unknown_keyspace");
  EXPECT_EQ(ClassOf(kCqlInvalid, "Keyspace 'ks' doesn't exist"), "cql_unknown_keyspace");
  EXPECT_EQ(ClassOf(kCqlInvalid, "Type ks.x does not exist"), "cql_invalid");
  EXPECT_EQ(ClassOf(kCqlInvalid, "table t cannot be altered"), "cql_invalid");
}

TEST(CqlErrorTest, KindsFollowTheCode) {
  const auto kind = [](int32_t code) {
    return KindOf(MakeCqlError(code, "m", "s", Repeat::kOnce));
  };
  EXPECT_EQ(kind(kCqlInvalid), ErrorKind::kUser);
  EXPECT_EQ(kind(kCqlUnauthorized), ErrorKind::kUser);
  EXPECT_EQ(kind(kCqlAlreadyExists), ErrorKind::kUser);
  EXPECT_EQ(kind(kCqlBadConfiguration), ErrorKind::kUser);
  EXPECT_EQ(kind(kCqlUnavailable), ErrorKind::kRetriable);
  EXPECT_EQ(kind(kCqlTimedOut), ErrorKind::kRetriable);
}

TEST(CqlErrorTest, OnlyWhatMayHaveHappenedIsUncertain) {
  for (const int32_t code : {kCqlTimedOut, kCqlBroken}) {
    EXPECT_EQ(ClassOf(code, "m", Repeat::kOnce), "cql_uncertain");
    EXPECT_EQ(ClassOf(code, "m", Repeat::kIdempotent), "cql_unavailable");
    EXPECT_FALSE(MayRepeat(code, Repeat::kOnce));
    EXPECT_TRUE(MayRepeat(code, Repeat::kIdempotent));
  }
  for (const int32_t code : {kCqlUnavailable, kCqlOverloaded}) {
    EXPECT_EQ(ClassOf(code, "m", Repeat::kOnce), "cql_unavailable");
    EXPECT_TRUE(MayRepeat(code, Repeat::kOnce));
  }
  for (const int32_t code :
       {kCqlInvalid, kCqlUnauthorized, kCqlAlreadyExists, kCqlBadConfiguration}) {
    EXPECT_FALSE(MayRepeat(code, Repeat::kIdempotent));
  }
}

TEST(CqlErrorTest, NamesTheStatementShortened) {
  const std::string text =
      MakeCqlError(kCqlInvalid, "bad", std::string(2000, 's'), Repeat::kOnce).message();
  EXPECT_LT(text.size(), 600U);
  EXPECT_NE(text.find("bad (sss"), std::string::npos);
  EXPECT_TRUE(text.ends_with("...)")) << text;
}

}  // namespace
}  // namespace capi::cql
