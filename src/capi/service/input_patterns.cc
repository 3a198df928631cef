#include "capi/service/input_patterns.h"

#include <map>
#include <set>
#include <string>
#include <utility>

namespace capi::service {

Status ExpandPatterns(files::Files* files, const script::Script& script, workflow::RunPlan* plan) {
  for (state::NodeRecord& record : plan->nodes) {
    const script::Node& node = *script.FindNode(record.name);
    if (!node.file_reader) continue;
    const std::vector<std::string>& urls = node.file_reader->urls;
    std::vector<std::string> expanded;
    std::set<std::string> seen(urls.begin(), urls.end());
    bool has_pattern = false;
    for (const std::string& url : urls) {
      Result<std::vector<std::string>> matches = files->Expand(url);
      if (!matches.ok()) return Prefixed(matches.status(), "node " + record.name + ": ");
      if (*matches == std::vector<std::string>{url}) {
        expanded.push_back(url);
        continue;
      }
      has_pattern = true;
      for (std::string& match : *matches) {
        if (seen.insert(match).second) expanded.push_back(std::move(match));
      }
    }
    if (!has_pattern) continue;
    record.urls = std::move(expanded);
    record.batches_total = static_cast<int64_t>(record.urls.size());
    CAPI_RETURN_NOT_OK(workflow::CheckNumBatches(record));
  }
  return Status::OK();
}

std::shared_ptr<const script::Script> WithRecordedUrls(
    std::shared_ptr<const script::Script> script, const std::vector<state::NodeRecord>& nodes) {
  std::map<std::string, std::vector<std::string>> urls;
  for (const state::NodeRecord& node : nodes) {
    if (!node.urls.empty()) urls[node.name] = node.urls;
  }
  return urls.empty() ? std::move(script) : script::WithUrls(*script, urls);
}

}  // namespace capi::service
