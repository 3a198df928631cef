"""py_calc nodes in whole runs: parity, determinism, misbehaviour, settings. Prints "N passed, N failed, N skipped".

  python_test.py --capi BINARY [--only TEXT]
"""

import csv
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import integration_test
from integration_test import ROOT, demo_files, expect, normalized, statuses

PYTHON = {"CAPI_PYTHON": sys.executable}

SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: [in.csv]
      csv: {hdr_line_idx: 0, first_data_line_idx: 1}
      columns:
        id: {csv: {col_hdr: id}, col_type: int}
        name: {csv: {col_hdr: name}, col_type: string}
    w:
      name: t
      fields:
        id: {expression: r.id, type: int}
        name: {expression: r.name, type: string}
  calc:
    type: table_custom_tfm_table
    custom_proc_type: py_calc
    r: {table: t, expected_batches_total: BATCHES}
    p:
      python_code_urls: [formulas.py]
      calculated_fields:
        v: {expression: "f(r.id, r.name)", type: string}
    w:
      name: c
      fields:
        id: {expression: r.id, type: int}
        v: {expression: p.v, type: string}
  write:
    type: table_file
    r: {table: c}
    w:
      url_template: out.csv
      columns:
        - {name: id, type: int, expression: r.id, csv: {header: id, format: "%d"}}
        - {name: v, type: string, expression: r.v, csv: {header: v, format: "%s"}}
dependency_policies:
  p:
    is_default: true
    event_priority_order: run_is_current(desc), run_id(desc)
    rules:
      - {cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}
      - {cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}
