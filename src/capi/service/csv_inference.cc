#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "capi/formats/csv_records.h"
#include "capi/service/column_guess_internal.h"
#include "capi/service/file_schema.h"
#include "capi/service/key_finder_internal.h"

namespace capi::service {

namespace {

constexpr std::array<char, 5> kSeparators = {',', '\t', ';', '|', ':'};
/// Records that are looked at to find separator and header.
constexpr size_t kHeadRecords = 200;
/// A header further down is not found.
constexpr size_t kMostPreamble = 20;
constexpr size_t kMostRaggedNotes = 5;
/// Columns that are tried in pairs when none is a key by itself.
constexpr size_t kMostPairColumns = 6;

/// The first records as texts.
struct Head {
  std::vector<std::vector<std::string>> records;
  size_t usual_cells = 0;  ///< the most frequent number of cells
  size_t num_usual = 0;    ///< records with that number
};

Head ReadHead(std::string_view text, char separator) {
  Head head;
  formats::CsvRecords records(text, separator);
  std::map<size_t, size_t> counts;
  while (head.records.size() < kHeadRecords && records.Next()) {
    head.records.emplace_back(records.cells().begin(), records.cells().end());
    ++counts[records.cells().size()];
  }
  for (const auto& [cells, times] : counts) {
    if (times >= head.num_usual) {
      head.usual_cells = cells;
      head.num_usual = times;
    }
  }
  return head;
}

/// The separator that cuts most records into the same number of cells, above one.
char DetectSeparator(std::string_view text) {
  char best = ',';
  double best_share = 0;
  size_t best_cells = 1;
  for (const char separator : kSeparators) {
    const Head head = ReadHead(text, separator);
    if (head.usual_cells < 2) continue;
    const double share =
        static_cast<double>(head.num_usual) / static_cast<double>(head.records.size());
    // A comma inside of texts or a colon inside of times must not win over the true separator.
    const bool better =
        share > best_share + 0.05 ||
        (share > best_share - 0.05 && head.usual_cells > best_cells && separator != ':');
    if (better) {
      best = separator;
      best_share = share;
      best_cells = head.usual_cells;
    }
  }
  return best;
}

bool LooksLikeHeader(const std::vector<std::string>& cells) {
  std::set<std::string_view> seen;
  for (const std::string& cell : cells) {
    const bool word =
        CellKindOf(cell) == CellKind::kString || CellKindOf(cell) == CellKind::kNullText;
    if (!word || LooksTyped(cell) || !seen.insert(cell).second) return false;
  }
  return true;
}

bool LooksLikeData(const std::vector<std::string>& cells) {
  return std::any_of(cells.begin(), cells.end(),
                     [](const std::string& cell) { return LooksTyped(cell); });
}

/// Index of the header, -1 if there is none.
int64_t DetectHeader(const Head& head) {
  for (size_t i = 0; i < std::min(head.records.size(), kMostPreamble); ++i) {
    const std::vector<std::string>& cells = head.records[i];
    if (cells.size() != head.usual_cells) continue;
    if (LooksLikeHeader(cells)) {
      // Texts only: a header if values of the columns below are of other kinds, or are never the
      // same as the text on top.
      const auto data = head.records.begin() + static_cast<int64_t>(i) + 1;
      const bool typed_below = std::any_of(data, head.records.end(), LooksLikeData);
      const bool repeated = std::any_of(data, head.records.end(), [&](const auto& record) {
        for (size_t c = 0; c < std::min(record.size(), cells.size()); ++c) {
          if (record[c] == cells[c]) return true;
        }
        return false;
      });
      return typed_below || !repeated ? static_cast<int64_t>(i) : -1;
    }
    if (LooksLikeData(cells)) return -1;
  }
  return -1;
}

bool EndsWithCrLf(std::string_view text) {
  const size_t line_end = text.find('\n');
  return line_end != std::string_view::npos && line_end > 0 && text[line_end - 1] == '\r';
}

/// One inference.
class CsvInference {
 public:
  CsvInference(std::string_view text, bool whole, const InferOptions& options)
      : text_(text), options_(options) {
    schema_.whole_file = whole;
  }

  Result<FileSchema> Run() {
    CAPI_RETURN_NOT_OK(FindShape());
    ReadCells();
    MakeColumns();
    if (schema_.whole_file) FindKeys();
    return std::move(schema_);
  }

 private:
  Status FindShape() {
    schema_.separator = options_.separator.value_or(DetectSeparator(text_));
    const Head head = ReadHead(text_, schema_.separator);
    if (head.records.empty()) {
      return UserError("empty_file", "the file holds no record, so its columns are unknown");
    }
    schema_.header_record = options_.header_record.value_or(DetectHeader(head));
    schema_.first_data_record = options_.first_data_record.value_or(schema_.header_record + 1);
    if (schema_.first_data_record <= schema_.header_record) {
      return UserError("usage", "the first data record must come after the header");
    }
    schema_.crlf = EndsWithCrLf(text_);
    num_cells_ = head.records[0].size();
    if (head.usual_cells != num_cells_) {
      schema_.notes.push_back(
          {SchemaNote::Kind::kFails, 1,
           "the first record has " + std::to_string(num_cells_) + " cells, but most have " +
               std::to_string(head.usual_cells) +
               "; all must have as many as the first to be read: remove the lines before the "
               "table"});
      num_cells_ = head.usual_cells;
    }
    return Status::OK();
  }

