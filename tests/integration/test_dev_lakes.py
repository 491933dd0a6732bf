"""A lake of one's own over production: runs, commands and promotions, and that the base is never touched."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.fs
import pytest
from deltalake.fs import DeltaStorageHandler

from practicus_assets import Column, Contract, DeltaIOManager, Snapshot, build_release_asset, table_asset
from practicus_assets.assets.catalog import TableEntry, catalog
from practicus_assets.errors import (
    AuditFailed,
    CommitConflict,
    DeclarationError,
    PromotionRefused,
    ReleaseRefused,
    RollbackRefused,
    StoreFailed,
    VersionGone,
)
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.operations.configs import MaintainConfig, RollbackConfig, VerifyConfig
from practicus_assets.operations.diff import diff_with_base
from practicus_assets.operations.maintain import maintain_table
from practicus_assets.operations.promote import Promotion, promote_tables
from practicus_assets.operations.rollback import roll_back
from practicus_assets.operations.verify import verify_table
from tests.integration.bench import errors
from tests.servers.seaweedfs import SeaweedFS

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
KEYS = DAYS.get_partition_keys()
Options = Mapping[str, str]


def assets_of(number: int = 1, *, least: int = 0) -> list[Any]:
    """Return `orders` by day, `total` of all days, and `log`, which appends."""

    @table_asset(
        partitions_def=DAYS, partition_by="day", contract=Contract({"n": Column("int64", minimum=least)})
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": [context.partition_key], "n": [number]})

    @table_asset
    def total(orders: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"n": [int(orders["n"].sum())]})

    @table_asset(mode="append")
    def events(total: Snapshot) -> pd.DataFrame:
        return pd.DataFrame({"total": total.to_pandas()["n"]})

    return [orders, total, events]


@dataclass
class Lakes:
    """Production, and a lake of one's own over it."""

    root: str
    instance: dg.DagsterInstance
    of_production: dg.DagsterInstance
    options: Options = field(default_factory=dict)
    reader: Options = field(default_factory=dict)

    @property
    def production(self) -> DeltaIOManager:
        return DeltaIOManager(root_uri=f"{self.root}/prod/lake", storage_options=dict(self.options))

    @property
    def own(self) -> DeltaIOManager:
        return DeltaIOManager(
            root_uri=f"{self.root}/dev/alice",
            storage_options=dict(self.options),
            base_uri=f"{self.root}/prod/lake",
            base_storage_options=dict(self.reader),
        )

    def run(
        self, lake: DeltaIOManager, assets: list[Any], selection: str, day: str | None = None
    ) -> dg.ExecuteInProcessResult:
        keys = selection.split(",") if isinstance(selection, str) else selection
        return dg.materialize(
            assets,
            selection=keys,
            partition_key=day,
            instance=self.instance if lake.base_uri is not None else self.of_production,
            resources={"io_manager": lake},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def ran(self, lake: DeltaIOManager, assets: list[Any], selection: str, *days: str) -> None:
        for day in days or (None,):
            result = self.run(lake, assets, selection, day)
            assert result.success, errors(result)

    def fill(self) -> None:
        self.ran(self.production, assets_of(), "orders", *KEYS[:3])
        self.ran(self.production, assets_of(), "total,events")

    def entries(self, lake: DeltaIOManager, assets: list[Any] | None = None) -> dict[str, TableEntry]:
        return catalog(dg.Definitions(assets=assets or assets_of(), resources={"io_manager": lake}))

    def read(self, name: str, lake: DeltaIOManager | None = None) -> list[Any]:
        layered = self.entries(lake or self.own)[name].layered
        rows = layered.pinned(self.entries(lake or self.own)["total"].scope(self.instance, []))[0]
        return sorted(tuple(row.values()) for row in rows.scan().read_all().to_pylist())

    def objects(self) -> dict[str, Any]:
        """Return every object of production with its content, and when it was last written."""
        if "://" not in self.root:
            files = Path(self.root, "prod").rglob("*")
            return {str(p): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else None) for p in files}
        handler = DeltaStorageHandler(f"{self.root}/prod/lake", dict(self.options))
        store = pyarrow.fs.PyFileSystem(handler)
        infos = store.get_file_info(pyarrow.fs.FileSelector("", recursive=True))
        contents = {i.path for i in infos if i.path.endswith((".json", ".parquet"))}
        return {
            i.path: (i.mtime_ns, store.open_input_stream(i.path).read() if i.path in contents else None)
            for i in infos
        }

    def promote(
        self, *names: str, apply: bool = True, assets: list[Any] | None = None, reader: bool = False
    ) -> list[Promotion]:
        lake = self.own if reader else replace_base(self.own, self.options)
        of_lake = self.entries(lake, assets)
        return promote_tables([of_lake[name] for name in names], self.instance, apply=apply)


