#include "capi/formats/parquet_reader.h"

#include <array>
#include <cstring>
#include <limits>

#include "arrow/array/array_base.h"
#include "arrow/type.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/data/go_format.h"
#include "capi/formats/parquet_test_fixture.h"

namespace capi::formats {
namespace {

using data::FieldType;
using parquet::LogicalType;
using Rows = std::vector<std::vector<std::string>>;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

class ParquetReaderTest : public ::testing::Test {
 protected:
  ParquetOutcome Read(const std::string& file, std::vector<ParquetColumn> columns,
                      int64_t slice_rows = 1 << 17) {
    ParquetReadOptions options;
    options.file_name = "in.parquet";
    options.columns = std::move(columns);
    options.slice_rows = slice_rows;
    return ReadAll(&context_, file, options);
  }
  /// Values of column "c" of a file, read as `type`.
  std::vector<std::string> Column(const ParquetFileMaker& maker, FieldType type) {
    const ParquetOutcome outcome =
        Read(maker.Make(), {WantedColumn("c", type, data::ZeroValue(type))});
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.ToString();
    std::vector<std::string> texts;
    for (const auto& row : outcome.rows) texts.push_back(row[0]);
    return texts;
  }
  std::string ErrorOf(const std::string& file, std::vector<ParquetColumn> columns,
                      const std::string& error_class) {
    const ParquetOutcome outcome = Read(file, std::move(columns));
    EXPECT_FALSE(outcome.status.ok());
    const ErrorInfo info = InfoOf(outcome.status);
    EXPECT_EQ(info.kind, ErrorKind::kUser) << outcome.status.ToString();
    EXPECT_EQ(info.error_class, error_class) << outcome.status.ToString();
    return outcome.status.message();
  }
  TestContext context_{2};
};

using Texts = std::vector<std::string>;

/// Points into the text.
parquet::ByteArray Bytes(std::string_view text) {
  return {static_cast<uint32_t>(text.size()), reinterpret_cast<const uint8_t*>(text.data())};
}

TEST_F(ParquetReaderTest, WholeNumbersOfAllWidths) {
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int32Type>("c", LogicalType::None(), {-1, 7}),
                   FieldType::kInt),
            (Texts{"-1", "7"}));
  EXPECT_EQ(
      Column(ParquetFileMaker().Add<parquet::Int32Type>("c", LogicalType::Int(32, false), {-1, 7}),
             FieldType::kInt),
      (Texts{"4294967295", "7"}));
  EXPECT_EQ(
      Column(ParquetFileMaker().Add<parquet::Int32Type>("c", LogicalType::Int(8, true), {-128}),
             FieldType::kInt),
      (Texts{"-128"}));
  EXPECT_EQ(
      Column(ParquetFileMaker().Add<parquet::Int64Type>("c", LogicalType::None(), {kMin, kMax}),
             FieldType::kInt),
      (Texts{"-9223372036854775808", "9223372036854775807"}));
  EXPECT_EQ(
      Column(ParquetFileMaker().Add<parquet::Int64Type>("c", LogicalType::Int(64, false), {kMax}),
             FieldType::kDecimal2),
      (Texts{"9223372036854775807"}));
}

TEST_F(ParquetReaderTest, UnsignedNumberBeyond64Bits) {
  const std::string file =
      ParquetFileMaker().Add<parquet::Int64Type>("c", LogicalType::Int(64, false), {1, -1}).Make();
  const std::string message =
      ErrorOf(file, {WantedColumn("c", FieldType::kInt, int64_t{0})}, "number_out_of_range");
  EXPECT_NE(message.find("in.parquet, column \"c\""), std::string::npos) << message;
  EXPECT_NE(message.find("row 2: "), std::string::npos) << message;
  EXPECT_NE(message.find("18446744073709551615"), std::string::npos) << message;
}

TEST_F(ParquetReaderTest, DecimalsOfEveryPhysicalType) {
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int32Type>("c", LogicalType::Decimal(4, 2),
                                                              {1005, -1}),
                   FieldType::kDecimal2),
            (Texts{"10.05", "-0.01"}));
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int64Type>("c", LogicalType::Decimal(18, 3),
                                                              {1005, -1005, 1004}),
                   FieldType::kDecimal2),
            (Texts{"1.01", "-1.01", "1"}));
  // Oddity 7 of the formats specification: two's complement from the first bit on.
  const std::string short_bytes("\x10\x00\x80\x00", 4);
  const auto* bytes = reinterpret_cast<const uint8_t*>(short_bytes.data());
  EXPECT_EQ(
      Column(ParquetFileMaker().Add<parquet::FLBAType>(
                 "c", LogicalType::Decimal(4, 2),
                 {parquet::FixedLenByteArray(bytes), parquet::FixedLenByteArray(bytes + 2)}, {}, 2),
             FieldType::kDecimal2),
      (Texts{"40.96", "-327.68"}));
  const std::string wide = std::string(16, '\0') + std::string("\x01") + std::string(8, '\0');
  const std::string minus(20, '\xff');
  const std::string none;
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::ByteArrayType>(
                       "c", LogicalType::Decimal(60, 2), {Bytes(wide), Bytes(minus), Bytes(none)}),
                   FieldType::kDecimal2),
            (Texts{"184467440737095516.16", "-0.01", "0"}));
}

