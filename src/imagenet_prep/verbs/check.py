"""Check: what a source holds, what is wrong with it, and what can be built from it. Nothing is written.

By names, headers and a few dozen images it takes seconds, and half a minute where bounding boxes are counted in their
archives. In full, every archive with a published checksum is read from end to end, and beside that every image is
decoded: what a disk or a download has damaged inside the pictures shows only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from imagenet_prep.codecs.jpeg import LOOSELY, decodes_strictly
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import DEVKIT, OFFICIAL_BY_ROLE, TRAIN, VALIDATION, WRONG
from imagenet_prep.imagenet.classes import Taxonomy, official
from imagenet_prep.model.events import Note, Progress, Watch, unwatched
from imagenet_prep.model.given import Jobs, check_fields, given, options_given
from imagenet_prep.model.original import Original
from imagenet_prep.outputs.base import OUTPUTS, output_class
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.base import Input
from imagenet_prep.sources.random_reads import MEASURED, slow_reads
from imagenet_prep.sources.search import SourcePath, form_of, own_data_sets, recognise, source_paths
from imagenet_prep.verbs.annotations import BOX_ROLES
from imagenet_prep.verbs.checksums import comparer
from imagenet_prep.verbs.decode import IMAGES_PER_TASK, DecodeTask, decode_all
from imagenet_prep.verbs.index import IndexOptions, catalog_of, is_indexed, paths_of

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.holdings import Holdings, Piece


_PACKED = "The images were not decoded: they lie in archives that are compressed as a whole, which a build unpacks."
# A build counts these as well: that is not worth opening half a million files.
_UNREAD = "{} has each annotation in a file of its own; --full and a build count their boxes."
_GOLDEN = 0.618034  # its multiples are spread over the source, and far apart as in a shuffled order


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOptions:
    """``full``: compare published checksums and decode every image. ``jobs``, ``taxonomy`` and ``trust_labels`` are
    those of an index.
    """

    full: bool = False
    jobs: Jobs = 0
    taxonomy: Taxonomy = field(default_factory=official)
    trust_labels: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a value of another type."""
        check_fields(self)


