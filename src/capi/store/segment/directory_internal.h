#pragma once

// Taking apart the directories of attempts and table files.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/segment/format_internal.h"
#include "capi/store/segment/layout_internal.h"
#include "capi/store/segment/manifest_internal.h"

namespace capi::store {

/// Views into a mapped container.
struct AttemptDirectory {
  AttemptHeader header;
  std::string_view layout;
  std::span<const ChunkDescriptor> chunks;
  std::span<const BlockDescriptor> blocks;
  std::span<const IndexRun> runs;
  std::vector<std::span<const uint64_t>> page_checksums;  ///< per run

  /// Fetches the directory and verifies its checksum. `path` is for messages.
  static Result<AttemptDirectory> Parse(const Manifest& manifest, MappedFile* file,
                                        const std::string& path);
};

/// Views into a mapped table file.
struct TableDirectory {
  DirectoryHeader header;
  TableDescription description;
  std::span<const uint64_t> files;
  std::span<const SegmentDescriptor> segments;
  std::span<const ChunkDescriptor> chunks;
  std::span<const BlockDescriptor> blocks;
  std::span<const IndexDescriptor> indexes;
  std::vector<std::span<const uint64_t>> page_checksums;  ///< per index
  std::span<const SharedFileDescriptor> shared_files;     ///< per file, in shared stores

  /// The i-th container.
  FileRef FileAt(size_t i) const {
    if (shared_files.empty()) return {files[i]};
    return {files[i], description.id.run_id, shared_files[i].owner, shared_files[i].piece_bytes};
  }

  static Result<TableDirectory> Parse(const Manifest& manifest, MappedFile* file,
                                      const std::string& path);
};

}  // namespace capi::store
