"""Installs a build, moves it elsewhere and uses it there; the same with the tarball. Prints "N passed, N failed".

  install_test.py CAPI_BUILD_DIR
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHIPPED_LIBRARY = re.compile(r"^lib(arrow|parquet|qpid-proton|prometheus)")
COMMAND_TIMEOUT_SECONDS = 120


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def run(command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=options.pop("timeout", COMMAND_TIMEOUT_SECONDS), **options)


def checked(command, **options):
    process = run(command, **options)
    expect(process.returncode == 0, f"{command}: exit code {process.returncode}\n{process.stdout[-3000:]}{process.stderr[-3000:]}")
    return process.stdout


class Installation:
    """A folder with the program, used without anything that points to the build or to the wheel."""

    def __init__(self, folder):
        self.folder = folder
        self.program = folder / "bin" / "capi"

    def call(self, *arguments, cwd):
        """Standard output; the libraries that were loaded are checked."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "LC_ALL": "C", "TZ": "UTC",
                       "LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": f"{cwd}/loader"}
        output = checked([self.program, *arguments], cwd=cwd, env=environment)
        logs = list(pathlib.Path(cwd).glob("loader.*"))
        expect(logs, "the loader wrote no log")
        for log in logs:
            text = log.read_text()
            log.unlink()
            loaded = re.findall(r"calling init: (\S+)", text)
            expect(f"{self.folder}/lib/" in "\n".join(map(os.path.normpath, loaded)), f"no library of the folder was loaded: {loaded}")
            tried = re.findall(r"(?:trying file=|calling init: )(\S+)", text)
            foreign = [path for path in tried if SHIPPED_LIBRARY.match(os.path.basename(path))
                       and not os.path.normpath(path).startswith(f"{self.folder}/")]
            foreign += [path for path in tried if "/.venv/" in path or "/site-packages/" in path]
            expect(not foreign, f"looked for or loaded from outside of the folder: {foreign}")
        return output


def needed_libraries(file):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", checked(["readelf", "-d", file]))


# ---- The build

def test_no_symbols_of_static_libraries_are_exported(world):
    text = checked(["nm", "-D", "-C", world.build / "capi"])
    expect("arrow::" in text, "nm does not show what the program imports")
    exported = [line for line in checked(["nm", "-D", "-C", "--defined-only", world.build / "capi"]).splitlines()
                if re.search(r"\bre2::|\butf8proc|\bXXH|\bsqlite3_|\bYAML::|\bcapi_cql_|\brust_|\btokio::|\bamqp_", line)]
    expect(not exported, "\n".join(exported[:20]))


# ---- The installed folder

def test_folder_is_complete(world):
    names = {str(path.relative_to(world.installed.folder)) for path in world.installed.folder.rglob("*") if path.is_file()}
    documents = "share/doc/capillaries"
    for name in ("bin/capi", f"{documents}/README.md", f"{documents}/LICENSE", f"{documents}/docs/user-guide.md",
                 f"{documents}/examples/tutorial/script.yaml", f"{documents}/licenses/arrow/LICENSE.txt",
                 "share/bash-completion/completions/capi", "share/zsh/site-functions/_capi", "share/fish/vendor_completions.d/capi.fish",
                 "share/bash-completion/completions/capitoolbelt", "share/fish/vendor_completions.d/capitoolbelt.fish",
                 "share/bash-completion/completions/capidaemon", "share/fish/vendor_completions.d/capidaemon.fish",
                 f"{documents}/licenses/prometheus-cpp.txt", f"{documents}/licenses/boost.txt"):
        expect(name in names, f"missing: {name}")
    expect(os.access(world.installed.program, os.X_OK), "bin/capi is not executable")


def test_old_programs_are_links(world):
    for name in ("capitoolbelt", "capidaemon"):
        link = world.installed.folder / "bin" / name
        expect(link.is_symlink() and os.readlink(link) == "capi", f"bin/{name} is no link to capi")
    daemon = run([world.installed.folder / "bin" / "capidaemon"], cwd=world.scratch, env={"PATH": "/usr/bin:/bin", "HOME": str(world.scratch)})
    expect(daemon.returncode == 2 and "a daemon works on a cluster" in daemon.stderr, f"{daemon.returncode} {daemon.stderr}")


