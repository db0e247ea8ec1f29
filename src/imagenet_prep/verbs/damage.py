"""Which part of a damaged archive is bad: its headers are read, also after damage, and every image is decoded.

What is found stays in columns and goes to the workers as it is: no catalog is made, which needs a sound archive, and
neither NumPy nor Arrow is needed.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import path_for, seeing
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import CLASS_COUNT, TRAIN, VALIDATION, VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import CLASS_TAR_NAME, VALIDATION_STEM
from imagenet_prep.model.events import Stage, Tally, Watch
from imagenet_prep.model.task import Entries
from imagenet_prep.sources.base import Input
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.official import ClassTar, TarTask, class_tars, run_tar_task
from imagenet_prep.verbs.decode import IMAGES_PER_TASK, DecodeTask, decode_all, tell_decoder
from imagenet_prep.verbs.index import collect, cut

_NAMED = 5  # missing class tars that are named; the rest is counted
WALKED = (TRAIN, VALIDATION)
_PARTS = {
    TRAIN: (CLASS_COUNT, "class tars", re.compile(CLASS_TAR_NAME)),
    VALIDATION: (VALIDATION_IMAGES, "images", re.compile(rf"{VALIDATION_STEM}\.JPEG")),
}


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong where, by offset. ``clean`` of ``parts`` are sound: class tars of train, images of validation.

    ``parts`` are those in the archive, or, where the walk over it met damage, those the published one has.
    """

    problems: tuple[Problem, ...] = ()
    clean: int = 0
    parts: int = 0


def damage_in(archive: Input, engine: Engine, watch: Watch) -> Damage:
    """Walk a train or validation archive and decode its images; damage may remain even if it finds no problem."""
    tell_decoder(watch)
    try:
        tars, outside = class_tars(archive.path, salvage=True) if archive.role == TRAIN else ([], Found(0, ""))
        work = seeing(engine, run_tar_task, [str(archive.path)])
        tally = Tally(watch, Stage.INDEX)
        walked = collect(engine.run(work, _tasks(archive, tars, engine), progress=tally.running), tally)
        parts = list(walked.values())
        images, size = sum(len(part.lengths) for part in parts), sum(sum(part.sizes) for part in parts)
        problems: list[Problem] = []
        remarks: list[Problem] = []
        for decoded in decode_all(_decode_tasks(path_for(engine, archive.path), parts), images, size, engine, watch):
            problems += decoded.problems
            remarks += decoded.remarks
    except SourceError as error:  # the disk fails
        return Damage(error.problems or (Problem(archive.path.name, error.summary),))
    if archive.role == TRAIN:
        problems += [problem for part in parts for problem in _of_walk(part)]
        return _damage(archive, {tar.container for tar in tars}, outside, problems, remarks)
    return _damage(archive, {name for part in parts for name in _names(part)}, parts[0], problems, remarks)


def _tasks(archive: Input, tars: list[ClassTar], engine: Engine) -> Iterator[TarTask]:
    path = path_for(engine, archive.path)
    if archive.role == VALIDATION:
        yield TarTask(0, path, VALIDATION, validation_truth(), salvage=True)
    for some in cut(tars, engine.width):
        yield TarTask(0, path, TRAIN, array("H"), tuple(some), salvage=True)


def _decode_tasks(path: str, parts: list[Found]) -> Iterator[DecodeTask]:
    for part in parts:
        names, containers = _names(part), part.containers
        for start in range(0, len(names), IMAGES_PER_TASK):
            rows = slice(start, start + IMAGES_PER_TASK)
            count = len(names[rows])
            entries = Entries(
                names=names[rows],
                class_indexes=part.class_indexes[rows],
                archives=array("b", bytes(count)),
                containers=[containers[place] for place in part.placed[rows]],
                offsets=part.offsets[rows],
                sizes=part.sizes[rows],
                boxes=[None] * count,
            )
            yield DecodeTask((path,), entries)


def _names(part: Found) -> list[str]:
    return [part.names[start:end].decode() for start, end in pairwise(accumulate(part.lengths, initial=0))]


def _of_walk(found: Found) -> list[Problem]:
    return [*found.problems, *([found.unended] if found.unended else [])]


def _damage(archive: Input, names: set[str], walk: Found, problems: list[Problem], remarks: list[Problem]) -> Damage:
    """Combine what the walk over the archive itself, and the walks inside it, found of the parts ``names``."""
    published, what, name = _PARTS[archive.role]
    of_walk = _of_walk(walk)
    if not of_walk and not problems:
        # The published images have such remarks, too: they are reported if nothing else gives a hint.
        problems = [
            Problem(each.archive, f"{each.reason}: perhaps the damage", each.member, each.offset) for each in remarks
        ]
    problems = sorted([*of_walk, *problems], key=lambda problem: (problem.offset or 0, problem.member))
    bad = {part for problem in problems for part in problem.member.split("/")}
    met = names | {part for part in bad if name.fullmatch(part)}
    lost = published - len(met)
    if of_walk and lost > 0:
        all_tars = [f"{each.wnid}.tar" for each in official().classes] if archive.role == TRAIN else []
        named = [tar for tar in all_tars if tar not in met]
        some = f": {', '.join(named[:_NAMED])}{' …' if len(named) > _NAMED else ''}" if named else ""
        problems.append(Problem(archive.path.name, f"{lost:,} of the {published:,} {what} were not found{some}"))
    return Damage(tuple(problems), len(names - bad), max(published, len(met)) if of_walk else len(names))
