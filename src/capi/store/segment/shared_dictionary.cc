#include <cstring>
#include <utility>

#include "capi/store/segment/shared_dictionary_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"

namespace capi::store {

namespace {

/// Entries of all chunks together; more would make building cost more than copying strings.
constexpr int64_t kMaxChunkEntries = int64_t{1} << 21;
constexpr size_t kSlots = static_cast<size_t>(SharedDictionary::kMaxEntries) * 2;
/// Different missing values that are remembered.
constexpr size_t kMaxWithMissing = 8;

}  // namespace

bool SharedDictionary::MayExist(const std::vector<BlockView>& views) {
  int64_t entries = 0;
  for (const BlockView& view : views) {
    if (view.encoding != Encoding::kDictionary || view.entries > kMaxEntries) return false;
    entries += view.entries;
  }
  return entries > 0 && entries <= kMaxChunkEntries;
}

Result<std::unique_ptr<SharedDictionary>> SharedDictionary::Build(
    const std::vector<BlockView>& views) {
  auto shared = std::make_unique<SharedDictionary>();
  std::vector<int32_t> slots(kSlots, -1);
  for (const BlockView& view : views) {
    shared->first_codes_.push_back(shared->codes_.size());
    for (int64_t e = 0; e < view.entries; ++e) {
      const std::string_view text = view.Entry(e);
      size_t slot = XXH3_64bits(text.data(), text.size()) & (kSlots - 1);
      while (slots[slot] >= 0 && shared->Entry(slots[slot]) != text)
        slot = (slot + 1) & (kSlots - 1);
      if (slots[slot] < 0) {
        if (shared->size_ == kMaxEntries ||
            static_cast<int64_t>(shared->bytes_.size() + text.size()) > kMaxTextBytes) {
          return nullptr;
        }
        slots[slot] = static_cast<int32_t>(shared->size_++);
        shared->bytes_.append(text);
        shared->offsets_.push_back(static_cast<int32_t>(shared->bytes_.size()));
      }
      shared->codes_.push_back(slots[slot]);
    }
  }
  CAPI_ASSIGN_OR_RETURN(shared->entries_, shared->MakeEntries(nullptr));
  return shared;
}

Result<std::shared_ptr<arrow::ArrayData>> SharedDictionary::MakeEntries(
    const std::string* extra) const {
  const int64_t count = size_ + (extra != nullptr ? 1 : 0);
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> offsets,
                        arrow::AllocateBuffer((count + 1) * static_cast<int64_t>(sizeof(int32_t))));
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> bytes,
                        arrow::AllocateBuffer(static_cast<int64_t>(
                            bytes_.size() + (extra != nullptr ? extra->size() : 0))));
  std::memcpy(offsets->mutable_data(), offsets_.data(), offsets_.size() * sizeof(int32_t));
  if (!bytes_.empty()) std::memcpy(bytes->mutable_data(), bytes_.data(), bytes_.size());
  if (extra != nullptr) {
    if (!extra->empty()) {
      std::memcpy(bytes->mutable_data() + bytes_.size(), extra->data(), extra->size());
    }
    reinterpret_cast<int32_t*>(offsets->mutable_data())[count] =
        static_cast<int32_t>(bytes_.size() + extra->size());
  }
  return arrow::ArrayData::Make(arrow::utf8(), count,
                                {nullptr, std::move(offsets), std::move(bytes)}, 0);
}

Result<std::shared_ptr<arrow::ArrayData>> SharedDictionary::Entries(const std::string* missing,
                                                                    int32_t* missing_code) const {
  if (missing == nullptr) return entries_;
  const std::lock_guard<std::mutex> guard(mutex_);
  for (const WithMissing& known : with_missing_) {
    if (known.text != *missing) continue;
    *missing_code = known.code;
    return known.entries;
  }
  WithMissing made;
  made.text = *missing;
  made.code = static_cast<int32_t>(size_);
  for (int64_t i = 0; i < size_; ++i) {
    if (Entry(i) == *missing) made.code = static_cast<int32_t>(i);
  }
  if (made.code < size_) {
    made.entries = entries_;
  } else {
    CAPI_ASSIGN_OR_RETURN(made.entries, MakeEntries(missing));
  }
  *missing_code = made.code;
  if (with_missing_.size() < kMaxWithMissing) with_missing_.push_back(made);
  return made.entries;
}

}  // namespace capi::store
