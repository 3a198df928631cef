#include "capi/base/fault_point.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace capi {

namespace internal {
std::atomic<bool> fault_points_armed{false};
}  // namespace internal

namespace {

enum class Action : uint8_t { kKill, kError, kStop };

struct ArmedFault {
  std::string name;
  Action action = Action::kKill;
  int64_t hits_left = 1;
};

struct Registry {
  std::mutex mutex;
  std::vector<ArmedFault> faults;
};

Registry& TheRegistry() {
  static Registry* const registry = new Registry;
  return *registry;
}

std::string_view TakeUntil(std::string_view* text, char separator) {
  const size_t end = text->find(separator);
  const std::string_view part = text->substr(0, end);
  *text = end == std::string_view::npos ? std::string_view() : text->substr(end + 1);
  return part;
}

Result<ArmedFault> ParseFault(std::string_view text) {
  const Status bad =
      UserError("bad_fault_spec", "fault must be name:kill[:n], name:error[:n] or name:stop[:n]: " +
                                      std::string(text));
  ArmedFault fault;
  fault.name = std::string(TakeUntil(&text, ':'));
  const std::string_view action = TakeUntil(&text, ':');
  if (action == "error") {
    fault.action = Action::kError;
  } else if (action == "stop") {
    fault.action = Action::kStop;
  } else if (action != "kill") {
    return bad;
  }
  if (fault.name.empty()) return bad;
  if (text.empty()) return fault;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, fault.hits_left);
  if (error != std::errc() || stop != end || fault.hits_left < 1) return bad;
  return fault;
}

/// Arms from the environment before main. A wrong spec ends the process: a crash test that silently
/// injects nothing would pass for the wrong reason.
const bool armed_from_environment = [] {
  const char* spec = std::getenv("CAPI_FAULT");
  if (spec == nullptr) return false;
  const Status status = ArmFaultPoints(spec);
  if (!status.ok()) {
    std::fprintf(stderr, "CAPI_FAULT: %s\n", status.message().c_str());
    _exit(2);
  }
  return true;
}();

}  // namespace

Status ArmFaultPoints(std::string_view spec) {
  std::vector<ArmedFault> faults;
  while (!spec.empty()) {
    CAPI_ASSIGN_OR_RETURN(ArmedFault fault, ParseFault(TakeUntil(&spec, ',')));
    faults.push_back(std::move(fault));
  }
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.faults = std::move(faults);
  internal::fault_points_armed.store(!registry.faults.empty(), std::memory_order_relaxed);
  return Status::OK();
}

namespace internal {

Status HitFaultPoint(std::string_view name) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  Status result;
  for (ArmedFault& fault : registry.faults) {
    if (fault.name != name || --fault.hits_left != 0) continue;
    // No destructors, no flushing: as close to a power cut as a process can come.
    if (fault.action == Action::kKill) _exit(kFaultExitStatus);
    if (fault.action == Action::kStop) {
      // Of this thread, so that it is the first to stop: one sent to the process may reach another
      // thread some time later.
      raise(SIGSTOP);
    } else {
      result = EnvironmentError("fault point fired: " + fault.name);
    }
  }
  return result;
}

}  // namespace internal

}  // namespace capi
