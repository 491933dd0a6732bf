"""Lineage: which partitions of its inputs a partition of a table is computed from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.lake.partitions.scope import WHOLE_TABLE

Graph = Any
"""Dagster's graph of the assets of a code location, whose class is not public."""

_WHOLE = (WHOLE_TABLE,)


@dataclass(frozen=True)
class Input:
    """An asset that another one reads or follows.

    Attributes:
        key: the asset's key.
        name: its name.
        is_loaded: whether a parameter of the function gets its rows; else the function may read it itself.
        version: the version of its table that the declaration asks for; None for the newest.

    """

    key: dg.AssetKey
    name: str
    is_loaded: bool
    version: int | datetime | None = None


def inputs_of(graph: Graph, key: dg.AssetKey) -> list[Input]:
    """Return the inputs of an asset, in the order of their names."""
    assets = graph.get(key).assets_def
    versions: dict[dg.AssetKey, int | datetime | None] = {}
    if assets.is_executable:
        inputs = assets.node_def.input_dict
        for name, source in assets.keys_by_input_name.items():
            if name in inputs and not inputs[name].dagster_type.is_nothing:
                versions[source] = InputSettings.from_metadata(inputs[name].metadata).version
    return [
        Input(parent, parent.to_user_string(), parent in versions, versions.get(parent))
        for parent in sorted(graph.get(key).parent_keys)
    ]


class PartitionMap:
    """Which partitions of one asset each partition of another one is computed from.

    Args:
        graph: the assets of the code location.
        key: the asset that is computed.
        parent: the asset that it is computed from.
        parent_keys: the keys of all partitions of that asset; none if it has no partitions.
        instance: the Dagster instance, which knows dynamic partitions.

    Attributes:
        all: the keys of all partitions of that asset; `WHOLE_TABLE` alone if it has none.

    """

    def __init__(
        self,
        graph: Graph,
        key: dg.AssetKey,
        parent: dg.AssetKey,
        parent_keys: Sequence[str],
        instance: dg.DagsterInstance,
    ) -> None:
        self._own, self._others = graph.get(key).partitions_def, graph.get(parent).partitions_def
        self._mapping: Any = graph.get_partition_mapping(key, parent)
        self._instance = instance
        self.all = _WHOLE if self._others is None else tuple(map(str, parent_keys))
        self._existing = frozenset(self.all)
        self._found: dict[str, tuple[str, ...]] = {}
        kind = type(self._mapping)
        is_plain = kind is dg.IdentityPartitionMapping or (
            kind is dg.TimeWindowPartitionMapping and self._mapping == dg.TimeWindowPartitionMapping()
        )
        self._is_identity = is_plain and self._own == self._others

    def of(self, key: str) -> tuple[str, ...]:
        """Return the keys of the partitions that one is computed from; `all` itself, if it is from all."""
        if self._is_identity and self._others is not None:
            return (key,) if key in self._existing else ()
        if self._others is None or isinstance(self._mapping, dg.AllPartitionMapping):
            return self.all
        if key not in self._found:
            self._found[key] = self._mapped(key)
        return self._found[key]

    def of_any(self, keys: Iterable[str]) -> Iterable[str]:
        """Return the keys of the partitions that some are computed from, each once."""
        found: dict[str, None] = {}
        for key in keys:
            read = self.of(key)
            if read is self.all:
                return read
            found |= dict.fromkeys(read)
        return found

    def _mapped(self, key: str) -> tuple[str, ...]:
        own = self._own.subset_with_partition_keys([key]) if self._own is not None else None
        with dg.partition_loading_context(dynamic_partitions_store=self._instance):
            result = self._mapping.get_upstream_mapped_partitions_result_for_partitions(
                own, self._own, self._others
            )
            return tuple(map(str, result.partitions_subset.get_partition_keys()))


def in_order(graph: Graph, keys: Iterable[dg.AssetKey]) -> list[dg.AssetKey]:
    """Return assets so that each comes after those that it is computed from."""
    wanted = set(keys)
    return [key for key in graph.toposorted_asset_keys if key in wanted]


def descendants(graph: Graph, keys: Iterable[dg.AssetKey]) -> set[dg.AssetKey]:
    """Return every asset that is computed from some, these themselves left out."""
    below: set[dg.AssetKey] = set()
    waiting = list(keys)
    while waiting:
        for child in graph.get(waiting.pop()).child_keys:
            if child not in below:
                below.add(child)
                waiting.append(child)
    return below
