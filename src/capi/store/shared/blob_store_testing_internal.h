#pragma once

// A BlobStore of tests that counts what is asked of a real one, and lets it fail.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/store/blob_store.h"

namespace capi::store {

/// What an ObservedBlobStore saw, and what it is to do. Thread-safe.
struct Observations {
  std::atomic<int64_t> puts{0};
  std::atomic<int64_t> gets{0};
  std::atomic<int64_t> most_bytes_under_way{0};
  /// The next so many calls pass, the following ones fail with kRetriable; negative: none fails.
  std::atomic<int64_t> gets_before_failure{-1};
  std::atomic<int64_t> puts_before_failure{-1};

  std::map<std::pair<BlobId, int64_t>, int64_t> pieces() const {
    const std::lock_guard<std::mutex> guard(mutex);
    return gets_by_piece;
  }
  int64_t PiecesOf(uint64_t file) const {
    const std::lock_guard<std::mutex> guard(mutex);
    int64_t count = 0;
    for (const auto& [piece, gets_of_it] : gets_by_piece) count += piece.first.file == file ? 1 : 0;
    return count;
  }
  void Clear() {
    const std::lock_guard<std::mutex> guard(mutex);
    gets_by_piece.clear();
    gets = 0;
    puts = 0;
  }

  mutable std::mutex mutex;
  std::map<std::pair<BlobId, int64_t>, int64_t> gets_by_piece;
  std::atomic<int64_t> bytes_under_way{0};
};

class ObservedBlobStore final : public BlobStore {
 public:
  ObservedBlobStore(std::unique_ptr<BlobStore> base, std::shared_ptr<Observations> seen)
      : base_(std::move(base)), seen_(std::move(seen)) {}

  void BeginPut(const BlobId& id, int64_t piece, std::string bytes,
                std::function<void(Status)> done) override {
    ++seen_->puts;
    if (Fails(&seen_->puts_before_failure)) return done(RetriableError("cluster is away"));
    const auto size = static_cast<int64_t>(bytes.size());
    const int64_t now = seen_->bytes_under_way.fetch_add(size) + size;
    int64_t most = seen_->most_bytes_under_way.load();
    while (now > most && !seen_->most_bytes_under_way.compare_exchange_weak(most, now)) {
    }
    base_->BeginPut(id, piece, std::move(bytes),
                    [seen = seen_, size, done = std::move(done)](const Status& status) {
                      seen->bytes_under_way.fetch_sub(size);
                      done(status);
                    });
  }

  void BeginGet(const BlobId& id, int64_t piece,
                std::function<void(Result<std::string>)> done) override {
    ++seen_->gets;
    if (Fails(&seen_->gets_before_failure)) return done(RetriableError("cluster is away"));
    {
      const std::lock_guard<std::mutex> guard(seen_->mutex);
      ++seen_->gets_by_piece[{id, piece}];
    }
    base_->BeginGet(id, piece, std::move(done));
  }

  Result<std::vector<BlobFile>> List() override { return base_->List(); }
  Status Remove(const std::vector<BlobFile>& files) override {
    if (seen_->puts_before_failure.load() == 0) return RetriableError("cluster is away");
    return base_->Remove(files);
  }

 private:
  static bool Fails(std::atomic<int64_t>* before_failure) {
    int64_t left = before_failure->load();
    while (left > 0 && !before_failure->compare_exchange_weak(left, left - 1)) {
    }
    return left == 0;
  }

  const std::unique_ptr<BlobStore> base_;
  const std::shared_ptr<Observations> seen_;
};

}  // namespace capi::store
