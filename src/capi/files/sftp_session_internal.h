#pragma once

// One SSH connection with an SFTP channel, by libssh2: known hosts, keys, files. libcurl is not
// used for it because it can neither sync a file nor rename over an existing one.

#include <libssh2.h>
#include <libssh2_sftp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/posix_file.h"
#include "capi/base/status.h"
#include "capi/files/access_policy_internal.h"
#include "capi/files/address_internal.h"
#include "capi/files/files_options.h"

namespace capi::files {

struct SftpFileInfo {
  int64_t size = 0;
  int64_t mtime_ns = 0;  ///< whole seconds
  bool is_directory = false;
  bool is_regular = false;
};

/// Used by one thread at a time. After a kRetriable error it must be thrown away.
class SftpSession {
 public:
  /// Errors: kRetriable when the server cannot be reached; kUser "address_refused",
  /// "unknown_host_key", "host_key_changed", "no_private_key", "access_denied".
  static Result<std::unique_ptr<SftpSession>> Connect(const FilesOptions& options,
                                                      const AccessPolicy& policy,
                                                      const RemoteAddress& address);
  ~SftpSession();

  /// nullopt: there is no such file.
  Result<std::optional<SftpFileInfo>> Stat(const std::string& path);
  struct Entry {
    std::string name;
    SftpFileInfo info;
    bool is_link = false;
  };
  /// Without "." and "..", in any order. kUser "file_not_found".
  Result<std::vector<Entry>> List(const std::string& path);
  Status MakeDirectory(const std::string& path);
  /// Missing is fine.
  Status Remove(const std::string& path);
  /// Atomically over an existing file where the server can (OpenSSH can).
  Status Rename(const std::string& from, const std::string& to);

  /// An open file; must not outlive the session.
  class File {
   public:
    File(SftpSession* session, LIBSSH2_SFTP_HANDLE* handle, std::string path)
        : session_(session), handle_(handle), path_(std::move(path)) {}
    ~File();
    void Seek(int64_t offset);
    /// Bytes read, 0 at the end.
    Result<int64_t> Read(char* buffer, int64_t size);
    Status Write(std::string_view bytes);
    /// On the server's disk, where the server can say so.
    Status Sync();
    Status Close();

   private:
    SftpSession* const session_;
    LIBSSH2_SFTP_HANDLE* handle_;
    const std::string path_;
  };
  Result<std::unique_ptr<File>> OpenForReading(const std::string& path);
  /// Creates or empties it.
  Result<std::unique_ptr<File>> OpenForWriting(const std::string& path);

 private:
  SftpSession(const FilesOptions& options, const AccessPolicy& policy, RemoteAddress address)
      : options_(options), policy_(policy), address_(std::move(address)) {}
  /// Offers host keys of these kinds only. False: the server's key is not among the known ones.
  Result<bool> Handshake(const std::string& host_key_methods);
  Status OpenSocket();
  Status Authenticate();
  Status RawRename(const std::string& from, const std::string& to, bool* supported);
  void Disconnect();
  /// Error of the last call that failed, with its kind.
  Status LastError(std::string_view what, const std::string& path);

  const FilesOptions& options_;
  const AccessPolicy& policy_;
  const RemoteAddress address_;
  std::string host_key_fingerprint_;
  FileDescriptor socket_;
  LIBSSH2_SESSION* session_ = nullptr;
  LIBSSH2_SFTP* sftp_ = nullptr;
};

}  // namespace capi::files
