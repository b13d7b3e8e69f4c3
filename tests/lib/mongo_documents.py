"""What the scripted server answers to the commands that read and write documents; see mongo_commands.py."""

import bson
import mongo_query as query
import mongo_wire as wire
from mongo_query import Refused


# --- reading ---

def documents_of(server, command):
    """What a collection or view holds at the moment that the command wants."""
    of = server.store.find(command.db, command.target)
    at = server.moment_of(command)
    if of is None:
        return [], None
    if at is not None and of.born > at:
        raise Refused(246, f"Unable to read from a snapshot due to pending collection catalog changes; please retry. Namespace: {command.ns}")
    capped = wire.field(of.options, "capped")
    if at is not None and capped is not None and capped.decode() and server.version_tuple < (8, 0):
        raise Refused(246, "Reading from capped collections with readConcern snapshot is not supported")
    if of.kind == "view":
        source = server.store.find(command.db, wire.field(of.options, "viewOn").decode())
        stages = wire.field(of.options, "pipeline")
        documents = source.documents(at) if source else []
        return query.pipeline(documents, [e.value_bytes for e in wire.elements(stages.value_bytes)] if stages else []), None
    if of.kind == "timeseries" and (server.store.buckets or not command.get("rawData")):
        raise Refused(238, "this script unpacks no buckets of a time series")
    found = of.documents(at)
    return found * 2 if server.orphans and command.get("readConcern") is None else found, of


def find(server, command):
    documents, of = documents_of(server, command)
    wanted = command.part("filter")
    if of is not None and of.frozen:  # for speed: each filter is looked at once
        if wanted not in of.kept:
            of.kept[wanted] = [d for d in documents if query.matches(d, wanted)]
        documents = of.kept[wanted]
    elif len(wanted) > 5:
        documents = [d for d in documents if query.matches(d, wanted)]
    if command.field("sort") is not None:
        documents = query.sort(documents, command.part("sort"))
    skip, limit = int(command.get("skip", 0)), abs(int(command.get("limit", 0)))
    if skip or limit:
        documents = documents[skip:skip + limit if limit else None]
    if len(command.part("projection")) > 5:
        documents = [query.project(d, command.part("projection")) for d in documents]
    return server.open_cursor(command, command.ns, documents, command.raw, of)


def get_more(server, command):
    return server.next_batch(command, command.get("getMore"))


def kill_cursors(server, command):
    killed, missing = [], []
    for cursor in command.get("cursors"):
        (killed if server.cursors.pop(cursor, None) else missing).append(bson.int64.Int64(cursor))
    return {"cursorsKilled": killed, "cursorsNotFound": missing, "cursorsAlive": [], "cursorsUnknown": []}


def aggregate(server, command):
    stages = command.each("pipeline")
    first = next(wire.elements(stages[0])) if stages else None
    if first is not None and first.name == "$collStats":
        of = server.store.need(command.db, command.target)
        stored = server.store.find(command.db, f"system.buckets.{command.target}") or of
        if of.kind == "view":
            raise Refused(166, f"Namespace {command.ns} is a view, not a collection")
        stored = stored.documents()
        size = {"size": sum(map(len, stored)), "count": len(stored)}
        documents = [wire.raw({"ns": command.ns, "storageStats": size, "count": len(stored)})]
        stages = stages[1:]
    else:
        documents = documents_of(server, command)[0]
    return server.open_cursor(command, command.ns, query.pipeline(documents, stages), command.part("cursor"))


def count(server, command):
    return {"n": sum(query.matches(d, command.part("query")) for d in documents_of(server, command)[0])}


# --- writing ---

def _stamped(server, document):
    """Empty timestamps at the top get the server's time."""
    parts = []
    for one in wire.elements(document):
        empty = one.type == wire.TIMESTAMP and one.name != "_id" and one.value_bytes == b"\0" * 8
        parts.append(next(wire.elements(wire.raw({one.name: server.store.timestamp}))).bytes if empty else one.bytes)
    return wire.document_of(parts)


def _writable(server, command, store_of):
    if store_of.kind == "view":
        raise Refused(166, f"Namespace {command.ns} is a view, not a collection")
    if store_of.kind == "timeseries" and (server.store.buckets or not command.get("rawData")):
        raise Refused(238, "this script makes no buckets of a time series")
    if store_of.frozen:
        raise Refused(20, "nothing can be written into this one")
    return store_of


def _is_mixed(document):
    """Whether it is a bucket of a time series with a field whose least and greatest value are of different types."""
    control = wire.decode(document).get("control")
    least, most = (control.get(name) for name in ("min", "max")) if isinstance(control, dict) else (None, None)
    numbers = (int, float, bson.int64.Int64, bson.decimal128.Decimal128)
    kind = lambda value: "number" if isinstance(value, numbers) and not isinstance(value, bool) else type(value)
    return isinstance(least, dict) and isinstance(most, dict) and any(name in most and kind(least[name]) != kind(most[name]) for name in least)


def _ready(server, command, of, document, stamp=True):
    """A document as it is stored. What a pipeline made keeps its empty timestamps."""
    if len(document) > server.max_document:
        raise Refused(10334, f"BSONObj size: {len(document)} is invalid. Size must be between 0 and {server.max_document}")
    own = wire.field(document, "_id")
    if own is None:
        document = wire.document_of([wire.raw({"_id": bson.ObjectId()})[4:-1], document[4:-1]])
    elif own.type in (wire.ARRAY, wire.REGEX, wire.UNDEFINED):
        raise Refused(2, f"The '_id' value cannot be of type {own.type}")
    buckets = of.kind == "timeseries" or of.name.startswith("system.buckets.")
    if buckets and not of.mixed and server.version_tuple >= (7, 3) and _is_mixed(document):
        raise Refused(408, "Cannot write time-series bucket containing mixed schema data, please run collMod with"
                           " timeseriesBucketsMayHaveMixedSchemaData and retry your insert")
    if not command.get("bypassDocumentValidation") and not of.valid(document):
        raise Refused(121, "Document failed validation")
    return document if command.get("bypassEmptyTsReplacement") or not stamp else _stamped(server, document)


