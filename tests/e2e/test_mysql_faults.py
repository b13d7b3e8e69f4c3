"""MariaDB and MySQL: servers that die, locks that others hold, tables that change, connections that break and stores that fail, in the middle of a
backup or a restore. It ends with a clear message, nothing half is called good, writers go on, and a restore can be resumed."""

import pathlib
import re
import threading
import time

import fault
import my
import my_shop
import pytest
from failpoints import failpoints

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")

ANY = pytest.mark.parametrize("version", my.VERSIONS)
EACH_PRODUCT = pytest.mark.parametrize("version", ["10.11", "9.7"])


@pytest.fixture(scope="module")
def shops(my_servers):
    """shops(VERSION): a database and a store with one good backup of it, of which each test takes a copy."""
    made = {}

    def get(version):
        if version not in made:
            made[version] = my_shop.Shop(my_servers(version), "faults")
        return made[version]

    yield get
    for shop in made.values():
        shop.drop(shop.db)


@pytest.fixture(scope="module")
def own_shops(my_servers):
    """own_shops(VERSION): the same on a server that may be killed, and whose snapshots need a lock: it has no binlog."""
    made = {}

    def get(version):
        if version not in made:
            try:
                server = my.Server(version, {"event_scheduler": "off", "log_bin": "off"})
            except my.Missing as reason:
                pytest.skip(str(reason))
            made[version] = my_shop.Shop(server.start(), "shop")
            server.sql("", "create user only_tables@localhost; grant select, lock tables, show view, trigger, event on *.* to only_tables@localhost;"
                           "create user reloads@localhost; grant select, reload, show view, trigger, event on *.* to reloads@localhost")
            if not server.mariadb:
                server.sql("", "grant show_routine on *.* to only_tables@localhost, reloads@localhost")
        return made[version]

    yield get
    for shop in made.values():
        shop.server.remove()


def no_backup(drtool, source="shop"):
    assert drtool.backups(source) == []
    assert fault.leftovers(drtool.store) == []


# --- servers that die ---

@ANY
def test_a_server_killed_in_the_dump_fails_the_backup_and_the_next_one_is_good(own_shops, version):
    shop = own_shops(version)
    drtool = shop.fresh()
    kept = drtool.backups("shop")
    process = drtool.start("backup", "shop", *fault.SMALL, fail="dump.unit.end:2:delay=700")
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup"), "the dump has begun")
    time.sleep(0.3)
    shop.server.kill()
    code, text = fault.end(process)
    assert code == 1 and str(shop.server.dir) in text, text
    fault.sound(drtool, "shop", kept)
    assert fault.leftovers(drtool.store) == []
    result = drtool.fails(1, "backup", "shop", timeout=30)
    assert shop.server.socket in result.err, result
    shop.server.start()
    drtool.ok("backup", "shop")
    assert len(drtool.backups("shop")) == 2


@ANY
def test_a_server_killed_in_the_restore_has_the_old_data_and_the_restore_goes_on(own_shops, version):
    shop = own_shops(version)
    drtool = shop.fresh()
    command = ["restore", "shop", "--in-place", "--yes"]
    process = drtool.start(*command, fail="load.unit.done:3:delay=700")
    fault.wait_until(lambda: fault.units_loaded(drtool) > 1, "rows are loaded")
    shop.server.kill()
    code, text = fault.end(process)
    assert code == 1, text
    run = fault.run_name(text)
    shop.server.start()
    shop.untouched()
    drtool.ok(*command, f"--resume={run}")
    shop.untouched()
    drtool.ok("exchange", run, "--drop", "--yes")
    assert my_shop.kin(shop.server, shop.db) == []


