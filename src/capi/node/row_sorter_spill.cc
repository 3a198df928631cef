// External sort: runs of (encoded key, row id) are sorted in memory, written to spill files and
// merged. Runs are in row-id order among themselves, so that taking the smaller run on equal keys
// keeps the order stable.

#include <algorithm>
#include <cstring>
#include <queue>
#include <utility>

#include "capi/exec/ordered_pipeline.h"
#include "capi/node/row_sorter_internal.h"

namespace capi::node {

namespace {

using data::RowId;

/// Bytes of a run when even small reservations fail.
constexpr int64_t kSmallestRun = 4 << 20;
constexpr int64_t kLargestRun = 64 << 20;
/// Share of the free budget that one run may take.
constexpr int64_t kRunShare = 8;

struct EncodedMorsel {
  std::string bytes;
  std::vector<int64_t> ends;
  RowIdList row_ids;
  RowCounts counts;
};

/// Record in a run: key length (u32), row id (i64), key bytes.
struct Record {
  std::string_view key;
  RowId row = 0;
};

class RunReader {
 public:
  explicit RunReader(std::string_view bytes) : rest_(bytes) {}
  bool Next() {
    if (rest_.empty()) return false;
    uint32_t length;
    std::memcpy(&length, rest_.data(), sizeof(length));
    std::memcpy(&record_.row, rest_.data() + sizeof(length), sizeof(record_.row));
    record_.key = rest_.substr(sizeof(length) + sizeof(record_.row), length);
    rest_.remove_prefix(sizeof(length) + sizeof(record_.row) + length);
    return true;
  }
  const Record& record() const { return record_; }

 private:
  std::string_view rest_;
  Record record_;
};

class MergedRuns : public SortedRows {
 public:
  MergedRuns(std::vector<std::unique_ptr<exec::SpillFile>> files,
             const std::vector<std::string_view>& runs, RowCounts counts, int64_t rows)
      : files_(std::move(files)), counts_(counts), left_(rows) {
    for (const std::string_view run : runs) readers_.emplace_back(run);
    for (size_t i = 0; i < readers_.size(); ++i) {
      if (readers_[i].Next()) heap_.push_back(i);
    }
    std::make_heap(heap_.begin(), heap_.end(), Later{this});
  }
  const RowCounts& counts() const override { return counts_; }

  Result<std::optional<std::vector<RowId>>> Next(int64_t max_rows) override {
    if (left_ == 0) return std::optional<std::vector<RowId>>();
    std::vector<RowId> block;
    const int64_t n = std::min(max_rows, left_);
    block.reserve(static_cast<size_t>(n));
    while (static_cast<int64_t>(block.size()) < n) {
      std::pop_heap(heap_.begin(), heap_.end(), Later{this});
      const size_t run = heap_.back();
      block.push_back(readers_[run].record().row);
      if (readers_[run].Next()) {
        std::push_heap(heap_.begin(), heap_.end(), Later{this});
      } else {
        heap_.pop_back();
      }
    }
    left_ -= n;
    return std::optional<std::vector<RowId>>(std::move(block));
  }

 private:
  struct Later {
    const MergedRuns* merge;
    bool operator()(size_t a, size_t b) const {
      const int order = merge->readers_[a].record().key.compare(merge->readers_[b].record().key);
      return order != 0 ? order > 0 : a > b;
    }
  };
  std::vector<std::unique_ptr<exec::SpillFile>> files_;
  std::vector<RunReader> readers_;
  std::vector<size_t> heap_;
  RowCounts counts_;
  int64_t left_;
};

/// Collects morsels and writes them as sorted runs.
class RunWriter {
 public:
  RunWriter(const exec::Context& context, int64_t limit) : context_(context), limit_(limit) {
    reservation_ = exec::Reservation(context.memory);
    run_bytes_ = kSmallestRun;
    if (context.memory->limit_bytes() > 0) {
      const int64_t free = context.memory->limit_bytes() - context.memory->reserved_bytes();
      run_bytes_ = std::clamp(free / kRunShare, kSmallestRun, kLargestRun);
    } else {
      run_bytes_ = kLargestRun;
    }
    reservation_.ForceGrow(run_bytes_);
  }

