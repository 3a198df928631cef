// In-memory sort: each component becomes an ordered integer, consecutive ones are packed into one
// word, the first word is radix-sorted and ties are settled by the rest.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/data/column.h"
#include "capi/data/letter_case.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/node/row_sorter_internal.h"

namespace capi::node {

namespace {

using data::FieldType;
using data::RowId;

constexpr uint64_t kSignBit = uint64_t{1} << 63;

/// Ordered integers of one component. Inexact: only the first bytes of a string are in the word.
struct Words {
  std::vector<uint64_t> values;
  bool exact = true;
};

uint64_t OrderedDouble(double value) {
  if (value == 0) value = 0;
  if (std::isnan(value)) return ~uint64_t{0};
  const auto bits = std::bit_cast<uint64_t>(value);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}

uint64_t Prefix(std::string_view text) {
  uint64_t word = 0;
  std::memcpy(&word, text.data(), std::min<size_t>(text.size(), sizeof(word)));
  return __builtin_bswap64(word);
}

template <typename T>
const T* ValuesOf(const arrow::Array& column) {
  return reinterpret_cast<const T*>(column.data()->buffers[1]->data()) + column.offset();
}

/// Ranks of all rows of a reference's source field: equal values have equal ranks.
class SourceRanks {
 public:
  static Result<SourceRanks> Make(const exec::Context& context, const store::Table& source,
                                  int field, const data::KeyComponent& key,
                                  const std::string& missing) {
    const std::vector<store::Table::Morsel> morsels = source.Morsels(0, source.num_rows());
    std::vector<store::Table::ScanBatch> scans(morsels.size());
    CAPI_RETURN_NOT_OK(exec::ParallelFor(
        context.pool, static_cast<int64_t>(morsels.size()), [&](int64_t i) -> Status {
          CAPI_RETURN_NOT_OK(context.cancel.Check());
          CAPI_ASSIGN_OR_RETURN(scans[static_cast<size_t>(i)],
                                source.Read(morsels[static_cast<size_t>(i)], {field}));
          return Status::OK();
        }));
    std::vector<std::string_view> texts;
    std::vector<RowId> rows;
    std::vector<std::string> uppers;
    texts.reserve(static_cast<size_t>(source.num_rows()) + 1);
    rows.reserve(static_cast<size_t>(source.num_rows()));
    for (const auto& scan : scans) {
      CAPI_ASSIGN_OR_RETURN(data::StringReader strings, data::StringReader::Make(*scan.columns[0]));
      for (int64_t i = 0; i < scan.num_rows; ++i) texts.push_back(strings[i]);
      rows.insert(rows.end(), scan.row_ids.begin(), scan.row_ids.end());
    }
    texts.push_back(missing);
    if (key.ignore_case) {
      uppers.resize(texts.size());
      for (size_t i = 0; i < texts.size(); ++i) {
        data::ToUpperSimple(texts[i], &uppers[i]);
        texts[i] = uppers[i];
      }
    }
    std::vector<uint64_t> prefixes(texts.size());
    std::vector<uint32_t> order(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) prefixes[i] = Prefix(texts[i]);
    std::iota(order.begin(), order.end(), 0);
    RadixSortByKey(&prefixes, &order);
    for (size_t begin = 0; begin < order.size();) {
      size_t end = begin + 1;
      while (end < order.size() && prefixes[end] == prefixes[begin]) ++end;
      if (end - begin > 1) {
        std::stable_sort(order.begin() + static_cast<ptrdiff_t>(begin),
                         order.begin() + static_cast<ptrdiff_t>(end),
                         [&](uint32_t a, uint32_t b) { return texts[a] < texts[b]; });
      }
      begin = end;
    }
    SourceRanks ranks;
    uint32_t rank = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0 && texts[order[i]] != texts[order[i - 1]]) ++rank;
      if (order[i] == rows.size()) {
        ranks.missing_ = rank;
        continue;
      }
      const RowId row = rows[order[i]];
      const auto batch = static_cast<size_t>(data::BatchOf(row));
      const auto ordinal = static_cast<size_t>(data::OrdinalOf(row));
      if (ranks.of_batch_.size() <= batch) ranks.of_batch_.resize(batch + 1);
      std::vector<uint32_t>& of_ordinal = ranks.of_batch_[batch];
      if (of_ordinal.size() <= ordinal)
        of_ordinal.resize(std::max(ordinal + 1, of_ordinal.size() * 2));
      of_ordinal[ordinal] = rank;
    }
    return ranks;
  }

