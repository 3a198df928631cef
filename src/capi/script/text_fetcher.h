#pragma once

// A Fetcher for tests: texts in memory, and files below a directory.

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include "capi/base/fetcher.h"

namespace capi::script {

class TextFetcher : public Fetcher {
 public:
  /// `directory` "": only the texts are known.
  explicit TextFetcher(std::map<std::string, std::string> texts, std::string directory = "")
      : texts_(std::move(texts)), directory_(std::move(directory)) {}

  Result<std::string> Fetch(const std::string& url) override {
    const auto found = texts_.find(url);
    if (found != texts_.end()) {
      return found->second;
    }
    if (!directory_.empty()) {
      std::ifstream file(directory_ + "/" + url, std::ios::binary);
      if (file) {
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
      }
    }
    return UserError("file_not_found", "no such file: " + url);
  }

 private:
  std::map<std::string, std::string> texts_;
  std::string directory_;
};

}  // namespace capi::script
