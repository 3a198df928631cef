#include "capi/queue/broker.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace capi::queue {
namespace {

TEST(BatchMessageJson, IsTheStatedObject) {
  EXPECT_EQ(ToJson({"ks1", 3, 7, 10, 20}),
            R"({"v":1,"ks":"ks1","run":3,"node":7,"begin":10,"end":20})");
}

TEST(BatchMessageJson, ComesBack) {
  for (const BatchMessage& message :
       {BatchMessage{"ks", 1, 0, 0, 1}, BatchMessage{"ks", 1, 0, -1, -1},
        BatchMessage{"ks", 1, 0, -1, 0}, BatchMessage{"k\"\\\n\xc3\xa9", 0, 5, 3, 4},
        BatchMessage{"k", std::numeric_limits<int64_t>::max(), 2, 0,
                     std::numeric_limits<int64_t>::max()}}) {
    const auto back = BatchMessageFromJson(ToJson(message));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, message);
  }
}

TEST(BatchMessageJson, IgnoresUnknownMembersAndOrder) {
  const auto message = BatchMessageFromJson(
      R"( {"end":2,"begin":1,"new":{"a":[1,2]},"node":0,"run":9,"ks":"a","v":1} )");
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(*message, (BatchMessage{"a", 9, 0, 1, 2}));
}

TEST(BatchMessageJson, BadUtf8OfAKeyspaceDoesNotThrow) {
  EXPECT_NE(ToJson({"a\xff", 1, 0, 0, 1}).find("\"v\":1"), std::string::npos);
}

class BadMessage : public testing::TestWithParam<std::string> {};

TEST_P(BadMessage, IsTheSendersError) {
  const auto message = BatchMessageFromJson(GetParam());
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(InfoOf(message.status()).kind, ErrorKind::kUser);
  EXPECT_EQ(InfoOf(message.status()).error_class, "bad_message");
}

INSTANTIATE_TEST_SUITE_P(
    All, BadMessage,
    testing::Values("", " ", "null", "1", "\"text\"", "[]", "{}", "{", "}",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":0,"end":1)",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":0,"end":1}{})",
                    R"([{"v":1,"ks":"a","run":1,"node":0,"begin":0,"end":1}])",
                    R"({"ks":"a","run":1,"node":0,"begin":0,"end":1})",
                    R"({"v":2,"ks":"a","run":1,"node":0,"begin":0,"end":1})",
                    R"({"v":"1","ks":"a","run":1,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"run":1,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"","run":1,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":7,"run":1,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":-1,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":1.0,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":1e3,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":null,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":18446744073709551615,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":9223372036854775808,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":99999999999999999999999,"node":0,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":1,"node":-1,"begin":0,"end":1})",
                    R"({"v":1,"ks":"a","run":1,"node":-2,"begin":-1,"end":0})",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":-2,"end":1})",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":0,"end":0})",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":5,"end":4})",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":true,"end":1})",
                    R"({"v":1,"ks":"a","run":1,"node":0,"begin":0})",
                    // A message of the original, which shares no member with ours.
                    R"({"ts":1700000000000,"msg_type":1,"payload":{"ks":"a","run_id":1}})",
                    std::string("\x00\x01\xff\xfe", 4), std::string("{\"v\":1,\"ks\":\"\xff\"}"),
                    std::string(100000, '['), std::string(100000, ' ')));

}  // namespace
}  // namespace capi::queue
