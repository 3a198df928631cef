// Fetching values of any rows. Rows are handled in blocks: first all are located, then all are
// read, so that the cache misses of a block overlap.

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/store/segment/segment_set_internal.h"

namespace capi::store {

namespace {

constexpr int64_t kBlockRows = 512;
using Locations = std::array<SegmentSet::Location, kBlockRows>;
/// Strings are copied in steps of this size, beyond their ends.
constexpr int64_t kCopyStep = 16;

std::shared_ptr<arrow::Array> FromBuffers(const std::shared_ptr<arrow::DataType>& type, int64_t n,
                                          std::vector<std::shared_ptr<arrow::Buffer>> buffers) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, n, std::move(buffers), 0));
}

/// A slot's views and what stands for kNoRow.
struct Source {
  const SegmentSet* set;
  int slot;
  const BlockView* views;
  const BlockView* missing;  // null when none was given

  const BlockView& At(SegmentSet::Location location) const {
    // ForBlocks has made sure that there is a missing value where one is needed.
    // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.UndefReturn)
    return location.chunk == SegmentSet::kNoChunk ? *missing : views[location.chunk];
  }
  /// Calls body(begin, count, locations) for each block of rows.
  template <typename Body>
  Status ForBlocks(const data::RowId* rows, int64_t n, const Body& body) const {
    Locations locations;
    for (int64_t begin = 0; begin < n; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, n - begin);
      CAPI_RETURN_NOT_OK(set->Locate(slot, rows + begin, count, locations.data()));
      if (missing == nullptr) {
        for (int64_t i = 0; i < count; ++i) {
          if (locations[static_cast<size_t>(i)].chunk == SegmentSet::kNoChunk) {
            return BugError("a row without a source row is read without a missing value");
          }
        }
      }
      CAPI_RETURN_NOT_OK(body(begin, count, locations.data()));
    }
    return Status::OK();
  }
};

/// Reads 8-byte values; *wide is set, and the values are of no use, when a chunk has wide decimals.
Status GatherNumbers(const Source& source, const data::RowId* rows, int64_t n, int64_t* out,
                     bool* wide) {
  *wide = false;
  return source.ForBlocks(rows, n,
                          [&](int64_t begin, int64_t count, const SegmentSet::Location* locations) {
                            int64_t* to = out + begin;
                            bool any_wide = false;
                            for (int64_t i = 0; i < count; ++i) {
                              const BlockView& view = source.At(locations[i]);
                              any_wide |= view.encoding == Encoding::kWide;
                              to[i] = view.Number(locations[i].row);
                            }
                            *wide |= any_wide;
                            return Status::OK();
                          });
}

Status GatherWide(const Source& source, const data::RowId* rows, int64_t n, uint8_t* out) {
  constexpr int64_t kWidth = 16;
  return source.ForBlocks(
      rows, n, [&](int64_t begin, int64_t count, const SegmentSet::Location* locations) {
        for (int64_t i = 0; i < count; ++i) {
          const BlockView& view = source.At(locations[i]);
          data::int128 value = 0;
          if (view.encoding != Encoding::kWide) {
            value = view.Number(locations[i].row);
          } else if (view.width != 0) {
            std::memcpy(&value, view.data + locations[i].row * kWidth, sizeof(value));
          } else {
            value =
                (static_cast<data::int128>(view.base2) << 64) | static_cast<uint64_t>(view.base);
          }
          std::memcpy(out + (begin + i) * kWidth, &value, sizeof(value));
        }
        return Status::OK();
      });
}

Result<std::shared_ptr<arrow::Array>> GatherFixed(const Source& source, data::FieldType type,
                                                  const data::RowId* rows, int64_t n) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(n * 8));
  bool wide = false;
  CAPI_RETURN_NOT_OK(
      GatherNumbers(source, rows, n, reinterpret_cast<int64_t*>(buffer->mutable_data()), &wide));
  if (!wide) return FromBuffers(data::ArrowTypeOf(type), n, {nullptr, std::move(buffer)});
  CAPI_ASSIGN_OR_RETURN(buffer, arrow::AllocateBuffer(n * 16));
  CAPI_RETURN_NOT_OK(GatherWide(source, rows, n, buffer->mutable_data()));
  return FromBuffers(data::WideDecimalArrowType(), n, {nullptr, std::move(buffer)});
}

