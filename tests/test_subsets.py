"""Part of the images: classes, so many of each, so many in all, and the test split of somebody else."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import imagenet_prep
from imagenet_prep.cli.main import cli
from imagenet_prep.errors import OtherBuildError, UsageError
from imagenet_prep.imagenet.archives import TEST, TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.lists import listed_train_names, preset_classes
from imagenet_prep.model.archive import Archive
from imagenet_prep.options import BuildOptions, Recipe, Selection
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.planning.plan import Plan, plan
from imagenet_prep.planning.remarks import hold_out_sentence
from imagenet_prep.planning.splits import assign
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.verbs.build.run import build
from support.build import recipe
from support.sentences import Sentence

ONE_PROCESS = imagenet_prep.AuditOptions(jobs=1)

ARCHIVES = (Archive("ILSVRC2012_img_train.tar", TRAIN, 1, 0), Archive("ILSVRC2012_img_val.tar", VALIDATION, 1, 0))
TENCH, COCK, HEN = 0, 7, 8


def catalog_of(train: dict[int, int], validation: int = 6) -> Catalog:
    """A catalog with so many train images of each class index, and so many validation images of each of these."""
    rows = [
        (f"{official().classes[index].wnid}_{n}.JPEG", index, 0) for index, count in train.items() for n in range(count)
    ]
    labels = [index for index in train for _ in range(validation)]
    rows += [(f"ILSVRC2012_val_{number:08d}.JPEG", index, 1) for number, index in enumerate(labels, 1)]
    names, indexes, archives = (list(column) for column in zip(*rows, strict=True))
    columns: dict[str, Any] = {
        "name": names,
        "class_index": indexes,
        "archive": archives,
        "container": [""] * len(rows),
    }
    columns |= {"offset": range(len(rows)), "size": [1000] * len(rows), "boxes": [None] * len(rows)}
    return Catalog(pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], SCHEMA), ARCHIVES)


def planned(catalog: Catalog, **given: Any) -> Plan:
    return plan(catalog, recipe(**{"test_per_class": 0 if given.get("test_list") is None else 50, **given}))


def names(of: Plan, split: str) -> list[str]:
    rows = np.concatenate([shard.rows for shard in of.shards if shard.name.split == split])
    result: list[str] = of.catalog.table.column("name").take(pa.array(rows)).to_pylist()
    return result


def classes(of: Plan, split: str) -> Counter[int]:
    rows = np.concatenate([shard.rows for shard in of.shards if shard.name.split == split])
    return Counter(of.catalog.numbers("class_index")[rows].tolist())


def lowest(images: list[str], count: int, seed: int = 0) -> set[str]:
    """The images of the lowest ranks, worked out here once more, without our code."""

    def rank(name: str) -> bytes:
        return hashlib.blake2b(name.encode(), digest_size=8, key=str(seed).encode()).digest()

    return set(sorted(images, key=rank)[:count])


class TestClasses:
    def test_these_alone_are_in_every_split_and_keep_their_class_index(self) -> None:
        result = planned(catalog_of({TENCH: 9, COCK: 9, 999: 9}), classes=(999, COCK), test_per_class=2)
        assert classes(result, TRAIN) == {COCK: 7, 999: 7}
        assert classes(result, VALIDATION) == {COCK: 6, 999: 6}
        assert classes(result, TEST) == {COCK: 2, 999: 2}

    def test_what_is_held_out_of_a_class_does_not_depend_on_the_others(self) -> None:
        catalog = catalog_of({TENCH: 30, COCK: 30})
        alone, all_classes = (names(planned(catalog, classes=of, test_per_class=5), TEST) for of in ((COCK,), ()))
        assert set(alone) == {name for name in all_classes if name.startswith("n01514668")}

    def test_a_class_that_is_left_out_need_not_be_large_enough_for_the_hold_out(self) -> None:
        result = planned(catalog_of({TENCH: 2, COCK: 9}), classes=(COCK,), test_per_class=5)
        assert result.images_of(TEST) == 5

    def test_a_class_that_the_source_has_nothing_of_is_an_error(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            planned(catalog_of({TENCH: 2}), classes=(TENCH, COCK, HEN))
        sentence(caught.value)


class TestImagesPerClass:
    def test_each_class_of_each_split_keeps_at_most_so_many(self) -> None:
        result = planned(catalog_of({TENCH: 20, COCK: 8}), images_per_class=4, test_per_class=5)
        assert [classes(result, split) for split in (TRAIN, VALIDATION, TEST)] == [
            {TENCH: 4, COCK: 3},
            {TENCH: 4, COCK: 4},
            {TENCH: 4, COCK: 4},
        ]

    def test_they_are_those_of_the_lowest_ranks_among_what_the_split_has(self) -> None:
        catalog = catalog_of({TENCH: 30})
        images = [name for name in catalog.table.column("name").to_pylist() if name.startswith("n")]
        result = planned(catalog, images_per_class=4, test_per_class=10, seed=3)
        held_out = lowest(images, 10, seed=3)
        assert set(names(result, TEST)) == lowest(images, 4, seed=3)
        assert set(names(result, TRAIN)) == lowest([name for name in images if name not in held_out], 4, seed=3)


class TestLimit:
    def test_a_whole_number_is_the_most_that_each_split_has(self) -> None:
        result = planned(catalog_of({TENCH: 20, COCK: 20}), limit=7, test_per_class=3)
        assert [result.images_of(split) for split in (TRAIN, VALIDATION, TEST)] == [7, 7, 6]

    def test_a_fraction_is_the_share_of_each_split(self) -> None:
        result = planned(catalog_of({TENCH: 40, COCK: 40}, validation=10), limit=0.1, test_per_class=5)
        assert [result.images_of(split) for split in (TRAIN, VALIDATION, TEST)] == [7, 2, 1]

    def test_no_share_is_so_small_that_a_split_disappears(self) -> None:
        result = planned(catalog_of({TENCH: 20}), limit=0.001, test_per_class=3)
        assert result.splits == (TRAIN, VALIDATION, TEST)

    def test_every_class_gives_its_share(self) -> None:
        # By rank alone a class whose hold-out reaches far up its ranks would give few images, or none.
        kept = classes(planned(catalog_of({TENCH: 60, COCK: 110, HEN: 30}), limit=0.1, test_per_class=10), TRAIN)
        assert kept == {TENCH: 5, COCK: 10, HEN: 2}

    def test_there_is_an_image_of_each_class_before_there_are_two_of_one(self) -> None:
        assert set(classes(planned(catalog_of(dict.fromkeys(range(50), 7)), limit=50), TRAIN).values()) == {1}

    def test_of_a_class_they_are_those_of_the_lowest_ranks(self) -> None:
        catalog = catalog_of({TENCH: 30})
        images = [name for name in catalog.table.column("name").to_pylist() if name.startswith("n")]
        assert set(names(planned(catalog, limit=6), TRAIN)) == lowest(images, 6)

    def test_it_comes_after_the_number_per_class(self) -> None:
        result = planned(catalog_of({TENCH: 20, COCK: 5}), images_per_class=5, limit=0.4)
        assert classes(result, TRAIN) == {TENCH: 2, COCK: 2}


class TestEveryChoice:
    selections = st.fixed_dictionaries(
        {"test_per_class": st.integers(0, 3)},
        optional={
            "classes": st.sampled_from([(), (TENCH,), (COCK, 999)]),
            "images_per_class": st.integers(0, 9),
            "seed": st.integers(0, 2),
        },
    )
    limits = st.one_of(st.integers(1, 40), st.floats(0.01, 0.99))

    @settings(max_examples=60, deadline=None)
    @given(selections, limits, limits)
    def test_a_larger_one_contains_the_smaller_and_no_image_changes_its_split(
        self, given: dict[str, Any], one: float, other: float
    ) -> None:
        catalog = catalog_of({TENCH: 12, COCK: 5, 999: 17})
        first, second, whole = (assign(catalog, Selection(**given, limit=limit)) for limit in (one, other, 0))
        kept = {name: value for name, value in given.items() if name in ("seed", "test_per_class")}
        everything = assign(catalog, Selection(**kept))
        for split in (TRAIN, VALIDATION, TEST):
            smaller, larger = sorted((set(first[split]), set(second[split])), key=len)
            assert smaller <= larger <= set(whole[split])
            assert set(whole[split]) <= set(everything[split])

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 3))
    def test_more_of_each_class_contain_fewer(self, one: int, other: int, held: int) -> None:
        catalog = catalog_of({TENCH: 12, COCK: 5, 999: 17})
        few, many = (
            assign(catalog, Selection(images_per_class=number, test_per_class=held)) for number in sorted((one, other))
        )
        assert all(set(few[split]) <= set(many[split]) for split in (TRAIN, VALIDATION, TEST))

    def test_it_does_not_depend_on_the_order_in_the_archive(self) -> None:
        catalog = catalog_of({TENCH: 30, COCK: 20})
        turned = Catalog(catalog.table.take(list(range(len(catalog)))[::-1]), catalog.archives)
        given = {"images_per_class": 9, "limit": 0.3, "test_per_class": 5}
        for split in (TRAIN, VALIDATION, TEST):
            assert names(planned(catalog, **given), split) == names(planned(turned, **given), split)

    def test_another_seed_chooses_others(self) -> None:
        catalog = catalog_of({TENCH: 400})
        first, second = (set(names(planned(catalog, limit=20, seed=seed), TRAIN)) for seed in (0, 1))
        assert len(first & second) < 10


class TestTestList:
    def test_its_images_leave_train_and_become_test(self) -> None:
        listed = ("n01440764_3.JPEG", "n01514668_0.JPEG", "n01440764_7.JPEG")
        result = planned(catalog_of({TENCH: 9, COCK: 9}), test_list=listed)
        assert sorted(names(result, TEST)) == sorted(listed)
        assert not set(names(result, TRAIN)) & set(listed)
        assert result.images_of(TRAIN) == 15

    def test_names_of_classes_that_are_left_out_do_not_matter(self) -> None:
        listed = ("n01440764_3.JPEG", "n01440764_99.JPEG", "n15075141_1.JPEG", "n01514668_0.JPEG")
        result = planned(catalog_of({TENCH: 9, COCK: 9}), classes=(COCK,), test_list=listed)
        assert names(result, TEST) == ["n01514668_0.JPEG"]

    def test_a_limit_holds_for_it_too(self) -> None:
        listed = tuple(f"n01440764_{number}.JPEG" for number in range(6))
        result = planned(catalog_of({TENCH: 20}), limit=4, test_list=listed)
        assert set(names(result, TEST)) == lowest(list(listed), 4)
        assert not set(names(result, TRAIN)) & set(listed)

    def test_names_that_train_does_not_have_are_an_error(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            planned(catalog_of({TENCH: 9}), test_list=("n01440764_3.JPEG", "n01440764_9.JPEG", "n01514668_1.JPEG"))
        sentence(caught.value)

    def test_a_class_that_it_takes_entirely_is_an_error(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            planned(catalog_of({TENCH: 9, COCK: 2}), test_list=("n01514668_0.JPEG", "n01514668_1.JPEG"))
        sentence(caught.value)

    def test_validation_alone_does_not_look_at_it(self) -> None:
        result = planned(catalog_of({TENCH: 9}), splits=(VALIDATION,), test_list=("n01440764_99.JPEG",))
        assert result.splits == (VALIDATION,)

    def test_the_test_split_may_be_asked_for_alone(self) -> None:
        assert planned(catalog_of({TENCH: 9}), splits=(TEST,), test_list=("n01440764_3.JPEG",)).splits == (TEST,)


class TestShards:
    complete = catalog_of(dict.fromkeys(range(1000), 1), validation=50)

    def test_a_subset_of_the_complete_data_set_has_not_its_number(self) -> None:
        result = planned(self.complete, splits=(VALIDATION,), limit=49_999)
        assert [str(shard.name) for shard in result.shards] == ["validation-00000-of-00001"]

    def test_a_limit_that_leaves_nothing_out_has(self) -> None:
        assert len(planned(self.complete, splits=(VALIDATION,), limit=50_000).shards) == 128

    def test_a_test_list_too_short_for_it_gets_fewer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imagenet_prep.planning.plan.TRAIN_IMAGES", 60)  # this catalog is then a complete one
        monkeypatch.setattr("imagenet_prep.planning.plan.COMPLETE_SHARDS", {TRAIN: 16, VALIDATION: 4, TEST: 4})
        catalog = catalog_of({TENCH: 30, COCK: 30})
        for count, shards in ((3, 1), (4, 4)):
            listed = tuple(f"n01440764_{number}.JPEG" for number in range(count))
            result = Counter(shard.name.split for shard in planned(catalog, test_list=listed).shards)
            assert result == {TRAIN: 16, VALIDATION: 1, TEST: shards}


class TestRecipe:
    def test_its_document_says_all_of_it_and_makes_it_again(self, tmp_path: Path) -> None:
        (tmp_path / "map.txt").write_text("n01440764 449 Schleie\n")
        taxonomy = official().with_names((tmp_path / "map.txt").read_bytes(), "map.txt")
        listed = tuple(f"n01440764_{number}.JPEG" for number in range(3))
        one = recipe(
            format=("folders", "tfds"),
            names="wnid",
            shards={"train": 3},
            classes=(COCK, TENCH),
            images_per_class=9,
            limit=0.25,
            seed=4,
            test_list=listed,
            exclude=listed[:1],
            splits=(TRAIN, TEST),
            taxonomy=taxonomy,
        )
        again = Recipe.from_document(json.loads(json.dumps(one.document())))
        assert again.document() == one.document()
        assert again.outputs == one.outputs
        assert again.selection.taxonomy.classes == taxonomy.classes

    def test_a_plain_one_is_said_in_full_too(self) -> None:
        assert recipe().document() == {
            "selection": {
                "test_per_class": 50,
                "seed": 0,
                "test_list": [],
                "exclude": [],
                "splits": [],
                "classes": [],
                "images_per_class": 0,
                "limit": 0,
                "class_map": "",
            },
            "outputs": {"tfrecord": {"shards": {}}},
        }

    def test_what_is_chosen_is_said(self) -> None:
        chosen = recipe(classes=(COCK, TENCH, COCK), images_per_class=9, limit=0.25, test_list=("b", "a", "b"))
        document = chosen.document()["selection"]
        assert (document["classes"], document["images_per_class"], document["limit"]) == ([TENCH, COCK], 9, 0.25)
        assert document["test_list"] == ["a", "b"]
        assert document["test_per_class"] is None

    def test_the_order_of_classes_and_names_makes_no_difference(self) -> None:
        one, two = (
            recipe(classes=(TENCH, COCK), test_list=("a", "b")),
            recipe(classes=(COCK, TENCH, COCK), test_list=("b", "a")),
        )
        assert one == two
        assert one.document() == two.document()

    @pytest.mark.parametrize(
        "other",
        [
            {"classes": (TENCH,)},
            {"images_per_class": 3},
            {"limit": 3},
            {"limit": 0.3},
            {"test_list": ("n01440764_3.JPEG",)},
        ],
    )
    def test_another_choice_is_another_selection(self, other: dict[str, Any]) -> None:
        catalog = catalog_of({TENCH: 90, COCK: 90})
        assert plan(catalog, recipe(**other)).identity != plan(catalog, recipe()).identity

    @pytest.mark.parametrize(
        ("option", "given", "made"),
        [
            ("classes", "imagenette", preset_classes("imagenette")),
            ("limit", "10%", 0.1),
            ("limit", "500", 500),
            ("limit", "100%", 0),
            ("splits", "train", (TRAIN,)),
        ],
    )
    def test_the_library_takes_what_the_command_line_takes(self, option: str, given: str, made: object) -> None:
        assert getattr(recipe(**{option: given}).selection, option) == made

    def test_lists_may_be_paths(self, tmp_path: Path) -> None:
        (tmp_path / "two.txt").write_text("tench\nhen\n")
        (tmp_path / "images.txt").write_text("train/n01440764/n01440764_3.JPEG\nn01440764_1\n")
        selection = recipe(
            classes=tmp_path / "two.txt", test_list=tmp_path / "images.txt", exclude=str(tmp_path / "images.txt")
        ).selection
        assert selection.classes == (TENCH, HEN)
        assert selection.test_list == selection.exclude == ("n01440764_1.JPEG", "n01440764_3.JPEG")

    @pytest.mark.parametrize("option", ["classes", "test_list", "exclude"])
    def test_a_path_that_cannot_be_read_is_an_error_that_names_option_and_path(
        self, option: str, sentence: Sentence
    ) -> None:
        with pytest.raises(UsageError) as caught:
            recipe(**{option: "nowhere/list.txt"})
        sentence(caught.value)

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"classes": (1000,)}, "classes"),
            ({"classes": (-1,)}, "classes"),
            ({"classes": ("tnech",)}, "classes"),
            ({"classes": 5}, "classes"),
            ({"classes": "tensch"}, "classes"),
            ({"test_list": 5}, "test_list"),
            ({"exclude": (5,)}, "exclude"),
            ({"splits": 5}, "splits"),
            ({"images_per_class": -1}, "images_per_class"),
            ({"images_per_class": 2.5}, "images_per_class"),
            ({"test_per_class": "5"}, "test_per_class"),
            ({"seed": "1"}, "seed"),
            ({"seed": None}, "seed"),
            ({"limit": -1}, "limit"),
            ({"limit": 1.0}, "limit"),
            ({"limit": 2.5}, "limit"),
            ({"limit": float("nan")}, "limit"),
            ({"limit": None}, "limit"),
            ({"limit": True}, "limit"),
            ({"taxonomy": "map.txt"}, "taxonomy"),
            ({"jobs": -1}, "jobs"),
            ({"jobs": "2"}, "jobs"),
            ({"shards": 3}, "tfrecord.shards"),
            ({"shards": {"train": "3"}}, "tfrecord.shards"),
            ({"format": "folders", "names": ["wnid"]}, "folders.names"),
            ({"on_bad": "skip"}, "on_bad"),
            ({"check": "none"}, "check"),
            ({"test_list": ("a",), "test_per_class": 5}, "give one of the two"),
        ],
    )
    def test_a_value_that_makes_no_sense_is_an_error_that_names_its_field(
        self, arguments: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(UsageError) as caught:
            recipe(**arguments)
        assert field in str(caught.value)


class TestWhatTheUserIsTold:
    HELD_OUT = "are held out of train as the split test (--test-per-class N; 0 keeps the standard train set)"
    LISTED = "The 2 images of the test list are held out of train as the split test"
    CHOSEN = "1 of the 1,000 classes (cock), at most 5 images of each class of a split, at most 4 images of a split"
    INDEXES = "class indexes stay those of all 1,000"
    NOTHING = (
        "Nothing is held out of train for a split test (--test-per-class N holds out N labelled images of each class)."
    )

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            (
                {"test_per_class": 2},
                f"2 labelled images of each class, 4 in all, {HELD_OUT}.",
            ),
            ({"test_per_class": 0}, NOTHING),
            ({"splits": (VALIDATION,)}, NOTHING),
            (
                {"test_per_class": 2, "splits": (TRAIN,)},
                f"2 labelled images of each class {HELD_OUT}; this split is not written.",
            ),
            (
                {"test_per_class": 2, "classes": (COCK,), "images_per_class": 5, "limit": 4},
                f"2 labelled images of each class {HELD_OUT}. This subset keeps {CHOSEN}; {INDEXES}.",
            ),
            (
                {"test_per_class": 0, "limit": 0.025},
                f"{NOTHING} This subset keeps 2.5% of each split; {INDEXES}.",
            ),
            (
                {"test_list": ("n01440764_3.JPEG", "n01440764_4.JPEG")},
                f"{LISTED}.",
            ),
            (
                {"test_list": ("n01440764_3.JPEG", "n01514668_3.JPEG"), "classes": (COCK,)},
                f"{LISTED}; the subset has 1 of them. This subset keeps 1 of the 1,000 classes (cock); {INDEXES}.",
            ),
            (
                {"test_list": ("n01440764_3.JPEG", "n01440764_4.JPEG"), "splits": (TRAIN,)},
                f"{LISTED}; this split is not written.",
            ),
        ],
    )
    def test_what_is_held_out_and_what_is_kept(self, given: dict[str, Any], sentence: str) -> None:
        assert hold_out_sentence(plan(catalog_of({TENCH: 20, COCK: 20}), recipe(**given))) == sentence


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return write_miniature(tmp_path_factory.mktemp("archives"), MiniatureOptions(classes=3, images_per_class=12))


class TestListsOfTheSplits:
    options: ClassVar[dict[str, Any]] = {"test_per_class": 3, "jobs": 1, "format": ("tfrecord", "tfds")}

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
        out = tmp_path_factory.mktemp("built") / "data"
        build(miniature.root, out, BuildOptions.of(**cls.options))
        return out

    def test_there_is_a_line_for_each_image_sorted_by_name(self, data: Path, miniature: Miniature) -> None:
        lists = {path.stem: path.read_text().split("\n") for path in (data / "splits").iterdir()}
        assert {split: len(lines) - 1 for split, lines in lists.items()} == {TRAIN: 27, VALIDATION: 30, TEST: 9}
        assert all(lines.pop() == "" and lines == sorted(lines) for lines in lists.values())
        every = [name for lines in lists.values() for name in lines]
        assert sorted(every) == sorted(entry.name for entry in miniature.entries)

    def test_the_list_of_test_makes_the_same_test_split_elsewhere(
        self, data: Path, miniature: Miniature, tmp_path: Path
    ) -> None:
        listed = listed_train_names((data / "splits/test.txt").read_bytes(), "test.txt")
        build(miniature.root, tmp_path / "again", BuildOptions.of(test_list=listed, seed=9, jobs=1))
        for split in (TRAIN, VALIDATION, TEST):
            assert (tmp_path / f"again/splits/{split}.txt").read_bytes() == (data / f"splits/{split}.txt").read_bytes()
        shard = "tfrecord/test-00000-of-00001"
        assert (tmp_path / "again" / shard).read_bytes() == (data / shard).read_bytes()

    def test_a_split_that_is_not_written_has_none(self, miniature: Miniature, tmp_path: Path) -> None:
        build(miniature.root, tmp_path / "data", BuildOptions.of(**self.options, splits=(VALIDATION,)))
        assert [path.name for path in (tmp_path / "data/splits").iterdir()] == ["validation.txt"]

    def test_an_audit_notices_a_change(self, data: Path) -> None:
        path = data / "splits/train.txt"
        sound = path.read_bytes()
        path.write_bytes(sound[::-1])
        try:
            with pytest.raises(imagenet_prep.AuditError, match=r"splits/train\.txt"):
                imagenet_prep.audit(data, ONE_PROCESS)
        finally:
            path.write_bytes(sound)
        splits = imagenet_prep.audit(data, ONE_PROCESS).splits
        assert {name: split.images for name, split in splits.items()} == {TRAIN: 27, VALIDATION: 30, TEST: 9}

    def test_another_subset_in_the_same_folder_is_refused(self, data: Path, miniature: Miniature) -> None:
        with pytest.raises(OtherBuildError) as caught:
            build(miniature.root, data, BuildOptions.of(**self.options, limit=7))
        assert [problem.archive for problem in caught.value.problems] == ["limit"]
        assert f"imagenet-prep resume {data}" in caught.value.remedy


class TestCommandLine:
    @staticmethod
    def dry_run(miniature: Miniature, *words: object) -> dict[str, Any]:
        arguments = [
            "build",
            str(miniature.root),
            str(miniature.root / "DATA"),
            "--dry-run",
            "--json",
            *map(str, words),
        ]
        result = CliRunner().invoke(cli, arguments)
        if result.exception:
            raise result.exception
        selection: dict[str, Any] = json.loads(result.stdout)["selection"]
        return selection

    def test_every_option_reaches_the_recipe(self, miniature: Miniature, tmp_path: Path) -> None:
        wnids = sorted({entry.wnid for entry in miniature.entries})
        (tmp_path / "two.txt").write_text(f"{wnids[0]}\n{official().index_of(wnids[2])}\n")
        words = ("--classes", tmp_path / "two.txt", "--images-per-class", 5, "--limit", "10%", "--test-per-class", 2)
        document = self.dry_run(miniature, *words)
        assert document["classes"] == [official().index_of(wnids[0]), official().index_of(wnids[2])]
        assert (document["images_per_class"], document["limit"]) == (5, 0.1)

    def test_a_preset_is_named_and_a_file_of_its_name_has_a_path(
        self, miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "imagenette").write_text(miniature.entries[0].wnid)
        monkeypatch.chdir(tmp_path)
        arguments = ["build", str(miniature.root), "DATA", "--dry-run", "--json", "--test-per-class", "2", "--classes"]
        own = CliRunner().invoke(cli, [*arguments, "./imagenette"])
        assert json.loads(own.stdout)["selection"]["classes"] == [official().index_of(miniature.entries[0].wnid)]
        preset = CliRunner().invoke(cli, [*arguments, "imagenette"])
        assert isinstance(preset.exception, UsageError)
        assert "of the 10 classes chosen" in str(preset.exception)

    def test_an_unknown_word_is_an_error_that_lists_the_presets(self, miniature: Miniature, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            self.dry_run(miniature, "--classes", "imagenete")
        sentence(caught.value)

    def test_the_help_names_every_preset(self) -> None:
        shown = " ".join(CliRunner().invoke(cli, ["build", "--help"]).output.split())
        assert "imagenette, imagewoof or imagenet100" in shown
        assert "keeps the labels of the whole set, the class indexes 0 to 999" in shown
        assert len(preset_classes("imagenette")) == 10

    @pytest.mark.parametrize(("text", "limit"), [("7", 7), ("2.5%", 0.025), ("1%", 0.01), ("100%", 0)])
    def test_a_limit_is_a_number_or_a_share(self, miniature: Miniature, text: str, limit: float) -> None:
        assert self.dry_run(miniature, "--test-per-class", 2, "--limit", text)["limit"] == limit

    @pytest.mark.parametrize("text", ["0", "0%", "101%", "-3", "0.5", "many", "", "%", "1e3", "٣"])
    def test_any_other_limit_is_an_error(self, miniature: Miniature, text: str, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            self.dry_run(miniature, "--limit", text)
        sentence(caught.value)

    def test_a_test_list_and_a_number_are_not_given_together(
        self, miniature: Miniature, tmp_path: Path, sentence: Sentence
    ) -> None:
        listed = next(entry.name for entry in miniature.entries if entry.name.startswith("n"))
        (tmp_path / "test.txt").write_text(listed)
        assert self.dry_run(miniature, "--test-list", tmp_path / "test.txt")["test_list"] == [listed]
        with pytest.raises(UsageError) as caught:
            self.dry_run(miniature, "--test-list", tmp_path / "test.txt", "--test-per-class", 50)
        sentence(caught.value)
