#include "capi/node/partitioned_match.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/node/column_codec.h"

namespace capi::node {

namespace {

using data::RowId;

constexpr int64_t kEstimatedStringBytes = 40;
constexpr int64_t kFixedBytes = 8;
constexpr int64_t kEntryBytes = 16;
constexpr int kMaxPartitionBits = 10;
/// Rows read at once: smaller than a usual morsel, because several are in flight within the budget.
constexpr int64_t kReadRows = 8192;
/// Matches written at once.
constexpr size_t kMatchRows = 16384;

std::vector<int> RightKeyFields(const NodeSetup& setup) {
  std::vector<int> fields;
  for (const data::KeyComponent& component : setup.lookup_index->schema().components) {
    fields.push_back(setup.lookup->FieldIndex(component.field));
  }
  return fields;
}

/// The left side's components are those of the index; only the field names differ.
const std::vector<data::KeyComponent>& Components(const NodeSetup& setup) {
  return setup.lookup_index->schema().components;
}

/// Morsels of at most kReadRows rows over positions [begin, end).
class SmallMorsels {
 public:
  SmallMorsels(const store::Table& table, int64_t begin, int64_t end)
      : table_(&table), next_(begin), end_(end) {}
  std::optional<store::Table::Morsel> Next() {
    while (at_ == morsels_.size()) {
      if (next_ >= end_) return std::nullopt;
      const int64_t until = std::min(end_, next_ + kReadRows);
      morsels_ = table_->Morsels(next_, until);
      next_ = until;
      at_ = 0;
    }
    return morsels_[at_++];
  }

 private:
  const store::Table* table_;
  int64_t next_;
  int64_t end_;
  std::vector<store::Table::Morsel> morsels_;
  size_t at_ = 0;
};

/// A piece of a partition: number of rows, one id per row (right row id or left ordinal), hashes,
/// columns.
struct Piece {
  int64_t num_rows = 0;
  const int64_t* ids = nullptr;
  const uint64_t* hashes = nullptr;
  Columns columns;
};

Status AppendPiece(const std::vector<int64_t>& ids, const std::vector<uint64_t>& hashes,
                   const Columns& columns, std::string* bytes) {
  const auto n = static_cast<int64_t>(ids.size());
  bytes->append(reinterpret_cast<const char*>(&n), sizeof(n));
  bytes->append(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int64_t));
  bytes->append(reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(uint64_t));
  return AppendColumns(columns, n, bytes);
}

Result<Piece> ReadPiece(size_t num_columns, std::string_view bytes) {
  Piece piece;
  std::memcpy(&piece.num_rows, bytes.data(), sizeof(piece.num_rows));
  bytes.remove_prefix(sizeof(piece.num_rows));
  piece.ids = reinterpret_cast<const int64_t*>(bytes.data());
  bytes.remove_prefix(static_cast<size_t>(piece.num_rows) * sizeof(int64_t));
  piece.hashes = reinterpret_cast<const uint64_t*>(bytes.data());
  bytes.remove_prefix(static_cast<size_t>(piece.num_rows) * sizeof(uint64_t));
  CAPI_ASSIGN_OR_RETURN(piece.columns, ReadColumns(num_columns, &bytes));
  return piece;
}

/// Pieces of all partitions in one spill file: hundreds of partitions need no buffer or descriptor
/// each. Add is thread-safe; the pieces of one partition keep the order of their calls.
class Partitions {
 public:
  static Result<std::unique_ptr<Partitions>> Make(const exec::Context& context, int bits) {
    auto partitions = std::make_unique<Partitions>();
    partitions->bits_ = bits;
    partitions->extents_.resize(size_t{1} << bits);
    CAPI_ASSIGN_OR_RETURN(partitions->file_, exec::NewSpillFile(context));
    return partitions;
  }
  Status Add(size_t partition, std::string_view piece) {
    const std::lock_guard<std::mutex> lock(mutex_);
    extents_[partition].push_back({file_->size(), static_cast<int64_t>(piece.size())});
    return file_->Append(piece);
  }
  /// Ends writing; pieces can be read afterwards.
  Status Finish() {
    CAPI_ASSIGN_OR_RETURN(bytes_, file_->FinishAndMap());
    return Status::OK();
  }
  size_t num_partitions() const { return extents_.size(); }
  int bits() const { return bits_; }
  size_t PartitionOf(uint64_t hash) const {
    return bits_ == 0 ? 0 : static_cast<size_t>(hash >> (64 - bits_));
  }
  size_t num_pieces(size_t partition) const { return extents_[partition].size(); }
  std::string_view piece(size_t partition, size_t i) const {
    const Extent& extent = extents_[partition][i];
    return bytes_.substr(static_cast<size_t>(extent.offset), static_cast<size_t>(extent.length));
  }

