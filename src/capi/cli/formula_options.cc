#include "capi/cli/formula_options.h"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/cli/arguments.h"

namespace capi::cli {

namespace {

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Status BadVariable(const std::string& name, const std::string& expected, const std::string& value) {
  return UserError("bad_environment", name + ": " + expected + " is expected: " + value);
}

}  // namespace

Status ReadFormulaEnvironment(python::PoolOptions* options) {
  if (const auto path = Variable("CAPI_PYTHON")) options->interpreter = *path;
  if (const auto path = Variable("CAPI_PYCALC_INTERPRETER_PATH")) options->interpreter = *path;
  if (const auto list = Variable("CAPI_PYCALC_INTERPRETER_PARAMS")) {
    options->interpreter_parameters = SplitNames(*list);
  }
  if (const auto list = Variable("CAPI_PYCALC_PASS_VARIABLES")) {
    options->passed_variables = SplitNames(*list);
  }
  if (const auto text = Variable("CAPI_PYCALC_EXECUTION_TIMEOUT")) {
    const char* const end = text->data() + text->size();
    int64_t millis = 0;
    const auto parsed = std::from_chars(text->data(), end, millis);
    if (parsed.ec != std::errc() || parsed.ptr != end || millis < 0) {
      return BadVariable("CAPI_PYCALC_EXECUTION_TIMEOUT", "a number of milliseconds", *text);
    }
    options->execution_timeout_ms = millis;
  }
  if (const auto text = Variable("CAPI_PYCALC_MEMORY_LIMIT")) {
    const Result<int64_t> bytes = *text == "none" ? Result<int64_t>(-1) : ParseBytes(*text);
    if (!bytes.ok()) {
      return BadVariable("CAPI_PYCALC_MEMORY_LIMIT", "a size such as 4GiB, or none", *text);
    }
    options->memory_limit = *bytes;
  }
  if (const auto text = Variable("CAPI_PYCALC_SANDBOX")) {
    const std::string_view value = *text;
    for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
      if (value == yes) return Status::OK();
    }
    for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
      if (value == no) {
        options->sandbox = false;
        return Status::OK();
      }
    }
    return BadVariable("CAPI_PYCALC_SANDBOX", "true or false", *text);
  }
  return Status::OK();
}

}  // namespace capi::cli
