"""Parquet files between capi and pyarrow, DuckDB and Polars, in both directions. Prints "N passed, N failed, N skipped".

  parquet_test.py --capi BINARY [--full] [--only TEXT]
"""

import csv
import datetime
import decimal
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

import integration_test
from integration_test import SHARED_DEMOS, Skipped, expect

D = decimal.Decimal
ZERO_MOMENT = datetime.datetime(1, 1, 1)
FORMATS = {"int": "%d", "float": "%v", "string": "%s", "bool": "%t", "decimal2": "%s", "datetime": "2006-01-02T15:04:05.000"}
POLICIES = {"p": {"is_default": True, "event_priority_order": "run_is_current(desc), run_id(desc)", "rules": [
    {"cmd": "go", "expression": "nrs.node_status == wfmodel.NodeBatchSuccess"},
    {"cmd": "nogo", "expression": "nrs.node_status == wfmodel.NodeBatchFail"}]}}


# ---- Scripts that copy a file

def reader(urls, columns):
    """columns: field -> (name in the file, type, default text)."""
    return {"type": "file_table", "r": {"urls": [str(url) for url in urls], "columns": {
        field: {"col_type": kind, "parquet": {"col_name": name}, **({"col_default_value": default} if default else {})}
        for field, (name, kind, default) in columns.items()}},
        "w": {"name": "t", "fields": {field: {"expression": f"r.{field}", "type": kind} for field, (_, kind, _) in columns.items()}}}


def csv_writer(columns, url="out.csv"):
    return {"type": "table_file", "r": {"table": "t"}, "w": {"url_template": url, "columns": [
        {"name": field, "type": kind, "expression": f"r.{field}", "csv": {"header": field, "format": FORMATS[kind]}}
        for field, (_, kind, _) in columns.items()]}}


def parquet_writer(columns, url="out.parquet", codec="snappy", batches=1, **settings):
    return {"type": "table_file", "r": {"table": "t", "expected_batches_total": batches}, "w": {
        "url_template": url, "parquet": {"codec": codec}, **settings, "columns": [
            {"name": field, "type": kind, "expression": f"r.{field}", "parquet": {"column_name": name}}
            for field, (name, kind, _) in columns.items()]}}


def run_nodes(world, temp, *arguments, **nodes):
    (pathlib.Path(temp) / "s.json").write_text(json.dumps({"nodes": nodes, "dependency_policies": POLICIES}))
    return world.run("s.json", temp, temp + "/data", *arguments)


def must_run(world, temp, *arguments, **nodes):
    process, summary = run_nodes(world, temp, *arguments, **nodes)
    expect(process.returncode == 0, process.stderr + process.stdout[-2000:])
    return summary


def value_of(text, kind):
    """A cell of csv_writer as a Python value."""
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text.replace("Inf", "inf"))
    if kind == "bool":
        return {"true": True, "false": False}[text]
    if kind == "decimal2":
        return D(text)
    return datetime.datetime.fromisoformat(text) if kind == "datetime" else text


def read_by_capi(world, path, columns, *arguments):
    with tempfile.TemporaryDirectory() as temp:
        must_run(world, temp, *arguments, read=reader([path], columns), write=csv_writer(columns))
        with open(temp + "/out.csv", newline="") as file:
            rows = list(csv.reader(file))[1:]
    kinds = [kind for _, kind, _ in columns.values()]
    return [tuple(map(value_of, row, kinds)) for row in rows]


def same(left, right):
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


def expect_rows(found, wanted, what):
    expect(len(found) == len(wanted), f"{what}: {len(found)} rows, expected {len(wanted)}")
    for number, (row, wanted_row) in enumerate(zip(found, wanted)):
        for column, (value, wanted_value) in enumerate(zip(row, wanted_row)):
            expect(same(value, wanted_value), f"{what}: row {number}, column {column}: found {value!r}, expected {wanted_value!r}")


# ---- Inputs of other programs

ZERO = {"int": 0, "float": 0.0, "string": "", "bool": False, "decimal2": D("0.00"), "datetime": ZERO_MOMENT}
HALF = decimal.ROUND_HALF_UP


def plain(value, kind, default=None):
    """What capi must make of a value of another program."""
    if value is None:
        return ZERO[kind] if default is None else default
    if kind == "decimal2":
        return D(value).quantize(D("0.01"), HALF, decimal.Context(prec=60))
    if kind == "datetime":
        if not isinstance(value, datetime.datetime):
            value = datetime.datetime(value.year, value.month, value.day)
        value = value.replace(tzinfo=None)
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


