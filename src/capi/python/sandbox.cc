#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <initializer_list>

#include "capi/python/sandbox_internal.h"

namespace capi::python {

namespace {

// Numbers that the headers of Debian 12 do not know yet; they are the same on all architectures.
constexpr long kLandlockCreateRuleset = 444;
constexpr long kLandlockAddRule = 445;
constexpr long kLandlockRestrictSelf = 446;
constexpr long kFchmodat2 = 452;

constexpr uint32_t kLandlockVersionFlag = 1;
constexpr int kLandlockRulePathBeneath = 1;
// LANDLOCK_ACCESS_FS_*: everything that changes the file system.
constexpr uint64_t kWriteFile = 1ULL << 1;
constexpr uint64_t kRemoveAndMake = 0x1FF0;  // REMOVE_DIR (4) to MAKE_SYM (12)
constexpr uint64_t kRefer = 1ULL << 13;      // since version 2
constexpr uint64_t kTruncate = 1ULL << 14;   // since version 3
// LANDLOCK_SCOPE_*, since version 6.
constexpr uint64_t kScopeAbstractSocketsAndSignals = 3;
constexpr int kVersionOfRefer = 2;
constexpr int kVersionOfTruncate = 3;
constexpr int kVersionOfNetwork = 4;
constexpr int kVersionOfScopes = 6;

struct LandlockRuleset {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scopes = 0;
};

struct LandlockPath {
  uint64_t allowed;
  int32_t parent;
} __attribute__((packed));

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

class FilterWriter {
 public:
  explicit FilterWriter(std::vector<sock_filter>* filter) : filter_(filter) {}

  void Load(size_t offset) {
    filter_->push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void Return(uint32_t action) { filter_->push_back(BPF_STMT(BPF_RET | BPF_K, action)); }
  void Fail(int error) { Return(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)); }
  void Jump(int how, uint32_t value, size_t if_true, size_t if_false) {
    filter_->push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | BPF_K | how), value,
                                static_cast<uint8_t>(if_true), static_cast<uint8_t>(if_false)));
  }
  /// All of these calls fail. The number of the call is loaded.
  void Refuse(int error, std::initializer_list<long> calls) {
    for (const long call : calls) {
      Jump(BPF_JEQ, static_cast<uint32_t>(call), 0, 1);
      Fail(error);
    }
  }
  static size_t Argument(int i) {
    return offsetof(seccomp_data, args) + static_cast<size_t>(i) * sizeof(uint64_t);
  }
  size_t size() const { return filter_->size(); }

 private:
  std::vector<sock_filter>* filter_;
};

constexpr size_t kCallNumber = offsetof(seccomp_data, nr);

}  // namespace

SandboxSupport DetectSandbox() {
  SandboxSupport support;
  const long version = syscall(kLandlockCreateRuleset, nullptr, 0, kLandlockVersionFlag);
  support.landlock_version = version > 0 ? static_cast<int>(version) : 0;
  const uint32_t action = SECCOMP_RET_ERRNO;
  support.seccomp =
      kArchitecture != 0 && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
  return support;
}

Result<Sandbox> Sandbox::Make(const SandboxSupport& support) {
  Sandbox sandbox;
  if (support.landlock_version > 0) {
    CAPI_RETURN_NOT_OK(sandbox.MakeRuleset(support.landlock_version));
  }
  if (support.seccomp) sandbox.MakeFilter(support.landlock_version == 0);
  return sandbox;
}

Status Sandbox::MakeRuleset(int version) {
  LandlockRuleset ruleset;
  ruleset.files = kWriteFile | kRemoveAndMake;
  if (version >= kVersionOfRefer) ruleset.files |= kRefer;
  if (version >= kVersionOfTruncate) ruleset.files |= kTruncate;
  size_t size = offsetof(LandlockRuleset, network);
  if (version >= kVersionOfNetwork) size = offsetof(LandlockRuleset, scopes);
  if (version >= kVersionOfScopes) {
    size = sizeof(ruleset);
    ruleset.scopes = kScopeAbstractSocketsAndSignals;
  }
  const long fd = syscall(kLandlockCreateRuleset, &ruleset, size, 0);
  if (fd < 0) return PosixError(errno, "make a Landlock ruleset", "formula sandbox");
  ruleset_ = FileDescriptor(static_cast<int>(fd));
  // Writing to /dev/null is what subprocesses and libraries expect to work.
  CAPI_ASSIGN_OR_RETURN(const FileDescriptor null, OpenFile("/dev/null", O_PATH, "open"));
  LandlockPath rule{ruleset.files & (kWriteFile | kTruncate), null.get()};
  if (syscall(kLandlockAddRule, ruleset_.get(), kLandlockRulePathBeneath, &rule, 0) != 0) {
    return PosixError(errno, "add a Landlock rule", "/dev/null");
  }
  return Status::OK();
}

