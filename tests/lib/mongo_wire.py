"""Messages of MongoDB's protocol and the BSON in them, as bytes: nothing is decoded that need not be, so nothing is changed by it.

Layout: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and https://bsonspec.org/spec.html.
"""

import math
import socket
import struct

import bson
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM, MORE_TO_COME = 1, 2
INT32, INT64 = struct.Struct("<i"), struct.Struct("<q")

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOL, DATE, NULL, REGEX, POINTER, CODE, SYMBOL, CODE_SCOPE = range(1, 16)
TIMESTAMP, DECIMAL, MIN_KEY, MAX_KEY = 0x11, 0x13, 0xFF, 0x7F
I32, I64 = 0x10, 0x12


# --- BSON ---

def raw(document):
    """The bytes of a dict, a RawBSONDocument or bytes."""
    if isinstance(document, RawBSONDocument):
        return document.raw
    return document if isinstance(document, bytes) else bson.encode(document)


def decode(data):
    return bson.decode(data)


class Element:
    """One field: its type, its name, and where its bytes and those of its value lie in the document."""

    __slots__ = ("type", "name", "data", "begin", "value", "end")

    def __init__(self, kind, name, data, begin, value, end):
        self.type, self.name, self.data, self.begin, self.value, self.end = kind, name, data, begin, value, end

    @property
    def bytes(self):
        return self.data[self.begin:self.end]

    @property
    def value_bytes(self):
        return self.data[self.value:self.end]

    def decode(self):
        """The value as Python has it."""
        return next(iter(decode(document_of([renamed("v", self)])).values()))

    def holds(self):
        """Whether it is a document or an array."""
        return self.type in (DOCUMENT, ARRAY)


FIXED = {DOUBLE: 8, UNDEFINED: 0, OBJECT_ID: 12, BOOL: 1, DATE: 8, NULL: 0, I32: 4, TIMESTAMP: 8, I64: 8, DECIMAL: 16, MIN_KEY: 0, MAX_KEY: 0}


def _value_length(kind, data, at):
    if kind in FIXED:
        return FIXED[kind]
    if kind == REGEX:
        return data.index(0, data.index(0, at) + 1) + 1 - at
    length = INT32.unpack_from(data, at)[0]
    if kind in (DOCUMENT, ARRAY, CODE_SCOPE):
        return length
    return 4 + length + {BINARY: 1, POINTER: 12}.get(kind, 0)


def elements(data):
    """The fields of a document in their order, the same name twice too."""
    at = 4
    while data[at]:
        name_end = data.index(0, at + 1)
        value = name_end + 1
        end = value + _value_length(data[at], data, value)
        yield Element(data[at], data[at + 1:name_end].decode("utf-8", "surrogateescape"), data, at, value, end)
        at = end


def field(data, path):
    """The first field of that name, or of that path through documents; None."""
    whole = path
    while data is not None:
        best = None
        for element in elements(data):
            if element.name == whole:
                return element
            if best is None and element.type == DOCUMENT and whole.startswith(element.name + "."):
                best = element
        if best is None:
            return None
        whole, data = whole[len(best.name) + 1:], best.value_bytes
    return None


def document_of(parts):
    """A document out of the bytes of its fields."""
    body = b"".join(parts)
    return INT32.pack(len(body) + 5) + body + b"\0"


def renamed(name, element):
    return bytes([element.type]) + name.encode("utf-8", "surrogateescape") + b"\0" + element.value_bytes


def with_fields(data, change):
    """A copy with these fields put in the place of those of the same name, or at the end; None takes one away."""
    new = {name: elements(raw({name: value})) for name, value in change.items() if value is not None}
    new = {name: next(one).bytes for name, one in new.items()}
    parts = [new.pop(e.name) if e.name in new else e.bytes for e in elements(data) if e.name in new or e.name not in change]
    return document_of(parts + list(new.values()))


# --- order: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/ ---

CLASS = {MIN_KEY: -1, UNDEFINED: 0, NULL: 0, DOUBLE: 1, I32: 1, I64: 1, DECIMAL: 1, STRING: 2, SYMBOL: 2, DOCUMENT: 3, ARRAY: 4, BINARY: 5,
         OBJECT_ID: 6, BOOL: 7, DATE: 8, TIMESTAMP: 9, REGEX: 10, POINTER: 11, CODE: 12, CODE_SCOPE: 13, MAX_KEY: 14}


def _number(element):
    value = element.value_bytes
    if element.type == DECIMAL:
        number = Decimal128(tuple(reversed(struct.unpack("<QQ", value)))).to_decimal()
        return (0, 0) if number.is_nan() else (1, number)
    number = struct.unpack({DOUBLE: "<d", I32: "<i", I64: "<q"}[element.type], value)[0]
    return (0, 0) if isinstance(number, float) and math.isnan(number) else (1, number)


