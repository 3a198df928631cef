"""Whole runs of the capi program: cases, parity, determinism, kills, limits. Prints "N passed, N failed, N skipped".

  integration_test.py --capi BINARY [--full] [--only TEXT]
"""

import argparse
import csv as csv_module
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from integration_support import CASES, ROOT, SHARED_DEMOS, Failure, Skipped, World, expect, statuses  # noqa: F401
from script_surface import *  # noqa: F401,F403


# ---- Case files

def run_deviations():
    entries = map(json.loads, (CASES / "deviations.jsonl").read_text().splitlines())
    return {entry["id"]: entry for entry in entries if entry["suite"] == "run"}


def run_case(world, case, folder, deviation):
    with tempfile.TemporaryDirectory() as temp:
        work = pathlib.Path(temp) / "case"
        shutil.copytree(folder, work)
        (work / "out").mkdir(exist_ok=True)
        process, summary = world.run("script.json", work, pathlib.Path(temp) / "data", "--start-nodes", ",".join(case["start"]))
        ours = deviation.get("ours", {}) if deviation else {}
        if ours.get("refused"):
            expect(process.returncode == 2, f"expected to be refused at load, exit code {process.returncode}")
            expect(f"[{ours['refused']}]" in process.stderr, f"expected class {ours['refused']}: {process.stderr}")
            return
        expect(summary is not None, process.stderr)
        wanted = ours.get("nodes", case["nodes"])
        expect(statuses(summary) == wanted, f"node statuses {statuses(summary)}, expected {wanted}\n{process.stdout[-1500:]}")
        expect(process.returncode == (1 if "fail" in wanted.values() else 0), f"exit code {process.returncode}")
        for output in ours.get("outputs", case["outputs"]):
            name = output["file"]
            expected = (output["text"].encode() if "text" in output else (folder / "expected" / name).read_bytes())
            found = (work / "out" / name).read_bytes()
            if not output.get("ordered", True):
                expected, found = ([body.split(b"\n")[0], *sorted(body.split(b"\n")[1:])] for body in (expected, found))
            expect(found == expected, f"{name}: found {found!r}, expected {expected!r}")


def test_run_cases(world):
    deviations = run_deviations()
    passed = deviating = 0
    failures = []
    for root in (CASES / "run_cases", CASES / "run_cases_ours"):
        if not root.exists():
            continue
        for line in (root / "index.jsonl").read_text().splitlines():
            case = json.loads(line)
            deviation = deviations.pop(case["id"], None)
            try:
                if deviation and not deviation["ours"].get("refused"):
                    same = deviation["ours"].get("nodes", case["nodes"]) == case["nodes"] and "outputs" not in deviation["ours"]
                    expect(not same, "the deviation equals the stated answer")
                run_case(world, case, root / case["id"], deviation)
                deviating += bool(deviation)
                passed += not deviation
            except (Failure, OSError, json.JSONDecodeError) as error:
                failures.append(f"{case['id']}: {error}")
    failures += [f"{case}: listed deviation without a case" for case in deviations]
    print(f"   run cases: {passed} passed, {deviating} deviations, {len(failures)} failing")
    expect(not failures, "\n".join(failures))


def test_expression_cases(world):
    process = world.call(["eval", "--cases", "tests/cases/expr_cases.jsonl", "--deviations", "tests/cases/deviations.jsonl"], ROOT, None)
    print("   expression cases: " + process.stdout.strip().splitlines()[-1])
    expect(process.returncode == 0, process.stdout[-3000:] + process.stderr)


# ---- Parity with the original's demos

def demo_files(demo, folder, temp):
    if not SHARED_DEMOS.exists():
        raise Skipped("the original's demos are not beside this checkout")
    base = SHARED_DEMOS / demo
    text_folder = pathlib.Path(temp)
    (text_folder / "out").mkdir()
    parameters = {}
    for path in (base / "cfg").glob("script_params*"):
        text = path.read_text().replace(f"/tmp/capi_in/{folder}", str(base / "in"))
        text = text.replace(f"/tmp/capi_cfg/{folder}", str(base / "cfg")).replace(f"/tmp/capi_out/{folder}", str(text_folder / "out"))
        parameters[path.name] = text_folder / path.name
        parameters[path.name].write_text(text)
    return base, parameters, text_folder / "out"


