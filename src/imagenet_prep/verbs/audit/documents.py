"""What of a build can be proved without reading its shards: that documents, sizes, counts and names are as they should
be, and the images that were set aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.layout import BUILD, MANIFEST, SET_ASIDE_FOLDER
from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.archives import TEST, TRAIN
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.task import FileFact
from imagenet_prep.verbs.audit.shard import compare_file, unreadable
from imagenet_prep.verbs.audit.state import audit_private
from imagenet_prep.verbs.audit.strays import in_order


def audit_at_rest(out: Path, document: dict[str, Any], manifest: pa.Table) -> Iterator[Problem]:
    """Yield everything that is wrong beside the contents of shards."""
    yield from _damaged(out, map(fact_of, document["documents"]))
    yield from _sizes(out, document)
    yield from _counts(document, manifest)
    yield from _shards(document, manifest)
    yield from _doubled(manifest)
    yield from _misplaced(manifest)
    left_out = manifest.filter(manifest["set_aside"].is_valid()).select(["name", "size", "digest"]).to_pylist()
    yield from _damaged(
        out, (FileFact(f"{SET_ASIDE_FOLDER}{row['name']}", row["size"], row["digest"]) for row in left_out)
    )
    yield from audit_private(out, document)


def fact_of(file: dict[str, Any]) -> FileFact:
    """Read what ``build.json`` says of a file."""
    return FileFact(file["path"], file["size"], file["xxh3_128"])


def _damaged(out: Path, files: Iterator[FileFact]) -> Iterator[Problem]:
    return (problem for file in files if (problem := compare_file(out, file)))


def _sizes(out: Path, document: dict[str, Any]) -> Iterator[Problem]:
    """Look at every file of every shard, also of those that are not read."""
    for file in (file for shard in document["shards"] for files in shard["files"].values() for file in files):
        try:
            size = (out / file["path"]).stat().st_size
        except OSError as error:
            yield unreadable(out, file["path"], error)
            continue
        if size != file["size"]:
            yield Problem(file["path"], f"has {size:,} bytes instead of {file['size']:,}")


def _counts(document: dict[str, Any], manifest: pa.Table) -> Iterator[Problem]:
    """The sums of ``build.json`` and the rows of the manifest say the same."""
    images, rows = document["images"], len(manifest)
    left_out = rows - manifest["set_aside"].null_count
    said = (images["written"], images["set_aside"], images["entries"] - images["excluded"] - images["not_chosen"])
    if said != (rows - left_out, left_out, rows):
        yield Problem(BUILD, f"accounts for {said[2]:,} images, {said[1]:,} of them set aside; {MANIFEST} has {rows:,}")
    repaired = pc.sum(manifest["repaired"]).as_py() or 0
    if sum(images["repaired"].values()) != repaired:
        yield Problem(BUILD, f"does not count the {repaired:,} images that were repaired")
    written = manifest.filter(manifest["set_aside"].is_null())["split"]
    splits = {split: pc.sum(pc.equal(written, split)).as_py() or 0 for split in document["splits"]}
    if splits != document["splits"] or sum(splits.values()) != rows - left_out:
        yield Problem(BUILD, f"has splits of {document['splits']}; those of {MANIFEST} are {splits}")


def _shards(document: dict[str, Any], manifest: pa.Table) -> Iterator[Problem]:
    """Every shard has the same images in both, and of them as many set aside."""
    names = [[shard["name"]] * (shard["images"] + shard["set_aside"]) for shard in document["shards"]]
    left_out = [shard["set_aside"] for shard in document["shards"]]
    counted = manifest.group_by("shard", use_threads=False).aggregate([("set_aside", "count")])["set_aside_count"]
    same = manifest["shard"].combine_chunks() == pa.array(
        [name for of_shard in names for name in of_shard], pa.string()
    )
    if not same or counted.to_pylist() != left_out:
        yield Problem(MANIFEST, f"has other images in its shards than {BUILD}")


def _doubled(manifest: pa.Table) -> Iterator[Problem]:
    for name, same in groupby(in_order(manifest["name"])):
        if len(list(same)) > 1:
            yield Problem(MANIFEST, "names an image more than once", name)


def _misplaced(manifest: pa.Table) -> Iterator[Problem]:
    """Compare classes with the class table, and of train images, among them those held out, with the file name."""
    wnids = pa.array([facts.wnid for facts in official().classes])
    of_index = wnids.take(manifest["class_index"].combine_chunks())
    from_train = pc.is_in(manifest["split"], pa.array([TRAIN, TEST]))
    of_name = pc.utf8_slice_codeunits(manifest["name"], 0, len("n01440764"))
    wrong = pc.or_(pc.not_equal(of_index, manifest["wnid"]), pc.and_(from_train, pc.not_equal(of_name, of_index)))
    for row in manifest.filter(wrong).select(["name", "class_index", "wnid"]).to_pylist():
        yield Problem(MANIFEST, f"gives it class index {row['class_index']} and {row['wnid']}", row["name"])
