"""MongoDB: verify must fail when anything is not as it was, and a backup when what the server sends is damaged.

A failpoint holds verify between the load and the comparison; meanwhile the test alters the copy on the server, which serves as scratch server too.
Every alteration must be named among the differences.
"""

import datetime
import re

import fault
import mo_shop
import pytest
from failpoints import failpoints

bson = pytest.importorskip("bson")
import mongo_script  # noqa: E402
import mongo_wire as wire  # noqa: E402
from bson import Int64  # noqa: E402

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")

LONG_AGO = datetime.datetime(2020, 1, 1)
NAMES = ("changed", "lost", "doubled", "typed", "sorted", "signed", "twice", "dropped", "renamed", "no_index", "plain_index", "more_indexes", "other_key", "timed", "filtered", "named")


def everything(db):
    """A collection for each alteration."""
    for name in NAMES:
        db[name].insert_many({"_id": i, "n": i, "z": 0.0, "in": {"a": 1, "b": 2}, "at": LONG_AGO} for i in range(30))
    db.create_collection("empty")
    db.no_index.create_index("n", name="by_n")
    db.plain_index.create_index("n", name="by_n", sparse=True)
    db.other_key.create_index([("n", 1), ("z", 1)], name="by_both")
    db.timed.create_index("at", name="ttl", expireAfterSeconds=mo_shop.NEVER)
    db.filtered.create_index("n", name="some", partialFilterExpression={"n": {"$gt": 5}})
    db.named.create_index("n", name="old_name")


def instead(collection, index, keys, **options):
    collection.drop_index(index)
    collection.create_index(keys, name=index, **options)


# What is done to the copy, and how verify must name it.
MUTATIONS = [
    (lambda db: db.changed.update_one({"_id": 7}, {"$set": {"n": 8}}), r"\bchanged\b"),
    (lambda db: db.lost.delete_one({"_id": 29}), r"\blost\b"),
    (lambda db: db.empty.insert_one({"_id": 1}), r"\bempty\b"),
    (lambda db: db.doubled.insert_one({"_id": 1.5, "n": 1}), r"\bdoubled\b"),
    (lambda db: db.typed.update_one({"_id": 3}, {"$set": {"n": Int64(3)}}), r"\btyped\b"),
    (lambda db: db.sorted.replace_one({"_id": 3}, {"_id": 3, "z": 0.0, "n": 3, "in": {"a": 1, "b": 2}, "at": LONG_AGO}), r"\bsorted\b"),
    (lambda db: (db.signed.delete_one({"_id": 3}), db.signed.insert_one({"_id": 3, "n": 3, "z": -0.0, "in": {"a": 1, "b": 2}, "at": LONG_AGO})), r"\bsigned\b"),
    (lambda db: (db.twice.delete_one({"_id": 3}), db.twice.insert_one({"_id": 30, "n": 3, "z": 0.0, "in": {"a": 1, "b": 2}, "at": LONG_AGO})), r"\btwice\b"),
    (lambda db: db.dropped.drop(), r"collection dropped.* missing"),
    (lambda db: db.renamed.rename("another"), r"collection renamed.* missing"),
    (lambda db: None, r"collection another.* was not"),
    (lambda db: db.no_index.drop_index("by_n"), r"index no_index: by_n.* missing"),
    (lambda db: instead(db.plain_index, "by_n", "n"), r"index plain_index: by_n"),
    (lambda db: db.more_indexes.create_index("z", name="late"), r"index more_indexes: late.* was not"),
    (lambda db: instead(db.other_key, "by_both", [("z", 1), ("n", 1)]), r"index other_key: by_both"),
    (lambda db: db.command("collMod", "timed", index={"name": "ttl", "expireAfterSeconds": 5}), r"index timed: ttl"),
    (lambda db: instead(db.filtered, "some", "n", partialFilterExpression={"n": {"$gt": 6}}), r"index filtered: some"),
    (lambda db: instead_named(db.named), r"index named: old_name.* missing"),
    (lambda db: db.extra.insert_one({"_id": 1}), r"collection extra.* was not"),
]