  uint64_t operator[](RowId row) const {
    if (row == data::kNoRow) return missing_;
    return of_batch_[static_cast<size_t>(data::BatchOf(row))]
                    [static_cast<size_t>(data::OrdinalOf(row))];
  }

 private:
  std::vector<std::vector<uint32_t>> of_batch_;
  uint32_t missing_ = 0;
};

/// All key values of the batch: pieces by morsel.
struct Collected {
  std::vector<SortMorsel> morsels;
  std::vector<int64_t> begins;  // first row number of each morsel, then the total
};

Status AppendWords(const data::KeyComponent& key, const arrow::Array& column, Words* words) {
  const int64_t n = column.length();
  auto& values = words->values;
  switch (column.type_id()) {
    case arrow::Type::INT64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DECIMAL64: {
      const auto* from = ValuesOf<int64_t>(column);
      for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<uint64_t>(from[i]) ^ kSignBit);
      return Status::OK();
    }
    case arrow::Type::DOUBLE: {
      const auto* from = ValuesOf<double>(column);
      for (int64_t i = 0; i < n; ++i) values.push_back(OrderedDouble(from[i]));
      return Status::OK();
    }
    case arrow::Type::STRING:
    case arrow::Type::DICTIONARY: {
      CAPI_ASSIGN_OR_RETURN(data::StringReader strings, data::StringReader::Make(column));
      std::string upper;
      words->exact = false;
      for (int64_t i = 0; i < n; ++i) {
        std::string_view text = strings[i];
        if (key.ignore_case) {
          data::ToUpperSimple(text, &upper);
          text = upper;
        }
        values.push_back(Prefix(text));
      }
      return Status::OK();
    }
    case arrow::Type::DECIMAL128: {
      // The high half orders up to ties; comparators settle the rest.
      words->exact = false;
      for (int64_t i = 0; i < n; ++i) {
        int64_t high;
        std::memcpy(&high, column.data()->buffers[1]->data() + (column.offset() + i) * 16 + 8, 8);
        values.push_back(static_cast<uint64_t>(high) ^ kSignBit);
      }
      return Status::OK();
    }
    default: {  // bool and wide datetimes
      for (int64_t i = 0; i < n; ++i) {
        CAPI_ASSIGN_OR_RETURN(const data::Value value, data::CellValue(column, i));
        if (const auto* flag = std::get_if<bool>(&value)) {
          values.push_back(*flag ? 1 : 0);
        } else {
          words->exact = false;
          values.push_back(static_cast<uint64_t>(std::get<data::Instant>(value).ToMillisFloor()) ^
                           kSignBit);
        }
      }
      return Status::OK();
    }
  }
}

/// One layout for a component over all morsels, so that its words compare.
Status UnifyLayouts(Collected* collected, size_t component) {
  bool mixed = false;
  const auto& first = collected->morsels.front().keys[component];
  for (const SortMorsel& morsel : collected->morsels) {
    const auto id = morsel.keys[component]->type_id();
    const bool string = id == arrow::Type::STRING || id == arrow::Type::DICTIONARY;
    mixed = mixed || (!string && id != first->type_id());
  }
  if (!mixed) return Status::OK();
  Columns pieces;
  for (const SortMorsel& morsel : collected->morsels) pieces.push_back(morsel.keys[component]);
  CAPI_ASSIGN_OR_RETURN(auto all, data::Concatenate(pieces));
  for (size_t m = 0; m < collected->morsels.size(); ++m) {
    collected->morsels[m].keys[component] =
        all->Slice(collected->begins[m], collected->begins[m + 1] - collected->begins[m]);
  }
  return Status::OK();
}

/// A level of the sort: a packed word, then (if inexact) a full comparison of one component.
struct Level {
  std::vector<uint64_t> words;
  bool exact = true;
  size_t component = 0;  // of the full comparison
};

class InMemoryRows : public SortedRows {
 public:
  InMemoryRows(std::vector<RowIdList> morsels, std::vector<int64_t> begins,
               std::vector<uint32_t> order, RowCounts counts, exec::Reservation reservation)
      : morsels_(std::move(morsels)),
        begins_(std::move(begins)),
        order_(std::move(order)),
        counts_(counts),
        reservation_(std::move(reservation)) {}
  const RowCounts& counts() const override { return counts_; }
  Result<std::optional<std::vector<RowId>>> Next(int64_t max_rows) override {
    if (next_ == order_.size()) return std::optional<std::vector<RowId>>();
    const size_t end = std::min(order_.size(), next_ + static_cast<size_t>(max_rows));
    std::vector<RowId> block;
    block.reserve(end - next_);
    for (; next_ < end; ++next_) {
      const auto row = static_cast<int64_t>(order_[next_]);
      const auto after = std::upper_bound(begins_.begin(), begins_.end(), row);
      const auto morsel = static_cast<size_t>(after - begins_.begin()) - 1;
      block.push_back(morsels_[morsel][row - begins_[morsel]]);
    }
    return std::optional<std::vector<RowId>>(std::move(block));
  }