def wide_table(rows, seed=1):
    """Columns of all types, every seventh value null. Name -> (Arrow type, our type, values)."""
    generator = random.Random(seed)
    bits = generator.getrandbits

    def column(arrow_type, kind, make):
        return arrow_type, kind, [None if generator.random() < 1 / 7 else make() for _ in range(rows)]

    def decimals(digits, scale):
        return lambda: D(bits(120) % 10 ** digits * generator.choice((1, -1))).scaleb(-scale, decimal.Context(prec=60))

    def moment(step):
        start = datetime.datetime(1600, 1, 1)
        return lambda: start + datetime.timedelta(seconds=bits(33), microseconds=bits(30) // step * step % 1000000)

    columns = {}
    for width in (8, 16, 32, 64):
        columns[f"int{width}"] = column(getattr(pa, f"int{width}")(), "int", lambda w=width: bits(w) - (1 << (w - 1)))
        columns[f"uint{width}"] = column(getattr(pa, f"uint{width}")(), "int", lambda w=width: bits(min(w, 63)))
    columns["float"] = column(pa.float32(), "float", lambda: bits(20) / 64)
    columns["double"] = column(pa.float64(), "float", lambda: generator.choice((generator.uniform(-1e9, 1e9), math.nan, math.inf, -math.inf, 0.0)))
    columns["bool"] = column(pa.bool_(), "bool", lambda: bits(1) == 1)
    columns["text"] = column(pa.string(), "string", lambda: "é,\"\n" * bits(3) + str(bits(30)))
    columns["few"] = column(pa.string(), "string", lambda: generator.choice(("", "red", "green", "a longer colour than the others")))
    columns["bytes"] = column(pa.binary(), "string", lambda: f"b{bits(16)}".encode())
    columns["large"] = column(pa.large_string(), "string", lambda: f"l{bits(10)}")
    for digits, scale in ((4, 2), (9, 0), (9, 5), (18, 2), (18, 1), (18, 6), (24, 2), (38, 18), (36, 2)):
        columns[f"decimal_{digits}_{scale}"] = column(pa.decimal128(digits, scale), "decimal2", decimals(digits, scale))
    columns["decimal256"] = column(pa.decimal256(50, 20), "decimal2", decimals(50, 20))
    columns["date"] = column(pa.date32(), "datetime", lambda: datetime.date.fromordinal(1 + bits(21)))
    columns["millis"] = column(pa.timestamp("ms"), "datetime", moment(1000))
    columns["micros"] = column(pa.timestamp("us"), "datetime", moment(1))
    columns["micros_utc"] = column(pa.timestamp("us", "UTC"), "datetime", moment(1000))
    columns["nanos"] = column(pa.timestamp("ns"), "datetime", lambda: datetime.datetime(2000, 1, 1) + datetime.timedelta(microseconds=bits(50)))
    columns["nothing"] = (pa.null(), "int", [None] * rows)
    return columns


def arrow_table(columns):
    return pa.table({name: pa.array(values, kind) for name, (kind, _, values) in columns.items()})


def wanted_rows(columns):
    lists = [[plain(value.decode() if isinstance(value, bytes) else value, kind) for value in values] for _, kind, values in columns.values()]
    return list(zip(*lists))


def capi_columns(columns):
    return {f"f{i}": (name, kind, "") for i, (name, (_, kind, _)) in enumerate(columns.items())}


def test_reads_all_types_and_encodings_of_pyarrow(world):
    columns = wide_table(1500)
    table = arrow_table(columns)
    wanted = wanted_rows(columns)
    writings = [{"compression": codec, "use_dictionary": codec in ("snappy", "zstd")} for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli")]
    writings += [
        {"data_page_version": "2.0", "data_page_size": 3000, "compression": "zstd"},
        {"version": "1.0", "coerce_timestamps": "us", "allow_truncated_timestamps": True},
        {"row_group_size": 400, "data_page_size": 900, "write_page_checksum": True},
        {"store_decimal_as_integer": True, "use_dictionary": False, "write_page_index": True},
        {"dictionary_pagesize_limit": 600},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "few": "DELTA_LENGTH_BYTE_ARRAY", "int64": "DELTA_BINARY_PACKED",
                                                      "double": "BYTE_STREAM_SPLIT", "bool": "RLE"}},
        {"use_deprecated_int96_timestamps": True},
    ]
    for options in writings:
        with tempfile.TemporaryDirectory() as temp:
            written = table
            if "use_deprecated_int96_timestamps" in options:
                written = table.select([name for name in table.column_names if name not in ("millis", "micros", "micros_utc")])
            pq.write_table(written, temp + "/in.parquet", **options)
            kept = {name: columns[name] for name in written.column_names}
            found = read_by_capi(world, temp + "/in.parquet", capi_columns(kept))
            expect_rows(found, wanted if written is table else wanted_rows(kept), str(options))


