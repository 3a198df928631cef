#pragma once

// What a file holds, found out by looking at it (spec/toolbelt.md 3.9), whatever kind of file it
// is: the input of NewScript.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/files/files.h"
#include "capi/script/model.h"

namespace capi::service {

struct FileSchemaColumn {
  std::string header;  ///< as in the file; "" if there is none
  data::FieldType type = data::FieldType::kString;
  // CSV only.
  std::string read_format;               ///< col_format, "" = none is needed
  std::string write_format;              ///< csv.format
  std::vector<std::string> null_values;  ///< texts that stand for blank cells
  bool exact = true;                     ///< all cells are written back as they stand
};

/// Something the user should know. `line` 0: none.
struct SchemaNote {
  enum class Kind : uint8_t {
    kHint,     ///< a choice that was made
    kChanges,  ///< reading and writing back gives another text
    kFails,    ///< the script cannot read the file
  };
  Kind kind = Kind::kHint;
  int64_t line = 0;
  std::string message;
};

struct FileSchema {
  script::FileFormat format = script::FileFormat::kCsv;
  std::vector<FileSchemaColumn> columns;  ///< file order
  int64_t num_rows = 0;                   ///< that were looked at
  bool whole_file = true;
  /// Columns whose values together are different in all rows, the best choice first. Found only
  /// when the whole file was looked at.
  std::vector<std::vector<size_t>> keys;
  std::vector<SchemaNote> notes;  ///< by column
  // CSV only.
  char separator = ',';
  int64_t header_record = -1;  ///< -1: no header
  int64_t first_data_record = 0;
  bool by_header = false;  ///< headers are there and distinct
  bool crlf = false;
};

struct InferOptions {
  /// nullopt: Parquet if the name ends in ".parquet", else CSV.
  std::optional<script::FileFormat> format;
  std::optional<char> separator;             ///< nullopt: found out
  std::optional<int64_t> header_record;      ///< nullopt: found out; -1: there is none
  std::optional<int64_t> first_data_record;  ///< nullopt: after the header
  int64_t sample_rows = 0;                   ///< 0 = the whole file
  /// Columns that would not be written back as they are become strings.
  bool exact = false;
  /// Rules of the original: a blank cell makes a string column, zeros in front are no reason for
  /// one, other texts for "no value" are not known.
  bool original_rules = false;
};

/// By the kind of file, also of remote and packed ones; of texts that are no local file only the
/// first 64 MiB are looked at. Of Parquet files columns that cannot be read are left out. Errors:
/// those of files::Files, kUser "empty_file", "bad_parquet", and of the options ("usage").
Result<FileSchema> InferSchema(files::Files* files, const std::string& url,
                               const InferOptions& options);

/// `whole` is false if the text is cut off: its last record is not looked at.
Result<FileSchema> InferCsvSchema(std::string_view text, bool whole, const InferOptions& options);
Result<FileSchema> InferParquetSchema(files::Files* files, const std::string& url,
                                      const InferOptions& options);

/// Puts keys first whose names look like keys.
void SortKeys(FileSchema* schema);

}  // namespace capi::service
