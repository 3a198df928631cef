#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "capi/base/status.h"
#include "capi/cql/cassandra_test.h"

namespace capi::cql {
namespace {

class SessionTest : public CassandraTest {};

TEST_F(SessionTest, BoundValuesAreWhatLiteralsMean) {
  CreateTable("types",
              "id int PRIMARY KEY, b boolean, ti tinyint, si smallint, i int, bi bigint, "
              "d double, ts timestamp, t text, bl blob, de decimal");
  Execute("INSERT INTO " + Table("types") +
          " (id, b, ti, i, bi, d, ts, t, bl, de) VALUES (1, true, -7, -2000000000, "
          "-9000000000000000000, -0.1, '2024-02-29 12:34:56.789+0000', 'grün\U0001F600', 0x00ff10, "
          "-1234.56)");
  Values values;
  values.Int(2)
      .Boolean(true)
      .TinyInt(-7)
      .Int(-2000000000)
      .BigInt(-9000000000000000000)
      .Double(-0.1)
      .Timestamp(1709210096789)
      .Text("grün\U0001F600")
      .Blob(std::string_view("\x00\xff\x10", 3))
      .Decimal("\xfe\x1d\xc0", 2);
  Execute("INSERT INTO " + Table("types") +
              " (id, b, ti, i, bi, d, ts, t, bl, de) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          values);
  const std::string columns = "b, ti, i, bi, d, ts, t, bl, de";
  const Rows literal = Execute("SELECT " + columns + " FROM " + Table("types") + " WHERE id = 1");
  const Rows bound = Execute("SELECT " + columns + " FROM " + Table("types") + " WHERE id = 2");
  ASSERT_EQ(literal.size(), 1);
  ASSERT_EQ(bound.size(), 1);
  ASSERT_EQ(bound.columns().size(), 9U);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(literal.Cell(0, i), bound.Cell(0, i)) << i;
  EXPECT_TRUE(literal.Boolean(0, 0));
  EXPECT_EQ(literal.Integer(0, literal.ColumnIndex("ti")), -7);
  EXPECT_EQ(literal.Integer(0, literal.ColumnIndex("i")), -2000000000);
  EXPECT_EQ(literal.Integer(0, literal.ColumnIndex("bi")), -9000000000000000000);
  EXPECT_EQ(literal.Double(0, literal.ColumnIndex("d")), -0.1);
  EXPECT_EQ(literal.Integer(0, literal.ColumnIndex("ts")), 1709210096789);
  EXPECT_EQ(literal.Text(0, literal.ColumnIndex("t")), "grün\U0001F600");
  EXPECT_EQ(literal.Text(0, literal.ColumnIndex("bl")), std::string_view("\x00\xff\x10", 3));
  EXPECT_EQ(literal.ColumnIndex("none"), -1);
}

TEST_F(SessionTest, NullsAndEmptyValuesStayApart) {
  CreateTable("nulls", "id int PRIMARY KEY, a text, b text, c blob, d bigint");
  const std::string insert =
      "INSERT INTO " + Table("nulls") + " (id, a, b, c, d) VALUES (?, ?, ?, ?, ?)";
  Execute(insert, Values().Int(1).Null().Text("").Blob("").Null());
  Execute(insert, Values().Int(2).Null().Null().Null().Null());
  const Rows first = Execute("SELECT a, b, c, d FROM " + Table("nulls") + " WHERE id = 1");
  ASSERT_EQ(first.size(), 1);
  EXPECT_TRUE(first.IsNull(0, 0));
  EXPECT_EQ(first.Cell(0, 1), "");
  EXPECT_EQ(first.Cell(0, 2), "");
  EXPECT_TRUE(first.IsNull(0, 3));
  EXPECT_EQ(first.Integer(0, 3), 0);
  const Rows all_null = Execute("SELECT a, b, c, d FROM " + Table("nulls") + " WHERE id = 2");
  ASSERT_EQ(all_null.size(), 1);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(all_null.IsNull(0, i)) << i;
  const Rows mixed = Execute("SELECT a, id FROM " + Table("nulls") + " WHERE id = 2");
  EXPECT_TRUE(mixed.IsNull(0, 0));
  EXPECT_EQ(mixed.Integer(0, 1), 2);
  EXPECT_TRUE(Execute("SELECT a FROM " + Table("nulls") + " WHERE id = 3").empty());
}

TEST_F(SessionTest, RowsMayBeginWithNulls) {
  CreateTable("leading", "p int, c int, v text, w text, PRIMARY KEY (p, c)");
  Execute("INSERT INTO " + Table("leading") + " (p, c) VALUES (1, 1)");
  Execute("INSERT INTO " + Table("leading") + " (p, c, w) VALUES (1, 2, 'x')");
  Execute("INSERT INTO " + Table("leading") + " (p, c, v) VALUES (1, 3, 'y')");
  const Rows rows = Execute("SELECT v, w FROM " + Table("leading") + " WHERE p = 1");
  ASSERT_EQ(rows.size(), 3);
  EXPECT_TRUE(rows.IsNull(0, 0));
  EXPECT_TRUE(rows.IsNull(0, 1));
  EXPECT_TRUE(rows.IsNull(1, 0));
  EXPECT_EQ(rows.Cell(1, 1), "x");
  EXPECT_EQ(rows.Cell(2, 0), "y");
  EXPECT_TRUE(rows.IsNull(2, 1));
}

TEST_F(SessionTest, ExtremesOfNumbers) {
  CreateTable("extremes", "id int PRIMARY KEY, bi bigint, d double");
  const std::string insert = "INSERT INTO " + Table("extremes") + " (id, bi, d) VALUES (?, ?, ?)";
  using Limits = std::numeric_limits<int64_t>;
  Execute(insert, Values().Int(1).BigInt(Limits::min()).Double(-0.0));
  Execute(insert, Values().Int(2).BigInt(Limits::max()).Double(std::nan("")));
  const Rows low = Execute("SELECT bi, d FROM " + Table("extremes") + " WHERE id = 1");
  EXPECT_EQ(low.Integer(0, 0), Limits::min());
  EXPECT_TRUE(std::signbit(low.Double(0, 1)));
  const Rows high = Execute("SELECT bi, d FROM " + Table("extremes") + " WHERE id = 2");
  EXPECT_EQ(high.Integer(0, 0), Limits::max());
  EXPECT_TRUE(std::isnan(high.Double(0, 1)));
}

class ManyRowsTest : public SessionTest {
 protected:
  static constexpr int kRows = 12000;
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped() || HasFatalFailure() || filled_) return;
    CreateTable("many", "id bigint PRIMARY KEY, name text");
    const StatementPtr insert =
        Prepare("INSERT INTO " + Table("many") + " (id, name) VALUES (?, ?)");
    BulkWriter writer(session_);
    for (int i = 0; i < kRows; ++i) {
      CAPI_ASSERT_OK(writer.Add(
          {insert, Values().BigInt(i).Text("row " + std::to_string(i)), Consistency::kDefault}));
    }
    CAPI_ASSERT_OK(writer.Finish());
    filled_ = true;
  }
  static void CheckAll(const std::vector<int64_t>& ids) {
    std::set<int64_t> distinct(ids.begin(), ids.end());
    EXPECT_EQ(ids.size(), static_cast<size_t>(kRows));
    EXPECT_EQ(distinct.size(), static_cast<size_t>(kRows));
  }
  static inline bool filled_ = false;
};

TEST_F(ManyRowsTest, ExecuteReadsAllPages) {
  const Rows rows = Execute("SELECT id, name FROM " + Table("many"));
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < rows.size(); ++row) {
    ids.push_back(rows.Integer(row, 0));
    ASSERT_EQ(rows.Text(row, 1), "row " + std::to_string(ids.back()));
  }
  CheckAll(ids);
}

