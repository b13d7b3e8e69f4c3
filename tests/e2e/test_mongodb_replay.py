"""MongoDB: a backup with its oplog comes back as its source was at the end of the log, whatever was written meanwhile, and wherever it is restored to. The
source is the scripted server, whose past is known; targets are the server of the tests and scripted ones."""

import json
import subprocess
import threading

import fault
import pg
import pytest
from failpoints import failpoints, points

bson = pytest.importorskip("bson")
wire = pytest.importorskip("mongo_wire")
query = pytest.importorskip("mongo_query")
import mo  # noqa: E402

needs_failpoints = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")
FLAGS = ("--chunk-size", "16KiB", "--jobs", "2")
REFUSED = 246  # what snapshot reads are answered with


def insert(collection, *documents, db="shop"):
    return {"insert": collection, "documents": list(documents), "$db": db}


def update(collection, own, how, db="shop"):
    return {"update": collection, "updates": [{"q": {"_id": own}, "u": how}], "$db": db}


def delete(collection, own, db="shop"):
    return {"delete": collection, "deletes": [{"q": {"_id": own}, "limit": 1}], "$db": db}


@pytest.fixture
def server(mo_script):
    made = mo_script(set_name="rs0", snapshot=REFUSED, oplog=100000)
    made.store.load("shop", "orders", [{"_id": i, "sum": 100, "text": "x" * 60} for i in range(400)],
                    [{"v": 2, "key": {"mail": 1}, "name": "mail", "unique": True, "sparse": True}])
    made.store.load("shop", "items", [{"_id": i} for i in range(5)])
    return made


def backup(drtool, server, *more):
    drtool.ok("backup", server.url("shop"), "--name", "shop", *FLAGS, *more)
    scopes = drtool.manifest("shop")["scopes"]
    assert scopes[-1]["log"]
    return tuple(map(int, scopes[-1]["position"].split(":")))


def past(server, collection, at):
    return sorted(server.store.find("shop", collection).documents(at))


def now(target, db, collection):
    if isinstance(target, mo.Server):
        return sorted(mo.raw_documents(target.db(db)[collection]))
    found = target.store.find(db, collection)
    return sorted(found.documents()) if found else None


def during(server, *commands):
    """Commands that are run when the documents of orders are asked for."""
    server.fault("find", ns="shop.orders", call=lambda _: [server.do(command) for command in commands])


@pytest.fixture
def busy(server, drtool):
    """A backup that was taken while amounts went from one order to the next, the sum of all being the same after each two updates; its position."""
    ended = threading.Event()

    def write():
        amounts = [100] * 400
        for i in range(100000):
            if ended.is_set():
                break
            one, other = i % 400, (i * 7 + 1) % 400
            with server.store.lock:
                for which, change in ((one, -1), (other, 1)):
                    amounts[which] += change
                    server.do(update("orders", which, {"$set": {"sum": amounts[which]}}))
                server.do(insert("orders", {"_id": f"new{i}", "sum": 0}))
                server.do(delete("orders", f"new{i - 3}"))
            ended.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return backup(drtool, server)
    finally:
        ended.set()
        writer.join()


def test_all_documents_are_of_the_end_of_the_log_though_it_was_written_to_all_the_time(server, drtool, mo_server, make_mo_db, busy):
    db = make_mo_db(mo_server)
    done = drtool.ok("restore", "shop", "--into", mo_server.url(db), "--compare")
    assert now(mo_server, db, "orders") == past(server, "orders", busy)
    assert now(mo_server, db, "items") == past(server, "items", busy)
    assert mo_server.indexes(db)["orders"]["mail"]["unique"]
    assert "compared and equal" in done.out and f"replayed up to {busy[0]}:{busy[1]}" in done.text
    assert not [name for name in mo_server.db(db).list_collection_names() if name.startswith("drtool")]
    total = sum(document["sum"] for document in mo_server.db(db).orders.find())
    assert abs(total - 40000) <= 1  # the end may be between two updates


