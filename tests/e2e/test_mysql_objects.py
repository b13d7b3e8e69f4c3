"""MariaDB and MySQL: to whom what is restored belongs, and what a server would take without a word."""

import json
import re

import pytest

PASSWORD = "Secret-12345"
BELONGING = """
create table t (id int primary key, n int); insert into t values (1, 10), (2, 20);
create definer = 'app'@'%' view shown as select id from t;
create definer = 'app'@'%' function twice(n int) returns int deterministic return n * 2;
create definer = 'app'@'%' procedure nothing() select 1;
create definer = 'other'@'10.0.%' trigger t_bi before insert on t for each row set new.n = new.n + 1;
create definer = 'app'@'%' event now_and_then on schedule every 1 day starts '2035-01-01 00:00:00' do select 1;
"""
DEFINERS = """select concat('view ', definer) from information_schema.views where table_schema = '{0}'
    union all select concat(lower(routine_type), ' ', definer) from information_schema.routines where routine_schema = '{0}'
    union all select concat('trigger ', definer) from information_schema.triggers where trigger_schema = '{0}'
    union all select concat('event ', definer, ' ', status) from information_schema.events where event_schema = '{0}' order by 1"""


def definers(server, db):
    return server.sql("", DEFINERS.format(db)).splitlines()


def backup(drtool, server, db, *more):
    drtool.ok("backup", server.url(db), "--name", "shop", *more)


def run_of(result):
    return re.search(r"_restore_([0-9a-f]{6})", result.text)[1]


@pytest.fixture
def accounts(my_any):
    """The accounts that own things, on a server that has nothing else of them."""
    names = "app@'%', other@'10.0.%', weak@localhost"
    my_any.sql("", f"drop user if exists {names}; create user app@'%' identified by '{PASSWORD}', other@'10.0.%' identified by '{PASSWORD}', "
                   f"weak@localhost identified by '{PASSWORD}'; grant select, insert on *.* to app@'%', other@'10.0.%'")
    yield my_any
    my_any.sql("", f"drop user if exists {names}")


@pytest.fixture
def owned(accounts, make_my_db):
    return make_my_db(accounts, BELONGING)


def test_definers_are_kept_by_default(my_any, owned, drtool):
    before = definers(my_any, owned)
    backup(drtool, my_any, owned)
    my_any.drop_db(owned)
    drtool.ok("restore", "shop", "--into", my_any.url(), "--compare")
    assert definers(my_any, owned) == before
    assert before[0] == "event app@% ENABLED" and "trigger other@10.0.%" in before


def test_stripped_definers_are_who_restores_in_place_too(my_any, owned, drtool):
    backup(drtool, my_any, owned)
    result = drtool.ok("restore", "shop", "--into", my_any.url(), "--in-place", "--yes", "--definers", "strip")
    assert "not compared" in result.text
    assert definers(my_any, owned) == ["event root@localhost ENABLED", "function root@localhost", "procedure root@localhost",
                                       "trigger root@localhost", "view root@localhost"]


def test_no_owner_strips_definers_and_passes_the_comparison(my_any, owned, drtool):
    backup(drtool, my_any, owned)
    my_any.drop_db(owned)
    drtool.ok("restore", "shop", "--into", my_any.url(), "--no-owner", "--compare")
    assert {line.split()[1] for line in definers(my_any, owned)} == {"root@localhost"}


def test_definers_are_mapped_one_by_one_and_stay_so_in_an_exchange(my_any, owned, drtool):
    backup(drtool, my_any, owned)
    result = drtool.ok("restore", "shop", "--into", my_any.url(), "--compare", "--definers", "app@%=weak@localhost", "--definers", "gone@%=app@%")
    assert "nothing that is restored belongs to gone@%" in result.text
    run = run_of(result)
    wanted = ["event weak@localhost ENABLED", "function weak@localhost", "procedure weak@localhost", "trigger other@10.0.%", "view weak@localhost"]
    copied = definers(my_any, f"{owned}_restore_{run}")
    assert copied[0].startswith("event weak@localhost ") and copied[1:] == wanted[1:]
    drtool.ok("exchange", run, "--yes", "--into", my_any.url())
    assert definers(my_any, owned) == wanted


