#pragma once

// The programs of pyworker/, put into the binary by cmake/CapiFormulaWorker.cmake.

#include <string_view>

namespace capi::python {

/// Given to the interpreter with -c; reads WorkerSource() from descriptor 3.
std::string_view BootstrapSource();
std::string_view WorkerSource();

}  // namespace capi::python
