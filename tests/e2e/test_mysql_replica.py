"""Replication of MariaDB and MySQL: backups of a replica, and restores into a server that has some."""

import contextlib
import threading

import my
import pytest


class Pair:
    """A server and its replica, shared by the tests of a version."""

    def __init__(self, version):
        self.source = my.Server(version, {"event_scheduler": "off"}).start()
        self.replica = self.source.make_replica({"event_scheduler": "off"})

    def sync(self):
        self.source.wait_for_replica(self.replica)


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
def writer(server, db):
    """Somebody who gives one row after another, each in a transaction of its own, to both tables in turn."""
    stop = threading.Event()

    def write():
        with server.session(db) as session:
            while not stop.is_set():
                session.run("insert into a (t) values ('x'); insert into b (t) values ('x')")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_gtids_in_the_manifest_are_exactly_those_of_the_rows_while_changes_are_applied(pair, shop, backup, drtool):
    began = last_number(position_of(pair.source)[2])
    with writer(pair.source, shop):
        pair.replica.wait_until(f"select count(*) > 30 from {my.quote(shop)}.a")
        for _ in range(4):
            result = backup(pair.replica, shop)
            assert result.code == 0, result
    pair.sync()
    for backup_id in drtool.backups("shop"):
        manifest = drtool.manifest("shop", backup_id)
        replication = manifest["replication"]
        assert replication["gtid_read"] == "snapshot"
        assert manifest["rows"] - 20 == last_number(replication["gtid"]) - began
        assert replication["sources"][0]["position"] > 0
    assert len({drtool.manifest("shop", backup_id)["rows"] for backup_id in drtool.backups("shop")}) > 1


@pytest.mark.parametrize("thread, word", [("sql_thread", "applies"), ("io_thread", "receives")])
def test_a_replica_whose_replication_stands_still_gives_no_backup(pair, shop, backup, drtool, thread, word):
    pair.replica.replication(f"stop {thread}")
    try:
        result = backup(pair.replica, shop)
        assert result.code == 1 and f"the thread that {word} the changes" in result.text, result
    finally:
        pair.replica.replication("start")
    assert drtool.backups("shop") == []


def test_changes_that_were_received_and_not_applied_are_not_taken_for_all_where_no_more_come(pair, shop, backup, drtool):
    pair.replica.replication("delay 3600")
    try:
        pair.source.sql(shop, "insert into a (t) values ('late')")
        waiting = "show all slaves status" if pair.replica.mariadb else "show replica status"
        deadline = 100
        while "Waiting until" not in pair.replica.sql("", waiting) and deadline:
            deadline -= 1
            threading.Event().wait(0.1)
        pair.replica.replication("stop io_thread")
        result = backup(pair.replica, shop, max_lag="1h")
        assert result.code == 1 and "receives" in result.text, result
    finally:
        pair.replica.replication("delay 0")
    assert drtool.backups("shop") == []


def test_a_replica_further_behind_than_max_lag_gives_no_backup(pair, shop, backup, drtool):
    pair.replica.replication("delay 3600")
    try:
        pair.source.sql(shop, "insert into a (t) values ('late')")
        behind = "show all slaves status" if pair.replica.mariadb else "show replica status"
        for _ in range(150):
            if "Waiting until" in pair.replica.sql("", behind):
                break
            threading.Event().wait(0.1)
        threading.Event().wait(2.5)
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
