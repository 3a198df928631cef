#include <array>
#include <utility>

#include "capi/expr/evaluator_machine_internal.h"
#include "capi/expr/evaluator_texts_internal.h"
#include "capi/expr/kernels_internal.h"

namespace capi::expr {

namespace {

/// True if a layout may read more than milliseconds, which the fast path would cut.
bool HasFineFraction(std::string_view layout) {
  return layout.find("0000") != std::string_view::npos ||
         layout.find("9999") != std::string_view::npos;
}

/// Collects datetimes: milliseconds as long as they suffice.
class DatetimeBuilder {
 public:
  DatetimeBuilder(int64_t n, Scratch* scratch)
      : n_(n), scratch_(scratch), millis_(scratch->Allocate<int64_t>(n)) {}

  void AddMillis(int64_t millis) {
    if (instants_ != nullptr) {
      (*instants_)[size_++] = data::Instant::FromMillis(millis);
    } else {
      millis_[size_++] = millis;
    }
  }
  void Add(data::Instant instant) {
    if (instants_ == nullptr) {
      if (kernels::IsPlainMillis(instant)) {
        millis_[size_++] = instant.ToMillisFloor();
        return;
      }
      instants_ = &scratch_->NewInstants(n_);
      for (int64_t i = 0; i < size_; ++i) {
        (*instants_)[i] = data::Instant::FromMillis(millis_[i]);
      }
    }
    (*instants_)[size_++] = std::move(instant);
  }
  Vector Finish() const {
    return instants_ != nullptr
               ? MakeVector(ValueType::kDatetime, Form::kInstant, instants_->data())
               : MakeVector(ValueType::kDatetime, Form::kInt64, millis_);
  }

 private:
  int64_t n_;
  Scratch* scratch_;
  int64_t* millis_;
  std::vector<data::Instant>* instants_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace

const data::TimeLayout& Machine::LayoutOf(const Step& step, std::string_view text) {
  if (step.layout.has_value()) return *step.layout;
  if (!last_layout_.has_value() || last_layout_->text() != text) {
    last_layout_ = data::TimeLayout::Compile(text);
  }
  return *last_layout_;
}

bool Machine::CallTimeParse(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                            Vector* out) {
  const Texts layouts(arguments[0], n, scratch_);
  const Texts texts(arguments[1], n, scratch_);
  DatetimeBuilder builder(n, scratch_);
  bool is_millis = false;
  for (int64_t i = 0; i < n; ++i) {
    const data::TimeLayout& layout = LayoutOf(step, layouts[i]);
    if (i == 0 || layouts.step != 0) is_millis = !HasFineFraction(layout.text());
    const std::string_view text = texts[i];
    int64_t millis = 0;
    if (is_millis && layout.TryParseMillis(text.data(), text.data() + text.size(), &millis)) {
      builder.AddMillis(millis);
      continue;
    }
    Result<data::Instant> instant = layout.Parse(text);
    if (!instant.ok()) return false;
    builder.Add(*std::move(instant));
  }
  *out = builder.Finish();
  return true;
}

void Machine::CallTimeFormat(const Step& step, const std::vector<Vector>& arguments, int64_t n,
                             Vector* out) {
  const Vector& times = arguments[0];
  const Texts layouts(arguments[1], n, scratch_);
  TextBuilder builder(n, scratch_);
  for (int64_t i = 0; i < n; ++i) {
    const data::TimeLayout& layout = LayoutOf(step, layouts[i]);
    if (times.form == Form::kInt64) {
      layout.FormatMillis(times.as<int64_t>()[times.constant ? 0 : i], builder.text());
    } else {
      layout.Format(InstantAt(times, i), builder.text());
    }
    builder.EndRow();
  }
  *out = builder.Finish();
}

bool Machine::CallTimeDate(const std::vector<Vector>& arguments, int64_t n, Vector* out) {
  constexpr size_t kParts = 7;
  DatetimeBuilder builder(n, scratch_);
  for (int64_t i = 0; i < n; ++i) {
    std::array<int64_t, kParts> parts;
    for (size_t k = 0; k < kParts; ++k) {
      parts[k] = arguments[k].as<int64_t>()[arguments[k].constant ? 0 : i];
    }
    Result<data::Instant> instant = MakeDate(parts[0], parts[1], parts[2], parts[3], parts[4],
                                             parts[5], parts[6], InstantAt(arguments[kParts], i));
    if (!instant.ok()) return false;
    builder.Add(*std::move(instant));
  }
  *out = builder.Finish();
  return true;
}

}  // namespace capi::expr
