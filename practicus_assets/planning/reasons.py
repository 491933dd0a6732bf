"""Reasons: why one table's partitions would be computed, from what the lake and the instance know of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from practicus_assets.instance.attempts import Attempt
from practicus_assets.instance.versions import Dated, changed_since
from practicus_assets.lake.delta.log import LogEntry
from practicus_assets.lake.delta.record import InputVersion, TransactionRecord
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.planning.lineage import Input, PartitionMap
from practicus_assets.planning.plan import Reason
from practicus_assets.planning.table_state import TableState
from practicus_assets.wording import enumerated, in_short

_LONGEST_NAME = 60


@dataclass
class Parent:
    """An input of a table that is planned.

    Attributes:
        input: which asset it is.
        map: which of its partitions each partition of the table is computed from.
        state: what the lake has of it; None if it is no table.
        planned: those of its partitions that the plan computes.
        made: whether runs here make it, where it is no table; else it is observed.
        versions: its data versions in the instance, where it is no table; None without an instance.

    """

    input: Input
    map: PartitionMap
    state: TableState | None
    planned: set[str] = field(default_factory=set)
    made: bool = False
    versions: Mapping[str, Sequence[Dated]] | None = None
    _answers: dict[tuple[str, float], bool | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name by which commits record it."""
        return self.state.entry.name if self.state is not None else self.input.name

    def has_same_rows(self, keys: tuple[str, ...], version: int) -> bool | None:
        """Return whether partitions hold the rows that they held at a version; None if nobody can tell."""
        return self._once("rows", keys, version, lambda: self._same_rows(keys, version))

    def is_planned(self, keys: tuple[str, ...]) -> bool:
        """Return whether the plan computes one of these partitions."""
        if not self.planned:
            return False
        count = len(self.planned)  # which grows while a table is planned that reads itself
        return bool(self._once("planned", keys, count, lambda: not self.planned.isdisjoint(keys)))

    def has_changed(self, keys: tuple[str, ...], began: float) -> bool | None:
        """Return whether partitions of what is no table have another data version than at a moment."""
        return self._once("versions", keys, began, lambda: self._has_changed(keys, began))

    def _once(
        self, question: str, keys: tuple[str, ...], about: float, answer: Callable[[], bool | None]
    ) -> bool | None:
        """Return an answer; that on all partitions is kept, for thousands may be computed from all."""
        if keys is not self.map.all:
            return answer()
        if (question, about) not in self._answers:
            self._answers[question, about] = answer()
        return self._answers[question, about]

    def _has_changed(self, keys: tuple[str, ...], began: float) -> bool | None:
        answer: bool | None = False
        for key in keys:
            versions = (self.versions or {}).get("" if key == WHOLE_TABLE else key, ())
            changed = changed_since(versions, began)
            if changed:
                return True
            answer = None if changed is None else answer
        return answer

    def _same_rows(self, keys: tuple[str, ...], version: int) -> bool | None:
        changes = self.state.changes if self.state is not None else None
        if changes is None:
            return None
        answer: bool | None = True
        for key in keys:
            same = changes.same_rows_since(key, version) if changes.has(key) else True
            if same is False:
                return False
            answer = None if same is None else answer
        return answer


@dataclass(frozen=True)
class Known:
    """What is known of a table that is planned, beside its log.

    Attributes:
        key: the asset's key.
        code_version: the asset's code version; None if it declares none.
        contract_digest: of its contract; empty without one.
        parents: its inputs.
        attempts: the newest run of each partition that did not materialize it; "" for a table without.
        checks: the checks that found its rows wrong, by partition; "" for all.
        starts: when runs began, in seconds since 1970, by id; None without an instance.

    """

    key: dg.AssetKey
    code_version: str | None
    contract_digest: str
    parents: Sequence[Parent]
    attempts: Mapping[str, Attempt]
    checks: Mapping[str, Sequence[Attempt]]
    starts: Mapping[str, float] | None


def reasons(state: TableState, known: Known, keys: Iterable[str]) -> Iterator[tuple[str, tuple[Reason, ...]]]:
    """Yield each partition with the reasons why it would be computed, or is unknown; none if current."""
    for key in keys:
        yield key, tuple(_unique(_reasons(state, known, key)))


def _reasons(state: TableState, known: Known, key: str) -> Iterator[Reason]:
    entry = state.changes.entry(key) if state.changes is not None else None
    record = entry.record if entry is not None else None
    if state.problem:
        yield Reason("unknown", state.problem)
        return
    if not state.is_there(key):
        is_cut = state.changes is not None and entry is None and state.changes.oldest > 0
        if is_cut:
            yield Reason("unknown", "has no rows, and the log no longer says whether it was computed")
        else:
            yield Reason("missing", "missing" if state.at is not None else "there is no table yet")
        yield from _attempted(known, key, None)
        return
    if entry is None:
        yield Reason("unknown", "the log no longer says which commit its rows are from")
    elif record is None:
        yield Reason("unknown", _foreign(entry))
    elif record.asset_key not in {"", known.key.to_user_string()}:
        yield Reason("unknown", f"the asset {record.asset_key} committed its rows")
    if record is not None and entry is not None:
        yield from _declared(known, record)
        for parent in known.parents:
            yield from _changed(parent, key, record, known.starts)
    yield from _attempted(known, key, record)
    for parent in known.parents:
        yield from _planned(parent, key)


