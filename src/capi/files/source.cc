#include "capi/files/source.h"

#include <charconv>
#include <utility>

#include "capi/files/address_internal.h"

namespace capi::files {

namespace {

Status NotAFile(const std::string& path) {
  return UserError("not_a_file", "input is not a regular file: " + path);
}

class EnvFetcher : public Fetcher {
 public:
  explicit EnvFetcher(Env* env) : env_(env) {}
  Result<std::string> Fetch(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(const std::string path, RequireLocal(url, "reading"));
    CAPI_ASSIGN_OR_RETURN(const FileInfo info, env_->Stat(path));
    if (info.is_directory) return NotAFile(path);
    return env_->ReadFile(path);
  }

 private:
  Env* const env_;  // outlives the fetcher
};

}  // namespace

std::string ToText(const Fingerprint& fingerprint) {
  std::string text = std::to_string(fingerprint.size) + ":" + std::to_string(fingerprint.mtime_ns) +
                     ":" + std::to_string(fingerprint.inode);
  if (!fingerprint.etag.empty()) text += ":" + PercentEncoded(fingerprint.etag, true);
  return text;
}

Result<Fingerprint> ParseFingerprint(const std::string& text) {
  Fingerprint fingerprint;
  const char* const end = text.data() + text.size();
  const auto size = std::from_chars(text.data(), end, fingerprint.size);
  if (size.ec == std::errc() && size.ptr != end && *size.ptr == ':') {
    const auto mtime = std::from_chars(size.ptr + 1, end, fingerprint.mtime_ns);
    if (mtime.ec == std::errc() && mtime.ptr != end && *mtime.ptr == ':') {
      const auto inode = std::from_chars(mtime.ptr + 1, end, fingerprint.inode);
      const bool tagged = inode.ptr != end && *inode.ptr == ':';
      if (tagged) fingerprint.etag = PercentDecoded(std::string_view(inode.ptr + 1, end));
      const bool ended = inode.ptr == end || !fingerprint.etag.empty();
      if (inode.ec == std::errc() && ended && fingerprint.size >= -1) return fingerprint;
    }
  }
  return BugError("not a file fingerprint: " + text);
}

Status InputChanged(const std::string& url, const Fingerprint& expected,
                    const Fingerprint& actual) {
  return UserError("input_changed",
                   "input file has changed since the node began; expected and actual "
                   "size:mtime:inode:etag: " +
                       Redacted(url) + ": " + ToText(expected) + ", " + ToText(actual));
}

Result<Fingerprint> FingerprintOf(Env* env, const std::string& url) {
  CAPI_ASSIGN_OR_RETURN(const std::string path, RequireLocal(url, "reading"));
  CAPI_ASSIGN_OR_RETURN(const FileInfo info, env->Stat(path));
  if (!info.is_regular) return NotAFile(path);
  return Fingerprint{info.size, info.mtime_ns, info.inode};
}

Result<std::shared_ptr<MappedFile>> OpenInput(Env* env, const std::string& url,
                                              const Fingerprint* expected) {
  // Also refuses what is not a regular file, with a better text than mapping it would give.
  CAPI_RETURN_NOT_OK(FingerprintOf(env, url).status());
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, env->MapFile(LocalPath(url)));
  if (expected == nullptr) return file;
  // Looked at after mapping: a file replaced in between is noticed by its inode.
  CAPI_ASSIGN_OR_RETURN(const Fingerprint actual, FingerprintOf(env, url));
  if (actual != *expected || static_cast<int64_t>(file->bytes().size()) != expected->size) {
    return InputChanged(LocalPath(url), *expected, actual);
  }
  return file;
}

std::unique_ptr<Fetcher> NewFetcher(Env* env) { return std::make_unique<EnvFetcher>(env); }

}  // namespace capi::files
