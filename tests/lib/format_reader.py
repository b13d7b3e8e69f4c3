#!/usr/bin/env python3
"""Reads an archive by docs/format.md alone: format_reader.py VOLUME... prints kind, path, rows, bytes and SHA-256 of each object."""

import hashlib
import json
import sys
import zlib

TAR_END = bytes.fromhex("1f8b08000000000000ff63601805a360148c5400002eafb5ef00040000")


def number(raw):
    return int.from_bytes(raw, "little")


def inflate(stored):
    """All members that stored consists of, joined."""
    plain = b""
    while stored:
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(stored)
        assert member.eof, "a member is cut"
        stored = member.unused_data
    return plain


def checked(stored, sha256):
    assert hashlib.sha256(stored).hexdigest() == sha256, "a checksum differs"
    return stored


def find_root(last):
    trailer = last[-86:]
    assert trailer[:16] == bytes.fromhex("1f8b080400000000 00ff4000") + b"DR\x3c\x00" and trailer[-10:] == b"\x03" + bytes(9)
    assert hashlib.sha256(trailer[16:72]).digest()[:4] == trailer[72:76] and number(trailer[16:20]) == 1
    offset, length = number(trailer[24:32]), number(trailer[32:40])
    assert offset + length == len(last) - 86 - len(TAR_END) and last[offset + length : -86] == TAR_END
    return checked(last[offset : offset + length], trailer[40:72].hex())


def entry(plain):
    """The payload of an entry with one plain header."""
    return plain[512 : 512 + int(plain[124:135], 8)]


def main(paths):
    volumes = [open(path, "rb").read() for path in paths]
    lines = [json.loads(line) for line in entry(inflate(find_root(volumes[-1]))).decode().splitlines()]
    head, pages, objects = lines[0], lines[1 : 1 + lines[0]["pages"]], lines[1 + lines[0]["pages"] :]
    assert head["format"] == "drtool-archive" and head["version"] == 1 and not head["requires"]
    assert head["volumes"] == len(volumes) and head["objects"] == len(objects)

    def stored(at):
        place = int(at["offset"])
        return checked(volumes[int(at["volume"])][place : place + int(at["length"])], at["sha256"])

    members = {o["object"]: [] for o in objects}
    for page in pages:
        first, *rows = entry(inflate(stored(page))).decode().splitlines()
        mark, *columns = first.split("\t")
        assert mark == "#drtool-page 1" and len(rows) == page["rows"]
        for row in (dict(zip(columns, text.split("\t"))) for text in rows):
            members[int(row["object"])].append(row)

    for o in objects:
        content = b""
        for row in sorted(members[o["object"]], key=lambda r: (int(r["range"]), int(r["part"]))):
            plain, start = inflate(stored(row)), int(row["head"])
            assert len(plain) == int(row["plain"])
            content += plain[start : start + int(row["raw"])]
        assert len(content) == o["raw"] and len(members[o["object"]]) == o["members"]
        print(o["kind"], o["path"], o["rows"], o["raw"], hashlib.sha256(content).hexdigest(), sep="\t")


main(sys.argv[1:])
