"""Bytes that are not as they were: every damage is found, nothing is restored in silence, and what is hostile harms nobody."""

import json
import os
import random
import shutil

import compare
import fault
import fault_archive
import pytest
import shop as shop_lib

SQL = """
    create schema app;
    create table app.t (id int primary key, t text);
    create table app.u (id serial primary key, n numeric);
    insert into app.t select i, repeat(md5(i::text), 4) from generate_series(1, 400) i;
    insert into app.u (n) select i from generate_series(1, 50) i;
"""


@pytest.fixture(scope="module")
def shop(servers):
    """A database, and a store with one small backup of it that each test copies and spoils."""
    with shop_lib.made(servers, "bytes", sql=SQL, options=("--chunk-size", "16KiB")) as made:
        made.before = compare.tables(made.server, made.db)
        yield made


# --- accidents ---

def spoil(rng, data):
    """The bytes with one damage, and what it is."""
    kind = rng.choice(["flip", "flip", "flip", "cut", "insert", "remove", "zero", "append", "double", "swap"])
    at = rng.randrange(len(data))
    n = rng.choice([1, 2, 16, 512, 4096])
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:], f"bit flipped at {at}"
    if kind == "cut":
        return data[:at], f"cut at {at}"
    if kind == "insert":
        return data[:at] + rng.randbytes(n) + data[at:], f"{n} bytes inserted at {at}"
    if kind == "remove":
        return data[:at] + data[at + n:], f"{n} bytes removed at {at}"
    if kind == "zero":
        return data[:at] + bytes(min(n, len(data) - at)) + data[at + n:], f"{n} bytes zeroed at {at}"
    if kind == "append":
        return data + rng.choice([rng.randbytes(n), bytes(n), data[-86:], data]), "something added at the end"
    if kind == "double":
        return data[:at] + data[at:at + n] + data[at:], f"{n} bytes twice at {at}"
    other = rng.randrange(len(data))
    low, high = sorted((at, other))
    return data[:low] + data[high:high + n] + data[low + n:high] + data[low:low + n] + data[high + n:], f"{n} bytes at {low} and {high} exchanged"


@pytest.mark.parametrize("seed", range(6))
def test_every_damage_is_found_by_check_and_none_is_restored_in_silence(shop, seed):
    rng = random.Random(seed)
    drtool = shop.fresh()
    (volume,) = drtool.archives("shop")
    whole = volume.read_bytes()
    volume.chmod(0o600)
    for number in range(25):
        data, what = spoil(rng, whole)
        if data == whole:
            continue
        volume.write_bytes(data)
        shutil.rmtree(drtool.store / "evidence", ignore_errors=True)
        result = drtool.run("check", "shop")
        assert result.code == 4, f"{what}: {result!r}"
        assert "drtool: error" in result.err or "BAD" in result.text or "bad" in result.text, result
        if number % 5 == 0:
            shutil.rmtree(drtool.store / "evidence", ignore_errors=True)
            restored_honestly(shop, drtool, what)
    volume.write_bytes(whole)
    drtool.ok("check", "shop")


def restored_honestly(shop, drtool, what):
    """Fails, or all is there."""
    copy = f"{shop.db}_copy"
    try:
        result = drtool.run("restore", "shop", "--into", shop.server.url(copy))
        assert result.code in (0, 1, 4), f"{what}: {result!r}"
        if result.code == 0:
            assert compare.tables(shop.server, copy) == shop.before, what
    finally:
        shop.server.drop_db(copy)


@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"\x1f\x8b\x08", fault_archive.TAR_END, fault_archive.trailer(0, b""), b"PK\3\4" * 100])
def test_an_archive_that_is_something_else_is_bad(shop, data):
    drtool = shop.fresh()
    fault_archive.publish(drtool, data)
    drtool.fails(4, "check", "shop")
    shutil.rmtree(drtool.store / "evidence")
    drtool.fails(4, "restore", "shop", "--into", shop.server.url(f"{shop.db}_copy"))
    assert f"{shop.db}_copy" not in shop.server.databases()


def test_an_archive_that_is_missing_is_said_and_is_bad(shop):
    drtool = shop.fresh()
    (volume,) = drtool.archives("shop")
    volume.unlink()
    result = drtool.fails(4, "check", "shop")
    assert volume.name in result.text
    shutil.rmtree(drtool.store / "evidence")
    assert drtool.run("restore", "shop", "--into", shop.server.url(f"{shop.db}_copy")).code in (1, 4)