@pytest.mark.parametrize("how", [("app@%",), ("=x",), ("keep", "strip"), ("app@%=a@b", "app@%=c@d")])
def test_a_setting_of_definers_that_says_nothing_is_refused(my10, make_my_db, drtool, how):
    db = make_my_db(my10, "create table t (i int)")
    backup(drtool, my10, db)
    result = drtool.fails(2, "restore", "shop", "--into", my10.url(), *(word for one in how for word in ("--definers", one)))
    assert "definers" in result.text


def test_a_definer_that_the_server_lacks_is_named_with_its_objects(my_any, owned, drtool):
    backup(drtool, my_any, owned)
    my_any.drop_db(owned)
    my_any.sql("", "drop user app@'%'")
    result = drtool.fails(7, "restore", "shop", "--into", my_any.url(), "--users", "none")
    assert "app@% (function twice, procedure nothing, view shown and 1 more)" in result.text and "other@" not in result.text
    assert owned not in my_any.databases()
    plan = drtool.ok("restore", "shop", "--into", my_any.url(), "--dry-run")
    assert "app@% (function twice" in plan.text
    drtool.ok("restore", "shop", "--into", my_any.url(), "--users", "none", "--definers", "app@%=other@10.0.%")
    assert {line.split()[1] for line in definers(my_any, owned)} == {"other@10.0.%"}


def test_who_may_not_make_what_belongs_to_others_is_told_before_anything_is_written(my_any, owned, drtool):
    backup(drtool, my_any, owned)
    my_any.drop_db(owned)
    my_any.sql("", f"grant all on `{owned}`.* to weak@localhost; grant select on mysql.* to weak@localhost; set global log_bin_trust_function_creators = 1")
    url = my_any.url(owned, user="weak", password=PASSWORD)
    right = "SET USER" if my_any.mariadb else "SET_ANY_DEFINER"
    result = drtool.fails(7, "restore", "shop", "--into", url)
    assert f"GRANT {right} ON *.*" in result.text and "other@10.0.% (trigger t_bi)" in result.text
    assert owned not in my_any.databases()
    drtool.ok("restore", "shop", "--into", url, "--definers", "strip")
    assert {line.split()[1] for line in definers(my_any, owned)} == {"weak@localhost"}
    my_any.drop_db(owned)
    my_any.sql("", f"grant {right} on *.* to weak@localhost")
    drtool.ok("restore", "shop", "--into", url)
    assert {line.split()[1] for line in definers(my_any, owned)} == {"app@%", "other@10.0.%"}


def test_what_belongs_to_a_system_user_is_told_before_anything_is_written(make_my_server, drtool):
    server = make_my_server("9.7")
    server.sql("", f"create user app@'%' identified by '{PASSWORD}', other@'10.0.%' identified by '{PASSWORD}', weak@localhost identified by '{PASSWORD}';"
                   " grant system_user on *.* to app@'%'; grant all on shop.* to weak@localhost; grant select on mysql.* to weak@localhost;"
                   " grant set_any_definer on *.* to weak@localhost; set global log_bin_trust_function_creators = 1")
    server.create_db("shop")
    server.sql("shop", BELONGING)
    backup(drtool, server, "shop")
    server.drop_db("shop")
    url = server.url("shop", user="weak", password=PASSWORD)
    result = drtool.fails(7, "restore", "shop", "--into", url)
    assert "GRANT SYSTEM_USER ON *.*" in result.text
    assert "shop" not in server.databases()
    server.sql("", "grant system_user on *.* to weak@localhost")
    drtool.ok("restore", "shop", "--into", url)


ORPHANS = """
create table parent (id int, kind int, primary key (id, kind)); insert into parent values (1, 1), (2, 1);
create table child (id int primary key, p int, k int, up int, constraint to_parent foreign key (p, k) references parent (id, kind),
    constraint to_self foreign key (up) references child (id));
set foreign_key_checks = 0;
insert into child values (1, 1, 1, null), (2, 9, 1, 1), (3, 9, 9, 1), (4, null, 9, 77), (5, 2, 1, 5);
"""


