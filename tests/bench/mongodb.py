#!/usr/bin/python3
"""Benchmark against servers of MongoDB's protocol: drtool and what people use today, side by side in one run.

mongodb.py stream|backup|restore|memory|all [--runs 5] [--no-drtool]
stream and memory ask a server that streams documents out of memory (mongo_stream.c before a scripted server), backup and restore the
server of scripts/mongo-server. Prints medians and each target of the project with what was measured. It never fails a build: exit 0
when it could run.
"""

import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys

import measure
import shop_documents
from contest import HERE, MB, MIB, ROOT, Contender, Drtool, empty, main, race, size_of, target

sys.path.insert(0, str(ROOT / "tests" / "lib"))
import mo  # noqa: E402
import mongo_script  # noqa: E402

BARE = ROOT / "build" / "release" / "bench_mongo_bare"
STREAM = ROOT / "build" / "release" / "bench_mongo_stream"
CURSOR, CURSORS = "bare cursor", "bare cursors, all at a time"
LOOPS, DUMP = "four insert loops, indexes after", "mongodump --gzip"

# To be counted up with every change of the data: what was made before is then not used.
RECIPE = 1

DOCUMENTS = {"orders": 900_000, "items": 1_200_000, "settings": 9_000}
INDEXES = {"orders": [{"key": {"customer": 1}, "name": "customer_1"}, {"key": {"placed_at": 1}, "name": "placed_at_1"}]}


def stock_tool(name):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "drtool-test"
    return shutil.which(name) or next((str(path) for path in sorted(cache.glob(f"mongo-tools-*/{name}"))), None)


class Bench(mo.Server):
    """A server on a data folder that is kept from run to run, and the same documents as files."""

    def __init__(self):
        self.auth, self._client = False, None
        self.dir = pathlib.Path(mo._run([mo.MONGO_SERVER, "dir"]).strip()) / f"bench-mo-{RECIPE}"
        self.files, complete = self.dir / "bson", self.dir / "complete"
        if not complete.exists() and self.dir.exists():
            if (self.dir / "server").exists():
                mo._run([mo.MONGO_SERVER, "stop", str(self.dir), "immediate"])
            shutil.rmtree(self.dir)
        self.dir.mkdir(mode=0o755, exist_ok=True)
        atexit.register(self.stop)
        self.start()
        if not complete.exists():
            self._fill()
            complete.touch()

    def _fill(self):
        print("making the shop, once", flush=True)
        self.files.mkdir()
        for name, number in DOCUMENTS.items():
            with open(self.files / f"{name}.bson", "wb") as file:
                shop_documents.write(name, 1, number, file)
        commands = [json.dumps({"createIndexes": name, "indexes": indexes}) + "\n" for name, indexes in INDEXES.items()]
        (self.files / "indexes.json").write_text("".join(commands))
        measure.run([BARE, "insert", self.url(), "shop", self.files])

    @property
    def size(self):
        return sum(path.stat().st_size for path in self.files.glob("*.bson"))


