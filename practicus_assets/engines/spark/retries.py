"""Retries of a client whose server is on this machine: as long as the server runs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.connect.client.retries import DefaultPolicy

    from practicus_assets.engines.spark.server import Server


def while_running(server: "Server") -> "DefaultPolicy":
    """Return the client's own policy, which ends with the server; it would go on for ten minutes."""
    from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415 the extra spark

    class WhileRunning(DefaultPolicy):
        def can_retry(self, exception: BaseException) -> bool:
            return not server.end_of() and bool(super().can_retry(exception))

    return WhileRunning(max_backoff=1000)
