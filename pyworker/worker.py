"""The formula worker: evaluates Python formulas over columns, batch by batch.

Started by the engine with one end of a stream socket pair as descriptor 3 and a pipe for whatever formulas print as
1 and 2. The protocol is described in docs/design/python.md. Needs Python 3.9 and its standard library.
"""

import builtins
import gc
import io
import itertools
import json
import math
import operator
import os
import re
import signal
import struct
import sys
import time
from array import array

HEADER = struct.Struct("<4sIB3xQ")  # magic, number of the exchange, kind, length of the payload
MAGIC = b"CPY1"
COLUMN = struct.Struct("<BxxxxxxxQ")  # encoding, length of the data
BATCH = struct.Struct("<QQ")  # rows, columns
PROGRESS_SECONDS = 0.1
MAX_SHOWN = 80
MAX_MESSAGE = 2000
MODULE = "capi_formulas"
DEADLINE_SIGNAL = signal.SIGXCPU

if sys.byteorder != "little" or array("i").itemsize != 4 or array("q").itemsize != 8:
    sys.exit("formulas need a little-endian machine with 32-bit int")


class Deadline(BaseException):
    """Raised inside the formula when the engine says that its time is up."""


class BadResult(Exception):
    """A result that does not fit the declared type."""

    def __init__(self, row, message):
        super().__init__(message)
        self.row = row
        self.message = message


def shown(value):
    """A short text of any value, whatever its __repr__ does."""
    try:
        if isinstance(value, (str, bytes)) and len(value) > MAX_SHOWN:
            return repr(value[:MAX_SHOWN]) + "..."
        text = repr(value)
    except Exception:  # pylint: disable=broad-except
        return f"<{type(value).__name__}>"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def cut(text):
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "..."


# ---- Columns

def decode_text(data):
    return str(data, "utf-8", "surrogateescape")


def unpack_strings(data, rows):
    return decode_text(data).split("\0") if rows else []


def unpack_lengths(data, rows):
    lengths = array("I", bytes(data[:4 * rows]))
    body = data[4 * rows:]
    ends = list(itertools.accumulate(lengths))
    return [decode_text(body[end - length:end]) for length, end in zip(lengths, ends)]


def unpack_dictionary(data, rows):
    count, encoding, size = struct.unpack_from("<QQQ", data)
    values = UNPACK[encoding](data[24:24 + size], count)
    return list(map(values.__getitem__, array("i", bytes(data[24 + size:24 + size + 4 * rows]))))


def unpack_decimals(data, rows):
    """Floats, except for the rows listed with whole numbers."""
    values = array("d", bytes(data[:8 * rows])).tolist()
    (count,) = struct.unpack_from("<Q", data, 8 * rows)
    begin = 8 * rows + 8
    wholes = array("q", bytes(data[begin:begin + 8 * count]))
    if count == rows:
        return wholes.tolist()
    for row, whole in zip(array("I", bytes(data[begin + 8 * count:begin + 12 * count])), wholes):
        values[row] = whole
    return values


def unpack_numbers(data, rows):
    return [float(text) if "." in text else int(text) for text in unpack_strings(data, rows)]


def unpack_fixed(code, data):
    """Stays an array: a number that lives from its call to the next costs less than one in a list for all calls."""
    values = array(code)
    values.frombytes(data)
    return values


UNPACK = {
    ord("q"): lambda data, rows: unpack_fixed("q", data),
    ord("d"): lambda data, rows: unpack_fixed("d", data),
    ord("b"): lambda data, rows: list(map(bool, bytes(data))),
    ord("s"): unpack_strings,
    ord("l"): unpack_lengths,
    ord("c"): unpack_dictionary,
    ord("m"): unpack_decimals,
    ord("t"): unpack_numbers,
}