def test_a_root_damaged_in_every_copy_ends_the_restore(shop):
    drtool = shop.fresh()
    second = drtool.dir / "offsite"
    shop.configure(drtool, shop.db, second=second)
    drtool.ok("backup", "shop")
    name = drtool.archives("shop")[-1].name
    for store in (drtool.store, second):
        path = store / "shop" / "backup" / name
        data = bytearray(path.read_bytes())
        data[-29 - 86 - 20] ^= 1
        fault.write(path, bytes(data))
    copy = f"{shop.db}_copy"
    backup = drtool.backups("shop")[-1]
    result = drtool.run("restore", "shop", "--backup", backup, "--into", shop.server.url(copy), timeout=30)
    assert result.code == 4 and "root" in result.err, result
    assert copy not in shop.server.databases()


# --- manifests ---

def change_manifest(drtool, change):
    path = drtool.store / "shop" / "backup" / f"{drtool.backups('shop')[-1]}.json"
    path.chmod(0o600)
    change(path)


def test_every_damage_of_a_manifest_is_found(shop):
    rng = random.Random(1)
    drtool = shop.fresh()
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop")
    old, new = drtool.backups("shop")
    path = drtool.store / "shop" / "backup" / f"{new}.json"
    whole = path.read_bytes()
    for _ in range(12):
        data, what = spoil(rng, whole)
        fault.write(path, data)
        if data == whole:
            continue
        result = drtool.run("list", "shop", "--json")
        readable = [b["id"] for s in result.json for b in s["backups"] if b["id"] == new and not b.get("unreadable")]
        assert readable == [] or "unreadable" in result.out or result.err, f"{what}: {result!r}"
        assert drtool.run("check", "shop", "--backup", new).code != 0, what
        assert path.read_bytes() == data
    result = drtool.run("restore", "shop", "--into", shop.server.url(f"{shop.db}_copy"))
    assert result.code == 0 and old in result.text, result
    shop.server.drop_db(f"{shop.db}_copy")
    drtool.run("prune", "shop", "--keep-last", "1")
    assert path.exists() and (drtool.store / "shop" / "backup" / f"{old}.json").exists()


@pytest.mark.parametrize("changes", [{"version": 2}, {"requires": ["seal"]}, {"version": 999, "requires": ["a", "b"]}])
def test_a_manifest_of_a_later_format_is_refused_and_kept(shop, changes):
    drtool = shop.fresh()
    change_manifest(drtool, lambda path: path.write_text(fault_archive.sign({**json.loads(path.read_text()), **changes})))
    result = drtool.run("restore", "shop", "--into", shop.server.url(f"{shop.db}_copy"))
    assert result.code in (1, 5) and f"{shop.db}_copy" not in shop.server.databases(), result
    assert drtool.run("check", "shop", "--backup", drtool.backups("shop")[0]).code not in (0, 4)
    drtool.run("prune", "shop", "--keep-last", "1")
    assert len(drtool.backups("shop")) == 1 and len(drtool.archives("shop")) == 1
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop")
    drtool.run("prune", "shop", "--keep-last", "1")
    assert len(drtool.backups("shop")) == 2


def test_unknown_keys_of_a_manifest_are_ignored(shop):
    drtool = shop.fresh()
    change_manifest(drtool, lambda path: path.write_text(fault_archive.sign({**json.loads(path.read_text()), "later": {"a": [1]}, "more": "x"})))
    drtool.ok("check", "shop")
    assert drtool.ok("list", "shop", "--json").json[0]["backups"]


@pytest.mark.parametrize("changes", [
    {"id": "20200101T000000Z-abcd"}, {"source": "other"}, {"objects": []}, {"objects": [{"key": "../../../etc/passwd", "size": 10, "sha256": "0" * 64}]},
    {"objects": [{"key": "/etc/passwd", "size": 10, "sha256": "0" * 64}]}, {"driver": "nosuch"}, {"driver": "../x"}, {"started": "yesterday"}, {"rows": -1},
    {"rows": 2 ** 63}, {"chunk_size": 0}, {"chunk_size": 2 ** 40}, {"scopes": [{"name": "\u0000"}]}, {"scopes": "none"}, {"objects": [{}] * 10000},
    {"notes": ["\u001b[31mred\u0007"]}, {"url": "x" * 70000},
])
def test_a_manifest_with_impossible_values_does_no_harm(shop, changes):
    drtool = shop.fresh()
    change_manifest(drtool, lambda path: path.write_text(fault_archive.sign({**json.loads(path.read_text()), **changes})))
    for command in (["list", "shop"], ["check", "shop"], ["status"], ["prune", "shop", "--keep-last", "1"], ["restore", "shop", "--into", shop.server.url(f"{shop.db}_copy")]):
        result = drtool.run(*command)
        assert 0 <= result.code <= 7, result
        assert "\x1b" not in result.text and "\x07" not in result.text
    assert len(drtool.archives("shop")) == 1
    shop.server.drop_db(f"{shop.db}_copy")


