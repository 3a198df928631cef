# The cluster back ends (Cassandra, message brokers): whether they are built, and the library of the
# Cassandra driver, src/capi/cql/driver, a Rust crate. Sets CAPI_WITH_CLUSTER and CAPI_CLUSTER_ROOMS.
set(CAPI_CLUSTER AUTO CACHE STRING "Cluster back ends: AUTO (when their tools are there), ON, OFF")
set_property(CACHE CAPI_CLUSTER PROPERTY STRINGS AUTO ON OFF)
set(CAPI_RUST_VERSION 1.88)  # rust-version of the crate

# Sets `result` to the reason why a tool cannot be used, or to "".
function(capi_tool_obstacle tool result)
  set(${result} "" PARENT_SCOPE)
  execute_process(COMMAND "${tool}" --version OUTPUT_VARIABLE output ERROR_QUIET RESULT_VARIABLE failed)
  if(failed OR NOT output MATCHES "^[a-z]+ ([0-9.]+)")
    set(${result} "${tool} does not run" PARENT_SCOPE)
  elseif(CMAKE_MATCH_1 VERSION_LESS CAPI_RUST_VERSION)
    set(${result} "${tool} is ${CMAKE_MATCH_1}, ${CAPI_RUST_VERSION} is needed" PARENT_SCOPE)
  endif()
endfunction()

# Sets CAPI_CARGO and CAPI_RUSTC, and `result` to the reason why the driver cannot be built, or to "".
# Of two the first that is new enough is taken: an own one may hide Debian's.
macro(capi_find_rust result)
  set(${result} "no cargo and rustc are found (Debian: cargo-web, rustc-web)")
  find_program(CAPI_CARGO cargo)
  find_program(CAPI_RUSTC rustc)
  foreach(_folder "" /usr/bin/)
    if(_folder)
      set(_cargo "${_folder}cargo")
      set(_rustc "${_folder}rustc")
    else()
      set(_cargo "${CAPI_CARGO}")
      set(_rustc "${CAPI_RUSTC}")
    endif()
    if(NOT EXISTS "${_cargo}" OR NOT EXISTS "${_rustc}")
      continue()
    endif()
    foreach(_tool "${_cargo}" "${_rustc}")
      capi_tool_obstacle("${_tool}" ${result})
      if(${result})
        break()
      endif()
    endforeach()
    if(NOT ${result})
      set(CAPI_CARGO "${_cargo}")
      set(CAPI_RUSTC "${_rustc}")
      break()
    endif()
  endforeach()
endmacro()

set(CAPI_WITH_CLUSTER OFF)
set(CAPI_CLUSTER_ROOMS "")
if(NOT CAPI_CLUSTER)
  message(STATUS "Cluster back ends: not built (CAPI_CLUSTER is off)")
  return()
endif()
capi_find_rust(_obstacle)
if(_obstacle AND CAPI_CLUSTER STREQUAL "AUTO")
  message(STATUS "Cluster back ends: not built: ${_obstacle}")
  return()
elseif(_obstacle)
  message(FATAL_ERROR "Cluster back ends cannot be built: ${_obstacle}")
endif()
message(STATUS "Cluster back ends: built")
set(CAPI_WITH_CLUSTER ON)
set(CAPI_CLUSTER_ROOMS cql)

# All presets share cargo's folder, so that the crates are compiled once.
set(_cargo_dir "${CMAKE_SOURCE_DIR}/build/cargo")
set(_crate_dir "${CMAKE_SOURCE_DIR}/src/capi/cql/driver")
# ThreadSanitizer cannot follow threads that are handed over in Rust. As a library of its own the
# driver is left out by ignore_noninstrumented_modules, as Arrow is.
if(CAPI_SANITIZE MATCHES "thread")
  set(_driver_file libcapi_cql_driver.so)
  set(_driver_type SHARED)
else()
  set(_driver_file libcapi_cql_driver.a)
  set(_driver_type STATIC)
endif()
set(_driver "${CMAKE_BINARY_DIR}/driver/${_driver_file}")
file(GLOB _driver_sources CONFIGURE_DEPENDS "${_crate_dir}/src/*.rs")
add_custom_command(OUTPUT "${_driver}"
  COMMAND "${CMAKE_COMMAND}" -E env "RUSTC=${CAPI_RUSTC}" "${CAPI_CARGO}" build --release --locked --quiet
    --manifest-path "${_crate_dir}/Cargo.toml" --target-dir "${_cargo_dir}"
  COMMAND "${CMAKE_COMMAND}" -E copy "${_cargo_dir}/release/${_driver_file}" "${_driver}"
  DEPENDS ${_driver_sources} "${_crate_dir}/Cargo.toml" "${_crate_dir}/Cargo.lock"
  COMMENT "Building the Cassandra driver"
  VERBATIM)
add_custom_target(capi_cql_driver_build DEPENDS "${_driver}")

add_library(capi_cql_driver ${_driver_type} IMPORTED GLOBAL)
set_target_properties(capi_cql_driver PROPERTIES IMPORTED_LOCATION "${_driver}" IMPORTED_NO_SONAME ON)
add_dependencies(capi_cql_driver capi_cql_driver_build)
# For all that links the room cql.
target_compile_definitions(capi_cql_driver INTERFACE CAPI_WITH_CLUSTER=1)
pkg_check_modules(CAPI_OPENSSL REQUIRED libssl libcrypto)
target_link_libraries(capi_cql_driver INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
# Before the wheel's libraries, which export another OpenSSL (see Capi::Transfer).
target_link_options(capi_cql_driver INTERFACE
  "LINKER:--push-state,--no-as-needed,-lcrypto,-lssl,--pop-state")
if(NOT CAPI_SANITIZE)
  target_link_options(capi_cql_driver INTERFACE "-Wl,--exclude-libs,ALL")
endif()
add_library(Capi::CqlDriver ALIAS capi_cql_driver)
