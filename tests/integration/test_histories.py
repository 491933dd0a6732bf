"""Histories in Dagster: runs in any order, reports, plans, rollbacks, rehearsals and lakes over a base."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import DeltaIOManager, Snapshot, table_asset
from practicus_assets.assets.catalog import catalog
from practicus_assets.errors import DeclarationError, PromotionRefused, RollbackRefused
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.operations.configs import RollbackConfig
from practicus_assets.operations.drift import drift
from practicus_assets.operations.promote import promote_tables
from practicus_assets.operations.rollback import roll_back
from practicus_assets.planning.request import PlanRequest
from practicus_assets.task import TaskTable
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, errors
from tests.integration.planning import planned, reasons_of

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Histories")[2].partition("\n## ")[0]
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")
FIRST, SECOND, THIRD, FOURTH = DAYS.get_partition_keys()


def at(day: int, hour: int) -> dt.datetime:
    return dt.datetime(2026, 1, day, hour, tzinfo=dt.UTC)


class Customers:
    """The page's asset on changes that a test decides, and an asset that reads it as a whole."""

    def __init__(self, bench: Bench) -> None:
        [code] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
        names: dict[str, Any] = {"days": DAYS, "dg": dg, "pd": pd, "table_asset": table_asset}
        exec(compile(code, "<the page>", "exec"), names)  # noqa: S102 the page's code
        self.bench = bench
        self.given: dict[str, list[tuple[int, dt.datetime, str | None]]] = {}

        @table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
        def changes(context: dg.AssetExecutionContext) -> pd.DataFrame:
            rows = [
                (dt.date.fromisoformat(d), *row)
                for d in context.partition_keys
                for row in self.given.get(d, ())
            ]
            frame = pd.DataFrame(rows, columns=["day", "customer", "changed_at", "city"])
            types = {"customer": "int64", "changed_at": "datetime64[us, UTC]", "city": "string"}
            return frame.astype(types).assign(deleted=frame["city"].isna())

        @table_asset
        def cities(customers: pd.DataFrame) -> pd.DataFrame:
            now = customers[customers["valid_to"].isna()]
            return now.groupby("city", as_index=False).size().astype({"size": "int64"})

        self.assets = [changes, names["customers"], cities]

    def run(self, *days: str, fails: bool = False) -> dg.ExecuteInProcessResult:
        between = (days[0], days[-1])
        return self.bench.run(self.assets, select=["changes", "customers"], between=between, fails=fails)

    def rows(self) -> list[tuple[Any, ...]]:
        frame = self.bench.frame("customers").astype(object)
        columns = ["customer", "changed_at", "city", "valid_to"]
        return sorted(frame[columns].where(frame[columns].notna(), None).itertuples(index=False, name=None))


@pytest.fixture
def customers(bench: Bench) -> Customers:
    made = Customers(bench)
    made.given = {
        FIRST: [(7, at(1, 9), "Rome"), (8, at(1, 9), "Bern")],
        SECOND: [(7, at(2, 12), "Rome")],
        THIRD: [(7, at(3, 10), "Oslo"), (8, at(3, 11), None)],
    }
    return made


PAGE_ROWS = [
    (7, at(1, 9), "Rome", at(3, 10)),
    (7, at(2, 12), "Rome", at(2, 12)),
    (7, at(3, 10), "Oslo", None),
    (8, at(1, 9), "Bern", at(3, 11)),
    (8, at(3, 11), None, at(3, 11)),
]


def test_the_pages_history_is_the_same_in_any_order_of_runs_and_reported(customers: Customers) -> None:
    for day in (THIRD, FIRST, SECOND):
        customers.run(day)
    assert customers.rows() == PAGE_ROWS
    told = customers.bench.metadata("customers", SECOND)
    found = {name: told[f"delta/versions_{name}"] for name in ("opened", "closed", "withdrawn", "unchanged")}
    assert found == {"opened": 0, "closed": 0, "withdrawn": 0, "unchanged": 3}
    assert (told["dagster/partition_row_count"], told["dagster/row_count"]) == (1, 5)
    version, data = customers.bench.version("customers"), customers.bench.data_version("customers", THIRD)
    customers.run(THIRD)
    assert customers.bench.version("customers") == version
    assert customers.bench.data_version("customers", THIRD) == data
    for condition in re.findall(r"`(valid_(?:to|from) .*?)`", SECTION):
        assert Snapshot.open(f"{customers.bench.root}/customers").to_arrow(
            predicate=condition.replace("t AND", "changed_at AND").replace("> t)", "> changed_at)")
        ).num_rows in {1, 3}


def test_days_in_one_run_give_the_same_table_as_days_one_by_one(customers: Customers) -> None:
    customers.run(FIRST, THIRD)
    assert customers.rows() == PAGE_ROWS
    assert customers.bench.version("customers") == 0
    assert customers.bench.metadata("customers", FIRST)["delta/versions_opened"] == 3


def test_a_plan_knows_which_days_were_given_and_what_below_is_stale(customers: Customers) -> None:
    customers.run(FIRST)
    customers.run(THIRD)
    customers.bench.run(customers.assets, select=["cities"])
    reasons = reasons_of(planned(customers.bench, customers.assets))
    assert reasons["customers"] == {SECOND: "missing", FOURTH: "missing"}
    below = PlanRequest("cities")
    customers.run(FIRST)
    assert reasons_of(planned(customers.bench, customers.assets, below)) == {"cities": {}}
    customers.run(SECOND)
    assert "customers" in reasons_of(planned(customers.bench, customers.assets, below))["cities"][""]


