// Fixed-width layouts: parse and print without a branch per character.

#include <smmintrin.h>

#include <cstring>

#include "capi/data/datetime_layout_internal.h"
#include "capi/data/decimal_digits_internal.h"

namespace capi::data::layout_internal {
namespace {

constexpr int kHalfLanes = 8;
constexpr uint8_t kNoLane = 0x80;
/// First lanes of the parts in the order YYYYMMDDhhmmssff.
constexpr int kYearLane = 0;
constexpr int kMonthLane = 4;
constexpr int kDayLane = 6;
constexpr int kHourLane = 8;
constexpr int kMinuteLane = 10;
constexpr int kSecondLane = 12;
constexpr int kFractionLane = 14;
constexpr int kFractionLanes = 2;
constexpr char kDefaultDigits[] = "0000010100000000";

/// Which vector and lane hold a place of the text.
struct Lane {
  bool back = false;
  int index = 0;
};

Lane LaneOf(int place, int width) {
  if (width >= FixedLayout::kLanes) {
    const bool back = place >= FixedLayout::kLanes;
    return {back, back ? place - (width - FixedLayout::kLanes) : place};
  }
  return {false, place < kHalfLanes ? place : kHalfLanes + place - (width - kHalfLanes)};
}

/// A text of 16 to 32 characters is read as its first and last 16; a shorter one as its first and
/// last 8 in one vector. Nothing outside the text is read.
void LoadText(const char* begin, int width, __m128i* front, __m128i* back) {
  if (width >= FixedLayout::kLanes) {
    *front = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
    *back = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin + width - FixedLayout::kLanes));
    return;
  }
  *front = _mm_unpacklo_epi64(
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(begin)),
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(begin + width - kHalfLanes)));
  *back = _mm_setzero_si128();
}

__m128i LoadTable(const std::array<uint8_t, FixedLayout::kLanes>& table) {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(table.data()));
}

void WriteTwoDigits(int64_t value, char* out) { std::memcpy(out, kTwoDigits + 2 * value, 2); }

/// The places of one part, or nullptr if the kind has no fixed form.
int* PlaceOf(PieceKind kind, FixedLayout* layout) {
  switch (kind) {
    case PieceKind::kLongYear:
      return &layout->year;
    case PieceKind::kZeroMonth:
      return &layout->month;
    case PieceKind::kZeroDay:
      return &layout->day;
    case PieceKind::kHour:
      return &layout->hour;
    case PieceKind::kZeroMinute:
      return &layout->minute;
    case PieceKind::kZeroSecond:
      return &layout->second;
    case PieceKind::kFixedFraction:
      return &layout->fraction;
    default:
      return nullptr;
  }
}

/// Finds the places of the parts. False if the layout has no fixed form.
bool PlaceParts(const std::vector<Piece>& pieces, FixedLayout* layout, std::string* model) {
  bool after_second = false;
  for (const Piece& piece : pieces) {
    if (after_second && !piece.literal.empty() &&
        (piece.literal[0] == '.' || piece.literal[0] == ',')) {
      return false;  // reading would take what follows as a fraction of the second
    }
    *model += piece.literal;
    if (piece.kind == PieceKind::kEnd) {
      break;
    }
    int* const place = PlaceOf(piece.kind, layout);
    if (place == nullptr || *place >= 0) {
      return false;
    }
    after_second = piece.kind == PieceKind::kZeroSecond;
    int digits = piece.kind == PieceKind::kLongYear ? 4 : 2;
    if (piece.kind == PieceKind::kFixedFraction) {
      model->push_back(piece.fraction_separator);
      digits = piece.fraction_digits;
      if (digits > kMaxFractionDigits) {
        return false;
      }
      layout->fraction_digits = digits;
    }
    *place = static_cast<int>(model->size());
    model->append(static_cast<size_t>(digits), '0');
  }
  return model->size() >= FixedLayout::kMinWidth && model->size() <= FixedLayout::kMaxWidth;
}

}  // namespace

