"""The failpoints of the build under test, and the flows that pass them."""

import signal
import subprocess

import drtool as drtool_lib

# Where each failpoint is passed; by the longest prefix. A name that fits none of them fails the test of the list.
FLOWS = {
    "backup": ["archive.", "backup.", "dump.", "lock.", "store_set.", "postgres.snapshot.", "postgres.schema.", "postgres.unit", "postgres.inventory", "evidence.",
               "recover.", "local.lock.", "local.part.", "local.rename.", "local.sync.", "local.write.", "mysql.snapshot", "mysql.unit",
               "mongodb.snapshot", "mongodb.unit"],
    "locked backup": ["mysql.locked"],
    "backup with a log": ["mongodb.log."],
    "backup to S3": ["s3."],
    "backup with a configuration": ["config.put."],
    "first": ["store.init."],
    "restore": ["load.", "restore.begun", "restore.loaded", "restore.finish.", "postgres.load.", "mysql.load.", "mongodb.load."],
    "replay": ["mongodb.replay."],
    "exchange": ["restore.exchange.", "postgres.exchange.", "mysql.exchange.", "mongodb.exchange."],
    "verify": ["verify."],
    "prune": ["prune.", "local.delete."],
    "undelete": ["undelete."],
    "copy": ["copy."],
    "copy --re-encrypt": ["reencrypt."],
    "mark": ["pin.", "accept."],
}


def failpoints():
    """All names; none where the build has none."""
    try:
        done = subprocess.run([drtool_lib.binary()], env={"DRTOOL_FAIL": "list"}, capture_output=True, text=True, timeout=10)
    except OSError:
        return []
    return done.stdout.split() if done.returncode == 0 else []


def flow_of(name):
    fits = [(len(prefix), flow) for flow, prefixes in FLOWS.items() for prefix in prefixes if name.startswith(prefix)]
    return max(fits)[1] if fits else None


def points(flow, driver="postgres"):
    """Those of a flow that a command passes with this driver; None: those that belong to no driver."""
    others = tuple(f"{other}." for other in ("postgres", "mysql", "mongodb") if other != driver)
    return [name for name in failpoints() if flow_of(name) == flow and not name.startswith(others)]


def ended(result, action):
    """Whether the failpoint was reached: killed, or said as error or note."""
    if action == "kill":
        assert result.code in (0, -signal.SIGKILL), result
        return result.code != 0
    assert result.code in (0, 1, 3), result
    return "injected failure" in result.err
