"""Hostile texts through every public door: no path outside the root, no injection, no code run."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from practicus_assets import Column, Contract, DeltaIOManager, table_asset
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Key, Scope
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.faults.tally import Tally
from tests.faults.work import Place, Work, attempt, rows, until_landed
from tests.kit import partitions

MakePlace = Callable[[], Place]
TEXTS = [
    "x' OR '1'='1",
    "a'); DROP TABLE snapshot; --",
    "') UNION ALL SELECT * FROM snapshot --",
    'x" OR "1"="1',
    "../../escape",
    "/etc/passwd",
    "..",
    ".",
    "~/x",
    "a/b\\c",
    "p=a/p=b",
    "_delta_log",
    "_delta_log/00000000000000000000.json",
    "%2e%2e%2fescape",
    "a%00b",
    "$(touch escape)",
    "`touch escape`",
    "{{ 7 * 7 }}",
    "__import__('os').system('touch escape')",
    "<script>alert(1)</script>",
    "a\nb",
    "a\tb",
    "\x1b[31m",
    "NULL",
    "null",
    " a ",
    "-- comment",
    "/* comment",
    "ünïcödé 🦆",
    "\u202ea",
    "a;b,c=d&e#f?g*",
]


def outside(root: Path) -> set[str]:
    """Return what lies beside a lake, and in the working folder by the names that the texts would make."""
    made = {str(path) for path in root.parent.iterdir() if path != root}
    return made | {name for name in ("escape", "../escape", "../../escape") if Path(name).exists()}


@pytest.mark.parametrize("mode", ["replace", "append", "merge"])
def test_partition_keys_reach_their_partition_and_no_other(mode: Any, tmp_path: Path, tally: Tally) -> None:
    place = Place(str(tmp_path / "lake"))
    start = Work("replace", (), tuple(row for text in ["a", *TEXTS] for row in rows(text, "old", 1, 2)))
    assert attempt(start, place).kind == "landed"
    for text in TEXTS:
        before = place.state()
        work = Work(mode, (text,), rows(text, "new", 2, 3))
        outcome = attempt(work, place)
        done = outcome.kind == "landed" and place.state() == work.after(before)
        tally.point(repr(text), None if done else f"{outcome}: {place.state()}")
        scope = partitions(text)
        read = Snapshot.of(place.table, scope=scope).scan().read_all().to_pylist()
        mine = {row: n for row, n in (place.state() or {}).items() if row[0] == text}
        same = Counter((r["p"], r["id"], r["v"]) for r in read) == Counter(mine)
        tally.point(f"{text!r} read", None if same else str(read))
        again = until_landed(work, place)
        tally.point(f"{text!r} again", None if len(again) == 1 and done else str(again))
    tally.point("outside", None if not outside(tmp_path / "lake") else str(outside(tmp_path / "lake")))
    tally.settle()


def test_asset_keys_stay_below_the_root_or_are_refused(tmp_path: Path, tally: Tally) -> None:
    root = tmp_path / "lake"
    for text in TEXTS:
        try:
            table = Table.at(str(root), [text])
            Transaction(table).write(pa.table({"n": [1]}))
        except PracticusAssetsError:
            tally.point(repr(text), None)
        else:
            inside = Path(table.uri).resolve().parent == root.resolve() and Path(table.uri).is_dir()
            tally.point(repr(text), None if inside else table.uri)
    tally.point("outside", None if not outside(root) else str(outside(root)))
    tally.settle()


def test_column_names_come_back_as_they_are_or_are_refused(tmp_path: Path, tally: Tally) -> None:
    for number, text in enumerate(TEXTS):
        for partitioned in (False, True):
            table = Table.at(str(tmp_path / "lake"), [f"t{number}{partitioned}"])
            data = pa.table({text: ["a", "b"], "n": [1, 2]})
            scope = Scope((text,), ((Key("a"),), (Key("b"),))) if partitioned else Scope()
            by = [text] if partitioned else []
            merge = WriteOptions(partition_by=by, mode="merge", merge_keys=[text])
            try:
                Transaction(table, scope, WriteOptions(partition_by=by)).write(data)
                Transaction(table, scope, merge).write(data)
                found = Snapshot.of(table, scope=scope).scan([text, "n"]).read_all().sort_by("n")
            except PracticusAssetsError as error:
                tally.point(repr(text), None if str(error) else "no words")
                continue
            tally.point(repr(text), None if found.to_pydict() == data.to_pydict() else str(found))
    tally.point("outside", None if not outside(tmp_path / "lake") else "something")
    tally.settle()


def test_values_of_contracts_are_values(tmp_path: Path, tally: Tally) -> None:
    for number, text in enumerate(TEXTS):
        table = Table.at(str(tmp_path / "lake"), [f"t{number}"])
        contract = Contract(
            {"s": Column("string", description=text, allowed=[text]), "n": Column("int64", text)},
            unique=[["s"]],
        )
        Transaction(table, contract=contract).write(pa.table({"s": [text], "n": [1]}))
        found = Snapshot.of(table).scan().read_all().to_pydict()
        tally.point(repr(text), None if found == {"s": [text], "n": [1]} else str(found))
        for other in ("a", text + "x", "' OR ''='"):
            with pytest.raises(PracticusAssetsError):
                Transaction(table, contract=contract).write(pa.table({"s": [other], "n": [1]}))
    tally.settle()


def test_who_commits_is_text_in_the_log(tmp_path: Path, tally: Tally) -> None:
    for number, text in enumerate(TEXTS):
        table = Table.at(str(tmp_path / "lake"), [f"t{number}"])
        work = Provenance(text, text, 1, text, text, [InputVersion(text, 1)])
        Transaction(table, provenance=work).write(pa.table({"n": [1]}))
        entry = Path(table.uri, "_delta_log", f"{0:020}.json").read_text(encoding="utf-8")
        [info] = [
            json.loads(line)["commitInfo"] for line in entry.split("\n") if line.startswith('{"commitInfo')
        ]
        record = json.loads(info["practicus_assets"])
        same = (record["run_id"], record["step"], record["inputs"][0]["table"]) == (text, text, text)
        again = Transaction(table, provenance=work).landed
        tally.point(repr(text), None if same and again is not None else str(record))
    tally.settle()


def test_predicates_do_not_leave_their_scope(tmp_path: Path, tally: Tally) -> None:
    place = Place(str(tmp_path / "lake"))
    attempt(Work("replace", (), rows("a", "v", 1) + rows("b", "secret", 2)), place)
    snapshot = Snapshot.of(place.table, scope=partitions("a"))
    attacks = [
        "TRUE",
        "TRUE OR p = 'b'",
        "TRUE) OR (TRUE",
        "FALSE) UNION ALL SELECT p, id, v FROM snapshot WHERE (TRUE",
        "FALSE\n) UNION ALL SELECT p, id, v FROM snapshot --",
        "FALSE) UNION ALL SELECT p, id, v FROM snapshot; --",
        "v = '' OR ')' = ')' ) UNION ALL SELECT p, id, v FROM snapshot WHERE (TRUE",
        "FALSE /* ) */ ) UNION ALL SELECT p, id, v FROM snapshot WHERE (/* ( */ TRUE",
        "$$'$$ = '') UNION ALL SELECT p, id, v FROM snapshot WHERE ('' = ''",
        "E'\\'' = '') UNION ALL SELECT p, id, v FROM snapshot WHERE ('' = ''",
        "id IN (SELECT id FROM snapshot)",
    ]
    for predicate in attacks:
        try:
            found = snapshot.scan(predicate=predicate).read_all().to_pylist()
        except PracticusAssetsError:
            found = []
        tally.point(predicate, None if all(row["p"] == "a" for row in found) else f"it read {found}")
    kept = snapshot.scan(predicate="v IN ('v', ')', 'it''s (') AND \"id\" < 3 -- )").read_all()
    tally.point("quotes and comments", None if kept.num_rows == 1 else str(kept))
    tally.settle()


def test_tags_and_partitions_from_the_launchpad_are_text(tmp_path: Path, tally: Tally) -> None:
    root = tmp_path / "lake"
    shops = dg.DynamicPartitionsDefinition(name="shops")

    @table_asset(partitions_def=shops, partition_by="shop", metadata={text: text for text in TEXTS if text})
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"shop": [context.partition_key], "n": [1]})

    usable = [text for text in TEXTS if "\n" not in text and "\t" not in text and "\x1b" not in text]
    with dg.DagsterInstance.ephemeral() as instance:
        for text in usable:
            instance.add_dynamic_partitions("shops", [text])
            try:
                result = dg.materialize(
                    [orders],
                    instance=instance,
                    partition_key=text,
                    resources={"io_manager": DeltaIOManager(root_uri=str(root))},
                    tags={"note": text, "team": "x' OR '1'='1"},
                    raise_on_error=False,
                )
            except dg.DagsterError as error:  # Dagster itself takes no such tag or key
                tally.point(repr(text), None if str(error) else "no words")
                continue
            found = DeltaTable(str(root / "orders")).to_pandas()["shop"].tolist()
            tally.point(repr(text), None if result.success and found.count(text) == 1 else str(found))
    tally.point("outside", None if not outside(root) else str(outside(root)))
    tally.settle()
