#pragma once

// Instants, civil dates and Go time layouts (spec/expressions.md 10, formats.md 2, 3).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capi/data/types.h"

namespace capi::data {

/// A moment with an optional zone, as expressions see it.
struct Instant {
  int64_t seconds = 0;    ///< since 1970 UTC, floored
  int32_t nanos = 0;      ///< 0 .. 999,999,999
  int32_t offset = 0;     ///< seconds east of UTC
  bool has_zone = false;  ///< false: UTC, printed as "UTC" / "+0000"
  std::string zone_name;  ///< "" = none (the offset is printed instead)

  static Instant FromMillis(int64_t millis);
  static Instant FromWide(const WideDatetime& wide);
  WideDatetime ToWide() const;
  int64_t ToMillisFloor() const;
  /// By instant; zones do not count.
  int Compare(const Instant& other) const;
};

/// Days since 1970-01-01 of a proleptic Gregorian date; month 1..12 (or outside: rolls over).
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day);
void CivilFromDays(int64_t days, int64_t* year, int* month, int* day);

/// A compiled layout such as "2006-01-02 15:04:05". Immutable, thread-safe. A default-constructed
/// one is the empty layout.
class TimeLayout {
 public:
  TimeLayout();
  static TimeLayout Compile(std::string_view layout);

  /// Parses the whole text. Error class "bad_time_text".
  Result<Instant> Parse(std::string_view text) const;
  /// Fast path: fixed-width all-digit layouts (such as "2006-01-02 15:04:05" and with ".000", "T",
  /// no zone) straight to milliseconds. False: use Parse (also for text that is wrong).
  bool TryParseMillis(const char* begin, const char* end, int64_t* millis) const;
  void Format(const Instant& instant, std::string* out) const;
  /// Fast path of Format for UTC milliseconds; appends. Falls back to Format by itself.
  void FormatMillis(int64_t millis, std::string* out) const;
  const std::string& text() const { return text_; }

 private:
  struct Program;
  std::string text_;
  std::shared_ptr<const Program> program_;
};

/// Layout of `string(datetime)`: "2006-01-02 15:04:05.999999999 -0700 MST".
std::string DatetimeToString(const Instant& instant);
/// RFC 3339 with nanoseconds, for case files and JSON.
std::string DatetimeToRfc3339(const Instant& instant);
Result<Instant> ParseRfc3339(std::string_view text);

}  // namespace capi::data
