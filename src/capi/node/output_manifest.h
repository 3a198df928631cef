#pragma once

// Control sums of an output file, written beside it as <file>.manifest.json (`manifest` of a file
// writer; ours).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/data/decimal.h"
#include "capi/files/sha256.h"
#include "capi/files/sink.h"
#include "capi/node/field_programs.h"
#include "capi/node/node.h"

namespace capi::node {

/// Sums of one column. Integers and decimals are added exactly, floats in row order, so that the
/// result does not depend on threads or batches.
class ColumnSum {
 public:
  explicit ColumnSum(data::FieldType type) : type_(type) {}
  /// A column of the type, in any layout.
  Status Add(const std::shared_ptr<arrow::Array>& column);
  /// Name and value of what is said about a column of this type: "sum" and "1.05", ...
  std::pair<std::string, std::string> Summary() const;

 private:
  void AddExact(data::int128 value);

  const data::FieldType type_;
  int64_t num_rows_ = 0;
  data::int128 exact_ = 0;
  data::BigDecimal overflow_;  ///< unscaled; what did not fit `exact_`
  double float_sum_ = 0;
  int64_t counted_ = 0;  ///< bytes of text, or true values
  int64_t least_millis_ = INT64_MAX;
  int64_t most_millis_ = INT64_MIN;
};

/// Used by one thread at a time.
class OutputManifest {
 public:
  explicit OutputManifest(const NodeSetup& setup);

  /// A sink that passes everything on; what passes is what the manifest's hash is of. The manifest
  /// must outlive it.
  std::unique_ptr<files::Sink> Watch(std::unique_ptr<files::Sink> sink);
  /// Rows in the order of the file.
  Status AddRows(const Columns& columns);
  /// Writes the manifest of a sealed file; once. `url` is the file's address.
  Result<FileOutput> Write(const BatchTask& task, const std::string& url, const FileOutput& file);

  /// "<file>.manifest.json"
  static std::string UrlOf(const std::string& file_url);

 private:
  std::string Text(int64_t batch_index, const FileOutput& file);

  const NodeSetup& setup_;
  files::Sha256 hash_;
  std::vector<ColumnSum> sums_;
};

}  // namespace capi::node
