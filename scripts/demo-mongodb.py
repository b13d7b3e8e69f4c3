#!/usr/bin/env python3
"""The shop of scripts/demo-mongodb: fills it, says something to it, and shows what is in it as a second program sees it.

scripts/demo-mongodb.py URL fill | run CODE | picture
"""

import datetime
import hashlib
import itertools
import json
import random
import sys

import bson
import pymongo
from bson.raw_bson import RawBSONDocument

FIRST = ["Anna", "Björn", "Chloé", "Eva", "Hana", "Jürgen", "Łukasz", "花子"]
LAST = ["Meyer", "O'Neil", "García", "Novák", "Yılmaz", "Rossi"]
CITIES = ["Berlin", "Lyon", "Köln", "Kraków", "Århus", "Gent"]
STATES = ["new", "paid", "packed", "shipped", "returned", "cancelled"]


def customers(rng):
    for i in range(10000):
        name = f"{FIRST[i % 8]} {LAST[i * 31 % 6]}"
        yield {"_id": i, "name": name, "mail": f"customer{i}@example.net", "addresses": [{"city": CITIES[i % 6], "zip": f"{i % 99999:05}"}],
               "preferences": {"language": ["de", "fr", "en"][i % 3], "sizes": [i % 50, i % 13]},
               "created_at": datetime.datetime(2025, 1, 1) + datetime.timedelta(minutes=7 * i), "secret": bson.Binary(rng.randbytes(16))}


def products(rng):
    for i in range(2000):
        yield {"_id": f"SKU-{i:06}", "title": f"{['Blue', 'Quiet', 'Heavy'][i % 3]} {['lamp', 'chair', 'teapot'][i * 7 % 3]} {i}",
               "description": f"Made of {['oak', 'steel', 'wool'][i % 3]}, \"safe\", 100% washable. " * (1 + i % 5),
               "price": bson.Decimal128(f"{1 + i % 300}.99"), "stock": bson.Int64(i * 10 ** 12), "place": {"type": "Point", "coordinates": [i % 180, i % 90]},
               "picture": bson.Binary(rng.randbytes(6000))}


def orders(rng):
    for i in range(20000):
        lines = [{"product": f"SKU-{(i * 3 + n) % 2000:06}", "quantity": 1 + i % 9, "price": bson.Decimal128(f"{1 + i % 400}.99")} for n in range(1 + i % 4)]
        yield {"_id": bson.ObjectId(f"{1700000000 + i:08x}{i:016x}"), "customer": i * 7919 % 10000, "status": STATES[i % 6], "lines": lines,
               "placed_at": datetime.datetime(2025, 10, 1) + datetime.timedelta(seconds=93 * i), "total": bson.Decimal128(f"{i % 900}.50"),
               "note": rng.randbytes(24).hex() if i % 3 else None}


def fill(db):
    rng = random.Random(7)
    for name, documents in (("customers", customers(rng)), ("products", products(rng)), ("orders", orders(rng))):
        while batch := list(itertools.islice(documents, 5000)):
            db[name].insert_many(batch)
    db.sessions.insert_many({"_id": i, "customer": i, "seen_at": datetime.datetime.now(datetime.timezone.utc)} for i in range(500))
    db.customers.create_index("mail", unique=True)
    db.products.create_index([("title", "text"), ("description", "text")], weights={"title": 10})
    db.products.create_index([("place", "2dsphere")])
    db.orders.create_index([("customer", 1), ("placed_at", -1)])
    db.orders.create_index("placed_at", name="open_orders", partialFilterExpression={"status": "new"})
    db.sessions.create_index("seen_at", expireAfterSeconds=86400)


def picture(db):
    raw = bson.CodecOptions(document_class=RawBSONDocument)
    for name in sorted(db.list_collection_names()):
        documents = sorted(document.raw for document in db[name].with_options(codec_options=raw).find())
        print(f"{name}: {len(documents)} documents {hashlib.sha256(b''.join(documents)).hexdigest()}")
        for index in sorted(db[name].list_indexes(), key=lambda index: index["name"]):
            # mongorestore has the weights in a map, whose order is any; the version of an index is the server's to choose.
            shown = {key: dict(value) if key == "weights" else value for key, value in index.items() if key not in ("v", "storageEngine")}
            print(f"{name}: index {json.dumps({**shown, 'key': list(index['key'].items())}, sort_keys=True, default=str)}")


def run(db, code):
    answer = eval(code, {"db": db, "sorted": sorted})
    if isinstance(answer, pymongo.results.DeleteResult):
        answer = f"{answer.deleted_count} deleted"
    if answer is not None:
        print(answer)


def main():
    url, what, *rest = sys.argv[1:]
    db = pymongo.MongoClient(url).shop
    {"fill": fill, "picture": picture, "run": run}[what](db, *rest)


main()
