"""Dag files in every form in which people come with them, read by their syntax tree."""

from pathlib import Path
from textwrap import dedent

import pytest

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.practicus.dag_file import DagFile, read_dag_file

HEAD = """
from datetime import datetime
from airflow.decorators import dag, task
import practicuscore as prt

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"
"""
GENERATED = (
    HEAD
    + """
@dag(
    dag_id=dag_id,
    schedule_interval='@daily',
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": username, "retries": 2},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
    max_active_runs=1,
)
def generate_dag():
    some_table = task(prt.workflows.run_airflow_task, task_id="some_table")()
    some_other_table = task(prt.workflows.run_airflow_task, task_id="some_other_table")()
    final_table = task(prt.workflows.run_airflow_task, task_id="final_table")()

    [some_table, some_other_table] >> final_table


generate_dag()
"""
)
OF_2024 = """
from datetime import timedelta
from airflow import DAG
from airflow.models.param import Param
from airflow.operators.python import PythonOperator
from dateutil import parser
import practicuscore as prt

default_args = {
    "owner": "data-team",
    "start_date": parser.parse("2024-03-01"),
    "retries": 1,
    "retry_delay": timedelta(seconds=3),
}
params = {"region": Param(default=None, type=["null", "string"]), "days": Param(7, type="integer")}

with DAG("shop.a", schedule_interval="30 6 * * *", default_args=default_args, params=params) as dag:
    orders = PythonOperator(task_id="load_orders", python_callable=prt.workflows.run_airflow_task, dag=dag)
    report = PythonOperator(task_id="report", python_callable=prt.workflows.run_airflow_task)
    orders >> report
"""


def read(tmp_path: Path, text: str, name: str = "shop_dag.py") -> DagFile:
    path = tmp_path / name
    path.write_text(dedent(text), encoding="utf-8")
    return read_dag_file(path)


def in_dag(*lines: str, head: str = "") -> str:
    """Return a dag file with these lines in its function."""
    body = "\n".join(f"    {line}" for line in lines)
    return f"{HEAD}\n{head}\n@dag(dag_id=dag_id)\ndef generate_dag():\n{body}\n\ngenerate_dag()\n"


TASK = 'a = task(prt.workflows.run_airflow_task, task_id="a")()'
SECOND = 'b = task(prt.workflows.run_airflow_task, task_id="b")()'


def test_a_generated_file_is_read_without_a_remark(tmp_path: Path) -> None:
    dag = read(tmp_path, GENERATED)
    assert dag.flow.upstream == {
        "some_table": (),
        "some_other_table": (),
        "final_table": ("some_table", "some_other_table"),
    }
    assert (dag.name, dag.schedule, dag.retries, dag.max_active_runs) == ("shop", "@daily", 2, 1)
    assert (dag.owner, dag.unread) == (None, ())  # only a run would tell the owner


def test_a_file_of_2024_is_read(tmp_path: Path) -> None:
    dag = read(tmp_path, OF_2024)
    assert dag.flow.upstream == {"load_orders": (), "report": ("load_orders",)}
    assert (dag.schedule, dag.owner, dag.retries, dag.retry_delay_seconds) == (
        "30 6 * * *",
        "data-team",
        1,
        3,
    )
    assert (dag.parameters, dag.unread) == ({"region": "", "days": 7}, ())


def test_a_lone_task_needs_no_flow(tmp_path: Path) -> None:
    assert read(tmp_path, in_dag(TASK)).flow.upstream == {"a": ()}
    assert read(tmp_path, in_dag(TASK, "a")).flow.upstream == {"a": ()}


def test_variables_of_the_flow_are_mapped_to_task_ids(tmp_path: Path) -> None:
    sensor = (
        'wait = HttpSensor(task_id="wait_for_http_sensor", endpoint="ready", poke_interval=10, timeout=1800)'
    )
    dag = read(tmp_path, in_dag(sensor, TASK, "wait >> a"))
    assert dag.flow.upstream == {"wait_for_http_sensor": (), "a": ("wait_for_http_sensor",)}
    node = dag.nodes["wait_for_http_sensor"]
    assert (node.operator, node.arguments["poke_interval"]) == ("HttpSensor", 10)


def test_variables_that_a_function_gives_its_task_are_read(tmp_path: Path) -> None:
    head = dedent(
        """
        def dynamic_task(**kwargs):
            return prt.workflows.run_airflow_task(
                env_variables={"EXECUTION_DATE": kwargs["ds"], "MODE": "full", "DAYS": 3, "X": kwargs["x"]},
                **kwargs,
            )
        """
    )
    dag = read(tmp_path, in_dag('a = task(dynamic_task, task_id="a")()', "a", head=head))
    assert dag.nodes["a"].environment == {"MODE": "full", "DAYS": "3"}
    [said] = dag.unread
    assert said.startswith("the variable X of the task a, kwargs['x'] (line ")


def test_a_function_further_down_is_read_too(tmp_path: Path) -> None:
    below = (
        "\ndef dynamic_task(**kwargs):\n    prt.workflows.run_airflow_task(env_variables={'MODE': 'full'})\n"
    )
    dag = read(tmp_path, in_dag('a = task(dynamic_task, task_id="a")()', "a") + below)
    assert (dag.nodes["a"].environment, dag.unread) == ({"MODE": "full"}, ())


