"""The observer of a source: what changed there since it was last observed."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.errors import naming
from practicus_assets.external.changes.cursor import Place
from practicus_assets.external.changes.observation import Observe, observation
from practicus_assets.external.declaration import Declaration
from practicus_assets.external.slots import Slots
from practicus_assets.instance.events import CLOCK_SKEW
from practicus_assets.instance.observations import latest_versions
from practicus_assets.instance.run_tags import partition_keys
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.relation import NO_ROWS
from practicus_assets.sources.system import Session
from practicus_assets.wording import number_of


@dataclass(frozen=True)
class Observer:
    """Finds the partitions of a source whose rows changed since they were last observed.

    What was observed is what the instance has recorded, and nothing else is kept: to look twice, or again
    after a crash, reports nothing twice.

    Attributes:
        key: the source's key.
        declaration: what its author says of it.
        partitions_def: its partitions.

    """

    key: dg.AssetKey
    declaration: Declaration
    partitions_def: dg.PartitionsDefinition[Any] | None = None

    @property
    def name(self) -> str:
        """The source's name, as people read it."""
        return self.key.to_user_string()

    def partitions(self, instance: dg.DagsterInstance) -> list[str]:
        """Return the keys of all partitions, the newest last; none for a source without partitions."""
        if self.partitions_def is None:
            return []
        with dg.partition_loading_context(dynamic_partitions_store=instance):
            return list(self.partitions_def.get_partition_keys())

    def changes(
        self, session: Session, instance: dg.DagsterInstance, partitions: Sequence[str]
    ) -> list[dg.AssetObservation]:
        """Return an observation of each partition whose data version is not the one that is recorded.

        A partition that has no rows and was never observed has not come yet, and is none of them.

        Args:
            session: an open session of the source's system.
            instance: the Dagster instance.
            partitions: the keys of the partitions to look at; none for a source without partitions.

        """
        if self.partitions_def is not None and not partitions:
            return []
        scopes = [self.declaration.scope(self.partitions_def, [key]) for key in partitions] or [Scope()]
        versions = self.declaration.relation.versions(session, scopes, self.declaration.updated_at)
        recorded = latest_versions(instance, self.key, partitions)
        return [
            observation(self.key, version, key or None, recorded.get(key))
            for key, version in zip(partitions or [""], versions, strict=True)
            if version != recorded.get(key, NO_ROWS)
        ]

    def touched(self, session: Session, partitions: Sequence[str], since: dt.datetime) -> list[str]:
        """Return those of some partitions that rows touch which changed since a moment.

        Args:
            session: an open session of the source's system.
            partitions: the keys of the partitions in question.
            since: the moment, with its time zone.

        """
        relation, updated_at = self.declaration.relation, self.declaration.updated_at
        if updated_at is None or not partitions:
            return []
        columns = self.declaration.scope(self.partitions_def, partitions[-1:]).columns
        changed = relation.changed(session, columns, updated_at, since)
        types = [pa.field(name, type_) for name, type_ in zip(columns, changed.schema.types, strict=True)]
        scope, bounds, numbers = Scope(), None, set[int | None]()
        for batch in changed:
            if not batch.num_rows:
                continue
            if bounds is None:  # only now: mostly nothing changed, and there may be thousands of partitions
                scope = self.declaration.scope(self.partitions_def, partitions)
                bounds = scope.on(pa.schema(types))
            rows = batch.rename_columns(columns).to_pylist()
            numbers |= {bounds.part_of(row) for row in rows}
        keys = {scope.keys[number] for number in numbers if number is not None}
        return [key for key in partitions if key in keys]

    def look(
        self,
        session: Session,
        instance: dg.DagsterInstance,
        place: Place,
        now: dt.datetime,
        *,
        newest: int,
        others: int,
    ) -> tuple[list[dg.AssetObservation], Place]:
        """Return what one tick of a sensor finds, and from where the next one goes on.

        Args:
            session: an open session of the source's system.
            instance: the Dagster instance.
            place: where the last tick stopped.
            now: a moment before the session began.
            newest: how many partitions at the end every tick looks at.
            others: how many further ones it looks at most: those that late rows touch, and then the older
                ones in turn.

        """
        keys = self.partitions(instance)
        older = keys[:-newest]
        late, place = self._late(session, older, place, now, others)
        turn = [key for key in following(older, place.older, others - len(late)) if key not in late]
        changed = self.changes(session, instance, [*late, *turn, *keys[-newest:]])
        return changed, replace(place, older=turn[-1] if turn else place.older)

    def _late(
        self, session: Session, older: Sequence[str], place: Place, now: dt.datetime, most: int
    ) -> tuple[list[str], Place]:
        """Return the older partitions that late rows touch, as many as a tick looks at."""
        if self.declaration.updated_at is None:
            return [], place
        if place.since is None:  # nobody has looked yet: the older partitions have their turn
            return [], replace(place, since=now)
        began = place.began or now
        lag = max(self.declaration.lag or CLOCK_SKEW, CLOCK_SKEW)
        touched = self.touched(session, older, place.since - lag)
        rest = touched
        if place.late in older:
            after = set(older[older.index(place.late) + 1 :])
            rest = [key for key in touched if key in after]
        if len(rest) > most:
            return rest[:most], replace(place, began=began, late=rest[most - 1])
        return rest, replace(place, since=began, began=None, late=None)


def following(keys: Sequence[str], last: str | None, most: int) -> list[str]:
    """Return the keys that have their turn after one of them, beginning again after the last."""
    start = keys.index(last) + 1 if last in keys else 0
    return [*keys[start:], *keys[:start]][: max(0, most)]


def observe(observer: Observer) -> Observe:
    """Return the function that observes a source in a run: the run's partitions, or all if it has none."""

    def observed(context: dg.AssetExecutionContext) -> Iterable[dg.AssetObservation]:
        own = replace(observer, key=context.asset_key)  # a copy of the asset may have another key
        keys = partition_keys(own.partitions_def, context.run.tags, context.instance)
        keys = keys or own.partitions(context.instance)
        system = own.declaration.relation.system
        with naming(own.name), _slot(context, system.pool), system.session() as session:
            changed = own.changes(session, context.instance, keys)
        what = number_of(len(keys), "partition") if keys else "all rows"
        context.log.info("Looked at %s of %s: %s.", what, own.name, number_of(len(changed), "change"))
        return changed

    return observed


@contextmanager
def _slot(context: dg.AssetExecutionContext, pool: str | None) -> Iterator[None]:
    """Hold a slot of a system's pool, as steps do that read it."""
    slots = Slots(context.get_step_execution_context(), [pool] if pool is not None else [])
    slots.claim()
    try:
        yield
    finally:
        slots.free()
