"""Kill builds outright at random moments, go on, and compare every byte with an undisturbed run.

    PYTHONPATH=tests python -m torture.kills --builds 200 --pairs 60 --seed 0

A build is killed once or more, and each time the same command goes on, or ``resume``. What is killed is the process,
one of its workers, or all of them together; when is chosen by phase, as the command itself says on standard error.
After every kill each file that has its final name has its final bytes. Exit code 1 at the first difference.

Pairs are two builds into one folder at once, each in a process space of its own, with one host name and the same
process numbers, as two containers have: none, one or both are killed. For half of them locks do not work.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from imagenet_prep import OUTPUTS
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import files
from support.command import COMMAND

PHASES = ("start", "index", "write", "finish", "done")  # done: the result was told, the process is about to end
AIMS = (2, 2, 4, 4, 1)  # how often each is chosen; the moment within it is even
VICTIMS = ("parent", "worker", "group")
AGAIN = 0.4  # of the runs that go on are killed, too
RESUMED = 0.5  # of them are ``resume``
BAD = ("text", "truncated", "empty")
Contents = dict[str, bytes]
_SPACE = ("--pid", "--fork", "--kill-child", "--mount-proc")
IN_A_SPACE = ("unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), *_SPACE)
NO_LOCKS = """
import errno, fcntl, os
def flock(descriptor, operation):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = flock
"""


class Recipe(NamedTuple):
    """One way to build; ``code`` is that of an undisturbed run."""

    options: tuple[str, ...]
    layout: str
    quirks: tuple[str, ...] = ()
    code: int = 0
    alone: bool = False  # whether a second run beside it is refused


_COMMON = ("--test-per-class", "2", "--jobs", "2", "--json")
_EVERY = (*(f"--format={name}" for name in OUTPUTS), "--shards", "train=8")
RECIPES = {
    "every format": Recipe((*_EVERY, *_COMMON), "archives"),
    "set aside": Recipe((*_EVERY, "--on-bad", "set-aside", *_COMMON), "archives", BAD, 3, alone=True),
    "hardlink": Recipe(("--format", "folders", "--transfer", "hardlink", *_COMMON), "mixed"),
    "move": Recipe(("--format", "folders", "--transfer", "move", *_COMMON), "extracted", alone=True),
    "move beside shards": Recipe(
        ("--format", "tfds", "--format", "folders", "--transfer", "move", *_COMMON), "extracted", alone=True
    ),
}


class Run:
    """One run of the command, whose words are read as they come."""

    def __init__(self, *arguments: object, prefix: tuple[str, ...] = (), faulty: Path | None = None) -> None:
        self.began = time.monotonic()
        self.times = {"start": 0.0}  # when each phase was first heard of
        self.said: list[str] = []
        self._news = threading.Condition()
        command = [*prefix, *COMMAND, *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(faulty)} if faulty else None,
        )
        self._readers = [threading.Thread(target=read) for read in (self._read_events, self._read_result)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r'"stage": "(\w+)"', line)
            if found and found[1] in PHASES:
                self._tell(found[1])
        self._tell("ended")

    def _read_result(self) -> None:
        assert self.process.stdout
        for _ in self.process.stdout:
            self._tell("done")

    def _tell(self, phase: str) -> None:
        with self._news:
            self.times.setdefault(phase, time.monotonic() - self.began)
            self._news.notify_all()

    @property
    def phase(self) -> str:
        """The last phase that was heard of."""
        with self._news:
            return max(self.times.keys() & set(PHASES), key=PHASES.index)

    def wait_for(self, phase: str) -> None:
        """Wait until a phase has begun, or a later one, or everything has ended."""
        enough = {*PHASES[PHASES.index(phase) :], "ended"}
        with self._news:
            self._news.wait_for(lambda: self.times.keys() & enough, timeout=60)

    def kill(self, victim: str, chance: random.Random) -> str:
        """Kill outright; give what was killed, "" if there was nothing any more."""
        workers = children(self.process.pid) if victim == "worker" else []
        if self.process.poll() is not None:
            return ""
        try:
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                return "worker"
            if victim == "group":
                os.killpg(self.process.pid, signal.SIGKILL)
                return "group"
        except ProcessLookupError:  # of the worker
            return ""
        self.process.kill()
        return "parent"

    def close(self) -> None:
        """Wait until every process is gone that could still say something."""
        for reader in self._readers:
            reader.join(20)
            assert not reader.is_alive(), "a process is left"
        for pipe in self.process.stdout, self.process.stderr:
            assert pipe
            pipe.close()


def children(process: int) -> list[int]:
    """Give the processes that a process has started."""
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in said.splitlines()]
    return [child for child, parent in pairs if parent == process]


def finished(folder: Path) -> Contents:
    """Every file that has its final name."""
    return {name: data for name, data in files(folder, "catalog.arrow").items() if not name.endswith(".part")}


class Place:
    """Where one recipe is built again and again, and what it must give."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.source, self.out, self._kept = folder / "source", folder / "out", folder / "kept"
        self.faulty = folder / "faulty"
        options = MiniatureOptions(
            classes=4, images_per_class=12, validation_per_class=3, layout=recipe.layout, quirks=recipe.quirks
        )
        write_miniature(self._kept, options)
        self.clear()
        run = self.run()
        assert run.process.wait() == recipe.code, run.said
        run.close()
        self.want, self.want_source = files(self.out, "catalog.arrow"), files(self.source, "catalog.arrow")
        times = [run.times[phase] for phase in PHASES] + [time.monotonic() - run.began]
        self.spans = dict(zip(PHASES, (after - before for before, after in pairwise(times)), strict=True))

    def clear(self) -> None:
        """Have the source as it was, and nothing built."""
        for old in self.source, self.out:
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(self._kept, self.source)

    def run(self, prefix: tuple[str, ...] = (), *, locks: bool = True, resumed: bool = False) -> Run:
        """Start the command; or ``resume``, if there is something to resume."""
        if not locks:
            self.faulty.mkdir(exist_ok=True)
            (self.faulty / "sitecustomize.py").write_text(NO_LOCKS)
        faulty = None if locks else self.faulty
        if resumed and (self.out / ".imagenet-prep/state.json").exists():
            return Run("resume", self.out, "--jobs", 2, "--json", prefix=prefix, faulty=faulty)
        return Run("build", self.source, self.out, *self.recipe.options, prefix=prefix, faulty=faulty)

    def assert_sound(self) -> None:
        """What has a final name is what it will be."""
        assert_same(finished(self.out), self.want, missing=True)

    def assert_finished(self, *, locks: bool = True) -> None:
        """Every byte is that of the undisturbed run, in the output and in the source. Without ``locks`` temporary files
        of killed runs may be there.
        """
        found = files(self.out, "catalog.arrow")
        assert_same({name: found[name] for name in found if locks or not name.endswith(".part")}, self.want)
        assert_same(files(self.source, "catalog.arrow"), self.want_source)


