#pragma once

// What the tests of the nodes share: a script with hand-made source tables in a real store, nodes
// run over them with any number of threads and any memory limit, results as rows of texts.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/base/env.h"
#include "capi/base/test_directory.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/data/letter_case.h"
#include "capi/node/node.h"
#include "capi/script/loader.h"
#include "capi/script/text_fetcher.h"

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << (text) << "\nhas no " << (part)

namespace capi::node {

using data::FieldType;
using data::RowId;
using data::Value;

/// One row of a table.
using Row = std::vector<Value>;
using Texts = std::vector<std::string>;

/// Value of a Result that must be there.
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << Describe(result.status());
    std::abort();
  }
  return std::move(result).ValueUnsafe();
}

inline Value Decimal(const std::string& text) { return Value(Must(data::BigDecimal::Parse(text))); }
inline Value Moment(int64_t millis) { return Value(data::Instant::FromMillis(millis)); }
inline Value Text(std::string text) { return Value(std::move(text)); }
inline Value Int(int64_t value) { return Value(value); }

template <typename T>
std::shared_ptr<arrow::Array> FixedColumn(const std::shared_ptr<arrow::DataType>& type,
                                          const std::vector<T>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  std::shared_ptr<arrow::Buffer> buffer = Must(arrow::AllocateBuffer(bytes));
  if (bytes > 0) std::memcpy(buffer->mutable_data(), values.data(), static_cast<size_t>(bytes));
  return arrow::MakeArray(arrow::ArrayData::Make(type, static_cast<int64_t>(values.size()),
                                                 {nullptr, std::move(buffer)}, 0));
}

/// A column of a stored layout; decimals are narrow where all values fit.
inline std::shared_ptr<arrow::Array> ColumnOf(FieldType type, const std::vector<Value>& values) {
  switch (type) {
    case FieldType::kInt: {
      std::vector<int64_t> numbers;
      for (const Value& value : values) numbers.push_back(std::get<int64_t>(value));
      return FixedColumn(data::ArrowTypeOf(type), numbers);
    }
    case FieldType::kFloat: {
      std::vector<double> numbers;
      for (const Value& value : values) numbers.push_back(std::get<double>(value));
      return FixedColumn(data::ArrowTypeOf(type), numbers);
    }
    case FieldType::kDatetime: {
      std::vector<int64_t> millis;
      for (const Value& value : values) {
        millis.push_back(std::get<data::Instant>(value).ToMillisFloor());
      }
      return FixedColumn(data::ArrowTypeOf(type), millis);
    }
    case FieldType::kDecimal2: {
      std::vector<data::int128> hundredths;
      for (const Value& value : values) {
        hundredths.emplace_back();
        EXPECT_TRUE(std::get<data::BigDecimal>(value).ToInt128(2, &hundredths.back()));
      }
      return Must(data::ToStored(FixedColumn(data::WideDecimalArrowType(), hundredths)));
    }
    case FieldType::kString: {
      arrow::StringBuilder builder;
      for (const Value& value : values) {
        EXPECT_TRUE(builder.Append(std::get<std::string>(value)).ok());
      }
      return Must(builder.Finish());
    }
    case FieldType::kBool: {
      arrow::BooleanBuilder builder;
      for (const Value& value : values) EXPECT_TRUE(builder.Append(std::get<bool>(value)).ok());
      return Must(builder.Finish());
    }
  }
  return nullptr;
}

inline Texts TextsOf(const Row& row) {
  Texts texts;
  for (const Value& value : row) texts.push_back(data::ValueToText(value));
  return texts;
}

/// Ordering of `top` and of keys: NaN after all numbers, -0.0 equals 0.0, datetimes by instant.
inline int CompareValues(const Value& a, const Value& b, bool ignore_case = false) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : (y < x ? 1 : 0); };
  if (const auto* text = std::get_if<std::string>(&a)) {
    if (!ignore_case) return order(*text, std::get<std::string>(b));
    std::string upper_a;
    std::string upper_b;
    data::ToUpperSimple(*text, &upper_a);
    data::ToUpperSimple(std::get<std::string>(b), &upper_b);
    return order(upper_a, upper_b);
  }
  if (const auto* number = std::get_if<double>(&a)) {
    const double other = std::get<double>(b);
    if (std::isnan(*number) || std::isnan(other)) {
      return order(static_cast<int>(std::isnan(*number)), static_cast<int>(std::isnan(other)));
    }
    return order(*number, other);
  }
  if (const auto* decimal = std::get_if<data::BigDecimal>(&a)) {
    return decimal->Compare(std::get<data::BigDecimal>(b));
  }
  if (const auto* instant = std::get_if<data::Instant>(&a)) {
    return instant->Compare(std::get<data::Instant>(b));
  }
  if (const auto* flag = std::get_if<bool>(&a)) {
    return order(static_cast<int>(*flag), static_cast<int>(std::get<bool>(b)));
  }
  return order(std::get<int64_t>(a), std::get<int64_t>(b));
}

