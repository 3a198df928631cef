"""Recorded calls of the original's toolbelt against ours; used by toolbelt_test.py.

Both answers are brought into a form without times, random order and paths; ours must equal the original's, or what deviations.jsonl says of it.
Standard error of a success is not compared, and that of a failure only has to begin with the expected text.
"""

import json
import pathlib
import re
import shlex
import shutil

from integration_support import CASES, SHARED_DEMOS, Skipped, expect

DEMOS = {"lookup": "lookup_quicktest", "tag_and_denormalize": "tag_and_denormalize_quicktest", "py_calc": "py_calc_quicktest",
         "proto_file_reader_creator": "proto_file_reader_creator_quicktest"}
ORIGINAL_ROOT = "/tmp/capi_"
LOOKUP_NODES = "order_item_date_inner,order_item_date_left_outer,order_date_value_grouped_inner,order_date_value_grouped_left_outer"


class Recorded:
    """The demos at places of this test, with the keyspaces that were there when the original was recorded."""

    def __init__(self, tool):
        self.tool = tool
        self.made = set()
        for demo, name in DEMOS.items():
            for kind in ("cfg", "in"):
                if (SHARED_DEMOS / demo / kind).exists():
                    shutil.copytree(SHARED_DEMOS / demo / kind, self.local(f"{ORIGINAL_ROOT}{kind}/{name}"))
            pathlib.Path(self.local(f"{ORIGINAL_ROOT}out/{name}")).mkdir(parents=True)
        for path in self.tool.folder.glob("capi_cfg/*/*"):
            if path.is_file() and path.suffix in (".json", ".yaml"):
                path.write_text(self.local(path.read_text()))

    def local(self, text):
        return text.replace(ORIGINAL_ROOT, f"{self.tool.folder}/capi_")

    def original(self, text):
        return text.replace(f"{self.tool.folder}/capi_", ORIGINAL_ROOT)

    def script(self, demo, script, parameters):
        folder = self.local(f"{ORIGINAL_ROOT}cfg/{DEMOS[demo]}")
        return [f"-script_file={folder}/{script}", f"-params_file={folder}/{parameters}"]

    def prepare(self, keyspace):
        """The runs of a keyspace, made with the tool itself."""
        multi = self.script("lookup", "script_quick.yaml", "script_params_quick_fs_multi.yaml")
        one = self.script("lookup", "script_quick.yaml", "script_params_quick_fs_one.yaml")
        tags = self.script("tag_and_denormalize", "script.json", "script_params_fs_multi.json")
        runs = {"lookup_quick_multi": [(multi, "read_orders,read_order_items"), (multi, LOOKUP_NODES)],
                "lookup_quick_one": [(one, "read_orders,read_order_items")],
                "webapi_stop": [(tags, "read_tags,read_products")]}.get(keyspace, [])
        if keyspace in self.made:
            return
        self.made.add(keyspace)
        for number, (files, nodes) in enumerate(runs, 1):
            process = self.tool.answer("start_run", f"-keyspace={keyspace}", *files, f"-start_nodes={nodes}")
            expect(process.stdout == f"{number}\n", process.stdout)


def history_form(text):
    lines = text.splitlines()
    rows = [line.split(",") for line in lines[1:]]
    names = lines[0].split(",")
    compared = [name for name in names if name not in ("ts", "instance", "thread", "comment", "written_by_batch_idx")]
    form = {"header": lines[0], "values": sorted({len(row) for row in rows})}
    found = []
    for row in rows:
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", row[0]), f"no time of the old form: {row[0]}")
        # The original leaves values out where its header has names; those before are in their places.
        with_batch = len(row) == len(names)
        present = [name for name in names if with_batch or name != "written_by_batch_idx"]
        found.append([dict(zip(present, row)).get(name) for name in compared])
    expect([row[0] for row in rows] == sorted(row[0] for row in rows), "rows are not sorted by time")
    form["rows"] = sorted(found)
    if names == ["ts", "run_id", "status", "comment"]:
        form["comments"] = [json.loads(row[3].replace(";", ",")) if row[3].startswith("{") else row[3] for row in rows]
    return form


def cql_form(text):
    """Statements by the comment above them, columns sorted."""
    blocks, block = {}, None
    for line in text.splitlines():
        if line.startswith("-- "):
            block = blocks.setdefault(line, [])
            continue
        columns = re.fullmatch(r"(CREATE TABLE IF NOT EXISTS \S+ \( rowid BIGINT, batch_idx BIGINT, )(.*)(, PRIMARY KEY\(\(rowid\)\)\);)", line)
        block.append(columns.group(1) + ", ".join(sorted(columns.group(2).split(", "))) + columns.group(3) if columns else line)
    return {"blocks": blocks}


def quoted(text):
    return re.sub(r"\\(.)", r"\1", text.replace(r"\n", "\n"))


