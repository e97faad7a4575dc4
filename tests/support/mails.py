"""What would have been mailed."""

from collections.abc import Mapping
from typing import Any

from idp import outbox
from idp.outbox import OutboxRow
from tests.support.installation import Installation


def mails(installation: Installation) -> list[Mapping[str, Any]]:
    """All mails of the outbox, the oldest first."""
    with installation.database() as session:
        rows = session.query(OutboxRow).order_by(OutboxRow.created_at, OutboxRow.id).all()
        return [outbox.open_payload(row, installation.services.sealer) for row in rows]
