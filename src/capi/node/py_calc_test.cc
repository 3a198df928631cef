#include <gtest/gtest.h>

#include "capi/node/formula_program.h"
#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

const std::vector<data::Field>& Fields() {
  static const std::vector<data::Field> kTableFields = {{"id", FieldType::kInt},
                                                        {"name", FieldType::kString},
                                                        {"price", FieldType::kDecimal2},
                                                        {"born", FieldType::kDatetime}};
  return kTableFields;
}

class PyCalcTest : public NodeTest {
 protected:
  PyCalcTest() {
    python::PoolOptions options;
    options.interpreter = CAPI_SOURCE_DIR "/.venv/bin/python3";
    formulas_ = Must(python::FormulaPool::Make(options));
  }

  /// A table t of n rows and a node `calc` over it.
  void Prepare(int64_t n, const std::string& source, const std::string& calculated,
               const std::string& fields, const std::string& more = "", int64_t batches = 1) {
    AddTable("t", Fields());
    files_["calc.py"] = source;
    AddNode("calc",
            "type: table_custom_tfm_table\ncustom_proc_type: py_calc\nr:\n  table: t\n"
            "  expected_batches_total: " +
                std::to_string(batches) +
                "\np:\n  python_code_urls: [calc.py]\n  calculated_fields:\n" +
                Indented(calculated, 4) + "w:\n  name: out\n" + Indented(more, 2) + "  fields:\n" +
                Indented(fields, 4));
    Load();
    std::vector<Row> rows;
    for (int64_t i = 0; i < n; ++i) {
      rows.push_back({Int(i), Text("n" + std::to_string(i % 7)),
                      Decimal(std::to_string(i) + (i % 2 == 0 ? ".50" : ".00")),
                      Moment(i * 86400000)});
    }
    Fill("t", rows, 3, 100);
  }

  void ExpectError(const RunOutcome& outcome, const std::vector<std::string>& parts) {
    ASSERT_FALSE(outcome.status.ok());
    EXPECT_EQ(KindOf(outcome.status), ErrorKind::kUser);
    for (const std::string& part : parts) {
      EXPECT_NE(Describe(outcome.status).find(part), std::string::npos)
          << "\"" << part << "\" is not in: " << Describe(outcome.status);
    }
  }
};

TEST_F(PyCalcTest, CalculatesFieldsOfAllTypes) {
  Prepare(3,
          "import datetime\n"
          "def label(name, price): return f'{name}:{price!r}'\n"
          "def third(x): return x / 3\n"
          "def later(t):\n"
          "  d = datetime.datetime.fromisoformat(t) + datetime.timedelta(days=1)\n"
          "  return d.isoformat(timespec='milliseconds')\n"
          "def is_odd(x): return x % 2 == 1\n",
          "a: {expression: 'label(r.name, r.price)', type: string}\n"
          "b: {expression: third(r.price), type: decimal2}\n"
          "c: {expression: third(third(p.b)), type: float}\n"
          "d: {expression: later(r.born), type: datetime}\n"
          "e: {expression: is_odd(r.id), type: bool}\n"
          "f: {expression: r.id, type: int}\n",
          "a: {expression: p.a, type: string}\n"
          "b: {expression: p.b, type: decimal2}\n"
          "c: {expression: p.c * 3.0, type: float}\n"
          "d: {expression: p.d, type: datetime}\n"
          "e: {expression: '!p.e', type: bool}\n"
          "f: {expression: p.f + r.id, type: int}\n");
  const RunOutcome outcome = Run("calc");
  ASSERT_TRUE(outcome.status.ok()) << Describe(outcome.status);
  EXPECT_EQ(
      outcome.rows,
      (std::vector<Texts>{
          {"n0:0.5", "0.17", "0.05555555555555555", "1970-01-02 00:00:00 +0000 UTC", "true", "0"},
          {"n1:1", "0.33", "0.1111111111111111", "1970-01-03 00:00:00 +0000 UTC", "false", "2"},
          {"n2:2.5", "0.83", "0.2777777777777778", "1970-01-04 00:00:00 +0000 UTC", "true", "4"}}));
  EXPECT_EQ(outcome.counts.in, 3);
  EXPECT_EQ(outcome.counts.out, 3);
}

TEST_F(PyCalcTest, ResultsDoNotDependOnThreadsOrBatches) {
  Prepare(5000, "def f(x, s): return s * (x % 3)\n",
          "v: {expression: 'f(r.id, r.name)', type: string}\n",
          "id: {expression: r.id, type: int}\nv: {expression: p.v, type: string}\n",
          "having: len(w.v) < 5\n", 7);
  const RunOutcome several = Run("calc", {.threads = 3});
  ASSERT_TRUE(several.status.ok()) << Describe(several.status);
  EXPECT_EQ(Run("calc", {.threads = 1}).rows, several.rows);
  EXPECT_EQ(several.counts.in, 5000);
  EXPECT_EQ(several.counts.filtered + several.counts.out, 5000);
  EXPECT_EQ(several.rows[0], (Texts{"0", ""}));
  EXPECT_EQ(several.rows[2], (Texts{"2", "n2n2"}));
}

TEST_F(PyCalcTest, UniqueIndexIsChecked) {
  Prepare(10, "def f(x): return x // 2\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: p.v, type: int}\n", "indexes:\n  idx_v_to_check_uniq: unique(v)\n");
  ExpectError(Run("calc"), {"v=0"});
}

