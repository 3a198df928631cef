#include "capi/diagram/layout.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "capi/script/print.h"

namespace capi::diagram {

namespace {

constexpr double kBoxHeight = 66;
constexpr double kLineHeight = 20;  // of an edge that passes a layer
constexpr double kRowGap = 22;
constexpr double kLayerGap = 64;
constexpr double kMargin = 20;
constexpr double kTextMargin = 14;
constexpr double kNameSize = 14;
constexpr double kBoldFactor = 1.16;
constexpr double kDetailSize = 11;
constexpr size_t kLongestLine = 36;
constexpr int kSweeps = 12;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// A box, or an edge passing through a layer.
struct Item {
  size_t layer = 0;
  double width = 0;
  double height = kLineHeight;
  double center = 0;
  std::vector<size_t> before;  ///< items of the layer to the left it is connected to
  std::vector<size_t> after;
};

class LayerPlacer {
 public:
  explicit LayerPlacer(Layout* layout) : layout_(layout) {}

  void Run() {
    MakeItems();
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      SortLayers(sweep % 2 == 0);
    }
    Stack();
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      Align(sweep % 2 == 0);
    }
    SetCoordinates();
  }

 private:
  void AddItem(Item item) {
    layers_.resize(std::max(layers_.size(), item.layer + 1));
    layers_[item.layer].push_back(items_.size());
    items_.push_back(std::move(item));
  }
  void Connect(size_t left, size_t right) {
    items_[left].after.push_back(right);
    items_[right].before.push_back(left);
  }

  void MakeItems() {
    for (const Box& box : layout_->boxes) {
      Item item;
      item.layer = box.layer;
      item.width = box.width;
      item.height = box.height;
      AddItem(std::move(item));
    }
    chains_.resize(layout_->edges.size());
    for (size_t i = 0; i < layout_->edges.size(); ++i) {
      const Edge& edge = layout_->edges[i];
      size_t last = edge.from;
      for (size_t layer = items_[edge.from].layer + 1; layer < items_[edge.to].layer; ++layer) {
        Item passing;
        passing.layer = layer;
        AddItem(std::move(passing));
        Connect(last, items_.size() - 1);
        last = items_.size() - 1;
        chains_[i].push_back(last);
      }
      Connect(last, edge.to);
    }
  }

  const std::vector<size_t>& Neighbours(size_t item, bool left) const {
    return left ? items_[item].before : items_[item].after;
  }

  /// Orders each layer by the mean position of the neighbours on one side.
  void SortLayers(bool by_left) {
    std::vector<double> position(items_.size());
    for (const std::vector<size_t>& layer : layers_) {
      for (size_t i = 0; i < layer.size(); ++i) {
        position[layer[i]] = static_cast<double>(i);
      }
    }
    for (size_t step = 0; step < layers_.size(); ++step) {
      std::vector<size_t>& layer = layers_[by_left ? step : layers_.size() - 1 - step];
      std::map<size_t, double> mean;
      for (const size_t item : layer) {
        mean[item] = Mean(Neighbours(item, by_left), position, position[item]);
      }
      std::stable_sort(layer.begin(), layer.end(),
                       [&mean](size_t a, size_t b) { return mean[a] < mean[b]; });
      for (size_t i = 0; i < layer.size(); ++i) {
        position[layer[i]] = static_cast<double>(i);
      }
    }
  }

  static double Mean(const std::vector<size_t>& items, const std::vector<double>& value,
                     double otherwise) {
    if (items.empty()) {
      return otherwise;
    }
    const double sum = std::accumulate(items.begin(), items.end(), 0.0,
                                       [&value](double s, size_t i) { return s + value[i]; });
    return sum / static_cast<double>(items.size());
  }

  void Stack() {
    for (const std::vector<size_t>& layer : layers_) {
      double top = 0;
      for (const size_t item : layer) {
        items_[item].center = top + items_[item].height / 2;
        top += items_[item].height + kRowGap;
      }
    }
  }

