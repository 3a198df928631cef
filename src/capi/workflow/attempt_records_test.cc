#include "capi/workflow/attempt_records.h"

#include <gtest/gtest.h>

namespace capi::workflow {
namespace {

TEST(AttemptRecords, CountsComeBack) {
  node::RowCounts counts;
  counts.in = 10;
  counts.duplicates = 3;
  counts.csv_warnings = 1;
  EXPECT_EQ(CountsToJson(counts), R"({"in":10,"duplicates":3,"csv_warnings":1})");
  const node::RowCounts back = CountsFromJson(CountsToJson(counts));
  EXPECT_EQ(back.in, 10);
  EXPECT_EQ(back.duplicates, 3);
  EXPECT_EQ(back.out, 0);
  EXPECT_EQ(CountsToJson({}), "{}");
}

TEST(AttemptRecords, UnreadableCountsAreZero) {
  EXPECT_EQ(CountsFromJson("").in, 0);
  EXPECT_EQ(CountsFromJson("[1]").in, 0);
  EXPECT_EQ(CountsFromJson(R"({"in":"x","unknown":1})").in, 0);
}

TEST(AttemptRecords, ErrorsKeepKindClassAndText) {
  const state::ErrorRecord record = ToErrorRecord(UserError("duplicate_key", "twice: 7"));
  EXPECT_EQ(record.kind, "user");
  EXPECT_EQ(record.error_class, "duplicate_key");
  EXPECT_EQ(record.text, "twice: 7");
}

TEST(AttemptRecords, FingerprintsComeBack) {
  const std::vector<files::Fingerprint> fingerprints = {{1, 2, 3}, {4, 5, 6}};
  EXPECT_EQ(FingerprintsFromText(FingerprintsToText(fingerprints)).ValueOrDie(), fingerprints);
  EXPECT_TRUE(FingerprintsFromText("").ValueOrDie().empty());
  EXPECT_FALSE(FingerprintsFromText("nonsense\n").ok());
}

}  // namespace
}  // namespace capi::workflow
