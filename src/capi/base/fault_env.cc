#include "capi/base/fault_env.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "capi/base/posix_file.h"

namespace capi {

namespace {

/// Random engines are specified by the standard, distributions are not: a seed must mean the same
/// anywhere.
uint64_t Below(std::mt19937_64* random, uint64_t end) { return (*random)() % end; }
bool Coin(std::mt19937_64* random) { return Below(random, 2) == 1; }

Status Link(const std::string& existing, const std::string& name) {
  if (link(existing.c_str(), name.c_str()) == 0) return Status::OK();
  return PosixError(errno, "link file", name);
}

/// Env::CreateDirectories syncs, which would make a simulation of thousands of crashes slow.
Status CreateDirectoriesUnsynced(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? PosixError(error.value(), "create directory", path) : Status::OK();
}

Status WriteNewFile(const std::string& path, std::string_view content) {
  CAPI_ASSIGN_OR_RETURN(FileDescriptor fd,
                        OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, "open file for writing"));
  return WriteFully(fd.get(), content, path);
}

}  // namespace

class FaultEnv::TrackedFile : public WritableFile {
 public:
  TrackedFile(FaultEnv* env, InodeRef inode, std::string path, FileDescriptor fd, int64_t epoch)
      : env_(env),
        inode_(std::move(inode)),
        path_(std::move(path)),
        fd_(std::move(fd)),
        epoch_(epoch) {}

  Status Append(std::string_view bytes) override {
    if (!fd_.open()) return BugError("write to a closed file");
    if (failure_.ok()) {
      failure_ = env_->AppendTo(inode_.get(), fd_.get(), path_, bytes, epoch_, &size_);
    }
    return failure_;
  }
  int64_t size() const override { return size_; }
  void StartWriteback() override {}
  Status Sync() override {
    if (!fd_.open()) return BugError("sync of a closed file");
    if (failure_.ok()) failure_ = env_->SyncInode(inode_.get(), epoch_);
    return failure_;
  }
  Status Close() override {
    fd_.Close();
    return Status::OK();
  }

 private:
  FaultEnv* const env_;  // outlives the file
  const InodeRef inode_;
  const std::string path_;
  FileDescriptor fd_;
  const int64_t epoch_;
  Status failure_;
  int64_t size_ = 0;
};

class FaultEnv::TrackedOverwrites : public OverwrittenFile {
 public:
  TrackedOverwrites(FaultEnv* env, InodeRef inode, std::string path, int64_t epoch)
      : env_(env), inode_(std::move(inode)), path_(std::move(path)), epoch_(epoch) {}

  Status Write(int64_t offset, std::string_view bytes) override {
    return env_->RecordOverwrite(inode_.get(), path_, {offset, std::string(bytes), false}, epoch_);
  }
  Status Truncate(int64_t size) override {
    return env_->RecordOverwrite(inode_.get(), path_, {size, "", true}, epoch_);
  }
  Status Sync() override { return env_->SyncInode(inode_.get(), epoch_); }

 private:
  FaultEnv* const env_;  // outlives the file
  const InodeRef inode_;
  const std::string path_;
  const int64_t epoch_;
};

void FaultEnv::Overwrite::ApplyTo(std::string* content) const {
  const auto position = static_cast<size_t>(offset);
  if (truncates) {
    content->resize(position);
    return;
  }
  if (content->size() < position + bytes.size()) content->resize(position + bytes.size(), '\0');
  content->replace(position, bytes.size(), bytes);
}

FaultEnv::FaultEnv(Env* base, std::string root, uint64_t seed)
    : base_(base), root_(std::move(root)), inode_directory_(root_ + ".inodes"), random_(seed) {}

FaultEnv::~FaultEnv() { (void)base_->RemoveTree(inode_directory_); }

Result<std::unique_ptr<FaultEnv>> FaultEnv::Make(Env* base, const std::string& root,
                                                 uint64_t seed) {
  std::unique_ptr<FaultEnv> env(new FaultEnv(base, root, seed));
  CAPI_RETURN_NOT_OK(CreateDirectoriesUnsynced(root));
  CAPI_RETURN_NOT_OK(base->RemoveTree(env->inode_directory_));
  CAPI_RETURN_NOT_OK(CreateDirectoriesUnsynced(env->inode_directory_));
  return env;
}

