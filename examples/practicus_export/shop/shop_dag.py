# Airflow DAG script, as the generator of the SDK writes it
from datetime import datetime
from airflow.decorators import dag, task
import practicuscore as prt

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


def dynamic_task(**kwargs):
    return prt.workflows.run_airflow_task(env_variables={"MODE": "full"}, **kwargs)


@dag(
    dag_id=dag_id,
    schedule_interval="@daily",
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": username, "retries": 1},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
    max_active_runs=1,
)
def generate_dag():
    load_orders = task(dynamic_task, task_id="load_orders")()
    load_rates = task(prt.workflows.run_airflow_task, task_id="load_rates")()
    report = task(prt.workflows.run_airflow_task, task_id="report")()

    [load_orders, load_rates] >> report


generate_dag()
