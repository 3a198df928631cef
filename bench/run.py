"""Runs bench/lookup.yaml in capi and the same pipeline in DuckDB and Polars, in turn, and prints medians as a Markdown table.

  run.py --capi build/release/capi [--orders 1000000] [--runs 5] [--threads 2] [--directory build/bench] [--engines capi,duckdb,polars]
         [--format csv|parquet]

Every program syncs what it writes before its clock stops. Hashes of the outputs are compared: of CSV files the bytes (line ends of the header
ignored), of Parquet files the values in row order.
"""

import argparse
import hashlib
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
OUTPUTS = ["items_inner", "items_left", "totals_inner", "totals_left"]


def value_hash(path):
    """Of a Parquet file: values as texts, so that physical types do not count."""
    import duckdb
    db = duckdb.connect()
    columns = db.execute(f"describe select * from '{path}'").fetchall()
    # Seconds only: the default of missing dates differs in milliseconds.
    texts = ", ".join(f"strftime({name}, '%Y-%m-%d %H:%M:%S')" if kind.startswith("TIMESTAMP") else f"{name}::varchar" for name, kind, *_ in columns)
    digest = hashlib.sha256()
    rows = db.execute(f"select concat_ws(',', {texts}) from '{path}'")
    while batch := rows.fetchmany(100000):
        digest.update("\n".join(row[0] for row in batch).encode() + b"\n")
    return digest.hexdigest()[:16]


def hashes(directory, file_format):
    result = {}
    for name in OUTPUTS:
        if file_format == "parquet":
            result[name] = value_hash(directory / f"{name}.parquet")
            continue
        digest = hashlib.sha256()
        with open(directory / f"{name}.csv", "rb") as file:
            digest.update(file.readline().rstrip(b"\r\n").replace(b'"', b"") + b"\n")
            while block := file.read(1 << 20):
                digest.update(block)
        result[name] = digest.hexdigest()[:16]
    return result


def sync_rate(directory):
    path = directory / "rate"
    block = os.urandom(1 << 20)
    started = time.perf_counter()
    with open(path, "wb") as file:
        for _ in range(256):
            file.write(block)
        file.flush()
        os.fdatasync(file.fileno())
    path.unlink()
    return 256 / (time.perf_counter() - started)


def measured(command):
    """Wall seconds, CPU seconds, peak MB and MB written of a child."""
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command}: {errors[-2000:]}")
    return (time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, usage.ru_oublock * 512 / 1e6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--capi", required=True)
    parser.add_argument("--orders", type=int, default=1000000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--memory-limit", default="")
    parser.add_argument("--directory", default="build/bench")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--engines", default="capi,duckdb,polars")
    options = parser.parse_args()
    base = pathlib.Path(options.directory) / str(options.orders)
    inputs = base / "in"
    parquet = options.format == "parquet"
    if not (inputs / f"items.{options.format}").exists():
        subprocess.run([sys.executable, HERE / "generate_lookup.py", "--orders", str(options.orders), "--directory", inputs,
                        *(["--parquet"] if parquet else [])], check=True)
    for path in inputs.glob(f"*.{options.format}"):
        path.read_bytes()  # warm cache
    peer_arguments = ["--format", options.format]
    commands = {
        "capi": [options.capi, "run", HERE / ("lookup_parquet.yaml" if parquet else "lookup.yaml"), "--params", HERE / "lookup_params.yaml", "--set", f"dir_in={inputs}", "--set",
                 f"dir_out={base}/capi", "--set", f"batches={options.batches}", "--threads", options.threads, "--data-dir", base / "data",
                 *(["--memory-limit", options.memory_limit] if options.memory_limit else [])],
        "duckdb": [sys.executable, HERE / "peers.py", "duckdb", "--in-dir", inputs, "--out-dir", base / "duckdb", "--threads", options.threads, *peer_arguments],
        "duckdb, any order": [sys.executable, HERE / "peers.py", "duckdb", "--any-order", "--in-dir", inputs, "--out-dir", base / "duckdb", "--threads",
                              options.threads, *peer_arguments],
        "polars": [sys.executable, HERE / "peers.py", "polars", "--in-dir", inputs, "--out-dir", base / "polars", "--threads", options.threads, *peer_arguments],
    }
    wanted = options.engines.split(",")
    results = {name: [] for name in commands if name.split(",")[0] in wanted}
    digests = {}
    for _ in range(options.runs):
        for name in results:
            output = base / name.split(",")[0]
            shutil.rmtree(output, ignore_errors=True)
            shutil.rmtree(base / "data", ignore_errors=True)
            output.mkdir(parents=True)
            os.sync()
            results[name].append(measured(commands[name]))
            digests[name] = hashes(output, options.format)
    print(f"orders {options.orders}, {options.runs} runs, {options.threads} threads, write + fdatasync {sync_rate(base):.0f} MB/s\n")
    print("| program | wall s (median) | wall s (all) | CPU s | peak MB | MB written | ratio |")
    print("|---|---|---|---|---|---|---|")
    reference = min((statistics.median(run[0] for run in runs) for name, runs in results.items() if name.startswith("duckdb")), default=None)
    for name, runs in results.items():
        wall, cpu, peak, written = (statistics.median(column) for column in zip(*runs))
        ratio = f"{wall / reference:.2f}" if reference else ""
        print(f"| {name} | {wall:.2f} | {', '.join(f'{run[0]:.1f}' for run in runs)} | {cpu:.1f} | {peak:.0f} | {written:.0f} | {ratio} |")
    first = next(iter(digests.values()))
    print()
    for name, digest in digests.items():
        print(f"{name}: " + ("same output as the first" if digest == first else f"OTHER OUTPUT {digest}, first {first}"))
    print("output hashes: " + ", ".join(f"{key} {value}" for key, value in first.items()))


if __name__ == "__main__":
    main()
