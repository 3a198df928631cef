"""Runs clang-tidy with .clang-tidy. Prints "N passed, N failed, N skipped": one test is one source file.

  tidy_test.py BUILD_DIR [--full] [FILE...]

Without --full or files: what has changed since the branch left the main branch (on the main branch: since the last commit), ten files
at most. A changed header stands for the source of the same name. Unit tests are left out: clang 16 refuses some comparisons of JSON
values in them that g++ accepts. BUILD_DIR must be configured, not built, without unity builds (preset tidy).
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST_FILES = 10
TOOL = "clang-tidy-16"


def git(*arguments):
    process = subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process.stdout.strip() if process.returncode == 0 else None


def changed_files():
    """None if there is no history to compare with."""
    head = git("rev-parse", "HEAD")
    base = git("merge-base", "HEAD", "origin/HEAD") or git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main")
    if base is None or base == head:
        base = git("rev-parse", "HEAD~1")
    names = git("diff", "--name-only", base) if base else None
    if names is None:
        return None
    new = git("ls-files", "--others", "--exclude-standard") or ""
    return sorted({ROOT / name for name in (names + "\n" + new).split()})


def check(build, path):
    # The build is g++'s: clang does not know some of its warning options.
    process = subprocess.run([TOOL, "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option", path],
                             cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    return process.returncode == 0, process.stdout or process.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    if shutil.which(TOOL) is None:
        print(f"{TOOL} is not installed\n0 passed, 1 failed")
        return 1
    database = json.loads((options.build / "compile_commands.json").read_text())
    sources = sorted({pathlib.Path(entry["file"]) for entry in database if not entry["file"].endswith("_test.cc")})
    if options.files:
        files = [path.resolve() for path in options.files]
    elif options.full:
        files = sources
    else:
        changed = changed_files()
        if changed is None:
            print("no earlier commit to compare with\n0 passed, 0 failed, 1 skipped")
            return 0
        wanted = {path.with_suffix(".cc") for path in changed if path.suffix in (".h", ".cc")}
        candidates = [path for path in sources if path in wanted]
        files = candidates[:MOST_FILES]
        if not files:
            print("no source has changed\n0 passed, 0 failed, 1 skipped")
            return 0
        print(f"{len(candidates)} changed sources, {len(files)} are checked")
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (ok, text) in zip(files, pool.map(lambda path: check(options.build, path), files)):
            passed += ok
            if not ok:
                print(f"{path.relative_to(ROOT)}: FAILED\n{text}", flush=True)
    print(f"{passed} passed, {len(files) - passed} failed")
    return 0 if passed == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
