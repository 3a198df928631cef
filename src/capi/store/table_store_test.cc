// Tables from writing to reading.

#include "capi/store/table_store.h"

#include <functional>
#include <limits>
#include <random>
#include <thread>

#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;
using data::MakeRowId;

TableSchema IntTable(const std::string& name) { return {name, {{"n", FieldType::kInt}}, {}, ""}; }

TEST_P(StoreTest, AllTypesRoundTrip) {
  const TableSchema schema{"all",
                           {{"i", FieldType::kInt},
                            {"f", FieldType::kFloat},
                            {"s", FieldType::kString},
                            {"b", FieldType::kBool},
                            {"d", FieldType::kDecimal2},
                            {"t", FieldType::kDatetime}},
                           {},
                           ""};
  const std::vector<Column> columns{
      Ints({1, -5, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}),
      Floats({0.5, -0.0, 1e300, -std::numeric_limits<double>::infinity()}),
      Strings({"", "äöü", "a", std::string("x\0y", 3)}),
      Bools({true, false, false, true}),
      Decimals({105, -1, 0, data::kMaxNarrowDecimal}),
      Times({0, data::kZeroMomentMillis, 1514764799999, -1})};
  const auto table = Must(Build(schema, {{MakeBatch(columns)}}));
  ASSERT_EQ(table->num_rows(), 4);
  EXPECT_EQ(frozen_.rows, 4);
  for (int field = 0; field < 6; ++field) {
    EXPECT_EQ(ReadField(*table, field), Cells(columns[static_cast<size_t>(field)])) << field;
  }
  EXPECT_EQ(table->FieldIndex("t"), 5);
  EXPECT_EQ(table->FieldIndex("T"), -1);
}

TEST_P(StoreTest, EmptyTables) {
  for (const int attempts : {0, 1, 3}) {
    TableSchema schema = IntTable("empty" + std::to_string(attempts));
    schema.indexes = {{"by_n", true, {{"n", FieldType::kInt}}}};
    const auto table = Must(Build(
        schema, std::vector<Batches>(static_cast<size_t>(attempts), {MakeBatch({Ints({})})})));
    EXPECT_EQ(table->num_rows(), 0);
    EXPECT_TRUE(table->Morsels(0, 0).empty());
    const auto index = Must(store_->OpenIndex(table, "by_n"));
    std::vector<int32_t> left{1};
    std::vector<data::RowId> right{1};
    ASSERT_OK(index->Find({Ints({1, 2})}, 2, &left, &right));
    EXPECT_TRUE(left.empty());
    EXPECT_TRUE(right.empty());
    EXPECT_EQ(Must(index->LowerBound(5)), 0);
  }
}

/// Rows put one batch after the other, with one encoding each.
TEST_P(StoreTest, EveryEncodingRoundTrips) {
  const TableSchema schema{"encodings",
                           {{"i", FieldType::kInt},
                            {"f", FieldType::kFloat},
                            {"s", FieldType::kString},
                            {"b", FieldType::kBool},
                            {"d", FieldType::kDecimal2}},
                           {},
                           ""};
  constexpr int64_t kRows = 20000;
  std::mt19937_64 random(1);
  for (const int64_t range :
       {int64_t{1}, int64_t{200}, int64_t{3000}, int64_t{100000}, int64_t{1} << 40}) {
    std::vector<int64_t> ints;
    std::vector<double> floats;
    std::vector<std::string> strings;
    std::vector<bool> bools;
    std::vector<int64_t> decimals;
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t value =
          static_cast<int64_t>(random() % static_cast<uint64_t>(range)) - range / 2;
      ints.push_back(value);
      floats.push_back(static_cast<double>(value) / 8);
      strings.push_back("value " + std::to_string(value));
      bools.push_back(value % 3 == 0);
      decimals.push_back(value * 7);
    }
    const std::vector<Column> columns{Ints(ints), Floats(floats), Strings(strings), Bools(bools),
                                      Decimals(decimals)};
    const auto table = Must(Build(schema, {{MakeBatch(columns)}}));
    std::vector<data::RowId> rows;
    for (int64_t i = 0; i < 3000; ++i) {
      rows.push_back(MakeRowId(0, static_cast<int64_t>(random() % kRows)));
    }
    for (int field = 0; field < 5; ++field) {
      const std::vector<std::string> expected = Cells(columns[static_cast<size_t>(field)]);
      EXPECT_EQ(ReadField(*table, field), expected) << range << " " << field;
      EXPECT_EQ(ReadField(*table, field, 7), expected) << range << " " << field;
      const std::vector<std::string> gathered = Cells(
          Must(table->Gather(field, rows.data(), static_cast<int64_t>(rows.size()), nullptr)));
      for (size_t i = 0; i < rows.size(); ++i) {
        ASSERT_EQ(gathered[i], expected[static_cast<size_t>(data::OrdinalOf(rows[i]))]);
      }
    }
  }
}

