"""What the scripted server answers to each command. A command is a function of (server, command) that returns a dict, Batch or Refused."""

import bson
import mongo_query as query
import mongo_wire as wire
from mongo_query import Refused

CODE_NAMES = {2: "BadValue", 13: "Unauthorized", 18: "AuthenticationFailed", 20: "IllegalOperation", 26: "NamespaceNotFound", 27: "IndexNotFound",
              43: "CursorNotFound", 48: "NamespaceExists", 50: "MaxTimeMSExpired", 59: "CommandNotFound", 67: "CannotCreateIndex",
              72: "InvalidOptions", 73: "InvalidNamespace", 76: "NoReplicationEnabled", 85: "IndexOptionsConflict", 86: "IndexKeySpecsConflict",
              91: "ShutdownInProgress", 121: "DocumentValidationFailure", 166: "CommandNotSupportedOnView", 175: "QueryPlanKilled",
              189: "PrimarySteppedDown", 197: "InvalidIndexSpecificationOption", 237: "CursorKilled", 238: "NotImplemented",
              239: "SnapshotTooOld", 246: "SnapshotUnavailable", 10107: "NotWritablePrimary", 11000: "DuplicateKey", 11600: "InterruptedAtShutdown",
              11602: "InterruptedDueToReplStateChange", 13435: "NotPrimaryNoSecondaryOk", 40415: "IDLUnknownField"}

# A server refuses what it does not know of a command.
GENERIC = {"$db", "lsid", "$clusterTime", "$readPreference", "readConcern", "writeConcern", "maxTimeMS", "comment", "txnNumber", "startTransaction",
           "autocommit", "$audit", "$client", "apiVersion", "apiStrict", "apiDeprecationErrors"}
CREATE = {"capped", "size", "max", "autoIndexId", "viewOn", "pipeline", "collation", "validator", "validationLevel", "validationAction",
          "storageEngine", "indexOptionDefaults", "timeseries", "expireAfterSeconds", "clusteredIndex", "changeStreamPreAndPostImages",
          "encryptedFields", "idIndex", "flags", "temp"}
KNOWN = {
    "find": {"filter", "projection", "sort", "hint", "limit", "skip", "batchSize", "singleBatch", "noCursorTimeout", "collation", "allowDiskUse",
             "min", "max", "let", "returnKey", "showRecordId", "tailable", "awaitData", "allowPartialResults", "rawData"},
    "getMore": {"collection", "batchSize"},
    "insert": {"documents", "ordered", "bypassDocumentValidation", "bypassEmptyTsReplacement", "rawData"},
    "update": {"updates", "ordered", "bypassDocumentValidation", "bypassEmptyTsReplacement", "let", "rawData"},
    "delete": {"deletes", "ordered", "let", "rawData"},
    "create": CREATE,
    "createIndexes": {"indexes", "ignoreUnknownIndexOptions", "commitQuorum", "rawData"},
    "collMod": CREATE | {"index"},
    "listCollections": {"filter", "nameOnly", "authorizedCollections", "cursor", "rawData"},
    "listIndexes": {"cursor", "rawData"},
    "renameCollection": {"to", "dropTarget"},
}
SINCE = {"bypassEmptyTsReplacement": (8, 0), "rawData": (8, 2)}
INDEX_OPTIONS = {"v", "key", "name", "ns", "unique", "background", "sparse", "expireAfterSeconds", "partialFilterExpression", "collation", "hidden",
                 "storageEngine", "weights", "default_language", "language_override", "textIndexVersion", "2dsphereIndexVersion", "bits", "min",
                 "max", "wildcardProjection", "prepareUnique", "clustered"}


class Batch:
    """An answer with documents of a cursor."""

    def __init__(self, ns, cursor_id, documents, first):
        self.ns, self.cursor_id, self.documents, self.first = ns, cursor_id, documents, first


def check_known(server, command):
    known = KNOWN.get(command.name)
    for one in wire.elements(command.raw) if known else ():
        new = SINCE.get(one.name, (0,)) > server.version_tuple
        if one.name != command.name and one.name not in GENERIC and (one.name not in known or new):
            raise Refused(40415, f"BSON field '{command.name}.{one.name}' is an unknown field.")


# --- the server itself ---