@ANY
@pytest.mark.parametrize("where", ["mysql.exchange.before", "mysql.exchange.moved"])
def test_a_server_that_dies_in_the_exchange_has_the_old_data_or_the_new(own_shops, version, where):
    shop = own_shops(version)
    drtool = shop.fresh()
    with shop.live(drtool, "dies") as live:
        old = my_shop.snapshot(shop.server, live)
        process = drtool.start("restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}", fail=f"{where}:1:delay=900")
        fault.wait_until(lambda: [name for name in my_shop.kin(shop.server, live) if "_before_" in name], "the exchange has begun")
        time.sleep(0.3)
        shop.server.kill()
        code, text = fault.end(process)
        assert code == 1, text
        run = fault.run_name(text)
        shop.server.start()
        drtool.ok("exchange", run, "--yes")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, live))
        drtool.ok("exchange", run, "--back", "--yes")
        my_shop.same(old, my_shop.snapshot(shop.server, live))


@EACH_PRODUCT
def test_a_damaged_table_ends_a_restore_before_anything_is_changed(shops, version):
    shop = shops(version)
    drtool = shop.fresh()
    fault.damage_first(drtool.archives("shop")[0], f"db/{shop.db}/data/orders/")
    result = drtool.fails(4, "restore", "shop", "--in-place", "--yes")
    assert "before anything was changed" in result.err, result
    shop.untouched()


# --- locks that others hold ---

HELD = {
    "a write lock": ["lock tables orders write"],
    "an ALTER TABLE that waits": ["begin; select count(*) from orders", "!alter table orders add column late int"],
}


def held(server, db, statements):
    """Sessions that hold what the statements take; `!` marks one that waits."""
    sessions = []
    for text in statements:
        sessions.append(server.session(db))
        if text.startswith("!"):
            sessions[-1].send(text[1:] + ";")
            server.wait_until("select count(*) > 0 from information_schema.processlist where state like 'Waiting for table%'")
        else:
            sessions[-1].run(text)
    return sessions


# On MariaDB one right, RELOAD, is for both of its locks: root has it.
@pytest.mark.parametrize("what", HELD)
@pytest.mark.parametrize("version,user", [(version, user) for version in ("10.11", "9.7") for user in ("root", "only_tables", "reloads", "with binlog")
                                          if (version, user) != ("10.11", "reloads")])
def test_a_table_that_others_keep_locked_ends_the_backup_with_its_name_and_writers_go_on(shops, own_shops, make_my_db, drtool, version, what, user):
    server = (shops if user == "with binlog" else own_shops)(version).server
    db = make_my_db(server, "create table big (id int primary key, t varchar(20)); create table orders (id int primary key); insert into orders values (1)")
    sessions = held(server, db, HELD[what])
    try:
        command = ("backup", server.url(db, user="root" if user == "with binlog" else user), "--name", "shop")
        started = time.monotonic()
        result = drtool.fails(1, *command, "--lock-timeout", "1s", timeout=40)
        assert time.monotonic() - started < 20
        assert "orders" in result.err and "lock_timeout" in result.err, result
        server.sql(db, "set lock_wait_timeout = 2; insert into big values (9000, 'meanwhile')")
    finally:
        for session in reversed(sessions):
            session.close()
    no_backup(drtool)
    drtool.ok(*command)


@EACH_PRODUCT
def test_a_write_transaction_that_stays_open_ends_the_backup_of_an_account_that_may_only_lock_tables(own_shops, drtool, version):
    server = own_shops(version).server
    with server.session("shop") as session:
        session.run("begin; update orders set total = 1 where id = 1")
        result = drtool.fails(1, "backup", server.url("shop", user="only_tables"), "--name", "shop", "--lock-timeout", "1s", timeout=40)
        session.run("rollback")
    assert "orders" in result.err and "lock_timeout" in result.err, result
    no_backup(drtool)


@EACH_PRODUCT
def test_a_global_read_lock_of_somebody_else_does_not_hold_a_backup_up(shops, own_shops, version):
    for shop in (shops(version), own_shops(version)):
        drtool = shop.fresh()
        with shop.server.session() as session:
            session.run("flush tables with read lock")
            drtool.ok("backup", "shop", "--lock-timeout", "5s")
        fault.sound(drtool, "shop", drtool.backups("shop"))


