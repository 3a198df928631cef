#include "capi/formats/csv_writer.h"

#include <numeric>
#include <random>

#include "arrow/array/array_base.h"
#include "arrow/array/array_binary.h"
#include "arrow/array/array_dict.h"
#include "arrow/array/array_primitive.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/data/column.h"
#include "capi/formats/csv_cell_format_internal.h"
#include "capi/formats/csv_quoting_internal.h"
#include "capi/formats/csv_reader.h"
#include "gtest/gtest.h"

namespace capi::formats {
namespace {

using data::FieldType;
using Arrays = std::vector<std::shared_ptr<arrow::Array>>;

std::shared_ptr<arrow::Array> Values(FieldType type, std::vector<data::Value> values) {
  Arrays pieces;
  for (const data::Value& value : values) {
    pieces.push_back(data::ConstantColumn(type, value, 1).ValueOrDie());
  }
  std::shared_ptr<arrow::Array> column = data::Concatenate(pieces).ValueOrDie();
  return type == FieldType::kString ? data::ToPlainString(column).ValueOrDie() : column;
}

/// The same texts as a dictionary column with one entry per row and some that are not used.
std::shared_ptr<arrow::Array> AsDictionary(const arrow::Array& plain) {
  std::vector<int32_t> codes(static_cast<size_t>(plain.length()));
  std::iota(codes.begin(), codes.end(), 0);
  auto coded = arrow::ArrayData::Make(data::DictionaryArrowType(), plain.length(),
                                      {nullptr, arrow::Buffer::FromVector(std::move(codes))}, 0);
  coded->dictionary = plain.data();
  return arrow::MakeArray(coded);
}

CsvOutputColumn Column(const std::string& header, FieldType type, const std::string& format) {
  return {{header, type}, header, format};
}

std::string RowsText(const CsvWriteOptions& options, const Arrays& columns) {
  std::string out;
  const auto formatter = CsvFormatter::Make(options).ValueOrDie();
  const Status status = formatter->AppendRows(columns, columns.at(0)->length(), &out);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return out;
}

TEST(CsvWriter, HeaderEndsWithCrLfAndRowsWithLf) {
  CsvWriteOptions options;
  options.columns = {Column("id", FieldType::kInt, "%05d"),
                     Column("q,uote", FieldType::kString, "%s")};
  std::string out;
  CsvFormatter::Make(options).ValueOrDie()->AppendHeader(&out);
  EXPECT_EQ(out, "id,\"q,uote\"\r\n");
  const Arrays columns = {Values(FieldType::kInt, {int64_t{7}, int64_t{-8}}),
                          Values(FieldType::kString, {std::string("x"), std::string("")})};
  EXPECT_EQ(RowsText(options, columns), "00007,x\n-0008,\n");
  options.crlf = true;
  EXPECT_EQ(RowsText(options, columns), "00007,x\r\n-0008,\r\n");
}

TEST(CsvWriter, QuotesWhatWouldNotReadBack) {
  CsvWriteOptions options;
  options.columns = {Column("a", FieldType::kString, "%s"), Column("b", FieldType::kString, "%s")};
  const Arrays columns = {
      Values(FieldType::kString,
             {std::string("a,b"), std::string("e\"f"), std::string("g\nh"), std::string("i\rj"),
              std::string("a text longer than one vector with, a comma"), std::string(" plain ")}),
      Values(FieldType::kString, {std::string("\""), std::string(";"), std::string(","),
                                  std::string(""), std::string("x"), std::string("y")})};
  EXPECT_EQ(RowsText(options, columns),
            "\"a,b\",\"\"\"\"\n\"e\"\"f\",;\n\"g\nh\",\",\"\n\"i\rj\",\n"
            "\"a text longer than one vector with, a comma\",x\n plain ,y\n");
}

TEST(CsvWriter, QuotesForOtherSeparators) {
  CsvWriteOptions options;
  options.separator = ";";
  options.columns = {Column("a", FieldType::kString, "%s"),
                     Column("b", FieldType::kString, "<%s>")};
  const auto text = Values(FieldType::kString, {std::string("a,b;c"), std::string("a,b")});
  EXPECT_EQ(RowsText(options, {text, text}), "\"a,b;c\";\"<a,b;c>\"\na,b;<a,b>\n");
  options.separator = "||";
  const auto bars = Values(FieldType::kString, {std::string("a|b"), std::string("a||b")});
  EXPECT_EQ(RowsText(options, {bars, bars}), "a|b||<a|b>\n\"a||b\"||\"<a||b>\"\n");
}

TEST(CsvWriter, NumbersAreQuotedWhenTheSeparatorIsInThem) {
  const Arrays columns = {Values(FieldType::kInt, {int64_t{-5}}),
                          Values(FieldType::kDecimal2, {data::BigDecimal::FromInt(1)}),
                          Values(FieldType::kFloat, {1.5})};
  CsvWriteOptions options;
  options.columns = {Column("a", FieldType::kInt, "%d"), Column("b", FieldType::kDecimal2, "%s"),
                     Column("c", FieldType::kFloat, "%.1f")};
  options.separator = ".";
  EXPECT_EQ(RowsText(options, columns), "-5.\"1.00\".\"1.5\"\n");
  options.separator = "-";
  EXPECT_EQ(RowsText(options, columns), "\"-5\"-1.00-1.5\n");
  options.separator = ",";
  options.columns[0].format = "%d, or so";
  options.columns[1].format = "\"%s\"";
  EXPECT_EQ(RowsText(options, columns), "\"-5, or so\",\"\"\"1.00\"\"\",1.5\n");
}

TEST(CsvWriter, DatetimesOutsideOfFourDigitYearsGoByTheRules) {
  CsvWriteOptions options;
  options.columns = {Column("t", FieldType::kDatetime, "2006-01-02 15:04:05.000")};
  data::Instant late;
  late.seconds = data::DaysFromCivil(12345, 6, 7) * 86400;
  EXPECT_EQ(RowsText(options, {Values(FieldType::kDatetime,
                                      {data::Instant::FromMillis(data::kZeroMomentMillis), late})}),
            "0001-01-01 00:00:00.000\n12345-06-07 00:00:00.000\n");
}

TEST(CsvWriter, WideLayoutsPrintLikeNarrowOnes) {
  CsvWriteOptions options;
  options.columns = {Column("d", FieldType::kDecimal2, "%10s"),
                     Column("t", FieldType::kDatetime, "2006-01-02T15:04:05.000Z07:00")};
  data::Instant zoned = data::Instant::FromMillis(1704164645678);
  zoned.nanos += 1;
  zoned.offset = 7200;
  zoned.has_zone = true;
  const auto large = data::BigDecimal::Parse("12345678901234567890.5").ValueOrDie();
  EXPECT_EQ(RowsText(options, {Values(FieldType::kDecimal2, {large, data::BigDecimal::FromInt(-1)}),
                               Values(FieldType::kDatetime,
                                      {zoned, data::Instant::FromMillis(1704164645678)})}),
            "12345678901234567890.50,2024-01-02T05:04:05.678+02:00\n"
            "     -1.00,2024-01-02T03:04:05.678Z\n");
}

TEST(CsvWriter, WrongSeparatorsAreRefused) {
  for (const std::string separator : {"", "\"", "\n", "a\r"}) {
    CsvWriteOptions options;
    options.separator = separator;
    EXPECT_EQ(InfoOf(CsvFormatter::Make(options).status()).error_class, "csv_bad_separator");
  }
}

TEST(CsvWriter, WrongColumnsAreBugs) {
  CsvWriteOptions options;
  options.columns = {Column("a", FieldType::kInt, "%d")};
  const auto formatter = CsvFormatter::Make(options).ValueOrDie();
  std::string out;
  EXPECT_EQ(KindOf(formatter->AppendRows({}, 0, &out)), ErrorKind::kBug);
  EXPECT_EQ(KindOf(formatter->AppendRows({Values(FieldType::kFloat, {1.5})}, 1, &out)),
            ErrorKind::kBug);
}

/// Columns of all types and layouts with formats fast and slow.
struct RandomTable {
  CsvWriteOptions options;
  Arrays columns;
};

RandomTable MakeRandomTable(uint64_t seed, int64_t num_rows) {
  std::mt19937_64 random(seed);
  const auto pick = [&random](const std::vector<std::string>& from) {
    return from[random() % from.size()];
  };
  RandomTable table;
  table.options.separator = pick({",", ",", ";", "\t", "::", "1"});
  std::vector<std::vector<data::Value>> values(6);
  for (int64_t row = 0; row < num_rows; ++row) {
    const int shift = static_cast<int>(random() % 64);
    const auto whole = static_cast<int64_t>(random()) >> shift;
    values[0].emplace_back(whole);
    values[1].emplace_back(static_cast<double>(whole) / 64);
    std::string text;
    for (uint64_t length = random() % 40; length > 0; --length) {
      text += "abcdefghij klmnop,;\"\r\n:\t"[random() % (length % 5 == 0 ? 24 : 17)];
    }
    values[2].emplace_back(text);
    values[3].emplace_back(random() % 2 == 0);
    values[4].emplace_back(data::BigDecimal::FromInt128(whole / 10, 2));
    values[5].emplace_back(data::Instant::FromMillis(
        static_cast<int64_t>(random() % 253402300800000ULL) - 62135596800000));
  }
  const std::vector<std::vector<std::string>> formats = {
      {"%d", "%05d", "%-8d|", "%x", "$%12d", "%v", "%s"},
      {"%f", "%.2f", "%g", "%v", "%d"},
      {"%s", "%s", "%10s", "%q", "[%s]", "%v"},
      {"%t", "%v", "%6t", "%d"},
      {"%s", "%10s", "$%s", "%-12s", "%v", "%d"},
      {"2006-01-02 15:04:05", "2006-01-02T15:04:05.000", "01/02/2006", "Jan _2 2006", "2006-002",
       "15:04:05.000000", "2006-01-02, 03:04 PM", ""}};
  for (size_t column = 0; column < values.size(); ++column) {
    const auto type = static_cast<FieldType>(column);
    table.options.columns.push_back(
        Column("c" + std::to_string(column), type, pick(formats[column])));
    table.columns.push_back(Values(type, values[column]));
  }
  table.options.columns.push_back(Column("coded", FieldType::kString, pick(formats[2])));
  table.columns.push_back(AsDictionary(*table.columns[2]));
  return table;
}

std::string ExpectedRow(const CsvFormatter& formatter, const RandomTable& table, int64_t row) {
  const internal::CsvQuoting quoting(table.options.separator);
  std::string line;
  for (size_t column = 0; column < table.columns.size(); ++column) {
    line += column == 0 ? "" : table.options.separator;
    quoting.Append(
        formatter.CellText(static_cast<int>(column), *table.columns[column], row).ValueOrDie(),
        &line);
  }
  return line + (table.options.crlf ? "\r\n" : "\n");
}

TEST(CsvWriterProperty, FastPathsWriteWhatTheRulesSay) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    RandomTable table = MakeRandomTable(seed, 40);
    table.options.crlf = seed % 3 == 0;
    const auto formatter = CsvFormatter::Make(table.options).ValueOrDie();
    std::string expected;
    for (int64_t row = 0; row < 40; ++row) {
      expected += ExpectedRow(*formatter, table, row);
    }
    std::string out;
    ASSERT_TRUE(formatter->AppendRows(table.columns, 40, &out).ok());
    ASSERT_EQ(out, expected) << "seed " << seed;
  }
}

