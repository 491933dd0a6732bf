"""Storage options of a lake's configuration, whose values may be environment variables."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata import other_fields
from practicus_assets.errors import DeclarationError


def refuse_no_texts(name: str, options: Any) -> None:
    """Raise DeclarationError for options that are no mapping from names to texts.

    Args:
        name: the setting's name.
        options: its value; one that Dagster has yet to give a value is not looked at.

    """
    if isinstance(options, dg.Config):
        problem, advice = other_fields.STORAGE_OPTIONS
        raise DeclarationError(problem.format(name=name, kind=type(options).__qualname__), advice)
    texts = isinstance(options, Mapping) and all(isinstance(value, str) for value in options.values())
    if not texts and isinstance(options, Mapping | str | Sequence | int):
        raise DeclarationError(
            f"{name} is no mapping from names to texts.",
            f'Write {name}={{"AWS_REGION": "eu-west-1"}}; a value may be a dg.EnvVar.',
        )


def resolved(options: Mapping[str, str]) -> dict[str, str]:
    """Return options with the values of environment variables.

    Raises:
        DeclarationError: if one is not set.

    """
    return {name: _value(name, value) for name, value in options.items()}


def _value(name: str, value: str) -> str:
    if not isinstance(value, dg.EnvVar):
        return str(value)
    text = value.get_value()
    if text is None:
        raise DeclarationError(
            f"storage option {name} comes from the environment variable {value.env_var_name}, "
            "which is not set.",
            "Set it where the run's processes start.",
        )
    return text
