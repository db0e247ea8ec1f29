"""Writes a miniature: pictures are drawn while archives or folders stream to disk, and noted as they pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from imagenet_prep.errors import OutputError, UsageError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.model.given import given
from imagenet_prep.testing import archives, kaggle
from imagenet_prep.testing.annotations import annotation_files
from imagenet_prep.testing.archives import DEVKIT, TRAIN, TRAIN_BOXES, VALIDATION, VALIDATION_BOXES, Member, Members
from imagenet_prep.testing.chance import Chance, shuffled
from imagenet_prep.testing.layouts import TABLE, of_class
from imagenet_prep.testing.miniature import Miniature, MiniatureEntry, MiniatureOptions, Planted
from imagenet_prep.testing.pictures import draw, encode, picture
from imagenet_prep.testing.quirks import ARCHIVE_QUIRKS, CLASS_QUIRKS, IMAGE_QUIRKS, QUIRKS, UNKNOWN_WNID

_NUMBER_GAP = 40  # the numbers of train images have gaps up to this wide
_ANNOTATED_SHARE = 2  # one train image in so many has boxes; of the validation images, all

Classes = Iterable[tuple[str, Members]]  # WNIDs, and images or what stands between them


def write_miniature(out: Path, options: MiniatureOptions) -> Miniature:
    """Write the archives or folders into ``out``, which is made if need be, and return what is in them.

    OutputError if one of them is there already, or cannot be written. UsageError if more image quirks are
    wanted than leave two images without one in every class.
    """
    out, options = given("out", out, Path), given("options", options, MiniatureOptions)
    images, layout = _Images(options), TABLE[options.layout]
    sets = {layout.train: images.train()}
    if options.validation_per_class:
        sets[layout.validation] = images.validation()
    beside = _archives_beside(images.entries, options) if layout.official else kaggle.parts(images.entries, options)
    names = [*(place.partition("/{")[0] for place in sets), *beside]
    existing = [name for name in dict.fromkeys(name.partition("/")[0] for name in names) if (out / name).exists()]
    if existing:
        raise OutputError(f"{out} already holds {', '.join(existing)}.", remedy="Name another folder.")
    try:
        for place, classes in sets.items():
            _write_classes(out, place, classes)
        for name, members in beside.items():
            _write(out / name, members)
        for quirk, (_, archive, damage) in ARCHIVE_QUIRKS.items():
            if quirk in options.quirks:
                images.planted.append(Planted(quirk, archive, offset=damage(out / archive)))
    except OSError as error:
        raise OutputError(f"The miniature cannot be written to {out}: {error.strerror or error}.") from error
    planted = sorted(images.planted, key=lambda planted: list(QUIRKS).index(planted.quirk))
    return Miniature(out, options, tuple(out / name for name in names), tuple(images.entries), tuple(planted))


def _write_classes(out: Path, place: str, classes: Classes) -> None:
    if place == TRAIN:
        archives.write_train_archive(out / TRAIN, classes)
    elif of_class(place, "") == place:
        _write(out / place, chain.from_iterable(members for _, members in classes))
    else:
        for wnid, members in classes:
            _write(out / of_class(place, wnid), members)


def _write(path: Path, members: Members) -> None:
    """Write an archive, the files of a folder, or one table, as the end of its name says."""
    if path.suffix == ".tar":
        archives.write_flat_archive(path, members)
    elif path.suffix in (".gz", ".tgz"):
        archives.write_packed_archive(path, members)
    else:
        archives.write_folder(path.parent if path.suffix in (".csv", ".txt") else path, members)


def _archives_beside(entries: list[MiniatureEntry], options: MiniatureOptions) -> dict[str, Iterable[Member]]:
    """Return archive → members; those of boxes are made when they are read, from the entries there are then."""
    truth = (official().classes[index].devkit for index in validation_truth())
    beside: dict[str, Iterable[Member]] = {DEVKIT: archives.devkit(truth)} if options.devkit else {}
    if options.boxes:
        beside[TRAIN_BOXES] = annotation_files((entry for entry in entries if entry.archive == TRAIN), options.seed)
    if options.boxes and options.validation_per_class:
        validation = (entry for entry in entries if entry.archive == VALIDATION)
        beside[VALIDATION_BOXES] = annotation_files(validation, options.seed)
    return beside


class _Images:
    """Both sets of images, each of which is drawn and noted when it is asked for."""

    def __init__(self, options: MiniatureOptions) -> None:
        self.options = options
        self.entries: list[MiniatureEntry] = []
        self.planted: list[Planted] = []
        self._wnids = options.class_wnids
        self._names = {wnid: _train_names(wnid, options) for wnid in self._wnids}
        self._quirks = _place_quirks(list(self._names.values()), options)

    def train(self) -> Classes:
        """Return the classes with their images, and the class that is unknown, in archive order."""
        order = shuffled(self._wnids, f"{self.options.seed}/classes")
        classes: list[tuple[str, Members]] = [(wnid, self._class_members(wnid)) for wnid in order]
        if "unknown-class" in self.options.quirks:
            self.planted.append(Planted("unknown-class", TRAIN, f"{UNKNOWN_WNID}.tar"))
            name = f"{UNKNOWN_WNID}_1.JPEG"
            classes.insert(len(classes) // 2, (UNKNOWN_WNID, [(name, picture(name, self.options.size))]))
        return classes

    def validation(self) -> Classes:
        """Return the first images that truly show the classes, each with its class, in archive order."""
        wanted = {official().index_of(wnid): self.options.validation_per_class for wnid in self._wnids}
        chosen = []
        for number, index in enumerate(validation_truth(), 1):
            if wanted.get(index, 0):
                wanted[index] -= 1
                chosen.append((validation_image(number), official().classes[index].wnid))
        order = shuffled(chosen, f"{self.options.seed}/validation")
        return ((wnid, [self._image(VALIDATION, name, name, wnid)]) for name, wnid in order)

    def _class_members(self, wnid: str) -> Iterator[Member]:
        for rank, (quirk, (_, members)) in enumerate(CLASS_QUIRKS.items()):
            if quirk in self.options.quirks and wnid == self._wnids[rank % len(self._wnids)]:
                self.planted.append(Planted(quirk, TRAIN, f"{wnid}.tar"))
                yield from members(wnid)
        for name in shuffled(self._names[wnid], f"{self.options.seed}/{wnid}"):
            yield self._image(TRAIN, f"{wnid}.tar/{name}", name, wnid)

    def _image(self, archive: str, member: str, name: str, wnid: str) -> Member:
        """Draw one image, note what it is, and return it."""
        quirk, drawn_as = self._quirks.get(name, ("", name))
        drawing = draw(f"{self.options.seed}/{drawn_as}", self.options.size)
        data = IMAGE_QUIRKS[quirk][1](drawing) if quirk else encode(drawing)
        if quirk:
            self.planted.append(Planted(quirk, archive, member))
        chance = Chance(f"{self.options.seed}/boxes/{name}")
        shown = self.options.boxes and (archive == VALIDATION or chance.one_in(_ANNOTATED_SHARE))
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


def _train_names(wnid: str, options: MiniatureOptions) -> list[str]:
    """Return file names with rising numbers; more images per class only adds names at the end."""
    chance, number, names = Chance(f"{options.seed}/numbers/{wnid}"), 0, []
    for _ in range(options.images_per_class):
        number += chance.between(1, _NUMBER_GAP)
        names.append(f"{wnid}_{number}.JPEG")
    return names


def _place_quirks(classes: list[list[str]], options: MiniatureOptions) -> dict[str, tuple[str, str]]:
    """Return file name → quirk and whose picture it shows, one class after the other."""
    wanted = [quirk for quirk in IMAGE_QUIRKS if quirk in options.quirks]
    needed = -(-len(wanted) // len(classes)) + 2
    if wanted and needed > options.images_per_class:
        raise UsageError(
            f"{len(wanted)} image quirks in {len(classes)} classes need {needed} images per class, "
            "so that two of each class stay as they are."
        )
    placed = {}
    for rank, quirk in enumerate(wanted):
        row, column = divmod(rank, len(classes))
        name = classes[column][row]
        placed[name] = (quirk, classes[(column + 1) % len(classes)][-1] if quirk == "duplicate" else name)
    return placed