def _declared(known: Known, record: TransactionRecord) -> Iterator[Reason]:
    """Yield what of the declaration is another than when the partition was committed."""
    if known.code_version and known.code_version != record.code_version:
        before = f"from {record.code_version}" if record.code_version else "from none"
        yield Reason("code_changed", f"its code version changed {before} to {known.code_version}")
    if known.contract_digest != record.contract_digest:
        yield Reason("contract_changed", "its contract changed")


def _planned(parent: Parent, key: str) -> Iterator[Reason]:
    if parent.is_planned(parent.map.of(key)):
        yield Reason("input_planned", f"{parent.name} is computed first", parent.name)


def _changed(
    parent: Parent, key: str, record: TransactionRecord, starts: Mapping[str, float] | None
) -> Iterator[Reason]:
    """Yield whether an input has other rows than the partition was computed from."""
    if parent.state is None:
        yield from _observed(parent, key, record, starts)
        return
    name, at = parent.name, parent.state.at
    read = [each for each in record.inputs if each.table == name]
    if not read and at is None:
        return
    if not read:
        yield from _unrecorded(parent, key, record)
    elif at is None:
        yield Reason("input_changed", f"{name} is gone", name)
    elif any(each.table_id not in {"", at.id} for each in read):
        yield Reason("input_changed", f"{name} was created again", name)
    else:
        yield from _compared(parent, parent.map.of(key), read)


def _compared(parent: Parent, keys: tuple[str, ...], read: Sequence[InputVersion]) -> Iterator[Reason]:
    answers = {parent.has_same_rows(keys, each.version) for each in read}
    if False in answers:
        yield Reason("input_changed", f"{parent.name} has other rows", parent.name)
    elif None in answers:
        text = f"the log of {parent.name} no longer says whether its rows are others"
        yield Reason("unknown", text, parent.name)


def _unrecorded(parent: Parent, key: str, record: TransactionRecord) -> Iterator[Reason]:
    """Yield what is known of a table whose version the commit does not have: the function may read it."""
    name, changes = parent.name, parent.state.changes if parent.state is not None else None
    if parent.input.is_loaded:
        yield Reason("input_changed", f"{name} was not read then", name)
        return
    if changes is None:
        yield Reason("unknown", f"{name} may have changed", name)
        return
    found = [changes.entry(each) for each in parent.map.of(key) if changes.has(each)]
    times = [float(entry.info.get("timestamp") or 0) for entry in found if entry is not None]
    if record.began_at is None or 0 in times:
        yield Reason("unknown", f"{name} may have changed", name)
    elif any(time > record.began_at.timestamp() * 1000 for time in times):
        yield Reason("input_changed", f"{name} was committed later", name)


def _observed(
    parent: Parent, key: str, record: TransactionRecord, starts: Mapping[str, float] | None
) -> Iterator[Reason]:
    """Yield whether an asset that is no table was observed, or made, with another data version since."""
    name = parent.name
    if parent.versions is None or starts is None:
        yield Reason("unknown", f"without an instance, nobody knows whether {name} changed", name)
        return
    began = starts.get(record.run_id)
    if began is None:
        yield Reason("unknown", f"the instance does not know the run that read {name}", name)
        return
    changed = parent.has_changed(parent.map.of(key), began)
    if changed:
        yield Reason("input_changed", f"{name} has another data version", name)
    elif changed is None:
        seen = "materialized" if parent.made else "observed"
        yield Reason("unknown", f"{name} was not {seen} before the run that read it", name)


def _attempted(known: Known, key: str, record: TransactionRecord | None) -> Iterator[Reason]:
    """Yield what failed since the partition was committed."""
    partition = "" if key == WHOLE_TABLE else key
    attempt = known.attempts.get(partition)
    if attempt is not None and not attempt.is_under_way and not _is_superseded(attempt, record):
        run = f"run {attempt.run_id[:8]}"
        if attempt.checks:
            checks = [in_short(name, _LONGEST_NAME) for name in attempt.checks]
            yield Reason("check_failed", f"{run} was refused by {enumerated(checks)}")
        else:
            yield Reason("run_failed", f"{run} failed")
    for check in known.checks.get(partition, ()):
        is_told = attempt is not None and attempt.run_id == check.run_id
        if not is_told and not _is_superseded(check, record):
            yield Reason("check_failed", f"the check {check.checks[0]} failed")


def _is_superseded(attempt: Attempt, record: TransactionRecord | None) -> bool:
    """Return whether a partition was committed by an attempt itself, or after it."""
    if record is None:
        return False
    began = record.began_at.timestamp() if record.began_at is not None else 0.0
    return record.run_id == attempt.run_id or began > attempt.began > 0


def _foreign(entry: LogEntry) -> str:
    if entry.unreadable is not None:
        return "a newer release of this package committed its rows"
    info = entry.info
    who = in_short(str(info.get("engineInfo") or "another program"), _LONGEST_NAME)
    return f"{who} wrote its rows, and nobody knows from what"


def _unique(found: Iterable[Reason]) -> Iterator[Reason]:
    return iter(dict.fromkeys(found))
