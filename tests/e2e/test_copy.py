"""drtool copy: what one store has comes into another one, whole, once, and as it was."""

import json
import shutil
import time

import fault
import pytest
import shop as shop_lib
from fault_archive import sign


@pytest.fixture(scope="module")
def shop(servers):
    """A database, and a store with two good backups of it that each test copies."""
    with shop_lib.made(servers, "copied") as made:
        made.template.ok("backup", made.server.url(made.db), "--name", "shop", *fault.SMALL)
        yield made


def pair(shop):
    """A copy of the store, and an address for a second one, .second, that is not there yet."""
    drtool = shop.fresh()
    drtool.second = drtool.dir / "offsite"
    shop.configure(drtool, shop.db, second=drtool.second)
    return drtool


BACKUP = ("backup", "shop", "--to", "local", "--chunk-size", "16KiB", "--jobs", "2")
COPY = ("copy", "shop", "--from", "local", "--to", "offsite")


def stored(folder, source="shop"):
    return sorted(p.stem for p in (folder / source / "backup").glob("*.json"))


def missing(drtool):
    """What the second store lacks, or has in another state, of all that the first one has of the source."""
    folders = ("shop/backup", "shop/pin", "shop/accept", "evidence/shop")
    keys = [p.relative_to(drtool.store) for folder in folders for p in (drtool.store / folder).glob("*") if "-copy-" not in p.name and "-check-" not in p.name]
    return [str(k) for k in keys if not (drtool.second / k).exists() or (drtool.second / k).read_bytes() != (drtool.store / k).read_bytes()]


def test_a_copy_holds_the_same_bytes_and_is_checked_restored_and_listed_by_itself(shop):
    drtool = pair(shop)
    drtool.ok("pin", "shop", "--because", "kept for the audit", "--from", "local")
    drtool.ok("check", "shop", "--from", "local")
    result = drtool.ok(*COPY)
    assert "2 backups" in result.out
    assert missing(drtool) == []
    shutil.rmtree(drtool.store)
    drtool.ok("check", "shop", "--from", "offsite", "--backup", "all")
    listed = drtool.ok("list", "shop", "--from", "offsite", "--json").json[0]["backups"]
    assert [b["id"] for b in listed] == stored(drtool.second)
    assert listed[-1]["pins"] and listed[-1]["proof"] == "checked"
    copy = f"{shop.db}_back"
    drtool.ok("restore", "shop", "--from", "offsite", "--into", shop.server.url(copy), "--compare")
    shop.server.drop_db(copy)


def test_a_copy_that_is_repeated_moves_only_what_is_new(shop):
    drtool = pair(shop)
    assert "2 backups " in drtool.ok(*COPY).out
    first = {p: p.stat().st_mtime_ns for p in (drtool.second / "shop" / "backup").iterdir()}
    again = drtool.ok(*COPY)
    assert "0 backups (0 B), 2 there already" in again.out
    drtool.ok(*BACKUP)
    assert "1 backup " in drtool.ok(*COPY).out
    assert {p: p.stat().st_mtime_ns for p in first} == first
    assert missing(drtool) == []


def test_a_dry_run_says_what_would_be_copied_and_makes_nothing(shop):
    drtool = pair(shop)
    result = drtool.ok(*COPY, "--dry-run")
    assert "would copy 2 backups" in result.out and drtool.backups("shop")[0] in result.out
    assert not drtool.second.exists()


def test_all_means_every_source_of_the_store_and_brings_the_stored_configuration(shop):
    drtool = pair(shop)
    drtool.ok("backup", shop.server.url(shop.db), "--name", "other", "--to", "local")
    drtool.ok("copy", "--all", "--from", "local", "--to", "offsite")
    assert stored(drtool.second) and stored(drtool.second, "other")
    assert missing(drtool) == []
    assert list((drtool.second / "drtool" / "config").iterdir())
    text = (drtool.second / "RECOVER.txt").read_text()
    assert str(drtool.second) in text and str(drtool.store) not in text
    assert stored(drtool.second)[-1] in text and stored(drtool.second, "other")[-1] in text


