"""Databases and collections in memory, as a MongoDB keeps them: documents byte for byte with their past, options and indexes as given."""

import threading
import time
import uuid

import bson
import mongo_wire as wire
from mongo_query import Refused, matches

MOST_NAMESPACE = 255
GONE = None


class Slot:
    """A document's place in its collection: all it has been, as (time, bytes or GONE)."""

    __slots__ = ("past",)

    def __init__(self, at, document):
        self.past = [(at, document)]

    @property
    def now(self):
        return self.past[-1][1]

    def then(self, at):
        for since, document in reversed(self.past):
            if since <= at:
                return document
        return GONE


class Collection:
    """kind: "collection", "view" or "timeseries". options: bytes, as create had them. frozen: nothing writes into it, so answers may be kept.
    mixed: buckets whose fields have values of several types may be put into it."""

    def __init__(self, name, kind="collection", options=None, born=(0, 0)):
        self.name, self.kind, self.options, self.born = name, kind, options or wire.raw({}), born
        self.uuid = uuid.uuid4()
        self.indexes, self.building = [], []
        self.slots, self.by_id = [], {}
        self.frozen = self.mixed = False
        self.kept = {}
        if kind == "collection":
            self.indexes.append(self._first_index())

    def _first_index(self):
        clustered, collation = wire.field(self.options, "clusteredIndex"), wire.field(self.options, "collation")
        if clustered is not None and clustered.type == wire.DOCUMENT:
            return wire.with_fields(clustered.value_bytes, {"clustered": True})
        index = wire.raw({"v": 2, "key": {"_id": 1}, "name": "_id_"})
        return index if collation is None else wire.document_of([e.bytes for e in wire.elements(index)] + [collation.bytes])

    def documents(self, at=None):
        """As of now, or as of a time (seconds, increment)."""
        if self.frozen:
            return [slot.now for slot in self.slots]
        found = (slot.now if at is None else slot.then(at) for slot in self.slots)
        return [document for document in found if document is not GONE]

    def find_id(self, element):
        slot = self.by_id.get(wire.key(element))
        return slot if slot is not None and slot.now is not GONE else None

    def put(self, at, document):
        """A new document, or another in the place of the one with its _id."""
        key = wire.key(wire.field(document, "_id"))
        slot = self.by_id.get(key)
        if slot is None:
            self.by_id[key] = slot = Slot(at, document)
            self.slots.append(slot)
        else:
            slot.past.append((at, document))

    def remove(self, at, slot):
        slot.past.append((at, GONE))

    def valid(self, document):
        """Whether the validator lets it in."""
        validator, level, action = (wire.field(self.options, name) for name in ("validator", "validationLevel", "validationAction"))
        if validator is None or (level and level.decode() == "off") or (action and action.decode() == "warn"):
            return True
        return matches(document, validator.value_bytes)

    def index_named(self, name):
        return next((i for i, index in enumerate(self.indexes) if wire.field(index, "name").decode() == name), None)

    def add_index(self, given):
        """Whether it is new. A collation of the collection goes over to an index without one; the simple one is shown as none."""
        name, spec = wire.field(given, "name"), wire.field(given, "key")
        if name is None or spec is None:
            raise Refused(9, "The 'key' and 'name' fields of an index are required")
        parts = [e.bytes for e in wire.elements(given)]
        if wire.field(given, "v") is None:
            parts.insert(0, next(wire.elements(wire.raw({"v": 2}))).bytes)
        own, of_all = wire.field(given, "collation"), wire.field(self.options, "collation")
        if own is None and of_all is not None:
            parts.append(of_all.bytes)
        elif own is not None and own.decode().get("locale") == "simple":
            parts.remove(own.bytes)
        made = wire.document_of(parts)
        there = self.index_named(name.decode())
        if there is not None and sorted(e.bytes for e in wire.elements(self.indexes[there])) == sorted(parts):
            return False
        if there is not None:
            raise Refused(86, f"An existing index has the same name as the requested index: {name.decode()}")
        if any(wire.field(i, "key").value_bytes == spec.value_bytes and not {"collation", "partialFilterExpression", "sparse"} &
               {e.name for e in wire.elements(made)} for i in self.indexes if wire.field(i, "clustered") is None):
            raise Refused(85, f"Index already exists with a different name: {name.decode()}")
        self.indexes.append(made)
        return True


