"""MongoDB: documents of every type and extreme through the whole of drtool: dumped, restored into the same and into another product, and read back with
equal digests, byte for byte."""

import datetime
import struct

import mo
import mo_shop
import pytest

bson = pytest.importorskip("bson")
import mongo_script  # noqa: E402
import mongo_wire  # noqa: E402
from bson import DBRef, Int64, MaxKey, MinKey, Regex, Timestamp  # noqa: E402
from bson.decimal128 import Decimal128  # noqa: E402

INT32, INT64 = struct.Struct("<i"), struct.Struct("<q")


def element(kind, name, value):
    return bytes([kind]) + name + b"\0" + value


def of_types(number, *elements):
    """A document with an _id and elements of raw bytes."""
    return mongo_wire.document_of([element(mongo_wire.I32, b"_id", INT32.pack(number)), *elements])


def nested(levels, array):
    inner = bson.encode({"end": 1})
    for level in range(levels):
        inner = mongo_wire.document_of([element(mongo_wire.ARRAY if array and level % 2 == 0 else mongo_wire.DOCUMENT, b"0", inner)])
    return inner


# What every server keeps.
COMMON = [bson.encode(document) for document in [
    {"_id": 1, "long": Int64(2**63 - 1), "least": Int64(-2**63), "int": 2**31 - 1, "int least": -2**31, "small long": Int64(1)},
    {"_id": 2, "nan": float("nan"), "inf": float("inf"), "minus inf": float("-inf"), "minus zero": -0.0, "tiny": 5e-324, "most": 1.7976931348623157e308},
    {"_id": 3, "decimal": [Decimal128(text) for text in ("NaN", "Infinity", "-Infinity", "-0", "0E+6111", "1E-6176", "9.999999999999999999999999999999999E+6144", "1.000", "1")]},
    {"_id": 4, "dates": [datetime.datetime(1, 1, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), datetime.datetime(9999, 12, 31)]},
    {"_id": 5, "times": [Timestamp(2**32 - 1, 2**32 - 1), Timestamp(1, 0)], "min": MinKey(), "max": MaxKey(), "none": None, "yes": True, "no": False},
    {"_id": 6, "": "empty key", "a": {"": {"": 1}}, "long " * 2000: 1},
    {"_id": 7, "a.b": "dots", "x": {"$c": "dollar", "d.e": {"$set": {"f.": 1}}, "..": 2, "$": 3}},
    {"_id": 8, "re": [Regex("^a.*/$", "im"), Regex("", "")], "code": bson.Code("function() { return 1 }"), "scope": bson.Code("f", {"x": Int64(2**40)})},
    {"_id": 9, "bin": [bson.Binary(bytes(range(256)), kind) for kind in (0, 1, 3, 4, 5, 6, 7, 8, 128, 255)], "none": bson.Binary(b"", 128)},
    {"_id": 10, "text": "nul \0 inside, \u00e9, \U0001f600, \u2028, \ufeff", "empty": "", "nfc": "\u00e9", "nfd": "e\u0301"},
    {"_id": 11, "empty": {}, "none": [], "in": [[], [[]], {}, [{}]], "ref": DBRef("other", 5, "db", extra=1)},
    {"_id": bson.ObjectId("0" * 24)}, {"_id": bson.ObjectId("f" * 24)}, {"_id": "text"}, {"_id": ""}, {"_id": 2.5}, {"_id": Decimal128("1E+100")},
    {"_id": Int64(-2**63)}, {"_id": datetime.datetime(2020, 1, 1)}, {"_id": {"a": 1, "b": [1, {}]}}, {"_id": True}, {"_id": None}, {"_id": bson.Binary(b"x", 0)},
    {"_id": Timestamp(5, 6)}, {"_id": MinKey()}, {"_id": MaxKey()}, {"_id": float("inf")},
]] + [
    of_types(100, element(mongo_wire.DOCUMENT, b"deep", nested(98, False))),
    of_types(101, element(mongo_wire.DOCUMENT, b"deep", nested(98, True))),
    of_types(102, element(mongo_wire.I32, b"twice", INT32.pack(1)), element(mongo_wire.I32, b"twice", INT32.pack(2)), element(mongo_wire.STRING, b"twice", INT32.pack(2) + b"3\0")),
    of_types(103, element(mongo_wire.DOUBLE, b"signalling", b"\1\0\0\0\0\0\xf0\x7f"), element(mongo_wire.DOUBLE, b"payload", b"\x0d\xf0\xad\xba\xfe\xca\xf8\xff")),
]
# Old types, and forms that servers would rather not make themselves.
OLD = [
    of_types(200, element(mongo_wire.UNDEFINED, b"undefined", b""), element(mongo_wire.SYMBOL, b"symbol", INT32.pack(2) + b"s\0")),
    of_types(201, element(mongo_wire.POINTER, b"pointer", INT32.pack(4) + b"a.b\0" + bytes(12))),
    of_types(202, element(mongo_wire.BINARY, b"old binary", INT32.pack(7) + b"\2" + INT32.pack(3) + b"abc"), element(mongo_wire.BINARY, b"9", INT32.pack(3) + b"\x09abc")),
    of_types(203, element(mongo_wire.DATE, b"first", INT64.pack(-2**63)), element(mongo_wire.DATE, b"last", INT64.pack(2**63 - 1))),
    of_types(204, element(mongo_wire.TIMESTAMP, b"empty", bytes(8)), element(mongo_wire.DOCUMENT, b"in", bson.encode({"t": Timestamp(0, 0)}))),
    of_types(205, element(mongo_wire.DECIMAL, b"not canonical", b"\xff" * 14 + b"\xff\x6f"), element(mongo_wire.DECIMAL, b"nan with a payload", b"\7" + bytes(14) + b"\x7c")),
    of_types(206, element(mongo_wire.ARRAY, b"keys of an array", bson.encode({"5": 1, "x": 2, "": 3}))),
    of_types(207, element(mongo_wire.BOOL, b"_id", b"\1")),
]
MOST = 16 << 20


