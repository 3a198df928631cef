#include "capi/service/file_schema.h"

namespace capi::service {

Result<FileSchema> InferSchema(Env* env, const std::string& path, const InferOptions& options) {
  const script::FileFormat usual =
      path.ends_with(".parquet") ? script::FileFormat::kParquet : script::FileFormat::kCsv;
  if (options.format.value_or(usual) == script::FileFormat::kParquet) {
    return UserError("unsupported_format", "Parquet files cannot be looked into by this version");
  }
  return InferCsvSchema(env, path, options);
}

}  // namespace capi::service
