// Time layouts: cutting them into pieces (spec/expressions.md 10).

#include <algorithm>
#include <utility>

#include "capi/data/datetime.h"
#include "capi/data/datetime_layout_internal.h"

namespace capi::data {

using layout_internal::CompilePieces;
using layout_internal::FixedLayout;
using layout_internal::IsDigitAt;
using layout_internal::MakeFixedLayout;
using layout_internal::OffsetShape;
using layout_internal::Piece;
using layout_internal::PieceKind;

namespace {

bool IsLowerAt(std::string_view text, size_t index) {
  return index < text.size() && text[index] >= 'a' && text[index] <= 'z';
}

/// Recognises the piece at the begin of `rest`. Returns its length, 0 for none.
size_t MatchFraction(std::string_view rest, Piece* piece) {
  if (rest.size() < 2 || (rest[1] != '0' && rest[1] != '9')) {
    return 0;
  }
  size_t end = 1;
  while (end < rest.size() && rest[end] == rest[1]) {
    ++end;
  }
  if (IsDigitAt(rest, end)) {
    return 0;  // a number in the text, such as ".0001"
  }
  constexpr size_t kMaxCounted = 255;
  piece->kind = rest[1] == '0' ? PieceKind::kFixedFraction : PieceKind::kTrimmedFraction;
  piece->fraction_digits = static_cast<uint8_t>(std::min(end - 1, kMaxCounted));
  piece->fraction_separator = rest[0];
  return end;
}

size_t MatchOffset(std::string_view rest, Piece* piece) {
  struct Shape {
    std::string_view text;
    OffsetShape offset;
  };
  static constexpr Shape kShapes[] = {{"070000", {false, false, true, true}},
                                      {"07:00:00", {false, true, true, true}},
                                      {"0700", {false, false, true, false}},
                                      {"07:00", {false, true, true, false}},
                                      {"07", {false, false, false, false}}};
  for (const Shape& shape : kShapes) {
    if (rest.substr(1).starts_with(shape.text)) {
      piece->kind = PieceKind::kOffset;
      piece->offset = shape.offset;
      piece->offset.zulu = rest[0] == 'Z';
      return shape.text.size() + 1;
    }
  }
  return 0;
}

size_t MatchName(std::string_view rest, Piece* piece) {
  struct Name {
    std::string_view text;
    PieceKind kind;
    bool not_before_lower;  // "Janet" is no month
  };
  static constexpr Name kNames[] = {
      {"January", PieceKind::kLongMonth, false},  {"Jan", PieceKind::kShortMonth, true},
      {"Monday", PieceKind::kLongWeekday, false}, {"Mon", PieceKind::kShortWeekday, true},
      {"MST", PieceKind::kZoneName, false},       {"PM", PieceKind::kUpperHalf, false},
      {"pm", PieceKind::kLowerHalf, false}};
  for (const Name& name : kNames) {
    if (rest.starts_with(name.text) &&
        !(name.not_before_lower && IsLowerAt(rest, name.text.size()))) {
      piece->kind = name.kind;
      return name.text.size();
    }
  }
  return 0;
}

size_t MatchNumber(std::string_view rest, Piece* piece) {
  struct Number {
    std::string_view text;
    PieceKind kind;
  };
  static constexpr Number kNumbers[] = {{"2006", PieceKind::kLongYear},
                                        {"002", PieceKind::kZeroYearDay},
                                        {"01", PieceKind::kZeroMonth},
                                        {"02", PieceKind::kZeroDay},
                                        {"03", PieceKind::kZeroHour12},
                                        {"04", PieceKind::kZeroMinute},
                                        {"05", PieceKind::kZeroSecond},
                                        {"06", PieceKind::kYear},
                                        {"15", PieceKind::kHour},
                                        {"1", PieceKind::kNumberMonth},
                                        {"2", PieceKind::kDay},
                                        {"3", PieceKind::kHour12},
                                        {"4", PieceKind::kMinute},
                                        {"5", PieceKind::kSecond},
                                        {"__2", PieceKind::kBlankYearDay},
                                        {"_2", PieceKind::kBlankDay}};
  for (const Number& number : kNumbers) {
    if (rest.starts_with(number.text)) {
      piece->kind = number.kind;
      return number.text.size();
    }
  }
  return 0;
}

size_t MatchPiece(std::string_view rest, Piece* piece) {
  switch (rest[0]) {
    case '.':
    case ',':
      return MatchFraction(rest, piece);
    case '-':
    case 'Z':
      return MatchOffset(rest, piece);
    case 'J':
    case 'M':
    case 'P':
    case 'p':
      return MatchName(rest, piece);
    case '_':
      if (rest.starts_with("_2006")) {
        return 0;  // a literal '_' before the year
      }
      return MatchNumber(rest, piece);
    default:
      return MatchNumber(rest, piece);
  }
}

}  // namespace

std::vector<Piece> layout_internal::CompilePieces(std::string_view layout) {
  std::vector<Piece> pieces;
  Piece current;
  size_t position = 0;
  while (position < layout.size()) {
    const size_t size = MatchPiece(layout.substr(position), &current);
    if (size == 0) {
      current.literal.push_back(layout[position]);
      ++position;
      continue;
    }
    pieces.push_back(std::move(current));
    current = Piece();
    position += size;
  }
  pieces.push_back(std::move(current));
  return pieces;
}

TimeLayout::TimeLayout() {
  static const auto* const kEmpty = new std::shared_ptr<const Program>(
      std::make_shared<const Program>(Program{CompilePieces(""), FixedLayout()}));
  program_ = *kEmpty;
}

TimeLayout TimeLayout::Compile(std::string_view layout) {
  TimeLayout result;
  result.text_ = std::string(layout);
  auto program = std::make_shared<Program>();
  program->pieces = CompilePieces(layout);
  program->fixed = MakeFixedLayout(program->pieces);
  result.program_ = std::move(program);
  return result;
}

}  // namespace capi::data
