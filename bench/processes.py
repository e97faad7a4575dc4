"""What a process tree costs, by the operating system's own accounting.

Owns: CPU seconds and memory of a process and all its descendants, starting and stopping a child.
Not here: what runs in them. Linux only: everything is read from /proc.

Source: proc(5): /proc/pid/stat fields 4 (ppid), 14 to 17 (utime, stime, cutime, cstime),
/proc/pid/smaps_rollup.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.connection import BenchError

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    pid: int
    is_root: bool
    name: str
    rss: int  # bytes
    pss: int  # bytes: shared pages counted in parts


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat from the third on; empty if the process has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()  # the name may hold blanks and brackets


def tree(root: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the trees so far, their ended and awaited children included.

    A thread's time is in its process; an ended child's moves into its parent's cutime and cstime,
    so the sum never falls while the root lives.
    """
    ticks = 0
    for root in roots:
        for pid in tree(root):
            if fields := _stat(pid):
                ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def memory(root: int) -> list[Memory]:
    """Resident memory of every process of the tree, the root first."""
    found = []
    for pid in tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        sizes = {
            line.split(":")[0]: int(line.split()[1]) * 1024
            for line in rollup.splitlines()
            if line.endswith("kB")
        }
        found.append(Memory(pid, pid == root, name, sizes.get("Rss", 0), sizes.get("Pss", 0)))
    return found


def stop(
    process: subprocess.Popen[bytes],
    *,
    by: signal.Signals = signal.SIGTERM,
    seconds: float = 15.0,
) -> None:
    """Ask the process to end, insist after `seconds`; end what it leaves behind of its tree.

    A server's main process may end before its workers do, or without them.
    """
    if process.poll() is not None:
        return
    family = {pid: _started(pid) for pid in tree(process.pid) if pid != process.pid}
    process.send_signal(by)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, started in family.items():
        if started and _started(pid) == started:  # else the number is another process's by now
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _started(pid: int) -> str | None:
    """When the process was started, which tells it from a later one of the same number."""
    fields = _stat(pid)
    return fields[19] if fields else None


def wait_until(
    is_ready: Callable[[], bool], process: subprocess.Popen[bytes], *, log: Path, seconds: float
) -> float:
    """Ask every 5 ms until ready; the seconds that took. Raises BenchError with the log's end."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if process.poll() is not None:
            break
        if is_ready():
            return time.monotonic() - began
        time.sleep(0.005)
    tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    raise BenchError(f"{process.args!r} did not become ready:\n{tail}")
