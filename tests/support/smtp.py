"""A mail server for tests: keeps what it is sent, and misbehaves when told to."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.servers import free_port


@dataclass(frozen=True, slots=True)
class Delivery:
    """One accepted mail: the envelope's addresses and the parsed message."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


@dataclass  # Without slots: aiosmtpd looks at every member, which Python 3.11.2 breaks on then.
class SmtpServer:
    """Listens on `url`. `refusal` is the answer to DATA, `delay` its seconds of waiting."""

    port: int = field(default_factory=free_port)
    refusal: str | None = None
    delay: float = 0.0
    _drops: bool = False
    _deliveries: list[Delivery] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _controller: Controller | None = None

    @property
    def url(self) -> str:
        """For the setting of the SMTP server, without TLS."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def deliveries(self) -> list[Delivery]:
        """What was accepted so far, in order."""
        with self._arrived:
            return list(self._deliveries)

    @property
    def messages(self) -> list[EmailMessage]:
        """The messages accepted so far, in order."""
        return [delivery.message for delivery in self.deliveries]

    def wait_for(self, count: int, *, seconds: float = 10) -> list[EmailMessage]:
        """The messages as soon as there are at least `count`. Raises TimeoutError."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._deliveries) >= count, seconds):
                raise TimeoutError(f"{len(self._deliveries)} of {count} mails arrived")
        return self.messages

    def refuse(self, answer: str = "451 4.3.0 Try again later") -> None:
        """Answer every mail with this line; 4xx is for now, 5xx for good."""
        self.refusal = answer

    def drop(self) -> None:
        """Cut the connection in the middle of every mail."""
        self._drops = True

    def behave(self) -> None:
        """Accept everything at once again."""
        self.refusal, self.delay, self._drops = None, 0.0, False

    def start(self) -> None:
        """Begin to listen."""
        # The name is given because looking up our own can take seconds without a resolver.
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, server_hostname="localhost"
        )
        self._controller.start()

    def stop(self) -> None:
        """Stop listening; `start` opens the same port again."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd with one complete mail; its result is the answer."""
        if self.delay:
            # On purpose the whole server stands still, as an overloaded one would.
            time.sleep(self.delay)
        if self._drops and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
            return "421 4.3.0 Closing"
        if self.refusal is not None:
            return self.refusal
        self._keep(envelope)
        return "250 2.0.0 OK"

    def _keep(self, envelope: Envelope) -> None:
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        message = message_from_bytes(raw, policy=policy.default)
        delivery = Delivery(envelope.mail_from or "", tuple(map(str, envelope.rcpt_tos)), message)
        with self._arrived:
            self._deliveries.append(delivery)
            self._arrived.notify_all()
