// What brokers do when servers, networks or other people fail them.

#include <atomic>
#include <chrono>
#include <thread>

#include "capi/queue/broker_contract_testing.h"
#include "capi/queue/tcp_proxy_testing.h"

namespace capi::queue {

namespace {

using Clock = std::chrono::steady_clock;

void ExpectUnavailable(const Status& status) {
  EXPECT_EQ(KindOf(status), ErrorKind::kRetriable) << status;
  EXPECT_EQ(InfoOf(status).error_class, "broker_unavailable") << status;
}

/// Publishes until it succeeds: a broker object notices only by trying that the server is back.
void PublishAtLast(Broker* broker, const std::vector<BatchMessage>& messages) {
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  Status published = broker->Publish(messages);
  while (!published.ok() && Clock::now() < deadline) {
    ExpectUnavailable(published);
    published = broker->Publish(messages);
  }
  EXPECT_TRUE(published.ok()) << published;
}

}  // namespace

TEST_P(BrokerTrouble, CheckTellsTheAddressWithoutPassword) {
  const auto checked = New()->Check();
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_NE(checked->find(fixture_->address().host), std::string::npos) << *checked;
  EXPECT_EQ(checked->find(":guest"), std::string::npos) << *checked;
}

TEST_P(BrokerTrouble, WrongPasswordIsTheUsersError) {
  BrokerSettings settings = Settings(1);
  settings.address.password = "wrong-secret";
  const auto broker = New(settings);
  for (const Status& status : {broker->Check().status(), broker->Publish(Messages(1)),
                               broker->Receive(10000).status(), broker->Purge()}) {
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << status;
    EXPECT_EQ(InfoOf(status).error_class, "broker_unauthorized") << status;
    EXPECT_EQ(status.ToString().find("wrong-secret"), std::string::npos) << status;
  }
}

TEST_P(BrokerTrouble, UnknownUser) {
  BrokerSettings settings = Settings();
  settings.address.user = "nobody-there";
  const Status status = New(settings)->Check().status();
  EXPECT_EQ(InfoOf(status).error_class, "broker_unauthorized") << status;
}

TEST_P(BrokerTrouble, UnknownHost) {
  BrokerSettings settings = Settings(1);
  settings.address.host = "no-such-host.invalid";
  const auto broker = New(settings);
  ExpectUnavailable(broker->Check().status());
  ExpectUnavailable(broker->Publish(Messages(1)));
  ExpectUnavailable(broker->Receive(2000).status());
}

TEST_P(BrokerTrouble, ClosedPort) {
  BrokerSettings settings = Settings(1);
  {
    const TcpProxy proxy("127.0.0.1", 1);
    settings.address.port = proxy.port();
  }
  const auto broker = New(settings);
  const auto begin = Clock::now();
  ExpectUnavailable(broker->Check().status());
  ExpectUnavailable(broker->Publish(Messages(1)));
  ExpectUnavailable(broker->Receive(500).status());
  ExpectUnavailable(broker->Purge());
  EXPECT_LT(SecondsSince(begin), 10);
}

TEST_P(BrokerTrouble, APortThatSpeaksNothing) {
  // Accepts and stays silent.
  TcpProxy proxy("127.0.0.1", fixture_->address().port);
  proxy.Freeze(true);
  BrokerSettings settings = Settings();
  settings.address.port = proxy.port();
  settings.connect_timeout_ms = 700;
  settings.publish_timeout_ms = 2000;
  const auto broker = New(settings);
  const auto begin = Clock::now();
  ExpectUnavailable(broker->Check().status());
  ExpectUnavailable(broker->Publish(Messages(1)));
  EXPECT_LT(SecondsSince(begin), 10);
  proxy.Freeze(false);
  PublishAtLast(broker.get(), Messages(1));
}

TEST_P(BrokerTrouble, MissingRightIsNamed) {
  BrokerSettings settings = Settings(1);
  settings.address.user = fixture_->restricted_user();
  settings.address.password = settings.address.user;
  {
    const auto broker = New(settings);
    const Status status = broker->Publish(Messages(1));
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << status;
    EXPECT_EQ(InfoOf(status).error_class, "broker_unauthorized") << status;
    EXPECT_EQ(InfoOf(broker->Receive(10000).status()).error_class, "broker_unauthorized");
  }
  // It is enough that somebody else has created the queue.
  ASSERT_OK(New()->Publish(Messages(1)));
  settings.prefetch = 2;
  const auto broker = New(settings);
  const Status status = broker->Publish(Messages(1));
  ASSERT_TRUE(status.ok()) << status;
  SettleAll(broker.get(), Take(broker.get(), 2));
}

TEST_P(BrokerTrouble, PoisonIsSettledAndDoesNotBlock) {
  const auto publisher = New();
  ASSERT_OK(publisher->Publish(Messages(1)));
  for (const std::string& body :
       {std::string(), std::string("not json"), std::string("\x00\xff\x01\xfe", 4),
        std::string(R"({"v":9,"ks":"a","run":1,"node":0,"begin":0,"end":1})"),
        std::string(300000, '{'), std::string(5000000, 'x')}) {
    fixture_->PublishRaw(body);
  }
  ASSERT_OK(publisher->Publish(Messages(1, 9)));
  {
    // One at a time: an unsettled poison message would stop it.
    const auto broker = New(1);
    for (int i = 0; i < 2; ++i) {
      const auto taken = Take(broker.get(), 1);
      ASSERT_EQ(taken.size(), 1u);
      SettleAll(broker.get(), taken);
    }
    ExpectNothing(broker.get());
  }
  const auto broker = New(10);
  ExpectNothing(broker.get());
  ASSERT_OK(publisher->Publish(Messages(1)));
  SettleAll(broker.get(), Take(broker.get(), 1));
}

TEST_P(BrokerTrouble, UnsettledMessagesOfABrokenConnectionComeAgain) {
  TcpProxy proxy("127.0.0.1", fixture_->address().port);
  BrokerSettings settings = Settings(10);
  settings.address.port = proxy.port();
  const auto broker = New(settings);
  ASSERT_OK(New()->Publish(Messages(10)));
  auto taken = Take(broker.get(), 7);
  ASSERT_EQ(taken.size(), 7u);
  proxy.Cut();
  // What nobody had received may still come from the buffer. It comes again then, perhaps much
  // later, and only that counts: a silence of the server does not mean that nothing is left.
  std::set<int64_t> seen;
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < deadline) {
    const auto delivery = broker->Receive(500);
    if (!delivery.ok()) continue;
    if (!*delivery && seen.size() == 10) break;
    if (!*delivery) continue;
    const int64_t begin = (*delivery)->message.begin;
    const bool again = (*delivery)->redelivered || !fixture_->marks_redelivery();
    EXPECT_TRUE(begin >= 7 || again) << begin;
    if (again) seen.insert(begin);
    SettleAll(broker.get(), {**delivery});
  }
  EXPECT_EQ(seen.size(), 10u);
  // The tags of the old connection mean nothing any more.
  SettleAll(broker.get(), taken);
  broker->SetPrefetch(0).ok();
  ExpectNothing(New(10).get());
}

