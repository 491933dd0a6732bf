"""Reading ahead: small objects are fetched side by side, while the ones before them are parsed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from practicus_assets.sources.files.listing import SourceFile

AT_ONCE = 16  # objects
_SMALL = 4 * 2**20  # bytes; so that all that are held take 64 MB at most

Content = Callable[[], pa.Buffer]


def ahead(
    files: Iterable[SourceFile], fetch: Callable[[SourceFile], pa.Buffer]
) -> Iterator[tuple[SourceFile, Content | None]]:
    """Yield files in their order, each with what waits for its content; None for one that is large.

    Args:
        files: the files.
        fetch: the function that returns the content of a file; it is called in threads.

    """
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="files")
    waiting: deque[tuple[SourceFile, Future[pa.Buffer] | None]] = deque()
    try:
        for file in files:
            waiting.append((file, pool.submit(fetch, file) if file.size <= _SMALL else None))
            if len(waiting) == AT_ONCE:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        pool.shutdown(wait=False, cancel_futures=bool(waiting))


def _first(
    waiting: deque[tuple[SourceFile, Future[pa.Buffer] | None]],
) -> tuple[SourceFile, Content | None]:
    file, content = waiting.popleft()
    return file, content.result if content is not None else None
