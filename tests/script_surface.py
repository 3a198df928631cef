"""Tests of settings, the script generator, the JSON Schema, collected rows and manifests; run by integration_test.py."""

import csv
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from integration_support import CASES, ROOT, SHARED_DEMOS, Skipped, expect, statuses

DEMO = SHARED_DEMOS / "proto_file_reader_creator"


# ---- Settings

def test_config_sources_and_errors(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "capi.json").write_text(json.dumps({
            "threads": 1, "memory_limit": "256MiB", "data_dir": "from_file", "private_keys": {"etl": "/k"},
            "custom_processors": {"py_calc": {"python_interpreter_path": "/opt/py"}},
            "cassandra": {"password": "pass-word"}, "amqp10": {"url": "amqp://u:pass-word@h/"}}))
        process = world.call(["config", "--format", "json"], temp, None, {"CAPI_CASSANDRA_HOSTS": "a,b"})
        expect(process.returncode == 0, process.stderr)
        expect("pass-word" not in process.stdout, "a password is shown")
        settings = json.loads(process.stdout)["settings"]
        expect(settings["cassandra.hosts"] == {"value": "a,b", "source": "CAPI_CASSANDRA_HOSTS (environment)"}, settings["cassandra.hosts"])
        expect(settings["threads"] == {"value": "1", "source": "capi.json:1:13"}, settings["threads"])
        expect(settings["amqp10.url"]["value"] == "amqp://u:...@h/", settings["amqp10.url"])
        # What matters for a run has its effect, and options win.
        (folder / "s.yaml").write_text(SCRIPT)
        (folder / "in.csv").write_text("id\n1\n")
        process = world.call(["run", "s.yaml"], temp, None)
        expect(process.returncode == 0, process.stderr)
        expect("in from_file, run 1, 1 threads, memory limit 268.4 MB" in process.stderr, process.stderr)
        process = world.call(["run", "s.yaml", "--threads", "2", "--data-dir", "from_option"], temp, None, {"CAPI_DATA_DIR": "from_env"})
        expect("in from_option, run 1, 2 threads" in process.stderr, process.stderr)
        process = world.call(["run", "s.yaml"], temp, None, {"CAPI_DATA_DIR": "from_env"})
        expect("in from_env" in process.stderr and (folder / "from_env/s/state.db").exists(), process.stderr)
        process = world.call(["preview", "s", "t"], temp, None)
        expect(process.returncode == 0 and "1" in process.stdout, process.stderr)
        # A file that is named stands for all others.
        (folder / "other.json").write_text('{\n  "threads": "many",\n  "log": {"levle": 1, "level": "loud"}\n}')
        for arguments, environment in ((["config", "--config", "other.json"], {}), (["--config", "other.json", "run", "s.yaml"], {}),
                                       (["run", "s.yaml"], {"CAPI_CONFIG": "other.json"})):
            process = world.call(arguments, temp, None, environment)
            expect(process.returncode == 2, f"{arguments}: {process.returncode}")
            for text in ("other.json:2:14: threads: ", "other.json:3:32: log.level: ", "log.levle", "did you mean level?"):
                expect(text in process.stderr, f"{text} is not in {process.stderr}")
        process = world.call(["config", "--config", "missing.json"], temp, None)
        expect(process.returncode == 2 and "missing.json" in process.stderr, process.stderr)


SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: ["{file}"]
      columns: {id: {col_type: int, csv: {col_hdr: id}}}
    w: {name: t, fields: {id: {expression: r.id, type: int}}}
dependency_policies:
  p: {is_default: true}
