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

Status BulkWriter::BeginWrite() {
  const std::lock_guard lock(shared_->mutex);
  CAPI_RETURN_NOT_OK(shared_->first_error);
  ++shared_->under_way;
  return Status::OK();
}

void BulkWriter::EndWrite(Shared* shared, const Status& status) {
  const std::lock_guard lock(shared->mutex);
  if (!status.ok() && shared->first_error.ok()) shared->first_error = status;
  if (--shared->under_way == 0) shared->idle.notify_all();
}

Status BulkWriter::Add(Request request) {
  CAPI_RETURN_NOT_OK(BeginWrite());
  session_->Begin(std::move(request), [shared = shared_](const Result<Rows>& result) {
    EndWrite(shared.get(), result.status());
  });
  return Status::OK();
}

Status BulkWriter::AddBatch(std::vector<Request> writes) {
  if (writes.empty()) return Status::OK();
  CAPI_RETURN_NOT_OK(BeginWrite());
  session_->BeginBatch(std::move(writes), [shared = shared_](const Status& status) {
    EndWrite(shared.get(), status);
  });
  return Status::OK();
}

Status BulkWriter::Finish() {
  std::unique_lock lock(shared_->mutex);
  shared_->idle.wait(lock, [this] { return shared_->under_way == 0; });
  return shared_->first_error;
}

}  // namespace capi::cql
