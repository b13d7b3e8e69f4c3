"""MariaDB and MySQL: the end at every failpoint, by SIGKILL and by an error. No half backup is listed, the source is as it was, no database is left
that nothing names, and what was begun can be done again or finished. What belongs to no driver is visited with one server, which takes turns."""

import pathlib
import re
import signal

import fault
import my
import my_shop
import pg
import pytest
from failpoints import ended, failpoints, points

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")

ACTIONS = ("kill", "error")


def turns(names, actions=ACTIONS):
    """Points of this driver: each action with each server. The others: an action and a server after the other."""
    own = [name for name in names if name.startswith("mysql.")]
    common = [name for name in names if not name.startswith("mysql.")]
    return [(version, name, action) for name in own for action in actions for version in my.VERSIONS] + [
        (my.VERSIONS[i % len(my.VERSIONS)], name, actions[i % len(actions)]) for i, name in enumerate(common)]


@pytest.fixture(scope="module")
def shops(my_servers):
    """shops(VERSION): a database and a store with one good backup of it; .fresh() gives each case a copy of the store to spoil."""
    made = {}

    def get(version):
        if version not in made:
            made[version] = my_shop.Shop(my_servers(version), "killed")
        return made[version]

    yield get
    for shop in made.values():
        shop.drop(shop.db)


BACKUP = ("backup", "shop", "--chunk-size", "16KiB", "--jobs", "2")


# --- backup ---

@pytest.mark.parametrize("version, name", [(version, name) for version, name, _ in turns(points("backup", "mysql"), ("both",))])
def test_a_backup_that_ends_anywhere_leaves_only_whole_ones_and_the_source_as_it_was(shops, version, name):
    shop = shops(version)
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
    assert my_shop.kin(shop.server, shop.db) == []


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("name", points("locked backup", "mysql"))
@pytest.mark.parametrize("user", ["root", "only_tables"])
def test_a_backup_that_ends_under_its_lock_lets_the_writers_go_on(without_binlog, drtool, user, name, action):
    server, db = without_binlog
    command = ("backup", server.url(db, user=user), "--name", "shop")
    result = drtool.run(*command, fail=f"{name}:1:{action}")
    assert ended(result, action), result
    assert drtool.backups("shop") == [] and fault.leftovers(drtool.store) == [] or action == "kill"
    server.sql(db, "set lock_wait_timeout = 2; insert into orders (customer, total) values (1, 1); create table later (i int); drop table later")
    drtool.ok(*command)
    fault.sound(drtool, "shop", drtool.backups("shop"))


@pytest.fixture(scope="module")
def without_binlog(my_servers):
    """A server whose snapshots need a lock, and an account that may lock nothing but tables."""
    server = my.Server("10.11", {"log_bin": "off", "event_scheduler": "off"}).start()
    server.create_db("shop", "character set utf8mb4")
    server.sql("shop", my_shop.SQL)
    server.sql("", "create user only_tables@localhost; grant select, lock tables, show view, trigger, event on *.* to only_tables@localhost")
    yield server, "shop"
    server.remove()


# --- restore ---

@pytest.mark.parametrize("version, name, action", turns(points("restore", "mysql")))
def test_a_restore_that_ends_anywhere_is_finished_by_resume(shops, version, name, action):
    shop = shops(version)
    drtool = shop.fresh()
    for number in (1, 4):
        copy = f"{shop.db}_copy_{number}"
        command = ["restore", "shop", "--into", shop.server.url(copy), "--jobs", "2"]
        result = drtool.run(*command, fail=f"{name}:{number}:{action}")
        if not ended(result, action):
            assert number > 1 and result.code == 0, result
            shop.server.drop_db(copy)
            break
        if action == "error":
            assert result.code == 1 and f"--resume={fault.run_name(result.text)}" in result.text, result
        drtool.ok(*command, "--resume", "--compare")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, copy))
        shop.server.drop_db(copy)
    fault.sound(drtool, "shop", drtool.backups("shop"))
    shop.untouched()
    my_shop.nothing_left(shop.server)


@pytest.mark.parametrize("version", my.VERSIONS)
def test_a_restore_that_was_killed_again_and_again_is_finished_by_resume(shops, version):
    shop = shops(version)
    drtool = shop.fresh()
    copy = f"{shop.db}_twice"
    command = ["restore", "shop", "--into", shop.server.url(copy), "--jobs", "2"]
    for where in ("load.unit.done:3", "load.unit.done:2", "mysql.load.commit.before:2", "restore.loaded:1", "mysql.load.end.before:1"):
        resume = ["--resume"] if (drtool.state / "restore").exists() else []
        result = drtool.run(*command, *resume, fail=f"{where}:kill")
        assert result.code == -signal.SIGKILL, result
    drtool.ok(*command, "--resume", "--compare")
    my_shop.same(shop.before, my_shop.snapshot(shop.server, copy))
    shop.server.drop_db(copy)
    my_shop.nothing_left(shop.server)


