"""Partitions: the keys that a test names, as those of a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError

Cell = Mapping[str, str]
"""The key of each dimension, by the dimension's name."""

Partition = str | Cell | Sequence[str | Cell] | dg.PartitionKeyRange


def keys_of(
    name: str,
    partitions_def: dg.PartitionsDefinition[Any] | None,
    partition: Partition | None,
    instance: dg.DagsterInstance,
) -> list[str]:
    """Return the keys of a run's partitions, in their order; none for an asset without partitions.

    Those of several dimensions are `dg.MultiPartitionKey`s, as in a run.

    Args:
        name: the asset's name, for errors.
        partitions_def: its partitions.
        partition: what the test names.
        instance: the instance of the test, which gets the keys of dynamic partitions.

    Raises:
        DeclarationError: if these are not the partitions of one run.

    """
    if partitions_def is None:
        if partition is not None:
            raise DeclarationError(f"{name} has no partitions, and partition={partition!r}.", "Leave it out.")
        return []
    if partition is None or partition in ("", [], (), {}):
        raise DeclarationError(
            f"{name} has partitions, and partition is {partition!r}.",
            'Name the one to run, e.g. partition="2026-01-01".',
        )
    if isinstance(partition, dg.PartitionKeyRange):
        named, together = [partition.start, partition.end], _between
    else:
        named, together = _named(name, partitions_def, partition), _in_one_run
    if isinstance(partitions_def, dg.DynamicPartitionsDefinition) and partitions_def.name is not None:
        instance.add_dynamic_partitions(partitions_def.name, named)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        for key in named:
            if not _exists(partitions_def, key):
                raise DeclarationError(f"{name} has no partition {key!r}.", _advice(partitions_def))
        keys = named if len(named) == 1 else together(name, partitions_def, named)
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return [partitions_def.get_partition_key_from_str(key) for key in keys]
    return keys


def _between(name: str, partitions_def: dg.PartitionsDefinition[Any], named: list[str]) -> list[str]:
    """Return the keys of a range.

    Raises:
        DeclarationError: if there are none.

    """
    keys = list(partitions_def.get_partition_keys_in_range(dg.PartitionKeyRange(*named)))
    if not keys:
        raise DeclarationError(
            f"{name} has no partitions from {named[0]} to {named[1]}.", "Name the earlier one first."
        )
    return keys


def _named(name: str, partitions_def: dg.PartitionsDefinition[Any], partition: Any) -> list[str]:
    """Return the keys that a test names, each once."""
    alone = isinstance(partition, str | Mapping) or not isinstance(partition, Iterable)
    keys = [
        _of_cell(name, partitions_def, key) if isinstance(key, Mapping) else key
        for key in ([partition] if alone else partition)
    ]
    odd = [key for key in keys if not isinstance(key, str)]
    if odd:
        raise DeclarationError(
            f"{name} has no partition {odd[0]!r}: keys are texts.", f"Write partition={str(odd[0])!r}."
        )
    return list(dict.fromkeys(keys))


def _of_cell(name: str, partitions_def: dg.PartitionsDefinition[Any], cell: Cell) -> str:
    """Return the key of the cell that has these keys of dimensions.

    Raises:
        DeclarationError: if the partitions have other dimensions, or none.

    """
    if not isinstance(partitions_def, dg.MultiPartitionsDefinition):
        raise DeclarationError(
            f"{name} has partitions of one dimension, and partition has {dict(cell)!r}.",
            'Name the key alone, e.g. partition="2026-01-01".',
        )
    dimensions = [dimension.name for dimension in partitions_def.partitions_defs]
    if set(cell) != set(dimensions) or not all(isinstance(key, str) for key in cell.values()):
        example = ", ".join(f'"{dimension}": "…"' for dimension in dimensions)
        raise DeclarationError(
            f"{name} has no partition {dict(cell)!r}: its dimensions are {', '.join(dimensions)}, and keys "
            "are texts.",
            f"Write partition={{{example}}}.",
        )
    return dg.MultiPartitionKey(cell)


def _in_one_run(name: str, partitions_def: dg.PartitionsDefinition[Any], named: list[str]) -> list[str]:
    """Return keys in their order.

    Raises:
        DeclarationError: if others lie between them.

    """
    every = list(partitions_def.get_partition_keys())
    positions = {str(key): position for position, key in enumerate(every)}
    ordered = sorted(named, key=lambda key: positions[str(key)])
    whole = partitions_def.get_partition_keys_in_range(dg.PartitionKeyRange(ordered[0], ordered[-1]))
    if sorted(whole) != sorted(named):
        raise DeclarationError(
            f"{len(whole)} partitions of {name} lie between {ordered[0]} and {ordered[-1]}, and {len(named)} "
            "are named.",
            "A run has all partitions of a range: name them all, or run the others by themselves.",
        )
    return list(whole)


def _exists(partitions_def: dg.PartitionsDefinition[Any], key: str) -> bool:
    try:
        return bool(partitions_def.has_partition_key(key))
    except (ValueError, dg.DagsterError):  # a text that is no key
        return False


def _advice(partitions_def: dg.PartitionsDefinition[Any]) -> str:
    keys = partitions_def.get_partition_keys()
    return f"It has {len(keys)}, from {keys[0]} to {keys[-1]}." if keys else "It has none yet."
