#include <utility>

#include "capi/node/lookup_internal.h"

namespace capi::node {

namespace {

class IndexMatchSource : public MatchSource {
 public:
  IndexMatchSource(const NodeSetup& setup, const LookupPlan& plan, int64_t batch_index)
      : index_(setup.lookup_index.get()),
        plan_(&plan),
        source_(*setup.reader, batch_index, setup.node->num_batches()) {}

  Result<std::optional<LeftMorsel>> Next() override {
    std::optional<store::Table::Morsel> morsel = source_.Next();
    if (!morsel) return std::optional<LeftMorsel>();
    return std::optional<LeftMorsel>(LeftMorsel{*morsel, nullptr});
  }

  Result<Matches> Find(const LeftMorsel& /*morsel*/, const LeftRows& slice,
                       int64_t /*begin*/) const override {
    Matches matches;
    CAPI_RETURN_NOT_OK(index_->Find(plan_->KeysOf(slice), slice.num_rows, &matches.left_rows,
                                    &matches.right_rows));
    return matches;
  }

 private:
  const store::Index* index_;
  const LookupPlan* plan_;
  TableSource source_;
};

}  // namespace

std::unique_ptr<MatchSource> OpenIndexMatches(const NodeSetup& setup, const LookupPlan& plan,
                                              int64_t batch_index) {
  return std::make_unique<IndexMatchSource>(setup, plan, batch_index);
}

}  // namespace capi::node
