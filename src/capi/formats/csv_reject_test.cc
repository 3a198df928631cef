// Reading that leaves out bad records (CsvReadOptions::reject).

#include <random>

#include "capi/formats/csv_reader.h"
#include "capi/formats/csv_test_fixture.h"

namespace capi::formats {
namespace {

using data::FieldType;

struct Rejected {
  ReadOutcome outcome;
  std::vector<CsvReject> rejects;
  std::string text() const {
    std::string all;
    for (const CsvReject& reject : rejects) {
      const ErrorInfo info = InfoOf(reject.error);
      all += std::to_string(reject.line) + "|" + std::to_string(info.place.line) + ":" +
             std::to_string(info.place.column) + "|" + info.error_class + "|" + reject.record +
             "\n";
    }
    return all;
  }
};

class CsvRejectTest : public ::testing::Test {
 protected:
  static CsvReadOptions Options() {
    CsvReadOptions options;
    options.file_name = "in.csv";
    options.columns = {MakeColumn("a", FieldType::kInt, 0), MakeColumn("b", FieldType::kString, 1),
                       MakeColumn("c", FieldType::kDecimal2, 2)};
    return options;
  }
  template <typename Input>
  Rejected ReadOnce(Input input, CsvReadOptions options) {
    Rejected result;
    options.reject = [&result](CsvReject reject) {
      result.rejects.push_back(std::move(reject));
      return Status::OK();
    };
    result.outcome = ReadInput(&context_, input, options);
    EXPECT_TRUE(result.outcome.status.ok()) << Describe(result.outcome.status);
    return result;
  }
  /// Of a text that is there; one that arrives over time must give the same.
  Rejected Read(std::string_view text, const CsvReadOptions& options) {
    TricklingText trickle(text);
    const Rejected streamed = ReadOnce<files::InputText*>(&trickle, options);
    Rejected whole = ReadOnce(text, options);
    EXPECT_EQ(streamed.text(), whole.text());
    EXPECT_EQ(streamed.outcome.rows, whole.outcome.rows);
    return whole;
  }
  TestContext context_{2};
};

TEST_F(CsvRejectTest, BadRecordsAreLeftOutWithTheirPlaces) {
  const Rejected read = Read(
      "1,a,1\n"
      "x,\"b\nc\",2\n"
      "3,c\r\n"
      "4,\"d\n\",x,5\n"
      "\n"
      "5,\"e\nf\",y\r\n"
      "6,f,6\n",
      Options());
  EXPECT_EQ(read.outcome.rows,
            (std::vector<std::vector<std::string>>{{"1", "a", "1"}, {"6", "f", "6"}}));
  EXPECT_EQ(read.outcome.statistics.records, 2);
  EXPECT_EQ(read.text(),
            "2|2:1|bad_number_text|x,\"b\nc\",2\n"
            "4|4:1|csv_ragged_record|3,c\n"
            "5|5:1|csv_ragged_record|4,\"d\n\",x,5\n"
            "8|9:4|bad_number_text|5,\"e\nf\",y\n");
  EXPECT_EQ(read.rejects[3].error.message().substr(0, 41),
            "cannot read a cell as decimal2: column \"c");
}

TEST_F(CsvRejectTest, NothingToLeaveOut) {
  const Rejected read = Read("1,a,1\n2,b,2\n", Options());
  EXPECT_EQ(read.outcome.rows.size(), 2u);
  EXPECT_TRUE(read.rejects.empty());
}

TEST_F(CsvRejectTest, OnlyBadRecords) {
  const Rejected read = Read("x,a,1\nx,b,2\n", Options());
  EXPECT_TRUE(read.outcome.rows.empty());
  EXPECT_EQ(read.rejects.size(), 2u);
}

TEST_F(CsvRejectTest, HeaderErrorsStillFail) {
  CsvReadOptions options = Options();
  options.by_header = true;
  options.first_data_line = 1;
  options.reject = [](const CsvReject&) { return Status::OK(); };
  EXPECT_EQ(InfoOf(ReadAll(&context_, "a,b\n1,2\n", options).status).error_class,
            "csv_missing_header");
}

TEST_F(CsvRejectTest, AnErrorOfTheReceiverEndsTheReading) {
  CsvReadOptions options = Options();
  int64_t seen = 0;
  options.reject = [&seen](const CsvReject& reject) {
    return ++seen == 2 ? reject.error : Status::OK();
  };
  constexpr std::string_view kText = "x,a,1\n1,a,1\ny,a,1\n2,a,1\nz,a,1\n";
  const ReadOutcome outcome = ReadInput(&context_, kText, options);
  EXPECT_EQ(InfoOf(outcome.status).place.line, 3);
  EXPECT_EQ(outcome.rows.size(), 1u);
  EXPECT_EQ(seen, 2);
}

TEST_F(CsvRejectTest, UnclosedQuoteUnderStrict) {
  CsvReadOptions options = Options();
  options.strict = true;
  const Rejected read = Read("1,a,1\n2,\"b,2\n3,c,3\n", options);
  EXPECT_EQ(read.outcome.rows.size(), 1u);
  ASSERT_EQ(read.rejects.size(), 1u);
  EXPECT_EQ(read.rejects[0].line, 2);
}

TEST_F(CsvRejectTest, RowsRejectedByTheTransform) {
  CsvReadOptions options = Options();
  std::vector<int64_t> lines;
  options.reject = [&lines](const CsvReject& reject) {
    lines.push_back(reject.line);
    return Status::OK();
  };
  CsvReadStatistics statistics;
  const Status status = ReadCsv(
      *context_, "1,a,1\nx,b,2\n3,\"c\nd\",3\n4,d,4\n", options,
      [](const CsvBatch& batch) -> Result<std::shared_ptr<void>> {
        batch.Reject({{batch.batch->num_rows() - 1, UserError("mine", "no")}});
        return std::shared_ptr<void>();
      },
      [](const std::shared_ptr<void>&) { return Status::OK(); }, &statistics);
  ASSERT_TRUE(status.ok()) << Describe(status);
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 2, 5}));
}

