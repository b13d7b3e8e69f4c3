"""MongoDB: restores beside, in place and elsewhere from the command line, and their end at every failpoint: what was begun can be finished, an
exchange goes either way, and nothing is lost."""

import datetime
import os
import shutil
import signal

import fault
import mo
import pytest
from failpoints import ended, failpoints, points

needs_failpoints = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")
FLAGS = ("--chunk-size", "16KiB", "--jobs", "2")


def fill(db):
    db.orders.insert_many({"_id": i, "text": "x" * (i % 500), "at": datetime.datetime(2020, 1, 1)} for i in range(2000))
    db.orders.create_index([("text", 1), ("at", -1)], name="two")
    db.orders.create_index("at", name="ttl", expireAfterSeconds=2000000000)
    db.customers.insert_many([{"_id": f"c{i}", "n": i} for i in range(50)])
    db.customers.create_index("n", unique=True)
    db.create_collection("empty")


@pytest.fixture
def shop(mo_server, make_mo_db, drtool):
    """A database with a backup of it under the source `shop`."""
    name = make_mo_db(mo_server, fill)
    drtool.ok("backup", mo_server.url(name), "--name", "shop", *FLAGS)
    return name


def names(server, db):
    return set(server.db(db).list_collection_names())


def same(server, db, other):
    assert server.contents(other) == server.contents(db)
    assert server.indexes(other) == server.indexes(db)


def run_of(server, db):
    return next(name[-6:] for name in names(server, db) if name.startswith("drtool_run_"))


def copies(server, db, run):
    return {word for name in names(server, db) for word in ("restore", "before") if name.endswith(f"_{word}_{run}")}


def test_a_database_comes_back_under_its_own_name_elsewhere_and_beside(mo_server, make_mo_db, drtool, shop):
    other = make_mo_db(mo_server)
    drtool.ok("restore", "shop", "--into", mo_server.url(other), "--compare")
    same(mo_server, shop, other)
    before = mo_server.contents(shop)
    done = drtool.ok("restore", "shop", "--into", mo_server.url(), "--compare")
    run = run_of(mo_server, shop)
    assert f"{shop}.*_restore_{run}" in done.out and done.out.rstrip().endswith(f"drtool exchange {run}")
    assert {name: sums for name, sums in mo_server.contents(shop).items() if not name.endswith(run)} == before
    drtool.fails(7, "restore", "shop", "--into", mo_server.url(shop))
    drtool.ok("exchange", run, "--into", mo_server.url(), "--drop", "--yes")
    assert mo_server.contents(shop) == before


def test_a_restore_in_place_keeps_what_was_there_until_it_is_dropped(mo_server, drtool, shop):
    good = mo_server.contents(shop)
    mo_server.db(shop).orders.delete_many({"_id": {"$gt": 100}})
    mo_server.db(shop).customers.drop()
    mo_server.db(shop).later.insert_one({"_id": 1})
    spoilt = mo_server.contents(shop)
    done = drtool.ok("restore", "shop", "--into", mo_server.url(), "--in-place", "--yes")
    run = run_of(mo_server, shop)
    assert f"{shop}.*_before_{run}" in done.out and "compared and equal" in done.out
    now = mo_server.contents(shop)
    assert {name: now[name] for name in good} == good and f"later_before_{run}" in now and "later" not in now
    assert mo_server.indexes(shop)["orders"]["ttl"]["expireAfterSeconds"] == 2000000000
    drtool.ok("exchange", run, "--into", mo_server.url(), "--back", "--yes")
    now = mo_server.contents(shop)
    assert {name: now[name] for name in spoilt} == spoilt
    drtool.ok("exchange", run, "--into", mo_server.url(), "--yes")
    drtool.ok("exchange", run, "--into", mo_server.url(), "--drop", "--yes")
    assert mo_server.contents(shop) == good


