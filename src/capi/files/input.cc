#include "capi/files/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "capi/base/posix_file.h"
#include "capi/base/time_units.h"
#include "capi/files/input_internal.h"
#include "capi/files/sha256.h"
#include "capi/files/sliding_text_internal.h"

namespace capi::files {

namespace {

InputRecord RecordOf(const std::string& url, const Fingerprint& fingerprint) {
  InputRecord record;
  record.url = Redacted(url);
  record.size = fingerprint.size;
  record.mtime_ns = fingerprint.mtime_ns;
  record.etag = fingerprint.etag;
  return record;
}

class MappedText final : public InputText {
 public:
  MappedText(Env* env, std::string url, Fingerprint expected, std::shared_ptr<MappedFile> file)
      : env_(env), url_(std::move(url)), expected_(std::move(expected)), file_(std::move(file)) {}

  const char* data() const override { return file_->bytes().data(); }
  Result<int64_t> WaitFor(int64_t, const exec::CancelToken&) override { return expected_.size; }
  void Release(int64_t begin) override {
    // Read just now, so it is still near.
    if (begin <= hashed_) return;
    hash_.Update(
        file_->bytes().substr(static_cast<size_t>(hashed_), static_cast<size_t>(begin - hashed_)));
    hashed_ = begin;
  }
  Result<InputRecord> Finish(const exec::CancelToken&) override {
    CAPI_RETURN_NOT_OK(OpenInput(env_, url_, &expected_).status());
    Release(expected_.size);
    InputRecord record = RecordOf(url_, expected_);
    record.sha256 = hash_.Finish();
    return record;
  }
  int64_t expected_bytes() const override { return expected_.size; }
  bool keeps_text() const override { return true; }

 private:
  Env* const env_;
  const std::string url_;
  const Fingerprint expected_;
  const std::shared_ptr<MappedFile> file_;
  Sha256 hash_;
  int64_t hashed_ = 0;
};

class StreamedText final : public InputText {
 public:
  StreamedText(Backend* backend, std::string url, Fingerprint expected,
               std::unique_ptr<SlidingText> text, std::unique_ptr<Unpacker> unpacker)
      : backend_(backend),
        url_(std::move(url)),
        expected_(std::move(expected)),
        text_(std::move(text)),
        unpacker_(std::move(unpacker)),
        reader_([this] { text_->End(ReadAll()); }) {}
  ~StreamedText() override {
    text_->Close();
    reader_.join();
  }

  const char* data() const override { return text_->data(); }
  Result<int64_t> WaitFor(int64_t end, const exec::CancelToken& cancel) override {
    return text_->WaitFor(end, cancel);
  }
  void Release(int64_t begin) override { text_->Release(begin); }
  Result<InputRecord> Finish(const exec::CancelToken& cancel) override {
    constexpr int64_t kStepBytes = int64_t{1} << 20;
    for (int64_t wanted = kStepBytes, size = kStepBytes; size >= wanted;) {
      wanted = size + kStepBytes;
      CAPI_ASSIGN_OR_RETURN(size, text_->WaitFor(wanted, cancel));
      text_->Release(size);
    }
    InputRecord record = RecordOf(url_, expected_);
    record.size = raw_bytes_;
    record.sha256 = hash_.Finish();
    return record;
  }
  int64_t expected_bytes() const override { return std::max<int64_t>(0, expected_.size); }
  bool keeps_text() const override { return false; }

 private:
  Status ReadAll() {
    const Unpacker::Output output{[this] { return text_->Room(); },
                                  [this](int64_t size) { return text_->Wrote(size); }};
    CAPI_RETURN_NOT_OK(backend_->Read(
        url_, expected_, 0, -1,
        [&](std::string_view bytes) {
          hash_.Update(bytes);
          raw_bytes_ += static_cast<int64_t>(bytes.size());
          return unpacker_ == nullptr ? text_->Append(bytes) : unpacker_->Push(bytes, output);
        },
        [this] { return text_->closed(); }));
    return unpacker_ == nullptr ? Status::OK() : unpacker_->Finish();
  }

  Backend* const backend_;
  const std::string url_;
  const Fingerprint expected_;
  const std::unique_ptr<SlidingText> text_;
  const std::unique_ptr<Unpacker> unpacker_;
  // Written by the reader thread, read after its end.
  Sha256 hash_;
  int64_t raw_bytes_ = 0;
  std::thread reader_;  // last: it uses all others
};

class MappedRandomAccess final : public RandomAccessInput {
 public:
  MappedRandomAccess(std::string url, Fingerprint expected, std::shared_ptr<MappedFile> file,
                     Env* env)
      : env_(env), url_(std::move(url)), expected_(std::move(expected)), file_(std::move(file)) {}

  int64_t size() const override { return expected_.size; }
  Status ReadAt(int64_t offset, int64_t length, char* out) override {
    if (offset < 0 || length < 0 || offset + length > size()) {
      return BugError("read outside of an input: " + Redacted(url_));
    }
    std::memcpy(out, file_->bytes().data() + offset, static_cast<size_t>(length));
    return Status::OK();
  }
  std::string_view mapped() const override { return file_->bytes(); }
  Result<InputRecord> Finish() override {
    if (env_ != nullptr) CAPI_RETURN_NOT_OK(OpenInput(env_, url_, &expected_).status());
    InputRecord record = RecordOf(url_, expected_);
    record.size = static_cast<int64_t>(file_->bytes().size());
    record.sha256 = Sha256Hex(file_->bytes());
    return record;
  }