def test_reads_required_columns(world):
    columns = {name: (kind, ours, [value if value is not None else other for value, other in zip(values, reversed(values))])
               for name, (kind, ours, values) in wide_table(200).items() if name in ("int64", "text", "few", "bool", "decimal_24_2", "millis")}
    columns = {name: (kind, ours, [ZERO[ours] if value is None and ours != "datetime" else value for value in values])
               for name, (kind, ours, values) in columns.items()}
    columns["millis"] = (columns["millis"][0], "datetime", [value or datetime.datetime(2001, 2, 3) for value in columns["millis"][2]])
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, (kind, _, _) in columns.items()])
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(pa.table([pa.array(values, kind) for kind, _, values in columns.values()], schema=schema), temp + "/in.parquet")
        expect_rows(read_by_capi(world, temp + "/in.parquet", capi_columns(columns)), wanted_rows(columns), "required")


def test_reads_files_of_duckdb(world):
    types = {"tinyint": "int", "smallint": "int", "integer": "int", "bigint": "int", "utinyint": "int", "usmallint": "int", "uinteger": "int",
             "ubigint": "int", "real": "float", "double": "float", "boolean": "bool", "varchar": "string", "decimal(4,2)": "decimal2",
             "decimal(9,3)": "decimal2", "decimal(18,2)": "decimal2", "decimal(30,2)": "decimal2", "date": "datetime", "timestamp": "datetime",
             "timestamp_s": "datetime", "timestamp_ms": "datetime", "timestamp_ns": "datetime", "timestamptz": "datetime"}

    def expression(kind, ours):
        moment = "timestamp '1999-12-31 23:59:58.123' + to_seconds(i * 7)"
        if ours == "datetime":
            return f"cast({moment} as {kind})"
        return {"bool": "i % 3 = 0", "string": "'text ' || (i % 50)"}.get(ours, f"cast(i % 90 as {kind})")

    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    selected = ", ".join(f'case when i % 11 = 0 then null else {expression(kind, ours)} end as "{kind}"' for kind, ours in types.items())
    db.execute(f"create table t as select {selected} from range(3000) r(i)")
    columns = {f"f{i}": (name, kind, "") for i, (name, kind) in enumerate(types.items())}
    cast = ", ".join(f'"{name}"::timestamp' if kind == "datetime" else f'"{name}"' for name, kind in types.items())
    wanted = [tuple(map(plain, row, types.values())) for row in db.execute(f"select {cast} from t").fetchall()]
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"):
        for version in ("V1", "V2"):
            with tempfile.TemporaryDirectory() as temp:
                db.execute(f"copy t to '{temp}/in.parquet' (format parquet, codec {codec}, parquet_version {version}, row_group_size 2048)")
                expect_rows(read_by_capi(world, temp + "/in.parquet", columns), wanted, f"{codec} {version}")


def test_reads_files_of_polars(world):
    rows = 3000
    moments = [datetime.datetime(2020, 1, 1) + datetime.timedelta(milliseconds=i * 977) for i in range(rows)]
    series = {
        "i8": ([i % 100 for i in range(rows)], polars.Int8, "int"), "u64": (list(range(rows)), polars.UInt64, "int"),
        "f32": ([i / 4 for i in range(rows)], polars.Float32, "float"), "f64": ([i / 7 for i in range(rows)], polars.Float64, "float"),
        "flag": ([i % 3 == 0 for i in range(rows)], polars.Boolean, "bool"), "text": ([f"t{i % 40}" for i in range(rows)], polars.String, "string"),
        "kind": ([f"k{i % 4}" for i in range(rows)], polars.Categorical, "string"),
        "price": ([D(i) / 100 for i in range(rows)], polars.Decimal(18, 2), "decimal2"),
        "day": ([m.date() for m in moments], polars.Date, "datetime"), "ms": (moments, polars.Datetime("ms"), "datetime"),
        "us": (moments, polars.Datetime("us"), "datetime"), "ns": (moments, polars.Datetime("ns"), "datetime"),
    }
    holes = {name: [None if i % 13 == 5 else value for i, value in enumerate(values)] for name, (values, _, _) in series.items()}
    frame = polars.DataFrame({name: polars.Series(holes[name], dtype=kind) for name, (_, kind, _) in series.items()})
    columns = {f"f{i}": (name, kind, "") for i, (name, (_, _, kind)) in enumerate(series.items())}
    wanted = list(zip(*[[plain(value, kind) for value in holes[name]] for name, (_, _, kind) in series.items()]))
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4"):
        with tempfile.TemporaryDirectory() as temp:
            frame.write_parquet(temp + "/in.parquet", compression=codec, row_group_size=1000)
            expect_rows(read_by_capi(world, temp + "/in.parquet", columns), wanted, codec)


