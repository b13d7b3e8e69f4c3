"""Takes an archive of one volume apart by docs/format.md and puts it together again, so that a test can change anything in between and all
checksums still fit. Shares no code with drtool."""

import gzip
import hashlib
import json
import struct
import zlib

TAR_END = bytes.fromhex("1f8b08000000000000ff63601805a360148c5400002eafb5ef00040000")
TRAILER = 86


def inflate(stored):
    plain = b""
    while stored:
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(stored) + member.flush()
        stored = member.unused_data
    return plain


def deflate(plain):
    return gzip.compress(plain, 6, mtime=0)


def header(path, size, kind=b"0", link=b""):
    """A ustar header as drtool writes it."""
    name, prefix = path.encode(errors="surrogateescape"), b""
    if len(name) > 100:
        prefix, _, name = name.rpartition(b"/")
    fields = [name.ljust(100, b"\0"), b"0000600\0", b"0000000\0", b"0000000\0", b"%011o\0" % size if size < 8 ** 11 else b"\x80" + size.to_bytes(11, "big"),
              b"%011o\0" % 0, b" " * 8, kind, link.ljust(100, b"\0"), b"ustar\0" + b"00", b"\0" * 64, b"0000000\0" * 2, prefix.ljust(155, b"\0")]
    block = b"".join(fields).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def entry(path, payload, **kwargs):
    return header(path, len(payload), **kwargs) + payload + b"\0" * (-len(payload) % 512)


class Member:
    """One gzip member of an object: its plain bytes and its row of the index page, as texts."""

    def __init__(self, row, stored):
        self.row, self.plain, self.stored = row, inflate(stored), None

    def bytes(self):
        return self.stored if self.stored is not None else deflate(self.plain)


class Archive:
    """head, objects: lines of the root. members: in the order of their place. The page is made anew by build()."""

    def __init__(self, path):
        data = path.read_bytes()
        offset, length = struct.unpack_from("<QQ", data, len(data) - TRAILER + 24)
        text = self._payload(inflate(data[offset:offset + length])).decode()
        lines = [json.loads(line) for line in text.splitlines()]
        self.head = lines[0]
        assert self.head["pages"] == 1 and self.head["volumes"] == 1, "one page and one volume are enough"
        page, self.objects = lines[1], lines[2:]
        self.page_plain = inflate(data[page["offset"]:page["offset"] + page["length"]])
        first, *rows = self._payload(self.page_plain).decode().splitlines()
        self.columns = first.split("\t")[1:]
        self.members = []
        for text in rows:
            row = dict(zip(self.columns, text.split("\t")))
            at = int(row["offset"])
            self.members.append(Member(row, data[at:at + int(row["length"])]))
        self.page_line = page
        self.keep = set()   # names of columns that build() leaves as they are
        self.root_padding = b""

    @staticmethod
    def _payload(plain):
        return plain[512:512 + int(plain[124:135], 8)]

    def object_of(self, member):
        return self.objects[int(member.row["object"])]

    def tables(self):
        """Members of tables."""
        return [m for m in self.members if self.object_of(m)["kind"] == "table"]

    def build(self):
        """The bytes of the volume, places and checksums made to fit."""
        out = b""
        for member in self.members:
            stored = member.bytes()
            fitting = {"offset": len(out), "length": len(stored), "sha256": hashlib.sha256(stored).hexdigest(), "plain": len(member.plain)}
            member.row.update((name, str(value)) for name, value in fitting.items() if name not in self.keep)
            out += stored
        text = "\t".join(["#drtool-page 1", *self.columns]) + "\n" + "".join("\t".join(m.row[c] for c in self.columns) + "\n" for m in self.members)
        plain = entry("drtool/index/000000.tsv", text.encode())
        page = deflate(plain)
        fitting = {"offset": len(out), "length": len(page), "plain": len(plain), "rows": len(self.members), "sha256": hashlib.sha256(page).hexdigest()}
        self.page_line.update((name, value) for name, value in fitting.items() if "page." + name not in self.keep)
        out += page
        lines = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in (self.head, self.page_line, *self.objects))
        root = deflate(entry("drtool/index/root.jsonl", lines.encode(errors="surrogateescape") + self.root_padding))
        return out + root + TAR_END + trailer(len(out), root)


def trailer(offset, root, length=None):
    fixed = struct.pack("<IIQQ", 1, 0, offset, len(root) if length is None else length) + hashlib.sha256(root).digest()
    return bytes.fromhex("1f8b08040000000000ff4000") + b"DR\x3c\x00" + fixed + hashlib.sha256(fixed).digest()[:4] + b"\x03" + bytes(9)


def sign(manifest):
    """The text of a manifest with the checksum that fits."""
    text = json.dumps({k: v for k, v in manifest.items() if k != "checksum"}, indent=2, ensure_ascii=False)
    text = text.rstrip().removesuffix("}").rstrip() + ",\n  "
    return text + '"checksum": "' + hashlib.sha256(text.encode()).hexdigest() + '"\n}\n'


def publish(drtool, data, **changes):
    """Puts these bytes into the store as the only volume of the newest backup, with a manifest that fits."""
    (volume,) = drtool.archives("shop")
    volume.chmod(0o600)
    volume.write_bytes(data)
    manifest = drtool.manifest("shop")
    manifest["objects"][0].update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    manifest.update(changes)
    path = volume.with_name(volume.name.replace(".tar.gz", ".json"))
    path.chmod(0o600)
    path.write_text(sign(manifest))
