#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "capi/base/ascii.h"
#include "capi/expr/evaluator_machine_internal.h"
#include "capi/expr/evaluator_texts_internal.h"
#include "capi/expr/kernels_internal.h"
#include "re2/re2.h"

namespace capi::expr {

namespace {

/// A number of at most so many digits fits int64 without a check.
constexpr int kSafeDigits = 18;

/// Optional sign and up to 18 digits. False: use ParseGoInt (also for wrong text).
bool TryParseInt(std::string_view text, int64_t* value) {
  size_t i = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) i = 1;
  if (i == text.size() || text.size() - i > kSafeDigits) return false;
  int64_t number = 0;
  for (; i < text.size(); ++i) {
    if (!IsDigit(text[i])) return false;
    number = number * 10 + (text[i] - '0');
  }
  *value = negative ? -number : number;
  return true;
}

/// Optional sign, up to 18 digits, optional point among them. False: use BigDecimal::Parse.
bool TryParseDecimal(std::string_view text, int64_t* mantissa, int8_t* scale) {
  size_t i = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) i = 1;
  int64_t number = 0;
  int digits = 0;
  size_t point = text.size();
  for (; i < text.size(); ++i) {
    if (IsDigit(text[i])) {
      if (++digits > kSafeDigits) return false;
      number = number * 10 + (text[i] - '0');
    } else if (text[i] == '.' && point == text.size()) {
      point = i;
    } else {
      return false;
    }
  }
  if (digits == 0) return false;
  *mantissa = negative ? -number : number;
  *scale = point == text.size() ? 0 : static_cast<int8_t>(text.size() - point - 1);
  return true;
}

/// The shortest decimal that reads back as the same float, when it has a small mantissa.
bool TryShortestDecimal(double value, int64_t* mantissa, int8_t* scale) {
  constexpr double kHundred = 100.0;
  constexpr double kFifteenDigits = 1e15;
  const double hundredths = std::nearbyint(value * kHundred);
  // Decimals of up to 15 digits are told apart by floats: none shorter reads back as this one.
  if (std::abs(hundredths) < kFifteenDigits && hundredths / kHundred == value) {
    *mantissa = static_cast<int64_t>(hundredths);
    *scale = kernels::kStoredScale;
    return true;
  }
  if (!std::isfinite(value)) return false;
  std::array<char, 32> text;
  const char* const end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific)
          .ptr;
  int64_t number = 0;
  int decimals = 0;
  bool after_point = false;
  const char* at = text.data();
  const bool negative = *at == '-';
  if (negative) ++at;
  for (; *at != 'e'; ++at) {
    if (*at == '.') {
      after_point = true;
    } else {
      number = number * 10 + (*at - '0');
      decimals += after_point ? 1 : 0;
    }
  }
  ++at;
  if (*at == '+') ++at;
  int exponent = 0;
  std::from_chars(at, end, exponent);
  const int shortest_scale = decimals - exponent;
  if (shortest_scale < 0 || shortest_scale > kSafeDigits) return false;
  *mantissa = negative ? -number : number;
  *scale = static_cast<int8_t>(shortest_scale);
  return true;
}

}  // namespace

