#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "capi/node/lookup_internal.h"
#include "capi/node/node_testing_internal.h"
#include "capi/node/partitioned_match.h"

namespace capi::node {
namespace {

/// Positions of the fields of both tables.
enum Position : size_t { kKey, kName, kValue, kFloat, kPrice, kTime, kFlag };

const std::vector<data::Field>& Fields() {
  static const std::vector<data::Field> kFields = {
      {"k", FieldType::kInt},   {"s", FieldType::kString},   {"v", FieldType::kInt},
      {"f", FieldType::kFloat}, {"d", FieldType::kDecimal2}, {"t", FieldType::kDatetime},
      {"b", FieldType::kBool}};
  return kFields;
}

int64_t IntOf(const Row& row) { return std::get<int64_t>(row[kValue]); }

/// One output field of a join and what it should hold.
struct ModelField {
  std::string name;
  FieldType type;
  std::string expression;
  std::string default_text;
  bool uses_right;
  Value missing;
  std::function<Value(const Row& left, const Row& right)> value;
};

std::vector<ModelField> PairFields() {
  std::vector<ModelField> fields;
  const std::vector<std::pair<std::string, Value>> defaults = {
      {"", Int(0)},
      {"' none '", Text("none")},
      {"'-7'", Int(-7)},
      {"'2.5'", Value(2.5)},
      {"'-1.25'", Decimal("-1.25")},
      {"'2001-02-03T04:05:06.007+00:00'", Moment(981173106007)},
      {"'T'", Value(true)}};
  for (size_t i = 0; i < Fields().size(); ++i) {
    const data::Field& field = Fields()[i];
    fields.push_back({"left_" + field.name, field.type, "r." + field.name, "", false, Value(),
                      [i](const Row& left, const Row&) { return left[i]; }});
    fields.push_back({"right_" + field.name, field.type, "l." + field.name, defaults[i].first, true,
                      defaults[i].second, [i](const Row&, const Row& right) { return right[i]; }});
  }
  fields.push_back(
      {"both", FieldType::kInt, "r.v * 100 + l.v", "'77'", true, Int(77),
       [](const Row& left, const Row& right) { return Int(IntOf(left) * 100 + IntOf(right)); }});
  fields.push_back({"texts", FieldType::kString, "r.s + l.s", "", true, Text(""),
                    [](const Row& left, const Row& right) {
                      return Text(std::get<std::string>(left[kName]) +
                                  std::get<std::string>(right[kName]));
                    }});
  fields.push_back({"twice", FieldType::kInt, "r.v * 2", "'5'", false, Value(),
                    [](const Row& left, const Row&) { return Int(IntOf(left) * 2); }});
  fields.push_back({"same", FieldType::kInt, "42", "", false, Value(),
                    [](const Row&, const Row&) { return Int(42); }});
  return fields;
}

/// One output field of a grouped join: a value from the left row and all its matches.
struct GroupField {
  std::string name;
  FieldType type;
  std::string expression;
  std::string default_text;
  bool aggregate;
  Value missing;
  std::function<Value(const Row& left, const std::vector<const Row*>& right)> value;
};

std::vector<GroupField> GroupFields() {
  using Rights = std::vector<const Row*>;
  return {
      {"left_v", FieldType::kInt, "r.v", "", false, Value(),
       [](const Row& left, const Rights&) { return left[kValue]; }},
      {"left_s", FieldType::kString, "r.s", "", false, Value(),
       [](const Row& left, const Rights&) { return left[kName]; }},
      {"twice", FieldType::kInt, "r.v * 2", "", false, Value(),
       [](const Row& left, const Rights&) { return Int(IntOf(left) * 2); }},
      {"rows", FieldType::kInt, "count()", "'-1'", true, Int(-1),
       [](const Row&, const Rights& right) { return Int(static_cast<int64_t>(right.size())); }},
      {"total", FieldType::kInt, "sum(l.v + r.v)", "", true, Int(0),
       [](const Row& left, const Rights& right) {
         int64_t sum = 0;
         for (const Row* row : right) sum += IntOf(*row) + IntOf(left);
         return Int(sum);
       }},
      {"floats", FieldType::kFloat, "sum(l.f)", "'0.5'", true, Value(0.5),
       [](const Row&, const Rights& right) {
         double sum = 0;
         for (const Row* row : right) sum += std::get<double>((*row)[kFloat]);
         return Value(sum);
       }},
      {"prices", FieldType::kDecimal2, "sum(l.d)", "'9.99'", true, Decimal("9.99"),
       [](const Row&, const Rights& right) {
         data::int128 sum = 0;
         for (const Row* row : right) {
           data::int128 hundredths = 0;
           EXPECT_TRUE(std::get<data::BigDecimal>((*row)[kPrice]).ToInt128(2, &hundredths));
           sum += hundredths;
         }
         return Value(data::BigDecimal::FromInt128(sum, 2));
       }},
      {"lowest", FieldType::kInt, "min(l.v)", "'1000'", true, Int(1000),
       [](const Row&, const Rights& right) {
         int64_t lowest = IntOf(*right[0]);
         for (const Row* row : right) lowest = std::min(lowest, IntOf(*row));
         return Int(lowest);
       }},
      {"names", FieldType::kString, "string_agg(l.s, \"|\")", "none", true, Text("none"),
       [](const Row&, const Rights& right) {
         std::string names;
         for (const Row* row : right) {
           // Separators come only after a text that is not empty.
           names += (names.empty() ? "" : "|") + std::get<std::string>((*row)[kName]);
         }
         return Text(names);
       }},
      {"flags", FieldType::kInt, "count_if(l.b)", "", true, Int(0),
       [](const Row&, const Rights& right) {
         int64_t count = 0;
         for (const Row* row : right) count += std::get<bool>((*row)[kFlag]) ? 1 : 0;
         return Int(count);
       }},
  };
}

struct IndexCase {
  std::string definition;
  std::string join_on;
  std::vector<std::pair<size_t, bool>> components;  // field, ignore_case
};

const std::vector<IndexCase>& IndexCases() {
  static const std::vector<IndexCase> kCases = {
      {"non_unique(k)", "r.k", {{kKey, false}}},
      {"non_unique(s)", "r.s", {{kName, false}}},
      {"non_unique(s(ignore_case,desc))", "r.s", {{kName, true}}},
      {"non_unique(k,s(ignore_case))", "r.k, r.s", {{kKey, false}, {kName, true}}},
      {"non_unique(d(desc))", "r.d", {{kPrice, false}}},
      {"non_unique(f)", "r.f", {{kFloat, false}}},
      {"non_unique(t,b)", "r.t,r.b", {{kTime, false}, {kFlag, false}}}};
  return kCases;
}

/// One random lookup node.
struct Trial {
  size_t index = 0;
  bool left_join = false;
  bool group = false;
  bool with_filter = false;
  bool with_having = false;
  int64_t batches = 1;
  std::vector<size_t> fields;  // of PairFields or GroupFields
};

class LookupTest : public NodeTest {
 protected:
  void AddTables() {
    AddTable("lefts", Fields());
    std::string indexes;
    for (size_t i = 0; i < IndexCases().size(); ++i) {
      indexes += "idx_" + std::to_string(i) + ": " + IndexCases()[i].definition + "\n";
    }
    AddTable("rights", Fields(), indexes);
  }

