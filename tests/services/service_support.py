"""What the private servers of tests have in common: free ports, certificates, processes that are started and ended by their id."""

import argparse
import contextlib
import ctypes
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
CACHE = ROOT / ".cache" / "services"
LOOPBACK = "127.0.0.1"
STOP_SECONDS = 30
# A variable in the environment of the processes, by which they are known again.
MARK = "CAPI_TEST_SERVER_FOLDER"


class ServiceError(RuntimeError):
    """A server did not start, or a command for it failed."""


def free_ports(count):
    """Different ports nobody listens on. All are held open until the last one is found."""
    with contextlib.ExitStack() as probes:
        ports = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind((LOOPBACK, 0))
            ports.append(probe.getsockname()[1])
        return ports


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def die_with_parent():
    # SIGTERM: the start scripts pass it on to the servers.
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Server:
    """A server of one or more processes that keeps everything in one folder: state.json there tells other processes the ports and
    process ids, so that a test can kill and restart what its caller has started.

    `folder`: kept and used again; without one, a temporary one is removed by stop().
    """

    name = ""
    module = None  # its command
    ended_with_parent = True

    def __init__(self, folder=None):
        self.temporary = folder is None
        parent = ROOT / "build" / "services"
        if self.temporary:
            parent.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix=f"{self.name}-", dir=parent)).resolve()

    def missing(self):
        raise NotImplementedError

    def environment(self):
        raise NotImplementedError

    def _prepare(self):
        """Writes configuration, returns the state: ports and names."""
        raise NotImplementedError

    def _start_processes(self, state):
        """Returns when the server answers."""
        raise NotImplementedError

    @property
    def _state_file(self):
        return self.folder / "state.json"

    def state(self):
        return json.loads(self._state_file.read_text()) if self._state_file.exists() else {}

    def control_command(self):
        return f"{sys.executable} {self.module} --folder {self.folder}"

    def start(self):
        reason = self.missing()
        if reason:
            raise ServiceError(reason)
        try:
            if not self.state():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._state_file.write_text(json.dumps(self._prepare()))
            if not self.alive("server"):
                self._start_processes(self.state())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Ends all, the server first."""
        for process in sorted(self.state().get("pids", {}), key=lambda process: process != "server"):
            self.end(process)
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """The server as in a crash; the data stay."""
        self.end("server", seconds=0)

    def restart(self):
        """In an orderly way, or after kill()."""
        self.end("server")
        self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def spawn(self, process, command, environment=None):
        """In a session of its own, so that a Ctrl-C of the caller does not end it."""
        with open(self.folder / f"{process}.log", "ab") as output:
            started = subprocess.Popen([str(part) for part in command], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       env={**(environment or os.environ), MARK: str(self.folder)},
                                       preexec_fn=die_with_parent if self.ended_with_parent else None)
        state = self.state()
        state.setdefault("pids", {})[process] = started.pid
        self._state_file.write_text(json.dumps(state))

    def _pid(self, process):
        return self.state().get("pids", {}).get(process, 0)

    def alive(self, process):
        pid = self._pid(process)
        if pid == 0:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            # The id may be another program's by now.
            return state != "Z" and f"{MARK}={self.folder}".encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def end(self, process, seconds=STOP_SECONDS):
        """Asks it to end, then ends it and all it has started."""
        pid = self._pid(process)
        if not self.alive(process):
            return
        if seconds > 0:
            os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.alive(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        while self.alive(process):
            time.sleep(0.01)

    def wait_until(self, condition, seconds, process):
        """Polls a condition. Fails at once when the process has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = not self.alive(process)
            if ended or time.monotonic() > deadline:
                log = (self.folder / f"{process}.log").read_text(errors="replace")[-3000:]
                raise ServiceError(f"{self.name}: {process} {'has ended' if ended else f'is not ready after {seconds} s'}\n{log}")
            time.sleep(0.05)


def command_parser(description, server, further=()):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["run", "start", "stop", "kill", "restart", "environment", *further])
    parser.add_argument("--folder", type=pathlib.Path, default=CACHE / f"{server.name}-running")
    if further:
        parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def print_environment(server):
    for name, value in server.environment().items():
        print(f"export {name}='{value}'", flush=True)


def run_command(kind, options):
    try:
        if options.action == "run":
            with kind() as server:
                print_environment(server)
                signal.signal(signal.SIGTERM, signal.default_int_handler)
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
                # Another one must not leave the server behind.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            return 0
        server = kind(options.folder)
        server.ended_with_parent = False
        if options.action != "start" and not server.state():
            raise ServiceError("none was started")
        if options.action != "environment":
            getattr(server, options.action)()
        if options.action in ("start", "environment"):
            print_environment(server)
        if options.action == "stop":
            shutil.rmtree(server.folder)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make_certificates(folder):
    """ca.pem, another_ca.pem; server.pem and client.pem signed by the former, with server.key and client.key. The server's
    certificate is for "localhost" only, not for the address."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    for authority in ("ca", "another_ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                f"/CN=Test {authority}", "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout",
                f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile",
                f"{name}.ext", "-out", f"{name}.pem")
