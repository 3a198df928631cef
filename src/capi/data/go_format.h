#pragma once

// Go-style printing and scanning of values (spec/expressions.md 9, formats.md 3, 4).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"

namespace capi::data {

/// A single value as expressions see it. native_int is the type of len() (prints as Go type "int").
struct NativeInt {
  int64_t value = 0;
};
using Value = std::variant<int64_t, double, std::string, bool, BigDecimal, Instant, NativeInt>;
/// The same without owning anything; what is pointed at outlives the call. Alternatives in the
/// order of Value.
using ValueView = std::variant<int64_t, double, std::string_view, bool, const BigDecimal*,
                               const Instant*, NativeInt>;
ValueView ViewOf(const Value& value);

/// `%v` / string(x): spec/expressions.md 9.1.
std::string ValueToText(const Value& value);

/// What a field of this type holds when nothing else is said: 0, "", false, the zero moment.
Value ZeroValue(FieldType type);
/// Appends the shortest text that reads back equal, in exponent form when the exponent is < -4 or
/// >= 6 (spec/expressions.md 9.1).
void AppendFloatText(double value, std::string* out);
/// strconv-like float parse: decimal, hex, underscores, inf, nan; classes "bad_number_text",
/// "number_out_of_range" (overflow); underflow gives 0.
Result<double> ParseGoFloat(std::string_view text);
/// Optional sign and decimal digits, whole text, 64 bits: "bad_number_text" /
/// "number_out_of_range".
Result<int64_t> ParseGoInt(std::string_view text);
/// 1 t T TRUE true True 0 f F FALSE false False: "bad_number_text" otherwise.
Result<bool> ParseGoBool(std::string_view text);

/// A compiled Sprintf format. Mistakes print Go's markers and never fail. Immutable, thread-safe.
class PrintFormat {
 public:
  static PrintFormat Compile(std::string_view format);
  void Print(const std::vector<Value>& arguments, std::string* out) const;
  void Print(std::span<const ValueView> arguments, std::string* out) const;

  /// Fast paths used by the CSV writer; each appends exactly what Print with that one argument
  /// appends.
  void PrintInt(int64_t value, std::string* out) const;
  void PrintFloat(double value, std::string* out) const;
  void PrintBool(bool value, std::string* out) const;
  void PrintString(std::string_view value, std::string* out) const;
  /// True when the format is exactly "%s" (text is copied as it is) / "%d".
  bool is_plain_string() const { return plain_ == 's'; }
  bool is_plain_int() const { return plain_ == 'd'; }
  const std::string& text() const { return text_; }

 private:
  struct OneVerb;
  void PrintOne(const ValueView& value, std::string* out) const;

  std::string text_;
  char plain_ = 0;  // 's' for "%s", 'd' for "%d", else 0
  // Set for the usual formats: literal text around one verb without '*' and indexes.
  std::shared_ptr<const OneVerb> one_verb_;
};

/// A compiled scan format of formats.md 4 for one number. Immutable, thread-safe.
class ScanFormat {
 public:
  /// The format itself may be wrong ("%i", two verbs): then every scan fails with class
  /// "bad_number_text" and this reason.
  static ScanFormat Compile(std::string_view format);
  /// *left_over tells whether text other than white space remained after the format (a counted
  /// warning of the caller). Errors: "bad_number_text", "number_out_of_range".
  Result<int64_t> ScanInt(std::string_view text, bool* left_over) const;
  Result<double> ScanFloat(std::string_view text, bool* left_over) const;
  /// True for exactly "%d" / "%f": callers may take a fast path for plain digits.
  bool is_plain_int() const { return text_ == "%d"; }
  bool is_plain_float() const { return text_ == "%f"; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace capi::data
