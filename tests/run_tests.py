"""Builds and runs every test; called by ./test. Ends with one line "N passed, N failed, N skipped"."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.services.services import Services  # noqa: E402

UNIT_TEST_TIMEOUT_SECONDS = 1500
# For each target; $CAPI_FUZZ_SECONDS wins.
FUZZ_SECONDS = 15
FULL_FUZZ_SECONDS = 600
# Seeded runs of service/simulation_test.cc.
FULL_SIMULATION = {"CAPI_SIM_SEEDS": "2000"}
TSAN_ROOMS = ["exec", "http", "cql", "workflow", "state", "queue"]
TSAN_ENVIRONMENT = {"TSAN_OPTIONS": "ignore_noninstrumented_modules=1 halt_on_error=1"}

# Servers that the unit tests of a room use (tests/services/services.py).
SERVERS = {
    "cql": ["cassandra"],
    "state": ["cassandra"],
    "store": ["cassandra"],
    "queue": ["rabbitmq", "artemis"],
    "workflow": ["cassandra"],
    "service": ["cassandra"],
}
# Further ones that are too large to keep: for the release preset, and stopped after the room.
RELEASE_SERVERS = {"cql": ["secure_cassandra", "cassandra_nodes"]}


class Totals:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.failures = []
        self.stages = []
        self.cases = {}
        self.began = time.monotonic()
        self.lock = threading.Lock()

    def add(self, name, passed, failed, skipped, seconds):
        with self.lock:
            self.stages.append((name, seconds))
            self.passed += passed
            self.failed += failed
            self.skipped += skipped
            if failed:
                self.failures.append(name)
        print(f"-- {name}: {passed} passed, {failed} failed, {skipped} skipped ({seconds:.0f} s)", flush=True)

    def note_cases(self, output):
        """Remembers lines such as "run cases: 20 passed, 3 deviations" of case suites."""
        for line in output.splitlines():
            counts = re.match(r"\s*([\w ()]+): (\d+ passed,.* \d+ deviations)", line)
            if counts:
                self.cases[counts.group(1)] = counts.group(2)

    def report(self):
        print("\nseconds by stage:")
        for name, seconds in self.stages:
            print(f"{seconds:8.0f}  {name}")
        print(f"{time.monotonic() - self.began:8.0f}  total; other presets are built beside the tests of the first")
        for name, counts in self.cases.items():
            print(f"{name}: {counts}")
        if self.failures:
            print("failed: " + ", ".join(self.failures))
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not self.passed else 0


def run(command, **options):
    print("$ " + " ".join(str(part) for part in command), flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, **options)


def only_when_idle():
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:  # some containers forbid it
        os.nice(19)


def build(preset, targets, totals, configure=(), beside=False):
    """`beside`: with the processor time that nothing else wants."""
    started = time.monotonic()
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "preexec_fn": only_when_idle if beside else None}
    log = run(["cmake", "--preset", preset, "--log-level=WARNING", *configure], **options)
    if log.returncode == 0:
        log = run(["cmake", "--build", f"build/{preset}", *(["--target", *targets] if targets else [])], **options)
    ok = log.returncode == 0
    if not ok:
        print("\n".join(log.stdout.splitlines()[-80:]))
    totals.add(f"build {preset}", int(ok), int(not ok), 0, time.monotonic() - started)
    return ok


def servers(room, names, services, totals):
    """Variables that tell the tests of a room where its servers are. A server that does not start is a failure."""
    started = time.monotonic()
    try:
        return services.environment(*names)
    except Exception as error:
        print(error)
        totals.add(f"servers of {room}", 0, 1, 0, time.monotonic() - started)
        return {}


def failed_tests(output, most=12000):
    """What googletest printed of the tests that failed, and the end: it tells of crashes and which tests they were."""
    parts = []
    lines = []
    for line in output.splitlines():
        if line.startswith("[ RUN      ]"):
            lines = [line]
        elif lines:
            lines.append(line)
        if lines and line.startswith("[  FAILED  ]"):
            parts += lines
        if line.startswith(("[  FAILED  ]", "[       OK ]", "[  SKIPPED ]")):
            lines = []
    return "\n".join(parts)[:most] + "\n" + output[-3000:]


def unit_tests(preset, totals, services, rooms=None, environment=None):
    for binary in sorted((ROOT / "build" / preset).glob("capi_*_test")):
        room = binary.name[len("capi_"):-len("_test")]
        if rooms is not None and room not in rooms:
            continue
        passing = RELEASE_SERVERS.get(room, []) if preset == "release" else []
        addresses = servers(room, [*SERVERS.get(room, []), *passing], services, totals)
        started = time.monotonic()
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            try:
                process = subprocess.run([binary, f"--gtest_output=json:{report.name}"], cwd=ROOT, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, text=True, errors="replace", timeout=UNIT_TEST_TIMEOUT_SECONDS,
                                         env={**os.environ, **addresses, **(environment or {})})
            except subprocess.TimeoutExpired as error:
                print((error.stdout or b"").decode(errors="replace")[-6000:])
                totals.add(f"{preset} {room} (timed out)", 0, 1, 0, time.monotonic() - started)
                continue
            finally:
                services.stop(*passing)
            text = pathlib.Path(report.name).read_text()
        totals.note_cases(process.stdout)
        if not text:
            print(process.stdout[-6000:])
            totals.add(f"{preset} {room}", 0, 1, 0, time.monotonic() - started)
            continue
        summary = json.loads(text)
        skipped = sum(1 for suite in summary["testsuites"] for test in suite["testsuite"] if test.get("result") == "SKIPPED")
        failed = summary["failures"]
        if process.returncode != 0 and failed == 0:
            failed = 1
        if failed:
            print(failed_tests(process.stdout))
        totals.add(f"{preset} {room}", summary["tests"] - summary["failures"] - skipped, failed, skipped,
                   time.monotonic() - started)


def counted(name, command, totals):
    """Runs a program whose last line with counts is "N passed, N failed[, N skipped]"."""
    started = time.monotonic()
    print("$ " + " ".join(str(part) for part in command), flush=True)
    lines = []
    with subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        for line in process.stdout:
            lines.append(line)
            print(line, end="", flush=True)
    output = "".join(lines)
    totals.note_cases(output)
    counts = re.findall(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", output)
    passed, failed, skipped = (int(n or 0) for n in (counts[-1] if counts else (0, 1, 0)))
    if process.returncode != 0 and failed == 0:
        failed = 1
    totals.add(name, passed, failed, skipped, time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="the long counts, all sanitizer presets, tidy on everything")
    options = parser.parse_args()
    totals = Totals()
    with Services() as services:
        run_all(options, totals, services)
    return totals.report()


def run_all(options, totals, services):
    python = sys.executable
    full = ["--full"] if options.full else []

    counted("checks", [python, "tests/checks.py", *full], totals)
    release = build("release", [], totals, ["-DCAPI_BUILD_TESTS=ON"])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Much of the time the first preset's tests wait, for servers, leases and time-outs.
        asan = pool.submit(build, "asan-ubsan", [], totals, beside=True)
        tsan = pool.submit(build, "tsan", [f"capi_{room}_test" for room in TSAN_ROOMS], totals, beside=True)
        fuzz = pool.submit(build, "fuzz", [path.stem for path in sorted((ROOT / "src").rglob("*_fuzz.cc"))], totals, beside=True)
        debug = pool.submit(build, "debug", [], totals, beside=True) if options.full else None
        if release:
            unit_tests("release", totals, services, environment=FULL_SIMULATION if options.full else None)
            counted("integration", [python, "tests/integration_test.py", "--capi", "build/release/capi", *full], totals)
            counted("python", [python, "tests/python_test.py", "--capi", "build/release/capi", *full], totals)
            counted("parquet", [python, "tests/parquet_test.py", "--capi", "build/release/capi", *full], totals)
            counted("toolbelt", [python, "tests/toolbelt_test.py", "--capi", "build/release/capi"], totals)
            counted("cluster", [python, "tests/cluster_test.py", "--capi", "build/release/capi", *full], totals)
            counted("remote", [python, "tests/remote_test.py", "--capi", "build/release/capi"], totals)
            counted("tutorial", [python, "tests/tutorial_test.py", "build/release/capi"], totals)
            counted("install", [python, "tests/install_test.py", "build/release"], totals)
            run(["cmake", "--preset", "tidy", "--log-level=WARNING"], stdout=subprocess.DEVNULL)
            counted("tidy", [python, "tests/tidy_test.py", "build/tidy", *full], totals)
        if asan.result():
            unit_tests("asan-ubsan", totals, services)
        if tsan.result():
            unit_tests("tsan", totals, services, TSAN_ROOMS, TSAN_ENVIRONMENT)
        if fuzz.result():
            seconds = FULL_FUZZ_SECONDS if options.full else FUZZ_SECONDS
            counted("fuzz", [python, "tests/fuzz_test.py", "build/fuzz", "--seconds", seconds], totals)
        if debug is not None and debug.result():
            unit_tests("debug", totals, services)


if __name__ == "__main__":
    sys.exit(main())
