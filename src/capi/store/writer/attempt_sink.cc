#include <cstring>
#include <utility>

#include "capi/store/writer/attempt_sink_internal.h"

namespace capi::store {

AttemptSink::~AttemptSink() {
  if (own_ != nullptr) files_->Abandon(std::move(own_), FileType::kContainer);
}

Status AttemptSink::Write(std::string_view bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (own_ == nullptr && position_ + size <= kSharedAttemptBytes) {
    if (size > 0) std::memcpy(memory_.Extend(size), bytes.data(), bytes.size());
    position_ += size;
    return Status::OK();
  }
  if (own_ == nullptr) {
    CAPI_ASSIGN_OR_RETURN(own_, files_->NewFile(run_id_, FileType::kContainer));
    CAPI_RETURN_NOT_OK(own_->Append(memory_.view()));
    memory_ = BlockBytes();
  }
  CAPI_RETURN_NOT_OK(own_->Append(bytes));
  position_ += size;
  return Status::OK();
}

Status AttemptSink::Align() { return WriteZeros(AlignUp(position_) - position_); }

Status AttemptSink::WriteZeros(int64_t count) {
  static constexpr char kZeros[kAlignment] = {};
  return Write({kZeros, static_cast<size_t>(count)});
}

Result<std::unique_ptr<AttemptSink::Snapshot>> AttemptSink::TakeSnapshot() {
  auto snapshot = std::make_unique<Snapshot>();
  if (own_ == nullptr) {
    snapshot->copy = memory_.view();
    snapshot->mapping = std::make_shared<MemoryFile>(snapshot->copy);
    snapshot->path = "(attempt in memory)";
    return snapshot;
  }
  CAPI_ASSIGN_OR_RETURN(snapshot->mapping, files_->MapUnfinished(own_.get()));
  snapshot->path = own_->path();
  snapshot->offset = static_cast<int64_t>(sizeof(FileHeader));
  return snapshot;
}

Result<SegmentFiles::Placement> AttemptSink::Finish() {
  if (own_ == nullptr) return files_->AppendAttempt(run_id_, memory_.view());
  const SegmentFiles::Placement placement{own_->ref(), static_cast<int64_t>(sizeof(FileHeader))};
  CAPI_RETURN_NOT_OK(files_->Adopt(std::move(own_)));
  return placement;
}

}  // namespace capi::store
