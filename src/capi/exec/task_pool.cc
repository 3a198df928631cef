#include "capi/exec/task_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace capi::exec {

namespace {

class ThreadedTaskPool : public TaskPool {
 public:
  /// Runs what was submitted before joining, so that no task is lost without its owner knowing.
  ~ThreadedTaskPool() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    work_available_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Status Start(int num_threads) {
    num_threads_ = num_threads;
    threads_.reserve(static_cast<size_t>(num_threads));
    try {
      for (int i = 0; i < num_threads; ++i) {
        threads_.emplace_back([this] { RunTasks(); });
        pthread_setname_np(threads_.back().native_handle(), ("capi-" + std::to_string(i)).c_str());
      }
    } catch (const std::system_error& error) {
      return EnvironmentError(std::string("cannot start a worker thread: ") + error.what());
    }
    return Status::OK();
  }

  void Submit(Priority priority, std::function<void()> task) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      (priority == Priority::kHelper ? helpers_ : batches_).push_back(std::move(task));
    }
    work_available_.notify_one();
  }

  int num_threads() const override { return num_threads_; }
  int idle_threads() const override { return idle_.load(std::memory_order_relaxed); }

 private:
  void RunTasks() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      std::deque<std::function<void()>>& queue = helpers_.empty() ? batches_ : helpers_;
      if (queue.empty()) {
        if (stopping_) return;
        idle_.fetch_add(1, std::memory_order_relaxed);
        work_available_.wait(lock);
        idle_.fetch_sub(1, std::memory_order_relaxed);
        continue;
      }
      std::function<void()> task = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      task();
      // What the task holds is released before the thread waits again.
      task = nullptr;
      lock.lock();
    }
  }

  int num_threads_ = 0;
  std::atomic<int> idle_{0};
  std::mutex mutex_;
  std::condition_variable work_available_;
  std::deque<std::function<void()>> helpers_;
  std::deque<std::function<void()>> batches_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Shared between the caller of ParallelFor and its helpers, some of which may start only after the
/// caller has returned; `body` belongs to the caller and is touched only while an index is claimed.
struct ForState {
  explicit ForState(int64_t end_index, const std::function<Status(int64_t)>& function)
      : end(end_index), body(function) {}

  std::mutex mutex;
  std::condition_variable idle;
  int64_t next = 0;
  int64_t end;
  int64_t running = 0;
  Status error;
  int64_t error_index = 0;
  const std::function<Status(int64_t)>& body;

  void Run() {
    std::unique_lock<std::mutex> lock(mutex);
    while (next < end) {
      const int64_t index = next++;
      ++running;
      lock.unlock();
      Status status = body(index);
      lock.lock();
      --running;
      // Indexes are claimed in order, so every smaller one has been or is being run.
      if (!status.ok() && (error.ok() || index < error_index)) {
        error = std::move(status);
        error_index = index;
        end = 0;
      }
    }
    if (running == 0) idle.notify_all();
  }
};

}  // namespace

Result<std::unique_ptr<TaskPool>> TaskPool::Make(int num_threads) {
  if (num_threads < 1) {
    return UserError("bad_option",
                     "number of threads must be at least 1: " + std::to_string(num_threads));
  }
  auto pool = std::make_unique<ThreadedTaskPool>();
  CAPI_RETURN_NOT_OK(pool->Start(num_threads));
  return pool;
}

Status ParallelFor(TaskPool* pool, int64_t n, const std::function<Status(int64_t)>& body) {
  const int64_t threads = pool == nullptr ? 1 : pool->num_threads();
  if (threads == 1 || n <= 1) {
    for (int64_t i = 0; i < n; ++i) CAPI_RETURN_NOT_OK(body(i));
    return Status::OK();
  }
  auto state = std::make_shared<ForState>(n, body);
  for (int64_t i = 1; i < std::min(n, threads); ++i) {
    pool->Submit(Priority::kHelper, [state] { state->Run(); });
  }
  state->Run();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->idle.wait(lock, [&] { return state->running == 0; });
  return state->error;
}

}  // namespace capi::exec