def assert_same(found: Contents, want: Contents, *, missing: bool = False) -> None:
    """Name the files that differ; some may be ``missing`` yet."""
    names = found.keys() if missing else found.keys() | want.keys()
    different = sorted(name for name in names if found.get(name) != want.get(name))
    assert not different, f"different: {', '.join(different)}"


def torment(place: Place, chance: random.Random) -> list[tuple[str, str]]:
    """Build once, killed again and again until it is left alone; give the phase and the victim of each kill."""
    place.clear()
    runs: list[tuple[Run, str, str]] = []
    disturbed = True
    while True:
        run = place.run(resumed=chance.random() < RESUMED)
        victim = phase = ""
        if disturbed:
            [aim] = chance.choices(PHASES, AIMS)
            run.wait_for(aim)
            time.sleep(chance.random() * place.spans[aim])
            phase, victim = run.phase, run.kill(chance.choice(VICTIMS), chance)
        code = run.process.wait(120)
        runs.append((run, victim if victim == "worker" or code == -signal.SIGKILL else "", phase))
        place.assert_sound()
        if code != -signal.SIGKILL:  # a worker's death does not end a run
            break
        disturbed = chance.random() < AGAIN
    for each, _, _ in runs:
        each.close()
    assert code == place.recipe.code, run.said
    place.assert_finished()
    return [(phase if victim == "worker" else each.phase, victim) for each, victim, phase in runs if victim]


