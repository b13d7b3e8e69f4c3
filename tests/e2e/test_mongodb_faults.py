"""MongoDB: servers that die, step down, forget their past or fill up, connections that break, collections that change and stores that fail, in the middle of
a backup or a restore. It ends with a clear message, nothing half is called good, and a restore can be resumed."""

import os
import pathlib
import signal
import threading
import time

import drtool as drtool_lib
import fault
import mo
import mo_shop
import pytest
from failpoints import failpoints

pytest.importorskip("pymongo")
import mongo_script  # noqa: E402
from pymongo.errors import PyMongoError  # noqa: E402

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")


@pytest.fixture(scope="module")
def shop(mo_server):
    """A database and a store with one good backup of it, of which each test takes a copy."""
    with mo_shop.made(mo_server, "faults") as made:
        yield made


@pytest.fixture(scope="module")
def own_shop(mo_folders):
    """The same on a server that may be killed."""
    try:
        server = mo.Server().start()
    except mo.Missing as reason:
        pytest.skip(str(reason))
    yield mo_shop.Shop(server)
    server.remove()


class Scripted:
    """A shop on a scripted server of its own: a replica set, where nothing else is said."""

    def __init__(self, **settings):
        self.server = mongo_script.Script(**{"set_name": "rs0", **settings})
        mo_shop.fill_script(mo_shop.client_of(self.server)["shop"])
        self.server.forget()


@pytest.fixture
def script():
    made = []

    def make(**settings):
        made.append(Scripted(**settings).server)
        return made[-1]

    yield make
    for server in made:
        server.close()


def no_backup(drtool, source="shop"):
    assert drtool.backups(source) == []
    assert fault.leftovers(drtool.store) == []


def fails_with(drtool, server, *words, code=1, **kwargs):
    """A backup that fails so, leaves nothing, and is good the next time."""
    result = drtool.fails(code, "backup", server.url("shop"), "--name", "shop", *fault.SMALL, timeout=60, **kwargs)
    for word in words:
        assert word in result.err, (word, result)
    no_backup(drtool)
    assert server.cursors == {}
    server.forget()
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    return result


# --- servers that die ---

def test_a_server_killed_in_the_dump_fails_the_backup_and_the_next_one_is_good(own_shop):
    drtool = own_shop.fresh()
    kept = drtool.backups("shop")
    process = drtool.start("backup", "shop", *fault.SMALL, fail="dump.unit.end:2:delay=700")
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup"), "the dump has begun")
    time.sleep(0.3)
    port = own_shop.server.port
    own_shop.server.kill()
    code, text = fault.end(process)
    assert code == 1 and str(port) in text, text
    fault.sound(drtool, "shop", kept)
    assert fault.leftovers(drtool.store) == []
    result = drtool.fails(1, "backup", "shop", timeout=60)
    assert str(port) in result.err, result
    own_shop.server.restart("immediate")
    drtool.ok("backup", "shop")
    assert len(drtool.backups("shop")) == 2


def test_a_server_killed_in_the_restore_has_the_old_data_and_the_restore_goes_on(own_shop):
    drtool = own_shop.fresh()
    command = ["restore", "shop", "--in-place", "--yes"]
    process = drtool.start(*command, fail="load.unit.done:3:delay=700")
    fault.wait_until(lambda: fault.units_loaded(drtool) > 1, "documents are loaded")
    own_shop.server.kill()
    code, text = fault.end(process)
    assert code == 1, text
    run = fault.run_name(text)
    own_shop.server.restart("immediate")
    own_shop.untouched()
    drtool.ok(*command, f"--resume={run}")
    own_shop.untouched()
    drtool.ok("exchange", run, "--drop", "--yes")
    assert mo_shop.kin(own_shop.server, own_shop.db) == []


