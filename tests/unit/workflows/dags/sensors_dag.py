from datetime import timedelta

try:
    from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
    from airflow.providers.standard.sensors.filesystem import FileSensor
except ImportError:
    from airflow.sensors.external_task import ExternalTaskSensor
    from airflow.sensors.filesystem import FileSensor

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
    for_file = FileSensor(task_id="for_file", filepath="/data/ready", poke_interval=timedelta(minutes=1))
    for_dag = ExternalTaskSensor(task_id="for_dag", external_dag_id="upstream", timeout=60 * 60)
    a = task(prt.workflows.run_airflow_task, task_id="a")()

    [for_file, for_dag] >> a


generate_dag()
