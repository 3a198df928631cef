#pragma once

// Secrets must not be shown: in logs, messages, printed settings or records.

#include <string>
#include <string_view>

namespace capi {

/// What is shown in the place of a secret, as the original does.
constexpr std::string_view kRedacted = "...";

/// An address as it may be shown: the password of "user:password@host" and the values of query
/// arguments that sign or authorize ("X-Amz-Signature", "token", ...) are replaced. A text that is
/// no address with a scheme stays as it is. A password with characters that ought to be
/// percent-encoded is found too, at the cost of the text behind it up to the last '@'.
std::string RedactUrl(std::string_view url);
/// The same for the password only.
std::string RedactPassword(std::string_view url);

}  // namespace capi
