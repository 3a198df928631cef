// sftp: inputs, and outputs by a temp file that is renamed.

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/files/backend_internal.h"
#include "capi/files/glob_internal.h"
#include "capi/files/sftp_session_internal.h"

namespace capi::files {

namespace {

constexpr int64_t kReadBytes = 512 << 10;
constexpr size_t kWriteBytes = 1 << 20;
constexpr size_t kMaxIdleSessions = 8;

struct SftpPath {
  RemoteAddress address;
  std::string path;  ///< decoded
  /// Address of another path on the same server, without password.
  std::string UrlOf(const std::string& other) const {
    return "sftp://" + PercentEncoded(address.user, false) + "@" + address.Authority() +
           PercentEncoded(other, true);
  }
};

Result<SftpPath> ParseSftp(const std::string& url) {
  SftpPath result;
  CAPI_ASSIGN_OR_RETURN(result.address, ParseRemote(url));
  result.path = PercentDecoded(result.address.path);
  if (result.path.size() < 2 || result.path.back() == '/') {
    return UserError("bad_address", "the sftp address names no file: " + Redacted(url));
  }
  return result;
}

/// Open sessions, kept for the next use.
class SessionPool {
 public:
  SessionPool(const FilesOptions& options, const AccessPolicy* policy)
      : options_(options), policy_(*policy) {}

  /// Calls `work` with a session of the server. One that failed with kRetriable is not used again;
  /// if it was an old one, work is done once more with a new one (servers close idle connections).
  template <typename Work>
  auto With(const RemoteAddress& address, const Work& work) -> decltype(work(nullptr)) {
    const std::string key = address.user + "@" + address.Authority();
    std::unique_ptr<SftpSession> session = TakeIdle(key);
    if (session != nullptr) {
      auto result = work(session.get());
      if (!IsRetriable(result)) {
        PutIdle(key, std::move(session));
        return result;
      }
    }
    CAPI_ASSIGN_OR_RETURN(session, SftpSession::Connect(options_, policy_, address));
    auto result = work(session.get());
    if (!IsRetriable(result)) PutIdle(key, std::move(session));
    return result;
  }
  Result<std::unique_ptr<SftpSession>> New(const RemoteAddress& address) {
    return SftpSession::Connect(options_, policy_, address);
  }

 private:
  static bool IsRetriable(const Status& status) {
    return !status.ok() && KindOf(status) == ErrorKind::kRetriable;
  }
  template <typename T>
  static bool IsRetriable(const Result<T>& result) {
    return IsRetriable(result.status());
  }
  std::unique_ptr<SftpSession> TakeIdle(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = idle_.find(key);
    if (found == idle_.end()) return nullptr;
    std::unique_ptr<SftpSession> session = std::move(found->second);
    idle_.erase(found);
    return session;
  }
  void PutIdle(const std::string& key, std::unique_ptr<SftpSession> session) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kMaxIdleSessions) idle_.emplace(key, std::move(session));
  }

  const FilesOptions& options_;
  const AccessPolicy& policy_;
  std::mutex mutex_;
  std::multimap<std::string, std::unique_ptr<SftpSession>> idle_;
};

Status NoSuchFile(const std::string& url) {
  return UserError("file_not_found", "no such file on the sftp server: " + Redacted(url));
}

Result<Fingerprint> FingerprintFrom(const std::optional<SftpFileInfo>& info,
                                    const std::string& url) {
  if (!info) return NoSuchFile(url);
  if (!info->is_regular) {
    return UserError("not_a_file", "input is not a regular file: " + Redacted(url));
  }
  Fingerprint fingerprint;
  fingerprint.size = info->size;
  fingerprint.mtime_ns = info->mtime_ns;
  return fingerprint;
}

class SftpSink final : public Sink {
 public:
  SftpSink(std::unique_ptr<SftpSession> session, std::unique_ptr<SftpSession::File> file)
      : session_(std::move(session)), file_(std::move(file)) {}

  Status Append(std::string_view bytes) override {
    if (sealed_) return BugError("write to a sealed output file");
    size_ += static_cast<int64_t>(bytes.size());
    if (buffer_.size() + bytes.size() < kWriteBytes) {
      buffer_ += bytes;
      return Status::OK();
    }
    CAPI_RETURN_NOT_OK(Flush());
    return file_->Write(bytes);
  }

