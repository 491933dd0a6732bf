"""A corpus of dag files, good and broken: what is understood of each, and what is named.

`dags/<name>_dag.py` is a file as people write it, and `dags/<name>.txt` what we say of it. What Airflow
makes of it is in `tests/golden/airflow/dags.json`. To write the texts again, and read their difference:
`python -m tests.unit.workflows.test_dag_corpus`.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.practicus.dag_file import DagFile, read_dag_file
from practicus_assets.workflows.practicus.folder import unread_of
from practicus_assets.workflows.practicus.operators import command_of
from practicus_assets.workflows.practicus.syntax.node import TASK

DAGS = Path(__file__).parent / "dags"
NAMES = sorted(path.name.removesuffix("_dag.py") for path in DAGS.glob("*_dag.py"))
AIRFLOW: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "airflow" / "dags.json").read_text(encoding="utf-8")
)
SECRETS = ("hunter2", "tok-4f9a", "correct-horse")
BOUND = 5  # seconds of processor time: a hundred times what the slowest takes


def said_of(name: str) -> str:
    """Return what is understood of a file of the corpus and what is named, or why it is refused."""
    try:
        dag = read_dag_file(DAGS / f"{name}_dag.py")
    except DeclarationError as error:
        return f"refused: {error}\n".replace(str(DAGS), "dags")
    lines = [f"schedule: {dag.schedule}"]
    lines += [f"time zone: {dag.settings.timezone}"] if dag.settings.timezone else []
    lines += [f"owner: {dag.owner}"] if dag.owner else []
    lines += [f"retries: {dag.retries}, {dag.retry_delay_seconds:g} s apart"] if dag.retries else []
    lines += [f"runs at once: {dag.max_active_runs}"] if dag.max_active_runs else []
    lines += [f"parameter: {key} = {value!r}" for key, value in dag.parameters.items()]
    lines += ["", *(_line(dag, task) for task in dag.flow.tasks)]
    named = unread_of(dag)
    for node in dag.nodes.values():
        if node.operator != TASK:
            command_of(node, {}, named)
    lines += ["", *(f"- {sentence}" for sentence in named)] if named else []
    return "\n".join(lines) + "\n"


def _line(dag: DagFile, task: str) -> str:
    node = dag.nodes[task]
    variables = ", ".join(f"{name}={value}" for name, value in node.environment.items())
    before = ", ".join(dag.flow.upstream[task])
    return "".join(
        [
            task,
            f" after {before}" if before else "",
            f" with {variables}" if variables else "",
            f" ({node.operator})" if node.operator != TASK else "",
        ]
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_a_file_of_the_corpus_stays(name: str) -> None:
    began = time.process_time()
    said = said_of(name)
    assert time.process_time() - began < BOUND
    assert said == (DAGS / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_of_the_corpus_is_said(name: str) -> None:
    text = (DAGS / f"{name}.txt").read_text(encoding="utf-8")
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("refused_")])
def test_a_broken_file_of_the_corpus_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError):
        read_dag_file(DAGS / f"{name}_dag.py")


@pytest.mark.parametrize("file", [name for name, meant in AIRFLOW.items() if isinstance(meant, dict)])
def test_a_file_is_ordered_as_airflow_orders_it(file: str) -> None:
    meant = AIRFLOW[file]
    if "tasks" not in meant:  # the versions differ; where one cannot load it, the other one counts
        meant = next(each for each in (meant["two"], meant["three"]) if isinstance(each, dict))
    dag = read_dag_file(DAGS / file)
    left_out = set(meant["tasks"]) - set(dag.flow.tasks)
    assert all(f"the task {task} is not in the flow, and is left out" in dag.unread for task in left_out)
    assert set(dag.flow.tasks) <= set(meant["tasks"])
    found = {task: sorted(before) for task, before in dag.flow.upstream.items() if before}
    assert found == meant["upstream"]


def test_no_file_of_the_corpus_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name in NAMES:
        if not name.startswith("harm"):
            continue
        path = tmp_path / f"{name}_dag.py"
        shutil.copy(DAGS / path.name, path)
        path.write_text(path.read_text().replace("practicus-dag-ran", str(mark)))
        read_dag_file(path)
    assert not mark.exists()


if __name__ == "__main__":
    for each in NAMES:
        (DAGS / f"{each}.txt").write_text(said_of(each), encoding="utf-8")
