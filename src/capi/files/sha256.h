#pragma once

// SHA-256 (FIPS 180-4) of inputs, and what S3 signs with.

#include <memory>
#include <string>
#include <string_view>

namespace capi::files {

/// Used by one thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Update(std::string_view bytes);
  /// 64 hex digits in lower case. Once.
  std::string Finish();

 private:
  void* context_;  ///< EVP_MD_CTX
};

std::string Sha256Hex(std::string_view bytes);
/// 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view bytes);
std::string HexOf(std::string_view bytes);

}  // namespace capi::files
