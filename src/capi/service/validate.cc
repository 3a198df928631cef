#include "capi/service/validate.h"

#include <memory>

#include "capi/files/files.h"

namespace capi::service {

script::LoadResult LoadScript(const script::LoadOptions& options, Env* env,
                              const files::FilesOptions& files) {
  const Result<std::unique_ptr<files::Files>> fetcher = files::Files::Make(env, files);
  if (!fetcher.ok()) {
    script::LoadResult result;
    result.errors.push_back(fetcher.status());
    return result;
  }
  return script::LoadScript(options, fetcher->get());
}

}  // namespace capi::service
