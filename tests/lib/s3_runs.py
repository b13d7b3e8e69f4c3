"""Backups to S3 through a proxy that spoils requests at random: each ends as a good backup, or as a clear failure with nothing listed."""

import gzip
import hashlib
import io
import random
import shutil
import tarfile

import drtool as drtool_lib
import s3_faults

OPTIONS = ("--name", "shop", "--chunk-size", "16KiB", "--jobs", "2")
SQL = "create table t (id int primary key, v varchar(64)); insert into t select seq, md5(seq) from seq_1_to_2000; create table u (a int); insert into u values (1)"


def data_of(archive):
    """{path: sum} of the pieces of tables in the bytes of a volume."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        return {member.name: hashlib.sha256(tar.extractfile(member).read()).hexdigest() for member in tar if "/data/" in member.name}


class Wrong(AssertionError):
    """A run ended as none may."""


class Runs:
    """url: of a source that does not change. server: an s3.Server."""

    def __init__(self, server, url):
        self.server, self.url = server, url
        clean = self._drtool(server.bucket())
        clean.ok("backup", url, *OPTIONS)
        self.expected = data_of(clean.bucket.get(clean.archives("shop")[0]))
        assert self.expected

    @staticmethod
    def _drtool(bucket):
        return drtool_lib.InBucket(bucket)

    @staticmethod
    def plan(seed):
        """What happens in the run of this seed: mostly a share of the requests is spoiled, now and then the server goes for good."""
        draw = random.Random(f"plan {seed}")
        if draw.random() < 0.15:
            return s3_faults.at_random(seed, 1.0, {draw.choice(("drop", "503", "500", "truncate", "half")): 1}, first=draw.randrange(1, 40))
        return s3_faults.at_random(seed, draw.choice((0.03, 0.06, 0.12, 0.25)))

    def one(self, seed, retry="4s", timeout=120):
        """Returns "good" or "failed"; raises Wrong."""
        bucket = self.server.bucket()
        drtool = self._drtool(bucket)
        try:
            with s3_faults.Proxy(self.server, self.plan(seed), seed) as proxy:
                result = drtool.run("backup", self.url, *OPTIONS, env=bucket.env(endpoint=proxy.endpoint, retry=retry), timeout=timeout)
                hits = proxy.hits()
            return self._judge(drtool, bucket, result)
        except AssertionError as wrong:
            raise Wrong(f"seed {seed}: {wrong}\nfaults: {hits}") from wrong
        finally:
            shutil.rmtree(drtool.dir, ignore_errors=True)
            shutil.rmtree(self.server.dir / "data" / bucket.name, ignore_errors=True)

    def _judge(self, drtool, bucket, result):
        listed = drtool.backups("shop")
        assert result.code in (0, 1), repr(result)
        if result.code:
            assert not listed, f"failed, and yet {listed} is listed: {result!r}"
            assert result.err.strip() and len(result.err) < 20000, repr(result)
            return "failed"
        assert len(listed) == 1, f"listed: {listed}: {result!r}"
        archive = b"".join(bucket.get(key) for key in drtool.archives("shop"))
        manifest = bucket.manifest("shop")
        assert [hashlib.sha256(archive).hexdigest()] == [o["sha256"] for o in manifest["objects"]], "other bytes than the manifest says"
        assert data_of(archive) == self.expected, "other rows than those of the database"
        drtool.ok("check", "shop")
        return "good"
