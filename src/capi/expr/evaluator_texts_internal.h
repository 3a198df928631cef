#pragma once

// Reading and writing the strings of a block, for functions.

#include <cstdint>
#include <string>
#include <string_view>

#include "capi/expr/kernels_internal.h"
#include "capi/expr/vector_internal.h"

namespace capi::expr {

/// Views of a string argument, by row.
struct Texts {
  Texts(const Vector& vector, int64_t n, Scratch* scratch)
      : views(kernels::ToViews(vector, n, scratch)), step(vector.constant ? 0 : 1) {}
  std::string_view operator[](int64_t i) const { return views[i * step]; }

  const std::string_view* views;
  int64_t step;
};

/// Writes strings row after row.
class TextBuilder {
 public:
  TextBuilder(int64_t n, Scratch* scratch)
      : n_(n), scratch_(scratch), text_(&scratch->NewText()), ends_(scratch->Allocate<size_t>(n)) {}
  std::string* text() { return text_; }
  void EndRow() { ends_[size_++] = text_->size(); }
  Vector Finish() const { return kernels::SplitText(*text_, ends_, n_, scratch_); }

 private:
  int64_t n_;
  Scratch* scratch_;
  std::string* text_;
  size_t* ends_;
  int64_t size_ = 0;
};

}  // namespace capi::expr
