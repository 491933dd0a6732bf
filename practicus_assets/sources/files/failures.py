"""Failures: what stores, Arrow and the operating system raise about files, in this package's errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812 it is an error

import pyarrow as pa

from practicus_assets.errors import DataRefused, PracticusAssetsError, SourceFailed
from practicus_assets.lake.delta.failures import in_one_line, is_denied, is_foreign
from practicus_assets.redaction import redacted

_ADVICE = "Check the store or the disk, its credentials and the network, and run again."
_RIGHTS = "This process may not do that there: check the mount, the folder's rights or the credentials."
_DENIED = re.compile(r"40[13] (?:Unauthorized|Forbidden)")
_STORE = re.compile(r"Generic \w+ error|error sending request|Server returned")
_DAMAGED = re.compile(
    r"Truncated compressed stream|decompress|inflate|Parquet|thrift|magic|corrupt|IPC|footer|truncated"
    r"|File is too small|snappy|zstd|lz4|bz2|Expected to (?:be able to )?read",
    re.IGNORECASE,
)


@contextmanager
def naming_file(file: str) -> Iterator[None]:
    """Name the file in an error that passes and that does not name it yet."""
    try:
        yield
    except DataRefused as error:
        if file not in error.problem:
            error.problem = f"{file}: {error.problem}"
        raise


@contextmanager
def reaching(what: str, options: Mapping[str, str]) -> Iterator[None]:
    """Raise SourceFailed for what cannot be read, without secrets.

    Args:
        what: what is being read, for the error's text: a file, or the list of files somewhere.
        options: storage options, of which no secret may be shown.

    """
    try:
        yield
    except PracticusAssetsError:
        raise
    except (BadZipFile, ZlibError, EOFError) as error:
        raise _damaged(what, str(error)) from None
    except BaseException as error:
        if not is_foreign(error):
            raise
        text = redacted(in_one_line(error), options)
        if isinstance(error, FileNotFoundError):
            raise SourceFailed(f"{what} is not there.", "Correct the place, or bring it back.") from None
        if is_denied(error) or isinstance(error, PermissionError) or _DENIED.search(text):
            raise SourceFailed(f"{what} may not be read: {text}.", _RIGHTS) from None
        if _STORE.search(text):
            raise SourceFailed(f"{what} cannot be read: {text}.", _ADVICE) from None
        if _DAMAGED.search(text) or isinstance(error, pa.ArrowException):
            raise _damaged(what, text) from None
        raise SourceFailed(f"{what} cannot be read: {text}.", _ADVICE) from None


def _damaged(what: str, text: str) -> SourceFailed:
    return SourceFailed(
        f"{what} is damaged, cut off, or of another format: {text.rstrip('.')}.",
        "Bring it again as a whole, or correct the format.",
    )