@pytest.mark.parametrize("number", [1, 4])
def test_a_server_that_dies_in_the_exchange_has_all_of_the_old_data_and_of_the_new(own_shop, number):
    drtool = own_shop.fresh()
    with own_shop.live(drtool, "dies") as live:
        old = mo_shop.snapshot(own_shop.server, live)
        process = drtool.start("restore", "shop", "--in-place", "--yes", "--rename", f"{own_shop.db}={live}", fail=f"mongodb.exchange.move:{number}:delay=900")
        of = own_shop.server.db(live)
        fault.wait_until(lambda: [name for name in mo_shop.kin(own_shop.server, live) if name.startswith("drtool_run_") and of[name].find_one({"_id": "exchange"})],
                         "the exchange has begun")
        time.sleep(0.5)
        own_shop.server.kill()
        code, text = fault.end(process)
        assert code == 1, text
        run = fault.run_name(text)
        own_shop.server.restart("immediate")
        drtool.ok("exchange", run, "--yes")
        mo_shop.same(own_shop.before, mo_shop.snapshot(own_shop.server, live))
        drtool.ok("exchange", run, "--back", "--yes")
        mo_shop.same(old, mo_shop.snapshot(own_shop.server, live))


# --- what a replica set does to those who read and write ---

def test_a_snapshot_that_is_too_old_fails_the_backup_and_says_what_to_set(script, drtool):
    server = script()
    server.fault("getMore", ns="shop.orders", error=239)
    fails_with(drtool, server, "minSnapshotHistoryWindowInSeconds", "shop.orders")


@pytest.mark.parametrize("how", [{"kill_cursor": True}, {"error": 237, "message": "cursor killed"}, {"error": 175, "message": "collection dropped"},
                                 {"error": 43, "message": "cursor id 5 not found"}], ids=str)
def test_a_cursor_that_the_server_killed_fails_the_backup_with_the_name_of_its_collection(script, drtool, how):
    server = script()
    server.fault("getMore", ns="shop.orders", **how)
    fails_with(drtool, server, "shop.orders")


@pytest.mark.parametrize("command", ["find", "getMore"])
@pytest.mark.parametrize("code", [189, 11602])
def test_a_member_that_steps_down_in_the_dump_fails_the_backup_with_its_name(script, drtool, command, code):
    server = script()
    server.fault(command, ns="shop.orders", error=code, close=True)
    fails_with(drtool, server, "shop.orders", server.address)


def test_a_primary_that_steps_down_in_the_restore_leaves_a_run_that_goes_on_with_the_next_one(script, drtool):
    first = script()
    with mongo_script.Script(set_name="rs0", role="secondary", store=first.store) as second:
        for server in (first, second):
            server.set(hosts=[first.address, second.address], primary=first.address)
        before = mo_shop.snapshot(first, "shop")
        drtool.ok("backup", first.url("shop"), "--name", "shop", *fault.SMALL)
        first.fault("insert", n=4, error=189, step_down=True, close=True)
        result = drtool.fails(1, "restore", "shop", "--into", first.url("copy"), "--jobs", "2", timeout=60)
        run = fault.run_name(result.text)
        for server in (first, second):
            server.set(primary=second.address)
        second.set(role="primary")
        drtool.ok("restore", "shop", "--into", first.url("copy"), f"--resume={run}", "--compare", timeout=60)
        assert second.sent("insert") != []
        mo_shop.same(before, mo_shop.snapshot(second, "copy"))


def test_a_write_that_no_majority_confirmed_ends_the_restore(script, drtool):
    server = script()
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    server.fault("insert", n=2, reply={"ok": 1.0, "n": 1, "writeConcernError": {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}})
    result = drtool.fails(1, "restore", "shop", "--into", server.url("copy"), timeout=60)
    assert "replication timed out" in result.err, result
    drtool.ok("restore", "shop", "--into", server.url("copy"), f"--resume={fault.run_name(result.text)}", "--compare")


# --- collections that change ---

