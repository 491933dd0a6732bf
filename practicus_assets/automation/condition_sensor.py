"""The sensor that evaluates conditions."""

import warnings
from typing import Any

import dagster as dg

from practicus_assets.parameters import named_parameters


@named_parameters
def build_condition_sensor(
    name: str = "conditions",
    *,
    target: Any = "*",
    minimum_interval_seconds: int = 30,
    run_tags: dict[str, str] | None = None,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the automation conditions of assets, and requests their runs.

    Dagster's default sensor knows its own conditions only, and passes over assets with others.

    Args:
        name: the sensor's name.
        target: the assets, at most 500: a selection, or a list of them.
        minimum_interval_seconds: the time between two ticks, in seconds.
        run_tags: the tags of the runs that it requests.
        description: what Dagster's pages say of it.
        tags: the sensor's tags.
        default_status: whether it runs as soon as it is deployed.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of use_user_code_server
        return dg.AutomationConditionSensorDefinition(
            name,
            target=dg.AssetSelection.all() if target == "*" else target,  # a text takes a parser's imports
            minimum_interval_seconds=minimum_interval_seconds,
            run_tags=run_tags,
            description=description or "Evaluates the conditions of assets, and requests their runs.",
            tags=tags,
            default_status=default_status,
            use_user_code_server=True,
        )
