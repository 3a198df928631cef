#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/exec/memory.h"

namespace capi::store {

/// The different keys seen so far, in the bytes of data::EncodeSortKeys (equal keys have equal
/// bytes). One thread at a time.
class KeySet {
 public:
  /// With a budget, keys beyond it are not taken. Null: unlimited.
  explicit KeySet(exec::MemoryBudget* budget) : limited_(budget != nullptr), reservation_(budget) {}

  enum class Answer { kNew, kKnown, kNotTaken };
  /// kNotTaken: the key was not seen before, and there is no memory to remember it.
  Answer Insert(uint64_t hash, std::string_view key);

 private:
  struct Slot {
    uint64_t hash = 0;
    int64_t position = -1;  // of the key in keys_: its length (4 bytes), then its bytes
  };
  bool Grow();
  bool Matches(int64_t position, std::string_view key) const;

  const bool limited_;
  exec::Reservation reservation_;
  std::vector<Slot> slots_;
  std::string keys_;
  size_t count_ = 0;
  int64_t reserved_key_bytes_ = 0;
  bool full_ = false;
};

}  // namespace capi::store
