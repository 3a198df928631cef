#include "capi/node/row_sorter.h"

#include <gtest/gtest.h>

#include <numeric>

#include "capi/node/node_testing_internal.h"
#include "capi/node/row_sorter_internal.h"

namespace capi::node {
namespace {

/// One component of an order, as text and as the model sees it.
struct OrderComponent {
  size_t column = 0;
  bool descending = false;
  bool ignore_case = false;
};

class RowSorterTest : public NodeTest {
 protected:
  /// Columns of the file: fields of the table by name, then computed ones.
  struct FileColumn {
    std::string name;
    FieldType type;
    std::string expression;
    std::function<Value(const Row&)> model;
  };

  void AddTableFields(int64_t num_tables = 1) {
    fields_ = {{"i", FieldType::kInt},  {"f", FieldType::kFloat},    {"s", FieldType::kString},
               {"b", FieldType::kBool}, {"d", FieldType::kDecimal2}, {"t", FieldType::kDatetime},
               {"n", FieldType::kInt}};
    for (int64_t i = 0; i < num_tables; ++i) AddTable("rows" + std::to_string(i), fields_);
    for (size_t i = 0; i < fields_.size(); ++i) {
      columns_.push_back({fields_[i].name, fields_[i].type, "r." + fields_[i].name,
                          [i](const Row& row) { return row[i]; }});
    }
    columns_.push_back({"nanos", FieldType::kDatetime,
                        "time.Date(2020, time.January, 1, 0, 0, 0, r.n, time.UTC)",
                        [](const Row& row) {
                          data::Instant instant = data::Instant::FromMillis(1577836800000);
                          const int64_t nanos = std::get<int64_t>(row[6]);
                          instant.seconds += nanos / 1000000000;
                          instant.nanos = static_cast<int32_t>(nanos % 1000000000);
                          return Value(instant);
                        }});
    columns_.push_back({"text", FieldType::kString, "r.s + \"/\" + r.s", [](const Row& row) {
                          const auto& text = std::get<std::string>(row[2]);
                          return Value(text + "/" + text);
                        }});
    columns_.push_back({"parity", FieldType::kInt, "r.n % 2",
                        [](const Row& row) { return Value(std::get<int64_t>(row[6]) % 2); }});
  }

  void AddFileNode(const std::string& name, const std::string& table,
                   const std::vector<OrderComponent>& order, int64_t limit, bool with_having,
                   int64_t batches) {
    std::string text = "type: table_file\nr: {table: " + table +
                       ", expected_batches_total: " + std::to_string(batches) +
                       "}\nw:\n  url_template: '" + (directory_ / "out/{batch_idx}.csv") + "'\n";
    if (with_having) text += "  having: w.parity == 1\n";
    text += "  top:\n    order: '" + OrderText(order) + "'\n";
    if (limit > 0) text += "    limit: " + std::to_string(limit) + "\n";
    text += "  columns:\n";
    for (const FileColumn& column : columns_) {
      text += "    - {name: " + column.name +
              ", type: " + std::string(data::FieldTypeName(column.type)) + ", expression: '" +
              column.expression + "', csv: {header: h, format: '%v'}}\n";
    }
    AddNode(name, text);
  }

  std::string OrderText(const std::vector<OrderComponent>& order) const {
    std::string text;
    for (const OrderComponent& component : order) {
      text += (text.empty() ? "" : ",") + columns_[component.column].name;
      Texts modifiers;
      if (component.descending) modifiers.emplace_back("desc");
      if (component.ignore_case) modifiers.emplace_back("ignore_case");
      for (size_t i = 0; i < modifiers.size(); ++i) text += (i == 0 ? "(" : ",") + modifiers[i];
      if (!modifiers.empty()) text += ")";
    }
    return text;
  }