"""


def prepare(temp, formulas, rows=1000, batches=3):
    folder = pathlib.Path(temp)
    (folder / "s.yaml").write_text(SCRIPT.replace("BATCHES", str(batches)))
    (folder / "formulas.py").write_text(formulas)
    (folder / "in.csv").write_text("id,name\n" + "".join(f"{i},n{i}\n" for i in range(rows)))
    return folder


def run(world, temp, *arguments, environment=None):
    return world.run("s.yaml", temp, temp + "/data", *arguments, environment={**PYTHON, **(environment or {})})


def failed_text(world, formulas, environment=None, rows=1000):
    """The error of the calc node of a run that must fail properly."""
    with tempfile.TemporaryDirectory() as temp:
        prepare(temp, formulas, rows)
        process, summary = run(world, temp, environment=environment)
        expect(process.returncode == 1 and summary, f"exit code {process.returncode}: {process.stderr}")
        expect(statuses(summary)["calc"] == "fail", str(statuses(summary)))
        expect(not (pathlib.Path(temp) / "out.csv").exists(), "an output file appeared")
        return next(node["error"]["text"] for node in summary["nodes"] if node["name"] == "calc")


def expect_parts(text, *parts):
    for part in parts:
        expect(part in text, f"{part!r} is not in {text!r}")


# ---- Parity with the original's demo

def check_taxed(base, out):
    for kind in ("py", "go"):
        parts = [normalized(out / f"taxed_order_items_{kind}_{batch:05}.csv") for batch in (0, 1)]
        expect(parts[0][0] == parts[1][0], f"{kind}: headers differ")
        expected = normalized(base / "out" / f"taxed_order_items_{kind}_baseline.csv")
        found = [parts[0][0], *sorted(parts[0][1:] + parts[1][1:])]
        expect(found == [expected[0], *sorted(expected[1:])], f"taxed_order_items_{kind} differs")


def run_demo(world, kind):
    with tempfile.TemporaryDirectory() as temp:
        base, parameters, out = demo_files("py_calc", "py_calc_quicktest", temp)
        process, summary = world.run(base / f"cfg/script.{kind}", temp, temp + "/data", "--params", str(parameters[f"script_params.{kind}"]),
                                     "--start-nodes", "read_order_items", environment=PYTHON)
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        expect(len(summary["nodes"]) == 5, str(statuses(summary)))
        check_taxed(base, out)


def test_parity_py_calc_json(world):
    run_demo(world, "json")


def test_parity_py_calc_yaml(world):
    run_demo(world, "yaml")


# ---- Right use

FORMULA = "def f(i, name):\n    return f'{name}-{i * i}'\n"


def test_same_bytes_for_threads_and_batches(world):
    found = set()
    for threads, batches in ((1, 1), (2, 1), (4, 7), (2, 500)):
        with tempfile.TemporaryDirectory() as temp:
            folder = prepare(temp, FORMULA, 5000, batches)
            process, _ = run(world, temp, "--threads", str(threads))
            expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
            found.add((folder / "out.csv").read_bytes())
    expect(len(found) == 1, "outputs differ")
    expect(found.pop().splitlines()[5000] == b"4999,n4999-24990001", "last line")


def test_changed_source_is_another_run(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = prepare(temp, "import os, time\ndef f(i, name):\n    time.sleep(0.01)\n    return name\n", 400, 40)
        command = [world.capi, "run", "s.yaml", "--output", "json", "--data-dir", "data"]
        child = subprocess.Popen(command, cwd=temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **PYTHON})
        time.sleep(1)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        expect(child.returncode == 130, f"exit code {child.returncode}")
        (folder / "formulas.py").write_text(FORMULA)
        process, summary = run(world, temp)
        expect(process.returncode == 0 and not summary["resumed"] and summary["run_id"] == 2, "the interrupted run was resumed")
        expect((folder / "out.csv").read_text().splitlines()[-1] == "399,n399-159201", "out.csv")


def test_interrupted_run_is_resumed(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = prepare(temp, "import time\ndef f(i, name):\n    time.sleep(0.005)\n    return name\n", 400, 40)
        command = [world.capi, "run", "s.yaml", "--output", "json", "--data-dir", "data"]
        child = subprocess.Popen(command, cwd=temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **PYTHON})
        time.sleep(0.7)
        child.send_signal(signal.SIGINT)
        begin = time.monotonic()
        child.communicate(timeout=60)
        expect(child.returncode == 130 and time.monotonic() - begin < 5, f"exit code {child.returncode}")
        process, summary = run(world, temp)
        expect(process.returncode == 0 and summary["resumed"], process.stderr)
        expect(len((folder / "out.csv").read_text().splitlines()) == 401, "out.csv")


def test_installed_packages_of_the_interpreter(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = prepare(temp, "import polars\ndef f(i, name):\n    return str(polars.Series([i, i + 1]).sum())\n", 50, 2)
        process, summary = run(world, temp)
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        expect((folder / "out.csv").read_text().splitlines()[-1] == "49,99", "out.csv")


def test_modules_beside_the_script(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = prepare(temp, "import rates\nimport json\ndef f(i, name):\n    return json.dumps(rates.RATE)\n", 5, 1)
        (folder / "rates.py").write_text("RATE = 7\n")
        (folder / "json.py").write_text("raise RuntimeError('not the library')\n")
        process, _ = run(world, temp)
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        expect((folder / "out.csv").read_text().splitlines()[-1] == "4,7", "out.csv")


# ---- The portfolio example

def portfolio_returns(folder):
    """{(account, period, sector): (days, return, annualised)} in percent, computed by Polars from the input files."""
    import polars as pl

    def amounts(name):
        frame = pl.read_csv(folder / name, try_parse_dates=True).with_columns(amount=pl.col("quantity") * pl.col("price"))
        return pl.concat([frame, frame.with_columns(sector=pl.lit("All"))]).select("account_id", "date", "sector", "amount")

    holdings, transactions = amounts("holdings.csv"), amounts("transactions.csv")
    values = holdings.group_by("account_id", "date", "sector").agg(pl.col("amount").sum())
    quarters = (holdings.select("account_id", "date").unique().sort("account_id", "date").rename({"date": "end"})
                .with_columns(begin=pl.col("end").shift(1).over("account_id")).drop_nulls()
                .with_columns(days=(pl.col("end") - pl.col("begin")).dt.total_days()))
    flows = (transactions.join(quarters, on="account_id").filter((pl.col("date") > pl.col("begin")) & (pl.col("date") <= pl.col("end")))
             .with_columns(weighted=pl.col("amount") * (pl.col("end") - pl.col("date")).dt.total_days() / pl.col("days"))
             .group_by("account_id", "end", "sector").agg(flow=pl.col("amount").sum(), weighted=pl.col("weighted").sum()))
    keys = pl.concat([holdings, transactions]).select("account_id", "sector").unique()
    gains = (quarters.join(keys, on="account_id")
             .join(values.rename({"date": "begin", "amount": "first"}), on=["account_id", "begin", "sector"], how="left")
             .join(values.rename({"date": "end", "amount": "last"}), on=["account_id", "end", "sector"], how="left")
             .join(flows, on=["account_id", "end", "sector"], how="left").fill_null(0.0)
             .with_columns(capital=pl.col("first") + pl.col("weighted")).filter(pl.col("capital") > 0.005)
             .with_columns(growth=1 + (pl.col("last") - pl.col("first") - pl.col("flow")) / pl.col("capital"),
                           quarter=pl.format("{}Q{}", pl.col("end").dt.year(), pl.col("end").dt.quarter()),
                           year=pl.col("end").dt.year().cast(pl.String), whole=pl.lit("all")))
    result = {}
    for period in ("quarter", "year", "whole"):
        linked = (gains.group_by("account_id", period, "sector").agg(pl.col("days").sum(), pl.col("growth").product())
                  .with_columns(annualised=pl.col("growth") ** (365.25 / pl.col("days"))))
        for account, name, sector, days, growth, annualised in linked.select("account_id", period, "sector", "days", "growth", "annualised").rows():
            result[account, name, sector] = (days, (growth - 1) * 100, (annualised - 1) * 100)
    return result


def check_portfolio(data, out):
    expected = portfolio_returns(data)

    def rows(name):
        with open(out / name, newline="") as file:
            return list(csv.DictReader(file))

    def close(text, number):
        return abs(float(text) - number) < 2e-6 * max(1, abs(number))

    quarters, years = rows("quarters.csv"), rows("years.csv")
    key = lambda row: (row["account"], row["period"], row["sector"])
    expect([key(row) for row in quarters] == sorted(k for k in expected if "Q" in k[1]), "quarters.csv: accounts, periods, sectors")
    expect([key(row) for row in years] == sorted(k for k in expected if "Q" not in k[1] and k[2] == "All"), "years.csv: accounts, periods")
    for row in quarters:
        expect(close(row["return_percent"], expected[key(row)][1]), f"quarters.csv: {row} {expected[key(row)]}")
    for row in years:
        days, gain, annualised = expected[key(row)]
        expect(int(row["days"]) == days and close(row["return_percent"], gain) and close(row["annualised_percent"], annualised),
               f"years.csv: {row} {expected[key(row)]}")
    expect(len(quarters) > 1000 and len(years) > 100, "too few rows")


def portfolio_world(temp):
    folder = pathlib.Path(temp)
    (folder / "out").mkdir()
    example = ROOT / "examples/portfolio"
    subprocess.run([sys.executable, example / "generate.py", folder / "in", "--accounts", "40", "--seed", "7"], check=True)
    settings = [f"data_dir={folder / 'in'}", f"out_dir={folder / 'out'}", f"python_dir={example}"]
    return folder, example, [part for setting in settings for part in ("--set", setting)]


def test_portfolio_one_run(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, example, settings = portfolio_world(temp)
        process, _ = world.run(example / "portfolio.yaml", temp, temp + "/data", "--params", str(example / "params.yaml"), *settings,
                               environment=PYTHON)
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        check_portfolio(folder / "in", folder / "out")


def test_portfolio_four_supervised_runs(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, example, settings = portfolio_world(temp)
        starts = {"read_accounts,read_transactions,read_holdings": 3, "pack_transactions,pack_holdings": 2, "build_activity": 2, "tag_by_period": 6}
        for number, (start, nodes) in enumerate(starts.items(), 1):
            expect(not list((folder / "out").iterdir()), "a report appeared too early")
            process, summary = world.run(example / "portfolio.yaml", temp, temp + "/data", "--params", str(example / "params_supervised.yaml"),
                                         *settings, "--start-nodes", start, environment=PYTHON)
            expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
            expect(summary["run_id"] == number and len(summary["nodes"]) == nodes, f"run {number}: {statuses(summary)}")
        check_portfolio(folder / "in", folder / "out")


# ---- Misbehaviour

def test_exception(world):
    expect_parts(failed_text(world, "def g(x):\n    return 1 // (x - 700)\ndef f(i, name):\n    return str(g(i))\n"),
                 "row 701 of batch 0 of table t_00001: ZeroDivisionError", "in g(x=700) at formulas.py:2: return 1 // (x - 700)",
                 "in formula f(r.id, r.name) with r.id=700, r.name='n700'")


def test_hang(world):
    begin = time.monotonic()
    text = failed_text(world, "def f(i, name):\n    while i == 500: pass\n    return name\n", {"CAPI_PYCALC_EXECUTION_TIMEOUT": "500"})
    expect_parts(text, "row 501 of batch 0", "500 ms for 1000 rows", "f(i=500, name='n500') at formulas.py:2")
    expect(time.monotonic() - begin < 20, "too slow")


def test_death(world):
    expect_parts(failed_text(world, "import os\ndef f(i, name):\n    print('last words')\n    os._exit(3)\n"),
                 "ended with status 3", "formulas printed: last words")


def test_memory(world):
    expect_parts(failed_text(world, "def f(i, name):\n    return 'x' * 10 ** 9 if i == 10 else name\n", {"CAPI_PYCALC_MEMORY_LIMIT": "500MiB"}),
                 "row 11 of batch 0", "more memory than the limit of 500 MiB")


def test_wrong_type(world):
    expect_parts(failed_text(world, "def f(i, name):\n    return i if i == 10 else name\n"),
                 "row 11 of batch 0", "the result is int, not a string: 10", "in f at formulas.py:1")


def test_printing(world):
    with tempfile.TemporaryDirectory() as temp:
        prepare(temp, "def f(i, name):\n    print(name * 100)\n    return name\n")
        process, _ = run(world, temp, environment={"CAPI_LOG": "info"})
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        expect("formulas of node calc printed: " in process.stderr and len(process.stderr) < 500_000, process.stderr[-500:])


def test_syntax_error(world):
    expect_parts(failed_text(world, "def f(i, name):\n    return name +\n"), "cannot be loaded: SyntaxError", "at formulas.py:2")


def test_no_worker_is_left(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = prepare(temp, "import time\ndef f(i, name):\n    time.sleep(30)\n    return name\n", 10, 1)
        child = subprocess.Popen([world.capi, "run", "s.yaml", "--data-dir", "data"], cwd=temp, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env={**os.environ, **PYTHON, "CAPI_PYCALC_EXECUTION_TIMEOUT": "60000",
                                                                 "LC_CAPI_TEST": temp})

        def workers():
            found = []
            for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
                try:
                    if path.read_bytes().find(f"LC_CAPI_TEST={temp}".encode()) >= 0 and int(path.parent.name) != child.pid:
                        found.append(path)
                except OSError:
                    pass
            return found

        deadline = time.monotonic() + 20
        while not workers() and time.monotonic() < deadline:
            time.sleep(0.05)
        expect(workers(), "no worker was started")
        child.kill()
        child.wait()
        deadline = time.monotonic() + 10
        while workers() and time.monotonic() < deadline:
            time.sleep(0.05)
        expect(not workers(), "a worker outlived the engine")
        expect(folder.exists(), "folder")


# ---- Settings

def test_interpreter_settings(world):
    with tempfile.TemporaryDirectory() as temp:
        prepare(temp, FORMULA)
        process, summary = run(world, temp, environment={"CAPI_PYTHON": "no-such-python"})
        expect(process.returncode == 1 and summary["status"] == "interrupted", f"exit code {process.returncode}: {process.stdout}")
        expect("not found in PATH: no-such-python" in process.stdout + process.stderr, process.stdout + process.stderr)
        process, _ = run(world, temp, environment={"CAPI_PYTHON": "no-such-python", "CAPI_PYCALC_INTERPRETER_PATH": sys.executable,
                                                   "CAPI_PYCALC_INTERPRETER_PARAMS": "-u,-", "CAPI_PYCALC_EXECUTION_TIMEOUT": ""})
        expect(process.returncode == 0, process.stderr)
        for name, value in (("CAPI_PYCALC_EXECUTION_TIMEOUT", "soon"), ("CAPI_PYCALC_MEMORY_LIMIT", "much"), ("CAPI_PYCALC_SANDBOX", "perhaps")):
            process, _ = run(world, temp, environment={name: value})
            expect(process.returncode == 2 and name in process.stderr and value in process.stderr, process.stderr)


def test_sandbox(world):
    formulas = "import socket\ndef f(i, name):\n    socket.socket()\n    return name\n"
    expect_parts(failed_text(world, formulas), "PermissionError")
    with tempfile.TemporaryDirectory() as temp:
        prepare(temp, formulas)
        process, _ = run(world, temp, environment={"CAPI_PYCALC_SANDBOX": "false"})
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])


if __name__ == "__main__":
    sys.exit(integration_test.run_all(globals()))