/// Random values. A small `domain` makes equal ones likely; 0 asks for values from the whole type.
class RandomValues {
 public:
  explicit RandomValues(uint64_t seed) : generator_(seed) {}
  int64_t Below(int64_t n) { return static_cast<int64_t>(generator_() % static_cast<uint64_t>(n)); }
  /// Small numbers are far likelier than large ones.
  int64_t Skewed(int64_t n) { return Below(Below(n) + 1); }

  Value Next(FieldType type, int64_t domain) {
    const bool whole = domain == 0;
    const int64_t number =
        whole ? static_cast<int64_t>(generator_()) >> Below(64) : Skewed(domain) - domain / 2;
    switch (type) {
      case FieldType::kInt:
        return Value(number);
      case FieldType::kFloat: {
        if (whole && Below(8) == 0) {
          const double odd[] = {0.0, -0.0, std::nan(""), HUGE_VAL, -HUGE_VAL, 5e-324};
          return Value(odd[Below(6)]);
        }
        return Value(static_cast<double>(number) / 8);
      }
      case FieldType::kBool:
        return Value(number % 2 == 0);
      case FieldType::kDatetime:
        return Moment(whole ? number / 100000 : number);
      case FieldType::kDecimal2:
        return Value(data::BigDecimal::FromInt128(
            whole ? data::int128{number} << Below(60) : data::int128{number}, 2));
      case FieldType::kString: {
        const std::string texts[] = {"", "a", "A", "é", "É", "ab", "\xff", "prefix_of_8_and_more_"};
        std::string text = texts[Below(8)];
        if (whole) text += std::string(static_cast<size_t>(Below(3)), '\0');
        return Value(text + (number % 3 == 0 ? "" : std::to_string(number)));
      }
    }
    return Value();
  }

 private:
  std::mt19937_64 generator_;
};

/// Compares tables; prints only the first difference.
inline void ExpectRows(const std::vector<Texts>& found, const std::vector<Texts>& expected) {
  EXPECT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    ASSERT_EQ(found[i], expected[i]) << "row " << i;
  }
}

/// Lines separated by "\n", each indented by `blanks`.
inline std::string Indented(const std::string& text, size_t blanks) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) result += std::string(blanks, ' ') + line + "\n";
  }
  return result;
}

struct RunOptions {
  int threads = 2;
  int64_t memory_limit = 0;
};

/// What a node did, over all its batches.
struct RunOutcome {
  Status status;  ///< the error of the smallest batch, or of the node's end
  RowCounts counts;
  std::vector<Texts> rows;  ///< of the table written
  std::vector<RowId> row_ids;
  std::vector<std::string> files;  ///< texts of the files written, one per batch
  std::vector<std::string> targets;
  int64_t spilled_bytes = 0;
  int64_t duplicates_at_end = 0;
  std::shared_ptr<const store::Table> table;
};

class NodeTest : public testing::Test {
 protected:
  NodeTest() : directory_(MemoryDirectoryOr(testing::TempDir())) {
    CheckOk(Env::Default()->CreateDirectories(directory_ / "spill"));
    CheckOk(Env::Default()->CreateDirectories(directory_ / "out"));
    tables_store_ = Must(store::TableStore::Open(Env::Default(), directory_ / "tables"));
    tables_store_->SetResolver(resolver());
  }

  static void CheckOk(const Status& status) { ASSERT_TRUE(status.ok()) << Describe(status); }

  /// A table that the test fills itself; `indexes`: YAML lines "idx_x: definition".
  void AddTable(const std::string& name, const std::vector<data::Field>& fields,
                const std::string& indexes = "") {
    std::string columns;
    std::string targets;
    int position = 0;
    for (const data::Field& field : fields) {
      const std::string type(data::FieldTypeName(field.type));
      columns += field.name + ": {csv: {col_idx: " + std::to_string(position++) +
                 (field.type == FieldType::kDatetime ? ", col_format: '2006-01-02'" : "") +
                 "}, col_type: " + type + "}\n";
      targets += field.name + ": {expression: r." + field.name + ", type: " + type + "}\n";
    }
    // One column more, so that there are always two: that makes it a CSV file.
    columns += "unused: {csv: {col_idx: " + std::to_string(position) + "}, col_type: string}\n";
    std::string text = "type: file_table\nr:\n  urls: [none.csv]\n  columns:\n" +
                       Indented(columns, 4) + "w:\n  name: " + name + "\n  fields:\n" +
                       Indented(targets, 4);
    if (!indexes.empty()) text += "  indexes:\n" + Indented(indexes, 4);
    AddNode("make_" + name, text);
  }

