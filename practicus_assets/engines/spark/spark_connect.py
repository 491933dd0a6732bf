"""Spark Connect: which server a table's function sends its queries to."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.request.tags import ENGINE_TAG
from practicus_assets.workers.request.worker import Worker

ServerKind = Literal["sail", "spark"]

NAMES = {"sail": "Sail", "spark": "Apache Spark"}
_ADDRESS = re.compile(r"sc://[A-Za-z0-9.\-\[\]:]+(/(;use_ssl=(true|false))?)?")
_OF_STEPS = ("region", "capture_logs", "keep_failed_seconds", "time_limit_seconds", "service_account_token")
_MISSING = "Install it: pip install 'practicus-assets[spark]'."


@dataclass(frozen=True)
class SparkConnect:
    """The engine of a table asset whose function takes and returns Spark DataFrames.

        @table_asset(engine=SparkConnect(), worker=Worker(cpu=4, memory="16Gi"))
        def totals(orders: DataFrame) -> DataFrame:
            return orders.groupBy("shop").agg(F.sum("amount").alias("amount"))

    The engine reads the files of the inputs' pinned versions and writes plain Parquet; the transaction audits
    and commits it. Of Sail 0.7, `min` and `max` by groups are wrong where a floating-point column has NaN:
    leave it out first, `where(~F.isnan("x"))`.

    Attributes:
        server: "sail", which needs no JVM, or "spark", Apache Spark, which needs Java and `SPARK_HOME`. The
            step starts one of its own, in its worker and with its worker's cores and memory, and ends it.
        address: a server that runs already, `sc://host:15002`, of the kind that `server` says; None to start
            one. It has to reach the lake at the same place. A token is read from the environment's
            `SPARK_CONNECT_AUTHENTICATE_TOKEN`.
        workers: how many workers the server has; None to compute in the server itself. Where the step is a
            pod, each is a pod of its own, else a part of the server's process.
        worker: what each of these pods asks for, beside what the asset's worker does.

    Raises:
        DeclarationError: for another kind of server, an address that is none, or workers of a server that
            has none of its own.

    """

    server: ServerKind = "sail"
    address: str | None = None
    workers: int | None = None
    worker: Worker | None = None

    def __post_init__(self) -> None:
        """Refuse what is no server."""
        if self.server not in get_args(ServerKind):
            raise DeclarationError(
                f"the engine's server is {self.server!r}.",
                'Write server="sail" or server="spark"; a server that runs already is an address beside it.',
            )
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise DeclarationError(  # it may have a token, so it is not shown
                "the engine's address is not of the form sc://host:port, or sc://host:port/;use_ssl=true.",
                "Put a token into the environment variable SPARK_CONNECT_AUTHENTICATE_TOKEN.",
            )

        if self.workers is None:
            if self.worker is not None:
                raise DeclarationError(
                    "the engine has a worker, and no workers.",
                    "Say how many: SparkConnect(workers=4, worker=...).",
                )
            return
        if isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 1:
            raise DeclarationError(f"the engine's workers are {self.workers!r}.", "Write a number from 1.")
        if self.server != "sail" or self.address is not None:
            raise DeclarationError(
                f"workers are declared of {self.name}, which the step does not give any.",
                'Leave them out, or write SparkConnect("sail", workers=...) without an address.',
            )
        if self.worker is not None and not isinstance(self.worker, Worker):
            raise DeclarationError(
                f"the engine's worker is {self.worker!r}.", 'Pass a Worker, e.g. Worker(memory="8Gi").'
            )
        own = [name for name in _OF_STEPS if self.worker is not None and name in self.worker.given()]
        if own:
            raise DeclarationError(
                f"the worker of the engine has {', '.join(own)}, which are the step's.",
                "Give them to the asset's worker.",
            )

    @staticmethod
    def tags(engine: "SparkConnect | None") -> dict[str, Any]:
        """Return the tags of an asset's op by which its executor knows that the engine has workers."""
        if engine is None or engine.workers is None:
            return {}
        return {ENGINE_TAG: (engine.worker or Worker()).given()}

    @property
    def name(self) -> str:
        """The engine's name, for people."""
        return NAMES[self.server] + (f" at {self.address}" if self.address is not None else "")

    def refuse_missing(self) -> None:
        """Raise DeclarationError if the packages are missing that this process needs for the engine."""
        if find_spec("pyspark") is None or find_spec("grpc") is None:
            raise DeclarationError(
                "the engine is Spark Connect, and its client pyspark is not installed.", _MISSING
            )
        if self.server == "sail" and self.address is None and find_spec("pysail") is None:
            raise DeclarationError("the engine is Sail, and pysail is not installed.", _MISSING)
