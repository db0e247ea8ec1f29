"""How fast a download with its checksum is, against ``curl`` piped into ``tee`` and ``md5sum``, and what it costs to go
on.

    python benchmarks/fetch_rate.py SCRATCH [--bytes 1e9] [--pairs 7] [--rate 100e6] [--kills 3]

From loopback; whole commands, from their start to their end, alternating in one run. Ours also syncs the file, and
gives it its name. Then the command is killed (SIGKILL) when nine tenths of the file are there, and started again: from
a server as fast as it goes, and from one of ``--rate`` bytes a second.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from measure import Cost, machine, run

from imagenet_prep.cli import main as command_line
from imagenet_prep.imagenet import archives as facts

_NAME = "ILSVRC2012_img_val.tar"
_AS_PUBLISHED = "--as-published"


def main() -> None:
    """Measure the rate, then the resumption."""
    options = _options()
    options.scratch.mkdir(parents=True, exist_ok=True)
    served, out = options.scratch / "served", options.scratch / "out"
    served.mkdir(exist_ok=True)
    size, md5 = _make(served / _NAME, int(options.bytes))
    print(machine(options.scratch), end="\n\n")
    with _serving(served, 0) as url:
        _against_curl(url, out, size, md5, options.pairs)
    for rate in (0.0, options.rate):
        with _serving(served, rate) as url:
            _resumed(url, out, size, md5, rate, options.kills)
    shutil.rmtree(served)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--bytes", type=float, default=1e9)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--rate", type=float, default=100e6)
    parser.add_argument("--kills", type=int, default=3)
    return parser.parse_args()


def _make(path: Path, size: int) -> tuple[int, str]:
    """Write bytes that cannot be compressed, and begin as a tar does; give their number and their MD5."""
    digest = hashlib.md5()
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            chunk = os.urandom(min(1 << 20, size - start))
            chunk = chunk[:257] + b"ustar" + chunk[262:]
            file.write(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


@contextmanager
def _serving(folder: Path, rate: float) -> Iterator[str]:
    """Serve a folder from a process of its own; give the URL of the file."""
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder), f"--rate={rate}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = server.stdout.readline().strip()
        try:
            yield f"http://127.0.0.1:{port}/{_NAME}"
        finally:
            server.kill()


def _fetch(url: str, out: Path, size: int, md5: str) -> list[str]:
    return [sys.executable, __file__, _AS_PUBLISHED, str(size), md5, "fetch", str(out), "--url", url, "--quiet"]


def _against_curl(url: str, out: Path, size: int, md5: str, pairs: int) -> None:
    ours: list[Cost] = []
    theirs: list[Cost] = []
    for pair in range(pairs + 1):
        shutil.rmtree(out, ignore_errors=True)
        costs = (
            run(_fetch(url, out, size, md5), memory=True),
            run(["sh", "-c", f"curl -s {url} | tee {out}.curl | md5sum"]),
        )
        if pair:  # the first is not counted: it brings everything into the cache
            ours.append(costs[0])
            theirs.append(costs[1])
    shutil.rmtree(out)
    Path(f"{out}.curl").unlink()
    share = statistics.median(b.wall / a.wall for a, b in zip(ours, theirs, strict=True))
    print("| | wall | MB/s | processor | most memory |\n|---|---|---|---|---|")
    for what, costs_of in (("imagenet-prep fetch", ours), ("curl, tee, md5sum", theirs)):
        wall = statistics.median(cost.wall for cost in costs_of)
        cpu = statistics.median(cost.cpu for cost in costs_of)
        memory = f"{max(cost.parent for cost in costs_of) / 1e6:,.0f} MB" if costs_of is ours else ""
        print(f"| {what} | {wall:.2f} s | {size / wall / 1e6:,.0f} | {cpu:.2f} s | {memory} |")
    print(f"\nrate against curl, tee and md5sum: {share:.2f} (median of {pairs} pairs)\n", flush=True)


def _resumed(url: str, out: Path, size: int, md5: str, rate: float, kills: int) -> None:
    shutil.rmtree(out, ignore_errors=True)
    whole = run(_fetch(url, out, size, md5)).wall
    read = run(["md5sum", str(out / _NAME)]).wall * 0.9
    for _ in range(kills):
        shutil.rmtree(out)
        had = _killed_at(_fetch(url, out, size, md5), out / f"{_NAME}.part", size * 9 // 10)
        rest = run(_fetch(url, out, size, md5)).wall
        speed = f"{rate / 1e6:,.0f} MB/s" if rate else "as fast as it goes"
        allowed = whole * (1 - had / size) + 1 + read
        print(
            f"{speed}: whole {whole:.2f} s; killed at {had / size:.1%}, the rest took {rest:.2f} s; "
            f"the missing part, reading the rest once and one second would be {allowed:.2f} s",
            flush=True,
        )
    shutil.rmtree(out)


def _killed_at(command: list[str], part: Path, size: int) -> int:
    """Kill a command when the part has so many bytes; give how many it had."""
    with subprocess.Popen(command) as process:
        while not part.exists() or part.stat().st_size < size:
            time.sleep(0.001)
            if process.poll() is not None:
                raise SystemExit("it was done before it could be killed: take more --bytes")
        process.send_signal(signal.SIGKILL)
    return part.stat().st_size


def _as_published(size: str, md5: str, *arguments: str) -> None:
    """Run the command line with a file that is taken for the published one."""
    archive = facts.OFFICIAL_BY_ROLE[facts.VALIDATION]
    facts.OFFICIAL_BY_ROLE[facts.VALIDATION] = replace(archive, size=int(size), md5=md5)
    sys.argv = ["imagenet-prep", *arguments]
    command_line.run()


if __name__ == "__main__":
    if sys.argv[1:2] == [_AS_PUBLISHED]:
        _as_published(*sys.argv[2:])
    else:
        main()
