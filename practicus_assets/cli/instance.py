"""The Dagster instance that DAGSTER_HOME names."""

import os

import dagster as dg

from practicus_assets.errors import DeclarationError


def instance_is_set() -> bool:
    """Return whether there is an instance to ask."""
    return bool(os.environ.get("DAGSTER_HOME"))


def dagster_instance() -> dg.DagsterInstance:
    """Return the instance.

    Raises:
        DeclarationError: if DAGSTER_HOME is not set.

    """
    if not instance_is_set():
        raise DeclarationError(
            "DAGSTER_HOME is not set, so there is no instance to report to.",
            "Set it as for dagster's own commands.",
        )
    return dg.DagsterInstance.get()
