"""What the fault tests share: a shop to lose, servers that misbehave, bytes to spoil, and what must hold after every fault."""

import itertools
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time
import zlib

import pg
from drtool import Result, binary

# Several tables, one of which is split into ranges of many members; an index, a foreign key, a sequence and a large object.
SHOP = """
    create schema app;
    create table app.customer (id int primary key generated always as identity, name text unique);
    create table app.orders (id serial primary key, customer int not null references app.customer, total numeric);
    create table big (id int primary key, t text);
    create index on app.orders (total);
    create view app.totals as select customer, sum(total) from app.orders group by customer;
    insert into app.customer (name) select 'c' || i from generate_series(1, 20) i;
    insert into app.orders (customer, total) select 1 + i % 20, i from generate_series(1, 300) i;
    insert into big select i, repeat(md5(i::text), 8) from generate_series(1, 3000) i;
    select lo_from_bytea(4711, 'a large object');
"""

# The smallest chunks of interest, so that a few hundred KiB are many units and members.
SMALL = ("--chunk-size", "16KiB", "--split-above", "256KiB", "--jobs", "2")


def wait_until(true, what, timeout=30):
    """Waits for something to become true and returns it; fails with `what` after the time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = true()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {timeout} s: {what}")


def end(process, timeout=60):
    """Waits for a started drtool; returns its code and all that it wrote. It does not outlive the call."""
    try:
        out, err = process.communicate(timeout=timeout)
    except Exception:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"no end after {timeout} s\n{out}\n{err}") from None
    return process.returncode, (out or "") + (err or "")


def write(path, data):
    """Replaces the bytes of a stored object, as no storage would."""
    path.chmod(0o600)
    path.write_bytes(data)


def fill(folder):
    """Takes all the room of the file system."""
    fd = os.open(folder / "fill", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        os.close(fd)


def leftovers(folder):
    """Files of puts that were not finished."""
    return [path for path in pathlib.Path(folder).rglob(".part~*")]


def units_loaded(drtool):
    """Units that the journal of a restore says are in the target."""
    return sum(path.read_text().count('"unit"') for path in (drtool.state / "restore").glob("*.jsonl"))


def damage_first(volume, folder):
    """Changes a byte of the first piece in a folder of the archive."""
    data = bytearray(volume.read_bytes())
    at = 0
    while True:  # each piece is a gzip member of its own
        inflate = zlib.decompressobj(31)
        plain = inflate.decompress(bytes(data[at:]))
        size = len(data) - at - len(inflate.unused_data)
        if plain.startswith(folder.encode()):
            data[at + size // 2] ^= 1
            volume.write_bytes(data)
            return
        at += size


def locked_by(store, source):
    """Whether the lock of the source says that somebody holds it."""
    path = store / source / "lock" / "backup.json"
    return path.exists() and '"token"' in path.read_text() and '"released"' not in path.read_text()


def run_name(text):
    """The name of a restore, in the line that says how to go on."""
    found = re.search(r"(?:--resume=|drtool exchange )([0-9a-f]{6})", text)
    assert found, text
    return found[1]


def sound(drtool, source, backups):
    """What holds after whatever happened: these backups are listed, no other, and every byte of them is right."""
    assert drtool.backups(source) == sorted(backups)
    if not backups:
        assert drtool.run("list", source, "--json").code in (0, 5)
        return
    listed = [b["id"] for b in drtool.ok("list", source, "--json").json[0]["backups"]]
    assert sorted(listed) == sorted(backups)
    drtool.ok("check", source, "--backup", "all")


def revive(server):
    """Starts a server that was killed again, on the port that it had."""
    for lock in server.dir.glob(".s.PGSQL.*"):
        lock.unlink()  # an ended process that nobody waits for looks alive
    argv = [server.bin / "pg_ctl", "-s", "-w", "-t", "60", "-D", server.data, "-l", server.dir / "log", "start"]
    subprocess.run(pg.as_server(argv), check=True, timeout=90, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert server.attach()


# --- servers that misbehave ---


class Silent:
    """Accepts connections and says nothing, or always the same."""

    def __init__(self, says=b""):
        self.says = says
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
                self.open.append(client)
                client.sendall(self.says)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for client in self.open:
            client.close()


class Proxy:
    """Between drtool and a server. fault(connection, number, bytes so far, data) is asked for each piece that the server sends
    and returns the bytes to pass on, or a word: "cut" resets the connection, "close" ends it, "stall" passes nothing more."""

    def __init__(self, port, fault=None):
        self.target = port
        self.fault = fault or (lambda number, seen, data: data)
        self.numbers = itertools.count()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopped = False
        self.hits = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, db, user="postgres", password="postgres", **query):
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{db}" + (f"?{text}" if text else "")

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client, next(self.numbers)), daemon=True).start()

    def _carry(self, client, number):
        seen = 0
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        with client, server:
            while not self.stopped:
                ready, _, _ = select.select([client, server], [], [], 0.2)
                for side in ready:
                    try:
                        data = side.recv(65536)
                        if side is server and data:
                            data = self.fault(number, seen, data)
                            seen += len(data) if isinstance(data, bytes) else 0
                        if data == "stall":
                            self.hits += 1
                            while not self.stopped:
                                time.sleep(0.1)
                            return
                        if isinstance(data, str):
                            self.hits += 1
                            if data == "cut":
                                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                            return
                        if not data:
                            return
                        (client if side is server else server).sendall(data)
                    except OSError:
                        return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.listener.close()


# --- memory ---


def release():
    """The release binary where there is one, else the build under test."""
    path = pg.ROOT / "build" / "release" / "drtool"
    return str(path) if path.exists() else binary()


def measured(drtool, *args, env=None, timeout=180, program=None):
    """Runs a command; returns the result and the peak of its resident memory in MiB."""
    report = drtool.dir / "peak"
    argv = ["/usr/bin/python3", "-c", _MEASURE, str(report), program or binary(), *map(str, args)]
    done = subprocess.run(argv, env=drtool.environment(env), capture_output=True, text=True, errors="replace", timeout=timeout, cwd=drtool.dir,
                          stdin=subprocess.DEVNULL)
    code, peak = report.read_text().split()
    return Result(args, int(code), done.stdout, done.stderr), int(peak) / 1024


# wait4 tells the peak of this one child alone, without those of drtool's own children.
_MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], "w").write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")
"""
