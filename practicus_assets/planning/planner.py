"""The planner: looks at the tables of a code location, those that others read first, and writes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.table_definition import TableDefinition, TablesDefinition
from practicus_assets.instance.attempts import attempts, failed_checks
from practicus_assets.instance.events import began
from practicus_assets.instance.versions import RecordedVersion, recorded_versions
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.planning.confirmations import confirmed
from practicus_assets.planning.lineage import Graph, Input, PartitionMap, descendants, in_order, inputs_of
from practicus_assets.planning.plan import Group, Plan, Reason, Stale, TablePlan
from practicus_assets.planning.reasons import Known, Parent, doubtful, reasons
from practicus_assets.planning.request import PlanRequest
from practicus_assets.planning.schema import change_of_run
from practicus_assets.planning.table_state import TableState
from practicus_assets.planning.table_states import TableStates
from practicus_assets.planning.workers import worker_of
from practicus_assets.wording import number_of
from practicus_assets.workers.placement.configuration import Configuration

_ROUNDS = 3  # what begins anew again and again would never end beside a lake that is written to all the time


@dataclass(frozen=True)
class Surroundings:
    """What a plan is made of.

    Attributes:
        graph: the assets of the code location.
        entries: its tables, by asset key.
        configuration: the executor's configuration; None where steps have no workers.
        store: an instance that knows dynamic partitions, be it an empty one.
        instance: the Dagster instance that has recorded runs; None if there is none to ask.

    """

    graph: Graph
    entries: Mapping[dg.AssetKey, TableEntry]
    configuration: Configuration | None
    store: dg.DagsterInstance
    instance: dg.DagsterInstance | None


def plan(request: PlanRequest, around: Surroundings, progress: Progress = unseen) -> Plan:
    """Return what a run of some tables would compute, and why.

    What it says is of one state of the lake: if a commit lands meanwhile, it begins anew, a few times.

    Args:
        request: the tables and partitions.
        around: what the plan is made of.
        progress: the callback that gets how many tables are planned, of how many.

    Raises:
        DeclarationError: if the request names what is not there.
        StoreFailed: if the log of a table cannot be read.

    """
    for _ in range(_ROUNDS):
        planner = Planner(request, around)
        made = planner.plan(progress)
        if not planner.has_moved():
            break
    return made


class Planner:
    """Plans one run.

    Args:
        request: the tables and partitions.
        around: what the plan is made of.
        states: the tables, of which some may have been looked at already.

    Attributes:
        around, states: as above.
        known: what the instance knows of each table that was planned, by asset key.

    """

    def __init__(self, request: PlanRequest, around: Surroundings, states: TableStates | None = None) -> None:
        self._request = request
        self.around = around
        self._graph = around.graph
        self.states = states or TableStates(around.entries, around.store)
        self.known: dict[dg.AssetKey, Known] = {}
        self._planned: dict[dg.AssetKey, set[str]] = {}

    def plan(self, progress: Progress = unseen) -> Plan:
        """Return the plan; raises as the function `plan` does."""
        selected = self._request.keys(self._graph)
        made = {key for key in selected if self._graph.get(key).is_materializable}
        tables = [key for key in in_order(self._graph, made) if self._is_written(key)]
        parents = {each.key for key in tables for each in inputs_of(self._graph, key)}
        self.states.look([*tables, *sorted(self._entries.keys() & (parents - {*tables}))])
        if self._request.is_narrowed:
            parted = [key for key in tables if self._entries[key].partitions_def is not None]
            self._request.refuse_unknown({self._entries[k].name: self._state(k).keys for k in parted})
        plans = []
        for done, key in enumerate(tables):
            progress(done, len(tables))
            found = self._of_table(key)
            plans += [found] if found is not None else []
        left_out = sorted(key.to_user_string() for key in made - {*tables})
        return Plan(
            tuple(plans),
            tuple(self._stale()),
            tuple(left_out),
            asks_instance=self.around.instance is not None,
        )

    def has_moved(self) -> bool:
        """Return whether a commit landed since the tables were looked at."""
        return bool(self.states.moved())

    @property
    def _entries(self) -> Mapping[dg.AssetKey, TableEntry]:
        return self.around.entries

    def _state(self, key: dg.AssetKey) -> TableState:
        return self.states.of(key)

    def _of_table(self, key: dg.AssetKey) -> TablePlan | None:
        """Return the plan of one table; None if none of the request's partitions is its."""
        state, entry = self._state(key), self._entries[key]
        keys = self._request.of(entry.partitions_def, state.keys, self.around.store)
        if not keys and self._request.is_narrowed:
            return None
        planned = self._planned.setdefault(key, set())  # a table that reads itself grows it
        known = self.known[key] = self._confirmed(state, self._known(key, state, keys), keys)
        groups: dict[bool, dict[tuple[Reason, ...], list[str]]] = {True: {}, False: {}}
        current = reused = 0
        for partition, found in reasons(state, known, keys):
            runs = tuple(reason for reason in found if reason.kind != "unknown")
            if runs:
                planned.add(partition)
            if found:
                groups[bool(runs)].setdefault(runs or found, []).append(partition)
            else:
                current += 1
                reused += self._is_reused(state, partition)
        order = {partition: number for number, partition in enumerate(state.keys)}
        computed = [partition for partition in keys if partition in planned]
        appends = entry.settings.options.mode == "append"
        rows, size = (0, 0) if appends else state.size(computed)
        return TablePlan(
            table=entry.name,
            version=state.newest.version if state.newest is not None else None,
            has_partitions=entry.partitions_def is not None,
            planned=tuple(_groups(groups[True], order)),
            unknown=tuple(_groups(groups[False], order)),
            current=current,
            reused=reused,
            rows=rows,
            size_bytes=size,
            schema=change_of_run(entry, state.newest, self.around.store) if computed else None,
            worker=self._worker(key, computed) if computed else {},
            notes=tuple(self._notes(state, known, computed)),
        )

    def _known(self, key: dg.AssetKey, state: TableState, keys: Sequence[str]) -> Known:
        node, instance = self._graph.get(key), self.around.instance
        parents = [self._parent(key, each) for each in inputs_of(self._graph, key)]
        starts: Mapping[str, int] = {}
        if instance is not None:
            starts = began(instance, {record.run_id for record in state.records(keys)})
            for parent in parents:
                if not parent.is_compared:
                    parent.versions = _versions(instance, parent, keys, min(starts.values(), default=0))
        blocking = [
            spec.key for spec in node.assets_def.check_specs if spec.asset_key == key and spec.blocking
        ]
        has_partitions = node.partitions_def is not None
        return Known(
            key,
            node.code_version,
            self._contract_digest(key),
            parents,
            attempts(instance, key, has_partitions=has_partitions) if instance is not None else {},
            failed_checks(instance, blocking) if instance is not None and blocking else {},
            starts if instance is not None else None,
        )

    def _confirmed(self, state: TableState, known: Known, keys: Sequence[str]) -> Known:
        """Return what is known of a table with what runs found that committed nothing."""
        instance = self.around.instance
        if instance is None or known.starts is None:
            return known
        records = confirmed(instance, state, doubtful(state, known, keys), known.starts)
        further = began(instance, {record.run_id for record in records.values()})
        return replace(known, confirmed=records, starts={**known.starts, **further})

    def _parent(self, key: dg.AssetKey, given: Input) -> Parent:
        parent = given.key
        node = self._graph.get(parent)
        state = self._state(parent) if self._is_table(parent) else None
        own: Sequence[str] = state.keys if state is not None else ()
        if state is None and node.partitions_def is not None:
            own = list(node.partitions_def.get_partition_keys(dynamic_partitions_store=self.around.store))
        between = PartitionMap(self._graph, key, parent, own, self.around.store)
        planned = self._planned.setdefault(parent, set())
        return Parent(given, between, state, planned, made=node.is_materializable)

    def _is_written(self, key: dg.AssetKey) -> bool:
        """Return whether an asset is a table that runs here write."""
        return key in self._entries and self._entries[key].is_written

    def _is_table(self, key: dg.AssetKey) -> bool:
        """Return whether an asset is a table here: one that nothing here writes is, if there is one."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        return entry.is_written or self._state(key).newest is not None

    def _contract_digest(self, key: dg.AssetKey) -> str | None:
        """Return what tells a table's contract from others; None if nobody here knows the contract."""
        assets = self._graph.get(key).assets_def
        if isinstance(assets, TablesDefinition) and not isinstance(assets, TableDefinition):
            return None  # one of several tables of a task
        return (self._entries[key].contract or Contract()).digest

    def _is_reused(self, state: TableState, partition: str) -> bool:
        """Return whether the commit of a partition that is up to date was made to be used again."""
        assets = self._graph.get(state.entry.key).assets_def
        if not isinstance(assets, TableDefinition) or not assets.terms.reuse:
            return False
        entry = state.own.entry(partition)
        return entry is not None and entry.record is not None and bool(entry.record.config_digest)

    def _worker(self, key: dg.AssetKey, computed: Sequence[str]) -> Mapping[str, str]:
        configuration, node = self.around.configuration, self._graph.get(key)
        if configuration is None:
            return {}
        keys = computed if node.partitions_def is not None else []
        return worker_of(node.assets_def, keys, configuration, self.around.store)

    def _notes(self, state: TableState, known: Known, computed: Sequence[str]) -> Iterable[str]:
        waiting = sum(1 for attempt in known.attempts.values() if attempt.is_under_way)
        if waiting:
            yield f"A run under way is to compute {number_of(waiting, 'partition')}."
        if (
            isinstance(state.entry.partitions_def, dg.DynamicPartitionsDefinition)
            and self.around.instance is None
        ):
            yield "Its partitions are dynamic, and only an instance knows them."
        for parent in known.parents:
            lacking = _lacking(parent, computed)
            if lacking:
                what = "the table" if parent.map.all == (WHOLE_TABLE,) else number_of(lacking, "partition")
                yield f"It reads {parent.name}, and {what} of it would be missing: this plan computes none."

    def _stale(self) -> Iterable[Stale]:
        """Yield what is below the planned partitions, and is not planned itself."""
        changed = {key: set(found) for key, found in self._planned.items() if found}
        for key in in_order(self._graph, descendants(self._graph, changed)):
            parents = [each for each in inputs_of(self._graph, key) if changed.get(each.key)]
            if not parents:
                continue
            if not self._is_written(key):
                if self._graph.get(key).is_materializable:
                    yield Stale(key.to_user_string(), None)
                continue
            stale = self._stale_partitions(key, parents, changed)
            if stale:
                changed[key] = changed.get(key, set()) | stale
                yield Stale(self._entries[key].name, len(stale))

    def _stale_partitions(
        self, key: dg.AssetKey, parents: Iterable[Input], changed: Mapping[dg.AssetKey, set[str]]
    ) -> set[str]:
        state = self._state(key)
        there = [each for each in state.keys if state.is_there(each)]
        stale: set[str] = set()
        for parent in parents:
            found = self._parent(key, parent)
            found.planned = changed[parent.key]
            stale |= {each for each in there if each not in stale and found.is_planned(found.map.of(each))}
        return stale - self._planned.get(key, set())


