// Random trees over random columns of every layout: the column kernels must give what single values
// give.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "capi/data/column.h"
#include "capi/expr/evaluator_machine_internal.h"
#include "capi/expr/evaluator_test_columns.h"
#include "capi/expr/kernels_internal.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

using data::BigDecimal;
using data::Instant;
using data::Value;
using NodePointer = std::unique_ptr<Node>;

constexpr int64_t kNow = 1700000000123;

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  int64_t Below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
  bool OneIn(int64_t n) { return Below(n) == 0; }

  int64_t Int() {
    static constexpr int64_t kSpecial[] = {0,
                                           1,
                                           -1,
                                           2,
                                           10,
                                           100,
                                           1000000007,
                                           std::numeric_limits<int64_t>::max(),
                                           std::numeric_limits<int64_t>::min(),
                                           int64_t{1} << 53,
                                           (int64_t{1} << 53) + 1};
    switch (Below(4)) {
      case 0:
        return wild_ ? kSpecial[Below(std::size(kSpecial))] : kSpecial[Below(7)];
      case 1:
        return wild_ ? static_cast<int64_t>(random_()) : Below(1000000);
      default:
        return Below(200) - (positive_ ? -1 : 100);
    }
  }
  double Float() {
    static const double kSpecial[] = {0.0,
                                      -0.0,
                                      0.5,
                                      2.5,
                                      -0.49999999999999994,
                                      1e300,
                                      5e-324,
                                      9223372036854775808.0,
                                      -9223372036854775808.0,
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN(),
                                      std::numeric_limits<double>::max()};
    switch (Below(4)) {
      case 0:
        return wild_ ? kSpecial[Below(std::size(kSpecial))] : kSpecial[Below(5)];
      case 1:
        return static_cast<double>(Below(100000)) / 100.0;
      case 2:
        return std::uniform_real_distribution<double>(-1000, 1000)(random_);
      default:
        return static_cast<double>(Int());
    }
  }
  std::string Text() {
    static const char* const kTexts[] = {"",
                                         "a",
                                         "abc",
                                         "\"abc\"",
                                         "\"",
                                         "\"\"",
                                         "12",
                                         "-7",
                                         "1.5",
                                         "0.005",
                                         "007",
                                         "abcdefgh",
                                         "abcdefghi",
                                         "abcdefghijklmnop",
                                         "\"abcdefghijklmnop",
                                         "abcdefghijklmnoq\"",
                                         "2024-01-02",
                                         "2024-02-30",
                                         "1e3",
                                         "é",
                                         "日本語",
                                         "x\\\"y",
                                         "99999999999999999999",
                                         "a longer text that does not fit sixteen bytes"};
    return kTexts[Below(std::size(kTexts))];
  }
  BigDecimal Decimal() {
    static const char* const kTexts[] = {"0",
                                         "1",
                                         "-1",
                                         "0.01",
                                         "1.005",
                                         "-1.005",
                                         "0.5",
                                         "123456789.12",
                                         "9223372036854775807",
                                         "99999999999999999999999999999999999999.99",
                                         "0.009999999999999999999",
                                         "3",
                                         "7",
                                         "-0.125",
                                         "100"};
    if (OneIn(3)) {
      const int64_t i = Below(std::size(kTexts));
      return BigDecimal::Parse(kTexts[wild_ || (i < 8 && i > 2) ? i : 5]).ValueOrDie();
    }
    return BigDecimal::FromInt128(Below(1000000) - (positive_ ? -1 : 500000), 2);
  }
  int64_t Moment() { return Below(4) == 0 ? data::kZeroMomentMillis : Below(4000000000000); }
  Instant Time() {
    Instant instant = Instant::FromMillis(Moment());
    if (OneIn(3)) instant.nanos = static_cast<int32_t>(Below(1000000000));
    if (OneIn(4)) {
      instant.has_zone = true;
      instant.offset = static_cast<int32_t>(Below(7200) - 3600);
      if (OneIn(2)) instant.zone_name = "XYZ";
    }
    return instant;
  }
  Value AnyValue(ValueType type) {
    switch (type) {
      case ValueType::kInt:
        return Int();
      case ValueType::kFloat:
        return Float();
      case ValueType::kString:
        return Text();
      case ValueType::kBool:
        return OneIn(2);
      case ValueType::kDecimal:
        return Decimal();
      case ValueType::kDatetime:
        return Time();
      case ValueType::kMonth:
        return Below(12) + 1;
      case ValueType::kLocation: {
        Instant zone;
        zone.has_zone = OneIn(2);
        zone.offset = zone.has_zone ? 3600 : 0;
        zone.zone_name = zone.has_zone ? "CET" : "";
        return zone;
      }
    }
    return int64_t{0};
  }

  NodePointer New(Op op, ValueType type) {
    auto node = std::make_unique<Node>();
    node->op = op;
    node->type = type;
    node->offset = next_offset_++;
    return node;
  }
  NodePointer Constant(ValueType type) {
    NodePointer node = New(Op::kConstant, type);
    node->value = AnyValue(type);
    return node;
  }
  NodePointer Text(const char* text) {
    NodePointer node = New(Op::kConstant, ValueType::kString);
    node->value = std::string(text);
    return node;
  }
  NodePointer Leaf(ValueType type) {
    if (OneIn(4)) return Constant(type);
    NodePointer node = New(Op::kVariable, type);
    static const char* const kNames[] = {"i", "f", "s", "b", "d", "t"};
    node->variable = {"r", kNames[static_cast<size_t>(type)] + std::to_string(Below(2))};
    return node;
  }
  ValueType AnyType() { return static_cast<ValueType>(Below(6)); }
  template <typename... Children>
  NodePointer With(NodePointer node, Children... children) {
    (node->children.push_back(std::move(children)), ...);
    return node;
  }
  template <typename... Children>
  NodePointer Call(Function function, ValueType type, Children... children) {
    NodePointer node = New(Op::kCall, type);
    node->function = function;
    return With(std::move(node), std::move(children)...);
  }
  NodePointer Iif(ValueType type, int depth) {
    return With(New(Op::kIif, type), Tree(ValueType::kBool, depth), Tree(type, depth),
                Tree(type, depth));
  }
  NodePointer Comparison(int depth) {
    static constexpr Op kOps[] = {Op::kEqual,     Op::kNotEqual, Op::kLess,
                                  Op::kLessEqual, Op::kGreater,  Op::kGreaterEqual};
    const ValueType type = AnyType();
    const Op op = kOps[type == ValueType::kBool ? Below(2) : Below(6)];
    return With(New(op, ValueType::kBool), Tree(type, depth), Tree(type, depth));
  }

  NodePointer Tree(ValueType type, int depth) {
    if (depth == 0 || OneIn(6)) return Leaf(type);
    --depth;
    if (OneIn(5)) return Iif(type, depth);
    switch (type) {
      case ValueType::kInt:
        return IntTree(depth);
      case ValueType::kFloat:
        return FloatTree(depth);
      case ValueType::kString:
        return StringTree(depth);
      case ValueType::kBool:
        return BoolTree(depth);
      case ValueType::kDecimal:
        return DecimalTree(depth);
      default:
        return TimeTree(depth);
    }
  }

  /// Without values that make kernels leave their fast form; with divisors that are not zero.
  void set_tame() {
    wild_ = false;
    positive_ = true;
  }

 private:
  Op Arithmetic(int64_t count) {
    static constexpr Op kOps[] = {Op::kAdd, Op::kSubtract, Op::kMultiply, Op::kDivide, Op::kModulo};
    return kOps[Below(count)];
  }
  NodePointer IntTree(int depth) {
    switch (Below(9)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        NodePointer node = New(Arithmetic(5), ValueType::kInt);
        return With(std::move(node), Tree(ValueType::kInt, depth), Tree(ValueType::kInt, depth));
      }
      case 4:
        return With(New(Op::kNegate, ValueType::kInt), Tree(ValueType::kInt, depth));
      case 5: {
        static constexpr ValueType kFrom[] = {ValueType::kFloat, ValueType::kString,
                                              ValueType::kBool, ValueType::kDecimal};
        return Call(Function::kInt, ValueType::kInt, Tree(kFrom[Below(4)], depth));
      }
      case 6:
        return Call(Function::kLen, ValueType::kInt, Tree(ValueType::kString, depth));
      case 7:
        return Call(OneIn(2) ? Function::kTimeUnix : Function::kTimeUnixMilli, ValueType::kInt,
                    Tree(ValueType::kDatetime, depth));
      default:
        return Call(Function::kDiffMilli, ValueType::kInt, Tree(ValueType::kDatetime, depth),
                    Tree(ValueType::kDatetime, depth));
    }
  }
  NodePointer FloatTree(int depth) {
    switch (Below(6)) {
      case 0:
      case 1:
        return With(New(Arithmetic(4), ValueType::kFloat), Tree(ValueType::kFloat, depth),
                    Tree(ValueType::kFloat, depth));
      case 2:
        return With(New(Op::kConvert, ValueType::kFloat),
                    Tree(OneIn(2) ? ValueType::kInt : ValueType::kDecimal, depth));
      case 3:
        return With(New(Op::kNegate, ValueType::kFloat), Tree(ValueType::kFloat, depth));
      case 4: {
        static constexpr ValueType kFrom[] = {ValueType::kInt, ValueType::kString, ValueType::kBool,
                                              ValueType::kDecimal};
        return Call(Function::kFloat, ValueType::kFloat, Tree(kFrom[Below(4)], depth));
      }
      default:
        return Call(OneIn(2) ? Function::kSqrt : Function::kRound, ValueType::kFloat,
                    Tree(ValueType::kFloat, depth));
    }
  }
  NodePointer StringTree(int depth) {
    static const char* const kFormats[] = {"%d", "%v|%v", "%5s", "%.2f", "x"};
    static const char* const kLayouts[] = {"2006-01-02", "2006-01-02 15:04:05.000",
                                           "Jan _2 MST -0700", "x"};
    switch (Below(6)) {
      case 0:
      case 1:
        return With(New(Op::kAdd, ValueType::kString), Tree(ValueType::kString, depth),
                    Tree(ValueType::kString, depth));
      case 2: {
        if (OneIn(8)) {
          return Call(Function::kString, ValueType::kString,
                      Constant(OneIn(2) ? ValueType::kMonth : ValueType::kLocation));
        }
        return Call(Function::kString, ValueType::kString, Tree(AnyType(), depth));
      }
      case 3:
        return Call(Function::kReplaceAll, ValueType::kString, Tree(ValueType::kString, depth),
                    Tree(ValueType::kString, 0), Tree(ValueType::kString, 0));
      case 4: {
        NodePointer format = OneIn(5) ? Tree(ValueType::kString, 0) : Text(kFormats[Below(5)]);
        if (OneIn(2)) {
          return Call(Function::kSprintf, ValueType::kString, std::move(format),
                      Tree(AnyScalarType(), depth));
        }
        return Call(Function::kSprintf, ValueType::kString, std::move(format),
                    Tree(AnyScalarType(), depth), Tree(AnyScalarType(), depth));
      }
      default:
        return Call(Function::kTimeFormat, ValueType::kString, Tree(ValueType::kDatetime, depth),
                    OneIn(5) ? Tree(ValueType::kString, 0) : Text(kLayouts[Below(4)]));
    }
  }
  /// Sprintf prints internals for decimals and datetimes with numeric verbs: left out.
  ValueType AnyScalarType() { return static_cast<ValueType>(Below(4)); }
  NodePointer BoolTree(int depth) {
    static const char* const kPatterns[] = {"^a", "[0-9]+$", "(?i)ABC", "^$", "é|語"};
    switch (Below(7)) {
      case 0:
      case 1:
      case 2:
        return Comparison(depth);
      case 3:
      case 4:
        return With(New(OneIn(2) ? Op::kAnd : Op::kOr, ValueType::kBool),
                    Tree(ValueType::kBool, depth), Tree(ValueType::kBool, depth));
      case 5:
        return With(New(Op::kNot, ValueType::kBool), Tree(ValueType::kBool, depth));
      default:
        if (OneIn(3)) {
          return Call(OneIn(2) ? Function::kTimeBefore : Function::kTimeAfter, ValueType::kBool,
                      Tree(ValueType::kDatetime, depth), Tree(ValueType::kDatetime, depth));
        }
        return Call(Function::kMatchString, ValueType::kBool,
                    OneIn(5) ? Tree(ValueType::kString, 0) : Text(kPatterns[Below(5)]),
                    Tree(ValueType::kString, depth));
    }
  }
  NodePointer DecimalTree(int depth) {
    switch (Below(7)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        NodePointer node = New(Arithmetic(4), ValueType::kDecimal);
        node->round_to_two = OneIn(2);
        return With(std::move(node), Tree(ValueType::kDecimal, depth),
                    Tree(ValueType::kDecimal, depth));
      }
      case 4:
        return With(New(Op::kConvert, ValueType::kDecimal), Tree(ValueType::kInt, depth));
      case 5:
        return With(New(Op::kNegate, ValueType::kDecimal), Tree(ValueType::kDecimal, depth));
      default: {
        static constexpr ValueType kFrom[] = {ValueType::kInt, ValueType::kString, ValueType::kBool,
                                              ValueType::kFloat};
        return Call(Function::kDecimal2, ValueType::kDecimal, Tree(kFrom[Below(4)], depth));
      }
    }
  }
  NodePointer TimeTree(int depth) {
    static const char* const kLayouts[] = {"2006-01-02", "2006-01-02 15:04:05 MST", "15:04"};
    switch (Below(4)) {
      case 0:
        return Now();
      case 1:
        return Call(Function::kTimeParse, ValueType::kDatetime, Text(kLayouts[Below(3)]),
                    Tree(ValueType::kString, depth));
      default: {
        NodePointer year = Constant(ValueType::kInt);
        year->value = 1900 + Below(300);
        NodePointer month = Constant(ValueType::kMonth);
        NodePointer location = OneIn(4) ? Call(Function::kFixedZone, ValueType::kLocation,
                                               Tree(ValueType::kString, 0), SmallInt())
                                        : Constant(ValueType::kLocation);
        return Call(Function::kTimeDate, ValueType::kDatetime, std::move(year), std::move(month),
                    SmallInt(), SmallInt(), SmallInt(), SmallInt(), SmallInt(),
                    std::move(location));
      }
    }
  }
  NodePointer Now() {
    NodePointer node = New(Op::kCall, ValueType::kDatetime);
    node->function = Function::kTimeNow;
    return node;
  }
  NodePointer SmallInt() {
    if (OneIn(3)) return Leaf(ValueType::kInt);
    NodePointer node = Constant(ValueType::kInt);
    node->value = Below(40) - 5;
    return node;
  }

  std::mt19937_64 random_;
  int64_t next_offset_ = 0;
  bool wild_ = true;
  bool positive_ = false;
};