def change_of(old, new):
    """`o` of an update as a server logs it: what is other at the top where that can be said, else the whole document."""
    before, after = ({e.name: e.bytes for e in wire.elements(d)} for d in (old, new))
    kept = [name for name in before if name in after]
    if list(after)[:len(kept)] != kept:
        return new
    parts = []
    for section, names in (("d", [n for n in before if n not in after]), ("u", [n for n in kept if before[n] != after[n]]),
                           ("i", [n for n in after if n not in before])):
        values = [wire.raw({n: False})[4:-1] for n in names] if section == "d" else [after[n] for n in names]
        if names:
            parts.append(b"\x03" + section.encode() + b"\0" + wire.document_of(values))
    return wire.document_of([wire.raw({"$v": 2})[4:-1], b"\x03diff\0" + wire.document_of(parts)])


class Log(Collection):
    """local.oplog.rs: what every write adds to. It holds so many entries; the oldest go."""

    def __init__(self, most):
        super().__init__("oplog.rs", options=wire.raw({"capped": True}))
        self.entries, self.most, self.term, self.newest = [], most, 1, (0, 0)

    def documents(self, _=None):
        return list(self.entries)

    def add(self, at, op, ns, o, o2=None, ui=None, **more):
        """o, o2: bytes. more: members of the entry that are put before o."""
        head = {"ts": bson.timestamp.Timestamp(*at), "t": bson.int64.Int64(self.term), "v": 2, "op": op, "ns": ns,
                **({"ui": bson.binary.Binary(ui.bytes, 4)} if ui else {}), "wall": bson.datetime.datetime.utcfromtimestamp(at[0]), **more}
        parts = [wire.raw(head)[4:-1], b"\x03o\0" + o]
        self.entries.append(wire.document_of(parts + ([b"\x03o2\0" + o2] if o2 else [])))
        self.newest = at
        del self.entries[:-self.most]


