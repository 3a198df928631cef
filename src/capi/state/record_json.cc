#include "capi/state/record_json.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

namespace capi::state {

namespace {

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json Parse(const std::string& text) {
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::vector<std::string> ListFrom(const nlohmann::json& parsed) {
  std::vector<std::string> list;
  if (!parsed.is_array()) return list;
  for (const nlohmann::json& item : parsed) {
    if (item.is_string()) list.push_back(item.get<std::string>());
  }
  return list;
}

std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t NumberOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

}  // namespace

std::string ListToJson(const std::vector<std::string>& list) { return Dump(list); }

std::vector<std::string> ListFromJson(const std::string& json) { return ListFrom(Parse(json)); }

std::string PairsToJson(const std::vector<std::pair<std::string, std::string>>& pairs) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, value] : pairs) list.push_back(std::vector<std::string>{name, value});
  return Dump(list);
}

std::vector<std::pair<std::string, std::string>> PairsFromJson(const std::string& json) {
  const nlohmann::json parsed = Parse(json);
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!parsed.is_array()) return pairs;
  for (const nlohmann::json& item : parsed) {
    std::vector<std::string> pair = ListFrom(item);
    if (pair.size() != 2) return {};
    pairs.emplace_back(std::move(pair[0]), std::move(pair[1]));
  }
  return pairs;
}

std::string ProblemsToJson(const std::map<int64_t, std::string>& problems) {
  if (problems.empty()) return "";
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [run_id, text] : problems) object[std::to_string(run_id)] = text;
  return Dump(object);
}

std::map<int64_t, std::string> ProblemsFromJson(const std::string& json) {
  const nlohmann::json parsed = Parse(json);
  std::map<int64_t, std::string> problems;
  if (!parsed.is_object()) return problems;
  for (const auto& [key, value] : parsed.items()) {
    int64_t run_id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), run_id);
    if (error != std::errc() || end != key.data() + key.size() || !value.is_string()) return {};
    problems[run_id] = value.get<std::string>();
  }
  return problems;
}

std::string NewNodesToJson(const std::vector<NodeRecord>& nodes) {
  nlohmann::json list = nlohmann::json::array();
  for (const NodeRecord& node : nodes) {
    list.push_back({{"name", node.name},
                    {"type", node.type},
                    {"table", node.table},
                    {"depth", node.depth},
                    {"batches_total", node.batches_total},
                    {"urls", node.urls},
                    {"rerun_fails", node.rerun_fails}});
  }
  return Dump(list);
}

std::vector<NodeRecord> NewNodesFromJson(const std::string& json, int64_t run_id) {
  const nlohmann::json parsed = Parse(json);
  std::vector<NodeRecord> nodes;
  if (!parsed.is_array()) return nodes;
  for (const nlohmann::json& item : parsed) {
    if (!item.is_object()) return {};
    NodeRecord node;
    node.id = {run_id, static_cast<int64_t>(nodes.size())};
    node.name = TextOf(item, "name");
    node.type = TextOf(item, "type");
    node.table = TextOf(item, "table");
    node.depth = NumberOf(item, "depth");
    node.batches_total = NumberOf(item, "batches_total");
    const auto urls = item.find("urls");
    if (urls != item.end()) node.urls = ListFrom(*urls);
    node.rerun_fails = item.find("rerun_fails") != item.end() && item["rerun_fails"] == true;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace capi::state
