// Scan formats (spec/formats.md 4).

#include <algorithm>
#include <cmath>

#include "capi/data/go_format.h"
#include "capi/data/go_format_internal.h"

namespace capi::data {
namespace {

using format_internal::DecodeRune;
using format_internal::kMaxFormatNumber;
using format_internal::ParseIntInBase;

constexpr int64_t kNoWidth = int64_t{1} << 30;
constexpr std::string_view kDecimalDigits = "0123456789";
constexpr std::string_view kSigns = "+-";

bool IsSpace(char32_t rune) {
  return (rune >= 0x09 && rune <= 0x0D) || rune == ' ' || rune == 0x85 || rune == 0xA0 ||
         rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200A) || rune == 0x2028 || rune == 0x2029 ||
         rune == 0x202F || rune == 0x205F || rune == 0x3000;
}

enum class ScanKind : uint8_t { kInt, kFloat };

/// Runs a format over a text for one number.
class Scanner {
 public:
  Scanner(std::string_view format, std::string_view text) : format_(format), text_(text) {}

  Status Run(ScanKind kind) {
    bool scanned = false;
    while (format_position_ < format_.size()) {
      CAPI_ASSIGN_OR_RETURN(const bool advanced, AdvanceLiterals());
      if (advanced) {
        continue;
      }
      ++format_position_;
      const int64_t width = ReadWidth();
      int size = 0;
      const char32_t verb = DecodeRune(format_, format_position_, &size);
      format_position_ += static_cast<size_t>(size);
      if (verb != 'c') {
        CAPI_RETURN_NOT_OK(SkipSpace());
      }
      if (verb == '%') {
        CAPI_RETURN_NOT_OK(ScanPercent());
        continue;
      }
      if (scanned) {
        return Mismatch("scan format has more than one verb");
      }
      rune_limit_ = width;
      token_.clear();
      CAPI_RETURN_NOT_OK(kind == ScanKind::kInt ? ScanIntVerb(verb) : ScanFloatVerb(verb));
      rune_limit_ = kNoWidth;
      scanned = true;
    }
    if (!scanned) {
      return Mismatch("scan format has no verb");
    }
    return Status::OK();
  }

  int64_t int_value() const { return int_value_; }
  double float_value() const { return float_value_; }

  bool left_over() const {
    for (size_t position = position_; position < text_.size();) {
      int size = 0;
      if (!IsSpace(DecodeRune(text_, position, &size))) {
        return true;
      }
      position += static_cast<size_t>(size);
    }
    return false;
  }

 private:
  Status Mismatch(std::string_view reason) const {
    constexpr size_t kShownChars = 64;
    return UserError("bad_number_text", std::string(reason) + ": format \"" + std::string(format_) +
                                            "\", text \"" +
                                            std::string(text_.substr(0, kShownChars)) + "\"");
  }

  bool AtEnd() const { return position_ >= text_.size() || rune_limit_ <= 0; }

  char32_t Peek(int* size) const { return DecodeRune(text_, position_, size); }

  void Take(int size) {
    position_ += static_cast<size_t>(size);
    if (rune_limit_ != kNoWidth) {
      --rune_limit_;
    }
  }

  bool NextIsIn(std::string_view set) const {
    return !AtEnd() && set.find(text_[position_]) != std::string_view::npos;
  }

  /// Takes one character of the set into the token.
  bool Accept(std::string_view set) {
    if (!NextIsIn(set)) {
      return false;
    }
    token_.push_back(text_[position_]);
    Take(1);
    return true;
  }

  void AcceptAll(std::string_view set) {
    while (Accept(set)) {
    }
  }

  /// White space before a verb; a line end is an error there.
  Status SkipSpace() {
    while (!AtEnd()) {
      int size = 0;
      const char32_t rune = Peek(&size);
      if (rune == '\n') {
        return Mismatch("text has a line end that its scan format has not");
      }
      if (!IsSpace(rune)) {
        break;
      }
      if (rune == '\r' && position_ + 1 < text_.size() && text_[position_ + 1] == '\n') {
        ++position_;
        continue;
      }
      Take(size);
    }
    return Status::OK();
  }