def hello(server, command):
    answer = {"helloOk": True, "ismaster" if command.name != "hello" else "isWritablePrimary": server.role != "secondary",
              "maxBsonObjectSize": server.max_document, "maxMessageSizeBytes": server.max_message, "maxWriteBatchSize": server.max_batch,
              "localTime": bson.datetime.datetime.utcnow(), "minWireVersion": 0, "maxWireVersion": server.wire, "readOnly": False}
    if server.sessions:
        answer.update(logicalSessionTimeoutMinutes=30)
    if server.role == "mongos":
        answer.update(msg="isdbgrid")
    if server.set_name:
        time = server.majority or server.store.timestamp
        at = {"ts": time, "t": bson.int64.Int64(1)}
        date = bson.datetime.datetime.utcfromtimestamp(time.time)
        answer.update(setName=server.set_name, setVersion=1, secondary=server.role == "secondary", hosts=server.hosts or [server.address],
                      me=server.address, electionId=bson.ObjectId("7fffffff0000000000000001"),
                      lastWrite={"opTime": at, "lastWriteDate": date, "majorityOpTime": at, "majorityWriteDate": date})
        primary = server.primary or (server.address if server.role != "secondary" else None)
        if primary:
            answer.update(primary=primary)
    answer.update(server.hello)
    return {name: value for name, value in answer.items() if value is not None}


def build_info(server, _):
    numbers = (list(server.version_tuple) + [0, 0, 0])[:4]
    return {"version": server.version, "gitVersion": "0" * 40, "modules": [], "versionArray": numbers, "bits": 64, "debug": False,
            "maxBsonObjectSize": server.max_document, **server.build_info}


def set_config(server, _):
    if not server.set_name:
        raise Refused(76, "not running with --replSet")
    members = [{"_id": i, "host": host} for i, host in enumerate(server.hosts or [server.address])]
    return {"config": {"_id": server.set_name, "version": 1, "members": members, "settings": {"replicaSetId": server.set_id}}}


def get_parameter(server, command):
    if command.get("featureCompatibilityVersion") is None:
        raise Refused(72, "no option found to get")
    return {"featureCompatibilityVersion": {"version": "{}.{}".format(*server.version_tuple)}}


def users_info(server, _):
    users = server.store.find("admin", "system.users")
    return {"users": [wire.decode(d) for d in users.documents()] if users else []}


def nothing(*_):
    return {}


# --- lists ---

def list_databases(server, command):
    def entry(name, collections):
        if command.get("nameOnly"):
            return {"name": name}
        size = sum(len(d) for c in collections.values() for d in c.documents())
        return {"name": name, "sizeOnDisk": bson.int64.Int64(size), "empty": not size}
    return {"databases": [entry(name, server.store.databases[name]) for name in sorted(server.store.databases)]}


def shown(collection):
    """A collection as listCollections shows it. Options go over byte for byte."""
    head = wire.raw({"name": collection.name, "type": collection.kind})
    options = b"\x03options\0" + collection.options
    info = {"readOnly": collection.kind == "view"}
    if collection.kind != "view":
        info["uuid"] = bson.binary.Binary(collection.uuid.bytes, 4)
    tail = [wire.raw({"info": info})]
    if collection.kind == "collection" and collection.index_named("_id_") is not None:
        tail.append(wire.document_of([b"\x03idIndex\0" + collection.indexes[collection.index_named("_id_")]]))
    return wire.document_of([head[4:-1], options] + [part[4:-1] for part in tail])


def list_collections(server, command):
    collections = server.store.databases.get(command.db, {})
    documents = [shown(collections[name]) for name in collections]
    if any(c.kind == "view" for c in collections.values()):
        documents.append(wire.raw({"name": "system.views", "type": "collection", "options": {}, "info": {"readOnly": False}}))
    documents = [d for d in documents if query.matches(d, command.part("filter"))]
    if command.get("nameOnly"):
        documents = [query.project(d, wire.raw({"name": 1, "type": 1})) for d in documents]
    return server.open_cursor(command, f"{command.db}.$cmd.listCollections", documents, command.part("cursor"))


def list_indexes(server, command):
    of = server.store.need(command.db, command.target)
    if of.kind == "view":
        raise Refused(166, f"Namespace {command.ns} is a view, not a collection")
    return server.open_cursor(command, command.ns, list(of.indexes), command.part("cursor"))


# --- documents ---

