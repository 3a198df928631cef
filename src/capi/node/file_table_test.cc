#include <gtest/gtest.h>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

class FileTableTest : public NodeTest {
 protected:
  /// A node `read` over files with columns id (int), v (int) and s (string, by header).
  void LoadReader(const std::vector<std::string>& files, const std::string& fields,
                  const std::string& having = "",
                  const std::string& csv = "hdr_line_idx: 0, first_data_line_idx: 1",
                  const std::string& indexes = "") {
    std::string urls;
    for (const std::string& file : files) urls += (urls.empty() ? "'" : ", '") + file + "'";
    AddNode("read", "type: file_table\nr:\n  urls: [" + urls + "]\n  csv: {" + csv +
                        "}\n  columns:\n"
                        "    id: {csv: {col_hdr: id}, col_type: int}\n"
                        "    v: {csv: {col_hdr: v, col_format: '%d'}, col_type: int, "
                        "col_default_value: '5'}\n"
                        "    s: {csv: {col_hdr: s}, col_type: string}\n"
                        "w:\n  name: t\n" +
                        (having.empty() ? "" : "  having: " + having + "\n") + "  fields:\n" +
                        Indented(fields, 4) +
                        (indexes.empty() ? "" : "  indexes:\n" + Indented(indexes, 4)));
    Load();
  }

  Status FailureOf(const std::string& node = "read") {
    Status status;
    for (const int threads : {1, 3}) {
      const Status found = Run(node, {threads, 0}).status;
      EXPECT_EQ(KindOf(found), ErrorKind::kUser) << Describe(found);
      if (status.ok()) status = found;
      EXPECT_EQ(found.message(), status.message());
    }
    return status;
  }
};

constexpr char kFields[] =
    "id: {expression: r.id, type: int}\nv: {expression: r.v, type: int}\n"
    "s: {expression: r.s, type: string}\n";

TEST_F(FileTableTest, OneBatchPerFileInFileOrder) {
  LoadReader({WriteFile("a.csv", "id,v,s\n1,10,one\n2,,two\n"),
              WriteFile("b.csv", "s,id,other,v\nthree,3,x,30\n"), WriteFile("c.csv", "v,s,id\n")},
             kFields);
  const RunOutcome found = Run("read");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"1", "10", "one"}, {"2", "5", "two"}, {"3", "30", "three"}});
  EXPECT_EQ(found.row_ids, (std::vector<RowId>{data::MakeRowId(0, 0), data::MakeRowId(0, 1),
                                               data::MakeRowId(1, 0)}));
  EXPECT_EQ(found.counts.in, 3);
  EXPECT_EQ(found.counts.out, 3);
}

TEST_F(FileTableTest, HavingCountsWhatItDrops) {
  LoadReader({WriteFile("a.csv", "id,v,s\n1,10,a\n2,20,b\n3,30,c\n")}, kFields,
             "w.v > 10 && w.s != \"c\"");
  const RunOutcome found = Run("read");
  CheckOk(found.status);
  ExpectRows(found.rows, {{"2", "20", "b"}});
  EXPECT_EQ(found.counts.in, 3);
  EXPECT_EQ(found.counts.filtered, 2);
  EXPECT_EQ(found.counts.out, 1);
}

TEST_F(FileTableTest, HavingThatDropsEverything) {
  LoadReader({WriteFile("a.csv", "id,v,s\n1,10,a\n2,20,b\n")}, kFields, "w.v > 1000");
  const RunOutcome found = Run("read");
  CheckOk(found.status);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.counts.filtered, 2);
}

TEST_F(FileTableTest, ErrorNamesLineFieldExpressionAndValues) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,10,\"a\nb\"\n\n2,0,two\n3,0,x\n");
  LoadReader({file},
             "id: {expression: r.id, type: int}\n"
             "q: {expression: 'len(r.s) + r.id / r.v', type: int}\n");
  const Status status = FailureOf();
  // A cell of two lines and an empty line come before.
  EXPECT_CONTAINS(status.message(), file + ":5");
  EXPECT_CONTAINS(status.message(), "len(r.s) + r.id / r.v");
  EXPECT_CONTAINS(status.message(), "r.id=2");
  EXPECT_CONTAINS(status.message(), "r.v=0");
  EXPECT_CONTAINS(status.message(), "r.s=\"two\"");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.read.w.fields.q.expression");
  EXPECT_EQ(InfoOf(status).error_class, "division_by_zero");
}

