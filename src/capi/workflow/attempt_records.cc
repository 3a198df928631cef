#include "capi/workflow/attempt_records.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace capi::workflow {

namespace {

using CountMember = std::pair<const char*, int64_t node::RowCounts::*>;
constexpr std::array<CountMember, 9> kCountMembers = {{
    {"in", &node::RowCounts::in},
    {"filtered", &node::RowCounts::filtered},
    {"rejected", &node::RowCounts::rejected},
    {"unmatched_left", &node::RowCounts::unmatched_left},
    {"duplicates", &node::RowCounts::duplicates},
    {"untagged", &node::RowCounts::untagged},
    {"beyond_limit", &node::RowCounts::beyond_limit},
    {"out", &node::RowCounts::out},
    {"csv_warnings", &node::RowCounts::csv_warnings},
}};

}  // namespace

std::string CountsToJson(const node::RowCounts& counts) {
  std::string json = "{";
  for (const auto& [name, member] : kCountMembers) {
    if (counts.*member == 0) continue;
    if (json.size() > 1) json += ",";
    json += std::string("\"") + name + "\":" + std::to_string(counts.*member);
  }
  return json + "}";
}

node::RowCounts CountsFromJson(const std::string& json) {
  node::RowCounts counts;
  const nlohmann::json parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return counts;
  for (const auto& [name, member] : kCountMembers) {
    const auto found = parsed.find(name);
    if (found != parsed.end() && found->is_number_integer()) counts.*member = found->get<int64_t>();
  }
  return counts;
}

state::ErrorRecord ToErrorRecord(const Status& status) {
  const ErrorInfo info = InfoOf(status);
  return {std::string(ErrorKindName(info.kind)), info.error_class, Describe(status)};
}

std::string FingerprintsToText(const std::vector<files::Fingerprint>& fingerprints) {
  std::string text;
  for (const files::Fingerprint& fingerprint : fingerprints) {
    text += files::ToText(fingerprint) + "\n";
  }
  return text;
}

Result<std::vector<files::Fingerprint>> FingerprintsFromText(const std::string& text) {
  std::vector<files::Fingerprint> fingerprints;
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    CAPI_ASSIGN_OR_RETURN(files::Fingerprint fingerprint,
                          files::ParseFingerprint(text.substr(begin, end - begin)));
    fingerprints.push_back(fingerprint);
    begin = end + 1;
  }
  return fingerprints;
}

}  // namespace capi::workflow