Result<std::shared_ptr<arrow::Array>> GatherBits(const Source& source, const data::RowId* rows,
                                                 int64_t n) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer((n + 7) / 8));
  uint8_t* out = buffer->mutable_data();
  std::memset(out, 0, static_cast<size_t>(buffer->size()));
  CAPI_RETURN_NOT_OK(source.ForBlocks(
      rows, n, [&](int64_t begin, int64_t count, const SegmentSet::Location* locations) {
        for (int64_t i = 0; i < count; ++i) {
          const bool bit = source.At(locations[i]).Bit(locations[i].row);
          const int64_t at = begin + i;
          out[at >> 3] |= static_cast<uint8_t>((bit ? 1 : 0) << (at & 7));
        }
        return Status::OK();
      }));
  return FromBuffers(arrow::boolean(), n, {nullptr, std::move(buffer)});
}

/// Copies a short text by whole steps: both sides have kCopyStep bytes to spare.
inline void CopyText(const char* from, int64_t size, uint8_t* to) {
  for (int64_t i = 0; i < size; i += kCopyStep) std::memcpy(to + i, from + i, kCopyStep);
}

Result<std::shared_ptr<arrow::Array>> GatherText(const Source& source, const data::RowId* rows,
                                                 int64_t n) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> offsets_buffer,
                        arrow::AllocateBuffer((n + 1) * static_cast<int64_t>(sizeof(int32_t))));
  auto* offsets = reinterpret_cast<int32_t*>(offsets_buffer->mutable_data());
  offsets[0] = 0;
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::ResizableBuffer> bytes,
                        arrow::AllocateResizableBuffer(0));
  int64_t total = 0;
  std::array<const char*, kBlockRows> texts;
  CAPI_RETURN_NOT_OK(source.ForBlocks(
      rows, n, [&](int64_t begin, int64_t count, const SegmentSet::Location* locations) {
        for (int64_t i = 0; i < count; ++i) {
          source.At(locations[i]).PrefetchText(locations[i].row);
        }
        for (int64_t i = 0; i < count; ++i) {
          const std::string_view text = source.At(locations[i]).Text(locations[i].row);
          texts[static_cast<size_t>(i)] = text.data();
          __builtin_prefetch(text.data());
          __builtin_prefetch(text.data() + text.size());
          total += static_cast<int64_t>(text.size());
          if (total > std::numeric_limits<int32_t>::max() - kCopyStep) {
            return BugError("a batch of strings is larger than 2 GiB");
          }
          offsets[begin + i + 1] = static_cast<int32_t>(total);
        }
        if (bytes->capacity() < total + kCopyStep) {
          // The first block tells about how much the others will need.
          const int64_t done = begin + count;
          const int64_t expected = total / done * n + total / 16 + kCopyStep;
          CAPI_RETURN_NOT_OK(bytes->Reserve(std::max(expected, total + total / 2 + kCopyStep)));
        }
        uint8_t* out = bytes->mutable_data();
        for (int64_t i = 0; i < count; ++i) {
          const int32_t from = offsets[begin + i];
          CopyText(texts[static_cast<size_t>(i)], offsets[begin + i + 1] - from, out + from);
        }
        return Status::OK();
      }));
  CAPI_RETURN_NOT_OK(bytes->Resize(total, /*shrink_to_fit=*/false));
  return FromBuffers(arrow::utf8(), n, {nullptr, std::move(offsets_buffer), std::move(bytes)});
}

/// Fewer rows are not worth looking for a shared dictionary, which may read the whole column.
constexpr int64_t kMinCodedRows = 4096;