TEST_F(FileTableTest, LongValuesAreCutInMessages) {
  LoadReader({WriteFile("a.csv", "id,v,s\n1,0," + std::string(5000, 'y') + "\n")},
             "q: {expression: 'len(r.s) / r.v', type: int}\n");
  const Status status = FailureOf();
  EXPECT_CONTAINS(status.message(), "yyy...");
  EXPECT_LT(status.message().size(), 1000U);
}

TEST_F(FileTableTest, SmallestRowThenFirstFieldInScriptOrder) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,\n7,1,\n7,0,\n0,0,\n");
  LoadReader({file},
             "a: {expression: 10 / r.v, type: int}\n"
             "b: {expression: 10 / (r.id - 7), type: int}\n"
             "c: {expression: 20 / (r.id - 7), type: int}\n");
  const Status status = FailureOf();
  EXPECT_CONTAINS(status.message(), file + ":3");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.read.w.fields.b.expression");
  EXPECT_CONTAINS(status.message(), "10 / (r.id - 7)");
}

TEST_F(FileTableTest, HavingErrorOfAnEarlierRowComesFirst) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,\n7,1,\n2,0,\n");
  LoadReader({file}, "id: {expression: r.id, type: int}\nq: {expression: 10 / r.v, type: int}\n",
             "10 / (w.id - 7) != 99");
  const Status status = FailureOf();
  EXPECT_CONTAINS(status.message(), file + ":3");
  EXPECT_CONTAINS(status.message(), "w.id=7");
  EXPECT_EQ(InfoOf(status).field_path, "nodes.read.w.having");
}

TEST_F(FileTableTest, HavingErrorOfTheSameOrALaterRowComesSecond) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,\n2,0,\n7,1,\n");
  LoadReader({file}, "id: {expression: r.id, type: int}\nq: {expression: 10 / r.v, type: int}\n",
             "10 / (w.id - 7) != 99");
  EXPECT_CONTAINS(FailureOf().message(), file + ":3");
  EXPECT_EQ(InfoOf(FailureOf()).field_path, "nodes.read.w.fields.q.expression");
  WriteFile("a.csv", "id,v,s\n1,1,\n7,0,\n2,1,\n");
  EXPECT_EQ(InfoOf(FailureOf()).field_path, "nodes.read.w.fields.q.expression");
}

TEST_F(FileTableTest, BadCellNamesItsPlaceAndColumn) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,\n2,1,\n12x,0,\n");
  LoadReader({file}, kFields);
  const Status status = FailureOf();
  EXPECT_CONTAINS(Describe(status), file + ":4:1");
  EXPECT_CONTAINS(status.message(), "id");
  EXPECT_CONTAINS(status.message(), "12x");
}

TEST_F(FileTableTest, BadCellsAndFailingExpressionsComeInRowOrder) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,\n2,0,\nx,1,\n");
  LoadReader({file}, "id: {expression: r.id, type: int}\nq: {expression: 10 / r.v, type: int}\n");
  EXPECT_CONTAINS(FailureOf().message(), file + ":3");
  EXPECT_CONTAINS(FailureOf().message(), "10 / r.v");
  WriteFile("a.csv", "id,v,s\n1,1,\nx,1,\n2,0,\n");
  EXPECT_CONTAINS(Describe(FailureOf()), file + ":3:1");
}

