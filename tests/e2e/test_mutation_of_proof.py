"""verify must fail when anything is not as it was: each kind of object is altered or removed in the restored copy in turn.

A failpoint holds verify between the load and the comparison; meanwhile the test alters the copy on the scratch server.
Every alteration must be named among the differences.
"""

import re
import time

import odd
import pytest

# What is done to the copy, and how verify must name it.
DATA = [
    ("delete from odd.serial where id = 7", r"odd\.serial\b"),
    ("update odd.numbers set f8 = 0.3 where id = 7", r"odd\.numbers\b"),
    ("insert into odd.empty values (1, 'x')", r"odd\.empty\b"),
    ("update odd.bytes set t = null where id = 2", r"odd\.bytes\b"),
    ("insert into odd.no_columns default values", r"odd\.no_columns\b"),
    ("update odd.large_row set b = set_byte(b, 4000000, (get_byte(b, 4000000) + 1) % 256) where id = 2", r"odd\.large_row\b"),
    ("update odd.times set iv = '1 mon' where id = 5", r"odd\.times\b"),
    ("update odd.arrays set c = '[-1:1]={7,8,9}' where id = 1", r"odd\.arrays\b"),
    ("update odd.documents set j = '{\"a\":1,\"a\":2}' where id = 1", r"odd\.documents\b"),
    ("update odd.big set a = a || ' ' where id = 20001", r"odd\.big\b"),
    ("insert into odd.measure_2023 values ('2020-01-01', 1, 1)", r"odd\.measure_2023\b"),
    ("update only odd.base set t = 'other'", r"odd\.base\b"),
    ("update odd.unlogged set t = 'x' where id = 2", r"odd\.unlogged\b"),
    ("insert into \"Mixed Case\".\"100%\" values (1)", r"100%"),
    ("select lo_put(700002, 0, 'S')", r"large objects"),
    ("select setval('odd.called', 1)", r"sequence value odd\.called"),
    ("select setval('odd.down_once', -5)", r"sequence value odd\.down_once"),
    ("select setval('odd.identity_id_seq', 100)", r"sequence value odd\.identity_id_seq"),
]

TABLES = [
    ("drop index odd.brin_index", r"index odd\.brin_index.* missing"),
    ("drop index odd.hash_index; create index hash_index on odd.owns (x)", r"index odd\.hash_index.* differs"),
    ("alter index odd.expression_index alter column 1 set statistics 99", r"index column odd\.expression_index"),
    ("alter table odd.serial set without cluster", r"index odd\.serial_pkey.* differs"),
    ("alter table odd.parent drop constraint code_is_short", r"constraint code_is_short .* missing"),
    ("alter table odd.circle_b drop constraint circle_b_a_fkey", r"constraint circle_b_a_fkey .* missing"),
    ("alter table odd.child alter constraint child_parent_id_fkey not deferrable", r"constraint child_parent_id_fkey .* differs"),
    ("alter table odd.child validate constraint not_checked", r"constraint not_checked on"),
    ("alter table odd.excluded drop constraint excluded_during_excl", r"constraint excluded_during_excl .* missing"),
    ("alter table odd.settings alter b set default 'x'", r"column odd\.settings\.b"),
    ("alter table odd.settings alter a set not null", r"column odd\.settings\.a"),
    ("alter table odd.standalone_holder alter id type bigint", r"column odd\.standalone_holder\.id"),
    ("alter table odd.identity alter other drop identity", r"column odd\.identity\.other"),
    ("alter table odd.generated alter d drop expression", r"column odd\.generated\.d"),
    ("alter table odd.large_row add column extra int", r"column odd\.large_row\.extra.* was not"),
    ("alter table odd.numbers alter n set storage external", r"column odd\.numbers\.n\b"),
    ("alter table odd.numbers alter n2 set statistics 7", r"column odd\.numbers\.n2\b"),
    ("alter table odd.collated alter b type text collate \"POSIX\"", r"column odd\.collated\.b"),
    ("alter table odd.measure detach partition odd.measure_default", r"table odd\.measure_default"),
    ("alter table odd.twice_derived no inherit odd.other_base", r"table odd\.twice_derived"),
    ("alter table odd.settings set (fillfactor = 80)", r"table odd\.settings"),
    ("alter table odd.unlogged set logged", r"table odd\.unlogged"),
    ("alter table odd.parent replica identity full", r"table odd\.parent"),
    ("alter table odd.policies_off enable row level security", r"table odd\.policies_off"),
    ("alter table odd.secured no force row level security", r"table odd\.secured"),
    ("drop policy readers on odd.secured", r"policy readers on .* missing"),
    ("alter policy mine on odd.secured using (true)", r"policy mine on .* differs"),
    ("alter table odd.parent disable trigger never_in_restore", r"trigger never_in_restore"),
    ("drop trigger touch on odd.child", r"trigger touch on .* missing"),
    ("drop rule also on odd.empty", r"rule also on .* missing"),
    ("alter table odd.other_base disable rule instead_of", r"rule instead_of on .* differs"),
    ("drop statistics odd.stats_expression", r"statistics object odd\.stats_expression.* missing"),
    ("alter statistics odd.stats set statistics 43", r"statistics object odd\.stats\b"),
    ("alter sequence odd.tiny increment 2", r"sequence odd\.tiny"),
    ("alter sequence odd.standalone_owned owned by none", r"sequence odd\.standalone_owned"),
    ("alter foreign table odd.foreign_table options (set table_name 'y')", r"table odd\.foreign_table"),
    ("alter view odd.v2 reset (security_barrier)", r"view odd\.v2"),
    ("drop view odd.needs_key", r"view odd\.needs_key.* missing"),
    ("create or replace view odd.counting as select 1 as n", r"view odd\.counting.* differs"),
    ("refresh materialized view odd.with_settings with no data", r"materialized view odd\.with_settings"),
    ("drop materialized view odd.not_filled", r"materialized view odd\.not_filled.* missing"),
]

