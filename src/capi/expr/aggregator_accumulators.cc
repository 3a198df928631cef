#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "capi/expr/aggregator_internal.h"
#include "capi/expr/kernels_internal.h"

namespace capi::expr {

namespace {

using data::BigDecimal;

/// Calls function(group, begin, end) for each run of rows of one group.
template <typename F>
inline void ForEachRun(const int32_t* groups, int64_t n, F function) {
  int64_t begin = 0;
  while (begin < n) {
    const int32_t group = groups[begin];
    int64_t end = begin + 1;
    if (groups[n - 1] == group) {
      end = n;
    } else {
      while (groups[end] == group) ++end;
    }
    function(group, begin, end);
    begin = end;
  }
}

int64_t CountAccepted(const GroupedBlock& block, int64_t begin, int64_t end) {
  return block.accepted == nullptr ? end - begin
                                   : kernels::CountTrue(block.accepted + begin, end - begin);
}

void AddCounts(const GroupedBlock& block, std::vector<int64_t>* counts) {
  ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
    (*counts)[group] += CountAccepted(block, begin, end);
  });
}

class CountAccumulator final : public Accumulator {
 public:
  void Begin(int64_t num_groups) override { counts_.assign(num_groups, 0); }
  Status Update(const GroupedBlock& block, int64_t*) override {
    AddCounts(block, &counts_);
    return Status::OK();
  }
  Vector Results(Scratch*) const override {
    return MakeVector(ValueType::kInt, Form::kInt64, counts_.data());
  }

 private:
  std::vector<int64_t> counts_;
};

class IntSum final : public Accumulator {
 public:
  void Begin(int64_t num_groups) override { sums_.assign(num_groups, 0); }
  Status Update(const GroupedBlock& block, int64_t*) override {
    const auto* values = block.values.as<int64_t>();
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      int64_t sum = 0;
      if (block.accepted == nullptr) {
        sum = kernels::SumInts(values + begin, end - begin);
      } else {
        for (int64_t i = begin; i < end; ++i) {
          sum = WrapAdd(sum, values[i] & -static_cast<int64_t>(block.accepted[i]));
        }
      }
      sums_[group] = WrapAdd(sums_[group], sum);
    });
    return Status::OK();
  }
  Vector Results(Scratch*) const override {
    return MakeVector(ValueType::kInt, Form::kInt64, sums_.data());
  }

 private:
  std::vector<int64_t> sums_;
};

/// The exact sum divided so that the remainder is never negative.
class IntAverage final : public Accumulator {
 public:
  void Begin(int64_t num_groups) override {
    sums_.assign(num_groups, 0);
    counts_.assign(num_groups, 0);
  }
  Status Update(const GroupedBlock& block, int64_t*) override {
    const auto* values = block.values.as<int64_t>();
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      int128 sum = 0;
      for (int64_t i = begin; i < end; ++i) {
        sum += block.accepted == nullptr || block.accepted[i] != 0 ? values[i] : 0;
      }
      sums_[group] += sum;
      counts_[group] += CountAccepted(block, begin, end);
    });
    return Status::OK();
  }
  Vector Results(Scratch* scratch) const override {
    auto* averages = scratch->Allocate<int64_t>(static_cast<int64_t>(sums_.size()));
    for (size_t g = 0; g < sums_.size(); ++g) {
      const int64_t count = std::max<int64_t>(counts_[g], 1);
      const int128 quotient = sums_[g] / count;
      averages[g] = static_cast<int64_t>(quotient) - (sums_[g] % count < 0 ? 1 : 0);
    }
    return MakeVector(ValueType::kInt, Form::kInt64, averages);
  }

 private:
  std::vector<int128> sums_;
  std::vector<int64_t> counts_;
};