  void AddTrial(const std::string& name, const Trial& trial) {
    std::string fields;
    const auto add = [&](const auto& all) {
      for (const size_t i : trial.fields) {
        fields += all[i].name + ": {expression: '" + all[i].expression +
                  "', type: " + std::string(data::FieldTypeName(all[i].type)) +
                  (all[i].default_text.empty() ? "" : ", default_value: " + all[i].default_text) +
                  "}\n";
      }
    };
    if (trial.group) {
      add(GroupFields());
    } else {
      add(PairFields());
    }
    AddLookup(name, trial.index, trial.batches,
              std::string(trial.left_join ? "left" : "inner") +
                  (trial.group ? ", group: true" : "") +
                  (trial.with_filter ? ", filter: 'l.v > -3 && l.b'" : ""),
              trial.with_having ? (trial.group ? "w.rows > 1" : "w.right_v < 2") : "", fields);
  }

  void AddLookup(const std::string& name, size_t index, int64_t batches, const std::string& join,
                 const std::string& having, const std::string& fields) {
    AddNode(name, "type: table_lookup_table\nr: {table: lefts, expected_batches_total: " +
                      std::to_string(batches) + "}\nl: {index_name: idx_" + std::to_string(index) +
                      ", join_on: '" + IndexCases()[index].join_on + "', join_type: " + join +
                      "}\nw:\n  name: out_" + name + "\n" +
                      (having.empty() ? "" : "  having: " + having + "\n") + "  fields:\n" +
                      Indented(fields, 4));
  }