def orphans_of(text):
    return sorted(re.findall(r"(\d+) rows of the table (\w+) have no parent in (\S+) by the foreign key (\w+)", text))


def test_rows_without_a_parent_are_restored_and_told_with_their_key(my_any, make_my_db, drtool):
    db = make_my_db(my_any, ORPHANS)
    before = my_any.contents(db)
    backup(drtool, my_any, db)
    my_any.drop_db(db)
    result = drtool.ok("restore", "shop", "--into", my_any.url())
    assert orphans_of(result.text) == [("1", "child", f"`{db}`.`child`", "to_self"), ("2", "child", f"`{db}`.`parent`", "to_parent")]
    assert my_any.contents(db) == before


def test_verify_keeps_rows_without_a_parent_as_evidence(my_any, make_my_db, drtool):
    db = make_my_db(my_any, ORPHANS)
    backup(drtool, my_any, db)
    result = drtool.ok("verify", "shop")
    assert ("2", "to_parent") in [(found[0], found[3]) for found in orphans_of(result.text)]
    evidence = [json.loads(path.read_text()) for path in drtool.store.rglob("evidence/**/*.json")]
    notes = " ".join(note for one in evidence if one["kind"] == "verify" for note in one["detail"]["notes"])
    assert [found[0] for found in orphans_of(notes)] == ["1", "2"]


def test_a_parent_that_comes_back_without_a_row_of_its_children_is_told(my_any, make_my_db, drtool):
    db = make_my_db(my_any, ORPHANS + "delete from child where id in (2, 3, 4)")
    backup(drtool, my_any, db)
    my_any.sql(db, "insert into parent values (3, 1); insert into child values (6, 3, 1, null)")
    my_any.sql(db, "set foreign_key_checks = 0; drop table parent")
    result = drtool.ok("restore", "shop", "--into", my_any.url(), "--table", "parent")
    assert [(found[0], found[3]) for found in orphans_of(result.text)] == [("1", "to_parent")]


def test_tables_whose_rows_have_parents_say_nothing(my_any, make_my_db, drtool):
    db = make_my_db(my_any, ORPHANS + "delete from child where id in (2, 3, 4)")
    backup(drtool, my_any, db)
    my_any.drop_db(db)
    assert "parent" not in drtool.ok("restore", "shop", "--into", my_any.url()).text


VERSIONED = """
create table hidden (id int primary key, t varchar(20)) with system versioning;
insert into hidden values (1, 'first'); update hidden set t = 'second' where id = 1; insert into hidden values (2, 'x'); delete from hidden where id = 2;
create table named (t varchar(20), `to` timestamp(6) generated always as row end, id int primary key, `fr``om` timestamp(6) generated always as row start invisible,
    w int without system versioning, period for system_time (`fr``om`, `to`)) with system versioning;
insert into named (id, t, w) values (1, 'first', 1); update named set t = 'second' where id = 1; update named set w = 5;
create table few (id int, t varchar(20), key (id)) with system versioning partition by system_time limit 100 (partition p0 history, partition p1 history, partition pc current);
insert into few values (1, 'first'), (2, 'other'); update few set t = 'second' where id = 1;
create table daily (id int, t varchar(20)) with system versioning partition by system_time interval 1 day (partition p0 history, partition pc current);
insert into daily values (1, 'first'); update daily set t = 'second' where id = 1;
create table numbered (id int primary key, t varchar(20), s bigint unsigned generated always as row start, e bigint unsigned generated always as row end,
    period for system_time (s, e)) with system versioning;
insert into numbered (id, t) values (1, 'first'); update numbered set t = 'second';
"""


def all_times(server, db):
    """Every version of every row, with the end of time under one name."""
    end = "if({0} >= '2038-01-19 03:14:07.999999', 'now', {0})"
    sql = "; ".join([f"select 'hidden', id, t, row_start, {end.format('row_end')} from hidden for system_time all order by 1, 2, 3",
                     f"select 'named', id, t, w, `fr``om`, {end.format('`to`')} from named for system_time all order by 1, 2, 3",
                     f"select 'few', id, t, row_start, {end.format('row_end')} from few for system_time all order by 1, 2, 3",
                     f"select 'daily', id, t, row_start, {end.format('row_end')} from daily for system_time all order by 1, 2, 3",
                     "select 'numbered', id, t from numbered order by 1, 2, 3"])
    return server.sql(db, "set time_zone = '+00:00'; " + sql).splitlines()


