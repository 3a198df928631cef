#include <fcntl.h>
#include <libssh2.h>
#include <libssh2_sftp.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/files/sftp_session_internal.h"

namespace capi::files {

namespace {

constexpr int kDefaultPort = 22;

Status InitializeSsh() {
  static const int code = libssh2_init(0);
  return code == 0 ? Status::OK() : EnvironmentError("cannot initialise libssh2");
}

std::string HomePath(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const char* home = std::getenv("HOME");
  return (home == nullptr ? std::string("/root") : std::string(home)) + path.substr(1);
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (num_bits += 8; num_bits >= 6; num_bits -= 6)
      text += kAlphabet[bits >> (num_bits - 6) & 63];
  }
  if (num_bits > 0) text += kAlphabet[bits << (6 - num_bits) & 63];
  return text;  // as ssh prints fingerprints: without padding
}

/// Kinds of host keys, the best first.
struct HostKeyKind {
  int known_hosts_type;
  const char* methods;
};
constexpr std::array kHostKeyKinds = {
    HostKeyKind{LIBSSH2_KNOWNHOST_KEY_ED25519, "ssh-ed25519"},
    HostKeyKind{LIBSSH2_KNOWNHOST_KEY_ECDSA_256, "ecdsa-sha2-nistp256"},
    HostKeyKind{LIBSSH2_KNOWNHOST_KEY_ECDSA_384, "ecdsa-sha2-nistp384"},
    HostKeyKind{LIBSSH2_KNOWNHOST_KEY_ECDSA_521, "ecdsa-sha2-nistp521"},
    HostKeyKind{LIBSSH2_KNOWNHOST_KEY_SSHRSA, "rsa-sha2-512,rsa-sha2-256,ssh-rsa"},
};

int KnownHostsType(int host_key_type) {
  switch (host_key_type) {
    case LIBSSH2_HOSTKEY_TYPE_RSA:
      return LIBSSH2_KNOWNHOST_KEY_SSHRSA;
    case LIBSSH2_HOSTKEY_TYPE_ECDSA_256:
      return LIBSSH2_KNOWNHOST_KEY_ECDSA_256;
    case LIBSSH2_HOSTKEY_TYPE_ECDSA_384:
      return LIBSSH2_KNOWNHOST_KEY_ECDSA_384;
    case LIBSSH2_HOSTKEY_TYPE_ECDSA_521:
      return LIBSSH2_KNOWNHOST_KEY_ECDSA_521;
    case LIBSSH2_HOSTKEY_TYPE_ED25519:
      return LIBSSH2_KNOWNHOST_KEY_ED25519;
    default:
      return LIBSSH2_KNOWNHOST_KEY_UNKNOWN;
  }
}

/// The known_hosts file, read for one connection.
class KnownHosts {
 public:
  static Result<KnownHosts> Read(const std::string& path) {
    KnownHosts hosts;
    hosts.session_ = libssh2_session_init();
    hosts.list_ = hosts.session_ == nullptr ? nullptr : libssh2_knownhost_init(hosts.session_);
    if (hosts.list_ == nullptr) return EnvironmentError("cannot make a libssh2 session");
    const int count =
        libssh2_knownhost_readfile(hosts.list_, path.c_str(), LIBSSH2_KNOWNHOST_FILE_OPENSSH);
    if (count < 0) {
      return UserError(
          "unknown_host_key",
          "cannot read the file of known hosts, so no sftp server is trusted: " + path);
    }
    return hosts;
  }
  KnownHosts(KnownHosts&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)),
        list_(std::exchange(other.list_, nullptr)) {}
  ~KnownHosts() {
    if (list_ != nullptr) libssh2_knownhost_free(list_);
    if (session_ != nullptr) libssh2_session_free(session_);
  }

