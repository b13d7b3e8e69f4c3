"""Replication of MariaDB and MySQL: backups of a replica, and restores into a server that has some."""

import contextlib
import re
import signal
import threading
import time

import my
import pytest
from test_mysql import everything


MARIADB = [version for version in my.VERSIONS if not version.startswith("9.")]


class Pair:
    """A server and its replica, shared by the tests of a version."""

    def __init__(self, version):
        self.source = my.Server(version, {"event_scheduler": "off"}).start()
        parallel = {"slave_parallel_threads": 4} if self.source.mariadb else {}
        self.replica = self.source.make_replica({"event_scheduler": "off", **parallel})

    def sync(self):
        self.source.wait_for_replica(self.replica)

    def status(self):
        return self.replica.sql("", f"show {'all slaves' if self.source.mariadb else 'replica'} status")

    def wait_for_count(self):
        """Until the replica also says that it has applied all. MySQL counts a little later."""
        position = self.source.sql("", f"show {'master' if self.source.mariadb else 'binary log'} status").split("|")[1]
        deadline = time.monotonic() + 30
        while self.status().count(f"|{position}|") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def let_a_change_wait(self, db):
        """The replica has received a change that it will apply in an hour."""
        self.replica.replication("delay 3600")
        self.source.sql(db, "insert into a (t) values ('late')")
        deadline = time.monotonic() + 30
        while "Waiting until" not in self.status():
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture(scope="module", params=my.VERSIONS, ids=lambda version: f"my{version}")
def pair(request, my_servers):
    try:
        made = Pair(request.param)
    except my.Missing as reason:
        pytest.skip(str(reason))
    yield made
    made.source.remove()


@pytest.fixture
def shop(pair, make_my_db):
    """A database that both have, with two tables of ten rows."""
    name = make_my_db(pair.source, "create table a (n int auto_increment primary key, t varchar(20)); create table b like a;"
                                   "insert into a (t) values ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('10');"
                                   "insert into b select * from a; create view v as select t from a; create trigger tr before insert on b"
                                   " for each row set new.t = concat('<', new.t, '>')")
    pair.sync()
    yield name


@pytest.fixture
def backup(drtool):
    """backup(SERVER, DATABASE, **SETTINGS): of the source `shop` with these settings, as drtool.run."""
    def run(server, db, user="root", password=None, **settings):
        lines = "".join(f", {key}: {value}" for key, value in settings.items())
        config = drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                               f"sources: {{shop: {{url: \"{server.url(db, user=user, password=password)}\"{lines}}}}}\n")
        return drtool.run("--config", config, "backup", "shop")

    return run


def position_of(server):
    """File, position, GTIDs of its own binlog."""
    if server.mariadb:
        return (*server.sql("", "show master status").split("|")[:2], server.sql("", "select @@gtid_binlog_pos"))
    return (*server.sql("", "show binary log status").split("|")[:2], server.sql("", "select replace(@@gtid_executed, '\\n', '')"))


def last_number(gtid):
    return int(gtid.replace("-", ":").rpartition(":")[2])


# --- a replica is the source ---

def test_the_manifest_of_a_replica_says_where_its_source_was_at_that_moment(pair, shop, backup, drtool):
    pair.wait_for_count()
    result = backup(pair.replica, shop)
    assert result.code == 0, result
    manifest = drtool.manifest("shop")
    file, position, gtid = position_of(pair.source)
    assert manifest["server_role"] == "replica"
    replication = manifest["replication"]
    assert gtid in replication["gtid"] and replication["gtid_read"] == "snapshot"
    assert replication["sources"] == [
        {"name": "", "host": "127.0.0.1", "port": pair.source.port, "file": file, "position": int(position), "read": "snapshot"}]


