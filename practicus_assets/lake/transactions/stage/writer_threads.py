"""Writer threads: one writes batches in their order while its caller makes the next; several end files."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class WriterThreads:
    """Threads beside the caller's, which is ahead of them by a bounded number of bytes.

    All methods are for the caller's thread. The first error of the work is raised there as it is, by one of
    the next calls; the work that was waiting behind it is not done.

    Args:
        waiting_bytes: the size of the work that may be under way or wait; a single piece may be larger.
        count: the number of threads; one does the work in its order.

    """

    def __init__(self, waiting_bytes: int, count: int = 1) -> None:
        self._limit = waiting_bytes
        self._executor = ThreadPoolExecutor(count, "practicus-assets-writer")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._failed = False

    def do(self, work: Callable[[], None], size: int) -> None:
        """Do a piece of work, begun after the others; wait first, as long as too much waits already.

        Args:
            work: what to do.
            size: the bytes that it holds until it is done.

        """
        while self._waiting and (self._bytes + size > self._limit or self._waiting[0][0].done()):
            self._take_oldest()
        self._waiting.append((self._executor.submit(self._run, work), size))
        self._bytes += size

    @property
    def is_behind(self) -> bool:
        """Whether something waits for one thread, so that its caller has the time to do some of its work."""
        return len(self._waiting) > 1 and not self._waiting[-2][0].done()

    def finish(self) -> None:
        """Wait until all work is done, and end the threads."""
        while self._waiting:
            self._take_oldest()
        self._executor.shutdown()

    def stop(self) -> None:
        """End the threads after what they are doing; what waits is not done, and no error is raised."""
        self._failed = True
        self._waiting.clear()
        self._executor.shutdown(cancel_futures=True)

    def _take_oldest(self) -> None:
        future, size = self._waiting[0]
        future.result()
        self._waiting.popleft()
        self._bytes -= size

    def _run(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise
