"""A database with one good backup of it, of which each test takes a copy to spoil."""

import contextlib
import shutil

import compare
import drtool as drtool_lib
import fault


class Shop:
    """.before is what the database holds; .fresh() a copy of the store with a configuration for it."""

    def __init__(self, server, name, sql=fault.SHOP, options=fault.SMALL):
        self.server, self.template = server, drtool_lib.Drtool()
        self.db = server.create_db(name)
        server.sql(self.db, sql)
        self.template.ok("backup", server.url(self.db), "--name", "shop", *options)
        self.before = compare.snapshot(server, self.db)

    def fresh(self):
        made = drtool_lib.Drtool()
        shutil.copytree(self.template.store, made.store)
        self.configure(made, self.db)
        made.env["DRTOOL_CONFIG"] = made.dir / "drtool.yaml"
        return made

    def configure(self, made, db, second=None, more=""):
        """One store, or two; the source is a database of the server."""
        stores = f"  local: {{url: \"{made.store_url}\"}}\n" + (f"  offsite: {{url: \"file://{second}\"}}\n" if second else "")
        made.config(f"{more}stores:\n{stores}sources: {{shop: {{url: \"{self.server.url(db)}\", split_above: 256KiB}}}}\n")

    @contextlib.contextmanager
    def live(self, drtool, name):
        """The backup restored once more and gone on since; the source of the configuration from now on."""
        db = self.server.create_db(f"{self.db}_{name}")
        try:
            drtool.ok("restore", "shop", "--into", self.server.url(db))
            self.server.sql(db, "insert into app.customer (name) values ('since')")
            self.configure(drtool, db)
            yield db
        finally:
            self.drop(db)

    def drop(self, prefix):
        for name in self.server.databases():
            if name.startswith(prefix):
                self.server.drop_db(name)


@contextlib.contextmanager
def made(servers, name, **more):
    shop = Shop(servers(15), name, **more)
    yield shop
    shop.drop(shop.db)