bool FaultEnv::Tracks(const std::string& path) const {
  return path.size() > root_.size() && path.starts_with(root_) && path[root_.size()] == '/';
}

bool FaultEnv::NameChange::Touches(const NameChange& other) const {
  if (inode == other.inode || path == other.path) return true;
  if (kind == Kind::kRename && new_path == other.path) return true;
  return other.kind == Kind::kRename &&
         (path == other.new_path || (kind == Kind::kRename && new_path == other.new_path));
}

void FaultEnv::FailAppend(int64_t k, const std::string& prefix) {
  const std::lock_guard<std::mutex> lock(mutex_);
  appends_until_full_ = k;
  full_prefix_ = prefix;
  disk_full_ = false;
}

bool FaultEnv::disk_full() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return disk_full_;
}

void FaultEnv::FailSync(int64_t k) {
  const std::lock_guard<std::mutex> lock(mutex_);
  syncs_until_failure_ = k;
}

void FaultEnv::StopAfter(int64_t k) {
  const std::lock_guard<std::mutex> lock(mutex_);
  stop_at_ = k < 0 ? -1 : operations_ + k;
}

int64_t FaultEnv::operations() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return operations_;
}

Status FaultEnv::BeginChange() {
  if (stop_at_ >= 0 && operations_ >= stop_at_) return EnvironmentError("simulated crash");
  ++operations_;
  return Status::OK();
}

Result<FaultEnv::InodeRef> FaultEnv::NewInode(const std::string& path, int64_t synced_bytes) {
  auto inode = std::make_shared<Inode>();
  inode->link_path = inode_directory_ + "/" + std::to_string(next_inode_++);
  inode->synced_bytes = synced_bytes;
  CAPI_RETURN_NOT_OK(Link(path, inode->link_path));
  current_[path] = inode;
  return inode;
}

Result<FaultEnv::InodeRef> FaultEnv::FindInode(const std::string& path) {
  const auto known = current_.find(path);
  if (known != current_.end() && known->second != nullptr) return known->second;
  const Result<FileInfo> info = base_->Stat(path);
  if (!info.ok()) {
    if (InfoOf(info.status()).error_class == "file_not_found") return InodeRef();
    return info.status();
  }
  CAPI_ASSIGN_OR_RETURN(InodeRef inode, NewInode(path, info->size));
  durable_[path] = inode;
  return inode;
}

Result<std::unique_ptr<WritableFile>> FaultEnv::NewWritableFile(const std::string& path) {
  if (!Tracks(path)) return base_->NewWritableFile(path);
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  CAPI_ASSIGN_OR_RETURN(const bool exists, base_->Exists(path));
  InodeRef inode;
  if (exists) {
    CAPI_ASSIGN_OR_RETURN(inode, FindInode(path));
    if (!inode->before_truncation.has_value()) {
      CAPI_ASSIGN_OR_RETURN(std::string content, base_->ReadFile(path));
      content.resize(static_cast<size_t>(inode->synced_bytes));
      inode->before_truncation = std::move(content);
    }
    inode->synced_bytes = 0;
    inode->unsynced_ends.clear();
  }
  CAPI_ASSIGN_OR_RETURN(FileDescriptor fd,
                        OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, "open file for writing"));
  if (!exists) {
    CAPI_ASSIGN_OR_RETURN(inode, NewInode(path, 0));
    pending_.push_back({NameChange::Kind::kCreate, path, "", inode});
  }
  return std::make_unique<TrackedFile>(this, inode, path, std::move(fd), epoch_);
}

Status FaultEnv::CountAppend(const std::string& path) {
  if (appends_until_full_ == 0 || !path.starts_with(full_prefix_)) return Status::OK();
  if (appends_until_full_ > 1) {
    --appends_until_full_;
    return Status::OK();
  }
  disk_full_ = true;
  return PosixError(ENOSPC, "write file", path);
}

