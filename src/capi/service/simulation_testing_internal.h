#pragma once

// For tests: a small pipeline in a world whose disk loses unsynced writes, fails and fills up.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/record_batch.h"
#include "capi/base/fault_env.h"
#include "capi/base/test_directory.h"
#include "capi/files/files.h"
#include "capi/service/engine.h"
#include "capi/service/history.h"
#include "capi/service/keyspace.h"
#include "capi/service/preview.h"
#include "capi/state/sqlite/fault_vfs.h"

namespace capi::service {

constexpr int64_t kPlentyOfMemory = int64_t{256} << 20;

/// What a finished run leaves behind.
struct Results {
  std::map<std::string, std::string> files;  ///< everything in the output directory, by name
  std::map<std::string, std::vector<std::shared_ptr<arrow::RecordBatch>>> tables;

  /// What differs, "" if nothing does.
  std::string DifferenceFrom(const Results& expected) const {
    for (const auto& [name, content] : expected.files) {
      if (!files.contains(name)) return "output file is missing: " + name;
      if (files.at(name) != content) return "output file differs: " + name;
    }
    for (const auto& [name, content] : files) {
      if (!expected.files.contains(name)) return "unexpected file: " + name;
    }
    if (tables.size() != expected.tables.size()) return "other tables are finished";
    for (const auto& [name, batches] : expected.tables) {
      const auto found = tables.find(name);
      if (found == tables.end() || found->second.size() != batches.size()) {
        return "table differs: " + name;
      }
      for (size_t i = 0; i < batches.size(); ++i) {
        if (!found->second[i]->Equals(*batches[i])) return "rows differ: " + name;
      }
    }
    return "";
  }
};

/// Runs a pipeline of two file tables of several files, a join, a grouped join, a distinct table,
/// and output files: sorted and not, of one and several batches. Its keyspace and output directory
/// are on the simulated disk, script and inputs are not.
class SimulatedWorld {
 public:
  static constexpr int kOrderFiles = 3;
  static constexpr int kItemFiles = 2;
  static constexpr int kOrdersPerFile = 300;
  static constexpr int kItemsPerFile = 700;

  explicit SimulatedWorld(uint64_t seed)
      : directory_(MemoryDirectoryOr(testing::TempDir())),
        env_(FaultEnv::Make(Env::Default(), directory_ / "world", seed).ValueOrDie()),
        vfs_(state::FaultVfs::Register(env_.get(), directory_.path()).ValueOrDie()) {
    Require(Env::Default()->CreateDirectories(directory_ / "in"));
    Require(env_->CreateDirectories(output_directory()));
    for (int file = 0; file < kOrderFiles; ++file) {
      std::string csv = "id,customer,day\n";
      for (int row = 0; row < kOrdersPerFile; ++row) {
        const int id = file * kOrdersPerFile + row;
        csv += std::to_string(id) + ",customer " + std::to_string(id * 7 % 97) + ",2024-01-" +
               std::to_string(10 + id % 20) + "\n";
      }
      Write("orders" + std::to_string(file) + ".csv", csv);
    }
    for (int file = 0; file < kItemFiles; ++file) {
      std::string csv = "order_id,product,price\n";
      for (int row = 0; row < kItemsPerFile; ++row) {
        const int item = file * kItemsPerFile + row;
        csv += std::to_string(item * 31 % 1000) + ",product " + std::to_string(item * 13 % 57) +
               "," + std::to_string(item % 90) + ".25\n";
      }
      Write("items" + std::to_string(file) + ".csv", csv);
    }
    std::ofstream(directory_ / "pipeline.yaml", std::ios::binary) << Script();
  }

  FaultEnv* env() { return env_.get(); }
  std::string output_directory() const { return directory_ / "world/out"; }
  std::string root() const { return directory_ / "world"; }
  std::string keyspace_directory() const { return directory_ / "world/data/pipeline"; }
  KeyspaceOptions keyspace() const {
    KeyspaceOptions options;
    options.env = env_.get();
    options.files = files_.get();
    options.data_directory = directory_ / "world/data";
    options.name = "pipeline";
    options.sqlite_vfs = vfs_->name();
    return options;
  }

  /// An input file outside the simulated disk.
  void Write(const std::string& name, const std::string& content) const {
    std::ofstream(InputPath(name), std::ios::binary) << content;
  }
  std::string InputPath(const std::string& name) const { return directory_ / ("in/" + name); }

  /// What `capi run` does in a process of its own.
  Result<RunSummary> Run(int threads, int64_t memory_limit = kPlentyOfMemory) {
    EngineOptions engine_options;
    engine_options.data_directory = directory_ / "world/data";
    engine_options.threads = threads;
    engine_options.memory_limit = memory_limit;
    engine_options.env = env_.get();
    engine_options.sqlite_vfs = vfs_->name();
    CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Make(engine_options));
    RunOptions run_options;
    run_options.script.script_url = directory_ / "pipeline.yaml";
    CAPI_ASSIGN_OR_RETURN(RunSummary summary, engine->RunScript(run_options, nullptr));
    for (const Status& error : summary.script_errors) ADD_FAILURE() << Describe(error);
    return summary;
  }

