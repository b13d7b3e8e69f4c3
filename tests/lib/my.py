"""Throwaway MariaDB and MySQL servers for tests, by scripts/my-server: pg.py's sibling. Standard library only."""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
MY_SERVER = str(ROOT / "scripts" / "my-server")
VERSIONS = ("10.11", "11.8", "9.7")
SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


class Missing(Exception):
    """This version is not installed here."""


def _run(argv, timeout=180, **kwargs):
    done = subprocess.run(argv, timeout=timeout, capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} {argv[1]}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def bin_dir(version):
    """The folder with the client programs of this version."""
    try:
        return pathlib.Path(_run([MY_SERVER, "bin", version]).strip())
    except RuntimeError as error:
        raise Missing(str(error)) from None


def quote(name):
    """An SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text):
    """An SQL string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


# --- folders that the servers' user can enter, one per test process; what a killed run left behind is removed ---

_run_dir = None
_counter = 0


def _reap(runs):
    for old in runs.iterdir():
        if old.name.isdigit() and not pathlib.Path("/proc", old.name).exists():
            for config in old.glob("*/my.cnf"):
                subprocess.run([MY_SERVER, "stop", str(config.parent), "immediate"], capture_output=True, timeout=90)
            shutil.rmtree(old, ignore_errors=True)


def temp_dir(name="tmp"):
    """A new empty folder, removed by remove_temp_dirs(); its owner is the caller, everybody may enter."""
    global _run_dir, _counter
    if _run_dir is None:
        runs = pathlib.Path(_run([MY_SERVER, "dir"]).strip()) / "run-my"
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


