#include "capi/node/output_manifest.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "arrow/array/array_primitive.h"
#include "arrow/array/data.h"
#include "arrow/type.h"
#include "capi/data/column.h"
#include "capi/data/datetime.h"
#include "capi/data/go_format.h"
#include "capi/node/runners_internal.h"

namespace capi::node {

using data::FieldType;

namespace {

class HashingSink final : public files::Sink {
 public:
  HashingSink(files::Sha256* hash, std::unique_ptr<files::Sink> target)
      : hash_(hash), target_(std::move(target)) {}

  Status Append(std::string_view bytes) override {
    hash_->Update(bytes);
    return target_->Append(bytes);
  }
  Result<int64_t> Seal() override { return target_->Seal(); }

 private:
  files::Sha256* const hash_;
  const std::unique_ptr<files::Sink> target_;
};

}  // namespace

void ColumnSum::AddExact(data::int128 value) {
  data::int128 sum = 0;
  if (!__builtin_add_overflow(exact_, value, &sum)) {
    exact_ = sum;
    return;
  }
  // Adding whole numbers within the cap of digits cannot fail.
  overflow_ = overflow_.Add(data::BigDecimal::FromInt128(exact_, 0)).ValueOr(overflow_);
  exact_ = value;
}

Status ColumnSum::Add(const std::shared_ptr<arrow::Array>& column) {
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Array> stored, data::ToStored(column));
  const int64_t n = stored->length();
  num_rows_ += n;
  switch (type_) {
    case FieldType::kInt: {
      const auto* values = stored->data()->GetValues<int64_t>(1);
      for (int64_t i = 0; i < n; ++i) AddExact(values[i]);
      break;
    }
    case FieldType::kDecimal2: {
      if (stored->type_id() == arrow::Type::DECIMAL64) {
        const auto* values = stored->data()->GetValues<int64_t>(1);
        for (int64_t i = 0; i < n; ++i) AddExact(values[i]);
        break;
      }
      const auto* bytes = stored->data()->GetValues<char>(1, 0) +
                          stored->offset() * static_cast<int64_t>(sizeof(data::int128));
      for (int64_t i = 0; i < n; ++i) {
        data::int128 value = 0;
        std::memcpy(&value, bytes + i * static_cast<int64_t>(sizeof(value)), sizeof(value));
        AddExact(value);
      }
      break;
    }
    case FieldType::kFloat: {
      const auto* values = stored->data()->GetValues<double>(1);
      for (int64_t i = 0; i < n; ++i) float_sum_ += values[i];
      break;
    }
    case FieldType::kBool:
      counted_ += static_cast<const arrow::BooleanArray&>(*stored).true_count();
      break;
    case FieldType::kString: {
      CAPI_ASSIGN_OR_RETURN(const data::StringReader texts, data::StringReader::Make(*stored));
      for (int64_t i = 0; i < n; ++i) counted_ += static_cast<int64_t>(texts[i].size());
      break;
    }
    case FieldType::kDatetime: {
      const auto* values = stored->data()->GetValues<int64_t>(1);
      for (int64_t i = 0; i < n; ++i) {
        least_millis_ = std::min(least_millis_, values[i]);
        most_millis_ = std::max(most_millis_, values[i]);
      }
      break;
    }
  }
  return Status::OK();
}

std::pair<std::string, std::string> ColumnSum::Summary() const {
  const auto exact = [this](int decimals) {
    const data::BigDecimal sum =
        overflow_.Add(data::BigDecimal::FromInt128(exact_, 0)).ValueOr(overflow_);
    if (decimals == 0) return sum.ToFixed(0);
    return sum.Multiply(data::BigDecimal::FromInt128(1, decimals)).ValueOr(sum).ToFixed(decimals);
  };
  switch (type_) {
    case FieldType::kInt:
      return {"sum", exact(0)};
    case FieldType::kDecimal2:
      return {"sum", exact(2)};
    case FieldType::kFloat: {
      std::string text;
      data::AppendFloatText(float_sum_, &text);
      return {"sum", text};
    }
    case FieldType::kBool:
      return {"true", std::to_string(counted_)};
    case FieldType::kString:
      return {"bytes", std::to_string(counted_)};
    case FieldType::kDatetime: {
      if (num_rows_ == 0) return {"range", ""};
      return {"range", data::DatetimeToRfc3339(data::Instant::FromMillis(least_millis_)) + "/" +
                           data::DatetimeToRfc3339(data::Instant::FromMillis(most_millis_))};
    }
  }
  return {};
}

OutputManifest::OutputManifest(const NodeSetup& setup) : setup_(setup) {
  for (const script::FileColumn& column : setup.node->file_writer->columns) {
    sums_.emplace_back(column.field.type);
  }
}

std::unique_ptr<files::Sink> OutputManifest::Watch(std::unique_ptr<files::Sink> sink) {
  return std::make_unique<HashingSink>(&hash_, std::move(sink));
}

Status OutputManifest::AddRows(const Columns& columns) {
  for (size_t i = 0; i < sums_.size(); ++i) CAPI_RETURN_NOT_OK(sums_[i].Add(columns[i]));
  return Status::OK();
}

std::string OutputManifest::UrlOf(const std::string& file_url) {
  return file_url + ".manifest.json";
}

std::string OutputManifest::Text(int64_t batch_index, const FileOutput& file) {
  const script::Script& script = *setup_.script;
  nlohmann::ordered_json json;
  json["file"] = file.plan.target.substr(file.plan.target.find_last_of('/') + 1);
  json["rows"] = file.rows;
  json["size"] = file.size;
  json["sha256"] = hash_.Finish();
  json["run_id"] = setup_.run_id;
  json["node"] = setup_.node->name;
  json["batch"] = batch_index;
  json["script_hash"] = script.script_hash;
  json["parameters_hash"] = script.parameters_hash;
  json["columns"] = nlohmann::ordered_json::array();
  const std::vector<script::FileColumn>& columns = setup_.node->file_writer->columns;
  for (size_t i = 0; i < columns.size(); ++i) {
    const script::FileColumn& column = columns[i];
    nlohmann::ordered_json entry;
    entry["name"] = column.parquet_name.empty() ? column.header : column.parquet_name;
    entry["type"] = data::FieldTypeName(column.field.type);
    const auto [name, value] = sums_[i].Summary();
    entry[name] = value;
    json["columns"].push_back(std::move(entry));
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<FileOutput> OutputManifest::Write(const BatchTask& task, const std::string& url,
                                         const FileOutput& file) {
  FileOutput output;
  CAPI_ASSIGN_OR_RETURN(auto sink, CreateRecordedSink(setup_, task, UrlOf(url), &output.plan));
  CAPI_RETURN_NOT_OK(sink->Append(Text(task.batch_index, file)));
  CAPI_ASSIGN_OR_RETURN(output.size, sink->Seal());
  return output;
}

}  // namespace capi::node
