"""A bucket as a store: every command does what it does with a folder, and what a server refuses is said in words that help."""

import re
import socket
import time

import compare
import drtool as drtool_lib
import failpoints
import fault
import pytest
import s3
import s3_faults
import s3_runs

# Rows of 2 KiB that gzip cannot shrink.
NOISE = """create table noise (id int primary key, b bytea);
    insert into noise select i, string_agg(sha512((i * 100 + j)::text::bytea), ''::bytea) from generate_series(1, {}) i, generate_series(1, 32) j group by i"""


@pytest.fixture(scope="module")
def source(my_servers):
    """A small database that no test changes, and that is quick to back up; its url."""
    server = my_servers("10.11")
    server.create_db("s3_source", "character set utf8mb4")
    server.sql("s3_source", s3_runs.SQL)
    yield server.url("s3_source")
    server.drop_db("s3_source")


@pytest.fixture(scope="module")
def shop(servers):
    """A PostgreSQL database of several kinds of objects; (server, name)."""
    server = servers(15)
    server.create_db("s3_shop")
    server.sql("s3_shop", fault.SHOP)
    yield server, "s3_shop"
    for name in server.databases():
        if name.startswith("s3_shop"):
            server.drop_db(name)


BACKUP = ("--name", "shop", "--chunk-size", "16KiB", "--jobs", "2")


def back_up(drtool, source, *more, **kwargs):
    return drtool.run("backup", source, *BACKUP, *more, **kwargs)


def made(bucket, env=None):
    return drtool_lib.InBucket(bucket, env)


def clean_of_secrets(result, bucket):
    assert bucket.server.keys.secret not in result.text, result
    assert "AWS4-HMAC" not in result.text, result


# --- every command ---

def test_a_database_comes_back_out_of_a_bucket(bucket_any, shop):
    server, name = shop
    drtool = made(bucket_any)
    drtool.ok("backup", server.url(name), "--name", "shop", *fault.SMALL)
    (backup,) = [b["id"] for b in drtool.ok("list", "shop", "--json").json[0]["backups"]]
    assert bucket_any.backups("shop") == [backup]
    drtool.ok("check", "shop")
    assert "CRITICAL" not in drtool.run("status", "shop", "--max-age", "1h").out
    copy = f"{name}_{bucket_any.server.kind}"
    drtool.ok("restore", "shop", "--into", server.url(copy), "--compare", "--jobs", "2")
    compare.same(compare.snapshot(server, name), {**compare.snapshot(server, copy), "database": compare.snapshot(server, name)["database"]})


def test_one_table_and_a_restore_that_goes_on_come_out_of_a_bucket(bucket, shop):
    server, name = shop
    drtool = made(bucket)
    drtool.ok("backup", server.url(name), "--name", "shop", *fault.SMALL)
    copy = server.create_db(f"{name}_one")
    drtool.ok("restore", "shop", "--into", server.url(copy), "--table", "app.customer")
    assert server.sql(copy, "select count(*) from app.customer") == "20"
    if failpoints.failpoints():
        command = ["restore", "shop", "--into", server.url(f"{name}_on"), "--jobs", "2"]
        assert drtool.run(*command, fail="load.unit.done:3:kill").code == -9
        drtool.ok(*command, "--resume", "--compare")


def test_pins_prune_and_unlock_work_in_a_bucket(bucket_any, source):
    drtool = made(bucket_any)
    for _ in range(3):
        drtool.ok("backup", source, *BACKUP)
    first, second, third = drtool.backups("shop")
    drtool.ok("pin", "shop", "--backup", first, "--because", "an audit")
    drtool.ok("prune", "shop", "--keep-last", "1")
    assert drtool.backups("shop") == [first, third]
    assert {key.split("/")[-1].split(".")[0] for key in drtool.archives("shop")} == {first, third}
    drtool.ok("unpin", "shop", "--backup", first, "--because", "it is over")
    drtool.ok("prune", "shop", "--keep-last", "1")
    assert drtool.backups("shop") == [third]
    drtool.fails(5, "unlock", "shop", "--yes")  # nobody holds it
    drtool.ok("check", "shop", "--backup", "all")