Status FaultEnv::AppendTo(Inode* inode, int fd, const std::string& path, std::string_view bytes,
                          int64_t epoch, int64_t* size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (epoch != epoch_) return EnvironmentError("file was open during a simulated crash");
  CAPI_RETURN_NOT_OK(BeginChange());
  Status full = CountAppend(path);
  // The last blocks of a disk take a part of the bytes.
  if (!full.ok()) bytes = bytes.substr(0, bytes.size() / 2);
  CAPI_RETURN_NOT_OK(WriteFully(fd, bytes, path));
  *size += static_cast<int64_t>(bytes.size());
  inode->unsynced_ends.push_back(*size);
  return full;
}

Result<std::unique_ptr<FaultEnv::OverwrittenFile>> FaultEnv::OpenOverwritten(
    const std::string& path) {
  if (!Tracks(path)) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_ASSIGN_OR_RETURN(InodeRef inode, FindInode(path));
  if (inode == nullptr) {
    CAPI_RETURN_NOT_OK(BeginChange());
    CAPI_RETURN_NOT_OK(WriteNewFile(path, ""));
    CAPI_ASSIGN_OR_RETURN(inode, NewInode(path, 0));
    pending_.push_back({NameChange::Kind::kCreate, path, "", inode});
  }
  if (!inode->synced_content.has_value()) {
    CAPI_ASSIGN_OR_RETURN(inode->synced_content, base_->ReadFile(path));
  }
  return std::make_unique<TrackedOverwrites>(this, inode, path, epoch_);
}

Status FaultEnv::RecordOverwrite(Inode* inode, const std::string& path, Overwrite change,
                                 int64_t epoch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (epoch != epoch_) return EnvironmentError("file was open during a simulated crash");
  CAPI_RETURN_NOT_OK(BeginChange());
  if (!change.truncates) CAPI_RETURN_NOT_OK(CountAppend(path));
  inode->overwrites.push_back(std::move(change));
  return Status::OK();
}

Status FaultEnv::CountSync() {
  CAPI_RETURN_NOT_OK(BeginChange());
  if (syncs_until_failure_ > 0 && --syncs_until_failure_ == 0) {
    return PosixError(EIO, "sync file", root_);
  }
  return Status::OK();
}

Status FaultEnv::SyncInode(Inode* inode, int64_t epoch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (epoch != epoch_) return EnvironmentError("file was open during a simulated crash");
  CAPI_RETURN_NOT_OK(CountSync());
  if (!inode->unsynced_ends.empty()) inode->synced_bytes = inode->unsynced_ends.back();
  inode->unsynced_ends.clear();
  inode->before_truncation.reset();
  for (const Overwrite& change : inode->overwrites) change.ApplyTo(&*inode->synced_content);
  inode->overwrites.clear();
  return Status::OK();
}

Result<std::shared_ptr<MappedFile>> FaultEnv::MapFile(const std::string& path) {
  return base_->MapFile(path);
}
Result<std::string> FaultEnv::ReadFile(const std::string& path) { return base_->ReadFile(path); }
Result<FileInfo> FaultEnv::Stat(const std::string& path) { return base_->Stat(path); }
Result<bool> FaultEnv::Exists(const std::string& path) { return base_->Exists(path); }
Result<std::vector<std::string>> FaultEnv::ListDirectory(const std::string& path) {
  return base_->ListDirectory(path);
}

Status FaultEnv::CreateDirectories(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  return Tracks(path) ? CreateDirectoriesUnsynced(path) : base_->CreateDirectories(path);
}

Status FaultEnv::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  const Result<FileInfo> info = base_->Stat(from);
  if (!Tracks(from) || !Tracks(to) || !info.ok()) return base_->Rename(from, to);
  if (info->is_directory) {
    CAPI_RETURN_NOT_OK(base_->Rename(from, to));
    const auto moved = [&](const std::string& path) {
      return path.starts_with(from + "/") ? to + path.substr(from.size()) : path;
    };
    for (Names* names : {&current_, &durable_}) {
      Names renamed;
      for (auto& [path, inode] : *names) renamed[moved(path)] = std::move(inode);
      *names = std::move(renamed);
    }
    for (NameChange& change : pending_) {
      change.path = moved(change.path);
      change.new_path = moved(change.new_path);
    }
    return Status::OK();
  }
  CAPI_ASSIGN_OR_RETURN(InodeRef inode, FindInode(from));
  // Keeps what the target holds now, in case the crash brings it back.
  const Result<FileInfo> target = base_->Stat(to);
  if (target.ok() && target->is_regular) CAPI_RETURN_NOT_OK(FindInode(to).status());
  CAPI_RETURN_NOT_OK(base_->Rename(from, to));
  pending_.push_back({NameChange::Kind::kRename, from, to, inode});
  Apply(pending_.back(), &current_);
  return Status::OK();
}

