"""What is not ILSVRC2012 is called by its name: one table of what people give in its place, known by cheap signs.

Names of files and folders, and the first bytes of files whose names say nothing. It is asked only where something is
missing or cannot be used: a source that is sound is not looked at twice.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.names import CORRUPTIONS, WNID
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.sources.disguise import START_BYTES, is_page
from imagenet_prep.sources.downloads import tool_of
from imagenet_prep.sources.found import is_litter, is_of_system
from imagenet_prep.sources.labels import ARCHIVE_NAMES, CLASS_TAR, role_of
from imagenet_prep.sources.survey import is_folder

_DEEPEST = 4  # folders below the one that was given
_MOST, _MOST_NAMES, _MOST_STARTS = 20_000, 2_000, 100  # places to look at, in each folder, and of which to read bytes
_ALIKE = 3  # class folders of one folder, which are all of a kind
_FEW_TARS = 100  # class tars of other classes, each of which is named
_CLASS_FOLDER = re.compile(rf"{WNID}|\d{{1,4}}", re.ASCII)


@dataclass(frozen=True)
class Other:
    """One row: what it is, by what signs it is known, in words, and what to do. ``files`` and ``folders`` are patterns
    of whole names, of a folder with the one above where that has a slash; ``start`` is what stands in a file at byte
    ``at``. One that may lie beside what is built counts only where nothing can be: ``alone``. One whose images have
    names as in ImageNet is refused by the names of folders: ``never``.
    """

    name: str
    signs: str
    remedy: str
    files: str = ""
    folders: str = ""
    start: bytes = b""
    at: int = 0
    alone: bool = False
    never: bool = False

    def is_called(self, path: Path, *, folder: bool) -> bool:
        """Whether the name of a file or folder is a sign of it."""
        pattern = self.folders if folder else self.files
        name = f"{path.parent.name}/{path.name}" if "/" in pattern else path.name
        return bool(pattern) and re.fullmatch(pattern, name, re.ASCII | re.IGNORECASE) is not None

    def begins(self, start: bytes) -> bool:
        """Whether a file that begins so is one."""
        return bool(self.start) and start[self.at : self.at + len(self.start)] == self.start

    def at_place(self, path: Path) -> Problem:
        """Say in a sentence what lies at a path, and what to do. A folder that was known by the one above is in a set
        of such.
        """
        place = path.parent.parent if "/" in self.folders and self.is_called(path, folder=True) else path
        return Problem(printable(str(place)), f"is {self.name}: {self.remedy}")


_SETS = "(?:train|val|valid|validation|test)"
_LOADER = "for evaluation alone; read them with a loader of their own"
_MADE_FROM = "that is not read; give what it was made from"
PAGE = Other(
    "a web page",
    "the first sign in it is `<`",
    "the login had expired when it was downloaded; log in and download it again",
)
IMAGENET_21K = Other(
    "ImageNet-21k (fall11 or winter21)",
    "`fall11_whole.tar`, `winter21_whole.tar.gz`, or more than 100 class tars of other classes",
    "its class tars cannot take the place of those of ILSVRC2012; give ILSVRC2012_img_train.tar",
    files=r"(fall11|winter21)_whole.*",
    folders=r"(fall11|winter21)(_whole)?",
)
OTHERS = (
    IMAGENET_21K,
    Other(
        "ImageNet-21k-P",
        "`imagenet21k_resized.tar.gz`, `imagenet21k_train`",
        "images of other classes, made smaller; give the archives of ILSVRC2012",
        files=r"imagenet21k_resized.*",
        folders=rf"imagenet21k_(resized|{_SETS})",
        never=True,
    ),
    Other(
        "ImageNet-V2",
        "`imagenetv2-matched-frequency.tar.gz`, images called by 40 hexadecimal digits",
        f"other photographs, in folders by class index, {_LOADER}",
        files=r"imagenetv2-.*|[0-9a-f]{40}\.jpeg",
        folders=r"imagenetv2-.*",
    ),
    Other(
        "ImageNet-C",
        "`fog/3` and the like, `weather.tar`",
        "distorted validation images, for evaluation alone; give ILSVRC2012_img_val.tar",
        files=r"(blur|digital|extra|noise|weather)\.tar",
        folders=rf"({CORRUPTIONS})/[1-5]",
    ),
    Other(
        "ImageNet-A",
        "`imagenet-a.tar`, images called like `0.000116_digital clock _ 0.865662.jpg`",
        f"other photographs, of 200 classes, {_LOADER}",
        files=r"imagenet-a\.tar(\.gz)?|0\.\d{6}_.+\.jpg",
        folders=r"imagenet-a",
    ),
    Other(
        "ImageNet-R",
        "`imagenet-r.tar`, images called like `art_0.jpg`",
        f"paintings and the like, of 200 classes, {_LOADER}",
        files=r"imagenet-r\.tar(\.gz)?|(art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting"
        r"|sculpture|sketch|sticker|tattoo|toy|videogame)_\d+\.jpg",
        folders=r"imagenet-r",
    ),
    Other(
        "ImageNet-Sketch",
        "`ImageNet-Sketch.zip`, images called like `sketch_0.JPEG`",
        f"drawings, {_LOADER}",
        files=r"imagenet-sketch.*|sketch\.zip|sketch_\d+\.jpeg",
        folders=r"imagenet[-_]sketch",
    ),
    Other(
        "ReaL",
        "`real.json`",
        "other labels for the validation images, and no images; build validation, and join the two by the numbers in "
        "the names of images",
        files=r"real\.json",
    ),
    Other(
        "Tiny ImageNet",
        "`tiny-imagenet-200.zip`, `val_annotations.txt`",
        "200 classes at 64 pixels, under other names; give the archives of ILSVRC2012",
        files=r"tiny-imagenet-200.*|val_annotations\.txt|val_\d+\.jpeg",
        folders=r"tiny-imagenet-200",
        never=True,
    ),
    Other(
        "downsampled ImageNet",
        "`train_data_batch_1`, `Imagenet64_train.zip`, `train_32x32`",
        "pixels of 8 to 64 a side, and no files; give the archives of ILSVRC2012, and resize what you read",
        files=rf"(train|val)_data(_batch_\d+)?(\.npz)?|imagenet(8|16|32|64)_{_SETS}.*"
        rf"|{_SETS}_(8x8|16x16|32x32|64x64)\..*",
        folders=rf"imagenet(8|16|32|64)(_{_SETS}.*)?|{_SETS}_(8x8|16x16|32x32|64x64)",
    ),
    Other(
        "the test set",
        "`ILSVRC2012_img_test_v10102019.tar`, images called `ILSVRC2012_test_…`, `test_images.tar.gz`",
        "it has no labels; give train, of which a labelled test split is held out, or validation",
        files=r"ILSVRC2012_img_test.*|ILSVRC2012_test_\d{8}.*|test_images\.tar\.gz|test-\d+-of-\d+.*\.parquet",
        alone=True,
    ),
    Other(
        "a set of bounding boxes",
        "`ILSVRC2012_bbox_train_v2.tar.gz`, files that end in `.xml`",
        "there are no images with it; give train or validation beside it",
        files=rf"ILSVRC2012_bbox_.*|({WNID}_\d+|ILSVRC2012_val_\d{{8}})\.xml",
        alone=True,
    ),
    PAGE,
    Other(
        "a pointer of Git LFS",
        "what stands in it",
        "the file itself was not downloaded; fetch it with git lfs pull",
        start=b"version https://git-lfs",
    ),
    Other(
        "a database of LMDB",
        "`data.mdb`, or its first bytes",
        _MADE_FROM,
        files=r"data\.mdb|lock\.mdb|.+\.lmdb",
        folders=r".+\.lmdb",
        start=b"\xde\xc0\xef\xbe",
        at=16,
    ),
    Other(
        "a file of HDF5",
        "`.h5`, `.hdf5`, or its first bytes",
        _MADE_FROM,
        files=r".+\.(h5|hdf5)",
        start=b"\x89HDF\r\n\x1a\n",
    ),
    Other("a file of FFCV", "`.beton`", _MADE_FROM, files=r".+\.beton"),
    Other(
        "a file of MXNet's RecordIO",
        "`.rec`, or its first bytes",
        _MADE_FROM,
        files=r".+\.rec",
        start=b"\x0a\x23\xd7\xce",
    ),
    Other(
        "an image of SquashFS",
        "`.squashfs`, or its first bytes",
        "mount it and give the folder: `sudo mount -t squashfs -o loop,ro FILE FOLDER`, or without being root "
        "`squashfuse FILE FOLDER`",
        files=r".+\.(squashfs|sqfs|sqsh|sfs)",
        start=b"hsqs",
    ),
    Other("a data set of MDS (Mosaic's Streaming)", "`shard.00000.mds`", _MADE_FROM, files=r"shard\.\d+\.mds.*"),
    Other("a data set of LitData", "`chunk-0-0.bin`", _MADE_FROM, files=r"chunk-\d+-\d+.*\.bin"),
)


def others_in(sources: Collection[Path], used: Collection[Path] = (), *, nothing: bool = False) -> tuple[Problem, ...]:
    """Name one of each row that lies in files and folders, except in what is ``used``; ``nothing`` can be built."""
    rows = [other for other in OTHERS if nothing or not other.alone]
    known: dict[str, Problem] = {}
    strange: list[Path] = []
    for path, is_dir in _walk(sources, frozenset(used)):
        other = next((other for other in rows if other.is_called(path, folder=is_dir)), None)
        if other:
            known.setdefault(other.name, other.at_place(path))
        elif not is_dir and _is_strange(path.name):
            strange.append(path)
    for path in strange[:_MOST_STARTS]:
        if other := _by_start(path):
            known.setdefault(other.name, other.at_place(path))
    return tuple(known[other.name] for other in OTHERS if other.name in known)


def around(path: Path, *, never: bool = True) -> Problem | None:
    """Name what a folder lies in, if it is ``never`` taken for ILSVRC2012, whatever its images are called; or if it
    may be, when nothing else is there.
    """
    folders = [path, *path.parents]
    found = ((other, folder) for other in OTHERS if other.never or not never for folder in folders)
    return next((other.at_place(folder) for other, folder in found if other.is_called(folder, folder=True)), None)


def class_tars_of_others(folder: Path, strange: int) -> Problem | None:
    """Name a folder in which so many class tars are of no class of ILSVRC2012."""
    many = strange > (0 if IMAGENET_21K.is_called(folder, folder=True) else _FEW_TARS)
    return IMAGENET_21K.at_place(folder) if many else None


def _walk(sources: Collection[Path], used: frozenset[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield files and folders, and whether they are folders, near ones first; of class folders only the first few."""
    waiting = [(source, source.is_dir(), 0) for source in sources]
    for path, is_dir, depth in islice(waiting, _MOST):  # grows while it is walked
        if path not in used:
            yield path, is_dir
            if is_dir and depth < _DEEPEST:
                waiting += ((path / name, folder, depth + 1) for name, folder in _inside(path))


def _inside(folder: Path) -> list[tuple[str, bool]]:
    """Give names in a folder, and whether they are folders."""
    try:
        with os.scandir(folder) as entries:
            inside = {entry.name: is_folder(entry) for entry in islice(entries, _MOST_NAMES)}
    except OSError:  # the search names it
        return []
    names = sorted(name for name in inside if not name.startswith(".") and not is_of_system(name))
    left_out = set([name for name in names if _CLASS_FOLDER.fullmatch(name)][_ALIKE:])
    return [] if PRIVATE in inside else [(name, inside[name]) for name in names if name not in left_out]


def _is_strange(name: str) -> bool:
    """Whether nobody else knows a file of this name. A list or a script is no news, a web page may be."""
    ours = role_of(name) or name in ARCHIVE_NAMES or CLASS_TAR.fullmatch(name) or tool_of(name)
    return not ours and (not is_litter(name) or name.lower().endswith(".html"))


def _by_start(path: Path) -> Other | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait forever
            return None
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError:
        return None
    return PAGE if is_page(start) else next((other for other in OTHERS if other.begins(start)), None)