@pytest.mark.parametrize("name, content", [("source.json", "{"), ("source.json", '{"format": 9}'), ("source.json", "[]"), ("lock/backup.json", "no json"), ("lock/backup.json", ""),
                                           ("lock/clock.json", "\0"), ("lease/abc.json", "{}"), ("pin/20200101T000000Z-abcd-abcdef.json", "{"), ("accept/x.json", "{")])
def test_damaged_small_objects_do_no_harm(shop, name, content):
    drtool = shop.fresh()
    path = drtool.store / "shop" / name
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.chmod(0o600)
    path.write_text(content)
    drtool.ok("check", "shop")
    result = drtool.run("backup", shop.server.url(shop.db), "--name", "shop")
    assert result.code in (0, 1, 6, 7), result
    if result.code:
        assert name.split("/")[-1] in result.err or "lock" in result.err, result
    if result.code == 7:
        drtool.ok("backup", shop.server.url(shop.db), "--name", "shop", "--new-identity", "--because", "it was damaged")
        drtool.ok("backup", shop.server.url(shop.db), "--name", "shop")
    assert drtool.run("prune", "shop", "--keep-last", "1").code in (0, 1, 6)
    assert drtool.backups("shop")


# --- hostility: all checksums fit ---

def test_an_archive_taken_apart_and_put_together_again_is_whole(shop):
    """What the tests below change is what makes them fail."""
    drtool = shop.fresh()
    archive = fault_archive.Archive(drtool.archives("shop")[0])
    fault_archive.publish(drtool, archive.build())
    drtool.ok("check", "shop")
    drtool.ok("restore", "shop", "--into", shop.server.url(f"{shop.db}_copy"), "--compare")
    assert compare.tables(shop.server, f"{shop.db}_copy") == shop.before
    shop.server.drop_db(f"{shop.db}_copy")


def test_a_verify_on_a_server_of_others_ends_where_the_entry_of_a_database_is_damaged(shop):
    drtool = shop.fresh()
    path = drtool.dir / "drtool.yaml"
    path.write_text(path.read_text().replace("shop: {", f"shop: {{scratch: \"{shop.server.url()}\", ", 1))
    archive = fault_archive.Archive(drtool.archives("shop")[0])
    member = next(m for m in archive.members if archive.object_of(m)["path"].endswith("/database.json"))
    member.plain = member.plain[:512] + member.plain[512:].replace(b"{", b"[", 1)
    fault_archive.publish(drtool, archive.build())
    before = shop.server.databases()
    result = drtool.fails(4, "verify", "shop")
    assert "database.json" in result.err and "may be left" not in result.err, result
    assert shop.server.databases() == before


def path_of(archive, kind, path):
    """Gives the first object of this kind another path, in root and tar header."""
    number, o = next((i, o) for i, o in enumerate(archive.objects) if o["kind"] == kind)
    for member in archive.members:
        if int(member.row["object"]) == number and int(member.row["head"]):
            full = path if kind == "file" else f"{path}/{int(member.row['range']):04}-{int(member.row['part']):08}.copy"
            member.plain = fault_archive.header(full[:100], int(member.row["raw"])) + member.plain[512:]
    o["path"] = path


def set_row(archive, **values):
    member = archive.tables()[0]
    member.row.update((name, str(value)) for name, value in values.items())
    archive.keep.update(values)


def set_head(archive, **values):
    archive.head.update(values)


def bomb(archive):
    member = archive.tables()[0]
    member.stored = fault_archive.deflate(member.plain + bytes(300 << 20))


def hostile_header(archive, **kwargs):
    member = archive.tables()[0]
    member.plain = fault_archive.header(member.plain[:100].rstrip(b"\0").decode(), int(member.row["raw"]), **kwargs) + member.plain[512:]


def two_entries(archive):
    member = archive.tables()[0]
    member.plain += fault_archive.entry("db/evil", b"x")


