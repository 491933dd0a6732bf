"""Splits in pods, by the code that runs in a pod, on a cluster that is this process."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from deltalake import DeltaTable

from practicus_assets import Worker
from practicus_assets.assets.splits import in_pods, pod
from practicus_assets.assets.splits.post import Address
from practicus_assets.engines import pods
from practicus_assets.engines.secrets import Secrets
from practicus_assets.errors import CommitConflict, DeclarationError
from practicus_assets.workers.kubernetes.split_jobs import SplitJobs
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.declaration import StepDeclaration
from practicus_assets.workers.steps import planned_run
from tests.workers.pods_here import PodsHere, ended

HERE = Path(__file__).parent
PASSWORD = "a-password-of-the-store/with $(signs)"  # noqa: S105 a test's own


class Splitting:
    """A lake, whose tables' splits run in this process where a cluster would have made pods of their Jobs."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.lake = folder / "lake"
        self.instance = dg.DagsterInstance.local_temp(str(folder))
        self._repository = ReconstructableRepository.for_module(
            "split_pod_tables", "defs", working_directory=str(HERE)
        )
        self._patch = patch
        self._said: dict[str, Mapping[str, Any]] = {}
        self.work: list[bytes] = []
        self.cluster = PodsHere(self._run)
        region = {"command_account": "starters", "image": "pipelines:1"}
        configuration = Configuration.of({"kubernetes": region})
        placement = configuration.place("same", Worker(), splits=Worker(memory="1Gi"))
        run = planned_run("job", run_id="0", image=None)
        told = SplitJobs.described(placement, run, attempt=1, configuration=configuration, launcher=None)
        patch.setenv(variables.SPLIT_JOBS, told.environment[variables.SPLIT_JOBS].replace("$$", "$"))
        patch.setattr(in_pods, "Cluster", lambda *_: self.cluster)
        patch.setattr(pods, "_LOOK_S", 0)

    def _run(self, job: dict[str, Any]) -> Mapping[str, Any]:
        name = job["metadata"]["name"]
        if name not in self._said:
            [container] = job["spec"]["template"]["spec"]["containers"]
            [text] = [each["value"] for each in container["env"] if each["name"] == variables.SPLIT]
            words: list[str] = []
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(variables.SPLIT, text.replace("$$", "$"))  # as Kubernetes does
                self.work.append(Address.of(text.replace("$$", "$")).work())
                pod.work(words.append)
            self._said[name] = ended(message=words[0])
        return self._said[name]

    def run(self, name: str, partition: str | None = None, **config: Any) -> Any:
        self._said.clear()  # all runs are one to the executor here, whose Jobs have the same names
        job = self._repository.get_reconstructable_job(f"job_{name}")
        tags = {"dagster/partition": partition} if partition else {}
        return dg.execute_job(job, instance=self.instance, tags=tags, run_config=config)

    def fingerprint(self, result: Any) -> Any:
        [event] = result.filter_events(lambda event: event.is_step_materialization)
        return event.step_materialization_data.materialization.metadata["delta/fingerprint"].value

    def error(self, result: Any) -> str:
        [event] = [e for e in result.all_events if e.is_step_failure]
        return str(event.event_specific_data.error.to_string())

    def files(self, name: str) -> list[str]:
        files = (path for path in (self.lake / name).rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.lake / name)) for path in files)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splitting]:
    folder = tmp_path_factory.mktemp("pods")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE", str(folder / "lake"))
        patch.setenv("STORE_PASSWORD", PASSWORD)
        place = Splitting(folder, patch)
        yield place
        place.instance.dispose()


def test_splits_in_pods_land_one_commit_of_the_same_rows_and_no_secret_leaves_its_pod(
    place: Splitting,
) -> None:
    given = place.run("orders", "a")
    result = place.run("same", "a", ops={"same": {"config": {"rate": 5}}})
    assert result.success, place.error(result)
    assert place.fingerprint(result) == place.fingerprint(given)
    assert DeltaTable(str(place.lake / "same")).version() == 0
    assert len(place.cluster.made) == len(place.work) == 3
    shown = json.dumps(place.cluster.made).encode() + b"".join(place.work)
    assert PASSWORD.encode() not in shown
    assert b"STORE_PASSWORD" in shown
    assert not any(file.startswith("staged-") for file in place.files("same"))  # neither work nor answers
    assert place.cluster.jobs == {}
    messages = "\n".join(entry.user_message for entry in place.instance.all_logs(result.run_id))
    assert "same: 3 splits in pods of their own, at most 32 at a time" in messages
    assert "3 of 3 done" in messages


def test_a_secret_that_no_variable_has_is_refused_before_anything_is_written(place: Splitting) -> None:
    made = len(place.cluster.made)
    result = place.run("careless")
    error = place.error(result)
    assert "password looks like a secret and is no value of an environment variable" in error
    assert "for all to see" not in error
    assert (len(place.cluster.made), place.files("careless")) == (made, [])


def test_an_error_of_the_function_names_its_lines_its_split_and_its_pod(place: Splitting) -> None:
    error = place.error(place.run("raises"))
    assert "ValueError: theirs, in split 1 of 3" in error
    assert "In its pod split-1-1-of-same-" in error
    assert place.files("raises") == []


def test_a_pod_of_an_attempt_that_is_over_does_nothing(place: Splitting, tmp_path: Path) -> None:
    told = {"name": "t", "uri": str(tmp_path), "options": {}, "work": "w", "digest": "0", "answer": "a"}
    with pytest.raises(CommitConflict, match="Its attempt is over"):
        Address.of(json.dumps({**told, "index": 0, "count": 1})).work()
    (tmp_path / "w").write_bytes(b"of somebody else")
    with pytest.raises(CommitConflict, match="Its attempt is over"):
        Address.of(json.dumps({**told, "index": 0, "count": 1})).work()


def test_secrets_go_by_the_names_of_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets({"KEY": "s3cret-of-the-lake", "URL": "postgresql://ann:pass-word-of-ann@host/db"})
    named = secrets.named({"aws_secret_access_key": "s3cret-of-the-lake", "aws_region": "eu"})
    assert named == {"aws_secret_access_key": {"env": "KEY"}, "aws_region": "eu"}
    with pytest.raises(DeclarationError, match=r"Give it by a variable.*dg\.EnvVar"):
        secrets.named({"aws_secret_access_key": "another"})
    with pytest.raises(DeclarationError, match="has the secret URL in it"):
        secrets.refuse_within(b"jdbc://host?user=ann&word=pass-word-of-ann")
    monkeypatch.delenv("KEY", raising=False)
    told = {"name": "t", "uri": "/t", "options": named, "index": 0, "count": 1}
    with pytest.raises(DeclarationError, match="variable KEY is set in the pod of the step, and not"):
        Address.of(json.dumps(told))


def test_the_executor_knows_by_a_tag_of_the_steps_own_op_that_splits_are_pods(place: Splitting) -> None:
    import split_pod_tables

    configuration = Configuration.of({"kubernetes": {"command_account": "starters"}})
    step = split_pod_tables.same
    placement = StepDeclaration("same", step.op, step.op.tags).placement(configuration, {}, None)
    assert placement.splits is not None
    assert [each.worker.memory for each in placement.splits.grown] == ["1Gi"]
    assert placement.worker.service_account == "starters"
    other = StepDeclaration("orders", split_pod_tables.orders.op, split_pod_tables.orders.op.tags)
    assert other.placement(configuration, {}, None).splits is None
