"""docs/cluster.md, followed literally; part of cluster_test.py."""

import os
import pathlib
import re
import socket
import subprocess
import tempfile

from cluster_support import LEASE_MS, CassandraCluster
from integration_support import ROOT, expect


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
