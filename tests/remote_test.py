"""Runs over https, sftp and s3 against real servers on loopback. Prints "N passed, N failed, N skipped".

  remote_test.py --capi BINARY [--only TEXT]

Servers: Python's https server with a CA made here, OpenSSH's sshd, moto's S3.
"""

import argparse
import contextlib
import getpass
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

import pyarrow
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED_DEMOS = ROOT.parent / "shared" / "demos"
ROWS = 60000


class Failure(Exception):
    pass


class Skipped(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process=None):
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process is not None and process.poll() is not None:
            raise Failure(f"server ended with {process.returncode}")
        time.sleep(0.1)
    raise Failure("server does not listen")


def quiet(command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


# ---- Servers

class HttpsServer:
    """Serves a folder with ranges and ETags. `behaviour` maps a path to a function(handler, number of the request)
    that returns True when it has answered."""

    def __init__(self, folder, root):
        self.root = root
        self.behaviour = {}
        self.counts = {}
        self.make_certificates(folder)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_HEAD(self):
                self.answer(False)

            def do_GET(self):
                self.answer(True)

            def answer(self, with_body):
                path = urllib.parse.unquote(self.path.split("?")[0])
                key = (self.command, path)
                outer.counts[key] = outer.counts.get(key, 0) + 1
                special = outer.behaviour.get(path)
                if special is not None and special(self, outer.counts[key]):
                    return
                file = outer.root / path.lstrip("/")
                if not file.is_file():
                    self.status(404)
                    return
                self.send_content(file.read_bytes(), with_body)

            def status(self, code, headers=()):
                self.send_response(code)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def send_content(self, content, with_body=True, cut=None, pause=0):
                etag = '"' + hashlib.md5(content).hexdigest() + '"'
                begin, end = 0, len(content)
                asked = self.headers.get("Range")
                if asked and self.headers.get("If-Range", etag) == etag:
                    first, last = asked.removeprefix("bytes=").split("-")
                    begin, end = int(first), min(int(last or end - 1) + 1, end)
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
                else:
                    self.send_response(200)
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(end - begin))
                self.end_headers()
                if not with_body:
                    return
                body = content[begin:end]
                with contextlib.suppress(OSError):
                    if cut is not None and len(body) > cut:
                        self.wfile.write(body[:cut])
                        self.close_connection = True
                        self.connection.shutdown(socket.SHUT_RDWR)
                        return
                    step = len(body) if not pause else 1 << 14
                    for at in range(0, len(body), step or 1):
                        self.wfile.write(body[at:at + step])
                        self.wfile.flush()
                        time.sleep(pause)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def make_certificates(self, folder):
        self.ca = folder / "ca"
        self.other_ca = folder / "other_ca"
        for ca in (self.ca, self.other_ca):
            ca.mkdir()
            quiet(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ca.name}",
                   "-keyout", folder / f"{ca.name}.key", "-out", ca / "root.pem"])
        quiet(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "server.key",
               "-out", folder / "server.csr"])
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        quiet(["openssl", "x509", "-req", "-in", folder / "server.csr", "-CA", self.ca / "root.pem", "-CAkey",
               folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder / "names", "-out", folder / "server.pem"])

    def url(self, path):
        return f"https://localhost:{self.port}/{path}"

    def reset(self):
        self.behaviour.clear()
        self.counts.clear()


class SftpServer:
    def __init__(self, folder, root):
        sshd = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if sshd is None:
            raise Failure("sshd is missing: scripts/setup test installs it")
        self.root = root
        self.user = getpass.getuser()
        self.port = free_port()
        self.key = folder / "id_ed25519"
        self.stranger = folder / "id_stranger"
        for key in (self.key, self.stranger, folder / "host_ed25519", folder / "other_host"):
            quiet(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        quiet(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", folder / "host_ecdsa"])
        (folder / "authorized").write_text((folder / "id_ed25519.pub").read_text())
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_ed25519\nHostKey {folder}/host_ecdsa\n"
            f"AuthorizedKeysFile {folder}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nPermitRootLogin yes\n"
            "Subsystem sftp internal-sftp\n")
        with contextlib.suppress(PermissionError):
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)  # the server insists when it is started by root
        self.process = subprocess.Popen([sshd, "-D", "-f", folder / "sshd_config", "-E", folder / "sshd.log"])
        wait_for_port(self.port, self.process)
        self.known = folder / "known_hosts"
        host_key = " ".join((folder / "host_ed25519.pub").read_text().split()[:2])
        other_key = " ".join((folder / "other_host.pub").read_text().split()[:2])
        name = f"[localhost]:{self.port}"
        self.known.write_text(f"other.example.com {other_key}\n{name} {host_key}\n")
        self.hashed = folder / "known_hashed"
        shutil.copy(self.known, self.hashed)
        quiet(["ssh-keygen", "-H", "-f", self.hashed])
        self.unknown = folder / "known_nothing"
        self.unknown.write_text(f"other.example.com {other_key}\n")
        self.changed = folder / "known_changed"
        self.changed.write_text(f"{name} {other_key}\n")

    def url(self, path):
        return f"sftp://{self.user}@localhost:{self.port}{self.root}/{path}"

    def close(self):
        self.process.terminate()
        self.process.wait()


