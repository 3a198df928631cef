"""The old toolbelt commands and their new names: recorded calls of the original, right and wrong use. Prints "N passed, N failed, N skipped".

  toolbelt_test.py --capi BINARY [--only TEXT]

Each recorded call of tests/cases/toolbelt_transcripts.jsonl is a test of its own (toolbelt_transcripts.py).
"""

import argparse
import csv
import fcntl
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

from integration_support import ROOT, World, expect
from integration_test import SMALL_SCRIPT, lookup_world, run_tests
from toolbelt_transcripts import transcript_tests

TIMEOUT_SECONDS = 120
COMMANDS = ["validate_script", "start_run", "stop_run", "exec_node", "get_run_history", "get_node_history", "get_batch_history",
            "get_run_status_diagram", "drop_keyspace", "get_table_cql", "proto_file_reader_creator", "check_db_connectivity",
            "check_queue_connectivity"]


class Tool:
    """The program under the original's name, with a data directory of its own."""

    def __init__(self, capi, temp):
        self.folder = pathlib.Path(temp)
        self.capi = str(pathlib.Path(capi).resolve())
        self.program = self.folder / "capitoolbelt"
        os.symlink(self.capi, self.program)
        self.environment = {**{name: value for name, value in os.environ.items() if not name.startswith("CAPI_")},
                            "CAPI_DATA_DIR": str(self.folder / "data")}

    def start(self, arguments, program=None, environment=None):
        return subprocess.Popen([str(program or self.program), *map(str, arguments)], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, errors="replace", env={**self.environment, **(environment or {})})

    def call(self, *arguments, **options):
        child = self.start(arguments, **options)
        stdout, stderr = child.communicate(timeout=TIMEOUT_SECONDS)
        return subprocess.CompletedProcess(arguments, child.returncode, stdout, stderr)

    def answer(self, *arguments, code=0, **options):
        process = self.call(*arguments, **options)
        expect(process.returncode == code, f"{arguments}: exit code {process.returncode}, expected {code}\n{process.stdout}{process.stderr}")
        return process

    def new(self, *arguments, **options):
        """The same program under its own name."""
        return self.answer(*arguments, program=self.capi, **options)


class Small(Tool):
    """With a script of two nodes, read and write, beside it."""

    def __init__(self, world, temp, text="id,name\n1,a\n2,b\n"):
        super().__init__(world.capi, temp)
        (self.folder / "s.yaml").write_text(SMALL_SCRIPT)
        (self.folder / "in.csv").write_text(text)

    def start_run(self, keyspace="k", nodes="read"):
        return self.answer("start_run", f"-keyspace={keyspace}", "-script_file=s.yaml", f"-start_nodes={nodes}")


def old_rows(text):
    lines = [line.split(",") for line in text.splitlines()]
    expect(all(len(line) == len(lines[0]) for line in lines), f"rows have not as many values as the header: {text}")
    return [dict(zip(lines[0], line)) for line in lines[1:]]


# ---- Right use

def test_script_of_the_demos(world):
    """Drop, start, wait for status 1, wait for 2 or 3, look at the nodes."""
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        for run_id in ("1", "2"):
            if run_id == "1":
                process = tool.answer("drop_keyspace", "-keyspace=k")
                expect(process.stdout + process.stderr == "", process.stderr)
            expect(tool.start_run().stdout.splitlines()[-1] == run_id, "the last line is not the run id")
            rows = old_rows(tool.answer("get_run_history", "-keyspace=k").stdout)
            expect([row["status"] for row in rows if row["run_id"] == run_id] == ["1", "2"], rows)
            expect([row["comment"] for row in rows if row["run_id"] == run_id] ==
                   ["api.StartRun", '{"read":"success";"write":"success"}'], rows)
            rows = old_rows(tool.answer("get_node_history", "-keyspace=k", f"-run_ids={run_id}").stdout)
            expect(sorted((row["script_node"], row["status"]) for row in rows) ==
                   [("read", "1"), ("read", "2"), ("write", "1"), ("write", "2")], rows)
        process = tool.answer("drop_keyspace", "-keyspace=k")
        expect(process.stdout + process.stderr == "" and not (tool.folder / "data/k").exists(), process.stderr)


