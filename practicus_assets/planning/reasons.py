"""Reasons: why one table's partitions would be computed, from what the lake and the instance know of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dagster as dg

from practicus_assets.instance.attempts import Attempt
from practicus_assets.instance.versions import RecordedVersion, changed_since
from practicus_assets.lake.delta.log import LogEntry
from practicus_assets.lake.delta.record import InputVersion, TransactionRecord
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.planning.lineage import Input, PartitionMap
from practicus_assets.planning.plan import NOT_OBSERVED, Kind, Reason
from practicus_assets.planning.table_state import Layer, TableState
from practicus_assets.wording import enumerated, in_short

_LONGEST_NAME = 60
_OF_PAST: frozenset[Kind] = frozenset({"code_changed", "contract_changed", "input_changed", "unknown"})

_T = TypeVar("_T")


@dataclass
class Parent:
    """An input of a table that is planned.

    Attributes:
        input: which asset it is.
        map: which of its partitions each partition of the table is computed from.
        state: what the lake has of it; None if it is no table.
        planned: those of its partitions that the plan computes.
        made: whether runs here make it; else it is observed.
        versions: its data versions in the instance, where commits do not record it; None without an instance.

    """

    input: Input
    map: PartitionMap
    state: TableState | None
    planned: set[str] = field(default_factory=set)
    made: bool = False
    versions: Mapping[str, Sequence[RecordedVersion]] | None = None
    _answers: dict[tuple[str, object], Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name by which commits record it."""
        return self.state.entry.name if self.state is not None else self.input.name

    @property
    def is_compared(self) -> bool:
        """Whether commits record the version that was read; else the instance alone knows its versions."""
        return self.state is not None and self.input.is_loaded

    def is_planned(self, keys: tuple[str, ...]) -> bool:
        """Return whether the plan computes one of these partitions, and they are read as they are then."""
        if not self.planned or self.input.version is not None:
            return False
        count = len(self.planned)  # which grows while a table is planned that reads itself
        return bool(self._once("planned", keys, count, lambda: not self.planned.isdisjoint(keys)))

    def difference(self, keys: tuple[str, ...], read: Sequence[InputVersion], reader: Layer) -> str | None:
        """Return how partitions of a table differ from what was read of them, as `TableState` says it."""
        state, versions = self.state, tuple((each.root_uri, each.version, each.table_id) for each in read)
        assert state is not None
        answers = (state.difference(key, read, reader) for key in keys)
        return self._once("rows", keys, (reader.root_uri, versions), lambda: _first(answers, ""))

    def has_changed(self, keys: tuple[str, ...], run_id: str, began: int) -> bool | None:
        """Return whether partitions may have another data version than a run read."""
        versions = self.versions or {}
        names = ("" if key == WHOLE_TABLE else key for key in keys)
        answers = (changed_since(versions.get(name, ()), run_id, began) for name in names)
        return self._once("versions", keys, run_id, lambda: _first(answers, default=False))

    def _once(self, question: str, keys: tuple[str, ...], about: object, answer: Callable[[], _T]) -> _T:
        """Return an answer; that on all partitions is kept, for thousands may be computed from all."""
        if keys is not self.map.all:
            return answer()
        if (question, about) not in self._answers:
            self._answers[question, about] = answer()
        kept: _T = self._answers[question, about]
        return kept


def _first(answers: Iterable[_T | None], default: _T) -> _T | None:
    """Return the first answer that is true, else None if one is, else the default."""
    found: _T | None = default
    for answer in answers:
        if answer:
            return answer
        found = None if answer is None else found
    return found


@dataclass(frozen=True)
class Known:
    """What is known of a table that is planned, beside its log.

    Attributes:
        key: the asset's key.
        code_version: the asset's code version; None if it declares none.
        contract_digest: of its contract, be it one that demands nothing; None if nobody knows it.
        parents: its inputs.
        attempts: the newest run of each partition that did not materialize it; "" for a table without.
        checks: the checks that found its rows wrong, by partition; "" for all.
        starts: the numbers of the events with which runs began, by run; None without an instance.
        confirmed: what is known of partitions that a later run found to hold its rows already.

    """

    key: dg.AssetKey
    code_version: str | None
    contract_digest: str | None
    parents: Sequence[Parent]
    attempts: Mapping[str, Attempt]
    checks: Mapping[str, Sequence[Attempt]]
    starts: Mapping[str, int] | None
    confirmed: Mapping[str, TransactionRecord] = field(default_factory=dict)


def reasons(state: TableState, known: Known, keys: Iterable[str]) -> Iterator[tuple[str, tuple[Reason, ...]]]:
    """Yield each partition with the reasons why it would be computed, or is unknown; none if current."""
    for key in keys:
        yield key, tuple(_unique(_reasons(state, known, key)))


def doubtful(state: TableState, known: Known, keys: Iterable[str]) -> list[str]:
    """Return the partitions that seem to be computed from what is no longer so, as far as commits tell."""
    found = reasons(state, known, keys)
    return [key for key, because in found if any(reason.kind in _OF_PAST for reason in because)]


