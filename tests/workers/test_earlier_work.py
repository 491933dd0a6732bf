"""What a run does about pods of earlier attempts, and of runs that it re-executes, without a cluster."""

from typing import Any

import dagster as dg
import pytest

from practicus_assets.errors import WorkerRejected
from practicus_assets.workers.kubernetes.earlier_work import EarlierWork
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.manifest import RUN_LABEL


class Pods:
    """A region whose pods have a phase at each look."""

    region = Region()

    def __init__(self, *looks: dict[str, str], run_id: str = "1") -> None:
        self.looks = list(looks)
        self.run_id = run_id
        self.selectors: list[str] = []
        self.deleted: list[str] = []

    def pods(self, selector: str) -> list[dict[str, Any]]:
        self.selectors.append(selector)
        return [
            {
                "metadata": {"name": f"{job}-pod", "labels": {"job-name": job, RUN_LABEL: self.run_id}},
                "status": {"phase": phase},
            }
            for job, phase in self.looks.pop(0).items()
        ]

    def delete_job(self, name: str) -> None:
        self.deleted.append(name)

    def kubectl(self, *words: str) -> str:
        return " ".join(("kubectl", *words))


def runs(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> tuple[dg.DagsterRun, dg.DagsterRun]:
    """Return a run of a status, and one that re-executes it."""
    first = instance.add_run(dg.DagsterRun("nightly", status=status))
    return first, dg.DagsterRun("nightly", parent_run_id=first.run_id, root_run_id=first.run_id)


def test_what_a_dead_run_left_at_work_is_asked_to_end_once_and_named_until_it_has() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first, again = runs(instance, dg.DagsterRunStatus.FAILURE)
        earlier = EarlierWork(again, instance)
    looks = ({"a": "Running", "b": "Failed"}, {"a": "Running"}, {"a": "Failed"})
    cluster = Pods(*looks, run_id=first.run_id)
    for _ in range(2):
        said = earlier.obstacle(cluster, (), 0)  # type: ignore[arg-type] # as far as it is asked
        assert said == f"a-pod of the run {first.run_id}, which this run re-executes, has not ended."
    assert cluster.deleted == ["a"]
    for _ in range(2):  # the second one asks no more
        assert not earlier.obstacle(cluster, (), 0)  # type: ignore[arg-type] # the same
    assert len(cluster.selectors) == 3
    assert f"dagster/run-id in ({first.run_id})" in cluster.selectors[0]


def test_a_run_that_only_waited_for_one_before_it_does_not_hide_that_one() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first, second = runs(instance, dg.DagsterRunStatus.FAILURE)
        instance.add_run(second.with_status(dg.DagsterRunStatus.CANCELED))
        third = dg.DagsterRun("nightly", parent_run_id=second.run_id, root_run_id=first.run_id)
        earlier = EarlierWork(third, instance)
    said = earlier.obstacle(Pods({"a": "Running"}, run_id=first.run_id), (), 0)  # type: ignore[arg-type] # the same
    assert said == f"a-pod of the run {first.run_id}, which this run re-executes, has not ended."


def test_what_an_earlier_attempt_left_is_named_until_it_ends_and_asked_to_end_after_a_while() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        earlier = EarlierWork(dg.DagsterRun("nightly"), instance)
    looks = ({"step-1": "Failed", "step-2": "Running"}, {"step-2": "Running"}, {"step-2": "Failed"})
    cluster = Pods(*looks)
    for waited_s, deleted in ((1, []), (121, ["step-2"])):  # it may be about to end, and stays to look inside
        said = earlier.obstacle(cluster, ["step-1", "step-2"], waited_s)  # type: ignore[arg-type] # the same
        assert said == "step-2-pod of an earlier attempt has not ended."
        assert cluster.deleted == deleted
    assert not earlier.obstacle(cluster, ["step-1", "step-2"], 0)  # type: ignore[arg-type] # the same
    assert cluster.selectors == ["job-name in (step-1,step-2)"] * 3


def test_a_pod_of_a_dead_run_that_does_not_end_is_refused_with_what_to_do() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        earlier = EarlierWork(runs(instance, dg.DagsterRunStatus.CANCELED)[1], instance)
    with pytest.raises(WorkerRejected, match="kubectl delete pod a-pod --force"):
        earlier.obstacle(Pods({"a": "Running"}), (), 301)  # type: ignore[arg-type] # the same


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
def test_nothing_of_a_run_that_goes_on_is_touched(status: dg.DagsterRunStatus) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        earlier = EarlierWork(runs(instance, status)[1], instance)
    assert not earlier.obstacle(Pods(), (), 0)  # type: ignore[arg-type] # the same
