"""Runs of tables with `reuse=True`: which end before the function, and which compute."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from practicus_assets import Column, Contract, DeclarationError, RowRule, table_asset
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from practicus_assets.planning.sentences import heading
from tests.integration.bench import Bench, checks
from tests.integration.planning import planned

DAYS = dg.StaticPartitionsDefinition(["a", "b", "c"])
RUN, REUSED_RUN, REUSED_VERSION = "delta/outcome", "delta/reused_run", "delta/reused_version"
POSITIVE = Contract({"n": Column("int64", minimum=0)})


class Factor(dg.Config):
    by: int = 10


class Token(dg.Config):
    by: int = 10
    token: str = dg.EnvVar("SHOP_TOKEN")


@dataclass
class Shop:
    """Orders, and a table of them that may be reused.

    Attributes:
        bench: where they are.
        numbers: the orders' numbers, by partition; "" for a table without partitions.
        calls: the partitions for which the function of the second table was called.

    """

    bench: Bench
    numbers: dict[str, list[int]] = field(default_factory=lambda: {"": [1, 2]})
    calls: list[str] = field(default_factory=list)

    def orders(self, **options: Any) -> Any:
        @table_asset(name="orders", **options)
        def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
            keys = context.partition_keys if "partitions_def" in options else [""]
            return pd.DataFrame([{"day": key, "n": n} for key in keys for n in self.numbers[key]])

        return orders

    def scaled(self, *, config: type[Factor | Token] = Factor, **options: Any) -> Any:
        options = {"code_version": "1", "reuse": True, **options}

        @table_asset(name="scaled", **options)
        def scaled(
            context: dg.AssetExecutionContext,
            config: config,  # type: ignore[valid-type] # of the test
            orders: pd.DataFrame,
        ) -> pd.DataFrame:
            self.calls.append("|".join(context.partition_keys) if "partitions_def" in options else "")
            return orders.assign(
                n=(orders["n"] * context.op_execution_context.op_config["by"]).astype("int64")
            )

        return scaled

    def run(self, *assets: Any, select: str = "scaled", **options: Any) -> dg.ExecuteInProcessResult:
        assets = assets or (self.orders(), self.scaled())
        return self.bench.run(assets, select=[select], **options)

    def fill(self, *assets: Any) -> None:
        self.run(*assets, select="orders")
        self.run(*assets)
        self.calls.clear()

    def outcome(self, partition: str | None = None) -> str:
        return str(self.bench.metadata("scaled", partition)[RUN])


@pytest.fixture
def shop(bench: Bench) -> Shop:
    return Shop(bench)


def test_a_second_run_ends_before_the_function_and_says_of_which_run_its_rows_are(shop: Shop) -> None:
    shop.run(select="orders")
    first = shop.run()
    before = shop.bench.event("scaled")
    result = shop.run()
    assert shop.calls == [""]
    assert shop.bench.version("scaled") == 0
    after, metadata = shop.bench.event("scaled"), shop.bench.metadata("scaled")
    assert (metadata[RUN], metadata[REUSED_RUN], metadata[REUSED_VERSION]) == ("reused", first.run_id, 0)
    assert (metadata["delta/version"], metadata["dagster/row_count"]) == (0, 2)
    assert metadata["delta/input_versions"] == {"orders": 0}
    assert shop.bench.data_version("scaled") == (before.tags or {})["dagster/data_version"]
    assert after.metadata["delta/fingerprint"] == before.metadata["delta/fingerprint"]
    said = [log.user_message for log in shop.bench.instance.all_logs(result.run_id)]
    assert any(
        f"nothing is computed, for run {first.run_id[:8]} committed the same 2 rows" in s for s in said
    )


def test_without_reuse_every_run_computes_and_leaves_no_trace_in_the_log(shop: Shop) -> None:
    assets = shop.orders(), shop.scaled(reuse=False)
    shop.fill(*assets)
    shop.run(*assets)
    assert (shop.calls, shop.outcome(), shop.bench.version("scaled")) == ([""], "unchanged", 0)
    assert "config_digest" not in str(shop.bench.table("scaled").history())


def other_code(shop: Shop) -> None:
    shop.run(shop.orders(), shop.scaled(code_version="2"))


def other_config(shop: Shop) -> None:
    shop.run(run_config={"ops": {"scaled": {"config": {"by": 20}}}})


def other_contract(shop: Shop) -> None:
    shop.run(shop.orders(), shop.scaled(contract=POSITIVE))


def other_rows(shop: Shop) -> None:
    shop.numbers[""] = [1, 2, 3]
    shop.run(select="orders")
    shop.run()


def other_columns_read(shop: Shop) -> None:
    orders = dg.AssetIn(metadata={"delta/columns": ["n", "day"]})
    shop.run(shop.orders(), shop.scaled(ins={"orders": orders}))


def written_by_hand(shop: Shop) -> None:
    shop.bench.write("scaled", pd.DataFrame({"day": ["x"], "n": [9]}), mode="append")
    shop.run()


def rolled_back(shop: Shop) -> None:
    shop.numbers[""] = [5]
    shop.run(select="orders")
    shop.run()
    shop.calls.clear()
    table = Table.at(shop.bench.root, ("scaled",))
    carry_out(table, plan_rollback(table, 0, Scope(), whole=True), Provenance())
    shop.run()


def a_tag_of_the_run(shop: Shop) -> None:
    shop.run(tags={"practicus/reuse": "no"})


def orders_made_again(shop: Shop) -> None:
    for path in sorted(Path(shop.bench.root, "orders").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    shop.run(select="orders")
    shop.run()


@pytest.mark.parametrize(
    "change",
    [
        other_code,
        other_config,
        other_contract,
        other_rows,
        other_columns_read,
        written_by_hand,
        rolled_back,
        a_tag_of_the_run,
        orders_made_again,
    ],
    ids=lambda change: change.__name__,
)
def test_what_changed_is_computed(shop: Shop, change: Callable[[Shop], None]) -> None:
    shop.fill()
    change(shop)
    assert shop.calls == [""]
    assert shop.outcome() != "reused"


def rows_written_again(shop: Shop) -> None:
    shop.numbers[""] = [7]
    shop.run(select="orders")
    shop.numbers[""] = [1, 2]
    shop.run(select="orders")
    assert shop.bench.version("orders") == 2


def compacted(shop: Shop) -> None:
    table = Table.at(shop.bench.root, ("orders",))
    shop.bench.table("orders").optimize.compact()
    compact(table)


def with_its_default_in_words(shop: Shop) -> None:
    shop.run(run_config={"ops": {"scaled": {"config": {"by": 10}}}})


@pytest.mark.parametrize(
    "change", [rows_written_again, compacted, with_its_default_in_words], ids=lambda change: change.__name__
)
def test_what_has_other_versions_and_equal_rows_is_reused(shop: Shop, change: Callable[[Shop], None]) -> None:
    shop.fill()
    change(shop)
    shop.run()
    assert (shop.calls, shop.outcome()) == ([], "reused")
    assert shop.bench.metadata("scaled")["delta/input_versions"] == {"orders": shop.bench.version("orders")}


def test_a_run_that_found_its_rows_equal_leaves_a_mark_by_which_the_next_is_reused(shop: Shop) -> None:
    shop.fill()
    again = shop.orders(), shop.scaled(code_version="2")
    found = shop.run(*again)
    metadata = shop.bench.metadata("scaled")
    assert (metadata[RUN], metadata["delta/version"]) == ("unchanged", 1)
    assert len(shop.bench.table("scaled", 0).file_uris()) == len(shop.bench.table("scaled").file_uris()) == 1
    shop.run(*again)
    metadata = shop.bench.metadata("scaled")
    assert (metadata[RUN], metadata[REUSED_VERSION], metadata[REUSED_RUN]) == ("reused", 1, found.run_id)
    assert (shop.calls, shop.bench.version("scaled")) == ([""], 1)
    shop.run()  # the code of before, of which an older commit tells
    assert shop.outcome() == "unchanged"


# --- partitions ---------------------------------------------------------------------------------------


def by_day(shop: Shop, **options: Any) -> tuple[Any, Any]:
    shop.numbers = {"a": [1], "b": [2], "c": [3]}
    partitioned: dict[str, Any] = {
        "partitions_def": DAYS,
        "partition_by": "day",
        "backfill_policy": dg.BackfillPolicy.single_run(),
    }
    return shop.orders(**partitioned), shop.scaled(**partitioned, **options)


def test_a_partition_is_reused_whatever_happened_to_the_others(shop: Shop) -> None:
    assets = by_day(shop)
    for key in "ab":
        shop.run(*assets, select="orders", partition=key)
        shop.run(*assets, partition=key)
    shop.numbers["b"] = [20]
    shop.run(*assets, select="orders", partition="b")
    shop.run(*assets, partition="b")
    shop.calls.clear()
    shop.run(*assets, partition="a")
    assert (shop.calls, shop.outcome("a")) == ([], "reused")
    shop.numbers["a"] = [10]
    shop.run(*assets, select="orders", partition="a")
    shop.run(*assets, partition="b")
    shop.run(*assets, partition="a")
    assert (shop.calls, shop.outcome("b"), shop.outcome("a")) == (["a"], "reused", "committed")


def test_a_range_is_reused_as_it_was_committed_and_not_in_other_pieces(shop: Shop) -> None:
    assets = by_day(shop, contract=POSITIVE)
    shop.run(*assets, select="orders", between=("a", "c"))
    shop.run(*assets, between=("a", "b"))
    result = shop.run(*assets, between=("a", "b"))
    assert [shop.outcome("a"), shop.outcome("b"), shop.calls] == ["reused", "reused", ["a|b"]]
    assert shop.bench.metadata("scaled", "b")["dagster/partition_row_count"] == 1
    assert len(result.get_asset_check_evaluations()) == 6  # two rules, of each partition and of the run
    shop.run(*assets, partition="a")
    shop.run(*assets, between=("a", "b"))
    shop.run(*assets, between=("b", "c"))
    assert shop.calls == ["a|b", "a", "b|c"]
    shop.numbers["a"] = [10]
    shop.run(*assets, select="orders", partition="a")
    shop.run(*assets, partition="a")
    shop.run(*assets, between=("a", "b"))
    shop.run(*assets, between=("b", "c"))
    assert shop.calls[3:] == ["a", "a|b"]


# --- checks -------------------------------------------------------------------------------------------


def test_checks_have_the_results_that_the_commit_recorded(shop: Shop) -> None:
    rules = [RowRule("small", lambda rows: pc.less(rows["n"], 15), description="n is small", severity="WARN")]
    small = Contract({"n": Column("int64", minimum=0)}, rules=rules)
    assets = shop.orders(), shop.scaled(contract=small)
    shop.fill(*assets)
    found = checks(shop.run(*assets))
    assert (shop.calls, shop.outcome()) == ([], "reused")
    assert {name: check.passed for name, check in found.items()} == {
        "schema": True,
        "n_minimum": True,
        "small": False,
    }
    assert found["small"].severity is dg.AssetCheckSeverity.WARN
    assert found["small"].metadata["bad_rows"].value == 1
    assert found["small"].metadata[REUSED_VERSION].value == 0


@pytest.mark.parametrize("when", ["with the rows", "after them"])
def test_a_check_of_the_function_that_no_commit_recorded_is_never_reused(shop: Shop, when: str) -> None:
    calls = []

    @table_asset(check_specs=[dg.AssetCheckSpec("complete", asset="checked")], reuse=True)
    def checked(orders: pd.DataFrame) -> Any:
        calls.append(when)
        result = dg.AssetCheckResult(check_name="complete", passed=True, description="all")
        if when == "with the rows":
            yield result
            yield orders
        else:
            yield dg.Output(orders)
            yield result

    assets = [shop.orders(), checked]
    shop.bench.run(assets)
    found = checks(shop.bench.run(assets, select=["checked"]))
    assert found["complete"].passed
    assert len(calls) == (1 if when == "with the rows" else 2)
    assert shop.bench.version("checked") == 0


def test_rows_of_which_a_blocking_check_failed_are_computed_again(shop: Shop) -> None:
    scaled = shop.scaled()
    passes: list[bool] = []

    @dg.asset_check(asset=scaled, blocking=True)
    def plausible() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=bool(passes))

    assets = shop.orders(), scaled, plausible
    selected = dg.AssetSelection.assets("scaled")
    shop.run(shop.orders(), select="orders")
    shop.bench.run(assets, select=selected, fails=True)
    shop.bench.run(assets, select=selected, fails=True)
    assert shop.calls == ["", ""]
    passes.append(True)
    shop.bench.run(assets, select=selected)
    shop.calls.clear()
    shop.bench.run(assets, select=selected)
    assert (shop.calls, shop.outcome()) == ([], "reused")


def test_a_run_that_the_contract_refused_is_no_commit_to_be_reused(shop: Shop) -> None:
    assets = shop.orders(), shop.scaled(contract=POSITIVE)
    shop.fill(*assets)
    shop.numbers[""] = [-1]
    shop.run(*assets, select="orders")
    for _ in range(2):
        shop.run(*assets, fails=True)
    assert shop.calls == ["", ""]
    assert shop.bench.rows("scaled", "n") == [(10,), (20,)]


# --- what nobody can compare --------------------------------------------------------------------------


def never(shop: Shop, *assets: Any, **options: Any) -> str:
    """Run a table thrice, and return why it is computed; it leaves no mark."""
    shop.fill(*assets)
    version = shop.bench.version("scaled")
    result = shop.run(*assets, **options)
    assert (shop.calls, shop.outcome(), shop.bench.version("scaled")) == ([""], "unchanged", version)
    [why] = [
        log.user_message
        for log in shop.bench.instance.all_logs(result.run_id)
        if "its rows are computed" in log.user_message
    ]
    assert "config_digest" not in str(shop.bench.table("scaled").history())
    return why


def test_config_that_holds_a_secret_of_the_environment_is_never_reused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "1234")
    config = {"ops": {"scaled": {"config": {"by": 1234}}}}
    shop.fill()
    shop.run(run_config=config)
    assert "config_digest" not in str(shop.bench.table("scaled").history(1))


def test_config_that_is_read_from_the_environment_is_never_reused_nor_hashed_into_the_log(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter2")
    assert "from the environment" in never(shop, shop.orders(), shop.scaled(config=Token))


def test_a_function_that_takes_a_resource_is_never_reused(shop: Shop) -> None:
    shop.bench.resources["api"] = dg.ResourceDefinition.none_resource()
    assets = shop.orders(), shop.scaled(required_resource_keys={"api"})
    assert "the resources api" in never(shop, *assets)


def test_a_table_that_does_not_load_all_it_depends_on_is_never_reused(shop: Shop) -> None:
    assert "does not load weather" in never(shop, shop.orders(), shop.scaled(deps=["weather"]))


def test_an_input_that_is_no_table_of_a_lake_is_never_reused(shop: Shop, tmp_path: Path) -> None:
    shop.bench.resources["files"] = dg.FilesystemIOManager(base_dir=str(tmp_path / "files"))

    @dg.asset(name="orders", io_manager_key="files")
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"day": [""], "n": [1]})

    assert "its inputs orders are no tables" in never(shop, orders, shop.scaled())


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_rows_that_depend_on_those_that_were_there_cannot_be_declared_so(shop: Shop, mode: Any) -> None:
    keys: dict[str, Any] = {"merge_keys": ["n"]} if mode == "merge" else {}
    with pytest.raises(DeclarationError, match="Leave out reuse"):
        shop.scaled(mode=mode, **keys)


def test_a_plain_asset_is_told_that_there_is_no_such_setting(bench: Bench) -> None:
    @dg.asset(metadata={"delta/reuse": True})
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    bench.run([orders], fails=True)
    assert not DeltaTable.is_deltatable(f"{bench.root}/orders")


# --- plans --------------------------------------------------------------------------------------------


def test_a_plan_says_what_would_be_reused_and_agrees_with_the_run(shop: Shop) -> None:
    assets = by_day(shop)
    shop.run(*assets, select="orders", between=("a", "c"))
    for key in "ab":
        shop.run(*assets, partition=key)
    shop.numbers["b"] = [7]
    shop.run(*assets, select="orders", between=("a", "c"))
    orders, scaled = planned(shop.bench, assets).tables
    assert (heading(orders), orders.reused) == ("up to date, 3 partitions", 0)
    assert heading(scaled) == "2 of 3 partitions would be computed, 1 would be reused"
    shop.calls.clear()
    for key in "abc":
        shop.run(*assets, partition=key)
    assert shop.calls == ["b", "c"]
    _, scaled = planned(shop.bench, assets).tables
    assert heading(scaled) == "up to date, 3 partitions, 3 would be reused"


def test_a_plan_takes_rows_that_were_reused_after_a_mark_for_current(shop: Shop) -> None:
    again = shop.orders(), shop.scaled(code_version="2")
    shop.fill()
    for outcome in ("unchanged", "reused"):
        shop.run(*again)
        _, scaled = planned(shop.bench, again).tables
        assert (shop.outcome(), heading(scaled)) == (outcome, "up to date, would be reused")
