#include <algorithm>

#include "capi/service/key_finder_internal.h"
#include "xxhash.h"

namespace capi::service {

namespace {

/// 128 MiB. Beyond, keys are not looked for.
constexpr size_t kMostHashes = size_t{16} << 20;

}  // namespace

KeyFinder::KeyFinder(std::vector<std::vector<size_t>> groups) {
  for (std::vector<size_t>& columns : groups) {
    groups_.emplace_back().columns = std::move(columns);
  }
  num_open_ = groups_.size();
}

void KeyFinder::Close(Group* group) {
  group->open = false;
  num_hashes_ -= group->hashes.size();
  group->hashes = {};
  --num_open_;
}

void KeyFinder::Check(Group* group) {
  std::sort(group->hashes.begin(), group->hashes.end());
  if (std::adjacent_find(group->hashes.begin(), group->hashes.end()) != group->hashes.end()) {
    Close(group);
  }
  group->next_check = 2 * group->hashes.size();
}

void KeyFinder::Add(const std::vector<std::string_view>& cells) {
  for (Group& group : groups_) {
    if (!group.open) continue;
    uint64_t hash = 0;
    bool blank = false;
    for (const size_t column : group.columns) {
      blank = blank || cells[column].empty();
      hash = XXH3_64bits_withSeed(cells[column].data(), cells[column].size(), hash);
    }
    if (blank || num_hashes_ >= kMostHashes) {
      Close(&group);
      continue;
    }
    group.hashes.push_back(hash);
    ++num_hashes_;
    if (group.hashes.size() >= group.next_check) Check(&group);
  }
}

std::vector<std::vector<size_t>> KeyFinder::Keys() {
  std::vector<std::vector<size_t>> keys;
  for (Group& group : groups_) {
    if (group.open) Check(&group);
    if (group.open) keys.push_back(group.columns);
  }
  return keys;
}

}  // namespace capi::service