def replace_base(lake: DeltaIOManager, options: Options) -> DeltaIOManager:
    """Return a lake whose base is reached by other options."""
    return DeltaIOManager(
        root_uri=lake.root_uri,
        storage_options=dict(options),
        base_uri=lake.base_uri,
        base_storage_options=dict(options),
    )


@pytest.fixture
def on_folder(tmp_path: Path) -> Iterator[Lakes]:
    with dg.DagsterInstance.ephemeral() as own, dg.DagsterInstance.ephemeral() as production:
        lakes = Lakes(str(tmp_path), own, production)
        lakes.fill()
        yield lakes


@pytest.fixture
def on_s3(seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[Lakes]:
    with dg.DagsterInstance.ephemeral() as own, dg.DagsterInstance.ephemeral() as production:
        root = f"{seaweedfs.root_uri}/{tmp_path.name}"
        lakes = Lakes(root, own, production, seaweedfs.storage_options(), seaweedfs.reader_options())
        lakes.fill()
        yield lakes


def work(lakes: Lakes) -> None:
    """Run everything in the own lake, and every command that looks at tables or changes them."""
    own, instance = lakes.own, lakes.instance
    lakes.ran(own, assets_of(5), "orders", KEYS[1])
    lakes.ran(own, assets_of(6), "orders", KEYS[1], KEYS[3])
    lakes.ran(own, assets_of(6), "total,events")
    assert not lakes.run(own, assets_of(-1), "orders", KEYS[2]).success
    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey("orders"))
    assert lakes.run(own, assets_of(), checks).success  # type: ignore[arg-type] # a selection is one, too
    of_lake = lakes.entries(own)
    config = RollbackConfig(table="orders", to="1", partitions=[KEYS[1]], apply=True, undo_newer=True)
    back = roll_back(of_lake["orders"], instance, config, Provenance())
    for event in back.events:
        instance.report_runless_asset_event(event)
    for entry in of_lake.values():
        assert verify_table(entry, instance, VerifyConfig(rows=True)).open_problems == 0
        maintained = maintain_table(entry, instance, MaintainConfig(retention_hours=0, apply=True))
        assert maintained.error is None
    lakes.promote("orders", "total", "events", apply=False, reader=True)
    release = build_release_asset("release", ["total"])  # all of whose rows are in the own root
    assert lakes.run(own, [*assets_of(), release], "release").success
    mixed = build_release_asset("mixed", ["orders"])
    assert not lakes.run(own, [*assets_of(), mixed], "mixed").success


def test_no_run_and_no_command_touches_an_object_of_a_base_in_a_read_only_folder(on_folder: Lakes) -> None:
    base = Path(on_folder.root, "prod")
    before = on_folder.objects()
    subprocess.run(["/bin/mount", "--bind", base, base], check=True)
    try:
        subprocess.run(["/bin/mount", "-o", "remount,ro,bind", base], check=True)
        work(on_folder)
    finally:
        subprocess.run(["/bin/umount", base], check=True)
    assert on_folder.objects() == before


