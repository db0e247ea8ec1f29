"""imagenet-prep: from the ILSVRC2012 archives to verified, labelled, split, shuffled training data.

The library has the verbs of the command line, with the same names:

    import imagenet_prep

    report = imagenet_prep.build("archives", "data", imagenet_prep.BuildOptions(formats=("tfrecord", "tfds")))

Names are loaded when they are first used: worker processes import this package too, and need neither Arrow
nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagenet_prep.core.archive import Archive
    from imagenet_prep.core.audited import AuditOptions, AuditReport, SplitAudit
    from imagenet_prep.core.catalog import Catalog
    from imagenet_prep.core.fetched import ArchiveState, Fetched, FetchReport, TorrentOptions, UrlOptions
    from imagenet_prep.core.foreign.report import ForeignReport
    from imagenet_prep.core.holdings import Holdings, OriginFacts, Piece
    from imagenet_prep.core.plan import Plan, Shard, plan
    from imagenet_prep.core.progress import Note, Progress
    from imagenet_prep.core.recipe import PlanOptions
    from imagenet_prep.core.report import Accounts, Report
    from imagenet_prep.core.sample import Box, Sample
    from imagenet_prep.core.shards import ShardName
    from imagenet_prep.core.taxonomy import ClassFacts, Taxonomy, official, validation_truth
    from imagenet_prep.errors import (
        AuditError,
        OtherBuildError,
        OutputError,
        PrepError,
        Problem,
        SourceError,
        UsageError,
    )
    from imagenet_prep.formats import FORMATS
    from imagenet_prep.steps.archives import archives
    from imagenet_prep.steps.audit import audit
    from imagenet_prep.steps.build import BuildOptions, build
    from imagenet_prep.steps.check import CheckOptions, check
    from imagenet_prep.steps.fetch import fetch
    from imagenet_prep.steps.foreign.audit import audit_foreign
    from imagenet_prep.steps.index import IndexOptions, index
    from imagenet_prep.steps.undo import UndoReport, undo
    from imagenet_prep.version import __version__

_HOMES = {
    "core.archive": ("Archive",),
    "core.audited": ("AuditOptions", "AuditReport", "SplitAudit"),
    "core.catalog": ("Catalog",),
    "core.fetched": ("ArchiveState", "FetchReport", "Fetched", "TorrentOptions", "UrlOptions"),
    "core.foreign.report": ("ForeignReport",),
    "core.holdings": ("Holdings", "OriginFacts", "Piece"),
    "core.plan": ("Plan", "Shard", "plan"),
    "core.progress": ("Note", "Progress"),
    "core.recipe": ("PlanOptions",),
    "core.report": ("Accounts", "Report"),
    "core.sample": ("Box", "Sample"),
    "core.shards": ("ShardName",),
    "core.taxonomy": ("ClassFacts", "Taxonomy", "official", "validation_truth"),
    "errors": (
        "AuditError",
        "OtherBuildError",
        "OutputError",
        "PrepError",
        "Problem",
        "SourceError",
        "UsageError",
    ),
    "formats": ("FORMATS",),
    "steps.archives": ("archives",),
    "steps.audit": ("audit",),
    "steps.foreign.audit": ("audit_foreign",),
    "steps.build": ("BuildOptions", "build"),
    "steps.check": ("CheckOptions", "check"),
    "steps.fetch": ("fetch",),
    "steps.index": ("IndexOptions", "index"),
    "steps.undo": ("UndoReport", "undo"),
    "version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FORMATS",
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
    "FetchReport",
    "Fetched",
    "ForeignReport",
    "Holdings",
    "IndexOptions",
    "Note",
    "OriginFacts",
    "OtherBuildError",
    "OutputError",
    "Piece",
    "Plan",
    "PlanOptions",
    "PrepError",
    "Problem",
    "Progress",
    "Report",
    "Sample",
    "Shard",
    "ShardName",
    "SourceError",
    "SplitAudit",
    "Taxonomy",
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
    "undo",
    "validation_truth",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
