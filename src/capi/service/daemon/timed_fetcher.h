#pragma once

// Fetches scripts and what they name, and counts how long downloads take. Header only.

#include <chrono>
#include <string>

#include "capi/base/fetcher.h"
#include "capi/workflow/execution_counters.h"

namespace capi::service {

/// Thread-safe.
class TimedFetcher final : public Fetcher {
 public:
  /// Both outlive the fetcher; null counters: nobody asks.
  TimedFetcher(Fetcher* fetcher, workflow::ExecutionCounters* counters)
      : fetcher_(fetcher), counters_(counters) {}

  Result<std::string> Fetch(const std::string& url) override {
    LatencyHistogram* const histogram = HistogramOf(url);
    const auto begun = std::chrono::steady_clock::now();
    Result<std::string> text = fetcher_->Fetch(url);
    if (histogram != nullptr) {
      histogram->Add(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begun).count());
    }
    return text;
  }

 private:
  /// Null for files that are not downloaded.
  LatencyHistogram* HistogramOf(const std::string& url) const {
    if (counters_ == nullptr) return nullptr;
    if (url.starts_with("http://") || url.starts_with("https://")) {
      return &counters_->http_downloads;
    }
    if (url.starts_with("s3://")) return &counters_->s3_downloads;
    if (url.starts_with("sftp://")) return &counters_->sftp_downloads;
    return nullptr;
  }

  Fetcher* const fetcher_;
  workflow::ExecutionCounters* const counters_;
};

}  // namespace capi::service