def test_no_run_and_no_command_touches_an_object_of_a_base_on_s3(on_s3: Lakes) -> None:
    before = on_s3.objects()
    assert len(before) > 10
    work(on_s3)
    assert on_s3.objects() == before
    on_s3.ran(on_s3.own, assets_of(8), "orders", KEYS[0])
    with pytest.raises(StoreFailed, match="denied"):  # the reader's key
        on_s3.promote("orders", reader=True)
    assert on_s3.objects() == before


def test_runs_read_what_the_own_root_has_and_else_the_base_and_say_so(on_folder: Lakes) -> None:
    lakes = on_folder
    lakes.ran(lakes.own, assets_of(), "total")
    assert lakes.read("total") == [(3,)]
    lakes.ran(lakes.own, assets_of(10), "orders", KEYS[0])
    lakes.ran(lakes.own, assets_of(), "total,events")
    assert (lakes.read("total"), lakes.read("events")) == ([(12,)], [(3,), (12,)])
    own = lakes.entries(lakes.own)["total"].table
    record = next(iter(entries(own, own.open().version))).record
    assert record is not None
    assert record.base is not None
    assert (record.base.root_uri, record.base.version) == (f"{lakes.root}/prod/lake", 0)
    reads = {(read.name, read.root_uri, read.version) for read in record.inputs}
    assert reads == {("orders", "", 1), ("orders (base)", f"{lakes.root}/prod/lake", 2)}
    assert lakes.read("orders", lakes.production) == [(key, 1) for key in KEYS[:3]]


def test_what_a_run_reads_of_the_base_is_pinned_when_it_begins(on_folder: Lakes) -> None:
    lakes = on_folder

    @table_asset
    def first(orders: pd.DataFrame) -> pd.DataFrame:
        lakes.ran(lakes.production, assets_of(100), "orders", KEYS[0])
        return pd.DataFrame({"n": [orders["n"].sum()]})

    @table_asset(deps=[first])
    def second(orders: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"n": [orders["n"].sum()]})

    lakes.ran(lakes.own, [*assets_of(), first, second], "first,second")
    of_lake = lakes.entries(lakes.own, [*assets_of(), first, second])
    for name in ("first", "second"):
        assert Snapshot.of(of_lake[name].table).to_arrow()["n"].to_pylist() == [3], name


def vacuumed(lakes: Lakes, *, expire: bool = True) -> None:
    """Replace every row of production, which keeps no older file, and no older log entry if that is asked."""
    lakes.ran(lakes.production, assets_of(100), "orders", *KEYS[:3])
    entry = lakes.entries(lakes.production)["orders"]
    config = MaintainConfig(retention_hours=0, compact=False, expire=expire, apply=True)
    assert maintain_table(entry, lakes.of_production, config).error is None


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("files", "gone: .*, in the base at .*/prod/lake/orders. .*begin a new run, which reads the base's"),
        ("log", r"version \d of the table at .*/prod/lake/orders cannot be opened: its log does not reach"),
    ],
    ids=["its files", "its log"],
)
def test_a_base_that_is_vacuumed_below_what_a_run_pinned_is_named(
    what: str, said: str, on_folder: Lakes
) -> None:
    lakes = on_folder

    @table_asset
    def first() -> pd.DataFrame:
        vacuumed(lakes, expire=what == "log")
        return pd.DataFrame({"n": [1]})

    @table_asset(deps=[first])
    def second(orders: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"n": [orders["n"].sum()]})

    every = [*assets_of(), first, second]
    failed = lakes.run(lakes.own, every, "first,second")
    assert not failed.success
    assert VersionGone.__name__ in errors(failed)
    assert re.search(said, errors(failed), re.DOTALL)
    lakes.ran(lakes.own, every, "second")  # a new run reads what is there
    assert Snapshot.of(lakes.entries(lakes.own, every)["second"].table).to_arrow()["n"].to_pylist() == [300]