OBJECTS = [
    ("drop schema empty_schema", r"schema empty_schema.* missing"),
    ("create schema extra_schema", r"schema extra_schema.* was not"),
    ("create table odd.extra_table (i int)", r"table odd\.extra_table.* was not"),
    ("drop function odd.variadic_sum(int[])", r"function odd\.variadic_sum.* missing"),
    ("create or replace procedure odd.noop(inout i int) language plpgsql as $p$ begin i := i + 2; end $p$", r"function odd\.noop"),
    ("alter function odd.is_even(int) cost 8", r"function odd\.is_even.* differs"),
    ("alter function odd.secure() reset search_path", r"function odd\.secure"),
    ("create or replace function odd.log_ddl() returns event_trigger language plpgsql as $f$ begin end $f$", r"function odd\.log_ddl"),
    ("drop aggregate odd.last_of(anycompatible)", r"odd\.last_of.* missing"),
    ("alter type odd.colour add value 'late'", r"type odd\.colour|enum odd\.colour"),
    ("alter domain odd.email drop constraint has_at", r"odd\.email|has_at"),
    ("drop type odd.unused; create type odd.unused as (x int, y text)", r"odd\.unused"),
    ("drop type odd.shell", r"odd\.shell"),
    ("drop cast (int as odd.pair)", r"cast .*odd\.pair.* missing"),
    ("drop operator odd.<<< (odd.pair, odd.pair)", r"operator odd\.<<<.* missing"),
    ("drop index odd.backwards_index; drop operator class odd.backwards using btree", r"operator class odd\.backwards .* missing"),
    ("create collation odd.extra (locale = 'C')", r"collation odd\.extra.* was not"),
    ("drop conversion odd.conversion", r"conversion odd\.conversion.* missing"),
    ("alter text search configuration odd.search drop mapping for asciiword", r"search configuration odd\.search"),
    ("alter text search dictionary odd.simple_dict (accept = false)", r"dictionary odd\.simple_dict"),
    ("alter publication odd_schema set (publish = 'insert')", r"publication odd_schema"),
    ("alter publication odd_some drop table odd.child", r"publication table odd_some"),
    ("alter publication odd_some set table odd.parent (id) where (id > 11)", r"publication table odd_some"),
    ("alter publication odd_schema drop tables in schema odd", r"publication schema odd_schema"),
    ("alter subscription odd_subscription set publication p1 with (refresh = false)", r"subscription odd_subscription"),
    ("alter event trigger odd_off enable", r"event trigger odd_off"),
    ("drop event trigger odd_always", r"event trigger odd_always.* missing"),
    ("alter foreign data wrapper odd_wrapper options (set debug 'false')", r"foreign data wrapper odd_wrapper"),
    ("alter server odd_server options (set host 'x')", r"server odd_server"),
    ("drop user mapping for public server odd_server", r"user mapping .*odd_server.* missing"),
    ("alter user mapping for odd_reader server odd_server options (set password 'x')", r"user mapping odd_reader on odd_server"),
    ("grant insert on odd.numbers to odd_reader", r"rights relation odd\.numbers"),
    ("revoke references (id) on odd.parent from odd_group", r"rights column odd\.parent\.id"),
    ("grant create on schema odd to public", r"rights schema odd"),
    ("grant usage on type odd.colour to odd_group", r"rights type odd\.colour"),
    ("revoke execute on function odd.secure() from odd_reader", r"rights function odd\.secure"),
    ("revoke select on large object 700003 from odd_reader", r"large objects"),
    ("comment on large object 700002 is 'other'", r"comments on large objects"),
    ("alter table odd.geometry owner to odd_owner", r"owner relation odd\.geometry"),
    ("alter function odd.twice(int) owner to odd_owner", r"owner function odd\.twice"),
    ("alter schema \"Mixed Case\" owner to odd_owner", r"owner schema \"Mixed Case\""),
    ("alter default privileges for role odd_owner in schema odd revoke select on tables from odd_reader", r"default rights odd_owner odd"),
    ("comment on table odd.measure is 'other'", r"comment table odd\.measure"),
    ("comment on column odd.generated.b is null", r"comment table column odd\.generated\.b"),
    ("comment on constraint not_checked on odd.child is null", r"comment table constraint"),
    ("alter database :\"DBNAME\" set work_mem = '11MB'", r"database setting .*work_mem"),
]

