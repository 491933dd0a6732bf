"""Secrets on their way to another pod: by the names of variables that both have, and never as they are."""

import os
from collections.abc import Mapping
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.redaction import SHORTEST_SECRET, is_secret, may_be_secret, passwords_in

_LONG = 12  # characters; shorter ones, such as passwords of trials, are words that stand in many places
_ADVICE = 'Give it by a variable, which the Secrets of the worker bring to each pod: dg.EnvVar("NAME").'


class Secrets:
    """The secrets of this process's environment, which the pods of its splits have as well.

    Args:
        environment: the variables; by default this process's own.

    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        self._names = {
            value: name
            for name, value in variables.items()
            if len(value) >= SHORTEST_SECRET and (may_be_secret(name) or is_secret(name, value))
        }

    def variable(self, value: Any) -> str | None:
        """Return the variable that has a value which may be a secret; None if none has."""
        return self._names.get(value) if type(value) is str else None

    def refuse_in(self, settings: Mapping[Any, Any]) -> None:
        """Raise DeclarationError for a secret in settings that is no value of a variable.

        Args:
            settings: values by name, such as storage options or the fields of a resource.

        """
        for name, value in settings.items():
            if type(name) is type(value) is str and is_secret(name, value) and value not in self._names:
                raise DeclarationError(
                    f"{name} looks like a secret and is no value of an environment variable: the pods of "
                    "splits cannot be given it, for it would lie in the lake as it is.",
                    _ADVICE,
                )

    def named(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return settings as JSON can show them: secrets by the names of their variables.

        Raises:
            DeclarationError: for a secret that no variable has.

        """
        self.refuse_in(settings)
        variables = {name: self.variable(value) for name, value in settings.items()}
        return {
            name: {"env": variables[name]} if variables[name] is not None else value
            for name, value in settings.items()
        }

    def refuse_within(self, content: bytes) -> None:
        """Raise DeclarationError for a secret in a content that is to lie in the lake, e.g. within a URL."""
        for value, name in self._names.items():
            texts = passwords_in(value) or ([value] if is_secret(name, value) else [])
            if any(len(text) >= _LONG and text.encode() in content for text in texts):
                raise DeclarationError(
                    f"a value that the pods of splits are given has the secret {name} in it.", _ADVICE
                )


def settings_of(named: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of which `Secrets.named` returned the names; raises as `value_of`."""
    return {
        name: value if isinstance(value, str) else value_of(value["env"]) for name, value in named.items()
    }


def value_of(variable: str) -> str:
    """Return the value of a variable by whose name a secret was sent.

    Raises:
        DeclarationError: if it is not set here.

    """
    try:
        return os.environ[variable]
    except KeyError:
        raise DeclarationError(
            f"the environment variable {variable} is set in the pod of the step, and not in that of a split.",
            "Let a Secret of the worker bring it to both, and no code.",
        ) from None
