#include "capi/formats/csv_reader.h"

#include <random>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/type.h"
#include "capi/formats/csv_conversion_internal.h"
#include "capi/formats/csv_number_internal.h"
#include "capi/formats/csv_test_fixture.h"

namespace capi::formats {
namespace {

using data::FieldType;

CsvReadOptions ByIndex(std::vector<CsvColumn> columns) {
  CsvReadOptions options;
  options.file_name = "in.csv";
  options.columns = std::move(columns);
  return options;
}

CsvReadOptions ByHeader(std::vector<CsvColumn> columns) {
  CsvReadOptions options = ByIndex(std::move(columns));
  options.by_header = true;
  options.first_data_line = 1;
  return options;
}

using Rows = std::vector<std::vector<std::string>>;

class CsvReaderTest : public ::testing::Test {
 protected:
  ReadOutcome Read(std::string_view text, const CsvReadOptions& options) {
    return ReadAll(&context_, text, options);
  }
  /// Checks that reading fails there with that class, and returns the message.
  std::string ExpectError(std::string_view text, const CsvReadOptions& options,
                          const std::string& error_class, int64_t line, int64_t column) {
    const ReadOutcome outcome = Read(text, options);
    EXPECT_FALSE(outcome.status.ok());
    const ErrorInfo info = InfoOf(outcome.status);
    EXPECT_EQ(info.kind, ErrorKind::kUser) << outcome.status.ToString();
    EXPECT_EQ(info.error_class, error_class) << outcome.status.ToString();
    EXPECT_EQ(info.place.file, "in.csv");
    EXPECT_EQ(info.place.line, line) << outcome.status.ToString();
    EXPECT_EQ(info.place.column, column) << outcome.status.ToString();
    return outcome.status.message();
  }
  TestContext context_{2};
};

TEST_F(CsvReaderTest, ReadsTypedColumnsByHeaderInAnyOrder) {
  const std::string text =
      "id,name,price,when,ok,ratio\r\n"
      "00001,Rex,99.08,2019-01-02 18:28:23,true,0.5\r\n"
      "2,,0.5,,F,1e3\r\n";
  CsvReadOptions options = ByHeader(
      {MakeColumn("ratio", FieldType::kFloat, 0), MakeColumn("name", FieldType::kString, 0),
       MakeColumn("id", FieldType::kInt, 0, "%d"),
       MakeColumn("price", FieldType::kDecimal2, 0, "%f"), MakeColumn("ok", FieldType::kBool, 0),
       MakeColumn("when", FieldType::kDatetime, 0, "2006-01-02 15:04:05")});
  const ReadOutcome outcome = Read(text, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  EXPECT_EQ(outcome.rows,
            (Rows{{"0.5", "Rex", "1", "99.08", "true", "2019-01-02 18:28:23 +0000 UTC"},
                  {"1000", "", "2", "0.5", "false", "0001-01-01 00:00:00 +0000 UTC"}}));
  EXPECT_EQ(outcome.statistics.records, 2);
  EXPECT_EQ(outcome.lines, (std::vector<int64_t>{2, 3}));
  const auto& batch = *outcome.batches.at(0);
  EXPECT_EQ(batch.schema()->field(2)->name(), "id");
  EXPECT_TRUE(batch.column(3)->type()->Equals(data::ArrowTypeOf(FieldType::kDecimal2)));
  EXPECT_TRUE(batch.column(5)->type()->Equals(data::ArrowTypeOf(FieldType::kDatetime)));
  for (const auto& column : batch.columns()) {
    EXPECT_EQ(column->null_count(), 0);
    EXPECT_EQ(column->offset(), 0);
  }
}

TEST_F(CsvReaderTest, ProgressAddsUpToTheFile) {
  const std::string text = "\xEF\xBB\xBFid\n\n1\n2\n\r";
  ASSERT_TRUE(Read(text, ByHeader({MakeColumn("id", FieldType::kInt, 0)})).status.ok());
  EXPECT_EQ(context_.progress().work_done.load(), static_cast<int64_t>(text.size()));
  EXPECT_EQ(context_.progress().rows_in.load(), 2);
}

TEST_F(CsvReaderTest, ByIndexSkipsRecordsNotLines) {
  CsvReadOptions options = ByIndex({MakeColumn("b", FieldType::kString, 1)});
  options.first_data_line = 2;
  const ReadOutcome outcome = Read("x,\"y\nz\"\n\n\nh,h\n1,2\n\n3,4", options);
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.rows, (Rows{{"2"}, {"4"}}));
  EXPECT_EQ(outcome.lines, (std::vector<int64_t>{6, 8}));
}

TEST_F(CsvReaderTest, HeaderMayFollowOtherLines) {
  CsvReadOptions options = ByHeader({MakeColumn("b", FieldType::kString, 0)});
  options.header_line = 1;
  options.first_data_line = 3;
  const ReadOutcome outcome = Read("p,q\na,b\nskipped,x\n1,2\n", options);
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.rows, (Rows{{"2"}}));
}

TEST_F(CsvReaderTest, DataLinesBeforeTheHeaderReadTheFirstCell) {
  CsvReadOptions options =
      ByHeader({MakeColumn("b", FieldType::kString, 0), MakeColumn("a", FieldType::kString, 0)});
  options.header_line = 2;
  options.first_data_line = 0;
  EXPECT_EQ(Read("p,q\nr,s\na,b\n1,2\n", options).rows, (Rows{{"p", "p"}, {"r", "r"}, {"2", "1"}}));
  options.first_data_line = 1;
  EXPECT_EQ(Read("p,q\nr,s\na,b\n1,2\n", options).rows, (Rows{{"r", "r"}, {"2", "1"}}));
}

TEST_F(CsvReaderTest, TheLastOfEqualHeadersWins) {
  const ReadOutcome outcome =
      Read("name,id,name\nx,1,y\n", ByHeader({MakeColumn("name", FieldType::kString, 0)}));
  EXPECT_EQ(outcome.rows, (Rows{{"y"}}));
}

TEST_F(CsvReaderTest, ByteOrderMarkIsDropped) {
  const ReadOutcome outcome =
      Read("\xEF\xBB\xBFid,a\n1,2\n", ByHeader({MakeColumn("id", FieldType::kInt, 0)}));
  EXPECT_EQ(outcome.rows, (Rows{{"1"}}));
}

TEST_F(CsvReaderTest, FilesWithoutDataGiveNoRows) {
  const CsvReadOptions by_index = ByIndex({MakeColumn("a", FieldType::kInt, 3)});
  for (const std::string_view text : {"", "\n\r\n", "\r", "\xEF\xBB\xBF"}) {
    const ReadOutcome outcome = Read(text, by_index);
    EXPECT_TRUE(outcome.status.ok());
    EXPECT_TRUE(outcome.batches.empty());
  }
  const CsvReadOptions by_header = ByHeader({MakeColumn("id", FieldType::kInt, 0)});
  for (const std::string_view text : {"id", "id\n", "id\r\n\r\n\n"}) {
    const ReadOutcome outcome = Read(text, by_header);
    EXPECT_TRUE(outcome.status.ok());
    EXPECT_TRUE(outcome.batches.empty());
  }
}

TEST_F(CsvReaderTest, FileWithoutColumnsCountsRecords) {
  const ReadOutcome outcome = Read("1,2\n3,4\n", ByIndex({}));
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.statistics.records, 2);
  EXPECT_EQ(outcome.batches.at(0)->num_rows(), 2);
}