@contextlib.contextmanager
def writers(server, db):
    """Two who give one row after another, each in a transaction of its own, to both tables in turn."""
    stop = threading.Event()

    def write():
        with server.session(db) as session:
            while not stop.is_set():
                session.run("insert into a (t) values ('x'); insert into b (t) values ('x')")

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def check_gtids_are_those_of_the_rows(source, replica, db, backup, drtool):
    began = last_number(position_of(source)[2])
    with writers(source, db):
        replica.wait_until(f"select count(*) > 30 from {my.quote(db)}.a")
        results = [backup(replica, db) for _ in range(3)]
    assert [result.code for result in results] == [0] * 3, results
    for backup_id in drtool.backups("shop"):
        manifest = drtool.manifest("shop", backup_id)
        replication = manifest["replication"]
        assert replication["gtid_read"] == "snapshot"
        assert manifest["rows"] - 20 == last_number(replication["gtid"].partition(",")[0]) - began
        assert replication["sources"][0]["position"] > 0
    assert len({drtool.manifest("shop", backup_id)["rows"] for backup_id in drtool.backups("shop")}) > 1
    return results[0].text


def test_the_gtids_in_the_manifest_are_exactly_those_of_the_rows_while_changes_are_applied(pair, shop, backup, drtool):
    text = check_gtids_are_those_of_the_rows(pair.source, pair.replica, shop, backup, drtool)
    assert not pair.source.mariadb or "no lock, writers did not wait" in text
    pair.sync()


def test_the_gtids_are_exact_where_the_replica_has_no_binlog_and_is_locked_for_the_moment(pair, shop, backup, drtool):
    parallel = {"slave_parallel_threads": 4} if pair.source.mariadb else {}
    bare = pair.source.make_replica({"log_bin": "off", **parallel})
    pair.source.wait_for_replica(bare)
    text = check_gtids_are_those_of_the_rows(pair.source, bare, shop, backup, drtool)
    assert "writers waited at most" in text, text
    assert "bin." not in drtool.manifest("shop")["scopes"][0].get("position", "")
    bare.remove()
    pair.source.replicas.remove(bare)
    pair.sync()


@pytest.mark.parametrize("pair", MARIADB, indirect=True, ids=lambda version: f"my{version}")
def test_a_replica_that_orders_nothing_needs_the_right_to_lock_and_the_check_says_so(pair, shop, drtool):
    by_position = "stop slave; change master to master_use_gtid={}; start slave"
    pair.source.sql("", "create user backup@localhost identified by 'b'; grant select, show view, trigger, event, slave monitor, binlog monitor,"
                        " binlog admin on *.* to backup@localhost")
    pair.sync()
    url = pair.replica.url(shop, user="backup", password="b")
    config = drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{url}\"}}}}\n")
    check = ("--config", config, "config", "check", "--connect")
    try:
        drtool.ok(*check)
        drtool.ok("--config", config, "backup", "shop")
        pair.replica.sql("", by_position.format("no"))
        result = drtool.run(*check)
        assert result.code == 3 and re.search(r"MISSING RIGHT: GRANT RELOAD ON \*\.\* TO", result.text), result
        drtool.fails(1, "--config", config, "backup", "shop")
        pair.source.sql("", "grant reload on *.* to backup@localhost")
        pair.sync()
        drtool.ok(*check)
        drtool.ok("--config", config, "backup", "shop")
    finally:
        pair.replica.sql("", by_position.format("slave_pos"))
        pair.source.sql("", "drop user backup@localhost")
        pair.sync()


@pytest.mark.parametrize("thread, word", [("sql_thread", "applies"), ("io_thread", "receives")])
def test_a_replica_whose_replication_stands_still_gives_no_backup(pair, shop, backup, drtool, thread, word):
    pair.replica.replication(f"stop {thread}")
    try:
        result = backup(pair.replica, shop)
        assert result.code == 1 and f"the thread that {word} the changes" in result.text, result
        result = drtool.run("--config", drtool.dir / "drtool.yaml", "config", "check", "--connect")
        assert result.code != 0 and f"the thread that {word} the changes" in result.text, result
    finally:
        pair.replica.replication("start")
    assert drtool.backups("shop") == []


