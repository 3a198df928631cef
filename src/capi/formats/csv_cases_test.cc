// The case files of tests/cases about CSV: our answer is the stated one, or the one in the list of
// deviations.

#include <iostream>

#include "arrow/array/array_base.h"
#include "capi/formats/csv_test_fixture.h"
#include "capi/formats/csv_writer.h"

namespace capi::formats {
namespace {

using nlohmann::json;

/// Compares answers with stated ones and counts.
class CaseCounter {
 public:
  explicit CaseCounter(std::string name) : name_(std::move(name)) {}
  ~CaseCounter() {
    std::cout << name_ << ": " << passed_ << " passed, " << deviating_ << " deviations\n";
  }

  void Check(const json& item, const json& stated, const json& ours) {
    const auto id = item.at("id").get<std::string>();
    if (!deviations_.contains(id)) {
      EXPECT_EQ(stated, ours) << id;
      passed_ += stated == ours ? 1 : 0;
      return;
    }
    const json& deviation = deviations_.at(id);
    EXPECT_FALSE(deviation.value("reason", "").empty()) << id;
    EXPECT_EQ(deviation.at("ours"), ours) << id;
    EXPECT_NE(stated, ours) << id << " is listed as a deviation but is none";
    ++deviating_;
  }

 private:
  const std::string name_;
  const json deviations_ = LoadDeviations();
  int passed_ = 0;
  int deviating_ = 0;
};

TEST(CsvCases, EveryDeviationHasACase) {
  json deviations = LoadDeviations();
  for (const char* kind : {"parse", "value", "print"}) {
    for (const json& item : LoadCases("csv_" + std::string(kind) + "_cases.jsonl")) {
      deviations.erase(item.at("id").get<std::string>());
    }
  }
  EXPECT_TRUE(deviations.empty()) << deviations;
}

json ParseAnswer(const json& item) {
  std::vector<std::vector<std::string>> records;
  const Status status = SplitCsv(item.at("text").get<std::string>(),
                                 item.at("separator").get<std::string>().at(0), &records);
  json answer = {{"records", records}};
  if (!status.ok()) {
    answer["error"] = true;
  }
  return answer;
}

void CheckParseCases(const std::string& file, CaseCounter* counter) {
  for (const json& item : LoadCases(file)) {
    json stated = {{"records", item.at("records")}};
    if (item.contains("error")) {
      stated["error"] = true;
    }
    counter->Check(item, stated, ParseAnswer(item));
  }
}

TEST(CsvCases, Parse) {
  CaseCounter counter("csv_parse");
  CheckParseCases("csv_parse_cases.jsonl", &counter);
  CheckParseCases("csv_parse_ours.jsonl", &counter);
}

/// The same texts through the parallel reader, in tiny blocks.
TEST(CsvCases, ParseThroughReader) {
  TestContext context(2);
  std::vector<json> items = LoadCases("csv_parse_cases.jsonl");
  const std::vector<json> own = LoadCases("csv_parse_ours.jsonl");
  items.insert(items.end(), own.begin(), own.end());
  for (const json& item : items) {
    const json expected = ParseAnswer(item);
    const size_t num_cells =
        expected.at("records").empty() ? 0 : expected.at("records").at(0).size();
    for (const int64_t block_bytes : {1, 7, 1 << 20}) {
      CsvReadOptions options;
      options.separator = item.at("separator").get<std::string>().at(0);
      options.block_bytes = block_bytes;
      for (size_t i = 0; i < num_cells; ++i) {
        options.columns.push_back(
            MakeColumn("c" + std::to_string(i), data::FieldType::kString, static_cast<int64_t>(i)));
      }
      const auto text = item.at("text").get<std::string>();
      const ReadOutcome outcome = ReadAll(&context, text, options);
      json answer = {{"records", outcome.rows}};
      if (!outcome.status.ok()) {
        answer["error"] = true;
      }
      EXPECT_EQ(expected, answer) << item.at("id") << " block_bytes " << block_bytes;
    }
  }
}

json ValueToJson(const data::Value& value) {
  json answer;
  if (const auto* whole = std::get_if<int64_t>(&value)) {
    answer = {{"type", "int"}, {"value", std::to_string(*whole)}};
  } else if (const auto* number = std::get_if<double>(&value)) {
    answer = {{"type", "float"}, {"value", data::ValueToText(*number)}};
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    answer = {{"type", "string"}, {"value", *text}};
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    answer = {{"type", "bool"}, {"value", *flag}};
  } else if (const auto* decimal = std::get_if<data::BigDecimal>(&value)) {
    answer = {{"type", "decimal2"}, {"value", decimal->ToString()}};
  } else if (const auto* instant = std::get_if<data::Instant>(&value)) {
    answer = {{"type", "datetime"}, {"value", data::DatetimeToRfc3339(*instant)}};
  }
  return answer;
}

CsvColumn ColumnOf(const json& item, data::FieldType type) {
  CsvColumn column = MakeColumn("c", type, 0, item.at("format").get<std::string>());
  column.default_text = item.value("default", "");
  column.null_values = item.value("null_values", std::vector<std::string>());
  return column;
}

json ConvertAnswer(const json& item) {
  const auto type = data::ParseFieldType(item.at("type").get<std::string>());
  if (!type) {
    return "error";
  }
  const auto cell = item.at("data").get<std::string>();
  const Result<data::Value> value =
      ConvertCsvCell(cell, ColumnOf(item, *type), item.value("strict", false));
  if (!value.ok()) {
    EXPECT_EQ(KindOf(value.status()), ErrorKind::kUser) << item << value.status().ToString();
    return "error";
  }
  return ValueToJson(*value);
}

/// The cell as the second of a record in a file, through the column builders.
json ReadAnswer(TestContext* context, const json& item) {
  const auto type = data::ParseFieldType(item.at("type").get<std::string>());
  if (!type) {
    return "error";
  }
  CsvReadOptions options;
  options.strict = item.value("strict", false);
  options.columns.push_back(ColumnOf(item, *type));
  options.columns[0].index = 1;
  std::string text = "0123456789,";
  text += '"';
  for (const char c : item.at("data").get<std::string>()) {
    text += c == '"' ? "\"\"" : std::string(1, c);
  }
  text += "\",x\n";
  const ReadOutcome outcome = ReadAll(context, text, options);
  if (!outcome.status.ok()) {
    EXPECT_EQ(KindOf(outcome.status), ErrorKind::kUser) << item << outcome.status.ToString();
    return "error";
  }
  return ValueToJson(data::CellValue(*outcome.batches.at(0)->column(0), 0).ValueOrDie());
}

void CheckValueCases(const std::string& file, CaseCounter* counter, bool through_reader) {
  TestContext context(1);
  for (const json& item : LoadCases(file)) {
    const json stated = item.contains("error") ? json("error") : item.at("result");
    counter->Check(item, stated, through_reader ? ReadAnswer(&context, item) : ConvertAnswer(item));
  }
}

TEST(CsvCases, Value) {
  CaseCounter counter("csv_value");
  CheckValueCases("csv_value_cases.jsonl", &counter, false);
  CheckValueCases("csv_value_ours.jsonl", &counter, false);
}

TEST(CsvCases, ValueThroughReader) {
  CaseCounter counter("csv_value (reader)");
  CheckValueCases("csv_value_cases.jsonl", &counter, true);
  CheckValueCases("csv_value_ours.jsonl", &counter, true);
}

std::shared_ptr<arrow::Array> OneValue(const json& value) {
  const auto type = data::ParseFieldType(value.at("type").get<std::string>());
  data::Value parsed;
  switch (*type) {
    case data::FieldType::kInt:
      parsed = data::ParseGoInt(value.at("value").get<std::string>()).ValueOrDie();
      break;
    case data::FieldType::kFloat:
      parsed = data::ParseGoFloat(value.at("value").get<std::string>()).ValueOrDie();
      break;
    case data::FieldType::kString:
      parsed = value.at("value").get<std::string>();
      break;
    case data::FieldType::kBool:
      parsed = value.at("value").get<bool>();
      break;
    case data::FieldType::kDecimal2:
      parsed = data::BigDecimal::Parse(value.at("value").get<std::string>()).ValueOrDie().Round(2);
      break;
    case data::FieldType::kDatetime:
      parsed = data::ParseRfc3339(value.at("value").get<std::string>()).ValueOrDie();
      break;
  }
  return data::ConstantColumn(*type, parsed, 1).ValueOrDie();
}

void CheckPrintCases(const std::string& file, CaseCounter* counter) {
  for (const json& item : LoadCases(file)) {
    CsvWriteOptions options;
    CsvOutputColumn& column = options.columns.emplace_back();
    column.field = {"c", *data::ParseFieldType(item.at("value").at("type").get<std::string>())};
    column.format = item.at("format").get<std::string>();
    const auto formatter = CsvFormatter::Make(options).ValueOrDie();
    const auto array = OneValue(item.at("value"));
    const std::string text = formatter->CellText(0, *array, 0).ValueOrDie();
    counter->Check(item, item.at("result"), text);

    // The fast way writes the same, with quotes where needed.
    std::string line;
    ASSERT_TRUE(formatter->AppendRows({array}, 1, &line).ok());
    std::vector<std::vector<std::string>> records;
    ASSERT_TRUE(SplitCsv(line, ',', &records).ok());
    if (text.empty()) {
      EXPECT_EQ("\n", line);
    } else {
      ASSERT_EQ(1U, records.size()) << item;
      EXPECT_EQ(text, records[0][0]) << item;
    }
  }
}

TEST(CsvCases, Print) {
  CaseCounter counter("csv_print");
  CheckPrintCases("csv_print_cases.jsonl", &counter);
  CheckPrintCases("csv_print_ours.jsonl", &counter);
}

}  // namespace
}  // namespace capi::formats
