"""Runs on real Cassandra and RabbitMQ servers with several daemons: parity with the embedded engine, and faults. Prints "N passed, N failed,
N skipped".

  cluster_test.py --capi BINARY [--full] [--only TEXT]
"""

import argparse
import functools
import http.server
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import integration_test
import parquet_test
import python_test
from cluster_support import LEASE_MS, CassandraCluster, Cluster, ClusterWorld, Daemons, channel, wait_until, wait_until_stopped
from integration_support import ROOT, SHARED_DEMOS, Failure, Skipped, World, expect, statuses

PARITY = [integration_test.test_parity_lookup_single_run, integration_test.test_parity_lookup_two_runs,
          integration_test.test_parity_tag_single_run, integration_test.test_parity_tag_two_runs, integration_test.test_new_script_demo,
          parquet_test.test_parity_lookup_big_single_run, parquet_test.test_parity_lookup_big_two_runs,
          parquet_test.test_parity_proto_file_reader_creator, python_test.test_parity_py_calc_json, python_test.test_parity_py_calc_yaml]
ROWS_LAYOUT = {"CAPI_CASSANDRA_TABLE_LAYOUT": "rows"}


# ---- Parity with the original's demos

def run_parity(world, daemons, environment):
    if not SHARED_DEMOS.exists():
        raise Skipped("the original's demos are not beside this checkout")
    with Daemons(world.cluster, world.capi, daemons, environment={**python_test.PYTHON, **environment}):
        for test in PARITY:
            try:
                test(world)
            except Failure as failure:
                raise Failure(f"{test.__name__}: {failure}") from failure


def test_parity(world):
    for daemons in (1, 3) if world.full else (1,):
        run_parity(world, daemons, {})


def test_parity_with_rows(world):
    for daemons in (3, 1) if world.full else (3,):
        run_parity(world, daemons, ROWS_LAYOUT)


# ---- The lookup pipeline on generated data

class Lookup:
    """The pipeline, and what the embedded engine makes of it."""

    def __init__(self, world, temp, orders=3000, batches=20):
        self.world = world
        self.temp = temp
        self.folder, self.arguments = integration_test.lookup_world(temp, orders)
        self.arguments = [*self.arguments, "--set", f"batches={batches}"]
        process, summary = World(world.capi, False).run(ROOT / "bench/lookup.yaml", temp, f"{temp}/embedded", *self.arguments)
        expect(process.returncode == 0, process.stderr)
        self.expected = integration_test.outputs_of(self.folder / "out")
        self.counts = {node["name"]: node["rows"]["out"] for node in summary["nodes"]}
        self.clear()

    def clear(self):
        for path in (self.folder / "out").iterdir():
            path.unlink()

    def start(self, keyspace, *arguments):
        """Begins a run; its id."""
        process = self.world.capi_on_cluster("start", str(ROOT / "bench/lookup.yaml"), *self.arguments, "--keyspace", keyspace,
                                             "--start-nodes", "read_orders,read_items", *arguments)
        expect(process.returncode == 0, process.stderr)
        return int(process.stdout)

    def follow(self, keyspace, timeout=300):
        """Waits for the end of the newest run; process and summary."""
        self.world._names[keyspace] = keyspace
        return self.world.run(ROOT / "bench/lookup.yaml", self.temp, keyspace, *self.arguments, "--start-nodes", "read_orders,read_items",
                              timeout=timeout)

    def keyspace(self):
        name = f"lookup_{os.urandom(8).hex()}"
        self.world._names[name] = name
        return name

    def check(self, process, summary):
        expect(process.returncode == 0, f"exit code {process.returncode}: {process.stderr}\n{process.stdout[-2000:]}")
        expect(set(statuses(summary).values()) == {"success"}, statuses(summary))
        found = {node["name"]: node["rows"]["out"] for node in summary["nodes"]}
        expect(found == self.counts, f"rows {found}, expected {self.counts}")
        outputs = integration_test.outputs_of(self.folder / "out")
        expect(outputs.keys() == self.expected.keys(), f"files {sorted(outputs)}, expected {sorted(self.expected)}")
        for name, content in self.expected.items():
            expect(outputs[name] == content, f"{name} differs")
        self.clear()