def _reasons(state: TableState, known: Known, key: str) -> Iterator[Reason]:
    layer = state.layer(key)
    entry = layer.entry(key)
    record = entry.record if entry is not None else None
    record = known.confirmed.get(key, record)
    if layer.problem:
        yield Reason("unknown", layer.problem)
        return
    if not layer.is_there(key):
        if entry is None and layer.is_cut:
            yield Reason("unknown", "has no rows, and the log no longer says whether it was computed")
        else:
            yield Reason("missing", "missing" if layer.at is not None else "there is no table yet")
        yield from _attempted(known, key, None)
        return
    if entry is None:
        yield Reason("unknown", "the log no longer says which commit its rows are from")
    elif record is None:
        yield Reason("unknown", _foreign(entry))
    else:
        if record.asset_key not in {"", known.key.to_user_string()}:
            yield Reason("unknown", f"the asset {record.asset_key} committed its rows")
        yield from _declared(known, record)
        for parent in known.parents:
            yield from _changed(parent, parent.map.of(key), record, layer, known.starts)
    yield from _attempted(known, key, record, known.starts)
    for parent in known.parents:
        yield from _planned(parent, key)


def _declared(known: Known, record: TransactionRecord) -> Iterator[Reason]:
    """Yield what of the declaration is another than when the partition was committed."""
    if known.code_version and known.code_version != record.code_version:
        before = f"from {record.code_version}" if record.code_version else "from none"
        yield Reason("code_changed", f"its code version changed {before} to {known.code_version}")
    if known.contract_digest is not None and known.contract_digest != record.contract_digest:
        yield Reason("contract_changed", "its contract changed")


def _planned(parent: Parent, key: str) -> Iterator[Reason]:
    if parent.is_planned(parent.map.of(key)):
        yield Reason("input_planned", f"{parent.name} is computed first", parent.name)


def _changed(
    parent: Parent,
    keys: tuple[str, ...],
    record: TransactionRecord,
    layer: Layer,
    starts: Mapping[str, int] | None,
) -> Iterator[Reason]:
    """Yield whether an input has other rows than the partition was computed from."""
    if not keys:
        return  # such as the day before the first one
    if not parent.is_compared:
        yield from _observed(parent, keys, record, starts)
        return
    name, pinned = parent.name, parent.input.version
    read = [each for each in record.inputs if each.table == name]
    if not read:
        if parent.state is not None and parent.state.newest is not None:
            yield Reason("input_changed", f"{name} was not read then", name)
    elif pinned is not None:
        if isinstance(pinned, int) and any(each.version != pinned for each in read):
            yield Reason("input_changed", f"{name} is read at version {pinned} now", name)
    else:
        difference = parent.difference(keys, read, layer)
        if difference:
            yield Reason("input_changed", f"{name} {difference}", name)
        elif difference is None:
            text = f"the log of {name} no longer says whether its rows are others"
            yield Reason("unknown", text, name)


def _observed(
    parent: Parent, keys: tuple[str, ...], record: TransactionRecord, starts: Mapping[str, int] | None
) -> Iterator[Reason]:
    """Yield whether an asset whose version commits do not record has another data version since."""
    name = parent.name
    if parent.state is not None and not all(map(parent.state.is_recorded, keys)):
        yield Reason("unknown", f"others wrote {name}, and nobody knows whether its rows were read", name)
        return
    if parent.versions is None or starts is None:
        yield Reason("unknown", f"without an instance, nobody knows whether {name} changed", name)
        return
    began = starts.get(record.run_id)
    if began is None:
        yield Reason("unknown", f"the instance does not know the run that read {name}", name)
        return
    changed = parent.has_changed(keys, record.run_id, began)
    if changed:
        yield Reason("input_changed", f"{name} has another data version", name)
    elif changed is None:
        unseen = "was not materialized before the run that read it" if parent.made else NOT_OBSERVED
        yield Reason("unknown", f"{name} {unseen}", name)


def _attempted(
    known: Known, key: str, record: TransactionRecord | None, starts: Mapping[str, int] | None = None
) -> Iterator[Reason]:
    """Yield what failed since the partition was committed."""
    partition = "" if key == WHOLE_TABLE else key
    attempt = known.attempts.get(partition)
    began = (starts or {}).get(record.run_id, 0) if record is not None else 0
    if attempt is not None and not attempt.is_under_way and not _is_superseded(attempt, record, began):
        run = f"run {attempt.run_id[:8]}"
        if attempt.checks:
            checks = [in_short(name, _LONGEST_NAME) for name in attempt.checks]
            yield Reason("check_failed", f"{run} was refused by {enumerated(checks)}")
        else:
            yield Reason("run_failed", f"{run} failed")
    for check in known.checks.get(partition, ()):
        is_told = attempt is not None and attempt.run_id == check.run_id
        if not is_told and not _is_superseded(check, record, began):
            yield Reason("check_failed", f"the check {check.checks[0]} failed")


def _is_superseded(attempt: Attempt, record: TransactionRecord | None, began: int) -> bool:
    """Return whether a partition was committed by an attempt itself, or after it.

    Only where the instance does not know the run that committed it, the clocks of two machines are compared.
    """
    if record is None:
        return False
    if attempt.about:
        return record.run_id not in {attempt.about, attempt.run_id}
    if attempt.number and record.run_id == attempt.run_id:
        return True
    if attempt.number and began:
        return began > attempt.number
    committed = record.began_at.timestamp() if record.began_at is not None else 0.0
    return committed > attempt.began > 0


def _foreign(entry: LogEntry) -> str:
    if entry.unreadable is not None:
        return "a newer release of this package committed its rows"
    info = entry.info
    who = in_short(str(info.get("engineInfo") or "another program"), _LONGEST_NAME)
    return f"{who} wrote its rows, and nobody knows from what"


def _unique(found: Iterable[Reason]) -> Iterator[Reason]:
    return iter(dict.fromkeys(found))
