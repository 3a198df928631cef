"""Runs the fuzz targets for a while, beginning with the inputs of tests/cases. Prints "N passed, N failed".

  fuzz_test.py FUZZ_BUILD_DIR [--seconds N] [--only TEXT]

N is for each target; $CAPI_FUZZ_SECONDS wins over the option. Inputs that once failed are kept in tests/fuzz/TARGET and run first.
"""

import argparse
import base64
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "cases"
MAX_SEED_BYTES = 16 << 10
# One input may take this long, with sanitizers, on a busy machine.
INPUT_TIMEOUT_SECONDS = 20


def lines(name):
    return [json.loads(line) for line in (CASES / name).read_text().split("\n") if line]


def expr_parser_seeds():
    for case in lines("expr_cases.jsonl") + lines("expr_cases_ours.jsonl"):
        yield re.sub(r"\b([rl])\.(\w)\w*", r"\1.\2", case["expr"]).encode()


def go_format_seeds():
    for name in ("go_format_cases.jsonl", "go_scan_cases.jsonl", "csv_print_cases.jsonl"):
        for case in lines(name):
            yield (case["format"] + "\n" + str(case.get("text", case.get("result", "")))).encode()
    for case in lines("go_time_cases.jsonl"):
        yield (case["layout"] + "\n" + str(case.get("text", case.get("result", "")))).encode()
    for case in lines("decimal_cases.jsonl"):
        yield ("%s\n" + case["left"]).encode()


def script_loader_seeds():
    for suite in ("script_cases", "script_cases_ours"):
        for case in lines(f"{suite}/index.jsonl"):
            path = CASES / suite / case["file"]
            yaml = path.suffix in (".yaml", ".yml")
            if path.exists():
                parameters = CASES / suite / case["params"] if case.get("params") else None
                head = parameters.read_bytes() + b"\0" if parameters and parameters.exists() else b""
                yield bytes([int(yaml)]) + head + path.read_bytes()


def csv_scanner_seeds():
    separators = {",": 0, ";": 1, "\t": 2, " ": 3}
    for name in ("csv_parse_cases.jsonl", "csv_parse_ours.jsonl"):
        for case in lines(name):
            yield bytes([separators.get(case["separator"], 0)]) + case["text"].encode()


SEEDS = {
    "expr_parser_fuzz": expr_parser_seeds,
    "go_format_fuzz": go_format_seeds,
    "script_loader_fuzz": script_loader_seeds,
    "csv_scanner_fuzz": csv_scanner_seeds,
}


def no_seeds():
    return ()


def fuzz(build, target, seconds):
    """The text to show and whether no input failed."""
    folder = build / "corpus" / target
    seeds, found, failures = (folder / name for name in ("seeds", "found", "failures"))
    for path in (seeds, found, failures):
        path.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(target, no_seeds)()):
        if len(seed) <= MAX_SEED_BYTES:
            (seeds / f"{number:04}").write_bytes(seed)
    once_failed = ROOT / "tests" / "fuzz" / target
    started = time.time()
    process = subprocess.run(
        [build / target, f"-max_total_time={seconds}", f"-timeout={INPUT_TIMEOUT_SECONDS}", "-print_final_stats=1", "-rss_limit_mb=3000",
         f"-artifact_prefix={failures}/", found, seeds, *([once_failed] if once_failed.is_dir() else [])],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    executed = re.search(r"number_of_executed_units: (\d+)", process.stdout)
    count = int(executed.group(1)) if executed else 0
    if process.returncode == 0 and count:
        return f"{target}: ok, {count} inputs, {len(list(seeds.iterdir()))} seeds, {time.time() - started:.0f} s", True
    text = f"{target}: FAILED, exit code {process.returncode}\n{process.stdout[-8000:]}\n"
    for artifact in sorted(failures.iterdir()):
        if artifact.stat().st_mtime >= started:
            text += f"failing input {artifact.name}, in base64: {base64.b64encode(artifact.read_bytes()[:4096]).decode()}\n"
    return text, False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    seconds = int(os.environ.get("CAPI_FUZZ_SECONDS", options.seconds))
    targets = [path.stem for path in sorted((ROOT / "src").rglob("*_fuzz.cc")) if options.only in path.stem]
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for text, ok in pool.map(lambda target: fuzz(options.build.resolve(), target, seconds), targets):
            print(text, flush=True)
            passed += ok
    print(f"{passed} passed, {len(targets) - passed} failed")
    return 0 if targets and passed == len(targets) else 1


if __name__ == "__main__":
    sys.exit(main())
