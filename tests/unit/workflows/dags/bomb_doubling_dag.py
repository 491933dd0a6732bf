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

    all = ['x']
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    all = all + all
    a


generate_dag()
