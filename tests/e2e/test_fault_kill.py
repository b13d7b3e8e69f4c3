"""The end at every failpoint, by SIGKILL and by an error: no half backup is listed, older ones stay good, the lock frees itself, and what was
begun can be done again or finished. The list of failpoints is that of the binary, so a new one is visited without a new test."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import compare
import fault
import pg
import pytest
import shop as shop_lib
from failpoints import ended, failpoints, flow_of, points

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")


def test_every_failpoint_has_a_flow_that_passes_it():
    assert [name for name in failpoints() if not flow_of(name)] == []


# --- what the cases share ---

@pytest.fixture(scope="module")
def shop(servers):
    """A database and a store with one good backup of it; .fresh() gives each case a copy of the store to spoil."""
    with shop_lib.made(servers, "killed") as made:
        yield made


BACKUP = ("backup", "shop", "--chunk-size", "16KiB", "--jobs", "2")


# --- backup ---

@pytest.mark.parametrize("name", points("backup"))
def test_a_backup_that_ends_anywhere_leaves_only_whole_ones(shop, name):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    for action, number in (("error", 1), ("error", 4), ("kill", 1), ("kill", 2), ("kill", 5)):
        result = drtool.run(*BACKUP, fail=f"{name}:{number}:{action}")
        reached = ended(result, action)
        assert reached or number > 1, f"nothing passes it: {result!r}"
        now = drtool.backups("shop")
        assert set(known) <= set(now) and len(now) <= len(known) + 1, result
        if action == "error":
            assert fault.leftovers(drtool.store) == []
            assert result.code or now != known
        known = now
    # The lock of the dead is no obstacle, and nothing that it left disturbs.
    drtool.ok(*BACKUP)
    assert len(drtool.backups("shop")) == len(known) + 1
    fault.sound(drtool, "shop", drtool.backups("shop"))
    prune_away(drtool)


def prune_away(drtool):
    """What was left behind goes with a later prune, when it is older than a day; what is listed stays."""
    listed = drtool.backups("shop")
    yesterday = time.time() - 2 * 86400
    for path in drtool.store.rglob("*"):
        if path.is_file() and path.parent.name == "backup":
            os.utime(path, (yesterday, yesterday))
    drtool.ok("prune", "shop", "--keep-last", "100")
    assert drtool.backups("shop") == listed
    assert fault.leftovers(drtool.store / "shop" / "backup") == []
    whole = {path.name for b in listed for path in (drtool.store / "shop" / "backup").glob(f"{b}*")}
    assert {path.name for path in (drtool.store / "shop" / "backup").iterdir()} == whole


@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("name", points("first") + ["local.write.before", "local.rename.before", "local.rename.after", "local.sync.before"])
def test_a_first_backup_that_ends_in_the_making_of_the_store_can_be_repeated(shop, drtool, name, action):
    result = drtool.run("backup", shop.server.url(shop.db), "--name", "shop", fail=f"{name}:1:{action}")
    assert result.code in ((-signal.SIGKILL,) if action == "kill" else (1, 3)), result
    assert drtool.backups("shop") == []
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop")
    fault.sound(drtool, "shop", drtool.backups("shop"))


# --- restore ---

@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("name", points("restore"))
def test_a_restore_that_ends_anywhere_is_finished_by_resume(shop, name, action):
    drtool = shop.fresh()
    for number in (1, 5):
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
        compare.same(shop.before, compare.snapshot(shop.server, copy))
        shop.server.drop_db(copy)
    fault.sound(drtool, "shop", drtool.backups("shop"))


def test_a_restore_that_was_killed_twice_is_finished_by_resume(shop):
    drtool = shop.fresh()
    copy = f"{shop.db}_twice"
    command = ["restore", "shop", "--into", shop.server.url(copy), "--jobs", "2"]
    for where in ("load.unit.done:3:kill", "load.unit.done:2:kill", "postgres.load.commit.before:2:kill", "restore.loaded:1:kill", "postgres.load.end.before:1:kill"):
        resume = ["--resume"] if (drtool.state / "restore").exists() else []
        result = drtool.run(*command, *resume, fail=where)
        assert result.code == -signal.SIGKILL, result
    drtool.ok(*command, "--resume", "--compare")
    compare.same(shop.before, compare.snapshot(shop.server, copy))
    shop.server.drop_db(copy)


@pytest.mark.parametrize("name", ["load.unit.done", "postgres.load.commit.before"])
def test_rows_added_to_a_table_are_not_added_twice_by_resume(shop, name):
    drtool = shop.fresh()
    copy = shop.server.create_db(f"{shop.db}_rows")
    drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--table", "public.big")
    shop.server.sql(copy, "truncate big")
    command = ["restore", "shop", "--into", shop.server.url(copy), "--table", "public.big", "--data-only", "--jobs", "1"]
    assert drtool.run(*command, fail=f"{name}:3:kill").code == -signal.SIGKILL
    drtool.ok(*command, "--resume")
    assert compare.tables(shop.server, copy)["public.big"] == shop.before["table public.big"]
    shop.server.drop_db(copy)


# --- in place ---

@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("name", points("exchange") + ["restore.loaded", "load.unit.done"])
def test_an_exchange_that_ends_anywhere_leaves_the_old_data_and_can_go_either_way(shop, name, action):
    drtool = shop.fresh()
    with shop.live(drtool, "live") as live:
        old = compare.snapshot(shop.server, live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        result = drtool.run(*command, fail=f"{name}:1:{action}")
        assert ended(result, action), result
        compare.same(old, compare.snapshot(shop.server, live))
        (copy,) = [n for n in shop.server.databases() if n.startswith(live + "_restore_")]
        run = copy[-6:]
        if name in points("exchange"):
            drtool.ok("exchange", run, "--yes")
        else:
            drtool.fails(7, "exchange", run, "--yes")
            compare.same(old, compare.snapshot(shop.server, live))
            drtool.ok(*command, f"--resume={run}")
        compare.same(shop.before, {**compare.snapshot(shop.server, live), "database": shop.before["database"]})
        drtool.ok("exchange", run, "--back", "--yes")
        compare.same(old, compare.snapshot(shop.server, live))
        # The way back may be interrupted as well.
        result = drtool.run("exchange", run, "--yes", fail="postgres.exchange.before:1:kill")
        assert result.code == -signal.SIGKILL, result
        compare.same(old, compare.snapshot(shop.server, live))
        drtool.ok("exchange", run, "--yes")
        assert shop.server.sql(live, "select count(*) from app.customer") == "20"


@pytest.mark.parametrize("action", ["kill", "error"])
def test_a_restore_in_place_that_ends_after_the_exchange_is_finished_by_resume(shop, action):
    drtool = shop.fresh()
    with shop.live(drtool, "last") as live:
        old = compare.snapshot(shop.server, live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        assert ended(drtool.run(*command, fail=f"restore.finish.before:1:{action}"), action)
        (aside,) = [n for n in shop.server.databases() if n.startswith(live + "_before_")]
        drtool.ok(*command, f"--resume={aside[-6:]}")
        compare.same(shop.before, {**compare.snapshot(shop.server, live), "database": shop.before["database"]})
        drtool.ok("exchange", aside[-6:], "--back", "--yes")
        compare.same(old, compare.snapshot(shop.server, live))


def test_a_name_that_was_taken_before_the_restore_went_on_is_exchanged_all_the_same(shop):
    """The first run found the name free; by the time of the second somebody had made a database of it."""
    drtool = shop.fresh()
    with shop.live(drtool, "taken") as live:
        shop.server.drop_db(live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}"]
        assert drtool.run(*command, fail="restore.begun:1:kill").code == -signal.SIGKILL
        shop.server.drop_db(live)
        shop.server.sql("postgres", f"create database {live}")
        shop.server.sql(live, "create table somebody (i int)")
        drtool.fails(1, *command, "--resume", fail="restore.exchange.before:1:error")
        assert shop.server.sql(live, "select to_regclass('somebody') is null") == "f"
        drtool.ok(*command, "--resume")
        compare.same(shop.before, {**compare.snapshot(shop.server, live), "database": shop.before["database"]})


def test_a_restore_under_its_own_name_that_differs_is_compared_again_by_resume(shop):
    """The read back failed: the copy is complete, keeps its name, and the next try looks at the same one."""
    drtool = shop.fresh()
    copy = f"{shop.db}_again"
    command = ["restore", "shop", "--into", shop.server.url(copy), "--compare"]
    assert drtool.run(*command, fail="restore.finish.before:1:kill").code == -signal.SIGKILL
    shop.server.sql(copy, "update app.orders set total = total + 1 where id = 7")
    result = drtool.fails(4, *command, "--resume")
    assert "app.orders" in result.text, result
    shop.server.sql(copy, "update app.orders set total = total - 1 where id = 7")
    drtool.ok(*command, "--resume")
    assert [n for n in shop.server.databases() if n.startswith(copy)] == [copy]
    shop.server.drop_db(copy)


def test_an_exchange_succeeds_while_clients_reconnect_all_the_time_and_locks_none_of_them_out(shop):
    drtool = shop.fresh()
    with shop.live(drtool, "busy") as live:
        shop.server.sql(live, "create table old (i int)")
        client = f"while :; do {shop.server.bin}/psql -XAtq -d {live} -c 'select 1, pg_sleep(0.05)' >/dev/null 2>&1; done"
        clients = [subprocess.Popen(["bash", "-c", client], env=shop.server.env(), start_new_session=True) for _ in range(3)]
        try:
            drtool.ok("restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}")
            assert shop.server.sql(live, "select to_regclass('old') is null") == "t"
        finally:
            for process in clients:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


# --- verify ---

@pytest.mark.parametrize("where", ["verify.loaded:1", "load.unit.done:2", "postgres.load.end.before:1"])
@pytest.mark.parametrize("action", ["kill", "error"])
def test_a_verify_that_ends_anywhere_leaves_no_server_and_is_no_proof(shop, where, action):
    drtool = shop.fresh()
    scratch = pg.temp_dir("scratch")
    scratch.chmod(0o1777)
    drtool.config((drtool.dir / "drtool.yaml").read_text().replace("sources: {shop: {", f"sources: {{shop: {{scratch_dir: \"{scratch}\", "))
    result = drtool.run("verify", "shop", fail=f"{where}:{action}")
    assert result.code == (-signal.SIGKILL if action == "kill" else 1), result
    fault.wait_until(lambda: not programs_in(scratch), "the scratch server ends with drtool", 20)
    if action == "error":
        assert list(scratch.iterdir()) == []
    (backup,) = drtool.ok("list", "shop", "--json").json[0]["backups"]
    assert "compared" not in str(backup.get("proof", backup)) and not backup.get("bad"), backup


def test_a_verify_after_one_that_was_killed_is_a_proof(shop):
    drtool = shop.fresh()
    assert drtool.run("verify", "shop", fail="load.unit.begin:1:kill").code == -signal.SIGKILL
    result = drtool.ok("verify", "shop")
    assert "compared" in result.out


def programs_in(folder):
    """Commands of running programs that name this folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in path.read_bytes().decode(errors="replace") and path.parent.name != str(os.getpid()):
                found.append(path.parent.name)
        except OSError:
            pass
    return found