def test_licences_of_crates_are_shipped_with_the_cluster(world):
    path = world.installed.folder / "share/doc/capillaries/licenses/rust-crates.txt"
    if not (world.build / "driver").is_dir():
        expect(not path.exists(), "licences of crates that are not linked")
        return
    text = path.read_text()
    for crate in ("scylla 1.", "tokio 1.", "openssl 0."):
        expect(f"\n{crate}" in text, f"missing: {crate}")
    expect("Apache License" in text and "MIT" in text, "no texts of licences")


def test_libraries_are_exactly_those_needed(world):
    folder = world.installed.folder
    text = checked(["readelf", "-d", folder / "bin/capi"])
    expect(re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", text) == ["$ORIGIN/../lib"], text)
    reached, open_files = set(), [folder / "bin/capi"]
    while open_files:
        for name in needed_libraries(open_files.pop()):
            if SHIPPED_LIBRARY.match(name) and name not in reached:
                expect((folder / "lib" / name).is_file(), f"missing: lib/{name}")
                reached.add(name)
                open_files.append(folder / "lib" / name)
    found = {path.name for path in (folder / "lib").iterdir()}
    expect(found == reached, f"lib holds {sorted(found)}, needed are {sorted(reached)}")


def test_version(world):
    expect(re.fullmatch(r"capi \d+\.\d+\.\d+\n", world.installed.call("--version", cwd=world.scratch)), "version")


def test_eval(world):
    output = world.installed.call("eval", "r.x * 3", "--var", "r.x=decimal2:1.25", cwd=world.scratch)
    expect(output == "decimal2 3.75\n", output)


def test_regular_expressions_are_our_re2(world):
    for text, answer in (("caat", "true"), ("cbt", "false")):
        output = world.installed.call("eval", f're.MatchString("a+", "{text}")', cwd=world.scratch)
        expect(output == f"bool {answer}\n", output)


def test_run(world):
    folder = world.scratch / "tutorial"
    shutil.copytree(world.installed.folder / "share/doc/capillaries/examples/tutorial", folder)
    (folder / "out").mkdir()
    output = world.installed.call("run", "script.yaml", "--params", "params.yaml", "--data-dir", folder / "data", cwd=folder)
    expect("complete" in output, output)
    results = list((folder / "out").iterdir())
    expect(results and all(path.stat().st_size for path in results), f"results: {results}")


def test_completions_are_shell_scripts(world):
    share = world.installed.folder / "share"
    for shell, name in (("bash", "bash-completion/completions/capi"), ("zsh", "zsh/site-functions/_capi"),
                        ("fish", "fish/vendor_completions.d/capi.fish")):
        expect("validate" in (share / name).read_text(), f"{name} does not complete commands")
        if shutil.which(shell):
            checked([shell, "-n", share / name])


# ---- The tarball

def test_tarball(world):
    checked(["cmake", "--build", world.build, "--target", "package_tarball"], timeout=600)
    archives = list(world.build.glob("capillaries-*-linux-*.tar.gz"))
    expect(len(archives) == 1, f"archives: {archives}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(world.scratch / "tarball")
    name = archives[0].name.removesuffix(".tar.gz")
    expect([path.name for path in (world.scratch / "tarball").iterdir()] == [name], "one folder, called like the archive")
    unpacked = Installation(world.scratch / "tarball" / name)

    def files(folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    expect(files(unpacked.folder) == files(world.installed.folder), "the archive and the installed folder differ")
    output = unpacked.call("eval", 're.MatchString("a+", "caat")', cwd=world.scratch)
    expect(output == "bool true\n", output)


class World:
    def __init__(self, build, scratch):
        self.build = build
        self.scratch = scratch
        checked(["cmake", "--install", build, "--prefix", scratch / "first"])
        (scratch / "first").rename(scratch / "elsewhere")
        self.installed = Installation(scratch / "elsewhere")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        world = World(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(scratch).resolve())
        for name, test in [(name, test) for name, test in globals().items() if name.startswith("test_")]:
            try:
                test(world)
                passed += 1
            except Exception as error:
                failed += 1
                print(f"{name}: FAILED\n{error if isinstance(error, Failure) else traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
