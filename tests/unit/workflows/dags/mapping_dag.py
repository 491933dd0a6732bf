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
    nodes = {}
    for name, after in {"a": [], "b": ["a"], "c": ["a", "b"]}.items():
        nodes[name] = task(prt.workflows.run_airflow_task, task_id=name)()
        for other in after:
            nodes[other] >> nodes[name]


generate_dag()
