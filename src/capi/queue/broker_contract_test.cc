// What brokers do while nothing fails.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "capi/queue/broker_contract_testing.h"

namespace capi::queue {

namespace {

using Clock = std::chrono::steady_clock;

std::string Encoded(const std::string& text) {
  std::string encoded;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      encoded += c;
    } else {
      std::array<char, 4> code;
      std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned char>(c));
      encoded += code.data();
    }
  }
  return encoded;
}

}  // namespace

std::string NameOfKind(const testing::TestParamInfo<BrokerKind>& info) { return info.param.name; }

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string ToUrl(const AmqpAddress& address) {
  return (address.tls ? "amqps://" : "amqp://") + Encoded(address.user) + ":" +
         Encoded(address.password) + "@" + address.host + ":" + std::to_string(address.port) + "/" +
         Encoded(address.virtual_host);
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string UnusedName() {
  static std::atomic<int> number = 0;
  return "capi.test." + std::to_string(getpid()) + "." + std::to_string(++number);
}

std::vector<BatchMessage> Messages(int64_t count, int64_t node) {
  std::vector<BatchMessage> messages;
  for (int64_t i = 0; i < count; ++i) messages.push_back({"contract", 1, node, i, i + 1});
  return messages;
}

void BrokerTest::SetUp() {
  fixture_ = GetParam().make();
  const std::string missing = fixture_->Missing();
  if (!missing.empty()) GTEST_SKIP() << missing;
}

void BrokerTest::TearDown() {
  if (!IsSkipped()) fixture_->DeleteQueue();
}

BrokerSettings BrokerTest::Settings(int64_t prefetch) {
  BrokerSettings settings;
  settings.address = fixture_->address();
  settings.prefetch = prefetch;
  return settings;
}

std::unique_ptr<Broker> BrokerTest::New(BrokerSettings settings) {
  auto broker = fixture_->New(settings);
  EXPECT_TRUE(broker.ok()) << broker.status();
  return broker.ok() ? std::move(*broker) : nullptr;
}

std::unique_ptr<Broker> BrokerTest::New(int64_t prefetch) { return New(Settings(prefetch)); }

void BrokerTest::Control(const std::string& command) {
  const std::string line = fixture_->control() + " " + command + " >/dev/null 2>&1";
  ASSERT_EQ(std::system(line.c_str()), 0) << line;
}

std::vector<Delivery> BrokerTest::Take(Broker* broker, int64_t count) {
  std::vector<Delivery> taken;
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (static_cast<int64_t>(taken.size()) < count && Clock::now() < deadline) {
    auto delivery = broker->Receive(1000);
    if (!delivery.ok()) {
      // While it reconnects.
      EXPECT_EQ(KindOf(delivery.status()), ErrorKind::kRetriable) << delivery.status();
      continue;
    }
    if (*delivery) taken.push_back(std::move(**delivery));
  }
  EXPECT_EQ(static_cast<int64_t>(taken.size()), count);
  return taken;
}

void BrokerTest::ExpectNothing(Broker* broker) {
  const auto delivery = broker->Receive(400);
  ASSERT_TRUE(delivery.ok()) << delivery.status();
  EXPECT_FALSE(delivery->has_value()) << ToJson((*delivery)->message);
}

void BrokerTest::SettleAll(Broker* broker, const std::vector<Delivery>& deliveries,
                           Verdict verdict) {
  for (const Delivery& delivery : deliveries) {
    const Status settled = broker->Settle(delivery.tag, verdict);
    EXPECT_TRUE(settled.ok()) << settled;
  }
}

std::multiset<int64_t> BrokerTest::Begins(const std::vector<Delivery>& deliveries) {
  std::multiset<int64_t> begins;
  for (const Delivery& delivery : deliveries) begins.insert(delivery.message.begin);
  return begins;
}

std::multiset<int64_t> BrokerTest::Range(int64_t begin, int64_t end) {
  std::multiset<int64_t> range;
  for (int64_t i = begin; i < end; ++i) range.insert(i);
  return range;
}

TEST_P(BrokerContract, DeliversWhatWasPublished) {
  const auto broker = New(10);
  const std::vector<BatchMessage> messages = {
      {"ks", 3, 7, 10, 20}, {"\xc3\xa9\"\\", 4, 8, -1, -1}, {"ks", 5, 9, 0, 1}};
  ASSERT_OK(broker->Publish(messages));
  const auto taken = Take(broker.get(), 3);
  for (const BatchMessage& message : messages) {
    EXPECT_EQ(std::count_if(taken.begin(), taken.end(),
                            [&](const Delivery& delivery) { return delivery.message == message; }),
              1);
  }
  for (const Delivery& delivery : taken) EXPECT_FALSE(delivery.redelivered);
  SettleAll(broker.get(), taken);
  ExpectNothing(broker.get());
}

TEST_P(BrokerContract, SettledMessagesNeverComeAgain) {
  ASSERT_OK(New()->Publish(Messages(20)));
  {
    const auto first = New(20);
    SettleAll(first.get(), Take(first.get(), 20));
  }  // verdicts are sent before it closes
  ExpectNothing(New(20).get());
}

TEST_P(BrokerContract, ReceiveWaitsNoLongerThanAsked) {
  const auto broker = New(5);
  ASSERT_OK(broker->Publish(Messages(1)));
  SettleAll(broker.get(), Take(broker.get(), 1));
  auto begin = Clock::now();
  ASSERT_TRUE(broker->Receive(0).ok());
  EXPECT_LT(SecondsSince(begin), 0.2);
  begin = Clock::now();
  ASSERT_TRUE(broker->Receive(300).ok());
  EXPECT_GE(SecondsSince(begin), 0.29);
  EXPECT_LT(SecondsSince(begin), 2);
}

TEST_P(BrokerContract, ReceiveWakesWhenAMessageComes) {
  const auto broker = New(5);
  std::thread publisher([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_TRUE(broker->Publish(Messages(1)).ok());
  });
  const auto delivery = broker->Receive(20000);
  publisher.join();
  ASSERT_TRUE(delivery.ok()) << delivery.status();
  ASSERT_TRUE(delivery->has_value());
  SettleAll(broker.get(), {**delivery});
}

TEST_P(BrokerContract, DoesNotConsumeBeforeItIsTold) {
  const auto broker = New(0);
  ASSERT_OK(broker->Publish(Messages(3)));
  ExpectNothing(broker.get());
  ASSERT_TRUE(broker->SetPrefetch(3).ok());
  SettleAll(broker.get(), Take(broker.get(), 3));
}

TEST_P(BrokerContract, TenThousandMessagesComeOnceEach) {
  constexpr int64_t kMessages = 10000;
  const auto publisher = New();
  ASSERT_TRUE(publisher->Purge().ok()) << "creates the queue";
  std::mutex mutex;
  std::multiset<int64_t> seen;
  std::atomic<int64_t> redelivered = 0;
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<Broker>> consumers;
  for (int i = 0; i < 2; ++i) consumers.push_back(New(100));
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, broker = consumers[i % 2].get()] {
      const auto deadline = Clock::now() + std::chrono::seconds(120);
      while (Clock::now() < deadline) {
        const auto delivery = broker->Receive(100);
        ASSERT_TRUE(delivery.ok()) << delivery.status();
        {
          const std::lock_guard lock(mutex);
          if (*delivery) seen.insert((*delivery)->message.begin);
          if (seen.size() >= kMessages && !*delivery) return;
        }
        if (!*delivery) continue;
        redelivered += (*delivery)->redelivered ? 1 : 0;
        ASSERT_TRUE(broker->Settle((*delivery)->tag, Verdict::kDone).ok());
      }
    });
  }
  const auto messages = Messages(kMessages);
  for (size_t i = 0; i < messages.size(); i += 1000) {
    const std::vector<BatchMessage> part(messages.begin() + i, messages.begin() + i + 1000);
    const Status published = publisher->Publish(part);
    ASSERT_TRUE(published.ok()) << published;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, Range(0, kMessages));
  EXPECT_EQ(redelivered, 0);
}

