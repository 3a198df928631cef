// Tables as CQL rows on a real server.

#include "capi/store/cassandra/cassandra_row_publisher.h"

#include <algorithm>
#include <limits>
#include <thread>

#include "capi/base/fault_point.h"
#include "capi/base/status.h"
#include "capi/cql/tcp_proxy_test.h"
#include "capi/data/key.h"
#include "capi/store/rows/table_ddl.h"
#include "capi/store/store_testing_internal.h"

namespace capi::store {
namespace {

using data::FieldType;
using data::KeyComponent;
using data::MakeRowId;

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinInt = std::numeric_limits<int64_t>::min();

int64_t Signed(data::RowId row) { return kMinInt + row; }

class RowPublisherTest : public AnyStoreTest {
 protected:
  Backend backend() const override { return Backend::kLocal; }
  void SetUp() override {
    if (!CassandraKeyspace::Available()) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    AnyStoreTest::SetUp();
    // Names of tables are the test's own: all share a keyspace.
    prefix_ = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::transform(prefix_.begin(), prefix_.end(), prefix_.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    prefix_ = prefix_.substr(0, 20);
    publisher_ = NewCassandraRowPublisher(session(), keyspace());
  }
  void TearDown() override {
    ASSERT_OK(ArmFaultPoints(""));
    AnyStoreTest::TearDown();
  }

  static cql::Session* session() { return CassandraKeyspace::session(); }
  static const std::string& keyspace() { return CassandraKeyspace::name(); }

  Status Publish(const Table& table, const std::string& options = "") {
    return publisher_->Publish(context_, table, options);
  }
  static cql::Rows Select(const std::string& columns, const std::string& table) {
    const auto statement =
        Must(session()->Prepare("SELECT " + columns + " FROM " + keyspace() + "." + table, true));
    return Must(session()->Execute({statement, {}, cql::Consistency::kDefault}));
  }
  /// rowid -> the other columns' bytes; null cells are told from empty ones.
  static std::map<int64_t, std::vector<std::string>> RowsOf(const std::string& table,
                                                            const std::string& columns) {
    const cql::Rows rows = Select("rowid, " + columns, table);
    std::map<int64_t, std::vector<std::string>> found;
    for (int64_t row = 0; row < rows.size(); ++row) {
      std::vector<std::string> cells;
      for (int column = 1; column < static_cast<int>(rows.columns().size()); ++column) {
        const auto cell = rows.Cell(row, column);
        cells.push_back(cell ? "=" + std::string(*cell) : "null");
      }
      EXPECT_TRUE(found.emplace(rows.Integer(row, 0), std::move(cells)).second);
    }
    return found;
  }
  static std::vector<std::pair<std::string, int64_t>> EntriesOf(const std::string& table) {
    const cql::Rows rows = Select("key, rowid", table);
    std::vector<std::pair<std::string, int64_t>> entries;
    for (int64_t row = 0; row < rows.size(); ++row) {
      entries.emplace_back(rows.Text(row, 0), rows.Integer(row, 1));
    }
    std::sort(entries.begin(), entries.end());
    return entries;
  }
  static std::string KeyOf(const std::vector<KeyComponent>& components,
                           const std::vector<data::Value>& values) {
    return Must(data::KeyText(components, values));
  }
  static KeyComponent Of(const std::string& field, FieldType type, bool descending = false,
                         bool ignore_case = false) {
    KeyComponent component;
    component.field = field;
    component.type = type;
    component.descending = descending;
    component.ignore_case = ignore_case;
    return component;
  }
  TableSchema TextTable(bool unique) const {
    return {prefix_ + "_t",
            {{"n", FieldType::kInt}, {"s", FieldType::kString}},
            {{"idx_" + prefix_, unique, {Of("s", FieldType::kString)}}},
            ""};
  }
  std::string TableName() const { return prefix_ + "_t_00001"; }
  std::string IndexName() const { return "idx_" + prefix_ + "_00001"; }

  /// Some thousand rows in several morsels, with both kinds of indexes.
  std::shared_ptr<const Table> BigTable() {
    TableSchema schema = TextTable(true);
    schema.indexes.push_back({"idx2_" + prefix_, false, {Of("n", FieldType::kInt)}});
    std::vector<Batches> attempts;
    for (int64_t b = 0; b < 3; ++b) {
      std::vector<int64_t> numbers;
      std::vector<std::string> texts;
      for (int64_t i = 0; i < 2500; ++i) {
        numbers.push_back(i % 100);
        texts.push_back("text " + std::to_string(b * 2500 + i));
      }
      attempts.push_back({MakeBatch({Ints(numbers), Strings(texts)})});
    }
    return Must(Build(schema, attempts));
  }
  void ExpectBigTable() {
    const auto rows = RowsOf(TableName(), "batch_idx, n, s");
    ASSERT_EQ(rows.size(), 7500U);
    EXPECT_EQ(rows.begin()->first, Signed(0));
    EXPECT_EQ(rows.rbegin()->first, Signed(MakeRowId(2, 2499)));
    EXPECT_EQ(rows.at(Signed(MakeRowId(1, 7)))[2], "=text 2507");
    const auto entries = EntriesOf(IndexName());
    ASSERT_EQ(entries.size(), 7500U);
    EXPECT_EQ(EntriesOf("idx2_" + prefix_ + "_00001").size(), 7500U);
    const std::string key =
        KeyOf({Of("s", FieldType::kString)}, {data::Value(std::string("text 2507"))});
    const auto found = std::lower_bound(entries.begin(), entries.end(), std::pair(key, kMinInt));
    ASSERT_NE(found, entries.end());
    EXPECT_EQ(*found, std::pair(key, Signed(MakeRowId(1, 7))));
  }

  std::string prefix_;
  std::unique_ptr<RowPublisher> publisher_;
};

TEST_F(RowPublisherTest, AllTypes) {
  const TableSchema schema{prefix_ + "_t",
                           {{"Big", FieldType::kInt},
                            {"f", FieldType::kFloat},
                            {"s", FieldType::kString},
                            {"b", FieldType::kBool},
                            {"d", FieldType::kDecimal2},
                            {"t", FieldType::kDatetime}},
                           {},
                           ""};
  const auto table = Must(
      Build(schema,
            {{MakeBatch({Ints({kMaxInt, kMinInt}),
                         Floats({-0.5, std::numeric_limits<double>::infinity()}),
                         Strings({"", "O'Brien \"x\""}), Bools({true, false}), Decimals({105, -1}),
                         Times({data::kZeroMomentMillis, 1514764799999})})},
             {MakeBatch({Ints({0}), Floats({std::numeric_limits<double>::quiet_NaN()}),
                         Coded({1}, {"no", "yes"}), Bools({true}), Decimals({0}), Times({-1})})}}));
  ASSERT_OK(Publish(*table));

  const cql::Rows rows = Select("rowid, batch_idx, big, f, s, b, d, t", TableName());
  ASSERT_EQ(rows.size(), 3);
  std::map<int64_t, int64_t> places;
  for (int64_t row = 0; row < 3; ++row) places[rows.Integer(row, 0)] = row;
  const int64_t first = places.at(Signed(0));
  const int64_t second = places.at(Signed(1));
  const int64_t third = places.at(Signed(MakeRowId(1, 0)));
  EXPECT_EQ(rows.Integer(first, 1), 0);
  EXPECT_EQ(rows.Integer(third, 1), 1);
  EXPECT_EQ(rows.Integer(first, 2), kMaxInt);
  EXPECT_EQ(rows.Integer(second, 2), kMinInt);
  EXPECT_EQ(rows.Double(first, 3), -0.5);
  EXPECT_EQ(rows.Double(second, 3), std::numeric_limits<double>::infinity());
  EXPECT_NE(rows.Double(third, 3), rows.Double(third, 3));
  EXPECT_EQ(rows.Cell(first, 4), std::string_view(""));  // not null
  EXPECT_EQ(rows.Text(second, 4), "O'Brien \"x\"");
  EXPECT_EQ(rows.Text(third, 4), "yes");
  EXPECT_TRUE(rows.Boolean(first, 5));
  EXPECT_FALSE(rows.Boolean(second, 5));
  const std::string scale("\0\0\0\2", 4);
  EXPECT_EQ(rows.Cell(first, 6), scale + "\x69");
  EXPECT_EQ(rows.Cell(second, 6), scale + "\xFF");
  EXPECT_EQ(rows.Cell(third, 6), scale + std::string(1, '\0'));
  EXPECT_EQ(rows.Integer(first, 7), data::kZeroMomentMillis);
  EXPECT_EQ(rows.Integer(second, 7), 1514764799999);
  EXPECT_EQ(rows.Integer(third, 7), -1);
}

TEST_F(RowPublisherTest, DecimalsOfAllLengths) {
  std::vector<data::int128> values;
  data::int128 nines = 0;
  for (int digits = 1; digits <= 38; ++digits) {
    nines = nines * 10 + 9;
    values.insert(values.end(), {nines, -nines});
  }
  for (int bits = 7; bits < 127; bits += 8) {
    const data::int128 edge = static_cast<data::int128>(1) << bits;
    if (edge > nines) break;
    values.insert(values.end(), {edge, edge - 1, -edge, -edge - 1});
  }
  const TableSchema schema{prefix_ + "_t", {{"d", FieldType::kDecimal2}}, {}, ""};
  const auto table = Must(Build(schema, {{MakeBatch({WideDecimals(values)})}}));
  ASSERT_OK(Publish(*table));
  const auto rows = RowsOf(TableName(), "d");
  ASSERT_EQ(rows.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string cell = rows.at(Signed(static_cast<int64_t>(i)))[0].substr(1);
    ASSERT_GE(cell.size(), 5U);
    ASSERT_EQ(cell.substr(0, 4), std::string("\0\0\0\2", 4));
    data::int128 unscaled = static_cast<signed char>(cell[4]);
    for (const char c : cell.substr(5)) unscaled = unscaled * 256 + static_cast<unsigned char>(c);
    EXPECT_TRUE(unscaled == values[i]) << i;
  }
}

TEST_F(RowPublisherTest, TextsThatAreNotUtf8AreMended) {
  const std::vector<std::string> kept = {"äöü€😀",       std::string("a\0b", 3), "\xEF\xBF\xBF",
                                         "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF",     "12345678ü"};
  const std::vector<std::pair<std::string, std::string>> mended = {
      {"\xFF", "\xEF\xBF\xBD"},
      {"a\xC3", "a\xEF\xBF\xBD"},
      {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xED\xA0\x80z", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"},
      {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"12345678\xE2\x82", "12345678\xEF\xBF\xBD\xEF\xBF\xBD"}};
  std::vector<std::string> written = kept;
  std::vector<std::string> expected = kept;
  for (const auto& [before, after] : mended) {
    written.push_back(before);
    expected.push_back(after);
  }
  std::vector<int64_t> numbers(written.size(), 1);
  const auto table =
      Must(Build(TextTable(false), {{MakeBatch({Ints(numbers), Strings(written)})}}));
  ASSERT_OK(Publish(*table));
  const auto rows = RowsOf(TableName(), "s");
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(rows.at(Signed(static_cast<int64_t>(i)))[0], "=" + expected[i]) << i;
  }
  EXPECT_EQ(EntriesOf(IndexName()).size(), expected.size());
}

TEST_F(RowPublisherTest, KeysAreTextsOfAllComponents) {
  TableSchema schema = TextTable(true);
  const std::vector<KeyComponent> unique = {Of("s", FieldType::kString, false, true),
                                            Of("n", FieldType::kInt, true)};
  const std::vector<KeyComponent> several = {Of("n", FieldType::kInt)};
  schema.indexes = {{"idx_" + prefix_, true, unique}, {"idx2_" + prefix_, false, several}};
  const std::vector<std::string> texts = {"abc", "é", "straße"};
  const std::vector<int64_t> numbers = {1, -5, 1};
  const auto table = Must(Build(schema, {{MakeBatch({Ints(numbers), Strings(texts)})}}));
  ASSERT_OK(Publish(*table));
  std::vector<std::pair<std::string, int64_t>> of_unique;
  std::vector<std::pair<std::string, int64_t>> of_several;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = Signed(static_cast<int64_t>(i));
    of_unique.emplace_back(KeyOf(unique, {data::Value(texts[i]), data::Value(numbers[i])}), row);
    of_several.emplace_back(KeyOf(several, {data::Value(numbers[i])}), row);
  }
  std::sort(of_unique.begin(), of_unique.end());
  std::sort(of_several.begin(), of_several.end());
  EXPECT_EQ(EntriesOf(IndexName()), of_unique);
  EXPECT_EQ(EntriesOf("idx2_" + prefix_ + "_00001"), of_several);
  // Key columns: what the original makes of them.
  const auto kinds = [&](const std::string& index) {
    const auto select = Must(session()->Prepare(
        "SELECT kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? "
        "AND column_name = 'rowid'",
        true));
    return std::string(Must(session()->Execute({select, cql::Values().Text(keyspace()).Text(index),
                                                cql::Consistency::kDefault}))
                           .Text(0, 0));
  };
  EXPECT_EQ(kinds(IndexName()), "regular");
  EXPECT_EQ(kinds("idx2_" + prefix_ + "_00001"), "clustering");
}

TEST_F(RowPublisherTest, OfKeysWithEqualTextsTheFirstRowStays) {
  // Distinct keys for the engine, which neither cuts them nor takes accents away.
  const std::string stem(70, 'x');
  const auto table = Must(Build(
      TextTable(true), {{MakeBatch({Ints({1, 2, 3}), Strings({"e", stem + "1", stem + "2"})})},
                        {MakeBatch({Ints({4, 5}), Strings({"é", stem + "3"})})}}));
  const auto singly = NewCassandraRowPublisher(session(), keyspace(), 1);
  for (int times = 0; times < 3; ++times) {
    ASSERT_OK(times == 1 ? Publish(*table) : singly->Publish(context_, *table, ""));
    EXPECT_EQ(RowsOf(TableName(), "n").size(), 5U);
    const auto entries = EntriesOf(IndexName());
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0].second, Signed(0));
    EXPECT_EQ(entries[1].second, Signed(1));
  }
}