  /// Positions of the rows of [begin, end) in their order.
  std::vector<int64_t> Expected(const std::vector<Row>& rows, int64_t begin, int64_t end,
                                const std::vector<OrderComponent>& order, int64_t limit,
                                bool with_having) const {
    std::vector<int64_t> positions;
    for (int64_t i = begin; i < end; ++i) {
      const Row& row = rows[static_cast<size_t>(i)];
      if (!with_having || std::get<int64_t>(row[6]) % 2 == 1) positions.push_back(i);
    }
    std::stable_sort(positions.begin(), positions.end(), [&](int64_t a, int64_t b) {
      for (const OrderComponent& component : order) {
        const auto& model = columns_[component.column].model;
        const int compared =
            CompareValues(model(rows[static_cast<size_t>(a)]), model(rows[static_cast<size_t>(b)]),
                          component.ignore_case);
        if (compared != 0) return component.descending ? compared > 0 : compared < 0;
      }
      return false;
    });
    if (limit > 0 && static_cast<int64_t>(positions.size()) > limit) {
      positions.resize(static_cast<size_t>(limit));
    }
    return positions;
  }

  /// Row ids of the whole table, by position.
  std::vector<RowId> RowIds(const store::Table& table) const {
    std::vector<RowId> ids;
    for (const auto& morsel : table.Morsels(0, table.num_rows())) {
      const auto scan = Must(table.Read(morsel, {}));
      ids.insert(ids.end(), scan.row_ids.begin(), scan.row_ids.end());
    }
    return ids;
  }

  std::vector<RowId> Sorted(const std::string& node, int64_t batch, const RunOptions& options,
                            int64_t block, RowCounts* counts) {
    const RunContext run = MakeContext(options);
    const NodeSetup setup = SetupOf(node);
    const auto plan = Must(SortPlan::Make(setup));
    const auto sorted = Must(plan->Sort(run.context, batch));
    *counts = sorted->counts();
    std::vector<RowId> rows;
    for (;;) {
      const auto next = Must(sorted->Next(block));
      if (!next) break;
      EXPECT_FALSE(next->empty());
      EXPECT_LE(static_cast<int64_t>(next->size()), block);
      rows.insert(rows.end(), next->begin(), next->end());
    }
    EXPECT_FALSE(Must(sorted->Next(block)).has_value()) << "the end is stable";
    EXPECT_EQ(run.progress->spilled_bytes > 0,
              options.memory_limit > 0 && counts->in > 0 && counts->in > counts->filtered);
    return rows;
  }

  std::vector<Row> RandomRows(RandomValues* random, int64_t n, bool whole) {
    std::vector<Row> rows;
    for (int64_t i = 0; i < n; ++i) {
      Row row;
      for (const data::Field& field : fields_) {
        // Whole ranges of decimals in one stretch only, so that layouts of chunks differ.
        const bool wide =
            whole && (field.type != FieldType::kDecimal2 || (i > n / 2 && i < n * 2 / 3));
        row.push_back(field.name == "n" ? Value(random->Below(4) * 1000000 + random->Below(3))
                                        : random->Next(field.type, wide ? 0 : 12));
      }
      rows.push_back(std::move(row));
    }
    return rows;
  }

