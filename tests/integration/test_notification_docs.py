"""Every block of docs/notifications.md runs, and the message that it shows is one that people get."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Contract, RowRule, table_asset
from practicus_assets.notifications import outbox
from tests.integration.alerts import Alerts
from tests.integration.bench import Bench
from tests.servers.hook import Hook

PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"
TEXT = PAGE.read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
[SHOWN] = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)


def paid(rows: pd.DataFrame) -> Any:
    return rows["amount"] > 0


@table_asset(
    partitions_def=dg.DailyPartitionsDefinition("2024-03-01"),
    partition_by="day",
    owners=["ann@example.com", "team:sales"],
    contract=Contract(rules=[RowRule("paid", paid, description="every order is paid")]),
)
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": pd.to_datetime(context.partition_keys).date, "amount": -1.0})


def test_the_page_tells_slack_while_its_mail_server_cannot_be_reached(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {"orders": orders}
    for block in CODE:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 the page's code
    monkeypatch.delenv("SMTP_PASSWORD", raising=False)
    with Hook() as hook:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
        alerts = Alerts(bench.instance, orders, sensor=names["notifications"])
        run = bench.run([orders], partition="2024-03-01", fails=True)
        alerts.tick()
    assert hook.texts == [SHOWN.strip().replace("runs/…", f"runs/{run.run_id}")]
    assert any(line.startswith("orders [2024-03-01] failed\n") for line in alerts.log)
    assert any("SMTP_PASSWORD, which is not set. Set it where" in line for line in alerts.log)
    assert outbox._FIRST_WAIT == 30


def test_the_pages_receiver_and_checks_are_of_use(bench: Bench) -> None:
    names: dict[str, Any] = {"orders": orders}
    for block in CODE:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 the page's code
    assert [check.check_key.name for check in names["checks"]] == ["partition_freshness"]
    assert names["timedelta"] is timedelta
    alerts = Alerts(bench.instance, orders, to=[names["Pager"]()])
    bench.run([orders], partition="2024-03-01", fails=True)
    alerts.tick()
    assert "paging: orders [2024-03-01] failed" in alerts.log