  /// Calls `use` for each data record of the right length; `other` for those of another.
  template <typename Use, typename Other>
  void ForEachRecord(const Use& use, const Other& other) {
    formats::CsvRecords records(text_, schema_.separator);
    for (int64_t index = 0; records.Next(); ++index) {
      if (!schema_.whole_file && records.at_end()) return;  // cut off
      if (index == schema_.header_record) {
        headers_.assign(records.cells().begin(), records.cells().end());
      }
      if (index < schema_.first_data_record) continue;
      if (records.cells().size() != num_cells_) {
        other(records);
      } else if (!use(records)) {
        return;
      }
    }
  }

  void ReadCells() {
    std::vector<ColumnGuess> guesses(num_cells_, ColumnGuess(&options_));
    size_t num_ragged = 0;
    SchemaNote more;
    ForEachRecord(
        [&](const formats::CsvRecords& records) {
          if (options_.sample_rows > 0 && schema_.num_rows == options_.sample_rows) {
            schema_.whole_file = false;
            return false;
          }
          for (size_t i = 0; i < num_cells_; ++i) {
            guesses[i].Add(records.cells()[i], records.line());
          }
          if (records.unclosed()) {
            schema_.notes.push_back({SchemaNote::Kind::kChanges, records.line(),
                                     "a quoted cell of this record is never closed"});
          }
          ++schema_.num_rows;
          return true;
        },
        [&](const formats::CsvRecords& records) {
          if (++num_ragged > kMostRaggedNotes) return;
          schema_.notes.push_back({SchemaNote::Kind::kFails, records.line(),
                                   "the record has " + std::to_string(records.cells().size()) +
                                       " cells instead of " + std::to_string(num_cells_) +
                                       ", it cannot be read"});
        });
    if (num_ragged > kMostRaggedNotes) {
      schema_.notes.push_back(
          {SchemaNote::Kind::kFails, 0,
           std::to_string(num_ragged) + " records have another number of cells than the first"});
    }
    guesses_ = std::move(guesses);
  }

  void MakeColumns() {
    headers_.resize(schema_.header_record >= 0 ? num_cells_ : 0);
    std::set<std::string> distinct(headers_.begin(), headers_.end());
    schema_.by_header =
        !headers_.empty() && distinct.size() == num_cells_ && distinct.count("") == 0;
    if (!headers_.empty() && !schema_.by_header) {
      schema_.notes.push_back({SchemaNote::Kind::kHint, 0,
                               "headers are empty or repeated, so columns are found by position"});
    }
    if (headers_.empty()) {
      schema_.notes.push_back(
          {SchemaNote::Kind::kChanges, 0,
           "the file has no header line, the file that is written will have one"});
    }
    for (size_t i = 0; i < num_cells_; ++i) {
      std::string name = headers_.empty() ? std::to_string(i) : headers_[i];
      if (name.empty()) name = std::to_string(i);
      schema_.columns.push_back(guesses_[i].Finish(name, &schema_.notes));
      if (!headers_.empty()) schema_.columns.back().header = headers_[i];
    }
  }

  static bool MayBeKey(const FileSchemaColumn& column) {
    return column.exact &&
           (column.type == data::FieldType::kInt || column.type == data::FieldType::kString);
  }

  std::vector<std::vector<size_t>> DistinctGroups(std::vector<std::vector<size_t>> groups) {
    KeyFinder finder(std::move(groups));
    ForEachRecord(
        [&](const formats::CsvRecords& records) {
          finder.Add(records.cells());
          return !finder.done();
        },
        [](const formats::CsvRecords&) {});
    return finder.Keys();
  }

  void FindKeys() {
    if (schema_.num_rows < 2) return;  // any column would do
    std::vector<std::vector<size_t>> groups;
    std::vector<size_t> usable;
    for (size_t i = 0; i < num_cells_; ++i) {
      const FileSchemaColumn& column = schema_.columns[i];
      if (MayBeKey(column)) groups.push_back({i});
      const bool moment = column.type == data::FieldType::kDatetime && column.exact;
      if (MayBeKey(column) || moment) usable.push_back(i);
    }
    schema_.keys = DistinctGroups(std::move(groups));
    SortKeys(&schema_);
    if (!schema_.keys.empty()) return;
    usable.resize(std::min(usable.size(), kMostPairColumns));
    std::vector<std::vector<size_t>> pairs;
    for (size_t i = 0; i < usable.size(); ++i) {
      for (size_t j = i + 1; j < usable.size(); ++j) pairs.push_back({usable[i], usable[j]});
    }
    schema_.keys = DistinctGroups(std::move(pairs));
  }

  std::string_view text_;
  const InferOptions& options_;
  size_t num_cells_ = 0;
  std::vector<std::string> headers_;
  std::vector<ColumnGuess> guesses_;
  FileSchema schema_;
};

}  // namespace

Result<FileSchema> InferCsvSchema(std::string_view text, bool whole, const InferOptions& options) {
  return CsvInference(text, whole, options).Run();
}

}  // namespace capi::service
