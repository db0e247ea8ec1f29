"""Make the class table of the package from two public packages, or check it; refuses if their facts disagree.

    pip download --no-deps tensorflow-datasets timm
    python scripts/make_class_table.py tensorflow_datasets-*.whl timm-*.whl [--check]

From TFDS:  datasets/imagenet2012/labels.txt  WNIDs in class index order (timm has the same)
            image_classification/imagenet_resized_labels.txt  WNIDs in devkit order: the line is the integer
            datasets/imagenet2012/validation_labels.txt  WNIDs of the validation images, by image number
From timm:  data/_info/imagenet_synset_to_lemma.txt  lemmas

The validation classes have an independent witness in timm's ReaL labels (``imagenet_real_labels.json``: new
human answers for the same images). They contain the original class for nine images in ten; for a list that
is shifted or in another numbering it would be one in a thousand. ``--ground-truth
ILSVRC2012_validation_ground_truth.txt`` (from the devkit) and ``--map map_clsloc.txt`` are compared line by
line when given. Using the package needs none of this.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from imagenet_prep.imagenet.class_names import unique_names

DATA = Path(__file__).parents[1] / "src/imagenet_prep/core/data"

# Where classes of map_clsloc.txt that clash go to; the cranes have no lemma that would separate them.
PROPER = {
    "n02012849": "crane_bird",
    "n02113186": "Cardigan_Welsh_corgi",
    "n03710721": "maillot_tank_suit",
}
FIRST_TRUTH = [490, 361, 171, 822]  # devkit integers of images 1 to 4, as quoted from the devkit of 2012
REAL_AGREEMENT = 0.85  # 0.900 with the ReaL labels of 2020


@dataclass(frozen=True)
class Facts:
    """What the packages say: WNIDs in class index order (twice), devkit order, by image number; the rest."""

    wnids: list[str]
    timm_wnids: list[str]
    devkit_order: list[str]
    validation: list[str]
    lemmas: dict[str, str]
    real: list[list[int]]


def read_facts(tfds: Path, timm: Path) -> Facts:
    """Read the facts out of the two wheels."""
    with ZipFile(tfds) as wheel:
        wnids, devkit_order, validation = (
            wheel.read(f"tensorflow_datasets/{name}").decode().split()
            for name in (
                "datasets/imagenet2012/labels.txt",
                "image_classification/imagenet_resized_labels.txt",
                "datasets/imagenet2012/validation_labels.txt",
            )
        )
    with ZipFile(timm) as wheel:
        info = "timm/data/_info/imagenet"
        timm_wnids = wheel.read(f"{info}_synsets.txt").decode().split()
        lemma_lines = wheel.read(f"{info}_synset_to_lemma.txt").decode().splitlines()
        real = json.loads(wheel.read(f"{info}_real_labels.json"))
    lemmas = dict(line.split("\t") for line in lemma_lines)
    return Facts(wnids, timm_wnids, devkit_order, validation, lemmas, real)


def disagreements(facts: Facts) -> Iterator[str]:
    """Yield a sentence for every cross-check that fails."""
    if len(facts.wnids) != 1000 or facts.wnids != sorted(set(facts.wnids)):
        yield "TFDS's labels.txt is not 1,000 WNIDs in order"
    if facts.timm_wnids != facts.wnids:
        yield "TFDS and timm do not list the same WNIDs"
    if sorted(facts.devkit_order) != facts.wnids:
        yield "the devkit order is not an order of the same WNIDs"
    if any(one == other for one, other in zip(facts.wnids, facts.devkit_order, strict=False)):
        yield "a devkit integer is class index + 1, which it is for no class"
    if missing := [wnid for wnid in facts.wnids if not facts.lemmas.get(wnid)]:
        yield f"no lemmas for {len(missing)} classes, such as {missing[0]}"
    if Counter(facts.validation) != dict.fromkeys(facts.wnids, 50):
        yield "the validation classes are not 50,000, 50 a class"
    if truth_in_devkit_integers(facts)[:4] != FIRST_TRUTH:
        yield f"the first validation classes are not {FIRST_TRUTH} in devkit integers"
    if len(facts.real) != 50_000:
        yield f"the ReaL labels are for {len(facts.real):,} images, not 50,000"
    if real_agreement(facts) < REAL_AGREEMENT:
        yield f"the ReaL labels contain the class of {real_agreement(facts):.1%} of the images only"


def real_agreement(facts: Facts) -> float:
    """Return the part of the images with ReaL labels whose labels contain the class."""
    index = {wnid: number for number, wnid in enumerate(facts.wnids)}
    answered = [(wnid, real) for wnid, real in zip(facts.validation, facts.real, strict=False) if real]
    return sum(index.get(wnid) in real for wnid, real in answered) / len(answered)


def truth_in_devkit_integers(facts: Facts) -> list[int]:
    """Return what ILSVRC2012_validation_ground_truth.txt says, by image number."""
    devkit = {wnid: number for number, wnid in enumerate(facts.devkit_order, 1)}
    return [devkit.get(wnid, 0) for wnid in facts.validation]


def map_names(facts: Facts) -> dict[str, str]:
    """Return the names of map_clsloc.txt by WNID: the first lemma, ``_`` for spaces."""
    return {wnid: facts.lemmas[wnid].partition(", ")[0].replace(" ", "_") for wnid in facts.wnids}


def map_differences(facts: Facts, map_file: Path) -> int:
    """Count the lines of map_clsloc.txt that say otherwise than the packages."""
    names = map_names(facts)
    expected = [f"{wnid} {number} {names[wnid]}" for number, wnid in enumerate(facts.devkit_order, 1)]
    return _differences(expected, map_file.read_text("utf-8").splitlines())


def truth_differences(facts: Facts, truth_file: Path) -> int:
    """Count the lines of the devkit's ground truth that say otherwise than the packages."""
    expected = [str(number) for number in truth_in_devkit_integers(facts)]
    return _differences(expected, truth_file.read_text("ascii").split())


