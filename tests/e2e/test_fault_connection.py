"""Servers that are not there, do not answer, refuse, or go away in the middle: a clear message, no backup, nothing half restored."""

import os
import signal
import socket
import subprocess
import time

import compare
import fault
import pg
import pytest


def no_backup(drtool, source="shop"):
    """Nothing is listed, nothing is left of a part, and the lock is free."""
    assert drtool.backups(source) == []
    assert fault.leftovers(drtool.store) == []


@pytest.fixture
def shop(pg15, make_db, drtool):
    yield (db := make_db(pg15, fault.SHOP))
    for name in pg15.databases():
        if name.startswith(db + "_"):
            pg15.drop_db(name)


# --- no connection ---

def test_a_port_where_nobody_listens_is_said_with_host_and_port(drtool):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = drtool.fails(1, "backup", f"postgres://u@127.0.0.1:{port}/shop", "--name", "shop", timeout=20)
    assert "127.0.0.1" in result.err and str(port) in result.err and "refused" in result.err.lower()
    assert "server runs" in result.err
    no_backup(drtool)


def test_a_host_without_an_address_is_said_with_its_name(drtool):
    result = drtool.fails(1, "backup", "postgres://u@no-such-host.invalid/shop", "--name", "shop", timeout=40)
    assert "no-such-host.invalid" in result.err
    no_backup(drtool)


def test_a_server_that_accepts_and_never_answers_ends_after_connect_timeout(drtool):
    with fault.Silent() as server:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\n"
                      f"sources: {{shop: {{url: \"postgres://u:p@127.0.0.1:{server.port}/shop\", connect_timeout: 1s}}}}\n")
        started = time.monotonic()
        result = drtool.fails(1, "--config", "drtool.yaml", "backup", "shop", timeout=20)
        assert time.monotonic() - started < 10
    assert "did not answer within 1 s" in result.err
    no_backup(drtool)


@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"S", b"E\0\0\0\4"])
def test_something_that_is_no_postgresql_is_an_error_and_no_hang(drtool, says):
    with fault.Silent(says) as server:
        url = f"postgres://u:p@127.0.0.1:{server.port}/shop?connect_timeout=2"
        result = drtool.run("backup", url, "--name", "shop", timeout=40)
    assert result.code in (1, 2), result
    no_backup(drtool)


def test_a_signal_ends_the_wait_for_a_connection(drtool):
    with fault.Silent() as server:
        process = drtool.start("backup", f"postgres://u:p@127.0.0.1:{server.port}/shop", "--name", "shop")
        fault.wait_until(lambda: server.open, "drtool connects")
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code, _ = fault.end(process, 20)
    assert code == 143 and time.monotonic() - started < 9


def test_a_wrong_password_is_said_for_backup_and_restore_without_the_password(pg15, shop, drtool):
    drtool.ok("backup", pg15.url(shop), "--name", "shop")
    for args in (["backup", pg15.tcp_url(shop, password="wr0ng-s3cret"), "--name", "other"],
                 ["restore", "shop", "--into", pg15.tcp_url(f"{shop}_copy", password="wr0ng-s3cret")]):
        result = drtool.fails(1, *args, timeout=30)
        assert "password" in result.err and "wr0ng-s3cret" not in result.text
    assert drtool.backups("other") == [] and f"{shop}_copy" not in pg15.databases()


def test_a_database_that_does_not_exist_is_said_by_name(pg15, drtool):
    result = drtool.run("backup", pg15.url("no such database"), "--name", "shop")
    assert result.code in (1, 5) and "no such database" in result.err, result
    no_backup(drtool)


def test_a_server_that_starts_up_or_shuts_down_is_said(make_server, drtool):
    server = make_server(15)
    server.sql("postgres", "create database shop")
    url = server.url("shop")
    server.stop()
    result = drtool.fails(1, "backup", url, "--name", "shop", timeout=30)
    assert server.sockdir in result.err
    no_backup(drtool)


# --- TLS ---

@pytest.fixture(scope="module")
def tls_server(servers):
    """One server with TLS for all tests of this file; .ca is its authority."""
    try:
        server = pg.Server(15).start()
    except pg.Missing as reason:
        pytest.skip(str(reason))
    server.ca = server.enable_tls(names=("127.0.0.1",))
    server.sql("postgres", "create database shop; create role verifies login superuser password 'x'")
    server.sql("shop", "create table t (i int); insert into t values (1)")
    yield server
    server.remove()


