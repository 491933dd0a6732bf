"""The sensor of releases: requests a run for each release of a lake that is published."""

import json
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import lake_of
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.upkeep.releases import FOLDER, releases
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import number_of

RELEASE_TAG = "practicus/release"


@named_parameters
def build_release_sensor(
    target: Any,
    *,
    name: str = "releases",
    io_manager_key: str = "io_manager",
    max_runs: int = 10,
    minimum_interval_seconds: int = 60,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that requests a run for each release that is published in a lake, whoever publishes it.

    The run has the release's name in the tag `practicus/release`, by which `Release.open` opens it. Releases
    are taken in their order, and each once. Those that were there when the sensor began request nothing.

    Args:
        target: what runs: a job, or a selection of assets; without partitions.
        name: the sensor's name.
        io_manager_key: the name of the `DeltaIOManager` of the lake.
        max_runs: how many runs a tick requests at most; the next one goes on.
        minimum_interval_seconds: the time between two ticks, in seconds.
        description: what Dagster's pages say of it.
        tags: the sensor's tags.
        default_status: whether it runs as soon as it is deployed.

    Raises:
        DeclarationError: if no run may be requested.

    """
    if max_runs < 1:
        raise DeclarationError(f"the sensor {name} has max_runs={max_runs}.", "Write 1 or more.")

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        repository = context.repository_def
        assert repository is not None
        job = repository.get_job(str(sensor.job_name))
        if job.partitions_def is not None:
            raise DeclarationError(
                f"the sensor {name} is to request runs of partitions, and a release has none.",
                "Give it assets without partitions, or an op job that starts a backfill.",
            )
        lake, seen = lake_of(context, io_manager_key), _Seen.from_text(context.cursor)
        lately = releases(lake.root(), lake.folder(FOLDER).storage_options, after=seen.number if seen else 0)
        lately.reverse()
        if seen is None:
            number = lately[-1].number if lately else 0
            return dg.SensorResult(
                skip_reason=f"{number_of(number, 'release')} there already: those to come request runs.",
                cursor=_Seen(number).to_text(),
            )
        if not lately:
            return dg.SkipReason(f"No release since number {seen.number}.")
        taken = lately[:max_runs]
        requests = [
            dg.RunRequest(run_key=f"{release.number}|{release.name}", tags={RELEASE_TAG: release.name})
            for release in taken
        ]
        return dg.SensorResult(run_requests=requests, cursor=_Seen(taken[-1].number).to_text())

    sensor = dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        description=description or "Requests a run for each release that is published.",
        tags=tags,
        default_status=default_status,
        required_resource_keys={io_manager_key},
    )
    return sensor


@dataclass(frozen=True)
class _Seen:
    """The cursor: the number of the last release for which a run was requested, or that was there before."""

    number: int

    @classmethod
    def from_text(cls, text: str | None) -> "_Seen | None":
        """Return the cursor of a text; None if it is none, so that the sensor begins anew."""
        try:
            number = json.loads(text or "")["release"]
        except (TypeError, KeyError, ValueError):
            return None
        return cls(number) if isinstance(number, int) else None

    def to_text(self) -> str:
        return json.dumps({"release": self.number})
