"""Roots: one spelling for each place where a lake can be, the one that delta-rs uses.

delta-rs expands `~`, unquotes `file:` URLs, normalizes `..` and follows symbolic links. Code that looks into
a folder itself has to look into the same one, so a root is resolved once, before it is read or written.
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from practicus_assets.errors import DeclarationError
from practicus_assets.wording import readable

LOG = "_delta_log"  # the folder of a table's log, below the table's
STAGED = "staged-"  # what the folders begin with below which engines write the files of an attempt
_UNSAFE_PART = re.compile(r"[/?#*]")  # in a URI, `?` and `#` end the path
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?::/(?!/)|//)(.*)")
_FILE = re.compile(r"file:", re.IGNORECASE)
_CREDENTIALS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/]*@|(?<!file://)[^?]*\?)", re.IGNORECASE)
_AZURE_CONTAINER = re.compile(r"abfss?://[^/@?:]+@[^/@?:]+(/[^?]*)?")  # container@account is a place
_ACCOUNT = re.compile(r"(az://[^/@]+)@[^/]+")
_S3 = ("s3://", "s3a://")
_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
_ADVICE = (
    "Roots are folders, file:// URLs, and prefixes that begin with s3:// or s3a:// (S3 and its like), gs:// "
    "(Google Cloud), az://, azure://, abfs:// or abfss:// (Azure)."
)
_ELSEWHERE = {"gcs": "gs", "s3n": "s3a", "wasb": "abfs", "wasbs": "abfss", "adl": "abfs"}  # others' words
_ENDPOINTS = {"aws_endpoint_url", "aws_endpoint", "endpoint_url", "endpoint", "aws_endpoint_url_s3"}
# delta-rs takes `%` for an escape in one place and not in another, `\` for `/`, and panics over the brackets,
# `^` and `|`
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f%\\\[\]^|]")


def resolved(
    root_uri: str | os.PathLike[str], folder: Path | None = None, what: str = "the lake's root"
) -> str:
    """Return the one spelling of a root: an absolute folder without links, or the prefix of an object store.

    Args:
        root_uri: the root as somebody spelled it: a folder, a `file:` URL, or a URL of an object store.
        folder: the folder that a relative root begins at; by default the working folder of this process.
        what: what errors call the root.

    Raises:
        DeclarationError: for a root that carries credentials, is of no store that is supported, or that
            delta-rs cannot use.

    """
    if isinstance(root_uri, os.PathLike):
        root_uri = os.fspath(root_uri)
    if not isinstance(root_uri, str):
        raise DeclarationError(
            f"{what} is {readable(root_uri)}, which is no text.",
            "Name a folder, or a prefix in an object store.",
        )
    if not root_uri.strip():
        state = "has only blanks" if root_uri else "is empty"
        raise DeclarationError(f"{what} {state}.", "Name a folder, or a prefix in an object store.")
    if _CREDENTIALS.match(root_uri) and not _AZURE_CONTAINER.fullmatch(root_uri):
        shown = re.sub(r"\?.*", "?***", re.sub(r"//[^/]*@", "//***@", root_uri))
        raise DeclarationError(f"{what} {shown} carries credentials.", "Pass them in storage_options.")
    if _SCHEME.match(root_uri) and not _is_file(root_uri):
        return _prefix(root_uri, what)
    if not _is_file(root_uri):
        _refuse_almost_elsewhere(root_uri, what)
    path = _of_file_url(root_uri, what) if _is_file(root_uri) else root_uri
    if path == "~" or path.startswith("~/"):
        path = str(Path(path).expanduser())
    path = os.path.realpath(Path(folder or Path.cwd(), path))
    _refuse_unusable(root_uri, path, what)
    return path


def refuse_nested(root: str, base: str, what: str = "the lake's root") -> None:
    """Raise DeclarationError for a base that is the own root, lies in it or around it.

    Args:
        root: the own root, resolved.
        base: the base, resolved.
        what: what errors call the root.

    Raises:
        DeclarationError: if so, whichever of its schemes a store is named by.

    """
    one, other = (
        re.sub(r"^(azure|abfss?)://", "az://", re.sub(r"^s3a://", "s3://", uri)).rstrip("/") + "/"
        for uri in (root, base)
    )
    if not (_ACCOUNT.match(one) and _ACCOUNT.match(other)):  # one account is that of the options
        one, other = (_ACCOUNT.sub(r"\1", uri) for uri in (one, other))
    if one.startswith(other) or other.startswith(one):
        raise DeclarationError(
            f"{what} {root} and its base {base} are one place, or one lies in the other.",
            "Give the lake a root of its own beside the base, which is only read.",
        )


def refuse_unusable_key(key: Sequence[str]) -> None:
    """Raise DeclarationError for a table's key that would leave the root or hide in another table's log."""
    if not key:
        raise DeclarationError("a table needs a key.", "Name it.")
    for part in key:
        hidden = part in {"", ".", ".."} or part.startswith(LOG)
        if hidden or part != part.strip() or _UNSAFE_PART.search(part) or _UNUSABLE.search(part):
            raise DeclarationError(
                f"asset key part {part!r} cannot name a folder of the lake.",
                "Use letters, digits, '-', '_' and '.'.",
            )


def refuse_unusable_endpoint(uri: str, storage_options: Mapping[str, str]) -> None:
    """Raise DeclarationError for an endpoint of an S3 store that is no URL, over which delta-rs panics."""
    if not uri.startswith(_S3):
        return
    inherited = {name: value for name, value in os.environ.items() if name.lower().startswith("aws_")}
    for name, value in {**inherited, **storage_options}.items():
        if name.lower() in _ENDPOINTS and not re.match(r"https?://[^/]", value):
            place = "storage_options" if name in storage_options else "the environment"
            raise DeclarationError(
                f"{name} in {place} is not a URL.", "Write it with its scheme, e.g. http://localhost:9000."
            )


def _refuse_almost_elsewhere(root_uri: str, what: str) -> None:
    """Raise DeclarationError for what would be a folder below the working folder, and was meant otherwise."""
    url = _ONE_SLASH.match(root_uri) or re.match(rf"({'|'.join(_SCHEMES)}):(.*)", root_uri)
    if url is not None and url[1].lower() not in _SCHEMES and root_uri[len(url[1])] == ":":
        raise _unsupported(root_uri, url[1].lower(), url[2], what)
    if url is not None and url[1].lower() in _SCHEMES:
        raise DeclarationError(
            f"{what} {root_uri} is neither a URL nor a plain folder.", f"Did you mean {url[1]}://{url[2]}?"
        )
    if re.match(r"~[^/]", root_uri):  # another user's home is a plain name to delta-rs
        raise DeclarationError(
            f"{what} {root_uri} begins with another user's home, which delta-rs does not look up.",
            "Write the folder's absolute path, or ./~ if that is its name.",
        )


def _is_file(root_uri: str) -> bool:
    return _FILE.match(root_uri) is not None


def _of_file_url(root_uri: str, what: str) -> str:
    """Return the path of a `file:` URL."""
    url = urlsplit(root_uri)
    if url.netloc not in {"", "localhost"} or not url.path.startswith("/"):
        raise DeclarationError(
            f"{what} {root_uri} names no folder of this machine.",
            "Write the folder's absolute path.",
        )
    if url.query or url.fragment or re.search(r"[?#]", root_uri):
        raise DeclarationError(
            f"{what} {root_uri} is a URL that ends at its {'?' if '?' in root_uri else '#'}.",
            "Write the folder's absolute path instead.",
        )
    return _unquoted(url.path, root_uri, what)


def _prefix(root_uri: str, what: str) -> str:
    """Return the prefix of an object store: with nothing escaped and no slash at its end."""
    scheme, _, rest = root_uri.partition("://")
    if scheme.lower() not in _SCHEMES:
        raise _unsupported(root_uri, scheme.lower(), rest, what)
    path = _unquoted(rest, root_uri, what).rstrip("/")
    bucket, *parts = path.split("/")
    if not bucket or any(part in {"", ".", ".."} for part in parts) or "#" in root_uri:
        raise DeclarationError(
            f"{what} {root_uri} is not a bucket and a plain prefix.",
            "Write it without empty parts, '.', '..' and '#', e.g. s3://bucket/lake.",
        )
    _refuse_unusable(root_uri, path, what)
    return f"{scheme.lower()}://{path}"


def _unsupported(root_uri: str, scheme: str, rest: str, what: str) -> DeclarationError:
    """Return the error for a scheme that is not supported, with the one that was meant."""
    cutoff = 0.5 if len(scheme) <= 2 else 0.6  # noqa: PLR2004 of two letters, one may be wrong
    near = difflib.get_close_matches(scheme, _SCHEMES, 1, cutoff)
    meant = _ELSEWHERE.get(scheme) or (near[0] if near else "")
    advice = f"Did you mean {meant}://{rest}?" if meant else ""
    if scheme in {"http", "https"}:
        advice = "The address of an S3 store is its AWS_ENDPOINT_URL, in storage_options."
    if scheme == "dbfs":
        advice = f"Where Databricks mounts it as a folder, write /dbfs/{rest.lstrip('/')}."
    return DeclarationError(
        f"{what} {root_uri} has the scheme {scheme!r}, which is not supported.", f"{advice} {_ADVICE}".strip()
    )


def _unquoted(text: str, root_uri: str, what: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise DeclarationError(
            f"{what} {root_uri} has escapes that are no UTF-8.", "Write it without escapes."
        ) from error


def _refuse_unusable(root_uri: str, path: str, what: str) -> None:
    match = _UNUSABLE.search(path)
    if match is not None:
        raise DeclarationError(
            f"{what} {root_uri!r} has the character {match[0]!r}, which delta-rs does not keep.",
            "Use another folder or prefix: letters, digits, blanks and most other characters are fine.",
        )