def test_large_row_groups_are_read_in_parts(world):
    """Rows of one row group go to several tasks; the order and the values stay, whatever the pages look like."""
    rows = 400_000
    table = pa.table({"id": pa.array(range(rows), pa.int64()), "key": pa.array([f"key {i * 7919 % rows:09d}" for i in range(rows)]),
                      "few": pa.array([None if i % 5 == 0 else f"value {i % 17}" for i in range(rows)])})
    columns = {"id": ("id", "int", ""), "key": ("key", "string", ""), "few": ("few", "string", "none")}
    for options in ({}, {"data_page_size": 1 << 28, "max_rows_per_page": rows}, {"data_page_size": 5000, "data_page_version": "2.0"}):
        for threads in (1, 2, 7):
            with tempfile.TemporaryDirectory() as temp:
                pq.write_table(table, temp + "/in.parquet", row_group_size=rows, **options)
                must_run(world, temp, "--threads", str(threads), read=reader([temp + "/in.parquet"], columns), write=parquet_writer(columns))
                found = pq.read_table(temp + "/out.parquet")
                expect(found.column("id").equals(table.column("id")), "id")
                expect(found.column("key").combine_chunks() == table.column("key").combine_chunks(), "key")
                expect(found.column("few").to_pylist() == [value or "none" for value in table.column("few").to_pylist()], "few")


def test_defaults_take_the_place_of_nulls(world):
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(pa.table({"i": pa.array([None, 1]), "t": pa.array(["a", None]), "d": pa.array([None, D("1.50")], pa.decimal128(9, 2)),
                                 "n": pa.nulls(2), "f": pa.array([None, 2.5]), "b": pa.array([None, False])}), temp + "/in.parquet")
        columns = {"i": ("i", "int", "-7"), "t": ("t", "string", "none"), "d": ("d", "decimal2", "9.99"), "n": ("n", "string", "nothing"),
                   "f": ("f", "float", "0.5"), "b": ("b", "bool", "true")}
        expect_rows(read_by_capi(world, temp + "/in.parquet", columns),
                    [(-7, "a", D("9.99"), "nothing", 0.5, True), (1, "none", D("1.50"), "nothing", 2.5, False)], "defaults")


def test_other_readings_of_numbers_and_dates(world):
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(pa.table({"i": pa.array([3], pa.int16()), "d": pa.array([datetime.date(1970, 2, 1)]), "t": pa.array([datetime.time(0, 0, 1)])}),
                       temp + "/in.parquet")
        columns = {"a": ("i", "float", ""), "b": ("i", "decimal2", ""), "c": ("d", "int", ""), "d": ("t", "int", "")}
        expect_rows(read_by_capi(world, temp + "/in.parquet", columns), [(3.0, D("3.00"), 31, 1000000)], "other readings")


def test_samples_read_as_pyarrow_reads_them(world):
    folder = SHARED_DEMOS / "parquet_samples"
    if not folder.exists():
        raise Skipped("the samples are not beside this checkout")
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.ParquetFile(path).read()
        columns = {}
        wanted = []
        for i, field in enumerate(table.schema):
            kind = field.type
            ours = ("decimal2" if pa.types.is_decimal(kind) else "int" if pa.types.is_integer(kind) or pa.types.is_null(kind) else
                    "float" if pa.types.is_floating(kind) else "bool" if pa.types.is_boolean(kind) else
                    "datetime" if pa.types.is_temporal(kind) else "string")
            columns[f"f{i}"] = (field.name, ours, "")
            values = table.column(i)
            if pa.types.is_timestamp(kind):
                values = values.cast(pa.timestamp("us", kind.tz), safe=False)
            wanted.append([plain(value.decode() if isinstance(value, bytes) else value, ours) for value in values.to_pylist()])
        expect_rows(read_by_capi(world, path, columns), list(zip(*wanted)), path.name)


