"""Words for tests of plans: a shop of days with a source, two tables and a total, run and planned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd

from practicus_assets import Column, Contract, DeltaIOManager, table_asset
from practicus_assets.assets.catalog import catalog
from practicus_assets.external.changes.observation import observable_asset
from practicus_assets.planning.plan import Plan, TablePlan
from practicus_assets.planning.planner import Surroundings, plan
from practicus_assets.planning.request import PlanRequest
from tests.integration.bench import Bench

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
KEYS = DAYS.get_partition_keys()
BY_DAY: dict[str, Any] = {
    "partitions_def": DAYS,
    "partition_by": "day",
    "backfill_policy": dg.BackfillPolicy.single_run(),
}


class Raw(dg.ConfigurableIOManager):
    """Rows of a system that is no lake: some numbers a day."""

    numbers: dict[str, int]

    def load_input(self, context: dg.InputContext) -> Any:
        keys = list(context.asset_partition_keys)
        return pd.DataFrame({"day": keys, "n": [self.numbers.get(key, 1) for key in keys]})

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        raise NotImplementedError


raw = observable_asset(dg.AssetSpec("raw", partitions_def=DAYS).with_io_manager_key("raw"), lambda _: ())


@dataclass
class Shop:
    """Where the shop's assets run: `raw` is observed; `orders` and `sums` are by day; `total` is of all days.

    Attributes:
        bench: where they run.
        code: the code versions of the tables, by name.
        factor: by which `orders` multiplies.
        least: what the contract of `orders` demands of its numbers.
        numbers: the rows of `raw`, by day.
        lake: their lake, if it is not that of the bench.
        asks_instance: whether plans ask the instance.
        computed: the tables and partitions that functions were called for.

    """

    bench: Bench
    code: dict[str, str] = field(default_factory=dict)
    factor: int = 1
    least: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    lake: DeltaIOManager | None = None
    asks_instance: bool = True
    computed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def assets(self) -> list[Any]:
        contract = Contract({"day": Column("string"), "n": Column("int64", minimum=self.least)})

        @table_asset(**BY_DAY, contract=contract, code_version=self.code.get("orders"))
        def orders(context: dg.AssetExecutionContext, raw: pd.DataFrame) -> pd.DataFrame:
            self.computed += [("orders", key) for key in context.partition_keys]
            return raw.assign(n=raw["n"] * self.factor)

        @table_asset(**BY_DAY, code_version=self.code.get("sums"))
        def sums(context: dg.AssetExecutionContext, orders: pd.DataFrame) -> pd.DataFrame:
            self.computed += [("sums", key) for key in context.partition_keys]
            return orders.groupby("day", as_index=False).agg(n=("n", "sum"))

        @table_asset(code_version=self.code.get("total"))
        def total(sums: pd.DataFrame) -> pd.DataFrame:
            self.computed.append(("total", ""))
            return pd.DataFrame({"n": [int(sums["n"].sum())]})

        return [raw, orders, sums, total]

    def observe(self, version: str, *days: str) -> None:
        """Record a data version of days of `raw`."""
        for day in days or KEYS:
            event = dg.AssetObservation("raw", partition=day, tags={"dagster/data_version": version})
            self.bench.instance.report_runless_asset_event(event)

    def run(self, name: str, *days: str, fails: bool = False) -> dg.ExecuteInProcessResult:
        """Run tables, on days from the first to the last of some."""
        own = {"io_manager": self.lake} if self.lake is not None else {}
        self.bench.resources = {"raw": Raw(numbers=self.numbers), **own}
        between = (days[0], days[-1]) if days else None
        return self.bench.run(self.assets, select=name.split(","), between=between, fails=fails)

    def check(self, name: str, day: str) -> None:
        """Evaluate the contract of a table alone, on a day as it is, which breaks it."""
        checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(name))
        self.bench.run(self.assets, select=checks, between=(day, day), fails=True)

    def fill(self) -> None:
        """Observe the source, and run all tables on all days."""
        self.observe("1")
        self.run("orders,sums,total", *KEYS)

    def plan(self, select: str = "", *days: str, ranges: Sequence[str] = ()) -> Plan:
        """Return the plan of the shop."""
        request = PlanRequest(select, days, ranges)
        return planned(self.bench, self.assets, request, self.lake, asks_instance=self.asks_instance)

    def why(self, select: str = "", *days: str, ranges: Sequence[str] = ()) -> dict[str, dict[str, str]]:
        """Return by table why which partitions would be computed, or are unknown, as texts."""
        return reasons_of(self.plan(select, *days, ranges=ranges))


def planned(
    bench: Bench,
    assets: Sequence[Any],
    request: PlanRequest | None = None,
    lake: DeltaIOManager | None = None,
    *,
    asks_instance: bool = True,
) -> Plan:
    """Return the plan of assets on a bench."""
    resources = {"io_manager": lake or DeltaIOManager(root_uri=bench.root), "raw": Raw(numbers={})}
    definitions = dg.Definitions(assets, resources=resources)
    around = Surroundings(
        definitions.resolve_asset_graph(),
        {entry.key: entry for entry in catalog(definitions).values()},
        None,
        bench.instance,
        bench.instance if asks_instance else None,
    )
    return plan(request or PlanRequest(), around)


def reasons_of(made: Plan) -> dict[str, dict[str, str]]:
    """Return by table why which partitions would be computed, or are unknown, as texts."""
    return {table.table: why(table) for table in made.tables}


def why(table: TablePlan) -> dict[str, str]:
    """Return by partition, "" of a whole table, the reasons of a plan's table; "?" begins what is unknown."""
    found = {}
    for mark, groups in (("", table.planned), ("? ", table.unknown)):
        for group in groups:
            text = mark + "; ".join(reason.text for reason in group.reasons)
            found |= dict.fromkeys(group.partitions or [""], text)
    return found
