#!/usr/bin/env python3
"""Executes docs/tutorial.md: every `$ ` line of a ```console block must print what the block says.

Usage: tutorial_test.py CAPI_BINARY
The commands run in a temporary copy of examples/tutorial, with capi on PATH and CAPI_DATA_DIR set.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = "```"
COMMAND_TIMEOUT_SECONDS = 60


def console_steps(text):
    """Yields (line number, command, expected output) for the console blocks of a Markdown text."""
    in_block = in_console = False
    step = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(FENCE):
            if step:
                yield step
                step = None
            in_block = not in_block
            in_console = in_block and line[len(FENCE):].strip() == "console"
        elif in_console and line.startswith("$ "):
            if step:
                yield step
            step = (number, line[2:], "")
        elif in_console:
            if step is None:
                raise ValueError(f"line {number}: output before any command")
            step = (step[0], step[1], step[2] + line + "\n")
    if in_block:
        raise ValueError("a code block is not closed")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    capi = pathlib.Path(sys.argv[1]).resolve()
    if not os.access(capi, os.X_OK):
        sys.exit(f"not executable: {capi}")
    tutorial = ROOT / "docs" / "tutorial.md"
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "tutorial"
        shutil.copytree(ROOT / "examples" / "tutorial", folder)
        environment = dict(os.environ)
        environment["PATH"] = f"{capi.parent}{os.pathsep}{environment.get('PATH', '')}"
        environment["CAPI_DATA_DIR"] = str(pathlib.Path(scratch) / "data")
        environment["TZ"] = "UTC"
        for number, command, expected in console_steps(tutorial.read_text(encoding="utf-8")):
            run = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, text=True,
                                 stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                 timeout=COMMAND_TIMEOUT_SECONDS)
            if run.stdout == expected:
                passed += 1
                continue
            failed += 1
            print(f"{tutorial.relative_to(ROOT)}:{number}: $ {command}\n"
                  f"--- expected\n{expected}--- got (exit code {run.returncode})\n{run.stdout}"
                  f"--- standard error\n{run.stderr}")
    print(f"{passed} passed, {failed} failed")
    # No steps at all means that the document was not understood.
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
