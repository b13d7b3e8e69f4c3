#!/usr/bin/python3
"""Benchmark against PostgreSQL: drtool and what people use today, side by side in one run.

postgres.py backup|restore|memory|tables|all [--runs 5] [--no-drtool]
Prints medians and each target of the project with what was measured. It never fails a build: exit 0 when it could run.
"""

import atexit
import os
import pathlib
import shutil
import subprocess
import sys

import measure
from contest import HERE, MB, MIB, ROOT, Contender, Drtool, empty, main, race, size_of, target

sys.path.insert(0, str(ROOT / "tests" / "lib"))
import pg  # noqa: E402

COPY = "psql COPY to /dev/null, one by one"
BARE = "bare COPY FROM and indexes, 2 jobs"
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "maintenance_work_mem": "256MB",
            "autovacuum": "off", "max_locks_per_transaction": "2000", "jit": "off"}

# To be counted up with every change of the data: what was made before is then not used.
RECIPE = 2

# By hand and not by a dump of the schema: the bare script, the limit for every restore, uses the same lines.
TABLES = """
create table orders (id bigint not null, customer uuid not null, placed_at timestamp not null, total numeric(12,2) not null,
    status text not null, note text not null, extra jsonb not null);
create table items (id bigint not null, order_id bigint not null, product integer not null, quantity integer not null,
    price numeric(10,2) not null);
create table settings (id integer not null, name text not null, value text not null);
"""
INDEXES = ["alter table orders add primary key (id)", "create index orders_customer on orders (customer)",
           "create index orders_placed_at on orders (placed_at)", "alter table items add primary key (id)",
           "alter table settings add primary key (id)"]


# --- the server and its data, made once and kept ---

class Bench:
    """A server on a data folder that is kept from run to run."""

    def __init__(self, name):
        base = pathlib.Path(subprocess.run([pg.PG_SERVER, "dir"], check=True, capture_output=True, text=True).stdout.strip())
        self.server = pg.Server.__new__(pg.Server)
        self.server.version, self.server.bin, self.server.fresh = 15, pg.bin_dir(15), False
        self.server.settings, self.server.standbys, self.server.dir = SETTINGS, [], base / f"bench-{name}-{RECIPE}"
        self.complete = self.server.dir / "complete"
        if self.server.attach():
            print("this server runs already and is used as it is: settings and load may not be those of the benchmark", flush=True)
            return
        if not self.complete.exists() and self.server.dir.exists():
            if (self.server.data / "postmaster.pid").exists():
                self.server.stop("immediate")
            shutil.rmtree(self.server.dir)
        self.server.start()
        atexit.register(self.server.stop, "fast")

    def fill(self, make):
        if not self.complete.exists():
            make(self.server)
            self.server.sql("postgres", "checkpoint", timeout=600)
            self.complete.touch()
        return self.server


def fill_shop(scale):
    """scale 1 is 0.6 GB of COPY text."""

    def copy(server, table, rows):
        psql = f"psql -XqAt -v ON_ERROR_STOP=1 -d shop -c 'copy {table} from stdin'"
        return subprocess.Popen(["bash", "-c", f"set -o pipefail; /usr/bin/python3 {HERE}/shop_rows.py {table} 1 {rows} | {psql}"],
                                env={**os.environ, **server.env()})

    def make(server):
        print(f"making the shop of {0.6 * scale:g} GB, once", flush=True)
        server.create_db("shop")
        server.sql("shop", TABLES)
        jobs = [copy(server, "orders", 1_500_000 * scale), copy(server, "items", 2_100_000 * scale), copy(server, "settings", 9_000)]
        if any([job.wait() for job in jobs]):
            sys.exit("the data could not be made")
        for index in INDEXES:
            server.sql("shop", index, timeout=1800)
        server.sql("shop", "vacuum (freeze, analyze)", timeout=1800)

    return make


def fill_tables(server):
    print("making 10,000 tables, once", flush=True)
    server.create_db("many")
    for first in range(0, 10_000, 1000):
        server.sql("many", f"""do $$ begin for i in {first}..{first + 999} loop
            execute format('create table t%s (id int primary key, name text not null, at timestamptz default now())', i);
            execute format('insert into t%s select g, ''row '' || g from generate_series(1, 10) g', i); end loop; end $$""", timeout=600)
    server.sql("many", "analyze", timeout=600)


