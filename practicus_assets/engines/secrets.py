"""Secrets on their way to another pod: by the names of variables that both have, and never as they are."""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from practicus_assets.errors import DeclarationError
from practicus_assets.redaction import SHORTEST_SECRET, is_secret, may_be_secret, passwords_in, redacted

_LONG = 12  # characters; shorter ones, such as passwords of trials, are words that stand in many places
_FOLDERS = {"PWD", "OLDPWD"}  # of a shell
_OPEN_OPTIONS = re.compile(
    r"((ACCESS_KEY|KMS_KEY|CLIENT|AUTHORITY)_ID|AUTHORITY_HOST|TOKEN_FILE|SERVICE_ACCOUNT(_PATH)?|"
    r"SKIP_SIGNATURE|BUCKET_KEY_ENABLED|CREDENTIALS_(RELATIVE|FULL)_URI)$",
    re.IGNORECASE,
)
_SECRET_FIELDS = re.compile(
    r"((^|_)(pwd|pass|passphrase|passcode|sas)|(private|master|signing|encryption|customer)_?key\w*|"
    r"sas_?(key|token)|connection_?string)$",
    re.IGNORECASE,
)
_PLACES = re.compile(r"_(id|name|path|file)$", re.IGNORECASE)  # of secrets, and none themselves
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
            if name not in _FOLDERS
            and (
                (len(value) >= SHORTEST_SECRET and is_secret(name, value))
                or (len(value) > SHORTEST_SECRET and may_be_secret(name))
            )
        }

    def variable(self, value: Any) -> str | None:
        """Return the variable that has a value which may be a secret; None if none has."""
        return self._names.get(value) if type(value) is str else None

    def refuse_in(self, settings: Mapping[Any, Any]) -> None:
        """Raise DeclarationError for a secret in settings that is no value of a variable.

        Args:
            settings: values by name, such as the fields of a resource.

        """
        for name, value in settings.items():
            if type(name) is str and isinstance(value, str) and _of_secret(name, value):
                self._refuse(name, value)

    def refuse_options(self, options: Mapping[str, str]) -> None:
        """Raise DeclarationError for a storage option that may be a secret and is no value of a variable."""
        for name, value in options.items():
            if is_secret(name, value) or (may_be_secret(name) and not _OPEN_OPTIONS.search(name)):
                self._refuse(name, value)

    def refuse_login(self, text: str) -> None:
        """Raise DeclarationError for a text with a URL that has a password in it."""
        if text not in self._names and passwords_in(text):
            raise DeclarationError(
                "a text that the pods of splits are given has a URL with a password in it: it would lie in "
                "the lake as it is.",
                _ADVICE,
            )

    def _refuse(self, name: str, value: str) -> None:
        if value and value not in self._names:
            raise DeclarationError(
                f"{name} looks like a secret and is no value of an environment variable: the pods of "
                "splits cannot be given it, for it would lie in the lake as it is.",
                _ADVICE,
            )

    def named(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return storage options as JSON can show them: secrets by the names of their variables.

        Raises:
            DeclarationError: for a secret that no variable has.

        """
        self.refuse_options(settings)
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

    def redacted(self, text: str) -> str:
        """Return a text without these secrets, and without logins in URLs."""
        for secret in self._texts():
            for form in (secret, quote(secret, safe="")):
                text = text.replace(form, "***")
        return redacted(text, {})

    def are_in(self, content: bytes) -> bool:
        """Return whether one of these secrets that is no mere word, or a URL with a password, is in it."""
        known = any(len(secret) >= _LONG and secret.encode() in content for secret in self._texts())
        return known or bool(passwords_in(content.decode("latin-1")))

    def _texts(self) -> list[str]:
        """Return what is secret in the values, the longest first: one may be a part of another."""
        texts = {text for value in self._names for text in (value, *passwords_in(value))}
        return sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True)


def _of_secret(name: str, value: str) -> bool:
    """Return whether the field of a name is a secret beyond doubt."""
    return is_secret(name, value) or bool(_SECRET_FIELDS.search(name) and not _PLACES.search(name))


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