FixedLayout MakeFixedLayout(const std::vector<Piece>& pieces) {
  FixedLayout layout;
  std::string model;
  if (!PlaceParts(pieces, &layout, &model)) {
    return FixedLayout();
  }
  layout.width = static_cast<int>(model.size());
  std::memcpy(layout.model.data(), model.data(), model.size());
  layout.gather_front.fill(kNoLane);
  layout.gather_back.fill(kNoLane);
  std::memcpy(layout.defaults.data(), kDefaultDigits, FixedLayout::kLanes);
  std::array<bool, FixedLayout::kMaxWidth> is_digit{};
  const auto place_part = [&](int place, int first_lane, int gathered, int digits) {
    if (place < 0) {
      return;
    }
    for (int i = 0; i < digits; ++i) {
      is_digit[place + i] = true;
      if (i < gathered) {
        const Lane lane = LaneOf(place + i, layout.width);
        (lane.back ? layout.gather_back : layout.gather_front)[first_lane + i] =
            static_cast<uint8_t>(lane.index);
        layout.defaults[first_lane + i] = 0;
      }
    }
  };
  place_part(layout.year, kYearLane, 4, 4);
  place_part(layout.month, kMonthLane, 2, 2);
  place_part(layout.day, kDayLane, 2, 2);
  place_part(layout.hour, kHourLane, 2, 2);
  place_part(layout.minute, kMinuteLane, 2, 2);
  place_part(layout.second, kSecondLane, 2, 2);
  place_part(layout.fraction, kFractionLane, kFractionLanes, layout.fraction_digits);
  for (int place = 0; place < layout.width; ++place) {
    if (!is_digit[place]) {
      const Lane lane = LaneOf(place, layout.width);
      (lane.back ? layout.literal_back : layout.literal_front)[lane.index] =
          static_cast<uint8_t>(model[place]);
      (lane.back ? layout.mask_back : layout.mask_front)[lane.index] = 0xFF;
    }
  }
  return layout;
}

