#pragma once

// Types of a Parquet file that differ from those of the script.

#include <vector>

#include "capi/formats/parquet_reader.h"
#include "capi/node/field_programs.h"
#include "capi/script/model.h"

namespace capi::node {

/// Where a column of the file cannot be read as its col_type, the type of the file wins
/// (spec/formats.md 5) - if every expression that uses the column still gives the type of its
/// field, such as int(r.fee) for a fee that is decimal2 in the file. Then options and targets are
/// changed and the result is true; options->columns are those of the reader, in the same order.
/// Otherwise nothing is changed, and reading the file tells which column does not fit.
bool AdoptFileTypes(const formats::ParquetInfo& info, const script::FileReader& reader,
                    formats::ParquetReadOptions* options, std::vector<Target>* targets);

}  // namespace capi::node
