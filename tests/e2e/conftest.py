"""Fixtures: real servers, started when first asked for; databases, stores and state folders of each test's own."""

import os
import pathlib
import subprocess
import sys
import zlib

import pytest

os.umask(0o022)  # servers run as users of their own, and enter folders of the tests
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import drtool as drtool_lib  # noqa: E402
import mo  # noqa: E402
import my  # noqa: E402
import pg  # noqa: E402
import s3  # noqa: E402

_counter = 0


def _chosen_server(items):
    """Of a test that runs with several versions of a server the one with one of them, another one for each test."""
    versions = {f"{engine}{version}": "VERSION" for engine, all_of in (("pg", pg.VERSIONS), ("my", my.VERSIONS), ("", my.VERSIONS)) for version in all_of}
    same = {}
    for item in items:
        parts = item.nodeid.rstrip("]").replace("[", "-", 1).split("-")
        same.setdefault(tuple(versions.get(part, part) for part in parts), []).append(item)
    return [group[zlib.crc32("-".join(name).encode()) % len(group)] for name, group in same.items()]


def _chosen_parameters(items, each):
    """Of a test with more parameters than that each so manieth, beginning elsewhere for each test."""
    same = {}
    for item in items:
        same.setdefault(item.nodeid.split("[")[0], []).append(item)
    return [item for name, group in same.items() for at, item in enumerate(group) if len(group) <= each or (at + zlib.crc32(name.encode())) % each == 0]


def pytest_collection_modifyitems(config, items):
    """ONE_SERVER=1: one version of a server for each test. SPARSE=3: each third parameter of tests with more than three."""
    kept = list(items)
    if os.environ.get("ONE_SERVER"):
        kept = _chosen_server(kept)
    if os.environ.get("SPARSE"):
        kept = _chosen_parameters(kept, int(os.environ["SPARSE"]))
    chosen = {id(item) for item in kept}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in chosen])
    items[:] = [item for item in items if id(item) in chosen]


def unique(prefix):
    """A database name that no other test uses."""
    global _counter
    _counter += 1
    return f"{prefix}_{_counter}"


@pytest.fixture(scope="session")
def servers():
    """servers(VERSION): the server that the tests share; what a test changes outside its database it puts back."""
    running = {}

    def get(version):
        if version not in running:
            try:
                running[version] = pg.Server(version, {"max_connections": 60}).start()
            except pg.Missing as reason:
                pytest.skip(str(reason))
        return running[version]

    yield get
    for server in running.values():
        server.remove()
    pg.remove_temp_dirs()


@pytest.fixture
def pg15(servers):
    return servers(15)


@pytest.fixture
def pg16(servers):
    return servers(16)


@pytest.fixture
def pg18(servers):
    return servers(18)


@pytest.fixture(params=pg.VERSIONS, ids=lambda version: f"pg{version}")
def pg_any(request, servers):
    """The test runs once with each version."""
    return servers(request.param)


@pytest.fixture
def make_server(servers):
    """make_server(VERSION, {SETTING: VALUE}, fresh=False): a server of the test's own, ended with it."""
    made = []

    def make(version=15, settings=None, fresh=False):
        try:
            server = pg.Server(version, settings, fresh)
        except pg.Missing as reason:
            pytest.skip(str(reason))
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.remove()


@pytest.fixture(scope="session")
def my_servers():
    """my_servers(VERSION): as servers, of MariaDB 10.11, 11.8 or MySQL 9.7."""
    running = {}

    def get(version):
        if version not in running:
            try:
                running[version] = my.Server(version, {"event_scheduler": "off"}).start()
            except my.Missing as reason:
                pytest.skip(str(reason))
        return running[version]

    yield get
    for server in running.values():
        server.remove()
    my.remove_temp_dirs()


@pytest.fixture
def my10(my_servers):
    return my_servers("10.11")


@pytest.fixture(params=my.VERSIONS, ids=lambda version: f"my{version}")
def my_any(request, my_servers):
    """The test runs once with each of them."""
    return my_servers(request.param)