TEST_F(RowPublisherTest, EmptyTable) {
  const auto table = Must(Build(TextTable(true), {{MakeBatch({Ints({}), Strings({})})}}));
  ASSERT_OK(Publish(*table));
  EXPECT_TRUE(Select("*", TableName()).empty());
  EXPECT_TRUE(Select("*", IndexName()).empty());
}

TEST_F(RowPublisherTest, RowsThatDistinctLeftOut) {
  TableSchema schema = TextTable(true);
  schema.distinct_index = schema.indexes[0].name;
  const auto table =
      Must(Build(schema, {{MakeBatch({Ints({1, 2}), Strings({"a", "b"})})},
                          {MakeBatch({Ints({3, 4, 5}), Strings({"b", "c", "a"})})}}));
  ASSERT_EQ(table->num_rows(), 3);
  ASSERT_OK(Publish(*table));
  const auto rows = RowsOf(TableName(), "s");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows.at(Signed(0))[0], "=a");
  EXPECT_EQ(rows.at(Signed(1))[0], "=b");
  EXPECT_EQ(rows.at(Signed(MakeRowId(1, 1)))[0], "=c");
  EXPECT_EQ(EntriesOf(IndexName()).size(), 3U);
}

TEST_F(RowPublisherTest, ReferencesAreValues) {
  const TableSchema source_schema{
      prefix_ + "_s", {{"n", FieldType::kInt}, {"s", FieldType::kString}}, {}, ""};
  const auto source =
      Must(Build(source_schema, {{MakeBatch({Ints({10, 11}), Strings({"ten", "eleven"})})}}));
  TableWriter::ReferenceGroup group;
  group.source = source;
  group.fields = {{1, 1}};
  group.missing = {std::string("none")};
  const auto table =
      Must(Build(TextTable(false),
                 {{MakeBatch({Ints({1, 2, 3}), nullptr}, {{1, data::kNoRow, 0}})}}, {group}));
  ASSERT_OK(Publish(*table));
  const auto rows = RowsOf(TableName(), "n, s");
  EXPECT_EQ(rows.at(Signed(0))[1], "=eleven");
  EXPECT_EQ(rows.at(Signed(1))[1], "=none");
  EXPECT_EQ(rows.at(Signed(2))[1], "=ten");
  EXPECT_EQ(EntriesOf(IndexName())[0].second, Signed(0));  // "eleven"
}