TEST_P(StoreTest, LowCardinalityStringsAreReadAsDictionary) {
  const TableSchema schema{"words", {{"s", FieldType::kString}}, {}, ""};
  std::vector<std::string> words;
  for (int i = 0; i < 10000; ++i) words.push_back("word " + std::to_string(i * i % 300));
  const auto table = Must(Build(schema, {{MakeBatch({Strings(words)})}}));
  const Table::ScanBatch batch = Must(table->Read(table->Morsels(0, 10000)[0], {0}));
  EXPECT_EQ(batch.columns[0]->type_id(), arrow::Type::DICTIONARY);
  EXPECT_EQ(Cells(batch.columns[0]), words);
}

TEST_P(StoreTest, DictionaryColumnsLoseUnusedEntries) {
  const TableSchema schema{"coded", {{"s", FieldType::kString}}, {}, ""};
  std::vector<int32_t> codes;
  std::vector<std::string> expected;
  const std::vector<std::string> entries{"unused", "b", "", "a", "unused too"};
  for (int i = 0; i < 9000; ++i) {
    codes.push_back(1 + i % 3);
    expected.push_back(entries[static_cast<size_t>(codes.back())]);
  }
  const auto table = Must(Build(schema, {{MakeBatch({Coded(codes, entries)})}}));
  const Table::ScanBatch batch = Must(table->Read(table->Morsels(0, 9000)[0], {0}));
  ASSERT_EQ(batch.columns[0]->type_id(), arrow::Type::DICTIONARY);
  EXPECT_EQ(batch.columns[0]->data()->dictionary->length, 3);
  EXPECT_EQ(Cells(batch.columns[0]), expected);
}

TEST_P(StoreTest, WideDecimalsAppearOnlyWhereNeeded) {
  const TableSchema schema{"decimals", {{"d", FieldType::kDecimal2}}, {}, ""};
  const data::int128 huge = static_cast<data::int128>(data::kMaxNarrowDecimal) * 1000000 + 7;
  std::vector<int64_t> narrow(10000, 5);
  narrow[3] = -300;
  std::vector<data::int128> wide(10000, -huge);
  wide[1] = 8;
  const auto table =
      Must(Build(schema, {{MakeBatch({Decimals(narrow)}), MakeBatch({WideDecimals(wide)}),
                           MakeBatch({WideDecimals(std::vector<data::int128>(10000, huge))})}}));
  const auto morsels = table->Morsels(0, 30000);
  ASSERT_EQ(morsels.size(), 3U);
  EXPECT_EQ(Must(table->Read(morsels[0], {0})).columns[0]->type_id(), arrow::Type::DECIMAL64);
  EXPECT_EQ(Must(table->Read(morsels[1], {0})).columns[0]->type_id(), arrow::Type::DECIMAL128);
  const std::vector<std::string> cells = ReadField(*table, 0);
  EXPECT_EQ(cells[3], "-3");
  EXPECT_EQ(cells[10000], "-9999999999999999990000.07");
  EXPECT_EQ(cells[10001], "0.08");
  EXPECT_EQ(cells[29999], "9999999999999999990000.07");
  const std::vector<data::RowId> rows{3, 10001, 20000};
  EXPECT_EQ(Cells(Must(table->Gather(0, rows.data(), 3, nullptr))),
            (std::vector<std::string>{"-3", "0.08", "9999999999999999990000.07"}));
  EXPECT_EQ(Must(table->Gather(0, rows.data(), 1, nullptr))->type_id(), arrow::Type::DECIMAL64);
}