  void AddNode(const std::string& name, const std::string& text) {
    nodes_ += "  " + name + ":\n" + Indented(text, 4);
  }

  /// Loads the script of all tables and nodes added so far.
  void Load() {
    const std::string text = "nodes:\n" + nodes_ +
                             "dependency_policies:\n"
                             "  p:\n"
                             "    is_default: true\n"
                             "    rules:\n"
                             "      - {cmd: go, expression: 'nrs.run_id > 0'}\n";
    files_["s.yaml"] = text;
    script::TextFetcher fetcher(files_);
    script::LoadOptions options;
    options.script_url = "s.yaml";
    script::LoadResult loaded = script::LoadScript(options, &fetcher);
    for (const Status& error : loaded.errors) ADD_FAILURE() << Describe(error) << "\n" << text;
    script_ = loaded.script;
    ASSERT_NE(script_, nullptr);
  }

  /// Writes rows into a table of AddTable, spread over `batches`, in blocks of `block_rows`.
  void Fill(const std::string& name, const std::vector<Row>& rows, int64_t batches = 1,
            int64_t block_rows = data::kMaxBatchRows) {
    const store::TableSchema schema = SchemaOf(*script_->CreatorOf(name));
    const RunContext run = MakeContext({});
    std::vector<store::AttemptManifest> attempts;
    for (int64_t batch = 0; batch < batches; ++batch) {
      const auto [begin, end] =
          store::PartitionRange(static_cast<int64_t>(rows.size()), batch, batches);
      auto writer = Must(tables_store_->NewWriter(run.context, {kRunId, name}, schema, batch, {}));
      for (int64_t from = begin; from < end; from += block_rows) {
        const int64_t to = std::min(end, from + block_rows);
        store::TableWriter::Batch block;
        block.num_rows = to - from;
        for (size_t field = 0; field < schema.fields.size(); ++field) {
          std::vector<Value> values;
          for (int64_t row = from; row < to; ++row) {
            values.push_back(rows[static_cast<size_t>(row)][field]);
          }
          block.columns.push_back(ColumnOf(schema.fields[field].type, values));
        }
        CheckOk(writer->Put(block));
      }
      attempts.push_back(Must(writer->Finish()));
    }
    int64_t duplicates = 0;
    (void)Must(Freeze(run.context, schema, attempts, &duplicates));
  }

  /// Runs all batches of a node; a table it writes can then be read by other nodes.
  RunOutcome Run(const std::string& name, RunOptions options = {}) {
    RunOutcome outcome;
    outcome.status = TryRun(name, options, &outcome);
    return outcome;
  }

  NodeSetup SetupOf(const std::string& name) {
    const script::Node* node = script_->FindNode(name);
    NodeSetup setup;
    setup.script = script_;
    setup.node = node;
    setup.run_id = kRunId;
    setup.environment.now = data::Instant::FromMillis(1600000000000);
    setup.tables = tables_store_.get();
    setup.formulas = formulas_.get();
    setup.env = Env::Default();
    setup.files = file_access_.get();
    setup.strict = strict_;
    if (node->table_reader) setup.reader = tables_.at({kRunId, node->table_reader->table});
    if (node->lookup) {
      setup.lookup = tables_.at({kRunId, node->lookup->table});
      setup.lookup_index = Must(tables_store_->OpenIndex(setup.lookup, node->lookup->index_name));
    }
    if (node->file_reader) {
      for (const std::string& url : node->file_reader->urls) {
        setup.inputs.push_back(Must(file_access_->FingerprintOf(url)));
      }
    }
    return setup;
  }

  std::string WriteFile(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return directory_ / name;
  }

  static constexpr int64_t kRunId = 1;
  const TestDirectory directory_;
  const std::unique_ptr<files::Files> file_access_ = Must(files::Files::Make(Env::Default(), {}));
  std::shared_ptr<const script::Script> script_;
  std::unique_ptr<store::TableStore> tables_store_;
  std::map<store::TableId, std::shared_ptr<const store::Table>> tables_;
  /// What the loader can fetch besides the script.
  std::map<std::string, std::string> files_;
  std::unique_ptr<python::FormulaPool> formulas_;  // for py_calc nodes; null: none
  bool strict_ = false;