def documents_of(server, command):
    """What a collection or view holds at the moment that the command wants."""
    of = server.store.find(command.db, command.target)
    at = server.moment_of(command)
    if of is None:
        return [], None
    if at is not None and of.born > at:
        raise Refused(246, f"Unable to read from a snapshot due to pending collection catalog changes; please retry the operation. Namespace: {command.ns}")
    if of.kind == "view":
        source = server.store.find(command.db, wire.field(of.options, "viewOn").decode())
        stages = wire.field(of.options, "pipeline")
        documents = source.documents(at) if source else []
        return query.pipeline(documents, [e.value_bytes for e in wire.elements(stages.value_bytes)] if stages else []), None
    if of.kind == "timeseries" and (server.store.buckets or not command.get("rawData")):
        raise Refused(238, "this script unpacks no buckets of a time series")
    return of.documents(at), of


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
        documents = stored.documents()
        documents = [wire.raw({"ns": command.ns, "storageStats": {"size": sum(map(len, documents)), "count": len(documents)}, "count": len(documents)})]
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


def _ready(server, command, of, document):
    """A document as it is stored."""
    if len(document) > server.max_document:
        raise Refused(10334, f"BSONObj size: {len(document)} is invalid. Size must be between 0 and {server.max_document}")
    own = wire.field(document, "_id")
    if own is None:
        document = wire.document_of([wire.raw({"_id": bson.ObjectId()})[4:-1], document[4:-1]])
    elif own.type in (wire.ARRAY, wire.REGEX, wire.UNDEFINED):
        raise Refused(2, f"The '_id' value cannot be of type {own.type}")
    if not command.get("bypassDocumentValidation") and not of.valid(document):
        raise Refused(121, "Document failed validation")
    return document if command.get("bypassEmptyTsReplacement") else _stamped(server, document)


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


def insert(server, command):
    of = _writable(server, command, server.store.make(command.db, command.target))

    def one(_, document):
        document = _ready(server, command, of, document)
        own = wire.field(document, "_id")
        if of.find_id(own) is not None:
            raise Refused(11000, f"E11000 duplicate key error collection: {command.ns} index: _id_ dup key: {{ _id: {own.decode()!r} }}",
                          keyPattern={"_id": 1}, keyValue={"_id": own.decode()})
        of.put(server.store.tick(), document)
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
        return how.value_bytes
    if [e.name for e in wire.elements(how.value_bytes)] != ["$set"]:
        raise Refused(9, f"this script knows $set only: {first.name}")
    new = {e.name: e for e in wire.elements(first.value_bytes)}
    parts = [new.pop(e.name).bytes if e.name in new else e.bytes for e in wire.elements(document or wire.raw({}))]
    return wire.document_of(parts + [e.bytes for e in new.values()])


def update(server, command):
    of = _writable(server, command, server.store.make(command.db, command.target))
    upserted, modified = [], 0

    def one(i, spec):
        nonlocal modified
        wanted, how = wire.field(spec, "q").value_bytes, wire.field(spec, "u")
        found = [d for d in of.documents() if query.matches(d, wanted)]
        multi, upsert = (wire.field(spec, name) for name in ("multi", "upsert"))
        for document in found if multi is not None and multi.decode() else found[:1]:
            own, new = wire.field(document, "_id"), _updated(document, how)
            if wire.field(new, "_id") is None:
                new = wire.document_of([own.bytes, new[4:-1]])
            new = _ready(server, command, of, new)
            modified += new != document
            of.put(server.store.tick(), new)
        if found or upsert is None or not upsert.decode():
            return len(found) if multi is not None and multi.decode() else min(len(found), 1)
        new, own = _updated(None, how), wire.field(wanted, "_id")
        if wire.field(new, "_id") is None and own is not None:
            new = wire.document_of([own.bytes, new[4:-1]])
        new = _ready(server, command, of, new)
        of.put(server.store.tick(), new)
        upserted.append({"index": i, "_id": wire.field(new, "_id").decode()})
        return 1
    answer = _each(server, command, command.each("updates"), one)
    return {**answer, "nModified": modified, **({"upserted": upserted} if upserted else {})}


def delete(server, command):
    of = server.store.find(command.db, command.target)

    def one(_, spec):
        found = [d for d in of.documents() if query.matches(d, wire.field(spec, "q").value_bytes)] if of else []
        limit = wire.field(spec, "limit").decode()
        for document in found[:limit or None]:
            of.remove(server.store.tick(), of.find_id(wire.field(document, "_id")))
        return len(found[:limit or None])
    return _each(server, command, command.each("deletes"), one)


