"""Stores that fail, stand still, fill up or vanish: what failed is not listed, what was good stays good, and one bad store spoils no other."""

import os
import shutil
import signal
import subprocess
import time

import compare
import fault
import pytest
import shop as shop_lib

NOISE = "create table noise (id int, b bytea); insert into noise select i, decode(md5(random()::text) || md5(random()::text), 'hex') from generate_series(1, {}) i"


@pytest.fixture(scope="module")
def shop(servers):
    """A database, and a store with one good backup of it that each test copies."""
    with shop_lib.made(servers, "stored") as made:
        yield made


def two_stores(shop):
    """A copy with a second store, .second."""
    drtool = shop.fresh()
    drtool.second = drtool.dir / "offsite"
    shop.configure(drtool, shop.db, second=drtool.second, more="store_stall: 1s\n")
    drtool.ok(*BACKUP)
    return drtool


BACKUP = ("backup", "shop", "--chunk-size", "16KiB", "--jobs", "2")


def with_fault(rule):
    return {"DRTOOL_STORE_FAULT": rule}


def stored(folder):
    return sorted(p.stem for p in (folder / "shop" / "backup").glob("*.json"))


# --- one store that fails in a backup ---

@pytest.mark.parametrize("what", ["EIO", "ENOSPC", "unreachable"])
@pytest.mark.parametrize("where", ["open[.tar.gz]:1", "write[.tar.gz]:1", "write[.tar.gz]:50000", "finish[.tar.gz]:1", "finish[Z-]:2"])
def test_a_backup_whose_store_fails_is_not_listed_and_leaves_nothing(shop, where, what):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    result = drtool.fails(1, *BACKUP, env=with_fault(f"{where}:{what}"))
    assert "injected" in result.err and result.err.count("\n") < 10
    assert fault.leftovers(drtool.store) == []
    fault.sound(drtool, "shop", known)
    drtool.ok(*BACKUP)


@pytest.mark.parametrize("where", ["open[lock/]:1:EIO", "list:1:EIO", "get:1:EIO", "stat:1:EACCES", "open:1:EROFS", "get[drtool-store.json]:1:unreachable"])
def test_a_store_that_fails_before_the_first_byte_ends_the_backup(shop, where):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    result = drtool.run(*BACKUP, env=with_fault(where))
    assert result.code in (0, 1), result
    if result.code == 0:  # it was of no importance for the backup itself
        assert "injected" in result.err or where.startswith(("list", "stat")), result
        known = drtool.backups("shop")
    fault.sound(drtool, "shop", known)


def test_bytes_that_a_store_drops_are_noticed_before_anything_is_listed(shop):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    drtool.fails(1, *BACKUP, env=with_fault("write[.tar.gz]:40000:short"))
    fault.sound(drtool, "shop", known)


def test_bytes_that_a_store_spoils_are_found_by_check(shop):
    drtool = shop.fresh()
    drtool.ok(*BACKUP, env=with_fault("write[.tar.gz]:40000:flip:once"))
    bad = drtool.backups("shop")[-1]
    result = drtool.fails(4, "check", "shop", "--backup", bad)
    assert bad in result.text
    drtool.ok("check", "shop", "--backup", drtool.backups("shop")[0])


@pytest.mark.parametrize("what", ["stall", "hang"])
def test_a_store_that_takes_nothing_more_ends_the_backup_after_store_stall(shop, what):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    started = time.monotonic()
    result = drtool.fails(1, *BACKUP, "--store-stall", "1s", env=with_fault(f"write[.tar.gz]:30000:{what}"), timeout=60)
    assert time.monotonic() - started < 40
    assert "store" in result.err
    fault.sound(drtool, "shop", known)


# --- two stores ---

@pytest.mark.parametrize("rule", ["offsite@open[.tar.gz]:1:EIO", "offsite@write[.tar.gz]:1:ENOSPC", "offsite@write[.tar.gz]:50000:EIO", "offsite@finish[.tar.gz]:1:EIO",
                                  "offsite@write[.tar.gz]:30000:stall", "offsite@write[.tar.gz]:30000:hang", "offsite@finish[.tar.gz]:1:stall"])
def test_one_of_two_stores_that_fails_is_incomplete_and_the_other_lists_the_backup(shop, rule):
    drtool = two_stores(shop)
    first, second = drtool.backups("shop"), stored(drtool.second)
    started = time.monotonic()
    result = drtool.fails(3, *BACKUP, env=with_fault(rule), timeout=90)
    assert time.monotonic() - started < 60
    assert "offsite" in result.text
    assert len(drtool.backups("shop")) == len(first) + 1 and stored(drtool.second) == second
    drtool.ok("check", "shop", "--from", "local", "--backup", "all")
    drtool.ok("check", "shop", "--from", "offsite", "--backup", "all")
    drtool.ok(*BACKUP)
    assert len(stored(drtool.second)) == len(second) + 1


