#include "capi/config/units.h"

#include <charconv>
#include <span>
#include <string>

namespace capi::config {

namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr Unit kByteUnits[] = {{"", 1},
                               {"B", 1},
                               {"KiB", int64_t{1} << 10},
                               {"MiB", int64_t{1} << 20},
                               {"GiB", int64_t{1} << 30},
                               {"TiB", int64_t{1} << 40},
                               {"kB", 1000},
                               {"MB", 1000000},
                               {"GB", 1000000000},
                               {"TB", 1000000000000}};
constexpr Unit kTimeUnits[] = {
    {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};

/// -1 if the text is no number with one of the units.
double ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const char* text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, number);
  if (error != std::errc()) return -1;
  const std::string_view name(end, static_cast<size_t>(text_end - end));
  for (const Unit& unit : units) {
    if (name == unit.name) return number * static_cast<double>(unit.factor);
  }
  return -1;
}

constexpr double kTooMuch = 9e18;

}  // namespace

Result<int64_t> ParseBytes(std::string_view text) {
  const double bytes = ParseWithUnit(text, kByteUnits);
  if (bytes >= 1 && bytes < kTooMuch) return static_cast<int64_t>(bytes);
  return UserError("usage", "a size such as 2GiB, 500MB or 1000000 is expected, not \"" +
                                std::string(text) + "\"");
}

Result<int64_t> ParseMilliseconds(std::string_view text) {
  const double milliseconds = ParseWithUnit(text, kTimeUnits);
  if (milliseconds >= 0 && milliseconds < kTooMuch) return static_cast<int64_t>(milliseconds);
  return UserError("usage", "a time such as 1500 (milliseconds), 5s or 2m is expected, not \"" +
                                std::string(text) + "\"");
}

}  // namespace capi::config