class S3Server:
    bucket = "test-bucket"

    def __init__(self, folder):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        moto = pathlib.Path(sys.executable).parent / "moto_server"
        if not moto.exists():
            raise Failure("moto_server is missing: scripts/setup test installs it")
        self.process = subprocess.Popen([moto, "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL,
                                        stderr=(folder / "moto.log").open("w"))
        wait_for_port(self.port, self.process)
        self.client().create_bucket(Bucket=self.bucket)

    def client(self):
        import boto3
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="test-key",
                            aws_secret_access_key="test-secret")

    def url(self, path):
        return f"s3://{self.bucket}/{path}"

    def put(self, path, content):
        self.client().put_object(Bucket=self.bucket, Key=path, Body=content)

    def get(self, path):
        return self.client().get_object(Bucket=self.bucket, Key=path)["Body"].read()

    def uploads(self):
        return self.client().list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    def close(self):
        self.process.terminate()
        self.process.wait()


class World:
    def __init__(self, capi, folder):
        self.capi = str(pathlib.Path(capi).resolve())
        self.folder = folder
        self.web_root = folder / "web"
        self.sftp_root = folder / "sftp"
        for root in (self.web_root, self.sftp_root):
            root.mkdir()
        (folder / "https").mkdir()
        (folder / "ssh").mkdir()
        self.https = HttpsServer(folder / "https", self.web_root)
        self.sftp = SftpServer(folder / "ssh", self.sftp_root)
        try:
            self.s3 = S3Server(folder)
        except BaseException:
            self.sftp.close()
            raise

    def environment(self, extra=None):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CAPI_"))}
        return {**clean, "CAPI_CA_PATH": str(self.https.ca), "CAPI_PRIVATE_KEYS": f"{self.sftp.user}:{self.sftp.key}",
                "CAPI_KNOWN_HOSTS": str(self.sftp.known), "AWS_ENDPOINT_URL": self.s3.endpoint,
                "AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_REGION": "us-east-1",
                **(extra or {})}

    def run(self, script, work, *arguments, extra=None, timeout=300):
        process = subprocess.run([self.capi, "run", str(script), "--output", "json", "--data-dir", str(work / "data"),
                                  *arguments], cwd=work, env=self.environment(extra), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout)
        return process, json.loads(process.stdout) if process.stdout.startswith("{") else None

    def run_ok(self, script, work, *arguments, **options):
        process, summary = self.run(script, work, *arguments, **options)
        expect(process.returncode == 0, f"exit code {process.returncode}: {process.stderr}\n{process.stdout[-3000:]}")
        return summary

    def close(self):
        self.sftp.close()
        self.s3.close()


# ---- Stores: where inputs come from and outputs go to

class LocalStore:
    def __init__(self, folder):
        self.folder = folder

    def url(self, path):
        return str(self.folder / path)

    def put(self, path, content):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)

    def get(self, path):
        return (self.folder / path).read_bytes()

    def leftovers(self):
        return [path for path in self.folder.rglob("*") if ".capi-" in path.name]

    def remove_leftovers(self):
        for path in self.leftovers():
            path.unlink()

    def remove(self, path):
        (self.folder / path).unlink(missing_ok=True)


class SftpStore(LocalStore):
    def __init__(self, world):
        super().__init__(world.sftp_root)
        self.world = world

    def url(self, path):
        return self.world.sftp.url(path)


class HttpsStore(LocalStore):
    def __init__(self, world):
        super().__init__(world.web_root)
        self.world = world

    def url(self, path):
        return self.world.https.url(path)