def instead_named(collection):
    collection.drop_index("old_name")
    collection.create_index("n", name="new_name")


def everything_scripted(db):
    """What only the scripted server has."""
    db.create_collection("strict", validator={"n": {"$gte": 0}})
    db.create_collection("loose", validator={"n": {"$gte": 0}}, validationLevel="moderate")
    db.create_collection("log", capped=True, size=4096, max=100)
    db.create_collection("german", collation={"locale": "de", "strength": 2})
    db.create_collection("flat", clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "by"})
    db.items.insert_many({"_id": i} for i in range(30))
    db.items.create_index("n", name="hidden", hidden=True)
    for name in ("seen", "gone", "other"):
        db.create_collection(name, viewOn="items", pipeline=[{"$match": {"_id": {"$gt": 3}}}])


def again(db, name, **options):
    documents = list(db[name].find()) if "viewOn" not in options else []
    db.drop_collection(name)
    db.create_collection(name, **options)
    if documents:
        db[name].insert_many(documents)


OF_SCRIPT = [
    (lambda db: db.command("collMod", "strict", validator={"n": {"$gte": 1}}), r"collection strict"),
    (lambda db: db.command("collMod", "loose", validationLevel="strict"), r"collection loose"),
    (lambda db: again(db, "log", capped=True, size=8192, max=100), r"collection log"),
    (lambda db: again(db, "german", collation={"locale": "fr", "strength": 2}), r"collection german"),
    (lambda db: again(db, "flat"), r"collection flat"),
    (lambda db: db.command("collMod", "items", index={"name": "hidden", "hidden": False}), r"index items: hidden"),
    (lambda db: again(db, "seen", viewOn="items", pipeline=[{"$match": {"_id": {"$gt": 4}}}]), r"view seen"),
    (lambda db: db.drop_collection("gone"), r"view gone.* missing"),
    (lambda db: again(db, "other", viewOn="log", pipeline=[{"$match": {"_id": {"$gt": 3}}}]), r"view other"),
    (lambda db: db.create_collection("new", viewOn="items", pipeline=[]), r"view new.* was not"),
]


def is_loaded(db):
    states = [name for name in db.list_collection_names() if name.startswith("drtool_run_")]
    return bool(states) and db[states[0]].find_one({"_id": "complete"}) is not None and db[states[0]].find_one({"_id": {"$gte": "unit:", "$lt": "unit;"}}) is None


def held_verify(drtool, server, alter):
    """Runs verify, and alter(DATABASE) on the copy when it is loaded; returns exit code and text."""
    process = drtool.start("verify", "shop", fail="verify.loaded:1:delay=3000")
    client = mo_shop.client_of(server)
    try:
        name = fault.wait_until(lambda: next((name for name in client.list_database_names() if name.startswith("drtool_verify")), None) or process.poll() is not None, "a copy is made")
        assert name is not True, process.communicate()
        fault.wait_until(lambda: is_loaded(client[name]), "the copy is loaded")
        alter(client[name])
        assert process.poll() is None, "verify went on before the copy was altered"
    finally:
        code, text = fault.end(process, 120)
    return code, text


def prepare(drtool, server, db):
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{server.url(db)}\", scratch: \"{server.url()}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop")


def check_all_found(drtool, server, mutations):
    code, text = held_verify(drtool, server, lambda db: [mutate(db) for mutate, _ in mutations])
    assert code == 4, text
    lines = text.splitlines()
    unseen = [pattern for _, pattern in mutations if not any(re.search(pattern, line) for line in lines)]
    assert not unseen, "not noticed:\n" + "\n".join(unseen) + "\n--- of:\n" + text
    assert drtool.ok("list", "--json").json[0]["backups"][0]["bad"]
    assert [name for name in mo_shop.client_of(server).list_database_names() if name.startswith("drtool_verify")] == []


@pytest.fixture
def script():
    with mongo_script.Script(set_name="rs0") as server:
        yield server


def test_every_alteration_of_the_copy_is_found(mo_server, make_mo_db, drtool):
    prepare(drtool, mo_server, make_mo_db(mo_server, everything))
    check_all_found(drtool, mo_server, MUTATIONS)


