#!/usr/bin/python3
"""Benchmark against MariaDB and MySQL: drtool and what people use today, side by side in one run.

mysql.py backup|restore|memory|backup97|restore97|all [--runs 5] [--no-drtool]
backup97 and restore97 ask MySQL 9.7, the others MariaDB 10.11. Prints medians and each target of the project with what was
measured. It never fails a build: exit 0 when it could run.
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
import my  # noqa: E402

BARE = "bare client, select * to /dev/null"
SETTINGS = {"innodb_buffer_pool_size": "1G", "innodb_flush_log_at_trx_commit": "0", "sync_binlog": "0", "local_infile": "1",
            "max_allowed_packet": "64M"}

# To be counted up with every change of the data: what was made before is then not used.
RECIPE = 1

TABLES = {
    "orders": """id bigint not null, customer char(36) not null, placed_at datetime(6) not null, total decimal(12,2) not null,
        status varchar(20) not null, note text not null, extra {json} not null, primary key (id), key (customer), key (placed_at)""",
    "items": """id bigint not null, order_id bigint not null, product int not null, quantity int not null,
        price decimal(10,2) not null, primary key (id)""",
    "settings": "id int not null, name varchar(100) not null, value text not null, primary key (id)",
}


class Bench:
    """A server on a data folder that is kept from run to run."""

    def __init__(self, version, name):
        base = pathlib.Path(subprocess.run([my.MY_SERVER, "dir"], check=True, capture_output=True, text=True).stdout.strip())
        self.server = my.Server.__new__(my.Server)
        self.server.version, self.server.mariadb = version, not version.startswith("9.")
        self.server.settings = {**SETTINGS, "innodb_log_file_size" if self.server.mariadb else "innodb_redo_log_capacity": "1G"}
        self.server.bin, self.server.fresh, self.server.replicas = my.bin_dir(version), False, []
        self.server.sbin = self.server.bin.with_name("sbin")
        self.server.dir = base / f"bench-my{version}-{name}-{RECIPE}"
        self.complete = self.server.dir / "complete"
        if self.server.attach():
            print("this server runs already and is used as it is: settings and load may not be those of the benchmark", flush=True)
            return
        if not self.complete.exists() and self.server.dir.exists():
            shutil.rmtree(self.server.dir)
        self.server.dir.mkdir(mode=0o755, exist_ok=True)
        self.server.start()
        atexit.register(self.server.stop)

    def fill(self, scale):
        if self.complete.exists():
            return self.server
        print(f"making the shop of {0.6 * scale:g} GB, once", flush=True)
        server = self.server
        server.create_db("shop", "character set utf8mb4")
        jobs = []
        for table, rows in (("orders", 1_500_000 * scale), ("items", 2_100_000 * scale), ("settings", 9_000)):
            server.sql("shop", f"create table {table} ({TABLES[table].format(json='longtext' if server.mariadb else 'json')})")
            argv = server.argv("mysql", "--local-infile=1", "shop", "-e",
                               f"set sql_log_bin = 0, unique_checks = 0; load data local infile '/dev/stdin' into table {table} character set utf8mb4")
            jobs.append(subprocess.Popen(["bash", "-c", f'set -o pipefail; /usr/bin/python3 {HERE}/shop_rows.py {table} 1 {rows} | "$@"',
                                          "bash", *argv], env={**os.environ, **server.env()}))
        if any([job.wait() for job in jobs]):
            sys.exit("the data could not be made")
        server.sql("shop", "analyze table orders, items, settings", timeout=1800)
        self.complete.touch()
        return server


def shell(server, program, *args):
    """The command line of a stock client, for bash."""
    return " ".join("'" + part.replace("'", "'\\''") + "'" for part in server.argv(program, *args))


def backup(args, work, version="10.11"):
    server = Bench(version, "0.6").fill(1)
    d, gz, out = Drtool(server.url, work), work / "dump.gz", work / "mydumper"
    dumped = "mariadb-dump | gzip" if server.mariadb else "mysqldump | gzip"
    selects = "; ".join(shell(server, "mysql", "--quick", "shop", "-e", f"select * from {t}") + " >/dev/null" for t in TABLES)
    contenders = [
        Contender(BARE, selects),
        Contender(dumped, shell(server, "mysqldump", "--single-transaction", "--quick", "shop") + f" | gzip >{gz}",
                  size=lambda: size_of(gz), after=empty(gz)),
    ]
    if server.mariadb:
        contenders.append(Contender("mydumper -c, 2 threads", ["mydumper", "-c", "-t", "2", "-S", server.socket, "-u", "root", "-B", "shop", "-o", out],
                                    size=lambda: size_of(out), after=empty(out)))
    if args.drtool:
        contenders.append(Contender("drtool backup", d.backup(), size=d.archive_size, after=d.forget))
    cost = race(f"Backup of 0.6 GB, {version}", contenders, args, server.env())
    ours = cost.get("drtool backup")
    if not ours:
        return
    for name, factor in ((dumped, 8), ("mydumper -c, 2 threads", 4)):
        if cost.get(name):
            ratio = cost[name].wall / ours.wall
            target(f"at least {factor} times as fast as {name}", f"{ratio:.2f}", ratio >= factor)
    if cost.get(BARE):
        bare = cost[BARE].wall
        target("no slower than the bare client", f"{ours.wall:.2f} s against {bare:.2f} s ({ours.wall / bare:.2f})", ours.wall <= bare)
    all_rows = "; ".join(shell(server, "mysql", "--quick", "--batch", "--skip-column-names", "shop", "-e", f"select * from {t}") for t in TABLES)
    text = measure.run(f"{{ {all_rows}; }} | gzip -6 | wc -c", server.env())
    size = ours.size / int(text.out)
    target("archive at most 1.05 times gzip -6 of the same data", f"{size:.3f}", size <= 1.05)
    target("peak memory at most 64 MiB at 0.6 GB", f"{ours.peak / MIB:.1f}", ours.peak <= 64 * MIB)


def restore(args, work, version="10.11"):
    server = Bench(version, "0.6").fill(1)
    d, gz, out = Drtool(server.url, work), work / "dump.gz", work / "mydumper"
    again = [] if server.mariadb else ["--set-gtid-purged=OFF"]  # the server has these transactions already
    measure.run(shell(server, "mysqldump", "--single-transaction", "--quick", *again, "shop") + f" | gzip -1 >{gz}", server.env())

    def clean(create=True):
        def prepare():
            server.drop_db("copy")
            if create:
                server.create_db("copy", "character set utf8mb4")
        return prepare

    contenders = [Contender("zcat | client", f"zcat {gz} | " + shell(server, "mysql", "copy"), before=clean())]
    if server.mariadb:
        measure.run(["mydumper", "-c", "-t", "2", "-S", server.socket, "-u", "root", "-B", "shop", "-o", out], server.env())
        contenders.append(Contender("myloader -t 2", ["myloader", "-t", "2", "-S", server.socket, "-u", "root", "-B", "copy", "-s", "shop", "-d", out],
                                    before=clean()))
    if args.drtool:
        measure.run(d.backup(), server.env())
        contenders.append(Contender("drtool restore", d.restore("copy"), before=clean(create=False)))
    cost = race(f"Restore of 0.6 GB, {version}", contenders, args, server.env())
    ours = cost.get("drtool restore")
    if not ours:
        return
    sums = [server.contents(db) for db in ("shop", "copy")]
    target("the restored tables are the same", "yes" if sums[0] == sums[1] else f"no: {sums}", sums[0] == sums[1])
    for name, factor in (("zcat | client", 2.4), ("myloader -t 2", 1)):
        if cost.get(name):
            ratio = cost[name].wall / ours.wall
            target(f"restore at least {factor} times as fast as {name}", f"{ratio:.2f}", ratio >= factor)
    target("peak memory of restore at most 64 MiB at 0.6 GB", f"{ours.peak / MIB:.1f}", ours.peak <= 64 * MIB)
    clean(create=False)()


def memory(args, work):
    server = Bench("10.11", "6").fill(10)
    d = Drtool(server.url, work)
    for title, command in (("backup of 6 GB", d.backup()), ("check of 6 GB", d.check()), ("restore of 6 GB", d.restore("copy"))):
        server.drop_db("copy")
        cost = measure.run(command, server.env())
        target(f"peak memory at most 64 MiB: {title}", f"{cost.peak / MIB:.1f} MiB in {cost.wall:.1f} s, CPU {cost.cpu:.1f} s, archive {d.archive_size() / MB:.0f} MB",
               cost.peak <= 64 * MIB)
    server.drop_db("copy")


if __name__ == "__main__":
    main({"backup": backup, "restore": restore, "memory": memory, "backup97": lambda a, w: backup(a, w, "9.7"),
          "restore97": lambda a, w: restore(a, w, "9.7")}, __doc__)