def test_same_bytes_with_any_number_of_daemons(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        for daemons, threads in ((1, 2), (3, 1)):
            with Daemons(world.cluster, world.capi, daemons, threads):
                lookup.check(*lookup.follow(lookup.keyspace()))


def test_several_runs_at_once(world):
    with tempfile.TemporaryDirectory() as temp:
        folders = [pathlib.Path(temp) / str(i) for i in range(3)]
        for folder in folders:
            folder.mkdir()
        lookups = [Lookup(world, str(folder), 1000, 8) for folder in folders]
        with Daemons(world.cluster, world.capi, 2):
            # Two of them in one keyspace.
            first, second = lookups[0].keyspace(), lookups[1].keyspace()
            keyspaces = [first, second, second]
            runs = [lookup.start(keyspace) for lookup, keyspace in zip(lookups, keyspaces)]
            expect(runs == [1, 1, 2], f"run ids {runs}")
            for lookup, keyspace in zip(lookups, keyspaces):
                wait_until_ended(world, keyspace)
                expect(integration_test.outputs_of(lookup.folder / "out") == lookup.expected, f"outputs of {keyspace} differ")


def history(world, keyspace):
    process = world.capi_on_cluster("history", keyspace, "--output", "json")
    expect(process.returncode == 0, process.stderr)
    return json.loads(process.stdout)


def wait_until_ended(world, keyspace, seconds=240):
    wait_until(lambda: all(run["status"] in ("complete", "stop") for run in history(world, keyspace)), seconds, f"the end of runs in {keyspace}")


# ---- Faults

def test_killed_daemons(world):
    """kill -9 at random moments; another daemon takes over, a new one comes."""
    random.seed(4)
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        kills = 0
        with Daemons(world.cluster, world.capi, 2) as daemons:
            while kills < (100 if world.full else 4):
                keyspace = lookup.keyspace()
                lookup.start(keyspace)
                for _ in range(2):
                    time.sleep(random.uniform(0.1, 2.5))
                    random.choice(daemons.alive()).kill()
                    kills += 1
                    daemons.add()
                lookup.check(*lookup.follow(keyspace))
        print(f"   survived {kills} kills")


def test_stopped_past_the_lease(world):
    """SIGSTOP until others have taken over, then SIGCONT: the late daemon is fenced and goes on as a new owner."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 2) as daemons:
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1)
            daemons.daemons[0].send(signal.SIGSTOP)
            time.sleep(3 * LEASE_MS / 1000)
            daemons.daemons[0].send(signal.SIGCONT)
            lookup.check(*lookup.follow(keyspace))
            lookup.check(*lookup.follow(lookup.keyspace()))
            wait_until(lambda: "taken for dead" in daemons.daemons[0].text(), 30, "the stopped daemon to notice")


def test_drained_daemon(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 2) as daemons:
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1)
            begun = time.monotonic()
            code = daemons.daemons[0].drain()
            expect(code == 0 and time.monotonic() - begun < 32, f"exit code {code} after {time.monotonic() - begun:.0f} s")
            lookup.check(*lookup.follow(keyspace))


def test_broker_restarted(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 2):
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1)
            world.cluster.rabbitmq.kill()
            time.sleep(2)
            world.cluster.rabbitmq.start()
            lookup.check(*lookup.follow(keyspace))
            # And while it is away, a run is started and executed.
            world.cluster.rabbitmq.kill()
            try:
                keyspace = lookup.keyspace()
                lookup.start(keyspace)
                lookup.check(*lookup.follow(keyspace))
            finally:
                world.cluster.rabbitmq.start()


def test_queue_purged_and_deleted(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 2):
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            for _ in range(3):
                time.sleep(0.4)
                world.cluster.rabbitmq.ctl("purge_queue", "capi.batches")
            lookup.check(*lookup.follow(keyspace))
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(0.5)
            world.cluster.rabbitmq.ctl("delete_queue", "capi.batches")
            lookup.check(*lookup.follow(keyspace))


QUEUE = "capi.batches"
WRITE_TIMEOUT_MS = 20


def test_messages_doubled_reordered_and_garbage(world):
    """Whatever is in the queue, each batch is executed once: all daemons are told about all batches again and again."""
    random.seed(7)
    garbage = [b"", b"{", b"\xff" * 100, b'{"v":1,"ks":"no such keyspace","run":1,"node":0,"begin":0,"end":1}', b"[" * 5000,
               b'{"v":1,"ks":"no_such_keyspace","run":1,"node":0,"begin":0,"end":1}', b'{"v":9}']
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 3), channel(world.cluster) as broker:
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            for _ in range(20):
                messages = [json.dumps({"v": 1, "ks": keyspace, "run": run, "node": node, "begin": begin, "end": begin + size}).encode()
                            for run in (1, 2) for node in range(10) for begin in (-1, 0, 7, 15, 1000000) for size in (1, 5)]
                messages += garbage
                random.shuffle(messages)
                for body in messages:
                    broker.basic_publish("", QUEUE, body)
                time.sleep(0.05)
            lookup.check(*lookup.follow(keyspace))
            batches = json.loads(world.capi_on_cluster("history", keyspace, "--run", "1", "--node", "items_inner", "--output", "json").stdout)
            expect([batch["status"] for batch in batches] == ["success"] * 20, batches)


def test_clocks_that_are_wrong(world):
    """No decision depends on the time of a daemon: minutes of difference in both directions."""
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 1) as daemons:
            for skew in ("-7m", "+11m"):
                daemons.add({"LD_PRELOAD": library, "FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                             "NO_FAKE_STAT": "1"})  # files have the times of the server that keeps them
            for _ in range(2):
                lookup.check(*lookup.follow(lookup.keyspace()))
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1)
            daemons.daemons[1].kill()
            lookup.check(*lookup.follow(keyspace))


def test_write_timeouts(world):
    """A server that gives up writes, also conditional ones, after a few milliseconds: outcomes are unknown again and again."""
    with Cluster(write_timeout_ms=WRITE_TIMEOUT_MS) as cluster, tempfile.TemporaryDirectory() as temp:
        slow = ClusterWorld(world.capi, world.full, cluster)
        lookup = Lookup(slow, temp, 3000)
        node = cluster.cassandra.nodes[0]
        with Daemons(cluster, world.capi, 2):
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            for _ in range(10):
                # Longer than the time-out: what is under way ends with it.
                node.pause()
                time.sleep(0.15)
                node.resume()
                time.sleep(0.2)
            lookup.check(*lookup.follow(keyspace))


def test_cassandra_killed_and_restarted(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        node = world.cluster.cassandra.nodes[0]
        with Daemons(world.cluster, world.capi, 2):
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1.5)
            node.kill()
            node.restart()
            lookup.check(*lookup.follow(keyspace))


def test_cassandra_paused(world):
    """For longer than the lease."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        node = world.cluster.cassandra.nodes[0]
        with Daemons(world.cluster, world.capi, 2):
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1)
            node.pause()
            time.sleep(30 if world.full else 8)
            node.resume()
            lookup.check(*lookup.follow(keyspace))


def test_starters_killed_between_their_steps(world):
    """A run is there and is executed, or is not there at all."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 1000, 4)
        with Daemons(world.cluster, world.capi, 1):
            process = world.call(["start", str(ROOT / "bench/lookup.yaml"), *lookup.arguments, "--keyspace", lookup.keyspace(), "--start-nodes",
                                  "read_orders,read_items"], temp, None,
                                 environment={**world.cluster.environment(), "CAPI_FAULT": "service.after_create_run:kill"})
            expect(process.returncode not in (0, 1, 2), f"the fault did not happen: {process.returncode} {process.stderr}")
            keyspace = list(world._names)[-1]
            lookup.check(*lookup.follow(keyspace))


def test_two_starts_in_a_new_keyspace(world):
    """Both make keyspace and tables at the same time; both runs end."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 1000, 4)
        keyspace = lookup.keyspace()
        command = [world.capi, "start", str(ROOT / "bench/lookup.yaml"), *lookup.arguments, "--keyspace", keyspace, "--start-nodes",
                   "read_orders,read_items"]
        with Daemons(world.cluster, world.capi, 2):
            starters = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=temp,
                                         env={**os.environ, **world.cluster.environment()}) for _ in range(2)]
            texts = [starter.communicate(timeout=120) for starter in starters]
            expect([starter.returncode for starter in starters] == [0, 0], texts)
            expect(sorted(int(out) for out, _ in texts) == [1, 2], texts)
            wait_until_ended(world, keyspace)
            expect(integration_test.outputs_of(lookup.folder / "out") == lookup.expected, "outputs differ")