  Status Add(EncodedMorsel morsel) {
    counts_ += morsel.counts;
    int64_t begin = 0;
    for (int64_t i = 0; i < morsel.row_ids.size(); ++i) {
      const int64_t end = morsel.ends[static_cast<size_t>(i)];
      entries_.push_back({bytes_.size() + static_cast<size_t>(begin),
                          static_cast<uint32_t>(end - begin), morsel.row_ids[i]});
      begin = end;
    }
    bytes_ += morsel.bytes;
    rows_ += morsel.row_ids.size();
    const auto held = static_cast<int64_t>(bytes_.size() + entries_.size() * sizeof(Entry));
    return held >= run_bytes_ ? Flush() : Status::OK();
  }

  Result<std::unique_ptr<SortedRows>> Finish() {
    CAPI_RETURN_NOT_OK(Flush());
    std::vector<std::string_view> runs;
    for (const auto& file : files_) {
      CAPI_ASSIGN_OR_RETURN(const std::string_view run, file->FinishAndMap());
      runs.push_back(run);
    }
    int64_t kept = rows_;
    if (limit_ > 0 && limit_ < rows_) {
      counts_.beyond_limit = rows_ - limit_;
      kept = limit_;
    }
    return std::unique_ptr<SortedRows>(
        std::make_unique<MergedRuns>(std::move(files_), runs, counts_, kept));
  }

 private:
  struct Entry {
    size_t begin;
    uint32_t length;
    RowId row;
  };

  Status Flush() {
    if (entries_.empty()) return Status::OK();
    std::stable_sort(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) {
      return std::string_view(bytes_).substr(a.begin, a.length) <
             std::string_view(bytes_).substr(b.begin, b.length);
    });
    CAPI_ASSIGN_OR_RETURN(auto file, exec::NewSpillFile(context_));
    std::string out;
    for (const Entry& entry : entries_) {
      out.append(reinterpret_cast<const char*>(&entry.length), sizeof(entry.length));
      out.append(reinterpret_cast<const char*>(&entry.row), sizeof(entry.row));
      out.append(bytes_, entry.begin, entry.length);
      if (out.size() >= (1 << 20)) {
        CAPI_RETURN_NOT_OK(file->Append(out));
        out.clear();
      }
    }
    CAPI_RETURN_NOT_OK(file->Append(out));
    files_.push_back(std::move(file));
    entries_.clear();
    bytes_.clear();
    return context_.cancel.Check();
  }

  exec::Context context_;
  int64_t limit_;
  int64_t run_bytes_;
  exec::Reservation reservation_;
  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<exec::SpillFile>> files_;
  RowCounts counts_;
  int64_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<SortedRows>> SortWithSpilling(const exec::Context& context,
                                                     const SortInputs& inputs, TableSource source) {
  std::vector<data::KeyComponent> keys;
  for (const SortComponent& component : *inputs.components) keys.push_back(component.key);
  RunWriter writer(context, inputs.limit);
  CAPI_RETURN_NOT_OK((exec::OrderedPipeline<store::Table::Morsel, EncodedMorsel>(
      context.pool, context.cancel, 0,
      [&]() -> Result<std::optional<store::Table::Morsel>> { return source.Next(); },
      [&](const store::Table::Morsel& morsel) -> Result<EncodedMorsel> {
        CAPI_ASSIGN_OR_RETURN(SortMorsel rows, inputs.Read(context, morsel, false));
        EncodedMorsel encoded;
        encoded.counts = rows.counts;
        encoded.row_ids = std::move(rows.row_ids);
        CAPI_RETURN_NOT_OK(data::EncodeSortKeys(keys, rows.keys, encoded.row_ids.size(),
                                                &encoded.bytes, &encoded.ends));
        return encoded;
      },
      [&](EncodedMorsel morsel) { return writer.Add(std::move(morsel)); })));
  return writer.Finish();
}

}  // namespace capi::node
