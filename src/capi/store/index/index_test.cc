// Indexes: unique, distinct, look-ups against brute force, hash collisions, spilling.

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "capi/store/index/entry_sort_internal.h"
#include "capi/store/index/frozen_index_internal.h"
#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;
using data::KeyComponent;
using data::MakeRowId;
using data::RowId;

/// Uses only some bits of hashes while it lives.
class ReducedHashes {
 public:
  explicit ReducedHashes(int bits) { SetIndexHashBitsForTesting(bits); }
  ~ReducedHashes() { SetIndexHashBitsForTesting(64); }
};

TableSchema KeyTable(const std::string& name, bool unique) {
  return {name,
          {{"n", FieldType::kInt}, {"s", FieldType::kString}},
          {{"by_s", unique, {{"s", FieldType::kString}}},
           {"by_both", false, {{"s", FieldType::kString}, {"n", FieldType::kInt}}}},
          ""};
}

using Pairs = std::vector<std::pair<int32_t, RowId>>;

Pairs Found(const Index& index, const std::vector<Column>& keys) {
  std::vector<int32_t> left{99};
  std::vector<RowId> right;
  const Status status = index.Find(keys, keys[0]->length(), &left, &right);
  EXPECT_TRUE(status.ok()) << status.ToString();
  Pairs pairs;
  for (size_t i = 0; i < left.size(); ++i) pairs.emplace_back(left[i], right[i]);
  return pairs;
}

class IndexTest : public StoreTest {
 protected:
  /// Random rows of few different keys in `attempts` batches; looked up with random keys.
  void CompareWithBruteForce(const std::string& name, int attempts, int rows, int keys) {
    std::mt19937_64 random(static_cast<uint64_t>(keys + rows));
    std::vector<Batches> batches;
    std::vector<std::pair<std::string, RowId>> all;
    std::vector<int64_t> numbers;
    for (int b = 0; b < attempts; ++b) {
      std::vector<int64_t> ints;
      std::vector<std::string> strings;
      for (int i = 0; i < rows; ++i) {
        ints.push_back(static_cast<int64_t>(random() % 3));
        strings.push_back("k" + std::to_string(random() % static_cast<uint64_t>(keys)));
        all.emplace_back(strings.back(), MakeRowId(b, i));
        numbers.push_back(ints.back());
      }
      batches.push_back({MakeBatch({Ints(ints), Strings(strings)})});
    }
    const auto table = Must(Build(KeyTable(name, false), batches));
    std::vector<std::string> left_strings;
    std::vector<int64_t> left_ints;
    for (int i = 0; i < 700; ++i) {
      left_strings.push_back("k" + std::to_string(random() % static_cast<uint64_t>(2 * keys)));
      left_ints.push_back(static_cast<int64_t>(random() % 4));
    }
    Pairs expected;
    Pairs expected_both;
    for (size_t l = 0; l < left_strings.size(); ++l) {
      for (size_t r = 0; r < all.size(); ++r) {
        if (all[r].first != left_strings[l]) continue;
        expected.emplace_back(static_cast<int32_t>(l), all[r].second);
        if (numbers[r] == left_ints[l]) {
          expected_both.emplace_back(static_cast<int32_t>(l), all[r].second);
        }
      }
    }
    const auto by_s = Must(store_->OpenIndex(table, "by_s"));
    const auto by_both = Must(store_->OpenIndex(table, "by_both"));
    EXPECT_EQ(Found(*by_s, {Strings(left_strings)}), expected);
    EXPECT_EQ(Found(*by_both, {Strings(left_strings), Ints(left_ints)}), expected_both);
    std::vector<int32_t> codes;
    for (size_t l = 0; l < left_strings.size(); ++l) codes.push_back(static_cast<int32_t>(l));
    EXPECT_EQ(Found(*by_s, {Coded(codes, left_strings)}), expected);

    // Entries are sorted, complete, and bounded as LowerBound says.
    std::vector<uint64_t> hashes;
    std::vector<RowId> ids;
    ASSERT_OK(by_s->ReadEntries(0, by_s->num_entries(), &hashes, &ids));
    ASSERT_EQ(hashes.size(), all.size());
    for (size_t i = 1; i < hashes.size(); ++i) {
      ASSERT_TRUE(hashes[i - 1] < hashes[i] || (hashes[i - 1] == hashes[i] && ids[i - 1] < ids[i]));
    }
    for (size_t i = 0; i < hashes.size(); i += 97) {
      const auto first = std::lower_bound(hashes.begin(), hashes.end(), hashes[i]) - hashes.begin();
      EXPECT_EQ(Must(by_s->LowerBound(hashes[i])), first);
    }
    EXPECT_EQ(Must(by_s->LowerBound(0)), 0);
    EXPECT_FALSE(by_s->ReadEntries(0, by_s->num_entries() + 1, &hashes, &ids).ok());
    std::vector<int32_t> left;
    EXPECT_FALSE(by_s->Find({Strings({"a"}), Ints({1})}, 1, &left, &ids).ok());
    EXPECT_FALSE(by_s->Find({Strings({"a"})}, 2, &left, &ids).ok());
  }
};

