"""Requests that get lost, answers that lie: a backup to S3 is good or it fails clearly with nothing listed; reads end with the right bytes or an error.
`make faults-s3` does the same a thousand times."""

import os
import re
import signal

import drtool as drtool_lib
import failpoints
import fault
import pytest
import s3_faults
import s3_runs

RUNS = int(os.environ.get("DRTOOL_TEST_S3_FAULTS", "12"))
BACKUP = s3_runs.OPTIONS


@pytest.fixture(scope="module")
def runs(my_servers, s3_servers):
    """A source that does not change, and what its data is (s3_runs.Runs)."""
    server = my_servers("10.11")
    server.create_db("s3_faults", "character set utf8mb4")
    server.sql("s3_faults", s3_runs.SQL)
    yield s3_runs.Runs(s3_servers(), server.url("s3_faults"))
    for name in server.databases():
        if name.startswith("s3_faults"):
            server.drop_db(name)


@pytest.mark.parametrize("seed", range(1, RUNS + 1))
def test_a_backup_through_faults_at_random_is_good_or_nothing_is_listed(runs, seed):
    runs.one(seed)


def through(runs, bucket, fault, *args, retry="20s", seed=1, **kwargs):
    """Runs drtool with this fault in between; returns the result and what was hit."""
    drtool = drtool_lib.InBucket(bucket)
    with s3_faults.Proxy(bucket.server, fault, seed) as proxy:
        result = drtool.run(*args, env=bucket.env(endpoint=proxy.endpoint, retry=retry), **kwargs)
        return result, proxy.hits()


ONCE = ["drop", "half", "lose", "truncate", "duplicate", "500", "503:1", "slow", "429", "delay:0.5", "flip-request", "flip-answer"]


@pytest.mark.parametrize("what", ONCE)
@pytest.mark.parametrize("key", [".tar.gz", "backup/2", "lock/"], ids=["archive", "manifest", "lock"])
def test_one_fault_of_a_put_is_got_over(runs, bucket, what, key):
    suffix = {"backup/2": ".json"}.get(key, "")

    def fault(request, plan=s3_faults.nth("put", 1, what, key + suffix if not suffix else suffix)):
        return plan(request) if key in request.path else None

    result, hits = through(runs, bucket, fault, "backup", runs.url, *BACKUP)
    assert hits == [("put", what)] and result.code == 0, (hits, result)
    drtool = drtool_lib.InBucket(bucket)
    assert len(drtool.backups("shop")) == 1
    drtool.ok("check", "shop")
    drtool.ok("backup", runs.url, *BACKUP)  # its own lock did not stay


@pytest.mark.parametrize("what", ["500", "drop", "lose", "400:BadDigest"])
def test_a_manifest_that_cannot_be_put_is_not_listed(runs, bucket, what):
    drtool_lib.InBucket(bucket).ok("backup", runs.url, *BACKUP)
    known = bucket.backups("shop")

    def fault(request):
        return what if request.method == "PUT" and re.search("/backup/[^/]*\\.json", request.path) else None

    result, hits = through(runs, bucket, fault, "backup", runs.url, *BACKUP, retry="2s")
    assert hits and result.code == (0 if what == "lose" else 1), result
    if result.code:
        assert bucket.backups("shop") == known
    drtool_lib.InBucket(bucket).ok("check", "shop", "--backup", "all")


@pytest.mark.parametrize("what", ["drop", "503", "truncate"])
def test_a_server_that_goes_away_in_the_middle_ends_the_backup_in_its_budget(runs, bucket, what):
    gone = []

    def fault(request):
        if ".tar.gz" in request.path and request.method in ("PUT", "POST"):
            gone.append(request)
        return what if gone else None

    result, hits = through(runs, bucket, fault, "backup", runs.url, *BACKUP, retry="2s", timeout=90)
    assert result.code == 1 and hits, result
    assert bucket.backups("shop") == []


def test_what_the_server_asks_to_wait_is_waited(runs, bucket):
    result, hits = through(runs, bucket, s3_faults.nth("put", 1, "503:2", ".tar.gz"), "backup", runs.url, *BACKUP)
    assert result.code == 0 and hits == [("put", "503:2")], result


# --- reading ---

@pytest.fixture(scope="module")
def stored(runs, s3_servers):
    """A bucket with one good backup."""
    bucket = s3_servers().bucket()
    drtool_lib.InBucket(bucket).ok("backup", runs.url, *BACKUP)
    return bucket


FAULTS_OF_ALL = ["drop", "lose", "500", "503:1", "slow", "delay:0.5"]
FAULTS_OF_BYTES = ["truncate", "flip-answer"]


@pytest.mark.parametrize("kind, what", [(kind, what) for kind in ("get", "list", "head") for what in FAULTS_OF_ALL + (FAULTS_OF_BYTES if kind != "head" else [])])
def test_one_fault_of_a_read_is_got_over(runs, stored, kind, what):
    result, hits = through(runs, stored, s3_faults.nth(kind, 1, what), "check", "shop")
    assert result.code == 0, (hits, result)
    assert hits or kind == "head", "check asks for no head"


