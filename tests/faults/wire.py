"""A proxy on loopback between a client and a database, which cuts the connection at a chosen message."""

import contextlib
import os
import signal
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Cut = Literal["before", "after", "kill"]
_BYTES = 1 << 16


@dataclass
class Wire:
    """A proxy to a server; a context manager.

    Of all connections together, the n-th message of a client, that is what it sends at once, is cut
    "before" the server gets it, or "after": then the server does what it says, and its answer is lost. Or it
    is the client's process that is killed ("kill"). Instead of a number, the message may be the first one
    that is a statement which begins with a text: of both databases, five bytes come before it.

    Args:
        host, port: the server's.

    """

    host: str
    port: int
    seen: int = 0
    hits: int = 0
    _cut: tuple[Cut, int | bytes] | None = None
    _pid: int = 0
    _deaf: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.own_port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def arm(
        self, cut: Cut | None = None, at: int | bytes = 0, pid: int = 0, *, for_good: bool = False
    ) -> None:
        """Count from one again, and cut at that message; by default at none. A "kill" is of a process.

        After a cut `for_good`, nobody is connected again before the next call.
        """
        with self._lock:
            self.seen, self.hits, self._cut = 0, 0, (cut, at) if cut is not None else None
            self._pid, self._deaf = pid, for_good

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._deaf and self.hits:
                    client.close()
                    continue
                server = socket.create_connection((self.host, self.port))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on what both say; the ends are closed once nobody reads them: their numbers are used again."""
        lost = threading.Event()
        answering = threading.Thread(target=self._answer, args=(client, server, lost), daemon=True)
        answering.start()
        self._ask(client, server, lost)
        answering.join()
        client.close()
        server.close()

    def _ask(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_BYTES):
                with self._lock:
                    self.seen += 1
                    cut = self._cut[0] if self._cut is not None and self._is_at(data, self._cut[1]) else None
                    self.hits += cut is not None
                if cut == "kill":
                    os.kill(self._pid, signal.SIGKILL)
                if cut in {"before", "kill"}:
                    break
                if cut == "after":
                    lost.set()
                server.sendall(data)
                if cut == "after":
                    server.shutdown(socket.SHUT_WR)  # the server ends when it has done what it was asked for
                    return
        _end(client, server)

    def _is_at(self, data: bytes, at: int | bytes) -> bool:
        """Return whether a message is the one to cut at."""
        return self.seen == at if isinstance(at, int) else not self.hits and data[5:].startswith(at)

    def _answer(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_BYTES):
                if not lost.is_set():
                    client.sendall(data)
        _end(client, server)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