def test_in_place_it_takes_the_place_of_what_is_there_and_goes_back(server, drtool, mo_script, busy):
    target = mo_script(set_name="rs1")
    target.store.load("shop", "orders", [{"_id": "before"}])
    done = drtool.ok("restore", "shop", "--into", target.url(), "--in-place", "--yes")
    assert "compared and equal" in done.out
    assert now(target, "shop", "orders") == past(server, "orders", busy)
    run = next(name for name in target.store.databases["shop"] if name.startswith("drtool_run_"))[-6:]
    assert now(target, "shop", f"orders_before_{run}") == [wire.raw({"_id": "before"})]
    drtool.ok("exchange", run, "--into", target.url(), "--back", "--yes")
    assert now(target, "shop", "orders") == [wire.raw({"_id": "before"})]
    assert now(target, "shop", f"orders_restore_{run}") == past(server, "orders", busy)


def test_one_collection_comes_without_the_others(server, drtool, mo_script, busy):
    target = mo_script(set_name="rs1")
    target.store.load("copy", "items", [{"_id": "before"}])
    drtool.ok("restore", "shop", "--into", target.url("copy"), "--table", "shop.orders", "--rename", "orders=kept")
    assert now(target, "copy", "kept") == past(server, "orders", busy)
    assert now(target, "copy", "items") == [wire.raw({"_id": "before"})] and now(target, "copy", "orders") is None


def test_a_value_that_went_from_one_document_to_another_while_they_were_read_does_not_break_its_unique_index(server, drtool, mo_server, make_mo_db):
    had = []

    def move(command):
        """The first document that is read has the value, and gives it to one that is read later."""
        asked = {wire.field(d, "_id").decode() for d in server.store.find("shop", "orders").documents() if query.matches(d, command.part("filter"))}
        if command.get("filter") is None:
            return  # where to divide it
        if not had and asked:
            had.append(min(asked))
            server.do(update("orders", had[0], {"$set": {"mail": "x@y"}}))
        elif len(had) == 1 and asked - {had[0]}:
            had.append(max(asked))
            server.do(update("orders", had[0], {"$set": {"mail": "z@y"}}))
            server.do(update("orders", had[1], {"$set": {"mail": "x@y"}}))

    server.fault("find", ns="shop.orders", times=None, call=move)
    drtool.ok("backup", server.url("shop"), "--name", "shop", "--split-above", "8KiB", "--jobs", "1")
    folder = pg.temp_dir("unpacked")
    for volume in drtool.archives("shop"):
        subprocess.run(["tar", "xzf", volume, "-C", folder], check=True)
    assert sum(piece.read_bytes().count(b"x@y") for piece in (folder / "db/shop/data/orders").iterdir()) == 2
    at = tuple(map(int, drtool.manifest("shop")["scopes"][0]["position"].split(":")))
    db = make_mo_db(mo_server)
    drtool.ok("restore", "shop", "--into", mo_server.url(db))
    assert now(mo_server, db, "orders") == past(server, "orders", at)
    assert mo_server.indexes(db)["orders"]["mail"]["unique"]


# --- collections that come, go and change their names ---

SWAP = (insert("tmp", {"_id": 1, "mark": "new"}), {"renameCollection": "shop.tmp", "to": "shop.items", "dropTarget": True, "$db": "admin"},
        insert("items", {"_id": 2, "mark": "newer"}), {"create": "made", "capped": True, "size": 4096, "$db": "shop"}, insert("made", {"_id": 1}),
        {"createIndexes": "items", "indexes": [{"key": {"mark": 1}, "name": "mark", "unique": True}], "$db": "shop"},
        insert("gone", {"_id": 1}), {"drop": "gone", "$db": "shop"})


def check_swapped(server, target, at, suffix=""):
    for name in "orders", "items", "made":
        assert now(target, "shop", name + suffix) == past(server, name, at), name
    assert all(now(target, "shop", name + suffix) is None for name in ("tmp", "gone"))
    indexes = {wire.field(index, "name").decode() for index in target.store.find("shop", "items" + suffix).indexes}
    assert indexes == {"_id_", "mark"}


