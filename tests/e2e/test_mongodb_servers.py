"""The servers of the tests for MongoDB: the scripted one answers as a real one does where both know how, and does what it is told."""

import os
import subprocess
import sys

import pytest

pymongo = pytest.importorskip("pymongo")
import bson  # noqa: E402
import mo  # noqa: E402
import mongo_script  # noqa: E402
import mongo_wire  # noqa: E402
from bson import Int64, MaxKey, MinKey, Regex, Timestamp  # noqa: E402
from bson.decimal128 import Decimal128  # noqa: E402
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure  # noqa: E402


def client_of(server, **options):
    return pymongo.MongoClient(server.url(), retryReads=False, retryWrites=False, tz_aware=True, **options)


@pytest.fixture
def both(mo_script, mo_server):
    """both(QUESTION): what the scripted server and the real one answer to the same question, a function of a database."""
    script = mo_script()
    clients = [client_of(script), client_of(mo_server)]

    def ask(question):
        answers = []
        for client in clients:
            client.drop_database("agree")
            try:
                answers.append(question(client.agree))
            except OperationFailure as refused:
                answers.append(refused.code)
            client.drop_database("agree")
        return answers

    yield ask
    for client in clients:
        client.close()


EXTREMES = [
    {"_id": 1, "": "an empty key", "a.b": "a dot", "$c": "a dollar", "nul": "a\0b"},
    {"_id": 2.5, "nan": float("nan"), "minus": -0.0, "inf": float("inf"), "long": Int64(2**63 - 1), "int": -2**31},
    {"_id": "three", "decimal": Decimal128("1E-6176"), "nan": Decimal128("NaN"), "time": Timestamp(1, 2)},
    {"_id": bson.ObjectId("0123456789abcdef01234567"), "min": MinKey(), "max": MaxKey(), "none": None, "re": Regex("a", "i")},
    {"_id": {"deep": [[], [{}], [[[1]]]]}, "code": bson.Code("f", {"x": 1}), "bin": bson.Binary(b"\0\xff", 128)},
    bson.encode({"_id": 6})[4:-1],
]
EXTREMES[-1] = mongo_wire.document_of([EXTREMES[-1], bson.encode({"twice": 1})[4:-1], bson.encode({"twice": 2})[4:-1]])


def test_documents_of_all_types_come_back_byte_for_byte_from_both(both):
    raw = [mongo_wire.raw(document) for document in EXTREMES]

    def question(db):
        db.command("insert", "odd", documents=[bson.raw_bson.RawBSONDocument(one) for one in raw])
        return mo.raw_documents(db.odd)
    script, real = both(question)
    assert script == raw
    assert sorted(real) == sorted(raw)


FILTERS = [
    {"_id": {"$gte": 10, "$lt": 20}}, {"_id": {"$lt": 5.5}}, {"_id": {"$gte": "b"}}, {"_id": {"$type": "string"}},
    {"_id": {"$in": [3, "c", None]}},
    {"$or": [{"_id": {"$lt": 3}}, {"_id": "a"}]}, {"$nor": [{"_id": {"$gte": 0}}, {"_id": {"$type": "string"}}]}, {"_id": {"$not": {"$lt": 25}}},
    {"n": None}, {"n.deep": 4}, {"n": {"$exists": False}}, {"_id": {"$gt": MinKey()}}, {"_id": {"$eq": 7}}, {"_id": {"$ne": 7}},
    {"n": float("nan")},
    {"$and": [{"_id": {"$gt": 3}}, {"_id": {"$lte": 6}}]}, {"_id": Int64(9)},
]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_filter_finds_the_same_documents_on_both(both, wanted):
    documents = [{"_id": i, "n": {"deep": i}} for i in range(30)] + [{"_id": word} for word in "abc"]
    documents += [{"_id": 100.5, "n": float("nan")}, {"_id": None, "n": None}, {"_id": True}]

    def question(db):
        db.items.insert_many(documents)
        return sorted(repr(d["_id"]) for d in db.items.find(wanted))
    script, real = both(question)
    assert script == real and script