# --- prune, marks ---

@pytest.fixture(scope="module")
def four(shop):
    """A store with four backups."""
    made = shop.fresh()
    for _ in range(3):
        made.ok(*BACKUP)
    return made


@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("name", points("prune"))
def test_a_prune_that_ends_anywhere_leaves_only_whole_backups(shop, four, name, action):
    drtool = shop.fresh()
    shutil.rmtree(drtool.store)
    shutil.copytree(four.store, drtool.store)
    all_ids = drtool.backups("shop")
    for number in (1, 2, 4):
        result = drtool.run("prune", "shop", "--keep-last", "1", fail=f"{name}:{number}:{action}")
        if not ended(result, action):
            assert number > 1, result
            break
        left = drtool.backups("shop")
        assert left and left[-1] == all_ids[-1] and set(left) <= set(all_ids)
        fault.sound(drtool, "shop", left)
    drtool.ok("prune", "shop", "--keep-last", "1")
    fault.sound(drtool, "shop", all_ids[-1:])
    drtool.ok(*BACKUP)
    prune_away(drtool)


@pytest.mark.parametrize("action", ["kill", "error"])
@pytest.mark.parametrize("name", points("mark"))
def test_a_mark_that_ends_before_it_is_made_can_be_made_again(shop, name, action):
    drtool = shop.fresh()
    if name.startswith("accept"):
        shop.server.sql(shop.db, "begin; create table spare as select * from big; truncate big; commit")
        try:
            drtool.fails(3, *BACKUP)
        finally:
            shop.server.sql(shop.db, "begin; insert into big select * from spare; drop table spare; commit")
    command = [name.split(".")[0], "shop", "--because", "test"]
    result = drtool.run(*command, fail=f"{name}:1:{action}")
    assert result.code == (-signal.SIGKILL if action == "kill" else 1), result
    drtool.ok(*command)
    fault.sound(drtool, "shop", drtool.backups("shop"))