TEST_F(ParquetReaderTest, DecimalsOf256BitsAreRoundedWhenTheyFit) {
  // 2^136 with 20 decimals.
  const std::string wide = std::string("\x01") + std::string(17, '\0');
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::ByteArrayType>("c", LogicalType::Decimal(60, 20),
                                                                  {Bytes(wide)}),
                   FieldType::kDecimal2),
            (Texts{"871122859317602466466.24"}));
  const std::string file =
      ParquetFileMaker()
          .Add<parquet::ByteArrayType>("c", LogicalType::Decimal(60, 2), {Bytes(wide)})
          .Make();
  const std::string message = ErrorOf(
      file, {WantedColumn("c", FieldType::kDecimal2, data::BigDecimal())}, "number_out_of_range");
  EXPECT_NE(message.find("0x01000000"), std::string::npos) << message;
}

TEST_F(ParquetReaderTest, MomentsOfAllUnits) {
  using Unit = LogicalType::TimeUnit;
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int64Type>(
                       "c", LogicalType::Timestamp(true, Unit::MILLIS), {-1, 1500}),
                   FieldType::kDatetime),
            (Texts{"1969-12-31 23:59:59.999 +0000 UTC", "1970-01-01 00:00:01.5 +0000 UTC"}));
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int64Type>(
                       "c", LogicalType::Timestamp(false, Unit::MICROS), {1000, -1}),
                   FieldType::kDatetime),
            (Texts{"1970-01-01 00:00:00.001 +0000 UTC", "1969-12-31 23:59:59.999999 +0000 UTC"}));
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int64Type>(
                       "c", LogicalType::Timestamp(false, Unit::NANOS), {1}),
                   FieldType::kDatetime),
            (Texts{"1970-01-01 00:00:00.000000001 +0000 UTC"}));
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int32Type>("c", LogicalType::Date(), {-719162}),
                   FieldType::kDatetime),
            (Texts{"0001-01-01 00:00:00 +0000 UTC"}));
}

TEST_F(ParquetReaderTest, Int96) {
  parquet::Int96 value;
  const int64_t nanos = 1;
  std::memcpy(value.value.data(), &nanos, sizeof(nanos));
  value.value[2] = 2440589;  // 1970-01-02
  EXPECT_EQ(Column(ParquetFileMaker().Add<parquet::Int96Type>("c", LogicalType::None(), {value}),
                   FieldType::kDatetime),
            (Texts{"1970-01-02 00:00:00.000000001 +0000 UTC"}));
}

TEST_F(ParquetReaderTest, MomentOutsideOfTheYears) {
  const std::string file =
      ParquetFileMaker()
          .Add<parquet::Int64Type>("c", LogicalType::Timestamp(true, LogicalType::TimeUnit::MILLIS),
                                   {253402300800000})
          .Make();
  ErrorOf(file, {WantedColumn("c", FieldType::kDatetime, data::Instant())},
          "datetime_out_of_range");
}

TEST_F(ParquetReaderTest, NullsBecomeTheDefault) {
  const std::string file =
      ParquetFileMaker()
          .Add<parquet::Int32Type>("i", LogicalType::None(), {5}, {0, 1, 0})
          .Add<parquet::DoubleType>("f", LogicalType::None(), {1.5, 2.5}, {1, 0, 1})
          .Add<parquet::ByteArrayType>("s", LogicalType::String(), {Bytes("x")}, {0, 0, 1})
          .Add<parquet::BooleanType>("b", LogicalType::None(), {}, {0, 0, 0})
          .Make();
  const ParquetOutcome outcome =
      Read(file, {WantedColumn("i", FieldType::kInt, int64_t{-1}),
                  WantedColumn("f", FieldType::kFloat, 0.5),
                  WantedColumn("s", FieldType::kString, std::string("none")),
                  WantedColumn("b", FieldType::kBool, true)});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  EXPECT_EQ(outcome.rows, (Rows{{"-1", "1.5", "none", "true"},
                                {"5", "0.5", "none", "true"},
                                {"-1", "2.5", "x", "true"}}));
  for (const auto& column : outcome.batches.at(0)->columns()) {
    EXPECT_EQ(column->null_count(), 0);
    EXPECT_EQ(column->offset(), 0);
  }
}

