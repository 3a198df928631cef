// table_lookup_table: inner and left joins, grouped or not (spec/script.md 9, engine.md 8.3).
//
// A morsel of left rows is matched in slices, so that a key with many matches does not blow up
// memory. Output rows come by left row, then by right row id (architecture P2). Bare r.x and l.x
// fields are stored as references to the rows of the joined tables.

#include <algorithm>
#include <mutex>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/node/lookup_internal.h"
#include "capi/node/partitioned_match.h"
#include "capi/node/runners_internal.h"

namespace capi::node {

namespace {

/// Left rows matched at once; fewer when keys have many matches.
constexpr int64_t kSliceRows = 8192;
/// Matches wanted per slice.
constexpr int64_t kSliceMatches = 65536;

/// A right side larger than the memory limit is partitioned; a partition takes at most limit /
/// (kPartitionShare * threads), because each thread joins one at a time.
constexpr int64_t kPartitionShare = 8;

int64_t SliceRowsFor(const store::Index& index, const store::Table& right) {
  if (right.num_rows() == 0 || index.num_entries() == 0) return data::kMorselRows;
  return kSliceRows;
}

class LookupRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    auto runner = std::make_unique<LookupRunner>();
    CAPI_ASSIGN_OR_RETURN(runner->plan_, LookupPlan::Make(setup));
    runner->schema_ = SchemaOf(*setup.node);
    runner->setup_ = std::move(setup);
    return std::unique_ptr<NodeRunner>(std::move(runner));
  }

  Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) override {
    SetWork(context, setup_.reader->num_rows());
    CAPI_ASSIGN_OR_RETURN(auto output, TableOutput::Open(context, setup_, schema_, task.batch_index,
                                                         plan_->ReferenceGroups()));
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<MatchSource> matches,
                          OpenMatches(context, task.batch_index));
    CAPI_RETURN_NOT_OK((exec::OrderedPipeline<LeftMorsel, EncodedBlock>(
        context.pool, context.cancel, 0, [&]() { return matches->Next(); },
        [&](const LeftMorsel& morsel) { return Join(context, *output, *matches, morsel); },
        [&](EncodedBlock block) { return output->Append(std::move(block)); })));
    return output->Finish();
  }

 private:
  Result<std::unique_ptr<MatchSource>> OpenMatches(const exec::Context& context,
                                                   int64_t batch_index) {
    const int64_t limit = context.memory->limit_bytes();
    if (limit <= 0 || EstimateRightBytes(setup_, *plan_) <= limit) {
      return OpenIndexMatches(setup_, *plan_, batch_index);
    }
    {
      const std::lock_guard<std::mutex> lock(partition_mutex_);
      if (partitioned_ == nullptr) {
        const int64_t partition_bytes = limit / (kPartitionShare * context.pool->num_threads());
        CAPI_ASSIGN_OR_RETURN(partitioned_,
                              PartitionedRight::Make(context, setup_, *plan_, partition_bytes));
      }
    }
    return OpenPartitionedMatches(context, setup_, *plan_, partitioned_.get(), batch_index);
  }

  Result<EncodedBlock> Join(const exec::Context& context, const TableOutput& output,
                            const MatchSource& source, const LeftMorsel& morsel) {
    CAPI_ASSIGN_OR_RETURN(LeftRows left, plan_->ReadLeft(*setup_.reader, morsel.morsel));
    EncodedBlock block;
    block.counts.in = left.num_rows;
    int64_t slice_rows = SliceRowsFor(*setup_.lookup_index, *setup_.lookup);
    for (int64_t begin = 0; begin < left.num_rows;) {
      CAPI_RETURN_NOT_OK(context.cancel.Check());
      const int64_t n = std::min(slice_rows, left.num_rows - begin);
      const LeftRows slice = left.Slice(begin, n);
      CAPI_ASSIGN_OR_RETURN(Matches matches, source.Find(morsel, slice, begin));
      const auto found = static_cast<int64_t>(matches.right_rows.size());
      CAPI_RETURN_NOT_OK(JoinSlice(output, slice, std::move(matches), &block));
      begin += n;
      // Aim the next slice at the wanted number of matches.
      if (found > 0) {
        slice_rows = std::clamp<int64_t>(kSliceMatches * n / found, 1, data::kMorselRows);
      }
    }
    CountMorsel(context, left.num_rows);
    return block;
  }

  Status JoinSlice(const TableOutput& output, const LeftRows& slice, Matches matches,
                   EncodedBlock* block) {
    int64_t error_left = 0;
    const Status filtered = plan_->Filter(slice, &matches, &error_left);
    if (!filtered.ok()) {
      // An error of an earlier left row comes first.
      if (error_left > 0) {
        EncodedBlock unused;
        CAPI_RETURN_NOT_OK(
            JoinSlice(output, slice.Slice(0, error_left), matches.Before(error_left), &unused));
      }
      return filtered;
    }
    return setup_.node->lookup->group ? plan_->JoinGrouped(output, slice, matches, block)
                                      : plan_->JoinPairs(output, slice, matches, block);
  }

  NodeSetup setup_;
  store::TableSchema schema_;
  std::unique_ptr<LookupPlan> plan_;
  std::mutex partition_mutex_;
  std::unique_ptr<PartitionedRight> partitioned_;  // made by the first batch that needs it
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeLookupRunner(NodeSetup setup) {
  return LookupRunner::Make(std::move(setup));
}

}  // namespace capi::node