  /// Moves the items of each layer towards their neighbours on one side: the nearest positions
  /// (least squares) that keep order and gaps, found by merging blocks that push each other.
  void Align(bool by_left) {
    for (size_t step = 0; step < layers_.size(); ++step) {
      const std::vector<size_t>& layer = layers_[by_left ? step : layers_.size() - 1 - step];
      struct Block {
        double sum = 0;
        size_t size = 0;
        double mean() const { return sum / static_cast<double>(size); }
      };
      std::vector<Block> blocks;
      std::vector<double> offsets;
      double offset = 0;
      for (size_t i = 0; i < layer.size(); ++i) {
        const Item& item = items_[layer[i]];
        offset += i == 0 ? 0 : (items_[layer[i - 1]].height + item.height) / 2 + kRowGap;
        offsets.push_back(offset);
        blocks.push_back(Block{WantedCenter(layer[i], by_left) - offset, 1});
        while (blocks.size() > 1 && blocks.back().mean() < blocks[blocks.size() - 2].mean()) {
          const Block last = blocks.back();
          blocks.pop_back();
          blocks.back().sum += last.sum;
          blocks.back().size += last.size;
        }
      }
      size_t i = 0;
      for (const Block& block : blocks) {
        for (size_t k = 0; k < block.size; ++k, ++i) {
          items_[layer[i]].center = block.mean() + offsets[i];
        }
      }
    }
  }

  double WantedCenter(size_t item, bool by_left) const {
    const std::vector<size_t>& neighbours = Neighbours(item, by_left);
    if (neighbours.empty()) {
      return items_[item].center;
    }
    double sum = 0;
    for (const size_t neighbour : neighbours) {
      sum += items_[neighbour].center;
    }
    return sum / static_cast<double>(neighbours.size());
  }

  void SetCoordinates() {
    double lowest = 0;
    double highest = items_.empty() ? 0 : items_[0].center;
    for (const Item& item : items_) {
      highest = std::min(highest, item.center - item.height / 2);
      lowest = std::max(lowest, item.center + item.height / 2);
    }
    std::vector<double> lefts;
    std::vector<double> widths;
    double left = kMargin;
    for (const std::vector<size_t>& layer : layers_) {
      double width = 0;
      for (const size_t item : layer) {
        width = std::max(width, items_[item].width);
      }
      lefts.push_back(left);
      widths.push_back(width);
      left += width + kLayerGap;
    }
    const double shift = kMargin - highest;
    for (size_t i = 0; i < layout_->boxes.size(); ++i) {
      Box& box = layout_->boxes[i];
      box.width = widths[box.layer];
      box.left = lefts[box.layer];
      box.top = items_[i].center - box.height / 2 + shift;
    }
    for (size_t i = 0; i < layout_->edges.size(); ++i) {
      Edge& edge = layout_->edges[i];
      const Box& from = layout_->boxes[edge.from];
      const Box& to = layout_->boxes[edge.to];
      // Two edges that enter one box are kept apart: data above, lookup below.
      const double side = edge.lookup ? to.height / 4 : 0;
      edge.points.push_back({from.left + from.width, from.top + from.height / 2});
      for (const size_t item : chains_[i]) {
        const double y = items_[item].center + shift;
        edge.points.push_back({lefts[items_[item].layer], y});
        edge.points.push_back({lefts[items_[item].layer] + widths[items_[item].layer], y});
      }
      edge.points.push_back({to.left, to.top + to.height / 2 + side});
    }
    layout_->width = std::max(left - kLayerGap, kMargin) + kMargin;
    layout_->height = lowest - highest + 2 * kMargin;
  }

  Layout* layout_;
  std::vector<Item> items_;                  // boxes first, in their order
  std::vector<std::vector<size_t>> layers_;  // items from top to bottom
  std::vector<std::vector<size_t>> chains_;  // [edge]: passing items
};

