// Formulas at work and formulas that misbehave in every way we could think of.

#include "capi/python/formula_pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "capi/base/test_directory.h"
#include "capi/python/pool_testing_internal.h"
#include "capi/python/spawner_internal.h"

namespace capi::python {
namespace {

using std::chrono::milliseconds;
using Texts = std::vector<std::string>;

class FormulaPoolTest : public PoolTest {
 protected:
  Columns Numbers() const { return {Ints({1, 2, 3, 4})}; }
  Outcome Call(const std::string& source) {
    return Evaluate(source, FieldType::kInt, "f(r0)", Numbers());
  }
  static PoolOptions ShortLimit(int64_t millis = 300) {
    PoolOptions options;
    options.execution_timeout_ms = millis;
    return options;
  }
};

// ---- Right use

TEST_F(FormulaPoolTest, CallsAFunctionOfSeveralColumns) {
  EXPECT_EQ(Results("def area(w, h): return w * h", FieldType::kFloat, "area(r0, r1)",
                    {Floats({1.5, 2}), Ints({2, 4})}),
            (Texts{"3", "8"}));
}

TEST_F(FormulaPoolTest, FormulasUseUnchangedValuesOfEarlierOnes) {
  // The first result is stored as 0.33; the second formula sees a third.
  const Columns columns = Numbers();
  const auto program = MakeProgram("def third(x): return x / 3\ndef same(x): return x\n", columns,
                                   {MakeFormula(FieldType::kDecimal2, "third(r0)", "p0"),
                                    MakeFormula(FieldType::kFloat, "same(p0)", "p1")});
  const Outcome outcome = Evaluate(program, columns);
  ASSERT_TRUE(outcome.error.ok()) << Describe(outcome.error);
  EXPECT_EQ(TextsOf(*outcome.columns[0])[0], "0.33");
  EXPECT_EQ(TextsOf(*outcome.columns[1])[0], "0.3333333333333333");
}

TEST_F(FormulaPoolTest, SourcesShareOneModule) {
  const Columns columns = Numbers();
  auto program = MakeProgram("import math\ndef g(x): return x + RATE\n", columns,
                             {MakeFormula(FieldType::kInt, "f(r0)")});
  program->sources.push_back({"more.py", "RATE = 10\ndef f(x): return g(math.floor(x))\n"});
  EXPECT_EQ(TextsOf(*Evaluate(program, columns).columns[0])[3], "14");
}

TEST_F(FormulaPoolTest, SourcesAreNotTheMainProgramAndMayUseTheirModule) {
  EXPECT_EQ(Results("import dataclasses, pickle\n"
                    "@dataclasses.dataclass\nclass P:\n  x: int\n"
                    "if __name__ == '__main__': raise SystemExit(1)\n"
                    "def f(x): return pickle.loads(pickle.dumps(P(x))).x\n",
                    FieldType::kInt, "f(r0)", Numbers()),
            (Texts{"1", "2", "3", "4"}));
}

TEST_F(FormulaPoolTest, StateLivesAsLongAsTheProcess) {
  const Columns columns = Numbers();
  const auto program = MakeProgram("import os\nn = [0]\ndef f(x): n[0] += 1; return n[0]\n",
                                   columns, {MakeFormula(FieldType::kInt, "f(r0)")});
  EXPECT_EQ(TextsOf(*Evaluate(program, columns).columns[0])[3], "4");
  EXPECT_EQ(TextsOf(*Evaluate(program, columns).columns[0])[3], "8");
  EXPECT_EQ(pool_->started_workers(), 1);
  pool_->Forget(*program);
  EXPECT_EQ(pool_->live_workers(), 0);
  EXPECT_EQ(TextsOf(*Evaluate(program, columns).columns[0])[3], "4");
}

TEST_F(FormulaPoolTest, EmptyBatchAndNoInputs) {
  EXPECT_EQ(Results("def f(x): return x", FieldType::kString, "f(r0)", {Strings({})}), Texts{});
  EXPECT_EQ(Results("def f(): return 7", FieldType::kInt, "f()", {}), (Texts{"7", "7", "7"}));
}

TEST_F(FormulaPoolTest, ManyRowsInSlices) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < 65536; ++i) values.push_back(i);
  const Columns columns = {Ints(values)};
  auto program =
      MakeProgram("def f(x): return str(x)", columns, {MakeFormula(FieldType::kString, "f(r0)")});
  program->slice_rows = 1000;
  const Outcome outcome = Evaluate(program, columns);
  ASSERT_TRUE(outcome.error.ok()) << Describe(outcome.error);
  EXPECT_EQ(TextsOf(*outcome.columns[0])[65535], "65535");
}

