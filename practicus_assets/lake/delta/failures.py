"""Failures: what delta-rs, Arrow and the operating system raise, told once in this package's errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from practicus_assets.errors import (
    CommitConflict,
    PracticusAssetsError,
    StoreFailed,
    UnsupportedTable,
    VersionGone,
)
from practicus_assets.redaction import redacted
from practicus_assets.wording import in_short

_LONGEST_TEXT = 600
_ADVICE = "Check the store or the disk, its credentials and the network, and run again."
_FEATURES = re.compile(
    r"Unsupported table features required: \[([^\]]*)\]|Feature '([^']*)' is not supported"
    r"|(Unsupported (?:minimum )?(?:reader|writer) version[^,.]*)|a (catalog-managed) table"
)
_DENIED = re.compile(
    r"Read-only file system|Permission denied|Operation not permitted|lacked the necessary privileges"
    r"|Access ?Denied"
)
_STORE_CODE = re.compile(r"<Code>(\w+)</Code>")
_DENIED_ADVICE = (
    "This process may not do that there: check the mount, the folder's rights or the credentials."
)
_BEGINNERS = (  # what fails where a lake is new, how it is told, and what to do
    (
        re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist"),
        "failed: there is no such bucket",
        "Create it, or fix root_uri. In another region, set AWS_REGION in storage_options.",
    ),
    (
        re.compile(r"loading credentials|IMDS|No ?Credentials", re.IGNORECASE),
        "failed: there are no credentials",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the store takes, in storage_options.",
    ),
)
_DAMAGED = re.compile(r"Parquet|thrift")
_MISSING = re.compile(r"not found|no such file", re.IGNORECASE)


class CommitUnsettled(StoreFailed):
    """A commit ended with an error: it may have landed, somebody else's may have, or it may land yet."""

    def settled(self) -> StoreFailed:
        """Return the error to raise once it is known that the commit did not land, and cannot any more."""
        failed = StoreFailed(self.problem, self.advice)
        failed.table, failed.__cause__ = self.table, self.__cause__
        return failed


