"""Between drtool and an S3 server: a proxy that spoils requests and answers, by rule or at random by seed. Standard library only.

A fault is a function of a Request that gives None (pass on) or one of these words, some with a number:

    "drop"          resets the connection before the server hears of it
    "half"          the server gets half of the body, then both connections end
    "lose"          the server does it, the answer is lost: the connection is reset
    "truncate"      the answer ends in its middle
    "duplicate"     the server gets the request twice, the client the second answer
    "stall"         no answer, the connection stays open
    "delay:S"       the answer comes S seconds later
    "503:S"         an answer of the proxy's own, with Retry-After where S is given; also 500, 429; "slow" is 503 SlowDown
    "403:CODE:TEXT" a refusal of the proxy's own, TEXT or a word of the proxy's in it; also 400, 404, 501
    "flip-request"  one bit of the body is other
    "flip-answer"   the same of the answer's body
"""

import http.client
import random
import re
import socket
import ssl
import threading
import time
import urllib.parse

CODES = {"500": "InternalError", "503": "ServiceUnavailable", "429": "TooManyRequests", "slow": "SlowDown"}

# Of the random faults: what, and how often beside the others. "stall" is not among them: each costs the time-out of a request.
MIX = {"drop": 3, "half": 2, "lose": 3, "truncate": 2, "duplicate": 2, "500": 2, "503": 2, "503:0": 1, "slow": 2, "429:0": 1, "delay:0.05": 2,
       "flip-request": 2, "flip-answer": 2}


