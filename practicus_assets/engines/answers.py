"""Answers of splits: what one has staged, or the error that it failed with, as bytes for the step."""

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from practicus_assets.engines.splits import Split
from practicus_assets.errors import PracticusAssetsError

Work = Callable[[bytes, Split], Any]


class SplitFailed(Exception):
    """What a split raised, in whichever process.

    Attributes:
        error: the error.
        of_function: whether the author's function raised it, and not what became of its rows.

    """

    def __init__(self, error: Exception, *, of_function: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.of_function = of_function


@dataclass(frozen=True)
class _Failure:
    error: Exception
    of_function: bool


def answer(work: Work, payload: bytes, split: Split) -> bytes:
    """Do the work of a split, and return what came of it."""
    try:
        return pickle.dumps((True, work(payload, split)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 the step raises it
        return _portable(error, split)


def value_of(content: bytes) -> Any:
    """Return what the work returned, of an answer from our own process or pod.

    Raises:
        SplitFailed: if it raised.

    """
    succeeded, value = pickle.loads(content)  # noqa: S301 from our own process, or of a digest from our own pod
    if not succeeded:
        raise SplitFailed(value.error, of_function=value.of_function)
    return value


def _portable(error: Exception, split: Split) -> bytes:
    """Return the answer of a split that failed; an error that is no good in another process is told."""
    failed = error if isinstance(error, SplitFailed) else SplitFailed(error)
    cause, of_function = failed.error, failed.of_function
    try:
        copy = pickle.loads(pickle.dumps(cause))  # noqa: S301 our own
        portable = cause if str(copy) == str(cause) else RuntimeError(f"{type(cause).__name__}: {cause}")
    except Exception:  # noqa: BLE001 whatever an author's class raises
        portable = RuntimeError(f"{type(cause).__name__}: {cause}")
    text = "" if isinstance(cause, PracticusAssetsError) else "".join(traceback.format_exception(cause))
    portable.add_note(f"In {split}{':' * bool(text)}\n{text}".rstrip())
    return pickle.dumps((False, _Failure(portable, of_function)))
