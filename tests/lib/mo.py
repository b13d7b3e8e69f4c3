"""Throwaway servers of MongoDB's protocol for tests, by scripts/mongo-server: my.py's sibling. Fixtures and reading back by Debian's pymongo.

What such a server does not do (FerretDB: views, validators, capped and time series collections, replica sets), mongo_script.py does.
"""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.parse

try:
    import bson
    import pymongo
    from bson.raw_bson import RawBSONDocument
except ImportError:
    pymongo = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONGO_SERVER = str(ROOT / "scripts" / "mongo-server")
SYSTEM = ("admin", "config", "local")


class Missing(Exception):
    """No such server, or no pymongo, is installed here."""


def _run(argv, timeout=180):
    done = subprocess.run(argv, timeout=timeout, capture_output=True, text=True)
    if done.returncode != 0:
        kind = Missing if "is not installed" in done.stderr else RuntimeError
        raise kind(f"{argv[0]} {argv[1]}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


# --- folders that the servers' user can enter, one per test process; what a killed run left behind is removed ---

_run_dir = None
_counter = 0


def _reap(runs):
    for old in runs.iterdir():
        if old.name.isdigit() and not pathlib.Path("/proc", old.name).exists():
            for config in old.glob("*/server"):
                subprocess.run([MONGO_SERVER, "stop", str(config.parent), "immediate"], capture_output=True, timeout=90)
            shutil.rmtree(old, ignore_errors=True)


def temp_dir(name="tmp"):
    """A new empty folder, removed by remove_temp_dirs(); its owner is the caller, everybody may enter."""
    global _run_dir, _counter
    if _run_dir is None:
        runs = pathlib.Path(_run([MONGO_SERVER, "dir"]).strip()) / "run-mo"
        runs.mkdir(mode=0o755, exist_ok=True)
        _reap(runs)
        _run_dir = runs / str(os.getpid())
        _run_dir.mkdir(mode=0o755)
    _counter += 1
    path = _run_dir / f"{re.sub('[^A-Za-z0-9]+', '-', name)[:24]}-{_counter}"
    path.mkdir(mode=0o755)
    return path


def remove_temp_dirs():
    """To be called once, after every server of this process was stopped."""
    global _run_dir
    if _run_dir is not None:
        shutil.rmtree(_run_dir, ignore_errors=True)
        _run_dir = None


def raw_codec():
    """For documents as they are, byte for byte."""
    return bson.CodecOptions(document_class=RawBSONDocument)


def raw_documents(collection):
    """The bytes of all documents of a collection, by pymongo's Collection."""
    return [document.raw for document in collection.with_options(codec_options=raw_codec()).find()]


class Server:
    """One server of its own. Use it with `with`, or call start() and remove(). auth: it takes only root with the password mongo."""

    def __init__(self, auth=False):
        if pymongo is None:
            raise Missing("python3-pymongo is not installed: run scripts/deps test")
        self.auth = auth
        self.dir = temp_dir("mo")
        self.port = self.pid = self.kind = None
        self._client = None

    def start(self):
        """Also starts a stopped server again, on another port."""
        self._read_env(_run([MONGO_SERVER, "start", str(self.dir), *(["--auth"] if self.auth else [])]))
        return self

    def _read_env(self, text):
        env = dict(line.split("=", 1) for line in text.splitlines())
        self.port, self.pid, self.kind = int(env["MONGO_PORT"]), int(env["MONGO_PID"]), env["MONGO_KIND"]
        self._forget_client()

    def _forget_client(self):
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def log(self):
        return (self.dir / "log").read_text(errors="replace")

    def stop(self, mode="fast"):
        self._forget_client()
        _run([MONGO_SERVER, "stop", str(self.dir), mode])

    def restart(self, mode="fast"):
        """On the port that it had."""
        self._read_env(_run([MONGO_SERVER, "restart", str(self.dir), mode]))

    def kill(self):
        """SIGKILL, as a crash. start() recovers."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop("immediate")

    def remove(self):
        """Ends the server and removes its files."""
        self._forget_client()
        if (self.dir / "server").exists():
            _run([MONGO_SERVER, "stop", str(self.dir), "immediate"])
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    # --- how to reach it ---

    def url(self, db="", user=None, password=None, **query):
        """As root where the server asks for a login and no other user is named. FerretDB keeps all accounts in admin."""
        if self.auth and user is None:
            user, password = "root", "mongo"
        login = ""
        if user is not None:
            secret = ":" + urllib.parse.quote(password, safe="") if password is not None else ""
            login = urllib.parse.quote(user, safe="") + secret + "@"
            query = {"authSource": "admin", **query}
        text = f"mongodb://{login}127.0.0.1:{self.port}/{urllib.parse.quote(db, safe='')}"
        return text + ("?" + urllib.parse.urlencode(query, safe="/") if query else "")

    @property
    def client(self):
        """pymongo's, one for all that a test makes and reads back."""
        if self._client is None:
            self._client = pymongo.MongoClient(self.url(), tz_aware=True)
        return self._client

    # --- what is in it ---

    def db(self, name):
        return self.client[name]

    def databases(self):
        return [name for name in self.client.list_database_names() if name not in SYSTEM]

    def drop_db(self, name):
        self.client.drop_database(name)

    def contents(self, db):
        """What the collections hold, as {name: sums}: equal where the documents are equal, in whatever order."""
        sums = {}
        for info in self.db(db).list_collections():
            if info["type"] != "view":
                documents = sorted(raw_documents(self.db(db)[info["name"]]))
                sums[info["name"]] = f"{len(documents)} documents, sum {hashlib.sha256(b''.join(documents)).hexdigest()}"
        return sums

    def indexes(self, db):
        """{collection: {name: index}} as listIndexes shows them, without what a server says of its own storage."""
        def plain(index):
            return {k: v for k, v in index.items() if k not in ("v", "ns", "storageEngine")}
        names = [info["name"] for info in self.db(db).list_collections() if info["type"] != "view"]
        return {name: {index["name"]: plain(index) for index in self.db(db)[name].list_indexes()} for name in names}