 private:
  struct Extent {
    int64_t offset;
    int64_t length;
  };
  int bits_ = 0;
  std::mutex mutex_;
  std::unique_ptr<exec::SpillFile> file_;
  std::vector<std::vector<Extent>> extents_;
  std::string_view bytes_;
};

/// Encoded pieces of one morsel, by partition.
using SplitMorsel = std::vector<std::string>;

/// `columns` begin with the key columns.
Result<SplitMorsel> Split(const std::vector<data::KeyComponent>& components, const Columns& columns,
                          const std::vector<int64_t>& ids, const Partitions& partitions) {
  const auto n = static_cast<int64_t>(ids.size());
  std::vector<uint64_t> hashes(ids.size());
  const Columns keys(columns.begin(), columns.begin() + static_cast<ptrdiff_t>(components.size()));
  CAPI_RETURN_NOT_OK(data::HashKeys(components, keys, n, hashes.data()));
  std::vector<std::vector<int32_t>> rows(partitions.num_partitions());
  for (int64_t i = 0; i < n; ++i) {
    rows[partitions.PartitionOf(hashes[static_cast<size_t>(i)])].push_back(static_cast<int32_t>(i));
  }
  SplitMorsel split(rows.size());
  for (size_t p = 0; p < rows.size(); ++p) {
    if (rows[p].empty()) continue;
    const auto count = static_cast<int64_t>(rows[p].size());
    std::vector<int64_t> piece_ids;
    std::vector<uint64_t> piece_hashes;
    for (const int32_t row : rows[p]) {
      piece_ids.push_back(ids[static_cast<size_t>(row)]);
      piece_hashes.push_back(hashes[static_cast<size_t>(row)]);
    }
    Columns taken;
    for (const auto& column : columns) {
      CAPI_ASSIGN_OR_RETURN(auto values, data::Take(column, rows[p].data(), count));
      taken.push_back(std::move(values));
    }
    CAPI_RETURN_NOT_OK(AppendPiece(piece_ids, piece_hashes, taken, &split[p]));
  }
  return split;
}

/// Reads positions [begin, end) of a table and distributes the rows. With ordinals, the id of a row
/// is its place in the range instead of its row id.
Status Distribute(const exec::Context& context, const store::Table& table,
                  const std::vector<data::KeyComponent>& components, const std::vector<int>& fields,
                  int64_t begin, int64_t end, bool ordinals, Partitions* partitions) {
  SmallMorsels morsels(table, begin, end);
  CAPI_RETURN_NOT_OK((exec::OrderedPipeline<store::Table::Morsel, SplitMorsel>(
      context.pool, context.cancel, 0,
      [&]() -> Result<std::optional<store::Table::Morsel>> { return morsels.Next(); },
      [&](const store::Table::Morsel& morsel) -> Result<SplitMorsel> {
        CAPI_ASSIGN_OR_RETURN(auto scan, table.Read(morsel, fields));
        if (ordinals) {
          for (int64_t i = 0; i < scan.num_rows; ++i) {
            scan.row_ids[static_cast<size_t>(i)] = morsel.first_position - begin + i;
          }
        }
        return Split(components, scan.columns, scan.row_ids, *partitions);
      },
      [&](SplitMorsel split) -> Status {
        for (size_t p = 0; p < split.size(); ++p) {
          if (!split[p].empty()) CAPI_RETURN_NOT_OK(partitions->Add(p, split[p]));
        }
        return Status::OK();
      })));
  return partitions->Finish();
}

class Right : public PartitionedRight {
 public:
  std::unique_ptr<Partitions> partitions;
  size_t num_keys = 0;
  size_t num_columns = 0;  // keys, then the plan's right fields
};

/// A right partition in memory.
struct LoadedPartition {
  std::vector<std::pair<uint64_t, int64_t>> entries;  // (hash, row), sorted
  std::vector<RowId> row_ids;
  Columns keys;
  Columns values;
};

Result<LoadedPartition> Load(const Right& right, size_t partition) {
  LoadedPartition loaded;
  std::vector<Columns> pieces(right.num_columns);
  for (size_t p = 0; p < right.partitions->num_pieces(partition); ++p) {
    CAPI_ASSIGN_OR_RETURN(Piece piece,
                          ReadPiece(right.num_columns, right.partitions->piece(partition, p)));
    for (int64_t i = 0; i < piece.num_rows; ++i) {
      loaded.entries.emplace_back(piece.hashes[i], static_cast<int64_t>(loaded.row_ids.size()));
      loaded.row_ids.push_back(piece.ids[i]);
    }
    for (size_t c = 0; c < right.num_columns; ++c) pieces[c].push_back(piece.columns[c]);
  }
  if (loaded.row_ids.empty()) return loaded;
  std::sort(loaded.entries.begin(), loaded.entries.end());
  for (size_t c = 0; c < right.num_columns; ++c) {
    CAPI_ASSIGN_OR_RETURN(auto column, data::Concatenate(pieces[c]));
    (c < right.num_keys ? loaded.keys : loaded.values).push_back(std::move(column));
  }
  return loaded;
}

/// Writes matches of one left piece: ids are left ordinals, "hashes" are right row ids.
Status WriteMatches(const std::vector<int64_t>& ordinals, const std::vector<int64_t>& right_rows,
                    const LoadedPartition& right, size_t partition, Partitions* matches) {
  for (size_t begin = 0; begin < ordinals.size(); begin += kMatchRows) {
    const size_t end = std::min(ordinals.size(), begin + kMatchRows);
    std::vector<int64_t> ids(ordinals.begin() + static_cast<ptrdiff_t>(begin),
                             ordinals.begin() + static_cast<ptrdiff_t>(end));
    std::vector<uint64_t> row_ids;
    std::vector<int32_t> rows;
    for (size_t i = begin; i < end; ++i) {
      rows.push_back(static_cast<int32_t>(right_rows[i]));
      row_ids.push_back(static_cast<uint64_t>(right.row_ids[static_cast<size_t>(right_rows[i])]));
    }
    Columns values;
    for (const auto& column : right.values) {
      CAPI_ASSIGN_OR_RETURN(auto taken,
                            data::Take(column, rows.data(), static_cast<int64_t>(rows.size())));
      values.push_back(std::move(taken));
    }
    std::string bytes;
    CAPI_RETURN_NOT_OK(AppendPiece(ids, row_ids, values, &bytes));
    CAPI_RETURN_NOT_OK(matches->Add(partition, bytes));
  }
  return Status::OK();
}

Status JoinPartition(const std::vector<data::KeyComponent>& components, const Right& right,
                     const Partitions& left, size_t partition, Partitions* matches) {
  if (left.num_pieces(partition) == 0) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(const LoadedPartition loaded, Load(right, partition));
  if (loaded.row_ids.empty()) return Status::OK();
  for (size_t p = 0; p < left.num_pieces(partition); ++p) {
    CAPI_ASSIGN_OR_RETURN(const Piece piece,
                          ReadPiece(components.size(), left.piece(partition, p)));
    CAPI_ASSIGN_OR_RETURN(auto comparator,
                          data::KeyComparator::Make(components, piece.columns, loaded.keys));
    std::vector<int64_t> ordinals;
    std::vector<int64_t> right_rows;
    for (int64_t i = 0; i < piece.num_rows; ++i) {
      auto entry = std::lower_bound(loaded.entries.begin(), loaded.entries.end(),
                                    std::pair<uint64_t, int64_t>(piece.hashes[i], 0));
      for (; entry != loaded.entries.end() && entry->first == piece.hashes[i]; ++entry) {
        if (!comparator->Equal(i, entry->second)) continue;
        ordinals.push_back(piece.ids[i]);
        right_rows.push_back(entry->second);
      }
      if (ordinals.size() >= kMatchRows) {
        CAPI_RETURN_NOT_OK(WriteMatches(ordinals, right_rows, loaded, partition, matches));
        ordinals.clear();
        right_rows.clear();
      }
    }
    CAPI_RETURN_NOT_OK(WriteMatches(ordinals, right_rows, loaded, partition, matches));
  }
  return Status::OK();
}

/// Reads the matches of one partition in left order.
class MatchCursor {
 public:
  MatchCursor(const Partitions* matches, size_t partition, size_t num_columns)
      : matches_(matches), partition_(partition), num_columns_(num_columns) {}
  /// The next matches with an ordinal below `end`; false at the end of these.
  Result<bool> Next(int64_t end, Piece* run) {
    if (at_ == piece_.num_rows) {
      if (next_piece_ == matches_->num_pieces(partition_)) return false;
      CAPI_ASSIGN_OR_RETURN(piece_,
                            ReadPiece(num_columns_, matches_->piece(partition_, next_piece_++)));
      at_ = 0;
    }
    const int64_t* last = std::lower_bound(piece_.ids + at_, piece_.ids + piece_.num_rows, end);
    const int64_t n = last - (piece_.ids + at_);
    if (n == 0) return false;
    run->num_rows = n;
    run->ids = piece_.ids + at_;
    run->hashes = piece_.hashes + at_;
    run->columns.clear();
    for (const auto& column : piece_.columns) run->columns.push_back(column->Slice(at_, n));
    at_ += n;
    return true;
  }