UNIQUE_SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: ["{folder}/a.csv", "{folder}/b.csv"]
      csv: {{hdr_line_idx: 0, first_data_line_idx: 1}}
      columns:
        name: {{csv: {{col_hdr: name}}, col_type: string}}
    w:
      name: t
      fields:
        name: {{expression: r.name, type: string}}
      indexes: {{idx_to_check_uniq: unique(name)}}
dependency_policies:
  p:
    is_default: true
    rules:
      - {{cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}}
      - {{cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}}
"""


def test_unique_violation_with_quotes(world):
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "a.csv").write_text('name\n"it\'s ""x"""\nplain\n')
        (folder / "b.csv").write_text('name\nother\n"it\'s ""x"""\n')
        (folder / "s.yaml").write_text(UNIQUE_SCRIPT.format(folder=folder))
        with Daemons(world.cluster, world.capi, 2):
            process, summary = world.run("s.yaml", temp, temp + "/unique")
            expect(process.returncode == 1 and statuses(summary) == {"read": "fail"}, f"{process.returncode} {process.stderr}")
            text = summary["nodes"][0]["error"]["text"]
            expect("two rows with one key" in text and "it's \"x\"" in text, text)


def test_stop(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 2):
            keyspace = lookup.keyspace()
            lookup.start(keyspace)
            time.sleep(1)
            expect(world.capi_on_cluster("stop", keyspace).returncode == 0, "stop failed")
            wait_until(lambda: history(world, keyspace)[0]["status"] == "stop", 30, "the stop")
            nodes = json.loads(world.capi_on_cluster("history", keyspace, "--run", "1", "--output", "json").stdout)
            wait_until(lambda: all(node["status"] in ("success", "fail", "stopreceived") for node in json.loads(
                world.capi_on_cluster("history", keyspace, "--run", "1", "--output", "json").stdout)), 30, f"all nodes to end: {nodes}")


def test_commands(world):
    """Looking at what is there, from another process, while no daemon works."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 1000, 4)
        keyspace = lookup.keyspace()
        with Daemons(world.cluster, world.capi, 1):
            lookup.check(*lookup.follow(keyspace))
        expect("OK" in world.capi_on_cluster("check").stdout, "check")
        expect(keyspace in world.capi_on_cluster("status").stdout, "status")
        tables = world.capi_on_cluster("tables", keyspace)
        expect(tables.returncode == 0 and "orders" in tables.stdout, tables.stdout + tables.stderr)
        preview = world.capi_on_cluster("preview", keyspace, "orders", "--limit", "3")
        expect(preview.returncode == 0 and len(preview.stdout.splitlines()) >= 4, preview.stdout + preview.stderr)
        expect(world.capi_on_cluster("drop", keyspace).returncode == 0, "drop")
        expect(world.capi_on_cluster("history", keyspace).returncode == 2, "a dropped keyspace has a history")


def test_wrong_settings_of_a_daemon(world):
    for environment, text in (({"CAPI_CASSANDRA_HOSTS": ""}, "cassandra.hosts"), ({"CAPI_CASSANDRA_TABLE_LAYOUT": "lines"}, "table_layout"),
                              ({"CAPI_AMQP_URL": ""}, "no queue for it"), ({"CAPI_AMQP_URL": "http://x"}, "amqp")):
        process = world.call(["daemon"], None, None, environment={**world.cluster.environment(), **environment}, timeout=60)
        expect(process.returncode == 2 and text in process.stderr, f"{environment}: {process.returncode} {process.stderr}")


# ---- The documentation

def fenced(text, kind):
    """The contents of the blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Steps:
    """docs/cluster.md with the addresses, ports and folders of real servers. What is replaced must be there."""

    def __init__(self, replaced):
        self.text = (ROOT / "docs/cluster.md").read_text()
        for old, new in replaced.items():
            expect(old in self.text, f"docs/cluster.md does not have {old}")
            self.text = self.text.replace(old, str(new))
        self.set_up = self.text[:self.text.index("## Commands")]
        self.commands = self.text[self.text.index("## Commands"):self.text.index("## Daemons")]


def test_docs_are_followed(world):
    """Set-up with passwords, rights and TLS, a daemon, a run and the commands, as docs/cluster.md says."""
    with tempfile.TemporaryDirectory() as temp, CassandraCluster(authentication=True, tls=True, heap_mb=512) as cassandra:
        folder = pathlib.Path(temp)
        for name in ("etc", "bin", "shared"):
            (folder / name).mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            metrics_port = free.getsockname()[1]
        rabbitmq = world.cluster.rabbitmq.environment()
        broker_port = rabbitmq["CAPI_TEST_RABBITMQ_TLS"].rstrip("/").rsplit(":", 1)[1]
        steps = Steps({'"cassandra1.example.com", "cassandra2.example.com"': '"localhost"', '"port": 9042': f'"port": {cassandra.port}',
                       "'datacenter1': 3": "'datacenter1': 1", "rabbitmq.example.com:5671": f"localhost:{broker_port}",
                       "/etc/capillaries": folder / "etc", "/var/lib/capillaries": folder / "data", "/mnt/shared": folder / "shared",
                       "9201": metrics_port})
        roots = [cassandra.certificates.ca, pathlib.Path(rabbitmq["CAPI_TEST_RABBITMQ_CERTIFICATES"]) / "ca.pem"]
        (folder / "etc/ca.pem").write_text("".join(path.read_text() for path in roots))
        (folder / "etc/cassandra-password").write_text("secret1\n")
        settings, = fenced(steps.set_up, "json")
        (folder / "etc/capi.json").write_text(settings)
        statements, = fenced(steps.set_up, "cql")
        with cassandra.nodes[0].client() as client:
            for statement in filter(str.strip, statements.split(";")):
                client.rows(statement)
        control = folder / "bin/rabbitmqctl"
        control.write_text(f'#!/bin/sh\nexec {rabbitmq["CAPI_TEST_RABBITMQ_CONTROL"]} ctl "$@"\n')
        control.chmod(0o755)
        os.symlink(world.capi, folder / "bin/capi")

        lines = "".join([*fenced(steps.set_up, "sh"), *fenced(steps.commands, "sh")])
        script = f"set -e\ntrap 'kill $(jobs -p); wait' EXIT\n{lines}"
        process = subprocess.run(["bash", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240,
                                 env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "CAPI_DAEMON_LEASE_TIME": str(LEASE_MS)})
        expect(process.returncode == 0, f"{process.returncode}\n{process.stdout}\n{process.stderr}")
        for text in ("database  OK", "queue     OK", "ready", "Ada Lund,2,259.90", "stopped run 2", "dropped keyspace sales"):
            expect(text in process.stdout, f"{text!r} is not in:\n{process.stdout}\n{process.stderr}")
        world.cluster.rabbitmq.ctl("delete_vhost", "capillaries")