def tls_config(drtool, server, host="127.0.0.1", **settings):
    lines = "".join(f"    {key}: \"{value}\"\n" for key, value in settings.items())
    drtool.config(f"stores:\n  s: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop:\n"
                  f"    url: \"postgres://postgres:postgres@{host}:{server.port}/shop\"\n{lines}")
    return ["--config", "drtool.yaml", "backup", "shop"]


def fingerprint(server):
    out = subprocess.run(["openssl", "x509", "-in", server.dir / "server.crt", "-noout", "-fingerprint", "-sha256"], capture_output=True, text=True, check=True)
    return out.stdout.strip().rpartition("=")[2]


def test_a_certificate_of_the_right_authority_is_trusted(tls_server, drtool):
    drtool.ok(*tls_config(drtool, tls_server, tls="verify-full", tls_ca=tls_server.ca))


def test_a_self_signed_certificate_is_refused_with_its_fingerprint_and_both_ways_on(tls_server, drtool):
    result = drtool.fails(1, *tls_config(drtool, tls_server, tls="verify-full"), timeout=30)
    assert fingerprint(tls_server) in result.err
    assert "tls_ca" in result.err and "require" in result.err
    no_backup(drtool)


def test_a_certificate_of_another_authority_is_refused(tls_server, drtool):
    other = drtool.dir / "other.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=other",
                    "-keyout", drtool.dir / "other.key", "-out", other], check=True, capture_output=True)
    result = drtool.fails(1, *tls_config(drtool, tls_server, tls="verify-ca", tls_ca=other), timeout=30)
    assert fingerprint(tls_server) in result.err and "tls_ca" in result.err
    no_backup(drtool)


def test_a_certificate_for_another_name_is_refused_by_verify_full_only(tls_server, drtool):
    result = drtool.fails(1, *tls_config(drtool, tls_server, host="localhost", tls="verify-full", tls_ca=tls_server.ca), timeout=30)
    assert "localhost" in result.err
    drtool.ok(*tls_config(drtool, tls_server, host="localhost", tls="verify-ca", tls_ca=tls_server.ca))


def test_an_authority_file_that_is_missing_or_none_is_said_by_its_path(tls_server, drtool):
    result = drtool.run(*tls_config(drtool, tls_server, tls="verify-ca", tls_ca=drtool.dir / "absent.crt"), timeout=30)
    assert result.code in (1, 2) and "absent.crt" in result.err, result
    (drtool.dir / "none.crt").write_text("this is no certificate\n")
    result = drtool.run(*tls_config(drtool, tls_server, tls="verify-ca", tls_ca=drtool.dir / "none.crt"), timeout=30)
    assert result.code in (1, 2), result
    no_backup(drtool)


def test_a_server_without_tls_is_refused_where_tls_is_required(pg15, shop, drtool):
    drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{pg15.tcp_url(shop)}\", tls: require}}}}\n")
    result = drtool.fails(1, "--config", "drtool.yaml", "backup", "shop", timeout=30)
    assert "SSL" in result.err or "TLS" in result.err
    assert "prefer" in result.err and "off" in result.err
    no_backup(drtool)


def test_a_connection_cut_in_the_tls_handshake_is_an_error(tls_server, drtool):
    with fault.Proxy(tls_server.port, lambda number, seen, data: data if seen < 1 else "cut") as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{proxy.url('shop')}\", tls: require}}}}\n")
        result = drtool.fails(1, "--config", "drtool.yaml", "backup", "shop", timeout=40)
    assert str(proxy.port) in result.err
    no_backup(drtool)


# --- limits of the server ---

def test_max_connections_reached_at_the_first_connection_is_said_with_a_way_on(make_server, drtool):
    server = make_server(15, {"max_connections": 8, "superuser_reserved_connections": 0})
    server.sql("postgres", "create database shop")
    sessions = [server.session("postgres") for _ in range(8)]
    try:
        for session in sessions:
            session.run("select 1;")
        result = drtool.fails(1, "backup", server.url("shop"), "--name", "shop", timeout=30)
    finally:
        for session in sessions:
            session.close()
    assert "too many" in result.err and "max_connections" in result.err
    no_backup(drtool)


