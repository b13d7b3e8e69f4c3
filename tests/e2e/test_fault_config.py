"""Surroundings that are broken: configuration files, state and temporary folders, streams, limits. A clear message, or it works without."""

import resource
import shutil
import subprocess

import drtool as drtool_lib
import fault
import pytest


@pytest.fixture
def shop(pg15, make_db, drtool):
    """A database that drtool.yaml names `shop`."""
    db = make_db(pg15, "create table t (id int primary key, t text); insert into t select i, 'row ' || i from generate_series(1, 1000) i")
    drtool.config(good(drtool, pg15.url(db)))
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    yield db
    for name in pg15.databases():
        if name.startswith(db + "_"):
            pg15.drop_db(name)


def good(drtool, url):
    return f"stores:\n  local: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop: {{url: \"{url}\"}}\n"


# --- the configuration file ---

BROKEN = {
    "tab": "stores:\n\tlocal: {}\n",
    "no end of a string": "stores: {local: {url: \"file:///x}}\n",
    "no end of a list": "sources: {shop: {databases: [a, b}}\n",
    "a list": "- a\n- b\n",
    "a word": "hello\n",
    "two documents": "stores: {}\n---\nstores: {}\n",
    "key twice": "jobs: 1\njobs: 2\n",
    "source twice": "sources:\n  a: {url: \"postgres://x/y\"}\n  a: {url: \"postgres://x/z\"}\n",
    "unknown key": "storess: {}\n",
    "unknown key of a source": "sources: {a: {url: \"postgres://x/y\", databse: [a]}}\n",
    "unknown key of a store": "stores: {a: {url: \"file:///x\", min_fre: 1}}\n",
    "key of a later version": "notify: []\n",
    "alias to nothing": "jobs: *none\n",
    "alias bomb": "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n" for p, c in zip("abcdefgh", "bcdefghi")),
    "deep": "a: " + "[" * 2000 + "\n",
    "binary": "\x00\x01\x02\n",
    "number too large": "jobs: 99999999999999999999\n",
    "size without unit": "chunk_size: 6 apples\n",
    "negative": "jobs: -1\n",
    "url without scheme": "sources: {a: {url: \"localhost/x\"}}\n",
    "unknown scheme": "sources: {a: {url: \"oracle://x/y\"}}\n",
    "source without url": "sources: {a: {tls: off}}\n",
    "store without url": "stores: {a: {min_free: 1%}}\n",
    "to of an unknown store": "stores: {s: {url: \"file:///x\"}}\nsources: {a: {url: \"postgres://x/y\", to: [t]}}\n",
    "variable that is not set": "sources: {a: {url: \"postgres://x/${NOT_SET_AT_ALL}\"}}\n",
    "variable without end": "sources: {a: {url: \"postgres://x/${NOT\"}}\n",
    "env_file that is missing": "env_file: nowhere.env\n",
    "name with a slash": "sources: {\"../a\": {url: \"postgres://x/y\"}}\n",
    "latin1": "jobs: \udce9\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_said_with_its_file_and_no_crash(drtool, name):
    path = drtool.dir / "broken.yaml"
    path.write_bytes(BROKEN[name].encode(errors="surrogateescape"))
    path.chmod(0o600)
    result = drtool.fails(2, "--config", path, "config", "check", timeout=20)
    assert "broken.yaml" in result.err or "NOT_SET" in result.err or "nowhere.env" in result.err or "source a" in result.err, result
    assert result.err.count("\n") < 12
    drtool.fails(2, "--config", path, "backup", "--all", timeout=20)


def test_a_configuration_that_is_absent_a_folder_or_endless_is_said(drtool):
    (drtool.dir / "folder.yaml").mkdir()
    for path in ("absent.yaml", "folder.yaml", "/dev/zero"):
        result = drtool.fails(2, "--config", path, "config", "check", timeout=20)
        assert path in result.err, result


def test_a_large_configuration_is_read_or_refused_quickly(drtool):
    path = drtool.dir / "large.yaml"
    path.write_text("sources:\n" + "".join(f"  s{i}: {{url: \"postgres://host{i}/db\"}}\n" for i in range(5000)))
    path.chmod(0o600)
    assert drtool.run("--config", path, "config", "check", timeout=30).code in (0, 2)


