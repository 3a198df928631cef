#pragma once

// Fixtures of this room's tests: a pool, reading a text into memory, case files.

#include <algorithm>
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

/// A text that arrives byte by byte and is overwritten where it was given up.
class TricklingText final : public files::InputText {
 public:
  explicit TricklingText(std::string_view text) : text_(text) {}
  const char* data() const override { return text_.data(); }
  Result<int64_t> WaitFor(int64_t end, const exec::CancelToken&) override {
    return std::min(end, static_cast<int64_t>(text_.size()));
  }
  void Release(int64_t begin) override {
    std::fill(text_.begin() + released_, text_.begin() + begin, '?');
    released_ = begin;
  }
  Result<files::InputRecord> Finish(const exec::CancelToken&) override {
    return files::InputRecord{};
  }
  int64_t expected_bytes() const override { return static_cast<int64_t>(text_.size()); }
  bool keeps_text() const override { return false; }

 private:
  std::string text_;
  int64_t released_ = 0;
};

/// `input` is a text or a files::InputText*.
template <typename Input>
ReadOutcome ReadInput(TestContext* context, Input input, const CsvReadOptions& options) {
  struct Lined {
    std::shared_ptr<arrow::RecordBatch> batch;
    int64_t first_line;
    int64_t last_line;
  };
  ReadOutcome outcome;
  outcome.status = ReadCsv(
      **context, input, options,
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

/// Reads a text that is there and one that arrives over time: both must give the same.
inline ReadOutcome ReadAll(TestContext* context, std::string_view text,
                           const CsvReadOptions& options) {
  TricklingText trickle(text);
  const ReadOutcome streamed = ReadInput<files::InputText*>(context, &trickle, options);
  context->progress().work_done = 0;
  context->progress().rows_in = 0;
  ReadOutcome outcome = ReadInput(context, text, options);
  EXPECT_EQ(Describe(streamed.status), Describe(outcome.status));
  EXPECT_EQ(streamed.rows, outcome.rows);
  EXPECT_EQ(streamed.lines, outcome.lines);
  EXPECT_EQ(streamed.statistics.records, outcome.statistics.records);
  EXPECT_EQ(streamed.statistics.unclosed_quotes, outcome.statistics.unclosed_quotes);
  EXPECT_EQ(streamed.statistics.left_over_cells, outcome.statistics.left_over_cells);
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
