from datetime import timedelta

from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


base = {"owner": "data-team", "retries": 1}


@dag(
    dag_id=dag_id,
    schedule=None,
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={**base, "retries": 2, "retry_delay": timedelta(minutes=5), "email": ["a@example.com"], "email_on_failure": True},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
)
def generate_dag():
    a = task(prt.workflows.run_airflow_task, task_id="a")()
    b = task(prt.workflows.run_airflow_task, task_id="b")()

    a >> b


generate_dag()
