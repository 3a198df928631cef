"""Static checks: include arrows between rooms, formatting, names and paths. Prints "N passed, N failed"."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "capi"

# Rooms that a room may include, directly or through others (docs/design/rooms.md).
ARROWS = {
    "base": [],
    "http": ["base"],
    "exec": ["base"],
    "data": ["base"],
    "expr": ["data"],
    "script": ["expr"],
    "config": ["script"],
    "files": ["exec"],
    "formats": ["expr", "exec", "files"],
    "cql": ["base"],
    "store": ["data", "exec", "cql"],
    "state": ["base", "cql"],
    "queue": ["base"],
    "python": ["data", "exec"],
    "node": ["store", "formats", "files", "python", "script", "expr"],
    "workflow": ["node", "state", "queue", "script"],
    "service": ["workflow", "config", "http"],
    "diagram": ["script"],
    "cli": ["service", "diagram"],
}


def closure(room):
    reached = {room}
    for other in ARROWS[room]:
        reached |= closure(other)
    return reached


def include_arrows():
    problems = []
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        room = path.relative_to(SOURCES).parts[0]
        allowed = closure(room)
        for line in path.read_text().splitlines():
            match = re.match(r'#include "capi/([a-z0-9]+)/', line)
            if match and match.group(1) not in allowed:
                problems.append(f"{path.relative_to(ROOT)}: room {room} must not include {match.group(1)}")
    return problems


def public_headers_are_light():
    problems = []
    heavy = re.compile(r'#include "(parquet/|arrow/(?!type_fwd\.h|status\.h|result\.h))')
    for path in sorted(SOURCES.rglob("*.h")):
        if path.name.endswith("_internal.h") or "test" in path.name:
            continue
        if heavy.search(path.read_text()):
            problems.append(f"{path.relative_to(ROOT)}: a public header includes a heavy Arrow or Parquet header")
    return problems


def file_names():
    vague = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager)(_[a-z]+)?\.(cc|h)$")
    return [f"{path.relative_to(ROOT)}: named for no concept" for path in SOURCES.rglob("*") if vague.search(path.name)]


def formatting():
    tool = shutil.which("clang-format-16")
    if tool is None:
        return ["clang-format-16 is not installed"]
    files = sorted(str(path) for path in SOURCES.rglob("*") if path.suffix in (".h", ".cc"))
    process = subprocess.run([tool, "--dry-run", "-Werror", *files], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    return sorted({line.split(":")[0] + ": not formatted" for line in process.stderr.splitlines() if "error:" in line})


def leftovers():
    problems = []
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in (".h", ".cc") and re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text()):
            problems.append(f"{path.relative_to(ROOT)}: unfinished business")
    return problems


def room_readmes():
    return [f"src/capi/{room}: no README.md" for room in ARROWS
            if any((SOURCES / room).rglob("*.cc")) and not (SOURCES / room / "README.md").exists()]


CHECKS = [include_arrows, public_headers_are_light, file_names, formatting, leftovers, room_readmes]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.parse_args()
    failed = 0
    for check in CHECKS:
        problems = check()
        failed += bool(problems)
        print(f"{check.__name__}: {'FAILED' if problems else 'ok'}")
        for problem in problems[:40]:
            print("  " + problem)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