bool ParseFixed(const FixedLayout& layout, const char* begin, const char* end, int64_t* millis) {
  if (layout.width == 0 || end - begin != layout.width) {
    return false;
  }
  __m128i front;
  __m128i back;
  LoadText(begin, layout.width, &front, &back);
  __m128i wrong = _mm_or_si128(_mm_and_si128(_mm_xor_si128(front, LoadTable(layout.literal_front)),
                                             LoadTable(layout.mask_front)),
                               _mm_and_si128(_mm_xor_si128(back, LoadTable(layout.literal_back)),
                                             LoadTable(layout.mask_back)));
  const __m128i characters =
      _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(front, LoadTable(layout.gather_front)),
                                _mm_shuffle_epi8(back, LoadTable(layout.gather_back))),
                   LoadTable(layout.defaults));
  const __m128i digits = _mm_sub_epi8(characters, _mm_set1_epi8('0'));
  const __m128i nine = _mm_set1_epi8(9);
  wrong = _mm_or_si128(wrong, _mm_xor_si128(_mm_max_epu8(digits, nine), nine));
  // Eight numbers of two digits: century, year, month, day, hour, minute, second, fraction.
  const __m128i pairs = _mm_maddubs_epi16(
      digits, _mm_setr_epi8(10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1));
  const __m128i highest = _mm_setr_epi16(99, 99, 12, 31, 23, 59, 59, 99);
  const __m128i lowest = _mm_setr_epi16(0, 0, 1, 1, 0, 0, 0, 0);
  wrong = _mm_or_si128(
      wrong, _mm_or_si128(_mm_cmpgt_epi16(pairs, highest), _mm_cmpgt_epi16(lowest, pairs)));
  if (_mm_testz_si128(wrong, wrong) == 0) {
    return false;
  }
  const uint64_t date = static_cast<uint64_t>(_mm_extract_epi64(pairs, 0));
  const uint32_t century_number = static_cast<uint32_t>(date & 0xFF);
  const uint32_t year_of_century = static_cast<uint32_t>((date >> 16) & 0xFF);
  const uint32_t year = century_number * 100 + year_of_century;
  const uint32_t month = static_cast<uint32_t>((date >> 32) & 0xFF);
  const uint32_t day = static_cast<uint32_t>(date >> 48);
  // Odd months up to July and even ones from August on have 31 days. A year is a leap year if its
  // last two digits, or its first two when those are 00, divide by four.
  const uint32_t leap =
      ((year_of_century != 0 ? year_of_century : century_number) & 3) == 0 ? 1 : 0;
  const uint32_t last_day = month == 2 ? 28 + leap : 30 | ((month ^ (month >> 3)) & 1);
  if (day > last_day) {
    return false;
  }
  // Years counted from March of the year 400 before 0, so everything stays unsigned.
  constexpr uint32_t kShiftYears = 400;
  constexpr int64_t kShiftDays = 146097 + 719468;
  const uint32_t before_march = month <= 2 ? 1 : 0;
  const uint32_t march_year = year + kShiftYears - before_march;
  const uint32_t march_month = month + 12 * before_march - 3;
  const uint32_t century = march_year / 100;
  const uint32_t shifted_days = march_year * 365 + march_year / 4 - century + century / 4 +
                                (153 * march_month + 2) / 5 + day - 1;
  const __m128i times = _mm_madd_epi16(pairs, _mm_setr_epi16(0, 0, 0, 0, 3600, 60, 1, 0));
  const uint64_t time_sums = static_cast<uint64_t>(_mm_extract_epi64(times, 1));
  const int64_t seconds = static_cast<int64_t>((time_sums & 0xFFFFFFFF) + (time_sums >> 32));
  int64_t fraction_millis = 0;
  if (layout.fraction >= 0) {
    fraction_millis = _mm_extract_epi16(pairs, 7) * 10;
    for (int i = kFractionLanes; i < layout.fraction_digits; ++i) {
      const unsigned digit = static_cast<unsigned char>(begin[layout.fraction + i]) - unsigned{'0'};
      if (digit > 9) {
        return false;
      }
      fraction_millis += i == kFractionLanes ? digit : 0;
    }
  }
  *millis = (static_cast<int64_t>(shifted_days) - kShiftDays) * kMillisPerDay + seconds * 1000 +
            fraction_millis;
  return true;
}

void FormatFixed(const FixedLayout& layout, int64_t millis_of_day, int64_t year, int month, int day,
                 char* out) {
  std::memcpy(out, layout.model.data(), static_cast<size_t>(layout.width));
  if (layout.year >= 0) {
    WriteTwoDigits(year / 100, out + layout.year);
    WriteTwoDigits(year % 100, out + layout.year + 2);
  }
  if (layout.month >= 0) {
    WriteTwoDigits(month, out + layout.month);
  }
  if (layout.day >= 0) {
    WriteTwoDigits(day, out + layout.day);
  }
  const uint32_t millis = static_cast<uint32_t>(millis_of_day);
  const uint32_t seconds = millis / 1000;
  if (layout.hour >= 0) {
    WriteTwoDigits(seconds / 3600, out + layout.hour);
  }
  if (layout.minute >= 0) {
    WriteTwoDigits(seconds / 60 % 60, out + layout.minute);
  }
  if (layout.second >= 0) {
    WriteTwoDigits(seconds % 60, out + layout.second);
  }
  if (layout.fraction >= 0) {
    uint32_t fraction = millis % 1000;
    uint32_t unit = 100;
    for (int i = 0; i < layout.fraction_digits && i < 3; ++i) {
      out[layout.fraction + i] = static_cast<char>('0' + fraction / unit);
      fraction %= unit;
      unit /= 10;
    }
  }
}

}  // namespace capi::data::layout_internal