TEST_F(CsvReaderTest, MissingHeaderLineIsAnError) {
  CsvReadOptions options = ByHeader({MakeColumn("id", FieldType::kInt, 0)});
  EXPECT_NE(ExpectError("", options, "csv_missing_header", 1, 1).find("empty"), std::string::npos);
  options.header_line = 2;
  ExpectError("a\nb\n", options, "csv_missing_header", 3, 1);
  options.header_line = -1;
  ExpectError("a\nb\n", options, "csv_missing_header", 1, 1);
}

TEST_F(CsvReaderTest, MissingHeaderNamesColumnAndNearOnes) {
  const std::string message = ExpectError("Order ID,price,freight\n1,2,3\n",
                                          ByHeader({MakeColumn("order_id", FieldType::kInt, 0)}),
                                          "csv_missing_header", 1, 1);
  EXPECT_NE(message.find("column \"order_id\""), std::string::npos) << message;
  EXPECT_NE(message.find("near name: \"Order ID\""), std::string::npos) << message;
  EXPECT_EQ(message.find("freight"), std::string::npos) << message;
  const std::string no_near =
      ExpectError("price,freight\n1,2\n", ByHeader({MakeColumn("order_id", FieldType::kInt, 0)}),
                  "csv_missing_header", 1, 1);
  EXPECT_NE(no_near.find("names in the file: \"price\", \"freight\""), std::string::npos)
      << no_near;
}

