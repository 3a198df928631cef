"""Runs on real Cassandra and RabbitMQ servers with several daemons: parity with the embedded engine, and faults. Prints "N passed, N failed,
N skipped".

  cluster_test.py --capi BINARY [--full] [--only TEXT]
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import integration_test
import parquet_test
import python_test
from cluster_docs import *  # noqa: F401,F403
from cluster_exec_node import *  # noqa: F401,F403
from cluster_monitoring import *  # noqa: F401,F403
from cluster_rows import *  # noqa: F401,F403
from cluster_support import (LEASE_MS, POLICY, ROWS_LAYOUT, Cluster, ClusterWorld, Daemons, Endpoint, Lookup, channel, history, wait_until, wait_until_ended,
                             wait_until_stopped)
from integration_support import ROOT, SHARED_DEMOS, Failure, Skipped, World, expect, statuses

PARITY = [integration_test.test_parity_lookup_single_run, integration_test.test_parity_lookup_two_runs,
          integration_test.test_parity_tag_single_run, integration_test.test_parity_tag_two_runs, integration_test.test_new_script_demo,
          parquet_test.test_parity_lookup_big_single_run, parquet_test.test_parity_lookup_big_two_runs,
          parquet_test.test_parity_proto_file_reader_creator, python_test.test_parity_py_calc_json, python_test.test_parity_py_calc_yaml]


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
            world.after_test()


def test_parity(world):
    for daemons in (1, 3) if world.full else (1,):
        run_parity(world, daemons, {})


def test_parity_with_rows(world):
    for daemons in (3, 1) if world.full else (3,):
        run_parity(world, daemons, ROWS_LAYOUT)


# ---- The lookup pipeline on generated data

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
""" + POLICY


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
""" + POLICY


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
