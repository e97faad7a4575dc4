"""Logs: one JSON object a line, without secrets.

What is logged is chosen where it is logged; as a second line of defence, members whose names speak
of secrets are masked here, and Authlib's debug lines, which contain tokens, are never on.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET = ("password", "secret", "token", "code", "cookie", "authorization", "hint", "verifier")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:2000],
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                masked = any(mark in name.lower() for mark in _SECRET)
                entry[name] = "•••" if masked else value
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Authlib's DEBUG lines contain tokens and verifiers; SQLAlchemy's INFO lines are whole
    # statements with their values.
    for name in ("authlib", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelName(level)))
    for name in ("sqlalchemy", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
