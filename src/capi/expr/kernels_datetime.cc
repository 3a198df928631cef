#include "capi/base/time_units.h"
#include "capi/expr/kernels_internal.h"
#include "capi/expr/scalar_functions.h"

namespace capi::expr::kernels {

namespace {

/// An instant as two numbers; zones do not count.
struct Moment {
  int64_t seconds;
  int32_t nanos;
};

inline int64_t FloorDivide(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0);
}

inline Moment MomentAt(const Vector& vector, int64_t row) {
  const int64_t i = vector.constant ? 0 : row;
  switch (vector.form) {
    case Form::kInt64: {
      const int64_t millis = vector.as<int64_t>()[i];
      const int64_t seconds = FloorDivide(millis, kMillisPerSecond);
      return {seconds,
              static_cast<int32_t>((millis - seconds * kMillisPerSecond) * kNanosPerMilli)};
    }
    case Form::kWide: {
      const data::WideDatetime& wide = vector.as<data::WideDatetime>()[i];
      return {wide.seconds, wide.nanos};
    }
    default: {
      const data::Instant& instant = vector.as<data::Instant>()[i];
      return {instant.seconds, instant.nanos};
    }
  }
}

template <typename F>
void ForEachMoments(const Vector& left, const Vector& right, int64_t n, uint8_t* out, F function) {
  for (int64_t i = 0; i < n; ++i) {
    const Moment a = MomentAt(left, i);
    const Moment b = MomentAt(right, i);
    const int order = a.seconds != b.seconds ? (a.seconds < b.seconds ? -1 : 1)
                                             : (a.nanos > b.nanos) - (a.nanos < b.nanos);
    out[i] = function(order);
  }
}

}  // namespace

void CompareDatetimes(Op op, const Vector& left, const Vector& right, int64_t n, uint8_t* out) {
  if (left.form == Form::kInt64 && right.form == Form::kInt64) {
    CompareInts(op, OperandOf<int64_t>(left), OperandOf<int64_t>(right), n, out);
    return;
  }
  switch (op) {
    case Op::kEqual:
      ForEachMoments(left, right, n, out, [](int order) { return order == 0; });
      break;
    case Op::kNotEqual:
      ForEachMoments(left, right, n, out, [](int order) { return order != 0; });
      break;
    case Op::kLess:
      ForEachMoments(left, right, n, out, [](int order) { return order < 0; });
      break;
    case Op::kLessEqual:
      ForEachMoments(left, right, n, out, [](int order) { return order <= 0; });
      break;
    case Op::kGreater:
      ForEachMoments(left, right, n, out, [](int order) { return order > 0; });
      break;
    default:
      ForEachMoments(left, right, n, out, [](int order) { return order >= 0; });
      break;
  }
}

void UnifyDatetimes(Vector* left, Vector* right, int64_t n_left, int64_t n_right,
                    Scratch* scratch) {
  if (left->form == right->form) return;
  const bool has_names = left->form == Form::kInstant || right->form == Form::kInstant;
  const auto widen = [scratch, has_names](Vector* vector, int64_t n) {
    if (vector->form == (has_names ? Form::kInstant : Form::kWide)) return;
    const int64_t count = vector->constant ? 1 : n;
    if (!has_names) {
      auto* wide = scratch->Allocate<data::WideDatetime>(count);
      for (int64_t i = 0; i < count; ++i) wide[i] = InstantAt(*vector, i).ToWide();
      vector->form = Form::kWide;
      vector->values = wide;
      return;
    }
    std::vector<data::Instant>& instants = scratch->NewInstants(count);
    for (int64_t i = 0; i < count; ++i) instants[i] = InstantAt(*vector, i);
    vector->form = Form::kInstant;
    vector->values = instants.data();
  };
  widen(left, n_left);
  widen(right, n_right);
}

void DatetimesToUnix(const Vector& values, bool millis, int64_t n, int64_t* out) {
  if (values.form == Form::kInt64) {
    const auto* from = values.as<int64_t>();
    for (int64_t i = 0; i < n; ++i) {
      out[i] = millis ? from[i] : FloorDivide(from[i], kMillisPerSecond);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const Moment moment = MomentAt(values, i);
    out[i] =
        millis ? moment.seconds * kMillisPerSecond + moment.nanos / kNanosPerMilli : moment.seconds;
  }
}

void DiffMillisVectors(const Vector& left, const Vector& right, int64_t n, int64_t* out) {
  if (left.form == Form::kInt64 && right.form == Form::kInt64) {
    constexpr int64_t kLimit = 9223372036854;
    const int64_t left_step = left.constant ? 0 : 1;
    const int64_t right_step = right.constant ? 0 : 1;
    const auto* a = left.as<int64_t>();
    const auto* b = right.as<int64_t>();
    for (int64_t i = 0; i < n; ++i) {
      const int64_t difference = WrapSubtract(a[i * left_step], b[i * right_step]);
      out[i] = difference > kLimit ? kLimit : difference < -kLimit ? -kLimit : difference;
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) out[i] = DiffMillis(InstantAt(left, i), InstantAt(right, i));
}

}  // namespace capi::expr::kernels
