"""Open: a finished data set in the form that PyTorch's ``DataLoader`` and its like want, without PyTorch.

A pickled data set is its place and how to read it, and is opened again where it arrives, so a worker maps the index and
copies nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from imagenet_prep.dataset.finished import finished_document, unfinished_or_damaged
from imagenet_prep.dataset.index import Index, open_index
from imagenet_prep.dataset.layout import index_path, is_data_set
from imagenet_prep.errors import OtherBuildError, UsageError
from imagenet_prep.model.given import given, nearest
from imagenet_prep.outputs.base import OUTPUTS, Output, output_class, output_from
from imagenet_prep.stores import Place, store_at
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.digests import fact_of
from imagenet_prep.verbs.open.dataset import DataSet, Transform
from imagenet_prep.verbs.open.places import Places


def open(  # noqa: A001 — imagenet_prep.open
    out: Place, *, output: str | None = None, verify: bool = True, transform: Transform | None = None
) -> DataSet:
    """Open the finished data set in ``out``: ``open(out)["train"][0]`` is the first image of train.

    ``output`` is the one to read images from, by default the first that can be. ``verify`` compares each image with its
    digest. ``transform`` gets each image that is read, and its result replaces the image.

    Raises UsageError for what is not a data set, or has no such output; AuditError if it is not finished, or damaged;
    OtherBuildError if it is of another version; OutputError if it may not be read.
    """
    store, name = store_at(out), given("output", output, str | None)
    verify = given("verify", verify, bool)
    if transform is not None and not callable(transform):
        raise UsageError(f"transform is a function of an image, not {transform!r}.")
    if not is_data_set(store):
        raise UsageError(f"{store.place} is not a data set of imagenet-prep.", remedy="Build one, or name its folder.")
    document = finished_document(store)
    chosen = _chosen(store, document, name)
    places = Places(store, chosen, document, _index(store, document, chosen.name))
    again = partial(open, store, output=chosen.name, verify=verify, transform=transform)
    return DataSet(places, again, verify=verify, transform=transform)


def _chosen(store: Store, document: dict[str, Any], name: str | None) -> Output:
    """Give the output to read, as it was built."""
    there = [each for each in OUTPUTS if each in document["outputs"]]
    can_be = [each for each in there if output_class(each).image_range]
    if name is None and can_be:
        name = can_be[0]
    if name not in can_be:
        wanted = "no format that says where an image lies" if name is None else f"no {name} to open"
        remedy = nearest(name, can_be) if name and can_be else "Add one: the build command with another --format."
        raise UsageError(f"{store.place} has {wanted}; it has {', '.join(there)}.", remedy=remedy)
    return output_from(name, document["outputs"][name]["options"])


def _index(store: Store, document: dict[str, Any], output: str) -> Index:
    """Map the index of an output, and compare its digest first."""
    path = index_path(output)
    noted = next((file for file in document["documents"] if file["path"] == path), None)
    if noted is None:
        remedy = f"Write what is missing: imagenet-prep resume {store.place}"
        raise OtherBuildError(f"{store.place} is of before there was an index, and cannot be opened.", remedy=remedy)
    try:
        with store.open(path) as file:
            found = fact_of(path, file)
            if (found.size, found.digest) == (noted["size"], noted["xxh3_128"]):
                file.seek(0)
                return open_index(file)
        raise unfinished_or_damaged(store, path, ValueError("its digest does not fit"))
    except FileNotFoundError as error:
        raise unfinished_or_damaged(store, path, ValueError("it is missing")) from error
    except (OSError, ValueError) as error:
        raise unfinished_or_damaged(store, path, error) from error
