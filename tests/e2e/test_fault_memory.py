"""Memory has one bound, whatever the data: many tiny members, rows larger than every buffer, many threads, a small budget."""

import os
import subprocess

import drtool as drtool_lib
import fault
import pytest

CEILING = 64  # MiB
MEMBERS = int(os.environ.get("DRTOOL_TEST_MEMBERS", "60000"))  # 1000000 is the measure; that takes minutes

pytestmark = pytest.mark.skipif("asan" in drtool_lib.binary() or "tsan" in drtool_lib.binary(), reason="a sanitizer needs memory of its own")


@pytest.fixture(scope="module")
def tiny(servers):
    """A table each row of which is a chunk of its own with --chunk-size 4k; .store has a backup of it."""
    class Tiny:
        server = servers(15)
        db = server.create_db("tiny")
        drtool = drtool_lib.Drtool()

    made = Tiny()
    # Compressed in the table, so that it is small there.
    made.server.sql(made.db, f"create table t (id int, t text); insert into t select i, repeat(chr(65 + i % 26), 2100) from generate_series(1, {MEMBERS}) i")
    made.result, made.peak = fault.measured(made.drtool, "backup", made.server.url(made.db), "--name", "tiny", "--chunk-size", "4k", program=fault.release(),
                                            timeout=600)
    assert made.result.code == 0, made.result
    yield made
    for name in made.server.databases():
        if name.startswith(made.db):
            made.server.drop_db(name)


def below(result, peak, ceiling=CEILING):
    assert result.code == 0, result
    assert peak <= ceiling, f"{peak:.1f} MiB: {result.args}"


def test_a_backup_of_many_tiny_members_stays_below_the_ceiling(tiny):
    assert tiny.drtool.manifest("tiny")["members"] >= MEMBERS
    below(tiny.result, tiny.peak)


@pytest.mark.parametrize("jobs", [1, 8])
def test_jobs_do_not_raise_the_memory_of_a_backup(tiny, jobs):
    drtool = drtool_lib.Drtool()
    below(*fault.measured(drtool, "backup", tiny.server.url(tiny.db), "--name", "tiny", "--chunk-size", "4k", "--jobs", jobs, program=fault.release(), timeout=600))
    if jobs == 8:
        below(*fault.measured(drtool, "backup", tiny.server.url(tiny.db), "--name", "wide", "--jobs", jobs, program=fault.release()))


@pytest.mark.parametrize("jobs", [1, 8])
def test_a_check_of_many_tiny_members_stays_below_the_ceiling(tiny, jobs):
    below(*fault.measured(tiny.drtool, "check", "tiny", "--jobs", jobs, program=fault.release(), timeout=600))


@pytest.mark.parametrize("jobs", [1, 8])
def test_a_restore_of_many_tiny_members_stays_below_the_ceiling(tiny, jobs):
    copy = f"{tiny.db}_{jobs}"
    below(*fault.measured(tiny.drtool, "restore", "tiny", "--into", tiny.server.url(copy), "--compare", "--jobs", jobs, program=fault.release(), timeout=600))
    tiny.server.drop_db(copy)


def test_a_list_and_a_prune_of_a_big_archive_read_only_its_manifest(tiny):
    for command in (["list", "tiny"], ["status", "tiny"], ["prune", "tiny", "--keep-last", "1"]):
        result, peak = fault.measured(tiny.drtool, *command, program=fault.release())
        assert result.code in (0, 1) and peak < 32, (result, peak)


@pytest.mark.parametrize("limit", [24, 40])
def test_a_smaller_budget_is_obeyed(tiny, limit):
    drtool = drtool_lib.Drtool()
    env = {"DRTOOL_MEM_LIMIT": f"{limit}MiB"}
    args = ["backup", tiny.server.url(tiny.db), "--name", "small", "--chunk-size", "256k"]
    below(*fault.measured(drtool, *args, env=env, program=fault.release()), limit)
    below(*fault.measured(drtool, "check", "small", env=env, program=fault.release()), limit)
    copy = f"{tiny.db}_limit"
    below(*fault.measured(drtool, "restore", "small", "--into", tiny.server.url(copy), env=env, program=fault.release()), limit)
    tiny.server.drop_db(copy)


@pytest.mark.parametrize("limit", ["1", "1MiB", "none", "-5", "4MiB"])
def test_a_budget_that_is_too_small_is_said_and_nothing_is_begun(tiny, limit):
    drtool = drtool_lib.Drtool()
    result = drtool.run("backup", tiny.server.url(tiny.db), "--name", "small", env={"DRTOOL_MEM_LIMIT": limit})
    assert result.code in (1, 2) and ("mem_limit" in result.err or "MEM_LIMIT" in result.err or "memory" in result.err), result
    assert drtool.backups("small") == []


# --- rows larger than every buffer ---

BIG = 20_000_000
WIDE = f"""
    create table wide (id int primary key, filler text, t text);
    alter table wide alter filler set storage plain;
    insert into wide select i, repeat('f', 5000), case when i % 2 = 1 then repeat(chr(65 + i), {BIG}) else E'\\\\tab\\t' || i end from generate_series(1, 12) i;
"""


@pytest.fixture(scope="module")
def wide(servers):
    """A page for each row, every second of which has 20 MB: wherever a range ends, such a row is first or last."""
    server = servers(15)
    name = server.create_db("wide")
    server.sql(name, WIDE)
    server.sql(name, "analyze")
    yield server, name
    for other in server.databases():
        if other.startswith(name):
            server.drop_db(other)


def test_rows_of_20_mb_at_every_border_of_a_split_table_come_back(wide, drtool):
    server, db = wide
    members = []
    for jobs in (1, 4):
        result, peak = fault.measured(drtool, "backup", server.url(db), "--name", "wide", "--split-above", "8KiB", "--chunk-size", "64KiB", "--jobs", jobs,
                                      program=fault.release())
        assert result.code == 0, result
        # The client library's own buffer of the largest row comes on top, for each connection.
        assert peak < CEILING + jobs * 3 * BIG / 2 ** 20, peak
        members.append(drtool.manifest("wide")["members"])
    assert members[0] == members[1]
    names = subprocess.run(["tar", "tzf", drtool.archives("wide")[0]], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len({name.split("/")[-1][:4] for name in names if name.endswith(".copy")}) > 3, "the table is not split"
    drtool.ok("check", "wide", "--backup", "all")
    result, peak = fault.measured(drtool, "restore", "wide", "--into", server.url(f"{db}_copy"), "--compare", program=fault.release())
    assert result.code == 0 and peak < CEILING + 3 * BIG / 2 ** 20, (result, peak)
    assert server.contents(f"{db}_copy") == server.contents(db)


def test_a_row_of_20_mb_that_is_cut_by_a_kill_is_loaded_once(wide, drtool):
    server, db = wide
    drtool.ok("backup", server.url(db), "--name", "wide", "--split-above", "8KiB", "--chunk-size", "64KiB")
    command = ["restore", "wide", "--into", server.url(f"{db}_killed"), "--jobs", "2"]
    drtool.run(*command, fail="load.unit.done:2:kill")
    drtool.ok(*command, *(["--resume"] if f"{db}_killed" in server.databases() else []))
    assert server.contents(f"{db}_killed") == server.contents(db)
