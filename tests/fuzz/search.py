"""Search with atheris, which is guided by coverage: ``python tests/fuzz/search.py SECONDS [TARGET…]``.

The time is divided over the targets. Each runs in a process of its own, because libFuzzer ends the process it is in.
What was interesting stays in ``.fuzz`` for the next time; what crashed, took ten seconds or a gigabyte goes to
``crashers``, where the tests run it from then on.
"""

from __future__ import annotations

import contextlib
import logging
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRASHERS = HERE / "crashers"
CORPUS = HERE.parent.parent / ".fuzz"
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=8192", "-print_final_stats=1"]
INSTRUMENTED = ["imagenet_prep", "PIL", "csv", "gzip", "json", "tarfile", "xml"]
STATISTIC = re.compile(r"stat::(\w+): +(\d+)")
IN_HERE = "--in-here"

sys.path.insert(0, str(HERE.parent))


def main(seconds: int, names: list[str]) -> int:
    """Search in the targets that are named, or in all there are; 1 if something was found."""
    from fuzz.targets import TARGETS

    chosen = names or list(TARGETS)
    found = [name for name in chosen if not _is_clean(name, max(1, seconds // len(chosen)))]
    print(f"Found something in {', '.join(found)}: see {CRASHERS}." if found else "Found nothing.")
    return 1 if found else 0


def _is_clean(name: str, seconds: int) -> bool:
    crashers, log = CRASHERS / name, CORPUS / f"{name}.log"
    for folder in (crashers, CORPUS / name):
        folder.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        command = [sys.executable, __file__, IN_HERE, name, str(seconds)]
        done = subprocess.run(command, stdout=file, stderr=file, check=False)
    said = log.read_text(errors="replace")
    figures = dict(STATISTIC.findall(said))
    print(
        f"{name:16} {int(figures.get('number_of_executed_units', 0)):>12,} runs"
        f" {int(figures.get('average_exec_per_sec', 0)):>8,} a second {figures.get('peak_rss_mb', '?'):>6} MB",
        flush=True,
    )
    if done.returncode:
        print(said[-4000:])
    with contextlib.suppress(OSError):  # not empty
        crashers.rmdir()
    return done.returncode == 0


def search_in_here(name: str, seconds: str) -> None:
    """Let libFuzzer search in this process, which it ends."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzz.targets import TARGETS
    target, corpus, words = TARGETS[name], CORPUS / name, CORPUS / f"{name}.dict"
    for number, data in enumerate(target.sound):
        (corpus / f"sound-{number}").write_bytes(data)
    chosen = {*target.words, *(word for values in target.fields.values() for word in values)}
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in sorted(chosen) if len(word) <= 64))
    logging.disable()  # Pillow's remarks about damaged images
    options = [*LIMITS, f"-max_total_time={seconds}", f"-dict={words}", f"-artifact_prefix={CRASHERS / name}/"]
    atheris.Setup([name, *options, str(corpus)], target.run)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    if sys.argv[1] == IN_HERE:
        search_in_here(*sys.argv[2:])
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
