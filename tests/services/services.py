"""The servers that unit tests ask for by environment variables, started when they are first needed.

  with Services() as services:
      environment = services.environment("cassandra")

A variable that is set already is kept and nothing is started for it.
"""

import contextlib
import os

from tests.services.artemis import Artemis
from tests.services.cassandra import CassandraCluster
from tests.services.rabbitmq import RabbitMq


def _cassandra(stack):
    cluster = stack.enter_context(CassandraCluster())
    return {"CAPI_TEST_CASSANDRA": cluster.address}


def _secure_cassandra(stack):
    """With password and client certificates; the second variable is the folder of the certificates."""
    cluster = stack.enter_context(CassandraCluster(authentication=True, tls=True, client_certificates=True))
    return {"CAPI_TEST_CASSANDRA_SECURE": cluster.address, "CAPI_TEST_CASSANDRA_CERTIFICATES": str(cluster.certificates.folder)}


def _cassandra_nodes(stack):
    """Three, with their process ids."""
    cluster = stack.enter_context(CassandraCluster(nodes=3, heap_mb=256, write_timeout_ms=2000, read_timeout_ms=2000))
    return {"CAPI_TEST_CASSANDRA_NODES": ",".join(cluster.addresses),
            "CAPI_TEST_CASSANDRA_PIDS": ",".join(str(node.pid) for node in cluster.nodes)}


def _rabbitmq(stack):
    """With TLS; a command that kills and restarts it."""
    return stack.enter_context(RabbitMq()).environment()


def _artemis(stack):
    """With TLS; a command that kills and restarts it."""
    return stack.enter_context(Artemis()).environment()


class Services:
    # name: (the variable that says that there is one, how to start it)
    STARTERS = {
        "cassandra": ("CAPI_TEST_CASSANDRA", _cassandra),
        "secure_cassandra": ("CAPI_TEST_CASSANDRA_SECURE", _secure_cassandra),
        "cassandra_nodes": ("CAPI_TEST_CASSANDRA_NODES", _cassandra_nodes),
        "artemis": ("CAPI_TEST_ARTEMIS", _artemis),
        "rabbitmq": ("CAPI_TEST_RABBITMQ", _rabbitmq),
    }

    def __init__(self):
        self._running = {}  # name: (stack, variables)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(*self._running)

    def stop(self, *names):
        """Those that run."""
        for name in list(names):
            if name in self._running:
                stack, _ = self._running.pop(name)
                stack.close()

    def environment(self, *names):
        """Variables for the programs that use these servers. Raises RuntimeError if one does not start."""
        result = {}
        for name in names:
            variable, start = self.STARTERS[name]
            if variable in os.environ:
                continue
            if name not in self._running:
                stack = contextlib.ExitStack()
                self._running[name] = (stack, start(stack))
            result.update(self._running[name][1])
        return result
