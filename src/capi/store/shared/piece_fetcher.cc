#include <utility>

#include "capi/store/shared/piece_codec_internal.h"
#include "capi/store/shared/piece_fetcher_internal.h"

namespace capi::store {

PieceFetcher::PieceFetcher(BlobStore* blobs, int64_t max_bytes_in_flight)
    : blobs_(blobs),
      max_bytes_in_flight_(max_bytes_in_flight),
      unpacker_([this] { RunUnpacker(); }) {}

PieceFetcher::~PieceFetcher() { Stop(); }

void PieceFetcher::Stop() {
  {
    Lock lock(mutex_);
    stopped_ = true;
    for (const RequestPtr& request : ahead_) {
      if (!request->started && !request->urgent) {
        requests_.erase({request->entry.get(), request->piece});
      }
    }
    ahead_.clear();
    changed_.notify_all();
  }
  if (unpacker_.joinable()) unpacker_.join();
}

int64_t PieceFetcher::fetched() const {
  const Lock lock(mutex_);
  return fetched_;
}

PieceFetcher::RequestPtr PieceFetcher::FindOrAdd(CachedFile* file, int64_t piece, bool urgent) {
  RequestPtr& request = requests_[{file->entry().get(), piece}];
  const bool added = request == nullptr;
  if (added) {
    request = std::make_shared<Request>();
    request->entry = file->entry();
    request->piece = piece;
  }
  // An earlier view of the file that asked may be gone.
  if (!request->started) request->wanted_for = file->weak_from_this();
  // One that waits among those read ahead is put before them; it stays in both lines.
  if (urgent && !request->urgent && !request->started) {
    request->urgent = true;
    urgent_.push_back(request);
  } else if (added) {
    ahead_.push_back(request);
  }
  return request;
}

Status PieceFetcher::Fetch(CachedFile* file, int64_t first, int64_t last) {
  Wait wait;
  Lock lock(mutex_);
  for (int64_t piece = first; piece <= last; ++piece) {
    if (file->entry()->Has(piece)) continue;
    FindOrAdd(file, piece, /*urgent=*/true)->waits.push_back(&wait);
    ++wait.remaining;
  }
  Pump(&lock);
  while (wait.remaining > 0) {
    if (received_.empty()) {
      changed_.wait(lock);
    } else {
      UnpackOne(&lock);
    }
  }
  return wait.status;
}

void PieceFetcher::Begin(CachedFile* file, int64_t first, int64_t last, MappedFile::Need need) {
  Lock lock(mutex_);
  if (stopped_) return;
  for (int64_t piece = first; piece <= last; ++piece) {
    if (!file->entry()->Has(piece)) FindOrAdd(file, piece, need == MappedFile::Need::kNow);
  }
  Pump(&lock);
}

PieceFetcher::RequestPtr PieceFetcher::NextRequest() {
  for (std::deque<RequestPtr>* line : {&urgent_, &ahead_}) {
    while (!line->empty()) {
      const RequestPtr request = std::move(line->front());
      line->pop_front();
      if (request->started) continue;
      request->started = true;
      request->file = request->wanted_for.lock();
      if (request->file != nullptr) return request;
      requests_.erase({request->entry.get(), request->piece});
    }
  }
  return nullptr;
}

void PieceFetcher::Pump(Lock* lock) {
  while (bytes_in_flight_ < max_bytes_in_flight_) {
    RequestPtr request = NextRequest();
    if (request == nullptr) return;
    const CacheEntry& entry = *request->entry;
    bytes_in_flight_ += entry.PieceSize(request->piece);
    ++fetched_;
    lock->unlock();
    blobs_->BeginGet(entry.id, request->piece, [this, request](Result<std::string> received) {
      // Under the lock to the end: whoever waits may destroy us as soon as it is told.
      const Lock guard(mutex_);
      request->received = std::move(received);
      received_.push_back(request);
      changed_.notify_all();
    });
    lock->lock();
  }
}

void PieceFetcher::UnpackOne(Lock* lock) {
  const RequestPtr request = std::move(received_.front());
  received_.pop_front();
  lock->unlock();
  const CacheEntry& entry = *request->entry;
  const int64_t size = entry.PieceSize(request->piece);
  Status status = request->received.status();
  if (status.ok()) {
    const Result<std::string> plain =
        DecodePiece(entry.id, request->piece, *request->received, size);
    status = plain.ok() ? request->file->Store(request->piece, *plain) : plain.status();
  }
  request->received = std::string();
  // Keeps the entry while it is named below; released without the lock.
  std::shared_ptr<CachedFile> file = std::move(request->file);
  lock->lock();
  bytes_in_flight_ -= size;
  requests_.erase({request->entry.get(), request->piece});
  for (Wait* wait : request->waits) {
    --wait->remaining;
    if (status.ok() || (wait->failed_piece >= 0 && wait->failed_piece < request->piece)) continue;
    wait->failed_piece = request->piece;
    wait->status = status;
  }
  changed_.notify_all();
  Pump(lock);
  lock->unlock();
  file.reset();
  lock->lock();
}

void PieceFetcher::RunUnpacker() {
  Lock lock(mutex_);
  while (true) {
    if (!received_.empty()) {
      UnpackOne(&lock);
    } else if (stopped_ && bytes_in_flight_ == 0) {
      return;
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace capi::store