TEST_P(BrokerTrouble, ASilentConnectionIsGivenUp) {
  TcpProxy proxy("127.0.0.1", fixture_->address().port);
  BrokerSettings settings = Settings(10);
  settings.address.port = proxy.port();
  settings.publish_timeout_ms = 1000;
  const auto broker = New(settings);
  ASSERT_OK(broker->Publish(Messages(1)));
  SettleAll(broker.get(), Take(broker.get(), 1));
  const int64_t before = proxy.accepted();
  proxy.Freeze(true);
  const auto begin = Clock::now();
  ExpectUnavailable(broker->Publish(Messages(1)));
  EXPECT_LT(SecondsSince(begin), 5);
  // Tests use a heartbeat of one second.
  Status received;
  while (received.ok() && SecondsSince(begin) < 20) received = broker->Receive(200).status();
  ExpectUnavailable(received);
  proxy.Cut();
  proxy.Freeze(false);
  PublishAtLast(broker.get(), Messages(1, 5));
  const auto taken = Take(broker.get(), 1);
  EXPECT_GT(proxy.accepted(), before);
  ASSERT_FALSE(taken.empty());
  SettleAll(broker.get(), taken);
}

TEST_P(BrokerTrouble, PublishingWhileTheServerIsAwayFailsSoonAndWorksAfter) {
  TcpProxy proxy("127.0.0.1", fixture_->address().port);
  BrokerSettings settings = Settings();
  settings.address.port = proxy.port();
  const auto broker = New(settings);
  ASSERT_OK(broker->Publish(Messages(1)));
  proxy.Refuse(true);
  for (int i = 0; i < 3; ++i) {
    const auto begin = Clock::now();
    ExpectUnavailable(broker->Publish(Messages(1)));
    EXPECT_LT(SecondsSince(begin), 5);
  }
  proxy.Refuse(false);
  const auto begin = Clock::now();
  const Status published = broker->Publish(Messages(1));
  EXPECT_TRUE(published.ok()) << published;
  EXPECT_LT(SecondsSince(begin), 10);
}

