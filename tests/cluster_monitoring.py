"""What a daemon tells about itself, and how it ends; part of cluster_test.py."""

import functools
import http.server
import json
import pathlib
import signal
import sys
import tempfile
import threading
import time

from cluster_support import LEASE_MS, POLICY, Daemons, Endpoint, Lookup, wait_until
from integration_support import expect


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
""" + POLICY


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
