#include "capi/service/connectivity.h"

#include <gtest/gtest.h>

namespace capi::service {
namespace {

TEST(ConnectivityTest, NothingIsNeededWithoutACluster) {
  const config::Config config;
  const Connectivity database = CheckDatabase(config).ValueOrDie();
  EXPECT_FALSE(database.needed);
  EXPECT_EQ(database.endpoint, "embedded");
  EXPECT_NE(database.note.find("cassandra.hosts"), std::string::npos);
  const Connectivity queue = CheckQueue(config).ValueOrDie();
  EXPECT_FALSE(queue.needed);
  EXPECT_EQ(queue.endpoint, "embedded");
  EXPECT_NE(queue.note.find("amqp.url"), std::string::npos);
}

TEST(ConnectivityTest, AClusterNeedsAQueue) {
  config::Config config;
  config.cassandra.hosts = {"a", "b"};
  EXPECT_EQ(InfoOf(CheckQueue(config).status()).error_class, "no_queue");
}

TEST(ConnectivityTest, PasswordsAreNotShown) {
  config::Config config;
  config.amqp.url = "amqp://user:sesame@rabbit/";
  EXPECT_EQ(CheckQueue(config).status().message().find("sesame"), std::string::npos);
}

}  // namespace
}  // namespace capi::service
