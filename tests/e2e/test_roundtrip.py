"""What comes back is what was there: judged by pg_dump and COPY, then by drtool's own verify."""

import threading

import compare
import odd
import pg
import pytest


def config(drtool, source, url, extra="", store_extra=""):
    """A configuration with one source; returns the flags to use it."""
    lines = "".join(f"    {line}\n" for line in extra.splitlines())
    path = drtool.config(f"stores:\n  local: {{url: \"{drtool.store_url}\"{store_extra}}}\nsources:\n  {source}:\n    url: \"{url}\"\n{lines}")
    return "--config", str(path)


def proof(drtool, source, *flags):
    """The level of the newest backup, as list says it."""
    return drtool.ok("list", source, "--json", *flags).json[0]["backups"][-1]["proof"]


def index_of(drtool, source, backup=None):
    """{name: (size, content)} of the entries of an archive, by GNU tar's rules, without those that say when it was made."""
    import tarfile

    found = {}
    for volume in [p for p in drtool.archives(source) if backup is None or p.name.startswith(backup)]:
        with tarfile.open(volume) as tar:
            for member in tar:
                found[member.name] = tar.extractfile(member).read() if member.isfile() else None
    return found


@pytest.fixture
def odd_db(request):
    """odd_db(SERVER, portable=False): the odd schema in a database of its own; every database of the test goes with it."""
    made = []

    def make(server, portable=False, prefix="odd"):
        name = f"{prefix}_{len(made)}"
        odd.drop_copies(server, prefix)
        made.append((server, prefix))
        return odd.create(server, name, portable)

    yield make
    for server, prefix in made:
        odd.drop_copies(server, prefix)


def test_one_of_everything_comes_back_as_it_was(pg_any, odd_db, drtool):
    db = odd_db(pg_any)
    flags = config(drtool, "odd", pg_any.url(db), "split_above: 1MiB")
    before = compare.snapshot(pg_any, db)

    drtool.ok("backup", "odd", *flags)
    odd.drop(pg_any, db)
    drtool.ok("restore", "odd", *flags)

    compare.same(before, compare.snapshot(pg_any, db))
    assert pg_any.sql(db, "select subenabled from pg_subscription") == "f"


def test_verify_proves_one_of_everything(pg_any, odd_db, drtool):
    db = odd_db(pg_any)
    flags = config(drtool, "odd", pg_any.url(db), "split_above: 1MiB")
    drtool.ok("backup", "odd", *flags, "--chunk-size", "64KiB")
    assert proof(drtool, "odd", *flags) == "stored"
    drtool.ok("check", "odd", *flags)
    assert proof(drtool, "odd", *flags) == "checked"
    drtool.ok("verify", "odd", *flags)
    assert proof(drtool, "odd", *flags) == "compared"


def test_a_restore_with_compare_finds_no_difference(pg15, odd_db, drtool):
    db = odd_db(pg15)
    drtool.ok("backup", pg15.url(db), "--name", "odd")
    result = drtool.ok("restore", "odd", "--into", pg15.url("odd_copy"), "--compare")
    assert "compared and equal" in result.out


@pytest.mark.parametrize("old, new", [(15, 16), (16, 18), (15, 18)])
def test_an_archive_of_an_older_server_is_restored_by_a_newer_one(servers, odd_db, drtool, old, new):
    source, target = servers(old), servers(new)
    db = odd_db(source, portable=True)
    odd.drop_copies(target, "odd")
    before = compare.tables(source, db)
    sequences = source.sql(db, compare._SEQUENCES)
    large = source.sql(db, compare._LARGE_OBJECTS)

    drtool.ok("backup", source.url(db), "--name", "odd")
    drtool.ok("restore", "odd", "--into", target.url("odd_moved"))

    compare.same(before, compare.tables(target, "odd_moved"))
    assert target.sql("odd_moved", compare._SEQUENCES) == sequences
    assert target.sql("odd_moved", compare._LARGE_OBJECTS) == large
    # The stock way makes the reference: versions print the same view in different words.
    target.create_db("odd_reference")
    target.sql("odd_reference", source.pg_dump(db, "--schema-only"))
    target.sql("odd_reference", "".join(f"refresh materialized view {name};\n" for name in ("odd.z_first", "odd.a_second")))
    compare.same({"schema": compare.schema(target, "odd_reference")}, {"schema": compare.schema(target, "odd_moved")})
    odd.drop_copies(target, "odd")