TEST_F(FormulaPoolTest, LargeTextsGoBothWays) {
  const std::string text(3 << 20, 'x');
  EXPECT_EQ(Results("def f(x): return x + x", FieldType::kString, "f(r0)", {Strings({text, "y"})}),
            (Texts{text + text, "yy"}));
}

TEST_F(FormulaPoolTest, ThirdPartyPackages) {
  const Outcome outcome = Evaluate("import polars\ndef f(x): return polars.Series([x, 1]).sum()",
                                   FieldType::kInt, "f(r0)", Numbers());
  if (!outcome.error.ok() && Describe(outcome.error).find("ModuleNotFound") != std::string::npos) {
    GTEST_SKIP() << "polars is not installed for the test interpreter";
  }
  ASSERT_TRUE(outcome.error.ok()) << Describe(outcome.error);
  EXPECT_EQ(TextsOf(*outcome.columns[0]), (Texts{"2", "3", "4", "5"}));
}

TEST_F(FormulaPoolTest, ResultsDoNotDependOnHashSeeds) {
  const std::string source = "def f(x): return ' '.join({'a' + str(i) for i in range(20)})";
  const Texts first = Results(source, FieldType::kString, "f(r0)", Numbers());
  MakePool();
  EXPECT_EQ(Results(source, FieldType::kString, "f(r0)", Numbers()), first);
}

TEST_F(FormulaPoolTest, ManyThreadsShareThePool) {
  MakePool();
  const Columns columns = Numbers();
  const auto program =
      MakeProgram("def f(x): return x * 2", columns, {MakeFormula(FieldType::kInt, "f(r0)")});
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const Outcome outcome = Evaluate(program, columns);
        right += outcome.error.ok() && TextsOf(*outcome.columns[0])[3] == "8" ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
  EXPECT_LE(pool_->live_workers(), 4);
}

TEST_F(FormulaPoolTest, IdleProcessesAreBounded) {
  PoolOptions options;
  options.max_idle_workers = 1;
  MakePool(options);
  for (int i = 0; i < 3; ++i) ExpectWell();
  EXPECT_EQ(pool_->started_workers(), 3);
  EXPECT_EQ(pool_->live_workers(), 1);
}

// ---- Errors of formulas

TEST_F(FormulaPoolTest, AnExceptionNamesEverything) {
  const Outcome outcome = Call(
      "import math\n\ndef g(x, y):\n  return 1 // (x - 3)\n\n"
      "def f(x):\n  return g(x, 'why')\n");
  ExpectError(
      outcome, "python_exception", 2,
      {"field: row 2: ZeroDivisionError: ", "in g(x=3, y='why') at calc.py:4: return 1 // (x - 3)",
       "in formula f(r0) with r.r0=3"});
  ExpectWell();
}

TEST_F(FormulaPoolTest, AnExceptionOfABuiltin) {
  ExpectError(Evaluate("", FieldType::kInt, "int(r0)", {Strings({"1", "x"})}), "python_exception",
              1, {"ValueError: invalid literal", "in formula int(r0) with r.r0='x'"});
}

TEST_F(FormulaPoolTest, TheProcessSurvivesAnException) {
  const Columns columns = Numbers();
  const auto program = MakeProgram("def f(x): return 1 // (x - 1)", columns,
                                   {MakeFormula(FieldType::kInt, "f(r0)")});
  Evaluate(program, columns);
  EXPECT_EQ(TextsOf(*Evaluate(program, {Ints({2})}).columns[0]), Texts{"1"});
  EXPECT_EQ(pool_->started_workers(), 1);
  EXPECT_EQ(pool_->latencies().count, 2);  // a failure takes time too
  EXPECT_GT(pool_->latencies().seconds, 0);
}

