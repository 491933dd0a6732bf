"""Tasks that behave in every way that a pod must bear; in a pod this folder is a ConfigMap's."""

import os
import sys

import dagster as dg

from practicus_assets import DeltaIOManager, Worker, task_asset, worker_executor

TOOLS = os.environ["TOOLS_IMAGE"]  # which has neither Python nor this package
SMALL = Worker(cpu="100m", memory="400Mi", memory_limit="800Mi")
TINY = Worker(
    image=TOOLS, cpu="50m", memory="16Mi", memory_limit="64Mi", env={"GREETING": "it costs $(NAME)"}
)
NEVER_PULLED = {"containers": [{"imagePullPolicy": "Never"}]}
days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")


def command(name: str, script: str, worker: Worker = TINY, **options: object) -> dg.AssetsDefinition:
    return task_asset(
        ["sh", "-ec", script],
        name=name,
        bare_image=True,
        worker=worker,
        **options,  # type: ignore[arg-type] # those of task_asset
    )


def _with(**fields: object) -> Worker:
    return Worker(**{**TINY.given(), **fields})


_PIPES = '{"__dagster_pipes_version": "0.1", "method": "%s", "params": %s}'
_REPORT = _PIPES % (
    "report_asset_materialization",
    '{"asset_key": "speaks", "metadata": %s, "data_version": "v7"}',
)
_METADATA = '{"rows": {"raw_value": 12, "type": "int"}}'

speaks = command(
    "speaks",
    f"""
    echo "$GREETING; mode $MODE; day $PRACTICUS_PARTITION_KEY from $PRACTICUS_WINDOW_START"
    echo "keys $PRACTICUS_PARTITION_KEYS; parameters $PRACTICUS_PARAMETERS; attempt $PRACTICUS_ATTEMPT"
    echo "asset $PRACTICUS_ASSET_KEY; date $EXECUTION_DATE"
    echo "lake ${{LAKE:-none}}; password ${{INSTANCE_PASSWORD:-none}}"
    echo 'on the other stream' >&2
    head -c 200000 /dev/zero | tr '\\0' 'x'; echo
    printf '50%%\\r100%%\\n'
    printf '\\377\\376 is no UTF-8\\n'
    ! touch /written 2>/dev/null && touch /tmp/written && echo 'root is read-only'
    echo '{_PIPES % ("opened", "{}")}'
    echo '{_REPORT % _METADATA}'
    echo '{_PIPES % ("closed", "{}")}'
    printf 'the last words'
    """,
    parameters={"MODE": "quick $(MODE)"},
    partitions_def=days,
)
fails = command("fails", "echo 'about to fail'; exit 3")
passes = command(
    "passes",
    'echo "attempt $PRACTICUS_ATTEMPT"; if [ "$PRACTICUS_ATTEMPT" = 1 ]; then exit 75; fi',
    retry_policy=dg.RetryPolicy(max_retries=1),
)
skips = command("skips", "exit 99")
unclosed = command("unclosed", f"echo '{_PIPES % ('opened', '{}')}'")
late = command("late", "echo 'begun'; sleep 600", _with(time_limit_seconds=5))
endless = command("endless", "echo 'begun'; while true; do sleep 1; echo tick; done")
grows = command("grows", 'if [ "$PRACTICUS_ATTEMPT" = 1 ]; then exec tail /dev/zero; fi; echo grown')
lost = command(
    "lost", 'echo "attempt $PRACTICUS_ATTEMPT"; if [ "$PRACTICUS_ATTEMPT" = 1 ]; then sleep 600; fi'
)
slow = command("slow", "echo 'begun'; sleep 20")
imageless = command("imageless", "true", _with(image=f"{TOOLS}-that-is-not-there", pod_spec=NEVER_PULLED))
programless = task_asset(["nothing-of-this-name"], name="programless", bare_image=True, worker=TINY)

hungry = task_asset("hungry.py", worker=SMALL)
broken = task_asset("broken.sh", worker=Worker(**{**SMALL.given(), "keep_failed_seconds": 900}))
stubborn = task_asset(  # its first pod does not hear that it is to end
    [sys.executable, "-c", "print('done')"],
    name="stubborn",
    worker=Worker(
        **{**SMALL.given(), "startup_script": 'if [ "$PRACTICUS_ATTEMPT" = 1 ]; then sleep 600; fi'},
        pod_spec={"terminationGracePeriodSeconds": 20},
    ),
)
shown = task_asset([sys.executable, "-c", "print('of a step')"], name="shown", worker=SMALL)

tasks = (
    *(speaks, fails, passes, skips, unclosed, late, endless, grows, lost, slow, imageless, programless),
    *(hungry, broken, stubborn, shown),
)
defs = dg.Definitions(
    tasks,
    jobs=[dg.define_asset_job(f"job_{task.op.name}", [task.key]) for task in tasks],
    executor=worker_executor,
    resources={"io_manager": DeltaIOManager(root_uri=os.environ.get("LAKE", "lake"))},
)
