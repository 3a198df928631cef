#pragma once

// Reads a batch's share of a frozen table morsel by morsel.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capi/exec/context.h"
#include "capi/expr/expression.h"
#include "capi/store/table_store.h"

namespace capi::node {

/// The rows of batch `index` of `num_batches`, in row-id order. next() is called by one thread at a
/// time.
class TableSource {
 public:
  TableSource(const store::Table& table, int64_t index, int64_t num_batches);
  std::optional<store::Table::Morsel> Next();
  int64_t num_rows() const { return end_ - begin_; }

 private:
  int64_t begin_;
  int64_t end_;
  std::vector<store::Table::Morsel> morsels_;
  size_t next_ = 0;
};

/// Variables alias.<name> for names, and the positions of the names in the table.
std::vector<expr::Variable> VariablesOf(const std::string& alias,
                                        const std::vector<std::string>& names);
Result<std::vector<int>> FieldsOf(const store::Table& table, const std::vector<std::string>& names);

/// Tells the progress how much work all batches of the node are together.
void SetWork(const exec::Context& context, int64_t total);

/// Counts a morsel in the progress.
void CountMorsel(const exec::Context& context, int64_t rows);

}  // namespace capi::node