TEST_F(FormulaPoolTest, TheSmallestRowThenTheFirstFormulaIsReported) {
  const Columns columns = Numbers();
  const auto run = [&](const std::string& source) {
    return Evaluate(MakeProgram(source, columns,
                                {MakeFormula(FieldType::kInt, "f(r0)", "p0"),
                                 MakeFormula(FieldType::kInt, "g(r0)", "p1")}),
                    columns);
  };
  ExpectError(run("def f(x): return 'a' if x == 4 else x\ndef g(x): return 'b' if x == 2 else x\n"),
              "python_result", 1, {"'b'", "in formula g(r0)"});
  ExpectError(run("def f(x): return 'a' if x == 2 else x\ndef g(x): return 'b' if x == 2 else x\n"),
              "python_result", 1, {"'a'", "in formula f(r0)"});
  ExpectError(run("def f(x): return x\ndef g(x): return 1 // (x - 3)\n"), "python_exception", 2,
              {"in formula g(r0)"});
}

TEST_F(FormulaPoolTest, TheRowIsRightInEverySlice) {
  const Columns columns = {Ints({1, 2, 3, 4, 5}), Strings({"a", "b", "c", "d", "e"})};
  const auto run = [&](const std::string& expression, int64_t bad) {
    auto program = MakeProgram("def f(x, y): return 1 // (x - " + std::to_string(bad) + ")\n",
                               columns, {MakeFormula(FieldType::kInt, expression)});
    program->slice_rows = 2;
    return Evaluate(program, columns);
  };
  for (int64_t bad = 1; bad <= 5; ++bad) {
    const std::string text(1, static_cast<char>('a' + bad - 1));
    for (const char* expression : {"f(r0, r1)", "f(r0, r1) + 1"}) {
      ExpectError(run(expression, bad), "python_exception", bad - 1,
                  {"(x=" + std::to_string(bad) + ", y='" + text + "')",
                   "with r.r0=" + std::to_string(bad) + ", r.r1='" + text + "'"});
    }
  }
  auto none = MakeProgram("n = [0]\ndef f(): n[0] += 1; return 1 // (n[0] - 3)\n", {},
                          {MakeFormula(FieldType::kInt, "f()")});
  none->slice_rows = 2;
  ExpectError(Evaluate(none, {}), "python_exception", 2, {"in formula f()"});
}

TEST_F(FormulaPoolTest, LongTextsInErrorsAreCut) {
  const Outcome outcome = Evaluate("def f(x): raise ValueError(x)", FieldType::kInt, "f(r0)",
                                   {Strings({std::string(100000, 'x')})});
  ExpectError(outcome, "python_exception", 0, {"ValueError: xxxx", "..."});
  EXPECT_LT(outcome.error.message().size(), 4000U);
}

TEST_F(FormulaPoolTest, ExceptionsThatCannotBePrinted) {
  ExpectError(Call("class E(Exception):\n  def __str__(self): raise ValueError()\n"
                   "def f(x): raise E()\n"),
              "python_exception", 0, {"row 0: E,"});
  ExpectError(Call("def f(x): raise ValueError('\\udcff \\ud800')"), "python_exception", 0,
              {"ValueError: ? ?"});
}

TEST_F(FormulaPoolTest, RecursionWithoutEnd) {
  ExpectError(Call("def f(x): return f(x + 1)"), "python_exception", 0, {"RecursionError"});
}

TEST_F(FormulaPoolTest, MissingFunctionAndWrongArguments) {
  ExpectError(Call("def g(x): return x"), "python_exception", 0,
              {"NameError: name 'f' is not defined", "in formula f(r0)"});
  ExpectError(Call("def f(x, y): return x"), "python_exception", 0, {"TypeError: f() missing 1"});
}

TEST_F(FormulaPoolTest, SourcesThatCannotBeLoaded) {
  ExpectError(Call("x = 1\ndef f(x: return x\n"), "python_load", -1, {"SyntaxError", "calc.py:2"});
  ExpectError(Call("\tdef f(x): return x\n def g(x): pass"), "python_load", -1, {"calc.py:"});
  ExpectError(Call("import no_such_package\n"), "python_load", -1,
              {"ModuleNotFoundError: No module named 'no_such_package'", "at calc.py:1"});
  ExpectError(Call("def f(x): return x\nraise SystemExit(3)\n"), "python_load", -1,
              {"SystemExit: the formula called exit(3)"});
  ExpectError(Call("import os\nprint('bye')\nos._exit(4)\n"), "python_died", -1,
              {"ended with status 4", "printed: bye"});
  ExpectWell();
}

