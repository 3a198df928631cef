// Loads arbitrary text as a script. The first byte chooses JSON or YAML, with or without
// parameters; a zero byte ends the parameter file and begins the script.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "capi/script/loader.h"
#include "capi/script/text_fetcher.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string ending = (data[0] & 1) == 0 ? ".json" : ".yaml";
  const bool strict = (data[0] & 2) != 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string parameters;
  const size_t zero = text.find('\0');
  if (zero != std::string::npos) {
    parameters = text.substr(0, zero);
    text.erase(0, zero + 1);
  }
  capi::script::TextFetcher fetcher({{"s" + ending, text},
                                     {"p" + ending, parameters},
                                     {"f.py", "def f(x, y=1):\n  return x\n"},
                                     {"c.json", "{\"tag\": \"r.a > 1\"}"}});
  capi::script::LoadOptions options;
  options.script_url = "s" + ending;
  options.parameters_url = zero == std::string::npos ? "" : "p" + ending;
  options.strict = strict;
  const capi::script::LoadResult result = capi::script::LoadScript(options, &fetcher);
  // A load gives a script or says why not, and every error says whose fault it is.
  if ((result.script == nullptr) == result.errors.empty()) {
    std::abort();
  }
  for (const capi::Status& error : result.errors) {
    if (capi::KindOf(error) == capi::ErrorKind::kBug) {
      std::abort();
    }
  }
  if (result.script != nullptr) {
    result.script->TopologicalOrder();
  }
  return 0;
}
