"""A private Cassandra 5.0 for tests, on free ports of 127.0.0.1 (more nodes: 127.0.0.2, ...), from the jars of Maven Central.

  with CassandraCluster(nodes=1) as cluster:
      cluster.address            "127.0.0.1:40123"
      cluster.nodes[0].pid

  python3 tests/services/cassandra.py start [--nodes N] [--heap-mb N]   leaves one running and prints how to use it
  python3 tests/services/cassandra.py stop

The jars are fetched once, into .cache/services.
"""

import argparse
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    # The folder of this file would hide Python packages of the same names.
    sys.path[0] = str(ROOT)

from tests.services.cql_client import CqlClient, CqlError, tls_context  # noqa: E402

POM = pathlib.Path(__file__).resolve().parent / "cassandra" / "pom.xml"
CACHE = ROOT / ".cache" / "services"
RUNNING = CACHE / "cassandra-running.json"
START_SECONDS = 240
STOP_SECONDS = 30
USER = "cassandra"
PASSWORD = "cassandra"

# What Cassandra reaches into; without these flags Java 17 refuses.
EXPORTED = [
    "java.base/java.lang.ref", "java.base/java.lang.reflect", "java.base/jdk.internal.misc", "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch", "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server", "java.rmi/sun.rmi.transport.tcp", "java.sql/java.sql",
]
OPENED = [
    "java.base/java.io", "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect", "java.base/java.net",
    "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader", "java.base/jdk.internal.math", "java.base/jdk.internal.module", "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect", "java.base/jdk.internal.util", "java.base/jdk.internal.util.jar", "java.base/sun.nio.ch",
    "java.logging/java.util.logging", "java.management/com.sun.jmx.mbeanserver", "java.rmi/sun.rmi.transport.tcp",
    "jdk.management/com.sun.management.internal",
]

LOGGING = """<configuration>
  <appender name="file" class="ch.qos.logback.core.FileAppender">
    <file>${cassandra.logdir}/system.log</file>
    <encoder><pattern>%date %level [%thread] %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="file"/></root>
</configuration>
"""


def install():
    """The folder of the jars, fetched if it is not there."""
    jars = CACHE / f"cassandra-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as fetched:
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={fetched}/lib"]
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if process.returncode != 0:
            raise RuntimeError(f"maven could not fetch Cassandra:\n{process.stdout[-3000:]}")
        try:
            os.rename(f"{fetched}/lib", jars)
        except OSError:
            # Somebody else was faster.
            if not jars.is_dir():
                raise
    return jars


def free_port(hosts):
    """A port that is free on all hosts."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind((hosts[0], 0))
            port = probe.getsockname()[1]
        try:
            for host in hosts:
                with socket.socket() as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return port
    raise RuntimeError("no free port")


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Certificates:
    """A CA and, signed by it, a client certificate and a server certificate for the name localhost and the address 127.0.0.5, but
    not for the server's own 127.0.0.1: PEM files of one folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.ca = folder / "ca.pem"
        self.server = folder / "server.pem"
        self.client = folder / "client.pem"
        self.client_key = folder / "client.key"
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=test CA",
                  "-keyout", folder / "ca.key", "-out", self.ca)
        self._sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.5")
        self._sign("client", "extendedKeyUsage=clientAuth")
        # Another CA, which has signed nothing.
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=other CA",
                  "-keyout", folder / "other-ca.key", "-out", folder / "other-ca.pem")
        keystore = (folder / "server.key").read_text() + self.server.read_text() + self.ca.read_text()
        (folder / "server-all.pem").write_text(keystore)

    def _run(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _sign(self, name, extension):
        folder = self.folder
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
                  "-out", folder / f"{name}.csr")
        (folder / f"{name}.ext").write_text(extension + "\n")
        self._run("x509", "-req", "-days", "30", "-in", folder / f"{name}.csr", "-CA", self.ca, "-CAkey", folder / "ca.key",
                  "-CAcreateserial", "-extfile", folder / f"{name}.ext", "-out", folder / f"{name}.pem")


