#pragma once

// Collects all errors and warnings of one load, in the order of the source.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/script/loader.h"
#include "capi/script/position_tree.h"

namespace capi::script {

class Diagnostics {
 public:
  explicit Diagnostics(bool strict) : strict_(strict) {}

  /// An error at the beginning of a value.
  void Error(const TreeNode& at, std::string_view path, std::string_view error_class,
             std::string message);
  void ErrorAt(SourcePlace place, std::string_view path, std::string_view error_class,
               std::string message);
  /// Takes over a status of another room; place and path are filled in where it has none.
  void Add(const Status& status, const SourcePlace& place, std::string_view path);
  /// With --strict an error of class `warning_class`.
  void WarnAt(SourcePlace place, std::string_view path, std::string_view warning_class,
              std::string message);

  bool has_errors() const { return !errors_.empty(); }
  size_t num_errors() const { return errors_.size(); }
  /// Files are ordered as they are first named here.
  void NoteFile(const std::string& file);

  /// Moves errors and warnings, in source order and without repetitions.
  void MoveTo(LoadResult* result);

 private:
  const bool strict_;
  std::vector<std::string> files_;
  std::vector<Status> errors_;
  std::vector<Warning> warnings_;
};

}  // namespace capi::script
