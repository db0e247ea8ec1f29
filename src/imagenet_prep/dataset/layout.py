"""Where things lie in a data set. Every path is named here once, below the data set, with forward slashes."""

from __future__ import annotations

from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.receipt import FileFact, SetAside
from imagenet_prep.model.shards import ShardName
from imagenet_prep.stores.base import Store

CLASSES = "classes.csv"
MANIFEST = "manifest.parquet"
SPLIT_LISTS = "splits"  # a text file for each split
BUILD = "build.json"
INDEX_FOLDER = "index"  # where each image lies, a file for each output
SET_ASIDE_FOLDER = "set-aside"  # the bytes of images that cannot be used, under their names
EXCLUDED = f"{SPLIT_LISTS}/excluded.txt"

STATE = f"{PRIVATE}/state.json"
CATALOG = f"{PRIVATE}/catalog.arrow"
RECEIPTS = f"{PRIVATE}/receipts"
FOLDERS_BEFORE_MOVE = f"{PRIVATE}/moved-from.json"
UNDONE = f"{PRIVATE}/undone"  # where it is, an undo has removed everything except private files
_FIRST_EDITION = f"{PRIVATE}/plan.json"


def receipt_path(output: str, shard: ShardName) -> str:
    """Give the place of the receipt of a shard."""
    return f"{RECEIPTS}/{output}/{shard}"


def split_list(split: str) -> str:
    """Give the place of the list of a split."""
    return f"{SPLIT_LISTS}/{split}.txt"


def index_path(output: str) -> str:
    """Give the place of the index of an output."""
    return f"{INDEX_FOLDER}/{output}.bin"


def set_aside_path(name: str) -> str:
    """Give the place of an image that was set aside."""
    return f"{SET_ASIDE_FOLDER}/{name}"


def set_aside_file(image: SetAside) -> FileFact:
    """Give the file of an image that was set aside."""
    return FileFact(set_aside_path(image.name), image.size, image.digest)


def is_data_set(store: Store) -> bool:
    """Whether a store holds a data set of this program, finished or not, sound or damaged."""
    return any(store.stat(path) for path in (BUILD, STATE, _FIRST_EDITION))


def is_of_the_first_edition(store: Store) -> bool:
    """Whether a store holds a data set of version 0.1, whose state cannot be read any more."""
    return store.stat(_FIRST_EDITION) is not None and store.stat(STATE) is None
