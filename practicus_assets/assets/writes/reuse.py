"""Reuse: whether a step ends before its function, and by which configuration later runs know its commit."""

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.report.names import REUSE_TAG
from practicus_assets.assets.runs import inputs_of, step_of
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.instance.attempts import failed_checks
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.transactions.unchanged.reuse import reusable
from practicus_assets.redaction import SHORTEST_SECRET, is_secret, may_be_secret
from practicus_assets.wording import enumerated


class StepReuse:
    """Reuse in one step of a table that is declared with `reuse=True`.

    Args:
        context: the step's context.
        key: the asset's key.
        terms: what its definition says of it.
        options: how its rows are written.
        is_over_base: whether its lake lies over a base.

    Attributes:
        config_digest: tells the configuration of the step from others: its config, partitions and inputs'
            settings; empty where the rows depend on what nobody can compare.

    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        key: dg.AssetKey,
        terms: TableTerms,
        options: WriteOptions,
        *,
        is_over_base: bool,
    ) -> None:
        self._context = context
        self._key = key
        self._terms = terms
        self._step = step_of(context)
        self._is_over_base = is_over_base
        self._obstacle = next(self._obstacles(), "") if terms.reuse else "it is declared without reuse"
        self.config_digest = "" if self._obstacle else self._digest(options)

    def commit(self, transaction: Transaction) -> Commit | None:
        """Return the table as it is, if its rows are those that the step would compute; else None.

        The run's log says why they are computed.
        """
        if not self._terms.reuse:
            return None
        reason = self._obstacle or next(self._doubts(), "")
        if not reason:
            inputs = tuple(inputs_of(self._step).values())
            found = reusable(transaction.attempt, inputs, [spec.name for spec in self._terms.author_specs])
            if isinstance(found, Commit):
                return found
            reason = found
        self._context.log.info("%s: its rows are computed, for %s", self._key.to_user_string(), reason)
        return None

    def _obstacles(self) -> Iterator[str]:
        """Yield what the rows may depend on, and no commit records."""
        context, step = self._context, self._step
        if step is None:
            yield "it has no run"
            return
        if self._is_over_base:
            yield "its lake lies over a base"
        if not context.assets_def.get_asset_spec(self._key).code_version:
            yield "it has no code version"
        resources = sorted(context.op_def.required_resource_keys)
        if resources:
            yield f"its function takes the resources {enumerated(resources)}"
        loaded = self._loaded()
        others = {parent.to_user_string() for parent in context.assets_def.asset_deps[self._key]}
        others -= {parent.to_user_string() for parent in loaded.values()}
        if others:
            yield f"its function does not load {enumerated(sorted(others))}, on which it depends"
        foreign = sorted({*loaded} - {name for _, name in inputs_of(step)})
        if foreign:
            yield f"its inputs {enumerated(foreign)} are no tables of a lake"
        given: Any = step.dagster_run.run_config
        for name in step.node_handle.path:
            given = given.get("ops", {}).get(name, {})
        schema = context.op_def.config_schema
        if _has_variables(given) or (schema and _is_read_from_environment(schema.as_field())):
            yield "its config is read from the environment"
        if _has_secrets(step.op_config):
            yield "its config has a secret"

    def _doubts(self) -> Iterator[str]:
        """Yield why rows that are there are not used again, though a later run may use them."""
        if self._step.dagster_run.tags.get(REUSE_TAG, "").lower() in {"no", "false"}:
            yield f"the run has the tag {REUSE_TAG}"
        graph = self._step.job_def.asset_layer.asset_graph
        keys = graph.get_check_keys_for_assets({self._key}) if graph.has(self._key) else set()
        blocking = sorted(key for key in keys if graph.get_check_spec(key).blocking)
        failed = failed_checks(self._context.instance, blocking) if blocking else {}
        partitions = {"", *self._partitions()}
        names = sorted({name for part in partitions for each in failed.get(part, ()) for name in each.checks})
        if names:
            yield f"the checks {enumerated(names)} failed the last time"

    def _loaded(self) -> dict[str, dg.AssetKey]:
        """Return the asset of each input that a parameter of the function gets."""
        inputs = self._context.op_def.input_dict
        by_name = self._context.assets_def.keys_by_input_name
        return {name: key for name, key in by_name.items() if not inputs[name].dagster_type.is_nothing}

    def _partitions(self) -> list[str]:
        is_partitioned = self._context.assets_def.partitions_def is not None
        return list(map(str, self._context.partition_keys)) if is_partitioned else []

    def _digest(self, options: WriteOptions) -> str:
        definitions = self._context.op_def.input_dict
        configuration = {
            "config": self._step.op_config,
            "inputs": {
                name: [parent.to_user_string(), repr(InputSettings.from_metadata(definitions[name].metadata))]
                for name, parent in self._loaded().items()
            },
            "partitions": self._partitions(),
            "types": str(options.null_types),
        }
        text = json.dumps(configuration, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _has_variables(value: Any) -> bool:
    """Whether a value of a run's config names a variable of the environment."""
    if isinstance(value, dict):
        return "env" in value or any(map(_has_variables, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_variables, value))


def _is_read_from_environment(field: Any) -> bool:
    """Whether a field of a config, or one inside of it, has a variable of the environment as its default."""
    if field.default_provided and _has_variables(field.default_value):
        return True
    kinds: list[Any] = [field.config_type]
    fields: list[Any] = []
    while kinds:
        kind = kinds.pop()
        fields += getattr(kind, "fields", {}).values()
        kinds += [inner for name in ("inner_type", "key_type") if (inner := getattr(kind, name, None))]
    return any(map(_is_read_from_environment, fields))


def _has_secrets(value: Any, name: str = "") -> bool:
    """Whether a config has a secret: by its name, or as the value of a secret variable of the environment."""
    if isinstance(value, dict):
        return any(_has_secrets(entry, str(key)) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return any(_has_secrets(entry, name) for entry in value)
    secrets = (text for variable, text in os.environ.items() if may_be_secret(variable))
    return is_secret(name, str(value)) or (
        len(str(value)) >= SHORTEST_SECRET and any(text == str(value) for text in secrets)
    )
