#include "capi/service/connectivity.h"

#include <gtest/gtest.h>

#include "capi/service/keyspace.h"

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
  EXPECT_FALSE(KeyspaceOptionsOf(config, "ks").ok());
}

TEST(ConnectivityTest, TheQueueThatIsChosen) {
  config::Config config;
  EXPECT_EQ(QueueUrlOf(config), "");
  config.capimq_client.url = "http://h:7654";
  EXPECT_EQ(QueueUrlOf(config), "http://h:7654");
  config.amqp.url = "amqp://u:p@rabbit/";
  EXPECT_EQ(QueueUrlOf(config), "amqp://u:p@rabbit/");
  config.amqp10.url = "amqp://u:p@artemis/";
  EXPECT_EQ(QueueUrlOf(config), "amqp://u:p@rabbit/");  // no address
  config.amqp10.address = "capillaries";
  EXPECT_EQ(QueueUrlOf(config), "amqp://u:p@artemis/");
  config.mq_type = "AMQP";
  EXPECT_EQ(QueueUrlOf(config), "amqp://u:p@rabbit/");
  config.mq_type = "capimq";
  EXPECT_EQ(QueueUrlOf(config), "http://h:7654");
  config.mq_type = "amqp10";
  EXPECT_EQ(QueueUrlOf(config), "amqp://u:p@artemis/");
  config.amqp10.address = "";
  EXPECT_EQ(QueueUrlOf(config), "");
}

TEST(ConnectivityTest, PasswordsAreNotShown) {
  config::Config config;
  config.amqp.url = "amqp://user:sesame@rabbit/";
  EXPECT_EQ(CheckQueue(config).status().message().find("sesame"), std::string::npos);
}

}  // namespace
}  // namespace capi::service
