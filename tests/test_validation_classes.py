"""A list of validation classes that differs from the published truth is never followed in silence: past a tenth of the
images it is an error that says which numbering it seems to be in, below that a warning that nothing swallows, and what
was built of it says so for ever after.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import DEVKIT, GROUND_TRUTH, VALIDATION, write_packed_archive
from support.command import run
from support.sentences import Sentence, lines

CLASSES = official().classes
NUMBERINGS: dict[str, Callable[[int], int]] = {  # what people write for the class index of an image
    "class index + 1, 1…1000": lambda index: index + 1,
    "class index, 0…999": lambda index: index,
    "devkit integer - 1, 0…999": lambda index: CLASSES[index].devkit - 1,
    "place of the name": lambda index: sorted(facts.name for facts in CLASSES).index(CLASSES[index].name),
}


def write_truth(devkit: Path, numbers: Iterable[int]) -> None:
    devkit.unlink(missing_ok=True)
    write_packed_archive(devkit, [(GROUND_TRUTH, "".join(f"{number}\n" for number in numbers).encode())])


def true_numbers() -> list[int]:
    return [CLASSES[index].devkit for index in validation_truth()]


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    options = MiniatureOptions(images_per_class=2, validation_per_class=4, boxes=False)
    return write_miniature(tmp_path / "source", options).root


def numbers_at_hand(source: Path) -> list[int]:
    """The numbers of the validation images of the miniature."""
    return sorted(int(name[15:23]) for name in imagenet_prep.index(source).table["name"].to_pylist() if "_val_" in name)


def with_some_wrong(archives: Path, count: int) -> None:
    """Give the first validation images that are here the devkit's first class, the kit fox."""
    numbers = true_numbers()
    for number in numbers_at_hand(archives)[:count]:
        numbers[number - 1] = 1
    write_truth(archives / DEVKIT, numbers)


def build_json(out: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((out / "build.json").read_text("utf-8"))
    return document


# --- More than a tenth ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbering", "layout", "command"),
    [(numbering, "archives", "build") for numbering in NUMBERINGS]
    + [
        ("class index + 1, 1…1000", layout, command)
        for layout in ("extracted", "sorted")
        for command in ("check", "build")
    ],
)
def test_a_devkit_in_another_numbering_is_refused_by_the_name_of_that_numbering(
    tmp_path: Path, numbering: str, layout: str, command: str
) -> None:
    options = MiniatureOptions(images_per_class=2, validation_per_class=4, boxes=False, layout=layout)
    source = write_miniature(tmp_path / "source", options).root
    write_truth(source / DEVKIT, map(NUMBERINGS[numbering], validation_truth()))

    done = run(command, source, *([tmp_path / "out", "--test-per-class", 0] if command == "build" else []))

    said = done.stdout + done.stderr
    assert done.returncode == 4, said
    assert "ILSVRC2012_devkit_t12.tar.gz" in said
    assert numbering in said
    assert "is in the folder" not in said  # thousands of images in the right folders are not what is wrong
    assert not (tmp_path / "out").exists()