TEST_F(RowPublisherTest, AgainAndByTwoAtOnce) {
  const auto table = BigTable();
  std::vector<Status> statuses(2);
  std::vector<std::thread> threads;
  for (Status& status : statuses) {
    threads.emplace_back([&] {
      status = NewCassandraRowPublisher(session(), keyspace())->Publish(context_, *table, "");
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : statuses) ASSERT_OK(status);
  ExpectBigTable();
  const auto before = RowsOf(TableName(), "batch_idx, n, s");
  ASSERT_OK(Publish(*table));
  EXPECT_EQ(RowsOf(TableName(), "batch_idx, n, s"), before);
  ExpectBigTable();
}

TEST_F(RowPublisherTest, AfterAFailureInTheMiddle) {
  const auto table = BigTable();
  ASSERT_OK(ArmFaultPoints("store.publish_rows:error:4"));
  const Status failed = Publish(*table);
  EXPECT_EQ(KindOf(failed), ErrorKind::kEnvironment) << failed.ToString();
  ASSERT_OK(ArmFaultPoints(""));
  EXPECT_LT(RowsOf(TableName(), "n").size(), 7500U);
  ASSERT_OK(Publish(*table));
  ExpectBigTable();
}

TEST_F(RowPublisherTest, Cancelled) {
  const auto table = BigTable();
  context_.cancel.Cancel(CancelledError("enough"));
  EXPECT_EQ(KindOf(Publish(*table)), ErrorKind::kCancelled);
  context_.cancel = exec::CancelToken();
  ASSERT_OK(Publish(*table));
  ExpectBigTable();
}

TEST_F(RowPublisherTest, TablesAreThoseOfTheDdl) {
  const TableSchema schema = TextTable(true);
  const std::string options = " WITH comment = 'mine' AND gc_grace_seconds = 77 ";
  const std::string other = keyspace() + "_ddl";
  ASSERT_OK(session()->ExecuteSchema("CREATE KEYSPACE IF NOT EXISTS " + other +
                                     " WITH REPLICATION = {'class': 'SimpleStrategy', "
                                     "'replication_factor': 1}"));
  const TableDdl ddl = Must(MakeTableDdl(schema, {other, 1, options}));
  ASSERT_OK(session()->ExecuteSchema(ddl.table));
  for (const std::string& index : ddl.indexes) ASSERT_OK(session()->ExecuteSchema(index));
  const auto table = Must(Build(schema, {{MakeBatch({Ints({1}), Strings({"x"})})}}));
  ASSERT_OK(Publish(*table, options));
  const auto described = [&](const std::string& in, const std::string& name) {
    std::string text;
    for (const std::string query :
         {"SELECT comment, gc_grace_seconds, compaction FROM system_schema.tables",
          "SELECT column_name, kind, position, type, clustering_order FROM "
          "system_schema.columns"}) {
      const auto select =
          Must(session()->Prepare(query + " WHERE keyspace_name = ? AND table_name = ?", true));
      const cql::Rows rows = Must(session()->Execute(
          {select, cql::Values().Text(in).Text(name), cql::Consistency::kDefault}));
      EXPECT_FALSE(rows.empty()) << in << "." << name;
      for (int64_t row = 0; row < rows.size(); ++row) {
        for (int column = 0; column < static_cast<int>(rows.columns().size()); ++column) {
          text += std::string(rows.Text(row, column)) + "|";
        }
      }
    }
    return text;
  };
  for (const std::string& name : {TableName(), IndexName()}) {
    EXPECT_EQ(described(keyspace(), name), described(other, name));
    EXPECT_EQ(described(other, name).find("mine|"), 0U);
  }
  ASSERT_OK(session()->ExecuteSchema("DROP KEYSPACE " + other));
}

TEST_F(RowPublisherTest, WrongScripts) {
  TableSchema schema = TextTable(false);
  schema.fields[0].name = "select";
  const auto reserved = Must(Build(schema, {{MakeBatch({Ints({1}), Strings({"x"})})}}));
  EXPECT_EQ(ErrorClassOf(Publish(*reserved)), "reserved_cql_word");

  schema = TextTable(false);
  schema.name += "2";
  const auto fine = Must(Build(schema, {{MakeBatch({Ints({1}), Strings({"x"})})}}));
  const Status options = Publish(*fine, "WITH nonsense = 1");
  EXPECT_EQ(ErrorClassOf(options), "bad_table_options") << options.ToString();
  EXPECT_NE(options.message().find("nonsense"), std::string::npos);
  ASSERT_OK(Publish(*fine));
}

TEST_F(RowPublisherTest, RowsThatServersDoNotTake) {
  TableSchema schema = TextTable(false);
  schema.indexes[0].components[0].text_length = 70000;
  const auto key = Must(Build(schema, {{MakeBatch({Ints({1, 2}), Strings({"", "x"})})}}));
  const Status too_long = Publish(*key);
  EXPECT_EQ(ErrorClassOf(too_long), "key_too_long");
  EXPECT_EQ(KindOf(too_long), ErrorKind::kUser);
  EXPECT_NE(too_long.message().find("row 0 of " + TableName()), std::string::npos);

  schema = {prefix_ + "_large", {{"s", FieldType::kString}}, {}, ""};
  const auto large =
      Must(Build(schema, {{MakeBatch({Strings({"x", std::string(16 << 20, 'y')})})}}));
  const Status too_large = Publish(*large);
  EXPECT_EQ(ErrorClassOf(too_large), "row_too_large");
  EXPECT_NE(too_large.message().find("row 1 of " + prefix_ + "_large_00001"), std::string::npos);

  // Nothing of ours foresees this one: an empty key.
  schema = TextTable(false);
  schema.name = prefix_ + "_empty";
  schema.indexes[0].name = "idx_" + prefix_ + "_empty";
  schema.indexes[0].components[0].text_length = 0;
  const auto empty = Must(Build(schema, {{MakeBatch({Ints({1}), Strings({"x"})})}}));
  const Status refused = Publish(*empty);
  EXPECT_EQ(ErrorClassOf(refused), "row_refused") << refused.ToString();
  EXPECT_EQ(KindOf(refused), ErrorKind::kUser);
  EXPECT_NE(refused.message().find(prefix_ + "_empty_00001"), std::string::npos);
}

TEST_F(RowPublisherTest, WrongServers) {
  const auto table = Must(Build(TextTable(false), {{MakeBatch({Ints({1}), Strings({"x"})})}}));
  const Status no_keyspace =
      NewCassandraRowPublisher(session(), "capi_no_such_keyspace")->Publish(context_, *table, "");
  EXPECT_EQ(KindOf(no_keyspace), ErrorKind::kEnvironment) << no_keyspace.ToString();

  // Somebody else's table, and one of a script with another field type.
  for (const std::string columns :
       {"a int PRIMARY KEY", "rowid bigint PRIMARY KEY, batch_idx bigint, n text, s text",
        "rowid bigint, batch_idx bigint, n bigint, s text, "
        "PRIMARY KEY (rowid, batch_idx)"}) {
    const std::string name = keyspace() + "." + TableName();
    ASSERT_OK(session()->ExecuteSchema("CREATE TABLE " + name + " (" + columns + ")"));
    const Status other = Publish(*table);
    EXPECT_EQ(KindOf(other), ErrorKind::kEnvironment) << other.ToString();
    EXPECT_NE(other.message().find("other columns"), std::string::npos) << other.ToString();
    EXPECT_NE(other.message().find(TableName()), std::string::npos);
    ASSERT_OK(session()->ExecuteSchema("DROP TABLE " + name));
  }
  ASSERT_OK(Publish(*table));
}

TEST_F(RowPublisherTest, ServersThatGoAndComeBack) {
  const auto table = BigTable();
  cql::TcpProxy proxy(std::getenv("CAPI_TEST_CASSANDRA"));
  cql::SessionOptions options;
  options.hosts = {proxy.address()};
  options.only_contact_points = true;
  options.consistency = "ONE";
  options.timeout_ms = 300;
  options.retry_budget_ms = 600;
  const auto proxied = Must(cql::Session::Connect(options));
  const auto publisher = NewCassandraRowPublisher(proxied.get(), keyspace());
  ASSERT_OK(Publish(*Must(Build({prefix_ + "_o", {{"n", FieldType::kInt}}, {}, ""}, {}))));
  proxy.Stall();
  const Status lost = publisher->Publish(context_, *table, "");
  EXPECT_EQ(KindOf(lost), ErrorKind::kRetriable) << lost.ToString();
  proxy.Resume();
  const auto back = NewCassandraRowPublisher(session(), keyspace());
  ASSERT_OK(back->Publish(context_, *table, ""));
  ExpectBigTable();
}

}  // namespace
}  // namespace capi::store
