"""An SMTP server in a thread, which keeps the letters that it takes."""

import ssl
import subprocess
from email import message_from_bytes, policy
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from tests.servers.ports import free_port

if TYPE_CHECKING:
    from email.message import EmailMessage


class Mailbox:
    """An SMTP server; as a context manager it runs for the block.

    Args:
        encryption: "starttls", "tls" or "none".
        folder: a folder for its certificate; none is needed without encryption.
        login: the user and the password that it asks for; None for no login.

    Attributes:
        port: the port at which it listens.
        letters: what it has taken.
        recipients: to whom, for each letter.

    """

    def __init__(
        self,
        encryption: Literal["starttls", "tls", "none"] = "none",
        folder: Path | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self._encryption, self._login = encryption, login
        self.certificate = folder / "certificate.pem" if folder is not None else Path()
        self._key = folder / "key.pem" if folder is not None else Path()
        self.port = free_port()

    def __enter__(self) -> Self:
        options: dict[str, Any] = {}
        if self._encryption != "none":
            context = self._context()
            name = "ssl_context" if self._encryption == "tls" else "tls_context"
            options = {name: context, "require_starttls": self._encryption == "starttls"}
        if self._login is not None:
            options |= {
                "authenticator": self._authenticate,
                "auth_required": self._encryption == "starttls",  # it sees no other encryption
                "auth_require_tls": self._encryption == "starttls",
            }
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 its name
        content = cast("bytes", envelope.content)
        self.letters.append(cast("EmailMessage", message_from_bytes(content, policy=policy.default)))
        self.recipients.append([str(each) for each in envelope.rcpt_tos])
        return "250 taken"

    def _authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    def _context(self) -> ssl.SSLContext:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
                *("-keyout", str(self._key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        return context