TEST(CsvWriterProperty, TakenAndSlicedRowsAreTheSameRows) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const RandomTable table = MakeRandomTable(seed, 100);
    const auto formatter = CsvFormatter::Make(table.options).ValueOrDie();
    std::mt19937_64 random(seed);
    std::vector<int32_t> rows;
    std::string expected = "before";
    for (int i = 0; i < 150; ++i) {
      rows.push_back(static_cast<int32_t>(random() % 100));
      expected += ExpectedRow(*formatter, table, rows.back());
    }
    std::string out = "before";
    ASSERT_TRUE(
        formatter
            ->AppendTakenRows(table.columns, rows.data(), static_cast<int64_t>(rows.size()), &out)
            .ok());
    ASSERT_EQ(out, expected) << "seed " << seed;

    Arrays slices;
    for (const auto& column : table.columns) {
      slices.push_back(column->Slice(13, 50));
    }
    std::string sliced;
    ASSERT_TRUE(formatter->AppendRows(slices, 50, &sliced).ok());
    std::string expected_slice;
    for (int64_t row = 13; row < 63; ++row) {
      expected_slice += ExpectedRow(*formatter, table, row);
    }
    ASSERT_EQ(sliced, expected_slice) << "seed " << seed;
  }
}

TEST(CsvWriter, LargeBatchesAndCellsArriveWhole) {
  CsvWriteOptions options;
  options.columns = {Column("a", FieldType::kInt, "%d"), Column("b", FieldType::kString, "%s")};
  std::vector<data::Value> numbers;
  std::vector<data::Value> texts;
  std::string expected;
  for (int64_t row = 0; row < 3000; ++row) {
    numbers.emplace_back(row);
    texts.emplace_back(std::string(static_cast<size_t>(row == 1500 ? 1 << 20 : row % 90), 'x'));
    expected += std::to_string(row) + "," + std::get<std::string>(texts.back()) + "\n";
  }
  EXPECT_EQ(
      RowsText(options, {Values(FieldType::kInt, numbers), Values(FieldType::kString, texts)}),
      expected);
}