 private:
  Env* const env_;  ///< null: a copy, which nobody changes
  const std::string url_;
  const Fingerprint expected_;
  const std::shared_ptr<MappedFile> file_;
};

class RangedRandomAccess final : public RandomAccessInput {
 public:
  RangedRandomAccess(Backend* backend, std::string url, Fingerprint expected)
      : backend_(backend), url_(std::move(url)), expected_(std::move(expected)) {}

  int64_t size() const override { return expected_.size; }
  Status ReadAt(int64_t offset, int64_t length, char* out) override {
    if (offset < 0 || length < 0 || offset + length > size()) {
      return BugError("read outside of an input: " + Redacted(url_));
    }
    return backend_->Read(
        url_, expected_, offset, length,
        [&out](std::string_view bytes) {
          std::memcpy(out, bytes.data(), bytes.size());
          out += bytes.size();
          return Status::OK();
        },
        nullptr);
  }
  std::string_view mapped() const override { return {}; }
  Result<InputRecord> Finish() override {
    CAPI_ASSIGN_OR_RETURN(const Fingerprint actual, backend_->Stat(url_));
    if (actual != expected_) return InputChanged(url_, expected_, actual);
    return RecordOf(url_, expected_);
  }

 private:
  Backend* const backend_;
  const std::string url_;
  const Fingerprint expected_;
};

/// A file without a name that a remote input is copied to.
class UnnamedCopy final : public MappedFile {
 public:
  static Result<std::unique_ptr<UnnamedCopy>> Make(const FilesOptions& options, Backend* backend,
                                                   const std::string& url,
                                                   const Fingerprint& expected) {
    std::string directory = options.spill_directory;
    if (directory.empty()) {
      const char* variable = std::getenv("TMPDIR");
      directory = variable == nullptr || *variable == '\0' ? "/tmp" : variable;
    }
    CAPI_ASSIGN_OR_RETURN(FileDescriptor file,
                          OpenFile(directory, O_TMPFILE | O_RDWR, "make a temporary file in"));
    int64_t size = 0;
    CAPI_RETURN_NOT_OK(backend->Read(
        url, expected, 0, -1,
        [&](std::string_view bytes) -> Status {
          size += static_cast<int64_t>(bytes.size());
          if (size > options.max_spill_bytes) {
            return EnvironmentError(
                "an input is too large to be copied for random access; limit: " +
                std::to_string(options.max_spill_bytes) + ": " + Redacted(url));
          }
          return WriteFully(file.get(), bytes, directory);
        },
        nullptr));
    auto copy = std::make_unique<UnnamedCopy>();
    CAPI_ASSIGN_OR_RETURN(copy->mapping_, MemoryMapping::Map(file.get(), size, directory));
    return copy;
  }
  std::string_view bytes() const override { return mapping_.bytes(); }
  void AdviseSequential(bool sequential) override { mapping_.AdviseSequential(sequential); }

 private:
  MemoryMapping mapping_;
};

}  // namespace

std::string ToJson(const InputRecord& record) {
  nlohmann::ordered_json json;
  json["url"] = record.url;
  json["size"] = record.size;
  if (record.mtime_ns != 0) {
    const auto seconds = static_cast<time_t>(record.mtime_ns / kNanosPerSecond);
    tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 24> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::array<char, 8> millis{};
    std::snprintf(millis.data(), millis.size(), ".%03dZ",
                  static_cast<int>(record.mtime_ns % kNanosPerSecond / kNanosPerMilli));
    json["mtime"] = std::string(text.data()) + millis.data();
  }
  if (!record.etag.empty()) json["etag"] = record.etag;
  if (!record.sha256.empty()) json["sha256"] = record.sha256;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::unique_ptr<InputText>> OpenMappedText(Env* env, const std::string& url,
                                                  const Fingerprint& expected) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, OpenInput(env, url, &expected));
  file->AdviseSequential(true);
  return std::make_unique<MappedText>(env, url, expected, std::move(file));
}

Result<std::unique_ptr<InputText>> OpenStreamedText(const FilesOptions& options, Backend* backend,
                                                    const std::string& url,
                                                    const Fingerprint& expected) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SlidingText> text,
                        SlidingText::Make(options.read_ahead_bytes));
  std::unique_ptr<Unpacker> unpacker;
  if (const Compression compression = CompressionOf(url); compression != Compression::kNone) {
    CAPI_ASSIGN_OR_RETURN(unpacker, Unpacker::Make(compression, url));
  }
  return std::make_unique<StreamedText>(backend, url, expected, std::move(text),
                                        std::move(unpacker));
}

Result<std::unique_ptr<RandomAccessInput>> OpenMappedRandomAccess(Env* env, const std::string& url,
                                                                  const Fingerprint& expected) {
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, OpenInput(env, url, &expected));
  file->AdviseSequential(false);
  return std::make_unique<MappedRandomAccess>(url, expected, std::move(file), env);
}

Result<std::unique_ptr<RandomAccessInput>> OpenRemoteRandomAccess(Env* env,
                                                                  const FilesOptions& options,
                                                                  Backend* backend,
                                                                  const std::string& url,
                                                                  const Fingerprint& expected) {
  if (expected.size >= 0) {
    CAPI_ASSIGN_OR_RETURN(const bool seekable, backend->CanSeek(url));
    if (seekable) return std::make_unique<RangedRandomAccess>(backend, url, expected);
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> copy,
                        UnnamedCopy::Make(options, backend, url, expected));
  Fingerprint known = expected;
  known.size = static_cast<int64_t>(copy->bytes().size());
  return std::make_unique<MappedRandomAccess>(url, known, std::move(copy), nullptr);
}

}  // namespace capi::files