def test_the_manifest_says_how_the_bytes_in_the_bucket_were_proven(bucket, source):
    drtool = made(bucket)
    drtool.ok("backup", source, *BACKUP)
    assert [proof.rpartition("=")[2] for proof in drtool.manifest("shop")["proofs"]] == ["sha256"]


def test_two_stores_share_a_bucket_by_their_prefixes(bucket, source):
    one, two = made(bucket.at("team/one")), made(bucket.at("team/one-and-two"))
    one.ok("backup", source, *BACKUP)
    two.ok("backup", source, *BACKUP)
    two.ok("backup", source, *BACKUP)
    assert len(one.ok("list", "shop", "--json").json[0]["backups"]) == len(one.backups("shop")) == 1
    two.ok("prune", "shop", "--keep-last", "1")
    assert len(two.backups("shop")) == 1
    one.ok("check", "shop")
    assert all(key.startswith(("team/one/", "team/one-and-two/")) for key in bucket.keys())


def test_spaces_and_letters_of_other_languages_are_parts_of_keys(bucket_any, source):
    drtool = made(bucket_any.at("dépôt 1/a+b & c%41~(é)"))
    drtool.ok("backup", source, *BACKUP)
    assert [s["source"] for s in drtool.ok("list", "--json").json] == ["shop"]
    drtool.ok("check", "shop")
    drtool.ok("backup", source, *BACKUP)
    drtool.ok("prune", "shop", "--keep-last", "1")
    assert len(drtool.backups("shop")) == 1 and all(key.startswith("dépôt 1/a+b & c%41~(é)/") for key in bucket_any.keys())


def test_large_volumes_go_up_in_parts_and_come_back(bucket_any, servers, make_db):
    db = make_db(servers(15), NOISE.format(35_000))  # 72 MB that gzip cannot shrink
    drtool = made(bucket_any)
    drtool.ok("backup", servers(15).url(db), "--name", "noise", "--volume-size", "32MiB", "--jobs", "2")
    objects = drtool.manifest("noise")["objects"]
    assert len(objects) == 3 and all(o["size"] < 40 << 20 for o in objects), objects  # each ends with a whole member
    for volume in objects:
        tag = bucket_any.head(f"noise/backup/{volume['key']}")["etag"].strip('"')
        assert tag.endswith(f"-{-(-volume['size'] // (16 << 20))}") or volume["size"] < 16 << 20, (tag, volume)
    proofs = [proof.rpartition("=")[2] for proof in drtool.manifest("noise")["proofs"]]
    assert proofs == ["sha256" if bucket_any.server.kind == "versitygw" else "md5"]
    assert bucket_any.uploads() == []
    drtool.ok("check", "noise")
    drtool.ok("restore", "noise", "--into", servers(15).url(f"{db}_back"), "--compare")


def test_a_listing_of_more_than_a_page_is_whole(bucket, source):
    drtool = made(bucket)
    drtool.ok("backup", source, *BACKUP)
    for number in range(1100):
        bucket.put(f"shop/backup/0000-{number:04}.txt", b"x")
    drtool.ok("backup", source, *BACKUP)
    assert len(drtool.ok("list", "shop", "--json").json[0]["backups"]) == 2


# --- the way to the server ---

def test_a_server_with_a_certificate_of_a_private_authority_needs_that_authority(s3_servers, source):
    bucket = s3_servers(tls=True).bucket()
    drtool = made(bucket)
    assert back_up(drtool, source).code == 0
    drtool.ok("check", "shop")
    stranger = drtool_lib.InBucket(bucket, {"DRTOOL_STORE": bucket.url(tls="verify-full")})  # on loopback it is not the default
    result = stranger.fails(1, "list", "shop")
    assert "certificate" in result.err.lower(), result


