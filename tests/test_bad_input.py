"""What bad input gets: a sentence with archive, member, offset and remedy, a documented exit code, and nothing that
looks complete.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from imagenet_prep import AuditOptions, BuildOptions, OutputError, SourceError, UsageError, audit, build
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import state, when_writing_begins
from support.command import run, start
from support.sentences import Sentence

ONE_PROCESS = AuditOptions(jobs=1)

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT, BOXES = "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_bbox_train_v2.tar.gz"
COMPLETE = {"build.json", "manifest.parquet", "classes.csv", "dataset_info.json", "features.json"}
DAMAGED = "Compare the archive's checksum with the published one, or download it again"


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The message: everything on standard error that is not progress."""
        lines = self.stderr.splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("Error: "))
        return lines[start:]


Run = Callable[..., Outcome]


def run_here(*arguments: str | Path) -> Outcome:
    """Run ``imagenet-prep build`` in this process."""
    done = run("build", "--quiet", "--jobs", 1, *arguments)
    return Outcome(done.returncode, done.stdout, done.stderr)


LIMITED = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""


def run_alone(*arguments: str | Path, largest_file: int | None = None) -> Outcome:
    """Run it as a user would; ``largest_file`` is what the system lets it write, in bytes."""
    prefix = () if largest_file is None else (sys.executable, "-c", LIMITED, str(largest_file))
    done = start("build", "--quiet", "--jobs", 1, *arguments, prefix=prefix)
    return Outcome(done.returncode, done.stdout, done.stderr)


def refused(code: int, out: Path, *arguments: str | Path, by: Run = run_here) -> list[str]:
    """Run a build that fails; give its message. No failure has a traceback, or leaves what looks complete."""
    outcome = by(*arguments)
    assert outcome.code == code, outcome.stderr
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert_nothing_looks_complete(out)
    return outcome.lines


def assert_nothing_looks_complete(out: Path) -> None:
    names = {path.name for path in out.rglob("*")} if out.is_dir() else set()
    assert not names & COMPLETE
    assert [name for name in names if name.endswith(".part")] == []


def miniature(tmp_path: Path, *quirks: str, **options: Any) -> Miniature:
    chosen = {"classes": 3, "images_per_class": 5, "validation_per_class": 2, **options}
    return write_miniature(tmp_path / "archives", MiniatureOptions(quirks=quirks, **chosen))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return miniature(tmp_path).root


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


ONE_EACH = ("--test-per-class", "1")


# --- Archives ---------------------------------------------------------------------------------------------------------


def test_a_source_that_does_not_exist(tmp_path: Path, out: Path) -> None:
    assert refused(4, out, tmp_path / "archive", out, by=run_alone) == [
        f"Error: {tmp_path}/archive does not exist.",
        "Give the folder that holds the ILSVRC2012 archives or images.",
    ]
    assert not out.exists()


def test_a_folder_without_archives(tmp_path: Path, out: Path) -> None:
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "cat.jpg").touch()

    assert refused(4, out, tmp_path / "archives", out) == [
        f"Error: There are no ILSVRC2012 archives or images with classes in {tmp_path}/archives. Seen there: cat.jpg.",
        (
            "Looked for ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, for class folders, and for files such as "
            "n01440764_10026.JPEG and ILSVRC2012_val_00000001.JPEG."
        ),
    ]
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "what", "choice"),
    [(TRAIN, "train", "--split validation"), (VALIDATION, "validation", "--split train --split test")],
)
def test_a_missing_image_archive_is_never_passed_over(
    name: str, what: str, choice: str, sound: Path, out: Path
) -> None:
    (sound / name).unlink()

    assert refused(4, out, sound, out, *ONE_EACH) == [
        f"Error: The source has no {what} images.",
        f"Add them ({name}, or a folder of them), or build without them: {choice}",
    ]
    assert not out.exists()


