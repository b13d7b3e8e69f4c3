"""MongoDB: a replica set that cannot be read at one moment is backed up with its oplog, and what is in the way of that ends the backup or is said.
The server is the scripted one: every write goes through its log."""

import subprocess
import threading

import pg
import pytest
from failpoints import ended, points

bson = pytest.importorskip("bson")
wire = pytest.importorskip("mongo_wire")

FLAGS = ("--chunk-size", "16KiB", "--jobs", "2")
REFUSED = 246  # what snapshot reads are answered with
OPLOG = "local.oplog.rs"
LOOKS = 3  # reads of the log before that of its entries: where it begins, and whether it still does at the scopes of one database and of the log


def insert(collection, *documents, db="shop"):
    return {"insert": collection, "documents": list(documents), "$db": db}


@pytest.fixture
def server(mo_script):
    made = mo_script(set_name="rs0", snapshot=REFUSED, oplog=100000)
    made.store.load("shop", "orders", [{"_id": i, "n": 0, "text": "x" * 80} for i in range(500)])
    made.store.load("shop", "items", [{"_id": i} for i in range(5)])
    return made


def backup(drtool, server, code=0, *more):
    return drtool.fails(code, "backup", server.url("shop"), "--name", "shop", *FLAGS, *more)


def unpacked(drtool):
    folder = pg.temp_dir("unpacked")
    for volume in drtool.archives("shop"):
        if volume.name.startswith(".part"):  # of a run that was killed
            continue
        subprocess.run(["tar", "xzf", volume, "-C", folder], check=True)
    return folder


def documents_in(folder):
    """The documents of all pieces of a folder, as bytes."""
    data = b"".join(piece.read_bytes() for piece in sorted(folder.iterdir()))
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "little")
        found.append(data[at:at + length])
        at += length
    return found


def log_of(drtool):
    return documents_in(unpacked(drtool) / "db/local/data/oplog.rs")


def span(entries):
    return [f"{ts.time}:{ts.inc}" for ts in (wire.field(entry, "ts").decode() for entry in (entries[0], entries[-1]))]


def during(server, *commands):
    """Commands that are run when the documents of orders are asked for."""
    server.fault("find", ns="shop.orders", call=lambda _: [server.do(command) for command in commands])


def test_the_archive_has_exactly_the_entries_from_before_the_first_document_to_after_the_last(server, drtool):
    before = len(server.store.log.entries)
    during(server, insert("orders", {"_id": "new"}), insert("late", {"_id": 1}), {"drop": "late", "$db": "shop"},
           {"update": "orders", "updates": [{"q": {"_id": 3}, "u": {"$set": {"n": 1}}}], "$db": "shop"},
           {"delete": "orders", "deletes": [{"q": {"_id": 4}, "limit": 1}], "$db": "shop"},
           {"createIndexes": "orders", "indexes": [{"key": {"n": 1}, "name": "n"}], "$db": "shop"}, insert("other", {"_id": 1}, db="elsewhere"))
    server.fault("find", ns=OPLOG, n=LOOKS + 1, call=lambda _: server.do(insert("orders", {"_id": "too late"})))
    done = backup(drtool, server)
    kept, all_of_it = log_of(drtool), server.store.log.entries
    assert kept == all_of_it[before - 1:-1] and len(kept) == 10
    first, last = span(kept)
    assert f"dump with oplog from {first} to {last} (10 entries)" in done.err
    shop, log = drtool.manifest("shop")["scopes"]
    assert (shop["name"], log["name"], log["log"], shop.get("log")) == ("shop", "local", True, None)
    assert shop["position"] == log["position"] == last and log["rows"] == 10
    assert drtool.manifest("shop")["data_time"] == log["snapshot"]
    assert not any("moment" in text for text in drtool.manifest("shop")["not_contained"])
    assert not drtool.manifest("shop")["many_moments"] and "moment" not in drtool.ok("list", "shop").out
    drtool.ok("check", "shop")