  /// Kinds of keys that occur in the file: names in it may be hashed, so which belong to a host is
  /// only seen by trying.
  std::vector<HostKeyKind> Kinds() const {
    std::vector<HostKeyKind> kinds;
    for (const HostKeyKind& kind : kHostKeyKinds) {
      libssh2_knownhost* entry = nullptr;
      libssh2_knownhost* previous = nullptr;
      while (libssh2_knownhost_get(list_, &entry, previous) == 0) {
        previous = entry;
        if ((entry->typemask & LIBSSH2_KNOWNHOST_KEY_MASK) == kind.known_hosts_type) {
          kinds.push_back(kind);
          break;
        }
      }
    }
    return kinds;
  }

  int Check(const std::string& host, int port, const char* key, size_t size, int type) const {
    return libssh2_knownhost_checkp(
        list_, host.c_str(), port, key, size,
        LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | type, nullptr);
  }

 private:
  KnownHosts() = default;
  LIBSSH2_SESSION* session_ = nullptr;
  LIBSSH2_KNOWNHOSTS* list_ = nullptr;
};

SftpFileInfo InfoFrom(const LIBSSH2_SFTP_ATTRIBUTES& attributes) {
  SftpFileInfo info;
  if ((attributes.flags & LIBSSH2_SFTP_ATTR_SIZE) != 0) {
    info.size = static_cast<int64_t>(attributes.filesize);
  }
  if ((attributes.flags & LIBSSH2_SFTP_ATTR_ACMODTIME) != 0) {
    info.mtime_ns = static_cast<int64_t>(attributes.mtime) * kNanosPerSecond;
  }
  if ((attributes.flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) != 0) {
    info.is_directory = LIBSSH2_SFTP_S_ISDIR(attributes.permissions);
    info.is_regular = LIBSSH2_SFTP_S_ISREG(attributes.permissions);
  }
  return info;
}

void AppendNumber(uint32_t number, std::string* packet) {
  for (int shift = 24; shift >= 0; shift -= 8)
    packet->push_back(static_cast<char>(number >> shift));
}

void AppendText(std::string_view text, std::string* packet) {
  AppendNumber(static_cast<uint32_t>(text.size()), packet);
  packet->append(text);
}

uint32_t NumberAt(std::string_view packet, size_t at) {
  uint32_t number = 0;
  for (size_t i = at; i < at + 4; ++i) number = number << 8 | static_cast<unsigned char>(packet[i]);
  return number;
}

/// Speaks the few packets of a second SFTP channel that libssh2 has no calls for.
class RawSftpChannel {
 public:
  explicit RawSftpChannel(LIBSSH2_SESSION* session)
      : channel_(libssh2_channel_open_session(session)) {}
  ~RawSftpChannel() {
    if (channel_ != nullptr) libssh2_channel_free(channel_);
  }
  bool Start() const {
    return channel_ != nullptr && libssh2_channel_subsystem(channel_, "sftp") == 0;
  }
  bool Send(const std::string& body) const {
    std::string packet;
    AppendText(body, &packet);
    size_t sent = 0;
    while (sent < packet.size()) {
      const ssize_t n = libssh2_channel_write(channel_, packet.data() + sent, packet.size() - sent);
      if (n <= 0) return false;
      sent += static_cast<size_t>(n);
    }
    return true;
  }
  bool Receive(std::string* body) const {
    std::array<char, 4> size{};
    if (!ReadFully(size.data(), size.size())) return false;
    const uint32_t length = NumberAt({size.data(), size.size()}, 0);
    constexpr uint32_t kMostBytes = 256 << 10;
    if (length == 0 || length > kMostBytes) return false;
    body->resize(length);
    return ReadFully(body->data(), body->size());
  }

 private:
  bool ReadFully(char* buffer, size_t size) const {
    size_t read = 0;
    while (read < size) {
      const ssize_t n = libssh2_channel_read(channel_, buffer + read, size - read);
      if (n <= 0) return false;
      read += static_cast<size_t>(n);
    }
    return true;
  }
  LIBSSH2_CHANNEL* const channel_;
};

}  // namespace

