"""Processes of `plan`, `diff` and `promote` at once: each answer is of one state, and one promotion lands."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.integration.bench import Bench
from tests.integration.commanded import Site, at_once, command, commands
from tests.integration.planning import KEYS, Shop
from tests.servers.seaweedfs import SeaweedFS

DAY = KEYS[1]
FEW, MANY = 4, 16
ENOUGH = 3  # runs beside which plans are made
HANGS_S = 1200  # ends what hangs; a busy machine takes long

Place = Callable[[str], tuple[str, dict[str, str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    return lambda name: (str(tmp_path / name), {})


@pytest.fixture
def s3(seaweedfs: SeaweedFS, tmp_path: Path) -> Place:
    return lambda name: (f"{seaweedfs.root_uri}/{tmp_path.name}/{name}", seaweedfs.storage_options())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of an instance on SQLite, which all processes open."""
    (tmp_path / "home").mkdir()
    settings = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
    (tmp_path / "home" / "dagster.yaml").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    return str(tmp_path / "home")


def shop_at(instance: dg.DagsterInstance, site: Site) -> Shop:
    return Shop(Bench(instance, site.root), lake=site.lake())


def state(told: dict[str, Any]) -> tuple[tuple[int, int], Any]:
    """Return the versions of both tables that a plan looked at, and why it would compute the day in each."""
    by_name = {table["table"]: table for table in told["tables"]}
    orders, sums = by_name["orders"], by_name["sums"]
    assert not orders["unknown"], told
    assert not sums["unknown"], told
    why = tuple(
        {
            key: [reason["text"] for reason in group["reasons"]]
            for group in table["planned"]
            for key in group["partitions"]
        }
        for table in (orders, sums)
    )
    return (orders["version"], sums["version"]), why


def plans_beside_runs(site: Site, processes: int) -> None:
    up_to_date: Any = ({}, {})
    observed: Any = ({DAY: ["raw has another data version"]}, {DAY: ["orders is computed first"]})
    between: Any = ({}, {DAY: ["orders has other rows"]})
    arguments = ("plan", "--json", "--select", "orders,sums")
    with dg.DagsterInstance.from_config(site.home) as instance, at_once(processes) as pool:
        shop = shop_at(instance, site)
        shop.observe("1")
        shop.run("orders,sums", *KEYS)
        asked = commands(pool, processes, site, *arguments)
        runs = 0
        while runs < ENOUGH or not all(future.done() for future in asked):
            runs += 1
            shop.observe(str(runs + 1), DAY)
            shop.numbers = {DAY: runs + 1}
            shop.run("orders,sums", DAY)
            asked += commands(pool, processes if runs < ENOUGH else 0, site, *arguments)
        answers = [future.result(HANGS_S) for future in asked]
    assert {(code, err) for code, _, err in answers} <= {(0, ""), (6, "")}
    seen = [state(json.loads(out)) for _, out, _ in answers]
    for (orders, sums), why in seen:
        assert 0 <= sums <= orders <= sums + 1
        assert why in ([between] if orders > sums else [up_to_date, observed]), (orders, sums, why)
    assert len({versions for versions, _ in seen}) > 1  # they were made beside runs
    assert max(orders for (orders, _), _ in seen) <= runs


def promotions_at_once(place: Place, processes: int) -> None:
    base, options = place("prod")
    own, _ = place("alice")
    production = Site("", base, "", options)
    site = Site("", own, base, options)
    with dg.DagsterInstance.ephemeral() as instance, at_once(processes) as pool:
        shop_at(instance, production).run("orders", *KEYS)
        mine = shop_at(instance, site)
        mine.numbers = {DAY: 7}
        mine.run("orders", DAY)
        asked = commands(pool, processes, site, "diff", "orders", "--against", "base", "--json")
        differences = {future.result(HANGS_S) for future in asked}
        asked = commands(pool, processes, site, "promote", "orders", "--apply", "--json")
        ended = [future.result(HANGS_S) for future in asked]
    [(code, out, _)] = differences
    [change] = json.loads(out).values()
    assert (code, [each["partition"] for each in change["partitions"]]) == (0, [{"day": DAY}])
    landed = [out for code, out, _ in ended if code == 0 and json.loads(out)[0]["version"] is not None]
    told = [out for code, out, _ in ended if code == 0 and json.loads(out)[0]["version"] is None]
    refused = [json.loads(out)["error"] for code, out, _ in ended if code == 4]
    assert len(landed) == 1, ended
    assert len(told) + len(refused) == processes - 1, ended
    assert all(error["type"] == "CommitConflict" and error["nothing_written"] for error in refused)
    [done] = json.loads(landed[0])
    assert (done["version"], done["partitions"]) == (1, [DAY])
    code, out, _ = command_here(site, "promote", "orders")
    assert (code, "The base has all rows of the own root already." in out) == (0, True)


def command_here(site: Site, *arguments: str) -> tuple[int, str, str]:
    before = {name: os.environ.get(name) for name in site.variables}
    try:
        return command(site, *arguments)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def test_plans_beside_runs_are_each_of_one_state_in_a_folder(folder: Place, home: str) -> None:
    root, options = folder("lake")
    plans_beside_runs(Site(home, root, "", options), FEW)


def test_of_promotions_of_one_scope_at_once_one_lands_and_the_others_are_told(s3: Place) -> None:
    promotions_at_once(s3, FEW)


@pytest.mark.long
@pytest.mark.slow
def test_16_plans_at_once_beside_runs_are_each_of_one_state_in_a_folder(folder: Place, home: str) -> None:
    root, options = folder("lake")
    plans_beside_runs(Site(home, root, "", options), MANY)


@pytest.mark.long
@pytest.mark.slow
def test_16_plans_at_once_beside_runs_are_each_of_one_state_on_s3(s3: Place, home: str) -> None:
    root, options = s3("lake")
    plans_beside_runs(Site(home, root, "", options), MANY)


@pytest.mark.long
@pytest.mark.slow
def test_of_16_promotions_of_one_scope_at_once_one_lands_on_s3(s3: Place) -> None:
    promotions_at_once(s3, MANY)