def test_changes_that_were_received_and_not_applied_are_not_taken_for_all_where_no_more_come(pair, shop, backup, drtool):
    try:
        pair.let_a_change_wait(shop)
        pair.replica.replication("stop io_thread")
        result = backup(pair.replica, shop, max_lag="1h")
        assert result.code == 1 and "receives" in result.text, result
    finally:
        pair.replica.replication("delay 0")
    assert drtool.backups("shop") == []


def test_a_replica_further_behind_than_max_lag_gives_no_backup(pair, shop, backup, drtool):
    try:
        pair.let_a_change_wait(shop)
        time.sleep(2.5)
        result = backup(pair.replica, shop, max_lag="1s")
        assert result.code == 1 and "more than max_lag allows" in result.text, result
        assert drtool.backups("shop") == []
        result = backup(pair.replica, shop, max_lag="1h")
        assert result.code == 0, result
    finally:
        pair.replica.replication("delay 0")
    manifest = drtool.manifest("shop")
    assert manifest["data_time"] < manifest["started"]
    assert manifest["rows"] == 20
    assert manifest["replication"]["sources"][0]["read"] == "before"


def test_an_account_that_may_not_see_replication_does_not_take_a_replica_for_a_primary(pair, shop, backup, drtool):
    pair.source.sql("", f"create user weak@localhost identified by 'weak'; grant select, show view, trigger, event on `{shop}`.* to weak@localhost")
    pair.source.sql("", f"grant {'select on mysql.*' if pair.source.mariadb else 'show_routine, reload on *.*'} to weak@localhost")
    pair.sync()
    weak = {"user": "weak", "password": "weak"}
    try:
        result = backup(pair.replica, shop, **weak)
        if pair.source.mariadb:
            assert result.code == 1 and "GRANT SLAVE MONITOR" in result.text, result
            return
        assert result.code == 0 and "it is not known whether the server is a replica" in result.text, result
        assert drtool.manifest("shop")["server_role"] == "unknown"
        result = backup(pair.replica, shop, max_lag="1h", **weak)
        assert result.code == 1 and "GRANT REPLICATION CLIENT" in result.text, result
        pair.source.sql("", "grant select on performance_schema.* to weak@localhost")
        pair.sync()
        result = backup(pair.replica, shop, **weak)
        assert result.code == 1 and "the server is a replica, and this account may not see how far it is behind" in result.text, result
    finally:
        pair.source.sql("", "drop user weak@localhost")
        pair.sync()


def test_of_several_sources_each_is_in_the_manifest_and_one_that_stands_still_is_named(pair, shop, backup, drtool, make_my_server):
    options = {"server_id": 50, **({"gtid_domain_id": 5} if pair.source.mariadb else {})}
    other = make_my_server(pair.source.version, options)
    thing = "slave" if pair.source.mariadb else "replica"
    which = "'other'" if pair.source.mariadb else "for channel 'other'"
    if not pair.source.mariadb:
        pair.replica.replication("stop")
    other.lead(pair.replica, "other")
    pair.replica.replication("start")
    try:
        other.wait_for_replica(pair.replica)
        result = backup(pair.replica, shop)
        assert result.code == 0, result
        replication = drtool.manifest("shop")["replication"]
        assert [(s["name"], s["port"]) for s in replication["sources"]] == [("", pair.source.port), ("other", other.port)]
        assert all(position_of(server)[2] in replication["gtid"] for server in (pair.source, other))
        pair.replica.sql("", f"stop {thing} sql_thread {which}" if not pair.source.mariadb else f"stop slave {which} sql_thread")
        result = backup(pair.replica, shop)
        assert result.code == 1 and "of other does not run" in result.text, result
    finally:
        pair.replica.sql("", f"stop {thing} {which}; reset {thing} {which if pair.source.mariadb else 'all ' + which}"
                             f"{' all' if pair.source.mariadb else ''}")


# --- a server with replicas, or a replica, is the target ---

@pytest.fixture
def spoilt(pair, shop, drtool):
    """The database, changed on both since its backup: its name, what it held then, what it holds now."""
    drtool.ok("backup", pair.source.url(shop), "--name", "shop")
    then = pair.source.contents(shop)
    pair.source.sql(shop, "update a set t = 'spoilt'; delete from b where n > 3")
    pair.sync()
    return shop, then, pair.source.contents(shop)


