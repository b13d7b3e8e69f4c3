"""What somebody meets who tries drtool with MariaDB or MySQL for the first time: accounts, wrong names, servers that do not answer."""

import re

import pytest

SHOP = ("create table orders (id int primary key, at datetime); insert into orders values (1, now()), (2, now()); create table items (id int primary key);"
        "create view open_orders as select id from orders; create function one() returns int deterministic return 1;"
        "create event nightly on schedule every 1 day starts '2030-01-01' do delete from items")


@pytest.fixture
def shop(my_any, make_my_db):
    return make_my_db(my_any, SHOP)


def configure(drtool, **sources):
    text = "".join(f"  {name}: {{{source}}}\n" for name, source in sources.items())
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources:\n{text}")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"


def section(grants, server):
    """The statements of `config grants` for this server."""
    mariadb, mysql = grants.split("-- MySQL 8.0 and")
    return "\n".join(line for line in (mariadb if server.mariadb else mysql).splitlines() if re.match("CREATE|GRANT", line))


def test_the_user_of_config_grants_backs_up_everything_and_is_told_what_is_missing_without_them(my_any, shop, drtool):
    grants = section(drtool.ok("config", "grants", my_any.url(shop)).out, my_any)
    my_any.sql("", "drop user if exists drtool_backup@'%'")
    try:
        configure(drtool, shop=f"url: \"{my_any.tcp_url(shop, 'drtool_backup', None)}\", password: choose one")
        my_any.sql("", "create user drtool_backup@'%' identified by 'choose one'; grant select on mysql.* to drtool_backup@'%';"
                       f"grant select on `{shop}`.* to drtool_backup@'%'")
        result = drtool.run("config", "check", "--connect")
        assert result.code == 3 and re.search("MISSING RIGHT: GRANT .*SHOW VIEW.*;", result.out), result
        result = drtool.fails(1, "backup", "shop")
        assert result.text.count(f"database {shop}") <= 2, result
        for _ in range(3):
            for line in re.findall("MISSING RIGHT: (GRANT .*;)", drtool.run("config", "check", "--connect").out):
                my_any.sql("", line)
        drtool.ok("config", "check", "--connect")
        drtool.ok("backup", "shop")
        my_any.sql("", "drop user drtool_backup@'%';" + grants)
        drtool.ok("config", "check", "--connect")
        result = drtool.ok("backup", "shop")
        assert re.search("info: shop: [0-9]+ connections see one moment", result.text), result
        assert not re.search("warning: .*one moment", result.text), result
        assert drtool.manifest("shop")["has_password_hashes"] is True
    finally:
        my_any.sql("", "drop user if exists drtool_backup@'%'")


def test_wrong_logins_and_addresses_are_told_apart(my10, make_my_db, drtool):
    db = make_my_db(my10, SHOP)
    my10.sql("", "drop user if exists ann@'%'; create user ann@'%' identified by 'right-secret'")
    try:
        result = drtool.run("backup", my10.tcp_url(db, "ann", None), "--name", "shop", env={"MYSQL_PWD": "wrong-secret"})
        assert result.code == 1 and "Access denied for user 'ann'" in result.text and "-secret" not in result.text, result
    finally:
        my10.sql("", "drop user ann@'%'")
    result = drtool.run("backup", f"mysql://ann@127.0.0.1:1/{db}", "--name", "shop")
    assert result.code == 1 and "127.0.0.1:1: Connection refused" in result.text and "port" in result.text, result
    result = drtool.run("backup", f"mysql://ann@/{db}?socket=/no/such/socket", "--name", "shop")
    assert result.code == 1 and "/no/such/socket: No such file" in result.text, result
    result = drtool.run("backup", f"mysql://ann@no-such-host.invalid/{db}", "--name", "shop")
    assert result.code == 1 and "Check the name of the host" in result.text, result


def test_names_that_are_not_there_are_answered_with_those_that_are(my_any, shop, drtool):
    result = drtool.run("backup", my_any.url(f"{shop}_typo"), "--name", "shop")
    assert result.code == 1 and f"no database {shop}_typo" in result.text and shop in result.text.split("The account sees")[1], result
    drtool.ok("backup", my_any.url(shop), "--name", "shop")
    result = drtool.fails(5, "restore", "shop", "--into", my_any.url(), "--table", "order")
    assert "has no table order" in result.text and "It has items, orders." in result.text, result
    result = drtool.fails(5, "restore", "shop", "--into", my_any.url(), "--database", "other")
    assert f"it has: {shop}" in result.text, result
    result = drtool.fails(2, "restore", "shop")
    assert "--into" in result.text and "mysql://" in result.text, result


def test_check_connect_shows_the_databases_of_each_source_and_misses_those_that_are_named(my10, make_my_db, drtool):
    one, two = make_my_db(my10, SHOP, prefix="one"), make_my_db(my10, SHOP, prefix="two")
    configure(drtool, one=f'url: "{my10.url()}", databases: ["one*"]')
    result = drtool.ok("config", "check", "--connect")
    assert f"database {one}," in result.out and two not in result.out, result
    configure(drtool, one=f'url: "{my10.url()}", databases: ["{one}", "no_such_one"]')
    result = drtool.run("config", "check", "--connect")
    assert result.code == 3 and "there is no database no_such_one" in result.out, result


