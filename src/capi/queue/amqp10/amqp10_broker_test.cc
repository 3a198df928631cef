#include "capi/queue/amqp10/amqp10_broker.h"

#include <proton/codec.h>
#include <proton/disposition.h>
#include <proton/message.h>

#include <array>
#include <chrono>

#include "capi/queue/amqp10/connection_internal.h"
#include "capi/queue/amqp10/message_internal.h"
#include "capi/queue/broker_contract_testing.h"

namespace capi::queue {
namespace {

class ArtemisFixture : public BrokerFixture {
 public:
  ArtemisFixture() : url_(Variable("CAPI_TEST_ARTEMIS")) {
    options_.url = url_;
    options_.address = UnusedName();
    options_.heartbeat_seconds = 1;
  }

  std::string Missing() override { return url_.empty() ? "CAPI_TEST_ARTEMIS is not set" : ""; }
  AmqpAddress address() override { return *ParseAmqpAddress(url_); }
  std::string restricted_user() override { return "reader"; }
  /// Artemis does not count what is released.
  bool marks_redelivery() override { return false; }
  std::string control() override { return Variable("CAPI_TEST_ARTEMIS_CONTROL"); }
  std::string certificates() override { return Variable("CAPI_TEST_ARTEMIS_CERTIFICATES"); }
  std::optional<AmqpAddress> tls_address() override {
    const std::string url = Variable("CAPI_TEST_ARTEMIS_TLS");
    if (url.empty()) return std::nullopt;
    return *ParseAmqpAddress(url);
  }

  Result<std::unique_ptr<Broker>> New(const BrokerSettings& settings) override {
    Amqp10Options options = options_;
    options.url = ToUrl(settings.address);
    options.tls = settings.tls;
    options.prefetch = settings.prefetch;
    options.connect_timeout_ms = settings.connect_timeout_ms;
    options.publish_timeout_ms = settings.publish_timeout_ms;
    return NewAmqp10Broker(Env::Default(), options);
  }

  void PublishRaw(const std::string& body) override {
    SendEncoded(options_.address, EncodeAmqp10Message(body));
  }

  void DeleteQueue() override {
    const std::unique_ptr<pn_message_t, decltype(&pn_message_free)> message(pn_message(),
                                                                            &pn_message_free);
    const auto text = [](const std::string& value) { return pn_bytes(value.size(), value.data()); };
    pn_data_t* const properties = pn_message_properties(message.get());
    pn_data_put_map(properties);
    pn_data_enter(properties);
    for (const char* word : {"_AMQ_ResourceName", "broker", "_AMQ_OperationName",
                             "destroyQueue(java.lang.String,boolean,boolean)"}) {
      pn_data_put_string(properties, text(word));
    }
    pn_data_exit(properties);
    const std::string arguments = "[\"" + options_.address + "\",true,true]";
    pn_data_put_string(pn_message_body(message.get()), text(arguments));
    std::array<char, 4096> encoded;
    size_t size = encoded.size();
    ASSERT_EQ(pn_message_encode(message.get(), encoded.data(), &size), 0);
    SendEncoded("activemq.management", std::string(encoded.data(), size));
  }

  /// Waits until it is accepted.
  void SendEncoded(const std::string& address, const std::string& encoded) {
    auto opened = Amqp10Connection::Open(Env::Default(), options_, this->address(), "test");
    ASSERT_TRUE(opened.ok()) << opened.status();
    Amqp10Connection* const connection = opened->get();
    const auto link = connection->OpenSender(address);
    ASSERT_TRUE(link.ok()) << link.status();
    pn_delivery_t* const delivery = pn_delivery(*link, pn_dtag("t", 1));
    pn_link_send(*link, encoded.data(), encoded.size());
    pn_link_advance(*link);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (pn_delivery_remote_state(delivery) == 0 && std::chrono::steady_clock::now() < deadline) {
      connection->Exchange();
      while (true) {
        const auto event = connection->NextEvent();
        ASSERT_TRUE(event.ok()) << event.status();
        if (*event == nullptr) break;
      }
      connection->Wait(nullptr, 100);
    }
    ASSERT_EQ(pn_delivery_remote_state(delivery), uint64_t{PN_ACCEPTED});
  }

  Amqp10Options& options() { return options_; }

