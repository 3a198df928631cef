"""Builds and runs every test; called by ./test. Ends with one line "N passed, N failed, N skipped"."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TSAN_ROOMS = ["exec", "workflow", "state", "queue"]
TSAN_ENVIRONMENT = {"TSAN_OPTIONS": "ignore_noninstrumented_modules=1 halt_on_error=1"}


class Totals:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.failures = []

    def add(self, name, passed, failed, skipped, seconds):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.failures.append(name)
        print(f"-- {name}: {passed} passed, {failed} failed, {skipped} skipped ({seconds:.0f} s)", flush=True)


def run(command, **options):
    print("$ " + " ".join(str(part) for part in command), flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, **options)


def build(preset, targets, totals, configure=()):
    started = time.monotonic()
    ok = run(["cmake", "--preset", preset, "--log-level=WARNING", *configure]).returncode == 0
    if ok:
        log = run(["cmake", "--build", f"build/{preset}", *(["--target", *targets] if targets else [])],
                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        ok = log.returncode == 0
        if not ok:
            print("\n".join(log.stdout.splitlines()[-80:]))
    totals.add(f"build {preset}", int(ok), int(not ok), 0, time.monotonic() - started)
    return ok


def unit_tests(preset, totals, rooms=None, environment=None):
    for binary in sorted((ROOT / "build" / preset).glob("capi_*_test")):
        room = binary.name[len("capi_"):-len("_test")]
        if rooms is not None and room not in rooms:
            continue
        started = time.monotonic()
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            process = subprocess.run([binary, f"--gtest_output=json:{report.name}"], cwd=ROOT, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, errors="replace", timeout=1500,
                                     env={**os.environ, **(environment or {})})
            text = pathlib.Path(report.name).read_text()
        for line in process.stdout.splitlines():
            if re.search(r"\d+ passed, \d+ (failed|deviations)|deviations", line):
                print("   " + line.strip())
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
            print(process.stdout[-6000:])
        totals.add(f"{preset} {room}", summary["tests"] - summary["failures"] - skipped, failed, skipped,
                   time.monotonic() - started)


def counted(name, command, totals, environment=None):
    """Runs a program whose last line with counts is "N passed, N failed[, N skipped]"."""
    started = time.monotonic()
    process = run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                  env={**os.environ, **(environment or {})})
    print(process.stdout, end="", flush=True)
    counts = re.findall(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", process.stdout)
    passed, failed, skipped = (int(n or 0) for n in (counts[-1] if counts else (0, 1, 0)))
    if process.returncode != 0 and failed == 0:
        failed = 1
    totals.add(name, passed, failed, skipped, time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="the long counts, all sanitizer presets, tidy on everything")
    options = parser.parse_args()
    totals = Totals()
    python = sys.executable
    full = ["--full"] if options.full else []

    counted("checks", [python, "tests/checks.py", *full], totals)
    if build("release", [], totals, ["-DCAPI_BUILD_TESTS=ON"]):
        unit_tests("release", totals)
        counted("integration", [python, "tests/integration_test.py", "--capi", "build/release/capi", *full], totals)
        counted("python", [python, "tests/python_test.py", "--capi", "build/release/capi", *full], totals)
        if (ROOT / "tests" / "tutorial_test.py").exists():
            counted("tutorial", [python, "tests/tutorial_test.py", "build/release/capi"], totals)
    if build("asan-ubsan", [], totals):
        unit_tests("asan-ubsan", totals)
    if build("tsan", [f"capi_{room}_test" for room in TSAN_ROOMS], totals):
        unit_tests("tsan", totals, TSAN_ROOMS, TSAN_ENVIRONMENT)
    if options.full and build("debug", [], totals):
        unit_tests("debug", totals)

    if totals.failures:
        print("failed: " + ", ".join(totals.failures))
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped")
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
