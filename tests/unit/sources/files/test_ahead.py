import threading

import pyarrow as pa
import pytest

from practicus_assets.sources.files.ahead import AT_ONCE, ahead
from practicus_assets.sources.files.listing import SourceFile

FILES = [SourceFile(f"{number:03}", number, 0) for number in range(100)]


def test_files_come_in_order_with_their_own_content() -> None:
    contents = [
        (file, content) for file, content in ahead(FILES, lambda file: pa.py_buffer(file.path.encode()))
    ]
    assert [file for file, _ in contents] == FILES
    assert [content().to_pybytes().decode() for _, content in contents if content] == [f.path for f in FILES]


def test_no_more_files_are_fetched_than_are_soon_needed() -> None:
    fetched = threading.Semaphore(0)

    def fetch(file: SourceFile) -> pa.Buffer:
        fetched.release()
        return pa.py_buffer(b"")

    files = ahead(FILES, fetch)
    next(files)
    for _ in range(AT_ONCE):
        assert fetched.acquire(timeout=60)
    assert not fetched.acquire(blocking=False)
    files.close()  # type: ignore[attr-defined] # a generator


def test_large_files_are_not_fetched() -> None:
    large = SourceFile("large", 2**30, 0)
    assert [content for _, content in ahead([large], lambda _: pytest.fail("fetched"))] == [None]


def test_a_failure_is_that_of_its_file() -> None:
    def fetch(file: SourceFile) -> pa.Buffer:
        if file.path == "001":
            raise OSError("gone")
        return pa.py_buffer(b"")

    (_, first), (_, second), *_ = ahead(FILES[:3], fetch)
    assert first is not None
    assert second is not None
    first()
    with pytest.raises(OSError, match="gone"):
        second()
