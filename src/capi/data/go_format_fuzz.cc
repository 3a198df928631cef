// Feeds arbitrary bytes to the text parsers of this room: the first line is a format or layout, the
// rest the text. Besides crashes it looks for fast paths that disagree with the general ones.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/data/go_format.h"

namespace capi::data {
namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void CheckDecimal(std::string_view text) {
  const Result<BigDecimal> decimal = BigDecimal::Parse(text);
  int64_t fast = 0;
  if (TryParseHundredths(text.data(), text.data() + text.size(), &fast)) {
    int128 exact = 0;
    Require(decimal.ok() && decimal->ToInt128(2, &exact) && exact == fast);
  }
  if (decimal.ok()) {
    Require(decimal->ToString() == BigDecimal::Parse(decimal->ToString())->ToString() ||
            decimal->ToString().size() > BigDecimal::kMaxDigits);
  }
  Require(!ParseHundredths(text).ok() || decimal.ok());
}

void CheckFloat(std::string_view text) {
  const Result<double> value = ParseGoFloat(text);
  if (value.ok() && *value == *value) {
    std::string shown;
    AppendFloatText(*value, &shown);
    Require(*ParseGoFloat(shown) == *value);
  }
}

void CheckTime(std::string_view layout_text, std::string_view text) {
  const TimeLayout layout = TimeLayout::Compile(layout_text);
  const Result<Instant> parsed = layout.Parse(text);
  int64_t millis = 0;
  if (layout.TryParseMillis(text.data(), text.data() + text.size(), &millis)) {
    Require(parsed.ok() && parsed->ToMillisFloor() == millis);
    std::string fast;
    std::string slow;
    layout.FormatMillis(millis, &fast);
    layout.Format(Instant::FromMillis(millis), &slow);
    Require(fast == slow);
  }
}

void CheckFormats(std::string_view format_text, std::string_view text) {
  constexpr size_t kMaxFormat = 64;  // keeps huge widths out of most inputs
  if (format_text.size() > kMaxFormat) {
    return;
  }
  const PrintFormat format = PrintFormat::Compile(format_text);
  const ValueView value = text;
  std::string general;
  format.Print(std::span<const ValueView>(&value, 1), &general);
  std::string single;
  format.PrintString(text, &single);
  Require(single == general);
  general.clear();
  const ValueView several[] = {int64_t{-7}, text, 1.5, true};
  format.Print(several, &general);
  bool left_over = false;
  const ScanFormat scan = ScanFormat::Compile(format_text);
  (void)scan.ScanInt(text, &left_over);
  (void)scan.ScanFloat(text, &left_over);
}

}  // namespace
}  // namespace capi::data

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line_end = std::min(input.find('\n'), input.size());
  const std::string_view format = input.substr(0, line_end);
  const std::string text(input.substr(std::min(line_end + 1, input.size())));
  capi::data::CheckDecimal(text);
  capi::data::CheckFloat(text);
  capi::data::CheckTime(format, text);
  capi::data::CheckFormats(format, text);
  return 0;
}
