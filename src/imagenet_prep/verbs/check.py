"""Check: what a source holds, what is wrong with it, and what can be built from it. Nothing is written.

By names and headers alone it takes seconds. In full, every archive with a published checksum is read from end to end,
and beside that every image is decoded: what a disk or a download has damaged inside the pictures shows only then.
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

from imagenet_prep.engine.base import Engine
from imagenet_prep.engine.local import local_engine
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import DEVKIT, OFFICIAL_BY_ROLE, WRONG
from imagenet_prep.imagenet.classes import Taxonomy, official
from imagenet_prep.model.events import Note, Progress, Watch, unwatched
from imagenet_prep.outputs.base import OUTPUTS, output_class
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.layout import FoundArchive, Source, recognise, source_paths
from imagenet_prep.verbs.checksums import comparer
from imagenet_prep.verbs.decode import IMAGES_PER_TASK, DecodeTask, decode_all
from imagenet_prep.verbs.index import IndexOptions, catalog_of, is_indexed, paths_of

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.holdings import Holdings, Piece


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOptions:
    """``full``: compare published checksums and decode every image. ``jobs`` and ``taxonomy`` are those of an index."""

    full: bool = False
    jobs: int = 0
    taxonomy: Taxonomy = field(default_factory=official)


@dataclass(slots=True)
class _Findings:
    """What comes together while a source is looked at; ``checksums`` are verdicts by path."""

    catalog: Catalog | None = None
    checksums: dict[Path, str] = field(default_factory=dict)
    decoded: int = 0
    notes: list[str] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def check(
    source: Source | Iterable[Source], options: CheckOptions | None = None, *, watch: Watch = unwatched
) -> Holdings:
    """Look at a source. What is wrong in it is in the result; may be repeated. ``watch`` is called from two threads.

    Raises SourceError only where it cannot be said what the source is: nothing of ImageNet, two of one thing, or
    something that cannot be read.
    """
    options = options or CheckOptions()
    check_platform()
    how = IndexOptions(taxonomy=options.taxonomy, boxes=False)
    pieces = list(recognise(source_paths(source), options.taxonomy).values())
    found = [each for each in pieces if is_indexed(each, how)]
    findings = _Findings()
    with local_engine(options.jobs) as engine:
        _index(found, how, engine, findings, watch)
        if options.full:
            with _checksums(pieces, watch) as checksums:
                if findings.catalog is not None:
                    _decode(findings.catalog, paths_of(found), engine, findings, watch)
                findings.checksums = checksums.result()
            _judge(pieces, findings)
    return _holdings(pieces, findings)


def _index(found: list[FoundArchive], how: IndexOptions, engine: Engine, findings: _Findings, watch: Watch) -> None:
    def keep_notes(event: Progress | Note) -> None:
        """Notes belong into the result; a watcher hears of progress."""
        if isinstance(event, Note):
            findings.notes.append(event.text)
        else:
            watch(event)

    try:
        findings.catalog = catalog_of(found, how, engine=engine, watch=keep_notes)
    except SourceError as error:
        findings.problems += error.problems or (Problem("the source", error.summary),)
        findings.notes += error.remedy.splitlines()


def _decode(catalog: Catalog, paths: tuple[str, ...], engine: Engine, findings: _Findings, watch: Watch) -> None:
    size = int(catalog.numbers("size").sum())
    for part in decode_all(_decode_tasks(catalog, paths), len(catalog), size, engine, watch):
        findings.decoded += part.images
        findings.remarks += part.remarks
        findings.problems += part.problems


def _decode_tasks(catalog: Catalog, paths: tuple[str, ...]) -> Iterator[DecodeTask]:
    from imagenet_prep.planning.plan import entries_of

    for start in range(0, len(catalog), IMAGES_PER_TASK):
        yield DecodeTask(paths, entries_of(catalog.table.slice(start, IMAGES_PER_TASK)))


@contextmanager
def _checksums(pieces: list[FoundArchive], watch: Watch) -> Iterator[Future[dict[Path, str]]]:
    """Compute checksums in a thread while the workers decode; it stops when the context ends, however that is."""
    stop = Event()
    with ThreadPoolExecutor(1) as beside:
        try:
            yield beside.submit(partial(_compare, pieces, stop, watch))
        finally:
            stop.set()


def _compare(pieces: list[FoundArchive], stop: Event, watch: Watch) -> dict[Path, str]:
    def watch_or_stop(event: Progress | Note) -> None:
        """Stop when the context has ended."""
        if stop.is_set():
            raise CancelledError
        watch(event)

    files = [each for each in pieces if not each.folder]
    compare = comparer(files, watch_or_stop)
    return {each.path: compare(each) for each in files}


def _judge(pieces: list[FoundArchive], findings: _Findings) -> None:
    """A wrong checksum is damage. A devkit was read to its own checksum, so it is another edition."""
    for piece in pieces:
        if findings.checksums.get(piece.path) != WRONG:
            continue
        if piece.role == DEVKIT:
            findings.notes.append(f"{piece.path.name} is sound, but not the published file.")
        else:
            reason = "does not have the published checksum: download it again"
            findings.problems.append(Problem(str(piece.path), reason))


def _holdings(pieces: list[FoundArchive], findings: _Findings) -> Holdings:
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
    )


def _piece(found: FoundArchive, checksum: str) -> Piece:
    from imagenet_prep.planning.holdings import Piece

    archive = OFFICIAL_BY_ROLE.get(found.role)
    official_size = archive.size if archive and not found.folder else None
    return Piece(found.role, str(found.path), found.form, found.size, official_size, checksum)