def test_a_devkit_in_no_known_numbering_is_refused_as_such(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    write_truth(archives / DEVKIT, reversed(true_numbers()))

    done = run("build", archives, tmp_path / "out", "--test-per-class", 0)

    assert done.returncode == 4
    sentence(done.stderr)
    assert "--trust-labels" in done.stderr


def test_kaggles_list_with_the_classes_of_another_order_is_refused(tmp_path: Path, sentence: Sentence) -> None:
    """As of who takes the devkit's integers for places among the sorted WNIDs."""
    options = MiniatureOptions(images_per_class=2, validation_per_class=4, layout="kaggle")
    source = write_miniature(tmp_path / "source", options).root
    lines = (source / "LOC_val_solution.csv").read_text().splitlines()
    taken_for = {facts.wnid: CLASSES[facts.devkit - 1].wnid for facts in CLASSES}
    for place, line in enumerate(lines[1:], 1):
        image, _, rest = line.partition(",")
        lines[place] = f"{image},{taken_for[rest[:9]]}{rest[9:]}"
    (source / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")

    done = run("build", source, tmp_path / "out", "--test-per-class", 0)

    assert done.returncode == 4
    sentence(done.stderr)


@pytest.mark.parametrize(("wrong", "code"), [(4, 0), (5, 4)])  # of 40: a tenth, and more
def test_the_border_is_a_tenth_of_the_images_that_are_here(
    archives: Path, tmp_path: Path, wrong: int, code: int
) -> None:
    with_some_wrong(archives, wrong)

    assert run("build", archives, tmp_path / "out", "--test-per-class", 0).returncode == code
    assert run("check", archives).returncode == code


def test_of_a_small_part_of_the_images_the_part_counts_and_not_the_list(archives: Path, tmp_path: Path) -> None:
    """All 40 images here are wrong, which are few of the 50,000 lines."""
    with_some_wrong(archives, 40)

    done = run("build", archives, tmp_path / "out", "--test-per-class", 0)

    assert done.returncode == 4
    assert "40 of 40" in done.stderr


def test_without_validation_images_the_devkit_is_of_no_use_and_does_no_harm(archives: Path, tmp_path: Path) -> None:
    write_truth(archives / DEVKIT, map(NUMBERINGS["class index + 1, 1…1000"], validation_truth()))
    (archives / VALIDATION).unlink()

    assert run("build", archives, tmp_path / "out", "--test-per-class", 0, "--split", "train").returncode == 0
    assert build_json(tmp_path / "out")["validation_classes"] is None


# --- --trust-labels ---------------------------------------------------------------------------------------------------


def test_trusted_it_is_followed_and_said_everywhere(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    write_truth(archives / DEVKIT, map(NUMBERINGS["class index + 1, 1…1000"], validation_truth()))
    out = tmp_path / "out"

    done = run(
        "build", archives, out, "--test-per-class", 0, "--format", "folders", "--names", "wnid", "--trust-labels"
    )

    assert done.returncode == 0, done.stderr
    sentence(lines(done.stderr, "40 of 40"))
    sentence(lines(done.stdout, "40 of 40"), "output")
    assert build_json(out)["validation_classes"] == {
        "source": "ILSVRC2012_devkit_t12.tar.gz",
        "images": 40,
        "different": 40,
        "seems": "class index + 1, 1…1000 (0 is background), taken for devkit integer, 1…1000",
    }
    image = next((out / "folders/validation").glob("*/*.JPEG"))
    number = int(image.name[15:23])
    assert image.parent.name == official().by_devkit(validation_truth()[number - 1] + 1).wnid

    audited = run("audit", out)
    assert audited.returncode == 0, audited.stderr
    sentence(lines(audited.stdout, "40 of 40"), "audit")
    assert json.loads(run("audit", out, "--json").stdout)["validation_classes"]["different"] == 40


def test_check_trusts_too_and_its_next_command_works(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    write_truth(archives / DEVKIT, map(NUMBERINGS["class index + 1, 1…1000"], validation_truth()))

    done = run("check", archives, "--trust-labels")

    assert done.returncode == 0
    sentence(lines(done.stdout, "40 of 40"))
    next_command = next(line for line in done.stdout.splitlines() if line.startswith("Next: imagenet-prep "))
    words = next_command.removeprefix("Next: imagenet-prep ").replace("DATA", str(tmp_path / "out")).split()
    assert run(*words).returncode == 0


def test_the_library_trusts_when_it_is_told_to(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    write_truth(archives / DEVKIT, map(NUMBERINGS["class index + 1, 1…1000"], validation_truth()))
    options = imagenet_prep.BuildOptions.of(test_per_class=0, jobs=1)

    with pytest.raises(SourceError) as caught:
        imagenet_prep.build(archives, tmp_path / "out", options)
    sentence(caught.value)
    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(archives, imagenet_prep.IndexOptions(jobs=1))
    sentence(caught.value)
    assert imagenet_prep.check(archives, imagenet_prep.CheckOptions(jobs=1)).problems
    assert not imagenet_prep.check(archives, imagenet_prep.CheckOptions(jobs=1, trust_labels=True)).problems
    report = imagenet_prep.build(
        archives, tmp_path / "out", imagenet_prep.BuildOptions.of(test_per_class=0, jobs=1, trust_labels=True)
    )
    assert report.validation_classes is not None
    assert (report.validation_classes.images, report.validation_classes.different) == (40, 40)


def test_a_list_of_numbers_from_0_cannot_be_followed_even_if_trusted(
    archives: Path, tmp_path: Path, sentence: Sentence
) -> None:
    """There is no class that the devkit numbers 0."""
    write_truth(archives / DEVKIT, map(NUMBERINGS["class index, 0…999"], validation_truth()))

    done = run("build", archives, tmp_path / "out", "--test-per-class", 0, "--trust-labels")

    assert done.returncode == 4
    sentence(done.stderr)


# --- Below a tenth, and none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_few_that_differ_are_a_warning_that_quiet_does_not_swallow(
    archives: Path, tmp_path: Path, how: tuple[str, ...], sentence: Sentence
) -> None:
    with_some_wrong(archives, 2)

    for _ in range(2):  # the same command again finds all done, and says it again
        done = run("build", archives, tmp_path / "out", "--test-per-class", 0, "--quiet", *how)
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert "gives 2 of 40 validation images another class" in line
        assert json.loads(line)["warning"] is True if how else line.startswith("Warning: ")
    assert build_json(tmp_path / "out")["validation_classes"] == {
        "source": "ILSVRC2012_devkit_t12.tar.gz",
        "images": 40,
        "different": 2,
        "seems": "",
    }
    sentence(lines(run("audit", tmp_path / "out").stdout, "2 of 40"), alike=True)
    sentence(lines(run("check", archives, "--quiet").stdout, "2 of 40"), "check", alike=True)


def test_of_a_subset_its_own_images_are_counted(archives: Path, tmp_path: Path) -> None:
    with_some_wrong(archives, 2)
    (tmp_path / "classes.txt").write_text("kit_fox\n")  # which has the two alone

    done = run("build", archives, tmp_path / "out", "--split", "validation", "--classes", tmp_path / "classes.txt")

    assert done.returncode == 0, done.stderr
    assert build_json(tmp_path / "out")["validation_classes"]["different"] == 2  # type: ignore[index]
    assert build_json(tmp_path / "out")["validation_classes"]["images"] == 2  # type: ignore[index]


def test_a_devkit_that_agrees_is_named_and_nothing_is_warned_of(archives: Path, tmp_path: Path) -> None:
    done = run("build", archives, tmp_path / "out", "--test-per-class", 0, "--quiet")

    assert (done.returncode, done.stderr) == (0, "")
    assert "ILSVRC2012_devkit_t12.tar.gz" in done.stdout
    assert build_json(tmp_path / "out")["validation_classes"] == {
        "source": "ILSVRC2012_devkit_t12.tar.gz",
        "images": 40,
        "different": 0,
        "seems": "",
    }


def test_without_a_list_the_built_in_truth_is_named(archives: Path, tmp_path: Path) -> None:
    (archives / DEVKIT).unlink()

    run("build", archives, tmp_path / "out", "--test-per-class", 0)

    assert build_json(tmp_path / "out")["validation_classes"] == {
        "source": "built-in",
        "images": 40,
        "different": 0,
        "seems": "",
    }


def test_resuming_without_trust_what_was_begun_with_it_is_refused_again(archives: Path, tmp_path: Path) -> None:
    write_truth(archives / DEVKIT, map(NUMBERINGS["class index + 1, 1…1000"], validation_truth()))
    build = ("build", archives, tmp_path / "out", "--test-per-class", 0)

    assert run(*build, "--trust-labels").returncode == 0
    assert run(*build).returncode == 4
    assert run(*build, "--trust-labels").returncode == 0


def test_the_classes_of_the_images_are_those_that_the_manifest_has(archives: Path, tmp_path: Path) -> None:
    """A build from before this was noted: the audit counts for itself."""
    with_some_wrong(archives, 2)
    run("build", archives, tmp_path / "out", "--test-per-class", 0)

    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "out/manifest.parquet").to_pylist()
    of_validation = [row for row in rows if row["split"] == "validation"]
    differing = [row for row in of_validation if validation_truth()[int(row["name"][15:23]) - 1] != row["class_index"]]
    assert len(differing) == 2
