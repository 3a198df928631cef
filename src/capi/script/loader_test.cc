#include "capi/script/loader.h"

#include <string>
#include <vector>

#include "capi/script/event_fields.h"
#include "capi/script/text_fetcher.h"
#include "gtest/gtest.h"

namespace capi::script {
namespace {

constexpr char kRead[] = R"(
nodes:
  read:
    type: file_table
    desc: all pets
    r:
      urls: [in/a.csv, in/b.csv]
      csv: {separator: ";", hdr_line_idx: 1, first_data_line_idx: 3}
      columns:
        c_name: {col_type: string, csv: {col_hdr: name, null_values: ["-"]}}
        c_id: {col_type: int, col_default_value: "7", csv: {col_hdr: id, col_format: "%d"}}
        c_fee: {col_type: decimal2, csv: {col_hdr: fee}}
    w:
      name: pets
      table_options: " WITH x "
      having: w.id > 0
      fields:
        name: {expression: r.c_name, type: string}
        id: {expression: r.c_id, type: int}
        fee: {expression: r.c_fee, type: decimal2}
      indexes:
        idx_pets: non_unique(name(ignore_case), id(desc))
)";
constexpr char kPolicy[] = R"(
dependency_policies:
  p:
    is_default: true
    event_priority_order: run_id(desc)
    rules: [{cmd: go, expression: nrs.node_status == wfmodel.NodeBatchSuccess}]
)";
constexpr char kJoin[] = R"(
  join:
    type: table_lookup_table
    start_policy: manual
    rerun_policy: fail
    max_batch_processing_time: 5
    r: {table: pets, expected_batches_total: 4, rowset_size: 10}
    l:
      index_name: idx_pets
      join_on: r.name , r.id
      group: true
      join_type: left
      filter: l.fee > 0
    w:
      name: joined
      fields:
        total: {expression: sum(l.fee), type: decimal2, default_value: "1.5"}
        n: {expression: count(), type: int}
)";
constexpr char kOut[] = R"(
  out:
    type: table_file
    r: {table: joined}
    w:
      url_template: out/x.csv
      csv: {separator: "\t", line_end: CRLF}
      having: w.a > 1
      top: {order: a(desc), limit: 3}
      columns:
        - {name: a, type: int, expression: r.n, csv: {header: A, format: "%d"}}
)";

LoadResult LoadText(const std::string& text, const std::string& url = "s.yaml",
                    std::map<std::string, std::string> others = {}) {
  others[url] = text;
  TextFetcher fetcher(std::move(others));
  LoadOptions options;
  options.script_url = url;
  return LoadScript(options, &fetcher);
}

std::shared_ptr<const Script> MustLoad(const std::string& text) {
  const LoadResult result = LoadText(text);
  for (const Status& error : result.errors) {
    ADD_FAILURE() << Describe(error);
  }
  for (const Warning& warning : result.warnings) {
    ADD_FAILURE() << warning.message;
  }
  return result.script;
}

using Names = std::vector<std::string>;

class LoadedScript : public ::testing::Test {
 protected:
  void SetUp() override {
    script_ = MustLoad(std::string(kRead) + kJoin + kOut + kPolicy);
    ASSERT_NE(script_, nullptr);
  }
  const Node& At(const std::string& name) const { return *script_->FindNode(name); }
  std::shared_ptr<const Script> script_;
};

TEST_F(LoadedScript, Nodes) {
  ASSERT_EQ(script_->nodes.size(), 3u);
  const Node& read = At("read");
  EXPECT_EQ(read.type, NodeType::kFileTable);
  EXPECT_EQ(read.description, "all pets");
  EXPECT_FALSE(read.manual);
  EXPECT_FALSE(read.rerun_fails);
  EXPECT_EQ(read.max_batch_processing_ms, 60000);
  EXPECT_EQ(read.policy, nullptr);
  EXPECT_EQ(read.num_batches(), 2);
  EXPECT_EQ(read.place.line, 3);
  EXPECT_EQ(read.place.column, 3);
  EXPECT_EQ(read.dependencies(), Names{});
  const Node& join = At("join");
  EXPECT_TRUE(join.manual);
  EXPECT_TRUE(join.rerun_fails);
  EXPECT_EQ(join.max_batch_processing_ms, 5);
  EXPECT_EQ(join.num_batches(), 4);
  EXPECT_EQ(join.policy, script_->policies[0].get());
  EXPECT_EQ(join.dependencies(), Names{"read"});
  EXPECT_EQ(At("out").dependencies(), Names{"join"});
}

