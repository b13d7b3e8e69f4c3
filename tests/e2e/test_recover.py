"""The store is enough: with a binary and its address everything works, and without the binary the commands of RECOVER.txt do."""

import os
import re
import subprocess

import compare
import pytest
import shop as shop_lib

from drtool import Drtool


@pytest.fixture(scope="module")
def shop(servers):
    """A database, and a store with one good backup of it that each test copies."""
    with shop_lib.made(servers, "recovered") as made:
        yield made


def stock(text):
    """The commands below "Without drtool", in order."""
    part = text.split("Without drtool", 1)[1]
    return [line[4:] for line in part.splitlines() if line.startswith("    ") and not line.strip().startswith("less ")]


def follow(lines, folder, env=None):
    """Runs them literally, as somebody would paste them."""
    folder.mkdir()
    script = "set -e\n" + "\n".join(lines) + "\n"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (script, done.stdout, done.stderr)


def unpacked(folder):
    """What the archive has for people, and rows."""
    assert (folder / "shop" / "RESTORE.txt").read_text()
    assert list((folder / "shop" / "db").rglob("*.copy"))


def test_the_stock_commands_fetch_compare_and_unpack_the_newest_good_backup(shop):
    drtool = shop.fresh()
    drtool.ok("backup", "shop")
    text = (drtool.store / "RECOVER.txt").read_text()
    assert drtool.backups("shop")[-1] in text and "shop" in text
    follow(stock(text), drtool.dir / "bare")
    unpacked(drtool.dir / "bare")
    assert "left out" in next((drtool.dir / "bare").glob("*.yaml")).read_text() or "sources:" in next((drtool.dir / "bare").glob("*.yaml")).read_text()


def test_a_path_with_blanks_and_quotes_is_pasted_safely(shop):
    drtool = Drtool()
    store = drtool.dir / "it's a store"
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop", "--to", store)
    follow(stock((store / "RECOVER.txt").read_text()), drtool.dir / "bare")
    unpacked(drtool.dir / "bare")


def test_volumes_are_unpacked_one_after_the_other(shop):
    drtool = Drtool()
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop", "--chunk-size", "16KiB", env={"DRTOOL_VOLUME_SIZE": "1MiB"})
    follow(stock((drtool.store / "RECOVER.txt").read_text()), drtool.dir / "bare")
    unpacked(drtool.dir / "bare")


def test_the_commands_of_drtool_in_it_work_on_a_machine_that_has_nothing_else(shop):
    drtool = shop.fresh()
    drtool.ok("backup", "shop")
    text = (drtool.store / "RECOVER.txt").read_text()
    bare = Drtool(env={"DRTOOL_STORE": None})
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("    drtool ")]
    assert [line[0] for line in lines] == ["list", "restore", "config"]
    bare.ok(*lines[0])
    assert "shop" in bare.run("status", "--from", drtool.store_url).out
    copy = f"{shop.db}_bare"
    target = [shop.server.url(copy) if "USER@HOST" in word else word for word in lines[1]]
    bare.ok(*target, "--compare")
    assert compare.snapshot(shop.server, copy) == shop.before
    shop.server.drop_db(copy)
    bare.ok(*lines[2])
    assert "sources:" in (bare.dir / "drtool.yaml").read_text()


def test_it_names_a_bad_newest_backup_no_more_and_follows_prune_and_copy(shop):
    drtool = shop.fresh()
    first = drtool.backups("shop")[0]
    drtool.ok("backup", "shop")
    second = drtool.backups("shop")[1]
    drtool.archives("shop")[1].chmod(0o600)
    drtool.archives("shop")[1].write_bytes(b"nothing")
    drtool.fails(4, "check", "shop")
    drtool.ok("copy", "shop", "--from", "local", "--to", drtool.dir / "other")
    assert first in (drtool.dir / "other" / "RECOVER.txt").read_text()
    drtool.ok("prune", "shop", "--from", "local", "--keep-last", "1", "--dry-run")
    drtool.ok("prune", "shop", "--from", "local", "--keep-last", "9")
    text = (drtool.store / "RECOVER.txt").read_text()
    assert first in text and second not in text