bool Machine::RunCall(const Step& step, const Rows& rows, Vector* out) {
  std::vector<Vector> arguments(step.children.size());
  bool constant = true;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!Run(*step.children[i], rows, &arguments[i])) return false;
    constant = constant && arguments[i].constant;
  }
  const int64_t n = constant ? 1 : rows.n;
  bool done = true;
  switch (step.node->function) {
    case Function::kInt:
      done = CallInt(arguments[0], n, out);
      break;
    case Function::kFloat:
      done = CallFloat(arguments[0], n, out);
      break;
    case Function::kDecimal2:
      done = CallDecimal(arguments[0], n, out);
      break;
    case Function::kString:
      if (arguments[0].type == ValueType::kMonth || arguments[0].type == ValueType::kLocation) {
        done = CallRowByRow(step, arguments, n, out);
      } else {
        CallString(arguments[0], n, out);
      }
      break;
    case Function::kLen:
      CallLen(arguments[0], n, out);
      break;
    case Function::kSqrt:
    case Function::kRound: {
      const auto* from = arguments[0].as<double>();
      auto* values = scratch_->Allocate<double>(n);
      if (step.node->function == Function::kSqrt) {
        for (int64_t i = 0; i < n; ++i) values[i] = std::sqrt(from[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) values[i] = std::round(from[i]);
      }
      *out = MakeVector(ValueType::kFloat, Form::kDouble, values);
      break;
    }
    case Function::kReplaceAll:
      done = CallReplaceAll(arguments, n, out);
      break;
    case Function::kMatchString:
      done = CallMatchString(step, arguments, n, out);
      break;
    case Function::kSprintf:
      CallSprintf(step, arguments, n, out);
      break;
    case Function::kTimeParse:
      done = CallTimeParse(step, arguments, n, out);
      break;
    case Function::kTimeFormat:
      CallTimeFormat(step, arguments, n, out);
      break;
    case Function::kTimeDate:
      done = CallTimeDate(arguments, n, out);
      break;
    case Function::kFixedZone:
      done = CallRowByRow(step, arguments, n, out);
      break;
    case Function::kTimeNow:
      *out = FromValues(ValueType::kDatetime, {program_->now()}, scratch_);
      break;
    case Function::kTimeUnix:
    case Function::kTimeUnixMilli: {
      auto* values = scratch_->Allocate<int64_t>(n);
      kernels::DatetimesToUnix(arguments[0], step.node->function == Function::kTimeUnixMilli, n,
                               values);
      *out = MakeVector(ValueType::kInt, Form::kInt64, values);
      break;
    }
    case Function::kDiffMilli: {
      auto* values = scratch_->Allocate<int64_t>(n);
      kernels::DiffMillisVectors(arguments[0], arguments[1], n, values);
      *out = MakeVector(ValueType::kInt, Form::kInt64, values);
      break;
    }
    case Function::kTimeBefore:
    case Function::kTimeAfter: {
      auto* mask = scratch_->Allocate<uint8_t>(n);
      kernels::CompareDatetimes(
          step.node->function == Function::kTimeBefore ? Op::kLess : Op::kGreater, arguments[0],
          arguments[1], n, mask);
      *out = MakeVector(ValueType::kBool, Form::kMask, mask);
      break;
    }
  }
  out->constant = constant;
  return done;
}

bool Machine::CallInt(const Vector& argument, int64_t n, Vector* out) {
  auto* values = scratch_->Allocate<int64_t>(n);
  *out = MakeVector(ValueType::kInt, Form::kInt64, values);
  switch (argument.type) {
    case ValueType::kFloat:
      return kernels::FloatsToInts(argument.as<double>(), n, values);
    case ValueType::kDecimal:
      return kernels::DecimalsToInts(argument, n, values);
    case ValueType::kBool: {
      const auto* mask = argument.as<uint8_t>();
      for (int64_t i = 0; i < n; ++i) values[i] = mask[i];
      return true;
    }
    case ValueType::kString: {
      const Texts texts(argument, n, scratch_);
      for (int64_t i = 0; i < n; ++i) {
        if (TryParseInt(texts[i], &values[i])) continue;
        const Result<int64_t> value = data::ParseGoInt(texts[i]);
        if (!value.ok()) return false;
        values[i] = *value;
      }
      return true;
    }
    default:
      *out = argument;
      return true;
  }
}

bool Machine::CallFloat(const Vector& argument, int64_t n, Vector* out) {
  auto* values = scratch_->Allocate<double>(n);
  *out = MakeVector(ValueType::kFloat, Form::kDouble, values);
  switch (argument.type) {
    case ValueType::kInt: {
      const auto* from = argument.as<int64_t>();
      for (int64_t i = 0; i < n; ++i) values[i] = static_cast<double>(from[i]);
      return true;
    }
    case ValueType::kDecimal:
      kernels::DecimalsToFloats(argument, n, values);
      return true;
    case ValueType::kBool: {
      const auto* mask = argument.as<uint8_t>();
      for (int64_t i = 0; i < n; ++i) values[i] = mask[i];
      return true;
    }
    case ValueType::kString: {
      const Texts texts(argument, n, scratch_);
      for (int64_t i = 0; i < n; ++i) {
        const Result<double> value = data::ParseGoFloat(texts[i]);
        if (!value.ok()) return false;
        values[i] = *value;
      }
      return true;
    }
    default:
      *out = argument;
      return true;
  }
}

