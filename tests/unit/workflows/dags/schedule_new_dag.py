from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


@dag(
    dag_id=dag_id,
    schedule='30 6 * * 1-5',
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": "data-team", "retries": 3},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
)
def generate_dag():
    a = task(prt.workflows.run_airflow_task, task_id="a")()
    b = task(prt.workflows.run_airflow_task, task_id="b")()

    a >> b


generate_dag()
