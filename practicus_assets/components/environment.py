"""Environment variables in YAML: those of secrets are read where a step runs, and are shown nowhere.

Dagster fills in `{{ env.NAME }}` when definitions are loaded, and what it fills in becomes part of them: of
metadata, configuration and tags that its pages show.
"""

import re
from collections.abc import Mapping
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError

_ALONE = re.compile(r"\{\{\s*env(?:\.(\w+)|\(\s*(['\"])(\w+)\2\s*\))\s*\}\}")
_WITHIN = re.compile(r"\{[{%].*\benv\b.*[}%]\}", re.DOTALL)

_SECRETS = {"url", "password", "parameters"}  # of databases; the rest is their address, which pages show


def read_late(context: dg.ResolutionContext, value: Any) -> Any:
    """Return a value of YAML in which `{{ env.NAME }}` stands for the variable itself and not for its text.

    Args:
        context: what fills in other templates.
        value: a text, or a mapping or a list of texts.

    Raises:
        DeclarationError: for a template that has more than one variable's name.

    """
    if isinstance(value, Mapping):
        return {name: read_late(context, each) for name, each in value.items()}
    if isinstance(value, list):
        return [read_late(context, each) for each in value]
    if not isinstance(value, str):
        return value
    alone = _ALONE.fullmatch(value.strip())
    if alone is not None:
        return dg.EnvVar(alone[1] or alone[3])
    refuse_variables(value, "Write one variable and nothing else, as {{ env.NAME }}.")
    return context.resolve_value(value)


def refuse_variables(value: Any, advice: str) -> None:
    """Refuse environment variables in a value that Dagster's pages show.

    Args:
        value: a value of YAML, before templates are filled in.
        advice: what to do instead.

    Raises:
        DeclarationError: if the value has one.

    """
    if isinstance(value, Mapping):
        for each in value.values():
            refuse_variables(each, advice)
    elif isinstance(value, list):
        for each in value:
            refuse_variables(each, advice)
    elif isinstance(value, str) and _WITHIN.search(value):
        raise DeclarationError(
            f"{value} would be filled in when the definitions are loaded, and Dagster's pages would show it.",
            advice,
        )


def _shown(context: dg.ResolutionContext, value: Any) -> Any:
    refuse_variables(value, "Name the variable in `parameters`, as {{ env.NAME }}, and read it by that name.")
    return context.resolve_value(value)


def _worker(context: dg.ResolutionContext, value: Any) -> Any:
    workers = [value, *value.values()] if isinstance(value, Mapping) else []
    for fields in workers:
        if isinstance(fields, Mapping):
            refuse_variables(fields.get("env"), "Take it from a Secret of the cluster, by `secrets`.")
    return context.resolve_value(value)


def _login(context: dg.ResolutionContext, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return context.resolve_value(value)
    return {
        name: read_late(context, each) if name in _SECRETS else context.resolve_value(each)
        for name, each in value.items()
    }


def login(description: str) -> dg.Resolver:
    """Return the resolver of where a database is, and who reads it: its address is shown, its secrets not."""
    return dg.Resolver(_login, inject_before_resolve=False, description=description)


def late(description: str) -> dg.Resolver:
    """Return the resolver of a field with environment variables that are read where a step runs."""
    return dg.Resolver(read_late, inject_before_resolve=False, description=description)


def shown(description: str) -> dg.Resolver:
    """Return the resolver of a field that Dagster's pages show."""
    return dg.Resolver(_shown, inject_before_resolve=False, description=description)


def worker_fields(description: str) -> dg.Resolver:
    """Return the resolver of a worker's fields, or of several workers'."""
    return dg.Resolver(_worker, inject_before_resolve=False, description=description)


def described(description: str) -> dg.Resolver:
    """Return the resolver of any other field."""
    resolver: dg.Resolver = dg.Resolver.default(description=description)
    return resolver