TEST_P(IndexTest, FindsAllMatchesInRowOrder) {
  const TableSchema schema{
      "indexed", {{"n", FieldType::kInt}}, {{"by_n", false, {{"n", FieldType::kInt}}}}, ""};
  const auto table =
      Must(Build(schema, {{MakeBatch({Ints({7, 8, 7})})}, {}, {MakeBatch({Ints({7, 9})})}}));
  const auto index = Must(store_->OpenIndex(table, "by_n"));
  EXPECT_EQ(index->num_entries(), 5);
  EXPECT_EQ(
      Found(*index, {Ints({9, 1, 7})}),
      (Pairs{
          {0, MakeRowId(2, 1)}, {2, MakeRowId(0, 0)}, {2, MakeRowId(0, 2)}, {2, MakeRowId(2, 0)}}));
}

TEST_P(IndexTest, AgreesWithBruteForce) {
  CompareWithBruteForce("one", 1, 5000, 900);
  CompareWithBruteForce("several", 7, 900, 40);
  CompareWithBruteForce("dense", 3, 500, 2);
}

TEST_P(IndexTest, AgreesWithBruteForceWhenHashesCollide) {
  for (const int bits : {0, 1, 5}) {
    const ReducedHashes reduced(bits);
    CompareWithBruteForce("one" + std::to_string(bits), 1, 2000, 300);
    CompareWithBruteForce("several" + std::to_string(bits), 5, 300, 40);
  }
}

TEST_P(IndexTest, MergesRangesOfManyEntries) {
  // More than one range of the merge, also with few different hashes.
  const TableSchema schema{
      "wide", {{"n", FieldType::kInt}}, {{"by_n", false, {{"n", FieldType::kInt}}}}, ""};
  for (const int bits : {64, 1}) {
    const ReducedHashes reduced(bits);
    std::vector<Batches> attempts;
    for (int64_t b = 0; b < 3; ++b) {
      Batches batches;
      for (int64_t p = 0; p < 5; ++p) {
        std::vector<int64_t> values(60000);
        for (size_t i = 0; i < values.size(); ++i) {
          values[i] = (b * 5 + p) * 60000 + static_cast<int64_t>(i);
        }
        batches.push_back(MakeBatch({Ints(values)}));
      }
      attempts.push_back(std::move(batches));
    }
    const auto table = Must(Build(schema, attempts));
    const auto index = Must(store_->OpenIndex(table, "by_n"));
    ASSERT_EQ(index->num_entries(), 900000);
    EXPECT_EQ(Found(*index, {Ints({0, 899999, 900000, 431234})}),
              (Pairs{{0, MakeRowId(0, 0)}, {1, MakeRowId(2, 299999)}, {3, MakeRowId(1, 131234)}}));
    std::vector<uint64_t> hashes;
    std::vector<RowId> ids;
    ASSERT_OK(index->ReadEntries(0, 900000, &hashes, &ids));
    for (size_t i = 1; i < ids.size(); ++i) {
      ASSERT_TRUE(hashes[i - 1] < hashes[i] || (hashes[i - 1] == hashes[i] && ids[i - 1] < ids[i]));
    }
  }
}