def test_ids_are_sorted_and_projected_alike_on_both(both):
    def question(db):
        db.items.insert_many([{"_id": one, "x": 1} for one in (5, "b", 2.5, None, Decimal128("3"), "a", bson.ObjectId("0" * 24), True)])
        return [list(document) + [repr(document["_id"])] for document in db.items.find({}, {"_id": 1}).sort("_id")]
    script, real = both(question)
    assert script == real


def _duplicate(db):
    db.items.insert_many([{"_id": 1}, {"_id": 2}])
    try:
        db.items.insert_many([{"_id": 3}, {"_id": 1}, {"_id": 4}], ordered=False)
    except BulkWriteError as error:
        return [(e["index"], e["code"]) for e in error.details["writeErrors"]], db.items.count_documents({})


def _rename(db):
    db.items.insert_one({"_id": 1})
    db.items.rename("things")
    return sorted(db.list_collection_names()), db.things.count_documents({})


def _rename_onto(db):
    db.items.insert_one({"_id": 1})
    db.things.insert_one({"_id": 2})
    db.items.rename("things")


def _update(db):
    db.items.replace_one({"_id": "run"}, {"_id": "run", "n": 1}, upsert=True)
    db.items.replace_one({"_id": "run"}, {"n": 2})
    db.items.update_one({"_id": "run"}, {"$set": {"m": 3}})
    db.items.insert_many([{"_id": f"unit:{i}"} for i in range(5)])
    deleted = db.items.delete_many({"_id": {"$gte": "unit:", "$lt": "unit;"}}).deleted_count
    return deleted, list(db.items.find())


def _indexes(db):
    db.items.create_index([("a", 1), ("b", -1)], name="both", unique=True, sparse=True)
    db.items.create_index("when", name="ttl", expireAfterSeconds=60, partialFilterExpression={"n": {"$gt": 1}})
    db.command("collMod", "items", index={"name": "ttl", "expireAfterSeconds": 90})
    options = ("unique", "sparse", "expireAfterSeconds", "partialFilterExpression")
    return sorted((i["name"], list(i["key"].items()), *(i.get(name) for name in options)) for i in db.items.list_indexes())


def _batches(db):
    db.items.insert_many([{"_id": i} for i in range(250)])
    answer = db.command("find", "items", batchSize=100)
    sizes, cursor = [len(answer["cursor"]["firstBatch"])], answer["cursor"]["id"]
    while cursor:
        answer = db.command("getMore", cursor, collection="items", batchSize=100)
        sizes, cursor = sizes + [len(answer["cursor"]["nextBatch"])], answer["cursor"]["id"]
    return sizes


