// Time layouts: reading a text.

#include <algorithm>

#include "capi/base/ascii.h"
#include "capi/data/datetime.h"
#include "capi/data/datetime_layout_internal.h"

namespace capi::data {

using layout_internal::DaysInMonth;
using layout_internal::IsDigitAt;
using layout_internal::IsLeapYear;
using layout_internal::kMaxFractionDigits;
using layout_internal::kMonths;
using layout_internal::kSecondsPerDay;
using layout_internal::kShortNameSize;
using layout_internal::kWeekdays;
using layout_internal::OffsetShape;
using layout_internal::ParseFixed;
using layout_internal::Piece;
using layout_internal::PieceKind;

namespace {

constexpr int kAbsent = -1;

bool IsFractionMark(char c) { return c == '.' || c == ','; }

/// The parts collected from a text. Numbers that the layout does not have stay kAbsent.
struct Parts {
  int year = 0;
  int month = kAbsent;
  int day = kAbsent;
  int year_day = kAbsent;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int nanos = 0;
  bool afternoon = false;
  bool morning = false;
  bool is_utc = false;  ///< "Z" or "UTC" was read
  bool has_offset = false;
  int offset = 0;
  std::string zone_name;
};

enum class ReadResult : uint8_t { kOk, kMismatch, kOutOfRange };

bool ReadNumber(std::string_view* text, bool two_digits, int* value) {
  if (!IsDigitAt(*text, 0)) {
    return false;
  }
  if (!IsDigitAt(*text, 1)) {
    if (two_digits) {
      return false;
    }
    *value = (*text)[0] - '0';
    text->remove_prefix(1);
    return true;
  }
  *value = ((*text)[0] - '0') * 10 + ((*text)[1] - '0');
  text->remove_prefix(2);
  return true;
}

bool ReadDigits(std::string_view* text, size_t count, int* value) {
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!IsDigitAt(*text, i)) {
      return false;
    }
    *value = *value * 10 + ((*text)[i] - '0');
  }
  text->remove_prefix(count);
  return true;
}

ReadResult ReadRanged(std::string_view* text, bool two_digits, int low, int high, int* value) {
  if (!ReadNumber(text, two_digits, value)) {
    return ReadResult::kMismatch;
  }
  return *value < low || *value > high ? ReadResult::kOutOfRange : ReadResult::kOk;
}

/// Index of the name that the text begins with, letters in any case; -1 for none.
template <size_t kCount>
int ReadName(std::string_view* text, const std::string_view (&names)[kCount], size_t name_size) {
  for (size_t i = 0; i < kCount; ++i) {
    const std::string_view name = names[i].substr(0, name_size);
    if (text->size() >= name.size() &&
        std::equal(name.begin(), name.end(), text->begin(), [](char left, char right) {
          return left == right ||
                 ((left | 0x20) == (right | 0x20) && (left | 0x20) >= 'a' && (left | 0x20) <= 'z');
        })) {
      text->remove_prefix(name.size());
      return static_cast<int>(i);
    }
  }
  return -1;
}

/// Matches literal text. Blanks of the layout match any number of blanks, also none at the end.
bool ReadLiteral(std::string_view* text, std::string_view literal) {
  const auto skip_blanks = [](std::string_view* from) {
    from->remove_prefix(std::min(from->find_first_not_of(' '), from->size()));
  };
  while (!literal.empty()) {
    if (literal[0] == ' ') {
      if (!text->empty() && (*text)[0] != ' ') {
        return false;
      }
      skip_blanks(&literal);
      skip_blanks(text);
      continue;
    }
    if (text->empty() || (*text)[0] != literal[0]) {
      return false;
    }
    literal.remove_prefix(1);
    text->remove_prefix(1);
  }
  return true;
}

/// Reads a mark and `digits` digits; digits beyond nanoseconds are cut.
bool ReadFraction(std::string_view* text, size_t digits, int* nanos) {
  if (text->empty() || !IsFractionMark((*text)[0])) {
    return false;
  }
  int value = 0;
  size_t read = 0;
  for (; read < digits && read < kMaxFractionDigits; ++read) {
    if (!IsDigitAt(*text, 1 + read)) {
      return false;
    }
    value = value * 10 + ((*text)[1 + read] - '0');
  }
  for (size_t i = read; i < kMaxFractionDigits; ++i) {
    value *= 10;
  }
  *nanos = value;
  text->remove_prefix(1 + digits);
  return true;
}

