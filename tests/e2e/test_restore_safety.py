"""Nothing is destroyed before its replacement is complete, and nothing is written where nobody asked for it."""

import json
import os
import re
import signal
import time

import compare
import fault
import pg
import pytest

SHOP = """
    create schema app;
    create table app.customer (id int primary key generated always as identity, name text unique, note text);
    create table app.orders (id serial primary key, customer int not null references app.customer, total numeric check (total >= 0), at timestamptz default now());
    create table app.item (id int primary key, orders int references app.orders on delete cascade, t text);
    create table big (id int primary key, t text);
    create index orders_at on app.orders (at desc);
    create view app.totals as select customer, sum(total) from app.orders group by customer;
    create function app.touch() returns trigger language plpgsql as $$ begin raise exception 'fired'; end $$;
    insert into app.customer (name) select 'c' || i from generate_series(1, 50) i;
    insert into app.orders (customer, total) select 1 + i % 50, i from generate_series(1, 500) i;
    insert into app.item select i, i, 't' from generate_series(1, 500) i;
    insert into big select i, repeat(md5(i::text), 10) from generate_series(1, 10000) i;
    create trigger fires before insert on app.item for each row execute function app.touch();
    comment on table app.orders is 'orders';
"""


@pytest.fixture
def shop(pg15, make_db, drtool):
    """A server, a database that is backed up as `shop`, and the flags of a configuration with it."""
    db = make_db(pg15, SHOP)
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                  f"sources: {{shop: {{url: \"{pg15.url(db)}\", split_above: 256KiB}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop", "--chunk-size", "32KiB")
    yield db
    for name in pg15.databases():
        if name.startswith(db + "_"):
            pg15.drop_db(name)


def copies(server, db):
    return [name for name in server.databases() if name.startswith(db + "_")]


def run_of(result):
    """The run in the last line that is for people to paste."""
    found = re.search(r"drtool exchange ([0-9a-f]{6})", result.out)
    assert found, result
    return found[1]


# --- whole databases ---

def test_a_damaged_table_ends_a_restore_before_anything_is_changed(pg15, shop, drtool):
    fault.damage_first(drtool.archives("shop")[0], f"db/{shop}/data/app/orders/")
    result = drtool.fails(4, "restore", "shop", "--in-place", "--yes")
    assert "before anything was changed" in result.err, result
    assert copies(pg15, shop) == [] and pg15.sql(shop, "select count(*) from big") == "10000"