void Sandbox::MakeFilter(bool refuse_writing) {
  FilterWriter writer(&filter_);
  writer.Load(offsetof(seccomp_data, arch));
  writer.Jump(BPF_JEQ, kArchitecture, 1, 0);
  writer.Return(SECCOMP_RET_KILL_PROCESS);
  writer.Load(kCallNumber);
#if defined(__x86_64__)
  constexpr uint32_t kX32 = 0x40000000;
  writer.Jump(BPF_JGE, kX32, 0, 1);
  writer.Fail(ENOSYS);
#endif

  // No network: no socket can be made (socketpair still works), not even by io_uring.
  writer.Refuse(EACCES, {SYS_socket});
  writer.Refuse(ENOSYS, {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register});
  // No foreign process: the engine is of the same user.
  writer.Refuse(EPERM, {SYS_ptrace,
                        SYS_process_vm_readv,
                        SYS_process_vm_writev,
                        SYS_process_madvise,
                        SYS_pidfd_getfd,
                        SYS_pidfd_send_signal,
                        SYS_tkill,
                        SYS_rt_sigqueueinfo,
                        SYS_rt_tgsigqueueinfo,
                        SYS_setpriority,
                        SYS_bpf,
                        SYS_perf_event_open,
                        SYS_userfaultfd,
                        SYS_add_key,
                        SYS_request_key,
                        SYS_keyctl,
                        SYS_mount,
                        SYS_umount2,
                        SYS_pivot_root,
                        SYS_chroot,
                        SYS_setns,
                        SYS_unshare,
                        SYS_open_by_handle_at});
  for (const long call : {SYS_kill, SYS_tgkill, SYS_prlimit64}) {
    // Only on itself; prlimit64 also as process 0.
    const bool zero_is_self = call == SYS_prlimit64;
    const size_t skipped = zero_is_self ? 5 : 4;
    writer.Jump(BPF_JEQ, static_cast<uint32_t>(call), 0, skipped);
    writer.Load(FilterWriter::Argument(0));
    if (zero_is_self) writer.Jump(BPF_JEQ, 0, 2, 0);
    own_pid_.push_back(writer.size());
    writer.Jump(BPF_JEQ, 0, 1, 0);
    writer.Fail(EPERM);
    writer.Return(SECCOMP_RET_ALLOW);
  }
  // Nothing of a file changes. Landlock knows no metadata.
  writer.Refuse(EROFS, {SYS_fchmod, SYS_fchmodat, kFchmodat2, SYS_fchown, SYS_fchownat,
                        SYS_utimensat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr,
                        SYS_lremovexattr, SYS_fremovexattr, SYS_truncate});
#if defined(__x86_64__)
  writer.Refuse(EROFS, {SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat});
#endif
  if (refuse_writing) {
    writer.Refuse(EROFS, {SYS_mkdirat, SYS_mknodat, SYS_unlinkat, SYS_renameat, SYS_renameat2,
                          SYS_linkat, SYS_symlinkat});
    writer.Refuse(ENOSYS, {SYS_openat2});
#if defined(__x86_64__)
    writer.Refuse(EROFS, {SYS_creat, SYS_mkdir, SYS_mknod, SYS_rmdir, SYS_unlink, SYS_rename,
                          SYS_link, SYS_symlink});
#endif
    struct Opening {
      long call;
      int flags;
    };
    for (const Opening& opening : {
#if defined(__x86_64__)
           Opening{SYS_open, 1},
#endif
               Opening {
             SYS_openat, 2
           }
         }) {
      writer.Jump(BPF_JEQ, static_cast<uint32_t>(opening.call), 0, 4);
      writer.Load(FilterWriter::Argument(opening.flags));
      writer.Jump(BPF_JSET, O_ACCMODE | O_CREAT | O_TRUNC, 0, 1);
      writer.Fail(EROFS);
      writer.Return(SECCOMP_RET_ALLOW);
    }
  }
  writer.Return(SECCOMP_RET_ALLOW);
}

int Sandbox::Apply(int ruleset) {
  if (ruleset < 0 && filter_.empty()) return 0;
  // Root gives up its privileges too; exec cannot bring them back.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  syscall(SYS_capset, &header, none);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (ruleset >= 0 && syscall(kLandlockRestrictSelf, ruleset, 0) != 0) return errno;
  if (filter_.empty()) return 0;
  for (const size_t at : own_pid_) filter_[at].k = static_cast<uint32_t>(getpid());
  sock_fprog program{static_cast<uint16_t>(filter_.size()), filter_.data()};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) return errno;
  return 0;
}

}  // namespace capi::python