TEST_F(CsvReaderTest, RaggedRecordsAreErrors) {
  const CsvReadOptions options = ByIndex({MakeColumn("a", FieldType::kString, 0)});
  const std::string message = ExpectError("a,b\n\n1\n", options, "csv_ragged_record", 3, 1);
  EXPECT_NE(message.find("expected 2 cells as in the first record, found 1"), std::string::npos)
      << message;
  ExpectError("a,b\n1,2,3\n", options, "csv_ragged_record", 2, 1);
  ExpectError("a\n1,2\n", options, "csv_ragged_record", 2, 1);
  ExpectError("a,b\n\"1\",2,3\n", options, "csv_ragged_record", 2, 1);
  ExpectError("a,b\n1,2\n   \n", options, "csv_ragged_record", 3, 1);
  const std::string unclosed =
      ExpectError("a,b\n1,2\n\"3,4\n5,6\n", options, "csv_ragged_record", 3, 1);
  EXPECT_NE(unclosed.find("never closed"), std::string::npos) << unclosed;
  CsvReadOptions later = ByIndex({MakeColumn("a", FieldType::kString, 0)});
  later.first_data_line = 3;
  ExpectError("a,b\n1\n1,2\n3,4\n", later, "csv_ragged_record", 2, 1);
}

TEST_F(CsvReaderTest, ColumnBeyondTheRecordIsAnError) {
  ExpectError("a,b\n", ByIndex({MakeColumn("c", FieldType::kString, 2)}), "csv_column_out_of_range",
              1, 1);
  ExpectError("a,b\n", ByIndex({MakeColumn("c", FieldType::kString, -1)}),
              "csv_column_out_of_range", 1, 1);
}

TEST_F(CsvReaderTest, WrongSeparatorsAreErrors) {
  for (const char separator : {'"', '\r', '\n', '\0', '\xC3'}) {
    CsvReadOptions options = ByIndex({MakeColumn("a", FieldType::kString, 0)});
    options.separator = separator;
    EXPECT_EQ(InfoOf(Read("a\n", options).status).error_class, "csv_bad_separator");
  }
}

TEST_F(CsvReaderTest, BadCellIsNamed) {
  const CsvReadOptions options =
      ByHeader({MakeColumn("a", FieldType::kString, 0), MakeColumn("price", FieldType::kInt, 0)});
  const std::string message =
      ExpectError("a,price\n\"x\ny\",1\n\"x\ny\",\"12\tabc\"\n", options, "bad_number_text", 5, 4);
  EXPECT_NE(message.find("cannot read a cell as int: column \"price\", cell \"12\\tabc\""),
            std::string::npos)
      << message;
}

TEST_F(CsvReaderTest, LongCellsAreShortenedInMessages) {
  std::string text = "a\n";
  for (int i = 0; i < 100; ++i) {
    text += "\xC3\xA9";
  }
  const std::string message = ExpectError(
      text + "\n", ByHeader({MakeColumn("a", FieldType::kInt, 0)}), "bad_number_text", 2, 1);
  EXPECT_NE(message.find("... (200 bytes)"), std::string::npos) << message;
  EXPECT_LT(message.size(), 250U);
}