 protected:
  struct RunContext {
    std::unique_ptr<exec::TaskPool> pool;
    std::unique_ptr<exec::MemoryBudget> memory;
    std::unique_ptr<exec::Progress> progress;
    exec::Context context;
  };
  RunContext MakeContext(const RunOptions& options) const {
    RunContext run;
    run.pool = Must(exec::TaskPool::Make(options.threads));
    run.memory = std::make_unique<exec::MemoryBudget>(options.memory_limit);
    run.progress = std::make_unique<exec::Progress>();
    run.context.env = Env::Default();
    run.context.pool = run.pool.get();
    run.context.memory = run.memory.get();
    run.context.spill_directory = directory_ / "spill";
    run.context.progress = run.progress.get();
    return run;
  }

 private:
  store::TableStore::Resolver resolver() {
    return [this](const store::TableId& id) -> Result<std::shared_ptr<const store::Table>> {
      const auto found = tables_.find(id);
      if (found == tables_.end()) return BugError("no such table: " + id.name);
      return found->second;
    };
  }

  Result<std::shared_ptr<const store::Table>> Freeze(
      const exec::Context& context, const store::TableSchema& schema,
      const std::vector<store::AttemptManifest>& attempts, int64_t* duplicates) {
    std::vector<const store::AttemptManifest*> pointers;
    std::vector<std::string> texts;
    for (const store::AttemptManifest& attempt : attempts) {
      pointers.push_back(&attempt);
      texts.push_back(attempt.text);
    }
    CAPI_RETURN_NOT_OK(tables_store_->MakeDurable(pointers));
    CAPI_ASSIGN_OR_RETURN(
        const store::FreezeResult frozen,
        tables_store_->FreezeTable(context, {kRunId, schema.name}, schema, texts));
    *duplicates = frozen.duplicates;
    CAPI_ASSIGN_OR_RETURN(auto table, tables_store_->OpenTable(frozen.manifest, resolver()));
    tables_[table->id()] = table;
    return table;
  }

  Status TryRun(const std::string& name, const RunOptions& options, RunOutcome* outcome) {
    const RunContext run = MakeContext(options);
    CAPI_ASSIGN_OR_RETURN(auto runner, NodeRunner::Make(SetupOf(name)));
    const script::Node& node = *script_->FindNode(name);
    std::vector<store::AttemptManifest> attempts;
    for (int64_t batch = 0; batch < node.num_batches(); ++batch) {
      BatchTask task;
      task.batch_index = batch;
      CAPI_ASSIGN_OR_RETURN(BatchResult result, runner->RunBatch(run.context, task));
      outcome->counts += result.counts;
      if (result.table) attempts.push_back(std::move(*result.table));
      for (const FileOutput& file : result.files) {
        std::ifstream stream(file.plan.temp_path, std::ios::binary);
        std::ostringstream text;
        text << stream.rdbuf();
        outcome->files.push_back(text.str());
        outcome->targets.push_back(file.plan.target);
        EXPECT_EQ(file.size, static_cast<int64_t>(outcome->files.back().size()));
      }
    }
    outcome->spilled_bytes = run.progress->spilled_bytes;
    if (!node.writes_table()) return Status::OK();
    CAPI_ASSIGN_OR_RETURN(
        outcome->table, Freeze(run.context, SchemaOf(node), attempts, &outcome->duplicates_at_end));
    const store::Table& table = *outcome->table;
    std::vector<int> fields;
    for (size_t i = 0; i < table.schema().fields.size(); ++i) fields.push_back(static_cast<int>(i));
    for (const store::Table::Morsel& morsel : table.Morsels(0, table.num_rows())) {
      CAPI_ASSIGN_OR_RETURN(const auto scan, table.Read(morsel, fields));
      for (int64_t row = 0; row < scan.num_rows; ++row) {
        Texts texts;
        for (const auto& column : scan.columns) {
          CAPI_ASSIGN_OR_RETURN(const Value value, data::CellValue(*column, row));
          texts.push_back(data::ValueToText(value));
        }
        outcome->rows.push_back(std::move(texts));
      }
      outcome->row_ids.insert(outcome->row_ids.end(), scan.row_ids.begin(), scan.row_ids.end());
    }
    return Status::OK();
  }

  std::string nodes_;
};

}  // namespace capi::node