def test_max_connections_reached_by_the_workers_ends_clearly(make_server, drtool):
    server = make_server(15, {"max_connections": 6, "superuser_reserved_connections": 0, "autovacuum": "off"})
    server.sql("postgres", "create database shop")
    server.sql("shop", fault.SHOP)
    sessions = [server.session("postgres") for _ in range(4)]
    try:
        for session in sessions:
            session.run("select 1;")
        result = drtool.run("backup", server.url("shop"), "--name", "shop", "--jobs", "8", timeout=60)
    finally:
        for session in sessions:
            session.close()
    assert result.code == 1, result
    assert "too many" in result.err and "--jobs" in result.err
    no_backup(drtool)
    drtool.ok("backup", server.url("shop"), "--name", "shop", "--jobs", "1")


def test_max_connections_reached_by_the_loaders_can_be_resumed(make_server, drtool):
    server = make_server(15, {"max_connections": 8, "superuser_reserved_connections": 0, "autovacuum": "off"})
    server.sql("postgres", "create database shop")
    server.sql("shop", fault.SHOP)
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    sessions = [server.session("postgres") for _ in range(5)]
    try:
        for session in sessions:
            session.run("select 1;")
        result = drtool.run("restore", "shop", "--into", server.url("copy"), "--jobs", "8", timeout=60)
    finally:
        for session in sessions:
            session.close()
    assert result.code in (0, 1), result
    if result.code:
        assert "too many" in result.err
        drtool.ok("restore", "shop", "--into", server.url("copy"), f"--resume={fault.run_name(result.text)}")
    assert server.contents("copy") == server.contents("shop")


def test_a_role_without_rights_names_the_tables_it_may_not_read(pg15, shop, drtool):
    pg15.sql("postgres", "drop role if exists fault_poor; create role fault_poor login")
    try:
        pg15.sql(shop, "grant usage on schema app to fault_poor; grant select on app.customer to fault_poor")
        result = drtool.fails(1, "backup", pg15.url(shop, user="fault_poor"), "--name", "shop")
        assert "permission denied" in result.err or "may not" in result.err or "right" in result.err
        assert "grants" in result.err or "GRANT" in result.err
        no_backup(drtool)
    finally:
        pg15.sql(shop, "drop owned by fault_poor")
        pg15.sql("postgres", "drop role fault_poor")


def test_a_role_without_rights_cannot_restore_and_leaves_nothing(pg15, shop, drtool):
    drtool.ok("backup", pg15.url(shop), "--name", "shop")
    before = pg15.databases()
    pg15.sql("postgres", "drop role if exists fault_poor; create role fault_poor login")
    try:
        result = drtool.run("restore", "shop", "--into", pg15.url(f"{shop}_copy", user="fault_poor"))
        assert result.code in (1, 7), result
        assert "create" in result.err.lower() or "permission" in result.err.lower() or "right" in result.err.lower()
        assert pg15.databases() == before
    finally:
        pg15.sql("postgres", "drop role fault_poor")


# --- gone in the middle ---

def holder(server, db):
    """The session of drtool that holds the snapshot: the only one that waits in a transaction while a failpoint delays."""
    return server.sql("postgres", "select pid from pg_stat_activity where application_name = 'drtool' and state = 'idle in transaction' "
                                  f"and datname = {pg.literal(db)} and state_change < clock_timestamp() - interval '0.3 s' limit 1")


@pytest.mark.parametrize("how", ["terminated", "killed"])
def test_a_backend_lost_in_the_dump_fails_the_backup(pg15, make_server, shop, drtool, how):
    """Killed is by SIGKILL: all other sessions end with it and the server recovers, so this has one of its own."""
    server, db = pg15, shop
    if how == "killed":
        server, db = make_server(15), "shop"
        server.sql("postgres", "create database shop")
        server.sql("shop", fault.SHOP)
    drtool.ok("backup", server.url(db), "--name", "shop")
    kept = drtool.backups("shop")
    process = drtool.start("backup", server.url(db), "--name", "shop", *fault.SMALL, fail="backup.scope.begun:1:delay=2000")
    try:
        pid = fault.wait_until(lambda: holder(server, db), "drtool holds a snapshot")
        if how == "killed":
            os.kill(int(pid), signal.SIGKILL)
        else:
            server.sql("postgres", f"select pg_terminate_backend({pid})")
    finally:
        code, text = fault.end(process)
    assert code == 1, text
    assert "terminat" in text or "connection" in text
    fault.sound(drtool, "shop", kept)
    assert fault.leftovers(drtool.store) == []


