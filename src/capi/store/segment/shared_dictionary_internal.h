#pragma once

// One dictionary for all chunks of a string column, so that rows of different chunks can be fetched
// as codes instead of copied strings.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/store/segment/block_view_internal.h"

namespace capi::store {

/// Immutable once built; thread-safe.
class SharedDictionary {
 public:
  /// Columns with more different strings, or more bytes of them, have none.
  static constexpr int64_t kMaxEntries = 65536;
  static constexpr int64_t kMaxTextBytes = int64_t{8} << 20;

  /// True if all views are dictionaries, and small enough for a shared one to be likely. Reads no
  /// block.
  static bool MayExist(const std::vector<BlockView>& views);
  /// Null when the chunks have too many different strings. The views' blocks must be verified.
  static Result<std::unique_ptr<SharedDictionary>> Build(const std::vector<BlockView>& views);

  int64_t size() const { return size_; }
  /// The shared codes of a chunk's entries.
  const int32_t* CodesOf(uint32_t chunk) const { return codes_.data() + first_codes_[chunk]; }

  /// The entries as an Arrow dictionary; with `missing`, one that holds that text too, whose code
  /// is then *missing_code.
  Result<std::shared_ptr<arrow::ArrayData>> Entries(const std::string* missing,
                                                    int32_t* missing_code) const;

 private:
  struct WithMissing {
    std::string text;
    int32_t code = 0;
    std::shared_ptr<arrow::ArrayData> entries;
  };

  std::string_view Entry(int64_t i) const {
    return std::string_view(bytes_).substr(
        static_cast<size_t>(offsets_[static_cast<size_t>(i)]),
        static_cast<size_t>(offsets_[static_cast<size_t>(i) + 1] -
                            offsets_[static_cast<size_t>(i)]));
  }
  Result<std::shared_ptr<arrow::ArrayData>> MakeEntries(const std::string* extra) const;

  std::vector<int32_t> codes_;       // of all chunks' entries
  std::vector<size_t> first_codes_;  // per chunk
  std::vector<int32_t> offsets_{0};  // of the entries in bytes_
  std::string bytes_;
  int64_t size_ = 0;
  std::shared_ptr<arrow::ArrayData> entries_;
  mutable std::mutex mutex_;
  mutable std::vector<WithMissing> with_missing_;  // by text; few
};

}  // namespace capi::store
