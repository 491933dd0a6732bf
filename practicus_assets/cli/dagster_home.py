"""DAGSTER_HOME: whether an instance is named, which is known without Dagster."""

import os

from practicus_assets.errors import DeclarationError


def instance_is_set() -> bool:
    """Return whether there is an instance to ask."""
    return bool(os.environ.get("DAGSTER_HOME"))


def refuse_unset_instance() -> None:
    """Refuse to go on without an instance.

    Raises:
        DeclarationError: if DAGSTER_HOME is not set.

    """
    if not instance_is_set():
        raise DeclarationError(
            "DAGSTER_HOME is not set, so there is no instance to report to.",
            "Set it as for dagster's own commands.",
        )
