"""Run a command and tell what it cost, all its processes together: time, bytes, memory. For Linux.

Time and bytes are the kernel's own account of the process and of the children it waited for, read when it has ended:
``wait4`` has the processor time, ``/proc/PID/io`` the bytes that went through read and write calls, page cache or
not. Memory is the high-water mark (``VmHWM``) of every process of the tree, looked at many times a second.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.02

PREP = (sys.executable, "-m", "imagenet_prep")


@dataclass(frozen=True)
class Cost:
    """What one command cost: seconds of wall time and of processor time, bytes read and written, and the most bytes
    of memory that the process itself and each of its descendants (by process number) held.
    """

    wall: float
    cpu: float
    read: int
    written: int
    parent: int = 0
    workers: dict[int, int] = field(default_factory=dict)


def run(command: Sequence[str | Path], *, memory: bool = False) -> Cost:
    """Run a command to its end, standard output thrown away; ends the benchmark if it fails.

    With ``memory``, its processes are looked at while it runs, which takes some processor time itself.
    """
    arguments = [str(part) for part in command]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    process = os.posix_spawnp(arguments[0], arguments, _environment(), file_actions=quiet)
    peaks = _watch(process) if memory else {}
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)  # ended, but its accounts can still be read
    wall = time.perf_counter() - began
    counts = dict(line.split(": ") for line in Path(f"/proc/{process}/io").read_text().splitlines())
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed: exit code {os.waitstatus_to_exitcode(status)}")
    return Cost(
        wall,
        usage.ru_utime + usage.ru_stime,
        int(counts["rchar"]),
        int(counts["wchar"]),
        peaks.pop(process, 0),
        peaks,
    )


def _environment() -> dict[str, str]:
    """An installed program has its byte code compiled; here the run that is not counted does it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _watch(process: int) -> dict[int, int]:
    """Look at a process and its descendants until it has ended; the highest mark of each in bytes."""
    peaks: dict[int, int] = {}
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        peaks |= _marks(process)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return peaks


def _marks(root: int) -> dict[int, int]:
    parents: dict[int, int] = {}
    marks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            status = _status(folder)
            if "VmHWM" in status:
                parents[int(folder.name)] = int(status["PPid"])
                marks[int(folder.name)] = int(status["VmHWM"].split()[0]) * 1024
    return {process: mark for process, mark in marks.items() if _descends(process, root, parents)}


def _status(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it ended just now
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _descends(process: int, root: int, parents: dict[int, int]) -> bool:
    while process in parents and process != root:
        process = parents[process]
    return process == root


def jobs_option(jobs: int) -> list[str]:
    """Give the option for so many processes; none for 0, so that the build chooses."""
    return ["--jobs", str(jobs)] if jobs else []


def settle(archives: Sequence[Path], scratch: Path, *, cold: bool = False) -> None:
    """Make things equal for the next measurement: copy the archives to ``scratch`` and delete the copies.

    What was written before goes to the disk, and the memory that the next output needs has just been in use. A virtual
    machine hands memory that has been free for seconds back to its host, and getting it again takes several times as
    long as a copy does: whoever happened to get such memory would pay for it.

    With ``cold`` the kernel then forgets every file, so that the disk has to give it. Only root may ask for that.
    """
    for archive in archives:
        copy = scratch / "settle"
        shutil.copyfile(archive, copy)
        os.sync()
        copy.unlink()
    os.sync()
    if cold:
        Path("/proc/sys/vm/drop_caches").write_text("3")


def machine(*folders: Path) -> str:
    """Say on what was measured, in one line; ``folders`` are those whose file system counts."""
    parts = [
        time.strftime("%Y-%m-%d"),
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        f"{platform.system()} {platform.release()}",
        " and ".join(dict.fromkeys(_file_system(folder) for folder in folders)),
        f"Python {platform.python_version()}",
        f"imagenet-prep {version('imagenet-prep')}",
    ]
    return " · ".join(part for part in parts if part)


def _processor() -> str:
    """Name the processor. A virtual machine may hide all but the maker; then family and model tell the generation."""
    lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    facts = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    if "model name" not in facts:
        return platform.machine()
    number = f" (family {facts['cpu family'].strip()}, model {facts['model'].strip()})" if "cpu family" in facts else ""
    return facts["model name"].strip() + number


def _file_system(folder: Path) -> str:
    command = ["df", "--output=fstype", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