def test_a_store_that_cannot_be_opened_is_named_and_the_other_gets_the_backup(shop):
    drtool = two_stores(shop)
    drtool.second.rename(drtool.dir / "away")
    drtool.second.write_text("a file where the folder was\n")
    result = drtool.fails(3, *BACKUP)
    assert "offsite" in result.text and len(drtool.backups("shop")) == 3


def test_what_only_the_second_store_remembers_makes_a_backup_suspect(drtool, pg15, make_db):
    db = make_db(pg15, "create table t (i int); insert into t select generate_series(1, 100); create table u (i int); insert into u values (1)")
    drtool.config(f"stores: {{old: {{url: \"{drtool.store_url}\"}}, new: {{url: \"file://{drtool.dir}/new\"}}}}\n"
                  f"sources: {{shop: {{url: \"{pg15.url(db)}\", keep: {{last: 1}}}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop", "--to", "old")
    (first,) = drtool.backups("shop")
    pg15.sql(db, "truncate u")
    result = drtool.fails(3, "backup", "shop", "--to", "new", "--to", "old", "--prune")
    assert "suspect" in result.err and "public.u" in result.err, result
    assert first in drtool.backups("shop") and len(drtool.backups("shop")) == 2
    assert all(b["suspect"] for b in drtool.ok("list", "--json", "--from", "new").json[0]["backups"])


@pytest.mark.parametrize("rule", ["{}@open[lock/]:1:EROFS", "{}@get[source.json]:1:EIO", "{}@list:1:EIO"])
@pytest.mark.parametrize("bad", ["store", "offsite"])
def test_a_store_that_fails_before_the_first_byte_is_an_outcome_where_another_is_left(shop, rule, bad):
    drtool = two_stores(shop)
    first, second = drtool.backups("shop"), stored(drtool.second)
    result = drtool.fails(3, *BACKUP, env=with_fault(rule.format("/" + bad)))
    assert "injected" in result.err and ("offsite" if bad == "offsite" else "local") in result.err, result
    assert len(drtool.backups("shop")) == len(first) + (bad == "offsite")
    assert len(stored(drtool.second)) == len(second) + (bad != "offsite")
    drtool.ok(*BACKUP)


def test_a_lock_that_is_held_in_one_of_two_stores_leaves_that_one_out(shop):
    drtool = two_stores(shop)
    process = drtool.start(*BACKUP, "--to", "offsite", fail="backup.scope.begun:1:delay=8000")
    fault.wait_until(lambda: fault.leftovers(drtool.second / "shop" / "backup"), "the archive is begun")
    before = len(drtool.backups("shop"))
    result = drtool.fails(3, *BACKUP)
    assert "locked in store offsite" in result.err and len(drtool.backups("shop")) == before + 1
    assert fault.end(process)[0] == 0


@pytest.mark.parametrize("bad", ["store", "offsite"])
def test_a_store_that_failed_in_the_backup_is_not_pruned_and_the_other_is(shop, bad):
    drtool = two_stores(shop)
    config = drtool.dir / "drtool.yaml"
    drtool.config(config.read_text().replace("split_above", "keep: {last: 1}, split_above"))
    good, spared = (stored, drtool.second), (stored, drtool.store)
    if bad == "offsite":
        good, spared = spared, good
    before = spared[0](spared[1])
    assert before
    result = drtool.fails(3, *BACKUP, "--prune", "--store-stall", "1s", env=with_fault(f"/{bad}@write[.tar.gz]:30000:stall"), timeout=90)
    assert ("offsite" if bad == "offsite" else "local") in result.err, result
    assert len(good[0](good[1])) == 1 and spared[0](spared[1]) == before


def test_a_prune_that_fails_in_one_store_goes_on_in_the_next(shop):
    drtool = two_stores(shop)
    config = drtool.dir / "drtool.yaml"
    drtool.config(config.read_text().replace("split_above", "keep: {last: 1}, split_above"))
    drtool.ok(*BACKUP)
    known = drtool.backups("shop")
    result = drtool.fails(1, *BACKUP, "--prune", env=with_fault("/store@delete[.json]:1:EIO"))
    assert "injected" in result.err
    assert len(stored(drtool.second)) == 1 and len(drtool.backups("shop")) == len(known) + 1


