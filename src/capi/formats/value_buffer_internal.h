#pragma once

// A growing block of plain values that becomes an Arrow buffer.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "arrow/buffer.h"
#include "capi/base/status.h"

namespace capi::formats::internal {

/// Values beyond size() up to capacity() may be written before Advance.
template <typename T>
class ValueBuffer {
 public:
  int64_t size() const { return size_; }
  T* data() { return data_; }
  T* end() { return data_ + size_; }
  void Advance(int64_t n) { size_ += n; }

  /// Room for n more values.
  Status Reserve(int64_t n) {
    if (size_ + n <= capacity_) {
      return Status::OK();
    }
    const int64_t capacity = std::max(size_ + n, capacity_ * 2);
    const auto bytes = capacity * static_cast<int64_t>(sizeof(T));
    if (buffer_ == nullptr) {
      CAPI_ASSIGN_OR_RETURN(buffer_, arrow::AllocateResizableBuffer(bytes));
    } else {
      CAPI_RETURN_NOT_OK(buffer_->Resize(bytes, /*shrink_to_fit=*/false));
    }
    data_ = reinterpret_cast<T*>(buffer_->mutable_data());
    capacity_ = capacity;
    return Status::OK();
  }

  /// Gives the first n values away and starts anew.
  Result<std::shared_ptr<arrow::Buffer>> Finish(int64_t n) {
    size_ = 0;
    CAPI_RETURN_NOT_OK(Reserve(std::max<int64_t>(n, 1)));  // an Arrow buffer is never null
    CAPI_RETURN_NOT_OK(
        buffer_->Resize(n * static_cast<int64_t>(sizeof(T)), /*shrink_to_fit=*/false));
    std::shared_ptr<arrow::Buffer> finished = std::move(buffer_);
    Clear();
    return finished;
  }

  void Clear() {
    buffer_ = nullptr;
    data_ = nullptr;
    size_ = 0;
    capacity_ = 0;
  }

 private:
  std::unique_ptr<arrow::ResizableBuffer> buffer_;
  T* data_ = nullptr;
  int64_t size_ = 0;
  int64_t capacity_ = 0;
};

}  // namespace capi::formats::internal
