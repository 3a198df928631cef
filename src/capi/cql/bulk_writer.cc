#include <condition_variable>
#include <mutex>
#include <utility>

#include "capi/cql/session.h"

namespace capi::cql {

struct BulkWriter::Shared {
  std::mutex mutex;
  std::condition_variable idle;
  int64_t under_way = 0;
  Status first_error;
};

BulkWriter::BulkWriter(Session* session) : session_(session), shared_(std::make_shared<Shared>()) {}

BulkWriter::~BulkWriter() { (void)Finish(); }

Status BulkWriter::Add(Request request) {
  {
    const std::lock_guard lock(shared_->mutex);
    CAPI_RETURN_NOT_OK(shared_->first_error);
    ++shared_->under_way;
  }
  session_->Begin(std::move(request), [shared = shared_](Result<Rows> result) {
    const std::lock_guard lock(shared->mutex);
    if (!result.ok() && shared->first_error.ok()) shared->first_error = result.status();
    if (--shared->under_way == 0) shared->idle.notify_all();
  });
  return Status::OK();
}

Status BulkWriter::Finish() {
  std::unique_lock lock(shared_->mutex);
  shared_->idle.wait(lock, [this] { return shared_->under_way == 0; });
  return shared_->first_error;
}

}  // namespace capi::cql
