"""The stages of a build behind the index, one after the other: plan, write what is missing, finish."""

from __future__ import annotations

import json
from pathlib import Path

from imagenet_prep.core.catalog import Catalog
from imagenet_prep.core.plan import Plan, Shard, hold_out_sentence, plan
from imagenet_prep.core.progress import Note, Progress, Watch
from imagenet_prep.core.recipe import PlanOptions
from imagenet_prep.core.report import Report, SplitReport
from imagenet_prep.engine.base import Engine
from imagenet_prep.errors import OtherBuildError, Problem, SourceError
from imagenet_prep.formats import format_named
from imagenet_prep.steps.finish import finish
from imagenet_prep.steps.places import BUILD, CLASSES, MANIFEST, catalog_path, plan_path, receipts_folder
from imagenet_prep.steps.write import write_shard
from imagenet_prep.storage.catalogs import load_catalog, save_catalog
from imagenet_prep.storage.publish import publish_bytes, sweep
from imagenet_prep.storage.receipts import load_receipt, receipt_path
from imagenet_prep.storage.space import check_space

_SHOWN = (
    "version",
    "formats",
    "test_per_class",
    "seed",
    "splits",
    "shards",
    "names",
    "sources",
)  # what a user knows of a plan
_ROW_BYTES = 256  # of each image in catalog, receipt and manifest together, for the check of free space: generous


def run_stages(
    catalog: Catalog, archives: tuple[str, ...], out: Path, options: PlanOptions, engine: Engine, watch: Watch
) -> Report:
    """Do everything that is missing in ``out``. Nothing is written before sources, plan and free space were found
    good.
    """
    the_plan = _plan(catalog, out, options)
    watch(Note(hold_out_sentence(the_plan)))
    todo = [shard for shard in the_plan.shards if not _is_finished(out, the_plan, shard)]
    check_space(out, _space_needed(the_plan, todo))
    _claim(out, the_plan, todo)
    written = _write(out, the_plan, todo, archives, engine, watch)
    watch(Progress("finish", 0, 0))
    return Report(
        repaired=finish(out, the_plan),
        splits={split: _split_report(the_plan, split) for split in the_plan.splits},
        outputs=_outputs(the_plan),
        bytes_read=sum(shard.size for shard in todo),
        bytes_written=written,
        reused=len(the_plan.shards) - len(todo),
    )


def _plan(catalog: Catalog, out: Path, options: PlanOptions) -> Plan:
    """Plan; refuse a folder that holds another plan."""
    the_plan = plan(catalog, options)
    if not plan_path(out).exists():
        return the_plan
    held, wanted = _held_plan(out), the_plan.document()
    if held.get("plan") != wanted["plan"]:
        different = [_difference(key, held.get(key), wanted[key]) for key in _SHOWN if held.get(key) != wanted[key]]
        raise OtherBuildError(
            f"{out} holds another build:",
            tuple(different) or (Problem("sources", "there are other images in them now"),),
            "Choose another folder, or repeat the command that began this build to finish it.",
        )
    return the_plan


def _held_plan(out: Path) -> dict[str, object]:
    try:
        held = json.loads(plan_path(out).read_bytes())
    except ValueError as error:
        remedy = "Choose another folder, or delete this one and build again."
        raise OtherBuildError(f"{plan_path(out)} is damaged: {error}.", remedy=remedy) from error
    return held if isinstance(held, dict) else {}


def _difference(key: str, held: object, wanted: object) -> Problem:
    return Problem(key, f"there it is {json.dumps(held)}, now it would be {json.dumps(wanted)}")


def _is_finished(out: Path, the_plan: Plan, shard: Shard) -> bool:
    """Whether the receipt proves the shard, and the files it names are there in their size."""
    receipt = load_receipt(receipt_path(receipts_folder(out), shard.name))
    if receipt is None or receipt.plan != the_plan.identity:
        return False
    files = [file for of_format in receipt.files.values() for file in of_format]
    return all((out / file.path).is_file() and (out / file.path).stat().st_size == file.size for file in files)


def _space_needed(the_plan: Plan, todo: list[Shard]) -> int:
    images, size = sum(len(shard.rows) for shard in todo), sum(shard.size for shard in todo)
    overhead = sum(format_named(name).record_overhead for name in the_plan.formats)
    return size * len(the_plan.formats) + images * (overhead + _ROW_BYTES)


def _claim(out: Path, the_plan: Plan, todo: list[Shard]) -> None:
    """Note in the folder what it is for; remove what a killed run left half-written."""
    if not plan_path(out).exists():
        publish_bytes(plan_path(out), json.dumps(the_plan.document(), indent=2, sort_keys=True).encode() + b"\n")
    if load_catalog(catalog_path(out), the_plan.catalog.archives) is None:
        save_catalog(catalog_path(out), the_plan.catalog)
    if todo:
        (out / BUILD).unlink(missing_ok=True)  # where it is, the build is complete; now it is not
    sweep(out)


def _write(
    out: Path, the_plan: Plan, todo: list[Shard], archives: tuple[str, ...], engine: Engine, watch: Watch
) -> int:
    """Write the shards; give the bytes written. Raises SourceError once, with every unusable image of all
    shards.
    """
    reused = len(the_plan.shards) - len(todo)
    if reused:
        watch(Note(f"{reused:,} of {len(the_plan.shards):,} shards are finished already and stay as they are."))
    images, size = sum(len(shard.rows) for shard in todo), sum(shard.size for shard in todo)
    done = read = written = 0
    problems: list[Problem] = []
    watch(Progress("write", 0, images, 0, size))
    for outcome in engine.run(write_shard, (the_plan.task(shard, str(out.absolute()), archives) for shard in todo)):
        done += outcome.images
        read += outcome.bytes_read
        written += outcome.bytes_written
        problems += outcome.problems
        watch(Progress("write", done, images, read, size))
    if problems:
        raise SourceError(
            f"{len(problems):,} of {the_plan.images:,} images cannot be used; their shards were not written:",
            tuple(sorted(problems, key=lambda problem: (problem.archive, problem.offset))),
            "Compare the archive's checksum with the published one. With a sound archive of the same size, run the "
            "same command again; for any other, choose another folder.",
        )
    return written


def _outputs(the_plan: Plan) -> dict[str, str]:
    outputs = {name: what for of in the_plan.formats for name, what in format_named(of).outputs.items()}
    return outputs | {
        MANIFEST: "one row for each image: split, shard, label, size, digest, where it came from",
        CLASSES: "class index, WNID, name and devkit integer of the 1,000 classes",
        BUILD: "sources, recipe, versions, and the digest of every file",
    }


def _split_report(the_plan: Plan, split: str) -> SplitReport:
    shards = [shard for shard in the_plan.shards if shard.name.split == split]
    return SplitReport(the_plan.images_of(split), len(shards), sum(shard.size for shard in shards))
