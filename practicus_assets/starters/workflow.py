"""The starter of a workflow: a folder of tasks, their worker files, the definitions, and a test."""

import ast
import json
from textwrap import dedent, indent

from practicus_assets.starters.names import refuse_name, refuse_tasks
from practicus_assets.starters.starter import Starter
from practicus_assets.workflows.flow import Flow

_SIZE, _SIZE_OF_LAST = "Small", "Medium"


def workflow_starter(name: str, flow: str, *, as_practicus: bool) -> Starter:
    """Return the starter of a workflow.

    Args:
        name: the workflow's name, which is that of its folder.
        flow: the order of its tasks.
        as_practicus: whether its tasks lie in a folder as Practicus AI writes one, with a dag file.

    Raises:
        DeclarationError: if the text is no flow, or something cannot be called so.

    """
    refuse_name("workflow", name)
    parsed = Flow.parse(flow)
    refuse_tasks(parsed.tasks)
    lines = [ast.unparse(statement) for statement in ast.parse(dedent(flow)).body]
    size = "worker_size" if as_practicus else "size"
    files = {
        "__init__.py": f'"""The workflow {name}."""\n',
        "definitions.py": _of_folder(name) if as_practicus else _definitions(name, lines),
        f"test_{name}.py": _test(name, parsed),
        "tasks/default_worker.json": _json({size: _SIZE}),
        f"tasks/{parsed.tasks[-1]}_worker.json": _json({size: _SIZE_OF_LAST}),
        **{f"tasks/{task}.py": _task(name, task) for task in parsed.tasks},
    }
    if as_practicus:
        files[f"tasks/{name}_dag.py"] = _dag(lines, parsed)
    return Starter(name, files)


def _definitions(name: str, flow: list[str]) -> str:
    text = f'"{flow[0]}"' if len(flow) == 1 else '"""\n' + "\n".join(flow) + '\n"""'
    return f'''"""The workflow {name}: the files of tasks, and what their worker files ask for."""

from practicus_assets import workflow

FLOW = {text}

defs = workflow("{name}", FLOW, path="tasks", worker_files=True)
'''


def _of_folder(name: str) -> str:
    return f'''"""The workflow {name}: the dag file, the scripts and the worker files of tasks."""

from practicus_assets import workflow_from_folder

defs = workflow_from_folder("tasks")
'''


def _task(name: str, task: str) -> str:
    return f'''"""The task {task} of the workflow {name}."""

import os

print(f"{task} runs for {{os.environ['EXECUTION_DATE']}}")
'''


def _test(name: str, flow: Flow) -> str:
    orders = [(before, task) for task in flow.tasks for before in flow.upstream[task]]
    listed = indent("".join(f'("{before}", "{task}"),\n' for before, task in orders), "    ")
    order = f"[\n{listed}]" if orders else "[]"
    tasks = indent("".join(f'"{task}",\n' for task in flow.tasks), "    ")
    return f'''"""The workflow {name} runs to its end."""

from {name}.definitions import defs

TASKS = [
{tasks}]
ORDER: list[tuple[str, str]] = {order}


def test_the_tasks_run_in_their_order() -> None:
    result = defs.resolve_job_def("{name}").execute_in_process()
    ran = [event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key]
    assert sorted(ran) == sorted(TASKS)
    assert [(first, then) for first, then in ORDER if ran.index(first) > ran.index(then)] == []
'''


def _dag(flow: list[str], parsed: Flow) -> str:
    tasks = [f'{task} = task(prt.workflows.run_airflow_task, task_id="{task}")()' for task in parsed.tasks]
    return f"""from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{{dag_key}}.{{username}}"


@dag(
    dag_id=dag_id,
    schedule_interval=None,
    start_date=datetime(2026, 1, 1, 0, 0),
    default_args={{"owner": username, "retries": 0}},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
)
def generate_dag():
{indent(chr(10).join(tasks), "    ")}

{indent(chr(10).join(flow), "    ")}


generate_dag()
"""


def _json(fields: dict[str, str]) -> str:
    return json.dumps(fields, indent=2) + "\n"
