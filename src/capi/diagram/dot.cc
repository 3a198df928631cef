#include "capi/diagram/dot.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace capi::diagram {

namespace {

std::string_view FillOf(script::NodeType type) {
  switch (type) {
    case script::NodeType::kFileTable:
      return "#e8f1fc";
    case script::NodeType::kTableTable:
      return "#eef0f4";
    case script::NodeType::kTableLookupTable:
      return "#fdf1e1";
    case script::NodeType::kTableFile:
      return "#e7f6ec";
    case script::NodeType::kDistinctTable:
      return "#f3ecfb";
    case script::NodeType::kCustomTable:
      return "#fdeaf0";
  }
  return "white";
}

/// A quoted id or plain label: one line.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
    }
    const bool control = static_cast<unsigned char>(c) < 0x20;
    quoted.push_back(control ? ' ' : c);
  }
  return quoted + "\"";
}

/// A piece of a record label, where braces, bars and angle brackets have a meaning.
std::string RecordText(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("{}|<>\"\\ ").find(c) != std::string_view::npos) {
      escaped.push_back('\\');
    }
    const bool control = static_cast<unsigned char>(c) < 0x20;
    escaped += control ? "\\ " : std::string(1, c);
  }
  return escaped;
}

std::string JoinText(const script::Lookup& lookup) {
  return std::string("group:") + (lookup.group ? "true" : "false") +
         ", join:" + (lookup.join_type == script::JoinType::kLeft ? "left" : "inner");
}

std::string NodeId(const std::string& name) { return Quoted("node " + name); }

void AppendNode(const script::Node& node, std::string* dot) {
  const bool table = node.table_writer.has_value();
  const std::string& written = table ? node.table_writer->name : node.file_writer->url_template;
  std::string label = "{" + RecordText(node.name) + "|" +
                      (table ? "creates\\ table:\\n" : "creates\\ file:\\n") + RecordText(written);
  if (node.lookup) {
    label += "|" + RecordText(JoinText(*node.lookup));
  }
  *dot += "  " + NodeId(node.name) + " [shape=record, penwidth=" + (node.manual ? "6" : "1") +
          ", fontsize=20, style=filled, fillcolor=\"" + std::string(FillOf(node.type)) +
          "\", label=\"" + label + "}\", tooltip=" + Quoted(node.description) + "];\n";
}

/// Lines of a label, left-aligned; lines that are switched off are left out.
class Label {
 public:
  explicit Label(const DotLabels& labels) : labels_(labels) {}
  void AddIndex(const std::string& line) {
    if (labels_.indexes) Add(line);
  }
  void AddFields(std::vector<std::string> names) {
    if (!labels_.fields) return;
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) Add(name);
  }
  /// With a comma before it; "" if there are no lines.
  std::string Attribute() const { return text_.empty() ? "" : ", label=\"" + text_ + "\""; }

 private:
  void Add(const std::string& line) {
    const std::string quoted = Quoted(line);
    text_ += quoted.substr(1, quoted.size() - 2) + "\\l";
  }

  const DotLabels labels_;
  std::string text_;
};

/// The first files of a list, one on a line.
std::string FilesText(const std::vector<std::string>& urls) {
  constexpr size_t kMostFiles = 5;
  const size_t shown = urls.size() <= kMostFiles ? urls.size() : kMostFiles - 1;
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    const std::string quoted = Quoted(urls[i]);
    text += (i > 0 ? "\\n" : "") + quoted.substr(1, quoted.size() - 2);
  }
  if (shown < urls.size()) {
    text += "\\nand " + std::to_string(urls.size() - shown) + " more";
  }
  return "\"" + text + "\"";
}

void AppendFiles(const script::Node& node, const DotLabels& labels, std::string* dot) {
  if (node.file_reader) {
    const std::string id = Quoted("source of " + node.name);
    *dot += "  " + id + " [shape=folder, fontsize=20, label=" + FilesText(node.file_reader->urls) +
            ", tooltip=" + Quoted(std::to_string(node.file_reader->urls.size()) + " files") +
            "];\n";
    Label label(labels);
    std::vector<std::string> names;
    for (const script::FileReaderColumn& column : node.file_reader->columns) {
      names.push_back(column.field.name);
    }
    label.AddFields(std::move(names));
    *dot += "  " + id + " -> " + NodeId(node.name) + " [style=dotted, fontsize=18" +
            label.Attribute() + "];\n";
  }
  if (node.file_writer) {
    const std::string id = Quoted("target of " + node.name);
    *dot += "  " + id +
            " [shape=note, fontsize=20, label=" + Quoted(node.file_writer->url_template) + "];\n";
    Label label(labels);
    label.AddFields(node.table_reader->used_fields);
    *dot += "  " + NodeId(node.name) + " -> " + id + " [style=dotted, fontsize=18" +
            label.Attribute() + "];\n";
  }
}

void AppendEdges(const script::Node& node, const DotLabels& labels, std::string* dot) {
  if (node.table_reader) {
    const int64_t batches = node.table_reader->num_batches;
    const std::string note =
        batches > 1 ? "(" + std::to_string(batches) + " batches)" : "(no parallelism)";
    Label label(labels);
    label.AddIndex(node.table_reader->table + " " + note);
    label.AddFields(node.table_reader->used_fields);
    *dot += "  " + NodeId(node.table_reader->creator) + " -> " + NodeId(node.name) +
            " [fontsize=18" + label.Attribute() + "];\n";
  }
  if (node.lookup) {
    Label label(labels);
    label.AddIndex(node.lookup->index_name + " (lookup)");
    label.AddFields(node.lookup->used_fields);
    *dot += "  " + NodeId(node.lookup->creator) + " -> " + NodeId(node.name) +
            " [style=dashed, fontsize=18" + label.Attribute() + "];\n";
  }
}

}  // namespace

std::string RenderDot(const script::Script& script, const DotLabels& labels) {
  std::string dot =
      "digraph script {\n  rankdir=\"TD\";\n  graph [fontname=\"Helvetica\", splines=true, "
      "pad=0.5, "
      "ranksep=0.5, nodesep=0.5];\n  node [fontname=\"Helvetica\"];\n  edge "
      "[fontname=\"Helvetica\"];\n";
  const std::vector<const script::Node*> nodes = script.TopologicalOrder();
  for (const script::Node* node : nodes) {
    AppendNode(*node, &dot);
  }
  for (const script::Node* node : nodes) {
    AppendFiles(*node, labels, &dot);
    AppendEdges(*node, labels, &dot);
  }
  return dot + "}\n";
}

}  // namespace capi::diagram