Result<std::unique_ptr<SftpSession>> SftpSession::Connect(const FilesOptions& options,
                                                          const AccessPolicy& policy,
                                                          const RemoteAddress& address) {
  CAPI_RETURN_NOT_OK(InitializeSsh());
  CAPI_RETURN_NOT_OK(policy.CheckHost(address.host));
  if (address.user.empty()) {
    return UserError("bad_address", "an sftp address needs a user: sftp://USER@" +
                                        address.Authority() + address.path);
  }
  const std::string path =
      HomePath(options.known_hosts_path.empty() ? "~/.ssh/known_hosts" : options.known_hosts_path);
  CAPI_ASSIGN_OR_RETURN(const KnownHosts known, KnownHosts::Read(path));
  std::unique_ptr<SftpSession> session(new SftpSession(options, policy, address));
  for (const HostKeyKind& kind : known.Kinds()) {
    CAPI_ASSIGN_OR_RETURN(const bool offered, session->Handshake(kind.methods));
    if (!offered) continue;
    size_t size = 0;
    int type = 0;
    const char* key = libssh2_session_hostkey(session->session_, &size, &type);
    if (key == nullptr) return session->LastError("read the host key", "");
    const int port = address.port == 0 ? kDefaultPort : address.port;
    const int verdict = known.Check(address.host, port, key, size, KnownHostsType(type));
    if (verdict == LIBSSH2_KNOWNHOST_CHECK_MATCH) {
      CAPI_RETURN_NOT_OK(session->Authenticate());
      session->sftp_ = libssh2_sftp_init(session->session_);
      if (session->sftp_ == nullptr) return session->LastError("start sftp", "");
      return session;
    }
    if (verdict == LIBSSH2_KNOWNHOST_CHECK_MISMATCH) {
      return UserError(
          "host_key_changed",
          "the host key of the sftp server is not the known one (somebody may be "
          "listening, or the server was set up anew); host, key, file of known hosts: " +
              address.Authority() + ", " + session->host_key_fingerprint_ + ", " + path);
    }
    session->Disconnect();
  }
  return UserError(
      "unknown_host_key",
      "the sftp server is not in the file of known hosts (ssh-keyscan can add it, after "
      "a look at the key); host, key, file of known hosts: " +
          address.Authority() + ", " +
          (session->host_key_fingerprint_.empty() ? "not asked for"
                                                  : session->host_key_fingerprint_) +
          ", " + path);
}

SftpSession::~SftpSession() { Disconnect(); }

void SftpSession::Disconnect() {
  // A server that is gone must not hold us up.
  constexpr long kGoodbyeMillis = 1000;
  if (session_ != nullptr) libssh2_session_set_timeout(session_, kGoodbyeMillis);
  if (sftp_ != nullptr) libssh2_sftp_shutdown(std::exchange(sftp_, nullptr));
  if (session_ != nullptr) {
    libssh2_session_disconnect(session_, "done");
    libssh2_session_free(std::exchange(session_, nullptr));
  }
  socket_.Close();
}

Status SftpSession::OpenSocket() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* addresses = nullptr;
  const std::string port = std::to_string(address_.port == 0 ? kDefaultPort : address_.port);
  const int code = getaddrinfo(address_.host.c_str(), port.c_str(), &hints, &addresses);
  if (code != 0) {
    return RetriableError("cannot resolve the name of the sftp server: " + address_.host + ": " +
                          gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(addresses, &freeaddrinfo);
  Status status = RetriableError("the sftp server has no address: " + address_.host);
  for (const addrinfo* at = addresses; at != nullptr; at = at->ai_next) {
    const Status allowed = policy_.CheckSocketAddress(address_.host, at->ai_addr);
    if (!allowed.ok()) {
      status = allowed;
      continue;
    }
    socket_ = FileDescriptor(
        socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol));
    int error = 0;
    if (connect(socket_.get(), at->ai_addr, at->ai_addrlen) != 0) {
      error = errno;
      if (error == EINPROGRESS) {
        pollfd poll_for{socket_.get(), POLLOUT, 0};
        const int ready = poll(&poll_for, 1, static_cast<int>(options_.connect_timeout_ms));
        socklen_t size = sizeof(error);
        if (ready <= 0) {
          error = ETIMEDOUT;
        } else if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
          error = errno;
        }
      }
    }
    if (error == 0) return Status::OK();
    socket_.Close();
    status = RetriableError("cannot connect to the sftp server: " + address_.Authority() + ": " +
                            std::strerror(error));
  }
  return status;
}