def normalized(path):
    return [line.rstrip() for line in path.read_text().splitlines()]


LOOKUP_OUTPUTS = ["order_item_date_inner", "order_item_date_left_outer", "order_date_value_grouped_inner",
                  "order_date_value_grouped_left_outer"]


def check_lookup(base, out):
    for name in LOOKUP_OUTPUTS:
        expect(normalized(out / f"{name}.csv") == normalized(base / "out" / f"{name}_baseline.csv"), f"{name}.csv differs")


def test_parity_lookup_single_run(world):
    with tempfile.TemporaryDirectory() as temp:
        base, parameters, out = demo_files("lookup", "lookup_quicktest", temp)
        process, _ = world.run(base / "cfg/script_quick.yaml", temp, temp + "/data", "--params",
                               str(parameters["script_params_quick_fs_one.yaml"]))
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        check_lookup(base, out)


def test_parity_lookup_two_runs(world):
    with tempfile.TemporaryDirectory() as temp:
        base, parameters, out = demo_files("lookup", "lookup_quicktest", temp)
        common = [base / "cfg/script_quick.yaml", temp, temp + "/data", "--params",
                  str(parameters["script_params_quick_fs_multi.yaml"]), "--start-nodes"]
        process, summary = world.run(*common, "read_orders,read_order_items")
        expect(process.returncode == 0 and len(summary["nodes"]) == 2, process.stderr + process.stdout[-2000:])
        process, summary = world.run(*common, "order_item_date_inner,order_item_date_left_outer,order_date_value_grouped_inner,"
                                     "order_date_value_grouped_left_outer")
        expect(process.returncode == 0 and summary["run_id"] == 2, process.stderr + process.stdout[-2000:])
        check_lookup(base, out)


def check_tags(base, out):
    for path in (base / "out").glob("*baseline*"):
        name = path.name.replace("_baseline", "")
        found, expected = normalized(out / name), normalized(path)
        if name.startswith("tagged_products"):
            found.sort(key=str.encode)
            expected.sort(key=str.encode)
        expect(found == expected, f"{name} differs")


def test_parity_tag_single_run(world):
    with tempfile.TemporaryDirectory() as temp:
        base, parameters, out = demo_files("tag_and_denormalize", "tag_and_denormalize_quicktest", temp)
        process, _ = world.run(base / "cfg/script.json", temp, temp + "/data", "--params", str(parameters["script_params_fs_one.json"]))
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        check_tags(base, out)


def test_parity_tag_two_runs(world):
    with tempfile.TemporaryDirectory() as temp:
        base, parameters, out = demo_files("tag_and_denormalize", "tag_and_denormalize_quicktest", temp)
        common = [base / "cfg/script.json", temp, temp + "/data", "--params", str(parameters["script_params_fs_multi.json"]), "--start-nodes"]
        process, _ = world.run(*common, "read_tags,read_products")
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        process, _ = world.run(*common, "tag_totals")
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        check_tags(base, out)


# ---- The lookup pipeline on generated data

def lookup_world(temp, orders):
    """Our own script of the kind of the lookup demo, with generated inputs."""
    folder = pathlib.Path(temp)
    (folder / "out").mkdir(exist_ok=True)
    subprocess.run([sys.executable, ROOT / "bench/generate_lookup.py", "--orders", str(orders), "--directory", folder / "in"], check=True,
                   stdout=subprocess.DEVNULL)
    return folder, ["--params", str(ROOT / "bench/lookup_params.yaml"), "--set", f"dir_in={folder}/in", "--set", f"dir_out={folder}/out"]


