"""Accounts: what a materialization says of its commit beside what it holds: changes, time and resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg

from practicus_assets.assets.report import names
from practicus_assets.assets.report.changes import Changes, changes_of
from practicus_assets.assets.report.summary import summary
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import Mode
from practicus_assets.wording import enumerated
from practicus_assets.workers.launch.usage import Usage, usage
from practicus_assets.workers.request.quantity import in_words

_LINKED = 10  # assets that were read: each is an entry of its own in Dagster's event log
_MIB, _GIB = 1 << 20, 1 << 30


@dataclass(frozen=True)
class InputsRead:
    """What a step has read.

    Attributes:
        versions: the version of each table, by its name.
        assets: the keys of the assets: tables, and sources.
        seconds: the time that it took before the author's function; None outside of a run.

    """

    versions: Mapping[str, int]
    assets: Sequence[dg.AssetKey] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Account:
    """What a commit changed, where its time went, and what its worker used.

    Args:
        table: the table.
        snapshot: the table at the commit's version, scoped to what was replaced.
        commit: the transaction's commit.
        mode: how the rows were written.
        step: the step; None outside of a run.
        inputs: what was read.
        function_seconds: the time of the author's function until its rows came; None if nobody knows.
        is_split: whether splits made the rows, of whose time only that of the commit is one time.
        is_alone: whether no other process, such as that of a split or a server, made rows for the step's.

    """

    table: Table
    snapshot: Snapshot
    commit: Commit
    mode: Mode
    step: Any
    inputs: InputsRead
    function_seconds: float | None = None
    is_split: bool = False
    is_alone: bool = True

    @cached_property
    def _changes(self) -> Changes | None:
        return changes_of(self.table.name, self.snapshot, self.commit, self.mode)

    def of_partition(self, key: str) -> dict[str, int]:
        """Return what became of the rows of one of several partitions."""
        return self._counts(key)

    def added_to(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return a materialization's metadata with those of the account.

        Those of a run of several partitions are copied into the event of each: there the times and what the
        worker used are in the summary alone, and it explains no keys.
        """
        is_one = len(self.snapshot.scope.keys) <= 1
        links = {
            f"{names.INPUTS}{key.to_user_string()}": dg.MetadataValue.asset(key)
            for key in self.inputs.assets[:_LINKED]
        }
        last = {name: metadata[name] for name in (names.FINGERPRINT,) if name in metadata}
        spent = {**self._times(), **usage_metadata(self.step, is_alone=self.is_alone)}
        entries = {
            **{name: entry for name, entry in metadata.items() if name not in last},
            **links,
            **({**self._counts(), **spent} if is_one else {}),
            **last,
        }
        text = summary(
            self.commit,
            self._changes,
            self.inputs.versions,
            {**entries, **spent},
            shows_values=bool(self.table.sample_rows) or bool(self.snapshot.scope.keys),
            explains=is_one,
        )
        return {names.SUMMARY: text, **entries}

    def _counts(self, partition: str | None = None) -> dict[str, int]:
        counts = self._changes.metadata(partition) if self._changes is not None else {}
        if self.mode == "append":
            counts.pop(names.ROWS_ADDED, None)  # it has a name of its own
        return counts

    def _times(self) -> dict[str, float]:
        spent = self.commit.durations
        if spent is None:
            return {}
        if self.is_split:
            return {names.COMMIT_S: round(spent.commit, 4)}
        called = self.function_seconds
        times = {
            names.READ_INPUTS_S: self.inputs.seconds or None,
            names.FUNCTION_S: called + spent.rows if called is not None else spent.rows or None,
            names.AUDIT_S: spent.audit if self.commit.audits else None,
            names.WRITE_S: spent.write,
            names.COMMIT_S: spent.commit,
        }
        return {name: round(seconds, 4) for name, seconds in times.items() if seconds is not None}


def usage_metadata(step: Any, *, is_alone: bool) -> dict[str, Any]:
    """Return what the worker of a step asked for and has used; nothing where the step has none of its own.

    They are those until the materialization: rows are committed by then, and only events are still to come.

    Args:
        step: the step; None outside of a run.
        is_alone: whether the step's process made its rows alone.

    """
    used = usage(step.run_id, step.step.key, is_alone=is_alone) if step is not None else None
    if used is None:
        return {}
    metadata: dict[str, Any] = {
        names.USED: sentence(used),
        names.PEAK_MEMORY_MIB: round(used.peak_memory / _MIB, 1),
    }
    limit = used.memory_limit or used.memory
    if limit:
        metadata[names.MEMORY_LIMIT_MIB] = round(limit / _MIB, 1)
        metadata[names.MEMORY_USED_PERCENT] = round(100 * used.peak_memory / limit, 1)
    metadata[names.TIME_S] = round(used.seconds, 3)
    metadata[names.CPU_USED_CORE_S] = round(used.cpu_seconds, 3)
    if used.cpu:
        metadata[names.CPU_ASKED_CORE_S] = round(used.cpu * used.seconds, 3)
    if used.memory:
        metadata[names.MEMORY_ASKED_GIB_S] = round(used.memory / _GIB * used.seconds, 3)
    return metadata


def sentence(used: Usage) -> str:
    """Return in words what a worker asked for and used: `asked 2 cores and 8 Gi; used at most 1.1 Gi, …`."""
    asked = [_cores(used.cpu)] if used.cpu else []
    if used.memory or used.memory_limit:
        asked.append(in_words(used.memory or used.memory_limit or 0))
    average = used.cpu_seconds / used.seconds if used.seconds > 0 else 0.0
    return (
        f"asked {enumerated(asked) if asked else 'for no CPU and no memory'}; used at most "
        f"{in_words(used.peak_memory)}, and {_cores(average)} on average, in {used.seconds:.1f} s"
    )


def _cores(count: float) -> str:
    text = f"{count:.2f}".rstrip("0").rstrip(".")
    return f"{text} {'core' if text == '1' else 'cores'}"