TEST_F(ParquetReaderTest, CodedTextStaysCodedWhereValuesRepeat) {
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back("value " + std::to_string(i % 4));
  std::vector<parquet::ByteArray> values;
  for (const std::string& text : texts) values.push_back(Bytes(text));
  ParquetFileMaker maker;
  maker.Add<parquet::ByteArrayType>("c", LogicalType::String(), values);
  const std::vector<ParquetColumn> wanted = {WantedColumn("c", FieldType::kString, std::string())};
  const ParquetOutcome coded = Read(maker.Make(), wanted);
  ASSERT_TRUE(coded.status.ok()) << coded.status.ToString();
  EXPECT_EQ(coded.batches.at(0)->column(0)->type_id(), arrow::Type::DICTIONARY);
  ParquetFileMaker::Properties plain;
  plain.disable_dictionary();
  const ParquetOutcome decoded = Read(maker.Make(plain), wanted);
  ASSERT_TRUE(decoded.status.ok()) << decoded.status.ToString();
  EXPECT_EQ(decoded.batches.at(0)->column(0)->type_id(), arrow::Type::STRING);
  EXPECT_EQ(decoded.rows, coded.rows);
  EXPECT_EQ(coded.rows.at(99).at(0), "value 3");
}

TEST_F(ParquetReaderTest, SlicesGiveTheSameRowsInOrder) {
  constexpr int kRows = 20000;
  std::vector<int64_t> numbers;
  std::vector<std::string> texts;
  std::vector<int16_t> present;
  std::vector<int32_t> odd;
  for (int i = 0; i < kRows; ++i) {
    numbers.push_back(i);
    texts.push_back("t" + std::to_string(i % 97));
    present.push_back(static_cast<int16_t>(i % 3 != 0));
    if (i % 3 != 0) odd.push_back(i);
  }
  std::vector<parquet::ByteArray> values;
  for (const std::string& text : texts) values.push_back(Bytes(text));
  ParquetFileMaker maker;
  maker.Add<parquet::Int64Type>("n", LogicalType::None(), numbers)
      .Add<parquet::ByteArrayType>("s", LogicalType::String(), values)
      .Add<parquet::Int32Type>("o", LogicalType::None(), odd, present);
  const std::vector<ParquetColumn> wanted = {WantedColumn("n", FieldType::kInt, int64_t{0}),
                                             WantedColumn("s", FieldType::kString, std::string()),
                                             WantedColumn("o", FieldType::kInt, int64_t{-1})};
  for (const int64_t page_bytes : {int64_t{1} << 20, int64_t{700}}) {
    for (const int64_t slice_rows : {1 << 17, 1000, 77}) {
      ParquetFileMaker::Properties properties;
      properties.data_pagesize(page_bytes)->write_batch_size(50);
      const ParquetOutcome outcome = Read(maker.Make(properties), wanted, slice_rows);
      ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
      ASSERT_EQ(outcome.rows.size(), static_cast<size_t>(kRows));
      EXPECT_EQ(outcome.statistics.rows, kRows);
      for (int i = 0; i < kRows; ++i) {
        ASSERT_EQ(outcome.rows[i], (std::vector<std::string>{std::to_string(i), texts[i],
                                                             std::to_string(i % 3 == 0 ? -1 : i)}));
      }
      int64_t first_row = 0;
      for (size_t i = 0; i < outcome.batches.size(); ++i) {
        EXPECT_EQ(outcome.first_rows[i], first_row);
        first_row += outcome.batches[i]->num_rows();
      }
    }
  }
}

TEST_F(ParquetReaderTest, RowsBeforeABadOneGoFirst) {
  const std::string file =
      ParquetFileMaker()
          .Add<parquet::Int64Type>("a", LogicalType::Int(64, false), {1, 2, 3, -1})
          .Add<parquet::Int64Type>("b", LogicalType::Int(64, false), {1, 2, -1, 4})
          .Make();
  const ParquetOutcome outcome = Read(file, {WantedColumn("a", FieldType::kInt, int64_t{0}),
                                             WantedColumn("b", FieldType::kInt, int64_t{0})});
  EXPECT_EQ(outcome.rows, (Rows{{"1", "1"}, {"2", "2"}}));
  EXPECT_NE(outcome.status.message().find("column \"b\""), std::string::npos)
      << outcome.status.ToString();
  EXPECT_NE(outcome.status.message().find("row 3"), std::string::npos);
}