# ---- Monitoring

class Endpoint:
    """What a daemon tells about itself."""

    def __init__(self, daemons, environment=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.daemon = daemons.add({"CAPI_PROMETHEUS_EXPORTER_PORT": str(self.port), **(environment or {})})

    def get(self, path):
        """Code and text; code 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def await_code(self, path, code, seconds=60):
        wait_until(lambda: self.get(path)[0] == code, seconds, f"{code} from {path}")

    def metrics(self):
        """Name with labels -> value."""
        code, text = self.get("/metrics")
        expect(code == 200, f"/metrics: {code}")
        samples = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in samples}


def test_metrics_and_health(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 5000)
        with Daemons(world.cluster, world.capi, 0) as daemons:
            endpoints = [Endpoint(daemons) for _ in range(2)]
            for endpoint in endpoints:
                endpoint.await_code("/ready", 200)
                endpoint.await_code("/health", 200)
            keyspace = lookup.keyspace()
            lookup.check(*lookup.follow(keyspace))
            check_metrics(world, keyspace, [endpoint.metrics() for endpoint in endpoints])
            for endpoint in endpoints:  # the keyspace is kept for the next run
                wait_until(lambda: endpoint.metrics()["capi_lease_renewals_total"] > 0, 20, "a renewal")
            check_outage(world, lookup, endpoints)


SORT_SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: ["{folder}/in.csv"]
      csv: {{hdr_line_idx: 0, first_data_line_idx: 1}}
      columns:
        name: {{csv: {{col_hdr: name}}, col_type: string}}
    w:
      name: t
      fields:
        name: {{expression: r.name, type: string}}
  write:
    type: table_file
    r: {{table: t}}
    w:
      url_template: "{folder}/out.csv"
      top: {{order: name}}
      columns:
        - {{name: name, type: string, expression: r.name, csv: {{header: name, format: "%s"}}}}
dependency_policies:
  p:
    is_default: true
    rules:
      - {{cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}}
      - {{cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}}
"""


def test_two_daemons_forced_on_one_batch(world):
    """A daemon that renews its lease too seldom stands in the middle of its work; another one takes it for dead and does the same work as far
    as that. Then the first one goes on to its commit, while the other one is still at it. Of a batch of a table, a finish task and a batch of
    a file."""
    batches, finishes = 'capi_batches_total{outcome="%s"}', 'capi_node_finish_duration_seconds_count{result="%s"}'
    places = (("store.before_finish", batches), ("workflow.after_freeze", finishes), ("workflow.after_plan_file", batches))
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "in.csv").write_text("name\n" + "".join(f"{i * 7919 % 100000:05}\n" for i in range(100000)))
        (folder / "s.yaml").write_text(SORT_SCRIPT.format(folder=folder))
        process, _ = World(world.capi, False).run("s.yaml", temp, f"{temp}/embedded")
        expect(process.returncode == 0, process.stderr)
        out = folder / "out.csv"
        expected = out.read_bytes()
        for place, metric in places:
            out.unlink()
            stop = {"CAPI_FAULT": f"{place}:stop"}
            with Daemons(world.cluster, world.capi, 0) as daemons:
                keyspace = world.keyspace_of(f"{temp}/{place}")
                process = world.capi_on_cluster("start", f"{temp}/s.yaml", "--keyspace", keyspace, "--start-nodes", "read")
                expect(process.returncode == 0, process.stderr)
                endpoints = []
                for environment in ({"CAPI_DAEMON_LEASE_TIME": "120000", **stop}, stop):
                    endpoints.append(Endpoint(daemons, environment))
                    wait_until_stopped(endpoints[-1].daemon.process, 60, f"a daemon in {place}")
                slow, fast = endpoints
                slow.daemon.send(signal.SIGCONT)
                wait_until(lambda: slow.metrics().get(metric % "fenced") == 1, 30, f"the refusal in {place}")
                expect(not out.exists(), f"{place}: the file is there before the batch has ended")
                fast.daemon.send(signal.SIGCONT)
                wait_until_ended(world, keyspace, 60)
                expect(out.read_bytes() == expected, f"{place}: out.csv differs")
                expect(fast.metrics()[metric % "success"] >= 1 and fast.metrics().get(metric % "fenced", 0) == 0, f"{place}: {fast.metrics()}")
                both = sum(endpoint.metrics()[batches % "success"] for endpoint in endpoints)
                expect(both == 2, f"{place}: {both} batches")
                # Nothing of the work that was refused is left.
                wait_until(lambda: sorted(path.name for path in folder.iterdir()) == ["embedded", "in.csv", "out.csv", "s.yaml"], 30,
                           f"temporary files to go: {list(folder.iterdir())}")


def check_metrics(world, keyspace, metrics):
    """Counters agree with the history of the only run."""
    def look(*arguments):
        return json.loads(world.capi_on_cluster("history", keyspace, "--run", "1", *arguments, "--output", "json").stdout)

    def total(name):
        return sum(each.get(name, 0) for each in metrics)

    batches = [batch for node in look() for batch in look("--node", node["node"])]
    batches = [batch for batch in batches if batch["batch"] >= 0]  # without finish tasks
    expect(total('capi_batches_total{outcome="success"}') == len(batches), f"{len(batches)} batches, {metrics}")
    for outcome in ("fail", "stopped", "fenced"):
        expect(total(f'capi_batches_total{{outcome="{outcome}"}}') == 0, f"{outcome}: {metrics}")
    counted = sum(value for each in metrics for name, value in each.items() if name.startswith("capi_batch_duration_seconds_count{"))
    begun = total('capi_batches_total{outcome="success"}') + total('capi_batches_total{outcome="retried"}')
    expect(begun <= counted <= begun + total('capi_batches_total{outcome="released"}'), f"{counted} durations: {metrics}")
    for name, column in (("capi_rows_read_total", "rows_in"), ("capi_rows_written_total", "rows_out")):
        rows = sum(batch[column] for batch in batches)
        expect(rows > 0 and total(name) == rows, f"{name} is {total(name)}, history: {rows}")
    def sums(each, name):
        return sum(value for key, value in each.items() if key.startswith(name + "{"))

    for each in metrics:
        requests = sums(each, "capi_db_request_seconds_count")
        expect(each["capi_db_requests_total"] - 100 <= requests <= each["capi_db_requests_total"], f"{requests} requests: {each}")
        for kind in ("read", "write", "conditional", "prepare"):
            expect(each[f'capi_db_request_seconds_sum{{kind="{kind}"}}'] > 0, f"{kind}: {each}")
        expect(each["process_resident_memory_bytes"] > 1e7 and each["process_virtual_memory_bytes"] > each["process_resident_memory_bytes"], each)
        expect(each["process_cpu_seconds_total"] > 0 and time.time() - 600 < each["process_start_time_seconds"] < time.time() + 2, each)
        expect(3 < each["process_open_fds"] < each["process_max_fds"], each)
        expect(each["capi_pycalc_seconds_count"] == 0 and each["capi_http_config_file_get_duration_count"] == 0, each)
        expect(each["capi_daemon_node_dep_none_count"] == 0, each)
        expect(each["capi_active_batches"] == 0 and each["capi_broker_connected"] == 1, each)
        expect(each["capi_db_requests_total"] > 0 and each["capi_db_errors_total"] == 0 and each["capi_db_request_window"] > 0, each)
    for name in ('capi_bytes_written_total{to="table"}', 'capi_bytes_written_total{to="file"}', "capi_daemon_msg_received_count",
                 "capi_daemon_msg_published_count", "capi_daemon_msg_ack_count", "capi_table_cache_bytes", "capi_table_cache_hits_total",
                 "capi_daemon_node_dep_go_count", 'capi_node_finish_duration_seconds_count{result="success"}'):
        expect(total(name) > 0, f"{name}: {metrics}")