 private:
  std::vector<RowIdList> morsels_;
  std::vector<int64_t> begins_;
  std::vector<uint32_t> order_;
  RowCounts counts_;
  exec::Reservation reservation_;
  size_t next_ = 0;
};

/// Compares a component of two rows by value.
class FullComparison {
 public:
  FullComparison(const Collected* collected, const data::KeyComponent* key, size_t component)
      : collected_(collected), key_(key), component_(component) {}
  Result<int> Compare(uint32_t a, uint32_t b) const {
    const auto [morsel_a, row_a] = Locate(a);
    const auto [morsel_b, row_b] = Locate(b);
    CAPI_ASSIGN_OR_RETURN(
        auto comparator,
        data::KeyComparator::Make({*key_}, {collected_->morsels[morsel_a].keys[component_]},
                                  {collected_->morsels[morsel_b].keys[component_]}));
    return comparator->Compare(row_a, row_b);
  }

 private:
  std::pair<size_t, int64_t> Locate(uint32_t row) const {
    const auto next = std::upper_bound(collected_->begins.begin(), collected_->begins.end(),
                                       static_cast<int64_t>(row));
    const auto morsel = static_cast<size_t>(next - collected_->begins.begin()) - 1;
    return {morsel, row - collected_->begins[morsel]};
  }
  const Collected* collected_;
  const data::KeyComponent* key_;
  size_t component_;
};

Result<std::vector<Level>> BuildLevels(const exec::Context& context, const SortInputs& inputs,
                                       Collected* collected) {
  std::vector<Level> levels;
  int free_bits = 0;
  const auto total = static_cast<size_t>(collected->begins.back());
  for (size_t c = 0; c < inputs.components->size(); ++c) {
    const SortComponent& component = (*inputs.components)[c];
    Words words;
    words.values.reserve(total);
    if (component.reference) {
      const store::Table::Reference& reference = *component.reference;
      CAPI_ASSIGN_OR_RETURN(
          SourceRanks ranks,
          SourceRanks::Make(context, *reference.source, reference.source_field, component.key,
                            std::get<std::string>(reference.missing)));
      for (SortMorsel& morsel : collected->morsels) {
        for (const RowId row : morsel.source_rows[c]) words.values.push_back(ranks[row]);
        morsel.source_rows[c] = {};
      }
    } else {
      CAPI_RETURN_NOT_OK(UnifyLayouts(collected, c));
      for (SortMorsel& morsel : collected->morsels) {
        CAPI_RETURN_NOT_OK(AppendWords(component.key, *morsel.keys[c], &words));
        if (words.exact) morsel.keys[c] = nullptr;
      }
    }
    const auto [low, high] = std::minmax_element(words.values.begin(), words.values.end());
    const uint64_t min = *low;
    const uint64_t max = *high;
    const int bits = std::bit_width(max - min);
    for (uint64_t& value : words.values) {
      value = component.key.descending ? max - value : value - min;
    }
    if (!levels.empty() && levels.back().exact && bits <= free_bits) {
      Level& level = levels.back();
      for (size_t i = 0; i < total; ++i) {
        level.words[i] = (bits == 64 ? 0 : level.words[i] << bits) | words.values[i];
      }
      free_bits -= bits;
    } else {
      levels.push_back({std::move(words.values), true, c});
      free_bits = 64 - bits;
    }
    levels.back().exact = words.exact;
    levels.back().component = c;
  }
  return levels;
}

/// Settles rows [begin, end) of `order`, equal in all levels before `level`.
Status SettleTies(const SortInputs& inputs, const Collected& collected,
                  const std::vector<Level>& levels, uint32_t* begin, uint32_t* end) {
  Status failure;
  std::vector<FullComparison> full;
  for (const Level& level : levels) {
    full.emplace_back(&collected, &(*inputs.components)[level.component].key, level.component);
  }
  std::stable_sort(begin, end, [&](uint32_t a, uint32_t b) {
    for (size_t i = 0; i < levels.size(); ++i) {
      if (levels[i].words[a] != levels[i].words[b]) return levels[i].words[a] < levels[i].words[b];
      if (levels[i].exact) continue;
      const Result<int> order = full[i].Compare(a, b);
      if (!order.ok()) {
        failure = order.status();
        return false;
      }
      if (*order != 0) return *order < 0;
    }
    return false;
  });
  return failure;
}

}  // namespace

