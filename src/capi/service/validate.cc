#include "capi/service/validate.h"

#include <memory>

#include "capi/files/source.h"

namespace capi::service {

script::LoadResult LoadScript(const script::LoadOptions& options, Env* env) {
  const std::unique_ptr<Fetcher> fetcher = files::NewFetcher(env);
  return script::LoadScript(options, fetcher.get());
}

}  // namespace capi::service