def test_the_newest_backup_of_all_stores_is_restored(shop):
    drtool = two_stores(shop)
    old = drtool.backups("shop")
    drtool.fails(3, *BACKUP, env=with_fault("/store@open[.tar.gz]:1:ENOSPC"))
    new = stored(drtool.second)[-1]
    assert drtool.backups("shop") == old and new not in old
    restore = ("restore", "shop", "--in-place", "--dry-run")
    assert new in drtool.ok(*restore).out
    assert old[-1] in drtool.ok(*restore, "--backup", old[-1]).out
    result = drtool.ok(*restore, env=with_fault("/offsite@list:1:EIO"))
    assert old[-1] in result.out and "offsite" in result.err and "injected" in result.err
    # What is known to be bad in a nearer store is not taken from the next.
    drtool.ok(*BACKUP)
    both = drtool.backups("shop")[-1]
    assert both in drtool.ok(*restore).out
    path = drtool.archives("shop")[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    fault.write(path, bytes(data))
    drtool.fails(4, "check", "shop", "--from", "local", "--backup", both)
    result = drtool.ok(*restore)
    assert new in result.out and "passed over" in result.text


def test_a_restore_goes_on_in_the_other_store_when_one_fails(shop):
    drtool = two_stores(shop)
    copy = f"{shop.db}_other"
    for number, rule in enumerate(("store@get[.tar.gz]:5:EIO", "store@get[.tar.gz]:9:flip", "store@get[.tar.gz]:1:unreachable")):
        result = drtool.ok("restore", "shop", "--into", shop.server.url(f"{copy}_{number}"), "--jobs", "2", "--compare", env=with_fault(rule.replace("store@", "/store@")))
        assert "compared and equal" in result.out
        shop.server.drop_db(f"{copy}_{number}")


# --- reading ---

@pytest.mark.parametrize("what, code", [("EIO", 1), ("unreachable", 1), ("flip", 4), ("short", 4)])
def test_check_tells_a_store_that_cannot_be_read_from_a_backup_that_is_bad(shop, what, code):
    drtool = shop.fresh()
    drtool.fails(code, "check", "shop", env=with_fault(f"get[.tar.gz]:3:{what}"))
    if code == 1:
        (backup,) = drtool.ok("list", "shop", "--json").json[0]["backups"]
        assert not backup.get("bad"), backup
        drtool.ok("check", "shop")


def test_one_wrong_read_is_read_again_and_is_no_damage(shop):
    drtool = shop.fresh()
    drtool.ok("check", "shop", env=with_fault("get[.tar.gz]:4:flip:once"))
    copy = f"{shop.db}_once"
    drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--compare", env=with_fault("get[.tar.gz]:7:flip:once"))
    shop.server.drop_db(copy)


@pytest.mark.parametrize("rule, code", [("get[.tar.gz]:6:EIO", 1), ("get[.tar.gz]:12:flip", 4), ("get[.tar.gz]:12:short", 4), ("get:2:EIO", 1), ("list:1:EIO", 1)])
def test_a_restore_whose_store_fails_says_so_and_is_not_taken_for_whole(shop, rule, code):
    drtool = shop.fresh()
    copy = f"{shop.db}_fails"
    result = drtool.run("restore", "shop", "--into", shop.server.url(copy), "--jobs", "2", env=with_fault(rule))
    assert result.code in (1, 4) and (result.code == code or code == 1), result
    if copy in shop.server.databases():
        drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--jobs", "2", "--resume", "--compare")
        shop.server.drop_db(copy)


@pytest.mark.parametrize("rule", ["get[.tar.gz]:{half}:EIO", "get[.tar.gz]:{half}:flip", "get[.tar.gz]:{half}:hang"])
def test_a_store_that_dies_in_the_middle_of_in_place_leaves_the_old_data(shop, rule):
    drtool = shop.fresh()
    live = shop.server.create_db(f"{shop.db}_live")
    drtool.ok("restore", "shop", "--into", shop.server.url(live))
    shop.server.sql(live, "insert into app.customer (name) values ('since'); truncate big")
    old = compare.snapshot(shop.server, live)
    command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}", "--jobs", "1"]
    try:
        half = 12 + len(shop.template.manifest("shop")["objects"])
        if rule.endswith("hang"):
            process = drtool.start(*command, env=with_fault(rule.format(half=half)))
            fault.wait_until(lambda: shop.server.sql("postgres", f"select 1 from pg_stat_activity where datname like '{live}_restore_%'"), "the restore has begun")
            time.sleep(1)
            os.kill(process.pid, signal.SIGKILL)
            fault.end(process)
        else:
            result = drtool.run(*command, env=with_fault(rule.format(half=half)))
            assert result.code in (1, 4), result
        compare.same(old, compare.snapshot(shop.server, live))
        assert not [n for n in shop.server.databases() if n.startswith(f"{live}_before")]
        (copy,) = [n for n in shop.server.databases() if n.startswith(f"{live}_restore_")]
        drtool.ok(*command, f"--resume={copy[-6:]}")
        assert shop.server.sql(live, "select count(*) from big") == "3000"
        drtool.ok("exchange", copy[-6:], "--back", "--yes")
        compare.same(old, compare.snapshot(shop.server, live))
    finally:
        for other in shop.server.databases():
            if other.startswith(live):
                shop.server.drop_db(other)