class Request:
    """What a fault decides by. number: from 1, over all connections."""

    def __init__(self, number, method, target, headers, body):
        self.number, self.method, self.target, self.headers, self.body = number, method, target, headers, body
        self.path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(self.path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    @property
    def kind(self):
        """In a word: list, get, head, put, part, begin, complete, abort, delete, batch, uploads."""
        if self.method == "GET":
            return "uploads" if "uploads" in self.query else "list" if "list-type" in self.query or "versions" in self.query else "get"
        if self.method == "PUT":
            return "part" if "partNumber" in self.query else "put"
        if self.method == "POST":
            return "begin" if "uploads" in self.query else "batch" if "delete" in self.query else "complete"
        if self.method == "DELETE":
            return "abort" if "uploadId" in self.query else "delete"
        return self.method.lower()

    def __repr__(self):
        return f"{self.number} {self.kind} {self.target}"


class Answer:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def bytes(self, head=False):
        """head: of a request whose answer has a length and no body."""
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        lines += [f"{k}: {v}" for k, v in self.headers if k.lower() not in ("content-length", "transfer-encoding", "connection")]
        length = next((v for k, v in self.headers if k.lower() == "content-length"), "0") if head else len(self.body)
        if self.status not in (204, 304):
            lines.append(f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head else self.body)


def at_random(seed, share=0.1, mix=None, first=1, spare=lambda request: False):
    """A fault for one request in 1/share, from the request `first` on; the same for the same seed and number. spare: those that nothing happens to."""
    mix = mix or MIX

    def fault(request):
        draw = random.Random(f"{seed}:{request.number}")
        if request.number < first or spare(request) or draw.random() >= share:
            return None
        return draw.choices(list(mix), list(mix.values()))[0]

    return fault


def nth(kind, numbers, what, key=""):
    """A fault for these passings (from 1; a number, several, or a function) of requests of this kind whose path contains key."""
    lock, seen = threading.Lock(), [0]
    wanted = numbers if callable(numbers) else lambda n: n in ((numbers,) if isinstance(numbers, int) else numbers)

    def fault(request):
        if request.kind != kind or key not in request.path:
            return None
        with lock:
            seen[0] += 1
            return what if wanted(seen[0]) else None

    return fault


def every(_):
    """For nth: each of them."""
    return True


class Proxy:
    """Use it with `with`. url: the endpoint for drtool. log: what passed, as (Request, what was done with it)."""

    def __init__(self, server, fault=None, seed=0):
        at = urllib.parse.urlsplit(server.endpoint)
        self.target, self.tls = (at.hostname, at.port), ssl.create_default_context(cafile=server.ca) if at.scheme == "https" else None
        self.fault, self.seed = fault or (lambda request: None), seed
        self.log, self.lock, self.stopped, self.open = [], threading.Lock(), threading.Event(), set()
        self.rewrite = None  # of an Answer, before it is passed on
        self.without = ()  # headers (lower case) of requests that the server is not to see; moto looks at no signature
        self.moved = 0  # bytes that the client was sent
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.listener.close()
        with self.lock:
            for client in self.open:
                try:
                    client.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def hits(self):
        """What was done to requests, in their order."""
        with self.lock:
            return [(request.kind, what) for request, what in self.log if what]

    def kinds(self):
        """{kind of request: how many}."""
        with self.lock:
            kinds = [request.kind for request, _ in self.log]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    # --- one connection after another, each in a thread ---

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.open.add(client)
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        link = _Link(self.target, self.tls)
        try:
            with client, client.makefile("rb") as stream:
                while not self.stopped.is_set():
                    request = self._read(client, stream)
                    if request is None or not self._pass(client, link, request):
                        return
        except OSError:
            pass
        finally:
            link.close()
            with self.lock:
                self.open.discard(client)

    def _read(self, client, stream):
        line = stream.readline(65536)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (line := stream.readline(65536)).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip(), value.strip()))
        known = {k.lower(): v for k, v in headers}
        if known.get("expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        size = int(known.get("content-length", 0))
        body = stream.read(size) if size else b""
        if len(body) < size:
            return None
        with self.lock:
            self.count += 1
            return Request(self.count, method, target, [(k, v) for k, v in headers if k.lower() not in self.without], body)

    def _pass(self, client, link, request):
        """False: the connection is to end."""
        what = self.fault(request)
        with self.lock:
            self.log.append((request, what))
        word, _, number = (what or "").partition(":")
        draw = random.Random(f"{self.seed}:{request.number}:bytes")
        if word == "drop":
            return _reset(client)
        if word == "stall":
            self.stopped.wait(600)
            return False
        if word in CODES or word in ("400", "403", "404", "501"):
            return self._refuse(client, request, word, number)
        if word == "half":
            link.half(request)
            return _reset(client)
        if word == "flip-request":
            request.body = _flipped(request.body, draw)
        answer = link.ask(request)
        if word == "duplicate":
            answer = link.ask(request)
        if word == "lose":
            return _reset(client)
        if word == "delay":
            self.stopped.wait(float(number))
        if word == "flip-answer":
            answer.body = _flipped(answer.body, draw)
        if self.rewrite:
            self.rewrite(answer)
        data = answer.bytes(request.method == "HEAD")
        with self.lock:
            self.moved += len(data)
        if word == "truncate":
            client.sendall(data[: max(1, len(data) - 1 - (len(answer.body) or len(data)) // 2)])
            return False
        client.sendall(data)
        return True

    def _refuse(self, client, request, word, number):
        code, _, text = number.partition(":")
        status = int(word) if word.isdigit() else 503
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{CODES.get(word, code)}</Code><Message>{text or "from the proxy"}</Message></Error>'.encode()
        headers = [("Content-Type", "application/xml"), ("Date", _date(time.time()))] + ([("Retry-After", number)] if number and word in CODES else [])
        answer = Answer(status, http.client.responses.get(status, "Refused"), headers, body)
        if self.rewrite:
            self.rewrite(answer)
        client.sendall(answer.bytes(request.method == "HEAD"))
        return True


class _Link:
    """To the server. Each request has a connection of its own where the one before was closed."""

    def __init__(self, target, tls):
        self.target, self.tls, self.connection = target, tls, None

    def _connect(self):
        if self.connection is None:
            make = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
            self.connection = make(*self.target, timeout=120, **({"context": self.tls} if self.tls else {}))
        return self.connection

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def ask(self, request):
        for again in (True, False):  # a server may close what was idle
            try:
                return self._ask(request)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if not again:
                    raise

    def _ask(self, request):
        connection = self._connect()
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
        result = Answer(answer.status, answer.reason, answer.getheaders(), answer.read())
        if answer.will_close:
            self.close()
        return result

    def half(self, request):
        """What a client sends that dies on the way."""
        connection = self._connect()
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value.encode("latin-1"))
        if request.body:
            connection.endheaders(request.body[: len(request.body) // 2])
        self.close()


def without_sums(request):
    """For a Proxy: what Backblaze B2 says to headers that speak of checksums."""
    named = next((k.lower() for k, _ in request.headers if k.lower().startswith("x-amz-checksum")), None)
    return f"400:InvalidArgument:Unsupported header '{named}' received for this API call." if named else None


def _reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    return False


def _date(when):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(when))


def _flipped(body, draw):
    if not body:
        return body
    spoiled = bytearray(body)
    spoiled[draw.randrange(len(spoiled))] ^= 1 << draw.randrange(8)
    return bytes(spoiled)


def skewed(proxy, seconds):
    """From now on the server's clock, as its answers tell it, is off by this much."""
    def rewrite(answer):
        when = _date(time.time() + seconds)
        answer.headers = [(k, when if re.fullmatch("date", k, re.I) else v) for k, v in answer.headers]

    proxy.rewrite = rewrite
