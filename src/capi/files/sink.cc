#include "capi/files/sink.h"

#include <utility>

#include "capi/base/fault_point.h"
#include "capi/files/address_internal.h"

namespace capi::files {

namespace {

constexpr int64_t kWritebackBytes = int64_t{8} << 20;

bool IsFileNotFound(const Status& status) { return InfoOf(status).error_class == "file_not_found"; }

class EnvSink : public Sink {
 public:
  EnvSink(Env* env, SinkPlan plan, std::unique_ptr<WritableFile> file)
      : env_(env), plan_(std::move(plan)), file_(std::move(file)) {}

  Status Append(std::string_view bytes) override {
    if (sealed_) return BugError("write to a sealed output file: " + plan_.target);
    CAPI_RETURN_NOT_OK(file_->Append(bytes));
    // Begun early, the final sync has little left to wait for and dirty pages do not pile up.
    if (file_->size() - writeback_begun_ >= kWritebackBytes) {
      file_->StartWriteback();
      writeback_begun_ = file_->size();
    }
    return Status::OK();
  }

  Result<int64_t> Seal() override {
    if (sealed_) return BugError("output file sealed twice: " + plan_.target);
    CAPI_FAULT_POINT("sink.before_sync");
    CAPI_RETURN_NOT_OK(file_->Sync());
    CAPI_FAULT_POINT("sink.after_sync");
    CAPI_RETURN_NOT_OK(file_->Close());
    // The caller's commit relies on finding the temp file by its name after a crash.
    CAPI_RETURN_NOT_OK(env_->SyncDirectory(ParentOf(plan_.temp_path)));
    sealed_ = true;
    return file_->size();
  }

 private:
  Env* const env_;  // outlives the sink
  const SinkPlan plan_;
  const std::unique_ptr<WritableFile> file_;
  int64_t writeback_begun_ = 0;
  bool sealed_ = false;
};

}  // namespace

Result<SinkPlan> PlanSink(Env* env, const std::string& url) {
  CAPI_ASSIGN_OR_RETURN(const std::string path, RequireLocal(url, "writing"));
  const std::string directory = ParentOf(path);
  const Result<FileInfo> directory_info = env->Stat(directory);
  if (!directory_info.ok() && !IsFileNotFound(directory_info.status())) {
    return directory_info.status();
  }
  if (!directory_info.ok() || !directory_info->is_directory) {
    return UserError("directory_not_found",
                     "directory of the output file does not exist: " + directory);
  }
  if (path.back() == '/') {
    return UserError("target_not_a_file", "output address is a directory: " + path);
  }
  const Result<FileInfo> target_info = env->Stat(path);
  if (!target_info.ok() && !IsFileNotFound(target_info.status())) return target_info.status();
  // Publishing would replace a device or pipe by a plain file.
  if (target_info.ok() && !target_info->is_regular) {
    return UserError("target_not_a_file", "output address is not a regular file: " + path);
  }
  SinkPlan plan;
  plan.target = path;
  plan.temp_path = TempPathFor(env, path);
  return plan;
}

Result<std::unique_ptr<Sink>> Sink::Open(Env* env, const SinkPlan& plan) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, env->NewWritableFile(plan.temp_path));
  return std::make_unique<EnvSink>(env, plan, std::move(file));
}

Status Publish(Env* env, const SinkPlan& plan, int64_t size) {
  CAPI_FAULT_POINT("sink.before_rename");
  const Result<FileInfo> temp = env->Stat(plan.temp_path);
  if (temp.ok()) {
    if (temp->size != size) {
      return EnvironmentError(
          "sealed output file has changed its size; path, expected, actual: " + plan.temp_path +
          ", " + std::to_string(size) + ", " + std::to_string(temp->size));
    }
    CAPI_RETURN_NOT_OK(env->Rename(plan.temp_path, plan.target));
    CAPI_FAULT_POINT("sink.after_rename");
  } else if (!IsFileNotFound(temp.status())) {
    return temp.status();
  } else {
    const Result<FileInfo> target = env->Stat(plan.target);
    if (!target.ok() && !IsFileNotFound(target.status())) return target.status();
    if (!target.ok() || target->size != size) return OutputLost(plan);
  }
  // Also when already renamed: the crash may have come between the rename and the sync.
  return env->SyncDirectory(ParentOf(plan.target));
}

Status OutputLost(const SinkPlan& plan) {
  ErrorInfo info;
  info.kind = ErrorKind::kEnvironment;
  info.error_class = "output_lost";
  return MakeError(
      std::move(info),
      "output file is lost: neither the sealed file nor a published one of its size exists: " +
          plan.temp_path + ", " + plan.target);
}

Status Discard(Env* env, const SinkPlan& plan) {
  CAPI_RETURN_NOT_OK(env->RemoveFile(plan.temp_path));
  const Status synced = env->SyncDirectory(ParentOf(plan.temp_path));
  // The directory may have been removed together with the file.
  return IsFileNotFound(synced) ? Status::OK() : synced;
}

}  // namespace capi::files
