"""Compression: streams of what a compressed file holds, by the end of its name or as declared."""

import zipfile
from typing import Literal

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SourceFailed, did_you_mean

Compression = Literal["gzip", "zstd", "bz2", "lz4", "zip"]
_BY_SUFFIX: dict[str, Compression] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".bz2": "bz2",
    ".lz4": "lz4",
    ".zip": "zip",
}
NAMES = tuple(dict.fromkeys(_BY_SUFFIX.values()))


def refuse_unknown_compression(compression: object) -> None:
    """Raise DeclarationError for a compression that cannot be read."""
    if compression not in (None, "none", *NAMES):
        raise DeclarationError(
            f"compression={compression!r} is not known.",
            did_you_mean(compression, NAMES, f"It is one of {', '.join(NAMES)}, or none."),
        )


def compression_of(path: str) -> Compression | None:
    """Return how a file is compressed, by the end of its name."""
    return next((name for end, name in _BY_SUFFIX.items() if path.lower().endswith(end)), None)


def without_suffix(path: str) -> str:
    """Return a path without the end that says how it is compressed."""
    end = next((end for end in _BY_SUFFIX if path.lower().endswith(end)), "")
    return path[: len(path) - len(end)]


def decompressed(file: pa.NativeFile, compression: Compression | None, name: str) -> pa.NativeFile:
    """Return the stream of what a file holds; closing it closes the file.

    Args:
        file: the file, open for random access.
        compression: how it is compressed; None if it is not.
        name: the file's name, for errors.

    Raises:
        SourceFailed: for a zip archive that does not hold exactly one file.

    """
    if compression is None:
        return file
    if compression != "zip":
        return pa.CompressedInputStream(file, compression)
    archive = zipfile.ZipFile(file)
    members = [
        member for member in archive.infolist() if not member.is_dir() and "__MACOSX/" not in member.filename
    ]
    if len(members) != 1:
        raise SourceFailed(
            f"{name} is a zip archive of {len(members)} files; one that holds a single file can be read.",
            "Bring the files one by one, or compress each with gzip or zstd.",
        )
    if members[0].flag_bits & 1:
        raise SourceFailed(f"{name} is encrypted.", "Bring it without a password.")
    return pa.PythonFile(archive.open(members[0]), mode="r")
