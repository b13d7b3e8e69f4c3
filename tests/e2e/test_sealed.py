"""Backups that the host which makes them cannot open: what a key is needed for, and what works without one."""

import hashlib
import json
import os
import random
import shutil
import subprocess

import age
import compare
import fault_archive
import pg
import pytest

SQL = """
    create schema app;
    create table app.customer (id int primary key, name text, secret_note text);
    create table app.empty (id int);
    insert into app.customer select i, 'c' || i, repeat(md5(i::text), 8) from generate_series(1, 3000) i;
"""
SMALL = ("--chunk-size", "64KiB")


@pytest.fixture
def shop(pg15, make_db, drtool):
    """The configuration of one encrypted source; drtool.key is the file that opens it."""
    drtool.db = make_db(pg15, SQL, prefix="sealed")
    drtool.key = age.identity(drtool.dir)
    drtool.server = pg15
    configure(drtool)
    return drtool


def configure(drtool, to=(age.public(),), more="", store=None):
    keys = ", ".join(to)
    drtool.config(f"stores: {{local: {{url: \"{store or drtool.store_url}\"}}}}\n"
                  f"sources:\n  shop:\n    url: \"{drtool.server.url(drtool.db)}\"\n    encrypt_to: [{keys}]\n{more}")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"


def restored(drtool, *flags, **kwargs):
    """The database is dropped, restored, and is as it was."""
    before = compare.tables(drtool.server, drtool.db)
    drtool.server.drop_db(drtool.db)
    drtool.ok("restore", "shop", *flags, **kwargs)
    compare.same(before, compare.tables(drtool.server, drtool.db))


