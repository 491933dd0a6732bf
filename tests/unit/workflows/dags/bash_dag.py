try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
except ImportError:
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import BranchPythonOperator, PythonOperator

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
    start = EmptyOperator(task_id="start")
    plain = BashOperator(task_id="plain", bash_command="echo ready")
    dated = BashOperator(task_id="dated", bash_command="echo {{ ds }}", env={"A": "1"})
    a = task(prt.workflows.run_airflow_task, task_id="a")()
    end = EmptyOperator(task_id="end", trigger_rule="none_failed")

    start >> [plain, dated, a] >> end


generate_dag()