@dataclass(frozen=True)
class Failures:
    """Translates every error that is met on the way to one table.

    Attributes:
        table: the table's name.
        uri: where it lives.
        storage_options: options, of which no secret may be shown.
        of_base: whether it is the table of a base, of which commands here know nothing.

    """

    table: str
    uri: str
    storage_options: Mapping[str, str] = field(repr=False)
    of_base: bool = False

    @contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Raise UnsupportedTable or StoreFailed for what cannot be read or written.

        Args:
            what: what is being read or written, for the error's text.

        """
        try:
            yield
        except BaseException as error:
            if not is_foreign(error):
                raise
            cause = self._redacted(error)
            raise self._unsupported(cause) or self._failed(what, cause) from cause

    @contextmanager
    def reading(self, path: str = "", version: int | None = None) -> Iterator[None]:
        """Raise VersionGone for a data file that is not there, and StoreFailed for one that is damaged.

        Args:
            path: the file's path below the table's folder, where it is known.
            version: the version that names the file, where it is known.

        """
        try:
            yield
        except BaseException as error:
            if not is_foreign(error):
                raise
            cause = self._redacted(error)
            raise self._unreadable(path, version, cause) from cause

    @contextmanager
    def committing(self, version: int) -> Iterator[None]:
        """Raise CommitUnsettled for whatever a commit ends with, its cause being what the store said."""
        try:
            yield
        except BaseException as error:
            if not is_foreign(error):
                raise
            cause = self._redacted(error)
            raise self._failed(f"the commit of version {version}", cause, CommitUnsettled) from cause

    def _failed(self, what: str, cause: Exception, kind: type[StoreFailed] = StoreFailed) -> StoreFailed:
        text = in_one_line(cause)
        denied = _denied(text)
        outcome, advice = next(
            (told for pattern, *told in _BEGINNERS if pattern.search(text)),
            (f"was denied: {denied}", _DENIED_ADVICE) if denied else (f"failed: {text}", _ADVICE),
        )
        failed = kind(f"{what} at {self.uri} {outcome}.", advice)
        failed.table = self.table
        return failed

    def _unsupported(self, cause: Exception) -> PracticusAssetsError | None:
        match = _FEATURES.search(in_one_line(cause))
        if match is None:
            return None
        features = next(filter(None, match.groups()))
        unsupported = UnsupportedTable(
            f"the table at {self.uri} uses {features}, which delta-rs does not support.",
            "Read it with the engine that wrote it, or have that engine drop the feature.",
        )
        unsupported.table = self.table
        return unsupported

    def _unreadable(self, path: str, version: int | None, cause: Exception) -> PracticusAssetsError:
        unsupported = self._unsupported(cause)
        if unsupported is not None:
            return unsupported
        text = in_one_line(cause)
        file = path or self._below(named_file(text))
        error: PracticusAssetsError
        if isinstance(cause, FileNotFoundError) or _MISSING.search(text):
            where = f", in the base at {self.uri}" if self.of_base else ""
            error = VersionGone(
                f"version {version} names a file that is gone: {file or text}{where}."
                if version is not None
                else f"the file {file or text}{where} is gone.",
                "It was vacuumed away there, or somebody deleted it: begin a new run, which reads the base's "
                "newest version."
                if self.of_base
                else "It was vacuumed away, or somebody deleted it: run again to read the newest version; "
                f"practicus-assets verify {self.table} shows what is missing.",
            )
        elif isinstance(cause, pa.ArrowException) or _DAMAGED.search(text):
            error = StoreFailed(
                f"the data file {file} at {self.uri} cannot be read: {text}.",
                "Materialize its partition again, roll it back, or restore the file from a copy: "
                f"practicus-assets verify {self.table} shows every file that is damaged.",
            )
        else:
            return self._failed(f"the data file {file}".strip(), cause)
        error.table = self.table
        return error

    def _below(self, path: str) -> str:
        """Return a path as it is below the table's folder; delta-rs names it from the store's root."""
        place = self.uri.rpartition("://")[2].partition("/")[2]
        return path.rpartition(f"{place}/")[2]

    def _redacted(self, error: BaseException) -> Exception:
        """Return an error without the values of secret options, of the same type where that can be."""
        from deltalake.exceptions import DeltaError  # noqa: PLC0415 definitions do without

        if not isinstance(error, Exception):  # a panic of delta-rs
            return DeltaError(self._clean(str(error)))
        if self._clean(str(error)) == str(error):
            return error
        error.args = tuple(self._clean(a) if isinstance(a, str) else a for a in error.args)
        if self._clean(str(error)) == str(error):
            return error
        return DeltaError(self._clean(str(error)))

    def _clean(self, text: str) -> str:
        return redacted(text, self.storage_options)


def is_denied(error: BaseException | None) -> bool:
    """Return whether an error says that an operation was not allowed."""
    return bool(_denied(str(error)))


def _denied(text: str) -> str:
    """Return why an operation was not allowed, in the words of the system or the store; else nothing."""
    match = _DENIED.search(text)
    code = _STORE_CODE.search(text)
    if match is None:
        return ""
    return f"403 Forbidden, {code[1]}" if code is not None and "403 Forbidden" in text else match[0]


def is_foreign(error: BaseException) -> bool:
    """Return whether an error is one of delta-rs (a panic included), of Arrow, or of the operating system."""
    from deltalake.exceptions import DeltaError  # noqa: PLC0415 definitions do without

    raised = isinstance(error, DeltaError | OSError | pa.ArrowException)
    return raised or type(error).__name__ == "PanicException"  # a class of Rust's that cannot be imported


def in_one_line(error: BaseException) -> str:
    """Return an error's text without the colours, lines and addresses in which delta-rs draws its causes."""
    text = re.sub(r"\x1b\[[0-9;]*m|↳|\s+\d+: [^\n]*(?=\n|$)", " ", str(error))
    return in_short(text, _LONGEST_TEXT).rstrip(".")


def named_file(text: str) -> str:
    """Return the path of the Parquet file that an error's text names; nothing if it names none."""
    match = re.search(r"[^\s'\"]+\.parquet", text)
    return match[0] if match else ""


def other_table(name: str) -> CommitConflict:
    """Return the error for a table that is not the one that was opened before."""
    return CommitConflict(
        f"{name}: another table was put in the place of the one that was opened before.",
        "Run again on fresh inputs.",
    )


def version_gone(uri: str, version: int, newest: int) -> VersionGone:
    """Return the error for a version that cannot be opened.

    Args:
        uri: the table's place.
        version: the version.
        newest: the table's newest version.

    """
    if version > newest:
        return VersionGone(
            f"there is no version {version} of the table at {uri} yet: {newest} is the newest.",
            "Give the number of an earlier one, or none to read the newest.",
        )
    return VersionGone(
        f"version {version} of the table at {uri} cannot be opened: its log does not reach back to it.",
        f"Read a later version: {newest} is the newest.",
    )