def outputs_of(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_same_bytes_for_threads_batches_and_simd(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, arguments = lookup_world(temp, 3000)
        expected = None
        for number, (threads, batches, simd) in enumerate([(1, 1, ""), (2, 10, ""), (7, 1000, ""), (1, 1000, ""), (7, 10, "baseline")]):
            process, _ = world.run(ROOT / "bench/lookup.yaml", temp, f"{temp}/data{number}", *arguments, "--set", f"batches={batches}",
                                   "--threads", str(threads), environment={"CAPI_SIMD": simd} if simd else None)
            expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
            found = outputs_of(folder / "out")
            expected = expected or found
            expect(found == expected, f"other bytes with {threads} threads, {batches} batches, SIMD {simd or 'default'}")


def disk_bytes(folder):
    """What the files take on the disk: holes do not count."""
    return sum(path.stat().st_blocks * 512 for path in pathlib.Path(folder).rglob("*") if path.is_file())


def kill_again_and_again(world, temp, script, kills, arguments, environment=None):
    """SIGKILL at random moments, each followed by the same command; results identical, nothing left over."""
    folder = pathlib.Path(temp)
    generator = random.Random(20261124)
    run = lambda: world.run(script, ROOT, temp + "/data", *arguments, environment=environment)  # noqa: E731
    started = time.monotonic()
    process, summary = run()
    elapsed = time.monotonic() - started
    expect(process.returncode == 0, process.stderr)
    tables = folder / "data" / summary["keyspace"] / "tables"
    undisturbed_bytes = disk_bytes(tables)
    expected = outputs_of(folder / "out")
    done = 0
    fresh = True
    while done < kills:
        if fresh:
            for path in (folder / "out").iterdir():
                path.unlink()
        child = subprocess.Popen([world.capi, "run", str(script), "--output", "json", *arguments, "--data-dir", temp + "/data"], cwd=ROOT,
                                 env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(generator.uniform(0, elapsed * 1.1))
            fresh = True
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            done += 1
            fresh = False
        if generator.random() < 0.3:
            process, _ = run()
            expect(process.returncode == 0, f"after kill {done}: {process.stderr}{process.stdout[-2000:]}")
            expect(outputs_of(folder / "out") == expected, f"other results after kill {done}")
            fresh = True
    process, summary = run()
    expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
    expect(outputs_of(folder / "out") == expected, "other results at the end")
    leftovers = [str(path) for pattern in ("*.tmp", "*.spill") for path in folder.rglob(pattern)]
    expect(not leftovers, f"left over: {leftovers}")
    taken = disk_bytes(tables) / (summary["run_id"] * undisturbed_bytes)
    print(f"   {done} kills, {summary['run_id']} runs, tables take {taken:.3f} times the space of undisturbed ones")
    expect(taken <= 1.1, "dead bytes")


def test_kills_of_the_lookup_run(world):
    with tempfile.TemporaryDirectory() as temp:
        _, arguments = lookup_world(temp, 20000)
        kill_again_and_again(world, temp, ROOT / "bench/lookup.yaml", 100 if world.full else 12, [*arguments, "--set", "batches=20"])


def test_kills_of_the_flights_run(world):
    data = ROOT / "build/data/flights"
    subprocess.run([ROOT / "scripts/fetch-flights", data], check=True)
    with tempfile.TemporaryDirectory() as temp:
        os.mkdir(temp + "/out")
        kill_again_and_again(world, temp, ROOT / "examples/flights/flights.yaml", 100 if world.full else 8,
                             ["--params", str(ROOT / "examples/flights/params.yaml"), "--set", f"data_dir={data}", "--set", f"out_dir={temp}/out"],
                             {"CAPI_PYTHON": sys.executable})


DISTINCT_SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: ["{dir_in}/items.csv"]
      csv: {hdr_line_idx: 0, first_data_line_idx: 1}
      columns:
        order_id: {csv: {col_hdr: order_id}, col_type: string}
        item: {csv: {col_hdr: order_item_id}, col_type: int}
        product: {csv: {col_hdr: product_id}, col_type: string}
    w:
      name: items
      fields:
        order_id: {expression: r.order_id, type: string}
        item: {expression: r.item, type: int}
        product: {expression: r.product, type: string}
  distinct_orders:
    type: distinct_table
    rerun_policy: fail
    r: {table: items, expected_batches_total: 5}
    w:
      name: orders
      fields:
        order_id: {expression: r.order_id, type: string}
        product: {expression: r.product, type: string}
      indexes: {idx_orders: unique(order_id)}
  distinct_pairs:
    type: distinct_table
    rerun_policy: fail
    r: {table: items, expected_batches_total: 5}
    w:
      name: pairs
      fields:
        order_id: {expression: r.order_id, type: string}
        item: {expression: r.item, type: int}
      indexes: {idx_pairs: "unique(order_id, item)"}
  write_orders:
    type: table_file
    r: {table: orders}
    w:
      url_template: "{dir_out}/orders.csv"
      columns:
        - {name: order_id, type: string, expression: r.order_id, csv: {header: order_id, format: "%s"}}
        - {name: product, type: string, expression: r.product, csv: {header: product, format: "%s"}}
  write_pairs:
    type: table_file
    r: {table: pairs}
    w:
      url_template: "{dir_out}/pairs.csv"
      top: {order: "order_id(desc), item"}
      columns:
        - {name: order_id, type: string, expression: r.order_id, csv: {header: order_id, format: "%s"}}
        - {name: item, type: int, expression: r.item, csv: {header: item, format: "%d"}}
dependency_policies:
  p:
    is_default: true
    event_priority_order: run_is_current(desc), run_id(desc)
    rules:
      - {cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}
      - {cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}
"""

SMALL_LIMIT = 64 << 20
# Program, libraries, SQLite cache, thread stacks and blocks in flight, beside what is reserved.
FIXED_MEMORY = 80 << 20


def run_measured(world, script, cwd, data_dir, *arguments):
    """Like World.run, and the peak of anonymous memory in bytes."""
    process = subprocess.Popen([world.capi, "run", str(script), "--output", "json", *arguments, "--data-dir", str(data_dir)], cwd=cwd,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak = 0
    while process.poll() is None:
        try:
            for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
        except OSError:
            pass
        time.sleep(0.005)
    expect(process.returncode == 0, f"exit code {process.returncode}")
    return json.loads(process.stdout.read()), peak


def check_small_memory(world, script, temp, folder, arguments, spilling):
    process, _ = world.run(script, temp, temp + "/data1", *arguments)
    expect(process.returncode == 0, process.stderr)
    expected = outputs_of(folder / "out")
    summary, peak = run_measured(world, script, temp, temp + "/data2", *arguments, "--memory-limit", "64MiB")
    expect(outputs_of(folder / "out") == expected, "other bytes with a memory limit")
    spilled = {node["name"]: node["spilled_bytes"] for node in summary["nodes"]}
    for node in spilling:
        expect(spilled[node] > 0, f"node {node} spilled nothing: {spilled}")
    print(f"   peak anonymous memory {peak / 1e6:.0f} MB, spilled {summary['spilled_bytes'] / 1e6:.0f} MB")
    expect(peak <= SMALL_LIMIT + FIXED_MEMORY, f"peak of anonymous memory {peak / 1e6:.0f} MB")


def test_memory_limit_joins_and_top(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, arguments = lookup_world(temp, 1000000 if world.full else 500000)
        check_small_memory(world, ROOT / "bench/lookup.yaml", temp, folder, arguments,
                           ["items_inner", "items_left", "totals_inner", "totals_left", "write_items_inner", "write_items_left"])


def test_memory_limit_distinct(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, arguments = lookup_world(temp, 1000000 if world.full else 500000)
        (folder / "distinct.yaml").write_text(DISTINCT_SCRIPT)
        check_small_memory(world, folder / "distinct.yaml", temp, folder,
                           ["--set", f"dir_in={folder}/in", "--set", f"dir_out={folder}/out"], ["distinct_pairs", "write_pairs"])


# ---- Operation

SMALL_SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: ["in.csv"]
      csv: {hdr_line_idx: 0, first_data_line_idx: 1}
      columns:
        id: {csv: {col_hdr: id}, col_type: int}
        name: {csv: {col_hdr: name}, col_type: string}
    w:
      name: t
      fields:
        id: {expression: r.id, type: int}
        name: {expression: r.name, type: string}
      indexes:
        idx_t_to_check_uniq: unique(id)
  write:
    type: table_file
    r: {table: t}
    w:
      url_template: out.csv
      top: {order: "id(desc)"}
      columns:
        - {name: id, type: int, expression: r.id, csv: {header: id, format: "%d"}}
        - {name: name, type: string, expression: r.name, csv: {header: name, format: "%s"}}
dependency_policies:
  p:
    is_default: true
    event_priority_order: run_is_current(desc), run_id(desc)
    rules:
      - {cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}
      - {cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}
"""


def small_run(world, temp, text, *arguments, **options):
    folder = pathlib.Path(temp)
    (folder / "s.yaml").write_text(SMALL_SCRIPT)
    (folder / "in.csv").write_bytes(text)
    return world.run("s.yaml", temp, temp + "/data", *arguments, **options)


def test_malformed_csv(world):
    good = b"id,name\n1,a\n2,b\n"
    bad = {
        "bad number": (b"id,name\n1,a\nx,b\n", ["in.csv:3", "id"]),
        "column count": (b"id,name\n1,a\n2,b,c\n", ["in.csv:3"]),
        "missing header": (b"ident,name\n1,a\n", ["id"]),
        "duplicate key": (b"id,name\n1,a\n1,b\n", ["id=1"]),
        "empty file": (b"", []),
    }
    for name, (text, parts) in bad.items():
        with tempfile.TemporaryDirectory() as temp:
            process, summary = small_run(world, temp, text)
            expect(process.returncode == 1 and summary, f"{name}: exit code {process.returncode} {process.stderr}")
            error = next(node["error"]["text"] for node in summary["nodes"] if node["name"] == "read")
            for part in parts:
                expect(part in error, f"{name}: {part!r} is not in {error!r}")
            expect(not os.path.exists(temp + "/out.csv"), f"{name}: an output file appeared")
    fine = {
        "BOM": b"\xef\xbb\xbf" + good,
        "CR LF": good.replace(b"\n", b"\r\n"),
        "NUL": b"id,name\n1,a\x00b\n",
        "10 MB field": b"id,name\n1," + b"y" * 10_000_000 + b"\n",
        "unclosed quote": b'id,name\n1,"a\n',
    }
    for name, text in fine.items():
        with tempfile.TemporaryDirectory() as temp:
            process, summary = small_run(world, temp, text)
            expect(process.returncode == 0, f"{name}: {process.stderr}{process.stdout[-1000:]}")
    with tempfile.TemporaryDirectory() as temp:
        process, _ = small_run(world, temp, fine["unclosed quote"], "--strict")
        expect(process.returncode == 1, "an unclosed quote is an error under --strict")


def test_wrong_use(world):
    with tempfile.TemporaryDirectory() as temp:
        process, _ = small_run(world, temp, b"id,name\n1,a\n", "--start-nodes", "reed")
        expect(process.returncode == 2 and "read" in process.stderr, process.stderr)
        process = world.call(["run", "missing.yaml"], temp, temp + "/data")
        expect(process.returncode == 2 and "missing.yaml" in process.stderr, process.stderr)
        process = world.call(["run", "s.yaml", "--memory-limit", "lots"], temp, temp + "/data")
        expect(process.returncode == 2, process.stderr)
        process = world.call(["preview", "s", "nothing"], temp, temp + "/data")
        expect(process.returncode == 2, process.stderr)
        process = world.call(["frobnicate"], temp, None)
        expect(process.returncode == 2, process.stderr)


def test_resume_and_new_run(world):
    with tempfile.TemporaryDirectory() as temp:
        process, first = small_run(world, temp, b"id,name\n1,a\n2,b\n")
        expect(process.returncode == 0 and first["run_id"] == 1 and not first["resumed"], process.stderr)
        process, second = small_run(world, temp, b"id,name\n1,a\n2,b\n")
        expect(process.returncode == 0 and second["run_id"] == 2, "a finished run is not resumed")
        expect((pathlib.Path(temp) / "out.csv").read_bytes() == b"id,name\r\n2,b\n1,a\n", "out.csv")
        process = world.call(["preview", "s", "t", "--format", "csv", "--where", "r.id > 1"], temp, temp + "/data")
        expect(process.stdout == "id,name\n2,b\n", process.stdout + process.stderr)


def test_interrupt_is_resumable(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, arguments = lookup_world(temp, 60000)
        command = [world.capi, "run", str(ROOT / "bench/lookup.yaml"), "--output", "json", *arguments, "--data-dir", temp + "/data"]
        interrupted = False
        for delay in (0.05, 0.1, 0.15, 0.2, 0.3):
            child = subprocess.Popen(command, cwd=temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(delay)
            child.send_signal(signal.SIGINT)
            output, errors = child.communicate(timeout=60)
            interrupted = interrupted or child.returncode == 130
            # The signal itself ends a process whose main function has not begun.
            expect(child.returncode in (0, 130, -signal.SIGINT), f"after {delay} s: exit code {child.returncode}: {errors.decode()}\n{output.decode()[-3000:]}")
        expect(interrupted, "no call was interrupted")
        process, summary = world.run(ROOT / "bench/lookup.yaml", temp, temp + "/data", *arguments)
        expect(process.returncode == 0, process.stderr)


def test_history_commands(world):
    def ask(*arguments, code=0):
        process = world.call(list(arguments), temp, temp + "/data")
        expect(process.returncode == code, f"{arguments}: {process.returncode} {process.stderr}")
        return json.loads(process.stdout) if "json" in arguments else process.stdout + process.stderr

    with tempfile.TemporaryDirectory() as temp:
        expect(ask("status", "--output", "json") == [], "keyspaces")
        folder, arguments = lookup_world(temp, 500)
        for options in ([], ["--new-run"]):
            process, _ = world.run(ROOT / "bench/lookup.yaml", temp, temp + "/data", *arguments, *options)
            expect(process.returncode == 0, process.stderr)
        keyspaces = ask("status", "--output", "json")
        expect([(k["keyspace"], k["run"], k["status"], k["nodes"], k["done"], k["failed"]) for k in keyspaces] ==
               [("lookup", 2, "complete", 10, 10, None)], keyspaces)
        runs = ask("history", "lookup", "--output", "json")
        expect([run["run"] for run in runs] == [1, 2] and runs[0]["started"] <= runs[1]["started"] and runs[0]["time_ms"] >= 0, runs)
        nodes = ask("history", "lookup", "--run", "1", "--output", "json")
        expect(len(nodes) == 10 and nodes[0]["node"] == "read_orders" and nodes[0]["rows_in"] == 500, nodes[0])
        expect(ask("status", "lookup", "--output", "json")[0]["rows_in"] == 500, "status")
        batches = ask("history", "lookup", "--node", "read_orders", "--output", "json")
        content = (folder / "in/orders.csv").read_bytes()
        expect(len(batches) == 1 and batches[0]["sha256"] == hashlib.sha256(content).hexdigest() and batches[0]["attempt"] == 1, batches)
        table = ask("history", "lookup", "--node", "items_inner", "--output", "csv").splitlines()
        expect(table[0].startswith("batch,status,attempt,rows_in,rows_out,started,time_ms") and len(table) == 11, table)
        expect(len(ask("tables", "lookup", "--output", "json")) == 12 and len(ask("tables", "lookup", "--run", "2", "--output", "json")) == 6, "tables")
        expect("stopped run 1" in ask("stop", "lookup", "--run", "1", "--comment", "a, b"), "stop")
        runs = ask("history", "lookup", "--output", "json")
        expect((runs[0]["status"], runs[0]["comment"], runs[1]["status"]) == ("stop", "a, b", "complete"), runs)
        os.mkdir(temp + "/data/broken")
        (folder / "data/broken/state.db").write_text("no database")
        process = world.call(["status", "--output", "csv"], temp, temp + "/data")
        expect(process.returncode == 1 and "keyspace broken: " in process.stderr and "unreadable" in process.stdout and "lookup,2," in process.stdout,
               f"{process.returncode} {process.stdout} {process.stderr}")
        for wrong, text in ((["history", "nope"], "no such keyspace: nope"), (["history", "lookup", "--run", "9"], "no such run: 9"),
                            (["history", "lookup", "--node", "read_oders"], "did you mean read_orders?"), (["stop", "lookup", "--run", "9"], "no such run"),
                            (["history", "lookup", "--run", "-1"], "--run"), (["history"], "keyspace"), (["status", "lookup", "--output", "xml"], "xml")):
            expect(text in ask(*wrong, code=2), f"{wrong}: {ask(*wrong, code=2)}")


def test_stop_from_another_process(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, arguments = lookup_world(temp, 150000)
        command = [world.capi, "run", str(ROOT / "bench/lookup.yaml"), "--output", "json", *arguments, "--data-dir", temp + "/data"]
        for run_id, delay in enumerate((0, 0.1, 0.2, 0.3), 1):
            child = subprocess.Popen(command, cwd=temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while world.call(["history", "lookup", "--run", str(run_id)], temp, temp + "/data").returncode != 0:
                expect(child.poll() is None, "the run ended before it could be stopped")
            time.sleep(delay)
            process = world.call(["stop", "lookup"], temp, temp + "/data")
            expect(process.returncode == 0, process.stderr)
            output, errors = child.communicate(timeout=60)
            summary = json.loads(output)
            found = set(statuses(summary).values())
            stopped = child.returncode == 1 and summary["status"] == "stopped" and found <= {"success", "stopreceived"}
            # A machine that is fast enough has finished before.
            expect(stopped or (child.returncode == 0 and delay > 0), f"after {delay} s: {child.returncode} {statuses(summary)} {errors}")
            expect(stopped or run_id > 1, "no run was stopped")
            expect(not [path for path in folder.rglob("*.tmp")], "a temporary file is left")
        # Stopped runs are not resumed, and their tables are not used.
        process, summary = world.run(ROOT / "bench/lookup.yaml", temp, temp + "/data", *arguments)
        expect(process.returncode == 0 and summary["run_id"] == 5, process.stderr)


def test_two_runs_at_once_are_refused(world):
    with tempfile.TemporaryDirectory() as temp:
        folder, arguments = lookup_world(temp, 100000)
        command = [world.capi, "run", str(ROOT / "bench/lookup.yaml"), "--output", "json", *arguments, "--data-dir", temp + "/data"]
        children = [subprocess.Popen(command, cwd=temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        results = [(child.communicate(timeout=120), child.returncode) for child in children]
        codes = sorted(code for _, code in results)
        expect(codes == [0, 2], f"exit codes {codes}: {[errors[-300:] for (_, errors), _ in results]}")


# ---- The flights example against DuckDB

def test_flights_against_duckdb(world):
    import duckdb
    data = ROOT / "build/data/flights"
    subprocess.run([ROOT / "scripts/fetch-flights", data], check=True)
    with tempfile.TemporaryDirectory() as temp:
        process, summary = world.run(ROOT / "examples/flights/flights.yaml", ROOT, temp + "/data", "--params",
                                     str(ROOT / "examples/flights/params.yaml"), "--set", f"data_dir={data}", "--set", f"out_dir={temp}",
                                     environment={"CAPI_PYTHON": sys.executable})
        expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
        db = duckdb.connect()
        db.execute(f"""create view f as select * from read_csv('{data}/flights.csv', nullstr='NA', header=true) where dep_time is not null""")
        db.execute(f"create view w as select origin, time_hour, coalesce(precip,0) precip, coalesce(visib,10) visib, coalesce(wind_speed,0) wind_speed "
                   f"from read_csv('{data}/weather.csv', nullstr='NA', header=true)")
        db.execute("create view full_ as select f.*, coalesce(w.precip,0) precip, coalesce(w.visib,10) visib, coalesce(w.wind_speed,0) wind_speed "
                   "from f left join w on f.origin=w.origin and f.time_hour=w.time_hour")

        def csv(name):
            def typed(cell):
                for convert in (int, float):
                    try:
                        return convert(cell)
                    except ValueError:
                        pass
                return cell

            with open(f"{temp}/{name}.csv", newline="") as file:
                return [tuple(map(typed, row)) for row in list(csv_module.reader(file))[1:]]

        average = "cast(round(cast(sum(coalesce({0},0)) as decimal(38,4)) / count(*), 2) as decimal(18,2))"
        expected = db.execute(f"select carrier, count(*), count(*) filter (dep_delay > 15), {average.format('dep_delay')}, {average.format('arr_delay')}, "
                              "max(dep_delay), sum(distance) from full_ group by 1 order by 2 desc").fetchall()
        found = [(r[0], r[2], r[3], r[4], r[5], r[6], r[7]) for r in csv("carriers")]
        expect([tuple(map(str, r[:3])) + (abs(float(r[3])), float(r[4])) for r in found] ==
               [tuple(map(str, r[:3])) + (abs(float(r[3])), float(r[4])) for r in expected], f"carriers: {found[:3]} {expected[:3]}")
        expect([(r[5], r[6]) for r in found] == [(r[5], r[6]) for r in expected], "carriers: delays and miles")
        expected = db.execute("select origin, dest, count(*) from f group by 1, 2 order by 3 desc, 1, 2").fetchall()
        expect([(r[0], r[1], r[4]) for r in csv("routes")] == expected, "routes")
        db.execute(f"create view a as select faa, radians(lat) lat, radians(lon) lon from read_csv('{data}/airports.csv', header=true)")
        expected = db.execute(
            "select origin, dest, max(distance), any_value(2 * 3958.7613 * asin(sqrt(power(sin((t.lat - o.lat) / 2), 2) + "
            "cos(o.lat) * cos(t.lat) * power(sin((t.lon - o.lon) / 2), 2)))), quantile_cont(dep_delay, 0.5), quantile_cont(dep_delay, 0.9), "
            "quantile_cont(dep_delay, 0.99), 100.0 * count(*) filter (dep_delay < 0) / count(*) "
            "from f join a o on o.faa = f.origin join a t on t.faa = f.dest group by 1, 2 order by 1, 2").fetchall()
        found = csv("route_profiles")
        expect([row[:2] for row in found] == [row[:2] for row in expected] and len(found) > 200, "route_profiles: routes")
        for ours, theirs in zip(found, expected):
            expect(all(abs(a - b) < 0.06 for a, b in zip(ours[3:], theirs[3:])), f"route_profiles: {ours} {theirs}")
            expect(abs(ours[2] - theirs[2]) <= 1 and abs(ours[3] - ours[2]) < 0.01 * ours[2] + 6, f"route_profiles: distance {ours}")
        expected = db.execute("select month, count(*), count(*) filter (precip > 0) from full_ group by 1 order by 1").fetchall()
        expect([(r[0], r[1], r[3]) for r in csv("months")] == expected, "months")
        tags = {"late": "dep_delay > 15", "very_late": "dep_delay > 120", "red_eye": "hour >= 21 or hour <= 4",
                "bad_weather": "precip > 0.1 or visib < 3 or wind_speed > 25", "long_haul": "distance > 2000",
                "made_up_time": "dep_delay > 15 and coalesce(arr_delay,0) <= 0"}
        counts = {r[0]: r[1] for r in csv("tags")}
        for tag, condition in tags.items():
            expected = db.execute(f"select count(*) from full_ where {condition}").fetchone()[0]
            expect(counts.get(tag) == expected, f"tag {tag}: {counts.get(tag)}, expected {expected}")
        rows = db.execute("select max(dep_delay) from f").fetchone()[0]
        expect(csv("most_delayed")[0][6] == rows and len(csv("most_delayed")) == 100, "most_delayed")
        figures = "select count(*), sum(dep_delay), sum(coalesce(arr_delay,0)), round(sum(precip), 1), round(sum(visib)), count(distinct time_hour) from "
        expect(db.execute(figures + f"'{temp}/flights_full.parquet'").fetchall() == db.execute(figures + "full_").fetchall(), "flights_full")


def run_tests(names, world, only):
    """Runs the functions test_* of a module; returns the exit code."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, test in [(name, test) for name, test in names.items() if name.startswith("test_") and only in name]:
        started = time.monotonic()
        try:
            test(world)
            outcome, text = "passed", ""
        except Skipped as reason:
            outcome, text = "skipped", str(reason)
        except Failure as failure:
            outcome, text = "failed", str(failure)
        except Exception:
            outcome, text = "failed", traceback.format_exc()
        world.after_test()
        counts[outcome] += 1
        print(f"{name}: {outcome} ({time.monotonic() - started:.1f} s)" + (f"\n{text}" if text else ""), flush=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def run_all(names):
    """The same with the arguments of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--capi", required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    return run_tests(names, World(options.capi, options.full), options.only)


if __name__ == "__main__":
    sys.exit(run_all(globals()))