@pytest.mark.parametrize("mode", [0o602, 0o666, 0o777])
def test_a_configuration_that_others_may_write_is_refused(drtool, shop, mode):
    (drtool.dir / "drtool.yaml").chmod(mode)
    result = drtool.fails(7, "backup", "shop")
    assert "drtool.yaml" in result.err and "chmod" in result.err
    assert drtool.backups("shop") == []


def test_secrets_that_cannot_be_had_are_said_without_being_shown(drtool, pg15, shop):
    url = pg15.tcp_url(shop, password=None)
    (drtool.dir / "empty").write_text("")
    for line, word in (("password_file: /nowhere/secret", "/nowhere/secret"), (f"password_file: {drtool.dir}", str(drtool.dir)),
                       ("password_command: [\"/bin/false\"]", "false"), ("password_command: [\"/nowhere/program\"]", "/nowhere/program"),
                       ("password_command: [\"/bin/sleep\", \"0\"]", "empty"), (f"password_file: {drtool.dir}/empty", "empty")):
        drtool.config(f"stores: {{s: {{url: \"{drtool.store_url}\"}}}}\nsources:\n  shop:\n    url: \"{url}\"\n    {line}\n")
        result = drtool.run("backup", "shop", timeout=40)
        assert result.code in (1, 2) and word in result.err, result
    assert drtool.backups("shop") == []


def test_the_password_in_the_url_of_a_scratch_server_is_used_and_not_shown(drtool, pg15, shop):
    def configure(password):
        url = pg15.tcp_url(user="verifier", password=password)
        drtool.config(good(drtool, pg15.url(shop)).replace("shop: {", f"shop: {{scratch: \"{url}\", "))

    pg15.sql("postgres", "drop role if exists verifier; create role verifier login superuser password 'sparrow-9'")
    try:
        configure("sparrow-9")
        drtool.ok("backup", "shop")
        before = pg15.databases()
        texts = [drtool.ok("verify", "shop", "-v").text, drtool.ok("config", "show").text]
        assert drtool.ok("list", "--json").json[0]["backups"][0]["proof"] == "compared"
        configure("wrong-sparrow-9")
        texts.append(drtool.fails(1, "verify", "shop").text)
        assert "password authentication failed" in texts[-1]
        configure("sparrow-9%")
        drtool.config((drtool.dir / "drtool.yaml").read_text().replace("%25", "%"))
        texts.append(drtool.fails(2, "verify", "shop").text)
        assert "source shop" in texts[-1] and "scratch" in texts[-1]
        assert pg15.databases() == before
    finally:
        pg15.sql("postgres", "drop role verifier")
    for text in texts:
        assert "sparrow-9" not in text
    for path in [*drtool.store.rglob("*"), *drtool.state.rglob("*")]:
        assert not path.is_file() or b"sparrow-9" not in path.read_bytes(), path


# --- state and temporary folders ---

def test_a_state_folder_that_cannot_be_written_is_a_note_and_all_else_works(drtool, pg15, shop, small_disk):
    disk = small_disk(1)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for state in (disk / "state", "/proc/nowhere", drtool.dir / "drtool.yaml" / "state"):
        env = {"XDG_STATE_HOME": state}
        result = drtool.ok("backup", "shop", env=env)
        assert "state" in result.err, result
        drtool.ok("check", "shop", env=env)
        drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"), "--compare", env=env)
        assert drtool.run("status", "shop", env=env).code in (0, 1)
        pg15.drop_db(f"{shop}_copy")


def test_a_full_state_folder_is_a_note_or_an_error_but_never_silent(drtool, pg15, shop, small_disk):
    disk = small_disk(1)
    fault.fill(disk)
    result = drtool.run("backup", "shop", env={"XDG_STATE_HOME": disk / "s"})
    assert result.code == 0, result
    result = drtool.run("restore", "shop", "--into", pg15.url(f"{shop}_copy"), env={"XDG_STATE_HOME": disk / "s"})
    assert result.code in (0, 1), result
    if result.code:
        assert "space" in result.err
    else:
        assert pg15.contents(f"{shop}_copy") == pg15.contents(shop)