TEST_P(IndexTest, DuplicateInsideAnAttemptIsTheUsersError) {
  const TableSchema schema = KeyTable("orders", true);
  const Status status = Write(schema, 3,
                              {MakeBatch({Ints({1, 2, 3}), Strings({"a", "b", "c"})}),
                               MakeBatch({Ints({4, 5, 6}), Strings({"d", "b", "a"})})})
                            .status();
  EXPECT_EQ(KindOf(status), ErrorKind::kUser);
  EXPECT_EQ(InfoOf(status).error_class, "duplicate_key");
  EXPECT_EQ(status.message(),
            "unique index has two rows with one key: index by_s of table orders, key s=\"b\", "
            "row 2 of batch 3 and row 5 of batch 3");
}

TEST_P(IndexTest, DuplicateInALargeAttemptIsFoundToo) {
  const TableSchema schema = KeyTable("large", true);
  Batches batches;
  for (int64_t b = 0; b < 10; ++b) {
    std::vector<int64_t> ints(40000, b);
    std::vector<std::string> strings;
    for (int64_t i = 0; i < 40000; ++i) {
      strings.push_back("key number " + std::to_string(b * 40000 + i));
    }
    if (b == 9) strings[5] = "key number 123456";
    batches.push_back(MakeBatch({Ints(ints), Strings(strings)}));
  }
  const Status status = Write(schema, 0, batches).status();
  EXPECT_EQ(InfoOf(status).error_class, "duplicate_key");
  EXPECT_NE(status.message().find("row 123457 of batch 0 and row 360006 of batch 0"),
            std::string::npos)
      << status.message();
  EXPECT_EQ(NumFiles(), 0U);
}

TEST_P(IndexTest, DuplicateAcrossAttemptsIsTheUsersError) {
  const TableSchema schema = KeyTable("orders", true);
  const Status status = Build(schema, {{MakeBatch({Ints({1, 2}), Strings({"a", "b"})})},
                                       {MakeBatch({Ints({1, 2}), Strings({"c", "d"})})},
                                       {MakeBatch({Ints({1, 2, 3}), Strings({"e", "d", "a"})})}})
                            .status();
  EXPECT_EQ(InfoOf(status).error_class, "duplicate_key");
  EXPECT_EQ(status.message(),
            "unique index has two rows with one key: index by_s of table orders, key s=\"d\", "
            "row 2 of batch 1 and row 2 of batch 2");
}

TEST_P(IndexTest, CollidingKeysAreNotDuplicates) {
  const ReducedHashes reduced(2);
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  for (int64_t i = 0; i < 400; ++i) {
    ints.push_back(i);
    strings.push_back(std::to_string(i));
  }
  std::vector<std::string> more = strings;
  for (std::string& text : more) text += "x";
  ASSERT_OK(Build(KeyTable("orders", true), {{MakeBatch({Ints(ints), Strings(strings)})},
                                             {MakeBatch({Ints(ints), Strings(more)})}})
                .status());
  more[7] = "9";
  const Status status =
      Build(KeyTable("orders", true),
            {{MakeBatch({Ints(ints), Strings(strings)})}, {MakeBatch({Ints(ints), Strings(more)})}})
          .status();
  EXPECT_NE(status.message().find("row 10 of batch 0 and row 8 of batch 1"), std::string::npos)
      << status.message();
}

TEST_P(IndexTest, IgnoreCaseKeys) {
  TableSchema schema = KeyTable("cases", true);
  schema.indexes[0].components[0].ignore_case = true;
  const auto table = Must(Build(schema, {{MakeBatch({Ints({1, 2}), Strings({"Abc", "äx"})})},
                                         {MakeBatch({Ints({3}), Strings({"ABCD"})})}}));
  const auto index = Must(store_->OpenIndex(table, "by_s"));
  EXPECT_EQ(Found(*index, {Strings({"aBC", "ÄX", "abcd", "ab"})}),
            (Pairs{{0, 0}, {1, 1}, {2, MakeRowId(1, 0)}}));
  EXPECT_EQ(InfoOf(Write(schema, 0, {MakeBatch({Ints({1, 2}), Strings({"a", "A"})})}).status())
                .error_class,
            "duplicate_key");
}

