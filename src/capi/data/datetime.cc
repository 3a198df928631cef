#include "capi/data/datetime.h"

#include "capi/base/time_units.h"
#include "capi/data/datetime_layout_internal.h"

namespace capi::data {
namespace {

constexpr int64_t kDaysPerEra = 146097;  // 400 years
constexpr int64_t kYearsPerEra = 400;
/// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so that the leap day is last.
constexpr int64_t kEpochShift = 719468;

int64_t FloorDivide(int64_t value, int64_t divisor) {
  const int64_t quotient = value / divisor;
  return quotient - (value % divisor < 0 ? 1 : 0);
}

}  // namespace

namespace layout_internal {

bool IsLeapYear(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int DaysInMonth(int64_t year, int month) {
  constexpr uint8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays[month - 1] + (month == 2 && IsLeapYear(year) ? 1 : 0);
}

}  // namespace layout_internal

int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  if (month < 1 || month > 12) {
    const int64_t years = FloorDivide(month - 1, 12);
    year += years;
    month -= years * 12;
  }
  const int64_t before_march = month <= 2 ? 1 : 0;
  const int64_t march_year = year - before_march;
  const int64_t era = FloorDivide(march_year, kYearsPerEra);
  const uint32_t year_of_era = static_cast<uint32_t>(march_year - era * kYearsPerEra);
  const uint32_t march_month = static_cast<uint32_t>(month + 12 * before_march - 3);
  const uint32_t day_of_year = (153 * march_month + 2) / 5;
  const uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  // Unsigned, because years far outside the calendar may wrap.
  return static_cast<int64_t>(static_cast<uint64_t>(era) * kDaysPerEra + day_of_era +
                              static_cast<uint64_t>(day) - 1 - kEpochShift);
}

void CivilFromDays(int64_t days, int64_t* year, int* month, int* day) {
  const int64_t shifted = days + kEpochShift;
  const int64_t era = FloorDivide(shifted, kDaysPerEra);
  const uint32_t day_of_era = static_cast<uint32_t>(shifted - era * kDaysPerEra);
  // In quarters of days a century has 146097 / 4 and a year 1461 / 4 of them, so both divisions are
  // exact; the month comes from the linear function that hits the first days of March..February.
  const uint32_t century = (4 * day_of_era + 3) / 146097;
  const uint32_t day_of_century = (4 * day_of_era + 3) % 146097 / 4;
  const uint32_t year_of_century = (4 * day_of_century + 3) / 1461;
  const uint32_t day_of_year = (4 * day_of_century + 3) % 1461 / 4;
  const uint32_t march_month = (5 * day_of_year + 2) / 153;
  const uint32_t next_year = march_month >= 10 ? 1 : 0;
  *day = static_cast<int>(day_of_year - (153 * march_month + 2) / 5 + 1);
  *month = static_cast<int>(march_month + 3 - 12 * next_year);
  *year = era * kYearsPerEra + century * 100 + year_of_century + next_year;
}

Instant Instant::FromMillis(int64_t millis) {
  Instant instant;
  instant.seconds = FloorDivide(millis, kMillisPerSecond);
  instant.nanos =
      static_cast<int32_t>((millis - instant.seconds * kMillisPerSecond) * kNanosPerMilli);
  return instant;
}

Instant Instant::FromWide(const WideDatetime& wide) {
  Instant instant;
  instant.seconds = wide.seconds;
  instant.nanos = wide.nanos;
  instant.has_zone = wide.offset != WideDatetime::kNoOffset;
  instant.offset = instant.has_zone ? wide.offset : 0;
  return instant;
}

WideDatetime Instant::ToWide() const {
  WideDatetime wide;
  wide.seconds = seconds;
  wide.nanos = nanos;
  wide.offset = has_zone ? offset : WideDatetime::kNoOffset;
  return wide;
}

int64_t Instant::ToMillisFloor() const {
  return static_cast<int64_t>(static_cast<uint64_t>(seconds) * kMillisPerSecond +
                              static_cast<uint64_t>(nanos / kNanosPerMilli));
}

int Instant::Compare(const Instant& other) const {
  if (seconds != other.seconds) {
    return seconds < other.seconds ? -1 : 1;
  }
  return nanos == other.nanos ? 0 : nanos < other.nanos ? -1 : 1;
}

std::string DatetimeToString(const Instant& instant) {
  static const TimeLayout* const kLayout =
      new TimeLayout(TimeLayout::Compile("2006-01-02 15:04:05.999999999 -0700 MST"));
  std::string text;
  kLayout->Format(instant, &text);
  return text;
}

namespace {

const TimeLayout& Rfc3339Layout() {
  static const TimeLayout* const kLayout =
      new TimeLayout(TimeLayout::Compile("2006-01-02T15:04:05.999999999Z07:00"));
  return *kLayout;
}

}  // namespace

std::string DatetimeToRfc3339(const Instant& instant) {
  std::string text;
  Rfc3339Layout().Format(instant, &text);
  return text;
}

Result<Instant> ParseRfc3339(std::string_view text) { return Rfc3339Layout().Parse(text); }

}  // namespace capi::data
