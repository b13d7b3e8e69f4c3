"""MongoDB: the end of a backup and of a verify at every failpoint, by SIGKILL and by an error, and of an exchange that has views and times. No half backup
is listed, the source is as it was, and what was begun can be done again or finished. Restores and other exchanges: test_mongodb_restore.py."""

import signal

import fault
import mo_shop
import pytest
from failpoints import ended, failpoints, points

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")

ACTIONS = ("kill", "error")
BACKUP = ("backup", "shop", "--chunk-size", "16KiB", "--jobs", "2")


@pytest.fixture(scope="module")
def shop(mo_server):
    with mo_shop.made(mo_server, "killed") as made:
        yield made


# --- backup ---

@pytest.mark.parametrize("name", points("backup", "mongodb"))
def test_a_backup_that_ends_anywhere_leaves_only_whole_ones_and_the_source_as_it_was(shop, name):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    for action, number in (("error", 1), ("kill", 2)):
        result = drtool.run(*BACKUP, fail=f"{name}:{number}:{action}")
        assert ended(result, action) or number > 1, f"nothing passes it: {result!r}"
        now = drtool.backups("shop")
        assert set(known) <= set(now) and len(now) <= len(known) + 1, result
        if action == "error":
            assert fault.leftovers(drtool.store) == []
            assert result.code or now != known
        known = now
    drtool.ok(*BACKUP)
    assert len(drtool.backups("shop")) == len(known) + 1
    fault.sound(drtool, "shop", drtool.backups("shop"))
    shop.untouched()
    mo_shop.nothing_left(shop.server)


# --- restores into a collection that is there ---

@pytest.mark.parametrize("name", ["load.unit.done", "mongodb.load.unit.before"])
def test_documents_added_to_a_collection_are_not_added_twice_by_resume(shop, name):
    drtool = shop.fresh()
    copy = f"{shop.db}_rows"
    drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--table", "big")
    shop.server.db(copy).big.delete_many({})
    command = ["restore", "shop", "--into", shop.server.url(copy), "--table", "big", "--data-only", "--jobs", "1"]
    assert drtool.run(*command, fail=f"{name}:2:kill").code == -signal.SIGKILL
    drtool.ok(*command, "--resume")
    assert mo_shop.snapshot(shop.server, copy) == {"big": shop.before["big"]}
    shop.drop(copy)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_restore_in_place_that_ends_after_the_exchange_is_finished_by_resume(shop, action):
    drtool = shop.fresh()
    with shop.live(drtool, "last") as live:
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        assert ended(drtool.run(*command, fail=f"restore.finish.before:1:{action}"), action)
        (run,) = {name[-6:] for name in mo_shop.kin(shop.server, live)}
        drtool.ok(*command, f"--resume={run}")
        mo_shop.same(shop.before, mo_shop.snapshot(shop.server, live))
        drtool.ok("exchange", run, "--drop", "--yes")
        assert mo_shop.kin(shop.server, live) == []


# --- exchanges with what only some servers have ---

@pytest.fixture(scope="module")
def scripted():
    """A shop with views on the scripted server."""
    mongo_script = pytest.importorskip("mongo_script")
    with mongo_script.Script(set_name="rs0") as server, mo_shop.made(server, "shop", fill=mo_shop.fill_script) as made:
        yield made


VIEWS = [("mongodb.exchange.view", number, action) for number in (1, 2) for action in ACTIONS] + [("mongodb.exchange.move", number, "kill") for number in (1, 4, 7, 10, 12)]


@pytest.mark.parametrize("name, number, action", VIEWS)
def test_an_exchange_with_views_that_ends_anywhere_can_go_either_way_and_loses_nothing(scripted, name, number, action):
    drtool = scripted.fresh()
    with scripted.live(drtool, "live") as live:
        db = mo_shop.client_of(scripted.server)[live]
        db.drop_collection("totals")
        db.create_collection("totals", viewOn="customers", pipeline=[{"$match": {"_id": "since"}}])
        old = mo_shop.snapshot(scripted.server, live)
        result = drtool.run("restore", "shop", "--in-place", "--yes", "--rename", f"{scripted.db}={live}", fail=f"{name}:{number}:{action}")
        assert ended(result, action), result
        (run,) = {name[-6:] for name in mo_shop.kin(scripted.server, live)}
        drtool.ok("exchange", run, "--yes")
        mo_shop.same(scripted.before, mo_shop.snapshot(scripted.server, live))
        result = drtool.run("exchange", run, "--back", "--yes", fail=f"{name}:{number}:{action}")
        assert ended(result, action), result
        drtool.ok("exchange", run, "--back", "--yes")
        mo_shop.same(old, mo_shop.snapshot(scripted.server, live))
        assert {name[-14:-6] for name in mo_shop.kin(scripted.server, live)} == {"restore_", "ool_run_"}


@pytest.mark.parametrize("number", [1, 8])
def test_what_is_set_aside_loses_no_document_to_its_times_and_has_them_again_when_it_is_back(scripted, number):
    drtool = scripted.fresh()
    with scripted.live(drtool, "times") as live:
        db = mo_shop.client_of(scripted.server)[live]
        db.later.create_index("gone", name="soon", expireAfterSeconds=60)
        db.command("collMod", "orders", index={"name": "ttl", "expireAfterSeconds": 61})
        old = mo_shop.snapshot(scripted.server, live)
        result = drtool.run("restore", "shop", "--in-place", "--yes", "--rename", f"{scripted.db}={live}", fail=f"mongodb.exchange.move:{number}:kill")
        assert ended(result, "kill"), result
        (run,) = {name[-6:] for name in mo_shop.kin(scripted.server, live)}
        drtool.ok("exchange", run, "--yes")
        assert {seconds(db[f"{name}_before_{run}"]) for name in ("orders", "later")} == {1500000000}
        assert seconds(db.orders) == mo_shop.NEVER
        assert ended(drtool.run("exchange", run, "--back", "--yes", fail=f"mongodb.exchange.move:{number}:kill"), "kill")
        drtool.ok("exchange", run, "--back", "--yes")
        mo_shop.same(old, mo_shop.snapshot(scripted.server, live))


def seconds(collection):
    (found,) = [index["expireAfterSeconds"] for index in collection.list_indexes() if "expireAfterSeconds" in index]
    return found


# --- verify ---

AT_VERIFY = ["verify.loaded"] + [name for name in points("restore", "mongodb") if not name.startswith("restore.finish.")]


@pytest.mark.parametrize("name, action", [(name, ACTIONS[i % 2]) for i, name in enumerate(AT_VERIFY)])
def test_a_verify_that_ends_anywhere_is_no_proof_and_one_after_it_is(shop, name, action):
    drtool = shop.fresh(scratch=shop.server.url())
    result = drtool.run("verify", "shop", fail=f"{name}:1:{action}")
    assert ended(result, action), result
    left = [db for db in shop.server.databases() if db.startswith("drtool_verify")]
    assert len(left) <= (action == "kill"), left
    (backup,) = drtool.ok("list", "shop", "--json").json[0]["backups"]
    assert "compared" not in str(backup.get("proof", backup)) and not backup.get("bad"), backup
    assert "compared" in drtool.ok("verify", "shop").out
    assert [db for db in shop.server.databases() if db.startswith("drtool_verify") and db not in left] == []
    for db in left:
        shop.server.drop_db(db)
    shop.untouched()