def test_single_collections_are_named_with_and_without_their_database_dots_and_all(mo_server, make_mo_db, drtool):
    def files(db):
        fill(db)
        db["fs.files"].insert_many({"_id": i} for i in range(7))

    db, other = make_mo_db(mo_server, files), make_mo_db(mo_server)
    drtool.ok("backup", mo_server.url(db), "--name", "shop")
    for number, flag in enumerate(["fs.files", f"{db}.fs.files", '"fs.files"']):
        drtool.ok("restore", "shop", "--into", mo_server.url(other), "--table", flag, "--rename", f'"fs.files"="copy.{number}"')
    assert names(mo_server, other) == {"copy.0", "copy.1", "copy.2"}
    assert mo_server.db(other)["copy.1"].count_documents({}) == 7
    drtool.fails(5, "restore", "shop", "--into", mo_server.url(other), "--table", "no.such")


def test_a_verify_on_a_server_of_the_user_is_a_proof_and_leaves_no_database(mo_server, drtool, shop):
    known = set(mo_server.databases())
    config = drtool.config(f"stores:\n  s: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop: {{url: \"{mo_server.url(shop)}\", scratch: \"{mo_server.url()}\"}}\n")
    assert "compared" in drtool.ok("verify", "shop", "--config", config).out
    assert set(mo_server.databases()) == known


# --- the end at failpoints ---

OWN = [name for name in points("restore", "mongodb")]
EXCHANGE = points("exchange", "mongodb")


@needs_failpoints
@pytest.mark.parametrize("name, action", [(name, ("kill", "error")[i % 2]) for i, name in enumerate(OWN)]
                         + [(name, ("error", "kill")[i % 2]) for i, name in enumerate(OWN) if name.startswith("mongodb.")])
def test_a_restore_that_ends_anywhere_is_finished_by_resume(mo_server, make_mo_db, drtool, shop, name, action):
    other = make_mo_db(mo_server)
    command = ["restore", "shop", "--into", mo_server.url(other), "--jobs", "2"]
    result = drtool.run(*command, fail=f"{name}:1:{action}")
    assert ended(result, action), result
    if action == "error":
        assert result.code == 1 and f"--resume={fault.run_name(result.text)}" in result.text, result
    drtool.ok(*command, "--resume", "--compare")
    same(mo_server, shop, other)


@needs_failpoints
def test_a_restore_that_was_killed_again_and_again_is_finished_by_resume(mo_server, make_mo_db, drtool, shop):
    other = make_mo_db(mo_server)
    command = ["restore", "shop", "--into", mo_server.url(other), "--jobs", "2"]
    for where in ("mongodb.load.made:1", "mongodb.load.unit.before:2", "load.unit.done:1", "restore.loaded:1", "mongodb.load.end.before:1"):
        resume = ["--resume"] if (drtool.state / "restore").exists() else []
        result = drtool.run(*command, *resume, fail=f"{where}:kill")
        assert result.code == -signal.SIGKILL, result
    drtool.ok(*command, "--resume", "--compare")
    same(mo_server, shop, other)


@needs_failpoints
@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("name, number", [(name, number) for name in EXCHANGE if "view" not in name for number in ((1, 2, 3) if "move" in name else (1,))]
                         + [("restore.loaded", 1)])
def test_an_exchange_that_ends_anywhere_can_go_either_way_and_loses_nothing(mo_server, drtool, shop, name, number, action):
    good = mo_server.contents(shop)
    mo_server.db(shop).orders.delete_many({"_id": {"$gt": 100}})
    mo_server.db(shop).later.insert_one({"_id": 1})
    spoilt = mo_server.contents(shop)
    command = ["restore", "shop", "--into", mo_server.url(), "--in-place", "--yes"]
    result = drtool.run(*command, fail=f"{name}:{number}:{action}")
    assert ended(result, action), result
    run = run_of(mo_server, shop)
    into = ("--into", mo_server.url(), "--yes")
    if "exchange" in name:
        drtool.ok("exchange", run, *into)
    else:
        drtool.fails(7, "exchange", run, *into)
        now = mo_server.contents(shop)
        assert {key: now[key] for key in spoilt} == spoilt
        drtool.ok(*command, f"--resume={run}")
    now = mo_server.contents(shop)
    assert {key: now[key] for key in good} == good and "later" not in now and copies(mo_server, shop, run) == {"before"}
    result = drtool.run("exchange", run, "--back", *into, fail=f"mongodb.exchange.move:{number}:{action}")
    assert ended(result, action), result
    drtool.ok("exchange", run, "--back", *into)
    now = mo_server.contents(shop)
    assert {key: now[key] for key in spoilt} == spoilt and "empty" in now and copies(mo_server, shop, run) == {"restore"}