def test_the_oldest_client_is_named_and_that_of_the_server_is_used(pg_any, make_db, drtool):
    db = make_db(pg_any, "create table t (i int)")
    drtool.ok("backup", pg_any.url(db), "--name", "shop")
    manifest = drtool.manifest("shop")
    assert any(tool.startswith(f"pg_dump {pg_any.version}.") for tool in manifest["client_tools"]), manifest
    assert manifest["oldest_client"] == {15: "pg_restore 12", 16: "pg_restore 16", 18: "pg_restore 17"}[pg_any.version]


def test_a_newer_client_alone_backs_up_and_restores_an_older_server(pg15, pg18, odd_db, drtool):
    """As on a machine that has the programs of 18 only. They write a subscription in words that 15 does not know."""
    db = odd_db(pg15)
    odd.disarm(pg15, db)
    before = compare.snapshot(pg15, db)
    client = ("--client-path", pg18.bin)
    drtool.ok("backup", pg15.url(db), "--name", "odd", *client)
    odd.drop(pg15, db)
    drtool.ok("restore", "odd", "--into", pg15.url(db), *client)
    compare.same(before, compare.snapshot(pg15, db))


# --- encodings ---

@pytest.mark.parametrize("version", [15, 18])
def test_bytes_of_an_sql_ascii_database_come_back_unchanged(servers, make_db, drtool, version):
    server = servers(version)
    db = make_db(server, prefix="ascii", options="encoding 'SQL_ASCII' locale 'C' template template0")
    server.sql(db, r"""
        create table t (id int primary key, t text);
        insert into t values (1, E'\xe4\xf6'), (2, E'\xff\xfe\x80'), (3, E'\xc3\xa4'), (4, 'plain'), (5, E'\xe4\\N\t');
    """)
    check_round_trip(server, db, drtool, "t")
    drtool.ok("verify", "raw")


def test_bytes_of_a_latin1_database_come_back_unchanged(pg_any, make_db, drtool):
    db = make_db(pg_any, prefix="latin", options="encoding 'LATIN1' locale 'C' template template0")
    pg_any.sql(db, "create table \"tä\" (id int primary key, \"ß\" text default 'ü'); comment on table \"tä\" is 'Käse';"
                   "insert into \"tä\" values (1, 'äöüß'), (2, chr(255) || chr(160)), (3, default); "
                   "create view v as select * from \"tä\" where \"ß\" <> 'é'; create function f() returns text language sql as $$ select 'ñ' $$;")
    check_round_trip(pg_any, db, drtool, '"tä"')
    drtool.ok("verify", "raw")


def check_round_trip(server, db, drtool, table):
    before = compare.snapshot(server, db)
    raw = server.client("psql", "-XAtq", "-d", f"dbname={db} client_encoding=" + server.sql(db, "show server_encoding"),
                        "-c", f"copy {table_bytes(server, db)} to stdout", text=False)
    drtool.ok("backup", server.url(db), "--name", "raw")
    server.drop_db(db)
    drtool.ok("restore", "raw", "--into", server.url(db))
    compare.same(before, compare.snapshot(server, db))
    assert raw == server.client("psql", "-XAtq", "-d", f"dbname={db} client_encoding=" + server.sql(db, "show server_encoding"),
                                "-c", f"copy {table_bytes(server, db)} to stdout", text=False)