  int64_t ReadWidth() {
    // The format's last byte is never part of a width: it is the verb.
    int64_t width = 0;
    bool found = false;
    while (format_position_ + 1 < format_.size() && format_[format_position_] >= '0' &&
           format_[format_position_] <= '9') {
      width = std::min<int64_t>(width * 10 + (format_[format_position_] - '0'), kMaxFormatNumber);
      found = true;
      ++format_position_;
    }
    return found ? width : kNoWidth;
  }

  Status ScanPercent() {
    if (AtEnd() || text_[position_] != '%') {
      return Mismatch("text lacks the percent sign of its scan format");
    }
    Take(1);
    return Status::OK();
  }

  /// Matches blanks and literals up to the next verb. False if nothing of the format was used.
  Result<bool> AdvanceLiterals() {
    const size_t begin = format_position_;
    while (format_position_ < format_.size()) {
      int size = 0;
      const char32_t expected = DecodeRune(format_, format_position_, &size);
      if (IsSpace(expected)) {
        CAPI_RETURN_NOT_OK(MatchBlanks());
        continue;
      }
      if (expected == '%') {
        if (format_position_ + 1 == format_.size()) {
          return Mismatch("scan format ends with a percent sign");
        }
        if (format_[format_position_ + 1] != '%') {
          break;
        }
        ++format_position_;  // "%%": the second one is matched as a literal
      }
      int text_size = 0;
      if (AtEnd() || Peek(&text_size) != expected) {
        return Mismatch("text does not match its scan format");
      }
      Take(text_size);
      format_position_ += static_cast<size_t>(size);
    }
    return format_position_ > begin;
  }

  /// A run of white space in the format. Line ends must match line ends (or the end of the text);
  /// other blanks match one or more, and none at the end of the text.
  Status MatchBlanks() {
    int line_ends = 0;
    bool trailing = false;
    while (format_position_ < format_.size()) {
      int size = 0;
      const char32_t rune = DecodeRune(format_, format_position_, &size);
      if (!IsSpace(rune)) {
        break;
      }
      line_ends += rune == '\n' ? 1 : 0;
      trailing = rune != '\n';
      format_position_ += static_cast<size_t>(size);
    }
    for (int i = 0; i < line_ends; ++i) {
      SkipBlanks();
      if (!AtEnd()) {
        if (text_[position_] != '\n') {
          return Mismatch("text lacks a line end of its scan format");
        }
        Take(1);
      }
    }
    if (!trailing) {
      return Status::OK();
    }
    if (line_ends == 0 && !AtEnd()) {
      int size = 0;
      const char32_t rune = Peek(&size);
      if (!IsSpace(rune) || rune == '\n') {
        return Mismatch("text lacks a blank of its scan format");
      }
    }
    SkipBlanks();
    return Status::OK();
  }

  /// White space up to a line end.
  void SkipBlanks() {
    while (!AtEnd()) {
      int size = 0;
      const char32_t rune = Peek(&size);
      if (!IsSpace(rune) || rune == '\n') {
        return;
      }
      Take(size);
    }
  }

  Status ScanIntVerb(char32_t verb) {
    int base = 10;
    std::string_view digits = kDecimalDigits;
    switch (verb) {
      case 'd':
      case 'v':
        break;
      case 'c':
        return ScanCharacter();
      case 'b':
        base = 2;
        digits = "01";
        break;
      case 'o':
        base = 8;
        digits = "01234567";
        break;
      case 'x':
      case 'X':
      case 'U':
        base = 16;
        digits = "0123456789aAbBcCdDeEfF";
        break;
      default:
        return Mismatch("scan format has a verb that does not read integers");
    }
    CAPI_RETURN_NOT_OK(SkipSpace());
    bool have_digits = false;
    if (verb == 'U') {
      if (!SkipOne("U") || !SkipOne("+")) {
        return Mismatch("text does not begin with U+");
      }
    } else {
      Accept(kSigns);
      if (verb == 'v') {
        base = 0;
        digits = ReadBasePrefix(&have_digits);
      }
    }
    if (!have_digits && !Accept(digits)) {
      return Mismatch("text has no integer where its scan format wants one");
    }
    AcceptAll(digits);
    CAPI_ASSIGN_OR_RETURN(int_value_, ParseIntInBase(token_, base));
    return Status::OK();
  }

