#include "capi/cli/commands.h"

int main(int argc, char** argv) { return capi::cli::RunCommandLine(argc, argv); }
