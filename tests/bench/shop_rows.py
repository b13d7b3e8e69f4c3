"""Writes rows of the benchmark shop as COPY text: shop_rows.py orders|items|settings FIRST LAST.

Deterministic: each block of rows has its own seed, so any range gives the same bytes with any number of processes.
"""

import bisect
import itertools
import multiprocessing
import random
import string
import sys

BLOCK = 25_000
WORDS = 8_000
DRAWS = 1 << 16
START = 1_700_000_000


def _vocabulary():
    """Random letters, three to nine of them: the engines then differ on these notes as they do on the data that the targets
    were measured with (libdeflate 1 gives 1.04 of the size of gzip -6, level 6 gives 0.98)."""
    rng = random.Random("vocabulary")
    words = set()
    while len(words) < WORDS:
        words.add("".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9))))
    words = sorted(words)
    rng.shuffle(words)
    return words


def _zipf(words):
    """A table in which each word stands as often as Zipf's law gives it; a draw is one look."""
    sums = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    return [words[bisect.bisect_left(sums, (i + 0.5) / DRAWS * sums[-1])] for i in range(DRAWS)]


TABLE = _zipf(_vocabulary())
STATUS = ["new", "paid", "packed", "shipped", "shipped", "shipped", "returned", "cancelled"]
CHANNEL = ["web", "web", "app", "app", "phone", "partner"]


def _time(second, micro):
    days, rest = divmod(second, 86400)
    year, month, day = _date(days)
    return f"{year:04}-{month:02}-{day:02} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{micro:06}"


def _date(days):
    """Civil date of a day number; time.gmtime is too slow for millions of rows."""
    days += 719468
    era, doe = divmod(days, 146097)
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def _order(rng, i):
    bits, note = f"{rng.getrandbits(128):032x}", " ".join(rng.choices(TABLE, k=30))
    micro = rng.randrange(1_000_000)
    return (f"{i}\t{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}\t{_time(START + 21 * i, micro)}\t"
            f"{rng.randrange(100, 500_000) / 100:.2f}\t{rng.choice(STATUS)}\t{note}\t"
            f'{{"channel": "{rng.choice(CHANNEL)}", "gift": {"true" if micro % 9 == 0 else "false"}, "items": {micro % 7 + 1}, '
            f'"voucher": {f"{micro % 997}" if micro % 3 == 0 else "null"}}}\n')


def _item(rng, i):
    return f"{i}\t{rng.randrange(1, 1_500_001)}\t{rng.randrange(1, 20_000)}\t{rng.randrange(1, 9)}\t{rng.randrange(100, 90_000) / 100:.2f}\n"


def _setting(rng, i):
    return f"{i}\tsetting.{rng.choice(TABLE)}.{i}\t{' '.join(rng.choices(TABLE, k=8))}\n"


ROW = {"orders": _order, "items": _item, "settings": _setting}


def block(job):
    table, start, first, last = job
    rng = random.Random(f"{table} {start}")
    row = ROW[table]
    rows = [row(rng, i) for i in range(start, min(start + BLOCK, last + 1))]
    return "".join(rows[max(0, first - start):]).encode()


def main():
    table, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    jobs = [(table, start, first, last) for start in range(first - (first - 1) % BLOCK, last + 1, BLOCK)]
    with multiprocessing.Pool() as pool:
        for data in pool.imap(block, jobs):
            sys.stdout.buffer.write(data)


if __name__ == "__main__":
    main()
