"""What the scripted server answers to each command. A command is a function of (server, command): a dict, a Batch, or Refused is raised."""

import time

import bson
import mongo_documents
import mongo_login
import mongo_query as query
import mongo_wire as wire
from mongo_query import Refused

CODE_NAMES = {2: "BadValue", 13: "Unauthorized", 18: "AuthenticationFailed", 20: "IllegalOperation", 26: "NamespaceNotFound",
              27: "IndexNotFound", 43: "CursorNotFound", 48: "NamespaceExists", 50: "MaxTimeMSExpired", 59: "CommandNotFound",
              52: "DollarPrefixedFieldName", 72: "InvalidOptions", 73: "InvalidNamespace", 76: "NoReplicationEnabled", 85: "IndexOptionsConflict", 86: "IndexKeySpecsConflict",
              91: "ShutdownInProgress", 121: "DocumentValidationFailure", 166: "CommandNotSupportedOnView", 175: "QueryPlanKilled",
              189: "PrimarySteppedDown", 197: "InvalidIndexSpecificationOption", 237: "CursorKilled", 238: "NotImplemented",
              239: "SnapshotTooOld", 246: "SnapshotUnavailable", 10107: "NotWritablePrimary", 11000: "DuplicateKey", 67: "CannotCreateIndex",
              123: "NotAReplicaSet", 11600: "InterruptedAtShutdown", 408: "CannotInsertTimeseriesBucketsWithMixedSchema",
              11602: "InterruptedDueToReplStateChange", 13435: "NotPrimaryNoSecondaryOk", 40415: "IDLUnknownField"}

# A server refuses what it does not know of a command.
GENERIC = {"$db", "lsid", "$clusterTime", "$readPreference", "readConcern", "writeConcern", "maxTimeMS", "comment", "txnNumber",
           "startTransaction", "autocommit", "$audit", "$client", "apiVersion", "apiStrict", "apiDeprecationErrors"}
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
    "collMod": CREATE | {"index", "timeseriesBucketsMayHaveMixedSchemaData"},
    "listCollections": {"filter", "nameOnly", "authorizedCollections", "cursor", "rawData"},
    "listIndexes": {"cursor", "rawData", "includeBuildUUIDs"},
    "renameCollection": {"to", "dropTarget"},
}
# How a collection that may have buckets of mixed schema is shown.
MIXED = {"storageEngine": {"wiredTiger": {"configString": "app_metadata=(timeseriesBucketsMayHaveMixedSchemaData=true)"}}}
SINCE = {"bypassEmptyTsReplacement": (8, 0), "rawData": (8, 2)}
INDEX_OPTIONS = {"v", "key", "name", "ns", "unique", "background", "sparse", "expireAfterSeconds", "partialFilterExpression", "collation",
                 "hidden", "storageEngine", "weights", "default_language", "language_override", "textIndexVersion", "2dsphereIndexVersion", "bits",
                 "min", "max", "wildcardProjection", "prepareUnique", "clustered"}


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
        newest = bson.timestamp.Timestamp(*server.store.last_write)
        term = bson.int64.Int64(server.store.log.term if server.store.log else 1)
        at, majority = {"ts": newest, "t": term}, {"ts": server.majority or newest, "t": term}
        date = bson.datetime.datetime.utcfromtimestamp(majority["ts"].time)
        answer.update(setName=server.set_name, setVersion=1, secondary=server.role == "secondary", hosts=server.hosts or [server.address],
                      me=server.address, electionId=bson.ObjectId("7fffffff0000000000000001"),
                      lastWrite={"opTime": at, "lastWriteDate": date, "majorityOpTime": majority, "majorityWriteDate": date})
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


def connection_status(server, _):
    return {"authInfo": {"authenticatedUsers": [], "authenticatedUserRoles": [], "authenticatedUserPrivileges": [], **server.account}}