/// The last part of an address.
std::string FileName(const std::string& url) { return url.substr(url.find_last_of('/') + 1); }

std::string ReadAction(const script::FileReader& reader) {
  const std::string first = "read " + FileName(reader.urls[0]);
  return reader.urls.size() == 1
             ? first
             : first + " and " + std::to_string(reader.urls.size() - 1) + " more";
}

std::string Action(const script::Node& node) {
  switch (node.type) {
    case script::NodeType::kFileTable:
      return ReadAction(*node.file_reader);
    case script::NodeType::kTableTable:
      return "transform";
    case script::NodeType::kTableLookupTable:
      return std::string(node.lookup->join_type == script::JoinType::kLeft ? "left join"
                                                                           : "inner join") +
             (node.lookup->group ? ", grouped" : "");
    case script::NodeType::kTableFile:
      return node.file_writer->format == script::FileFormat::kCsv ? "write CSV" : "write Parquet";
    case script::NodeType::kDistinctTable:
      return "distinct rows";
    case script::NodeType::kCustomTable:
      return node.processor->type == script::ProcessorType::kPyCalc ? "Python formulas"
                                                                    : "tag and denormalize";
  }
  return "";
}

Box MakeBox(const script::Node& node) {
  Box box;
  box.node = &node;
  box.height = kBoxHeight;
  std::string action = Action(node);
  if (node.table_reader && node.num_batches() > 1) {
    action += ", " + std::to_string(node.num_batches()) + " batches";
  }
  box.lines = {script::Shortened(node.name, kLongestLine), script::Shortened(action, kLongestLine),
               script::Shortened(FileName(script::DescribeOutput(node)), kLongestLine)};
  box.width = TextWidth(box.lines[0], kNameSize) * kBoldFactor;
  box.width = std::max({box.width, TextWidth(box.lines[1], kDetailSize),
                        TextWidth("\xe2\x86\x92 " + box.lines[2], kDetailSize)});
  box.width += 2 * kTextMargin;
  return box;
}

}  // namespace

double TextWidth(const std::string& text, double font_size) {
  double width = 0;
  for (const char c : text) {
    if (IsContinuation(c)) {
      continue;
    }
    const bool narrow = std::string("iljtfr.,:;|!'()[]{} ").find(c) != std::string::npos;
    const bool wide = std::string("mwMW@%").find(c) != std::string::npos;
    width += narrow ? 0.36 : wide ? 0.9 : 0.6;
  }
  return width * font_size;
}

Layout LayOut(const script::Script& script) {
  Layout layout;
  std::map<std::string, size_t> positions;
  for (const script::Node* node : script.TopologicalOrder()) {
    const size_t position = layout.boxes.size();
    positions[node->name] = position;
    layout.boxes.push_back(MakeBox(*node));
    if (node->table_reader) {
      layout.edges.push_back(Edge{positions[node->table_reader->creator], position, false, {}});
    }
    if (node->lookup) {
      layout.edges.push_back(Edge{positions[node->lookup->creator], position, true, {}});
    }
    for (const std::string& name : node->dependencies()) {
      Box& box = layout.boxes.back();
      box.layer = std::max(box.layer, layout.boxes[positions[name]].layer + 1);
    }
  }
  // Nodes that only read files stand next to their first reader.
  for (size_t i = layout.boxes.size(); i-- > 0;) {
    if (!layout.boxes[i].node->dependencies().empty()) {
      continue;
    }
    size_t layer = layout.boxes.size();
    for (const Edge& edge : layout.edges) {
      layer = edge.from == i ? std::min(layer, layout.boxes[edge.to].layer - 1) : layer;
    }
    layout.boxes[i].layer = layer < layout.boxes.size() ? layer : 0;
  }
  LayerPlacer(&layout).Run();
  return layout;
}

}  // namespace capi::diagram
