"""Runs a command and says what it cost: wall and CPU seconds, peak memory, bytes read."""

import dataclasses
import os
import statistics
import subprocess
import threading
import time


@dataclasses.dataclass
class Cost:
    wall: float = 0.0
    cpu: float = 0.0  # user + system of the command and of all it waited for
    peak: int = 0  # bytes, resident: the command itself
    peak_all: int = 0  # the sum over the command and its children of each one's peak
    read: int = 0  # bytes that the command itself read by read() and pread()
    size: int = 0  # of what it wrote; filled in by the caller
    out: str = ""


class Failed(Exception):
    pass


def _peak(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            direct = children.read().split()
    except OSError:
        return []
    tasks = [child for child in direct]
    for child in direct:
        tasks += _children(child)
    return tasks


def _watch(pid, peaks, stop):
    while not stop.wait(0.02):
        for each in [str(pid), *_children(pid)]:
            peaks[each] = max(peaks.get(each, 0), _peak(each))


def _bytes_read(pid):
    """Of a process that has ended and was not yet waited for."""
    try:
        with open(f"/proc/{pid}/io") as io:
            return next(int(line.split()[1]) for line in io if line.startswith("rchar:"))
    except (OSError, StopIteration):
        return 0


def run(command, env=None, timeout=1800):
    """command: a list, or a string for bash. Raises Failed when it ends with anything but 0."""
    argv = ["bash", "-c", "set -euo pipefail; " + command] if isinstance(command, str) else [str(a) for a in command]
    peaks, stop = {}, threading.Event()
    began = time.monotonic()
    process = subprocess.Popen(argv, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, stop))
    watcher.start()
    output = {}
    readers = [threading.Thread(target=lambda n=n, f=f: output.update({n: f.read()}))
               for n, f in (("out", process.stdout), ("err", process.stderr))]
    for reader in readers:
        reader.start()
    killer = threading.Timer(timeout, process.kill)
    killer.start()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - began
    killer.cancel()
    read = _bytes_read(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    stop.set()
    for thread in (watcher, *readers):
        thread.join()
    if process.returncode != 0:
        raise Failed(f"{' '.join(argv)}\nexit {process.returncode}\n{output['out'][-2000:]}{output['err'][-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, peaks.get(str(process.pid), 0), sum(peaks.values()), read,
                out=output["out"])


def median(costs):
    """The median of each column."""
    pick = lambda name: statistics.median(getattr(cost, name) for cost in costs)  # noqa: E731
    return Cost(*(pick(field.name) for field in dataclasses.fields(Cost) if field.name != "out"), out=costs[-1].out)