def test_collections_are_made_replaced_and_dropped_as_while_the_backup_was_taken(server, drtool, mo_script):
    during(server, *SWAP)
    at = backup(drtool, server)
    target = mo_script(set_name="rs1")
    drtool.ok("restore", "shop", "--into", target.url())
    check_swapped(server, target, at)
    assert wire.field(target.store.find("shop", "made").options, "capped").decode() is True


def test_collections_that_were_replaced_between_the_beginning_of_the_log_and_their_list_come_as_they_were_listed(server, drtool, mo_script):
    # The list that counts is made after the log's beginning was looked at.
    server.fault("listCollections", n=2, call=lambda _: [server.do(command) for command in SWAP])
    at = backup(drtool, server)
    target = mo_script(set_name="rs1")
    drtool.ok("restore", "shop", "--into", target.url())
    check_swapped(server, target, at)


VIEW = {"viewOn": "orders", "pipeline": []}


@pytest.mark.parametrize("more", [(), ("--in-place", "--yes")])
def test_a_collection_that_took_the_name_of_a_view_before_it_was_listed_keeps_its_documents_and_options(server, drtool, mo_script, more):
    server.store.load("shop", "kept", options=VIEW)
    change = {"collMod": "kept", "viewOn": "items", "pipeline": [], "$db": "shop"}
    server.fault("listCollections", n=2, call=lambda _: [server.do(command) for command in (
        change, {"drop": "kept", "$db": "shop"}, {"create": "kept", "capped": True, "size": 4096, "$db": "shop"}, insert("kept", {"_id": 1}))])
    during(server, insert("kept", {"_id": 2}))
    at = backup(drtool, server)
    target = mo_script(set_name="rs1")
    drtool.ok("restore", "shop", "--into", target.url(), *more)
    assert now(target, "shop", "kept") == past(server, "kept", at)
    assert wire.field(target.store.find("shop", "kept").options, "capped").decode() is True


def test_a_view_that_took_the_name_of_a_collection_before_it_was_listed_is_that_view(server, drtool, mo_script):
    server.fault("listCollections", n=2, call=lambda _: [server.do(command) for command in (
        {"create": "seen", "$db": "shop"}, insert("seen", {"_id": 1}), {"drop": "seen", "$db": "shop"}, {"create": "seen", **VIEW, "$db": "shop"})])
    backup(drtool, server)
    target = mo_script(set_name="rs1")
    drtool.ok("restore", "shop", "--into", target.url())
    made = target.store.find("shop", "seen")
    assert made.kind == "view" and wire.field(made.options, "viewOn").decode() == "orders"


@pytest.mark.parametrize("version, buckets", [("7.0.14", True), ("8.3.0", False)])
def test_buckets_of_a_time_series_are_replayed_as_they_are_stored(server, drtool, mo_script, version, buckets):
    bucket = {"control": {"version": 1, "min": {"at": 1}}, "meta": "a", "data": {"at": {"0": 1}}}
    server.store.load("shop", "series", [{"_id": 1, **bucket}], options={"timeseries": {"timeField": "at", "metaField": "meta"}})
    during(server, insert("system.buckets.series", {"_id": 2, **bucket}), update("system.buckets.series", 1, {"$set": {"meta": "b"}}))
    at = backup(drtool, server)
    target = mo_script(set_name="rs1", version=version)
    target.store.buckets = buckets
    drtool.ok("restore", "shop", "--into", target.url())
    assert now(target, "shop", "system.buckets.series" if buckets else "series") == past(server, "system.buckets.series", at)


@pytest.mark.parametrize("version, buckets", [("8.0.4", True), ("8.3.0", False)])
def test_buckets_with_values_of_several_types_are_loaded_and_replayed_into_servers_that_refuse_them_at_first(server, drtool, mo_script, version, buckets):
    bucket = {"control": {"version": 1, "min": {"at": 1, "a": 1}, "max": {"at": 1, "a": 1}}, "data": {"a": {"0": 1}}}
    server.store.load("shop", "series", [{"_id": 1, **bucket}, {"_id": 2, **bucket}], options={"timeseries": {"timeField": "at"}})
    changed = {"control": {"version": 1, "min": {"at": 1, "a": 1}, "max": {"at": 1, "a": "x"}}, "data": {"a": {"0": 1, "1": "x"}}}
    during(server, insert("system.buckets.series", {"_id": 3, **bucket}), update("system.buckets.series", 1, {"$set": changed}))
    at = backup(drtool, server)
    target = mo_script(set_name="rs1", version=version)
    target.store.buckets = buckets
    drtool.ok("restore", "shop", "--into", target.url(), "--compare")
    assert now(target, "shop", "system.buckets.series" if buckets else "series") == past(server, "system.buckets.series", at)
    assert len(target.sent("collMod")) == 1


