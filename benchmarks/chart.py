"""Draws ``docs/speed.svg`` from ``figures.json``, and prints the table of expected times.

    python benchmarks/chart.py

Every figure is one that README.md states; tests compare the two, and the picture with what is drawn here. The bars are
seconds for each gigabyte of the source, so that comparisons of different size share a scale; the number at a bar is
what was measured. An expected time is computed: ``cp`` reads and then writes all bytes at the rate of the disk, and a
build takes as long as that, times a ratio that was measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FIGURES = Path(__file__).with_name("figures.json")
CHART = Path(__file__).parents[1] / "docs/speed.svg"

WIDTH, LEFT, RIGHT, BAR, HEAD = 760, 210, 70, 20, 26

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.input { fill: #6e7781 }
.other { fill: #afb8c1 }
.ours { fill: #3f51b5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .input { fill: #8d96a0 }
  .other { fill: #6e7681 }
  .ours { fill: #8c9eff }
}"""


def chart(figures: dict[str, Any]) -> str:
    """Draw all comparisons under each other. The text has no time and no chance in it."""
    comparisons = figures["comparisons"]
    longest = max(bar["seconds"] / each["bytes"] for each in comparisons for bar in each["bars"])
    parts, top = [], 4
    for each in comparisons:
        heading = f'{escape(each["title"])} <tspan class="input">{escape(each["input"])}</tspan>'
        parts.append(f'<text class="title" x="0" y="{top + 15}">{heading}</text>')
        top += HEAD
        for bar in each["bars"]:
            width = (WIDTH - LEFT - RIGHT) * bar["seconds"] / each["bytes"] / longest
            kind = "ours" if bar.get("ours") else "other"
            parts += [
                f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(bar["name"])}</text>',
                f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR - 2}" rx="2"/>',
                f'<text x="{LEFT + width + 6:.1f}" y="{top + 14}">{bar["seconds"]:.3g} s</text>',
            ]
            top += BAR
        top += 12
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    said = "; ".join(
        f"{each['title']}, {each['input']}: " + ", ".join(f"{bar['name']} {bar['seconds']} s" for bar in each["bars"])
        for each in comparisons
    )
    return "\n".join([head, f"<title>{escape(said)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def expected_times(figures: dict[str, Any]) -> list[str]:
    """Give the rows of the table of expected times: machine, its rate, `cp` and the build, in minutes."""
    of = figures["expected"]
    rows = []
    for machine in of["machines"]:
        copy = 2 * of["bytes"] / machine["bytes_a_second"] / 60
        least, most = (f"{ratio * copy:.1f}" for ratio in of["ratios_to_cp"])
        rate = f"{machine['bytes_a_second'] / 1e9:g} GB/s"
        rows.append(f"| {machine['name']} | {rate} | {copy:.1f} min | {least} to {most} min |")
    return rows


def main() -> None:
    """Draw, and print."""
    figures = json.loads(FIGURES.read_text("utf-8"))
    CHART.write_text(chart(figures), "utf-8")
    print("\n".join(expected_times(figures)))


if __name__ == "__main__":
    main()
