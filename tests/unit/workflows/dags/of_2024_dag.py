from datetime import timedelta

import practicuscore as prt
from airflow import DAG
from airflow.models.param import Param
from dateutil import parser

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
except ImportError:
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import BranchPythonOperator, PythonOperator

default_args = {
    "owner": "data-team",
    "start_date": parser.parse("2024-03-01"),
    "retries": 1,
    "retry_delay": timedelta(seconds=3),
}
params = {"region": Param(default=None, type=["null", "string"]), "days": Param(7, type="integer")}

with DAG("shop.somebody", schedule="30 6 * * *", default_args=default_args, params=params) as dag:
    orders = PythonOperator(task_id="load_orders", python_callable=prt.workflows.run_airflow_task, dag=dag)
    report = PythonOperator(
        task_id="report", python_callable=prt.workflows.run_airflow_task, op_kwargs={"days": 3}, retries=5
    )
    orders >> report
