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
from practicus_assets.assets.splits.resources import SplitResource
from practicus_assets.engines import pods
from practicus_assets.engines.answers import SplitFailed, answer, refusal_of, refused, value_of
from practicus_assets.engines.parcels import packed, unpacked
from practicus_assets.engines.secrets import Secrets
from practicus_assets.engines.splits import Split
from practicus_assets.errors import CommitConflict, DataRefused, DeclarationError
from practicus_assets.lake.delta.table import Table
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
        self.answers: list[bytes] = []
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
                address = Address.of(text.replace("$$", "$"))
                self.work.append(address.work())
                pod.work(words.append)
                self.answers.append(address.folder.read(json.loads(text)["answer"]) or b"")
            self._said[name] = ended(message=words[0])
        return self._said[name]

    def run(self, name: str, partition: str | None = None, **config: Any) -> Any:
        self._said.clear()  # all runs are one to the executor here, whose Jobs have the same names
        self.cluster.kept.clear()  # failed ones stay
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
    assert place.cluster.kept == {}
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


def test_an_error_with_a_secret_in_it_comes_without_and_lies_nowhere(place: Splitting) -> None:
    before = len(place.answers)
    result = place.run("leaks")
    error = place.error(result)
    assert "ConnectionError: no connection to postgresql://***@base, by split 1 of 3" in error
    assert "raise ConnectionError" in error
    assert PASSWORD not in error
    answers = place.answers[before:]
    assert all(b"no connection to" in content and b"a-password" not in content for content in answers)
    assert place.files("leaks") == []


class Refused(ValueError):
    """An author's error, which keeps what it was given."""

    def __init__(self, text: str, url: str = "") -> None:
        super().__init__(text)
        self.url = url


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (RuntimeError("no connection to postgresql://app:hunter2hunter2X@db:5432/x"), RuntimeError),
        (ValueError("password hunter2hunter2X, or in a URL pw%2Fpw, or pw/pw"), RuntimeError),
        (Refused("no connection", "postgresql://app:hunter2hunter2X@db:5432/x"), RuntimeError),
        (Refused("no connection", "db://x?word=pw/pw"), RuntimeError),
        (ValueError("with postgresql://ann:in-no-variable@db"), RuntimeError),
        (DataRefused("a row has hunter2hunter2X.", "Leave it out."), RuntimeError),
        (Refused("harmless, in /app", "sqlite:///x.db"), Refused),
    ],
    ids=["url", "text", "attribute", "short", "login", "ours", "harmless"],
)
def test_no_secret_is_in_the_answer_of_a_split_that_failed(error: Exception, kept: type) -> None:
    secrets = Secrets({"DB_PASSWORD": "hunter2hunter2X", "OTHER_PASSWORD": "pw/pw", "PWD": "/app"})
    error.add_note("Of hunter2hunter2X.")
    if kept is Refused:
        del error.__notes__

    def work(_: bytes, split: Split) -> None:
        raise error from OSError("hunter2hunter2X is wrong")

    content = answer(work, b"", Split(0, 1), secrets)
    assert not any(text in content for text in (b"hunter2", b"pw/pw", b"pw%2Fpw", b"in-no-variable"))
    with pytest.raises(SplitFailed) as failed:
        value_of(content)
    assert type(failed.value.error) is kept
    notes = "\n".join(failed.value.error.__notes__)
    assert "In split 1 of 1:" in notes
    assert "raise error from OSError" in notes  # its lines
    assert "***" in notes
    assert ("harmless, in /app" in str(failed.value.error)) == (kept is Refused)


def test_a_secret_in_what_a_split_returns_is_refused() -> None:
    secrets = Secrets({"DB_PASSWORD": "hunter2hunter2X"})
    content = answer(lambda *_: "hunter2hunter2X", b"", Split(0, 1), secrets)
    assert b"hunter2" not in content
    with pytest.raises(SplitFailed) as failed:
        value_of(content)
    assert "has the secret DB_PASSWORD in it" in str(failed.value.error)


