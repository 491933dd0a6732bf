"""E-mail: messages by SMTP, encrypted and with a login where the server wants them."""

import datetime as dt
import logging
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal

import dagster as dg

from practicus_assets.errors import DeclarationError, NotificationFailed, did_you_mean
from practicus_assets.notifications.message import Message
from practicus_assets.notifications.receiver import refuse_no_text, seconds_of, text_of
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import in_short

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@named_parameters
@dataclass(frozen=True)
class Email:
    """A receiver that sends messages by SMTP.

    Attributes:
        to: the addresses that get every message.
        sender: the address that they come from.
        host: the SMTP server; a text, or a `dg.EnvVar`.
        port: its port; by default 587, 465 or 25, by the encryption.
        encryption: "starttls", "tls" from the first byte, or "none".
        user: the login's name; empty for no login. A text, or a `dg.EnvVar`.
        password: the login's password, a `dg.EnvVar`.
        owners: whether the owners of a table that are e-mail addresses get its messages, too.
        ca_file: a file of certificates that the server's is checked with, instead of the system's.
        timeout_seconds: how long the server may take for each answer.
        name: how the sensor's log calls it; two of them need two names.

    """

    to: Sequence[str]
    sender: str
    host: str
    port: int | None = None
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    user: str = field(default="", repr=False)
    password: dg.EnvVar | None = field(default=None, repr=False)
    owners: bool = False
    ca_file: str = ""
    timeout_seconds: float = 10
    name: str = "email"

    def __post_init__(self) -> None:
        """Refuse what no message could be sent by.

        Raises:
            DeclarationError: naming the setting.

        """
        if isinstance(self.to, str) or not self.to or not all(map(_is_address, self.to)):
            raise DeclarationError(
                "the e-mail's to is no list of addresses.", 'Write to=["data@example.com"].'
            )
        object.__setattr__(self, "to", tuple(self.to))
        if not _is_address(self.sender):
            raise DeclarationError(
                "the e-mail's sender is no address.", 'Write sender="dagster@example.com".'
            )
        refuse_no_text(self.host, "the e-mail's host", 'Write host="smtp.example.com".')
        if self.encryption not in _PORTS:
            near = did_you_mean(self.encryption, _PORTS, "Write starttls, tls or none.")
            raise DeclarationError(f"the e-mail's encryption is {self.encryption!r}.", near)
        if self.password is not None and not isinstance(self.password, dg.EnvVar):
            raise DeclarationError(
                "the e-mail's password is written in the code.", 'Write password=dg.EnvVar("SMTP_PASSWORD").'
            )
        if bool(self.user) != (self.password is not None):
            raise DeclarationError(
                "the e-mail has a user or a password, and not both.", "Give both, or none."
            )
        if self.password is not None and self.encryption == "none" and self.host not in _LOOPBACK:
            raise DeclarationError(
                "the e-mail has a password, and the connection is not encrypted.",
                "Write encryption='starttls', or 'tls'.",
            )
        seconds_of(self.timeout_seconds, "the e-mail's timeout_seconds")

    def send(self, message: Message, log: logging.Logger) -> None:
        """Send a message to all of its recipients.

        Raises:
            NotificationFailed: without the login.
            DeclarationError: if an environment variable is not set.

        """
        owners = [owner for owner in message.owners if _is_address(owner)] if self.owners else []
        recipients = list(dict.fromkeys([*self.to, *owners]))
        host = text_of(self.host, f"the host of {self.name}")
        user = text_of(self.user, f"the user of {self.name}") if self.user else ""
        password = text_of(self.password, f"the password of {self.name}") if self.password else ""
        try:
            with self._connected(host) as server:
                if password:
                    server.login(user, password)
                refused = server.send_message(self._letter(message, recipients, host), to_addrs=recipients)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise NotificationFailed(f"{host}: {_problem(error)}.", _advice(error)) from None
        if refused:
            log.warning("%s: %s refused by %s", self.name, ", ".join(sorted(refused)), host)

    def _connected(self, host: str) -> smtplib.SMTP:
        port = self.port or _PORTS[self.encryption]
        if self.encryption == "none":
            return smtplib.SMTP(host, port, timeout=self.timeout_seconds)
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.encryption == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=self.timeout_seconds, context=context)
        server = smtplib.SMTP(host, port, timeout=self.timeout_seconds)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server

    def _letter(self, message: Message, recipients: Sequence[str], host: str) -> EmailMessage:
        letter = EmailMessage()
        letter["Subject"] = in_short(message.title, 200)
        letter["From"] = self.sender
        letter["To"] = ", ".join(recipients)
        letter["Date"] = format_datetime(dt.datetime.now(dt.UTC))
        letter["Message-ID"] = f"<{message.id}@practicus-assets.{host}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content("\n".join([*message.lines, ""]) if message.lines else message.title)
        return letter


def _is_address(text: object) -> bool:
    """Return whether a text is one e-mail address, and no more that a header could be made of."""
    if not isinstance(text, str) or any(character in text for character in "\r\n,"):
        return False
    local, at, domain = parseaddr(text)[1].rpartition("@")
    return bool(local and at and domain) and not text.startswith("team:")


def _problem(error: Exception) -> str:
    """Return what went wrong, without what a server says of a login."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the server refused the login ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the server refused all recipients"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answered with {error.smtp_code}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate does not hold ({error.verify_message})"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "the server did not answer in time"
    words = getattr(error, "strerror", None)
    return f"the server cannot be reached ({words or type(error).__name__})"


def _advice(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "Look at the user and the password."
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "It offers no such encryption or login: look at encryption."
    return ""
