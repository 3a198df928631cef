#pragma once

// First and last token of a batch, as the workflow tables and messages of the original tell them
// (spec/engine.md 3.2). Rows are not cut by them here; they only name the batch.

#include <cstdint>

namespace capi::workflow {

struct TokenInterval {
  int64_t first = 0;
  int64_t last = 0;
  bool operator==(const TokenInterval&) const = default;
};

/// Nodes that read files: the index of the file, twice. Others: the batch's share of all tokens.
/// 0 <= batch < num_batches.
TokenInterval TokensOfBatch(bool reads_files, int64_t batch, int64_t num_batches);

}  // namespace capi::workflow