size_t CountDigitsAfterMark(std::string_view text) {
  size_t count = 0;
  while (IsDigitAt(text, 1 + count)) {
    ++count;
  }
  return count;
}

ReadResult ReadOffset(std::string_view* text, const OffsetShape& shape, Parts* parts) {
  if (shape.zulu && !text->empty() && (*text)[0] == 'Z') {
    text->remove_prefix(1);
    parts->is_utc = true;
    return ReadResult::kOk;
  }
  if (text->empty()) {
    return ReadResult::kMismatch;
  }
  const char sign = (*text)[0];
  std::string_view rest = text->substr(1);
  const auto read_part = [&](bool first, int* value) {
    if (!first && shape.colon) {
      if (rest.empty() || rest[0] != ':') {
        return false;
      }
      rest.remove_prefix(1);
    }
    return ReadDigits(&rest, 2, value);
  };
  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  if (!read_part(true, &hours) || (shape.minutes && !read_part(false, &minutes)) ||
      (shape.seconds && !read_part(false, &seconds)) || (sign != '+' && sign != '-')) {
    return ReadResult::kMismatch;
  }
  // 24 and 60 are allowed: some people write them.
  if (hours > 24 || minutes > 60 || seconds > 60) {
    return ReadResult::kOutOfRange;
  }
  parts->offset = (hours * 60 + minutes) * 60 + seconds;
  if (sign == '-') {
    parts->offset = -parts->offset;
  }
  parts->has_offset = true;
  *text = rest;
  return ReadResult::kOk;
}

/// Length of a signed number of hours up to 23 such as "+3", 0 if there is none.
size_t SignedHoursSize(std::string_view text) {
  if (text.empty() || (text[0] != '+' && text[0] != '-')) {
    return 0;
  }
  size_t size = 1;
  int hours = 0;
  while (IsDigitAt(text, size)) {
    hours = std::min(hours * 10 + (text[size] - '0'), 1000);
    ++size;
  }
  constexpr int kMaxHours = 23;
  return size == 1 || hours > kMaxHours ? 0 : size;
}

/// Length of the zone abbreviation at the begin of the text, 0 if there is none.
size_t ZoneNameSize(std::string_view text) {
  if (text.size() < 3) {
    return 0;
  }
  if (text.starts_with("ChST") || text.starts_with("MeST")) {
    return 4;  // the only two with small letters
  }
  if (text.starts_with("GMT")) {
    return 3 + SignedHoursSize(text.substr(3));
  }
  if (text[0] == '+' || text[0] == '-') {
    return SignedHoursSize(text);
  }
  size_t capitals = 0;
  while (capitals < 6 && capitals < text.size() && text[capitals] >= 'A' && text[capitals] <= 'Z') {
    ++capitals;
  }
  switch (capitals) {
    case 3:
      return 3;
    case 4:
      return text[3] == 'T' || text.starts_with("WITA") ? 4 : 0;
    case 5:
      return text[4] == 'T' ? 5 : 0;
    default:
      return 0;
  }
}

ReadResult ReadZoneName(std::string_view* text, Parts* parts) {
  if (text->starts_with("UTC")) {
    parts->is_utc = true;
    text->remove_prefix(3);
    return ReadResult::kOk;
  }
  const size_t size = ZoneNameSize(*text);
  if (size == 0) {
    return ReadResult::kMismatch;
  }
  parts->zone_name = std::string(text->substr(0, size));
  text->remove_prefix(size);
  return ReadResult::kOk;
}

ReadResult ReadSecond(std::string_view* text, bool two_digits, PieceKind next, Parts* parts) {
  const ReadResult result = ReadRanged(text, two_digits, 0, 59, &parts->second);
  if (result != ReadResult::kOk) {
    return result;
  }
  // A fraction that the layout does not have is accepted.
  if (text->size() >= 2 && IsFractionMark((*text)[0]) && IsDigit((*text)[1]) &&
      next != PieceKind::kFixedFraction && next != PieceKind::kTrimmedFraction) {
    ReadFraction(text, CountDigitsAfterMark(*text), &parts->nanos);
  }
  return ReadResult::kOk;
}

ReadResult ReadHalf(std::string_view* text, bool upper, Parts* parts) {
  if (text->starts_with(upper ? "PM" : "pm")) {
    parts->afternoon = true;
  } else if (text->starts_with(upper ? "AM" : "am")) {
    parts->morning = true;
  } else {
    return ReadResult::kMismatch;
  }
  text->remove_prefix(2);
  return ReadResult::kOk;
}