def test_a_server_that_dies_in_the_exchange_has_the_old_data_or_the_new(make_server, drtool):
    server = make_server(15)
    server.sql("postgres", "create database shop")
    server.sql("shop", fault.SHOP)
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{server.url('shop')}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop")
    server.sql("shop", "insert into app.customer (name) values ('since'); checkpoint")
    old = compare.snapshot(server, "shop")
    process = drtool.start("restore", "shop", "--in-place", "--yes", fail="postgres.exchange.before:1:delay=2000")
    fault.wait_until(lambda: [p for p in (drtool.state / "restore").glob("*.jsonl") if '"loaded"' in p.read_text()], "all is loaded")
    time.sleep(1)
    server.kill()
    code, text = fault.end(process)
    assert code == 1, text
    run = fault.run_name(text)
    fault.revive(server)
    compare.same(old, compare.snapshot(server, "shop"))
    drtool.ok("exchange", run, "--yes")
    assert server.sql("shop", "select count(*) from app.customer") == "20"
    drtool.ok("exchange", run, "--back", "--yes")
    compare.same(old, compare.snapshot(server, "shop"))


# --- prune ---

@pytest.mark.parametrize("rule", ["list:1:EIO", "list[backup/]:1:unreachable", "get[.json]:3:EIO", "delete:1:EIO", "delete[.tar.gz]:1:EACCES", "delete:1:retained",
                                  "delete[.tar.gz]:1:retained", "uncommitted:1:EIO", "stat:1:EIO"])
def test_a_prune_whose_store_fails_leaves_only_whole_backups(shop, rule):
    drtool = shop.fresh()
    drtool.ok(*BACKUP)
    drtool.ok(*BACKUP)
    known = drtool.backups("shop")
    result = drtool.run("prune", "shop", "--keep-last", "1", env=with_fault(rule))
    assert result.code in (0, 1), result
    left = drtool.backups("shop")
    assert left and left[-1] == known[-1]
    if rule.startswith(("list", "get")) and result.code:
        assert left == known and len(drtool.archives("shop")) == 3
    if rule == "delete:1:retained":
        assert "2030" in result.text, result
    fault.sound(drtool, "shop", left)
    drtool.ok("prune", "shop", "--keep-last", "1")
    assert drtool.backups("shop") == known[-1:]


# --- room ---

def test_a_disk_that_fills_up_ends_the_backup_and_older_ones_stay(shop, small_disk, pg15, make_db, drtool):
    db = make_db(pg15, NOISE.format(1000))
    disk = small_disk(3)
    command = ["backup", pg15.url(db), "--name", "shop", "--to", f"file://{disk}/store"]
    drtool.store = disk / "store"
    drtool.env["DRTOOL_STORE"] = drtool.store_url
    drtool.ok(*command)
    known = drtool.backups("shop")
    pg15.sql(db, NOISE.format(100000).replace("create table noise (id int, b bytea); ", ""))
    result = drtool.fails(1, *command)
    assert "space" in result.err.lower() or "free" in result.err, result
    assert fault.leftovers(drtool.store) == []
    fault.sound(drtool, "shop", known)
    assert drtool.run("status", "shop").code in (0, 1)


def test_min_free_is_kept_before_and_during_a_backup(small_disk, pg15, make_db, drtool):
    db = make_db(pg15, NOISE.format(60000))
    disk = small_disk(8)
    drtool.store = disk / "store"
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\", min_free: 90%}}}}\nsources: {{shop: {{url: \"{pg15.url(db)}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    result = drtool.fails(1, "backup", "shop")
    assert "min_free" in result.err
    assert drtool.backups("shop") == [] and fault.leftovers(drtool.store) == []
    drtool.config((drtool.dir / "drtool.yaml").read_text().replace("90%", "1%"))
    drtool.ok("backup", "shop")
    drtool.config((drtool.dir / "drtool.yaml").read_text().replace("1%", "99%"))
    assert "min_free" in drtool.fails(1, "backup", "shop").err
    fault.sound(drtool, "shop", drtool.backups("shop"))
    drtool.ok("prune", "shop", "--keep-last", "1")


