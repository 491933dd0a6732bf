"""Plans of a small shop: what they say in each state, and what a run then does."""

import dataclasses
import random
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import yaml

from practicus_assets import DeltaIOManager, build_plan_job, table_asset
from practicus_assets.assets.catalog import TableEntry
from practicus_assets.cli.failure import NOT_KNOWN, WOULD_RUN
from practicus_assets.errors import DeclarationError
from practicus_assets.planning import table_states
from practicus_assets.planning.markdown import markdown
from practicus_assets.planning.plan import NOT_OBSERVED, Group, Plan, Reason, TablePlan
from practicus_assets.planning.request import PlanRequest
from practicus_assets.planning.sentences import because, summary
from practicus_assets.planning.table_state import TableState
from tests.integration.bench import Bench
from tests.integration.planning import BY_DAY, DAYS, KEYS, Shop, planned, reasons_of
from tests.servers.seaweedfs import SeaweedFS

NOTHING: dict[str, dict[str, str]] = {"orders": {}, "sums": {}, "total": {}}
FIRST, SECOND, *_ = KEYS


@pytest.fixture
def shop(bench: Bench) -> Shop:
    return Shop(bench)


@pytest.fixture
def filled(shop: Shop) -> Shop:
    shop.fill()
    return shop


def test_of_an_empty_lake_all_is_missing_and_afterwards_nothing(shop: Shop) -> None:
    shop.observe("1")
    missing = dict.fromkeys(KEYS, "there is no table yet")
    assert shop.why() == {"orders": missing, "sums": missing, "total": {"": "there is no table yet"}}
    plan = shop.plan()
    assert (plan.would_run, plan.is_known, plan.stale) == (True, True, ())
    assert [(t.planned_count, t.total, t.rows) for t in plan.tables] == [(4, 4, 0), (4, 4, 0), (1, 1, 0)]
    shop.fill()
    assert shop.why() == NOTHING
    assert not shop.plan().would_run


def test_a_missing_partition_is_named_with_what_is_stale_below(shop: Shop) -> None:
    shop.observe("1")
    shop.run("orders", *KEYS[:3])
    shop.run("sums", *KEYS[:2])
    shop.run("total")
    last = KEYS[3]
    assert shop.why("orders") == {"orders": {last: "missing"}}
    assert shop.why("sums") == {"sums": dict.fromkeys(KEYS[2:], "missing")}
    [table] = shop.plan("sums").tables
    assert table.notes == (
        "It reads orders, and 1 partition of it would be missing: this plan computes none.",
    )
    assert [(s.table, s.partitions) for s in shop.plan("sums").stale] == [("total", 1)]
    assert [(s.table, s.partitions) for s in shop.plan("orders").stale] == []  # its day has no sums


def test_changed_code_and_a_changed_contract_are_reasons_for_all_partitions(filled: Shop) -> None:
    filled.code["orders"] = "2"
    text = "its code version changed from none to 2"
    computed_first = "orders is computed first"
    assert filled.why() == {
        "orders": dict.fromkeys(KEYS, text),
        "sums": dict.fromkeys(KEYS, computed_first),
        "total": {"": "sums is computed first"},
    }
    filled.code.clear()
    filled.least = -1
    assert filled.why("orders") == {"orders": dict.fromkeys(KEYS, "its contract changed")}
    assert [(s.table, s.partitions) for s in filled.plan("orders").stale] == [("sums", 4), ("total", 1)]


def test_a_changed_source_asks_for_its_partition_and_what_is_below(filled: Shop) -> None:
    filled.observe("2", SECOND)
    assert filled.why() == {
        "orders": {SECOND: "raw has another data version"},
        "sums": {SECOND: "orders is computed first"},
        "total": {"": "sums is computed first"},
    }
    filled.run("orders", SECOND)  # reads equal rows, so that nothing is committed
    assert filled.bench.metadata("orders", SECOND)["delta/outcome"] == "unchanged"
    assert filled.why() == NOTHING
    filled.numbers[SECOND] = 5
    filled.observe("3", SECOND)
    filled.run("orders", SECOND)
    assert filled.why() == {
        "orders": {},
        "sums": {SECOND: "orders has other rows"},
        "total": {"": "sums is computed first"},
    }


