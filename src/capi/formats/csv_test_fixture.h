#pragma once

// Fixtures of this room's tests: a pool, reading a text into memory, case files.

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "capi/data/column.h"
#include "capi/exec/context.h"
#include "capi/formats/csv_reader.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace capi::formats {

/// A context with its own pool.
class TestContext {
 public:
  explicit TestContext(int num_threads) {
    pool_ = exec::TaskPool::Make(num_threads).ValueOrDie();
    context_.env = Env::Default();
    context_.pool = pool_.get();
    context_.memory = &memory_;
    context_.progress = &progress_;
  }
  const exec::Context& operator*() const { return context_; }
  exec::Progress& progress() { return progress_; }
  exec::Context& mutable_context() { return context_; }

 private:
  std::unique_ptr<exec::TaskPool> pool_;
  exec::MemoryBudget memory_{0};
  exec::Progress progress_;
  exec::Context context_;
};

/// What a reading gave.
struct ReadOutcome {
  Status status;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  /// Values of all rows as text.
  std::vector<std::vector<std::string>> rows;
  /// Line of the first and of the last row of each batch.
  std::vector<int64_t> lines;
  CsvReadStatistics statistics;
};

inline ReadOutcome ReadAll(TestContext* context, std::string_view text,
                           const CsvReadOptions& options) {
  struct Lined {
    std::shared_ptr<arrow::RecordBatch> batch;
    int64_t first_line;
    int64_t last_line;
  };
  ReadOutcome outcome;
  outcome.status = ReadCsv(
      **context, text, options,
      [](CsvBatch batch) -> Result<std::shared_ptr<void>> {
        const int64_t last = batch.batch->num_rows() - 1;
        return std::make_shared<Lined>(Lined{batch.batch, batch.LineOf(0), batch.LineOf(last)});
      },
      [&outcome](std::shared_ptr<void> result) -> Status {
        const auto& lined = *static_cast<const Lined*>(result.get());
        outcome.batches.push_back(lined.batch);
        outcome.lines.push_back(lined.first_line);
        outcome.lines.push_back(lined.last_line);
        for (int64_t row = 0; row < lined.batch->num_rows(); ++row) {
          std::vector<std::string>& cells = outcome.rows.emplace_back();
          for (const auto& column : lined.batch->columns()) {
            CAPI_ASSIGN_OR_RETURN(const data::Value value, data::CellValue(*column, row));
            cells.push_back(data::ValueToText(value));
          }
        }
        return Status::OK();
      },
      &outcome.statistics);
  return outcome;
}

inline std::vector<nlohmann::json> LoadCases(const std::string& file) {
  const std::string path = std::string(CAPI_SOURCE_DIR) + "/tests/cases/" + file;
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::vector<nlohmann::json> cases;
  std::string line;
  while (std::getline(in, line)) {
    if (!line.empty()) {
      cases.push_back(nlohmann::json::parse(line));
    }
  }
  return cases;
}

/// Our answers to CSV cases that differ from stated ones, by case id.
inline nlohmann::json LoadDeviations() {
  nlohmann::json deviations = nlohmann::json::object();
  for (const nlohmann::json& line : LoadCases("deviations.jsonl")) {
    if (line.at("suite") == "csv") {
      deviations[line.at("id").get<std::string>()] = line;
    }
  }
  return deviations;
}

inline CsvColumn MakeColumn(const std::string& name, data::FieldType type, int64_t index,
                            const std::string& format = "") {
  CsvColumn column;
  column.field = {name, type};
  column.header = name;
  column.index = index;
  column.format = format;
  return column;
}

}  // namespace capi::formats