def of_size(number, size):
    return bson.encode({"_id": number, "x": bytes(size - 26)})


def all_of(collection):
    return sorted(mo.raw_documents(collection))


@pytest.fixture
def script():
    with mongo_script.Script(version="8.0.4") as server:
        yield server


def through(drtool, server, db, target, copy, *flags):
    """A backup, a restore that compares digests, and a verify."""
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{server.url(db)}\", scratch: \"{target.url()}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop", *flags)
    assert "compared and equal" in drtool.ok("restore", "shop", "--into", target.url(copy), "--compare").out
    assert "compared" in drtool.ok("verify", "shop").out


@pytest.mark.parametrize("chunk", ["4KiB", "1MiB"])
def test_documents_of_every_type_come_back_byte_for_byte_with_equal_digests(script, drtool, chunk):
    given = sorted(COMMON + OLD)
    script.store.load("shop", "odd", given)
    through(drtool, script, "shop", script, "copy", "--chunk-size", chunk, "--split-above", "4KiB")
    assert all_of(mo_shop.client_of(script)["copy"].odd) == given
    assert {len(c.doc.get("filter", {})) for c in script.sent("find", "shop.odd")} >= {1}, "the collection was not read in ranges"


def test_documents_of_every_type_that_a_real_server_takes_come_back_byte_for_byte_with_equal_digests(mo_server, make_mo_db, drtool):
    db, copy = make_mo_db(mo_server), make_mo_db(mo_server)
    refused = []
    for document in COMMON + OLD:
        answer = mo_server.db(db).command("insert", "odd", documents=[bson.raw_bson.RawBSONDocument(document)], check=False)
        if answer.get("n") != 1:
            refused.append(document)
    assert not set(refused) & set(COMMON), refused
    given = all_of(mo_server.db(db).odd)
    through(drtool, mo_server, db, mo_server, copy, "--chunk-size", "4KiB", "--split-above", "4KiB")
    assert all_of(mo_server.db(copy).odd) == given
    assert set(given) >= set(COMMON)


def test_documents_go_from_one_product_to_another_byte_for_byte_with_equal_digests(script, mo_server, make_mo_db, drtool):
    script.set(version="7.0.14")
    script.store.load("shop", "odd", COMMON, indexes=[{"v": 2, "key": {"x.d": 1}, "name": "x", "sparse": True}])
    copy, back = make_mo_db(mo_server), "back"
    drtool.ok("backup", script.url("shop"), "--name", "shop")
    assert "compared and equal" in drtool.ok("restore", "shop", "--into", mo_server.url(copy), "--compare").out
    drtool.ok("backup", mo_server.url(copy), "--name", "copy")
    assert "compared and equal" in drtool.ok("restore", "copy", "--into", script.url(back), "--compare").out
    assert all_of(mo_shop.client_of(script)[back].odd) == sorted(COMMON)


def test_documents_of_16_mib_come_back_with_equal_digests(mo_server, make_mo_db, drtool):
    db, copy = make_mo_db(mo_server), make_mo_db(mo_server)
    for number, size in enumerate((MOST, MOST - 1, 100)):
        mo_server.db(db).command("insert", "big", documents=[bson.raw_bson.RawBSONDocument(of_size(number, size))])
    through(drtool, mo_server, db, mo_server, copy, "--chunk-size", "64KiB")
    assert mo_shop.snapshot(mo_server, copy) == mo_shop.snapshot(mo_server, db)


def test_a_document_larger_than_the_target_takes_is_named_and_fails_the_restore(script, drtool):
    script.store.load("shop", "big", [of_size(1, 100), of_size(2, 3 << 20)])
    drtool.ok("backup", script.url("shop"), "--name", "shop")
    with mongo_script.Script(version="8.0.4", max_document=2 << 20) as target:
        result = drtool.fails(1, "restore", "shop", "--into", target.url())
    assert '_id' in result.err and str(2 << 20) in result.err and "shop.big" in result.err, result


def test_5000_collections_come_back(drtool, script):
    for number in range(5000):
        script.store.load("shop", f"c{number}", [{"_id": number}], indexes=[{"v": 2, "key": {"n": 1}, "name": "n"}] if number % 50 == 0 else [])
    drtool.ok("backup", script.url("shop"), "--name", "shop", timeout=300)
    assert drtool.manifest("shop")["rows"] == 5000
    drtool.ok("restore", "shop", "--into", script.url("copy"), "--jobs", "4", timeout=300)
    of = script.store.databases
    assert {name: (c.documents(), sorted(c.indexes)) for name, c in of["copy"].items()} == {name: (c.documents(), sorted(c.indexes)) for name, c in of["shop"].items()}


def test_a_capped_collection_keeps_the_order_of_its_documents(drtool, script):
    given = [bson.encode({"_id": number, "x": bytes(1 << 20)}) for number in (*range(70, 80), *range(70), *range(80, 90))]
    script.store.load("shop", "log", given, options={"capped": True, "size": 200 << 20})
    drtool.ok("backup", script.url("shop"), "--name", "shop")
    drtool.ok("restore", "shop", "--into", script.url("copy"), "--jobs", "4")
    assert script.store.find("copy", "log").documents() == given