def test_a_backup_stage_of_somebody_else_ends_the_backup_after_lock_timeout(own_shops):
    shop = own_shops("10.11")
    drtool = shop.fresh()
    with shop.server.session() as session:
        session.run("backup stage start; backup stage block_commit")
        result = drtool.fails(1, "backup", "shop", "--lock-timeout", "1s", timeout=40)
    assert "BACKUP STAGE" in result.err and "lock_timeout" in result.err, result
    assert len(drtool.backups("shop")) == 1


@ANY
def test_a_lock_that_is_given_back_in_time_is_waited_for(shops, version):
    shop = shops(version)
    drtool = shop.fresh()
    with shop.server.session(shop.db) as session:
        session.run("lock tables orders write")
        process = drtool.start("backup", "shop", "--lock-timeout", "20s")
        shop.server.wait_until("select count(*) > 0 from information_schema.processlist where state like 'Waiting for table%'")
        session.run("unlock tables")
        code, text = fault.end(process)
    assert code == 0, text
    drtool.ok("check", "shop")


@ANY
def test_a_signal_ends_the_wait_for_a_lock_and_the_statement_with_it(shops, version):
    shop = shops(version)
    drtool = shop.fresh()
    waits = "select count(*) from information_schema.processlist where state like 'Waiting for table%'"
    with shop.server.session(shop.db) as session:
        session.run("lock tables orders write")
        process = drtool.start("backup", "shop")
        shop.server.wait_until(f"{waits} having count(*) > 0", "1")
        process.terminate()
        code, text = fault.end(process, 20)
        shop.server.wait_until(waits, "0")
    assert code == 143, text
    assert len(drtool.backups("shop")) == 1 and fault.leftovers(drtool.store) == []


# --- what the moment of a backup costs ---

def statements_of(server, act):
    """What the server was told while act() ran."""
    server.sql("", "set global log_output = 'TABLE', global general_log = on; truncate mysql.general_log")
    try:
        result = act()
    finally:
        server.sql("", "set global general_log = off, global log_output = 'FILE'")
    said = server.sql("", "select convert(argument using utf8mb4) from mysql.general_log where command_type in ('Query', 'Execute')")
    return result, [line for line in said.splitlines() if re.match(r"(?i)\s*(lock|flush|backup)\b", line)]


@ANY
def test_a_backup_with_the_binlog_on_sends_no_statement_that_locks(shops, version):
    shop = shops(version)
    drtool = shop.fresh()
    result, locking = statements_of(shop.server, lambda: drtool.ok("backup", "shop", *fault.SMALL))
    assert locking == []
    assert "writers did not wait" in result.err, result


@pytest.mark.parametrize("version, user, way", [("10.11", "root", "BACKUP STAGE"), ("11.8", "root", "BACKUP STAGE"), ("9.7", "root", "FLUSH TABLES WITH READ LOCK"),
                                                ("10.11", "only_tables", "LOCK TABLES"), ("11.8", "only_tables", "LOCK TABLES"), ("9.7", "only_tables", "LOCK TABLES")])
def test_a_backup_that_needs_a_lock_says_which_and_how_long_writers_waited(own_shops, drtool, version, user, way):
    server = own_shops(version).server
    result, locking = statements_of(server, lambda: drtool.ok("backup", server.url("shop", user=user), "--name", "shop"))
    assert any(line.upper().startswith(way) for line in locking), locking
    assert way in result.err and re.search(r"writers waited at most [0-9.]+ ms", result.err), result


