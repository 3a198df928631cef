#include <vector>

#include "capi/expr/function_table_internal.h"

namespace capi::expr {

namespace {

constexpr TypeSet kInt = SetOf(ValueType::kInt);
constexpr TypeSet kString = SetOf(ValueType::kString);
constexpr TypeSet kDatetime = SetOf(ValueType::kDatetime);
constexpr TypeSet kConvertible = kNumberTypes | kString | SetOf(ValueType::kBool);

constexpr std::array kFunctions = {
    Signature{"int", Function::kInt, ValueType::kInt, 1, {kConvertible}},
    Signature{"float", Function::kFloat, ValueType::kFloat, 1, {kConvertible}},
    Signature{"decimal2", Function::kDecimal2, ValueType::kDecimal, 1, {kConvertible}},
    Signature{"string", Function::kString, ValueType::kString, 1, {kAllTypes}},
    Signature{"len", Function::kLen, ValueType::kInt, 1, {kString}},
    Signature{"math.Sqrt", Function::kSqrt, ValueType::kFloat, 1, {kNumberTypes}, false, true},
    Signature{"math.Round", Function::kRound, ValueType::kFloat, 1, {kNumberTypes}, false, true},
    Signature{"strings.ReplaceAll",
              Function::kReplaceAll,
              ValueType::kString,
              3,
              {kString, kString, kString}},
    Signature{"re.MatchString", Function::kMatchString, ValueType::kBool, 2, {kString, kString}},
    Signature{
        "fmt.Sprintf", Function::kSprintf, ValueType::kString, 2, {kString, kFieldTypes}, true},
    Signature{"time.Parse", Function::kTimeParse, ValueType::kDatetime, 2, {kString, kString}},
    Signature{"time.Format", Function::kTimeFormat, ValueType::kString, 2, {kDatetime, kString}},
    Signature{"time.Date",
              Function::kTimeDate,
              ValueType::kDatetime,
              8,
              {kInt, SetOf(ValueType::kMonth), kInt, kInt, kInt, kInt, kInt,
               SetOf(ValueType::kLocation)}},
    Signature{"time.FixedZone", Function::kFixedZone, ValueType::kLocation, 2, {kString, kInt}},
    Signature{"time.Now", Function::kTimeNow, ValueType::kDatetime, 0, {}},
    Signature{"time.Unix", Function::kTimeUnix, ValueType::kInt, 1, {kDatetime}},
    Signature{"time.UnixMilli", Function::kTimeUnixMilli, ValueType::kInt, 1, {kDatetime}},
    Signature{"time.DiffMilli", Function::kDiffMilli, ValueType::kInt, 2, {kDatetime, kDatetime}},
    Signature{"time.Before", Function::kTimeBefore, ValueType::kBool, 2, {kDatetime, kDatetime}},
    Signature{"time.After", Function::kTimeAfter, ValueType::kBool, 2, {kDatetime, kDatetime}},
};

constexpr TypeSet kOrdered = kNumberTypes | kString;

constexpr std::array kAggregates = {
    AggregateSignature{"count", AggregateKind::kCount, false, 0},
    AggregateSignature{"sum", AggregateKind::kSum, false, kNumberTypes},
    AggregateSignature{"avg", AggregateKind::kAvg, false, kNumberTypes},
    AggregateSignature{"min", AggregateKind::kMin, false, kOrdered},
    AggregateSignature{"max", AggregateKind::kMax, false, kOrdered},
    AggregateSignature{"string_agg", AggregateKind::kStringAgg, false, kString},
    AggregateSignature{"count_if", AggregateKind::kCount, true, 0},
    AggregateSignature{"sum_if", AggregateKind::kSum, true, kNumberTypes},
    AggregateSignature{"avg_if", AggregateKind::kAvg, true, kNumberTypes},
    AggregateSignature{"min_if", AggregateKind::kMin, true, kOrdered},
    AggregateSignature{"max_if", AggregateKind::kMax, true, kOrdered},
    AggregateSignature{"string_agg_if", AggregateKind::kStringAgg, true, kString},
};

struct IifName {
  std::string_view name;
  ValueType type;
};
constexpr std::array kIifs = {
    IifName{"int.iif", ValueType::kInt},          IifName{"float.iif", ValueType::kFloat},
    IifName{"decimal2.iif", ValueType::kDecimal}, IifName{"string.iif", ValueType::kString},
    IifName{"time.iif", ValueType::kDatetime},
};

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

template <typename Entries>
auto FindByName(const Entries& entries, std::string_view name) -> decltype(entries.data()) {
  for (const auto& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace

std::string DescribeTypes(TypeSet set) {
  std::vector<std::string_view> names;
  for (ValueType type :
       {ValueType::kInt, ValueType::kFloat, ValueType::kDecimal, ValueType::kString,
        ValueType::kBool, ValueType::kDatetime, ValueType::kMonth, ValueType::kLocation}) {
    if (Contains(set, type)) names.push_back(ValueTypeName(type));
  }
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

const Signature* FindFunction(std::string_view name) { return FindByName(kFunctions, name); }

const AggregateSignature* FindAggregate(std::string_view name) {
  return FindByName(kAggregates, name);
}

std::optional<ValueType> FindIif(std::string_view name) {
  const IifName* found = FindByName(kIifs, name);
  if (found == nullptr) return std::nullopt;
  return found->type;
}

std::string_view MonthName(int64_t month) { return kMonths[static_cast<size_t>(month - 1)]; }

std::unique_ptr<Node> FindConstant(const Variable& variable) {
  if (variable.alias != "time") return nullptr;
  auto node = std::make_unique<Node>();
  node->op = Op::kConstant;
  if (variable.name == "UTC") {
    node->type = ValueType::kLocation;
    node->value = data::Instant();
    return node;
  }
  for (size_t i = 0; i < kMonths.size(); ++i) {
    if (kMonths[i] == variable.name) {
      node->type = ValueType::kMonth;
      node->value = static_cast<int64_t>(i + 1);
      return node;
    }
  }
  return nullptr;
}

std::span<const std::string> FunctionNames() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Signature& entry : kFunctions) names.emplace_back(entry.name);
    for (const IifName& entry : kIifs) names.emplace_back(entry.name);
    for (const AggregateSignature& entry : kAggregates) names.emplace_back(entry.name);
    return names;
  }();
  return kNames;
}

}  // namespace capi::expr