@pytest.mark.parametrize("change, name", [
    (lambda db: db.customers.rename("gone"), "customers"), (lambda db: db.customers.drop(), "customers"), (lambda db: db.create_collection("made"), "made"),
    (lambda db: (db.customers.rename("gone"), db.gone.rename("customers")), None), (lambda db: (db.empty.drop(), db.create_collection("empty")), "empty"),
    (lambda db: db.orders.drop_index("by_total"), "orders"), (lambda db: db.orders.create_index("customer"), "orders"),
])
def test_a_collection_that_is_renamed_dropped_or_made_in_the_dump_fails_it_with_its_name(mo_server, make_mo_db, drtool, change, name):
    db = make_mo_db(mo_server, mo_shop.fill)
    process = drtool.start("backup", mo_server.url(db), "--name", "shop", "--chunk-size", "16KiB", "--jobs", "1", fail="mongodb.unit:1:delay=1200")
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup"), "the dump has begun")
    time.sleep(0.5)
    change(mo_server.db(db))
    code, text = fault.end(process)
    if name is None:
        assert code == 0, text
        return
    assert code == 1 and f"{db}.{name}" in text, text
    no_backup(drtool)
    drtool.ok("backup", mo_server.url(db), "--name", "shop")


def out(server, number, name=None):
    """As $out: a temporary collection, which gets a lasting name, or goes with the client."""
    server.store.load("shop", f"tmp.agg_out.{number}", [{"_id": i} for i in range(20)], options={"temp": True})
    server.do({"renameCollection": f"shop.tmp.agg_out.{number}", "to": f"shop.{name}", "$db": "admin"} if name else {"drop": f"tmp.agg_out.{number}", "$db": "shop"})


def test_a_backup_at_one_moment_has_what_was_there_at_it_whatever_is_made_and_dropped_meanwhile(script, drtool):
    server = script()
    before = mo_shop.snapshot(server, "shop")
    server.store.load("shop", "tmp.agg_out.0", [{"_id": 1}], options={"temp": True})

    def migrate(_):
        out(server, 1, "report")
        out(server, 2)
        server.do({"renameCollection": "shop.tmp.agg_out.0", "to": "shop.older_report", "$db": "admin"})
        server.do({"insert": "of_today", "documents": [{"_id": 1}], "$db": "shop"})
        server.store.load("shop", "tmp.agg_out.3", [{"_id": 1}], options={"temp": True})

    server.fault("find", ns="shop.orders", call=migrate)
    result = drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    assert "all collections are of one moment" in result.err, result
    drtool.ok("restore", "shop", "--into", server.url("copy"), "--compare")
    mo_shop.same(before, mo_shop.snapshot(server, "copy"))
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    drtool.ok("restore", "shop", "--into", server.url("later"), "--compare")
    assert set(mo_shop.snapshot(server, "later")) == set(before) | {"report", "older_report", "of_today"}


def test_a_backup_at_one_moment_ends_where_a_collection_of_it_is_replaced(script, drtool):
    server = script()
    server.fault("find", ns="shop.orders", call=lambda _: out(server, 1, "report"))
    drtool.ok("backup", server.url("shop"), "--name", "other", *fault.SMALL)
    server.forget()

    def replace(_):
        server.store.load("shop", "tmp.agg_out.2", [{"_id": 1}], options={"temp": True})
        server.do({"renameCollection": "shop.tmp.agg_out.2", "to": "shop.report", "dropTarget": True, "$db": "admin"})

    server.fault("find", ns="shop.orders", call=replace)
    fails_with(drtool, server, "shop.report")


STORM = [lambda db: db.made.insert_one({"_id": 1}), lambda db: db.made.drop(), lambda db: db.moved.rename("gone"), lambda db: db.gone.rename("moved"),
         lambda db: db.orders.create_index("customer", name="late"), lambda db: db.orders.drop_index("late"), lambda db: db.empty.drop(),
         lambda db: db.create_collection("empty")]


