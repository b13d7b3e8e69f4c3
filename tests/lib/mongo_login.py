"""Logins by SCRAM-SHA-256 (RFC 5802, RFC 7677) of the scripted server, whose setting `accounts` has the passwords."""

import base64
import hashlib
import hmac
import secrets

from mongo_query import Refused

ROUNDS, SALT = 4096, 28  # libmongoc takes no other length than that of MongoDB


def hmac_of(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def parts(text):
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def start(server, command):
    if command.get("mechanism") != "SCRAM-SHA-256":
        raise Refused(18, "Authentication failed.")
    bare = command.get("payload").decode().split(",", 2)[2]
    password = server.accounts.get(f"{command.db}.{parts(bare)['n']}")
    if password is None:
        raise Refused(18, "Authentication failed.")
    salt = secrets.token_bytes(SALT)
    first = f"r={parts(bare)['r']}{secrets.token_hex(12)},s={base64.b64encode(salt).decode()},i={ROUNDS}"
    number = secrets.randbelow(1 << 30)
    server.logins[number] = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS), f"{bare},{first}"
    return {"conversationId": number, "done": False, "payload": first.encode()}


def go_on(server, command):
    number, text = command.get("conversationId"), command.get("payload").decode()
    salted, before = server.logins.pop(number)
    without, _, proof = text.rpartition(",p=")
    whole = f"{before},{without}".encode()
    key = hmac_of(salted, b"Client Key")
    signature = hmac_of(hashlib.sha256(key).digest(), whole)
    if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature)):
        raise Refused(18, "Authentication failed.")
    final = b"v=" + base64.b64encode(hmac_of(hmac_of(salted, b"Server Key"), whole))
    return {"conversationId": number, "done": True, "payload": final}