def test_a_version_that_came_and_went_after_a_run_began_counts(filled: Shop) -> None:
    filled.observe("2", FIRST)
    filled.observe("1", FIRST)
    assert filled.why("orders") == {"orders": {FIRST: "raw has another data version"}}


def test_equal_rows_and_changed_code_that_gives_them_ask_for_nothing(filled: Shop) -> None:
    filled.run("orders", *KEYS)
    assert filled.why() == NOTHING
    filled.code["orders"] = "2"
    filled.least = -1
    assert set(filled.why()["orders"]) == set(KEYS)
    filled.run("orders", *KEYS)
    assert filled.bench.version("orders") == 0  # nothing was committed
    assert filled.why() == NOTHING


def test_what_a_run_found_equal_does_not_hide_a_later_change(filled: Shop) -> None:
    filled.run("orders", *KEYS)
    filled.factor, filled.code["orders"] = 2, "2"
    filled.run("orders", FIRST)
    filled.code["orders"] = "3"
    assert filled.why("orders", FIRST) == {"orders": {FIRST: "its code version changed from 2 to 3"}}
    assert filled.why("sums") == {"sums": {FIRST: "orders has other rows"}}


def test_a_failed_audit_and_a_failed_run_are_reasons_until_one_succeeds(filled: Shop) -> None:
    filled.numbers[SECOND] = -3
    filled.observe("2", SECOND)
    run_id = filled.run("orders", SECOND, fails=True).run_id
    refused = f"raw has another data version; run {run_id[:8]} was refused by n_minimum"
    assert filled.why("orders") == {"orders": {SECOND: refused}}
    filled.numbers.clear()
    filled.run("orders", SECOND)
    assert filled.why() == NOTHING


def test_a_run_that_failed_before_there_was_a_table_is_named(shop: Shop) -> None:
    shop.numbers[FIRST] = -3
    run_id = shop.run("orders", FIRST, fails=True).run_id
    text = f"there is no table yet; run {run_id[:8]} was refused by n_minimum"
    assert shop.why("orders", FIRST) == {"orders": {FIRST: text}}


def test_a_check_that_failed_by_itself_is_a_reason_until_a_run_commits(filled: Shop) -> None:
    filled.least = 2
    filled.check("orders", FIRST)
    found = "its contract changed; the check n_minimum failed"
    assert filled.why("orders", FIRST, SECOND) == {"orders": {FIRST: found, SECOND: "its contract changed"}}
    filled.numbers[FIRST] = 2
    filled.run("orders", FIRST)
    assert filled.why("orders", FIRST) == {"orders": {}}


def test_of_rows_that_others_wrote_nobody_knows_whether_they_are_current(filled: Shop) -> None:
    filled.bench.write(
        "orders",
        pd.DataFrame({"day": [FIRST], "n": [-5]}),
        mode="overwrite",
        predicate=f"day = '{FIRST}'",
    )
    why = filled.why("orders")["orders"]
    assert set(why) == {FIRST}
    assert re.fullmatch(r"\? .* wrote its rows, and nobody knows from what", why[FIRST])
    assert not filled.plan("orders").would_run
    assert not filled.plan("orders").is_known


def test_without_an_instance_sources_are_unknown_and_tables_are_not(filled: Shop) -> None:
    filled.asks_instance = False
    unknown = "? without an instance, nobody knows whether raw changed"
    assert filled.why() == {"orders": dict.fromkeys(KEYS, unknown), "sums": {}, "total": {}}
    assert not filled.plan().is_known
    assert filled.plan("sums,total").is_known
    filled.code["sums"] = "2"
    assert filled.plan("sums").would_run