class Stream:
    """A replica set of one member that has these collections, {"shop.orders": MB}, and forgets what is inserted."""

    def __init__(self, work, collections):
        pool = work / "pool.bson"
        with open(pool, "wb") as file:
            shop_documents.write("orders", 1, 50_000, file)
        self.front = mongo_script.Script(set_name="rs0")
        for name in collections:
            self.front.store.load(*name.split("."))
        argv = [STREAM, self.front.port, pool, *(f"{name}={mb}" for name, mb in collections.items())]
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        self.port = int(self.process.stdout.readline())
        self.front.set(hosts=[f"127.0.0.1:{self.port}"])
        self.bytes = sum(collections.values()) * MB

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.front.close()

    def url(self, db=""):
        return f"mongodb://127.0.0.1:{self.port}/{db}?replicaSet=rs0"

    def cpu(self):
        """Seconds of both programs; the scripted server is in this one."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(os.times()[:2])


def stream(args, work):
    """The collections are larger than split_above (256 MiB), so each is read in ranges on both connections."""
    server = Stream(work, {"shop.orders": 1200, "shop.old": 300})
    d, cpu = Drtool(server.url, work), []

    def begin():
        cpu.append(-server.cpu())

    def end():
        cpu[-1] += server.cpu()
        d.forget()

    contenders = [Contender(CURSOR, [BARE, "read", server.url(), "shop"]), Contender(CURSORS, [BARE, "read-at-once", server.url(), "shop"])]
    if args.drtool:
        contenders.append(Contender("drtool backup", d.backup(), before=begin, size=d.archive_size, after=end))
    cost = race(f"Backup of {server.bytes / MB:.0f} MB that come from memory", contenders, args, {})
    ours = cost.get("drtool backup")
    if ours:
        rate, share = server.bytes / MB / ours.wall, sorted(cpu)[len(cpu) // 2]
        target("at least 250 MB/s of BSON, with gzip", f"{rate:.0f} MB/s", rate >= 250)
        target("peak memory at most 64 MiB", f"{ours.peak / MIB:.1f}", ours.peak <= 64 * MIB)
        print(f"        the server itself: {share:.2f} s of processor time, {100 * share / (share + ours.cpu):.0f} % of all", flush=True)
    server.stop()


def backup(args, work):
    server = Bench()
    d, out = Drtool(server.url, work), work / "mongodump"
    contenders = [Contender(CURSOR, [BARE, "read", server.url(), "shop"]), Contender(CURSORS, [BARE, "read-at-once", server.url(), "shop"])]
    if stock_tool("mongodump"):
        contenders.append(Contender(DUMP, [stock_tool("mongodump"), "--quiet", f"--uri={server.url()}", "--db=shop", "--gzip", f"--out={out}"],
                                    size=lambda: size_of(out), after=empty(out)))
    if args.drtool:
        contenders.append(Contender("drtool backup", d.backup(), size=d.archive_size, after=d.forget))
    cost = race(f"Backup of {server.size / MB:.0f} MB, {server.kind}", contenders, args, {})
    ours = cost.get("drtool backup")
    if not ours:
        return
    if cost.get(CURSOR):
        ratio = ours.wall / cost[CURSOR].wall
        target("at most 1.1 times a bare cursor", f"{ratio:.2f}", ratio <= 1.1)
    if cost.get(CURSORS):
        print(f"        {ours.wall / cost[CURSORS].wall:.2f} times as long as a cursor for each collection, all at a time", flush=True)
    if cost.get(DUMP):
        print(f"        {DUMP} takes {cost[DUMP].wall / ours.wall:.2f} times as long as drtool", flush=True)
    packed = measure.run(f"cat {server.files}/*.bson | gzip -6 | wc -c")
    print(f"        archive: {ours.size / int(packed.out):.3f} of gzip -6 of the same data", flush=True)
    target("peak memory at most 64 MiB", f"{ours.peak / MIB:.1f}", ours.peak <= 64 * MIB)


def restore(args, work):
    """All collections, and one of middle size alone, which the connections have to share."""
    server = Bench()
    d, out, restored = Drtool(server.url, work), work / "mongodump", stock_tool("mongorestore")
    one = work / "one"
    one.mkdir()
    (one / "items.bson").symlink_to(server.files / "items.bson")
    (one / "indexes.json").touch()
    if stock_tool("mongodump") and restored:
        measure.run([stock_tool("mongodump"), "--quiet", f"--uri={server.url()}", "--db=shop", "--gzip", f"--out={out}"])
    if args.drtool:
        measure.run(d.backup())
    for title, files, of_stock, of_drtool in (
            (f"{server.size / MB:.0f} MB", server.files, [], []),
            ("one collection of 94 MB", one, ["--nsInclude=shop.items"], ["--table", "shop.items"])):
        restore_race(f"Restore of {title}, {server.kind}", args, server, (
            [BARE, "insert", server.url(), "copy", files],
            [restored, "--quiet", f"--uri={server.url()}", "--gzip", "--nsFrom=shop.*", "--nsTo=copy.*", *of_stock, out] if out.exists() else None,
            d.restore("copy", *of_drtool) if args.drtool else None), [path.stem for path in files.glob("*.bson")])
    server.drop_db("copy")


def restore_race(title, args, server, commands, names):
    clean = lambda: server.drop_db("copy")  # noqa: E731
    loops, stock, ours = commands
    contenders = [Contender(LOOPS, loops, before=clean)]
    if stock:
        contenders += [Contender("mongorestore --gzip", stock, before=clean),
                       Contender("mongorestore --gzip, 4 workers", [*stock, "--numInsertionWorkersPerCollection=4"], before=clean)]
    peers = [contender.name for contender in contenders]
    if ours:
        contenders += [Contender("drtool restore --jobs 4", [*ours, "--jobs", "4"], before=clean), Contender("drtool restore", ours, before=clean)]
    cost = race(title, contenders, args, {})
    ours = cost.get("drtool restore")
    if not ours:
        return
    there, here = server.contents("copy"), server.contents("shop")
    same = there == {name: here[name] for name in names} and all(server.indexes("copy")[name] == server.indexes("shop")[name] for name in names)
    target("what was restored is the same", "yes" if same else "no", same)
    for name in peers:
        if cost.get(name):
            ratio = ours.wall / cost[name].wall
            target(f"no slower than {name}", f"{ratio:.2f} of its time", ratio <= 1)
    target("peak memory at most 64 MiB", f"{ours.peak / MIB:.1f}", ours.peak <= 64 * MIB)


def memory(args, work):
    """The server forgets what the restore inserts: its memory is what is measured, and the speed of a server that is not in the way."""
    server = Stream(work, {"shop.orders": 5500, "shop.old": 500})
    d = Drtool(server.url, work)
    for title, command in (("backup of 6 GB", d.backup()), ("check of 6 GB", d.check()), ("restore of 6 GB", d.restore("copy"))):
        cost = measure.run(command)
        target(f"peak memory at most 64 MiB: {title}", f"{cost.peak / MIB:.1f} MiB in {cost.wall:.1f} s, CPU {cost.cpu:.1f} s, "
               f"archive {d.archive_size() / MB:.0f} MB", cost.peak <= 64 * MIB)
    server.stop()


if __name__ == "__main__":
    main({"stream": stream, "backup": backup, "restore": restore, "memory": memory}, __doc__)