  Result<int64_t> Seal() override {
    if (sealed_) return BugError("output file sealed twice");
    CAPI_RETURN_NOT_OK(Flush());
    CAPI_FAULT_POINT("sink.before_sync");
    CAPI_RETURN_NOT_OK(file_->Sync());
    CAPI_FAULT_POINT("sink.after_sync");
    CAPI_RETURN_NOT_OK(file_->Close());
    sealed_ = true;
    return size_;
  }

 private:
  Status Flush() {
    if (buffer_.empty()) return Status::OK();
    const Status status = file_->Write(buffer_);
    buffer_.clear();
    return status;
  }

  const std::unique_ptr<SftpSession> session_;
  const std::unique_ptr<SftpSession::File> file_;  // destroyed before its session
  std::string buffer_;
  int64_t size_ = 0;
  bool sealed_ = false;
};

class SftpBackend final : public Backend {
 public:
  SftpBackend(Env* env, const FilesOptions& options, const AccessPolicy* policy)
      : env_(env), options_(options), pool_(options_, policy) {}

  Result<Fingerprint> Stat(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(const SftpPath at, ParseSftp(url));
    CAPI_ASSIGN_OR_RETURN(const std::optional<SftpFileInfo> info, StatPath(at));
    return FingerprintFrom(info, url);
  }

