#pragma once

// Compares left keys with the keys of rows of a table in place.

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/column.h"
#include "capi/data/key.h"
#include "capi/store/segment/segment_set_internal.h"

namespace capi::store {

/// One thread at a time. Everything given must outlive the matcher.
class KeyMatcher {
 public:
  static Result<KeyMatcher> Make(const SegmentSet* rows,
                                 const std::vector<data::KeyComponent>* components,
                                 const std::vector<int>* key_fields,
                                 const std::vector<std::shared_ptr<arrow::Array>>* left);

  /// equal[i] is 1 if left row left_rows[i] has the key of row right_rows[i], else 0.
  Status Match(const int64_t* left_rows, const data::RowId* right_rows, int64_t n, uint8_t* equal);

 private:
  enum class Method { kText, kNumber, kGather };
  /// How one component is compared.
  struct Part {
    Method method = Method::kGather;
    int slot = 0;
    const BlockView* views = nullptr;
    data::StringReader texts;          // kText
    const int64_t* numbers = nullptr;  // kNumber
  };

  Status MatchBlock(const int64_t* left_rows, const data::RowId* right_rows, int64_t n,
                    uint8_t* equal);
  Status MatchGathered(size_t component, const int64_t* left_rows, const data::RowId* right_rows,
                       int64_t n, uint8_t* equal) const;

  const SegmentSet* rows_ = nullptr;
  const std::vector<data::KeyComponent>* components_ = nullptr;
  const std::vector<int>* key_fields_ = nullptr;
  const std::vector<std::shared_ptr<arrow::Array>>* left_ = nullptr;
  std::vector<Part> parts_;
};

}  // namespace capi::store