TEST_F(ParquetReaderTest, ColumnsThatDoNotFit) {
  const std::string file =
      ParquetFileMaker()
          .Add<parquet::Int64Type>("price", LogicalType::Decimal(18, 2), {1})
          .Add<parquet::FLBAType>(
              "id", LogicalType::UUID(),
              {parquet::FixedLenByteArray(reinterpret_cast<const uint8_t*>("0123456789abcdef"))},
              {}, 16)
          .Make();
  std::string message =
      ErrorOf(file, {WantedColumn("prise", FieldType::kDecimal2, data::BigDecimal())},
              "parquet_missing_column");
  EXPECT_EQ(message,
            "no such column in the Parquet file: in.parquet, column \"prise\"; did you mean "
            "price?");
  message =
      ErrorOf(file, {WantedColumn("price", FieldType::kInt, int64_t{0})}, "parquet_type_mismatch");
  EXPECT_EQ(message,
            "a column of the Parquet file has another type than col_type says: in.parquet, column "
            "\"price\" of type INT64 Decimal(precision=18, scale=2) is read as decimal2, col_type "
            "of price is int");
  ErrorOf(file, {WantedColumn("id", FieldType::kString, std::string())},
          "parquet_unsupported_type");
  // A column that is not wanted is checked all the same.
  ParquetColumn unwanted = WantedColumn("prise", FieldType::kInt, int64_t{0});
  unwanted.wanted = false;
  ErrorOf(file, {WantedColumn("price", FieldType::kDecimal2, data::BigDecimal()), unwanted},
          "parquet_missing_column");
}

TEST_F(ParquetReaderTest, EveryCutIsRefused) {
  const std::string file =
      ParquetFileMaker().Add<parquet::Int64Type>("c", LogicalType::None(), {1, 2, 3}).Make();
  const std::vector<ParquetColumn> wanted = {WantedColumn("c", FieldType::kInt, int64_t{0})};
  for (size_t size = 0; size < file.size(); ++size) {
    const ParquetOutcome outcome = Read(file.substr(0, size), wanted);
    ASSERT_EQ(InfoOf(outcome.status).error_class, "bad_parquet") << size;
  }
}

TEST_F(ParquetReaderTest, DamagedBytesNeverCrash) {
  ParquetFileMaker maker;
  std::vector<int64_t> numbers(500, 7);
  std::vector<parquet::ByteArray> texts(500, Bytes("text"));
  maker.Add<parquet::Int64Type>("n", LogicalType::None(), numbers)
      .Add<parquet::ByteArrayType>("s", LogicalType::String(), texts);
  const std::string file = maker.Make();
  const std::vector<ParquetColumn> wanted = {WantedColumn("n", FieldType::kInt, int64_t{0}),
                                             WantedColumn("s", FieldType::kString, std::string())};
  for (size_t i = 0; i < file.size(); ++i) {
    for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(static_cast<unsigned char>(damaged[i]) ^ change);
      const ParquetOutcome outcome = Read(damaged, wanted, 100);
      if (!outcome.status.ok()) {
        EXPECT_NE(KindOf(outcome.status), ErrorKind::kBug) << i << outcome.status.ToString();
      }
    }
  }
}

TEST_F(ParquetReaderTest, Inspect) {
  const std::string file = ParquetFileMaker()
                               .Add<parquet::Int64Type>("price", LogicalType::Decimal(18, 2), {1})
                               .Add<parquet::Int32Type>("day", LogicalType::Date(), {1})
                               .Add<parquet::Int32Type>("nothing", LogicalType::Null(), {}, {0})
                               .Make();
  const ParquetInfo info = InspectParquet(file, "in.parquet").ValueOrDie();
  EXPECT_EQ(info.num_rows, 1);
  ASSERT_EQ(info.columns.size(), 3U);
  EXPECT_EQ(info.columns[0].name, "price");
  EXPECT_EQ(info.columns[0].type, FieldType::kDecimal2);
  EXPECT_EQ(info.columns[0].type_text, "INT64 Decimal(precision=18, scale=2)");
  EXPECT_EQ(info.columns[1].readable_as,
            (std::vector<FieldType>{FieldType::kInt, FieldType::kDatetime}));
  EXPECT_EQ(info.columns[2].type, std::nullopt);
  EXPECT_EQ(info.columns[2].readable_as.size(), 6U);
  EXPECT_EQ(InfoOf(InspectParquet("no", "in.parquet").status()).error_class, "bad_parquet");
}

}  // namespace
}  // namespace capi::formats
