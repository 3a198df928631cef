#include "capi/queue/broker.h"

#include <limits>
#include <utility>

#include "nlohmann/json.hpp"

namespace capi::queue {

namespace {

constexpr int64_t kVersion = 1;

Status Bad(const std::string& what) { return UserError("bad_message", "batch message: " + what); }

/// Whole numbers only: 1.0 and "1" are refused.
Result<int64_t> Number(const nlohmann::json& object, const char* name, int64_t least) {
  const auto found = object.find(name);
  if (found == object.end()) return Bad(std::string("no member \"") + name + "\"");
  const bool fits =
      found->is_number_integer() &&
      (!found->is_number_unsigned() ||
       found->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  if (!fits) return Bad(std::string("\"") + name + "\" is not a 64-bit whole number");
  const auto value = found->get<int64_t>();
  if (value < least) {
    return Bad(std::string("\"") + name + "\" is less than " + std::to_string(least) + ": " +
               std::to_string(value));
  }
  return value;
}

}  // namespace

std::string ToJson(const BatchMessage& message) {
  const nlohmann::ordered_json object = {{"v", kVersion},          {"ks", message.keyspace},
                                         {"run", message.run_id},  {"node", message.node_index},
                                         {"begin", message.begin}, {"end", message.end}};
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<BatchMessage> BatchMessageFromJson(std::string_view json) {
  if (json.size() > kMaxMessageBytes) {
    return Bad("it has " + std::to_string(json.size()) + " bytes, at most " +
               std::to_string(kMaxMessageBytes) + " are expected");
  }
  const nlohmann::json object = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) return Bad("it is not JSON");
  if (!object.is_object()) return Bad("it is not a JSON object");
  CAPI_ASSIGN_OR_RETURN(const int64_t version, Number(object, "v", 0));
  if (version != kVersion) {
    return Bad("it has version " + std::to_string(version) + ", this program knows " +
               std::to_string(kVersion));
  }
  BatchMessage message;
  const auto keyspace = object.find("ks");
  if (keyspace == object.end() || !keyspace->is_string() ||
      keyspace->get_ref<const std::string&>().empty()) {
    return Bad("\"ks\" is not the name of a keyspace");
  }
  message.keyspace = keyspace->get<std::string>();
  CAPI_ASSIGN_OR_RETURN(message.run_id, Number(object, "run", 0));
  CAPI_ASSIGN_OR_RETURN(message.node_index, Number(object, "node", kNoNode));
  CAPI_ASSIGN_OR_RETURN(message.begin, Number(object, "begin", -1));
  CAPI_ASSIGN_OR_RETURN(message.end, Number(object, "end", -1));
  if (message.node_index == kNoNode && message.begin >= 0) {
    return Bad("it has batches, but no node");
  }
  if (message.begin >= 0 && message.end <= message.begin) {
    return Bad("there are no batches in [" + std::to_string(message.begin) + ", " +
               std::to_string(message.end) + ")");
  }
  return message;
}

}  // namespace capi::queue
