#include "capi/state/sqlite/fault_vfs.h"

#include <sqlite3.h>

#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "capi/state/sqlite/connection.h"

namespace capi::state {

/// What the functions of a VFS work with.
struct FaultAccess {
  sqlite3_vfs* base = nullptr;
  FaultEnv* env = nullptr;
};

namespace {

/// What SQLite allocates for an open file; the file of SQLite's own VFS lies behind it.
struct FaultFile {
  sqlite3_file header;  // first: SQLite knows no more of it
  FaultEnv* env;
  FaultEnv::OverwrittenFile* simulated;  // owned; null for files that are not tracked
  std::string* directory;                // owned; to be synced together with the file, or null
};

FaultFile* Of(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file); }
sqlite3_file* Real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(Of(file) + 1); }
const sqlite3_io_methods* RealMethods(sqlite3_file* file) { return Real(file)->pMethods; }

int Close(sqlite3_file* file) {
  const int code = RealMethods(file)->xClose(Real(file));
  delete Of(file)->simulated;
  delete Of(file)->directory;
  return code;
}

int Read(sqlite3_file* file, void* buffer, int size, sqlite3_int64 offset) {
  return RealMethods(file)->xRead(Real(file), buffer, size, offset);
}

int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  FaultFile* self = Of(file);
  if (self->simulated != nullptr) {
    const std::string_view written(static_cast<const char*>(bytes), static_cast<size_t>(size));
    if (!self->simulated->Write(offset, written).ok()) {
      return self->env->disk_full() ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
  }
  return RealMethods(file)->xWrite(Real(file), bytes, size, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  FaultFile* self = Of(file);
  if (self->simulated != nullptr && !self->simulated->Truncate(size).ok()) {
    return SQLITE_IOERR_TRUNCATE;
  }
  return RealMethods(file)->xTruncate(Real(file), size);
}

int Sync(sqlite3_file* file, int flags) {
  FaultFile* self = Of(file);
  if (self->simulated == nullptr) return RealMethods(file)->xSync(Real(file), flags);
  if (!self->simulated->Sync().ok()) return SQLITE_IOERR_FSYNC;
  // Like SQLite's own VFS: the first sync of a new journal makes its name durable.
  if (self->directory != nullptr) {
    if (!self->env->SyncDirectory(*self->directory).ok()) return SQLITE_IOERR_DIR_FSYNC;
    delete std::exchange(self->directory, nullptr);
  }
  return SQLITE_OK;
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return RealMethods(file)->xFileSize(Real(file), size);
}
int Lock(sqlite3_file* file, int level) { return RealMethods(file)->xLock(Real(file), level); }
int Unlock(sqlite3_file* file, int level) { return RealMethods(file)->xUnlock(Real(file), level); }
int CheckReservedLock(sqlite3_file* file, int* held) {
  return RealMethods(file)->xCheckReservedLock(Real(file), held);
}
int FileControl(sqlite3_file* file, int operation, void* argument) {
  return RealMethods(file)->xFileControl(Real(file), operation, argument);
}
int SectorSize(sqlite3_file* file) { return RealMethods(file)->xSectorSize(Real(file)); }
int DeviceCharacteristics(sqlite3_file* file) {
  return RealMethods(file)->xDeviceCharacteristics(Real(file));
}
int ShmMap(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
  return RealMethods(file)->xShmMap(Real(file), region, size, extend, memory);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return RealMethods(file)->xShmLock(Real(file), offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { RealMethods(file)->xShmBarrier(Real(file)); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return RealMethods(file)->xShmUnmap(Real(file), remove);
}

/// Version 2: without memory-mapped access to the database, which would go past the simulation.
sqlite3_io_methods Methods() {
  sqlite3_io_methods methods = {};
  methods.iVersion = 2;
  methods.xClose = Close;
  methods.xRead = Read;
  methods.xWrite = Write;
  methods.xTruncate = Truncate;
  methods.xSync = Sync;
  methods.xFileSize = FileSize;
  methods.xLock = Lock;
  methods.xUnlock = Unlock;
  methods.xCheckReservedLock = CheckReservedLock;
  methods.xFileControl = FileControl;
  methods.xSectorSize = SectorSize;
  methods.xDeviceCharacteristics = DeviceCharacteristics;
  methods.xShmMap = ShmMap;
  methods.xShmLock = ShmLock;
  methods.xShmBarrier = ShmBarrier;
  methods.xShmUnmap = ShmUnmap;
  return methods;
}
const sqlite3_io_methods kMethods = Methods();

const FaultAccess& AccessOf(sqlite3_vfs* vfs) {
  return *static_cast<const FaultAccess*>(vfs->pAppData);
}

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  const FaultAccess& access = AccessOf(vfs);
  FaultFile* self = Of(file);
  std::memset(static_cast<void*>(file), 0, sizeof(FaultFile));
  self->env = access.env;
  std::unique_ptr<FaultEnv::OverwrittenFile> simulated;
  constexpr int kSimulated = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
  if (name != nullptr && (flags & kSimulated) != 0) {
    const Result<bool> exists = access.env->Exists(name);
    if (!exists.ok()) return SQLITE_CANTOPEN;
    if (*exists || (flags & SQLITE_OPEN_CREATE) != 0) {
      Result<std::unique_ptr<FaultEnv::OverwrittenFile>> opened = access.env->OpenOverwritten(name);
      if (!opened.ok()) return SQLITE_CANTOPEN;
      simulated = std::move(*opened);
    }
  }
  sqlite3_file* real = Real(file);
  const int code = access.base->xOpen(access.base, name, real, flags, flags_out);
  if (code != SQLITE_OK) {
    if (real->pMethods != nullptr) real->pMethods->xClose(real);
    return code;
  }
  constexpr int kJournals = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
  if (simulated != nullptr && (flags & kJournals) != 0 && (flags & SQLITE_OPEN_CREATE) != 0) {
    self->directory = new std::string(ParentOf(name));
  }
  self->simulated = simulated.release();
  self->header.pMethods = &kMethods;
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  FaultEnv* env = AccessOf(vfs).env;
  const Result<bool> exists = env->Exists(name);
  if (!exists.ok()) return SQLITE_IOERR_DELETE;
  if (!*exists) return SQLITE_IOERR_DELETE_NOENT;
  if (!env->RemoveFile(name).ok()) return SQLITE_IOERR_DELETE;
  if (sync_directory != 0 && !env->SyncDirectory(ParentOf(name)).ok()) {
    return SQLITE_IOERR_DIR_FSYNC;
  }
  return SQLITE_OK;
}

/// Leaves the path as it is: the environment knows files by the names it is called with.
int FullPathname(sqlite3_vfs*, const char* name, int size, char* full) {
  const size_t length = std::strlen(name);
  if (length >= static_cast<size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(full, name, length + 1);
  return SQLITE_OK;
}

}  // namespace

struct FaultVfs::Registration {
  FaultAccess access;
  sqlite3_vfs vfs = {};
};

Result<std::unique_ptr<FaultVfs>> FaultVfs::Register(FaultEnv* env, const std::string& name) {
  auto registration = std::make_unique<Registration>();
  sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
  if (base == nullptr) return BugError("SQLite has no VFS to build on");
  if (sqlite3_vfs_find(name.c_str()) != nullptr) return BugError("VFS name is in use: " + name);
  registration->access = {base, env};
  // Times, randomness, access checks and the like stay those of the base.
  registration->vfs = *base;
  std::unique_ptr<FaultVfs> fault_vfs(new FaultVfs(name, std::move(registration)));
  sqlite3_vfs* vfs = &fault_vfs->registration_->vfs;
  vfs->pNext = nullptr;
  vfs->zName = fault_vfs->name_.c_str();
  vfs->pAppData = &fault_vfs->registration_->access;
  vfs->szOsFile = static_cast<int>(sizeof(FaultFile)) + base->szOsFile;
  vfs->xOpen = Open;
  vfs->xDelete = Delete;
  vfs->xFullPathname = FullPathname;
  const int code = sqlite3_vfs_register(vfs, /*makeDflt=*/0);
  if (code != SQLITE_OK) return StatusOfSqlite(code, "cannot register a VFS", name);
  return fault_vfs;
}

FaultVfs::FaultVfs(std::string name, std::unique_ptr<Registration> registration)
    : name_(std::move(name)), registration_(std::move(registration)) {}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&registration_->vfs); }

}  // namespace capi::state
