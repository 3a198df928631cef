#include <gtest/gtest.h>

#include <thread>

#include "capi/node/lookup_testing_internal.h"

namespace capi::node {
namespace {

TEST_F(LookupTest, IndexAndPartitionsAgreeWithAllPairs) {
  constexpr int kTrials = 48;
  RandomValues random(20261126);
  AddTables();
  UseAllIndexes();
  std::vector<Trial> trials;
  for (int i = 0; i < kTrials; ++i) {
    Trial trial;
    trial.index = static_cast<size_t>(random.Below(static_cast<int64_t>(IndexCases().size())));
    trial.left_join = random.Below(2) == 0;
    trial.group = random.Below(3) == 0;
    trial.with_filter = random.Below(3) == 0;
    trial.with_having = random.Below(3) == 0;
    trial.batches = 1 + random.Below(4);
    const size_t all = trial.group ? GroupFields().size() : PairFields().size();
    const int64_t share = 1 + random.Below(4);
    for (size_t field = 0; field < all; ++field) {
      // Fields that having needs are always there.
      const std::string name = trial.group ? GroupFields()[field].name : PairFields()[field].name;
      if (name == "right_v" || name == "rows" || random.Below(share) == 0) {
        trial.fields.push_back(field);
      }
    }
    AddTrial("join" + std::to_string(i), trial);
    trials.push_back(trial);
  }
  Load();
  const std::vector<Row> lefts = RandomRows(&random, 130);
  const std::vector<Row> rights = RandomRows(&random, 170);
  Fill("lefts", lefts, 3, 25);
  Fill("rights", rights, 2, 60);
  for (int i = 0; i < kTrials; ++i) {
    const Trial& trial = trials[static_cast<size_t>(i)];
    const std::string name = "join" + std::to_string(i);
    SCOPED_TRACE(name + " on " + IndexCases()[trial.index].definition +
                 (trial.left_join ? " left" : " inner") + (trial.group ? " group" : ""));
    const Expected expected = BruteForce(trial, lefts, rights);
    const int threads[] = {1, 2, 7};
    for (const int64_t limit : {kNoLimit, kSmall, kTiny}) {
      const RunOutcome outcome = Run(name, {threads[(i + limit) % 3], limit});
      ExpectSame(outcome, expected);
      EXPECT_EQ(outcome.spilled_bytes > 0, limit != kNoLimit) << limit;
    }
  }
}

TEST_F(LookupTest, EmptySides) {
  AddTables();
  UseAllIndexes();
  Trial trial;
  trial.batches = 3;
  for (size_t i = 0; i < PairFields().size(); ++i) trial.fields.push_back(i);
  AddTrial("inner", trial);
  trial.left_join = true;
  AddTrial("left", trial);
  trial.group = true;
  trial.fields.clear();
  for (size_t i = 0; i < GroupFields().size(); ++i) trial.fields.push_back(i);
  AddTrial("grouped", trial);
  Load();
  RandomValues random(1);
  const std::vector<Row> rows = RandomRows(&random, 10);
  for (const bool empty_left : {true, false}) {
    for (const bool empty_right : {true, false}) {
      Fill("lefts", empty_left ? std::vector<Row>() : rows);
      Fill("rights", empty_right ? std::vector<Row>() : rows);
      for (const std::string name : {"inner", "left", "grouped"}) {
        trial.left_join = name != "inner";
        trial.group = name == "grouped";
        trial.fields.clear();
        const size_t all = trial.group ? GroupFields().size() : PairFields().size();
        for (size_t i = 0; i < all; ++i) trial.fields.push_back(i);
        const Expected expected = BruteForce(trial, empty_left ? std::vector<Row>() : rows,
                                             empty_right ? std::vector<Row>() : rows);
        for (const int64_t limit : {kNoLimit, kTiny}) {
          SCOPED_TRACE(name + " limit " + std::to_string(limit));
          ExpectSame(Run(name, {2, limit}), expected);
        }
      }
    }
  }
}

// No key matches, so that the file of matches stays empty.
TEST_F(LookupTest, NoMatches) {
  AddTables();
  UseAllIndexes();
  Trial trial;
  trial.left_join = true;
  for (size_t i = 0; i < PairFields().size(); ++i) trial.fields.push_back(i);
  AddTrial("join", trial);
  Load();
  RandomValues random(2);
  std::vector<Row> lefts = RandomRows(&random, 30);
  const std::vector<Row> rights = RandomRows(&random, 30);
  for (Row& row : lefts) row[kKey] = Int(1000000 + random.Below(10));
  Fill("lefts", lefts);
  Fill("rights", rights);
  for (const int64_t limit : {kNoLimit, kTiny}) {
    ExpectSame(Run("join", {2, limit}), BruteForce(trial, lefts, rights));
  }
}

// Far more matches than a slice or a written piece takes, some for a single left row.
TEST_F(LookupTest, KeysWithManyMatches) {
  constexpr int64_t kRights = 70000;
  AddTables();
  UseAllIndexes();
  AddLookup("pairs", 0, 2, "left", "w.right >= 0",
            "left: {expression: r.v, type: int}\nright: {expression: l.v, type: int}\n"
            "text: {expression: l.s, type: string}\n");
  AddLookup("groups", 0, 2, "left, group: true", "",
            "left: {expression: r.v, type: int}\nrows: {expression: count(), type: int}\n"
            "total: {expression: sum(l.v), type: int}\n"
            "texts: {expression: 'string_agg_if(l.s, \",\", l.v % 30000 == 1)', type: string}\n");
  Load();
  const auto make = [](int64_t key, int64_t value) {
    Row row = {Int(key),     Text("s" + std::to_string(value % 5)),
               Int(value),   Value(0.0),
               Decimal("0"), Moment(0),
               Value(false)};
    return row;
  };
  std::vector<Row> lefts;
  for (int64_t i = 0; i < 40; ++i) lefts.push_back(make(i == 7 || i == 33 ? 1 : 2 + i % 4, i));
  std::vector<Row> rights;
  for (int64_t i = 0; i < kRights; ++i) rights.push_back(make(i % 1000 == 5 ? 2 : 1, i));
  Fill("lefts", lefts);
  Fill("rights", rights, 2);
  std::vector<Texts> pairs;
  std::vector<Texts> groups;
  for (const Row& left : lefts) {
    int64_t rows = 0;
    int64_t total = 0;
    std::string texts;
    for (const Row& right : rights) {
      if (std::get<int64_t>(left[kKey]) != std::get<int64_t>(right[kKey])) continue;
      pairs.push_back({std::to_string(IntOf(left)), std::to_string(IntOf(right)),
                       std::get<std::string>(right[kName])});
      ++rows;
      total += IntOf(right);
      if (IntOf(right) % 30000 == 1) {
        texts += (texts.empty() ? "" : ",") + std::get<std::string>(right[kName]);
      }
    }
    if (rows == 0) pairs.push_back({std::to_string(IntOf(left)), "0", ""});
    groups.push_back(
        {std::to_string(IntOf(left)), std::to_string(rows), std::to_string(total), texts});
  }
  for (const int64_t limit : {kNoLimit, int64_t{1} << 20}) {
    const RunOutcome found = Run("pairs", {2, limit});
    CheckOk(found.status);
    EXPECT_EQ(found.spilled_bytes > 0, limit != kNoLimit);
    ExpectRows(found.rows, pairs);
    const RunOutcome grouped = Run("groups", {2, limit});
    CheckOk(grouped.status);
    ExpectRows(grouped.rows, groups);
  }
}

// More left rows than a morsel of either way of matching, so that matches meet morsel borders.
TEST_F(LookupTest, ManyLeftMorsels) {
  constexpr int64_t kLefts = 70000;
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 2, "left", "",
            "left: {expression: r.v, type: int}\nright: {expression: l.v + 0, type: int, "
            "default_value: '-1'}\n");
  Load();
  std::vector<Row> lefts;
  std::vector<Row> rights;
  for (int64_t i = 0; i < kLefts; ++i) {
    lefts.push_back(
        {Int(i % 3000), Text(""), Int(i), Value(0.0), Decimal("0"), Moment(0), Value(false)});
  }
  for (int64_t key = 0; key < 3000; key += 2) {
    rights.push_back(
        {Int(key), Text(""), Int(key * 7), Value(0.0), Decimal("0"), Moment(0), Value(false)});
  }
  std::vector<Texts> expected;
  for (const Row& left : lefts) {
    const int64_t key = std::get<int64_t>(left[kKey]);
    expected.push_back({std::to_string(IntOf(left)), std::to_string(key % 2 == 0 ? key * 7 : -1)});
  }
  Fill("lefts", lefts, 2);
  Fill("rights", rights);
  for (const int threads : {1, 7}) {
    for (const int64_t limit : {kNoLimit, kSmall}) {
      const RunOutcome found = Run("join", {threads, limit});
      CheckOk(found.status);
      SCOPED_TRACE(std::to_string(threads) + " threads, limit " + std::to_string(limit));
      ExpectRows(found.rows, expected);
      EXPECT_EQ(found.counts.unmatched_left, kLefts / 2);
    }
  }
}

// Batches share the partitioned right side; the first one that needs it makes it.
TEST_F(LookupTest, BatchesAtTheSameTime) {
  constexpr int64_t kBatches = 4;
  AddTables();
  UseAllIndexes();
  Trial trial;
  trial.batches = kBatches;
  for (size_t i = 0; i < PairFields().size(); ++i) trial.fields.push_back(i);
  AddTrial("join", trial);
  Load();
  RandomValues random(3);
  const std::vector<Row> lefts = RandomRows(&random, 200);
  const std::vector<Row> rights = RandomRows(&random, 200);
  Fill("lefts", lefts);
  Fill("rights", rights);
  const RunContext run = MakeContext({2, kSmall});
  const auto runner = Must(NodeRunner::Make(SetupOf("join")));
  std::vector<int64_t> rows(kBatches);
  std::vector<std::thread> threads;
  for (int64_t batch = 0; batch < kBatches; ++batch) {
    threads.emplace_back([&, batch] {
      BatchTask task;
      task.batch_index = batch;
      rows[static_cast<size_t>(batch)] = Must(runner->RunBatch(run.context, task)).counts.out;
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t total = 0;
  for (const int64_t n : rows) total += n;
  EXPECT_EQ(total, BruteForce(trial, lefts, rights).counts.out);
}

TEST_F(LookupTest, ACancelledBatchStops) {
  AddTables();
  UseAllIndexes();
  Load();
  RandomValues random(4);
  Fill("lefts", RandomRows(&random, 100));
  Fill("rights", RandomRows(&random, 100));
  for (const int64_t limit : {kNoLimit, kTiny}) {
    const RunContext run = MakeContext({2, limit});
    run.context.cancel.Cancel(CancelledError("stopped by the test"));
    const auto runner = Must(NodeRunner::Make(SetupOf("use0")));
    const Status status = runner->RunBatch(run.context, {}).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kCancelled) << Describe(status);
  }
}

TEST_F(LookupTest, SpillDirectoryMissing) {
  AddTables();
  UseAllIndexes();
  Load();
  RandomValues random(5);
  Fill("lefts", RandomRows(&random, 10));
  Fill("rights", RandomRows(&random, 10));
  RunContext run = MakeContext({2, kTiny});
  run.context.spill_directory = WriteFile("nowhere", "") + "/spill";
  const auto runner = Must(NodeRunner::Make(SetupOf("use0")));
  Status status = runner->RunBatch(run.context, {}).status();
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << Describe(status);
  EXPECT_NE(status.message().find("nowhere"), std::string::npos);
  // A later batch tries again.
  run.context.spill_directory = directory_ / "spill";
  status = runner->RunBatch(run.context, {}).status();
  EXPECT_TRUE(status.ok()) << Describe(status);
}

}  // namespace
}  // namespace capi::node