def test_a_bundle_that_the_environment_names_is_an_authority_too(s3_servers, source):
    bucket = s3_servers(tls=True).bucket()
    drtool = drtool_lib.InBucket(bucket, {"DRTOOL_STORE": bucket.url(tls="verify-full"), "AWS_CA_BUNDLE": bucket.server.ca})
    assert back_up(drtool, source).code == 0


def test_a_server_that_is_not_there_is_said_with_its_address(source):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"DRTOOL_STORE": f"s3://bucket?endpoint=http://127.0.0.1:{port}&region=us-east-1&path_style=1&retry=1s", **s3.Keys("a", "b").env}
    drtool = drtool_lib.Drtool(env)
    result = drtool.fails(1, "backup", source, *BACKUP, timeout=60)
    assert str(port) in result.err, result


def test_a_server_that_says_nothing_ends_the_wait(bucket, source):
    drtool = made(bucket)
    with s3_faults.Proxy(bucket.server, lambda request: "stall") as proxy:
        result = back_up(drtool, source, "--store-stall", "1s", env=bucket.env(endpoint=proxy.endpoint, retry="2s"), timeout=120)
    assert result.code == 1, result
    assert bucket.keys() == []


# --- keys and rights ---

def test_wrong_keys_are_said_and_not_shown(bucket, source):
    for keys, why in ((s3.Keys("nobody", "not-the-secret-at-all"), "InvalidAccessKeyId"),
                      (s3.Keys(bucket.server.keys.id, "not-the-secret-at-all"), "SignatureDoesNotMatch")):
        result = back_up(made(bucket, keys.env), source)
        assert result.code == 1 and why in result.err and "environment" in result.err, result
        assert keys.secret not in result.text
        assert bucket.keys() == []