def test_forms_of_flags(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        tool.start_run()
        wanted = tool.answer("get_run_history", "-keyspace=k").stdout
        for flags in (["--keyspace=k"], ["-keyspace", "k"], ["--keyspace", "k"], ["-keyspace=x", "-keyspace=k"], ["-keyspace=k", "--", "-keyspace=x"],
                      ["-keyspace=k", "word", "-nosuch=1"]):
            process = tool.answer("get_run_history", *flags)
            expect(process.stdout == wanted, f"{flags}: {process.stdout}")
            expect(("are ignored" in process.stderr) == (len(flags) == 3), f"{flags}: {process.stderr}")
        # Under the new name of the program too.
        expect(tool.new("get_run_history", "-keyspace=k").stdout == wanted, "capi get_run_history")
        expect(tool.answer("get_run_history", "-keyspace=k", "-data_dir=data", environment={"CAPI_DATA_DIR": "elsewhere"}).stdout == wanted, "-data_dir")
        (tool.folder / "other.json").write_text('{"data_dir": "data"}')
        for flags, environment in ((["-config=other.json"], {}), ([], {"CAPI_CONFIG": "other.json"})):
            del_dir = {"CAPI_DATA_DIR": "", **environment}
            expect(tool.answer("get_run_history", "-keyspace=k", *flags, environment=del_dir).stdout == wanted, f"{flags} {environment}")
        # The program's own file is found in the current directory.
        (tool.folder / "other.json").rename(tool.folder / "capitoolbelt.json")
        expect(tool.answer("get_run_history", "-keyspace=k", environment={"CAPI_DATA_DIR": ""}).stdout == wanted, "capitoolbelt.json")


def test_help(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Tool(world.capi, temp)
        for command in COMMANDS:
            for flag in ("-h", "-help", "--help"):
                process = tool.answer(command, flag)
                expect(process.stdout == "" and process.stderr.startswith(f"Usage of {command}:\n  -"), process.stderr)
        usage = tool.answer().stdout
        expect(re.findall(r"(?m)^  (\S+)$", usage) == COMMANDS, usage)
        expect(re.match(r"Capillaries toolbelt \d+\.\d+\.\d+\n", usage), usage)


def test_histories(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        tool.start_run()
        tool.start_run()
        tool.new("stop", "k", "--run", "1", "--comment", "wrong, or\nso")
        rows = old_rows(tool.answer("get_run_history", "-keyspace=k").stdout)
        expect((rows[-1]["run_id"], rows[-1]["status"], rows[-1]["comment"]) == ("1", "3", "wrong; or so"), rows)
        both = tool.answer("get_node_history", "-keyspace=k").stdout
        for text in (" 1 , 2 ", "2,1", "1,2,", ""):
            expect(tool.answer("get_node_history", "-keyspace=k", f"-run_ids={text}").stdout == both, text)
        single = tool.answer("get_batch_history", "-keyspace=k", "-run_id=1", "-node=read").stdout
        rows = old_rows(single)
        expect([(row["batch_idx"], row["batches_total"], row["status"], row["first_token"], row["last_token"], row["thread"]) for row in rows] ==
               [("0", "1", "1", "0", "0", ""), ("0", "1", "2", "0", "0", "")] and rows[1]["comment"] == "row_reads: 2; row_writes: 2", rows)
        expect(tool.answer("get_batch_history", "-keyspace=k", "-run_ids=1", "-nodes=read").stdout == single, "the older form")
        expect(len(old_rows(tool.answer("get_batch_history", "-keyspace=k", "-run_ids=").stdout)) == 8, "all batches")
        expect(len(old_rows(tool.answer("get_batch_history", "-keyspace=k", "-nodes=read, write").stdout)) == 8, "all runs")
        whole = old_rows(tool.answer("get_batch_history", "-keyspace=k", "-run_id=2", "-node=write").stdout)
        expect((whole[0]["first_token"], whole[0]["last_token"]) == ("-9223372036854775808", "9223372036854775807"), whole)
        # What does not exist has no rows, as those who wait for it expect.
        for arguments in (["get_node_history", "-run_ids=9"], ["get_batch_history", "-run_id=1", "-node=raed"]):
            process = tool.answer(arguments[0], "-keyspace=k", *arguments[1:])
            expect(len(process.stdout.splitlines()) == 1 and "nothing is recorded" in process.stderr, process.stdout)
        for command in ("get_run_history", "get_node_history"):
            objects = json.loads(tool.answer(command, "-keyspace=k", "-format=json").stdout)
            expect(len(objects) == len(old_rows(tool.answer(command, "-keyspace=k").stdout)) and objects[0]["run_id"] == 1, objects)
        expect("wrong, or" in tool.answer("get_run_history", "-keyspace=k", "-format=table").stdout, "table")


def test_failed_nodes(world):
    """The run is complete, and who asks for the history sees the failure; exec_node did not do its work."""
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp, "id,name\n1,a\n1,b\n")
        process = tool.start_run()
        expect(process.stdout == "1\n" and "run 1 has failed nodes: read: " in process.stderr, process.stderr)
        expect(process.stderr.splitlines()[-1].endswith("; nodes not run because of them: 1"), process.stderr)
        rows = old_rows(tool.answer("get_node_history", "-keyspace=k").stdout)
        expect(("read", "3") in [(row["script_node"], row["status"]) for row in rows], rows)
        expect(old_rows(tool.answer("get_run_history", "-keyspace=k").stdout)[-1]["status"] == "2", "run status")
        process = tool.answer("exec_node", "-keyspace=k", "-script_file=s.yaml", "-node_id=read", code=1)
        expect(re.fullmatch(r"run 2, elapsed \S+\n", process.stdout) and "unique index" in process.stderr.splitlines()[-1], process.stderr)
        process = tool.new("start", "s.yaml", "--keyspace", "k", "--start-nodes", "read", "--output", "json")
        expect([(row["run"], row["status"], row["failed"]) for row in json.loads(process.stdout)] == [(3, "complete", 2)], process.stdout)
        tool.new("exec-node", "s.yaml", "read", "--keyspace", "k", code=1)


def test_exec_node_step_by_step(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        arguments = ["exec_node", "-keyspace=k", "-script_file=s.yaml"]
        expect(re.fullmatch(r"run 1, elapsed [\d.]+m?s\n", tool.answer(*arguments, "-node_id=read").stdout), "elapsed")
        expect(not (tool.folder / "out.csv").exists(), "the other node was executed too")
        expect(tool.answer(*arguments, "-node_id=write", "-run_id=0").stdout.startswith("run 2, "), "run id")
        expect((tool.folder / "out.csv").read_bytes() == b"id,name\r\n2,b\n1,a\n", "out.csv")
        rows = old_rows(tool.answer("get_run_history", "-keyspace=k").stdout)
        expect([row["comment"] for row in rows] == ["Toolbelt RunNode(read)", '{"read":"success"}', "Toolbelt RunNode(write)", '{"write":"success"}'], rows)
        for run_id, text in (("1", "run 1 has ended"), ("7", "no such run: 7")):
            process = tool.answer(*arguments, "-node_id=read", f"-run_id={run_id}", code=1)
            expect(text in process.stderr and process.stdout == "", process.stderr)
        process = tool.answer("exec_node", "-keyspace=nope", "-script_file=s.yaml", "-node_id=read", "-run_id=1", code=1)
        expect("no such keyspace: nope" in process.stderr and not (tool.folder / "data/nope").exists(), process.stderr)
        process = tool.new("exec-node", "s.yaml", "read", "--keyspace", "k", "--output", "csv")
        row = list(csv.DictReader(io.StringIO(process.stdout)))[0]
        expect((row["run"], row["node"], row["status"], row["rows_in"], row["rows_out"]) == ("3", "read", "success", "2", "2"), process.stdout)


def test_interruption(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Tool(world.capi, temp)
        lookup_world(temp, 60000)
        parameters = (ROOT / "bench/lookup_params.yaml").read_text()
        for name in ("dir_in", "dir_out"):
            parameters = re.sub(rf"(?m)^{name}:.*$", f"{name}: {temp}/{name[4:]}", parameters)
        (tool.folder / "params.yaml").write_text(parameters)
        command = ["start_run", "-keyspace=k", f"-script_file={ROOT / 'bench/lookup.yaml'}", "-params_file=params.yaml",
                   "-start_nodes=read_orders,read_items"]
        child = tool.start(command)
        expect(child.stdout.readline() == "1\n", "the run id is not printed when the run begins")
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        expect(child.returncode == 130, f"exit code {child.returncode}")
        rows = old_rows(tool.answer("get_run_history", "-keyspace=k").stdout)
        expect([row["status"] for row in rows] == ["1"], rows)
        process = tool.new("run", ROOT / "bench/lookup.yaml", "--params", "params.yaml", "--keyspace", "k", "--start-nodes", "read_orders,read_items")
        expect("run 1 (resumed" in process.stderr, process.stderr)


def test_stop_run(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        tool.start_run()
        process = tool.answer("stop_run", "-keyspace=k", "-run_id=1")
        expect(process.stdout + process.stderr == "", process.stderr)
        rows = old_rows(tool.answer("get_run_history", "-keyspace=k").stdout)
        expect((rows[-1]["status"], rows[-1]["comment"]) == ("3", "stopped by toolbelt"), rows)
        before = tool.answer("get_run_history", "-keyspace=k").stdout
        tool.answer("stop_run", "-keyspace=k", "-run_id=9", code=1)
        tool.answer("stop_run", "-keyspace=nope", "-run_id=1", code=1)
        expect(tool.answer("get_run_history", "-keyspace=k").stdout == before, "a refused order changed the history")
        expect(not (tool.folder / "data/nope").exists(), "a keyspace was made")


def test_validate_script(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        arguments = ["validate_script", "-script_file=s.yaml"]
        for flags, beginning in (([], "<svg"), (["-format=svg"], "<svg"), (["-format=capigraph"], "<svg"), (["-format=dot"], "digraph"),
                                 (["-idx_dag"], "digraph"), (["-field_dag=true"], "digraph"), (["-format=json"], "{"), (["-format=none"], "")):
            text = tool.answer(*arguments, *flags).stdout
            expect(text.lstrip().startswith(beginning) or text.startswith("<?xml"), f"{flags}: {text[:100]}")
            expect(beginning != "" or text == "", f"{flags}: {text[:100]}")
        # A word after a boolean ends the flags.
        expect("are ignored: true" in tool.answer(*arguments, "-idx_dag", "true").stderr, "-idx_dag true")
        graph = json.loads(tool.answer(*arguments, "-format=json").stdout)
        expect([node["name"] for node in graph["nodes"]] == ["read", "write"] and graph["edges"] ==
               [{"from": "read", "to": "write", "kind": "table", "table": "t", "fields": ["id", "name"]}], graph)
        for flags, index, field in ((["-detail=idx"], True, False), (["-detail=field"], False, True), (["-detail=idx,field"], True, True),
                                    (["-detail="], False, False)):
            text = tool.answer(*arguments, "-format=dot", *flags).stdout
            expect(("(no parallelism)" in text, "name\\l" in text) == (index, field), f"{flags}: {text}")
        text = tool.answer(*arguments, "-idx_dag", "-field_dag=false").stdout
        expect("(no parallelism)" in text and "name\\l" not in text, text)


def test_table_cql(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        script = SMALL_SCRIPT.replace("      name: t\n", "      name: t\n      table_options: \" WITH comment='x' \"\n", 1)
        (tool.folder / "s.yaml").write_text(script)
        arguments = ["get_table_cql", "-keyspace=k", "-script_file=s.yaml"]
        text = tool.answer(*arguments, "-start_nodes=read,", "-run_id=12").stdout
        expect(text.splitlines()[7:] ==
               ["-- read",
                "CREATE TABLE IF NOT EXISTS k.t_00012 ( rowid BIGINT, batch_idx BIGINT, id BIGINT, name TEXT, PRIMARY KEY((rowid))) WITH comment='x';",
                "CREATE TABLE IF NOT EXISTS k.idx_t_to_check_uniq_00012 ( key TEXT, rowid BIGINT, PRIMARY KEY((key))) WITH comment='x';"], text)
        expect("k.t_00000 (" in tool.answer(*arguments).stdout, "the usual run id and nodes")
        expect(tool.new("get-table-cql", "s.yaml", "--keyspace", "k", "--run", "12", "--start-nodes", "read").stdout == text, "the new name")
        expect("s.t_00001 (" in tool.new("get-table-cql", "s.yaml").stdout, "the usual keyspace")
        expect(not (tool.folder / "data").exists(), "a database was made")
        (tool.folder / "s.yaml").write_text(SMALL_SCRIPT.replace("id: {expression: r.id", "token: {expression: r.id").replace("unique(id)", "unique(token)")
                                            .replace("r.id, csv: {header", "r.token, csv: {header"))
        expect("word of CQL: token" in tool.answer(*arguments, code=1).stderr, "a reserved word")


def test_connectivity(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Tool(world.capi, temp)
        for command, key in (("check_db_connectivity", "cassandra.hosts"), ("check_queue_connectivity", "amqp.url")):
            process = tool.answer(command)
            expect(process.stdout == "OK: embedded\n" and key in process.stderr, process.stderr)
        rows = json.loads(tool.new("check", "--output", "json").stdout)
        expect([(row["server"], row["status"], row["address"]) for row in rows] == [("database", "OK", "embedded"), ("queue", "OK", "embedded")], rows)
        cluster = {"CAPI_CASSANDRA_HOSTS": "127.0.0.1"}
        process = tool.answer("check_queue_connectivity", code=1, environment=cluster)
        expect("no queue for it" in process.stderr and process.stdout == "", process.stderr)
        for process in (tool.answer("check_queue_connectivity", code=1, environment={"CAPI_AMQP_URL": "amqp://user:sesame@127.0.0.1:1/"}),
                        tool.new("check", code=1, environment={"CAPI_AMQP_URL": "amqp://user:sesame@127.0.0.1:1/"})):
            expect("sesame" not in process.stdout + process.stderr and "127.0.0.1" in process.stdout + process.stderr, process.stderr)


def test_completion(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Tool(world.capi, temp)
        for shell in ("bash", "zsh", "fish"):
            text = tool.new("completion", shell).stdout
            for word in ("start", "exec-node", "get-table-cql", "check", *COMMANDS, "script_file", "capitoolbelt"):
                expect(re.search(rf"(?<!\w){re.escape(word)}(?![\w-])", text), f"{shell}: {word}")


# ---- Wrong use

def test_wrong_use(world):
    script = ["-keyspace=k", "-script_file=s.yaml"]
    usage = {  # exit code 2, with the list of flags
        ("start_run",): "-keyspace is required",
        ("start_run", "-keyspace="): "-keyspace is required",
        ("start_run", "-keyspace=k"): "-script_file is required",
        ("start_run", *script): "-start_nodes is required",
        ("start_run", *script, "-start_nodes="): "-start_nodes is required",
        ("start_run", *script, "-start_nodes=,"): "-start_nodes names no node",
        ("start_run", *script, "-start_node=read"): "flag provided but not defined: -start_node",
        ("start_run", *script, "-start_nodes"): "flag needs an argument: -start_nodes",
        ("stop_run", "-keyspace=k"): "-run_id is required",
        ("stop_run", "-run_id=1"): "-keyspace is required",
        ("stop_run", "-keyspace=k", "-run_id=one"): 'invalid value "one" for flag -run_id',
        ("stop_run", "-keyspace=k", "-run_id=0"): "-run_id must be a positive number, not 0",
        ("stop_run", "-keyspace=k", "-run_id=-1"): "-run_id must be a positive number, not -1",
        ("exec_node", *script): "-node_id is required",
        ("exec_node", *script, "-node_id=read", "-run_id=-3"): "-run_id must be a positive number",
        ("drop_keyspace",): "-keyspace is required",
        ("get_run_history",): "-keyspace is required",
        ("get_run_history", "-keyspace=k", "-format=xml"): "-format must be csv, table or json, not xml",
        ("get_node_history", "-keyspace=k", "-run_ids=1,x"): "invalid int16 x",
        ("get_node_history", "-keyspace=k", "-run_ids=1.5"): "invalid int16 1.5",
        ("get_node_history", "-keyspace=k", "-run_ids=-1"): "invalid int16 -1",
        ("get_batch_history", "-keyspace=k", "-run_id=1"): "empty node name",
        ("get_batch_history", "-keyspace=k", "-node=read"): "-run_id is required",
        ("get_batch_history", "-keyspace=k", "-run_id=1", "-nodes=read"): "do not go with",
        ("get_batch_history", "-keyspace=k", "-run_ids=1;2"): "invalid int16 1;2",
        ("validate_script", "-script_file=s.yaml", "-format=png"): "-format must be",
        ("validate_script", "-script_file=s.yaml", "-idx_dag=perhaps"): 'invalid value "perhaps" for flag -idx_dag',
        ("get_table_cql", "-script_file=s.yaml"): "-keyspace is required",
        ("get_table_cql", "-keyspace=k"): "-script_file is required",
        ("get_table_cql", *script, "-run_id=-1"): "-run_id must be a positive number",
        ("get_table_cql", *script, "-start_nodes=,"): "-start_nodes names no node",
        ("proto_file_reader_creator", "-file=in.csv", "-file_type=xls"): "-file_type must be",
        ("proto_file_reader_creator", "-file=in.csv", "-csv_separator="): "-csv_separator must not be empty",
        ("check_db_connectivity", "-keyspace=k"): "flag provided but not defined: -keyspace",
    }
    work = {  # exit code 1, one line
        ("start_run", *script, "-start_nodes=raed,read,wrote"): "node(s) raed,wrote missing from s.yaml, check node name spelling",
        ("start_run", "-keyspace=system_k", "-script_file=s.yaml", "-start_nodes=read"): "invalid keyspace name [system_k]: prohibited regex is [^system]",
        ("start_run", "-keyspace=a b", "-script_file=s.yaml", "-start_nodes=read"): "invalid keyspace name [a b]: allowed regex is [a-zA-Z0-9_]+",
        ("start_run", "-keyspace=k", "-script_file=none.yaml", "-start_nodes=read"): "cannot read script none.yaml: ",
        ("start_run", *script, "-params_file=none.yaml", "-start_nodes=read"): "cannot read script parameters none.yaml: ",
        ("exec_node", *script, "-node_id=raed"): "cannot find node to start with: raed in the script s.yaml",
        ("stop_run", "-keyspace=k", "-run_id=1"): "no such keyspace: k",
        ("drop_keyspace", "-keyspace=system"): "invalid keyspace name [system]",
        ("drop_keyspace", "-keyspace=../k"): "invalid keyspace name [../k]",
        ("get_run_history", "-keyspace=k"): "cannot get run history: ",
        ("get_node_history", "-keyspace=k"): "cannot get node history: ",
        ("get_batch_history", "-keyspace=k", "-run_id=1", "-node=read"): "cannot get batch history: ",
        ("get_table_cql", *script, "-start_nodes=raed"): "node(s) raed missing from s.yaml",
        ("validate_script", "-script_file=bad.yaml"): "bad.yaml:",
        ("get_run_status_diagram", "-keyspace=k", "-run_id=1"): "get_run_status_diagram is not in this version",
        ("drop_run_status_diagram", "-keyspace=k", "-run_id=1"): "get_run_status_diagram is not in this version",
        ("proto_file_reader_creator", "-file=none.csv"): "none.csv: ",
        ("get_run_history", "-keyspace=k", "-config=none.json"): "none.json",
    }
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        (tool.folder / "bad.yaml").write_text(SMALL_SCRIPT.replace("r.id, type: int", "r.di, type: it"))
        for arguments, text in usage.items():
            process = tool.answer(*arguments, code=2)
            expect(process.stdout == "" and text in process.stderr.splitlines()[0], f"{arguments}: {process.stdout}{process.stderr}")
            expect(f"\nUsage of {arguments[0]}:\n" in process.stderr, f"{arguments}: {process.stderr}")
        for arguments, text in work.items():
            process = tool.answer(*arguments, code=1)
            expect(process.stdout == "" and text in process.stderr and process.stderr.count("\n") == 1, f"{arguments}: {process.stdout}{process.stderr}")
        expect("; " in tool.answer("validate_script", "-script_file=bad.yaml", code=1).stderr, "several problems of a script")
        for command in ("bogus", "get_script_diagram", "start-run", "", "-x"):
            process = tool.answer(command, code=2)
            expect(process.stdout == "" and process.stderr.startswith(f"invalid command: {command}\n"), process.stderr)
        expect(not (tool.folder / "data").exists(), "wrong use left a keyspace")


def test_wrong_use_of_new_names(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        for arguments, text in {
                ("start", "s.yaml"): "--start-nodes is required", ("start", "s.yaml", "--start-nodes", ","): "names no node",
                ("start", "s.yaml", "--start-nodes", "raed"): "node(s) raed missing from s.yaml", ("start", "none.yaml", "--start-nodes", "read"): "none.yaml",
                ("start", "s.yaml", "--start-nodes", "read", "--output", "xml"): "xml", ("start", "s.yaml", "--start-nodes", "read", "--set", "x"): "name=value",
                ("start", "s.yaml", "--start-nodes", "read", "--keyspace", "system_k"): "keyspace name", ("exec-node", "s.yaml"): "node is required",
                ("exec-node", "s.yaml", "raed"): "did you mean read?", ("exec-node", "s.yaml", "read", "--run", "0"): "--run",
                ("get-table-cql", "s.yaml", "--run", "-1"): "--run", ("get-table-cql", "s.yaml", "--keyspace", "k-1"): "keyspace name",
                ("get-table-cql", "s.yaml", "--start-nodes", "raed"): "raed", ("check", "--output", "xml"): "xml", ("check", "db"): "db"}.items():
            process = tool.new(*arguments, code=2)
            expect(process.stdout == "" and text in process.stderr, f"{arguments}: {process.stdout}{process.stderr}")
        expect(not (tool.folder / "data").exists(), "wrong use left a keyspace")


def test_a_configured_cluster_is_not_ignored(world):
    """Neither a run nor an answer must come from somewhere else than the settings say."""
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        cluster = {"CAPI_CASSANDRA_HOSTS": "127.0.0.1", "CAPI_CASSANDRA_PORT": str(port), "CAPI_AMQP_URL": f"amqp://127.0.0.1:{port}/"}
        old = ["-keyspace=k", "-script_file=s.yaml"]
        for arguments in (["start_run", *old, "-start_nodes=read"], ["exec_node", *old, "-node_id=read"], ["stop_run", "-keyspace=k", "-run_id=1"],
                          ["drop_keyspace", "-keyspace=k"], ["get_run_history", "-keyspace=k"]):
            process = tool.answer(*arguments, code=1, environment=cluster)
            expect("Cassandra" in process.stderr and process.stdout == "", process.stderr)
        for arguments in (["start", "s.yaml", "--start-nodes", "read"], ["exec-node", "s.yaml", "read"]):
            expect("Cassandra" in tool.new(*arguments, code=1, environment=cluster).stderr, str(arguments))
        expect(not (tool.folder / "data").exists(), "a keyspace was made")


def test_keyspace_in_use(world):
    with tempfile.TemporaryDirectory() as temp:
        tool = Small(world, temp)
        tool.start_run()
        with open(tool.folder / "data/k/lock", "r+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            for arguments in (["start_run", "-keyspace=k", "-script_file=s.yaml", "-start_nodes=read"], ["drop_keyspace", "-keyspace=k"]):
                process = tool.answer(*arguments, code=1)
                expect(process.stdout == "" and process.stderr.count("\n") == 1, process.stderr)
            tool.answer("get_run_history", "-keyspace=k")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--capi", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp:
        transcripts, counts = transcript_tests(Tool(options.capi, temp))
        own = {name: test for name, test in globals().items() if name.startswith("test_")}
        code = run_tests({**own, **transcripts}, World(options.capi, False), options.only)
        print(f"   toolbelt transcripts: {counts['passed']} passed, {counts['deviations']} deviations")
    return code


if __name__ == "__main__":
    sys.exit(main())