void RadixSortByKey(std::vector<uint64_t>* keys, std::vector<uint32_t>* order) {
  constexpr int kDigitBits = 11;
  constexpr size_t kDigits = size_t{1} << kDigitBits;
  const size_t n = keys->size();
  uint64_t all_or = 0;
  uint64_t all_and = ~uint64_t{0};
  bool sorted = true;
  for (size_t i = 0; i < n; ++i) {
    all_or |= (*keys)[i];
    all_and &= (*keys)[i];
    sorted = sorted && (i == 0 || (*keys)[i - 1] <= (*keys)[i]);
  }
  if (sorted) return;
  const uint64_t differing = all_or & ~all_and;
  std::vector<uint64_t> keys_out(n);
  std::vector<uint32_t> order_out(n);
  std::vector<size_t> starts(kDigits);
  for (int shift = 0; shift < 64; shift += kDigitBits) {
    if (((differing >> shift) & (kDigits - 1)) == 0) continue;
    std::fill(starts.begin(), starts.end(), 0);
    for (const uint64_t key : *keys) ++starts[(key >> shift) & (kDigits - 1)];
    size_t sum = 0;
    for (size_t& start : starts) sum += std::exchange(start, sum);
    for (size_t i = 0; i < n; ++i) {
      const size_t at = starts[((*keys)[i] >> shift) & (kDigits - 1)]++;
      keys_out[at] = (*keys)[i];
      order_out[at] = (*order)[i];
    }
    keys->swap(keys_out);
    order->swap(order_out);
  }
}

Result<std::unique_ptr<SortedRows>> SortInMemory(const exec::Context& context,
                                                 const SortInputs& inputs, TableSource source,
                                                 exec::Reservation reservation) {
  Collected collected;
  collected.begins.push_back(0);
  RowCounts counts;
  CAPI_RETURN_NOT_OK((exec::OrderedPipeline<store::Table::Morsel, SortMorsel>(
      context.pool, context.cancel, 0,
      [&]() -> Result<std::optional<store::Table::Morsel>> { return source.Next(); },
      [&](const store::Table::Morsel& morsel) { return inputs.Read(context, morsel, true); },
      [&](SortMorsel morsel) {
        counts += morsel.counts;
        if (morsel.row_ids.size() == 0) return Status::OK();
        collected.begins.push_back(collected.begins.back() + morsel.row_ids.size());
        collected.morsels.push_back(std::move(morsel));
        return Status::OK();
      })));
  const auto total = static_cast<size_t>(collected.begins.back());
  std::vector<uint32_t> order(total);
  std::iota(order.begin(), order.end(), 0);
  if (total > 0) {
    CAPI_ASSIGN_OR_RETURN(std::vector<Level> levels, BuildLevels(context, inputs, &collected));
    if (!levels.empty()) {
      const bool simple = levels.size() == 1 && levels[0].exact;
      std::vector<uint64_t> keys = simple ? std::move(levels[0].words) : levels[0].words;
      RadixSortByKey(&keys, &order);
      if (!simple) {
        for (size_t begin = 0; begin < total;) {
          size_t end = begin + 1;
          while (end < total && keys[end] == keys[begin]) ++end;
          if (end - begin > 1) {
            CAPI_RETURN_NOT_OK(
                SettleTies(inputs, collected, levels, order.data() + begin, order.data() + end));
          }
          begin = end;
        }
      }
    }
    if (inputs.limit > 0 && static_cast<size_t>(inputs.limit) < total) {
      counts.beyond_limit = static_cast<int64_t>(total) - inputs.limit;
      order.resize(static_cast<size_t>(inputs.limit));
    }
  }
  std::vector<RowIdList> row_ids;
  row_ids.reserve(collected.morsels.size());
  for (SortMorsel& morsel : collected.morsels) row_ids.push_back(std::move(morsel.row_ids));
  return std::unique_ptr<SortedRows>(
      std::make_unique<InMemoryRows>(std::move(row_ids), std::move(collected.begins),
                                     std::move(order), counts, std::move(reservation)));
}

}  // namespace capi::node
