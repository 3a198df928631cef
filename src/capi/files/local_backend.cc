// Local files: what source.h and sink.h do, behind the access policy.

#include <algorithm>
#include <utility>

#include "capi/files/address_internal.h"
#include "capi/files/backend_internal.h"
#include "capi/files/glob_internal.h"

namespace capi::files {

namespace {

class LocalBackend final : public Backend {
 public:
  LocalBackend(Env* env, const AccessPolicy* policy) : env_(env), policy_(*policy) {}

  Result<Fingerprint> Stat(const std::string& url) override {
    CAPI_RETURN_NOT_OK(Check(url));
    return FingerprintOf(env_, url);
  }

  Status Read(const std::string& url, const Fingerprint& expected, int64_t offset, int64_t length,
              const BytesConsumer& consume, const StopQuestion& stop) override {
    constexpr int64_t kPieceBytes = 1 << 20;
    CAPI_RETURN_NOT_OK(Check(url));
    CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<MappedFile> file, OpenInput(env_, url, &expected));
    const int64_t end = length < 0 ? expected.size : offset + length;
    for (int64_t at = offset; at < end; at += kPieceBytes) {
      if (stop != nullptr && stop()) return CancelledError("reading was stopped");
      CAPI_RETURN_NOT_OK(consume(file->bytes().substr(
          static_cast<size_t>(at), static_cast<size_t>(std::min(kPieceBytes, end - at)))));
    }
    return OpenInput(env_, url, &expected).status();
  }

  Result<bool> CanSeek(const std::string&) override { return true; }

  Result<std::vector<std::string>> Match(const std::string& pattern) override {
    CAPI_RETURN_NOT_OK(Check(pattern));
    CAPI_ASSIGN_OR_RETURN(const bool is_name, env_->Exists(LocalPath(pattern)));
    if (is_name) return std::vector<std::string>{pattern};
    return MatchFiles(LocalPath(pattern),
                      [this](const std::string& directory) { return List(directory); });
  }

  Result<SinkPlan> Plan(const std::string& url) override {
    CAPI_RETURN_NOT_OK(Check(url));
    return PlanSink(env_, url);
  }
  Result<std::unique_ptr<Sink>> Open(const RecordPlan& record, SinkPlan* plan) override {
    CAPI_RETURN_NOT_OK(record(*plan));
    return Sink::Open(env_, *plan);
  }
  Status Publish(const SinkPlan& plan, int64_t size) override {
    return files::Publish(env_, plan, size);
  }
  Status Discard(const SinkPlan& plan) override { return files::Discard(env_, plan); }

 private:
  Status Check(const std::string& url) const {
    CAPI_ASSIGN_OR_RETURN(const std::string path, RequireLocal(url, "using"));
    return policy_.CheckPath(path);
  }

  Result<std::vector<DirectoryEntry>> List(const std::string& directory) {
    std::vector<DirectoryEntry> entries;
    std::string path = directory.empty() ? "." : directory;
    // With its slash a file would be an error instead of no directory.
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    const Result<FileInfo> info = env_->Stat(path);
    if (!info.ok() && InfoOf(info.status()).error_class != "file_not_found") return info.status();
    if (!info.ok() || !info->is_directory) return entries;
    CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_->ListDirectory(path));
    for (const std::string& name : names) {
      const Result<FileInfo> entry = env_->Stat(directory + name);
      if (!entry.ok()) continue;  // a dangling link, or just removed
      if (entry->is_directory || entry->is_regular) entries.push_back({name, entry->is_directory});
    }
    return entries;
  }

  Env* const env_;  // outlives the backend
  const AccessPolicy& policy_;
};

}  // namespace

std::unique_ptr<Backend> NewLocalBackend(Env* env, const AccessPolicy* policy) {
  return std::make_unique<LocalBackend>(env, policy);
}

}  // namespace capi::files