ReadResult ReadYearDay(std::string_view* text, bool blank_padded, Parts* parts) {
  for (int i = 0; blank_padded && i < 2; ++i) {
    if (!text->empty() && (*text)[0] == ' ') {
      text->remove_prefix(1);
    }
  }
  size_t digits = 0;
  while (digits < 3 && IsDigitAt(*text, digits)) {
    ++digits;
  }
  if (digits == 0 || (!blank_padded && digits != 3)) {
    return ReadResult::kMismatch;
  }
  ReadDigits(text, digits, &parts->year_day);
  return ReadResult::kOk;
}

ReadResult ReadNamed(int index, int* value) {
  if (index < 0) {
    return ReadResult::kMismatch;
  }
  *value = index;
  return ReadResult::kOk;
}

ReadResult ReadMonthName(std::string_view* text, size_t name_size, Parts* parts) {
  const ReadResult result = ReadNamed(ReadName(text, kMonths, name_size), &parts->month);
  parts->month += 1;
  return result;
}

ReadResult ReadYear(std::string_view* text, bool four_digits, Parts* parts) {
  if (!ReadDigits(text, four_digits ? 4 : 2, &parts->year)) {
    return ReadResult::kMismatch;
  }
  if (!four_digits) {
    constexpr int kFirstYearOf1900s = 69;
    parts->year += parts->year >= kFirstYearOf1900s ? 1900 : 2000;
  }
  return ReadResult::kOk;
}

ReadResult ReadPiece(const Piece& piece, PieceKind next, std::string_view* text, Parts* parts) {
  int ignored = 0;
  switch (piece.kind) {
    case PieceKind::kEnd:
      return text->empty() ? ReadResult::kOk : ReadResult::kMismatch;
    case PieceKind::kLongYear:
      return ReadYear(text, true, parts);
    case PieceKind::kYear:
      return ReadYear(text, false, parts);
    case PieceKind::kLongMonth:
      return ReadMonthName(text, std::string_view::npos, parts);
    case PieceKind::kShortMonth:
      return ReadMonthName(text, kShortNameSize, parts);
    case PieceKind::kNumberMonth:
    case PieceKind::kZeroMonth:
      return ReadRanged(text, piece.kind == PieceKind::kZeroMonth, 1, 12, &parts->month);
    case PieceKind::kLongWeekday:
      return ReadNamed(ReadName(text, kWeekdays, std::string_view::npos), &ignored);
    case PieceKind::kShortWeekday:
      return ReadNamed(ReadName(text, kWeekdays, kShortNameSize), &ignored);
    case PieceKind::kBlankDay:
      if (!text->empty() && (*text)[0] == ' ') {
        text->remove_prefix(1);
      }
      [[fallthrough]];
    case PieceKind::kDay:
    case PieceKind::kZeroDay:
      // The range is checked when month and year are known.
      return ReadNumber(text, piece.kind == PieceKind::kZeroDay, &parts->day)
                 ? ReadResult::kOk
                 : ReadResult::kMismatch;
    case PieceKind::kBlankYearDay:
    case PieceKind::kZeroYearDay:
      return ReadYearDay(text, piece.kind == PieceKind::kBlankYearDay, parts);
    case PieceKind::kHour:
      return ReadRanged(text, false, 0, 23, &parts->hour);
    case PieceKind::kHour12:
    case PieceKind::kZeroHour12:
      return ReadRanged(text, piece.kind == PieceKind::kZeroHour12, 0, 12, &parts->hour);
    case PieceKind::kMinute:
    case PieceKind::kZeroMinute:
      return ReadRanged(text, piece.kind == PieceKind::kZeroMinute, 0, 59, &parts->minute);
    case PieceKind::kSecond:
    case PieceKind::kZeroSecond:
      return ReadSecond(text, piece.kind == PieceKind::kZeroSecond, next, parts);
    case PieceKind::kUpperHalf:
    case PieceKind::kLowerHalf:
      return ReadHalf(text, piece.kind == PieceKind::kUpperHalf, parts);
    case PieceKind::kFixedFraction:
      return ReadFraction(text, piece.fraction_digits, &parts->nanos) ? ReadResult::kOk
                                                                      : ReadResult::kMismatch;
    case PieceKind::kTrimmedFraction:
      if (text->size() >= 2 && IsFractionMark((*text)[0]) && IsDigit((*text)[1])) {
        ReadFraction(text, CountDigitsAfterMark(*text), &parts->nanos);
      }
      return ReadResult::kOk;
    case PieceKind::kOffset:
      return ReadOffset(text, piece.offset, parts);
    case PieceKind::kZoneName:
      return ReadZoneName(text, parts);
  }
  return ReadResult::kMismatch;
}

