#include "capi/script/source_text.h"

#include <algorithm>
#include <utility>

namespace capi::script {

SourceText::SourceText(std::string file, std::string text)
    : file_(std::move(file)), text_(std::move(text)), pieces_{TextPiece{}} {
  FindLines(text_);
}

SourceText::SourceText(std::string file, std::string_view original, std::string parsed,
                       std::vector<TextPiece> pieces, std::vector<std::string> unresolved)
    : file_(std::move(file)),
      text_(std::move(parsed)),
      pieces_(std::move(pieces)),
      unresolved_(std::move(unresolved)) {
  if (pieces_.empty()) {
    pieces_.push_back(TextPiece{});
  }
  FindLines(original);
}

void SourceText::FindLines(std::string_view original) {
  line_begins_.push_back(0);
  for (size_t i = 0; i < original.size(); ++i) {
    if (original[i] == '\n') {
      line_begins_.push_back(static_cast<int64_t>(i) + 1);
    }
  }
}

SourcePlace SourceText::PlaceOf(int64_t offset) const {
  const auto after =
      std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                       [](int64_t value, const TextPiece& piece) { return value < piece.begin; });
  const TextPiece& piece = after == pieces_.begin() ? *after : *std::prev(after);
  return PlaceOfOriginal(piece.original_begin + (piece.verbatim ? offset - piece.begin : 0));
}

SourcePlace SourceText::PlaceOfOriginal(int64_t original_offset) const {
  const auto after = std::upper_bound(line_begins_.begin(), line_begins_.end(), original_offset);
  const auto line = after == line_begins_.begin() ? after : std::prev(after);
  return SourcePlace{file_, line - line_begins_.begin() + 1, original_offset - *line + 1};
}

bool SourceText::MentionsUnresolved(std::string_view value) const {
  return std::any_of(unresolved_.begin(), unresolved_.end(), [value](const std::string& text) {
    return value.find(text) != std::string_view::npos;
  });
}

}  // namespace capi::script
