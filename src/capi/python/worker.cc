#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "capi/python/worker_internal.h"
#include "capi/python/worker_source_internal.h"

namespace capi::python {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Header of a frame, as in pyworker/worker.py.
struct Header {
  std::array<char, 4> magic{'C', 'P', 'Y', '1'};
  uint32_t exchange = 0;
  uint8_t kind = 0;
  std::array<uint8_t, 3> unused{};
  uint64_t size = 0;
} __attribute__((packed));
static_assert(sizeof(Header) == 20);

constexpr uint64_t kMaxAnswer = uint64_t{1} << 30;
constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kKeptOutput = 4096;
/// How often cancellation and death are looked for while nothing arrives.
constexpr int kTickMillis = 50;
/// An interrupted formula has this long to come back with its traceback.
constexpr int kGraceMillis = 1000;
constexpr int kReapMillis = 500;

bool IsAnswer(FrameKind kind) {
  return kind == FrameKind::kReady || kind == FrameKind::kColumns || kind == FrameKind::kProgress ||
         kind == FrameKind::kFailure;
}

}  // namespace

std::string_view Answer::payload() const { return std::string_view(frame).substr(sizeof(Header)); }

Result<std::unique_ptr<Worker>> Worker::Start(Spawner* spawner, const PoolOptions& options) {
  std::unique_ptr<Worker> worker(new Worker());
  CAPI_ASSIGN_OR_RETURN(worker->process_, spawner->Spawn());
  worker->memory_limit_ = options.memory_limit;
  const uint64_t size = WorkerSource().size();
  worker->start_.assign(reinterpret_cast<const char*>(&size), sizeof(size));
  worker->start_ += WorkerSource();
  worker->to_send_.push_back(worker->start_);
  return worker;
}

Worker::~Worker() { Kill(); }