@pytest.mark.parametrize("action", ["kill", "error"])
def test_evidence_that_cannot_be_written_changes_no_exit_status(shop, action):
    drtool = shop.fresh()
    result = drtool.run("check", "shop", fail=f"evidence.put.before:1:{action}")
    if action == "kill":
        assert result.code == -signal.SIGKILL
    else:
        assert result.code == 0 and "evidence" in result.err, result
    drtool.ok("check", "shop")


# --- signals ---

def delayed(drtool, shop, where, *args):
    """A backup that stands at a failpoint for a while."""
    process = drtool.start(*BACKUP, *args, fail=where)
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup") or process.poll() is not None, "the archive is begun")
    time.sleep(0.7)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("where", ["dump.unit.end:1", "postgres.schema.dumped:1", "backup.scope.begun:1", "backup.volume.end:1"])
def test_a_signal_ends_a_backup_and_cleans_up(shop, where, number, code):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    process = delayed(drtool, shop, f"{where}:delay=1500")
    process.send_signal(number)
    ended_with, text = fault.end(process, 20)
    assert ended_with == code, text
    assert fault.leftovers(drtool.store) == []
    assert "interrupt" in text.lower() or "signal" in text.lower(), text
    fault.sound(drtool, "shop", known)
    if where.startswith("dump"):
        drtool.ok(*BACKUP)