/// Sums in the order of the rows.
class FloatSum final : public Accumulator {
 public:
  explicit FloatSum(bool average) : average_(average) {}
  void Begin(int64_t num_groups) override {
    sums_.assign(num_groups, 0.0);
    if (average_) counts_.assign(num_groups, 0);
  }
  Status Update(const GroupedBlock& block, int64_t*) override {
    const auto* values = block.values.as<double>();
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      double sum = sums_[group];
      if (block.accepted == nullptr) {
        for (int64_t i = begin; i < end; ++i) sum += values[i];
      } else {
        for (int64_t i = begin; i < end; ++i) {
          if (block.accepted[i] != 0) sum += values[i];
        }
      }
      sums_[group] = sum;
      if (average_) counts_[group] += CountAccepted(block, begin, end);
    });
    return Status::OK();
  }
  Vector Results(Scratch* scratch) const override {
    if (!average_) return MakeVector(ValueType::kFloat, Form::kDouble, sums_.data());
    auto* averages = scratch->Allocate<double>(static_cast<int64_t>(sums_.size()));
    for (size_t g = 0; g < sums_.size(); ++g) {
      averages[g] = counts_[g] == 0 ? 0.0 : sums_[g] / static_cast<double>(counts_[g]);
    }
    return MakeVector(ValueType::kFloat, Form::kDouble, averages);
  }

 private:
  bool average_;
  std::vector<double> sums_;
  std::vector<int64_t> counts_;
};

template <typename T>
inline bool Wins(bool is_min, T value, T current) {
  return is_min ? value < current : value > current;
}

/// min and max of int and float. A group that was fed without a number keeps `start`.
template <typename T>
class NumberExtreme final : public Accumulator {
 public:
  NumberExtreme(bool is_min, T start) : is_min_(is_min), start_(start) {}
  void Begin(int64_t num_groups) override {
    values_.assign(num_groups, start_);
    states_.assign(num_groups, State::kUnfed);
  }
  Status Update(const GroupedBlock& block, int64_t*) override {
    is_min_ ? UpdateRuns<true>(block) : UpdateRuns<false>(block);
    return Status::OK();
  }
  Vector Results(Scratch* scratch) const override {
    auto* results = scratch->Allocate<T>(static_cast<int64_t>(values_.size()));
    for (size_t g = 0; g < values_.size(); ++g) {
      results[g] = states_[g] == State::kUnfed ? T{0} : values_[g];
    }
    return std::is_same_v<T, double> ? MakeVector(ValueType::kFloat, Form::kDouble, results)
                                     : MakeVector(ValueType::kInt, Form::kInt64, results);
  }

 private:
  enum class State : uint8_t { kUnfed, kNothingYet, kValue };

  template <bool kIsMin>
  void UpdateRuns(const GroupedBlock& block) {
    const T* values = block.values.as<T>();
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      State state = states_[group] == State::kUnfed ? State::kNothingYet : states_[group];
      T best = values_[group];
      if constexpr (std::is_same_v<T, int64_t>) {
        if (block.accepted == nullptr) {
          T least;
          T greatest;
          kernels::MinMaxInts(values + begin, end - begin, &least, &greatest);
          const T value = kIsMin ? least : greatest;
          values_[group] = state == State::kValue && !Wins(kIsMin, value, best) ? best : value;
          states_[group] = State::kValue;
          return;
        }
      }
      for (int64_t i = begin; i < end; ++i) {
        const T value = values[i];
        // A NaN is no number: it never wins.
        if ((block.accepted != nullptr && block.accepted[i] == 0) || value != value) continue;
        if (state != State::kValue || Wins(kIsMin, value, best)) {
          best = value;
          state = State::kValue;
        }
      }
      values_[group] = best;
      states_[group] = state;
    });
  }

  bool is_min_;
  T start_;
  std::vector<T> values_;
  std::vector<State> states_;
};

/// Exact decimals per group: 128 bits at one scale, or big integers once that is too small.
class DecimalStates {
 public:
  void Begin(int64_t num_groups) {
    scale_ = kernels::kStoredScale;
    wide_.assign(num_groups, 0);
    big_.clear();
    is_big_ = false;
  }
  bool is_big() const { return is_big_; }
  size_t size() const { return is_big_ ? big_.size() : wide_.size(); }
  int128& wide(int64_t group) { return wide_[group]; }
  BigDecimal& big(int64_t group) { return big_[group]; }

