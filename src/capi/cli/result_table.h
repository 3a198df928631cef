#pragma once

// Results of commands as a table for people, JSON or CSV.

#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace capi::cli {

/// A cell: text, a number, or nothing.
using ResultCell = std::variant<std::monostate, std::string, int64_t>;

struct ResultColumn {
  enum class Kind : uint8_t {
    kText,
    kId,        ///< a number that is a name
    kNumber,    ///< with thousands separators for people
    kMoment,    ///< milliseconds since 1970, shown as UTC; nothing if 0
    kDuration,  ///< milliseconds
  };
  std::string_view name;
  Kind kind = Kind::kText;
};

class ResultTable {
 public:
  explicit ResultTable(std::vector<ResultColumn> columns) : columns_(std::move(columns)) {}
  void AddRow(std::vector<ResultCell> cells) { rows_.push_back(std::move(cells)); }
  /// `format`: "table"; "json", a list of maps with numbers as numbers; "csv" with quoting. In the
  /// latter two moments are RFC 3339, durations milliseconds, and names have no blanks.
  std::string ToText(std::string_view format) const;

 private:
  std::string CellText(size_t column, const ResultCell& cell, bool for_people) const;

  const std::vector<ResultColumn> columns_;
  std::vector<std::vector<ResultCell>> rows_;
};

/// Adds --output table|json|csv.
void AddOutputOption(CLI::App* command, std::string* format);

/// "2026-11-26T01:02:03.004Z"
std::string MomentText(int64_t millis);
/// The cell of a CSV file, quoted where needed.
std::string QuotedCsv(std::string_view text);

}  // namespace capi::cli