def replay(documents, entries):
    """What the scripted server's entries of inserts, updates and deletes make of documents, by _id."""
    found = {wire.key(wire.field(document, "_id")): document for document in documents}
    for entry in entries:
        if wire.field(entry, "ns").decode() != "shop.orders":
            continue
        op, o, o2 = (wire.field(entry, name) for name in ("op", "o", "o2"))
        own = wire.key(wire.field((o2 or o).value_bytes, "_id"))
        if op.decode() == "i":
            found[own] = o.value_bytes
        elif op.decode() == "d":
            found.pop(own, None)
        elif own in found:
            diff = wire.field(o.value_bytes, "diff").decode()
            found[own] = wire.with_fields(found[own], {**diff.get("u", {}), **diff.get("i", {})})
    return sorted(found.values())


def test_documents_and_entries_together_are_the_collection_as_it_was_at_the_recorded_position_whatever_was_written_meanwhile(server, drtool):
    ended = threading.Event()

    def write():
        for i in range(100000):
            if ended.is_set():
                break
            server.do(insert("orders", {"_id": f"w{i}", "n": i}))
            server.do({"update": "orders", "updates": [{"q": {"_id": i % 500}, "u": {"$set": {"n": i, "more": i}}}], "$db": "shop"})
            server.do({"delete": "orders", "deletes": [{"q": {"_id": f"w{i - 3}"}, "limit": 1}], "$db": "shop"})
            ended.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup(drtool, server)
    finally:
        ended.set()
        writer.join()
    folder, entries = unpacked(drtool), log_of(drtool)
    at = tuple(map(int, drtool.manifest("shop")["scopes"][0]["position"].split(":")))
    assert len(entries) > 3
    assert replay(documents_in(folder / "db/shop/data/orders"), entries) == sorted(server.store.find("shop", "orders").documents(at))


def test_entries_of_16_megabytes_are_in_the_archive_byte_for_byte(server, drtool):
    large = "x" * ((16 << 20) - 100)
    during(server, insert("large", {"_id": 1, "text": large}), {"update": "large", "updates": [{"q": {"_id": 1}, "u": {"_id": 1, "y": large}}], "$db": "shop"})
    backup(drtool, server)
    kept = log_of(drtool)
    assert kept == server.store.log.entries[-len(kept):] and max(map(len, kept)) > 16 << 20


def test_the_log_begins_before_the_oldest_transaction_that_is_open(server, drtool):
    entries = server.store.log.entries
    first = wire.field(entries[-20], "ts").decode()
    for number, state, at in (1, "committed", entries[3]), (2, "inProgress", entries[-20]), (3, "prepared", entries[-10]):
        server.store.load("config", "transactions" if number == 1 else f"unused{number}", [])
        server.store.find("config", "transactions").put(server.store.now, wire.raw(
            {"_id": number, "state": state, "startOpTime": {"ts": wire.field(at, "ts").decode(), "t": bson.int64.Int64(1)}}))
    backup(drtool, server)
    kept = log_of(drtool)
    assert span(kept)[0] == f"{first.time}:{first.inc}" and kept == entries[-len(kept):]


def part_of_a_transaction(server, number, previous, **more):
    """An entry of a transaction; previous: the one before it, None where it is the first. Returns its time."""
    o = wire.raw({"applyOps": [{"op": "i", "ns": "shop.items", "o": {"_id": f"t{number}"}}], **more})
    server.store.note("c", "admin.$cmd", o, lsid={"id": bson.binary.Binary(b"1" * 16, 4)}, txnNumber=bson.int64.Int64(7), prevOpTime={
        "ts": bson.timestamp.Timestamp(*(previous or (0, 0))), "t": bson.int64.Int64(1 if previous else -1)})
    return server.store.log.newest


