"""The table of medians that `bench.py` prints, and what it publishes: that table, its plot, and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from plot import drawn, picture

_DOCS = Path(__file__).parents[1] / "docs"
_PLOT = "![Seconds of each way, one group of bars for each work](images/performance.svg)\n"
_BEGIN, _END = "<!-- benchmarks/bench.py --publish -->\n", "<!-- end -->\n"
_COLUMNS = ("hand", "hand, checked", "transaction", "transaction, audited", "table", "audited")
_PEERS = ("dagster-deltalake-pandas", "dagster-delta", "dagster-polars")


def medians(turns: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the median of each figure over the turns of each way."""
    return {
        way: {figure: median(turn[figure] for turn in taken) for figure in taken[0]}
        for way, taken in turns.items()
    }


def table_of(results: Mapping[str, Any]) -> str:
    """Return the works as a Markdown table: each way against delta-rs alone, and what is wanted."""
    works = [work for work in results["works"].values() if "raw" in work["turns"]]
    lines = [
        f"| work | raw | {' | '.join(_COLUMNS)} | fastest of the peers | wanted |",
        "|" + " --- |" * (len(_COLUMNS) + 4),
    ]
    for work in works:
        found = medians(work["turns"])
        cells = [_cell(found.get(way), found["raw"], work["against"]) for way in _COLUMNS]
        peers = {way: found[way] for way in _PEERS if way in found}
        name = min(peers, key=lambda way: peers[way]["seconds"], default="")
        peer = f"{_cell(peers[name], found['raw'], work['against'])} ({name})" if name else "-"
        raw = _seconds(found["raw"]["seconds"])
        lines.append(f"| {work['label']} | {raw} | {' | '.join(cells)} | {peer} | {work['wanted']} |")
    lines += ["", "| command | took | wanted |", "| --- | --- | --- |"]
    for work in results["works"].values():
        if "raw" not in work["turns"]:
            took = "; ".join(
                f"{way} {_seconds(figures['seconds'])}" for way, figures in medians(work["turns"]).items()
            )
            lines.append(f"| {work['label']} | {took} | {work['wanted']} |")
    memory = [
        f"{way} {figures['peak_mb']:.0f} MB"
        for way, figures in medians(results["works"].get("first", {"turns": {}})["turns"]).items()
    ]
    if memory:
        lines += ["", f"Peak memory over the input, first write of 1e7 rows: {', '.join(memory)}."]
    said = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    return "\n".join([*lines, "", f"Machine: {said}.", ""])


def publish(results: Mapping[str, Any]) -> None:
    """Put the table into docs/performance.md, the plot beside it, and the README's picture into docs/images.

    Raises:
        ValueError: if the page lacks the lines that the table goes between. Nothing was written.

    """
    page = _DOCS / "performance.md"
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the line {(_END if begin else _BEGIN).strip()!r}.")
    text = f"{before}{_BEGIN}{table_of(results)}\n{_PLOT}{_END}{after}"
    plot, readme = drawn(results), picture(results)
    page.write_text(text, encoding="utf-8")
    (_DOCS / "images" / "performance.svg").write_text(plot, encoding="utf-8")
    (_DOCS / "images" / "benchmark.svg").write_text(readme, encoding="utf-8")


def _cell(figures: Mapping[str, float] | None, raw: Mapping[str, float], against: str) -> str:
    if figures is None:
        return "-"
    seconds = figures["seconds"]
    if against == "added":
        return f"{(seconds - raw['seconds']) * 1000:+.0f} ms"
    return f"{seconds / raw['seconds']:.2f} (CPU {figures['cpu_seconds'] / raw['cpu_seconds']:.2f})"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
