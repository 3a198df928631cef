#include "capi/queue/rabbitmq/rabbitmq_broker.h"

#include <chrono>
#include <thread>

#include "capi/queue/broker_contract_testing.h"
#include "capi/queue/rabbitmq/topology_internal.h"

namespace capi::queue {
namespace {

class RabbitMqFixture : public BrokerFixture {
 public:
  explicit RabbitMqFixture(bool quorum = true) : url_(Variable("CAPI_TEST_RABBITMQ")) {
    options_.url = url_;
    options_.queue = UnusedName();
    options_.quorum = quorum;
    options_.heartbeat_seconds = 1;
    options_.idle_check_ms = 500;
  }

  std::string Missing() override { return url_.empty() ? "CAPI_TEST_RABBITMQ is not set" : ""; }
  AmqpAddress address() override { return *ParseAmqpAddress(url_); }
  std::string restricted_user() override { return "reader"; }
  bool marks_redelivery() override { return true; }
  std::string control() override { return Variable("CAPI_TEST_RABBITMQ_CONTROL"); }
  std::string certificates() override { return Variable("CAPI_TEST_RABBITMQ_CERTIFICATES"); }
  std::optional<AmqpAddress> tls_address() override {
    const std::string url = Variable("CAPI_TEST_RABBITMQ_TLS");
    if (url.empty()) return std::nullopt;
    return *ParseAmqpAddress(url);
  }

  Result<std::unique_ptr<Broker>> New(const BrokerSettings& settings) override {
    RabbitMqOptions options = options_;
    options.url = ToUrl(settings.address);
    options.tls = settings.tls;
    options.prefetch = settings.prefetch;
    options.connect_timeout_ms = settings.connect_timeout_ms;
    options.publish_timeout_ms = settings.publish_timeout_ms;
    return NewRabbitMqBroker(Env::Default(), options);
  }

  std::unique_ptr<RabbitMqConnection> Connect() {
    auto connection = RabbitMqConnection::Open(Env::Default(), options_, address(), "test");
    EXPECT_TRUE(connection.ok()) << connection.status();
    return connection.ok() ? std::move(*connection) : nullptr;
  }

  void PublishRaw(const std::string& body) override {
    const auto connection = Connect();
    const RabbitMqRoute route = RouteOf(options_);
    amqp_confirm_select(connection->raw(), kChannel);
    ASSERT_TRUE(connection->LastReply("confirm").ok());
    amqp_basic_publish(connection->raw(), kChannel, Bytes(route.exchange), Bytes(route.routing_key),
                       0, 0, nullptr, Bytes(body));
    amqp_method_t method;
    ASSERT_EQ(amqp_simple_wait_method(connection->raw(), kChannel, AMQP_BASIC_ACK_METHOD, &method),
              AMQP_STATUS_OK);
  }

  void DeleteQueue() override {
    const auto connection = Connect();
    const RabbitMqRoute route = RouteOf(options_);
    for (const std::string& queue : {route.queue, route.dead_letter_queue}) {
      if (queue.empty()) continue;
      amqp_queue_delete(connection->raw(), kChannel, Bytes(queue), 0, 0);
      EXPECT_TRUE(connection->LastReply("delete").ok());
    }
    if (route.exchange.empty()) return;
    for (const std::string& exchange : {route.exchange, route.exchange + "_dlx"}) {
      amqp_exchange_delete(connection->raw(), kChannel, Bytes(exchange), 0);
      EXPECT_TRUE(connection->LastReply("delete").ok());
    }
  }

  RabbitMqOptions& options() { return options_; }

