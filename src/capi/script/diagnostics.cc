#include <algorithm>
#include <tuple>
#include <utility>

#include "capi/script/diagnostics_internal.h"

namespace capi::script {

void Diagnostics::Error(const TreeNode& at, std::string_view path, std::string_view error_class,
                        std::string message) {
  ErrorAt(at.place(), path, error_class, std::move(message));
}

void Diagnostics::ErrorAt(SourcePlace place, std::string_view path, std::string_view error_class,
                          std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = std::string(error_class);
  info.place = std::move(place);
  info.field_path = std::string(path);
  errors_.push_back(MakeError(std::move(info), std::move(message)));
}

void Diagnostics::Add(const Status& status, const SourcePlace& place, std::string_view path) {
  errors_.push_back(Located(status, place, path));
}

void Diagnostics::WarnAt(SourcePlace place, std::string_view path, std::string_view warning_class,
                         std::string message) {
  if (strict_) {
    ErrorAt(std::move(place), path, warning_class, std::move(message));
    return;
  }
  warnings_.push_back(Warning{std::move(place), std::string(path), std::move(message)});
}

void Diagnostics::NoteFile(const std::string& file) {
  if (std::find(files_.begin(), files_.end(), file) == files_.end()) {
    files_.push_back(file);
  }
}

void Diagnostics::MoveTo(LoadResult* result) {
  const auto key = [this](const SourcePlace& place) {
    const auto rank = std::find(files_.begin(), files_.end(), place.file) - files_.begin();
    return std::tuple(rank, place.line, place.column);
  };
  std::stable_sort(errors_.begin(), errors_.end(), [&](const Status& a, const Status& b) {
    return key(InfoOf(a).place) < key(InfoOf(b).place);
  });
  std::stable_sort(warnings_.begin(), warnings_.end(),
                   [&](const Warning& a, const Warning& b) { return key(a.place) < key(b.place); });
  const auto same_error = [](const Status& a, const Status& b) {
    return Describe(a) == Describe(b);
  };
  const auto same_warning = [](const Warning& a, const Warning& b) {
    return a.place.line == b.place.line && a.place.column == b.place.column &&
           a.field_path == b.field_path && a.message == b.message;
  };
  errors_.erase(std::unique(errors_.begin(), errors_.end(), same_error), errors_.end());
  warnings_.erase(std::unique(warnings_.begin(), warnings_.end(), same_warning), warnings_.end());
  result->errors = std::move(errors_);
  result->warnings = std::move(warnings_);
}

}  // namespace capi::script