  bool SkipOne(std::string_view set) {
    if (!NextIsIn(set)) {
      return false;
    }
    Take(1);
    return true;
  }

  std::string_view ReadBasePrefix(bool* have_digits) {
    if (!Accept("0")) {
      return "0123456789_";
    }
    *have_digits = true;
    if (Accept("bB")) {
      return "01_";
    }
    if (Accept("oO")) {
      return "01234567_";
    }
    if (Accept("xX")) {
      return "0123456789aAbBcCdDeEfF_";
    }
    return "01234567_";
  }

  Status ScanCharacter() {
    if (AtEnd()) {
      return Mismatch("text ends before its scan format does");
    }
    int size = 0;
    int_value_ = static_cast<int64_t>(Peek(&size));
    Take(size);
    return Status::OK();
  }

  Status ScanFloatVerb(char32_t verb) {
    constexpr std::string_view kFloatVerbs = "beEfFgGv";
    if (verb >= 0x80 || kFloatVerbs.find(static_cast<char>(verb)) == std::string_view::npos) {
      return Mismatch("scan format has a verb that does not read floats");
    }
    CAPI_RETURN_NOT_OK(SkipSpace());
    CollectFloat();
    // Besides Go's syntax a decimal mantissa with a binary exponent is allowed: 1.5p3.
    const size_t binary = token_.find('p');
    if (binary != std::string::npos && token_.find_first_of("xX") == std::string::npos) {
      CAPI_ASSIGN_OR_RETURN(const double mantissa, ParseGoFloat(token_.substr(0, binary)));
      CAPI_ASSIGN_OR_RETURN(const int64_t exponent, ParseGoInt(token_.substr(binary + 1)));
      constexpr int64_t kMaxBinaryExponent = 100000;
      float_value_ = std::ldexp(mantissa, static_cast<int>(std::clamp(exponent, -kMaxBinaryExponent,
                                                                      kMaxBinaryExponent)));
      return Status::OK();
    }
    CAPI_ASSIGN_OR_RETURN(float_value_, ParseGoFloat(token_));
    return Status::OK();
  }

  /// Takes everything that can belong to a float, greedily; whether it is one is decided later.
  void CollectFloat() {
    if (Accept("nN") && Accept("aA") && Accept("nN")) {
      return;
    }
    Accept(kSigns);
    if (Accept("iI") && Accept("nN") && Accept("fF")) {
      return;
    }
    std::string_view digits = "0123456789_";
    std::string_view exponent_marks = "eEpP";
    if (Accept("0") && Accept("xX")) {
      digits = "0123456789aAbBcCdDeEfF_";
      exponent_marks = "pP";
    }
    AcceptAll(digits);
    if (Accept(".")) {
      AcceptAll(digits);
    }
    if (Accept(exponent_marks)) {
      Accept(kSigns);
      AcceptAll("0123456789_");
    }
  }

  const std::string_view format_;
  const std::string_view text_;
  size_t format_position_ = 0;
  size_t position_ = 0;
  int64_t rune_limit_ = kNoWidth;
  std::string token_;
  int64_t int_value_ = 0;
  double float_value_ = 0.0;
};

}  // namespace

ScanFormat ScanFormat::Compile(std::string_view format) {
  ScanFormat result;
  result.text_ = std::string(format);
  return result;
}

Result<int64_t> ScanFormat::ScanInt(std::string_view text, bool* left_over) const {
  Scanner scanner(text_, text);
  CAPI_RETURN_NOT_OK(scanner.Run(ScanKind::kInt));
  *left_over = scanner.left_over();
  return scanner.int_value();
}

Result<double> ScanFormat::ScanFloat(std::string_view text, bool* left_over) const {
  Scanner scanner(text_, text);
  CAPI_RETURN_NOT_OK(scanner.Run(ScanKind::kFloat));
  *left_over = scanner.left_over();
  return scanner.float_value();
}

}  // namespace capi::data