def test_every_alteration_of_options_and_views_of_the_copy_is_found(script, drtool):
    everything_scripted(mo_shop.client_of(script)["shop"])
    prepare(drtool, script, "shop")
    check_all_found(drtool, script, OF_SCRIPT)


def test_an_unaltered_copy_is_equal(mo_server, make_mo_db, drtool):
    prepare(drtool, mo_server, make_mo_db(mo_server, everything))
    code, text = held_verify(drtool, mo_server, lambda db: None)
    assert code == 0, text


def test_an_unaltered_copy_with_options_and_views_is_equal(script, drtool):
    everything_scripted(mo_shop.client_of(script)["shop"])
    prepare(drtool, script, "shop")
    code, text = held_verify(drtool, script, lambda db: None)
    assert code == 0, text


@pytest.mark.parametrize("mutate", [mutate for mutate, pattern in MUTATIONS[:8]], ids=[pattern.strip("\\b") for _, pattern in MUTATIONS[:8]])
def test_one_altered_document_alone_is_a_difference(mo_server, make_mo_db, drtool, mutate):
    db = make_mo_db(mo_server, everything)
    prepare(drtool, mo_server, db)
    copy = f"{db}_copy"
    command = ["restore", "shop", "--into", mo_server.url(copy), "--compare"]
    assert drtool.run(*command, fail="restore.finish.before:1:kill").code < 0
    mutate(mo_server.db(copy))
    drtool.fails(4, *command, "--resume")


# --- what a server must not send ---

def reply(batch, name="nextBatch", cursor_id=Int64(0)):
    """An answer whose batch is an element of any type."""
    cursor = wire.document_of([bson.encode({"id": cursor_id, "ns": "shop.items"})[4:-1], batch])
    return wire.document_of([b"\x03cursor\0" + cursor, bson.encode({"ok": 1.0})[4:-1]])


def batch_of(documents, name=b"nextBatch"):
    return b"\x04" + name + b"\0" + wire.array_of(documents)


GOOD = [bson.encode({"_id": 1000 + i, "text": "x" * 50, "in": {"a": [1, 2]}}) for i in range(3)]


def damaged(change):
    """The second document with a change of its bytes; its frame stays right."""
    one = bytearray(GOOD[1])
    change(one)
    return reply(batch_of([GOOD[0], bytes(one), GOOD[2]]))


def put(at, byte):
    def change(data):
        data[at] = byte
    return change


ANSWERS = {
    "a document that says it is longer": damaged(put(0, GOOD[1][0] + 1)),
    "a document that says it is shorter": damaged(put(0, GOOD[1][0] - 1)),
    "a document of no length": damaged(put(0, 0)),
    "a document of two gigabytes": damaged(put(3, 0x7f)),
    "a document without an end": damaged(put(len(GOOD[1]) - 1, 1)),
    "a member of no type": damaged(put(4, 0x20)),
    "a text that is longer than its document": damaged(put(GOOD[1].index(b"text\0") + 6, 0x7f)),
    "a batch that is a text": reply(b"\x02nextBatch\0" + wire.INT32.pack(2) + b"x\0"),
    "a batch of numbers": reply(b"\x04nextBatch\0" + bson.encode({"0": 1, "1": 2})),
    "no batch": reply(b""),
    "a cursor that is a text": reply(batch_of(GOOD), cursor_id="5"),
    "an answer that lacks a byte": reply(batch_of(GOOD))[:-1],
    "an answer that has a byte more": reply(batch_of(GOOD)) + b"\0",
    "an answer of no document": b"",
    "an empty answer": b"\5\0\0\0\0",
}


@pytest.mark.parametrize("what", ANSWERS)
def test_a_damaged_answer_of_the_server_is_never_a_good_backup(script, drtool, what):
    script.store.load("shop", "items", [{"_id": i} for i in range(500)])
    script.fault("getMore", ns="shop.items", n=1, reply=ANSWERS[what])
    result = drtool.run("backup", script.url("shop"), "--name", "shop", timeout=60)
    assert result.code == 1, result
    assert drtool.backups("shop") == [] and fault.leftovers(drtool.store) == []
