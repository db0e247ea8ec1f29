"""Data sets that others made are recognised by what is in them, and judged against the built-in truth.

Records are written here by a second, plain implementation of the framing and of tf.train.Example.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
import xxhash

from imagenet_prep import AuditError, AuditOptions, Problem, official
from imagenet_prep.cli.audit import looked_at
from imagenet_prep.codecs.classic_schema import CLASSIC as CLASSIC_SCHEMA
from imagenet_prep.errors import Forbidden, ForbiddenError
from imagenet_prep.model.events import Progress, Stage
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.pictures import picture
from imagenet_prep.verbs.audit.others.judgement import SplitColumns, missing
from imagenet_prep.verbs.audit.others.look import Look, ShardLook, look, look_in_vain
from imagenet_prep.verbs.audit.others.observed import Seen
from imagenet_prep.verbs.audit.others.report import ForeignReport, ranges
from imagenet_prep.verbs.audit.others.run import audit_foreign
from support.records import framed
from support.sentences import Sentence, places

TENCH, GOLDFISH = "n01440764", "n01443537"  # class index 0 and 1, devkit integer 449 and 450
TRAIN = [f"{wnid}_{number}.JPEG" for wnid in (TENCH, GOLDFISH) for number in (1, 2, 3)]
VALIDATION = {1: 65, 2: 970, 3: 230, 4: 809}  # image number → class index
DEVKIT = {0: 449, 1: 450, 65: 490, 970: 361, 230: 171, 809: 822}
CLASSIC, TFDS = "TFRecord with the classic image/… keys", "TFRecord of TensorFlow Datasets"

TINY = bytes.fromhex("ffd8 ffc0000b08000100010101 1100 ffda0008010100003f00 00 ffd9")  # a header and an end

Feature = bytes | int
Record = dict[str, Feature]


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    low = number & 0x7F
    return bytes((low,)) if number < 0x80 else bytes((low | 0x80,)) + varint(number >> 7)


def field(tag: int, data: bytes) -> bytes:
    return bytes((tag,)) + varint(len(data)) + data


def example(features: Record) -> bytes:
    entries = b""
    for key, value in features.items():
        feature = (
            field(0x0A, field(0x0A, value)) if isinstance(value, bytes) else field(0x1A, field(0x0A, varint(value)))
        )
        entries += field(0x0A, field(0x0A, key.encode()) + field(0x12, feature))
    return field(0x0A, entries)


def class_index(name: str) -> int:
    return VALIDATION[int(name[15:23])] if name.startswith("ILSVRC") else official().index_of(name[:9])


def classic(name: str, label: int | None = None, **features: Feature) -> Record:
    """A record as the TPU script writes it, but for sizes."""
    facts = official().classes[class_index(name)]
    record: Record = {
        "image/encoded": picture(name),
        "image/class/label": facts.index + 1 if label is None else label,
        "image/class/synset": facts.wnid.encode(),
        "image/class/text": facts.lemmas.encode(),
        "image/filename": name.encode(),
    }
    return record | {key.replace("_", "/"): value for key, value in features.items()}


def tfds(name: str, label: int | None = None) -> Record:
    return {
        "file_name": name.encode(),
        "image": picture(name),
        "label": class_index(name) if label is None else label,
    }


def validation_names() -> list[str]:
    return [f"ILSVRC2012_val_{number:08d}.JPEG" for number in VALIDATION]


def write(path: Path, records: Iterable[Record]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(framed(example(record)) for record in records))
    return path


def write_classic(root: Path, record: Callable[[str], Record] = classic) -> Path:
    """Two shards of train, one of validation."""
    write(root / "train-00000-of-00002", map(record, TRAIN[:3]))
    write(root / "train-00001-of-00002", map(record, TRAIN[3:]))
    write(root / "validation-00000-of-00001", map(record, validation_names()))
    return root


def write_tfds(root: Path, record: Callable[[str], Record] = tfds, lengths: Sequence[int] = (3, 3)) -> Path:
    write(root / "imagenet2012-train.tfrecord-00000-of-00002", map(record, TRAIN[:3]))
    write(root / "imagenet2012-train.tfrecord-00001-of-00002", map(record, TRAIN[3:]))
    write(root / "imagenet2012-validation.tfrecord-00000-of-00001", map(record, validation_names()))
    splits = [
        {"name": "train", "shardLengths": [str(length) for length in lengths]},
        {"name": "validation", "shardLengths": ["4"]},
    ]
    (root / "dataset_info.json").write_text(json.dumps({"name": "imagenet2012", "splits": splits}))
    (root / "features.json").write_text("{}")
    (root / "label.labels.txt").write_text("".join(f"{of.wnid}\n" for of in official().classes))
    return root


def write_folders(root: Path, names: Callable[[str], str] = lambda wnid: wnid) -> Path:
    """Class folders of two classes, in train and in val; validation 293 is a tench, 236 a goldfish."""
    for name in TRAIN:
        put(root / "train" / names(name[:9]) / name)
    put(root / "val" / names(TENCH) / "ILSVRC2012_val_00000293.JPEG")
    put(root / "val" / names(GOLDFISH) / "ILSVRC2012_val_00000236.JPEG")
    return root


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(path.name))
    return path


def seen(root: Path, *, decode: bool = False, sample: float = 1) -> ForeignReport:
    return audit_foreign(root, AuditOptions(jobs=1, decode=decode, sample=sample))


def is_a_gap(problem: Problem) -> bool:
    """What every small set has."""
    ends = ("images of 1,281,167", "images of 50,000")
    words = ("classes have", "class has", "these validation images are missing")
    return problem.reason.endswith(ends) or any(word in problem.reason for word in words)


def wrong(report: ForeignReport) -> list[str]:
    return [str(problem) for problem in report.problems if not is_a_gap(problem)]


class TestWhatItIs:
    @pytest.mark.parametrize(
        ("train", "validation"),
        [
            ("train-00000-of-00001", "validation-00000-of-00001"),
            ("train/train-00000-of-00001", "validation/validation-00000-of-00001"),
            ("train/part-00000-of-00001", "val/part-00000-of-00001"),
            ("imagenet_train-00000-of-00001.tfrecord", "imagenet_val-00000-of-00001.tfrecord"),
            ("train.tfrecord", "val.tfrecords"),
        ],
    )
    def test_classic_records_are_found_under_all_names_that_people_give(
        self, tmp_path: Path, train: str, validation: str
    ) -> None:
        write(tmp_path / train, map(classic, TRAIN))
        write(tmp_path / validation, map(classic, validation_names()))

        report = seen(tmp_path)

        assert [each.layout for each in report.sets] == [CLASSIC]
        splits = {split.name: (split.images, split.classes, split.parts) for split in report.sets[0].splits}
        assert splits == {"train": (6, 2, 1), "validation": (4, 4, 1)}
        assert {split.labels for split in report.sets[0].splits} == {"class index + 1, 1…1000 (0 is background)"}
        assert wrong(report) == []

    @pytest.mark.parametrize("place", ["", "imagenet2012/5.1.0", "tfds/imagenet2012/5.0.0"])
    def test_a_set_of_tensorflow_datasets_is_found_in_its_folder_or_above(self, tmp_path: Path, place: str) -> None:
        write_tfds(tmp_path / place)

        report = seen(tmp_path)

        assert [(each.layout, each.path) for each in report.sets] == [(TFDS, str(tmp_path / place))]
        assert [(split.name, split.images, split.labels) for split in report.sets[0].splits] == [
            ("train", 6, "class index, 0…999"),
            ("validation", 4, "class index, 0…999"),
        ]
        assert wrong(report) == []

    def test_keys_decide_and_not_the_name(self, tmp_path: Path) -> None:
        write(tmp_path / "imagenet2012-train.tfrecord-00000-of-00001", map(classic, TRAIN))

        assert [each.layout for each in seen(tmp_path).sets] == [CLASSIC]

    def test_other_records_are_refused_with_their_keys(self, tmp_path: Path, sentence: Sentence) -> None:
        write(tmp_path / "train-00000-of-00001", [{"image_raw": b"x", "y": 3}])

        with pytest.raises(AuditError) as caught:
            seen(tmp_path)
        sentence(caught.value)

    def test_an_empty_folder_is_no_data_set(self, tmp_path: Path, sentence: Sentence) -> None:
        with pytest.raises(AuditError) as caught:
            seen(tmp_path)
        sentence(caught.value)

    def test_archives_are_called_a_source_and_check_is_named(self, tmp_path: Path, sentence: Sentence) -> None:
        root = write_miniature(tmp_path / "a", MiniatureOptions(wnids=(TENCH,), images_per_class=2)).root

        with pytest.raises(AuditError) as caught:
            seen(root)
        sentence(caught.value)

    def test_class_folders_beside_their_archives_are_looked_at(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(b"")

        assert [each.layout for each in seen(tmp_path).sets] == ["class folders, called by WNID"]

    def test_two_sets_side_by_side_are_judged_each_for_itself(self, tmp_path: Path) -> None:
        write_classic(tmp_path / "tfrecord")
        write_tfds(tmp_path / "tfds/imagenet2012/5.1.0")
        write_folders(tmp_path / "folders")

        report = seen(tmp_path)

        assert [each.layout for each in report.sets] == [TFDS, CLASSIC, "class folders, called by WNID"]
        assert wrong(report) == []

    def test_what_the_search_could_not_enter_is_named_beside_records(self, tmp_path: Path) -> None:
        (write_tfds(tmp_path) / "again").symlink_to(tmp_path)

        assert wrong(seen(tmp_path)) == [f"{tmp_path}/again: is a symbolic link to a folder that it lies in: a loop"]

    def test_a_folder_that_cannot_be_searched_is_not_called_unknown(self, tmp_path: Path) -> None:
        (tmp_path / "again").symlink_to(tmp_path)

        with pytest.raises(AuditError, match=r"cannot be searched:\n.*again: is a symbolic link"):
            seen(tmp_path)

    def test_a_closed_folder_is_not_called_damage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        closed = write_tfds(tmp_path) / "closed"
        closed.mkdir()
        scandir = os.scandir

        def as_user(place: Path) -> Iterator[os.DirEntry[str]]:
            if Path(place) == closed:
                raise PermissionError(errno.EACCES, "Permission denied", str(place))
            return scandir(place)

        monkeypatch.setattr(os, "scandir", as_user)

        with pytest.raises(ForbiddenError) as caught:
            seen(tmp_path)
        assert caught.value.problems == (Forbidden(str(closed), "cannot be read: Permission denied"),)

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_any_number_of_processes_sees_the_same(self, tmp_path: Path, jobs: int) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=7 if name == TRAIN[4] else None))
        events: list[object] = []

        report = audit_foreign(tmp_path, AuditOptions(jobs=jobs), watch=events.append)

        assert report == seen(tmp_path)
        size = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert events[-1] == Progress(Stage.AUDIT, 10, 0, size, size)

    def test_the_text_says_what_it_is_and_what_is_wrong(self, tmp_path: Path) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=7 if name == TRAIN[4] else None))

        text = looked_at(seen(tmp_path), "DATA")

        assert f"TFRecord with the classic image/… keys, in {tmp_path}:" in text
        assert "train            6        2           3      2" in text
        assert "train       class index + 1, 1…1000 (0 is background)" in text
        assert "8 problems:" in text
        assert "Sound" not in text


class TestLabels:
    def test_a_wrong_label_is_named_with_shard_offset_and_both_classes(self, tmp_path: Path) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=7 if name == TRAIN[4] else None))
        offset = len(framed(example(classic(TRAIN[3]))))

        assert wrong(seen(tmp_path)) == [
            (
                f"train-00001-of-00002: n01443537_2.JPEG at byte {offset:,}: has the label 7, which says n01498041 "
                "(stingray); it is n01443537 (goldfish), label 2"
            )
        ]

    @pytest.mark.parametrize(("label", "what"), [(0, "no class"), (1001, "no class"), (-5, "no class")])
    def test_a_label_that_is_none_is_named(self, tmp_path: Path, label: int, what: str) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=label if name == TRAIN[4] else None))

        (problem,) = wrong(seen(tmp_path))

        assert f"has the label {label}, which says {what}; it is n01443537 (goldfish), label 2" in problem

    def test_a_wrong_validation_label_is_found_by_the_built_in_truth(self, tmp_path: Path) -> None:
        def record(name: str) -> Record:
            if not name.endswith("03.JPEG"):
                return classic(name)
            return {key: value for key, value in classic(name, label=1).items() if key != "image/class/synset"}

        write_classic(tmp_path, record)

        (problem,) = wrong(seen(tmp_path))

        assert (
            "has the label 1, which says n01440764 (tench); it is n02105855 (Shetland_sheepdog), label 231" in problem
        )

    def test_classic_labels_from_0_are_a_convention_and_a_remark(self, tmp_path: Path) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=class_index(name)))

        report = seen(tmp_path)

        assert {split.labels for split in report.sets[0].splits} == {"class index, 0…999"}
        assert wrong(report) == []
        assert [remark.reason for remark in report.remarks] == [
            f"the labels of {split} are the class index, 0…999; most readers of this layout expect class index + 1, "
            "1…1000 (0 is background)"
            for split in ("train", "validation")
        ]

    @pytest.mark.parametrize(("less", "convention"), [(0, "devkit integer, 1…1000"), (1, "devkit integer - 1, 0…999")])
    def test_devkit_integers_are_one_problem_a_split(self, tmp_path: Path, less: int, convention: str) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=DEVKIT[class_index(name)] - less))

        report = seen(tmp_path)

        assert {split.labels for split in report.sets[0].splits} == {convention}
        assert wrong(report) == [
            f"{tmp_path}: the labels of {split} are the {convention}; readers of this layout expect class index + 1, "
            "1…1000 (0 is background)"
            for split in ("train", "validation")
        ]

    def test_labels_of_no_convention_are_one_problem_a_split(self, tmp_path: Path) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=500))

        report = seen(tmp_path)

        assert {split.labels for split in report.sets[0].splits} == {"none of the known conventions"}
        assert wrong(report) == [
            (
                f"{tmp_path}: the labels of train follow none of the known conventions: the first is 500, of "
                "n01440764_1.JPEG, n01440764 (tench)"
            ),
            (
                f"{tmp_path}: the labels of validation follow none of the known conventions: the first is 500, of "
                "ILSVRC2012_val_00000001.JPEG, n01751748 (sea_snake)"
            ),
        ]

    def test_tensorflow_datasets_counts_from_0(self, tmp_path: Path) -> None:
        write_tfds(tmp_path, lambda name: tfds(name, label=class_index(name) + 1))

        assert wrong(seen(tmp_path))[0] == (
            f"{tmp_path}: the labels of train are the class index + 1, 1…1000 (0 is background); readers of this "
            "layout expect class index, 0…999"
        )

    def test_different_conventions_in_two_splits_are_a_problem(self, tmp_path: Path) -> None:
        write_classic(tmp_path, lambda name: classic(name, label=class_index(name) + (name in TRAIN)))

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}: the splits have different labels: train: class index + 1, 1…1000 (0 is background); "
                "validation: class index, 0…999"
            )
        ]

    def test_without_a_name_the_synset_says_the_class(self, tmp_path: Path) -> None:
        records = [classic(name, image_filename=b"") for name in TRAIN]
        records[4]["image/class/label"] = 1
        write(tmp_path / "train-00000-of-00001", records)

        (problem,) = wrong(seen(tmp_path))

        assert "has the label 1, which says n01440764 (tench); it is n01443537 (goldfish), label 2" in problem

    def test_without_name_and_synset_nothing_is_claimed(self, tmp_path: Path, sentence: Sentence) -> None:
        bare = [{key: classic(name)[key] for key in ("image/encoded", "image/class/label")} for name in TRAIN]
        write(tmp_path / "train-00000-of-00001", bare)

        report = seen(tmp_path)

        assert report.sets[0].splits[0].labels == "unknown: the records do not say the class"
        assert wrong(report) == []
        sentence(report.problems[0].reason)

    @pytest.mark.parametrize("name", ["/data/imagenet/train/n01440764/%s", "./train/%s"])
    def test_a_name_may_have_a_path(self, tmp_path: Path, name: str) -> None:
        records = [classic(base, image_filename=(name % base).encode(), image_class_synset=b"") for base in TRAIN]
        write(tmp_path / "train-00000-of-00001", records)

        report = seen(tmp_path)

        assert report.sets[0].splits[0].classes == 2
        assert wrong(report) == []

    def test_a_synset_against_the_name_is_a_problem(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00000-of-00001", [classic(TRAIN[0], image_class_synset=b"n02012849")])

        assert wrong(seen(tmp_path)) == [
            "train-00000-of-00001: n01440764_1.JPEG at byte 0: has the synset n02012849; it is n01440764"
        ]

    def test_a_class_that_is_none_of_the_1000_is_a_problem(self, tmp_path: Path) -> None:
        records = [classic(TRAIN[0]), classic(TRAIN[1], image_filename=b"n00000001_1.JPEG")]
        write(tmp_path / "train-00000-of-00001", records)

        assert "n00000001_1.JPEG" in wrong(seen(tmp_path))[0]
        assert "has a name that no image of ImageNet has" in wrong(seen(tmp_path))[0]

    def test_images_that_say_no_class_among_others_are_counted(self, tmp_path: Path) -> None:
        stranger = classic(TRAIN[1], image_filename=b"holiday.jpg", image_class_synset=b"")
        write(tmp_path / "train-00000-of-00001", [classic(TRAIN[0]), stranger, stranger])

        assert (
            "2 images of train have no name or synset that says their class; this is the first"
            in wrong(seen(tmp_path))[0]
        )

    def test_a_record_without_a_label_is_a_problem(self, tmp_path: Path) -> None:
        records = [classic(TRAIN[0]), classic(TRAIN[1])]
        del records[1]["image/class/label"]
        write(tmp_path / "train-00000-of-00001", records)

        (problem,) = wrong(seen(tmp_path))

        assert problem.endswith("has no label")

    def test_label_names_in_another_order_are_a_problem(self, tmp_path: Path) -> None:
        write_tfds(tmp_path)
        names = (tmp_path / "label.labels.txt").read_text().splitlines()
        names[3], names[4] = names[4], names[3]
        (tmp_path / "label.labels.txt").write_text("\n".join(names))

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}/label.labels.txt: 2 names are not in class index order: label 3 is n01494475 instead of "
                "n01491361"
            )
        ]


class TestDamage:
    def test_a_wrong_checksum_is_named_with_its_offset(self, tmp_path: Path) -> None:
        shard = write_classic(tmp_path) / "train-00000-of-00002"
        first = len(framed(example(classic(TRAIN[0]))))
        data = bytearray(shard.read_bytes())
        data[first + 500] ^= 1
        shard.write_bytes(data)

        report = seen(tmp_path)

        assert wrong(report) == [
            (
                f"train-00000-of-00002 at byte {first:,}: the data of a record does not match its checksum; what "
                "follows was not read"
            )
        ]
        assert report.sets[0].splits[0].images == 4

    def test_a_shard_that_is_cut_is_named_with_its_offset(self, tmp_path: Path) -> None:
        shard = write_classic(tmp_path) / "train-00001-of-00002"
        shard.write_bytes(shard.read_bytes()[:-10])
        third = len(framed(example(classic(TRAIN[3])))) + len(framed(example(classic(TRAIN[4]))))

        (problem,) = wrong(seen(tmp_path))

        assert problem.startswith(f"train-00001-of-00002 at byte {third:,}: a record of ")
        assert problem.endswith("reaches beyond the end of the file; what follows was not read")

    def test_a_set_of_which_no_record_can_be_read_is_known_by_its_names(self, tmp_path: Path) -> None:
        (tmp_path / "train-00000-of-00001").write_bytes(b"\1" * 100)

        report = seen(tmp_path)

        assert [each.layout for each in report.sets] == [CLASSIC]
        assert wrong(report) == [
            "train-00000-of-00001 at byte 0: the length of a record is damaged; what follows was not read"
        ]

    def test_a_record_that_is_none_is_named_and_the_next_ones_are_read(self, tmp_path: Path) -> None:
        shard = tmp_path / "train-00000-of-00001"
        begin = framed(example(classic(TRAIN[0])))
        shard.write_bytes(begin + framed(b"\x0a\xff\x7f") + framed(example(classic(TRAIN[1]))))

        report = seen(tmp_path)

        (problem,) = wrong(report)
        assert problem.startswith(f"train-00000-of-00001 at byte {len(begin):,}: not a tf.train.Example")
        assert report.sets[0].splits[0].images == 2

    def test_an_empty_shard_is_named(self, tmp_path: Path) -> None:
        (write_classic(tmp_path) / "train-00001-of-00002").write_bytes(b"")

        assert wrong(seen(tmp_path)) == ["train-00001-of-00002: is empty: it holds no record"]

    def test_missing_shards_are_listed_as_ranges(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00003-of-00008", map(classic, TRAIN))

        assert wrong(seen(tmp_path)) == [f"{tmp_path}/train-…-of-00008: 7 of 8 shards are missing: 0-2, 4-7"]

    def test_shards_beyond_their_number_are_listed(self, tmp_path: Path) -> None:
        write_classic(tmp_path)
        (tmp_path / "validation-00000-of-00001").rename(tmp_path / "validation-00005-of-00001")

        assert f"{tmp_path}/validation-…-of-00001: there are shards with numbers that are too high: 5" in wrong(
            seen(tmp_path)
        )

    @pytest.mark.parametrize("ending", [".bak", " (1)", ".tfrecord.tmp", ".idx"])
    def test_what_a_pattern_takes_for_a_shard_is_a_problem(self, tmp_path: Path, ending: str) -> None:
        (write_classic(tmp_path) / f"train-00000-of-00002{ending}").write_bytes(b"")
        (tmp_path / "training.log").write_bytes(b"")

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}: train-00000-of-00002{ending}: is not a shard, but a pattern such as train-* matches it"
        ]

    def test_very_many_files_that_are_no_shards_are_counted(self, tmp_path: Path) -> None:
        write_tfds(tmp_path)
        for number in range(103):
            (tmp_path / f"imagenet2012-train.tfrecord-{number:05d}-of-00103.bak").write_bytes(b"")

        problems = wrong(seen(tmp_path))

        assert len(problems) == 101
        assert problems[0] == (
            f"{tmp_path}: imagenet2012-train.tfrecord-00000-of-00103.bak: is not a shard, but a pattern such as "
            "imagenet2012-train.tfrecord-* matches it"
        )
        assert problems[100] == (
            f"{tmp_path}: and 3 more files that are not shards, but match imagenet2012-train.tfrecord-*"
        )

    def test_a_split_in_two_numberings_is_a_problem(self, tmp_path: Path) -> None:
        write_classic(tmp_path)
        write(tmp_path / "train-00000-of-00001", map(classic, [f"{TENCH}_9.JPEG"]))

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}: train is there more than once: train-…-of-00001 and train-…-of-00002; readers may take both"
        ]

    @pytest.mark.parametrize(
        ("image", "reason"),
        [
            (b"", "is empty"),
            (b"Not found, sorry", "is text"),
            (b"<html>log in</html>", "is an HTML or XML page"),
            (picture("x")[:-40], "is a JPEG cut short: it has no end marker"),
        ],
    )
    def test_what_is_no_image_is_named(self, tmp_path: Path, image: bytes, reason: str) -> None:
        write(tmp_path / "train-00000-of-00001", [classic(TRAIN[0]), classic(TRAIN[1], image_encoded=image)])

        (problem,) = wrong(seen(tmp_path))

        assert problem.startswith("train-00000-of-00001: n01440764_2.JPEG at byte ")
        assert problem.endswith(f": {reason}")

    def test_damage_inside_a_picture_is_found_by_decoding(self, tmp_path: Path) -> None:
        damaged = picture("x", "photo")[:-2000] + b"\xff\xd9"
        write(tmp_path / "train-00000-of-00001", [classic(TRAIN[0]), classic(TRAIN[1], image_encoded=damaged)])

        assert wrong(seen(tmp_path)) == []
        (problem,) = wrong(seen(tmp_path, decode=True))
        assert "n01440764_2.JPEG" in problem
        assert "does not decode" in problem

    def test_a_shard_that_a_process_dies_of_is_named(self, tmp_path: Path, sentence: Sentence) -> None:
        task = ShardLook(0, "train", 3, tmp_path / "x", "train-00003-of-00008", 3, 0, CLASSIC_SCHEMA)

        assert places(look_in_vain(task).problems) == ["train-00003-of-00008"]
        sentence(look_in_vain(task).problems)

    def test_of_what_a_process_died_of_nothing_is_said_to_be_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
    ) -> None:
        def dies_of_one(task: Look) -> Seen:
            return look_in_vain(task) if task.position == 1 else look(task)

        monkeypatch.setattr("imagenet_prep.verbs.audit.others.run.look", dies_of_one)

        assert places(seen(write_classic(tmp_path)).problems) == ["train-00001-of-00002"]
        sentence(seen(write_classic(tmp_path)).problems)

    def test_problems_are_counted_where_nothing_is_right(self, tmp_path: Path) -> None:
        names = [f"{TENCH}_{number}.JPEG" for number in range(1000)]
        record = classic(TRAIN[0], image_encoded=b"raw pixels")
        write(tmp_path / "train-00000-of-00001", [{**record, "image/filename": name.encode()} for name in names])

        problems = wrong(seen(tmp_path))

        assert len(problems) == 101
        assert problems[-1] == "train-00000-of-00001: and 900 more problems with single images, up to here"


class TestDoubled:
    def test_a_name_in_two_splits_is_a_problem(self, tmp_path: Path) -> None:
        write_classic(tmp_path)
        write(tmp_path / "test-00000-of-00001", [classic(TRAIN[1])])

        (problem,) = wrong(seen(tmp_path))

        assert problem.startswith("train-00000-of-00002: n01440764_2.JPEG at byte ")
        assert problem.endswith(": is there 2 times: here (train) and in test-00000-of-00001 (test)")

    def test_a_name_that_is_doubled_in_a_split_is_a_problem(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00000-of-00001", [classic(TRAIN[0]), classic(TRAIN[1]), classic(TRAIN[0])])

        report = seen(tmp_path)

        assert wrong(report) == [
            (
                "train-00000-of-00001: n01440764_1.JPEG at byte 0: is there 2 times: here (train) and in "
                "train-00000-of-00001 (train)"
            )
        ]
        assert Problem(str(tmp_path), "has 2 train images of 1,281,167") in report.problems
        assert report.remarks == ()  # that it has the same bytes is no news

    def test_a_name_that_is_there_three_times_is_one_problem(self, tmp_path: Path) -> None:
        names = [TRAIN[0], TRAIN[1], TRAIN[0], TRAIN[2], TRAIN[1], TRAIN[0]]
        write(tmp_path / "train-00000-of-00001", map(classic, names))

        thrice, twice = wrong(seen(tmp_path))
        assert thrice.startswith("train-00000-of-00001: n01440764_1.JPEG at byte 0: is there 3 times: ")
        assert "n01440764_2.JPEG" in twice
        assert "is there 2 times: " in twice

    def test_very_many_doubles_and_wrong_labels_are_counted(self, tmp_path: Path) -> None:
        image = (f"{TENCH}_{number}.JPEG".encode() for number in range(310))
        records = [classic(TRAIN[0], image_filename=name, image_encoded=TINY) for name in image]
        wrong_labels = [{**record, "image/class/label": 2} for record in records]
        write(tmp_path / "train-00000-of-00001", [*records, *records[:1], *wrong_labels])

        problems = wrong(seen(tmp_path))

        assert len(problems) == 602
        assert problems[300] == "train-00000-of-00001: and 10 more labels of train are wrong"
        assert problems[601] == "train-00000-of-00001: and 10 more names are doubled"

    def test_equal_images_under_two_names_are_a_remark(self, tmp_path: Path) -> None:
        write(
            tmp_path / "train-00000-of-00001", [classic(TRAIN[0]), classic(TRAIN[1], image_encoded=picture(TRAIN[0]))]
        )

        report = seen(tmp_path)

        assert wrong(report) == []
        assert [remark.reason for remark in report.remarks] == [
            (
                "images of train that have the bytes of another one: 1, such as n01440764_1.JPEG and n01440764_2.JPEG; "
                "ImageNet itself has some"
            ),
        ]

    def test_equal_images_in_two_splits_are_a_remark_of_their_own(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        copied = (tmp_path / "train" / GOLDFISH / TRAIN[4]).read_bytes()
        for name in (f"{TENCH}/ILSVRC2012_val_00000293.JPEG", f"{GOLDFISH}/ILSVRC2012_val_00000236.JPEG"):
            (tmp_path / "val" / name).write_bytes(copied)

        report = seen(tmp_path)

        assert wrong(report) == []
        assert [str(remark) for remark in report.remarks if "of train" in remark.reason] == [
            (
                f"{tmp_path}: 2 images of val have the bytes of images of train, such as "
                "ILSVRC2012_val_00000293.JPEG and n01443537_2.JPEG"
            )
        ]

    def test_a_name_in_two_splits_is_not_told_again_by_its_bytes(self, tmp_path: Path) -> None:
        write_classic(tmp_path)
        write(tmp_path / "test-00000-of-00001", [classic(TRAIN[1])])

        assert seen(tmp_path).remarks == ()

    def test_an_equal_image_without_a_name_is_told_by_its_shard(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00000-of-00001", map(classic, TRAIN))
        write(tmp_path / "validation-00000-of-00001", [classic(TRAIN[0], image_filename=b"")])

        assert [remark.reason for remark in seen(tmp_path).remarks] == [
            (
                "1 image of validation has the bytes of images of train, such as validation-00000-of-00001 and "
                "n01440764_1.JPEG"
            )
        ]

    def test_a_validation_image_in_train_is_a_problem(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00000-of-00001", map(classic, [*TRAIN, validation_names()[0]]))

        (problem,) = wrong(seen(tmp_path))

        assert problem.endswith("is of the validation set, among images of train")

    def test_a_validation_split_may_be_of_train_images(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00000-of-00001", map(classic, TRAIN[:4]))
        write(tmp_path / "validation-00000-of-00001", map(classic, TRAIN[4:]))

        report = seen(tmp_path)

        assert wrong(report) == []
        assert Problem(str(tmp_path), "has 6 train images of 1,281,167") in report.problems


class TestMissing:
    def test_what_a_small_set_lacks_is_said_in_five_lines(self, tmp_path: Path) -> None:
        write_classic(tmp_path)

        assert [problem.reason for problem in seen(tmp_path).problems] == [
            "has 6 train images of 1,281,167",
            (
                "998 classes have no train image: n01484850 (great_white_shark), n01491361 (tiger_shark), n01494475 "
                "(hammerhead), n01496331 (electric_ray), n01498041 (stingray) …"
            ),
            "2 classes have fewer train images than any official class (732): n01440764 (tench), n01443537 (goldfish)",
            "has 4 validation images of 50,000",
            "these validation images are missing: 5-50000",
            (
                "996 classes have no validation image: n01440764 (tench), n01443537 (goldfish), n01484850 "
                "(great_white_shark), n01491361 (tiger_shark), n01494475 (hammerhead) …"
            ),
            (
                "4 classes have fewer validation images than any official class (50): n01751748 (sea_snake), n02105855 "
                "(Shetland_sheepdog), n04263257 (soup_bowl), n09193705 (alp)"
            ),
        ]

    def test_a_sample_reads_some_shards_of_each_split_and_misses_nothing(self, tmp_path: Path) -> None:
        report = seen(write_classic(tmp_path), sample=0.3)

        assert report.problems == ()
        assert [split.images for split in report.sets[0].splits] == [3, 4]
        assert "Only 30 % of the shards or class folders of each split were read" in looked_at(report, "DATA")

    def test_a_sample_of_class_folders_lists_all_names(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        for name in TRAIN:
            (tmp_path / "train" / name[:9] / name).write_bytes(b"")

        report = seen(tmp_path, sample=0.5)

        assert [split.images for split in report.sets[0].splits] == [6, 2]
        assert [problem.reason for problem in report.problems] == ["is empty"] * 3

    def test_numbers_are_said_in_short(self) -> None:
        assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
        assert ranges([5]) == "5"
        assert ranges(range(1, 40, 2)) == "1, 3, 5, 7, 9, 11, 13, 15 … (20 in all)"

    def test_a_train_set_with_a_held_out_test_split_is_complete(self) -> None:
        numbers = [1281] * 833 + [1282] * 167  # 1,281,167 images
        train, test = Seen(0, "train", 0, "train-00000-of-00001"), Seen(0, "test", 1, "test-00000-of-00001")
        for facts, count in zip(official().classes, numbers, strict=True):
            add_train(train, facts.index, range(50, count))
            add_train(test, facts.index, range(50))
        splits = [SplitColumns("train", [train]), SplitColumns("test", [test])]

        assert list(missing(splits, "set")) == []
        test.truths[-1], test.keys[-1] = train.truths[-1], train.keys[-1]
        splits[1] = SplitColumns("test", [test])
        assert list(missing(splits, "set")) == [Problem("set", "has 1,281,166 train images of 1,281,167")]


def add_train(part: Seen, truth: int, numbers: range) -> None:
    part.keys += array("Q", [xxhash.xxh3_64_intdigest(struct.pack("<II", truth, number)) for number in numbers])
    part.truths += array("h", [truth]) * len(numbers)
    part.origins += array("b", [1]) * len(numbers)
    part.names += b"\n" * len(numbers)


class TestDocuments:
    def test_a_shard_with_fewer_records_than_promised_is_named(self, tmp_path: Path) -> None:
        write_tfds(tmp_path, lengths=(3, 4))

        assert wrong(seen(tmp_path)) == [
            "imagenet2012-train.tfrecord-00001-of-00002: has 3 records; dataset_info.json promises 4"
        ]

    def test_a_shard_that_was_not_promised_is_named(self, tmp_path: Path) -> None:
        write_tfds(tmp_path, lengths=(3,))

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/dataset_info.json: knows 1 shards of train, and not imagenet2012-train.tfrecord-00001-of-00002"
        ]

    def test_a_promised_split_without_shards_is_named(self, tmp_path: Path) -> None:
        (write_tfds(tmp_path) / "imagenet2012-validation.tfrecord-00000-of-00001").unlink()

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/dataset_info.json: promises 4 records of validation: not one shard"
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            '{"splits": [{"name": "train", "shardLengths": ["x"]}]}',
            "[" * 9999,
            '{"splits": [{"name": "train", "shardLengths": [Infinity]}]}',
        ],
    )
    def test_a_document_that_is_none_is_named(self, tmp_path: Path, text: str) -> None:
        (write_tfds(tmp_path) / "dataset_info.json").write_text(text)

        (problem,) = wrong(seen(tmp_path))

        assert problem.startswith(f"{tmp_path}/dataset_info.json: cannot be read: ")

    def test_a_missing_document_is_named(self, tmp_path: Path) -> None:
        (write_tfds(tmp_path) / "dataset_info.json").unlink()

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/dataset_info.json: is missing: TensorFlow Datasets cannot load the data without it"
        ]


class TestFolders:
    def test_class_folders_are_counted_and_their_numbers_told(self, tmp_path: Path) -> None:
        report = seen(write_folders(tmp_path))

        assert report.sets[0].layout == "class folders, called by WNID"
        assert [(of.name, of.origin, of.images, of.classes, of.parts) for of in report.sets[0].splits] == [
            ("train", "train", 6, 2, 2),
            ("val", "validation", 2, 2, 2),
        ]
        assert {of.labels for of in report.sets[0].splits} == {"0…1 in class index order, but not the class index"}
        assert wrong(report) == []

    @pytest.mark.parametrize(
        ("name", "layout", "labels"),
        [
            (lambda of: of.wnid, "class folders, called by WNID", "class index, 0…999"),
            (
                lambda of: f"{of.index:03d}_{of.name}",
                "class folders, with the class index in front",
                "class index, 0…999",
            ),
            (
                lambda of: of.name,
                "class folders, called by name",
                "0…999 in the order of the folder names, not the class index",
            ),
        ],
        ids=["wnid", "indexed", "name"],
    )
    def test_with_all_classes_it_is_told_whether_readers_give_the_class_index(
        self, tmp_path: Path, name: Callable[[object], str], layout: str, labels: str
    ) -> None:
        for facts in official().classes:
            put(tmp_path / "train" / name(facts) / f"{facts.wnid}_1.JPEG")

        report = seen(tmp_path)

        assert (report.sets[0].layout, report.sets[0].splits[0].labels) == (layout, labels)
        assert wrong(report) == []

    def test_a_class_that_one_split_lacks_shifts_its_numbers(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        (tmp_path / f"val/{TENCH}/ILSVRC2012_val_00000293.JPEG").unlink()
        (tmp_path / f"val/{TENCH}").rmdir()

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}: train and val number the classes otherwise: number 0 is n01440764 (tench) in train and "
                "n01443537 (goldfish) in val"
            )
        ]

    def test_a_flat_validation_folder_is_a_problem(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        for path in list((tmp_path / "val").glob("*/*.JPEG")):
            path.rename(tmp_path / "val" / path.name)
            path.parent.rmdir()

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/val: holds images without class folders: readers take it for one class"
        ]

    def test_a_flat_folder_alone_is_a_data_set_too(self, tmp_path: Path) -> None:
        put(tmp_path / "ILSVRC2012_val_00000293.JPEG")

        report = seen(tmp_path)

        assert (report.sets[0].layout, report.sets[0].splits[0].labels) == ("flat folder", "one label for all")
        assert wrong(report) == [f"{tmp_path}: holds images without class folders: readers take it for one class"]

    def test_images_beside_the_class_folders_are_named(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        put(tmp_path / "train" / f"{TENCH}_77.JPEG")

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/train: n01440764_77.JPEG: has images beside the class folders, which readers pass over"
        ]

    def test_of_the_two_cranes_the_images_say_which_it_is(self, tmp_path: Path) -> None:
        put(tmp_path / "train/crane/n03126707_1.JPEG")  # the machine
        put(tmp_path / "val/n03126707/ILSVRC2012_val_00000020.JPEG")

        assert wrong(seen(tmp_path)) == []

    def test_an_image_in_the_wrong_class_folder_is_named(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        put(tmp_path / "train" / TENCH / f"{GOLDFISH}_7.JPEG")

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}/train: n01440764/n01443537_7.JPEG: is in the folder n01440764, but its name says "
                "n01443537 (goldfish)"
            )
        ]

    def test_an_image_in_two_class_folders_is_told_to_be_there_twice(self, tmp_path: Path) -> None:
        put(write_folders(tmp_path) / "train" / GOLDFISH / TRAIN[0])

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}/train: n01443537/n01440764_1.JPEG: is in the folder n01443537, but its name says "
                "n01440764 (tench)"
            ),
            (
                f"{tmp_path}/train: n01440764/n01440764_1.JPEG: is there 2 times: here (train) and in "
                f"{tmp_path}/train (train)"
            ),
        ]

    def test_a_train_image_copied_to_validation_is_told_to_be_there_twice(self, tmp_path: Path) -> None:
        put(write_folders(tmp_path) / "val" / TENCH / TRAIN[0])

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/val: n01440764/n01440764_1.JPEG: is a train image among validation images",
            (
                f"{tmp_path}/train: n01440764/n01440764_1.JPEG: is there 2 times: here (train) and in "
                f"{tmp_path}/val (val)"
            ),
        ]

    def test_a_validation_image_sorted_wrongly_is_named(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        (tmp_path / f"val/{TENCH}/ILSVRC2012_val_00000293.JPEG").rename(
            tmp_path / f"val/{GOLDFISH}/ILSVRC2012_val_00000293.JPEG"
        )

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}/val: n01443537/ILSVRC2012_val_00000293.JPEG: is in the folder n01443537, but its name "
                "says n01440764 (tench)"
            )
        ]

    def test_an_image_in_train_and_test_is_named(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        put(tmp_path / "test" / TENCH / f"{TENCH}_2.JPEG")
        put(tmp_path / "test" / GOLDFISH / f"{GOLDFISH}_8.JPEG")

        report = seen(tmp_path)

        assert [(of.name, of.origin) for of in report.sets[0].splits] == [
            ("train", "train"),
            ("val", "validation"),
            ("test", "train"),
        ]
        assert wrong(report) == [
            f"{tmp_path}/train: n01440764/{TRAIN[1]}: is there 2 times: here (train) and in {tmp_path}/test (test)"
        ]
        assert Problem(str(tmp_path), "has 7 train images of 1,281,167") in report.problems

    def test_a_folder_that_is_no_class_shifts_the_numbers(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        (tmp_path / "train/.ipynb_checkpoints").mkdir()

        assert wrong(seen(tmp_path)) == [
            (
                f"{tmp_path}/train: .ipynb_checkpoints: is not a class folder: readers such as torchvision take it for "
                "a class, and number all classes after it differently"
            )
        ]

    def test_what_is_hidden_and_yet_read_is_a_problem(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        for name in (f"._{TRAIN[0]}", ".DS_Store", "._notes.txt"):  # as macOS leaves them
            (tmp_path / "train" / TENCH / name).write_bytes(b"\0\5\x16\7")
        put(tmp_path / "train" / GOLDFISH / ".ipynb_checkpoints" / TRAIN[3])
        (tmp_path / "val" / TENCH / ".empty").mkdir()

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}/train: {name}: is hidden, but readers such as torchvision do not pass it over"
            for name in (f"{TENCH}/._{TRAIN[0]}", f"{GOLDFISH}/.ipynb_checkpoints")
        ]

    def test_two_folders_of_one_class_are_a_problem(self, tmp_path: Path) -> None:
        write_folders(tmp_path)
        for split in ("train", "val"):
            (tmp_path / split / "tench").mkdir()

        assert wrong(seen(tmp_path)) == [
            f"{tmp_path}: {split} has 2 folders of n01440764 (tench): readers take them for 2 classes"
            for split in ("train", "val")
        ]

    @pytest.mark.parametrize(
        ("data", "reason"),
        [(b"", "is empty"), (b"<html>", "is an HTML or XML page"), (picture("x")[:-9], "is a JPEG cut short")],
    )
    def test_a_file_that_is_no_image_is_named(self, tmp_path: Path, data: bytes, reason: str) -> None:
        write_folders(tmp_path)
        (tmp_path / "train" / TENCH / TRAIN[1]).write_bytes(data)

        (problem,) = wrong(seen(tmp_path))

        assert problem.startswith(f"{tmp_path}/train: n01440764/n01440764_2.JPEG: {reason}")

    def test_a_miniature_has_nothing_wrong_but_gaps(self, tmp_path: Path) -> None:
        root = write_miniature(
            tmp_path / "a", MiniatureOptions(wnids=(TENCH, GOLDFISH), images_per_class=3, layout="renamed")
        ).root

        assert wrong(seen(root)) == []
