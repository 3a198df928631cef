// Time layouts: printing a moment.

#include <algorithm>

#include "capi/data/datetime.h"
#include "capi/data/datetime_layout_internal.h"

namespace capi::data {

using layout_internal::FixedLayout;
using layout_internal::FormatFixed;
using layout_internal::kMaxFractionDigits;
using layout_internal::kMillisPerDay;
using layout_internal::kMonths;
using layout_internal::kSecondsPerDay;
using layout_internal::kShortNameSize;
using layout_internal::kWeekdays;
using layout_internal::OffsetShape;
using layout_internal::Piece;
using layout_internal::PieceKind;

namespace {

/// Zero-padded to `width` digits; a minus sign comes in addition.
void AppendNumber(int64_t value, int width, std::string* out) {
  char buffer[24];
  char* const end = buffer + sizeof(buffer);
  char* begin = end;
  uint64_t magnitude = value < 0 ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  do {
    *--begin = static_cast<char>('0' + magnitude % 10);
    magnitude /= 10;
  } while (magnitude != 0);
  while (end - begin < width) {
    *--begin = '0';
  }
  if (value < 0) {
    *--begin = '-';
  }
  out->append(begin, static_cast<size_t>(end - begin));
}

void AppendFraction(int32_t nanos, const Piece& piece, std::string* out) {
  char digits[kMaxFractionDigits];
  for (int i = kMaxFractionDigits; i-- > 0;) {
    digits[i] = static_cast<char>('0' + nanos % 10);
    nanos /= 10;
  }
  int count = std::min<int>(piece.fraction_digits, kMaxFractionDigits);
  if (piece.kind == PieceKind::kTrimmedFraction) {
    while (count > 0 && digits[count - 1] == '0') {
      --count;
    }
    if (count == 0) {
      return;
    }
  }
  out->push_back(piece.fraction_separator);
  out->append(digits, static_cast<size_t>(count));
}

void AppendOffset(int32_t offset, const OffsetShape& shape, std::string* out) {
  if (shape.zulu && offset == 0) {
    out->push_back('Z');
    return;
  }
  // Minutes are cut before the sign is split off, so -30 seconds print as "+00:00" or, like Go
  // does, as "+00:00:-30".
  const int32_t minutes = offset / 60;
  out->push_back(minutes < 0 ? '-' : '+');
  const int32_t magnitude = minutes < 0 ? -minutes : minutes;
  AppendNumber(magnitude / 60, 2, out);
  if (shape.minutes) {
    if (shape.colon) {
      out->push_back(':');
    }
    AppendNumber(magnitude % 60, 2, out);
  }
  if (shape.seconds) {
    if (shape.colon) {
      out->push_back(':');
    }
    AppendNumber((minutes < 0 ? -offset : offset) % 60, 2, out);
  }
}

/// A moment cut into its parts in its own zone.
struct CivilTime {
  int64_t year = 0;
  int month = 1;
  int day = 1;
  int weekday = 0;  ///< 0 = Sunday
  int year_day = 1;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

CivilTime CivilTimeOf(const Instant& instant) {
  // Unsigned, because moments at the very ends of 64 bits may wrap.
  const auto local = static_cast<int64_t>(static_cast<uint64_t>(instant.seconds) +
                                          static_cast<uint64_t>(instant.offset));
  int64_t days = local / kSecondsPerDay;
  int64_t second_of_day = local % kSecondsPerDay;
  if (second_of_day < 0) {
    second_of_day += kSecondsPerDay;
    --days;
  }
  CivilTime civil;
  CivilFromDays(days, &civil.year, &civil.month, &civil.day);
  constexpr int64_t kEpochWeekday = 4;  // 1970-01-01 was a Thursday
  civil.weekday = static_cast<int>(((days + kEpochWeekday) % 7 + 7) % 7);
  civil.year_day = static_cast<int>(days - DaysFromCivil(civil.year, 1, 1)) + 1;
  civil.hour = static_cast<int>(second_of_day / 3600);
  civil.minute = static_cast<int>(second_of_day / 60 % 60);
  civil.second = static_cast<int>(second_of_day % 60);
  return civil;
}

void AppendBlankPadded(int value, int width, std::string* out) {
  for (int limit = 10, digits = 1; digits < width; limit *= 10, ++digits) {
    if (value < limit) {
      out->push_back(' ');
    }
  }
  AppendNumber(value, 1, out);
}

void AppendPiece(const Piece& piece, const CivilTime& civil, const Instant& instant,
                 std::string* out) {
  const int hour12 = civil.hour % 12 == 0 ? 12 : civil.hour % 12;
  switch (piece.kind) {
    case PieceKind::kEnd:
      return;
    case PieceKind::kLongYear:
      return AppendNumber(civil.year, 4, out);
    case PieceKind::kYear:
      return AppendNumber((civil.year < 0 ? -civil.year : civil.year) % 100, 2, out);
    case PieceKind::kLongMonth:
      out->append(kMonths[civil.month - 1]);
      return;
    case PieceKind::kShortMonth:
      out->append(kMonths[civil.month - 1].substr(0, kShortNameSize));
      return;
    case PieceKind::kNumberMonth:
      return AppendNumber(civil.month, 1, out);
    case PieceKind::kZeroMonth:
      return AppendNumber(civil.month, 2, out);
    case PieceKind::kLongWeekday:
      out->append(kWeekdays[civil.weekday]);
      return;
    case PieceKind::kShortWeekday:
      out->append(kWeekdays[civil.weekday].substr(0, kShortNameSize));
      return;
    case PieceKind::kDay:
      return AppendNumber(civil.day, 1, out);
    case PieceKind::kBlankDay:
      return AppendBlankPadded(civil.day, 2, out);
    case PieceKind::kZeroDay:
      return AppendNumber(civil.day, 2, out);
    case PieceKind::kBlankYearDay:
      return AppendBlankPadded(civil.year_day, 3, out);
    case PieceKind::kZeroYearDay:
      return AppendNumber(civil.year_day, 3, out);
    case PieceKind::kHour:
      return AppendNumber(civil.hour, 2, out);
    case PieceKind::kHour12:
      return AppendNumber(hour12, 1, out);
    case PieceKind::kZeroHour12:
      return AppendNumber(hour12, 2, out);
    case PieceKind::kMinute:
      return AppendNumber(civil.minute, 1, out);
    case PieceKind::kZeroMinute:
      return AppendNumber(civil.minute, 2, out);
    case PieceKind::kSecond:
      return AppendNumber(civil.second, 1, out);
    case PieceKind::kZeroSecond:
      return AppendNumber(civil.second, 2, out);
    case PieceKind::kUpperHalf:
      out->append(civil.hour >= 12 ? "PM" : "AM");
      return;
    case PieceKind::kLowerHalf:
      out->append(civil.hour >= 12 ? "pm" : "am");
      return;
    case PieceKind::kFixedFraction:
    case PieceKind::kTrimmedFraction:
      return AppendFraction(instant.nanos, piece, out);
    case PieceKind::kOffset:
      return AppendOffset(instant.offset, piece.offset, out);
    case PieceKind::kZoneName:
      if (!instant.has_zone) {
        out->append("UTC");
      } else if (!instant.zone_name.empty()) {
        out->append(instant.zone_name);
      } else {
        AppendOffset(instant.offset, OffsetShape(), out);
      }
      return;
  }
}

}  // namespace

void TimeLayout::Format(const Instant& instant, std::string* out) const {
  const CivilTime civil = CivilTimeOf(instant);
  for (const Piece& piece : program_->pieces) {
    out->append(piece.literal);
    AppendPiece(piece, civil, instant, out);
  }
}

void TimeLayout::FormatMillis(int64_t millis, std::string* out) const {
  const FixedLayout& fixed = program_->fixed;
  if (fixed.width != 0) {
    int64_t days = millis / kMillisPerDay;
    int64_t millis_of_day = millis % kMillisPerDay;
    if (millis_of_day < 0) {
      millis_of_day += kMillisPerDay;
      --days;
    }
    int64_t year = 0;
    int month = 0;
    int day = 0;
    CivilFromDays(days, &year, &month, &day);
    constexpr int64_t kMaxFixedYear = 9999;
    if (year >= 0 && year <= kMaxFixedYear) {
      char buffer[FixedLayout::kMaxWidth];
      FormatFixed(fixed, millis_of_day, year, month, day, buffer);
      out->append(buffer, static_cast<size_t>(fixed.width));
      return;
    }
  }
  Format(Instant::FromMillis(millis), out);
}

}  // namespace capi::data