""".replace("{file}", "in.csv")


# ---- Script generator

def comparable(text, separator):
    """Lines without white space at their ends, as the demos are compared."""
    return [line.rstrip() for line in text.splitlines()]


def test_new_script_demo(world):
    if not DEMO.exists():
        raise Skipped("the demos are not here")
    transcripts = {entry["id"]: entry for entry in map(json.loads, (CASES / "toolbelt_transcripts.jsonl").read_text().splitlines())}
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        shutil.copy(DEMO / "in" / "products.csv", folder / "products.csv")
        flags = ["-file_type=csv", "-csv_hdr_line_idx=0", "-csv_first_line_idx=1", "-csv_separator=\t", "-file=products.csv"]
        process = world.call(["proto_file_reader_creator", *flags], temp, None)
        expect(process.returncode == 0, process.stderr)
        expect(process.stdout == transcripts["proto_file_reader_creator_csv"]["stdout_without_log"], process.stdout)
        os.symlink(world.capi, folder / "capitoolbelt")
        linked = subprocess.run([folder / "capitoolbelt", "proto_file_reader_creator", *flags], cwd=temp, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        expect(linked.stdout == process.stdout, linked.stderr)
        # The demo's own edit, and places of this test instead of the usual ones.
        script = process.stdout.replace('"url_template"', '"top": {"order": "col_id(asc)"},\n    "url_template"')
        script = re.sub(r"/[a-z]+/capi_in/[a-z_]+/", temp + "/", script)
        script = re.sub(r"/[a-z]+/capi_out/[a-z_]+/", temp + "/out_", script)
        (folder / "demo.json").write_text(script)
        process, summary = world.run("demo.json", temp, temp + "/data", "--start-nodes", "read_file")
        expect(process.returncode == 0, process.stderr + process.stdout)
        expect(comparable((folder / "out_products.csv").read_text(), "\t") == comparable((folder / "products.csv").read_text(), "\t"),
               "the output differs from the input")


def csv_rows(content, separator):
    """Rows by Python, which takes a lone CR for a line end."""
    text = content.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n").replace("\r", "<CR>")
    return [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]


def test_new_script_roundtrip(world):
    """Every CSV file of the cases and examples that can be read comes back as it was."""
    checked = 0
    files = sorted([*CASES.glob("run_cases*/*/in/*.csv"), *ROOT.glob("examples/tutorial/*.csv")])
    for file in files:
        with tempfile.TemporaryDirectory() as temp:
            folder = pathlib.Path(temp)
            shutil.copy(file, folder / "in.csv")
            process = world.call(["new-script", "in.csv", "--out", "out.csv", "--exact"], temp, None)
            if process.returncode != 0 or "changes: " in process.stderr:
                continue  # ragged, or without a header
            (folder / "s.json").write_text(process.stdout)
            run, summary = world.run("s.json", temp, temp + "/data", "--strict")
            expect(run.returncode == 0, f"{file}: {run.stderr}{run.stdout[-600:]}\n{process.stderr}")
            separator = json.loads(process.stdout)["nodes"]["read_file"]["r"]["csv"]["separator"]
            rows = [csv_rows((folder / name).read_bytes(), separator) for name in ("in.csv", "out.csv")]
            expect(rows[0] == rows[1], f"{file}: {rows[0][:3]} became {rows[1][:3]}")
            checked += 1
    expect(checked >= 20, f"only {checked} of {len(files)} files were checked")


def test_new_script_reports_conflicts(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        rows = [f"{i},{i * 2}.50,2026-01-{i % 28 + 1:02d}" for i in range(1, 500)]
        rows[333] = "334,n.a.,2026-01-05"
        (folder / "in.csv").write_text("id,price,day\n" + "\n".join(rows) + "\n")
        process = world.call(["new-script", "in.csv"], temp, None)
        expect("in.csv:335: column price is read as string because of 1 cell such as \"n.a.\"" in process.stderr, process.stderr)
        expect("unique: id" in process.stderr, process.stderr)
        columns = json.loads(process.stdout)["nodes"]["read_file"]["r"]["columns"]
        expect([column["col_type"] for column in columns.values()] == ["int", "string", "datetime"], columns)
        process = world.call(["new-script", "in.csv", "--sample", "100"], temp, None)
        columns = json.loads(process.stdout)["nodes"]["read_file"]["r"]["columns"]
        expect(columns["price"]["col_type"] == "decimal2" and "(sampled)" in process.stderr, process.stderr)
        (folder / "bad.csv").write_text("id,name\n1,a\n2\n")
        process = world.call(["new-script", "bad.csv"], temp, None)
        expect(process.returncode == 1 and "bad.csv:3: error: " in process.stderr, process.stderr)
        for arguments in (["new-script", "none.csv"], ["new-script", "in.csv", "--header", "x"], ["new-script", "in.csv", "--separator", ",,"],
                          ["proto_file_reader_creator"], ["proto_file_reader_creator", "-file=in.csv", "-csv_hdr_line_idx=3"],
                          ["proto_file_reader_creator", "-file=in.csv", "-nosuch=1"]):
            process = world.call(arguments, temp, None)
            expect(process.returncode == 2 and process.stderr, f"{arguments}: {process.returncode} {process.stderr}")


# ---- JSON Schema

def load_script(path):
    """A script as the schema sees it: YAML without the scalar rules of YAML 1.1."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    return next(iter(yaml.load_all(path.read_text(), Loader)))


