#include "capi/exec/memory.h"

#include <cassert>
#include <utility>

namespace capi::exec {

namespace {

void RaisePeak(std::atomic<int64_t>* peak, int64_t bytes) {
  int64_t seen = peak->load(std::memory_order_relaxed);
  while (seen < bytes && !peak->compare_exchange_weak(seen, bytes, std::memory_order_relaxed)) {
  }
}

}  // namespace

bool MemoryBudget::TryReserve(int64_t bytes) {
  assert(bytes >= 0);
  int64_t reserved = reserved_.load(std::memory_order_relaxed);
  do {
    // Written as a subtraction: the sum could overflow for absurd sizes.
    if (limit_bytes_ > 0 && bytes > limit_bytes_ - reserved) return bytes == 0;
  } while (!reserved_.compare_exchange_weak(reserved, reserved + bytes, std::memory_order_relaxed));
  RaisePeak(&peak_, reserved + bytes);
  return true;
}

void MemoryBudget::ForceReserve(int64_t bytes) {
  assert(bytes >= 0);
  RaisePeak(&peak_, reserved_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
}

void MemoryBudget::Release(int64_t bytes) {
  [[maybe_unused]] const int64_t before = reserved_.fetch_sub(bytes, std::memory_order_relaxed);
  assert(bytes >= 0 && bytes <= before && "more released than reserved");
}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Clear();
    budget_ = other.budget_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

bool Reservation::TryGrow(int64_t bytes) {
  if (budget_ != nullptr && !budget_->TryReserve(bytes)) return false;
  bytes_ += bytes;
  return true;
}

void Reservation::ForceGrow(int64_t bytes) {
  if (budget_ != nullptr) budget_->ForceReserve(bytes);
  bytes_ += bytes;
}

void Reservation::Shrink(int64_t bytes) {
  assert(bytes <= bytes_ && "more given back than held");
  if (budget_ != nullptr) budget_->Release(bytes);
  bytes_ -= bytes;
}

void Reservation::Clear() { Shrink(bytes_); }

}  // namespace capi::exec
