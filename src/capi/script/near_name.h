#pragma once

// "Did you mean": the most similar of some known names.

#include <string>
#include <string_view>
#include <vector>

namespace capi::script {

/// The known name nearest to `name`, or "" if none is similar. Of equally near names the first is
/// taken.
std::string NearName(std::string_view name, const std::vector<std::string>& known);

/// "; did you mean x?" or "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& known);

}  // namespace capi::script
