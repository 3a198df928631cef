# Given to the interpreter with -c; reads the worker program from descriptor 3. Valid in every Python.
import sys
if sys.version_info < (3, 9):
    sys.exit("Python 3.9 or newer is needed for formulas, this is " + sys.version.split()[0])
if sys.path and sys.path[0] == "":
    del sys.path[0]
import os


def _read(size):
    data = b""
    while len(data) < size:
        piece = os.read(3, size - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data


exec(compile(_read(int.from_bytes(_read(8), "little")), "<capi formula worker>", "exec"), {"__name__": "capi_worker"})
