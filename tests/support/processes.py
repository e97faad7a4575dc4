"""Processes under test: a command of ours, what it writes, and the whole tree below it.

Ends by number only what it started itself, and tells a number that was given anew by the time that
the process was started. Linux: what lives is read from /proc (proc(5)).
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.servers import die_with_parent

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
STOP_SECONDS = 20


class NotReady(RuntimeError):
    """A process ended, or did not answer in time; carries what it wrote."""


class Process:
    """A command of ours in a session of its own, with all it writes in one file.

    To be started from the main thread: the kernel asks it to stop when that thread is gone.
    """

    def __init__(self, command: list[str], *, environment: Mapping[str, str], log: Path) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start a process from the main thread")
        self.log = log
        self._start_times: dict[int, str] = {}
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C at the terminal is ours: we stop it after the tests' own clean-up.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    @property
    def output(self) -> str:
        """What it wrote so far, errors included."""
        return self.log.read_text("utf-8", "replace")

    def descendants(self) -> list[int]:
        """The living processes below it, at any depth. Kept in mind, to be ended by `stop`."""
        found = [pid for pid in tree(self.pid) if pid != self.pid]
        for pid in found:
            self._start_times.setdefault(pid, started(pid) or "")
        return found

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
        """Raises NotReady when the process ends before, or the time is over."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.returncode is not None or time.monotonic() > deadline:
                raise NotReady(f"{self._popen.args!r}: {self.returncode}\n{self.output[-4000:]}")
            time.sleep(0.02)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        return self._popen.wait(seconds)

    def send(self, signal_number: int) -> None:
        """To the process alone, not to those below it."""
        self.descendants()
        self._popen.send_signal(signal_number)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Asks it to end, insists, and ends whatever is left of its tree; its exit code.

        Harmless when it has ended already.
        """
        if self.returncode is None:
            self.send(signal_number)
            self._popen.send_signal(signal.SIGCONT)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self.wait()
        self.kill_leftovers()
        return self._popen.wait()

    def leftovers(self) -> list[int]:
        """Which of the processes below it that were seen are still alive."""
        return [pid for pid, began in self._start_times.items() if began and started(pid) == began]

    def kill_leftovers(self) -> None:
        """Ends what it left behind, or leaves running while it is gone."""
        for pid in self.leftovers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def tree(root: int) -> list[int]:
    """A process and all its living descendants, the root first (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop(0)
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def started(pid: int) -> str | None:
    """When a living process was started, which tells it from a later one of the same number."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def threads(pid: int) -> int:
    """How many threads a process has; 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[17]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat from the third (state) on; empty if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()  # The name may hold blanks and brackets.
