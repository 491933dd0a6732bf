"""Draws the results of `bench.py` as SVGs of horizontal bars: each way against delta-rs alone.

python benchmarks/plot.py .bench/results.json docs/images/performance.svg
python benchmarks/plot.py .bench/results.json docs/images/benchmark.svg picture
"""

import json
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

WIDTH, LABELS, BAR, GAP, MARGIN = 860, 230, 14, 26, 16
COLORS = {
    "raw": "#9aa0a6",
    "hand": "#5f6368",
    "hand, checked": "#5f6368",
    "transaction": "#8ab4f8",
    "transaction, audited": "#8ab4f8",
    "plain": "#8ab4f8",
    "table": "#1a73e8",
    "audited": "#174ea6",
}
PEER = "#d7b98e"
PICTURED = ("rewrite", "same", "days")
WORDS = {
    "raw": "write_deltalake alone",
    "hand": "an asset by hand",
    "dagster-deltalake-pandas": "dagster-deltalake-pandas",
    "dagster-delta": "dagster-delta",
    "dagster-polars": "dagster-polars",
    "table": "table_asset",
    "audited": "table_asset, rules audited",
}


def drawn(results: Mapping[str, Any]) -> str:
    """Return the SVG of all works, one group of bars for each."""
    ways = dict.fromkeys(way for work in results["works"].values() for way in work["turns"])
    return _svg(results, results["works"], {way: way for way in ways})


def picture(results: Mapping[str, Any]) -> str:
    """Return the SVG of the README: few works, and the ways that a project has, in words."""
    works = {name: results["works"][name] for name in PICTURED if name in results["works"]}
    return _svg(results, works, WORDS)


def _svg(results: Mapping[str, Any], works: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return an SVG on a light panel of its own, which reads on pages of any colour."""
    parts: list[str] = []
    top = 34
    for work in works.values():
        turns = {way: work["turns"][way] for way in words if way in work["turns"]}
        seconds = {way: median(turn["seconds"] for turn in taken) for way, taken in turns.items()}
        if not seconds:
            continue
        scale = (WIDTH - LABELS - 90) / max(seconds.values())
        parts.append(f'<text x="0" y="{top}" font-weight="bold">{escape(work["label"])}</text>')
        top += 8
        for way, value in seconds.items():
            middle = top + BAR - 3
            parts.append(f'<text x="{LABELS - 8}" y="{middle}" text-anchor="end">{escape(words[way])}</text>')
            parts.append(
                f'<rect x="{LABELS}" y="{top}" width="{value * scale:.1f}" height="{BAR - 3}" '
                f'fill="{COLORS.get(way, PEER)}"/>'
            )
            text = f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.2f} s"
            parts.append(f'<text x="{LABELS + value * scale + 6:.1f}" y="{middle}">{text}</text>')
            top += BAR
        top += GAP
    machine = " · ".join(f"{name} {value}" for name, value in results["machine"].items())
    parts.append(f'<text x="0" y="{top}" fill="#5f6368">{escape(machine)}</text>')
    wide, high = WIDTH + 2 * MARGIN, top + 12 + MARGIN
    size = f'width="{wide}" height="{high}" viewBox="{-MARGIN} 0 {wide} {high}"'
    font = 'font-family="sans-serif" font-size="11" fill="#202124"'
    panel = f'<rect x="{-MARGIN}" width="{wide}" height="{high}" rx="8" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{panel}{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    draw = picture if "picture" in sys.argv[3:] else drawn
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())), encoding="utf-8")
