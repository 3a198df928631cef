// Random texts: the parallel reader agrees with the sequential splitter, whatever blocks and
// threads.

#include <random>

#include "capi/formats/csv_record_internal.h"
#include "capi/formats/csv_structure_internal.h"
#include "capi/formats/csv_test_fixture.h"

namespace capi::formats {
namespace {

class RandomText {
 public:
  explicit RandomText(uint64_t seed) : random_(seed) {}

  /// Mostly regular records of num_cells cells with all that the dialect knows.
  std::string Make(int num_records, int num_cells, bool with_quotes) {
    std::string text = Chance(10) ? "\xEF\xBB\xBF" : "";
    for (int record = 0; record < num_records; ++record) {
      for (int cell = 0; cell < num_cells; ++cell) {
        text += cell == 0 ? "" : ",";
        text += with_quotes && Chance(3) ? QuotedCell() : PlainCell(with_quotes);
      }
      if (record + 1 < num_records || Chance(2)) {
        text += Chance(4) ? "\r\n" : "\n";
      }
      while (Chance(12)) {
        text += Chance(2) ? "\n" : "\r\n";
      }
    }
    return text;
  }
  bool Chance(uint64_t one_in) { return random_() % one_in == 0; }

 private:
  std::string PlainCell(bool with_quotes) {
    const std::string_view alphabet = with_quotes ? "abc 1\r\"" : "abc 1\r";
    std::string cell;
    for (uint64_t length = random_() % 9; length > 0; --length) {
      cell += alphabet[random_() % alphabet.size()];
    }
    // A quote at the begin would open the cell.
    return cell.starts_with('"') && !Chance(50) ? "x" + cell : cell;
  }
  std::string QuotedCell() {
    static constexpr std::string_view kPieces[] = {"a",    "b ",  ",", "\n", "\r\n", "\r",
                                                   "\"\"", "\"x", "1", ",,", "\n\n"};
    std::string cell = "\"";
    for (uint64_t length = random_() % 7; length > 0; --length) {
      cell += kPieces[random_() % std::size(kPieces)];
    }
    return cell + "\"";
  }

  std::mt19937_64 random_;
};

TEST(CsvProperty, ReaderAgreesWithSplitterForAllBlocksAndThreads) {
  TestContext one(1);
  TestContext two(2);
  TestContext seven(7);
  std::mt19937_64 random(7);
  int num_good = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    RandomText source(seed);
    const int num_cells = 1 + static_cast<int>(seed % 4);
    const std::string text = source.Make(static_cast<int>(random() % 40), num_cells, seed % 5 != 0);
    std::vector<std::vector<std::string>> expected;
    const Status expected_status = SplitCsv(text, ',', &expected);
    num_good += expected_status.ok() && !expected.empty() ? 1 : 0;
    CsvReadOptions options;
    for (size_t i = 0; !expected.empty() && i < expected[0].size(); ++i) {
      options.columns.push_back(
          MakeColumn("c" + std::to_string(i), data::FieldType::kString, static_cast<int64_t>(i)));
    }
    for (TestContext* context : {&one, &two, &seven}) {
      options.block_bytes = 1 + static_cast<int64_t>(random() % 200);
      const ReadOutcome outcome = ReadAll(context, text, options);
      ASSERT_EQ(outcome.status.ok(), expected_status.ok()) << "seed " << seed;
      ASSERT_EQ(outcome.rows, expected) << "seed " << seed << " block " << options.block_bytes;
      if (!outcome.status.ok()) {
        ASSERT_EQ(InfoOf(outcome.status).place.line, InfoOf(expected_status).place.line)
            << "seed " << seed;
        ASSERT_EQ(InfoOf(outcome.status).error_class, "csv_ragged_record");
      }
    }
  }
  EXPECT_GT(num_good, 200);
}

TEST(CsvProperty, BatchesDoNotDependOnThreads) {
  RandomText source(11);
  const std::string text = source.Make(20000, 3, true);
  CsvReadOptions options;
  for (int i = 0; i < 3; ++i) {
    options.columns.push_back(MakeColumn("c" + std::to_string(i), data::FieldType::kString, i));
  }
  options.block_bytes = 10000;
  TestContext one(1);
  const ReadOutcome expected = ReadAll(&one, text, options);
  for (const int num_threads : {2, 7}) {
    TestContext context(num_threads);
    const ReadOutcome outcome = ReadAll(&context, text, options);
    EXPECT_EQ(outcome.status, expected.status);
    EXPECT_EQ(outcome.lines, expected.lines);
    ASSERT_EQ(outcome.batches.size(), expected.batches.size());
    for (size_t i = 0; i < outcome.batches.size(); ++i) {
      EXPECT_TRUE(outcome.batches[i]->Equals(*expected.batches[i]));
    }
  }
}

TEST(CsvProperty, RecordEndsAreThoseOfTheSplitter) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    RandomText source(seed);
    const std::string made = source.Make(12, 3, true);
    const std::string_view text = internal::TrimFileText(made);
    std::vector<int64_t> ends;
    internal::RawRecord record;
    while (internal::NextRecord(text, ',', record.end, &record)) {
      ends.push_back(record.end);
    }
    for (int64_t target = 1; target <= static_cast<int64_t>(text.size()); ++target) {
      const int64_t end = internal::FindRecordEnd(text, ',', 0, target);
      ASSERT_GE(end, target);
      // An end is a record's, or lies in empty lines behind one.
      const int64_t after = internal::SkipEmptyLines(text, end);
      bool found = after == static_cast<int64_t>(text.size());
      for (const int64_t other : ends) {
        found |= internal::SkipEmptyLines(text, other) == after;
      }
      ASSERT_TRUE(found || internal::SkipEmptyLines(text, 0) == after)
          << "seed " << seed << " target " << target;
    }
  }
}

TEST(CsvProperty, StructureFindsAllSpecialCharacters) {
  std::mt19937_64 random(3);
  internal::CsvStructure structure(1000);
  for (int round = 0; round < 2000; ++round) {
    const auto size = static_cast<size_t>(random() % 300);
    std::string text;
    // From sparse to one character in two.
    const uint64_t sparseness = 2 + static_cast<uint64_t>(round % 40);
    for (size_t i = 0; i < size; ++i) {
      text += random() % sparseness == 0 ? ";\n\""[random() % (round % 2 == 0 ? 3 : 2)] : 'x';
    }
    structure.Scan(text.data(), static_cast<int64_t>(size), ';');
    std::vector<uint32_t> positions;
    std::vector<uint32_t> newlines;
    for (size_t i = 0; i < size; ++i) {
      if (text[i] == '\n') {
        newlines.push_back(static_cast<uint32_t>(positions.size()));
      }
      if (text[i] != 'x') {
        positions.push_back(static_cast<uint32_t>(i));
      }
    }
    EXPECT_EQ(std::vector<uint32_t>(structure.positions(),
                                    structure.positions() + structure.num_positions()),
              positions);
    EXPECT_EQ(std::vector<uint32_t>(structure.newlines(),
                                    structure.newlines() + structure.num_newlines()),
              newlines);
    EXPECT_EQ(structure.has_quotes(), text.find('"') != std::string::npos);
  }
}

}  // namespace
}  // namespace capi::formats