  /// Every index must be used by some node.
  void UseAllIndexes() {
    for (size_t i = 0; i < IndexCases().size(); ++i) {
      AddLookup("use" + std::to_string(i), i, 1, "inner", "", "x: {expression: r.v, type: int}\n");
    }
  }

  static std::vector<Row> RandomRows(RandomValues* random, int64_t n) {
    std::vector<Row> rows;
    for (int64_t i = 0; i < n; ++i) {
      Row row;
      for (const data::Field& field : Fields()) {
        row.push_back(random->Next(field.type, field.type == FieldType::kBool ? 2 : 14));
      }
      if (random->Below(40) == 0) row[kFloat] = Value(random->Below(2) == 0 ? -0.0 : std::nan(""));
      if (random->Below(40) == 0) row[kPrice] = Decimal("12345678901234567890123456789012345.67");
      rows.push_back(std::move(row));
    }
    return rows;
  }

  /// What a trial should give, by looking at all pairs.
  struct Expected {
    std::vector<Texts> rows;
    RowCounts counts;
  };
  static Expected BruteForce(const Trial& trial, const std::vector<Row>& lefts,
                             const std::vector<Row>& rights) {
    Expected expected;
    const std::vector<ModelField> pair_fields = PairFields();
    const std::vector<GroupField> group_fields = GroupFields();
    const auto emit = [&](const Row& row, bool kept) {
      if (!kept) {
        ++expected.counts.filtered;
        return;
      }
      ++expected.counts.out;
      expected.rows.push_back(TextsOf(row));
    };
    for (const Row& left : lefts) {
      ++expected.counts.in;
      std::vector<const Row*> matches;
      for (const Row& right : rights) {
        bool equal = true;
        for (const auto& [field, ignore_case] : IndexCases()[trial.index].components) {
          equal = equal && CompareValues(left[field], right[field], ignore_case) == 0;
        }
        if (!equal) continue;
        if (trial.with_filter && !(IntOf(right) > -3 && std::get<bool>(right[kFlag]))) continue;
        matches.push_back(&right);
      }
      if (matches.empty()) {
        ++expected.counts.unmatched_left;
        if (!trial.left_join) continue;
      }
      if (trial.group) {
        Row row;
        for (const size_t i : trial.fields) {
          const GroupField& field = group_fields[i];
          row.push_back(matches.empty() && field.aggregate ? field.missing
                                                           : field.value(left, matches));
        }
        emit(row, !trial.with_having || matches.size() > 1);
        continue;
      }
      if (matches.empty()) matches.push_back(nullptr);
      for (const Row* right : matches) {
        Row row;
        for (const size_t i : trial.fields) {
          const ModelField& field = pair_fields[i];
          row.push_back(right == nullptr && field.uses_right
                            ? field.missing
                            : field.value(left, right == nullptr ? left : *right));
        }
        emit(row, !trial.with_having || (right == nullptr ? -7 : IntOf(*right)) < 2);
      }
    }
    return expected;
  }

