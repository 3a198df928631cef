#include "capi/data/datetime.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "capi/data/go_format_cases_testing.h"

namespace capi::data {
namespace {

using testing_support::ReadCases;

constexpr int64_t kMillisPerDay = 86400000;

std::string FormatWith(std::string_view layout, const Instant& instant) {
  std::string text;
  TimeLayout::Compile(layout).Format(instant, &text);
  return text;
}

std::string FormatMillisWith(std::string_view layout, int64_t millis) {
  std::string text = "x";
  TimeLayout::Compile(layout).FormatMillis(millis, &text);
  return text.substr(1);
}

Instant MomentOf(const nlohmann::json& json) {
  Instant instant;
  instant.seconds = json["seconds"];
  instant.nanos = json["nanos"];
  instant.has_zone = json.contains("offset");
  if (instant.has_zone) {
    instant.offset = json["offset"];
    instant.zone_name = json["zone"];
  }
  return instant;
}

TEST(CivilTest, GoesThereAndBack) {
  EXPECT_EQ(DaysFromCivil(1970, 1, 1), 0);
  EXPECT_EQ(DaysFromCivil(1, 1, 1) * kMillisPerDay, kZeroMomentMillis);
  EXPECT_EQ(DaysFromCivil(2024, 2, 30), DaysFromCivil(2024, 3, 1));
  EXPECT_EQ(DaysFromCivil(2024, 13, 1), DaysFromCivil(2025, 1, 1));
  EXPECT_EQ(DaysFromCivil(2024, 0, 1), DaysFromCivil(2023, 12, 1));
  EXPECT_EQ(DaysFromCivil(2024, -11, 1), DaysFromCivil(2023, 1, 1));
  EXPECT_EQ(DaysFromCivil(2024, 3, 0), DaysFromCivil(2024, 2, 29));
  int64_t expected_year = -401;
  int expected_month = 12;
  int expected_day = 31;
  for (int64_t days = DaysFromCivil(-401, 12, 31); days < DaysFromCivil(2401, 1, 1); ++days) {
    int64_t year = 0;
    int month = 0;
    int day = 0;
    CivilFromDays(days, &year, &month, &day);
    ASSERT_EQ(year, expected_year) << days;
    ASSERT_EQ(month, expected_month) << days;
    ASSERT_EQ(day, expected_day) << days;
    ASSERT_EQ(DaysFromCivil(year, month, day), days);
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (++expected_day > lengths[month - 1]) {
      expected_day = 1;
      if (++expected_month > 12) {
        expected_month = 1;
        ++expected_year;
      }
    }
  }
}

TEST(InstantTest, Converts) {
  const Instant before = Instant::FromMillis(-1);
  EXPECT_EQ(before.seconds, -1);
  EXPECT_EQ(before.nanos, 999000000);
  EXPECT_EQ(before.ToMillisFloor(), -1);
  EXPECT_EQ(ParseRfc3339("1969-12-31T23:59:59.9995Z")->ToMillisFloor(), -1);
  Instant zoned = *ParseRfc3339("2024-01-02T05:04:05.678+02:00");
  EXPECT_EQ(zoned.Compare(*ParseRfc3339("2024-01-02T03:04:05.678Z")), 0);
  EXPECT_EQ(zoned.Compare(*ParseRfc3339("2024-01-02T03:04:05.679Z")), -1);
  EXPECT_EQ(zoned.Compare(*ParseRfc3339("2024-01-02T03:04:04.679Z")), 1);
  EXPECT_EQ(zoned.ToWide().offset, 7200);
  EXPECT_EQ(DatetimeToRfc3339(Instant::FromWide(zoned.ToWide())), "2024-01-02T05:04:05.678+02:00");
  EXPECT_EQ(before.ToWide().offset, WideDatetime::kNoOffset);
  EXPECT_FALSE(Instant::FromWide(before.ToWide()).has_zone);
}

TEST(InstantTest, PrintsItself) {
  EXPECT_EQ(DatetimeToString(*ParseRfc3339("2024-01-02T03:04:05.120Z")),
            "2024-01-02 03:04:05.12 +0000 UTC");
  EXPECT_EQ(DatetimeToString(*ParseRfc3339("2024-01-02T03:04:05.123456789+02:00")),
            "2024-01-02 03:04:05.123456789 +0200 +0200");
  Instant named;
  named.has_zone = true;
  named.offset = -18000;
  named.zone_name = "EST";
  EXPECT_EQ(DatetimeToString(named), "1969-12-31 19:00:00 -0500 EST");
  EXPECT_EQ(DatetimeToRfc3339(Instant::FromMillis(kZeroMomentMillis)), "0001-01-01T00:00:00Z");
}

TEST(TimeLayoutTest, AgreesWithGo) {
  for (const nlohmann::json& row : ReadCases("go_time_cases.jsonl")) {
    SCOPED_TRACE(row.dump());
    const std::string layout_text = row["layout"];
    const TimeLayout layout = TimeLayout::Compile(layout_text);
    if (row["kind"] == "format") {
      const Instant instant = MomentOf(row["time"]);
      EXPECT_EQ(FormatWith(layout_text, instant), row["result"]);
      continue;
    }
    const std::string text = row["text"];
    const Result<Instant> parsed = layout.Parse(text);
    int64_t millis = 0;
    const bool fast = layout.TryParseMillis(text.data(), text.data() + text.size(), &millis);
    if (row.contains("error")) {
      EXPECT_FALSE(parsed.ok()) << DatetimeToString(*parsed);
      EXPECT_EQ(InfoOf(parsed.status()).error_class, "bad_time_text");
      EXPECT_FALSE(fast);
      continue;
    }
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    const Instant expected = MomentOf(row["time"]);
    EXPECT_EQ(parsed->seconds, expected.seconds);
    EXPECT_EQ(parsed->nanos, expected.nanos);
    EXPECT_EQ(parsed->has_zone, expected.has_zone);
    EXPECT_EQ(parsed->offset, expected.offset);
    EXPECT_EQ(parsed->zone_name, expected.zone_name);
    if (fast) {
      EXPECT_EQ(millis, expected.ToMillisFloor());
    }
  }
}

TEST(TimeLayoutTest, AgreesWithExpressionCases) {
  int checked = 0;
  for (const nlohmann::json& row : ReadCases("expr_cases.jsonl")) {
    const std::string expression = row["expr"];
    const bool is_format = expression == "time.Format(r.t, r.l)";
    const bool is_parse = expression == "time.Parse(r.l, r.s)";
    if (!is_format && !is_parse) {
      continue;
    }
    ++checked;
    SCOPED_TRACE(row.dump());
    const TimeLayout layout = TimeLayout::Compile(row["vars"]["r.l"]["value"].get<std::string>());
    if (is_format) {
      std::string text;
      layout.Format(*ParseRfc3339(row["vars"]["r.t"]["value"].get<std::string>()), &text);
      EXPECT_EQ(text, row["result"]["value"]);
      continue;
    }
    const Result<Instant> parsed = layout.Parse(row["vars"]["r.s"]["value"].get<std::string>());
    if (row.contains("error")) {
      EXPECT_EQ(InfoOf(parsed.status()).error_class, row["error"]);
    } else {
      ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
      EXPECT_EQ(DatetimeToRfc3339(*parsed), row["result"]["value"]);
    }
  }
  EXPECT_GT(checked, 70);
}

TEST(TimeLayoutTest, EmptyLayouts) {
  EXPECT_TRUE(TimeLayout().Parse("").ok());
  EXPECT_FALSE(TimeLayout().Parse("x").ok());
  EXPECT_EQ(FormatMillisWith("", 0), "");
  EXPECT_EQ(FormatMillisWith("%s", 0), "%s");
}

TEST(TimeLayoutTest, FastPathsAgreeWithTheSlowOnes) {
  const char* layouts[] = {"2006-01-02 15:04:05",
                           "2006-01-02T15:04:05.000",
                           "2006-01-02",
                           "20060102150405",
                           "02.01.2006 15:04",
                           "15:04:05",
                           "2006-01-02 15:04:05,000000",
                           "05 04 15 02 01 2006 .000000000",
                           "2006-01-02T15:04:05.00Z",
                           "2006-01-02 15:04:05.0",
                           "01/02/2006 15h04m05s"};
  std::mt19937_64 random(11);
  for (const char* layout_text : layouts) {
    const TimeLayout layout = TimeLayout::Compile(layout_text);
    int accepted = 0;
    for (int i = 0; i < 5000; ++i) {
      const int64_t millis =
          kZeroMomentMillis + static_cast<int64_t>(random() % (3652059ull * kMillisPerDay));
      std::string text;
      layout.FormatMillis(millis, &text);
      ASSERT_EQ(text, FormatWith(layout_text, Instant::FromMillis(millis)));
      for (uint64_t changes = random() % 3; changes > 0; --changes) {
        text[random() % text.size()] = "0123456789/:.,;@ \xff"[random() % 18];
      }
      int64_t fast = 0;
      if (layout.TryParseMillis(text.data(), text.data() + text.size(), &fast)) {
        ++accepted;
        const Result<Instant> slow = layout.Parse(text);
        ASSERT_TRUE(slow.ok()) << text << ": " << slow.status().ToString();
        ASSERT_EQ(fast, slow->ToMillisFloor()) << text;
      } else if (layout.Parse(text).ok()) {
        // The fast path may leave texts of another form to Parse: ',' for '.', one-digit hours.
        ASSERT_TRUE(text.find_first_of(",.: ") != std::string::npos) << text;
      }
    }
    EXPECT_GT(accepted, 1000) << layout_text;
  }
}

TEST(TimeLayoutTest, FastPathRefusesWhatIsWrong) {
  const TimeLayout layout = TimeLayout::Compile("2006-01-02 15:04:05");
  int64_t millis = 0;
  for (const std::string text :
       {"", "2024-01-02", "2023-02-29 00:00:00", "2024-02-30 00:00:00", "2024-04-31 00:00:00",
        "2024-13-01 00:00:00", "2024-00-01 00:00:00", "2024-01-00 00:00:00", "2024-01-32 00:00:00",
        "2024-01-01 24:00:00", "2024-01-01 00:60:00", "2024-01-01 00:00:60", "2024/01/01 00:00:00",
        "2024-01-01T00:00:00", "2024-01-01 00:00:0x", "2024-01-01 00:00:00 ",
        "\xb2"
        "024-01-01 00:00:00"}) {
    EXPECT_FALSE(layout.TryParseMillis(text.data(), text.data() + text.size(), &millis)) << text;
  }
  for (const std::string text : {"0000-02-29 00:00:00", "9999-12-31 23:59:59",
                                 "1900-02-28 00:00:00", "2000-02-29 12:00:00"}) {
    ASSERT_TRUE(layout.TryParseMillis(text.data(), text.data() + text.size(), &millis)) << text;
    EXPECT_EQ(FormatMillisWith("2006-01-02 15:04:05", millis), text);
  }
}

TEST(TimeLayoutTest, YearsOutsideFourDigits) {
  const int64_t year_10000 = DaysFromCivil(10000, 1, 1) * kMillisPerDay;
  EXPECT_EQ(FormatMillisWith("2006-01-02", year_10000), "10000-01-01");
  EXPECT_EQ(FormatMillisWith("2006-01-02", DaysFromCivil(-5, 1, 1) * kMillisPerDay), "-0005-01-01");
}

/// Go also reads "-5" as a two-digit year; a sign is no digit here.
TEST(TimeLayoutTest, TwoDigitYearsHaveNoSign) {
  EXPECT_FALSE(TimeLayout::Compile("06-1-2").Parse("-5-1-2").ok());
  EXPECT_FALSE(TimeLayout::Compile("1/2/06").Parse("1/1/+5").ok());
}

TEST(TimeLayoutTest, ErrorsNameTextAndLayout) {
  const Status status = TimeLayout::Compile("2006-01-02").Parse("2023-02-29").status();
  EXPECT_NE(status.message().find("2023-02-29"), std::string::npos);
  EXPECT_NE(status.message().find("2006-01-02"), std::string::npos);
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
}

}  // namespace
}  // namespace capi::data