# Valid scripts that the schema refuses, because it wants keys in their usual spelling.
SCHEMA_EXCEPTIONS = {"v11_keys_case_insensitive"}


def test_schema_of_all_scripts(world):
    import jsonschema

    schemas = {}
    for what in ("script", "params"):
        process = world.call(["schema", what], ROOT, None)
        expect(process.stdout == (ROOT / "docs" / f"{what}.schema.json").read_text(), f"docs/{what}.schema.json is not current")
        schemas[what] = json.loads(process.stdout)
        jsonschema.Draft202012Validator.check_schema(schemas[what])
    validator = jsonschema.Draft202012Validator(schemas["script"])
    parameters = jsonschema.Draft202012Validator(schemas["params"])

    scripts = [*ROOT.glob("examples/*/*.yaml"), *ROOT.glob("examples/*/*.json"), *ROOT.glob("bench/*.yaml"), *CASES.glob("run_cases*/*/script.json")]
    if SHARED_DEMOS.exists():
        scripts += [*SHARED_DEMOS.glob("*/cfg/*.json"), *SHARED_DEMOS.glob("*/cfg/*.yaml")]
    checked = checked_parameters = 0
    for path in sorted(scripts):
        tree = load_script(path)
        is_script = isinstance(tree, dict) and "nodes" in tree
        errors = list((validator if is_script else parameters).iter_errors(tree))
        if not is_script and "criteria" in path.name:
            continue
        expect(not errors, f"{path}: {errors[:1]}")
        checked += is_script
        checked_parameters += not is_script
    expect(checked >= 35 and checked_parameters >= 2, f"{checked} scripts and {checked_parameters} parameter files")

    # Case files: what the loader accepts without warnings the schema accepts; unknown keys and wrong kinds are refused.
    refused = wrong = 0
    for line in (CASES / "script_cases" / "index.jsonl").read_text().splitlines():
        case = json.loads(line)
        path = CASES / "script_cases" / case["file"]
        arguments = ["validate", case["file"], *(["--params", case["params"]] if case.get("params") else [])]
        process = world.call(arguments, path.parent, None)
        if process.returncode != 0 or "warning: " in process.stderr or path.suffix not in (".json", ".yaml"):
            continue
        errors = list(validator.iter_errors(load_script(path)))
        if case["id"] in SCHEMA_EXCEPTIONS:
            expect(errors, f"{case['id']}: listed as an exception, but accepted")
        else:
            expect(not errors, f"{case['id']}: {errors[:1]}")
    for path in sorted((CASES / "script_cases").glob("*.json")):
        try:
            tree = load_script(path)
        except ValueError:
            continue
        wrong += 1
        refused += not validator.is_valid(tree)
    print(f"   schema: {checked} scripts, {checked_parameters} parameter files; of {wrong} JSON case scripts {refused} refused")
    expect(refused > 0, "the schema refuses nothing")

    base = load_script(ROOT / "examples/tutorial/script.yaml")
    def changed(change):
        tree = json.loads(json.dumps(base))
        change(tree, next(iter(tree["nodes"].values())))
        return validator.is_valid(tree)
    expect(changed(lambda tree, node: tree.update({"$schema": "x"})), "$schema")
    expect(changed(lambda tree, node: node.update({"start_policy": "{policy}"})), "a placeholder")
    for name, change in {
            "unknown key": lambda tree, node: node.update({"desk": "x"}), "wrong choice": lambda tree, node: node.update({"start_policy": "often"}),
            "wrong kind": lambda tree, node: node.update({"desc": 1}), "wrong type": lambda tree, node: node.update({"type": "file_tabel"}),
            "no reader": lambda tree, node: node.pop("r"), "table reader for a file node": lambda tree, node: node.update({"r": {"table": "t"}}),
            "no policies": lambda tree, node: tree.pop("dependency_policies")}.items():
        expect(not changed(change), f"accepted: {name}")


