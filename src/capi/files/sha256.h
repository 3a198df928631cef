#pragma once

// SHA-256 (FIPS 180-4) of files.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace capi::files {

/// Used by one thread at a time.
class Sha256 {
 public:
  Sha256();
  void Update(std::string_view bytes);
  /// 64 hex digits in lower case. Once.
  std::string Finish();

 private:
  static constexpr size_t kBlockBytes = 64;
  void Compress(const unsigned char* block);

  std::array<uint32_t, 8> state_;
  uint64_t num_bytes_ = 0;
  std::array<unsigned char, kBlockBytes> pending_;  ///< the begin of a block
};

std::string Sha256Hex(std::string_view bytes);

}  // namespace capi::files