TEST_P(BrokerContract, AgainGoesToAnyone) {
  const auto first = New(1);
  ASSERT_OK(first->Publish(Messages(1)));
  const auto taken = Take(first.get(), 1);
  ASSERT_EQ(taken.size(), 1u);
  ASSERT_TRUE(first->SetPrefetch(0).ok());
  const auto second = New(1);
  ExpectNothing(second.get());
  SettleAll(first.get(), taken, Verdict::kAgain);
  const auto again = Take(second.get(), 1);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].message, taken[0].message);
  EXPECT_TRUE(again[0].redelivered || !fixture_->marks_redelivery());
  SettleAll(second.get(), again);
}

TEST_P(BrokerContract, AgainHasNoLimitNearby) {
  // RabbitMQ 4 would drop a message of a quorum queue after 20 times, Artemis after 10.
  const auto broker = New(1);
  ASSERT_OK(broker->Publish(Messages(1)));
  for (int i = 0; i < 50; ++i) {
    const auto taken = Take(broker.get(), 1);
    ASSERT_EQ(taken.size(), 1u) << "after " << i;
    SettleAll(broker.get(), taken, Verdict::kAgain);
  }
  SettleAll(broker.get(), Take(broker.get(), 1));
}

TEST_P(BrokerContract, UnsettledMessagesOfAClosedBrokerComeAgain) {
  const auto second = New(0);
  ASSERT_OK(second->Publish(Messages(10)));
  {
    const auto first = New(10);
    const auto taken = Take(first.get(), 6);
    SettleAll(first.get(), {taken[0]});
  }
  ASSERT_TRUE(second->SetPrefetch(10).ok());
  const auto taken = Take(second.get(), 9);
  SettleAll(second.get(), taken);
  ExpectNothing(second.get());
}

