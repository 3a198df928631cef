#include "capi/cli/result_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "capi/cli/text_table.h"
#include "capi/data/datetime.h"

namespace capi::cli {

namespace {

/// The column's name in JSON and CSV: "start_nodes", "time_ms".
std::string NameForPrograms(const ResultColumn& column) {
  std::string name(column.name);
  std::replace(name.begin(), name.end(), ' ', '_');
  return column.kind == ResultColumn::Kind::kDuration ? name + "_ms" : name;
}

}  // namespace

std::string MomentText(int64_t millis) {
  constexpr int64_t kSecond = 1000;
  const int64_t fraction = (millis % kSecond + kSecond) % kSecond;
  std::string text = data::DatetimeToRfc3339(data::Instant::FromMillis(millis - fraction));
  text.pop_back();  // Z
  std::array<char, 8> digits{};
  std::snprintf(digits.data(), digits.size(), ".%03dZ", static_cast<int>(fraction));
  return text + digits.data();
}

std::string QuotedCsv(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string ResultTable::CellText(size_t column, const ResultCell& cell, bool for_people) const {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  const auto* number = std::get_if<int64_t>(&cell);
  if (number == nullptr) return "";
  switch (columns_[column].kind) {
    case ResultColumn::Kind::kMoment:
      return *number == 0 ? "" : MomentText(*number);
    case ResultColumn::Kind::kDuration:
      return for_people ? HumanDuration(*number) : std::to_string(*number);
    case ResultColumn::Kind::kNumber:
      return for_people ? WithThousands(*number) : std::to_string(*number);
    default:
      return std::to_string(*number);
  }
}

std::string ResultTable::ToText(std::string_view format) const {
  if (format == "json") {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const std::vector<ResultCell>& row : rows_) {
      nlohmann::ordered_json map = nlohmann::ordered_json::object();
      for (size_t i = 0; i < columns_.size(); ++i) {
        nlohmann::ordered_json& value = map[NameForPrograms(columns_[i])];
        const auto* number = std::get_if<int64_t>(&row[i]);
        if (number != nullptr && columns_[i].kind != ResultColumn::Kind::kMoment) {
          value = *number;
        } else if (const std::string text = CellText(i, row[i], false); !text.empty()) {
          value = text;
        }
      }
      list.push_back(std::move(map));
    }
    return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  if (format == "csv") {
    std::string text;
    for (size_t i = 0; i < columns_.size(); ++i) {
      text += (i > 0 ? "," : "") + NameForPrograms(columns_[i]);
    }
    text += "\n";
    for (const std::vector<ResultCell>& row : rows_) {
      for (size_t i = 0; i < columns_.size(); ++i) {
        text += (i > 0 ? "," : "") + QuotedCsv(CellText(i, row[i], false));
      }
      text += "\n";
    }
    return text;
  }
  std::vector<std::string> headers;
  std::vector<TextTable::Align> alignments;
  for (const ResultColumn& column : columns_) {
    headers.emplace_back(column.name);
    const bool number = column.kind == ResultColumn::Kind::kId ||
                        column.kind == ResultColumn::Kind::kNumber ||
                        column.kind == ResultColumn::Kind::kDuration;
    alignments.push_back(number ? TextTable::Align::kRight : TextTable::Align::kLeft);
  }
  TextTable table(headers, alignments);
  for (const std::vector<ResultCell>& row : rows_) {
    std::vector<std::string> cells;
    for (size_t i = 0; i < columns_.size(); ++i) cells.push_back(CellText(i, row[i], true));
    table.AddRow(std::move(cells));
  }
  return table.ToText();
}

void AddOutputOption(CLI::App* command, std::string* format) {
  command->add_option("--output", *format, "table, json or csv")
      ->check(CLI::IsMember({"table", "json", "csv"}));
}

}  // namespace capi::cli