ARCHIVE_FAULTS = {
    "html-archive": ["is a web page, not an archive: the login had expired", "log in and download it again"],
    "cut-inside-member": [f"{TRAIN}: n", ".tar at byte ", "are left: the archive was cut short", "download it again"],
    "cut-on-boundary": [f"{TRAIN} at byte ", "the end-of-archive block is missing: the archive was cut", DAMAGED],
    "flipped-header": [f"{TRAIN}: n", ".tar at byte ", "this is not a tar header (bad checksum)", "download it again"],
    "unknown-class": [f"{TRAIN}: n00007846.tar at byte ", "is not one of the 1,000 class tars", DAMAGED],
    "hostile-names": [f"{TRAIN}: n01440764.tar/../evil.JPEG at byte ", "is a link or a device", DAMAGED],
}


@pytest.mark.parametrize("quirk", ARCHIVE_FAULTS)
def test_a_damaged_archive_gets_a_sentence_with_place_and_remedy(quirk: str, tmp_path: Path, out: Path) -> None:
    source = miniature(tmp_path, quirk).root

    message = "\n".join(refused(4, out, source, out, *ONE_EACH))

    assert [piece for piece in ARCHIVE_FAULTS[quirk] if piece not in message] == []
    assert not out.exists()


def test_a_dry_run_refuses_the_same_in_the_same_words(tmp_path: Path, out: Path) -> None:
    source = miniature(tmp_path, "cut-on-boundary").root

    assert refused(4, out, source, out, "--dry-run") == refused(4, out, source, out, by=run_alone)
    assert not out.exists()