class S3Store:
    def __init__(self, world):
        self.server = world.s3

    def url(self, path):
        return self.server.url(path)

    def put(self, path, content):
        self.server.put(path, content)

    def get(self, path):
        return self.server.get(path)

    def leftovers(self):
        return self.server.uploads()

    def remove_leftovers(self):
        for upload in self.leftovers():
            self.server.client().abort_multipart_upload(Bucket=self.server.bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def remove(self, path):
        self.server.client().delete_object(Bucket=self.server.bucket, Key=path)


def some_csv(rows=ROWS, first=0):
    return ("id,name\n" + "".join(f"{i},name {i * 7919 % 10007}\n" for i in range(first, first + rows))).encode()


def copy_script(urls, target, name_format="%s"):
    """Reads files of id and name, writes them back sorted."""
    return {
        "nodes": {
            "read": {
                "type": "file_table",
                "r": {"urls": urls, "csv": {"hdr_line_idx": 0, "first_data_line_idx": 1},
                      "columns": {"id": {"csv": {"col_hdr": "id"}, "col_type": "int"},
                                  "name": {"csv": {"col_hdr": "name"}, "col_type": "string"}}},
                "w": {"name": "t", "fields": {"id": {"expression": "r.id", "type": "int"},
                                              "name": {"expression": "r.name", "type": "string"}}}},
            "write": {
                "type": "table_file",
                "r": {"table": "t"},
                "w": {"url_template": target, "top": {"order": "id"},
                      "columns": [{"csv": {"header": "id", "format": "%d"}, "name": "id", "expression": "r.id", "type": "int"},
                                  {"csv": {"header": "name", "format": name_format}, "name": "name",
                                   "expression": "r.name", "type": "string"}]}}},
        "dependency_policies": {
            "current": {
                "is_default": True,
                "event_priority_order": "run_is_current(desc), run_id(desc)",
                "rules": [{"cmd": command, "expression": f"nrs.run_is_current == true && nrs.node_status == wfmodel.NodeBatch{status}"}
                          for command, status in (("go", "Success"), ("wait", "None"), ("wait", "Start"), ("nogo", "Fail"))]}},
    }


def expected_copy(*contents):
    """What copy_script writes."""
    rows = [line for content in contents for line in content.decode().splitlines()[1:]]
    rows.sort(key=lambda line: int(line.split(",")[0]))
    return ("id,name\r\n" + "".join(row + "\n" for row in rows)).encode()


def write_script(work, script):
    path = work / "script.json"
    path.write_text(json.dumps(script))
    return path


@contextlib.contextmanager
def work_folder(world):
    world.https.reset()
    with tempfile.TemporaryDirectory(dir=world.folder) as temp:
        yield pathlib.Path(temp)


def fails_with(world, script, work, error_class, *texts, extra=None):
    process, summary = world.run(script, work, extra=extra)
    expect(process.returncode != 0, "expected to fail")
    # Some errors are found before the run, some in its nodes.
    if summary is None:
        text = process.stderr
        expect(f"[{error_class}]" in text, f"expected [{error_class}]: {text}")
    else:
        errors = [node["error"] for node in summary["nodes"] if "error" in node]
        expect(errors and errors[0]["class"] == error_class, f"expected {error_class}: {errors} {process.stderr}")
        text = errors[0]["text"]
    for part in texts:
        expect(part in text, f"expected {part!r} in: {text}")
    everything = process.stdout + process.stderr
    expect("test-secret" not in everything and "pass-word" not in everything, "a secret is shown")
    return text


# ---- Tests

def round_trip(world, source, target, path):
    with work_folder(world) as work:
        content = some_csv()
        source.put(f"in/{path}.csv", content)
        script = write_script(work, copy_script([source.url(f"in/{path}.csv")], target.url(f"out/new/{path}.csv")))
        if isinstance(target, LocalStore):
            (target.folder / "out/new").mkdir(parents=True, exist_ok=True)
        summary = world.run_ok(script, work)
        expect(target.get(f"out/new/{path}.csv") == expected_copy(content), "another result")
        expect(not target.leftovers(), f"left over: {target.leftovers()}")
        record = summary["inputs"][0]
        expect(record["node"] == "read" and record["size"] == len(content), record)
        expect(record["sha256"] == hashlib.sha256(content).hexdigest(), record)
        expect("mtime" in record or "etag" in record, record)
        # Again, over the first result.
        world.run_ok(script, work, "--new-run")
        expect(target.get(f"out/new/{path}.csv") == expected_copy(content), "another result the second time")


def test_https_to_sftp(world):
    round_trip(world, HttpsStore(world), SftpStore(world), "a")


def test_sftp_to_s3(world):
    round_trip(world, SftpStore(world), S3Store(world), "b c+d")


def test_s3_to_local(world):
    round_trip(world, S3Store(world), LocalStore(world.folder / "local"), "é")


def test_s3_to_s3_with_large_parts(world):
    """More than one part of a multipart upload, and a resumed read of some size."""
    with work_folder(world) as work:
        content = some_csv(1200000)
        store = S3Store(world)
        store.put("large.csv", content)
        world.run_ok(write_script(work, copy_script([store.url("large.csv")], store.url("large_out.csv"))), work)
        expect(store.get("large_out.csv") == expected_copy(content), "another result")
        expect(not store.leftovers(), "an upload is left over")


def test_s3_by_virtual_host_address(world):
    with work_folder(world) as work:
        store = S3Store(world)
        content = some_csv(10)
        store.put("vh/in.csv", content)
        base = f"https://{world.s3.bucket}.s3.us-east-1.amazonaws.com/vh/"
        world.run_ok(write_script(work, copy_script([base + "in.csv"], base + "out.csv")), work)
        expect(store.get("vh/out.csv") == expected_copy(content), "another result")


def test_s3_credentials_of_the_shared_files(world):
    """Through the credentials chain of Arrow's S3 library."""
    with work_folder(world) as work:
        store = S3Store(world)
        content = some_csv(10)
        store.put("chain.csv", content)
        (work / "credentials").write_text("[special]\naws_access_key_id = test-key\naws_secret_access_key = test-secret\n")
        (work / "config").write_text("[profile special]\nregion = us-east-1\n")
        script = write_script(work, copy_script([store.url("chain.csv")], str(work / "out.csv")))
        world.run_ok(script, work, extra={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "",
                                          "AWS_PROFILE": "special", "AWS_SHARED_CREDENTIALS_FILE": str(work / "credentials"),
                                          "AWS_CONFIG_FILE": str(work / "config"), "AWS_EC2_METADATA_DISABLED": "true"})
        expect((work / "out.csv").read_bytes() == expected_copy(content), "another result")


def parquet_bytes(columns, row_group_rows):
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink, row_group_size=row_group_rows, compression="snappy")
    return sink.getvalue()


