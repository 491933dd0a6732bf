"""The Dagster instance that DAGSTER_HOME names."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from practicus_assets.cli.dagster_home import instance_is_set, refuse_unset_instance
from practicus_assets.errors import DeclarationError
from practicus_assets.redaction import description


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """Open the instance, and close it.

    Raises:
        DeclarationError: if DAGSTER_HOME is not set, or the instance cannot be opened or does not answer.

    """
    refuse_unset_instance()
    with opened_instance() as instance:
        try:
            instance.get_runs_count()
        except Exception as error:
            raise DeclarationError(
                f"the instance of DAGSTER_HOME does not answer: {description(error)}.",
                "See dagster.yaml and its database.",
            ) from error
        yield instance


@contextmanager
def instance_or_none() -> Iterator[dg.DagsterInstance]:
    """Open the instance; without DAGSTER_HOME, one that knows no runs and no dynamic partitions."""
    if instance_is_set():
        with dagster_instance() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance


@contextmanager
def opened_instance(*, launches: bool = False) -> Iterator[dg.DagsterInstance]:
    """Open the instance, whose storage may not answer, and close it.

    Args:
        launches: whether its run launcher is needed, which outside of its cluster may not load.

    Raises:
        DeclarationError: if the instance cannot be opened.

    """
    try:
        instance = dg.DagsterInstance.get()
        _ = instance.run_launcher if launches else None
    except Exception as error:
        raise DeclarationError(
            f"the instance of DAGSTER_HOME cannot be opened: {description(error)}.",
            "Correct dagster.yaml, set the variables that it names, or check its database. "
            "Outside of the cluster a K8sRunLauncher needs load_incluster_config: false.",
        ) from error
    with instance:
        yield instance
