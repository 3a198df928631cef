"""capi exec-node on a cluster: one node, executed by the command itself; part of cluster_test.py."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import integration_test
from cluster_support import LEASE_MS, Daemons, Lookup, history, wait_until_ended, wait_until_stopped
from integration_support import ROOT, expect


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


def stopped_command(lookup, keyspace, place):
    """The first two nodes are executed; the command for the third one stops itself at a fault point."""
    nodes = list(lookup.counts)
    for node in nodes[:2]:
        ExecNode(lookup, keyspace, node).check()
    command = ExecNode(lookup, keyspace, nodes[2], environment={"CAPI_FAULT": place})
    command.await_stop()
    return command


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
        command = stopped_command(lookup, keyspace, "workflow.before_commit:stop:2")
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
        command = stopped_command(lookup, keyspace, "workflow.after_commit:stop:2")
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
        command = stopped_command(lookup, keyspace, "workflow.after_commit:stop:2")
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