def _differences(expected: list[str], found: list[str]) -> int:
    return abs(len(expected) - len(found)) + sum(a != b for a, b in zip(expected, found, strict=False))


def table(facts: Facts) -> bytes:
    """Return classes.tsv: a header and one line per class in WNID order."""
    names = unique_names(map_names(facts), PROPER).names
    devkit = {wnid: number for number, wnid in enumerate(facts.devkit_order, 1)}
    lines = ["wnid\tdevkit_integer\tname\tlemmas"]
    lines += [f"{wnid}\t{devkit[wnid]}\t{names[wnid]}\t{facts.lemmas[wnid]}" for wnid in facts.wnids]
    return ("\n".join(lines) + "\n").encode()


def truth(facts: Facts) -> bytes:
    """Return validation.bin: 50,000 little-endian uint16 class indexes by image number."""
    index = {wnid: number for number, wnid in enumerate(facts.wnids)}
    return struct.pack(f"<{len(facts.validation)}H", *(index[wnid] for wnid in facts.validation))


def main() -> None:
    """Read, cross-check, then write or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tfds", type=Path, help="wheel of tensorflow-datasets")
    parser.add_argument("timm", type=Path, help="wheel of timm")
    parser.add_argument("--map", type=Path, help="a copy of map_clsloc.txt to compare with")
    parser.add_argument("--ground-truth", type=Path, help="the devkit's ground truth to compare with")
    parser.add_argument("--check", action="store_true", help="compare with the package, write nothing")
    arguments = parser.parse_args()

    facts = read_facts(arguments.tfds, arguments.timm)
    failed = list(disagreements(facts))
    if not failed and arguments.map and (count := map_differences(facts, arguments.map)):
        failed.append(f"{arguments.map}: {count} of 1,000 lines differ")
    if not failed and arguments.ground_truth and (count := truth_differences(facts, arguments.ground_truth)):
        failed.append(f"{arguments.ground_truth}: {count} of 50,000 lines differ")
    made = {} if failed else {"classes.tsv": table(facts), "validation.bin": truth(facts)}
    if arguments.check:
        failed += [f"{name} differs" for name, data in made.items() if (DATA / name).read_bytes() != data]
    if failed:
        sys.exit("Refused:\n" + "\n".join(f"  {sentence}" for sentence in failed))

    print(f"1,000 classes, 50,000 validation images, 50 a class; ReaL agrees for {real_agreement(facts):.1%}")
    if not arguments.check:
        DATA.mkdir(exist_ok=True)
        for name, data in made.items():
            (DATA / name).write_bytes(data)
            print(f"wrote {name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
