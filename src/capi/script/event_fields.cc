#include "capi/script/event_fields.h"

#include <array>
#include <utility>

namespace capi::script {

namespace {

constexpr std::array<std::pair<std::string_view, int64_t>, 9> kStatusConstants = {{
    {"RunNone", 0},
    {"RunStart", 1},
    {"RunComplete", 2},
    {"RunStop", 3},
    {"NodeBatchNone", 0},
    {"NodeBatchStart", 1},
    {"NodeBatchSuccess", 2},
    {"NodeBatchFail", 3},
    {"NodeBatchRunStopReceived", 104},
}};

constexpr std::string_view kOldRunStatus = "run_final_status";

}  // namespace

const std::vector<data::Field>& EventFields() {
  using data::FieldType;
  static const std::vector<data::Field> kFields = {
      {"run_id", FieldType::kInt},
      {"run_is_current", FieldType::kBool},
      {"run_status", FieldType::kInt},
      {"node_status", FieldType::kInt},
      {"run_start_ts", FieldType::kDatetime},
      {"run_completed_ts", FieldType::kDatetime},
      {"run_stopped_ts", FieldType::kDatetime},
      {"node_is_started", FieldType::kBool},
      {"node_start_ts", FieldType::kDatetime},
      {"node_status_ts", FieldType::kDatetime},
  };
  return kFields;
}

std::optional<data::FieldType> EventFieldType(std::string_view name) {
  const std::string current = CurrentEventField(std::string(name));
  for (const data::Field& field : EventFields()) {
    if (field.name == current) {
      return field.type;
    }
  }
  return std::nullopt;
}

std::string CurrentEventField(const std::string& name) {
  return name == kOldRunStatus ? "run_status" : name;
}

std::optional<data::Value> StatusConstant(std::string_view name) {
  for (const auto& [known, value] : kStatusConstants) {
    if (known == name) {
      return data::Value(value);
    }
  }
  return std::nullopt;
}

std::vector<std::string> StatusConstantNames() {
  std::vector<std::string> names;
  for (const auto& [known, value] : kStatusConstants) {
    names.emplace_back(known);
  }
  return names;
}

}  // namespace capi::script
