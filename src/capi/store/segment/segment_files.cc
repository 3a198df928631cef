#include <array>

#include "capi/store/segment/format_internal.h"
#include "capi/store/segment/segment_files_internal.h"

namespace capi::store {

Status Damaged(const std::string& path, int64_t offset, std::string_view reason) {
  return EnvironmentError("table data is damaged: " + std::string(reason) + ": " + path +
                          ", offset " + std::to_string(offset));
}

std::string NewFileHeader(uint64_t id, FileType type) {
  FileHeader header;
  header.magic = type == FileType::kContainer ? kContainerMagic : kTableMagic;
  header.id = id;
  return {reinterpret_cast<const char*>(&header), sizeof(header)};
}

Status SequentialFile::Align() {
  static constexpr std::array<char, kAlignment> kZeros{};
  const int64_t gap = AlignUp(size()) - size();
  if (gap == 0) return Status::OK();
  return Append({kZeros.data(), static_cast<size_t>(gap)});
}

}  // namespace capi::store
