#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/io/memory.h"
#include "capi/files/input.h"
#include "capi/formats/parquet_source_internal.h"

namespace capi::formats {

int64_t ParquetBytes::size() const {
  return input_ == nullptr ? static_cast<int64_t>(mapped_.size()) : input_->size();
}

std::string_view ParquetBytes::mapped() const {
  return input_ == nullptr ? mapped_ : input_->mapped();
}

namespace internal {

namespace {

class RangedFile final : public arrow::io::RandomAccessFile {
 public:
  explicit RangedFile(files::RandomAccessInput* input) : input_(input) {}

  Result<int64_t> GetSize() override { return input_->size(); }

  Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t length) override {
    length = std::min(length, std::max<int64_t>(0, input_->size() - position));
    const std::shared_ptr<Range> range = RangeOf(position, length);
    const std::lock_guard lock(range->mutex);
    if (std::shared_ptr<arrow::Buffer> present = range->buffer.lock()) return present;
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(length));
    CAPI_RETURN_NOT_OK(
        input_->ReadAt(position, length, reinterpret_cast<char*>(buffer->mutable_data())));
    range->buffer = buffer;
    return buffer;
  }
  Result<int64_t> ReadAt(int64_t position, int64_t length, void* out) override {
    CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Buffer> buffer, ReadAt(position, length));
    std::memcpy(out, buffer->data(), static_cast<size_t>(buffer->size()));
    return buffer->size();
  }

  // The library reads at positions only.
  Status Seek(int64_t) override { return Status::NotImplemented("Seek"); }
  Result<int64_t> Tell() const override { return Status::NotImplemented("Tell"); }
  Result<int64_t> Read(int64_t, void*) override { return Status::NotImplemented("Read"); }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t) override {
    return Status::NotImplemented("Read");
  }

  Status Close() override {
    closed_ = true;
    return Status::OK();
  }
  bool closed() const override { return closed_; }

 private:
  struct Range {
    std::mutex mutex;
    std::weak_ptr<arrow::Buffer> buffer;
  };

  std::shared_ptr<Range> RangeOf(int64_t position, int64_t length) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Range>& range = ranges_[{position, length}];
    if (range == nullptr) range = std::make_shared<Range>();
    return range;
  }

  files::RandomAccessInput* const input_;
  std::mutex mutex_;
  std::map<std::pair<int64_t, int64_t>, std::shared_ptr<Range>> ranges_;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<arrow::io::RandomAccessFile> OpenParquetSource(const ParquetBytes& bytes) {
  const std::string_view mapped = bytes.mapped();
  if (bytes.input() != nullptr && mapped.empty()) {
    return std::make_shared<RangedFile>(bytes.input());
  }
  return std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(
      reinterpret_cast<const uint8_t*>(mapped.data()), static_cast<int64_t>(mapped.size())));
}

}  // namespace internal

}  // namespace capi::formats
