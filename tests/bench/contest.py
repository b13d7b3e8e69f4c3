"""Contenders side by side: each in turn, several times; medians, and what was measured against each target."""

import argparse
import atexit
import fcntl
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
DRTOOL = os.environ.get("DRTOOL_BIN", str(ROOT / "build" / "drtool"))
MB = 1_000_000
MIB = 1 << 20


class Contender:
    """before and after are not timed; the command may be a list, or a string for bash."""

    def __init__(self, name, command, before=None, size=None, after=None):
        self.name, self.command, self.before, self.size, self.after = name, command, before, size, after
        self.costs, self.error = [], None

    def once(self, env):
        if self.error:
            return
        if self.before:
            self.before()
        try:
            cost = measure.run(self.command, env)
            cost.size = self.size() if self.size else 0
            self.costs.append(cost)
        except measure.Failed as failed:
            self.error = str(failed)
        if self.after:
            self.after()

    @property
    def cost(self):
        return measure.median(self.costs) if self.costs and not self.error else None


def race(title, contenders, args, env):
    """Every contender in turn, and that args.runs times, so that a change of the machine hits all alike."""
    contenders = [c for c in contenders if re.search(args.only, c.name)]
    print(f"\n## {title}, median of {args.runs}; load {os.getloadavg()[0]:.1f} before", flush=True)
    for _ in range(args.runs):
        for contender in contenders:
            contender.once(env)
    print(f"{'':34}{'wall s':>8}{'CPU s':>8}{'peak MiB':>10}{'with children':>15}{'size MB':>9}")
    for contender in contenders:
        cost = contender.cost
        if cost:
            print(f"{contender.name:34}{cost.wall:8.2f}{cost.cpu:8.2f}{cost.peak / MIB:10.1f}{cost.peak_all / MIB:15.1f}"
                  f"{cost.size / MB:9.1f}", flush=True)
        else:
            print(f"{contender.name:34}failed: {contender.error}", flush=True)
    return {contender.name: contender.cost for contender in contenders}


def target(text, measured, met):
    print(f"{'met    ' if met else 'NOT MET'}  {text}: {measured}", flush=True)


def size_of(path):
    path = pathlib.Path(path)
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def empty(*paths):
    def remove():
        for path in paths:
            if pathlib.Path(path).is_dir():
                shutil.rmtree(path)
            else:
                pathlib.Path(path).unlink(missing_ok=True)
    return remove


class Drtool:
    """The command lines of drtool, with a store on tmpfs. url(database): of the server."""

    def __init__(self, url, work, database="shop"):
        self.url, self.work, self.database = url, work, database
        self.store = work / "store"
        self.common = ["--state-dir", work / "state"]

    def backup(self, *more):
        return [DRTOOL, "backup", self.url(self.database), "--to", f"file://{self.store}", "--name", "bench", *self.common, *more]

    def restore(self, into, *more):
        return [DRTOOL, "restore", "bench", "--from", f"file://{self.store}", "--into", self.url(into), *self.common, *more]

    def check(self):
        return [DRTOOL, "check", "bench", "--from", f"file://{self.store}", *self.common]

    def forget(self):
        """Empties the store, and the state that would ask where it has gone."""
        empty(self.store, self.work / "state")()

    def archive_size(self):
        return sum(f.stat().st_size for f in (self.store / "bench" / "backup").glob("*.tar.gz*"))


def alone():
    """Waits until no other benchmark of this user runs, which would measure neither."""
    lock = open(os.path.join(tempfile.gettempdir(), f"drtool-bench-{os.getuid()}.lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another benchmark runs: waiting for its end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(lock.close)


def main(parts, about):
    """parts: name to function of the arguments and a folder on tmpfs."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*parts, "all"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", metavar="REGEX", help="only contenders whose name has this, as 'COPY|drtool'")
    parser.add_argument("--no-drtool", dest="drtool", action="store_false", help="only what people use today")
    args = parser.parse_args()
    if args.drtool and not os.access(DRTOOL, os.X_OK):
        sys.exit(f"{DRTOOL} is not built: run make")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    alone()
    for name, part in parts.items():
        if args.part in (name, "all"):
            work = pathlib.Path(tempfile.mkdtemp(prefix="drtool-bench-", dir="/dev/shm"))
            work.chmod(0o755)
            try:
                part(args, work)
            finally:
                shutil.rmtree(work)