def same_member_twice(archive):
    archive.members.insert(1, archive.members[0])


def root_bomb(archive):
    archive.root_padding = b" " * (200 << 20)


def object_twice(archive):
    archive.objects.append(dict(archive.objects[-1], object=len(archive.objects)))
    archive.head["objects"] += 1


HOSTILE = {
    "path up": lambda a: path_of(a, "file", "../../../../tmp/evil"),
    "path absolute": lambda a: path_of(a, "file", "/tmp/evil"),
    "path up in a table": lambda a: path_of(a, "table", "db/../../evil"),
    "path with a line break": lambda a: path_of(a, "file", "db/a\nb"),
    "path with an escape": lambda a: path_of(a, "file", "db/\x1b[31m"),
    "path of 5,000 bytes": lambda a: path_of(a, "file", "db/" + "x" * 5000),
    "path empty": lambda a: path_of(a, "file", ""),
    "symbolic link": lambda a: hostile_header(a, kind=b"2", link=b"/etc/passwd"),
    "hard link": lambda a: hostile_header(a, kind=b"1", link=b"/etc/passwd"),
    "device": lambda a: hostile_header(a, kind=b"3"),
    "two entries in a member": two_entries,
    "member twice": same_member_twice,
    "object twice": object_twice,
    "member inflates to 300 MB": bomb,
    "root inflates to 200 MB": root_bomb,
    "raw huge": lambda a: set_row(a, raw=2 ** 62),
    "plain huge": lambda a: set_row(a, plain=2 ** 63),
    "length huge": lambda a: set_row(a, length=2 ** 63),
    "length zero": lambda a: set_row(a, length=0),
    "offset huge": lambda a: set_row(a, offset=2 ** 64 - 1),
    "offset negative": lambda a: set_row(a, offset=-1),
    "head huge": lambda a: set_row(a, head=2 ** 40),
    "rows huge": lambda a: set_row(a, rows=2 ** 64 - 1),
    "rows other": lambda a: set_row(a, rows=1),
    "digest other": lambda a: set_row(a, digest="0" * 32),
    "raw hash other": lambda a: set_row(a, raw_hash="f" * 32),
    "object unknown": lambda a: set_row(a, object=99999),
    "volume unknown": lambda a: set_row(a, volume=7),
    "range huge": lambda a: set_row(a, range=2 ** 32),
    "part other": lambda a: set_row(a, part=5),
    "objects huge": lambda a: set_head(a, objects=2 ** 32),
    "pages huge": lambda a: set_head(a, pages=2 ** 31),
    "volumes huge": lambda a: set_head(a, volumes=10 ** 6),
    "chunk size huge": lambda a: set_head(a, chunk_size=2 ** 40),
    "chunk size zero": lambda a: set_head(a, chunk_size=0),
    "rows of all other": lambda a: set_head(a, rows=5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_bad_and_does_no_harm(shop, name):
    drtool = shop.fresh()
    archive = fault_archive.Archive(drtool.archives("shop")[0])
    HOSTILE[name](archive)
    fault_archive.publish(drtool, archive.build())
    copy = f"{shop.db}_evil"
    result, peak = fault.measured(drtool, "check", "shop")
    assert result.code == 4, result
    assert peak < 160, f"{peak} MiB"
    assert "\x1b" not in result.text
    shutil.rmtree(drtool.store / "evidence", ignore_errors=True)
    result, peak = fault.measured(drtool, "restore", "shop", "--into", shop.server.url(copy))
    assert 0 <= result.code <= 7 and peak < 160, (result, peak)
    if result.code == 0:
        assert compare.tables(shop.server, copy) == shop.before
    shop.server.drop_db(copy)
    assert not os.path.exists("/tmp/evil")


@pytest.mark.parametrize("changes, code", [({"version": 2}, 1), ({"requires": ["seal"]}, 1), ({"format": "other"}, 4)])
def test_an_archive_of_a_later_format_is_unsupported_and_not_bad(shop, changes, code):
    drtool = shop.fresh()
    archive = fault_archive.Archive(drtool.archives("shop")[0])
    archive.head.update(changes)
    fault_archive.publish(drtool, archive.build())
    drtool.fails(code, "check", "shop")
    assert drtool.run("restore", "shop", "--into", shop.server.url(f"{shop.db}_copy")).code in (1, 4, 5)
    assert f"{shop.db}_copy" not in shop.server.databases()