TEST_F(ManyRowsTest, PagesHaveTheAskedSizeAndAllRows) {
  std::vector<int64_t> ids;
  int64_t pages = 0;
  CAPI_ASSERT_OK(session_->ExecutePaged({Prepare("SELECT id FROM " + Table("many")), {}, {}}, 700,
                                        [&](const Rows& rows) {
                                          ++pages;
                                          EXPECT_LE(rows.size(), 700);
                                          for (int64_t i = 0; i < rows.size(); ++i) {
                                            ids.push_back(rows.Integer(i, 0));
                                          }
                                          return Status::OK();
                                        }));
  EXPECT_GE(pages, kRows / 700);
  CheckAll(ids);
}

TEST_F(ManyRowsTest, AnErrorOfTheConsumerEndsPaging) {
  int64_t pages = 0;
  const Status status = session_->ExecutePaged(
      {Prepare("SELECT id FROM " + Table("many")), {}, {}}, 100,
      [&](const Rows&) { return ++pages == 3 ? UserError("enough", "enough") : Status::OK(); });
  EXPECT_EQ(ErrorClassOf(status), "enough");
  EXPECT_EQ(pages, 3);
}

TEST_F(ManyRowsTest, OneStatementServesManyThreads) {
  const StatementPtr select = Prepare("SELECT name FROM " + Table("many") + " WHERE id = ?");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const int64_t id = (thread * 1499 + i * 7) % kRows;
        const auto rows = session_->Execute({select, Values().BigInt(id), {}});
        if (!rows.ok() || rows->size() != 1 || rows->Text(0, 0) != "row " + std::to_string(id)) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(SessionTest, PreparesATextOnce) {
  const std::string cql = "SELECT key FROM system.local";
  EXPECT_EQ(Prepare(cql), Prepare(cql));
  EXPECT_NE(Prepare(cql), Prepare(cql, false));
  EXPECT_EQ(Prepare(cql)->cql(), cql);
  const std::string other = "SELECT cluster_name FROM system.local";
  std::mutex mutex;
  std::set<const Statement*> statements;
  std::vector<std::thread> threads;
  const int64_t before = session_->counters().requests;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const StatementPtr statement = Prepare(other);
      const std::lock_guard lock(mutex);
      statements.insert(statement.get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(statements.size(), 1U);
  EXPECT_EQ(session_->counters().requests, before + 1);
}

TEST_F(SessionTest, InsertIfNotExists) {
  CreateTable("lwt", "k int PRIMARY KEY, v text");
  const StatementPtr insert =
      Prepare("INSERT INTO " + Table("lwt") + " (k, v) VALUES (?, ?) IF NOT EXISTS", false);
  const auto first = session_->ExecuteConditional({{insert, Values().Int(1).Text("one"), {}}});
  ASSERT_TRUE(first.ok()) << Describe(first.status());
  EXPECT_TRUE(first->applied);
  EXPECT_TRUE(first->current.empty());
  const auto second = session_->ExecuteConditional({{insert, Values().Int(1).Text("two"), {}}});
  ASSERT_TRUE(second.ok()) << Describe(second.status());
  EXPECT_FALSE(second->applied);
  ASSERT_EQ(second->current.size(), 1);
  EXPECT_EQ(second->current.Text(0, second->current.ColumnIndex("v")), "one");
}

TEST_F(SessionTest, UpdateWithCondition) {
  CreateTable("lwt2", "k int PRIMARY KEY, v int, w text");
  Execute("INSERT INTO " + Table("lwt2") + " (k, v, w) VALUES (1, 10, 'x')");
  const StatementPtr update =
      Prepare("UPDATE " + Table("lwt2") + " SET v = ? WHERE k = ? IF v = ?", false);
  const auto raced = session_->ExecuteConditional({{update, Values().Int(12).Int(1).Int(11), {}}});
  ASSERT_TRUE(raced.ok());
  EXPECT_FALSE(raced->applied);
  EXPECT_EQ(raced->current.Integer(0, raced->current.ColumnIndex("v")), 10);
  const auto won = session_->ExecuteConditional(
      {{update, Values().Int(12).Int(1).Int(10), Consistency::kLocalSerial}});
  ASSERT_TRUE(won.ok()) << Describe(won.status());
  EXPECT_TRUE(won->applied);
  // No row: there is nothing to tell.
  const auto absent = session_->ExecuteConditional({{update, Values().Int(1).Int(9).Int(1), {}}});
  ASSERT_TRUE(absent.ok());
  EXPECT_FALSE(absent->applied);
  EXPECT_TRUE(absent->current.empty());
  const auto serial = session_->Execute(
      {Prepare("SELECT v FROM " + Table("lwt2") + " WHERE k = 1"), {}, Consistency::kSerial});
  ASSERT_TRUE(serial.ok()) << Describe(serial.status());
  EXPECT_EQ(serial->Integer(0, 0), 12);
}

TEST_F(SessionTest, AConditionalBatchIsAppliedWhollyOrNotAtAll) {
  CreateTable("lwtb", "p int, c int, owner text, PRIMARY KEY (p, c)");
  const StatementPtr insert = Prepare(
      "INSERT INTO " + Table("lwtb") + " (p, c, owner) VALUES (?, ?, ?) IF NOT EXISTS", false);
  const StatementPtr update = Prepare(
      "UPDATE " + Table("lwtb") + " SET owner = ? WHERE p = ? AND c = ? IF owner = ?", false);
  const auto claimed =
      session_->ExecuteConditional({{insert, Values().Int(1).Int(1).Text("a"), {}},
                                    {insert, Values().Int(1).Int(2).Text("a"), {}}});
  ASSERT_TRUE(claimed.ok()) << Describe(claimed.status());
  EXPECT_TRUE(claimed->applied);
  const auto refused =
      session_->ExecuteConditional({{update, Values().Text("b").Int(1).Int(1).Text("a"), {}},
                                    {update, Values().Text("b").Int(1).Int(2).Text("z"), {}}});
  ASSERT_TRUE(refused.ok()) << Describe(refused.status());
  EXPECT_FALSE(refused->applied);
  const Rows& current = refused->current;
  ASSERT_EQ(current.size(), 2);
  for (int64_t row = 0; row < 2; ++row) {
    EXPECT_EQ(current.Integer(row, current.ColumnIndex("c")), row + 1);
    EXPECT_EQ(current.Text(row, current.ColumnIndex("owner")), "a");
  }
  const Rows owners = Execute("SELECT owner FROM " + Table("lwtb") + " WHERE p = 1");
  ASSERT_EQ(owners.size(), 2);
  EXPECT_EQ(owners.Text(0, 0), "a");
  EXPECT_EQ(owners.Text(1, 0), "a");
  // Two partitions cannot be one conditional write.
  const auto wide = session_->ExecuteConditional({{insert, Values().Int(5).Int(1).Text("a"), {}},
                                                  {insert, Values().Int(6).Int(2).Text("a"), {}}});
  EXPECT_EQ(ErrorClassOf(wide.status()), "cql_invalid");
}

TEST_F(SessionTest, OfManyConditionalWritersOneWins) {
  CreateTable("race", "k int PRIMARY KEY, v int");
  const StatementPtr insert =
      Prepare("INSERT INTO " + Table("race") + " (k, v) VALUES (1, ?) IF NOT EXISTS", false);
  const StatementPtr select = Prepare("SELECT v FROM " + Table("race") + " WHERE k = 1");
  std::atomic<int> winners{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const auto outcome = session_->ExecuteConditional({{insert, Values().Int(i), {}}});
      if (outcome.ok()) {
        winners += outcome->applied ? 1 : 0;
        return;
      }
      EXPECT_EQ(ErrorClassOf(outcome.status()), "cql_uncertain") << Describe(outcome.status());
      const auto rows = session_->Execute({select, {}, Consistency::kSerial});
      ASSERT_TRUE(rows.ok());
      winners += rows->size() == 1 && rows->Integer(0, 0) == i ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(winners, 1);
}

TEST_F(SessionTest, WrongStatementsAreTheUsersErrors) {
  CreateTable("wrong", "k int PRIMARY KEY, v text");
  const auto error = [](const std::string& cql) {
    const Status status = session_->Prepare(cql, true).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << Describe(status);
    EXPECT_NE(status.message().find(cql.substr(0, 400)), std::string::npos) << status.message();
    return ErrorClassOf(status);
  };
  EXPECT_EQ(error("SELEC v FROM " + Table("wrong")), "cql_invalid");
  EXPECT_EQ(error("SELECT x FROM " + Table("wrong")), "cql_invalid");
  EXPECT_EQ(error("SELECT v FROM " + Table("nosuch")), "cql_unknown_table");
  EXPECT_EQ(error("SELECT v FROM cqltest_nosuch.wrong"), "cql_unknown_keyspace");
  EXPECT_EQ(error("SELECT v FROM wrong"), "cql_invalid");
  EXPECT_EQ(error(""), "cql_invalid");
  EXPECT_EQ(error("SELECT v FROM " + Table("wrong") + " WHERE " + std::string(600, 'x')),
            "cql_invalid");
}

TEST_F(SessionTest, WrongValuesAreTheUsersErrors) {
  CreateTable("wrong2", "k int PRIMARY KEY, v text");
  const StatementPtr insert = Prepare("INSERT INTO " + Table("wrong2") + " (k, v) VALUES (?, ?)");
  const auto error = [&](Values values) {
    const Status status = session_->Execute({insert, std::move(values), {}}).status();
    EXPECT_EQ(KindOf(status), ErrorKind::kUser) << Describe(status);
    return ErrorClassOf(status);
  };
  EXPECT_EQ(error({}), "cql_invalid");
  EXPECT_EQ(error(Values().Int(1)), "cql_invalid");
  EXPECT_EQ(error(Values().Int(1).Text("a").Text("b")), "cql_invalid");
  EXPECT_EQ(error(Values().BigInt(1).Text("a")), "cql_invalid");
  EXPECT_EQ(error(Values().Int(1).Text("secret\xff")), "cql_invalid");
  EXPECT_EQ(error(Values().Null().Text("a")), "cql_invalid");
  const Status status = session_->Execute({insert, Values().BigInt(1).Text("secret"), {}}).status();
  EXPECT_EQ(status.message().find("secret"), std::string::npos) << status.message();
}

TEST_F(SessionTest, RequestsWithoutStatementsAreBugs) {
  EXPECT_EQ(KindOf(session_->Execute({}).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(session_->ExecuteConditional({}).status()), ErrorKind::kBug);
  EXPECT_EQ(KindOf(session_->ExecuteConditional({{}}).status()), ErrorKind::kBug);
  const StatementPtr select = Prepare("SELECT key FROM system.local");
  EXPECT_EQ(KindOf(session_->ExecuteConditional({{select, {}, {}}}).status()), ErrorKind::kBug);
  const auto nothing = [](const Rows&) { return Status::OK(); };
  EXPECT_EQ(KindOf(session_->ExecutePaged({select, {}, {}}, 0, nothing)), ErrorKind::kBug);
  bool called = false;
  session_->Begin({}, [&](Result<Rows> rows) {
    called = true;
    EXPECT_EQ(KindOf(rows.status()), ErrorKind::kBug);
  });
  EXPECT_TRUE(called);
}

TEST_F(SessionTest, SchemaChangesAreSeenAtOnce) {
  for (int i = 0; i < 3; ++i) {
    const std::string table = Table("schema" + std::to_string(i));
    CAPI_ASSERT_OK(session_->ExecuteSchema("CREATE TABLE " + table + " (k int PRIMARY KEY)"));
    Execute("INSERT INTO " + table + " (k) VALUES (1)");
    const StatementPtr select = Prepare("SELECT * FROM " + table);
    CAPI_ASSERT_OK(session_->ExecuteSchema("ALTER TABLE " + table + " ADD v text"));
    // Prepared before the table had the column.
    const auto rows = session_->Execute({select, {}, {}});
    ASSERT_TRUE(rows.ok()) << Describe(rows.status());
    EXPECT_EQ(rows->size(), 1);
    EXPECT_EQ(rows->columns().size(), 2U);
    const Status again = session_->ExecuteSchema("CREATE TABLE " + table + " (k int PRIMARY KEY)");
    EXPECT_EQ(ErrorClassOf(again), "cql_already_exists");
    CAPI_ASSERT_OK(session_->ExecuteSchema("DROP TABLE " + table));
    EXPECT_EQ(ErrorClassOf(session_->Execute({select, {}, {}}).status()), "cql_unknown_table");
    EXPECT_EQ(ErrorClassOf(session_->ExecuteSchema("DROP TABLE " + table)), "cql_unknown_table");
  }
  EXPECT_EQ(ErrorClassOf(session_->ExecuteSchema("DROP KEYSPACE cqltest_nosuch")),
            "cql_unknown_keyspace");
  EXPECT_EQ(ErrorClassOf(session_->ExecuteSchema("CREATE TABLE " + Table("x") + " (k nosuch)")),
            "cql_invalid");
}

TEST_F(SessionTest, BulkWriterKeepsTheFirstError) {
  CreateTable("bulk", "k int PRIMARY KEY, v text");
  const StatementPtr insert = Prepare("INSERT INTO " + Table("bulk") + " (k, v) VALUES (?, ?)");
  BulkWriter writer(session_);
  CAPI_ASSERT_OK(writer.Add({insert, Values().Int(1).Text("good"), {}}));
  CAPI_ASSERT_OK(writer.Add({insert, Values().BigInt(1).Text("bad"), {}}));
  EXPECT_EQ(ErrorClassOf(writer.Finish()), "cql_invalid");
  EXPECT_EQ(ErrorClassOf(writer.Add({insert, Values().Int(2).Text("late"), {}})), "cql_invalid");
  EXPECT_EQ(Execute("SELECT k FROM " + Table("bulk")).size(), 1);
  BulkWriter idle(session_);
  CAPI_ASSERT_OK(idle.Finish());
}

TEST_F(SessionTest, ForgottenStatementsGoOnAndArePreparedAnew) {
  CreateTable("forgotten", "k int PRIMARY KEY");
  const std::string cql = "INSERT INTO " + Table("forgotten") + " (k) VALUES (?)";
  const StatementPtr first = Prepare(cql);
  EXPECT_EQ(Prepare(cql), first);
  session_->Forget(*first);
  session_->Forget(*first);
  const StatementPtr second = Prepare(cql);
  EXPECT_NE(second, first);
  for (const StatementPtr& statement : {first, second}) {
    CAPI_ASSERT_OK(session_->Execute({statement, Values().Int(1), {}}).status());
  }
  // Whoever forgets an older one forgets that of the same text.
  session_->Forget(*first);
  EXPECT_NE(Prepare(cql), second);
}

TEST_F(SessionTest, BatchesOfPlainWrites) {
  CreateTable("batches", "k int PRIMARY KEY, v text");
  CreateTable("others", "k int PRIMARY KEY");
  const StatementPtr insert = Prepare("INSERT INTO " + Table("batches") + " (k, v) VALUES (?, ?)");
  const StatementPtr other = Prepare("INSERT INTO " + Table("others") + " (k) VALUES (?)");
  const int64_t before = session_->counters().requests;
  BulkWriter writer(session_);
  CAPI_ASSERT_OK(writer.AddBatch({}));
  for (int i = 0; i < 300; i += 3) {
    CAPI_ASSERT_OK(writer.AddBatch({{insert, Values().Int(i).Text("a"), {}},
                                    {insert, Values().Int(i + 1).Text("b"), {}},
                                    {other, Values().Int(i), {}}}));
  }
  CAPI_ASSERT_OK(writer.AddBatch({{insert, Values().Int(1000).Text("single"), {}}}));
  CAPI_ASSERT_OK(writer.Finish());
  EXPECT_EQ(session_->counters().requests - before, 101);
  EXPECT_EQ(Execute("SELECT k FROM " + Table("batches")).size(), 201);
  EXPECT_EQ(Execute("SELECT k FROM " + Table("others")).size(), 100);

  CAPI_ASSERT_OK(writer.AddBatch(
      {{insert, Values().Int(1).Text("a"), {}}, {insert, Values().BigInt(1).Text("bad"), {}}}));
  EXPECT_EQ(ErrorClassOf(writer.Finish()), "cql_invalid");
  EXPECT_EQ(ErrorClassOf(writer.AddBatch({{insert, Values().Int(2).Text("late"), {}}})),
            "cql_invalid");

  Status empty;
  session_->BeginBatch({}, [&](const Status& status) { empty = status; });
  EXPECT_EQ(KindOf(empty), ErrorKind::kBug);
  Status missing;
  session_->BeginBatch({{insert, Values().Int(1).Text("a"), {}}, {nullptr, {}, {}}},
                       [&](const Status& status) { missing = status; });
  EXPECT_EQ(KindOf(missing), ErrorKind::kBug);
}

TEST_F(SessionTest, TheWindowBoundsRequestsAndBytes) {
  CreateTable("window", "k int PRIMARY KEY, v blob");
  SessionOptions options = TestOptions();
  options.max_requests_in_flight = 7;
  options.max_bytes_in_flight = 100000;
  auto session = Session::Connect(options);
  ASSERT_TRUE(session.ok());
  auto insert =
      (*session)->Prepare("INSERT INTO " + Table("window") + " (k, v) VALUES (?, ?)", true);
  ASSERT_TRUE(insert.ok());
  std::atomic<int> under_way{0};
  std::atomic<int> most_small{0};
  std::atomic<int> most_large{0};
  std::atomic<int> failed{0};
  const auto write = [&](int key, size_t size, std::atomic<int>* most) {
    (*session)->Begin({*insert, Values().Int(key).Blob(std::string(size, 'x')), {}},
                      [&](Result<Rows> rows) {
                        --under_way;
                        failed += rows.ok() ? 0 : 1;
                      });
    const int now = ++under_way;
    *most = std::max(most->load(), now);
  };
  for (int i = 0; i < 500; ++i) write(i, 10, &most_small);
  for (int i = 0; i < 100; ++i) write(i, 40000, &most_large);
  // More than the limit alone: goes when nothing else does.
  for (int i = 0; i < 3; ++i) write(i, 200000, &most_large);
  EXPECT_GE((*session)->counters().bytes_written, 4000000);
  session->reset();  // waits
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(under_way, 0);
  // A callback that has not run yet may count beside the one that took its place.
  EXPECT_LE(most_small, 7 + 2);
  EXPECT_LE(most_large, 7 + 2);
}

TEST_F(SessionTest, CountersCount) {
  const SessionCounters before = session_->counters();
  Execute("SELECT key FROM system.local");
  EXPECT_FALSE(session_->Prepare("SELEC", true).ok());
  const SessionCounters after = session_->counters();
  EXPECT_GE(after.requests, before.requests + 2);
  EXPECT_EQ(after.errors, before.errors + 1);
  EXPECT_GT(after.bytes_read, before.bytes_read);
  EXPECT_EQ(after.in_flight, 0);
  EXPECT_EQ(after.window, TestOptions().max_requests_in_flight);
}

TEST_F(SessionTest, LatenciesAreThoseOfTheKindsOfRequests) {
  CreateTable("latencies", "k int PRIMARY KEY, v int");
  const std::string table = Table("latencies");
  const auto insert = Prepare("INSERT INTO " + table + " (k, v) VALUES (?, ?)");
  const auto once = session_->Prepare("DELETE FROM " + table + " WHERE k = ? IF EXISTS", false);
  ASSERT_TRUE(once.ok()) << Describe(once.status());
  const auto select = Prepare("SELECT v FROM " + table + " WHERE k = ?");
  const SessionCounters before = session_->counters();
  const auto counted = [&](RequestKind kind) {
    const auto index = static_cast<size_t>(kind);
    return session_->counters().latencies[index].count - before.latencies[index].count;
  };
  CAPI_ASSERT_OK(session_->Execute({insert, Values().Int(1).Int(2), {}}).status());
  CAPI_ASSERT_OK(session_->Execute({insert, Values().Int(2).Int(2), {}}).status());
  CAPI_ASSERT_OK(session_->Execute({select, Values().Int(1), {}}).status());
  CAPI_ASSERT_OK(session_->ExecuteConditional({{*once, Values().Int(1), {}}}).status());
  EXPECT_FALSE(session_->Prepare("SELECT x FROM " + table, true).ok());
  EXPECT_EQ(counted(RequestKind::kRead), 1);
  EXPECT_EQ(counted(RequestKind::kWrite), 2);
  EXPECT_EQ(counted(RequestKind::kConditional), 1);
  EXPECT_EQ(counted(RequestKind::kPrepare), 1);  // one that fails too
  EXPECT_EQ(counted(RequestKind::kSchema), 0);
  const auto writes = static_cast<size_t>(RequestKind::kWrite);
  EXPECT_GT(session_->counters().latencies[writes].seconds, before.latencies[writes].seconds);
  EXPECT_EQ(RequestKindName(RequestKind::kConditional), "conditional");
}

}  // namespace
}  // namespace capi::cql
