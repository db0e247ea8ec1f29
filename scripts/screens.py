"""Capture what the program shows on real terminals, to be looked at: `scripts/screens.py > screens.txt`.

Needs tmux. The commands run on a miniature, at several widths, on a terminal called dumb, and with no terminal; work in
progress is captured in the middle, and interrupted. What is deterministic of it is held by tests/test_screens.py.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

WIDTHS = (60, 80, 120, 200)
PROGRAM = f"{sys.executable} -m imagenet_prep"
MINIATURE = "fake PHOTOS --size photo --classes 20 --images-per-class 60 --validation-per-class 10"
SLOW = "PHOTOS NEW --test-per-class 5 --jobs 1 --check decode"
COMMANDS = {
    "check": "check SMALL",
    "build": "build SMALL DATA",
    "the same again": "build SMALL DATA",
    "audit": "audit DATA",
    "an error": "build SMALL DATA --test-per-class 3",
    "wrong usage": "build SMALL DATA --formatt tfds",
    "fetch": "fetch SMALL",
}
_END = re.compile(r"^\[exit \d+\]$", re.MULTILINE)
_MIDDLE = re.compile(r" left")
_STARTED = re.compile(r"Writing shards")
_NUMBERS = count()
_PATIENCE = 60.0  # seconds


class Terminal:
    """A terminal of so many columns, in which one command runs."""

    def __init__(self, folder: Path, command: str, width: int, kind: str = "") -> None:
        self._tmux = ["tmux", "-L", f"screens-{os.getpid()}-{next(_NUMBERS)}"]  # a server that ends is slow to go
        setting = f"TERM={kind} " if kind else ""
        script = f'trap : INT; cd {folder}; {setting}{PROGRAM} {command}; echo "[exit $?]"; read line'
        size = ["-x", str(width), "-y", "90"]
        subprocess.run([*self._tmux, "-f", "/dev/null", "new-session", "-d", *size, "sh", "-c", script], check=True)

    def shown(self, colours: bool = False) -> str:
        """Give what stands there now."""
        command = [*self._tmux, "capture-pane", "-p", *(["-e"] if colours else [])]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()

    def wait(self, until: re.Pattern[str]) -> None:
        """Wait until something stands there, or the command has ended."""
        end = time.monotonic() + _PATIENCE
        while not (until.search(shown := self.shown()) or _END.search(shown)) and time.monotonic() < end:
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        subprocess.run([*self._tmux, "send-keys", "C-c"], check=True)

    def close(self) -> None:
        """End it, and its server."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@contextmanager
def terminal(folder: Path, command: str, width: int, kind: str = "") -> Iterator[Terminal]:
    """Give a terminal in which a command has been started."""
    opened = Terminal(folder, command, width, kind)
    try:
        yield opened
    finally:
        opened.close()


def screens(folder: Path, width: int, kind: str, colours: bool) -> Iterator[tuple[str, str]]:
    """Give the screens of all commands, each with its title."""
    for what in ("DATA", "NEW"):
        shutil.rmtree(folder / what, ignore_errors=True)
    for title, command in COMMANDS.items():
        with terminal(folder, command, width, kind) as opened:
            opened.wait(_END)
            yield f"{title}: imagenet-prep {command}", opened.shown(colours)
    with terminal(folder, f"build {SLOW}", width, kind) as opened:
        opened.wait(_STARTED if kind else _MIDDLE)
        yield f"in the middle: imagenet-prep build {SLOW}", opened.shown(colours)
        opened.interrupt()
        opened.wait(_END)
        yield "then Ctrl-C", opened.shown(colours)
    with terminal(folder, f"build {SLOW}", width, kind) as opened:
        opened.wait(_END)
        yield "and the same again", opened.shown(colours)


def piped(folder: Path) -> Iterator[tuple[str, str]]:
    """Give what the commands print where there is no terminal."""
    shutil.rmtree(folder / "DATA", ignore_errors=True)
    for title, command in COMMANDS.items():
        words = [*PROGRAM.split(), *command.split()]
        ended = subprocess.run(
            words, check=False, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        yield f"{title}: imagenet-prep {command}", f"{ended.stdout}[exit {ended.returncode}]"


def main() -> None:
    """Make the sources, and print all screens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, action="append", help="columns, in place of 60, 80, 120 and 200")
    parser.add_argument("--colours", action="store_true", help="keep the escape codes of colours")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command in (MINIATURE, "fake SMALL"):
            subprocess.run([*PROGRAM.split(), *command.split()], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        for width in given.width or WIDTHS:
            for title, shown in screens(folder, width, "", given.colours):
                print(f"\n=== {width} columns, {title}\n{shown}")
        for title, shown in screens(folder, 80, "dumb", given.colours):
            print(f"\n=== 80 columns, TERM=dumb, {title}\n{shown}")
        for title, shown in piped(folder):
            print(f"\n=== no terminal, {title}\n{shown}")


if __name__ == "__main__":
    main()
