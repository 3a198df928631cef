#pragma once

// A text file as it is parsed, with the way back to the file as it was written: parameters are
// replaced before parsing, and errors must name the line and column the author sees.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::script {

/// A piece of the parsed text and where it came from.
struct TextPiece {
  int64_t begin = 0;           ///< offset in the parsed text
  int64_t original_begin = 0;  ///< offset in the file
  bool verbatim = true;        ///< false: the piece stands for the placeholder at original_begin
};

/// Immutable after construction.
class SourceText {
 public:
  /// A file parsed as it is.
  SourceText(std::string file, std::string text);
  /// A file whose parsed text differs from what is written. `pieces` cover the parsed text,
  /// ascending. `unresolved` holds placeholders that were left in the parsed text, as they stand
  /// there.
  SourceText(std::string file, std::string_view original, std::string parsed,
             std::vector<TextPiece> pieces, std::vector<std::string> unresolved);

  const std::string& file() const { return file_; }
  /// The text to parse.
  const std::string& text() const { return text_; }
  /// Line and column in the file as written, of a byte of the parsed text.
  SourcePlace PlaceOf(int64_t offset) const;
  /// Line and column of a byte of the file as written.
  SourcePlace PlaceOfOriginal(int64_t original_offset) const;
  /// True if the value holds a placeholder already reported as unresolved.
  bool MentionsUnresolved(std::string_view value) const;

 private:
  void FindLines(std::string_view original);

  std::string file_;
  std::string text_;
  std::vector<TextPiece> pieces_;
  std::vector<std::string> unresolved_;
  std::vector<int64_t> line_begins_;
};

}  // namespace capi::script