def test_the_whole_table_is_rolled_back_and_no_partition_alone(customers: Customers) -> None:
    definitions = dg.Definitions(
        customers.assets, resources={"io_manager": DeltaIOManager(root_uri=customers.bench.root)}
    )
    entry = catalog(definitions)["customers"]
    customers.run(FIRST)
    before = customers.rows()
    customers.run(THIRD)
    assert drift(entry, customers.bench.instance) == []
    config = RollbackConfig(table="customers", to="0", apply=True, partitions=[THIRD])
    with pytest.raises(RollbackRefused, match="is a history"):
        roll_back(entry, customers.bench.instance, config, Provenance())
    config = RollbackConfig(table="customers", to="0", apply=True)
    roll_back(entry, customers.bench.instance, config, Provenance(run_id="r", step="rollback"))
    assert customers.rows() == before
    customers.run(THIRD)
    customers.run(SECOND)
    assert customers.rows() == PAGE_ROWS


def test_a_lake_over_a_base_continues_the_bases_history_and_leaves_it_alone(
    customers: Customers, tmp_path: Path
) -> None:
    customers.run(FIRST)
    below = customers.rows()
    production = customers.bench.root
    customers.bench.root = str(tmp_path / "mine")
    io_manager = DeltaIOManager(root_uri=customers.bench.root, base_uri=production)
    customers.bench.resources["io_manager"] = io_manager
    customers.run(THIRD)
    customers.run(SECOND)
    assert customers.rows() == PAGE_ROWS
    entry = catalog(dg.Definitions(customers.assets, resources={"io_manager": io_manager}))["customers"]
    with pytest.raises(PromotionRefused, match="customers is a history"):
        promote_tables([entry], customers.bench.instance, apply=True)
    customers.bench.root = production
    assert customers.rows() == below


def test_a_rehearsal_and_a_plain_asset_keep_histories(bench: Bench) -> None:
    @dg.asset(metadata={"delta/mode": "history", "delta/history_keys": ["id"], "delta/sequence_by": "n"})
    def levels(context: dg.AssetExecutionContext) -> pd.DataFrame:
        n = context.instance.get_runs_count()
        return pd.DataFrame({"id": [1], "n": [n], "level": [n % 2]})

    for _ in range(2):
        bench.run([levels])
    assert bench.rows("levels", "n", "valid_from")[0] == (1, 1)
    assert bench.frame("levels").sort_values("n")["valid_to"].tolist()[0] == 2

    @table_asset(mode="history", history_keys=["id"], sequence_by="n")
    def late() -> list[dict[str, Any]]:
        return [{"id": 1, "n": 2, "level": "low"}]

    before = [{"id": 1, "n": n, "level": "high"} for n in (1, 3)]
    run = run_table(late, existing=before)
    assert run.to_pandas().columns.tolist() == ["id", "n", "level"]
    found = sorted(run.table.to_arrow().to_pylist(), key=lambda row: row["n"])
    assert [row["valid_to"] for row in found] == [2, 3, None]


def test_two_rows_of_one_customer_and_time_fail_the_step_and_name_them(customers: Customers) -> None:
    customers.given[FIRST].append((7, at(1, 9), "Oslo"))
    result = customers.run(FIRST, fails=True)
    assert (
        "more than one row of the same key and the same 'changed_at', in 1 case. E.g. customer=7"
        in errors(result)
    )
    assert not customers.bench.exists("customers")


def test_a_script_gives_rows_to_a_history_in_its_own_word(tmp_path: Path) -> None:
    table = TaskTable("t", "history", None, is_wanted=True, folder=tmp_path)
    for n in (1, 2):
        table.history([{"id": 1, "n": n}])
    with pytest.raises(DeclarationError, match='stored by mode="history", and the script calls merge'):
        table.merge([{"id": 1, "n": 3}])
    assert len([*tmp_path.iterdir()]) == 2


def test_a_dump_a_day_makes_a_history_in_which_customers_end_that_are_not_in_it(bench: Bench) -> None:
    dumps = {FIRST: {7: "Rome", 8: "Oslo"}, SECOND: {7: "Rome"}, THIRD: {7: "Rome", 8: "Oslo"}}

    @table_asset(
        partitions_def=DAYS,
        partition_by="day",
        mode="history",
        history_keys=["customer"],
        sequence_by="day",
        delete_unmatched=True,
    )
    def customers(context: dg.AssetExecutionContext) -> pd.DataFrame:
        rows = [
            (dt.date.fromisoformat(context.partition_key), *row)
            for row in dumps[context.partition_key].items()
        ]
        return pd.DataFrame(rows, columns=["day", "customer", "city"])

    for day in (THIRD, FIRST, SECOND, FIRST):
        bench.run([customers], partition=day)
    ends = {
        (row.customer, str(row.valid_from)): None if pd.isna(row.valid_to) else str(row.valid_to)
        for row in bench.frame("customers").itertuples()
        if pd.isna(row.valid_to) or row.valid_to != row.valid_from
    }
    assert ends == {(7, FIRST): None, (8, FIRST): SECOND, (8, THIRD): None}
    assert customers.get_asset_spec().metadata["delta/delete_unmatched"] is True
    [entry] = catalog(
        dg.Definitions([customers], resources={"io_manager": DeltaIOManager(root_uri="x")})
    ).values()
    assert entry.settings.options.history is not None
    assert entry.settings.options.history.is_of_lists
