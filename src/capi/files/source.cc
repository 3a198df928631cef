#include "capi/files/source.h"

#include <charconv>
#include <utility>
#include <vector>

#include "capi/files/address_internal.h"

namespace capi::files {

namespace {

constexpr std::string_view kSchemeEnd = "://";

bool IsSchemeCharacter(char c, bool first) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

/// Scheme in lower case, "" when the text is a plain path.
std::string SchemeText(std::string_view url) {
  const size_t end = url.find(kSchemeEnd);
  if (end == std::string_view::npos) return "";
  std::string scheme;
  for (size_t i = 0; i < end; ++i) {
    const char c = url[i];
    if (!IsSchemeCharacter(c, i == 0)) return "";
    scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return scheme;
}

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

Scheme SchemeOf(const std::string& url) {
  const std::string scheme = SchemeText(url);
  if (scheme.empty() || scheme == "file") return Scheme::kLocal;
  if (scheme == "http") return Scheme::kHttp;
  if (scheme == "https") return Scheme::kHttps;
  if (scheme == "sftp") return Scheme::kSftp;
  if (scheme == "s3") return Scheme::kS3;
  return Scheme::kOther;
}

std::string LocalPath(const std::string& url) {
  const std::string scheme = SchemeText(url);
  return scheme == "file" ? url.substr(scheme.size() + kSchemeEnd.size()) : url;
}

Result<std::string> RequireLocal(const std::string& url, std::string_view activity) {
  switch (SchemeOf(url)) {
    case Scheme::kLocal:
      break;
    case Scheme::kHttp:
    case Scheme::kHttps:
    case Scheme::kSftp:
    case Scheme::kS3:
      return UserError("unsupported_scheme", std::string(activity) + " " + SchemeText(url) +
                                                 " addresses is not built in yet: " + url);
    case Scheme::kOther:
      return UserError("unsupported_scheme", "address has an unknown scheme: " + url);
  }
  std::string path = LocalPath(url);
  if (path.empty()) return UserError("bad_address", "file address is empty");
  return path;
}

std::string ToText(const Fingerprint& fingerprint) {
  return std::to_string(fingerprint.size) + ":" + std::to_string(fingerprint.mtime_ns) + ":" +
         std::to_string(fingerprint.inode);
}

Result<Fingerprint> ParseFingerprint(const std::string& text) {
  Fingerprint fingerprint;
  const char* const end = text.data() + text.size();
  const auto size = std::from_chars(text.data(), end, fingerprint.size);
  if (size.ec == std::errc() && size.ptr != end && *size.ptr == ':') {
    const auto mtime = std::from_chars(size.ptr + 1, end, fingerprint.mtime_ns);
    if (mtime.ec == std::errc() && mtime.ptr != end && *mtime.ptr == ':') {
      const auto inode = std::from_chars(mtime.ptr + 1, end, fingerprint.inode);
      if (inode.ec == std::errc() && inode.ptr == end && fingerprint.size >= 0) return fingerprint;
    }
  }
  return BugError("not a file fingerprint: " + text);
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
    return UserError("input_changed",
                     "input file has changed since the node began; expected and actual "
                     "size:mtime:inode: " +
                         LocalPath(url) + ": " + ToText(*expected) + ", " + ToText(actual));
  }
  return file;
}

std::unique_ptr<Fetcher> NewFetcher(Env* env) { return std::make_unique<EnvFetcher>(env); }

}  // namespace capi::files
