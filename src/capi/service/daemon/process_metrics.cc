#include "capi/service/daemon/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

namespace capi::service {

namespace {

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// When the machine was started, as the kernel tells it; 0 if it does not.
double BootSeconds() {
  std::istringstream lines(ReadAll("/proc/stat"));
  std::string word;
  while (lines >> word) {
    double seconds = 0;
    if (word == "btime" && lines >> seconds) return seconds;
  }
  return 0;
}

int64_t CountOpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  int64_t count = 0;
  while (!error && files != std::filesystem::directory_iterator()) {
    ++count;
    files.increment(error);
  }
  return count > 0 ? count - 1 : 0;  // without the one that reads the directory
}

}  // namespace

std::optional<ProcessUsage> ReadProcessUsage() {
  const std::string stat = ReadAll("/proc/self/stat");
  // The name, the second field, may hold anything, also brackets.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  // proc(5): fields 3 (state) to 24 (rss).
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  const auto skip = [&](int count) {
    for (int i = 0; i < count; ++i) fields >> skipped;
  };
  int64_t user_ticks = 0;
  int64_t system_ticks = 0;
  int64_t start_ticks = 0;
  int64_t resident_pages = 0;
  ProcessUsage usage;
  skip(11);  // 3 to 13
  fields >> user_ticks >> system_ticks;
  skip(6);  // 16 to 21
  fields >> start_ticks >> usage.virtual_bytes >> resident_pages;
  if (!fields) return std::nullopt;
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  usage.cpu_seconds = static_cast<double>(user_ticks + system_ticks) / ticks_per_second;
  usage.start_seconds = BootSeconds() + static_cast<double>(start_ticks) / ticks_per_second;
  usage.resident_bytes = resident_pages * sysconf(_SC_PAGESIZE);
  usage.open_files = CountOpenFiles();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    usage.max_files = static_cast<int64_t>(limit.rlim_cur);
  }
  return usage;
}

}  // namespace capi::service
