"""Losing drtool must never mean losing data: tar, psql and pg_restore alone rebuild the database."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import compare
import odd
import pg
import pytest

READER = pathlib.Path(__file__).resolve().parents[1] / "lib" / "format_reader.py"


def commands_of(text, without=()):
    """The indented lines of RESTORE.txt from step 2 on: what a person would paste."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("  ")]
    start = next(i for i, line in enumerate(lines) if line.startswith("tar ")) + 1
    end = next(i for i, line in enumerate(lines) if "FOLDER" in line)
    return [line for line in lines[start:end] if not any(word in line for word in without)]


def unpack(drtool, source):
    folder = pg.temp_dir("unpacked")
    for volume in drtool.archives(source):
        subprocess.run(["tar", "xzf", volume, "-C", folder], check=True)
    return folder


def run_commands(server, folder, commands):
    env = {**server.env(), "PGOPTIONS": "-c client_min_messages=warning"}
    done = subprocess.run(["bash", "-e", "-x", "-c", "\n".join(commands)], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture
def odd_db(request):
    made = []

    def make(server, portable=False):
        made.append(server)
        odd.drop_copies(server, "odd")
        return odd.create(server, "odd_0", portable)

    yield make
    for server in made:
        odd.drop_copies(server, "odd")


def test_the_commands_of_restore_txt_alone_rebuild_one_of_everything(pg_any, odd_db, drtool):
    db = odd_db(pg_any)
    before = compare.snapshot(pg_any, db)
    drtool.ok("backup", pg_any.url(db), "--name", "odd", "--chunk-size", "64KiB")
    folder = unpack(drtool, "odd")
    odd.drop(pg_any, db)
    run_commands(pg_any, folder, commands_of((folder / "RESTORE.txt").read_text()))
    compare.same(before, compare.snapshot(pg_any, db))


def test_a_dump_by_a_newer_client_is_restored_with_the_stock_tools_of_the_old_server(servers, odd_db, drtool):
    """As on a machine that has pg_dump 18 only; the server and the tools of the restore are 15's."""
    server, newer = servers(15), servers(18)
    db = odd_db(server)
    before = compare.snapshot(server, db)
    drtool.ok("backup", server.url(db), "--name", "odd", "--client-path", newer.bin)
    manifest = drtool.manifest("odd")
    assert any(tool.startswith("pg_dump 18") for tool in manifest["client_tools"])
    folder = unpack(drtool, "odd")
    text = (folder / "RESTORE.txt").read_text()
    odd.drop(server, db)
    commands = []
    for line in commands_of(text):
        # What the text says about an older pg_restore, done to the letter.
        section = re.match(r"pg_restore .*--section=(pre|post)-data .*-d (\S+) schema.dump", line)
        commands.append(f"psql -X -q -v ON_ERROR_STOP=1 -d {section[2]} -f schema-{section[1]}.sql > /dev/null" if section else line)
    run_commands(server, folder, commands)
    compare.same(before, compare.snapshot(server, db))


def test_several_databases_with_odd_names_are_rebuilt_by_stock_tools(make_server, drtool):
    server = make_server(15)
    names = ["shop", "Shop", "SHOP", "a b", "quo'te", 'dou"ble', ".dot", "sla/sh", "per%cent", "-dash", "ünï", "d" * 63, "x=y"]
    for name in names:
        server.create_db(name)
        server.sql(name, f"create table t (i int, n text); insert into t values (1, {pg.literal(name)})")
    server.sql("postgres", "alter database shop set work_mem = '7MB'; comment on database shop is 'it''s'; alter database shop set search_path = 'a', \"B c\"")
    before = {name: compare.snapshot(server, name) for name in names}
    drtool.ok("backup", server.url(""), "--name", "all")
    folder = unpack(drtool, "all")
    for name in names:
        server.drop_db(name)
    commands = commands_of((folder / "RESTORE.txt").read_text())
    # The database `postgres` is there on every server.
    at = next(i for i, line in enumerate(commands) if line.startswith("cd db/postgres"))
    end = next(i for i in range(at, len(commands)) if commands[i] == "cd ../..")
    run_commands(server, folder, commands[:at] + commands[end + 1:])
    for name in names:
        compare.same(before[name], compare.snapshot(server, name))


def test_bytes_of_other_encodings_survive_the_stock_tools(pg15, make_db, drtool):
    for encoding in ("SQL_ASCII", "LATIN1"):
        db = make_db(pg15, prefix="enc", options=f"encoding '{encoding}' locale 'C' template template0")
        pg15.sql(db, "create table t (id int primary key, t text); insert into t values (1, E'\\\\'), (2, '\\N')")
        pg15.client("psql", "-Xq", "-d", f"dbname={db} client_encoding={encoding}", input=b"insert into t values (3, '\xe4\xff'), (4, '\xc3\xa4')",
                    text=False)
        before = compare.snapshot(pg15, db)
        drtool.ok("backup", pg15.url(db), "--name", "enc")
        folder = unpack(drtool, "enc")
        pg15.drop_db(db)
        run_commands(pg15, folder, commands_of((folder / "RESTORE.txt").read_text()))
        compare.same(before, compare.snapshot(pg15, db))
        shutil.rmtree(drtool.store)
        drtool.env["XDG_STATE_HOME"] = drtool.dir / encoding


def test_several_volumes_are_each_a_whole_tar(pg15, make_db, drtool):
    db = make_db(pg15, "create table t (id int primary key, t text); insert into t select i, md5(i::text) || md5((i + 1)::text) || md5((-i)::text) "
                       "from generate_series(1, 40000) i")
    before = compare.snapshot(pg15, db)
    drtool.ok("backup", pg15.url(db), "--name", "shop", "--volume-size", "1MiB", "--chunk-size", "128KiB")
    assert len(drtool.archives("shop")) >= 2
    folder = unpack(drtool, "shop")
    pg15.drop_db(db)
    run_commands(pg15, folder, commands_of((folder / "RESTORE.txt").read_text()))
    compare.same(before, compare.snapshot(pg15, db))
    drtool.ok("check", "shop")
    drtool.ok("restore", "shop", "--into", pg15.url(f"{db}_copy"), "--compare")
    pg15.drop_db(f"{db}_copy")


def hashes(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_gnu_tar_bsdtar_busybox_and_python_see_the_same_files(pg15, odd_db, drtool):
    db = odd_db(pg15)
    drtool.ok("backup", pg15.url(db), "--name", "odd", "--chunk-size", "64KiB")
    (volume,) = drtool.archives("odd")
    expected = hashes(unpack(drtool, "odd"))
    assert len(expected) > 80
    for argv in (["bsdtar", "xzf"], ["busybox", "tar", "xzf"]):
        if shutil.which(argv[0]) is None:
            continue
        folder = pg.temp_dir("unpacked")
        subprocess.run([*argv, volume, "-C", folder], check=True)
        assert hashes(folder) == expected, argv
    folder = pg.temp_dir("unpacked")
    with tarfile.open(volume) as tar:
        tar.extractall(folder)
        for member in tar:
            assert member.isfile() and member.mode & 0o022 == 0
            assert not member.name.startswith("/") and ".." not in member.name.split("/")
    assert hashes(folder) == expected
    # gzip itself reads it too, and finds nothing behind the last member.
    done = subprocess.run(["gzip", "-t", volume], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_no_two_tables_share_a_path_even_where_case_is_ignored(pg15, odd_db, drtool):
    db = odd_db(pg15)
    drtool.ok("backup", pg15.url(db), "--name", "odd")
    with tarfile.open(drtool.archives("odd")[0]) as tar:
        names = [member.name for member in tar]
    assert len({name.lower() for name in names}) == len(names)
    folders = {name.rsplit("/", 1)[0] for name in names if "/data/" in name}
    assert len({folder.lower() for folder in folders}) == len(folders) > 60
    for name in names:
        assert not re.search(r"[\x00-\x1f\x7f]", name) and len(max(name.split("/"), key=lambda part: len(part.encode())).encode()) <= 200


def test_a_reader_written_from_the_format_alone_finds_the_same_rows(pg15, odd_db, drtool):
    db = odd_db(pg15)
    drtool.ok("backup", pg15.url(db), "--name", "odd", "--chunk-size", "64KiB", "--volume-size", "2MiB")
    volumes = drtool.archives("odd")
    done = subprocess.run([sys.executable, READER, *volumes], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    objects = [line.split("\t") for line in done.stdout.splitlines()]
    folder = unpack(drtool, "odd")
    checked = 0
    for kind, path, rows, raw, sha in objects:
        place = folder / path
        pieces = sorted((p for p in place.rglob("*") if p.is_file()), key=lambda p: os.fsencode(p)) if place.is_dir() else [place] if place.exists() else []
        content = b"".join(p.read_bytes() for p in pieces)
        if pieces:
            assert (len(content), hashlib.sha256(content).hexdigest()) == (int(raw), sha), path
            checked += 1
    assert checked > 60
    assert sum(int(rows) for kind, _, rows, _, _ in objects if rows.isdigit()) == drtool.manifest("odd")["rows"]


@pytest.fixture
def unloaded(pg15, make_db, drtool):
    """The folder of a backup with rows, large objects and replaced rows, and a database that awaits load.sh."""
    db = make_db(pg15, "create table t (line text); insert into t select 'line ' || i from generate_series(1, 5000) i;"
                       "select lo_from_bytea(0, convert_to(repeat('x' || i, 3000), 'UTF8')) from generate_series(1, 20) i")
    drtool.ok("backup", pg15.url(db), "--name", "shop", "--chunk-size", "8KiB")
    folder = unpack(drtool, "shop")
    pg15.drop_db(db)
    commands = commands_of((folder / "RESTORE.txt").read_text())
    at = next(i for i, line in enumerate(commands) if line.startswith("sh load.sh"))
    run_commands(pg15, folder, commands[:at])
    return db, folder


def load_with(server, db, folder, program, script):
    """load.sh where this program is another."""
    place = pg.temp_dir("programs")
    (place / program).write_text("#!/bin/sh\n" + script)
    (place / program).chmod(0o755)
    env = {**server.env(), "PATH": f"{place}:{server.env()['PATH']}"}
    return subprocess.run(["sh", "load.sh", db], cwd=folder / "db" / db, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("program, script", [
    ("cat", '/bin/cat "$@" | head -n 100; exit 1'),
    ("cat", '/bin/cat "$@" | head -c 2003; exit 1'),
    ("find", '/usr/bin/find "$@" | sort -z | head -z -n 1; exit 1'),
    ("sort", '/usr/bin/sort "$@" | head -z -n 1; exit 1'),
])
def test_load_sh_takes_no_part_of_a_table_that_cannot_be_read_to_its_end(pg15, unloaded, program, script):
    db, folder = unloaded
    done = load_with(pg15, db, folder, program, script)
    assert done.returncode != 0, done.stderr
    assert pg15.sql(db, "select count(*) from t") == "0"
    assert "not all of it can be read" in done.stderr


def test_load_sh_takes_no_part_of_the_large_objects_either(pg15, unloaded):
    db, folder = unloaded
    (pages,) = re.findall(r"^pages '?([^' ]+)", (folder / "db" / db / "load.sh").read_text(), re.M)
    done = load_with(pg15, db, folder, "cat", f'case "$*" in *"{pages}"*) /bin/cat "$@" | head -n 3; exit 1;; esac; exec /bin/cat "$@"')
    assert done.returncode != 0, done.stderr
    assert pg15.sql(db, "select count(*) from t") == "5000"
    assert pg15.sql(db, "select count(*) from pg_largeobject") == "0"


def test_roles_sql_gives_no_membership_to_roles_that_are_there(make_server, drtool):
    server, other = make_server(15), make_server(15)
    server.sql("postgres", "create role staff; create role ann; create role bob; grant staff to ann, bob; create role zoe; grant bob to zoe")
    server.sql("postgres", "create table t (i int)")
    drtool.ok("backup", server.url("postgres"), "--name", "all")
    folder = unpack(drtool, "all")
    other.sql("postgres", "create role staff; create role ann; create role zoe")
    other.client("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", folder / "globals" / "roles.sql")
    assert other.sql("postgres", "select roleid::regrole, member::regrole from pg_auth_members where roleid >= 16384") == "staff|bob"
