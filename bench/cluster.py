"""Runs a lookup script on a cluster of its own: one Cassandra node, RabbitMQ and daemons, all on this machine. Prints a Markdown table.

  cluster.py --capi build/release/capi [--orders 100000] [--runs 3] [--daemons 1] [--threads 2] [--batches 100] [--layouts embedded,blocks,rows]
             [--script FILE --params FILE --in-dir DIR --start-nodes A,B] [--heap-mb 2048] [--directory build/bench]

Without --script: bench/lookup_parquet.yaml on inputs of bench/generate_lookup.py. A script of one's own takes the parameters dir_in and dir_out.
Each run has a new keyspace and is timed from the start of `capi run` to its end, with its output files in place and synced. Processor time is that of
Cassandra, of the daemons and of the broker during the run; what Cassandra still flushes and compacts after a run is given as "later", for 10 s.
Bytes of blobs are what the daemons say that they wrote to tables (capi_bytes_written_total), sent what the driver sent to Cassandra. The engine alone is
run in turn, for the ratio. All outputs must be equal byte for byte.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.services.cassandra import CassandraCluster  # noqa: E402
from tests.services.rabbitmq import RabbitMq  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pids):
    """Seconds of user and system time of processes, their ended children included."""
    seconds = 0.0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        seconds += sum(int(field) for field in fields[11:15]) / TICKS
    return seconds


def processes(text):
    """Ids of processes whose command line has the text."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    def __init__(self, options, folder, environment):
        self.port = free_port()
        self.log = open(f"{folder}.log", "w")
        self.process = subprocess.Popen([options.capi, "daemon", "--threads", str(options.threads), "--data-dir", folder, "--metrics-port",
                                         str(self.port)], stdout=self.log, stderr=self.log, env=environment)
        while self.answer("/ready") is None:
            if self.process.poll() is not None:
                sys.exit(pathlib.Path(f"{folder}.log").read_text())
            time.sleep(0.1)

    def answer(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name):
        return next(float(line.rsplit(" ", 1)[1]) for line in self.answer("/metrics").splitlines() if line.startswith(name + " "))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def hash_of(folder):
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def sync(folder):
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fdatasync(descriptor)
        os.close(descriptor)


