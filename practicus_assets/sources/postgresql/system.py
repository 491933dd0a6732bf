"""PostgreSQL as a system: where a database is, and how to log in to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, quote, unquote

import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.parameters import named_parameters
from practicus_assets.sources.credentials import Credential, Variable, revealed
from practicus_assets.sources.system import System

if TYPE_CHECKING:
    from practicus_assets.sources.postgresql.relation import PostgreSQLRelation
    from practicus_assets.sources.postgresql.session import PostgreSQLSession

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://")
_LOGIN = re.compile(r"[^@/]*@")
# a peer that is gone is noticed after two minutes, by either side of the connection
_KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "9",
    "tcp_user_timeout": "120000",
    "client_encoding": "UTF8",
}


@named_parameters
@dataclass(frozen=True, kw_only=True, repr=False)
class PostgreSQL(System):
    """A PostgreSQL database whose tables and queries are read, or into which tables are exported.

        shop = PostgreSQL(host="db", database="shop", user="reader", password=dg.EnvVar("SHOP_PASSWORD"))
        orders = Source("orders", shop.table("public.orders"))

    Nothing is connected until something is read. Every session reads one snapshot.

    Attributes:
        host, port, database, user: where it is, and who reads it.
        password: the password, an environment variable (`dg.EnvVar`), or the path of a file that holds it.
        sslmode, sslrootcert: how the connection is encrypted and the server known, as libpq has it:
            `sslmode="verify-full"`.
        connect_timeout_s: how long one attempt to connect may take.
        connect_attempts: how often to connect where nobody answers, with longer and longer pauses.
        read_timeout_s: how long the server may take until the first rows, or the next, come; None for ever.
            No stream is cut because it takes long as a whole.
        application_name: by which the database's own views name these connections.
        parameters: further ones of libpq, such as `{"target_session_attrs": "prefer-standby"}`.
        pool: the Dagster pool that bounds the steps that read it at once.

    """

    kind: ClassVar[str] = "postgresql"

    host: str = "localhost"
    port: int = 5432
    database: str = "postgres"
    user: str | None = None
    password: Credential | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    connect_timeout_s: float = 10
    connect_attempts: int = 5
    read_timeout_s: float | None = 600
    application_name: str = "practicus_assets"
    parameters: Mapping[str, Credential] = field(default_factory=dict, hash=False)
    pool: str | None = None
    url: Credential | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot connect."""
        for name in ("connect_timeout_s", "connect_attempts", "read_timeout_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise DeclarationError(f"{name} is {value!r}, and must be more than 0.")
        if self.pool is None:
            text = re.sub(r"\W+", "_", self.address.partition("://")[2], flags=re.ASCII).strip("_")
            object.__setattr__(self, "pool", f"source/{text.lower()}")

    @classmethod
    def from_url(
        cls,
        url: Credential,
        *,
        connect_timeout_s: float = 10,
        connect_attempts: int = 5,
        read_timeout_s: float | None = 600,
        application_name: str = "practicus_assets",
        pool: str | None = None,
    ) -> "PostgreSQL":
        """Return the database that a URL leads to: `postgresql://reader:secret@db:5432/shop?sslmode=require`.

        Args:
            url: the URL, an environment variable (`dg.EnvVar`), or the path of a file that holds it. It is
                read when a connection is made.
            connect_timeout_s: as of the class, as the others are.
            connect_attempts: how often to connect.
            read_timeout_s: how long the next rows may take.
            application_name: by which the database names the connections.
            pool: the Dagster pool of the steps that read it.

        """
        return cls(
            url=url,
            connect_timeout_s=connect_timeout_s,
            connect_attempts=connect_attempts,
            read_timeout_s=read_timeout_s,
            application_name=application_name,
            pool=pool,
        )

    @property
    def address(self) -> str:
        """Where it is, without credentials: `postgresql://db:5432/shop`, or where its URL comes from."""
        if self.url is None:
            return f"postgresql://{self.host}:{self.port}/{self.database}"
        if isinstance(self.url, Variable):
            return f"postgresql://{self.url.env_var_name}"
        if not isinstance(self.url, str):
            return f"postgresql://{self.url.name}"
        return _without_login(self.url)

    def __repr__(self) -> str:
        return f"PostgreSQL({self.address!r})"

    def session(self, state: str | None = None) -> "PostgreSQLSession":
        """Return a session, which connects when it is entered; see `System.session`."""
        from practicus_assets.sources.postgresql.session import PostgreSQLSession  # noqa: PLC0415 definitions do without

        return PostgreSQLSession(self, state)

    def table(
        self, name: str, columns: Mapping[str, pa.DataType | str] | None = None
    ) -> "PostgreSQLRelation":
        """Return a table, view, materialized view, foreign or partitioned table.

        Args:
            name: its name exactly as the database has it: `public.orders`, or `public."orders.2024"`; without
                a schema it is looked for in the role's search path.
            columns: the types of columns whose own leave a choice: `{"amount": "decimal(18, 2)"}` for
                `numeric` without precision, `{"duration": "string"}` for types that Delta Lake has not.

        """
        from practicus_assets.sources.postgresql.relation import PostgreSQLRelation  # noqa: PLC0415 as above

        return PostgreSQLRelation.of_table(self, name, columns or {})

    def query(
        self, text: str, columns: Mapping[str, pa.DataType | str] | None = None, name: str | None = None
    ) -> "PostgreSQLRelation":
        """Return the rows of a query, which is one SELECT, VALUES or WITH.

        Args:
            text: the query.
            columns: types of its columns, as of `table`; `sum(bigint)` is a `numeric` without precision.
            name: what errors and pages call it; its beginning, if it has no name.

        """
        from practicus_assets.sources.postgresql.relation import PostgreSQLRelation  # noqa: PLC0415 as above

        return PostgreSQLRelation.of_query(self, text, columns or {}, name)

    def conninfo(self) -> tuple[str, tuple[str, ...]]:
        """Return how libpq connects, and which texts of it no error may show.

        Raises:
            DeclarationError: a credential is not there, or the URL is none of PostgreSQL.

        """
        own = {
            "connect_timeout": str(max(2, round(self.connect_timeout_s))),  # libpq takes no less
            "application_name": self.application_name,
            **_KEEPALIVE,
        }
        if self.url is not None:
            return _with_parameters(revealed(self.url, f"URL of {self!r}"), own, repr(self))
        login = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user,
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
        }
        further = {name: revealed(value, f"{name} of {self!r}") for name, value in self.parameters.items()}
        password = (
            revealed(self.password, f"password of {self.address}") if self.password is not None else None
        )
        values = {**own, **login, "password": password, **further}
        text = " ".join(f"{name}={_escaped(value)}" for name, value in values.items() if value is not None)
        return text, tuple(filter(None, [password, further.get("sslpassword"), further.get("passfile")]))


