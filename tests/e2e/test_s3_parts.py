"""A backup larger than a part: how it goes to a bucket, what it costs, and that it comes back."""

import re

import pytest

import drtool as drtool_lib
import fault
import s3_faults

CEILING = 96  # MiB
ROWS = 1_100_000  # about 55 MiB once compressed
TABLE = "create table t as select i, md5(i::text) || md5((i + 7)::text) || md5((-i)::text) as b from generate_series(1, {}) i"

measurable = pytest.mark.skipif("asan" in drtool_lib.binary() or "tsan" in drtool_lib.binary(), reason="a sanitizer needs memory of its own")


@pytest.fixture(scope="module")
def big(servers):
    server = servers(15)
    db = server.create_db("parts")
    server.sql(db, TABLE.format(ROWS))
    yield server, db
    server.drop_db(db)


@measurable
def test_volumes_of_several_parts_are_proven_and_stay_below_the_ceiling_of_memory(big, s3_drtool):
    server, db = big
    result, peak = fault.measured(s3_drtool, "backup", server.url(db), "--name", "big", "--volume-size", "32MiB", program=fault.release(), timeout=600)
    assert result.code == 0, result
    assert peak <= CEILING, f"{peak:.1f} MiB"
    [backup] = s3_drtool.backups("big")
    manifest = s3_drtool.bucket.manifest("big", backup)
    assert len(manifest["objects"]) >= 2
    assert [proof.rsplit("=", 1)[1] for proof in manifest["proofs"]] == ["sha256"]
    for volume in manifest["objects"]:
        etag = s3_drtool.bucket.head(f"big/backup/{volume['key']}")["etag"]
        assert volume["size"] <= 16 << 20 or int(etag.strip('"').rsplit("-", 1)[1]) == -(-volume["size"] // (16 << 20)), (volume, etag)
    assert s3_drtool.bucket.uploads() == []

    result, peak = fault.measured(s3_drtool, "restore", "big", "--into", server.url(db + "_back"), "--compare", program=fault.release(), timeout=600)
    server.drop_db(db + "_back")
    assert result.code == 0 and peak <= CEILING, (peak, result)


def unproven(proxy):
    """The server does not say which sum the parts give together."""
    def rewrite(answer):
        answer.headers = [(k, v) for k, v in answer.headers if not (k.lower().startswith("x-amz-checksum") and "-" in v)]
        answer.body = re.sub(b"<ChecksumSHA256>[^<]*-[0-9]+</ChecksumSHA256>", b"", answer.body)

    proxy.rewrite = rewrite


@pytest.fixture(scope="module")
def two_parts(servers):
    server = servers(15)
    db = server.create_db("two_parts")
    server.sql(db, TABLE.format(480_000))
    yield server, db
    server.drop_db(db)


def test_what_the_server_does_not_prove_is_read_back(two_parts, s3_drtool):
    server, db = two_parts
    with s3_faults.Proxy(s3_drtool.bucket.server) as proxy:
        unproven(proxy)
        s3_drtool.ok("backup", server.url(db), "--name", "big", env=s3_drtool.bucket.env(endpoint=proxy.endpoint))
    [backup] = s3_drtool.backups("big")
    assert s3_drtool.bucket.manifest("big", backup)["proofs"][0].endswith("=read-back")
    s3_drtool.ok("check", "big")


def test_a_copy_that_reads_back_as_other_bytes_is_not_kept(two_parts, s3_drtool):
    server, db = two_parts

    def spoil(request):
        return "flip-answer" if request.kind == "get" and request.path.endswith(".tar.gz") else None

    with s3_faults.Proxy(s3_drtool.bucket.server, spoil) as proxy:
        unproven(proxy)
        result = s3_drtool.run("backup", server.url(db), "--name", "big", env=s3_drtool.bucket.env(endpoint=proxy.endpoint))
    assert result.code == 1 and "read back" in result.err, result
    assert s3_drtool.backups("big") == [] and not [key for key in s3_drtool.bucket.keys() if ".tar.gz" in key]
