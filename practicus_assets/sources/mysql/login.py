"""Logins: how a connection with a server is made."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from practicus_assets.errors import DeclarationError
from practicus_assets.sources.credentials import Credential, revealed

SslMode = Literal["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]


@dataclass(frozen=True)
class Login:
    """How a connection is made; see `MySQL` for what its attributes mean."""

    address: str
    host: str
    port: int
    database: str
    user: str
    password: Credential | None = field(repr=False)
    ssl_mode: SslMode
    ssl_ca: str | Path | None
    ssl_cert: str | Path | None
    ssl_key: str | Path | None
    connect_timeout_s: float
    connect_attempts: int
    read_timeout_s: float | None

    def arguments(self) -> dict[str, Any]:
        """Return what PyMySQL connects by, the password among it: for nothing but the connection itself.

        Raises:
            DeclarationError: the password or a certificate cannot be read.

        """
        password = revealed(self.password or "", f"password of {self.address}")
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": password.encode(),  # PyMySQL would take a text for Latin-1
            "database": self.database,
            "charset": "utf8mb4",
            "connect_timeout": self.connect_timeout_s,
            "read_timeout": self.read_timeout_s,
            "write_timeout": self.read_timeout_s,
            "ssl": self._ssl_context() if self.ssl_mode not in {"DISABLED", "PREFERRED"} else None,
            "ssl_disabled": self.ssl_mode == "DISABLED",
        }

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # of fields that servers' own certificates lack
            context.check_hostname = self.ssl_mode == "VERIFY_IDENTITY"
            if self.ssl_mode == "REQUIRED":
                context.verify_mode = ssl.CERT_NONE
            if self.ssl_cert is not None:
                context.load_cert_chain(self.ssl_cert, self.ssl_key)
        except OSError as error:  # ssl.SSLError is one
            raise DeclarationError(
                f"the certificates of {self.address} cannot be read: {type(error).__name__}: {error}.",
                "Mount the files where the run's processes start.",
            ) from None
        return context
