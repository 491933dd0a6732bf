from datetime import datetime

import practicuscore as prt
from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
except ImportError:
    from airflow.operators.bash import BashOperator
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import BranchPythonOperator, PythonOperator

dag = DAG(dag_id="shop", schedule="@weekly", start_date=datetime(2023, 1, 1), catchup=False)

first = PythonOperator(task_id="first", python_callable=prt.workflows.run_airflow_task, dag=dag)
second = PythonOperator(task_id="second", python_callable=prt.workflows.run_airflow_task, dag=dag)
third = PythonOperator(task_id="third", python_callable=prt.workflows.run_airflow_task, dag=dag)

first.set_downstream(second)
third.set_upstream([first, second])