  Status Read(const std::string& url, const Fingerprint& expected, int64_t offset, int64_t length,
              const BytesConsumer& consume, const StopQuestion& stop) override {
    CAPI_ASSIGN_OR_RETURN(const SftpPath at, ParseSftp(url));
    const int64_t end = length < 0 ? expected.size : offset + length;
    int64_t position = offset;
    std::string buffer(kReadBytes, '\0');
    Backoff backoff(env_, options_, stop);
    while (position < end) {
      const int64_t before = position;
      const Status status = pool_.With(at.address, [&](SftpSession* session) -> Status {
        CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<SftpSession::File> file,
                              session->OpenForReading(at.path));
        CAPI_RETURN_NOT_OK(CheckUnchanged(session, at, url, expected));
        file->Seek(position);
        while (position < end) {
          if (stop != nullptr && stop()) return CancelledError("the transfer was stopped");
          const int64_t wanted = std::min(kReadBytes, end - position);
          CAPI_ASSIGN_OR_RETURN(const int64_t n, file->Read(buffer.data(), wanted));
          if (n == 0) {
            Fingerprint actual = expected;
            actual.size = position;
            return InputChanged(url, expected, actual);
          }
          CAPI_RETURN_NOT_OK(consume({buffer.data(), static_cast<size_t>(n)}));
          position += n;
        }
        return CheckUnchanged(session, at, url, expected);
      });
      if (position > before) backoff.Progress();
      if (!status.ok()) {
        CAPI_RETURN_NOT_OK(backoff.Pause(status));
      }
    }
    return Status::OK();
  }

  Result<bool> CanSeek(const std::string&) override { return true; }

  Result<std::vector<std::string>> Match(const std::string& pattern) override {
    CAPI_ASSIGN_OR_RETURN(const SftpPath at, ParseSftp(pattern));
    CAPI_ASSIGN_OR_RETURN(
        std::vector<std::string> paths,
        MatchFiles(at.path, [&](const std::string& directory) { return List(at, directory); }));
    for (std::string& path : paths) path = at.UrlOf(path);
    return paths;
  }

  Result<SinkPlan> Plan(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(const SftpPath at, ParseSftp(url));
    CAPI_ASSIGN_OR_RETURN(const std::optional<SftpFileInfo> info, StatPath(at));
    if (info && !info->is_regular) {
      return UserError("target_not_a_file",
                       "output address is not a regular file: " + Redacted(url));
    }
    return SinkPlan{at.UrlOf(at.path), at.UrlOf(TempPathFor(env_, at.path))};
  }

  Result<std::unique_ptr<Sink>> Open(const RecordPlan& record, SinkPlan* plan) override {
    CAPI_RETURN_NOT_OK(record(*plan));
    CAPI_ASSIGN_OR_RETURN(const SftpPath temp, ParseSftp(plan->temp_path));
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SftpSession> session, pool_.New(temp.address));
    CAPI_RETURN_NOT_OK(MakeParents(session.get(), temp.path));
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SftpSession::File> file,
                          session->OpenForWriting(temp.path));
    return std::make_unique<SftpSink>(std::move(session), std::move(file));
  }

  Status Publish(const SinkPlan& plan, int64_t size) override {
    CAPI_FAULT_POINT("sink.before_rename");
    CAPI_ASSIGN_OR_RETURN(const SftpPath temp, ParseSftp(plan.temp_path));
    CAPI_ASSIGN_OR_RETURN(const SftpPath target, ParseSftp(plan.target));
    CAPI_RETURN_NOT_OK(Repeat([&] {
      return pool_.With(target.address, [&](SftpSession* session) -> Status {
        CAPI_ASSIGN_OR_RETURN(const std::optional<SftpFileInfo> sealed, session->Stat(temp.path));
        if (sealed && sealed->size == size) return session->Rename(temp.path, target.path);
        if (sealed) {
          return EnvironmentError(
              "sealed output file has changed its size; address, expected, actual: " +
              plan.temp_path + ", " + std::to_string(size) + ", " + std::to_string(sealed->size));
        }
        CAPI_ASSIGN_OR_RETURN(const std::optional<SftpFileInfo> published,
                              session->Stat(target.path));
        if (published && published->size == size) return Status::OK();
        return OutputLost(plan);
      });
    }));
    CAPI_FAULT_POINT("sink.after_rename");
    return Status::OK();
  }

  Status Discard(const SinkPlan& plan) override {
    CAPI_ASSIGN_OR_RETURN(const SftpPath temp, ParseSftp(plan.temp_path));
    return Repeat([&] {
      return pool_.With(temp.address,
                        [&](SftpSession* session) { return session->Remove(temp.path); });
    });
  }

 private:
  template <typename Work>
  auto Repeat(const Work& work) -> decltype(work()) {
    const StopQuestion never = nullptr;
    Backoff backoff(env_, options_, never);
    while (true) {
      auto result = work();
      const Status status = StatusOf(result);
      if (status.ok()) return result;
      CAPI_RETURN_NOT_OK(backoff.Pause(status));
    }
  }
  static Status StatusOf(const Status& status) { return status; }
  template <typename T>
  static Status StatusOf(const Result<T>& result) {
    return result.status();
  }

  Result<std::optional<SftpFileInfo>> StatPath(const SftpPath& at) {
    return Repeat([&] {
      return pool_.With(at.address, [&](SftpSession* session) { return session->Stat(at.path); });
    });
  }

  static Status CheckUnchanged(SftpSession* session, const SftpPath& at, const std::string& url,
                               const Fingerprint& expected) {
    CAPI_ASSIGN_OR_RETURN(const std::optional<SftpFileInfo> info, session->Stat(at.path));
    CAPI_ASSIGN_OR_RETURN(const Fingerprint actual, FingerprintFrom(info, url));
    return actual == expected ? Status::OK() : InputChanged(url, expected, actual);
  }

  Result<std::vector<DirectoryEntry>> List(const SftpPath& at, const std::string& directory) {
    return Repeat([&] {
      return pool_.With(at.address,
                        [&](SftpSession* session) -> Result<std::vector<DirectoryEntry>> {
                          std::vector<DirectoryEntry> entries;
                          Result<std::vector<SftpSession::Entry>> listed = session->List(directory);
                          if (!listed.ok()) {
                            if (InfoOf(listed.status()).error_class == "file_not_found")
                              return entries;
                            return listed.status();
                          }
                          for (const SftpSession::Entry& entry : *listed) {
                            SftpFileInfo info = entry.info;
                            if (entry.is_link) {
                              CAPI_ASSIGN_OR_RETURN(const std::optional<SftpFileInfo> target,
                                                    session->Stat(directory + entry.name));
                              if (!target) continue;
                              info = *target;
                            }
                            if (info.is_directory || info.is_regular) {
                              entries.push_back({entry.name, info.is_directory});
                            }
                          }
                          return entries;
                        });
    });
  }

  static Status MakeParents(SftpSession* session, const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return Status::OK();
    const std::string parent = path.substr(0, slash);
    CAPI_ASSIGN_OR_RETURN(std::optional<SftpFileInfo> info, session->Stat(parent));
    if (info) return Status::OK();
    CAPI_RETURN_NOT_OK(MakeParents(session, parent));
    const Status made = session->MakeDirectory(parent);
    if (made.ok()) return made;
    // Somebody else may have made it meanwhile.
    CAPI_ASSIGN_OR_RETURN(info, session->Stat(parent));
    return info ? Status::OK() : made;
  }

  Env* const env_;  // outlives the backend
  const FilesOptions options_;
  SessionPool pool_;
};

}  // namespace

std::unique_ptr<Backend> NewSftpBackend(Env* env, const FilesOptions& options,
                                        const AccessPolicy* policy) {
  return std::make_unique<SftpBackend>(env, options, policy);
}

}  // namespace capi::files