@pytest.mark.parametrize("version", my.VERSIONS)
@pytest.mark.parametrize("name", ["load.unit.done", "mysql.load.commit.before"])
def test_rows_added_to_a_table_are_not_added_twice_by_resume(shops, version, name):
    shop = shops(version)
    drtool = shop.fresh()
    copy = shop.server.create_db(f"{shop.db}_rows", "character set utf8mb4")
    drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--table", "big")
    shop.server.sql(copy, "truncate big")
    command = ["restore", "shop", "--into", shop.server.url(copy), "--table", "big", "--data-only", "--jobs", "1"]
    assert drtool.run(*command, fail=f"{name}:2:kill").code == -signal.SIGKILL
    drtool.ok(*command, "--resume")
    assert shop.server.sql("", f"checksum table {shop.db}.big, {copy}.big").count(shop.server.sql(shop.db, "checksum table big").split("|")[1]) == 2
    shop.server.drop_db(copy)


# --- in place ---

@pytest.mark.parametrize("version, name, action", turns(points("exchange", "mysql") + ["restore.loaded", "load.unit.done"]))
def test_an_exchange_that_ends_anywhere_can_go_either_way_and_loses_nothing(shops, version, name, action):
    shop = shops(version)
    drtool = shop.fresh()
    with shop.live(drtool, "live") as live:
        old = my_shop.snapshot(shop.server, live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        result = drtool.run(*command, fail=f"{name}:1:{action}")
        assert ended(result, action), result
        (run,) = {other[-6:] for other in my_shop.kin(shop.server, live)}
        if name.startswith("mysql.exchange") or name.startswith("restore.exchange"):
            drtool.ok("exchange", run, "--yes")
        else:
            drtool.fails(7, "exchange", run, "--yes")
            my_shop.same(old, my_shop.snapshot(shop.server, live))
            drtool.ok(*command, f"--resume={run}")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, live))
        assert my_shop.kin(shop.server, live) == [f"{live}_before_{run}"]
        # The way back may be interrupted as well.
        result = drtool.run("exchange", run, "--back", "--yes", fail=f"{name if 'mysql.exchange' in name else 'mysql.exchange.moved'}:1:{action}")
        assert ended(result, action), result
        drtool.ok("exchange", run, "--back", "--yes")
        my_shop.same(old, my_shop.snapshot(shop.server, live))
        assert my_shop.kin(shop.server, live) == [f"{live}_restore_{run}"]
        my_shop.nothing_left(shop.server, run)


@pytest.mark.parametrize("version", my.VERSIONS)
def test_an_exchange_that_fails_before_anything_moved_has_views_and_triggers_where_they_were(shops, version):
    shop = shops(version)
    drtool = shop.fresh()
    with shop.live(drtool, "stays") as live:
        old = my_shop.snapshot(shop.server, live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        with shop.server.session() as session:
            session.run(f"lock tables {live}.customer read")
            result = drtool.fails(6, *command, "--lock-timeout", "1s")
            assert "in use" in result.err, result
        my_shop.same(old, my_shop.snapshot(shop.server, live))
        drtool.ok("exchange", fault.run_name(result.text), "--yes")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, live))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("version", my.VERSIONS)
def test_a_restore_in_place_that_ends_after_the_exchange_is_finished_by_resume(shops, version, action):
    shop = shops(version)
    drtool = shop.fresh()
    with shop.live(drtool, "last") as live:
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        assert ended(drtool.run(*command, fail=f"restore.finish.before:1:{action}"), action)
        (aside,) = my_shop.kin(shop.server, live)
        drtool.ok(*command, f"--resume={aside[-6:]}")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, live))
        drtool.ok("exchange", aside[-6:], "--drop", "--yes")
        assert my_shop.kin(shop.server, live) == []


# --- verify ---

@pytest.mark.parametrize("version, where, action", [("10.11", "verify.loaded:1", "kill"), ("9.7", "load.unit.done:2", "error"), ("11.8", "mysql.load.end.before:1", "kill"),
                                                    ("10.11", "mysql.load.end.before:1", "error"), ("9.7", "verify.loaded:1", "kill")])
def test_a_verify_that_ends_anywhere_leaves_no_server_and_is_no_proof(shops, version, where, action):
    shop = shops(version)
    scratch = pg.temp_dir("scratch")
    scratch.chmod(0o1777)
    drtool = shop.fresh(scratch_dir=scratch)
    result = drtool.run("verify", "shop", fail=f"{where}:{action}")
    assert result.code == (-signal.SIGKILL if action == "kill" else 1), result
    fault.wait_until(lambda: not programs_in(scratch), "the scratch server ends with drtool", 20)
    if action == "error":
        assert list(scratch.iterdir()) == []
    (backup,) = drtool.ok("list", "shop", "--json").json[0]["backups"]
    assert "compared" not in str(backup.get("proof", backup)) and not backup.get("bad"), backup


@pytest.mark.parametrize("version", my.VERSIONS)
def test_a_verify_on_a_server_of_the_user_leaves_no_database_and_one_after_it_is_a_proof(shops, version):
    shop = shops(version)
    drtool = shop.fresh(scratch=shop.server.url())
    drtool.fails(1, "verify", "shop", fail="verify.loaded:1:error")
    my_shop.nothing_left(shop.server)
    assert "compared" in drtool.ok("verify", "shop").out
    my_shop.nothing_left(shop.server)
    shop.untouched()


def programs_in(folder):
    """Running programs that name this folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in path.read_bytes().decode(errors="replace"):
                found.append(path.parent.name)
        except OSError:
            pass
    return found