def check_outage(world, lookup, endpoints):
    """Cassandra is away for longer than the lease, and one of the daemons is told to end meanwhile."""
    node = world.cluster.cassandra.nodes[0]
    keyspace = lookup.keyspace()
    lookup.start(keyspace)
    wait_until(lambda: any(run["batches_in_hand"] > 0 for endpoint in endpoints for worker in json.loads(endpoint.get("/status")[1])["keyspaces"]
                           if worker["name"] == keyspace for run in worker["runs"]), 60, "batches in hand")
    node.pause()
    try:
        paused = time.monotonic()
        for endpoint in endpoints:
            endpoint.await_code("/health", 503)
        expect(time.monotonic() - paused >= 0.5 * LEASE_MS / 1000, "not healthy long before the lease has passed")
        expect(endpoints[0].get("/ready")[0] == 200, "an outage is no draining")
        endpoints[0].daemon.send(signal.SIGTERM)
        endpoints[0].await_code("/ready", 503)
        expect(endpoints[0].get("/ready")[1] == "draining\n" and endpoints[1].get("/ready")[0] == 200, "draining")
        expect(endpoints[0].metrics()["capi_draining"] == 1, "capi_draining")
    finally:
        node.resume()
    endpoints[1].await_code("/health", 200)
    expect(endpoints[0].daemon.process.wait(timeout=90) == 0, "the drained daemon")
    lookup.check(*lookup.follow(keyspace))


# ---- One node, executed by the command itself

class ExecNode:
    """capi exec-node with a node of the lookup pipeline, without a broker unless told, and with caches of its own."""

    def __init__(self, lookup, keyspace, node, *arguments, environment=None, program=None):
        self.lookup = lookup
        self.data = pathlib.Path(lookup.temp) / f"data{os.urandom(4).hex()}"
        command = program or ["exec-node", str(ROOT / "bench/lookup.yaml"), node, *lookup.arguments, "--keyspace", keyspace, "--output", "json"]
        self.process = subprocess.Popen([lookup.world.capi, *command, *arguments], cwd=lookup.temp, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env={**os.environ, **lookup.world.cluster.environment(), "CAPI_AMQP_URL": "",
                                                        "CAPI_DATA_DIR": str(self.data), **(environment or {})})

    def await_stop(self):
        wait_until_stopped(self.process, 60, "exec-node in a fault point")

    def send(self, number):
        self.process.send_signal(number)

    def end(self, code=0):
        """What it printed and said; no caches of it are left."""
        out, self.stderr = self.process.communicate(timeout=120)
        expect(self.process.returncode == code, f"exit code {self.process.returncode}, expected {code}: {self.stderr}\n{out}")
        left = list(self.data.glob(".cluster/*"))
        expect(not left, f"caches are left: {left}")
        return out

    def node(self, code=0, status="success"):
        """Its only node."""
        rows = json.loads(self.end(code))
        expect([row["status"] for row in rows] == [status], f"{rows}\n{self.stderr}")
        return rows[0]

    def check(self):
        """It has done its work."""
        node = self.node()
        expect(node["rows_out"] == self.lookup.counts[node["node"]], f"{node}, expected {self.lookup.counts}")
        return node


LONG_LEASE = {"CAPI_DAEMON_LEASE_TIME": "100000"}


def end_of_lookup(lookup, keyspace, nodes):
    for node in nodes:
        ExecNode(lookup, keyspace, node).check()
    outputs = integration_test.outputs_of(lookup.folder / "out")
    expect(outputs == lookup.expected, f"files {sorted(outputs)} differ, or are not {sorted(lookup.expected)}")
    lookup.clear()


