#!/usr/bin/python3
"""Many backups to S3 through a proxy that spoils requests at random: `faults_s3.py --runs 1000 --seed 1 [--jobs 4]`.

Each run must end as a good backup (check passes, the rows are those of the database) or as a clear failure with nothing listed. Prints what
did not and the seed to see it again (`--runs 1 --seed SEED`). Exit 1 where there was any.
"""

import argparse
import collections
import concurrent.futures
import multiprocessing
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import my  # noqa: E402
import pg  # noqa: E402
import s3  # noqa: E402
import s3_runs  # noqa: E402

_runs = None


def one(seed):
    try:
        return seed, _runs.one(seed), ""
    except Exception as wrong:  # of any kind: the other runs go on
        return seed, "WRONG", f"{type(wrong).__name__}: {wrong}"


def start(runs):
    global _runs
    _runs = runs
    pg._run_dir = None  # folders of this process's own


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4)
    args = parser.parse_args()
    began, ended = time.monotonic(), collections.Counter()
    try:
        with my.Server("10.11") as source, s3.Server() as server:
            source.create_db("shop", "character set utf8mb4")
            source.sql("shop", s3_runs.SQL)
            context = multiprocessing.get_context("fork")
            runs = s3_runs.Runs(server, source.url("shop"))
            with concurrent.futures.ProcessPoolExecutor(args.jobs, context, start, (runs,)) as pool:
                for seed, how, text in pool.map(one, range(args.seed, args.seed + args.runs)):
                    ended[how] += 1
                    if text:
                        print(f"--- seed {seed}\n{text}", flush=True)
                    if sum(ended.values()) % 100 == 0:
                        print(f"{sum(ended.values())} runs, {dict(ended)}, {time.monotonic() - began:.0f} s", flush=True)
    finally:
        pg.remove_temp_dirs()
        my.remove_temp_dirs()
    print(f"{args.runs} runs in {time.monotonic() - began:.0f} s: {ended['good']} good backups, {ended['failed']} clear failures, {ended['WRONG']} wrong")
    return 1 if ended["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