std::vector<test::NamedColumn> RandomColumns(Generator* generator, int64_t n, bool tame) {
  std::vector<test::NamedColumn> columns;
  const auto fill = [n](auto make) {
    std::vector<decltype(make())> values;
    for (int64_t i = 0; i < n; ++i) values.push_back(make());
    return values;
  };
  for (int k = 0; k < 2; ++k) {
    const std::string digit = std::to_string(k);
    columns.push_back({"i" + digit, test::Ints(fill([&] { return generator->Int(); }))});
    columns.push_back({"f" + digit, test::Floats(fill([&] { return generator->Float(); }))});
    columns.push_back({"b" + digit, test::Bools(fill([&] { return generator->OneIn(2); }))});
  }
  columns.push_back({"s0", test::Strings(fill([&] { return generator->Text(); }))});
  std::vector<std::string> dictionary;
  for (int k = 0; k < 7; ++k) dictionary.push_back(generator->Text());
  columns.push_back({"s1", test::Dictionary(dictionary, fill([&] {
                                              return static_cast<int32_t>(generator->Below(7));
                                            }))});
  const int64_t low = tame ? -1 : 500000;
  columns.push_back({"d0", test::Decimals(fill([&] { return generator->Below(1000000) - low; }))});
  columns.push_back({"d1", test::WideDecimals(fill([&]() -> __int128 {
                       const __int128 value = generator->Below(1000000) - low;
                       if (tame || !generator->OneIn(3)) return value;
                       return value * 1000000000000000 * 1000000000000000;
                     }))});
  columns.push_back({"t0", test::Millis(fill([&] { return generator->Moment(); }))});
  columns.push_back({"t1", test::WideDatetimes(fill([&] { return generator->Time().ToWide(); }))});
  return columns;
}