@pytest.mark.parametrize(
    "option",
    [
        "azure_storage_sas_key",
        "azure_storage_master_key",
        "azure_storage_connection_string",
        "aws_sse_customer_key_base64",
        "azure_authorization_header",
        "AWS_SESSION_TOKEN",
    ],
)
def test_a_storage_option_that_may_be_a_secret_is_refused_unless_a_variable_has_it(option: str) -> None:
    table = Table.from_uri("s3://lake/t", {option: "of-the-lake"})
    with pytest.raises(DeclarationError, match=f"{option} looks like a secret") as refused:
        Secrets({}).named(table.storage_options)
    assert "of-the-lake" not in str(refused.value)
    with pytest.raises(DeclarationError, match=f"{option} looks like a secret"):
        packed(table, {}, Secrets({}))
    assert Secrets({"KEY": "of-the-lake"}).named(table.storage_options) == {option: {"env": "KEY"}}
    assert b"of-the-lake" not in packed(table, {}, Secrets({"KEY": "of-the-lake"}))


def test_storage_options_that_only_sound_like_secrets_are_sent() -> None:
    options = {
        "aws_access_key_id": "AKIA",
        "aws_sse_kms_key_id": "arn:aws:kms",
        "azure_client_id": "c",
        "azure_authority_id": "t",
        "azure_federated_token_file": "/var/run/token",
        "aws_skip_signature": "true",
        "google_service_account": "/etc/account.json",
        "aws_region": "eu",
        "azure_storage_sas_key": "",
    }
    assert Secrets({}).named(options) == options


@pytest.mark.parametrize("name", ["pwd", "db_pass", "passphrase", "private_key_pem", "sas_key", "password"])
def test_a_field_that_is_a_secret_by_its_name_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match=f"{name} looks like a secret"):
        packed(SplitResource(dict, {name: "of-the-base"}), {}, Secrets({}))
    assert b"of-the-base" not in packed(
        SplitResource(dict, {name: "of-the-base"}), {}, Secrets({"B_KEY": "of-the-base"})
    )


def test_a_url_with_a_password_is_refused_wherever_it_stands_and_other_texts_are_not() -> None:
    with pytest.raises(DeclarationError, match="a URL with a password in it") as refused:
        packed(({"a": [("postgres://u:topsecret@h",)]},), {}, Secrets({}))
    assert "topsecret" not in str(refused.value)
    known = Secrets({"DATABASE_URL": "postgres://u:topsecret@h"})
    assert b"topsecret" not in packed(("postgres://u:topsecret@h",), {}, known)
    plain = ("s3://lake/t", "postgres://u@h", {"private_key_path": "/k", "bypass": "no", "first_key": "id"})
    assert unpacked(packed(plain, {}, Secrets({})), {}) == plain


def test_folders_of_a_shell_and_short_values_of_possible_secrets_are_none() -> None:
    secrets = Secrets({"PWD": "/app", "OLDPWD": "/home/ann", "SORT_KEY": "name", "DB_PASSWORD": "pass"})
    found = [secrets.variable(value) for value in ("/app", "/home/ann", "name", "pass")]
    assert found == [None, None, None, "DB_PASSWORD"]


def test_a_pod_that_lacks_a_variable_of_its_step_says_so_in_its_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"name": "t", "uri": "/t", "options": {"key": {"env": "LACKING_KEY"}}, "index": 0, "count": 1}
    monkeypatch.setenv(variables.SPLIT, json.dumps(told))
    words: list[str] = []
    pod.work(words.append)
    content = refused(f"{words[0]}\npeak_memory_bytes=1", Split(0, 1))
    assert content is not None
    with pytest.raises(SplitFailed) as failed:
        value_of(content)
    assert type(failed.value.error) is DeclarationError
    assert "variable LACKING_KEY is set in the pod of the step, and not" in str(failed.value.error)
    assert str(failed.value.error).endswith("Let a Secret of the worker bring it to both, and no code.")
    assert refused("answer_sha256=0", Split(0, 1)) is None


@pytest.mark.parametrize("text", ["x" * 5000, "ü" * 5000, 'a "quoted" text'])
def test_the_last_word_of_a_pod_is_short_and_can_be_read(text: str) -> None:
    word = refusal_of(DeclarationError(text, text))
    assert len(word.encode()) <= 1000
    assert refused(word, Split(0, 1)) is not None


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
