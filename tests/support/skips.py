"""A pytest plugin that counts skipped tests aloud, and fails the run for them in CI.

A component that is missing is said by `needs(...)`, so that the summary can group by it.
"""

import os
from collections import Counter
from typing import NoReturn

import pytest


def needs(component: str, why: str) -> NoReturn:
    """Skip the running test for want of `component`, e.g. "redis"."""
    pytest.skip(f"needs {component}: {why}")


def want_of(reason: str) -> str:
    """What a skip was for want of: the component, or else the whole reason."""
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith("needs "):
        return reason.removeprefix("needs ").partition(":")[0]
    return reason


def is_ci() -> bool:
    """Whether a skip counts as a failure."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


class SkipCounter:
    """The plugin; with xdist the reports of all workers arrive in the controller's."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # An expected failure is reported as skipped, too, but it was run.
        if report.skipped and not hasattr(report, "wasxfail"):
            self._reasons.append(_reason(report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._reasons.append(_reason(report))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._reasons and is_ci() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in summary(self._reasons):
            terminalreporter.write_line(line, yellow=True, bold=True)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr = report.longrepr
    return longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)


def summary(reasons: list[str]) -> list[str]:
    """The lines that say how many tests were skipped, and for want of what."""
    if not reasons:
        return []
    counts = Counter(want_of(reason) for reason in reasons).most_common()
    lines = [f"SKIPPED: {len(reasons)} in all, for want of"]
    lines += [f"  {want}: {count}" for want, count in counts]
    if is_ci():
        lines.append("CI is set: a skipped test is a failure.")
    return lines
