# ruff: noqa: A004, I001 (a name that is exported stands here twice, which isort would write on a line of its own)
from imagenet_prep.engines.base import Engine as Engine
from imagenet_prep.errors import (
    AuditError as AuditError,
    OtherBuildError as OtherBuildError,
    OutputError as OutputError,
    PrepError as PrepError,
    Problem as Problem,
    SourceError as SourceError,
    UsageError as UsageError,
)
from imagenet_prep.imagenet.classes import (
    ClassFacts as ClassFacts,
    Taxonomy as Taxonomy,
    official as official,
    validation_truth as validation_truth,
)
from imagenet_prep.imagenet.class_map import ClassNames as ClassNames
from imagenet_prep.imagenet.class_names import Renaming as Renaming
from imagenet_prep.model.archive import Archive as Archive
from imagenet_prep.model.audit_report import (
    AuditOptions as AuditOptions,
    AuditReport as AuditReport,
    SplitAudit as SplitAudit,
)
from imagenet_prep.model.events import Note as Note, Progress as Progress, Stage as Stage
from imagenet_prep.model.comparison import Comparison as Comparison, Fingerprint as Fingerprint
from imagenet_prep.model.original import Look as Look, Original as Original
from imagenet_prep.model.report import Accounts as Accounts, Report as Report, SplitReport as SplitReport
from imagenet_prep.model.sample import Box as Box, Sample as Sample
from imagenet_prep.model.shards import Arrangement as Arrangement, ShardName as ShardName
from imagenet_prep.model.validation_classes import ValidationClasses as ValidationClasses
from imagenet_prep.options import BuildOptions as BuildOptions, Recipe as Recipe, Selection as Selection
from imagenet_prep.outputs.base import OUTPUTS as OUTPUTS, Output as Output
from imagenet_prep.outputs.arrayrecord import ArrayRecord as ArrayRecord
from imagenet_prep.outputs.folders import Folders as Folders
from imagenet_prep.outputs.parquet import Parquet as Parquet
from imagenet_prep.outputs.litdata import LitData as LitData
from imagenet_prep.outputs.mds import Mds as Mds
from imagenet_prep.outputs.tfds import Tfds as Tfds
from imagenet_prep.outputs.tfrecord import TFRecord as TFRecord
from imagenet_prep.outputs.webdataset import WebDataset as WebDataset
from imagenet_prep.planning.catalog import Catalog as Catalog
from imagenet_prep.planning.holdings import Holdings as Holdings, OriginFacts as OriginFacts, Piece as Piece
from imagenet_prep.planning.plan import OutputPlan as OutputPlan, Plan as Plan, Shard as Shard, plan as plan
from imagenet_prep.stores.local import LocalStore as LocalStore
from imagenet_prep.stores.memory import MemoryStore as MemoryStore
from imagenet_prep.verbs.archives import (
    ArchiveState as ArchiveState,
    archives as archives,
)
from imagenet_prep.verbs.audit.others.report import (
    ForeignReport as ForeignReport,
    ForeignSet as ForeignSet,
    ForeignSplit as ForeignSplit,
)
from imagenet_prep.verbs.audit.others.run import audit_foreign as audit_foreign
from imagenet_prep.verbs.audit.run import audit as audit
from imagenet_prep.verbs.build.run import build as build
from imagenet_prep.verbs.check import CheckOptions as CheckOptions, check as check
from imagenet_prep.verbs.fetch.report import (
    Fetched as Fetched,
    FetchReport as FetchReport,
    TorrentOptions as TorrentOptions,
    UrlOptions as UrlOptions,
)
from imagenet_prep.verbs.fetch.run import fetch as fetch
from imagenet_prep.verbs.index import IndexOptions as IndexOptions, index as index
from imagenet_prep.verbs.open.dataset import DataSet as DataSet, LabelledImage as LabelledImage, View as View
from imagenet_prep.verbs.open.run import open as open
from imagenet_prep.verbs.resume import repair as repair, resume as resume
from imagenet_prep.verbs.undo import UndoReport as UndoReport, undo as undo
from imagenet_prep.version import __version__ as __version__