  std::vector<data::Field> fields_;
  std::vector<FileColumn> columns_;
};

TEST_F(RowSorterTest, AgreesWithStableSort) {
  constexpr int kTrials = 60;
  struct Trial {
    std::vector<OrderComponent> order;
    int64_t limit;
    bool with_having;
    int64_t batches;
  };
  RandomValues random(20261125);
  AddTableFields(2);
  std::vector<Trial> trials;
  for (int i = 0; i < kTrials; ++i) {
    Trial trial;
    const int64_t components = 1 + random.Below(4);
    for (int64_t c = 0; c < components; ++c) {
      OrderComponent component;
      component.column = static_cast<size_t>(random.Below(static_cast<int64_t>(columns_.size())));
      component.descending = random.Below(2) == 0;
      component.ignore_case =
          columns_[component.column].type == FieldType::kString && random.Below(2) == 0;
      trial.order.push_back(component);
    }
    const int64_t limits[] = {0, 0, 1, 10, 100000};
    trial.limit = limits[random.Below(5)];
    trial.with_having = random.Below(3) == 0;
    trial.batches = 1 + random.Below(3);
    AddFileNode("sort" + std::to_string(i), i % 2 == 0 ? "rows0" : "rows1", trial.order,
                trial.limit, trial.with_having, trial.batches);
    trials.push_back(trial);
  }
  Load();
  std::vector<std::vector<Row>> tables;
  for (int i = 0; i < 2; ++i) {
    tables.push_back(RandomRows(&random, 600, i == 0));
    Fill("rows" + std::to_string(i), tables.back(), 2, 150);
  }
  for (int i = 0; i < kTrials; ++i) {
    const Trial& trial = trials[static_cast<size_t>(i)];
    const std::string node = "sort" + std::to_string(i);
    SCOPED_TRACE(node + ": " + OrderText(trial.order) + " limit " + std::to_string(trial.limit));
    const std::vector<Row>& rows = tables[static_cast<size_t>(i % 2)];
    const std::vector<RowId> ids = RowIds(*SetupOf(node).reader);
    for (int64_t batch = 0; batch < trial.batches; ++batch) {
      const auto [begin, end] =
          store::PartitionRange(static_cast<int64_t>(rows.size()), batch, trial.batches);
      const std::vector<int64_t> positions =
          Expected(rows, begin, end, trial.order, trial.limit, trial.with_having);
      const std::vector<int64_t> all =
          Expected(rows, begin, end, trial.order, 0, trial.with_having);
      std::vector<RowId> expected;
      for (const int64_t position : positions)
        expected.push_back(ids[static_cast<size_t>(position)]);
      for (const int64_t limit : {0, 1}) {
        RowCounts counts;
        EXPECT_EQ(Sorted(node, batch, {1 + i % 3, limit}, 1 + random.Below(400), &counts), expected)
            << (limit == 0 ? "in memory" : "spilled");
        EXPECT_EQ(counts.in, end - begin);
        EXPECT_EQ(counts.filtered, end - begin - static_cast<int64_t>(all.size()));
        EXPECT_EQ(counts.beyond_limit, static_cast<int64_t>(all.size() - positions.size()));
      }
    }
  }
}

TEST_F(RowSorterTest, ManySpilledRunsKeepTheOrder) {
  AddTableFields();
  const std::vector<OrderComponent> order = {{2, true, false}};
  AddFileNode("sort", "rows0", order, 0, false, 1);
  AddFileNode("first", "rows0", order, 25, false, 1);
  Load();
  RandomValues random(5);
  std::vector<Row> rows = RandomRows(&random, 9000, false);
  // Runs end after 4 MiB of keys; few distinct keys of 2000 bytes make ties across runs.
  for (Row& row : rows) {
    row[2] = Text(std::string(2000, 'k') + std::to_string(random.Below(7)));
  }
  Fill("rows0", rows, 3, 1000);
  const std::vector<RowId> ids = RowIds(*SetupOf("sort").reader);
  std::vector<RowId> expected;
  for (const int64_t position : Expected(rows, 0, 9000, order, 0, false)) {
    expected.push_back(ids[static_cast<size_t>(position)]);
  }
  for (const int64_t limit : {0, 1}) {
    RowCounts counts;
    EXPECT_EQ(Sorted("sort", 0, {2, limit}, 4096, &counts), expected);
    EXPECT_EQ(Sorted("first", 0, {2, limit}, 10, &counts),
              std::vector<RowId>(expected.begin(), expected.begin() + 25));
    EXPECT_EQ(counts.beyond_limit, 9000 - 25);
  }
}

TEST_F(RowSorterTest, NoRows) {
  AddTableFields();
  AddFileNode("sort", "rows0", {{2, false, true}, {0, false, false}}, 3, false, 2);
  AddFileNode("none", "rows0", {{4, false, false}}, 0, true, 1);
  Load();
  Fill("rows0", {});
  for (const int64_t limit : {0, 1}) {
    RowCounts counts;
    EXPECT_TRUE(Sorted("sort", 1, {2, limit}, 10, &counts).empty());
    EXPECT_EQ(counts.in + counts.filtered + counts.beyond_limit, 0);
  }
}

TEST_F(RowSorterTest, HavingThatDropsAllRows) {
  AddTableFields();
  AddFileNode("none", "rows0", {{4, false, false}}, 0, true, 1);
  Load();
  RandomValues random(7);
  std::vector<Row> rows = RandomRows(&random, 20, false);
  for (Row& row : rows) row[6] = Int(2);
  Fill("rows0", rows);
  for (const int64_t limit : {0, 1}) {
    RowCounts counts;
    EXPECT_TRUE(Sorted("none", 0, {2, limit}, 10, &counts).empty());
    EXPECT_EQ(counts.filtered, 20);
  }
}

// Rows that lost against an equal key of another batch leave gaps in the row ids.
TEST_F(RowSorterTest, DeletedRowsAreNotSorted) {
  AddTable("people", {{"id", FieldType::kInt}, {"name", FieldType::kString}});
  AddNode("distinct",
          "type: distinct_table\nrerun_policy: fail\n"
          "r: {table: people, expected_batches_total: 3}\n"
          "w:\n  name: winners\n  fields:\n    id: {expression: r.id, type: int}\n"
          "    name: {expression: r.name, type: string}\n"
          "  indexes:\n    idx_winners: unique(name)\n");
  AddNode("sort",
          "type: table_file\nr: {table: winners, expected_batches_total: 2}\nw:\n"
          "  url_template: '" +
              (directory_ / "out/{batch_idx}.csv") +
              "'\n  top: {order: id(desc)}\n  columns:\n"
              "    - {name: id, type: int, expression: r.id, csv: {header: id, format: '%d'}}\n");
  Load();
  std::vector<Row> people;
  for (int64_t i = 0; i < 300; ++i) {
    people.push_back({Int(i * 37 % 50), Text("n" + std::to_string(i * i % 151))});
  }
  Fill("people", people);
  const RunOutcome winners = Run("distinct");
  CheckOk(winners.status);
  ASSERT_GT(winners.duplicates_at_end, 0);
  for (int64_t batch = 0; batch < 2; ++batch) {
    const auto [begin, end] =
        store::PartitionRange(static_cast<int64_t>(winners.rows.size()), batch, 2);
    std::vector<size_t> positions(static_cast<size_t>(end - begin));
    std::iota(positions.begin(), positions.end(), static_cast<size_t>(begin));
    std::stable_sort(positions.begin(), positions.end(), [&](size_t a, size_t b) {
      return std::stoi(winners.rows[a][0]) > std::stoi(winners.rows[b][0]);
    });
    std::vector<RowId> expected;
    for (const size_t position : positions) expected.push_back(winners.row_ids[position]);
    for (const int64_t limit : {0, 1}) {
      RowCounts counts;
      EXPECT_EQ(Sorted("sort", batch, {2, limit}, 1000, &counts), expected);
    }
  }
}

TEST_F(RowSorterTest, SpillDirectoryMissing) {
  AddTableFields();
  AddFileNode("sort", "rows0", {{0, false, false}}, 0, false, 1);
  Load();
  RandomValues random(8);
  Fill("rows0", RandomRows(&random, 10, false));
  RunContext run = MakeContext({2, 1});
  run.context.spill_directory = WriteFile("nowhere", "") + "/spill";
  const Status status = Must(SortPlan::Make(SetupOf("sort")))->Sort(run.context, 0).status();
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << Describe(status);
  EXPECT_NE(status.message().find("nowhere"), std::string::npos);
}

// A string field that a lookup stored as a reference is ranked through its source.
TEST_F(RowSorterTest, ReferencesSortAsTheirValues) {
  AddTable("people", {{"id", FieldType::kInt}, {"name", FieldType::kString}});
  AddTable("groups", {{"id", FieldType::kInt}, {"title", FieldType::kString}},
           "idx_groups: non_unique(id)");
  AddNode("join",
          "type: table_lookup_table\n"
          "r: {table: people, expected_batches_total: 3}\n"
          "l: {index_name: idx_groups, join_on: r.id, join_type: left}\n"
          "w:\n"
          "  name: joined\n"
          "  fields:\n"
          "    id: {expression: r.id, type: int}\n"
          "    name: {expression: r.name, type: string}\n"
          "    title: {expression: l.title, type: string, default_value: m}\n"
          "    copy: {expression: 'l.title + \"\"', type: string, default_value: m}\n");
  struct Order {
    std::string text;
    bool descending;
    bool ignore_case;
  };
  const std::vector<Order> orders = {{"", false, false},
                                     {"(desc)", true, false},
                                     {"(ignore_case)", false, true},
                                     {"(desc,ignore_case)", true, true}};
  for (size_t i = 0; i < orders.size(); ++i) {
    for (const std::string title : {"title", "copy"}) {
      AddNode("sort_" + title + std::to_string(i),
              "type: table_file\nr: {table: joined}\nw:\n  url_template: '" +
                  (directory_ / "out/o.csv") + "'\n  having: w.id != 3\n" + "  top: {order: '" +
                  title + orders[i].text + ",name(desc)'}\n" +
                  "  columns:\n"
                  "    - {name: id, type: int, expression: r.id, csv: {header: id, format: '%d'}}\n"
                  "    - {name: name, type: string, expression: r.name, csv: {header: n, format: "
                  "'%s'}}\n"
                  "    - {name: title, type: string, expression: r.title, csv: {header: t, format: "
                  "'%s'}}\n"
                  "    - {name: copy, type: string, expression: r.copy, csv: {header: c, format: "
                  "'%s'}}\n");
    }
  }
  Load();
  RandomValues random(11);
  std::vector<Row> people;
  for (int i = 0; i < 500; ++i) {
    people.push_back({Int(random.Below(12)), random.Next(FieldType::kString, 5)});
  }
  const std::vector<std::string> titles = {
      "b", "B", "é", "É", "", "zz", "prefix_of_8_1", "prefix_of_8_2", "prefix_of_8_2", "m"};
  std::vector<Row> groups;
  for (size_t i = 0; i < titles.size(); ++i) {
    groups.push_back({Int(static_cast<int64_t>(i)), Text(titles[i])});
    if (i % 3 == 0) groups.push_back({Int(static_cast<int64_t>(i)), Text(titles[i] + "+")});
  }
  Fill("people", people, 2);
  Fill("groups", groups, 2);
  const RunOutcome joined = Run("join");
  CheckOk(joined.status);
  ASSERT_TRUE(joined.table->ReferenceOf(joined.table->FieldIndex("title")).has_value());
  ASSERT_FALSE(joined.table->ReferenceOf(joined.table->FieldIndex("copy")).has_value());
  for (size_t i = 0; i < orders.size(); ++i) {
    std::vector<size_t> positions;
    for (size_t row = 0; row < joined.rows.size(); ++row) {
      if (joined.rows[row][0] != "3") positions.push_back(row);
    }
    std::stable_sort(positions.begin(), positions.end(), [&](size_t a, size_t b) {
      const int title =
          CompareValues(Text(joined.rows[a][2]), Text(joined.rows[b][2]), orders[i].ignore_case);
      if (title != 0) return orders[i].descending ? title > 0 : title < 0;
      return joined.rows[a][1] > joined.rows[b][1];
    });
    std::vector<RowId> expected;
    for (const size_t position : positions) expected.push_back(joined.row_ids[position]);
    for (const std::string title : {"title", "copy"}) {
      for (const int64_t limit : {0, 1}) {
        RowCounts counts;
        EXPECT_EQ(Sorted("sort_" + title + std::to_string(i), 0, {2, limit}, 100, &counts),
                  expected)
            << title << orders[i].text << " limit " << limit;
      }
    }
  }
}

TEST(RadixSortTest, AgreesWithStableSort) {
  std::mt19937_64 generator(3);
  for (const size_t n : {0, 1, 2, 100, 5000}) {
    for (const uint64_t mask : {~uint64_t{0}, uint64_t{0xff}, uint64_t{0xff} << 40, uint64_t{0}}) {
      std::vector<uint64_t> keys(n);
      for (uint64_t& key : keys) key = (generator() & mask) | (uint64_t{1} << 55);
      std::vector<uint32_t> order(n);
      std::iota(order.begin(), order.end(), 0);
      std::vector<uint32_t> expected = order;
      std::stable_sort(expected.begin(), expected.end(),
                       [&](uint32_t a, uint32_t b) { return keys[a] < keys[b]; });
      RadixSortByKey(&keys, &order);
      EXPECT_EQ(order, expected);
      EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    }
  }
}

}  // namespace
}  // namespace capi::node