def parquet_copy_script(url, target, fields=("id", "name")):
    """Reads a Parquet file, writes the fields back as Parquet."""
    script = copy_script([url], target)
    types = {"id": "int", "name": "string"}
    script["nodes"]["read"]["r"] = {"urls": [url], "columns": {
        field: {"parquet": {"col_name": field}, "col_type": types[field]} for field in types}}
    script["nodes"]["read"]["w"]["fields"] = {field: {"expression": f"r.{field}", "type": types[field]} for field in fields}
    script["nodes"]["write"]["w"] = {"url_template": target, "top": {"order": "id"}, "columns": [
        {"parquet": {"column_name": field}, "name": field, "expression": f"r.{field}", "type": types[field]} for field in fields]}
    return script


def parquet_round_trip(world, source, target):
    with work_folder(world) as work:
        columns = {"id": list(range(ROWS)), "name": [f"name {i * 7919 % 10007}" for i in range(ROWS)]}
        source.put("in/a.parquet", parquet_bytes(columns, ROWS // 3))
        script = write_script(work, parquet_copy_script(source.url("in/a.parquet"), target.url("out/a.parquet")))
        if isinstance(target, LocalStore):
            (target.folder / "out").mkdir(parents=True, exist_ok=True)
        summary = world.run_ok(script, work)
        written = pyarrow.parquet.read_table(io.BytesIO(target.get("out/a.parquet"))).to_pydict()
        expect(written == columns, "another result")
        expect(not target.leftovers(), f"left over: {target.leftovers()}")
        expect(summary["inputs"][0]["size"] == len(source.get("in/a.parquet")), summary["inputs"])


def test_parquet_from_https_to_sftp(world):
    parquet_round_trip(world, HttpsStore(world), SftpStore(world))


def test_parquet_from_sftp_to_s3(world):
    parquet_round_trip(world, SftpStore(world), S3Store(world))


def test_parquet_from_s3_to_local(world):
    parquet_round_trip(world, S3Store(world), LocalStore(world.folder / "local"))


def test_unused_columns_of_a_remote_parquet_file_are_not_fetched(world):
    with work_folder(world) as work:
        rows = 20000
        columns = {"id": list(range(rows)), "name": [hashlib.sha256(str(i).encode()).hexdigest() for i in range(rows)]}
        content = parquet_bytes(columns, rows // 2)
        source = HttpsStore(world)
        source.put("wide.parquet", content)
        fetched = []

        def count(handler, _):
            asked = handler.headers.get("Range")
            if handler.command == "GET":
                first, last = asked.removeprefix("bytes=").split("-") if asked else (0, len(content) - 1)
                fetched.append(int(last) - int(first) + 1)
            return False

        world.https.behaviour["/wide.parquet"] = count
        script = write_script(work, parquet_copy_script(source.url("wide.parquet"), str(work / "out.parquet"), ("id",)))
        world.run_ok(script, work)
        expect(pyarrow.parquet.read_table(work / "out.parquet").to_pydict() == {"id": columns["id"]}, "another result")
        expect(0 < sum(fetched) < len(content) / 3, f"{sum(fetched)} of {len(content)} bytes fetched: {fetched}")
        # The server has another file now: neither mixed nor taken for a damaged one.
        served = {"n": 0}

        def change(handler, _):
            served["n"] += handler.command == "GET"
            if served["n"] > 2:
                handler.send_content(content[:-1] + b"x", handler.command == "GET")
                return True
            return False

        world.https.behaviour["/wide.parquet"] = change
        fails_with(world, script, work, "input_changed", "wide.parquet")


def test_new_script_for_remote_and_packed_files(world):
    with work_folder(world) as work:
        source = HttpsStore(world)
        source.put("people.csv.gz", gzip.compress(some_csv(500)))
        # Longer than what is looked at: its end is cut off inside of a record.
        source.put("long.csv", some_csv(4_500_000))
        source.put("people.parquet", parquet_bytes({"id": [1, 2], "name": ["a", "b"]}, 1))
        for name, notes in (("people.csv.gz", "500 rows, 2 columns; unique: id"), ("long.csv", "rows (sampled), 2 columns"),
                            ("people.parquet", "2 rows, 2 columns; unique: id")):
            process = subprocess.run([world.capi, "new-script", source.url(name)], cwd=work, env=world.environment(),
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            expect(process.returncode == 0 and notes in process.stderr and "changes" not in process.stderr, process.stderr)
            columns = json.loads(process.stdout)["nodes"]["read_file"]["r"]["columns"]
            expect({key: column["col_type"] for key, column in columns.items()} == {"id": "int", "name": "string"}, columns)
            if name == "long.csv":
                continue
            (work / "s.json").write_text(process.stdout)
            world.run_ok(work / "s.json", work)
        expect(gzip.decompress((work / "people_copy.csv.gz").read_bytes()).replace(b"\r\n", b"\n") == some_csv(500), "another copy")


def test_empty_results(world):
    with work_folder(world) as work:
        for store in (SftpStore(world), S3Store(world)):
            store.put("empty.csv", b"id,name\n")
            script = write_script(work, copy_script([store.url("empty.csv")], store.url("empty_out.csv")))
            world.run_ok(script, work, "--new-run")
            expect(store.get("empty_out.csv") == b"id,name\r\n", "another result")


def test_scripts_parameters_criteria_and_python_come_from_anywhere(world):
    with work_folder(world) as work:
        content = some_csv(100)
        for store in (HttpsStore(world), SftpStore(world), S3Store(world)):
            store.put("cfg/in.csv", content)
            script = copy_script(["{input|string}"], "{output|string}")
            store.put("cfg/script.json", json.dumps(script).encode())
            store.put("cfg/params.json", json.dumps(
                {"input": store.url("cfg/in.csv"), "output": str(work / "out.csv")}).encode())
            world.run_ok(store.url("cfg/script.json"), work, "--params", store.url("cfg/params.json"), "--keyspace", "anywhere",
                         "--new-run")
            expect((work / "out.csv").read_bytes() == expected_copy(content), "another result")
            (work / "out.csv").unlink()


def test_compressed_files(world):
    with work_folder(world) as work:
        content = some_csv()
        half = content.index(b"\n", len(content) // 2) + 1
        packed = gzip.compress(content[:half]) + gzip.compress(content[half:])
        store = LocalStore(work)
        store.put("in.csv.gz", packed)
        HttpsStore(world).put("in.csv.gz", packed)
        for url in (store.url("in.csv.gz"), world.https.url("in.csv.gz")):
            for ending in ("gz", "zst"):
                results = []
                for threads in ("1", "4"):
                    script = write_script(work, copy_script([url], str(work / f"out.csv.{ending}")))
                    summary = world.run_ok(script, work, "--new-run", "--threads", threads)
                    expect(summary["inputs"][0]["sha256"] == hashlib.sha256(packed).hexdigest(), summary["inputs"])
                    results.append((work / f"out.csv.{ending}").read_bytes())
                expect(results[0] == results[1], "other bytes with other threads")
                if ending == "gz":
                    expect(gzip.decompress(results[0]) == expected_copy(content), "another result")
        # What we packed reads back.
        script = write_script(work, copy_script([str(work / "out.csv.zst")], str(work / "back.csv")))
        world.run_ok(script, work, "--new-run")
        expect((work / "back.csv").read_bytes() == expected_copy(content), "zst does not read back")
        store.put("cut.csv.gz", packed[:-20])
        fails_with(world, write_script(work, copy_script([store.url("cut.csv.gz")], str(work / "no.csv"))), work,
                   "corrupt_file", "cut.csv.gz", "ends early")
        store.put("none.csv.zst", content)
        fails_with(world, write_script(work, copy_script([store.url("none.csv.zst")], str(work / "no.csv"))), work,
                   "corrupt_file", "none.csv.zst")
        expect(not (work / "no.csv").exists(), "an output of a failed node")


def test_memory_stays_bounded_when_streaming(world):
    """A packed input far larger than the memory that may be used for it."""
    with work_folder(world) as work:
        line = b"1," + b"x" * 998 + b"\n"
        with gzip.open(work / "big.csv.gz", "wb", compresslevel=1) as file:
            file.write(b"id,name\n")
            for _ in range(800):
                file.write(line * 1000)
        script = copy_script([str(work / "big.csv.gz")], str(work / "out.csv"))
        del script["nodes"]["write"]["w"]["top"]
        script["nodes"]["read"]["w"]["having"] = "w.id > 1"
        path = write_script(work, script)
        process = subprocess.run(["/usr/bin/env", "python3", "-c",
                                  "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
                                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)",
                                  world.capi, "run", str(path), "--data-dir", str(work / "data"), "--memory-limit", "256MiB",
                                  "--threads", "2"], env=world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        expect(process.returncode == 0, process.stderr)
        resident = int(process.stdout.splitlines()[-1]) >> 10
        print(f"   800 MB of text from a gzip file: {resident} MiB resident at most")
        expect(resident < 400, f"{resident} MiB resident")


def test_globs(world):
    with work_folder(world) as work:
        for store in (LocalStore(work), SftpStore(world), S3Store(world)):
            contents = {}
            for number, name in enumerate(("m/b.csv", "m/a.csv", "n/c.csv", "m/a10.csv")):
                contents[name] = some_csv(10, first=100 * number)
                store.put(f"glob/{name}", contents[name])
            store.put("glob/m/skip.txt", b"no")
            script = write_script(work, copy_script([store.url("glob/*/*.csv")], str(work / "out.csv")))
            summary = world.run_ok(script, work, "--new-run")
            expect([record["url"].split("glob/")[1] for record in summary["inputs"]] ==
                   ["m/a.csv", "m/a10.csv", "m/b.csv", "n/c.csv"], summary["inputs"])
            expect(summary["nodes"][0]["batches_total"] == 4, summary["nodes"])
            expect((work / "out.csv").read_bytes() == expected_copy(*contents.values()), "another result")
            script = write_script(work, copy_script([store.url("glob/*.nothing")], str(work / "out.csv")))
            fails_with(world, script, work, "no_match", "*.nothing")


def test_a_resumed_run_uses_the_files_it_began_with(world):
    with work_folder(world) as work:
        store = LocalStore(work / "in")
        first = some_csv(10)
        store.put("a.csv", first)
        script = write_script(work, copy_script([store.url("*.csv")], str(work / "out.csv")))
        process, _ = world.run(script, work, extra={"CAPI_FAULT": "service.after_create_run:kill"})
        expect(process.returncode == 85, f"exit code {process.returncode}")
        store.put("b.csv", some_csv(10, first=100))
        summary = world.run_ok(script, work)
        expect(summary["resumed"] and len(summary["inputs"]) == 1, summary["inputs"])
        expect((work / "out.csv").read_bytes() == expected_copy(first), "another result")
        summary = world.run_ok(script, work, "--new-run")
        expect(len(summary["inputs"]) == 2, summary["inputs"])


def test_bad_servers(world):
    with work_folder(world) as work:
        content = some_csv()
        HttpsStore(world).put("in.csv", content)
        script = write_script(work, copy_script([world.https.url("in.csv")], str(work / "out.csv")))

        def check(what):
            world.run_ok(script, work, "--new-run")
            expect((work / "out.csv").read_bytes() == expected_copy(content), f"another result: {what}")

        world.https.behaviour["/in.csv"] = lambda handler, number: number <= 2 and not handler.status(500)
        check("500, then fine")
        world.https.reset()

        def cut(handler, number):
            if handler.command == "HEAD" or number > 3:
                return False
            handler.send_content(content, cut=200000)
            return True
        world.https.behaviour["/in.csv"] = cut
        check("cut three times")
        expect(world.https.counts[("GET", "/in.csv")] >= 4, world.https.counts)
        world.https.reset()

        def slow(handler, number):
            if handler.command == "HEAD":
                return False
            handler.send_content(content, pause=0.01)
            return True
        world.https.behaviour["/in.csv"] = slow
        check("slow")
        world.https.reset()

        world.https.behaviour["/moved.csv"] = lambda handler, number: not handler.status(
            302, [("Location", world.https.url("in.csv"))])
        script = write_script(work, copy_script([world.https.url("moved.csv")], str(work / "out.csv")))
        check("redirected")
        world.https.behaviour["/moved.csv"] = lambda handler, number: not handler.status(
            302, [("Location", "http://localhost/in.csv")])
        fails_with(world, script, work, "bad_redirect")


def test_refusals_of_https(world):
    with work_folder(world) as work:
        HttpsStore(world).put("in.csv", some_csv(10))
        missing = write_script(work, copy_script([world.https.url("missing.csv")], str(work / "out.csv")))
        fails_with(world, missing, work, "file_not_found", "missing.csv", "404")
        world.https.behaviour["/denied.csv"] = lambda handler, number: not handler.status(403)
        secret = world.https.url("denied.csv?token=pass-word").replace("https://", "https://joe:pass-word@")
        denied = write_script(work, copy_script([secret], str(work / "out.csv")))
        fails_with(world, denied, work, "access_denied", "denied.csv")
        script = write_script(work, copy_script([world.https.url("in.csv")], str(work / "out.csv")))
        fails_with(world, script, work, "untrusted_server", extra={"CAPI_CA_PATH": str(world.https.other_ca)})
        fails_with(world, script, work, "untrusted_server", extra={"CAPI_CA_PATH": ""})
        script = write_script(work, copy_script([world.https.url("in.csv")], world.https.url("out.csv")))
        fails_with(world, script, work, "unsupported_scheme")


def test_inputs_that_change_while_they_are_read(world):
    with work_folder(world) as work:
        content, other = some_csv(), some_csv(first=5)

        def change(handler, number):
            if handler.command == "HEAD":
                return False
            handler.send_content(content if number == 1 else other, cut=200000 if number == 1 else None)
            return True
        HttpsStore(world).put("in.csv", content)
        world.https.behaviour["/in.csv"] = change
        script = write_script(work, copy_script([world.https.url("in.csv")], str(work / "out.csv")))
        fails_with(world, script, work, "input_changed", "in.csv")
        expect(not (work / "out.csv").exists(), "an output of a failed run")


def test_inputs_that_change_before_a_run_is_resumed(world):
    for store in (SftpStore(world), S3Store(world), HttpsStore(world)):
        with work_folder(world) as work:
            store.put("in.csv", some_csv(10))
            script = write_script(work, copy_script([store.url("in.csv")], str(work / "out.csv")))
            process, _ = world.run(script, work, extra={"CAPI_FAULT": "workflow.after_claim:kill"})
            expect(process.returncode == 85, f"exit code {process.returncode}")
            store.put("in.csv", some_csv(11))
            fails_with(world, script, work, "input_changed", "in.csv")


def test_refusals_of_sftp(world):
    with work_folder(world) as work:
        store = SftpStore(world)
        content = some_csv(10)
        store.put("in.csv", content)
        script = write_script(work, copy_script([store.url("in.csv")], str(work / "out.csv")))
        world.run_ok(script, work, extra={"CAPI_KNOWN_HOSTS": str(world.sftp.hashed)})
        fails_with(world, script, work, "unknown_host_key", f"localhost:{world.sftp.port}", "SHA256:",
                   extra={"CAPI_KNOWN_HOSTS": str(world.sftp.unknown)})
        fails_with(world, script, work, "unknown_host_key", extra={"CAPI_KNOWN_HOSTS": str(work / "missing")})
        fails_with(world, script, work, "host_key_changed", "SHA256:",
                   extra={"CAPI_KNOWN_HOSTS": str(world.sftp.changed)})
        fails_with(world, script, work, "no_private_key", world.sftp.user, extra={"CAPI_PRIVATE_KEYS": "nobody:/x"})
        fails_with(world, script, work, "no_private_key", "/missing",
                   extra={"CAPI_PRIVATE_KEYS": f"{world.sftp.user}:/missing"})
        fails_with(world, script, work, "access_denied",
                   extra={"CAPI_PRIVATE_KEYS": f"{world.sftp.user}:{world.sftp.stranger}"})
        missing = write_script(work, copy_script([store.url("missing.csv")], str(work / "out.csv")))
        fails_with(world, missing, work, "file_not_found", "missing.csv")
        folder = write_script(work, copy_script([store.url("in")], str(work / "out.csv")))
        (world.sftp_root / "in").mkdir(exist_ok=True)
        fails_with(world, folder, work, "not_a_file")
        no_user = write_script(work, copy_script([f"sftp://localhost:{world.sftp.port}/x"], str(work / "out.csv")))
        fails_with(world, no_user, work, "bad_address")
        target = write_script(work, copy_script([store.url("in.csv")], store.url("in")))
        fails_with(world, target, work, "target_not_a_file")


def test_refusals_of_s3(world):
    with work_folder(world) as work:
        store = S3Store(world)
        store.put("in.csv", some_csv(10))
        for url in (store.url("missing.csv"), "s3://no-such-bucket/in.csv"):
            fails_with(world, write_script(work, copy_script([url], str(work / "out.csv"))), work, "file_not_found", url)
        target = write_script(work, copy_script([store.url("in.csv")], "s3://no-such-bucket/out.csv"))
        fails_with(world, target, work, "file_not_found", "no-such-bucket")


def kills(world, store, points):
    """A run that is killed at each point, then the same command: the result of an undisturbed run, nothing left over."""
    with work_folder(world) as work:
        source = LocalStore(work)
        content = some_csv(900000)  # more than one part of an upload
        source.put("in.csv", content)
        script = write_script(work, copy_script([source.url("in.csv")], store.url("killed/out.csv")))
        if type(store) is LocalStore:
            (store.folder / "killed").mkdir(parents=True)
        for point in points:
            store.remove("killed/out.csv")
            process, _ = world.run(script, work, "--new-run", extra={"CAPI_FAULT": point})
            expect(process.returncode == 85, f"{point}: exit code {process.returncode}: {process.stderr}")
            world.run_ok(script, work)
            expect(store.get("killed/out.csv") == expected_copy(content), f"{point}: another result")
            expect(not store.leftovers(), f"{point}: left over: {store.leftovers()}")


COMMON_KILLS = ("workflow.after_plan_file:kill", "sink.before_sync:kill", "sink.after_sync:kill",
                "workflow.after_commit:kill:2", "sink.before_rename:kill", "sink.after_rename:kill")


def test_kills_while_writing_to_sftp(world):
    kills(world, SftpStore(world), COMMON_KILLS)


def test_kills_while_writing_to_s3(world):
    kills(world, S3Store(world), (*COMMON_KILLS, "sink.upload_begun:kill", "workflow.after_plan_file:kill:2"))


def test_kill_nine_in_the_middle_of_an_upload(world):
    for store in (SftpStore(world), S3Store(world)):
        with work_folder(world) as work:
            source = LocalStore(work)
            content = some_csv(2000000)
            source.put("in.csv", content)
            script = write_script(work, copy_script([source.url("in.csv")], store.url("nine/out.csv")))
            store.remove("nine/out.csv")
            process = subprocess.Popen([world.capi, "run", str(script), "--data-dir", str(work / "data")], cwd=work,
                                       env=world.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while not store.leftovers() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            world.run_ok(script, work)
            expect(store.get("nine/out.csv") == expected_copy(content), "another result")
            expect(not store.leftovers(), f"left over: {store.leftovers()}")


def test_sealed_outputs_that_somebody_removed(world):
    """The node fails by name; the keyspace goes on."""
    for store in (SftpStore(world), S3Store(world)):
        with work_folder(world) as work:
            (work / "in.csv").write_bytes(some_csv(100))
            script = write_script(work, copy_script(["in.csv"], store.url("lost/out.csv")))
            process, _ = world.run(script, work, extra={"CAPI_FAULT": "workflow.before_publish:kill"})
            expect(process.returncode == 85 and store.leftovers(), f"exit code {process.returncode}: {process.stderr}")
            store.remove_leftovers()
            fails_with(world, script, work, "output_lost", "lost/out.csv")
            world.run_ok(script, work, "--new-run")
            expect(store.get("lost/out.csv") == expected_copy(some_csv(100)), "another result")
            expect(not store.leftovers(), f"left over: {store.leftovers()}")


def test_an_upload_whose_server_goes_away_fails_and_is_resumed(world):
    with work_folder(world) as work:
        source = LocalStore(work)
        content = some_csv(100)
        source.put("in.csv", content)
        script = write_script(work, copy_script([source.url("in.csv")], S3Store(world).url("away/out.csv")))
        nobody = f"http://127.0.0.1:{free_port()}"
        process, summary = world.run(script, work, extra={"AWS_ENDPOINT_URL": nobody})
        expect(process.returncode == 1, f"exit code {process.returncode}")
        errors = [node["error"] for node in summary["nodes"] if "error" in node]
        expect(errors[0]["kind"] == "retriable" and "tries" in errors[0]["text"], errors)


def normalized(content):
    return [line.rstrip() for line in content.decode().splitlines()]


def parity_of_tag_and_denormalize(world, source, target):
    base = SHARED_DEMOS / "tag_and_denormalize"
    if not base.exists():
        raise Skipped("the original's demos are not beside this checkout")
    with work_folder(world) as work:
        for kind in ("cfg", "in"):
            for file in (base / kind).iterdir():
                source.put(f"demo/{kind}/{file.name}", file.read_bytes())
        parameters = json.loads((base / "cfg/script_params_fs_one.json").read_text())
        parameters["dir_cfg"] = source.url("demo/cfg")
        parameters["dir_in"] = source.url("demo/in")
        parameters["dir_out"] = target.url("demo/out")
        source.put("demo/cfg/params.json", json.dumps(parameters).encode())
        if type(target) is LocalStore:
            (target.folder / "demo/out").mkdir(parents=True)
        world.run_ok(source.url("demo/cfg/script.json"), work, "--params", source.url("demo/cfg/params.json"))
        for baseline in (base / "out").glob("*baseline*"):
            name = baseline.name.replace("_baseline", "")
            found, expected = normalized(target.get(f"demo/out/{name}")), normalized(baseline.read_bytes())
            if name.startswith("tagged_products"):
                found.sort(key=str.encode)
                expected.sort(key=str.encode)
            expect(found == expected, f"{name} differs")


def test_parity_tag_over_https(world):
    parity_of_tag_and_denormalize(world, HttpsStore(world), LocalStore(world.folder / "local"))


def test_parity_tag_over_sftp(world):
    parity_of_tag_and_denormalize(world, SftpStore(world), SftpStore(world))


def test_parity_tag_over_s3(world):
    parity_of_tag_and_denormalize(world, S3Store(world), S3Store(world))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--capi", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="capi_remote_") as temp:
        folder = pathlib.Path(temp)
        (folder / "local").mkdir()
        world = World(options.capi, folder)
        try:
            for name, test in list(globals().items()):
                if not name.startswith("test_") or options.only not in name:
                    continue
                started = time.monotonic()
                try:
                    test(world)
                    passed += 1
                    print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
                except Skipped as reason:
                    skipped += 1
                    print(f"skipped {name}: {reason}", flush=True)
                except Exception as error:
                    failed += 1
                    print(f"FAILED {name}: {error if isinstance(error, Failure) else traceback.format_exc()}", flush=True)
        finally:
            world.close()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
