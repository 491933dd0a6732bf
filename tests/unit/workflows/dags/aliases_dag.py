from airflow.decorators import task as node
from practicuscore import workflows
from practicuscore.workflows import run_airflow_task as run

try:
    from airflow.sdk import chain
except ImportError:
    from airflow.models.baseoperator import chain

from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


@dag(
    dag_id=dag_id,
    schedule=None,
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": username, "retries": 0},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
)
def generate_dag():
    first = node(run, task_id="first")()
    second = node(run, task_id="second")()
    chain(first, second)


generate_dag()