# ---- Collected rows, manifests, dates

def test_rejected_rows(world):
    case = CASES / "run_cases_ours" / "o33_row_errors"
    expected = [
        ["file", "line", "reason", "text"],
        ["in/orders.csv", "3", "cannot read a cell as int", "2,x,1.00"],
        ["in/orders.csv", "4", "nodes.read.w.fields.share.expression: ", "3,0,1.00"],
        ["in/orders.csv", "5", "a record has another number of cells", "4,5"],
        ["in/orders.csv", "6", "cannot read a cell as int", '5,"6\n7",1.00'],
        ["in/orders.csv", "9", "cannot read a cell as decimal2", '7,4,"1,5"'],
    ]
    texts = set()
    for threads in ("1", "4"):
        with tempfile.TemporaryDirectory() as temp:
            shutil.copytree(case, temp, dirs_exist_ok=True)
            os.mkdir(temp + "/out")
            process, summary = world.run("script.json", temp, temp + "/data", "--threads", threads)
            expect(process.returncode == 0, process.stderr + process.stdout)
            rows = summary["nodes"][0]["rows"]
            expect((rows["in"], rows["rejected"], rows["filtered"], rows["out"]) == (8, 5, 1, 2), rows)
            text = pathlib.Path(temp, "out/rejects.csv").read_text()
            texts.add(text)
            with open(temp + "/out/rejects.csv", newline="") as file:
                found = list(csv.reader(file))
            expect(len(found) == len(expected), text)
            for row, wanted in zip(found, expected):
                expect(row[:2] + row[3:] == wanted[:2] + wanted[3:] and row[2].startswith(wanted[2]), f"{row}, expected {wanted}")
            expect(any(file["path"].endswith("rejects.csv") and file["rows"] == 5 for file in summary["files"]), summary["files"])
            # One more than allowed: the node fails with the first, and no file appears.
            script = pathlib.Path(temp, "script.json")
            os.remove(temp + "/out/rejects.csv")
            script.write_text(script.read_text().replace('"max_rows": 5', '"max_rows": 4'))
            process, summary = world.run("script.json", temp, temp + "/data", "--threads", threads)
            error = summary["nodes"][0]["error"]["text"]
            expect(process.returncode == 1 and "in/orders.csv:3:3" in error and "more than 4 rows are bad" in error, error)
            expect(not os.path.exists(temp + "/out/rejects.csv"), "a file of a failed batch")
            expect(not [name for name in os.listdir(temp + "/out") if name.endswith(".tmp")], "temporary files are left")
    expect(len(texts) == 1, "the file depends on the number of threads")


def test_rejected_rows_of_many_blocks(world):
    """Deterministic for any number of threads, also when the bad rows are many and far apart; an old file is replaced."""
    script = SCRIPT.replace("columns:", 'errors: {reject_file: "bad_{batch_idx}.csv"}\n      columns:')
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        lines = [str(i) if i % 7 else f"x{i}" for i in range(400_000)]
        lines[200_000:200_000] = ["?"] * 5000
        (folder / "in.csv").write_text("id\n" + "\n".join(lines) + "\n")
        bad = [(number + 2, line) for number, line in enumerate(lines) if not line.isdigit()]
        (folder / "s.yaml").write_text(script)
        (folder / "bad_00000.csv").write_text("old\n")
        texts = set()
        for threads in ("1", "3"):
            process, summary = world.run("s.yaml", temp, f"{temp}/data{threads}", "--threads", threads)
            expect(process.returncode == 0, process.stderr + process.stdout[-800:])
            rows = summary["nodes"][0]["rows"]
            expect(rows["in"] == len(lines) and rows["rejected"] == len(bad) and rows["out"] == len(lines) - len(bad), rows)
            texts.add((folder / "bad_00000.csv").read_text())
        expect(len(texts) == 1, "the file depends on the number of threads")
        with open(folder / "bad_00000.csv", newline="") as file:
            found = [(int(row[1]), row[3]) for row in list(csv.reader(file))[1:]]
        expect(found == bad, "the rows in the file are not the bad ones")
        (folder / "in.csv").write_text("id\n1\n")
        process, summary = world.run("s.yaml", temp, temp + "/data1")
        expect((folder / "bad_00000.csv").read_text() == "file,line,reason,text\n", "without bad rows the file holds its header only")


