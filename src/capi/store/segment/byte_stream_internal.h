#pragma once

// Building and taking apart the small variable-length parts of directories.

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace capi::store {

class ByteWriter {
 public:
  template <typename T>
  void Put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void PutText(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    bytes_.append(text);
  }
  template <typename T>
  void PutArray(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  }
  void PutBytes(std::string_view bytes) { bytes_.append(bytes); }
  void Align(size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0');
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads what ByteWriter wrote. After reading past the end ok() is false and values are zero.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T Get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const std::string_view raw = Take(sizeof(T));
    if (ok_) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  std::string_view GetText() { return Take(Get<uint32_t>()); }
  std::string_view GetBytes(size_t count) { return Take(count); }
  /// A view of count values in place; the position must be aligned for T.
  template <typename T>
  std::span<const T> GetArray(size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (count > bytes_.size() / sizeof(T)) {
      ok_ = false;
      return {};
    }
    const std::string_view raw = Take(count * sizeof(T));
    if (!ok_) return {};
    if (reinterpret_cast<uintptr_t>(raw.data()) % alignof(T) != 0) {
      ok_ = false;
      return {};
    }
    return {reinterpret_cast<const T*>(raw.data()), count};
  }
  void Align(size_t alignment) {
    const size_t aligned = (position_ + alignment - 1) / alignment * alignment;
    Take(aligned - position_);
  }
  bool ok() const { return ok_; }
  bool at_end() const { return position_ == bytes_.size(); }

 private:
  std::string_view Take(size_t count) {
    if (!ok_ || count > bytes_.size() - position_) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(position_, count);
    position_ += count;
    return taken;
  }

  std::string_view bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace capi::store