TEST_F(CsvReaderTest, FirstBadRowCountsAndInItTheFirstColumnOfTheScript) {
  CsvReadOptions options =
      ByIndex({MakeColumn("second", FieldType::kInt, 1), MakeColumn("first", FieldType::kInt, 0)});
  ExpectError("1,2\nx,3\n4,y\n", options, "bad_number_text", 2, 1);
  ExpectError("1,2\n3,x\ny,4\n", options, "bad_number_text", 2, 3);
  const std::string both = ExpectError("1,2\nx,y\n", options, "bad_number_text", 2, 3);
  EXPECT_NE(both.find("\"second\""), std::string::npos);
  // A ragged record behind a bad cell, and before one.
  ExpectError("1,2\n3,x\n5\n", options, "bad_number_text", 2, 3);
  ExpectError("1,2\n5\n3,x\n", options, "csv_ragged_record", 2, 1);
}

TEST_F(CsvReaderTest, RowsBeforeTheErrorComeFirst) {
  const ReadOutcome outcome = Read("1\n2\nx\n4\n", ByIndex({MakeColumn("a", FieldType::kInt, 0)}));
  EXPECT_FALSE(outcome.status.ok());
  EXPECT_EQ(outcome.rows, (Rows{{"1"}, {"2"}}));
  // So an error that the transform finds in them is the one reported.
  CsvReadStatistics statistics;
  const Status status = ReadCsv(
      *context_, "1\n2\nx\n", ByIndex({MakeColumn("a", FieldType::kInt, 0)}),
      [](CsvBatch) -> Result<std::shared_ptr<void>> {
        return UserError("division_by_zero", "of the transform");
      },
      [](std::shared_ptr<void>) { return Status::OK(); }, &statistics);
  EXPECT_EQ(InfoOf(status).error_class, "division_by_zero");
}

TEST_F(CsvReaderTest, FirstErrorOfTheFileWhateverTheThreads) {
  std::string text;
  for (int row = 0; row < 2000; ++row) {
    text += row % 701 == 700 ? "x\n" : "1\n";
  }
  CsvReadOptions options = ByIndex({MakeColumn("a", FieldType::kInt, 0)});
  for (const int64_t block_bytes : {3, 64, 1000, 1 << 20}) {
    options.block_bytes = block_bytes;
    for (const int num_threads : {1, 2, 7}) {
      TestContext context(num_threads);
      const ReadOutcome outcome = ReadAll(&context, text, options);
      EXPECT_EQ(InfoOf(outcome.status).place.line, 701);
      EXPECT_EQ(outcome.rows.size(), 700U);
    }
  }
}

TEST_F(CsvReaderTest, EmitErrorsStopTheReading) {
  CsvReadStatistics statistics;
  CsvReadOptions options = ByIndex({MakeColumn("a", FieldType::kInt, 0)});
  options.block_bytes = 1;
  int64_t num_emitted = 0;
  const Status status = ReadCsv(
      *context_, "1\n2\n3\n", options,
      [](CsvBatch) -> Result<std::shared_ptr<void>> { return nullptr; },
      [&num_emitted](std::shared_ptr<void>) {
        ++num_emitted;
        return EnvironmentError("disk full");
      },
      &statistics);
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment);
  EXPECT_EQ(num_emitted, 1);
}

TEST_F(CsvReaderTest, CancelStopsTheReading) {
  context_.mutable_context().cancel.Cancel(CancelledError("stop"));
  const ReadOutcome outcome = Read("1\n", ByIndex({MakeColumn("a", FieldType::kInt, 0)}));
  EXPECT_EQ(KindOf(outcome.status), ErrorKind::kCancelled);
}

TEST_F(CsvReaderTest, MemoryLimitMakesBlocksSmallerAndIsGivenBack) {
  std::string text;
  Rows expected;
  for (int row = 0; row < 100000; ++row) {
    text += std::to_string(row) + ",abcdefgh\n";
    expected.push_back({std::to_string(row)});
  }
  exec::MemoryBudget memory(1 << 20);
  context_.mutable_context().memory = &memory;
  const ReadOutcome outcome = Read(text, ByIndex({MakeColumn("a", FieldType::kInt, 0)}));
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_TRUE(outcome.rows == expected);
  EXPECT_GT(outcome.batches.size(), 4U);
  EXPECT_GT(memory.peak_bytes(), 0);
  EXPECT_EQ(memory.reserved_bytes(), 0);
}

