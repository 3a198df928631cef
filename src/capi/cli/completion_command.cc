#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/commands.h"

namespace capi::cli {

namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

struct CommandWords {
  std::string name;
  std::string description;
  std::vector<std::string> options;
};

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

void PrintBash(const std::vector<CommandWords>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CommandWords& command : commands) names.push_back(command.name);
  std::printf(
      "# bash completion for capi: eval \"$(capi completion bash)\"\n"
      "_capi() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} options=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '%s' -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  case ${COMP_WORDS[1]} in\n",
      Joined(names).c_str());
  for (const CommandWords& command : commands) {
    std::printf("    %s) options='%s' ;;\n", command.name.c_str(), Joined(command.options).c_str());
  }
  std::printf(
      "  esac\n"
      "  if [[ $word == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _capi capi\n");
}

void PrintZsh(const std::vector<CommandWords>& commands) {
  std::printf(
      "#compdef capi\n"
      "# zsh completion for capi: eval \"$(capi completion zsh)\"\n"
      "_capi() {\n"
      "  local -a commands\n"
      "  commands=(\n");
  for (const CommandWords& command : commands) {
    std::string description = command.description;
    std::replace(description.begin(), description.end(), '\'', ' ');
    std::printf("    '%s:%s'\n", command.name.c_str(), description.c_str());
  }
  std::printf(
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  case ${words[2]} in\n");
  for (const CommandWords& command : commands) {
    std::printf("    %s) [[ ${words[CURRENT]} == -* ]] && compadd -- %s || _files ;;\n",
                command.name.c_str(), Joined(command.options).c_str());
  }
  std::printf("  esac\n}\ncompdef _capi capi\n");
}

void PrintFish(const std::vector<CommandWords>& commands) {
  std::printf("# fish completion for capi: capi completion fish | source\n");
  for (const CommandWords& command : commands) {
    std::string description = command.description;
    std::replace(description.begin(), description.end(), '\'', ' ');
    std::printf("complete -c capi -n __fish_use_subcommand -f -a %s -d '%s'\n",
                command.name.c_str(), description.c_str());
    for (const std::string& option : command.options) {
      std::printf("complete -c capi -n '__fish_seen_subcommand_from %s' -l %s\n",
                  command.name.c_str(), option.substr(2).c_str());
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
    const std::vector<CommandWords> commands = WordsOf(*app);
    if (*shell == "bash") PrintBash(commands);
    if (*shell == "zsh") PrintZsh(commands);
    if (*shell == "fish") PrintFish(commands);
    *exit_code = kExitOk;
  });
}

}  // namespace capi::cli