  Result<Results> Read() {
    Results results;
    CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          env_->ListDirectory(output_directory()));
    for (const std::string& name : names) {
      CAPI_ASSIGN_OR_RETURN(results.files[name], env_->ReadFile(output_directory() + "/" + name));
    }
    CAPI_ASSIGN_OR_RETURN(const std::vector<TableInfo> tables, TablesOf(keyspace()));
    const int64_t newest = tables.empty() ? 0 : tables.back().run_id;
    for (const TableInfo& table : tables) {
      if (table.run_id != newest) continue;
      PreviewOptions options;
      options.table = table.table;
      options.run_id = newest;
      options.limit = -1;
      CAPI_ASSIGN_OR_RETURN(Preview preview, PreviewTable(keyspace(), options));
      results.tables[table.table] = std::move(preview.batches);
    }
    return results;
  }

 private:
  static void Require(const Status& status) {
    if (!status.ok()) status.Abort();
  }

  std::string Urls(const std::string& name, int files) const {
    std::string urls;
    for (int file = 0; file < files; ++file) {
      urls += (file == 0 ? "" : ", ") + InputPath(name + std::to_string(file) + ".csv");
    }
    return urls;
  }

  std::string Script() const {
    std::string text = R"yaml(nodes:
  read_orders:
    type: file_table
    r:
      urls: [<ORDERS>]
      csv: {hdr_line_idx: 0, first_data_line_idx: 1}
      columns:
        id: {csv: {col_hdr: id, col_format: "%d"}, col_type: int}
        customer: {csv: {col_hdr: customer}, col_type: string}
        day: {csv: {col_hdr: day, col_format: "2006-01-02"}, col_type: datetime}
    w:
      name: orders
      fields:
        id: {expression: r.id, type: int}
        customer: {expression: r.customer, type: string}
        day: {expression: r.day, type: datetime}
      indexes: {idx_orders_to_check_uniq: unique(id)}
  read_items:
    type: file_table
    r:
      urls: [<ITEMS>]
      csv: {hdr_line_idx: 0, first_data_line_idx: 1}
      columns:
        order_id: {csv: {col_hdr: order_id, col_format: "%d"}, col_type: int}
        product: {csv: {col_hdr: product}, col_type: string}
        price: {csv: {col_hdr: price}, col_type: decimal2}
    w:
      name: items
      fields:
        order_id: {expression: r.order_id, type: int}
        product: {expression: r.product, type: string}
        price: {expression: r.price, type: decimal2}
      indexes: {idx_items_order: non_unique(order_id)}
  join_items:
    type: table_lookup_table
    r: {table: orders, expected_batches_total: 4}
    l: {index_name: idx_items_order, join_on: r.id, group: false, join_type: left}
    w:
      name: joined
      fields:
        id: {expression: r.id, type: int}
        day: {expression: r.day, type: datetime}
        product: {expression: l.product, type: string, default_value: none}
        price: {expression: l.price, type: decimal2, default_value: "0.00"}
  total_items:
    type: table_lookup_table
    r: {table: orders, expected_batches_total: 3}
    l: {index_name: idx_items_order, join_on: r.id, group: true, join_type: inner}
    w:
      name: totals
      fields:
        id: {expression: r.id, type: int}
        customer: {expression: r.customer, type: string}
        total: {expression: sum(l.price), type: decimal2}
        items: {expression: count(), type: int}
  products:
    type: distinct_table
    rerun_policy: fail
    r: {table: joined, expected_batches_total: 3}
    w:
      name: products
      fields:
        product: {expression: r.product, type: string}
      indexes: {idx_products: unique(product)}
  write_totals:
    type: table_file
    r: {table: totals}
    w:
      url_template: <OUT>/totals.csv
      top: {order: "total(desc), id"}
      columns:
        - {name: id, type: int, expression: r.id, csv: {header: id, format: "%d"}}
        - {name: customer, type: string, expression: r.customer, csv: {header: customer, format: "%s"}}
        - {name: total, type: decimal2, expression: r.total, csv: {header: total, format: "%s"}}
  write_joined:
    type: table_file
    r: {table: joined, expected_batches_total: 3}
    w:
      url_template: "<OUT>/joined_{batch_idx|string}.csv"
      columns:
        - {name: id, type: int, expression: r.id, csv: {header: id, format: "%d"}}
        - {name: product, type: string, expression: r.product, csv: {header: product, format: "%s"}}
  write_products:
    type: table_file
    r: {table: products}
    w:
      url_template: <OUT>/products.csv
      columns:
        - {name: product, type: string, expression: r.product, csv: {header: product, format: "%s"}}
dependency_policies:
  current_run_only:
    is_default: true
    event_priority_order: run_is_current(desc), run_id(desc)
    rules:
      - {cmd: go, expression: nrs.run_is_current == true && nrs.node_status == wfmodel.NodeBatchSuccess}
      - {cmd: nogo, expression: nrs.run_is_current == true && nrs.node_status == wfmodel.NodeBatchFail}
      - {cmd: wait, expression: nrs.run_is_current == true}
)yaml";
    const auto fill_in = [&text](const std::string& mark, const std::string& value) {
      for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
        text.replace(at, mark.size(), value);
      }
    };
    fill_in("<ORDERS>", Urls("orders", kOrderFiles));
    fill_in("<ITEMS>", Urls("items", kItemFiles));
    fill_in("<OUT>", output_directory());
    return text;
  }

  const TestDirectory directory_;
  const std::unique_ptr<FaultEnv> env_;
  const std::unique_ptr<files::Files> files_ = files::Files::Make(env_.get(), {}).ValueOrDie();
  const std::unique_ptr<state::FaultVfs> vfs_;
};

}  // namespace capi::service
