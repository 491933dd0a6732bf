"""Steps that behave in every way that a worker must bear; in a pod this file is a ConfigMap's."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
from dagster._core.launcher import DefaultRunLauncher

from practicus_assets import DeltaIOManager, Worker, table_asset, worker_executor, worker_tags

SMALL = Worker(cpu="100m", memory="400Mi", memory_limit="1Gi")
ATTEMPT = int(os.environ.get("PRACTICUS_ATTEMPT", "1"))
BATCH_ROWS = 1 << 16
LOADED = set(sys.modules)


def _worker(**fields: object) -> Worker:
    return Worker(**{k: v for k, v in {**SMALL.given(), **fields}.items() if v is not None})


@table_asset(worker=_worker(env={"GREETING": "hello"}))
def told() -> pd.DataFrame:
    return pd.DataFrame({"greeting": [os.environ["GREETING"]], "user": [os.getuid()], "attempt": [ATTEMPT]})


@table_asset(worker=SMALL, retry_policy=dg.RetryPolicy(max_retries=1))
def stumbles() -> pd.DataFrame:
    if ATTEMPT == 1:
        raise ValueError("the author's own")
    return pd.DataFrame({"attempt": [ATTEMPT]})


@table_asset(worker=SMALL, retry_policy=dg.RetryPolicy(max_retries=2, delay=1))
def resumed() -> pd.DataFrame:
    """Fail at once, then take long enough for the run's process to die meanwhile."""
    if ATTEMPT == 1:
        raise ValueError("the author's own")
    time.sleep(15 if ATTEMPT == 2 else 0)
    return pd.DataFrame({"attempt": [ATTEMPT]})


@table_asset(worker=SMALL, retry_policy=dg.RetryPolicy(max_retries=1))
def lost_with_run() -> pd.DataFrame:
    time.sleep(600 if ATTEMPT == 1 else 0)
    return pd.DataFrame({"attempt": [ATTEMPT]})


@table_asset(worker=SMALL)
def raises() -> pd.DataFrame:
    raise ValueError("the author's own")


@table_asset(worker=SMALL, mode="append", retry_policy=dg.RetryPolicy(max_retries=1))
def dies_once() -> pd.DataFrame:
    if ATTEMPT == 1:
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return pd.DataFrame({"attempt": [ATTEMPT]})


