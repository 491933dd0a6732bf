"""The ways to get rows into a Delta table and back: delta-rs alone, by hand, ours, and what others publish.

Each is measured in a process of its own, some of them in an environment of their own, so that each imports
what it needs only when it is made.
"""

import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from data import FIRST_DAY, day

NAME = "events"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Way(ABC):
    """One way to write and to read the table `events` below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: Any = None  # what the author's function returns

    def clear(self) -> None:
        """Forget the table."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()

    def take(self, rows: pa.Table) -> None:
        """Hold rows in the form that the way takes, as an author's function would have them."""
        self.rows = rows

    @abstractmethod
    def write(self) -> None:
        """Replace the whole table by the rows."""

    @abstractmethod
    def write_days(self, days: range) -> None:
        """Replace these days of the table by the rows."""

    def add(self, rows: pa.Table) -> None:
        """Let delta-rs append rows to the table that the way has written, wherever it lies."""
        from deltalake import write_deltalake

        [log] = self.root.rglob("_delta_log")
        write_deltalake(log.parent, rows, mode="append", partition_by=["day"])

    @abstractmethod
    def read_day(self, number: int) -> int:
        """Read one day; return how many rows it has."""


class Raw(Way):
    """`write_deltalake`, without Dagster: the floor."""

    @property
    def _uri(self) -> str:
        return str(self.root / NAME)

    def write(self) -> None:
        from deltalake import write_deltalake

        write_deltalake(self._uri, self.rows, mode="overwrite")

    def write_days(self, days: range) -> None:
        from deltalake import DeltaTable, write_deltalake

        predicate = f"day >= '{day(days[0])}' AND day <= '{day(days[-1])}'"
        exists = DeltaTable.is_deltatable(self._uri)
        write_deltalake(
            self._uri,
            self.rows,
            mode="overwrite",
            partition_by=["day"],
            predicate=predicate if exists else None,
        )

    def read_day(self, number: int) -> int:
        from deltalake import DeltaTable, QueryBuilder

        builder = QueryBuilder().register("t", DeltaTable(self._uri))
        stream = builder.execute(f"SELECT * FROM t WHERE day = DATE '{day(number)}'")  # noqa: S608 our own
        return pa.table(stream.read_all()).num_rows


def promises() -> Any:
    """Return a contract of twelve rules: ranges, allowed values, columns without nulls, one unique key."""
    from practicus_assets import Column, Contract

    return Contract(
        columns={
            "id": Column("int64", nullable=False, minimum=0),
            "shop": Column("string", nullable=False, allowed=[f"shop-{n:02}" for n in range(20)]),
            "code": Column("string", nullable=False),
            "amount": Column("float64", nullable=False, minimum=0, maximum=1000),
            "quantity": Column("int32", nullable=False, minimum=1),
            "paid": Column("bool", nullable=False),
        },
        unique=[["id"]],
    )


def checks() -> dict[str, Callable[[pa.Table], bool]]:
    """Return the rules of `promises`, by hand with pyarrow: each by its name, true of rows that keep it."""
    import pyarrow.compute as pc

    shops = pa.array([f"shop-{n:02}" for n in range(20)])

    def between(column: str, low: float, high: float = float("inf")) -> Callable[[pa.Table], bool]:
        def holds(rows: pa.Table) -> bool:
            bounds = pc.min_max(rows[column]).as_py()
            return bool(bounds["min"] >= low and bounds["max"] <= high)

        return holds

    def full(column: str) -> Callable[[pa.Table], bool]:
        return lambda rows: rows[column].null_count == 0

    columns = ("id", "shop", "code", "amount", "quantity", "paid")
    return {
        **{f"{column}_not_null": full(column) for column in columns},
        "id_minimum": between("id", 0),
        "amount_minimum": between("amount", 0),
        "amount_maximum": between("amount", 0, 1000),
        "quantity_minimum": between("quantity", 1),
        "shop_allowed": lambda rows: pc.all(pc.is_in(rows["shop"], value_set=shops)).as_py(),
        "id_unique": lambda rows: pc.count_distinct(rows["id"]).as_py() == rows.num_rows,
    }


class Transacted(Raw):
    """Our transaction without Dagster: fence, exact casts and fingerprint."""

    contract: Any = None

    def write(self) -> None:
        self._commit((), None)

    def write_days(self, days: range) -> None:
        from practicus_assets.lake.partitions.scope import Scope

        self._commit(("day",), Scope.of([day(number) for number in days], ["day"]))

    def _commit(self, partition_by: Any, scope: Any) -> None:
        from practicus_assets.lake.delta.table import Table
        from practicus_assets.lake.transactions.options import WriteOptions
        from practicus_assets.lake.transactions.transaction import Transaction

        options = WriteOptions(partition_by=partition_by)
        Transaction(Table.from_uri(self._uri), scope, options, contract=self.contract).write(self.rows)


