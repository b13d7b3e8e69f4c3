"""Throwaway S3 servers for tests, by scripts/s3-server and scripts/s3-moto, and a client of its own that looks into their buckets. Standard library only."""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree

import pg

SCRIPTS = {"versitygw": pg.ROOT / "scripts" / "s3-server", "moto": pg.ROOT / "scripts" / "s3-moto"}
KINDS = tuple(SCRIPTS)

_counter = 0


class Missing(Exception):
    """This server is not installed here."""


class Refused(Exception):
    """What a server answered instead of doing it."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:2000].decode(errors='replace')}")
        self.status, self.code = status, (re.findall(rb"<Code>(\w+)</Code>", body) or [b""])[0].decode()


class Keys:
    """An account of a server."""

    def __init__(self, id, secret, token=None):
        self.id, self.secret, self.token = id, secret, token

    @property
    def env(self):
        """What tools of AWS, drtool among them, find it by."""
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret, **({"AWS_SESSION_TOKEN": self.token} if self.token else {})}


class Server:
    """One server of its own. Use it with `with`, or call start() and remove()."""

    def __init__(self, kind="versitygw", tls=False):
        self.kind, self.tls = kind, tls
        self.dir = pg.temp_dir(f"s3-{kind}")
        self.port = None

    def _script(self, *args):
        done = subprocess.run([str(SCRIPTS[self.kind]), *map(str, args)], timeout=180, capture_output=True, text=True)
        if done.returncode == 0:
            return dict(line.split("=", 1) for line in done.stdout.splitlines())
        if "is not installed" in done.stderr:
            raise Missing(done.stderr.strip())
        raise RuntimeError(done.stderr.strip())

    def _read(self, env):
        self.port, self.pid = int(env["S3_PORT"]), int(env["S3_PID"])
        self.endpoint, self.region, self.ca = env["S3_ENDPOINT"], env["S3_REGION"], env.get("S3_CA")
        self.keys = Keys(env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])
        self.client = Client(self.endpoint, self.keys, self.region, self.ca)
        return self

    def start(self):
        return self._read(self._script("start", self.dir, *(["--tls"] if self.tls else [])))

    def stop(self, mode="fast"):
        self._script("stop", self.dir, mode)

    def restart(self, mode="fast"):
        """The port stays."""
        return self._read(self._script("restart", self.dir, mode))

    def remove(self):
        if (self.dir / "server").exists():
            self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    def bucket(self, **options):
        """A new bucket: versions=True, or lock=True (with versions)."""
        global _counter
        _counter += 1
        return Bucket(self, f"bucket-{os.getpid()}-{_counter}").make(**options)

    def as_user(self, name):
        """An account of versitygw that may do nothing but what the policy of a bucket says."""
        secret = f"secret-of-{name}"
        body = f"<Account><Access>{name}</Access><Secret>{secret}</Secret><Role>user</Role><UserID>0</UserID><GroupID>0</GroupID><ProjectID>0</ProjectID></Account>"
        self.client.request("PATCH", "/create-user", body=body.encode())
        return Keys(name, secret)


class Client:
    """Signs requests and sends them one after another; a refusal is an exception. For looking, not for speed."""

    def __init__(self, endpoint, keys, region="us-east-1", ca=None):
        self.endpoint, self.keys, self.region, self.ca = endpoint, keys, region, ca

    def _connect(self):
        at = urllib.parse.urlsplit(self.endpoint)
        if at.scheme == "https":
            return http.client.HTTPSConnection(at.hostname, at.port, timeout=60, context=ssl.create_default_context(cafile=self.ca))
        return http.client.HTTPConnection(at.hostname, at.port, timeout=60)

    def request(self, method, path, query=None, body=b"", headers=None):
        """Returns the headers (lower case) and the body of the answer."""
        query = "&".join(f"{_quote(k)}={_quote(v)}" for k, v in sorted((query or {}).items()))
        path = urllib.parse.quote(path, safe="/-_.~")
        signed = self._sign(method, path, query, body, {k.lower(): str(v) for k, v in (headers or {}).items()})
        connection = self._connect()
        try:
            connection.request(method, path + (f"?{query}" if query else ""), body, signed)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status >= 300:
                raise Refused(answer.status, data)
            return {k.lower(): v for k, v in answer.getheaders()}, data
        finally:
            connection.close()

    def _sign(self, method, path, query, body, headers):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        sum = hashlib.sha256(body).hexdigest()
        headers = {**headers, "host": urllib.parse.urlsplit(self.endpoint).netloc, "x-amz-date": now, "x-amz-content-sha256": sum}
        if self.keys.token:
            headers["x-amz-security-token"] = self.keys.token
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, query, *(f"{k}:{headers[k]}" for k in sorted(headers)), "", names, sum])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.keys.secret).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return {**headers, "authorization": f"AWS4-HMAC-SHA256 Credential={self.keys.id}/{scope}, SignedHeaders={names}, Signature={signature}"}


def _quote(text):
    return urllib.parse.quote(str(text), safe="-_.~")


class Bucket:
    """A bucket and what lies in it, seen without drtool. prefix: the store begins there."""

    def __init__(self, server, name, prefix=""):
        self.server, self.name, self.prefix = server, name, prefix

    def make(self, versions=False, lock=False):
        self.request("PUT", headers={"x-amz-bucket-object-lock-enabled": "true"} if lock else None)
        if versions or lock:
            self.request("PUT", query={"versioning": ""}, body=b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        return self

    def at(self, prefix):
        """The same bucket, seen from another prefix."""
        return Bucket(self.server, self.name, prefix)

    def url(self, endpoint=None, **options):
        """The store as drtool takes it. endpoint: where something stands in between."""
        options = {"endpoint": endpoint or self.server.endpoint, "region": self.server.region, "path_style": "1", **options}
        return f"s3://{self.name}{'/' + urllib.parse.quote(self.prefix) if self.prefix else ''}?{urllib.parse.urlencode(options, safe=':/')}"

    def env(self, keys=None, endpoint=None, **options):
        """What drtool's environment needs to use it as the only store; keys of another account than the server's own."""
        tls = {"tls_ca": self.server.ca} if self.server.ca else {}
        return {"DRTOOL_STORE": self.url(endpoint, **{**tls, **options}), **(keys or self.server.keys).env}

    def request(self, method, key="", **kwargs):
        return self.server.client.request(method, f"/{self.name}" + (f"/{key}" if key else ""), **kwargs)

    def allow(self, keys, *actions, deny=()):
        """The policy of the bucket: this account may do this and no more. An action is `PutObject`, say."""
        rule = {"Principal": {"AWS": [keys.id]}, "Resource": [f"arn:aws:s3:::{self.name}", f"arn:aws:s3:::{self.name}/*"]}
        rules = [{**rule, "Effect": effect, "Action": self._of(effect_actions, kind), "Resource": rule["Resource"][place]}
                 for effect, all_actions in (("Allow", actions), ("Deny", deny))
                 for kind, place in ((False, 1), (True, 0))
                 for effect_actions in [all_actions] if self._of(effect_actions, kind)]
        self.request("PUT", query={"policy": ""}, body=json.dumps({"Version": "2012-10-17", "Statement": rules}).encode())

    @staticmethod
    def _of(actions, bucket):
        """Those of the bucket itself, or those of its objects."""
        return [f"s3:{a}" for a in actions if (a.startswith(("ListBucket", "GetBucket", "PutBucket")) or "LockConfiguration" in a) == bucket]

    # --- what lies in it ---

    def _list(self, query, what, more):
        """All pages of a listing: [element], by the names of the elements and {element of the answer: parameter of the next request}."""
        found = []
        while True:
            root = _xml(self.request("GET", query={**query, "prefix": self.prefix})[1])
            found += [item for item in root if item.tag in what]
            if root.findtext("IsTruncated") != "true":
                return found
            query = {**query, **{parameter: root.findtext(name) for name, parameter in more.items()}}

    def objects(self, under=""):
        """{key: size}, without the prefix of the store."""
        found = self._list({"list-type": "2"}, ("Contents",), {"NextContinuationToken": "continuation-token"})
        named = {self._short(item): int(item.findtext("Size")) for item in found}
        return {key: size for key, size in sorted(named.items()) if key.startswith(under)}

    def keys(self, under=""):
        return list(self.objects(under))

    def versions(self, under=""):
        """[(key, version, "object" or "marker")], as the server lists them."""
        found = self._list({"versions": ""}, ("Version", "DeleteMarker"), {"NextKeyMarker": "key-marker", "NextVersionIdMarker": "version-id-marker"})
        return [(self._short(item), item.findtext("VersionId"), "object" if item.tag == "Version" else "marker")
                for item in found if self._short(item).startswith(under)]

    def uploads(self):
        """[(key, upload)]: begun in parts, neither completed nor aborted."""
        found = self._list({"uploads": ""}, ("Upload",), {"NextKeyMarker": "key-marker", "NextUploadIdMarker": "upload-id-marker"})
        return [(self._short(item), item.findtext("UploadId")) for item in found]

    def _short(self, item):
        key = item.findtext("Key")
        return key[len(self.prefix):].lstrip("/") if self.prefix else key

    def _full(self, key):
        return f"{self.prefix}/{key}" if self.prefix else key

    def get(self, key, version=None):
        return self.request("GET", self._full(key), query={"versionId": version} if version else None)[1]

    def head(self, key):
        """The headers of the object."""
        return self.request("HEAD", self._full(key))[0]

    def put(self, key, data, **headers):
        """Of a header: its name with underscores."""
        sum = base64.b64encode(hashlib.sha256(data).digest()).decode()  # servers want one where there is a retention
        headers = {"x_amz_checksum_sha256": sum, "x_amz_sdk_checksum_algorithm": "SHA256", **headers}
        self.request("PUT", self._full(key), body=data, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def delete(self, key, version=None):
        self.request("DELETE", self._full(key), query={"versionId": version} if version else None)

    def start_upload(self, key, parts=()):
        """Begins an upload in parts and leaves it."""
        upload = _xml(self.request("POST", self._full(key), query={"uploads": ""})[1]).findtext("UploadId")
        for number, data in enumerate(parts, 1):
            self.request("PUT", self._full(key), query={"partNumber": number, "uploadId": upload}, body=data)
        return upload

    # versitygw's files: what is in parts lies below .sgwtmp of the bucket
    def age_uploads(self, hours, only=None, parts=True):
        """Uploads in parts, or the one of this id, began so long ago; and so did their parts."""
        for folder in (self.server.dir / "data" / self.name / ".sgwtmp" / "multipart").glob("*/*"):
            if only in (None, folder.name):
                for part in folder.iterdir() if parts else ():
                    self._age(part, hours)
                self._age(folder, hours)

    def age_objects(self, hours, under=""):
        for key in self.keys(under):
            self._age(self.server.dir / "data" / self.name / self._full(key), hours)

    @staticmethod
    def _age(path, hours):
        when = time.time() - hours * 3600
        os.utime(path, (when, when))

    def retention(self, key):
        """(mode, until), or None."""
        headers = self.head(key)
        until = headers.get("x-amz-object-lock-retain-until-date")
        return (headers.get("x-amz-object-lock-mode"), until) if until else None

    # --- as drtool.Drtool has it for a folder ---

    def backups(self, source):
        """The ids of the backups that are published, oldest first."""
        return sorted(m[1] for m in (re.fullmatch(f"{re.escape(source)}/backup/([^/]*)\\.json", key) for key in self.keys()) if m)

    def archives(self, source):
        """The keys of the volumes, published or not."""
        return [key for key in self.keys(f"{source}/backup/") if ".tar.gz" in key]

    def manifest(self, source, backup=None):
        return json.loads(self.get(f"{source}/backup/{backup or self.backups(source)[-1]}.json"))

    def locked(self, source, role="backup"):
        """Whether the lock says that somebody holds it."""
        try:
            return json.loads(self.get(f"{source}/lock/{role}.json"))["state"] == "held"
        except Refused:
            return False


def _xml(body):
    root = xml.etree.ElementTree.fromstring(body)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


if __name__ == "__main__":  # of scripts/s3-server
    _endpoint, _id, _secret, _ca, _name, _options = sys.argv[1:]
    _server = Server.__new__(Server)
    _server.client = Client(_endpoint, Keys(_id, _secret), ca=_ca or None)
    Bucket(_server, _name).make(**{option: True for option in _options.split()})
