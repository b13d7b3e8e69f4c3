"""drtool key: keys are made, shown, printed and checked; who holds the wrong one is told; status asks for a key to be tried."""

import os
import pty
import re
import shutil
import subprocess

import pytest

needs_age = pytest.mark.skipif(not shutil.which("age"), reason="age is not installed")


def generate(drtool, name="a.key", *args, **kwargs):
    """A new file of keys: its path and its public key."""
    path = drtool.dir / name
    out = drtool.ok("key", "generate", "--output", path, *args, **kwargs).out
    return path, re.search(r"public key +(age1[a-z0-9]{58})$", out, re.M).group(1)


def configure(drtool, url, encrypt_to):
    drtool.config(f"stores:\n  local: {{url: \"{drtool.store_url}\"}}\nsources:\n  shop:\n    url: \"{url}\"\n    encrypt_to: [{', '.join(encrypt_to)}]\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"


@pytest.fixture
def shop(pg15, make_db):
    return pg15.url(make_db(pg15, "create table t (i int); insert into t select generate_series(1, 100)"))


# --- generate and show ---

def test_a_key_is_written_for_its_owner_alone_and_never_over_another(drtool):
    path, public = generate(drtool)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert re.fullmatch(rf"# created: .*\n# public key: {public}\nAGE-SECRET-KEY-1[A-Z0-9]{{58}}\n", text)
    assert "is not overwritten" in drtool.fails(7, "key", "generate", "--output", path).err
    (drtool.dir / "link").symlink_to(drtool.dir / "nowhere")
    drtool.fails(7, "key", "generate", "--output", drtool.dir / "link")
    assert path.read_text() == text
    assert drtool.ok("key", "show", path).out.split()[0] == public


def test_without_a_file_the_key_goes_to_stdout_and_what_is_said_to_stderr(drtool):
    result = drtool.ok("key", "generate")
    assert "AGE-SECRET-KEY-1" in result.out and "AGE-SECRET-KEY-1" not in result.err
    assert re.search(r"public key +age1", result.err)


def test_no_secret_key_is_told_where_a_file_was_made(drtool):
    result = drtool.ok("key", "generate", "--output", drtool.dir / "a.key")
    assert "AGE-SECRET-KEY" not in result.text


def test_the_printed_form_holds_the_key_and_the_digits_of_each_line_are_right(drtool):
    path, public = generate(drtool)
    form = drtool.ok("key", "show", path, "--form").out
    assert public in form
    typed = ""
    for groups, digits in re.findall(r"^ +\d\.  ((?:[A-Z0-9-]{1,4} +)+)([0-9a-f]{4})$", form, re.M):
        line = groups.replace(" ", "")
        assert subprocess.run(["sha256sum"], input=line, capture_output=True, text=True).stdout[:4] == digits
        typed += line
    again = drtool.dir / "typed"
    again.write_text(typed)
    assert drtool.ok("key", "show", again).out.split()[0] == public


def test_a_file_of_keys_may_have_a_passphrase_of_its_own(drtool):
    secret = {"DRTOOL_PASSPHRASE": "correct horse battery staple"}
    path, public = generate(drtool, "a.key", "--protect", env=secret)
    assert path.read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert drtool.ok("key", "show", path, env=secret).out.split()[0] == public
    assert "the passphrase is wrong" in drtool.run("key", "show", path, env={"DRTOOL_PASSPHRASE": "wrong"}).err
    assert "nobody can be asked" in drtool.fails(2, "key", "show", path).err


def test_a_passphrase_is_asked_for_on_a_terminal_and_not_shown(drtool):
    path, public = generate(drtool, "a.key", "--protect", env={"DRTOOL_PASSPHRASE": "sesame"})
    master, terminal = pty.openpty()
    process = drtool.start("key", "show", path, stdin=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    while b"Passphrase of" not in shown:
        shown += os.read(master, 1000)
    os.write(master, b"sesame\n")
    out = process.communicate(timeout=120)[0]
    try:
        shown += os.read(master, 1000)
    except OSError:
        pass
    os.close(master)
    assert process.returncode == 0 and out.split()[0] == public and b"sesame" not in shown


@pytest.mark.parametrize("how", ["value", "file", "command", "flag"])
def test_a_key_is_given_by_value_file_command_or_flag(drtool, how):
    path, public = generate(drtool)
    env = {"value": {"DRTOOL_IDENTITY": path.read_text()}, "file": {"DRTOOL_IDENTITY_FILE": path}, "command": {"DRTOOL_IDENTITY_COMMAND": f"cat {path}"},
           "flag": {}}[how]
    flags = ["--identity", path] if how == "flag" else []
    assert drtool.ok("key", "show", *flags, env=env).out.split()[0] == public


def test_what_is_no_key_is_named_without_its_text(drtool):
    path = drtool.dir / "notes"
    path.write_text("# my notes\nhunter2\n")
    result = drtool.fails(2, "key", "show", path)
    assert "line 2" in result.err and "hunter2" not in result.text


# --- the configuration ---

@pytest.mark.parametrize("key, says", [
    ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN", "an SSH key"),
    ("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk", "a letter is wrong"),
    ("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "a secret key stands where a public key belongs"),
])
def test_config_check_refuses_what_nothing_can_be_sealed_for(drtool, key, says):
    configure(drtool, "postgres://nobody@localhost/shop", [f'"{key}"'])
    result = drtool.fails(2, "config", "check")
    assert "source shop" in result.err and says in result.err and "1GFPYY" not in result.text


# --- check and status ---

def health(drtool):
    return drtool.run("status", "shop", "--json").json["sources"][0]


def test_key_check_says_which_backups_a_key_opens_and_status_warns_until_it_did(drtool, shop):
    a, b = generate(drtool, "a.key"), generate(drtool, "b.key")
    configure(drtool, shop, [a[1], b[1]])
    drtool.ok("backup", "shop")
    assert sum("was never seen to open a backup" in why for why in health(drtool)["because"]) == 2

    result = drtool.ok("key", "check", "shop", "--identity", a[0])
    fingerprint = drtool.ok("key", "show", a[0]).out.split()[1]
    assert re.search(rf"^shop +local +\S+ +opens +{fingerprint} ", result.out, re.M)
    because = health(drtool)["because"]
    assert len(because) == 1 and b[1][:12] in because[0]
    drtool.ok("key", "check", "--identity", b[0])
    assert health(drtool)["health"] == "OK"
    # What is known is not written again.
    records = len(list((drtool.store / "evidence" / "shop").glob("*-key-*")))
    drtool.ok("key", "check", "--identity", b[0])
    assert records == 2 == len(list((drtool.store / "evidence" / "shop").glob("*-key-*")))


def test_key_check_with_a_key_of_nothing_some_or_none(drtool, shop):
    a, b = generate(drtool, "a.key"), generate(drtool, "b.key")
    assert "no key to check" in drtool.fails(2, "key", "check").err
    configure(drtool, shop, [a[1]])
    drtool.ok("backup", "shop")
    result = drtool.fails(1, "key", "check", "--identity", b[0])
    assert "DOES NOT OPEN" in result.out and "1 of 1 encrypted backups do not open" in result.err
    configure(drtool, shop, [b[1]])
    drtool.ok("backup", "shop")
    assert "1 of 2" in drtool.fails(3, "key", "check", "--identity", b[0]).err


def test_key_check_tells_a_damaged_header(drtool, shop):
    path, public = generate(drtool)
    configure(drtool, shop, [public])
    drtool.ok("backup", "shop")
    volume = drtool.archives("shop")[0]
    volume.chmod(0o600)
    data = bytearray(volume.read_bytes())
    data[data.index(b"\n--- ") + 10] ^= 1
    volume.write_bytes(data)
    assert "damaged" in drtool.fails(4, "key", "check", "--identity", path).err


@needs_age
def test_age_opens_a_backup_with_the_file_that_drtool_made(drtool, shop):
    path, public = generate(drtool)
    configure(drtool, shop, [public])
    drtool.ok("backup", "shop")
    volume = drtool.archives("shop")[0]
    assert volume.name.endswith(".tar.gz.age")
    listed = subprocess.run(f"age -d -i '{path}' '{volume}' | tar tz", shell=True, capture_output=True, text=True, timeout=60)
    assert listed.returncode == 0 and "RESTORE.txt" in listed.stdout.split()
