"""Requests: which tables and partitions a plan is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.planning.lineage import Graph
from practicus_assets.redaction import description

_NAMED = 12  # assets that an error names
_RANGE = "..."  # between two keys, as Dagster's own commands take it


@dataclass(frozen=True)
class PlanRequest:
    """Which tables and partitions a plan is about.

    Attributes:
        select: the assets, in Dagster's words for it, e.g. "+final_table"; empty for all.
        partitions: the keys of partitions; none for all.
        ranges: first and last keys, joined by "...", as `dagster asset materialize` takes them.
        within: the assets among which these are; None for all of the code location.

    """

    select: str = ""
    partitions: Sequence[str] = ()
    ranges: Sequence[str] = ()
    within: frozenset[dg.AssetKey] | None = None

    def keys(self, graph: Graph) -> set[dg.AssetKey]:
        """Return the selected assets.

        Raises:
            DeclarationError: if Dagster cannot read the selection, or nothing is selected.

        """
        if not self.select:
            return set(self.within if self.within is not None else dg.AssetSelection.all().resolve(graph))
        try:
            keys = set(dg.AssetSelection.from_coercible(self.select.split(",")).resolve(graph))
        except dg.DagsterInvalidSubsetError as error:  # its text repeats the selection at length
            names = sorted(key.to_user_string() for key in graph.get_all_asset_keys())
            bare = self.select.split(",")[0].strip("+* ")
            raise DeclarationError(
                f"the selection {self.select!r} names assets that are not here.",
                did_you_mean(bare, names, f"There are {', '.join(names[:_NAMED])}.", most=3),
            ) from error
        except Exception as error:
            raise DeclarationError(
                f"the selection {self.select!r} is none: {description(error)}.",
                'Write it as for `dagster asset materialize --select`, e.g. "+final_table".',
            ) from error
        keys &= self.within if self.within is not None else keys
        if not keys:
            raise DeclarationError(f"the selection {self.select!r} selects nothing.", "Correct it.")
        return keys

    @property
    def is_narrowed(self) -> bool:
        """Whether partitions are named."""
        return bool(self.partitions or self.ranges)

    def refuse_unknown(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Refuse partitions that no table has.

        Args:
            tables: the keys of the partitions of each selected table that has some, by its name.

        Raises:
            DeclarationError: for a key, or an end of a range, that none of them has.

        """
        every = {key for keys in tables.values() for key in keys}
        for key in (*self.partitions, *(end for text in self.ranges for end in _ends(text))):
            if key not in every:
                names = ", ".join(tables) or "none of the selected tables has partitions"
                advice = did_you_mean(key, sorted(every), f"Looked at: {names}.")
                raise DeclarationError(f"no selected table has a partition {key!r}.", advice)

    def of(
        self,
        partitions_def: dg.PartitionsDefinition[Any] | None,
        keys: Sequence[str],
        instance: dg.DagsterInstance,
    ) -> list[str]:
        """Return those of a table's partitions that the plan is about, in the order of the table.

        Args:
            partitions_def: the table's partitions; None if it has none.
            keys: the keys of all of them.
            instance: the Dagster instance, which knows dynamic partitions.

        """
        if partitions_def is None:
            return [WHOLE_TABLE]
        if not self.is_narrowed:
            return list(keys)
        existing, wanted = set(keys), set(self.partitions)
        for text in self.ranges:
            first, last = _ends(text)
            if first in existing and last in existing:
                with dg.partition_loading_context(dynamic_partitions_store=instance):
                    between = partitions_def.get_partition_keys_in_range(dg.PartitionKeyRange(first, last))
                wanted |= set(map(str, between))
        return [key for key in keys if key in wanted]


def _ends(text: str) -> tuple[str, str]:
    first, dots, last = text.partition(_RANGE)
    if not dots or not first or not last:
        raise DeclarationError(
            f"the range of partitions is {text!r}.", "Write FIRST...LAST, e.g. 2013-01-01...2013-12-31."
        )
    return first, last
