# Compiler settings shared by every target: warnings are errors, floats are never contracted (results
# must not depend on the instruction set), the baseline is x86-64-v2.
function(capi_compile_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-unused-parameter -Werror
    -ffp-contract=off -fno-math-errno -march=x86-64-v2)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports false positives in std::vector and std::string at -O2.
    target_compile_options(${target} PRIVATE -Wno-stringop-overflow -Wno-stringop-overread
      -Wno-array-bounds -Wno-restrict -Wno-maybe-uninitialized)
  endif()
  if(CAPI_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${CAPI_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${CAPI_SANITIZE})
  endif()
  if(CAPI_BUILD_FUZZERS)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

find_program(CAPI_MOLD mold)
if(CAPI_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
find_program(CAPI_CCACHE ccache)
if(CAPI_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CAPI_CCACHE}")
endif()
