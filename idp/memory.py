"""Giving memory back to the system after work that needed much of it for a moment.

The C library keeps the memory of a password hash (19 MiB and more) for the next one, for ever, and
each thread that hashes keeps its own. Keeping one while hashes follow each other is right: fetching
it anew would cost half of the hash. Keeping it in every process all night is not.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

QUIET_SECONDS = 0.5
_M_ARENA_MAX = -8  # of <malloc.h>
_C = ctypes.CDLL(None)
# glibc alone has them; elsewhere there is nothing to be done.
_malloc_trim: Callable[[int], int] | None = getattr(_C, "malloc_trim", None)
_mallopt: Callable[[int, int], int] | None = getattr(_C, "mallopt", None)


def share_arena() -> None:
    """Has all threads allocate from one place: `malloc_trim` gives nothing of the others back.
    Python's own lock leaves them little to compete for. For threads that begin later."""
    if _mallopt is not None:
        _mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Gives back what is free now, of what loading took, say."""
    if _malloc_trim is not None:
        _malloc_trim(0)


class Trim:
    """Gives back once it has been quiet for a while."""

    def __init__(self) -> None:
        share_arena()
        self._lock = threading.Lock()
        self._is_waiting = False
        self._was_busy = False

    def later(self) -> None:
        """Something big was just freed."""
        if _malloc_trim is None:
            return
        with self._lock:
            self._was_busy = True
            if not self._is_waiting:
                self._is_waiting = True
                self._wait()

    def _wait(self) -> None:
        self._was_busy = False
        timer = threading.Timer(QUIET_SECONDS, self._fire)
        timer.daemon = True
        timer.start()

    def _fire(self) -> None:
        with self._lock:
            if self._was_busy:
                self._wait()
                return
            self._is_waiting = False
        give_back()
