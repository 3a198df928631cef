// The original's command line tool: `capitoolbelt` is a link to capi.

#include <cstdio>
#include <string>
#include <vector>

#include "capi/cli/commands.h"
#include "capi/cli/version.h"

namespace capi::cli {

namespace {

constexpr std::string_view kCommand = "proto_file_reader_creator";

}  // namespace

bool IsToolbeltCall(int argc, char** argv) {
  const std::string program = argc > 0 ? argv[0] : "";
  const bool by_name = program.substr(program.find_last_of('/') + 1) == "capitoolbelt";
  return by_name || (argc > 1 && argv[1] == kCommand);
}

int RunToolbelt(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == kCommand) {
    return ProtoFileReaderCreator(std::vector<std::string>(argv + 2, argv + argc));
  }
  if (!command.empty()) std::printf("invalid command: %s\n", command.c_str());
  std::printf(
      "Capillaries toolbelt %s\n"
      "Usage: capitoolbelt <command> <command parameters>\n"
      "Commands:\n"
      "  %s\n",
      kVersion, std::string(kCommand).c_str());
  return command.empty() ? kExitOk : kExitFailed;
}

}  // namespace capi::cli