def test_a_source_that_nobody_observed_is_unknown(shop: Shop) -> None:
    shop.run("orders", FIRST)
    text = "? raw was not observed before the run that read it"
    assert shop.why("orders", FIRST) == {"orders": {FIRST: text}}


def test_several_sources_that_nobody_observed_are_told_in_one_sentence_and_what_to_do() -> None:
    seen = [Reason("unknown", f"{name} {NOT_OBSERVED}", name) for name in ("planes", "airlines")]
    group = Group((*seen, Reason("unknown", "the log no longer says it")), ("a",), (("a", "a", 1),))
    assert because(group) == (
        "the log no longer says it and planes and airlines were not observed before the run that read them"
    )
    assert list(summary(Plan((TablePlan("flights", unknown=(group,)),), asks_instance=True))) == [
        "Nothing is known to need a run.",
        "Of 1 partition it is not known whether they are up to date.",
        "Observe airlines and planes before the next run: by build_source_sensor, or the button Observe.",
    ]


def test_a_run_that_commits_while_tables_are_looked_at_is_seen_as_a_whole(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.observe("2", SECOND)
    filled.numbers = {SECOND: 7}
    before = filled.why("orders,sums")
    looked: list[str] = []

    class Looked(TableState):
        def __init__(self, entry: TableEntry, instance: dg.DagsterInstance) -> None:
            super().__init__(entry, instance)
            looked.append(entry.name)
            if looked == ["orders"]:  # and now it is what it was
                filled.run("orders,sums", SECOND)

    monkeypatch.setattr(table_states, "TableState", Looked)
    assert before == {
        "orders": {SECOND: "raw has another data version"},
        "sums": {SECOND: "orders is computed first"},
    }
    assert filled.why("orders,sums") == {"orders": {}, "sums": {}}
    assert looked == ["orders", "sums", "orders"]


def test_partitions_and_ranges_narrow_a_plan_and_wrong_ones_are_refused(shop: Shop) -> None:
    assert set(shop.why("orders,sums", FIRST)["sums"]) == {FIRST}
    assert set(shop.why("orders", ranges=[f"{SECOND}...{KEYS[3]}"])["orders"]) == set(KEYS[1:])
    with pytest.raises(DeclarationError, match="no selected table has a partition '2024-01-09'"):
        shop.plan("orders", "2024-01-09")
    with pytest.raises(DeclarationError, match="the range of partitions is 'a'"):
        shop.plan("orders", ranges=["a"])
    with pytest.raises(DeclarationError, match="the selection 'order'") as error:
        shop.plan("order")
    assert "names assets that are not here. Did you mean orders?" in str(error.value)


def test_a_schema_change_that_would_be_refused_is_known_before_a_run(filled: Shop) -> None:
    filled.bench.write(
        "sums",
        pd.DataFrame({"day": [FIRST], "n": ["a"]}),
        mode="overwrite",
        schema_mode="overwrite",
        partition_by=["day"],
    )
    filled.bench.write(
        "orders",
        pd.DataFrame({"day": [FIRST], "n": ["a"]}),
        mode="overwrite",
        schema_mode="overwrite",
        partition_by=["day"],
    )
    filled.code["orders"] = "2"
    [table] = filled.plan("orders").tables
    assert table.schema is not None
    assert "n" in table.schema.refused
    assert list(filled.plan("orders").refused) == [("orders", table.schema.refused)]
    filled.run("orders", *KEYS, fails=True)


def test_a_table_that_reads_its_own_past_is_planned_in_its_order(bench: Bench) -> None:
    past = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @table_asset(**BY_DAY, ins={"balance": dg.AssetIn(partition_mapping=past)})
    def balance(context: dg.AssetExecutionContext, balance: pd.DataFrame | None) -> pd.DataFrame:
        before = 0 if balance is None else int(balance["n"].sum())
        return pd.DataFrame({"day": [context.partition_key], "n": [before + 1]})

    for day in KEYS[:3]:
        bench.run([balance], partition=day)
    assert reasons_of(planned(bench, [balance])) == {"balance": {KEYS[3]: "missing"}}
    bench.run([balance], partition=KEYS[3])
    assert reasons_of(planned(bench, [balance])) == {"balance": {}}


def test_an_input_that_the_function_reads_itself_is_known_by_its_data_version(bench: Bench) -> None:
    numbers = [1]

    @table_asset
    def prices() -> pd.DataFrame:
        return pd.DataFrame({"n": numbers})

    @table_asset(deps=[prices])
    def report() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    def why() -> dict[str, str]:
        return reasons_of(planned(bench, [prices, report]))["report"]

    bench.run([prices, report])
    assert why() == {}
    bench.run([prices])
    assert why() == {}
    numbers.append(2)
    bench.run([prices])
    assert why() == {"": "prices has another data version"}
    bench.run([report])
    assert why() == {}
    bench.write("prices", pd.DataFrame({"n": [9]}), mode="append")
    assert why()[""].startswith("? others wrote prices")


def test_a_pinned_input_is_old_on_purpose(bench: Bench) -> None:
    numbers, pinned = [1], [0]

    @table_asset
    def prices() -> pd.DataFrame:
        return pd.DataFrame({"n": numbers})

    def assets() -> list[dg.AssetsDefinition]:
        @table_asset(ins={"prices": dg.AssetIn(metadata={"delta/version": pinned[0]})})
        def report(prices: pd.DataFrame) -> pd.DataFrame:
            return prices

        return [prices, report]

    bench.run(assets())
    numbers.append(2)
    bench.run(assets(), select=["prices"])
    assert reasons_of(planned(bench, assets()))["report"] == {}
    pinned[0] = 1
    assert reasons_of(planned(bench, assets()))["report"] == {"": "prices is read at version 1 now"}


def test_a_table_that_was_deleted_and_made_again_is_another_one(filled: Shop) -> None:
    folder = Path(filled.bench.root, "orders")
    folder.rename(folder.with_name("gone"))
    assert filled.why("sums") == {"sums": dict.fromkeys(KEYS, "orders is gone")}
    filled.run("orders", *KEYS)
    assert filled.why("sums") == {"sums": dict.fromkeys(KEYS, "orders was created again")}


def test_a_dev_lake_is_planned_over_its_base(filled: Shop, tmp_path: Path) -> None:
    own = Shop(Bench(filled.bench.instance, str(tmp_path / "own")))
    own.lake = DeltaIOManager(root_uri=own.bench.root, base_uri=filled.bench.root)
    assert own.why() == NOTHING
    own.factor, own.code["orders"] = 2, "2"
    assert set(own.why("orders", FIRST)["orders"]) == {FIRST}
    own.run("orders", FIRST)
    assert own.why("orders", FIRST) == {"orders": {}}
    assert own.why("sums") == {"sums": {FIRST: "orders was read in another root"}}
    own.run("sums", FIRST)
    assert own.why("sums") == {"sums": {}}


@pytest.mark.parametrize("seed", range(2))
def test_a_run_of_what_is_planned_leaves_nothing_and_of_the_rest_changes_nothing(
    shop: Shop, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 no secret
    shop.observe("0")
    for number in range(2):
        event = chance.choice(["source", "code", "run"])
        day = chance.choice(KEYS)
        if event == "source":
            shop.numbers[day] = chance.randrange(9)
            shop.observe(f"{seed}.{number}", day)
        elif event == "code":
            shop.code["orders"], shop.factor = str(number), chance.randrange(1, 3)
        else:
            shop.run("orders", day)
        for name in ("orders", "sums", "total"):
            [table] = shop.plan(name).tables
            planned = [key for group in table.planned for key in group.partitions or ("",)]
            before = shop.bench.version(name) if shop.bench.exists(name) else None
            rest = [] if name == "total" or before is None else [k for k in KEYS if k not in planned]
            for key in rest[:1]:
                shop.run(name, key)
                assert shop.bench.version(name) == before, f"{name} {key} was called current"
            for key in planned:
                shop.run(name, *([key] if key else []))
        assert shop.why() == NOTHING


def test_the_job_reports_the_plan_of_each_table(filled: Shop) -> None:
    filled.observe("2", SECOND)
    job = build_plan_job(["orders", "sums"])
    definitions = dg.Definitions(
        filled.assets,
        jobs=[job],
        resources={"io_manager": DeltaIOManager(root_uri=filled.bench.root), "raw": dg.mem_io_manager},
    )
    config = {
        "ops": {"plan": {"config": {"partitions": [SECOND]}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    result = definitions.resolve_job_def("table_plan").execute_in_process(
        run_config=config, instance=filled.bench.instance
    )
    observed = {
        str(
            event.asset_observation_data.asset_observation.asset_key.to_user_string()
        ): event.asset_observation_data.asset_observation.metadata
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION"
    }
    assert {name: entries["plan/partitions"].value for name, entries in observed.items()} == {
        "orders": 1,
        "sums": 1,
    }
    assert "raw has another data version" in str(observed["orders"]["plan/why"].value)
    assert filled.why("orders", FIRST) == {"orders": {}}  # the observations of plans are none of sources


def test_markdown_shows_hostile_names_as_they_are(bench: Bench) -> None:
    days = dg.StaticPartitionsDefinition(["<img src=x>", "a|b", "*c*", "d e"])

    @table_asset(partitions_def=days, partition_by="p")
    def odd() -> pd.DataFrame:
        return pd.DataFrame({"p": ["a"]})

    text = markdown(planned(bench, [odd]))
    assert "<img" not in text
    [row] = [line for line in text.split("\n") if "&lt;img" in line]
    assert re.sub(r"\\.", "", row).count("|") == 3


def test_days_are_in_their_order(shop: Shop) -> None:
    assert shop.why("orders", *reversed(KEYS))["orders"] == dict.fromkeys(
        DAYS.get_partition_keys(), "there is no table yet"
    )


def test_a_lake_on_s3_is_planned_as_one_in_a_folder(shop: Shop, seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    options = seaweedfs.storage_options()
    shop.lake = DeltaIOManager(root_uri=f"{seaweedfs.root_uri}/{tmp_path.name}", storage_options=options)
    shop.observe("1")
    assert set(shop.why("orders", FIRST)["orders"]) == {FIRST}
    shop.run("orders,sums,total", *KEYS)
    assert shop.why() == NOTHING
    shop.numbers[SECOND] = 7
    shop.observe("2", SECOND)
    shop.run("orders", SECOND)
    assert shop.why("sums") == {"sums": {SECOND: "orders has other rows"}}


def test_the_page_declares_the_job_and_its_config(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "plan.md"
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(Path(bench.root).parent)
    names: dict[str, Any] = {}
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, str(page), "exec"), names)  # noqa: S102 the page's code
    job = names["defs"].resolve_job_def("table_plan")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(run_config=quiet, instance=bench.instance)
    [event] = [each for each in result.all_events if each.event_type_value == "ASSET_OBSERVATION"]
    named = event.asset_observation_data.asset_observation.metadata
    assert {f"`{name}`" for name in named} == set(re.findall(r"`plan/[a-z]+`", text))
    [block] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    config = yaml.safe_load(block)["ops"]["plan"]["config"]
    assert {each.name for each in dataclasses.fields(PlanRequest)} >= {*config}
    assert [f"| {code} |" in text for code in (0, WOULD_RUN, NOT_KNOWN)] == [True] * 3
