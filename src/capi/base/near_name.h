#pragma once

// "Did you mean": the known name nearest to an unknown one.

#include <span>
#include <string>
#include <string_view>

namespace capi {

/// The candidate with the fewest edits (insert, delete, replace, swap of neighbours; a change of
/// letter case counts next to nothing); of several the one that begins alike, then the first. Empty
/// when none is near: at most a third of the longer name may differ. Texts longer than 255 bytes
/// have no near name.
std::string NearestName(std::string_view name, std::span<const std::string> candidates);
std::string NearestName(std::string_view name, std::span<const std::string_view> candidates);

/// What follows a message about an unknown name: "; did you mean NEAREST?", or nothing.
std::string DidYouMean(std::string_view nearest);

}  // namespace capi
