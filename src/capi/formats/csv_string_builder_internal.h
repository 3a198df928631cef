#pragma once

#include <memory>

#include "capi/formats/csv_column_builder_internal.h"

namespace capi::formats::internal {

/// Builds utf8 columns, or dictionary<int32, utf8> for batches whose first rows repeat few values.
std::unique_ptr<CsvColumnBuilder> MakeStringBuilder(const CsvConversion* conversion);

}  // namespace capi::formats::internal