def torment_two(place: Place, chance: random.Random) -> int:
    """Build twice at once, in two process spaces; kill none, one or both; then build once more. Gives how many were
    killed.
    """
    locks = place.recipe.alone or chance.random() < 0.5  # what has to be alone needs them
    place.clear()
    pair = [place.run(IN_A_SPACE, locks=locks), place.run(IN_A_SPACE, locks=locks)]
    doomed = chance.sample(pair, chance.choice((0, 1, 1, 2)))
    for run in doomed:
        [aim] = chance.choices(PHASES, AIMS)
        run.wait_for(aim)
        time.sleep(chance.random() * place.spans[aim])
        run.process.kill()
    codes = [run.process.wait(120) for run in pair]
    for run in pair:
        run.close()
    place.assert_sound()
    killed = codes.count(-signal.SIGKILL)
    for run, code in zip(pair, codes, strict=True):
        refused = place.recipe.alone and code in (4, 5)  # 4: the other one has moved files away
        assert code == place.recipe.code or refused or (code == -signal.SIGKILL and run in doomed), run.said
        assert not any("Traceback" in line for line in run.said), run.said
    last = place.run(locks=locks)
    assert last.process.wait(120) == place.recipe.code, last.said
    last.close()
    place.assert_finished(locks=locks)
    return killed


def main(builds: int, seed: int, first: int, pairs: int) -> int:
    """Torment that many builds and pairs, those with the numbers from ``first`` on; 1 at the first difference."""
    print(f"{builds:,} builds, {pairs:,} pairs, seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    places = {name: Place(folder / name.replace(" ", "-"), recipe) for name, recipe in RECIPES.items()}
    if torment_builds(places, builds, seed, first) or torment_pairs(places, pairs, seed, first):
        return 1
    shutil.rmtree(folder)
    print("All bytes are those of undisturbed runs.")
    return 0


def torment_pairs(places: dict[str, Place], pairs: int, seed: int, first: int) -> int:
    """Torment that many pairs; 1 at the first difference."""
    if pairs and sys.platform != "linux":
        print("Process spaces are of Linux: no pairs.")
        return 0
    killed: Counter[int] = Counter()
    for number in range(first, first + pairs):
        name = list(RECIPES)[number % len(RECIPES)]
        try:
            killed[torment_two(places[name], random.Random(f"two {seed} {number}"))] += 1
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"DIFFERENT: pair {number} ({name}): {error}\nIt lies in {places[name].out}.")
            print(f"To repeat it: --builds 0 --pairs 1 --seed {seed} --first {number}")
            return 1
    print(f"Of {pairs:,} pairs none was killed in {killed[0]:,}, one in {killed[1]:,}, both in {killed[2]:,}.")
    return 0


def torment_builds(places: dict[str, Place], builds: int, seed: int, first: int) -> int:
    """Torment that many builds; 1 at the first difference."""
    hits: Counter[tuple[str, str]] = Counter()
    killed_builds = killed_again = 0
    number = first
    while killed_builds < builds:
        name = list(RECIPES)[number % len(RECIPES)]
        try:
            kills = torment(places[name], random.Random(f"{seed} {number}"))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"DIFFERENT: build {number} ({name}): {error}\nIt lies in {places[name].out}.")
            again = f"--builds 1 --pairs 0 --seed {seed} --first {number}"
            print(f"To repeat it: {again}; the moments depend on the machine, too.")
            return 1
        hits.update(kills)
        killed_builds += bool(kills)
        killed_again += max(0, len(kills) - 1)
        number += 1
    show(hits)
    print(f"{killed_builds:,} builds were killed {hits.total():,} times, {killed_again:,} of these while going on.")
    return 0


def show(hits: Counter[tuple[str, str]]) -> None:
    """Print how often which phase was hit, and what was killed."""
    print(f"{'killed during':14}" + "".join(f"{victim:>8}" for victim in VICTIMS) + f"{'all':>8}")
    for phase in PHASES:
        counts = [hits[phase, victim] for victim in VICTIMS]
        print(f"{phase:14}" + "".join(f"{count:8,}" for count in (*counts, sum(counts))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--builds", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=60, help="of builds at once, in two process spaces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first build")
    sys.exit(main(**vars(parser.parse_args())))