def lookup_big(world, kind, *start_nodes):
    """The demo's script_big.json: 10 and 100 Parquet files in, Parquet files out; a run for each list of nodes."""
    generator = SHARED_DEMOS.parent / "bench" / "gen_lookup.py"
    if not generator.exists():
        raise Skipped("the demos are not beside this checkout")
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        subprocess.run([sys.executable, generator, "--orders", "3000", "--in-dir", folder / "in", "--out-dir", folder / "expected",
                        "--format", "parquet", "--order-files", "10", "--item-files", "100"], check=True, stdout=subprocess.DEVNULL)
        (folder / "out").mkdir()
        config = SHARED_DEMOS / "lookup" / "cfg"
        for run_id, nodes in enumerate(start_nodes, 1):
            process, summary = world.run(config / "script_big.json", temp, temp + "/data", "--params",
                                         str(config / f"script_params_big_fs_{kind}.json"), "--set", f"dir_in={folder}/in",
                                         "--set", f"dir_out={folder}/out", "--start-nodes", nodes)
            expect(process.returncode == 0 and summary["run_id"] == run_id, process.stderr)
        for name in integration_test.LOOKUP_OUTPUTS:
            with open(folder / "expected" / f"{name}_baseline.csv", newline="") as file:
                expected = [[cell.strip() for cell in row] for row in csv.reader(file)]
            table = pq.read_table(folder / "out" / f"{name}.parquet")
            found = [[f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime.datetime) else f"{value:05d}" if column == "order_item_id"
                      else str(value) for column, value in row.items()] for row in table.to_pylist()]
            expect(expected[0] == table.column_names, f"{name}: other columns")
            expect(len(expected) > 2000 and found == expected[1:], f"{name} differs")


def test_parity_lookup_big_single_run(world):
    lookup_big(world, "one", "read_orders,read_order_items")


def test_parity_lookup_big_two_runs(world):
    lookup_big(world, "multi", "read_orders,read_order_items", ",".join(integration_test.LOOKUP_OUTPUTS))


def test_parity_proto_file_reader_creator(world):
    folder = SHARED_DEMOS / "proto_file_reader_creator" / "in"
    if not folder.exists():
        raise Skipped("the demos are not beside this checkout")
    transcripts = map(json.loads, (integration_test.CASES / "toolbelt_transcripts.jsonl").read_text().splitlines())
    printed = next(entry["stdout_without_log"] for entry in transcripts if entry["id"] == "proto_file_reader_creator_parquet")
    with tempfile.TemporaryDirectory() as temp:
        process = world.call(["proto_file_reader_creator", "-file_type=parquet", f"-file={folder}/products.parquet"], temp, None)
        expect(process.returncode == 0 and process.stdout == printed, process.stderr + process.stdout)
        script = process.stdout.replace('"url_template"', '"top": {"order": "col_id(asc)"}, "url_template"')
        script = script.replace("/tmp/capi_in/proto_file_reader_creator_quicktest", str(folder))
        script = script.replace("/tmp/capi_out/proto_file_reader_creator_quicktest", temp)
        (pathlib.Path(temp) / "s.json").write_text(script)
        run, _ = world.run("s.json", temp, temp + "/data", "--start-nodes", "read_file")
        expect(run.returncode == 0, run.stderr)
        rows = [pq.read_table(place / "products.parquet").to_pylist() for place in (folder, pathlib.Path(temp))]
        expect(len(rows[0]) > 1 and rows[0] == rows[1], "the output differs from the input")


# ---- Wrong inputs

def refuse(world, path, columns, error_class, *parts):
    with tempfile.TemporaryDirectory() as temp:
        process, summary = run_nodes(world, temp, read=reader([path], columns), write=parquet_writer(columns))
        expect(process.returncode == 1 and summary is not None, f"exit code {process.returncode}: {process.stderr}")
        error = summary["nodes"][0]["error"]
        expect(error["kind"] == "user" and error["class"] == error_class, f"expected {error_class}: {error}")
        for part in parts:
            expect(part in error["text"], f"{part!r} is not in {error['text']!r}")
        expect(not pathlib.Path(temp, "out.parquet").exists(), "an output file appeared")


def test_wrong_columns_are_named(world):
    with tempfile.TemporaryDirectory() as temp:
        path = temp + "/in.parquet"
        pq.write_table(pa.table({
            "price": pa.array([D("1.00")], pa.decimal128(18, 2)), "name": ["x"], "list": pa.array([[1]]), "group": pa.array([{"a": 1}]),
            "id": pa.array([b"0123456789abcdef"], pa.binary(16)), "big": pa.array([2 ** 64 - 1], pa.uint64()),
            "long": pa.array([D(10) ** 37], pa.decimal128(38, 0)), "far": pa.array([2 ** 62], pa.timestamp("ms"))}), path)
        refuse(world, path, {"a": ("prise", "decimal2", "")}, "parquet_missing_column", "in.parquet", '"prise"', "did you mean price?")
        refuse(world, path, {"a": ("price", "int", "")}, "parquet_type_mismatch", "in.parquet", '"price"', "FIXED_LEN_BYTE_ARRAY(8)", "Decimal", "decimal2", "int")
        refuse(world, path, {"a": ("name", "datetime", "")}, "parquet_type_mismatch", '"name"')
        refuse(world, path, {"a": ("list", "int", "")}, "parquet_nested_column", '"list"')
        refuse(world, path, {"a": ("group", "int", "")}, "parquet_nested_column", '"group"')
        refuse(world, path, {"a": ("id", "string", "")}, "parquet_unsupported_type", '"id"', "FIXED_LEN_BYTE_ARRAY")
        refuse(world, path, {"a": ("big", "int", "")}, "number_out_of_range", '"big"', "row 1", "18446744073709551615")
        refuse(world, path, {"a": ("long", "decimal2", "")}, "number_out_of_range", '"long"', "row 1")
        refuse(world, path, {"a": ("far", "datetime", "")}, "datetime_out_of_range", '"far"', "row 1")
        found = read_by_capi(world, path, {"a": ("name", "string", ""), "b": ("price", "decimal2", "")})
        expect(found == [("x", D("1.00"))], f"columns beside unsupported ones: {found}")


