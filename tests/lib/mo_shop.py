"""A database of MongoDB with one good backup of it, of which each test takes a copy to spoil: my_shop.py's sibling. The server is one of mo.py, or
one of mongo_script.py where the test is about what only that one does."""

import contextlib
import datetime
import hashlib
import re
import shutil
import weakref

import drtool as drtool_lib
import fault
import mo
import mongo_script
import pymongo

LONG_AGO = datetime.datetime(2020, 1, 1)
NEVER = 2000000000


def fill(db, documents=3000, size=4):
    """Several collections, one of which is split into ranges; indexes of several kinds, one that deletes."""
    db.customers.insert_many({"_id": f"c{i}", "name": f"n{i}"} for i in range(20))
    db.customers.create_index("name", unique=True)
    db.orders.insert_many({"_id": i, "customer": f"c{i % 20}", "total": i * 3, "at": LONG_AGO} for i in range(300))
    db.orders.create_index([("total", 1), ("customer", -1)], name="by_total")
    db.orders.create_index("at", name="ttl", expireAfterSeconds=NEVER)
    db.big.insert_many({"_id": i, "t": hashlib.sha256(str(i).encode()).hexdigest() * size} for i in range(documents))
    db.big.create_index("t", sparse=True)
    db.create_collection("empty")


def fill_script(db):
    """The same in fewer documents, with what only the scripted server has."""
    fill(db, 300, 40)
    db.create_collection("totals", viewOn="orders", pipeline=[{"$match": {}}])
    db.create_collection("log", capped=True, size=1 << 20)
    db.log.insert_many({"_id": i} for i in range(50))


_clients = weakref.WeakKeyDictionary()


def client_of(server):
    """pymongo's, one for each server."""
    if not isinstance(server, mongo_script.Script):
        return server.client
    if server not in _clients:
        _clients[server] = pymongo.MongoClient(server.url(), tz_aware=True)
    return _clients[server]


def is_of_runs(name):
    return re.search(r"(_restore_|_before_|^drtool_run_)[0-9a-f]{6}$", name) is not None


def snapshot(server, db):
    """{name: what is known of the collection or view, and a sum of its documents}, without what restores made."""
    found = {}
    of = client_of(server)[db]
    for info in of.list_collections():
        name, options = info["name"], info.get("options", {})
        if is_of_runs(name) or name == "system.views":
            continue
        found[name] = {"type": info["type"], "options": options}
        if info["type"] == "view":
            continue
        documents = sorted(mo.raw_documents(of[name]))
        found[name]["documents"] = f"{len(documents)}, sum {hashlib.sha256(b''.join(documents)).hexdigest()}"
        found[name]["indexes"] = {i["name"]: {k: v for k, v in i.items() if k not in ("v", "ns", "storageEngine")} for i in of[name].list_indexes()}
    return found


def same(before, after):
    """Fails with what differs between two snapshots."""
    lines = [f"{name}: {before.get(name)}\n   is {after.get(name)}" for name in sorted(set(before) | set(after)) if before.get(name) != after.get(name)]
    assert not lines, "\n".join(lines)


def kin(server, db):
    """Collections that a restore or an exchange made in this database."""
    return sorted(name for name in client_of(server)[db].list_collection_names() if is_of_runs(name))


def nothing_left(server, text=""):
    """No database of a verify and no collection of a run is there that the output does not name."""
    for db in client_of(server).list_database_names():
        found = re.match(r"drtool_\w*([0-9a-f]{6})$", db)
        assert not found or found[1] in text, db
        assert [name for name in kin(server, db) if name[-6:] not in text] == [], db


class Shop:
    """.before is what the database holds; .fresh() a copy of the store with a configuration for it."""

    def __init__(self, server, name="shop", fill=fill, options=fault.SMALL):
        self.server, self.template, self.db = server, drtool_lib.Drtool(), name
        client_of(server).drop_database(name)
        fill(client_of(server)[name])
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
            of = client_of(self.server)[db]
            of.customers.insert_one({"_id": "since", "name": "since"})
            of.big.delete_many({"_id": {"$gte": 100}})
            of.later.insert_one({"_id": 1})
            self.configure(drtool, self.server.url(db))
            yield db
        finally:
            self.drop(db)

    def untouched(self):
        same(self.before, snapshot(self.server, self.db))

    def drop(self, prefix):
        client = client_of(self.server)
        for name in client.list_database_names():
            if name.startswith(prefix):
                client.drop_database(name)


@contextlib.contextmanager
def made(server, name, **more):
    shop = Shop(server, name, **more)
    yield shop
    shop.drop(shop.db)
