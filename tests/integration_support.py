"""What the integration tests share: the program under test and expectations."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "cases"
SHARED_DEMOS = ROOT.parent / "shared" / "demos"


class Failure(Exception):
    pass


class Skipped(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


class World:
    """The binary under test and the way it is called."""

    def __init__(self, capi, full):
        self.capi = str(pathlib.Path(capi).resolve())
        self.full = full

    def after_test(self):
        """What a test leaves on servers is removed here."""

    def call(self, arguments, cwd, data_dir, environment=None, timeout=300):
        return subprocess.run([self.capi, *arguments, *(["--data-dir", str(data_dir)] if data_dir else [])], cwd=cwd,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout,
                              env={**os.environ, **(environment or {})})

    def run(self, script, cwd, data_dir, *arguments, **options):
        process = self.call(["run", str(script), "--output", "json", *arguments], cwd, data_dir, **options)
        summary = json.loads(process.stdout) if process.stdout.startswith("{") else None
        return process, summary


def statuses(summary):
    return {node["name"]: node["status"] for node in summary["nodes"]}