TEST_F(FormulaPoolTest, AFormulaThatIsNoPython) {
  ExpectError(Evaluate("def f(x): return x", FieldType::kInt, "f(r0 && r0)", Numbers()),
              "python_load", -1, {"SyntaxError", "<formula f(r0 && r0)>"});
}

TEST_F(FormulaPoolTest, Exits) {
  ExpectError(Call("import sys\ndef f(x):\n  if x == 3: sys.exit('bye')\n  return x\n"),
              "python_exception", 2, {"SystemExit: the formula called exit('bye')", "calc.py:3"});
  ExpectError(Call("def f(x): raise KeyboardInterrupt()"), "python_exception", 0,
              {"KeyboardInterrupt"});
  ExpectError(Call("import os\ndef f(x): os._exit(3)\n"), "python_died", -1,
              {"row 0 and the 3 rows after it: ", "ended with status 3", "in f(r0)"});
  ExpectWell();
}

TEST_F(FormulaPoolTest, Crashes) {
  ExpectError(Call("import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGSEGV)\n"),
              "python_died", -1, {"was killed by signal 11"});
  ExpectError(Call("import os\ndef f(x): os.abort()\n"), "python_died", -1,
              {"was killed by signal 6"});
  ExpectWell();
}

TEST_F(FormulaPoolTest, EndlessLoopIsInterruptedAndLocated) {
  MakePool(ShortLimit());
  const auto begin = std::chrono::steady_clock::now();
  ExpectError(
      Call("def f(x):\n  while x == 2:\n    pass\n  return x\n"), "python_timeout", 1,
      {"the time limit is exceeded: 300 ms for 1000 rows", "in f(x=2) at calc.py:", "with r.r0=2"});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(5000));
  ExpectWell();
}

TEST_F(FormulaPoolTest, LoopThatCannotBeInterruptedIsKilled) {
  MakePool(ShortLimit());
  ExpectError(Call("import time\ndef f(x):\n  while True:\n    try:\n      time.sleep(100)\n"
                   "    except BaseException: pass\n"),
              "python_timeout", -1, {"300 ms", "cannot be interrupted", "in f(r0)"});
  ExpectError(Call("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
                   "def f(x):\n  while True: pass\n"),
              "python_timeout", -1, {"cannot be interrupted"});
  ExpectWell();
}

TEST_F(FormulaPoolTest, SleepingIsInterrupted) {
  MakePool(ShortLimit());
  ExpectError(Call("import time\ndef f(x): time.sleep(100)\n"), "python_timeout", 0,
              {"at calc.py:2"});
}

TEST_F(FormulaPoolTest, TheLimitIsForASliceNotForAllRows) {
  MakePool(ShortLimit(800));
  std::vector<int64_t> values(20, 1);
  auto program =
      MakeProgram("import time\ndef f(x): time.sleep(0.05 if x == 1 else 60); return x\n",
                  {Ints(values)}, {MakeFormula(FieldType::kInt, "f(r0)")});
  program->slice_rows = 2;
  const Outcome outcome = Evaluate(program, {Ints(values)});  // 1 s in all, 0.1 s for a slice
  EXPECT_TRUE(outcome.error.ok()) << Describe(outcome.error);
  program = std::make_shared<Program>(*program);
  program->slice_rows = 20;
  values[3] = 2;
  ExpectError(Evaluate(program, {Ints(values)}), "python_timeout", 3, {"800 ms for 20 rows"});
}

TEST_F(FormulaPoolTest, EndlessLoading) {
  PoolOptions options;
  options.start_timeout_ms = 700;
  MakePool(options);
  ExpectError(Call("def f(x): return x\nwhile True: pass\n"), "python_load", -1,
              {"the time limit is exceeded, which is 700 ms for loading", "calc.py:2"});
}

