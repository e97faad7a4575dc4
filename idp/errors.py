"""Errors of the domain. `idp.web` translates them once, for people and for machines.

A refusal that must be remembered (a failed attempt) is returned by its function; what is raised
rolls back. Messages here are for operators and tests; people read translated ones.
"""

from __future__ import annotations


class SekishoError(Exception):
    """Base of everything this product raises on purpose."""


class Refused(SekishoError):
    """Input that cannot be accepted. `member` names the field or metadata member."""

    def __init__(self, message: str, *, member: str = "") -> None:
        super().__init__(message)
        self.member = member


class NotFound(SekishoError):
    """The named thing does not exist here."""


class SettingsError(SekishoError):
    """A setting is unknown, unusable or unsafe; the message says what to do."""


class TooManyAttempts(SekishoError):
    """This source tries too often. `retry_after` in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many attempts, retry after {retry_after} s")
        self.retry_after = retry_after


class Unavailable(SekishoError):
    """A store or a resource does not answer now; trying again later may help."""

    def __init__(self, what: str, *, retry_after: int = 5) -> None:
        super().__init__(f"{what} is not available")
        self.retry_after = retry_after
