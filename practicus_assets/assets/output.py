"""Output: the rows that an author's function returned or yielded, and what it says of them to Dagster."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from practicus_assets.assets.author_checks import AuthorChecks
from practicus_assets.assets.report.names import CODE_VERSION_TAG, DATA_VERSION_TAG
from practicus_assets.assets.value_annotation import RESULTS
from practicus_assets.errors import DataRefused
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.wording import enumerated

NOTHING = object()
"""What a function returned that leaves the table as it is."""

_NO_VALUE: Any = dg.MaterializeResult().value  # how Dagster says that there is none
_DEFAULT_NAME = dg.Output(None).output_name
_EVENTS = (dg.AssetMaterialization, dg.AssetObservation, dg.ExpectationResult)
_OWN_TAGS = {DATA_VERSION_TAG, CODE_VERSION_TAG}


class Output:
    """What a function says of its rows to Dagster: all of it once its rows are read and it has ended.

    Args:
        key: the asset's key.
        checks: the checks that the author declared.
        required: whether each run must materialize the asset, as `output_required` says. If not, a function
            that yields nothing, or returns or yields None, leaves the table as it is.

    Attributes:
        metadata: entries that the author adds to those of the materialization.
        tags: tags that the author adds to the materialization.
        data_version: the author's data version; None if there is none.
        events: observations and the like that the function yielded.
        check_results: the results of the author's checks.

    """

    def __init__(self, key: dg.AssetKey, checks: AuthorChecks, *, required: bool) -> None:
        self._key = key
        self._checks = checks
        self._required = required
        self._rest: Iterator[Any] = iter(())
        self._reported = 0, 0  # how many events and results `news` has returned
        self.metadata: Mapping[str, Any] = {}
        self.tags: Mapping[str, str] = {}
        self.data_version: dg.DataVersion | None = None
        self.events: list[Any] = []
        self.check_results: list[dg.AssetCheckResult] = []

    def rows_of(self, returned: Any) -> Any:
        """Return the rows, as a table or a stream; `NOTHING` if the table is to stay as it is.

        Args:
            returned: what the function returned: rows, rows inside a `dg.Output` or a `dg.MaterializeResult`,
                or a generator of one of these two or of chunks of rows, with events and check results
                between them. After the chunks may come a `dg.MaterializeResult` without a value.

        Raises:
            AuditFailed: if a blocking check of the author failed.
            DataRefused: if there are no rows, or rows twice, or a declared check without a result.

        """
        if isinstance(returned, Generator):
            return self._rows_of_generator(returned)
        if self._says_nothing_new(returned):
            return NOTHING
        _refuse_observation(returned)
        if type(returned) in (list, tuple):
            _refuse_result_inside(returned)
        rows = self._described(returned) if _is_result(returned) else returned
        self._checks.refuse_missing(self.check_results)
        return rows

    def finish(self) -> Iterator[Any]:
        """Run the function to its end, once its rows are committed, and yield what it says until then.

        Raises:
            DataRefused: if it yields rows, or gave no result of a check that is declared.

        """
        for item in self._rest:
            if not self._takes(item):
                raise DataRefused(
                    f"the function yielded {type(item).__qualname__} after its rows, which are committed.",
                    "Yield the rows once.",
                )
            yield from self.news()
        self._checks.refuse_missing(self.check_results)

    def news(self) -> list[Any]:
        """Return what the function said since the last call: events, and results that the run selects."""
        events, results = self._reported
        self._reported = len(self.events), len(self.check_results)
        return [*self.events[events:], *self._checks.recorded(self.check_results[results:])]

    def _says_nothing_new(self, item: Any) -> bool:
        """Return whether an item leaves the table as it is: None, also inside of a result."""
        if self._required or not (item is None or (_is_result(item) and item.value is None)):
            return False
        if item is not None:
            self._describe(item)
        return True

    def _rows_of_generator(self, items: Generator[Any, None, None]) -> Any:
        nothing_new = False
        for item in items:
            if self._takes(item):
                self._checks.refuse_failed(self.check_results)
            elif self._says_nothing_new(item):
                nothing_new = True
            elif nothing_new:
                raise DataRefused(
                    f"the function yielded {type(item).__qualname__} after None, by which it said that "
                    "there is nothing new.",
                    "Yield either of them.",
                )
            elif _is_result(item) or isinstance(item, StagedParquet):
                self._rest = items
                return self._described(item) if _is_result(item) else item
            else:
                return self._stream(item, items)
        if self._required:
            self._checks.refuse_missing(self.check_results)
        return iter(()) if self._required else NOTHING

    def _stream(self, first: Any, rest: Iterator[Any]) -> Iterator[Any]:
        """Yield chunks of rows, and keep what comes between and after them."""
        yield first
        ended = False
        for item in rest:
            if self._takes(item):
                self._checks.refuse_failed(self.check_results)
            elif not ended and isinstance(item, dg.MaterializeResult) and item.value is _NO_VALUE:
                self._describe(item)
                ended = True
            elif ended or _is_result(item):
                raise DataRefused(
                    f"the function yielded {type(item).__qualname__} after its rows.",
                    "Yield chunks of rows, and after them at most one dg.MaterializeResult without a value.",
                )
            else:
                yield item
        self._checks.refuse_missing(self.check_results)

    def _takes(self, item: Any) -> bool:
        """Keep an event or the result of a check; return False for what is neither."""
        _refuse_observation(item)
        if isinstance(item, dg.AssetCheckResult):
            self.check_results.append(self._checks.named(item))
            return True
        if isinstance(item, dg.AssetMaterialization) and item.asset_key == self._key:
            raise DataRefused(
                f"the function yielded an AssetMaterialization of {self._key.to_user_string()} itself.",
                "Leave it out: the commit is the materialization. Metadata go into a dg.MaterializeResult.",
            )
        if isinstance(item, _EVENTS):
            self.events.append(item)
            return True
        return False

    def _described(self, result: Any) -> Any:
        """Return the rows inside a result, and keep what it says of them."""
        if result.value is _NO_VALUE:
            raise DataRefused(
                f"the function returned a {type(result).__qualname__} without rows.",
                "Give it the table as value."
                if self._required
                else "Give it the table as value; to leave the table as it is, return None.",
            )
        self._describe(result)
        return result.value

    def _describe(self, result: Any) -> None:
        named = result.asset_key if isinstance(result, dg.MaterializeResult) else None
        if named not in (None, self._key):
            raise DataRefused(
                f"the MaterializeResult is of {named.to_user_string()}.",
                f"Leave out its asset_key: this is {self._key.to_user_string()}.",
            )
        if isinstance(result, dg.Output) and result.output_name != _DEFAULT_NAME:
            raise DataRefused(
                f"the function returned the output {result.output_name!r}, and there is none of this name.",
                "Leave out its output_name: a table asset has one output.",
            )
        self.metadata, self.tags = result.metadata or {}, result.tags or {}
        self.data_version = result.data_version
        if isinstance(result, dg.MaterializeResult):
            self.check_results += map(self._checks.named, result.check_results or ())
            self._checks.refuse_failed(self.check_results)


def without_owned_tags(tags: Mapping[str, str], warn: Callable[[str], None]) -> dict[str, str]:
    """Return an author's tags without those that Dagster and the transaction set, of which a warning says."""
    own = sorted(_OWN_TAGS & set(tags))
    if own:
        warn(f"the tags {enumerated(own)} of the function are left out: a materialization has its own")
    return {name: value for name, value in tags.items() if name not in own}