class TransactedAudited(Transacted):
    """Our transaction without Dagster, with a contract."""

    def __init__(self, root: Path) -> None:
        self.contract = promises()
        super().__init__(root)


class _InDagster(Way):
    """A way of assets: one run for each write, in this process, with one instance in memory for all."""

    def __init__(self, root: Path) -> None:
        import dagster as dg

        super().__init__(root)
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        self._dg = dg
        self._instance = dg.DagsterInstance.ephemeral()  # making one takes longer than a small run
        self._days = dg.DailyPartitionsDefinition(FIRST_DAY.isoformat(), end_date="2040-01-01")
        self._count = 0
        by_day = self._asset(self._days)
        self._whole, self._by_day = self._job(self._asset(None)), self._job(by_day)
        self._reader = self._job(self._reading(), by_day, select="reader")

    def write(self) -> None:
        self._run(self._whole)

    def write_days(self, days: range) -> None:
        if len(days) == 1:
            self._run(self._by_day, partition_key=day(days[0]).isoformat())
        else:
            tags = {RANGE_START: day(days[0]).isoformat(), RANGE_END: day(days[-1]).isoformat()}
            self._run(self._by_day, tags=tags)

    def read_day(self, number: int) -> int:
        self._run(self._reader, partition_key=day(number).isoformat())
        return self._count

    def _job(self, *assets: Any, select: str = NAME) -> Any:
        job = self._dg.define_asset_job("work", selection=[select])
        definitions = self._dg.Definitions(assets=assets, jobs=[job], resources=self._resources())
        return definitions.resolve_job_def("work")

    def _run(self, job: Any, **options: Any) -> None:
        config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        job.execute_in_process(instance=self._instance, run_config=config, **options)

    def _reading(self) -> Any:
        frame = self._frame()

        @self._dg.asset(name="reader", ins={"rows": self._dg.AssetIn(NAME)}, partitions_def=self._days)
        def reader(rows: frame) -> None:  # type: ignore[valid-type]
            self._count = len(rows)  # type: ignore[arg-type]

        return reader

    def _resources(self) -> dict[str, Any]:
        return {}

    def _frame(self) -> Any:
        """Return the type of the rows that assets return and take."""
        return pa.Table

    def _returning(self) -> Callable[[], Any]:
        frame = self._frame()

        def events() -> frame:  # type: ignore[valid-type]
            return self.rows

        return events

    def _metadata(self, partitions_def: Any) -> dict[str, Any]:
        return {"partition_expr": "day"} if partitions_def is not None else {}

    def _asset(self, partitions_def: Any) -> Any:
        return self._dg.asset(
            name=NAME, partitions_def=partitions_def, metadata=self._metadata(partitions_def)
        )(self._returning())


