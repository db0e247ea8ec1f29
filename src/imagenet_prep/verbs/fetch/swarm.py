"""Archives from torrents. Each file gets its name as soon as its torrent is complete and it was read once more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, UsageError, printable
from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE, RIGHT, WRONG
from imagenet_prep.model.events import Note, Progress, Stage, Watch
from imagenet_prep.stores.errors import output_errors, undisturbed
from imagenet_prep.stores.space import check_space
from imagenet_prep.stores.sync import sync_file
from imagenet_prep.verbs.fetch.compare_torrent import (
    Standing,
    check,
    compare,
    look,
    make_ready,
    not_the_published,
    tidy,
)
from imagenet_prep.verbs.fetch.peers import Swarm, Transfer, leftover
from imagenet_prep.verbs.fetch.report import Fetched, TorrentOptions
from imagenet_prep.verbs.fetch.resume import missing_of
from imagenet_prep.verbs.fetch.select_files import Wanted, choose
from imagenet_prep.verbs.fetch.torrent_file import Torrent, open_torrent
from imagenet_prep.verbs.fetch.unfinished import name_part, unfinished_path

_LONGEST_TIMEOUT = 86_400.0  # seconds
_TERMS = (
    "ImageNet is for non-commercial research and education; its terms are at https://image-net.org/download.php. "
    "If you have accepted them and have the right to the data, say so with --accept-terms."
)


@dataclass(slots=True)
class _Job:
    """One torrent with the files that are wanted of it. ``before`` are the bytes of each file of the torrent that were
    there when it was checked.
    """

    torrent: Torrent
    standings: list[Standing]
    transfer: Transfer | None = None
    before: list[int] | None = None
    fetched: list[Fetched] = field(default_factory=list)

    def missing(self) -> list[Wanted]:
        return [each.wanted for each in self.standings if each.right is None]


def fetch_torrents(folder: Path, options: TorrentOptions, watch: Watch) -> tuple[Fetched, ...]:
    """Fetch the official archives that torrents have into ``folder``, which exists and is held by the caller; files
    that are there are repaired. With ``seed`` it ends by an interrupt, which is no error then.

    Raises UsageError before anything is asked for, SourceError for torrents and for files that are in the way,
    OutputError for the disk. An interrupt leaves parts, which the same call goes on with.
    """
    torrents = check_torrents(options)
    if not _is_utf8(folder.absolute()):
        raise UsageError(f"libtorrent cannot write into {printable(str(folder))}: its name is not UTF-8.")
    verdicts = _compare_known(torrents, folder, watch)
    settled = [] if options.seed else [final for final, verdict in verdicts.items() if verdict == RIGHT]
    torrents = [each for each in torrents if _known_final(each, folder) not in settled]
    _check_space(folder, sum(missing_of(final) for each in torrents if (final := _known_final(each, folder))))
    jobs: list[_Job] = []
    try:
        with Swarm(options, watch) as swarm, output_errors(folder):  # libtorrent names no file
            swarm.learn(torrents)
            jobs = _stand(torrents, folder, verdicts, watch)
            if any(job.missing() for job in jobs):
                _start(jobs, folder, swarm, watch)
                _run(jobs, folder, swarm, watch)
            if options.seed:
                _seed(jobs, folder, swarm, watch)
    finally:  # when libtorrent writes no more
        for wanted in [each for job in jobs for each in job.missing()]:
            tidy(wanted)
    there = [Fetched(final.name, final.stat().st_size, 0, RIGHT) for final in settled]
    return (*there, *(file for job in jobs for file in job.fetched))


def check_torrents(options: TorrentOptions) -> list[Torrent]:
    """Understand which torrents are meant. Raises UsageError, also where the terms are not accepted."""
    if not options.accept_terms:
        raise UsageError("The terms of ImageNet are not accepted.", remedy=_TERMS)
    if options.rate < 0 or options.upload_rate < 0 or not 0 <= options.timeout <= _LONGEST_TIMEOUT:
        raise UsageError("Rates and the timeout are not below 0, and the timeout is at most a day.")
    return list({each.info_hash: each for each in map(open_torrent, options.torrents)}.values())


def _compare_known(torrents: list[Torrent], folder: Path, watch: Watch) -> dict[Path, str]:
    """Compare the archives of known torrents that are there: where all are right, no swarm need be asked what those
    torrents hold.
    """
    return {
        final: compare(OFFICIAL_BY_ROLE[torrent.role], final, watch)
        for torrent in torrents
        if (final := _known_final(torrent, folder)) and final.is_file()
    }


def _known_final(torrent: Torrent, folder: Path) -> Path | None:
    return folder / OFFICIAL_BY_ROLE[torrent.role].names[0] if torrent.role else None


def _stand(torrents: list[Torrent], folder: Path, verdicts: Mapping[Path, str], watch: Watch) -> list[_Job]:
    """Look at everything that is there, before anything is changed."""
    wanted = choose(torrents, folder, watch)
    jobs = []
    for torrent in torrents:
        mine = [each for each in wanted if each.torrent is torrent]
        paths = {each.index: each.final for each in mine if each.final.is_file()}
        standings = [look(each, paths, watch, verdicts.get(each.final, "")) for each in mine]
        jobs.append(_Job(torrent, standings, fetched=[each.right for each in standings if each.right]))
    return jobs


def _start(jobs: list[_Job], folder: Path, swarm: Swarm, watch: Watch) -> None:
    todo = [each for job in jobs for each in job.standings if each.right is None]
    needed = sum(max(0, each.wanted.size - each.there) for each in todo)
    _check_space(folder, needed)
    for each in todo:
        make_ready(each, watch)
    for job in jobs:
        if names := {each.index: unfinished_path(each.final).name for each in job.missing()}:
            job.transfer = swarm.fetch(job.torrent, folder, names)


def _run(jobs: list[_Job], folder: Path, swarm: Swarm, watch: Watch) -> None:
    """Wait for the pieces; a file that turns out wrong keeps no other from coming, and is told at the end."""
    swarm.patience.rest()
    failed: list[SourceError] = []
    running = [job for job in jobs if job.transfer]
    transfers = [job.transfer for job in jobs if job.transfer]
    subject = " and ".join(each.final.name for job in jobs for each in job.missing())
    while running:
        swarm.wait()
        for job in list(running):
            if job.transfer and _is_done(job, job.transfer):
                running.remove(job)
                swarm.leave(job.torrent)
                failed += _finish(job, folder, watch)
                swarm.patience.rest()
        _tell(transfers, subject, swarm, watch)
    if failed:
        raise SourceError(
            failed[0].summary, tuple(problem for each in failed for problem in each.problems), failed[0].remedy
        )


def _is_done(job: _Job, transfer: Transfer) -> bool:
    transfer.look()
    if job.before is None and not transfer.checking:
        job.before = transfer.file_bytes()
    return transfer.finished


def _tell(transfers: list[Transfer], subject: str, swarm: Swarm, watch: Watch) -> None:
    total = sum(each.total for each in transfers)
    if any(each.checking for each in transfers):
        watch(Progress(Stage.RECHECK, 0, 0, int(sum(each.checked * each.total for each in transfers)), total, subject))
        swarm.patience.rest()
        return
    watch(Progress(Stage.TORRENT, 0, 0, min(total, sum(each.done for each in transfers)), total, subject))
    swarm.patience.look(sum(each.received for each in transfers), sum(each.peers for each in transfers))


def _finish(job: _Job, folder: Path, watch: Watch) -> list[SourceError]:
    """Give the files of a torrent their names; gives what is wrong with those that keep their part."""
    failed = []
    paths = {each.index: unfinished_path(each.final) for each in job.missing()}
    for wanted in job.missing():
        try:
            verdict = _prove(wanted, paths, watch)
        except SourceError as error:
            failed.append(error)
            continue
        paths[wanted.index] = wanted.final
        there = job.before[wanted.index] if job.before else 0
        job.fetched.append(Fetched(wanted.final.name, wanted.size, wanted.size - there, verdict))
    (folder / leftover(job.torrent)).unlink(missing_ok=True)
    return failed


def _prove(wanted: Wanted, paths: dict[int, Path], watch: Watch) -> str:
    return undisturbed(lambda: _read_and_name(wanted, paths, watch))


def _read_and_name(wanted: Wanted, paths: dict[int, Path], watch: Watch) -> str:
    """Read a complete part once more, from the disk's file and not from what libtorrent remembers, and give it its name
    if it is still the same then: the verdict on its published checksum. Raises SourceError if it is not the published
    file, or not what came.
    """
    part = unfinished_path(wanted.final)
    with output_errors(part), part.open("rb+") as file:
        sync_file(file.fileno())
        seen = os.fstat(file.fileno())
    verdict = compare(wanted.archive, wanted.final, watch, part)
    if verdict != RIGHT:
        pieces = check(wanted, paths, watch)
        if pieces.damaged or part.stat().st_size != wanted.size:
            problem = Problem(part.name, f"{pieces.damaged:,} of {pieces.total:,} pieces were right when they came")
            raise SourceError("What was written reads back differently:", (problem,), "Look after the disk.")
        if verdict == WRONG:
            raise not_the_published(wanted, part)
    if os.path.lexists(wanted.final):
        raise SourceError("A file has appeared meanwhile:", (Problem(wanted.final.name, "was not there before"),))
    name_part(wanted.final, seen)
    return verdict


def _seed(jobs: list[_Job], folder: Path, swarm: Swarm, watch: Watch) -> None:
    """Give until the user has enough of it, which is how this is meant to end."""
    for job in jobs:
        swarm.seed(job.torrent, folder, {each.wanted.index: each.wanted.final.name for each in job.standings})
    try:
        watch(Note(f"Everything is here. Giving it to others, on port {swarm.port}, until Ctrl-C."))
        while True:
            swarm.wait()
    except KeyboardInterrupt:
        watch(Note("No longer giving."))


def _check_space(folder: Path, needed: int) -> None:
    check_space(folder, needed, remedy="Free some space, or choose another folder.")


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