# --- the parts ---

def backup(args, work):
    server = Bench("0.6").fill(fill_shop(1))
    d = Drtool(server.url, work)
    gz, fd, fd1 = work / "dump.gz", work / "fd", work / "fd1"
    tables = "; ".join(f"psql -XqAt -d shop -c 'copy {t} to stdout' >/dev/null" for t in ("orders", "items", "settings"))
    contenders = [
        Contender(COPY, tables),
        Contender("pg_dump | gzip", f"pg_dump shop | gzip >{gz}", size=lambda: size_of(gz), after=empty(gz)),
        Contender("pg_dump -Fd -j2", ["pg_dump", "-Fd", "-j2", "-f", fd, "shop"], size=lambda: size_of(fd), after=empty(fd)),
        Contender("pg_dump -Fd -Z1 -j2", ["pg_dump", "-Fd", "-Z1", "-j2", "-f", fd1, "shop"], size=lambda: size_of(fd1), after=empty(fd1)),
    ]
    if args.drtool:
        contenders.append(Contender("drtool backup", d.backup(), size=d.archive_size, after=d.forget))
    cost = race("Backup of 0.6 GB", contenders, args, server.env())
    ours = cost.get("drtool backup")
    if not ours:
        return
    for name, factor in (("pg_dump | gzip", 7), ("pg_dump -Fd -j2", 5.5), ("pg_dump -Fd -Z1 -j2", 2.2)):
        if cost.get(name):
            ratio = cost[name].wall / ours.wall
            target(f"at least {factor} times as fast as {name}", f"{ratio:.2f}", ratio >= factor)
    if cost.get("pg_dump | gzip"):
        size = ours.size / cost["pg_dump | gzip"].size
        target("archive at most 1.05 times that of gzip -6", f"{size:.3f}", size <= 1.05)
    if cost.get(COPY):
        bare = cost[COPY].wall
        target("at most 1.05 times the bare COPY, + 0.3 s", f"{ours.wall:.2f} s against {bare:.2f} s ({ours.wall / bare:.2f})",
               ours.wall <= 1.05 * bare + 0.3)
    target("peak memory at most 64 MiB at 0.6 GB", f"{ours.peak / MIB:.1f}", ours.peak <= 64 * MIB)


def restore(args, work):
    server = Bench("0.6").fill(fill_shop(1))
    d = Drtool(server.url, work)
    gz, fd, bare = work / "dump.gz", work / "fd", work / "bare"
    measure.run(f"pg_dump shop | gzip -1 >{gz}; pg_dump -Fd -j2 -f {fd} shop", server.env())
    bare.mkdir()
    half = 750_000
    measure.run(f"""psql -XqAt -d shop -c 'copy (select * from orders where id <= {half}) to stdout' >{bare}/orders.1
        psql -XqAt -d shop -c 'copy (select * from orders where id > {half}) to stdout' >{bare}/orders.2
        psql -XqAt -d shop -c 'copy items to stdout' >{bare}/items.1
        psql -XqAt -d shop -c 'copy settings to stdout' >{bare}/settings.1""", server.env())
    (bare / "tables.sql").write_text(TABLES)
    (bare / "indexes.sql").write_text("".join(index + "\n" for index in INDEXES))
    load = f"""psql -XqAt -d copy -f {bare}/tables.sql
        printf '%s\\n' orders.1 orders.2 items.1 settings.1 | xargs -P2 -I@ bash -c 'f=@; psql -XqAt -d copy -c "copy ${{f%.?}} from stdin" <{bare}/@'
        xargs -P2 -d '\\n' -n1 psql -XqAt -d copy -c <{bare}/indexes.sql"""

    def clean(create=True):
        def prepare():
            server.drop_db("copy")
            server.sql("postgres", "checkpoint", timeout=600)
            if create:
                server.create_db("copy")
        return prepare

    contenders = [
        Contender(BARE, load, before=clean()),
        Contender("gunzip | psql", f"gunzip <{gz} | psql -Xq -d copy >/dev/null", before=clean()),
        Contender("pg_restore -j2 of -Fd", ["pg_restore", "-j2", "-d", "copy", fd], before=clean()),
    ]
    if args.drtool:
        measure.run(d.backup(), server.env())
        contenders.append(Contender("drtool restore", d.restore("copy"), before=clean(create=False)))
    cost = race("Restore of 0.6 GB", contenders, args, server.env())
    if cost.get("drtool restore"):
        same = server.sql("copy", "select count(*), sum(hashtext(o::text)) from orders o") == \
            server.sql("shop", "select count(*), sum(hashtext(o::text)) from orders o")
        for name, factor in ((BARE, 1.15), ("pg_restore -j2 of -Fd", 1)):
            if cost.get(name):
                ratio = cost["drtool restore"].wall / cost[name].wall
                target(f"restore at most {factor} times {name}", f"{ratio:.2f}", ratio <= factor)
        target("the restored orders are the same", "yes" if same else "no", same)
        peak = cost["drtool restore"].peak
        target("peak memory of restore at most 64 MiB at 0.6 GB", f"{peak / MIB:.1f}", peak <= 64 * MIB)
    clean(create=False)()


