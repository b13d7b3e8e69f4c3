"""Runs the drtool binary for tests: clean environment, own store and state, never without a time limit."""

import json
import os
import pathlib
import signal
import subprocess

import my
import pg

ROOT = pathlib.Path(__file__).resolve().parents[2]

# In a job in the background or under nohup these are ignored, and drtool would inherit that. A handler that does nothing is
# the same for this process, and is not inherited.
for _signal in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, lambda *_: None)


def binary():
    """The build under test: $DRTOOL_BIN, else the one with failpoints."""
    return str((ROOT / os.environ.get("DRTOOL_BIN", "build/debug/drtool")).resolve())


class Result:
    """How a run ended. A negative code is the signal that ended it."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return f"drtool {' '.join(map(str, self.args))}\nexit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Drtool:
    """One user's view: a folder of its own with a store and a state folder, and the way to run commands there."""

    def __init__(self, env=None):
        self.dir = pg.temp_dir("drtool")
        self.store = self.dir / "store"
        self.state = self.dir / "state" / "drtool"
        self.tmp = self.dir / "private"  # what a killed drtool leaves behind goes with the folder
        self.tmp.mkdir()
        self.env = dict(env or {})

    @property
    def store_url(self):
        return f"file://{self.store}"

    def environment(self, env=None, fail=None):
        """What drtool sees: nothing of the caller but the options of the sanitizers."""
        bins = []
        for version in pg.VERSIONS:
            try:
                bins.append(str(pg.bin_dir(version)))
            except pg.Missing:
                pass
        for version in my.VERSIONS:
            try:
                bins.append(str(my.bin_dir(version).with_name("sbin")))
            except my.Missing:
                pass
        clean = {
            "PATH": ":".join(["/usr/bin", "/bin", *bins]),
            "HOME": str(self.dir),
            "XDG_STATE_HOME": str(self.dir / "state"),
            "TMPDIR": str(self.tmp),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "DRTOOL_STORE": self.store_url,
        }
        clean.update((k, v) for k, v in os.environ.items() if k.endswith("SAN_OPTIONS"))
        if fail:
            clean["DRTOOL_FAIL"] = fail
        clean.update(self.env)
        clean.update(env or {})
        return {k: str(v) for k, v in clean.items() if v is not None}

    def start(self, *args, env=None, fail=None, **kwargs):
        """Starts a command and returns the Popen; the caller ends it."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
                   "errors": "replace", "cwd": self.dir, "start_new_session": True, **kwargs}
        return subprocess.Popen([binary(), *map(str, args)], env=self.environment(env, fail), **options)

    def run(self, *args, env=None, fail=None, timeout=180, input=None):
        """Runs a command to its end. env: added, None removes; fail: the value of DRTOOL_FAIL."""
        kwargs = {"stdin": subprocess.PIPE} if input is not None else {}
        process = self.start(*args, env=env, fail=fail, **kwargs)
        try:
            out, err = process.communicate(input=input, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"no end after {timeout} s: {Result(args, process.returncode, out, err)!r}") from None
        return Result(args, process.returncode, out, err)

    def ok(self, *args, **kwargs):
        """Runs a command that must succeed."""
        return self.fails(0, *args, **kwargs)

    def fails(self, code, *args, **kwargs):
        """Runs a command that must end with this exit code."""
        result = self.run(*args, **kwargs)
        assert result.code == code, f"expected exit {code}: {result!r}"
        return result

    def config(self, text, mode=0o600):
        """Writes a configuration file and returns its path, for --config."""
        path = self.dir / "drtool.yaml"
        path.write_text(text)
        path.chmod(mode)
        return path

    # --- what lies in the store, seen without drtool ---

    def backups(self, source):
        """The ids of the backups that are published, oldest first."""
        return sorted(p.stem for p in (self.store / source / "backup").glob("*.json"))

    def archives(self, source):
        """The volumes in the store, published or not."""
        return sorted((self.store / source / "backup").glob("*.tar.gz*"))

    def manifest(self, source, backup=None):
        backup = backup or self.backups(source)[-1]
        return json.loads((self.store / source / "backup" / f"{backup}.json").read_text())


class InBucket(Drtool):
    """The same with a bucket (s3.Bucket) as store; its url and the keys are in the environment, so that --to and --from need no more."""

    def __init__(self, bucket, env=None):
        super().__init__({**bucket.env(), **(env or {})})
        self.bucket = bucket
        self.store = None

    @property
    def store_url(self):
        return self.env["DRTOOL_STORE"] if "DRTOOL_STORE" in self.env else self.bucket.url()

    def backups(self, source):
        return self.bucket.backups(source)

    def archives(self, source):
        return self.bucket.archives(source)

    def manifest(self, source, backup=None):
        return self.bucket.manifest(source, backup)
