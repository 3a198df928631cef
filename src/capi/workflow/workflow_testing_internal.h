#pragma once

// For tests: small scripts from text, a temporary directory, and a keyspace whose nodes are played
// by the test.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/fetcher.h"
#include "capi/script/loader.h"

namespace capi::workflow {

class TextFetcher final : public Fetcher {
 public:
  explicit TextFetcher(std::string text) : text_(std::move(text)) {}
  Result<std::string> Fetch(const std::string&) override { return text_; }

 private:
  std::string text_;
};

/// The stock policy of all shipped scripts (spec/script.md 13), with the alias of choice.
inline std::string StockPolicy() {
  const auto rule = [](const std::string& command, const std::string& condition) {
    return R"({"cmd":")" + command + R"(","expression":")" + condition + R"("})";
  };
  const std::string started =
      " && (nrs.run_status == wfmodel.RunStart || nrs.run_status == wfmodel.RunNone)";
  const std::string current = "nrs.run_is_current == true";
  const std::string former = "nrs.run_is_current == false";
  const std::string start = " && nrs.run_status == wfmodel.RunStart";
  const std::string complete = " && nrs.run_status == wfmodel.RunComplete";
  const auto node = [](const std::string& status) {
    return " && nrs.node_status == wfmodel.NodeBatch" + status;
  };
  return R"json({"stock":{"is_default":true,"event_priority_order":"run_is_current(desc),run_id(desc)","rules":[)json" +
         rule("go", current + start + node("Success")) + "," +
         rule("wait", current + started + node("None")) + "," +
         rule("wait", current + started + node("Start")) + "," +
         rule("nogo", current + start + node("Fail")) + "," +
         rule("go", former + start + node("Success")) + "," +
         rule("wait", former + started + node("None")) + "," +
         rule("wait", former + started + node("Start")) + "," +
         rule("go", former + complete + node("Success")) + "," +
         rule("nogo", former + complete + node("Fail")) + "," +
         rule("nogo", former + " && nrs.run_status == wfmodel.RunStop") + "]}}";
}

/// A file_table node: column and field v (int), one batch per URL.
inline std::string ReadNode(const std::string& name, const std::vector<std::string>& urls,
                            const std::string& extra = "") {
  std::string list;
  for (const std::string& url : urls) list += (list.empty() ? "\"" : ",\"") + url + "\"";
  return "\"" + name + R"(":{"type":"file_table",)" + extra + R"("r":{"urls":[)" + list +
         R"(],"csv":{"hdr_line_idx":0,"first_data_line_idx":1},)" +
         R"("columns":{"v":{"csv":{"col_hdr":"v"},"col_type":"int"}}},)" + R"("w":{"name":"t_)" +
         name + R"(","fields":{"v":{"expression":"r.v","type":"int"}}}})";
}

/// A table_table node that copies the table of `source`.
inline std::string CopyNode(const std::string& name, const std::string& source, int64_t batches,
                            const std::string& extra = "", const std::string& indexes = "") {
  return "\"" + name + R"(":{"type":"table_table",)" + extra + R"("r":{"table":"t_)" + source +
         R"(","expected_batches_total":)" + std::to_string(batches) + R"(},"w":{"name":"t_)" +
         name + R"(","fields":{"v":{"expression":"r.v","type":"int"}})" +
         (indexes.empty() ? "" : ",\"indexes\":{" + indexes + "}") + "}}";
}

/// A table_file node that writes the table of `source` to `url`.
inline std::string WriteNode(const std::string& name, const std::string& source,
                             const std::string& url, int64_t batches = 1,
                             const std::string& extra = "") {
  return "\"" + name + R"(":{"type":"table_file",)" + extra + R"("r":{"table":"t_)" + source +
         R"(","expected_batches_total":)" + std::to_string(batches) + R"(},"w":{"url_template":")" +
         url + R"(","columns":[{"csv":{"header":"v","format":"%d"},"name":"v",)" +
         R"("expression":"r.v","type":"int"}]}})";
}

inline std::string ScriptText(const std::vector<std::string>& nodes,
                              const std::string& policies = StockPolicy()) {
  std::string text = R"({"nodes":{)";
  for (size_t i = 0; i < nodes.size(); ++i) text += (i == 0 ? "" : ",") + nodes[i];
  return text + R"(},"dependency_policies":)" + policies + "}";
}

inline std::shared_ptr<const script::Script> ParseScript(const std::string& text) {
  TextFetcher fetcher(text);
  script::LoadOptions options;
  options.script_url = "test.json";
  script::LoadResult loaded = script::LoadScript(options, &fetcher);
  for (const Status& error : loaded.errors) ADD_FAILURE() << Describe(error);
  return loaded.script;
}

/// Made for the running test, removed at the end.
class TestFiles {
 public:
  TestFiles() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string("capi_") + test->test_suite_name() + "_" + test->name() + "_" +
                       std::to_string(getpid());
    for (char& c : name) {
      if (c == '/') c = '_';
    }
    path_ = std::filesystem::temp_directory_path() / name;
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFiles() { std::filesystem::remove_all(path_); }
  std::string Path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return Path(name);
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
  }
  /// Names in a subdirectory, hidden ones included, sorted.
  std::vector<std::string> List(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_ / name)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace capi::workflow