TEST_P(StoreTest, ManyTinyPutsBecomeFewChunks) {
  const TableSchema schema{"tiny", {{"n", FieldType::kInt}, {"s", FieldType::kString}}, {}, ""};
  Batches batches;
  for (int64_t i = 0; i < 500; ++i) {
    batches.push_back(MakeBatch({Ints({i, -i}), Strings({"a" + std::to_string(i), "b"})}));
  }
  batches.push_back(MakeBatch(
      {Ints(std::vector<int64_t>(9000, 4)), Strings(std::vector<std::string>(9000, "c"))}));
  batches.push_back(MakeBatch({Ints({77}), Strings({"last"})}));
  const auto table = Must(Build(schema, {batches}));
  EXPECT_EQ(table->Morsels(0, table->num_rows()).size(), 3U);
  const std::vector<std::string> cells = ReadField(*table, 1, 13);
  ASSERT_EQ(cells.size(), 10001U);
  EXPECT_EQ(cells[998], "a499");
  EXPECT_EQ(cells[999], "b");
  EXPECT_EQ(cells[1000], "c");
  EXPECT_EQ(cells[10000], "last");
}

TEST_P(StoreTest, ManyAttemptsAndPartitions) {
  TableSchema schema = IntTable("many");
  schema.indexes = {{"by_n", false, {{"n", FieldType::kInt}}}};
  std::vector<Batches> attempts;
  std::vector<std::string> expected;
  size_t num_written = 0;
  for (int64_t b = 0; b < 1000; ++b) {
    Batches batches;
    if (b % 3 != 0) {
      std::vector<int64_t> values;
      for (int64_t i = 0; i < b % 5; ++i) values.push_back(b * 10 + i);
      for (const int64_t value : values) expected.push_back(std::to_string(value));
      num_written += values.empty() ? 0 : 1;
      batches.push_back(MakeBatch({Ints(values)}));
    }
    attempts.push_back(std::move(batches));
  }
  const auto table = Must(Build(schema, attempts));
  // Tiny attempts share a container on a disk; the table has one file beside it.
  EXPECT_EQ(NumFiles(), local() ? 2U : num_written + 1);
  for (const int64_t parts : {1, 7, 1000, 5000}) {
    std::vector<data::RowId> ids;
    EXPECT_EQ(ReadField(*table, 0, parts, &ids), expected) << parts;
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
    EXPECT_EQ(Cells(Must(table->Gather(0, ids.data(), static_cast<int64_t>(ids.size()), nullptr))),
              expected);
  }
  const auto index = Must(store_->OpenIndex(table, "by_n"));
  std::vector<int32_t> left;
  std::vector<data::RowId> right;
  ASSERT_OK(index->Find({Ints({9982, 9993, 13, 10})}, 4, &left, &right));
  EXPECT_EQ(left, (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(right, (std::vector<data::RowId>{MakeRowId(998, 2), MakeRowId(1, 0)})) << right[0];
}

TEST_P(StoreTest, LargeAttemptGetsItsOwnContainer) {
  const TableSchema schema{"large", {{"n", FieldType::kInt}, {"s", FieldType::kString}}, {}, ""};
  Batches batches;
  std::mt19937_64 random(2);
  std::vector<std::string> expected;
  for (int b = 0; b < 8; ++b) {
    std::vector<int64_t> ints;
    std::vector<std::string> strings;
    for (int i = 0; i < 30000 + b; ++i) {
      ints.push_back(static_cast<int64_t>(random()));
      strings.push_back(std::to_string(random()));
    }
    expected.insert(expected.end(), strings.begin(), strings.end());
    batches.push_back(MakeBatch({Ints(ints), Strings(strings)}));
  }
  const AttemptManifest small = Must(Write(schema, 0, {MakeBatch({Ints({1}), Strings({"x"})})}));
  const AttemptManifest large = Must(Write(schema, 1, batches));
  EXPECT_GT(large.bytes, int64_t{4} << 20);
  const FreezeResult frozen = Must(Freeze(schema, {small, large}));
  EXPECT_EQ(NumFiles(), 3U);
  Reopen();
  const auto table = Must(store_->OpenTable(frozen.manifest, resolver()));
  expected.insert(expected.begin(), "x");
  std::vector<data::RowId> ids;
  EXPECT_EQ(ReadField(*table, 1, 11, &ids), expected);
  std::vector<data::RowId> some;
  std::vector<std::string> values;
  for (int i = 0; i < 10000; ++i) {
    const size_t at = random() % ids.size();
    some.push_back(ids[at]);
    values.push_back(expected[at]);
  }
  EXPECT_EQ(Cells(Must(table->Gather(1, some.data(), 10000, nullptr))), values);
}

TEST_P(StoreTest, GatherPutsTheMissingValueWhereThereIsNoRow) {
  const TableSchema schema{"holes",
                           {{"i", FieldType::kInt},
                            {"s", FieldType::kString},
                            {"b", FieldType::kBool},
                            {"d", FieldType::kDecimal2}},
                           {},
                           ""};
  const auto table = Must(Build(
      schema, {{MakeBatch({Ints({4}), Strings({"here"}), Bools({false}), Decimals({250})})}}));
  const std::vector<data::RowId> rows{data::kNoRow, 0, data::kNoRow};
  const auto gather = [&](int field, const data::Value& missing) {
    return Cells(Must(table->Gather(field, rows.data(), 3, &missing)));
  };
  EXPECT_EQ(gather(0, int64_t{-9}), (std::vector<std::string>{"-9", "4", "-9"}));
  EXPECT_EQ(gather(1, std::string("gone")), (std::vector<std::string>{"gone", "here", "gone"}));
  EXPECT_EQ(gather(2, true), (std::vector<std::string>{"true", "false", "true"}));
  EXPECT_EQ(gather(3, Must(data::BigDecimal::Parse("12345678901234567890.5"))),
            (std::vector<std::string>{"12345678901234567890.5", "2.5", "12345678901234567890.5"}));
  EXPECT_FALSE(table->Gather(0, rows.data(), 3, nullptr).ok());
  const data::Value wrong = std::string("text");
  EXPECT_EQ(KindOf(table->Gather(0, rows.data(), 3, &wrong).status()), ErrorKind::kBug);
}

TEST_P(StoreTest, GatherOfManyRowsKeepsTheDictionary) {
  const TableSchema schema{"shared", {{"s", FieldType::kString}}, {}, ""};
  std::vector<Batches> attempts;
  std::vector<std::string> all;
  for (int b = 0; b < 3; ++b) {
    std::vector<std::string> words;
    for (int i = 0; i < 9000; ++i)
      words.push_back("word " + std::to_string((i * 7 + b) % (90 + b)));
    all.insert(all.end(), words.begin(), words.end());
    attempts.push_back({MakeBatch({Strings(words)})});
  }
  const auto table = Must(Build(schema, attempts));
  std::mt19937_64 random(6);
  for (const std::string& missing_text :
       {std::string("word 3"), std::string("nothing"), std::string()}) {
    for (const bool with_missing : {false, true}) {
      std::vector<data::RowId> rows;
      std::vector<std::string> expected;
      for (int i = 0; i < 5000; ++i) {
        const size_t at = random() % all.size();
        const bool missing = with_missing && at % 3 == 0;
        rows.push_back(
            missing ? data::kNoRow
                    : MakeRowId(static_cast<int64_t>(at / 9000), static_cast<int64_t>(at % 9000)));
        expected.push_back(missing ? missing_text : all[at]);
      }
      const data::Value missing_value = missing_text;
      const Column column = Must(table->Gather(0, rows.data(), 5000, &missing_value));
      EXPECT_EQ(column->type_id(), arrow::Type::DICTIONARY);
      EXPECT_EQ(Cells(column), expected);
      EXPECT_EQ(Must(table->Gather(0, rows.data(), 90, &missing_value))->type_id(),
                arrow::Type::STRING);
    }
  }
  const std::vector<data::RowId> none(5000, data::kNoRow);
  EXPECT_EQ(KindOf(table->Gather(0, none.data(), 5000, nullptr).status()), ErrorKind::kBug);
}

TEST_P(StoreTest, GatherRefusesRowsThatDoNotExist) {
  const auto table = Must(Build(IntTable("few"), {{MakeBatch({Ints({1, 2})})}, {}}));
  for (const data::RowId row :
       {MakeRowId(0, 2), MakeRowId(1, 0), MakeRowId(2, 0), data::RowId{-2}}) {
    EXPECT_EQ(KindOf(table->Gather(0, &row, 1, nullptr).status()), ErrorKind::kBug) << row;
  }
}

TEST_P(StoreTest, WrongBatchesAreRefused) {
  const TableSchema schema{"strict", {{"n", FieldType::kInt}, {"t", FieldType::kDatetime}}, {}, ""};
  auto writer = Must(store_->NewWriter(context_, {1, "strict"}, schema, 0, {}));
  const auto put = [&](std::vector<Column> columns) {
    return KindOf(writer->Put(MakeBatch(std::move(columns))));
  };
  EXPECT_EQ(put({Ints({1})}), ErrorKind::kBug);
  EXPECT_EQ(put({Ints({1}), Times({1, 2})}), ErrorKind::kBug);
  EXPECT_EQ(put({Ints({1}), nullptr}), ErrorKind::kBug);
  const std::vector<int64_t> sixteen(20000, 0);
  EXPECT_EQ(put({Ints(std::vector<int64_t>(10000, 1)),
                 FixedColumn(data::WideDatetimeArrowType(), sixteen.data(), 10000, 16)}),
            ErrorKind::kBug);
  EXPECT_EQ(put({Ints(std::vector<int64_t>(70000, 1)), Times(std::vector<int64_t>(70000, 1))}),
            ErrorKind::kBug);
  EXPECT_EQ(put({Times(std::vector<int64_t>(10000, 1)), Times(std::vector<int64_t>(10000, 1))}),
            ErrorKind::kBug);
  ASSERT_OK(writer->Put(MakeBatch({Ints({1}), Times({1})})));
  ASSERT_OK(writer->Finish().status());
  EXPECT_EQ(put({Ints({1}), Times({1})}), ErrorKind::kBug);
  EXPECT_EQ(KindOf(writer->Finish().status()), ErrorKind::kBug);
  EXPECT_FALSE(store_->NewWriter(context_, {1, "strict"}, schema, int64_t{1} << 20, {}).ok());
  TableSchema bad = schema;
  bad.indexes = {{"by_x", false, {{"x", FieldType::kInt}}}};
  EXPECT_FALSE(store_->NewWriter(context_, {1, "strict"}, bad, 0, {}).ok());
  bad.indexes = {{"by_n", false, {{"n", FieldType::kString}}}};
  EXPECT_FALSE(store_->NewWriter(context_, {1, "strict"}, bad, 0, {}).ok());
}

TEST_P(StoreTest, FreezeRefusesForeignManifests) {
  const TableSchema schema = IntTable("mine");
  const AttemptManifest zero = Must(Write(schema, 0, {MakeBatch({Ints({1})})}));
  const AttemptManifest one = Must(Write(schema, 1, {MakeBatch({Ints({1})})}));
  EXPECT_EQ(KindOf(Freeze(schema, {one, zero}).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(Freeze(IntTable("yours"), {zero}).status()), ErrorKind::kBug);
  TableSchema other = schema;
  other.fields[0].type = FieldType::kDatetime;
  EXPECT_EQ(KindOf(Freeze(other, {zero}).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(store_->FreezeTable(context_, {1, "mine"}, schema, {"{}"}).status()),
            ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(store_->OpenTable(zero.text, nullptr).status()), ErrorKind::kBug);
  // Nothing of the failed calls stays behind.
  EXPECT_EQ(NumFiles(), local() ? 1U : 2U);
}

TEST_P(StoreTest, PartitionRangesCoverAllRows) {
  for (const int64_t rows : {int64_t{0}, int64_t{1}, int64_t{10}, int64_t{1} << 62}) {
    for (const int64_t parts : {1, 3, 1000}) {
      int64_t next = 0;
      for (int64_t p = 0; p < parts; ++p) {
        const auto [begin, end] = PartitionRange(rows, p, parts);
        EXPECT_EQ(begin, next);
        EXPECT_LE(begin, end);
        next = end;
      }
      EXPECT_EQ(next, rows);
    }
  }
}

TEST_P(StoreTest, UnfinishedAttemptsLeaveNothing) {
  const TableSchema schema{"gone", {{"s", FieldType::kString}}, {}, ""};
  std::mt19937_64 random(3);
  {
    auto writer = Must(store_->NewWriter(context_, {1, "gone"}, schema, 0, {}));
    for (int b = 0; b < 10; ++b) {
      std::vector<std::string> strings;
      for (int i = 0; i < 30000; ++i) strings.push_back(std::to_string(random()));
      ASSERT_OK(writer->Put(MakeBatch({Strings(strings)})));
    }
    // Pieces of a shared store may still be under way.
    if (local()) {
      EXPECT_EQ(NumFiles(), 1U);
    }
  }
  EXPECT_EQ(NumFiles(), 0U);
}

TEST_P(StoreTest, ThreadsShareAStore) {
  TableSchema schema{"shared", {{"n", FieldType::kInt}, {"s", FieldType::kString}}, {}, ""};
  schema.indexes = {{"by_s", true, {{"s", FieldType::kString}}}};
  constexpr int64_t kThreads = 4;
  constexpr int64_t kAttempts = 15;
  const auto parallel = [](const std::function<void(int64_t)>& body) {
    std::vector<std::thread> threads;
    for (int64_t t = 0; t < kThreads; ++t) threads.emplace_back(body, t);
    for (std::thread& thread : threads) thread.join();
  };
  std::vector<AttemptManifest> attempts(kThreads * kAttempts);
  parallel([&](int64_t t) {
    for (int64_t a = 0; a < kAttempts; ++a) {
      const int64_t batch = a * kThreads + t;
      std::vector<std::string> texts;
      for (int64_t i = 0; i < 50; ++i) texts.push_back(std::to_string(batch * 50 + i));
      AttemptManifest& attempt = attempts[static_cast<size_t>(batch)];
      attempt = Must(Write(schema, batch,
                           {MakeBatch({Ints(std::vector<int64_t>(50, batch)), Strings(texts)})}));
      const Status status = store_->MakeDurable({&attempt});
      EXPECT_TRUE(status.ok()) << status.ToString();
    }
  });
  const std::string manifest = Must(Freeze(schema, attempts)).manifest;
  const auto table = Must(store_->OpenTable(manifest, nullptr));
  const auto index = Must(store_->OpenIndex(table, "by_s"));
  parallel([&](int64_t) {
    const std::vector<std::string> cells = ReadField(*table, 1);
    ASSERT_EQ(cells.size(), 3000U);
    EXPECT_EQ(cells[2999], "2999");
    std::vector<int32_t> left;
    std::vector<data::RowId> right;
    ASSERT_OK(index->Find({Strings(cells)}, 3000, &left, &right));
    EXPECT_EQ(left.size(), 3000U);
    EXPECT_EQ(Cells(Must(table->Gather(1, right.data(), 3000, nullptr))), cells);
  });
}

TEST_P(StoreTest, CancelledWritersStop) {
  const TableSchema schema = IntTable("stopped");
  auto writer = Must(store_->NewWriter(context_, {1, "stopped"}, schema, 0, {}));
  context_.cancel.Cancel(CancelledError("stop"));
  EXPECT_EQ(KindOf(writer->Put(MakeBatch({Ints({1})}))), ErrorKind::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreTest, kAllBackends, BackendName);

}  // namespace
}  // namespace capi::store
