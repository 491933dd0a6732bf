"""MySQL as a system: where a database is, and how to log in to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, get_args

import pyarrow as pa

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.parameters import named_parameters
from practicus_assets.sources.credentials import Credential
from practicus_assets.sources.mysql.login import Login, SslMode
from practicus_assets.sources.system import System

if TYPE_CHECKING:
    from practicus_assets.sources.mysql.relation import MySQLRelation, ZeroDates
    from practicus_assets.sources.mysql.session import MySQLSession

_VERIFYING = ("VERIFY_CA", "VERIFY_IDENTITY")


@named_parameters
@dataclass(frozen=True, kw_only=True, repr=False)
class MySQL(System):
    """A database of MySQL or MariaDB whose tables and queries are read, or into which tables are exported.

        shop = MySQL(host="db", database="shop", user="reader", password=dg.EnvVar("SHOP_PASSWORD"))
        airlines = Source("airlines", shop.table("airlines"))

    Nothing is connected until something is read. Every session reads one snapshot of InnoDB's tables.

    Attributes:
        host, port, database, user: where it is, and who reads it.
        password: the password, an environment variable (`dg.EnvVar`), or the path of a file that holds it.
        ssl_mode: as of MySQL's own clients: PREFERRED encrypts where the server can, and checks no
            certificate; VERIFY_IDENTITY checks the certificate and the host's name.
        ssl_ca: the file with the certificates to check by; None for those of the machine.
        ssl_cert, ssl_key: the files with the client's certificate and its key, where the server asks for one.
        connect_timeout_s: how long one attempt to connect may take.
        connect_attempts: how often to connect where nobody answers, with longer and longer pauses.
        read_timeout_s: how long the server may take until the first rows, or the next, come; None for ever.
            No stream is cut because it takes long as a whole.
        pool: the Dagster pool that bounds the steps that read it at once.

    """

    kind: ClassVar[str] = "mysql"
    shares_state: ClassVar[bool] = False

    host: str = "localhost"
    port: int = 3306
    database: str
    user: str
    password: Credential | None = None
    ssl_mode: SslMode = "PREFERRED"
    ssl_ca: str | Path | None = None
    ssl_cert: str | Path | None = None
    ssl_key: str | Path | None = None
    connect_timeout_s: float = 10
    connect_attempts: int = 5
    read_timeout_s: float | None = 600
    pool: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot connect, or would check less than its author thinks."""
        for name in ("connect_timeout_s", "connect_attempts", "read_timeout_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise DeclarationError(f"{name} is {value!r}, and must be more than 0.")
        modes = get_args(SslMode)
        if self.ssl_mode not in modes:
            raise DeclarationError(
                f"ssl_mode is {self.ssl_mode!r}.",
                did_you_mean(self.ssl_mode, modes, f"Write one of {', '.join(modes)}."),
            )
        if self.ssl_ca is not None and self.ssl_mode not in _VERIFYING:
            raise DeclarationError(
                f"ssl_ca is given, and ssl_mode={self.ssl_mode!r} checks no certificate.",
                'Write ssl_mode="VERIFY_IDENTITY", or "VERIFY_CA" where the host has another name.',
            )
        if self.ssl_cert is not None and self.ssl_mode in {"DISABLED", "PREFERRED"}:
            raise DeclarationError(
                f"ssl_cert is given, and ssl_mode={self.ssl_mode!r} may not encrypt.",
                'Write ssl_mode="REQUIRED" at least.',
            )
        if self.pool is None:
            text = re.sub(r"\W+", "_", self.address.partition("://")[2], flags=re.ASCII).strip("_")
            object.__setattr__(self, "pool", f"source/{text.lower()}")

    @property
    def address(self) -> str:
        """Where it is, without credentials: `mysql://db:3306/shop`."""
        return f"mysql://{self.host}:{self.port}/{self.database}"

    def __repr__(self) -> str:
        return f"MySQL({self.address!r})"

    def session(self, state: str | None = None) -> "MySQLSession":
        """Return a session, which connects when it is entered; see `System.session`.

        Raises:
            DeclarationError: PyMySQL is not installed.

        """
        self._refuse_without_driver()
        from practicus_assets.sources.mysql.session import MySQLSession  # noqa: PLC0415 needs PyMySQL

        return MySQLSession(self.login, state)

    def table(
        self,
        name: str,
        columns: Mapping[str, pa.DataType | str] | None = None,
        *,
        zero_dates: "ZeroDates" = "refuse",
    ) -> "MySQLRelation":
        """Return a table or view.

        Args:
            name: its name exactly as the server has it: `airlines`, `other.airlines` in another database, or
                `` `a.b` ``.
            columns: the types of columns where there is a choice: `{"size": "int8"}` for a `tinyint(1)` that
                is no boolean, `{"at": "string"}` for types that Delta Lake has not, such as `time`.
            zero_dates: "refuse", or "null" to read `0000-00-00` and other dates that no calendar has as null.

        """
        self._refuse_without_driver()
        from practicus_assets.sources.mysql.relation import MySQLRelation  # noqa: PLC0415 needs PyMySQL

        return replace(MySQLRelation.of_table(self, name, columns or {}), zero_dates=zero_dates)

    def query(
        self,
        text: str,
        columns: Mapping[str, pa.DataType | str] | None = None,
        name: str | None = None,
        *,
        zero_dates: "ZeroDates" = "refuse",
    ) -> "MySQLRelation":
        """Return the rows of a query, which is one SELECT, VALUES or WITH.

        Args:
            text: the query; its session is in UTC.
            columns: types of its columns, as of `table`.
            name: what errors and pages call it; its beginning, if it has no name.
            zero_dates: as of `table`.

        """
        self._refuse_without_driver()
        from practicus_assets.sources.mysql.relation import MySQLRelation  # noqa: PLC0415 needs PyMySQL

        return replace(MySQLRelation.of_query(self, text, columns or {}, name), zero_dates=zero_dates)

    @property
    def login(self) -> Login:
        """How a connection is made."""
        return Login(
            self.address,
            self.host,
            self.port,
            self.database,
            self.user,
            self.password,
            self.ssl_mode,
            self.ssl_ca,
            self.ssl_cert,
            self.ssl_key,
            self.connect_timeout_s,
            self.connect_attempts,
            self.read_timeout_s,
        )

    def _refuse_without_driver(self) -> None:
        if find_spec("pymysql") is None:
            raise DeclarationError(
                f"{self.address} is reached by PyMySQL, which is not installed.",
                "pip install 'practicus-assets[mysql]'.",
            )
