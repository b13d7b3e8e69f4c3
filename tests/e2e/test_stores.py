"""Several stores at once: one that fails or stalls is left behind and named, with the line that brings it up to date; each has its own retention."""

import re
import shlex
import shutil

import fault
import pytest
import shop as shop_lib

BACKUP = ("backup", "shop", "--chunk-size", "16KiB", "--jobs", "2")
NAMES = ("local", "offsite", "third")


@pytest.fixture(scope="module")
def shop(servers):
    """A database with a backup; the tests make stores of their own."""
    with shop_lib.made(servers, "several") as made:
        yield made


class Three:
    """A drtool with three empty stores."""

    def __init__(self, shop, more="", keep=None):
        self.drtool = shop.fresh()
        shutil.rmtree(self.drtool.store)
        self.folder = {name: self.drtool.dir / name for name in NAMES}
        rules = {name: f", keep: {{{keep[name]}}}" if name in (keep or {}) else "" for name in NAMES}
        lines = "".join(f"  {name}: {{url: \"file://{self.folder[name]}\"{rules[name]}}}\n" for name in NAMES)
        source = f"sources: {{shop: {{url: \"{shop.server.url(shop.db)}\", keep: {{last: 3}}}}}}\n"
        self.path = self.drtool.config(f"store_stall: 1s\n{more}stores:\n{lines}{source}")

    def stored(self, name):
        return sorted(p.stem for p in (self.folder[name] / "shop" / "backup").glob("*.json")) if self.folder[name].exists() else []


def copy_lines(result):
    """The commands that the message says, as argument lists without the program."""
    lines = re.findall(r"drtool (copy [^;\n]+)", result.err)
    return [shlex.split(line.strip()) for line in lines]


@pytest.mark.parametrize("rule", ["offsite@write[.tar.gz]:20000:ENOSPC", "offsite@write[.tar.gz]:20000:stall", "offsite@finish[.tar.gz]:1:EIO", "offsite@finish[Z-]:2:EIO",
                                  "offsite@open[drtool-store]:1:unreachable"])
def test_one_store_of_three_fails_and_the_line_that_is_said_brings_it_up_to_date(shop, rule):
    three = Three(shop)
    result = three.drtool.fails(3, *BACKUP, env={"DRTOOL_STORE_FAULT": rule})
    assert "offsite" in result.err and three.stored("offsite") == []
    assert three.stored("local") == three.stored("third") and len(three.stored("local")) == 1
    lines = copy_lines(result)
    assert lines == [["copy", "shop", "--backup", three.stored("local")[0], "--from", "local", "--to", "offsite"]]
    three.drtool.ok(*lines[0])
    assert three.stored("offsite") == three.stored("local")
    three.drtool.ok("check", "shop", "--from", "offsite")


def test_a_store_that_another_run_has_locked_is_left_behind_and_the_nightly_backup_goes_to_the_others(shop):
    three = Three(shop)
    three.drtool.ok(*BACKUP)
    three.drtool.ok(*BACKUP, "--to", "local")
    process = three.drtool.start("copy", "shop", "--from", "local", "--to", "offsite", fail="copy.object.before:1:delay=20000")
    fault.wait_until(lambda: any(b"copy from local" in p.read_bytes() for p in (three.folder["offsite"] / "shop" / "lock").glob("*.json")), "the copy has the lock")
    result = three.drtool.fails(3, *BACKUP)
    assert len(three.stored("local")) == 3 and len(three.stored("third")) == 2 and len(copy_lines(result)) == 1
    three.drtool.fails(6, *BACKUP, "--to", "offsite")
    process.kill()
    fault.end(process)


def test_the_line_is_one_line_with_q_and_carries_the_configuration_that_was_named(shop):
    three = Three(shop)
    result = three.drtool.fails(3, *BACKUP, "-q", "--config", three.path, env={"DRTOOL_STORE_FAULT": "offsite@open[.tar.gz]:1:EIO", "DRTOOL_CONFIG": None})
    assert result.err.count("\n") <= 2 and result.out == ""
    line = copy_lines(result)[0]
    assert line[-2:] == ["--config", str(three.path)]
    three.drtool.ok(*line, env={"DRTOOL_CONFIG": None})
    assert three.stored("offsite") == three.stored("local")


