"""Answers of splits: what one has staged, or the error that it failed with, as bytes for the step."""

import json
import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from practicus_assets.engines.secrets import Secrets
from practicus_assets.engines.splits import Split
from practicus_assets.errors import CommitConflict, DeclarationError, PracticusAssetsError

Work = Callable[[bytes, Split], Any]
_LONGEST = 380  # bytes of each text of a refusal, of which a pod's last word may have 1000
_KINDS = {kind.__name__: kind for kind in (DeclarationError, CommitConflict)}
_REFUSAL = re.compile(rf'^refused=(\["(?:{"|".join(_KINDS)})", ".*"\])$', re.MULTILINE)


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


def answer(work: Work, payload: bytes, split: Split, secrets: Secrets | None = None) -> bytes:
    """Do the work of a split, and return what came of it.

    Args:
        work: the work.
        payload: what it is given beside the split.
        split: the split.
        secrets: what is not to be in the answer, where that is to lie in the lake on its way.

    """
    try:
        content = pickle.dumps((True, work(payload, split)), pickle.HIGHEST_PROTOCOL)
        if secrets is not None:
            secrets.refuse_within(content)
    except Exception as error:  # noqa: BLE001 the step raises it
        return _portable(error, split, secrets)
    return content


def value_of(content: bytes) -> Any:
    """Return what the work returned, of an answer from our own process or pod.

    Raises:
        SplitFailed: if it raised.

    """
    succeeded, value = pickle.loads(content)  # noqa: S301 from our own process, or of a digest from our own pod
    if not succeeded:
        raise SplitFailed(value.error, of_function=value.of_function)
    return value


def refusal_of(error: DeclarationError | CommitConflict) -> str:
    """Return the word of a pod that does not come as far as to an answer."""
    texts = (text.encode()[:_LONGEST].decode(errors="ignore") for text in (error.problem, error.advice))
    return f"refused={json.dumps([type(error).__name__, *texts], ensure_ascii=False)}"


def refused(said: str, split: Split) -> bytes | None:
    """Return the answer of a split whose pod said `refusal_of` an error; None if it did not."""
    word = _REFUSAL.search(said)
    if word is None:
        return None
    name, problem, advice = json.loads(word[1])
    return _portable(_KINDS[name](problem, advice), split, None)


def _portable(error: Exception, split: Split, secrets: Secrets | None) -> bytes:
    """Return the answer of a split that failed; an error that is no good in another process is told.

    So is one with a secret in it, without that.
    """
    failed = error if isinstance(error, SplitFailed) else SplitFailed(error)
    cause, of_function = failed.error, failed.of_function
    hidden = secrets.redacted if secrets is not None else str
    told = RuntimeError(type(cause).__name__)
    try:
        told = RuntimeError(hidden(f"{told}: {cause}"))
        content = pickle.dumps(cause)
        copy = pickle.loads(content)  # noqa: S301 our own
        shown = f"{cause} {cause.args!r} {vars(cause)!r}"
        has_secret = hidden(shown) != shown or (secrets is not None and secrets.are_in(content))
        portable = told if has_secret or str(copy) != str(cause) else cause
    except Exception:  # noqa: BLE001 whatever an author's class raises
        portable = told
    text = "" if isinstance(portable, PracticusAssetsError) else "".join(traceback.format_exception(cause))
    portable.add_note(f"In {split}{':' * bool(text)}\n{hidden(text)}".rstrip())
    return pickle.dumps((False, _Failure(portable, of_function)))