def table_bytes(server, db):
    """The only table, by a name in plain ASCII."""
    server.sql(db, "drop view if exists only_table")
    name = server.sql(db, "select quote_ident(relname) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
    return f"(select * from {name} order by id)"


# --- several databases ---

def test_databases_are_chosen_by_patterns_and_each_comes_back(make_server, drtool):
    server = make_server(15)
    for name in ("shop_eu", "shop_us", "shop_test", "other", "Odd.Näme/1"):
        server.create_db(name)
        server.sql(name, f"create table t (i int, n text); insert into t select i, {pg.literal(name)} from generate_series(1, 10) i")
    flags = config(drtool, "shops", server.url(""), 'databases: ["shop_*", "Odd*"]\nexclude: ["*_test"]')
    result = drtool.ok("backup", "shops", *flags)
    scopes = [scope["name"] for scope in drtool.manifest("shops")["scopes"]]
    assert sorted(scopes) == ["Odd.Näme/1", "shop_eu", "shop_us"]
    assert "other" in result.err and "no source" in result.err
    assert "shop_test" not in result.err

    before = {name: compare.snapshot(server, name) for name in scopes}
    for name in scopes:
        server.drop_db(name)
    drtool.ok("restore", "shops", *flags)
    for name in scopes:
        compare.same(before[name], compare.snapshot(server, name))

    server.drop_db("shop_us")
    server.drop_db("shop_eu")
    drtool.ok("restore", "shops", "--database", "shop_us", *flags)
    assert "shop_us" in server.databases() and "shop_eu" not in server.databases()


def test_a_star_means_every_database_and_none_is_uncovered(make_server, drtool):
    server = make_server(16)
    for name in ("a", "b"):
        server.create_db(name)
        server.sql(name, "create table t (i int); insert into t values (1)")
    flags = config(drtool, "all", server.url(""), 'databases: ["*"]')
    result = drtool.ok("backup", "all", *flags)
    assert [scope["name"] for scope in drtool.manifest("all")["scopes"]] == ["a", "b", "postgres"]
    assert "no source" not in result.err
    drtool.ok("verify", "all", *flags)
    assert proof(drtool, "all", *flags) == "compared"


# --- what belongs to the server ---

def test_roles_and_tablespaces_come_back_on_an_empty_server(make_server, drtool):
    old, new = make_server(16, fresh=True), make_server(16, fresh=True)
    space = pg.temp_dir("space")
    if pg.os.geteuid() == 0:
        pg.shutil.chown(space, "postgres", "postgres")
    odd.create(old, "odd_roles_db", portable=True)
    old.sql("postgres", f"create tablespace fast owner odd_owner location {pg.literal(str(space))}")
    old.sql("postgres", "create database spaced owner odd_owner connection limit 17; comment on database spaced is 'a database';"
                        "alter database spaced set work_mem = '5MB'; alter role odd_member in database spaced set search_path = 'x', public;"
                        "revoke connect on database spaced from public; grant connect, temporary on database spaced to odd_reader;")
    old.sql("spaced", "create table t (i int primary key using index tablespace fast) tablespace fast; insert into t values (1)")
    before_roles, before = odd.roles(old), compare.snapshot(old, "spaced")
    ask_hashes = "select rolname, rolpassword from pg_authid where rolname !~ '^(pg_|postgres$)' order by 1"
    hashes = old.sql("postgres", ask_hashes)

    drtool.ok("backup", old.url(""), "--name", "all")
    assert drtool.manifest("all")["has_password_hashes"] is True
    refused = drtool.fails(7, "restore", "all", "--into", new.url(""), "--users", "all", "--database", "spaced")
    confirm = refused.err.split("--confirm '")[1].split("'")[0]
    drtool.ok("restore", "all", "--into", new.url(""), "--users", "all", "--database", "spaced", "--confirm", confirm)

    assert odd.roles(new) == before_roles
    assert new.sql("postgres", ask_hashes) == hashes
    after = compare.snapshot(new, "spaced")
    # The folder of a tablespace belongs to a machine: what is not there goes into the default one.
    before["schema"] = before["schema"].replace("SET default_tablespace = fast;", "SET default_tablespace = '';").replace("; Tablespace: fast", "")
    compare.same(before, after)


def test_roles_that_are_missing_are_made_without_login_and_others_stay_as_they_are(make_server, drtool):
    old, new = make_server(15, fresh=True), make_server(15, fresh=True)
    for server, login in ((old, "login password 'x'"), (new, "nologin createdb")):
        server.sql("postgres", f"create role keeper {login}")
    old.sql("postgres", "create role app login superuser password 'y'; create role unused login; create database shop owner app")
    old.sql("shop", "set role app; create table t (i int); grant select on t to keeper")
    drtool.ok("backup", old.url("shop"), "--name", "shop")
    drtool.ok("restore", "shop", "--into", new.url("shop"))
    found = new.sql("postgres", "select rolname, rolcanlogin, rolsuper, rolcreatedb from pg_roles where rolname !~ '^(pg_|postgres)' order by 1")
    assert found.splitlines() == ["app|f|f|f", "keeper|f|f|t"]
    assert new.sql("shop", "select tableowner from pg_tables where tablename = 't'") == "app"


# --- the same archive whatever the jobs ---

def test_one_job_and_four_make_the_same_members(pg15, make_db, drtool):
    db = make_db(pg15, "create table big (id int primary key, t text); insert into big select i, repeat(md5(i::text), 5) from generate_series(1, 20000) i;"
                       "delete from big where id % 3 = 0; create table small (i int); insert into small select generate_series(1, 5)")
    flags = config(drtool, "shop", pg15.url(db), "split_above: 512KiB")
    contents = []
    for jobs in ("1", "4"):
        drtool.ok("backup", "shop", *flags, "--jobs", jobs, "--chunk-size", "32KiB")
        contents.append({name: data for name, data in index_of(drtool, "shop", drtool.backups("shop")[-1]).items() if "/data/" in name})
    assert len(contents[0]) > 40
    assert any("/0002-" in name for name in contents[0]), "the table was not split"
    assert contents[0] == contents[1]


def test_every_backup_under_concurrent_writers_holds_one_moment(pg15, make_db, drtool):
    db = make_db(pg15, """
        create table account (id int primary key, balance int, filler text) with (fillfactor = 50);
        insert into account select i, 100, repeat('x', 200) from generate_series(1, 6000) i;
        create table moved (id serial primary key, amount int);
        create table total (n int); insert into total values (0);
    """)
    flags = config(drtool, "bank", pg15.url(db), "split_above: 256KiB")
    stop = threading.Event()

    def move(seed):
        with pg15.session(db) as session:
            while not stop.is_set():
                session.run("do $$ declare a int := random() * 5999 + 1; b int := random() * 5999 + 1; n int := random() * 50; begin "
                            "update account set balance = balance - n where id = a; update account set balance = balance + n where id = b; "
                            "insert into moved (amount) values (n); update total set n = total.n + 1; end $$;")

    writers = [threading.Thread(target=move, args=(i,)) for i in range(3)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            drtool.ok("backup", "bank", *flags, "--chunk-size", "64KiB")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for number, backup in enumerate(drtool.backups("bank")):
        copy = f"{db}_copy{number}"
        drtool.ok("restore", "bank", *flags, "--backup", backup, "--into", pg15.url(copy), "--compare")
        assert pg15.sql(copy, "select sum(balance), count(*) from account") == "600000|6000"
        assert pg15.sql(copy, "select (select n from total) = (select count(*) from moved)") == "t"
        assert pg15.sql(copy, "select last_value >= (select max(id) from moved) from moved_id_seq") == "t"
        pg15.drop_db(copy)


# --- settings ---

OPPOSITE = {
    "DateStyle": "SQL, DMY", "TimeZone": "Asia/Kathmandu", "IntervalStyle": "sql_standard", "extra_float_digits": "-10", "bytea_output": "escape",
    "lc_monetary": "C", "xmlbinary": "hex", "default_text_search_config": "pg_catalog.simple", "search_path": "nowhere",
    "lc_numeric": "C", "lc_time": "C", "standard_conforming_strings": "on", "default_transaction_read_only": "on", "row_security": "off",
    "backslash_quote": "off", "quote_all_identifiers": "on", "array_nulls": "off", "xmloption": "document", "gin_fuzzy_search_limit": "1",
    "transform_null_equals": "on", "default_transaction_isolation": "serializable", "statement_timeout": "300ms", "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms", "check_function_bodies": "on", "default_toast_compression": "pglz",
    "session_replication_role": "replica", "enable_seqscan": "off", "timezone_abbreviations": "Australia", "synchronize_seqscans": "on",
}


def oppose(server, db, role="postgres"):
    """Sets the other value of everything that changes how data looks, on the database and on the role in it."""
    for number, (name, value) in enumerate(OPPOSITE.items()):
        where = f"database {pg.quote(db)}" if number % 2 else f"role {role} in database {pg.quote(db)}"
        value = ", ".join(pg.literal(part) for part in value.split(", ")) if name in ("DateStyle", "search_path") else pg.literal(value)
        if name == "DateStyle":
            value = "'SQL, DMY'"
        server.sql("postgres", f"alter {where} set {name} = {value}")


@pytest.mark.parametrize("version", [15, 18])
def test_a_verify_holds_under_opposite_settings_on_both_sides(make_server, drtool, version):
    server = make_server(version)
    scratch = make_server(version, {
        "DateStyle": "German, YMD", "TimeZone": "America/St_Johns", "IntervalStyle": "iso_8601", "extra_float_digits": "3",
        "bytea_output": "hex", "xmlbinary": "base64", "default_text_search_config": "pg_catalog.german", "search_path": "x, public",
        "default_transaction_read_only": "off", "statement_timeout": "0"})
    odd.create(server, "odd_settings")
    before = compare.tables(server, "odd_settings")
    oppose(server, "odd_settings")
    flags = config(drtool, "odd", server.url("odd_settings"), f"split_above: 1MiB\nscratch: \"{scratch.url('postgres')}\"")
    drtool.ok("backup", "odd", *flags)
    drtool.ok("verify", "odd", *flags)
    assert proof(drtool, "odd", *flags) == "compared"
    assert [name for name in scratch.databases() if name.startswith("drtool")] == [], "the scratch server keeps a database"

    drtool.ok("restore", "odd", *flags, "--into", scratch.url("odd_moved"))
    scratch.sql("postgres", "alter database odd_moved reset all; alter role postgres in database odd_moved reset all")
    compare.same(before, compare.tables(scratch, "odd_moved"))


@pytest.mark.parametrize("version", [15, 16])
def test_a_materialized_view_is_filled_with_the_search_path_of_its_database(servers, make_db, drtool, version):
    """Since 17 the server itself fills them with a path of its own."""
    server = servers(version)
    db = make_db(server, prefix="path")
    server.sql("postgres", f"alter database {db} set search_path = app, public")
    server.sql(db, """
        create schema app;
        create table app.account (id int); insert into app.account values (1), (2);
        create function app.accounts() returns bigint language sql stable as 'select count(*) from account';
        create function app.accounts_plpgsql() returns bigint language plpgsql stable as $$ begin return (select count(*) from account); end $$;
        create materialized view app.z as select accounts() as n, accounts_plpgsql() as m;
        create materialized view app.a as select n + 1 as n from z;
    """)
    drtool.ok("backup", server.url(db), "--name", "path")
    drtool.ok("verify", "path")
    drtool.ok("restore", "path", "--into", server.url(f"{db}_copy"))
    assert server.sql(f"{db}_copy", "select * from app.z, app.a") == "2|2|3"
    server.drop_db(f"{db}_copy")


def test_a_view_that_the_target_cannot_fill_is_named_and_all_else_is_there(pg15, pg18, make_db, drtool):
    """Since 17 a view is filled with a path of the server's own, so a function that relies on another one fails."""
    db = make_db(pg15, prefix="path")
    pg15.sql("postgres", f"alter database {db} set search_path = app, public")
    pg15.sql(db, """
        create schema app; create table app.account (id int primary key); insert into app.account values (1), (2);
        create function app.accounts() returns bigint language plpgsql stable as $$ begin return (select count(*) from account); end $$;
        create materialized view app.bad as select accounts() as n;
        create materialized view app.good as select count(*) as n from account;
    """)
    drtool.ok("backup", pg15.url(db), "--name", "path")
    result = drtool.fails(1, "restore", "path", "--into", pg18.url(db))
    assert "app.bad" in result.text and "account" in result.err
    assert pg18.sql(db, "select n from app.good") == "2"
    assert pg18.sql(db, "select count(*) from app.account") == "2"
    pg18.drop_db(db)


def test_a_function_with_unqualified_names_in_a_check_is_said_at_the_backup(pg15, make_db, drtool):
    db = make_db(pg15, """
        create schema app; create table app.allowed (i int); insert into app.allowed values (1);
        set search_path = app;
        create function is_allowed(n int) returns bool language sql as 'select exists (select from allowed where i = n)';
        create table app.t (i int check (is_allowed(i)));
        insert into app.t values (1);
    """)
    result = drtool.ok("backup", pg15.url(db), "--name", "lint")
    assert "is_allowed" in result.err
    assert any("is_allowed" in note for note in drtool.manifest("lint")["notes"])


def test_a_prepared_transaction_is_said_at_the_backup(make_server, drtool):
    server = make_server(15, {"max_prepared_transactions": 5})
    server.create_db("shop")
    server.sql("shop", "create table t (i int); begin; insert into t values (1); prepare transaction 'waiting'")
    result = drtool.ok("backup", server.url("shop"), "--name", "shop")
    assert "prepared" in result.err
    server.sql("shop", "rollback prepared 'waiting'")


def test_the_configuration_tables_of_an_extension_come_back(servers, make_db, drtool):
    server = servers(16)
    folder = next(p for p in (server.bin.parent / "share").rglob("plpgsql.control")).parent
    if not pg.os.access(folder, pg.os.W_OK):
        pytest.skip(f"{folder} cannot be written")
    (folder / "drtool_config_test.control").write_text("default_version = '1.0'\nrelocatable = false\nschema = conf\n")
    (folder / "drtool_config_test--1.0.sql").write_text("""
        create table conf.parent (id int primary key, builtin bool default false, t text);
        create table conf.child (id serial primary key, parent int references conf.parent, t text);
        create table conf.not_config (id int);
        create sequence conf.counter;
        insert into conf.parent values (1, true, 'shipped');
        insert into conf.not_config values (42);
        select pg_catalog.pg_extension_config_dump('conf.parent', 'where not builtin');
        select pg_catalog.pg_extension_config_dump('conf.child', '');
        select pg_catalog.pg_extension_config_dump('conf.counter', '');
        select pg_catalog.pg_extension_config_dump('conf.child_id_seq', '');
    """)
    db = make_db(server, """
        create schema conf; create extension drtool_config_test schema conf;
        insert into conf.parent values (2, false, 'mine'), (3, false, 'mine too');
        insert into conf.child (parent, t) values (2, 'a'), (3, 'b');
        select nextval('conf.counter'), nextval('conf.counter');
        create table uses (c int references conf.child);
        insert into uses values (1);
    """)
    before = compare.snapshot(server, db)
    drtool.ok("backup", server.url(db), "--name", "conf")
    drtool.ok("verify", "conf")
    server.drop_db(db)
    drtool.ok("restore", "conf", "--into", server.url(db))
    compare.same(before, compare.snapshot(server, db))


def test_row_level_security_hides_nothing_from_a_backup_in_silence(pg15, make_db, drtool):
    db = make_db(pg15, """
        do $$ begin if not exists (select from pg_roles where rolname = 'weak') then create role weak login; end if; end $$;
        create table t (i int); insert into t values (1), (2); alter table t enable row level security;
        create policy p on t using (i = 1); grant select on t to weak;
    """)
    result = drtool.fails(1, "backup", pg15.url(db, user="weak"), "--name", "weak")
    assert "row" in result.err and "security" in result.err
    assert drtool.backups("weak") == []
    pg15.sql(db, "drop owned by weak; drop role weak")


def test_a_database_whose_drop_was_cut_off_does_not_stop_the_backup_of_the_others(make_server, drtool):
    """PostgreSQL marks it invalid (datconnlimit -2) and lets nobody in."""
    server = make_server(15)
    for name in ("broken", "shop"):
        server.create_db(name)
        server.sql(name, "create table t (i int); insert into t values (1)")
    server.sql("postgres", "update pg_database set datconnlimit = -2 where datname = 'broken'")
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{all: {{url: \"{server.url('')}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("config", "check", "--connect")
    drtool.ok("backup", "all")
    manifest = drtool.manifest("all")
    assert any("broken" in text and "invalid" in text for text in manifest["not_contained"]), manifest
    server.sql("shop", "drop table t")
    drtool.ok("restore", "all", "--database", "shop", "--in-place", "--yes")
    assert server.sql("shop", "select count(*) from t") == "1"