def _each(server, command, many, write):
    """Writes one after the other, as `ordered` says; {n, writeErrors}."""
    if len(many) > server.max_batch:
        raise Refused(16, f"Write batch sizes must be between 1 and {server.max_batch}. Got {len(many)} operations.")
    errors, done = [], 0
    for i, one in enumerate(many):
        try:
            done += write(i, one)
        except Refused as refused:
            errors.append({"index": i, "code": refused.code, **refused.more, "errmsg": refused.message})
            if command.get("ordered", True):
                break
    return {"n": done, **({"writeErrors": errors} if errors else {})}


def _put(server, command, of, old, new):
    at = server.store.tick()
    of.put(at, new)
    server.store.note_write(at, command.db, of, old, new)


def _check_dollars(document):
    """A field of the top whose name begins with "$" is let in by an insert, since 5.0, and by an aggregation."""
    for one in wire.elements(document):
        if one.name.startswith("$"):
            raise Refused(52, f"The dollar ($) prefixed field '{one.name}' in '{one.name}' is not valid for storage.")


def insert(server, command):
    of = _writable(server, command, server.store.make(command.db, command.target))

    def one(_, document):
        if server.version_tuple < (5, 0):
            _check_dollars(document)
        document = _ready(server, command, of, document)
        own = wire.field(document, "_id")
        if of.find_id(own) is not None:
            raise Refused(11000, f"E11000 duplicate key error collection: {command.ns} index: _id_ dup key: {{ _id: {own.decode()!r} }}",
                          keyPattern={"_id": 1}, keyValue={"_id": own.decode()})
        _put(server, command, of, None, document)
        return 1
    return _each(server, command, command.each("documents"), one)


def _updated(document, how):
    """The document that an update makes of one (None: of none)."""
    if how.type == wire.ARRAY:
        stage = next(wire.elements(next(wire.elements(how.value_bytes)).value_bytes))
        new = wire.field(stage.value_bytes, "newRoot") if stage.name == "$replaceRoot" else stage
        literal = wire.field(new.value_bytes, "$literal") if new is not None and new.type == wire.DOCUMENT else None
        if stage.name not in ("$replaceRoot", "$replaceWith") or literal is None:
            raise Refused(40324, f"this script knows no such pipeline of an update: {stage.name}")
        return literal.value_bytes
    first = next(wire.elements(how.value_bytes), None)
    if first is None or not first.name.startswith("$"):
        _check_dollars(how.value_bytes)
        return how.value_bytes
    if [e.name for e in wire.elements(how.value_bytes)] != ["$set"]:
        raise Refused(9, f"this script knows $set only: {first.name}")
    _check_dollars(first.value_bytes)
    new = {e.name: e for e in wire.elements(first.value_bytes)}
    parts = [new.pop(e.name).bytes if e.name in new else e.bytes for e in wire.elements(document or wire.raw({}))]
    return wire.document_of(parts + [e.bytes for e in new.values()])


def _found(of, wanted):
    """The documents that a filter finds; the one of an _id without looking at all."""
    fields = list(wire.elements(wanted))
    if len(fields) == 1 and fields[0].name == "_id" and not fields[0].holds() and fields[0].type != wire.REGEX:
        slot = of.find_id(fields[0])
        return [slot.now] if slot is not None else []
    return [d for d in of.documents() if query.matches(d, wanted)]


def update(server, command):
    of = _writable(server, command, server.store.make(command.db, command.target))
    upserted, modified = [], 0

    def one(i, spec):
        nonlocal modified
        wanted, how = wire.field(spec, "q").value_bytes, wire.field(spec, "u")
        found = _found(of, wanted)
        multi, upsert = (wire.field(spec, name) for name in ("multi", "upsert"))
        for document in found if multi is not None and multi.decode() else found[:1]:
            own, new = wire.field(document, "_id"), _updated(document, how)
            if wire.field(new, "_id") is None:
                new = wire.document_of([own.bytes, new[4:-1]])
            new = _ready(server, command, of, new, how.type != wire.ARRAY)
            modified += new != document
            if new != document:
                _put(server, command, of, document, new)
        if found or upsert is None or not upsert.decode():
            return len(found) if multi is not None and multi.decode() else min(len(found), 1)
        new, own = _updated(None, how), wire.field(wanted, "_id")
        if wire.field(new, "_id") is None and own is not None:
            new = wire.document_of([own.bytes, new[4:-1]])
        new = _ready(server, command, of, new)
        _put(server, command, of, None, new)
        upserted.append({"index": i, "_id": wire.field(new, "_id").decode()})
        return 1
    answer = _each(server, command, command.each("updates"), one)
    return {**answer, "nModified": modified, **({"upserted": upserted} if upserted else {})}


def delete(server, command):
    of = server.store.find(command.db, command.target)

    def one(_, spec):
        found = _found(of, wire.field(spec, "q").value_bytes) if of else []
        limit = wire.field(spec, "limit").decode()
        for document in found[:limit or None]:
            at = server.store.tick()
            of.remove(at, of.find_id(wire.field(document, "_id")))
            server.store.note_write(at, command.db, of, document, None)
        return len(found[:limit or None])
    return _each(server, command, command.each("deletes"), one)
