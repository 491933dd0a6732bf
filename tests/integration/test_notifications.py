"""Notifications: what people are told of real runs, once, and of what went well again."""

import re
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Contract, DeclarationError, Log, RowRule, build_notification_sensor, table_asset
from tests.integration.alerts import Alerts
from tests.integration.bench import Bench

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2025-01-01")
CUSTOMER = "customer-4711@example.com"


def orders_of(frame: Any, **options: Any) -> dg.AssetsDefinition:
    """Return a daily table whose function calls `frame` with the run's partitions."""
    given: dict[str, Any] = {"partitions_def": DAYS, "partition_by": "day", **options}

    @table_asset(owners=["ann@example.com", "team:sales"], **given)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        keys = list(context.partition_keys)
        return frame(pd.DataFrame({"day": pd.to_datetime(keys).date, "amount": 1.0, "who": CUSTOMER}))

    return orders


def failing(error: Exception) -> Any:
    def fail(_: pd.DataFrame) -> pd.DataFrame:
        raise error

    return fail


def paid(rows: pd.DataFrame) -> Any:
    return rows["amount"] > 0


POSITIVE = Contract(
    rules=[RowRule("paid", paid, description="every order is paid")],
)


def test_a_failed_run_is_told_once_with_its_error_owners_and_link(bench: Bench) -> None:
    orders = orders_of(failing(ValueError("no orders from the shop")))
    alerts = Alerts(bench.instance, orders, base_url="https://dagster.example.com/")
    assert alerts.said == "0 notices."
    run = bench.run([orders], partition="2024-03-01", fails=True)
    assert alerts.tick() == ["orders [2024-03-01] failed"]
    assert alerts.shelf.last() == (
        "orders [2024-03-01] failed\n"
        "ValueError: no orders from the shop\n"
        "Owners: ann@example.com, team:sales\n"
        f"https://dagster.example.com/runs/{run.run_id}"
    )
    assert alerts.said == "1 message sent."
    assert alerts.tick() == []


def test_a_broken_contract_is_told_by_its_rules_and_counts_without_a_row(bench: Bench) -> None:
    orders = orders_of(lambda rows: rows.assign(amount=-1.0), contract=POSITIVE)
    alerts = Alerts(bench.instance, orders)
    bench.run([orders], partition="2024-03-01", fails=True)
    alerts.tick()
    text = alerts.shelf.last()
    assert "AuditFailed: the contract is broken. Fix the data or the contract. Nothing was written." in text
    assert "ERROR paid (every order is paid): 1 bad row" in text
    assert CUSTOMER not in text
    assert CUSTOMER not in str(alerts.cursor)


def test_no_value_of_a_row_is_told_where_the_error_shows_some(bench: Bench) -> None:
    contract = Contract(columns={"who": "long"})
    orders = orders_of(lambda rows: rows, contract=contract)
    alerts = Alerts(bench.instance, orders)
    bench.run([orders], partition="2024-03-01", fails=True)
    alerts.tick()
    text = alerts.shelf.last()
    assert re.search(r"orders \[2024-03-01\]: .*'who'", text)
    assert "Nothing was written." in text
    assert "4711" not in text


def test_a_step_that_is_retried_is_told_after_its_last_attempt(bench: Bench) -> None:
    orders = orders_of(failing(ValueError("down")), retry_policy=dg.RetryPolicy(max_retries=2))
    alerts = Alerts(bench.instance, orders)
    bench.run([orders], partition="2024-03-01", fails=True)
    assert alerts.tick() == ["orders [2024-03-01] failed"]
    assert "ValueError: down\nThat was after 3 attempts at the step." in alerts.shelf.last()


def test_what_failed_and_succeeds_later_is_told_once(bench: Bench) -> None:
    orders, healed = orders_of(failing(ValueError("down"))), orders_of(lambda rows: rows)
    alerts = Alerts(bench.instance, healed)
    bench.run([orders], partition="2024-03-01", fails=True)
    alerts.tick()
    bench.run([healed], partition="2024-03-02")
    assert alerts.tick() == []
    bench.run([healed], partition="2024-03-01")
    assert alerts.tick() == ["orders [2024-03-01] went well again"]
    assert "It did not since 20" in alerts.shelf.last()
    bench.run([healed], partition="2024-03-01")
    assert alerts.tick() == []


def test_a_range_went_well_again_when_its_first_and_its_last_partition_did(bench: Bench) -> None:
    single_run = dg.BackfillPolicy.single_run()
    orders = orders_of(failing(ValueError("down")), backfill_policy=single_run)
    healed = orders_of(lambda rows: rows, backfill_policy=single_run)
    alerts = Alerts(bench.instance, healed)
    bench.run([orders], between=("2024-03-01", "2024-03-09"), fails=True)
    assert alerts.tick() == ["orders [2024-03-01, 2024-03-09] failed"]
    bench.run([healed], between=("2024-03-01", "2024-03-05"))
    assert alerts.tick() == []
    bench.run([healed], between=("2024-03-06", "2024-03-09"))
    assert alerts.tick() == ["orders [2024-03-01, 2024-03-09] went well again"]