Result<std::shared_ptr<arrow::Array>> GatherCodes(const Source& source,
                                                  const SharedDictionary& dictionary,
                                                  const data::RowId* rows, int64_t n,
                                                  const std::string* missing) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(n * static_cast<int64_t>(sizeof(int32_t))));
  auto* codes = reinterpret_cast<int32_t*>(buffer->mutable_data());
  int32_t missing_code = 0;
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::ArrayData> entries,
                        dictionary.Entries(missing, &missing_code));
  CAPI_RETURN_NOT_OK(source.ForBlocks(
      rows, n, [&](int64_t begin, int64_t count, const SegmentSet::Location* locations) {
        for (int64_t i = 0; i < count; ++i) {
          const SegmentSet::Location location = locations[i];
          codes[begin + i] =
              location.chunk == SegmentSet::kNoChunk
                  ? missing_code
                  : dictionary.CodesOf(
                        location.chunk)[source.views[location.chunk].Raw(location.row)];
        }
        return Status::OK();
      }));
  auto coded =
      arrow::ArrayData::Make(data::DictionaryArrowType(), n, {nullptr, std::move(buffer)}, 0);
  coded->dictionary = std::move(entries);
  return arrow::MakeArray(coded);
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> SegmentSet::Gather(int field, const data::RowId* rows,
                                                         int64_t n,
                                                         const data::Value* missing) const {
  const TableLayout::Place& place = parts_.layout.places[static_cast<size_t>(field)];
  const data::FieldType type = parts_.layout.types[static_cast<size_t>(field)];
  if (place.group >= 0) return GatherReference(place, type, rows, n, missing);

  std::string text;
  BlockView missing_view;
  Source source{this, place.slot, nullptr, nullptr};
  CAPI_ASSIGN_OR_RETURN(source.views, ViewsOf(place.slot));
  if (missing != nullptr) {
    CAPI_ASSIGN_OR_RETURN(missing_view, ConstantView(type, *missing, &text));
    source.missing = &missing_view;
  }
  switch (type) {
    case data::FieldType::kString:
      if (n >= kMinCodedRows) {
        CAPI_ASSIGN_OR_RETURN(const SharedDictionary* dictionary, DictionaryOf(place.slot));
        // A dictionary larger than the column would cost its readers more than it saves.
        if (dictionary != nullptr && dictionary->size() <= n) {
          return GatherCodes(source, *dictionary, rows, n, std::get_if<std::string>(missing));
        }
      }
      return GatherText(source, rows, n);
    case data::FieldType::kBool:
      return GatherBits(source, rows, n);
    default:
      return GatherFixed(source, type, rows, n);
  }
}

Result<std::vector<data::RowId>> SegmentSet::GatherRowIds(int group, const data::RowId* rows,
                                                          int64_t n) const {
  const int slot = parts_.layout.first_group_slot + group;
  CAPI_ASSIGN_OR_RETURN(const BlockView* views, ViewsOf(slot));
  std::vector<data::RowId> found(static_cast<size_t>(n));
  Locations locations;
  for (int64_t begin = 0; begin < n; begin += kBlockRows) {
    const int64_t count = std::min(kBlockRows, n - begin);
    CAPI_RETURN_NOT_OK(Locate(slot, rows + begin, count, locations.data()));
    for (int64_t i = 0; i < count; ++i) {
      const Location location = locations[Index(i)];
      found[Index(begin + i)] =
          location.chunk == kNoChunk ? data::kNoRow : views[location.chunk].Row(location.row);
    }
  }
  return found;
}

Result<std::shared_ptr<arrow::Array>> SegmentSet::GatherReference(
    const TableLayout::Place& place, data::FieldType type, const data::RowId* rows, int64_t n,
    const data::Value* missing) const {
  const GroupLayout& group = parts_.layout.groups[static_cast<size_t>(place.group)];
  const int source_field = group.fields[static_cast<size_t>(place.in_group)].second;
  const data::Value& source_missing = group.missing[static_cast<size_t>(place.in_group)];
  CAPI_ASSIGN_OR_RETURN(const Table* source, SourceOf(place.group));
  CAPI_ASSIGN_OR_RETURN(const std::vector<data::RowId> source_rows,
                        GatherRowIds(place.group, rows, n));
  // A row that is missing here and one that is missing in the source have different values: the
  // former are put in afterwards.
  std::vector<int32_t> places(static_cast<size_t>(n));
  std::vector<data::RowId> present;
  for (int64_t i = 0; i < n; ++i) {
    if (rows[i] == data::kNoRow) continue;
    places[Index(i)] = static_cast<int32_t>(present.size());
    present.push_back(source_rows[Index(i)]);
  }
  const auto num_present = static_cast<int64_t>(present.size());
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> values,
                        source->Gather(source_field, present.data(), num_present, &source_missing));
  if (num_present == n) return values;
  if (missing == nullptr) {
    return BugError("a row without a source row is read without a missing value");
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> constant,
                        data::ConstantColumn(type, *missing, 1));
  for (int64_t i = 0; i < n; ++i) {
    if (rows[i] == data::kNoRow) places[Index(i)] = static_cast<int32_t>(num_present);
  }
  CAPI_ASSIGN_OR_RETURN(values, data::Concatenate({values, constant}));
  return data::Take(values, places.data(), n);
}

}  // namespace capi::store