def test_a_second_signal_ends_at_once(shop):
    drtool = shop.fresh()
    known = drtool.backups("shop")
    process = delayed(drtool, shop, "backup.scope.begun:1:delay=20000")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, _ = fault.end(process, 10)
    assert code == 143 and time.monotonic() - started < 10
    fault.sound(drtool, "shop", known)
    drtool.ok(*BACKUP)


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_restore_which_goes_on_with_resume(shop, number, code):
    drtool = shop.fresh()
    copy = f"{shop.db}_signal"
    command = ["restore", "shop", "--into", shop.server.url(copy), "--jobs", "2"]
    process = drtool.start(*command, fail="load.unit.done:4:delay=1000")
    fault.wait_until(lambda: [p for p in (drtool.state / "restore").glob("*.jsonl") if p.read_text().count('"unit"') > 1], "rows are loaded")
    process.send_signal(number)
    ended_with, text = fault.end(process, 20)
    assert ended_with == code, text
    assert re.search("--resume=[0-9a-f]{6}", text), text
    drtool.ok(*command, "--resume", "--compare")
    compare.same(shop.before, compare.snapshot(shop.server, copy))
    shop.server.drop_db(copy)


def test_a_signal_in_a_verify_ends_its_server_and_removes_its_folder(shop):
    drtool = shop.fresh()
    scratch = pg.temp_dir("scratch")
    scratch.chmod(0o1777)
    drtool.config((drtool.dir / "drtool.yaml").read_text().replace("sources: {shop: {", f"sources: {{shop: {{scratch_dir: \"{scratch}\", "))
    process = drtool.start("verify", "shop", fail="verify.loaded:1:delay=1500")
    fault.wait_until(lambda: programs_in(scratch), "the scratch server runs")
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    code, text = fault.end(process, 40)
    assert code == 143, text
    assert programs_in(scratch) == [] and list(scratch.iterdir()) == []