def warn_of_owned(
    authored: Iterable[str], own: Mapping[str, Any], warn: Callable[[str], None]
) -> dict[str, Any]:
    """Warn of an author's metadata in the place of which the transaction's are shown; return these.

    Args:
        authored: the names of the author's entries.
        own: the entries of the transaction.
        warn: the function that takes the warning.

    """
    replaced = {name: own[name] for name in sorted(set(authored) & set(own))}
    if replaced:
        names = enumerated(list(replaced))
        warn(f"the metadata {names} of the function are left out: the transaction's are shown")
    return replaced


def _is_result(value: Any) -> bool:
    return isinstance(value, RESULTS)


def _refuse_result_inside(returned: list[Any] | tuple[Any, ...]) -> None:
    """Raise DataRefused for a list of rows or chunks that has a result or an event of Dagster in it."""
    for kind, item in {type(item): item for item in returned}.items():
        _refuse_observation(item)
        if not _is_result(item) and not isinstance(item, (*_EVENTS, dg.AssetCheckResult)):
            continue
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        advice = "Yield it, and the rows beside it."
        if _is_result(item):
            result = (
                "dg.Output(table)" if isinstance(item, dg.Output) else "dg.MaterializeResult(value=table)"
            )
            advice = f"Write return {result}; several chunks of rows are a list that is its value."
        raise DataRefused(
            f"the function returned {article} {kind.__name__} inside of a {type(returned).__name__}.", advice
        )


def _refuse_observation(item: Any) -> None:
    if isinstance(item, dg.ObserveResult):
        raise DataRefused(
            "the function gave an ObserveResult, and a table asset is materialized.",
            "Return rows; an observation is yielded beside them, as dg.AssetObservation(…).",
        )
