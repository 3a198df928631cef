#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "capi/store/garbage_internal.h"
#include "capi/store/segment/directory_internal.h"

namespace capi::store {

namespace {

/// Dead bytes of a container are worth removing from this size on, or from this share of the rest
/// on: a small rest is copied quickly.
constexpr int64_t kMinDead = int64_t{64} << 10;
constexpr int64_t kMinDeadPercent = 5;
/// Holes shorter than a page of the file system free nothing.
constexpr int64_t kMinHole = 4096;
constexpr size_t kCopyBytes = size_t{1} << 20;

bool WorthRemoving(int64_t dead, int64_t rest) {
  return dead >= kMinDead || dead * 100 > rest * kMinDeadPercent;
}

/// Bytes of a container that attempts use.
struct Live {
  /// Offset and length; an attempt may be mentioned by its own manifest and by that of its table.
  std::map<int64_t, int64_t> attempts;
};

struct LiveFiles {
  std::map<uint64_t, Live> containers;
  std::map<uint64_t, int64_t> tables;  // id -> length
};

Status AddManifest(LocalFiles* files, const std::string& text, LiveFiles* live) {
  CAPI_ASSIGN_OR_RETURN(const Manifest manifest, Manifest::Parse(text));
  if (manifest.file == 0) return Status::OK();
  if (manifest.kind == Manifest::Kind::kAttempt) {
    live->containers[manifest.file].attempts[manifest.offset] = manifest.length;
    return Status::OK();
  }
  live->tables[manifest.file] = manifest.length;
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<MappedFile> mapping,
                        files->Map(manifest.Ref(), FileType::kTable, manifest.length));
  CAPI_ASSIGN_OR_RETURN(const TableDirectory directory,
                        TableDirectory::Parse(manifest, mapping.get(),
                                              files->PathOf(manifest.Ref(), FileType::kTable)));
  for (const SegmentDescriptor& segment : directory.segments) {
    if (segment.rows == 0) continue;
    if (segment.file >= directory.files.size()) {
      return Damaged(files->PathOf(manifest.Ref(), FileType::kTable), manifest.directory,
                     "directory cannot be read");
    }
    live->containers[directory.files[segment.file]].attempts[segment.offset] = segment.length;
  }
  return Status::OK();
}

/// The id of a file of the store by its name.
std::optional<uint64_t> IdOf(const std::string& name, std::string_view extension) {
  constexpr size_t kDigits = 16;
  if (name.size() != kDigits + extension.size() ||
      std::string_view(name).substr(kDigits) != extension) {
    return std::nullopt;
  }
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, id, 16);
  if (error != std::errc() || end != name.data() + kDigits) return std::nullopt;
  return id;
}

/// Replaces a container by its first `size` bytes.
Status CutTail(Env* env, const std::string& path, int64_t size) {
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<MappedFile> mapping, env->MapFile(path));
  const std::string_view kept = mapping->bytes().substr(0, static_cast<size_t>(size));
  const std::string temporary = TempPathFor(env, path);
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, env->NewWritableFile(temporary));
  for (size_t at = 0; at < kept.size(); at += kCopyBytes) {
    CAPI_RETURN_NOT_OK(file->Append(kept.substr(at, kCopyBytes)));
  }
  CAPI_RETURN_NOT_OK(file->Sync());
  CAPI_RETURN_NOT_OK(file->Close());
  return env->Rename(temporary, path);
}

/// What a container takes on the disk.
Result<int64_t> BytesOnDisk(Env* env, const std::string& path) {
  CAPI_ASSIGN_OR_RETURN(const FileInfo info, env->Stat(path));
  return std::min(info.size, info.allocated_bytes);
}

/// Dead attempts between living ones become holes: offsets in manifests stay valid. A hole that is
/// lost in a crash is dug again.
Status DigHoles(Env* env, const std::string& path, const Live& live) {
  auto end = static_cast<int64_t>(sizeof(FileHeader));
  for (const auto& [offset, length] : live.attempts) {
    if (offset - end >= kMinHole) CAPI_RETURN_NOT_OK(env->PunchHole(path, end, offset - end));
    end = std::max(end, offset + length);
  }
  return Status::OK();
}

/// Removes the dead bytes of a container that has living ones.
Status CleanContainer(Env* env, const std::string& path, const Live& live,
                      TableStore::Garbage* garbage) {
  auto end = static_cast<int64_t>(sizeof(FileHeader));
  int64_t used = end;
  for (const auto& [offset, length] : live.attempts) {
    used += length;
    end = std::max(end, offset + length);
  }
  CAPI_ASSIGN_OR_RETURN(const FileInfo info, env->Stat(path));
  if (WorthRemoving(info.size - end, end)) {
    CAPI_RETURN_NOT_OK(CutTail(env, path, end));
    garbage->bytes_removed += info.size - end;
  }
  CAPI_ASSIGN_OR_RETURN(int64_t on_disk, BytesOnDisk(env, path));
  if (WorthRemoving(on_disk - used, used)) {
    CAPI_RETURN_NOT_OK(DigHoles(env, path, live));
    CAPI_ASSIGN_OR_RETURN(const int64_t without_holes, BytesOnDisk(env, path));
    garbage->bytes_removed += on_disk - without_holes;
    on_disk = without_holes;
  }
  garbage->live_bytes += used;
  garbage->dead_bytes += std::max<int64_t>(on_disk - used, 0);
  return Status::OK();
}

}  // namespace

Result<TableStore::Garbage> CollectGarbageFiles(LocalFiles* files,
                                                const std::vector<std::string>& manifests) {
  // Everything that lives is known before the first file is removed.
  LiveFiles live;
  for (const std::string& manifest : manifests) {
    CAPI_RETURN_NOT_OK(AddManifest(files, manifest, &live));
  }
  TableStore::Garbage garbage;
  Env* env = files->env();
  CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        env->ListDirectory(files->directory()));
  bool changed = false;
  for (const std::string& name : names) {
    const std::string path = files->directory() + "/" + name;
    CAPI_ASSIGN_OR_RETURN(const FileInfo info, env->Stat(path));
    const std::optional<uint64_t> table = IdOf(name, ".tbl");
    const std::optional<uint64_t> container = IdOf(name, ".seg");
    if (table.has_value() && live.tables.contains(*table)) {
      garbage.live_bytes += info.size;
      continue;
    }
    const auto found =
        container.has_value() ? live.containers.find(*container) : live.containers.end();
    if (found == live.containers.end()) {
      // Also temporary files of an interrupted collection. Directories are not ours.
      if (!info.is_regular) continue;
      CAPI_RETURN_NOT_OK(env->RemoveFile(path));
      changed = true;
      ++garbage.files_removed;
      garbage.bytes_removed += info.size;
      continue;
    }
    const int64_t removed_before = garbage.bytes_removed;
    CAPI_RETURN_NOT_OK(CleanContainer(env, path, found->second, &garbage));
    changed = changed || garbage.bytes_removed > removed_before;
  }
  if (changed) CAPI_RETURN_NOT_OK(files->SyncDirectory());
  return garbage;
}

}  // namespace capi::store
