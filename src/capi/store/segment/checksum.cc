#define XXH_INLINE_ALL
#include <xxhash.h>

#include "capi/store/segment/format_internal.h"

namespace capi::store {

uint64_t Checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace capi::store