def test_two_of_three_stores_fail_and_there_is_a_line_for_each(shop):
    three = Three(shop)
    result = three.drtool.fails(3, *BACKUP, env={"DRTOOL_STORE_FAULT": "offsite@finish[.tar.gz]:1:EIO,third@write[.tar.gz]:1:ENOSPC"})
    for line in copy_lines(result):
        three.drtool.ok(*line)
    assert three.stored("offsite") == three.stored("third") == three.stored("local") != []


def test_with_all_stores_down_each_is_listed_with_its_cause(shop):
    three = Three(shop)
    for name in NAMES:
        three.folder[name].write_text("a file where the folder was\n")
    for args in (BACKUP, ("restore", "shop", "--into", shop.server.url("nowhere"))):
        result = three.drtool.run(*args)
        assert result.code not in (0, 3)
        for name in NAMES:
            assert re.search(rf"\b{name}: ", result.err), result
    assert three.drtool.run("status", "shop").code in (2, 3)


def test_when_the_last_store_fails_on_the_way_every_cause_is_said(shop):
    three = Three(shop)
    result = three.drtool.fails(1, *BACKUP, env={"DRTOOL_STORE_FAULT": "write[.tar.gz]:30000:ENOSPC"})
    for name in NAMES:
        assert f"store {name}: " in result.err
    assert all(three.stored(name) == [] for name in NAMES)


def test_a_restore_changes_over_to_another_store_in_the_middle(shop):
    three = Three(shop)
    three.drtool.ok(*BACKUP)
    copy = f"{shop.db}_over"
    three.drtool.ok("restore", "shop", "--into", shop.server.url(copy), "--compare",
                    env={"DRTOOL_STORE_FAULT": "local@get[.tar.gz]:6:EIO,offsite@get[.tar.gz]:4:unreachable"})
    shop.server.drop_db(copy)


def test_each_store_has_its_own_retention_and_prune_says_whose_rules_it_goes_by(shop):
    three = Three(shop, keep={"offsite": "last: 1", "third": "last: 2"})
    for _ in range(3):
        three.drtool.ok(*BACKUP)
    shown = three.drtool.ok("prune", "shop", "--dry-run").out
    assert shown.count("by the rules of the store") == 2
    assert "pruned 6 backups" in three.drtool.ok(*BACKUP, "--prune").out
    assert [len(three.stored(name)) for name in NAMES] == [3, 1, 2]
    three.drtool.ok("prune", "shop", "--from", "third", "--keep-last", "1")
    assert len(three.stored("third")) == 1


def test_a_backup_into_a_folder_and_a_bucket_at_once_and_a_copy_between_them(shop, bucket):
    three = Three(shop)
    env = {**bucket.server.keys.env, "DRTOOL_STORE": None}
    url = bucket.url()
    three.drtool.ok(*BACKUP, "--to", "local", "--to", url, env=env)
    three.drtool.ok("check", "shop", "--from", url, env=env)
    three.drtool.ok(*BACKUP, "--to", url, env=env)
    three.drtool.ok("copy", "shop", "--from", url, "--to", "offsite", env=env)
    three.drtool.ok("copy", "shop", "--from", url, "--to", "local", env=env)
    assert len(three.stored("local")) == 2 and three.stored("offsite") == three.stored("local")
    other = bucket.at("another/place").url()
    result = three.drtool.ok("copy", "--all", "--from", "offsite", "--to", other, env=env)
    assert "2 backups" in result.out
    assert "0 backups" in three.drtool.ok("copy", "shop", "--from", "offsite", "--to", other, env=env).out
    three.drtool.ok("check", "shop", "--from", other, "--backup", "all", env=env)


def test_a_store_that_hangs_does_not_keep_the_others_from_the_end(shop):
    three = Three(shop)
    result = three.drtool.fails(3, *BACKUP, env={"DRTOOL_STORE_FAULT": "offsite@write[.tar.gz]:20000:hang"})
    assert len(three.stored("local")) == len(three.stored("third")) == 1 and copy_lines(result)
    assert fault.leftovers(three.folder["local"]) == []