def plain(value):
    """The Python value of a scalar of numpy."""
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def converted(values, convert):
    """[convert(v)], telling the row of what cannot be converted."""
    result = []
    for row, value in enumerate(values):
        try:
            result.append(convert(plain(value)))
        except BadResult as error:
            raise BadResult(row, f"{error.message}: {shown(value)}") from None
        except Exception as error:  # pylint: disable=broad-except
            raise BadResult(row, f"the result cannot be converted ({type(error).__name__}: {error}): {shown(value)}") from None
    return result


def wrong_type(value, wanted):
    raise BadResult(0, f"the result is {type(value).__name__}, not {wanted}")


def number(value, wanted):
    """int, float or Decimal, finite."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadResult(0, "the result is not a finite number")
        return value
    if type(value).__module__ in ("decimal", "_decimal", "_pydecimal") and hasattr(value, "is_finite"):
        if not value.is_finite():
            raise BadResult(0, "the result is not a finite number")
        return value
    return wrong_type(value, wanted)


def to_int(value):
    value = int(number(value, "a number"))
    if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        raise BadResult(0, "the result does not fit 64 bits")
    return value


def to_float(value):
    value = number(value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise BadResult(0, "the result does not fit a float") from None


def to_number_text(value):
    value = number(value, "a number")
    if isinstance(value, int):
        if value.bit_length() > 140:
            raise BadResult(0, "the result is too large for decimal2")
        return int.__repr__(value)
    return float.__repr__(value) if isinstance(value, float) else str(value)


def to_bool(value):
    return value if isinstance(value, bool) else wrong_type(value, "bool")


def to_string(value):
    if not isinstance(value, str):
        wrong_type(value, "a string")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadResult(0, "the result holds half of a surrogate pair") from None
    return value


def packed(code, values):
    """In the machine's own layout, which is the channel's: with "<", floats would be taken apart byte by byte."""
    return code, struct.pack(f"{len(values)}{code}", *values)


def pack_int(values):
    if set(map(type, values)) <= {int}:
        try:
            return packed("q", values)
        except (struct.error, OverflowError):
            pass
    return packed("q", converted(values, to_int))


def all_floats(values):
    """Counting is the fastest look at all types; those derived from float are rare."""
    return operator.countOf(map(type, values), float) == len(values) or all(issubclass(kind, float) for kind in set(map(type, values)))


def pack_float(values):
    """NaN and infinities are for the engine to refuse: it finds them faster."""
    if all_floats(values):
        return packed("d", values)
    return packed("d", converted(values, to_float))


def pack_decimal(values):
    """Floats and 64-bit ints as they are, everything else as text, so that nothing is lost on the way."""
    if all_floats(values):
        return packed("d", values)
    if set(map(type, values)) <= {int}:
        try:
            return packed("q", values)
        except (struct.error, OverflowError):
            pass
    return "t", "\0".join(converted(values, to_number_text)).encode()


def pack_bool(values):
    if not set(map(type, values)) <= {bool}:
        values = converted(values, to_bool)
    return "b", bytes(values)


def pack_string(values):
    try:
        joined = "\0".join(values).encode("utf-8", "surrogateescape")
    except (TypeError, UnicodeEncodeError):
        values = converted(values, to_string)
        joined = "\0".join(values).encode("utf-8", "surrogateescape")
    if not values or joined.count(0) == len(values) - 1:
        return "s", joined
    encoded = [value.encode("utf-8", "surrogateescape") for value in values]
    return "l", array("I", map(len, encoded)).tobytes() + b"".join(encoded)


PACK = {"int": pack_int, "float": pack_float, "decimal2": pack_decimal, "bool": pack_bool, "string": pack_string,
        "datetime": pack_string}


# ---- The program

SIMPLE_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)\s*\(([^()]*)\)\s*")


class Program:
    """Sources, compiled once, and a loop over rows that calls the formulas."""

    def __init__(self, setup):
        self.inputs = setup["inputs"]
        self.formulas = setup["formulas"]
        self.slice_rows = setup["slice_rows"]
        self.memory_limit = setup["memory_limit"]
        self.names = {source["name"] for source in setup["sources"]}
        self.lines = {source["name"]: source["text"].splitlines() for source in setup["sources"]}
        self.module = type(sys)(MODULE)
        self.module.__dict__.update({"TRUE": True, "FALSE": False, "__builtins__": builtins})
        sys.modules[MODULE] = self.module
        self.columns = []
        self.results = []
        self.running = False  # between the first and the last row of a batch
        self.position = (0, iter(()))  # end of the current slice, what is left of its first column
        self.loop = None

    def load(self, sources):
        for source in sources:
            code = compile(source["text"], source["name"], "exec", dont_inherit=True)
            self.module.__file__ = source["name"]
            exec(code, self.module.__dict__)  # pylint: disable=exec-used
        for formula in self.formulas:
            compile("(" + formula["expression"] + "\n)", f"<formula {formula['name']}>", "eval", dont_inherit=True)
        self.loop = self.compile_loop()

    def compile_loop(self):
        """One formula: def loop(rows, extend): extend([f(v_0, v_1) for v_0, v_1 in rows]).

        Several: def loop(rows, append_0, ...): for v_0, v_1 in rows: c_0 = f(v_0, v_1); append_0(c_0) ...
        """
        variables = ", ".join(item["variable"] for item in self.inputs) or "__capi_row"
        if len(self.formulas) == 1:
            lines = ["def __capi_loop(__capi_rows, __capi_extend):", "    __capi_extend([(", self.formulas[0]["expression"],
                     f"    ) for {variables} in __capi_rows])"]
        else:
            appends = [f"__capi_append_{i}" for i in range(len(self.formulas))]
            lines = [f"def __capi_loop({', '.join(['__capi_rows', *appends])}):", f"    for {variables} in __capi_rows:"]
            for formula, append in zip(self.formulas, appends):
                lines += [f"        {formula['variable']} = (", formula["expression"], "        )",
                          f"        {append}({formula['variable']})"]
        found = {}
        code = compile("\n".join(lines), "<formulas>", "exec", dont_inherit=True)
        exec(code, self.module.__dict__, found)  # pylint: disable=exec-used
        return found["__capi_loop"]

    def simple_call(self):
        """Function and positions of its arguments when the only formula is f(v_0, v_1), else None."""
        match = SIMPLE_CALL.fullmatch(self.formulas[0]["expression"]) if len(self.formulas) == 1 else None
        if match is None:
            return None
        positions = {item["variable"]: i for i, item in enumerate(self.inputs)}
        arguments = [positions.get(argument.strip()) for argument in match[2].split(",")]
        function = self.module.__dict__.get(match[1], getattr(builtins, match[1], None))
        return None if None in arguments or function is None else (function, arguments)

    def evaluate(self, rows, columns, progress):
        """Fills self.results. What a formula raises comes out."""
        self.columns = columns
        self.results = [[] for _ in self.formulas]
        collect = [self.results[0].extend] if len(self.results) == 1 else [result.append for result in self.results]
        call = self.simple_call()
        used = columns or [range(rows)]
        if call is not None:
            function, arguments = call
            used = [columns[i] for i in arguments]
        self.position = (0, iter(()))
        told = time.monotonic()
        self.running = True
        for begin in range(0, rows, self.slice_rows):
            end = min(begin + self.slice_rows, rows)
            first, *others = [column[begin:end] for column in used]
            first = iter(first)
            self.position = (end, first)
            if call is not None:
                collect[0](map(function, first, *others))
            else:
                self.loop(zip(first, *others) if others else first, *collect)
            now = time.monotonic()
            if now - told >= PROGRESS_SECONDS:
                told = now
                progress(end)
        self.running = False

    def pack(self):
        """[(encoding, data)] of the results, or the first bad result by row, then by formula."""
        packed = []
        first = None
        for i, (formula, values) in enumerate(zip(self.formulas, self.results)):
            try:
                packed.append(PACK[formula["type"]](values))
            except BadResult as error:
                if first is None or error.row < first[0]:
                    first = (error.row, i, error.message)
        return packed, first

    def failed_at(self):
        """Row and formula that were being calculated when a formula raised."""
        end, left = self.position
        row = max(0, end - sum(1 for _ in left) - 1)
        return row, next((i for i, result in enumerate(self.results) if len(result) <= row), 0)

    # ---- Reports

    def values_of(self, row, formula):
        """Values of the fields that a formula uses."""
        texts = []
        for use in self.formulas[formula]["uses"]:
            for item, column in zip(self.inputs, self.columns):
                if item["variable"] == use["variable"]:
                    texts.append(f"{use['shown']}={shown(column[row])}")
            for item, column in zip(self.formulas, self.results):
                if item["variable"] == use["variable"] and row < len(column):
                    texts.append(f"{use['shown']}={shown(column[row])}")
        return ", ".join(texts)

    def place_of(self, error):
        """The innermost frame in the user's sources, as file, line, function, arguments, text of the line."""
        place = {}
        step = error.__traceback__
        while step is not None:
            frame, line, step = step.tb_frame, step.tb_lineno, step.tb_next
            code = frame.f_code
            if code.co_filename not in self.names:
                continue
            arguments = code.co_varnames[:code.co_argcount]
            lines = self.lines[code.co_filename]
            place = {"file": code.co_filename, "line": line, "function": code.co_name,
                     "code": lines[line - 1].strip()[:200] if 0 < line <= len(lines) else "",
                     "arguments": ", ".join(f"{name}={shown(frame.f_locals[name])}" for name in arguments if name in frame.f_locals)}
        return place

    def definition_of(self, formula):
        """Where the function that a formula calls is defined."""
        name = self.formulas[formula]["expression"].split("(", 1)[0].strip()
        function = self.module.__dict__.get(name)
        code = getattr(function, "__code__", None)
        if code is None or code.co_filename not in self.names:
            return {}
        return {"file": code.co_filename, "line": code.co_firstlineno, "function": name, "code": "", "arguments": ""}

    def describe_exception(self, error):
        if isinstance(error, MemoryError):
            return f"MemoryError: a formula needs more memory than the limit of {self.memory_limit >> 20} MiB"
        if isinstance(error, SystemExit):
            return f"SystemExit: the formula called exit({shown(error.code)})"
        if isinstance(error, Deadline):
            return "the time limit is exceeded"
        try:
            text = str(error)
        except Exception:  # pylint: disable=broad-except
            text = ""
        return cut(type(error).__name__ + (": " + text if text else ""))

    def raised(self, error):
        if not self.running:
            return {"at": "batch", "message": self.describe_exception(error), "timeout": isinstance(error, Deadline),
                    "memory": isinstance(error, MemoryError), "values": "", **self.place_of(error)}
        row, formula = self.failed_at()
        return {"at": "row", "row": row, "formula": formula, "message": self.describe_exception(error),
                "timeout": isinstance(error, Deadline), "memory": isinstance(error, MemoryError),
                "values": self.values_of(row, formula), **self.place_of(error)}

    def bad_result(self, row, formula, message):
        return {"at": "row", "row": row, "formula": formula, "message": cut(message), "result": True,
                "values": self.values_of(row, formula), **self.definition_of(formula)}

    def load_failure(self, error):
        place = self.place_of(error)
        if isinstance(error, SyntaxError) and error.filename is not None:
            place = {"file": error.filename, "line": error.lineno or 0, "function": "", "arguments": "",
                     "code": (error.text or "").strip()[:200]}
            message = f"{type(error).__name__}: {error.msg}"
        else:
            message = self.describe_exception(error)
        return {"at": "load", "message": message, "timeout": isinstance(error, Deadline),
                "memory": isinstance(error, MemoryError), "values": "", **place}


