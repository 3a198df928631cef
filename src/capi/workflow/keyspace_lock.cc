#include "capi/workflow/keyspace_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace capi::workflow {

namespace {

std::string PathIn(const std::string& directory) { return directory + "/lock"; }

Status SystemError(const std::string& what, const std::string& path) {
  return EnvironmentError(what + ": " + path + ": " + std::strerror(errno));
}

/// Open file description locks belong to the descriptor, not to the process: two engines in one
/// process exclude each other too, and closing another descriptor of the file does not drop them.
struct flock WholeFile(int16_t type) {
  struct flock region = {};
  region.l_type = type;
  region.l_whence = SEEK_SET;
  return region;
}

std::string HolderOf(int descriptor) {
  std::array<char, 200> text;
  const ssize_t length = pread(descriptor, text.data(), text.size(), 0);
  return length > 0 ? std::string(text.data(), static_cast<size_t>(length)) : "unknown";
}

/// Whether `path` still is the file behind the descriptor (a dropped keyspace takes its lock file
/// along).
bool IsSameFile(int descriptor, const std::string& path) {
  struct stat by_descriptor = {};
  struct stat by_path = {};
  return fstat(descriptor, &by_descriptor) == 0 && stat(path.c_str(), &by_path) == 0 &&
         by_descriptor.st_dev == by_path.st_dev && by_descriptor.st_ino == by_path.st_ino;
}

}  // namespace

Result<std::unique_ptr<KeyspaceLock>> KeyspaceLock::Acquire(const std::string& directory) {
  const std::string path = PathIn(directory);
  constexpr mode_t kMode = 0644;
  while (true) {
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode);
    if (descriptor < 0) return SystemError("cannot open the lock file", path);
    std::unique_ptr<KeyspaceLock> lock(new KeyspaceLock(descriptor));
    struct flock region = WholeFile(F_WRLCK);
    if (fcntl(descriptor, F_OFD_SETLK, &region) != 0) {
      if (errno != EAGAIN && errno != EACCES) return SystemError("cannot lock", path);
      return UserError("keyspace_in_use",
                       "another process is running in this keyspace; wait for it to end or use "
                       "another keyspace: " +
                           directory + ", held by " + HolderOf(descriptor));
    }
    if (!IsSameFile(descriptor, path)) continue;
    const std::string holder = ProcessInstance();
    // For messages only: a failure to write it changes nothing.
    if (ftruncate(descriptor, 0) == 0) {
      [[maybe_unused]] const ssize_t written = pwrite(descriptor, holder.data(), holder.size(), 0);
    }
    return lock;
  }
}

KeyspaceLock::~KeyspaceLock() { close(descriptor_); }

Result<bool> KeyspaceLock::IsHeld(const std::string& directory) {
  const std::string path = PathIn(directory);
  const int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return false;
    return SystemError("cannot open the lock file", path);
  }
  struct flock region = WholeFile(F_WRLCK);
  const int code = fcntl(descriptor, F_OFD_GETLK, &region);
  close(descriptor);
  if (code != 0) return SystemError("cannot ask for the lock", path);
  return region.l_type != F_UNLCK;
}

std::string ProcessInstance() {
  std::array<char, 256> host = {};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return std::string(host.data()) + "/" + std::to_string(getpid());
}

}  // namespace capi::workflow