TEST_F(FormulaPoolTest, MemoryIsLimited) {
  PoolOptions options;
  options.memory_limit = int64_t{256} << 20;
  MakePool(options);
  ExpectError(Call("def f(x):\n  return len(bytearray(10 ** 9)) if x == 3 else x\n"),
              "python_memory", 2,
              {"MemoryError: a formula needs more memory than the limit of 256 MiB", "calc.py:2",
               "r.r0=3"});
  ExpectError(Call("def f(x):\n  a = []\n  while True: a.append('x' * 100000 + str(len(a)))\n"),
              "python_memory", 0, {"256 MiB"});
  // How many results fit depends on the interpreter.
  const Outcome outcome = Evaluate("def f(x): return 'x' * 20000000", FieldType::kString, "f(r0)",
                                   {Ints(std::vector<int64_t>(100, 1))});
  ExpectError(outcome, "python_memory", outcome.error_row, {"256 MiB", "calc.py:1"});
  EXPECT_GT(outcome.error_row, 3);
  ExpectWell();
}

TEST_F(FormulaPoolTest, PrintingDisturbsNothing) {
  EXPECT_EQ(Results("import sys, os\n"
                    "print('loading')\n"
                    "def f(x):\n"
                    "  print('x' * 1000000)\n"
                    "  print('error', file=sys.stderr)\n"
                    "  os.write(1, b'raw\\n')\n"
                    "  os.system('echo from a shell')\n"
                    "  return x\n",
                    FieldType::kInt, "f(r0)", Numbers()),
            (Texts{"1", "2", "3", "4"}));
}

TEST_F(FormulaPoolTest, WhatWasPrintedIsShownWithAnError) {
  const Outcome outcome =
      Call("def f(x):\n  print('y' * 100000)\n  print('before')\n  return 1 // 0\n");
  ExpectError(outcome, "python_exception", 0, {"; formulas printed: ", "yyyy before"});
  EXPECT_LT(outcome.error.message().size(), 2000U);
}

TEST_F(FormulaPoolTest, ClosedAndReplacedStandardStreams) {
  EXPECT_EQ(Results("import sys, os\nsys.stdout.close()\nsys.stderr = None\nos.close(0)\n"
                    "def f(x): return x\n",
                    FieldType::kInt, "f(r0)", Numbers()),
            (Texts{"1", "2", "3", "4"}));
}

TEST_F(FormulaPoolTest, ReadingStandardInputEndsAtOnce) {
  EXPECT_EQ(Results("import sys\ndef f(x): return repr(sys.stdin.read())", FieldType::kString,
                    "f(r0)", {Ints({1})}),
            Texts{"''"});
}

TEST_F(FormulaPoolTest, LowDescriptorsAreNotTheChannel) {
  EXPECT_EQ(Results("import os\n"
                    "def f(x):\n"
                    "  n = 0\n"
                    "  for fd in range(3, 100):\n"
                    "    try: os.write(fd, b'garbage'); n += 1\n"
                    "    except OSError: pass\n"
                    "  return n\n",
                    FieldType::kInt, "f(r0)", {Ints({1})}),
            Texts{"0"});
}

TEST_F(FormulaPoolTest, GarbageInTheChannelIsNoticed) {
  const std::string write =
      "import os\ndef f(x):\n"
      "  for fd in range(100, 300):\n"
      "    try: os.write(fd, DATA)\n"
      "    except OSError: pass\n"
      "  return x\n";
  for (const char* data : {"b'garbage'", "b'C'", "b'CPY1' + b'x' * 100", "b'x' * 5000000",
                           "b'CPY1\\x02\\x00\\x00\\x00C\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'",
                           "b'CPY1\\x02\\x00\\x00\\x00C\\0\\0\\0' + b'\\xff' * 8"}) {
    MakePool(ShortLimit(1000));
    const Outcome outcome = Call(write + "DATA = " + data + "\n");
    ASSERT_FALSE(outcome.error.ok()) << data;
    EXPECT_EQ(KindOf(outcome.error), ErrorKind::kUser) << Describe(outcome.error);
    ExpectWell();
  }
  ExpectError(Call(write + "DATA = b'garbage'\n"), "python_protocol", -1,
              {"row 0 and the 3 rows after it", "written into the engine's channel"});
}

