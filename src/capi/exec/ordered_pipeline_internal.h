#pragma once

// Implementation of OrderedPipeline; included by ordered_pipeline.h only.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace capi::exec::internal {

/// One pipeline under way. Every runner (the calling thread and the helpers) executes Run: emit the
/// oldest result if it is ready, else take and work an item, else wait. Helpers may start after the
/// pipeline has ended; then finished_ is set and they touch nothing that belongs to the caller.
///
/// Liveness: an item is worked by the runner that took it, right away, so the oldest item never
/// waits for a runner; whoever finishes it becomes the emitter. A runner only waits while another
/// one is inside next, work or emit.
template <typename In, typename Out>
class PipelineState {
 public:
  PipelineState(const CancelToken& cancel, int window,
                const std::function<Result<std::optional<In>>()>& next,
                const std::function<Result<Out>(In)>& work, const std::function<Status(Out)>& emit)
      : cancel_(cancel),
        next_(next),
        work_(work),
        emit_(emit),
        outcomes_(static_cast<size_t>(window)) {}

  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!finished_) {
      if (CanEmit()) {
        EmitOldest(&lock);
      } else if (CanTake()) {
        TakeAndWork(&lock);
      } else if (NothingLeft()) {
        finished_ = true;
        changed_.notify_all();
      } else {
        ++waiting_;
        changed_.wait(lock);
        --waiting_;
      }
    }
  }

  /// Result of the pipeline, once Run has returned on the calling thread. Drops the results that
  /// were not emitted here and not in a late helper, because they may refer to what the caller
  /// owns.
  Status TakeOutcome() {
    std::vector<std::optional<Result<Out>>> unused;
    const std::lock_guard<std::mutex> lock(mutex_);
    unused.swap(outcomes_);
    return error_;
  }

 private:
  std::optional<Result<Out>>& Slot(int64_t sequence) {
    return outcomes_[static_cast<size_t>(sequence) % outcomes_.size()];
  }
  bool CanEmit() { return !emitting_ && !failed_ && Slot(emitted_).has_value(); }
  bool CanTake() const {
    return !taking_ && !source_ended_ && !failed_ &&
           taken_ - emitted_ < static_cast<int64_t>(outcomes_.size());
  }
  bool NothingLeft() const {
    return !taking_ && !emitting_ && working_ == 0 &&
           (failed_ || (source_ended_ && emitted_ == taken_));
  }
  void NotifyWaiting() {
    if (waiting_ > 0) changed_.notify_all();
  }

  void EmitOldest(std::unique_lock<std::mutex>* lock) {
    Result<Out> outcome = *std::move(Slot(emitted_));
    // The slot stays occupied by its emptied value until emit is through: the item counts in the
    // window.
    emitting_ = true;
    lock->unlock();
    Status status = outcome.status();
    if (status.ok()) status = cancel_.Check();
    if (status.ok()) status = emit_(std::move(outcome).MoveValueUnsafe());
    lock->lock();
    emitting_ = false;
    Slot(emitted_).reset();
    ++emitted_;
    if (!status.ok()) {
      // Everything before has been emitted, so this is the error of the smallest sequence number.
      failed_ = true;
      error_ = std::move(status);
    }
    NotifyWaiting();
  }

  void TakeAndWork(std::unique_lock<std::mutex>* lock) {
    taking_ = true;
    lock->unlock();
    Result<std::optional<In>> item = Next();
    lock->lock();
    taking_ = false;
    if (item.ok() && !item->has_value()) {
      source_ended_ = true;
      NotifyWaiting();
      return;
    }
    const int64_t sequence = taken_++;
    if (!item.ok()) {
      source_ended_ = true;
      Slot(sequence).emplace(item.status());
      NotifyWaiting();
      return;
    }
    ++working_;
    NotifyWaiting();
    lock->unlock();
    std::optional<Result<Out>> outcome(work_(*std::move(item).MoveValueUnsafe()));
    lock->lock();
    --working_;
    // Later items can no longer matter; earlier ones are already taken.
    if (!outcome->ok()) source_ended_ = true;
    Slot(sequence) = std::move(outcome);
    NotifyWaiting();
  }

  Result<std::optional<In>> Next() {
    CAPI_RETURN_NOT_OK(cancel_.Check());
    return next_();
  }

  const CancelToken cancel_;
  const std::function<Result<std::optional<In>>()>& next_;
  const std::function<Result<Out>(In)>& work_;
  const std::function<Status(Out)>& emit_;

  std::mutex mutex_;
  std::condition_variable changed_;
  /// Finished but not yet emitted results, by sequence number modulo the window.
  std::vector<std::optional<Result<Out>>> outcomes_;
  int64_t taken_ = 0;
  int64_t emitted_ = 0;
  int64_t working_ = 0;
  int64_t waiting_ = 0;
  bool taking_ = false;
  bool emitting_ = false;
  bool source_ended_ = false;
  bool failed_ = false;
  bool finished_ = false;
  Status error_;
};

}  // namespace capi::exec::internal

namespace capi::exec {

template <typename In, typename Out>
Status OrderedPipeline(TaskPool* pool, const CancelToken& cancel, int window,
                       const std::function<Result<std::optional<In>>()>& next,
                       const std::function<Result<Out>(In)>& work,
                       const std::function<Status(Out)>& emit) {
  const int threads = pool == nullptr ? 1 : pool->num_threads();
  const int items = window > 0 ? window : 2 * threads + 1;
  const int runners = std::min(items, threads);
  if (runners == 1) {
    while (true) {
      CAPI_RETURN_NOT_OK(cancel.Check());
      CAPI_ASSIGN_OR_RETURN(std::optional<In> item, next());
      if (!item.has_value()) return Status::OK();
      CAPI_ASSIGN_OR_RETURN(Out result, work(*std::move(item)));
      CAPI_RETURN_NOT_OK(emit(std::move(result)));
    }
  }
  using State = internal::PipelineState<In, Out>;
  auto state = std::make_shared<State>(cancel, items, next, work, emit);
  for (int i = 1; i < runners; ++i) {
    pool->Submit(Priority::kHelper, [state] { state->Run(); });
  }
  state->Run();
  return state->TakeOutcome();
}

}  // namespace capi::exec
