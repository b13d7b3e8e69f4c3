"""Throwaway PostgreSQL servers for tests, by scripts/pg-server. Standard library only."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
PG_SERVER = str(ROOT / "scripts" / "pg-server")
VERSIONS = (15, 16, 18)


class Missing(Exception):
    """This version is not installed here."""


def _run(argv, timeout=120, **kwargs):
    done = subprocess.run(argv, timeout=timeout, capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} {argv[1]}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def as_server(argv):
    """The command run as the user that owns the server's files."""
    return (["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []) + [str(a) for a in argv]


def bin_dir(version):
    """The folder with the programs of this version."""
    try:
        return pathlib.Path(_run([PG_SERVER, "bin", str(version)]).strip())
    except RuntimeError as error:
        raise Missing(str(error)) from None


def quote(name):
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    """An SQL string."""
    return "'" + text.replace("'", "''") + "'"


# --- folders that the user postgres can enter, one per test process; what a killed run left behind is removed ---

_run_dir = None
_counter = 0


def _reap(runs):
    for old in runs.iterdir():
        if old.name.isdigit() and not pathlib.Path("/proc", old.name).exists():
            for pid_file in old.glob("*/data/postmaster.pid"):
                subprocess.run([PG_SERVER, "stop", str(pid_file.parents[1]), "immediate"], capture_output=True, timeout=90)
            shutil.rmtree(old, ignore_errors=True)


def temp_dir(name="tmp"):
    """A new empty folder, removed by remove_temp_dirs(); its owner is the caller, everybody may enter."""
    global _run_dir, _counter
    if _run_dir is None:
        runs = pathlib.Path(_run([PG_SERVER, "dir"]).strip()) / "run"
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


def _alive(pid):
    """Whether it still runs; where nobody waits for orphans, ended ones stay visible."""
    try:
        return pathlib.Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """One server of its own. Use it with `with`, or call start() and remove().

    settings: lines of postgresql.conf. fresh: an initdb of its own, hence a system identifier that no other test
    server has; without it all servers of a version share one.
    """

    def __init__(self, version=15, settings=None, fresh=False):
        self.version = version
        self.settings = dict(settings or {})
        self.fresh = fresh
        self.bin = bin_dir(version)
        self.dir = temp_dir(f"pg{version}")
        self.port = None
        self.pid = None
        self.standbys = []

    @property
    def sockdir(self):
        return str(self.dir)

    @property
    def data(self):
        return self.dir / "data"

    @property
    def log(self):
        return (self.dir / "log").read_text(errors="replace")

    def start(self):
        options = ["--fresh"] if self.fresh and not self.data.exists() else []
        for name, value in self.settings.items():
            options += ["-c", f"{name}={value}"]
        self._read_env(_run([PG_SERVER, "start", str(self.version), str(self.dir), *options]))
        return self

    def attach(self):
        """Uses a server that somebody else started in this folder; False where none runs."""
        try:
            self._read_env(_run([PG_SERVER, "env", str(self.dir)]))
        except RuntimeError:
            return False
        return True

    def _read_env(self, text):
        env = dict(line.split("=", 1) for line in text.splitlines())
        self.port = int(env["PGPORT"])
        self.pid = int(env["PG_PID"])

    def stop(self, mode="fast"):
        _run([PG_SERVER, "stop", str(self.dir), mode])

    def restart(self, mode="fast"):
        self._read_env(_run([PG_SERVER, "restart", str(self.dir), mode]))

    def kill(self):
        """SIGKILL for the postmaster, as a crash; its children end by themselves. start() recovers."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def remove(self):
        """Ends the server and its standbys, and removes its files."""
        for standby in self.standbys:
            standby.remove()
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    # --- how to reach it ---

    def url(self, db="postgres", user="postgres", **query):
        """By the socket, where every user is trusted."""
        query = {"host": self.sockdir, "port": self.port, **query}
        name = urllib.parse.quote(db, safe="")
        return f"postgres://{urllib.parse.quote(user, safe='')}@/{name}?{urllib.parse.urlencode(query, safe='/')}"

    def tcp_url(self, db="postgres", user="postgres", password="postgres", **query):
        """By TCP on 127.0.0.1, where a password is asked for."""
        secret = ":" + urllib.parse.quote(password, safe="") if password is not None else ""
        text = f"postgres://{urllib.parse.quote(user, safe='')}{secret}@127.0.0.1:{self.port}/{urllib.parse.quote(db, safe='')}"
        return text + ("?" + urllib.parse.urlencode(query, safe="/") if query else "")

    def env(self, user="postgres"):
        """The environment for a stock client; not needed for drtool."""
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "PGHOST": self.sockdir,
            "PGPORT": str(self.port),
            "PGUSER": user,
            "HOME": str(self.dir),
            "LC_ALL": "C.UTF-8",
        }

    def client(self, program, *args, user="postgres", text=True, timeout=120, **kwargs):
        """Runs a stock client of this server's version; returns what it wrote."""
        argv = [str(self.bin / program), *map(str, args)]
        done = subprocess.run(argv, env=self.env(user), timeout=timeout, capture_output=True, text=text, **kwargs)
        if done.returncode != 0:
            stderr = done.stderr if text else done.stderr.decode(errors="replace")
            raise RuntimeError(f"{program}: exit {done.returncode}: {stderr.strip()}")
        return done.stdout

    def sql(self, db, text, user="postgres", timeout=120):
        """Runs a script by psql, stops at the first error, returns the rows, columns divided by `|`."""
        args = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"dbname={_conninfo(db)}", "-f", "-"]
        return self.client("psql", *args, user=user, timeout=timeout, input=text).removesuffix("\n")

    def session(self, db, user="postgres"):
        """A psql that stays open and takes statements on stdin, to hold locks and transactions."""
        args = [str(self.bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"dbname={_conninfo(db)}"]
        return Session(subprocess.Popen(args, env=self.env(user), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True))

    # --- what is in it ---

    def create_db(self, name, options=""):
        self.sql("postgres", f"create database {quote(name)} {options}")
        return name

    def drop_db(self, name):
        self.sql("postgres", f"drop database if exists {quote(name)} with (force)")

    def databases(self):
        return self.sql("postgres", "select datname from pg_database where not datistemplate order by 1").splitlines()

    def pg_dump(self, db, *args):
        """The database as the stock tool of this version writes it, without the lines that differ from run to run."""
        out = self.client("pg_dump", *args, "-d", f"dbname={_conninfo(db)}")
        return "".join(line for line in out.splitlines(True) if not line.startswith(("\\restrict", "\\unrestrict")))

    def contents(self, db):
        """What the tables, sequences and large objects hold, as {name: sums}: equal where the data is equal."""
        rows = self.sql(db, _CONTENTS).splitlines()
        return dict(row.split("\x1f", 1) for row in rows)

    def enable_tls(self, names=("127.0.0.1", "localhost")):
        """Makes an authority and a certificate for these names, turns TLS on; returns the path of the authority's certificate."""
        ca, key, crt = self.dir / "ca.crt", self.dir / "server.key", self.dir / "server.crt"
        alt = ",".join(("IP:" if name[0].isdigit() else "DNS:") + name for name in names)
        openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        _run([*openssl, "-subj", "/CN=test authority", "-keyout", self.dir / "ca.key", "-out", ca])
        _run([*openssl, "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alt}", "-addext", "basicConstraints=CA:false",
              "-CA", ca, "-CAkey", self.dir / "ca.key", "-keyout", key, "-out", crt])
        key.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres", "postgres")
        self.settings.update(ssl="on", ssl_key_file=str(key), ssl_cert_file=str(crt))
        self.stop()
        self.start()
        return ca

    def make_standby(self, settings=None):
        """A streaming standby of this server, running and ended together with it."""
        standby = Server.__new__(Server)
        standby.version, standby.bin, standby.fresh, standby.standbys = self.version, self.bin, False, []
        standby.settings = {**self.settings, **(settings or {})}
        standby.dir = temp_dir(f"standby{self.version}")
        standby.port = standby.pid = None
        standby.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(standby.data, "postgres", "postgres")
        _run(as_server([self.bin / "pg_basebackup", "-h", self.sockdir, "-p", self.port, "-U", "postgres", "-R", "-X", "stream",
                        "-c", "fast", "-D", standby.data]), cwd="/")
        standby.start()
        self.standbys.append(standby)
        return standby

    def wait_for_standby(self, standby, timeout=30):
        """Until the standby has applied what the primary has written so far."""
        lsn = self.sql("postgres", "select pg_current_wal_lsn()")
        deadline = time.monotonic() + timeout
        while standby.sql("postgres", f"select pg_last_wal_replay_lsn() >= {literal(lsn)}") != "t":
            if time.monotonic() > deadline:
                raise TimeoutError(f"the standby did not reach {lsn}")
            time.sleep(0.05)


class Session:
    """A psql with open stdin."""

    def __init__(self, process):
        self.process = process

    def run(self, text):
        """Sends statements and waits until they are done; returns what they wrote."""
        self.send(text)
        self.send("\\echo ==done==")
        lines = []
        for line in self.process.stdout:
            if line == "==done==\n":
                return "".join(lines).removesuffix("\n")
            lines.append(line)
        raise RuntimeError("psql ended: " + "".join(lines))

    def send(self, text):
        """Sends statements and does not wait, for one that is meant to block."""
        self.process.stdin.write(text.rstrip() + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _conninfo(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


# Order-independent sums of the text of all rows; every statement is made by the catalog and run by \gexec.
_CONTENTS = r"""
select format($$select format(E'%%s\x1f%%s rows, sum %%s', %L, count(*),
        coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)) from only %I.%I t$$,
        format('%I.%I', nspname, relname), nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind in ('r', 'm') and relpersistence <> 't' and nspname !~ '^pg_' and nspname <> 'information_schema'
        and (relkind = 'r' or relispopulated)
    order by nspname collate "C", relname collate "C" \gexec
select format($$select format(E'%%s\x1fat %%s, called %%s', %L, last_value, is_called) from %I.%I$$,
        format('%I.%I', nspname, relname), nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind = 'S' and relpersistence <> 't' and nspname !~ '^pg_' and nspname <> 'information_schema'
    order by nspname collate "C", relname collate "C" \gexec
select format(E'large object %s\x1fowner %s, acl %s, sum %s', oid, lomowner::regrole, lomacl, md5(lo_get(oid)))
    from pg_largeobject_metadata order by oid;
"""
