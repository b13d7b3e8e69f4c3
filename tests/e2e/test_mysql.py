"""MariaDB and MySQL: what was there comes back, by drtool and by stock tools, and nothing is called good that is not."""

import pathlib
import re
import signal
import subprocess
import threading
import time

import fault
import pytest
from test_stock_tools import unpack

SQL = pathlib.Path(__file__).parent / "sql"


def everything(server, name):
    """A database with one of everything."""
    server.create_db(name, "character set utf8mb4")
    for part in ("mysql", "mariadb") if server.mariadb else ("mysql",):
        server.sql(name, (SQL / f"{part}.sql").read_text())
    return name


def snapshot(server, db):
    return {"contents": server.contents(db), "schema": server.dump(db, "--no-data").replace(f"`{db}`", "`db`")}


@pytest.fixture
def all_of_it(my_any, make_my_db):
    return make_my_db(my_any, fill=everything)


def backup(drtool, server, db, *more):
    drtool.ok("backup", server.url(db), "--name", "shop", "--history", *more)


def commands_of(text):
    """The indented lines of RESTORE.txt after tar, without the accounts, which are there."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("  ")]
    start = next(i for i, line in enumerate(lines) if line.startswith("tar ")) + 1
    return [line for line in lines[start:] if "users.sql" not in line]


def run_of(result):
    return re.search(r"_restore_([0-9a-f]{6})", result.text)[1]


def test_one_of_everything_comes_back_as_it_was(my_any, all_of_it, drtool):
    before = snapshot(my_any, all_of_it)
    backup(drtool, my_any, all_of_it, "--chunk-size", "16KiB")
    my_any.drop_db(all_of_it)
    drtool.ok("restore", "shop", "--into", my_any.url(), "--compare")
    assert snapshot(my_any, all_of_it) == before
    assert my_any.databases() == [all_of_it]


def test_verify_proves_one_of_everything(all_of_it, my_any, drtool):
    backup(drtool, my_any, all_of_it)
    drtool.ok("verify", "shop")
    assert drtool.ok("list", "--json").json[0]["backups"][0]["proof"] == "compared"
    drtool.ok("check", "shop")


def test_a_database_that_is_there_is_restored_beside_put_in_place_and_back(my_any, all_of_it, drtool):
    before = snapshot(my_any, all_of_it)
    backup(drtool, my_any, all_of_it)
    my_any.sql(all_of_it, "update child set note = 'spoilt'; drop view a_view_on_a_view")
    spoilt = snapshot(my_any, all_of_it)
    result = drtool.ok("restore", "shop", "--into", my_any.url())
    run = run_of(result)
    assert snapshot(my_any, all_of_it) == spoilt
    assert snapshot(my_any, f"{all_of_it}_restore_{run}")["contents"] == before["contents"]
    drtool.ok("exchange", run, "--yes", "--into", my_any.url())
    assert snapshot(my_any, all_of_it) == before
    drtool.ok("exchange", run, "--back", "--yes", "--into", my_any.url())
    assert snapshot(my_any, all_of_it) == spoilt
    drtool.ok("exchange", run, "--yes", "--into", my_any.url())
    drtool.ok("exchange", run, "--drop", "--yes", "--into", my_any.url())
    assert snapshot(my_any, all_of_it) == before
    assert my_any.databases() == [all_of_it]


def test_restore_in_place_exchanges_after_comparing(my_any, all_of_it, drtool):
    before = snapshot(my_any, all_of_it)
    backup(drtool, my_any, all_of_it)
    my_any.sql(all_of_it, "delete from no_key")
    drtool.ok("restore", "shop", "--into", my_any.url(), "--in-place", "--yes")
    assert snapshot(my_any, all_of_it) == before
    assert len(my_any.databases()) == 2


def test_the_commands_of_restore_txt_alone_rebuild_one_of_everything(my_any, all_of_it, drtool):
    before = snapshot(my_any, all_of_it)
    backup(drtool, my_any, all_of_it, "--chunk-size", "16KiB")
    folder = unpack(drtool, "shop")
    my_any.drop_db(all_of_it)
    (folder / ".my.cnf").write_text(f"[client]\nsocket={my_any.socket}\nuser=root\n")
    text = (folder / "RESTORE.txt").read_text()
    env = {**my_any.env(), "HOME": str(folder)}
    allowed = my_any.sql("", "select @@global.local_infile; set global local_infile = 1")
    try:
        done = subprocess.run(["bash", "-e", "-x", "-c", "\n".join(commands_of(text))], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    finally:
        my_any.sql("", f"set global local_infile = {allowed}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert snapshot(my_any, all_of_it) == before


def test_one_table_comes_back_alone(my_any, all_of_it, drtool):
    backup(drtool, my_any, all_of_it)
    before = my_any.contents(all_of_it)
    my_any.sql(all_of_it, "set foreign_key_checks = 0; drop table child")
    drtool.ok("restore", "shop", "--into", my_any.url(), "--table", f"{all_of_it}.child")
    assert my_any.contents(all_of_it) == before
    my_any.sql(all_of_it, "delete from no_key")
    drtool.fails(7, "restore", "shop", "--into", my_any.url(), "--table", "no_key")
    drtool.ok("restore", "shop", "--into", my_any.url(), "--table", "no_key", "--data-only")
    assert my_any.contents(all_of_it) == before
    drtool.ok("restore", "shop", "--into", my_any.url(), "--table", "no_key", "--rename", "no_key=another")
    assert my_any.contents(all_of_it)["another"] == before["no_key"]


ACCOUNTS = """create table account (id int primary key, n bigint not null, pad char(200) default 'x');
    insert into account (id, n) select a.n * 1000 + b.n * 100 + c.n * 10 + d.n, 100 from digits a, digits b, digits c, digits d"""
DIGITS = "create table digits (n int primary key); insert into digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);"


def test_a_backup_under_writers_holds_one_moment(my_any, make_my_db, drtool):
    db = make_my_db(my_any, DIGITS + ACCOUNTS + "; create table other like account; insert into other select * from account")
    stop = threading.Event()

    def write():
        with my_any.session(db) as session:
            while not stop.is_set():
                session.run("set @a = floor(rand() * 10000), @b = floor(rand() * 10000); begin; update account set n = n - 7 where id = @a; "
                            "update other set n = n + 7 where id = @b; commit")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            backup(drtool, my_any, db, "--chunk-size", "16KiB", "--split-above", "64KiB", "--jobs", "2")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for number, backup_id in enumerate(drtool.backups("shop")):
        copy = f"{db}_copy{number}"
        drtool.ok("restore", "shop", "--backup", backup_id, "--into", my_any.url(copy))
        total = my_any.sql(copy, "select (select sum(n) from account) + (select sum(n) from other)")
        my_any.drop_db(copy)
        assert total == "2000000"


@pytest.mark.parametrize("ddl", ["alter table account add column extra int", "truncate table account", "drop table account",
                                 "alter table account force", "rename table account to renamed"])
def test_ddl_while_dumping_ends_the_backup_and_is_named(my10, make_my_db, drtool, ddl):
    db = make_my_db(my10, DIGITS + ACCOUNTS)
    process = drtool.start("backup", my10.url(db), "--name", "shop", "--chunk-size", "16KiB", "--jobs", "1", fail="backup.scope.begun:1:delay=2500")
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup"), "the snapshot is taken")
    time.sleep(0.3)
    my10.sql(db, ddl)
    code, text = fault.end(process)
    assert code == 1 and "account" in text, text
    assert drtool.backups("shop") == []


@pytest.mark.parametrize("where", ["restore.begun:1", "load.unit.done:3", "restore.finish.before:1", "mysql.load.end.before:1"])
def test_a_restore_that_was_killed_is_resumed(my10, make_my_db, drtool, where):
    db = make_my_db(my10, fill=everything)
    before = snapshot(my10, db)
    backup(drtool, my10, db)
    my10.drop_db(db)
    command = ("restore", "shop", "--into", my10.url())
    result = drtool.run(*command, fail=f"{where}:kill")
    assert result.code == -signal.SIGKILL, result
    drtool.ok(*command, "--resume")
    assert snapshot(my10, db) == before
    assert my10.databases() == [db]


def test_a_user_who_sees_less_is_refused_with_the_grant(my_any, all_of_it, drtool):
    my_any.sql("", f"create user weak@localhost identified by 'weak'; grant select on `{all_of_it}`.* to weak@localhost")
    try:
        result = drtool.run("backup", my_any.url(all_of_it, user="weak", password="weak"), "--name", "shop")
        assert result.code == 1 and "GRANT" in result.text, result
        assert drtool.backups("shop") == []
    finally:
        my_any.sql("", "drop user weak@localhost")


def test_several_databases_and_accounts_come_back_on_an_empty_server(make_my_server, drtool):
    source, target = make_my_server("10.11"), make_my_server("10.11", fresh=True)
    for name in ("one", "two", "test_left"):
        source.create_db(name)
        source.sql(name, f"create table t (i int primary key); insert into t values (1), (2); create view v as select '{name}' as name")
    source.sql("", "create role readers; grant select on one.* to readers; create user ann@'%' identified by 'secret'; grant readers to ann@'%'")
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{all: {{url: \"{source.url()}\", databases: [\"*\"], exclude: [\"test_*\"]}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "all")
    plan = drtool.ok("restore", "all", "--into", target.url(), "--users", "all", "--dry-run")
    confirm = re.search(r"--confirm '([^']+)'", plan.out)[1]
    drtool.ok("restore", "all", "--into", target.url(), "--users", "all", "--confirm", confirm)
    assert target.databases() == ["one", "two"]
    assert target.sql("two", "select name from v") == "two"
    assert target.sql("", "set role none; select count(*) from one.t", user="root") == "2"
    assert "readers" in target.sql("", "show grants for ann@'%'")
    drtool.ok("verify", "all")