TEST_F(LoadedScript, FileReaderSettings) {
  const FileReader& reader = *At("read").file_reader;
  EXPECT_EQ(reader.format, FileFormat::kCsv);
  EXPECT_TRUE(reader.by_header);
  EXPECT_EQ(reader.separator, ';');
  EXPECT_EQ(reader.header_line, 1);
  EXPECT_EQ(reader.first_data_line, 3);
  ASSERT_EQ(reader.columns.size(), 3u);
  EXPECT_EQ(reader.columns[0].field, (data::Field{"c_name", data::FieldType::kString}));
  EXPECT_EQ(reader.columns[0].null_values, Names{"-"});
  EXPECT_EQ(reader.columns[0].default_value, std::nullopt);
  EXPECT_EQ(reader.columns[1].format, "%d");
  EXPECT_EQ(std::get<int64_t>(*reader.columns[1].default_value), 7);
}

TEST_F(LoadedScript, TableWriter) {
  const TableWriter& writer = *At("read").table_writer;
  EXPECT_EQ(writer.name, "pets");
  EXPECT_EQ(writer.table_options, "WITH x");
  ASSERT_NE(writer.having, nullptr);
  EXPECT_EQ(FieldsOf(writer)[2], (data::Field{"fee", data::FieldType::kDecimal2}));
  EXPECT_EQ(writer.fields[1].expression->text(), "r.c_id");
  ASSERT_EQ(writer.indexes.size(), 1u);
  EXPECT_FALSE(writer.indexes[0].unique);
  EXPECT_TRUE(writer.indexes[0].components[0].ignore_case);
  EXPECT_TRUE(writer.indexes[0].components[1].descending);
  EXPECT_EQ(writer.indexes[0].text, "non_unique(name(ignore_case), id(desc))");
}

TEST_F(LoadedScript, LookupAndUsedFields) {
  const Node& join = At("join");
  const Lookup& lookup = *join.lookup;
  EXPECT_EQ(lookup.table, "pets");
  EXPECT_EQ(lookup.creator, "read");
  EXPECT_EQ(lookup.join_fields, (Names{"name", "id"}));
  EXPECT_TRUE(lookup.group);
  EXPECT_EQ(lookup.join_type, JoinType::kLeft);
  EXPECT_EQ(lookup.filter->text(), "l.fee > 0");
  EXPECT_EQ(lookup.used_fields, Names{"fee"});
  EXPECT_EQ(join.table_reader->creator, "read");
  EXPECT_EQ(join.table_reader->rowset_size, 10);
  EXPECT_EQ(join.table_reader->used_fields, (Names{"name", "id"}));
  EXPECT_EQ(data::ValueToText(join.table_writer->fields[0].default_value), "1.5");
  EXPECT_EQ(std::get<int64_t>(join.table_writer->fields[1].default_value), 0);
  EXPECT_EQ(join.table_writer->fields[1].expression->aggregate(), expr::AggregateKind::kCount);
}

TEST_F(LoadedScript, FileWriter) {
  const FileWriter& writer = *At("out").file_writer;
  EXPECT_EQ(writer.separator, "\t");
  EXPECT_TRUE(writer.line_end_crlf);
  EXPECT_TRUE(writer.has_top);
  EXPECT_EQ(writer.top_limit, 3);
  ASSERT_EQ(writer.top_order.size(), 1u);
  EXPECT_TRUE(writer.top_order[0].descending);
  EXPECT_EQ(writer.columns[0].header, "A");
  EXPECT_EQ(writer.columns[0].format, "%d");
  EXPECT_EQ(At("out").table_reader->used_fields, Names{"n"});
}

TEST_F(LoadedScript, HashesFollowTheTexts) {
  EXPECT_EQ(script_->script_hash.size(), 16u);
  EXPECT_EQ(script_->parameters_hash.size(), 16u);
  const auto other = MustLoad(std::string(kRead) + kJoin + kOut + kPolicy + "# note\n");
  EXPECT_NE(other->script_hash, script_->script_hash);
  EXPECT_EQ(other->parameters_hash, script_->parameters_hash);
}

TEST(Loader, OldEventFieldsBecomeNewOnes) {
  const auto script = MustLoad(
      "dependency_policies:\n  p:\n    is_default: true\n"
      "    event_priority_order: run_final_status, node_start_ts(desc)\n"
      "    rules: [{cmd: nogo, expression: 'e.run_final_status == 3 && \"e.x\" == "
      "string(nrs.run_id)'}]\n");
  const DependencyPolicy& policy = *script->policies[0];
  EXPECT_EQ(policy.order[0].field, "run_status");
  EXPECT_EQ(policy.order[1].field, "node_start_ts");
  EXPECT_EQ(policy.rules[0].command, RuleCommand::kNoGo);
  EXPECT_EQ(policy.rules[0].expression->text(),
            "nrs.run_status == 3 && \"e.x\" == string(nrs.run_id)");
  const std::vector<expr::Variable> expected = {{"nrs", "run_id"}, {"nrs", "run_status"}};
  EXPECT_EQ(policy.rules[0].expression->variables(), expected);
}