def test_one_backup_alone_can_be_copied(shop):
    drtool = pair(shop)
    drtool.ok(*COPY, "--backup", "latest")
    assert stored(drtool.second) == drtool.backups("shop")[-1:]
    drtool.fails(5, *COPY, "--backup", "20200101T000000Z-abcd")


def test_damage_on_the_way_is_found_before_anything_is_published_and_other_backups_are_copied(shop):
    drtool = pair(shop)
    bad = drtool.backups("shop")[0]
    archive = next(p for p in drtool.archives("shop") if bad in p.name)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    fault.write(archive, bytes(data))
    result = drtool.fails(3, *COPY)
    assert "SHA-256" in result.err and bad in result.text
    assert stored(drtool.second) == drtool.backups("shop")[1:]
    assert not [p for p in (drtool.second / "shop" / "backup").iterdir() if bad in p.name]
    drtool.fails(4, *COPY, "--backup", bad)


def test_damage_that_the_target_writes_is_found_by_reading_it_back(shop):
    drtool = pair(shop)
    result = drtool.fails(3, *COPY, env={"DRTOOL_STORE_FAULT": "offsite@write[.tar.gz]:1000:flip"})
    assert "offsite" in result.err and stored(drtool.second) == []
    drtool.ok(*COPY)
    drtool.ok("check", "shop", "--from", "offsite", "--backup", "all")


