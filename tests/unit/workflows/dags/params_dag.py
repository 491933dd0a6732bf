from airflow.models.param import Param
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
    params={
        "region": Param("eu", type="string", description="where"),
        "days": Param(7, type="integer", minimum=1),
        "full": False,
        "tables": Param(["a", "b"], type="array"),
        "nothing": Param(default=None, type=["null", "string"]),
        "api_token": "tok-4f9a8c7e6d5b",
    },
)
def generate_dag():
    a = task(prt.workflows.run_airflow_task, task_id="a")()

    a


generate_dag()