Result<bool> SftpSession::Handshake(const std::string& host_key_methods) {
  CAPI_RETURN_NOT_OK(OpenSocket());
  session_ = libssh2_session_init();
  if (session_ == nullptr) return EnvironmentError("cannot make a libssh2 session");
  libssh2_session_set_blocking(session_, 1);
  libssh2_session_set_timeout(session_, static_cast<long>(options_.idle_timeout_ms));
  if (libssh2_session_method_pref(session_, LIBSSH2_METHOD_HOSTKEY, host_key_methods.c_str()) !=
      0) {
    Disconnect();
    return false;  // not a kind that this library knows
  }
  const int code = libssh2_session_handshake(session_, socket_.get());
  if (code == LIBSSH2_ERROR_KEX_FAILURE || code == LIBSSH2_ERROR_METHOD_NONE) {
    // The server has no key of this kind.
    Disconnect();
    return false;
  }
  if (code != 0) {
    const Status error = LastError("shake hands", "");
    Disconnect();
    return error;
  }
  constexpr size_t kSha256Bytes = 32;
  const char* hash = libssh2_hostkey_hash(session_, LIBSSH2_HOSTKEY_HASH_SHA256);
  if (hash != nullptr) host_key_fingerprint_ = "SHA256:" + Base64({hash, kSha256Bytes});
  return true;
}

Status SftpSession::Authenticate() {
  const auto key = options_.private_keys.find(address_.user);
  if (key == options_.private_keys.end()) {
    return UserError("no_private_key",
                     "private_keys has no key for the user of the sftp address: " + address_.user);
  }
  const std::string path = HomePath(key->second);
  const int code = libssh2_userauth_publickey_fromfile_ex(
      session_, address_.user.c_str(), static_cast<unsigned int>(address_.user.size()), nullptr,
      path.c_str(), "");
  if (code == 0) return Status::OK();
  if (code == LIBSSH2_ERROR_FILE) {
    return UserError("no_private_key",
                     "cannot read the private key for the user of the sftp "
                     "address (keys must have no pass phrase): " +
                         address_.user + ", " + path);
  }
  if (code == LIBSSH2_ERROR_AUTHENTICATION_FAILED || code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) {
    return UserError("access_denied",
                     "the sftp server does not accept the private key; user, "
                     "host, key: " +
                         address_.user + ", " + address_.Authority() + ", " + path);
  }
  return LastError("log in", "");
}

Status SftpSession::LastError(std::string_view what, const std::string& path) {
  char* text = nullptr;
  const int code = libssh2_session_last_error(session_, &text, nullptr, 0);
  const std::string message = "cannot " + std::string(what) + ": sftp://" + address_.user + "@" +
                              address_.Authority() + path + ": " +
                              (text == nullptr ? "unknown" : text);
  if (code != LIBSSH2_ERROR_SFTP_PROTOCOL || sftp_ == nullptr) {
    return code == LIBSSH2_ERROR_ALLOC ? EnvironmentError(message) : RetriableError(message);
  }
  const unsigned long sftp_code = libssh2_sftp_last_error(sftp_);
  switch (sftp_code) {
    case LIBSSH2_FX_NO_SUCH_FILE:
    case LIBSSH2_FX_NO_SUCH_PATH:
      return UserError("file_not_found", message + " (no such file)");
    case LIBSSH2_FX_PERMISSION_DENIED:
    case LIBSSH2_FX_WRITE_PROTECT:
      return UserError("access_denied", message + " (permission denied)");
    case LIBSSH2_FX_CONNECTION_LOST:
    case LIBSSH2_FX_NO_CONNECTION:
      return RetriableError(message);
    default:
      return EnvironmentError(message + " (sftp status " + std::to_string(sftp_code) + ")");
  }
}