def test_recoveries_are_left_out_on_request(bench: Bench) -> None:
    orders, healed = orders_of(failing(ValueError("down"))), orders_of(lambda rows: rows)
    alerts = Alerts(bench.instance, healed, recovered=False)
    bench.run([orders], partition="2024-03-01", fails=True)
    bench.run([healed], partition="2024-03-01")
    assert alerts.tick() == ["orders [2024-03-01] failed"]


def test_what_was_not_made_because_of_a_failure_is_named_and_no_failure_of_its_own(bench: Bench) -> None:
    orders = orders_of(failing(ValueError("down")))

    @table_asset(partitions_def=DAYS, partition_by="day")
    def totals(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    alerts = Alerts(bench.instance, orders, totals)
    bench.run([orders, totals], partition="2024-03-01", fails=True)
    assert alerts.tick() == ["orders [2024-03-01] failed"]
    assert "Not made because of it: totals." in alerts.shelf.last()


def test_a_failed_job_without_assets_is_told_and_its_next_success(bench: Bench) -> None:
    broken = [True]

    @dg.op
    def work() -> None:
        if broken:
            raise ValueError("down")

    @dg.job
    def nightly() -> None:
        work()

    alerts = Alerts(bench.instance)
    nightly.execute_in_process(instance=bench.instance, raise_on_error=False)
    assert alerts.tick() == ["job nightly failed"]
    broken.clear()
    nightly.execute_in_process(instance=bench.instance)
    assert alerts.tick() == ["job nightly went well again"]


def test_a_check_that_warns_is_told_when_it_begins_and_when_it_passes(bench: Bench) -> None:
    amount = [0.0]
    contract = Contract(
        rules=[
            RowRule(
                "paid",
                paid,
                description="every order is paid",
                severity="WARN",
            )
        ]
    )
    orders = orders_of(lambda rows: rows.assign(amount=amount[0]), contract=contract)
    alerts = Alerts(bench.instance, orders)
    for _ in range(2):
        bench.run([orders], partition="2024-03-01")
    assert alerts.tick() == ["orders [2024-03-01]: 1 check failed"]
    message = alerts.shelf.messages[-1]
    assert message.level == "warning"
    assert message.lines[0] == "WARN paid (every order is paid): 1 bad row"
    assert CUSTOMER not in message.text
    amount[0] = 1.0
    bench.run([orders], partition="2024-03-01")
    assert alerts.tick() == ["orders [2024-03-01]: paid passes again"]


def test_a_storm_of_365_failures_is_one_message_with_counts(bench: Bench) -> None:
    alerts = Alerts(bench.instance, orders_of(lambda rows: rows))
    keys = DAYS.get_partition_keys()
    for key in keys[:365]:
        fake_failure(bench.instance, key)
    assert alerts.tick() == ["job orders_job: 365 failures"]
    assert "Partitions 2024-01-01 … 2024-12-30, " in alerts.shelf.last()
    assert len(str(alerts.cursor)) < 200_000
    fake_failure(bench.instance, keys[365])
    assert alerts.tick() == []
    assert alerts.said == "1 notice, 1 notice waiting."


def fake_failure(instance: dg.DagsterInstance, key: str) -> None:
    run = dg.DagsterRun("orders_job", tags={"dagster/partition": key}, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    instance.report_run_failed(run)


def test_a_tick_that_crashed_tells_again_and_loses_nothing(bench: Bench) -> None:
    orders = orders_of(failing(ValueError("down")))
    alerts = Alerts(bench.instance, orders)
    bench.run([orders], partition="2024-03-01", fails=True)
    assert alerts.tick(crash=True) == ["orders [2024-03-01] failed"]
    assert alerts.tick() == ["orders [2024-03-01] failed"]
    assert alerts.shelf.messages[0].id == alerts.shelf.messages[1].id
    assert alerts.tick() == []


def test_a_cursor_that_is_none_begins_now(bench: Bench) -> None:
    orders = orders_of(failing(ValueError("down")))
    alerts = Alerts(bench.instance, orders)
    bench.run([orders], partition="2024-03-01", fails=True)
    alerts.cursor = '{"format": 7}'
    assert alerts.tick() == []


def test_the_text_of_foreign_errors_is_left_out_on_request(bench: Bench) -> None:
    orders = orders_of(failing(ValueError(f"bad row of {CUSTOMER}")))
    alerts = Alerts(bench.instance, orders, error_text=False)
    bench.run([orders], partition="2024-03-01", fails=True)
    alerts.tick()
    assert "\nValueError\n" in alerts.shelf.last()
    assert CUSTOMER not in alerts.shelf.last()


def test_a_sensor_without_receivers_or_with_two_of_one_name_is_refused() -> None:
    wrong: list[tuple[Any, str]] = [
        ([], "tells nobody"),
        ([Log(), Log()], "two receivers of the name 'log'"),
        ([Log], "no receiver"),
        (["https://hooks.example.com/secret"], "no receiver"),
    ]
    for to, said in wrong:
        with pytest.raises(DeclarationError, match=said) as refused:
            build_notification_sensor(to)
        assert "secret" not in str(refused.value)
    with pytest.raises(DeclarationError, match="messages=0"):
        build_notification_sensor([Log()], messages=0)
    with pytest.raises(DeclarationError, match="has no parameter 'reciever'"):
        build_notification_sensor(reciever=Log())  # type: ignore[call-arg] # what is refused