def merge_accounts(server, command):
    """Takes users and roles over out of collections beside, as mongorestore has it done."""
    pairs = [("system.users", command.get("tempUsersCollection")), ("system.roles", command.get("tempRolesCollection"))]
    if not any(source for _, source in pairs):
        raise Refused(2, 'Must provide at least one of "tempUsersCollection" and "tempRolesCollection"')
    for name, source in pairs:
        if not source:
            continue
        documents = server.store.need("admin", source.partition(".")[2]).documents()
        to, at = server.store.make("admin", name), server.store.tick()
        if command.get("drop"):
            for document in to.documents():
                to.remove(at, to.find_id(wire.field(document, "_id")))
        for document in documents:
            if wire.field(document, "_id") is None or wire.field(document, "db") is None:
                raise Refused(2, "that is no account")
            to.put(at, document)
    return {}


def kill_sessions(server, command):
    """Their cursors go with them, and a find that was on its way gets none."""
    killed = {session["id"] for session in command.get("killSessions")}
    server.killed |= killed
    for number in [number for number, cursor in list(server.cursors.items()) if cursor.session in killed]:
        server.cursors.pop(number, None)
    return {}


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


def db_stats(server, command):
    collections = server.store.databases.get(command.db, {}).values()
    documents = [d for c in collections for d in c.documents()]
    total, used = server.disk
    return {"db": command.db, "collections": len(collections), "objects": len(documents), "dataSize": float(sum(map(len, documents))),
            "fsTotalSize": float(total), "fsUsedSize": float(used)}


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
    indexes = list(of.indexes)
    of_all = wire.field(of.options, "expireAfterSeconds")
    if of_all is not None and server.version_tuple >= (7, 0):
        indexes = [wire.with_fields(i, {of_all.name: of_all.decode()}) if wire.field(i, "clustered") is not None else i for i in indexes]
    built = of.building
    if command.get("includeBuildUUIDs"):
        own = wire.raw({"buildUUID": bson.binary.Binary(of.uuid.bytes, 4)})
        built = [wire.document_of([b"\x03spec\0" + index, own[4:-1]]) for index in built]
    return server.open_cursor(command, command.ns, [*indexes, *built], command.part("cursor"))


# --- definitions ---

def check_time(seconds, most, code=72):
    """Documents of a time series or a clustered collection expire at no time before 1970; 4.4 says so of indexes, too."""
    if seconds is None or seconds == "off":
        return
    if isinstance(seconds, str) or seconds < 0:
        raise Refused(code, "TTL index 'expireAfterSeconds' option cannot be less than 0")
    if seconds > most:
        raise Refused(code, "TTL index 'expireAfterSeconds' option must be within an acceptable range, try a lower number")


def check_collection_time(options, seconds):
    if seconds is not None and wire.field(options, "timeseries") is None and wire.field(options, "clusteredIndex") is None:
        raise Refused(72, "'expireAfterSeconds' is only supported on time-series collections or when the 'clusteredIndex' option is specified")
    check_time(seconds, time.time())


def check_index_time(server, seconds, code):
    check_time(seconds, time.time() if server.version_tuple < (5, 0) else (1 << 31) - 1, code)


def create(server, command):
    check_collection_time(command.raw, command.get("expireAfterSeconds"))
    parts = [e.bytes for e in wire.elements(command.raw) if e.name in CREATE and e.name not in ("idIndex", "temp", "flags")]
    if command.field("viewOn") is not None and command.field("capped") is not None:
        raise Refused(72, "the 'viewOn' and 'capped' options cannot be used together")
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
        given = wire.field(index, "expireAfterSeconds")
        check_index_time(server, given and given.decode(), 67)
        index = wire.document_of(e.bytes for e in wire.elements(index) if e.name not in unknown and e.name not in ("ns", "background"))
        if wire.field(index, "name") is not None and wire.field(index, "name").decode() == "_id_":
            continue
        if of.add_index(index):
            of.born = server.store.tick()
            server.store.note_command(command.db, {"createIndexes": command.target}, of.indexes[-1][4:-1], of.uuid, of.born)
    return {"numIndexesBefore": before, "numIndexesAfter": len(of.indexes), "createdCollectionAutomatically": False}


