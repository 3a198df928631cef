// The case suites of tests/cases: script_cases (facts about the original, with our deviations) and
// script_cases_ours.

#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "capi/script/loader.h"
#include "capi/script/text_fetcher.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace capi::script {
namespace {

using nlohmann::json;

const std::string kCases = std::string(CAPI_SOURCE_DIR) + "/tests/cases/";

std::vector<json> ReadLines(const std::string& name) {
  std::ifstream file(kCases + name);
  EXPECT_TRUE(file.good()) << name;
  std::vector<json> lines;
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty()) {
      lines.push_back(json::parse(line));
    }
  }
  return lines;
}

/// The lines of the list of deviations that are about one suite, by case id.
std::map<std::string, json> Deviations(const std::string& suite) {
  std::map<std::string, json> deviations;
  for (const json& line : ReadLines("deviations.jsonl")) {
    if (line.at("suite") == suite) {
      EXPECT_FALSE(line.at("reason").get<std::string>().empty());
      deviations[line.at("id")] = line.at("ours");
    }
  }
  return deviations;
}

LoadResult Load(const std::string& directory, const json& item) {
  TextFetcher fetcher({}, kCases + directory);
  LoadOptions options;
  options.script_url = item.at("file").get<std::string>();
  options.parameters_url = item.value("params", "");
  options.strict = item.value("strict", false);
  const json overrides = item.value("set", json::object());
  for (const auto& [name, value] : overrides.items()) {
    options.overrides.emplace_back(name, value.get<std::string>());
  }
  return LoadScript(options, &fetcher);
}

std::string AllErrors(const LoadResult& result) {
  std::string text;
  for (const Status& error : result.errors) {
    text += "  " + Describe(error) + " [" + InfoOf(error).error_class + "]\n";
  }
  return text;
}

/// Our answer in the words of the index: {"valid": true} or the class of the first error.
json AnswerOf(const LoadResult& result) {
  if (result.errors.empty()) {
    return {{"valid", true}};
  }
  return {{"error", InfoOf(result.errors[0]).error_class}};
}

TEST(ScriptCases, OriginalsAnswerOrListedDeviation) {
  std::map<std::string, json> deviations = Deviations("script");
  const size_t num_deviations = deviations.size();
  size_t num_cases = 0;
  for (const json& item : ReadLines("script_cases/index.jsonl")) {
    ++num_cases;
    const std::string id = item.at("id");
    const LoadResult result = Load("script_cases", item);
    const json ours = AnswerOf(result);
    const json stated =
        item.at("valid").get<bool>() ? json{{"valid", true}} : json{{"error", item.at("error")}};
    const auto deviation = deviations.find(id);
    if (deviation == deviations.end()) {
      EXPECT_EQ(ours, stated) << id << "\n" << AllErrors(result);
      continue;
    }
    EXPECT_NE(stated, deviation->second) << id << " is listed as a deviation, but is none";
    EXPECT_EQ(ours, deviation->second) << id << "\n" << AllErrors(result);
    deviations.erase(deviation);
  }
  EXPECT_TRUE(deviations.empty()) << deviations.begin()->first << " is no case";
  EXPECT_EQ(num_cases, 104U);
  std::cout << "script cases: " << num_cases - num_deviations << " passed, " << num_deviations
            << " deviations\n";
}

TEST(ScriptCases, EveryErrorHasAPlace) {
  for (const json& item : ReadLines("script_cases/index.jsonl")) {
    const LoadResult result = Load("script_cases", item);
    EXPECT_EQ(result.script == nullptr, !result.errors.empty());
    for (const Status& error : result.errors) {
      const ErrorInfo info = InfoOf(error);
      EXPECT_EQ(info.kind, ErrorKind::kUser) << item.at("id") << ": " << error.message();
      const bool placed = info.place.known() || info.error_class == "unknown_script_format";
      EXPECT_TRUE(placed) << item.at("id") << ": " << error.message();
    }
  }
}

/// "line:column class path: message", with the file before it when it is not the script.
std::string Line(const SourcePlace& place, const std::string& file, const std::string& error_class,
                 const std::string& path, const std::string& message) {
  std::string text = place.file == file ? "" : place.file + ":";
  text += std::to_string(place.line) + ":" + std::to_string(place.column) + " ";
  text += error_class.empty() ? "" : error_class + " ";
  return text + path + ": " + message;
}

void ExpectLines(const json& item, const std::string& key, const std::vector<std::string>& found) {
  const std::vector<std::string> expected = item.value(key, std::vector<std::string>());
  EXPECT_EQ(found, expected) << item.at("id") << " " << key << "\n" << json(found).dump(1);
}

TEST(ScriptCases, OwnCases) {
  for (const json& item : ReadLines("script_cases_ours/index.jsonl")) {
    const LoadResult result = Load("script_cases_ours", item);
    const std::string file = item.at("file");
    std::vector<std::string> errors;
    for (const Status& error : result.errors) {
      const ErrorInfo info = InfoOf(error);
      errors.push_back(Line(info.place, file, info.error_class, info.field_path, error.message()));
    }
    std::vector<std::string> warnings;
    for (const Warning& warning : result.warnings) {
      warnings.push_back(Line(warning.place, file, "", warning.field_path, warning.message));
    }
    ExpectLines(item, "errors", errors);
    ExpectLines(item, "warnings", warnings);
    EXPECT_EQ(result.script != nullptr, errors.empty()) << item.at("id");
  }
}

TEST(ScriptCases, RunCasesLoad) {
  const std::map<std::string, json> deviations = Deviations("run");
  for (const json& item : ReadLines("run_cases/index.jsonl")) {
    const std::string id = item.at("id");
    TextFetcher fetcher({}, kCases + "run_cases/" + item.value("dir", id));
    LoadOptions options;
    options.script_url = "script.json";
    const LoadResult result = LoadScript(options, &fetcher);
    const auto deviation = deviations.find(id);
    const bool refused = deviation != deviations.end() && deviation->second.contains("refused");
    EXPECT_EQ(!result.errors.empty(), refused) << id << "\n" << AllErrors(result);
  }
}

}  // namespace
}  // namespace capi::script
