"""Splits in pods: what a step's splits are given, and what becomes of what their pods say."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import dagster as dg

from practicus_assets.assets.splits.call import Call, parcel
from practicus_assets.assets.splits.post import Post
from practicus_assets.engines.pods import AT_ONCE, SplitPods
from practicus_assets.engines.secrets import Secrets
from practicus_assets.engines.splits import Split
from practicus_assets.wording import number_of
from practicus_assets.workers.kubernetes.cluster import Cluster
from practicus_assets.workers.kubernetes.split_jobs import SplitJobs
from practicus_assets.workers.placement.region import Region, own_namespace


def run_in_pods(
    context: dg.AssetExecutionContext,
    job: Any,
    call: Call,
    splits: Sequence[Split],
    *,
    at_once: int | None,
    done: Callable[[Split, Any], None],
    warn: Callable[[str], None],
) -> None:
    """Run splits in pods of their own, and return once all are done.

    Args:
        context: the step's context.
        job: the step's job, which the pods load anew.
        call: what they have in common.
        splits: the splits.
        at_once: how many run at the same time.
        done: called with each split and what it staged.
        warn: takes texts on splits that wait, or run again.

    Raises:
        SplitFailed: with the error of the first split that failed.
        WorkerFailed: of the class of what happened to the pod of one, if that is not tried again.
        DeclarationError: for a value that no pod can be given.

    """
    jobs = SplitJobs.of_this_step()
    cluster = Cluster(Region(), own_namespace() or "default")
    secrets = Secrets()
    work = parcel(job, context.assets_def, call, secrets)
    attempt = call.transaction.attempt
    context.log.info(
        "%s: %s in pods of their own, at most %d at a time: %s",
        call.key.to_user_string(),
        number_of(len(splits), "split"),
        at_once or AT_ONCE,
        cluster.kubectl("get", "pods", "-l", jobs.selector),
    )
    with ExitStack() as until:
        post = Post(attempt.table, attempt.id, work, secrets)
        until.callback(post.clear)
        SplitPods(jobs, cluster, post, at_once=at_once, done=done, warn=warn, log=_print).run(splits)


def _print(heading: str, log: str) -> None:
    """Write what a pod has written where the step's own output goes."""
    if log:
        sys.stdout.write(f"{heading} wrote:\n{log.rstrip()}\n")
        sys.stdout.flush()
