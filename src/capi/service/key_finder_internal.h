#pragma once

// Finds columns, or groups of them, whose values are different in all rows.

#include <cstdint>
#include <string_view>
#include <vector>

namespace capi::service {

/// Keeps a hash of 64 bits per row and group until a repetition is seen.
class KeyFinder {
 public:
  explicit KeyFinder(std::vector<std::vector<size_t>> groups);

  void Add(const std::vector<std::string_view>& cells);
  /// True when nothing can be found any more.
  bool done() const { return num_open_ == 0; }
  /// Groups without a repetition and without blank cells, in the order given.
  std::vector<std::vector<size_t>> Keys();

 private:
  struct Group {
    std::vector<size_t> columns;
    std::vector<uint64_t> hashes;
    size_t next_check = 1024;
    bool open = true;
  };
  /// Looks for repetitions; closes the group if there are any.
  void Check(Group* group);
  void Close(Group* group);

  std::vector<Group> groups_;
  size_t num_open_ = 0;
  size_t num_hashes_ = 0;
};

}  // namespace capi::service
