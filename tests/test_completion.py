"""What a shell asks the program for when somebody presses TAB, as click's scripts for bash ask."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def completed(*words: str) -> list[str]:
    """The words that bash is offered for the last one."""
    environment = os.environ | {
        "_IMAGENET_PREP_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("imagenet-prep", *words)),
        "COMP_CWORD": str(len(words)),
    }
    program = "import sys; from imagenet_prep.__main__ import main; sys.argv[0] = 'imagenet-prep'; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line.startswith("plain,")]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("au",), ["audit"]),
        (("build", "a", "b", "--requ"), ["--require-original"]),
        (("build", "a", "b", "--format", "web"), ["webdataset"]),
        (("build", "a", "b", "--for", "tor"), ["torchvision"]),
        (("build", "a", "b", "--classes", "imagen"), ["imagenette", "imagenet100"]),
        (("build", "a", "b", "--classes", "tench,goldf"), ["tench,goldfish", "tench,goldfinch"]),
    ],
)
def test_a_word_that_was_begun_is_completed(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered
