"""Every error of this package, grouped by what the program or the person that meets it would do.

    PracticusAssetsError
    ├── DeclarationError           fix the code or the configuration
    ├── DataRefused                fix the data, the function that returned them, or the contract
    │   ├── SchemaMismatch         columns or types
    │   ├── LossyValues            values that would change
    │   ├── OutOfScope             rows of other partitions
    │   └── AuditFailed            a rule of the contract
    ├── TableNotFound              materialize the table, or fix its name or the lake's root
    ├── VersionGone                read a newer version
    ├── UnsupportedTable           write to another table, or upgrade
    ├── CommitConflict             run again, on fresh inputs
    ├── StoreFailed                repair the store or the table, then run again
    ├── CommitStateUnknown         run again: the next attempt finds out whether the commit landed
    ├── SourceFailed               repair the system that is read, or the connection, then run again
    │   └── SourceChanged          run again: what was read changed meanwhile
    ├── ExportFailed               repair the system that is written, or the connection, then run again
    │   └── ExportConflict         somebody else exported the same scope first
    ├── EngineFailed               read what the engine says, then correct the query or run again
    ├── NotificationFailed         repair the receiver, or the connection; it is told again later
    ├── OperationRefused           read the message, then confirm or change what was asked for
    │   ├── RollbackRefused        it would undo more than its caller said
    │   ├── ReleaseRefused         the tables do not belong together, or the name is taken
    │   ├── RemovalRefused         files that may still be needed would be deleted
    │   ├── ReplacementRefused     more of a protected table would be replaced than its run says
    │   ├── PromotionRefused       what the own root has is not what its base can take
    │   └── ReadOnlyLake           the base would be written
    ├── TaskFailed                 read the task's output
    └── WorkerFailed               read the log of the worker that ran the step
        ├── WorkerOutOfMemory      give it more memory
        ├── WorkerOutOfStorage     give it more local disk
        ├── WorkerLost             run again
        ├── WorkerRejected         fix the image, the configuration or the rights
        ├── WorkerTimedOut         raise the limit, or find out what takes so long
        └── WorkerCrashed          read its log

An error is named after the state that it reports. The text names the table and its partitions, says what is
wrong and what to do, and ends with "Nothing was written." where that is so.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

_PAGE = "docs/errors.md"  # of every class, made of their docstrings, in the repository and on the site
_DATE = re.compile(r"\d{4}-\d\d")  # the beginning of one
# where texts begin to quote: rows, and foreign errors, which may
_QUOTATION = re.compile(r"[,;]?\s(?:[Ee]\.g\.|\w+ says:|refused values:)\s.*", re.DOTALL)
_BEGINNING = 3  # characters, from which on the beginning of a name is near it


class PracticusAssetsError(Exception):
    """Any error of this package.

    Attributes:
        problem: what is wrong, as a sentence.
        advice: what to do about it, as a sentence; empty if the problem says it.
        table: the table's name; empty where no table is concerned.
        partitions: the partitions concerned, as people read them.
        nothing_written: whether the table is as it was before.

    """

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.problem = _without_second_stop(problem)
        self.advice = _without_second_stop(advice)
        self.table = ""
        self.partitions = ""
        self.nothing_written = False

    def __str__(self) -> str:
        place = self.table + (f" [{self.partitions}]" if self.partitions else "")
        sentences = [*self._sentences(), "Nothing was written." if self.nothing_written else ""]
        text = " ".join(sentence for sentence in sentences if sentence)
        return f"{place}: {text}" if place else text

    @property
    def page(self) -> str:
        """The place in the docs that says what an error of its class means: `docs/errors.md#auditfailed`."""
        kind = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        return f"{_PAGE}#{kind.__name__.lower()}"

    def _sentences(self) -> list[str]:
        return [self.problem, self.advice]


class DeclarationError(PracticusAssetsError):
    """A definition or a setting is wrong: fix the code or the configuration."""


class DataRefused(PracticusAssetsError):
    """The data cannot become the table as they are: fix the data, the function or the contract.

    Attributes:
        sample: some of the values that are refused, as a sentence; empty where the lake's `sample_rows` is 0.

    """

    def __init__(self, problem: str, advice: str = "", sample: str = "") -> None:
        super().__init__(problem, advice)
        marked = not sample or _QUOTATION.match(f" {sample}")
        self.sample = _without_second_stop(sample if marked else f"E.g. {sample}")

    def _sentences(self) -> list[str]:
        return [self.problem, self.sample, self.advice]


class SchemaMismatch(DataRefused):
    """Columns or types do not fit the table, its contract, or what Delta Lake can hold."""


class LossyValues(DataRefused):
    """Values would change on their way into the column's type."""


class OutOfScope(DataRefused):
    """Rows or files lie outside the partitions that the transaction may replace."""


class AuditFailed(DataRefused):
    """A blocking rule of the contract failed.

    Attributes:
        results: the result of every rule, those that passed among them.

    """

    def __init__(self, problem: str, advice: str = "", results: Sequence[Any] = ()) -> None:
        super().__init__(problem, advice)
        self.results = list(results)


class TableNotFound(PracticusAssetsError):
    """There is no Delta table at that place: materialize it, or fix the key or the root."""


class VersionGone(PracticusAssetsError):
    """A version can no longer be read: its files or its log entries were vacuumed away."""


class UnsupportedTable(PracticusAssetsError):
    """The table uses a feature of the Delta protocol that a transaction here would not honour."""


class CommitConflict(PracticusAssetsError):
    """Somebody else committed the same scope first: run again on fresh inputs."""


class StoreFailed(PracticusAssetsError):
    """The object store or the disk failed, or the table is damaged: repair it, and run again."""


class CommitStateUnknown(PracticusAssetsError):
    """The store did not say whether the commit landed; staged files are kept, the next attempt finds out."""


class SourceFailed(PracticusAssetsError):
    """A system that is read refused, or went away: repair it or the connection, and run again."""


class SourceChanged(SourceFailed):
    """What a system was to give changed while it was read: run again."""


class ExportFailed(PracticusAssetsError):
    """A system that is written refused, or went away: repair it or the connection, and run again.

    Attributes:
        may_have_landed: whether the rows may be there all the same: the answer to the commit was lost.

    """

    may_have_landed = False


class ExportConflict(ExportFailed):
    """Somebody else exported the same scope first."""


class EngineFailed(PracticusAssetsError):
    """The engine of a table did not start, ended, or failed a query."""


class NotificationFailed(PracticusAssetsError):
    """A receiver of notifications did not take a message: repair it; it is tried again."""


class OperationRefused(PracticusAssetsError):
    """What an operator asked for is not safe as it was asked for: confirm or change it."""


class RollbackRefused(OperationRefused):
    """A rollback would undo more than its caller said."""


class ReleaseRefused(OperationRefused):
    """The tables of a release do not belong together, or its name is taken."""


class RemovalRefused(OperationRefused):
    """Nobody can tell which files are still needed, so none is removed."""


class ReplacementRefused(OperationRefused):
    """A run would replace more of a protected table than it may without naming it in a tag."""


class PromotionRefused(OperationRefused):
    """What an own root has of a table cannot be brought to its base as it is."""


class ReadOnlyLake(OperationRefused):
    """A table of a base would be written, which a lake of one's own only reads."""


class TaskFailed(PracticusAssetsError):
    """The program of a task failed: read its output.

    Attributes:
        tail: the end of its output, without secrets.

    """

    def __init__(self, problem: str, advice: str = "", tail: str = "") -> None:
        super().__init__(problem, advice)
        self.tail = tail

    def _sentences(self) -> list[str]:
        return [self.problem, self.advice, f"Its last lines:\n{self.tail}\n" if self.tail else ""]


class WorkerFailed(PracticusAssetsError):
    """The worker of a step ended before the step did: read its log."""


class WorkerOutOfMemory(WorkerFailed):
    """The worker used more memory than it may: give it more."""


class WorkerOutOfStorage(WorkerFailed):
    """The worker used more local disk than it may: give it more."""


class WorkerLost(WorkerFailed):
    """The worker was evicted, preempted or deleted, or its node went away: run again."""


class WorkerRejected(WorkerFailed):
    """The worker cannot start as it is described: fix its image, configuration or rights."""


class WorkerTimedOut(WorkerFailed):
    """The worker ran longer than its time limit: raise it, or find out what takes so long."""


class WorkerCrashed(WorkerFailed):
    """The worker's process ended without the step's result: read its log."""


@contextmanager
def naming(table: str, partitions: str = "", *, nothing_written: bool = False) -> Iterator[None]:
    """Add the table and the partitions to an error that passes."""
    try:
        yield
    except PracticusAssetsError as error:
        error.table = error.table or table
        error.partitions = error.partitions or partitions
        error.nothing_written = error.nothing_written or nothing_written
        raise


@contextmanager
def naming_page() -> Iterator[None]:
    """Let an error that passes end with the name of its page, where it leaves this package in a run.

    It is a note, which tracebacks and Dagster's pages show below the text; the text itself stays as it is.
    """
    try:
        yield
    except PracticusAssetsError as error:
        note = page_line(error)
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def page_line(error: PracticusAssetsError) -> str:
    """Return the line that names the page of an error."""
    return f"See {error.page}"


def without_quotations(text: str) -> str:
    """Return the text of an error of this package up to where it quotes values of rows, or foreign errors."""
    cut = _QUOTATION.sub("", text)
    if cut == text:
        return text
    end = " Nothing was written." if text.rstrip().endswith("Nothing was written.") else ""
    return f"{cut.rstrip('.;, ')}.{end}"


def did_you_mean(name: object, names: Iterable[str], otherwise: str = "", *, most: int = 1) -> str:
    """Return the question "Did you mean …?" for a name that is not among those that exist.

    Case, hyphens and underscores do not count, so that `node_selector` is near `nodeSelector`. Near a date
    are only those with the longest common beginning, so that no other month is offered before its own.

    Args:
        name: the name that was given.
        names: the names that exist.
        otherwise: the answer if none of them is near.
        most: how many names the question offers at most.

    """
    spellings = {_folded(spelling): spelling for spelling in names}
    text = _folded(name)
    if _DATE.match(str(name)):
        shared = {key: _shared_length(text, key) for key in spellings}
        most_shared = max(shared.values(), default=0)
        spellings = {key: spellings[key] for key, length in shared.items() if length == most_shared}
    nearest = [spellings[key] for key in difflib.get_close_matches(text, spellings, most)] or [
        spelling for key, spelling in spellings.items() if key.startswith(text) and len(text) >= _BEGINNING
    ][:most]
    return f"Did you mean {' or '.join(nearest)}?" if nearest else otherwise


def _without_second_stop(text: str) -> str:
    """Return a text in which no sentence that was put in with its own end has another full stop after it."""
    return re.sub(r"(?<!\.)([.!?])\.(?=\s|$)", r"\1", text)


def _shared_length(text: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False)))


def _folded(name: object) -> str:
    return re.sub(r"[-_]", "", str(name)).lower()