@pytest.mark.parametrize("what", ["truncate", "flip-answer", "drop", "500"])
def test_a_read_that_always_fails_is_no_damage_of_the_backup(runs, stored, what):
    result, hits = through(runs, stored, s3_faults.nth("get", s3_faults.every, what, ".tar.gz"), "check", "shop", retry="1s", timeout=120)
    assert hits and result.code in (1, 4), result
    if what in ("drop", "500"):
        assert result.code == 1, result
    drtool = drtool_lib.InBucket(stored)
    drtool.ok("check", "shop")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_restore_through_faults_at_random_brings_every_row(runs, stored, my_servers, seed):
    server, copy = my_servers("10.11"), f"s3_faults_copy_{seed}"
    result, hits = through(runs, stored, s3_faults.at_random(seed, 0.15), "restore", "shop", "--into", server.url(copy), "--jobs", "2", "--compare",
                           retry="30s", seed=seed)
    assert result.code == 0, (hits, result)
    server.drop_db(copy)


def test_a_damaged_object_is_found_and_named(runs, bucket):
    drtool = drtool_lib.InBucket(bucket)
    drtool.ok("backup", runs.url, *BACKUP)
    (key,) = drtool.archives("shop")
    data = bytearray(bucket.get(key))
    data[len(data) // 2] ^= 1
    bucket.put(key, bytes(data))
    result = drtool.fails(4, "check", "shop")
    assert bucket.backups("shop")[0] in result.text, result


def test_a_listing_that_lies_hides_no_backup_for_good(runs, stored):
    """Each page is cut in its middle: an error, and not a shorter list."""
    result, hits = through(runs, stored, s3_faults.nth("list", s3_faults.every, "truncate"), "list", "shop", "--json", retry="1s", timeout=60)
    assert hits and result.code != 0, result


# --- a server without conditions ---

def test_hosts_that_race_on_a_server_without_conditions_do_not_both_get_the_lock(runs, s3_servers):
    """moto looks at no signature, so that the proxy can take the conditions away. No lock is free of doubt there: of three hosts at most one backs up."""
    bucket = s3_servers("moto").bucket()
    hosts = [drtool_lib.InBucket(bucket) for _ in range(3)]
    with s3_faults.Proxy(bucket.server) as proxy:
        proxy.without = ("if-match", "if-none-match")
        hosts[0].ok("backup", runs.url, *BACKUP)  # with conditions, which is quicker
        processes = [host.start("backup", runs.url, *BACKUP, env=bucket.env(endpoint=proxy.endpoint), fail="backup.scope.begun:1:delay=3000") for host in hosts]
        ends = [fault.end(process, 300) for process in processes]
    codes = sorted(code for code, _ in ends)
    assert set(codes) <= {0, 6} and codes.count(0) <= 1, ends
    assert len(bucket.backups("shop")) == 1 + codes.count(0)


# --- the end at every failpoint ---

BIG = "create table big (id int primary key, b longblob); insert into big select seq, random_bytes(1024) from seq_1_to_24000"


@pytest.fixture(scope="module")
def big(my_servers):
    """A source whose archive goes up in parts; its url."""
    server = my_servers("10.11")
    server.create_db("s3_big")
    server.sql("s3_big", BIG)
    yield server.url("s3_big")
    server.drop_db("s3_big")


def killed(drtool, bucket, url, name, numbers):
    """Kills backups at this failpoint; each leaves nothing that is listed, and the next one works."""
    reached = False
    for number in numbers:
        known = bucket.backups("shop")
        result = drtool.run("backup", url, "--name", "shop", "--jobs", "2", fail=f"{name}:{number}:kill")
        assert result.code in (0, -signal.SIGKILL), result
        reached = reached or result.code != 0
        now = bucket.backups("shop")
        assert set(known) <= set(now) and len(now) <= len(known) + 1, result
        listed = drtool.run("list", "shop", "--json")
        assert ([b["id"] for b in listed.json[0]["backups"]] if listed.code == 0 else []) == now, listed
        drtool.ok("unlock", "shop", "--yes") if bucket.locked("shop") else None
    return reached


@pytest.mark.skipif(not failpoints.failpoints(), reason="this build has no failpoints")
@pytest.mark.parametrize("name", [name for name in failpoints.points("backup", "mysql") if not name.startswith("local.")])
def test_a_backup_that_is_killed_anywhere_leaves_only_whole_ones_in_the_bucket(runs, bucket, name):
    drtool = drtool_lib.InBucket(bucket)
    killed(drtool, bucket, runs.url, name, (1,))
    drtool.ok("backup", runs.url, *BACKUP)
    drtool.ok("check", "shop", "--backup", "all")


@pytest.mark.skipif(not failpoints.failpoints(), reason="this build has no failpoints")
@pytest.mark.parametrize("name", [name for name in failpoints.failpoints() if name.startswith("s3.")])
def test_an_upload_that_is_killed_is_not_visible_and_its_remains_are_ended_by_a_later_prune(bucket, big, name):
    drtool = drtool_lib.InBucket(bucket)
    assert killed(drtool, bucket, big, name, (1, 2)), "nothing passes it"
    drtool.ok("backup", big, "--name", "shop", "--jobs", "2")
    known = bucket.backups("shop")
    bucket.age_uploads(30)
    bucket.age_objects(50, "shop/backup/")
    drtool.ok("prune", "shop", "--keep-last", "100")
    assert bucket.uploads() == []
    assert bucket.backups("shop") == known
    assert {re.sub("\\..*", "", key.rpartition("/")[2]) for key in bucket.keys("shop/backup/")} == set(known)
    drtool.ok("check", "shop", "--backup", "all")