TEST_F(FormulaPoolTest, ClosedChannel) {
  ExpectError(Call("import os\ndef f(x): os.closerange(3, 1000); return x\n"), "python_died", -1,
              {"row 0 and the 3 rows after it: the Python process "});
  ExpectWell();
}

TEST_F(FormulaPoolTest, ForksDoNotDisturb) {
  // The child comes back into the worker's loop.
  EXPECT_EQ(Results("import os\ndef f(x): os.fork(); return x\n", FieldType::kInt, "f(r0)",
                    {Ints({1, 2})}),
            (Texts{"1", "2"}));
  // The child outlives the worker and holds the channel open.
  ExpectError(
      Call("import os, time\ndef f(x):\n  if os.fork() == 0: time.sleep(60)\n  os._exit(5)\n"),
      "python_died", -1, {"ended with status 5"});
  ExpectWell();
}

TEST_F(FormulaPoolTest, BackgroundThreadsThatPrint) {
  EXPECT_EQ(Results("import threading\ndef noise():\n  while True: print('noise' * 1000)\n"
                    "threading.Thread(target=noise, daemon=True).start()\n"
                    "def f(x): return x\n",
                    FieldType::kInt, "f(r0)", Numbers()),
            (Texts{"1", "2", "3", "4"}));
}

TEST_F(FormulaPoolTest, APatchedStandardLibraryHurtsOnlyItself) {
  const Outcome outcome = Call(
      "import os, struct, json\nos.write = None\nstruct.pack = None\n"
      "json.dumps = None\ndef f(x): return x\n");
  EXPECT_FALSE(outcome.error.ok());
  ExpectWell();
}

TEST_F(FormulaPoolTest, AProcessThatDiedWhileIdleIsReplaced) {
  const Columns columns = Numbers();
  const auto program = MakeProgram(
      "import os, threading\ndef f(x):\n"
      "  threading.Timer(0.1, lambda: os._exit(1)).start()\n"
      "  return x\n",
      columns, {MakeFormula(FieldType::kInt, "f(r0)")});
  EXPECT_TRUE(Evaluate(program, columns).error.ok());
  std::this_thread::sleep_for(milliseconds(600));
  EXPECT_TRUE(Evaluate(program, columns).error.ok());
  EXPECT_EQ(pool_->started_workers(), 2);
}

TEST_F(FormulaPoolTest, CancellingEndsAFormula) {
  MakePool();
  const exec::CancelToken cancel;
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(300));
    cancel.Cancel(CancelledError("stop"));
  });
  const Columns columns = Numbers();
  const auto program = MakeProgram("import time\ndef f(x): time.sleep(60)\n", columns,
                                   {MakeFormula(FieldType::kInt, "f(r0)")});
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = Evaluate(program, columns, cancel);
  canceller.join();
  EXPECT_EQ(KindOf(outcome.error), ErrorKind::kCancelled) << Describe(outcome.error);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(3000));
  EXPECT_EQ(pool_->live_workers(), 0);
}

// ---- The interpreter

class InterpreterTest : public FormulaPoolTest {
 protected:
  Outcome With(const std::string& interpreter) {
    PoolOptions options;
    options.interpreter = interpreter;
    pool_ = Must(FormulaPool::Make(options));
    return Call("def f(x): return x");
  }
  static std::string WriteScript(const TestDirectory& directory, const std::string& text) {
    const std::string path = directory / "interpreter";
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    return path;
  }
};

TEST_F(InterpreterTest, MissingOrUnfit) {
  const TestDirectory directory(testing::TempDir());
  EXPECT_EQ(KindOf(With("no-such-python").error), ErrorKind::kEnvironment);
  EXPECT_NE(Describe(With("no-such-python").error).find("not found in PATH: no-such-python"),
            std::string::npos);
  EXPECT_EQ(KindOf(With("/no/such/python").error), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(With(WriteScript(directory, "no program")).error), ErrorKind::kEnvironment);
  PoolOptions nothing;
  nothing.interpreter = "";
  EXPECT_EQ(KindOf(FormulaPool::Make(nothing).status()), ErrorKind::kUser);
}