def run_of(result):
    return re.search(r"drtool exchange ([0-9a-f]{6})", result.text)[1]


def still_replicates(pair):
    pair.source.sql("", "create database later; drop database later")
    pair.sync()
    return True


def test_a_replica_is_no_target(pair, spoilt, drtool):
    result = drtool.fails(7, "restore", "shop", "--into", pair.replica.url(), "--replicas", "follow")
    assert "is a replica" in result.text
    assert pair.replica.contents(spoilt[0]) == spoilt[2]


def test_a_server_with_replicas_is_refused_until_it_is_said_what_becomes_of_them(pair, spoilt, drtool):
    before = position_of(pair.source)
    for way in ((), ("--in-place", "--yes"), ("--table", "a", "--rename", "a=other")):
        result = drtool.fails(7, "restore", "shop", "--into", pair.source.url(), *way)
        assert "--replicas follow" in result.text and "--replicas rebuild" in result.text, result
    assert position_of(pair.source) == before
    assert not [name for name in pair.source.databases() if name.startswith(f"{spoilt[0]}_")]


def test_an_account_that_may_not_name_the_replicas_is_refused_too_or_told_that_it_sees_none(pair, shop, drtool):
    db = shop
    drtool.ok("backup", pair.source.url(db), "--name", "shop")
    pair.source.sql("", f"create user weak@localhost identified by 'weak'; grant all on `{db}`.* to weak@localhost;"
                        f" grant all on `{db}\\_%`.* to weak@localhost; grant set user, select on *.* to weak@localhost"
                        if pair.source.mariadb else
                        f"create user weak@localhost identified by 'weak'; grant all on `{db}`.* to weak@localhost;"
                        f" grant all on `{db}\\_%`.* to weak@localhost; grant set_any_definer, system_user on *.* to weak@localhost")
    trust = pair.source.sql("", "select @@global.log_bin_trust_function_creators; set global log_bin_trust_function_creators = 1")
    command = ("restore", "shop", "--dry-run", "--into", pair.source.url(user="weak", password="weak"))
    try:
        if not pair.source.mariadb:
            result = drtool.ok(*command)
            assert "may not see whether replicas follow this server" in result.text, result
            pair.source.sql("", "grant select on performance_schema.* to weak@localhost")
        result = drtool.fails(7, *command)
        assert "1 of them" in result.text and "--replicas follow" in result.text, result
    finally:
        pair.source.sql("", f"drop user weak@localhost; set global log_bin_trust_function_creators = {trust}")
        pair.sync()


def test_with_follow_the_replica_gets_the_restore_and_each_exchange(pair, spoilt, drtool):
    db, then, now = spoilt
    into = ("--into", pair.source.url())
    run = run_of(drtool.ok("restore", "shop", *into, "--replicas", "follow"))
    pair.sync()
    assert pair.replica.contents(f"{db}_restore_{run}") == then
    result = drtool.fails(7, "exchange", run, "--yes", *into)
    assert "--replicas follow" in result.text
    assert pair.source.contents(db) == now
    drtool.ok("exchange", run, "--yes", *into, "--replicas", "follow")
    pair.sync()
    assert pair.source.contents(db) == pair.replica.contents(db) == then
    assert pair.source.dump(db, "--no-data") == pair.replica.dump(db, "--no-data")
    drtool.ok("exchange", run, "--back", "--yes", "--replicas", "follow")
    pair.sync()
    assert pair.source.contents(db) == pair.replica.contents(db) == now
    drtool.ok("exchange", run, "--yes", "--replicas", "follow")
    drtool.ok("exchange", run, "--drop", "--yes")
    pair.sync()
    assert pair.replica.contents(db) == then
    assert pair.replica.databases() == pair.source.databases()


