"""A name server for tests, and a way to run drtool with it as the only one: what mongodb+srv:// asks for.

Needs root: the port of a name server is 53, and drtool gets a /etc/resolv.conf of its own in a mount namespace.
"""

import socket
import struct
import subprocess
import threading

A, TXT, SRV = 1, 16, 33
ADDRESS = "127.53.53.53"


class Missing(Exception):
    """What this machine lacks for it."""


def _name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"


def address(text):
    return A, socket.inet_aton(text)


def service(host, port):
    return SRV, struct.pack(">HHH", 0, 0, port) + _name(host)


def text(value):
    return TXT, bytes([len(value)]) + value.encode()


class Names:
    """Answers with the records of {NAME: [record]}; names that it does not have do not exist."""

    def __init__(self, folder, names):
        self.names = names
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((ADDRESS, 53))
        except OSError as reason:
            raise Missing(f"no name server at {ADDRESS}: {reason}") from None
        self.file = folder / "resolv.conf"
        self.file.write_text(f"nameserver {ADDRESS}\noptions timeout:5 attempts:2\n")
        if subprocess.run(self.command("true"), capture_output=True).returncode:
            self.close()
            raise Missing("no mount namespace can be made here")
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.socket.close()

    def command(self, *command):
        """A command as it runs with this name server."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(self.file), *command]

    def _serve(self):
        while True:
            try:
                question, client = self.socket.recvfrom(4096)
                self.socket.sendto(self._answer(question), client)
            except OSError:
                return

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack_from(">H", question, at + 1)[0]
        known = self.names.get(".".join(labels).lower())
        records = [data for one, data in known or [] if one == kind]
        head = question[:2] + struct.pack(">HHHHH", 0x8580 if known else 0x8583, 1, len(records), 0, 0)
        answers = [struct.pack(">HHHIH", 0xC00C, kind, 1, 1, len(data)) + data for data in records]
        return head + question[12:at + 5] + b"".join(answers)