class Bench:
    def __init__(self, options, temp):
        self.options = options
        self.temp = pathlib.Path(temp)
        self.out = self.temp / "out"
        if options.script:
            self.script, self.inputs, settings = options.script, options.in_dir, ["--params", options.params]
        else:
            self.inputs = pathlib.Path(options.directory) / str(options.orders) / "in"
            if not (self.inputs / "items.parquet").exists():
                subprocess.run([sys.executable, HERE / "generate_lookup.py", "--orders", str(options.orders), "--directory", self.inputs, "--parquet"],
                               check=True, stdout=subprocess.DEVNULL)
            self.script = HERE / "lookup_parquet.yaml"
            settings = ["--params", HERE / "lookup_params.yaml", "--set", f"batches={options.batches}"]
        self.arguments = [*settings, "--set", f"dir_in={pathlib.Path(self.inputs).resolve()}", "--set", f"dir_out={self.out}", "--start-nodes",
                          options.start_nodes]
        for path in pathlib.Path(self.inputs).iterdir():
            path.read_bytes()  # warm cache
        self.hashes = {}

    def run(self, name, arguments, environment):
        """Wall seconds of one run, and the processor seconds of the command itself."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        before = os.times()
        started = time.perf_counter()
        process = subprocess.run([str(part) for part in [self.options.capi, "run", self.script, *self.arguments, *arguments]],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        if process.returncode != 0:
            sys.exit(process.stderr[-3000:])
        sync(self.out)
        wall = time.perf_counter() - started
        after = os.times()
        self.hashes.setdefault(hash_of(self.out), []).append(name)
        return wall, after.children_user + after.children_system - before.children_user - before.children_system

    def embedded(self):
        shutil.rmtree(self.temp / "data", ignore_errors=True)
        wall, cpu = self.run("embedded", ["--data-dir", self.temp / "data", "--threads", self.options.threads], {**os.environ})
        return {"wall": wall, "daemons": cpu}

    def on_cluster(self, layout, number, cassandra, environment):
        environment = {**os.environ, **environment, "CAPI_CASSANDRA_TABLE_LAYOUT": layout}
        daemons = [Daemon(self.options, f"{self.temp}/{layout}{number}_{i}", environment) for i in range(self.options.daemons)]
        keyspace = f"bench_{layout}_{number}"
        server, broker = [node.pid for node in cassandra.nodes], processes("rabbit")
        pids = [daemon.process.pid for daemon in daemons]
        before = [cpu_of(each) for each in (server, pids, broker)]
        wall, _ = self.run(layout, ["--keyspace", keyspace], environment)
        used = [cpu_of(each) - start for each, start in zip((server, pids, broker), before)]
        result = {"wall": wall, "cassandra": used[0], "daemons": used[1], "broker": used[2]}
        for key, name in (("blobs", 'capi_bytes_written_total{to="table"}'), ("sent", "capi_db_bytes_written_total"),
                          ("received", "capi_db_bytes_read_total")):
            result[key] = sum(daemon.metric(name) for daemon in daemons) / 1e6
        result["peak"] = max(int(line.split()[1]) / 1000 for pid in pids for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                             if line.startswith("VmHWM"))
        time.sleep(10)
        result["later"] = cpu_of(server) - before[0] - used[0]
        for daemon in daemons:
            daemon.stop()
        subprocess.run([self.options.capi, "drop", keyspace], env=environment, stdout=subprocess.DEVNULL, check=True)
        return result


COLUMNS = [("wall s (median)", "wall", ".2f"), ("CPU s: Cassandra", "cassandra", ".1f"), ("later", "later", ".1f"), ("daemons", "daemons", ".1f"),
           ("broker", "broker", ".1f"), ("MB of blobs", "blobs", ".0f"), ("MB sent", "sent", ".0f"), ("MB received", "received", ".0f"),
           ("peak MB of a daemon", "peak", ".0f")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--capi", required=True, type=lambda text: str(pathlib.Path(text).resolve()))
    parser.add_argument("--orders", type=int, default=100000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--daemons", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--layouts", default="embedded,blocks,rows")
    parser.add_argument("--script", type=pathlib.Path)
    parser.add_argument("--params", type=pathlib.Path)
    parser.add_argument("--in-dir", type=pathlib.Path)
    parser.add_argument("--start-nodes", default="read_orders,read_items")
    parser.add_argument("--heap-mb", type=int, default=2048)
    parser.add_argument("--directory", default="build/bench")
    options = parser.parse_args()
    layouts = options.layouts.split(",")
    results = {layout: [] for layout in layouts}
    with tempfile.TemporaryDirectory() as temp, CassandraCluster(heap_mb=options.heap_mb, for_speed=True) as cassandra, RabbitMq() as broker:
        environment = {"CAPI_CASSANDRA_HOSTS": cassandra.address, "CAPI_AMQP_URL": broker.environment()["CAPI_TEST_RABBITMQ"],
                       "CAPI_CASSANDRA_KEYSPACE_REPLICATION_CONFIG": "{'class': 'SimpleStrategy', 'replication_factor': 1}"}
        bench = Bench(options, temp)
        for number in range(options.runs):
            for layout in layouts:
                results[layout].append(bench.embedded() if layout == "embedded" else bench.on_cluster(layout, number, cassandra, environment))
                print(layout, {key: round(value, 2) for key, value in results[layout][-1].items()}, file=sys.stderr, flush=True)
    print(f"| {' | '.join(['', 'wall s (all)', *(title for title, _, _ in COLUMNS)])} |\n|{'---|' * (len(COLUMNS) + 2)}")
    for layout, runs in results.items():
        cells = [format(statistics.median(run[key] for run in runs), form) if key in runs[0] else "" for _, key, form in COLUMNS]
        print(f"| {layout} | {', '.join(format(run['wall'], '.2f') for run in runs)} | {' | '.join(cells)} |")
    if len(bench.hashes) != 1:
        sys.exit(f"OUTPUTS DIFFER: {bench.hashes}")
    print(f"\noutputs equal, {next(iter(bench.hashes))}")


if __name__ == "__main__":
    main()
