#include "capi/cli/progress_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "capi/cli/text_table.h"

namespace capi::cli {

namespace {

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::milliseconds(250);
constexpr int kBarCells = 20;

std::string StateText(const workflow::NodeSnapshot& node) {
  if (node.phase != workflow::NodePhase::kEnded) return std::string(NameOf(node.phase));
  if (node.status == state::NodeStatus::kSuccess) return "done";
  return node.status == state::NodeStatus::kFail ? "FAILED" : "stopped";
}

const char* ColorOf(const workflow::NodeSnapshot& node) {
  if (node.phase == workflow::NodePhase::kEnded) {
    return node.status == state::NodeStatus::kSuccess ? "\033[32m" : "\033[31m";
  }
  return node.phase == workflow::NodePhase::kWaiting ? "\033[2m" : "\033[36m";
}

std::string Bar(double fraction) {
  if (fraction < 0) fraction = 0;
  const int filled = static_cast<int>(std::lround(std::min(fraction, 1.0) * kBarCells));
  std::string bar;
  for (int i = 0; i < kBarCells; ++i) bar += i < filled ? "█" : "░";
  return bar;
}

std::string Padded(const std::string& text, size_t width, bool right) {
  const auto length = static_cast<size_t>(CharacterCount(text));
  const std::string blanks(width > length ? width - length : 0, ' ');
  return right ? blanks + text : text + blanks;
}

int TerminalRows() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 24;
}

}  // namespace

std::string NodeLine(const workflow::NodeSnapshot& node, size_t name_width, bool color) {
  const bool ended = node.phase == workflow::NodePhase::kEnded;
  const bool begun = node.elapsed_ms > 0;
  const int64_t rows = std::max(node.rows_in, node.counts.in);
  std::string rate = "-";
  if (begun && rows > 0) {
    rate = WithThousands(rows * 1000 / std::max<int64_t>(node.elapsed_ms, 1)) + "/s";
  }
  std::string eta = ended ? "" : "?";
  if (!ended && begun && node.fraction > 0.01 && node.fraction <= 1) {
    eta = HumanDuration(static_cast<int64_t>(static_cast<double>(node.elapsed_ms) *
                                             (1 - node.fraction) / node.fraction));
  }
  const double fraction = ended && node.status == state::NodeStatus::kSuccess ? 1 : node.fraction;
  std::string line = Padded(node.name, name_width, false) + " ";
  if (color) line += ColorOf(node);
  line += Padded(StateText(node), 9, false) + " " + Bar(fraction);
  if (color) line += "\033[0m";
  line += " " + Padded(WithThousands(rows), 12, true) + " rows " + Padded(rate, 14, true) + " " +
          Padded(begun ? HumanDuration(node.elapsed_ms) : "-", 9, true);
  if (!ended) line += "  ETA " + eta;
  return line;
}

ProgressDisplay::ProgressDisplay(std::function<workflow::RunSnapshot()> snapshot, bool terminal)
    : snapshot_(std::move(snapshot)), terminal_(terminal), thread_([this] { Loop(); }) {}

void ProgressDisplay::Stop(const workflow::RunSnapshot& final) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  stop_requested_.notify_all();
  thread_.join();
  Draw(final, true);
}

void ProgressDisplay::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto interval = terminal_ ? kTerminalInterval : kPlainInterval;
  while (!stop_requested_.wait_for(lock, interval, [this] { return stopping_; })) {
    lock.unlock();
    Draw(snapshot_(), false);
    lock.lock();
  }
}

void ProgressDisplay::Draw(const workflow::RunSnapshot& run, bool final) {
  if (terminal_) {
    DrawTerminal(run, final);
  } else {
    PrintChanges(run);
  }
}

void ProgressDisplay::DrawTerminal(const workflow::RunSnapshot& run, bool final) {
  if (run.nodes.empty()) return;
  size_t width = 4;
  for (const auto& node : run.nodes) width = std::max(width, node.name.size());
  // A table longer than the screen cannot be redrawn: then only nodes under way are shown.
  const auto room = static_cast<size_t>(TerminalRows() - 2);
  std::string text;
  if (lines_drawn_ > 0) text += "\033[" + std::to_string(lines_drawn_) + "A\033[J";
  size_t lines = 0;
  const bool fits = run.nodes.size() <= room;
  for (const auto& node : run.nodes) {
    const bool active = node.phase == workflow::NodePhase::kRunning ||
                        node.phase == workflow::NodePhase::kFinishing;
    if (!fits && !final && (!active || lines >= room)) continue;
    text += NodeLine(node, width, true) + "\n";
    ++lines;
  }
  lines_drawn_ = lines;
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

void ProgressDisplay::PrintChanges(const workflow::RunSnapshot& run) {
  for (const auto& node : run.nodes) {
    if (node.phase == workflow::NodePhase::kWaiting || node.phase == workflow::NodePhase::kReady) {
      continue;
    }
    const std::string state = StateText(node);
    std::string& said = printed_[node.name];
    if (said == state) continue;
    // A node that ended between two looks was never seen running: one line is enough.
    said = state;
    if (node.phase == workflow::NodePhase::kFinishing) continue;
    std::string line = node.name + ": " + state;
    if (node.error.error_class == "dependency_failed") {
      line = node.name + ": not run, " + node.error.text;
    } else if (node.phase == workflow::NodePhase::kEnded) {
      line += ", " + WithThousands(node.counts.in) + " rows in, " + WithThousands(node.counts.out) +
              " out, " + HumanDuration(node.elapsed_ms);
    }
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace capi::cli