 private:
  const std::string url_;
  Amqp10Options options_;
};

const BrokerKind kArtemis = {"Artemis", [] { return std::make_unique<ArtemisFixture>(); }};

INSTANTIATE_TEST_SUITE_P(Amqp10, BrokerContract, testing::Values(kArtemis), NameOfKind);
INSTANTIATE_TEST_SUITE_P(Amqp10, BrokerTrouble, testing::Values(kArtemis), NameOfKind);

TEST(Amqp10Retry, RejectedMessagesGoTheWayOfTheBroker) {
  ArtemisFixture fixture;
  if (!fixture.Missing().empty()) GTEST_SKIP() << fixture.Missing();
  // This Artemis has no address for dead letters: what is rejected is gone.
  fixture.options().retry = Amqp10Retry::kReject;
  fixture.options().prefetch = 1;
  {
    const auto broker = std::move(*NewAmqp10Broker(Env::Default(), fixture.options()));
    ASSERT_OK(broker->Publish(Messages(2)));
    for (int64_t begin = 0; begin < 2; ++begin) {
      const auto delivery = broker->Receive(10000);
      ASSERT_TRUE(delivery.ok() && *delivery);
      EXPECT_EQ((*delivery)->message.begin, begin);
      ASSERT_OK(broker->Settle((*delivery)->tag, Verdict::kAgain));
    }
    const auto none = broker->Receive(300);
    ASSERT_TRUE(none.ok()) << none.status();
    EXPECT_FALSE(none->has_value());
  }
  fixture.DeleteQueue();
}

TEST(Amqp10Message, BodiesComeBack) {
  for (const std::string& body :
       {std::string(), std::string("x"), std::string("\0\xff\x80", 3), std::string(200000, 'y')}) {
    const auto content = DecodeAmqp10Message(EncodeAmqp10Message(body));
    ASSERT_TRUE(content);
    EXPECT_EQ(content->body, body);
    EXPECT_FALSE(content->redelivered);
  }
}

TEST(Amqp10Message, TextAndCountsOfOtherSendersAreRead) {
  const std::unique_ptr<pn_message_t, decltype(&pn_message_free)> message(pn_message(),
                                                                          &pn_message_free);
  pn_message_set_delivery_count(message.get(), 2);
  pn_data_put_string(pn_message_body(message.get()), pn_bytes(5, "hello"));
  std::array<char, 256> encoded;
  size_t size = encoded.size();
  ASSERT_EQ(pn_message_encode(message.get(), encoded.data(), &size), 0);
  const auto content = DecodeAmqp10Message({encoded.data(), size});
  ASSERT_TRUE(content);
  EXPECT_EQ(content->body, "hello");
  EXPECT_TRUE(content->redelivered);
}

TEST(Amqp10Message, OthersAreRefused) {
  EXPECT_FALSE(DecodeAmqp10Message(""));
  EXPECT_FALSE(DecodeAmqp10Message("not a message"));
  const std::string whole = EncodeAmqp10Message("some body");
  EXPECT_FALSE(DecodeAmqp10Message(std::string_view(whole).substr(0, whole.size() - 1)));
  const std::unique_ptr<pn_message_t, decltype(&pn_message_free)> message(pn_message(),
                                                                          &pn_message_free);
  pn_data_put_long(pn_message_body(message.get()), 7);
  std::array<char, 256> encoded;
  size_t size = encoded.size();
  ASSERT_EQ(pn_message_encode(message.get(), encoded.data(), &size), 0);
  EXPECT_FALSE(DecodeAmqp10Message({encoded.data(), size}));
}

TEST(Amqp10OptionsTest, WrongOnesAreRefused) {
  const auto expect_refused = [](const char* error_class, auto change) {
    Amqp10Options options;
    options.url = "amqp://localhost";
    change(&options);
    const auto broker = NewAmqp10Broker(Env::Default(), options);
    ASSERT_FALSE(broker.ok());
    EXPECT_EQ(KindOf(broker.status()), ErrorKind::kUser) << broker.status();
    EXPECT_EQ(InfoOf(broker.status()).error_class, error_class) << broker.status();
  };
  expect_refused("bad_address", [](auto* o) { o->url = ""; });
  expect_refused("bad_address", [](auto* o) { o->url = "http://localhost"; });
  expect_refused("bad_option", [](auto* o) { o->address = ""; });
  expect_refused("bad_option", [](auto* o) { o->connect_timeout_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->publish_timeout_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->heartbeat_seconds = -1; });
  expect_refused("bad_option", [](auto* o) { o->first_pause_ms = 0; });
  expect_refused("bad_option", [](auto* o) { o->longest_pause_ms = 1; });
  expect_refused("bad_option", [](auto* o) { o->tls.certificate_path = "/c"; });
  Amqp10Options options;
  options.url = "amqp://localhost";
  options.prefetch = -1;
  EXPECT_EQ(KindOf(NewAmqp10Broker(Env::Default(), options).status()), ErrorKind::kBug);
}

}  // namespace
}  // namespace capi::queue