class Hand(_InDagster):
    """An asset that calls `write_deltalake`, checks its rows' partitions and columns, and reports."""

    rules: Mapping[str, Callable[[pa.Table], bool]] = {}

    def _asset(self, partitions_def: Any) -> Any:
        import pyarrow.compute as pc
        from deltalake import CommitProperties, DeltaTable, write_deltalake

        dg = self._dg
        specs = [dg.AssetCheckSpec(rule, asset=NAME, blocking=True) for rule in self.rules]

        @dg.asset(name=NAME, partitions_def=partitions_def, check_specs=specs)
        def events(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            uri, rows, predicate = str(self.root / NAME), self.rows, None
            exists = DeltaTable.is_deltatable(uri)
            if exists:
                table = DeltaTable(uri)
                stored = pa.schema(table.schema())
                if stored.names != rows.schema.names:
                    raise ValueError(f"columns {rows.schema.names}, and the table has {stored.names}")
            if partitions_def is not None:
                keys = context.partition_keys
                bounds = pc.min_max(rows["day"]).as_py()
                if str(bounds["min"]) < keys[0] or str(bounds["max"]) > keys[-1]:
                    raise ValueError(f"rows outside {keys[0]} to {keys[-1]}: {bounds}")
                predicate = f"day >= '{keys[0]}' AND day <= '{keys[-1]}'" if exists else None
            found = {rule: holds(rows) for rule, holds in self.rules.items()}
            if not all(found.values()):
                raise ValueError(f"broken: {[rule for rule, holds in found.items() if not holds]}")
            write_deltalake(
                table if exists else uri,
                rows,
                mode="overwrite",
                partition_by=["day"] if partitions_def is not None else None,
                predicate=predicate,
                commit_properties=CommitProperties(custom_metadata={"run_id": context.run.run_id}),
            )
            columns = [dg.TableColumn(field.name, str(field.type)) for field in rows.schema]
            return dg.MaterializeResult(
                metadata={
                    "dagster/row_count": rows.num_rows,
                    "dagster/column_schema": dg.TableSchema(columns),
                    "dagster/uri": uri,
                    "version": DeltaTable(uri).version(),
                },
                check_results=[
                    dg.AssetCheckResult(passed=passed, check_name=rule) for rule, passed in found.items()
                ],
            )

        return events

    def _reading(self) -> Any:
        from deltalake import DeltaTable, QueryBuilder

        dg = self._dg

        @dg.asset(name="reader", deps=[NAME], partitions_def=self._days)
        def reader(context: dg.AssetExecutionContext) -> None:
            builder = QueryBuilder().register("t", DeltaTable(str(self.root / NAME)))
            query = f"SELECT * FROM t WHERE day = DATE '{context.partition_key}'"  # noqa: S608 our own
            self._count = pa.table(builder.execute(query).read_all()).to_pandas().shape[0]

        return reader


class HandChecked(Hand):
    """The same with the twelve rules of our contract, checked by hand before the write."""

    def __init__(self, root: Path) -> None:
        self.rules = checks()
        super().__init__(root)


class Plain(_InDagster):
    """A plain `@dg.asset` with our IO manager."""

    def _resources(self) -> dict[str, Any]:
        from practicus_assets import DeltaIOManager

        return {"io_manager": DeltaIOManager(root_uri=str(self.root))}


class Table(Plain):
    """A `@table_asset` without a contract: fence, exact casts, fingerprint and report."""

    contract: Any = None

    def _asset(self, partitions_def: Any) -> Any:
        from practicus_assets import table_asset

        return table_asset(
            name=NAME,
            partitions_def=partitions_def,
            partition_by="day" if partitions_def is not None else None,
            contract=self.contract,
        )(self._returning())


class Audited(Table):
    """A `@table_asset` with a contract of twelve rules."""

    def __init__(self, root: Path) -> None:
        self.contract = promises()
        super().__init__(root)


class DagsterDeltalakePandas(_InDagster):
    """dagster-deltalake-pandas: no casts, no fence, no fingerprint, no checks."""

    def take(self, rows: pa.Table) -> None:
        self.rows = rows.to_pandas()

    def _resources(self) -> dict[str, Any]:
        from dagster_deltalake import LocalConfig
        from dagster_deltalake_pandas import DeltaLakePandasIOManager

        return {
            "io_manager": DeltaLakePandasIOManager(
                root_uri=str(self.root), storage_options=LocalConfig(), writer_engine="rust", schema="lake"
            )
        }

    def _frame(self) -> Any:
        import pandas as pd

        return pd.DataFrame


class DagsterDelta(_InDagster):
    """dagster-delta with its Arrow IO manager: no casts, no fence, no fingerprint, no checks."""

    def _resources(self) -> dict[str, Any]:
        from dagster_delta import DeltaLakePyarrowIOManager, LocalConfig

        return {
            "io_manager": DeltaLakePyarrowIOManager(
                root_uri=str(self.root), storage_options=LocalConfig(), schema="lake"
            )
        }


class DagsterPolars(_InDagster):
    """dagster-polars' Delta IO manager: no casts, no fence, no fingerprint, no checks."""

    def take(self, rows: pa.Table) -> None:
        import polars as pl

        self.rows = pl.from_arrow(rows)

    def _resources(self) -> dict[str, Any]:
        from dagster_polars import PolarsDeltaIOManager

        return {"io_manager": PolarsDeltaIOManager(base_dir=str(self.root), mode="overwrite")}

    def _metadata(self, partitions_def: Any) -> dict[str, Any]:
        return {"partition_by": "day"} if partitions_def is not None else {}

    def _frame(self) -> Any:
        import polars as pl

        return pl.DataFrame


WAYS: dict[str, type[Way]] = {
    "raw": Raw,
    "transaction": Transacted,
    "transaction, audited": TransactedAudited,
    "hand": Hand,
    "hand, checked": HandChecked,
    "plain": Plain,
    "table": Table,
    "audited": Audited,
    "dagster-deltalake-pandas": DagsterDeltalakePandas,
    "dagster-delta": DagsterDelta,
    "dagster-polars": DagsterPolars,
}
PEERS = ("dagster-deltalake-pandas", "dagster-delta", "dagster-polars")

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