TEST_F(InterpreterTest, NotPython) {
  const TestDirectory directory(testing::TempDir());
  ExpectError(With("/bin/true"), "python_died", -1, {"ended with status 0"});
  ExpectError(
      With(WriteScript(directory, "#!/bin/sh\necho Python 3.9 or newer is needed\nexit 1\n")),
      "python_died", -1, {"ended with status 1", "printed: Python 3.9 or newer is needed"});
}

TEST_F(InterpreterTest, ParametersAreGiven) {
  PoolOptions options;
  options.interpreter_parameters = {"-u", "-O", "-"};
  MakePool(options);
  EXPECT_EQ(Results("def f(x): return __debug__", FieldType::kBool, "f(r0)", {Ints({1})}),
            Texts{"false"});
}

TEST_F(InterpreterTest, TheEnvironmentHoldsNoSecrets) {
  setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  setenv("CAPI_CASSANDRA_PASSWORD", "secret", 1);
  setenv("FORMULA_SETTING", "passed", 1);
  PoolOptions options;
  options.passed_variables = {"FORMULA_SETTING"};
  MakePool(options);
  const std::string source = "import os\ndef f(x): return str(os.environ.get(x))\n";
  EXPECT_EQ(Results(source, FieldType::kString, "f(r0)",
                    {Strings({"AWS_SECRET_ACCESS_KEY", "CAPI_CASSANDRA_PASSWORD", "FORMULA_SETTING",
                              "PYTHONHASHSEED"})}),
            (Texts{"None", "None", "passed", "0"}));
  EXPECT_EQ(Results("import os\ndef f(x): return any('secret' in v for v in os.environ.values())",
                    FieldType::kBool, "f(r0)", {Ints({1})}),
            Texts{"false"});
  for (const char* name : {"AWS_SECRET_ACCESS_KEY", "CAPI_CASSANDRA_PASSWORD", "FORMULA_SETTING"}) {
    unsetenv(name);
  }
}

TEST_F(InterpreterTest, ProcessesEndWithTheEngine) {
  // A child process stands for the engine; its worker's id comes back through a pipe.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t engine = fork();
  if (engine == 0) {
    MakePool();
    const std::string id = Results("import os\ndef f(x): return os.getpid()", FieldType::kInt,
                                   "f(r0)", {Ints({1})})[0];
    const auto written = write(ends[1], id.data(), id.size());
    kill(getpid(), SIGKILL);
    _exit(written > 0 ? 0 : 1);
  }
  close(ends[1]);
  char text[32] = {};
  ASSERT_GT(read(ends[0], text, sizeof(text) - 1), 0);
  close(ends[0]);
  waitpid(engine, nullptr, 0);
  const pid_t worker = static_cast<pid_t>(std::stoi(text));
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    // An orphan that nobody reaps is a zombie for a while.
    std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
    std::string id, name, state;
    gone = !(stat >> id >> name >> state) || state == "Z";
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_TRUE(gone);
}

// ---- The sandbox

class SandboxTest : public FormulaPoolTest {
 protected:
  /// Text of the OSError that a statement ends with, "" if it works.
  std::string Try(const std::string& statement) {
    const Texts results = Results(
        "import os, socket, subprocess, signal, resource, tempfile\n"
        "def f(x):\n  try: " +
            statement + "\n  except OSError as e: return e.strerror\n  return ''\n",
        FieldType::kString, "f(r0)", {Ints({1})});
    return results.empty() ? "?" : results[0];
  }
  void SkipWithoutSeccomp() {
    if (!DetectSandbox().seccomp) GTEST_SKIP() << "no seccomp";
  }
};

TEST_F(SandboxTest, NoNetwork) {
  SkipWithoutSeccomp();
  EXPECT_EQ(Try("socket.create_connection(('127.0.0.1', 1))"), "Permission denied");
  EXPECT_EQ(Try("socket.socket(socket.AF_UNIX)"), "Permission denied");
  EXPECT_EQ(Try("socket.socketpair()"), "");
}