TEST_P(BrokerContract, PrefetchBoundsWhatIsHeldAndConsumersShare) {
  const auto first = New(5);
  ASSERT_OK(first->Publish(Messages(20)));
  auto of_first = Take(first.get(), 5);
  ExpectNothing(first.get());
  const auto second = New(5);
  auto of_second = Take(second.get(), 5);
  ExpectNothing(second.get());
  // Settling makes room for as many.
  SettleAll(first.get(), {of_first[0], of_first[1]});
  const auto more = Take(first.get(), 2);
  ExpectNothing(first.get());
  SettleAll(first.get(), {of_first[2], of_first[3], of_first[4], more[0], more[1]});
  SettleAll(second.get(), of_second);
  auto all = Begins(of_first);
  all.merge(Begins(of_second));
  all.merge(Begins(more));
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  for (int i = 0; all.size() < 20 && Clock::now() < deadline; ++i) {
    Broker* const broker = i % 2 == 0 ? first.get() : second.get();
    const auto delivery = broker->Receive(50);
    ASSERT_TRUE(delivery.ok()) << delivery.status();
    if (!*delivery) continue;
    all.insert((*delivery)->message.begin);
    SettleAll(broker, {**delivery});
  }
  EXPECT_EQ(all, Range(0, 20));
}

TEST_P(BrokerContract, PrefetchZeroGivesBackWhatNobodyReceived) {
  const auto first = New(10);
  ASSERT_OK(first->Publish(Messages(10)));
  const auto of_first = Take(first.get(), 2);
  ASSERT_TRUE(first->SetPrefetch(0).ok());
  const auto second = New(10);
  const auto of_second = Take(second.get(), 8);
  ExpectNothing(second.get());
  ExpectNothing(first.get());
  auto all = Begins(of_first);
  all.merge(Begins(of_second));
  EXPECT_EQ(all, Range(0, 10));
  SettleAll(first.get(), of_first);
  SettleAll(second.get(), of_second);
  ASSERT_TRUE(second->SetPrefetch(0).ok());
  ASSERT_TRUE(first->SetPrefetch(10).ok());
  ASSERT_OK(first->Publish(Messages(5)));
  SettleAll(first.get(), Take(first.get(), 5));
}

TEST_P(BrokerContract, PrefetchCanBeRaisedAndLowered) {
  const auto broker = New(4);
  ASSERT_OK(broker->Publish(Messages(30)));
  auto held = Take(broker.get(), 4);
  ExpectNothing(broker.get());
  ASSERT_TRUE(broker->SetPrefetch(6).ok());
  for (Delivery& delivery : Take(broker.get(), 2)) held.push_back(delivery);
  ExpectNothing(broker.get());
  ASSERT_TRUE(broker->SetPrefetch(2).ok());
  ASSERT_EQ(held.size(), 6u);
  SettleAll(broker.get(), {held[0], held[1], held[2], held[3]});
  ExpectNothing(broker.get());
  SettleAll(broker.get(), {held[4]});
  held = {held[5]};
  for (Delivery& delivery : Take(broker.get(), 1)) held.push_back(delivery);
  ExpectNothing(broker.get());
  SettleAll(broker.get(), held);
  // The window does not shrink by what has happened.
  held = Take(broker.get(), 2);
  ExpectNothing(broker.get());
  SettleAll(broker.get(), held);
  ASSERT_TRUE(broker->SetPrefetch(100).ok());
  SettleAll(broker.get(), Take(broker.get(), 21));
  ExpectNothing(broker.get());
}

