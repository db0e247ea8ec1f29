"""Audit of data sets that others made: what they are, what their labels mean, and what is missing, short, doubled or
mislabelled against the built-in truth.

Neither the names of files nor the documents beside them count as proof. Every record and every image is read, or
those of a sample; what takes all of them is judged when all were seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import SystemRandom

from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.engines.shared_files import path_for, seeing
from imagenet_prep.errors import AuditError, Forbidden, ForbiddenError, Problem, SourceError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.audit_report import AuditOptions
from imagenet_prep.model.events import Stage, Tally, Watch, unwatched
from imagenet_prep.model.given import given, options_given
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.search import SourcePath
from imagenet_prep.sources.survey import survey
from imagenet_prep.stores.errors import MAY_READ, output_errors
from imagenet_prep.verbs.audit.others.dataset import FoundSet
from imagenet_prep.verbs.audit.others.folders import find_folder_set
from imagenet_prep.verbs.audit.others.look import FolderLook, Look, ShardLook, look, look_in_vain
from imagenet_prep.verbs.audit.others.observed import Seen
from imagenet_prep.verbs.audit.others.records import find_record_sets
from imagenet_prep.verbs.audit.others.report import ForeignReport
from imagenet_prep.verbs.decode import tell_decoder


def audit_foreign(
    out: SourcePath,
    options: AuditOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> ForeignReport:
    """Audit a data set that this program did not make. What is wrong with it is in the report; may be repeated.

    Of a sample, the share is that of the shards and class folders of each split, and nothing is said of what is
    missing. Raises AuditError if there is no known kind of data set.

    ``engine`` does the work instead of ``options.jobs`` processes, as in a build.
    """
    check_platform()
    out, options = given("out", out, Path), options_given(options, AuditOptions)
    watch = given("watch", watch, Watch)
    decode, sample = options.decode, options.sample
    if decode:
        tell_decoder(watch)
    sets, unsearched, remarks = _find(out)
    looks = [each for number, found in enumerate(sets) for each in _looks(found, number, decode, sample)]
    with engine_for(engine, options.jobs) as at_work:
        seen = _look(looks, out, at_work, watch)
    from imagenet_prep.verbs.audit.others.judge import judge  # with NumPy, which the workers do without

    judged = [
        judge(found, [part for part in seen if part.data_set == number], complete=sample == 1)
        for number, found in enumerate(sets)
    ]
    return ForeignReport(
        sets=tuple(each.facts for each in judged),
        sample=sample,
        decoded=decode,
        remarks=(*remarks, *(remark for each in judged for remark in each.remarks)),
        problems=(*unsearched, *(problem for each in judged for problem in each.problems)),
    )


def _find(out: Path) -> tuple[list[FoundSet], list[Problem], list[Problem]]:
    """Give the data sets in ``out``, what is wrong with the search itself, and what else looks like a data set."""
    try:
        found = survey((out,), official().called)
        if forbidden := tuple(each for each in found.problems if isinstance(each, Forbidden)):
            raise ForbiddenError(f"{out} cannot be read completely:", forbidden, MAY_READ)
        sets, strange = find_record_sets(out, found.files)
        folders, archives = find_folder_set(out, found)
    except SourceError as error:
        raise AuditError(f"{out} is not a build of imagenet-prep. {error.summary}", error.problems) from error
    except PermissionError as error:
        with output_errors(Path(error.filename), "read"):
            raise
    except OSError as error:
        raise AuditError(f"{out} cannot be searched: {error.strerror or error}: {error.filename}.") from error
    sets += [folders] if folders else []
    if sets:
        return sets, found.problems, strange
    if found.problems:
        raise AuditError(f"{out} cannot be searched:", tuple(found.problems))
    if archives:
        remedy = f"`imagenet-prep check {out}` inspects it; `imagenet-prep build` makes a data set of it."
        raise AuditError(f"{out} is a source, not a data set: it holds archives of ILSVRC2012.", remedy=remedy)
    remedy = (
        "Known kinds are builds, class folders with ImageNet's file names, and TFRecord shards such as "
        "train-00000-of-01024 or imagenet2012-train.tfrecord-00000-of-01024."
    )
    raise AuditError(
        f"{out} is neither a build of imagenet-prep nor a known kind of data set.", tuple(strange), remedy=remedy
    )


def _looks(found: FoundSet, number: int, decode: bool, sample: float) -> Iterator[Look]:
    """Yield the parts to look at. Of a folder outside the sample the names are listed all the same."""
    chosen = set(_chosen(found, sample)) if sample < 1 else None
    for each in found.looks:
        among = chosen is None or each.position in chosen
        if isinstance(each, FolderLook):
            yield replace(each, data_set=number, decode=decode, read=among)
        elif among:
            yield replace(each, data_set=number, decode=decode)


def _chosen(found: FoundSet, sample: float) -> Iterator[int]:
    for split in sorted({each.split for each in found.looks}):
        positions = [each.position for each in found.looks if each.split == split]
        yield from SystemRandom().sample(positions, math.ceil(sample * len(positions)))


def _look(looks: list[Look], out: Path, engine: Engine, watch: Watch) -> list[Seen]:
    shards = [each.size for each in looks if isinstance(each, ShardLook)]
    total = sum(shards) if len(shards) == len(looks) else 0  # of folders it is not known before they were listed
    seen: list[Seen] = []
    tally = Tally(watch, Stage.AUDIT, bytes_total=total)
    tally.running()
    tasks = [replace(each, path=Path(path_for(engine, each.path))) for each in looks]
    work = seeing(engine, look, [str(out)])
    for part in engine.run(work, tasks, look_in_vain, lambda done, size: tally.running(done, size if total else 0)):
        seen.append(part)
        tally.finished(len(part), part.size if total else 0)
    return sorted(seen, key=lambda part: (part.data_set, part.position))