# ---- The exchange with the engine

class Worker:
    def __init__(self):
        self.channel = _private(3)
        self.requests = io.BufferedReader(io.FileIO(self.channel, "rb"), 1 << 16)
        self.pid = os.getpid()
        self.program = None
        self.exchange = 0
        self.listening = False  # the deadline signal counts
        self.reserve = bytearray(1 << 20)  # given back to tell that memory has run out
        signal.signal(DEADLINE_SIGNAL, self.on_deadline)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [DEADLINE_SIGNAL])

    def on_deadline(self, _signal, _frame):
        if self.listening:
            self.listening = False
            raise Deadline()

    def read(self, size):
        data = self.requests.read(size)
        if len(data) < size:
            os._exit(0)  # the engine has gone
        return data

    def send(self, kind, *pieces):
        if os.getpid() != self.pid:
            os._exit(1)  # a formula forked and came back here
        data = b"".join([HEADER.pack(MAGIC, self.exchange, ord(kind), sum(map(len, pieces))), *pieces])
        view = memoryview(data)
        while view:
            view = view[os.write(self.channel, view):]

    def send_failure(self, failure):
        flush_output()
        self.send("E", json.dumps(failure, ensure_ascii=False).encode("utf-8", "replace"))

    def tell_progress(self, done):
        self.listening = False  # a frame must not be cut
        self.send("P", struct.pack("<Q", done))
        self.listening = True

    def load(self, payload):
        setup = json.loads(payload)
        self.program = Program(setup)
        try:
            self.listening = True
            try:
                self.program.load(setup["sources"])
            finally:
                self.listening = False
        except BaseException as error:  # pylint: disable=broad-except
            self.reserve = None
            self.send_failure(self.program.load_failure(error))
            return
        gc.collect()
        gc.freeze()
        self.send("R", json.dumps({"python": sys.version.split()[0]}).encode())

    def evaluate(self, payload):
        program = self.program
        program.columns = program.results = []
        program.running = False
        rows, count = BATCH.unpack_from(payload)
        view = memoryview(payload)
        at = BATCH.size
        columns = []
        try:
            for _ in range(count):
                encoding, size = COLUMN.unpack_from(view, at)
                at += COLUMN.size
                columns.append(UNPACK[encoding](view[at:at + size], rows))
                at += size
            self.listening = True
            try:
                program.evaluate(rows, columns, self.tell_progress)
            finally:
                self.listening = False
            packed, bad = program.pack()
        except BaseException as error:  # pylint: disable=broad-except
            self.reserve = None
            self.send_failure(program.raised(error))
            return
        flush_output()
        if bad is not None:
            self.send_failure(program.bad_result(*bad))
            return
        pieces = [BATCH.pack(rows, len(packed))]
        for encoding, data in packed:
            pieces += [COLUMN.pack(ord(encoding), len(data)), data]
        self.send("C", *pieces)

    def explain(self, payload):
        """A result that only the engine could judge, described like any other."""
        request = json.loads(payload)
        self.send_failure(self.program.bad_result(request["row"], request["formula"], request["message"] + ": " +
                                                  shown(self.program.results[request["formula"]][request["row"]])))

    def run(self):
        handlers = {ord("L"): self.load, ord("B"): self.evaluate, ord("X"): self.explain}
        while True:
            magic, self.exchange, kind, size = HEADER.unpack(self.read(HEADER.size))
            if magic != MAGIC:
                os._exit(1)
            handlers[kind](self.read(size))


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # pylint: disable=broad-except
            pass


def _private(descriptor):
    """Moves a descriptor out of the way of formulas."""
    import fcntl
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 200)
    os.close(descriptor)
    return moved


def main():
    sys.stdout.reconfigure(line_buffering=True)
    sys.path.append("")  # modules beside the scripts, after everything installed
    Worker().run()


if __name__ == "capi_worker":
    main()