@table_asset(worker=SMALL)
def dies() -> pd.DataFrame:
    print("about to die", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def _meets() -> pd.DataFrame:
    return pd.DataFrame({"from": [time.time()], "to": [time.sleep(6) or time.time()]})


left = table_asset(name="left", worker=SMALL)(_meets)
right = table_asset(name="right", worker=SMALL)(_meets)


@table_asset(worker=_worker(capture_logs=False))
def quiet() -> pd.DataFrame:
    print("nobody keeps this")
    return pd.DataFrame({"n": [1]})


@table_asset(worker=SMALL)
def endless() -> pd.DataFrame:
    time.sleep(600)
    return pd.DataFrame({"n": [1]})


@dg.asset(op_tags=worker_tags(SMALL))
def plain() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@dg.asset(
    op_tags={
        "dagster-k8s/config": {
            "container_config": {"resources": {"requests": {"cpu": "110m", "memory": "410Mi"}}},
            "pod_spec_config": {"termination_grace_period_seconds": 7, "node_selector": {}},
            "pod_template_spec_metadata": {"labels": {"by": "tag"}},
        }
    }
)
def tagged() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@dg.asset(op_tags={"dagster-k8s/config": {"container_config": {"resorces": {"limits": {"cpu": "1"}}}}})
def mistagged() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@table_asset
def bare_one() -> pd.DataFrame:
    return pd.DataFrame({"pid": [os.getpid()]})


@table_asset
def bare_two() -> pd.DataFrame:
    imported = [name for name in sys.modules if name.startswith("practicus_assets") and name not in LOADED]
    return pd.DataFrame({"pid": [os.getpid()], "imported": [" ".join(imported)]})


by_day = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")


@table_asset(
    partitions_def=by_day,
    partition_by="day",
    backfill_policy=dg.BackfillPolicy.single_run(),
    worker=lambda day: _worker(
        env={"DAY": day or "none"}, memory="450Mi" if day == "2024-01-02" else "400Mi"
    ),
)
def sized(context: dg.AssetExecutionContext) -> pd.DataFrame:
    days = pd.to_datetime(list(context.partition_keys))
    return pd.DataFrame({"day": days, "largest": [os.environ["DAY"]] * len(days)})


# only pods can do these


@table_asset(worker=Worker(cpu="100m", memory="200Mi", memory_limit="1Gi"))
def hungry() -> pd.DataFrame:
    held = bytearray(400 << 20)
    held[::4096] = b"x" * len(held[::4096])
    return pd.DataFrame({"held": [len(held)], "attempt": [ATTEMPT]})


@table_asset(worker=SMALL)
def interrupted() -> Iterator[pa.RecordBatch]:
    """Write a hundred batches; the first attempt does so slowly."""
    for number in range(100):
        yield pa.record_batch(
            {"batch": pa.array([number] * BATCH_ROWS), "attempt": pa.array([ATTEMPT] * BATCH_ROWS)}
        )
        time.sleep(1 if ATTEMPT == 1 else 0)


@table_asset(worker=_worker(image=f"localhost:{os.environ.get('REGISTRY_PORT', '1')}/no-such-image:1"))
def imageless() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@dg.asset(
    op_tags=worker_tags(
        _worker(pod_spec={"shareProcessNamespace": True, "terminationGracePeriodSeconds": 90})
    )
)
def plain_cut_off() -> pd.DataFrame:
    """Take long enough to be cut off, in the first attempt."""
    time.sleep(20 if ATTEMPT == 1 else 0)
    return pd.DataFrame({"attempt": [ATTEMPT]})


@table_asset(
    worker=_worker(
        pod_spec={
            "terminationGracePeriodSeconds": 5,  # sleep does not hear of its end
            "containers": [
                {"name": "sidecar", "command": ["sleep", "600"], "image": os.environ.get("IMAGE", "none")}
            ],
        }
    )
)
def accompanied() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@table_asset(worker=_worker(memory="200Mi", memory_limit=None), retry_policy=dg.RetryPolicy(max_retries=1))
def greedy() -> pd.DataFrame:
    held = bytearray(400 << 20)
    held[::4096] = b"x" * len(held[::4096])
    return pd.DataFrame({"held": [len(held)]})


@table_asset(worker=_worker(ephemeral_storage="30Mi"))
def spilling() -> pd.DataFrame:
    Path("/tmp/spill").write_bytes(os.urandom(60 << 20))  # noqa: S108 the pod's own volume
    time.sleep(600)
    return pd.DataFrame({"n": [1]})


@table_asset(worker=SMALL)
def homeless() -> pd.DataFrame:
    print("the function ran", flush=True)
    return pd.DataFrame({"n": [1]})


@table_asset(worker=_worker(service_account="nobody-here"))
def without_account() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@table_asset(worker=_worker(cpu="1000"))
def huge() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@table_asset(worker=_worker(time_limit_seconds=8))
def late() -> pd.DataFrame:
    time.sleep(600)
    return pd.DataFrame({"n": [1]})


@table_asset(worker=_worker(pod_spec={"shareProcessNamespace": True, "terminationGracePeriodSeconds": 90}))
def cut_off() -> pd.DataFrame:
    """Take long enough to be cut off, in the first attempt."""
    time.sleep(20 if ATTEMPT == 1 else 0)
    return pd.DataFrame({"attempt": [ATTEMPT]})


@table_asset(worker=_worker(region="east"))
def in_east() -> pd.DataFrame:
    return pd.DataFrame({"place": [os.environ["PLACE"]]})


@table_asset(worker=_worker(region="west", startup_script="export PLACE=$PLACE-by-script"))
def in_west(in_east: pd.DataFrame) -> pd.DataFrame:
    return in_east.assign(also=os.environ["PLACE"])


class ResumingLauncher(DefaultRunLauncher):
    """Dagster's own, as one that also resumes runs, so that an instance may be told to."""

    supports_resume_run = True


ASSETS = [
    *(told, stumbles, raises, dies_once, dies, left, right, quiet, endless, plain, sized, bare_one, bare_two),
    *(hungry, greedy, interrupted, imageless, huge, late, cut_off, plain_cut_off, in_east, in_west),
    *(accompanied, without_account, spilling, homeless, tagged, mistagged, resumed, lost_with_run),
]
NAMES = [asset.key.to_user_string() for asset in ASSETS]

defs = dg.Definitions(
    assets=ASSETS,
    executor=worker_executor,
    jobs=[
        *(dg.define_asset_job(f"job_{name}", selection=[name]) for name in NAMES),
        dg.define_asset_job("job_side_by_side", selection=["left", "right"]),
        dg.define_asset_job("job_beside_a_mistake", selection=["left", "mistagged"]),
        dg.define_asset_job("job_cancelled", selection=["endless"]),
        dg.define_asset_job("job_bare", selection=["bare_one", "bare_two"]),
        dg.define_asset_job("job_regions", selection=["in_east", "in_west"]),
    ],
    resources={"io_manager": DeltaIOManager(root_uri=os.environ.get("LAKE", "lake"))},
)