/// Neither blocks nor threads decide what is rejected, and what is left reads like a file without
/// the rejected records.
TEST_F(CsvRejectTest, RandomTexts) {
  std::mt19937 random(5);
  const std::vector<std::string> first = {"1", "22", "x", "", "7z"};
  const std::vector<std::string> second = {"a", "\"b\"\"\n,\"", "", "cc"};
  const std::vector<std::string> third = {"1", "2.5", "y", "1,2"};
  for (int round = 0; round < 150; ++round) {
    CsvReadOptions options = Options();
    options.columns[0].format = round % 2 == 0 ? "%d" : "";
    std::vector<std::string> records;
    std::string text;
    const size_t num_records = random() % 60;
    for (size_t i = 0; i < num_records; ++i) {
      records.push_back(first[random() % 5] + "," + second[random() % 4] + "," +
                        third[random() % 4]);
      if (i == 0) records[0] = "1,a,1";  // decides the number of cells
      text += records.back() + "\n";
    }
    const Rejected whole = Read(text, options);
    std::string kept;
    size_t next = 0;
    for (const std::string& record : records) {
      const bool rejected = next < whole.rejects.size() && whole.rejects[next].record == record;
      if (rejected) {
        ++next;
      } else {
        kept += record + "\n";
      }
    }
    EXPECT_EQ(next, whole.rejects.size());
    const ReadOutcome clean = ReadAll(&context_, kept, options);
    ASSERT_TRUE(clean.status.ok()) << Describe(clean.status);
    EXPECT_EQ(whole.outcome.rows, clean.rows);
    EXPECT_EQ(whole.outcome.statistics.left_over_cells, clean.statistics.left_over_cells);
    EXPECT_EQ(whole.outcome.statistics.records, clean.statistics.records);
    for (const int64_t block_bytes : {16, 50, 300}) {
      options.block_bytes = block_bytes;
      const Rejected cut = Read(text, options);
      EXPECT_EQ(cut.outcome.rows, whole.outcome.rows);
      EXPECT_EQ(cut.text(), whole.text());
      EXPECT_EQ(cut.outcome.statistics.left_over_cells, whole.outcome.statistics.left_over_cells);
    }
  }
}

}  // namespace
}  // namespace capi::formats