TEST_F(CsvReaderTest, WarningsAreCounted) {
  CsvReadOptions options =
      ByIndex({MakeColumn("a", FieldType::kInt, 0, "%d"), MakeColumn("b", FieldType::kString, 1)});
  const std::string text = "1x,p\n2,q\n3.5,\"r\n";
  const ReadOutcome outcome = Read(text, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  EXPECT_EQ(outcome.rows, (Rows{{"1", "p"}, {"2", "q"}, {"3", "r\n"}}));
  EXPECT_EQ(outcome.statistics.left_over_cells, 2);
  EXPECT_EQ(outcome.statistics.unclosed_quotes, 1);
  options.strict = true;
  ExpectError(text, options, "csv_left_over", 1, 1);
  ExpectError("1,p\n2,\"q\n", options, "csv_unclosed_quote", 2, 3);
  EXPECT_EQ(Read("1,p\n2,\"q\n", options).rows, (Rows{{"1", "p"}}));
}

TEST_F(CsvReaderTest, UnclosedQuoteBeforeTheDataIsCounted) {
  CsvReadOptions options = ByIndex({MakeColumn("a", FieldType::kString, 0)});
  options.first_data_line = 1;
  const ReadOutcome outcome = Read("h,\"i\n1,2\n", options);
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_TRUE(outcome.rows.empty());
  EXPECT_EQ(outcome.statistics.unclosed_quotes, 1);
  options.strict = true;
  ExpectError("h,\"i\n1,2\n", options, "csv_unclosed_quote", 1, 3);
}

TEST_F(CsvReaderTest, BadDefaultFailsWhenNeeded) {
  CsvColumn column = MakeColumn("a", FieldType::kInt, 0);
  column.default_text = "x";
  EXPECT_TRUE(Read("1,\n", ByIndex({column})).status.ok());
  const std::string message = ExpectError("1,\n,\n", ByIndex({column}), "bad_number_text", 2, 1);
  EXPECT_NE(message.find("default \"x\""), std::string::npos) << message;
}

TEST_F(CsvReaderTest, ValuesBeyondTheNarrowLayoutsWidenTheColumn) {
  CsvReadOptions options =
      ByIndex({MakeColumn("d", FieldType::kDecimal2, 0),
               MakeColumn("t", FieldType::kDatetime, 1, "2006-01-02T15:04:05Z07:00")});
  const std::string text =
      "1.5,2024-01-02T03:04:05Z\n"
      "12345678901234567890.125,2024-01-02T03:04:05.0001+02:00\n"
      "-2,2024-01-02T03:04:06Z\n";
  const ReadOutcome outcome = Read(text, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
  EXPECT_TRUE(outcome.batches[0]->column(0)->type()->Equals(data::WideDecimalArrowType()));
  EXPECT_TRUE(outcome.batches[0]->column(1)->type()->Equals(data::WideDatetimeArrowType()));
  EXPECT_EQ(outcome.rows[0][0], "1.5");
  EXPECT_EQ(outcome.rows[1][0], "12345678901234567890.13");
  EXPECT_EQ(outcome.rows[2][0], "-2");
  EXPECT_EQ(outcome.rows[0][1].substr(0, 19), "2024-01-02 03:04:05");
  EXPECT_EQ(outcome.rows[1][1], "2024-01-02 03:04:05.0001 +0200 +0200");
  // In small blocks only the block with the large values is wide.
  options.block_bytes = 1;
  const ReadOutcome small = Read(text, options);
  EXPECT_EQ(small.rows, outcome.rows);
  EXPECT_TRUE(
      small.batches.at(2)->column(0)->type()->Equals(data::ArrowTypeOf(FieldType::kDecimal2)));
}

TEST_F(CsvReaderTest, FewValuesBecomeADictionary) {
  std::string text;
  for (int row = 0; row < 3000; ++row) {
    text += std::to_string(row) + "," +
            (row % 3 == 0   ? "shipped"
             : row % 3 == 1 ? ""
                            : "\"a,\"\"b\"") +
            "\n";
  }
  const ReadOutcome outcome = Read(text, ByIndex({MakeColumn("id", FieldType::kString, 0),
                                                  MakeColumn("status", FieldType::kString, 1)}));
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.batches[0]->column(0)->type_id(), arrow::Type::STRING);
  EXPECT_TRUE(outcome.batches[0]->column(1)->type()->Equals(data::DictionaryArrowType()));
  EXPECT_EQ(outcome.rows[2999], (std::vector<std::string>{"2999", "a,\"b"}));
  EXPECT_EQ(outcome.rows[2998], (std::vector<std::string>{"2998", ""}));
  EXPECT_EQ(outcome.rows[2997], (std::vector<std::string>{"2997", "shipped"}));
}

TEST_F(CsvReaderTest, DictionaryThatGrowsTooLargeBecomesPlain) {
  std::string text;
  Rows expected;
  for (int row = 0; row < 9000; ++row) {
    const std::string value = row < 1000 ? "few" : std::to_string(row);
    text += value + "\n";
    expected.push_back({value});
  }
  const ReadOutcome outcome = Read(text, ByIndex({MakeColumn("a", FieldType::kString, 0)}));
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.batches[0]->column(0)->type_id(), arrow::Type::STRING);
  EXPECT_EQ(outcome.rows, expected);
}