  static void ExpectSame(const RunOutcome& found, const Expected& expected) {
    CheckOk(found.status);
    ExpectRows(found.rows, expected.rows);
    EXPECT_EQ(found.counts.in, expected.counts.in);
    EXPECT_EQ(found.counts.unmatched_left, expected.counts.unmatched_left);
    EXPECT_EQ(found.counts.filtered, expected.counts.filtered);
    EXPECT_EQ(found.counts.out, expected.counts.out);
  }
};

constexpr int64_t kNoLimit = 0;
/// The right side is always partitioned, as finely as possible.
constexpr int64_t kTiny = 1;
/// A few partitions for some hundred rows.
constexpr int64_t kSmall = 2000;

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

class LookupErrorTest : public LookupTest {
 protected:
  /// Left rows with keys 0.. and values `lefts`; right rows (key, value), names "n<value>".
  void FillValues(const std::vector<int64_t>& lefts,
                  const std::vector<std::pair<int64_t, int64_t>>& rights) {
    const auto make = [](int64_t key, int64_t value) {
      return Row{Int(key),       Text("n" + std::to_string(value)),
                 Int(value),     Value(0.0),
                 Decimal("1.5"), Moment(0),
                 Value(false)};
    };
    std::vector<Row> left_rows;
    for (size_t i = 0; i < lefts.size(); ++i) {
      left_rows.push_back(make(static_cast<int64_t>(i), lefts[i]));
    }
    std::vector<Row> right_rows;
    for (const auto& [key, value] : rights) right_rows.push_back(make(key, value));
    Fill("lefts", left_rows);
    Fill("rights", right_rows);
  }

  /// The message of a failing node, which is the same for all ways of matching.
  std::string MessageOf(const std::string& name, std::string* field_path = nullptr) {
    std::string message;
    for (const int threads : {1, 7}) {
      for (const int64_t limit : {kNoLimit, kTiny}) {
        const Status status = Run(name, {threads, limit}).status;
        EXPECT_EQ(KindOf(status), ErrorKind::kUser) << Describe(status);
        if (message.empty()) message = status.message();
        EXPECT_EQ(status.message(), message) << threads << " threads, limit " << limit;
        if (field_path != nullptr) *field_path = InfoOf(status).field_path;
      }
    }
    return message;
  }
};

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << (text) << "\nhas no " << (part)

TEST_F(LookupErrorTest, NamesBothRowsExpressionAndValues) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left", "",
            "fine: {expression: r.v + l.v, type: int}\n"
            "quotient: {expression: 'len(l.s) + int(l.d) + r.v / l.v', type: int}\n");
  Load();
  FillValues({5, 6, 7}, {{1, 3}, {2, 0}, {2, 1}});
  std::string path;
  const std::string message = MessageOf("join", &path);
  EXPECT_EQ(path, "nodes.join.w.fields.quotient.expression");
  EXPECT_CONTAINS(message,
                  "row 3 of batch 0 of table lefts_00001 joined with row 2 of batch 0 of "
                  "table rights_00001");
  EXPECT_CONTAINS(message, "len(l.s) + int(l.d) + r.v / l.v");
  EXPECT_CONTAINS(message, "r.v=7");
  EXPECT_CONTAINS(message, "l.v=0");
  EXPECT_CONTAINS(message, "l.s=\"n0\"");
  EXPECT_CONTAINS(message, "l.d=1.5");
}

TEST_F(LookupErrorTest, SmallestRowThenFirstField) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left", "",
            "a: {expression: 100 / (r.v - 5), type: int}\n"
            "b: {expression: 100 / (l.v - 6), type: int}\n"
            "c: {expression: 100 / (r.v - 7), type: int}\n");
  Load();
  FillValues({1, 2, 7, 5}, {{1, 6}, {2, 3}, {3, 6}});
  EXPECT_CONTAINS(MessageOf("join"), "100 / (l.v - 6)");
  FillValues({7, 2, 7, 5}, {{1, 6}, {2, 3}, {3, 6}});
  EXPECT_CONTAINS(MessageOf("join"), "100 / (r.v - 7)");
  FillValues({1, 2, 3, 5}, {{1, 1}, {2, 3}, {3, 6}});
  EXPECT_CONTAINS(MessageOf("join"), "100 / (r.v - 5)");
}