Status FaultEnv::RemoveTracked(const std::string& path) {
  CAPI_ASSIGN_OR_RETURN(InodeRef inode, FindInode(path));
  if (inode == nullptr) return Status::OK();
  CAPI_RETURN_NOT_OK(base_->RemoveFile(path));
  pending_.push_back({NameChange::Kind::kRemove, path, "", inode});
  Apply(pending_.back(), &current_);
  return Status::OK();
}

Status FaultEnv::RemoveFile(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  const Result<FileInfo> info = base_->Stat(path);
  if (!Tracks(path) || (info.ok() && !info->is_regular)) return base_->RemoveFile(path);
  return RemoveTracked(path);
}

Status FaultEnv::RemoveTree(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  if (Tracks(path)) {
    std::set<std::string> files;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(path, error), end; !error && it != end;
         it.increment(error)) {
      if (it->is_regular_file(error)) files.insert(it->path().string());
    }
    for (const std::string& file : files) CAPI_RETURN_NOT_OK(RemoveTracked(file));
  }
  return base_->RemoveTree(path);
}

void FaultEnv::AddPrerequisites(std::vector<bool>* chosen) const {
  for (size_t i = pending_.size(); i-- > 0;) {
    if (!(*chosen)[i]) continue;
    for (size_t j = 0; j < i; ++j) {
      if (pending_[j].Touches(pending_[i])) (*chosen)[j] = true;
    }
  }
}

Status FaultEnv::PunchHole(const std::string& path, int64_t offset, int64_t length) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  return base_->PunchHole(path, offset, length);
}

Status FaultEnv::SyncDirectory(const std::string& path) {
  if (path != root_ && !Tracks(path)) return base_->SyncDirectory(path);
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(CountSync());
  CAPI_RETURN_NOT_OK(base_->Stat(path).status());
  std::vector<bool> durable(pending_.size());
  for (size_t i = 0; i < pending_.size(); ++i) {
    durable[i] = ParentOf(pending_[i].durable_with()) == path;
  }
  AddPrerequisites(&durable);
  std::vector<NameChange> left;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (durable[i]) {
      Apply(pending_[i], &durable_);
    } else {
      left.push_back(std::move(pending_[i]));
    }
  }
  pending_ = std::move(left);
  return Status::OK();
}

Status FaultEnv::CreateSparseFile(const std::string& path, int64_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  return base_->CreateSparseFile(path, size);
}

Status FaultEnv::WriteAt(const std::string& path, int64_t offset, std::string_view bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CAPI_RETURN_NOT_OK(BeginChange());
  CAPI_RETURN_NOT_OK(CountAppend(path));
  return base_->WriteAt(path, offset, bytes);
}

void FaultEnv::Apply(const NameChange& change, Names* names) {
  InodeRef& named = (*names)[change.path];
  switch (change.kind) {
    case NameChange::Kind::kCreate:
      named = change.inode;
      return;
    case NameChange::Kind::kRename:
      named = nullptr;
      (*names)[change.new_path] = change.inode;
      return;
    case NameChange::Kind::kRemove:
      named = nullptr;
      return;
  }
}

namespace {

/// Bytes of an unsynced write that survive: all, none or a part, with equal chance. Every other
/// part is short, so that headers are cut too.
size_t KeptBytes(size_t written, std::mt19937_64* random) {
  constexpr size_t kShort = 32;
  switch (Below(random, 3)) {
    case 0:
      return 0;
    case 1: {
      const size_t longest = Coin(random) ? std::min(written, kShort) : written;
      return static_cast<size_t>(Below(random, longest + 1));
    }
    default:
      return written;
  }
}

}  // namespace