def test_exec_node_without_daemons(world):
    """Node by node, with no broker or one that does not answer; never longer than a part of the lease."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        nodes = list(lookup.counts)
        keyspace = lookup.keyspace()
        begun = time.monotonic()
        for number, node in enumerate(nodes, 1):
            unreachable = {"CAPI_AMQP_URL": "amqp://127.0.0.1:1/"} if number % 2 else {}
            command = ExecNode(lookup, keyspace, node, "--threads", "2", "--memory-limit", "1GiB", environment={**LONG_LEASE, **unreachable})
            expect(command.check()["run"] == number, "run id")
            expect("on the cluster" in command.stderr and f"run {number}, 2 threads, memory limit 1.1 GB" in command.stderr, command.stderr)
        seconds = time.monotonic() - begun
        expect(seconds < 60, f"{seconds:.0f} s for {len(nodes)} nodes")
        print(f"   {seconds / len(nodes):.2f} s a node")
        end_of_lookup(lookup, keyspace, [])
        expect([(run["run"], run["status"]) for run in history(world, keyspace)] == [(i, "complete") for i in range(1, len(nodes) + 1)], "runs")

        # The old name of the command.
        keyspace = lookup.keyspace()
        (lookup.folder / "params.yaml").write_text(f"dir_in: {temp}/in\ndir_out: {temp}/out\nbatches: 3\n")
        for number, node in enumerate(nodes, 1):
            old = ["exec_node", f"-keyspace={keyspace}", f"-script_file={ROOT}/bench/lookup.yaml", "-params_file=params.yaml", f"-node_id={node}"]
            out = ExecNode(lookup, keyspace, node, program=old).end()
            expect(re.fullmatch(rf"run {number}, elapsed \S+\n", out), out)
        end_of_lookup(lookup, keyspace, [])


def test_exec_node_twice_on_one_run(world):
    """Each of both commands executes batches of the run; each batch succeeds once."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, batches=300)
        nodes = list(lookup.counts)
        keyspace = lookup.keyspace()
        for node in nodes[:2]:
            ExecNode(lookup, keyspace, node).check()
        arguments = ["--threads", "1"]
        first = ExecNode(lookup, keyspace, nodes[2], *arguments, environment={"CAPI_FAULT": "workflow.after_commit:stop", **LONG_LEASE})
        first.await_stop()
        second = ExecNode(lookup, keyspace, nodes[2], "--run", "3", *arguments, environment={"CAPI_FAULT": "workflow.after_commit:stop", **LONG_LEASE})
        second.await_stop()
        second.send(signal.SIGCONT)
        first.send(signal.SIGCONT)
        expect(first.check()["run"] == second.check()["run"] == 3, "run id")
        expect("run 3 (resumed, " in second.stderr, second.stderr)
        batches = json.loads(world.capi_on_cluster("history", keyspace, "--run", "3", "--node", nodes[2], "--output", "json").stdout)
        expect([batch["status"] for batch in batches if batch["batch"] >= 0] == ["success"] * 300, batches)
        end_of_lookup(lookup, keyspace, nodes[3:])


def test_exec_node_killed(world):
    """kill -9 in the middle; the command repeated, or a daemon that comes, does the rest."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        nodes = list(lookup.counts)
        for by_daemon in (False, True):
            keyspace = lookup.keyspace()
            for number, node in enumerate(nodes[:3], 1):
                command = ExecNode(lookup, keyspace, node, environment={"CAPI_FAULT": "workflow.after_batch:stop:" + ("5" if number == 3 else "1")})
                command.await_stop()
                command.send(signal.SIGKILL)
                command.process.communicate()
                expect(history(world, keyspace)[-1]["status"] == "start", "the run ended with the command")
                if by_daemon:
                    with Daemons(world.cluster, world.capi, 1):
                        wait_until_ended(world, keyspace, 60)
                else:
                    again = ExecNode(lookup, keyspace, node, "--run", str(number))
                    again.check()
                    expect(f"run {number} (resumed, " in again.stderr, again.stderr)
                expect([run["status"] for run in history(world, keyspace)] == ["complete"] * number, "runs")
            end_of_lookup(lookup, keyspace, nodes[3:])


def test_exec_node_interrupted(world):
    """Ctrl-C leaves an unfinished run, with nothing that somebody would have to wait for."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        nodes = list(lookup.counts)
        keyspace = lookup.keyspace()
        for node in nodes[:2]:
            ExecNode(lookup, keyspace, node).check()
        many = ["--set", "batches=1000", "--threads", "1"]  # not done before the signal is noticed
        command = ExecNode(lookup, keyspace, nodes[2], *many, environment={"CAPI_FAULT": "workflow.after_commit:stop:3", **LONG_LEASE})
        command.await_stop()
        command.send(signal.SIGINT)
        command.send(signal.SIGCONT)
        command.node(130, "start")
        expect("run 3 was interrupted: interrupted by Ctrl-C" in command.stderr, command.stderr)
        expect(history(world, keyspace)[-1]["status"] == "interrupted", "a process still works in the keyspace, or the run has ended")
        begun = time.monotonic()
        command = ExecNode(lookup, keyspace, nodes[2], *many, "--run", "3", environment=LONG_LEASE)
        command.check()
        kept = re.search(r"run 3 \(resumed, (\d+) committed batches kept\)", command.stderr)
        expect(kept and int(kept[1]) >= 3, command.stderr)
        expect(time.monotonic() - begun < 30, "the repeated command waited for a lease")
        end_of_lookup(lookup, keyspace, nodes[3:])


def test_exec_node_stopped_past_its_lease(world):
    """A daemon takes its batches over and ends the run; what the command had done is refused, and it tells how the run ended."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        nodes = list(lookup.counts)
        keyspace = lookup.keyspace()
        for node in nodes[:2]:
            ExecNode(lookup, keyspace, node).check()
        command = ExecNode(lookup, keyspace, nodes[2], environment={"CAPI_FAULT": "workflow.before_commit:stop:2"})
        command.await_stop()
        with Daemons(world.cluster, world.capi, 1):
            wait_until_ended(world, keyspace, 60)
            command.send(signal.SIGCONT)
            command.check()
        end_of_lookup(lookup, keyspace, nodes[3:])


def test_exec_node_while_cassandra_is_paused(world):
    """For longer than the lease."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        nodes = list(lookup.counts)
        keyspace = lookup.keyspace()
        for node in nodes[:2]:
            ExecNode(lookup, keyspace, node).check()
        command = ExecNode(lookup, keyspace, nodes[2], environment={"CAPI_FAULT": "workflow.after_commit:stop:2"})
        command.await_stop()
        server = world.cluster.cassandra.nodes[0]
        server.pause()
        try:
            command.send(signal.SIGCONT)
            time.sleep(3 * LEASE_MS / 1000)
            expect(command.process.poll() is None, "the command ended while Cassandra was away")
        finally:
            server.resume()
        command.check()
        end_of_lookup(lookup, keyspace, nodes[3:])


def test_exec_node_interrupted_while_cassandra_is_paused(world):
    """Ctrl-C does not wait for the server for long."""
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        nodes = list(lookup.counts)
        keyspace = lookup.keyspace()
        for node in nodes[:2]:
            ExecNode(lookup, keyspace, node).check()
        command = ExecNode(lookup, keyspace, nodes[2], environment={"CAPI_FAULT": "workflow.after_commit:stop:2"})
        command.await_stop()
        server = world.cluster.cassandra.nodes[0]
        server.pause()
        try:
            command.send(signal.SIGINT)
            command.send(signal.SIGCONT)
            command.end(130)
            expect("Cassandra did not answer in time" in command.stderr, command.stderr)
        finally:
            server.resume()
        ExecNode(lookup, keyspace, nodes[2], "--run", "3").check()
        end_of_lookup(lookup, keyspace, nodes[3:])


