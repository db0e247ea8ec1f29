"""A build as one value: where, what, and what is left to do; and how it runs, one stage after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from imagenet_prep.dataset.catalog_file import load_catalog, save_catalog
from imagenet_prep.dataset.inventory import DESCRIPTIONS
from imagenet_prep.dataset.layout import CATALOG, SET_ASIDE_FOLDER, STATE
from imagenet_prep.dataset.manifest import LeftOut, set_aside_images
from imagenet_prep.dataset.state import State, load_state, save_state, state_of
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import seeing
from imagenet_prep.errors import counted
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.class_map import class_names
from imagenet_prep.model.events import Note, Progress, Stage, Tally, Watch
from imagenet_prep.model.original import Original
from imagenet_prep.model.receipt import DECODE
from imagenet_prep.model.report import Accounts, Report, SplitReport
from imagenet_prep.model.task import SET_ASIDE, Part, ShardOutcome, ShardTask
from imagenet_prep.options import BuildOptions
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.plan import Plan, Work, entries_of, plan
from imagenet_prep.planning.plan import work as runs_of
from imagenet_prep.planning.remarks import remarks
from imagenet_prep.sources.plain import packed_at, plain_size
from imagenet_prep.sources.random_reads import MEASURED, slow_reads
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.space import amount, check_space
from imagenet_prep.verbs.build.failures import Failures
from imagenet_prep.verbs.build.finish import finish, finished, finished_outputs, unfinish
from imagenet_prep.verbs.build.place import effective, grown, has_begun_to_move, refuse_moved, refuse_other
from imagenet_prep.verbs.build.preflight import check_links, files_needed, paths_of, space_needed, try_links
from imagenet_prep.verbs.build.relocate import relocate
from imagenet_prep.verbs.build.remaining import Remaining
from imagenet_prep.verbs.build.shard import make_shards
from imagenet_prep.verbs.build.spool import Spool
from imagenet_prep.verbs.decode import tell_decoder
from imagenet_prep.verbs.original import original_of_plan, require_original, warn_of_copy

if TYPE_CHECKING:
    from imagenet_prep.verbs.build.own import Located


def job(
    store: Store,
    catalog: Catalog,
    options: BuildOptions,
    state: State | None,
    watch: Watch,
    spool: Spool | None = None,
    *,
    reading: Located | None = None,
) -> Job:
    """Plan a build, and say what of it is left to do. Raises what a build would raise before it begins, except for a
    lack of space; writes nothing. ``reading`` says where images are read from, if not from where the catalog says.
    """
    the_plan = plan(catalog, options.recipe, state.arrangements if state else None)
    refuse_other(store, the_plan, state)
    done = finished_outputs(store)
    grows = bool(done) and done < {each.output.name for each in the_plan.outputs}
    options = effective(options, state, grows=grows)
    new = [each for each in the_plan.outputs if state is None or each.output.name not in state.outputs]
    if has_begun_to_move(store):
        refuse_moved(store, new)
    else:
        for each in new:
            check_links(store, the_plan, each.output)
    original = state.original if state else None
    places = tuple(map(spool.place, paths_of(the_plan))) if spool else paths_of(the_plan)
    if original is None and not has_begun_to_move(store):
        original = original_of_plan(the_plan, places)
    if options.require_original:
        require_original(original)
    warn_of_copy(original, watch)
    remaining = Remaining(store, the_plan, options.check, watch)
    return Job(store, the_plan, options, state, remaining, original, spool, reading, grows=grows)


@dataclass(frozen=True)
class Job:
    """One build. ``state`` is that of the data set before it, None for a new one; one that is finished ``grows``.
    ``original`` is None if the source has gone since an earlier version, which did not look.
    """

    store: Store
    plan: Plan
    options: BuildOptions
    state: State | None
    remaining: Remaining
    original: Original | None
    spool: Spool | None = None
    reading: Located | None = None
    grows: bool = False

    def run(self, engine: Engine, watch: Watch) -> Report:
        """Do everything that is missing. Nothing is written before space and links were found good."""
        written = [each for each in self.plan.outputs if self.remaining.missing[each.output.name]]
        for remark in remarks(self.plan, written, known=self.state.outputs if self.state else ()):
            watch(Note(remark))
        return self._add_to(_Done(), engine, watch)

    def complete(self) -> Report | None:
        """Give the report if there is nothing left to do, without a source; None if there may be."""
        moves = any(each.output.moves for each in self.plan.outputs)  # its names in the source may still be there
        accounts = None if moves or self.remaining else finished(self.store, self.plan)
        return self._report(_Done(), accounts) if accounts else None

    @property
    def _source(self) -> Catalog:
        """The catalog that says where images lie."""
        return self.reading.catalog if self.reading else self.plan.catalog

    def packed(self) -> tuple[str, ...]:
        """Give the packed archives that images are still to be read from."""
        archives = enumerate(self._source.archives)
        packed = {
            place: each.path for place, each in archives if each.role in (TRAIN, VALIDATION) and packed_at(each.path)
        }
        if not packed:
            return ()
        origins = self._source.numbers("archive")
        runs = runs_of(self.plan, self.remaining.is_missing)
        used = {place for run in runs if _reads(run) for place in set(origins[run.rows].tolist())}
        return tuple(path for place, path in packed.items() if place in used)

    def to_unpack(self) -> int:
        """Give the bytes that these take unpacked."""
        return sum(map(plain_size, self.packed()))

    def room(self) -> Note:
        """Compare what is needed with what is free."""
        todo = self.remaining.shards()
        needed, files = space_needed(self.plan, todo) + self.to_unpack(), files_needed(self.plan, todo)
        free, may_be_made = self.store.free(), self.store.free_files()
        there = [] if free is None else [amount(free)]
        there += [] if may_be_made is None else [f"{may_be_made:,} files"]
        lacks = (free is not None and free < needed) or (may_be_made is not None and may_be_made < files)
        has = f"; {self.store.place} has {' and '.join(there)} free{', which is too little' * lacks}" if there else ""
        return Note(f"Needed: about {amount(needed)}, {counted(files, 'file')}{has}.", warning=lacks)

    def slow_reads(self) -> str | None:
        """Read a few of the images that are missing, and say if all of them take hours."""
        runs = [run for run in runs_of(self.plan, self.remaining.is_missing) if _reads(run)]
        for task in self._tasks([run._replace(rows=run.rows[:MEASURED]) for run in runs[:1]]):
            return slow_reads(task.places, task.entries, sum(len(run.rows) for run in runs))
        return None

    def _add_to(self, done: _Done, engine: Engine, watch: Watch) -> Report:
        accounts = self._run(done, engine, watch)
        there = load_state(self.store)
        added = set(there.outputs) - {each.output.name for each in self.plan.outputs} if there else set()
        if not added:
            return self._report(done, accounts)
        # Two runs that each write a part of the documents would leave out the other's outputs.
        watch(Note(f"Another run has added {', '.join(sorted(added))}: going on with all outputs."))
        options = replace(self.options, recipe=grown(self.store, self.options.recipe, there))
        return job(self.store, self.plan.catalog, options, there, watch, reading=self.reading)._add_to(
            done, engine, watch
        )

    def _run(self, done: _Done, engine: Engine, watch: Watch) -> Accounts:
        store, the_plan, todo = self.store, self.plan, self.remaining.shards()
        spooled = self.spool.needed(self.packed()) if self.spool else 0
        check_space(store, space_needed(the_plan, todo) + spooled, files=files_needed(the_plan, todo))
        for output in {of.output.name: of.output for of, _ in todo}.values():
            if not has_begun_to_move(store):  # else there may be no file left to try with
                try_links(store, the_plan, output)
        if self.state is None:
            self._claim()  # this makes the folder that is locked
        moves = any(each.output.moves for each in the_plan.outputs)
        with store.hold(alone=moves or self.options.on_bad == SET_ASIDE):  # this leaves out what others may write
            self._claim(held=True)  # before the lock, another run may have claimed it
            self._keep_catalog()
            self.remaining.remember()
            if finished_outputs(store) & {of.output.name for of, _ in todo}:
                unfinish(store, [])
            self._write(done, engine, watch)
            done.shards += len(todo)
            accounts = None if todo else finished(store, the_plan)
            if accounts is None:
                watch(Progress(Stage.FINISH, 0, 0))
                self._claim(held=True)  # what resuming needs may have gone in the meantime
                self._keep_catalog()
                accounts = finish(store, the_plan, self.original)
                done.documents = True
            relocate(store, the_plan, watch)
        return accounts

    def _claim(self, *, held: bool = False) -> None:
        """Note what the place is for, unless that is something else. Until it is ``held`` no note of another run is
        changed: this one may still be refused.
        """
        with self.store.turn():  # or two runs would each find no state, and write theirs
            there = load_state(self.store)
            grown(self.store, self.options.recipe, there)
            refuse_other(self.store, self.plan, there)
            check, on_bad = self.options.check, self.options.on_bad
            if there and (self.grows or not self.remaining):  # what is there was made by it
                check, on_bad = there.check, there.on_bad
            wanted = state_of(self.plan, check, on_bad, trust_labels=self.options.trust_labels, original=self.original)
            if there:  # what another run has added meanwhile stays
                wanted = replace(wanted, outputs={**there.outputs, **wanted.outputs})
            if there is None or (held and asdict(there) != asdict(wanted)):  # with the paths of the sources, unlike ==
                save_state(self.store, wanted)
        self.store.sweep()

    def _keep_catalog(self) -> None:
        """Keep the catalog for the next run, if it is not there."""
        if load_catalog(self.store, CATALOG, self.plan.catalog.archives) is None:
            save_catalog(self.store, CATALOG, self.plan.catalog)

    def _write(self, done: _Done, engine: Engine, watch: Watch) -> None:
        """Write the shards. Raises SourceError or PrepError once, with everything that kept some from being written."""
        if self.remaining.proved and self.remaining:
            shards = sum(len(each.shards) for each in self.plan.outputs)
            are, stay = ("is", "stays as it is") if self.remaining.proved == 1 else ("are", "stay as they are")
            watch(Note(f"{self.remaining.proved:,} of {counted(shards, 'shard')} {are} finished already and {stay}."))
        runs = list(runs_of(self.plan, self.remaining.is_missing))
        images = sum(len(run.rows) for run in runs)
        sizes = self.plan.catalog.numbers("size")
        size = sum(int(sizes[run.rows].astype("int64").sum()) for run in runs)
        tally = Tally(watch, Stage.WRITE, images, size)
        failures = Failures(grows=self.grows)
        if self.spool:
            for path in self.packed():
                self.spool.plain(path)
        if runs:
            if unsynced := self.store.refusal():
                watch(Note(unsynced))
            if self.options.check == DECODE:
                tell_decoder(watch)
            tally.running()
        work = seeing(engine, make_shards, [*self._places(), *self.store.local_paths(STATE)])
        for outcome in engine.run(work, self._tasks(runs), failures.lost, tally.running):
            done.add(outcome)
            failures.note(outcome)
            tally.finished(outcome.images, outcome.bytes_read)
        failures.raise_any(self.plan.images)

    def _places(self) -> tuple[str, ...]:
        """Give the places from which images are read."""
        paths = self._paths()
        return tuple(map(self.spool.place, paths)) if self.spool else paths

    def _paths(self) -> tuple[str, ...]:
        return tuple(archive.path for archive in self._source.archives)

    def _tasks(self, runs: list[Work]) -> Iterator[ShardTask]:
        places = self._places()
        catalog, names = self._source, self.plan.recipe.selection.class_names
        moved = has_begun_to_move(self.store)  # then the archives may have changed
        modified = () if moved else tuple(archive.modified for archive in catalog.archives)
        for run in runs:
            yield ShardTask(
                store=self.store,
                parts=tuple(
                    Part(of.output, of.identity, shard.name, start, start + len(shard.rows))
                    for of, shard, start in run.shards
                ),
                archives=self._paths(),
                places=places,
                entries=entries_of(catalog.table.take(run.rows), catalog.archives),
                class_names=names,
                on_bad=self.options.on_bad,
                check=self.options.check,
                modified=modified,
                left_out=self.remaining.left_out,
                digests=tuple(self.reading.digests.take(run.rows).to_pylist()) if self.reading else (),
            )

    def _report(self, done: _Done, accounts: Accounts) -> Report:
        left_out = set_aside_images(self.store) if accounts.set_aside else []
        splits = {split: self._split_report(split, left_out) for split in self.plan.splits}
        return Report(
            accounts=accounts,
            set_aside=tuple(image.why for image in left_out),
            validation_classes=self.plan.validation_classes,
            class_names=class_names(self.plan.recipe.selection.taxonomy),
            original=self.original,
            splits=splits,
            outputs=self._outputs(set_aside=bool(left_out)),
            bytes_read=done.read,
            bytes_written=done.written,
            linked=done.linked,
            shards=done.shards,
            reused=sum(len(each.shards) for each in self.plan.outputs) - done.shards,
            documents=done.documents,
        )

    def _outputs(self, *, set_aside: bool) -> dict[str, str]:
        outputs: dict[str, str] = {}
        for each in self.plan.outputs:
            outputs |= each.output.describe(self.plan.contents)
        aside = {f"{SET_ASIDE_FOLDER}/": "images that cannot be used, as they were in the source"} if set_aside else {}
        return outputs | DESCRIPTIONS | aside

    def _split_report(self, split: str, left_out: list[LeftOut]) -> SplitReport:
        missing = [image.size for image in left_out if image.split == split]
        shards = sum(shard.name.split == split for shard in self.plan.shards)
        return SplitReport(self.plan.images_of(split) - len(missing), shards, self.plan.size_of(split) - sum(missing))


def _reads(run: Work) -> bool:
    """Whether the images are read, and not only linked."""
    return any(of.output.reads(own_file=True) for of, _, _ in run.shards)


@dataclass(slots=True)
class _Done:
    """Adds up what tasks say, and what a run writes."""

    images: int = 0
    shards: int = 0
    documents: bool = False
    read: int = 0
    written: int = 0
    linked: int = 0

    def add(self, outcome: ShardOutcome) -> None:
        """Take one outcome."""
        self.images += outcome.images
        self.read += outcome.bytes_read
        self.written += outcome.bytes_written
        self.linked += outcome.linked
