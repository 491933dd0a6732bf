"""Open files: one file of a listing, read from its beginning or at any place."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from practicus_assets.errors import SourceFailed
from practicus_assets.sources.files.formats.compression import Compression, decompressed

_AT_ONCE = 8 * 2**20  # bytes that are asked of an object store at once


@dataclass(frozen=True)
class OpenFile:
    """One file, open for reading.

    Attributes:
        name: the file with its store, as errors name it.
        size: its size in bytes, as it lies there.
        compression: how it is compressed; None if it is not.

    """

    name: str
    size: int
    compression: Compression | None
    _handle: pa.NativeFile = field(repr=False)
    _remote: bool = False

    @contextmanager
    def stream(self) -> Iterator[pa.NativeFile]:
        """Yield what the file holds, from its beginning, decompressed."""
        with ExitStack() as stack:
            handle = self._handle
            if self.compression != "zip" and self._remote:
                handle = stack.enter_context(pa.BufferedInputStream(handle, _AT_ONCE))
            stream = decompressed(handle, self.compression, self.name)
            yield stack.enter_context(stream)

    def random(self) -> pa.NativeFile:
        """Return the file for reading at any place.

        Raises:
            SourceFailed: if it is compressed as a whole.

        """
        if self.compression is not None:
            raise SourceFailed(
                f"{self.name} is compressed as a whole ({self.compression}), so that its columns cannot be "
                "read one by one.",
                "Decompress it: Parquet and Arrow compress inside of the file.",
            )
        return self._handle