TEST(Loader, CalculatedFieldsComeInDependencyOrder) {
  const std::string text = R"yaml(
nodes:
  read:
    type: file_table
    r: {urls: [a], columns: {c: {col_type: int}}}
    w:
      name: pets
      fields:
        fee: {expression: r.c, type: int}
        other: {expression: r.c, type: int}
        id: {expression: r.c, type: int}
  calc:
    type: table_custom_tfm_table
    custom_proc_type: py_calc
    r: {table: pets}
    p:
      python_code_urls: [a.py, b.py]
      calculated_fields:
        x: {expression: "f(p.y, p.z)", type: float}
        y: {expression: "g(r.id)", type: float}
        z: {expression: p.y, type: float}
    w: {name: t, fields: {x: {expression: p.x + float(r.fee), type: float}}}
)yaml";
  const std::map<std::string, std::string> sources = {{"a.py", "def f(a, b): pass"},
                                                      {"b.py", "def g(a): pass"}};
  const LoadResult result = LoadText(text + kPolicy, "s.yaml", sources);
  ASSERT_TRUE(result.errors.empty()) << Describe(result.errors[0]);
  const Node& calc = *result.script->FindNode("calc");
  Names order;
  for (const PyField& field : calc.processor->calculated) {
    order.push_back(field.field.name);
  }
  EXPECT_EQ(order, (Names{"y", "z", "x"}));
  EXPECT_EQ(calc.processor->produced[0].name, "x");
  EXPECT_EQ(calc.processor->python_source, "def f(a, b): pass\ndef g(a): pass\n");
  EXPECT_EQ(calc.table_reader->used_fields, (Names{"fee", "id"}));
  const LoadResult other = LoadText(text + kPolicy, "s.yaml",
                                    {{"a.py", "def f(a, b): pass"}, {"b.py", "def g(a): pass\n"}});
  EXPECT_EQ(other.script->script_hash, result.script->script_hash);
  EXPECT_NE(other.script->parameters_hash, result.script->parameters_hash);
}

TEST(Loader, FetchErrorsKeepTheirKind) {
  class BrokenFetcher : public Fetcher {
   public:
    Result<std::string> Fetch(const std::string&) override {
      return RetriableError("the server does not answer");
    }
  };
  BrokenFetcher fetcher;
  LoadOptions options;
  options.script_url = "http://x/s.json";
  const LoadResult result = LoadScript(options, &fetcher);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(KindOf(result.errors[0]), ErrorKind::kRetriable);
  EXPECT_EQ(InfoOf(result.errors[0]).place.file, "http://x/s.json");
  EXPECT_EQ(result.script, nullptr);
}

TEST(Loader, StrictTurnsWarningsIntoErrors) {
  TextFetcher fetcher(std::map<std::string, std::string>{
      {"s.json", R"({"nodez":{},"dependency_policies":{"p":{"is_default":true}}})"}});
  LoadOptions options;
  options.script_url = "s.json";
  LoadResult result = LoadScript(options, &fetcher);
  EXPECT_TRUE(result.errors.empty());
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_EQ(result.warnings[0].message, "unknown key, it is ignored: nodez; did you mean nodes?");
  options.strict = true;
  result = LoadScript(options, &fetcher);
  EXPECT_TRUE(result.warnings.empty());
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(Describe(result.errors[0]),
            "s.json:1:2: nodez: unknown key, it is ignored: nodez; did you mean nodes?");
  EXPECT_EQ(InfoOf(result.errors[0]).error_class, "unknown_key");
}

TEST(EventFields, OldAndNewNames) {
  EXPECT_EQ(EventFieldType("run_final_status"), data::FieldType::kInt);
  EXPECT_EQ(EventFieldType("node_is_started"), data::FieldType::kBool);
  EXPECT_EQ(EventFieldType("x"), std::nullopt);
  EXPECT_EQ(CurrentEventField("run_final_status"), "run_status");
  EXPECT_EQ(std::get<int64_t>(*StatusConstant("NodeBatchRunStopReceived")), 104);
  EXPECT_EQ(StatusConstant("Nothing"), std::nullopt);
}

}  // namespace
}  // namespace capi::script