TEST_F(LookupErrorTest, HavingOfAnEarlierRowComesFirst) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left", "10 / (w.v - 3) != 99",
            "v: {expression: r.v, type: int}\nq: {expression: 100 / l.v, type: int}\n"
            "s: {expression: l.s, type: string}\n");
  Load();
  FillValues({1, 3, 4, 5}, {{0, 1}, {2, 0}});
  std::string path;
  const std::string message = MessageOf("join", &path);
  EXPECT_EQ(path, "nodes.join.w.having");
  EXPECT_CONTAINS(message, "row 2 of batch 0 of table lefts_00001");
  EXPECT_CONTAINS(message, "w.v=3");
  FillValues({1, 4, 3, 5}, {{0, 1}, {1, 0}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / l.v");
}

TEST_F(LookupErrorTest, FieldOfAnEarlierRowComesBeforeTheFilter) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, filter: '10 / l.v != 99'", "",
            "q: {expression: 100 / (r.v - 5), type: int}\n");
  Load();
  FillValues({1, 2, 5, 4}, {{1, 3}, {2, 0}, {3, 0}});
  std::string path;
  EXPECT_CONTAINS(MessageOf("join", &path), "10 / l.v");
  EXPECT_EQ(path, "nodes.join.l.filter");
  FillValues({1, 5, 2, 4}, {{1, 3}, {2, 0}, {3, 0}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / (r.v - 5)");
}

TEST_F(LookupErrorTest, FilterNamesThePair) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "inner, filter: '10 / l.v > 0 && l.s != \"\"'", "",
            "v: {expression: r.v, type: int}\n");
  Load();
  FillValues({1, 2, 3}, {{0, 2}, {1, 1}, {1, 0}});
  const std::string message = MessageOf("join");
  EXPECT_CONTAINS(message,
                  "row 2 of batch 0 of table lefts_00001 joined with row 3 of batch 0 of "
                  "table rights_00001");
  EXPECT_CONTAINS(message, "l.v=0");
}

TEST_F(LookupErrorTest, GroupsNameTheLeftRowAndTheFirstField) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, group: true", "",
            "v: {expression: 100 / (r.v - 5), type: int}\n"
            "total: {expression: sum(100 / l.v), type: int}\n");
  Load();
  FillValues({1, 2, 3, 5}, {{0, 2}, {1, 4}, {1, 0}, {3, 0}});
  std::string path;
  std::string message = MessageOf("join", &path);
  EXPECT_EQ(path, "nodes.join.w.fields.total.expression");
  EXPECT_CONTAINS(message, "row 2 of batch 0 of table lefts_00001");
  EXPECT_CONTAINS(message, "l.v=0");
  // Both fields fail in the same row.
  FillValues({1, 2, 3, 5}, {{0, 2}, {1, 4}, {3, 0}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / (r.v - 5)");
  // An earlier row of a later field.
  FillValues({1, 2, 3, 5}, {{0, 0}, {1, 4}, {3, 1}});
  EXPECT_CONTAINS(MessageOf("join", &path), "100 / l.v");
}

TEST_F(LookupErrorTest, GroupsWithoutMatchHaveNoRightValue) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, group: true", "",
            "n: {expression: count(), type: int}\nlast: {expression: 100 / l.v, type: int}\n");
  Load();
  FillValues({1, 2, 3}, {{0, 2}, {1, 4}, {1, 5}, {2, 20}});
  const RunOutcome found = Run("join");
  CheckOk(found.status);
  EXPECT_EQ(found.rows, (std::vector<Texts>{{"1", "50"}, {"2", "20"}, {"1", "5"}}));
  FillValues({1, 2, 3}, {{0, 2}, {2, 20}});
  std::string path;
  std::string message = MessageOf("join", &path);
  EXPECT_CONTAINS(message, "has no match");
  EXPECT_CONTAINS(message, "row 2 of batch 0 of table lefts_00001");
  EXPECT_EQ(path, "nodes.join.w.fields.last.expression");
  // A row before the one without a match fails.
  FillValues({1, 2, 3}, {{0, 0}, {2, 20}});
  EXPECT_CONTAINS(MessageOf("join", &path), "row 1 of batch 0 of table lefts_00001");
}

TEST_F(LookupErrorTest, HavingOfAnEarlierGroupComesFirst) {
  AddTables();
  UseAllIndexes();
  AddLookup("join", 0, 1, "left, group: true", "10 / (w.n - 2) != 99",
            "n: {expression: count(), type: int}\nq: {expression: sum(100 / l.v), type: int}\n");
  Load();
  FillValues({1, 2, 3}, {{0, 1}, {1, 1}, {1, 1}, {2, 0}});
  std::string path;
  EXPECT_CONTAINS(MessageOf("join", &path), "row 2 of batch 0 of table lefts_00001");
  EXPECT_EQ(path, "nodes.join.w.having");
}

}  // namespace
}  // namespace capi::node
