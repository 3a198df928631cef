#pragma once

// Reading of tests/cases/*.jsonl for the tests of this room.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace capi::data::testing_support {

inline std::vector<nlohmann::json> ReadCases(const std::string& name) {
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/tests/cases/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::vector<nlohmann::json> cases;
  std::string line;
  while (std::getline(file, line)) {
    cases.push_back(nlohmann::json::parse(line));
  }
  EXPECT_FALSE(cases.empty()) << name;
  return cases;
}

}  // namespace capi::data::testing_support
