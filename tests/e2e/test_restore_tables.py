"""Restores of single tables that stop half way: --resume goes on from what is there, and takes nothing else for its own."""

import re

import pytest

TABLES = """
    create table plain (i int, t text);
    create table a (id serial primary key, t text not null, n int unique check (n > 0));
    create table b (id int primary key, t text);
    create index a_t on a (t);
    insert into plain select i, 't' || i from generate_series(1, 100) i;
    insert into a (t, n) select 't' || i, i from generate_series(1, 100) i;
    insert into b select i, 't' || i from generate_series(1, 100) i;
"""
CONSTRAINTS = "select contype, pg_get_constraintdef(oid) from pg_constraint where conrelid = '{}'::regclass order by 1, 2"
INDEXES = "select regexp_replace(indexdef, '^.* USING ', '') from pg_indexes where schemaname = 'public' and tablename = '{}' order by 1"


@pytest.fixture
def tables(pg15, make_db, drtool):
    """A database that is backed up as `tables`."""
    db = make_db(pg15, TABLES, prefix="tables")
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{tables: {{url: \"{pg15.url(db)}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "tables")
    return db


def refuse(server, db, tag, name=""):
    """From now on the database refuses commands of this tag, by which a definition is made."""
    server.sql(db, f"""
        create function refuse() returns event_trigger language plpgsql as $$ begin
            if exists (select from pg_event_trigger_ddl_commands() where command_tag = '{tag}' and object_identity like '%{name}')
            then raise exception 'refused by the test'; end if; end $$;
        create event trigger refuse_{db} on ddl_command_end execute function refuse()""")


def allow(server, db):
    server.sql(db, f"drop event trigger refuse_{db}; drop function refuse()")


def run_of(result):
    found = re.search(r"--resume=([0-9a-f]{6})", result.text)
    assert found, result
    return found[1]


def confirmed(drtool, *args):
    plan = drtool.ok(*args, "--clean", "--dry-run")
    return [*args, "--clean", "--yes", "--confirm", re.search(r"--confirm '([^']+)'", plan.out)[1]]


def test_a_table_that_could_not_be_dropped_is_dropped_by_the_resumed_restore(pg15, tables, drtool):
    pg15.sql(tables, "update plain set t = 'spoilt'; create function uses() returns setof plain language sql as 'select * from plain'")
    command = confirmed(drtool, "restore", "tables", "--table", "public.plain")
    run = run_of(drtool.fails(1, *command))
    drtool.fails(1, *command, f"--resume={run}")
    assert pg15.sql(tables, "select count(*) from plain where t = 'spoilt'") == "100"
    pg15.sql(tables, "drop function uses()")
    drtool.ok(*command, f"--resume={run}")
    assert pg15.sql(tables, "select count(*), count(distinct i), count(*) filter (where t = 'spoilt') from plain") == "100|100|0"


def test_a_table_that_was_dropped_and_loaded_is_not_dropped_again(pg15, tables, drtool):
    command = confirmed(drtool, "restore", "tables", "--table", "public.plain")
    run = run_of(drtool.fails(1, *command, fail="load.unit.done:1:error"))
    drtool.ok(*command, f"--resume={run}")
    assert pg15.sql(tables, "select count(*), count(distinct i) from plain") == "100|100"


def test_a_renamed_table_whose_definitions_were_half_made_comes_whole(pg15, tables, drtool):
    constraints, indexes = (pg15.sql(tables, query.format("a")) for query in (CONSTRAINTS, INDEXES))
    pg15.sql(tables, "drop table a")
    refuse(pg15, tables, "CREATE SEQUENCE")
    command = ["restore", "tables", "--table", "public.a", "--rename", "public.a=public.copy"]
    run = run_of(drtool.fails(1, *command))
    allow(pg15, tables)
    drtool.ok(*command, f"--resume={run}")
    assert pg15.sql(tables, "select to_regclass('public.a') is null, count(*), max(n) from copy") == "t|100|100"
    assert pg15.sql(tables, CONSTRAINTS.format("copy")) == constraints
    assert pg15.sql(tables, INDEXES.format("copy")) == indexes


def test_a_renamed_table_that_was_made_like_another_is_not_made_again(pg15, tables, drtool):
    refuse(pg15, tables, "CREATE TABLE", "b_copy")
    command = ["restore", "tables"]
    for name in ("a", "b"):
        command += ["--table", f"public.{name}", "--rename", f"public.{name}=public.{name}_copy"]
    run = run_of(drtool.fails(1, *command))
    allow(pg15, tables)
    drtool.ok(*command, f"--resume={run}")
    for name in ("a", "b"):
        assert pg15.sql(tables, f"select count(*) from {name}_copy") == "100"
        assert pg15.sql(tables, INDEXES.format(f"{name}_copy")) == pg15.sql(tables, INDEXES.format(name))


def test_a_restore_of_a_renamed_table_that_was_killed_at_its_end_is_resumed(pg15, tables, drtool):
    pg15.sql(tables, "drop table a")
    command = ["restore", "tables", "--table", "public.a", "--rename", "public.a=public.copy"]
    drtool.fails(-9, *command, fail="postgres.load.end.before:1:kill")
    drtool.ok(*command, "--resume")
    assert pg15.sql(tables, "select to_regclass('public.a') is null, count(*), max(n) from copy") == "t|100|100"


def test_what_a_refusal_advises_is_possible(pg15, tables, drtool):
    result = drtool.fails(7, "restore", "tables", "--table", "public.plain", "--data-only")
    assert "holds rows already" in result.err and "--clean" not in result.err, result
    pg15.sql(tables, "create view uses as select * from plain")
    result = drtool.fails(7, "restore", "tables", "--table", "public.plain", "--clean", "--dry-run")
    assert "view public.uses depends on it" in result.err and "--data-only --clean" not in result.err, result
    drtool.ok("restore", "tables", "--table", "public.plain", "--rename", "public.plain=public.other")
    pg15.sql(tables, "truncate plain")
    drtool.ok("restore", "tables", "--table", "public.plain", "--data-only")


def test_clean_drops_no_table_that_is_restored_under_another_name(pg15, tables, drtool):
    command = ["restore", "tables", "--table", "public.a", "--rename", "public.a=public.copy", "--clean"]
    plan = drtool.run(*command, "--dry-run")
    confirm = re.search(r"--confirm '([^']+)'", plan.out)
    drtool.ok(*command, "--yes", *(["--confirm", confirm[1]] if confirm else []))
    assert pg15.sql(tables, "select (select count(*) from a), (select count(*) from copy)") == "100|100"