def spoil(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def test_an_encrypted_backup_comes_back_with_the_key_and_equals_what_it_was(shop):
    out = shop.ok("backup", "shop", *SMALL)
    assert "password hashes" not in out.text
    assert [p.name.endswith(".tar.gz.age") for p in shop.archives("shop")] == [True]

    restored(shop, "--compare", "--identity", shop.key)


def test_the_files_of_the_store_show_no_rows_and_age_alone_opens_them(shop, make_db):
    if age.missing():
        pytest.skip(age.missing())
    shop.ok("backup", "shop", *SMALL)
    sealed = shop.archives("shop")[0]
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1\n")
    folder = pg.temp_dir("unpacked")

    text = subprocess.run(["bash", "-c", f"set -o pipefail; age -d -i '{shop.key}' '{sealed}' | tar xz -C '{folder}'"], capture_output=True, text=True)
    assert text.returncode == 0, text.stderr

    assert "age -d -i KEY.txt BACKUP.tar.gz.age | tar xz" in (folder / "RESTORE.txt").read_text()
    rows = b"".join(p.read_bytes() for p in sorted((folder / "db").rglob("*.copy")))
    assert rows.count(b"\n") == 3000


def test_the_manifest_names_who_can_open_it_and_tells_both_checksums(shop):
    shop.ok("backup", "shop", *SMALL)
    manifest, sealed = shop.manifest("shop"), shop.archives("shop")[0].read_bytes()

    assert manifest["recipients"] == [age.public()]
    assert manifest["requires"] == ["age"]
    volume = manifest["objects"][0]
    assert volume["sha256"] == hashlib.sha256(sealed).hexdigest() and volume["size"] == len(sealed)
    if not age.missing():
        plain = age.opened(shop.archives("shop")[0], shop.key)
        assert volume["plain_sha256"] == hashlib.sha256(plain).hexdigest() and volume["plain_size"] == len(plain)


def test_without_the_key_a_restore_says_which_key_is_needed_and_changes_nothing(shop, make_db):
    shop.ok("backup", "shop", *SMALL)
    target = shop.server.url(make_db(shop.server, prefix="sealed_into"))
    other = age.identity(shop.dir, 1)

    for flags, why in (((), "no key was given"), (("--identity", other), "is none that opens it")):
        out = shop.fails(1, "restore", "shop", "--into", target, *flags)
        assert why in out.err and age.public() in out.err and "--identity" in out.err and "fingerprint" in out.err
        assert "SECRET-KEY" not in out.text
    assert "no key was given" in shop.fails(1, "verify", "shop").err


def test_the_key_may_come_from_the_environment_a_file_or_a_command(shop):
    shop.ok("backup", "shop", *SMALL)
    secret = shop.key.read_text().splitlines()[1]

    for env in ({"DRTOOL_IDENTITY": secret}, {"DRTOOL_IDENTITY_FILE": shop.key}, {"DRTOOL_IDENTITY_COMMAND": f"cat {shop.key}"}):
        assert "stored bytes only" not in shop.ok("check", "shop", env=env).out


def test_check_reads_stored_bytes_without_the_key_and_all_with_it(shop):
    shop.ok("backup", "shop", *SMALL)

    without = shop.ok("check", "shop")
    assert "stored bytes only" in without.out
    deep = shop.ok("check", "shop", "--identity", shop.key)
    assert "stored bytes only" not in deep.out
    assert "checked" in shop.ok("list", "shop").out


def test_verify_restores_an_encrypted_backup_into_a_scratch_server(shop):
    configure(shop, more=f"    scratch_dir: \"{pg.temp_dir('scratch')}\"\n")
    shop.ok("backup", "shop", *SMALL)

    # The scratch server runs at the lowest priority.
    assert "compared" in shop.ok("verify", "shop", env={"DRTOOL_IDENTITY_FILE": shop.key}, timeout=600).out


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_found_with_and_without_the_key_and_never_restored(shop, seed, make_db):
    shop.ok("backup", "shop", *SMALL)
    path = shop.archives("shop")[0]
    size = path.stat().st_size
    # The header, a chunk in the middle, the tag of the last one, anywhere.
    spoil(path, (150, size // 2, size - 1, random.Random(os.getpid()).randrange(size))[seed])
    target = shop.server.url(make_db(shop.server, prefix="sealed_spoilt"))

    assert "SHA-256" in shop.fails(4, "check", "shop").text
    assert shop.fails(4, "check", "shop", "--identity", shop.key).text
    result = shop.run("restore", "shop", "--into", target, "--compare", "--identity", shop.key)
    assert result.code != 0, result


@pytest.mark.parametrize("left", (100, 65536 + 300, -1, -16))
def test_an_encrypted_archive_that_was_cut_is_found_with_and_without_the_key(shop, left):
    shop.ok("backup", "shop", *SMALL)
    path = shop.archives("shop")[0]
    path.write_bytes(path.read_bytes()[:left])

    assert "the manifest says" in shop.fails(4, "check", "shop").text
    assert "the manifest says" in shop.fails(4, "check", "shop", "--identity", shop.key).text
    assert shop.run("restore", "shop", "--compare", "--identity", shop.key).code != 0


def test_each_of_several_keys_opens_a_backup(shop):
    configure(shop, (age.public(0), age.public(1)))
    shop.ok("backup", "shop", *SMALL)

    for number in (0, 1):
        assert "stored bytes only" not in shop.ok("check", "shop", "--identity", age.identity(shop.dir, number)).out
    restored(shop, "--identity", age.identity(shop.dir, 1))


def test_a_passphrase_seals_and_opens_a_backup(shop):
    configure(shop, ("passphrase",))
    assert "none is set" in shop.fails(2, "backup", "shop").err

    env = {"DRTOOL_PASSPHRASE": "correct horse battery"}
    shop.ok("backup", "shop", *SMALL, env=env)
    assert shop.manifest("shop")["recipients"] == ["passphrase"]
    assert "passphrase" in shop.fails(1, "restore", "shop").err
    restored(shop, env=env)


def test_one_table_of_an_encrypted_backup_is_read_by_ranges_of_the_volume(shop, make_db):
    shop.server.sql(shop.db, "create table app.other as select i, gen_random_uuid()::text t from generate_series(1, 100000) i")
    shop.ok("backup", "shop", "--chunk-size", "256KiB")
    sealed = shop.archives("shop")[0]
    target = make_db(shop.server, "create schema app; create table app.customer (id int primary key, name text, secret_note text)", prefix="sealed_one")
    # The largest table comes first: a damage in it is not met when only the small one is wanted.
    spoil(sealed, sealed.stat().st_size // 3)

    shop.ok("restore", "shop", "--table", "app.customer", "--data-only", "--into", shop.server.url(target), "--identity", shop.key)

    assert shop.server.sql(target, "select count(*) from app.customer").strip() == "3000"
    assert shop.fails(4, "check", "shop", "--identity", shop.key).text


def test_volumes_are_sealed_each_and_read_as_one_backup(shop):
    shop.server.sql(shop.db, "create table app.noise as select i, gen_random_uuid()::text || gen_random_uuid()::text t from generate_series(1, 60000) i")
    shop.ok("backup", "shop", "--volume-size", "1MiB", *SMALL)

    assert len(shop.archives("shop")) > 1
    assert "stored bytes only" not in shop.ok("check", "shop", "--identity", shop.key).out
    restored(shop, "--compare", "--identity", shop.key)


def test_a_private_manifest_hides_names_and_shows_them_to_who_has_the_key(shop):
    configure(shop, more="    private_manifest: true\n")
    shop.ok("backup", "shop", *SMALL)

    for path in shop.store.rglob("*.json"):
        text = path.read_text()
        assert "customer" not in text and shop.db not in text, path
    manifest = shop.manifest("shop")
    assert manifest["tables"] == 2 and manifest["scopes"] == []

    blind = shop.ok("list", "shop", "--json").json[0]["backups"][0]
    assert blind["scopes"] == []
    seeing = shop.ok("list", "shop", "--json", "--identity", shop.key).json[0]["backups"][0]
    assert [s["name"] for s in seeing["scopes"]] == [shop.db]
    shop.ok("check", "shop")
    restored(shop, "--compare", "--identity", shop.key)


def test_a_private_manifest_without_encryption_is_refused(shop):
    configure(shop, ())
    text = (shop.dir / "drtool.yaml").read_text()
    shop.config(text + "    private_manifest: true\n")

    assert "private_manifest goes with encrypt_to" in shop.fails(2, "backup", "shop").err


def test_a_private_manifest_still_tells_that_a_backup_is_much_smaller(shop):
    configure(shop, more="    private_manifest: true\n")
    shop.ok("backup", "shop", *SMALL)
    shop.server.sql(shop.db, "delete from app.customer where id > 100")

    assert "suspect" in shop.fails(3, "backup", "shop", *SMALL).err
    assert "customer" not in json.dumps(shop.manifest("shop"))


def test_a_wrong_recipient_is_refused_before_anything_is_written(shop):
    configure(shop, ("age1wrong",))

    assert "encrypt_to" in shop.fails(2, "backup", "shop").err
    assert not shop.archives("shop")


def test_an_unencrypted_backup_with_password_hashes_says_so(shop):
    configure(shop, ())

    assert "password hashes and is not encrypted" in shop.ok("backup", "shop", *SMALL).text


@pytest.mark.parametrize("point", ("backup.scope.begun", "backup.volume.end", "backup.manifest.before"))
def test_a_backup_killed_while_it_seals_leaves_nothing_listed(shop, point):
    assert shop.run("backup", "shop", *SMALL, fail=f"{point}:1:kill").code < 0
    assert not shop.backups("shop")

    shop.ok("backup", "shop", *SMALL)
    restored(shop, "--identity", shop.key)


def test_an_encrypted_backup_keeps_to_its_memory(shop):
    shop.server.sql(shop.db, "create table app.large as select i, repeat(gen_random_uuid()::text, 4) t from generate_series(1, 300000) i")
    process = shop.start("backup", "shop")
    _, status, usage = os.wait4(process.pid, 0)

    assert status == 0
    if "SAN_OPTIONS" not in "".join(os.environ):
        assert usage.ru_maxrss <= 96 * 1024


# --- other engines, other stores ---

def test_a_database_of_mariadb_and_mysql_comes_back_from_an_encrypted_backup(my_any, make_my_db, drtool):
    drtool.server, drtool.key = my_any, age.identity(drtool.dir)
    drtool.db = make_my_db(my_any, "create table t (id int primary key, note mediumtext); insert into t values (1, 'one'), (2, null), (3, repeat('x', 70000));")
    before = my_any.contents(drtool.db)
    configure(drtool, more="    private_manifest: true\n")
    drtool.ok("backup", "shop", *SMALL)

    assert "no key was given" in drtool.fails(1, "restore", "shop").err
    my_any.drop_db(drtool.db)
    drtool.ok("restore", "shop", "--compare", "--identity", drtool.key)
    assert my_any.contents(drtool.db) == before


def test_a_database_of_mongodb_comes_back_from_an_encrypted_backup(mo_server, make_mo_db, drtool):
    drtool.server, drtool.key = mo_server, age.identity(drtool.dir)
    drtool.db = make_mo_db(mo_server, lambda db: db.notes.insert_many({"_id": i, "text": "x" * i} for i in range(2000)))
    before = mo_server.contents(drtool.db)
    configure(drtool)
    drtool.ok("backup", "shop", *SMALL)

    mo_server.drop_db(drtool.db)
    drtool.ok("restore", "shop", "--compare", "--identity", drtool.key)
    assert mo_server.contents(drtool.db) == before


def test_an_encrypted_backup_in_a_bucket_comes_back_from_there(s3_drtool, pg15, make_db):
    drtool = s3_drtool
    drtool.server, drtool.key, drtool.db = pg15, age.identity(drtool.dir), make_db(pg15, SQL, prefix="sealed_s3")
    configure(drtool, store=drtool.store_url)
    drtool.ok("backup", "shop", "--volume-size", "1MiB", *SMALL)

    assert "stored bytes only" in drtool.ok("check", "shop").out
    assert "stored bytes only" not in drtool.ok("check", "shop", "--identity", drtool.key).out
    restored(drtool, "--compare", "--identity", drtool.key)
    configure(drtool, (age.public(1),), store=drtool.store_url)
    drtool.ok("copy", "shop", "--re-encrypt", "--from", "local", "--to", "local", "--identity", drtool.key)
    restored(drtool, "--compare", "--identity", age.identity(drtool.dir, 1))


# --- other keys ---

def reencrypt(drtool, *flags, **kwargs):
    return drtool.run("copy", "shop", "--re-encrypt", "--from", "local", "--to", "local", "--identity", drtool.key, *flags, **kwargs)


def test_backups_are_encrypted_anew_for_other_keys_in_their_own_store(shop):
    shop.ok("backup", "shop", *SMALL)
    old, before = shop.archives("shop"), shop.manifest("shop")
    configure(shop, (age.public(1),))
    new = age.identity(shop.dir, 1)

    assert reencrypt(shop, "--identity", new).code == 0
    now = shop.manifest("shop")
    assert now["recipients"] == [age.public(1)] and now["objects"][0]["plain_sha256"] == before["objects"][0]["plain_sha256"]
    assert now["proofs"][0].startswith("local=")
    of_volumes = ("recipients", "objects", "proofs", "checksum", "stored")
    assert {k: v for k, v in now.items() if k not in of_volumes} == {k: v for k, v in before.items() if k not in of_volumes}
    assert len(shop.archives("shop")) == 1 and not old[0].exists()
    assert "is none that opens it" in shop.fails(1, "restore", "shop", "--identity", shop.key).err
    restored(shop, "--compare", "--identity", new)

    files = {p: p.read_bytes() for p in shop.archives("shop")}
    assert reencrypt(shop).code == 0
    assert files == {p: p.read_bytes() for p in shop.archives("shop")}


def test_the_old_volumes_stay_until_a_new_key_was_seen_to_open_a_backup(shop):
    shop.ok("backup", "shop", *SMALL)
    old = shop.archives("shop")[0]
    configure(shop, (age.public(1),))

    assert "key check" in reencrypt(shop).text
    assert old.exists() and len(shop.archives("shop")) == 2
    assert "key check" in reencrypt(shop).text and old.exists()

    shop.ok("key", "check", "shop", "--identity", age.identity(shop.dir, 1))
    assert "key check" not in reencrypt(shop).text
    assert not old.exists() and len(shop.archives("shop")) == 1


def everything(folder):
    return {p.relative_to(folder): p.read_bytes() for p in (folder / "shop").rglob("*") if p.is_file() and "lock" not in str(p)}


def test_encrypting_anew_does_not_replace_another_backup_of_that_id_in_the_other_store(shop):
    shop.ok("backup", "shop", *SMALL)
    other = shop.dir / "other"
    shop.ok("copy", "shop", "--from", "local", "--to", f"file://{other}")
    manifest = next((other / "shop" / "backup").glob("*.json"))
    body = json.loads(manifest.read_text())
    body["objects"][0]["plain_sha256"] = "0" * 64
    manifest.write_text(fault_archive.sign(body))
    before = everything(other)
    configure(shop, (age.public(1),))

    out = shop.run("copy", "shop", "--re-encrypt", "--from", "local", "--to", f"file://{other}", "--identity", shop.key)

    assert out.code != 0 and "another backup of this id" in out.text
    assert everything(other) == before


def test_encrypting_anew_goes_round_a_manifest_of_the_other_store_that_cannot_be_read(shop):
    shop.ok("backup", "shop", *SMALL)
    other = shop.dir / "other"
    shop.ok("copy", "shop", "--from", "local", "--to", f"file://{other}")
    spoil(next((other / "shop" / "backup").glob("*.json")), 40)
    before = everything(other)
    configure(shop, (age.public(1),))

    # No key is given either: the volumes of the other store stay, whatever fails.
    for key in ((), ("--identity", shop.key)):
        out = shop.run("copy", "shop", "--re-encrypt", "--from", "local", "--to", f"file://{other}", *key)
        assert out.code != 0 and "cannot be read" in out.text
        assert everything(other) == before


def test_encrypting_anew_into_another_store_refuses_that_of_another_server_and_brings_marks_along(shop):
    shop.ok("backup", "shop", *SMALL)
    shop.ok("pin", "shop", "--because", "kept for the audit")
    other = shop.dir / "other"
    configure(shop, (age.public(1),))
    into = ("copy", "shop", "--re-encrypt", "--from", "local", "--to", f"file://{other}", "--identity", shop.key)
    shop.ok(*into)

    assert shop.ok("list", "shop", "--from", f"file://{other}", "--json").json[0]["backups"][0]["pins"]
    assert (other / "shop" / "source.json").exists()
    for path in [other / "shop" / "source.json", *(other / "shop" / "backup").glob("*.json")]:
        body = json.loads(path.read_text())
        body["identity"] = "another-server"
        path.write_text(fault_archive.sign(body) if "checksum" in body else json.dumps(body))
    shutil.rmtree(other / "shop" / "pin")
    before = everything(other)
    assert "belongs to server another-server" in shop.fails(7, *into).err
    assert everything(other) == before


def test_encrypting_anew_mends_what_the_target_lost_and_hides_names_when_asked(shop):
    shop.ok("backup", "shop", *SMALL)
    other = shop.dir / "other"
    new = age.identity(shop.dir, 1)
    configure(shop, (age.public(1),))
    into = ("copy", "shop", "--re-encrypt", "--from", "local", "--to", f"file://{other}", "--identity", shop.key)
    shop.ok(*into)
    next((other / "shop" / "backup").glob("*.age")).unlink()
    shop.ok(*into)
    shop.ok("check", "shop", "--from", f"file://{other}", "--identity", new)

    configure(shop, (age.public(1),), more="    private_manifest: true\n")
    shop.ok(*into)
    assert "customer" not in next((other / "shop" / "backup").glob("*.json")).read_text()


def test_another_passphrase_is_refused_clearly_and_not_told_as_done(shop):
    one, two = shop.dir / "one.txt", shop.dir / "two.txt"
    one.write_text("six random words of the first\n")
    two.write_text("six random words of the second\n")
    configure(shop, ("passphrase",))
    shop.ok("backup", "shop", *SMALL, env={"DRTOOL_PASSPHRASE_FILE": str(one)})

    assert reencrypt(shop, env={"DRTOOL_PASSPHRASE_FILE": str(one)}).code == 0
    out = reencrypt(shop, env={"DRTOOL_PASSPHRASE_FILE": str(two)})
    assert out.code == 1 and "cannot be changed for another in one step" in out.text


def test_a_backup_that_was_not_encrypted_becomes_so_in_another_store(shop):
    configure(shop, ())
    shop.ok("backup", "shop", *SMALL)
    configure(shop, (age.public(),), more="    private_manifest: true\n")
    other = shop.dir / "other"

    shop.ok("copy", "shop", "--re-encrypt", "--from", "local", "--to", f"file://{other}")

    assert [p.name[-11:] for p in (other / "shop" / "backup").glob("*.age")] == [".tar.gz.age"]
    assert "customer" not in next((other / "shop" / "backup").glob("*.json")).read_text()
    assert [p.suffix for p in shop.archives("shop")] == [".gz"]
    restored(shop, "--compare", "--from", f"file://{other}", "--identity", shop.key)


@pytest.mark.parametrize("point", ("reencrypt.volume.end", "reencrypt.manifest.before", "reencrypt.manifest.after"))
def test_encrypting_anew_that_is_killed_leaves_a_backup_that_opens_and_is_done_when_repeated(shop, point):
    shop.ok("backup", "shop", *SMALL)
    configure(shop, (age.public(1),))
    both = ("--identity", shop.key, "--identity", age.identity(shop.dir, 1))

    assert reencrypt(shop, fail=f"{point}:1:kill").code < 0
    assert "stored bytes only" not in shop.ok("check", "shop", *both).out
    assert reencrypt(shop, *both[2:]).code == 0
    assert len([p for p in shop.archives("shop") if not p.name.startswith(".part~")]) == 1
    assert "stored bytes only" not in shop.ok("check", "shop", "--identity", age.identity(shop.dir, 1)).out


def test_without_the_old_key_nothing_is_encrypted_anew_and_the_old_backup_stays(shop):
    shop.ok("backup", "shop", *SMALL)
    before = {p: p.read_bytes() for p in (shop.store / "shop" / "backup").iterdir()}
    configure(shop, (age.public(1),))

    out = shop.fails(1, "copy", "shop", "--re-encrypt", "--from", "local", "--to", "local")
    assert "no key was given" in out.err and age.public(0) in out.err
    assert before == {p: p.read_bytes() for p in (shop.store / "shop" / "backup").iterdir()}


def test_a_copy_leaves_a_backup_alone_that_is_encrypted_for_other_keys_there(shop):
    other = shop.dir / "other"
    shop.ok("backup", "shop", *SMALL)
    shop.ok("copy", "shop", "--from", "local", "--to", f"file://{other}")
    configure(shop, (age.public(1),))
    assert reencrypt(shop).code == 0
    before = {p: p.read_bytes() for p in (other / "shop" / "backup").iterdir()}

    out = shop.ok("copy", "shop", "--from", "local", "--to", f"file://{other}")

    assert "encrypted otherwise" in out.out
    assert before == {p: p.read_bytes() for p in (other / "shop" / "backup").iterdir()}


def test_list_says_which_backups_are_encrypted(shop):
    shop.ok("backup", "shop", *SMALL)

    assert "encrypted" in shop.ok("list", "shop").out


def test_keys_of_the_command_line_seal_the_stored_configuration_too(shop):
    configure(shop, to=())
    shop.ok("backup", "shop", *SMALL, "--encrypt-to", age.public())

    stored = [p.name for p in shop.store.glob("drtool/config/*")]
    assert stored and all(name.endswith(".yaml.age") for name in stored), stored