TEST_F(CsvReaderTest, LongDefaultsSplitBatches) {
  CsvColumn column = MakeColumn("a", FieldType::kString, 0);
  column.default_text = std::string(1 << 20, 'd');
  std::string text;
  for (int row = 0; row < 300; ++row) {
    text += ",\n";
  }
  int64_t num_rows = 0;
  CsvReadStatistics statistics;
  const Status status = ReadCsv(
      *context_, text, ByIndex({column}),
      [](CsvBatch batch) -> Result<std::shared_ptr<void>> { return batch.batch; },
      [&num_rows](std::shared_ptr<void> result) {
        const auto& batch = *static_cast<const arrow::RecordBatch*>(result.get());
        EXPECT_LT(batch.column(0)->data()->buffers[2]->size(), int64_t{1} << 30);
        num_rows += batch.num_rows();
        return Status::OK();
      },
      &statistics);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(num_rows, 300);
}

TEST_F(CsvReaderTest, TenMegabyteCells) {
  const std::string plain(10 << 20, 'p');
  std::string quoted(10 << 20, 'q');
  for (size_t i = 0; i + 2 < quoted.size(); i += 100000) {
    quoted.replace(i, 3, ",\n\0", 3);
  }
  const std::string text = "a," + plain + ",1\n\"" + quoted + "\",b,2\nc,d,3\n";
  for (const int64_t block_bytes : {64, 4 << 20}) {
    CsvReadOptions options =
        ByIndex({MakeColumn("x", FieldType::kString, 0), MakeColumn("y", FieldType::kString, 1),
                 MakeColumn("z", FieldType::kInt, 2)});
    options.block_bytes = block_bytes;
    const ReadOutcome outcome = Read(text, options);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.ToString();
    ASSERT_EQ(outcome.rows.size(), 3U);
    EXPECT_TRUE(outcome.rows[0][1] == plain);
    EXPECT_TRUE(outcome.rows[1][0] == quoted);
    EXPECT_EQ(outcome.rows[2], (std::vector<std::string>{"c", "d", "3"}));
  }
}

TEST_F(CsvReaderTest, NulBytesAndInvalidUtf8AreKept) {
  const std::string text("a\0b,\xFF\xFE\n", 7);
  const ReadOutcome outcome = Read(text, ByIndex({MakeColumn("x", FieldType::kString, 0),
                                                  MakeColumn("y", FieldType::kString, 1)}));
  EXPECT_EQ(outcome.rows, (Rows{{std::string("a\0b", 3), "\xFF\xFE"}}));
}

