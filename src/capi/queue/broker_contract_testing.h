#pragma once

// What every Broker over a real server has to do: the suites of broker_contract_test.cc and
// broker_trouble_test.cc, which each implementation instantiates with its Fixture.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "capi/queue/amqp_address.h"
#include "capi/queue/broker.h"
#include "gtest/gtest.h"

namespace capi::queue {

#define ASSERT_OK(expression)                 \
  do {                                        \
    const Status status_of = (expression);    \
    ASSERT_TRUE(status_of.ok()) << status_of; \
  } while (false)

struct BrokerSettings {
  AmqpAddress address;
  AmqpTlsOptions tls;
  int64_t prefetch = 0;
  int64_t connect_timeout_ms = 10000;
  int64_t publish_timeout_ms = 30000;
};

/// A real server, and a queue of an unused name on it.
class BrokerFixture {
 public:
  virtual ~BrokerFixture() = default;
  /// Why the test cannot run, or "".
  virtual std::string Missing() = 0;
  virtual AmqpAddress address() = 0;
  /// Beside "guest": may send and receive, but not create queues. Password = name.
  virtual std::string restricted_user() = 0;
  virtual Result<std::unique_ptr<Broker>> New(const BrokerSettings& settings) = 0;
  /// A message with any body, sent by other means.
  virtual void PublishRaw(const std::string& body) = 0;
  virtual void DeleteQueue() = 0;
  /// Address of the server's TLS listener, host "localhost"; nullopt: none.
  virtual std::optional<AmqpAddress> tls_address() = 0;
  virtual std::string certificates() = 0;  ///< directory
  /// Command line that takes "kill", "restart"; "": the server cannot be controlled.
  virtual std::string control() = 0;
  /// Deliveries say that they were given back before.
  virtual bool marks_redelivery() = 0;
};

struct BrokerKind {
  std::string name;
  std::function<std::unique_ptr<BrokerFixture>()> make;
};

/// For INSTANTIATE_TEST_SUITE_P.
std::string NameOfKind(const testing::TestParamInfo<BrokerKind>& info);
double SecondsSince(std::chrono::steady_clock::time_point begin);

/// "amqp://user:password@host:port/vhost", encoded.
std::string ToUrl(const AmqpAddress& address);
/// Of the environment, "" = unset.
std::string Variable(const char* name);
/// "capi.test.<process id>.<number>"
std::string UnusedName();

/// `count` messages that differ.
std::vector<BatchMessage> Messages(int64_t count, int64_t node = 0);

class BrokerTest : public testing::TestWithParam<BrokerKind> {
 protected:
  void SetUp() override;
  void TearDown() override;
  std::unique_ptr<Broker> New(int64_t prefetch = 0);
  std::unique_ptr<Broker> New(BrokerSettings settings);
  BrokerSettings Settings(int64_t prefetch = 0);
  void Control(const std::string& command);

  /// Receives `count` messages; fewer if nothing comes for 10 s.
  static std::vector<Delivery> Take(Broker* broker, int64_t count);
  /// Nothing comes for a while.
  static void ExpectNothing(Broker* broker);
  static void SettleAll(Broker* broker, const std::vector<Delivery>& deliveries,
                        Verdict verdict = Verdict::kDone);
  /// Begins of the ranges, which Messages numbers.
  static std::multiset<int64_t> Begins(const std::vector<Delivery>& deliveries);
  static std::multiset<int64_t> Range(int64_t begin, int64_t end);

  std::unique_ptr<BrokerFixture> fixture_;
};

class BrokerContract : public BrokerTest {};
class BrokerTrouble : public BrokerTest {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BrokerContract);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BrokerTrouble);

}  // namespace capi::queue
