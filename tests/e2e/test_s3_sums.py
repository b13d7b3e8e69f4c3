"""Servers that refuse headers with checksums, as Backblaze B2 does: what passes is proven by MD5, and everything works."""

import drtool as drtool_lib
import pytest
import s3_faults
import s3_runs

BACKUP = ("--name", "shop", "--chunk-size", "16KiB", "--jobs", "2")
LARGE = "create table t as select i, md5(i::text) || md5((i + 7)::text) || md5((-i)::text) as b from generate_series(1, 480000) i"


@pytest.fixture(scope="module")
def source(my_servers):
    server = my_servers("10.11")
    server.create_db("s3_sums", "character set utf8mb4")
    server.sql("s3_sums", s3_runs.SQL)
    yield server.url("s3_sums")
    for name in server.databases():
        if name.startswith("s3_sums"):
            server.drop_db(name)


@pytest.fixture
def refusing(bucket_any):
    """(drtool, proxy): all that it does passes by a proxy that refuses checksums."""
    with s3_faults.Proxy(bucket_any.server, s3_faults.without_sums) as proxy:
        yield drtool_lib.InBucket(bucket_any, bucket_any.env(endpoint=proxy.endpoint)), proxy


def test_every_command_works_where_headers_of_checksums_are_refused(refusing, source, my_servers):
    drtool, _ = refusing
    for _ in range(2):
        drtool.ok("backup", source, *BACKUP)
    assert [proof.rpartition("=")[2] for proof in drtool.manifest("shop")["proofs"]] == ["md5"]
    drtool.ok("check", "shop", "--backup", "all")
    drtool.ok("restore", "shop", "--into", my_servers("10.11").url(f"s3_sums_{drtool.bucket.server.kind}"), "--compare")
    drtool.ok("prune", "shop", "--keep-last", "1")
    assert len(drtool.backups("shop")) == 1
    assert len(drtool.ok("list", "shop", "--json").json[0]["backups"]) == 1


def test_a_refused_header_is_sent_to_that_server_once_and_bytes_always_with_a_sum(refusing, source):
    drtool, proxy = refusing
    drtool.ok("backup", source, *BACKUP)
    refused = [request.kind for request, what in proxy.log if what]
    assert len(refused) <= 2, refused
    for request, what in proxy.log:
        if request.kind in ("put", "part", "batch") and not what:
            assert "content-md5" in {k.lower() for k, _ in request.headers}, request


def test_volumes_of_several_parts_are_proven_by_md5_where_headers_of_checksums_are_refused(bucket, servers):
    """On versitygw alone: moto makes a CRC64NVME then, for which it lacks a library."""
    server = servers(15)
    db = server.create_db("s3_sums_large")
    server.sql(db, LARGE)
    with s3_faults.Proxy(bucket.server, s3_faults.without_sums) as proxy:
        drtool = drtool_lib.InBucket(bucket, bucket.env(endpoint=proxy.endpoint))
        drtool.ok("backup", server.url(db), "--name", "big")
        server.drop_db(db)
        assert [proof.rpartition("=")[2] for proof in drtool.manifest("big")["proofs"]] == ["md5"]
        assert drtool.manifest("big")["objects"][0]["size"] > 16 << 20
        drtool.ok("check", "big")


def test_a_server_that_spoils_a_part_is_found_where_headers_of_checksums_are_refused(bucket, source):
    def fault(request):
        spoil = request.kind == "put" and ".tar.gz" in request.path
        return s3_faults.without_sums(request) or ("flip-request" if spoil else None)

    with s3_faults.Proxy(bucket.server, fault) as proxy:
        result = drtool_lib.InBucket(bucket).run("backup", source, *BACKUP, env=bucket.env(endpoint=proxy.endpoint, retry="2s"))
    assert result.code == 1 and bucket.backups("shop") == [], result


def test_backups_under_object_lock_carry_the_md5_that_such_a_server_wants(s3_servers, source):
    bucket = s3_servers().bucket(lock=True)
    with s3_faults.Proxy(bucket.server, s3_faults.without_sums) as proxy:
        drtool_lib.InBucket(bucket).ok("backup", source, *BACKUP, env=bucket.env(endpoint=proxy.endpoint, object_lock="30d"))
    assert [key for key in bucket.keys() if key.endswith(".tar.gz") and bucket.retention(key)]