TEST_F(FileTableTest, ErrorsInLaterBlocksOfALargeFile) {
  std::string text = "id,v,s\n";
  for (int i = 0; i < 200000; ++i) {
    text += std::to_string(i) + "," + (i == 150000 || i == 170000 ? "0" : "1") + ",abc\n";
  }
  const std::string file = WriteFile("a.csv", text);
  LoadReader({file}, "id: {expression: r.id, type: int}\nq: {expression: 10 / r.v, type: int}\n");
  const Status status = FailureOf();
  EXPECT_CONTAINS(status.message(), file + ":150002:");
  EXPECT_CONTAINS(status.message(), "r.v=0");
}

TEST_F(FileTableTest, ManyRowsKeepFileOrder) {
  std::string text = "id,v,s\n";
  std::vector<Texts> expected;
  for (int i = 0; i < 150000; ++i) {
    const std::string id = std::to_string(i);
    text += id + "," + std::to_string(i % 7) + ",s" + std::to_string(i % 1000) + "\n";
    if (i % 7 < 3) expected.push_back({id, std::to_string(i % 7), "s" + std::to_string(i % 1000)});
  }
  LoadReader({WriteFile("a.csv", text)}, kFields, "w.v < 3");
  for (const int threads : {1, 3}) {
    const RunOutcome found = Run("read", {threads, 0});
    CheckOk(found.status);
    ExpectRows(found.rows, expected);
    EXPECT_EQ(found.counts.in, 150000);
    EXPECT_EQ(found.counts.filtered + found.counts.out, 150000);
  }
}

TEST_F(FileTableTest, WarningsAreCountedAndErrorsWhenStrict) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1 left,x\n2,2,y\n");
  LoadReader({file}, kFields);
  const RunOutcome found = Run("read");
  CheckOk(found.status);
  EXPECT_EQ(found.counts.csv_warnings, 1);
  ExpectRows(found.rows, {{"1", "1", "x"}, {"2", "2", "y"}});
  strict_ = true;
  EXPECT_CONTAINS(Describe(FailureOf()), file + ":2");
}

TEST_F(FileTableTest, DuplicateKeyNamesTheKey) {
  LoadReader({WriteFile("a.csv", "id,v,s\n1,1,x\n2,1,y\n1,3,z\n")}, kFields, "",
             "hdr_line_idx: 0, first_data_line_idx: 1", "idx_t_to_check_uniq: unique(id)");
  const Status status = FailureOf();
  EXPECT_EQ(InfoOf(status).error_class, "duplicate_key");
  EXPECT_CONTAINS(status.message(), "id=1");
}

TEST_F(FileTableTest, DuplicateKeyOfTwoFiles) {
  LoadReader({WriteFile("a.csv", "id,v,s\n1,1,x\n"), WriteFile("b.csv", "id,v,s\n2,1,\n1,1,\n")},
             kFields, "", "hdr_line_idx: 0, first_data_line_idx: 1",
             "idx_t_to_check_uniq: unique(id)");
  const Status status = FailureOf();
  EXPECT_EQ(InfoOf(status).error_class, "duplicate_key");
  EXPECT_CONTAINS(status.message(), "id=1");
}

TEST_F(FileTableTest, AnInputThatChangedIsRefused) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,x\n");
  LoadReader({file}, kFields);
  NodeSetup setup = SetupOf("read");
  setup.inputs[0].size += 1;
  const RunContext run = MakeContext({});
  const auto runner = Must(NodeRunner::Make(std::move(setup)));
  const Status status = runner->RunBatch(run.context, {}).status();
  EXPECT_EQ(InfoOf(status).error_class, "input_changed") << Describe(status);
  EXPECT_CONTAINS(Describe(status), file);
}

TEST_F(FileTableTest, AFileThatDisappeared) {
  const std::string file = WriteFile("a.csv", "id,v,s\n1,1,x\n");
  LoadReader({file}, kFields);
  NodeSetup setup = SetupOf("read");
  CheckOk(Env::Default()->RemoveFile(file));
  const RunContext run = MakeContext({});
  const auto runner = Must(NodeRunner::Make(std::move(setup)));
  const Status status = runner->RunBatch(run.context, {}).status();
  EXPECT_EQ(InfoOf(status).error_class, "file_not_found") << Describe(status);
}

}  // namespace
}  // namespace capi::node