def test_a_database_that_is_there_stays_and_the_copy_is_loaded_beside(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    pg15.sql(shop, "insert into app.customer (name) values ('since')")
    changed = compare.snapshot(pg15, shop)
    result = drtool.ok("restore", "shop")
    run = run_of(result)
    assert result.out.rstrip().splitlines()[-1].endswith(f"drtool exchange {run}")
    assert copies(pg15, shop) == [f"{shop}_restore_{run}"]
    compare.same(changed, compare.snapshot(pg15, shop))
    compare.same(before, compare.snapshot(pg15, f"{shop}_restore_{run}"))

    drtool.ok("exchange", run, "--yes")
    compare.same(before, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == [f"{shop}_before_{run}"]
    drtool.ok("exchange", run, "--back", "--yes")
    compare.same(changed, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == [f"{shop}_restore_{run}"]
    drtool.ok("exchange", run, "--yes")
    drtool.ok("exchange", run, "--drop", "--yes")
    compare.same(before, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == []


def test_a_database_that_is_absent_comes_back_under_its_own_name(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    pg15.drop_db(shop)
    result = drtool.ok("restore", "shop")
    assert "drtool exchange" not in result.out
    compare.same(before, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == []


def test_an_empty_database_is_filled_and_keeps_its_name(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    pg15.drop_db(shop)
    pg15.create_db(shop)
    drtool.ok("restore", "shop")
    compare.same(before, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == []


def test_in_place_ends_sessions_exchanges_and_keeps_what_was_there(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    pg15.sql(shop, "truncate app.item; drop table big")
    with pg15.session(shop) as session:
        session.run("begin; select count(*) from app.customer;")
        refused = drtool.fails(7, "restore", "shop", "--in-place")
        assert "--yes" in refused.err
        result = drtool.ok("restore", "shop", "--in-place", "--yes")
    assert "compared and equal" in result.out
    compare.same(before, compare.snapshot(pg15, shop))
    (aside,) = copies(pg15, shop)
    assert aside == f"{shop}_before_{run_of(result)}"
    assert pg15.sql(aside, "select count(*) from app.item") == "0"
    drtool.ok("exchange", run_of(result), "--back", "--yes")
    assert pg15.sql(shop, "select to_regclass('big') is null") == "t"


def test_in_place_where_nothing_is_there_restores_under_the_own_name(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    pg15.drop_db(shop)
    drtool.ok("restore", "shop", "--in-place", "--yes")
    compare.same(before, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == []


def test_drop_asks_before_it_drops(pg15, shop, drtool):
    run = run_of(drtool.ok("restore", "shop", "--in-place", "--yes"))
    drtool.fails(7, "exchange", run, "--drop")
    assert copies(pg15, shop) == [f"{shop}_before_{run}"]


def test_an_exchange_works_on_another_machine_that_has_no_journal(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    run = run_of(drtool.ok("restore", "shop"))
    elsewhere = {"XDG_STATE_HOME": drtool.dir / "elsewhere"}
    drtool.ok("exchange", run, "--yes", env=elsewhere)
    compare.same(before, compare.snapshot(pg15, shop))


def test_an_exchange_of_a_run_that_nobody_knows_is_not_found(pg15, shop, drtool):
    drtool.fails(5, "exchange", "abc123", "--yes")
    drtool.fails(2, "exchange", "no-run", "--yes")
    assert copies(pg15, shop) == []


def test_clean_drops_only_what_confirm_names(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    pg15.sql(shop, "create table later (i int)")
    plan = drtool.ok("restore", "shop", "--clean", "--dry-run")
    confirm = re.search(r"--confirm '([^']+)'", plan.out)[1]
    assert confirm.startswith(shop + "@")
    identity = pg15.sql("postgres", "select system_identifier from pg_control_system()")
    assert identity in confirm
    drtool.fails(7, "restore", "shop", "--clean", "--yes")
    drtool.fails(7, "restore", "shop", "--clean", "--yes", "--confirm", f"other@{identity}")
    drtool.fails(7, "restore", "shop", "--clean", "--yes", "--confirm", f"{shop}@1")
    assert pg15.sql(shop, "select count(*) from later") == "0"
    drtool.ok("restore", "shop", "--clean", "--yes", "--confirm", confirm)
    compare.same(before, compare.snapshot(pg15, shop))
    assert copies(pg15, shop) == []


def test_a_dry_run_changes_nothing(pg15, shop, drtool):
    def state():
        stored = {p: p.stat().st_mtime_ns for p in drtool.store.rglob("*") if p.is_file() and "lease" not in p.parts}
        return compare.snapshot(pg15, shop), pg15.databases(), stored, pg15.sql("postgres", "select rolname from pg_roles order by 1")

    before = state()
    for flags in ([], ["--in-place"], ["--clean"], ["--table", "app.orders", "--rename", "app.orders=app.copy"], ["--rename", f"{shop}={shop}_new"],
                  ["--into", pg15.url(f"{shop}_x")]):
        result = drtool.ok("restore", "shop", "--dry-run", *flags)
        assert result.out.strip()
    drtool.fails(7, "restore", "shop", "--dry-run", "--table", "app.orders")
    assert state() == before


def test_a_database_restored_under_a_new_name_is_whole(pg15, shop, drtool):
    before = compare.snapshot(pg15, shop)
    drtool.ok("restore", "shop", "--rename", f"{shop}={shop}_new")
    compare.same(before, compare.snapshot(pg15, f"{shop}_new"))
    drtool.fails(7, "restore", "shop", "--rename", f"{shop}={shop}_new")
    drtool.fails(7, "restore", "shop", "--into", pg15.url(f"{shop}_new"), "--rename", f"{shop}={shop}_new")


def test_a_database_named_by_into_must_be_absent_or_empty(pg15, shop, drtool):
    pg15.create_db(f"{shop}_full")
    pg15.sql(f"{shop}_full", "create table mine (i int)")
    result = drtool.fails(7, "restore", "shop", "--into", pg15.url(f"{shop}_full"))
    assert f"{shop}_full" in result.err
    assert pg15.sql(f"{shop}_full", "select count(*) from mine") == "0"
    for content in ("create view v as select 1", "create function f() returns int language sql as 'select 1'", "create type t as enum ('a')",
                    "create schema s", "select lo_create(0)", "create sequence q"):
        pg15.drop_db(f"{shop}_full")
        pg15.create_db(f"{shop}_full")
        pg15.sql(f"{shop}_full", content)
        assert drtool.run("restore", "shop", "--into", pg15.url(f"{shop}_full")).code == 7, content


def test_no_owner_gives_everything_to_the_user_that_restores(make_server, drtool):
    old, new = make_server(15, fresh=True), make_server(15, fresh=True)
    old.sql("postgres", "create role app; create role reader; create database shop owner app")
    old.sql("shop", "set role app; create table t (i int); create function f() returns int language sql as 'select 1'; create view v as select 1; "
                    "grant select on t to reader; insert into t values (1)")
    drtool.ok("backup", old.url("shop"), "--name", "shop")
    drtool.ok("restore", "shop", "--into", new.url("plain"), "--no-owner", "--users", "none")
    assert new.sql("plain", "select tableowner from pg_tables where tablename = 't'") == "postgres"
    assert new.sql("plain", "select pg_get_userbyid(datdba) from pg_database where datname = 'plain'") == "postgres"
    assert new.sql("postgres", "select count(*) from pg_roles where rolname in ('app', 'reader')") == "0"


def test_users_none_refuses_what_needs_a_role_that_is_missing(make_server, drtool):
    old, new = make_server(15, fresh=True), make_server(15, fresh=True)
    old.sql("postgres", "create role app; create database shop owner app")
    old.sql("shop", "create table t (i int); alter table t owner to app")
    drtool.ok("backup", old.url("shop"), "--name", "shop")
    result = drtool.fails(7, "restore", "shop", "--into", new.url("shop"), "--users", "none")
    assert "app" in result.err
    assert "shop" not in new.databases()


# --- single tables ---

def test_a_table_that_is_absent_comes_with_indexes_sequences_and_constraints(pg15, shop, drtool):
    schema = pg15.pg_dump(shop, "--schema-only", "-t", "app.orders")
    rows = compare.tables(pg15, shop)["app.orders"]
    pg15.sql(shop, "drop table app.orders cascade")
    result = drtool.ok("restore", "shop", "--table", "app.orders")
    assert compare.tables(pg15, shop)["app.orders"] == rows
    assert pg15.pg_dump(shop, "--schema-only", "-t", "app.orders") == schema
    assert pg15.sql(shop, "insert into app.orders (customer, total) values (1, 1) returning id") == "501"
    assert "exchange" not in result.out


def test_a_table_goes_into_another_database_and_absent_references_are_said(pg15, shop, drtool):
    pg15.create_db(f"{shop}_part")
    pg15.sql(f"{shop}_part", "create table mine (i int); insert into mine values (1)")
    result = drtool.ok("restore", "shop", "--table", "app.orders", "--into", pg15.url(f"{shop}_part"))
    assert "app.customer" in result.text or "customer" in result.text
    assert compare.tables(pg15, f"{shop}_part")["app.orders"] == compare.tables(pg15, shop)["app.orders"]
    assert pg15.sql(f"{shop}_part", "select count(*) from mine") == "1"
    assert pg15.sql(f"{shop}_part", "select to_regclass('app.item') is null") == "t"


def test_a_table_that_is_present_is_refused_and_stays(pg15, shop, drtool):
    pg15.sql(shop, "delete from app.item where id > 10")
    result = drtool.fails(7, "restore", "shop", "--table", "app.item")
    assert "app.item" in result.err
    for word in ("--data-only", "--rename", "--clean"):
        assert word in result.err
    assert pg15.sql(shop, "select count(*) from app.item") == "10"


def test_data_only_adds_the_rows_and_fires_no_trigger(pg15, shop, drtool):
    rows = compare.tables(pg15, shop)
    pg15.sql(shop, "truncate app.item")
    drtool.ok("restore", "shop", "--table", "app.item", "--data-only")
    assert compare.tables(pg15, shop) == rows


def test_data_only_fills_tables_whose_columns_stand_in_another_order(pg15, shop, drtool):
    expected = pg15.sql(shop, "select id, name, note from app.customer order by 1")
    pg15.create_db(f"{shop}_other")
    pg15.sql(f"{shop}_other", "create schema app; create table app.customer (note text, more int default 7, name text, id int primary key)")
    drtool.ok("restore", "shop", "--table", "app.customer", "--data-only", "--into", pg15.url(f"{shop}_other"))
    assert pg15.sql(f"{shop}_other", "select id, name, note from app.customer order by 1") == expected
    assert pg15.sql(f"{shop}_other", "select distinct more from app.customer") == "7"


def test_data_only_into_a_table_that_is_absent_is_refused(pg15, shop, drtool):
    pg15.create_db(f"{shop}_void")
    result = drtool.fails(7, "restore", "shop", "--table", "app.item", "--data-only", "--into", pg15.url(f"{shop}_void"))
    assert "app.item" in result.err


def test_a_renamed_table_stands_beside_the_old_one(pg15, shop, drtool):
    rows = compare.tables(pg15, shop)["app.orders"]
    pg15.sql(shop, "delete from app.orders where id > 100")
    drtool.ok("restore", "shop", "--table", "app.orders", "--rename", "app.orders=app.orders_old")
    assert compare.tables(pg15, shop)["app.orders_old"] == rows
    assert pg15.sql(shop, "select count(*) from app.orders") == "100"
    assert pg15.sql(shop, "select count(*) from pg_index where indrelid = 'app.orders_old'::regclass and indisprimary") == "1"


def test_a_table_is_replaced_only_with_confirmation(pg15, shop, drtool):
    before = compare.tables(pg15, shop)
    pg15.sql(shop, "update big set t = 'spoilt'")
    drtool.fails(7, "restore", "shop", "--table", "public.big", "--clean", "--yes")
    plan = drtool.ok("restore", "shop", "--table", "public.big", "--clean", "--dry-run")
    confirm = re.search(r"--confirm '([^']+)'", plan.out)[1]
    drtool.ok("restore", "shop", "--table", "public.big", "--clean", "--yes", "--confirm", confirm)
    assert compare.tables(pg15, shop) == before


def test_a_table_in_the_backup_that_does_not_exist_matches_nothing(pg15, shop, drtool):
    for name in ("app.nothing", f"{shop}.app.nothing", "other.app.orders"):
        drtool.fails(5, "restore", "shop", "--table", name)
    drtool.fails(2, "restore", "shop", "--table", "orders")
    drtool.fails(2, "restore", "shop", "--table", "a.b.c.d")
    drtool.fails(5, "restore", "shop", "--database", "nothing")
    assert copies(pg15, shop) == []


def test_each_database_that_is_asked_for_must_be_in_the_backup(pg15, make_db, drtool):
    dbs = [make_db(pg15, "create table t (i int); insert into t values (1)") for _ in range(2)]
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                  f"sources: {{both: {{url: \"{pg15.url('')}\", databases: [{', '.join(dbs)}]}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "both")
    for db in dbs:
        pg15.drop_db(db)
    before = pg15.databases()
    for args in (["--database", dbs[0], "--database", "custmers"], ["--database", dbs[0], "--database", "cust*"],
                 ["--database", dbs[0], "--table", "custmers.public.t"], ["--database", dbs[0], "--exclude-table", "custmers.public.t"]):
        result = drtool.fails(5, "restore", "both", *args)
        assert "cust" in result.err and all(db in result.err for db in dbs), result
        assert pg15.databases() == before
    drtool.ok("restore", "both", "--database", dbs[0], "--database", dbs[1][:-1] + "?")
    assert set(pg15.databases()) == {*before, *dbs}


def test_a_table_whose_name_has_dots_and_quotes_is_named_in_double_quotes(pg15, make_db, drtool):
    db = make_db(pg15, 'create schema "a.b"; create table "a.b"."c""d.e" (i int); insert into "a.b"."c""d.e" values (1), (2)')
    drtool.ok("backup", pg15.url(db), "--name", "odd")
    pg15.sql(db, 'drop table "a.b"."c""d.e"')
    drtool.ok("restore", "odd", "--into", pg15.url(db), "--table", '"a.b"."c""d.e"')
    assert pg15.sql(db, 'select count(*) from "a.b"."c""d.e"') == "2"


def test_excluded_tables_are_left_out_and_all_else_comes_back(pg15, shop, drtool):
    before = compare.tables(pg15, shop)
    pg15.drop_db(shop)
    drtool.ok("restore", "shop", "--exclude-table", "public.big")
    after = compare.tables(pg15, shop)
    assert {name: rows for name, rows in before.items() if name != "public.big"} == {name: rows for name, rows in after.items() if name != "public.big"}
    assert after.get("public.big", "0 rows").startswith("0 rows")


def test_one_table_reads_only_its_own_part_of_the_archive(pg15, shop, drtool):
    """Bytes of other tables are damaged: whoever read them would fail."""
    (volume,) = drtool.archives("shop")
    members = member_ranges(volume)
    data = bytearray(volume.read_bytes())
    spoilt = 0
    for name, start, end in members:
        if "/data/" in name and "/big/" in name:
            for at in range(start, end):
                data[at] ^= 0x55
            spoilt += 1
    assert spoilt > 3
    volume.chmod(0o600)
    volume.write_bytes(data)
    drtool.fails(4, "check", "shop")
    drtool.store.joinpath("evidence").rename(drtool.dir / "evidence")
    rows = compare.tables(pg15, shop)["app.orders"]
    pg15.create_db(f"{shop}_part")
    drtool.ok("restore", "shop", "--table", "app.orders", "--into", pg15.url(f"{shop}_part"))
    assert compare.tables(pg15, f"{shop}_part")["app.orders"] == rows
    drtool.fails(4, "restore", "shop", "--into", pg15.url(f"{shop}_whole"))


def member_ranges(volume):
    """(name of the entry, start, end) of every gzip member, found without the index."""
    import zlib

    data = volume.read_bytes()
    at, found, name = 0, [], ""
    while at < len(data):
        inflate = zlib.decompressobj(31)
        plain = inflate.decompress(data[at:]) + inflate.flush()
        used = len(data) - at - len(inflate.unused_data)
        entry = entry_name(plain)
        name = entry or name
        found.append((name, at, at + used))
        at += used
    return found


def entry_name(plain):
    """The name of the first tar entry in a member that begins with a header; pax headers are honoured."""
    at = 0
    pax = None
    while len(plain) >= at + 512 and plain[at + 257:at + 262] == b"ustar":
        size = int(plain[at + 124:at + 135].rstrip(b"\0 ") or b"0", 8)
        if plain[at + 156:at + 157] != b"x":
            prefix = plain[at + 345:at + 500].rstrip(b"\0").decode()
            short = plain[at:at + 100].rstrip(b"\0").decode()
            return pax or (prefix + "/" + short if prefix else short)
        body = plain[at + 512:at + 512 + size]
        match = re.search(rb"\d+ path=([^\n]*)\n", body)
        pax = match[1].decode() if match else None
        at += 512 + (size + 511) // 512 * 512
    return None


# --- failures on the way ---

@pytest.mark.parametrize("where", ["restore.begun:1:kill", "load.unit.begin:3:kill", "postgres.load.commit.before:2:kill", "load.unit.done:2:kill",
                                   "postgres.load.end.before:1:kill", "restore.loaded:1:kill"])
def test_a_restore_that_was_killed_goes_on_with_resume(pg15, shop, drtool, where):
    before = compare.snapshot(pg15, shop)
    killed = drtool.run("restore", "shop", "--into", pg15.url(f"{shop}_copy"), fail=where)
    assert killed.code == -signal.SIGKILL, killed
    resumed = drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"), "--resume", "--compare")
    assert "compared and equal" in resumed.out
    compare.same(before, compare.snapshot(pg15, f"{shop}_copy"))


def test_a_restore_killed_amid_the_rows_loads_none_twice(pg15, shop, drtool):
    """No table has a key that would refuse a row that comes again."""
    pg15.sql(shop, "create table plain (i int, t text); insert into plain select i, repeat(md5(i::text), 20) from generate_series(1, 20000) i")
    drtool.ok("backup", "shop", "--chunk-size", "64KiB")
    into = pg15.url(f"{shop}_copy")
    process = drtool.start("restore", "shop", "--into", into, "--jobs", "2", fail="load.unit.done:5:delay=60000")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(p.read_text().count('"unit"') >= 4 for p in (drtool.state / "restore").glob("*.jsonl")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    drtool.fails(7, "restore", "shop", "--into", into)
    drtool.ok("restore", "shop", "--into", into, "--jobs", "2", "--resume", "--compare")
    compare.same(compare.snapshot(pg15, shop), compare.snapshot(pg15, f"{shop}_copy"))


def test_resume_asks_for_the_same_request(pg15, shop, drtool):
    drtool.run("restore", "shop", "--into", pg15.url(f"{shop}_copy"), fail="restore.begun:1:kill")
    (journal,) = (drtool.state / "restore").glob("*.jsonl")
    run = journal.stem
    drtool.fails(2, "restore", "shop", "--into", pg15.url(f"{shop}_copy"), f"--resume={run}", "--table", "app.orders")
    drtool.fails(2, "restore", "shop", "--into", pg15.url(f"{shop}_copy2"), f"--resume={run}")
    drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"), f"--resume={run}")
    drtool.fails(5, "restore", "shop", "--resume=000000")


def test_a_failed_restore_says_what_is_done_and_how_to_go_on(pg15, shop, drtool):
    result = drtool.run("restore", "shop", "--into", pg15.url(f"{shop}_copy"), fail="load.unit.done:4:error")
    assert result.code == 1, result
    run = re.search(r"--resume=([0-9a-f]{6})", result.text)
    assert run, result
    for word in ("app.orders", "big", "done", "partial"):
        assert word in result.text, result
    drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"), f"--resume={run[1]}", "--compare")


def test_a_store_lost_before_the_exchange_leaves_the_old_data(pg15, shop, drtool):
    pg15.sql(shop, "insert into app.customer (name) values ('since')")
    changed = compare.snapshot(pg15, shop)
    result = drtool.run("restore", "shop", "--in-place", "--yes", fail="restore.exchange.before:1:error")
    assert result.code == 1, result
    compare.same(changed, compare.snapshot(pg15, shop))
    run = re.search(r"drtool exchange ([0-9a-f]{6})", result.err)[1]
    drtool.ok("exchange", run, "--yes")
    assert pg15.sql(shop, "select count(*) from app.customer") == "50"


def test_a_damaged_archive_is_never_restored_in_silence(pg15, shop, drtool):
    (volume,) = drtool.archives("shop")
    members = [m for m in member_ranges(volume) if "/data/" in m[0] and "/big/" in m[0]]
    data = bytearray(volume.read_bytes())
    _, start, end = members[len(members) // 2]
    data[(start + end) // 2] ^= 1
    volume.chmod(0o600)
    volume.write_bytes(data)
    before = compare.snapshot(pg15, shop)
    result = drtool.fails(4, "restore", "shop", "--into", pg15.url(f"{shop}_copy"))
    assert "big" in result.text
    result = drtool.fails(4, "restore", "shop", "--in-place", "--yes")
    compare.same(before, compare.snapshot(pg15, shop))


def test_salvage_loads_what_is_intact_and_names_what_is_missing(pg15, shop, drtool):
    (volume,) = drtool.archives("shop")
    members = [m for m in member_ranges(volume) if "/data/" in m[0] and "/big/" in m[0]]
    assert len(members) > 6
    data = bytearray(volume.read_bytes())
    for _, start, end in members[2], members[5]:
        data[(start + end) // 2] ^= 1
    volume.chmod(0o600)
    volume.write_bytes(data)
    drtool.fails(4, "check", "shop")
    drtool.fails(2, "restore", "shop", "--salvage", "--in-place", "--yes")
    result = drtool.fails(4, "restore", "shop", "--backup", drtool.backups("shop")[-1], "--salvage", "--into", pg15.url(f"{shop}_rest"))
    assert "MISSING" in result.out and "big" in result.out
    before, after = compare.tables(pg15, shop), compare.tables(pg15, f"{shop}_rest")
    assert {n: r for n, r in before.items() if n != "public.big"} == {n: r for n, r in after.items() if n != "public.big"}
    lost = 10000 - int(pg15.sql(f"{shop}_rest", "select count(*) from big"))
    assert 0 < lost < 10000
    assert pg15.sql(f"{shop}_rest", "select count(*) from big where t <> repeat(md5(id::text), 10)") == "0"


@pytest.mark.parametrize("where", ["restore.finish.before:1:kill", "load.unit.done:9:kill"])
def test_a_salvage_that_is_resumed_still_names_what_is_missing(pg15, shop, drtool, where):
    (volume,) = drtool.archives("shop")
    members = [m for m in member_ranges(volume) if "/data/" in m[0] and "/big/" in m[0]]
    data = bytearray(volume.read_bytes())
    _, start, end = members[0]
    data[(start + end) // 2] ^= 1
    volume.chmod(0o600)
    volume.write_bytes(data)
    command = ["restore", "shop", "--salvage", "--into", pg15.url(f"{shop}_rest"), "--jobs", "1"]
    assert drtool.run(*command, fail=where).code == -signal.SIGKILL
    result = drtool.fails(4, *command, "--resume")
    assert "MISSING" in result.out and "big" in result.out, result


def test_a_salvage_without_a_page_of_the_index_names_the_tables_that_go_without(pg15, make_db, drtool):
    db = make_db(pg15, "create table wide (t text); insert into wide select repeat(md5(i::text), 100) from generate_series(1, 3000) i;"
                       "create table narrow (i int); insert into narrow values (1)", prefix="pages")
    drtool.ok("backup", pg15.url(db), "--name", "pages", "--chunk-size", "4KiB", "--jobs", "1")
    (volume,) = drtool.archives("pages")
    _, start, end = next(m for m in member_ranges(volume) if m[0].endswith("index/000001.tsv"))
    data = bytearray(volume.read_bytes())
    data[(start + end) // 2] ^= 1
    fault.write(volume, bytes(data))
    command = ["restore", "pages", "--salvage", "--into", pg15.url(f"{db}_rest")]
    result = drtool.fails(4, *command)
    assert "public.wide" in result.err and "--exclude-table" in result.err
    pg15.drop_db(f"{db}_rest")
    drtool.ok(*command, "--exclude-table", "public.wide")
    assert pg15.sql(f"{db}_rest", "select count(*) from narrow") == "1"


def test_a_truncated_archive_can_still_be_salvaged_or_says_why_not(pg15, shop, drtool):
    (volume,) = drtool.archives("shop")
    volume.chmod(0o600)
    os.truncate(volume, volume.stat().st_size // 2)
    drtool.fails(4, "check", "shop")
    result = drtool.run("restore", "shop", "--backup", drtool.backups("shop")[-1], "--salvage", "--into", pg15.url(f"{shop}_rest"))
    assert result.code == 4, result
    drtool.fails(4, "restore", "shop", "--backup", drtool.backups("shop")[-1], "--into", pg15.url(f"{shop}_rest2"))


def test_a_backup_known_to_be_bad_is_passed_over_and_said(pg15, shop, drtool):
    good = drtool.backups("shop")[-1]
    pg15.sql(shop, "insert into app.customer (name) values ('second')")
    drtool.ok("backup", "shop")
    bad = drtool.backups("shop")[-1]
    volume = next(p for p in drtool.archives("shop") if p.name.startswith(bad))
    data = bytearray(volume.read_bytes())
    data[len(data) // 2] ^= 0xFF
    volume.chmod(0o600)
    volume.write_bytes(data)
    drtool.fails(4, "check", "shop", "--backup", bad)
    result = drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"))
    assert good in result.text
    assert pg15.sql(f"{shop}_copy", "select count(*) from app.customer") == "50"
    assert "passed over" in result.err, result
    drtool.fails(4, "restore", "shop", "--backup", bad, "--into", pg15.url(f"{shop}_copy2"))


def test_a_name_of_63_bytes_is_cut_so_that_the_copy_has_room(pg15, make_db, drtool):
    name = "d" * 63
    pg15.create_db(name)
    try:
        pg15.sql(name, "create table t (i int); insert into t values (1)")
        drtool.ok("backup", pg15.url(name), "--name", "long")
        result = drtool.ok("restore", "long", "--into", pg15.url(""))
        run = run_of(result)
        (copy,) = [n for n in pg15.databases() if n.endswith(f"_restore_{run}")]
        assert len(copy) <= 63
        drtool.ok("exchange", run, "--yes")
        drtool.ok("exchange", run, "--back", "--yes")
        result = drtool.ok("exchange", run, "--drop", "--yes")
        assert f"{copy} is dropped" in result.out
        assert pg15.sql(name, "select count(*) from t") == "1"
    finally:
        for other in pg15.databases():
            if other.startswith("ddddd"):
                pg15.drop_db(other)


def test_the_evidence_of_a_restore_names_its_backup(pg15, shop, drtool):
    drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"))
    records = [json.loads(p.read_text()) for p in (drtool.store / "evidence" / "shop").glob("*-restore-*.json")]
    assert [r["backup"] for r in records] == drtool.backups("shop")


def test_the_backup_is_chosen_by_id_tag_or_proof(pg15, shop, drtool):
    first = drtool.backups("shop")[-1]
    drtool.ok("verify", "shop")
    pg15.sql(shop, "insert into app.customer (name) values ('second')")
    drtool.ok("backup", "shop", "--tag", "release=2")
    pg15.sql(shop, "insert into app.customer (name) values ('third')")
    drtool.ok("backup", "shop")
    for number, (flags, rows) in enumerate(((["--backup", first], 50), (["--backup", "latest-proven"], 50), (["--tag", "release=2"], 51),
                                            (["--backup", "latest"], 52), ([], 52))):
        drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_{number}"), *flags)
        assert pg15.sql(f"{shop}_{number}", "select count(*) from app.customer") == str(rows), flags
    drtool.fails(5, "restore", "shop", "--into", pg15.url(f"{shop}_x"), "--tag", "release=3")
    drtool.fails(5, "restore", "shop", "--into", pg15.url(f"{shop}_x"), "--backup", "20200101T000000Z-abcd")


@pytest.mark.parametrize("what", ["/big/", "drtool/index/0"])
def test_what_is_damaged_in_one_store_is_read_from_another(pg15, shop, drtool, what):
    other = drtool.dir / "other"
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}, other: {{url: \"file://{other}\"}}}}\n"
                  f"sources: {{shop: {{url: \"{pg15.url(shop)}\"}}}}\n")
    drtool.ok("backup", "shop", "--chunk-size", "32KiB")
    backup = drtool.backups("shop")[-1]
    volume = drtool.store / "shop" / "backup" / f"{backup}.tar.gz"
    data = bytearray(volume.read_bytes())
    for name, start, end in member_ranges(volume):
        if what in name:
            data[(start + end) // 2] ^= 1
    assert bytes(data) != volume.read_bytes()
    volume.chmod(0o600)
    volume.write_bytes(data)
    drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"), "--compare")
    compare.same(compare.snapshot(pg15, shop), compare.snapshot(pg15, f"{shop}_copy"))
    drtool.fails(4, "check", "shop", "--from", "local", "--backup", backup)
    drtool.ok("check", "shop", "--from", "other", "--backup", backup)


@pytest.fixture
def long_names(pg15, make_db, drtool):
    """Two databases whose names are cut alike, of which the second is restored beside: (first, second, copy, run)."""
    first, second = "t" * 59 + "a", "t" * 59 + "b"
    try:
        for name in (first, second):
            pg15.create_db(name)
            pg15.sql(name, f"create table t (n text); insert into t values ('{name[-1]}')")
        drtool.ok("backup", pg15.url(second), "--name", "long")
        run = run_of(drtool.ok("restore", "long", "--into", pg15.url("")))
        (copy,) = [n for n in pg15.databases() if n.endswith(f"_restore_{run}")]
        yield first, second, copy, run
    finally:
        for name in pg15.databases():
            if name.startswith("ttttt"):
                pg15.drop_db(name)


def test_an_exchange_does_not_guess_between_two_names_that_are_cut_alike(pg15, long_names, drtool):
    first, second, copy, run = long_names
    for flags in ([], ["--back"], ["--drop"]):
        result = drtool.fails(7, "exchange", run, "--yes", "--into", pg15.url(""), *flags)
        assert first in result.err and second in result.err and "RENAME TO" in result.err and "--rename" in result.err
    assert set(pg15.databases()) >= {first, second, copy}
    assert [pg15.sql(name, "select n from t") for name in (first, second, copy)] == ["a", "b", "b"]
    result = drtool.fails(7, "exchange", run, "--yes")
    assert first in result.err and second in result.err


def test_an_exchange_takes_no_cut_name_for_a_whole_one(pg15, long_names, drtool):
    first, second, copy, run = long_names
    pg15.drop_db(first)
    pg15.drop_db(second)
    drtool.fails(7, "exchange", run, "--yes", "--into", pg15.url(""))
    assert copy in pg15.databases()


def test_a_database_whose_drop_was_cut_off_is_dropped_by_the_exchange(pg15, shop, drtool):
    run = run_of(drtool.ok("restore", "shop", "--in-place", "--yes"))
    (aside,) = copies(pg15, shop)
    pg15.sql("postgres", f"update pg_database set datconnlimit = -2 where datname = '{aside}'")
    drtool.ok("exchange", run, "--drop", "--yes")
    assert copies(pg15, shop) == []


def test_a_database_whose_drop_was_cut_off_takes_no_restore(pg15, shop, drtool):
    pg15.sql("postgres", f"update pg_database set datconnlimit = -2 where datname = '{shop}'")
    result = drtool.fails(7, "restore", "shop")
    assert "takes no connections" in result.err
    assert copies(pg15, shop) == []