def test_documents_of_16_megabytes_are_put_and_changed(server, drtool, mo_server, make_mo_db):
    large = "x" * ((16 << 20) - 100)
    during(server, insert("large", {"_id": 1, "text": large}), insert("large", {"_id": 2, "text": large[:-1000]}),
           update("large", 2, {"$set": {"more": "y" * 900}}), update("orders", 3, {"_id": 3, "text": large}))
    at = backup(drtool, server)
    db = make_mo_db(mo_server)
    drtool.ok("restore", "shop", "--into", mo_server.url(db))
    for name in "large", "orders":
        assert now(mo_server, db, name) == past(server, name, at), name


@pytest.mark.parametrize("version", ["7.0.14", "8.0.4"])
def test_documents_with_fields_whose_names_begin_with_a_dollar_are_put_and_changed(server, drtool, mo_script, version):
    stamp = bson.timestamp.Timestamp(0, 0)
    server.store.load("shop", "odd", [{"_id": i, "$ref": "a", "n": 0} for i in range(3)])
    literal = [{"$replaceWith": {"$literal": {"_id": 1, "$set": {"n": 1}, "at": stamp}}}]
    server.fault("find", ns="shop.odd", call=lambda _: [server.do(command) for command in (
        insert("odd", {"_id": "new", "$price": 1}, {"_id": "gone", "$price": 1}), delete("odd", "gone"), update("odd", 0, {"$set": {"n": 1}}))])
    during(server, insert("odd", {"_id": "newer", "n": 1, "$inc": {"$x": 1}}), update("odd", 1, literal), update("orders", 1, literal), delete("odd", 2))
    at = backup(drtool, server)
    target = mo_script(set_name="rs1", version=version)
    drtool.ok("restore", "shop", "--into", target.url())
    for name in "odd", "orders":
        assert now(target, "shop", name) == past(server, name, at), name


@needs_failpoints
def test_documents_with_fields_whose_names_begin_with_a_dollar_are_replayed_once_more_after_a_cut(server, drtool, mo_script):
    server.store.load("shop", "odd", [{"_id": i, "$ref": "a", "n": 0} for i in range(3)])
    during(server, insert("odd", {"_id": "new", "$price": 1}), update("odd", 1, {"$set": {"n": 1}}))
    at = backup(drtool, server)
    target = mo_script(set_name="rs1")
    drtool.run("restore", "shop", "--into", target.url(), fail="mongodb.replay.write.after:1:kill")
    drtool.ok("restore", "shop", "--into", target.url(), "--resume")
    assert now(target, "shop", "odd") == past(server, "odd", at)


@pytest.mark.parametrize("folder", ["db/local/data/oplog.rs/", "db/shop/data/orders/"])
def test_a_damaged_log_or_collection_ends_a_restore_before_anything_is_changed(server, drtool, mo_script, folder):
    during(server, *(insert("orders", {"_id": f"n{i}", "text": "y" * 50}) for i in range(20)))
    backup(drtool, server)
    fault.damage_first(drtool.archives("shop")[0], folder)
    target = mo_script(set_name="rs1")
    target.store.load("shop", "orders", [{"_id": "before"}])
    done = drtool.fails(4, "restore", "shop", "--into", target.url())
    assert "before anything was changed" in done.err and list(target.store.databases["shop"]) == ["orders"], done


# --- indexes that are being built ---

# A server that does not tell such an index from one that is there, and whose log has neither its beginning nor its end, cannot be helped.
BUILDS = [(begins, ends, told) for begins in ("before the log", "before the list") for ends in ("abort", "commit", None) for told in (True, False)
          if told or ends or begins != "before the log"]