def notes(drtool):
    manifest, = (drtool.store / "shop" / "backup").glob("*.json")
    return json.loads(manifest.read_text())["notes"]


@pytest.mark.parametrize("source,target", [("10.11", "10.11"), ("11.8", "11.8"), ("10.11", "11.8")])
def test_history_comes_back_where_it_was_asked_for(my_servers, make_my_db, drtool, source, target):
    source, target = my_servers(source), my_servers(target)
    db = make_my_db(source, VERSIONED)
    before = all_times(source, db)
    backup(drtool, source, db, "--history")
    assert [note for note in notes(drtool) if "rows of now" in note] == [f"database {db}, tables numbered: the rows of now only: history by numbers of transactions cannot be restored"]
    source.drop_db(db)
    try:
        drtool.ok("restore", "shop", "--into", target.url(), "--compare")
        assert all_times(target, db) == before and len(before) > 9
        target.sql(db, "update hidden set t = 'third'; delete from few; update daily set t = 'third'; delete from named")
        assert target.sql(db, "select count(*) from hidden for system_time all where id = 1") == "3"
    finally:
        target.drop_db(db)


def test_history_stays_out_and_is_named_where_it_was_not_asked_for(my10, make_my_db, drtool):
    db = make_my_db(my10, VERSIONED)
    backup(drtool, my10, db)
    assert f"database {db}, tables daily, few, hidden, named: the rows of now only, without their history (--history takes it)" in notes(drtool)
    my10.drop_db(db)
    drtool.ok("restore", "shop", "--into", my10.url(), "--compare")
    assert my10.sql(db, "select concat(id, t) from hidden for system_time all") == "1second"
    assert drtool.ok("verify", "shop")


