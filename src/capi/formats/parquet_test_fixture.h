#pragma once

// Small Parquet files made with the library, for the tests of the reader and of the writer.

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/record_batch.h"
#include "capi/data/column.h"
#include "capi/formats/csv_test_fixture.h"
#include "capi/formats/parquet_reader.h"
#include "gtest/gtest.h"
#include "parquet/column_writer.h"
#include "parquet/file_writer.h"
#include "parquet/properties.h"
#include "parquet/schema.h"

namespace capi::formats {

/// A file under construction: columns are added with all their values, then the bytes taken.
class ParquetFileMaker {
 public:
  using Properties = parquet::WriterProperties::Builder;

  /// A column of one physical type; rows without a value (present[i] == 0) have none in `values`.
  template <typename DType>
  ParquetFileMaker& Add(const std::string& name,
                        std::shared_ptr<const parquet::LogicalType> logical,
                        std::vector<typename DType::c_type> values,
                        std::vector<int16_t> present = {}, int length = -1) {
    const auto repetition =
        present.empty() ? parquet::Repetition::REQUIRED : parquet::Repetition::OPTIONAL;
    nodes_.push_back(parquet::schema::PrimitiveNode::Make(name, repetition, std::move(logical),
                                                          DType::type_num, length));
    num_rows_ = static_cast<int64_t>(present.empty() ? values.size() : present.size());
    writers_.push_back([values = std::move(values), present = std::move(present),
                        rows = num_rows_](parquet::ColumnWriter* column) {
      // std::vector<bool> has no plain array of values.
      const auto array = std::make_unique<typename DType::c_type[]>(values.size());
      std::copy(values.begin(), values.end(), array.get());
      static_cast<parquet::TypedColumnWriter<DType>*>(column)->WriteBatch(
          rows, present.empty() ? nullptr : present.data(), nullptr, array.get());
    });
    return *this;
  }

  std::string Make(Properties properties = Properties()) const {
    const auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
    const auto schema = std::static_pointer_cast<parquet::schema::GroupNode>(
        parquet::schema::GroupNode::Make("root", parquet::Repetition::REQUIRED, nodes_));
    const auto writer = parquet::ParquetFileWriter::Open(sink, schema, properties.build());
    auto* const group = writer->AppendRowGroup();
    for (const auto& write : writers_) write(group->NextColumn());
    writer->Close();
    return sink->Finish().ValueOrDie()->ToString();
  }

 private:
  parquet::schema::NodeVector nodes_;
  std::vector<std::function<void(parquet::ColumnWriter*)>> writers_;
  int64_t num_rows_ = 0;
};

inline ParquetColumn WantedColumn(const std::string& name, data::FieldType type,
                                  data::Value default_value) {
  return {{name, type}, name, std::move(default_value), true};
}

/// What a reading gave.
struct ParquetOutcome {
  Status status;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  std::vector<int64_t> first_rows;
  std::vector<std::vector<std::string>> rows;
  ParquetReadStatistics statistics;
};

inline ParquetOutcome ReadAll(TestContext* context, const std::string& file,
                              const ParquetReadOptions& options) {
  ParquetOutcome outcome;
  outcome.status = ReadParquet(
      **context, file, options,
      [](ParquetBatch batch) -> Result<std::shared_ptr<void>> {
        return std::make_shared<ParquetBatch>(std::move(batch));
      },
      [&outcome](std::shared_ptr<void> result) -> Status {
        const auto& batch = *static_cast<const ParquetBatch*>(result.get());
        outcome.batches.push_back(batch.batch);
        outcome.first_rows.push_back(batch.first_row);
        for (int64_t row = 0; row < batch.batch->num_rows(); ++row) {
          std::vector<std::string>& cells = outcome.rows.emplace_back();
          for (const auto& column : batch.batch->columns()) {
            CAPI_ASSIGN_OR_RETURN(const data::Value value, data::CellValue(*column, row));
            cells.push_back(data::ValueToText(value));
          }
        }
        return Status::OK();
      },
      &outcome.statistics);
  return outcome;
}

}  // namespace capi::formats
