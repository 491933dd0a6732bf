"""The backend of a run's steps, processes or pods, and what of the instance decides it."""

import importlib
import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.workers.placement.configuration import ENVIRONMENT, Configuration


def backend_of(
    configuration: Configuration, config: Mapping[str, Any], instance: dg.DagsterInstance | None
) -> tuple[str, str]:
    """Return the backend of a run's steps, "local" or "kubernetes", and what decided it.

    Args:
        configuration: the executor's configuration.
        config: the part of it that comes from the run's configuration.
        instance: Dagster's instance; None where there is none.

    """
    if "backend" in config:
        return configuration.backend, f"the run's configuration says backend: {configuration.backend}"
    if configuration.backend:
        return configuration.backend, f"{ENVIRONMENT} is {os.environ[ENVIRONMENT]}"
    if instance is None:
        return "local", f"nothing says otherwise ({ENVIRONMENT} is not set, and DAGSTER_HOME is not either)"
    name = _launcher_class(instance).__name__
    if _launches_pods(instance):
        return "kubernetes", f"the instance launches runs with {name}"
    return (
        "local",
        f"nothing says otherwise ({ENVIRONMENT} is not set, and the instance launches with {name})",
    )


def _launcher_class(instance: dg.DagsterInstance) -> type:
    """Return the class of the run launcher, also where it cannot work: outside of the cluster it is for."""
    try:
        return type(instance.run_launcher)
    except Exception:
        reference = instance.get_ref().run_launcher_data
        if reference is None:
            raise
    try:
        launcher: type = getattr(importlib.import_module(reference.module_name), reference.class_name)
    except ModuleNotFoundError as error:
        raise DeclarationError(
            f"the instance launches runs with {reference.class_name}, and the package {error.name} "
            "is not installed here.",
            "Install it; that of K8sRunLauncher comes with pip install 'practicus-assets[kubernetes]'.",
        ) from error
    return launcher


def _launches_pods(instance: dg.DagsterInstance) -> bool:
    return any(each.__name__ == "K8sRunLauncher" for each in _launcher_class(instance).__mro__)


def k8s_launcher(instance: dg.DagsterInstance) -> Any:
    """Return the launcher whose configuration steps inherit; None outside of the cluster that it is for."""
    if not _launches_pods(instance):
        return None
    from kubernetes.config import ConfigException  # noqa: PLC0415 takes half a second, and may be missing

    try:
        return instance.run_launcher
    except ConfigException:
        return None


def refuse_local_instance(instance: dg.DagsterInstance) -> None:
    """Raise DeclarationError for an instance to which pods could not report."""
    storage = type(instance.event_log_storage).__name__
    if "Sqlite" in storage or "InMemory" in storage:
        raise DeclarationError(
            f"steps are to run in pods, and the instance keeps its events in {storage}, on this machine.",
            "Use an instance on PostgreSQL or MySQL that the pods reach, or set backend: local.",
        )
