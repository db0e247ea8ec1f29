"""Make archives in the official layout for the other benchmarks: 1,000 class tars with images of real size.

    python benchmarks/make_input.py IN --bytes 2e9 [--photos DIR] [--validation N]

The images are the JPEG files below DIR in turn, under names like ImageNet's; without DIR, pictures are drawn that
have the size and the entropy of photographs. Repeating a few hundred of them costs the measurements nothing: every
copy lies at a place of its own, and is read from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from imagenet_prep import official
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.testing.archives import (
    TRAIN,
    VALIDATION,
    write_flat_archive,
    write_train_archive,
)
from imagenet_prep.testing.pictures import picture

DRAWN = 200  # different pictures, where no photographs are given
BLOCK = 512  # bytes: each member has a header of one block and is padded to whole blocks


def main() -> None:
    """Write the train archive and, if asked, a validation archive."""
    options = _options()
    images = _photographs(options.photos) if options.photos else _drawings()
    mean = sum(BLOCK + len(image) + -len(image) % BLOCK for image in images) / len(images)
    per_class = round(options.bytes / mean / len(official().classes))
    options.folder.mkdir(parents=True, exist_ok=True)
    write_train_archive(options.folder / TRAIN, _classes(images, per_class))
    if options.validation:
        named = ((validation_image(1 + at), images[at % len(images)]) for at in range(options.validation))
        write_flat_archive(options.folder / VALIDATION, named)
    print(f"{options.folder}: {per_class} images in each class, {mean:,.0f} bytes each on average")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="IN")
    parser.add_argument("--bytes", type=float, default=2e9, help="size of the train archive, about")
    parser.add_argument("--photos", type=Path, help="a folder with JPEG files")
    parser.add_argument("--validation", type=int, default=0, metavar="N", help="images in a validation archive")
    return parser.parse_args()


def _photographs(folder: Path) -> list[bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not paths:
        raise SystemExit(f"{folder} has no JPEG files.")
    return [path.read_bytes() for path in paths]


def _drawings() -> list[bytes]:
    return [picture(f"benchmark/{number}", "photo") for number in range(DRAWN)]


def _classes(images: list[bytes], per_class: int) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    for facts in official().classes:
        first = facts.index * per_class
        yield facts.wnid, _members(facts.wnid, images, range(first, first + per_class))


def _members(wnid: str, images: list[bytes], numbers: range) -> Iterator[tuple[str, bytes]]:
    for number in numbers:
        yield f"{wnid}_{number}.JPEG", images[number % len(images)]


if __name__ == "__main__":
    main()
