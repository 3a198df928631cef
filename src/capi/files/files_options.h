#pragma once

// Settings of remote and local file access (spec/config.md 3, spec/formats.md 9). A plain struct:
// configuration files and environment variables are read elsewhere.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace capi::files {

/// What addresses may be used. The default allows everything the process can reach, as the operator
/// who calls the command line may; OfWebScripts() is for scripts that come over the network.
struct AccessPolicyOptions {
  /// Directories below which local files may be read and written (links are resolved); empty: all.
  std::vector<std::string> roots;
  /// Hosts that may be asked: names ("data.example.com", "*.example.com"), addresses ("10.1.2.3")
  /// or networks ("10.0.0.0/8", "fd00::/8"); empty: all. S3 buckets are asked for by the name of
  /// their endpoint.
  std::vector<std::string> hosts;
  /// Refuses addresses of this machine, of the local link, of cloud metadata services and
  /// multicast, whatever name they were resolved from, unless `hosts` has an address or network
  /// that contains them ("localhost" stands for 127.0.0.0/8 and ::1). Proxies of the environment
  /// are not used then: they would connect where this process cannot look.
  bool refuse_local_addresses = false;

  static AccessPolicyOptions OfWebScripts() {
    AccessPolicyOptions policy;
    policy.refuse_local_addresses = true;
    return policy;
  }
};

struct FilesOptions {
  /// Directory whose files are the only trusted roots (PEM) of https; "" = those of the system.
  std::string ca_path;
  /// User name -> private key file for sftp ("~/" is expanded). Keys have no pass phrase.
  std::map<std::string, std::string> private_keys;
  /// "" = ~/.ssh/known_hosts. Hosts that are not in it are refused.
  std::string known_hosts_path;
  /// "" = Amazon's. Buckets are then asked for by path ("http://127.0.0.1:9000").
  std::string s3_endpoint;
  /// "" = AWS_REGION, AWS_DEFAULT_REGION, the profile's, or what the bucket says.
  std::string s3_region;
  AccessPolicyOptions policy;

  int64_t connect_timeout_ms = 10000;
  /// A transfer that moves no byte for so long is given up (and tried again).
  int64_t idle_timeout_ms = 30000;
  /// Tries without any progress before an error is reported.
  int max_tries = 5;
  /// Pause before the second try; doubled each time.
  int64_t first_retry_ms = 200;
  int max_redirects = 10;
  /// Text of a streamed input that may wait to be read.
  int64_t read_ahead_bytes = int64_t{32} << 20;
  /// Most bytes of a script, parameter, criteria or Python file.
  int64_t max_small_file_bytes = int64_t{64} << 20;
  /// Where an input is copied to that needs random access but whose server cannot give it; "" = the
  /// directory for temporary files of the system. And how large such a copy may get.
  std::string spill_directory;
  int64_t max_spill_bytes = int64_t{100} << 30;
};

}  // namespace capi::files
