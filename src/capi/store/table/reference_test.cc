// Fields that are rows of other tables.

#include <random>

#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;
using data::kNoRow;
using data::MakeRowId;
using data::RowId;

class ReferenceTest : public StoreTest {
 protected:
  /// Two batches: (10, "ten"), (11, "eleven") and (20, "twenty").
  std::shared_ptr<const Table> Source() {
    const TableSchema schema{"source", {{"n", FieldType::kInt}, {"s", FieldType::kString}}, {}, ""};
    return Must(Build(schema, {{MakeBatch({Ints({10, 11}), Strings({"ten", "eleven"})})},
                               {MakeBatch({Ints({20}), Strings({"twenty"})})}}));
  }
  static TableWriter::ReferenceGroup Group(std::shared_ptr<const Table> source) {
    TableWriter::ReferenceGroup group;
    group.source = std::move(source);
    group.fields = {{2, 1}, {0, 0}};  // text <- s, number <- n
    group.missing = {std::string("none"), int64_t{-1}};
    return group;
  }
  static TableSchema Schema(const std::string& name) {
    return {name,
            {{"number", FieldType::kInt}, {"own", FieldType::kInt}, {"text", FieldType::kString}},
            {},
            ""};
  }
  const std::vector<RowId> ids_{MakeRowId(1, 0), kNoRow, MakeRowId(0, 1), MakeRowId(0, 1)};
};

TEST_P(ReferenceTest, FieldsAreReadFromTheirSource) {
  const auto source = Source();
  const auto table =
      Must(Build(Schema("joined"), {{MakeBatch({nullptr, Ints({1, 2, 3, 4}), nullptr}, {ids_})}},
                 {Group(source)}));
  for (const int64_t parts : {1, 3, 4}) {
    EXPECT_EQ(ReadField(*table, 0, parts), (std::vector<std::string>{"20", "-1", "11", "11"}));
    EXPECT_EQ(ReadField(*table, 1, parts), (std::vector<std::string>{"1", "2", "3", "4"}));
    EXPECT_EQ(ReadField(*table, 2, parts),
              (std::vector<std::string>{"twenty", "none", "eleven", "eleven"}));
  }
  const Table::Morsel morsel = table->Morsels(1, 3)[0];
  EXPECT_EQ(Must(table->ReadReferences(morsel, 0)), (std::vector<RowId>{kNoRow, MakeRowId(0, 1)}));
  const auto reference = table->ReferenceOf(2);
  ASSERT_TRUE(reference.has_value());
  EXPECT_EQ(reference->source, source);
  EXPECT_EQ(reference->source_field, 1);
  EXPECT_EQ(reference->group, 0);
  EXPECT_EQ(data::ValueToText(reference->missing), "none");
  EXPECT_FALSE(table->ReferenceOf(1).has_value());
  EXPECT_EQ(Must(store_->ReferencesOf(frozen_.manifest)), (std::vector<TableId>{{1, "source"}}));
}

TEST_P(ReferenceTest, MissingHereAndMissingInTheSourceDiffer) {
  const auto table =
      Must(Build(Schema("joined"), {{MakeBatch({nullptr, Ints({1, 2, 3, 4}), nullptr}, {ids_})}},
                 {Group(Source())}));
  const std::vector<RowId> rows{1, kNoRow, 0};
  const data::Value missing = std::string("nowhere");
  EXPECT_EQ(Cells(Must(table->Gather(2, rows.data(), 3, &missing))),
            (std::vector<std::string>{"none", "nowhere", "twenty"}));
  EXPECT_FALSE(table->Gather(2, rows.data(), 3, nullptr).ok());
  EXPECT_EQ(Cells(Must(table->Gather(2, rows.data(), 1, nullptr))),
            (std::vector<std::string>{"none"}));
}

