#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "capi/queue/wake_event_internal.h"

namespace capi::queue {

WakeEvent::WakeEvent() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
WakeEvent::~WakeEvent() { close(descriptor_); }
void WakeEvent::Set() const {
  const uint64_t one = 1;
  // Fails only when it is set already, about 2^64 times.
  (void)!write(descriptor_, &one, sizeof(one));
}
void WakeEvent::Clear() const {
  uint64_t count = 0;
  (void)!read(descriptor_, &count, sizeof(count));
}

}  // namespace capi::queue
