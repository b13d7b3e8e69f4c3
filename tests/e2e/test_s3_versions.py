"""Buckets that keep versions, and those with object lock: what prune may, what it must not, and what comes back."""

import json

import pytest

import drtool as drtool_lib
import s3

TABLE = "create table t as select i, 'row ' || i as b from generate_series(1, 100) i"


@pytest.fixture
def versioned(servers, s3_servers):
    """drtool with an empty bucket that keeps versions."""
    return drtool_lib.InBucket(s3_servers().bucket(versions=True))


@pytest.fixture(params=s3.KINDS)
def versioned_any(request, servers, s3_servers):
    """The test runs once with each server."""
    return drtool_lib.InBucket(s3_servers(request.param).bucket(versions=True))


def backup(drtool, pg, db, times=1):
    for _ in range(times):
        drtool.ok("backup", pg.url(db), "--name", "shop")
    return drtool.backups("shop")


def deleted(drtool, *args):
    return {b["backup"]: b for b in drtool.ok("list", *args, "--deleted", "--json").json}


def test_prune_deletes_a_backup_with_all_its_versions(versioned_any, pg15, make_db):
    ids = backup(versioned_any, pg15, make_db(pg15, TABLE), 2)
    versioned_any.ok("prune", "shop", "--keep-last", "1")
    assert versioned_any.backups("shop") == ids[1:]
    assert [key for key, _, _ in versioned_any.bucket.versions("shop/backup/") if ids[0] in key] == []
    assert deleted(versioned_any) == {}


def test_a_backup_that_somebody_deleted_is_listed_and_comes_back(versioned_any, pg15, make_db):
    db = make_db(pg15, TABLE)
    before = pg15.contents(db)
    ids = backup(versioned_any, pg15, db, 2)
    for key in versioned_any.bucket.keys(f"shop/backup/{ids[1]}"):
        versioned_any.bucket.delete(key)
    assert versioned_any.backups("shop") == ids[:1]
    assert list(deleted(versioned_any, "shop")) == [ids[1]]
    assert ids[1] in versioned_any.ok("prune", "shop", "--undelete", ids[1], "--dry-run").out
    assert versioned_any.backups("shop") == ids[:1]

    assert "is back" in versioned_any.ok("prune", "shop", "--undelete", ids[1]).out
    assert versioned_any.backups("shop") == ids
    pg15.drop_db(db)
    versioned_any.ok("restore", "shop", "--backup", ids[1], "--into", pg15.url(db))
    assert pg15.contents(db) == before
    assert deleted(versioned_any) == {}
    assert "shows what there is" in versioned_any.fails(5, "prune", "shop", "--undelete", ids[1]).err


@pytest.mark.parametrize("what", ["manifest", "volumes"])
def test_prune_leaves_alone_what_is_left_of_a_backup_that_can_come_back(versioned, pg15, make_db, what):
    db = make_db(pg15, TABLE)
    ids = backup(versioned, pg15, db, 2)
    for key in versioned.bucket.keys(f"shop/backup/{ids[0]}"):
        if key.endswith(".json") == (what == "manifest"):
            versioned.bucket.delete(key)
    versioned.bucket.age_objects(48, "shop/backup/")
    done = versioned.ok("prune", "shop", "--keep-last", "1")
    assert ("deleted by somebody else" in done.out) == (what == "volumes")
    assert "is back" in versioned.ok("prune", "shop", "--undelete", ids[0]).out
    assert versioned.backups("shop") == ids
    versioned.ok("check", "shop", "--backup", ids[0])


def test_a_store_of_which_everything_was_deleted_comes_back(versioned, pg15, make_db):
    db = make_db(pg15, TABLE)
    ids = backup(versioned, pg15, db)
    for key in versioned.bucket.keys():
        versioned.bucket.delete(key)
    assert list(deleted(versioned)) == ids
    versioned.ok("prune", "shop", "--undelete", "all")
    assert versioned.backups("shop") == ids
    versioned.ok("check", "shop")
    assert versioned.run("status", "shop", "--json").json["sources"][0]["good"] == 1


