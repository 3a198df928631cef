# Puts the Python programs of pyworker/ into the room `python`, so that the program needs no file beside itself.
foreach(program bootstrap worker)
  set(path "${CMAKE_SOURCE_DIR}/pyworker/${program}.py")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
  file(READ "${path}" capi_python_${program})
endforeach()
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/generated/worker_source.cc" @ONLY CONTENT [=[
#include "capi/python/worker_source_internal.h"

namespace capi::python {

std::string_view BootstrapSource() {
  return R"CAPIPYTHON(@capi_python_bootstrap@)CAPIPYTHON";
}

std::string_view WorkerSource() {
  return R"CAPIPYTHON(@capi_python_worker@)CAPIPYTHON";
}

}  // namespace capi::python
]=])
target_sources(capi_python PRIVATE "${CMAKE_BINARY_DIR}/generated/worker_source.cc")
