"""ClickHouse, by the package chdb: a reader of Delta tables by way of delta-kernel, not of delta-rs."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class ClickHouse:
    """ClickHouse in a process of its own; as a context manager it runs for the block."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")  # its library takes signals and memory for itself
        self._queries, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs,), daemon=True)

    def read(self, folder: str, columns: str = "*") -> list[dict[str, Any]]:
        """Return the rows of the Delta table in a folder, in a stable order.

        Raises:
            RuntimeError: ClickHouse refused; with its own words.

        """
        quoted = folder.replace("\\", "\\\\").replace("'", "\\'")
        return sorted(self.query(f"SELECT {columns} FROM deltaLakeLocal('{quoted}')"), key=repr)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query; raises as `read` does."""
        self._queries.send(sql)
        answer: list[dict[str, Any]] | str = self._queries.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)  # noqa: TRY004 the text of an error
        return answer

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()


def _serve(queries: Connection) -> None:
    os.chdir("/")  # it reads only what lies below its working directory
    import chdb

    while True:
        try:
            answer = chdb.query(queries.recv(), "ArrowTable").to_pylist()
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 it is raised on the other side
            answer = f"{type(error).__name__}: {error}"
        queries.send(answer)
