from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


@dag(
    dag_id=dag_id,
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": username, "retries": 0},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
    schedule='@daily',
)
def generate_dag():
    some_table = task(prt.workflows.run_airflow_task, task_id="some_table")()
    some_other_table = task(prt.workflows.run_airflow_task, task_id="some_other_table")()
    final_table = task(prt.workflows.run_airflow_task, task_id="final_table")()

    [some_table, some_other_table] >> final_table


generate_dag()