TEST_P(ReferenceTest, ReferencesToReferences) {
  const auto source = Source();
  const auto joined =
      Must(Build(Schema("joined"), {{MakeBatch({nullptr, Ints({1, 2, 3, 4}), nullptr}, {ids_})}},
                 {Group(source)}));
  TableWriter::ReferenceGroup group;
  group.source = joined;
  group.fields = {{0, 2}, {1, 1}};
  group.missing = {std::string("gone"), int64_t{0}};
  TableWriter::ReferenceGroup direct;
  direct.source = source;
  direct.fields = {{2, 0}};
  direct.missing = {int64_t{-7}};
  TableSchema schema{
      "again", {{"a", FieldType::kString}, {"b", FieldType::kInt}, {"c", FieldType::kInt}}, {}, ""};
  schema.indexes = {{"by_a", false, {{"a", FieldType::kString}}}};
  const auto table = Must(Build(schema,
                                {{MakeBatch({nullptr, nullptr, nullptr},
                                            {{2, 0, kNoRow, 1}, {kNoRow, 0, MakeRowId(1, 0), 1}})},
                                 {MakeBatch({nullptr, nullptr, nullptr}, {{3}, {0}})}},
                                {group, direct}));
  EXPECT_EQ(ReadField(*table, 0),
            (std::vector<std::string>{"eleven", "twenty", "gone", "none", "eleven"}));
  EXPECT_EQ(ReadField(*table, 1), (std::vector<std::string>{"3", "1", "0", "2", "4"}));
  EXPECT_EQ(ReadField(*table, 2), (std::vector<std::string>{"-7", "10", "20", "11", "10"}));
  EXPECT_EQ(Must(store_->ReferencesOf(frozen_.manifest)),
            (std::vector<TableId>{{1, "joined"}, {1, "source"}}));
  const auto index = Must(store_->OpenIndex(table, "by_a"));
  std::vector<int32_t> left;
  std::vector<RowId> right;
  ASSERT_OK(index->Find({Strings({"none", "eleven", "ten"})}, 3, &left, &right));
  EXPECT_EQ(left, (std::vector<int32_t>{0, 1, 1}));
  EXPECT_EQ(right, (std::vector<RowId>{3, 0, MakeRowId(1, 0)}));
}

TEST_P(ReferenceTest, UniqueKeysOnReferenceFields) {
  TableSchema schema = Schema("joined");
  schema.indexes = {{"by_text", true, {{"text", FieldType::kString}}}};
  const auto source = Source();
  EXPECT_NE(
      Write(schema, 0, {MakeBatch({nullptr, Ints({1, 2, 3, 4}), nullptr}, {ids_})}, {Group(source)})
          .status()
          .message()
          .find("key text=\"eleven\", row 3 of batch 0 and row 4 of batch 0"),
      std::string::npos);
  const AttemptManifest zero = Must(
      Write(schema, 0, {MakeBatch({nullptr, Ints({1, 2}), nullptr}, {{0, 1}})}, {Group(source)}));
  const AttemptManifest one = Must(Write(
      schema, 1, {MakeBatch({nullptr, Ints({1, 2}), nullptr}, {{kNoRow, 1}})}, {Group(source)}));
  EXPECT_NE(
      Freeze(schema, {zero, one}).status().message().find("row 2 of batch 0 and row 2 of batch 1"),
      std::string::npos);
  other()->SetResolver(nullptr);
  EXPECT_EQ(KindOf(Freeze(schema, {zero, one}).status()), ErrorKind::kBug);
}

TEST_P(ReferenceTest, DistinctOverReferenceFields) {
  TableSchema schema = Schema("winners");
  schema.indexes = {{"by_number", true, {{"number", FieldType::kInt}}}};
  schema.distinct_index = "by_number";
  const auto table =
      Must(Build(schema,
                 {{MakeBatch({nullptr, Ints({1, 2, 3, 4}), nullptr}, {ids_})},
                  {MakeBatch({nullptr, Ints({5, 6, 7}), nullptr}, {{MakeRowId(1, 0), 0, kNoRow}})}},
                 {Group(Source())}));
  EXPECT_EQ(ReadField(*table, 0), (std::vector<std::string>{"20", "-1", "11", "10"}));
  EXPECT_EQ(ReadField(*table, 1, 3), (std::vector<std::string>{"1", "2", "3", "6"}));
  EXPECT_EQ(ReadField(*table, 2), (std::vector<std::string>{"twenty", "none", "eleven", "ten"}));
  const auto morsels = table->Morsels(3, 4);
  EXPECT_EQ(Must(table->ReadReferences(morsels[0], 0)), (std::vector<RowId>{0}));
}

