"""imagenet-prep: from the ILSVRC2012 archives to verified, labelled, split, shuffled training data.

The library has the verbs of the command line, with the same names:

    import imagenet_prep

    report = imagenet_prep.build("archives", "data", imagenet_prep.BuildOptions.of(format=("tfrecord", "tfds")))

Names are loaded when they are first used: worker processes import this package too, and need neither Arrow
nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagenet_prep.engines.base import Engine
    from imagenet_prep.errors import (
        AuditError,
        OtherBuildError,
        OutputError,
        PrepError,
        Problem,
        SourceError,
        UsageError,
    )
    from imagenet_prep.imagenet.classes import ClassFacts, Taxonomy, official, validation_truth
    from imagenet_prep.model.archive import Archive
    from imagenet_prep.model.audit_report import AuditOptions, AuditReport, SplitAudit
    from imagenet_prep.model.events import Note, Progress, Stage
    from imagenet_prep.model.report import Accounts, Report
    from imagenet_prep.model.sample import Box, Sample
    from imagenet_prep.model.shards import ShardName
    from imagenet_prep.options import BuildOptions, Recipe, Selection
    from imagenet_prep.outputs.base import OUTPUTS, Output
    from imagenet_prep.outputs.folders import Folders
    from imagenet_prep.outputs.tfds import Tfds
    from imagenet_prep.outputs.tfrecord import TFRecord
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.holdings import Holdings, OriginFacts, Piece
    from imagenet_prep.planning.plan import Plan, Shard, plan
    from imagenet_prep.stores.local import LocalStore
    from imagenet_prep.stores.memory import MemoryStore
    from imagenet_prep.verbs.archives import archives
    from imagenet_prep.verbs.audit.others.report import ForeignReport
    from imagenet_prep.verbs.audit.others.run import audit_foreign
    from imagenet_prep.verbs.audit.run import audit
    from imagenet_prep.verbs.build.run import build
    from imagenet_prep.verbs.check import CheckOptions, check
    from imagenet_prep.verbs.fetch.report import ArchiveState, Fetched, FetchReport, TorrentOptions, UrlOptions
    from imagenet_prep.verbs.fetch.run import fetch
    from imagenet_prep.verbs.index import IndexOptions, index
    from imagenet_prep.verbs.resume import repair, resume
    from imagenet_prep.verbs.undo import UndoReport, undo
    from imagenet_prep.version import __version__

_HOMES = {
    "model.archive": ("Archive",),
    "model.audit_report": ("AuditOptions", "AuditReport", "SplitAudit"),
    "planning.catalog": ("Catalog",),
    "verbs.fetch.report": ("ArchiveState", "FetchReport", "Fetched", "TorrentOptions", "UrlOptions"),
    "verbs.audit.others.report": ("ForeignReport",),
    "planning.holdings": ("Holdings", "OriginFacts", "Piece"),
    "planning.plan": ("Plan", "Shard", "plan"),
    "model.events": ("Note", "Progress", "Stage"),
    "options": ("BuildOptions", "Recipe", "Selection"),
    "model.report": ("Accounts", "Report"),
    "model.sample": ("Box", "Sample"),
    "model.shards": ("ShardName",),
    "imagenet.classes": ("ClassFacts", "Taxonomy", "official", "validation_truth"),
    "engines.base": ("Engine",),
    "errors": (
        "AuditError",
        "OtherBuildError",
        "OutputError",
        "PrepError",
        "Problem",
        "SourceError",
        "UsageError",
    ),
    "outputs.base": ("OUTPUTS", "Output"),
    "outputs.folders": ("Folders",),
    "outputs.tfds": ("Tfds",),
    "outputs.tfrecord": ("TFRecord",),
    "stores.local": ("LocalStore",),
    "stores.memory": ("MemoryStore",),
    "verbs.archives": ("archives",),
    "verbs.audit.run": ("audit",),
    "verbs.audit.others.run": ("audit_foreign",),
    "verbs.build.run": ("build",),
    "verbs.check": ("CheckOptions", "check"),
    "verbs.fetch.run": ("fetch",),
    "verbs.index": ("IndexOptions", "index"),
    "verbs.resume": ("repair", "resume"),
    "verbs.undo": ("UndoReport", "undo"),
    "version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "OUTPUTS",
    "Accounts",
    "Archive",
    "ArchiveState",
    "AuditError",
    "AuditOptions",
    "AuditReport",
    "Box",
    "BuildOptions",
    "Catalog",
    "CheckOptions",
    "ClassFacts",
    "Engine",
    "FetchReport",
    "Fetched",
    "Folders",
    "ForeignReport",
    "Holdings",
    "IndexOptions",
    "LocalStore",
    "MemoryStore",
    "Note",
    "OriginFacts",
    "OtherBuildError",
    "Output",
    "OutputError",
    "Piece",
    "Plan",
    "PrepError",
    "Problem",
    "Progress",
    "Recipe",
    "Report",
    "Sample",
    "Selection",
    "Shard",
    "ShardName",
    "SourceError",
    "SplitAudit",
    "Stage",
    "TFRecord",
    "Taxonomy",
    "Tfds",
    "TorrentOptions",
    "UndoReport",
    "UrlOptions",
    "UsageError",
    "__version__",
    "archives",
    "audit",
    "audit_foreign",
    "build",
    "check",
    "fetch",
    "index",
    "official",
    "plan",
    "repair",
    "resume",
    "undo",
    "validation_truth",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