 private:
  const std::string url_;
  RabbitMqOptions options_;
};

/// The topology of release 1.1.22, with a short time to live.
class CompatibleFixture : public RabbitMqFixture {
 public:
  CompatibleFixture() {
    options().topology = RabbitMqTopology::kCompatible;
    options().exchange = UnusedName();
    options().handler_queue = UnusedName();
    options().dead_letter_ttl_ms = 100;
  }
  /// Comes back through another queue: a new delivery for the server.
  bool marks_redelivery() override { return false; }
};

const BrokerKind kQuorum = {"RabbitMqQuorum", [] { return std::make_unique<RabbitMqFixture>(); }};
const BrokerKind kClassic = {"RabbitMqClassic",
                             [] { return std::make_unique<RabbitMqFixture>(false); }};
const BrokerKind kCompatible = {"RabbitMqCompatible",
                                [] { return std::make_unique<CompatibleFixture>(); }};

INSTANTIATE_TEST_SUITE_P(RabbitMq, BrokerContract, testing::Values(kQuorum, kClassic, kCompatible),
                         NameOfKind);
INSTANTIATE_TEST_SUITE_P(RabbitMq, BrokerTrouble, testing::Values(kQuorum), NameOfKind);

class RabbitMq : public testing::Test {
 protected:
  void SetUp() override {
    if (!fixture_.Missing().empty()) GTEST_SKIP() << fixture_.Missing();
  }
  std::unique_ptr<Broker> New() {
    auto broker = NewRabbitMqBroker(Env::Default(), fixture_.options());
    EXPECT_TRUE(broker.ok()) << broker.status();
    return std::move(*broker);
  }
  RabbitMqFixture fixture_;
};

TEST_F(RabbitMq, AQueueWithOtherPropertiesIsNamed) {
  fixture_.options().quorum = false;
  ASSERT_OK(New()->Publish(Messages(1)));
  fixture_.options().quorum = true;
  fixture_.options().prefetch = 1;
  const auto broker = New();
  for (const Status& status :
       {broker->Publish(Messages(1)), broker->Receive(10000).status(), broker->Purge()}) {
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << status;
    EXPECT_EQ(InfoOf(status).error_class, "broker_mismatch") << status;
    EXPECT_NE(status.message().find("x-queue-type"), std::string::npos) << status;
    EXPECT_NE(status.message().find(fixture_.options().queue), std::string::npos) << status;
  }
  fixture_.DeleteQueue();
}

TEST_F(RabbitMq, AnotherDeliveryLimitIsNamed) {
  ASSERT_OK(New()->Publish(Messages(1)));
  fixture_.options().delivery_limit = 7;
  const Status status = New()->Publish(Messages(1));
  EXPECT_EQ(InfoOf(status).error_class, "broker_mismatch") << status;
  EXPECT_NE(status.message().find("x-delivery-limit"), std::string::npos) << status;
  fixture_.DeleteQueue();
}

TEST_F(RabbitMq, UnknownVirtualHost) {
  AmqpAddress address = fixture_.address();
  address.virtual_host = "no/such vhost";
  fixture_.options().url = ToUrl(address);
  fixture_.options().prefetch = 1;
  const auto broker = New();
  for (const Status& status : {broker->Check().status(), broker->Publish(Messages(1)),
                               broker->Receive(10000).status(), broker->Purge()}) {
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << status;
    EXPECT_EQ(InfoOf(status).error_class, "broker_unknown_vhost") << status;
    EXPECT_NE(status.message().find("no/such vhost"), std::string::npos) << status;
  }
}

TEST_F(RabbitMq, AQueueDeletedAndMadeAgainAtOnceIsServed) {
  fixture_.options().prefetch = 5;
  const auto broker = New();
  ASSERT_OK(broker->Publish(Messages(1)));
  const auto first = broker->Receive(10000);
  ASSERT_TRUE(first.ok() && *first);
  ASSERT_OK(broker->Settle((*first)->tag, Verdict::kDone));
  {
    // By somebody else on one connection, so that the server has no time to tell.
    const auto connection = fixture_.Connect();
    const std::string& queue = fixture_.options().queue;
    amqp_queue_delete(connection->raw(), kChannel, Bytes(queue), 0, 0);
    ASSERT_OK(connection->LastReply("delete"));
    ASSERT_OK(DeclareTopology(connection.get(), fixture_.options()));
  }
  ASSERT_OK(broker->Publish(Messages(3)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  int taken = 0;
  while (taken < 3 && std::chrono::steady_clock::now() < deadline) {
    const auto delivery = broker->Receive(500);
    if (!delivery.ok() || !*delivery) continue;
    ++taken;
    ASSERT_OK(broker->Settle((*delivery)->tag, Verdict::kDone));
  }
  EXPECT_EQ(taken, 3);
  fixture_.DeleteQueue();
}

TEST_F(RabbitMq, WhatIsHeldTooLongIsSettledEarly) {
  fixture_.options().early_settle_ms = 400;
  fixture_.options().prefetch = 3;
  const auto other = New();
  ASSERT_TRUE(other->SetPrefetch(0).ok());
  {
    const auto broker = New();
    if (fixture_.Connect()->IsAtLeast(3, 12)) GTEST_SKIP() << "the server knows the argument";
    ASSERT_OK(broker->Publish(Messages(2)));
    std::vector<Delivery> held;
    while (held.size() < 2) {
      const auto delivery = broker->Receive(10000);
      ASSERT_TRUE(delivery.ok() && *delivery);
      held.push_back(**delivery);
    }
    // A third one in the buffer is not lost, but given back.
    ASSERT_OK(broker->Publish(Messages(1, 3)));
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    EXPECT_TRUE(broker->SetPrefetch(0).ok());
    // This one is published anew, the other one is done already.
    EXPECT_TRUE(broker->Settle(held[0].tag, Verdict::kAgain).ok());
    EXPECT_EQ(KindOf(broker->Settle(held[0].tag, Verdict::kAgain)), ErrorKind::kBug);
  }
  ASSERT_TRUE(other->SetPrefetch(3).ok());
  std::multiset<int64_t> nodes;
  for (int i = 0; i < 2; ++i) {
    const auto delivery = other->Receive(10000);
    ASSERT_TRUE(delivery.ok() && *delivery);
    nodes.insert((*delivery)->message.node_index);
    ASSERT_TRUE(other->Settle((*delivery)->tag, Verdict::kDone).ok());
  }
  EXPECT_EQ(nodes, (std::multiset<int64_t>{0, 3}));
  const auto none = other->Receive(300);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  fixture_.DeleteQueue();
}

TEST(RabbitMqCompatible, AgainComesBackAfterTheTimeToLive) {
  CompatibleFixture fixture;
  if (!fixture.Missing().empty()) GTEST_SKIP() << fixture.Missing();
  fixture.options().dead_letter_ttl_ms = 1000;
  fixture.options().prefetch = 1;
  {
    const auto broker = std::move(*NewRabbitMqBroker(Env::Default(), fixture.options()));
    ASSERT_OK(broker->Publish(Messages(1)));
    for (int i = 0; i < 2; ++i) {
      const auto delivery = broker->Receive(10000);
      ASSERT_TRUE(delivery.ok() && *delivery);
      const auto begin = std::chrono::steady_clock::now();
      ASSERT_TRUE(broker->Settle((*delivery)->tag, Verdict::kAgain).ok());
      const auto again = broker->Receive(10000);
      ASSERT_TRUE(again.ok() && *again);
      EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(990));
      ASSERT_TRUE(broker->Settle((*again)->tag, i == 0 ? Verdict::kAgain : Verdict::kDone).ok());
    }
  }
  fixture.DeleteQueue();
}

TEST(RabbitMqCompatible, DeclaresWhatRelease1122Declares) {
  CompatibleFixture fixture;
  if (!fixture.Missing().empty()) GTEST_SKIP() << fixture.Missing();
  const RabbitMqOptions& options = fixture.options();
  {
    const auto broker = std::move(*NewRabbitMqBroker(Env::Default(), options));
    ASSERT_OK(broker->Publish(Messages(1)));
    // spec/broker.md 2, declared by hand as another program would: equal, or the server objects.
    const auto connection = fixture.Connect();
    const std::string dead_exchange = options.exchange + "_dlx";
    const std::string dead_queue = options.handler_queue + "_dlx";
    for (const std::string& exchange : {options.exchange, dead_exchange}) {
      amqp_exchange_declare(connection->raw(), kChannel, Bytes(exchange), Bytes("direct"), 0, 0, 0,
                            0, amqp_empty_table);
      ASSERT_TRUE(connection->LastReply("declare").ok());
    }
    const auto text = [](const char* name, const std::string& value) {
      amqp_table_entry_t entry;
      entry.key = amqp_cstring_bytes(name);
      entry.value.kind = AMQP_FIELD_KIND_UTF8;
      entry.value.value.bytes = Bytes(value);
      return entry;
    };
    std::vector<amqp_table_entry_t> live = {text("x-dead-letter-exchange", dead_exchange),
                                            text("x-dead-letter-routing-key", dead_queue)};
    amqp_queue_declare(connection->raw(), kChannel, Bytes(options.handler_queue), 0, 0, 0, 0,
                       {static_cast<int>(live.size()), live.data()});
    Status declared = connection->LastReply("declare");
    ASSERT_TRUE(declared.ok()) << declared;
    std::vector<amqp_table_entry_t> dead = {
        text("x-dead-letter-exchange", options.exchange),
        text("x-dead-letter-routing-key", options.handler_queue)};
    dead.emplace_back();
    dead.back().key = amqp_cstring_bytes("x-message-ttl");
    dead.back().value.kind = AMQP_FIELD_KIND_I32;
    dead.back().value.value.i32 = static_cast<int32_t>(options.dead_letter_ttl_ms);
    amqp_queue_declare(connection->raw(), kChannel, Bytes(dead_queue), 0, 0, 0, 0,
                       {static_cast<int>(dead.size()), dead.data()});
    declared = connection->LastReply("declare");
    ASSERT_TRUE(declared.ok()) << declared;
  }
  fixture.DeleteQueue();
}

TEST(RabbitMqOptionsTest, WrongOnesAreRefused) {
  const auto expect_refused = [](const char* error_class, auto change) {
    RabbitMqOptions options;
    options.url = "amqp://localhost";
    change(&options);
    const auto broker = NewRabbitMqBroker(Env::Default(), options);
    ASSERT_FALSE(broker.ok());
    EXPECT_EQ(KindOf(broker.status()), ErrorKind::kUser) << broker.status();
    EXPECT_EQ(InfoOf(broker.status()).error_class, error_class) << broker.status();
  };
  expect_refused("bad_address", [](auto* o) { o->url = ""; });
  expect_refused("bad_address", [](auto* o) { o->url = "localhost"; });
  expect_refused("bad_option", [](auto* o) { o->queue = ""; });
  expect_refused("bad_option", [](auto* o) { o->queue = "amq.x"; });
  expect_refused("bad_option", [](auto* o) { o->queue = std::string(300, 'q'); });
  expect_refused("bad_option", [](auto* o) { o->exchange = ""; });
  expect_refused("bad_option", [](auto* o) { o->handler_queue = ""; });
  expect_refused("bad_option", [](auto* o) { o->delivery_limit = 0; });
  expect_refused("bad_option", [](auto* o) { o->consumer_timeout_ms = 59999; });
  expect_refused("bad_option", [](auto* o) { o->early_settle_ms = -1; });
  expect_refused("bad_option", [](auto* o) { o->dead_letter_ttl_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->connect_timeout_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->publish_timeout_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->idle_check_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->heartbeat_seconds = -1; });
  expect_refused("bad_option", [](auto* o) { o->first_pause_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->longest_pause_ms = 1; });
  expect_refused("bad_option", [](auto* o) { o->tls.key_path = "/k"; });
  RabbitMqOptions options;
  options.url = "amqp://localhost";
  options.prefetch = -1;
  EXPECT_EQ(KindOf(NewRabbitMqBroker(Env::Default(), options).status()), ErrorKind::kBug);
}

}  // namespace
}  // namespace capi::queue
