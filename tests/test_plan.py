"""What is decided before a byte is written: splits, order, shards, and the identity of it all."""

import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_prep.errors import SourceError, UsageError
from imagenet_prep.imagenet.archives import TEST, TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.shards import ShardName, at_least, bounds, shard_count
from imagenet_prep.options import Recipe, Selection
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.planning.keys import order_keys, rank_keys
from imagenet_prep.planning.plan import Plan, plan, reads, work
from imagenet_prep.planning.splits import assign
from support.build import recipe
from support.sentences import Sentence

pytestmark = pytest.mark.quick

MIB, GIB = 1 << 20, 1 << 30
ARCHIVES = (Archive("ILSVRC2012_img_train.tar", TRAIN, 1, 0), Archive("ILSVRC2012_img_val.tar", VALIDATION, 1, 0))


def catalog_of(train: dict[int, int], validation: int = 4, size: int = 1000) -> Catalog:
    """A catalog with so many train images of each class index, and so many validation images."""
    rows = [
        (f"{official().classes[index].wnid}_{number}.JPEG", index, 0, f"{official().classes[index].wnid}.tar")
        for index, count in train.items()
        for number in range(count)
    ]
    rows += [(f"ILSVRC2012_val_{number + 1:08d}.JPEG", number % 1000, 1, "") for number in range(validation)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns += [[512 * number for number in range(len(rows))], [size] * len(rows), [None] * len(rows)]
    arrays = [
        pa.array(values, field.type.value_type).dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else pa.array(values, field.type)
        for values, field in zip(columns, SCHEMA, strict=True)
    ]
    return Catalog(pa.table(arrays, schema=SCHEMA), ARCHIVES)


def names(of: Plan, split: str) -> list[str]:
    rows = np.concatenate([shard.rows for shard in of.shards if shard.name.split == split])
    result: list[str] = of.catalog.table.column("name").take(pa.array(rows)).to_pylist()
    return result


class TestHoldOut:
    def test_it_takes_the_same_number_from_every_class(self) -> None:
        held = names(plan(catalog_of({0: 20, 7: 90, 999: 6}), recipe(test_per_class=5)), TEST)
        assert Counter(name.split("_")[0] for name in held) == {"n01440764": 5, "n01514668": 5, "n15075141": 5}

    def test_train_and_test_are_disjoint_and_together_what_the_source_had(self) -> None:
        catalog = catalog_of({0: 20, 7: 9})
        result = plan(catalog, recipe(test_per_class=3))
        train, test = set(names(result, TRAIN)), set(names(result, TEST))
        assert not train & test
        assert train | test == {name for name in catalog.table.column("name").to_pylist() if name.startswith("n")}

    def test_a_larger_one_contains_the_smaller(self) -> None:
        catalog = catalog_of({0: 40, 3: 40})
        small, large = (set(names(plan(catalog, recipe(test_per_class=n)), TEST)) for n in (4, 11))
        assert small < large

    def test_another_class_moves_nobody(self) -> None:
        one = names(plan(catalog_of({3: 40}), recipe(test_per_class=4)), TEST)
        two = names(plan(catalog_of({0: 30, 3: 40}), recipe(test_per_class=4)), TEST)
        assert set(one) < set(two)

    def test_another_seed_holds_out_others(self) -> None:
        catalog = catalog_of({0: 400})
        first, second = (set(names(plan(catalog, recipe(test_per_class=20, seed=seed)), TEST)) for seed in (0, 1))
        assert len(first & second) < 10

    def test_the_images_are_those_of_the_last_release(self) -> None:
        # A change here changes everybody's test split: it needs a new major version.
        held = names(plan(catalog_of({0: 100}), recipe(test_per_class=5)), TEST)
        assert sorted(held) == GOLDEN_HOLD_OUT

    def test_none_at_all_leaves_the_standard_train_set(self) -> None:
        result = plan(catalog_of({0: 20, 7: 9}), recipe(test_per_class=0))
        assert (result.images_of(TRAIN), result.images_of(TEST)) == (29, 0)
        assert result.splits == (TRAIN, VALIDATION)

    def test_a_class_that_would_be_left_empty_is_an_error_that_says_how_many_are_possible(
        self, sentence: Sentence
    ) -> None:
        with pytest.raises(UsageError) as caught:
            plan(catalog_of({0: 20, 7: 5}), recipe(test_per_class=5))
        sentence(caught.value)

    def test_a_small_train_set_does_not_stand_in_the_way_of_validation_alone(self) -> None:
        result = plan(catalog_of({0: 3}), recipe(splits=(VALIDATION,)))
        assert result.splits == (VALIDATION,)

    def test_the_split_train_alone_leaves_out_what_is_held_out(self) -> None:
        catalog = catalog_of({0: 20})
        alone = plan(catalog, recipe(splits=(TRAIN,), test_per_class=5))
        assert names(alone, TRAIN) == names(plan(catalog, recipe(test_per_class=5)), TRAIN)

    @settings(max_examples=30, deadline=None)
    @given(st.dictionaries(st.integers(0, 999), st.integers(4, 12), min_size=1, max_size=5), st.integers(0, 3))
    def test_every_image_of_the_source_is_in_exactly_one_split(self, train: dict[int, int], held: int) -> None:
        catalog = catalog_of(train)
        members = assign(catalog, Selection(test_per_class=held))
        assert sorted(np.concatenate(list(members.values())).tolist()) == list(range(len(catalog)))


class TestOrder:
    def test_it_is_that_of_the_md5_of_split_and_name(self) -> None:
        # TensorFlow Datasets' order (core/hashing.py), worked out here once more, without our code.
        ordered = names(plan(catalog_of({0: 50}), recipe(test_per_class=0)), TRAIN)
        assert ordered == sorted(ordered, key=lambda name: int(hashlib.md5(f"train{name}".encode()).hexdigest(), 16))

    def test_it_does_not_depend_on_the_order_in_the_archive(self) -> None:
        catalog = catalog_of({0: 30, 1: 30})
        turned = Catalog(catalog.table.take(list(range(len(catalog)))[::-1]), catalog.archives)
        options = recipe(test_per_class=5)
        for split in (TRAIN, VALIDATION, TEST):
            assert names(plan(catalog, options), split) == names(plan(turned, options), split)

    def test_keys_are_literal(self) -> None:
        assert order_keys("train", [b"n01440764_18.JPEG"]).hex() == "cd42c8a0c2117f048e7b29a11a4f1fb2"
        assert rank_keys(0, [b"n01440764_18.JPEG"]).hex() == "58aed7152f8f08d9"
        assert rank_keys(0, [b"a", b"b"]) == rank_keys(0, [b"a"]) + rank_keys(0, [b"b"])


class TestShards:
    @pytest.mark.parametrize(
        ("entries", "shards", "expected"),
        [
            (10, 1, [range(10)]),
            (10, 4, [range(2), range(2, 5), range(5, 8), range(8, 10)]),
            (3, 3, [range(1), range(1, 2), range(2, 3)]),
        ],
    )
    def test_cuts_are_where_tensorflow_datasets_cuts(self, entries: int, shards: int, expected: list[range]) -> None:
        assert bounds(entries, shards) == expected

    def test_the_complete_train_set_has_shards_of_1251_and_1252(self) -> None:
        assert Counter(map(len, bounds(1_281_167, 1024))) == {1251: 881, 1252: 143}

    @given(st.integers(1, 3000), st.integers(1, 300))
    def test_cuts_cover_everything_once_and_differ_by_one(self, entries: int, shards: int) -> None:
        cut = bounds(entries, shards)
        assert [number for part in cut for number in part] == list(range(entries))
        assert max(map(len, cut)) - min(map(len, cut)) <= 1

    @pytest.mark.parametrize(
        ("size", "count"),
        [(0, 1), (127 * MIB, 1), (128 * MIB, 2), (2 * GIB, 32), (7 * GIB, 64), (138 * GIB, 1024), (2048 * GIB, 1024)],
    )
    def test_a_shard_has_at_least_64_mib(self, size: int, count: int) -> None:
        assert shard_count(size) == count

    @pytest.mark.parametrize(
        ("images", "count"),
        [(1, 1), (2, 2), (20, 16), (63, 32), (64, 64), (50_000, 64)],
    )
    def test_a_small_split_has_the_least_number_unless_a_shard_would_be_empty(self, images: int, count: int) -> None:
        assert at_least(1, 64, images) == count

    def test_a_number_that_is_large_enough_stays(self) -> None:
        assert [at_least(1024, 64, 1_281_167), at_least(2, 1, 50_000)] == [1024, 2]

    def test_the_complete_data_set_has_the_counts_that_readers_hard_code(self) -> None:
        complete = catalog_of({}, validation=50_000, size=1)
        assert Counter(shard.name.split for shard in plan(complete, recipe(splits=(VALIDATION,))).shards) == {
            VALIDATION: 128
        }

    def test_the_user_may_choose_another_number(self) -> None:
        result = plan(catalog_of({0: 20}), recipe(test_per_class=2, shards={TRAIN: 3}))
        assert [str(shard.name) for shard in result.shards] == [
            "train-00000-of-00003",
            "train-00001-of-00003",
            "train-00002-of-00003",
            "validation-00000-of-00001",
            "test-00000-of-00001",
        ]

    def test_more_shards_than_images_are_refused(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            plan(catalog_of({0: 20}), recipe(test_per_class=2, shards={TRAIN: 19}))
        sentence(caught.value)

    @pytest.mark.parametrize("name", ["train-1-of-2", "train-00001-of-00002.tfrecord", "Train-00001-of-00002", ""])
    def test_what_is_no_shard_name_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="is not a shard name"):
            ShardName.parse(name)


class TestIdentity:
    def test_equal_sources_and_recipes_have_one_identity(self) -> None:
        assert plan(catalog_of({0: 20}), few()).identity == plan(catalog_of({0: 20}), few()).identity

    def test_it_is_that_of_the_last_release(self) -> None:
        # A change here makes every data set of users another one: it needs a line in the changelog.
        assert plan(catalog_of({0: 20}), few()).identity == GOLDEN_IDENTITY

    @pytest.mark.parametrize(
        "other", [{"seed": 1}, {"test_per_class": 3}, {"splits": ("train",)}, {"exclude": ("n01440764_3.JPEG",)}]
    )
    def test_another_selection_has_another(self, other: dict[str, object]) -> None:
        assert plan(catalog_of({0: 20}), few()).identity != plan(catalog_of({0: 20}), few(**other)).identity

    def test_a_recipe_that_selects_the_same_images_has_the_same(self) -> None:
        listed = few(test_list=tuple(names(plan(catalog_of({0: 20}), few()), TEST)), test_per_class=None)
        assert plan(catalog_of({0: 20}), listed).identity == plan(catalog_of({0: 20}), few()).identity

    @pytest.mark.parametrize("other", [{"format": "tfds"}, {"shards": {"train": 2}}, {"format": "folders"}])
    def test_outputs_are_not_in_the_identity_of_the_selection(self, other: dict[str, object]) -> None:
        assert plan(catalog_of({0: 20}), few()).identity == plan(catalog_of({0: 20}), few(**other)).identity

    def test_the_order_in_which_formats_are_named_makes_no_difference(self) -> None:
        assert few(format=("tfds", "tfrecord")) == few(format=("tfrecord", "tfds", "tfds"))

    @pytest.mark.parametrize("column", ["name", "class_index", "size"])
    def test_another_image_is_another_selection(self, column: str) -> None:
        catalog = catalog_of({0: 20, 7: 20})
        changed = with_column(catalog, column, "n01440764_77.JPEG" if column == "name" else 7)
        assert plan(changed, few()).identity != plan(catalog, few()).identity

    @pytest.mark.parametrize(("column", "value"), [("offset", 99), ("container", "elsewhere")])
    def test_where_the_bytes_lie_makes_no_difference(self, column: str, value: object) -> None:
        assert identities(with_column(catalog_of({0: 20}), column, value)) == identities(catalog_of({0: 20}))

    def test_names_and_times_of_archives_make_no_difference(self) -> None:
        others = tuple(Archive(f"copy-of-{each.name}", each.role, 5, 99, folder=True) for each in ARCHIVES)
        assert identities(Catalog(catalog_of({0: 20}).table, others)) == identities(catalog_of({0: 20}))

    def test_the_order_of_the_source_makes_no_difference(self) -> None:
        catalog = catalog_of({0: 20, 1: 20})
        turned = Catalog(catalog.table.take(list(range(len(catalog)))[::-1]), catalog.archives)
        assert identities(turned) == identities(catalog)

    def test_how_the_table_is_cut_in_memory_makes_no_difference(self) -> None:
        catalog = catalog_of({0: 20, 1: 20})
        pieces = pa.concat_tables([catalog.table.slice(0, 7), catalog.table.slice(7)])
        assert identities(Catalog(pieces, ARCHIVES)) == identities(catalog)

    def test_boxes_are_in_the_identity_of_the_outputs_that_store_them(self) -> None:
        plain, boxed = identities(catalog_of({0: 20})), identities(with_column(catalog_of({0: 20}), "boxes", [0.5] * 4))
        assert {name for name in plain if plain[name] != boxed[name]} == {"tfrecord"}

    @pytest.mark.parametrize(
        ("option", "changed"),
        [({"names": "wnid"}, {"folders"}), ({"tfds.shards": {"train": 2}}, {"tfds"})],
    )
    def test_an_option_of_an_output_is_in_the_identity_of_that_output_alone(
        self, option: dict[str, object], changed: set[str]
    ) -> None:
        plain, other = identities(catalog_of({0: 20})), identities(catalog_of({0: 20}), **option)
        assert {name for name in plain if plain[name] != other[name]} == changed

    def test_what_an_output_is_does_not_depend_on_the_others(self) -> None:
        together = identities(catalog_of({0: 20}))
        for name in ("tfrecord", "tfds", "folders"):
            assert identities(catalog_of({0: 20}), format=name)[name] == together[name]


class TestSharedReads:
    def read(self, **given: object) -> list[tuple[int, list[str]]]:
        """How many images each piece of work reads, and the shards that it makes."""
        planned = plan(catalog_of({0: 20}), few(splits=("train",), **given))
        everything = work(planned, lambda _output, _shard: True)
        return [
            (len(one.rows), [f"{of.output.name} {shard.name.index}" for of, shard, _ in one.shards])
            for one in everything
        ]

    def test_shards_of_the_same_images_are_made_from_one_read(self) -> None:
        assert self.read(format=("tfrecord", "tfds"), shards={"train": 2}) == [
            (9, ["tfds 0", "tfrecord 0"]),
            (9, ["tfds 1", "tfrecord 1"]),
        ]

    def test_numbers_that_nest_are_made_from_one_read(self) -> None:
        given = {"tfrecord.shards": {"train": 2}, "tfds.shards": {"train": 4}}
        assert self.read(format=("tfrecord", "tfds"), **given) == [
            (9, ["tfrecord 0", "tfds 0", "tfds 1"]),
            (9, ["tfrecord 1", "tfds 2", "tfds 3"]),
        ]

    def test_numbers_that_do_not_nest_cost_a_second_read(self) -> None:
        given = {"tfrecord.shards": {"train": 2}, "tfds.shards": {"train": 3}}
        assert [images for images, _ in self.read(format=("tfrecord", "tfds"), **given)] == [6, 6, 6, 9, 9]
        assert reads(plan(catalog_of({0: 20}), few(format=("tfrecord", "tfds"), **given)).outputs) == 2

    def test_class_folders_take_part_in_the_read_of_the_others(self) -> None:
        assert self.read(format=("tfrecord", "folders")) == [(18, ["folders 0", "tfrecord 0"])]

    def test_class_folders_alone_are_read_as_the_source_lies(self) -> None:
        planned = plan(catalog_of({0: 20}), few(format="folders", test_per_class=0))
        assert planned.shards[0].rows.tolist() == list(range(20))

    def test_an_output_that_was_planned_before_keeps_its_arrangement(self) -> None:
        catalog = catalog_of({0: 20})
        before = plan(catalog, few(format="folders"))
        known = {each.output.name: each.arrangement for each in before.outputs}
        after = plan(catalog, few(format=("folders", "tfrecord")), known)
        assert [shard.rows.tolist() for shard in after.outputs[0].shards] == [
            shard.rows.tolist() for shard in before.shards
        ]


class TestRefusals:
    def test_a_missing_archive_is_never_passed_over(self, sentence: Sentence) -> None:
        with pytest.raises(SourceError) as caught:
            plan(catalog_of({0: 60}, validation=0))
        sentence(caught.value)

    def test_a_split_without_images_is_refused_where_it_was_asked_for(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            plan(catalog_of({0: 60}, validation=0), recipe(splits=(VALIDATION,)))
        sentence(caught.value)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"format": "lmdb"},
            {"format": ()},
            {"names": "wnid"},
            {"format": "folders", "names": "nickname"},
            {"splits": ("val",)},
            {"shards": {"dev": 3}},
            {"shards": {"train": 0}},
            {"shards": {"train": 100_000}},
            {"test_per_class": -1},
            {"test_per_class": 0, "splits": ("test",)},
        ],
        ids=str,
    )
    def test_a_recipe_that_nothing_could_satisfy(self, arguments: dict[str, object], sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            few(**arguments)
        sentence(caught.value)


def few(**changes: object) -> Recipe:
    """A recipe that holds two images out of each class; without a number if that is None."""
    given = {"test_per_class": 2, **changes}
    return recipe(**{name: value for name, value in given.items() if value is not None})


def identities(catalog: Catalog, **changes: object) -> dict[str, str]:
    """The identity of every output, by name."""
    planned = plan(catalog, few(**{"format": ("tfrecord", "tfds", "folders"), **changes}))
    return {each.output.name: each.identity for each in planned.outputs}


def with_column(catalog: Catalog, column: str, value: object) -> Catalog:
    """The same catalog with another value in the fourth row of a column."""
    at = SCHEMA.get_field_index(column)
    values = catalog.table.column(column).to_pylist()
    values[3] = value
    field = SCHEMA.field(at)
    array = (
        pa.array(values, field.type.value_type).dictionary_encode().cast(field.type)
        if (pa.types.is_dictionary(field.type))
        else pa.array(values, field.type)
    )
    return Catalog(catalog.table.set_column(at, field, array), catalog.archives)


GOLDEN_HOLD_OUT = [
    "n01440764_45.JPEG",
    "n01440764_5.JPEG",
    "n01440764_59.JPEG",
    "n01440764_90.JPEG",
    "n01440764_94.JPEG",
]
GOLDEN_IDENTITY = "59e358fe2c046792f89458d4f09f7ea3"