TEST(CsvCellFormat, CountsDigits) {
  uint64_t power = 1;
  for (int digits = 1; digits <= 19; ++digits, power *= 10) {
    EXPECT_EQ(internal::CountDigits(power), digits);
    EXPECT_EQ(internal::CountDigits(power * 10 - 1),
              digits == 19 ? 20 - 1 + (power * 10 - 1 < power) : digits);
  }
  EXPECT_EQ(internal::CountDigits(0), 1);
  EXPECT_EQ(internal::CountDigits(UINT64_MAX), 20);
  EXPECT_EQ(internal::CountDigits(9999999999999999999ULL), 19);
  EXPECT_EQ(internal::CountDigits(10000000000000000000ULL), 20);
}

TEST(CsvCellFormat, OnlyUnderstoodFormatsAreShortCuts) {
  for (const char* format : {"", "d", "%", "%d%d", "%+d", "%.2d", "%d%%", "%%%d", "%00d", "%*d",
                             "%999d", "% d", "%#d", "%-05d", "%x"}) {
    EXPECT_FALSE(internal::PaddedFormat::Parse(format, 'd')) << format;
  }
  EXPECT_FALSE(internal::PaddedFormat::Parse("%05s", 's'));
  for (const char* layout : {"Jan 2", "2006-002", "06", "Z07:00", "2006-01-02Z", "05.0000",
                             "05,000", ".000", "2006 2006", "_2", "3:04PM"}) {
    EXPECT_FALSE(internal::FixedTimeFormat::Parse(layout)) << layout;
  }
}

}  // namespace
}  // namespace capi::formats