# --- definitions ---

def create(server, command):
    parts = [e.bytes for e in wire.elements(command.raw) if e.name in CREATE and e.name not in ("idIndex", "temp", "flags")]
    if command.field("timeseries") is not None and not command.part("timeseries") or command.field("viewOn") is not None and command.field("capped") is not None:
        raise Refused(72, "options do not go together")
    server.store.create(command.db, command.target, wire.document_of(parts))
    return {}


def create_indexes(server, command):
    of = server.store.make(command.db, command.target)
    if of.kind == "view":
        raise Refused(166, f"Namespace {command.ns} is a view, not a collection")
    before, loose = len(of.indexes), command.get("ignoreUnknownIndexOptions")
    for index in command.each("indexes"):
        unknown = [e.name for e in wire.elements(index) if e.name not in INDEX_OPTIONS]
        if unknown and not loose:
            raise Refused(197, f"The field '{unknown[0]}' is not valid for an index specification.")
        index = wire.document_of(e.bytes for e in wire.elements(index) if e.name not in unknown and e.name not in ("ns", "background"))
        if wire.field(index, "name") is not None and wire.field(index, "name").decode() == "_id_":
            continue
        if of.add_index(index):
            of.born = server.store.tick()
    return {"numIndexesBefore": before, "numIndexesAfter": len(of.indexes), "createdCollectionAutomatically": False}


def drop_indexes(server, command):
    of = server.store.need(command.db, command.target)
    wanted, before = command.get("index"), len(of.indexes)
    for name in [wanted] if isinstance(wanted, str) and wanted != "*" else wanted if isinstance(wanted, list) else []:
        if of.index_named(name) is None:
            raise Refused(27, f"index not found with name [{name}]")
        del of.indexes[of.index_named(name)]
    if wanted == "*":
        of.indexes = of.indexes[:1]
    return {"nIndexesWas": before}


def coll_mod(server, command):
    of = server.store.need(command.db, command.target)
    change = {e.name: e.decode() for e in wire.elements(command.raw) if e.name in CREATE}
    index = command.get("index")
    if index is not None:
        name = index.pop("name", None)
        key = index.pop("keyPattern", None)
        at = of.index_named(name) if name else next((i for i, one in enumerate(of.indexes) if wire.field(one, "key").decode() == key), None)
        if at is None:
            raise Refused(27, f"cannot find index {name or key} for ns {command.ns}")
        of.indexes[at] = wire.with_fields(of.indexes[at], index)
    if change.get("expireAfterSeconds") == "off":
        change["expireAfterSeconds"] = None
    of.options = wire.with_fields(of.options, change)
    server.store.tick()
    return {}


def drop(server, command):
    if server.store.find(command.db, command.target) is None and server.version_tuple >= (7, 0):
        return {}
    server.store.drop(command.db, command.target)
    return {"ns": command.ns, "nIndexesWas": 1}


def drop_database(server, command):
    server.store.tick()
    return {"dropped": command.db} if server.store.databases.pop(command.db, None) else {}


def rename_collection(server, command):
    source, target = command.target.partition("."), command.get("to").partition(".")
    if len(command.get("to").encode()) > 255:
        raise Refused(73, "target namespace is too long")
    server.store.rename((source[0], source[2]), (target[0], target[2]), bool(command.get("dropTarget")))
    return {}


ANSWERS = {
    "hello": hello, "isMaster": hello, "ismaster": hello, "buildInfo": build_info, "buildinfo": build_info, "ping": nothing, "endSessions": nothing,
    "replSetGetConfig": set_config, "getParameter": get_parameter, "usersInfo": users_info, "refreshSessions": nothing, "setParameter": nothing,
    "listDatabases": list_databases, "listCollections": list_collections, "listIndexes": list_indexes,
    "find": find, "getMore": get_more, "killCursors": kill_cursors, "aggregate": aggregate, "count": count,
    "insert": insert, "update": update, "delete": delete,
    "create": create, "createIndexes": create_indexes, "dropIndexes": drop_indexes, "collMod": coll_mod, "drop": drop, "dropDatabase": drop_database,
    "renameCollection": rename_collection,
}
WRITES = {"insert", "update", "delete", "create", "createIndexes", "dropIndexes", "collMod", "drop", "dropDatabase", "renameCollection"}
READS = {"find", "aggregate", "count", "listCollections", "listIndexes", "listDatabases", "getMore"}
