#include <string>

#include "capi/cql/driver_internal.h"
#include "capi/cql/errors_internal.h"

namespace capi::cql {
namespace {

constexpr size_t kLongestSubject = 500;

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The protocol has one code for all that is invalid; only the text tells more.
std::string_view ClassOfInvalid(std::string_view message) {
  const bool missing = Contains(message, "does not exist") || Contains(message, "doesn't exist") ||
                       Contains(message, "unconfigured table");
  if (!missing) return "cql_invalid";
  if (Contains(message, "unconfigured table") || message.starts_with("table ") ||
      message.starts_with("Table ")) {
    return "cql_unknown_table";
  }
  if (message.starts_with("keyspace ") || message.starts_with("Keyspace ")) {
    return "cql_unknown_keyspace";
  }
  return "cql_invalid";
}

Status Retriable(std::string_view error_class, std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kRetriable;
  info.error_class = error_class;
  return MakeError(std::move(info), std::move(message));
}

bool HadNoEffect(int32_t code) { return code == kCqlUnavailable || code == kCqlOverloaded; }

}  // namespace

Status MakeCqlError(int32_t code, std::string_view message, std::string_view subject,
                    Repeat repeat) {
  std::string text = "Cassandra: " + std::string(message);
  if (!subject.empty()) {
    text += " (" + std::string(subject.substr(0, kLongestSubject)) +
            (subject.size() > kLongestSubject ? "...)" : ")");
  }
  switch (code) {
    case kCqlInvalid:
      return UserError(ClassOfInvalid(message), std::move(text));
    case kCqlUnauthorized:
      return UserError("cql_unauthorized", std::move(text));
    case kCqlAlreadyExists:
      return UserError("cql_already_exists", std::move(text));
    case kCqlBadConfiguration:
      return UserError("cql_invalid", std::move(text));
    default:
      break;
  }
  if (repeat == Repeat::kOnce && !HadNoEffect(code)) {
    return Retriable("cql_uncertain", std::move(text));
  }
  return Retriable("cql_unavailable", std::move(text));
}

bool MayRepeat(int32_t code, Repeat repeat) {
  if (HadNoEffect(code)) return true;
  return repeat == Repeat::kIdempotent && (code == kCqlTimedOut || code == kCqlBroken);
}

}  // namespace capi::cql
