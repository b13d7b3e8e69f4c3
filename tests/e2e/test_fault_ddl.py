"""Definitions that change while a backup runs: it holds one moment or fails clearly, and it blocks nobody for ever."""

import contextlib
import time

import compare
import fault
import pg
import pytest

SQL = """
    create schema app;
    create table app.a (id int primary key, t text);
    create table app.b (id serial primary key, a int references app.a, n numeric default 1);
    create table big (id int primary key, t text);
    create function f() returns int language sql as 'select 1';
    create view app.v as select a.id, f() from app.a;
    insert into app.a select i, 'row ' || i from generate_series(1, 500) i;
    insert into app.b (a) select i from generate_series(1, 500) i;
    insert into big select i, repeat(md5(i::text), 8) from generate_series(1, 3000) i;
"""


@pytest.fixture
def shop(pg15, make_db):
    yield (db := make_db(pg15, SQL))
    for name in pg15.databases():
        if name.startswith(db + "_"):
            pg15.drop_db(name)


@contextlib.contextmanager
def paused(drtool, server, db, where="postgres.snapshot.exported", delay=2500, args=fault.SMALL):
    """A backup that stands still at a failpoint, with its locks taken; .done ends with its exit code and text."""
    process = drtool.start("backup", server.url(db), "--name", "shop", *args, fail=f"{where}:1:delay={delay}")

    class Run:
        def done(self, timeout=60):
            return fault.end(process, timeout)

    try:
        fault.wait_until(lambda: server.sql("postgres", "select 1 from pg_stat_activity where application_name = 'drtool' and state like 'idle in trans%' and "
                                            f"datname = {pg.literal(db)} and state_change < clock_timestamp() - interval '0.15 s' limit 1"),
                         "the backup waits with its snapshot")
        yield Run()
    finally:
        if process.poll() is None:
            fault.end(process)


def same_as(server, db, before, drtool):
    """The backup holds what was there before, to the byte."""
    drtool.ok("check", "shop")
    drtool.ok("restore", "shop", "--into", server.url(f"{db}_copy"), "--compare")
    compare.same(before, compare.snapshot(server, f"{db}_copy"))


def changes(server, db, statement):
    """Runs it without waiting long; whether it was let through."""
    try:
        server.sql(db, f"set lock_timeout = '300ms'; {statement}")
        return True
    except RuntimeError as error:
        assert "lock timeout" in str(error)
        return False


# --- after the locks: what would change a table waits, and the backup holds the moment before ---

BLOCKED = ["drop table app.b", "alter table app.b add column c int", "alter table app.b alter column n type int", "truncate app.b",
           "vacuum full app.b", "cluster app.b using b_pkey", "alter table app.b rename to c", "alter table app.b set schema public",
           "drop schema app cascade", "alter table app.b drop column n"]