QUESTIONS = {
    "a document with an _id that is there is refused, the others go in": _duplicate,
    "a collection is renamed with its documents": _rename,
    "a collection is not renamed onto another": _rename_onto,
    "documents are put, changed and deleted": _update,
    "indexes are listed with their options and changed by collMod": _indexes,
    "a cursor gives batches of the size that is asked for": _batches,
    "indexes of no collection are an error": lambda db: list(db.command("listIndexes", "none")["cursor"]["firstBatch"]),
    "a cursor that is not there is an error": lambda db: db.command("getMore", Int64(12345), collection="items"),
    "a command that nobody knows is an error": lambda db: db.command("noSuchCommand"),
    "a collection that is not there is empty": lambda db: list(db.none.find()),
    "a sum over documents": lambda db: [db.items.insert_many([{"a": i} for i in range(9)]) and db.items.count_documents({"a": {"$gt": 3}})],
    "a name longer than 255 bytes is an error": lambda db: db.create_collection("n" * 255),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_both_answer_alike_where(both, question):
    script, real = both(question)
    assert script == real


# --- the real one ---

def test_the_server_takes_its_account_only_with_the_right_password(make_mo_server):
    server = make_mo_server(auth=True)
    assert pymongo.MongoClient(server.url()).admin.command("ping")["ok"]
    with pytest.raises(OperationFailure):
        pymongo.MongoClient(server.url(user="root", password="wrong")).shop.items.count_documents({})
    with pytest.raises(OperationFailure):
        pymongo.MongoClient(f"mongodb://127.0.0.1:{server.port}").shop.items.count_documents({})


def test_the_server_has_its_documents_after_a_crash_and_none_of_another_server(make_mo_server):
    server = make_mo_server()
    assert server.databases() == []
    server.db("shop").items.insert_one({"_id": 1})
    before = server.contents("shop")
    server.kill()
    server.start()
    assert server.contents("shop") == before


# --- what only the script does ---

def test_the_script_reads_at_one_moment(mo_script):
    server = mo_script(set_name="rs0")
    db = client_of(server).shop
    db.items.insert_many([{"_id": 1, "n": "old"}, {"_id": 2}])
    at = db.command("hello")["lastWrite"]["majorityOpTime"]["ts"]
    db.items.delete_one({"_id": 2})
    db.items.replace_one({"_id": 1}, {"n": "new"})
    db.items.insert_one({"_id": 3})
    old = db.command("find", "items", readConcern={"level": "snapshot", "atClusterTime": at})["cursor"]["firstBatch"]
    assert old == [{"_id": 1, "n": "old"}, {"_id": 2}]
    assert [d["_id"] for d in db.items.find()] == [1, 3]


def test_the_script_cannot_read_a_collection_at_a_moment_before_it_was_made(mo_script):
    server = mo_script(set_name="rs0")
    at = server.store.timestamp
    server.store.load("shop", "items", [{"_id": 1}])
    with pytest.raises(OperationFailure) as refused:
        client_of(server).shop.command("find", "items", readConcern={"level": "snapshot", "atClusterTime": at})
    assert refused.value.code == 246


@pytest.mark.parametrize("version, code", [("7.0.14", 246), ("8.0.1", None)])
def test_the_script_reads_capped_collections_at_a_moment_from_8_on(mo_script, version, code):
    server = mo_script(set_name="rs0", version=version)
    server.store.load("shop", "log", [{"_id": 1}], options={"capped": True, "size": 4096})
    try:
        answer = client_of(server).shop.command("find", "log", readConcern={"level": "snapshot"})
        assert (code, answer["cursor"]["firstBatch"]) == (None, [{"_id": 1}])
    except OperationFailure as refused:
        assert refused.code == code


@pytest.mark.parametrize("settings, code", [({}, 123), ({"set_name": "rs0", "snapshot": 72}, 72)], ids=["standalone", "refused"])
def test_the_script_refuses_to_read_at_a_moment_when_told(mo_script, settings, code):
    db = client_of(mo_script(**settings)).shop
    with pytest.raises(OperationFailure) as refused:
        db.command("find", "items", readConcern={"level": "snapshot"})
    assert refused.value.code == code


def test_the_script_keeps_every_option_of_a_collection_as_given(mo_script):
    server = mo_script()
    db = client_of(server).shop
    options = {
        "log": {"capped": True, "size": 4096, "max": 10}, "v": {"viewOn": "items", "pipeline": [{"$match": {"_id": {"$gt": 1}}}]},
        "strict": {"validator": {"n": {"$gt": 0}}, "validationLevel": "moderate"}, "ts": {"timeseries": {"timeField": "t", "metaField": "m"}},
        "german": {"collation": {"locale": "de", "strength": 2}}, "flat": {"clusteredIndex": {"key": {"_id": 1}, "unique": True, "name": "by"}},
    }
    for name, given in options.items():
        db.command("create", name, **given)
    db.items.insert_many([{"_id": 1}, {"_id": 2}])
    shown = {c["name"]: (c["type"], c["options"]) for c in db.list_collections()}
    assert {name: shown[name][1] for name in options} == options
    assert (shown["v"][0], shown["ts"][0], shown["system.buckets.ts"][0]) == ("view", "timeseries", "collection")
    assert list(db.v.find()) == [{"_id": 2}]
    assert list(db.flat.list_indexes())[0]["clustered"]
    db.german.create_index("a", name="own")
    db.german.create_index("b", name="simple", collation={"locale": "simple"})
    assert [i.get("collation", {}).get("locale") for i in db.german.list_indexes()] == ["de", "de", None]


@pytest.mark.parametrize("version, index", [("4.4.29", 67), ("7.0.14", None)])
def test_the_script_refuses_the_times_that_a_server_refuses(mo_script, version, index):
    db = client_of(mo_script(version=version)).shop
    clustered = {"clusteredIndex": {"key": {"_id": 1}, "unique": True, "name": "by"}}

    def code(*command, **more):
        try:
            db.command(*command, **more)
        except OperationFailure as refused:
            return refused.code
        return None
    assert [code("create", "flat", expireAfterSeconds=s, **clustered) for s in (-1, 2147483647, 60)] == [72, 72, None]
    assert [code("create", "ts", expireAfterSeconds=s, timeseries={"timeField": "t"}) for s in (2147483647, 1500000000)] == [72, None]
    assert [code("collMod", "flat", expireAfterSeconds=s) for s in (2147483647, "off", 1500000000)] == [72, None, None]
    assert code("create", "plain", expireAfterSeconds=60) == 72
    assert [code("createIndexes", "plain", indexes=[{"key": {"a": 1}, "name": "a", "expireAfterSeconds": s}]) for s in (2147483647, 1500000000)][0] == index
    assert code("createIndexes", "plain", indexes=[{"key": {"b": 1}, "name": "b", "expireAfterSeconds": 2147483648}]) == 67


def test_the_script_refuses_what_the_validator_refuses_unless_it_is_passed_by(mo_script):
    db = client_of(mo_script()).shop
    db.create_collection("strict", validator={"n": {"$gt": 0}})
    errors = db.command("insert", "strict", documents=[{"_id": 1, "n": 1}, {"_id": 2, "n": 0}], ordered=False)["writeErrors"]
    assert [(e["index"], e["code"]) for e in errors] == [(1, 121)]
    assert db.command("insert", "strict", documents=[{"_id": 2, "n": 0}], bypassDocumentValidation=True)["n"] == 1


@pytest.mark.parametrize("version, code", [("7.0.14", 40415), ("8.0.1", None)])
def test_the_script_puts_its_time_into_empty_timestamps_and_before_8_knows_no_way_round(mo_script, version, code):
    db = client_of(mo_script(version=version)).shop
    db.items.insert_one({"_id": 1, "t": Timestamp(0, 0), "in": {"t": Timestamp(0, 0)}})
    found = db.items.find_one()
    assert found["t"].time > 0 and found["in"]["t"] == Timestamp(0, 0)
    if code:
        with pytest.raises(OperationFailure) as refused:
            db.command("insert", "items", documents=[{"_id": 2}], bypassEmptyTsReplacement=True)
        assert refused.value.code == code
    else:
        db.command("insert", "items", documents=[{"_id": 2, "t": Timestamp(0, 0)}], bypassEmptyTsReplacement=True)
        assert db.items.find_one({"_id": 2})["t"] == Timestamp(0, 0)


def test_a_fault_strikes_the_command_that_it_is_meant_for(mo_script):
    server = mo_script()
    db = client_of(server).shop
    db.items.insert_many([{"_id": i} for i in range(5)])
    server.fault("getMore", n=2, error=239)
    with pytest.raises(OperationFailure) as refused:
        list(db.items.find(batch_size=2))
    assert refused.value.code == 239
    assert len(list(db.items.find(batch_size=2))) == 5


@pytest.mark.parametrize("how", [{"cut": True}, {"cut": 10}, {"close": True}], ids=str)
def test_a_fault_cuts_the_link(mo_script, how):
    server = mo_script()
    db = client_of(server).shop
    server.fault("find", **how)
    with pytest.raises(AutoReconnect):
        list(db.items.find())
    assert list(db.items.find()) == []


def test_a_fault_takes_the_cursor_away(mo_script):
    server = mo_script()
    db = client_of(server).shop
    db.items.insert_many([{"_id": i} for i in range(5)])
    server.fault("getMore", kill_cursor=True)
    with pytest.raises(OperationFailure) as refused:
        list(db.items.find(batch_size=2))
    assert refused.value.code == 43


def test_a_fault_drops_a_collection_before_a_command_is_answered(mo_script):
    server = mo_script(set_name="rs0")
    db = client_of(server).shop
    db.items.insert_one({"_id": 1})
    server.fault("find", run={"renameCollection": "shop.items", "to": "shop.old", "$db": "admin"})
    assert list(db.items.find()) == []
    assert db.old.count_documents({}) == 1


@pytest.mark.parametrize("code", [189, 10107])
def test_a_primary_that_steps_down_takes_no_writes_and_the_other_member_does(mo_script, code):
    first = mo_script(set_name="rs0")
    second = mo_script(set_name="rs0", role="secondary", store=first.store)
    for server in (first, second):
        server.set(hosts=[first.address, second.address], primary=first.address)
    client = client_of(first)
    client.shop.items.insert_one({"_id": 1})
    first.fault("insert", error=code, step_down=True, close=True)
    with pytest.raises((OperationFailure, AutoReconnect)):
        client.shop.items.insert_one({"_id": 2})
    second.set(role="primary", primary=second.address)
    client.shop.items.insert_one({"_id": 3})
    assert [c.ns for c in second.sent("insert")] == ["shop.items"]


def test_the_script_remembers_what_it_was_asked(mo_script):
    server = mo_script()
    client_of(server).shop.items.insert_one({"_id": 1, "n": 2})
    command, = server.sent("insert", "shop.items")
    assert command.doc["documents"] == [{"_id": 1, "n": 2}]
    server.forget()
    assert server.sent("insert") == []


def test_the_script_refuses_fields_that_a_server_would_not_know(mo_script):
    with pytest.raises(OperationFailure) as refused:
        client_of(mo_script()).shop.command("find", "items", rawData=True)
    assert refused.value.code == 40415


def test_the_script_merges_accounts_out_of_a_collection_beside(mo_script):
    server = mo_script()
    admin = client_of(server).admin
    server.store.load("admin", "system.users", [{"_id": "admin.ann", "user": "ann", "db": "admin"}])
    admin.beside.insert_one({"_id": "shop.bob", "user": "bob", "db": "shop"})
    admin.command("_mergeAuthzCollections", 1, tempUsersCollection="admin.beside", tempRolesCollection="", drop=False, db="")
    assert [user["user"] for user in admin.command("usersInfo", 1)["users"]] == ["ann", "bob"]
    with pytest.raises(OperationFailure) as refused:
        admin.command("_mergeAuthzCollections", 1, tempUsersCollection="", tempRolesCollection="", drop=False, db="")
    assert refused.value.code == 2


def test_the_script_runs_from_a_shell_and_ends_with_its_input(tmp_path):
    script = '{"settings": {"version": "6.0.1"}, "data": {"shop": {"items": {"documents": [{"_id": {"$numberLong": "5"}}]}}},' \
             ' "stream": {"shop.big": {"mb": 1, "document": 1000}}, "faults": [{"command": "count", "error": 26}]}'
    port_file, log = tmp_path / "port", tmp_path / "log"
    process = subprocess.Popen([sys.executable, mongo_script.__file__, "--port-file", port_file, "--script", script, "--log", log],
                               stdin=subprocess.PIPE)
    try:
        while not port_file.exists():
            assert process.poll() is None
        client = pymongo.MongoClient("127.0.0.1", int(port_file.read_text()))
        assert client.server_info()["version"] == "6.0.1"
        assert list(client.shop.items.find()) == [{"_id": Int64(5)}]
        ids = [document["_id"] for document in client.shop.big.find(batch_size=100)]
        assert ids == list(range(1048)) == [document["_id"] for document in client.shop.big.find(batch_size=100)]
        assert [d["_id"] for d in client.shop.big.find({"_id": {"$gte": 10, "$lt": 13}})] == [10, 11, 12]
        with pytest.raises(OperationFailure):
            client.shop.command("count", "items")
        assert client.admin.command("script", forget=True)["commands"][-1]["count"] == "items"
        client.close()
    finally:
        process.stdin.close()
    assert process.wait(10) == 0
    assert '"find": "items"' in log.read_text()
    assert os.path.exists(port_file)


def test_a_document_of_16_mib_comes_through_the_script(mo_script):
    db = client_of(mo_script()).shop
    big = {"_id": 1, "x": b"x" * ((16 << 20) - 64)}
    db.items.insert_many([big, {"_id": 2}])
    assert [len(bson.encode(d)) for d in db.items.find()] == [len(bson.encode(big)), 14]


def test_the_script_refuses_a_second_document_of_an_id_that_is_equal_as_a_number(mo_script):
    db = client_of(mo_script()).shop
    db.items.insert_one({"_id": 1})
    with pytest.raises(DuplicateKeyError):
        db.items.insert_one({"_id": 1.0})