def test_backups_in_a_storm_of_writers_and_migrations_are_good_or_say_which_collection_changed(mo_server, make_mo_db, drtool):
    db = make_mo_db(mo_server, mo_shop.fill)
    of = mo_server.db(db)
    of.moved.insert_one({"_id": 1})
    stop = threading.Event()

    def migrate():
        while not stop.wait(0.3):
            for act in STORM:
                try:
                    act(of)
                except PyMongoError:
                    pass
                stop.wait(0.05)

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            of.orders.update_one({"_id": number % 300}, {"$inc": {"total": 1}})

    storms = [threading.Thread(target=run) for run in (migrate, write)]
    for thread in storms:
        thread.start()
    codes = []
    try:
        for _ in range(6):
            result = drtool.run("backup", mo_server.url(db), "--name", "shop", *fault.SMALL)
            codes.append(result.code)
            if result.code:
                assert result.code in (1, 3), result
                assert any(f"{name}" in result.err for name in ("made", "moved", "gone", "orders", "empty")), result
                assert fault.leftovers(drtool.store) == []
    finally:
        stop.set()
        for thread in storms:
            thread.join()
    assert len(drtool.backups("shop")) == sum(code in (0, 3) for code in codes)
    assert drtool.run("backup", mo_server.url(db), "--name", "shop").code in (0, 3)
    for number, backup in enumerate(drtool.backups("shop")):
        copy = f"{db}_copy{number}"
        drtool.ok("restore", "shop", "--backup", backup, "--into", mo_server.url(copy), "--compare")
        assert mo_server.db(copy).big.count_documents({}) == 3000


# --- connections that break ---

def through(proxy, db):
    return f"mongodb://127.0.0.1:{proxy.port}/{db}?directConnection=true"


@pytest.mark.parametrize("what", ["cut", "close"])
@pytest.mark.parametrize("after", [100, 2_000, 40_000, 300_000])
def test_a_connection_lost_in_a_backup_fails_it(shop, drtool, what, after):
    with fault.Proxy(shop.server.port, lambda number, seen, data: data if seen < after else what) as proxy:
        result = drtool.run("backup", through(proxy, shop.db), "--name", "shop", *fault.SMALL, timeout=60)
        assert proxy.hits, "no connection came so far"
        assert result.code == 1 and str(proxy.port) in result.err, result
    no_backup(drtool)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"], ids=["lost", "added"])
def test_a_stream_with_a_byte_lost_or_added_is_never_a_good_backup(shop, drtool, change):
    with fault.Proxy(shop.server.port, lambda number, seen, data: change(data) if seen > 60_000 and len(data) > 1000 else data) as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{through(proxy, shop.db)}\", max_duration: 3s}}}}\n")
        result = drtool.run("--config", "drtool.yaml", "backup", "shop", *fault.SMALL, timeout=60)
    assert result.code == 1, result
    no_backup(drtool)


@pytest.mark.parametrize("after", [0, 300, 200_000])
def test_a_server_that_stands_still_ends_the_backup_in_time(shop, drtool, after):
    with fault.Proxy(shop.server.port, lambda number, seen, data: data if seen < after else "stall") as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\n"
                      f"sources: {{shop: {{url: \"{through(proxy, shop.db)}\", max_duration: 2s, connect_timeout: 1s}}}}\n")
        result = drtool.run("--config", "drtool.yaml", "backup", "shop", *fault.SMALL, timeout=60)
        assert proxy.hits
    assert result.code == 1 and ("answer" in result.err or "time limit" in result.err or "within" in result.err), result
    no_backup(drtool)


def test_a_slow_connection_is_no_fault(shop, drtool):
    def slow(number, seen, data):
        time.sleep(0.002)
        return data

    with fault.Proxy(shop.server.port, slow) as proxy:
        drtool.ok("backup", through(proxy, shop.db), "--name", "shop", *fault.SMALL)
        drtool.ok("restore", "shop", "--into", through(proxy, f"{shop.db}_slow"), "--compare")
    shop.server.drop_db(f"{shop.db}_slow")