/// Turns a day of the year into month and day. False if it does not exist or contradicts them.
bool ResolveYearDay(Parts* parts) {
  const int days = IsLeapYear(parts->year) ? 366 : 365;
  if (parts->year_day < 1 || parts->year_day > days) {
    return false;
  }
  int month = 1;
  int day = parts->year_day;
  while (day > DaysInMonth(parts->year, month)) {
    day -= DaysInMonth(parts->year, month);
    ++month;
  }
  if ((parts->month != kAbsent && parts->month != month) ||
      (parts->day != kAbsent && parts->day != day)) {
    return false;
  }
  parts->month = month;
  parts->day = day;
  return true;
}

/// Gives the instant its zone and moves it to UTC.
void ApplyZone(const Parts& parts, Instant* instant) {
  if (parts.is_utc) {
    return;
  }
  if (parts.has_offset) {
    instant->seconds -= parts.offset;
    if (parts.offset == 0 && parts.zone_name.empty()) {
      return;  // the zone of the process, which is UTC
    }
    instant->has_zone = true;
    instant->offset = parts.offset;
    instant->zone_name = parts.zone_name;
    return;
  }
  if (parts.zone_name.empty()) {
    return;
  }
  // An abbreviation alone names no offset; only "GMT+3" does, and it moves the shown time only.
  instant->has_zone = true;
  instant->zone_name = parts.zone_name;
  if (parts.zone_name.starts_with("GMT") && parts.zone_name.size() > 3) {
    int hours = 0;
    for (const char digit : parts.zone_name.substr(4)) {
      hours = hours * 10 + (digit - '0');
    }
    instant->offset = (parts.zone_name[3] == '-' ? -hours : hours) * 3600;
  }
}

Status BadTimeText(std::string_view reason, std::string_view text, std::string_view layout) {
  constexpr size_t kShownChars = 100;
  return UserError("bad_time_text", std::string(reason) + ": text \"" +
                                        std::string(text.substr(0, kShownChars)) + "\", layout \"" +
                                        std::string(layout) + "\"");
}

}  // namespace

Result<Instant> TimeLayout::Parse(std::string_view text) const {
  Parts parts;
  std::string_view rest = text;
  const std::vector<Piece>& pieces = program_->pieces;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const PieceKind next = i + 1 < pieces.size() ? pieces[i + 1].kind : PieceKind::kEnd;
    const ReadResult result = ReadLiteral(&rest, pieces[i].literal)
                                  ? ReadPiece(pieces[i], next, &rest, &parts)
                                  : ReadResult::kMismatch;
    if (result != ReadResult::kOk) {
      return BadTimeText(result == ReadResult::kMismatch ? "time text does not match its layout"
                                                         : "part of a time text is out of range",
                         text, text_);
    }
  }
  if (parts.afternoon && parts.hour < 12) {
    parts.hour += 12;
  } else if (parts.morning && parts.hour == 12) {
    parts.hour = 0;
  }
  if (parts.year_day != kAbsent && !ResolveYearDay(&parts)) {
    return BadTimeText("day of the year does not exist or contradicts the date", text, text_);
  }
  parts.month = parts.month == kAbsent ? 1 : parts.month;
  parts.day = parts.day == kAbsent ? 1 : parts.day;
  if (parts.day < 1 || parts.day > DaysInMonth(parts.year, parts.month)) {
    return BadTimeText("day does not exist in its month", text, text_);
  }
  Instant instant;
  instant.seconds = DaysFromCivil(parts.year, parts.month, parts.day) * kSecondsPerDay +
                    parts.hour * 3600 + parts.minute * 60 + parts.second;
  instant.nanos = parts.nanos;
  ApplyZone(parts, &instant);
  return instant;
}

bool TimeLayout::TryParseMillis(const char* begin, const char* end, int64_t* millis) const {
  return ParseFixed(program_->fixed, begin, end, millis);
}

}  // namespace capi::data