@pytest.mark.parametrize("begins, ends, told", BUILDS)
def test_an_index_that_was_being_built_when_it_was_listed_is_made_where_its_build_was_committed(server, drtool, mo_script, begins, ends, told):
    index = {"v": 2, "key": {"text": 1}, "name": "text", "unique": True}

    def build(step):
        return lambda _: server.store.build("shop", "orders", step, index)

    for n in () if told else range(1, 20, 2):  # it refuses to tell, and is asked as usual
        server.fault("listIndexes", ns="shop.orders", n=n, error=40415)
    if begins == "before the log":
        build("start")(None)
    else:
        server.fault("listCollections", n=2, call=build("start"))
    if ends:
        server.fault("find", ns="shop.orders", call=build(ends))
    backup(drtool, server)
    assert told == ("orders.text: indexes that were being built" in json.dumps(drtool.manifest("shop")["not_contained"]))
    target = mo_script(set_name="rs1")
    drtool.ok("restore", "shop", "--into", target.url())
    made = {wire.field(one, "name").decode() for one in target.store.find("shop", "orders").indexes}
    assert made == {"_id_", "mail", *(["text"] if ends == "commit" else [])}


def test_an_index_that_is_being_built_is_not_in_a_backup_of_one_moment_which_says_so(drtool, mo_script):
    server = mo_script(set_name="rs0")
    server.store.load("shop", "orders", [{"_id": 1}])
    server.store.build("shop", "orders", "start", {"v": 2, "key": {"n": 1}, "name": "n"})
    drtool.ok("backup", server.url("shop"), "--name", "shop", *FLAGS)
    assert "database shop, orders.n: indexes that were being built" in json.dumps(drtool.manifest("shop")["not_contained"])
    target = mo_script(set_name="rs1")
    drtool.ok("restore", "shop", "--into", target.url(), "--compare")
    assert [wire.field(one, "name").decode() for one in target.store.find("shop", "orders").indexes] == ["_id_"]


# --- a replay that is cut off ---

@needs_failpoints
@pytest.mark.parametrize("name", [*points("replay", "mongodb"), "restore.loaded", "restore.loaded.all", "restore.exchange.before", "restore.finish.before"])
def test_a_replay_that_ends_anywhere_goes_on_from_there(server, drtool, mo_script, name):
    during(server, *SWAP, *(update("orders", i, {"$set": {"sum": i}}) for i in range(50)), delete("orders", 7))
    at = backup(drtool, server)
    for number in 1, 3:
        target = mo_script(set_name="rs1")
        target.store.load("shop", "items", [{"_id": "before"}])
        ended = drtool.run("restore", "shop", "--into", target.url(), "--in-place", "--yes", fail=f"{name}:{number}:kill")
        assert ended.code or number > 1, ended
        if ended.code:
            drtool.ok("restore", "shop", "--into", target.url(), "--in-place", "--yes", "--resume")
        check_swapped(server, target, at)


# --- verify ---

def test_a_verify_compares_then_replays_and_says_up_to_which_moment(server, drtool, mo_server, busy):
    config = drtool.config(f"stores:\n  s: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop: {{url: \"{server.url('shop')}\", scratch: \"{mo_server.url()}\"}}\n")
    before = mo_server.databases()
    assert "compared" in drtool.ok("verify", "shop", "--config", config).out
    all_of_it = [json.loads(path.read_text()) for path in (drtool.store / "evidence").rglob("*.json")]
    evidence = [one for one in all_of_it if one["kind"] == "verify"]
    assert [one["outcome"] for one in evidence] == ["good"] and f"replayed up to {busy[0]}:{busy[1]}" in json.dumps(evidence)
    assert mo_server.databases() == before


def test_a_dry_run_says_what_will_be_replayed(server, drtool, mo_script, busy):
    done = drtool.ok("restore", "shop", "--into", mo_script(set_name="rs1").url(), "--dry-run")
    assert f"up to {busy[0]}:{busy[1]}, before indexes are built" in done.out and "local" not in done.out
