#pragma once

// What a formula process may not do (docs/design/python.md, "Sandbox"). Prepared by the parent,
// applied between fork and exec.

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "capi/base/posix_file.h"
#include "capi/base/status.h"
#include "capi/python/formula_pool.h"

namespace capi::python {

class Sandbox {
 public:
  /// Uses what `support` says; without anything Apply does nothing.
  static Result<Sandbox> Make(const SandboxSupport& support);

  /// In the forked child, async-signal-safe. `ruleset` is the child's descriptor of ruleset().
  /// Returns 0 or the errno of the step that failed.
  int Apply(int ruleset);
  /// Landlock ruleset, -1 if there is none.
  int ruleset() const { return ruleset_.get(); }

 private:
  Status MakeRuleset(int version);
  void MakeFilter(bool refuse_writing);

  FileDescriptor ruleset_;
  std::vector<sock_filter> filter_;
  std::vector<size_t> own_pid_;  // instructions that compare with the child's own process id
};

}  // namespace capi::python