bool Same(const Value& left, const Value& right) {
  if (left.index() != right.index()) return false;
  if (const auto* number = std::get_if<double>(&left)) {
    const double other = std::get<double>(right);
    return (std::isnan(*number) && std::isnan(other)) ||
           std::memcmp(number, &other, sizeof(other)) == 0;
  }
  if (const auto* decimal = std::get_if<BigDecimal>(&left)) {
    return decimal->Compare(std::get<BigDecimal>(right)) == 0;
  }
  if (const auto* instant = std::get_if<Instant>(&left)) {
    const auto& other = std::get<Instant>(right);
    return instant->Compare(other) == 0 && instant->offset == other.offset &&
           instant->has_zone == other.has_zone && instant->zone_name == other.zone_name;
  }
  return data::ValueToText(left) == data::ValueToText(right);
}

struct Totals {
  int64_t values = 0;
  int64_t errors = 0;
  int64_t row_blocks_without_error = 0;
};

void CheckTree(uint64_t seed, bool tame, Totals* totals) {
  SCOPED_TRACE("seed " + std::to_string(seed) + (tame ? " tame" : " wild"));
  Generator generator(seed);
  if (tame) generator.set_tame();
  const int64_t n = 1 + generator.Below(70);
  const int64_t begin = generator.Below(n);
  const std::vector<test::NamedColumn> columns = RandomColumns(&generator, n, tame);
  std::vector<test::Column> sliced = test::ArraysOf(columns);
  for (test::Column& column : sliced) column = column->Slice(begin / 2);
  const int64_t first = begin - begin / 2;
  const int64_t count = n - begin;
  const NodePointer root = generator.Tree(generator.AnyType(), tame ? 3 : 4);
  const std::vector<Variable> variables = test::VariablesOf(columns);

  const Instant now = Instant::FromMillis(kNow);
  auto program = Program::Make(nullptr, {root.get()}, variables, now);
  ASSERT_TRUE(program.ok()) << program.status();
  Machine machine(*program);
  ASSERT_TRUE(machine.SetColumns(sliced, n - begin / 2).ok());
  std::vector<Vector> results;
  const BlockResult block = machine.RunBlock(first, count, false, &results);

  int64_t row = first;
  const VariableReader reader = [&](const Variable& variable) -> Result<Value> {
    const auto at = std::find(variables.begin(), variables.end(), variable) - variables.begin();
    return data::CellValue(*sliced[at], row);
  };
  for (; row < first + count; ++row) {
    const Result<Value> expected = EvaluateScalar(*root, reader, now);
    if (!expected.ok()) {
      ++totals->errors;
      EXPECT_EQ(block.error_row, row);
      EXPECT_EQ(block.error.message(), expected.status().message());
      EXPECT_EQ(InfoOf(block.error).expression_offset, InfoOf(expected.status()).expression_offset);
      return;
    }
    if (!block.error.ok()) {
      ASSERT_NE(block.error_row, row) << block.error;
      continue;  // a later row fails
    }
    ++totals->values;
    const Value found = ValueAt(results[0], row - first);
    ASSERT_TRUE(Same(found, *expected)) << "row " << row << ": found " << data::ValueToText(found)
                                        << ", expected " << data::ValueToText(*expected);
  }
  ASSERT_TRUE(block.error.ok()) << block.error;
  totals->row_blocks_without_error += machine.num_row_blocks();
}

TEST(EvaluatorProperty, KernelsAgreeWithSingleValues) {
  Totals totals;
  for (uint64_t seed = 1; seed <= 6000 && !HasFailure(); ++seed) CheckTree(seed, false, &totals);
  EXPECT_GT(totals.values, 20000);
  EXPECT_GT(totals.errors, 100);
  EXPECT_EQ(totals.row_blocks_without_error, 0);
}

TEST(EvaluatorProperty, KernelsAgreeOnOrdinaryValues) {
  Totals totals;
  for (uint64_t seed = 1; seed <= 4000 && !HasFailure(); ++seed) CheckTree(seed, true, &totals);
  EXPECT_GT(totals.values, 20000);
  EXPECT_EQ(totals.row_blocks_without_error, 0);
}

/// Kernels with and without wider instructions agree with single values, so with each other.
TEST(EvaluatorBaseline, SameWithoutWideSimd) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = "CAPI_SIMD=baseline '" + self +
                              "' --gtest_brief=1 --gtest_filter='EvaluatorProperty.*:"
                              "NumberKernels.*:DecimalKernels.*:Aggregator.*' > /dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace capi::expr
