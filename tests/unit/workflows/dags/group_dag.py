try:
    from airflow.sdk import Label, TaskGroup, chain, chain_linear, cross_downstream, task_group
except ImportError:
    from airflow.decorators import task_group
    from airflow.models.baseoperator import chain, chain_linear, cross_downstream
    from airflow.utils.edgemodifier import Label
    from airflow.utils.task_group import TaskGroup

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
    a = task(prt.workflows.run_airflow_task, task_id="a")()
    z = task(prt.workflows.run_airflow_task, task_id="z")()

    with TaskGroup("load", tooltip="from the shop") as load:
        b = task(prt.workflows.run_airflow_task, task_id="b")()
        c = task(prt.workflows.run_airflow_task, task_id="c")()

    a >> load >> z


generate_dag()
