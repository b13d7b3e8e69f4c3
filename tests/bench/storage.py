#!/usr/bin/python3
"""Benchmark of storages: what a bucket costs beside a folder, what sealing costs, how much is read and asked for.

storage.py backup|memory|seal|table|list|all [--runs 5]
Prints medians and each target of the project with what was measured. It never fails a build: exit 0 when it could run.
"""

import atexit
import base64
import concurrent.futures
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

import measure
import postgres
from contest import DRTOOL, MB, MIB, ROOT, Contender, empty, main, race, target

import s3  # noqa: E402 the path is that of postgres
import s3_faults  # noqa: E402

LOCAL, DISCARD, REAL = "to a folder", "to S3, thrown away", "to S3, versitygw"


class Discard:
    """The server that throws away what it gets (s3_discard.c)."""

    def __init__(self, work):
        port = work / "discard.port"
        self.process = subprocess.Popen([ROOT / "build" / "release" / "bench_s3_discard", port], stdin=subprocess.PIPE)
        atexit.register(self.process.kill)
        while not port.exists():
            if self.process.poll() is not None:
                sys.exit("the server that throws away did not start: run make build/release/bench_s3_discard")
            time.sleep(0.01)
        self.port = int(port.read_text())
        self.endpoint, self.region, self.ca, self.keys = f"http://127.0.0.1:{self.port}", "us-east-1", None, s3.Keys("bench", "bench")
        self.client, self.buckets = s3.Client(self.endpoint, self.keys), 0

    def bucket(self):
        """Of any name: the server has one space of keys."""
        self.buckets += 1
        return s3.Bucket(self, f"bucket-{self.buckets}").make()

    def bucket(self):
        """Whatever its name, every key lies in one space."""
        return s3.Bucket(self, "bench")

    def counters(self):
        """(requests, bytes in, bytes out)"""
        words = self.client.request("GET", "/.counters")[1].split()
        return int(words[1]), int(words[3]), int(words[5])


def versitygw(work):
    """The real server, its folder on tmpfs."""
    server = s3.Server.__new__(s3.Server)
    server.kind, server.tls, server.dir = "versitygw", False, work / "versitygw"
    started.append(server)
    return server.start()


started = []


def with_servers(part):
    """What a part has started ends with it, before its folder goes."""
    def run(args, work):
        try:
            part(args, work)
        finally:
            while started:
                started.pop().remove()
    return run


class Bench:
    """A server with data, and command lines of drtool for it."""

    def __init__(self, work, server, database="shop", sealed=False):
        self.work, self.server, self.database = work, server, database
        self.keyfile, self.common = work / "identity", ["--state-dir", work / "state"]
        self.env = {**server.env(), "AWS_EC2_METADATA_DISABLED": "true"}
        self.config = self._config("plain", "")
        if sealed:
            measure.run([DRTOOL, "key", "generate", "--output", self.keyfile])
            recipient = next(word for word in self.keyfile.read_text().split() if word.startswith("age1"))
            self.sealed = self._config("sealed", f", encrypt_to: [{recipient}]")

    def _config(self, name, more):
        path = self.work / f"{name}.yaml"
        path.write_text(f"sources: {{bench: {{url: \"{self.server.url(self.database)}\"{more}}}}}\n")
        path.chmod(0o600)
        return path

    def backup(self, *to, sealed=False):
        return [DRTOOL, "backup", "bench", "--config", self.sealed if sealed else self.config, *self._stores(to, "--to"), *self.common]

    def restore(self, url, into, *more):
        return [DRTOOL, "restore", "bench", "--from", url, "--into", self.server.url(into), *self.common, *more]

    @staticmethod
    def _stores(urls, flag):
        return [word for url in urls for word in (flag, url)]

    @property
    def folder(self):
        return f"file://{self.work}/store"

    def forget(self):
        empty(self.work / "store", self.work / "state")()

    def stored(self):
        return sum(f.stat().st_size for f in (self.work / "store" / "bench" / "backup").glob("*.tar.gz*"))


def shop():
    return postgres.Bench("0.6").fill(postgres.fill_shop(1))


# --- the parts ---