# --- the stored configuration ---

SECRETS = """
stores: {{local: {{url: "{store}"}}}}
sources:
  shop: {{url: "{url}", password: "sesame-one", keep: {{last: 3, daily: 7}}, tags: {{team: blue}}, exclude: ["${{NOT_SET:-tmp_*}}", "a$${{b}}"]}}
  other: {{url: "postgres://me:sesame-two@db.example.net/x?application_name=x"}}
  third: {{url: "postgres://me@db.example.net/x", password_command: "pass-of ${{NOT_SET:-sesame-three}}"}}
"""


def configs(folder):
    return sorted((folder / "drtool" / "config").iterdir())


@pytest.mark.parametrize("action", ["kill", "error"])
def test_a_configuration_that_could_not_be_stored_is_stored_by_the_next_backup(shop, action):
    drtool = shop.fresh()
    drtool.config(SECRETS.format(store=drtool.store_url, url=shop.server.url(shop.db)))
    had = len(configs(drtool.store)) if (drtool.store / "drtool").exists() else 0
    result = drtool.run("backup", "shop", fail=f"config.put.before:1:{action}")
    assert result.code == -9 if action == "kill" else (result.code == 0 and "injected failure" in result.err), result
    drtool.ok("backup", "shop")
    assert len(configs(drtool.store)) == had + 1


def test_the_configuration_is_stored_without_secrets_and_comes_back_as_one_that_is_accepted(shop):
    drtool = shop.fresh()
    drtool.config(SECRETS.format(store=drtool.store_url, url=shop.server.url(shop.db)))
    drtool.ok("backup", "shop")
    text = configs(drtool.store)[0].read_text()
    assert "sesame" not in text and "left out" in text
    out = drtool.dir / "fetched.yaml"
    drtool.ok("config", "fetch", "--from", drtool.store_url, "--output", out, env={"DRTOOL_CONFIG": None})
    assert out.read_text() == text and out.stat().st_mode & 0o777 == 0o600
    assert "3 sources, 1 store" in drtool.ok("config", "check", "--config", out).out
    shown = [drtool.ok("config", "show", "--config", path).out for path in (out, drtool.dir / "drtool.yaml")]
    clean = [re.sub(r"^# .*\n|  # .*|.*password.*\n", "", text) for text in shown]
    assert clean[0] == clean[1]
    drtool.fails(7, "config", "fetch", "--output", out)
    assert drtool.ok("config", "fetch").out == text


def test_it_is_stored_again_only_when_it_changed(shop):
    drtool = shop.fresh()
    drtool.ok("backup", "shop")
    drtool.ok("backup", "shop")
    assert len(configs(drtool.store)) == 1
    path = drtool.dir / "drtool.yaml"
    path.write_text(path.read_text() + "\n# a remark changes nothing\n")
    drtool.ok("backup", "shop")
    assert len(configs(drtool.store)) == 1
    path.write_text(path.read_text() + "store_stall: 3m\n")
    drtool.ok("backup", "shop")
    names = [p.name for p in configs(drtool.store)]
    assert len(names) == 2
    assert "store_stall" in drtool.ok("config", "fetch").out
    assert "store_stall" not in drtool.ok("config", "fetch", names[0]).out


def renamed(path, to):
    """A stored configuration as another host, or another time, would have left it."""
    path.rename(path.with_name(to))
    return path.with_name(to)


def test_hosts_that_come_and_go_do_not_store_the_same_text_each_time(shop):
    drtool = shop.fresh()
    drtool.ok("backup", "shop")
    path = configs(drtool.store)[0]
    time, sums = path.name.split("-")
    path = renamed(path, f"{time}-00000000{sums[8:]}")
    drtool.ok("backup", "shop")
    assert len(configs(drtool.store)) == 1
    (path.parent / "20990101T000000Z-1111111122222222.yaml").write_text("# another host, another text\n")
    drtool.ok("backup", "shop")
    assert len(configs(drtool.store)) == 2
    renamed(path, f"20200101T000000Z-00000000{sums[8:]}")
    drtool.ok("backup", "shop")
    assert len(configs(drtool.store)) == 3


