"""What Airflow makes of flows and of dag files, as JSON: see README.md. It is run by hand, where Airflow is."""

# mypy: ignore-errors
# it is not part of the test suite: Airflow is not installed beside it
import datetime
import json
import logging
import os
import runpy
import sys
import tempfile
import types
import warnings
from pathlib import Path

HERE = Path(__file__).parent
DAGS = HERE.parents[1] / "unit" / "workflows" / "dags"
FLOWS = HERE / "flows.txt"
NOT_RUN = ("harm", "bomb", "refused")  # by the first word of a file's name


def environment() -> None:
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp()
    os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    warnings.simplefilter("ignore")
    logging.disable()


def practicuscore() -> types.ModuleType:
    """Return the little of the SDK that dag files use when they are loaded."""
    sdk = types.ModuleType("practicuscore")
    workflows = types.ModuleType("practicuscore.workflows")
    exceptions = types.ModuleType("practicuscore.exceptions")
    workflows.get_dag_info = lambda path: (Path(path).stem.removesuffix("_dag"), "somebody")
    workflows.get_airflow_params = dict
    workflows.run_airflow_task = run_airflow_task
    exceptions.TaskError = type("TaskError", (Exception,), {})
    sdk.workflows, sdk.exceptions = workflows, exceptions
    return {
        "practicuscore": sdk,
        "practicuscore.workflows": workflows,
        "practicuscore.exceptions": exceptions,
    }


def run_airflow_task(**kwargs):
    """Stand for the SDK's function."""


def flows() -> dict[str, object]:
    from airflow import DAG

    try:
        from airflow.providers.standard.operators.empty import EmptyOperator
    except ImportError:
        from airflow.operators.empty import EmptyOperator
    answers = {}
    for text in FLOWS.read_text().split("\n---\n"):
        with DAG("d", start_date=datetime.datetime(2024, 1, 1), schedule=None) as dag:
            names = {name: EmptyOperator(task_id=name) for name in "abcdef"}
        try:
            exec(text, {}, names)
        except (TypeError, AttributeError) as error:
            answers[text] = type(error).__name__
            continue
        answers[text] = "circle" if circular(dag) else upstream_of(dag)
    return answers


def circular(dag) -> bool:
    try:
        if hasattr(dag, "check_cycle"):
            dag.check_cycle()
        else:
            from airflow.utils.dag_cycle_tester import check_cycle

            check_cycle(dag)
    except Exception as error:
        if "Cycle" not in type(error).__name__:
            raise
        return True
    return False


def upstream_of(dag) -> dict[str, list[str]]:
    return {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks if task.upstream_task_ids}


def dags() -> dict[str, object]:
    from airflow import DAG

    sys.modules.update(practicuscore())
    answers = {}
    for path in sorted(DAGS.glob("*_dag.py")):
        if path.name.split("_")[0] in NOT_RUN:
            continue
        made = []
        at_exit = DAG.__init__

        def noting(self, *args, _made=made, _init=at_exit, **kwargs):
            _init(self, *args, **kwargs)
            _made.append(self)

        DAG.__init__ = noting
        try:
            runpy.run_path(str(path))
            [dag] = made
            tasks = sorted(task.task_id for task in dag.tasks)
            answers[path.name] = {"tasks": tasks, "upstream": upstream_of(dag)}
        except Exception as error:  # noqa: BLE001 whatever a version of Airflow has against a file
            answers[path.name] = f"{type(error).__name__}"
        finally:
            DAG.__init__ = at_exit
    return answers


def main(word: str) -> None:
    if word == "join":
        found = [json.loads((HERE / f"{version}.json").read_text()) for version in ("two", "three")]
        for kind in ("flows", "dags"):
            two, three = (answers[kind] for answers in found)
            joined = {
                name: two[name] if two[name] == three[name] else {"two": two[name], "three": three[name]}
                for name in two
            }
            (HERE / f"{kind}.json").write_text(json.dumps(joined, indent=1, sort_keys=True) + "\n")
        for version in ("two", "three"):
            (HERE / f"{version}.json").unlink()
        return
    environment()
    (HERE / f"{word}.json").write_text(json.dumps({"flows": flows(), "dags": dags()}))


if __name__ == "__main__":
    main(sys.argv[1])