Result<std::optional<SftpFileInfo>> SftpSession::Stat(const std::string& path) {
  LIBSSH2_SFTP_ATTRIBUTES attributes{};
  if (libssh2_sftp_stat_ex(sftp_, path.data(), static_cast<unsigned int>(path.size()),
                           LIBSSH2_SFTP_STAT, &attributes) == 0) {
    return InfoFrom(attributes);
  }
  const Status error = LastError("look at a file", path);
  if (InfoOf(error).error_class == "file_not_found") return std::nullopt;
  return error;
}

Result<std::vector<SftpSession::Entry>> SftpSession::List(const std::string& path) {
  LIBSSH2_SFTP_HANDLE* directory = libssh2_sftp_open_ex(
      sftp_, path.data(), static_cast<unsigned int>(path.size()), 0, 0, LIBSSH2_SFTP_OPENDIR);
  if (directory == nullptr) return LastError("list a directory", path);
  std::vector<Entry> entries;
  std::array<char, 4096> name;
  while (true) {
    LIBSSH2_SFTP_ATTRIBUTES attributes{};
    const int n =
        libssh2_sftp_readdir_ex(directory, name.data(), name.size(), nullptr, 0, &attributes);
    if (n == 0) break;
    if (n < 0) {
      const Status error = LastError("list a directory", path);
      libssh2_sftp_close_handle(directory);
      return error;
    }
    Entry entry;
    entry.name.assign(name.data(), static_cast<size_t>(n));
    entry.info = InfoFrom(attributes);
    entry.is_link = LIBSSH2_SFTP_S_ISLNK(attributes.permissions);
    if (entry.name != "." && entry.name != "..") entries.push_back(std::move(entry));
  }
  libssh2_sftp_close_handle(directory);
  return entries;
}

Status SftpSession::MakeDirectory(const std::string& path) {
  constexpr long kMode = 0755;
  if (libssh2_sftp_mkdir_ex(sftp_, path.data(), static_cast<unsigned int>(path.size()), kMode) ==
      0) {
    return Status::OK();
  }
  return LastError("make a directory", path);
}

Status SftpSession::Remove(const std::string& path) {
  if (libssh2_sftp_unlink_ex(sftp_, path.data(), static_cast<unsigned int>(path.size())) == 0) {
    return Status::OK();
  }
  const Status error = LastError("remove a file", path);
  return InfoOf(error).error_class == "file_not_found" ? Status::OK() : error;
}

Status SftpSession::RawRename(const std::string& from, const std::string& to, bool* supported) {
  constexpr char kInit = 1;
  constexpr char kVersion = 2;
  constexpr char kStatus = 101;
  constexpr auto kExtended = static_cast<char>(200);
  constexpr std::string_view kPosixRename = "posix-rename@openssh.com";
  constexpr size_t kStatusCode = 5;
  *supported = false;
  const RawSftpChannel channel(session_);
  std::string packet(1, kInit);
  AppendNumber(3, &packet);
  std::string answer;
  if (!channel.Start() || !channel.Send(packet) || !channel.Receive(&answer) ||
      answer[0] != kVersion) {
    return LastError("rename a file", to);
  }
  if (answer.find(kPosixRename) == std::string::npos) return Status::OK();
  *supported = true;
  packet.assign(1, kExtended);
  AppendNumber(1, &packet);
  AppendText(kPosixRename, &packet);
  AppendText(from, &packet);
  AppendText(to, &packet);
  if (!channel.Send(packet) || !channel.Receive(&answer) || answer[0] != kStatus ||
      answer.size() < kStatusCode + 4) {
    return LastError("rename a file", to);
  }
  const uint32_t code = NumberAt(answer, kStatusCode);
  if (code == LIBSSH2_FX_OK) return Status::OK();
  const std::string message = "cannot rename a file on the sftp server: " + from + " to " + to +
                              " (sftp status " + std::to_string(code) + ")";
  if (code == LIBSSH2_FX_NO_SUCH_FILE) return UserError("file_not_found", message);
  if (code == LIBSSH2_FX_PERMISSION_DENIED) return UserError("access_denied", message);
  return EnvironmentError(message);
}

