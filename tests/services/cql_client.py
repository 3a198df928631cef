"""As much of the CQL native protocol v4 as is needed to see that a server answers, to create roles and to count nodes."""

import socket
import ssl
import struct

VERSION = 4
ERROR, STARTUP, READY, AUTHENTICATE, QUERY, RESULT, AUTH_RESPONSE, AUTH_SUCCESS = 0x00, 0x01, 0x02, 0x03, 0x07, 0x08, 0x0F, 0x10
ROWS = 2
CONSISTENCY_ONE = 1


class CqlError(Exception):
    pass


class CqlClient:
    """One connection; a request at a time. Raises OSError or CqlError."""

    def __init__(self, host, port, user=None, password=None, tls=None, timeout=10):
        self._socket = socket.create_connection((host, port), timeout)
        try:
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket)
            self._start(user, password)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _start(self, user, password):
        options = _text("CQL_VERSION") + _text("3.0.0")
        opcode, _ = self._ask(STARTUP, struct.pack(">H", 1) + options)
        if opcode == AUTHENTICATE:
            token = f"\0{user or ''}\0{password or ''}".encode()
            opcode, _ = self._ask(AUTH_RESPONSE, struct.pack(">i", len(token)) + token)
        if opcode not in (READY, AUTH_SUCCESS):
            raise CqlError(f"unexpected answer {opcode}")

    def _read(self, count):
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise CqlError("the connection was closed")
            data += part
        return bytes(data)

    def _ask(self, opcode, body):
        self._socket.sendall(struct.pack(">BBhBi", VERSION, 0, 0, opcode, len(body)) + body)
        _, _, _, answer, length = struct.unpack(">BBhBi", self._read(9))
        payload = self._read(length)
        if answer == ERROR:
            size = struct.unpack_from(">H", payload, 4)[0]
            raise CqlError(payload[6:6 + size].decode(errors="replace"))
        return answer, payload

    def query(self, cql):
        """The number of rows of the answer; 0 without rows."""
        return len(self.rows(cql))

    def rows(self, cql):
        """Tuples of cells as bytes, None for null; columns of simple types."""
        text = cql.encode()
        _, payload = self._ask(QUERY, struct.pack(">i", len(text)) + text + struct.pack(">HB", CONSISTENCY_ONE, 0))
        if struct.unpack_from(">i", payload)[0] != ROWS:
            return []
        return _rows(payload)


def _text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _rows(payload):
    flags, columns = struct.unpack_from(">ii", payload, 4)
    place = 12

    def skip_text(at):
        return at + 2 + struct.unpack_from(">H", payload, at)[0]

    if flags & 1:
        place = skip_text(skip_text(place))
    for _ in range(columns):
        if not flags & 1:
            place = skip_text(skip_text(place))
        place = skip_text(place) + 2
    count = struct.unpack_from(">i", payload, place)[0]
    place += 4
    rows = []
    for _ in range(count):
        row = []
        for _ in range(columns):
            length = struct.unpack_from(">i", payload, place)[0]
            place += 4
            row.append(None if length < 0 else payload[place:place + length])
            place += max(length, 0)
        rows.append(tuple(row))
    return rows


def tls_context(certificate=None, key=None):
    """Encrypts, trusts whatever the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