def test_a_log_that_would_begin_in_a_transaction_begins_with_its_first_entry(server, drtool):
    before = len(server.store.log.entries)
    first = part_of_a_transaction(server, 1, None, partialTxn=True)
    server.do(insert("items", {"_id": "between"}))
    second = part_of_a_transaction(server, 2, first, partialTxn=True)
    part_of_a_transaction(server, 3, second)
    backup(drtool, server)
    assert log_of(drtool) == server.store.log.entries[before:]


def test_a_change_that_no_majority_has_yet_is_waited_for(server, drtool):
    old = wire.field(server.store.log.entries[-1], "ts").decode()

    def lag(_):
        server.set(majority=bson.timestamp.Timestamp(old.time, old.inc))
        server.do(insert("orders", {"_id": "new"}))
        asked = len(server.sent("hello"))

        def catch_up():
            server.wait_for("hello", asked + 6)
            server.set(majority=None)
        threading.Thread(target=catch_up).start()

    server.fault("find", ns="shop.orders", call=lag)
    backup(drtool, server)
    assert wire.field(log_of(drtool)[-1], "o").decode() == {"_id": "new"}


def test_a_secondary_is_backed_up_with_its_own_log(server, mo_script, drtool):
    second = mo_script(store=server.store, set_name="rs0", role="secondary", snapshot=REFUSED, primary=server.address)
    for one in (server, second):
        one.set(hosts=[server.address, second.address])
    second.fault("find", ns="shop.orders", call=lambda _: server.do(insert("orders", {"_id": "new"})))
    done = drtool.ok("backup", server.url("shop", readPreference="secondary"), "--name", "shop", *FLAGS)
    assert "dump with oplog" in done.err and len(log_of(drtool)) == 2 and second.sent("find", OPLOG) and not server.sent("find", OPLOG)
    manifest = drtool.manifest("shop")
    assert manifest["server_role"] == "secondary" and manifest["data_time"] == manifest["scopes"][1]["snapshot"]


# --- ways ---

def test_a_server_that_can_be_read_at_one_moment_is_unless_the_oplog_is_asked_for(server, drtool):
    server.set(snapshot=True)
    backup(drtool, server)
    assert [scope["name"] for scope in drtool.manifest("shop")["scopes"]] == ["shop"] and not server.sent("find", OPLOG)
    done = backup(drtool, server, 0, "--moment", "oplog")
    assert [scope["name"] for scope in drtool.manifest("shop")["scopes"]] == ["shop", "local"] and "dump with oplog" in done.err


def test_a_server_before_5_0_is_backed_up_with_its_oplog(server, drtool):
    server.set(version="4.4.29", wire=9)
    assert "dump with oplog" in backup(drtool, server).err


@pytest.mark.parametrize("ns", [OPLOG, "config.transactions"])
def test_an_account_that_may_not_read_the_log_is_told_what_is_missing_and_has_no_one_moment(server, drtool, ns):
    server.fault("find", ns=ns, times=None, error=13)
    done = backup(drtool, server)
    manifest = drtool.manifest("shop")
    assert "may not read the oplog" in done.err and "the role backup" in done.err and "not of one moment" in done.err
    assert [scope["name"] for scope in manifest["scopes"]] == ["shop"] and "position" not in manifest["scopes"][0]
    assert any("one moment" in text for text in manifest["not_contained"]) and manifest["many_moments"]
    assert "not of one moment" in drtool.ok("list", "shop").out


def test_a_server_that_only_speaks_the_protocol_is_not_believed_to_have_every_change_in_its_log(server, drtool):
    server.set(build_info={"ferretdb": {"version": "v1.24.0"}})
    done = backup(drtool, server)
    assert "does not have every change" in done.err and len(drtool.manifest("shop")["scopes"]) == 1


def test_a_dry_run_names_the_log_apart_from_the_databases(server, drtool):
    done = backup(drtool, server, 0, "--dry-run")
    assert "database shop\nlog local\n" in done.out and not drtool.archives("shop")


