"""A server of one's own: a process that is started, answers, and is stopped."""

import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERYWHERE = "0.0.0.0"  # noqa: S104 where clients of other machines are to reach a server
HANGS_S = 900  # ends what hangs; a busy machine takes long


class Server(ABC):
    """A server; as a context manager it runs for the block.

    Args:
        address: the address at which it listens.

    Attributes:
        port: the port at which it listens, once it has started.

    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The address at which clients on this machine reach it."""
        return "127.0.0.1" if self.address == _EVERYWHERE else self.address

    @abstractmethod
    def start(self) -> None:
        """Start the server, and return once it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server."""

    @abstractmethod
    def _ask(self) -> None:
        """Ask the server for something; raises while it does not answer."""

    def _run(self, command: list[str | Path], folder: Path, log: Path, user: int | None = None) -> None:
        """Start the process, and return once it answers.

        Args:
            command: the program and its arguments.
            folder: the folder in which it runs.
            log: the file that takes its output.
            user: the id of the user that it runs as, if that is another one.

        Raises:
            RuntimeError: it ended or did not answer in time; with the end of its log.

        """
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, user=user, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            self._wait_until_ready(self._process, log)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        deadline = time.monotonic() + HANGS_S
        while True:
            try:
                self._ask()
            except Exception as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    text = log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{type(self).__name__} did not start: {text}") from error
                time.sleep(0.1)
            else:
                return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