def dot_form(text):
    """What a picture shows: nodes by their labels, arrows by the labels of their ends."""
    string = r'"((?:[^"\\]|\\.)*)"'
    attribute = re.compile(r"(\w+)=(?:" + string + r"|([\w.]+))")
    names, nodes, fills, arrows = {}, [], set(), []
    for line in text.splitlines():
        statement = re.fullmatch(r"\s*" + string + r"(?: -> " + string + r")? \[(.*)\];", line)
        if not statement:
            continue
        tail, head, rest = statement.groups()
        attributes = {name: word if word else value for name, value, word in attribute.findall(rest)}
        if head is not None:
            lines = {quoted(part) for part in re.split(r"\\[ln]", attributes.get("label", "")) if part}
            arrows.append((tail, head, attributes.get("style", "solid"), lines))
            continue
        parts = [quoted(part) for part in re.split(r"(?<!\\)\|", attributes["label"].strip("{}"))] if attributes["shape"] == "record" \
            else [quoted(attributes["label"])]
        names[tail] = parts[0]
        nodes.append([attributes["shape"], parts, attributes.get("penwidth", ""), attributes["tooltip"] if attributes["shape"] == "record" else ""])
        fills.add(attributes.get("fillcolor", ""))
    lookups = [lines for _, _, style, lines in arrows if style == "dashed"]
    return {"nodes": sorted(nodes), "fills": sorted(fills - {""}),
            "arrows": sorted([names[tail], names[head], style, sorted(line for line in lines if not line.endswith("(lookup)"))]
                             for tail, head, style, lines in arrows),
            "index_on_lookups": any(line.endswith("(lookup)") for lines in lookups for line in lines)}


def text_form(text):
    text = re.sub(r"(?m)^(Capillaries toolbelt).*$", r"\1", text)
    return {"stdout": re.sub(r"elapsed (\d+[hm])*[\d.]+(s|ms|µs)$", "elapsed T", text, flags=re.M)}


def form_of(command, code, stdout, stderr):
    """An answer as it is compared."""
    form = {"rc": code}
    if code != 0:
        return {**form, **text_form(stdout), "stderr_begins": stderr.rstrip("\n")}
    if "_history" in command:
        return {**form, **history_form(stdout)}
    if "get_table_cql" in command:
        return {**form, **cql_form(stdout)}
    if "digraph" in stdout:
        return {**form, **dot_form(stdout)}
    return {**form, **text_form(stdout)}


def expected_form(theirs, deviation):
    if not deviation:
        return theirs
    stated = deviation["ours"]
    # Another exit code is another kind of answer: nothing of the original's is left to compare.
    expected = stated if "rc" in stated else {**theirs, **stated}
    expect(expected != theirs, "the deviation equals the stated answer")
    return expected


def check_transcript(recorded, entry, deviation):
    command = entry["command"].replace("<TAB>", "'\t'")
    if entry["id"] == "start_run":
        files = " ".join(recorded.script("lookup", "script_quick.yaml", "script_params_quick_fs_one.yaml"))
        command = f"capitoolbelt start_run {files} -keyspace=start -start_nodes=read_orders,read_order_items"
    arguments = shlex.split(recorded.local(command))[1:]
    if not SHARED_DEMOS.exists() and ("capi_" in " ".join(arguments) or "setup" in entry):
        raise Skipped("the original's demos are not beside this checkout")
    keyspace = next((word.split("=", 1)[1] for word in arguments if word.startswith("-keyspace=")), None)
    if "setup" in entry:
        recorded.prepare(keyspace)
    process = recorded.tool.call(*arguments)
    of_files = arguments[:1] == ["proto_file_reader_creator"]  # prints the usual places whatever the file
    stdout, stderr = (text if of_files else recorded.original(text) for text in (process.stdout, process.stderr))
    theirs = form_of(command, entry["rc"], entry["stdout_without_log"], entry["stderr"])
    ours = form_of(command, process.returncode, stdout, stderr)
    expected = dict(expected_form(theirs, deviation))
    beginning = expected.pop("stderr_begins", "")
    differing = [f"{name}:\n  found    {ours.get(name)}\n  expected {value}" for name, value in expected.items() if ours.get(name) != value]
    if not stderr.startswith(beginning):
        differing.append(f"standard error does not begin with {beginning!r}")
    expect(not differing, "\n".join(differing) + f"\n{stderr}")


def transcript_tests(tool):
    """Functions by name, like those of a module, and the counts of their ends."""
    entries = map(json.loads, (CASES / "deviations.jsonl").read_text().splitlines())
    deviations = {entry["id"]: entry for entry in entries if entry["suite"] == "toolbelt"}
    recorded = Recorded(tool)
    counts = {"passed": 0, "deviations": 0}
    tests = {}

    def test_of(entry, deviation):
        def test(_):
            check_transcript(recorded, entry, deviation)
            counts["deviations" if deviation else "passed"] += 1
        return test

    for line in (CASES / "toolbelt_transcripts.jsonl").read_text().splitlines():
        entry = json.loads(line)
        tests[f"test_transcript_{entry['id']}"] = test_of(entry, deviations.pop(entry["id"], None))
    expect(not deviations, f"listed deviations without a transcript: {sorted(deviations)}")
    return tests, counts
