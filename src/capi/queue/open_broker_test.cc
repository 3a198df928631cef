#include "capi/queue/open_broker.h"

#include "gtest/gtest.h"

namespace capi::queue {
namespace {

TEST(OpenBroker, ChoosesByOptionsOrSaysWhatIsMissing) {
  RabbitMqOptions rabbitmq;
  rabbitmq.url = "amqp://localhost";
  Amqp10Options amqp10;
  amqp10.url = "amqp://localhost";
  for (const BrokerOptions& options : {BrokerOptions(rabbitmq), BrokerOptions(amqp10)}) {
    const auto broker = OpenBroker(Env::Default(), options);
    if (broker.ok()) continue;
    EXPECT_EQ(KindOf(broker.status()), ErrorKind::kUser) << broker.status();
    EXPECT_EQ(InfoOf(broker.status()).error_class, "broker_not_built") << broker.status();
  }
}

TEST(OpenBroker, WrongOptionsAreRefused) {
  for (const BrokerOptions& options :
       {BrokerOptions(RabbitMqOptions{}), BrokerOptions(Amqp10Options{})}) {
    const auto broker = OpenBroker(Env::Default(), options);
    ASSERT_FALSE(broker.ok());
    EXPECT_EQ(KindOf(broker.status()), ErrorKind::kUser) << broker.status();
  }
}

}  // namespace
}  // namespace capi::queue