@dataclass(slots=True)
class _Findings:
    """What comes together while a source is looked at; ``checksums`` are verdicts by path."""

    catalog: Catalog | None = None
    original: Original | None = None
    checksums: dict[Path, str] = field(default_factory=dict)
    decoded: int = 0
    notes: list[str] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def check(
    source: SourcePath | Iterable[SourcePath],
    options: CheckOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Holdings:
    """Look at a source. What is wrong in it is in the result; may be repeated. ``watch`` is called from two threads.

    ``engine`` does the work instead of ``options.jobs`` processes, as in a build; checksums are computed here.

    Raises SourceError only where it cannot be said what the source is: nothing of ImageNet, two of one thing, or
    something that cannot be read.
    """
    options, watch = options_given(options, CheckOptions), given("watch", watch, Watch)
    check_platform()
    how = IndexOptions(taxonomy=options.taxonomy, trust_labels=options.trust_labels)
    places = source_paths(source)
    notes = own_data_sets(places)
    pieces = list(recognise(places, options.taxonomy, notes.append).values())
    unread = [each for each in pieces if each.folder and each.role in BOX_ROLES and not options.full]
    found = [each for each in pieces if is_indexed(each, how) and each not in unread]
    findings = _Findings(notes=[*notes, *(_UNREAD.format(printable(str(each.path))) for each in unread)])
    with engine_for(engine, options.jobs) as at_work:
        _index(found, how, at_work, findings, watch)
        if findings.catalog is not None:
            findings.original = _original(findings.catalog, paths_of(found))
        if options.full:
            with _checksums(pieces, watch) as checksums:
                if any(each.packed for each in found):
                    findings.notes.append(_PACKED)
                elif findings.catalog is not None:
                    _decode(findings.catalog, paths_of(found), at_work, findings, watch)
                findings.checksums = checksums.result()
            _judge(pieces, findings)
        elif findings.catalog is not None:
            _condemn(findings.catalog, found, findings)
            _time_reads(findings.catalog, paths_of(found), findings)
    return _holdings(pieces, findings)


def _index(found: list[Input], how: IndexOptions, engine: Engine, findings: _Findings, watch: Watch) -> None:
    def keep_notes(event: Progress | Note) -> None:
        """Keep notes for the result; pass progress on to the watcher."""
        if isinstance(event, Note):
            findings.notes.append(event.text)
        else:
            watch(event)

    try:
        findings.catalog = catalog_of(found, how, engine=engine, watch=keep_notes)
    except SourceError as error:
        findings.problems += error.problems or (Problem("the source", error.summary),)
        findings.notes += error.remedy.splitlines()


def _condemn(catalog: Catalog, found: list[Input], findings: _Findings) -> None:
    """Name the images that cannot be any by their size; in full, a decoder has named them."""
    from imagenet_prep.planning.condemned import condemned

    findings.problems += condemned(catalog, [str(each.path) for each in found])


def _original(catalog: Catalog, paths: tuple[str, ...]) -> Original | None:
    """Look whether the images are the original ones, at some from all over each origin."""
    from imagenet_prep.planning.original import SAMPLED
    from imagenet_prep.verbs.original import original_of

    rows = {origin: of for origin in (TRAIN, VALIDATION) if len(of := catalog.rows_of(origin))}
    samples = {origin: of[_spread(len(of), SAMPLED)] for origin, of in rows.items()}
    return original_of(catalog, paths, samples)


def _spread(count: int, wanted: int) -> list[int]:
    """Give different places among ``count``, about as many as are ``wanted``, or all."""
    if count <= wanted:
        return list(range(count))
    return list(dict.fromkeys(int(count * (_GOLDEN * number % 1)) for number in range(wanted)))


def _time_reads(catalog: Catalog, paths: tuple[str, ...], findings: _Findings) -> None:
    """Note that a build will read for hours; in full, all images have just been read."""
    from imagenet_prep.planning.plan import entries_of

    rows = catalog.table.take(_spread(len(catalog), MEASURED))
    slow = slow_reads(paths, entries_of(rows, catalog.archives), len(catalog))
    findings.notes += [slow] if slow else []


def _decode(catalog: Catalog, paths: tuple[str, ...], engine: Engine, findings: _Findings, watch: Watch) -> None:
    if not decodes_strictly():
        findings.notes.append(LOOSELY)
    size = int(catalog.numbers("size").sum())
    for part in decode_all(_decode_tasks(catalog, paths), len(catalog), size, engine, watch):
        findings.decoded += part.images
        findings.remarks += part.remarks
        findings.problems += part.problems


def _decode_tasks(catalog: Catalog, paths: tuple[str, ...]) -> Iterator[DecodeTask]:
    from imagenet_prep.planning.plan import entries_of

    for start in range(0, len(catalog), IMAGES_PER_TASK):
        yield DecodeTask(paths, entries_of(catalog.table.slice(start, IMAGES_PER_TASK), catalog.archives))


@contextmanager
def _checksums(pieces: list[Input], watch: Watch) -> Iterator[Future[dict[Path, str]]]:
    """Compute checksums in a thread while the workers decode; it stops when the context ends, however that is."""
    stop = Event()
    with ThreadPoolExecutor(1) as beside:
        try:
            yield beside.submit(partial(_compare, pieces, stop, watch))
        finally:
            stop.set()


def _compare(pieces: list[Input], stop: Event, watch: Watch) -> dict[Path, str]:
    def watch_or_stop(event: Progress | Note) -> None:
        """Stop when the context has ended."""
        if stop.is_set():
            raise CancelledError
        watch(event)

    files = [each for each in pieces if not each.folder]
    compare = comparer(files, watch_or_stop)
    return {each.path: compare(each) for each in files}


def _judge(pieces: list[Input], findings: _Findings) -> None:
    """A wrong checksum is damage, except for a devkit: its own checksum was right, so it is another edition."""
    for piece in pieces:
        if findings.checksums.get(piece.path) != WRONG:
            continue
        if piece.role == DEVKIT:
            findings.notes.append(f"{piece.path.name} is sound, but not the published file.")
        else:
            reason = "does not have the published checksum: download it again"
            findings.problems.append(Problem(str(piece.path), reason))


def _holdings(pieces: list[Input], findings: _Findings) -> Holdings:
    from imagenet_prep.planning.holdings import Holdings, origin_facts  # with NumPy, which the index has loaded

    origins = {} if findings.catalog is None else origin_facts(findings.catalog)
    images, size = sum(of.images for of in origins.values()), sum(of.size for of in origins.values())
    return Holdings(
        pieces=tuple(_piece(each, findings.checksums.get(each.path, "")) for each in pieces),
        origins=origins,
        space={name: size + images * output_class(name).overhead for name in OUTPUTS if images},
        decoded=findings.decoded,
        remarks=tuple(findings.remarks),
        notes=tuple(findings.notes),
        problems=tuple(findings.problems),
        original=findings.original,
    )


def _piece(found: Input, checksum: str) -> Piece:
    from imagenet_prep.planning.holdings import Piece

    archive = OFFICIAL_BY_ROLE.get(found.role)
    official_size = archive.size if archive and not found.folder else None
    return Piece(found.role, str(found.path), form_of(found), found.size, official_size, checksum)
