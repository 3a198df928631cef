#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capi/base/status.h"
#include "capi/store/segment/chunk_builder_internal.h"
#include "capi/store/segment/segment_files_internal.h"

namespace capi::store {

/// Takes the bytes of one attempt: a small one is kept in memory and put into a shared container at
/// the end, one that grows large is streamed into its own. One thread at a time.
class AttemptSink {
 public:
  AttemptSink(SegmentFiles* files, int64_t run_id) : files_(files), run_id_(run_id) {}
  AttemptSink(const AttemptSink&) = delete;
  AttemptSink& operator=(const AttemptSink&) = delete;
  /// Removes what an unfinished attempt has written.
  ~AttemptSink();

  /// Position behind the last byte, from the beginning of the attempt.
  int64_t position() const { return position_; }
  Status Write(std::string_view bytes);
  Status Align();
  /// At most kAlignment zeros.
  Status WriteZeros(int64_t count);

  /// A view of what has been written so far, for reading it back. Slow.
  struct Snapshot {
    std::shared_ptr<MappedFile> mapping;
    std::string path;
    int64_t offset = 0;  ///< of the attempt
    std::string copy;    ///< what the mapping of an attempt in memory shows
  };
  Result<std::unique_ptr<Snapshot>> TakeSnapshot();

  Result<SegmentFiles::Placement> Finish();

 private:
  SegmentFiles* const files_;
  const int64_t run_id_;
  BlockBytes memory_;
  std::unique_ptr<SequentialFile> own_;
  int64_t position_ = 0;
};

}  // namespace capi::store
