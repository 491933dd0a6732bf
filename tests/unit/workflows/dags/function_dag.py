from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


def node(name, prefix=""):
    """Return a task."""
    return task(prt.workflows.run_airflow_task, task_id=prefix + name)()


@dag(
    dag_id=dag_id,
    schedule=None,
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": username, "retries": 0},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
)
def generate_dag():
    a = node("a")
    b = node("b", prefix="second_")
    a >> b


generate_dag()
