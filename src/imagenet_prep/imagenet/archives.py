"""What the official archives are: sizes, counts and published checksums, each with its source.

Sizes: CompVis/taming-transformers and TensorFlow Datasets (``checksums.tsv``). MD5: torchvision
``datasets/imagenet.py``. SHA-1: dmlc/gluon-cv. Counts: the development kit's readme. Info-hashes of torrents:
CompVis/taming-transformers ``taming/data/imagenet.py`` and some ten other repositories; what a torrent brings is
compared with size and checksum like anything else. ``None`` means that no source we trust publishes the value.
"""

from __future__ import annotations

from dataclasses import dataclass

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
DEVKIT = "devkit"
TRAIN_BOXES = "train boxes"
VALIDATION_BOXES = "validation boxes"
HELD_OUT = "held-out train"  # labelled train images that somebody moved into a test folder
VALIDATION_CLASSES = "validation classes"  # Kaggle's LOC_val_solution.csv
UNLABELLED = "unlabelled test"  # the official test images, whose classes are not published
SPLITS = (TRAIN, VALIDATION, TEST)

CLASS_COUNT = 1_000
TRAIN_IMAGES = 1_281_167
VALIDATION_IMAGES = 50_000
VALIDATION_PER_CLASS = 50
# Unverified, and never the reason for a refusal: for train, what users of the Inception scripts saw
# (tensorflow/tensorflow#6217, tensorflow/models#4051); for validation we know of no source.
BOXED_TRAIN_IMAGES = 544_546
BOXED_VALIDATION_IMAGES = 50_000
MEAN_TRAIN_SIZE = 114_660  # bytes, rounded: what the DLIO benchmark takes for an image of train
SMALLEST_CLASS = 732  # train images; the largest class has 1,300


@dataclass(frozen=True, slots=True)
class OfficialArchive:
    """One published file. ``names`` are its usual names, the official one first; ``size`` is in bytes; ``info_hash`` is
    that of a torrent of it.
    """

    role: str
    names: tuple[str, ...]
    size: int | None = None
    md5: str | None = None
    sha1: str | None = None
    info_hash: str | None = None

    @property
    def plain_tar(self) -> bool:
        """Whether it is published as a tar that nothing compresses."""
        return self.names[0].endswith(".tar")


# How a checksum compares with the published one.
RIGHT = "right"
WRONG = "wrong"
UNPUBLISHED = "none is published"
OTHER = "not the published file"  # of another size, or compressed in another way

OFFICIAL_ARCHIVES = (
    OfficialArchive(
        TRAIN,
        ("ILSVRC2012_img_train.tar",),
        147_897_477_120,
        "1d675b47d978889d74fa0da5fadfb00e",
        "43eda4fe35c1705d6606a6a7a633bc965d194284",
        info_hash="a306397ccf9c2ead27155983c254227c0fd938e2",
    ),
    OfficialArchive(
        VALIDATION,
        ("ILSVRC2012_img_val.tar",),
        6_744_924_160,
        "29b22e2961454d5413ddabcf34fc5622",
        "5f3f73da3395154b60528b2b2a2caf2374f5f178",
        info_hash="5d6d0df7ed81efd49ca99ea4737e0ae5e3a5f2e5",
    ),
    # Some browsers unpack gzip while they download, so each of these also has a name that ends in .tar.
    OfficialArchive(
        DEVKIT,
        ("ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_devkit_t12.tar"),
        md5="fa75699e90414af021442c21a62c3abf",
    ),
    OfficialArchive(TRAIN_BOXES, ("ILSVRC2012_bbox_train_v2.tar.gz", "ILSVRC2012_bbox_train_v2.tar")),
    OfficialArchive(
        VALIDATION_BOXES,
        ("ILSVRC2012_bbox_val_v3.tgz", "ILSVRC2012_bbox_val_v3.tar.gz", "ILSVRC2012_bbox_val_v3.tar"),
    ),
    # Two MD5s of it are in circulation, and no trustworthy source says which is right.
    OfficialArchive(UNLABELLED, ("ILSVRC2012_img_test_v10102019.tar", "ILSVRC2012_img_test.tar")),
)
OFFICIAL_BY_ROLE = {archive.role: archive for archive in OFFICIAL_ARCHIVES}


def archive_called(name: str) -> OfficialArchive | None:
    """Find the archive that is published under a name; None for a name of none."""
    return next((archive for archive in OFFICIAL_BY_ROLE.values() if name in archive.names), None)