def backup(args, work):
    bench = Bench(work, shop())
    discard, real = Discard(work), versitygw(work)
    env = {**bench.env, **real.keys.env}

    def into(server):
        """A bucket of its own each time: what was stored is not kept on tmpfs."""
        bucket = server.bucket()
        state = {"bucket": bucket}

        def clear():
            for key in state["bucket"].keys():
                state["bucket"].delete(key)
            empty(work / "state")()

        return bench.backup(bucket.url()), clear, lambda: sum(n for key, n in state["bucket"].objects().items() if ".tar.gz" in key)

    contenders = [Contender(LOCAL, bench.backup(bench.folder), size=bench.stored, after=bench.forget)]
    for name, server in ((DISCARD, discard), (REAL, real)):
        command, clear, size = into(server)
        contenders.append(Contender(name, command, size=size, after=clear))
    cost = race("Backup of 0.6 GB", contenders, args, env)
    local, ours = cost.get(LOCAL), cost.get(DISCARD)
    if local and ours:
        ratio = ours.cpu / local.cpu
        target("drtool's own CPU with S3 at most 1.15 times that with a folder", f"{ours.cpu:.2f} s against {local.cpu:.2f} s ({ratio:.3f})", ratio <= 1.15)
        ratio = ours.wall / local.wall
        target("wall time with S3 that costs nothing at most 1.1 times that with a folder", f"{ours.wall:.2f} s against {local.wall:.2f} s ({ratio:.3f})", ratio <= 1.1)
    if local and cost.get(REAL):
        print(f"         versitygw, which takes processor time on the same machine: {cost[REAL].wall / local.wall:.2f} times the folder")


def memory(args, work):
    bench = Bench(work, shop(), sealed=True)
    discard, real = Discard(work), versitygw(work)
    env = {**bench.env, **real.keys.env}
    url = real.bucket().url()
    identity = ["--identity", bench.keyfile]
    print("\n## Memory at 0.6 GB with S3, one run each", flush=True)

    def peak(title, command):
        try:
            cost = measure.run(command, env)
        except measure.Failed as failed:
            print(f"{title}: failed: {failed}", flush=True)
            return
        target(f"peak memory at most 96 MiB: {title}", f"{cost.peak / MIB:.1f} MiB in {cost.wall:.1f} s", cost.peak <= 96 * MIB)

    peak("backup, sealed, thrown away", bench.backup(discard.bucket().url(), sealed=True))
    peak("backup, sealed, to a folder and two buckets", bench.backup(bench.folder, discard.bucket().url(), real.bucket().url(), sealed=True))
    bench.forget()
    peak("backup, sealed, to versitygw", bench.backup(url, sealed=True))
    check = [DRTOOL, "check", "bench", "--from", url, *bench.common]
    peak("check without the key", check)
    peak("check with the key", [*check, *identity])
    peak("copy to a folder", [DRTOOL, "copy", "bench", "--from", url, "--to", bench.folder, *bench.common])
    bench.server.drop_db("copy")
    peak("restore, sealed, from versitygw", bench.restore(url, "copy", *identity))
    bench.server.drop_db("copy")


def seal(args, work):
    bench = Bench(work, shop(), sealed=True)
    cost = race("Backup of 0.6 GB, sealed", [
        Contender("plain", bench.backup(bench.folder), size=bench.stored, after=bench.forget),
        Contender("sealed", bench.backup(bench.folder, sealed=True), size=bench.stored, after=bench.forget)], args, bench.env)
    if cost.get("plain") and cost.get("sealed"):
        ratio = cost["sealed"].wall / cost["plain"].wall
        target("sealing takes at most 10 % of the time", f"{cost['sealed'].wall:.2f} s against {cost['plain'].wall:.2f} s ({ratio:.3f})", ratio <= 1.1)
        print(f"         processor time: {cost['sealed'].cpu:.2f} s against {cost['plain'].cpu:.2f} s ({cost['sealed'].cpu / cost['plain'].cpu:.3f})")


LINE = 150  # bytes at random in each row of the bulk: what gzip makes of their base64 is as large as they are


def random_rows(first, n):
    for i in range(first, first + n):
        yield f"{i}\t{base64.b64encode(random.Random(i).randbytes(LINE)).decode()}\n".encode()