def _versions(
    instance: dg.DagsterInstance, parent: Parent, keys: Iterable[str], since: int
) -> Mapping[str, Sequence[RecordedVersion]]:
    """Return the recorded data versions of what some partitions are computed from."""
    is_whole = parent.map.all == (WHOLE_TABLE,)
    read = () if is_whole else tuple(parent.map.of_any(keys))
    if not read and not is_whole:
        return {}
    return recorded_versions(instance, parent.input.key, read, since, made=parent.made)


def _lacking(parent: Parent, computed: Iterable[str]) -> int:
    """Return how many partitions of a table that are read are missing, and are not computed before."""
    state = parent.state
    if state is None or not parent.input.is_loaded:
        return 0
    if parent.map.all == (WHOLE_TABLE,):
        return int(any(computed) and state.newest is None and not parent.planned)
    read = parent.map.of_any(computed)
    return sum(1 for key in read if key not in parent.planned and not state.is_there(key))


def _groups(found: Mapping[tuple[Reason, ...], Sequence[str]], order: Mapping[str, int]) -> Iterable[Group]:
    for because, keys in found.items():
        if keys == [WHOLE_TABLE]:
            yield Group(because)
        else:
            yield Group(because, tuple(keys), tuple(_spans(keys, order)))


def _spans(keys: Sequence[str], order: Mapping[str, int]) -> Iterable[tuple[str, str, int]]:
    """Yield the first and the last key of each run of neighbours, with how many there are."""
    start = 0
    for position in range(1, len(keys) + 1):
        if position == len(keys) or order[keys[position]] != order[keys[position - 1]] + 1:
            yield keys[start], keys[position - 1], position - start
            start = position