@pytest.mark.parametrize(("name", "words"), [(DEVKIT, "cannot be read"), (BOXES, "cannot be read")])
def test_a_devkit_or_box_archive_cut_short_is_refused(
    name: str, words: str, sound: Path, out: Path, sentence: Sentence
) -> None:
    os.truncate(sound / name, (sound / name).stat().st_size // 2)

    message = "\n".join(refused(4, out, sound, out, *ONE_EACH))

    assert words in message
    assert name in message
    sentence(message)
    assert not out.exists()


def test_a_devkit_that_the_browser_unpacked_is_no_fault(tmp_path: Path, out: Path) -> None:
    outcome = run_here(miniature(tmp_path, "gunzipped-devkit").root, out, *ONE_EACH)

    assert (outcome.code, outcome.stderr) == (0, "")


# --- Images -----------------------------------------------------------------------------------------------------------


def test_every_image_that_is_none_is_named_with_its_place_and_what_it_is_instead(
    tmp_path: Path, out: Path, sentence: Sentence
) -> None:
    mini = miniature(tmp_path, "truncated", "empty", "text")
    reasons = {
        "truncated": "is a JPEG cut short: it has no end marker",
        "empty": "is empty",
        "text": "is text",
    }
    catalog_of = {planted.member: reasons[planted.quirk] for planted in mini.planted}

    first, *problems, remedy, other = refused(4, out, mini.root, out, *ONE_EACH)

    assert first == "Error: 3 of 21 images cannot be used; their shards were not written, all others are finished:"
    found = {line.split(": ")[1].partition(" at byte ")[0]: line.split(": ", 2)[2] for line in problems}
    assert found == catalog_of
    assert all(line.startswith(f"  {TRAIN}: n") for line in problems)
    sentence(remedy)
    assert other == ("Or continue without them: --on-bad set-aside leaves bad images out, and keeps their bytes.")


def test_the_offset_of_a_bad_image_is_where_it_lies(tmp_path: Path, out: Path) -> None:
    mini = miniature(tmp_path, "text")

    (_, line, *_) = refused(4, out, mini.root, out, *ONE_EACH)

    offset = int(line.partition(" at byte ")[2].partition(":")[0].replace(",", ""))
    assert (mini.root / TRAIN).read_bytes()[offset:].startswith(b"This is a text file under the name of picture")


def test_bad_images_are_found_in_worker_processes_too(tmp_path: Path, out: Path) -> None:
    mini = miniature(tmp_path, "truncated", "empty", "text")

    alone = refused(4, out, mini.root, out, *ONE_EACH)
    shutil.rmtree(out)

    assert refused(4, out, mini.root, out, *ONE_EACH, "--jobs", "2", by=run_alone) == alone


def test_cmyk_and_png_in_disguise_are_converted_by_content_and_that_is_said(tmp_path: Path, out: Path) -> None:
    mini = miniature(tmp_path, "cmyk", "png", "greyscale", "exif-malformed", "exif-orientation", "progressive")

    outcome = run_here(mini.root, out, *ONE_EACH)

    assert (outcome.code, outcome.stderr) == (0, "")
    assert re.search(r"[Cc]onverted.* 1 JPEG_CMYK, 1 PNG", outcome.stdout)
    rows = pq.read_table(out / "manifest.parquet").to_pylist()
    converted = {row["name"] for row in rows if row["converted"]}
    assert converted == {entry.name for entry in mini.entries if entry.quirk in ("cmyk", "png")}
    assert len(rows) == len(mini.entries)


# --- The request ------------------------------------------------------------------------------------------------------


def test_too_few_images_in_a_class_are_an_error_before_anything_is_written(sound: Path, out: Path) -> None:
    assert refused(2, out, sound, out, by=run_alone) == [
        "Error: Holding out 50 images per class leaves 3 classes without train images: tench has 5 train images.",
        "Add --test-per-class 4 (or less; 0 holds nothing out).",
    ]
    assert not out.exists()


def test_as_many_images_as_are_held_out_are_too_few(sound: Path, out: Path) -> None:
    with pytest.raises(UsageError):
        build(sound, out, BuildOptions.of(test_per_class=5, jobs=1))
    assert not out.exists()

    assert build(sound, out, BuildOptions.of(test_per_class=4, jobs=1)).splits["train"].images == 3


def test_more_shards_than_images_are_an_error_before_anything_is_written(sound: Path, out: Path) -> None:
    lines = refused(2, out, sound, out, *ONE_EACH, "--shards", "train=13")

    assert lines == ["Error: The split train has 12 images, too few for 13 shards."]
    assert not out.exists()


# --- The output folder ------------------------------------------------------------------------------------------------


def test_a_folder_with_a_build_of_another_recipe_is_refused_and_left_alone(sound: Path, out: Path) -> None:
    build(sound, out, BuildOptions.of(test_per_class=1, jobs=1))
    before = state(out)

    outcome = run_here(sound, out, "--test-per-class", "2", "--seed", "7")

    assert outcome.code == 5
    assert outcome.lines[0] == f"Error: {out} holds another data set:"
    assert [line.split(":")[0] for line in outcome.lines[1:-1]] == ["  test_per_class", "  seed"]
    assert outcome.lines[-1].endswith(f"imagenet-prep resume {out}")
    assert state(out) == before


def test_a_folder_with_a_build_of_other_archives_is_refused_and_left_alone(
    sound: Path, tmp_path: Path, out: Path
) -> None:
    build(sound, out, BuildOptions.of(test_per_class=1, jobs=1))
    before = state(out)
    other = write_miniature(tmp_path / "other", MiniatureOptions(classes=2, images_per_class=5, seed=1)).root

    outcome = run_here(other, out, *ONE_EACH)

    assert outcome.code == 5
    assert any(TRAIN in line and "bytes" in line for line in outcome.lines)
    assert state(out) == before


def test_a_folder_with_anything_else_in_it_is_refused_and_left_alone(
    sound: Path, out: Path, sentence: Sentence
) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")

    first, remedy = refused(5, out, sound, out, *ONE_EACH)
    assert first.startswith(f"Error: {out} is not empty")
    sentence(remedy)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("thesis.tex", "years of work")]


def test_the_folder_of_the_archives_is_no_output_folder(sound: Path) -> None:
    before = state(sound)

    refused(5, sound, sound, sound, *ONE_EACH)

    assert state(sound) == before