def test_a_store_that_is_refused_does_not_keep_the_configuration_of_the_next_one(shop):
    drtool = shop.fresh()
    other = drtool.dir / "other"
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}, other: {{url: \"file://{other}\"}}}}\nsources: {{shop: {{url: \"{shop.server.url(shop.db)}\"}}}}\n")
    drtool.ok("backup", "shop")
    identity = drtool.store / "drtool-store.json"
    identity.chmod(0o600)
    identity.write_text((other / "drtool-store.json").read_text())
    assert "sources:" in drtool.ok("config", "fetch").out


def test_a_configuration_that_is_sealed_with_a_passphrase_needs_no_key_file(shop):
    drtool = shop.fresh()
    path = drtool.dir / "drtool.yaml"
    path.write_text(path.read_text() + "defaults: {encrypt_to: [passphrase]}\n")
    drtool.ok("backup", "shop", env={"DRTOOL_PASSPHRASE": "correct horse"})
    text = (drtool.store / "RECOVER.txt").read_text()
    assert configs(drtool.store)[0].suffix == ".age" and "age -d 2" in text
    assert "-i KEYFILE" not in text and "--identity" not in text
    bare = Drtool(env={"DRTOOL_STORE": drtool.store_url, "DRTOOL_PASSPHRASE": "correct horse"})
    assert "sources:" in bare.ok("config", "fetch").out


def test_a_store_without_one_says_so(shop):
    drtool = Drtool()
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop")
    assert "no stored configuration" in drtool.fails(5, "config", "fetch").err


def test_sealed_sources_have_their_configuration_sealed_and_recover_txt_names_the_keys(shop):
    drtool = shop.fresh()
    key = drtool.dir / "key.txt"
    drtool.ok("key", "generate", "--output", key)
    public = re.search(r"age1[a-z0-9]{50,}", key.read_text()).group(0)
    path = drtool.dir / "drtool.yaml"
    path.write_text(path.read_text() + f"defaults: {{encrypt_to: [{public}]}}\n")
    drtool.ok("backup", "shop")
    assert [p.suffix for p in configs(drtool.store)] == [".age"]
    assert shop.db.encode() not in configs(drtool.store)[0].read_bytes()
    text = (drtool.store / "RECOVER.txt").read_text()
    assert public in text and "AGE-SECRET-KEY-1..." in text
    bare = Drtool(env={"DRTOOL_STORE": drtool.store_url})
    bare.fails(1, "config", "fetch")
    assert "sources:" in bare.ok("config", "fetch", "--identity", key).out
    follow([line.replace("KEYFILE", str(key)) for line in stock(text)], drtool.dir / "bare")
    unpacked(drtool.dir / "bare")
    assert "sources:" in (drtool.dir / "bare" / "drtool.yaml").read_text()


def test_what_recover_txt_of_a_bucket_says_works_with_stock_tools_and_with_drtool(shop, s3_drtool):
    drtool = s3_drtool
    drtool.ok("backup", shop.server.url(shop.db), "--name", "shop")
    bucket = drtool.bucket
    text = bucket.get("RECOVER.txt").decode()
    assert bucket.server.keys.secret not in text and "AWS_SECRET_ACCESS_KEY" in text
    lines = [line.split() for line in text.splitlines() if line.startswith("    drtool list")]
    bare = Drtool(env={"DRTOOL_STORE": None, **bucket.server.keys.env})
    subprocess.run(["true"], check=True)
    bare.ok(*[word.strip("'") for word in lines[0][1:]])
    follow(stock(text), drtool.dir / "bare", env=bucket.server.keys.env)
    unpacked(drtool.dir / "bare")