@ANY
def test_tables_without_transactions_are_named_in_the_manifest(my_servers, make_my_db, drtool, version):
    server = my_servers(version)
    has = server.sql("", "select engine from information_schema.engines where support in ('YES', 'DEFAULT')").splitlines()
    engines = [name for name in ("MyISAM", "Aria", "MEMORY", "CSV", "ARCHIVE") if name in has]
    assert len(engines) > 3
    db = make_my_db(server, "create table inno (i int primary key); insert into inno values (1);" + "".join(
        f"create table t_{engine.lower()} (i int not null, t varchar(20) not null) engine = {engine}; insert into t_{engine.lower()} values (1, 'one'), (2, 'two');"
        for engine in engines))
    drtool.ok("backup", server.url(db), "--name", "shop")
    said = " ".join(drtool.manifest("shop")["not_contained"])
    for engine in engines:
        assert f"t_{engine.lower()}" in said and engine.lower() in said.lower(), (engine, said)
    assert "inno" not in said.replace("InnoDB", "")
    before = server.contents(db)
    drtool.ok("restore", "shop", "--into", server.url(f"{db}_copy"), "--compare")
    assert server.contents(f"{db}_copy") == before


# --- writers and migrations ---

ACCOUNTS = my_shop.DIGITS + """
    create table account (id int primary key, n bigint not null, pad char(200) default 'x');
    insert into account (id, n) select a.n * 100 + b.n * 10 + c.n, 100 from digits a, digits b, digits c;
    create table other like account; insert into other select * from account;
    create table moved (i int primary key, t varchar(20)); insert into moved values (1, 'x');
"""
STORM = ["alter table {t} add column extra int default 3", "alter table {t} drop column extra", "alter table {t} force", "alter table {t} add key (n)", "alter table {t} drop key n",
         "alter table {t} modify n bigint not null comment 'x'", "alter table {t} modify n bigint not null"]
STORM_OF_NAMES = ["create table made (i int primary key)", "drop table made", "rename table moved to gone", "rename table gone to moved", "truncate table moved",
                  "create or replace view seen as select 1 as n", "drop view seen"]
PAUSE = ["select sleep(2.5)"]  # or no snapshot is ever taken


WHOLE = (0, 3)  # a table that is gone, or empty, by what the storm does makes a backup suspect


def storm(server, db, stop, statements, pause=0.0):
    with server.session(db) as session:
        while not stop.is_set():
            for text in statements:
                session.run(text)
                time.sleep(pause)


@ANY
def test_backups_in_a_storm_of_writers_and_migrations_are_good_or_say_which_table_changed(my_servers, make_my_db, drtool, version):
    server = my_servers(version)
    db = make_my_db(server, ACCOUNTS)
    stop = threading.Event()
    move = ["set @a = floor(rand() * 1000), @b = floor(rand() * 1000); begin; update account set n = n - 7 where id = @a; "
            "update other set n = n + 7 where id = @b; commit"]
    storms = [threading.Thread(target=storm, args=(server, db, stop, *more)) for more in (
        (move,), ([s.format(t="account") for s in STORM] + PAUSE, 0.15), (STORM_OF_NAMES + PAUSE, 0.1))]
    for thread in storms:
        thread.start()
    codes = []
    try:
        for _ in range(6):
            result = drtool.run("backup", server.url(db), "--name", "shop", *fault.SMALL)
            codes.append(result.code)
            if result.code not in WHOLE:
                assert result.code == 1, result
                assert re.search(r"\b(account|moved|made|gone|seen)\b|tables are made, altered or dropped faster|something in the database was altered", result.err), result
                assert fault.leftovers(drtool.store) == []
    finally:
        stop.set()
        for thread in storms:
            thread.join()
    assert len(drtool.backups("shop")) == sum(code in WHOLE for code in codes)
    assert drtool.run("backup", server.url(db), "--name", "shop").code in WHOLE
    for number, backup in enumerate(drtool.backups("shop")):
        copy = f"{db}_copy{number}"
        drtool.ok("restore", "shop", "--backup", backup, "--into", server.url(copy), "--compare")
        assert server.sql(copy, "select (select sum(n) from account) + (select sum(n) from other)") == "200000"
        server.drop_db(copy)


