#include <string>
#include <vector>

#include "capi/service/column_guess_internal.h"
#include "gtest/gtest.h"

namespace capi::service {
namespace {

using data::FieldType;

struct Guessed {
  FileSchemaColumn column;
  std::vector<SchemaNote> notes;
  std::string text() const {
    std::string all;
    for (const SchemaNote& note : notes) {
      all += std::to_string(note.line) + ": " + note.message + "\n";
    }
    return all;
  }
};

/// Cells stand on lines 2, 3, ...
Guessed Guess(const std::vector<std::string>& cells, InferOptions options = {}) {
  ColumnGuess guess(&options);
  int64_t line = 1;
  for (const std::string& cell : cells) guess.Add(cell, ++line);
  Guessed guessed;
  guessed.column = guess.Finish("c", &guessed.notes);
  return guessed;
}

struct Expected {
  std::vector<std::string> cells;
  FieldType type;
  std::string write_format;
};

TEST(ColumnGuessTest, PlainColumnsHaveNoNotes) {
  const std::vector<Expected> cases = {
      {{"1", "-20", "0", "9223372036854775807"}, FieldType::kInt, "%d"},
      {{"1.00", "-20.55", "0.10"}, FieldType::kDecimal2, "%s"},
      {{"27.114", "-0.500"}, FieldType::kFloat, "%.3f"},
      {{"1.5", "2.25", "3"}, FieldType::kFloat, "%v"},
      {{"true", "false"}, FieldType::kBool, "%t"},
      {{"2018-11-16 04:00:05"}, FieldType::kDatetime, "2006-01-02 15:04:05"},
      {{"2018-11-16T04:00:05.120"}, FieldType::kDatetime, "2006-01-02T15:04:05.000"},
      {{"2018-11-16 04:00:05.120000"}, FieldType::kDatetime, "2006-01-02 15:04:05.000000"},
      {{"2018-11-16"}, FieldType::kDatetime, "2006-01-02"},
      {{"16.11.2018", "01.02.2019"}, FieldType::kDatetime, "02.01.2006"},
      {{"12/31/2018", "01/02/2019"}, FieldType::kDatetime, "01/02/2006"},
      {{"31/12/2018", "01/02/2019"}, FieldType::kDatetime, "02/01/2006"},
      {{"Jan 2, 2006", "Mar 31, 2020"}, FieldType::kDatetime, "Jan 2, 2006"},
      {{"2018-11-16T04:00:05Z"}, FieldType::kDatetime, "2006-01-02T15:04:05Z07:00"},
      {{"a", "", " b ", "1e5"}, FieldType::kString, "%s"},
      {{"9223372036854775808", "18446744073709551616"}, FieldType::kString, "%s"},
      {{"", " "}, FieldType::kString, "%s"},
  };
  for (const Expected& expected : cases) {
    const Guessed guessed = Guess(expected.cells);
    EXPECT_EQ(guessed.column.type, expected.type) << expected.cells[0];
    EXPECT_EQ(guessed.column.write_format, expected.write_format) << expected.cells[0];
    EXPECT_TRUE(guessed.column.exact) << expected.cells[0];
    EXPECT_EQ(guessed.text(), "") << expected.cells[0];
  }
}

TEST(ColumnGuessTest, ConflictsNameTheFirstLine) {
  EXPECT_EQ(Guess({"1", "2", "n.a.", "4", "x"}).text(),
            "4: column c is read as string because of 2 cells such as \"n.a.\"; of 5 there are 3 "
            "int\n");
  EXPECT_EQ(Guess({"true", "false", "7"}).text(),
            "4: column c is read as string because of 1 cell such as \"7\"; of 3 there are 1 int, "
            "2 bool\n");
  EXPECT_EQ(Guess({"2018-11-16", "2018-11-17", "16.11.2018"}).text(),
            "4: column c is read as string because of 1 cell such as \"16.11.2018\"; of 3 there "
            "are 2 datetime\n");
  EXPECT_EQ(Guess({"text", "more", "1"}).text(), "") << "texts are no conflict";
  EXPECT_EQ(Guess({"01", "02", "10"}).text(),
            "2: column c is read as string to keep zeros in front: 01\n");
  EXPECT_EQ(Guess({"01/02/2019", "03/04/2019"}).text(),
            "2: column c: all datetimes fit 01/02/2006 and 02/01/2006; the month was taken to come "
            "first\n");
}

TEST(ColumnGuessTest, ChangesAreSaid) {
  struct Case {
    std::vector<std::string> cells;
    FieldType type;
    std::string text;
  };
  const std::vector<Case> cases = {
      {{"1", "", "3"}, FieldType::kInt, "3: column c: 1 cell without a value will become 0\n"},
      {{"1.00", "NA", "N/A"},
       FieldType::kDecimal2,
       "3: column c: 2 cells such as \"NA\" count as blank and will become 0.00\n"},
      {{"1", "+5"},
       FieldType::kInt,
       "3: column c is int, 1 cell such as \"+5\" will be written in another form\n"},
      {{"1.50", "5"},
       FieldType::kDecimal2,
       "3: column c is decimal2, 1 cell such as \"5\" will be written in another form\n"},
      {{"1.5", "2.250"},
       FieldType::kFloat,
       "3: column c is float, 1 cell such as \"2.250\" will be written in another form\n"},
      {{"true", "T"},
       FieldType::kBool,
       "3: column c is bool, 1 cell such as \"T\" will be written in another form\n"},
      {{"2018-11-16T04:00:05+0200"},
       FieldType::kDatetime,
       "2: column c is datetime, 1 cell such as \"2018-11-16T04:00:05+0200\" will be written in "
       "another form\n"},
  };
  InferOptions exact;
  exact.exact = true;
  for (const Case& c : cases) {
    const Guessed guessed = Guess(c.cells);
    EXPECT_EQ(guessed.column.type, c.type) << c.cells[0];
    EXPECT_EQ(guessed.text(), c.text);
    EXPECT_FALSE(guessed.column.exact);
    const Guessed kept = Guess(c.cells, exact);
    EXPECT_EQ(kept.column.type, FieldType::kString) << c.cells[0];
    EXPECT_TRUE(kept.column.exact);
    ASSERT_EQ(kept.notes.size(), 1u);
    EXPECT_EQ(kept.notes[0].kind, SchemaNote::Kind::kHint);
  }
}

TEST(ColumnGuessTest, NullTextsOfTheColumn) {
  const Guessed guessed = Guess({"NA", "1", "null", "NA"});
  EXPECT_EQ(guessed.column.null_values, (std::vector<std::string>{"NA", "null"}));
  EXPECT_EQ(Guess({"NA", "x"}).column.null_values.size(), 0u);
}

TEST(ColumnGuessTest, RulesOfTheOriginal) {
  InferOptions original;
  original.original_rules = true;
  EXPECT_EQ(Guess({"1", ""}, original).column.type, FieldType::kString);
  EXPECT_EQ(Guess({"1", "NA"}, original).column.type, FieldType::kString);
  const Guessed zeros = Guess({"01", "2"}, original);
  EXPECT_EQ(zeros.column.type, FieldType::kInt);
  EXPECT_EQ(zeros.column.read_format, "%d");
  EXPECT_EQ(Guess({"1", "2.50"}, original).column.type, FieldType::kDecimal2);
  EXPECT_EQ(Guess({"1", "2.5"}, original).column.type, FieldType::kFloat);
  EXPECT_EQ(Guess({"1.25", "2.5"}, original).column.type, FieldType::kFloat);
}

TEST(ColumnGuessTest, BlanksInFrontOfNumbersNeedAFormat) {
  EXPECT_EQ(Guess({"1", "22"}).column.read_format, "");
  EXPECT_EQ(Guess({" 1", "22"}).column.read_format, "%d");
  EXPECT_EQ(Guess({"1 ", "22"}).column.type, FieldType::kString);
}

}  // namespace
}  // namespace capi::service
