"""Daemons on real servers for the cluster tests.

  with Cluster() as cluster:                      Cassandra and RabbitMQ on free ports of 127.0.0.1
      with Daemons(cluster, capi, 3) as daemons:
          ...
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import integration_test
import pika
from integration_support import ROOT, World, expect, statuses

sys.path.insert(0, str(ROOT))

from tests.services.cassandra import CassandraCluster  # noqa: E402
from tests.services.rabbitmq import RabbitMq  # noqa: E402

LEASE_MS = 2000
# For scripts that go through str.format.
POLICY = """
dependency_policies:
  p:
    is_default: true
    rules:
      - {{cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}}
      - {{cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}}
"""


class Cluster:
    def __init__(self, **cassandra):
        self._cassandra = {"heap_mb": 512, **cassandra}

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self.cassandra = self._stack.enter_context(CassandraCluster(**self._cassandra))
        self.rabbitmq = self._stack.enter_context(RabbitMq())
        return self

    def __exit__(self, *_):
        self._stack.close()

    def environment(self, **further):
        """The settings of a program on this cluster."""
        return {"CAPI_CASSANDRA_HOSTS": self.cassandra.address,
                "CAPI_CASSANDRA_KEYSPACE_REPLICATION_CONFIG": "{'class': 'SimpleStrategy', 'replication_factor': 1}",
                "CAPI_AMQP_URL": self.rabbitmq.environment()["CAPI_TEST_RABBITMQ"],
                "CAPI_DAEMON_LEASE_TIME": str(LEASE_MS), **further}


@contextlib.contextmanager
def channel(cluster):
    """A channel to the broker, of a client that is not ours."""
    connection = pika.BlockingConnection(pika.URLParameters(cluster.environment()["CAPI_AMQP_URL"] + "%2F"))
    try:
        yield connection.channel()
    finally:
        connection.close()


class Daemon:
    """One process, with its own caches and log."""

    def __init__(self, capi, folder, environment, arguments=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([capi, "daemon", "--data-dir", str(self.folder / "data"), *arguments], stdout=log, stderr=log,
                                            env={**os.environ, "CAPI_LOG": "info", **environment})

    def alive(self):
        return self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def drain(self, seconds=40):
        """SIGTERM; its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def text(self):
        return self.log.read_text(errors="replace")


class Daemons:
    """Several; ended by SIGTERM when the block ends, and then expected to have ended well."""

    def __init__(self, cluster, capi, count, threads=1, environment=None, arguments=()):
        self.cluster, self.capi, self.count, self.threads = cluster, capi, count, threads
        self.environment = {**cluster.environment(), **(environment or {})}
        self.arguments = arguments
        self.daemons = []

    def __enter__(self):
        self._temp = tempfile.TemporaryDirectory()
        for _ in range(self.count):
            self.add()
        return self

    def add(self, environment=None):
        folder = f"{self._temp.name}/daemon{len(self.daemons)}"
        daemon = Daemon(self.capi, folder, {**self.environment, **(environment or {})}, ["--threads", str(self.threads), *self.arguments])
        self.daemons.append(daemon)
        return daemon

    def alive(self):
        return [daemon for daemon in self.daemons if daemon.alive()]

    def logs(self):
        return "\n".join(f"-- daemon {i}\n{daemon.text()[-3000:]}" for i, daemon in enumerate(self.daemons))

    def __exit__(self, error, *_):
        codes = []
        for daemon in self.alive():
            daemon.send(signal.SIGCONT)
            daemon.send(signal.SIGTERM)
        for daemon in self.daemons:
            try:
                codes.append(daemon.process.wait(timeout=60))
            except subprocess.TimeoutExpired:
                daemon.kill()
                codes.append("did not end")
        logs = self.logs()
        self._temp.cleanup()
        if error is None:
            expect(all(code in (0, -signal.SIGKILL) for code in codes), f"daemons ended with {codes}\n{logs}")
        else:
            print(logs)


class ClusterWorld(World):
    """capi on a cluster: each data directory of the embedded tests becomes a keyspace of its own."""

    def __init__(self, capi, full, cluster):
        super().__init__(capi, full)
        self.cluster = cluster
        self._names = {}

    def keyspace_of(self, data_dir):
        if data_dir not in self._names:
            self._names[data_dir] = f"t_{os.urandom(8).hex()}"
        return self._names[data_dir]

    def run(self, script, cwd, data_dir, *arguments, **options):
        options["environment"] = {**self.cluster.environment(), **(options.get("environment") or {})}
        options.setdefault("timeout", 300)
        return super().run(script, cwd, data_dir, "--keyspace", self.keyspace_of(data_dir), *arguments, **options)

    def capi_on_cluster(self, *arguments, timeout=120):
        return self.call(list(arguments), None, None, environment=self.cluster.environment(), timeout=timeout)

    def after_test(self):
        """A server with little memory does not carry the tables of all tests."""
        for name in self._names.values():
            self.capi_on_cluster("drop", name)
        self._names = {}


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < deadline, f"waited {seconds} s for {what}")
        time.sleep(0.05)


def wait_until_stopped(process, seconds, what):
    """Until a signal (SIGSTOP, or a fault point of the kind stop) has stopped it."""
    def stopped():
        expect(process.poll() is None, f"the process ended with {process.returncode} before it was stopped: {what}")
        return pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

    wait_until(stopped, seconds, what)


ROWS_LAYOUT = {"CAPI_CASSANDRA_TABLE_LAYOUT": "rows"}


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


def history(world, keyspace):
    process = world.capi_on_cluster("history", keyspace, "--output", "json")
    expect(process.returncode == 0, process.stderr)
    return json.loads(process.stdout)


def wait_until_ended(world, keyspace, seconds=240):
    wait_until(lambda: all(run["status"] in ("complete", "stop") for run in history(world, keyspace)), seconds, f"the end of runs in {keyspace}")