def test_own_rows_over_a_version_that_the_base_lost_are_compared_and_not_promoted(on_folder: Lakes) -> None:
    lakes = on_folder
    lakes.ran(lakes.own, assets_of(7), "orders", KEYS[0], KEYS[3])
    vacuumed(lakes)
    entry = lakes.entries(lakes.own)["orders"]
    found = diff_with_base(entry, lakes.instance, 5)
    assert [(p.rows_before, p.rows_after) for p in found.partitions] == [(1, 1), (0, 1)]
    assert re.search(r"computed over version 2 of the base, and since then", found.conflict)
    assert lakes.read("orders") == [(KEYS[0], 7), (KEYS[1], 100), (KEYS[2], 100), (KEYS[3], 7)]
    before = lakes.objects()
    with pytest.raises(CommitConflict, match=r"computed over version 2 of the base.*Materialize"):
        lakes.promote("orders")
    assert lakes.objects() == before


def test_a_promotion_brings_the_own_rows_to_the_base_once(on_folder: Lakes) -> None:
    lakes = on_folder
    lakes.ran(lakes.own, assets_of(7), "orders", KEYS[1], KEYS[3])
    lakes.ran(lakes.own, assets_of(7), "total,events")
    before = lakes.objects()
    planned = lakes.promote("events", "total", "orders", apply=False)
    assert {each.table: each.plan.scope_in_words for each in planned} == {
        "orders": f"{KEYS[1]}, {KEYS[3]}",
        "total": "whole table",
        "events": "whole table",
    }
    assert lakes.objects() == before
    done = lakes.promote("events", "total", "orders")
    assert [each.table for each in done] == ["orders", "total", "events"]
    for each in done:
        assert each.commit is not None
        assert each.commit.fingerprints == each.plan.fingerprints
        assert lakes.read(each.table, lakes.production) == lakes.read(each.table)
    assert lakes.read("orders", lakes.production) == [(KEYS[0], 1), (KEYS[1], 7), (KEYS[2], 1), (KEYS[3], 7)]
    after = lakes.objects()
    assert [each.commit for each in lakes.promote("orders", "total", "events")] == [None] * 3
    assert lakes.objects() == after
    table = lakes.entries(lakes.production)["total"].table
    record = next(iter(entries(table, table.open().version))).record
    assert record is not None
    assert record.promotes is not None
    assert record.promotes.root_uri == f"{lakes.root}/dev/alice"
    assert ("orders", "", 3) in {(r.name, r.root_uri, r.version) for r in record.inputs}
    assert not any(read.root_uri for read in record.inputs)
    lakes.ran(lakes.own, assets_of(7), "events")  # it comes after what was promoted
    [again] = lakes.promote("events")
    assert again.commit is not None
    assert lakes.read("events", lakes.production) == [(3,), (16,), (16,)]


def test_a_promotion_is_refused_where_the_base_moved_in_its_scope_alone(on_folder: Lakes) -> None:
    lakes = on_folder
    lakes.ran(lakes.own, assets_of(7), "orders", KEYS[1], KEYS[2])
    lakes.ran(lakes.production, assets_of(3), "orders", KEYS[0])
    lakes.ran(lakes.production, assets_of(7), "orders", KEYS[2])  # the same rows
    [done] = lakes.promote("orders")
    assert done.plan.scope_in_words == KEYS[1]
    lakes.ran(lakes.own, assets_of(8), "orders", KEYS[1])
    lakes.ran(lakes.production, assets_of(9), "orders", KEYS[1])
    before = lakes.objects()
    with pytest.raises(CommitConflict, match=rf"rows of {KEYS[1]} were computed over version.*changed it"):
        lakes.promote("orders")
    assert lakes.objects() == before
    lakes.ran(lakes.own, assets_of(8), "orders", KEYS[1])  # over what the base has now
    assert lakes.promote("orders")[0].commit is not None


