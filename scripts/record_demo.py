"""Records ``imagenet-prep demo`` as docs/demo.svg: the real command on a real screen, tmux's, shown row by row.

    python scripts/record_demo.py

Rows appear at an even pace; the demo itself takes a second. What moves is style alone, so the picture runs no script,
and where nothing moves, the first screen is shown. A test compares the rows with what the demo says.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

RECORDING = Path(__file__).parents[1] / "docs/demo.svg"
COLUMNS, ROWS, PACE = 116, 26, 0.2  # characters, rows, seconds a row
LINE, CHARACTER, MARGIN = 17, 7.9, 12  # pixels; the font is 13 px, and a character of it 0.6 as wide

# What a terminal's colours (SGR) are called here; others do not show.
STYLES = {"1": "b", "2": "d", "31": "e", "32": "g", "33": "w", "36": "c", "91": "e", "92": "g", "93": "w", "96": "c"}
COLOURS = """\
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d4d7dd }
.b { font-weight: 600 } .d { fill: #8b929e } .e { fill: #ff7b72 } .g { fill: #7ee787 } .w { fill: #e3b341 }
.c { fill: #79c0ff }"""


def screen(folder: Path) -> list[str]:
    """Run the demo in a terminal of its own, and give the rows that it leaves there, with their colours."""
    tmux = ["tmux", "-L", f"record-demo-{folder.name}", "-f", "/dev/null"]
    program = shlex.quote(str(Path(sys.executable).with_name("imagenet-prep")))
    command = f"{program} demo; touch done; sleep 60"
    size = ["-x", str(COLUMNS), "-y", "200"]
    subprocess.run([*tmux, "new-session", "-d", *size, "-c", str(folder), command], check=True)
    try:
        while not (folder / "done").exists():
            time.sleep(0.1)
        shown = subprocess.run([*tmux, "capture-pane", "-p", "-e"], check=True, capture_output=True, encoding="utf-8")
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)
    return shown.stdout.rstrip().splitlines()


def drawn(row: str) -> str:
    """Draw the text of one row; a style lasts until the next one."""
    parts, style = [], ""
    for code, text in re.findall(r"\x1b\[([\d;]*)m|([^\x1b]+)", row):
        if text:
            parts.append(f'<tspan class="{style}">{escape(text)}</tspan>' if style else escape(text))
        else:
            style = " ".join(STYLES[each] for each in code.split(";") if each in STYLES)
    return "".join(parts)


def picture(rows: list[str]) -> str:
    """Make the picture: a cover moves down from the rows of the first screen, and then all rows move up."""
    width, height = round(COLUMNS * CHARACTER) + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    first, later = min(ROWS, len(rows)), max(0, len(rows) - ROWS)
    moves = f"""\
.cover {{ animation: cover {first * PACE:.1f}s steps({first}) both }}
.rows {{ animation: rows {later * PACE:.1f}s steps({max(1, later)}) {first * PACE:.1f}s both }}
@keyframes cover {{ from {{ transform: translateY(-{first * LINE}px) }} to {{ transform: none }} }}
@keyframes rows {{ from {{ transform: none }} to {{ transform: translateY(-{later * LINE}px) }} }}"""
    texts = [
        f'<text x="0" y="{(number + 1) * LINE - 4}">{drawn(row)}</text>'
        for number, row in enumerate(rows)
        if row.strip()
    ]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} xml:space="preserve" role="img">',
            "<title>imagenet-prep demo: a miniature is made, built, and read back</title>",
            f"<style>{COLOURS}\n{moves}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f27"/>',
            f'<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN}" height="{ROWS * LINE}">',
            '<g class="rows">',
            *texts,
            "</g>",
            f'<rect class="cover" y="{first * LINE}" width="{width}" height="{ROWS * LINE}" fill="#1b1f27"/>',
            "</svg>",
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Record, and write."""
    with TemporaryDirectory() as folder:
        rows = ["$ imagenet-prep demo", *screen(Path(folder))]
    RECORDING.write_text(picture(rows), "utf-8")


if __name__ == "__main__":
    main()