def key(element):
    """What values are compared by and found again by: (class, ...). NaN is the first of the numbers."""
    kind, value = CLASS[element.type], element.value_bytes
    if kind == 1:
        return kind, _number(element)
    if kind == 2:
        return kind, value[4:-1]
    if kind in (3, 4):
        return kind, tuple((key(e)[0], e.name, key(e)) for e in elements(value))
    if kind == 5:
        return kind, (len(value), value[4:])
    if kind in (8, 9):
        return kind, struct.unpack("<q" if kind == 8 else "<Q", value)[0]
    return kind, value if kind in (6, 7, 10, 11, 12, 13) else None


# --- messages ---

class Closed(Exception):
    """The other side has gone, or sent what is no message."""


def _read(sock, n):
    got = bytearray()
    while len(got) < n:
        piece = sock.recv(min(n - len(got), 1 << 20))
        if not piece:
            raise Closed
        got += piece
    return bytes(got)


class Command:
    """What a client has sent. raw: the body; lists: documents that came beside it, {"documents": [bytes]}."""

    def __init__(self, body, lists=None, request=0, legacy=False, database=None, answered=True):
        self.raw, self.lists, self.request, self.legacy, self.answered = body, lists or {}, request, legacy, answered
        first = next(elements(body))
        self.name = first.name
        self.target = first.decode() if first.type == STRING else None
        self.db = database or self.get("$db", "admin")
        self.knows = None  # the newest time that its server has heard of, where that is not its store's

    @property
    def ns(self):
        """ "shop.items" where the command is about a collection, else "shop". """
        of = self.get("collection") if self.name == "getMore" else self.target
        if self.name == "renameCollection":
            return of
        return f"{self.db}.{of}" if isinstance(of, str) else self.db

    @property
    def doc(self):
        """The whole as Python has it."""
        return {**decode(self.raw), **{name: [decode(one) for one in many] for name, many in self.lists.items()}}

    def field(self, name):
        return field(self.raw, name)

    def get(self, name, default=None):
        element = field(self.raw, name)
        return default if element is None else element.decode()

    def part(self, name):
        """The bytes of a document in it; an empty one where there is none."""
        element = field(self.raw, name)
        return element.value_bytes if element is not None and element.holds() else raw({})

    def each(self, name):
        """The documents of a list in it, as bytes."""
        if name in self.lists:
            return self.lists[name]
        return [e.value_bytes for e in elements(self.part(name)) if e.type == DOCUMENT]


def _sections(payload, end):
    body, lists, at = None, {}, 4
    while at < end:
        kind, length = payload[at], INT32.unpack_from(payload, at + 1)[0]
        if kind == 0:
            body = payload[at + 1:at + 1 + length]
        else:
            name_end = payload.index(0, at + 5)
            many, one = lists.setdefault(payload[at + 5:name_end].decode(), []), name_end + 1
            while one < at + 1 + length:
                size = INT32.unpack_from(payload, one)[0]
                many.append(payload[one:one + size])
                one += size
        at += 1 + length
    return body, lists


def read_command(sock, most):
    """The next command; Closed where none comes or it is longer than a server takes."""
    length, request, _, code = struct.unpack("<iiii", _read(sock, 16))
    if not 16 < length <= most:
        raise Closed
    payload = _read(sock, length - 16)
    if code == OP_QUERY:  # only a client's first hello comes so
        name_end = payload.index(0, 4)
        begin = name_end + 9
        body = payload[begin:begin + INT32.unpack_from(payload, begin)[0]]
        wrapped, database = field(body, "$query"), payload[4:name_end].decode().partition(".")[0]
        return Command(wrapped.value_bytes if wrapped else body, request=request, legacy=True, database=database)
    if code != OP_MSG:
        raise Closed
    flags = INT32.unpack_from(payload)[0]
    body, lists = _sections(payload, len(payload) - (4 if flags & CHECKSUM else 0))
    return Command(body, lists, request, answered=not flags & MORE_TO_COME)


def head_of(command, length):
    """What stands before a reply's document of that length."""
    if command.legacy:
        return struct.pack("<iiiiiqii", length + 36, 0, command.request, OP_REPLY, 8, 0, 0, 1)
    return struct.pack("<iiiiib", length + 21, 0, command.request, OP_MSG, 0, 0)


MOST_IN_ARRAY = 100000
ARRAY_KEYS = [b"\x03" + str(i).encode() + b"\0" for i in range(MOST_IN_ARRAY)]


def array_of(documents):
    """The bytes of an array of documents."""
    parts = [b""] * (2 * len(documents))
    parts[0::2] = ARRAY_KEYS[:len(documents)]
    parts[1::2] = documents
    return document_of(parts)


def send_all(sock, parts):
    """As one message, without making one piece of them."""
    parts = [memoryview(part) for part in parts]
    while parts:
        sent = sock.sendmsg(parts)
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if sent:
            parts[0] = parts[0][sent:]


def reset(sock):
    """Ends a link as a crash does: the other side may not even read what is on its way."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