def test_a_temporary_folder_that_is_absent_or_full_is_said_or_done_without(drtool, pg15, shop, small_disk):
    disk = small_disk(1)
    fault.fill(disk)
    for folder in ("/nowhere/tmp", disk, drtool.dir / "drtool.yaml"):
        result = drtool.run("backup", "shop", env={"TMPDIR": folder})
        assert result.code == 1 or result.code == 0 and folder == disk, result
        if result.code:
            assert str(folder) in result.err or "TMPDIR" in result.err or "space" in result.err, result
    drtool.ok("backup", "shop")


def test_nothing_is_left_in_the_temporary_folder(drtool, pg15, shop):
    folder = drtool.dir / "tmp"
    folder.mkdir()
    env = {"TMPDIR": folder}
    drtool.ok("backup", "shop", env=env)
    drtool.ok("check", "shop", env=env)
    drtool.ok("restore", "shop", "--into", pg15.url(f"{shop}_copy"), "--compare", env=env)
    drtool.fails(1, "backup", pg15.tcp_url(shop, password="wrong"), "--name", "other", env=env)
    assert list(folder.iterdir()) == []
    drtool.run("backup", "shop", env=env, fail="postgres.unit:1:kill")
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, "what a killed run leaves is private"
    shutil.rmtree(folder)


def test_without_any_environment_it_works_or_says_what_is_missing(drtool, pg15, shop):
    result = drtool.run("backup", "shop", env={"HOME": None, "XDG_STATE_HOME": None, "LC_ALL": None, "TZ": None, "PATH": None}, timeout=60)
    assert result.code in (0, 1), result
    assert result.code == 0 or "pg_dump" in result.err, result
    if result.code == 0:
        drtool.ok("check", "shop", env={"HOME": None, "XDG_STATE_HOME": None, "PATH": None})


# --- streams and limits ---

def test_output_that_cannot_be_written_is_an_error_of_what_only_shows(drtool, shop):
    drtool.ok("backup", "shop")
    for command in (["list"], ["--help"], ["config", "example"], ["list", "--json"]):
        with open("/dev/full", "w") as full:
            process = drtool.start(*command, stdout=full)
            code, text = fault.end(process, 30)
        assert code == 1, (command, code, text)


def test_a_reader_that_goes_away_ends_nothing_that_matters(drtool, shop):
    process = drtool.start("backup", "shop")
    process.stdout.close()
    process.stdout = None
    process.stderr.close()
    process.stderr = None
    assert process.wait(60) in (0, 1)
    assert len(drtool.backups("shop")) == 1


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-", ">&-"])
def test_closed_streams_are_no_place_for_data(drtool, shop, closed):
    """Without descriptors 0 to 2 a file that is opened would become stdout, and messages would land in it."""
    argv = ["bash", "-c", f"exec {drtool_lib.binary()} backup shop -v {closed}"]
    done = subprocess.run(argv, env=drtool.environment(), timeout=60, cwd=drtool.dir)
    assert done.returncode == 0
    assert len(drtool.backups("shop")) == 1
    for backup in drtool.backups("shop"):
        drtool.ok("check", "shop", "--backup", backup)
    drtool.ok("backup", "shop")
    drtool.ok("check", "shop", "--backup", "all")


@pytest.mark.parametrize("limit, value", [(resource.RLIMIT_NOFILE, 16), (resource.RLIMIT_NOFILE, 40), (resource.RLIMIT_FSIZE, 32768), (resource.RLIMIT_NPROC, 1)])
def test_limits_of_the_process_end_a_backup_clearly(drtool, shop, limit, value):
    drtool.ok("backup", "shop")
    known = drtool.backups("shop")
    process = drtool.start("backup", "shop", preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
    code, text = fault.end(process, 60)
    assert code in (0, 1), (code, text)
    assert code == 0 or "drtool: error" in text, text
    fault.sound(drtool, "shop", drtool.backups("shop"))
    assert len(drtool.backups("shop")) == len(known) + (code == 0)
