#include <bit>
#include <cctype>

#include "capi/formats/csv_cell_format_internal.h"
#include "capi/formats/csv_number_internal.h"

namespace capi::formats::internal {

int CountDigits(uint64_t value) {
  // 1233 / 4096 is log10(2) from above; the guess is at most one too high.
  value |= 1;  // 0 has one digit
  const int guess = (std::bit_width(value) * 1233) >> 12;
  if (guess == 19) {
    return value >= 10000000000000000000ULL ? 20 : 19;
  }
  return guess + (value >= kPowersOfTen[guess] ? 1 : 0);
}

std::optional<PaddedFormat> PaddedFormat::Parse(std::string_view format, char verb) {
  constexpr int kMaxWidth = 64;
  PaddedFormat parsed;
  const size_t percent = format.find('%');
  if (percent == std::string_view::npos) {
    return std::nullopt;
  }
  parsed.prefix_ = std::string(format.substr(0, percent));
  size_t at = percent + 1;
  if (at < format.size() && format[at] == '-') {
    parsed.left_ = true;
    ++at;
  } else if (at < format.size() && format[at] == '0' && verb == 'd') {
    parsed.zeros_ = true;
    ++at;
  }
  while (at < format.size() && std::isdigit(static_cast<unsigned char>(format[at])) != 0) {
    if (format[at] == '0' && parsed.width_ == 0) {
      return std::nullopt;  // another flag
    }
    parsed.width_ = parsed.width_ * 10 + (format[at] - '0');
    ++at;
    if (parsed.width_ > kMaxWidth) {
      return std::nullopt;
    }
  }
  if (at >= format.size() || format[at] != verb) {
    return std::nullopt;
  }
  parsed.suffix_ = std::string(format.substr(at + 1));
  if (parsed.suffix_.find('%') != std::string::npos) {
    return std::nullopt;
  }
  return parsed;
}

char* PaddedFormat::Surround(const char* text, int64_t length, char* out) const {
  std::memcpy(out, prefix_.data(), prefix_.size());
  out += prefix_.size();
  const int64_t padding = width_ > length ? width_ - length : 0;
  if (!left_) {
    std::memset(out, ' ', static_cast<size_t>(padding));
    out += padding;
  }
  std::memcpy(out, text, static_cast<size_t>(length));
  out += length;
  if (left_) {
    std::memset(out, ' ', static_cast<size_t>(padding));
    out += padding;
  }
  std::memcpy(out, suffix_.data(), suffix_.size());
  return out + suffix_.size();
}

char* PaddedFormat::WriteInt(int64_t value, char* out) const {
  char text[64 + kMaxNumberText];
  char* at = text;
  if (value < 0) {
    *at++ = '-';
  }
  const uint64_t magnitude = MagnitudeOf(value);
  if (zeros_) {
    // The sign counts for the width and stands before the zeros.
    const int64_t zeros = width_ - (at - text) - CountDigits(magnitude);
    for (int64_t i = 0; i < zeros; ++i) {
      *at++ = '0';
    }
  }
  at = WriteUnsigned(magnitude, at);
  return Surround(text, at - text, out);
}

char* PaddedFormat::WriteDecimal(int64_t hundredths, char* out) const {
  char text[kMaxNumberText];
  const char* const end = WriteHundredths(hundredths, text);
  return Surround(text, end - text, out);
}

std::optional<FixedTimeFormat> FixedTimeFormat::Parse(std::string_view layout) {
  FixedTimeFormat parsed;
  parsed.template_ = std::string(layout);
  size_t at = 0;
  bool after_seconds = false;
  while (at < layout.size()) {
    const std::string_view rest = layout.substr(at);
    struct Part {
      std::string_view piece;
      int FixedTimeFormat::*offset;
    };
    static constexpr Part kParts[] = {
        {"2006", &FixedTimeFormat::year_}, {"01", &FixedTimeFormat::month_},
        {"02", &FixedTimeFormat::day_},    {"15", &FixedTimeFormat::hour_},
        {"04", &FixedTimeFormat::minute_}, {"05", &FixedTimeFormat::second_},
    };
    const Part* found = nullptr;
    for (const Part& part : kParts) {
      if (rest.starts_with(part.piece)) {
        found = &part;
      }
    }
    if (found != nullptr) {
      if (parsed.*(found->offset) >= 0) {
        return std::nullopt;  // a part twice
      }
      parsed.*(found->offset) = static_cast<int>(at);
      after_seconds = found->piece == "05";
      at += found->piece.size();
      continue;
    }
    const bool digit_follows =
        rest.size() > 4 && std::isdigit(static_cast<unsigned char>(rest[4])) != 0;
    if (after_seconds && rest.starts_with(".000") && !digit_follows) {
      parsed.millisecond_ = static_cast<int>(at + 1);
      at += 4;
    } else if (std::string_view(" -/:T").find(rest[0]) != std::string_view::npos) {
      at += 1;
    } else {
      return std::nullopt;
    }
    after_seconds = false;
  }
  return parsed;
}

char* FixedTimeFormat::Write(int64_t millis, char* out) const {
  constexpr int64_t kMillisPerDay = 86400000;
  int64_t days = millis / kMillisPerDay;
  auto millis_of_day = static_cast<int32_t>(millis - days * kMillisPerDay);
  if (millis_of_day < 0) {
    millis_of_day += kMillisPerDay;
    --days;
  }
  int64_t year = 0;
  int month = 0;
  int day = 0;
  data::CivilFromDays(days, &year, &month, &day);
  if (year < 0 || year > 9999) {
    return nullptr;
  }
  std::memcpy(out, template_.data(), template_.size());
  const auto put = [out](int offset, int64_t value) {
    if (offset >= 0) {
      WriteTwoDigits(static_cast<uint64_t>(value), out + offset);
    }
  };
  if (year_ >= 0) {
    put(year_, year / 100);
    put(year_ + 2, year % 100);
  }
  put(month_, month);
  put(day_, day);
  const int32_t second_of_day = millis_of_day / 1000;
  put(hour_, second_of_day / 3600);
  put(minute_, second_of_day / 60 % 60);
  put(second_, second_of_day % 60);
  if (millisecond_ >= 0) {
    const int32_t fraction = millis_of_day % 1000;
    out[millisecond_] = static_cast<char>('0' + fraction / 100);
    put(millisecond_ + 1, fraction % 100);
  }
  return out + template_.size();
}

}  // namespace capi::formats::internal
