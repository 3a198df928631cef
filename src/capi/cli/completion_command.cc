#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "capi/cli/commands.h"

namespace capi::cli {

namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Commands and their options, read from the parser itself.
std::vector<CommandWords> WordsOf(const CLI::App& app) {
  std::vector<CommandWords> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    CommandWords words;
    words.name = command->get_name();
    words.description = command->get_description();
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) words.options.push_back("--" + name);
    }
    words.options.emplace_back("--config");  // of all commands
    commands.push_back(std::move(words));
  }
  return commands;
}

/// The options of the command `daemon`, which `capidaemon` is a name of.
std::string DaemonOptions(const std::vector<CommandWords>& commands) {
  for (const CommandWords& command : commands) {
    if (command.name == "daemon") return Joined(command.options);
  }
  return "";
}

/// `capidaemon`: options only.
void PrintDaemon(const std::string& shell, const std::string& options) {
  if (shell == "bash") {
    std::printf("complete -o filenames -W '%s' -f capidaemon\n", options.c_str());
  } else if (shell == "zsh") {
    std::printf(
        "_capidaemon() {\n"
        "  [[ ${words[CURRENT]} == -* ]] && compadd -- %s || _files\n"
        "}\n",
        options.c_str());
  } else {
    std::istringstream words(options);
    for (std::string word; words >> word;) {
      std::printf("complete -c capidaemon -l %s\n", word.substr(2).c_str());
    }
  }
}

/// The program `capi`, or the original's `capitoolbelt`, whose flags are written -name=value.
void PrintBash(const std::string& program, const std::vector<CommandWords>& commands) {
  const bool old = program != "capi";
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CommandWords& command : commands) names.push_back(command.name);
  std::printf(
      "_%s() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} options=\n"
      "%s"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '%s' -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  case ${COMP_WORDS[1]} in\n",
      program.c_str(), old ? "  [ \"$word\" = = ] && word=\n" : "", Joined(names).c_str());
  for (const CommandWords& command : commands) {
    std::printf("    %s) options='%s' ;;\n", command.name.c_str(), Joined(command.options).c_str());
  }
  std::printf(
      "  esac\n"
      "  if [[ $word == -* ]]; then\n"
      "%s"
      "    COMPREPLY=($(compgen%s -W \"$options\" -- \"$word\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _%s %s\n",
      old ? "    compopt -o nospace\n" : "", old ? " -S =" : "", program.c_str(), program.c_str());
}

void PrintZsh(const std::string& program, const std::vector<CommandWords>& commands) {
  const bool old = program != "capi";
  std::printf(
      "_%s() {\n"
      "  local -a commands\n"
      "  commands=(\n",
      program.c_str());
  for (const CommandWords& command : commands) {
    std::string description = command.description;
    std::replace(description.begin(), description.end(), '\'', ' ');
    const std::string colon = description.empty() ? "" : ":";
    std::printf("    '%s'\n", (command.name + colon + description).c_str());
  }
  std::printf(
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "%s"
      "  case ${words[2]} in\n",
      old ? "  compset -P '*=' && { _files; return }\n" : "");
  for (const CommandWords& command : commands) {
    std::printf("    %s) [[ ${words[CURRENT]} == -* ]] && compadd %s-- %s || _files ;;\n",
                command.name.c_str(), old ? "-S = " : "", Joined(command.options).c_str());
  }
  std::printf("  esac\n}\n");
}

void PrintFish(const std::string& program, const std::vector<CommandWords>& commands) {
  const bool old = program != "capi";
  for (const CommandWords& command : commands) {
    std::string description = command.description;
    std::replace(description.begin(), description.end(), '\'', ' ');
    std::printf("complete -c %s -n __fish_use_subcommand -f -a %s -d '%s'\n", program.c_str(),
                command.name.c_str(), description.c_str());
    for (const std::string& option : command.options) {
      std::printf("complete -c %s -n '__fish_seen_subcommand_from %s' %s\n", program.c_str(),
                  command.name.c_str(),
                  old ? ("-r -o " + option.substr(1)).c_str() : ("-l " + option.substr(2)).c_str());
    }
  }
}

}  // namespace

void AddCompletionCommand(CLI::App* app, int* exit_code) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app->add_subcommand("completion", "Print shell completion");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Example: eval \"$(capi completion bash)\"");
  command->callback([app, shell, exit_code] {
    const std::vector<std::pair<std::string, std::vector<CommandWords>>> programs = {
        {"capi", WordsOf(*app)}, {"capitoolbelt", ToolbeltWords()}};
    if (*shell == "bash") std::printf("# bash completion: eval \"$(capi completion bash)\"\n");
    if (*shell == "zsh") {
      std::printf(
          "#compdef capi capitoolbelt capidaemon\n"
          "# zsh completion: eval \"$(capi completion zsh)\"\n");
    }
    if (*shell == "fish") std::printf("# fish completion: capi completion fish | source\n");
    for (const auto& [program, commands] : programs) {
      if (*shell == "bash") PrintBash(program, commands);
      if (*shell == "zsh") PrintZsh(program, commands);
      if (*shell == "fish") PrintFish(program, commands);
    }
    PrintDaemon(*shell, DaemonOptions(programs.front().second));
    // Loaded by name, the file itself is the function; evaluated, it must register them.
    if (*shell == "zsh") {
      std::printf(
          "if [[ $funcstack[1] == _capi ]]; then\n"
          "  case $service in\n"
          "    capitoolbelt) _capitoolbelt \"$@\" ;;\n"
          "    capidaemon) _capidaemon \"$@\" ;;\n"
          "    *) _capi \"$@\" ;;\n"
          "  esac\n"
          "else\n"
          "  compdef _capi capi\n"
          "  compdef _capitoolbelt capitoolbelt\n"
          "  compdef _capidaemon capidaemon\n"
          "fi\n");
    }
    *exit_code = kExitOk;
  });
}

}  // namespace capi::cli