def test_promoted_rows_are_audited_by_the_contract_of_the_code(on_folder: Lakes) -> None:
    lakes = on_folder
    lakes.ran(lakes.own, assets_of(7), "orders", KEYS[1])
    before = lakes.objects()
    with pytest.raises(AuditFailed, match=rf"orders \[{KEYS[1]}\].*Nothing was written"):
        lakes.promote("orders", assets=assets_of(least=50))
    assert lakes.read("orders", lakes.production) == [(key, 1) for key in KEYS[:3]]
    assert {name: state[1] for name, state in lakes.objects().items() if "_delta_log" in name} == {
        name: state[1] for name, state in before.items() if "_delta_log" in name
    }


def test_rows_of_other_programs_are_not_promoted(on_folder: Lakes) -> None:
    lakes = on_folder
    alone = DeltaIOManager(root_uri=f"{lakes.root}/dev/alice")
    lakes.ran(alone, assets_of(7), "orders", KEYS[1])
    with pytest.raises(PromotionRefused, match="nothing says over which version of the base"):
        lakes.promote("orders")
    with pytest.raises(DeclarationError, match="lies over no base"):
        promote_tables([lakes.entries(alone)["orders"]], lakes.instance, apply=False)


def test_a_rollback_goes_back_to_own_rows_alone(on_folder: Lakes) -> None:
    lakes = on_folder
    lakes.ran(lakes.own, assets_of(7), "orders", KEYS[1])
    lakes.ran(lakes.own, assets_of(8), "orders", KEYS[1], KEYS[2])
    entry = lakes.entries(lakes.own)["orders"]

    def back(to: int, *keys: str) -> None:
        config = RollbackConfig(
            table="orders", to=str(to), partitions=list(keys), apply=True, undo_newer=True
        )
        roll_back(entry, lakes.instance, config, Provenance())

    with pytest.raises(RollbackRefused, match=f"no rows of its own in {KEYS[2]}.*rows of the base"):
        back(1)
    back(1, KEYS[1])
    assert lakes.read("orders")[1] == (KEYS[1], 7)
    assert lakes.promote("orders")[0].commit is not None  # its pin came back with the rows


def test_releases_and_numbers_of_versions_that_a_layer_cannot_have_are_refused(on_folder: Lakes) -> None:
    lakes = on_folder

    @dg.asset(ins={"orders": dg.AssetIn(metadata={"delta/version": 0})})
    def first_day(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    every = [*assets_of(7), first_day, build_release_asset("release", ["total"])]
    lakes.ran(lakes.own, every, "first_day")
    assert lakes.read("orders") == [(key, 1) for key in KEYS[:3]]
    lakes.ran(lakes.own, every, "orders", KEYS[1])
    refused = lakes.run(lakes.own, every, "first_day")
    assert "version=0 is a number of the base's table" in errors(refused)
    assert ReleaseRefused.__name__ in errors(lakes.run(lakes.own, every, "release"))
    lakes.ran(lakes.own, every, "total,release")


def test_roots_that_lie_in_each_other_are_refused(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for own, base in (("lake", "lake"), ("lake/dev", "lake"), ("lake", "lake/prod")):
            lake = DeltaIOManager(root_uri=str(tmp_path / own), base_uri=str(tmp_path / base))
            result = Lakes("", instance, instance).run(lake, assets_of(), "total")
            assert "one place, or one lies in the other" in errors(result)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DeclarationError, match="the lake's base s3x://b/lake has the scheme"):
        DeltaIOManager(root_uri=str(tmp_path), base_uri="s3x://b/lake")
    with pytest.raises(DeclarationError, match="base_storage_options is no mapping"):
        DeltaIOManager(root_uri=str(tmp_path), base_storage_options="region")  # type: ignore[arg-type]
