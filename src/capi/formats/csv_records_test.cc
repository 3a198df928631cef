#include "capi/formats/csv_records.h"

#include <random>

#include "capi/formats/csv_reader.h"
#include "gtest/gtest.h"

namespace capi::formats {
namespace {

TEST(CsvRecordsTest, LinesAndCells) {
  CsvRecords records("\xEF\xBB\xBFid,name\r\n\r\n1,\"a \"\"b\"\"\r\nc\"\n2,\"\"\n3\n", ',');
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.line(), 1);
  EXPECT_EQ(records.cells(), (std::vector<std::string_view>{"id", "name"}));
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.line(), 3);
  EXPECT_EQ(records.cells(), (std::vector<std::string_view>{"1", "a \"b\"\nc"}));
  EXPECT_FALSE(records.unclosed());
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.line(), 5);
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.cells(), std::vector<std::string_view>{"3"});
  EXPECT_FALSE(records.Next());
  EXPECT_FALSE(records.Next());
}

TEST(CsvRecordsTest, EmptyAndUnclosed) {
  EXPECT_FALSE(CsvRecords("", ',').Next());
  EXPECT_FALSE(CsvRecords("\n\r\n", ',').Next());
  CsvRecords records("a\n\"b\nc\n", ',');
  ASSERT_TRUE(records.Next() && records.Next());
  EXPECT_TRUE(records.unclosed());
  EXPECT_FALSE(records.Next());
}

TEST(CsvRecordsTest, AgreesWithSplitting) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "a,\"\r\n;"[random() % 6];
    std::vector<std::vector<std::string>> expected;
    const bool whole = SplitCsv(text, ';', &expected).ok();
    CsvRecords records(text, ';');
    for (const auto& cells : expected) {
      ASSERT_TRUE(records.Next());
      EXPECT_EQ(std::vector<std::string>(records.cells().begin(), records.cells().end()), cells);
    }
    EXPECT_EQ(records.Next(), !whole);
  }
}

}  // namespace
}  // namespace capi::formats
