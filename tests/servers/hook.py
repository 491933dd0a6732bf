"""An HTTP server in a thread, which keeps what is posted to it and answers as it is told."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Hook:
    """A receiver of webhooks; as a context manager it runs for the block.

    Attributes:
        posts: the bodies that it has taken.
        headers: the headers of each.
        status: the status that it answers with.
        location: where it redirects to.
        answer: the body that it answers with.
        waits: an event that an answer waits for; None to answer at once.
        arrived: set when something was posted, whether or not it was answered.

    """

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.status, self.location, self.answer = 200, "", b"ok"
        self.waits: threading.Event | None = None
        self.arrived = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/services/T0/B0/hunter2"

    @property
    def texts(self) -> list[str]:
        return [str(post["text"]) for post in self.posts]

    def __enter__(self) -> Self:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.arrived.set()
                if hook.waits is not None:
                    hook.waits.wait(30)
                if hook.status // 100 == 2:
                    hook.posts.append(body)
                    hook.headers.append(dict(self.headers))
                with suppress(ConnectionError):  # of a sender that was killed
                    self._answer()

            def _answer(self) -> None:
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("Location", hook.location)
                self.send_header("Content-Length", str(len(hook.answer)))
                self.end_headers()
                self.wfile.write(hook.answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.waits is not None:
            self.waits.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
