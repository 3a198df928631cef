#pragma once

// Progress of a run: a live table on a terminal, plain lines elsewhere.

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capi/workflow/run_snapshot.h"

namespace capi::cli {

/// One line for a node: state, bar, rows, rows/s, elapsed, ETA ("?" when unknown).
std::string NodeLine(const workflow::NodeSnapshot& node, size_t name_width, bool color);

/// Polls `snapshot` until stopped and draws on stderr.
class ProgressDisplay {
 public:
  ProgressDisplay(std::function<workflow::RunSnapshot()> snapshot, bool terminal);
  ~ProgressDisplay() { Stop({}); }
  /// Draws the final state (nothing if it has no nodes) and ends.
  void Stop(const workflow::RunSnapshot& final);

 private:
  void Loop();
  void Draw(const workflow::RunSnapshot& run, bool final);
  void DrawTerminal(const workflow::RunSnapshot& run, bool final);
  void PrintChanges(const workflow::RunSnapshot& run);

  std::function<workflow::RunSnapshot()> snapshot_;
  const bool terminal_;
  std::mutex mutex_;
  std::condition_variable stop_requested_;
  bool stopping_ = false;
  size_t lines_drawn_ = 0;
  std::map<std::string, std::string> printed_;  // node -> what was said last
  std::thread thread_;
};

}  // namespace capi::cli
