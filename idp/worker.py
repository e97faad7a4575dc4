"""The worker: delivers the outbox, rotates keys, sweeps what has expired.

Any number may run; rows are leased, rotation is race-safe. The demo runs it as a thread, an
installation as `sekisho worker`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete

from idp import mail, outbox, sms, sms_gateway, tickets
from idp.http import Outbound
from idp.notices import MAIL
from idp.outbox import Handler
from idp.services import Services
from idp.sessions import SessionRow
from idp.settings import Settings
from idp.sms import Keeper, SmsSender
from idp.sms_gateway import HttpGateway

POLL_SECONDS = 2.0
SWEEP_EVERY = timedelta(minutes=5)
KEEP_SESSIONS = timedelta(days=90)
log = logging.getLogger(__name__)


class Worker:
    def __init__(self, services: Services) -> None:
        self._services = services
        sends = bool(services.settings.smtp_url)
        self._handlers: dict[str, Handler] = {
            MAIL: mail.smtp_sender(services.settings, services.clock) if sends else mail.keep,
            sms.KIND: sms.delivery(_sms_sender(services.settings), services.clock),
        }
        self._swept_at: datetime | None = None

    def run_once(self) -> int:
        """One round; how many deliveries it made."""
        services = self._services
        now = services.clock.now()
        delivered = outbox.deliver_due(services.database, services.sealer, self._handlers, now)
        if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY:
            self._sweep(now)
            self._swept_at = now
        return delivered

    def start(self) -> None:
        """Works in a thread, as long as the process lives."""
        threading.Thread(target=self.run, args=(threading.Event(),), daemon=True).start()

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set. A failing round is logged and tried again."""
        while not stop.is_set():
            busy = self._guarded(self.run_once)
            stop.wait(0 if busy else POLL_SECONDS)

    def _guarded(self, work: Callable[[], int]) -> int:
        try:
            return work()
        except Exception:  # The database may be away; the next round will tell.
            log.exception("worker round failed")
            return 0

    def _sweep(self, now: datetime) -> None:
        services = self._services
        services.keyring.maintain(now)
        services.state.purge()
        services.throttle.purge(now)
        outbox.purge(services.database, now)
        tickets.purge(services.database, now)
        with services.database.transaction() as session:
            session.execute(delete(SessionRow).where(SessionRow.last_seen_at < now - KEEP_SESSIONS))


def _sms_sender(settings: Settings) -> SmsSender:
    if not settings.sms_url:
        return Keeper()
    gateway = sms_gateway.read(settings.sms_url, settings.sms_headers, settings.sms_body)
    return HttpGateway(gateway, Outbound(settings.outbound_networks, settings.outbound_ca))