def test_what_would_change_a_locked_table_waits_for_the_backup(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    with paused(drtool, pg15, shop, delay=6000) as backup:
        for statement in BLOCKED:
            assert not changes(pg15, shop, statement), statement
        code, text = backup.done()
    assert code == 0, text
    same_as(pg15, shop, before, drtool)
    assert changes(pg15, shop, "alter table app.b add column c int")


def test_what_was_made_meanwhile_is_not_in_the_backup(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    with paused(drtool, pg15, shop) as backup:
        for statement in ("create table app.late (i int); insert into app.late values (1)", "insert into app.a select i, 'late' from generate_series(501, 600) i",
                          "delete from app.b where id < 100", "update big set t = 'late' where id % 2 = 0", "select lo_create(99)"):
            assert changes(pg15, shop, statement), statement
        code, text = backup.done()
    if code == 1:
        assert "again" in text, text
        pytest.fail("a table that is made meanwhile is no reason to fail: " + text)
    same_as(pg15, shop, before, drtool)


def test_sequences_that_move_meanwhile_never_fall_behind_their_tables(pg15, shop, drtool):
    with paused(drtool, pg15, shop) as backup:
        pg15.sql(shop, "insert into app.b (a) select 1 from generate_series(1, 1000)")
        code, text = backup.done()
    assert code == 0, text
    drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"))
    rows, last = pg15.sql(f"{shop}_copy", "select (select max(id) from app.b), (select last_value from app.b_id_seq)").split("|")
    assert int(rows) == 500 and int(last) >= 500
    drtool.ok("verify", "shop")


@pytest.mark.parametrize("statement", [
    "create or replace function f() returns int language sql as 'select 2'",
    "drop function f() cascade",
    "create or replace view app.v as select a.id, f() from app.a where a.id > 5",
    "create type late as enum ('x')",
    "comment on table app.a is 'late'",
])
def test_a_definition_changed_meanwhile_is_as_in_the_snapshot_or_fails_clearly(pg15, shop, drtool, statement):
    before = compare.snapshot(pg15, shop)
    with paused(drtool, pg15, shop) as backup:
        changed = changes(pg15, shop, statement)
        code, text = backup.done()
    if code == 0:
        drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"))
        after = compare.snapshot(pg15, f"{shop}_copy")
        assert not compare.differences(before, after) or not changed, (statement, compare.differences(before, after))
    else:
        assert code == 1 and "changed" in text and ("again" in text or "Run" in text), text
        assert drtool.backups("shop") == [] and fault.leftovers(drtool.store) == []
        drtool.ok("backup", pg15.url(shop), "--name", "shop")
        drtool.ok("verify", "shop")


# --- before the locks ---

@pytest.mark.parametrize("lock", ["access exclusive", "exclusive"])
def test_a_table_that_stays_locked_ends_with_its_name_after_lock_timeout(pg15, shop, drtool, lock):
    with pg15.session(shop) as session:
        session.run(f"begin; lock table app.b in {lock} mode;")
        started = time.monotonic()
        result = drtool.run("backup", pg15.url(shop), "--name", "shop", "--lock-timeout", "1s", timeout=30)
        took = time.monotonic() - started
    if lock == "exclusive":
        assert result.code == 0, result
        return
    assert result.code == 1 and took < 15, result
    assert "locked" in result.err and "app.b" in result.err and "lock_timeout" in result.err
    assert drtool.backups("shop") == [] and fault.leftovers(drtool.store) == []


def test_a_lock_that_is_given_back_in_time_is_waited_for(pg15, shop, drtool):
    with pg15.session(shop) as session:
        session.run("begin; alter table app.b add column c int default 7;")
        process = drtool.start("backup", pg15.url(shop), "--name", "shop", "--lock-timeout", "20s")
        fault.wait_until(lambda: pg15.sql("postgres", f"select 1 from pg_stat_activity where datname = {pg.literal(shop)} and application_name = 'drtool' and "
                                                      "wait_event_type = 'Lock'"), "drtool waits for the lock")
        session.run("commit;")
        code, text = fault.end(process)
    assert code == 0, text
    same_as(pg15, shop, compare.snapshot(pg15, shop), drtool)


def test_a_table_dropped_between_its_listing_and_its_lock_is_no_fault_or_a_clear_one(pg15, shop, drtool):
    with pg15.session(shop) as session:
        session.run("begin; drop table app.b;")
        process = drtool.start("backup", pg15.url(shop), "--name", "shop", "--lock-timeout", "20s")
        fault.wait_until(lambda: pg15.sql("postgres", f"select 1 from pg_stat_activity where datname = {pg.literal(shop)} and application_name = 'drtool' and "
                                                      "wait_event_type = 'Lock'"), "drtool waits for the lock")
        session.run("commit;")
        code, text = fault.end(process)
    if code:
        assert code == 1 and "app.b" in text, text
        assert drtool.backups("shop") == []
        drtool.ok("backup", pg15.url(shop), "--name", "shop")
    same_as(pg15, shop, compare.snapshot(pg15, shop), drtool)


def test_a_signal_ends_the_wait_for_a_lock(pg15, shop, drtool):
    with pg15.session(shop) as session:
        session.run("begin; lock table app.b in access exclusive mode;")
        process = drtool.start("backup", pg15.url(shop), "--name", "shop")
        fault.wait_until(lambda: pg15.sql("postgres", f"select 1 from pg_stat_activity where datname = {pg.literal(shop)} and application_name = 'drtool' and "
                                                      "wait_event_type = 'Lock'"), "drtool waits for the lock")
        started = time.monotonic()
        process.terminate()
        code, text = fault.end(process, 20)
        assert code == 143 and time.monotonic() - started < 20, text
        fault.wait_until(lambda: not pg15.sql("postgres", f"select 1 from pg_stat_activity where datname = {pg.literal(shop)} and application_name = 'drtool'"),
                         "its session is gone too", 10)


# --- behind the locks ---

def test_an_alter_that_queues_behind_the_locks_is_no_deadlock(pg15, shop, drtool):
    """It waits for the coordinator; workers whose locks would queue behind it leave the table to the coordinator."""
    before = compare.snapshot(pg15, shop)
    with pg15.session(shop) as first, pg15.session(shop) as second, paused(drtool, pg15, shop, where="backup.scope.begun", delay=1500) as backup:
        first.send("alter table big add column late int;")
        second.send("alter table app.a add column late int;")
        fault.wait_until(lambda: pg15.sql("postgres", f"select count(*) from pg_locks l join pg_database d on d.oid = l.database where not granted and "
                                                      f"datname = {pg.literal(shop)}") == "2", "two ALTER TABLE wait")
        started = time.monotonic()
        code, text = backup.done()
        assert code == 0, text
        assert time.monotonic() - started < 30
        first.run("")
        second.run("")
    same_as(pg15, shop, before, drtool)
    assert pg15.sql(shop, "select count(*) from information_schema.columns where column_name = 'late'") == "2"


def test_an_alter_that_queues_before_the_schema_is_read_is_no_deadlock(pg15, shop, drtool):
    """pg_dump takes locks of its own; it must not wait for what waits for us."""
    before = compare.snapshot(pg15, shop)
    with pg15.session(shop) as session, paused(drtool, pg15, shop, delay=1500, args=(*fault.SMALL, "--lock-timeout", "3s")) as backup:
        session.send("alter table app.b add column late int;")
        code, text = backup.done()
        if code == 1:
            assert "ALTER TABLE" in text and "app.b" in text and drtool.backups("shop") == [], text
        else:
            assert code == 0, text
        session.run("")
    if code == 0:
        same_as(pg15, shop, before, drtool)
    else:
        drtool.ok("backup", pg15.url(shop), "--name", "shop")


# --- the database itself ---

def test_a_database_dropped_meanwhile_fails_the_backup(pg15, shop, drtool):
    with paused(drtool, pg15, shop) as backup:
        pg15.drop_db(shop)
        code, text = backup.done()
        pg15.create_db(shop)
    assert code == 1, text
    assert drtool.backups("shop") == [] and fault.leftovers(drtool.store) == []


def test_a_database_that_allows_no_connections_is_named(pg15, shop, drtool):
    pg15.sql("postgres", f"alter database {shop} allow_connections false")
    try:
        result = drtool.run("backup", pg15.url(shop), "--name", "shop")
        assert result.code in (1, 5) and shop in result.err, result
    finally:
        pg15.sql("postgres", f"alter database {shop} allow_connections true")


def test_a_table_filled_and_vacuumed_meanwhile_is_read_as_it_was(pg15, shop, drtool):
    """ctid ranges are those of the snapshot: rows added behind the last range and a vacuum between change nothing."""
    before = compare.snapshot(pg15, shop)
    with paused(drtool, pg15, shop) as backup:
        pg15.sql(shop, "insert into big select i, repeat('x', 300) from generate_series(3001, 9000) i; delete from big where id between 500 and 1500")
        pg15.sql(shop, "vacuum big")
        code, text = backup.done()
    assert code == 0, text
    same_as(pg15, shop, before, drtool)