Status SftpSession::Rename(const std::string& from, const std::string& to) {
  bool supported = false;
  CAPI_RETURN_NOT_OK(RawRename(from, to, &supported));
  if (supported) return Status::OK();
  // Version 3 of the protocol does not rename over a file: there is an instant without the target.
  LogWarn("the sftp server cannot replace a file atomically: " + address_.Authority());
  const auto rename = [&] {
    return libssh2_sftp_rename_ex(
        sftp_, from.data(), static_cast<unsigned int>(from.size()), to.data(),
        static_cast<unsigned int>(to.size()),
        LIBSSH2_SFTP_RENAME_OVERWRITE | LIBSSH2_SFTP_RENAME_ATOMIC | LIBSSH2_SFTP_RENAME_NATIVE);
  };
  if (rename() == 0) return Status::OK();
  CAPI_RETURN_NOT_OK(Remove(to));
  return rename() == 0 ? Status::OK() : LastError("rename a file", to);
}

Result<std::unique_ptr<SftpSession::File>> SftpSession::OpenForReading(const std::string& path) {
  LIBSSH2_SFTP_HANDLE* handle =
      libssh2_sftp_open_ex(sftp_, path.data(), static_cast<unsigned int>(path.size()),
                           LIBSSH2_FXF_READ, 0, LIBSSH2_SFTP_OPENFILE);
  if (handle == nullptr) return LastError("open a file", path);
  return std::make_unique<File>(this, handle, path);
}

Result<std::unique_ptr<SftpSession::File>> SftpSession::OpenForWriting(const std::string& path) {
  constexpr long kMode = 0644;
  LIBSSH2_SFTP_HANDLE* handle = libssh2_sftp_open_ex(
      sftp_, path.data(), static_cast<unsigned int>(path.size()),
      LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC, kMode, LIBSSH2_SFTP_OPENFILE);
  if (handle == nullptr) return LastError("create a file", path);
  return std::make_unique<File>(this, handle, path);
}

SftpSession::File::~File() {
  if (handle_ != nullptr) libssh2_sftp_close_handle(handle_);
}

void SftpSession::File::Seek(int64_t offset) {
  libssh2_sftp_seek64(handle_, static_cast<libssh2_uint64_t>(offset));
}

Result<int64_t> SftpSession::File::Read(char* buffer, int64_t size) {
  const ssize_t n = libssh2_sftp_read(handle_, buffer, static_cast<size_t>(size));
  if (n < 0) return session_->LastError("read a file", path_);
  return n;
}

Status SftpSession::File::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = libssh2_sftp_write(handle_, bytes.data(), bytes.size());
    if (n < 0) return session_->LastError("write a file", path_);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Status::OK();
}

Status SftpSession::File::Sync() {
  if (libssh2_sftp_fsync(handle_) == 0) return Status::OK();
  if (libssh2_session_last_errno(session_->session_) == LIBSSH2_ERROR_SFTP_PROTOCOL &&
      libssh2_sftp_last_error(session_->sftp_) == LIBSSH2_FX_OP_UNSUPPORTED) {
    return Status::OK();
  }
  return session_->LastError("sync a file", path_);
}

Status SftpSession::File::Close() {
  if (libssh2_sftp_close_handle(std::exchange(handle_, nullptr)) == 0) return Status::OK();
  return session_->LastError("close a file", path_);
}

}  // namespace capi::files