def test_a_server_killed_in_the_dump_fails_the_backup_and_the_next_one_is_good(make_server, drtool):
    server = make_server(15)
    server.sql("postgres", "create database shop")
    server.sql("shop", fault.SHOP)
    drtool.ok("backup", server.url("shop"), "--name", "shop")
    kept = drtool.backups("shop")
    process = drtool.start("backup", server.url("shop"), "--name", "shop", *fault.SMALL, fail="dump.unit.end:2:delay=1000")
    fault.wait_until(lambda: fault.leftovers(drtool.store), "the dump has begun")
    server.kill()
    code, text = fault.end(process)
    assert code == 1, text
    fault.sound(drtool, "shop", kept)
    assert fault.leftovers(drtool.store) == []
    fault.revive(server)
    drtool.ok("backup", server.url("shop"), "--name", "shop")
    assert len(drtool.backups("shop")) == 2


def test_a_server_killed_in_the_restore_leaves_the_old_data_and_the_restore_goes_on(make_server, drtool):
    server = make_server(15)
    server.sql("postgres", "create database shop")
    server.sql("shop", fault.SHOP)
    drtool.ok("backup", server.url("shop"), "--name", "shop", *fault.SMALL)
    server.sql("shop", "checkpoint")  # else sequences are further on after the crash
    before = compare.snapshot(server, "shop")
    drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{server.url('shop')}\"}}}}\n")
    command = ["--config", "drtool.yaml", "restore", "shop", "--in-place", "--yes"]
    process = drtool.start(*command, fail="load.unit.done:3:delay=1000")
    fault.wait_until(lambda: fault.units_loaded(drtool) > 1, "rows are loaded")
    server.kill()
    code, text = fault.end(process)
    assert code == 1, text
    run = fault.run_name(text)
    fault.revive(server)
    compare.same(before, compare.snapshot(server, "shop"))
    drtool.ok(*command, f"--resume={run}")
    compare.same(before, compare.snapshot(server, "shop"))
    assert f"shop_before_{run}" in server.databases()


@pytest.mark.parametrize("what", ["cut", "close"])
@pytest.mark.parametrize("after", [30_000, 300_000])
def test_a_connection_lost_amid_the_rows_fails_the_backup(pg15, shop, drtool, what, after):
    with fault.Proxy(pg15.port, lambda number, seen, data: data if seen < after else what) as proxy:
        result = drtool.run("backup", proxy.url(shop), "--name", "shop", *fault.SMALL, timeout=60)
        assert proxy.hits, "no connection came so far"
    assert result.code == 1, result
    assert str(proxy.port) in result.err or "connection" in result.err
    no_backup(drtool)


def test_a_truncated_stream_of_rows_is_never_a_good_backup(pg15, shop, drtool):
    """One byte of the protocol is missing somewhere in the data."""
    def lose_one(number, seen, data):
        return data[:-1] if number > 1 and seen > 60_000 and len(data) > 1000 else data

    with fault.Proxy(pg15.port, lose_one) as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\n"
                      f"sources: {{shop: {{url: \"{proxy.url(shop)}\", max_duration: 5s}}}}\n")
        result = drtool.run("--config", "drtool.yaml", "backup", "shop", *fault.SMALL, timeout=60)
    assert result.code == 1, result
    no_backup(drtool)


def test_a_server_that_stands_still_amid_the_rows_ends_by_max_duration(pg15, shop, drtool):
    with fault.Proxy(pg15.port, lambda number, seen, data: data if seen < 200_000 else "stall") as proxy:
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\n"
                      f"sources: {{shop: {{url: \"{proxy.url(shop)}\", max_duration: 3s}}}}\n")
        started = time.monotonic()
        result = drtool.run("--config", "drtool.yaml", "backup", "shop", *fault.SMALL, timeout=60)
        assert time.monotonic() - started < 30
    assert result.code == 1, result
    assert "max_duration" in result.err or "3 s" in result.err or "time" in result.err
    no_backup(drtool)


def test_a_slow_connection_is_no_fault(pg15, shop, drtool):
    def slow(number, seen, data):
        time.sleep(0.002)
        return data

    with fault.Proxy(pg15.port, slow) as proxy:
        drtool.ok("backup", proxy.url(shop), "--name", "shop", *fault.SMALL)
    drtool.ok("check", "shop")


