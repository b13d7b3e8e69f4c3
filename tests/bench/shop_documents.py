"""Documents of the benchmark shop as BSON: the rows of shop_rows.py. shop_documents.py orders|items|settings FIRST LAST."""

import datetime
import json
import multiprocessing
import sys
import uuid

import bson
import shop_rows
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.int64 import Int64


def _order(row):
    number, customer, placed_at, total, status, note, extra = row.split("\t")
    return {"_id": Int64(number), "customer": Binary.from_uuid(uuid.UUID(customer)), "placed_at": datetime.datetime.fromisoformat(placed_at),
            "total": Decimal128(total), "status": status, "note": note, "extra": json.loads(extra)}


def _item(row):
    number, order, product, quantity, price = row.split("\t")
    return {"_id": Int64(number), "order_id": Int64(order), "product": int(product), "quantity": int(quantity), "price": float(price)}


def _setting(row):
    number, name, value = row.split("\t")
    return {"_id": Int64(number), "name": name, "value": value}


DOCUMENT = {"orders": _order, "items": _item, "settings": _setting}


def block(job):
    rows = shop_rows.block(job).decode().splitlines()
    return b"".join(bson.encode(DOCUMENT[job[0]](row)) for row in rows)


def write(table, first, last, to):
    jobs = [(table, start, first, last) for start in range(first - (first - 1) % shop_rows.BLOCK, last + 1, shop_rows.BLOCK)]
    with multiprocessing.Pool() as pool:
        for data in pool.imap(block, jobs):
            to.write(data)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.stdout.buffer)
