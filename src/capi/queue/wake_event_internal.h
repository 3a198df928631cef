#pragma once

namespace capi::queue {

/// A file descriptor that wakes a thread out of poll. Thread-safe.
class WakeEvent {
 public:
  WakeEvent();
  ~WakeEvent();
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;
  void Set() const;
  void Clear() const;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace capi::queue