def test_the_log_is_no_database_that_could_be_restored(server, drtool):
    backup(drtool, server)
    done = drtool.fails(5, "restore", "shop", "--into", server.url(), "--database", "local")
    assert "has no database local; it has: shop" in done.err


# --- what ends the backup ---

def fails(drtool, server, *texts):
    done = backup(drtool, server, 1)
    assert all(text in done.err for text in texts), done.err
    assert not drtool.backups("shop")


def test_a_log_that_went_round_ends_the_backup_at_the_next_database_and_says_what_to_do(server, drtool):
    server.store.load("stock", "items", [{"_id": i} for i in range(5)])
    server.store.log.most = 30
    during(server, *(insert("items", {"_id": f"n{i}"}) for i in range(40)))
    done = drtool.fails(1, "backup", server.url(), "--name", "shop", *FLAGS)
    assert "too small for this backup" in done.err and "replSetResizeOplog" in done.err and not drtool.backups("shop")
    assert [c.ns for c in server.sent("find") if c.ns.startswith("stock.")] == []


def test_a_log_that_goes_round_just_before_it_is_read_ends_the_backup(server, drtool):
    during(server, *(insert("items", {"_id": f"n{i}"}) for i in range(40)))

    def go_round(_):
        del server.store.log.entries[:-20]

    server.fault("find", ns=OPLOG, n=LOOKS + 1, call=go_round)
    fails(drtool, server, "too small for this backup", "replSetResizeOplog")


def test_a_log_that_goes_round_under_its_cursor_ends_the_backup(server, drtool):
    during(server, *(insert("items", {"_id": f"n{i}"}) for i in range(200)))
    server.fault("getMore", ns=OPLOG, error=136)
    fails(drtool, server, "too small for this backup", "some of them went while they were read")


def test_a_cursor_on_the_log_that_is_killed_ends_the_backup(server, drtool):
    during(server, *(insert("items", {"_id": f"n{i}"}) for i in range(200)))
    server.fault("getMore", ns=OPLOG, kill_cursor=True)
    fails(drtool, server, OPLOG, "gave the cursor up")


def test_a_link_that_breaks_in_the_log_ends_the_backup(server, drtool):
    during(server, *(insert("items", {"_id": f"n{i}"}) for i in range(200)))
    server.fault("getMore", ns=OPLOG, cut=True)
    fails(drtool, server, OPLOG)


def test_another_primary_during_the_dump_ends_the_backup(server, drtool):
    server.fault("find", ns="shop.orders", call=lambda _: server.store.elect())
    fails(drtool, server, "has had another primary", "term 1 before, 2 at")


def test_a_primary_that_steps_down_during_the_dump_ends_the_backup(server, drtool):
    server.fault("find", ns="shop.orders", step_down=True)
    fails(drtool, server, "not primary")


def test_an_entry_that_was_rolled_back_ends_the_backup(server, drtool):
    during(server, insert("items", {"_id": "gone"}))
    server.fault("find", ns=OPLOG, n=LOOKS + 1, call=lambda _: server.store.log.entries.pop())
    fails(drtool, server, "the oplog has no entry", "taken back")


def test_a_temporary_collection_is_left_out_whatever_the_log_says_of_it(server, drtool):
    server.store.load("shop", "tmp.agg_out.1", [{"_id": i} for i in range(5)], options={"temp": True})
    during(server, insert("tmp.agg_out.1", {"_id": "late"}))
    backup(drtool, server)
    drtool.ok("restore", "shop", "--into", server.url("copy"))
    assert set(server.store.databases["copy"]) == {"orders", "items"}


def test_a_temporary_collection_that_gets_a_lasting_name_during_the_dump_ends_the_backup(server, drtool):
    server.store.load("shop", "tmp.agg_out.1", [{"_id": i} for i in range(5)], options={"temp": True})
    during(server, {"renameCollection": "shop.tmp.agg_out.1", "to": "shop.report", "$db": "admin"})
    fails(drtool, server, "collection shop.tmp.agg_out.1 was renamed to shop.report while the server was dumped")