def test_without_keys_every_place_that_was_looked_at_is_named(bucket, source):
    drtool = made(bucket, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"})
    result = back_up(drtool, source)
    assert result.code in (1, 2), result
    assert "AWS_ACCESS_KEY_ID" in result.err, result


def test_an_expired_token_is_said(bucket, source):
    drtool = made(bucket, {"AWS_SESSION_TOKEN": "a-token-of-yesterday"})
    with s3_faults.Proxy(bucket.server, lambda request: "400:ExpiredToken") as proxy:
        result = back_up(drtool, source, env={**bucket.env(endpoint=proxy.endpoint, retry="5s")})
    assert result.code == 1 and re.search("expired|ExpiredToken", result.err), result
    assert "a-token-of-yesterday" not in result.text


def test_a_bucket_that_is_not_there_is_said(bucket, source):
    missing = s3.Bucket(bucket.server, "no-such-bucket")
    result = back_up(made(missing), source)
    assert result.code == 2 and "no-such-bucket" in result.err, result


WRITES = ("PutObject", "GetObject", "ListBucket", "AbortMultipartUpload", "ListMultipartUploadParts", "ListBucketMultipartUploads")


def test_who_may_not_delete_backs_up_and_cannot_prune(bucket, source):
    keys = bucket.server.as_user("writer")
    bucket.allow(keys, *WRITES)
    drtool = made(bucket, keys.env)
    drtool.ok("backup", source, *BACKUP)
    drtool.ok("backup", source, *BACKUP)
    drtool.ok("check", "shop", "--backup", "all")
    known = drtool.backups("shop")
    result = drtool.fails(1, "prune", "shop", "--keep-last", "1")
    assert re.search("denied|not allowed|refused|may not", result.err, re.I), result
    assert drtool.backups("shop") == known
    drtool.ok("backup", source, *BACKUP)  # the lock of the prune that failed is no obstacle


def test_the_smallest_rights_of_a_host_that_backs_up_are_put_get_and_list(bucket, source):
    keys = bucket.server.as_user("smallest")
    bucket.allow(keys, "PutObject", "GetObject", "ListBucket")
    drtool = made(bucket, keys.env)
    drtool.ok("backup", source, *BACKUP)
    drtool.ok("check", "shop")


def test_who_may_not_list_is_told_so(bucket, source):
    made(bucket).ok("backup", source, *BACKUP)
    keys = bucket.server.as_user("blind")
    bucket.allow(keys, "PutObject", "GetObject", "DeleteObject")
    drtool = made(bucket, keys.env)
    result = back_up(drtool, source)
    assert result.code == 1 and re.search("denied|not allowed|refused|may not", result.err, re.I), result
    assert len(drtool.backups("shop")) == 1
    result = drtool.run("list", "shop")
    assert result.code == 1 and re.search("denied|not allowed|refused|may not", result.err, re.I), result


def test_who_may_only_read_restores_and_cannot_back_up(bucket, source, my_servers):
    made(bucket).ok("backup", source, *BACKUP)
    keys = bucket.server.as_user("reader")
    bucket.allow(keys, "GetObject", "ListBucket")
    reader = made(bucket, keys.env)
    reader.ok("list", "shop")
    reader.ok("check", "shop")
    copy = "s3_source_read"
    try:
        reader.ok("restore", "shop", "--into", my_servers("10.11").url(copy), "--compare")
    finally:
        my_servers("10.11").drop_db(copy)
    result = back_up(reader, source)
    assert result.code == 1 and re.search("denied|not allowed|refused|may not", result.err, re.I), result
    assert len(bucket.backups("shop")) == 1


def test_a_clock_that_is_off_is_said_with_both_times(bucket, source):
    drtool = made(bucket)
    with s3_faults.Proxy(bucket.server, lambda request: "403:RequestTimeTooSkewed") as proxy:
        s3_faults.skewed(proxy, 3600)
        result = back_up(drtool, source, env=bucket.env(endpoint=proxy.endpoint, retry="5s"))
    assert result.code == 1 and "clock" in result.err, result
    assert bucket.keys() == []


def test_no_output_holds_a_secret(bucket, source):
    drtool = made(bucket)
    for args in (("backup", source, *BACKUP, "--log-format", "json"), ("list", "shop"), ("check", "shop"), ("status", "shop")):
        clean_of_secrets(drtool.run(*args), bucket)
    for key in bucket.keys():
        assert bucket.server.keys.secret.encode() not in bucket.get(key), key
    for path in drtool.dir.rglob("*"):
        assert not path.is_file() or bucket.server.keys.secret.encode() not in path.read_bytes(), path


# --- two hosts ---

def test_of_two_hosts_one_gets_the_lock(bucket_any, source):
    first, second = made(bucket_any), made(bucket_any)
    process = first.start("backup", source, *BACKUP, fail="backup.scope.begun:1:delay=5000")
    fault.wait_until(lambda: bucket_any.locked("shop"), "the lock is taken")
    result = back_up(second, source)
    assert result.code == 6, result
    assert fault.end(process)[0] == 0
    second.ok("backup", source, *BACKUP)
    assert len(bucket_any.backups("shop")) == 2


def race(hosts, source, env=None):
    """All at once, for a while; what each ended with."""
    processes = [host.start("backup", source, *BACKUP, env=env, fail="backup.scope.begun:1:delay=6000") for host in hosts]
    return [fault.end(process, 120) for process in processes]


def test_hosts_that_race_for_a_lock_do_not_both_get_it(bucket, source):
    ends = race([made(bucket) for _ in range(4)], source)
    assert sorted(code for code, _ in ends) == [0, 6, 6, 6], ends
    assert len(bucket.backups("shop")) == 1


def test_a_host_that_was_killed_leaves_a_lock_that_another_one_takes(bucket, source):
    first, second = made(bucket), made(bucket)
    process = first.start("backup", source, *BACKUP, fail="backup.scope.begun:1:kill")
    assert fault.end(process)[0] == -9
    assert bucket.locked("shop")
    assert bucket.backups("shop") == []
    second.ok("unlock", "shop", "--yes")
    second.ok("backup", source, *BACKUP)


# --- what a bucket can beyond a folder ---

def test_what_is_put_is_kept_as_long_as_object_lock_says(s3_servers, source):
    bucket = s3_servers().bucket(lock=True)
    drtool = made(bucket)
    drtool.ok("backup", source, *BACKUP, env=bucket.env(object_lock="30d", object_lock_mode="governance"))
    kept = {key: bucket.retention(key) for key in bucket.keys()}
    locked = [key for key in kept if kept[key]]
    assert any(key.endswith(".tar.gz") for key in locked) and any(re.search("backup/[^/]*\\.json$", key) for key in locked), kept
    assert any(key.startswith("evidence/") for key in locked), kept
    assert not [key for key in locked if "/lock/" in key], kept
    until = kept[locked[0]][1]
    assert kept[locked[0]][0] == "GOVERNANCE" and until[:10] >= time.strftime("%Y-%m-%d", time.gmtime(time.time() + 29 * 86400)), kept
    drtool.ok("backup", source, *BACKUP, env=bucket.env(object_lock="30d"))
    result = drtool.run("prune", "shop", "--keep-last", "1", env=bucket.env(object_lock="30d"))
    assert until[:4] in result.text, result
    versions = [key for key, _, kind in bucket.versions("shop/backup/") if kind == "object" and key.endswith(".tar.gz")]
    assert len(versions) == 2, "nothing that is retained is gone"


def test_a_storage_class_is_that_of_archives_only(bucket, source):
    with s3_faults.Proxy(bucket.server) as proxy:
        result = back_up(made(bucket), source, env=bucket.env(endpoint=proxy.endpoint, storage_class="STANDARD_IA"))
        asked = {request.path: dict((k.lower(), v) for k, v in request.headers).get("x-amz-storage-class")
                 for request, _ in proxy.log if request.kind in ("put", "begin")}
    assert [path for path, name in asked.items() if name == "STANDARD_IA" and ".tar.gz" not in path] == [], asked
    assert [path for path, name in asked.items() if name == "STANDARD_IA"], (asked, result)


# --- puts that were never finished ---

def test_remains_of_uploads_are_ended_by_a_later_prune(bucket, source):
    drtool = made(bucket)
    drtool.ok("backup", source, *BACKUP)
    old = bucket.start_upload("shop/backup/20260101T000000Z-abcd.tar.gz", [bytes(100)])
    young = bucket.start_upload("shop/backup/20260102T000000Z-abcd.tar.gz", [bytes(100)])
    foreign = bucket.start_upload("other/backup/20260102T000000Z-abcd.tar.gz", [bytes(100)])
    for upload, hours in ((old, 30), (young, 2), (foreign, 30)):
        bucket.age_uploads(hours, upload)
    drtool.ok("prune", "shop", "--keep-last", "5")
    assert {upload for _, upload in bucket.uploads()} == {young, foreign}


def test_the_upload_of_a_run_that_still_lives_after_30_hours_is_left_alone(bucket, servers, make_db):
    db = make_db(servers(15), NOISE.format(20_000))  # more than two parts
    drtool, other = made(bucket), made(bucket)
    process = drtool.start("backup", servers(15).url(db), "--name", "noise", "--jobs", "2", fail="backup.volume.end:1:delay=10000")
    try:
        ((_, upload),) = fault.wait_until(bucket.uploads, "the upload has begun", 60)
        bucket.age_uploads(30, upload, parts=False)
        result = other.run("prune", "noise", "--keep-last", "5")
        assert process.poll() is None, "it ended too early for the test"
        assert [u for _, u in bucket.uploads()] == [upload], result
    finally:
        code, text = fault.end(process, 120)
    assert code == 0, text
    drtool.ok("check", "noise")
    assert bucket.uploads() == []