TEST_P(BrokerTrouble, AnIdleConnectionThatHasDiedIsNoErrorOfPublish) {
  TcpProxy proxy("127.0.0.1", fixture_->address().port);
  BrokerSettings settings = Settings();
  settings.address.port = proxy.port();
  const auto broker = New(settings);
  for (int i = 0; i < 5; ++i) {
    const Status published = broker->Publish(Messages(1));
    ASSERT_TRUE(published.ok()) << published;
    proxy.Cut();
  }
}

TEST_P(BrokerTrouble, NothingConfirmedIsLostWhileConnectionsBreak) {
  TcpProxy proxy("127.0.0.1", fixture_->address().port);
  BrokerSettings settings = Settings(50);
  settings.address.port = proxy.port();
  const auto publisher = New(settings);
  ASSERT_TRUE(publisher->SetPrefetch(0).ok());
  const auto consumer = New(settings);
  std::atomic<bool> stop = false;
  std::thread cutter([&] {
    while (!stop) {
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      proxy.Cut();
    }
  });
  std::set<int64_t> seen;
  std::thread receiver([&] {
    const auto deadline = Clock::now() + std::chrono::seconds(90);
    while (seen.size() < 2000 && Clock::now() < deadline) {
      const auto delivery = consumer->Receive(100);
      if (!delivery.ok() || !*delivery) continue;
      seen.insert((*delivery)->message.begin);
      EXPECT_TRUE(consumer->Settle((*delivery)->tag, Verdict::kDone).ok());
    }
  });
  const auto messages = Messages(2000);
  for (size_t i = 0; i < messages.size(); i += 50) {
    PublishAtLast(publisher.get(), {messages.begin() + i, messages.begin() + i + 50});
  }
  stop = true;
  cutter.join();
  receiver.join();
  EXPECT_EQ(seen.size(), 2000u);
}

TEST_P(BrokerTrouble, ADeletedQueueIsMadeAgain) {
  const auto consumer = New(5);
  const auto publisher = New();
  ASSERT_OK(publisher->Publish(Messages(8)));
  const auto held = Take(consumer.get(), 2);
  fixture_->DeleteQueue();
  const Status published = publisher->Publish(Messages(3, 50));
  ASSERT_TRUE(published.ok()) << published;
  std::set<int64_t> seen;
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (seen.size() < 3 && Clock::now() < deadline) {
    const auto delivery = consumer->Receive(500);
    if (!delivery.ok() || !*delivery) continue;
    if ((*delivery)->message.node_index == 50) seen.insert((*delivery)->message.begin);
    EXPECT_TRUE(consumer->Settle((*delivery)->tag, Verdict::kDone).ok());
  }
  EXPECT_EQ(seen.size(), 3u);
  SettleAll(consumer.get(), held);
  ASSERT_OK(publisher->Publish(Messages(1)));
  SettleAll(consumer.get(), Take(consumer.get(), 1));
}

