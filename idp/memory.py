"""Giving memory back to the system after work that needed much of it for a moment.

The C library keeps the memory of a password hash (19 MiB and more) for the next one, for ever.
Keeping it while hashes follow each other is right: fetching it anew would cost a quarter of the
hash. Keeping it in every process all night is not.
"""

from __future__ import annotations

import ctypes
import threading

QUIET_SECONDS = 3.0


class Trim:
    """Trims once it has been quiet for a while."""

    def __init__(self) -> None:
        # glibc alone has it; elsewhere there is nothing to be done.
        self._malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._lock = threading.Lock()
        self._is_waiting = False
        self._was_busy = False

    def later(self) -> None:
        """Something big was just freed."""
        if self._malloc_trim is None:
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
        self._malloc_trim(0)  # type: ignore[misc]
