#include <gtest/gtest.h>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

class TableFileTest : public NodeTest {
 protected:
  void LoadWriter(int64_t batches, const std::string& settings,
                  const std::string& columns = kColumns,
                  const std::string& url = "out/{run_id}_{batch_idx}.csv") {
    AddTable("source", {{"k", FieldType::kInt}, {"s", FieldType::kString}});
    AddNode("write", "type: table_file\nr: {table: source, expected_batches_total: " +
                         std::to_string(batches) + "}\nw:\n  url_template: '" + (directory_ / url) +
                         "'\n" + Indented(settings, 2) + "  columns:\n" + Indented(columns, 4));
    Load();
  }
  static constexpr char kColumns[] =
      "- {name: k, type: int, expression: r.k, csv: {header: k, format: '%d'}}\n"
      "- {name: s, type: string, expression: r.s, csv: {header: 's,s', format: '%s'}}\n";
};

TEST_F(TableFileTest, RowIdOrderWithoutTop) {
  LoadWriter(1, "", kColumns);
  Fill("source",
       {{Int(3), Text("c")}, {Int(1), Text("a,b")}, {Int(2), Text("\"")}, {Int(3), Text("")}}, 2);
  const RunOutcome found = Run("write");
  CheckOk(found.status);
  EXPECT_EQ(found.files, Texts{"k,\"s,s\"\r\n3,c\n1,\"a,b\"\n2,\"\"\"\"\n3,\n"});
  EXPECT_EQ(found.targets, Texts{directory_ / "out/00001_00000.csv"});
  EXPECT_EQ(found.counts.in, 4);
  EXPECT_EQ(found.counts.out, 4);
  // Nothing appears at the target before the caller publishes.
  EXPECT_FALSE(Must(Env::Default()->Exists(directory_ / "out/00001_00000.csv")));
}

TEST_F(TableFileTest, SeveralBatchesSplitTheRows) {
  LoadWriter(3, "having: w.k != 4\n");
  std::vector<Row> rows;
  for (int64_t i = 0; i < 8; ++i) rows.push_back({Int(i), Text("x")});
  Fill("source", rows, 2);
  const RunOutcome found = Run("write");
  CheckOk(found.status);
  const std::string header = "k,\"s,s\"\r\n";
  EXPECT_EQ(found.files,
            (Texts{header + "0,x\n1,x\n", header + "2,x\n3,x\n", header + "5,x\n6,x\n7,x\n"}));
  EXPECT_EQ(found.targets,
            (Texts{directory_ / "out/00001_00000.csv", directory_ / "out/00001_00001.csv",
                   directory_ / "out/00001_00002.csv"}));
  EXPECT_EQ(found.counts.filtered, 1);
}

TEST_F(TableFileTest, ManyRowsKeepTheirOrder) {
  LoadWriter(1, "");
  std::vector<Row> rows;
  std::string expected = "k,\"s,s\"\r\n";
  for (int64_t i = 0; i < 150000; ++i) {
    rows.push_back({Int(i * 7 % 1000), Text("s" + std::to_string(i % 99))});
    expected += std::to_string(i * 7 % 1000) + ",s" + std::to_string(i % 99) + "\n";
  }
  Fill("source", rows, 2);
  for (const int threads : {1, 7}) {
    const RunOutcome found = Run("write", {threads, 0});
    CheckOk(found.status);
    EXPECT_TRUE(found.files == Texts{expected}) << threads << " threads";
  }
}

TEST_F(TableFileTest, SortedFileInManyBlocks) {
  LoadWriter(1, "top: {order: 'k(desc)'}\n");
  std::vector<Row> rows;
  for (int64_t i = 0; i < 100000; ++i) rows.push_back({Int(i % 10), Text(std::to_string(i))});
  Fill("source", rows, 2);
  std::string expected = "k,\"s,s\"\r\n";
  for (int64_t k = 9; k >= 0; --k) {
    for (int64_t i = k; i < 100000; i += 10) {
      expected += std::to_string(k) + "," + std::to_string(i) + "\n";
    }
  }
  for (const int threads : {1, 7}) {
    for (const int64_t limit : {0, 1}) {
      const RunOutcome found = Run("write", {threads, limit});
      CheckOk(found.status);
      EXPECT_TRUE(found.files == Texts{expected}) << threads << " threads, limit " << limit;
    }
  }
}