@pytest.mark.parametrize("what", ["cut", "stall"])
def test_a_connection_lost_in_a_restore_can_be_resumed(shop, what):
    drtool = shop.fresh()
    copy = f"{shop.db}_copy"
    state = {"broken": True}

    def lose(number, seen, data):
        return what if state["broken"] and fault.units_loaded(drtool) > 2 else data

    with fault.Proxy(shop.server.port, lose) as proxy:
        process = drtool.start("restore", "shop", "--into", through(proxy, copy), "--jobs", "2")
        if what == "stall":
            fault.wait_until(lambda: proxy.hits, "a connection stands still")
            process.terminate()
        code, text = fault.end(process)
        assert code == (143 if what == "stall" else 1), text
        state["broken"] = False
        drtool.ok("restore", "shop", "--into", through(proxy, copy), "--resume", "--compare")
    mo_shop.same(shop.before, mo_shop.snapshot(shop.server, copy))
    shop.server.drop_db(copy)


# --- full and slow ---

def test_a_target_whose_disk_is_full_fails_the_restore_which_goes_on_when_there_is_room(script, drtool):
    server = script()
    before = mo_shop.snapshot(server, "shop")
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    server.fault("insert", n=5, times=None, error=14031, message="Can't take a write lock while out of disk space")
    result = drtool.fails(1, "restore", "shop", "--into", server.url("copy"), "--jobs", "2", timeout=60)
    assert "out of disk space" in result.err and server.address in result.err, result
    server.forget()
    drtool.ok("restore", "shop", "--into", server.url("copy"), f"--resume={fault.run_name(result.text)}", "--compare")
    mo_shop.same(before, mo_shop.snapshot(server, "copy"))


def test_a_target_with_too_little_room_is_warned_of_before_anything_is_written(script, drtool):
    server = script(disk=(1 << 30, (1 << 30) - 1000))
    drtool.ok("backup", server.url("shop"), "--name", "shop")
    result = drtool.ok("restore", "shop", "--into", server.url("copy"), "--dry-run")
    assert "are free" in result.text, result
    assert server.sent("create") == []


def test_a_slow_target_is_waited_for(script, drtool):
    server = script()
    before = mo_shop.snapshot(server, "shop")
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    server.fault("insert", times=None, delay=0.2)
    drtool.ok("restore", "shop", "--into", server.url("copy"), "--compare", timeout=90)
    mo_shop.same(before, mo_shop.snapshot(server, "copy"))


def test_a_disk_of_the_store_that_fills_up_ends_the_backup_and_older_ones_stay(mo_server, make_mo_db, drtool, small_disk):
    db = make_mo_db(mo_server, lambda db: db.noise.insert_many({"_id": i, "b": os.urandom(1000)} for i in range(100)))
    drtool.store = small_disk(3) / "store"
    drtool.env["DRTOOL_STORE"] = drtool.store_url
    command = ["backup", mo_server.url(db), "--name", "shop"]
    drtool.ok(*command)
    known = drtool.backups("shop")
    mo_server.db(db).noise.insert_many({"_id": i, "b": os.urandom(10000)} for i in range(100, 500))
    result = drtool.fails(1, *command)
    assert "space" in result.err.lower() or "free" in result.err, result
    assert fault.leftovers(drtool.store) == []
    fault.sound(drtool, "shop", known)


@pytest.mark.parametrize("rule", ["get[.tar.gz]:9:EIO", "get[.tar.gz]:12:flip", "get[.tar.gz]:12:short"])
def test_a_store_that_fails_in_the_middle_of_a_restore_leaves_the_old_data_and_the_restore_goes_on(shop, rule):
    drtool = shop.fresh()
    with shop.live(drtool, "store") as live:
        old = mo_shop.snapshot(shop.server, live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}", "--jobs", "1"]
        result = drtool.run(*command, env={"DRTOOL_STORE_FAULT": rule})
        assert result.code in (1, 4) and "--resume" in result.text, result
        mo_shop.same(old, mo_shop.snapshot(shop.server, live))
        drtool.ok(*command, f"--resume={fault.run_name(result.text)}")
        mo_shop.same(shop.before, mo_shop.snapshot(shop.server, live))


