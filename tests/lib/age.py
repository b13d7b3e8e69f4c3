"""Keys for encrypted backups, and the stock program age, which must open them without drtool."""

import shutil
import subprocess

# Made for the tests by age-keygen; they open nothing else.
KEYS = (
    ("age1q4vcueav8kmykfg6rkcgjgaru435gku6fpnng49jkgrxavqu3fnqky88cf", "AGE-SECRET-KEY-1CWTAFQ8EHV5Y3N3ZYQNA2YH3SVF4CKSFT8E8AZH8WZ7UEK7US0XS0QV5UR"),
    ("age18k3mw2t68cwg5ksv4x5gq25c2ynw36ghutwa9f9xz6tt6jqzqqcqyq6cqn", "AGE-SECRET-KEY-1QQ0N2EMJRA8VRESJHJUDZNCPC3M0PX5CRFMR3AZPG23LM53PE73Q5M73HP"),
)


def public(number=0):
    return KEYS[number][0]


def identity(folder, number=0):
    """A file with the secret key, of the test's own."""
    path = folder / f"key{number}.txt"
    path.write_text(f"# a key of the tests\n{KEYS[number][1]}\n")
    path.chmod(0o600)
    return path


def missing():
    """Why the stock program cannot be asked; None: it can."""
    return None if shutil.which("age") else "age is not installed (scripts/deps test)"


def opened(path, key):
    """The plain bytes of a sealed file, by age itself."""
    done = subprocess.run(["age", "-d", "-i", key, path], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout
