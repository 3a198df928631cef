#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "capi/base/log.h"
#include "capi/python/spawner_internal.h"
#include "capi/python/worker_source_internal.h"

extern "C" char** environ;

namespace capi::python {

namespace {

constexpr int kChannel = 3;  // of the child
constexpr int kReports = 4;  // of the child until exec
constexpr int kFirstFree = 5;
constexpr int kSafeFrom = 10;  // descriptors are moved here first, so that none is overwritten
constexpr int kExecFailed = 127;
constexpr int kChannelBytes = 1 << 20;

/// Names that hold no secrets and that interpreters and their packages need. LC_* too.
constexpr std::array<std::string_view, 21> kHarmless = {"PATH",
                                                        "HOME",
                                                        "USER",
                                                        "LOGNAME",
                                                        "LANG",
                                                        "LANGUAGE",
                                                        "TZ",
                                                        "TMPDIR",
                                                        "VIRTUAL_ENV",
                                                        "CONDA_PREFIX",
                                                        "PYTHONPATH",
                                                        "PYTHONHOME",
                                                        "PYTHONUSERBASE",
                                                        "PYTHONNOUSERSITE",
                                                        "LD_LIBRARY_PATH",
                                                        "TZDIR",
                                                        "PYENV_ROOT",
                                                        "PYENV_VERSION",
                                                        "OMP_NUM_THREADS",
                                                        "OPENBLAS_NUM_THREADS",
                                                        "POLARS_MAX_THREADS"};

/// Same results in every process; one thread each, because the engine runs one process per thread.
constexpr std::array<std::string_view, 7> kDefaults = {
    "PYTHONHASHSEED=0",    "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8:backslashreplace",
    "OMP_NUM_THREADS=1",   "OPENBLAS_NUM_THREADS=1",    "MKL_NUM_THREADS=1",
    "POLARS_MAX_THREADS=1"};

std::string_view NameOf(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

/// The file that a name means, as a shell finds it.
Result<std::string> FindProgram(const std::string& name) {
  const auto runs = [](const std::string& path) { return access(path.c_str(), X_OK) == 0; };
  if (name.find('/') != std::string::npos) {
    if (runs(name)) return name;
    return EnvironmentError("the Python interpreter cannot be executed: " + name + ": " +
                            std::strerror(errno));
  }
  const char* path = std::getenv("PATH");
  const std::string_view folders = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t begin = 0; begin <= folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    std::string candidate(folders.substr(begin, end - begin));
    candidate += candidate.empty() ? "./" + name : "/" + name;
    if (runs(candidate)) return candidate;
    begin = end + 1;
  }
  return EnvironmentError("the Python interpreter is not found in PATH: " + name);
}

/// What a child that has not got to exec tells: which step, and errno.
struct Report {
  enum Step : int32_t { kParentGone, kDescriptors, kMemoryLimit, kSandbox, kExec };
  int32_t step;
  int32_t error;
};

/// In the child, async-signal-safe: never returns.
class Child {
 public:
  Child(const char* path, char* const* argv, char* const* envp, int64_t memory_limit,
        Sandbox* sandbox, pid_t parent)
      : path_(path),
        argv_(argv),
        envp_(envp),
        memory_limit_(memory_limit),
        sandbox_(sandbox),
        parent_(parent) {}

  [[noreturn]] void Run(int channel, int output, int reports) {
    reports_ = reports;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent_) _exit(kExecFailed);
    ResetSignals();
    const int ruleset = MoveDescriptors(channel, output, reports);
    LimitMemory();
    const int error = sandbox_->Apply(ruleset);
    if (error != 0) Tell(Report::kSandbox, error);
    if (ruleset >= 0) close(ruleset);
    execve(path_, argv_, envp_);
    Fail(Report::kExec);
  }

 private:
  void Tell(Report::Step step, int error) const {
    const Report report{step, error};
    if (write(reports_, &report, sizeof(report)) < 0) _exit(kExecFailed);
  }
  [[noreturn]] void Fail(Report::Step step) const {
    Tell(step, errno);
    _exit(kExecFailed);
  }

  static void ResetSignals() {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
  }

  int Move(int descriptor) const {
    const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, kSafeFrom);
    if (moved < 0) Fail(Report::kDescriptors);
    return moved;
  }

  /// Nothing of the engine's stays open. Returns the descriptor of the ruleset.
  int MoveDescriptors(int channel, int output, int reports) {
    reports_ = Move(reports);
    channel = Move(channel);
    output = Move(output);
    const int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0) {
      Fail(Report::kDescriptors);
    }
    int first_closed = kFirstFree;
    const int moved_ruleset = sandbox_->ruleset() >= 0 ? Move(sandbox_->ruleset()) : -1;
    if (dup2(channel, kChannel) < 0 || dup3(reports_, kReports, O_CLOEXEC) < 0) {
      Fail(Report::kDescriptors);
    }
    reports_ = kReports;
    if (moved_ruleset >= 0 && dup3(moved_ruleset, first_closed++, O_CLOEXEC) < 0) {
      Fail(Report::kDescriptors);
    }
    if (syscall(SYS_close_range, first_closed, ~0U, 0) != 0) {
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      const auto end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 16));
      for (int fd = first_closed; fd < end; ++fd) close(fd);
    }
    return moved_ruleset >= 0 ? kFirstFree : -1;
  }

  void LimitMemory() const {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (memory_limit_ <= 0) return;
    const rlimit limit{static_cast<rlim_t>(memory_limit_), static_cast<rlim_t>(memory_limit_)};
    if (setrlimit(RLIMIT_AS, &limit) != 0) Fail(Report::kMemoryLimit);
  }

  const char* path_;
  char* const* argv_;
  char* const* envp_;
  int64_t memory_limit_;
  Sandbox* sandbox_;
  pid_t parent_;
  int reports_ = -1;
};