# --- a scratch server ---

FAKE = """#!/usr/bin/python3
import os, pathlib, socket, sys, threading
here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here))
if "--version" in sys.argv:
    print("db version v7.0.14")
    sys.exit()
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert pathlib.Path(given["--dbpath"]).is_dir() and "ttlMonitorEnabled=false" in sys.argv
with open(here / "uids", "a") as uids:
    print(os.getuid(), file=uids)
import mongo_script
server = mongo_script.Script()
listener = socket.socket(socket.AF_UNIX)
listener.bind(given["--bind_ip"])
listener.listen(64)

def carry(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for end in (a, b):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

while True:
    link = listener.accept()[0]
    to = socket.create_connection(("127.0.0.1", server.port))
    threading.Thread(target=carry, args=(link, to), daemon=True).start()
    threading.Thread(target=carry, args=(to, link), daemon=True).start()
"""


@pytest.fixture
def fake_mongod(mo_folders):
    """A folder for PATH with a mongod that is the scripted server behind a socket."""
    folder = mo.temp_dir("bin")
    for path in (mo.ROOT / "tests" / "lib").glob("mongo_*.py"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "mongod").write_text(FAKE)
    (folder / "mongod").chmod(0o755)
    folder.chmod(0o777)
    return folder


def test_a_verify_starts_the_mongod_of_path_on_a_socket_of_its_own_as_another_user_and_leaves_nothing(mo_script, fake_mongod, drtool):
    server = mo_script(set_name="rs0")
    server.store.load("shop", "orders", [{"_id": i, "n": i} for i in range(100)], indexes=[{"v": 2, "key": {"n": 1}, "name": "ttl", "expireAfterSeconds": 60}],
                      options={"validator": {"n": {"$gte": 0}}})
    server.store.load("shop", "v", options={"viewOn": "orders", "pipeline": []})
    server.store.load("shop", "ts", [{"_id": 1, "control": {}}], options={"timeseries": {"timeField": "t"}, "expireAfterSeconds": 2592000})
    server.store.load("shop", "flat", [{"_id": 1}], options={"clusteredIndex": {"key": {"_id": 1}, "unique": True, "name": "by"}, "expireAfterSeconds": 3600})
    scratch = mo.temp_dir("scratch")
    scratch.chmod(0o1777)
    path = f"{fake_mongod}:{os.environ['PATH']}"
    drtool.ok("backup", server.url("shop"), "--name", "shop")
    config = drtool.config(f"stores:\n  s: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop: {{url: \"{server.url('shop')}\", scratch_dir: \"{scratch}\"}}\n")
    assert "compared" in drtool.ok("verify", "shop", "--config", config, env={"PATH": path}).out
    assert list(scratch.iterdir()) == []
    if os.getuid() == 0:
        assert set((fake_mongod / "uids").read_text().split()) != {"0"}


def test_a_verify_without_mongod_says_what_to_do_and_leaves_nothing(mo_script, drtool):
    if shutil.which("mongod"):
        pytest.skip("there is a mongod here")
    server = mo_script()
    server.store.load("shop", "orders", [{"_id": 1}])
    scratch = mo.temp_dir("scratch")
    scratch.chmod(0o1777)
    drtool.ok("backup", server.url("shop"), "--name", "shop")
    config = drtool.config(f"stores:\n  s: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop: {{url: \"{server.url('shop')}\", scratch_dir: \"{scratch}\"}}\n")
    result = drtool.fails(1, "verify", "shop", "--config", config)
    assert "no mongod of version 7.0 or later is on PATH" in result.err and "set scratch to the URL" in result.err
    assert list(scratch.iterdir()) == []