 private:
  const Partitions* matches_;
  size_t partition_;
  size_t num_columns_;
  size_t next_piece_ = 0;
  Piece piece_;
  int64_t at_ = 0;
};

class PartitionedMatchSource : public MatchSource {
 public:
  PartitionedMatchSource(const NodeSetup& setup, size_t num_values, int64_t begin, int64_t end,
                         std::unique_ptr<Partitions> matches)
      : morsels_(*setup.reader, begin, end),
        begin_(begin),
        num_values_(num_values),
        matches_(std::move(matches)) {
    for (size_t p = 0; p < matches_->num_partitions(); ++p) {
      cursors_.emplace_back(matches_.get(), p, num_values);
    }
  }

  Result<std::optional<LeftMorsel>> Next() override {
    const std::optional<store::Table::Morsel> morsel = morsels_.Next();
    if (!morsel) return std::optional<LeftMorsel>();
    const int64_t first = morsel->first_position - begin_;
    std::vector<std::pair<int32_t, int32_t>> order;  // (left row, place among the collected)
    std::vector<RowId> row_ids;
    std::vector<Columns> pieces(num_values_);
    for (MatchCursor& cursor : cursors_) {
      Piece run;
      for (;;) {
        CAPI_ASSIGN_OR_RETURN(const bool found, cursor.Next(first + morsel->num_rows, &run));
        if (!found) break;
        for (int64_t i = 0; i < run.num_rows; ++i) {
          order.emplace_back(static_cast<int32_t>(run.ids[i] - first),
                             static_cast<int32_t>(order.size()));
          row_ids.push_back(static_cast<RowId>(run.hashes[i]));
        }
        for (size_t c = 0; c < num_values_; ++c) pieces[c].push_back(run.columns[c]);
      }
    }
    // A left row's matches come from one partition, in row-id order: the place settles ties.
    std::sort(order.begin(), order.end());
    auto matches = std::make_shared<Matches>();
    std::vector<int32_t> places;
    for (const auto& [left_row, place] : order) {
      matches->left_rows.push_back(left_row);
      matches->right_rows.push_back(row_ids[static_cast<size_t>(place)]);
      places.push_back(place);
    }
    if (!order.empty()) {
      for (const Columns& column_pieces : pieces) {
        CAPI_ASSIGN_OR_RETURN(auto all, data::Concatenate(column_pieces));
        CAPI_ASSIGN_OR_RETURN(all,
                              data::Take(all, places.data(), static_cast<int64_t>(places.size())));
        matches->right_columns.push_back(std::move(all));
      }
    }
    return std::optional<LeftMorsel>(LeftMorsel{*morsel, std::move(matches)});
  }