class DistinctTest : public IndexTest {
 protected:
  static TableSchema Schema(const std::string& name) {
    TableSchema schema = KeyTable(name, true);
    schema.distinct_index = "by_s";
    return schema;
  }
  /// Random rows; the first row of each key must win, whatever the attempts.
  void CompareWinners(const std::string& name, int attempts, int puts, int rows, int keys) {
    std::mt19937_64 random(static_cast<uint64_t>(keys * 31 + rows));
    std::vector<Batches> batches;
    std::map<std::string, std::string> winners;  // key -> n of its first row
    std::vector<std::string> order;
    int64_t written = 0;
    for (int b = 0; b < attempts; ++b) {
      Batches of_attempt;
      for (int p = 0; p < puts; ++p) {
        std::vector<int64_t> ints;
        std::vector<std::string> strings;
        for (int i = 0; i < rows; ++i) {
          ints.push_back(written++);
          strings.push_back("k" + std::to_string(random() % static_cast<uint64_t>(keys)));
          if (winners.emplace(strings.back(), std::to_string(ints.back())).second) {
            order.push_back(strings.back());
          }
        }
        of_attempt.push_back(MakeBatch({Ints(ints), Strings(strings)}));
      }
      batches.push_back(std::move(of_attempt));
    }
    const auto table = Must(Build(Schema(name), batches));
    ASSERT_EQ(table->num_rows(), static_cast<int64_t>(winners.size()));
    EXPECT_EQ(frozen_.rows, table->num_rows());
    for (const int64_t parts : {1, 7, 1000}) {
      std::vector<RowId> ids;
      const std::vector<std::string> keys_read = ReadField(*table, 1, parts, &ids);
      EXPECT_EQ(keys_read, order);
      EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
      const std::vector<std::string> numbers = ReadField(*table, 0, parts);
      for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], winners[keys_read[i]]);
    }
    for (const char* name_of_index : {"by_s", "by_both"}) {
      const auto index = Must(store_->OpenIndex(table, name_of_index));
      EXPECT_EQ(index->num_entries(), table->num_rows());
    }
    const auto index = Must(store_->OpenIndex(table, "by_s"));
    EXPECT_EQ(Found(*index, {Strings(order)}).size(), order.size());
  }
};

TEST_P(DistinctTest, FirstRowOfAKeyWins) {
  CompareWinners("one", 1, 4, 3000, 500);
  CompareWinners("several", 5, 2, 1000, 700);
  CompareWinners("tiny", 200, 1, 3, 50);
  CompareWinners("big", 3, 2, 20000, 30000);
}

TEST_P(DistinctTest, FirstRowOfAKeyWinsWhenHashesCollide) {
  const ReducedHashes reduced(3);
  CompareWinners("one", 1, 3, 300, 100);
  CompareWinners("several", 6, 2, 100, 130);
}

TEST_P(DistinctTest, WithoutMemoryForKeysFreezeDecides) {
  Limit(1);
  CompareWinners("one", 1, 4, 3000, 500);
  CompareWinners("several", 4, 3, 1000, 700);
}

TEST_P(DistinctTest, DuplicatesAreCounted) {
  const TableSchema schema = Schema("counted");
  const AttemptManifest zero = Must(Write(schema, 0,
                                          {MakeBatch({Ints({1, 2, 3}), Strings({"a", "b", "a"})}),
                                           MakeBatch({Ints({4}), Strings({"b"})})}));
  EXPECT_EQ(zero.rows, 2);
  EXPECT_EQ(zero.duplicates, 2);
  const AttemptManifest one =
      Must(Write(schema, 1, {MakeBatch({Ints({5, 6}), Strings({"c", "a"})})}));
  EXPECT_EQ(one.duplicates, 0);
  const FreezeResult frozen = Must(Freeze(schema, {zero, one}));
  EXPECT_EQ(frozen.rows, 3);
  EXPECT_EQ(frozen.duplicates, 1);
}

