#pragma once

// Values and columns for tests, from their texts.

#include <memory>
#include <string>
#include <vector>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/data/datetime.h"

namespace capi::data {

using ArrayPtr = std::shared_ptr<arrow::Array>;

/// One-row columns put together: layouts are unified on the way.
inline ArrayPtr Column(FieldType type, const std::vector<Value>& values) {
  std::vector<ArrayPtr> pieces;
  for (const Value& value : values) pieces.push_back(*ConstantColumn(type, value, 1));
  return *Concatenate(pieces);
}

inline Value Decimal(const std::string& text) { return *BigDecimal::Parse(text); }
inline Value Moment(const std::string& text) { return *ParseRfc3339(text); }

}  // namespace capi::data