def fill_bulk(server):
    print("making a table of 10 MB and another one of 590 MB, as they are stored, once", flush=True)
    server.create_db("bulk")
    for table, size in (("wanted", 10 * MB), ("bulk", 590 * MB)):
        server.sql("bulk", f"create table {table} (id int primary key, t text not null)")
        copy = subprocess.Popen(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "bulk", "-c", f"copy {table} from stdin"],
                                env={**os.environ, **server.env()}, stdin=subprocess.PIPE)
        for row in random_rows(0, size // (LINE + 4)):
            copy.stdin.write(row)
        copy.stdin.close()
        if copy.wait():
            sys.exit("the data could not be made")


def table(args, work):
    bench = Bench(work, postgres.Bench("bulk").fill(fill_bulk), "bulk")
    real = versitygw(work)
    bucket = real.bucket()
    env = {**bench.env, **real.keys.env}
    print("\n## One table out of an archive in S3", flush=True)
    measure.run(bench.backup(bucket.url()), env)
    archive = sum(size for key, size in bucket.objects().items() if ".tar.gz" in key)
    bench.server.drop_db("copy")
    with s3_faults.Proxy(real) as proxy:
        cost = measure.run(bench.restore(bucket.url(endpoint=proxy.endpoint), "copy", "--table", "public.wanted"), env)
        moved, requests = proxy.moved, len(proxy.log)
    rows = bench.server.sql("copy", "select count(*) from wanted")
    size = bench.server.sql("bulk", "select count(*) from wanted")
    bench.server.drop_db("copy")
    target(f"one table of 10 MB out of {archive / MB:.0f} MB moves at most 12 MB",
           f"{moved / MB:.2f} MB in {requests} requests, {rows} of {size} rows, {cost.wall:.2f} s", moved <= 12 * MB and rows == size)


# --- many backups ---

def fill_tiny(server):
    server.create_db("tiny")
    server.sql("tiny", "create table t (id int primary key); insert into t select generate_series(1, 100)")


def clone(manifest, id, finished):
    """The same manifest for another backup; its text ends with the checksum of all before."""
    old = json.loads(manifest)["id"]
    text = manifest.decode().replace(old, id)
    for key in ("started", "finished", "data_time"):
        at = text.index(f'"{key}": "') + len(key) + 5
        text = text[:at] + finished.strftime("%Y-%m-%dT%H:%M:%SZ") + text[at + 20:]
    before = text[:text.rindex('"checksum"')].encode()
    return before + f'"checksum": "{hashlib.sha256(before).hexdigest()}"\n}}\n'.encode()


def clone_evidence(text, id, finished, run, previous):
    record = json.loads(text)
    when = finished.strftime("%Y-%m-%dT%H:%M:%SZ")
    record.update(backup=id, started=when, finished=when, finished_us=int(finished.timestamp() * 1e6), run=run, previous=previous)
    return json.dumps(record, indent=2).encode()


def put_all(server, bucket, objects):
    """objects: (key, bytes, size or None: that size is claimed)."""
    local = threading.local()

    def put(item):
        key, data, size = item
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", server.port)
        local.connection.request("PUT", f"/{bucket.name}/{key}", data, {"x-discard-size": str(size)} if size else {})
        if local.connection.getresponse().read():
            sys.exit(f"the server refused {key}")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(put, objects))


def many_backups(server, bucket, many):
    """Beside the one backup that is there: as many more, one an hour back, each with its archive and its evidence."""
    id = bucket.backups("bench")[0]
    manifest, archive = bucket.get(f"bench/backup/{id}.json"), json.loads(bucket.get(f"bench/backup/{id}.json"))["objects"][0]
    first_evidence = bucket.get(bucket.keys("evidence/bench/")[0])
    now = datetime.datetime.now(datetime.timezone.utc)
    objects, previous = [], None
    for i in range(many, 0, -1):
        finished = now - datetime.timedelta(hours=i)
        stamp = finished.strftime("%Y%m%dT%H%M%SZ")
        other, run = f"{stamp}-{i % 65536:04x}", f"{i:06x}"
        objects += [(f"bench/backup/{other}.json", clone(manifest, other, finished), None), (f"bench/backup/{other}.tar.gz", b"", archive["size"])]
        evidence = clone_evidence(first_evidence, other, finished, run, previous)
        key = f"evidence/bench/{stamp}-backup-{run}.json"
        objects.append((key, evidence, None))
        previous = {"key": key, "sha256": hashlib.sha256(evidence).hexdigest()}
    put_all(server, bucket, objects)


def list_many(args, work, many=10_000):
    bench, discard = Bench(work, postgres.Bench("tiny").fill(fill_tiny), "tiny"), Discard(work)
    bucket, env = discard.bucket(), {**bench.env, **discard.keys.env}
    measure.run(bench.backup(bucket.url()), env)
    many_backups(discard, bucket, many - 1)
    print(f"\n## {many} backups in S3", flush=True)

    def asked(title, command, limits):
        costs, requests = [], []
        for _ in range(args.runs if limits else 1):
            before = discard.counters()[0]
            costs.append(measure.run(command, env))
            requests.append(discard.counters()[0] - before)
        cost, most = measure.median(costs), max(requests)
        said = f"{cost.wall:.2f} s, {most} requests, {cost.peak / MIB:.1f} MiB"
        if limits:
            target(f"{title} under 2 s with at most 60 requests", said, cost.wall < 2 and most <= 60)
        else:
            print(f"         {title}: {said}", flush=True)
        return cost.out

    listing = [DRTOOL, "list", "bench", "--from", bucket.url(), "--json", *bench.common]
    status = [DRTOOL, "status", "bench", "--from", bucket.url(), "--max-age", "26h", *bench.common]
    cold = asked("list, the first time", listing, False)
    found = len(json.loads(cold)[0]["backups"])
    target("list finds every backup", str(found), found == many)
    warm = asked("list", listing, True)
    target("list says the same with the cache and without", "yes" if warm == cold else "no", warm == cold)
    asked("status", status, True)


if __name__ == "__main__":
    parts = {"backup": backup, "memory": memory, "seal": seal, "table": table, "list": list_many}
    main({name: with_servers(part) for name, part in parts.items()}, __doc__)
