#pragma once

// Places the nodes of a script: layers from left to right, few crossings, boxes near what they are
// connected to. The same script always gives the same picture.

#include <cstddef>
#include <string>
#include <vector>

#include "capi/script/model.h"

namespace capi::diagram {

struct Point {
  double x = 0;
  double y = 0;
};

struct Box {
  const script::Node* node = nullptr;
  std::vector<std::string> lines;  ///< name, what it does, what it reads or writes
  size_t layer = 0;
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
};

struct Edge {
  size_t from = 0;  ///< index of a box
  size_t to = 0;
  bool lookup = false;
  /// From the right side of `from` to the left side of `to`.
  std::vector<Point> points;
};

struct Layout {
  std::vector<Box> boxes;  ///< topological order
  std::vector<Edge> edges;
  double width = 0;
  double height = 0;
};

Layout LayOut(const script::Script& script);

/// Width of a text on screen, estimated.
double TextWidth(const std::string& text, double font_size);

}  // namespace capi::diagram
