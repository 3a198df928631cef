#include "capi/base/status.h"

#include <utility>

namespace capi {

namespace {

constexpr char kDetailId[] = "capi::ErrorInfo";

class InfoDetail : public arrow::StatusDetail {
 public:
  explicit InfoDetail(ErrorInfo info) : info_(std::move(info)) {}
  const char* type_id() const override { return kDetailId; }
  std::string ToString() const override {
    std::string text(ErrorKindName(info_.kind));
    if (!info_.error_class.empty()) text += " (" + info_.error_class + ")";
    return text;
  }
  const ErrorInfo& info() const { return info_; }

 private:
  ErrorInfo info_;
};

arrow::StatusCode CodeOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUser:
      return arrow::StatusCode::Invalid;
    case ErrorKind::kEnvironment:
    case ErrorKind::kRetriable:
      return arrow::StatusCode::IOError;
    case ErrorKind::kCancelled:
      return arrow::StatusCode::Cancelled;
    case ErrorKind::kBug:
      return arrow::StatusCode::UnknownError;
  }
  return arrow::StatusCode::UnknownError;
}

Status OfKind(ErrorKind kind, std::string message) {
  ErrorInfo info;
  info.kind = kind;
  return MakeError(std::move(info), std::move(message));
}

}  // namespace

std::string_view ErrorKindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUser:
      return "user";
    case ErrorKind::kEnvironment:
      return "environment";
    case ErrorKind::kRetriable:
      return "retriable";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kBug:
      return "bug";
  }
  return "bug";
}

Status MakeError(ErrorInfo info, std::string message) {
  const arrow::StatusCode code = CodeOf(info.kind);
  return Status(code, std::move(message), std::make_shared<InfoDetail>(std::move(info)));
}

Status UserError(std::string_view error_class, std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = std::string(error_class);
  return MakeError(std::move(info), std::move(message));
}

Status EnvironmentError(std::string message) {
  return OfKind(ErrorKind::kEnvironment, std::move(message));
}
Status RetriableError(std::string message) {
  return OfKind(ErrorKind::kRetriable, std::move(message));
}
Status CancelledError(std::string message) {
  return OfKind(ErrorKind::kCancelled, std::move(message));
}
Status BugError(std::string message) { return OfKind(ErrorKind::kBug, std::move(message)); }

ErrorInfo InfoOf(const Status& status) {
  if (status.detail() != nullptr && status.detail()->type_id() == kDetailId) {
    return static_cast<const InfoDetail&>(*status.detail()).info();
  }
  ErrorInfo info;
  switch (status.code()) {
    case arrow::StatusCode::IOError:
    case arrow::StatusCode::CapacityError:
    case arrow::StatusCode::OutOfMemory:
      info.kind = ErrorKind::kEnvironment;
      break;
    case arrow::StatusCode::Cancelled:
      info.kind = ErrorKind::kCancelled;
      break;
    default:
      info.kind = ErrorKind::kBug;
  }
  return info;
}

Status Prefixed(const Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  return MakeError(InfoOf(status), std::string(prefix) + status.message());
}

Status Located(const Status& status, const SourcePlace& place, std::string_view field_path) {
  if (status.ok()) return status;
  ErrorInfo info = InfoOf(status);
  if (!info.place.known()) info.place = place;
  if (info.field_path.empty()) info.field_path = std::string(field_path);
  return MakeError(std::move(info), status.message());
}

std::string Describe(const Status& status) {
  if (status.ok()) return "ok";
  const ErrorInfo info = InfoOf(status);
  std::string text;
  if (!info.place.file.empty()) {
    text += info.place.file;
    if (info.place.known()) {
      text += ":" + std::to_string(info.place.line) + ":" + std::to_string(info.place.column);
    }
    text += ": ";
  }
  if (!info.field_path.empty()) text += info.field_path + ": ";
  text += status.message();
  return text;
}

}  // namespace capi
