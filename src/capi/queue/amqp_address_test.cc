#include "capi/queue/amqp_address.h"

#include <string>

#include "gtest/gtest.h"

namespace capi::queue {
namespace {

AmqpAddress Parsed(const std::string& url) {
  const auto address = ParseAmqpAddress(url);
  EXPECT_TRUE(address.ok()) << url << ": " << address.status();
  return address.ok() ? *address : AmqpAddress{};
}

TEST(AmqpAddress, Parts) {
  EXPECT_EQ(Parsed("amqp://h"), (AmqpAddress{false, "h", 5672, "guest", "guest", "/"}));
  EXPECT_EQ(Parsed("amqp://guest:guest@127.0.0.1/"),
            (AmqpAddress{false, "127.0.0.1", 5672, "guest", "guest", "/"}));
  EXPECT_EQ(Parsed("amqps://u:p@h.example.org:77/v"),
            (AmqpAddress{true, "h.example.org", 77, "u", "p", "v"}));
  EXPECT_EQ(Parsed("amqps://h").port, 5671);
  EXPECT_EQ(Parsed("amqp://u@h"), (AmqpAddress{false, "h", 5672, "u", "", "/"}));
  EXPECT_EQ(Parsed("amqp://u:@h").password, "");
}

TEST(AmqpAddress, PercentEncoding) {
  EXPECT_EQ(Parsed("amqp://a%40b:p%2f%3A%25@h/%2f"),
            (AmqpAddress{false, "h", 5672, "a@b", "p/:%", "/"}));
  EXPECT_EQ(Parsed("amqp://h/a%2Fb").virtual_host, "a/b");
  EXPECT_EQ(Parsed("amqp://h/a/b").virtual_host, "a/b");
  EXPECT_EQ(Parsed("amqp://u:a:b@h").password, "a:b");
  EXPECT_EQ(Parsed("amqp://u:a@b@h").password, "a@b");
}

TEST(AmqpAddress, Ipv6) {
  EXPECT_EQ(Parsed("amqp://[::1]").host, "::1");
  EXPECT_EQ(Parsed("amqp://[::1]:99/v"), (AmqpAddress{false, "::1", 99, "guest", "guest", "v"}));
}

class BadAmqpAddress : public testing::TestWithParam<const char*> {};

TEST_P(BadAmqpAddress, IsAUserErrorThatKeepsThePassword) {
  const auto address = ParseAmqpAddress(GetParam());
  ASSERT_FALSE(address.ok());
  EXPECT_EQ(InfoOf(address.status()).kind, ErrorKind::kUser);
  EXPECT_EQ(InfoOf(address.status()).error_class, "bad_address");
  EXPECT_EQ(address.status().message().find("secret"), std::string::npos) << address.status();
}

INSTANTIATE_TEST_SUITE_P(All, BadAmqpAddress,
                         testing::Values("", "h", "localhost:5672", "http://u:secret@h/", "amqp:/h",
                                         "amqp://", "amqp://u:secret@", "amqp://:5672",
                                         "amqp://u:secret@h:", "amqp://u:secret@h:x",
                                         "amqp://u:secret@h:0", "amqp://u:secret@h:65536",
                                         "amqp://u:secret@h:-1", "amqp://u:secret@h:5672x",
                                         "amqp://::1", "amqp://[::1", "amqp://[::1]x", "amqp://[]",
                                         "amqp://u:secret%2@h", "amqp://u%zz:secret@h",
                                         "amqp://u:secret%00@h", "amqp://h/%", "amqp://:secret@h",
                                         "amqp://u:secret@h?heartbeat=1", "amqp://u:secret@h/#v",
                                         "amqp://u:secret@h h", "AMQP://u:secret@h"));

}  // namespace
}  // namespace capi::queue