@pytest.mark.parametrize(
    ("given", "found", "said"),
    [
        ("{'DAY': '{{ ds }}', 'N': 1}", {"N": "1"}, ["the variable DAY of the task a, {{ ds }}, only a run"]),
        ("{'EXECUTION_DATE': '{{ ds }}'}", {}, []),
        ("{'X': None}", {}, []),
        ("None", {}, []),
        ("['X']", {}, ["the variables of the task a, ['X'], only a run would tell"]),
    ],
)
def test_variables_that_a_task_is_given_are_read_or_named(
    tmp_path: Path, given: str, found: dict[str, str], said: list[str]
) -> None:
    line = f'a = task(prt.workflows.run_airflow_task, task_id="a")(env_variables={given})'
    dag = read(tmp_path, in_dag(line, "a"))
    assert dag.nodes["a"].environment == found
    assert [sentence[: len(said[0])] for sentence in dag.unread] == said


THIRD = TASK.replace('"a"', '"c"').replace("a = ", "c = ")


@pytest.mark.parametrize(
    ("lines", "upstream"),
    [
        (["a.set_downstream([b, c])"], {"a": (), "b": ("a",), "c": ("a",)}),
        (["a.set_upstream(b)", "c"], {"a": ("b",), "b": (), "c": ()}),
        (["chain(a, [b, c])"], {"a": (), "b": ("a",), "c": ("a",)}),
        (["chain([a, b], [b, c])"], {"a": (), "b": ("a",), "c": ("b",)}),
        (["cross_downstream([a, b], [c])"], {"a": (), "b": (), "c": ("a", "b")}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_order_that_is_a_call_is_read(
    tmp_path: Path, lines: list[str], upstream: dict[str, tuple[str, ...]]
) -> None:
    dag = read(tmp_path, in_dag(TASK, SECOND, THIRD, *lines))
    assert (dict(dag.flow.upstream), dag.unread) == (upstream, ())


def test_a_dag_that_is_opened_by_its_variable_is_read(tmp_path: Path) -> None:
    text = "dag = DAG('shop', schedule=None)\nwith dag:\n    " + TASK
    assert read(tmp_path, text).flow.upstream == {"a": ()}


def test_a_wrapper_that_cleans_up_is_named(tmp_path: Path) -> None:
    head = dedent(
        """
        def careful(**kwargs):
            try:
                prt.workflows.run_airflow_task(**kwargs)
            except prt.exceptions.TaskError:
                remove_files()
                raise
        """
    )
    dag = read(tmp_path, in_dag('a = task(careful, task_id="a")()', "a", head=head))
    assert "the task a calls careful: what that does beside running the task is left out" in dag.unread


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("for n in range(3):", "    pass", TASK, "a"), "line 12, for: only a run would tell what it does"),
        (("print('x')", TASK, "a"), "print('x') (line 12) is not run"),
        (
            ('a = task(prt.workflows.run_airflow_task, task_id="a", trigger_rule="all_done")()', "a"),
            "trigger_rule of the task a has no counterpart",
        ),
        (
            ('a = PythonOperator(task_id="a", python_callable=prt.run_airflow_task, retries=3)', "a"),
            "retries of the task a has no counterpart",
        ),
        (
            ('a = task(elsewhere.load, task_id="a")()', "a"),
            "the task a calls elsewhere.load, which is not in the file: it is taken for its own",
        ),
        ((TASK, SECOND, "a"), "the task b is not in the flow, and is left out"),
    ],
    ids=[
        "a loop",
        "a call",
        "a rule",
        "an operator's retries",
        "a foreign function",
        "a task beside the flow",
    ],
)
def test_what_is_not_understood_is_said(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    assert said in read(tmp_path, in_dag(*lines)).unread


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("schedule=timedelta(hours=3)", "the schedule is every 3:00:00, which is no cron expression"),
        ("schedule=[some_dataset]", "the schedule is some_dataset (line 10), which is no cron expression"),
        ("catchup=True", "catchup=True: a schedule runs from when it is turned on"),
        ("user_defined_macros={'f': f}", "user_defined_macros of the dag has no counterpart"),
        ("default_args={'email_on_failure': True}", "email_on_failure of default_args has no counterpart"),
        ("default_args={**base, 'retries': 2}", "default_args, {**base, 'retries': 2} (line 10), only a run"),
        ("default_args={'retries': int(n)}", "retries is int(n) (line 10), which only a run would tell"),
        ("max_active_runs=limit()", "max_active_runs is limit() (line 10), which only a run would tell"),
        ("params={'db_password': 'hunter2!'}", "the default of the parameter db_password is a secret"),
    ],
)
def test_what_has_no_counterpart_is_said(tmp_path: Path, keyword: str, said: str) -> None:
    text = in_dag(TASK, "a").replace("@dag(dag_id=dag_id)", f"@dag(dag_id=dag_id, {keyword})")
    dag = read(tmp_path, text)
    assert any(sentence.startswith(said) for sentence in dag.unread), dag.unread
    assert "hunter2!" not in repr(dag)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def (", r"the dag file .*shop_dag\.py cannot be read: SyntaxError"),
        ("x = 1", r"the dag file shop_dag\.py orders no tasks"),
        (in_dag(TASK, "a >> c"), r"there is no task 'c' \(line 13\):\n        a >> c\n             \^"),
        (in_dag(TASK, SECOND, "a >> b >> a"), "the flow goes in a circle: a >> b >> a"),
        (in_dag(TASK, SECOND, "[a] >> [b]"), "a list is followed by a list, which Airflow refuses, too"),
        (in_dag(TASK, SECOND.replace('"b"', '"a"'), "a >> b"), r"two tasks 'a' \(line 13\)"),
        (in_dag(TASK, SECOND.replace("b =", "a ="), "a"), r"gives two tasks the name 'a' \(line 13\)"),
        (GENERATED + "\n@dag(dag_id='other')\ndef other():\n    " + TASK, r"has two dags \(line "),
    ],
    ids=["no python", "no flow", "unknown", "circle", "lists", "twice", "variable", "dags"],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        read(tmp_path, text)


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    read(tmp_path, f"open({str(mark)!r}, 'w')\n" + GENERATED)
    assert not mark.exists()
