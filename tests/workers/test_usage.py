"""What a step's worker asked for and used: by whom it is told, and in which words."""

import json

import pytest

from practicus_assets import Worker
from practicus_assets.assets.report.account import sentence
from practicus_assets.assets.settings import TableSettings
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.engines.spark.spark_connect import SparkConnect
from practicus_assets.workers.launch import pod_memory, usage
from practicus_assets.workers.launch.usage import Usage

WORKER = Worker(cpu="500m", memory="8Gi", env={"LEVEL": "debug"})


def worker_of(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_process_of_a_worker_knows_what_it_was_asked_for_and_has_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker_of(monkeypatch, usage.of_worker("run", "orders", WORKER))
    used = usage.usage("run", "orders")
    assert used is not None
    assert (used.cpu, used.memory, used.memory_limit) == (0.5, 8 << 30, 8 << 30)
    assert 10 << 20 < used.peak_memory < 64 << 30
    assert used.seconds > 0
    assert used.cpu_seconds > 0


@pytest.mark.parametrize("place", [("other", "orders"), ("run", "other")])
def test_a_process_of_another_step_or_run_says_nothing(
    monkeypatch: pytest.MonkeyPatch, place: tuple[str, str]
) -> None:
    worker_of(monkeypatch, usage.of_worker("run", "orders", WORKER))
    assert usage.usage(*place) is None


@pytest.mark.parametrize("text", ["", "nonsense", '{"run": "run", "step": "orders"}', "[]"])
def test_a_process_that_no_worker_began_says_nothing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PRACTICUS_ASKED", text)
    assert usage.usage("run", "orders") is None


def test_a_pod_asks_for_what_its_manifest_says_and_its_container_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi", "cpu": 2}}
    worker_of(monkeypatch, usage.of_container("run", "orders", {"resources": resources}))
    monkeypatch.setattr(pod_memory, "peak", lambda: 300 << 20)
    used = usage.usage("run", "orders")
    assert used is not None
    assert (used.cpu, used.memory, used.memory_limit, used.peak_memory) == (2.0, 1 << 30, 2 << 30, 300 << 20)


def test_a_process_beside_which_others_worked_says_nothing_and_a_pod_counts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker_of(monkeypatch, usage.of_worker("run", "orders", WORKER))
    assert usage.usage("run", "orders", is_alone=False) is None
    worker_of(monkeypatch, usage.of_container("run", "orders", {}))
    assert usage.usage("run", "orders", is_alone=False) is not None


@pytest.mark.parametrize(
    ("engine", "has_processes"),
    [(None, False), (SparkConnect(), True), (SparkConnect(address="sc://host:15002"), False)],
)
def test_the_server_that_an_engine_starts_is_another_process_of_the_step(
    engine: SparkConnect | None, *, has_processes: bool
) -> None:
    assert TableTerms(TableSettings(), engine=engine).has_processes is has_processes


def test_the_variable_has_no_environment_of_the_worker() -> None:
    [text] = usage.of_worker("run", "orders", WORKER).values()
    assert json.loads(text) == {
        "run": "run",
        "step": "orders",
        "in_pod": False,
        "cpu": "500m",
        "memory": "8Gi",
        "limit": "8Gi",
    }


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (
            Usage(93.04, 2.0, 8 << 30, 8 << 30, int(1.1 * (1 << 30)), 37.2),
            "asked 2 cores and 8 Gi; used at most 1.1 Gi, and 0.4 cores on average, in 93.0 s",
        ),
        (
            Usage(2.0, None, None, None, 312 << 20, 2.0),
            "asked for no CPU and no memory; used at most 312 Mi, and 1 core on average, in 2.0 s",
        ),
        (
            Usage(0.0, 0.5, None, 1023 << 20, 10 << 10, 0.0),
            "asked 0.5 cores and 1023 Mi; used at most 10 Ki, and 0 cores on average, in 0.0 s",
        ),
    ],
)
def test_what_was_asked_for_and_used_is_a_plain_sentence(used: Usage, words: str) -> None:
    assert sentence(used) == words