def test_an_exchange_is_never_done_on_a_replica_that_has_the_copy_too(pair, spoilt, drtool):
    db, then, now = spoilt
    run = run_of(drtool.ok("restore", "shop", "--into", pair.source.url(), "--replicas", "follow"))
    pair.sync()
    for action in (["--drop"], ["--back"], []):
        result = drtool.fails(7, "exchange", run, *action, "--yes", "--into", pair.replica.url(), "--replicas", "rebuild")
        assert "is a replica" in result.text, result
    config = drtool.config(f"sources: {{first: {{url: \"{pair.replica.url()}\"}}, second: {{url: \"{pair.source.url()}\", replicas: follow}}}}\n")
    drtool.ok("--config", config, "exchange", run, "--yes")
    pair.sync()
    assert pair.source.contents(db) == pair.replica.contents(db) == then


def test_with_follow_one_of_everything_reaches_the_replica(pair, make_my_db, drtool):
    db = make_my_db(pair.source, fill=everything)
    pair.sync()
    assert pair.replica.contents(db) == pair.source.contents(db)
    drtool.ok("backup", pair.source.url(db), "--name", "shop", "--history")
    then = pair.source.contents(db)
    pair.source.sql(db, "delete from no_key")
    drtool.ok("restore", "shop", "--into", pair.source.url(), "--in-place", "--yes", "--replicas", "follow")
    pair.sync()
    assert pair.source.contents(db) == then
    assert pair.replica.contents(db) == then
    if pair.source.mariadb:
        history = "select t, row_start, row_end from versions for system_time all order by row_end, row_start"
        assert pair.replica.sql(db, history) == pair.source.sql(db, history)


def test_a_restore_that_ended_on_the_way_is_resumed_the_way_it_began(pair, spoilt, drtool):
    db, then, now = spoilt
    command = ("restore", "shop", "--into", pair.source.url(), "--replicas")
    drtool.fails(-signal.SIGKILL, *command, "follow", fail="load.unit.done:1:kill")
    drtool.fails(7, *command, "refuse", "--resume")
    run = run_of(drtool.ok(*command, "follow", "--resume"))
    pair.sync()
    assert pair.source.contents(f"{db}_restore_{run}") == pair.replica.contents(f"{db}_restore_{run}") == then
    drtool.fails(-signal.SIGKILL, *command, "rebuild", fail="load.unit.done:1:kill")
    result = drtool.fails(7, *command, "follow", "--resume")
    assert "replicas do not have it" in result.text, result
    run = run_of(drtool.ok(*command, "rebuild", "--resume"))
    assert pair.source.contents(f"{db}_restore_{run}") == then
    assert still_replicates(pair)
    assert f"{db}_restore_{run}" not in pair.replica.databases()


@pytest.mark.parametrize("way", ["follow", "rebuild"])
def test_a_restore_in_place_that_ended_before_the_exchange_goes_on_the_way_it_began(pair, spoilt, drtool, way):
    db, then, now = spoilt
    command = ("restore", "shop", "--into", pair.source.url(), "--in-place", "--yes")
    drtool.fails(-signal.SIGKILL, *command, "--replicas", way, fail="restore.exchange.before:1:kill")
    result = drtool.fails(7, *command, "--resume")
    assert f"--replicas {way}" in result.text, result
    if way == "rebuild":
        drtool.fails(7, *command, "--resume", "--replicas", "follow")
    drtool.ok(*command, "--resume", "--replicas", way)
    assert still_replicates(pair)
    assert pair.source.contents(db) == then
    assert pair.replica.contents(db) == (then if way == "follow" else now)


def test_the_copy_of_a_verify_does_not_reach_the_replicas_of_its_scratch_server(pair, spoilt, drtool):
    config = drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                           f"sources: {{shop: {{url: \"{pair.source.url(spoilt[0])}\", scratch: \"{pair.source.url()}\"}}}}\n")
    file, position, _ = position_of(pair.source)
    drtool.ok("--config", config, "verify", "shop")
    events = pair.source.sql("", f"show binlog events in '{file}' from {position}")
    assert "drtool_verify" in events and not re.search("create database", events, re.I), events
    assert still_replicates(pair)
    assert pair.source.databases() == pair.replica.databases()


