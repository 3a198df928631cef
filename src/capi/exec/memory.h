#pragma once

// Memory reservations (architecture P4). A limit bounds what operators hold in anonymous memory;
// file pages are page cache and do not count.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "capi/base/status.h"

namespace capi::exec {

/// Bytes of the process-wide budget. Thread-safe.
class MemoryBudget {
 public:
  /// limit_bytes <= 0: unlimited.
  explicit MemoryBudget(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  int64_t limit_bytes() const { return limit_bytes_; }
  int64_t reserved_bytes() const { return reserved_.load(std::memory_order_relaxed); }
  int64_t peak_bytes() const { return peak_.load(std::memory_order_relaxed); }
  /// Takes bytes if the limit allows it. Never blocks.
  bool TryReserve(int64_t bytes);
  /// Takes bytes even beyond the limit: for the minimum an operator cannot work without.
  void ForceReserve(int64_t bytes);
  void Release(int64_t bytes);

 private:
  const int64_t limit_bytes_;
  std::atomic<int64_t> reserved_{0};
  std::atomic<int64_t> peak_{0};
};

/// Movable ownership of reserved bytes; gives them back when destroyed. Not thread-safe.
class Reservation {
 public:
  Reservation() = default;
  explicit Reservation(MemoryBudget* budget) : budget_(budget) {}
  Reservation(Reservation&& other) noexcept { *this = std::move(other); }
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { Clear(); }
  /// False: the operator must spill (or work in smaller pieces).
  bool TryGrow(int64_t bytes);
  void ForceGrow(int64_t bytes);
  void Shrink(int64_t bytes);
  void Clear();
  int64_t bytes() const { return bytes_; }

 private:
  MemoryBudget* budget_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace capi::exec
