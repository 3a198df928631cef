# Third-party libraries. Reasons and versions: docs/dependencies.md.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# Arrow C++ comes from the pyarrow wheel of the project's virtual environment.
if(NOT DEFINED CAPI_PYTHON)
  if(EXISTS "${CMAKE_SOURCE_DIR}/.venv/bin/python3")
    set(CAPI_PYTHON "${CMAKE_SOURCE_DIR}/.venv/bin/python3")
  else()
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    set(CAPI_PYTHON "${Python3_EXECUTABLE}")
  endif()
endif()
execute_process(
  COMMAND "${CAPI_PYTHON}" -c
    "import pyarrow as p; b=p.cpp_build_info; print(';'.join([p.get_include(), p.get_library_dirs()[0], b.version, b.so_version]))"
  OUTPUT_VARIABLE _arrow OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(GET _arrow 0 CAPI_ARROW_INCLUDE)
list(GET _arrow 1 CAPI_ARROW_LIBDIR)
list(GET _arrow 2 CAPI_ARROW_VERSION)
list(GET _arrow 3 CAPI_ARROW_SO)
message(STATUS "Arrow ${CAPI_ARROW_VERSION} in ${CAPI_ARROW_LIBDIR}")
if(NOT CAPI_ARROW_VERSION MATCHES "^26\\.")
  message(FATAL_ERROR "Arrow 26 is needed (pyarrow 26.x); found ${CAPI_ARROW_VERSION}")
endif()

add_library(capi_arrow SHARED IMPORTED GLOBAL)
set_target_properties(capi_arrow PROPERTIES
  IMPORTED_LOCATION "${CAPI_ARROW_LIBDIR}/libarrow.so.${CAPI_ARROW_SO}"
  INTERFACE_INCLUDE_DIRECTORIES "${CAPI_ARROW_INCLUDE}"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${CAPI_ARROW_INCLUDE}")
add_library(Capi::Arrow ALIAS capi_arrow)

# S3 of the wheel, used for its credentials chain only.
add_library(capi_arrow_s3 SHARED IMPORTED GLOBAL)
set_target_properties(capi_arrow_s3 PROPERTIES
  IMPORTED_LOCATION "${CAPI_ARROW_LIBDIR}/libarrow_s3.so.${CAPI_ARROW_SO}"
  INTERFACE_LINK_LIBRARIES capi_arrow)
add_library(Capi::ArrowS3 ALIAS capi_arrow_s3)

# libcurl and libssh2 use OpenSSL. The wheel's libparquet exports a whole OpenSSL of its own, and what
# comes first in a program is what everybody gets: Debian's libraries must stand before the wheel's.
# Link options come before libraries; without --no-as-needed they would be dropped there.
pkg_check_modules(CAPI_TRANSFER REQUIRED libcurl libssh2 libcrypto)
add_library(capi_transfer INTERFACE)
target_include_directories(capi_transfer INTERFACE ${CAPI_TRANSFER_INCLUDE_DIRS})
target_link_libraries(capi_transfer INTERFACE ${CAPI_TRANSFER_LIBRARIES})
target_link_options(capi_transfer INTERFACE
  "LINKER:--push-state,--no-as-needed,-lcrypto,-lssl,-lcurl,-lssh2,--pop-state")
add_library(Capi::Transfer ALIAS capi_transfer)
add_library(capi_parquet SHARED IMPORTED GLOBAL)
set_target_properties(capi_parquet PROPERTIES
  IMPORTED_LOCATION "${CAPI_ARROW_LIBDIR}/libparquet.so.${CAPI_ARROW_SO}"
  INTERFACE_LINK_LIBRARIES capi_arrow)
add_library(Capi::Parquet ALIAS capi_parquet)

# Static libraries whose symbols the wheel exports too must not be exported from our binaries.
function(capi_static_library name archive)
  add_library(${name} INTERFACE)
  find_library(${name}_ARCHIVE ${archive} REQUIRED)
  target_link_libraries(${name} INTERFACE "${${name}_ARCHIVE}")
  # Under sanitizers the option would hide the sanitizer's allocator from the wheel's libraries.
  if(NOT CAPI_SANITIZE)
    target_link_options(${name} INTERFACE "-Wl,--exclude-libs,ALL")
  endif()
endfunction()
capi_static_library(capi_re2 libre2.a)
add_library(Capi::Re2 ALIAS capi_re2)
capi_static_library(capi_utf8proc libutf8proc.a)
target_compile_definitions(capi_utf8proc INTERFACE UTF8PROC_STATIC)
add_library(Capi::Utf8proc ALIAS capi_utf8proc)
capi_static_library(capi_xxhash libxxhash.a)
add_library(Capi::Xxhash ALIAS capi_xxhash)
capi_static_library(capi_sqlite libsqlite3.a)
target_link_libraries(capi_sqlite INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
add_library(Capi::Sqlite ALIAS capi_sqlite)
capi_static_library(capi_yamlcpp libyaml-cpp.a)
add_library(Capi::YamlCpp ALIAS capi_yamlcpp)

# Metrics as text. Debian has it as a shared library only.
pkg_check_modules(CAPI_PROMETHEUS REQUIRED prometheus-cpp-core)
add_library(capi_prometheus INTERFACE)
target_link_libraries(capi_prometheus INTERFACE ${CAPI_PROMETHEUS_LINK_LIBRARIES})
add_library(Capi::Prometheus ALIAS capi_prometheus)

foreach(header_only FastFloat RapidJson NlohmannJson Cli11 Spdlog Beast)
  add_library(capi_${header_only} INTERFACE)
  add_library(Capi::${header_only} ALIAS capi_${header_only})
endforeach()
target_compile_definitions(capi_RapidJson INTERFACE RAPIDJSON_HAS_STDSTRING=1)
# ThreadSanitizer does not know fences. What they order is ordered by the scheduler's mutex too.
if(CAPI_SANITIZE MATCHES "thread")
  target_compile_definitions(capi_Beast INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
