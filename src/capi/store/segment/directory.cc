#include <utility>

#include "capi/data/key.h"
#include "capi/store/segment/byte_stream_internal.h"
#include "capi/store/segment/directory_internal.h"
#include "capi/store/segment/segment_files_internal.h"

namespace capi::store {

namespace {

/// The checked bytes of the directory a manifest points at.
Result<std::string_view> DirectoryBytes(const Manifest& manifest, MappedFile* file,
                                        const std::string& path) {
  const std::string_view bytes = file->bytes();
  const auto size = static_cast<int64_t>(bytes.size());
  if (manifest.offset > size || manifest.length > size - manifest.offset) {
    return Damaged(path, size, "file is too short");
  }
  const int64_t position = manifest.offset + manifest.directory;
  CAPI_RETURN_NOT_OK(file->EnsureRange(position, manifest.length - manifest.directory));
  const std::string_view directory = bytes.substr(
      static_cast<size_t>(position), static_cast<size_t>(manifest.length - manifest.directory));
  if (Checksum(directory) != manifest.checksum) return Damaged(path, position, "wrong checksum");
  return directory;
}

Status Check(bool fits, const Manifest& manifest, const std::string& path) {
  if (fits) return Status::OK();
  return Damaged(path, manifest.offset + manifest.directory, "directory cannot be read");
}

Status CheckVersions(uint32_t version, uint32_t hash_version, const Manifest& manifest,
                     const std::string& path) {
  if (version == kFormatVersion && hash_version == data::kKeyHashVersion) return Status::OK();
  return Damaged(path, manifest.offset + manifest.directory,
                 "format version " + std::to_string(version) + ", hash version " +
                     std::to_string(hash_version));
}

}  // namespace

Result<AttemptDirectory> AttemptDirectory::Parse(const Manifest& manifest, MappedFile* file,
                                                 const std::string& path) {
  CAPI_ASSIGN_OR_RETURN(const std::string_view bytes, DirectoryBytes(manifest, file, path));
  ByteReader in(bytes);
  AttemptDirectory directory;
  AttemptHeader& header = directory.header;
  header = in.Get<AttemptHeader>();
  CAPI_RETURN_NOT_OK(Check(in.ok() && header.magic == kAttemptMagic, manifest, path));
  CAPI_RETURN_NOT_OK(CheckVersions(header.version, header.hash_version, manifest, path));
  directory.layout = in.GetBytes(header.layout_bytes);
  in.Align(alignof(int64_t));
  directory.chunks = in.GetArray<ChunkDescriptor>(header.num_chunks);
  directory.blocks =
      in.GetArray<BlockDescriptor>(static_cast<size_t>(header.num_chunks) * header.num_slots);
  directory.runs = in.GetArray<IndexRun>(header.num_indexes);
  for (const IndexRun& run : directory.runs) {
    CAPI_RETURN_NOT_OK(Check(
        run.count == header.rows && run.offset >= 0 && run.offset % kAlignment == 0 &&
            run.count <= manifest.length / static_cast<int64_t>(sizeof(IndexEntry)) &&
            run.offset <= manifest.length - run.count * static_cast<int64_t>(sizeof(IndexEntry)),
        manifest, path));
    directory.page_checksums.push_back(
        in.GetArray<uint64_t>(static_cast<size_t>(NumIndexPages(run.count))));
  }
  CAPI_RETURN_NOT_OK(
      Check(in.ok() && header.rows == manifest.rows && header.batch_index == manifest.batch,
            manifest, path));
  return directory;
}

Result<TableDirectory> TableDirectory::Parse(const Manifest& manifest, MappedFile* file,
                                             const std::string& path) {
  CAPI_ASSIGN_OR_RETURN(const std::string_view bytes, DirectoryBytes(manifest, file, path));
  ByteReader in(bytes);
  TableDirectory directory;
  DirectoryHeader& header = directory.header;
  header = in.Get<DirectoryHeader>();
  CAPI_RETURN_NOT_OK(Check(in.ok() && header.magic == kDirectoryMagic, manifest, path));
  CAPI_RETURN_NOT_OK(CheckVersions(header.version, header.hash_version, manifest, path));
  CAPI_ASSIGN_OR_RETURN(directory.description,
                        TableDescription::Parse(in.GetBytes(header.description_bytes)));
  in.Align(alignof(int64_t));
  directory.files = in.GetArray<uint64_t>(header.num_files);
  directory.segments = in.GetArray<SegmentDescriptor>(header.num_segments);
  directory.chunks = in.GetArray<ChunkDescriptor>(header.num_chunks);
  directory.blocks =
      in.GetArray<BlockDescriptor>(static_cast<size_t>(header.num_chunks) * header.num_slots);
  directory.indexes = in.GetArray<IndexDescriptor>(header.num_indexes);
  for (const IndexDescriptor& index : directory.indexes) {
    CAPI_RETURN_NOT_OK(Check(index.count >= 0, manifest, path));
    directory.page_checksums.push_back(
        in.GetArray<uint64_t>(static_cast<size_t>(NumIndexPages(index.count))));
  }
  if (manifest.owner != 0) {
    directory.shared_files = in.GetArray<SharedFileDescriptor>(header.num_files);
    for (const SharedFileDescriptor& shared : directory.shared_files) {
      CAPI_RETURN_NOT_OK(
          Check(shared.owner != 0 && IsPieceSize(shared.piece_bytes), manifest, path));
    }
  }
  CAPI_RETURN_NOT_OK(
      Check(in.ok() && header.rows == manifest.rows &&
                header.num_indexes == directory.description.schema.indexes.size() &&
                header.num_slots == static_cast<uint32_t>(directory.description.layout.num_slots),
            manifest, path));
  for (const IndexDescriptor& index : directory.indexes) {
    CAPI_RETURN_NOT_OK(
        Check(index.file == kTableFile || index.file < header.num_files, manifest, path));
  }
  return directory;
}

}  // namespace capi::store