class Server:
    """One server of its own. Use it with `with`, or call start() and remove().

    version: "10.11" or "11.8" (MariaDB), "9.7" (MySQL). settings: lines of my.cnf, log_bin=off for none. fresh: data of its
    own, hence on MariaDB an identity that no other test server has; MySQL's servers have one each in any case.
    """

    def __init__(self, version="10.11", settings=None, fresh=False):
        self.version = version
        self.mariadb = not version.startswith("9.")
        self.settings = dict(settings or {})
        self.fresh = fresh
        self.bin = bin_dir(version)
        self.sbin = self.bin.with_name("sbin")
        self.dir = temp_dir(f"my{version}")
        self.port = None
        self.pid = None
        self.replicas = []

    @property
    def socket(self):
        return str(self.dir / "socket")

    @property
    def data(self):
        return self.dir / "data"

    @property
    def log(self):
        return (self.dir / "log").read_text(errors="replace")

    def start(self):
        """Also starts a stopped server again, with the settings as they are now."""
        options = ["--fresh"] if self.fresh and not self.data.exists() else []
        for name, value in self.settings.items():
            options += ["-c", f"{name}={value}"]
        self._read_env(_run([MY_SERVER, "start", self.version, str(self.dir), *options]))
        return self

    def attach(self):
        """Uses a server that somebody else started in this folder; False where none runs."""
        try:
            self._read_env(_run([MY_SERVER, "env", str(self.dir)]))
        except RuntimeError:
            return False
        return True

    def _read_env(self, text):
        env = dict(line.split("=", 1) for line in text.splitlines())
        self.port = int(env["MY_PORT"])
        self.pid = int(env["MY_PID"])

    def stop(self, mode="fast"):
        _run([MY_SERVER, "stop", str(self.dir), mode])

    def restart(self, mode="fast"):
        """With the settings it had."""
        self._read_env(_run([MY_SERVER, "restart", str(self.dir), mode]))

    def kill(self):
        """SIGKILL, as a crash. start() recovers."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop("immediate")

    def remove(self):
        """Ends the server and its replicas, and removes its files."""
        for replica in self.replicas:
            replica.remove()
        if (self.dir / "my.cnf").exists():
            self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    # --- how to reach it ---

    def url(self, db="", user="root", password=None, **query):
        """By the socket, where root needs no password."""
        secret = ":" + urllib.parse.quote(password, safe="") if password is not None else ""
        query = {"host": self.socket, **query}
        name = urllib.parse.quote(db, safe="")
        return f"mysql://{urllib.parse.quote(user, safe='')}{secret}@/{name}?{urllib.parse.urlencode(query, safe='/')}"

    def tcp_url(self, db="", user="root", password="mysql", **query):
        """By TCP on 127.0.0.1, where a password is asked for."""
        secret = ":" + urllib.parse.quote(password, safe="") if password is not None else ""
        text = f"mysql://{urllib.parse.quote(user, safe='')}{secret}@127.0.0.1:{self.port}/{urllib.parse.quote(db, safe='')}"
        return text + ("?" + urllib.parse.urlencode(query, safe="/") if query else "")

    def env(self):
        """The environment for drtool and stock clients: programs of this version come first. The clients read MYSQL_UNIX_PORT."""
        return {
            "PATH": f"{self.bin}:{self.sbin}:/usr/sbin:/usr/bin:/bin",
            "MYSQL_UNIX_PORT": self.socket,
            "HOME": str(self.dir),
            "LC_ALL": "C.UTF-8",
        }

    def program(self, name):
        """The path of a stock client by the name that MySQL gives it: mysql, mysqldump, mysqlbinlog."""
        if self.mariadb:
            name = {"mysql": "mariadb"}.get(name, name.replace("mysql", "mariadb-"))
        return str(self.bin / name)

    def argv(self, program, *args, user="root", password=None):
        """The command line of a stock client, from its name as in program()."""
        secret = [f"--password={password}"] if password is not None else []
        return [self.program(program), "--no-defaults", f"--socket={self.socket}", f"--user={user}", *secret, *map(str, args)]

    def client(self, program, *args, user="root", password=None, text=True, timeout=120, **kwargs):
        """Runs a stock client of this server's version; returns what it wrote."""
        argv = self.argv(program, *args, user=user, password=password)
        done = subprocess.run(argv, env=self.env(), timeout=timeout, capture_output=True, text=text, **kwargs)
        if done.returncode != 0:
            stderr = done.stderr if text else done.stderr.decode(errors="replace")
            raise RuntimeError(f"{program}: exit {done.returncode}: {stderr.strip()}")
        return done.stdout

    def sql(self, db, text, user="root", password=None, timeout=120):
        """Runs a script by the stock client, stops at the first error, returns the rows, columns divided by `|`.

        Null is NULL; tab, newline, NUL and backslash in a value are \\t, \\n, \\0 and \\\\.
        """
        args = ["--batch", "--skip-column-names", "--local-infile=1", "--default-character-set=utf8mb4", "--binary-mode",
                *([f"--database={db}"] if db else [])]
        out = self.client("mysql", *args, user=user, password=password, timeout=timeout, input=text)
        return out.replace("\t", "|").removesuffix("\n")

    def session(self, db="", user="root", password=None):
        """A client that stays open and takes statements on stdin, to hold locks and transactions."""
        args = ["--batch", "--skip-column-names", "--unbuffered", "--force", "--default-character-set=utf8mb4",
                *([f"--database={db}"] if db else [])]
        return Session(subprocess.Popen(self.argv("mysql", *args, user=user, password=password), env=self.env(), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))

    # --- what is in it ---

    def create_db(self, name, options=""):
        self.sql("", f"create database {quote(name)} {options}")
        return name

    def drop_db(self, name):
        self.sql("", f"drop database if exists {quote(name)}")

    def databases(self):
        names = self.sql("", "select schema_name from information_schema.schemata order by 1").splitlines()
        return [name for name in names if name not in SYSTEM]

    def tables(self, db):
        """Names of everything that holds rows: tables of all kinds, no views, no sequences."""
        return self.sql("", f"""select table_name from information_schema.tables where table_schema = {literal(db)}
                            and table_type in ('BASE TABLE', 'SYSTEM VERSIONED') order by 1""").splitlines()

    def dump(self, db, *args):
        """The database as the stock tool of this version writes it, without the lines that differ from run to run."""
        out = self.client("mysqldump", "--skip-comments", "--skip-dump-date", "--single-transaction", "--routines", "--triggers",
                          "--events", "--hex-blob", *([] if self.mariadb else ["--set-gtid-purged=OFF"]), *args, db)
        return "".join(line for line in out.splitlines(True) if not line.startswith("/*M!999999"))

    def contents(self, db):
        """What the tables and sequences hold, as {name: sums}: equal where the data is equal."""
        sums = {}
        for table in self.tables(db):
            name = f"{quote(db)}.{quote(table)}"
            rows, checksum, virtual = self.sql(db, f"""select count(*) from {name}; checksum table {name} extended;
                select count(*) from information_schema.columns where table_schema = {literal(db)} and table_name = {literal(table)}
                and extra like '%VIRTUAL%'""").splitlines()
            total = checksum.rpartition("|")[2]
            # CHECKSUM TABLE adds up whatever the memory of a virtual column holds: another sum after FLUSH TABLES.
            if virtual != "0":
                lines = sorted(self.sql(db, f"select * from {name}").splitlines())
                total = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            sums[table] = f"{rows} rows, sum {total}"
        if self.mariadb:
            for sequence in self.sql("", f"""select table_name from information_schema.tables where table_schema = {literal(db)}
                                     and table_type = 'SEQUENCE' order by 1""").splitlines():
                sums[sequence] = "at " + self.sql(db, f"select next_not_cached_value, cycle_count from {quote(sequence)}")
        return sums

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
            shutil.chown(key, "nobody", "nogroup")
        self.settings.update(ssl_ca=str(ca), ssl_key=str(key), ssl_cert=str(crt))
        self.stop()
        self.start()
        return ca

    def make_replica(self, settings=None):
        """A replica of this server from the server's first change on, running and ended together with it."""
        replica = Server(self.version, {"server_id": 100 + len(self.replicas), **(settings or {})})
        self.replicas.append(replica)
        replica.start()
        self.lead(replica)
        return replica

    def lead(self, replica, name=""):
        """Makes the running server follow this one, by a connection (MySQL: channel) of this name."""
        self.sql("", "create user if not exists replica@'127.0.0.1' identified by 'replica';"
                     " grant replication slave on *.* to replica@'127.0.0.1'")
        if self.mariadb:
            replica.sql("", f"change master {literal(name)} to master_host='127.0.0.1', master_port={self.port},"
                            " master_user='replica', master_password='replica', master_use_gtid=slave_pos, master_connect_retry=1;"
                            f" start slave {literal(name)}")
        else:
            replica.sql("", f"change replication source to source_host='127.0.0.1', source_port={self.port},"
                            " source_user='replica', source_password='replica', source_auto_position=1,"
                            f" get_source_public_key=1, source_connect_retry=1 for channel {literal(name)};"
                            f" start replica for channel {literal(name)}")

    def replication(self, words):
        """As a replica: "stop", "start", "stop sql_thread", "delay 60"."""
        word, _, rest = words.partition(" ")
        thing = "slave" if self.mariadb else "replica"
        if word == "delay":
            change = f"change master to master_delay={rest}" if self.mariadb else f"change replication source to source_delay={rest}"
            self.sql("", f"stop {thing}; {change}; start {thing}")
        else:
            self.sql("", f"{word} {thing} {rest}")

    def wait_for_replica(self, replica, timeout=30):
        """Until the replica has applied what this server has written so far."""
        if self.mariadb:
            at = literal(self.sql("", "select @@gtid_binlog_pos"))
            done = replica.sql("", f"select master_gtid_wait({at}, {timeout})") == "0"
        else:
            at = literal(self.sql("", "select replace(@@gtid_executed, '\\n', '')"))
            done = replica.sql("", f"select wait_for_executed_gtid_set({at}, {timeout})") == "0"
        if not done:
            raise TimeoutError(f"the replica did not reach {at}")

    def wait_until(self, query, answer="1", timeout=30):
        """Until the query's answer is this."""
        deadline = time.monotonic() + timeout
        while self.sql("", query) != answer:
            if time.monotonic() > deadline:
                raise TimeoutError(query)
            time.sleep(0.05)


class Session:
    """A client with open stdin."""

    def __init__(self, process):
        self.process = process

    def run(self, text):
        """Sends statements, each ended by `;`, and waits until they are done; returns what they wrote, errors included."""
        self.send(text.rstrip().removesuffix(";") + ";")
        self.send("select '==done==';")
        lines = []
        for line in self.process.stdout:
            if line == "==done==\n":
                return "".join(lines).replace("\t", "|").removesuffix("\n")
            lines.append(line)
        raise RuntimeError("the client ended: " + "".join(lines))

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