def test_exec_node_helped_by_daemons(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp)
        keyspace = lookup.keyspace()
        with Daemons(world.cluster, world.capi, 2):
            end_of_lookup(lookup, keyspace, list(lookup.counts))


def test_exec_node_used_wrongly(world):
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 500, 3)
        keyspace = lookup.keyspace()

        def refused(text, node, *arguments, code=2, of=keyspace, environment=None):
            command = ExecNode(lookup, of, node, *arguments, environment=environment)
            out = command.end(code)
            expect(text in command.stderr, f"{arguments}: {text} is not in {command.stderr}")
            return out

        refused("did you mean items_inner?", "item_inner")
        refused("was never started in this keyspace", "items_inner", code=1)
        refused("no such run: 7", "read_orders", "--run", "7")
        refused("run 1 has ended", "items_inner", "--run", "1")
        refused("no such keyspace", "read_orders", "--run", "1", of=f"{keyspace}_no")
        expect(world.capi_on_cluster("history", f"{keyspace}_no").returncode == 2, "a wrong name made a keyspace")
        refused("--run", "read_orders", "--run", "0")
        refused("Connection refused", "read_orders", environment={"CAPI_CASSANDRA_HOSTS": "127.0.0.1", "CAPI_CASSANDRA_PORT": "1"}, code=1)
        # Its inputs are of a run that nobody goes on with.
        run = lookup.start(keyspace)
        refused("waits: dependency read_items is not usable: status none in run 2", "items_inner")
        refused("was started with", "read_orders", "--run", str(run))
        expect(world.capi_on_cluster("stop", keyspace, "--run", "2").returncode == 0, "stop")
        refused("", "items_inner", "--run", "3", code=1)
        expect([run["status"] for run in history(world, keyspace)] == ["complete", "stop", "complete"], history(world, keyspace))
        # No place for its caches; the run is there already.
        refused("run 4 was interrupted", "read_orders", environment={"CAPI_DATA_DIR": f"{lookup.folder}/in/orders.csv"}, code=1)
        ExecNode(lookup, keyspace, "read_orders", "--run", "4").check()


PYTHON_SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: ["{folder}/in.csv"]
      csv: {{hdr_line_idx: 0, first_data_line_idx: 1}}
      columns:
        id: {{csv: {{col_hdr: id}}, col_type: int}}
    w:
      name: t
      fields:
        id: {{expression: r.id, type: int}}
  calc:
    type: table_custom_tfm_table
    custom_proc_type: py_calc
    r: {{table: t, expected_batches_total: 3}}
    p:
      python_code_urls: ["{base}/formulas.py"]
      calculated_fields:
        v: {{expression: "f(r.id)", type: int}}
    w:
      name: c
      fields:
        v: {{expression: p.v, type: int}}
  write:
    type: table_file
    r: {{table: c}}
    w:
      url_template: "{folder}/out.csv"
      columns:
        - {{name: v, type: int, expression: r.v, csv: {{header: v, format: "%d"}}}}
dependency_policies:
  p:
    is_default: true
    rules:
      - {{cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}}
      - {{cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}}