  /// Brings states and values to one scale, so that a value counts *factor times its unscaled
  /// number. False: only big integers can do it (then the states are big).
  bool Align(const Vector& values, int64_t* factor) {
    if (is_big_) return false;
    if (values.form == Form::kBigDecimal || values.scale - scale_ > kMaxShift ||
        scale_ - values.scale > kMaxShift) {
      GoBig();
      return false;
    }
    if (values.scale > scale_) {
      const int128 growth = kernels::PowerOfTen(values.scale - scale_);
      std::vector<int128> grown(wide_.size());
      bool overflow = false;
      for (size_t g = 0; g < wide_.size(); ++g) {
        overflow |= __builtin_mul_overflow(wide_[g], growth, &grown[g]);
      }
      if (overflow) {
        GoBig();
        return false;
      }
      wide_ = std::move(grown);
      scale_ = values.scale;
    }
    *factor = kernels::PowerOfTen(scale_ - values.scale);
    return true;
  }

  void GoBig() {
    big_.resize(wide_.size());
    for (size_t g = 0; g < wide_.size(); ++g) big_[g] = BigDecimal::FromInt128(wide_[g], scale_);
    wide_.clear();
    is_big_ = true;
  }

  Vector AsVector() const {
    if (is_big_) return MakeVector(ValueType::kDecimal, Form::kBigDecimal, big_.data());
    Vector vector = MakeVector(ValueType::kDecimal, Form::kInt128, wide_.data());
    vector.scale = scale_;
    return vector;
  }

 private:
  static constexpr int kMaxShift = 18;

  int scale_ = kernels::kStoredScale;
  std::vector<int128> wide_;
  std::vector<BigDecimal> big_;
  bool is_big_ = false;
};

bool IsAccepted(const GroupedBlock& block, int64_t i) {
  return block.accepted == nullptr || block.accepted[i] != 0;
}

/// The unscaled value of a row times factor; false if it leaves 128 bits.
bool ScaledAt(const Vector& values, int64_t i, int64_t factor, int128* out) {
  const int128 unscaled =
      values.form == Form::kInt64 ? int128{values.as<int64_t>()[i]} : values.as<int128>()[i];
  return !__builtin_mul_overflow(unscaled, int128{factor}, out);
}

class DecimalSum final : public Accumulator {
 public:
  explicit DecimalSum(bool average) : average_(average) {}
  void Begin(int64_t num_groups) override {
    sums_.Begin(num_groups);
    if (average_) counts_.assign(num_groups, 0);
  }
  Status Update(const GroupedBlock& block, int64_t* failed) override {
    if (average_) AddCounts(block, &counts_);
    int64_t factor = 1;
    int64_t done = 0;
    if (sums_.Align(block.values, &factor)) {
      done = block.values.form == Form::kInt64 && factor == 1 ? AddNarrow(block)
                                                              : AddWide(block, factor);
    }
    // What 128 bits cannot hold goes on with big integers.
    for (int64_t i = done; i < block.n; ++i) {
      if (!IsAccepted(block, i)) continue;
      BigDecimal& sum = sums_.big(block.groups[i]);
      Result<BigDecimal> next = sum.Add(DecimalAt(block.values, i));
      if (!next.ok()) {
        *failed = i;
        return next.status();
      }
      sum = *std::move(next);
    }
    return Status::OK();
  }
  Vector Results(Scratch* scratch) const override {
    const Vector sums = sums_.AsVector();
    if (!average_) return sums;
    const auto n = static_cast<int64_t>(sums_.size());
    auto* divisors = scratch->Allocate<int64_t>(n);
    for (int64_t g = 0; g < n; ++g) divisors[g] = std::max<int64_t>(counts_[g], 1);
    Vector averages;
    // Fails only for a zero divisor or beyond the digits a sum can have.
    kernels::ComputeDecimals(Op::kDivide, true, sums,
                             MakeVector(ValueType::kDecimal, Form::kInt64, divisors), n, scratch,
                             &averages);
    return averages;
  }

