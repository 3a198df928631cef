#include "capi/service/new_script.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "capi/base/test_directory.h"
#include "capi/formats/csv_reader.h"
#include "capi/service/engine.h"
#include "capi/service/key_finder_internal.h"
#include "capi/service/validate.h"
#include "gtest/gtest.h"

namespace capi::service {
namespace {

using data::FieldType;
using Kind = SchemaNote::Kind;

class NewScriptTest : public testing::Test {
 protected:
  NewScriptTest() : directory_(testing::TempDir()) {}

  void Write(const std::string& text) {
    std::ofstream(directory_ / "in.csv", std::ios::binary) << text;
  }
  FileSchema Infer(const std::string& text, const InferOptions& options = {}) {
    Write(text);
    const Result<FileSchema> schema = InferSchema(files_.get(), directory_ / "in.csv", options);
    EXPECT_TRUE(schema.ok()) << Describe(schema.status());
    return schema.ok() ? *schema : FileSchema();
  }
  static std::string Notes(const FileSchema& schema) {
    std::string text;
    for (const SchemaNote& note : schema.notes) {
      text += std::to_string(note.line) + ": " + note.message + "\n";
    }
    return text;
  }
  static bool Has(const FileSchema& schema, Kind kind) {
    for (const SchemaNote& note : schema.notes) {
      if (note.kind == kind) return true;
    }
    return false;
  }
  NewScriptOptions Options() {
    NewScriptOptions options;
    options.input_url = directory_ / "in.csv";
    options.output_url = directory_ / "out.csv";
    return options;
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  /// Validates and runs the script.
  void Run(const std::string& script) {
    std::ofstream(directory_ / "s.json") << script;
    RunOptions run;
    run.script.script_url = directory_ / "s.json";
    run.script.strict = true;
    run.new_run = true;
    if (engine_ == nullptr) {
      EngineOptions options;
      options.data_directory = directory_ / "data";
      options.threads = 1;
      engine_ = *Engine::Make(options);
    }
    const Result<RunSummary> summary = engine_->RunScript(run, nullptr);
    ASSERT_TRUE(summary.ok()) << Describe(summary.status());
    for (const Status& error : summary->script_errors) ADD_FAILURE() << Describe(error);
    for (const auto& node : summary->nodes) {
      EXPECT_TRUE(node.error.empty()) << node.error.text << "\n" << script;
    }
    EXPECT_TRUE(summary->AllSucceeded());
  }

  TestDirectory directory_;
  const std::unique_ptr<files::Files> files_ = files::Files::Make(Env::Default(), {}).ValueOrDie();
  std::unique_ptr<Engine> engine_;
};

using Records = std::vector<std::vector<std::string>>;

Records Split(const std::string& text, char separator) {
  Records records;
  EXPECT_TRUE(formats::SplitCsv(text, separator, &records).ok()) << text;
  return records;
}

TEST_F(NewScriptTest, FindsSeparatorHeaderTypesAndKey) {
  const FileSchema schema = Infer(
      "id\tname\tprice\tday\n"
      "7\tb, c\t1.50\t2026-01-02\n"
      "8\ta\t2.00\t2026-01-03\n"
      "9\ta\t2.00\t2026-01-03\n");
  EXPECT_EQ(schema.separator, '\t');
  EXPECT_EQ(schema.header_record, 0);
  EXPECT_EQ(schema.first_data_record, 1);
  EXPECT_TRUE(schema.by_header);
  EXPECT_EQ(schema.num_rows, 3);
  ASSERT_EQ(schema.columns.size(), 4u);
  EXPECT_EQ(schema.columns[0].type, FieldType::kInt);
  EXPECT_EQ(schema.columns[2].type, FieldType::kDecimal2);
  EXPECT_EQ(schema.columns[3].type, FieldType::kDatetime);
  EXPECT_EQ(schema.keys, (std::vector<std::vector<size_t>>{{0}}));
  EXPECT_EQ(Notes(schema), "");
  EXPECT_EQ(DescribeSchema(schema),
            "separator tab, header in record 0, data from record 1, 3 rows, 4 columns; unique: "
            "id\n");
  Run(NewScript(schema, Options()));
  EXPECT_EQ(Split(Read(directory_ / "out.csv"), '\t'), Split(Read(directory_ / "in.csv"), '\t'));
}

TEST_F(NewScriptTest, Separators) {
  EXPECT_EQ(Infer("a;b\n1,5;2,5\n3,5;4,5\n").separator, ';');
  EXPECT_EQ(Infer("a|b\nx,y|2\n").separator, '|');
  EXPECT_EQ(Infer("a,b\n12:30:00,x\n12:40:00,y\n").separator, ',');
  EXPECT_EQ(Infer("word\nmore\n").separator, ',');
  EXPECT_EQ(Infer("\"a,b\";c\n\"d,e\";f\n").separator, ';');
}

TEST_F(NewScriptTest, Headers) {
  EXPECT_EQ(Infer("1,2\n3,4\n").header_record, -1);
  EXPECT_EQ(Infer("name,city\nann,rome\nbob,paris\n").header_record, 0);
  EXPECT_EQ(Infer("ann,rome\nbob,rome\n").header_record, -1) << "values are repeated";
  const FileSchema preamble = Infer("Report of May,,\n,,\nid,name,sum\n1,a,2.00\n2,b,3.00\n");
  EXPECT_EQ(preamble.header_record, 2);
  EXPECT_EQ(preamble.first_data_record, 3);
  EXPECT_FALSE(Has(preamble, Kind::kFails));
  Run(NewScript(preamble, Options()));
  EXPECT_EQ(Read(directory_ / "out.csv"), "id,name,sum\r\n1,a,2.00\n2,b,3.00\n");

  InferOptions options;
  options.header_record = -1;
  options.first_data_record = 1;
  const FileSchema forced = Infer("name,city\nann,rome\n", options);
  EXPECT_EQ(forced.num_rows, 1);
  EXPECT_FALSE(forced.by_header);
  EXPECT_TRUE(Has(forced, Kind::kChanges)) << "a header will be written";
}

TEST_F(NewScriptTest, FilesThatCannotBeReadAreSaidWithLines) {
  const FileSchema ragged = Infer("id,name\n1,a\n2\n3,c,x\n4,d\n");
  EXPECT_EQ(Notes(ragged),
            "3: the record has 1 cells instead of 2, it cannot be read\n"
            "4: the record has 3 cells instead of 2, it cannot be read\n");
  EXPECT_TRUE(Has(ragged, Kind::kFails));
  const FileSchema preamble = Infer("Report of May\nid,name\n1,a\n2,b\n3,c\n");
  EXPECT_TRUE(Has(preamble, Kind::kFails));
  EXPECT_EQ(preamble.header_record, 1);
  EXPECT_EQ(preamble.columns.size(), 2u);
}

TEST_F(NewScriptTest, WrongUse) {
  const std::string path = directory_ / "in.csv";
  EXPECT_EQ(InfoOf(InferSchema(files_.get(), path, {}).status()).error_class, "file_not_found");
  Write("");
  EXPECT_EQ(InfoOf(InferSchema(files_.get(), path, {}).status()).error_class, "empty_file");
  Write("a,b\n1,2\n");
  InferOptions options;
  options.header_record = 1;
  options.first_data_record = 1;
  EXPECT_EQ(InfoOf(InferSchema(files_.get(), path, options).status()).error_class, "usage");
  options = {};
  options.format = script::FileFormat::kParquet;
  EXPECT_FALSE(InferSchema(files_.get(), path, options).ok());
}

TEST_F(NewScriptTest, DifficultHeaders) {
  const FileSchema schema = Infer(
      "type,{month|number},rowid,Größe \"x\",a b,A_B,2020,\n"
      "x,y,z,ä,1,2,3,4\n");
  EXPECT_FALSE(schema.by_header);
  const FileSchema named = Infer(
      "type,{month|number},rowid,\"Größe \"\"x\"\"\",a b,A_B,2020y\n"
      "x,{y},z,ä,1,2,3\n");
  EXPECT_TRUE(named.by_header);
  Run(NewScript(named, Options()));
  EXPECT_EQ(Split(Read(directory_ / "out.csv"), ','), Split(Read(directory_ / "in.csv"), ','));
  InferOptions header;
  header.header_record = 0;
  Run(NewScript(Infer("a,a\n1,x\n2,x\n", header), Options()));
  EXPECT_EQ(Read(directory_ / "out.csv"), "a,a\r\n1,x\n2,x\n");
}

TEST_F(NewScriptTest, SamplesSayNothingAboutKeys) {
  InferOptions options;
  options.sample_rows = 2;
  const FileSchema schema = Infer("id,x\n1,a\n2,b\nthree,c\n", options);
  EXPECT_FALSE(schema.whole_file);
  EXPECT_EQ(schema.num_rows, 2);
  EXPECT_EQ(schema.columns[0].type, FieldType::kInt);
  EXPECT_TRUE(schema.keys.empty());
  EXPECT_EQ(Infer("id,x\n1,a\n2,b\n", options).whole_file, true);
}

TEST_F(NewScriptTest, KeysOfTwoColumns) {
  const FileSchema schema = Infer("a,b,n\n1,1,9\n1,2,9\n2,1,9\n");
  EXPECT_EQ(schema.keys, (std::vector<std::vector<size_t>>{{0, 1}}));
  Run(NewScript(schema, Options()));
  // A repetition in a later file is noticed.
  const std::string script = NewScript(schema, Options());
  EXPECT_NE(script.find("unique(a, b)"), std::string::npos);
  EXPECT_EQ(Infer("x,order_id\na,1\nb,2\n").keys, (std::vector<std::vector<size_t>>{{1}, {0}}))
      << "names of keys come first";
  EXPECT_TRUE(Infer("x,order_id\na,1\na,1\n").keys.empty());
  EXPECT_EQ(Infer("x,order_id\n,1\n,2\n").keys, (std::vector<std::vector<size_t>>{{1}}));
}

TEST(KeyFinderTest, RepetitionsFarApart) {
  KeyFinder finder({{0}, {1}, {0, 1}});
  for (int i = 0; i < 5000; ++i) {
    const std::string unique = std::to_string(i);
    const std::string repeated = std::to_string(i % 4999);
    finder.Add({unique, repeated});
  }
  EXPECT_EQ(finder.Keys(), (std::vector<std::vector<size_t>>{{0}, {0, 1}}));
  EXPECT_FALSE(finder.done());
}

/// Random files of odd cells: when nothing is said to change, nothing changes; with `exact` it
/// never does.
TEST_F(NewScriptTest, WhatIsWrittenEqualsWhatWasRead) {
  const std::vector<std::vector<std::string>> pools = {
      {"1", "20", "-3", "0"},
      {"1.00", "20.50", "-0.01"},
      {"1.5", "0.25", "-3.125", "4"},
      {"true", "false"},
      {"2026-01-02 03:04:05", "1999-12-31 23:59:59"},
      {"2026-01-02T03:04:05.678", "1999-12-31T23:59:59.001"},
      {"12/31/2026", "01/02/2026"},
      {"a", "b \"quoted\"", "c,d", "line\nend", "", " "},
      {"007", "12"},
      {"1", "", "NA", "+4", "x", "1.10", "T", "2026-01-02", "-0", "1e3", "1.5e3", ".5", "00.5"},
  };
  std::mt19937 random(11);
  int exact_runs = 0;
  for (int round = 0; round < 60; ++round) {
    const size_t num_columns = 1 + random() % 5;
    std::string text;
    for (size_t c = 0; c < num_columns; ++c) text += (c > 0 ? ",h" : "h") + std::to_string(c);
    text += "\n";
    std::vector<size_t> pool_of(num_columns);
    for (size_t& pool : pool_of) pool = random() % pools.size();
    const size_t num_rows = 1 + random() % 8;
    for (size_t r = 0; r < num_rows; ++r) {
      for (size_t c = 0; c < num_columns; ++c) {
        const auto& pool = pools[pool_of[c]];
        std::string cell = pool[random() % pool.size()];
        // A record of one empty cell would be an empty line.
        const bool quote = cell.find_first_of(",\"\n") != std::string::npos || num_columns == 1;
        std::string quoted;
        for (const char ch : cell) quoted += ch == '"' ? "\"\"" : std::string(1, ch);
        text += (c > 0 ? "," : "") + (quote ? "\"" + quoted + "\"" : cell);
      }
      text += "\n";
    }
    InferOptions options;
    options.exact = round % 2 == 0;
    options.header_record = 0;
    options.separator = ',';
    const FileSchema schema = Infer(text, options);
    EXPECT_FALSE(options.exact && Has(schema, Kind::kChanges)) << Notes(schema);
    Run(NewScript(schema, Options()));
    if (Has(schema, Kind::kChanges)) continue;
    ++exact_runs;
    const std::string written = Read(directory_ / "out.csv");
    // A single blank cell is written as an empty line, which is no record.
    if (num_columns > 1) {
      EXPECT_EQ(Split(written, ','), Split(text, ',')) << text << written;
    }
  }
  EXPECT_GT(exact_runs, 30);
}

TEST_F(NewScriptTest, LayoutOfTheOriginal) {
  std::map<std::string, std::string> transcripts;
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/tests/cases/toolbelt_transcripts.jsonl");
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    transcripts[entry["id"]] = entry["stdout_without_log"];
  }
  FileSchema schema;
  schema.separator = '\t';
  schema.header_record = 0;
  schema.first_data_record = 1;
  schema.by_header = true;
  schema.columns = {{"id", FieldType::kString, "", "%s", {}, true},
                    {"sku", FieldType::kInt, "%d", "%d", {}, true},
                    {"shipping_date",
                     FieldType::kDatetime,
                     "2006-01-02 15:04:05",
                     "2006-01-02 15:04:05",
                     {},
                     true},
                    {"price", FieldType::kDecimal2, "%f", "%s", {}, true},
                    {"weight", FieldType::kFloat, "%f", "%.3f", {}, true},
                    {"discontinued", FieldType::kBool, "", "%t", {}, true}};
  NewScriptOptions options;
  options.original_layout = true;
  const std::string folder = "proto_file_reader_creator_quicktest/";
  options.input_url = "/tmp/capi_in/" + folder + "products.csv";
  options.output_url = "/tmp/capi_out/" + folder + "products.csv";
  EXPECT_EQ(NewScript(schema, options), transcripts.at("proto_file_reader_creator_csv"));
  schema.format = script::FileFormat::kParquet;
  options.input_url = "/tmp/capi_in/" + folder + "products.parquet";
  options.output_url = "/tmp/capi_out/" + folder + "products.parquet";
  EXPECT_EQ(NewScript(schema, options), transcripts.at("proto_file_reader_creator_parquet"));
}

}  // namespace
}  // namespace capi::service
