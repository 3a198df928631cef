#include "capi/node/node.h"

#include <array>
#include <cstdio>

#include "capi/node/runners_internal.h"

namespace capi::node {

RowCounts& RowCounts::operator+=(const RowCounts& other) {
  in += other.in;
  filtered += other.filtered;
  rejected += other.rejected;
  unmatched_left += other.unmatched_left;
  duplicates += other.duplicates;
  untagged += other.untagged;
  beyond_limit += other.beyond_limit;
  out += other.out;
  csv_warnings += other.csv_warnings;
  return *this;
}

store::TableSchema SchemaOf(const script::Node& node) {
  store::TableSchema schema;
  const script::TableWriter& writer = *node.table_writer;
  schema.name = writer.name;
  schema.fields = script::FieldsOf(writer);
  for (const script::IndexDefinition& index : writer.indexes) {
    schema.indexes.push_back({index.name, index.unique, index.components});
    if (node.type == script::NodeType::kDistinctTable && index.unique) {
      schema.distinct_index = index.name;
    }
  }
  return schema;
}

std::string OutputUrl(const std::string& url_template, int64_t run_id, int64_t batch_index) {
  std::string url = url_template;
  const auto replace = [&url](std::string_view placeholder, int64_t number) {
    std::array<char, 24> digits;
    std::snprintf(digits.data(), digits.size(), "%05lld", static_cast<long long>(number));
    for (size_t at = url.find(placeholder); at != std::string::npos;
         at = url.find(placeholder, at)) {
      url.replace(at, placeholder.size(), digits.data());
    }
  };
  replace("{run_id|string}", run_id);
  replace("{batch_idx|string}", batch_index);
  replace("{run_id}", run_id);
  replace("{batch_idx}", batch_index);
  return url;
}

Result<std::unique_ptr<NodeRunner>> NodeRunner::Make(NodeSetup setup) {
  switch (setup.node->type) {
    case script::NodeType::kFileTable:
      return MakeFileTableRunner(std::move(setup));
    case script::NodeType::kTableTable:
    case script::NodeType::kDistinctTable:
      return MakeTableTableRunner(std::move(setup));
    case script::NodeType::kTableLookupTable:
      return MakeLookupRunner(std::move(setup));
    case script::NodeType::kTableFile:
      return MakeTableFileRunner(std::move(setup));
    case script::NodeType::kCustomTable:
      if (setup.node->processor->type == script::ProcessorType::kTagAndDenormalize) {
        return MakeTagRunner(std::move(setup));
      }
      return MakePyCalcRunner(std::move(setup));
  }
  return BugError("node of an unknown type");
}

Result<std::unique_ptr<files::Sink>> CreateRecordedSink(const NodeSetup& setup,
                                                        const BatchTask& task,
                                                        const std::string& url,
                                                        files::SinkPlan* plan) {
  const files::RecordPlan record = [&task](const files::SinkPlan& recorded) {
    return task.before_create ? task.before_create(recorded) : Status::OK();
  };
  return setup.files->CreateSink(url, record, plan);
}

}  // namespace capi::node