  Result<Matches> Find(const LeftMorsel& morsel, const LeftRows& slice,
                       int64_t begin) const override {
    const Matches& all = *morsel.matches;
    const auto first = std::lower_bound(all.left_rows.begin(), all.left_rows.end(), begin);
    const auto last = std::lower_bound(first, all.left_rows.end(), begin + slice.num_rows);
    const auto from = first - all.left_rows.begin();
    const auto to = last - all.left_rows.begin();
    Matches matches;
    for (auto row = first; row != last; ++row) {
      matches.left_rows.push_back(*row - static_cast<int32_t>(begin));
    }
    matches.right_rows.assign(all.right_rows.begin() + from, all.right_rows.begin() + to);
    for (const auto& column : all.right_columns) {
      matches.right_columns.push_back(column->Slice(from, to - from));
    }
    return matches;
  }

 private:
  SmallMorsels morsels_;
  int64_t begin_;
  size_t num_values_;
  std::unique_ptr<Partitions> matches_;
  std::vector<MatchCursor> cursors_;
};

}  // namespace

int64_t EstimateRightBytes(const NodeSetup& setup, const LookupPlan& plan) {
  int64_t row_bytes = kEntryBytes;
  const auto add = [&](int field) {
    const bool string =
        setup.lookup->schema().fields[static_cast<size_t>(field)].type == data::FieldType::kString;
    row_bytes += string ? kEstimatedStringBytes : kFixedBytes;
  };
  for (const int field : RightKeyFields(setup)) add(field);
  for (const int field : plan.right_fields()) add(field);
  return setup.lookup->num_rows() * row_bytes;
}

