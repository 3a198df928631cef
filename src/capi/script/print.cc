#include "capi/script/print.h"

#include <algorithm>
#include <array>
#include <vector>

namespace capi::script {

namespace {

constexpr size_t kNumColumns = 6;
using Line = std::array<std::string, kNumColumns>;

/// Longest text in a column of addresses.
constexpr size_t kLongestText = 60;

bool BeginsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

/// Characters of a UTF-8 text.
size_t NumCharacters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), BeginsCharacter));
}

Line Describe(const Node& node) {
  return Line{node.name,
              std::string(NodeTypeName(node.type)),
              Shortened(DescribeInput(node), kLongestText),
              Shortened(DescribeOutput(node), kLongestText),
              std::to_string(node.num_batches()),
              node.manual ? "manual" : "auto"};
}

}  // namespace

std::string DescribeInput(const Node& node) {
  if (node.file_reader) {
    const std::vector<std::string>& urls = node.file_reader->urls;
    return urls.size() == 1 ? urls[0]
                            : urls[0] + " and " + std::to_string(urls.size() - 1) + " more";
  }
  std::string text = node.table_reader->table;
  if (node.lookup) {
    text += ", " + node.lookup->table + " (";
    text += node.lookup->join_type == JoinType::kLeft ? "left join" : "inner join";
    text += node.lookup->group ? ", grouped)" : ")";
  }
  return text;
}

std::string DescribeOutput(const Node& node) {
  return node.table_writer ? node.table_writer->name : node.file_writer->url_template;
}

std::string Shortened(const std::string& text, size_t most) {
  std::vector<size_t> begins;
  for (size_t i = 0; i < text.size(); ++i) {
    if (BeginsCharacter(text[i])) {
      begins.push_back(i);
    }
  }
  if (begins.size() <= most) {
    return text;
  }
  const size_t head = most / 2;
  const size_t tail = most - head - 1;
  return text.substr(0, begins[head]) + "\xe2\x80\xa6" + text.substr(begins[begins.size() - tail]);
}

std::string PrintNodes(const Script& script) {
  std::vector<Line> lines = {Line{"node", "type", "reads", "writes", "batches", "start"}};
  for (const Node* node : script.TopologicalOrder()) {
    lines.push_back(Describe(*node));
  }
  std::array<size_t, kNumColumns> widths{};
  for (const Line& line : lines) {
    for (size_t i = 0; i < kNumColumns; ++i) {
      widths[i] = std::max(widths[i], NumCharacters(line[i]));
    }
  }
  std::string text;
  for (const Line& line : lines) {
    for (size_t i = 0; i < kNumColumns; ++i) {
      text += line[i];
      const bool last = i + 1 == kNumColumns;
      text += last ? "\n" : std::string(widths[i] - NumCharacters(line[i]) + 2, ' ');
    }
  }
  return text;
}

}  // namespace capi::script