def test_first_bad_row_is_named(world):
    rows = 300_000
    values = [1] * rows
    values[250_000] = values[123_456] = 2 ** 63
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(pa.table({"a": pa.array(values, pa.uint64())}), temp + "/in.parquet")
        refuse(world, temp + "/in.parquet", {"a": ("a", "int", "")}, "number_out_of_range", "row 123457")


def test_damaged_files_are_refused(world):
    columns = {"a": ("int64", "int", ""), "t": ("text", "string", ""), "d": ("decimal_24_2", "decimal2", "")}
    table = arrow_table(wide_table(3000)).select(["int64", "text", "decimal_24_2"])
    with tempfile.TemporaryDirectory() as temp:
        path = pathlib.Path(temp) / "in.parquet"
        pq.write_table(table, path, compression="zstd", data_page_size=4000)
        good = path.read_bytes()
        for name, content in {"empty": b"", "short": b"PAR1", "text": b"id,name\n1,a\n" * 100, "half": good[:len(good) // 2], "no tail": good[:-1],
                              "no head": good[100:], "only tail": good[-400:], "zeros": bytes(5000)}.items():
            path.write_bytes(content)
            refuse(world, path, columns, "bad_parquet", "in.parquet")
        generator = random.Random(7)
        refused = 0
        for _ in range(60 if world.full else 20):
            damaged = bytearray(good)
            for _ in range(generator.randint(1, 20)):
                damaged[generator.randrange(len(damaged))] = generator.getrandbits(8)
            path.write_bytes(damaged)
            with tempfile.TemporaryDirectory() as run:
                process, summary = run_nodes(world, run, read=reader([path], columns))
            expect(process.returncode in (0, 1) and summary is not None, f"exit code {process.returncode}: {process.stderr}")
            refused += process.returncode
        expect(refused > 0, "no damage was noticed")


# ---- Outputs

COPIED = {"id": ("id", "int", ""), "word": ("a word.b", "string", ""), "few": ("few", "string", ""), "price": ("price", "decimal2", ""),
          "ratio": ("ratio", "float", ""), "flag": ("flag", "bool", ""), "moment": ("moment", "datetime", "")}


def copied_table(rows):
    generator = random.Random(rows)
    moments = [None if generator.random() < 0.1 else datetime.datetime(1969, 1, 1) + datetime.timedelta(milliseconds=generator.getrandbits(41))
               for _ in range(rows)]
    return pa.table({
        "id": pa.array(generator.sample(range(rows * 10), rows), pa.int64()), "a word.b": [f"word {generator.getrandbits(40)}" for _ in range(rows)],
        "few": [generator.choice(("", "x", "yy")) for _ in range(rows)],
        "price": pa.array([D(generator.randint(-10 ** 10, 10 ** 10)) / 100 for _ in range(rows)], pa.decimal128(18, 2)),
        "ratio": [generator.uniform(-1, 1) for _ in range(rows)], "flag": [generator.getrandbits(1) == 1 for _ in range(rows)],
        "moment": pa.array(moments, pa.timestamp("ms"))})


def rows_of(table):
    return list(zip(*[column.to_pylist() for column in table.columns]))


def check_readers(path, wanted, what):
    """pyarrow, DuckDB and Polars must read the same."""
    expect_rows(rows_of(pq.read_table(path)), wanted, f"{what}, pyarrow")
    expect_rows(duckdb.connect().execute(f"select * from '{path}'").fetchall(), wanted, f"{what}, DuckDB")
    expect_rows(polars.read_parquet(path).rows(), wanted, f"{what}, Polars")


def test_outputs_are_read_by_others(world):
    for rows in (0, 1, 1000, 130_000):
        table = copied_table(rows)
        wanted = rows_of(table)
        for codec in ("gzip", "snappy", "uncompressed") if rows < 10_000 else ("snappy",):
            with tempfile.TemporaryDirectory() as temp:
                pq.write_table(table, temp + "/in.parquet")
                summary = must_run(world, temp, read=reader([temp + "/in.parquet"], COPIED), write=parquet_writer(COPIED, codec=codec),
                                   sort=parquet_writer(COPIED, "sorted.parquet", codec, top={"order": "id(desc)"}))
                check_readers(temp + "/out.parquet", wanted, f"{rows} rows, {codec}")
                check_readers(temp + "/sorted.parquet", sorted(wanted, reverse=True), f"{rows} rows, {codec}, sorted")
                counts = {node["name"]: (node["rows"]["in"], node["rows"]["out"]) for node in summary["nodes"]}
                expect(set(counts.values()) == {(rows, rows)}, f"row counts {counts}")
                metadata = pq.ParquetFile(temp + "/out.parquet").metadata
                expect(metadata.num_row_groups == (rows + 122879) // 122880, f"{metadata.num_row_groups} row groups")
                found = {metadata.row_group(g).column(c).compression for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)}
                expect(found <= {codec.upper()}, f"codecs {found}")
                expect_rows(read_by_capi(world, temp + "/out.parquet", COPIED),
                            [tuple(plain(value, kind) for value, (_, kind, _) in zip(row, COPIED.values())) for row in wanted], "read back")


def test_schema_of_outputs(world):
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(copied_table(5), temp + "/in.parquet")
        must_run(world, temp, read=reader([temp + "/in.parquet"], COPIED), write=parquet_writer(COPIED))
        file = pq.ParquetFile(temp + "/out.parquet")
        expect(file.metadata.created_by == "capillaries", file.metadata.created_by)
        found = duckdb.connect().execute("select name, type, repetition_type, converted_type, precision, scale "
                                         f"from parquet_schema('{temp}/out.parquet')").fetchall()
        expect(found[1:] == [("id", "INT64", "OPTIONAL", None, None, None), ("a word.b", "BYTE_ARRAY", "OPTIONAL", "UTF8", None, None),
                             ("few", "BYTE_ARRAY", "OPTIONAL", "UTF8", None, None), ("price", "INT64", "OPTIONAL", "DECIMAL", 18, 2),
                             ("ratio", "DOUBLE", "OPTIONAL", None, None, None), ("flag", "BOOLEAN", "OPTIONAL", None, None, None),
                             ("moment", "INT64", "OPTIONAL", "TIMESTAMP_MILLIS", None, None)], str(found))
        expect(found[0][0] == "msg", str(found))
        expect(file.schema_arrow.field("price").type == pa.decimal128(18, 2), str(file.schema_arrow))
        expect(file.schema_arrow.field("moment").type == pa.timestamp("ms"), str(file.schema_arrow))


def test_same_bytes_for_threads_batches_and_memory(world):
    table = copied_table(300_000)
    having = {"having": "w.flag"}
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(table, temp + "/in.parquet")
        outputs = set()
        for threads, batches, memory in ((1, 1, ""), (2, 1, "64MiB"), (2, 50, ""), (7, 3, "32MiB")):
            copy = {"type": "table_table", "r": {"table": "t", "expected_batches_total": batches}, "w": {
                "name": "u", "fields": {field: {"expression": f"r.{field}", "type": kind} for field, (_, kind, _) in COPIED.items()}}}
            writers = {"write": parquet_writer(COPIED), "filter": parquet_writer(COPIED, "filtered.parquet", **having),
                       "sort": parquet_writer(COPIED, "sorted.parquet", top={"order": "word"}, **having)}
            for writer in writers.values():
                writer["r"]["table"] = "u"
            must_run(world, temp, "--threads", str(threads), *(["--memory-limit", memory] if memory else []),
                     read=reader([temp + "/in.parquet"], COPIED), copy=copy, **writers)
            outputs.add(tuple(pathlib.Path(temp, name).read_bytes() for name in ("out.parquet", "filtered.parquet", "sorted.parquet")))
        expect(len(outputs) == 1, f"{len(outputs)} different outputs")
        filtered = [row for row in rows_of(table) if row[5]]
        expect_rows(rows_of(pq.read_table(temp + "/filtered.parquet")), filtered, "filtered")
        expect_rows(rows_of(pq.read_table(temp + "/sorted.parquet")), sorted(filtered, key=lambda row: row[1]), "sorted")


def test_several_files_in_and_out(world):
    table = copied_table(1000)
    with tempfile.TemporaryDirectory() as temp:
        paths = [f"{temp}/in{i}.parquet" for i in range(4)]
        for i, path in enumerate(paths):
            pq.write_table(table.slice(i * 250, 250), path)
        summary = must_run(world, temp, read=reader(paths, COPIED), write=parquet_writer(COPIED, "out_{batch_idx}.parquet", batches=3))
        names = sorted(path.name for path in pathlib.Path(temp).glob("out_*"))
        expect(names == [f"out_0000{i}.parquet" for i in range(3)], str(names))
        parts = [pq.read_table(f"{temp}/{name}") for name in names]
        expect_rows(rows_of(pa.concat_tables(parts)), rows_of(table), "parts")
        expect(sorted(file["rows"] for file in summary["files"]) == sorted(part.num_rows for part in parts), str(summary["files"]))


def test_long_rows_make_small_row_groups(world):
    table = pa.table({"id": list(range(40)), "text": [chr(97 + i % 26) * 5_000_000 for i in range(40)]})
    columns = {"id": ("id", "int", ""), "text": ("text", "string", "")}
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(table, temp + "/in.parquet", row_group_size=10)
        must_run(world, temp, read=reader([temp + "/in.parquet"], columns), write=parquet_writer(columns))
        file = pq.ParquetFile(temp + "/out.parquet")
        expect(file.metadata.num_row_groups > 1, "one row group")
        expect(file.read().to_pylist() == table.to_pylist(), "other rows")


def test_long_decimals_are_refused(world):
    columns = {"d": ("d", "decimal2", "")}
    with tempfile.TemporaryDirectory() as temp:
        pq.write_table(pa.table({"d": pa.array([D("1.00"), D("-12345678901234567.89"), D("0.5")], pa.decimal128(30, 2))}), temp + "/in.parquet")
        process, summary = run_nodes(world, temp, read=reader([temp + "/in.parquet"], columns), write=parquet_writer(columns))
        error = summary["nodes"][1]["error"]
        expect(process.returncode == 1 and error["class"] == "number_out_of_range", str(error))
        for part in ("row 2 of batch 0", '"d"', "-12345678901234567.89"):
            expect(part in error["text"], f"{part!r} is not in {error['text']!r}")
        expect(not pathlib.Path(temp, "out.parquet").exists(), "an output file appeared")


# ---- Script generator

def new_script(world, temp, table, *arguments):
    pq.write_table(table, pathlib.Path(temp) / "in.parquet")
    process = world.call(["new-script", "in.parquet", *arguments], temp, None)
    expect(process.returncode == 0, process.stderr)
    return process


def test_new_script_writes_a_file_back(world):
    table = pa.table({
        "order id": pa.array([3, 1, 2], pa.int64()), "Ref": ["a", "b", ""], "share": [0.5, -1.25, 1e300], "paid": [True, False, True],
        "fee": pa.array([D("1.25"), D("-0.01"), D("0.00")], pa.decimal128(18, 2)),
        "at": pa.array([datetime.datetime(2026, 1, 2, 3, 4, 5, 6000)] * 3, pa.timestamp("ms"))})
    with tempfile.TemporaryDirectory() as temp:
        process = new_script(world, temp, table)
        expect("changes" not in process.stderr and "3 rows, 6 columns; unique: order id" in process.stderr, process.stderr)
        (pathlib.Path(temp) / "s.json").write_text(process.stdout)
        run, _ = world.run("s.json", temp, temp + "/data", "--strict")
        expect(run.returncode == 0, run.stderr)
        expect(pq.read_table(pathlib.Path(temp) / "in_copy.parquet").equals(table), "the file came back different")


def test_new_script_tells_what_changes(world):
    table = pa.table({
        "id": [1, 1], "fee": pa.array([D("1.2345"), None], pa.decimal128(10, 4)), "at": pa.array([1, 2], pa.timestamp("us")),
        "day": pa.array([1, 2], pa.date32()), "list": [[1], [2]]})
    with tempfile.TemporaryDirectory() as temp:
        process = new_script(world, temp, table)
        for part in ("column fee: numbers are rounded to two decimals", "column fee: 1 nulls become 0", "column at: times are rounded down",
                     "column day: dates become moments", "column list of type List cannot be read, it is left out"):
            expect(part in process.stderr, f"{part} is not in {process.stderr}")
        expect("unique" not in process.stderr, process.stderr)
        columns = json.loads(process.stdout)["nodes"]["read_file"]["r"]["columns"]
        expect({name: column["col_type"] for name, column in columns.items()} ==
               {"id": "int", "fee": "decimal2", "at": "datetime", "day": "datetime"}, columns)
        pathlib.Path(temp, "in.parquet").write_bytes(b"PAR1 no")
        process = world.call(["new-script", "in.parquet"], temp, None)
        expect(process.returncode == 2 and "in.parquet" in process.stderr, process.stderr)


if __name__ == "__main__":
    sys.exit(integration_test.run_all(globals()))
