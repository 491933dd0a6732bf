from datetime import datetime

import practicuscore as prt
from airflow.decorators import dag, task

dag_key, username = prt.workflows.get_dag_info(__file__)
dag_id = f"{dag_key}.{username}"


def f0():
    f1()
    f1()


def f1():
    f2()
    f2()


def f2():
    f3()
    f3()


def f3():
    f4()
    f4()


def f4():
    f5()
    f5()


def f5():
    f6()
    f6()


def f6():
    f7()
    f7()


def f7():
    f8()
    f8()


def f8():
    f9()
    f9()


def f9():
    f10()
    f10()


def f10():
    f11()
    f11()


def f11():
    f12()
    f12()


def f12():
    f13()
    f13()


def f13():
    f14()
    f14()


def f14():
    f15()
    f15()


def f15():
    f16()
    f16()


def f16():
    f17()
    f17()


def f17():
    f18()
    f18()


def f18():
    return 1


@dag(
    dag_id=dag_id,
    schedule=None,
    start_date=datetime(2024, 11, 26, 0, 0),
    default_args={"owner": username, "retries": 0},
    catchup=False,
    params=prt.workflows.get_airflow_params(),
)
def generate_dag():
    a = task(prt.workflows.run_airflow_task, task_id="a")()

    f0()
    a


generate_dag()
