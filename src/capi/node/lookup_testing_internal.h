#pragma once

// What the tests of lookups share: two tables, random lookup nodes over them, and what they should
// give by looking at all pairs.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "capi/node/node_testing_internal.h"

namespace capi::node {

inline constexpr int64_t kNoLimit = 0;
/// The right side is always partitioned, as finely as possible.
inline constexpr int64_t kTiny = 1;
/// A few partitions for some hundred rows.
inline constexpr int64_t kSmall = 2000;

/// Positions of the fields of both tables.
enum Position : size_t { kKey, kName, kValue, kFloat, kPrice, kTime, kFlag };

inline const std::vector<data::Field>& Fields() {
  static const std::vector<data::Field> kFields = {
      {"k", FieldType::kInt},   {"s", FieldType::kString},   {"v", FieldType::kInt},
      {"f", FieldType::kFloat}, {"d", FieldType::kDecimal2}, {"t", FieldType::kDatetime},
      {"b", FieldType::kBool}};
  return kFields;
}

inline int64_t IntOf(const Row& row) { return std::get<int64_t>(row[kValue]); }

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

inline std::vector<ModelField> PairFields() {
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

inline std::vector<GroupField> GroupFields() {
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

inline const std::vector<IndexCase>& IndexCases() {
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

}  // namespace capi::node