void Worker::Kill() {
  if (process_.pid <= 0 || reaped_) return;
  kill(-process_.pid, SIGKILL);
  while (waitpid(process_.pid, &exit_status_, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
}

Worker::Io Worker::Send() {
  while (!to_send_.empty()) {
    std::string_view& next = to_send_.front();
    const ssize_t n = send(process_.channel.get(), next.data(), next.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kAgain : Io::kClosed;
    }
    next.remove_prefix(static_cast<size_t>(n));
    if (next.empty()) to_send_.pop_front();
  }
  return Io::kDone;
}

Worker::Io Worker::Receive() {
  if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
  const ssize_t n = recv(process_.channel.get(), buffer_.get(), kReadBytes, 0);
  if (n > 0) {
    received_.append(buffer_.get(), static_cast<size_t>(n));
    return Io::kDone;
  }
  if (n == 0) return Io::kClosed;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Io::kAgain : Io::kClosed;
}

void Worker::ReadOutput() {
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t n = read(process_.output.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output_bytes_ += n;
    output_.append(buffer.data(), static_cast<size_t>(n));
    if (output_.size() > 2 * kKeptOutput) output_.erase(0, output_.size() - kKeptOutput);
  }
}

std::string Worker::TakeOutput() {
  ReadOutput();
  if (output_.size() > kKeptOutput) output_.erase(0, output_.size() - kKeptOutput);
  std::string text = std::exchange(output_, {});
  const int64_t bytes = std::exchange(output_bytes_, 0);
  const size_t end = text.find_last_not_of(" \r\n\t");
  text.resize(end == std::string::npos ? 0 : end + 1);
  for (char& c : text) {
    if (c != '\n' && static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  if (!text.empty() && bytes > static_cast<int64_t>(kKeptOutput)) {
    text = "(the last " + std::to_string(text.size()) + " of " + std::to_string(bytes) +
           " bytes) " + text;
  }
  return text;
}

Status Worker::Died() {
  // The end of the channel may be seen before the end of the process.
  const auto until = Clock::now() + milliseconds(kReapMillis);
  while (!reaped_ && Clock::now() < until) {
    reaped_ = waitpid(process_.pid, &exit_status_, WNOHANG) == process_.pid;
    if (!reaped_) usleep(1000);
  }
  std::string how = "closed its channel";
  if (reaped_ && WIFEXITED(exit_status_)) {
    how = "ended with status " + std::to_string(WEXITSTATUS(exit_status_));
  } else if (reaped_ && WIFSIGNALED(exit_status_)) {
    const int signal = WTERMSIG(exit_status_);
    how = "was killed by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
  }
  kill(-process_.pid, SIGKILL);  // what it may have started
  Kill();
  return UserError("python_died", "the Python process " + how);
}

Status Worker::OutOfStep(const std::string& what) {
  Kill();
  return UserError("python_protocol",
                   "the Python process sent something that is no answer, so a formula must have "
                   "written into the engine's channel: " +
                       what);
}

Result<bool> Worker::TakeFrame(Answer* answer) {
  Header header;
  const size_t known = std::min(received_.size(), sizeof(Header));
  // Garbage is recognised as early as possible, not when a whole header is there.
  const size_t magic = std::min(known, header.magic.size());
  if (std::memcmp(received_.data(), header.magic.data(), magic) != 0) {
    return OutOfStep("bad start of a frame");
  }
  if (known < sizeof(Header)) return false;
  std::memcpy(&header, received_.data(), sizeof(header));
  answer->kind = static_cast<FrameKind>(header.kind);
  if (header.exchange != exchange_ || !IsAnswer(answer->kind)) return OutOfStep("bad header");
  if (header.size > kMaxAnswer) {
    Kill();
    return UserError("python_result", "the results of one piece are larger than 1 GiB: " +
                                          std::to_string(header.size) + " bytes");
  }
  const size_t end = sizeof(Header) + static_cast<size_t>(header.size);
  if (received_.size() < end) {
    received_.reserve(end);
    return false;
  }
  // The payload takes over the bytes; what came after them is rare and short.
  std::string rest = received_.substr(end);
  received_.resize(end);
  answer->frame = std::exchange(received_, std::move(rest));
  return true;
}

Result<Answer> Worker::Exchange(FrameKind kind, const std::vector<std::string_view>& payload,
                                int64_t limit_ms, const exec::CancelToken& cancel) {
  Header header;
  header.exchange = ++exchange_;
  header.kind = static_cast<uint8_t>(kind);
  for (const std::string_view piece : payload) header.size += piece.size();
  to_send_.emplace_back(reinterpret_cast<const char*>(&header), sizeof(header));
  for (const std::string_view piece : payload) {
    if (!piece.empty()) to_send_.push_back(piece);
  }

  bool interrupted = false;
  auto deadline = Clock::now() + milliseconds(limit_ms);
  while (true) {
    if (cancel.cancelled()) {
      Kill();
      return cancel.reason();
    }
    auto now = Clock::now();
    if (now >= deadline) {
      if (interrupted) {
        Kill();
        return UserError("python_timeout", "the time limit of " + std::to_string(limit_ms) +
                                               " ms is exceeded, and the formula cannot be "
                                               "interrupted");
      }
      interrupted = true;
      kill(process_.pid, SIGXCPU);
      deadline = now + milliseconds(kGraceMillis);
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - now).count();
    std::array<pollfd, 2> polled{
        {{process_.channel.get(), POLLIN, 0}, {process_.output.get(), POLLIN, 0}}};
    if (!to_send_.empty()) polled[0].events |= POLLOUT;
    const int ready = poll(polled.data(), polled.size(),
                           static_cast<int>(std::clamp<int64_t>(left, 0, kTickMillis)));
    if (polled[1].revents != 0) ReadOutput();
    if (ready == 0) {
      // A process that a formula forked may keep the channel open after the worker's death.
      reaped_ = waitpid(process_.pid, &exit_status_, WNOHANG) == process_.pid;
      if (reaped_) return Died();
      continue;
    }
    // What was written before the end still counts, so reading comes first.
    const bool readable = (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    if (readable && Receive() == Io::kClosed) return Died();
    if (!to_send_.empty() && (polled[0].revents & POLLOUT) != 0 && Send() == Io::kClosed) {
      return Died();
    }
    while (!received_.empty()) {
      Answer answer;
      CAPI_ASSIGN_OR_RETURN(const bool whole, TakeFrame(&answer));
      if (!whole) break;
      if (answer.kind != FrameKind::kProgress) {
        if (!received_.empty()) return OutOfStep("bytes after the answer");
        if (!to_send_.empty()) return OutOfStep("an answer before the question");
        return answer;
      }
      interrupted = false;
      deadline = Clock::now() + milliseconds(limit_ms);
    }
  }
}

bool Worker::idle_and_well() {
  if (reaped_ || !received_.empty()) return false;
  pollfd polled{process_.channel.get(), POLLIN, 0};
  if (poll(&polled, 1, 0) != 0) return false;
  reaped_ = waitpid(process_.pid, &exit_status_, WNOHANG) == process_.pid;
  return !reaped_;
}

}  // namespace capi::python
