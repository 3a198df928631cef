"""Calls of Python formulas per second: a py_calc node over many rows against the same loop in plain Python.

  .venv/bin/python bench/python_calls.py --capi build/release/capi [--rows 2000000] [--threads 2] [--python PATH]

Prints the processor time per call of the plain loop, and for the node: calls per second, and the processor time per call of the engine and its
workers together (starting the interpreters, reading the columns, the exchange, checking types, storing the results) as a multiple of the
plain loop's. The time of a run that only reads the file is taken off. Each repeat measures the plain loop (in as many processes at once as the
node has threads, because cores share caches and clock), then the run; the multiples are those of each repeat, and their median is what counts.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

SCRIPT = """
nodes:
  read:
    type: file_table
    r:
      urls: [in.csv]
      csv: {hdr_line_idx: 0, first_data_line_idx: 1}
      columns:
        width: {csv: {col_hdr: width}, col_type: float}
        height: {csv: {col_hdr: height}, col_type: int}
    w:
      name: t
      fields:
        width: {expression: r.width, type: float}
        height: {expression: r.height, type: int}
  calc:
    type: table_custom_tfm_table
    custom_proc_type: py_calc
    r: {table: t}
    p:
      python_code_urls: [formulas.py]
      calculated_fields:
        area: {expression: "area(r.width, r.height)", type: float}
    w:
      name: areas
      fields:
        area: {expression: p.area, type: float}
dependency_policies:
  p:
    is_default: true
    rules:
      - {cmd: go, expression: "nrs.node_status == wfmodel.NodeBatchSuccess"}
      - {cmd: nogo, expression: "nrs.node_status == wfmodel.NodeBatchFail"}
"""
FORMULAS = """
def area(width, height):
    return width * height + 0.5
"""
PLAIN = FORMULAS + """
import random, time
random.seed(1)
widths = [random.random() * 100 for _ in range(500000)]
heights = [random.randrange(1000) for _ in range(500000)]

def loop():
    result = []
    append = result.append
    for width, height in zip(widths, heights):
        append(area(width, height))
    return result

times = []
for _ in range(5):
    begin = time.process_time()
    loop()
    times.append(time.process_time() - begin)
print(min(times) / len(widths) * 1e9)
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--capi", required=True)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()

    def plain_loop():
        """Nanoseconds a call, mean of the processes."""
        processes = [subprocess.Popen([options.python, "-c", PLAIN], stdout=subprocess.PIPE, text=True) for _ in range(options.threads)]
        return statistics.mean(float(process.communicate()[0]) for process in processes)

    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "s.yaml").write_text(SCRIPT)
        (folder / "formulas.py").write_text(FORMULAS)
        with open(folder / "in.csv", "w") as file:
            file.write("width,height\n")
            file.writelines(f"{i * 7919 % 100000 / 1000},{i % 1000}\n" for i in range(options.rows))
        environment = {**os.environ, "CAPI_PYTHON": options.python}

        def run(keyspace, *arguments):
            """Node summaries, and processor seconds of the engine and its workers."""
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            process = subprocess.run([pathlib.Path(options.capi).resolve(), "run", "s.yaml", "--output", "json", "--data-dir", "data",
                                      "--threads", str(options.threads), "--keyspace", keyspace, *arguments], cwd=temp,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return {node["name"]: node for node in json.loads(process.stdout)["nodes"]}, used

        seconds, plain, used = [], [], []
        for repeat in range(options.repeat):
            plain.append(plain_loop())
            _, reading = run(f"read{repeat}", "--until", "read")
            nodes, both = run(f"calc{repeat}")
            seconds.append(nodes["calc"]["elapsed_ms"] / 1000)
            used.append((both - reading) / options.rows * 1e9)
        multiples = [mine / theirs for mine, theirs in zip(used, plain)]
        print(f"py_calc, {options.threads} threads: {options.rows / statistics.median(seconds) / 1e6:.2f} M calls/s median of {options.repeat}, "
              f"{options.rows / min(seconds) / 1e6:.2f} best")
        print(f"processor time of a call, median: plain loop {statistics.median(plain):.0f} ns, py_calc {statistics.median(used):.0f} ns")
        print(f"py_calc to plain loop: {statistics.median(multiples):.2f} times ({min(multiples):.2f} to {max(multiples):.2f})")


if __name__ == "__main__":
    main()
