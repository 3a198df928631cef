#include <algorithm>
#include <cstring>
#include <utility>

#include "capi/store/writer/key_set_internal.h"

namespace capi::store {

namespace {

constexpr size_t kFirstSlots = 1024;
constexpr int64_t kReserveStep = int64_t{1} << 20;

}  // namespace

bool KeySet::Matches(int64_t position, std::string_view key) const {
  uint32_t size;
  std::memcpy(&size, keys_.data() + position, sizeof(size));
  return size == key.size() &&
         std::memcmp(keys_.data() + position + sizeof(size), key.data(), size) == 0;
}

bool KeySet::Grow() {
  const size_t size = slots_.empty() ? kFirstSlots : slots_.size() * 2;
  if (limited_ &&
      !reservation_.TryGrow(static_cast<int64_t>((size - slots_.size()) * sizeof(Slot)))) {
    return false;
  }
  std::vector<Slot> larger(size);
  const size_t mask = size - 1;
  for (const Slot& slot : slots_) {
    if (slot.position < 0) continue;
    size_t at = slot.hash & mask;
    while (larger[at].position >= 0) at = (at + 1) & mask;
    larger[at] = slot;
  }
  slots_ = std::move(larger);
  return true;
}

KeySet::Answer KeySet::Insert(uint64_t hash, std::string_view key) {
  if (!full_ && count_ * 2 >= slots_.size() && !Grow()) full_ = true;
  if (slots_.empty()) return Answer::kNotTaken;
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].position >= 0) {
    if (slots_[at].hash == hash && Matches(slots_[at].position, key)) return Answer::kKnown;
    at = (at + 1) & mask;
  }
  const auto size = static_cast<uint32_t>(key.size());
  const auto needed = static_cast<int64_t>(keys_.size() + sizeof(size) + size);
  if (!full_ && limited_ && needed > reserved_key_bytes_) {
    // The string doubles when it grows.
    const int64_t step =
        std::max({kReserveStep, reserved_key_bytes_, needed - reserved_key_bytes_});
    if (reservation_.TryGrow(step)) {
      reserved_key_bytes_ += step;
    } else {
      full_ = true;
    }
  }
  if (full_) return Answer::kNotTaken;
  slots_[at] = {hash, static_cast<int64_t>(keys_.size())};
  keys_.append(reinterpret_cast<const char*>(&size), sizeof(size));
  keys_.append(key);
  ++count_;
  return Answer::kNew;
}

}  // namespace capi::store