std::vector<char*> PointersTo(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Status MakePair(bool sockets, FileDescriptor* ours, FileDescriptor* theirs) {
  std::array<int, 2> ends{-1, -1};
  const int made = sockets ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data())
                           : pipe2(ends.data(), O_CLOEXEC);
  if (made != 0) return PosixError(errno, "make a pipe", "for the Python interpreter");
  *ours = FileDescriptor(ends[0]);
  *theirs = FileDescriptor(ends[1]);
  return Status::OK();
}

Status StartError(const Report& report, const std::string& path) {
  constexpr std::array<std::string_view, 5> kSteps = {
      "its parent ended", "its descriptors cannot be set up", "its memory cannot be limited",
      "its sandbox cannot be set up", "it cannot be executed"};
  return EnvironmentError("the Python interpreter cannot be started: " + path + ": " +
                          std::string(kSteps[static_cast<size_t>(report.step)]) + ": " +
                          std::strerror(report.error));
}

}  // namespace

std::vector<std::string> FormulaEnvironment(const std::vector<std::string>& passed_variables) {
  std::vector<std::string> result;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view variable = *at;
    const std::string_view name = NameOf(variable);
    const bool passed =
        name.starts_with("LC_") ||
        std::find(kHarmless.begin(), kHarmless.end(), name) != kHarmless.end() ||
        std::find(passed_variables.begin(), passed_variables.end(), name) != passed_variables.end();
    if (passed) result.emplace_back(variable);
  }
  for (const std::string_view variable : kDefaults) {
    const bool given = std::any_of(result.begin(), result.end(), [&](const std::string& other) {
      return NameOf(other) == NameOf(variable);
    });
    if (!given) result.emplace_back(variable);
  }
  return result;
}

Result<std::unique_ptr<Spawner>> Spawner::Make(const PoolOptions& options,
                                               const SandboxSupport& support) {
  CAPI_ASSIGN_OR_RETURN(Sandbox sandbox, Sandbox::Make(support));
  std::unique_ptr<Spawner> spawner(new Spawner(std::move(sandbox)));
  CAPI_ASSIGN_OR_RETURN(spawner->path_, FindProgram(options.interpreter));
  spawner->arguments_.push_back(options.interpreter);
  for (const std::string& parameter : options.interpreter_parameters) {
    if (parameter != "-" && parameter != "-u") spawner->arguments_.push_back(parameter);
  }
  spawner->arguments_.insert(spawner->arguments_.end(), {"-c", std::string(BootstrapSource())});
  spawner->environment_ = FormulaEnvironment(options.passed_variables);
  spawner->memory_limit_ = options.memory_limit;
  spawner->thread_ = std::thread([raw = spawner.get()] { raw->Run(); });
  return spawner;
}

Spawner::~Spawner() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Result<Spawned> Spawner::Spawn() {
  std::future<Result<Spawned>> spawned;
  {
    const std::lock_guard lock(mutex_);
    spawned = requests_.emplace_back().get_future();
  }
  wake_.notify_one();
  return spawned.get();
}

void Spawner::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return ending_ || !requests_.empty(); });
    if (requests_.empty()) return;
    std::promise<Result<Spawned>> request = std::move(requests_.front());
    requests_.pop_front();
    lock.unlock();
    request.set_value(Fork());
    lock.lock();
  }
}

Result<Spawned> Spawner::Fork() {
  Spawned spawned;
  FileDescriptor channel;
  FileDescriptor output;
  FileDescriptor reports;
  FileDescriptor our_reports;
  CAPI_RETURN_NOT_OK(MakePair(true, &spawned.channel, &channel));
  CAPI_RETURN_NOT_OK(MakePair(false, &spawned.output, &output));
  CAPI_RETURN_NOT_OK(MakePair(false, &our_reports, &reports));
  for (const int fd : {spawned.channel.get(), channel.get()}) {
    // As large as the system allows; a smaller buffer is only slower.
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kChannelBytes, sizeof(kChannelBytes));
  }
  const std::vector<char*> argv = PointersTo(arguments_);
  const std::vector<char*> envp = PointersTo(environment_);
  Child child(path_.c_str(), argv.data(), envp.data(), memory_limit_, &sandbox_, getpid());
  // Between fork and exec only async-signal-safe calls: other threads may hold any lock.
  spawned.pid = fork();
  if (spawned.pid < 0) return PosixError(errno, "fork", path_);
  if (spawned.pid == 0) child.Run(channel.get(), output.get(), reports.get());
  channel.Close();
  output.Close();
  reports.Close();
  Report report{};
  Status status;
  while (true) {
    const ssize_t size = read(our_reports.get(), &report, sizeof(report));
    if (size < 0 && errno == EINTR) continue;
    if (size < static_cast<ssize_t>(sizeof(report))) break;
    if (report.step == Report::kSandbox) {
      LogWarn("formulas run without a sandbox: " + std::string(std::strerror(report.error)));
    } else {
      status = StartError(report, path_);
    }
  }
  if (!status.ok()) {
    waitpid(spawned.pid, nullptr, 0);
    return status;
  }
  for (const int fd : {spawned.channel.get(), spawned.output.get()}) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
  return spawned;
}

}  // namespace capi::python
