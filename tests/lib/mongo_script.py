#!/usr/bin/python3
"""A server that speaks MongoDB's protocol and does what a test tells it: for what no real server of the tests can do.

It keeps databases in memory, answers the commands of mongo_commands.py and writes down all that it was asked. Secondary indexes are kept and
shown, not used: unique ones refuse nothing. A login gives no rights, and takes none. In a test:

    with mongo_script.Script(set_name="rs0") as server:
        server.store.load("shop", "items", [{"_id": 1}], options={"validator": {"_id": {"$gt": 0}}})
        server.fault("getMore", n=2, error=239)                  # the second one from now on
        ... server.url("shop") ...
        assert server.sent("find")[0].doc["readConcern"]["level"] == "snapshot"

From a shell, until its input ends: mongo_script.py --port-file FILE [--script JSON-OR-FILE] [--log FILE], with
{"settings": {...}, "faults": [{"command": "find", ...}], "data": {DATABASE: {COLLECTION: {"documents": [], "indexes": [], "options": {}}}},
"stream": {"DATABASE.COLLECTION": {"mb": 200, "document": 1000}}} in MongoDB's Extended JSON. A client changes settings and faults by the
command {script: 1, settings: {...}, faults: [...], forget: true}, which answers with the commands so far: {commands: [...]}.
"""

import argparse
import os
import pathlib
import random
import signal
import socket
import sys
import threading
import time

import bson
import bson.json_util
import mongo_commands
import mongo_store
import mongo_wire as wire
from mongo_commands import Batch, Refused

FIRST_BATCH = 101
BATCH_BYTES = 16 << 20


class Fault:
    """What happens to the n-th command of a name (or "*") from now on, and to the next ones, `times` in all (None: ever after).

    run: a command that is done before. delay: seconds. error: the number that is answered, with message and labels. reply: the answer, a
    dict, the bytes of a document, or mongo_commands.Batch. close: the link is closed without an answer, or after that of error or reply.
    cut: the link is reset after this many bytes of the answer; True: in its middle. step_down: the server is a secondary from then on.
    kill_cursor: the cursor of the getMore is gone, as it is after an error of it. ns: only commands on "shop.items". call: a function of the command, in this process.
    """

    def __init__(self, command, n=1, times=1, ns=None, run=None, delay=0, error=None, message=None, labels=(), reply=None, close=False,
                 cut=None, step_down=False, kill_cursor=False, call=None):
        self.command, self.n, self.times, self.ns = command, n, times, ns
        self.run, self.delay, self.error, self.message, self.labels, self.reply = run, delay, error, message, labels, reply
        self.close, self.cut, self.step_down, self.kill_cursor, self.call = close, cut, step_down, kill_cursor, call
        self.seen = 0

    def fires(self, command):
        if self.command not in ("*", command.name) or (self.ns and self.ns != command.ns):
            return False
        self.seen += 1
        return self.n <= self.seen and (self.times is None or self.seen < self.n + self.times)


class Cursor:
    def __init__(self, ns, documents, kept, filter_, session):
        self.ns, self.documents, self.kept, self.filter, self.session, self.at = ns, documents, kept, filter_, session, 0