# A snapshot of MariaDB that is taken while a table is rebuilt lacks the rows that change meanwhile, and no error says so.
@ANY
def test_no_backup_lacks_a_row_that_changes_while_its_table_is_rebuilt(my_servers, make_my_db, drtool, version):
    server = my_servers(version)
    db = make_my_db(server, ACCOUNTS + "create table many like account; insert into many (id, n) select a.id * 10 + d.n, 1 from account a, digits d")
    stop = threading.Event()
    storms = [threading.Thread(target=storm, args=(server, db, stop, *more)) for more in (
        (["update many set n = n + 1 where id = floor(rand() * 10000)"],), (["alter table many force"] * 8 + ["select sleep(1.5)"],))]
    for thread in storms:
        thread.start()
    try:
        codes = [drtool.run("backup", server.url(db), "--name", "shop").code for _ in range(8)]
    finally:
        stop.set()
        for thread in storms:
            thread.join()
    assert set(codes) <= {0, 1}
    assert drtool.run("backup", server.url(db), "--name", "shop").code == 0
    assert {drtool.manifest("shop", backup)["rows"] for backup in drtool.backups("shop")} == {10 + 1000 + 1000 + 1 + 10000}


@ANY
def test_an_added_column_that_gives_no_error_while_dumping_ends_the_backup(my_servers, make_my_db, drtool, version):
    server = my_servers(version)
    db = make_my_db(server, ACCOUNTS)
    process = drtool.start("backup", server.url(db), "--name", "shop", "--jobs", "1", fail="mysql.unit:1:delay=1200")
    fault.wait_until(lambda: fault.leftovers(drtool.store / "shop" / "backup"), "the dump has begun")
    time.sleep(0.3)
    server.sql(db, "alter table other add column late int default 7, algorithm = instant")
    code, text = fault.end(process)
    assert code == 1 and "table other was altered" in text, text
    no_backup(drtool)
    drtool.ok("backup", server.url(db), "--name", "shop")


# --- connections that break ---

def through(proxy, db, **query):
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return f"mysql://root:mysql@127.0.0.1:{proxy.port}/{db}?ssl-mode=disabled" + (f"&{text}" if text else "")


@EACH_PRODUCT
@pytest.mark.parametrize("what", ["cut", "close"])
@pytest.mark.parametrize("after", [200, 40_000, 300_000])
def test_a_connection_lost_in_a_backup_fails_it(shops, drtool, version, what, after):
    shop = shops(version)
    with fault.Proxy(shop.server.port, lambda number, seen, data: data if seen < after else what) as proxy:
        result = drtool.run("backup", through(proxy, shop.db), "--name", "shop", *fault.SMALL, timeout=60)
        assert proxy.hits, "no connection came so far"
    assert result.code == 1 and str(proxy.port) in result.err, result
    no_backup(drtool)


@EACH_PRODUCT
def test_a_stream_of_rows_that_lacks_a_byte_is_never_a_good_backup(shops, drtool, version):
    shop = shops(version)

    def lose_one(number, seen, data):
        return data[:-1] if number > 0 and seen > 60_000 and len(data) > 1000 else data

    with fault.Proxy(shop.server.port, lose_one) as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{through(proxy, shop.db)}\", max_duration: 3s}}}}\n")
        result = drtool.run("--config", "drtool.yaml", "backup", "shop", *fault.SMALL, timeout=60)
    assert result.code == 1, result
    no_backup(drtool)


@EACH_PRODUCT
@pytest.mark.parametrize("after", [0, 90, 200_000])
def test_a_server_that_stands_still_ends_the_backup_in_time(shops, drtool, version, after):
    shop = shops(version)
    with fault.Proxy(shop.server.port, lambda number, seen, data: data if seen < after else "stall") as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\n"
                      f"sources: {{shop: {{url: \"{through(proxy, shop.db)}\", max_duration: 2s, connect_timeout: 1s}}}}\n")
        started = time.monotonic()
        result = drtool.run("--config", "drtool.yaml", "backup", "shop", *fault.SMALL, timeout=60)
        assert time.monotonic() - started < 30
        assert proxy.hits
    assert result.code == 1 and ("did not answer" in result.err or "time limit" in result.err), result
    no_backup(drtool)


