"""Losing drtool must never mean losing data: tar, a shell and mongorestore alone rebuild a database of MongoDB."""

import datetime
import os
import pathlib
import re
import shutil
import subprocess

import mo
import pg
import pytest

json_util = pytest.importorskip("bson.json_util")

# What a shell, a path or a URL could stumble over. A name with a line end is one that mongorestore does not see by itself.
ODD_NAMES = ["a b", "a+b", "a%20b", "a.b", "a/b", "é'\"(x)`*?;&|<>#", "-x", "A", "a", "x" * 150 + "é" * 20]
LINE_END = "line\nend"


def fill(db):
    db.orders.insert_many({"_id": i, "text": "x" * (i % 500), "at": datetime.datetime(2020, 1, 1)} for i in range(3000))
    db.orders.create_index([("text", 1), ("at", -1)], name="two")
    db.orders.create_index("at", expireAfterSeconds=2000000000)
    db.orders.create_index([("b", "text"), ("c", "text")], weights={"b": 3})
    db.orders.create_index("d", sparse=True)
    db.orders.create_index("e", unique=True, partialFilterExpression={"e": {"$gt": 5}})
    db.orders.create_index([("geo", "2dsphere")])
    db.create_collection("empty")
    for name in ODD_NAMES:
        db[name].insert_one({"_id": name, "nan": float("nan"), "": 1})


def commands_of(text):
    """The indented lines of RESTORE.txt from step 2 on: what a person would paste."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("  ")]
    start = next(i for i, line in enumerate(lines) if line.startswith("tar ")) + 1
    end = next(i for i, line in enumerate(lines) if "FOLDER" in line)
    return lines[start:end]


def state(server, db):
    """Documents and indexes. mongorestore has the weights of a text index in a map of Go, whose order is any."""
    indexes = server.indexes(db)
    for index in (index for collection in indexes.values() for index in collection.values() if "weights" in index):
        index["weights"] = dict(index["weights"])
    return server.contents(db), indexes


def unpack(drtool, source):
    folder = pg.temp_dir("unpacked")
    for volume in drtool.archives(source):
        subprocess.run(["tar", "xzf", volume, "-C", folder], check=True)
    return folder


def run(folder, commands, path=None):
    lines = [f"PATH={path}:$PATH", *commands] if path else commands
    done = subprocess.run(["bash", "-e", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def stock_tool(name):
    """MongoDB's own program of PATH, or what scripts/deps made."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "drtool-test"
    found = shutil.which(name) or next((str(path) for path in sorted(cache.glob(f"mongo-tools-*/{name}"))), None)
    if not found:
        pytest.skip(f"{name} is not installed: run scripts/deps test")
    return found


def mongorestore_for(server):
    """A folder for PATH with a mongorestore that knows the server, as RESTORE.txt says one has to tell it."""
    real = stock_tool("mongorestore")
    folder = pg.temp_dir("bin")
    (folder / "mongorestore").write_text(f"#!/bin/sh\nexec '{real}' --uri='{server.url()}' \"$@\"\n")
    (folder / "mongorestore").chmod(0o755)
    return folder



def test_load_sh_makes_of_a_backup_the_documents_and_descriptions_of_every_collection(mo_server, make_mo_db, drtool):
    name = make_mo_db(mo_server, fill)
    db = mo_server.db(name)
    drtool.ok("backup", mo_server.url(name), "--name", "stock", "--chunk-size", "64KiB")
    folder = unpack(drtool, "stock")
    run(folder, [line for line in commands_of((folder / "RESTORE.txt").read_text()) if line.startswith("sh ")])
    made = sorted(path.name for path in (folder / "dump" / name).iterdir())
    assert len(made) == 2 * (len(ODD_NAMES) + 2)
    documents = mo.raw_documents(db.orders)
    assert (folder / "dump" / name / "orders.bson").read_bytes() == b"".join(sorted(documents, key=lambda raw: mo.bson.decode(raw)["_id"]))
    described = json_util.loads((folder / "dump" / name / "orders.metadata.json").read_text())
    assert described["collectionName"] == "orders" and len(described["indexes"]) == 7
    assert (folder / "dump" / name / "empty.bson").read_bytes() == b""


def test_the_commands_of_restore_txt_alone_rebuild_a_database_of_mongodb(mo_server, make_mo_db, drtool):
    path = mongorestore_for(mo_server)
    name = make_mo_db(mo_server, fill)
    before = state(mo_server, name)
    drtool.ok("backup", mo_server.url(name), "--name", "stock", "--chunk-size", "64KiB")
    folder = unpack(drtool, "stock")
    mo_server.drop_db(name)
    run(folder, commands_of((folder / "RESTORE.txt").read_text()), path)
    assert state(mo_server, name) == before


def test_a_collection_with_a_line_end_in_its_name_is_restored_by_the_command_that_load_sh_prints(mo_server, make_mo_db, drtool):
    path = mongorestore_for(mo_server)
    name = make_mo_db(mo_server)
    mo_server.db(name)[LINE_END].insert_one({"_id": 1})
    mo_server.db(name)[LINE_END].create_index("a")
    before = state(mo_server, name)
    drtool.ok("backup", mo_server.url(name), "--name", "stock")
    folder = unpack(drtool, "stock")
    mo_server.drop_db(name)
    done = run(folder, commands_of((folder / "RESTORE.txt").read_text()), path)
    assert mo_server.contents(name) == {}
    command = re.search(r"by itself: (mongorestore --db=.*?\.bson'?)$", done.stdout, re.M | re.S).group(1)
    run(folder, [command], path)
    assert state(mo_server, name) == before


def test_what_mongodump_writes_is_what_load_sh_makes(mo_server, make_mo_db, drtool):
    mongodump = stock_tool("mongodump")
    name = make_mo_db(mo_server, fill)
    drtool.ok("backup", mo_server.url(name), "--name", "stock")
    folder = unpack(drtool, "stock")
    run(folder, [f"sh db/{name}/load.sh ours", f"'{mongodump}' --uri='{mo_server.url()}' --db={name} --out=theirs"])
    ours, theirs = ({path.name.replace("+", "%20"): path for path in (folder / which / name).iterdir()} for which in ("ours", "theirs"))
    assert set(ours) == set(theirs)
    for file, path in theirs.items():
        if file.endswith(".bson"):
            assert ours[file].read_bytes() == path.read_bytes()
        else:
            described = json_util.loads(ours[file].read_text())
            assert described.pop("options", {}) == {}
            assert described == json_util.loads(path.read_text())