def memory(args, work):
    server = Bench("6").fill(fill_shop(10))
    env, d = server.env(), Drtool(server.url, work)
    print("\n## Memory at 6 GB, one run each", flush=True)

    def peak(title, command, limit=64):
        try:
            cost = measure.run(command, env)
        except measure.Failed as failed:
            print(f"{title}: failed: {failed}", flush=True)
            return None
        target(f"peak memory at most {limit} MiB: {title}", f"{cost.peak / MIB:.1f} MiB in {cost.wall:.1f} s, CPU {cost.cpu:.1f} s",
               cost.peak <= limit * MIB)
        return cost

    if not peak("backup of 6 GB", d.backup()):
        return
    peak("check of 6 GB", d.check())
    server.drop_db("copy")
    one_table(server, d)
    peak("restore of 6 GB", d.restore("copy"))
    server.drop_db("copy")
    d.forget()
    env["DRTOOL_CHUNK_SIZE"] = "4k"
    if peak("backup of 6 GB, chunk_size=4k", d.backup()):
        archive = next((d.store / "bench" / "backup").glob("*.tar.gz"))
        found = measure.run(f"tar tzf {archive} | grep -c '[.]copy$'").out.strip()
        target("at least 1,000,000 members", found, int(found) >= 1_000_000)
        peak("check of 6 GB, chunk_size=4k", d.check())
        peak("restore of 6 GB, chunk_size=4k", d.restore("copy"))
        server.drop_db("copy")


def one_table(server, d):
    """What restoring a table of 1 MB reads of an archive of gigabytes."""
    try:
        cost = measure.run(d.restore("copy", "--table", "public.settings"), server.env())
    except measure.Failed as failed:
        print(f"one small table: failed: {failed}", flush=True)
        return
    rows = server.sql("copy", "select count(*) from settings")
    archive = d.archive_size()
    limit = 2 * MB  # its own bytes, compressed 0.4 MB, the root, its pages, the schema dump and what the libraries read at start
    target("one table of 1 MB reads its own bytes, the root and its pages",
           f"{cost.read / MB:.2f} MB read of {archive / MB:.0f} MB, {rows} rows, {cost.wall:.2f} s", cost.read <= limit)
    server.drop_db("copy")


def tables(args, work):
    server = Bench("tables").fill(fill_tables)
    d = Drtool(server.url, work, "many")
    fd = work / "fd"
    contenders = [Contender("pg_dump -Fd -j2", ["pg_dump", "-Fd", "-j2", "-f", fd, "many"], size=lambda: size_of(fd), after=empty(fd))]
    if args.drtool:
        contenders.append(Contender("drtool backup", d.backup(), size=d.archive_size, after=d.forget))
    cost = race("Backup of 10,000 tables", contenders, args, server.env())
    if cost.get("drtool backup") and cost.get("pg_dump -Fd -j2"):
        ratio = cost["drtool backup"].wall / cost["pg_dump -Fd -j2"].wall
        target("10,000 tables no slower than pg_dump -Fd -j2", f"{ratio:.2f}", ratio <= 1)
        peak = cost["drtool backup"].peak
        target("peak memory at most 64 MiB with 10,000 tables", f"{peak / MIB:.1f}", peak <= 64 * MIB)


if __name__ == "__main__":
    main({"backup": backup, "restore": restore, "memory": memory, "tables": tables}, __doc__)