TEST_F(TableFileTest, TopHavingAndLimit) {
  LoadWriter(1, "top: {order: 's(ignore_case), k(desc)', limit: 3}\nhaving: w.k > 1\n");
  Fill("source", {{Int(1), Text("a")},
                  {Int(2), Text("B")},
                  {Int(3), Text("b")},
                  {Int(4), Text("A")},
                  {Int(2), Text("c")}});
  for (const int64_t limit : {0, 1}) {
    const RunOutcome found = Run("write", {2, limit});
    CheckOk(found.status);
    EXPECT_EQ(found.files, Texts{"k,\"s,s\"\r\n4,A\n3,b\n2,B\n"});
    EXPECT_EQ(found.counts.in, 5);
    EXPECT_EQ(found.counts.filtered, 1);
    EXPECT_EQ(found.counts.beyond_limit, 1);
    EXPECT_EQ(found.counts.out, 3);
  }
}

TEST_F(TableFileTest, NoRowsGiveAHeader) {
  LoadWriter(2, "top: {order: k}\ncsv: {separator: ';', line_end: CRLF}\n");
  Fill("source", {});
  const RunOutcome found = Run("write");
  CheckOk(found.status);
  EXPECT_EQ(found.files, (Texts{"k;s,s\r\n", "k;s,s\r\n"}));
}

TEST_F(TableFileTest, PlanIsToldBeforeTheFileIsMade) {
  LoadWriter(1, "");
  Fill("source", {{Int(1), Text("")}});
  const RunContext run = MakeContext({});
  const auto runner = Must(NodeRunner::Make(SetupOf("write")));
  BatchTask task;
  files::SinkPlan told;
  task.before_create = [&](const files::SinkPlan& plan) {
    told = plan;
    EXPECT_FALSE(Must(Env::Default()->Exists(plan.temp_path)));
    return Status::OK();
  };
  const BatchResult result = Must(runner->RunBatch(run.context, task));
  ASSERT_EQ(result.files.size(), 1U);
  EXPECT_EQ(result.files[0].plan.temp_path, told.temp_path);
  EXPECT_EQ(result.files[0].rows, 1);
  EXPECT_TRUE(Must(Env::Default()->Exists(told.temp_path)));
  task.before_create = [](const files::SinkPlan&) { return EnvironmentError("not recorded"); };
  EXPECT_EQ(KindOf(runner->RunBatch(run.context, task).status()), ErrorKind::kEnvironment);
}

TEST_F(TableFileTest, MissingDirectory) {
  LoadWriter(1, "", kColumns, "nowhere/a.csv");
  Fill("source", {{Int(1), Text("")}});
  const Status status = Run("write").status;
  EXPECT_EQ(InfoOf(status).error_class, "directory_not_found") << Describe(status);
  EXPECT_CONTAINS(status.message(), "nowhere");
}

TEST_F(TableFileTest, ErrorNamesRowAndColumn) {
  constexpr char kFailing[] =
      "- {name: k, type: int, expression: r.k, csv: {header: k, format: '%d'}}\n"
      "- {name: q, type: int, expression: 10 / (r.k - 2), csv: {header: q, format: '%d'}}\n";
  LoadWriter(1, "", kFailing);
  Fill("source", {{Int(1), Text("")}, {Int(2), Text("")}});
  const Status status = Run("write").status;
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_CONTAINS(status.message(), "row 2 of batch 0 of table source_00001");
  EXPECT_CONTAINS(status.message(), "r.k=2");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.write.w.columns[1].expression");
}

TEST_F(TableFileTest, SortErrorsComeByRowThenByColumnOfTheScript) {
  constexpr char kFailing[] =
      "- {name: k, type: int, expression: r.k, csv: {header: k, format: '%d'}}\n"
      "- {name: p, type: int, expression: 10 / (r.k - 2), csv: {header: p, format: '%d'}}\n"
      "- {name: q, type: int, expression: 20 / (r.k - 2), csv: {header: q, format: '%d'}}\n";
  LoadWriter(1, "top: {order: 'q, p'}\n", kFailing);
  Fill("source", {{Int(1), Text("")}, {Int(2), Text("")}, {Int(3), Text("")}});
  for (const int64_t limit : {0, 1}) {
    const Status status = Run("write", {2, limit}).status;
    EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    EXPECT_CONTAINS(status.message(), "row 2 of batch 0 of table source_00001");
    EXPECT_EQ(InfoOf(status).field_path, "nodes.write.w.columns[1].expression");
  }
}

}  // namespace
}  // namespace capi::node
