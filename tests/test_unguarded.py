"""A script that starts a build as it is imported: worker processes that are spawned import it, and would build, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from imagenet_prep.testing import MiniatureOptions, write_miniature

SCRIPT = """\
import threading
import imagenet_prep

threading.Thread(target=threading.Event().wait, daemon=True).start()  # so workers are spawned, not forked
imagenet_prep.build({source!r}, {out!r}, imagenet_prep.BuildOptions.of(jobs=2, test_per_class=2))
"""


def test_a_script_without_a_main_guard_is_asked_for_one(tmp_path: Path) -> None:
    archives = write_miniature(tmp_path / "archives", MiniatureOptions(classes=3, images_per_class=12)).root
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(source=str(archives), out=str(tmp_path / "out")))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "UsageError: This script starts the work whenever it is imported, and worker processes import it.\n"
        'Put the call below the line: if __name__ == "__main__":\n'
    )
    assert done.stderr.count("Traceback") == 1, "the workers are silent"
    assert not list(tmp_path.glob("out/tfrecord/*"))


def test_with_a_main_guard_it_builds(tmp_path: Path) -> None:
    archives = write_miniature(tmp_path / "archives", MiniatureOptions(classes=3, images_per_class=12)).root
    *before, call = SCRIPT.format(source=str(archives), out=str(tmp_path / "out")).splitlines()
    script = tmp_path / "script.py"
    script.write_text("\n".join([*before, 'if __name__ == "__main__":', f"    print({call})"]))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, shards, size = done.stdout.splitlines()
    assert first == "<Report: 66 images (train 30, validation 30, test 6), 0 set aside"
    assert shards == " shards: 3 written, 0 there before"
    assert size.startswith(" bytes: ")
