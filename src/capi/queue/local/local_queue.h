#pragma once

// The queue of a single process: nothing is kept on disk.

#include <memory>

#include "capi/base/env.h"
#include "capi/queue/queue.h"

namespace capi::queue {

std::unique_ptr<Queue> NewLocalQueue(Env* env);

}  // namespace capi::queue