TEST_F(CsvReaderTest, BatchesHoldAtMostTheMaximumOfRows) {
  std::string text;
  for (int row = 0; row < 150000; ++row) {
    text += "7\n";
  }
  const ReadOutcome outcome = Read(text, ByIndex({MakeColumn("a", FieldType::kInt, 0)}));
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.rows.size(), 150000U);
  ASSERT_EQ(outcome.batches.size(), 3U);
  EXPECT_EQ(outcome.batches[0]->num_rows(), data::kMaxBatchRows);
  EXPECT_EQ(outcome.lines[2], data::kMaxBatchRows + 1);
}

// A scanned decimal goes through a float and its shortest text. For at most 15 digits that changes
// nothing, so the digits are read directly.
TEST(CsvNumbers, PlainDigitsAgreeWithTheRules) {
  std::mt19937_64 random(1);
  for (const char* format : {"", "%f"}) {
    const internal::CsvConversion conversion(MakeColumn("d", FieldType::kDecimal2, 0, format),
                                             true);
    const int max_digits = *format == 0 ? 18 : 15;
    int num_fast = 0;
    for (int i = 0; i < 20000; ++i) {
      const int num_digits = 1 + static_cast<int>(random() % static_cast<uint64_t>(max_digits));
      std::string number = random() % 3 == 0 ? "-" : random() % 5 == 0 ? "+" : "";
      const auto point = static_cast<int>(random() % static_cast<uint64_t>(num_digits + 2)) - 1;
      for (int digit = 0; digit < num_digits; ++digit) {
        number += digit == point ? "." : "";
        // Many nines, fives and zeros: the neighbourhood of halves.
        number += "0123456789959500"[random() % 16];
      }
      const std::string padded = "12345678" + number;
      const char* const begin = padded.data() + 8;
      const char* const end = padded.data() + padded.size();
      int64_t fast = 0;
      if (!internal::TryParsePlainHundredths(begin, end, true, max_digits, &fast)) {
        continue;
      }
      ++num_fast;
      int64_t left_over = 0;
      const auto slow = conversion.ToHundredths(number, &left_over);
      ASSERT_TRUE(slow.ok()) << number << slow.status().ToString();
      ASSERT_TRUE(*slow == fast) << number << " fast " << fast;
    }
    EXPECT_GT(num_fast, 15000);
  }
}

TEST(CsvNumbers, PlainFloatsAndIntsAgreeWithTheRules) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 50000; ++i) {
    std::string number;
    const auto length = 1 + random() % 19;
    for (uint64_t at = 0; at < length; ++at) {
      number += "0123456789012345.-+ /:"[random() % (i % 2 == 0 ? 10 : 22)];
    }
    const std::string padded = "12345678" + number;
    const char* const begin = padded.data() + 8;
    const char* const end = padded.data() + padded.size();
    internal::PlainNumber plain;
    if (internal::TryParsePlainNumber(begin, end, 15, &plain)) {
      const auto slow = data::ParseGoFloat(number);
      ASSERT_TRUE(slow.ok()) << number;
      ASSERT_EQ(internal::ToDouble(plain), *slow) << number;
    }
    for (const bool before_readable : {false, true}) {
      int64_t fast = 0;
      if (internal::TryParsePlainInt(begin, end, before_readable, &fast)) {
        const auto slow = data::ParseGoInt(number);
        ASSERT_TRUE(slow.ok()) << number;
        ASSERT_EQ(fast, *slow) << number;
      }
    }
  }
}

TEST(CsvBlank, KnowsUnicodeWhiteSpace) {
  for (const std::string_view blank :
       {"", " ", "\t\n\v\f\r ", "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x8A",
        "\xE2\x80\xA8", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"}) {
    EXPECT_TRUE(internal::IsBlank(blank));
  }
  for (const std::string_view text :
       {"x", " x", "\xC2", "\xE2\x80", "\xE2\x80\x8B", "\xEF\xBB\xBF"}) {
    EXPECT_FALSE(internal::IsBlank(text));
  }
}

}  // namespace
}  // namespace capi::formats
