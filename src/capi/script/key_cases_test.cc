// tests/cases/key_cases.jsonl: order definition + row -> the original's key string.

#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "capi/data/key.h"
#include "capi/script/index_definition.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace capi::script {
namespace {

using nlohmann::json;

std::vector<json> ReadLines(const std::string& name) {
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/tests/cases/" + name);
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(json::parse(line));
  }
  return lines;
}

std::string FromBase64(const std::string& text) {
  static const std::string kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string::npos) break;
    bits = bits << 6 | static_cast<unsigned>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count & 0xFF));
    }
  }
  return bytes;
}

Result<data::Value> ValueOf(data::FieldType type, const json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  switch (type) {
    case data::FieldType::kInt: {
      CAPI_ASSIGN_OR_RETURN(const int64_t number, data::ParseGoInt(text));
      return data::Value(number);
    }
    case data::FieldType::kFloat: {
      CAPI_ASSIGN_OR_RETURN(const double number, data::ParseGoFloat(text));
      return data::Value(number);
    }
    case data::FieldType::kDecimal2: {
      CAPI_ASSIGN_OR_RETURN(data::BigDecimal number, data::BigDecimal::Parse(text));
      return data::Value(std::move(number));
    }
    case data::FieldType::kDatetime: {
      CAPI_ASSIGN_OR_RETURN(data::Instant instant, data::ParseRfc3339(text));
      return data::Value(std::move(instant));
    }
    case data::FieldType::kBool:
      return data::Value(value.get<bool>());
    case data::FieldType::kString:
      return data::Value(text);
  }
  return BugError("no such type");
}

Result<std::string> KeyOf(const json& item) {
  ComponentFields fields;
  fields.lookup = [&](const std::string& name) -> std::optional<data::FieldType> {
    if (!item.at("row").contains(name)) return std::nullopt;
    return data::ParseFieldType(item.at("row").at(name).at("type").get<std::string>());
  };
  CAPI_ASSIGN_OR_RETURN(const auto components,
                        ParseOrder(item.at("order").get<std::string>(), fields));
  std::vector<data::Value> values;
  for (const data::KeyComponent& component : components) {
    CAPI_ASSIGN_OR_RETURN(data::Value value,
                          ValueOf(component.type, item.at("row").at(component.field).at("value")));
    values.push_back(std::move(value));
  }
  return data::KeyText(components, values);
}

TEST(KeyCases, GiveTheStatedKeys) {
  std::map<std::string, json> deviations;
  for (const json& line : ReadLines("deviations.jsonl")) {
    if (line.at("suite") == "key") deviations[line.at("id")] = line.at("ours");
  }
  const std::vector<json> cases = ReadLines("key_cases.jsonl");
  ASSERT_FALSE(cases.empty());
  int passed = 0;
  int deviating = 0;
  for (const json& item : cases) {
    const std::string id = item.at("id");
    SCOPED_TRACE(id);
    const Result<std::string> key = KeyOf(item);
    if (item.contains("error")) {
      ASSERT_FALSE(key.ok());
      EXPECT_EQ(InfoOf(key.status()).kind, ErrorKind::kUser) << key.status().ToString();
      ++passed;
      continue;
    }
    ASSERT_TRUE(key.ok()) << key.status().ToString();
    const std::string stated = item.contains("key") ? item.at("key").get<std::string>()
                                                    : FromBase64(item.at("key_base64"));
    const auto deviation = deviations.find(id);
    if (deviation == deviations.end()) {
      EXPECT_EQ(*key, stated);
      ++passed;
    } else {
      const std::string ours = deviation->second.at("key");
      EXPECT_NE(ours, stated) << "the deviation equals the stated answer";
      EXPECT_EQ(*key, ours);
      ++deviating;
    }
  }
  std::cout << "key: " << passed << " passed, " << deviating << " deviations\n";
}

}  // namespace
}  // namespace capi::script
