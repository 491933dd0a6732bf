"""Requested runs: which partitions of tables are to be made again for what was observed of their sources."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from practicus_assets.external.changes.cursor import Place
from practicus_assets.external.changes.observation import is_first
from practicus_assets.external.changes.observer import Observer
from practicus_assets.instance.events import latest
from practicus_assets.instance.observations import newest_record, recorded_after

SOURCES_TAG = "practicus/changed_sources"
_MOST_RECORDS = 100  # of one source and tick
_WHOLE = ""  # the partition of a job without partitions


@dataclass
class RequestedRuns:
    """Collects runs of one job for the observations of its sources.

    They follow from what the instance has recorded and not from what a tick has found, so that a crash
    between the two loses none; each observation is taken once, for the cursor moves with the requests.

    Args:
        job: the job.
        repository: the definitions of its code location.
        instance: the Dagster instance.

    """

    job: dg.JobDefinition
    repository: dg.RepositoryDefinition
    instance: dg.DagsterInstance
    notes: list[str] = field(default_factory=list)
    _changes: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))

    def add(self, observer: Observer, place: Place) -> Place:
        """Take the observations of a source since the last tick, and return where the next one goes on."""
        if place.recorded is None:  # what was observed before the sensor began asks for nothing
            return replace(place, recorded=newest_record(self.instance, observer.key))
        records = recorded_after(self.instance, observer.key, place.recorded, _MOST_RECORDS)
        for record in records:
            event = record.asset_observation
            if event is not None and event.data_version is not None:
                for partition in self._partitions(observer, event):
                    self._changes[partition].add((observer.name, record.storage_id))
        return replace(place, recorded=records[-1].storage_id) if records else place

    def requests(self) -> list[dg.RunRequest]:
        """Return one request for each partition of the job that is to be made again.

        A run's key is made of the observations' numbers: data versions come back, where rows were changed
        and changed back, and Dagster makes one run of a key.
        """
        requests = []
        for partition, changes in self._changes.items():
            identity = "\n".join(f"{name}|{number}" for name, number in sorted(changes))
            requests.append(
                dg.RunRequest(
                    run_key=f"{partition}|{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
                    partition_key=partition or None,
                    tags={SOURCES_TAG: ", ".join(sorted({name for name, _ in changes}))},
                )
            )
        return requests

    def _partitions(self, observer: Observer, event: dg.AssetObservation) -> Iterable[str]:
        """Return the partitions of the job that depend on what was observed."""
        below = [key for key in self._below(observer) if self._is_of_the_job(key)]
        if self.job.partitions_def is None:
            return [] if self._is_there(event, dict.fromkeys(below, (_WHOLE,))) else [_WHOLE]
        if event.partition is None:
            self.notes.append(
                f"{observer.name} changed, on which every partition of {self.job.name} depends: "
                "none is requested, start a backfill"
            )
            return []
        if not below:
            return [event.partition] if observer.partitions_def == self.job.partitions_def else []
        by_table = {key: self._depending(observer, event.partition, key) for key in below}
        if self._is_there(event, by_table):
            return []
        return dict.fromkeys(partition for keys in by_table.values() for partition in keys)

    def _below(self, observer: Observer) -> list[dg.AssetKey]:
        graph, targets = self.repository.asset_graph, set(self.job.asset_layer.executable_asset_keys)
        return sorted(targets.intersection(graph.get(observer.key).child_keys))

    def _is_of_the_job(self, key: dg.AssetKey) -> bool:
        return bool(self.repository.asset_graph.get(key).partitions_def == self.job.partitions_def)

    def _depending(self, observer: Observer, partition: str, table: dg.AssetKey) -> Sequence[str]:
        with dg.partition_loading_context(dynamic_partitions_store=self.instance):
            return list(
                self.repository.asset_graph.get_child_partition_keys_of_parent(partition, observer.key, table)
            )

    def _is_there(self, event: dg.AssetObservation, tables: Mapping[dg.AssetKey, Sequence[str]]) -> bool:
        """Whether a version that is observed first is of rows that the tables have already.

        When a sensor is switched on, each partition is observed for the first time, and most are no news.
        """
        if not is_first(event) or not tables:
            return False
        return all(
            len(latest(self.instance, table, [key for key in keys if key])) == len(keys)
            for table, keys in tables.items()
        )
