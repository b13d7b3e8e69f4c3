"""A MariaDB or MySQL database with one good backup of it, of which each test takes a copy to spoil: shop.py's sibling."""

import contextlib
import difflib
import re
import shutil

import drtool as drtool_lib
import fault
import my

DIGITS = "create table digits (n int primary key); insert into digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);"

# Several tables, one of which is split into ranges; an index, a foreign key, a view, a trigger, a routine and an event.
SQL = DIGITS + """
    create table customer (id int primary key auto_increment, name varchar(50) unique);
    create table orders (id int primary key auto_increment, customer int not null, total decimal(10,2), key (total),
        constraint to_customer foreign key (customer) references customer (id));
    create table big (id int primary key, t varchar(300), key (t(9)));
    insert into customer (name) select concat('c', a.n * 10 + b.n) from digits a, digits b where a.n < 2;
    insert into orders (customer, total) select c.id, d.n * 3 from customer c, digits d;
    insert into big select a.n * 1000 + b.n * 100 + c.n * 10 + d.n, repeat(sha2(concat(a.n, b.n, c.n, d.n), 256), 4)
        from digits a, digits b, digits c, digits d where a.n < 3;
    analyze table big; alter table customer auto_increment = 1; alter table orders auto_increment = 1; -- as after a crash
    create view totals as select customer, sum(total) as total from orders group by customer;
    create function twice(n int) returns int deterministic return n * 2;
    create trigger lower_name before insert on customer for each row set new.name = lower(new.name);
    create event never on schedule every 1 year disable do delete from big where id < 0;
"""


def snapshot(server, db):
    """What a database holds and how it is defined, whatever its name. It has no virtual columns, so the sums of the server are good."""
    sums = server.sql(db, f"checksum table {', '.join(map(my.quote, server.tables(db)))} extended")
    return {"contents": sums.replace(f"{db}.", ""), "schema": server.dump(db, "--no-data").replace(my.quote(db), "`db`")}


def same(before, after):
    """Fails with what differs between two snapshots."""
    lines = [line for key in before for line in difflib.unified_diff(before[key].splitlines(), after[key].splitlines(), lineterm="", n=0)]
    assert not lines, "\n".join(lines)


def kin(server, db):
    """Databases that a restore or an exchange made of this one."""
    return [name for name in server.databases() if name.startswith(f"{db}_")]


def nothing_left(server, text=""):
    """No database of a restore or a verify is there whose run the output does not name, and no table of the driver's own in any other."""
    unnamed = [name for name in server.databases() if (found := re.search(r"(?:_restore_|_before_|^drtool_\w*)([0-9a-f]{6})", name)) and found[1] not in text]
    assert unnamed == [], text
    assert server.sql("", "select table_schema, table_name from information_schema.tables where table_name like 'drtool\\_%' "
                          "and table_schema not like '%\\_restore\\_%' and table_schema not like '%\\_before\\_%'") == "", text


class Shop:
    """.before is what the database holds; .fresh() a copy of the store with a configuration for it."""

    def __init__(self, server, name, sql=SQL, options=fault.SMALL):
        self.server, self.template = server, drtool_lib.Drtool()
        self.db = name
        server.drop_db(name)
        server.create_db(name, "character set utf8mb4")
        server.sql(name, sql)
        self.template.ok("backup", server.url(name), "--name", "shop", *options)
        self.before = snapshot(server, name)

    def fresh(self, url=None, **settings):
        made = drtool_lib.Drtool()
        shutil.copytree(self.template.store, made.store)
        self.configure(made, url or self.server.url(self.db), **settings)
        return made

    def configure(self, made, url, **settings):
        """Settings are of the source."""
        more = "".join(f", {name}: \"{value}\"" for name, value in settings.items())
        made.config(f"stores: {{local: {{url: \"{made.store_url}\"}}}}\nsources: {{shop: {{url: \"{url}\", split_above: 256KiB{more}}}}}\n")
        made.env["DRTOOL_CONFIG"] = made.dir / "drtool.yaml"

    @contextlib.contextmanager
    def live(self, drtool, name):
        """The backup restored once more and gone on since; the source of the configuration from now on."""
        db = f"{self.db}_{name}"
        try:
            drtool.ok("restore", "shop", "--into", self.server.url(db))
            self.server.sql(db, "insert into customer (name) values ('since'); drop view totals; create view since as select 1 as n")
            self.configure(drtool, self.server.url(db))
            yield db
        finally:
            self.drop(db)

    def untouched(self):
        same(self.before, snapshot(self.server, self.db))

    def drop(self, prefix):
        for name in self.server.databases():
            if name.startswith(prefix):
                self.server.drop_db(name)


@contextlib.contextmanager
def made(server, name, **more):
    shop = Shop(server, name, **more)
    yield shop
    shop.drop(shop.db)