class Node:
    def __init__(self, cluster, index):
        self.cluster = cluster
        self.index = index
        self.host = f"127.0.0.{index + 1}"
        self.folder = cluster.folder / f"node{index + 1}"
        self.address = f"{self.host}:{cluster.port}"
        self._process = None
        for name in ("conf", "data", "logs"):
            (self.folder / name).mkdir(parents=True)
        # JSON is YAML.
        (self.folder / "conf" / "cassandra.yaml").write_text(json.dumps(self._settings(), indent=1))
        (self.folder / "conf" / "logback.xml").write_text(LOGGING)

    @property
    def pid(self):
        return self._process.pid

    @property
    def log(self):
        return self.folder / "logs" / "system.log"

    def _settings(self):
        cluster = self.cluster
        data = self.folder / "data"
        step = 2**64 // cluster.count
        settings = {
            "cluster_name": "capillaries tests",
            "num_tokens": 1,
            "initial_token": str(-2**63 + 1 + self.index * step),
            "auto_bootstrap": False,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "seed_provider": [{"class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                               "parameters": [{"seeds": f"127.0.0.1:{cluster.storage_port}"}]}],
            "listen_address": self.host,
            "storage_port": cluster.storage_port,
            "rpc_address": self.host,
            "start_native_transport": True,
            "native_transport_port": cluster.port,
            "data_file_directories": [str(data / "data")],
            "commitlog_directory": str(data / "commitlog"),
            "saved_caches_directory": str(data / "saved_caches"),
            "hints_directory": str(data / "hints"),
            "cdc_raw_directory": str(data / "cdc_raw"),
            **({"commitlog_sync": "batch"} if cluster.durable else {"commitlog_sync": "periodic", "commitlog_sync_period": "10s"}),
            **({} if cluster.for_speed else {
                "commitlog_segment_size": "16MiB",
                "commitlog_total_space": "128MiB",
                "memtable_heap_space": f"{cluster.heap_mb // 6}MiB",
                "memtable_offheap_space": f"{cluster.heap_mb // 6}MiB",
                "memtable_allocation_type": "heap_buffers",
                "file_cache_size": "32MiB",
                "networking_cache_size": "16MiB",
                "key_cache_size": "8MiB",
                "concurrent_reads": 8,
                "concurrent_writes": 16,
                "concurrent_counter_writes": 2,
                "concurrent_compactors": 1,
                "compaction_throughput": "64MiB/s",
            }),
            # Dropped tables leave nothing on the disk.
            "auto_snapshot": False,
            "authenticator": "PasswordAuthenticator" if cluster.authentication else "AllowAllAuthenticator",
            "authorizer": "CassandraAuthorizer" if cluster.authentication else "AllowAllAuthorizer",
            "role_manager": "CassandraRoleManager",
            "read_request_timeout": f"{cluster.read_timeout_ms}ms",
            "range_request_timeout": f"{2 * cluster.read_timeout_ms}ms",
            "write_request_timeout": f"{cluster.write_timeout_ms}ms",
            "cas_contention_timeout": f"{cluster.cas_timeout_ms}ms",
            "truncate_request_timeout": "60s",
        }
        if cluster.certificates is not None:
            folder = cluster.certificates.folder
            settings["client_encryption_options"] = {
                "enabled": True, "optional": False, "require_client_auth": cluster.client_certificates,
                "ssl_context_factory": {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
                "keystore": str(folder / "server-all.pem"), "truststore": str(folder / "ca.pem"),
            }
        settings.update(cluster.settings)
        return settings

    def _command(self):
        jars = self.cluster.jars
        heap = self.cluster.heap_mb
        single = self.cluster.count == 1
        agent = next(jars.glob("jamm-*.jar"))
        return [
            "java", f"-Xms{heap // 2}m", f"-Xmx{heap}m", f"-XX:MaxDirectMemorySize={heap // 2}m",
            # Otherwise quick to start and small; these servers live for minutes.
            *(["-XX:+UseG1GC"] if self.cluster.for_speed else
              ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss384k", "-XX:ReservedCodeCacheSize=64m"]),
            "-Djdk.attach.allowAttachSelf=true", "-Djava.net.preferIPv4Stack=true", "-Dio.netty.tryReflectionSetAccessible=true",
            "-Dio.netty.allocator.numDirectArenas=2", "-Dio.netty.allocator.numHeapArenas=1",
            # Waits that only matter where nodes come and go.
            "-Dcassandra.skip_wait_for_gossip_to_settle=0", f"-Dcassandra.ring_delay_ms={0 if single else 1000}",
            "-Dcassandra.superuser_setup_delay_ms=0",
            "-Dchronicle.analytics.disable=true",
            *(f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTED),
            *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENED),
            f"-javaagent:{agent}",
            f"-Dcassandra.config=file://{self.folder}/conf/cassandra.yaml",
            f"-Dcassandra.storagedir={self.folder}/data", f"-Dcassandra.logdir={self.folder}/logs",
            f"-Dlogback.configurationFile=file://{self.folder}/conf/logback.xml",
            "-Dcassandra-foreground=yes",
            "-cp", f"{self.folder}/conf:{jars}/*", "org.apache.cassandra.service.CassandraDaemon",
        ]

    def start(self):
        """Returns when it answers CQL."""
        with open(self.folder / "logs" / "stdout.log", "ab") as output:
            self._process = subprocess.Popen(self._command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                                             stderr=subprocess.STDOUT, start_new_session=True,
                                             preexec_fn=die_with_parent if self.cluster.ends_with_parent else None)
        self.await_answer()

    def client(self):
        cluster = self.cluster
        tls = None
        if cluster.certificates is not None:
            tls = tls_context(cluster.certificates.client, cluster.certificates.client_key)
        return CqlClient(self.host, cluster.port, USER, PASSWORD, tls)

    def await_answer(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.query("SELECT key FROM system.local")
                return
            except (OSError, CqlError) as error:
                if self._process is not None and self._process.poll() is not None:
                    raise RuntimeError(f"Cassandra ended at its start:\n{self.describe()}") from error
                if time.monotonic() > deadline:
                    raise RuntimeError(f"Cassandra does not answer ({error}):\n{self.describe()}") from error
            time.sleep(0.2)

    def describe(self):
        texts = [path.read_text(errors="replace")[-3000:] for path in (self.folder / "logs" / "stdout.log", self.log) if path.exists()]
        return "\n".join(texts)

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) // 1024

    def pause(self):
        """It keeps its connections but answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        """As a crash; the data stay."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._process is None or self._process.poll() is not None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self):
        self.stop()
        self.start()


class CassandraCluster:
    """Starts in __enter__ (or start()), ends and leaves nothing in __exit__ (or stop()).

    durable: what is acknowledged outlives kill(); otherwise, as with Cassandra's own settings, the last ten seconds may be lost.
    for_speed: the virtual machine's and Cassandra's own sizes, instead of ones that are small and start quickly.
    settings: further keys of cassandra.yaml.
    """

    def __init__(self, nodes=1, authentication=False, tls=False, client_certificates=False, heap_mb=384, write_timeout_ms=5000,
                 read_timeout_ms=5000, cas_timeout_ms=1800, durable=False, for_speed=False, settings=None, ends_with_parent=True):
        self.count = nodes
        self.authentication = authentication
        self.tls = tls
        self.client_certificates = client_certificates
        self.heap_mb = heap_mb
        self.write_timeout_ms = write_timeout_ms
        self.read_timeout_ms = read_timeout_ms
        self.cas_timeout_ms = cas_timeout_ms
        self.durable = durable
        self.for_speed = for_speed
        self.settings = settings or {}
        self.ends_with_parent = ends_with_parent
        self.certificates = None
        self.nodes = []
        self.folder = None

    @property
    def address(self):
        return self.nodes[0].address

    @property
    def addresses(self):
        return [node.address for node in self.nodes]

    @property
    def pid(self):
        return self.nodes[0].pid

    def start(self):
        self.jars = install()
        parent = ROOT / "build" / "services"
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cassandra-", dir=parent))
        try:
            if self.tls:
                self.certificates = Certificates(self.folder / "certificates")
            hosts = [f"127.0.0.{index + 1}" for index in range(self.count)]
            self.port = free_port(hosts)
            self.storage_port = free_port(hosts)
            self.nodes = [Node(self, index) for index in range(self.count)]
            for node in self.nodes:
                node.start()
            self.await_nodes()
        except BaseException:
            self.stop()
            raise
        return self

    def await_nodes(self):
        """Until every node knows all others."""
        deadline = time.monotonic() + START_SECONDS
        for node in self.nodes:
            with node.client() as client:
                while client.query("SELECT peer FROM system.peers_v2") != self.count - 1:
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"the nodes do not find each other:\n{node.describe()}")
                    time.sleep(0.2)

    def stop(self):
        for node in self.nodes:
            node.stop()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def start_and_leave(options):
    if RUNNING.exists():
        print(f"one is running already: {RUNNING.relative_to(ROOT)}")
        return 1
    cluster = CassandraCluster(nodes=options.nodes, heap_mb=options.heap_mb, ends_with_parent=False).start()
    RUNNING.write_text(json.dumps({"pids": [node.pid for node in cluster.nodes], "folder": str(cluster.folder)}))
    print(f"export CAPI_TEST_CASSANDRA={cluster.address}")
    return 0


def stop_left():
    if not RUNNING.exists():
        print("none was started")
        return 1
    running = json.loads(RUNNING.read_text())
    for pid in running["pids"]:
        try:
            # The pid may be another program's by now.
            if b"CassandraDaemon" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGTERM)
                deadline = time.monotonic() + STOP_SECONDS
                while pathlib.Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                    time.sleep(0.1)
        except (FileNotFoundError, ProcessLookupError):
            pass
    shutil.rmtree(running["folder"], ignore_errors=True)
    RUNNING.unlink()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--heap-mb", type=int, default=384)
    options = parser.parse_args()
    return start_and_leave(options) if options.action == "start" else stop_left()


if __name__ == "__main__":
    sys.exit(main())