std::string FaultEnv::TornAppends(const Inode& inode, const std::string& written,
                                  std::mt19937_64* random) {
  if (inode.before_truncation.has_value() && Coin(random)) return *inode.before_truncation;
  std::string content = written.substr(0, static_cast<size_t>(inode.synced_bytes));
  size_t begin = content.size();
  for (const int64_t unsynced_end : inode.unsynced_ends) {
    const size_t end = static_cast<size_t>(unsynced_end);
    const size_t kept = KeptBytes(end - begin, random);
    if (kept > 0) {
      content.resize(begin, '\0');
      content.append(written, begin, kept);
    }
    begin = end;
  }
  return content;
}

std::string FaultEnv::TornOverwrites(const Inode& inode, std::mt19937_64* random) {
  std::string content = *inode.synced_content;
  for (const Overwrite& change : inode.overwrites) {
    if (change.truncates) {
      if (Coin(random)) change.ApplyTo(&content);
      continue;
    }
    const size_t kept = KeptBytes(change.bytes.size(), random);
    if (kept > 0) Overwrite{change.offset, change.bytes.substr(0, kept), false}.ApplyTo(&content);
  }
  return content;
}

Status FaultEnv::TearContent(Inode* inode, std::mt19937_64* random) {
  std::string content;
  if (inode->synced_content.has_value()) {
    content = TornOverwrites(*inode, random);
    inode->synced_content = content;
  } else {
    CAPI_ASSIGN_OR_RETURN(const std::string written, base_->ReadFile(inode->link_path));
    content = TornAppends(*inode, written, random);
  }
  // A new file, because old mappings and open files must keep seeing the old one.
  const std::string new_path = inode->link_path + ".torn";
  CAPI_RETURN_NOT_OK(WriteNewFile(new_path, content));
  CAPI_RETURN_NOT_OK(base_->Rename(new_path, inode->link_path));
  inode->synced_bytes = static_cast<int64_t>(content.size());
  inode->unsynced_ends.clear();
  inode->before_truncation.reset();
  inode->overwrites.clear();
  return Status::OK();
}

Status FaultEnv::Crash(uint64_t seed) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::mt19937_64 random(seed);
  ++epoch_;
  stop_at_ = -1;
  appends_until_full_ = 0;
  disk_full_ = false;
  syncs_until_failure_ = 0;
  std::vector<bool> kept(pending_.size());
  for (size_t i = 0; i < pending_.size(); ++i) kept[i] = Coin(&random);
  AddPrerequisites(&kept);
  Names after = durable_;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (kept[i]) Apply(pending_[i], &after);
  }
  for (const auto& [path, inode] : current_) after.try_emplace(path, nullptr);
  std::set<Inode*> torn;
  for (const auto& [path, inode] : after) {
    if (inode == nullptr || inode->clean() || !torn.insert(inode.get()).second) continue;
    CAPI_RETURN_NOT_OK(TearContent(inode.get(), &random));
  }
  for (const auto& [path, inode] : after) {
    const auto before = current_.find(path);
    const bool unchanged = before != current_.end() && before->second == inode;
    if (unchanged && torn.count(inode.get()) == 0) continue;
    CAPI_RETURN_NOT_OK(base_->RemoveFile(path));
    if (inode == nullptr) continue;
    CAPI_RETURN_NOT_OK(CreateDirectoriesUnsynced(ParentOf(path)));
    CAPI_RETURN_NOT_OK(Link(inode->link_path, path));
  }
  // Contents without a name are gone for good.
  std::set<std::string> linked;
  std::erase_if(after, [](const auto& entry) { return entry.second == nullptr; });
  for (const auto& [path, inode] : after) linked.insert(inode->link_path);
  CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                        base_->ListDirectory(inode_directory_));
  for (const std::string& name : names) {
    const std::string path = inode_directory_ + "/" + name;
    if (linked.count(path) == 0) CAPI_RETURN_NOT_OK(base_->RemoveFile(path));
  }
  pending_.clear();
  current_ = after;
  durable_ = std::move(after);
  return Status::OK();
}

int64_t FaultEnv::NowMillis() { return base_->NowMillis(); }
int64_t FaultEnv::MonotonicNanos() { return base_->MonotonicNanos(); }
void FaultEnv::SleepMillis(int64_t milliseconds) { base_->SleepMillis(milliseconds); }

uint64_t FaultEnv::Random() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return random_();
}

}  // namespace capi