def test_a_damaged_copy_is_replaced_by_the_good_one_and_counts_as_good_again(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    archive = max((drtool.second / "shop" / "backup").glob("*.tar.gz"))
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    fault.write(archive, bytes(data))
    drtool.fails(4, "check", "shop", "--from", "offsite")
    drtool.ok(*COPY)
    assert archive.read_bytes() == drtool.archives("shop")[-1].read_bytes()
    assert not drtool.ok("list", "shop", "--from", "offsite", "--json").json[0]["backups"][-1]["bad"]
    drtool.ok("check", "shop", "--from", "offsite")


def test_a_manifest_that_a_newer_drtool_wrote_is_left_as_it_is_and_a_damaged_one_is_replaced(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    older, newest = sorted((drtool.second / "shop" / "backup").glob("*.json"))
    good = newest.read_bytes()
    newer = sign({**json.loads(older.read_text()), "version": 99}).encode()
    fault.write(older, newer)
    fault.write(newest, good[:-20])
    out = drtool.fails(3, *COPY)
    assert older.stem in out.text and "it is left as it is" in out.text
    assert older.read_bytes() == newer
    assert newest.read_bytes() == good


def stamp():
    """A second after all that was recorded, as the names of records have it."""
    time.sleep(1.1)
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def flip(archive):
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    fault.write(archive, bytes(data))


def verified(store, backup, outcome, at, differences=0):
    """A record as verify writes it."""
    record = {"format": 1, "kind": "verify", "source": "shop", "backup": backup, "outcome": outcome, "finished": f"{at[:4]}-{at[4:6]}-{at[6:11]}:{at[11:13]}:{at[13:]}",
              "started": "2026-01-01T00:00:00Z", "detail": {"differences": differences}}
    if outcome == "good":
        record["level"] = "read"
    (store / "evidence" / "shop" / f"{at}-verify-{outcome}{differences}.json").write_text(json.dumps(record))


def known(drtool, store):
    """Backup to proof and whether it is bad, as list says it."""
    listed = drtool.ok("list", "shop", "--from", store, "--json").json[0]["backups"]
    return {b["id"]: (b["proof"], b["bad"]) for b in listed}


def test_what_a_check_or_a_verify_saw_in_one_store_is_not_believed_of_the_damaged_copy_in_another(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    first, second = drtool.backups("shop")
    flip(max((drtool.second / "shop" / "backup").glob("*.tar.gz")))
    drtool.fails(4, "check", "shop", "--from", "offsite")
    drtool.ok("check", "shop", "--from", "local")
    verified(drtool.store, second, "good", "20270101T000000Z")
    drtool.ok(*COPY, "--backup", first)
    assert known(drtool, "offsite")[second][1] and not known(drtool, "local")[second][1]
    drtool.fails(4, "check", "shop", "--from", "offsite")


def test_a_store_whose_archive_rotted_does_not_make_the_good_copy_bad(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    first, second = drtool.backups("shop")
    verified(drtool.store, second, "bad", "20270101T000000Z")
    verified(drtool.store, first, "bad", "20270101T000000Z", differences=3)
    drtool.ok(*COPY)
    assert [bad for _, bad in known(drtool, "local").values()] == [True, True]
    assert [bad for _, bad in known(drtool, "offsite").values()] == [True, False]


def test_a_copy_that_replaces_what_verify_could_not_read_counts_as_good_and_is_not_read_again(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    second = drtool.backups("shop")[1]
    flip(max((drtool.second / "shop" / "backup").glob("*.tar.gz")))
    verified(drtool.second, second, "bad", stamp())
    assert known(drtool, "offsite")[second][1]
    assert "1 backup " in drtool.ok(*COPY).out
    assert known(drtool, "offsite")[second] == ("checked", False)
    assert second in (drtool.second / "RECOVER.txt").read_text()
    assert "2 there already" in drtool.ok(*COPY, env={"DRTOOL_STORE_FAULT": "get[.tar.gz]:1:EIO"}).out


def test_a_disk_with_a_bad_sector_costs_one_backup_and_the_others_are_copied(shop):
    drtool = pair(shop)
    first, second = drtool.backups("shop")
    result = drtool.fails(3, *COPY, env={"DRTOOL_STORE_FAULT": f"store@get[{second}.tar.gz]:1:EIO"})
    assert second in result.err and stored(drtool.second) == [first]
    drtool.ok(*COPY, env={"DRTOOL_STORE_FAULT": f"store@get[{second}.tar.gz]:1:EIO:once"})
    assert stored(drtool.second) == [first, second]


def test_a_mark_that_cannot_be_read_is_a_note_and_the_backups_are_copied(shop):
    drtool = pair(shop)
    drtool.ok("pin", "shop", "--because", "kept for the audit", "--from", "local")
    result = drtool.ok(*COPY, env={"DRTOOL_STORE_FAULT": "store@get[evidence/]:3:EIO"})
    assert "is not copied" in result.err
    assert stored(drtool.second) == drtool.backups("shop")


def test_what_is_known_to_be_bad_is_not_copied(shop):
    drtool = pair(shop)
    archive = drtool.archives("shop")[0]
    fault.write(archive, archive.read_bytes()[:-1000])
    drtool.fails(4, "check", "shop", "--from", "local", "--backup", drtool.backups("shop")[0])
    result = drtool.ok(*COPY)
    assert "left" in result.out and "known to be bad" in result.out
    assert stored(drtool.second) == drtool.backups("shop")[1:]


def test_a_source_of_another_server_is_refused_with_both_shown(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    for path in (drtool.second / "shop" / "backup").iterdir():
        path.unlink()
    facts = drtool.second / "shop" / "source.json"
    known = json.loads(facts.read_text())
    fault.write(facts, json.dumps({**known, "identity": "postgres:4711"}).encode())
    result = drtool.fails(7, *COPY)
    assert "postgres:4711" in result.err and known["identity"] in result.err
    assert stored(drtool.second) == []


def test_a_server_that_was_replaced_on_purpose_takes_its_history_along(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    config = (drtool.dir / "drtool.yaml").read_text()
    drtool.config(config.replace("split_above", "cluster: new, split_above"))
    drtool.ok(*BACKUP, "--new-identity", "--because", "a new server")
    drtool.ok(*COPY)
    assert stored(drtool.second) == drtool.backups("shop")
    assert json.loads((drtool.second / "shop" / "source.json").read_text())["identity"] == "cluster:new"


def test_a_copy_waits_for_nobody_and_says_who_holds_the_target(shop):
    drtool = pair(shop)
    drtool.ok(*COPY)
    process = drtool.start("backup", "shop", "--to", "offsite", fail="backup.scope.begun:1:delay=4000")
    fault.wait_until(lambda: fault.leftovers(drtool.second / "shop" / "backup"), "the archive is begun")
    drtool.fails(6, *COPY)
    fault.end(process)


def test_a_copy_into_the_same_store_is_refused(shop):
    drtool = pair(shop)
    drtool.fails(2, "copy", "shop", "--from", "local", "--to", drtool.store_url)


@pytest.mark.parametrize("args", [("copy", "shop"), ("copy", "shop", "--from", "local"), ("copy", "--from", "local", "--to", "offsite"),
                                  ("copy", "shop", "--all", "--from", "local", "--to", "offsite")])
def test_both_stores_and_a_source_must_be_named(shop, args):
    pair(shop).fails(2, *args)


def test_a_source_that_the_store_does_not_have_is_not_found(shop):
    assert "nothing of source" in pair(shop).fails(5, "copy", "nobody", "--from", "local", "--to", "offsite").err


@pytest.mark.parametrize("where", ["copy.object.before", "copy.object.after", "copy.manifest.before", "copy.manifest.after"])
def test_a_copy_that_is_killed_publishes_nothing_half_and_the_next_one_finishes_it(shop, where):
    drtool = pair(shop)
    assert drtool.run(*COPY, fail=f"{where}:1:kill").code == -9
    assert drtool.run("check", "shop", "--from", "offsite", "--backup", "all").code in (0, 5)
    drtool.ok(*COPY)
    assert missing(drtool) == []


@pytest.mark.parametrize("rule", ["offsite@write[.tar.gz]:5000:ENOSPC", "offsite@finish[.json]:2:EIO", "store@get[.tar.gz]:1:unreachable", "offsite@open:3:unreachable"])
def test_a_store_that_fails_ends_the_copy_and_the_next_one_finishes_it(shop, rule):
    drtool = pair(shop)
    result = drtool.fails(1, *COPY, env={"DRTOOL_STORE_FAULT": rule})
    assert "injected" in result.err
    for backup in stored(drtool.second):
        drtool.ok("check", "shop", "--from", "offsite", "--backup", backup)
    drtool.ok(*COPY)
    assert missing(drtool) == []


def test_many_backups_are_copied_by_several_threads_in_bounded_memory(shop):
    drtool = pair(shop)
    for _ in range(3):
        drtool.ok(*BACKUP)
    drtool.ok(*COPY, "--mem-limit", "48MiB")
    assert len(stored(drtool.second)) == 5 and missing(drtool) == []


def test_a_prune_of_the_source_store_leaves_what_is_being_copied(shop):
    drtool = pair(shop)
    first = drtool.backups("shop")[0]
    process = drtool.start(*COPY, "--backup", first, fail="copy.object.before:1:delay=3000")
    fault.wait_until(lambda: [p for p in (drtool.store / "shop" / "lease").glob("*.json") if b"released" not in p.read_bytes()]
                     if (drtool.store / "shop" / "lease").exists() else None, "the lease is taken")
    drtool.ok("prune", "shop", "--from", "local", "--keep-last", "1")
    assert first in drtool.backups("shop")
    code, text = fault.end(process)
    assert code == 0, text
    assert first in stored(drtool.second)


def test_a_store_that_cannot_be_written_is_copied_from_all_the_same(shop):
    drtool = pair(shop)
    result = drtool.ok(*COPY, env={"DRTOOL_STORE_FAULT": "store@open[lease]:1:EROFS"})
    assert stored(drtool.second) == drtool.backups("shop")
    assert "lease" in result.err
