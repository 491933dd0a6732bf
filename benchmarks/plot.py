"""Draws the results of `bench.py` as an SVG of horizontal bars: each way against delta-rs alone.

python benchmarks/plot.py .bench/results.json docs/performance.svg
"""

import json
import sys
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

WIDTH, LABELS, BAR, GAP = 860, 230, 14, 26
COLORS = {
    "raw": "#9aa0a6",
    "hand": "#5f6368",
    "transaction": "#8ab4f8",
    "transaction, audited": "#8ab4f8",
    "plain": "#8ab4f8",
    "table": "#1a73e8",
    "audited": "#174ea6",
}
PEER = "#d7b98e"


def drawn(results: dict[str, Any]) -> str:
    """Return the SVG of all works, one group of bars for each."""
    parts: list[str] = []
    top = 34
    for work in results["works"].values():
        seconds = {way: median(turn["seconds"] for turn in turns) for way, turns in work["turns"].items()}
        if not seconds:
            continue
        scale = (WIDTH - LABELS - 90) / max(seconds.values())
        parts.append(f'<text x="0" y="{top}" font-weight="bold">{escape(work["label"])}</text>')
        top += 8
        for way, value in seconds.items():
            middle = top + BAR - 3
            parts.append(f'<text x="{LABELS - 8}" y="{middle}" text-anchor="end">{escape(way)}</text>')
            parts.append(
                f'<rect x="{LABELS}" y="{top}" width="{value * scale:.1f}" height="{BAR - 3}" '
                f'fill="{COLORS.get(way, PEER)}"/>'
            )
            text = f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.2f} s"
            parts.append(f'<text x="{LABELS + value * scale + 6:.1f}" y="{middle}">{text}</text>')
            top += BAR
        top += GAP
    machine = "  ".join(f"{name} {value}" for name, value in results["machine"].items())
    parts.append(f'<text x="0" y="{top}" fill="#5f6368">{escape(machine)}</text>')
    size = f'width="{WIDTH}" height="{top + 12}" viewBox="0 0 {WIDTH} {top + 12}"'
    font = 'font-family="sans-serif" font-size="11"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{background}{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(drawn(json.loads(Path(sys.argv[1]).read_text())), encoding="utf-8")