def test_with_rebuild_the_replica_is_left_as_it_is_and_goes_on(pair, spoilt, drtool):
    db, then, now = spoilt
    before = position_of(pair.source)
    result = drtool.ok("restore", "shop", "--into", pair.source.url(), "--in-place", "--yes", "--replicas", "rebuild")
    assert "build them anew" in result.text and "needs a new backup" in result.text, result
    assert position_of(pair.source) == before
    assert pair.source.contents(db) == then
    assert still_replicates(pair)
    assert pair.replica.contents(db) == now
    result = drtool.fails(7, "exchange", run_of(result), "--back", "--yes", "--replicas", "follow")
    assert "not in the binlog" in result.text


def test_a_copy_that_replicas_do_not_have_is_not_exchanged_on_them(pair, spoilt, drtool):
    db, then, now = spoilt
    run = run_of(drtool.ok("restore", "shop", "--into", pair.source.url(), "--replicas", "rebuild"))
    result = drtool.fails(7, "exchange", run, "--yes", "--replicas", "follow")
    assert "replicas do not have it" in result.text and "--replicas rebuild" in result.text, result
    result = drtool.fails(7, "exchange", run, "--yes", "--replicas", "follow", "--into", pair.source.url(), "--state-dir", drtool.dir / "another")
    assert "not known on this machine" in result.text, result
    assert pair.source.contents(db) == now
    drtool.ok("exchange", run, "--yes", "--replicas", "rebuild")
    assert pair.source.contents(db) == then
    assert still_replicates(pair)
    assert pair.replica.contents(db) == now


def test_a_table_goes_to_the_replicas_or_not_as_it_was_said(pair, spoilt, drtool):
    db, then, now = spoilt
    command = ("restore", "shop", "--into", pair.source.url(), "--table", "a", "--rename")
    drtool.ok(*command, "a=followed", "--replicas", "follow")
    drtool.ok(*command, "a=rebuilt", "--replicas", "rebuild")
    pair.sync()
    assert pair.source.contents(db)["followed"] == pair.source.contents(db)["rebuilt"] == then["a"]
    assert pair.replica.contents(db) == {**now, "followed": then["a"]}


def test_where_nobody_follows_restore_and_exchange_stay_out_of_the_binlog_and_say_so(my_any, make_my_db, drtool):
    db = make_my_db(my_any, "create table t (i int primary key); insert into t values (1), (2)")
    drtool.ok("backup", my_any.url(db), "--name", "shop")
    my_any.sql(db, "delete from t")
    before = position_of(my_any)
    result = drtool.ok("restore", "shop", "--into", my_any.url())
    assert "a point in time after it needs a new backup" in result.text
    result = drtool.ok("exchange", run_of(result), "--yes")
    assert "a point in time after it needs a new backup" in result.text
    assert position_of(my_any) == before
    assert my_any.sql(db, "select count(*) from t") == "2"


def test_an_account_that_may_not_leave_the_binlog_restores_through_it_and_is_told(my_any, make_my_db, drtool):
    db = make_my_db(my_any, "create table t (i int primary key); insert into t values (1), (2)")
    drtool.ok("backup", my_any.url(db), "--name", "shop")
    rights = "replication master admin, slave monitor, process" if my_any.mariadb else "replication slave, replication client, process"
    my_any.sql("", f"create user app@localhost identified by 'app'; grant all on `{db}\\_%`.* to app@localhost;"
                   f" grant all on `{db}`.* to app@localhost; grant {rights} on *.* to app@localhost; grant select on mysql.* to app@localhost")
    try:
        before = position_of(my_any)
        result = drtool.ok("restore", "shop", "--into", my_any.url(user="app", password="app"))
        assert "goes through the binlog" in result.text and "GRANT" in result.text, result
        assert position_of(my_any) != before
        run = run_of(result)
        before = position_of(my_any)
        drtool.ok("exchange", run, "--yes", "--into", my_any.url())
        assert position_of(my_any) != before
    finally:
        my_any.sql("", "drop user app@localhost")