def drop_indexes(server, command):
    of = server.store.need(command.db, command.target)
    wanted, before = command.get("index"), len(of.indexes)
    every = [wire.field(index, "name").decode() for index in of.indexes[1:]]
    for name in every if wanted == "*" else [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []:
        if of.index_named(name) is None:
            raise Refused(27, f"index not found with name [{name}]")
        del of.indexes[of.index_named(name)]
        server.store.note_command(command.db, {"dropIndexes": command.target, "index": name}, ui=of.uuid)
    return {"nIndexesWas": before}


def coll_mod(server, command):
    of = server.store.need(command.db, command.target)
    change = {e.name: e.decode() for e in wire.elements(command.raw) if e.name in CREATE}
    index = command.get("index")
    check_collection_time(of.options, change.get("expireAfterSeconds"))
    if index is not None:
        check_index_time(server, index.get("expireAfterSeconds"), 72)
        name = index.pop("name", None)
        key = index.pop("keyPattern", None)
        at = of.index_named(name) if name else next((i for i, one in enumerate(of.indexes) if wire.field(one, "key").decode() == key), None)
        if at is None:
            raise Refused(27, f"cannot find index {name or key} for ns {command.ns}")
        of.indexes[at] = wire.with_fields(of.indexes[at], index)
    if command.get("timeseriesBucketsMayHaveMixedSchemaData"):
        if of.kind != "timeseries":
            raise Refused(72, "option only supported on a time-series collection: timeseriesBucketsMayHaveMixedSchemaData")
        for one in filter(None, (of, server.store.find(command.db, f"system.buckets.{command.target}"))):
            one.mixed = True
            one.options = wire.with_fields(one.options, MIXED)
    if change.get("expireAfterSeconds") == "off":
        change["expireAfterSeconds"] = None
    of.options = wire.with_fields(of.options, change)
    parts = b"".join(e.bytes for e in wire.elements(command.raw) if e.name in CREATE | {"index"})
    if of.kind == "view":
        document = wire.document_of([wire.raw({"_id": command.ns})[4:-1], of.options[4:-1]])
        server.store.note("u", f"{command.db}.system.views", document, wire.raw({"_id": command.ns}))
    else:
        server.store.note_command(command.db, {"collMod": command.target}, parts, of.uuid)
    server.store.tick()
    return {}


def drop(server, command):
    if server.store.find(command.db, command.target) is None and server.version_tuple >= (7, 0):
        return {}
    server.store.drop(command.db, command.target)
    return {"ns": command.ns, "nIndexesWas": 1}


def drop_database(server, command):
    there = command.db in server.store.databases
    for name in [name for name in server.store.databases.get(command.db, {}) if not name.startswith("system.buckets.")]:
        server.store.drop(command.db, name)
    if there:
        server.store.note_command(command.db, {"dropDatabase": 1})
    server.store.tick()
    return {"dropped": command.db} if there else {}


def rename_collection(server, command):
    source, target = command.target.partition("."), command.get("to").partition(".")
    if len(command.get("to").encode()) > 255:
        raise Refused(73, "target namespace is too long")
    server.store.rename((source[0], source[2]), (target[0], target[2]), bool(command.get("dropTarget")))
    return {}


ANSWERS = {
    "hello": hello, "isMaster": hello, "ismaster": hello, "buildInfo": build_info, "buildinfo": build_info, "ping": nothing,
    "endSessions": nothing, "killSessions": kill_sessions,
    "saslStart": mongo_login.start, "saslContinue": mongo_login.go_on,
    "connectionStatus": connection_status, "_mergeAuthzCollections": merge_accounts, "dbStats": db_stats,
    "replSetGetConfig": set_config, "getParameter": get_parameter, "usersInfo": users_info, "refreshSessions": nothing, "setParameter": nothing,
    "listDatabases": list_databases, "listCollections": list_collections, "listIndexes": list_indexes,
    "find": mongo_documents.find, "getMore": mongo_documents.get_more, "killCursors": mongo_documents.kill_cursors,
    "aggregate": mongo_documents.aggregate, "count": mongo_documents.count, "insert": mongo_documents.insert,
    "update": mongo_documents.update, "delete": mongo_documents.delete,
    "create": create, "createIndexes": create_indexes, "dropIndexes": drop_indexes, "collMod": coll_mod, "drop": drop,
    "dropDatabase": drop_database, "renameCollection": rename_collection,
}
WRITES = {"insert", "update", "delete", "create", "createIndexes", "dropIndexes", "collMod", "drop", "dropDatabase", "renameCollection",
          "_mergeAuthzCollections"}
READS = {"find", "aggregate", "count", "listCollections", "listIndexes", "listDatabases", "getMore"}