class Store:
    """What one server has, or the members of one replica set together. Its clock goes on with each write; every method needs `lock`."""

    def __init__(self):
        self.lock = threading.RLock()
        self.databases = {}
        self.seconds, self.increment = int(time.time()), 1
        self.log = None
        self.buckets = True  # whether the documents of a time series lie in system.buckets.NAME; not so from 8.3 on

    @property
    def now(self):
        return self.seconds, self.increment

    @property
    def timestamp(self):
        return bson.timestamp.Timestamp(self.seconds, self.increment)

    def tick(self):
        self.increment += 1
        return self.now

    # --- the log ---

    def keep_log(self, most):
        """From now on all writes are in local.oplog.rs, whose first entry says nothing."""
        self.log = Log(most)
        self.databases.setdefault("local", {})["oplog.rs"] = self.log
        self.note("n", "", wire.raw({"msg": "initiating set"}))

    def note(self, op, ns, o, o2=None, ui=None, at=None, **more):
        """An entry, where there is a log; at: its time, None: a new one."""
        if self.log is not None:
            self.log.add(at or self.tick(), op, ns, o, o2, ui, **more)

    def note_command(self, db, command, more=b"", ui=None, at=None):
        """command: a dict; more: bytes of further members."""
        self.note("c", f"{db}.$cmd", wire.document_of([wire.raw(command)[4:-1], more]), ui=ui, at=at)

    def note_write(self, at, db, of, old, new):
        """A document that was put in, changed (old and new are bytes) or removed; None: it is not there."""
        if self.log is None:
            return
        ns, own = f"{db}.{of.name}", wire.field(new or old, "_id")
        key = wire.document_of([own.bytes])
        if old is None:
            self.note("i", ns, new, key, of.uuid, at)
        elif new is None:
            self.note("d", ns, key, ui=of.uuid, at=at)
        else:
            self.note("u", ns, change_of(old, new), key, of.uuid, at)

    def elect(self):
        """Another primary: the term goes on."""
        self.log.term += 1
        self.note("n", "", wire.raw({"msg": "new primary"}))

    @property
    def last_write(self):
        return self.log.newest if self.log is not None else self.now

    def find(self, db, name):
        return self.databases.get(db, {}).get(name)

    def need(self, db, name):
        found = self.find(db, name)
        if found is None:
            raise Refused(26, f"ns does not exist: {db}.{name}")
        return found

    def create(self, db, name, options=None):
        """options: bytes. True where it was not there before with just these."""
        options = options or wire.raw({})
        if len(f"{db}.{name}".encode("utf-8", "surrogateescape")) > MOST_NAMESPACE:
            raise Refused(73, f"Fully qualified namespace is too long. Namespace: {db}.{name} Max: 255")
        own = name.startswith("system.") and db != "admin" and not name.startswith(("system.js", "system.profile", "system.buckets."))
        if not name or "$" in name or own:
            raise Refused(73, f"Invalid system namespace: {db}.{name}")
        there = self.find(db, name)
        if there is not None:
            if there.options == options:
                return False
            raise Refused(48, f"Collection {db}.{name} already exists.")
        kind = "view" if wire.field(options, "viewOn") else "timeseries" if wire.field(options, "timeseries") else "collection"
        if name.startswith("system.buckets."):
            kind = "collection"
        of_db = self.databases.setdefault(db, {})
        of_db[name] = made = Collection(name, kind, options, self.tick())
        if kind == "view":
            self.note("i", f"{db}.system.views", wire.document_of([wire.raw({"_id": f"{db}.{name}"})[4:-1], options[4:-1]]), at=self.now)
        else:
            self.note_command(db, {"create": name}, options[4:-1], made.uuid, self.now)
        if kind == "timeseries" and self.buckets:
            of_db[f"system.buckets.{name}"] = buckets = Collection(f"system.buckets.{name}", "collection", options, self.now)
            buckets.indexes = []
        return True

    def make(self, db, name):
        """The collection, which a write makes by the way."""
        if self.find(db, name) is None:
            self.create(db, name)
        return self.find(db, name)

    def drop(self, db, name):
        found = self.need(db, name)
        at = self.tick()
        if found.kind == "view":
            self.note("d", f"{db}.system.views", wire.raw({"_id": f"{db}.{name}"}), at=at)
        else:
            self.note_command(db, {"drop": name}, ui=found.uuid, at=at)
        del self.databases[db][name]
        if found.kind == "timeseries":
            self.databases[db].pop(f"system.buckets.{name}", None)
        if not self.databases[db]:
            del self.databases[db]
        return found

    def build(self, db, name, step, *indexes):
        """step: "start", "commit" or "abort" of a build of indexes, dicts, that takes its time."""
        of, given = self.need(db, name), [wire.raw(index) for index in indexes]
        of.building = given if step == "start" else []
        for index in given if step == "commit" else ():
            of.add_index(index)
        parts = [wire.raw({"indexBuildUUID": bson.binary.Binary(of.uuid.bytes, 4), "indexes": list(indexes)})[4:-1]]
        self.note_command(db, {f"{step}IndexBuild": name}, b"".join(parts), of.uuid)

    def rename(self, source, target, drop_target=False):
        """source, target: (db, name)."""
        found = self.need(*source)
        if found.kind != "collection":
            raise Refused(166, f"cannot rename {found.kind}: {'.'.join(source)}")
        if self.find(*target) is not None:
            if not drop_target:
                raise Refused(48, "target namespace exists")
            self.drop(*target)
        del self.databases[source[0]][source[1]]
        if not self.databases[source[0]]:
            del self.databases[source[0]]
        found.name, found.born = target[1], self.tick()
        found.options = wire.with_fields(found.options, {"temp": None})
        self.note_command(source[0], {"renameCollection": ".".join(source), "to": ".".join(target), "stayTemp": False}, ui=found.uuid, at=self.now)
        self.databases.setdefault(target[0], {})[target[1]] = found

    def load(self, db, name, documents=(), indexes=(), options=None, frozen=False):
        """A collection for a test; documents are dicts or bytes."""
        with self.lock:
            self.create(db, name, wire.raw(options or {}))
            of = self.find(db, f"system.buckets.{name}") or self.find(db, name)
            at = self.tick() if self.log is None else None
            for document in documents:
                since = at or self.tick()
                of.put(since, wire.raw(document))
                self.note_write(since, db, of, None, wire.raw(document))
            for index in indexes:
                self.find(db, name).add_index(wire.raw(index))
            of.frozen = frozen
            return of
