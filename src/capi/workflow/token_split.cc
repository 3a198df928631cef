#include "capi/workflow/token_split.h"

#include <limits>

namespace capi::workflow {

TokenInterval TokensOfBatch(bool reads_files, int64_t batch, int64_t num_batches) {
  if (reads_files) return {batch, batch};
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  if (num_batches <= 1) return {kLeast, kMost};
  // Unsigned, because the distance from the least token does not fit otherwise.
  const auto n = static_cast<uint64_t>(num_batches);
  const uint64_t step = static_cast<uint64_t>(kMost) / n + (uint64_t{1} << 63) / n;
  const uint64_t first = static_cast<uint64_t>(kLeast) + static_cast<uint64_t>(batch) * step;
  const bool is_last = batch == num_batches - 1;
  return {static_cast<int64_t>(first), is_last ? kMost : static_cast<int64_t>(first + step - 1)};
}

}  // namespace capi::workflow