TEST_P(ReferenceTest, RowIdsOfManyBatchesRoundTrip) {
  const TableSchema schema{"wide", {{"n", FieldType::kInt}}, {}, ""};
  std::vector<Batches> attempts;
  for (int64_t b = 0; b < 600; ++b) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < (b == 7 ? 70 : 5); ++i) values.push_back(b * 1000 + i);
    attempts.push_back({MakeBatch({Ints(values)})});
  }
  const auto source = Must(Build(schema, attempts));
  TableWriter::ReferenceGroup group;
  group.source = source;
  group.fields = {{0, 0}};
  group.missing = {int64_t{-1}};
  std::mt19937_64 random(4);
  for (const bool with_missing : {false, true}) {
    for (const int64_t batches : {int64_t{1}, int64_t{8}, int64_t{600}}) {
      std::vector<RowId> rows;
      std::vector<std::string> expected;
      for (int i = 0; i < 20000; ++i) {
        if (with_missing && i % 5 == 0) {
          rows.push_back(kNoRow);
          expected.push_back("-1");
          continue;
        }
        const auto batch = static_cast<int64_t>(random() % static_cast<uint64_t>(batches));
        const auto ordinal = static_cast<int64_t>(random() % (batch == 7 ? 70 : 5));
        rows.push_back(MakeRowId(batch, ordinal));
        expected.push_back(std::to_string(batch * 1000 + ordinal));
      }
      const TableSchema refs{"refs", {{"n", FieldType::kInt}}, {}, ""};
      const auto table = Must(Build(refs, {{MakeBatch({nullptr}, {rows})}}, {group}));
      EXPECT_EQ(ReadField(*table, 0, 3), expected);
    }
  }
  const TableSchema refs{"refs", {{"n", FieldType::kInt}}, {}, ""};
  const auto table =
      Must(Build(refs, {{MakeBatch({nullptr}, {std::vector<RowId>(9000, kNoRow)})}}, {group}));
  EXPECT_EQ(ReadField(*table, 0), std::vector<std::string>(9000, "-1"));
}

TEST_P(ReferenceTest, WrongGroupsAreRefused) {
  const auto source = Source();
  const auto refused = [&](TableWriter::ReferenceGroup group) {
    return KindOf(
        store_->NewWriter(context_, {1, "joined"}, Schema("joined"), 0, {std::move(group)})
            .status());
  };
  TableWriter::ReferenceGroup group = Group(nullptr);
  EXPECT_EQ(refused(group), ErrorKind::kBug);
  group = Group(source);
  group.missing.pop_back();
  EXPECT_EQ(refused(group), ErrorKind::kBug);
  group = Group(source);
  group.missing[0] = int64_t{1};
  EXPECT_EQ(refused(group), ErrorKind::kBug);
  group = Group(source);
  group.fields[0] = {1, 1};
  EXPECT_EQ(refused(group), ErrorKind::kBug);
  group = Group(source);
  group.fields[0] = {2, 9};
  EXPECT_EQ(refused(group), ErrorKind::kBug);
  group = Group(source);
  group.fields = {{0, 0}, {0, 0}};
  group.missing = {int64_t{1}, int64_t{1}};
  EXPECT_EQ(refused(group), ErrorKind::kBug);

  auto writer =
      Must(store_->NewWriter(context_, {1, "joined"}, Schema("joined"), 0, {Group(source)}));
  EXPECT_EQ(KindOf(writer->Put(MakeBatch({nullptr, Ints({1}), nullptr}, {{0, 0}}))),
            ErrorKind::kBug);
  EXPECT_EQ(KindOf(writer->Put(MakeBatch({Ints({1}), Ints({1}), Strings({"a"})}))),
            ErrorKind::kBug);
}

TEST_P(ReferenceTest, TablesAreNotOpenedWithoutTheirSources) {
  Must(Build(Schema("joined"), {{MakeBatch({nullptr, Ints({1, 2, 3, 4}), nullptr}, {ids_})}},
             {Group(Source())}));
  EXPECT_EQ(KindOf(store_->OpenTable(frozen_.manifest, nullptr).status()), ErrorKind::kBug);
  tables_.erase({1, "source"});
  EXPECT_FALSE(store_->OpenTable(frozen_.manifest, resolver()).ok());
}

INSTANTIATE_TEST_SUITE_P(Stores, ReferenceTest, kAllBackends, BackendName);

}  // namespace
}  // namespace capi::store
