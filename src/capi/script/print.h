#pragma once

// A script as a list for people (`capi validate`).

#include <cstddef>
#include <string>

#include "capi/script/model.h"

namespace capi::script {

/// What a node reads: files or tables, shortened ("in/a.csv and 2 more", "orders, items (left
/// join)").
std::string DescribeInput(const Node& node);
/// The table or file address a node writes.
std::string DescribeOutput(const Node& node);

/// At most `most` characters, the middle replaced by an ellipsis.
std::string Shortened(const std::string& text, size_t most);

/// One line per node in topological order: name, type, what it reads and writes, batches, manual
/// start; columns are aligned and headed, long addresses are
/// shortened.
std::string PrintNodes(const Script& script);

}  // namespace capi::script