def test_a_collection_that_is_renamed_during_the_dump_ends_the_backup(server, drtool):
    during(server, {"renameCollection": "shop.items", "to": "shop.things", "$db": "admin"})
    fails(drtool, server, "collection shop.items was renamed to shop.things while the server was dumped", "no migration")


def test_a_collection_that_was_made_during_the_dump_may_take_the_place_of_another(server, drtool):
    during(server, insert("tmp.out", {"_id": 1}), {"renameCollection": "shop.tmp.out", "to": "shop.items", "dropTarget": True, "$db": "admin"})
    backup(drtool, server)
    assert any("renameCollection" in wire.field(entry, "o").decode() for entry in log_of(drtool))


def test_a_collection_that_is_dropped_or_changed_before_it_is_read_keeps_nobody_from_a_backup(server, drtool):
    during(server, {"drop": "items", "$db": "shop"}, {"collMod": "orders", "validator": {"n": {"$gte": 0}}, "$db": "shop"},
           {"createIndexes": "orders", "indexes": [{"key": {"n": 1}, "name": "n"}], "$db": "shop"})
    backup(drtool, server)
    commands = [next(wire.elements(wire.field(entry, "o").value_bytes)).name for entry in log_of(drtool)[1:]]
    assert commands == ["drop", "collMod", "createIndexes"]


def test_a_collection_that_is_dropped_under_its_cursor_ends_the_backup(server, drtool):
    server.fault("getMore", ns="shop.orders", error=175, run={"drop": "orders", "$db": "shop"})
    fails(drtool, server, "collection shop.orders", "dropped, renamed")


@pytest.mark.parametrize("command", [{"importCollection": "items"}, {"upgradeDowngradeViewlessTimeseries": "items"}, {"somethingNew": 1}])
def test_a_command_that_no_restore_can_replay_ends_the_backup(server, drtool, command):
    server.fault("find", ns="shop.orders", call=lambda _: server.store.note_command("shop", command))
    fails(drtool, server, next(iter(command)), "A restore could not follow this")


def test_a_transaction_whose_beginning_is_not_in_the_log_ends_the_backup(server, drtool):
    server.fault("find", ns="shop.orders", call=lambda _: part_of_a_transaction(server, 2, (1, 1)))
    fails(drtool, server, "the beginning of its transaction")


@pytest.mark.parametrize("action", ["error", "kill"])
@pytest.mark.parametrize("point", points("backup with a log", "mongodb"))
def test_a_backup_that_ends_at_its_log_is_none_and_the_next_one_is_whole(server, drtool, point, action):
    assert ended(drtool.run("backup", server.url("shop"), "--name", "shop", *FLAGS, fail=f"{point}:1:{action}"), action)
    assert not drtool.backups("shop")
    backup(drtool, server)
    assert len(log_of(drtool)) == 1


# --- stock tools ---

def test_the_scripts_make_the_folder_that_mongorestore_replays(server, drtool):
    during(server, *(insert("items", {"_id": f"n{i}", "text": "x" * 1000}) for i in range(100)))
    backup(drtool, server)
    folder = unpacked(drtool)
    text = (folder / "RESTORE.txt").read_text()
    assert "mongorestore --dir=dump --stopOnError --bypassDocumentValidation --oplogReplay" in text and "--nsFrom" not in text
    commands = [line[2:] for line in text.splitlines() if line.startswith("  sh ")]
    subprocess.run(["bash", "-e", "-c", "\n".join(commands)], cwd=folder, check=True)
    assert (folder / "dump/oplog.bson").read_bytes() == b"".join(log_of(drtool)) and (folder / "dump/shop/orders.bson").exists()
    next((folder / "db/local/data/oplog.rs").iterdir()).unlink()
    done = subprocess.run(["sh", "db/local/load.sh", "again"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "not all of it can be read" in done.stderr and not (folder / "again/oplog.bson").exists()