@pytest.mark.parametrize("what", ["cut", "stall"])
def test_a_connection_lost_amid_a_restore_can_be_resumed(pg15, shop, drtool, what):
    drtool.ok("backup", pg15.url(shop), "--name", "shop", *fault.SMALL)
    copy = f"{shop}_copy"
    state = {"broken": True}

    def lose(number, seen, data):
        return what if state["broken"] and fault.units_loaded(drtool) > 3 else data

    with fault.Proxy(pg15.port, lose) as proxy:
        process = drtool.start("restore", "shop", "--into", proxy.url(copy), "--jobs", "2")
        if what == "stall":
            fault.wait_until(lambda: proxy.hits, "a connection stands still")
            process.send_signal(signal.SIGINT)
        code, text = fault.end(process)
        assert code == (130 if what == "stall" else 1), text
        state["broken"] = False
        drtool.ok("restore", "shop", "--into", proxy.url(copy), "--resume", "--compare")
    assert pg15.contents(copy) == pg15.contents(shop)


# --- settings that change how values are written ---

OPPOSITE = {
    "datestyle": "German, DMY", "intervalstyle": "sql_standard", "timezone": "Pacific/Chatham", "extra_float_digits": "-15", "bytea_output": "escape",
    "standard_conforming_strings": "off", "search_path": "nowhere", "default_transaction_read_only": "on", "default_transaction_isolation": "serializable",
    "row_security": "off", "statement_timeout": "500ms", "lock_timeout": "1ms", "idle_in_transaction_session_timeout": "300ms", "client_encoding": "LATIN1",
    "xmlbinary": "hex", "lc_monetary": "C", "default_tablespace": "nowhere", "session_replication_role": "replica", "client_min_messages": "error",
    "enable_seqscan": "off", "synchronize_seqscans": "on", "array_nulls": "off", "quote_all_identifiers": "on", "transform_null_equals": "on",
}
VALUES = """
    create table v (d date, ts timestamptz, iv interval, f float8, b bytea, t text, n int[], primary key (d));
    insert into v values ('2020-02-03', '2020-02-03 04:05:06.7+01', '1 year 2 days -03:04:05.6', 0.1::float8 + 0.2, '\\x00ff27', E'\\u20ac', '{null,1}');
"""


@pytest.mark.parametrize("where", ["role", "database"])
def test_settings_of_role_and_database_change_nothing_in_a_backup(pg15, make_db, drtool, where):
    db = make_db(pg15, VALUES)
    expected = compare.tables(pg15, db)
    pg15.sql("postgres", "drop role if exists fault_opposite; create role fault_opposite superuser login")
    target = "role fault_opposite" if where == "role" else f"database {db}"
    for name, value in OPPOSITE.items():
        if name != "default_tablespace":
            pg15.sql("postgres", f"alter {target} set {name} = {pg.literal(value) if name != 'datestyle' else value}")
    copy = f"{db}_copy"
    try:
        drtool.ok("backup", pg15.url(db, user="fault_opposite"), "--name", "shop")
        drtool.ok("restore", "shop", "--into", pg15.url(copy, user="fault_opposite"), "--compare")
        pg15.sql("postgres", f"alter database {copy} reset all")
        pg15.sql("postgres", f"alter database {db} reset all")
        assert compare.tables(pg15, copy) == expected
    finally:
        pg15.sql("postgres", f"alter database {db} reset all")
        pg15.drop_db(copy)
        pg15.sql("postgres", "drop role fault_opposite")


def test_opposite_settings_of_the_server_change_nothing(make_server, drtool):
    plain = make_server(15)
    odd = make_server(15, {name: value for name, value in OPPOSITE.items()
                           if name not in ("default_tablespace", "client_encoding", "search_path", "session_replication_role")})
    plain.sql("postgres", "create database shop")
    plain.sql("shop", VALUES)
    drtool.ok("backup", plain.url("shop"), "--name", "shop")
    drtool.ok("restore", "shop", "--into", odd.url("shop"), "--compare")
    drtool.ok("backup", odd.url("shop"), "--name", "odd", "--new-identity", "--because", "test")
    drtool.ok("restore", "odd", "--into", plain.url("copy"), "--compare")
    assert compare.tables(plain, "copy") == compare.tables(plain, "shop")
