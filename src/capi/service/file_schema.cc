#include "capi/service/file_schema.h"

#include <algorithm>
#include <limits>

#include "capi/files/files.h"

namespace capi::service {

namespace {

/// Of a text that is no local file, more is not looked at.
constexpr int64_t kMostStreamedBytes = int64_t{64} << 20;

/// How much a name looks like that of a key.
int KeyRank(const std::string& header) {
  std::string lower = header;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (lower == "id" || lower == "key") return 0;
  for (const std::string_view end : {"_id", " id", "id", "key", "code", "number", "_no", "nr"}) {
    if (lower.ends_with(end)) return 1;
  }
  return 2;
}

Result<FileSchema> InferTextSchema(files::Files* files, const std::string& url,
                                   const InferOptions& options) {
  constexpr int64_t kStepBytes = int64_t{1} << 20;
  const exec::CancelToken cancel;
  CAPI_ASSIGN_OR_RETURN(const files::Fingerprint fingerprint, files->FingerprintOf(url));
  CAPI_ASSIGN_OR_RETURN(const auto input, files->OpenText(url, fingerprint));
  if (input->keeps_text()) {
    constexpr int64_t kEverything = std::numeric_limits<int64_t>::max();
    CAPI_ASSIGN_OR_RETURN(const int64_t size, input->WaitFor(kEverything, cancel));
    return InferCsvSchema({input->data(), static_cast<size_t>(size)}, true, options);
  }
  std::string text;
  for (bool ended = false; !ended;) {
    const auto begin = static_cast<int64_t>(text.size());
    if (begin >= kMostStreamedBytes) return InferCsvSchema(text, false, options);
    CAPI_ASSIGN_OR_RETURN(const int64_t size, input->WaitFor(begin + kStepBytes, cancel));
    text.append(input->data() + begin, static_cast<size_t>(size - begin));
    input->Release(size);
    ended = size < begin + kStepBytes;
  }
  return InferCsvSchema(text, true, options);
}

}  // namespace

Result<FileSchema> InferSchema(files::Files* files, const std::string& url,
                               const InferOptions& options) {
  const script::FileFormat usual =
      url.ends_with(".parquet") ? script::FileFormat::kParquet : script::FileFormat::kCsv;
  return options.format.value_or(usual) == script::FileFormat::kParquet
             ? InferParquetSchema(files, url, options)
             : InferTextSchema(files, url, options);
}

void SortKeys(FileSchema* schema) {
  std::stable_sort(
      schema->keys.begin(), schema->keys.end(), [schema](const auto& left, const auto& right) {
        return KeyRank(schema->columns[left[0]].header) < KeyRank(schema->columns[right[0]].header);
      });
}

}  // namespace capi::service