TEST_P(DistinctTest, UniqueIndexIsCheckedOnWinnersOnly) {
  TableSchema schema = Schema("second");
  schema.indexes[1] = {"by_n", true, {{"n", FieldType::kInt}}};
  // The loser's n would be a duplicate of a winner's.
  const auto table = Must(Build(schema, {{MakeBatch({Ints({1, 2}), Strings({"a", "b"})})},
                                         {MakeBatch({Ints({2, 3}), Strings({"a", "c"})})}}));
  EXPECT_EQ(table->num_rows(), 3);
  const Status status = Build(schema, {{MakeBatch({Ints({1, 2}), Strings({"a", "b"})})},
                                       {MakeBatch({Ints({2, 2}), Strings({"a", "c"})})}})
                            .status();
  EXPECT_EQ(InfoOf(status).error_class, "duplicate_key");
}

TEST_P(IndexTest, SpillsWhenMemoryIsScarce) {
  Limit(int64_t{4} << 20);
  const TableSchema schema{
      "spilled", {{"n", FieldType::kInt}}, {{"by_n", true, {{"n", FieldType::kInt}}}}, ""};
  Batches batches;
  for (int64_t p = 0; p < 10; ++p) {
    std::vector<int64_t> values(60000);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = (p * 60000 + static_cast<int64_t>(i)) * 7919;
    }
    batches.push_back(MakeBatch({Ints(values)}));
  }
  const auto table = Must(Build(schema, {batches}));
  EXPECT_GT(progress_.spilled_bytes.load(), 0);
  const auto index = Must(store_->OpenIndex(table, "by_n"));
  EXPECT_EQ(index->num_entries(), 600000);
  std::vector<int64_t> probes;
  for (int64_t i = 0; i < 1000; ++i) probes.push_back(i * 599 * 7919);
  const Pairs found = Found(*index, {Ints(probes)});
  ASSERT_EQ(found.size(), 1000U);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].second, MakeRowId(0, static_cast<int64_t>(i) * 599));
  }
  EXPECT_EQ(context_.memory->reserved_bytes(), 0);
  batches.push_back(MakeBatch({Ints({7919 * 100})}));
  EXPECT_NE(Write(schema, 0, batches).status().message().find("row 101 of batch 0 and row 600001"),
            std::string::npos);
}

TEST_P(IndexTest, EntriesAreSortedWhateverTheHashes) {
  std::mt19937_64 random(5);
  for (const uint64_t mask : {~uint64_t{0}, uint64_t{0xFF} << 56, uint64_t{0xFFF}, uint64_t{0},
                              uint64_t{0x8000000000000001}}) {
    for (const size_t count : {size_t{1}, size_t{30}, size_t{5000}, size_t{50000}}) {
      std::vector<HashedRows> pieces(3);
      std::vector<IndexEntry> expected;
      for (size_t p = 0; p < 3; ++p) {
        pieces[p].first_row = MakeRowId(0, static_cast<int64_t>(p * count));
        for (size_t i = 0; i < count; ++i) {
          pieces[p].hashes.push_back(random() & mask);
          expected.push_back(
              {pieces[p].hashes.back(), pieces[p].first_row + static_cast<int64_t>(i)});
        }
      }
      std::vector<IndexEntry> shuffled = expected;
      std::shuffle(shuffled.begin(), shuffled.end(), random);
      std::sort(expected.begin(), expected.end());
      const auto n = static_cast<int64_t>(expected.size());
      const auto sorted = Must(SortedEntries(pieces, n, pool_.get()));
      std::vector<IndexEntry> scratch(expected.size());
      SortEntries(shuffled.data(), n, scratch.data());
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(sorted[i].row, expected[i].row);
        ASSERT_EQ(shuffled[i].row, expected[i].row);
      }
    }
  }
}

TEST_P(IndexTest, UnknownIndexIsABug) {
  const auto table = Must(Build(KeyTable("t", false), {{}}));
  EXPECT_EQ(KindOf(store_->OpenIndex(table, "by_x").status()), ErrorKind::kBug);
}

INSTANTIATE_TEST_SUITE_P(Stores, IndexTest, kAllBackends, BackendName);
INSTANTIATE_TEST_SUITE_P(Stores, DistinctTest, kAllBackends, BackendName);

}  // namespace
}  // namespace capi::store