@EACH_PRODUCT
@pytest.mark.parametrize("what", ["cut", "stall"])
def test_a_connection_lost_in_a_restore_can_be_resumed(shops, version, what):
    shop = shops(version)
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
    my_shop.same(shop.before, my_shop.snapshot(shop.server, copy))
    shop.server.drop_db(copy)


@EACH_PRODUCT
def test_too_many_connections_are_said_with_a_way_on(shops, drtool, version):
    shop = shops(version)
    most = shop.server.sql("", "select @@max_connections; set global max_connections = 10").strip()
    sessions = [shop.server.session() for _ in range(9)]
    try:
        for session in sessions:
            session.run("select 1")
        result = drtool.fails(1, "backup", shop.server.url(shop.db), "--name", "shop", "--jobs", "8", timeout=30)
    finally:
        for session in sessions:
            session.close()
        fault.wait_until(lambda: raised(shop.server, most), "a connection is free")
    assert "oo many connections" in result.err and "max_connections" in result.err and "--jobs" in result.err, result
    no_backup(drtool)


def raised(server, most):
    try:
        server.sql("", f"set global max_connections = {most}")
        return True
    except RuntimeError:
        return False


# --- stores that die in the restore ---

@pytest.mark.parametrize("version, rule", [("10.11", "get[.tar.gz]:9:EIO"), ("9.7", "get[.tar.gz]:12:flip"), ("11.8", "get[.tar.gz]:12:short"), ("9.7", "get[.tar.gz]:8:unreachable"),
                                           ("10.11", "get[.tar.gz]:12:flip")])
def test_a_store_that_fails_in_the_middle_of_a_restore_leaves_the_old_data_and_the_restore_goes_on(shops, version, rule):
    shop = shops(version)
    drtool = shop.fresh()
    with shop.live(drtool, "store") as live:
        old = my_shop.snapshot(shop.server, live)
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}", "--jobs", "1"]
        result = drtool.run(*command, env={"DRTOOL_STORE_FAULT": rule})
        assert result.code in (1, 4) and "--resume" in result.text, result
        my_shop.same(old, my_shop.snapshot(shop.server, live))
        drtool.ok(*command, f"--resume={fault.run_name(result.text)}")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, live))


def truncated(path):
    fault.write(path, path.read_bytes()[:path.stat().st_size // 3])


def corrupted(path):
    data = bytearray(path.read_bytes())
    for at in range(1000, len(data) * 3 // 4, 997):
        data[at] ^= 0x55
    fault.write(path, bytes(data))


@pytest.mark.parametrize("version, spoil", [("10.11", truncated), ("9.7", pathlib.Path.unlink), ("11.8", corrupted), ("9.7", corrupted)])
def test_an_archive_that_goes_while_it_is_read_ends_the_restore_and_the_old_data_stays(shops, version, spoil):
    shop = shops(version)
    drtool = shop.fresh()
    with shop.live(drtool, "gone") as live:
        old = my_shop.snapshot(shop.server, live)
        (archive,) = drtool.archives("shop")
        good = archive.read_bytes()
        command = ["restore", "shop", "--in-place", "--yes", "--rename", f"{shop.db}={live}", "--jobs", "1"]
        process = drtool.start(*command, fail="restore.begun:1:delay=600")
        fault.wait_until(lambda: my_shop.kin(shop.server, live) or process.poll() is not None, "the restore has begun")
        time.sleep(0.3)
        spoil(archive)
        code, text = fault.end(process)
        assert code in (1, 4), text
        my_shop.same(old, my_shop.snapshot(shop.server, live))
        (copy,) = my_shop.kin(shop.server, live)
        assert copy[-6:] in text
        archive.parent.joinpath(archive.name).unlink(missing_ok=True)
        archive.write_bytes(good)
        drtool.ok(*command, f"--resume={copy[-6:]}")
        my_shop.same(shop.before, my_shop.snapshot(shop.server, live))
