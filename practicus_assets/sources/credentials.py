"""Credentials: secrets that are read where a connection is made, and shown nowhere."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from practicus_assets.errors import DeclarationError


@runtime_checkable
class Variable(Protocol):
    """An environment variable by its name, such as `dg.EnvVar`."""

    @property
    def env_var_name(self) -> str:
        """The variable's name."""

    def get_value(self) -> str | None:
        """Return its value; None if it is not set."""


Credential = str | Variable | Path


def revealed(credential: Credential, what: str) -> str:
    """Return the value of a credential.

    Args:
        credential: the value, an environment variable (`dg.EnvVar`), or the path of a file that holds it, as
            a mounted Kubernetes Secret is; one line break at its end does not count.
        what: what it is, for errors: "password of postgresql://db/shop".

    Raises:
        DeclarationError: if the variable is not set, or the file cannot be read.

    """
    if isinstance(credential, Path):
        try:
            return credential.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise DeclarationError(
                f"the {what} cannot be read from {credential}: {type(error).__name__}.",
                "Mount the file where the run's processes start.",
            ) from None
    if isinstance(credential, Variable):  # before str: Dagster's are texts, too
        value = credential.get_value()
        if value is None:
            raise DeclarationError(
                f"the {what} comes from the environment variable {credential.env_var_name}, "
                "which is not set.",
                "Set it where the run's processes start.",
            )
        return value
    return credential