bool Machine::CallDecimal(const Vector& argument, int64_t n, Vector* out) {
  if (argument.type == ValueType::kDecimal) {
    *out = argument;
    return true;
  }
  if (argument.type == ValueType::kInt) {
    *out = argument;
    out->type = ValueType::kDecimal;
    out->scale = 0;
    return true;
  }
  auto* mantissas = scratch_->Allocate<int64_t>(n);
  if (argument.type == ValueType::kBool) {
    const auto* mask = argument.as<uint8_t>();
    for (int64_t i = 0; i < n; ++i) mantissas[i] = mask[i];
    *out = MakeVector(ValueType::kDecimal, Form::kInt64, mantissas);
    return true;
  }
  auto* scales = scratch_->Allocate<int8_t>(n);
  const auto build = [&](const auto& source, const auto& try_convert, const auto& convert) {
    bool small = true;
    for (int64_t i = 0; i < n && small; ++i) {
      small = try_convert(source[i], &mantissas[i], &scales[i]);
    }
    if (small) {
      *out = kernels::DecimalsFromParts(mantissas, scales, n, scratch_);
      return true;
    }
    std::vector<data::BigDecimal>& values = scratch_->NewBigDecimals(n);
    for (int64_t i = 0; i < n; ++i) {
      Result<data::BigDecimal> value = convert(source[i]);
      if (!value.ok()) return false;
      values[i] = *std::move(value);
    }
    *out = kernels::CompactBigDecimals(values, scratch_);
    return true;
  };
  if (argument.type == ValueType::kFloat) {
    return build(argument.as<double>(), TryShortestDecimal, data::BigDecimal::FromDouble);
  }
  return build(Texts(argument, n, scratch_), TryParseDecimal, data::BigDecimal::Parse);
}

void Machine::CallString(const Vector& argument, int64_t n, Vector* out) {
  if (argument.type == ValueType::kString) {
    *out = argument;
    return;
  }
  if (argument.type == ValueType::kBool) {
    auto* views = scratch_->Allocate<std::string_view>(n);
    const auto* mask = argument.as<uint8_t>();
    for (int64_t i = 0; i < n; ++i) views[i] = mask[i] != 0 ? "true" : "false";
    *out = MakeVector(ValueType::kString, Form::kViews, views);
    return;
  }
  TextBuilder builder(n, scratch_);
  switch (argument.type) {
    case ValueType::kInt: {
      std::array<char, 24> digits;
      const auto* values = argument.as<int64_t>();
      for (int64_t i = 0; i < n; ++i) {
        const char* const end =
            std::to_chars(digits.data(), digits.data() + digits.size(), values[i]).ptr;
        builder.text()->append(digits.data(), end - digits.data());
        builder.EndRow();
      }
      break;
    }
    case ValueType::kFloat:
      for (int64_t i = 0; i < n; ++i) {
        data::AppendFloatText(argument.as<double>()[i], builder.text());
        builder.EndRow();
      }
      break;
    case ValueType::kDecimal:
      for (int64_t i = 0; i < n; ++i) {
        if (argument.form == Form::kInt64) {
          kernels::AppendDecimalText(argument.as<int64_t>()[i], argument.scale, builder.text());
        } else {
          builder.text()->append(DecimalAt(argument, i).ToString());
        }
        builder.EndRow();
      }
      break;
    default:
      for (int64_t i = 0; i < n; ++i) {
        builder.text()->append(data::DatetimeToString(InstantAt(argument, i)));
        builder.EndRow();
      }
      break;
  }
  *out = builder.Finish();
}

void Machine::CallLen(const Vector& argument, int64_t n, Vector* out) {
  auto* values = scratch_->Allocate<int64_t>(n);
  if (argument.form == Form::kOffsets) {
    const auto* offsets = argument.as<int32_t>();
    for (int64_t i = 0; i < n; ++i) values[i] = offsets[i + 1] - offsets[i];
  } else {
    const auto* views = kernels::ToViews(argument, n, scratch_);
    for (int64_t i = 0; i < n; ++i) values[i] = static_cast<int64_t>(views[i].size());
  }
  *out = MakeVector(ValueType::kInt, Form::kInt64, values);
}