 private:
  /// Rows added before 128 bits were left (then the sums are big).
  int64_t AddNarrow(const GroupedBlock& block) {
    const auto* values = block.values.as<int64_t>();
    int64_t done = block.n;
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      if (done < block.n) return;
      int128 sum = 0;
      if (block.accepted == nullptr) {
        for (int64_t i = begin; i < end; ++i) sum += values[i];
      } else {
        for (int64_t i = begin; i < end; ++i) {
          sum += values[i] & -static_cast<int64_t>(block.accepted[i]);
        }
      }
      int128 next;
      if (__builtin_add_overflow(sums_.wide(group), sum, &next)) {
        sums_.GoBig();
        done = begin;
        return;
      }
      sums_.wide(group) = next;
    });
    return done;
  }
  int64_t AddWide(const GroupedBlock& block, int64_t factor) {
    for (int64_t i = 0; i < block.n; ++i) {
      if (!IsAccepted(block, i)) continue;
      int128 value;
      int128& sum = sums_.wide(block.groups[i]);
      int128 next;
      if (!ScaledAt(block.values, i, factor, &value) || __builtin_add_overflow(sum, value, &next)) {
        sums_.GoBig();
        return i;
      }
      sum = next;
    }
    return block.n;
  }

  bool average_;
  DecimalStates sums_;
  std::vector<int64_t> counts_;
};

/// A group without a value keeps zero.
class DecimalExtreme final : public Accumulator {
 public:
  explicit DecimalExtreme(bool is_min) : is_min_(is_min) {}
  void Begin(int64_t num_groups) override {
    best_.Begin(num_groups);
    has_value_.assign(num_groups, 0);
  }
  Status Update(const GroupedBlock& block, int64_t*) override {
    int64_t factor = 1;
    int64_t done = 0;
    if (best_.Align(block.values, &factor)) {
      if (block.values.form == Form::kInt64 && factor == 1 && block.accepted == nullptr) {
        UpdateNarrow(block);
        return Status::OK();
      }
      done = UpdateWide(block, factor);
    }
    for (int64_t i = done; i < block.n; ++i) {
      if (!IsAccepted(block, i)) continue;
      const int32_t group = block.groups[i];
      BigDecimal value = DecimalAt(block.values, i);
      const int order = value.Compare(best_.big(group));
      if (has_value_[group] == 0 || (is_min_ ? order < 0 : order > 0)) {
        best_.big(group) = std::move(value);
        has_value_[group] = 1;
      }
    }
    return Status::OK();
  }
  Vector Results(Scratch*) const override { return best_.AsVector(); }

 private:
  void Offer(int32_t group, int128 value) {
    int128& best = best_.wide(group);
    if (has_value_[group] == 0 || Wins(is_min_, value, best)) {
      best = value;
      has_value_[group] = 1;
    }
  }
  void UpdateNarrow(const GroupedBlock& block) {
    const auto* values = block.values.as<int64_t>();
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      int64_t least;
      int64_t greatest;
      kernels::MinMaxInts(values + begin, end - begin, &least, &greatest);
      Offer(group, is_min_ ? least : greatest);
    });
  }
  int64_t UpdateWide(const GroupedBlock& block, int64_t factor) {
    for (int64_t i = 0; i < block.n; ++i) {
      if (!IsAccepted(block, i)) continue;
      int128 value;
      if (!ScaledAt(block.values, i, factor, &value)) {
        best_.GoBig();
        return i;
      }
      Offer(block.groups[i], value);
    }
    return block.n;
  }

  bool is_min_;
  DecimalStates best_;
  std::vector<uint8_t> has_value_;
};

Vector ViewsOf(const std::vector<std::string>& texts, Scratch* scratch) {
  auto* views = scratch->Allocate<std::string_view>(static_cast<int64_t>(texts.size()));
  for (size_t g = 0; g < texts.size(); ++g) views[g] = texts[g];
  return MakeVector(ValueType::kString, Form::kViews, views);
}

