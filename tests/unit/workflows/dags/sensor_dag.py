from airflow.providers.http.sensors.http import HttpSensor
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
    wait_for_api = HttpSensor(
        task_id="wait_for_http_sensor",
        http_conn_id="api",
        endpoint="ready?since={{ ds }}",
        poke_interval=10,
        timeout=1800,
        mode="reschedule",
        response_check=lambda response: response.json()["ok"],
    )
    some_table = task(prt.workflows.run_airflow_task, task_id="some_table")()

    wait_for_api >> some_table


generate_dag()
