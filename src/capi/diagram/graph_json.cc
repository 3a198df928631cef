#include "capi/diagram/graph_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace capi::diagram {

namespace {

using Json = nlohmann::ordered_json;

Json NodeJson(const script::Node& node) {
  Json json;
  json["name"] = node.name;
  json["type"] = script::NodeTypeName(node.type);
  json["description"] = node.description;
  json["start_policy"] = node.manual ? "manual" : "auto";
  json["batches"] = node.num_batches();
  if (node.file_reader) {
    json["reads"] = node.file_reader->urls;
  } else {
    json["reads"] = node.table_reader->table;
  }
  json["writes"] = node.table_writer ? node.table_writer->name : node.file_writer->url_template;
  return json;
}

Json EdgeJson(const std::string& from, const script::Node& to, const std::string& table,
              const std::string& index, std::vector<std::string> fields) {
  std::sort(fields.begin(), fields.end());
  Json json;
  json["from"] = from;
  json["to"] = to.name;
  json["kind"] = index.empty() ? "table" : "lookup";
  json["table"] = table;
  if (!index.empty()) json["index"] = index;
  json["fields"] = std::move(fields);
  return json;
}

}  // namespace

std::string RenderJson(const script::Script& script) {
  Json json;
  json["nodes"] = Json::array();
  json["edges"] = Json::array();
  for (const script::Node* node : script.TopologicalOrder()) {
    json["nodes"].push_back(NodeJson(*node));
    if (node->table_reader) {
      json["edges"].push_back(EdgeJson(node->table_reader->creator, *node,
                                       node->table_reader->table, "",
                                       node->table_reader->used_fields));
    }
    if (node->lookup) {
      json["edges"].push_back(EdgeJson(node->lookup->creator, *node, node->lookup->table,
                                       node->lookup->index_name, node->lookup->used_fields));
    }
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace capi::diagram
