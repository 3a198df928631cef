#include "capi/service/message_broker.h"

#include <gtest/gtest.h>

namespace capi::service {
namespace {

TEST(MessageBrokerTest, TheQueueThatIsChosen) {
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

TEST(MessageBrokerTest, WhatCannotBeUsed) {
  config::Config config;
  EXPECT_EQ(InfoOf(OpenBrokerOf(Env::Default(), config).status()).error_class, "no_queue");
  config.mq_type = "amqp";
  EXPECT_EQ(InfoOf(OpenBrokerOf(Env::Default(), config).status()).error_class, "no_queue");
  config.capimq_client.url = "http://h:7654";
  config.mq_type = "capimq";
  EXPECT_EQ(InfoOf(OpenBrokerOf(Env::Default(), config).status()).error_class, "unsupported_queue");
#ifdef CAPI_WITH_CLUSTER
  config.mq_type = "";
  config.amqp.url = "no address";
  EXPECT_EQ(InfoOf(OpenBrokerOf(Env::Default(), config).status()).error_class, "bad_address");
#endif
}

}  // namespace
}  // namespace capi::service
