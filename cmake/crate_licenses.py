"""Writes the licences of the crates that are linked into the Cassandra driver.

  crate_licenses.py CARGO MANIFEST OUTPUT
"""

import json
import pathlib
import re
import subprocess
import sys

PLATFORM = "x86_64-unknown-linux-gnu"
LICENSE_FILE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def linked_packages(metadata):
    """Those reached over ordinary dependencies, without our own crate and without what only runs in the compiler."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    reached, open_ids = set(), [root]
    while open_ids:
        for dependency in nodes[open_ids.pop()]["deps"]:
            ordinary = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if ordinary and dependency["pkg"] not in reached:
                reached.add(dependency["pkg"])
                open_ids.append(dependency["pkg"])
    packages = [package for package in metadata["packages"] if package["id"] in reached]
    return sorted(packages, key=lambda package: (package["name"], package["version"]))


def main():
    cargo, manifest, output = sys.argv[1:]
    metadata = json.loads(subprocess.run(
        [cargo, "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", PLATFORM, "--manifest-path", manifest],
        check=True, stdout=subprocess.PIPE, text=True).stdout)
    lines = ["Rust crates in this program, with the licences that their authors offer:", "",
             "The standard library of Rust: MIT OR Apache-2.0 (https://github.com/rust-lang/rust)"]
    owners = {}
    for package in linked_packages(metadata):
        name = f"{package['name']} {package['version']}"
        lines.append(f"{name}: {package['license'] or 'see its text below'} ({package['repository'] or 'crates.io'})")
        for path in sorted(pathlib.Path(package["manifest_path"]).parent.iterdir()):
            if path.is_file() and LICENSE_FILE.match(path.name):
                owners.setdefault(path.read_text(errors="replace").strip(), []).append(f"{name} {path.name}")
    for text, names in owners.items():
        lines += ["", "-" * 80, ", ".join(names), "", text]
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
