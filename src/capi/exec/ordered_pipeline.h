#pragma once

// Morsel parallelism inside one batch: items are taken from a source one after the other,
// transformed in parallel and emitted in the order in which they were taken. This is what makes
// results independent of the number of threads.

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "capi/base/status.h"
#include "capi/exec/cancel.h"
#include "capi/exec/task_pool.h"

namespace capi::exec {

/// Runs next -> work -> emit until next yields nullopt.
///  * next() and emit() are each called by one thread at a time (any thread), next in sequence
///  order and
///    emit in the same order; work() runs concurrently.
///  * At most `window` items are between next and emit (0: 2 * threads + 1).
///  * The calling thread works too; helpers are borrowed from the pool, so it is fine to call this
///  from
///    a pool task, and with a pool of one thread it degenerates to a loop.
///  * The error returned is that of the smallest sequence number, independent of timing.
/// In must be movable; Out movable.
template <typename In, typename Out>
Status OrderedPipeline(TaskPool* pool, const CancelToken& cancel, int window,
                       const std::function<Result<std::optional<In>>()>& next,
                       const std::function<Result<Out>(In)>& work,
                       const std::function<Status(Out)>& emit);

}  // namespace capi::exec

#include "capi/exec/ordered_pipeline_internal.h"
