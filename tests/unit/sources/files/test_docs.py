import re
from pathlib import Path
from typing import Any

import dagster as dg

import practicus_assets

PAGE = Path(__file__).parents[4] / "docs" / "sources.md"


def test_the_declarations_in_the_docs_are_taken() -> None:
    text = PAGE.read_text(encoding="utf-8")
    [files] = re.findall(r"\n## Files\n(.*?)\n## ", text, re.DOTALL)
    [delta] = re.findall(r"\n## Delta tables\n(.*?)\n## ", text, re.DOTALL)
    names: dict[str, Any] = {name: getattr(practicus_assets, name) for name in practicus_assets.__all__}
    names |= {"dg": dg, "days": dg.DailyPartitionsDefinition("2024-01-01")}
    for code in re.findall(r"```python\n(.*?)```", files + delta, re.DOTALL):
        exec(code, names)  # noqa: S102 our own page
    relations = [names[name].relation.name for name in ("weather", "orders", "rates")]
    assert relations == [
        "s3://bucket/raw/weather/*.csv.gz",
        "s3://bucket/raw/orders/day={day}/*.parquet",
        "abfss://lake@finance.dfs.core.windows.net/fx/rates",
    ]