def test_a_login_whose_plugin_is_not_installed_is_explained(make_my_server, drtool, tmp_path):
    server = make_my_server("9.7")
    server.sql("", "create user ann@'%' identified with caching_sha2_password by 'secret'")
    result = drtool.run("backup", server.tcp_url("shop", "ann", None), "--name", "shop", env={"MYSQL_PWD": "secret", "MARIADB_PLUGIN_DIR": str(tmp_path)})
    assert result.code == 1 and "caching_sha2_password" in result.text, result
    assert "libmariadb3" in result.text, result


def test_kinds_and_versions_that_do_not_fit_are_refused_before_anything_is_changed(my_servers, make_my_db, drtool):
    sources = {version: my_servers(version) for version in ("10.11", "11.8", "9.7")}
    dbs = {version: make_my_db(server, SHOP) for version, server in sources.items()}
    for version, server in sources.items():
        drtool.ok("backup", server.url(dbs[version]), "--name", f"v{version[:2].strip('.')}")
    copy = "copy_of_" + dbs["10.11"]
    drtool.ok("restore", "v10", "--into", sources["11.8"].url(copy), "--compare")
    sources["11.8"].drop_db(copy)
    result = drtool.fails(7, "restore", "v11", "--into", sources["10.11"].url(copy))
    assert "a later one" in result.text, result
    for name, target in (("v9", "10.11"), ("v10", "9.7")):
        result = drtool.fails(7, "restore", name, "--into", sources[target].url(copy))
        assert "own kind" in result.text, result
    for server in sources.values():
        assert copy not in server.databases()


def test_databases_without_rows_without_tables_and_with_views_only_come_back(my_any, make_my_db, drtool):
    names = [make_my_db(my_any, sql, prefix="kind") for sql in ("create table t (id int primary key)", "", "create view v as select 1 as x")]
    left_out = make_my_db(my_any, SHOP, prefix="kind_test")
    configure(drtool, all=f'url: "{my_any.url()}", databases: ["kind*"], exclude: ["kind_test*"]')
    drtool.ok("backup", "all")
    for name in names:
        my_any.drop_db(name)
    drtool.ok("restore", "all", "--compare")
    assert set(names) <= set(my_any.databases()) and my_any.sql(names[2], "select x from v") == "1"
    assert left_out not in str(drtool.manifest("all")["scopes"])


def test_events_act_in_the_database_of_their_own_name_alone(my_any, shop, drtool):
    def statuses(db):
        return my_any.sql(db, f"select event_name, replace(status, 'REPLICA_SIDE', 'SLAVESIDE') from information_schema.events where event_schema = '{db}' order by 1")

    my_any.sql(shop, "create event resting on schedule every 1 day disable do set @a = 1")
    drtool.ok("backup", my_any.url(shop), "--name", "shop")
    before = statuses(shop)
    assert "|ENABLED" in before and "|DISABLED" in before
    parked = before.replace("|ENABLED", "|SLAVESIDE_DISABLED")
    result = drtool.ok("restore", "shop", "--into", my_any.url(), "--compare")
    run = re.search(r"_restore_([0-9a-f]{6})", result.out).group(1)
    copy, aside = f"{shop}_restore_{run}", f"{shop}_before_{run}"
    assert statuses(copy) == parked and f"database {copy}: its events (1) are off until an exchange" in result.text, result
    for flags, parked_in in (((), aside), (("--back",), copy), ((), aside)):
        drtool.ok("exchange", run, *flags, "--yes", "--into", my_any.url())
        assert statuses(shop) == before and statuses(parked_in) == parked
    drtool.ok("exchange", run, "--drop", "--yes", "--into", my_any.url())
    result = drtool.ok("restore", "shop", "--into", my_any.url(), "--in-place", "--yes", "--compare")
    run = re.search(r"([0-9a-f]{6})", result.out.split("_before_")[1]).group(1)
    assert statuses(shop) == before and statuses(f"{shop}_before_{run}") == parked
    assert f"database {shop}_before_{run}: its events (1) are off" in result.text, result
    other = f"{shop}_other"
    result = drtool.ok("restore", "shop", "--into", my_any.url(other), "--compare")
    assert statuses(other) == parked and "ALTER EVENT ... ENABLE turns each on" in result.text, result
    my_any.drop_db(other)
    my_any.drop_db(f"{shop}_before_{run}")


def test_a_foreign_key_that_a_single_table_loses_is_told_once(my_any, make_my_db, drtool):
    db = make_my_db(my_any, "create table a (id int primary key); create table b (id int primary key, a int, constraint to_a foreign key (a) references a (id))")
    drtool.ok("backup", my_any.url(db), "--name", "shop")
    copy = f"{db}_copy"
    result = drtool.ok("restore", "shop", "--into", my_any.url(copy), "--table", "b")
    my_any.drop_db(copy)
    assert result.text.count("to_a") == 1 and f"database {copy}: table b: a foreign key is not made" in result.text, result
