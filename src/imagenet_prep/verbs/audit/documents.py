"""What can be proved without reading shards: documents, sizes, counts, names, and the images that were set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.layout import BUILD, MANIFEST, set_aside_path
from imagenet_prep.errors import ForbiddenError, Problem
from imagenet_prep.imagenet.archives import TEST, TRAIN
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.stores.base import Store
from imagenet_prep.verbs.audit.expected import Expected, fact_of
from imagenet_prep.verbs.audit.shard import compare_file, unreadable
from imagenet_prep.verbs.audit.state import audit_state

_AT_ONCE = 1 << 14  # texts, which as Python objects cost about 100 bytes each


def audit_documents(of: Expected) -> Iterator[Problem]:
    """Yield everything that is wrong beside the contents of shards."""
    document, manifest = of.document, of.manifest
    yield from _damaged(of.store, map(fact_of, document["documents"]))
    yield from _sizes(of)
    yield from _counts(document, manifest)
    yield from _shards(of)
    yield from _doubled(manifest)
    yield from _misplaced(manifest)
    left_out = manifest.filter(manifest["set_aside"].is_valid()).select(["name", "size", "digest"]).to_pylist()
    facts = (FileFact(set_aside_path(row["name"]), row["size"], row["digest"]) for row in left_out)
    yield from _damaged(of.store, facts)
    yield from audit_state(of.store, document)


def _damaged(store: Store, files: Iterable[FileFact]) -> Iterator[Problem]:
    return (problem for file in files if (problem := compare_file(store, file)))


def _sizes(of: Expected) -> Iterator[Problem]:
    """Compare the size of every file of every shard, also of those that are not read."""
    shards = (shard for output in of.document["outputs"].values() for shard in output["shards"])
    for file in (file for shard in shards for file in shard["files"]):
        try:
            found = of.store.stat(file["path"])
            if found is None:
                of.store.open(file["path"]).close()  # which says why there is no file
        except (OSError, ForbiddenError) as error:
            yield unreadable(file["path"], error)
            continue
        if found and found.size != file["size"]:
            yield Problem(file["path"], f"has {found.size:,} bytes instead of {file['size']:,}")


def _counts(document: dict[str, Any], manifest: pa.Table) -> Iterator[Problem]:
    """The sums of ``build.json`` and the rows of the manifest say the same."""
    images, rows = document["images"], len(manifest)
    left_out = rows - manifest["set_aside"].null_count
    said = (images["written"], images["set_aside"], images["entries"] - images["excluded"] - images["not_chosen"])
    if said != (rows - left_out, left_out, rows):
        yield Problem(BUILD, f"accounts for {said[2]:,} images, {said[1]:,} of them set aside; {MANIFEST} has {rows:,}")
    converted = pc.sum(manifest["converted"]).as_py() or 0
    if sum(images["converted"].values()) != converted:
        yield Problem(BUILD, f"does not count the {converted:,} images that were converted")
    written = manifest.filter(manifest["set_aside"].is_null())["split"]
    splits = {split: pc.sum(pc.equal(written, split)).as_py() or 0 for split in document["splits"]}
    if splits != document["splits"] or sum(splits.values()) != rows - left_out:
        yield Problem(BUILD, f"has splits of {document['splits']}; those of {MANIFEST} are {splits}")


def _shards(of: Expected) -> Iterator[Problem]:
    """Every shard has the same images in both, and of them as many set aside."""
    for name, output in of.document["outputs"].items():
        start = 0
        for shard in output["shards"]:
            rows = of.manifest.slice(start, shard["images"] + shard["set_aside"])
            start += len(rows)
            written = rows["set_aside"].null_count
            if (written, len(rows) - written) != (shard["images"], shard["set_aside"]):
                yield Problem(MANIFEST, f"has other images in its shards of {name} than {BUILD}: {shard['name']}")
        if output["shards"] and start != len(of.manifest):
            yield Problem(MANIFEST, f"has other images in its shards of {name} than {BUILD}")


def _doubled(manifest: pa.Table) -> Iterator[Problem]:
    for name, same in groupby(_in_order(manifest["name"])):
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


def _in_order(texts: pa.ChunkedArray) -> Iterator[str]:
    """Yield the texts of a column sorted; at no time are many of them Python objects."""
    order = pc.sort_indices(texts)
    for start in range(0, len(order), _AT_ONCE):
        yield from texts.take(order.slice(start, _AT_ONCE)).to_pylist()