class Script:
    """One server, on a port of its own where none is given. Settings may be changed while it runs; members of one replica set share a store.

    role: "primary", "secondary" or "mongos"; set_name None: a standalone. majority: a Timestamp, else the store's time. snapshot: True, the
    error that refuses a read at one moment, or "ignored": the time is asked for in vain. orphans: without a readConcern documents are given twice, as
    by shards that still have what was moved. hello, build_info: fields put over the usual ones, None takes one away.
    oplog: how many entries local.oplog.rs holds; 0: there is none. Writes are in it from then on; store.elect() is another primary.
    missing: commands that this server does not know. account: the authInfo of connectionStatus. disk: (total, used) bytes of dbStats.
    accounts: {"DATABASE.USER": PASSWORD}, who may log in by SCRAM-SHA-256; nobody has to.
    behind: a Timestamp; each new link is to another mongos or secondary, which knows of no later time until a command tells it one.
    """

    SETTINGS = {"set_name": None, "role": "primary", "hosts": None, "primary": None, "version": "7.0.14", "wire": 21, "majority": None,
                "snapshot": True, "orphans": False, "sessions": True, "max_document": 16 << 20, "max_message": 48000000,
                "max_batch": 100000, "hello": {}, "build_info": {}, "oplog": 0, "missing": (), "account": {}, "disk": (1 << 40, 1 << 30), "accounts": {}, "behind": None}

    def __init__(self, store=None, log=None, port=0, **settings):
        self.store = store or mongo_store.Store()
        self.log = log
        self.set_id = bson.ObjectId()
        self.cursors, self.killed, self.logins, self.faults, self.commands = {}, set(), {}, [], []
        self.state = threading.Condition()
        self.set(**{**self.SETTINGS, **settings})
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.links = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, **settings):
        unknown = set(settings) - set(self.SETTINGS)
        if unknown:
            raise TypeError(f"no such setting: {', '.join(unknown)}")
        vars(self).update(settings)
        if settings.get("oplog"):
            with self.store.lock:
                self.store.keep_log(settings["oplog"])

    def close(self):
        self.listener.close()
        with self.state:
            for link in self.links:
                link.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- for tests ---

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def version_tuple(self):
        return tuple(int(part) for part in self.version.split("-")[0].split("."))

    def url(self, db="", **query):
        if self.set_name:
            query = {"replicaSet": self.set_name, **query}
        options = "?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""
        return f"mongodb://{','.join(self.hosts or [self.address])}/{db}{options}"

    def fault(self, command, **how):
        with self.state:
            self.faults.append(Fault(command, **how))

    def forget(self):
        """No more faults, and nothing was ever asked."""
        with self.state:
            self.faults, self.commands = [], []

    def sent(self, name, ns=None):
        """The commands of that name that came, as mongo_wire.Command."""
        with self.state:
            return [c for c in self.commands if c.name == name and ns in (None, c.ns)]

    def wait_for(self, name, n=1, timeout=30):
        """Until n commands of that name have come."""
        with self.state:
            if not self.state.wait_for(lambda: sum(c.name == name for c in self.commands) >= n, timeout):
                raise TimeoutError(f"{n} times {name}")

    def do(self, command):
        """A command, with $db, that is not written down; its answer."""
        return self._answer(wire.Command(wire.raw(command), database=command.get("$db")))

    # --- for commands ---

    def moment_of(self, command):
        """The time that a command wants to read at; None: now."""
        concern = command.get("readConcern") or {}
        if concern.get("level") != "snapshot":
            return None
        if not self.set_name and self.role != "mongos":
            raise Refused(123, "node needs to be a replica set member to use read concern level snapshot")
        if self.snapshot == "ignored":
            return None
        if self.snapshot is not True:
            raise Refused(self.snapshot, "this server reads at no moment")
        at = concern.get("atClusterTime", self.store.timestamp)
        if (at.time, at.inc) > (command.knows or self.store.now):
            raise Refused(72, "readConcern atClusterTime value must not be greater than the current clusterTime")
        return at.time, at.inc

    def open_cursor(self, command, ns, documents, options, of=None):
        filter_ = command.part("filter")
        kept = of.kept if of is not None and of.frozen and documents is of.kept.get(filter_) else None
        cursor = Cursor(ns, documents, kept, filter_, command.get("lsid.id"))
        size = wire.field(options, "batchSize")
        single = wire.field(options, "singleBatch")
        batch = self._batch(cursor, FIRST_BATCH if size is None else size.decode())
        if cursor.at == len(documents) or (single is not None and single.decode()):
            return Batch(ns, 0, batch, True)
        number = random.getrandbits(62) + 1
        self.cursors[number] = cursor
        if cursor.session in self.killed:
            self.cursors.pop(number, None)
            raise Refused(11601, "operation was interrupted")
        return Batch(ns, number, batch, True)

    def next_batch(self, command, number):
        cursor = self.cursors.get(number)
        if cursor is None:
            raise Refused(43, f"cursor id {number} not found")
        batch = self._batch(cursor, command.get("batchSize"))
        if cursor.at == len(cursor.documents):
            self.cursors.pop(number, None)
            number = 0
        return Batch(cursor.ns, number, batch, False)

    def _batch(self, cursor, size):
        """The bytes of the array of the next documents; of a frozen collection made once."""
        begin, size = cursor.at, int(size) if size is not None else wire.MOST_IN_ARRAY
        kept = cursor.kept.get((cursor.filter, begin, size)) if cursor.kept is not None else None
        if kept is None:
            end, total, most = begin, 0, min(len(cursor.documents), begin + min(size, wire.MOST_IN_ARRAY))
            while end < most and (end == begin or total + len(cursor.documents[end]) <= BATCH_BYTES):
                total += len(cursor.documents[end])
                end += 1
            kept = end, wire.array_of(cursor.documents[begin:end])
            if cursor.kept is not None:
                cursor.kept[cursor.filter, begin, size] = kept
        cursor.at = kept[0]
        return kept[1]

    # --- links ---

    def _accept(self):
        while True:
            try:
                link = self.listener.accept()[0]
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.state:
                self.links.add(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        knows = (self.behind.time, self.behind.inc) if self.behind else None
        try:
            command = self._next(link, knows)
            while self._one(link, command):
                command = self._next(link, command.knows)
        except (wire.Closed, OSError):
            pass
        with self.state:
            self.links.discard(link)
            link.close()

    def _next(self, link, knows):
        command = wire.read_command(link, self.max_message)
        told = command.get("$clusterTime.clusterTime") if knows else None
        command.knows = max(knows, (told.time, told.inc)) if told else knows
        return command

    def _note(self, command):
        """Writes a command down; returns the fault that is meant for it."""
        with self.state:
            self.commands.append(command)
            self.state.notify_all()
            if self.log:
                self.log.write(bson.json_util.dumps({**command.doc, "$db": command.db}) + "\n")
                self.log.flush()
            return next(iter([fault for fault in self.faults if fault.fires(command)]), None)

    def _one(self, link, command):
        """Answers; False where the link ends."""
        if command.name == "script":
            wire.send_all(link, self._parts(command, self._script(command)))
            return True
        fault = self._note(command)
        if fault is None:
            answer = self._answer(command)
        else:
            answer = self._faulty(command, fault)
        if answer is not None and command.answered:
            parts = self._parts(command, answer)
            if fault is not None and fault.cut is not None:
                whole = b"".join(parts)
                link.sendall(whole[:len(whole) // 2 if fault.cut is True else fault.cut])
                wire.reset(link)
                return False
            wire.send_all(link, parts)
        return not (fault and fault.close)

    def _faulty(self, command, fault):
        if fault.call:
            fault.call(command)
        if fault.run:
            self.do(fault.run)
        time.sleep(fault.delay)
        if fault.kill_cursor or (fault.error is not None and command.name == "getMore"):
            self.cursors.pop(command.get("getMore"), None)
        if fault.step_down:
            self.set(role="secondary", primary=None)
        if fault.error is not None:
            labels = {"errorLabels": list(fault.labels)} if fault.labels else {}
            return self._refusal(Refused(fault.error, fault.message or "the script says so", **labels))
        if fault.reply is not None:
            return fault.reply
        return None if fault.close else self._answer(command)

    def _script(self, command):
        with self.state:
            asked = [{**c.doc, "$db": c.db} for c in self.commands]
        if command.get("forget"):
            self.forget()
        self.set(**command.get("settings", {}))
        for fault in command.get("faults", []):
            self.fault(**fault)
        return {"commands": asked, "ok": 1.0}

    @staticmethod
    def _refusal(refused):
        name = mongo_commands.CODE_NAMES.get(refused.code, f"Location{refused.code}")
        return {"ok": 0.0, "errmsg": refused.message, "code": refused.code, "codeName": name, **refused.more}

    def _answer(self, command):
        try:
            with self.store.lock:
                if command.name not in mongo_commands.ANSWERS or command.name in self.missing:
                    raise Refused(59, f"no such command: '{command.name}'")
                if self.role == "secondary" and command.name in mongo_commands.WRITES:
                    raise Refused(10107, "not primary")
                mode = (command.get("$readPreference") or {}).get("mode", "primary")
                if self.role == "secondary" and command.name in mongo_commands.READS - {"getMore"} and mode == "primary":
                    raise Refused(13435, "not primary and secondaryOk=false")
                mongo_commands.check_known(self, command)
                answer = mongo_commands.ANSWERS[command.name](self, command)
            return answer if isinstance(answer, Batch) else {**answer, "ok": 1.0}
        except Refused as refused:
            return self._refusal(refused)

    def _times(self, command):
        if not self.set_name and self.role != "mongos":
            return {}
        signature = {"hash": b"\0" * 20, "keyId": bson.int64.Int64(0)}
        now = bson.timestamp.Timestamp(*(command.knows or self.store.last_write))
        return {"operationTime": now, "$clusterTime": {"clusterTime": now, "signature": signature}}

    def _parts(self, command, answer):
        """The pieces of bytes of a whole reply."""
        if not isinstance(answer, Batch):
            body = answer if isinstance(answer, bytes) else wire.raw({**self._times(command), **answer})
            return [wire.head_of(command, len(body)), body]
        name = b"\x04" + (b"firstBatch" if answer.first else b"nextBatch") + b"\0"
        tail = wire.raw({"id": bson.int64.Int64(answer.cursor_id), "ns": answer.ns})[4:]
        cursor = 4 + len(name) + len(answer.documents) + len(tail)
        rest = wire.raw({"ok": 1.0, **self._times(command)})[4:]
        body = 4 + len(b"\x03cursor\0") + cursor + len(rest)
        head = wire.head_of(command, body) + wire.INT32.pack(body) + b"\x03cursor\0" + wire.INT32.pack(cursor) + name
        return [head, answer.documents, tail + rest]


WORDS = ("amber basket cellar dozen elm ferry garden harbour island jetty kernel lantern meadow north orchard pepper quarry river silver "
         "timber").split()


def stream_documents(mb, size):
    """Documents of about that many bytes, together so many MiB; their text compresses about as that of a shop's records."""
    dice = random.Random(5)
    pool = " ".join(dice.choice(WORDS) + str(dice.randrange(1000)) for _ in range(20000))
    text = max(size - 90, 1)
    for i in range((mb << 20) // size):
        begin = dice.randrange(len(pool) - text) if text < len(pool) else 0
        yield {"_id": i, "sku": f"{dice.getrandbits(48):012x}", "price": dice.random() * 100, "stock": dice.randrange(1000),
               "text": pool[begin:begin + text]}


def load_script(server, script):
    server.set(**script.get("settings", {}))
    for fault in script.get("faults", []):
        server.fault(**fault)
    for db, collections in script.get("data", {}).items():
        for name, parts in collections.items():
            server.store.load(db, name, parts.get("documents", ()), parts.get("indexes", ()), parts.get("options"))
    for ns, how in script.get("stream", {}).items():
        db, _, name = ns.partition(".")
        server.store.load(db, name, stream_documents(how["mb"], how.get("document", 1000)), frozen=True)


def main():
    parser = argparse.ArgumentParser(description="A scripted server of MongoDB's protocol; it ends with its input.")
    parser.add_argument("--port-file", required=True, help="where the port is written when the server is ready")
    parser.add_argument("--script", default="{}", help="Extended JSON, or a file with it")
    parser.add_argument("--log", help="a file for the commands, one line of Extended JSON each")
    args = parser.parse_args()
    text = args.script if args.script.lstrip().startswith("{") else pathlib.Path(args.script).read_text()
    server = Script(log=open(args.log, "w") if args.log else None)
    load_script(server, bson.json_util.loads(text))
    ready = pathlib.Path(args.port_file + ".new")
    ready.write_text(f"{server.port}\n")
    ready.rename(args.port_file)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while os.read(sys.stdin.fileno(), 4096):
        pass


if __name__ == "__main__":
    main()
