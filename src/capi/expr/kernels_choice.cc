#include "capi/expr/kernels_internal.h"

namespace capi::expr::kernels {

namespace {

template <typename T>
void Scatter(const Branch& branch, T* out) {
  const auto* values = branch.values.as<T>();
  if (branch.values.constant) {
    for (int64_t i = 0; i < branch.n; ++i) out[branch.positions[i]] = values[0];
  } else {
    for (int64_t i = 0; i < branch.n; ++i) out[branch.positions[i]] = values[i];
  }
}

template <typename T>
const T* ScatterBoth(const Branch& first, const Branch& second, T* out) {
  Scatter(first, out);
  Scatter(second, out);
  return out;
}

template <typename T>
const T* SelectValues(const uint8_t* mask, const Vector& first, const Vector& second, int64_t n,
                      T* __restrict out) {
  const auto* a = first.as<T>();
  const auto* b = second.as<T>();
  if (first.constant && second.constant) {
    const T x = a[0];
    const T y = b[0];
    for (int64_t i = 0; i < n; ++i) out[i] = mask[i] ? x : y;
  } else if (first.constant) {
    const T x = a[0];
    for (int64_t i = 0; i < n; ++i) out[i] = mask[i] ? x : b[i];
  } else if (second.constant) {
    const T y = b[0];
    for (int64_t i = 0; i < n; ++i) out[i] = mask[i] ? a[i] : y;
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = mask[i] ? a[i] : b[i];
  }
  return out;
}

/// Brings two vectors of one type into one form.
void Unify(Vector* first, Vector* second, int64_t n_first, int64_t n_second, Scratch* scratch) {
  const auto to_views = [scratch](Vector* vector, int64_t n) {
    vector->values = ToViews(*vector, n, scratch);
    vector->form = Form::kViews;
  };
  switch (first->type) {
    case ValueType::kString:
      if (first->form == Form::kCodes && second->form == Form::kCodes &&
          first->dictionary == second->dictionary) {
        return;
      }
      to_views(first, n_first);
      to_views(second, n_second);
      break;
    case ValueType::kDecimal:
      UnifyDecimals(first, second, n_first, n_second, scratch);
      break;
    case ValueType::kDatetime:
      UnifyDatetimes(first, second, n_first, n_second, scratch);
      break;
    default:
      break;
  }
}

}  // namespace

Vector Merge(Branch first, Branch second, int64_t n, Scratch* scratch) {
  Unify(&first.values, &second.values, first.n, second.n, scratch);
  Vector result = first.values;
  result.constant = false;
  switch (result.form) {
    case Form::kInt64:
    case Form::kDouble:
      result.values = ScatterBoth(first, second, scratch->Allocate<int64_t>(n));
      break;
    case Form::kMask:
    case Form::kBits:
      result.values = ScatterBoth(first, second, scratch->Allocate<uint8_t>(n));
      break;
    case Form::kInt128:
      result.values = ScatterBoth(first, second, scratch->Allocate<int128>(n));
      break;
    case Form::kWide:
      result.values = ScatterBoth(first, second, scratch->Allocate<data::WideDatetime>(n));
      break;
    case Form::kBigDecimal:
      result.values = ScatterBoth(first, second, scratch->NewBigDecimals(n).data());
      break;
    case Form::kInstant:
      result.values = ScatterBoth(first, second, scratch->NewInstants(n).data());
      break;
    case Form::kViews:
      result.values = ScatterBoth(first, second, scratch->Allocate<std::string_view>(n));
      break;
    case Form::kCodes:
      result.values = ScatterBoth(first, second, scratch->Allocate<int32_t>(n));
      break;
    case Form::kOffsets:  // Unify made views
      break;
  }
  return result;
}

Vector Select(const uint8_t* mask, Vector first, Vector second, int64_t n, Scratch* scratch) {
  Unify(&first, &second, n, n, scratch);
  Vector result = first;
  result.constant = false;
  switch (result.form) {
    case Form::kInt64:
    case Form::kDouble:
      result.values = SelectValues(mask, first, second, n, scratch->Allocate<int64_t>(n));
      break;
    case Form::kMask:
    case Form::kBits:
      result.values = SelectValues(mask, first, second, n, scratch->Allocate<uint8_t>(n));
      break;
    case Form::kInt128:
      result.values = SelectValues(mask, first, second, n, scratch->Allocate<int128>(n));
      break;
    case Form::kWide:
      result.values =
          SelectValues(mask, first, second, n, scratch->Allocate<data::WideDatetime>(n));
      break;
    case Form::kBigDecimal:
      result.values = SelectValues(mask, first, second, n, scratch->NewBigDecimals(n).data());
      break;
    case Form::kInstant:
      result.values = SelectValues(mask, first, second, n, scratch->NewInstants(n).data());
      break;
    case Form::kViews:
      result.values = SelectValues(mask, first, second, n, scratch->Allocate<std::string_view>(n));
      break;
    case Form::kCodes:
      result.values = SelectValues(mask, first, second, n, scratch->Allocate<int32_t>(n));
      break;
    case Form::kOffsets:  // Unify made views
      break;
  }
  return result;
}

}  // namespace capi::expr::kernels