/// Bytewise min and max. The winner of a run is found among the views and copied once.
class StringExtreme final : public Accumulator {
 public:
  explicit StringExtreme(bool is_min) : is_min_(is_min) {}
  void Begin(int64_t num_groups) override {
    best_.assign(num_groups, std::string());
    has_value_.assign(num_groups, 0);
  }
  Status Update(const GroupedBlock& block, int64_t*) override {
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      std::string_view best = best_[group];
      bool has_value = has_value_[group] != 0;
      bool changed = false;
      for (int64_t i = begin; i < end; ++i) {
        if (!IsAccepted(block, i)) continue;
        const std::string_view value = StringAt(block.values, i);
        if (!has_value || Wins(is_min_, value, best)) {
          best = value;
          has_value = true;
          changed = true;
        }
      }
      if (changed) best_[group].assign(best);
      has_value_[group] = has_value ? 1 : 0;
    });
    return Status::OK();
  }
  Vector Results(Scratch* scratch) const override { return ViewsOf(best_, scratch); }

 private:
  bool is_min_;
  std::vector<std::string> best_;
  std::vector<uint8_t> has_value_;
};

/// The separator is put only behind a text that is not empty.
class StringAggregate final : public Accumulator {
 public:
  explicit StringAggregate(std::string separator) : separator_(std::move(separator)) {}
  void Begin(int64_t num_groups) override { texts_.assign(num_groups, std::string()); }
  Status Update(const GroupedBlock& block, int64_t*) override {
    ForEachRun(block.groups, block.n, [&](int32_t group, int64_t begin, int64_t end) {
      std::string& text = texts_[group];
      for (int64_t i = begin; i < end; ++i) {
        if (!IsAccepted(block, i)) continue;
        if (!text.empty()) text.append(separator_);
        text.append(StringAt(block.values, i));
      }
    });
    return Status::OK();
  }
  Vector Results(Scratch* scratch) const override { return ViewsOf(texts_, scratch); }

 private:
  std::string separator_;
  std::vector<std::string> texts_;
};

std::unique_ptr<Accumulator> MakeExtreme(ValueType type, bool is_min) {
  switch (type) {
    case ValueType::kFloat:
      // The start value of max is minus the largest 32-bit float, as in the original.
      return std::make_unique<NumberExtreme<double>>(
          is_min, is_min ? std::numeric_limits<double>::max()
                         : -static_cast<double>(std::numeric_limits<float>::max()));
    case ValueType::kDecimal:
      return std::make_unique<DecimalExtreme>(is_min);
    case ValueType::kString:
      return std::make_unique<StringExtreme>(is_min);
    default:
      return std::make_unique<NumberExtreme<int64_t>>(
          is_min,
          is_min ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min());
  }
}

}  // namespace

std::unique_ptr<Accumulator> Accumulator::Make(const Node& aggregate) {
  const ValueType type = aggregate.type;
  switch (aggregate.aggregate) {
    case AggregateKind::kCount:
      return std::make_unique<CountAccumulator>();
    case AggregateKind::kSum:
      if (type == ValueType::kFloat) return std::make_unique<FloatSum>(false);
      if (type == ValueType::kDecimal) return std::make_unique<DecimalSum>(false);
      return std::make_unique<IntSum>();
    case AggregateKind::kAvg:
      if (type == ValueType::kFloat) return std::make_unique<FloatSum>(true);
      if (type == ValueType::kDecimal) return std::make_unique<DecimalSum>(true);
      return std::make_unique<IntAverage>();
    case AggregateKind::kMin:
      return MakeExtreme(type, true);
    case AggregateKind::kMax:
      return MakeExtreme(type, false);
    case AggregateKind::kStringAgg:
      return std::make_unique<StringAggregate>(aggregate.separator);
  }
  return nullptr;
}

}  // namespace capi::expr