TEST_P(BrokerContract, PurgeRemovesWhatIsReady) {
  const auto broker = New(1);
  ASSERT_OK(broker->Publish(Messages(50)));
  const auto held = Take(broker.get(), 1);
  ASSERT_TRUE(broker->Purge().ok());
  SettleAll(broker.get(), held);
  ExpectNothing(broker.get());
  ASSERT_TRUE(broker->Purge().ok()) << "of an empty queue";
  ASSERT_OK(broker->Publish(Messages(1, 77)));
  const auto taken = Take(broker.get(), 1);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].message.node_index, 77);
  SettleAll(broker.get(), taken);
}

TEST_P(BrokerContract, WrongUse) {
  const auto broker = New(2);
  EXPECT_TRUE(broker->Publish({}).ok());
  ASSERT_OK(broker->Publish(Messages(1)));
  const auto taken = Take(broker.get(), 1);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(KindOf(broker->Settle(taken[0].tag + 1, Verdict::kDone)), ErrorKind::kBug);
  EXPECT_TRUE(broker->Settle(taken[0].tag, Verdict::kDone).ok());
  EXPECT_EQ(KindOf(broker->Settle(taken[0].tag, Verdict::kDone)), ErrorKind::kBug);
  EXPECT_EQ(KindOf(broker->SetPrefetch(-1)), ErrorKind::kBug);
  EXPECT_EQ(KindOf(broker->SetPrefetch(1000000)), ErrorKind::kBug);
  ASSERT_TRUE(broker->Publish(Messages(1)).ok()) << "it still works";
  SettleAll(broker.get(), Take(broker.get(), 1));
}

TEST_P(BrokerContract, ManyThreadsUseOneBroker) {
  constexpr int64_t kEach = 250;
  const auto broker = New(16);
  std::atomic<int64_t> done = 0;
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < kEach; i += 10) {
        EXPECT_TRUE(broker->Publish(Messages(10, t)).ok());
      }
    });
    threads.emplace_back([&] {
      const auto deadline = Clock::now() + std::chrono::seconds(60);
      while (done < 4 * kEach && Clock::now() < deadline) {
        const auto delivery = broker->Receive(50);
        ASSERT_TRUE(delivery.ok());
        if (!*delivery) continue;
        const bool again = !(*delivery)->redelivered && (*delivery)->message.begin % 10 == 3 &&
                           fixture_->marks_redelivery();
        EXPECT_TRUE(
            broker->Settle((*delivery)->tag, again ? Verdict::kAgain : Verdict::kDone).ok());
        if (!again) ++done;
      }
    });
  }
  threads.emplace_back([&] {
    for (int64_t prefetch = 1; done < 4 * kEach && prefetch < 200; ++prefetch) {
      EXPECT_TRUE(broker->SetPrefetch(prefetch % 20).ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_TRUE(broker->SetPrefetch(32).ok());
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 4 * kEach);
}

/// Prints figures for docs/design/queue.md; asserts only that all arrive.
TEST_P(BrokerContract, Throughput) {
  constexpr int64_t kMessages = 10000;
  const auto broker = New();
  const auto messages = Messages(kMessages);
  auto begin = Clock::now();
  for (int64_t i = 0; i < 200; ++i) ASSERT_OK(broker->Publish({messages[i]}));
  const double single = 200 / SecondsSince(begin);
  begin = Clock::now();
  const Status published = broker->Publish({messages.begin() + 200, messages.end()});
  ASSERT_TRUE(published.ok()) << published;
  const double many = (kMessages - 200) / SecondsSince(begin);
  std::string rates;
  for (const int64_t prefetch : {200, 8}) {
    begin = Clock::now();
    ASSERT_TRUE(broker->SetPrefetch(prefetch).ok());
    for (int64_t i = 0; i < kMessages / 2; ++i) {
      const auto delivery = broker->Receive(10000);
      ASSERT_TRUE(delivery.ok() && *delivery) << i;
      ASSERT_TRUE(broker->Settle((*delivery)->tag, Verdict::kDone).ok());
    }
    rates += ", consumed with prefetch " + std::to_string(prefetch) + " " +
             std::to_string(std::lround(kMessages / 2 / SecondsSince(begin)));
  }
  std::printf("%s messages/s: published one by one %.0f, %lld in one call %.0f%s\n",
              GetParam().name.c_str(), single, static_cast<long long>(kMessages - 200), many,
              rates.c_str());
}

}  // namespace capi::queue
