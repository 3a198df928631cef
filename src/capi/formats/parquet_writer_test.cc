#include "capi/formats/parquet_writer.h"

#include <algorithm>

#include "arrow/array/array_base.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/type.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/formats/parquet_footer_internal.h"
#include "capi/formats/parquet_test_fixture.h"

namespace capi::formats {
namespace {

using data::FieldType;
using data::Value;
using Rows = std::vector<std::vector<std::string>>;

std::shared_ptr<arrow::Array> Ints(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> TextColumn(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> Constant(FieldType type, const Value& value, int64_t n) {
  return data::ConstantColumn(type, value, n).ValueOrDie();
}

/// Writes a table of (int, string) in blocks of block_rows, flushing when the writer asks for it.
std::string Write(const exec::Context& context, const ParquetWriteOptions& options,
                  const std::vector<int64_t>& numbers, const std::vector<std::string>& texts,
                  size_t block_rows) {
  std::string file;
  const auto writer = ParquetWriter::Make(context, options, [&file](std::string_view bytes) {
                        file.append(bytes);
                        return Status::OK();
                      }).ValueOrDie();
  for (size_t begin = 0; begin < numbers.size(); begin += block_rows) {
    const size_t end = std::min(numbers.size(), begin + block_rows);
    const ParquetColumns columns = {Ints({numbers.begin() + begin, numbers.begin() + end}),
                                    TextColumn({texts.begin() + begin, texts.begin() + end})};
    int64_t bad_row = -1;
    const auto rows = static_cast<int64_t>(end - begin);
    EXPECT_TRUE(writer->Append(writer->Prepare(columns, rows, &bad_row).ValueOrDie(), rows).ok());
    if (writer->Full()) {
      EXPECT_TRUE(writer->Flush().ok());
    }
  }
  EXPECT_TRUE(writer->Finish().ok());
  return file;
}

ParquetWriteOptions NumberAndText() {
  ParquetWriteOptions options;
  options.codec = "snappy";
  options.columns = {{{"n", FieldType::kInt}, "n"}, {{"s", FieldType::kString}, "s"}};
  return options;
}

ParquetOutcome ReadNumberAndText(TestContext* context, const std::string& file) {
  ParquetReadOptions options;
  options.file_name = "out.parquet";
  options.columns = {WantedColumn("n", FieldType::kInt, int64_t{0}),
                     WantedColumn("s", FieldType::kString, std::string())};
  return ReadAll(context, file, options);
}

TEST(ParquetWriter, BytesDependOnRowsOnly) {
  std::vector<int64_t> numbers;
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) {
    numbers.push_back(i % 10 == 0 ? i : i % 7);
    texts.push_back(std::string(static_cast<size_t>(i % 50), 'x') + std::to_string(i));
  }
  ParquetWriteOptions options = NumberAndText();
  options.row_group_rows = 700;
  options.row_group_bytes = 20000;
  std::string expected;
  for (const int threads : {1, 3}) {
    TestContext context(threads);
    for (const size_t block_rows : {1UL, 33UL, 700UL, 5000UL}) {
      const std::string file = Write(*context, options, numbers, texts, block_rows);
      if (expected.empty()) expected = file;
      ASSERT_EQ(file, expected) << block_rows << " rows a block, " << threads << " threads";
    }
  }
  TestContext context(2);
  const ParquetOutcome outcome = ReadNumberAndText(&context, expected);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  ASSERT_EQ(outcome.rows.size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(outcome.rows[i], (std::vector<std::string>{std::to_string(numbers[i]), texts[i]}));
  }
  // 20,000 bytes are less than 700 rows.
  EXPECT_GT(outcome.batches.size(), 8U);
}

TEST(ParquetWriter, NoRows) {
  TestContext context(2);
  const std::string file = Write(*context, NumberAndText(), {}, {}, 10);
  const ParquetOutcome outcome = ReadNumberAndText(&context, file);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  EXPECT_TRUE(outcome.rows.empty());
}

TEST(ParquetWriter, ManyRowGroupsHaveALongList) {
  TestContext context(2);
  ParquetWriteOptions options = NumberAndText();
  options.row_group_rows = 1;
  std::vector<int64_t> numbers(200);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(i);
  const std::string file =
      Write(*context, options, numbers, std::vector<std::string>(numbers.size(), "t"), 64);
  const ParquetOutcome outcome = ReadNumberAndText(&context, file);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  ASSERT_EQ(outcome.rows.size(), numbers.size());
  EXPECT_EQ(outcome.rows[199][0], "199");
}

TEST(ParquetWriter, AllTypesAndTheZeroMoment) {
  TestContext context(1);
  ParquetWriteOptions options;
  options.codec = "uncompressed";
  options.columns = {{{"i", FieldType::kInt}, "i"},      {{"f", FieldType::kFloat}, "f"},
                     {{"b", FieldType::kBool}, "b"},     {{"s", FieldType::kString}, "s"},
                     {{"d", FieldType::kDecimal2}, "d"}, {{"t", FieldType::kDatetime}, "t"},
                     {{"z", FieldType::kDatetime}, "z"}};
  // Half a millisecond more than a millisecond before 1970: floored.
  data::Instant moment;
  moment.seconds = -1;
  moment.nanos = 998500000;
  const auto cents = data::BigDecimal::Parse("-12.34").ValueOrDie();
  std::string file;
  const auto writer = ParquetWriter::Make(*context, options, [&file](std::string_view bytes) {
                        file.append(bytes);
                        return Status::OK();
                      }).ValueOrDie();
  int64_t bad_row = -1;
  const ParquetColumns prepared =
      writer
          ->Prepare(
              {Constant(FieldType::kInt, int64_t{-5}, 3), Constant(FieldType::kFloat, 2.5, 3),
               Constant(FieldType::kBool, true, 3),
               Constant(FieldType::kString, std::string("t\0x", 3), 3),
               Constant(FieldType::kDecimal2, cents, 3), Constant(FieldType::kDatetime, moment, 3),
               Constant(FieldType::kDatetime, data::Instant::FromMillis(data::kZeroMomentMillis),
                        3)},
              3, &bad_row)
          .ValueOrDie();
  ASSERT_TRUE(writer->Append(prepared, 3).ok());
  ASSERT_TRUE(writer->Finish().ok());
  ParquetReadOptions read;
  read.columns = {WantedColumn("i", FieldType::kInt, int64_t{0}),
                  WantedColumn("f", FieldType::kFloat, 0.0),
                  WantedColumn("b", FieldType::kBool, false),
                  WantedColumn("s", FieldType::kString, std::string()),
                  WantedColumn("d", FieldType::kDecimal2, data::BigDecimal()),
                  WantedColumn("t", FieldType::kDatetime, data::Instant()),
                  WantedColumn("z", FieldType::kDatetime, data::Instant::FromMillis(86400000))};
  const ParquetOutcome outcome = ReadAll(&context, file, read);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  EXPECT_EQ(outcome.rows.at(2),
            (std::vector<std::string>{"-5", "2.5", "true", std::string("t\0x", 3), "-12.34",
                                      "1969-12-31 23:59:59.998 +0000 UTC",
                                      "1970-01-02 00:00:00 +0000 UTC"}));
}

TEST(ParquetWriter, LongDecimalIsRefused) {
  TestContext context(1);
  ParquetWriteOptions options;
  options.columns = {{{"d", FieldType::kDecimal2}, "price"}};
  const auto writer = ParquetWriter::Make(*context, options, [](std::string_view) {
                        return Status::OK();
                      }).ValueOrDie();
  const auto fits = data::BigDecimal::Parse("9999999999999999.99").ValueOrDie();
  const auto too_long = data::BigDecimal::Parse("10000000000000000").ValueOrDie();
  int64_t bad_row = -1;
  EXPECT_TRUE(writer->Prepare({Constant(FieldType::kDecimal2, fits, 2)}, 2, &bad_row).ok());
  const auto column = data::Concatenate({Constant(FieldType::kDecimal2, fits, 2),
                                         Constant(FieldType::kDecimal2, too_long, 1)})
                          .ValueOrDie();
  const auto refused = writer->Prepare({column}, 3, &bad_row);
  EXPECT_EQ(InfoOf(refused.status()).error_class, "number_out_of_range");
  EXPECT_EQ(bad_row, 2);
}

TEST(ParquetWriter, BadOptions) {
  TestContext context(1);
  ParquetWriteOptions options = NumberAndText();
  const auto append = [](std::string_view) { return Status::OK(); };
  options.codec = "snapy";
  const Status codec = ParquetWriter::Make(*context, options, append).status();
  EXPECT_EQ(InfoOf(codec).error_class, "bad_codec");
  EXPECT_NE(codec.message().find("did you mean snappy?"), std::string::npos);
  options = NumberAndText();
  options.columns[1].name = "n";
  EXPECT_EQ(InfoOf(ParquetWriter::Make(*context, options, append).status()).error_class,
            "duplicate_column");
}

TEST(ParquetWriter, FailingSinkEndsTheWriting) {
  TestContext context(2);
  const auto writer = ParquetWriter::Make(*context, NumberAndText(), [](std::string_view) {
                        return EnvironmentError("disk full");
                      }).ValueOrDie();
  int64_t bad_row = -1;
  ASSERT_TRUE(
      writer->Append(writer->Prepare({Ints({1}), TextColumn({"a"})}, 1, &bad_row).ValueOrDie(), 1)
          .ok());
  EXPECT_EQ(writer->Finish().message(), "disk full");
}

TEST(ParquetFooter, GarbageIsABug) {
  EXPECT_EQ(KindOf(internal::CutRowGroup("PAR1", 1).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(internal::CutRowGroup("PAR1\xff\xff\xff\xff PAR1", 1).status()),
            ErrorKind::kBug);
  EXPECT_EQ(KindOf(internal::MoveRowGroup("\x19\xfc", 1).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(internal::MakeFileEnd("", 1, {}).status()), ErrorKind::kBug);
}

}  // namespace
}  // namespace capi::formats
