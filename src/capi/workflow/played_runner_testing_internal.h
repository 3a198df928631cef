#pragma once

// For tests: a node runner whose batches are played by the test.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/node/node.h"

namespace capi::workflow {

/// What a played batch does before it writes its row: an error fails the attempt.
using Play = std::function<Status(const std::string& node, const node::BatchTask& task,
                                  const exec::CancelToken& cancel)>;

/// Waits until `condition` holds or the attempt is cancelled.
inline Status WaitFor(const std::function<bool()>& condition, const exec::CancelToken& cancel) {
  while (!condition()) {
    CAPI_RETURN_NOT_OK(cancel.Check());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Status::OK();
}

/// Every batch writes one row (its index) or one file line.
class PlayedRunner final : public node::NodeRunner {
 public:
  /// `alike`: all rows have the same value.
  PlayedRunner(node::NodeSetup setup, Play play, bool alike)
      : setup_(std::move(setup)), play_(std::move(play)), alike_(alike) {}

  Result<node::BatchResult> RunBatch(const exec::Context& context,
                                     const node::BatchTask& task) override {
    node::BatchResult result;
    result.counts.in = 1;
    if (setup_.node->file_writer) {
      CAPI_ASSIGN_OR_RETURN(
          files::SinkPlan plan,
          files::PlanSink(context.env, node::OutputUrl(setup_.node->file_writer->url_template,
                                                       setup_.run_id, task.batch_index)));
      CAPI_RETURN_NOT_OK(task.before_create(plan));
      CAPI_ASSIGN_OR_RETURN(std::unique_ptr<files::Sink> sink,
                            files::Sink::Open(context.env, plan));
      CAPI_RETURN_NOT_OK(sink->Append("rows " + std::to_string(setup_.reader->num_rows()) + "\n"));
      CAPI_RETURN_NOT_OK(play_(setup_.node->name, task, context.cancel));
      CAPI_ASSIGN_OR_RETURN(const int64_t size, sink->Seal());
      result.files.push_back({plan, size, 1});
      result.counts.out = 1;
      return result;
    }
    CAPI_RETURN_NOT_OK(play_(setup_.node->name, task, context.cancel));
    CAPI_ASSIGN_OR_RETURN(
        std::unique_ptr<store::TableWriter> writer,
        setup_.tables->NewWriter(context, {setup_.run_id, setup_.node->table_writer->name},
                                 node::SchemaOf(*setup_.node), task.batch_index, {}));
    CAPI_ASSIGN_OR_RETURN(
        std::shared_ptr<arrow::Array> column,
        data::ConstantColumn(data::FieldType::kInt, data::Value(alike_ ? 7 : task.batch_index), 1));
    store::TableWriter::Batch batch;
    batch.num_rows = 1;
    batch.columns = {column};
    CAPI_RETURN_NOT_OK(writer->Put(batch));
    CAPI_ASSIGN_OR_RETURN(result.table, writer->Finish());
    result.counts.out = 1;
    return result;
  }

 private:
  node::NodeSetup setup_;
  Play play_;
  bool alike_;
};

}  // namespace capi::workflow
