#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "capi/base/test_directory.h"
#include "capi/files/access_policy_internal.h"

namespace capi::files {
namespace {

AccessPolicy Make(const AccessPolicyOptions& options) {
  return AccessPolicy::Make(options).ValueOrDie();
}

Status CheckAddress(const AccessPolicy& policy, const std::string& host,
                    const std::string& address) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    return policy.CheckSocketAddress(host, reinterpret_cast<const sockaddr*>(&v4));
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr), 1) << address;
  return policy.CheckSocketAddress(host, reinterpret_cast<const sockaddr*>(&v6));
}

TEST(AccessPolicyTest, TheDefaultAllowsAll) {
  const AccessPolicy policy = Make({});
  EXPECT_TRUE(policy.CheckHost("127.0.0.1").ok());
  EXPECT_TRUE(CheckAddress(policy, "h", "169.254.169.254").ok());
  EXPECT_TRUE(policy.CheckPath("/etc/passwd").ok());
}

TEST(AccessPolicyTest, WebScriptsDoNotReachThisMachine) {
  const AccessPolicy policy = Make(AccessPolicyOptions::OfWebScripts());
  for (const char* address :
       {"127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "100.100.100.200", "224.0.0.1",
        "255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1", "ff02::1", "fd00:ec2::254",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"}) {
    const Status status = CheckAddress(policy, "innocent.example.com", address);
    EXPECT_EQ(InfoOf(status).error_class, "address_refused") << address;
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    EXPECT_FALSE(policy.CheckHost(address).ok()) << address;
  }
  for (const char* address : {"93.184.216.34", "10.0.0.1", "192.168.1.1", "2606:2800:220::1"}) {
    EXPECT_TRUE(CheckAddress(policy, "h", address).ok()) << address;
    EXPECT_TRUE(policy.CheckHost(address).ok()) << address;
  }
  EXPECT_TRUE(policy.CheckHost("innocent.example.com").ok());
}

TEST(AccessPolicyTest, ANameOnTheListMayNotLeadToThisMachine) {
  AccessPolicyOptions options = AccessPolicyOptions::OfWebScripts();
  options.hosts = {"data.example.com"};
  const AccessPolicy policy = Make(options);
  EXPECT_TRUE(policy.CheckHost("data.example.com").ok());
  EXPECT_FALSE(CheckAddress(policy, "data.example.com", "127.0.0.1").ok());
  EXPECT_TRUE(CheckAddress(policy, "data.example.com", "10.0.0.1").ok());
}

TEST(AccessPolicyTest, AnAddressOrNetworkOnTheListIsAllowed) {
  AccessPolicyOptions options = AccessPolicyOptions::OfWebScripts();
  options.hosts = {"127.0.0.2", "10.1.0.0/16", "[::1]"};
  const AccessPolicy policy = Make(options);
  EXPECT_TRUE(policy.CheckHost("127.0.0.2").ok());
  EXPECT_TRUE(CheckAddress(policy, "any.name", "127.0.0.2").ok());
  EXPECT_FALSE(policy.CheckHost("127.0.0.1").ok());
  EXPECT_FALSE(CheckAddress(policy, "any.name", "127.0.0.1").ok());
  EXPECT_TRUE(CheckAddress(policy, "any.name", "10.1.255.1").ok());
  EXPECT_FALSE(CheckAddress(policy, "any.name", "10.2.0.1").ok());
  EXPECT_TRUE(policy.CheckHost("::1").ok());
}

TEST(AccessPolicyTest, ListOfHosts) {
  AccessPolicyOptions options;
  options.hosts = {"Data.Example.com", "*.trusted.org", "10.0.0.0/8"};
  const AccessPolicy policy = Make(options);
  EXPECT_TRUE(policy.CheckHost("DATA.example.com").ok());
  EXPECT_TRUE(CheckAddress(policy, "data.example.com", "93.184.216.34").ok());
  EXPECT_TRUE(CheckAddress(policy, "a.b.trusted.org", "93.184.216.34").ok());
  EXPECT_FALSE(CheckAddress(policy, "trusted.org", "93.184.216.34").ok());
  EXPECT_FALSE(CheckAddress(policy, "eviltrusted.org", "93.184.216.34").ok());
  // Another name only when it leads into an allowed network.
  EXPECT_FALSE(CheckAddress(policy, "other.com", "93.184.216.34").ok());
  EXPECT_TRUE(CheckAddress(policy, "other.com", "10.9.9.9").ok());
  EXPECT_FALSE(policy.CheckHost("93.184.216.34").ok());

  options.hosts = {"only.com"};
  EXPECT_FALSE(Make(options).CheckHost("other.com").ok());
}

TEST(AccessPolicyTest, LocalhostStandsForLoopback) {
  AccessPolicyOptions options = AccessPolicyOptions::OfWebScripts();
  options.hosts = {"localhost"};
  const AccessPolicy policy = Make(options);
  EXPECT_TRUE(CheckAddress(policy, "localhost", "127.0.0.1").ok());
  EXPECT_TRUE(CheckAddress(policy, "localhost", "::1").ok());
  EXPECT_FALSE(CheckAddress(policy, "localhost", "169.254.169.254").ok());
}

TEST(AccessPolicyTest, Roots) {
  const TestDirectory directory(testing::TempDir());
  const std::string data = directory / "data";
  const std::string secret = directory / "data-secret";
  std::filesystem::create_directories(data + "/in");
  std::filesystem::create_directories(secret);
  std::filesystem::create_directory_symlink(secret, data + "/link");
  AccessPolicyOptions options;
  options.roots = {data + "/"};
  const AccessPolicy policy = Make(options);
  for (const std::string& path : {data, data + "/in/a.csv", data + "/new/deep/a.csv",
                                  data + "/in/../in/a.csv", secret + "/../data/a"}) {
    EXPECT_TRUE(policy.CheckPath(path).ok()) << path;
  }
  for (const std::string& path : {secret + "/a", data + "/../data-secret/a", data + "/link/a",
                                  data + "/link", std::string("/etc/passwd"), std::string("a")}) {
    const Status status = policy.CheckPath(path);
    EXPECT_EQ(InfoOf(status).error_class, "address_refused") << path;
  }
}

TEST(AccessPolicyTest, BadEntries) {
  for (const char* host : {"", "10.0.0.0/33", "10.0.0.0/x", "*", "a b", "http://h", "h:80",
                           "*.*.com", "::1/129", "10.0.0.0/-1"}) {
    AccessPolicyOptions options;
    options.hosts = {host};
    EXPECT_EQ(InfoOf(AccessPolicy::Make(options).status()).error_class, "bad_access_policy")
        << host;
  }
}

}  // namespace
}  // namespace capi::files
