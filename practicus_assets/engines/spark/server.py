"""The server of a step's engine: started in the step's worker, and ended with the step, however that ends."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from practicus_assets.engines.limits import cores, engine_memory
from practicus_assets.engines.spark.spark_connect import NAMES, ServerKind
from practicus_assets.engines.spark.stores import with_variables
from practicus_assets.engines.spark.workers import SailWorkers
from practicus_assets.errors import DeclarationError, EngineFailed
from practicus_assets.redaction import redacted

_START_S = {"sail": 60, "spark": 300}  # a busy machine takes a minute for a JVM
_END_S = 10
_LAST = 2000  # characters of its messages that an error shows
_MEGABYTE = 1 << 20
# by itself, Sail ends a session after 15 minutes without a query; ours lasts as long as the step
_SESSION_S = 365 * 24 * 3600
# statistics of Parquet files leave out NaN, and Sail takes a column with one bound for a constant
_TRUSTS_NO_STATISTICS = {
    "SAIL_EXECUTION__COLLECT_STATISTICS": "false",
    "SAIL_PARQUET__PRUNING": "false",
    "SAIL_PARQUET__ENABLE_PAGE_INDEX": "false",
}


class Server:
    """A server of an engine, as a context: it has started when it is entered, and is gone when it is left.

    Args:
        kind: which one.
        variables: what its environment says beside that of this process, such as how to reach a store.
        workers: the workers that it has; None if it computes itself.

    Attributes:
        address: where it listens, on this machine alone.

    Raises:
        DeclarationError: if Apache Spark or Java is not there.
        EngineFailed: if it does not start.

    """

    def __init__(
        self,
        kind: ServerKind,
        variables: Mapping[str, str] | None = None,
        workers: SailWorkers | None = None,
    ) -> None:
        self._kind = kind
        self._variables = variables or {}
        self._workers = workers
        self.address = ""
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed by __exit__
        self._folder = tempfile.TemporaryDirectory(prefix="practicus-engine-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()  # by which it ends
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
            if self._workers is not None:
                self._workers.end()
        self._messages.close()
        self._folder.cleanup()

    def end_of(self) -> str:
        """Return how the server ended, as a phrase; empty while it runs."""
        process = self._process
        code = process.poll() if process is not None else None
        if code is None:
            return ""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"its server {how}"

    def trouble(self, said: str) -> str:
        """Return what is wrong with its workers, as a phrase; empty if nothing is known to be.

        Args:
            said: what it said of a query that failed.

        """
        return self._workers.trouble(said) if self._workers is not None else ""

    def last_messages(self, settings: Mapping[str, str]) -> str:
        """Return the end of what the server said of what went wrong, without secrets."""
        file = self._messages.fileno()
        begin = max(0, os.fstat(file).st_size - _LAST)  # the server writes where a seek would lead
        text = os.pread(file, _LAST, begin).decode(errors="replace")
        return " ".join(redacted(redacted(text, os.environ), settings).split())

    def _start(self) -> None:
        environment = with_variables(os.environ, self._variables)
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= _settings(self._kind)
        if self._workers is not None:
            environment |= self._workers.settings()
        program = ["-P", "-m", "practicus_assets.engines.spark.program", self._kind, str(os.getpid())]
        sizes = [str(cores()), str(engine_memory() // _MEGABYTE)]
        self._process = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, *program, *sizes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            cwd=self._folder.name,
            env=environment,
            start_new_session=True,  # a signal to the step's group is for the step, which ends its server
        )
        self.address = f"sc://127.0.0.1:{self._port(self._process)}"
        if self._workers is not None:
            self._workers.watch(lambda: self.last_messages({}), self._process.kill)

    def _port(self, process: "subprocess.Popen[Any]") -> int:
        """Return the port that the server says once it listens."""
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], _START_S[self._kind])
        line = process.stdout.readline() if readable else b""
        if line.strip().isdigit():
            return int(line)
        if readable:
            process.wait()
        end = self.end_of() or f"it was not ready after {_START_S[self._kind]} s"
        says = self.last_messages(self._variables) or "nothing"
        raise EngineFailed(
            f"{NAMES[self._kind]} did not start: {end}. It says: {says}.",
            "Read what it says, then run again.",
        )


def _settings(kind: ServerKind) -> dict[str, str]:
    """Return the variables of the environment that configure a server.

    Raises:
        DeclarationError: if Apache Spark or Java is not there.

    """
    if kind == "sail":
        return {
            "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(cores()),
            "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(_SESSION_S),
            **sail_settings(),
        }
    home = os.environ.get("SPARK_HOME") or _installed()
    if home is None or not Path(home, "bin", "spark-submit").is_file():
        raise DeclarationError(
            "the engine is Apache Spark, and SPARK_HOME names no folder of it.",
            "Install pyspark in an environment of its own and set SPARK_HOME to its folder, or write "
            'server="sail".',
        )
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        raise DeclarationError(
            "the engine is Apache Spark, and there is no Java.",
            'Install it (Debian: openjdk-17-jre-headless), or write server="sail".',
        )
    return {"SPARK_HOME": home, "SPARK_LOCAL_IP": "127.0.0.1"}


def sail_settings() -> dict[str, str]:
    """Return the variables that configure what computes in Sail, a server or a worker, where this runs."""
    return {
        **_TRUSTS_NO_STATISTICS,
        "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",
        "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": str(engine_memory()),
        "RUST_LOG": os.environ.get("RUST_LOG", "error"),
    }


def _installed() -> str | None:
    """Return the folder of the package pyspark; pyspark-client has no server in its own."""
    spec = find_spec("pyspark")
    return str(Path(spec.origin).parent) if spec is not None and spec.origin is not None else None
