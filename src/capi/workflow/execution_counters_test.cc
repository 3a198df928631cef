#include "capi/workflow/execution_counters.h"

#include <gtest/gtest.h>

namespace capi::workflow {
namespace {

TEST(ExecutionCountersTest, TellsNodeTypesAndOutcomesApart) {
  ExecutionCounters counters;
  counters.CountBatch(script::NodeType::kTableFile, BatchOutcome::kFail, 1);
  counters.CountFinish(BatchOutcome::kFail, 1);
  int64_t all = 0;
  for (const auto& outcomes : counters.batches) {
    for (const LatencyHistogram& histogram : outcomes) all += histogram.snapshot().count;
  }
  EXPECT_EQ(all, 1);
  const auto& files = counters.batches[static_cast<size_t>(script::NodeType::kTableFile)];
  EXPECT_EQ(files[static_cast<size_t>(BatchOutcome::kFail)].snapshot().count, 1);
  EXPECT_EQ(counters.finishes[static_cast<size_t>(BatchOutcome::kFail)].snapshot().count, 1);
}

}  // namespace
}  // namespace capi::workflow
