"""A proxy on loopback between delta-rs and an S3 server, which makes chosen requests fail.

It is a process of its own: delta-rs may hold Python's lock while it waits for an answer.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Literal, Self, get_args

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

Kind = Literal[
    "500 before",  # answered with an error, not carried out
    "503 before",
    "500 after",  # carried out, and answered with an error
    "cut before",  # connection closed, not carried out
    "cut after",  # carried out, connection closed without an answer
    "cut inside",  # closed half-way through the body: of the request if it has one, else of the answer
    "late answer",  # carried out, answered after the client's deadline
    "late request",  # carried out after the client's deadline
    "slow",  # the answer comes in pieces, within the deadline
    "kill before",  # the writer is killed, nothing is carried out
    "kill after",  # carried out, and then the writer is killed
    "no condition",  # the request's If-None-Match is dropped: a store that ignores it
]
Only = Literal["all", "reads", "writes", "commits"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DEADLINE_S = 0.5  # what delta-rs is told to wait for an answer
_LATE_S = 0.8
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}


@dataclass(frozen=True)
class Fault:
    """What happens to which requests.

    Attributes:
        kind: what happens.
        at: the first request that it happens to, counted from 1.
        only: the requests that are counted; a client sends its reads in no fixed order.
        count: how many of these in a row it happens to; if more than one, to all others meanwhile, too.
        pid: whom to kill.

    """

    kind: Kind
    at: int
    only: Only = "all"
    count: int = 1
    pid: int = 0

    def counts(self, request: str) -> bool:
        """Whether a request is one of those that are counted."""
        return only(self.only, request)


def only(which: Only, request: str) -> bool:
    """Whether a request, as `Seen` has it, is a read, a write, or the write of a log entry."""
    if which == "commits":
        return request.endswith("if-none-match")
    read = request.startswith(("GET", "HEAD"))
    return which == "all" or read == (which == "reads")


@dataclass(frozen=True)
class Seen:
    """The requests since the last `arm`, in order, and how many of them met the fault."""

    requests: list[str]
    hits: int


class FaultProxy:
    """A proxy to an S3 server on loopback; a context manager.

    Args:
        target: the server's URL.

    """

    def __init__(self, target: str) -> None:
        assert target.startswith("http://127.0.0.1:"), "faults are for loopback alone"
        spawn = multiprocessing.get_context("spawn")
        self._commands, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(target, theirs), daemon=True)
        self.endpoint = ""

    def arm(self, fault: Fault | None = None) -> None:
        """Count from one again, and let the fault happen; by default none."""
        self._commands.send(fault)
        assert self._commands.recv() == "armed"

    def seen(self) -> Seen:
        """Return the requests since the last `arm`; waits until none of them is under way."""
        self._commands.send("seen")
        found: Seen = self._commands.recv()
        return found

    def __enter__(self) -> Self:
        self._process.start()
        self.endpoint = f"http://127.0.0.1:{self._commands.recv()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()


def _serve(target: str, commands: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_Proxy(target).serve(commands))


class _Proxy:
    def __init__(self, target: str) -> None:
        self._target = target
        self._fault: Fault | None = None
        self._requests: list[str] = []
        self._hits = 0
        self._counted = 0
        self._busy = 0

    async def serve(self, commands: Connection) -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            commands.send(runner.addresses[0][1])
            while True:
                command = await asyncio.to_thread(commands.recv)
                if command == "seen":
                    while self._busy:
                        await asyncio.sleep(0.01)
                    commands.send(Seen(self._requests, self._hits))
                else:
                    self._fault, self._requests, self._hits, self._counted = command, [], 0, 0
                    commands.send("armed")

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        condition = " if-none-match" if "If-None-Match" in request.headers else ""
        self._requests.append(f"{request.method} {request.raw_path}{condition}")
        fault = self._fault
        met = False
        if fault is not None:
            counted = fault.counts(self._requests[-1])
            self._counted += counted
            reached = fault.at <= self._counted < fault.at + fault.count
            met = reached and (counted or fault.count > 1)  # a store that stays away does so for all
        self._hits += met
        self._busy += 1
        try:
            return await self._answer(request, fault if met else None)
        finally:
            self._busy -= 1

    async def _answer(  # noqa: C901, PLR0911 one branch a kind
        self, request: web.BaseRequest, fault: Fault | None
    ) -> web.StreamResponse:
        kind = fault.kind if fault is not None else None
        body = await request.read()
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP)
        if kind in {"500 before", "503 before"}:
            return _error(int(kind[:3]))
        if kind == "cut before":
            return _cut(request)
        if kind == "kill before":
            return _killed(request, fault)
        if kind == "late request":
            await asyncio.sleep(_LATE_S)
        if kind == "no condition":
            headers.popall("If-None-Match", None)
        if kind == "cut inside" and body:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await self._forward(request, headers, _half(body))
            return _cut(request)
        status, replied, content = await self._forward(request, headers, body or None)
        if kind == "500 after":
            return _error(500)
        if kind == "cut after":
            return _cut(request)
        if kind == "kill after":
            return _killed(request, fault)
        if kind == "late answer":
            await asyncio.sleep(_LATE_S)
        if kind in {"cut inside", "slow"} and request.method != "HEAD":
            return await _in_pieces(request, status, replied, content, cut=kind == "cut inside")
        return web.Response(
            status=status, headers=replied, body=None if request.method == "HEAD" else content
        )

    async def _forward(
        self, request: web.BaseRequest, headers: CIMultiDict[str], data: Any
    ) -> tuple[int, CIMultiDict[str], bytes]:
        """Pass a request on as it was signed: with the host and the escapes that the client wrote."""
        url = URL(self._target + request.raw_path, encoded=True)
        automatic = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=data,
            allow_redirects=False,
            skip_auto_headers=automatic,
        ) as answer:
            content = await answer.read()
            replied = CIMultiDict((k, v) for k, v in answer.headers.items() if k.lower() not in _HOP)
            return answer.status, replied, content


async def _in_pieces(
    request: web.BaseRequest, status: int, headers: CIMultiDict[str], content: bytes, *, cut: bool
) -> web.StreamResponse:
    """Answer piece by piece, or stop half-way through."""
    answer = web.StreamResponse(status=status, headers=headers)
    with contextlib.suppress(ConnectionError):
        await answer.prepare(request)
        step = max(1, len(content) // 4)
        for start in range(0, len(content) // 2 if cut else len(content), step):
            await asyncio.sleep(0 if cut else DEADLINE_S / 10)
            await answer.write(content[start : start + step])
        if cut:
            return _cut(request)
        await answer.write_eof()
    return answer


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise ConnectionAbortedError


def _error(status: int) -> web.Response:
    return web.Response(status=status, text="<Error><Code>InternalError</Code></Error>")


def _cut(request: web.BaseRequest) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _killed(request: web.BaseRequest, fault: Fault | None) -> web.Response:
    assert fault is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(fault.pid, signal.SIGKILL)
    return _cut(request)
