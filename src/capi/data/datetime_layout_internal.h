#pragma once

// The parts of a compiled time layout (spec/expressions.md 10).

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/ascii.h"
#include "capi/data/datetime.h"

namespace capi::data::layout_internal {

inline bool IsDigitAt(std::string_view text, size_t index) {
  return index < text.size() && IsDigit(text[index]);
}

enum class PieceKind : uint8_t {
  kEnd,  ///< no more pieces; the literal is the rest of the layout
  kLongYear,
  kYear,
  kLongMonth,
  kShortMonth,
  kNumberMonth,
  kZeroMonth,
  kLongWeekday,
  kShortWeekday,
  kDay,
  kBlankDay,
  kZeroDay,
  kBlankYearDay,
  kZeroYearDay,
  kHour,
  kHour12,
  kZeroHour12,
  kMinute,
  kZeroMinute,
  kSecond,
  kZeroSecond,
  kUpperHalf,
  kLowerHalf,
  kFixedFraction,
  kTrimmedFraction,
  kOffset,
  kZoneName,
};

/// The five shapes of an offset: "-0700", "-07:00", "-07", "-070000", "-07:00:00".
struct OffsetShape {
  bool zulu = false;     ///< "Z0700": Z stands for UTC
  bool colon = false;    ///< with colons
  bool minutes = true;   ///< has minutes
  bool seconds = false;  ///< has seconds
};

/// One piece and the literal text before it.
struct Piece {
  std::string literal;
  PieceKind kind = PieceKind::kEnd;
  uint8_t fraction_digits = 0;
  char fraction_separator = '.';
  OffsetShape offset;
};

/// Cuts a layout into pieces; the last one is kEnd.
std::vector<Piece> CompilePieces(std::string_view layout);

/// A layout in which every part has a fixed place and is all digits, prepared for vector code.
/// `width` is 0 when the layout has no such form.
struct FixedLayout {
  static constexpr int kMinWidth = 8;
  static constexpr int kMaxWidth = 32;
  static constexpr int kLanes = 16;

  int width = 0;
  // Places of the parts, -1 when absent.
  int year = -1;
  int month = -1;
  int day = -1;
  int hour = -1;
  int minute = -1;
  int second = -1;
  int fraction = -1;  ///< of the first digit
  int fraction_digits = 0;
  /// The layout with '0' for every digit of a part.
  std::array<char, kMaxWidth> model{};
  // The text is read as two vectors, "front" and "back" (see LoadText in the .cc). gather_* move
  // the digits to the order YYYYMMDDhhmmssff (0x80 = no digit from this vector), defaults fill what
  // the layout does not have. literal_* and mask_* say what the other places must hold.
  alignas(16) std::array<uint8_t, kLanes> gather_front{};
  alignas(16) std::array<uint8_t, kLanes> gather_back{};
  alignas(16) std::array<uint8_t, kLanes> defaults{};
  alignas(16) std::array<uint8_t, kLanes> literal_front{};
  alignas(16) std::array<uint8_t, kLanes> literal_back{};
  alignas(16) std::array<uint8_t, kLanes> mask_front{};
  alignas(16) std::array<uint8_t, kLanes> mask_back{};
};

FixedLayout MakeFixedLayout(const std::vector<Piece>& pieces);
/// The text must fit the layout exactly and be a valid moment.
bool ParseFixed(const FixedLayout& layout, const char* begin, const char* end, int64_t* millis);
/// Writes layout.width characters. The year must be 0 to 9999.
void FormatFixed(const FixedLayout& layout, int64_t millis_of_day, int64_t year, int month, int day,
                 char* out);

int DaysInMonth(int64_t year, int month);
bool IsLeapYear(int64_t year);

constexpr int64_t kMillisPerDay = 86400000;
constexpr int64_t kSecondsPerDay = 86400;
constexpr int kMaxFractionDigits = 9;

/// The names of the months; the first kShortNameSize letters are the short ones.
constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kWeekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
constexpr size_t kShortNameSize = 3;

}  // namespace capi::data::layout_internal

namespace capi::data {

struct TimeLayout::Program {
  std::vector<layout_internal::Piece> pieces;
  layout_internal::FixedLayout fixed;
};

}  // namespace capi::data
