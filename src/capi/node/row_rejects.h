#pragma once

// Bad rows of input files that are collected instead of failing the batch (`errors` of a file
// reader; ours).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capi/files/sink.h"
#include "capi/formats/csv_reader.h"
#include "capi/node/field_programs.h"
#include "capi/node/node.h"

namespace capi::node {

/// The file of the bad rows of one batch: CSV with the columns file, line, reason, text. It is
/// written even if there are none, so that it never tells about an earlier run. Used by one thread
/// at a time.
class RejectFile {
 public:
  /// `url` is the input file. setup.node->file_reader->errors must be set.
  static Result<std::unique_ptr<RejectFile>> Open(const NodeSetup& setup, const BatchTask& task,
                                                  const std::string& url);
  /// In file order. The error when there are too many is that of the first row.
  Status Add(formats::CsvReject reject);
  Result<FileOutput> Finish();
  int64_t rows() const { return rows_; }

 private:
  std::string url_;
  int64_t max_rows_ = 0;  ///< -1 = no limit
  files::SinkPlan plan_;
  std::unique_ptr<files::Sink> sink_;
  int64_t rows_ = 0;
  Status first_error_;
};

/// Rows of a block whose expressions can be computed.
struct UsableRows {
  std::vector<ComputedRows> parts;  ///< in row order
  int64_t filtered = 0;
  int64_t num_rows = 0;  ///< of all parts
  std::vector<std::pair<int64_t, Status>> bad;
};
/// Errors that are no fault of the data are returned.
Result<UsableRows> ComputeUsableRows(FieldPrograms* programs, const Columns& columns, int64_t n);

}  // namespace capi::node