bool Machine::CallReplaceAll(const std::vector<Vector>& arguments, int64_t n, Vector* out) {
  const Texts texts(arguments[0], n, scratch_);
  const Texts from(arguments[1], n, scratch_);
  const Texts to(arguments[2], n, scratch_);
  TextBuilder builder(n, scratch_);
  for (int64_t i = 0; i < n; ++i) {
    AppendReplaced(texts[i], from[i], to[i], builder.text());
    builder.EndRow();
  }
  *out = builder.Finish();
  return true;
}

bool Machine::CallMatchString(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                              Vector* out) {
  const Texts texts(arguments[1], n, scratch_);
  auto* mask = scratch_->Allocate<uint8_t>(n);
  const auto matches = [](std::string_view text, const re2::RE2& pattern) -> uint8_t {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern) ? 1 : 0;
  };
  *out = MakeVector(ValueType::kBool, Form::kMask, mask);
  if (step.pattern != nullptr) {
    for (int64_t i = 0; i < n; ++i) mask[i] = matches(texts[i], *step.pattern);
    return true;
  }
  const Texts patterns(arguments[0], n, scratch_);
  for (int64_t i = 0; i < n; ++i) {
    if (last_pattern_ == nullptr || patterns[i] != last_pattern_text_) {
      auto compiled = CompilePattern(patterns[i]);
      if (!compiled.ok()) return false;
      last_pattern_ = *std::move(compiled);
      last_pattern_text_ = std::string(patterns[i]);
    }
    mask[i] = matches(texts[i], *last_pattern_);
  }
  return true;
}

const data::PrintFormat& Machine::FormatOf(const Step& step, std::string_view text) {
  if (step.format.has_value()) return *step.format;
  if (!last_format_.has_value() || last_format_->text() != text) {
    last_format_ = data::PrintFormat::Compile(text);
  }
  return *last_format_;
}

void Machine::CallSprintf(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                          Vector* out) {
  const Texts formats(arguments[0], n, scratch_);
  TextBuilder builder(n, scratch_);
  const bool one_argument = arguments.size() == 2 && !arguments[1].constant;
  const Vector& first = arguments[1];
  if (one_argument && first.type == ValueType::kInt) {
    for (int64_t i = 0; i < n; ++i) {
      FormatOf(step, formats[i]).PrintInt(first.as<int64_t>()[i], builder.text());
      builder.EndRow();
    }
  } else if (one_argument && first.type == ValueType::kFloat) {
    for (int64_t i = 0; i < n; ++i) {
      FormatOf(step, formats[i]).PrintFloat(first.as<double>()[i], builder.text());
      builder.EndRow();
    }
  } else if (one_argument && first.type == ValueType::kString) {
    const Texts texts(first, n, scratch_);
    for (int64_t i = 0; i < n; ++i) {
      FormatOf(step, formats[i]).PrintString(texts[i], builder.text());
      builder.EndRow();
    }
  } else {
    std::vector<data::Value> values(arguments.size() - 1);
    for (size_t k = 0; k < values.size(); ++k) values[k] = ValueAt(arguments[k + 1], 0);
    for (int64_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < values.size(); ++k) {
        const Vector& argument = arguments[k + 1];
        if (argument.constant) continue;
        if (argument.type == ValueType::kString) {
          std::get<std::string>(values[k]).assign(StringAt(argument, i));
        } else {
          values[k] = ValueAt(argument, i);
        }
      }
      FormatOf(step, formats[i]).Print(values, builder.text());
      builder.EndRow();
    }
  }
  *out = builder.Finish();
}

bool Machine::CallRowByRow(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                           Vector* out) {
  std::vector<data::Value> values(arguments.size());
  std::vector<data::Value> results;
  results.reserve(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < values.size(); ++k) values[k] = ValueAt(arguments[k], i);
    Result<data::Value> result = CallScalar(*step.node, values, program_->now());
    if (!result.ok()) return false;
    results.push_back(*std::move(result));
  }
  *out = FromValues(step.node->type, results, scratch_);
  return true;
}

}  // namespace capi::expr