@pytest.mark.parametrize("below", ["", "data"])
def test_a_file_in_the_way_of_the_output_folder(below: str, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    lines = refused(6, tmp_path / "file" / below, sound, tmp_path / "file" / below, *ONE_EACH)

    assert str(tmp_path / "file") in lines[0]
    assert (tmp_path / "file").read_text() == "in the way"


# --- The disk ---------------------------------------------------------------------------------------------------------


def test_free_space_is_asked_for_before_anything_is_written(
    sound: Path, out: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    """The file system's answer is put in its mouth here; asking it, and what follows, is the program's own."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, used=10**9, free=1_000))

    with pytest.raises(OutputError) as caught:
        build(sound, out, BuildOptions.of(test_per_class=1, jobs=1))

    assert caught.value.exit_code == 6
    sentence(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("largest_file", [0, 3_000, 12_000])
def test_a_file_that_cannot_grow_ends_the_build_with_a_sentence(largest_file: int, sound: Path, out: Path) -> None:
    lines = refused(6, out, sound, out, *ONE_EACH, by=partial(run_alone, largest_file=largest_file))

    assert lines[0].startswith(f"Error: Cannot write {out}/")
    assert lines[0].endswith(": File too large.")
    assert lines[1].startswith("A file may not grow that large here (see ulimit -f).")


@pytest.fixture
def full_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the disk full after so many writes and syncs of this process, or never (-1)."""
    real: dict[str, Callable[..., Any]] = {
        "write": os.write,
        "writev": os.writev,
        "fsync": lambda _: None,  # there is no power cut to fear here
    }

    def set_full(calls: int) -> None:
        left = iter(range(calls)) if calls >= 0 else iter(int, 1)

        def failing(name: str) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                if next(left, None) is None:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real[name](*arguments)

            return call

        for name in real:
            monkeypatch.setattr(os, name, failing(name))

    return set_full


def builds(
    source: Path, out: Path, full_after: Callable[[int], None], splits: tuple[str, ...] = ()
) -> Iterator[OutputError]:
    """Build with a disk that becomes full ever later, until it does not; give the errors on the way."""
    options = BuildOptions.of(test_per_class=1, jobs=1, format=("tfrecord", "tfds"), splits=splits)
    for calls in range(1_000):
        full_after(calls)
        try:
            build(source, out, options)
        except OutputError as error:
            full_after(-1)
            yield error
        else:
            full_after(-1)
            return


@pytest.mark.system
def test_wherever_the_disk_becomes_full_a_sentence_says_so_and_no_build_looks_complete(
    sound: Path, out: Path, full_after: Callable[[int], None]
) -> None:
    for error in builds(sound, out, full_after, splits=("validation",)):
        assert "No space left on device" in str(error)
        assert error.remedy.startswith("Free some space. Then run the same command again")
        assert not any(path.name.endswith(".part") for path in out.rglob("*"))
        if (out / "build.json").exists():  # the very last sync failed: all was written before
            assert audit(out, ONE_PROCESS).splits["validation"].images == 6
        else:
            shutil.rmtree(out, ignore_errors=True)
    assert audit(out, ONE_PROCESS).splits["validation"].images == 6


def test_after_a_full_disk_the_same_command_goes_on_and_ends_with_the_same_bytes(
    sound: Path, tmp_path: Path, out: Path, full_after: Callable[[int], None]
) -> None:
    assert len(list(builds(sound, out, full_after))) > 5  # in one folder: each goes on from the one before
    assert list(builds(sound, tmp_path / "undisturbed", lambda _: None)) == []

    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(out) == files(tmp_path / "undisturbed")


# --- The source while it is read --------------------------------------------------------------------------------------


def test_an_archive_that_becomes_shorter_while_it_is_read_is_named(sound: Path, out: Path, sentence: Sentence) -> None:
    with pytest.raises(SourceError) as caught:
        build(
            sound,
            out,
            BuildOptions.of(test_per_class=1, jobs=1),
            watch=when_writing_begins(lambda: os.truncate(sound / TRAIN, 20_000)),
        )

    sentence(caught.value)
    assert_nothing_looks_complete(out)


def test_an_archive_that_disappears_while_it_is_read_is_named(sound: Path, out: Path) -> None:
    with pytest.raises(SourceError) as caught:
        build(sound, out, BuildOptions.of(test_per_class=1, jobs=1), watch=when_writing_begins((sound / TRAIN).unlink))

    (problem,) = caught.value.problems
    assert str(problem) == f"the source: Cannot read {sound / TRAIN}: No such file or directory."
    assert_nothing_looks_complete(out)


def test_a_build_changes_nothing_of_the_source(tmp_path: Path, out: Path) -> None:
    source = miniature(tmp_path, "cmyk", "png", "macos-litter").root
    before = state(source)

    assert run_here(source, out, *ONE_EACH).code == 0

    assert state(source) == before


def test_a_build_that_fails_changes_nothing_of_the_source_either(tmp_path: Path, out: Path) -> None:
    source = miniature(tmp_path, "truncated").root
    before = state(source)

    refused(4, out, source, out, *ONE_EACH)

    assert state(source) == before