TEST_P(BrokerTrouble, ConfirmedMessagesSurviveAKilledServer) {
  if (fixture_->control().empty()) GTEST_SKIP() << "the server cannot be killed from here";
  const auto publisher = New();
  const auto consumer = New(20);
  PublishAtLast(publisher.get(), Messages(1, 98));  // creates the queue
  // RabbitMQ writes the list of its quorum queues to the disk half a second late (ra_directory),
  // and nothing tells when: a queue as young as that would be broken after the kill.
  std::this_thread::sleep_for(std::chrono::seconds(2));
  ASSERT_OK(publisher->Publish(Messages(1000)));
  SettleAll(consumer.get(), Take(consumer.get(), 1));
  const auto held = Take(consumer.get(), 15);
  SettleAll(consumer.get(), {held[0], held[1], held[2], held[3], held[4]});
  Control("kill");
  const auto begin = Clock::now();
  ExpectUnavailable(publisher->Publish(Messages(1, 99)));
  EXPECT_LT(SecondsSince(begin), 15);
  Control("restart");
  PublishAtLast(publisher.get(), Messages(1, 99));
  SettleAll(consumer.get(), held);
  std::set<int64_t> seen = {held[0].message.begin, held[1].message.begin, held[2].message.begin,
                            held[3].message.begin, held[4].message.begin};
  bool published_after = false;
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  while ((seen.size() < 1000 || !published_after) && Clock::now() < deadline) {
    const auto delivery = consumer->Receive(500);
    if (!delivery.ok() || !*delivery) continue;
    if ((*delivery)->message.node_index == 99) {
      published_after = true;
    } else {
      seen.insert((*delivery)->message.begin);
    }
    EXPECT_TRUE(consumer->Settle((*delivery)->tag, Verdict::kDone).ok());
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_TRUE(published_after);
}

TEST_P(BrokerTrouble, Tls) {
  const auto address = fixture_->tls_address();
  if (!address) GTEST_SKIP() << "the server has no TLS listener";
  BrokerSettings settings = Settings(5);
  settings.address = *address;
  settings.tls.ca_path = fixture_->certificates() + "/ca.pem";
  {
    const auto broker = New(settings);
    const Status published = broker->Publish(Messages(300));
    ASSERT_TRUE(published.ok()) << published;
    for (int i = 0; i < 300; ++i) SettleAll(broker.get(), Take(broker.get(), 1));
  }
  {
    BrokerSettings with_client = settings;
    with_client.tls.certificate_path = fixture_->certificates() + "/client.pem";
    with_client.tls.key_path = fixture_->certificates() + "/client.key";
    const auto checked = New(with_client)->Check();
    EXPECT_TRUE(checked.ok()) << checked.status();
  }
  const auto expect_refused = [this](const BrokerSettings& refused) {
    const auto broker = New(refused);
    const Status checked = broker->Check().status();
    EXPECT_EQ(KindOf(checked), ErrorKind::kEnvironment) << checked;
    EXPECT_FALSE(broker->Publish(Messages(1)).ok());
  };
  BrokerSettings other_authority = settings;
  other_authority.tls.ca_path = fixture_->certificates() + "/another_ca.pem";
  expect_refused(other_authority);
  BrokerSettings authority_of_system = settings;
  authority_of_system.tls.ca_path = "";
  expect_refused(authority_of_system);
  BrokerSettings no_such_file = settings;
  no_such_file.tls.ca_path = "/no/such/file.pem";
  expect_refused(no_such_file);
  BrokerSettings other_host = settings;
  other_host.address.host = "127.0.0.1";
  expect_refused(other_host);
  other_host.tls.verify_host = false;
  const auto checked = New(other_host)->Check();
  EXPECT_TRUE(checked.ok()) << checked.status();
  // Plain text to the TLS port, and TLS to the port of plain text.
  BrokerSettings plain = settings;
  plain.address.tls = false;
  plain.connect_timeout_ms = 2000;
  EXPECT_FALSE(New(plain)->Check().ok());
  BrokerSettings tls_to_plain = settings;
  tls_to_plain.address.port = fixture_->address().port;
  tls_to_plain.connect_timeout_ms = 2000;
  EXPECT_FALSE(New(tls_to_plain)->Check().ok());
}

}  // namespace capi::queue