# --- folders ---

def test_a_store_that_is_read_only_can_be_read_and_is_said_when_it_is_to_be_written(shop, small_disk):
    drtool = shop.fresh()
    disk = small_disk(8)
    shutil.copytree(drtool.store, disk / "store")
    shutil.rmtree(drtool.store)
    drtool.store = disk / "store"
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{shop.server.url(shop.db)}\"}}}}\n")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    known = drtool.backups("shop")
    result = drtool.fails(1, *BACKUP)
    assert "ead-only" in result.err and drtool.backups("shop") == known
    drtool.ok("list", "shop")
    drtool.ok("check", "shop")
    copy = f"{shop.db}_ro"
    drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--compare")
    shop.server.drop_db(copy)
    drtool.fails(1, "prune", "shop", "--keep-last", "1")
    drtool.fails(1, "pin", "shop", "--because", "test")


def test_a_store_that_is_not_mounted_is_refused_and_not_made_anew(shop, small_disk):
    drtool = shop.fresh()
    disk = small_disk(8)
    shutil.rmtree(drtool.store)
    drtool.store = disk / "store"
    drtool.config(f"stores: {{local: {{url: \"file://{disk}\"}}}}\nsources: {{shop: {{url: \"{shop.server.url(shop.db)}\"}}}}\n")
    drtool.ok(*BACKUP)
    subprocess.run(["umount", disk], check=True)
    try:
        result = drtool.fails(7, *BACKUP)
        assert "mount" in result.err
        assert list(disk.iterdir()) == []
        assert drtool.run("list", "shop").code != 0
        assert drtool.run("prune", "shop", "--keep-last", "1").code != 0
        assert drtool.run("status", "shop").code in (2, 3)
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
    drtool.fails(7, *BACKUP)  # an empty folder is no store that is known
    assert list(disk.iterdir()) == []


def test_another_store_in_the_same_folder_is_refused(shop):
    drtool = shop.fresh()
    drtool.ok(*BACKUP)
    other = two_stores(shop)
    other.second.rename(drtool.dir / "other")
    drtool.store.rename(drtool.dir / "own")
    (drtool.dir / "other").rename(drtool.store)
    result = drtool.fails(7, *BACKUP)
    assert "store" in result.err


def test_a_store_that_vanishes_in_a_backup_ends_it(shop):
    drtool = shop.fresh()
    process = drtool.start(*BACKUP, fail="backup.scope.begun:1:delay=1500")
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup"), "the archive is begun")
    time.sleep(0.3)
    drtool.store.rename(drtool.dir / "away")
    code, text = fault.end(process)
    if drtool.store.exists():
        shutil.rmtree(drtool.store)
    (drtool.dir / "away").rename(drtool.store)
    assert code in (0, 1), text
    assert len(drtool.backups("shop")) == (2 if code == 0 else 1)
    fault.sound(drtool, "shop", drtool.backups("shop"))


@pytest.mark.parametrize("name", ["notes.txt", "shop/notes.txt", "shop/backup/notes.txt", "shop/backup/20200101T000000Z-abcd.tar.gz", "shop/backup/.hidden",
                                  "shop/backup/20200101T000000Z-abcd.json", "lost+found/x", "other/backup/x.json", "shop/lock/x", "shop/pin/x.json", "evidence/shop/x.json",
                                  "shop/backup/20200101T000000Z-abcd.json/folder", "shop/backup/line\nbreak.json"])
def test_foreign_files_in_a_store_disturb_nothing_and_are_not_deleted(shop, name):
    drtool = shop.fresh()
    path = drtool.store / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("this is not yours\n")
    known = shop.template.backups("shop")
    drtool.ok(*BACKUP)
    listed = [b["id"] for s in drtool.ok("list", "shop", "--json").json for b in s["backups"] if not b.get("unreadable")]
    assert set(known) < set(listed)
    drtool.ok("check", "shop", "--backup", known[0])
    result = drtool.run("prune", "shop", "--keep-last", "1")
    assert result.code in (0, 1), result
    assert path.read_text() == "this is not yours\n"
    assert drtool.run("status", "shop").code in (0, 1, 2)
