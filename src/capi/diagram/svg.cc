#include "capi/diagram/svg.h"

#include <array>
#include <cstdio>
#include <string_view>

#include "capi/diagram/layout.h"
#include "capi/script/print.h"

namespace capi::diagram {

namespace {

/// Fill and border of a node type, on light and on dark backgrounds.
struct Style {
  std::string_view name;
  std::string_view light_fill;
  std::string_view light_border;
  std::string_view dark_fill;
  std::string_view dark_border;
};

constexpr std::array<Style, 6> kStyles = {{
    {"source", "#e8f1fc", "#3b7dd8", "#16263d", "#6aa5f0"},
    {"transform", "#eef0f4", "#6b7787", "#23282f", "#9aa6b5"},
    {"join", "#fdf1e1", "#d9822b", "#3a2a14", "#f0a552"},
    {"file", "#e7f6ec", "#2f9e58", "#15301f", "#57c580"},
    {"distinct", "#f3ecfb", "#8a5cc9", "#2b2039", "#b78ff0"},
    {"custom", "#fdeaf0", "#cc3f74", "#3a1926", "#f07ba6"},
}};

const Style& StyleOf(script::NodeType type) {
  switch (type) {
    case script::NodeType::kFileTable:
      return kStyles[0];
    case script::NodeType::kTableTable:
      return kStyles[1];
    case script::NodeType::kTableLookupTable:
      return kStyles[2];
    case script::NodeType::kTableFile:
      return kStyles[3];
    case script::NodeType::kDistinctTable:
      return kStyles[4];
    case script::NodeType::kCustomTable:
      return kStyles[5];
  }
  return kStyles[1];
}

std::string Number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof(buffer), "%.1f", value);
  return buffer;
}

/// Text for XML; characters XML cannot hold are left out.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
          escaped.push_back(c);
        }
    }
  }
  return escaped;
}

std::string StyleSheet() {
  std::string light;
  std::string dark;
  for (const Style& style : kStyles) {
    const auto rule = [&style](std::string_view fill, std::string_view border) {
      return "." + std::string(style.name) + "{fill:" + std::string(fill) +
             ";stroke:" + std::string(border) + "}";
    };
    light += rule(style.light_fill, style.light_border);
    dark += rule(style.dark_fill, style.dark_border);
  }
  return "<style>text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,"
         "sans-serif;fill:#1f2733}.name{font-size:14px;font-weight:600}.detail{font-size:11px;"
         "fill:#5b6675}.edge{fill:none;stroke:#8793a3;stroke-width:1.6}.lookup{stroke-dasharray:5 "
         "4}"
         ".tip{fill:#8793a3}.box{stroke-width:1.4}.manual{stroke-width:3.5}" +
         light + "@media (prefers-color-scheme:dark){text{fill:#e8edf4}.detail{fill:#a9b4c2}" +
         dark + "}</style>\n";
}

/// A curve through the points that leaves and enters horizontally.
std::string Path(const std::vector<Point>& points) {
  std::string path = "M" + Number(points[0].x) + " " + Number(points[0].y);
  for (size_t i = 1; i < points.size(); ++i) {
    const Point& from = points[i - 1];
    const Point& to = points[i];
    if (from.y == to.y) {
      path += "H" + Number(to.x);
      continue;
    }
    const double middle = (from.x + to.x) / 2;
    path += "C" + Number(middle) + " " + Number(from.y) + " " + Number(middle) + " " +
            Number(to.y) + " " + Number(to.x) + " " + Number(to.y);
  }
  return path;
}

void AppendEdge(const Edge& edge, std::string* svg) {
  std::vector<Point> points = edge.points;
  constexpr double kTipLength = 7;
  points.back().x -= kTipLength;
  const Point& tip = edge.points.back();
  *svg += "<path class=\"edge" + std::string(edge.lookup ? " lookup" : "") + "\" d=\"" +
          Path(points) + "\"/>";
  *svg += "<path class=\"tip\" d=\"M" + Number(tip.x) + " " + Number(tip.y) + "l-8 -4v8z\"/>\n";
}

void AppendBox(const Box& box, std::string* svg) {
  const script::Node& node = *box.node;
  constexpr double kTextLeft = 14;
  const auto text = [&](std::string_view css_class, double down, const std::string& line) {
    *svg += "<text class=\"" + std::string(css_class) + "\" x=\"" + Number(box.left + kTextLeft) +
            "\" y=\"" + Number(box.top + down) + "\">" + Escaped(line) + "</text>";
  };
  *svg += "<g data-node=\"" + Escaped(node.name) + "\"><title>" + Escaped(node.name) + " (" +
          std::string(script::NodeTypeName(node.type)) + (node.manual ? ", manual start" : "") +
          ")";
  *svg += "\n" + Escaped(script::DescribeInput(node)) + " \xe2\x86\x92 " +
          Escaped(script::DescribeOutput(node));
  *svg += node.description.empty() ? std::string() : "\n" + Escaped(node.description);
  *svg += "</title><rect class=\"box " + std::string(StyleOf(node.type).name) +
          (node.manual ? " manual" : "") + "\" x=\"" + Number(box.left) + "\" y=\"" +
          Number(box.top) + "\" width=\"" + Number(box.width) + "\" height=\"" +
          Number(box.height) + "\" rx=\"9\"/>";
  text("name", 22, box.lines[0]);
  text("detail", 39, box.lines[1]);
  text("detail", 55, "\xe2\x86\x92 " + box.lines[2]);
  *svg += "</g>\n";
}

}  // namespace

Result<std::string> RenderSvg(const script::Script& script) {
  const Layout layout = LayOut(script);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 " +
                    Number(layout.width) + " " + Number(layout.height) + "\" width=\"" +
                    Number(layout.width) + "\">\n<title>" + Escaped(script.url) + "</title>\n" +
                    StyleSheet();
  for (const Edge& edge : layout.edges) {
    AppendEdge(edge, &svg);
  }
  for (const Box& box : layout.boxes) {
    AppendBox(box, &svg);
  }
  return svg + "</svg>\n";
}

}  // namespace capi::diagram
