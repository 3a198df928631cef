"""A private RabbitMQ server for tests, on free ports of 127.0.0.1.

  with RabbitMq() as server:
      server.environment()       variables for the unit tests

  python3 tests/services/rabbitmq.py run        starts one, prints its variables, ends it when interrupted
  python3 tests/services/rabbitmq.py start      leaves one running and prints its variables
  python3 tests/services/rabbitmq.py stop|kill|restart|environment
  python3 tests/services/rabbitmq.py ctl ARGUMENTS...      rabbitmqctl for that server

Needs the Debian package rabbitmq-server; does not touch the server the package may run. Works as root or not: the node has a
name, cookie, port mapper (epmd), database and logs of its own. Users: guest (password guest, all rights), reader (password
reader, may read and write but not create queues).
"""

import base64
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    # The folder of this file would hide Python packages of the same names.
    sys.path[0] = str(ROOT)

from tests.services import service_support as support  # noqa: E402

START_SECONDS = 240
# name: (password, what it may configure)
USERS = {"guest": ("guest", ".*"), "reader": ("reader", "")}

CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{amqp}
listeners.ssl.default = 127.0.0.1:{amqps}
ssl_options.cacertfile = {folder}/certificates/ca.pem
ssl_options.certfile = {folder}/certificates/server.pem
ssl_options.keyfile = {folder}/certificates/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
# A machine with little free space or memory must not block the publishers of a test.
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.relative = 0.8
log.file.level = info
load_definitions = {folder}/definitions.json
"""


def programs():
    """The package's own scripts: those in the PATH insist on being root and change to a user of their own."""
    found = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    return found[-1] if found else None


def definitions():
    """Users and rights, read by the server at its start: rabbitmqctl would take seconds for each."""
    salt = b"salt"
    hashes = {name: base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
              for name, (password, _) in USERS.items()}
    return {
        "users": [{"name": name, "password_hash": hashes[name], "hashing_algorithm": "rabbit_password_hashing_sha256",
                   "tags": ["administrator"] if name == "guest" else []} for name in USERS],
        "vhosts": [{"name": "/"}],
        "permissions": [{"user": name, "vhost": "/", "configure": configure, "write": ".*", "read": ".*"}
                        for name, (_, configure) in USERS.items()],
    }


class RabbitMq(support.Server):
    """Starts in __enter__ (or start()), ends and leaves nothing in __exit__ (or stop())."""

    name = "rabbitmq"
    module = pathlib.Path(__file__).resolve()

    def missing(self):
        """What keeps it from being started, or None."""
        return None if programs() else "the Debian package rabbitmq-server is not installed"

    def environment(self):
        state = self.state()
        return {
            "CAPI_TEST_RABBITMQ": f"amqp://guest:guest@127.0.0.1:{state['amqp']}/",
            "CAPI_TEST_RABBITMQ_TLS": f"amqps://guest:guest@localhost:{state['amqps']}/",
            "CAPI_TEST_RABBITMQ_CERTIFICATES": str(self.folder / "certificates"),
            "CAPI_TEST_RABBITMQ_CONTROL": self.control_command(),
        }

    def ctl(self, *arguments):
        process = subprocess.run([programs() / "rabbitmqctl", "--quiet", *arguments], env=self._environment(self.state()),
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if process.returncode != 0:
            raise support.ServiceError(f"rabbitmqctl {' '.join(arguments)}: {process.stdout}")
        return process.stdout

    def pause(self):
        """It keeps its connections but answers nothing."""
        os.kill(int((self.folder / "pid").read_text()), signal.SIGSTOP)

    def resume(self):
        os.kill(int((self.folder / "pid").read_text()), signal.SIGCONT)

    def _prepare(self):
        amqp, amqps, distribution, epmd = support.free_ports(4)
        support.make_certificates(self.folder / "certificates")
        (self.folder / "rabbitmq.conf").write_text(CONFIGURATION.format(folder=self.folder, amqp=amqp, amqps=amqps))
        (self.folder / "definitions.json").write_text(json.dumps(definitions()))
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "environment.conf").write_text("")
        return {"amqp": amqp, "amqps": amqps, "distribution": distribution, "epmd_port": epmd, "node": f"capi{amqp}@localhost"}

    def _environment(self, state):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return {
            **kept,
            "HOME": str(self.folder),  # of the cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(state["epmd_port"]),
            "ERL_EPMD_ADDRESS": support.LOOPBACK,
            "RABBITMQ_NODENAME": state["node"],
            "RABBITMQ_DIST_PORT": str(state["distribution"]),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "database"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _start_processes(self, state):
        # In the foreground and by ourselves: the port mapper that Erlang would start outlives the node and has no known id.
        if not self.alive("epmd"):
            self.spawn("epmd", ["epmd", "-port", state["epmd_port"], "-address", support.LOOPBACK], self._environment(state))
        self.wait_until(lambda: support.listens(state["epmd_port"]), 10, "epmd")
        self.spawn("server", [programs() / "rabbitmq-server"], self._environment(state))
        # Listeners are opened last, when queues have been recovered.
        self.wait_until(lambda: support.listens(state["amqp"]) and support.listens(state["amqps"]), START_SECONDS, "server")


def main():
    parser = support.command_parser(__doc__, RabbitMq, ["ctl"])
    options = parser.parse_args()
    if options.action != "ctl":
        return support.run_command(RabbitMq, options)
    try:
        print(RabbitMq(options.folder).ctl(*options.arguments), end="")
    except support.ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