TEST_F(SandboxTest, OtherProcessesAreOutOfReach) {
  SkipWithoutSeccomp();
  EXPECT_EQ(Try("os.kill(os.getppid(), signal.SIGKILL)"), "Operation not permitted");
  EXPECT_EQ(Try("os.kill(-1, signal.SIGKILL)"), "Operation not permitted");
  EXPECT_EQ(Try("resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))"),
            "Operation not permitted");
  EXPECT_EQ(Try("os.kill(os.getpid(), 0)"), "");
  EXPECT_EQ(Try("resource.getrlimit(resource.RLIMIT_NOFILE)"), "");
  EXPECT_EQ(Try("subprocess.run(['true'], check=True, stdout=subprocess.DEVNULL)"), "");
}

TEST_F(SandboxTest, TheEngineCannotBeReadThroughProc) {
  if (DetectSandbox().landlock_version == 0) GTEST_SKIP() << "no Landlock";
  EXPECT_EQ(Try("open(f'/proc/{os.getppid()}/environ').read()"), "Permission denied");
  EXPECT_EQ(Try("open(f'/proc/{os.getppid()}/mem', 'rb')"), "Permission denied");
}

TEST_F(SandboxTest, TheFileSystemIsReadOnly) {
  SkipWithoutSeccomp();
  const TestDirectory directory(testing::TempDir());
  const std::string file = directory / "file";
  std::ofstream(file) << "text";
  const std::string path = "'" + file + "'";
  const std::string other = "'" + (directory / "other") + "'";
  EXPECT_EQ(Try("open(" + path + ").read()"), "");
  EXPECT_EQ(Try("os.listdir('/tmp')"), "");
  EXPECT_EQ(Try("open('/dev/null', 'w').write('x')"), "");
  for (const std::string& statement : std::vector<std::string>{
           "open(" + path + ", 'w')", "open(" + path + ", 'a')", "open(" + path + ", 'r+')",
           "open(" + other + ", 'x')", "os.remove(" + path + ")",
           "os.rename(" + path + ", " + other + ")", "os.link(" + path + ", " + other + ")",
           "os.symlink('x', " + other + ")", "os.mkdir(" + other + ")", "os.mkfifo(" + other + ")",
           "os.truncate(" + path + ", 0)", "os.chmod(" + path + ", 0)",
           "os.chown(" + path + ", 0, 0)", "os.utime(" + path + ")",
           "os.setxattr(" + path + ", 'user.x', b'x')", "tempfile.TemporaryFile()"}) {
    EXPECT_NE(Try(statement), "") << statement;
  }
  std::ifstream stream(file);
  std::string text;
  stream >> text;
  EXPECT_EQ(text, "text");
}

TEST_F(SandboxTest, RootHasNoPrivileges) {
  EXPECT_EQ(Results("def f(x): return [l for l in open('/proc/self/status') if "
                    "l.startswith('CapEff')][0].split()[1]\n",
                    FieldType::kString, "f(r0)", {Ints({1})}),
            Texts{"0000000000000000"});
}

TEST_F(SandboxTest, WithoutLandlockSeccompForbidsWriting) {
  SkipWithoutSeccomp();
  // The filter alone, in a process of our own.
  Sandbox sandbox = Must(Sandbox::Make({.landlock_version = 0, .seccomp = true}));
  const TestDirectory directory(testing::TempDir());
  const std::string path = directory / "file";
  const pid_t child = fork();
  if (child == 0) {
    if (sandbox.Apply(sandbox.ruleset()) != 0) _exit(1);
    if (open(path.c_str(), O_WRONLY | O_CREAT, 0600) >= 0) _exit(2);
    if (open("/dev/null", O_RDONLY) < 0) _exit(3);
    if (mkdir(path.c_str(), 0700) == 0) _exit(4);
    if (rename("/dev/null", path.c_str()) == 0) _exit(5);
    if (open(path.c_str(), O_TMPFILE | O_RDWR, 0600) >= 0) _exit(6);
    if (truncate(path.c_str(), 0) == 0) _exit(7);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SandboxTest, CanBeSwitchedOff) {
  PoolOptions options;
  options.sandbox = false;
  MakePool(options);
  EXPECT_EQ(Try("tempfile.TemporaryFile()"), "");
  EXPECT_EQ(Try("socket.socket()"), "");
}

}  // namespace
}  // namespace capi::python
