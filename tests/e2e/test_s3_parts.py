"""A backup larger than a part: how it goes to a bucket, what it costs, and that it comes back."""

import pytest

import drtool as drtool_lib
import fault

CEILING = 96  # MiB
ROWS = 1_100_000  # about 55 MiB once compressed

measurable = pytest.mark.skipif("asan" in drtool_lib.binary() or "tsan" in drtool_lib.binary(), reason="a sanitizer needs memory of its own")


@pytest.fixture(scope="module")
def big(servers):
    server = servers(15)
    db = server.create_db("parts")
    server.sql(db, "create table t as select i, md5(i::text) || md5((i + 7)::text) || md5((-i)::text) as b "
                   f"from generate_series(1, {ROWS}) i")
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