Result<std::unique_ptr<PartitionedRight>> PartitionedRight::Make(const exec::Context& context,
                                                                 const NodeSetup& setup,
                                                                 const LookupPlan& plan,
                                                                 int64_t partition_bytes) {
  auto right = std::make_unique<Right>();
  const int64_t wanted =
      EstimateRightBytes(setup, plan) / std::max<int64_t>(partition_bytes, 1) + 1;
  const int bits = std::min(kMaxPartitionBits,
                            static_cast<int>(std::bit_width(static_cast<uint64_t>(wanted - 1))));
  std::vector<int> fields = RightKeyFields(setup);
  right->num_keys = fields.size();
  fields.insert(fields.end(), plan.right_fields().begin(), plan.right_fields().end());
  right->num_columns = fields.size();
  CAPI_ASSIGN_OR_RETURN(right->partitions, Partitions::Make(context, bits));
  CAPI_RETURN_NOT_OK(Distribute(context, *setup.lookup, Components(setup), fields, 0,
                                setup.lookup->num_rows(), /*ordinals=*/false,
                                right->partitions.get()));
  return std::unique_ptr<PartitionedRight>(std::move(right));
}

Result<std::unique_ptr<MatchSource>> OpenPartitionedMatches(const exec::Context& context,
                                                            const NodeSetup& setup,
                                                            const LookupPlan& plan,
                                                            const PartitionedRight* right,
                                                            int64_t batch_index) {
  const Right& partitioned = *static_cast<const Right*>(right);
  const auto [begin, end] =
      store::PartitionRange(setup.reader->num_rows(), batch_index, setup.node->num_batches());
  const int bits = partitioned.partitions->bits();
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<Partitions> left, Partitions::Make(context, bits));
  CAPI_RETURN_NOT_OK(Distribute(context, *setup.reader, Components(setup), plan.join_fields(),
                                begin, end, /*ordinals=*/true, left.get()));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<Partitions> matches, Partitions::Make(context, bits));
  CAPI_RETURN_NOT_OK(exec::ParallelFor(
      context.pool, static_cast<int64_t>(left->num_partitions()), [&](int64_t partition) -> Status {
        CAPI_RETURN_NOT_OK(context.cancel.Check());
        return JoinPartition(Components(setup), partitioned, *left, static_cast<size_t>(partition),
                             matches.get());
      }));
  CAPI_RETURN_NOT_OK(matches->Finish());
  return std::unique_ptr<MatchSource>(std::make_unique<PartitionedMatchSource>(
      setup, plan.right_fields().size(), begin, end, std::move(matches)));
}

}  // namespace capi::node