def _escaped(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _with_parameters(url: str, parameters: Mapping[str, str], what: str) -> tuple[str, tuple[str, ...]]:
    """Return a URL with the parameters that it lacks, and its secrets."""
    scheme = _SCHEME.match(url)
    if scheme is None or "\0" in url:
        raise DeclarationError(
            f"the URL of {what} is none of PostgreSQL.",
            "Write postgresql://user:password@host:5432/database.",
        )
    url = "postgresql://" + url[scheme.end() :].strip()
    login, _, query = _divided(url)
    given = dict(parse_qsl(query, keep_blank_values=True))
    further = "&".join(f"{name}={quote(value)}" for name, value in parameters.items() if name not in given)
    encoded = login.partition(":")[2]
    secrets = [url, login, encoded, unquote(encoded), given.get("password"), given.get("sslpassword")]
    return f"{url}{'&' if query else '?'}{further}", tuple(filter(None, secrets))


def _without_login(url: str) -> str:
    """Return where a URL leads to, without user, password and parameters."""
    return f"postgresql://{_divided(url)[1]}"


def _divided(url: str) -> tuple[str, str, str]:
    """Return the login of a URL, its host with the database, and its parameters.

    A password that is written as it is may hold the characters that divide a URL: to libpq, a login goes up
    to the first `@` that is before any `/`. What may belong to a login is never taken for a host.
    """
    scheme = _SCHEME.match(url)
    text = url[scheme.end() :] if scheme else ""
    found = _LOGIN.match(text)
    start = found.end() if found else 0
    place, _, query = text[start:].partition("?")
    if not found and "@" in query and "=" not in query.partition("@")[0]:  # the login holds "/" and "?"
        start = text.rindex("@") + 1
        place, _, query = text[start:].partition("?")
    start += place.rfind("@") + 1
    return text[: max(0, start - 1)], place.rpartition("@")[2], query