def test_rights_on_single_tables_columns_and_programs_come_back_with_the_accounts(make_my_server, drtool):
    source = make_my_server("10.11")
    for name in ("one", "two"):
        source.create_db(name)
        source.sql(name, BELONGING.replace("'app'@'%'", "root@localhost").replace("'other'@'10.0.%'", "root@localhost"))
    source.sql("", f"create user ann@'%' identified by '{PASSWORD}'; grant select on one.t to ann@'%'; grant update (n) on two.t to ann@'%'; "
                   "grant select on one.shown to ann@'%'; grant execute on function two.twice to ann@'%'; grant execute on procedure one.nothing to ann@'%'")
    before = sorted(source.sql("", "show grants for ann@'%'").splitlines())
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{all: {{url: \"{source.url()}\", databases: [\"*\"]}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "all")
    target = make_my_server("10.11", fresh=True)
    plan = drtool.ok("restore", "all", "--into", target.url(), "--users", "all", "--dry-run")
    result = drtool.ok("restore", "all", "--into", target.url(), "--users", "all", "--confirm", re.search(r"--confirm '([^']+)'", plan.out)[1])
    assert "not done" not in result.text
    assert sorted(target.sql("", "show grants for ann@'%'").splitlines()) == before


def test_a_view_whose_definer_may_read_one_table_only_is_proven(accounts, my_any, make_my_db, drtool):
    db = make_my_db(my_any, "create table t (id int primary key); insert into t values (1)")
    my_any.sql(db, f"revoke all, grant option from app@'%'; grant select on `{db}`.t to app@'%'; create definer = 'app'@'%' view v as select * from t; "
                   f"create definer = 'app'@'%' view w as select * from v; grant select on `{db}`.v to app@'%'; create view a_last as select * from w")
    backup(drtool, my_any, db)
    assert "not done" not in drtool.ok("verify", "shop").text


def test_views_whose_definer_has_rights_on_the_old_name_only_are_put_in_place(accounts, my_any, make_my_db, drtool):
    db = make_my_db(my_any, "create table t (id int primary key); insert into t values (1)")
    my_any.sql(db, f"revoke all, grant option from app@'%'; grant select on `{db}`.* to app@'%'; create definer = 'app'@'%' view v as select * from t; "
                   "create definer = 'app'@'%' view w as select * from v; create view a_last as select * from w")
    before = definers(my_any, db)
    backup(drtool, my_any, db)
    drtool.ok("restore", "shop", "--into", my_any.url(), "--in-place", "--yes")
    assert definers(my_any, db) == before
    assert my_any.sql(db, "select * from a_last") == "1"


ZONE = """insert into mysql.time_zone (use_leap_seconds) values ('N'); set @id = last_insert_id();
    insert into mysql.time_zone_name (name, time_zone_id) values ('Europe/Berlin', @id);
    insert into mysql.time_zone_transition_type (time_zone_id, transition_type_id, `offset`, is_dst, abbreviation) values (@id, 0, 3600, 0, 'CET')"""


@pytest.mark.parametrize("version", ["10.11", "9.7"])
def test_a_time_zone_that_the_target_does_not_know_is_told_before_anything_is_written(make_my_server, drtool, version):
    server = make_my_server(version)
    server.sql("", ZONE)
    server.create_db("shop")
    server.sql("shop", "create table t (i int); set time_zone = 'Europe/Berlin'; create event nightly on schedule every 1 day starts '2035-01-01 02:00:00' do delete from t")
    backup(drtool, server, "shop")
    target = make_my_server(version, fresh=True)
    result = drtool.fails(7, "restore", "shop", "--into", target.url())
    assert "time zone Europe/Berlin, which the event nightly needs" in result.text and "shop" not in target.databases()
    target.sql("", ZONE)
    drtool.ok("restore", "shop", "--into", target.url(), "--compare")
    assert target.sql("", "select time_zone, starts from information_schema.events where event_schema = 'shop'") == "Europe/Berlin|2035-01-01 02:00:00"


def test_an_exchange_by_who_may_not_make_the_objects_again_is_refused_and_changes_nothing(my_any, owned, drtool):
    backup(drtool, my_any, owned)
    run = run_of(drtool.ok("restore", "shop", "--into", my_any.url()))
    before = definers(my_any, owned)
    my_any.sql("", "grant select, insert, update, delete, create, drop, alter, index, references, create view, show view, create routine, alter routine, execute, event, "
                   "trigger, lock tables on *.* to weak@localhost; set global log_bin_trust_function_creators = 1")
    more = "binlog admin, slave monitor, replication master admin" if my_any.mariadb else "session_variables_admin, replication slave"
    my_any.sql("", f"grant {more}, process on *.* to weak@localhost")
    url = my_any.url(user="weak", password=PASSWORD)
    result = drtool.fails(7, "exchange", run, "--yes", "--into", url)
    right = "SET USER" if my_any.mariadb else "SET_ANY_DEFINER"
    assert f"GRANT {right} ON *.*" in result.text and definers(my_any, owned) == before
    my_any.sql("", f"grant {right} on *.* to weak@localhost")
    drtool.ok("exchange", run, "--yes", "--into", url)
    assert definers(my_any, owned) == before


@pytest.mark.parametrize("version", ["10.11", "9.7"])
def test_names_that_are_one_on_the_target_are_told_before_anything_is_written(my_servers, make_my_server, make_my_db, drtool, version):
    source = my_servers(version)
    db = make_my_db(source, "create table Orders (i int primary key); create table orders (i int); create view Other as select 1 as x; create table other (i int)")
    target = make_my_server(version, {"lower_case_table_names": "1"}, fresh=True)
    assert target.sql("", "select @@lower_case_table_names") == "1"
    backup(drtool, source, db)
    result = drtool.run("restore", "shop", "--into", target.url(), "--dry-run")
    assert "Orders and orders would be one on this server" in result.text and "Other and other would be one" in result.text
    drtool.fails(7, "restore", "shop", "--into", target.url())
    assert target.databases() == []
    source.sql(db, "drop table orders; drop view Other; insert into Orders values (5); create view Seen as select * from Orders")
    backup(drtool, source, db)
    drtool.ok("restore", "shop", "--into", target.url())
    assert target.sql(db, "select * from seen") == "5"
