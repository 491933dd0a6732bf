"""Asset options: what `@table_asset` stands above, and which parameters of `dg.asset` it takes with it."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, TypedDict

import dagster as dg
from dagster._check import CheckError

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.wording import enumerated, in_short

Key = dg.AssetKey | str | Sequence[str]
Dependency = Key | dg.AssetSpec | dg.AssetsDefinition | dg.SourceAsset | dg.AssetDep


class AssetOptions(TypedDict, total=False):
    """What `dg.asset` takes and a table asset hands on to it."""

    name: str | None
    key_prefix: str | Sequence[str] | None
    key: Key | None
    ins: Mapping[str, dg.AssetIn] | None
    deps: Iterable[Dependency] | None
    metadata: Mapping[str, Any] | None
    tags: Mapping[str, str] | None
    description: str | None
    check_specs: Sequence[dg.AssetCheckSpec] | None
    config_schema: Any
    required_resource_keys: AbstractSet[str] | None
    resource_defs: Mapping[str, object] | None
    hooks: AbstractSet[dg.HookDefinition] | None
    io_manager_key: str | None
    partitions_def: dg.PartitionsDefinition[str] | None
    op_tags: Mapping[str, Any] | None
    group_name: str | None
    output_required: bool
    automation_condition: dg.AutomationCondition[Any] | None
    freshness_policy: dg.FreshnessPolicy | None
    backfill_policy: dg.BackfillPolicy | None
    retry_policy: dg.RetryPolicy | None
    code_version: str | None
    owners: Sequence[str] | None
    kinds: AbstractSet[str] | None
    pool: str | None


NOT_TAKEN = {
    "dagster_type": "Declare columns and rules in the contract, which takes pandera models too.",
    "io_manager_def": "Give the DeltaIOManager as a resource, and its name as io_manager_key.",
    "is_virtual": "Declare a view as a dg.AssetSpec: a table asset is materialized.",
    "non_argument_deps": "Use deps.",
    "auto_materialize_policy": "Use automation_condition.",
    "legacy_freshness_policy": "Use freshness_policy, or a freshness check.",
    "compute_kind": "Use kinds.",
}


_LONGEST = 80  # characters of a value that stands where a function should
_LONGEST_TEXT = 600
_LISTS = ("deps", "owners", "check_specs")  # texts among them would be taken for lists of letters
_SETS = ("kinds", "required_resource_keys", "hooks")


def refuse_mistaken(options: Mapping[str, Any]) -> None:
    """Refuse a text where several are wanted, of which Dagster would take each letter for one.

    Args:
        options: those that were given, by name.

    Raises:
        DeclarationError: naming the option and what to write; also for tags that are not texts.

    """
    for option in (*_LISTS, *_SETS):
        value = options.get(option)
        if isinstance(value, str):
            what = f"[{value!r}]" if option in _LISTS else f"{{{value!r}}}"
            raise DeclarationError(f"{option} is the text {value!r}.", f"Write {option}={what}.")
    tags = options.get("tags")
    if tags is None:
        return
    if not isinstance(tags, Mapping):
        raise DeclarationError(
            f"tags={tags!r} is no mapping from names to texts.", 'Write tags={"team": "sales"}.'
        )
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise DeclarationError(
                f"tags has {name!r}: {value!r}, and both must be texts.",
                'Write tags={"team": "sales"}; metadata takes other values.',
            )


def refuse_others(options: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuse options that a table asset does not take.

    Args:
        options: the names of the options that were given.
        own: the parameters that the caller takes beside those of `dg.asset`.

    Raises:
        DeclarationError: naming the option and what to do instead.

    """
    taken = [*own, *AssetOptions.__annotations__]
    for option in options:
        if option in NOT_TAKEN:
            raise DeclarationError(f"a table asset takes no {option}.", NOT_TAKEN[option])
        if option not in taken:
            advice = did_you_mean(option, taken, "See dg.asset for what there is.")
            raise DeclarationError(f"a table asset has no option {option!r}.", advice)


def refuse_other_than_function(function: Any) -> None:
    """Raise DeclarationError for what `@table_asset` stands above, or is given, if it is no function."""
    if isinstance(function, dg.AssetsDefinition):
        keys = sorted(key.to_user_string() for key in function.keys)
        what = "is an asset" if len(keys) == 1 else "are assets"
        raise DeclarationError(
            f"table_asset is given {enumerated(keys)}, which {what} already.",
            "Write @table_asset alone above the function: it makes the asset, and takes what dg.asset takes.",
        )
    if isinstance(function, dg.OpDefinition | dg.GraphDefinition):
        raise DeclarationError(
            f"table_asset is given {function.name}, which is an op already.",
            "Write @table_asset alone above the function, or let a table asset call a plain function.",
        )
    if inspect.isclass(function):
        raise DeclarationError(
            f"table_asset is given {function.__name__}, which is a class.",
            "Write @table_asset above a function that returns the rows; a Contract declares their columns.",
        )
    if not callable(function):
        raise DeclarationError(
            f"table_asset is given {in_short(repr(function), _LONGEST)}, which is no function.",
            "Write @table_asset above the function, and its options by name: @table_asset(name=…).",
        )
    if not hasattr(function, "__name__"):
        raise DeclarationError(
            f"table_asset is given {in_short(repr(function), _LONGEST)}, which has no name of its own.",
            "Write a function with def, and call it there.",
        )


@contextmanager
def as_declaration_error(name: str) -> Iterator[None]:
    """Raise DeclarationError, naming the function, for a declaration that Dagster refuses."""
    try:
        yield
    except (dg.DagsterInvalidDefinitionError, CheckError) as error:
        text = in_short(str(error), _LONGEST_TEXT).rstrip(".")
        raise DeclarationError(f"the asset {name} cannot be made. Dagster says: {text}.") from error