ONLY_15 = [
    ("drop extension \"uuid-ossp\"", r"extension uuid-ossp.* missing"),
    ("alter extension citext set schema odd", r"extension citext.* differs"),
]

ONLY_18 = [
    ("alter table odd.virtual alter v set expression as (a * 4)", r"column odd\.virtual\.v"),
    ("alter table odd.not_enforced drop constraint loose", r"constraint loose on .* missing"),
    ("alter table odd.not_nulls drop constraint b_is_there", r"constraint b_is_there on .* missing"),
    ("alter table odd.temporal_child drop constraint temporal_child_parent_valid_fkey", r"constraint temporal_child_parent_valid_fkey"),
]


def held_verify(drtool, server, scratch, alter, ms=7000):
    """Runs verify, and `alter` on the copy when it is loaded; returns the Result."""
    process = drtool.start("verify", "odd", fail=f"verify.loaded:1:delay={ms}")
    deadline = time.monotonic() + 60
    quiet = 0
    while quiet < 3:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.2)
        found = scratch.sql("postgres", """
            select datname, (select count(*) from pg_stat_activity a where a.datname = d.datname and a.state <> 'idle') from pg_database d
                where datname like 'drtool\\_verify%'""").splitlines()
        quiet = quiet + 1 if found and found[0].endswith("|0") and is_loaded(scratch, found[0].split("|")[0]) else 0
    alter(found[0].split("|")[0])
    assert process.poll() is None, "verify went on before the copy was altered"
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def is_loaded(scratch, name):
    """Indexes, views and event triggers come last; views are filled when they are there."""
    return scratch.sql(name, "select (select count(*) from pg_event_trigger) = 3 and "
                             "not exists (select from pg_class where relkind = 'm' and not relispopulated and relname <> 'not_filled')") == "t"


@pytest.fixture
def odd_verify(servers, drtool):
    """odd_verify(VERSION): the odd schema, backed up, with the server itself as its scratch server."""
    made = []

    def make(version):
        server = servers(version)
        made.append(server)
        odd.drop_copies(server, "odd", "drtool_verify")
        odd.create(server, "odd_0")
        server.sql("odd_0", "create sequence odd.holder_seq; create table odd.standalone_holder (id int default nextval('odd.holder_seq'))")
        drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                      f"sources: {{odd: {{url: \"{server.url('odd_0')}\", scratch: \"{server.url('postgres')}\"}}}}\n")
        drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
        drtool.ok("backup", "odd")
        return server

    yield make
    for server in made:
        odd.drop_copies(server, "odd", "drtool_verify")


@pytest.mark.parametrize("version", [15, 18])
@pytest.mark.parametrize("group", ["data", "tables", "objects"])
def test_every_alteration_of_the_copy_is_found(odd_verify, drtool, version, group):
    server = odd_verify(version)
    mutations = {"data": DATA, "tables": TABLES + (ONLY_18 if version == 18 else []), "objects": OBJECTS + (ONLY_15 if version == 15 else [])}[group]
    script = "set session_replication_role = replica;\n" + "".join(f"{statement};\n" for statement, _ in mutations)
    code, out, err = held_verify(drtool, server, server, lambda name: server.sql(name, script))
    assert code == 4, (out, err)
    lines = [line for line in (out + err).splitlines()]
    unseen = [statement for statement, pattern in mutations if not any(re.search(pattern, line) for line in lines)]
    assert not unseen, "not noticed:\n" + "\n".join(unseen) + "\n--- of:\n" + out + err
    assert drtool.ok("list", "--json").json[0]["backups"][0]["bad"]
    assert [name for name in server.databases() if name.startswith("drtool_verify")] == []


def test_an_unaltered_copy_is_equal(odd_verify, drtool):
    server = odd_verify(15)
    code, out, err = held_verify(drtool, server, server, lambda name: None, ms=2000)
    assert code == 0, (out, err)


@pytest.mark.parametrize("statement, pattern", [
    ("alter table odd.many_columns drop column c300", r"odd\.many_columns"),
    ("drop table odd.net", r"odd\.net"),
    ("alter table odd.net rename to net2", r"odd\.net"),
    ("drop schema odd cascade", r"odd\."),
    ("alter table odd.bytes rename column t to text", r"odd\.bytes"),
])
def test_a_table_that_cannot_be_read_as_it_was_is_a_difference(odd_verify, drtool, statement, pattern):
    server = odd_verify(15)
    code, out, err = held_verify(drtool, server, server, lambda name: server.sql(name, statement), ms=4000)
    assert code == 4, (out, err)
    assert re.search(pattern, out + err)