@pytest.fixture
def make_my_server(my_servers):
    """make_my_server(VERSION, {SETTING: VALUE}, fresh=False): a server of the test's own, ended with it."""
    made = []

    def make(version="10.11", settings=None, fresh=False):
        try:
            server = my.Server(version, settings, fresh)
        except my.Missing as reason:
            pytest.skip(str(reason))
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def make_my_db():
    """make_my_db(SERVER, SQL=None, fill=None): a new database; it and its copies are dropped with the test. fill(SERVER, NAME) makes it."""
    made = []

    def make(server, sql=None, fill=None, prefix="shop"):
        name = unique(prefix)
        made.append((server, name))
        if fill:
            return fill(server, name)
        server.create_db(name, "character set utf8mb4")
        if sql:
            server.sql(name, sql)
        return name

    yield make
    for server, name in made:
        for database in server.databases():
            if database == name or database.startswith(f"{name}_"):
                server.drop_db(database)


@pytest.fixture(scope="session")
def mo_folders():
    yield
    mo.remove_temp_dirs()


@pytest.fixture(scope="session")
def mo_server(mo_folders):
    """The server of MongoDB's protocol that the tests share; what a test changes outside its database it puts back."""
    try:
        server = mo.Server().start()
    except mo.Missing as reason:
        pytest.skip(str(reason))
    yield server
    server.remove()


@pytest.fixture
def make_mo_server(mo_folders):
    """make_mo_server(auth=False): a server of the test's own, ended with it."""
    made = []

    def make(auth=False):
        try:
            made.append(mo.Server(auth))
            return made[-1].start()
        except mo.Missing as reason:
            pytest.skip(str(reason))

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def make_mo_db():
    """make_mo_db(SERVER, fill=None): a new database name; what it and its copies hold is dropped with the test. fill(DATABASE) fills it."""
    made = []

    def make(server, fill=None, prefix="shop"):
        name = unique(prefix)
        made.append((server, name))
        if fill:
            fill(server.db(name))
        return name

    yield make
    for server, name in made:
        for database in server.databases():
            if database == name or database.startswith(f"{name}_"):
                server.drop_db(database)


@pytest.fixture
def mo_script():
    """mo_script(SETTING=VALUE...): a scripted server of MongoDB's protocol (tests/lib/mongo_script.py), ended with the test."""
    mongo_script = pytest.importorskip("mongo_script")
    made = []

    def make(**settings):
        made.append(mongo_script.Script(**settings))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def make_db():
    """make_db(SERVER, SQL=None, options=""): a new database, dropped with the test; returns its name."""
    made = []

    def make(server, sql=None, prefix="shop", options=""):
        name = server.create_db(unique(prefix), options)
        made.append((server, name))
        if sql:
            server.sql(name, sql)
        return name

    yield make
    for server, name in made:
        if (server.data / "postmaster.pid").exists():
            server.drop_db(name)


@pytest.fixture(scope="session")
def s3_servers(servers):  # whose end removes the folders
    """s3_servers(kind="versitygw", tls=False): the S3 server that the tests share; each takes buckets of its own, by .bucket()."""
    running = {}

    def get(kind="versitygw", tls=False):
        if (kind, tls) not in running:
            try:
                running[kind, tls] = s3.Server(kind, tls).start()
            except s3.Missing as reason:
                pytest.skip(str(reason))
        return running[kind, tls]

    yield get
    for server in running.values():
        server.remove()


@pytest.fixture
def make_s3_server(servers):
    """make_s3_server(kind="versitygw", tls=False): a server of the test's own, ended with it."""
    made = []

    def make(kind="versitygw", tls=False):
        try:
            made.append(s3.Server(kind, tls))
            return made[-1].start()
        except s3.Missing as reason:
            pytest.skip(str(reason))

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def bucket(s3_servers):
    """An empty bucket."""
    return s3_servers().bucket()


@pytest.fixture(params=s3.KINDS)
def bucket_any(request, s3_servers):
    """The test runs once with each server."""
    return s3_servers(request.param).bucket()


@pytest.fixture
def s3_drtool(servers, bucket):
    """Runs drtool with an empty bucket as its store."""
    return drtool_lib.InBucket(bucket)


@pytest.fixture
def drtool(servers):
    """Runs drtool with a store and a state folder of the test's own."""
    return drtool_lib.Drtool()


@pytest.fixture
def small_disk():
    """small_disk(MIB): a folder on a file system of this size of its own; skips where it may not be mounted."""
    mounted = []

    def mount(mib):
        path = pg.temp_dir("disk")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "tmpfs", path], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)