@pytest.mark.parametrize("action", ["kill", "error"])
def test_an_undelete_that_ends_before_the_manifest_is_repeated(versioned, pg15, make_db, action):
    ids = backup(versioned, pg15, make_db(pg15, TABLE), 2)
    for key in versioned.bucket.keys(f"shop/backup/{ids[0]}"):
        versioned.bucket.delete(key)
    command = ("prune", "shop", "--undelete", ids[0])
    assert versioned.run(*command, fail=f"undelete.manifest.before:1:{action}").code == (-9 if action == "kill" else 1)
    assert versioned.backups("shop") == ids[1:]
    versioned.ok(*command)
    assert versioned.backups("shop") == ids
    versioned.ok("check", "shop", "--backup", ids[0])


def test_without_its_manifest_nothing_comes_back(versioned, pg15, make_db):
    ids = backup(versioned, pg15, make_db(pg15, TABLE), 2)
    for key, version, _ in versioned.bucket.versions(f"shop/backup/{ids[0]}.json"):
        versioned.bucket.delete(key, version)
    for key in versioned.bucket.keys(f"shop/backup/{ids[0]}"):
        versioned.bucket.delete(key)
    assert deleted(versioned, "shop")[ids[0]]["manifest"] is False
    assert "gone for good" in versioned.ok("list", "shop", "--deleted").out
    versioned.fails(5, "prune", "shop", "--undelete", "all")


def test_a_store_without_versions_has_nothing_to_bring_back(s3_drtool, drtool, pg15, make_db):
    db = make_db(pg15, TABLE)
    for tool in (s3_drtool, drtool):
        ids = backup(tool, pg15, db)
        assert "keeps nothing of what was deleted" in tool.fails(5, "list", "shop", "--deleted").err
        tool.fails(5, "prune", "shop", "--undelete", ids[0])
        assert tool.backups("shop") == ids
    assert "needs a SOURCE" in drtool.fails(2, "prune", "--all", "--undelete", "all").err


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_what_object_lock_retains_is_kept_and_said_and_is_no_failure(s3_servers, servers, pg15, make_db, mode):
    bucket = s3_servers().bucket(lock=True)
    tool = drtool_lib.InBucket(bucket, {"DRTOOL_STORE": bucket.url(object_lock="30d", object_lock_mode=mode)})
    ids = backup(tool, pg15, make_db(pg15, TABLE), 2)
    for key in bucket.keys("shop/backup/") + bucket.keys("evidence/"):
        assert bucket.retention(key)[0] == mode.upper(), key
    for key in bucket.keys("shop/lock/"):
        assert bucket.retention(key) is None, key

    done = tool.ok("prune", "shop", "--keep-last", "1")
    assert "retained until 20" in done.out and "0 removed" in done.out
    assert tool.backups("shop") == ids
    tool.ok("check", "shop", "--backup", ids[0])
    record = json.loads(bucket.get([key for key in bucket.keys("evidence/") if "-prune-" in key][-1]))
    assert record["outcome"] == "good" and record["detail"]["backups"][0]["action"] == "retained"


def test_config_check_says_where_a_lock_outlasts_the_rules(drtool):
    text = """stores: {{offsite: {{url: "s3://acme/prod", endpoint: "http://127.0.0.1:1", region: eu-west-3, object_lock: 30d}}}}
sources: {{shop: {{url: "postgres://backup@127.0.0.1/shop", keep: {{daily: {daily}}}}}}}
"""
    assert "holds every backup of shop for 30d" in drtool.ok("--config", drtool.config(text.format(daily=7)), "config", "check").out
    assert "object_lock" not in drtool.ok("--config", drtool.config(text.format(daily=31)), "config", "check").out


def test_status_says_which_store_does_not_answer_and_judges_the_others(drtool, pg15, make_db):
    drtool.ok("backup", pg15.url(make_db(pg15, TABLE)), "--name", "shop")
    config = drtool.config(f"""stores:
  near: {{url: "{drtool.store_url}"}}
  offsite: {{url: "s3://acme/prod", endpoint: "http://127.0.0.1:1", region: eu-west-3, access_key: a, secret_key: b, retry: 1s}}
""")
    found = drtool.fails(3, "--config", config, "status", "--json").json
    rows = {row["store"]: row for row in found["sources"]}
    # A warning names databases that other tests have on the server.
    assert rows["near"]["health"] in ("OK", "WARNING") and rows["near"]["good"] == 1
    assert rows["offsite"]["health"] == "UNKNOWN" and "127.0.0.1:1" in rows["offsite"]["because"][0]
