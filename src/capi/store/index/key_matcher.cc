#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/store/index/key_matcher_internal.h"

namespace capi::store {

namespace {

/// Rows whose cache misses overlap.
constexpr int64_t kBlockRows = 256;

bool SameText(std::string_view left, std::string_view right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace

Result<KeyMatcher> KeyMatcher::Make(const SegmentSet* rows,
                                    const std::vector<data::KeyComponent>* components,
                                    const std::vector<int>* key_fields,
                                    const std::vector<std::shared_ptr<arrow::Array>>* left) {
  KeyMatcher matcher;
  matcher.rows_ = rows;
  matcher.components_ = components;
  matcher.key_fields_ = key_fields;
  matcher.left_ = left;
  for (size_t c = 0; c < components->size(); ++c) {
    const data::KeyComponent& component = (*components)[c];
    const arrow::Array& column = *(*left)[c];
    const TableLayout::Place& place = rows->layout().places[static_cast<size_t>((*key_fields)[c])];
    Part part;
    part.slot = place.slot;
    if (place.group < 0) {
      switch (component.type) {
        case data::FieldType::kString:
          if (!component.ignore_case) part.method = Method::kText;
          break;
        case data::FieldType::kInt:
          part.method = Method::kNumber;
          break;
        case data::FieldType::kDatetime:
          if (column.type_id() == arrow::Type::TIMESTAMP) part.method = Method::kNumber;
          break;
        default:
          break;
      }
    }
    if (part.method == Method::kText) {
      CAPI_ASSIGN_OR_RETURN(part.texts, data::StringReader::Make(column));
    }
    if (part.method == Method::kNumber) {
      part.numbers =
          reinterpret_cast<const int64_t*>(column.data()->buffers[1]->data()) + column.offset();
    }
    if (part.method != Method::kGather) {
      CAPI_ASSIGN_OR_RETURN(part.views, rows->ViewsOf(part.slot));
    }
    matcher.parts_.push_back(part);
  }
  return matcher;
}

Status KeyMatcher::MatchBlock(const int64_t* left_rows, const data::RowId* right_rows, int64_t n,
                              uint8_t* equal) {
  std::array<SegmentSet::Location, kBlockRows> locations;
  std::array<std::string_view, kBlockRows> texts;
  for (const Part& part : parts_) {
    if (part.method == Method::kGather) continue;
    CAPI_RETURN_NOT_OK(rows_->Locate(part.slot, right_rows, n, locations.data()));
    if (part.method == Method::kNumber) {
      for (int64_t i = 0; i < n; ++i) {
        const SegmentSet::Location location = locations[static_cast<size_t>(i)];
        const int64_t right = part.views[location.chunk].Number(location.row);
        equal[i] &= part.numbers[left_rows[i]] == right ? 1 : 0;
      }
      continue;
    }
    for (int64_t i = 0; i < n; ++i) {
      const SegmentSet::Location location = locations[static_cast<size_t>(i)];
      part.views[location.chunk].PrefetchText(location.row);
    }
    for (int64_t i = 0; i < n; ++i) {
      const SegmentSet::Location location = locations[static_cast<size_t>(i)];
      const std::string_view text = part.views[location.chunk].Text(location.row);
      texts[static_cast<size_t>(i)] = text;
      __builtin_prefetch(text.data());
      __builtin_prefetch(text.data() + text.size());
    }
    for (int64_t i = 0; i < n; ++i) {
      equal[i] &= SameText(part.texts[left_rows[i]], texts[static_cast<size_t>(i)]) ? 1 : 0;
    }
  }
  return Status::OK();
}

Status KeyMatcher::MatchGathered(size_t component, const int64_t* left_rows,
                                 const data::RowId* right_rows, int64_t n, uint8_t* equal) const {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> right,
                        rows_->Gather((*key_fields_)[component], right_rows, n, nullptr));
  CAPI_ASSIGN_OR_RETURN(
      const auto comparator,
      data::KeyComparator::Make({(*components_)[component]}, {(*left_)[component]}, {right}));
  std::vector<int64_t> positions(static_cast<size_t>(n));
  std::iota(positions.begin(), positions.end(), 0);
  std::vector<uint8_t> same(static_cast<size_t>(n));
  comparator->EqualMany(left_rows, positions.data(), n, same.data());
  for (int64_t i = 0; i < n; ++i) equal[i] &= same[static_cast<size_t>(i)];
  return Status::OK();
}

Status KeyMatcher::Match(const int64_t* left_rows, const data::RowId* right_rows, int64_t n,
                         uint8_t* equal) {
  std::memset(equal, 1, static_cast<size_t>(n));
  for (int64_t begin = 0; begin < n; begin += kBlockRows) {
    CAPI_RETURN_NOT_OK(MatchBlock(left_rows + begin, right_rows + begin,
                                  std::min(kBlockRows, n - begin), equal + begin));
  }
  for (size_t c = 0; c < parts_.size(); ++c) {
    if (parts_[c].method == Method::kGather) {
      CAPI_RETURN_NOT_OK(MatchGathered(c, left_rows, right_rows, n, equal));
    }
  }
  return Status::OK();
}

}  // namespace capi::store
