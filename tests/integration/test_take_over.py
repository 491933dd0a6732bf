"""Lakes that dagster-deltalake and dagster-delta made, by `tests/golden/peers/make.py`, are taken over."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from practicus_assets import table_asset
from tests.golden.peers import make
from tests.integration.bench import Bench

GOLDEN = Path(make.__file__).parent
PEERS = ["dagster_deltalake", "dagster_delta"]


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest, bench: Bench) -> str:
    """A peer whose lake is the bench's."""
    shutil.copytree(GOLDEN / request.param, bench.root)
    return str(request.param)


def keys(peer: str, name: str) -> list[Any]:
    """Return the keys of the partitions that a peer made of a table."""
    made: list[Any] = make.TABLES[name][2]
    return made[:1] if (peer, name) == ("dagster_deltalake", "hourly") else made


def partition(key: Any) -> Any:
    return dg.MultiPartitionKey(key) if isinstance(key, dict) else key


def ours(name: str, first_id: int, kind: str) -> dg.AssetsDefinition:
    """Return the peer's own asset, or a table asset that does the same."""
    if kind == "plain":
        return make.asset(name, first_id)
    partitions_def, columns, _ = make.TABLES[name]

    def table(context: dg.AssetExecutionContext) -> pa.Table:
        key: Any = context.partition_key if partitions_def is not None else None
        return make.rows_of(name, getattr(key, "keys_by_dimension", key), first_id)

    options: dict[str, Any] = {"partitions_def": partitions_def, "partition_by": columns} if columns else {}
    return table_asset(name=name, key_prefix=["shop"], **options)(table)


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: repr(sorted(row.items())))


def rows_of(name: str, keys: list[Any], first_id: int = 1) -> list[dict[str, Any]]:
    return [row for key in keys for row in make.rows_of(name, key, first_id).to_pylist()]


@pytest.mark.parametrize("name", [*make.TABLES])
def test_tables_of_other_managers_are_read_as_they_were_written(bench: Bench, peer: str, name: str) -> None:
    seen: list[dict[str, Any]] = []
    for key in keys(peer, name):
        assets = [make.asset(name), make.reader(name, seen)]
        bench.resources = {"nowhere": dg.mem_io_manager}
        bench.run(assets, select=[assets[1]], partition=partition(key))
    assert in_order(seen) == in_order(rows_of(name, keys(peer, name)))


@pytest.mark.parametrize("name", [*make.TABLES])
@pytest.mark.parametrize("kind", ["plain", "table asset"])
def test_a_partition_of_another_managers_table_is_replaced_and_no_other(
    bench: Bench, peer: str, name: str, kind: str
) -> None:
    before = bench.table(f"shop/{name}")
    first, *others = keys(peer, name)
    bench.run([ours(name, 11, kind)], partition=partition(first))
    after = bench.table(f"shop/{name}")
    assert after.version() == before.version() + 1
    assert after.schema() == before.schema()
    assert after.metadata().partition_columns == before.metadata().partition_columns
    expected = rows_of(name, [first], 11) + rows_of(name, others)
    assert in_order(after.to_pyarrow_table().to_pylist()) == in_order(expected)


def test_the_golden_lakes_have_two_dimensions_in_the_order_of_their_names() -> None:
    columns = dict.fromkeys(PEERS, make.TABLES["grid"][1])
    assert [*columns["dagster_delta"].values()] == ["day", "color"]
    for peer in PEERS:
        log = GOLDEN / peer / "shop" / "grid" / "_delta_log" / f"{0:020}.json"
        assert '"partitionColumns":["color","day"]' in log.read_text()
