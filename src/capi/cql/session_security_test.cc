#include <cstdlib>
#include <string>

#include "capi/base/status.h"
#include "capi/cql/cassandra_test.h"
#include "capi/cql/tcp_proxy_test.h"

namespace capi::cql {
namespace {

/// A server that wants a password, TLS and a client certificate: its address in
/// CAPI_TEST_CASSANDRA_SECURE, the certificates in the folder CAPI_TEST_CASSANDRA_CERTIFICATES.
class SecurityTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* const address = std::getenv("CAPI_TEST_CASSANDRA_SECURE");
    const char* const folder = std::getenv("CAPI_TEST_CASSANDRA_CERTIFICATES");
    if (address == nullptr || folder == nullptr) {
      GTEST_SKIP() << "CAPI_TEST_CASSANDRA_SECURE and _CERTIFICATES are not set";
    }
    folder_ = folder;
    options_ = TestOptions();
    address_ = address;
    // The certificate has this name, and the address 127.0.0.5, but not 127.0.0.1.
    options_.hosts = {"localhost" + address_.substr(address_.rfind(':'))};
    options_.timeout_ms = 10000;
    options_.username = "cassandra";
    options_.password = "cassandra";
    options_.use_tls = true;
    options_.tls.certificate_path = folder_ + "/client.pem";
    options_.tls.key_path = folder_ + "/client.key";
    options_.tls.ca_path = folder_ + "/ca.pem";
    options_.tls.verify_host = true;
  }
  Status TryConnect() const {
    auto session = Session::Connect(options_);
    CAPI_RETURN_NOT_OK(session.status());
    CAPI_ASSIGN_OR_RETURN(const StatementPtr select,
                          (*session)->Prepare("SELECT cluster_name FROM system.local", true));
    CAPI_ASSIGN_OR_RETURN(const Rows rows, (*session)->Execute({select, {}, {}}));
    return rows.size() == 1 ? Status::OK() : BugError("no row");
  }

  std::string folder_;
  std::string address_;
  SessionOptions options_;
};

TEST_F(SecurityTest, ConnectsWithPasswordAndCertificates) { CAPI_ASSERT_OK(TryConnect()); }

TEST_F(SecurityTest, ConnectsWithoutVerification) {
  options_.tls.verify_host = false;
  options_.tls.ca_path = "";
  CAPI_ASSERT_OK(TryConnect());
}

TEST_F(SecurityTest, WrongPasswordsAreTheUsersErrorsAndNotShown) {
  options_.password = "wrong-secret";
  const Status status = TryConnect();
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_EQ(ErrorClassOf(status), "cql_unauthorized") << Describe(status);
  EXPECT_EQ(status.message().find("wrong-secret"), std::string::npos) << status.message();
}

TEST_F(SecurityTest, AMissingUserNameIsTheUsersError) {
  options_.username = "";
  const Status status = TryConnect();
  EXPECT_EQ(ErrorClassOf(status), "cql_unauthorized") << Describe(status);
}

TEST_F(SecurityTest, RightsAreAsked) {
  auto session = Session::Connect(options_);
  ASSERT_TRUE(session.ok()) << Describe(session.status());
  CAPI_ASSERT_OK((*session)->ExecuteSchema(
      "CREATE ROLE IF NOT EXISTS guest WITH PASSWORD = 'guest' AND LOGIN = true"));
  options_.username = "guest";
  options_.password = "guest";
  auto guest = Session::Connect(options_);
  ASSERT_TRUE(guest.ok()) << Describe(guest.status());
  const Status status = (*guest)->ExecuteSchema(
      "CREATE KEYSPACE cqltest_guest WITH REPLICATION = "
      "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}");
  EXPECT_EQ(ErrorClassOf(status), "cql_unauthorized") << Describe(status);
  CAPI_ASSERT_OK((*session)->ExecuteSchema("DROP ROLE guest"));
}

TEST_F(SecurityTest, ForeignServerCertificatesAreRefused) {
  options_.tls.ca_path = folder_ + "/other-ca.pem";
  for (const bool verify_host : {true, false}) {
    options_.tls.verify_host = verify_host;
    const Status status = TryConnect();
    EXPECT_EQ(ErrorClassOf(status), "cql_unavailable") << Describe(status);
    EXPECT_NE(status.message().find("certificate"), std::string::npos) << status.message();
  }
  // The system's roots do not have it either.
  options_.tls.ca_path = "";
  options_.tls.verify_host = true;
  EXPECT_FALSE(TryConnect().ok());
}

TEST_F(SecurityTest, TheCertificateMustBeForTheHostIfAsked) {
  options_.hosts = {address_};
  const Status status = TryConnect();
  EXPECT_EQ(ErrorClassOf(status), "cql_unavailable");
  EXPECT_NE(status.message().find("certificate"), std::string::npos) << status.message();
  options_.tls.verify_host = false;
  CAPI_ASSERT_OK(TryConnect());
}

TEST_F(SecurityTest, TheAddressInTheCertificateWillDo) {
  const TcpProxy proxy(address_, "127.0.0.5");
  options_.hosts = {proxy.address()};
  options_.only_contact_points = true;
  CAPI_ASSERT_OK(TryConnect());
}

TEST_F(SecurityTest, AClientWithoutCertificateIsRefused) {
  options_.tls.certificate_path = "";
  options_.tls.key_path = "";
  EXPECT_EQ(ErrorClassOf(TryConnect()), "cql_unavailable");
}

TEST_F(SecurityTest, AClientWithoutTlsIsRefused) {
  options_.use_tls = false;
  options_.timeout_ms = 1000;
  EXPECT_EQ(ErrorClassOf(TryConnect()), "cql_unavailable");
}

TEST_F(SecurityTest, AKeyThatIsNotTheCertificatesIsTheUsersError) {
  options_.tls.key_path = folder_ + "/ca.key";
  EXPECT_EQ(ErrorClassOf(TryConnect()), "cql_invalid");
  options_.tls.key_path = folder_ + "/client.key";
  options_.tls.ca_path = folder_ + "/client.key";
  EXPECT_EQ(ErrorClassOf(TryConnect()), "cql_invalid");
}

}  // namespace
}  // namespace capi::cql
