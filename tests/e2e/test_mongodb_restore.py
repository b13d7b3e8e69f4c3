"""MongoDB: restores beside, in place and elsewhere from the command line, and their end at every failpoint: what was begun can be finished, an
exchange goes either way, and nothing is lost."""

import datetime
import signal

import fault
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