# --- signals ---

@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_dump_leaves_no_cursor_on_the_server_and_nothing_in_the_store(script, drtool, number, code):
    server = script()
    server.fault("getMore", ns="shop.orders", delay=1.5)
    process = drtool.start("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    fault.wait_until(lambda: server.sent("getMore", "shop.orders"), "a cursor waits")
    assert server.cursors != {}
    process.send_signal(number)
    ended_with, text = fault.end(process, 20)
    assert ended_with == code, text
    fault.wait_until(lambda: server.cursors == {}, "no cursor is open")
    no_backup(drtool)
    assert sessions(server) == set(), "sessions are left"


def sessions(server):
    """Those that were begun and not ended."""
    ended = {one["id"] for name in ("endSessions", "killSessions") for command in server.sent(name) for one in command.get(name)}
    return {command.get("lsid")["id"] for command in server.commands if command.get("lsid")} - ended


def test_a_backup_that_is_done_leaves_no_cursor_and_no_session_on_the_server(script, drtool):
    server = script()
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    assert server.cursors == {}
    assert sessions(server) == set()


# --- secrets ---

def test_no_secret_is_in_argv_logs_manifests_or_evidence(make_mo_server, drtool):
    secret = "s3cret-%sparrow-9/@:"
    server = make_mo_server(auth=True)
    server.client.admin.command("createUser", "keeper", pwd=secret, roles=[{"role": "readWriteAnyDatabase", "db": "admin"}, {"role": "clusterAdmin", "db": "admin"}])
    mo_shop.fill(server.db("shop"))
    seen, stop = set(), threading.Event()

    def sample():
        while not stop.is_set():
            for entry in pathlib.Path("/proc").iterdir():
                for name in ("cmdline", "environ") if entry.name.isdigit() else ():
                    try:
                        text = (entry / name).read_bytes()
                    except OSError:
                        continue
                    if b"sparrow-9" in text and entry.name != str(os.getpid()):
                        seen.add((name, entry.name, text[:60]))
            time.sleep(0.002)

    url = server.url("shop", user="keeper")
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                  f"sources: {{shop: {{url: \"{url}\", password: \"{secret}\", scratch: \"{server.url(user='keeper', password=secret)}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        texts = [drtool.ok(*command, "-v").text for command in (["backup", "shop"], ["verify", "shop"], ["restore", "shop", "--compare"], ["config", "check", "--connect"])]
        texts.append(drtool.ok("config", "show").text)
    finally:
        stop.set()
        sampler.join()
    assert not seen, seen
    texts.append(drtool.ok("backup", server.url("shop", user="keeper", password=secret), "--name", "byurl", "-v").text)
    assert "password" in texts[-1], "a password on the command line is warned of"
    texts.append(drtool.fails(1, "backup", server.url("shop", user="nobody", password=secret), "--name", "wrong").text)
    texts.append(drtool.run("backup", f"mongodb://keeper:{secret}@127.0.0.1:1/x").text)
    texts.append(drtool.run("backup", f"mongodb://keeper:{secret}@@[:1/x?{secret}={secret}").text)
    for text in texts:
        assert "sparrow-9" not in text, text
    for folder in (drtool.store, drtool.state, drtool.tmp):
        for path in folder.rglob("*"):
            if path.is_file():
                assert b"sparrow-9" not in path.read_bytes(), path


@pytest.mark.skipif("asan" in drtool_lib.binary(), reason="a sanitizer needs memory of its own")
def test_id_values_of_many_kilobytes_take_no_memory(script, drtool):
    server = script()
    server.store.load("shop", "wide", ({"_id": {"n": i, "text": "x" * 100_000}} for i in range(3000)))
    result, peak = fault.measured(drtool, "backup", server.url("shop"), "--name", "shop", "--split-above", "10MiB")
    assert result.code == 0, result
    assert peak < 200, f"{peak} MiB"