def test_manifest(world):
    case = CASES / "run_cases_ours" / "o34_manifest"
    texts = set()
    for threads in ("1", "3"):
        with tempfile.TemporaryDirectory() as temp:
            shutil.copytree(case, temp, dirs_exist_ok=True)
            os.mkdir(temp + "/out")
            process, summary = world.run("script.json", temp, temp + "/data", "--threads", threads)
            expect(process.returncode == 0, process.stderr + process.stdout)
            data = pathlib.Path(temp, "out/orders.csv").read_bytes()
            text = pathlib.Path(temp, "out/orders.csv.manifest.json").read_text()
            texts.add(text)
            manifest = json.loads(text)
            expect(manifest["sha256"] == hashlib.sha256(data).hexdigest() and manifest["size"] == len(data), text)
            expect((manifest["file"], manifest["rows"], manifest["run_id"], manifest["node"]) == ("orders.csv", 3, 1, "write"), text)
            expect(re.fullmatch("[0-9a-f]{16}", manifest["script_hash"]), text)
            sums = {column["name"]: {key: value for key, value in column.items() if key not in ("name", "type")} for column in manifest["columns"]}
            expect(sums == {"id": {"sum": "6"}, "qty": {"sum": "18446744073709551613"}, "price": {"sum": "99999999999999999999999999999999995.00"},
                            "weight": {"sum": "0.6"}, "day": {"range": "2026-10-01T12:00:00Z/2026-10-31T00:00:00Z"},
                            "ok": {"true": "2"}, "name": {"bytes": "4"}}, sums)
            expect(len(summary["files"]) == 2, summary["files"])
    expect(len(texts) == 1, "the manifest depends on the number of threads")


def test_manifest_and_file_appear_together(world):
    """Killed before, between and after the renames: the next start completes both or neither was promised."""
    case = CASES / "run_cases_ours" / "o34_manifest"
    for point in ("workflow.before_publish:kill:1", "workflow.after_publish:kill:1", "workflow.before_publish:kill:2", "workflow.after_publish:kill:2", "sink.before_rename:kill:2"):
        with tempfile.TemporaryDirectory() as temp:
            shutil.copytree(case, temp, dirs_exist_ok=True)
            os.mkdir(temp + "/out")
            process, _ = world.run("script.json", temp, temp + "/data", environment={"CAPI_FAULT": point})
            expect(process.returncode == 85, f"{point}: exit code {process.returncode} {process.stderr}")
            process, summary = world.run("script.json", temp, temp + "/data")
            expect(process.returncode == 0, f"{point}: {process.stderr}")
            expect(sorted(os.listdir(temp + "/out")) == ["orders.csv", "orders.csv.manifest.json"], f"{point}: {os.listdir(temp + '/out')}")
            manifest = json.loads(pathlib.Path(temp, "out/orders.csv.manifest.json").read_text())
            expect(manifest["sha256"] == hashlib.sha256(pathlib.Path(temp, "out/orders.csv").read_bytes()).hexdigest(), point)


def test_date_parameters(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "in_2026-10.csv").write_text("id\n5\n")
        (folder / "s.yaml").write_text(SCRIPT.replace("in.csv", "in_{month|date}.csv"))
        process, summary = world.run("s.yaml", temp, temp + "/data", "--set", "month=2026-10")
        expect(process.returncode == 0 and statuses(summary) == {"read": "success"}, process.stderr)
        for value in ("2026-13", "October", "2026-10-32", ""):
            process, _ = world.run("s.yaml", temp, temp + "/data", "--set", "month=" + value)
            expect(process.returncode == 2 and "is no date" in process.stderr, f"{value}: {process.stderr}")
