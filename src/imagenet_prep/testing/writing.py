"""Writes a miniature: pictures are drawn while archives or folders stream to disk, and noted as they pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from imagenet_prep.errors import OutputError, UsageError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.model.given import given
from imagenet_prep.testing import archives, kaggle, layouts
from imagenet_prep.testing.annotations import annotated, annotation_file, in_folders
from imagenet_prep.testing.archives import Member, Members, validation_name
from imagenet_prep.testing.chance import Chance, shuffled
from imagenet_prep.testing.faults import ARCHIVE_FAULTS
from imagenet_prep.testing.miniature import Miniature, MiniatureEntry, MiniatureOptions, Planted
from imagenet_prep.testing.oddities import IMAGE_ODDITIES, MEMBER_ODDITIES, UNKNOWN_WNID
from imagenet_prep.testing.pictures import draw, encode, picture
from imagenet_prep.testing.quirks import QUIRKS

_NUMBER_GAP = 40  # the numbers of train images have gaps up to this wide
_ANNOTATED_SHARE = 2  # one train image in so many has boxes; of the validation images, all


def write_miniature(out: Path, options: MiniatureOptions) -> Miniature:
    """Write the archives or folders into ``out``, which is made if need be, and return what is in them.

    OutputError if one of them is there already, or cannot be written. UsageError if more image quirks are
    wanted than leave two images without one in every class.
    """
    out, work = given("out", out, Path), _Work(given("options", options, MiniatureOptions))
    tops = dict.fromkeys(name.partition("/")[0] for name in work.steps)
    existing = [name for name in tops if (out / name).exists()]
    if existing:
        raise OutputError(f"{out} already holds {', '.join(existing)}.", remedy="Name another folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for write in work.steps.values():
            write(out)
        work.damage(out)
    except OSError as error:
        raise OutputError(f"The miniature cannot be written to {out}: {error.strerror or error}.") from error
    work.planted.sort(key=lambda planted: list(QUIRKS).index(planted.quirk))
    paths = tuple(out / name for name in work.steps)
    return Miniature(out, options, paths, tuple(work.entries), tuple(work.planted))


class _Work:
    """One miniature being written; ``steps`` says what, and in which order."""

    def __init__(self, options: MiniatureOptions) -> None:
        self.options = options
        self.layout = layouts.TABLE[options.layout]
        self.wnids = options.class_wnids
        self.names = {wnid: _train_names(wnid, options) for wnid in self.wnids}
        self.oddities, self.drawn_as = _place_oddities(self.names, options)
        self.entries: list[MiniatureEntry] = []
        self.planted: list[Planted] = []

    @property
    def steps(self) -> dict[str, Callable[[Path], None]]:
        """File or folder → how to write it below a folder; boxes come last, when the pictures are known."""
        images = {layouts.top_of(self.layout.train): self._write_train}
        if self.options.validation_per_class:
            images[layouts.top_of(self.layout.validation)] = self._write_validation
        return images | (self._archives_beside() if self.layout.official else self._kaggle_parts())

    def damage(self, out: Path) -> None:
        """Do the damage asked for to the finished archives."""
        for quirk, (archive, fault) in ARCHIVE_FAULTS.items():
            if quirk in self.options.quirks:
                self.planted.append(Planted(quirk, archive, offset=fault(out / archive)))

    def _archives_beside(self) -> dict[str, Callable[[Path], None]]:
        steps: dict[str, Callable[[Path], None]] = {}
        if self.options.devkit:
            steps[archives.DEVKIT] = _write_devkit
        if self.options.boxes:
            steps[archives.TRAIN_BOXES] = partial(self._write_boxes, archives.TRAIN)
        if self.options.boxes and self.options.validation_per_class:
            steps[archives.VALIDATION_BOXES] = partial(self._write_boxes, archives.VALIDATION)
        return steps

    def _kaggle_parts(self) -> dict[str, Callable[[Path], None]]:
        return {name: partial(self._write_part, contents) for name, contents in kaggle.parts(self.options).items()}

    def _write_part(self, contents: kaggle.Contents, out: Path) -> None:
        layouts.write_folder(out, contents(self.entries, self.options))

    def _write_train(self, out: Path) -> None:
        order = shuffled(self.wnids, f"{self.options.seed}/classes")
        classes: list[tuple[str, Members]] = [(wnid, self._class_members(wnid)) for wnid in order]
        if "unknown-class" in self.options.quirks:
            self.planted.append(Planted("unknown-class", archives.TRAIN, f"{UNKNOWN_WNID}.tar"))
            name = f"{UNKNOWN_WNID}_1.JPEG"
            classes.insert(len(classes) // 2, (UNKNOWN_WNID, [(name, picture(name, self.options.size))]))
        layouts.write_train(out, self.layout, classes)

    def _class_members(self, wnid: str) -> Iterator[Member]:
        for rank, (quirk, members) in enumerate(MEMBER_ODDITIES.items()):
            if quirk in self.options.quirks and wnid == self.wnids[rank % len(self.wnids)]:
                self.planted.append(Planted(quirk, archives.TRAIN, f"{wnid}.tar"))
                yield from members(wnid)
        for name in shuffled(self.names[wnid], f"{self.options.seed}/{wnid}"):
            yield self._image(archives.TRAIN, f"{wnid}.tar/{name}", name, wnid)

    def _write_validation(self, out: Path) -> None:
        wanted = {official().index_of(wnid): self.options.validation_per_class for wnid in self.wnids}
        chosen = []
        for number, index in enumerate(validation_truth(), 1):
            if wanted.get(index, 0):
                wanted[index] -= 1
                chosen.append((validation_name(number), official().classes[index].wnid))
        order = shuffled(chosen, f"{self.options.seed}/validation")
        images = (self._image(archives.VALIDATION, name, name, wnid) for name, wnid in order)
        layouts.write_validation(out, self.layout, images)

    def _image(self, archive: str, member: str, name: str, wnid: str) -> Member:
        """Draw one image, note what it is, and return it."""
        drawing = draw(f"{self.options.seed}/{self.drawn_as.get(name, name)}", self.options.size)
        quirk = self.oddities.get(name, "")
        data = IMAGE_ODDITIES[quirk](drawing) if quirk else encode(drawing)
        if quirk:
            self.planted.append(Planted(quirk, archive, member))
        chance = Chance(f"{self.options.seed}/boxes/{name}")
        shown = self.options.boxes and (archive == archives.VALIDATION or chance.one_in(_ANNOTATED_SHARE))
        self.entries.append(
            MiniatureEntry(
                archive=archive,
                member=member,
                name=name,
                wnid=wnid,
                class_index=official().index_of(wnid),
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                width=drawing.image.width,
                height=drawing.image.height,
                boxes=drawing.boxes if shown else (),
                quirk=quirk,
            )
        )
        return Member(name, data)

    def _write_boxes(self, archive: str, out: Path) -> None:
        entries = (entry for entry in self.entries if entry.archive == archive and entry.boxes)
        files = (annotation_file(annotated(entry, self.options.seed)) for entry in entries)
        name = archives.TRAIN_BOXES if archive == archives.TRAIN else archives.VALIDATION_BOXES
        archives.write_packed_archive(out / name, in_folders(files))


def _write_devkit(out: Path) -> None:
    classes = official().classes
    archives.write_devkit(out / archives.DEVKIT, (classes[index].devkit for index in validation_truth()))


def _train_names(wnid: str, options: MiniatureOptions) -> list[str]:
    """Return file names with rising numbers; more images per class only adds names at the end."""
    chance, number, names = Chance(f"{options.seed}/numbers/{wnid}"), 0, []
    for _ in range(options.images_per_class):
        number += chance.between(1, _NUMBER_GAP)
        names.append(f"{wnid}_{number}.JPEG")
    return names


def _place_oddities(names: dict[str, list[str]], options: MiniatureOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Return file name → quirk, one class after the other; and file name → whose picture it shows."""
    wanted = [quirk for quirk in IMAGE_ODDITIES if quirk in options.quirks]
    classes = list(names.values())
    needed = -(-len(wanted) // len(classes)) + 2
    if wanted and needed > options.images_per_class:
        raise UsageError(
            f"{len(wanted)} image quirks in {len(classes)} classes need {needed} images per class, "
            "so that two of each class stay as they are."
        )
    oddities, drawn_as = {}, {}
    for rank, quirk in enumerate(wanted):
        row, column = divmod(rank, len(classes))
        oddities[classes[column][row]] = quirk
        if quirk == "duplicate":
            drawn_as[classes[column][row]] = classes[(column + 1) % len(classes)][-1]
    return oddities, drawn_as