"""


def test_metrics_of_python_and_downloads(world):
    """A script with formulas, both downloaded; verdicts of a policy that says nothing about nodes that have not ended."""
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        handler = functools.partial(QuietHandler, directory=temp)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever).start()
            try:
                base = f"http://127.0.0.1:{server.server_port}"
                (folder / "in.csv").write_text("id\n" + "".join(f"{i}\n" for i in range(100)))
                (folder / "formulas.py").write_text("def f(x):\n    return x + 1\n")
                (folder / "s.yaml").write_text(PYTHON_SCRIPT.format(folder=folder, base=base))
                with Daemons(world.cluster, world.capi, 0, environment={"CAPI_PYTHON": sys.executable}) as daemons:
                    endpoint = Endpoint(daemons)
                    process, summary = world.run(f"{base}/s.yaml", temp, temp + "/python")
                    expect(process.returncode == 0, process.stderr)
                    expect((folder / "out.csv").read_text() == "v\n" + "".join(f"{i + 1}\n" for i in range(100)), "out.csv")
                    metrics = endpoint.metrics()
                expect(metrics["capi_http_config_file_get_duration_count"] >= 2, metrics)  # once for each time it began to work on the run
                expect(metrics["capi_http_config_file_get_duration_sum"] > 0, metrics)
                expect(metrics["capi_pycalc_seconds_count"] >= 3 and metrics["capi_pycalc_seconds_sum"] > 0, metrics)
                expect(metrics["capi_daemon_node_dep_none_count"] > 0 and metrics["capi_daemon_node_dep_wait_count"] == 0, metrics)
            finally:
                server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def in_hand(endpoint, keyspace):
    return any(run["batches_in_hand"] > 0 for worker in json.loads(endpoint.get("/status")[1])["keyspaces"] if worker["name"] == keyspace
               for run in worker["runs"])


def test_drained_while_servers_do_not_answer(world):
    """A daemon ends in time although nothing can be given back; others do the rest."""
    node = world.cluster.cassandra.nodes[0]
    with tempfile.TemporaryDirectory() as temp:
        lookup = Lookup(world, temp, 20000)
        with Daemons(world.cluster, world.capi, 0, arguments=["--drain-seconds", "5"]) as daemons:
            def end(endpoint, expected, server):
                """Seconds that it takes while the server does not answer."""
                server.pause()
                try:
                    time.sleep(1)  # so that what was sent is waited for
                    begun = time.monotonic()
                    code = endpoint.daemon.drain(60)
                    seconds = time.monotonic() - begun
                finally:
                    server.resume()
                expect(code == expected, f"exit code {code}\n{endpoint.daemon.text()}")
                daemons.daemons.remove(endpoint.daemon)
                return seconds

            idle = Endpoint(daemons)
            idle.await_code("/ready", 200)
            seconds = end(idle, 0, node)
            expect(seconds < 5, f"{seconds:.1f} s for a daemon that has nothing to give back")

            for server, text in ((node, "Cassandra did not answer in time"), (world.cluster.rabbitmq, "not everything has ended in time")):
                busy = Endpoint(daemons)
                busy.await_code("/ready", 200)
                keyspace = lookup.keyspace()
                lookup.start(keyspace)
                wait_until(lambda: in_hand(busy, keyspace), 60, "batches in hand")
                seconds = end(busy, 1, server)
                expect(4 < seconds < 9, f"{seconds:.1f} s\n{busy.daemon.text()}")
                expect(text in busy.daemon.text(), busy.daemon.text())
                daemons.add()
                lookup.check(*lookup.follow(keyspace))
                expect(daemons.daemons.pop().drain() == 0, "the daemon that did the rest")
                print(f"   ended after {seconds:.1f} s")


def test_script_that_no_daemon_can_read(world):
    """The follower and capi status tell why; the run goes on when the script is back."""
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "a.csv").write_text("name\none\n")
        (folder / "b.csv").write_text("name\ntwo\n")
        script = folder / "s.yaml"
        script.write_text(UNIQUE_SCRIPT.format(folder=folder))
        keyspace = world.keyspace_of(temp + "/unreadable")
        follower = subprocess.Popen([world.capi, "run", str(script), "--keyspace", keyspace, "--data-dir", temp + "/data"], text=True,
                                    stdout=subprocess.DEVNULL, stderr=open(folder / "stderr", "w"),
                                    env={**os.environ, **world.cluster.environment()})
        try:
            wait_until(lambda: "1" in world.capi_on_cluster("history", keyspace, "--output", "csv").stdout, 60, "the run")
            begun = time.monotonic()
            script.rename(folder / "away.yaml")
            with Daemons(world.cluster, world.capi, 2) as daemons:
                wait_until(lambda: "no daemon can go on with the run now" in (folder / "stderr").read_text(), 60, "the follower to tell why")
                seconds = time.monotonic() - begun
                expect(seconds < 35, f"told after {seconds:.0f} s")
                expect("s.yaml" in (folder / "stderr").read_text(), (folder / "stderr").read_text())
                status = world.capi_on_cluster("status", keyspace)
                expect("cannot go on" in status.stderr and "s.yaml" in status.stderr, status.stderr)
                expect(follower.poll() is None and history(world, keyspace)[0]["status"] == "start", "the run has ended")
                (folder / "away.yaml").rename(script)
                expect(follower.wait(timeout=90) == 0, (folder / "stderr").read_text())
                expect("cannot go on" not in world.capi_on_cluster("status", keyspace).stderr, "a reason that has passed")
                expect(len(daemons.alive()) == 2, "daemons")
        finally:
            follower.kill()


# ---- Rows for others

def wide_rows(client, keyspace, run=1):
    """Table -> its rows, sorted, of all tables that a run published."""
    tables = [name.decode() for name, in client.rows(f"SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}'")]
    return {table: sorted(client.rows(f"SELECT * FROM {keyspace}.{table}")) for table in tables if table.endswith(f"_{run:05}")}


def described(client, keyspace, table):
    where = f"WHERE keyspace_name = '{keyspace}' AND table_name = '{table}'"
    return (client.rows(f"SELECT comment, gc_grace_seconds, default_time_to_live FROM system_schema.tables {where}"),
            sorted(client.rows(f"SELECT column_name, kind, position, type, clustering_order FROM system_schema.columns {where}")))


def test_rows_layout(world):
    """Tables as get-table-cql says, with the rows of the run; the same ones when daemons are killed while they publish."""
    random.seed(9)
    with tempfile.TemporaryDirectory() as temp, world.cluster.cassandra.nodes[0].client() as client:
        lookup = Lookup(world, temp)
        keyspace = lookup.keyspace()
        with Daemons(world.cluster, world.capi, 2, environment=ROWS_LAYOUT) as daemons:
            lookup.check(*lookup.follow(keyspace))
            published = wide_rows(client, keyspace)
            for node, table in (("read_orders", "orders"), ("read_items", "items"), ("items_inner", "items_inner"), ("items_left", "items_left"),
                                ("totals_inner", "totals_inner"), ("totals_left", "totals_left")):
                expect(len(published[f"{table}_00001"]) == lookup.counts[node], f"{table} has {len(published[f'{table}_00001'])} rows")
            expect(len(published["idx_items_order_00001"]) == lookup.counts["read_items"], "entries of items")
            expect(len(published["idx_orders_to_check_uniq_00001"]) == lookup.counts["read_orders"], "entries of orders")
            expect(len(published) == 8, f"tables {sorted(published)}")

            golden = f"{keyspace}_ddl"
            replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            client.rows(f"CREATE KEYSPACE {golden} WITH REPLICATION = {replication}")
            process = world.capi_on_cluster("get-table-cql", str(ROOT / "bench/lookup.yaml"), *lookup.arguments, "--keyspace", golden,
                                            "--start-nodes", "read_orders,read_items")
            expect(process.returncode == 0, process.stderr)
            for statement in process.stdout.splitlines():
                if statement.startswith("CREATE TABLE"):
                    client.rows(statement)
            expect(wide_rows(client, golden).keys() == published.keys(), f"tables {sorted(wide_rows(client, golden))}")
            for table in published:
                expect(described(client, keyspace, table) == described(client, golden, table), f"{table} is not as get-table-cql says")
            client.rows(f"DROP KEYSPACE {golden}")

            kills = 0
            while kills < (40 if world.full else 6):
                keyspace = lookup.keyspace()
                lookup.start(keyspace)
                for _ in range(2):
                    time.sleep(random.uniform(0.3, 2))
                    random.choice(daemons.alive()).kill()
                    kills += 1
                    daemons.add()
                lookup.check(*lookup.follow(keyspace))
                expect(wide_rows(client, keyspace) == published, f"rows differ after {kills} kills")


def test_other_table_in_the_way(world):
    """Somebody else's table of that name: the run waits, and goes on when it is gone."""
    with tempfile.TemporaryDirectory() as temp, world.cluster.cassandra.nodes[0].client() as client:
        lookup = Lookup(world, temp, 500, 2)
        keyspace = lookup.keyspace()
        lookup.start(keyspace)
        client.rows(f"CREATE TABLE {keyspace}.orders_00001 (a int PRIMARY KEY)")
        with Daemons(world.cluster, world.capi, 1, environment=ROWS_LAYOUT) as daemons:
            wait_until(lambda: "with other columns" in daemons.daemons[0].text(), 60, "the daemon to complain")
            expect(history(world, keyspace)[0]["status"] == "start", "the run ended")
            client.rows(f"DROP TABLE {keyspace}.orders_00001")
            lookup.check(*lookup.follow(keyspace))
            expect(len(wide_rows(client, keyspace)["orders_00001"]) == lookup.counts["read_orders"], "rows of orders")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--capi", required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with Cluster() as cluster:
        world = ClusterWorld(options.capi, options.full, cluster)
        return integration_test.run_tests(globals(), world, options.only)


if __name__ == "__main__":
    sys.exit(main())
