#include <cstdlib>

#include "capi/cli/commands.h"

int main(int argc, char** argv) {
  // The C library's allocator gives large buffers back to the system at once. Arrow's default keeps
  // them, which breaks the memory limit, and is no faster here (docs/performance.md). The user's
  // own choice wins.
  setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0);
  return capi::cli::RunCommandLine(argc, argv);
}
