#pragma once

// Errors: arrow::Status / arrow::Result with an ErrorInfo attached (architecture P5).
// No exceptions cross a room's edge; library exceptions are caught where the library is called.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arrow/result.h"
#include "arrow/status.h"

namespace capi {

using arrow::Result;
using arrow::Status;

/// Whose fault an error is. Retry code reads the kind, never the text.
enum class ErrorKind : uint8_t {
  kUser,         ///< wrong script, wrong data, wrong command: fix the input
  kEnvironment,  ///< disk full, missing file permissions, service down for good
  kRetriable,    ///< the same call may succeed later
  kCancelled,    ///< stop, fenced attempt, drain, Ctrl-C: never a failure
  kBug,          ///< ours
};

/// Returns "user", "environment", "retriable", "cancelled" or "bug".
std::string_view ErrorKindName(ErrorKind kind);

/// A position in a text file. line and column count from 1 (column in bytes); 0 means unknown.
struct SourcePlace {
  std::string file;
  int64_t line = 0;
  int64_t column = 0;
  bool known() const { return line > 0; }
};

/// What an error carries besides its message.
struct ErrorInfo {
  ErrorKind kind = ErrorKind::kBug;
  /// Class of spec/script.md 15 or spec/expressions.md 11 ("bad_json", "type_mismatch"), or "".
  std::string error_class;
  SourcePlace place;
  /// Path of the field in the script, e.g. "nodes.read_orders.w.fields.value.expression", or "".
  std::string field_path;
  /// Byte offset inside an expression text, -1 when the error is not inside an expression.
  int64_t expression_offset = -1;
};

/// Makes a Status with the given info. `message` is a static description first, values last.
Status MakeError(ErrorInfo info, std::string message);
Status UserError(std::string_view error_class, std::string message);
Status EnvironmentError(std::string message);
Status RetriableError(std::string message);
Status CancelledError(std::string message);
Status BugError(std::string message);

/// The info of a status. A status without one (foreign) yields kind kBug, except that
/// arrow IOError / CapacityError / OutOfMemory yield kEnvironment and Cancelled yields kCancelled.
ErrorInfo InfoOf(const Status& status);
inline ErrorKind KindOf(const Status& status) { return InfoOf(status).kind; }
inline std::string ErrorClassOf(const Status& status) { return InfoOf(status).error_class; }

/// Same status with `prefix` put before its message (info kept).
Status Prefixed(const Status& status, std::string_view prefix);
/// Same status with place and field path filled in where they are still unknown.
Status Located(const Status& status, const SourcePlace& place, std::string_view field_path);
/// Text for people: "file:line:column: path: message".
std::string Describe(const Status& status);

}  // namespace capi

#define CAPI_RETURN_NOT_OK(expr) ARROW_RETURN_NOT_OK(expr)
#define CAPI_ASSIGN_OR_RETURN(lhs, expr) ARROW_ASSIGN_OR_RAISE(lhs, expr)