TEST_F(PyCalcTest, NoFormulasNeedNoInterpreter) {
  AddTable("t", Fields());
  AddNode("calc",
          "type: table_custom_tfm_table\ncustom_proc_type: py_calc\nr: {table: t}\n"
          "p: {python_code_urls: [], calculated_fields: {}}\n"
          "w:\n  name: out\n  fields:\n    id: {expression: r.id, type: int}\n");
  Load();
  Fill("t", {{Int(5), Text("a"), Decimal("1"), Moment(0)}});
  EXPECT_EQ(Run("calc").rows, (std::vector<Texts>{{"5"}}));
  EXPECT_EQ(formulas_->started_workers(), 0);
}

TEST_F(PyCalcTest, AnEmptyTable) {
  Prepare(0, "def f(x): return x\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: p.v, type: int}\n");
  const RunOutcome outcome = Run("calc");
  ASSERT_TRUE(outcome.status.ok()) << Describe(outcome.status);
  EXPECT_TRUE(outcome.rows.empty());
}

TEST_F(PyCalcTest, LongTextsGoInPieces) {
  AddTable("t", {{"s", FieldType::kString}});
  files_["calc.py"] = "import json\ndef f(s): return json.dumps({'n': len(json.loads(s))})\n";
  AddNode("calc",
          "type: table_custom_tfm_table\ncustom_proc_type: py_calc\nr: {table: t}\n"
          "p:\n  python_code_urls: [calc.py]\n  calculated_fields:\n"
          "    v: {expression: f(r.s), type: string}\n"
          "w:\n  name: out\n  fields:\n    v: {expression: p.v, type: string}\n");
  Load();
  std::string array = "[0";
  for (int i = 1; i < 200000; ++i) array += ",0";
  array += "]";
  Fill("t", std::vector<Row>(60, Row{Text(array)}));
  const RunOutcome outcome = Run("calc");
  ASSERT_TRUE(outcome.status.ok()) << Describe(outcome.status);
  EXPECT_EQ(outcome.rows, std::vector<Texts>(60, {R"({"n": 200000})"}));
}

TEST_F(PyCalcTest, ProcessesEndWithTheNode) {
  Prepare(10, "def f(x): return x\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: p.v, type: int}\n");
  EXPECT_TRUE(Run("calc").status.ok());
  EXPECT_GT(formulas_->started_workers(), 0);
  EXPECT_EQ(formulas_->live_workers(), 0);
}

TEST_F(PyCalcTest, AnErrorNamesTableRowFieldAndPlace) {
  Prepare(300, "def f(x):\n  return 1 // (x - 150)\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: p.v, type: int}\n");
  const RunOutcome outcome = Run("calc", {.threads = 3});
  ExpectError(outcome, {"nodes.calc.p.calculated_fields.v.expression: row 51 of batch 1 of table "
                        "t_00001: ZeroDivisionError",
                        "in f(x=150) at calc.py:2: return 1 // (x - 150)",
                        "in formula f(r.id) with r.id=150"});
}

TEST_F(PyCalcTest, AnEarlierErrorOfAFieldComesFirst) {
  Prepare(60, "def f(x): return 1 // (x - 50) + x\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: 100 / (r.id - 20) + p.v, type: int}\n");
  ExpectError(Run("calc"), {"nodes.calc.w.fields.v.expression: row 1 of batch 1 of table t_00001"});
}

TEST_F(PyCalcTest, AnEarlierErrorOfAFormulaComesFirst) {
  Prepare(60, "def f(x): return 1 // (x - 20) + x\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: 100 / (r.id - 50) + p.v, type: int}\n");
  ExpectError(Run("calc"), {"row 1 of batch 1 of table t_00001: ZeroDivisionError"});
}

TEST_F(PyCalcTest, AWrongTypeNamesTheFunction) {
  Prepare(60, "\n\ndef f(x): return 'a' if x == 30 else x\n",
          "v: {expression: f(r.id), type: int}\n", "v: {expression: p.v, type: int}\n");
  ExpectError(Run("calc"), {"row 11 of batch 1", "the result is str, not a number: 'a'",
                            "in f at calc.py:3", "with r.id=30"});
}

TEST_F(PyCalcTest, AFormulaThatDies) {
  Prepare(60, "import os\ndef f(x): os._exit(9)\n", "v: {expression: f(r.id), type: int}\n",
          "v: {expression: p.v, type: int}\n");
  ExpectError(Run("calc"), {"row 1 of batch 0 of table t_00001 and the 19 rows after it: the "
                            "Python process ended with status 9, in f(r.id)"});
}

TEST_F(PyCalcTest, FieldsAreReplacedInFormulasOnly) {
  AddTable("t", Fields());
  files_["calc.py"] = "def f(*a): return 1\nnumber = 1\n";
  AddNode("calc",
          "type: table_custom_tfm_table\ncustom_proc_type: py_calc\nr: {table: t}\n"
          "p:\n  python_code_urls: [calc.py]\n  calculated_fields:\n"
          "    v: {expression: 'f(r.id, \"r.id p.x\", r . name, f(r.id) + 1)', type: int}\n"
          "    w: {expression: 'f(p.v, r.price)', type: int}\n"
          "w:\n  name: out\n  fields:\n    v: {expression: p.v, type: int}\n");
  Load();
  const FormulaProgram made = Must(MakeFormulaProgram(*script_->FindNode("calc"), Fields()));
  EXPECT_EQ(made.program->formulas[0].expression,
            "f(__capi_r_0, \"r.id p.x\", __capi_r_1, f(__capi_r_0) + 1)");
  EXPECT_EQ(made.program->formulas[1].expression, "f(__capi_p_0, __capi_r_2)");
  EXPECT_EQ(made.inputs, (std::vector<std::string>{"id", "name", "price"}));
  EXPECT_EQ(made.program->formulas[0].uses.size(), 2U);
}

}  // namespace
}  // namespace capi::node
